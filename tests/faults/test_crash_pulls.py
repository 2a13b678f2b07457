"""A pull that is killed at any moment, or whose n-th write fails, loses nothing: the next one ends where an undisturbed one does."""

from __future__ import annotations

import errno
import itertools
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ResulthouseError
from pipelines.lake import files
from pipelines.lake.history import read_history
from pipelines.lake.store import Lake
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from tests.faults.crash import FailingWrites, Snapshots, fast_folder, watched
from tests.support.clock import FixedDay
from tests.support.house import House

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=12)
ENOUGH = 25
"""Kills at each named moment."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def _one_mask_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every home makes the same key, so that what is masked can be compared."""
    real = secrets.token_bytes
    monkeypatch.setattr(secrets, "token_bytes", lambda size=None: b"k" * 32 if size == 32 else real(size))


def landing(home: Path, server: SandboxServer, only: tuple[str, ...] = ("checkly", "docketqa")) -> House:
    """A home that is about to track and pull: a provider with lists and windows, one with tracked runs and read tokens."""
    house = House(home, server, only=only, clock=FixedDay(NOW))
    house.is_damaged = True  # nothing is published, and a crashed one may hold what is half written
    return house


def landed(house: House) -> list[Any]:
    """What a lake holds, whatever its files are called: payload versions, coverage, tracked runs, read tokens.

    Versions count, but for those that `track` was fed: whoever feeds a line twice lands it twice, which changes no table.
    """
    lake, settings = Lake(house.settings.lake), house.settings
    held: list[Any] = []
    fed: set[Any] = set()
    for file in lake.raw_files():
        table = lake.read_raw(file, ["entity_id", "parent_id", "window_date", "fetched_at", "payload_sha256", "state", "event_at"])
        for row in table.to_pylist():
            (fed.add if row["fetched_at"] == NOW else held.append)((file.provider, file.endpoint, *row.values()))
    for name in house.only:
        history = read_history(lake, settings.providers[name], NOW, settings.review, lambda run: None)
        held += [(name, each) for each in history.coverage()]
        held += [(name, row["entity_id"]) for row in lake.tracked(name).to_pylist()]
    held += [path.name for path in (house.home / "private" / "tokens").glob("[!.]*")]
    return sorted(map(repr, [*held, *fed]))


def track(house: House) -> None:
    house.clock = FixedDay(NOW)
    house.track()


def pull(house: House) -> None:
    house.clock = FixedDay(NOW + timedelta(minutes=1))
    for name, report in house.pull(since=SINCE).items():
        assert report.error is None, name


def undisturbed(home: Path, server: SandboxServer, only: tuple[str, ...]) -> list[Any]:
    house = landing(home, server, only)
    track(house)
    pull(house)
    return landed(house)


@pytest.mark.fault("S1", "S11")
def test_pull_killed_25_times_at_every_moment_is_made_good_by_the_next(folder: Path, record_property: Any) -> None:
    """Two worlds of two providers give most moments often enough, ten of one provider those that come once in a lake's life."""
    moments: Counter[str] = Counter()
    for seed in range(11, 23):
        only = ("checkly", "docketqa") if seed < 13 else ("docketqa",)
        with serve(World(seed=seed, days=1, now=NOW)) as server:
            _killed_at_every_moment(folder / str(seed), server, only, moments)
        shutil.rmtree(folder / str(seed))
    assert len(moments) == 14, sorted(moments)
    assert set(moments.values()) == {ENOUGH}, moments
    record_property("cases", moments.total())


def _killed_at_every_moment(folder: Path, server: SandboxServer, only: tuple[str, ...], moments: Counter[str]) -> None:
    expected = undisturbed(folder / "undisturbed", server, only)
    house = landing(folder / "killed", server, only)
    tracking, pulling = (Snapshots(house.home, folder / name, moments, enough=ENOUGH) for name in ("tracking", "pulling"))
    for snapshots, step in ((tracking, track), (pulling, pull)):
        snapshots.look = lambda: none_is_half_written(house)
        with watched(house.home, snapshots):
            step(house)
    assert landed(house) == expected
    for state, names in (tracking.states | pulling.states).items():
        again = landing(state, server, only)
        if state in tracking.states:
            track(again)
        pull(again)
        assert landed(again) == expected, names
        none_is_half_written(again)
        shutil.rmtree(state)


def none_is_half_written(house: House) -> None:
    for path in files.find(house.home / "lake"):
        assert files.verify(path), path


@pytest.mark.fault("S4")
def test_pull_whose_nth_write_fails_is_made_good_by_the_next(folder: Path, record_property: Any) -> None:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        number = _failing_writes(folder, server)
    assert number > 30
    record_property("cases", number - 1)


def _failing_writes(folder: Path, server: SandboxServer) -> int:
    """How many runs it takes until the n-th write of one is none any more."""
    expected = undisturbed(folder / "undisturbed", server, ("docketqa",))
    errors = itertools.cycle((errno.ENOSPC, errno.EIO, errno.EDQUOT))
    for number in itertools.count(1):
        house = landing(folder / f"failing-{number}", server, ("docketqa",))
        fails = FailingWrites(number, next(errors))
        is_tracked = False
        with suppress(ResulthouseError, OSError), watched(house.home, fails):
            track(house)
            is_tracked = True
            pull(house)
        none_is_half_written(house)
        assert not list(house.home.rglob(f"{files.TEMPORARY_PREFIX}*"))
        if fails.writes < number:
            return number
        if not is_tracked:
            track(house)
        pull(house)
        assert landed(house) == expected, number
        shutil.rmtree(house.home)
    raise AssertionError("no end")
