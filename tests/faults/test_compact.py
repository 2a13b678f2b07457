"""A lake whose small files are merged gives the same warehouse: whenever it is merged, loaded, rebuilt, or killed in between."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.flows.status import read_status
from pipelines.lake import compact
from pipelines.lake.store import Lake, RawRow
from pipelines.sandbox.server import serve
from pipelines.sandbox.world import World
from tests.faults.crash import watched
from tests.support.clock import FixedDay
from tests.support.house import House

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BOOKS = (
    "SELECT provider, endpoint, raw_file, payloads, loaded, superseded, rejected FROM meta.loads ORDER BY ALL",
    "SELECT * EXCLUDE (first_seen_at, resolved_at) FROM meta.rejects ORDER BY ALL",
    "SELECT * EXCLUDE (first_seen_at, last_seen_at) FROM meta.drift ORDER BY ALL",
)


class KilledError(Exception):
    """The process is no more."""


def document(run: int, version: int) -> str:
    """A run in one of its versions; some are no good, some have fields that nobody declared."""
    if run % 7 == 3:
        return "[]"
    blueprint = {"id": 7, "title": "Refund", "type": "web", "status": "active", "steps": [], **({"colour": 1} if run % 5 == 0 else {})}
    times = {"created_at": f"2026-11-20T11:{run:02}:00Z", "updated_at": f"2026-11-20T11:{run:02}:30Z"}
    status = "running" if version == 0 else ("passed", "failed")[run % 2]
    made = {"id": run, "status": status, "test_blueprint_id": 7, "blueprint_metadata": blueprint, "results": [], **times}
    return json.dumps({"test_run": made})


def land(house: House, number: int) -> None:
    """What one sync of the provider lands: three versions, of runs that come again."""
    rng, now, day = random.Random(number), T0 + timedelta(minutes=number), date(2026, 11, 20)
    rows = [
        RawRow(str(run), None, rng.choice([day, None]), now, 200, "", document(run, number % 2), "", 1) for run in rng.sample(range(30), 3)
    ]
    Lake(house.settings.lake).land("docketqa", "test_runs", rows, f"{number:06}")


def merge(house: House, number: int, killed_at: int | None = None) -> None:
    """Merge, or be killed at the n-th file operation."""
    left = killed_at or 0

    def moment(name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KilledError

    with suppress(KilledError), watched(house.home / "lake", moment):
        Lake(house.settings.lake).compact("docketqa", f"{number:06}", T0)


def told(house: House) -> list[Any]:
    """Hashes of core and marts, ledger, dead letters and drift."""
    return [house.hashes(), *(house.ask(sql) for sql in BOOKS)]


@pytest.mark.fault("S1", "S11", "S13", "S17")
def test_warehouse_of_a_merged_lake_equals_that_of_one_never_merged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Landed, merged, killed while merging and loaded in random order, then rebuilt: tables, ledger, rejects and drift are equal."""
    monkeypatch.setattr(compact, "FEW", 3)
    clock = FixedDay(T0 + timedelta(days=1))
    plain = House(folder / "plain", None, clock=clock)
    for number in range(16):
        land(plain, number)
    plain.refresh()
    expected = told(plain)
    assert all(expected), "there are tables, a ledger, dead letters and drift to compare"
    house, rng = House(folder / "merged", None, clock=clock), random.Random(5)
    steps = 16
    for number in range(16):
        land(house, number)
        if rng.random() < 0.7:
            merge(house, number, rng.choice([None, rng.randrange(1, 25)]))
            steps += 1
        if number == 7:
            house.refresh()
    assert house.refresh().load.damaged == []
    assert told(house) == expected
    assert read_status(house.settings, house.settings.providers, clock)["docketqa"].pending == 0
    merge(house, 16)
    assert len(list((house.home / "lake").rglob("*.parquet"))) < len(list((plain.home / "lake").rglob("*.parquet"))) / 3
    assert not house.refresh().published, "nothing new: the ledger knows what the merged files hold"
    house.refresh(rebuild=True)
    assert told(house) == expected
    record_property("cases", steps)


@pytest.mark.fault("S9", "S13")
def test_damaged_merged_file_is_said_once_and_the_others_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "FEW", 3)
    house = House(folder, None, clock=FixedDay(T0 + timedelta(days=1)))
    for number in range(4):
        land(house, number)
    merge(house, 4)
    land(house, 5)
    merged = next(path for path in sorted((folder / "lake/raw").rglob("*.merged-*.parquet")))
    data = bytearray(merged.read_bytes())
    data[10] ^= 1
    merged.write_bytes(data)
    (said,) = house.refresh().load.damaged
    assert merged.name in said
    assert "set aside" in said
    (left,) = house.ask("SELECT count(*) FROM meta.loads")
    assert left == (len(Lake(house.settings.lake).raw_files()),)


@pytest.mark.fault("S13")
def test_pull_merges_what_earlier_pulls_have_left_and_goes_on_as_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "FEW", 2)
    with serve(World(seed=11, days=1, now=T0)) as server:
        house = House(folder, server, only=("docketqa",), clock=FixedDay(T0))
        house.track()
        landed = [house.pull()["docketqa"].landed for _ in range(4)]
    assert landed[0] > 0
    assert landed[1:] == [0, 0, 0]
    lake = Lake(house.settings.lake)
    assert lake.syncs().num_rows == 4
    assert len(list((folder / "lake/syncs").iterdir())) < 3
