"""What a crawl may ask the lake (`spec.History`), read once from its small columns: no warehouse, no network.

Rows of `refused` by rule: `gone` and `stale_running` close an entity; so does `crowded`, a second of a scope that holds more than
can be read. `unfetched` closes one when it was written 7 days or more after the entity was first seen; before that, and for every other
rule, the row is a failed try and the entity stays due. `listed` makes the failures of a list good.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise

import polars as pl

from pipelines.lake.landed import RawFiles, read_landed
from pipelines.lake.store import Lake, RawFile
from pipelines.providers.spec import Known, Provider

EVERY_SYNC_FOR = timedelta(hours=24)
GIVE_UP_AFTER = timedelta(days=7)
CROWDED_FOR = timedelta(seconds=1)
_PLAUSIBLE_FROM = datetime(2010, 1, 1, tzinfo=UTC)
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
    _raw: RawFiles = field(default_factory=RawFiles)
    _spans: dict[_Key, list[Span]] = field(default_factory=dict)
    _tracked: dict[_Key, datetime] = field(default_factory=dict)
    _failures: dict[_Key, _Failure] = field(default_factory=dict)
    _crowded: dict[_Key, list[Span]] = field(default_factory=dict)
    _syncs: Callable[[], pl.DataFrame] = lambda: pl.DataFrame({"started_at": []})
    refused: int = 0
    """Rows of `refused`, but those that make others good."""

    @property
    def files(self) -> Sequence[RawFile]:
        """Every raw file, sorted by name."""
        return self._raw.files

    @property
    def damaged(self) -> list[str]:
        """Raw files that are unreadable or foreign; they count as missing, so what they covered is fetched again."""
        return self._raw.damaged

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
        return self._raw.landed.get(endpoint) or {}

    def landed_parents(self, endpoint: str) -> Sequence[str]:
        """The parents of the landed entities, each once."""
        landed = self._raw.landed.get(endpoint)
        return landed.parents() if landed else ()

    def landed_since(self, endpoint: str, instant: datetime, without: Sequence[str] = ()) -> Sequence[Known]:
        """Landed entities whose event is not older than the instant, except those that are final in an endpoint of `without`."""
        landed = self._raw.landed.get(endpoint)
        return landed.since(instant, [self._raw.landed[name] for name in without if name in self._raw.landed]) if landed else ()

    def last_landed_at(self, endpoint: str) -> datetime | None:
        """When a version of any of its entities landed last."""
        landed = self._raw.landed.get(endpoint)
        return landed.last_at() if landed else None

    def last_sha(self, endpoint: str, entity_id: str) -> str | None:
        """`payload_sha256` of the entity's last landed version: what equals it is not landed again."""
        landed = self._raw.landed.get(endpoint)
        return landed.sha(entity_id) if landed else None

    def window_date(self, endpoint: str, entity_id: str) -> date | None:
        """The date fixed at the entity's first landing; None for `date=unknown` and for what never landed."""
        landed = self._raw.landed.get(endpoint)
        return landed.date(entity_id) if landed else None

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
            for endpoint in sorted(self._raw.landed)
            for known in self._raw.landed[endpoint].open
            if known.state == "open" and not self._is_closed(known) and self._age(known) >= GIVE_UP_AFTER
        ]

    def overdue(self) -> list[Known]:
        """Entities that never landed within 7 days: the caller writes an `unfetched` row into `refused` for each."""
        return [known for known in self._waiting() if self.now - self._first_seen(known) >= GIVE_UP_AFTER]

    def counts(self) -> Mapping[str, int]:
        """Landed payload versions by endpoint."""
        return {endpoint: landed.versions for endpoint, landed in self._raw.landed.items()}

    def open_count(self, but: Collection[tuple[str, str]] = ()) -> int:
        """Entities that will be fetched again, now or later; `but` (endpoint, entity id) are final since this was read."""
        endpoints = {*self._raw.landed, *(endpoint for endpoint, _ in (*self._tracked, *self._failures))}
        return sum((endpoint, known.entity_id) not in but for endpoint in endpoints for known in self._open(endpoint))

    # --- rules ---------------------------------------------------------------------------------------------

    def _open(self, endpoint: str) -> Iterator[Known]:
        landed = self._raw.landed.get(endpoint)
        for known in landed.open if landed else ():
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

    @cached_property
    def _is_first_today(self) -> bool:
        """Read when it is asked for, which mostly nobody does: the files of all syncs of all providers lie together."""
        today = self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return self._syncs().filter(pl.col("started_at") >= today, pl.col("started_at") < self.now).is_empty()

    def _waiting(self) -> list[Known]:
        """Never landed, not closed: tracked runs and failed fetches."""
        waiting: list[Known] = []
        for key in sorted({*self._tracked, *self._failures}):
            endpoint, entity_id = key
            failure = self._failures.get(key)
            if not entity_id or entity_id in self.landed(endpoint) or (failure and failure.is_closed):
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
    history._raw = read_landed(lake, provider, now, ignore)
    _read_tracked(history, lake, provider)
    _read_refused(history, lake, provider)
    _read_windows(history, lake, provider, history._raw.present)
    history._syncs = lambda: read_syncs(lake, provider)
    return history


def read_syncs(lake: Lake, provider: Provider | None = None) -> pl.DataFrame:
    """Every sync, or those of a provider."""
    syncs = pl.DataFrame(lake.syncs())
    return syncs if provider is None else syncs.filter(provider=provider.name)


def read_coverage(lake: Lake, provider: Provider, now: datetime, listed: Iterable[RawFile]) -> list[Coverage]:
    """What `LakeHistory.coverage` says, for the names of the raw files listed: rows are read only where a second was too crowded."""
    if "crowded" in lake.refused(provider.name)["rule"].to_pylist():
        return read_history(lake, provider, now, timedelta(0), lambda run: None).coverage()
    history = LakeHistory(now, timedelta(0), lambda run: None)
    ours = [file for file in listed if file.provider == provider.name and file.is_ours]
    _read_windows(history, lake, provider, {name for file in ours for name in (file.name, file.piece.name)})
    return history.coverage()


def read_refused_again(history: LakeHistory, lake: Lake, provider: Provider) -> None:
    """Bring what was refused up to date; raw files and coverage stay as they were read."""
    history._failures.clear()
    history._crowded.clear()
    _read_refused(history, lake, provider)


def _read_windows(history: LakeHistory, lake: Lake, provider: Provider, present: set[str]) -> None:
    """Merge the windows of each scope, but those whose files are not all there."""
    names = pl.Series(list(present), dtype=pl.String)
    endpoint, scope, from_at, to_at = pl.col("endpoint"), pl.col("scope"), pl.col("from_at"), pl.col("to_at")
    tables = {each.name: lake.windows(provider.name, each.name) for each in provider.endpoints}
    frames = [pl.DataFrame(table).with_columns(endpoint=pl.lit(name)) for name, table in tables.items() if table.num_rows]
    if not frames:
        return
    windows = pl.concat(frames).with_row_index("row")
    needed = windows.filter(pl.col("files").list.len() > 0).select("row", pl.col("files")).explode("files")
    lost = needed.filter(~pl.col("files").is_in(names.implode()).fill_null(value=False))
    spans = (
        windows.join(lost, on="row", how="anti")
        .filter(to_at >= from_at)
        .sort("endpoint", "scope", "from_at")
        .with_columns(starts=(from_at > to_at.cum_max().shift(1).over("endpoint", "scope")).fill_null(value=True))
        .group_by(endpoint, scope, pl.col("starts").cum_sum(), maintain_order=True)
        .agg(from_at.first(), to_at.max())
    )
    for place, name, first, last in spans.select(endpoint, scope, from_at, to_at).iter_rows():
        history._spans.setdefault((place, name), []).append((first, last))


def _read_tracked(history: LakeHistory, lake: Lake, provider: Provider) -> None:
    for row in lake.tracked(provider.name).to_pylist():
        key = (row["endpoint"], row["entity_id"])
        history._tracked[key] = min(row["first_seen_at"], history._tracked.get(key, row["first_seen_at"]))


def _read_refused(history: LakeHistory, lake: Lake, provider: Provider) -> None:
    """Keep what came after the entity's last landing: a good version makes earlier failures good."""
    table = lake.refused(provider.name).select(["endpoint", "entity_id", "parent_id", "rule", "event_at", "seen_at"])
    history.refused = 0
    for row in sorted(table.to_pylist(), key=lambda row: row["seen_at"]):
        key = (row["endpoint"], row["entity_id"])
        history.refused += row["rule"] != "listed"
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
