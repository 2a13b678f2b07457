"""What raw files say of the entities that have landed, kept in columns: a lake of years is millions of them, and a sync asks for few.

Only the small columns of the files are read. A `Known` is made when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa

from pipelines import jsontext
from pipelines.errors import LakeError
from pipelines.lake import compact, files, remembered
from pipelines.lake.store import RAW, Lake, RawFile
from pipelines.providers.spec import Known, Provider, State

_SMALL = pa.schema(
    [RAW.field(name) for name in ("entity_id", "parent_id", "window_date", "fetched_at", "payload_sha256", "state", "event_at")]
)
_PAYLOADS = pa.schema([RAW.field(name) for name in ("entity_id", "payload", "payload_sha256")])
_ROWS_AT_ONCE = 50_000
MANY = 32
"""Files not remembered from which all are remembered anew: to read one takes 0.5 ms, to write 300,000 rows 100."""

RECENT = 5_000
"""So many entities that landed last are looked for first: a sync mostly meets these, and where it meets no others needs no index of all."""

_KNOWN = ("entity_id", "parent_id", "state", "event_at", "first_at", "last_at")


class Landed(Mapping[str, Known]):
    """The entities of one endpoint, by entity id, in the order of their first landing.

    `versions` is how many payload versions they have, `open` those that are not final.
    """

    def __init__(self, endpoint: str, entities: pl.DataFrame, versions: int) -> None:
        """`entities` has a row per entity, as `_entities` makes them."""
        self.endpoint, self.versions = endpoint, versions
        self._rows = entities.select(_KNOWN)
        self._ids, self._shas, self._dates = (entities[name] for name in ("entity_id", "payload_sha256", "window_date"))
        self.open = self._known(self._rows.filter(pl.col("state") != "final"))

    def __getitem__(self, entity_id: str) -> Known:
        row = self._row(entity_id)
        if row is None:
            raise KeyError(entity_id)
        return self._make(self._rows.row(row))

    def __contains__(self, entity_id: object) -> bool:
        return self._row(entity_id) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def sha(self, entity_id: str) -> str | None:
        """`payload_sha256` of the last version."""
        row = self._row(entity_id)
        sha = None if row is None else self._shas[row]
        return sha.hex() if isinstance(sha, bytes) else sha

    def date(self, entity_id: str) -> date | None:
        """`window_date` of the first version."""
        row = self._row(entity_id)
        return None if row is None else self._dates[row]

    def last_at(self) -> datetime | None:
        """When a version landed last."""
        return cast("datetime | None", self._rows["last_at"].max())

    def parents(self) -> list[str]:
        """Every parent's id, in the order of the first landing under it."""
        return list(self._rows["parent_id"].drop_nulls().unique(maintain_order=True))

    def since(self, instant: datetime, without: Sequence[Landed]) -> list[Known]:
        """Entities whose event is not older, except those that are final in one of `without`."""
        rows = self._rows.filter(pl.col("event_at") >= instant)
        for other in without:
            rows = rows.join(other._rows.filter(pl.col("state") == "final"), on="entity_id", how="anti", maintain_order="left")
        return self._known(rows)

    @cached_property
    def _recent(self) -> dict[str, int]:
        start = max(0, len(self) - RECENT)
        return {entity_id: row for row, entity_id in enumerate(self._ids[start:], start)}

    @cached_property
    def _index(self) -> tuple[memoryview[int], memoryview[int]]:
        """The ids' hashes in order and the row of each: 12 bytes an entity, where a dict has a hundred. Made when one is looked for."""
        hashes = pl.Series(array("q", map(hash, self._ids)), dtype=pl.Int64)
        order = hashes.arg_sort()
        return _ints(hashes.gather(order), "q"), _ints(order, "I")

    def _row(self, entity_id: object) -> int | None:
        if entity_id in self._recent:
            return self._recent[entity_id]
        hashes, places = self._index
        hashed = hash(entity_id)
        place = bisect_left(hashes, hashed)
        while place < len(hashes) and hashes[place] == hashed:
            row = places[place]
            if self._ids[row] == entity_id:
                return row
            place += 1
        return None

    def _known(self, rows: pl.DataFrame) -> list[Known]:
        return list(map(self._make, rows.iter_rows()))

    def _make(self, row: tuple[Any, ...]) -> Known:
        entity_id, parent_id, state, event_at, first_at, last_at = row
        return Known(self.endpoint, entity_id, parent_id, state, event_at, first_at, last_at, last_at)


@dataclass
class RawFiles:
    """What the raw files of a provider hold, by endpoint.

    `files`: all of them. `present`: the names of those that are there, with and without their folder. `damaged`: those that are
    unreadable or foreign.
    """

    landed: dict[str, Landed] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)
    files: Sequence[RawFile] = ()


def read_landed(lake: Lake, provider: Provider, now: datetime, ignore: Collection[str] = ()) -> RawFiles:
    """Read the small columns of every raw file but those named (below `raw/`)."""
    return compact.settled(lambda: _read(lake, provider, now, frozenset(ignore)))


def _read(lake: Lake, provider: Provider, now: datetime, ignore: frozenset[str]) -> RawFiles:
    every = lake.raw_files(provider.name)
    found = RawFiles(files=every)
    rules = {endpoint.name: endpoint.state for endpoint in provider.endpoints}
    held: dict[str, list[int]] = {}
    for index, file in enumerate(every):
        if file.name not in ignore:
            held.setdefault(file.endpoint, []).append(index)
    stamps = _stamps(every) if lake.memory else []
    for endpoint, indexes in held.items():
        if lake.memory:
            versions = _recalled(every, indexes, stamps, lake.memory / provider.name / endpoint, now, found.damaged)
        else:
            versions = _versions(every, indexes, found.damaged)
        if versions is not None:
            entities = _with_states(_entities(versions), every, rules.get(endpoint))
            found.landed[endpoint] = Landed(endpoint, entities, versions.height)
    found.damaged.sort()
    missing = {*ignore, *found.damaged}
    found.present = {name for file in every if file.name not in missing for name in (file.name, file.piece.name)}
    return found


def _recalled(
    every: Sequence[RawFile], indexes: Sequence[int], stamps: Sequence[str], memory: Path, now: datetime, damaged: list[str]
) -> pl.DataFrame | None:
    """What `_versions` says, with only those files read that are not remembered; where these are many, they are from now on."""
    known = remembered.recall(memory, {every[index].name: (index, stamps[index]) for index in indexes}, now)
    there = set(known.rows["file"].unique()) if known else set()
    new = _versions(every, [index for index in indexes if index not in there], damaged)
    versions = _concatenated([frame for frame in (known.rows if known else None, new) if frame is not None])
    if versions is not None and versions.schema["payload_sha256"] == pl.Binary and len(indexes) - len(there) >= MANY:
        read_at = known.read_at if known else now
        remembered.remember(memory, remembered.Recalled(versions, read_at), [file.name for file in every], stamps)
    return versions


def _versions(every: Sequence[RawFile], indexes: Sequence[int], damaged: list[str]) -> pl.DataFrame | None:
    """The small columns of these files with each file's place in `every`; adds to `damaged`. None when none can be read."""
    places: dict[str, list[int]] = {}
    for index in indexes:
        places.setdefault(every[index].where, []).append(index)
    frames: list[pl.DataFrame] = []
    parts: list[tuple[int, pa.Table]] = []
    rows = 0
    for where, indexes in places.items():
        path = Path(where)
        try:
            table = files.read_table(path, _SMALL) if files.is_ours(path.name) else None
        except LakeError:
            path.stat()  # damaged; or merged meanwhile, then it raises
            table = None
        if table is None:
            damaged += [every[index].name for index in indexes]
            continue
        parts += [(index, every[index].piece.of(table)) for index in indexes]
        rows += table.num_rows
        if rows >= _ROWS_AT_ONCE:
            frames.append(_lean(parts))
            parts, rows = [], 0
    if parts:
        frames.append(_lean(parts))
    return _concatenated(frames)


def _stamps(every: Sequence[RawFile]) -> list[str]:
    """For each file which one holds it and how long that is."""
    lengths = {where: os.stat(where).st_size for where in {file.where for file in every}}  # noqa: PTH116 - a Path for each takes longer
    return [f"{lengths[file.where]} {file.where.rpartition(os.sep)[2]}" for file in every]


def _concatenated(frames: list[pl.DataFrame]) -> pl.DataFrame | None:
    if len({frame.schema["payload_sha256"] for frame in frames}) > 1:
        frames = [frame.with_columns(payload_sha256=_text(frame["payload_sha256"])) for frame in frames]
    return pl.concat(frames) if frames else None


def _lean(parts: Sequence[tuple[int, pa.Table]]) -> pl.DataFrame:
    """These tables as one frame, in as few bytes as hold the same."""
    versions = pl.DataFrame(pl.from_arrow(pa.concat_tables([part for _, part in parts])))
    counted = [(index, part.num_rows) for index, part in parts if part.num_rows]
    origin = pl.DataFrame(counted, schema={"file": pl.UInt32, "rows": pl.UInt32}, orient="row").select(pl.col("file").repeat_by("rows"))
    shas = versions["payload_sha256"]
    raw = shas.str.decode("hex", strict=False)
    is_hex = _text(raw).eq_missing(shas).all()  # what others may have written there stays as it is
    narrow = pl.col("parent_id", "state").cast(pl.Categorical)
    return versions.with_columns(narrow, origin["file"].explode(), payload_sha256=raw if is_hex else shas)


def _text(shas: pl.Series) -> pl.Series:
    return shas if shas.dtype == pl.String else shas.bin.encode("hex")


def _entities(versions: pl.DataFrame) -> pl.DataFrame:
    """One row per entity, in the order of their first landing: what its first and its last version say."""
    versions = versions.sort("fetched_at", "file", maintain_order=True).with_row_index("place")
    at = pl.col("fetched_at")
    is_only = versions["entity_id"].hash().is_unique()  # of two with one hash neither is: they are told apart below, in a third of the time
    entities = versions.filter(is_only).select(pl.exclude("fetched_at"), first_at=at, last_at=at)
    versions = versions.filter(~is_only)
    if versions.height:
        several = versions.group_by("entity_id", maintain_order=True).agg(
            pl.col("place", "window_date").first(),
            pl.col("parent_id").drop_nulls().last(),
            pl.col("payload_sha256", "file").last(),
            pl.col("event_at").drop_nulls().first(),
            state=pl.when((pl.col("state") == "final").any()).then(pl.lit("final")).otherwise(pl.col("state").last().cast(pl.String)),
            first_at=at.first(),
            last_at=at.last(),
        )
        several = several.with_columns(pl.col("state").cast(entities.schema["state"])).select(entities.columns)
        entities = pl.concat([entities, several]).sort("place")
    return entities


def _with_states(entities: pl.DataFrame, every: Sequence[RawFile], rule: Callable[[Any], State] | None) -> pl.DataFrame:
    """A file of others has no `state`: the endpoint's own rule is asked, for last versions only. Without one they are final."""
    derived: dict[str, str] = {}
    stateless: dict[Path, dict[str, str]] = {}
    for index, entity_id, sha in entities.filter(pl.col("state").is_null()).select("file", "entity_id", "payload_sha256").iter_rows():
        stateless.setdefault(every[index].path, {})[entity_id] = sha.hex() if isinstance(sha, bytes) else sha
    for path, wanted in stateless.items():
        if rule is not None:
            payloads: list[dict[str, Any]] = []
            with contextlib.suppress(LakeError):  # damaged in its payloads: the loader says so
                payloads = files.read_table(path, _PAYLOADS).to_pylist()
            for row in payloads:
                if wanted.get(row["entity_id"]) == row["payload_sha256"]:
                    derived[row["entity_id"]] = _state(rule, row["payload"])
    told = pl.col("entity_id").replace_strict(list(derived), list(derived.values()), default="final", return_dtype=pl.String)
    state = pl.when(pl.col("state").fill_null("") != "").then("state").otherwise(told if stateless else pl.lit("final"))
    return entities.with_columns(state=state.cast(pl.Categorical))


def _state(rule: Callable[[Any], State], payload: str) -> State:
    try:
        return rule(jsontext.parse(payload.encode())[0])
    except (jsontext.JsonError, LookupError, TypeError, AttributeError, ValueError):
        return "final"


def _ints(column: pl.Series, code: str) -> memoryview[int]:
    """The numbers of a column without nulls, as they lie in memory."""
    held = column.to_arrow()
    numbers: memoryview[int] = memoryview(held.buffers()[1]).cast(code)  # type: ignore[call-overload]  # stubs take literals
    return numbers[held.offset : held.offset + len(held)]
