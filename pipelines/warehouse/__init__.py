"""Frames -> DuckDB: connect, DDL, load, derive, marts, publish. Knows tables and SQL, nothing of providers or HTTP."""
