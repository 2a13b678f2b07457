"""Two runs at once, runs that were killed, Dagster's own storage in use: one does the work, nobody waits for the dead."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from assets.alive import end_dead_runs, stay_alive
from assets.invocation import use_instance
from assets.runs import run_rebuild
from assets.schedules import dead_runs
from pipelines.errors import BusyError, ResulthouseError, SettingsError
from pipelines.flows.locks import provider_lock, writer_lock
from pipelines.lake.store import Lake
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from tests.faults.other_run import CHECKLY, OtherRun, race

Record = Callable[[str, object], None]


# --- S6: two runs at once ---------------------------------------------------------------------------------------------


@pytest.mark.fault("S6")
def test_of_two_runs_at_once_one_lands_and_the_other_says_who_runs(folder: Path, record_property: Record) -> None:
    rounds, home = 200, folder
    (home / "locks").mkdir()
    (home / "locks" / "pull-checkly.lock").write_text("process 1 on another-host since 2020-01-01 00:00:00 UTC\n")  # killed long ago
    busy, results = [], []
    with OtherRun("race", home) as other:
        for number in range(rounds):
            other.ask(number)
            both = [race(home, number), other.answer()]
            if "landed" not in both:  # the second came while the first was inside
                both.append(race(home, number))
            results.append(both)
            busy += [result for result in both if result.startswith("A sync")]
    assert all(result.count("landed") == 1 for result in results)
    wanted = rf"A sync of Checkly is already running(: process ({os.getpid()}|{other.pid}|1) on \S+ since [\d-]+ [\d:]+ UTC)?\."
    assert all(re.fullmatch(wanted, line) for line in busy)
    lake = Lake(home / "lake")
    landed = [entity for file in lake.raw_files() for entity in lake.read_raw(file)["entity_id"].to_pylist()]
    assert sorted(map(int, landed)) == list(range(rounds))
    record_property("cases", rounds)


@pytest.mark.fault("S6")
def test_who_holds_a_lock_is_said_with_process_host_and_start_and_the_dead_hold_none(tmp_path: Path) -> None:
    with OtherRun("hold", tmp_path) as other:
        who = rf": process {other.pid} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.$"
        with pytest.raises(BusyError, match=f"A sync of Checkly is already running{who}"), provider_lock(tmp_path, CHECKLY):
            pass
        with pytest.raises(BusyError, match=f"is writing the warehouse and did not end within 0 minutes{who}"), writer_lock(tmp_path, 0):
            pass
        other.kill()
    with provider_lock(tmp_path, CHECKLY), writer_lock(tmp_path, 0):
        assert {(path.stat().st_mode & 0o777, f"process {os.getpid()} " in path.read_text()) for path in tmp_path.glob("locks/*")} == {
            (0o600, True)
        }
        (tmp_path / "locks" / "pull-checkly.lock").write_bytes(b"process \x1b[31m")  # no text of ours: not repeated
        with pytest.raises(BusyError, match=r"A sync of Checkly is already running\.$"), provider_lock(tmp_path, CHECKLY):
            pass


@pytest.mark.fault("S6")
@pytest.mark.parametrize("place", ["link", "link in a circle", "folder", "locks is a link", "locks is a file", "no permission"])
def test_place_of_a_lock_that_cannot_be_one_is_a_sentence(tmp_path: Path, place: str) -> None:
    home, locks = tmp_path / "home", tmp_path / "home" / "locks"
    (tmp_path / "outside").mkdir()
    locks.mkdir(parents=True) if not place.startswith("locks") else home.mkdir()
    lock = locks / "pull-checkly.lock"
    make: dict[str, Callable[[], object]] = {
        "link": lambda: lock.symlink_to(tmp_path / "outside" / "file"),
        "link in a circle": lambda: lock.symlink_to(lock),
        "folder": lock.mkdir,
        "locks is a link": lambda: locks.symlink_to(tmp_path / "outside"),
        "locks is a file": locks.touch,
        "no permission": lambda: [home.chmod(0o755), tmp_path.chmod(0o755), locks.chmod(0o555)],
    }
    make[place]()
    is_root = place == "no permission" and os.geteuid() == 0
    if is_root:  # to whom every folder is writable
        os.seteuid(65534)
    try:
        with pytest.raises(SettingsError, match=re.escape(str(lock))) as caught, provider_lock(home, CHECKLY):
            pass
    finally:
        if is_root:
            os.seteuid(0)
    assert len(str(caught.value).splitlines()) == 1
    assert list((tmp_path / "outside").iterdir()) == []


# --- S16: a run whose process was killed ------------------------------------------------------------------------------


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@dg.job
def some_job() -> None:
    """A job of no steps."""


def started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that Dagster takes for running."""
    return instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED)


@pytest.mark.fault("S16")
def test_run_without_its_process_is_ended_at_the_next_look_and_no_other(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    dead, alive, ours, foreign = (started(instance) for _ in range(4))
    ended = instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.SUCCESS)
    stay_alive(tmp_path, ours.run_id)
    with OtherRun("stay", tmp_path, alive.run_id):
        with OtherRun("stay", tmp_path, dead.run_id, ended.run_id) as other:
            assert end_dead_runs(instance, tmp_path) == 0
            other.kill()
        assert end_dead_runs(instance, tmp_path) == 1
        now = {run.run_id: run.status.value for run in instance.get_runs()}
        assert now == {
            dead.run_id: "FAILURE", alive.run_id: "STARTED", ours.run_id: "STARTED", foreign.run_id: "STARTED", ended.run_id: "SUCCESS"
        }  # fmt: skip
        left = {path.stem for path in (tmp_path / "locks").glob("run-*")}
        assert left == {f"run-{alive.run_id}", f"run-{ours.run_id}"}
    assert end_dead_runs(instance, tmp_path) == 1  # it ended without a word


@pytest.mark.fault("S16")
def test_dagsters_daemon_looks_for_dead_runs_every_minute(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dead_runs.minimum_interval_seconds == 60
    assert dead_runs.default_status is dg.DefaultSensorStatus.RUNNING
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path))
    run = started(instance)
    with OtherRun("stay", tmp_path, run.run_id) as other:
        other.kill()
    for wanted in ("1 runs had no process", "0 runs had no process"):
        with dg.build_sensor_context(instance) as context:
            (reason,) = [dead_runs.evaluate_tick(context).skip_message]
        assert reason is not None
        assert reason.startswith(wanted)
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]  # it is there


# --- S17: Dagster's storage is in use ---------------------------------------------------------------------------------


@pytest.mark.fault("S17")
def test_dagsters_storage_that_is_locked_or_damaged_is_a_sentence_and_the_next_run_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(sqlite3.dbapi2, "connect", partial(sqlite3.connect, timeout=0.1))  # it would wait 5 s
    settings = load_settings(load_providers(), environ={"RESULTHOUSE_HOME": str(tmp_path / "home")}, dotenv=None)
    home = use_instance(settings.home / "dagster")
    with dg.DagsterInstance.from_config(str(home)):
        pass
    runs = home / "history" / "runs.db"
    with closing(sqlite3.Connection(runs)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ResulthouseError, match=r"^Dagster's storage in \S+ cannot be used: database is locked\.$"):
            run_rebuild(home, settings, "first")
    assert run_rebuild(home, settings, "second").is_success
    runs.write_bytes(b"no database at all" * 100)
    with pytest.raises(ResulthouseError, match=r"cannot be used: file is not a database\.$"):
        run_rebuild(home, settings, "third")
