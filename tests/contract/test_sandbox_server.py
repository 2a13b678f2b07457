"""The sandbox server: what it mounts, prints, counts and lets a test break."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.sandbox.server import SandboxServer, discover
from pipelines.sandbox.world import World

NOW = datetime(2026, 11, 20, 9, 30, 15, 250_000, tzinfo=UTC)


def made_up_provider() -> ModuleType:
    async def thing(request: Request) -> Response:
        return JSONResponse({"id": request.path_params["thing_id"]})

    def app(world: World) -> Starlette:
        return Starlette(routes=[Route("/v1/things/{thing_id}", thing)])

    module = ModuleType("made_up")
    vars(module).update(
        app=app,
        env=lambda base_url: {"MADE_UP_API_URL": base_url, "MADE_UP_API_KEY": "not-a-secret"},
        executions=lambda world: [{"now": world.now.isoformat()}, {"text": "two\nlines"}],
    )
    return module


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(World(1, 7, NOW), modules={"made_up": made_up_provider()}) as running:
        yield running


def test_a_provider_is_mounted_under_its_name_and_its_settings_point_there(server: SandboxServer) -> None:
    assert server.env == {"MADE_UP_API_URL": f"{server.url}/made_up", "MADE_UP_API_KEY": "not-a-secret"}
    answer = httpx.get(f"{server.env['MADE_UP_API_URL']}/v1/things/7")
    assert (answer.status_code, answer.json()) == (200, {"id": "7"})
    assert httpx.get(f"{server.url}/other/v1/things/7").status_code == 404


def test_calls_are_counted_by_route_also_those_a_fault_answers(server: SandboxServer) -> None:
    for number in range(3):
        httpx.get(f"{server.url}/made_up/v1/things/{number}")
    httpx.get(f"{server.url}/made_up/elsewhere")
    server.faults.append(lambda request: Response("busy", 503))
    httpx.get(f"{server.url}/made_up/v1/things/9")
    assert server.requests == {("made_up", "GET /v1/things/{thing_id}"): 4, ("made_up", "GET (no route)"): 1}


def test_a_fault_answers_only_what_it_picks(server: SandboxServer) -> None:
    async def html(request: Request) -> Response | None:
        return Response("<html>", 502, media_type="text/html") if request.url.path.endswith("/2") else None

    server.faults.append(html)
    assert httpx.get(f"{server.url}/made_up/v1/things/1").json() == {"id": "1"}
    broken = httpx.get(f"{server.url}/made_up/v1/things/2")
    assert (broken.status_code, broken.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_a_body_shorter_than_announced_breaks_the_connection_and_nothing_else(server: SandboxServer) -> None:
    server.faults.append(lambda request: Response(b'{"id": "1', headers={"content-length": "5000"}))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/made_up/v1/things/1")
    server.faults.clear()
    assert httpx.get(f"{server.url}/made_up/v1/things/1").json() == {"id": "1"}


def test_time_moves_only_when_told_and_only_forward(server: SandboxServer) -> None:
    answer = httpx.post(f"{server.url}/_sandbox/advance?seconds=90.5")
    assert answer.json() == {"now": (NOW + timedelta(seconds=90.5)).isoformat()}
    for bad in ("-1", "soon", "", "nan", "inf", "1e300"):
        assert httpx.post(f"{server.url}/_sandbox/advance?seconds={bad}").status_code == 400
    assert httpx.get(f"{server.url}/_sandbox/advance?seconds=1").status_code == 404
    assert server.world.now == NOW + timedelta(seconds=90.5)


def test_executions_come_as_one_json_document_a_line(server: SandboxServer) -> None:
    answer = httpx.get(f"{server.url}/_sandbox/executions/made_up")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == server.executions("made_up") == [{"now": NOW.isoformat()}, {"text": "two\nlines"}]
    assert httpx.get(f"{server.url}/_sandbox/executions/unknown").status_code == 404


def test_a_provider_that_can_be_listed_keeps_no_executions() -> None:
    module = made_up_provider()
    del module.executions
    with SandboxServer(World(1, 7, NOW), modules={"made_up": module}) as running:
        answer = httpx.get(f"{running.url}/_sandbox/executions/made_up")
    assert (answer.status_code, answer.text) == (200, "")


def test_a_taken_port_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match=r"(?i)address"):
            SandboxServer(World(1, 7, NOW), port=taken.getsockname()[1], modules={})


def test_a_closed_server_answers_no_more() -> None:
    with SandboxServer(World(1, 7, NOW), modules={}) as running:
        url = running.url
        assert httpx.get(f"{url}/x").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_every_provider_folder_with_a_sandbox_is_found() -> None:
    assert "datadog" in discover()


def test_a_world_is_the_same_whatever_was_asked_before() -> None:
    one, other = World(3, 7, NOW), World(3, 7, NOW)
    one.rng("something", "else")
    assert one.rng("a", 1).random() == other.rng("a", 1).random() != other.rng("a", 2).random()
    assert one.uuid("a") == other.uuid("a") != World(4, 7, NOW).uuid("a")
    assert one.uuid("a")[14] == "4"


def test_history_is_anchored_to_the_minute_and_does_not_move() -> None:
    world = World(1, 7, NOW)
    world.advance(timedelta(hours=3))
    assert world.started_at == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert world.now_ms - world.started_ms == 3 * 3_600_000 + 15_250


@pytest.mark.parametrize("days", [0, 31])
def test_days_outside_1_to_30_are_refused(days: int) -> None:
    with pytest.raises(ValueError, match="1 to 30"):
        World(1, days, NOW)


def test_a_now_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="UTC offset"):
        World(1, 7, NOW.replace(tzinfo=None))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_served_alone_it_prints_settings_then_serves_until_a_signal(number: signal.Signals) -> None:
    code = (
        "import sys; from datetime import datetime, UTC\n"
        "from pipelines.sandbox.server import run_forever\n"
        "from pipelines.sandbox.world import World\n"
        "sys.exit(100 + run_forever(World(1, 1, datetime(2026, 11, 20, tzinfo=UTC))))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        settings: dict[str, str] = {}
        while "DATADOG_API_URL" not in settings:
            name, _, value = process.stdout.readline().strip().partition("=")
            assert name.isupper()
            settings[name] = value
        assert httpx.get(f"{settings['DATADOG_API_URL']}/api/v1/synthetics/tests").status_code == 403
        process.send_signal(number)
        hints = process.stderr.read()
        process.wait(timeout=20)
    assert process.returncode == 100 + number
    assert "Traceback" not in hints
