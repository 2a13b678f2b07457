"""Opening DuckDB files: the work file (one writer) and the published file (readers), alone or with the lake's payloads beside it.

No SQL of the house lives here but the view `lake.payloads`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipelines.errors import WarehouseError

if TYPE_CHECKING:  # a query does not wait for it
    import polars as pl

Connection = duckdb.DuckDBPyConnection
"""What other rooms call a connection: they do not import DuckDB."""

DuckError = duckdb.Error
"""Any error that DuckDB raises."""

_Config = dict[str, str | bool | int | float | list[str]]
_LOCKED_DOWN: _Config = dict.fromkeys(("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions"), "false")


def memory() -> duckdb.DuckDBPyConnection:
    """A connection without a file, for decoding in one thread: several batches are decoded at a time."""
    return _prepared(duckdb.connect(":memory:", config={"threads": 1}))


def open_work(path: Path) -> duckdb.DuckDBPyConnection:
    """The work file for writing, made when it is not there. Raises WarehouseError when it cannot be opened or a log lies beside it.

    Nothing is logged: what was committed is in the file at the next checkpoint, and a run that is killed leaves the file as the last one
    left it. So a log is not of this house. DuckDB would replay it unasked, one of another file or of an earlier checkpoint too, and rows
    would stand twice (seen with 1.5.5): such a file is not opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(path.with_name(f"{path.name}.tmp"), ignore_errors=True)  # what a killed run had put on disk for want of memory
    log = wal(path)
    if not path.exists():
        log.unlink(missing_ok=True)
    elif log.exists():
        raise WarehouseError(f"The work file {path} was not closed by the run that wrote it.")
    connection = _prepared(duckdb.connect(":memory:"))
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS work (RECOVERY_MODE no_wal_writes)")
        connection.execute(f"USE work; SET temp_directory = {literal(f'{path}.tmp')}")
    except duckdb.Error as error:
        connection.close()
        raise WarehouseError(f"The work file {path} cannot be opened: {_first_line(error)}") from None
    path.chmod(0o600)
    return connection


def open_published(path: Path) -> duckdb.DuckDBPyConnection:
    """The published file, read-only and locked down: no other file, no extension, no setting can be reached from SQL.

    Raises WarehouseError when nothing was published yet.
    """
    with _published(path):
        connection = duckdb.connect(str(path), read_only=True, config=_LOCKED_DOWN)
    _prepared(connection)
    connection.execute("SET lock_configuration = true")
    return connection


_PAYLOADS = """
CREATE VIEW lake.payloads AS
SELECT provider, endpoint, entity_id, parent_id, window_date, fetched_at,
    (provider, endpoint, entity_id, fetched_at, payload_sha256) IN (
        SELECT (provider, endpoint, entity_id, max(fetched_at), arg_max(payload_sha256, (fetched_at, payload_sha256)))
        FROM temp.main.landed GROUP BY provider, endpoint, entity_id
    ) AS is_current,
    payload::JSON AS payload, payload_sha256, http_status, request_url, event_at, sync_id
FROM temp.main.landed"""
"""`is_current` marks the newest version of an entity. A look-up and no window function: payloads stream through it unsorted."""


def open_with_payloads(path: Path, landed: object) -> duckdb.DuckDBPyConnection:
    """The published file and `lake.payloads`, locked down as in `open_published`: the file itself stays as it is.

    `landed` is an Arrow dataset of raw rows (`pipelines.lake.dataset`). DuckDB is handed its rows and no path, so that not even the
    lake's own files can be reached, read or written by name. Raises WarehouseError when nothing was published yet.
    """
    connection = _prepared(duckdb.connect(":memory:"))
    with _published(path):
        connection.execute(f"ATTACH {literal(str(path))} AS warehouse (READ_ONLY)")
    connection.execute("ATTACH ':memory:' AS lake")
    connection.register("landed", landed)
    connection.execute(_PAYLOADS)
    connection.execute("USE warehouse")
    connection.execute(f"SET temp_directory = {literal(f'{path}.tmp')}")  # as beside a file; in memory it would be the working directory
    for name, value in _LOCKED_DOWN.items():
        connection.execute(f"SET {name} = {value}")
    connection.execute("SET lock_configuration = true")
    return connection


@contextmanager
def one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """While other threads of ours keep the cores busy: a statement over some thousand rows takes less time, and memory, in one."""
    connection.execute("SET threads = 1")
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # one that is of no more use
            connection.execute("RESET threads")


def hand_over(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> None:
    """Let one statement read the rows of a frame, once, as `rows_in`.

    As the bare stream: any other registered object is read through a scanner of pyarrow's, and that one waits for ever for a thread that
    the system refused (26.0.1, with DuckDB 1.5.5).
    """
    connection.register("rows_in", frame.__arrow_c_stream__())


def literal(text: str) -> str:
    """A text as SQL. A NUL, which ids of others may hold, would end the statement."""
    return "'" + text.replace("'", "''").replace("\0", "' || chr(0) || '") + "'"


def few(column: str) -> str:
    """A condition that is always true, for the keys that a much longer table is searched for: only where the shorter side of a join has a
    condition, DuckDB (1.5.5) makes a Bloom filter of its keys for the scan of the longer one."""
    return f"hash({column}) IS NOT NULL"


def wal(path: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a file."""
    return path.with_name(path.name + ".wal")


def is_damage(error: duckdb.Error) -> bool:
    """Whether the file itself is broken: DuckDB checks every block that it reads. No room and no memory are other errors."""
    return "Corrupt database file" in str(error) or isinstance(error, (duckdb.InternalException, duckdb.SerializationException))


def is_invalidated(error: duckdb.Error) -> bool:
    """Whether the connection is of no more use, and the file as the last checkpoint left it: a checkpoint that lacks memory does that."""
    return "has been invalidated" in str(error)


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of the block or nothing of it."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a COMMIT that failed has rolled back; its own error is what is said
            connection.execute("ROLLBACK")
        raise


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    """A statement's rows as dicts."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _prepared(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def _published(path: Path) -> Iterator[None]:
    """While the published file is opened: WarehouseError when it is not there or cannot be opened."""
    if not path.exists():
        raise WarehouseError(f"There is no warehouse at {path} yet: run `resulthouse sync` or `resulthouse demo` first.")
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(f"The warehouse {path} cannot be opened: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
