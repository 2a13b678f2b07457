"""Which runs still have their process: each holds a lock file until it dies, so a run whose lock is free, and is not finished, is dead.

Dagster itself would not see it: its default launcher asks no process, so its monitoring waits for `max_runtime_seconds` (dagster.yaml).
"""

from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
from filelock import FileLock

from pipelines.errors import BusyError
from pipelines.flows.locks import held, take

_HELD: list[FileLock] = []
"""Until the process ends: a run is recorded as finished only after its last step."""


def stay_alive(home: Path, run_id: str) -> None:
    """Hold the lock of a run that goes on in this process. Raises BusyError, SettingsError."""
    with _one_at_a_time(home):  # a lock file that lies there for a moment before it is held would look dead
        _HELD.append(take(home / "locks" / f"run-{run_id}.lock", f"The run {run_id} has another process"))


def end_dead_runs(instance: dg.DagsterInstance, home: Path) -> int:
    """Record runs of this home as failed whose process is gone. Returns how many. Raises BusyError, SettingsError."""
    ended = 0
    with _one_at_a_time(home):
        for path in (home / "locks").glob("run-*.lock"):
            try:
                lock = take(path, "alive")
            except BusyError:
                continue
            run = instance.get_run_by_id(path.stem.removeprefix("run-"))
            if run is not None and not run.is_finished:
                instance.report_run_failed(run, "The process of this run was killed: what it had fetched has landed, the next run goes on.")
                ended += 1
            path.unlink()
            lock.release()
    return ended


def _one_at_a_time(home: Path) -> AbstractContextManager[None]:
    return held(home / "locks" / "runs.lock", "Another process looks for dead runs", 10.0)
