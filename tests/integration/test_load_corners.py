"""Loading what does not come in order: endpoints that nobody knows any more, rounds in many transactions, bodies that were repaired."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.flows import load, refresh
from pipelines.lake.store import Lake, RawRow
from tests.support.house import House

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
Record = Callable[[str, object], None]


def _run(number: int, **changes: object) -> str:
    created = (T0 + timedelta(minutes=number)).isoformat()
    return json.dumps({"test_run": {"id": number, "status": "passed", "test_blueprint_id": 1, "created_at": created, **changes}})


def _land(
    house: House, number: int, *, endpoint: str = "test_runs", repairs: str | None = None, minute: int = 0, **changes: object
) -> None:
    row = RawRow(
        str(number), None, date(2026, 11, 20), T0 + timedelta(minutes=minute), 200, "", _run(number, **changes), "", 1, repairs=repairs
    )
    Lake(house.settings.lake).land("docketqa", endpoint, [row], f"20261120T{number:06d}{minute}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, None, ("docketqa",))


def test_a_folder_of_an_endpoint_that_is_not_known_is_named_and_hinders_no_other(house: House) -> None:
    _land(house, 1, endpoint="from_another_version")
    report = house.refresh()
    assert report.load.files == 0
    assert report.load.damaged == ["docketqa: the lake holds an endpoint 'from_another_version' that is not known."]

    _land(house, 2)
    report = house.refresh()
    assert report.load.files == 1
    assert "from_another_version" in report.load.damaged[0]
    assert house.ask("SELECT result_id FROM core.results") == [("2",)]
    assert house.ask("SELECT count(*) FROM meta.loads") == [(1,)]  # once it is known, the other file loads, too
    loaded = house.hashes()
    report = house.refresh()  # nothing but that folder is new
    assert (report.load.files, report.published, len(report.load.damaged)) == (0, False, 1)
    assert house.hashes() == loaded
    house.is_damaged = True  # on purpose: a file of the lake is not in the ledger


def test_many_transactions_give_the_tables_that_one_gives(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    numbers = list(range(1, 7))
    _land(house, 99)  # the first load is one transaction whatever there is
    house.refresh()
    for number in numbers:
        _land(house, number)
    _land(house, 3, minute=5, status="failed")
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(load, "BATCH_BYTES", 1)
    settings = house.settings
    refresh.refresh(settings, settings.providers, house.clock, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 7) for done in range(1, 8)]
    assert house.ask("SELECT result_id, outcome FROM core.results WHERE result_id = '3'") == [("3", "failed")]
    in_many = house.hashes()
    monkeypatch.undo()
    house.refresh(rebuild=True)
    assert house.hashes() == in_many
    record_property("cases", len(told))


def test_of_one_version_in_several_files_the_first_one_counts_also_after_a_rebuild(house: House) -> None:
    rows = [RawRow(str(number), None, T0.date(), T0, 200, "", _run(number), "", 1) for number in range(200)]
    for hour in range(4):
        Lake(house.settings.lake).land("docketqa", "test_runs", rows, f"20261120T{hour:02d}0000")
        house.refresh()
    states = "SELECT split_part(raw_file, '/', -1)[:11], state, count(*) FROM meta.versions GROUP BY ALL ORDER BY ALL"
    found = house.ask(states)
    assert found == [(f"20261120T{hour:02d}", "superseded" if hour else "loaded", 200) for hour in range(4)]
    house.refresh(rebuild=True)
    assert house.ask(states) == found


def test_a_repaired_body_lands_and_is_counted_as_drift(house: House) -> None:
    _land(house, 1, repairs="lone surrogate")
    _land(house, 2)
    house.refresh()
    assert house.ask("SELECT json_pointer, kind FROM meta.drift") == [("", "repaired")]
    assert house.ask("SELECT count(*) FROM core.results") == [(2,)]
