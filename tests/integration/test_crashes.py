"""A sync that is killed at any moment leaves nothing broken: the next one ends in the tables of an undisturbed one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.requests import Request

from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from tests.support.clock import FixedDay
from tests.support.house import House, table_hashes

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {"RESULTHOUSE_START_DAYS": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(server: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("undisturbed"), server, environ=ENVIRON, clock=FixedDay(NOW))
    house.track()
    house.sync()
    return house


def _beside(undisturbed: House, home: Path) -> House:
    """Another home with the same mask key and the same tracked runs: what it fetches is masked alike."""
    shutil.copytree(undisturbed.home / "private", home / "private")
    house = House(home, undisturbed.server, environ=ENVIRON, clock=FixedDay(NOW))
    house.track()
    return house


def _start(house: House) -> subprocess.Popen[bytes]:
    assert house.server is not None
    environ = {"PATH": os.environ["PATH"], **house.server.env, **ENVIRON}
    return subprocess.Popen([sys.executable, "-m", "tests.integration.run_sync", str(house.home), NOW.isoformat()], cwd=ROOT, env=environ)


def _kill_at_request(server: SandboxServer, number: int) -> tuple[Callable[[Request], None], list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    seen = iter(range(1, 1_000_000))

    def fault(request: Request) -> None:
        if next(seen) == number:
            processes[0].send_signal(signal.SIGKILL)

    server.faults.append(fault)
    return fault, processes


@pytest.mark.fault("S2")
@pytest.mark.parametrize("number", [150])
def test_kill_at_any_request_loses_nothing(server: SandboxServer, undisturbed: House, tmp_path: Path, number: int) -> None:
    house = _beside(undisturbed, tmp_path / "home")
    fault, processes = _kill_at_request(server, number)
    try:
        processes.append(_start(house))
        assert processes[0].wait(60) == -signal.SIGKILL
    finally:
        server.faults.remove(fault)
    reports, refreshed = house.sync()
    assert {name: report.error for name, report in reports.items()} == dict.fromkeys(reports)
    assert refreshed.published
    assert house.hashes(("core",)) == undisturbed.hashes(("core",))


@pytest.mark.fault("S2", "S10")
def test_kill_while_the_warehouse_is_written_leaves_the_last_published_one(undisturbed: House, tmp_path: Path) -> None:
    house = _beside(undisturbed, tmp_path / "home")
    house.only = ("docketqa",)
    house.sync()
    before = table_hashes(house.settings.warehouse, ("core",))
    house.only = ()
    process = _start(house)
    work = house.home / "work" / "warehouse.duckdb"
    untouched, deadline = work.stat().st_mtime_ns, time.monotonic() + 60
    while work.stat().st_mtime_ns == untouched and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert table_hashes(house.settings.warehouse, ("core",)) == before
    house.sync()
    assert house.hashes(("core",)) == undisturbed.hashes(("core",))
