"""The first load of a warehouse is derived once and its ledger written last: what a crash leaves of it is never taken for a whole one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.errors import WarehouseError
from pipelines.flows import load, refresh
from pipelines.flows.refresh import work_path
from pipelines.lake.store import Lake, RawFile, RawRow
from pipelines.warehouse.connect import Connection, open_work
from pipelines.warehouse.load import Source, is_unfinished, within_memory
from tests.support.house import House

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _land(house: House) -> None:
    """Results of one blueprint that was renamed once; the last file holds a newer version of the first result."""
    for number, title, status in ((1, "Old", "running"), (2, "Old", "passed"), (3, "New", "passed"), (1, "Old", "failed")):
        created = (T0 + timedelta(minutes=number)).isoformat()
        blueprint = {"id": 1, "title": title, "type": "integration"}
        run = {"id": number, "status": status, "test_blueprint_id": 1, "created_at": created, "blueprint_metadata": blueprint}
        at = T0 + timedelta(hours=1 + (status == "failed"))
        row = RawRow(str(number), None, date(2026, 11, 20), at, 200, "", json.dumps({"test_run": run}), "", 1)
        Lake(house.settings.lake).land("docketqa", "test_runs", [row], f"20261120T{number}{status}")


@pytest.mark.fault("S1")
@pytest.mark.parametrize("stopped_after", [1, 3, 4])
def test_first_load_in_many_transactions_that_stops_midway_ends_as_one_in_a_single_transaction(
    stopped_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """Two transactions are derived and put into the file together: it stops before any is, when half of it is, and when all is but the
    ledger."""
    monkeypatch.setattr(load, "BATCH_BYTES", 1)  # a transaction per file
    monkeypatch.setattr(load, "DERIVED_AT_ONCE", 2)
    monkeypatch.setattr(load, "KEPT_AT_ONCE", 2)
    house, undisturbed = House(tmp_path / "stopped", None), House(tmp_path / "undisturbed", None)
    for each in (house, undisturbed):
        _land(each)

    def stop(done: int, total: int) -> None:
        if done == stopped_after:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        refresh.refresh(house.settings, house.settings.providers, house.clock, progress=stop)
    with open_work(work_path(house.settings)) as connection:
        assert is_unfinished(connection)

    assert house.refresh().load.files == 4
    monkeypatch.undo()
    undisturbed.refresh()
    assert house.hashes(("core", "marts")) == undisturbed.hashes(("core", "marts"))
    assert house.ask("SELECT count(*), sum(payloads), sum(loaded), sum(superseded) FROM meta.loads") == [(4, 4, 3, 1)]
    with open_work(work_path(house.settings)) as connection:
        assert not is_unfinished(connection)
    record_property("cases", 1)


def _land_in_one_file(house: House) -> None:
    """The same in one raw file."""
    _land(house)
    lake = Lake(house.settings.lake)
    landed = [file for file in lake.raw_files("docketqa") if file.date == date(2026, 11, 20)]
    rows = [RawRow(**row) for file in landed for row in _rows(lake, file)]
    for file in landed:
        file.path.unlink()
    lake.land("docketqa", "test_runs", rows, "20261121T0")


def _rows(lake: Lake, file: RawFile) -> list[dict[str, Any]]:
    names = [each.name for each in fields(RawRow)]
    return [{name: row[name] for name in names} for row in lake.read_raw(file).to_pylist()]


@pytest.mark.parametrize("is_first", [True, False])
def test_file_that_is_larger_than_a_batch_is_decoded_in_parts_and_loaded_as_a_whole(
    is_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a warehouse that is not new in one transaction: what fails at its last part leaves nothing of it."""
    house, whole = House(tmp_path / "parts", None), House(tmp_path / "whole", None)
    for each in (house, whole):
        if not is_first:
            row = RawRow("9", None, date(2026, 11, 19), T0, 200, "", json.dumps({"test_run": {"id": 9, "status": "passed"}}), "", 1)
            Lake(each.settings.lake).land("docketqa", "test_runs", [row], "20261119T0")
            each.refresh()
        _land_in_one_file(each)
    whole.refresh()
    before = None if is_first else house.hashes(("core", "marts", "meta"))

    rounds: list[int] = []
    monkeypatch.setattr(load, "BATCH_BYTES", 2 * load.ROW_BYTES + 300)
    real = load.Loader.load_round

    def counted(self: load.Loader, source: Source, versions: pl.DataFrame, *rest: Any) -> None:
        rounds.append(versions.height)
        if fails and sum(rounds) == 4:
            raise WarehouseError("the last part")
        real(self, source, versions, *rest)

    monkeypatch.setattr(load.Loader, "load_round", counted)
    fails = not is_first
    if fails:
        with pytest.raises(WarehouseError, match="the last part"):
            house.refresh()
        assert house.hashes(("core", "marts", "meta")) == before
        with open_work(work_path(house.settings)) as connection:
            assert connection.execute("SELECT count(*) FROM meta.versions").fetchall() == [(1,)]
        rounds.clear()
        fails = False
    assert house.refresh().load.loaded["docketqa"] == 4
    assert len(rounds) > 1
    assert max(rounds) < 4
    assert house.hashes(("core", "marts")) == whole.hashes(("core", "marts"))
    counts = "SELECT raw_file, payloads, loaded, superseded, rejected FROM meta.loads ORDER BY raw_file"
    assert house.ask(counts) == whole.ask(counts)


@pytest.mark.fault("S12")
def test_batches_that_the_memory_bound_is_too_small_for_are_loaded_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house, undisturbed = House(tmp_path / "bound", None), House(tmp_path / "undisturbed", None)
    for each in (house, undisturbed):
        _land(each)
    undisturbed.refresh()
    short: list[bool] = []

    def counted(connection: Connection, step: Callable[[], object], bounds: Sequence[int]) -> None:
        def taken() -> None:
            short.append(False)
            step()
            short[-1] = True

        within_memory(connection, taken, bounds)

    monkeypatch.setattr(refresh, "MEMORY_MB", (1,))
    monkeypatch.setattr(load, "within_memory", counted)
    assert house.refresh().load.loaded["docketqa"] == 4
    assert False in short
    assert house.hashes(("core", "marts")) == undisturbed.hashes(("core", "marts"))


def test_sightings_that_say_the_same_again_make_no_version(tmp_path: Path) -> None:
    house = House(tmp_path, None)
    _land(house)
    house.refresh()
    names = "SELECT name, valid_from_at::VARCHAR, is_current FROM core.tests ORDER BY valid_from_at"
    found = house.ask(names)
    assert [(name, is_current) for name, _, is_current in found] == [("Old", False), ("New", True)]
    house.refresh(rebuild=True)
    assert house.ask(names) == found
