"""Two APIs in memory, exact about windows, pages and cursors as documented or recorded, and a lake in memory to crawl them into.

`Checkly` and `Datadog` answer over any of: a direct call (`answer`), the crawl's own client (`get`), a transport below the real client.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import httpx

from pipelines.providers.spec import Covered, Crawl, Event, Known, Missed, Payload, Provider, Reply
from tests.support.walked import Walked

Query = dict[str, str]
Span = tuple[datetime, datetime]


@dataclass
class Api:
    """What the two have in common. `times` are instants of results by test (for Checkly's sessions: under "") and by id.

    `before` is called before each answer, to change what there is; `answered` may replace an answer.
    """

    times: dict[str, dict[str, datetime]] = field(default_factory=dict)
    page_rows: int = 100
    now: datetime | None = None
    before: Callable[[str, Query], None] = lambda path, query: None
    answered: Callable[[str, Query], Any] = lambda path, query: None
    asked: list[tuple[str, Query]] = field(default_factory=list)

    def answer(self, path: str, query: Query) -> Any:
        """The document for a request."""
        self.asked.append((path, query))
        self.before(path, query)
        document = self.answered(path, query)
        return self.document(path, query) if document is None else document

    def document(self, path: str, query: Query) -> Any:
        """What the API itself would say."""
        raise NotImplementedError

    async def get(
        self, path: str, *, params: Iterable[tuple[str, str]] = (), secret_params: Iterable[tuple[str, str]] = (), kind: str = ""
    ) -> Reply:
        """As the client of a crawl."""
        return Reply(200, self.answer(path, dict(params)), "sha", 2, path, datetime(2026, 11, 22, 12, tzinfo=UTC), {})

    def remaining(self, kind: str) -> int | None:
        """No budget is told."""
        return None

    def transport(self) -> httpx.MockTransport:
        """As what lies below the real client; with `now`, answers carry it as Date."""

        def handle(request: httpx.Request) -> httpx.Response:
            document = self.answer(unquote(request.url.path), dict(request.url.params))
            headers = {} if self.now is None else {"Date": f"{self.now:%a, %d %b %Y %H:%M:%S GMT}"}
            return httpx.Response(200, headers=headers, stream=httpx.ByteStream(json.dumps(document).encode()))

        return httpx.MockTransport(handle)

    def inside(self, test: str, low: float, high: float, *, with_end: bool) -> list[tuple[str, float]]:
        """Ids and epoch seconds of a test's results in a window that exist by now, newest first."""
        latest = high if self.now is None else min(high, self.now.timestamp())
        found = [(name, at.timestamp()) for name, at in self.times.get(test, {}).items()]
        found = [(name, at) for name, at in found if low <= at and (at <= latest if with_end else at < high and at <= latest)]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def lists(self) -> list[Query]:
        """The queries of all requests for a list with a window."""
        return [query for path, query in self.asked if {"from", "to", "from_ts", "to_ts"} & set(query)]


class Checkly(Api):
    """`nextId` goes on behind the last row of a page, by time and id; checks are paged by number. Without `to` a window has 6 hours."""

    def document(self, path: str, query: Query) -> Any:
        match path.strip("/").split("/"):
            case ["v1", "test-sessions"]:
                return self._page("", query, lambda name, at: {"id": name, "startedAt": at})
            case ["v1", "test-sessions", name]:
                at = self.times[""][name].isoformat()
                return {"testSessionId": name, "status": "PASSED", "startedAt": at, "results": []}
            case ["v1", "checks"]:
                size, page = int(query["limit"]), int(query["page"])
                checks = [test for test in self.times if test]
                return [{"id": test, "name": test, "checkType": "API"} for test in checks[size * (page - 1) : size * page]]
            case ["v2", "check-results", test]:
                return self._page(test, query, lambda name, at: {"id": name, "checkId": test, "startedAt": at, "resultType": "FINAL"})
        raise AssertionError(path)

    def _page(self, test: str, query: Query, row: Callable[[str, str], Any]) -> Any:
        low = float(query.get("from", 0))
        high = float(query.get("to", low + 6 * 3600))
        rows = self.inside(test, low, high, with_end=False)
        if "nextId" in query:
            at, _, name = query["nextId"].partition(" ")
            rows = [item for item in rows if (-item[1], item[0]) > (-float(at), name)]
        page = rows[: min(self.page_rows, int(query.get("limit", 10)))]
        entries = [row(name, datetime.fromtimestamp(at, UTC).isoformat()) for name, at in page]
        cursor = f"{page[-1][1]!r} {page[-1][0]}" if len(rows) > len(page) else None
        return {"length": len(entries), "entries": entries, "nextId": cursor}


class Datadog(Api):
    """At most `page_rows` rows, newest first; a full page tells its oldest second, any other 60 days ago. Tests are paged by number."""

    def document(self, path: str, query: Query) -> Any:
        match path.removeprefix("/api/v1/synthetics/tests").strip("/").split("/"):
            case [""]:
                size, page = int(query["page_size"]), int(query["page_number"])
                return {"tests": [{"public_id": test, "type": "api"} for test in list(self.times)[size * page : size * (page + 1)]]}
            case [test, "results"]:
                rows = self.inside(test, int(query["from_ts"]) / 1000, int(query["to_ts"]) / 1000, with_end=True)
                page = rows[: self.page_rows]
                floor = int(page[-1][1]) * 1000 if len(page) == self.page_rows else 0
                return {"results": [self._row(name, at) for name, at in page], "last_timestamp_fetched": floor}
            case [test, "results", name]:
                return {**self._row(name, self.times[test][name].timestamp()), "check": {}}
        raise AssertionError(path)

    def _row(self, name: str, at: float) -> Any:
        return {"result_id": name, "check_time": round(at * 1000), "probe_dc": "aws:x", "result": {"passed": True, "eventType": "finished"}}


@dataclass
class Memory(Walked):
    """A lake in memory (`pipelines.providers.spec.History`): what crawls have yielded. `twice` are ids that one crawl yielded again."""

    known: dict[str, dict[str, Known]] = field(default_factory=dict)
    spans: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    missed: list[Missed] = field(default_factory=list)
    twice: list[tuple[str, str]] = field(default_factory=list)

    async def crawl(
        self, provider: Provider, api: Api, now: datetime, *, since: datetime | None = None, settings: Mapping[str, str] | None = None
    ) -> list[Event]:
        """One crawl, its events kept."""
        self.missed, self.twice = [], []
        given = Crawl(api, self, now, since, None, timedelta(hours=24), timedelta(days=2), settings or {}, concurrency=2)
        events = [event async for event in provider.discover(given)]
        seen: set[tuple[str, str]] = set()
        for event in events:
            if isinstance(event, Payload):
                place = (event.endpoint, event.entity_id)
                self.twice += [place] if place in seen else []
                seen.add(place)
                known = Known(event.endpoint, event.entity_id, event.parent_id, "final", event.event_at, now, now)
                self.known.setdefault(event.endpoint, {})[event.entity_id] = known
            elif isinstance(event, Covered):
                self.spans.setdefault((event.endpoint, event.scope), []).append((event.from_at, event.to_at))
            elif isinstance(event, Missed):
                self.missed.append(event)
        return events

    def covers(self, endpoint: str, scope: str, instant: datetime) -> bool:
        """Whether some window claims the instant."""
        return any(low <= instant <= high for low, high in self.spans.get((endpoint, scope), []))

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        """The end of the contiguous part."""
        end: datetime | None = None
        for low, high in sorted(self.spans.get((endpoint, scope), [])):
            if end is not None and low > end:
                break
            end = high if end is None else max(end, high)
        return end

    def holes(self, endpoint: str, scope: str) -> Sequence[Span]:
        """Not asked for."""
        return ()

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        """What was yielded."""
        return self.known.get(endpoint, {})

    def due(self, endpoint: str) -> Sequence[Known]:
        """Nothing: all is final."""
        return ()

    def is_closed(self, endpoint: str, entity_id: str) -> bool:
        """Never."""
        return False

    def read_token(self, entity_id: str) -> str | None:
        """None."""
        return None
