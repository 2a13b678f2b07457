"""One Parquet file of the lake: content-addressed, written atomically, private to its owner, verified by its name.

A file is `<sync_id>-<first 16 hex of the SHA-256 of its bytes>.parquet`. What is half written lies in a hidden `.tmp-…`
file that no reader looks at. Folders and columns are the matter of `store`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LakeError

TEMPORARY_PREFIX = ".tmp-"
DAMAGED_SUFFIX = ".damaged"
LEFT_AFTER = timedelta(hours=1)
"""No writer takes so long for one file."""

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*-(?P<hash>[0-9a-f]{16})\.parquet")
_LARGE = 256 * 1024
"""Below that reading ahead and in threads takes longer than reading (0.7 instead of 0.35 ms a file)."""
_SYNC_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def write_rows(folder: Path, sync_id: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> str:
    """Write rows (dicts by column name; a missing column is NULL) as one file and return its name. Raises LakeError."""
    if not _SYNC_ID.fullmatch(sync_id):
        raise LakeError(f"{sync_id!r} is no sync id: letters, digits, '_', '.', '-' only")
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
    return write_table(folder, sync_id, pa.table(columns, schema=schema))


def write_table(folder: Path, sync_id: str, table: pa.Table, *, compression: str = "zstd") -> str:
    """Write a table and its metadata as one file and return its name."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression, store_schema=True)
    data = memoryview(sink.getvalue())
    name = f"{sync_id}-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    write_bytes(folder / name, data)
    return name


def write_bytes(path: Path, data: bytes | memoryview, *, is_once: bool = False) -> None:
    """Put a whole file in place or nothing: temporary file beside it, fsync, rename, fsync of the folder.

    With `is_once` an existing file stays as it is and FileExistsError is raised.
    """
    make_folder(path.parent)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_once:
            os.link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each 0700, whatever the umask. Raises LakeError for a symbolic link on the way to it."""
    missing = []
    while not folder.is_dir():
        if folder.is_symlink():
            break
        missing.append(folder)
        folder = folder.parent
    refuse_link(folder)
    for each in reversed(missing):
        each.mkdir(mode=FOLDER_MODE, exist_ok=True)
        _sync_folder(each.parent)


def refuse_link(path: Path) -> None:
    """Raises LakeError when the path, or a folder on the way to it, is a symbolic link: nothing is read or written where one leads."""
    if os.path.realpath(path) != os.path.abspath(path):  # noqa: PTH100 - Path.absolute leaves `..` in
        raise LakeError(f"{path} is a symbolic link, or behind one: what lies in the data folder is not followed out of it")


def is_ours(name: str) -> bool:
    """Whether a file's name has the form of a lake file's."""
    return _NAME.fullmatch(name) is not None


def verify(path: Path) -> bool:
    """Whether the file's name fits its bytes; False also for a name of another form and a file that is gone."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16] == match["hash"]
    except OSError:
        return False


def read_verified(path: Path, schema: pa.Schema) -> pa.Table | None:
    """What `read_table` gives of a file that can be held whole; None when its name does not fit its bytes. LakeError, FileNotFoundError."""
    match = _NAME.fullmatch(path.name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError:
        return None
    if match is None or hashlib.sha256(data).hexdigest()[:16] != match["hash"]:
        return None
    return _table(pa.BufferReader(data), path.name, schema, is_large=len(data) >= _LARGE)


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`, in its order and types, NULL where the file lacks one. Not verified. LakeError."""
    try:
        is_large = path.stat().st_size >= _LARGE
    except OSError as error:
        raise _unreadable(path.name, error) from None
    return _table(path, path.name, schema, is_large=is_large)


def _table(source: Path | pa.BufferReader, name: str, schema: pa.Schema, *, is_large: bool) -> pa.Table:
    try:
        with pq.ParquetFile(source, pre_buffer=is_large) as file:
            there = set(file.schema_arrow.names)
            present = [name for name in schema.names if name in there]
            table = file.read(columns=present, use_threads=is_large).replace_schema_metadata(None)
        if table.schema.equals(schema):  # as it mostly is
            return table
        columns = [
            table[field.name].cast(field.type) if field.name in present else pa.nulls(table.num_rows, field.type) for field in schema
        ]
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(name, error) from None
    return pa.table(columns, schema=schema)


def _unreadable(name: str, error: Exception) -> LakeError:
    return LakeError(f"lake file {name} cannot be read: {type(error).__name__}")


def find(folder: Path) -> Iterator[Path]:
    """Every Parquet file below a folder, sorted by path; hidden ones are not looked at. Raises LakeError for a symbolic link."""
    return map(Path, find_texts(folder))


def find_texts(folder: Path, temporary: list[str] | None = None) -> list[str]:
    """The same as texts: a Path for every folder and file takes three times as long. `temporary`: where to add what writers have begun."""
    refuse_link(folder)
    found: list[str] = []
    if folder.is_dir():
        _find(str(folder), found, [] if temporary is None else temporary)
    return found


def _find(folder: str, found: list[str], temporary: list[str]) -> None:
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            if name.startswith(TEMPORARY_PREFIX):
                temporary.append(entry.path)
            continue
        is_file, is_folder = name.endswith(".parquet"), entry.is_dir()
        if (is_folder or is_file) and entry.is_symlink():
            refuse_link(Path(entry.path))
        if is_folder:
            _find(entry.path, found, temporary)
        elif is_file:
            found.append(entry.path)


def remove_left(temporary: Iterable[str], now: datetime) -> int:
    """Remove those of these temporary files that an interrupted writer left: younger ones may be another run's. Returns how many."""
    count, limit = 0, (now - LEFT_AFTER).timestamp()
    for path in map(Path, temporary):
        with contextlib.suppress(FileNotFoundError):  # another run has just finished or removed it
            if path.stat().st_mtime < limit:
                path.unlink()
                count += 1
    return count


def set_aside(path: Path) -> Path | None:
    """Give a file whose bytes are not what its name says another name, under which no reader finds it. None when it is no such file.

    Nothing happens to a foreign name, nor to a file that cannot be read just now.
    """
    match = _NAME.fullmatch(path.name)
    try:
        if match is None or hashlib.sha256(path.read_bytes()).hexdigest()[:16] == match["hash"]:
            return None
        return path.replace(path.with_name(path.name + DAMAGED_SUFFIX))
    except OSError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
