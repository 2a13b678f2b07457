"""What the small columns of raw files said when they were read: a sync does not open every file of a lake of years once more.

One file per endpoint in a folder beside the work file, and as disposable: where it is missing, damaged or of another version, the raw files
are read. A row says in which file it was read and how long that was: what is of another length now, merged or gone counts as never
read. After a day all of it does, for a file may be damaged where it lies. What is remembered is the matter of `landed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LakeError
from pipelines.lake import files

_VERSION = "1"
"""Another one for other columns or another meaning: what was remembered before is not read then."""

GOOD_FOR = timedelta(days=1)
_READ_AT = b"resulthouse.read_at"
_NAMES = pa.dictionary(pa.int32(), pa.string())
_INSTANT = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [
        pa.field("entity_id", pa.string()),
        pa.field("parent_id", _NAMES),
        pa.field("window_date", pa.date32()),
        pa.field("fetched_at", _INSTANT),
        pa.field("payload_sha256", pa.binary()),
        pa.field("state", _NAMES),
        pa.field("event_at", _INSTANT),
        pa.field("name", _NAMES),
        pa.field("stamp", _NAMES),
    ]
)


@dataclass(frozen=True)
class Recalled:
    """Rows that are remembered, and when the first of them were read."""

    rows: pl.DataFrame
    read_at: datetime


def recall(folder: Path, wanted: Mapping[str, tuple[int, str]], now: datetime) -> Recalled | None:
    """The rows remembered of these files, in the order in which they were remembered; None when there are none.

    `wanted`: by the name of a file its number, which becomes the column `file`, and its stamp. Rows of other files are left out.
    """
    for path in map(Path, _files(folder)):
        if not path.name.startswith(f"v{_VERSION}-"):
            continue
        table = None
        with suppress(LakeError, OSError):
            table = files.read_verified(path, _SCHEMA)
        read_at = None if table is None else _read_at(path)
        if table is not None and read_at is not None and now - read_at < GOOD_FOR:
            stamps = {stamp: number for number, stamp in enumerate(dict.fromkeys(stamp for _, stamp in wanted.values()))}
            file = _translated(table["name"], {name: number for name, (number, _) in wanted.items()})
            read_in = _translated(table["stamp"], stamps)
            is_in = _translated(table["name"], {name: stamps[stamp] for name, (_, stamp) in wanted.items()})
            rows = pl.DataFrame(pl.from_arrow(table.drop_columns(["name", "stamp"]))).with_columns(file=file).filter(read_in == is_in)
            return Recalled(rows, read_at) if rows.height else None
    return None


def remember(folder: Path, known: Recalled, names: Sequence[str], stamps: Sequence[str]) -> None:
    """Keep these rows, whose column `file` is a place in `names` and `stamps`, instead of those of before. Unless that fails."""
    versions = known.rows
    before = _files(folder)
    file = versions["file"].to_arrow()
    columns = {name: pa.array(texts, pa.string()).take(file).dictionary_encode() for name, texts in (("name", names), ("stamp", stamps))}
    for field in _SCHEMA:
        if field.name not in columns:
            column = versions[field.name]
            plain = (column.cast(pl.String) if field.type == _NAMES else column).to_arrow(compat_level=pl.CompatLevel.oldest())
            columns[field.name] = plain.cast(pa.string()).dictionary_encode() if field.type == _NAMES else plain.cast(field.type)
    table = pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)
    table = table.replace_schema_metadata({_READ_AT: known.read_at.isoformat().encode()})
    with suppress(LakeError, OSError):
        written = files.write_table(folder, f"v{_VERSION}", table, compression="none")
        for path in map(Path, before):
            if path.name != written:
                path.unlink(missing_ok=True)


def _read_at(path: Path) -> datetime | None:
    with suppress(OSError, pa.ArrowException, LookupError, TypeError, ValueError):
        return datetime.fromisoformat((pq.read_metadata(path).metadata or {})[_READ_AT].decode())
    return None


def _files(folder: Path) -> list[str]:
    """Also what a writer has begun: if it is still at it, it has something to say that can be said another time."""
    begun: list[str] = []
    with suppress(LakeError, OSError):
        return [*files.find_texts(folder, begun), *begun]
    return []


def _translated(column: pa.ChunkedArray, numbers: Mapping[str, int]) -> pl.Series:
    """The number of each text, null of one that has none."""
    found = pl.Series(dtype=pl.UInt32)
    for chunk in column.chunks:
        of_texts = pl.Series(map(numbers.get, chunk.dictionary.to_pylist()), dtype=pl.UInt32)
        found.append(of_texts.gather(pl.Series(pl.from_arrow(chunk.indices))))
    return found
