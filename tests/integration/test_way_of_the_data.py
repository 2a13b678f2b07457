"""The whole way over real HTTP: sandbox -> lake -> warehouse. What a user would miss if it broke."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.sandbox.server import serve
from pipelines.sandbox.world import World
from pipelines.warehouse import derive
from pipelines.warehouse.checks import run_checks
from pipelines.warehouse.connect import open_published
from tests.support.house import House, load_in_steps

LATER = timedelta(hours=3)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Synced once, advanced by three hours, synced again."""
    with serve(World(seed=7, days=1, now=datetime.now(UTC) - LATER)) as server:
        house = House(tmp_path_factory.mktemp("home"), server, environ={"RESULTHOUSE_START_DAYS": "1"})
        house.track()
        house.sync()
        server.world.advance(LATER)  # now it stands at the present: a later one would grow while the tests run
        house.sync()
        yield house


def test_every_provider_lands_and_loads(house: House) -> None:
    rows = dict(house.ask("SELECT provider, count(*) FROM core.results GROUP BY 1"))
    assert set(rows) == {"datadog", "checkly", "applitools", "docketqa"}
    assert min(int(str(count)) for count in rows.values()) > 5


def test_no_payload_is_rejected_and_nothing_is_undocumented(house: House) -> None:
    assert house.ask("SELECT provider, endpoint, entity_id, rule, error FROM meta.rejects WHERE rule <> 'gone'") == []
    assert house.ask("SELECT provider, endpoint, json_pointer, kind FROM meta.drift") == []


def test_payloads_are_conserved(house: House) -> None:
    assert house.ask("SELECT raw_file FROM meta.loads WHERE payloads <> loaded + superseded + rejected") == []
    (landed,) = house.ask("SELECT sum(payloads) FROM meta.loads")[0]
    assert house.ask("SELECT count(*) FROM meta.versions")[0][0] == landed


def test_keys_parents_and_final_tries_hold(house: House) -> None:
    assert [(check.name, bad) for check, bad in run_checks(house.settings.warehouse) if bad] == []


@pytest.mark.parametrize("is_empty", [False, True])
def test_published_tables_of_core_have_the_primary_keys_of_the_contract(house: House, tmp_path: Path, is_empty: bool) -> None:
    asked = House(tmp_path, house.server, environ=house.environ) if is_empty else house
    asked.refresh(rebuild=True)
    keys = asked.ask(
        "SELECT table_name, constraint_column_names FROM duckdb_constraints()"
        " WHERE schema_name = 'core' AND constraint_type = 'PRIMARY KEY'"
    )
    assert sorted(keys) == [("results", ["result_key"]), ("runs", ["run_key"]), ("tests", ["provider", "test_id", "valid_from_at"])]


def test_second_sync_of_an_unchanged_world_lands_and_publishes_nothing(house: House) -> None:
    before = house.settings.warehouse.stat().st_mtime_ns
    reports, refreshed = house.sync()
    assert {name: report.landed for name, report in reports.items()} == dict.fromkeys(reports, 0)
    assert {name: report.error for name, report in reports.items()} == dict.fromkeys(reports)
    assert not refreshed.published
    assert house.settings.warehouse.stat().st_mtime_ns == before


def test_final_results_are_not_fetched_again(house: House) -> None:
    house.server.requests.clear()
    house.pull()
    details = {
        (provider, route): count
        for (provider, route), count in house.server.requests.items()
        if route.endswith(("/results/{result_id}", "/results/{testSessionResultId}", "/result/{run_id}", "/test_run/{id}"))
    }
    still_open = sum(report.open for report in house.pull().values())
    assert sum(details.values()) <= still_open


def test_rebuild_gives_the_same_tables(house: House) -> None:
    before = house.hashes(("core", "marts", "meta")) | {"meta.loads": "", "meta.syncs": ""}
    report = house.refresh(rebuild=True)
    assert report.published
    assert house.hashes(("core", "marts", "meta")) | {"meta.loads": "", "meta.syncs": ""} == before


def test_runs_merged_in_many_parts_are_the_same(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "_RUNS_AT_ONCE", 5)
    assert house.ask("SELECT count(*) > 10 FROM core.runs") == [(True,)]
    other = House(tmp_path, house.server, environ=house.environ)
    load_in_steps(house, other, lambda files: [files])
    assert other.hashes(("core",)) == house.hashes(("core",))


@pytest.mark.parametrize("seed", [1, 2])
def test_order_of_loading_does_not_matter(house: House, tmp_path: Path, seed: int) -> None:
    def parts(files: list[Path]) -> list[list[Path]]:
        random.Random(seed).shuffle(files)
        third = len(files) // 3 + 1
        return [files[:third], files[third : 2 * third], files[2 * third :]]

    other = House(tmp_path, house.server, environ=house.environ)
    load_in_steps(house, other, parts)
    assert other.hashes(("core",)) == house.hashes(("core",))


@pytest.mark.fault("S8")
def test_reader_that_stays_open_keeps_its_data_and_never_blocks_a_publish(house: House) -> None:
    reader = open_published(house.settings.warehouse)
    try:
        (before,) = reader.execute("SELECT count(*) FROM core.results").fetchall()
        assert house.refresh(rebuild=True).published
        assert reader.execute("SELECT count(*) FROM core.results").fetchall() == [before]
    finally:
        reader.close()
    assert house.ask("SELECT count(*) FROM core.results") == [before]
