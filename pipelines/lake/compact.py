"""Small files of one folder become one, and every file that was written can still be found by its name.

A merged file holds the rows of the files it stands for, unchanged and one file's after another's; its Parquet metadata says their names and
how many rows each has. So who asks the lake is answered in the files as they were written, each a `Piece`: ledger, coverage and order of
rows do not know whether one lies there by itself. Merged files appear whole before what they stand for is removed; until then, and after a
crash in between, the file that stands for most shows the piece and the others are left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LakeError
from pipelines.lake import files

FEW = 24
"""So many small files of a like age (a file, files merged once, twice, ...) may lie in one folder: a row is written anew log(n) times."""

FULL_BYTES = 1024 * 1024
FULL_UNCOMPRESSED = 8 * 1024 * 1024
"""A file of this size is not small any more. A merged one has at most twice the second: readers take whole files."""

_SUFFIX = ".merged"
_KEY = b"resulthouse.files"
_TRIES = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Piece:
    """A file as it was written: its name, and its rows in the file that holds it now; `rows` None is all of them."""

    name: str
    start: int = 0
    rows: int | None = None

    def of(self, table: pa.Table) -> pa.Table:
        """Its rows in the table of the whole file."""
        return table if self.rows is None else table.slice(self.start, self.rows)


def rows(parts: Iterable[tuple[Piece, pa.Table]]) -> Iterator[pa.Table]:
    """The rows of pieces, each given with the table of its whole file; neighbours in one file come together."""
    held: pa.Table | None = None
    start = end = 0
    for piece, table in parts:
        if table is held and piece.start == end:
            end += piece.rows or 0
            continue
        if held is not None:
            yield held.slice(start, end - start)
        held, start = table, piece.start
        end = start + (table.num_rows if piece.rows is None else piece.rows)
    if held is not None:
        yield held.slice(start, end - start)


def pieces(paths: Iterable[str]) -> dict[str, list[Piece]]:
    """What each file holds, every piece once, files of which nothing is needed left out. Raises FileNotFoundError when one is gone."""
    split = {path: path.rpartition(os.sep) for path in paths}
    held = {path: _pieces(path, name) for path, (_, _, name) in split.items()}
    taken: dict[str, set[str]] = {split[path][0]: set() for path, mine in held.items() if mine[0].rows is not None}
    if not taken:
        return held
    shared = [path for path in held if split[path][0] in taken]
    for path in sorted(shared, key=lambda path: (len(held[path]), split[path][2]), reverse=True):
        there = taken[split[path][0]]
        held[path] = [piece for piece in held[path] if piece.name not in there]
        there.update([piece.name for piece in held[path]])
    return {path: mine for path, mine in held.items() if mine}


def settled(read: Callable[[], T]) -> T:
    """What `read` returns, asked again when a file was merged away between its listing and its reading. Raises LakeError."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return read()
    raise LakeError("files of the lake disappear faster than they can be read: is something else removing them?")


def merge_small(texts: Sequence[str], schema: pa.Schema, sync_id: str) -> None:
    """Merge the small files among those of one folder where there are many; remove what merged files stand for. OSError, LakeError.

    What is damaged, or has columns that `schema` lacks, stays as it is.
    """
    if len(texts) < FEW and not any(map(_is_merged, texts)):
        return  # of thousands of folders mostly all
    paths = [path for path in map(Path, texts) if files.is_ours(path.name)]
    shown = {Path(path): held for path, held in pieces(map(str, paths)).items()}
    left = [path for path in paths if path not in shown]  # by a crash between a merge and the removal
    if left and all(files.verify(path) for path in shown if _is_merged(path.name)):
        _remove(left)
    ages: dict[int, list[Path]] = {}
    for path, held in shown.items():
        if path.stat().st_size < FULL_BYTES:
            ages.setdefault(_age(len(held)), []).append(path)
    for each in ages.values():
        sizes = {path: size for path in each if (size := _size(path, schema)) < FULL_UNCOMPRESSED} if len(each) >= FEW else {}
        if len(sizes) >= FEW:
            for group in _groups(sizes):
                _merge({path: shown[path] for path in group}, schema, sync_id)


def _merge(sources: Mapping[Path, Sequence[Piece]], schema: pa.Schema, sync_id: str) -> None:
    tables: dict[Path, pa.Table] = {}
    for path in sources:
        if files.verify(path):
            with suppress(LakeError):
                tables[path] = files.read_table(path, schema)
    if len(tables) < 2:
        return
    parts = sorted(((piece, piece.of(table)) for path, table in tables.items() for piece in sources[path]), key=lambda part: part[0].name)
    merged = pa.concat_tables([table for _, table in parts])
    names = json.dumps([[piece.name, table.num_rows] for piece, table in parts])
    folder = next(iter(tables)).parent
    name = files.write_table(folder, sync_id + _SUFFIX, merged.replace_schema_metadata({_KEY: names.encode()}))
    if files.verify(folder / name):
        _remove(tables)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _groups(sizes: Mapping[Path, int]) -> Iterable[list[Path]]:
    """In the given order, as many together as are not too large."""
    group: list[Path] = []
    total = 0
    for path, size in sizes.items():
        if total + size > 2 * FULL_UNCOMPRESSED:
            yield group
            group, total = [], 0
        group.append(path)
        total += size
    yield group


def _age(count: int) -> int:
    """How often `FEW` files were merged to make one of so many."""
    age = 0
    while count >= FEW:
        count //= FEW
        age += 1
    return age


def _size(path: Path, schema: pa.Schema) -> int:
    """Bytes of its columns, not compressed; of a file that is not to be merged, too many."""
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return FULL_UNCOMPRESSED
    if not set(footer.schema.to_arrow_schema().names) <= set(schema.names):
        return FULL_UNCOMPRESSED
    return sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))


def _is_merged(name: str) -> bool:
    return name.rpartition("-")[0].endswith(_SUFFIX)


def _pieces(path: str, name: str) -> list[Piece]:
    if not _is_merged(name):
        return [Piece(name)]
    stat = os.stat(path)  # noqa: PTH116 - most are looked at by name alone, for which they are no Path
    return list(_named(Path(path), stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=10_000)
def _named(path: Path, size: int, changed_at: int) -> tuple[Piece, ...]:
    """What a merged file says it holds; the file itself when it does not say so. Remembered while the file is as it is."""
    try:
        footer = pq.read_metadata(path)
        told = [(str(name), int(rows)) for name, rows in json.loads((footer.metadata or {})[_KEY])]
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError):
        return (Piece(path.name),)
    ends = list(accumulate(rows for _, rows in told))
    if not ends or ends[-1] != footer.num_rows or min(rows for _, rows in told) < 0:
        return (Piece(path.name),)
    return tuple(Piece(name, end - rows, rows) for (name, rows), end in zip(told, ends, strict=True))
