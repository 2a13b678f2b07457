"""Another version of the house, or of DuckDB: tables of another format are made anew from the lake, files of older storage are used as they
are. Whatever cuts that short, the published file stands until the next one takes its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.flows.refresh import work_path
from pipelines.lake.store import Lake, RawRow
from pipelines.warehouse import ddl
from pipelines.warehouse.connect import open_published
from tests.faults.crash import Snapshots, fast_folder, watched
from tests.support.clock import FixedDay
from tests.support.house import HOUSES, House

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
FILES = 2
Record = Callable[[str, object], None]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In memory; and one thread: for so few rows DuckDB's would only wait for each other."""
    real = duckdb.connect
    monkeypatch.setattr(
        duckdb, "connect", lambda *given, config=None, **options: real(*given, config={**(config or {}), "threads": 1}, **options)
    )
    with fast_folder() as folder:
        yield folder


def _house(home: Path, hours: int = 0) -> House:
    """What is loaded again at another hour is dated otherwise, and so published again."""
    return House(home, None, ("docketqa",), clock=FixedDay(T0 + timedelta(days=1, hours=hours)))


def _land(house: House, *numbers: int) -> None:
    """A file per number, with the newest version of one run more."""
    for number in numbers:
        created, blueprint = (T0 + timedelta(minutes=number)).isoformat(), {"id": 1, "title": f"Title {number}", "type": "web"}
        run = {"id": number // 2, "status": ("running", "failed")[number % 2], "created_at": created, "blueprint_metadata": blueprint}
        row = RawRow(
            str(number // 2), None, date(2026, 11, 20), T0 + timedelta(hours=number), 200, "", json.dumps({"test_run": run}), "", 1
        )
        Lake(house.settings.lake).land("docketqa", "test_runs", [row], f"20261120T{number:06d}")


def _format(house: House) -> object:
    with closing(duckdb.connect(str(work_path(house.settings)))) as connection:
        return connection.execute("SELECT format FROM stage.format").fetchall()[0][0]


@pytest.mark.fault("S15")
def test_change_of_format_cut_short_at_any_step_leaves_the_published_file_and_either_version_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    """What a step leaves is taken up by the newer version, what the next one leaves by the older: both end with the same tables."""
    older, newer = ddl.FORMAT, "of the next version"
    house = _house(folder / "home")
    _land(house, *range(FILES))
    house.refresh()
    after = house.hashes()
    for path in (work_path(house.settings), house.settings.warehouse):
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE core.of_the_older AS SELECT 1 AS n")
    before = house.hashes()
    assert before != after
    monkeypatch.setattr(ddl, "FORMAT", newer)
    house = _house(folder / "home", hours=1)
    snapshots = Snapshots(house.home, folder / "states", enough=1)
    with watched(house.home, snapshots):
        assert house.refresh().load.files == FILES
    assert (house.hashes(), _format(house)) == (after, newer)

    published = set()
    for number, (state, names) in enumerate(snapshots.states.items()):
        version = (newer, older)[number % 2]
        monkeypatch.setattr(ddl, "FORMAT", version)
        left = _house(state, hours=2)
        stands = left.hashes()
        assert stands in (before, after), names
        published.add("before" if stands == before else "after")
        left.refresh()
        assert (left.hashes(), _format(left)) == (after, version), names
        assert not list(left.home.rglob("*.tmp*")) + list(left.home.rglob("*.wal")), names
        HOUSES.remove(left)
        shutil.rmtree(state)
    assert published == {"before", "after"}
    wanted = {"after unlink", "before CREATE TABLE", "before COMMIT", "after COMMIT", "before derive of results", "before CHECKPOINT"}
    assert snapshots.moments.keys() >= wanted | {"after CHECKPOINT", "copy half written", "before rename", "after rename"}
    record_property("cases", len(snapshots.states))


@pytest.mark.fault("S14")
def test_files_that_older_and_newer_versions_of_duckdb_have_written_are_read_and_loaded_further(
    folder: Path, record_property: Record
) -> None:
    """The least that 1.5 can write (as 0.10 to 1.1 did), that of 1.2, and the most: the formats that lie between are as these."""
    plain = _house(folder / "plain")
    _land(plain, *range(FILES))
    plain.refresh()
    homes = {version: folder / version for version in ("v0.10.2", "v1.2.0", "latest")}
    for home in homes.values():
        shutil.copytree(plain.home, home)
    before = plain.hashes()
    _land(plain, FILES)
    plain.refresh()
    storage = set()
    for version, home in homes.items():
        house = _house(home)
        for path in (work_path(house.settings), house.settings.warehouse):
            _write_as(path, version)
            storage.add(path.read_bytes()[12])
        with closing(open_published(house.settings.warehouse)) as connection:
            assert connection.execute("SELECT count(*) FROM marts.executions").fetchone() == (FILES // 2,)
        assert house.hashes() == before
        _land(house, FILES)
        report = house.refresh()
        assert (report.load.files, report.published) == (1, True), "the work file was used, not made anew"
        assert house.hashes() == plain.hashes(), version
    assert len(storage) == len(homes), "they differ in the version that stands in their header"
    record_property("cases", 2 * len(homes))


def _write_as(path: Path, version: str) -> None:
    copy = path.with_suffix(".copy")
    with closing(duckdb.connect()) as connection:
        connection.execute(f"ATTACH '{path}' AS ours (READ_ONLY); ATTACH '{copy}' AS other (STORAGE_VERSION '{version}')")
        connection.execute("COPY FROM DATABASE ours TO other")
    copy.replace(path)
