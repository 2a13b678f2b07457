"""Which Datadog payloads exist: tests, then list rows per test over its window; full results follow in `details.py`.

Which API a test's results are read by: `crawling.kind_of`; how lists are paged: `paging`, `paging_v2`. Nothing older than 60 days is
listed (recorded 2019-12 … 2022-07).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from pipelines.errors import DeferredError, FetchError, HaltedError, RejectedError
from pipelines.providers.datadog.crawling import (
    KINDS,
    V2,
    Kind,
    Streak,
    id_text,
    kind_of,
    objects,
    v2_mode,
)
from pipelines.providers.datadog.details import Candidate, fetch_details, note
from pipelines.providers.datadog.paging import MAX_PAGES, page_back
from pipelines.providers.datadog.paging_v2 import page_back as page_back_v2
from pipelines.providers.spec import Covered, Crawl, Document, Event, Missed, Payload, Reply, bounded, refusal

TESTS_PER_PAGE = 100
FLOOR = timedelta(days=60)
FLOOR_MOVES = timedelta(hours=1)
"""How far the floor may move while a sync runs: what it may have taken is asked for, but not called covered."""

CHUNK = timedelta(days=1)


@dataclass
class _Scope:
    """One test: what was listed of it in this crawl."""

    kind: Kind
    public_id: str
    seen: set[str] = field(default_factory=set)
    has_failed: bool = False


@dataclass
class _Listing:
    """What the row jobs of one crawl share. `candidates`: full results of listed rows, by result id."""

    crawl: Crawl
    streak: Streak = field(default_factory=Streak)
    candidates: dict[str, Candidate] = field(default_factory=dict)

    def take(self, scope: _Scope, result_id: str, row: Document, reply: Reply, event_at: datetime | None) -> list[Event]:
        """The row as an event; none when this crawl has it already, or the other API has landed it for good."""
        if result_id in scope.seen:
            return []
        scope.seen.add(result_id)
        note(scope.kind, scope.public_id, result_id, row, event_at, self.candidates)
        if self._is_landed_otherwise(scope.kind, result_id):
            return []
        return [Payload(scope.kind.rows, result_id, row, reply, parent_id=scope.public_id, event_at=event_at)]

    def _is_landed_otherwise(self, kind: Kind, result_id: str) -> bool:
        others = KINDS.values() if kind.is_v2 else (V2,)
        history = self.crawl.history
        for other in others:
            row = history.landed(other.rows).get(result_id)
            if (row is not None and row.state == "final") or result_id in history.landed(other.details):
                return True
        return False


async def discover(crawl: Crawl) -> AsyncIterator[Event]:
    """Tests, then all list rows, then full results. Raises HaltedError when the credentials are refused."""
    scopes: dict[str, _Scope] = {}
    async for event in _tests(crawl, scopes):
        yield event
    listing = _Listing(crawl)
    async for event in bounded(_row_jobs(listing, list(scopes.values())), crawl.concurrency):
        yield event
    kinds = {scope.public_id: scope.kind for scope in scopes.values() if scope.kind.is_v2}
    async for event in fetch_details(crawl, listing.candidates, kinds):
        yield event


# -------------------------------------------------------------------------------------------------------------- tests


async def _tests(crawl: Crawl, scopes: dict[str, _Scope]) -> AsyncIterator[Event]:
    """Definitions, page by page until a page is short; fills `scopes`. When the list fails, earlier tests go on."""
    seen: set[str] = set()
    for page in range(MAX_PAGES):
        params = [("page_size", str(TESTS_PER_PAGE)), ("page_number", str(page))]
        try:
            reply = await crawl.client.get("/api/v1/synthetics/tests", params=params, kind="tests")
            listed = objects(reply, "tests", "Datadog's list of tests")
            fresh = [test for test in listed if id_text(test.get("public_id")) not in seen]
            if len(listed) >= TESTS_PER_PAGE and not fresh:
                raise DeferredError("Datadog's list of tests goes round in circles: left for the next sync.")
        except HaltedError:
            raise
        except FetchError as error:
            yield Missed("tests", "", error)
            _known_scopes(crawl, scopes)
            return
        for test in fresh:
            public_id = id_text(test.get("public_id"))
            if public_id is None:
                yield Missed("tests", f"page {page}", refusal(reply, "a Datadog test without public_id."))
                continue
            seen.add(public_id)
            yield Payload("tests", public_id, test, reply, event_at=reply.fetched_at)
            kind = kind_of(test, v2_mode(crawl.settings))
            if kind is not None:
                scopes[public_id] = _Scope(kind, public_id)
        if len(listed) < TESTS_PER_PAGE:
            return
    yield Missed("tests", "", DeferredError(f"Datadog's list of tests has more than {MAX_PAGES} pages."))


def _known_scopes(crawl: Crawl, scopes: dict[str, _Scope]) -> None:
    """Tests that v1 has listed before. Whose results v2 reads only the list of tests says: they wait for it."""
    if v2_mode(crawl.settings) == "all":
        return
    for kind in KINDS.values():
        for public_id in crawl.history.landed_parents(kind.rows):
            if public_id not in scopes:
                scopes[public_id] = _Scope(kind, public_id)


# --------------------------------------------------------------------------------------------------------------- rows


def _row_jobs(listing: _Listing, scopes: Sequence[_Scope]) -> list[Callable[[], Awaitable[Sequence[Event]]]]:
    """Windows of all tests in chunks, oldest chunk first; then open rows that are older than their test's window."""
    crawl = listing.crawl
    due = [known for kind in (*KINDS.values(), V2) for known in crawl.history.due(kind.rows)]
    missed = {known.entity_id for known in due}
    jobs: list[tuple[bool, datetime, Callable[[], Awaitable[Sequence[Event]]]]] = []
    windows = {scope.public_id: _window(crawl, scope) for scope in scopes}
    for scope in scopes:
        from_at, to_at = windows[scope.public_id]
        while from_at < to_at:
            until = min(from_at + CHUNK, to_at)
            job = partial(_list_rows, listing, scope, from_at, until)
            jobs.append((scope.public_id in missed, from_at, job))
            from_at = until
    again: dict[str, set[datetime]] = {}
    by_id = {scope.public_id: scope for scope in scopes}
    for known in due:
        owner = by_id.get(known.parent_id or "")
        if owner is None or known.event_at is None or crawl.history.is_closed(known.endpoint, known.entity_id):
            continue
        if known.event_at < windows[owner.public_id][0]:
            again.setdefault(owner.public_id, set()).add(known.event_at.replace(microsecond=0))
    ordered = [job for _, _, job in sorted(jobs, key=lambda item: item[:2])]
    for public_id, instants in again.items():
        ordered.extend(
            partial(_list_rows, listing, by_id[public_id], instant, instant + timedelta(seconds=1), covers=False)
            for instant in sorted(instants)
        )
    return ordered


def _window(crawl: Crawl, scope: _Scope) -> tuple[datetime, datetime]:
    return crawl.window(scope.kind.rows, scope.public_id, crawl.now - FLOOR)


async def _list_rows(listing: _Listing, scope: _Scope, from_at: datetime, to_at: datetime, *, covers: bool = True) -> Sequence[Event]:
    """One chunk of one test's rows, backwards through the pages; Covered at the end, Missed instead when it fails."""
    if scope.has_failed or listing.streak.is_down:
        return []
    events: list[Event] = []
    crawl, read = listing.crawl, page_back_v2 if scope.kind.is_v2 else page_back
    try:
        crowded = await read(crawl.client, scope.kind, scope.public_id, (from_at, to_at), partial(listing.take, scope), events)
    except HaltedError:
        raise
    except FetchError as error:
        listing.streak.add(error)
        is_first, scope.has_failed = not scope.has_failed, True  # chunks of one test run side by side: it is told once
        return [*events, Missed(scope.kind.rows, scope.public_id, error)] if is_first else events
    listing.streak.add(None)
    events += [missed for second in sorted(crowded) if (missed := _crowded(crawl, scope, second)) is not None]
    from_at = max(from_at, crawl.now - FLOOR + FLOOR_MOVES)
    if covers and from_at < to_at:
        events.append(Covered(scope.kind.rows, scope.public_id, from_at, to_at))
    return events


def _crowded(crawl: Crawl, scope: _Scope, second: int) -> Missed | None:
    """A second that holds more results than can be read: a gap for good, so that it is told once and not asked for again."""
    at = datetime.fromtimestamp(second, UTC)
    entity_id = f"{scope.public_id}@{at:%Y-%m-%dT%H:%M:%SZ}"
    if crawl.history.is_closed(scope.kind.rows, entity_id):
        return None
    error = RejectedError(f"Datadog test {scope.public_id}: more results in the second {at:%Y-%m-%d %H:%M:%S} UTC than can be read: a gap.")
    error.rule = "crowded"
    return Missed(scope.kind.rows, entity_id, error, parent_id=scope.public_id, event_at=at)
