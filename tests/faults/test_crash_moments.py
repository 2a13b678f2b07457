"""A run that dies at any moment, or whose n-th write fails, loses nothing: the next one ends where an undisturbed one does."""

from __future__ import annotations

import errno
import itertools
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from duckdb import connect

from pipelines.errors import LakeError, ResulthouseError
from pipelines.lake import files
from pipelines.lake.history import read_history
from pipelines.lake.store import Lake
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from tests.faults.crash import FailingWrites, Snapshots, fast_folder, watched
from tests.support.clock import FixedDay
from tests.support.house import HOUSES, House, table_hashes

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
SINCE = NOW - timedelta(minutes=12)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = fast_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        yield server


@pytest.fixture(autouse=True)
def _one_mask_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every home makes the same key, so that what is masked can be compared."""
    real = secrets.token_bytes
    monkeypatch.setattr(secrets, "token_bytes", lambda size=None: b"k" * 32 if size == 32 else real(size))


def landing(home: Path, server: SandboxServer) -> House:
    """A home that is about to track and pull: a provider with lists and windows, one with tracked runs and read tokens."""
    house = House(home, server, only=("checkly", "docketqa"), clock=FixedDay(NOW))
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


@pytest.fixture(scope="module")
def undisturbed(folder: Path, server: SandboxServer) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda size=None: b"k" * (size or 32))
        house = landing(folder / "undisturbed", server)
        track(house)
        pull(house)
        return landed(house)


@pytest.mark.fault("S1", "S11")
def test_pull_killed_at_any_moment_is_made_good_by_the_next(
    server: SandboxServer, folder: Path, undisturbed: list[Any], record_property: Any
) -> None:
    house = landing(folder / "killed", server)
    tracking, pulling = Snapshots(house.home, folder / "tracking"), Snapshots(house.home, folder / "pulling")
    for snapshots, step in ((tracking, track), (pulling, pull)):
        snapshots.look = lambda: none_is_half_written(house)
        with watched(house.home, snapshots):
            step(house)
    assert landed(house) == undisturbed
    for state, moments in (tracking.states | pulling.states).items():
        again = landing(state, server)
        if state in tracking.states:
            track(again)
        pull(again)
        assert landed(again) == undisturbed, moments
        none_is_half_written(again)
        shutil.rmtree(state)
    moments = tracking.moments + pulling.moments
    assert len(moments) >= 13, sorted(moments)
    record_property("cases", moments.total())


def none_is_half_written(house: House) -> None:
    for path in files.find(house.home / "lake"):
        assert files.verify(path), path


@pytest.mark.fault("S4")
def test_pull_whose_nth_write_fails_is_made_good_by_the_next(
    server: SandboxServer, folder: Path, undisturbed: list[Any], record_property: Any
) -> None:
    errors = itertools.cycle((errno.ENOSPC, errno.EIO, errno.EDQUOT))
    for number in itertools.count(1):
        house = landing(folder / f"failing-{number}", server)
        house.only = ("docketqa",)
        fails = FailingWrites(number, next(errors))
        is_tracked = False
        with suppress(LakeError, OSError), watched(house.home, fails):
            track(house)
            is_tracked = True
            pull(house)
        none_is_half_written(house)
        assert not list(house.home.rglob(f"{files.TEMPORARY_PREFIX}*"))
        if fails.writes < number:
            break
        if not is_tracked:
            track(house)
        pull(house)
        assert [row for row in undisturbed if "checkly" not in row] == landed(house), number
        shutil.rmtree(house.home)
    assert number > 30
    record_property("cases", number - 1)


# --- from the lake to the published file ---------------------------------------------------------------------------------


@dataclass
class Loading:
    """A home whose lake has grown since it was published, what is published now, and what is to be published."""

    home: Path
    server: SandboxServer
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)

    def copy(self, home: Path) -> House:
        shutil.copytree(self.home, home, symlinks=True)
        return self.house(home)

    def house(self, home: Path) -> House:
        return House(home, self.server, only=("docketqa",), clock=FixedDay(LATER))


@pytest.fixture(scope="module")
def loading(folder: Path) -> Iterator[Loading]:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        loading = Loading(folder / "loading", server)
        first = House(loading.home, server, only=("docketqa",), clock=FixedDay(NOW))
        first.track()
        first.sync()
        loading.before = first.hashes()
        server.world.advance(LATER - NOW)
        first.clock = FixedDay(LATER)
        first.track()
        assert first.pull()["docketqa"].landed
        HOUSES.clear()
        loaded = loading.copy(folder / "loaded")
        loaded.refresh()
        loading.after = loaded.hashes()
        assert loading.after != loading.before
        yield loading


@pytest.mark.fault("S1", "S10")
def test_refresh_killed_at_any_moment_is_made_good_by_the_next(loading: Loading, folder: Path, record_property: Any) -> None:
    house = loading.copy(folder / "refreshed")
    snapshots = Snapshots(house.home, folder / "refreshes")
    snapshots.look = lambda: published_is_whole(house)
    with watched(house.home, snapshots):
        house.refresh()
    assert house.hashes() == loading.after
    published: set[str] = set()
    for state, moments in snapshots.states.items():
        again = loading.house(state)
        stands = table_hashes(again.settings.warehouse, ("core", "marts"))
        assert stands in (loading.before, loading.after), moments
        published.add("after" if stands == loading.after else "before")
        again.refresh()
        assert again.hashes() == loading.after, moments
        assert not list(state.rglob("*.tmp*")) + list(state.rglob("*.wal")), moments
        HOUSES.remove(again)
        shutil.rmtree(state)
    assert published == {"before", "after"}
    assert len(snapshots.moments) >= 20, sorted(snapshots.moments)
    record_property("cases", snapshots.moments.total())


def published_is_whole(house: House) -> None:
    with connect(str(house.settings.warehouse), read_only=True) as reader:
        assert (reader.execute("SELECT count(*) FROM core.results").fetchone() or (0,))[0] > 0


@pytest.mark.fault("S4")
def test_refresh_whose_nth_write_fails_leaves_the_published_file(loading: Loading, folder: Path, record_property: Any) -> None:
    house = loading.copy(folder / "full")
    errors = itertools.cycle((errno.ENOSPC, errno.EIO, errno.EDQUOT))
    for number in itertools.count(1):
        fails = FailingWrites(number, next(errors))
        with suppress(ResulthouseError), watched(house.home, fails):
            house.refresh()
        if fails.writes < number:
            break
        assert table_hashes(house.settings.warehouse, ("core", "marts")) in (loading.before, loading.after)
        assert not list(house.settings.warehouse.parent.glob(".*.tmp*")), number
    assert house.hashes() == loading.after
    assert number > 4
    record_property("cases", number - 1)
