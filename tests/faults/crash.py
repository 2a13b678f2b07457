"""Named moments of a run at which it may be killed or a write may fail, and what then lies on the disk.

`watched` calls a function at every such moment: before and after each file operation below a folder, in the middle of each write, around
each SQL statement of the loader, after each answer of a provider. What `kill -9` leaves at a moment is what lies on the disk at that
moment, so `Snapshots` keeps a copy of every state that differs, and one run gives the crashes of all its moments. That this is so is
shown by real kills (`tests/integration/test_crashes.py`). A function that raises makes the operation fail (`FailingWrites`).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.extract.client import HttpClient

Moment = Callable[[str], None]
_DERIVED = re.compile(r"-- core\.(\w+)")
_SMALL = 1 << 20
_WRITES = ("before open", "file half", "before fsync", "before rename", "before link", "before mkdir", "before copy", "copy half")


@contextmanager
def fast_folder() -> Iterator[Path]:
    """A folder in memory where there is one, gone after the block: a kill, unlike a power cut, loses nothing that was written but not yet
    synced."""
    with tempfile.TemporaryDirectory(prefix="resulthouse-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@contextmanager
def watched(home: Path, moment: Moment) -> Iterator[None]:
    """Call `moment(name)` at every moment of what runs in the block. What it raises is raised there."""
    with pytest.MonkeyPatch.context() as patch:
        _watch_files(patch, home, moment)
        connect = duckdb.connect
        patch.setattr(duckdb, "connect", lambda *given, **options: _Connection(connect(*given, **options), moment))
        get = HttpClient.get

        async def answered(client: HttpClient, *given: Any, **options: Any) -> Any:
            reply = await get(client, *given, **options)
            moment("after a request")
            return reply

        patch.setattr(HttpClient, "get", answered)
        yield


class _Connection:
    """A connection that tells of its statements."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, moment: Moment) -> None:
        self._connection, self._moment = connection, moment
        moment("warehouse opened")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def execute(self, sql: str, *given: Any) -> Any:
        name = _statement(sql)
        if name:
            self._moment(f"before {name}")
        result = self._connection.execute(sql, *given)
        if name in ("COMMIT", "CHECKPOINT", "DROP SCHEMA"):
            self._moment(f"after {name}")
        return result

    def close(self) -> None:
        self._connection.close()
        self._moment("warehouse closed")


def _statement(sql: str) -> str:
    """What a statement is called; nothing for one that only asks or sets."""
    derived = _DERIVED.match(sql)
    if derived:
        return f"derive of {derived[1]}"
    words = sql.split(None, 4)
    if words[0] in ("SELECT", "DESCRIBE", "SET", "USE", "FROM", "COMMENT") or "TEMP" in words[:4]:
        return ""
    if words[0] == "INSERT":
        return f"INSERT INTO {words[words.index('INTO') + 1].split('.')[0]}" if "." in sql.split("(")[0] else ""
    return words[0] if words[0] in ("ATTACH", "BEGIN", "COMMIT", "CHECKPOINT") else " ".join(words[:2])


def _watch_files(patch: pytest.MonkeyPatch, home: Path, moment: Moment) -> None:
    """Around what the code does with files below the folder: by path, or by the path of a descriptor."""

    def is_ours(path: Any) -> bool:
        place = Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else os.fspath(path)
        return str(place).startswith(f"{home}/") and "/locks/" not in str(place)

    def around(owner: Any, name: str, called: str, watched_argument: int = 0) -> None:
        real = getattr(owner, name)

        def told(*given: Any, **options: Any) -> Any:
            is_watched = is_ours(given[watched_argument]) and not (called == "mkdir" and given[0].is_dir())
            if is_watched:
                moment(f"before {called}")
            result = real(*given, **options)
            if is_watched:
                moment(f"after {called}")
            return result

        patch.setattr(owner, name, told)

    around(os, "fsync", "fsync")
    around(os, "link", "link", 1)
    around(Path, "replace", "rename")
    around(Path, "mkdir", "mkdir")
    around(Path, "unlink", "unlink")
    opened, fdopen, copied = os.open, os.fdopen, os.copy_file_range

    def open_told(path: Any, flags: int, *given: Any, **options: Any) -> int:
        is_written = bool(flags & os.O_CREAT) and is_ours(path)
        if is_written:
            moment("before open")
        descriptor = opened(path, flags, *given, **options)
        if is_written:
            moment("after open")
        return descriptor

    def fdopen_told(descriptor: int, mode: str = "r", *given: Any, **options: Any) -> Any:
        file = fdopen(descriptor, mode, *given, **options)
        return _HalfWritten(file, moment) if "w" in mode and is_ours(descriptor) else file

    def copied_told(source: int, target: int, count: int) -> int:
        rest = os.fstat(source).st_size - os.lseek(source, 0, os.SEEK_CUR)
        if not rest:
            return copied(source, target, count)
        moment("before copy")
        half = copied(source, target, max(1, rest // 2))
        moment("copy half written")
        whole = half + copied(source, target, count - half)
        moment("after copy")
        return whole

    patch.setattr(os, "open", open_told)
    patch.setattr(os, "fdopen", fdopen_told)
    patch.setattr(os, "copy_file_range", copied_told)


class _HalfWritten:
    """A file whose writes stop for a moment in the middle."""

    def __init__(self, file: Any, moment: Moment) -> None:
        self._file, self._moment = file, moment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _HalfWritten:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, data: Any) -> None:
        self._file.write(data[: len(data) // 2])
        self._file.flush()
        self._moment("file half written")
        self._file.write(data[len(data) // 2 :])


@dataclass
class Snapshots:
    """Copies of a home, one of each state that differs from the one before, with the moments at which it lay there.

    A moment that came `enough` times, in this run or in others that count in the same `moments`, is passed over.
    """

    home: Path
    folder: Path
    moments: Counter[str] = field(default_factory=Counter)
    states: dict[Path, list[str]] = field(default_factory=dict)
    enough: int = 1_000_000
    look: Callable[[], None] = lambda: None
    """What must hold at every new state, asked before it is copied."""
    _seen: dict[str, Path] = field(default_factory=dict)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self, name: str) -> None:
        if self.moments[name] >= self.enough:
            return
        self.moments[name] += 1
        state = self._state()
        if state not in self._seen:
            self.look()
            self._seen[state] = self.folder / str(next(self._number))
            shutil.copytree(self.home, self._seen[state], ignore=shutil.ignore_patterns("locks"), copy_function=_copied)
        self.states.setdefault(self._seen[state], []).append(name)

    def _state(self) -> str:
        """Names and bytes (`file_state`) of all files."""
        digest = hashlib.sha256()
        for path in sorted(self.home.rglob("*")):
            if path.is_file() and path.parent.name != "locks":
                digest.update(str(path).encode() + file_state(path))
        return digest.hexdigest()


def file_state(path: Path) -> bytes:
    """A file's bytes; of a large one its size and time instead, which its copies keep."""
    stat = path.stat()
    return path.read_bytes() if stat.st_size < _SMALL else f"{stat.st_size} {stat.st_mtime_ns}".encode()


def _copied(source: str, target: str) -> str:
    """A file of the lake is never written again: a second name will do."""
    if source.endswith(".parquet"):
        os.link(source, target)
        return target
    return str(shutil.copy2(source, target))


@dataclass
class FailingWrites:
    """Makes the n-th write below a home fail: opening, writing, syncing, renaming, linking, making a folder, copying."""

    number: int
    error: int
    writes: int = 0

    def __call__(self, name: str) -> None:
        if name.startswith(_WRITES):
            self.writes += 1
            if self.writes == self.number:
                raise OSError(self.error, os.strerror(self.error))
