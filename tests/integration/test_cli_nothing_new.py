"""What a run with nothing new leaves alone: checks of a file that was checked, a report that is current. In this process."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.definitions import defs
from pipelines.flows.report import is_current
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from pipelines.warehouse import checks
from tests.support.clock import VirtualClock

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def test_checks_read_a_published_file_once_and_again_until_they_hold(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path / "home"))
    read: list[Path] = []
    real = checks.run_checks
    monkeypatch.setattr(checks, "run_checks", lambda published, changed: (read.append(published), real(published, changed))[1])
    job = defs.resolve_job_def("rebuild")

    def failed() -> set[str]:
        read.clear()
        result = job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)
        evaluations = result.get_asset_check_evaluations()
        assert len(evaluations) == len(checks.CHECKS)
        names = {evaluation.check_name for evaluation in evaluations if not evaluation.passed}
        assert result.success is (not names)
        return names

    assert (failed(), len(read)) == (set(), 1)
    assert (failed(), len(read)) == (set(), 0)
    published = tmp_path / "home" / "warehouse.duckdb"
    published.chmod(0o600)
    with duckdb.connect(str(published)) as connection:
        connection.execute("INSERT INTO core.environments BY NAME SELECT 1 AS run_key, 'checkly' AS provider, 0 AS environment_index")
    assert (failed(), len(read)) == ({"parents_exist"}, 1)
    assert (failed(), len(read)) == ({"parents_exist"}, 1)


def test_report_is_current_for_an_hour_unless_something_was_published_since(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    settings = load_settings(load_providers(), environ={"RESULTHOUSE_HOME": str(tmp_path)}, dotenv=None)
    clock = VirtualClock(now)
    assert not is_current(settings, clock)

    def made(path: Path, minutes_ago: float) -> None:
        at = (now - timedelta(minutes=minutes_ago)).timestamp()
        path.write_text("")
        os.utime(path, (at, at))

    for report, warehouse, expected in ((10, 20, True), (59, 70, True), (61, 70, False), (10, 5, False), (-5, 10, False)):
        made(settings.report, report)
        made(settings.warehouse, warehouse)
        assert is_current(settings, clock) is expected, (report, warehouse)
