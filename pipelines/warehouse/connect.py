"""Opening DuckDB files: the work file (one writer) and the published file (readers). No SQL of the house lives here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from pipelines.errors import BusyError, WarehouseError

LOCK_WAIT_S = 600.0

Connection = duckdb.DuckDBPyConnection
"""What other rooms call a connection: they do not import DuckDB."""

DuckError = duckdb.Error
"""Any error that DuckDB raises."""


def memory() -> duckdb.DuckDBPyConnection:
    """A connection without a file, for decoding."""
    return _prepared(duckdb.connect(":memory:"))


def open_work(path: Path) -> duckdb.DuckDBPyConnection:
    """The work file for writing, made when it is not there. Raises WarehouseError when it cannot be opened."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        connection = _prepared(duckdb.connect(str(path)))
    except duckdb.Error as error:
        raise WarehouseError(f"The work file {path} cannot be opened: {_first_line(error)}") from None
    path.chmod(0o600)
    return connection


def open_published(path: Path) -> duckdb.DuckDBPyConnection:
    """The published file, read-only and locked down: no other file, no extension, no setting can be reached from SQL.

    Raises WarehouseError when nothing was published yet.
    """
    if not path.exists():
        raise WarehouseError(f"There is no warehouse at {path} yet: run `resulthouse sync` or `resulthouse demo` first.")
    try:
        connection = duckdb.connect(
            str(path),
            read_only=True,
            config={
                "enable_external_access": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
    except duckdb.Error as error:
        raise WarehouseError(f"The warehouse {path} cannot be opened: {_first_line(error)}") from None
    _prepared(connection)
    connection.execute("SET lock_configuration = true")
    return connection


@contextmanager
def writer_lock(home: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Holds the one writer's place; waits for another one up to `wait_s` seconds, then raises BusyError."""
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(str(folder / "warehouse.lock"), timeout=wait_s)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError("Another run is writing the warehouse and did not end within 10 minutes.") from None
    try:
        yield
    finally:
        lock.release()


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    """A statement's rows as dicts."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _prepared(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
