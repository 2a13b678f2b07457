"""The work: payloads over HTTP, into Parquet, through polars, into DuckDB. Knows nothing of Dagster.

Each package below is one room; `pyproject.toml` says which room may import which.
"""

import os

# Memory that was freed goes back to the system soon: what a batch takes is ten times what is left of it, and by default the allocators of
# DuckDB and polars keep that for seconds, each of their arenas its own, and pyarrow's for good. They read this once, when they are first
# imported; yours stands.
os.environ.setdefault("DUCKDB_JE_MALLOC_CONF", "narenas:1,dirty_decay_ms:20,muzzy_decay_ms:0")
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:20,muzzy_decay_ms:0")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
