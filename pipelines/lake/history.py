"""What a crawl may ask the lake (`spec.History`), read once from its small columns: no warehouse, no network.

Rows of `refused` by rule: `gone` and `stale_running` close an entity; so does `crowded`, a second of a scope that holds more than
can be read. `unfetched` closes one when it was written 7 days or more after the entity was first seen; before that, and for every other
rule, the row is a failed try and the entity stays due. `listed` makes the failures of a list good.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines import jsontext
from pipelines.errors import LakeError
from pipelines.lake import compact, files
from pipelines.lake.store import RAW, Lake, RawFile
from pipelines.providers.spec import Known, Provider, State

EVERY_SYNC_FOR = timedelta(hours=24)
GIVE_UP_AFTER = timedelta(days=7)
CROWDED_FOR = timedelta(seconds=1)
_PLAUSIBLE_FROM = datetime(2010, 1, 1, tzinfo=UTC)
_SMALL = pa.schema(
    [RAW.field(name) for name in ("entity_id", "parent_id", "window_date", "fetched_at", "payload_sha256", "state", "event_at")]
)
_PAYLOADS = pa.schema([RAW.field(name) for name in ("entity_id", "payload", "payload_sha256")])

Span = tuple[datetime, datetime]
_Key = tuple[str, str]  # endpoint, entity id


@dataclass(frozen=True)
class Coverage:
    """What of one scope is covered: from the first to the last covered instant, without the holes.

    A hole is a span that no window covers, or a second too crowded to be read whole.
    """

    endpoint: str
    scope: str
    from_at: datetime
    to_at: datetime
    holes: tuple[Span, ...]


@dataclass
class _Landed:
    """What raw files say of the entities of one endpoint, by entity id."""

    known: dict[str, Known] = field(default_factory=dict)
    shas: dict[str, str] = field(default_factory=dict)
    dates: dict[str, date | None] = field(default_factory=dict)


@dataclass
class _Failure:
    """What `refused` says of one entity since its last landing."""

    parent_id: str | None
    event_at: datetime | None
    first_at: datetime
    last_at: datetime
    is_closed: bool = False


@dataclass
class LakeHistory:
    """Implements `spec.History` for one provider at one instant; made by `read_history`."""

    now: datetime
    review: timedelta
    tokens: Callable[[str], str | None]
    damaged: list[str] = field(default_factory=list)
    """Raw files that are unreadable or foreign; they count as missing, so what they covered is fetched again."""
    _landed: dict[str, _Landed] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    _spans: dict[_Key, list[Span]] = field(default_factory=dict)
    _tracked: dict[_Key, datetime] = field(default_factory=dict)
    _failures: dict[_Key, _Failure] = field(default_factory=dict)
    _crowded: dict[_Key, list[Span]] = field(default_factory=dict)
    _is_first_today: bool = True

    # --- coverage ------------------------------------------------------------------------------------------

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        """The end of the scope's contiguous coverage, or None when nothing was ever covered. Holes before `floor` are not to be filled."""
        ends = [to_at for _, to_at in self._spans.get((endpoint, scope), [])]
        return next((end for end in ends if floor is None or end >= floor), ends[-1] if ends else None)

    def holes(self, endpoint: str, scope: str) -> Sequence[Span]:
        """Uncovered spans between the first and the last covered instant."""
        spans = self._spans.get((endpoint, scope), [])
        return [(before[1], after[0]) for before, after in pairwise(spans)]

    def coverage(self) -> list[Coverage]:
        """Every covered scope, sorted by endpoint and scope."""
        return [
            Coverage(*key, spans[0][0], spans[-1][1], tuple(_merged([*self.holes(*key), *self._crowded.get(key, ())])))
            for key, spans in sorted(self._spans.items())
        ]

    # --- entities ------------------------------------------------------------------------------------------

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        """Entities of the endpoint with a landed version, by entity id."""
        return self._of(endpoint).known

    def last_sha(self, endpoint: str, entity_id: str) -> str | None:
        """`payload_sha256` of the entity's last landed version: what equals it is not landed again."""
        return self._of(endpoint).shas.get(entity_id)

    def window_date(self, endpoint: str, entity_id: str) -> date | None:
        """The date fixed at the entity's first landing; None for `date=unknown` and for what never landed."""
        return self._of(endpoint).dates.get(entity_id)

    def due(self, endpoint: str) -> Sequence[Known]:
        """Entities to fetch again now, oldest first."""
        due = [known for known in self._open(endpoint) if self._is_due_now(known)]
        return sorted(due, key=lambda known: (_age_from(known, self.now), known.entity_id))

    def is_closed(self, endpoint: str, entity_id: str) -> bool:
        """Gone, stale or unfetched for good: not to be fetched any more."""
        failure = self._failures.get((endpoint, entity_id))
        return failure is not None and failure.is_closed

    def read_token(self, entity_id: str) -> str | None:
        """The private read token of a tracked run, if one was given."""
        return self.tokens(entity_id)

    def has_failed(self, endpoint: str, entity_id: str) -> bool:
        """A failure of the entity, or of the list of a scope, is on record and was not made good since."""
        return (endpoint, entity_id) in self._failures

    def stale(self) -> list[Known]:
        """Entities still open after 7 days: the caller writes a `stale_running` row into `refused` for each."""
        return [
            known
            for endpoint in sorted(self._landed)
            for known in self._of(endpoint).known.values()
            if known.state == "open" and not self._is_closed(known) and self._age(known) >= GIVE_UP_AFTER
        ]

    def overdue(self) -> list[Known]:
        """Entities that never landed within 7 days: the caller writes an `unfetched` row into `refused` for each."""
        return [known for known in self._waiting() if self.now - self._first_seen(known) >= GIVE_UP_AFTER]

    def counts(self) -> Mapping[str, int]:
        """Landed payload versions by endpoint."""
        return dict(self._versions)

    def open_count(self) -> int:
        """Entities that will be fetched again, now or later."""
        endpoints = {*self._landed, *(endpoint for endpoint, _ in (*self._tracked, *self._failures))}
        return sum(1 for endpoint in endpoints for _ in self._open(endpoint))

    # --- rules ---------------------------------------------------------------------------------------------

    def _of(self, endpoint: str) -> _Landed:
        return self._landed.get(endpoint) or _Landed()

    def _open(self, endpoint: str) -> Iterator[Known]:
        for known in self._of(endpoint).known.values():
            limit = {"open": GIVE_UP_AFTER, "review": self.review}.get(known.state)
            if limit is not None and self._age(known) < limit and not self._is_closed(known):
                yield known
        for known in self._waiting():
            if known.endpoint == endpoint and self.now - self._first_seen(known) < GIVE_UP_AFTER:
                yield known

    def _is_due_now(self, known: Known) -> bool:
        if known.first_landed_at is None or self._age(known) < EVERY_SYNC_FOR or self._is_first_today:
            return True
        failure = self._failures.get((known.endpoint, known.entity_id))
        return failure is not None and self.now - failure.first_at < GIVE_UP_AFTER

    def _waiting(self) -> list[Known]:
        """Never landed, not closed: tracked runs and failed fetches."""
        waiting: list[Known] = []
        for key in sorted({*self._tracked, *self._failures}):
            endpoint, entity_id = key
            failure = self._failures.get(key)
            if not entity_id or entity_id in self._of(endpoint).known or (failure and failure.is_closed):
                continue
            if key not in self._tracked and self._is_covered_since(key, failure):
                continue
            waiting.append(
                Known(
                    endpoint=endpoint,
                    entity_id=entity_id,
                    parent_id=failure.parent_id if failure else None,
                    state="open",
                    event_at=failure.event_at if failure else None,
                    first_landed_at=None,
                    last_landed_at=None,
                    last_polled_at=failure.last_at if failure else None,
                )
            )
        return waiting

    def _is_covered_since(self, key: _Key, failure: _Failure | None) -> bool:
        """A list that failed is named by its scope; a later covered window of that scope makes it good."""
        spans = self._spans.get(key)
        return bool(spans and failure and spans[-1][1] > failure.last_at)

    def _first_seen(self, known: Known) -> datetime:
        key = (known.endpoint, known.entity_id)
        failure = self._failures.get(key)
        seen = [self._tracked.get(key), failure.first_at if failure else None]
        return min(instant for instant in seen if instant is not None)

    def _is_closed(self, known: Known) -> bool:
        return self.is_closed(known.endpoint, known.entity_id)

    def _age(self, known: Known) -> timedelta:
        return self.now - _age_from(known, self.now)


def read_history(
    lake: Lake,
    provider: Provider,
    now: datetime,
    review: timedelta,
    tokens: Callable[[str], str | None],
    *,
    ignore: Collection[str] = (),
) -> LakeHistory:
    """Read what the lake knows of a provider.

    `review` is how long an `unresolved` stays open, `tokens` gives the read token of a run, `ignore` names raw files
    (below `raw/`) to treat as missing, because a reader found them damaged.
    """
    history = LakeHistory(now, review, tokens)
    present = _read_raw(history, lake, provider, frozenset(ignore))
    _read_tracked(history, lake, provider)
    _read_refused(history, lake, provider)
    _read_windows(history, lake, provider, present)
    today = now.astimezone(UTC).date()
    history._is_first_today = all(
        started_at.astimezone(UTC).date() != today or started_at >= now
        for started_at in lake.syncs(provider.name)["started_at"].to_pylist()
    )
    return history


def read_coverage(lake: Lake, provider: Provider, now: datetime) -> list[Coverage]:
    """What `LakeHistory.coverage` says, for names of raw files alone: their rows are read only where a second was too crowded."""
    if "crowded" in lake.refused(provider.name)["rule"].to_pylist():
        return read_history(lake, provider, now, timedelta(0), lambda run: None).coverage()
    history = LakeHistory(now, timedelta(0), lambda run: None)
    ours = [file for file in lake.raw_files(provider.name) if files.is_ours(file.path)]
    _read_windows(history, lake, provider, {name for file in ours for name in (file.name, file.piece.name)})
    return history.coverage()


def _read_windows(history: LakeHistory, lake: Lake, provider: Provider, present: set[str]) -> None:
    """Fill what is covered: a window counts when every file that it names is there."""
    for endpoint in provider.endpoints:
        spans: dict[str, list[Span]] = {}
        for row in lake.windows(provider.name, endpoint.name).to_pylist():
            if all(name in present for name in row["files"] or ()):
                spans.setdefault(row["scope"], []).append((row["from_at"], row["to_at"]))
        for scope, each in spans.items():
            history._spans[endpoint.name, scope] = _merged(each)


def _read_raw(history: LakeHistory, lake: Lake, provider: Provider, ignore: frozenset[str]) -> set[str]:
    """Fill what has landed. Returns the names of the files that are there, with and without their folder."""
    every, frames, history.damaged = compact.settled(lambda: _small(lake, provider, ignore))
    rules = {endpoint.name: endpoint.state for endpoint in provider.endpoints}
    for name, parts in frames.items():
        versions = pl.concat(parts)
        history._versions[name] = versions.height
        history._landed[name] = _landed(name, _entities(versions), every, rules.get(name))
    missing = {*ignore, *history.damaged}
    return {name for file in every if file.name not in missing for name in (file.name, file.piece.name)}


def _small(lake: Lake, provider: Provider, ignore: frozenset[str]) -> tuple[list[RawFile], dict[str, list[pl.DataFrame]], list[str]]:
    """Every raw file; by endpoint the small columns of what they hold, with the file's place in that list; names that are damaged."""
    every = lake.raw_files(provider.name)
    held: dict[Path, list[int]] = {}
    for index, file in enumerate(every):
        if file.name not in ignore:
            held.setdefault(file.path, []).append(index)
    frames: dict[str, list[pl.DataFrame]] = {}
    damaged = []
    for path, places in held.items():
        try:
            table = files.read_table(path, _SMALL) if files.is_ours(path) else None
        except LakeError:
            path.stat()  # damaged; or merged meanwhile, then it raises
            table = None
        if table is None:
            damaged += [every[index].name for index in places]
            continue
        parts = [every[index].piece.of(table) for index in places]
        counted = [(index, part.num_rows) for index, part in zip(places, parts, strict=True) if part.num_rows]
        origin = pl.DataFrame(counted, schema={"file": pl.Int64, "rows": pl.Int64}, orient="row").select(pl.col("file").repeat_by("rows"))
        frame = pl.DataFrame(pl.from_arrow(pa.concat_tables(parts))).with_columns(origin["file"].explode())
        frames.setdefault(every[places[0]].endpoint, []).append(frame)
    return every, frames, sorted(damaged)


def _entities(versions: pl.DataFrame) -> pl.DataFrame:
    """One row per entity: what its first and its last version say."""
    return (
        versions.sort("fetched_at", "file", maintain_order=True)
        .group_by("entity_id", maintain_order=True)
        .agg(
            pl.col("parent_id").drop_nulls().last(),
            pl.col("window_date").first(),
            pl.col("fetched_at").first().alias("first_at"),
            pl.col("fetched_at").last().alias("last_at"),
            pl.col("payload_sha256").last(),
            pl.when((pl.col("state") == "final").any()).then(pl.lit("final")).otherwise(pl.col("state").last()).alias("state"),
            pl.col("event_at").drop_nulls().first(),
            pl.col("file").last(),
        )
    )  # fmt: skip


def _landed(endpoint: str, entities: pl.DataFrame, every: list[RawFile], rule: Callable[[Any], State] | None) -> _Landed:
    ids = entities["entity_id"].to_list()
    derived: dict[str, State] = {}
    stateless: dict[Path, dict[str, str]] = {}
    for index, entity_id, sha256 in entities.filter(pl.col("state").is_null()).select("file", "entity_id", "payload_sha256").iter_rows():
        stateless.setdefault(every[index].path, {})[entity_id] = sha256
    for path, wanted in stateless.items():
        if rule is not None:  # a file of others has no `state`: ask the endpoint's own rule, for last versions only
            payloads: list[dict[str, Any]] = []
            with contextlib.suppress(LakeError):  # damaged in its payloads: the loader says so
                payloads = files.read_table(path, _PAYLOADS).to_pylist()
            for row in payloads:
                if wanted.get(row["entity_id"]) == row["payload_sha256"]:
                    derived[row["entity_id"]] = _state(rule, row["payload"])
    columns = (entities[name].to_list() for name in ("entity_id", "parent_id", "state", "event_at", "first_at", "last_at"))
    return _Landed(
        known={
            entity_id: Known(
                endpoint, entity_id, parent_id, state or derived.get(entity_id, "final"), event_at, first_at, last_at, last_at
            )
            for entity_id, parent_id, state, event_at, first_at, last_at in zip(*columns, strict=True)
        },
        shas=dict(zip(ids, entities["payload_sha256"].to_list(), strict=True)),
        dates=dict(zip(ids, entities["window_date"].to_list(), strict=True)),
    )  # fmt: skip


def _state(rule: Callable[[Any], State], payload: str) -> State:
    try:
        return rule(jsontext.parse(payload.encode())[0])
    except (jsontext.JsonError, LookupError, TypeError, AttributeError, ValueError):
        return "final"


def _read_tracked(history: LakeHistory, lake: Lake, provider: Provider) -> None:
    for row in lake.tracked(provider.name).to_pylist():
        key = (row["endpoint"], row["entity_id"])
        history._tracked[key] = min(row["first_seen_at"], history._tracked.get(key, row["first_seen_at"]))


def _read_refused(history: LakeHistory, lake: Lake, provider: Provider) -> None:
    """Keep what came after the entity's last landing: a good version makes earlier failures good."""
    for row in sorted(lake.refused(provider.name).to_pylist(), key=lambda row: row["seen_at"]):
        key = (row["endpoint"], row["entity_id"])
        known = history.landed(key[0]).get(key[1])
        seen_at = row["seen_at"]
        if known is not None and known.last_landed_at is not None and seen_at < known.last_landed_at:
            continue
        if row["rule"] == "listed":
            history._failures.pop(key, None)
            continue
        if row["rule"] == "crowded" and row["event_at"] is not None:
            history._crowded.setdefault((key[0], row["parent_id"]), []).append((row["event_at"], row["event_at"] + CROWDED_FOR))
        failure = history._failures.get(key)
        if failure is None:
            failure = history._failures[key] = _Failure(row["parent_id"], row["event_at"], seen_at, seen_at)
        failure.last_at = seen_at
        failure.parent_id, failure.event_at = failure.parent_id or row["parent_id"], failure.event_at or row["event_at"]
        first_seen = min(failure.first_at, history._tracked.get(key, failure.first_at))
        failure.is_closed |= row["rule"] in ("gone", "stale_running", "crowded") or (
            row["rule"] == "unfetched" and seen_at - first_seen >= GIVE_UP_AFTER
        )


def _age_from(known: Known, now: datetime) -> datetime:
    """The instant an entity's age counts from: its event, unless that time is missing or not plausible."""
    landed = known.first_landed_at or now
    if known.event_at is None or known.event_at < _PLAUSIBLE_FROM:
        return landed
    return min(known.event_at, landed)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for from_at, to_at in sorted(spans):
        if to_at < from_at:
            continue
        if merged and from_at <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(to_at, merged[-1][1]))
        else:
            merged.append((from_at, to_at))
    return merged
