"""The same work as Dagster sees it: days can be backfilled, schedules tick, a failed provider turns the run red at its end."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from starlette.requests import Request

from assets.definitions import defs
from assets.partitions import DAYS
from assets.schedules import build_schedules
from pipelines.providers import load_providers
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from pipelines.warehouse.connect import open_published
from tests.support.house import table_hashes

NOW = datetime.now(UTC)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with serve(World(seed=5, days=2, now=NOW)) as server:
        yield server


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def home(server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {**server.env, "RESULTHOUSE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _ask(home: Path, sql: str) -> list[tuple[object, ...]]:
    connection = open_published(home / "warehouse.duckdb")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_one_day_is_backfilled_and_no_other(home: Path, instance: dg.DagsterInstance) -> None:
    day = (NOW - timedelta(days=1)).date()
    result = defs.resolve_job_def("sync_checkly").execute_in_process(instance=instance, partition_key=day.isoformat(), run_config=QUIET)
    assert result.success
    created = "SELECT DISTINCT CAST(attributes ->> '$.created_at' AS TIMESTAMPTZ)::DATE FROM core.runs"
    days = {row[0] for row in _ask(home, created) if row[0] is not None} or {row[0] for row in _ask(home, "SELECT utc_date FROM core.runs")}
    assert days == {day}
    assert _ask(home, "SELECT count(*) > 10 FROM core.results") == [(True,)]


@pytest.mark.fault("S6", "S16", "S17")
def test_day_that_runs_twice_at_once_and_once_more_gives_equal_tables(
    home: Path, instance: dg.DagsterInstance, server: SandboxServer
) -> None:
    def run() -> dg.ExecuteInProcessResult:
        job, day = defs.resolve_job_def("sync_checkly"), NOW.date().isoformat()
        return job.execute_in_process(instance=instance, partition_key=day, run_config=QUIET, raise_on_error=False)

    seconds, locks = [], []

    async def twice(request: Request) -> None:
        server.faults.remove(twice)
        locks.extend((home / "locks").glob("run-*.lock"))
        seconds.append(await asyncio.to_thread(run))

    server.faults.append(twice)
    first = run()
    assert first.success
    assert [path.stem for path in locks] == [f"run-{first.run_id}"]
    (refused,) = [check for check in seconds[0].get_asset_check_evaluations() if not check.passed]
    assert f"A sync of Checkly is already running: process {os.getpid()} on " in str(refused.metadata["error"].value)
    tables = table_hashes(home / "warehouse.duckdb", ("core", "marts"))
    assert not tables["core.results"].startswith("0:")
    assert run().success
    assert table_hashes(home / "warehouse.duckdb", ("core", "marts")) == tables


def test_failed_provider_turns_the_run_red_after_all_else_is_published(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECKLY_API_KEY", "cu_wrong")
    result = defs.resolve_job_def("sync_checkly").execute_in_process(
        instance=instance, partition_key=NOW.date().isoformat(), run_config=QUIET, raise_on_error=False
    )
    assert not result.success
    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["report"]
    assert (home / "warehouse.duckdb").exists()
    assert (home / "report.html").exists()
    (failed,) = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed.check_name == "pulled"
    assert "CHECKLY_API_KEY" in str(failed.metadata["error"].value)


def test_schedules_run_by_default_for_configured_providers_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKETQA_API_KEY", "dk_made_up")
    _, schedules = build_schedules(load_providers())
    on = {schedule.name for schedule in schedules if schedule.default_status is dg.DefaultScheduleStatus.RUNNING}
    assert on == {"sync_docketqa_schedule", "nightly_schedule"}
    assert {schedule.name for schedule in schedules} - on == {
        "sync_applitools_schedule",
        "sync_checkly_schedule",
        "sync_datadog_schedule",
    }


def test_every_schedule_asks_for_a_run_that_its_job_accepts() -> None:
    for schedule in defs.schedules or []:
        context = dg.build_schedule_context(scheduled_execution_time=NOW)
        (request,) = schedule.evaluate_tick(context).run_requests or []  # type: ignore[union-attr]  # they are all definitions here
        assert dg.validate_run_config(defs.resolve_job_def(schedule.job_name), request.run_config)  # type: ignore[union-attr]  # see above


def test_today_is_a_partition() -> None:
    assert DAYS.get_last_partition_key() == datetime.now(UTC).date().isoformat()
