"""Which Checkly payloads to fetch: sessions by the day they were created, then each session, then each of its results.

What a running session still owes comes through `history.due()`. Monitoring runs follow unless they are switched off:
`discover_checks.py`. No parsing of bodies, no masking, no files here.

A session is yielded after its results: once it has landed in a final state, nothing of it is missing but what is listed
as missed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from urllib.parse import quote

from pipelines.errors import DeferredError, FetchError, GoneError, HaltedError
from pipelines.jsontext import as_instant
from pipelines.providers.checkly.discover_checks import discover_checks, is_wanted
from pipelines.providers.checkly.paging import kept_from, listed, seen_kept, whole_second
from pipelines.providers.spec import Covered, Crawl, Event, Missed, Payload, Reply, bounded, refusal

ROWS, SESSIONS, RESULTS = "test_session_rows", "test_sessions", "test_session_results"

SESSIONS_AT_A_TIME = 20
"""Sessions that are held until their results are there: bounds memory on a day with thousands."""


async def discover(crawl: Crawl) -> AsyncIterator[Event]:
    """Yield test sessions with their results, then monitoring runs. Raises HaltedError when the credentials are refused."""
    async for event in _sessions(crawl):
        yield event
    if is_wanted(crawl.settings):
        async for event in discover_checks(crawl):
            yield event


async def _sessions(crawl: Crawl) -> AsyncIterator[Event]:
    """Yield rows, results and sessions: first what earlier syncs left open, then day by day, oldest first.

    API: GET /v1/test-sessions lists by creation time in Unix seconds, `from` included, `to` not (OpenAPI 2026-08-18).
    """
    walk = _Walk(crawl)
    async for event in walk.sessions({known.entity_id: known.event_at for known in crawl.history.due(SESSIONS)}):
        yield event
    async for event in walk.due_results():
        yield event
    kept_at = kept_from(crawl)
    resume_at = crawl.history.resume_at(ROWS, "", kept_at)
    for from_at, to_at in chunks(*crawl.window(ROWS, "", kept_at, is_certain=False), resume_at):
        found: dict[str, datetime | None] = {}
        failure: FetchError | None = None
        try:
            async for payload in walk.rows(from_at, to_at):
                found[payload.entity_id] = payload.event_at
                kept_at = seen_kept(kept_at, from_at, payload.event_at)
                yield payload
        except HaltedError:
            raise
        except FetchError as error:
            failure = error
        # Nothing proves that a span never covered holds all results of the sessions that have landed from it.
        async for event in walk.sessions(found, is_new=resume_at is None or from_at >= whole_second(resume_at)):
            yield event
        if failure is None:
            if kept_at < to_at:
                yield Covered(ROWS, "", max(from_at, kept_at), to_at)
        else:
            yield Missed(ROWS, "", failure)
            if isinstance(failure, DeferredError):
                return


def chunks(from_at: datetime, to_at: datetime, resume_at: datetime | None = None) -> Iterator[tuple[datetime, datetime]]:
    """The window in whole seconds, cut at each midnight (UTC) and where coverage ends; oldest first."""
    start, end = whole_second(from_at), whole_second(to_at)
    resume = None if resume_at is None else whole_second(resume_at)
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), time(), UTC)
        stop = min(midnight, end)
        if resume is not None and start < resume < stop:
            stop = resume
        yield start, stop
        start = stop


@dataclass
class _Walk:
    """One crawl: what was fetched in it is not fetched twice."""

    crawl: Crawl
    seen_sessions: set[str] = field(default_factory=set)
    seen_results: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)

    async def rows(self, from_at: datetime, to_at: datetime) -> AsyncIterator[Payload]:
        """Every entry of the list between two instants, page by page. Raises FetchError when the list is incomplete."""
        what = "test sessions"
        async for entity_id, entry, reply in listed(self.crawl.client, "/v1/test-sessions", from_at, to_at, kind=ROWS, what=what):
            yield Payload(ROWS, entity_id, entry, reply, event_at=as_instant(entry.get("startedAt")))

    async def sessions(self, wanted: dict[str, datetime | None], *, is_new: bool = False) -> AsyncIterator[Event]:
        """Each wanted session that is not final yet, after those of its results that are not."""
        landed = self.crawl.history.landed(SESSIONS)
        todo = [
            (session_id, event_at)
            for session_id, event_at in wanted.items()
            if session_id not in self.seen_sessions
            and not self.crawl.history.is_closed(SESSIONS, session_id)
            and (is_new or session_id not in landed or landed[session_id].state != "final")
        ]
        self.seen_sessions.update(session_id for session_id, _ in todo)
        for start in range(0, len(todo), SESSIONS_AT_A_TIME):
            async for event in self._whole(todo[start : start + SESSIONS_AT_A_TIME]):
                yield event

    async def _whole(self, todo: Sequence[tuple[str, datetime | None]]) -> AsyncIterator[Event]:
        """These sessions, each after its results."""
        details: list[Payload] = []

        async def read(session_id: str, event_at: datetime | None) -> Sequence[Event]:
            try:
                reply = await self.crawl.client.get(f"/v1/test-sessions/{quote(session_id, safe='')}", kind=SESSIONS)
                _checked(reply, "testSessionId", session_id)
            except HaltedError:
                raise
            except FetchError as error:
                return (Missed(SESSIONS, session_id, error, event_at=event_at),)
            started_at = as_instant(reply.document.get("startedAt")) or event_at
            details.append(Payload(SESSIONS, session_id, reply.document, reply, event_at=started_at))
            return ()

        jobs = [lambda s=session_id, e=event_at: read(s, e) for session_id, event_at in todo]
        async for event in bounded(jobs, self.crawl.concurrency):
            yield event
        wanted_results = []
        for detail in details:
            if detail.document.get("status") == "RUNNING":
                self.running.add(detail.entity_id)
            listed = detail.document.get("results")
            ids = [item.get("testSessionResultId") for item in (listed if isinstance(listed, list) else ()) if isinstance(item, dict)]
            wanted_results += [(detail.entity_id, id_, detail.event_at) for id_ in ids if isinstance(id_, str)]
        async for event in self._results(wanted_results):
            yield event
        for detail in details:
            yield detail

    async def due_results(self) -> AsyncIterator[Event]:
        """Results that earlier syncs left open or could not fetch, and that no session fetched now has named."""
        wanted = [
            (known.parent_id, known.entity_id, known.event_at) for known in self.crawl.history.due(RESULTS) if known.parent_id is not None
        ]
        async for event in self._results(wanted):
            yield event

    async def _results(self, wanted: Sequence[tuple[str, str, datetime | None]]) -> AsyncIterator[Event]:
        landed = self.crawl.history.landed(RESULTS)
        todo = []
        for session_id, result_id, event_at in wanted:
            is_final = result_id in landed and landed[result_id].state == "final"
            if is_final or result_id in self.seen_results or self.crawl.history.is_closed(RESULTS, result_id):
                continue
            self.seen_results.add(result_id)
            todo.append((session_id, result_id, event_at))

        async def read(session_id: str, result_id: str, event_at: datetime | None) -> Sequence[Event]:
            path = f"/v1/test-sessions/{quote(session_id, safe='')}/results/{quote(result_id, safe='')}"
            try:
                reply = await self.crawl.client.get(path, kind=RESULTS)
                _checked(reply, "testSessionResultId", result_id)
            except HaltedError:
                raise
            except FetchError as error:
                if isinstance(error, GoneError) and session_id in self.running:
                    return ()  # not there yet: the session is read again until it ends, and names its results again
                return (Missed(RESULTS, result_id, error, parent_id=session_id, event_at=event_at),)
            return (Payload(RESULTS, result_id, reply.document, reply, parent_id=session_id, event_at=event_at),)

        jobs = [lambda s=session_id, r=result_id, e=event_at: read(s, r, e) for session_id, result_id, event_at in todo]
        async for event in bounded(jobs, self.crawl.concurrency):
            yield event


def _checked(reply: Reply, id_name: str, expected: str) -> None:
    if not isinstance(reply.document, dict):
        raise refusal(reply, f"Checkly answered {expected} with something else than a JSON object.")
    if reply.document.get(id_name, expected) != expected:
        raise refusal(reply, f"Checkly answered {expected} with another entity.")
