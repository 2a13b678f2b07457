"""The command line's event log: Dagster's own files, read by Dagster's own storage, with nothing left open."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from assets.definitions import defs
from assets.event_log import EventLog, instance_ref
from assets.invocation import use_instance
from assets.runs import OVERRIDES, run_rebuild
from pipelines.providers import load_providers
from pipelines.settings import load_settings


def test_dagsters_own_storage_reads_every_event_that_a_run_of_the_command_line_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = load_settings(load_providers(), environ={"RESULTHOUSE_HOME": str(tmp_path / "home")}, dotenv=None)
    home = use_instance(settings.home / "dagster")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    def events(run: dg.DagsterRun) -> Counter[tuple[object, ...]]:
        every = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        return Counter((each.event_type_value, each.asset_key, each.step_key) for each in every if each.event_type_value != "LOGS_CAPTURED")

    assert run_rebuild(home, settings, "ours").is_success
    assert not list(home.rglob("*.db-*"))  # closed, nothing is left beside the databases
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not isinstance(instance.event_log_storage, EventLog)
        assert defs.resolve_job_def("rebuild").execute_in_process(instance=instance, run_config=quiet).success
        dagsters, ours = instance.get_runs()
        assert events(ours) == events(dagsters)
        assert instance.get_latest_materialization_event(dg.AssetKey(["core", "results"])) is not None
        for path in (home / "history" / "runs").glob("*.db"):
            with closing(sqlite3.connect(path)) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        record_property("cases", events(ours).total())
    assert run_rebuild(home, settings, "again").is_success  # into the files that Dagster's own storage wrote to


def test_a_storage_that_the_user_has_chosen_is_left_alone(tmp_path: Path, record_property: Any) -> None:
    own = {"storage": {"sqlite": {"base_dir": str(tmp_path / "elsewhere")}}}
    event_log = {"module": "dagster._core.storage.event_log", "class": "ConsolidatedSqliteEventLogStorage"}
    legacy = {"event_log_storage": {**event_log, "config": {"base_dir": str(tmp_path / "one")}}}
    cases = [({}, True), ({"telemetry": {"enabled": False}}, True), (own, False), (legacy, False)]
    for number, (config, is_ours) in enumerate(cases):
        home = tmp_path / str(number)
        home.mkdir()
        (home / "dagster.yaml").write_text(yaml.safe_dump(config))
        with dg.DagsterInstance.from_ref(instance_ref(home, OVERRIDES)) as instance:
            assert isinstance(instance.event_log_storage, EventLog) is is_ours, config
    record_property("cases", len(cases))
