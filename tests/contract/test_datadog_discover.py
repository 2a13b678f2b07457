"""What the crawl of Datadog promises: nothing skipped, nothing final fetched twice, failures stay apart."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from pipelines.errors import DeferredError, GoneError, HaltedError, RefusedError
from pipelines.providers.datadog import PROVIDER, SITES
from pipelines.providers.datadog.crawling import state
from pipelines.providers.datadog.details import NOT_THERE_YET, is_in_share, parse_detail, row_failed
from pipelines.providers.datadog.discover import FLOOR_MOVES, discover
from pipelines.providers.spec import Covered, Crawl, Event, Known, Missed, Payload, Reply, Waiting
from tests.support.walked import Walked

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000
API, BROWSER = "aaa-aaa-aaa", "bbb-bbb-bbb"

Row = dict[str, Any]


def row(result_id: str, check_ms: int, **result: Any) -> Row:
    return {"result_id": result_id, "check_time": check_ms, "probe_dc": "aws:x", "result": {"passed": True, **result}}


class FakeApi:
    """The listed endpoints over rows in memory, answering as recorded; `fail` may raise for a request."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], tests: Sequence[Row] | None = None) -> None:
        self.rows = {test: sorted(listed, key=lambda item: -item["check_time"]) for test, listed in rows.items()}
        self.tests = tests if tests is not None else [{"public_id": API, "type": "api"}]
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self.left: int | None = None
        self.fail: Callable[[str, dict[str, str]], Exception | None] = lambda path, params: None
        self.ignores_from = False
        self.page_rows = 150
        self.answer: Callable[[str, dict[str, str]], Any] = self._answer

    async def get(
        self,
        path: str,
        *,
        params: Iterable[tuple[str, str]] = (),
        secret_params: Iterable[tuple[str, str]] = (),
        kind: str = "",
    ) -> Reply:
        query = dict(params)
        self.requests.append((path, query, kind))
        await asyncio.sleep(0)
        error = self.fail(path, query)
        if error is not None:
            raise error
        if self.left is not None:
            self.left -= 1
        return Reply(200, self.answer(path, query), "sha", 10, f"https://api{path}", NOW, {})

    def remaining(self, kind: str) -> int | None:
        return self.left

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        parts = path.removeprefix("/api/v1/synthetics/tests").strip("/").split("/")
        if parts == [""]:
            size = int(query["page_size"])
            start = size * int(query["page_number"])
            return {"tests": list(self.tests[start : start + size])}
        public_id, *result = [part for part in parts if part not in ("browser", "results")]
        if result:
            return next(dict(item) for item in self.rows[public_id] if item["result_id"] == result[0])
        low = 0 if self.ignores_from else int(query["from_ts"])
        found = [item for item in self.rows[public_id] if low <= item["check_time"] <= int(query["to_ts"])]
        page = found[: self.page_rows]
        floor = NOW_MS - 60 * 24 * HOUR_MS
        if len(found) > self.page_rows:
            floor = page[-1]["check_time"] // 1000 * 1000
        return {"results": page, "last_timestamp_fetched": floor}

    def paths(self, kind: str) -> list[str]:
        return [path for path, _, asked in self.requests if asked == kind]


class FakeHistory(Walked):
    """What the lake knows, as plain dicts."""

    def __init__(self) -> None:
        self.covered: dict[tuple[str, str], datetime] = {}
        self.known: dict[str, dict[str, Known]] = {}
        self.to_fetch: dict[str, list[Known]] = {}
        self.closed: set[tuple[str, str]] = set()

    def add(self, endpoint: str, entity_id: str, event_at: datetime, *, is_open: bool = False, due: bool = False) -> None:
        known = Known(endpoint, entity_id, API, "open" if is_open else "final", event_at, event_at, event_at)
        self.known.setdefault(endpoint, {})[entity_id] = known
        if due:
            self.to_fetch.setdefault(endpoint, []).append(known)

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        return self.covered.get((endpoint, scope))

    def holes(self, endpoint: str, scope: str) -> Sequence[tuple[datetime, datetime]]:
        return []

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        return self.known.get(endpoint, {})

    def due(self, endpoint: str) -> Sequence[Known]:
        return self.to_fetch.get(endpoint, [])

    def is_closed(self, endpoint: str, entity_id: str) -> bool:
        return (endpoint, entity_id) in self.closed

    def read_token(self, entity_id: str) -> str | None:
        return None


def crawl(api: FakeApi, history: FakeHistory | None = None, **changes: Any) -> list[Event]:
    given: dict[str, Any] = {
        "since": None,
        "until": None,
        "lookback": timedelta(hours=24),
        "start": timedelta(days=7),
        "settings": {},
        **changes,
    }
    work = Crawl(client=api, history=history or FakeHistory(), now=NOW, **given)

    async def collect() -> list[Event]:
        return [event async for event in discover(work)]

    return asyncio.run(collect())


def ids(events: Sequence[Event], endpoint: str) -> list[str]:
    return [event.entity_id for event in events if isinstance(event, Payload) and event.endpoint == endpoint]


def covered(events: Sequence[Event]) -> list[tuple[str, datetime, datetime]]:
    return [(event.scope, event.from_at, event.to_at) for event in events if isinstance(event, Covered)]


# ---------------------------------------------------------------------------------------------------------- definitions


def test_tests_are_listed_page_by_page_until_a_short_page() -> None:
    api = FakeApi({}, [{"public_id": f"t{number}", "type": "mobile"} for number in range(205)])
    events = crawl(api)
    assert len(set(ids(events, "tests"))) == 205
    assert [query["page_number"] for _, query, kind in api.requests if kind == "tests"] == ["0", "1", "2"]


def test_a_server_that_ignores_the_page_number_does_not_loop() -> None:
    api = FakeApi({}, [{"public_id": f"t{number}", "type": "mobile"} for number in range(100)])
    answer = api.answer
    api.answer = lambda path, query: answer(path, {**query, "page_number": "0"})
    events = crawl(api)
    assert len(ids(events, "tests")) == 100
    assert [(event.endpoint, type(event.error)) for event in events if isinstance(event, Missed)] == [("tests", DeferredError)]
    assert len(api.requests) == 2


def test_an_id_cannot_leave_its_path() -> None:
    told = row("a/../b?c", NOW_MS - HOUR_MS)
    api = FakeApi({}, [{"public_id": "../x?y#", "type": "api"}])
    tests = api.answer
    api.answer = lambda path, query: (
        tests(path, query) if path.endswith("/tests") else {"results": [told], "last_timestamp_fetched": 0} if query else told
    )
    events = crawl(api, since=NOW - timedelta(hours=2))
    assert ids(events, "api_results") == ["a/../b?c"]
    listed, full = "/api/v1/synthetics/tests/..%2Fx%3Fy%23/results", "a%2F..%2Fb%3Fc"
    assert [path for path, _, kind in api.requests if kind != "tests"] == [listed, f"{listed}/{full}"]


def test_mobile_and_network_tests_land_but_have_no_results_to_list() -> None:
    api = FakeApi({}, [{"public_id": "m", "type": "mobile"}, {"public_id": "n", "type": "network"}])
    assert ids(crawl(api), "tests") == ["m", "n"]
    assert len(api.requests) == 1


def test_results_go_on_when_the_list_of_tests_fails() -> None:
    api, history = FakeApi({API: [row("1", NOW_MS - HOUR_MS)]}), FakeHistory()
    history.add("api_result_rows", "0", NOW - timedelta(hours=30))
    api.fail = lambda path, query: DeferredError("down") if path.endswith("/tests") else None
    events = crawl(api, history, settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert ids(events, "api_result_rows") == ["1"]
    assert [event.endpoint for event in events if isinstance(event, Missed)] == ["tests"]


@pytest.mark.fault("P2")
def test_a_list_of_tests_without_end_and_a_test_without_an_id_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("pipelines.providers.datadog.discover"), "MAX_PAGES", 2)
    events = crawl(FakeApi({}, [{"public_id": f"t{number}" if number else None, "type": "mobile"} for number in range(350)]))
    assert len(ids(events, "tests")) == 199
    told = [(event.entity_id, type(event.error)) for event in events if isinstance(event, Missed)]
    assert told == [("page 0", RefusedError), ("", DeferredError)]


def test_when_the_list_of_tests_breaks_off_known_tests_are_read_too_but_not_where_the_list_alone_says_how() -> None:
    tests = [{"public_id": API, "type": "api"}, *({"public_id": f"t{number}", "type": "mobile"} for number in range(150))]
    history = FakeHistory()
    for parent_id in (API, "known", None):
        history.known.setdefault("api_result_rows", {})[f"of {parent_id}"] = Known(
            "api_result_rows", "r", parent_id, "final", NOW, NOW, NOW
        )
    for mode, listed in (("off", {API, "known"}), ("all", {API, *(f"t{number}" for number in range(99))})):
        api = FakeApi({}, tests)
        api.rows = {name: [] for name in (*(str(test["public_id"]) for test in tests), "known")}
        api.fail = lambda path, query: DeferredError("down") if query.get("page_number") == "1" else None
        api_answer = api.answer
        api.answer = lambda path, query, api_answer=api_answer: {"data": []} if "/v2/" in path else api_answer(path, query)
        events = crawl(
            api, history, since=NOW - timedelta(hours=1), settings={"RESULTHOUSE_DATADOG_V2": mode, "RESULTHOUSE_DATADOG_DETAIL": "failed"}
        )
        assert {scope for scope, _, _ in covered(events)} == listed


# ----------------------------------------------------------------------------------------------------------------- rows


def test_a_first_sync_lists_the_start_days_in_chunks_of_a_day_oldest_first() -> None:
    api = FakeApi({API: [row("old", NOW_MS - 8 * 24 * HOUR_MS), row("new", NOW_MS - 6 * 24 * HOUR_MS)]})
    events = crawl(api, concurrency=1)
    spans = covered(events)
    assert [span[1] for span in spans] == [NOW - timedelta(days=days) for days in range(7, 0, -1)]
    assert spans[-1][2] == NOW
    assert all(later[1] == earlier[2] for earlier, later in itertools.pairwise(spans))
    assert ids(events, "api_result_rows") == ["new"]


def test_a_later_sync_lists_from_its_own_coverage_minus_the_lookback() -> None:
    api, history = FakeApi({API: [], BROWSER: []}), FakeHistory()
    api.tests = [{"public_id": API, "type": "api"}, {"public_id": BROWSER, "type": "browser"}]
    history.covered["api_result_rows", API] = NOW - timedelta(minutes=15)
    history.covered["browser_result_rows", BROWSER] = NOW - timedelta(days=3)
    starts: dict[str, datetime] = {}
    for scope, from_at, _ in covered(crawl(api, history)):
        starts[scope] = min(from_at, starts.get(scope, from_at))
    assert starts == {API: NOW - timedelta(hours=24, minutes=15), BROWSER: NOW - timedelta(days=4)}
    assert any("/tests/browser/" in path for path in api.paths("browser_result_rows"))


@pytest.mark.parametrize("ignores_from", [False, True])
def test_pages_of_150_rows_are_read_backwards_until_the_window_is_covered(ignores_from: bool) -> None:
    listed = [row(str(number), NOW_MS - 1000 - number * 777) for number in range(1000)]
    api = FakeApi({API: listed})
    api.ignores_from = ignores_from
    since = NOW - timedelta(milliseconds=1000 + 600 * 777)
    events = crawl(api, since=since, settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert sorted(ids(events, "api_result_rows"), key=int) == [str(number) for number in range(601)]
    assert covered(events) == [(API, since, NOW)]


def test_rows_of_one_second_across_a_page_border_are_all_read() -> None:
    listed = [row(str(number), NOW_MS - HOUR_MS - number * 7) for number in range(700)]
    events = crawl(FakeApi({API: listed}), since=NOW - timedelta(hours=2), settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert sorted(ids(events, "api_result_rows"), key=int) == [str(number) for number in range(700)]


def test_more_than_a_page_of_rows_in_one_second_is_a_gap_told_once_and_all_around_it_is_read() -> None:
    second, at = NOW_MS - HOUR_MS, NOW - timedelta(hours=1)
    listed = [row(str(number), second + 900 - number) for number in range(300)]
    listed += [row(f"above-{number}", second + 1000 + 10 * number) for number in range(200)]
    listed += [row(f"below-{number}", second - 1 - 10 * number) for number in range(200)]
    api, history = FakeApi({API: listed}), FakeHistory()
    quiet = {"since": NOW - timedelta(hours=2), "settings": {"RESULTHOUSE_DATADOG_DETAIL": "failed"}}
    events = crawl(api, history, **quiet)
    gone = {str(number) for number in range(149, 300)}
    assert {item["result_id"] for item in listed} - set(ids(events, "api_result_rows")) <= gone
    (missed,) = [event for event in events if isinstance(event, Missed)]
    assert (missed.parent_id, missed.event_at, getattr(missed.error, "rule", "")) == (API, at, "crowded")
    assert "more results in the second 2026-11-22 11:00:00 UTC than can be read" in str(missed.error)
    assert covered(events) == [(API, NOW - timedelta(hours=2), NOW)]
    assert len(api.paths("api_result_rows")) < 12

    history.closed.add(("api_result_rows", missed.entity_id))
    assert [event for event in crawl(api, history, **quiet) if isinstance(event, Missed)] == []


def test_a_crowd_at_the_lower_end_of_a_window_ends_it() -> None:
    api = FakeApi({API: [row(str(number), NOW_MS - HOUR_MS) for number in range(151)]})
    events = crawl(api, since=NOW - timedelta(hours=1), settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert [event.event_at for event in events if isinstance(event, Missed)] == [NOW - timedelta(hours=1)]
    assert covered(events) == [(API, NOW - timedelta(hours=1), NOW)]


@pytest.mark.parametrize("rows", [1, 150])
def test_a_page_of_rows_without_a_time_is_left_for_the_next_sync(rows: int) -> None:
    api = FakeApi({API: []})
    tests = api.answer
    listed = [{"result_id": str(number), "check_time": None, "result": {}} for number in range(rows)]
    api.answer = lambda path, query: (
        tests(path, query) if path.endswith("/tests") else {"results": listed, "last_timestamp_fetched": NOW_MS}
    )
    events = crawl(api, since=NOW - timedelta(hours=1), settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert len(ids(events, "api_result_rows")) == rows
    assert ["without a time" in str(event.error) for event in events if isinstance(event, Missed)] == [True]
    assert covered(events) == []


def test_a_page_smaller_than_150_whose_floor_is_above_the_window_is_not_believed_to_be_the_last() -> None:
    listed = [row(str(number), NOW_MS - number * 10_000) for number in range(40)]
    api = FakeApi({API: listed})
    api.page_rows = 15
    events = crawl(api, since=NOW - timedelta(hours=1), settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert len(ids(events, "api_result_rows")) == 40


def test_nothing_before_the_60_day_floor_is_claimed_as_covered() -> None:
    events = crawl(FakeApi({API: []}), since=NOW - timedelta(days=90))
    assert min(span[1] for span in covered(events)) == NOW - timedelta(days=60) + FLOOR_MOVES
    just_above = crawl(FakeApi({API: []}), since=NOW - timedelta(days=90), until=NOW - timedelta(days=60) + FLOOR_MOVES / 2)
    assert covered(just_above) == []


def test_a_failing_test_keeps_its_hole_and_the_others_go_on() -> None:
    api = FakeApi({API: [row("1", NOW_MS - HOUR_MS)], BROWSER: [row("2", NOW_MS - HOUR_MS)]})
    api.tests = [{"public_id": API, "type": "api"}, {"public_id": BROWSER, "type": "browser"}]
    api.fail = lambda path, query: DeferredError("down") if path.endswith(f"/{API}/results") else None
    events = crawl(api, since=NOW - timedelta(days=3))
    assert {scope for scope, _, _ in covered(events)} == {BROWSER}
    assert [(event.endpoint, event.entity_id) for event in events if isinstance(event, Missed)] == [("api_result_rows", API)]
    assert ids(events, "browser_results") == ["2"]


def test_a_window_is_covered_only_after_its_rows() -> None:
    api = FakeApi({API: [row("1", NOW_MS - HOUR_MS), row("2", NOW_MS - 30 * HOUR_MS)]})
    events = crawl(api, since=NOW - timedelta(days=2))
    for event in events:
        if isinstance(event, Covered):
            before = ids(events[: events.index(event)], "api_result_rows")
            assert ("1" in before) or event.to_at < NOW - timedelta(hours=1)
            assert ("2" in before) or event.from_at > NOW - timedelta(hours=30)
    assert sorted(ids(events, "api_result_rows")) == ["1", "2"]


@pytest.mark.parametrize("answer", [[], {"results": {}}, {"errors": ["x"]}, {"results": [1]}])
def test_an_answer_of_another_shape_is_refused_and_covers_nothing(answer: Any) -> None:
    api = FakeApi({API: []})
    tests = api.answer
    api.answer = lambda path, query: tests(path, query) if path.endswith("/tests") else answer
    events = crawl(api, since=NOW - timedelta(hours=1))
    assert [type(event.error) for event in events if isinstance(event, Missed)] == [RefusedError]
    assert covered(events) == []


def test_a_row_without_an_id_is_reported_and_the_others_land() -> None:
    listed = [{"check_time": NOW_MS - HOUR_MS, "result": {}}, row("1", NOW_MS - HOUR_MS)]
    events = crawl(FakeApi({API: [item if "result_id" in item else {**item, "result_id": None} for item in listed]}))
    assert ids(events, "api_result_rows") == ["1"]
    assert [event.entity_id for event in events if isinstance(event, Missed)] == [f"{API}@{NOW_MS - HOUR_MS}"]


def test_open_rows_older_than_the_window_are_listed_again_at_their_second() -> None:
    api, history = FakeApi({API: [row("1", NOW_MS - 50 * HOUR_MS)]}), FakeHistory()
    history.covered["api_result_rows", API] = NOW
    history.add("api_result_rows", "1", NOW - timedelta(hours=50), is_open=True, due=True)
    events = crawl(api, history)
    assert ids(events, "api_result_rows") == ["1"]
    assert ids(events, "api_results") == ["1"]
    assert all(from_at >= NOW - timedelta(hours=24) for _, from_at, _ in covered(events))


def test_refused_credentials_end_the_crawl() -> None:
    api = FakeApi({API: []})
    api.fail = lambda path, query: HaltedError("no", status=403) if "results" in path else None
    with pytest.raises(HaltedError):
        crawl(api)


# -------------------------------------------------------------------------------------------------------------- details


def test_all_rows_come_before_the_first_detail_and_details_go_failed_changed_newest() -> None:
    listed = [
        row("newest", NOW_MS - HOUR_MS),
        row("failed-old", NOW_MS - 20 * HOUR_MS, passed=False),
        row("changed", NOW_MS - 10 * HOUR_MS),
        row("failed-new", NOW_MS - 2 * HOUR_MS, passed=None, errorMessage="boom"),
        row("older", NOW_MS - 5 * HOUR_MS),
    ]
    api, history = FakeApi({API: listed}), FakeHistory()
    history.add("api_results", "changed", NOW - timedelta(hours=10), is_open=True, due=True)
    events = crawl(api, history, since=NOW - timedelta(hours=23), concurrency=1)
    assert ids(events, "api_results") == ["failed-new", "failed-old", "changed", "newest", "older"]
    endpoints = [event.endpoint for event in events if isinstance(event, Payload) and event.endpoint != "tests"]
    assert endpoints == ["api_result_rows"] * 5 + ["api_results"] * 5


def test_a_landed_detail_is_not_fetched_again_and_a_missing_one_of_an_earlier_sync_is() -> None:
    api, history = (
        FakeApi({API: [row("1", NOW_MS - HOUR_MS), row("2", NOW_MS - 40 * HOUR_MS), row("3", NOW_MS)]}),
        FakeHistory(),
    )
    history.covered["api_result_rows", API] = NOW
    for result_id, hours in (("1", 1), ("2", 40), ("3", 200), ("4", 3)):
        history.add("api_result_rows", result_id, NOW - timedelta(hours=hours), is_open=result_id == "4")
    history.add("api_results", "1", NOW - timedelta(hours=1))
    history.closed.add(("api_results", "3"))
    assert ids(crawl(api, history), "api_results") == ["2"]


def test_a_result_that_still_runs_has_no_detail_to_fetch() -> None:
    api = FakeApi({API: [row("1", NOW_MS - 1000, eventType="scheduled", passed=None)]})
    events = crawl(api, since=NOW - timedelta(hours=1))
    assert ids(events, "api_result_rows") == ["1"]
    assert ids(events, "api_results") == []


def test_details_leave_a_reserve_of_the_rate_limit_and_what_waits_is_counted() -> None:
    api = FakeApi({API: [row(str(number), NOW_MS - number * 60_000) for number in range(20)]})
    api.left = 14
    events = crawl(api, since=NOW - timedelta(hours=1), concurrency=1)
    fetched, waiting = ids(events, "api_results"), [event for event in events if isinstance(event, Waiting)]
    assert fetched == [str(number) for number in range(7)]
    assert waiting == [Waiting("api_results", 13)]
    assert covered(events)


@pytest.mark.parametrize(("age", "is_missed"), [(timedelta(minutes=3), False), (NOT_THERE_YET, True)])
def test_404_on_a_fresh_result_means_not_there_yet_and_later_it_means_gone(age: timedelta, is_missed: bool) -> None:
    api = FakeApi({API: [row("1", NOW_MS - int(age.total_seconds() * 1000))]})
    api.fail = lambda path, query: GoneError("gone", status=404) if path.endswith("/1") else None
    events = crawl(api, since=NOW - timedelta(hours=1))
    assert [type(event.error) for event in events if isinstance(event, Missed)] == [GoneError] * is_missed
    assert [event.count for event in events if isinstance(event, Waiting)] == [1] * (not is_missed)


def test_one_failing_detail_does_not_stop_the_others_and_an_api_that_is_down_is_left_alone() -> None:
    api = FakeApi({API: [row(str(number), NOW_MS - number * 60_000) for number in range(20)]})
    api.fail = lambda path, query: DeferredError("down") if path.endswith("/3") else None
    events = crawl(api, since=NOW - timedelta(hours=1))
    assert len(ids(events, "api_results")) == 19
    assert [event.entity_id for event in events if isinstance(event, Missed)] == ["3"]
    api.fail = lambda path, query: DeferredError("down") if path.split("/")[-1].isdigit() else None
    events = crawl(api, since=NOW - timedelta(hours=1), concurrency=1)
    assert len([event for event in events if isinstance(event, Missed)]) == 5
    assert [event.count for event in events if isinstance(event, Waiting)] == [15]


def test_a_detail_that_failed_before_comes_last_so_that_it_keeps_no_other_waiting() -> None:
    api, history = FakeApi({API: [row(str(number), NOW_MS - number * 60_000) for number in range(20)]}), FakeHistory()
    broken = [str(number) for number in range(6)]
    for number in broken:
        known = Known("api_results", number, API, "open", NOW, None, None)
        history.to_fetch.setdefault("api_results", []).append(known)
    api.fail = lambda path, query: DeferredError("down") if path.split("/")[-1] in broken else None
    events = crawl(api, history, since=NOW - timedelta(hours=1), concurrency=1)
    assert len(ids(events, "api_results")) == 14


def test_an_api_that_is_down_is_not_asked_for_every_test_and_nothing_is_covered() -> None:
    names = [f"t{number:02}" for number in range(30)]
    api = FakeApi({name: [] for name in names}, [{"public_id": name, "type": "api"} for name in names])
    api.fail = lambda path, query: DeferredError("down") if "results" in path else None
    events = crawl(api, since=NOW - timedelta(hours=1), concurrency=1)
    assert len(api.requests) == 1 + 5
    assert covered(events) == []
    api.fail = lambda path, query: DeferredError("down") if any(name in path for name in names[:4]) else None
    assert len(covered(crawl(api, since=NOW - timedelta(hours=1), concurrency=1))) == 26


def test_tests_whose_list_failed_before_come_last() -> None:
    names = [f"t{number:02}" for number in range(30)]
    api, history = FakeApi({name: [] for name in names}, [{"public_id": n, "type": "api"} for n in names]), FakeHistory()
    for name in names[:6]:
        known = Known("api_result_rows", name, None, "open", None, None, None)
        history.to_fetch.setdefault("api_result_rows", []).append(known)
    api.fail = lambda path, query: DeferredError("down") if any(f"/{name}/" in path for name in names[:6]) else None
    assert len(covered(crawl(api, history, since=NOW - timedelta(hours=1), concurrency=1))) == 24


def test_the_answer_to_another_result_is_refused() -> None:
    api = FakeApi({API: [row("1", NOW_MS - HOUR_MS)]})
    answer = api.answer
    api.answer = lambda path, query: row("2", NOW_MS) if path.endswith("/1") else answer(path, query)
    events = crawl(api, since=NOW - timedelta(hours=2))
    assert [type(event.error) for event in events if isinstance(event, Missed)] == [RefusedError]


def test_detail_setting_failed_fetches_only_failed_results() -> None:
    api = FakeApi({API: [row("1", NOW_MS - 1000), row("2", NOW_MS - 2000, passed=False)]})
    events = crawl(api, since=NOW - timedelta(hours=1), settings={"RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert ids(events, "api_results") == ["2"]
    assert not [event for event in events if isinstance(event, Waiting)]


def test_a_refused_detail_is_fetched_again_whatever_the_detail_setting_says() -> None:
    history = FakeHistory()
    history.to_fetch["api_results"] = [Known("api_results", "1", API, "open", NOW, None, None)]
    api = FakeApi({API: [row("1", NOW_MS - 30 * HOUR_MS)]})
    settings = {"RESULTHOUSE_DATADOG_DETAIL": "failed"}
    assert ids(crawl(api, history, since=NOW - timedelta(hours=1), settings=settings), "api_results") == ["1"]


def test_detail_setting_share_fetches_the_same_share_at_every_sync() -> None:
    api = FakeApi({API: [row(str(number), NOW_MS - number * 1000) for number in range(140)]})
    first, second = (
        set(
            ids(
                crawl(api, since=NOW - timedelta(hours=1), settings={"RESULTHOUSE_DATADOG_DETAIL": "0.25"}),
                "api_results",
            )
        )
        for _ in range(2)
    )
    assert first == second
    assert 15 <= len(first) <= 55
    shares = [sum(is_in_share(str(number), share) for number in range(2000)) / 2000 for share in (0, 0.25, 1)]
    assert shares[0] == 0
    assert math.isclose(shares[1], 0.25, abs_tol=0.04)
    assert shares[2] == 1


# -------------------------------------------------------------------------------------------------------- what it is


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", "all"),
        (" Failed ", "failed"),
        ("0.5", 0.5),
        ("1", 1.0),
        ("0", 0.0),
        ("1.1", None),
        ("most", None),
        ("nan", None),
    ],
)
def test_detail_setting_is_all_failed_or_a_share(text: str, expected: str | float | None) -> None:
    assert parse_detail(text) == expected


def test_settings_are_refused_in_a_sentence_that_names_the_setting() -> None:
    check = PROVIDER.check_settings
    assert len(SITES) == 9
    assert all(check({"DD_SITE": site}) is None for site in SITES)
    assert "DD_SITE" in (check({"DD_SITE": "example.com"}) or "")
    assert check({"DD_SITE": "example.com", "DATADOG_API_URL": "http://127.0.0.1:1"}) is None
    assert "RESULTHOUSE_DATADOG_DETAIL" in (check({"RESULTHOUSE_DATADOG_DETAIL": "most"}) or "")
    assert check({}) is None


def test_rows_and_details_are_open_only_while_they_wait() -> None:
    assert state({"result": {"eventType": "scheduled"}}) == "open"
    assert state({"result": {"eventType": "not_scheduled"}}) == "open"
    finished: list[Any] = [{"result": {"eventType": "finished"}}, {"result": {}}, {"result": []}, []]
    assert [state(item) for item in finished] == ["final"] * 4


def test_a_row_failed_when_it_says_so_or_carries_an_error() -> None:
    assert row_failed({"result": {"passed": False}})
    assert row_failed({"result": {"errorMessage": "x"}})
    assert row_failed({"result": {"eventType": "finished_with_error"}})
    assert not row_failed({"result": {"passed": True, "errorMessage": None}})
    assert not row_failed({"result": {"timings": {"total": 1}}})
