"""What the small columns of raw files said when they were read: a sync does not open every file of a lake of years once more.

One Arrow file per endpoint in a folder beside the work file, and as disposable: where it is missing, damaged or of another version, the
raw files are read. A row says in which file it was read and how long that was: what is of another length now, merged or gone counts as
never read. After a day all of it does, for a file may be damaged where it lies. What is remembered is the matter of `landed`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.errors import LakeError
from pipelines.lake import files

_VERSION = "2"
"""Another one for other columns or another meaning: what was remembered before is not read then."""

GOOD_FOR = timedelta(days=1)
_KEY = b"resulthouse.remembered"
_CODED = ("parent_id", "state")
"""Columns of few texts: these stand in the metadata, in the column is which of them."""

_INSTANT = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [
        pa.field("entity_id", pa.string()),
        pa.field("parent_id", pa.uint32()),
        pa.field("window_date", pa.date32()),
        pa.field("fetched_at", _INSTANT),
        pa.field("payload_sha256", pa.binary()),
        pa.field("state", pa.uint32()),
        pa.field("event_at", _INSTANT),
        pa.field("file", pa.uint32()),
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
    for path in _files(folder):
        table, told = _read(path)
        if table is None or now - (read_at := datetime.fromisoformat(told["read_at"])) >= GOOD_FOR:
            continue
        found = [wanted.get(name, (None, "")) for name, _ in told["files"]]
        numbers = [number if now_is == was else None for (number, now_is), (_, was) in zip(found, told["files"], strict=True)]
        rows = pl.DataFrame(pl.from_arrow(table))
        texts = {name: pl.Series(told[name], dtype=pl.String).cast(pl.Categorical) for name in _CODED}
        texts["file"] = pl.Series(numbers, dtype=pl.UInt32)
        rows = rows.with_columns(column.gather(rows[name]).alias(name) for name, column in texts.items())
        if None in numbers:
            rows = rows.filter(pl.col("file").is_not_null())
        return Recalled(rows, read_at) if rows.height else None
    return None


def remember(folder: Path, known: Recalled, names: Sequence[str], stamps: Sequence[str]) -> None:
    """Keep these rows, whose column `file` is a place in `names` and `stamps`, instead of those of before. Unless that fails."""
    before = _files(folder)
    rows = known.rows
    told: dict[str, Any] = {"read_at": known.read_at.isoformat()}
    for name in ("file", *_CODED):
        texts = rows[name].unique().drop_nulls()
        told[name] = texts.to_list()
        rows = rows.with_columns(pl.col(name).replace_strict(texts, range(len(texts)), default=None, return_dtype=pl.UInt32))
    told["files"] = [(names[file], stamps[file]) for file in told.pop("file")]
    table = rows.select(_SCHEMA.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_SCHEMA).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _SCHEMA.with_metadata({_KEY: json.dumps(told).encode()})) as file:
        file.write_table(table)
    data = memoryview(sink.getvalue())
    written = folder / _name(data)
    with suppress(LakeError, OSError):
        files.write_bytes(written, data)
        for path in before:
            if path != written:
                path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[pa.Table | None, dict[str, Any]]:
    """What stands in a file of this version that is whole."""
    with suppress(OSError, LookupError, TypeError, ValueError):
        if path.name == _name(data := path.read_bytes()):
            table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
            if table.schema.equals(_SCHEMA):
                return table, json.loads(table.schema.metadata[_KEY])
    return None, {}


def _name(data: bytes | memoryview) -> str:
    return f"v{_VERSION}-{hashlib.sha256(data).hexdigest()[:16]}.arrow"


def _files(folder: Path) -> list[Path]:
    """Also those of other versions, and what a writer has begun: if it is still at it, it has something to say that can be said another
    time."""
    with suppress(LakeError, OSError), os.scandir(folder) as listed:
        files.refuse_link(folder)
        return [Path(entry.path) for entry in listed if not entry.is_symlink()]
    return []
