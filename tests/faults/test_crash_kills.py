"""Real processes that are really killed, at random times and by polite signals: the next sync ends where an undisturbed one does."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from duckdb import connect
from starlette.requests import Request

from pipelines.lake import files
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from tests.faults.crash import fast_folder
from tests.faults.crash_host import HostOfSyncs
from tests.support.clock import FixedDay
from tests.support.house import HOUSES, House

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
KILLS_OF_ONE_HOME = 15


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = fast_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        yield server


@pytest.fixture(scope="module")
def grown(server: SandboxServer, folder: Path) -> House:
    """A home that was synced once, before the world went on."""
    house = House(folder / "grown", server, only=("docketqa",), clock=FixedDay(NOW))
    house.track()
    house.sync()
    server.world.advance(LATER - NOW)
    house.clock = FixedDay(LATER)
    house.track()
    HOUSES.clear()
    return house


def copied(house: House, home: Path) -> House:
    shutil.copytree(house.home, home)
    return House(home, house.server, only=house.only, clock=house.clock)


@pytest.mark.fault("S2")
@pytest.mark.parametrize("kills", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_syncs_killed_at_random_again_and_again_end_where_an_undisturbed_one_does(
    grown: House, server: SandboxServer, folder: Path, kills: int, record_property: Any
) -> None:
    rng = random.Random(kills)
    with HostOfSyncs(server.env) as host:
        undisturbed = copied(grown, folder / f"undisturbed-{kills}")
        durations = []
        for _ in range(2):  # the first one imports what all need
            shutil.rmtree(undisturbed.home)
            undisturbed = copied(grown, undisturbed.home)
            started = time.monotonic()
            host.start(undisturbed.home, LATER, undisturbed.only)
            assert host.end() == 0
            durations.append(time.monotonic() - started)
        expected = undisturbed.hashes()
        assert expected != grown.hashes()
        killed, lives = 0, 0
        while killed < kills:
            house = copied(grown, folder / f"life-{kills}-{lives}")
            lives += 1
            for _ in range(KILLS_OF_ONE_HOME):
                child = host.start(house.home, LATER, house.only)
                timer = threading.Timer(rng.uniform(0, durations[1]), _kill, [child])
                timer.start()
                code = host.end()
                timer.cancel()
                timer.join()
                assert code in (0, -signal.SIGKILL)
                killed += code != 0
                _nothing_is_half(house)
                if code == 0:
                    break
            host.start(house.home, LATER, house.only)
            assert host.end() == 0
            assert house.hashes() == expected
            assert not list(house.home.glob(".*.tmp*"))
            shutil.rmtree(house.home)
            HOUSES.remove(house)
        HOUSES.remove(undisturbed)
    record_property("cases", killed)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _nothing_is_half(house: House) -> None:
    for path in files.find(house.home / "lake"):
        assert files.verify(path), path
    with connect(str(house.settings.warehouse), read_only=True) as reader:
        assert reader.execute("SELECT count(*) > 0 FROM core.results").fetchall() == [(True,)]


# --- the command line ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("S3", "S16")
def test_signals_end_a_sync_within_ten_seconds_and_the_next_one_goes_on(server: SandboxServer, folder: Path, record_property: Any) -> None:
    """SIGTERM and SIGINT while a request is answered, then `kill -9`, which leaves a run that Dagster takes for started."""
    home = folder / "signals"
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "RESULTHOUSE_HOME": str(home), **server.env}
    command = [sys.executable, "-m", "assets.cli", "sync", "--json", "--provider", "checkly"]
    codes, seconds = [], []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        asked, is_over = threading.Event(), threading.Event()

        async def fault(request: Request, asked: threading.Event = asked, is_over: threading.Event = is_over) -> None:
            asked.set()
            await asyncio.to_thread(is_over.wait, 30)

        server.faults.append(fault)
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert asked.wait(60)
        started = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        is_over.set()
        server.faults.remove(fault)
        seconds.append(time.monotonic() - started)
        codes.append(process.returncode)
        assert "Traceback" not in said, said
    assert codes == [143, 130, -signal.SIGKILL]
    assert max(seconds) < 10
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["published"] is True
    record_property("cases", len(codes))
