"""What the disk and other processes do to a home: damage, foreign files, no room, no permission, two at once. Nothing is lost silently."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.requests import Request

from pipelines.clock import SystemClock
from pipelines.errors import BusyError, LakeError, SettingsError, WarehouseError
from pipelines.flows.preflight import check_folders
from pipelines.flows.pull import pull
from pipelines.lake.store import Lake
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from pipelines.warehouse import connect
from pipelines.warehouse.connect import open_published, open_work, wal
from tests.faults.crash import fast_folder
from tests.support.clock import FixedDay, VirtualClock
from tests.support.house import HOUSES, House, table_hashes

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=30)
TABLES = ("core", "marts")


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(World(seed=11, days=1, now=NOW)) as server:
        yield server


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def synced(server: SandboxServer, folder: Path) -> tuple[Path, dict[str, str]]:
    """A home of two providers that has been synced once, and what its tables hold."""
    house = House(folder / "synced", server, only=("checkly", "docketqa"), clock=FixedDay(NOW))
    house.track()
    house.pull(since=SINCE)
    house.refresh()
    HOUSES.clear()
    return house.home, house.hashes()


@pytest.fixture
def house(synced: tuple[Path, dict[str, str]], server: SandboxServer, folder: Path) -> Iterator[House]:
    """A copy of it."""
    home = folder / f"copy-{time.monotonic_ns()}"
    shutil.copytree(synced[0], home)
    yield House(home, server, only=("checkly", "docketqa"), clock=FixedDay(NOW))
    shutil.rmtree(home)


def work_of(house: House) -> Path:
    return house.home / "work" / "warehouse.duckdb"


# --- S5: places that cannot be written --------------------------------------------------------------------------------------


@pytest.mark.fault("S5")
def test_place_that_cannot_be_written_is_named_before_any_request(server: SandboxServer, tmp_path: Path, record_property: Any) -> None:
    for name in ("file", "home", "lake"):
        (tmp_path / name).mkdir()
    (tmp_path / "file" / "plain").write_text("a file")
    (tmp_path / "home" / "private").write_text("a file")
    (tmp_path / "lake" / "raw").write_text("a file")
    foreign = tmp_path / "thesis.duckdb"
    foreign.write_text("not a warehouse at all")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        "RESULTHOUSE_HOME": [tmp_path / "file" / "plain", tmp_path / "file" / "plain" / "x", tmp_path / "home", Path("/proc/nowhere")],
        "RESULTHOUSE_LAKE": [tmp_path / "lake", "/sys/nowhere", "s3://bucket/lake"],
        "RESULTHOUSE_WAREHOUSE": [
            tmp_path,
            foreign,
            tmp_path / "file" / "plain" / "w.duckdb",
            "/proc/nowhere/w.duckdb",
            "/dev/null",
            tmp_path / "pipe",
        ],
        "RESULTHOUSE_REPORT": [tmp_path, foreign, "/proc/nowhere/report.html", "s3://bucket/report.html", "/dev/full", tmp_path / "pipe"],
    }
    server.requests.clear()
    for name, places in cases.items():
        for place in places:
            house = House(tmp_path / "good", server, environ={name: str(place)})
            house.is_damaged = True
            with pytest.raises(SettingsError, match=name):
                check_folders(house.settings)
    assert foreign.read_text() == "not a warehouse at all"
    assert not server.requests
    record_property("cases", sum(map(len, cases.values())))


@pytest.mark.fault("S5")
def test_read_only_folders_are_named_before_any_request(house: House) -> None:
    settings = house.settings
    check_folders(settings)
    parts = [house.home, house.home / "lake", house.home / "lake" / "raw", house.home / "private", house.home / "work"]
    is_root = os.geteuid() == 0
    for folder in (house.home.parent, house.home, house.home / "lake"):
        folder.chmod(0o777)
    for part in parts:
        part.chmod(0o555)
        if is_root:  # to whom every folder is writable
            os.seteuid(65534)
        try:
            with pytest.raises(SettingsError, match="cannot be written"):
                check_folders(settings)
        finally:
            if is_root:
                os.seteuid(0)
            part.chmod(0o777)
    for path in (house.home, *house.home.rglob("*")):
        path.chmod(0o700)


# --- S6, S17: two at once ---------------------------------------------------------------------------------------------------


@pytest.mark.fault("S6")
def test_second_pull_of_a_provider_is_refused_while_one_runs(house: House, server: SandboxServer, record_property: Any) -> None:
    attempts, refused = 200, []
    provider, settings = house.settings.providers["checkly"], house.settings
    (house.home / "locks" / "pull-checkly.lock").write_text("left by a run that was killed")

    def another() -> None:
        for _ in range(attempts):
            try:
                asyncio.run(pull(provider, settings, house.clock, sync_id="second"))
            except BusyError as error:
                refused.append(str(error))

    async def others(request: Request) -> None:
        server.faults.remove(others)
        await asyncio.to_thread(another)

    server.faults.append(others)
    before = {file.name for file in Lake(settings.lake).raw_files()}
    house.clock = FixedDay(NOW + timedelta(minutes=1))
    assert asyncio.run(pull(provider, settings, house.clock, sync_id="first")).error is None
    assert len(refused) == attempts
    assert all(line.startswith(f"A sync of Checkly is already running: process {os.getpid()} on ") for line in refused)
    assert not [name for name in {file.name for file in Lake(settings.lake).raw_files()} - before if "second" in name]
    record_property("cases", attempts)


@pytest.mark.fault("S6", "S17")
def test_two_refreshes_at_once_load_everything_once(house: House, synced: tuple[Path, dict[str, str]]) -> None:
    work_of(house).unlink()
    house.settings.warehouse.unlink()
    reports: list[Any] = []
    both = [threading.Thread(target=lambda: reports.append(house.refresh())) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(report.load.files > 0 for report in reports) == [False, True]
    assert sorted(report.published for report in reports) == [False, True]
    assert house.hashes() == synced[1]


# --- S9: damaged files of the lake --------------------------------------------------------------------------------------------


@pytest.mark.fault("S9")
def test_every_flip_and_every_cut_of_a_lake_file_is_found(house: House, record_property: Any) -> None:
    rng, cases = random.Random(9), 1000
    lake = Lake(house.settings.lake)
    every = lake.raw_files()
    whole = {file.name: file.path.read_bytes() for file in every}
    for number in range(cases):
        file = every[number % len(every)]
        data = whole[file.name]
        place = rng.randrange(len(data))
        flipped = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        file.path.write_bytes(data[:place] if number % 10 == 0 else flipped)
        with pytest.raises(LakeError, match="damaged"):
            lake.read_raw(file)
        file.path.write_bytes(data)
        if number < len(every):
            lake.read_raw(file)
    record_property("cases", cases)


@pytest.mark.fault("S9")
def test_damaged_files_are_set_aside_and_fetched_again_and_the_others_load(house: House, synced: tuple[Path, dict[str, str]]) -> None:
    house.is_damaged = True
    lake = Lake(house.settings.lake)
    every = [file for file in lake.raw_files("checkly") if file.bytes]
    for number, file in enumerate(every[::2]):
        data = file.path.read_bytes()
        file.path.write_bytes([b"", data[: len(data) // 2], data[:200] + bytes([data[200] ^ 1]) + data[201:]][number % 3])
    foreign = every[1].path.with_name("part-0.parquet")
    shutil.copy2(every[1].path, foreign)
    report = house.refresh(rebuild=True)
    assert report.published
    assert len(report.load.damaged) == len(every[::2]) + 1
    assert sum("set aside" in line for line in report.load.damaged) == len(every[::2])
    assert sorted(path.name for path in lake.root.rglob("*.damaged")) == sorted(f"{file.path.name}.damaged" for file in every[::2])
    assert house.ask("SELECT count(*) FROM core.results WHERE provider = 'docketqa'") != [(0,)]
    foreign.unlink()
    for pulled in house.pull(since=SINCE).values():
        assert pulled.error is None
    assert not house.refresh().load.damaged
    assert house.hashes() == synced[1]


# --- S10, S14, S15: the work file ---------------------------------------------------------------------------------------------


@pytest.mark.fault("S10", "S14", "S15")
@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "header", "format", "log"])
def test_damaged_or_other_work_file_is_thrown_away_and_rebuilt(house: House, synced: tuple[Path, dict[str, str]], damage: str) -> None:
    work = work_of(house)
    data = work.read_bytes()
    if damage == "format":  # of another version of the house, or left by a change of format that was cut short
        with duckdb.connect(str(work)) as connection:
            connection.execute("UPDATE stage.format SET format = 'another'; DROP TABLE stage.drift")
    elif damage == "log":
        wal(work).write_bytes(b"the log of another file")
    else:
        header = data[:12] + bytes([99]) + data[13:]  # the version of the storage
        work.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "foreign": b"a text", "header": header}[damage])
    loaded = house.refresh().load
    if damage != "empty":  # an empty file is one that was just made
        assert loaded.files
    assert house.hashes() == synced[1]
    assert not wal(work).exists()


@pytest.mark.fault("S14")
@pytest.mark.parametrize("version", [1, 63, 69, 99, 255])
def test_published_file_of_another_version_is_a_sentence_and_is_published_anew(
    house: House, synced: tuple[Path, dict[str, str]], version: int
) -> None:
    """Left by a version of DuckDB that writes another storage format, newer or older than this one reads."""
    published = house.settings.warehouse
    data = published.read_bytes()
    published.unlink()
    published.write_bytes(data[:12] + version.to_bytes(8, "little") + data[20:])
    with pytest.raises(WarehouseError, match=r"^The warehouse \S+ cannot be opened: ") as caught:
        open_published(published)
    assert len(str(caught.value).splitlines()) == 1
    check_folders(house.settings)
    report = house.refresh()
    assert (report.load.files, report.published) == (0, True)
    assert house.hashes() == synced[1]


@pytest.mark.fault("S10")
def test_log_beside_the_work_file_is_never_replayed(tmp_path: Path, record_property: Any) -> None:
    work = tmp_path / "work.duckdb"
    with duckdb.connect(str(work)) as connection:
        connection.execute("CREATE TABLE t (n INT)")
        connection.execute("INSERT INTO t VALUES (1)")
        log = wal(work).read_bytes()
    cuts = [log[:place] for place in range(0, len(log), 3)] + [log[:place] + b"\xff" + log[place + 1 :] for place in range(0, len(log), 3)]
    for cut in [log, *cuts]:
        wal(work).write_bytes(cut)
        with pytest.raises(WarehouseError, match="not closed"):
            open_work(work)
    work.unlink()
    with open_work(work) as connection:  # a log alone belongs to nothing
        assert connection.execute("FROM duckdb_tables()").fetchall() == []
    record_property("cases", len(cuts) + 1)


@pytest.mark.fault("S10")
def test_flipped_work_file_never_reaches_a_reader(house: House, synced: tuple[Path, dict[str, str]], record_property: Any) -> None:
    data, rng, cases = work_of(house).read_bytes(), random.Random(10), 3
    for _ in range(cases):
        place = rng.randrange(4096, len(data))
        work_of(house).write_bytes(data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :])
        house.refresh()
        assert table_hashes(house.settings.warehouse, TABLES) == synced[1]
    house.refresh(rebuild=True)
    assert house.hashes() == synced[1]
    record_property("cases", cases)


# --- S4, S12: no room on the disk, in memory ------------------------------------------------------------------------------------


@pytest.mark.fault("S4")
def test_warehouse_without_room_halts_and_the_published_file_stays(
    house: House, synced: tuple[Path, dict[str, str]], record_property: Any
) -> None:
    """The system refuses every write beyond a size, DuckDB's own too: for the log, the work file and the copy in turn."""
    size, refused = house.settings.warehouse.stat().st_size, 0
    rooms = [0, 4096, 100_000, size // 4, size // 2, size * 7 // 8]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in rooms:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            house.refresh(rebuild=True)
        except WarehouseError:
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert table_hashes(house.settings.warehouse, TABLES) == synced[1]
        assert not list(house.home.glob(".*.tmp*")), room
    assert refused == len(rooms)
    house.refresh()
    assert house.hashes() == synced[1]
    record_property("cases", refused)


@pytest.mark.fault("S12")
def test_too_little_memory_halts_with_a_sentence_and_loses_nothing(
    house: House, synced: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = connect._prepared

    def small(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        prepared(connection).execute("SET temp_directory = ''; SET memory_limit = '3MB'")
        return connection

    with duckdb.connect(str(work_of(house))) as connection:  # as if nothing had been loaded
        for (table,) in connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall():
            if table not in ("stage.format", "meta.columns"):
                connection.execute(f"DELETE FROM {table}")
    with monkeypatch.context() as patch:
        patch.setattr(connect, "_prepared", small)
        with pytest.raises(WarehouseError, match="Out of Memory"):
            house.refresh()
    assert table_hashes(house.settings.warehouse, TABLES) == synced[1]
    house.refresh()
    assert house.hashes() == synced[1]


# --- S18: a host that slept -----------------------------------------------------------------------------------------------------


@pytest.mark.fault("S18")
def test_host_that_slept_in_the_middle_of_a_request_loses_nothing(
    server: SandboxServer, folder: Path, synced: tuple[Path, dict[str, str]]
) -> None:
    clock = VirtualClock(NOW)
    house = House(folder / "asleep", server, only=("checkly",), clock=clock)
    asked = iter(range(1000))

    def sleep(request: Request) -> None:
        if next(asked) == 5:
            clock.advance(7200)

    server.faults.append(sleep)
    try:
        assert "minutes for one sync are over" in str(house.pull(since=SINCE)["checkly"].error)
    finally:
        server.faults.remove(sleep)
    before = {file.name for file in Lake(house.settings.lake).raw_files()}
    assert house.pull(since=SINCE)["checkly"].error is None
    assert {file.name for file in Lake(house.settings.lake).raw_files()} > before
    house.refresh()
    awake = synced_ids(synced[0] / "warehouse.duckdb")
    assert synced_ids(house.settings.warehouse) == awake
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(SystemClock().monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5


def synced_ids(warehouse: Path) -> list[Any]:
    with duckdb.connect(str(warehouse), read_only=True) as reader:
        return reader.execute("SELECT result_id, outcome FROM core.results WHERE provider = 'checkly' ORDER BY ALL").fetchall()
