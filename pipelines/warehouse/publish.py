"""Publishing: the work file, checkpointed and closed, is copied beside the published one and takes its place at once.

Open readers keep the file they have, new ones see the new one; nobody is locked out (measured, DuckDB 1.5.5). No SQL of tables here.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import duckdb

from pipelines.errors import WarehouseError
from pipelines.warehouse.connect import wal
from pipelines.warehouse.load import within_memory

_CONTENTS = (
    "SELECT (SELECT count(*) FROM meta.loads), (SELECT max(loaded_at) FROM meta.loads), (SELECT count(*) FROM meta.rejects),"
    " (SELECT count(resolved_at) FROM meta.rejects)"
)

_AT_ONCE = 1 << 30
_NO_RANGES = frozenset({errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM})
"""What a kernel or file system says that cannot copy between these two files by itself; EPERM is a container's that forbids the call."""


def contents(connection: duckdb.DuckDBPyConnection) -> tuple[object, ...]:
    """What tells two states of a warehouse apart: ledger and dead letters. A sync with nothing new changes neither."""
    row: tuple[object, ...] | None = connection.execute(_CONTENTS).fetchone()
    return row or ()


def published_contents(path: Path) -> tuple[object, ...] | None:
    """The same of the published file; None when there is none, or one that cannot be read: then it is published anew.

    Asked of the file itself, so that a crash between the load and the publish is made good by the next run.
    """
    if not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return contents(connection)
    except duckdb.Error:
        return None


def checkpoint(connection: duckdb.DuckDBPyConnection, path: Path, bounds: Sequence[int] = ()) -> None:
    """Write everything into the file, within `bounds` of memory, and close it. Raises WarehouseError when a write-ahead log is left."""
    within_memory(connection, partial(connection.execute, "CHECKPOINT"), bounds)
    connection.close()
    if wal(path).exists():
        # a copy without its log would silently lose commits
        raise WarehouseError(f"The file {path} still has a write-ahead log after its checkpoint: not published.")


def publish(work: Path, published: Path, mode: int) -> int:
    """Put a copy of the closed work file in the published one's place, atomically and without the loader's own schema.

    Only the one writer may call it: what an earlier one left half done is removed. Returns the size in bytes. Raises WarehouseError when
    the copy cannot be finished; the file of before stands then.
    """
    try:
        return _publish(work, published, mode)
    except (OSError, duckdb.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else str(error).split("\n", 1)[0]) or type(error).__name__
        raise WarehouseError(f"{published} could not be published: {reason}") from error


def _publish(work: Path, published: Path, mode: int) -> int:
    published.parent.mkdir(parents=True, exist_ok=True)
    copy = published.with_name(f".{published.name}.tmp")
    _remove(copy)
    try:
        with work.open("rb") as source, copy.open("xb") as target:  # never through a link that lies there
            os.fchmod(target.fileno(), 0o600)
            _copy(source, target)
        connection = duckdb.connect(str(copy))
        connection.execute("DROP SCHEMA stage CASCADE")
        checkpoint(connection, copy)
        with copy.open("rb") as whole:
            os.fchmod(whole.fileno(), mode)
            os.fsync(whole.fileno())
            size = os.fstat(whole.fileno()).st_size
        copy.replace(published)
    finally:
        _remove(copy)
    folder = os.open(published.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    """The rest of a file: cloned where the file system can (Btrfs, XFS: whatever its size), else copied by the kernel, else by us."""
    try:
        while hasattr(os, "copy_file_range") and os.copy_file_range(source.fileno(), target.fileno(), _AT_ONCE):
            pass
    except OSError as error:
        if error.errno not in _NO_RANGES:
            raise
    shutil.copyfileobj(source, target, 4 * 1024 * 1024)  # nothing more, but where the kernel could not


def _remove(copy: Path) -> None:
    """The copy and its log: a log that outlives its file would be replayed into the next copy."""
    copy.unlink(missing_ok=True)
    wal(copy).unlink(missing_ok=True)
