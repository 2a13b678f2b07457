"""The tables that every side of the benchmark fills, and how their contents are compared.

Of what a rebuild writes these are the tables of two endpoints that most rows come from. A side writes `core.<table>` into a DuckDB file
with these columns, or more; `contents` gives the same for two files with the same rows, in whatever order they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

BROWSER, SESSION = "datadog/browser_results", "checkly/test_session_results"
ENDPOINTS = frozenset((BROWSER, SESSION))

RAW_COLUMNS = ["entity_id", "parent_id", "payload_sha256", "fetched_at", "payload"]

PHASES = {"ssl": "tls", "firstByte": "first_byte"}
"""Phases whose common name is not the provider's own."""

TABLES: dict[str, dict[str, str]] = {
    "results": {
        "result_key": "BIGINT", "provider": "VARCHAR", "result_id": "VARCHAR", "attempt": "BIGINT", "execution_id": "VARCHAR",
        "try_number": "BIGINT", "is_final": "BOOLEAN", "try_kind": "VARCHAR",
        "run_key": "BIGINT", "run_id": "VARCHAR", "test_id": "VARCHAR", "test_type": "VARCHAR",
        "location": "VARCHAR", "private_location_id": "VARCHAR", "device": "VARCHAR", "browser": "VARCHAR",
        "browser_version": "VARCHAR", "viewport_width": "BIGINT", "viewport_height": "BIGINT", "status": "VARCHAR",
        "outcome": "VARCHAR", "is_terminal": "BOOLEAN", "is_degraded": "BOOLEAN", "is_cancelled": "BOOLEAN", "is_aborted": "BOOLEAN",
        "has_errors": "BOOLEAN", "has_failures": "BOOLEAN", "started_at": "TIMESTAMPTZ", "ended_at": "TIMESTAMPTZ",
        "duration_ms": "DOUBLE", "response_time_ms": "DOUBLE", "utc_date": "DATE", "http_status_code": "BIGINT",
        "trace_id": "VARCHAR", "url": "VARCHAR", "payload_sha256": "VARCHAR", "fetched_at": "TIMESTAMPTZ",
    },
    "steps": {
        "result_key": "BIGINT", "provider": "VARCHAR", "step_index": "BIGINT", "parent_step_index": "BIGINT", "step_id": "VARCHAR",
        "name": "VARCHAR", "kind": "VARCHAR", "outcome": "VARCHAR", "started_at": "TIMESTAMPTZ", "duration_ms": "DOUBLE",
        "url": "VARCHAR", "result_text": "VARCHAR", "error_message": "VARCHAR",
    },
    "assertions": {
        "result_key": "BIGINT", "provider": "VARCHAR", "assertion_index": "BIGINT", "step_index": "BIGINT", "source": "VARCHAR",
        "property": "VARCHAR", "operator": "VARCHAR", "target": "VARCHAR", "actual": "VARCHAR", "outcome": "VARCHAR",
        "error_message": "VARCHAR",
    },
    "timings": {
        "result_key": "BIGINT", "provider": "VARCHAR", "step_index": "BIGINT", "phase": "VARCHAR", "duration_ms": "DOUBLE",
        "offset_ms": "DOUBLE", "is_total": "BOOLEAN", "phase_raw": "VARCHAR",
    },
    "page_vitals": {
        "result_key": "BIGINT", "provider": "VARCHAR", "page_index": "BIGINT", "metric": "VARCHAR", "page_url": "VARCHAR",
        "value": "DOUBLE", "score": "VARCHAR",
    },
    "logs": {
        "result_key": "BIGINT", "provider": "VARCHAR", "log_index": "BIGINT", "phase": "VARCHAR", "logged_at": "TIMESTAMPTZ",
        "level": "VARCHAR", "message": "VARCHAR",
    },
    "exchanges": {
        "result_key": "BIGINT", "provider": "VARCHAR", "exchange_index": "BIGINT", "step_index": "BIGINT", "method": "VARCHAR",
        "url": "VARCHAR", "status_code": "BIGINT", "request_headers": "VARCHAR", "response_headers": "VARCHAR",
        "response_body": "VARCHAR",
    },
}  # fmt: skip
"""Compared columns with their DuckDB types. JSON columns are compared as text."""

_DERIVED = ("try_number", "is_final")
_ARROW = {
    "BIGINT": pa.int64(),
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
}
FLAT: dict[str, tuple[str, ...]] = {
    table: tuple(column for column in columns if column not in _DERIVED) for table, columns in TABLES.items()
}
"""Columns that one payload gives; the others follow from all payloads (`TRIES`)."""

TRIES = """
    row_number() OVER (PARTITION BY provider, execution_id ORDER BY started_at, result_id) AS try_number,
    try_kind IS DISTINCT FROM 'attempt' AND try_kind IS DISTINCT FROM 'pending' AND row_number() OVER (
        PARTITION BY provider, execution_id
        ORDER BY CASE try_kind WHEN 'attempt' THEN 2 WHEN 'pending' THEN 2 WHEN 'final' THEN 0 ELSE 1 END,
            started_at DESC, result_id DESC) = 1 AS is_final"""
"""Place among the tries of an execution, and the one that counts, as long as every result is over and no run is loaded."""


def files(lake: Path, place: str) -> list[str]:
    """The raw files of an endpoint, sorted."""
    return sorted(str(path) for path in (lake / "raw" / place).rglob("*.parquet"))


def rows(lake: Path, place: str, columns: Sequence[str] = RAW_COLUMNS) -> Iterator[pa.RecordBatch]:
    """The raw rows of an endpoint, a batch per file."""
    for path in files(lake, place):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(columns=list(columns))


def create(path: Path, names: Sequence[str] = tuple(TABLES)) -> duckdb.DuckDBPyConnection:
    """A new file with empty tables, the keys as ours."""
    connection = duckdb.connect(str(path))
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA core")
    for table in names:
        listed = ", ".join(f'"{column}" {kind}' for column, kind in TABLES[table].items())
        keyed = ", PRIMARY KEY (result_key)" if table == "results" else ""
        connection.execute(f"CREATE TABLE core.{table} ({listed}{keyed})")
    return connection


def arrow(table: str, found: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Flat rows, in the order of `FLAT`, as an Arrow table."""
    names = FLAT[table]
    columns = zip(*found, strict=True) if found else ([] for _ in names)
    return pa.table({name: pa.array(column, _ARROW[TABLES[table][name]]) for name, column in zip(names, columns, strict=True)})


class Sink:
    """Takes flat rows batch by batch, results at the end: their derived columns need all of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._results: list[pa.Table] = []

    def take(self, batch: Mapping[str, pa.Table]) -> None:
        """One batch of flat tables by name."""
        for name, found in batch.items():
            if name == "results":
                self._results.append(found)
            elif found.num_rows:
                self._connection.register("batch_in", found)
                self._connection.execute(f"INSERT INTO core.{name} BY NAME FROM batch_in")

    def close(self) -> None:
        """Write the results and close the file."""
        self._connection.register("batch_in", pa.concat_tables(self._results))
        self._connection.execute(f"INSERT INTO core.results BY NAME SELECT *, {TRIES} FROM batch_in")
        self._connection.execute("CHECKPOINT")
        self._connection.close()


def contents(path: Path, without: Mapping[str, Sequence[str]] = MappingProxyType({})) -> dict[str, tuple[int, str]]:
    """Rows and content hash of every compared table, whatever the order of the rows; columns of `without` are left out."""
    connection = duckdb.connect(str(path), read_only=True)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        there = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'").fetchall()}
        return {table: _contents(connection, table, without.get(table, ())) for table in TABLES if table in there}
    finally:
        connection.close()


def _contents(connection: duckdb.DuckDBPyConnection, table: str, without: Sequence[str]) -> tuple[int, str]:
    listed = ", ".join(f'"{column}"::{kind}' for column, kind in TABLES[table].items() if column not in without)
    found = connection.execute(f"SELECT count(*), sum(hash({listed})::HUGEINT) FROM core.{table}").fetchone()
    assert found is not None
    return int(found[0]), f"{int(found[1] or 0) % (1 << 64):016x}"
