"""A refresh that is killed at any moment, or whose n-th write fails: the published file stands, the next refresh ends where an undisturbed
one does."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.errors import ResulthouseError
from pipelines.flows import load
from pipelines.flows.refresh import work_path
from pipelines.flows.track import track_lines
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from pipelines.warehouse.connect import open_work
from tests.faults.crash import FailingWrites, Snapshots, fast_folder, file_state, watched
from tests.support.clock import FixedDay
from tests.support.house import HOUSES, House, table_hashes

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
ENOUGH = 25
"""Kills at each named moment."""
FILES = 6
"""At least so many pulls have landed something since it was published."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


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


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """For so few rows DuckDB's threads would only wait for each other."""
    real = duckdb.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            duckdb, "connect", lambda *given, config=None, **options: real(*given, config={**(config or {}), "threads": 1}, **options)
        )
        yield


@pytest.fixture(scope="module")
def loading(folder: Path) -> Iterator[Loading]:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        loading = Loading(folder / "loading", server)
        first = House(loading.home, server, only=("docketqa",), clock=FixedDay(NOW))
        provider, lines = first.settings.providers["docketqa"], [json.dumps(line).encode() for line in server.executions("docketqa")]
        first.track()
        first.sync()
        loading.before = first.hashes()
        server.world.advance(LATER - NOW)
        lines = [line for each in server.executions("docketqa") if (line := json.dumps(each).encode()) not in lines]
        for number, line in enumerate(lines[:FILES]):
            first.clock = FixedDay(LATER + timedelta(minutes=number - FILES))
            track_lines(provider, first.settings, [line], first.clock, "track")
            assert first.pull()["docketqa"].landed
        HOUSES.clear()
        loaded = loading.copy(folder / "loaded")
        loaded.refresh()
        loading.after = loaded.hashes()
        assert loading.after != loading.before
        yield loading


@pytest.mark.fault("S1", "S10")
def test_refresh_killed_25_times_at_every_moment_is_made_good_by_the_next(
    loading: Loading, folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """What a kill leaves is loaded to the end, and those loads are killed, too; unless all of its moments were made good before, and what
    lies there is as something that was. Loads with a transaction per file and more publishing give every moment its kills."""
    kills = Kills(loading, folder)
    house = loading.copy(folder / "first")
    kills.refresh(house)
    named = set(kills.moments)
    with monkeypatch.context() as patch:
        patch.setattr(load, "BATCH_BYTES", 1)
        while min(kills.moments[name] for name in named if name.startswith(("before derive", "before INSERT"))) < ENOUGH:
            kills.refresh(loading.copy(folder / f"loaded-{kills.runs}"))
    for _ in range(ENOUGH):
        if min(kills.moments[name] for name in named) < ENOUGH:
            shutil.copy2(loading.home / "warehouse.duckdb", house.home)
            shutil.rmtree(house.home / "locks")  # as in what a kill leaves here: making it is a moment, too
            with closing(open_work(work_path(house.settings))) as connection:  # so that marts are built, too
                connection.execute("INSERT INTO stage.changed SELECT result_key, utc_date, test_id FROM core.results")
                connection.execute("INSERT INTO stage.changed_runs SELECT run_key FROM core.runs")
                connection.execute("CHECKPOINT")
            kills.refresh(house)
    assert kills.published == {"before", "after"}
    assert named <= kills.made_good
    assert len(named) >= 20, sorted(named)
    assert {kills.moments[name] for name in named} == {ENOUGH}, kills.moments
    record_property("cases", kills.moments.total())


@dataclass
class Kills:
    """Refreshes that are killed at every moment, and what has been made good of them."""

    loading: Loading
    folder: Path
    runs: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    published: set[str] = field(default_factory=set)
    """Which of the two published files stood when something was made good."""
    made_good: set[str] = field(default_factory=set)
    """Moments of which one kill at least was loaded to the end."""
    _good: set[object] = field(default_factory=set)
    _rows: dict[bytes, object] = field(default_factory=dict)

    def refresh(self, house: House) -> None:
        """Refresh to the right end, then make good what kills on the way would have left."""
        self.runs += 1
        snapshots = Snapshots(house.home, self.folder / f"states-{self.runs}", self.moments, enough=ENOUGH)
        with watched(house.home, snapshots):
            loaded = house.refresh().load
        assert loaded.files <= FILES  # whatever the kill left: what had been loaded before is not loaded again
        assert house.hashes() == self.loading.after
        assert not list(house.home.rglob("*.tmp*")) + list(house.home.rglob("*.wal"))
        for state, names in snapshots.states.items():
            seen = self._seen_by_the_next(state)
            if seen not in self._good or not self.made_good.issuperset(names):
                self._good.add(seen)
                self.made_good.update(names)
                self._make_good(state, names)
            shutil.rmtree(state)

    def _make_good(self, state: Path, names: list[str]) -> None:
        again = self.loading.house(state)
        stands = again.hashes()
        assert stands in (self.loading.before, self.loading.after), names
        self.published.add("after" if stands == self.loading.after else "before")
        self.refresh(again)
        HOUSES.remove(again)

    def _seen_by_the_next(self, home: Path) -> object:
        """All that the next refresh sees of a kill: which files lie there, the lake's bytes, the rows of both warehouses."""
        found = {
            path.relative_to(home).as_posix(): path for path in sorted(home.rglob("*")) if path.is_file() and path.parent.name != "locks"
        }
        lake = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items() if name.startswith("lake/"))
        assert "work/warehouse.duckdb.wal" not in found  # a work file is never thrown away for a log beside it
        return (
            *found,
            lake,
            self._rows_of(home / "warehouse.duckdb"),
            self._rows_of(home / "work" / "warehouse.duckdb") if "work/warehouse.duckdb" in found else None,
        )

    def _rows_of(self, path: Path) -> object:
        """A hash of every table's rows, but for the ids of loads; asked once of a file and its copies (`file_state`)."""
        written = file_state(path)
        if written not in self._rows:
            tables = table_hashes(path, ("core", "marts", "meta", "stage"))
            with duckdb.connect(str(path), read_only=True) as reader:
                is_loaded = tables.pop("meta.loads", None)
                ledger = reader.execute("SELECT * EXCLUDE (load_id) FROM meta.loads ORDER BY ALL").fetchall() if is_loaded else []
            self._rows[written] = repr((tables, ledger))
        return self._rows[written]


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
