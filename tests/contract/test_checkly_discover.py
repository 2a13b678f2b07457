"""A Checkly crawl covers every second once, fetches what is not final, and loses nothing to a failure."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.errors import DeferredError, FetchError, GoneError, HaltedError, RejectedError
from pipelines.providers.checkly import PROVIDER
from pipelines.providers.checkly.discover import chunks
from pipelines.providers.spec import Covered, Crawl, Event, Known, Missed, Payload, Reply, State

NOW = datetime(2026, 11, 22, 6, 30, 15, 500_000, tzinfo=UTC)
ROWS, SESSIONS, RESULTS = "test_session_rows", "test_sessions", "test_session_results"


def at(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@dataclass
class Api:
    """Test sessions as Checkly would answer them, `page_rows` to a list page; `calls` are paths and params."""

    sessions: dict[str, tuple[datetime, str, list[str]]] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    failing: dict[str, FetchError] = field(default_factory=dict)
    page_rows: int = 100
    answer: Callable[[str, dict[str, str]], Any] | None = None
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    def add(self, name: str, created_at: datetime, *results: str, status: str = "PASSED") -> None:
        self.sessions[name] = (created_at, status, list(results))

    async def get(
        self,
        path: str,
        *,
        params: Iterable[tuple[str, str]] = (),
        secret_params: Iterable[tuple[str, str]] = (),
        kind: str = "",
    ) -> Reply:
        query = dict(params)
        self.calls.append((path, query))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if path in self.failing:
            raise self.failing[path]
        document = self.answer(path, query) if self.answer is not None else None
        document = self._document(path, query) if document is None else document
        return Reply(200, document, "sha", 2, path, NOW, {})

    def remaining(self, kind: str) -> int | None:
        return None

    def _document(self, path: str, query: dict[str, str]) -> Any:
        match path.split("/")[3:]:
            case []:
                return self._page(query)
            case [session_id]:
                return self._session(session_id)
            case [_, "results", result_id]:
                is_pending = result_id in self.pending
                return {"testSessionResultId": result_id, "status": "RUNNING" if is_pending else "PASSED"}
        raise AssertionError(path)

    def _page(self, query: dict[str, str]) -> Any:
        inside = [
            {"id": name, "startedAt": created_at.isoformat(), "status": status}
            for name, (created_at, status, _) in self.sessions.items()
            if int(query["from"]) <= created_at.timestamp() < int(query["to"])
        ]
        start = int(query.get("nextId", "0"))
        stop = start + min(self.page_rows, int(query["limit"]))
        entries = inside[start:stop]
        return {"length": len(entries), "entries": entries, "nextId": str(stop) if stop < len(inside) else None}

    def _session(self, session_id: str) -> Any:
        created_at, status, results = self.sessions[session_id]
        return {
            "testSessionId": session_id,
            "status": status,
            "startedAt": created_at.isoformat(),
            "results": [{"testSessionResultId": result} for result in results],
        }

    def paths(self) -> list[str]:
        return [path for path, _ in self.calls]


@dataclass
class Lake:
    """What the lake knows, as far as a crawl may ask."""

    covered_to: datetime | None = None
    known: dict[str, dict[str, Known]] = field(default_factory=dict)
    to_fetch: dict[str, list[Known]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)

    def land(self, endpoint: str, entity_id: str, state: State = "final", parent_id: str | None = None) -> Known:
        known = Known(endpoint, entity_id, parent_id, state, at(20), at(20), at(20))
        self.known.setdefault(endpoint, {})[entity_id] = known
        if state != "final":
            self.to_fetch.setdefault(endpoint, []).append(known)
        return known

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        return self.covered_to if (endpoint, scope) == (ROWS, "") else None

    def holes(self, endpoint: str, scope: str) -> Sequence[tuple[datetime, datetime]]:
        return ()

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        return self.known.get(endpoint, {})

    def landed_parents(self, endpoint: str) -> Sequence[str]:
        return ()

    def landed_since(self, endpoint: str, instant: datetime, without: Sequence[str] = ()) -> Sequence[Known]:
        return ()

    def due(self, endpoint: str) -> Sequence[Known]:
        return self.to_fetch.get(endpoint, [])

    def is_closed(self, endpoint: str, entity_id: str) -> bool:
        return entity_id in self.closed

    def read_token(self, entity_id: str) -> str | None:
        return None


def crawl(api: Api, lake: Lake | None = None, *, since: datetime | None = None, until: datetime | None = None) -> list[Event]:
    job = Crawl(
        client=api,
        history=lake or Lake(),
        now=NOW,
        since=since,
        until=until,
        lookback=timedelta(hours=24),
        start=timedelta(days=2),
        settings={"RESULTHOUSE_CHECKLY_RUNS": "off"},  # monitoring: test_checkly_checks.py
        concurrency=3,
    )

    async def collect() -> list[Event]:
        return [event async for event in PROVIDER.discover(job)]

    return asyncio.run(collect())


def landed(events: list[Event], endpoint: str) -> list[str]:
    return [event.entity_id for event in events if isinstance(event, Payload) and event.endpoint == endpoint]


def missed(events: list[Event]) -> list[tuple[str, str, type[Exception]]]:
    return [(e.endpoint, e.entity_id, type(e.error)) for e in events if isinstance(e, Missed)]


def covered(events: list[Event]) -> list[tuple[datetime, datetime]]:
    return [(event.from_at, event.to_at) for event in events if isinstance(event, Covered)]


# --- windows and paging ----------------------------------------------------------------------------------------------


def test_chunks_are_whole_seconds_cut_at_midnight_and_where_coverage_ends() -> None:
    cut = list(chunks(at(20, 22).replace(microsecond=7), NOW, at(21, 9).replace(microsecond=1)))
    whole_now = NOW.replace(microsecond=0)
    assert cut == [(at(20, 22), at(21, 0)), (at(21, 0), at(21, 9)), (at(21, 9), at(22, 0)), (at(22, 0), whole_now)]
    assert list(chunks(NOW, NOW)) == []


def test_a_first_crawl_lists_the_start_days_oldest_first_in_unix_seconds() -> None:
    api = Api()
    events = crawl(api)
    listed = [query for path, query in api.calls if path == "/v1/test-sessions"]
    assert [(query["from"], query["to"]) for query in listed] == [
        (str(int(from_at.timestamp())), str(int(to_at.timestamp()))) for from_at, to_at in covered(events)
    ]
    assert {query["limit"] for query in listed} == {"100"}
    assert covered(events)[0][0] == NOW.replace(microsecond=0) - timedelta(days=2)
    assert covered(events)[-1][1] == NOW.replace(microsecond=0)
    assert all(before[1] == after[0] for before, after in zip(covered(events), covered(events)[1:], strict=False))


def test_every_page_of_the_list_is_read_until_the_cursor_is_null() -> None:
    api = Api(page_rows=2)
    for number in range(5):
        api.add(f"s{number}", at(21, number))
    events = crawl(api)
    assert landed(events, ROWS) == ["s0", "s1", "s2", "s3", "s4"]
    cursors = [query.get("nextId") for path, query in api.calls if path == "/v1/test-sessions"]
    assert [cursor for cursor in cursors if cursor is not None] == ["2", "4"]


def test_since_and_until_bound_the_crawl() -> None:
    api = Api()
    for day in (18, 19, 20):
        api.add(f"s{day}", at(day))
    events = crawl(api, since=at(19, 0), until=at(20, 0))
    assert landed(events, ROWS) == ["s19"]
    assert covered(events) == [(at(19, 0), at(20, 0))]


def test_a_window_is_covered_only_after_all_its_sessions_and_results() -> None:
    api = Api()
    api.add("old", at(21), "r1")
    api.add("new", at(22, 1), "r2")
    kinds = [f"{event.endpoint}:{event.entity_id}" if isinstance(event, Payload) else "covered" for event in crawl(api)]
    assert kinds == [
        "covered",
        "test_session_rows:old",
        "test_session_results:r1",
        "test_sessions:old",
        "covered",
        "test_session_rows:new",
        "test_session_results:r2",
        "test_sessions:new",
        "covered",
    ]


def test_results_carry_their_session_and_its_start() -> None:
    api = Api()
    api.add("s", at(21, 23), "r")
    (result,) = [event for event in crawl(api) if isinstance(event, Payload) and event.endpoint == RESULTS]
    assert (result.parent_id, result.event_at) == ("s", at(21, 23))


def test_requests_run_side_by_side_up_to_the_bound() -> None:
    api = Api()
    api.add("s", at(21), *(f"r{number}" for number in range(10)))
    assert len(landed(crawl(api), RESULTS)) == 10
    assert api.most_running == 3


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param(lambda query: "same", id="one cursor for ever"),
        pytest.param(lambda query: {"A": "B", "B": "A"}.get(query.get("nextId", ""), "A"), id="A B A B"),
        pytest.param(lambda query: str(int(query.get("nextId", "0")) + 1), id="new cursors, same rows"),
        pytest.param(lambda query: 7, id="no text"),
    ],
)
def test_a_list_that_goes_round_in_circles_ends_uncovered(cursor: Callable[[dict[str, str]], object]) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        if path != "/v1/test-sessions":
            return None
        return {"length": 1, "entries": [{"id": "s", "startedAt": at(21).isoformat()}], "nextId": cursor(query)}

    api = Api(answer=answer)
    api.add("s", at(21), "r")
    events = crawl(api)
    assert covered(events) == []
    assert missed(events) == [(ROWS, "", DeferredError)]
    assert landed(events, RESULTS) == ["r"]
    assert len(api.calls) < 10


# --- what is fetched again -------------------------------------------------------------------------------------------


def test_what_is_final_is_not_fetched_again() -> None:
    api = Api()
    api.add("s", at(21, 20), "r")
    lake = Lake(covered_to=at(22, 6))
    lake.land(SESSIONS, "s")
    lake.land(RESULTS, "r", parent_id="s")
    events = crawl(api, lake)
    assert landed(events, ROWS) == ["s"]
    assert set(api.paths()) == {"/v1/test-sessions"}
    assert covered(events)[0][0] == at(21, 6)


def test_a_running_session_is_read_again_with_its_open_and_new_results_only() -> None:
    api = Api()
    api.add("old", at(15), "done", "waiting", "new")
    lake = Lake(covered_to=at(22, 6))
    lake.land(SESSIONS, "old", "open")
    lake.land(RESULTS, "done", parent_id="old")
    lake.land(RESULTS, "waiting", "open", parent_id="old")
    events = crawl(api, lake)
    assert landed(events, SESSIONS) == ["old"]
    assert sorted(landed(events, RESULTS)) == ["new", "waiting"]
    assert len(set(api.paths())) == len(api.paths()) - 2  # only the list is asked for several windows


def test_an_open_result_is_fetched_when_its_session_is_final_or_fails() -> None:
    api = Api(failing={"/v1/test-sessions/broken": RejectedError("no")})
    lake = Lake(covered_to=at(22, 6))
    lake.land(SESSIONS, "ended")
    lake.land(RESULTS, "r1", "open", parent_id="ended")
    lake.land(SESSIONS, "broken", "open")
    lake.land(RESULTS, "r2", "open", parent_id="broken")
    events = crawl(api, lake)
    assert sorted(landed(events, RESULTS)) == ["r1", "r2"]
    assert missed(events) == [(SESSIONS, "broken", RejectedError)]
    (result, _) = [event for event in events if isinstance(event, Payload) and event.endpoint == RESULTS]
    assert result.event_at == at(20)


def test_a_listed_session_that_is_also_due_is_fetched_once() -> None:
    api = Api()
    api.add("s", at(21, 20), "r", status="RUNNING")
    lake = Lake(covered_to=at(22, 6))
    lake.land(SESSIONS, "s", "open")
    crawl(api, lake)
    assert api.paths().count("/v1/test-sessions/s") == 1
    assert api.paths().count("/v1/test-sessions/s/results/r") == 1


def test_a_pending_result_lands_too() -> None:
    api = Api(pending={"r"})
    api.add("s", at(21), "r", status="RUNNING")
    (result,) = [event for event in crawl(api) if isinstance(event, Payload) and event.endpoint == RESULTS]
    assert PROVIDER.endpoint(RESULTS).state(result.document) == "open"


def test_what_is_closed_is_left_alone() -> None:
    api = Api()
    api.add("gone", at(21), "r1")
    api.add("s", at(21), "r2", "r3")
    events = crawl(api, Lake(closed={"gone", "r2"}))
    assert landed(events, SESSIONS) == ["s"]
    assert landed(events, RESULTS) == ["r3"]


def test_after_a_crash_a_landed_session_is_searched_for_results_that_did_not_land() -> None:
    api = Api()
    api.add("s", at(22, 3), "landed", "lost")
    lake = Lake(covered_to=at(22, 2))
    lake.land(SESSIONS, "s")
    lake.land(RESULTS, "landed", parent_id="s")
    assert landed(crawl(api, lake), RESULTS) == ["lost"]


# --- failures --------------------------------------------------------------------------------------------------------


def test_one_failing_session_or_result_is_missed_and_the_others_land() -> None:
    api = Api(
        failing={
            "/v1/test-sessions/bad": DeferredError("later"),
            "/v1/test-sessions/good/results/r1": RejectedError("no"),
            "/v1/test-sessions/good/results/r2": GoneError("not there", status=404),
        }
    )
    api.add("bad", at(21), "r0")
    api.add("good", at(21), "r1", "r2", "r3")
    events = crawl(api)
    assert sorted(missed(events), key=str) == sorted(
        [(SESSIONS, "bad", DeferredError), (RESULTS, "r1", RejectedError), (RESULTS, "r2", GoneError)], key=str
    )
    assert landed(events, SESSIONS) == ["good"]
    assert landed(events, RESULTS) == ["r3"]
    (lost,) = [event for event in events if isinstance(event, Missed) and event.entity_id == "r1"]
    assert (lost.parent_id, lost.event_at) == ("good", at(21))
    assert covered(events)[-1][1] == NOW.replace(microsecond=0)


def test_a_list_that_fails_for_one_day_leaves_a_hole_there_only() -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        is_broken = path == "/v1/test-sessions" and int(query["from"]) == int(at(21, 0).timestamp())
        return {"entries": "none"} if is_broken else None

    api = Api(answer=answer)
    api.add("s20", at(20, 13))
    api.add("s21", at(21))
    api.add("s22", at(22, 1))
    events = crawl(api)
    assert landed(events, ROWS) == ["s20", "s22"]
    assert [from_at.day for from_at, _ in covered(events)] == [20, 22]
    assert [(endpoint, entity_id) for endpoint, entity_id, _ in missed(events)] == [(ROWS, "")]


def test_an_outage_of_the_list_stops_there_and_keeps_what_was_covered() -> None:
    api = Api()
    api.add("s20", at(20, 13), "r")

    def answer(path: str, query: dict[str, str]) -> Any:
        if path == "/v1/test-sessions" and int(query["from"]) >= int(at(21, 0).timestamp()):
            raise DeferredError("the host does not answer")
        return None

    api.answer = answer
    events = crawl(api)
    assert landed(events, RESULTS) == ["r"]
    assert [to_at for _, to_at in covered(events)] == [at(21, 0)]
    assert missed(events) == [(ROWS, "", DeferredError)]
    assert api.paths().count("/v1/test-sessions") == 2


def test_a_row_without_an_id_leaves_its_window_uncovered_and_keeps_the_rows_before() -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        entries = [{"id": "s", "startedAt": "soon"}, {"name": "no id"}]
        return {"entries": entries, "nextId": None} if path == "/v1/test-sessions" else None

    api = Api(answer=answer)
    api.add("s", at(21))
    events = crawl(api, since=at(21, 0), until=at(22, 0))
    assert landed(events, ROWS) == ["s"]
    assert covered(events) == []


@pytest.mark.parametrize("document", [[], "text", 3, {"testSessionId": "another"}])
def test_a_session_answered_with_something_else_is_refused(document: Any) -> None:
    api = Api(answer=lambda path, query: document if path.endswith("/s") else None)
    api.add("s", at(21), "r")
    events = crawl(api)
    assert [(endpoint, entity_id) for endpoint, entity_id, _ in missed(events)] == [(SESSIONS, "s")]
    assert landed(events, SESSIONS) == []


@pytest.mark.parametrize("path", ["/v1/test-sessions", "/v1/test-sessions/s", "/v1/test-sessions/s/results/r"])
def test_refused_credentials_stop_the_crawl(path: str) -> None:
    api = Api(failing={path: HaltedError("the key is refused", status=401)})
    api.add("s", at(21), "r")
    with pytest.raises(HaltedError):
        crawl(api)


def test_an_id_cannot_leave_its_path() -> None:
    api = Api()
    lake = Lake(covered_to=at(22, 6))
    lake.land(RESULTS, "../../x?y", "open", parent_id="a/b")
    crawl(api, lake)
    assert "/v1/test-sessions/a%2Fb/results/..%2F..%2Fx%3Fy" in api.paths()


def test_result_that_a_running_session_has_not_got_yet_is_not_given_up() -> None:
    api = Api(failing={"/v1/test-sessions/live/results/r1": GoneError("not there", status=404)})
    api.add("live", at(21), "r1", "r2", status="RUNNING")
    events = crawl(api)
    assert missed(events) == []
    assert landed(events, RESULTS) == ["r2"]
    assert landed(events, SESSIONS) == ["live"]
