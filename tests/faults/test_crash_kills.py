"""Real processes that are really killed at random times: the next sync ends where an undisturbed one does."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from duckdb import connect

from pipelines.lake import files
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from tests.faults.crash import fast_folder
from tests.faults.crash_host import HostOfSyncs
from tests.support.clock import FixedDay
from tests.support.house import HOUSES, House

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
KILLS, KILLS_OF_ONE_HOME = 100, 20
LONG = 10
"""So many more times the same number, with other seeds, are the long run."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


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
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, LONG + 1))])
def test_syncs_killed_at_random_again_and_again_end_where_an_undisturbed_one_does(
    grown: House, server: SandboxServer, folder: Path, seed: int, record_property: Any
) -> None:
    rng = random.Random(seed)
    with HostOfSyncs(server.env) as host:
        undisturbed = copied(grown, folder / f"undisturbed-{seed}")
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
        while killed < KILLS:
            house = copied(grown, folder / f"life-{seed}-{lives}")
            lives, code = lives + 1, -signal.SIGKILL
            for number in range(KILLS_OF_ONE_HOME):
                if code == 0 or killed == KILLS:
                    break
                started = time.monotonic()
                child = host.start(house.home, LATER, house.only)
                timer = threading.Timer(rng.uniform(0, durations[-1]), _kill, [child])
                timer.start()
                code = host.end()
                if code == 0 and number == 0:
                    durations.append(time.monotonic() - started)  # the machine has become faster: later ones would be killed too late
                timer.cancel()
                timer.join()
                assert code in (0, -signal.SIGKILL)
                killed += code != 0
                _nothing_is_half(house)
            if code != 0:
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
