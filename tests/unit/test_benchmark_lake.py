"""The benchmark's lake: the same arguments give the same bytes, and nothing in it is rejected or undocumented."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.flows.load import load_new
from pipelines.lake.store import Lake
from pipelines.providers import load_providers
from pipelines.warehouse import ddl
from pipelines.warehouse.connect import open_work
from tests.benchmarks.generate import generate
from tests.benchmarks.pool import Pool, make_pool
from tests.support.clock import VirtualClock

PAYLOADS = 250


@pytest.fixture(scope="module")
def pool() -> Pool:
    return make_pool(hours=6)


def hashes(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_generated_lake_is_the_same_every_time_and_loads_whole(
    pool: Pool, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    landed = generate(tmp_path / "one", PAYLOADS, 7, pool=pool)
    generate(tmp_path / "same", PAYLOADS, 7, pool=pool)
    one = hashes(tmp_path / "one")
    assert one == hashes(tmp_path / "same")
    assert PAYLOADS <= landed < PAYLOADS * 1.1
    record_property("cases", landed)

    connection = open_work(tmp_path / "work.duckdb")
    ddl.create_all(connection)
    report = load_new(connection, Lake(tmp_path / "one"), Lake(tmp_path / "one").raw_files(), load_providers(), VirtualClock())
    assert not report.damaged
    asked = "SELECT count(*), count(*) FILTER (state = 'rejected'), count(DISTINCT endpoint) FROM meta.versions"
    assert connection.execute(asked).fetchall() == [(landed, 0, 13)]
    for empty in ("meta.rejects", "meta.drift"):
        assert connection.execute(f"FROM {empty}").fetchall() == [], empty
    running = connection.execute("SELECT count(*) FROM core.results WHERE NOT is_terminal").fetchall()
    connection.close()
    assert running == [(0,)]


def test_a_lake_of_some_endpoints_holds_these_alone(pool: Pool, tmp_path: Path) -> None:
    only = frozenset(("checkly/test_session_results", "datadog/browser_results"))
    generate(tmp_path, 20, 1, only=only, pool=pool)
    assert {f"{file.provider}/{file.endpoint}" for file in Lake(tmp_path).raw_files()} == only
