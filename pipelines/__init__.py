"""The work: payloads over HTTP, into Parquet, through polars, into DuckDB. Knows nothing of Dagster.

Each package below is one room; `pyproject.toml` says which room may import which.
"""
