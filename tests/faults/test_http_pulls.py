"""HTTP faults in the middle of whole syncs of the sandbox: what came stands, nothing else is called covered, the next sync goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipelines.flows.pull import pull
from pipelines.lake.history import LakeHistory, read_history
from pipelines.lake.store import Lake
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from pipelines.warehouse import ddl
from pipelines.warehouse.books import write_books
from pipelines.warehouse.connect import open_work
from tests.support.clock import START, VirtualClock
from tests.support.house import House
from tests.support.scripted import Checkly, Datadog

Record = Callable[[str, object], None]
Landed = dict[str, set[str]]
HOUR = timedelta(hours=1)
SINCE = START - 2 * HOUR


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with serve(World(seed=11, days=1, now=START)) as server:
        yield server


@pytest.fixture
def server(running: SandboxServer) -> Iterator[SandboxServer]:
    running.faults.clear()
    yield running
    running.faults.clear()


def _house(home: Path, server: SandboxServer, name: str) -> House:
    house = House(home, server, (name,), {"RESULTHOUSE_CHECKLY_RUNS": "off", "RESULTHOUSE_DATADOG_DETAIL": "0.1"}, VirtualClock(START))
    house.track()
    return house


@pytest.fixture(scope="module")
def everything(running: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Landed]:
    """What an undisturbed sync of a provider lands, by endpoint."""

    @cache
    def of(name: str) -> Landed:
        house = _house(tmp_path_factory.mktemp(name), running, name)
        faults, running.faults[:] = running.faults[:], []
        assert house.pull(since=SINCE)[name].error is None
        running.faults[:] = faults
        return _landed(house)

    return of


def _history(house: House) -> LakeHistory:
    (provider,) = house.settings.configured(house.only).values()
    return read_history(Lake(house.settings.lake), provider, house.clock.now(), timedelta(days=14), lambda run: None)


def _landed(house: House) -> Landed:
    (provider,) = house.settings.configured(house.only).values()
    history = _history(house)
    return {endpoint.name: set(history.landed(endpoint.name)) for endpoint in provider.endpoints}


@dataclass
class After:
    """A fault that begins with the n-th request and does not end by itself."""

    first: int
    response: Callable[[], Response]
    seen: int = field(default=0)

    def __call__(self, request: Request) -> Response | None:
        self.seen += 1
        return self.response() if self.seen > self.first else None


TROUBLES = {
    "401": lambda: JSONResponse({"errors": ["Unauthorized"]}, 401),
    "429": lambda: JSONResponse({"errors": ["Too many requests"]}, 429),
    "503": lambda: Response("down", 503, {"Retry-After": "30"}),
    "html": lambda: HTMLResponse("<html><body>Sign in</body></html>"),
    "empty": lambda: Response(b""),
    "cut": lambda: Response(b'{"half', headers={"Content-Length": "100"}),
}


@pytest.mark.parametrize("name", ["checkly", "datadog"])
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param("401", marks=pytest.mark.fault("H11")),
        pytest.param("429", marks=pytest.mark.fault("H1", "H6")),
        pytest.param("503", marks=pytest.mark.fault("H7")),
        pytest.param("html", marks=pytest.mark.fault("H19")),
        pytest.param("empty", marks=pytest.mark.fault("H20")),
        pytest.param("cut", marks=pytest.mark.fault("H14")),
    ],
)
def test_a_trouble_that_begins_midway_leaves_what_came_and_the_next_sync_brings_the_rest(
    tmp_path: Path, server: SandboxServer, everything: Callable[[str], Landed], name: str, trouble: str, record_property: Record
) -> None:
    whole = everything(name)
    cases = (0, 2, 9)
    for first in cases:
        house = _house(tmp_path / str(first), server, name)
        server.faults[:] = [After(first, TROUBLES[trouble])]
        report = house.pull(since=SINCE)[name]
        assert report.error is not None
        assert house.clock.now() <= START + HOUR
        partly = _landed(house)
        assert all(partly[endpoint] <= ids for endpoint, ids in whole.items())
        assert partly != whole
        assert first > 0 or _history(house).coverage() == []
        server.faults.clear()
        assert house.pull(since=SINCE)[name].error is None
        assert _landed(house) == whole
    record_property("cases", len(cases))


@pytest.mark.fault("H21")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
def test_a_list_that_was_refused_is_a_dead_letter_until_it_is_read_again(tmp_path: Path, name: str) -> None:
    at = {"a": START - HOUR}
    api = Checkly({"": {}, "check": at}) if name == "checkly" else Datadog({"test": at})
    environ = {
        "checkly": {"CHECKLY_API_KEY": "cu_0123456789", "CHECKLY_ACCOUNT_ID": "account"},
        "datadog": {"DD_API_KEY": "api-key-0123", "DD_APP_KEY": "app-key-0123", "RESULTHOUSE_DATADOG_DETAIL": "0"},
    }[name]
    house = House(tmp_path, None, (name,), environ, VirtualClock(START))
    books = open_work(tmp_path / "books.duckdb")
    ddl.create_all(books)

    def synced(minute: int, *, is_refused: bool) -> list[tuple[object, ...]]:
        house.clock = VirtualClock(START + minute * HOUR / 60)
        lists = ("/v1/checks", "/check-results/check", "/synthetics/tests", "/results")
        api.answered = lambda path, query: {"nothing": "of use"} if is_refused and path.endswith(lists) else None
        provider, sync_id = house.settings.configured()[name], f"20261122T12{minute:02}00-00000001"
        report = asyncio.run(pull(provider, house.settings, house.clock, sync_id=sync_id, transport=api.transport()))
        assert (report.error is not None) == is_refused
        lake = Lake(house.settings.lake)
        write_books(books, pl.DataFrame(lake.syncs()), pl.DataFrame(lake.refused()))
        return books.execute("SELECT endpoint, entity_id, rule, resolved_at FROM meta.rejects ORDER BY ALL").fetchall()

    ends = {"checkly": [("check_results", "check"), ("checks", "")], "datadog": [("api_result_rows", "test"), ("tests", "")]}[name]
    assert synced(0, is_refused=False) == []
    assert synced(1, is_refused=True) == [(*end, "refused", None) for end in ends]
    assert synced(2, is_refused=False) == [(*end, "refused", START + HOUR / 30) for end in ends]
    told = Lake(house.settings.lake).refused(name).num_rows
    assert synced(3, is_refused=False) == [(*end, "refused", START + HOUR / 30) for end in ends]
    assert Lake(house.settings.lake).refused(name).num_rows == told == 4
    assert synced(4, is_refused=True) == [(*end, "refused", None) for end in ends]


@pytest.mark.fault("H9")
def test_a_refusal_of_one_id_is_told_and_all_others_land(
    tmp_path: Path, server: SandboxServer, everything: Callable[[str], Landed], record_property: Record
) -> None:
    whole = everything("docketqa")["test_runs"]
    statuses = dict(zip(sorted(whole), (400, 402, 404, 405, 409, 410, 422, 451), strict=False))

    def refuse(request: Request) -> Response | None:
        status = statuses.get(request.url.path.rsplit("/", 1)[-1])
        return None if status is None else JSONResponse({"errors": ["no"]}, status)

    house = _house(tmp_path / "refused", server, "docketqa")
    server.faults.append(refuse)
    reports, _ = house.sync()
    assert reports["docketqa"].error is not None
    assert _landed(house)["test_runs"] == whole - statuses.keys()
    gone = {run for run, status in statuses.items() if status in (404, 410)}
    assert set(house.ask("SELECT entity_id, rule FROM meta.rejects")) == {(run, "gone") for run in gone}
    assert {known.entity_id for known in _history(house).due("test_runs")} >= statuses.keys() - gone

    server.faults.clear()
    house.pull()
    assert _landed(house)["test_runs"] == whole - gone
    record_property("cases", len(statuses))


@pytest.mark.fault("H12")
def test_a_test_that_the_key_may_not_read_is_named_and_the_others_go_on(
    tmp_path: Path, server: SandboxServer, everything: Callable[[str], Landed]
) -> None:
    whole = everything("datadog")
    forbidden = min(whole["tests"])

    def refuse(request: Request) -> Response | None:
        return JSONResponse({"errors": ["Forbidden"]}, 403) if f"/{forbidden}/results" in request.url.path else None

    house = _house(tmp_path / "refused", server, "datadog")
    server.faults.append(refuse)
    assert forbidden in str(house.pull(since=SINCE)["datadog"].error)
    house.refresh()
    parents = {known.parent_id for endpoint in whole for known in _history(house).landed(endpoint).values()} - {None}
    assert forbidden not in parents
    assert len(parents) > 5
    assert house.ask("SELECT DISTINCT entity_id, rule FROM meta.rejects WHERE resolved_at IS NULL") == [(forbidden, "forbidden")]

    server.faults.clear()
    assert house.pull(since=SINCE)["datadog"].error is None
    assert _landed(house) == whole


@pytest.mark.fault("H21")
@pytest.mark.parametrize("name", ["checkly", "datadog", "docketqa", "applitools"])
def test_no_answer_of_another_shape_lands_or_covers_anything(
    tmp_path: Path, server: SandboxServer, everything: Callable[[str], Landed], name: str, record_property: Record
) -> None:
    whole = everything(name)
    routes = {route.split(" ", 1)[1] for provider, route in server.requests if provider == name}
    shapes = [  # the first is a session whose results are no list
        b'{"results":7,"status":"PASSED","data":7}',
        b"7",
        b'"x"',
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'{"errors":["x"]}',
        b"[7]",
        b'{"data":7,"results":7,"entries":7,"tests":7}',
        b"[[]]",
    ]
    cases = 0
    for turn, route in enumerate(sorted(routes)):
        asked = 9 * turn

        def odd(request: Request, route: str = route) -> Response | None:
            nonlocal asked
            if not _is(route, request.url.path.removeprefix(f"/{name}")):
                return None
            asked += 1
            return Response(shapes[asked // 3 % len(shapes)], media_type="application/json")

        house = _house(tmp_path / str(cases), server, name)
        server.faults[:] = [odd]
        report = house.pull(since=SINCE)[name]
        cases += asked - 9 * turn
        assert report.error is not None, route
        partly = _landed(house)
        assert any(partly[endpoint] < ids for endpoint, ids in whole.items()), route
        assert all(partly[endpoint] <= ids for endpoint, ids in whole.items()), route
        server.faults.clear()
        assert house.pull(since=SINCE)[name].error is None
        assert _landed(house) == whole
    record_property("cases", cases)


def _is(route: str, path: str) -> bool:
    parts, names = path.strip("/").split("/"), route.strip("/").split("/")
    return len(parts) == len(names) and all(name.startswith("{") or name == part for part, name in zip(parts, names, strict=True))
