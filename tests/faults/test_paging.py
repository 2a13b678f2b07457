"""Lists that go round in circles, shift, are crowded, cut or late, and clocks that are wrong: no row is lost that is called covered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.errors import DeferredError
from pipelines.flows.pull import PullReport, plausible_date, pull
from pipelines.flows.status import read_status
from pipelines.jsontext import as_instant
from pipelines.lake.history import LakeHistory, read_history
from pipelines.lake.store import Lake
from pipelines.providers import checkly, datadog
from pipelines.providers.datadog.crawling import from_ms_epoch
from pipelines.providers.datadog.discover import FLOOR_MOVES
from pipelines.providers.spec import Covered
from pipelines.transform.expressions import from_epoch_ms
from tests.support.clock import START, VirtualClock
from tests.support.house import House
from tests.support.scripted import Api, Checkly, Datadog, Memory, Query

Record = Callable[[str, object], None]
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
ROWS, RESULTS, DATADOG_ROWS = "test_session_rows", "check_results", "api_result_rows"
NO_DETAILS = {"RESULTHOUSE_DATADOG_DETAIL": "0"}
NO_RUNS = {"RESULTHOUSE_CHECKLY_RUNS": "off"}


# --- cursors --------------------------------------------------------------------------------------------------------------


def _is_session_list(path: str) -> bool:
    return path == "/v1/test-sessions"


def _is_result_list(path: str) -> bool:
    return path.startswith("/v2/check-results/")


LISTS = pytest.mark.parametrize(("endpoint", "is_list"), [(ROWS, _is_session_list), (RESULTS, _is_result_list)])


def _pages(is_list: Callable[[str], bool], page: Callable[[int], Any]) -> tuple[Checkly, Memory]:
    """A crawl of an hour in which one kind of list answers with the given pages, by their number from 0."""
    api, lake, turns = Checkly({"": {}, "check": {}}), Memory(), count()

    def answered(path: str, query: Query) -> Any:
        if is_list(path):
            return page(next(turns))
        return {"testSessionId": path.rsplit("/", 1)[-1], "status": "PASSED", "results": []} if "test-sessions/" in path else None

    api.answered = answered
    asyncio.run(lake.crawl(checkly.PROVIDER, api, START, since=START - HOUR))
    return api, lake


def _entry(number: int) -> dict[str, str]:
    return {"id": f"row-{number}", "startedAt": (START - HOUR / 2).isoformat(), "checkId": "check"}


@pytest.mark.fault("P1")
@LISTS
def test_a_cursor_that_comes_back_ends_the_list_unfinished(endpoint: str, is_list: Callable[[str], bool], record_property: Record) -> None:
    for length in range(1, 51):
        api, lake = _pages(is_list, lambda turn, k=length: {"entries": [_entry(turn)], "nextId": f"cursor-{turn % k}"})
        assert len([path for path, _ in api.asked if is_list(path)]) == length + 1
        assert set(lake.known[endpoint]) == {f"row-{number}" for number in range(length + 1)}
        assert [(missed.endpoint, type(missed.error)) for missed in lake.missed] == [(endpoint, DeferredError)]
        assert not any(place[0] == endpoint for place in lake.spans)
    record_property("cases", 50)


@pytest.mark.fault("P2")
@LISTS
@pytest.mark.parametrize("entries", [[], [_entry(0), _entry(1)]])
def test_ever_new_cursors_without_new_rows_end_after_three_pages(
    endpoint: str, is_list: Callable[[str], bool], entries: list[dict[str, str]]
) -> None:
    api, lake = _pages(is_list, lambda turn: {"entries": entries, "nextId": f"cursor-{turn}"})
    assert len([path for path, _ in api.asked if is_list(path)]) == 3 + bool(entries)
    assert len(lake.known.get(endpoint, {})) == len(entries)
    assert [(missed.endpoint, type(missed.error)) for missed in lake.missed] == [(endpoint, DeferredError)]
    assert not any(place[0] == endpoint for place in lake.spans)


@pytest.mark.fault("P2")
def test_ever_new_cursors_with_ever_new_rows_end_at_the_page_cap() -> None:
    api, lake = _pages(_is_result_list, lambda turn: {"entries": [_entry(turn)], "nextId": f"cursor-{turn}"})
    assert len([path for path, _ in api.asked if _is_result_list(path)]) == 10_000
    assert len(lake.known[RESULTS]) == 10_000
    assert [missed.endpoint for missed in lake.missed] == [RESULTS]
    assert (RESULTS, "check") not in lake.spans


@pytest.mark.fault("P2")
def test_a_page_of_datadog_that_is_new_for_ever_ends_at_the_page_cap_and_the_same_one_after_three_more() -> None:
    at = int((START - HOUR / 2).timestamp() * 1000)
    for rows, requests in ((1, 10_000), (150, 4)):
        api, lake, turns = Datadog({"test": {}}), Memory(), count()

        def answered(path: str, query: Query, rows: int = rows, turns: Any = turns) -> Any:
            ids = [f"row-{next(turns)}"] if rows == 1 else [f"row-{n}" for n in range(rows)]
            listed = [{"result_id": result_id, "check_time": at, "result": {"passed": True}} for result_id in ids]
            return {"results": listed, "last_timestamp_fetched": at // 1000 * 1000} if path.endswith("/results") else None

        api.answered = answered
        asyncio.run(lake.crawl(datadog.PROVIDER, api, START, since=START - HOUR, settings=NO_DETAILS))
        assert len(api.lists()) == requests
        assert [(missed.endpoint, type(missed.error)) for missed in lake.missed] == [(DATADOG_ROWS, DeferredError)]
        assert lake.spans == {}


@pytest.mark.fault("P1", "P2")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_a_list_of_definitions_whose_pages_come_round_again_is_named_and_left(
    name: str, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    module, size = ("checkly.discover_checks", "PAGE_ROWS") if name == "checkly" else ("datadog.discover", "TESTS_PER_PAGE")
    monkeypatch.setattr(import_module(f"pipelines.providers.{module}"), size, 3)
    provider, kind, endpoint = (checkly.PROVIDER, Checkly, "checks") if name == "checkly" else (datadog.PROVIDER, Datadog, "tests")
    for length in range(1, 51):
        api, lake, turns = kind({"": {}}), Memory(), count()

        def answered(path: str, query: Query, length: int = length, turns: Any = turns) -> Any:
            if not path.endswith(("/v1/checks", "/synthetics/tests")):
                return None
            first = 3 * (next(turns) % length)
            rows = [{"id": f"t{n}", "public_id": f"t{n}", "type": "mobile"} for n in range(first, first + 3)]
            return rows if name == "checkly" else {"tests": rows}

        api.answered = answered
        asyncio.run(lake.crawl(provider, api, START, since=START - HOUR, settings=NO_DETAILS))
        assert next(turns) == length + 1
        assert set(lake.known[endpoint]) == {f"t{n}" for n in range(3 * length)}
        assert [(missed.endpoint, missed.entity_id, type(missed.error)) for missed in lake.missed] == [(endpoint, "", DeferredError)]
    record_property("cases", 50)


@pytest.mark.fault("P5")
@LISTS
def test_an_empty_page_with_a_cursor_is_not_the_end_and_a_wrong_total_is_not_believed(
    endpoint: str, is_list: Callable[[str], bool], record_property: Record
) -> None:
    patterns = ([0, 1], [1, 0, 1], [0, 0, 1], [2, 0, 0, 2, 0, 1], [1, 0])
    for sizes in patterns:
        for total in (0, 1, 10**9):
            ids = count()
            pages = [[_entry(next(ids)) for _ in range(size)] for size in sizes]

            def page(turn: int, pages: list[Any] = pages, total: int = total) -> Any:
                return {"entries": pages[turn], "length": total, "nextId": f"c{turn}" if turn + 1 < len(pages) else None}

            _, lake = _pages(is_list, page)
            assert len(lake.known[endpoint]) == sum(sizes)
            assert lake.missed == []
            assert any(place[0] == endpoint for place in lake.spans)
    record_property("cases", 3 * len(patterns))


# --- rows that come, go and crowd -----------------------------------------------------------------------------------------


def _shifting(api: Api, rng: random.Random, now: datetime) -> Callable[[str, Query], None]:
    """Before some of the requests a test is deleted or made, and results come in that are new or late."""
    names = count(100)

    def change(path: str, query: Query) -> None:
        tests = [test for test in api.times if test]
        match rng.randrange(8):
            case 0 if len(tests) > 4 and "page" in " ".join(query):  # not the one that is asked for: that would be a 404
                del api.times[rng.choice(tests)]
            case 1:
                items = list(api.times.items())
                items.insert(rng.randrange(len(items) + 1), (f"t{next(names)}", {f"r{next(names)}": now - rng.uniform(0.1, 20) * HOUR}))
                api.times = dict(items)
            case 2:
                api.times[rng.choice(tests)][f"r{next(names)}"] = now - rng.uniform(0, 20) * HOUR
            case 3:
                api.times[rng.choice(tests)][f"r{next(names)}"] = now + rng.uniform(0, 1) * HOUR / 2

    return change


@pytest.mark.fault("P3")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_rows_that_come_and_go_while_pages_are_read_are_neither_lost_nor_twice(
    name: str, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    for module, size, rows in (("checkly.discover_checks", "PAGE_ROWS", 3), ("datadog.discover", "TESTS_PER_PAGE", 3)):
        monkeypatch.setattr(import_module(f"pipelines.providers.{module}"), size, rows)
    monkeypatch.setattr(import_module("pipelines.providers.datadog.paging"), "PAGE_ROWS", 4)
    provider, kind = {"checkly": (checkly.PROVIDER, Checkly), "datadog": (datadog.PROVIDER, Datadog)}[name]
    seeds = 500
    wrong = []

    async def run(seed: int) -> None:
        rng = random.Random(seed)
        tests = {f"t{n}": {f"r{n}-{k}": START - rng.uniform(0, 40) * HOUR for k in range(rng.randrange(7))} for n in range(8)}
        api, lake = kind({"": {}, **tests} if name == "checkly" else tests, page_rows=4), Memory()
        api.before = _shifting(api, rng, START)
        await lake.crawl(provider, api, START, settings=NO_DETAILS)
        twice = lake.twice
        api.before = lambda path, query: None
        await lake.crawl(provider, api, START + HOUR, settings=NO_DETAILS)
        landed = set(lake.known.get(RESULTS if name == "checkly" else DATADOG_ROWS, {}))
        lost = {result for results in api.times.values() for result in results} - landed
        if lost or twice or lake.twice or lake.missed:
            wrong.append((seed, lost, twice, lake.missed))

    async def all_seeds() -> None:
        for seed in range(seeds):
            await run(seed)

    asyncio.run(all_seeds())
    assert wrong == []
    record_property("cases", seeds)


@pytest.mark.fault("P4")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_equal_times_across_the_edge_of_a_page_or_window_lose_no_row(name: str, record_property: Record) -> None:
    provider, kind, rows = {
        "checkly": (checkly.PROVIDER, Checkly, 100),
        "datadog": (datadog.PROVIDER, Datadog, 150),
    }[name]
    cases = 0
    for seed in range(15):
        rng = random.Random(seed)
        instants = [START - 2 * DAY, START - DAY, datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)]
        instants += [START - rng.uniform(0, 47) * HOUR for _ in range(3)]
        instants += [instants[-1].replace(microsecond=0), instants[-1].replace(microsecond=999_000)]
        times = {f"r{place}-{k}": at for place, at in enumerate(instants) for k in range(rng.choice([1, 2, 40, 49]))}
        times |= {f"sixty-{k}": START - 5 * HOUR for k in range(60)}
        api, lake = kind({"": times, "test": dict(times)} if name == "checkly" else {"test": times}, page_rows=rows), Memory()
        asyncio.run(lake.crawl(provider, api, START, settings=NO_DETAILS))
        for endpoint in (ROWS, RESULTS) if name == "checkly" else (DATADOG_ROWS,):
            assert set(lake.known[endpoint]) == set(times)
        assert lake.missed == lake.twice == []
        cases += len(times)
    record_property("cases", cases)


@pytest.mark.fault("P6")
def test_a_crowded_second_is_read_whole_or_told_as_a_gap_and_all_around_it_is_read(record_property: Record) -> None:
    cases = 0
    for crowd in (1, 60, 149, 150, 151, 299, 300, 301, 1000):
        for offset in (timedelta(milliseconds=1), HOUR / 2 + timedelta(milliseconds=500), HOUR / 2, HOUR - SECOND):
            crowded = START - offset
            times = {f"r{n}": crowded for n in range(crowd)} | {f"o{n}": START - (n + 0.3) * HOUR / 60 for n in range(1, 59)}
            api, lake = Datadog({"test": times, "other": {"x": crowded}}, page_rows=150), Memory()
            asyncio.run(lake.crawl(datadog.PROVIDER, api, START, since=START - HOUR, settings=NO_DETAILS))
            lost = set(times) - set(lake.known[DATADOG_ROWS])
            gaps = {missed.event_at for missed in lake.missed}
            assert gaps >= {times[name].replace(microsecond=0) for name in lost}
            assert gaps <= {crowded.replace(microsecond=0) - k * SECOND for k in (0, 1)}
            assert gaps == set() or crowd >= 150
            assert [getattr(missed.error, "rule", "") for missed in lake.missed] == ["crowded"] * len(gaps)
            assert lake.spans[DATADOG_ROWS, "test"] == lake.spans[DATADOG_ROWS, "other"] == [(START - HOUR, START)]
            assert len(api.lists()) <= 8
            cases += 1
    record_property("cases", cases)


@pytest.mark.fault("P6")
def test_a_crowded_second_is_an_alert_once_a_gap_for_good_and_costs_later_syncs_nothing(tmp_path: Path) -> None:
    crowded = START - 3 * HOUR
    crowd = {f"r{n}": crowded for n in range(200)} | {"later": START - HOUR, "before": crowded - HOUR}
    api, calm = Datadog({"test": crowd}, page_rows=150), Datadog({"test": {"later": START - HOUR}}, page_rows=150)
    requests = []
    for now in (START, START + HOUR, START + 2 * DAY, START + 2 * DAY + HOUR):
        house = _house(tmp_path / "crowded", "datadog", VirtualClock(now))
        report = _pull(house, api)
        assert (report.error is not None) == (now == START)
        holes = read_status(house.settings, house.settings.providers, house.clock)["datadog"].holes
        assert [(hole.scope, hole.from_at, hole.to_at) for hole in holes] == [("test", crowded - SECOND, crowded + SECOND)]
        calm_report = _pull(_house(tmp_path / "calm", "datadog", VirtualClock(now)), calm)
        requests.append((report.requests, calm_report.requests))
    house.refresh()
    gaps = house.ask("SELECT provider, test_id, gap_start_at, gap_end_at FROM meta.gaps")
    assert gaps == [("datadog", "test", crowded - SECOND, crowded + SECOND)]
    assert house.ask("SELECT DISTINCT rule, resolved_at FROM meta.rejects") == [("crowded", None)]
    assert "than can be read: a gap" in str(_first_error(tmp_path / "crowded"))
    assert [with_crowd - without for with_crowd, without in requests] == [3, 3, 3, 0]  # as long as the lookback lists it
    assert house.ask("SELECT count(*) FROM core.results WHERE result_id IN ('later', 'before')") == [(2,)]


def _first_error(home: Path) -> object:
    return Lake(home / "lake").syncs().sort_by("started_at")["error"][0]


# --- windows, units, clocks -----------------------------------------------------------------------------------------------

SETTINGS = {
    "checkly": {"CHECKLY_API_KEY": "cu_0123456789", "CHECKLY_ACCOUNT_ID": "account"},
    "datadog": {"DD_API_KEY": "api-key-0123", "DD_APP_KEY": "app-key-0123", **NO_DETAILS},
}


def _house(home: Path, name: str, clock: VirtualClock, **environ: str) -> House:
    return House(home, None, (name,), {**SETTINGS[name], **environ}, clock)


def _pull(house: House, api: Api, **window: datetime) -> PullReport:
    (name,) = house.only
    provider, sync_id = house.settings.configured()[name], f"{house.clock.now():%Y%m%dT%H%M%S}-00000001"
    return asyncio.run(pull(provider, house.settings, house.clock, sync_id=sync_id, transport=api.transport(), **window))


def _history(house: House) -> LakeHistory:
    (provider,) = house.settings.configured().values()
    return read_history(Lake(house.settings.lake), provider, house.clock.now(), 14 * DAY, lambda run: None)


def _every(step: timedelta, since: datetime, until: datetime, name: str) -> dict[str, datetime]:
    return {f"{name}-{n}": since + n * step for n in range((until - since) // step)}


@pytest.mark.fault("P7", "P8")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_a_backfill_of_30_days_always_sends_both_ends_in_the_right_unit_and_loses_no_row(
    tmp_path: Path, name: str, record_property: Record
) -> None:
    times = _every(5 * HOUR, START - 30 * DAY + HOUR, START, "r")
    api = Checkly({"": times, "check": dict(times)}) if name == "checkly" else Datadog({"test": times}, page_rows=150)
    house = _house(tmp_path, name, VirtualClock(START), RESULTHOUSE_START_DAYS="30")
    assert _pull(house, api).error is None
    for endpoint in (ROWS, RESULTS) if name == "checkly" else (DATADOG_ROWS,):
        assert set(_history(house).landed(endpoint)) == set(times)
    low, high, unit = ("from", "to", 1) if name == "checkly" else ("from_ts", "to_ts", 1000)
    lists = api.lists()
    assert all({low, high} <= set(query) for query in lists)
    for query in lists:
        assert START - 31 * DAY <= datetime.fromtimestamp(int(query[low]) / unit, UTC) <= START
        assert START - 31 * DAY <= datetime.fromtimestamp(int(query[high]) / unit, UTC) <= START
        assert int(query[low]) <= int(query[high])
    record_property("cases", len(lists))


@pytest.mark.fault("P8")
def test_seconds_for_milliseconds_and_the_reverse_are_found_for_every_instant(record_property: Record) -> None:
    rng = random.Random(8)
    first, last = datetime(2015, 1, 1, tzinfo=UTC).timestamp(), (START + DAY).timestamp()
    seconds = [rng.uniform(first, last) for _ in range(1000)]
    for instant in seconds:
        for wrong in (instant, instant * 1e6):  # seconds, or microseconds, where milliseconds are meant
            assert plausible_date(from_ms_epoch(wrong), START) is None
        assert plausible_date(from_ms_epoch(instant * 1000), START) is not None
        assert as_instant(str(int(instant))) is None  # a number where ISO-8601 is meant
        assert as_instant(str(int(instant * 1000))) is None
    column = pl.col("at")
    frame = pl.DataFrame({"at": seconds}).select(
        right=from_epoch_ms(column * 1e3), s=from_epoch_ms(column), us=from_epoch_ms(column * 1e6), ns=from_epoch_ms(column * 1e9)
    )
    assert frame.null_count().row(0) == (0, 1000, 1000, 1000)
    record_property("cases", 4 * len(seconds))


class _Wrong(VirtualClock):
    """A clock that is `off` from the truth, and from its `jumps_at`-th reading on once more so far back."""

    def __init__(self, truth: datetime, off: timedelta, jumps_at: int | None = None) -> None:
        super().__init__(truth + off)
        self._left, self._jump = jumps_at, timedelta(0)

    def now(self) -> datetime:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._jump, self._left = -HOUR, None
        return super().now() + self._jump


@pytest.mark.fault("P9", "D9")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_a_clock_that_is_off_by_days_or_jumps_back_costs_no_row(
    tmp_path: Path, name: str, record_property: Record, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = RESULTS if name == "checkly" else DATADOG_ROWS
    cases = [(off, None) for off in (HOUR, -HOUR, DAY, -DAY, 5 * DAY)] + [(timedelta(0), at) for at in (2, 5, 12)] + [(DAY, 3)]
    for number, (off, jumps_at) in enumerate(cases):
        times = _every(3 * HOUR, START - 2 * DAY, START + 5 * DAY, "r")
        api = Checkly({"": {}, "test": times}) if name == "checkly" else Datadog({"test": times})
        caplog.clear()
        for truth, is_wrong in ((START - HOUR, False), (START, True), (START + 2 * HOUR, False), (START + 70 * HOUR, False)):
            clock = _Wrong(truth, off, jumps_at) if is_wrong else VirtualClock(truth)
            house = _house(tmp_path / str(number), name, clock, RESULTHOUSE_START_DAYS="3")
            api.now = truth
            assert _pull(house, api).error is None
            if is_wrong:
                told = [record.getMessage() for record in caplog.records if "clock of this machine" in record.getMessage()]
                assert len(told) == 1 if off else len(told) <= 1
                assert all(covered.to_at <= truth + (HOUR / 12 if jumps_at is None else HOUR) for covered in _history(house).coverage())
        there = {result for result, at in times.items() if at <= START + 70 * HOUR}
        assert set(_history(house).landed(endpoint)) == there, (off, jumps_at)
    record_property("cases", len(cases))


# --- late, and too late ---------------------------------------------------------------------------------------------------


@pytest.mark.fault("P13")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_a_result_that_appears_hours_after_its_time_lands_inside_the_lookback(tmp_path: Path, name: str, record_property: Record) -> None:
    times = _every(HOUR, START - DAY, START, "r")
    api = Checkly({"": dict(times), "test": times}) if name == "checkly" else Datadog({"test": times})
    assert _pull(_house(tmp_path, name, VirtualClock(START)), api).error is None
    late = {f"late-{hours}": START - hours * HOUR for hours in (0.01, 1, 2, 6, 12, 23, 23.9)}
    for each in api.times.values():
        each |= late
    house = _house(tmp_path, name, VirtualClock(START + HOUR / 4))
    assert _pull(house, api).error is None
    for endpoint in (ROWS, RESULTS) if name == "checkly" else (DATADOG_ROWS,):
        assert set(_history(house).landed(endpoint)) >= set(late)
    record_property("cases", len(late))


@pytest.mark.fault("P16")
def test_what_the_providers_retention_took_while_nobody_synced_is_a_gap(tmp_path: Path) -> None:
    for now in (START - 70 * DAY, START):
        api = Datadog({"test": {f"r-{now:%j}": now - HOUR}})
        house = _house(tmp_path, "datadog", VirtualClock(now))
        assert _pull(house, api).error is None
    house.refresh()
    assert house.ask("SELECT provider, test_id, epoch(gap_start_at), epoch(gap_end_at), reason FROM meta.gaps") == [
        ("datadog", "test", (START - 70 * DAY).timestamp(), (START - 60 * DAY + FLOOR_MOVES).timestamp(), "not_covered")
    ]
    assert house.ask("SELECT count(*) FROM core.results") == [(2,)]
    api = Datadog({"test": {}})
    assert _pull(_house(tmp_path, "datadog", VirtualClock(START + HOUR)), api).error is None
    assert min(int(query["from_ts"]) for query in api.lists()) == (START - DAY).timestamp() * 1000  # what cannot be filled is not asked for


@pytest.mark.fault("P16")
def test_what_checklys_retention_may_have_taken_is_a_gap_and_asked_for_once(tmp_path: Path) -> None:
    for now in (START - 70 * DAY, START):
        times = {f"r-{now:%j}": now - HOUR}
        api = Checkly({"": times, "check": dict(times)})
        house = _house(tmp_path, "checkly", VirtualClock(now))
        assert _pull(house, api).error is None
    house.refresh()
    since, until = START - 70 * DAY, START - 30 * DAY
    assert house.ask("SELECT provider, test_id, gap_start_at, gap_end_at, reason FROM meta.gaps ORDER BY test_id") == [
        ("checkly", scope, since, until, "not_covered") for scope in ("", "check")
    ]
    assert min(int(query["from"]) for query in api.lists()) == (START - 71 * DAY).timestamp()  # it could still be there
    api = Checkly({"": {}, "check": {}})
    assert _pull(_house(tmp_path, "checkly", VirtualClock(START + HOUR)), api).error is None
    assert min(int(query["from"]) for query in api.lists()) == (START - DAY).timestamp()


@pytest.mark.fault("P7")
def test_windows_follow_one_another_without_a_seam() -> None:
    api, lake = Checkly({"": {}, "check": {}}), Memory()
    events = asyncio.run(lake.crawl(checkly.PROVIDER, api, START, since=START - 20 * DAY))
    for endpoint in (ROWS, RESULTS):
        spans = sorted((event.from_at, event.to_at) for event in events if isinstance(event, Covered) and event.endpoint == endpoint)
        assert spans[0][0] == START - 20 * DAY
        assert spans[-1][1] == START
        assert all(before[1] == after[0] for before, after in pairwise(spans))
