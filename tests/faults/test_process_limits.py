"""Readers that open all the time, a system that has no more memory or files to give: the published file is whole at every moment."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.errors import WarehouseError
from pipelines.flows import load as flow
from pipelines.lake.history import read_history
from pipelines.lake.store import Lake, RawRow, Sync, Window
from pipelines.warehouse import load
from pipelines.warehouse.connect import Connection, open_published, open_work
from pipelines.warehouse.publish import publish
from tests.faults.other_run import OtherRun
from tests.support.house import House, table_hashes

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Record = Callable[[str, object], None]


def land(lake: Lake, sync_id: str, ids: range, padding: int = 0) -> None:
    """Rows of results as one raw file."""
    rows = []
    for number in ids:
        result = {"timings": {"total": 99.5}, "padding": "x" * padding}
        document = {"status": 0, "check_time": 1763640000123, "result_id": str(number), "result": result}
        rows.append(RawRow(str(number), "abc-def-ghi", NOW.date(), NOW, 200, None, json.dumps(document), "", 1))
    lake.land("datadog", "api_result_rows", rows, sync_id)


# --- S8: readers ------------------------------------------------------------------------------------------------------

READER = """
import sys, duckdb
path, each, publishes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
attach, ask = f"ATTACH '{path}' AS w (READ_ONLY)", "SELECT (SELECT max(n) FROM {0}meta.a), (SELECT count(*) FROM {0}meta.b)"
house, latest = duckdb.connect(":memory:", config={"threads": 1}), 1
for opens in range(each * publishes):
    if opens % 100 == 0:
        with duckdb.connect(path, read_only=True) as reader:
            (number, count), = reader.execute(ask.format("")).fetchall()
    else:
        house.execute(attach)
        if opens % 10 == 0:
            (number, count), = house.execute(ask.format("w.")).fetchall()
        house.execute("DETACH w")
    assert number == count >= latest, (number, count, latest)
    latest = number
    if opens % each == 0:
        print(number, flush=True)
"""
"""Opens the file as a reader does, and as one that attaches it to its own: half a load or a step back would end it."""


@pytest.mark.fault("S8")
def test_readers_that_open_all_the_time_never_fail_nor_hinder_a_publish(folder: Path, record_property: Record) -> None:
    publishes, each = 200, 50
    work, published = folder / "work.duckdb", folder / "warehouse.duckdb"
    writer = open_work(work)
    writer.execute("CREATE SCHEMA meta; CREATE TABLE meta.a (n INT); CREATE TABLE meta.b (n INT); CREATE SCHEMA stage")

    def load_and_publish(number: int) -> None:
        writer.execute("BEGIN; INSERT INTO meta.a VALUES (?)", [number])
        writer.execute("INSERT INTO meta.b VALUES (1)")
        writer.execute("COMMIT; CHECKPOINT")
        publish(work, published, 0o444)

    load_and_publish(1)
    patient = open_published(published)  # over all that follows
    command = [sys.executable, "-c", READER, str(published), str(each), str(publishes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        seen = []
        for number in range(2, publishes + 2):
            seen.append(reader.stdout.readline())  # fifty more opens, while the next one is published
            load_and_publish(number)
        _, failed = reader.communicate(timeout=60)
    assert (reader.returncode, failed) == (0, "")
    assert len({int(number) for number in seen}) > publishes / 4  # it did see them come
    assert patient.execute("SELECT max(n), count(*) FROM meta.a").fetchall() == [(1, 1)]
    patient.close()
    writer.close()
    assert table_hashes(published, ("meta",)).keys() == {"meta.a", "meta.b"}
    assert sorted(path.name for path in folder.iterdir()) == ["warehouse.duckdb", "work.duckdb"]
    record_property("cases", publishes * each)


# --- S12: memory ------------------------------------------------------------------------------------------------------

NO_THREAD_DATA = "127"
"""How the C library ends a process in which a thread finds no memory for its own data: at once, as an abort does, but by an exit code."""


@pytest.mark.fault("S12")
def test_memory_that_the_system_refuses_ends_a_load_and_the_next_one_does_all_of_it(folder: Path, record_property: Record) -> None:
    """With a sentence where the library that asked for it says so; one that aborts ends it like a killed process; none waits.

    Which of them asks first is chance."""
    house, rooms = House(folder / "home", None), [0, 50, 100, 200, 400]
    lake, per_file = Lake(house.settings.lake), 2000
    land(lake, "s0", range(10))
    house.refresh()
    before = house.hashes()
    for number in range(4):
        land(lake, f"s{number + 1}", range(number * per_file, (number + 1) * per_file), 2000)
    with OtherRun("refresh", house.home) as other:
        for megabytes in rooms:
            other.ask(megabytes * 1024 * 1024)
            code, _, said = other.answer().partition(" ")
            assert code in ("1", NO_THREAD_DATA) or int(code) < 0, (megabytes, code, said)
            assert int(code) != -signal.SIGALRM, megabytes
            assert not said or "emory" in said or "allocate" in said
            assert table_hashes(house.settings.warehouse, ("core", "marts")) == before
            assert not list(house.home.glob(".*tmp*"))
    house.refresh()
    assert house.ask("SELECT count(*) FROM core.results") == [(4 * per_file,)]
    after = house.hashes()
    house.refresh(rebuild=True)
    assert house.hashes() == after
    record_property("cases", len(rooms))


@pytest.mark.fault("S12")
def test_memory_that_duckdb_lacks_is_a_sentence_and_the_next_load_does_all_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(folder / "home", None)
    lake = Lake(house.settings.lake)
    land(lake, "s0", range(10))
    house.refresh()
    before = house.hashes()
    land(lake, "s1", range(10, 4000), 2000)
    with monkeypatch.context() as little:
        little.setattr(load, "_bound_memory", lambda connection, megabytes: connection.execute("SET memory_limit = '6MB'"))
        with pytest.raises(WarehouseError, match=r"^The warehouse could not be loaded: [^\n]* [(][0-9.]+ MiB/5[.]7 MiB used[)]$"):
            house.refresh()
    assert table_hashes(house.settings.warehouse, ("core", "marts")) == before
    house.refresh()
    assert house.ask("SELECT count(*) FROM core.results") == [(4000,)]


@pytest.mark.fault("S12")
def test_a_checkpoint_that_ran_out_of_its_bound_is_no_reason_to_load_less(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB gives a file up for this process whose checkpoint failed: the next attempt has all the memory there is."""
    house = House(folder / "home", None)
    lake = Lake(house.settings.lake)
    for number in range(3):
        land(lake, f"s{number}", range(number * 2000, (number + 1) * 2000), 2000)
    whole, bounds = load.within_memory, []

    def invalidating(connection: Connection, step: Callable[[], object], given: Sequence[int]) -> None:
        bounds.append(tuple(given))
        if given and len(bounds) == 3:
            connection.execute("SET memory_limit = '4MB'; CHECKPOINT")
        whole(connection, step, given)

    monkeypatch.setattr(flow, "within_memory", invalidating)
    house.refresh()
    assert set(bounds) == {load.MEMORY_MB, ()}
    assert house.ask("SELECT count(*) FROM core.results") == [(6000,)]
    assert house.ask("SELECT sum(payloads) FROM meta.loads") == [(6000,)]


# --- S13: open files --------------------------------------------------------------------------------------------------


@pytest.mark.fault("S13")
@pytest.mark.parametrize("syncs", [1000, pytest.param(9000, marks=pytest.mark.slow)])
def test_thousands_of_small_files_need_few_open_ones(folder: Path, syncs: int, record_property: Record) -> None:
    """Years of syncs: a file each of what they landed, what they covered and that they were."""
    house = House(folder / "home", None)
    lake, raw, windows = Lake(house.settings.lake), 200, 800
    for number in range(raw):
        land(lake, f"s{number:05}", range(number, number + 1))
    lake.write_windows("datadog", "api_result_rows", [Window("abc-def-ghi", NOW - timedelta(hours=1), NOW)], "w")
    lake.write_sync(Sync("w", "datadog", NOW, NOW))
    for place, count in (("windows/datadog/api_result_rows", windows), ("syncs", syncs)):
        (written,) = (lake.root / place).iterdir()
        for number in range(1, count):
            os.link(written, written.with_name(f"w{number:05}{written.name[1:]}"))  # a name says which bytes, and of which sync
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, opened + 64), before[1]))
    try:
        history = read_history(lake, house.settings.providers["datadog"], NOW, timedelta(days=7), lambda run: None)
        report = house.refresh()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(history.landed("api_result_rows")) == raw
    assert (report.load.files, report.load.damaged) == (raw, [])
    assert house.ask("SELECT count(*) FROM core.results") == [(raw,)]
    record_property("cases", raw + windows + syncs)
