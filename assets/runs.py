"""Dagster runs in this process, as the command line starts them: same jobs, same instance, so that they show in the UI.

One sync is one run. What a run did comes back as `Outcome`; nothing is printed here.
"""

import gc
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from assets.definitions import defs
from assets.event_log import instance_ref
from assets.invocation import write_events_together
from assets.partitions import day_range_tags
from assets.raw import raw_key
from assets.resources import NOTEBOOK, SYNC_TAG
from assets.schedules import pull_config
from pipelines.clock import Clock
from pipelines.errors import ResulthouseError
from pipelines.flows.pull import PullReport
from pipelines.lake.history import read_syncs
from pipelines.lake.private import Private
from pipelines.lake.redact import Redactor
from pipelines.lake.store import Lake
from pipelines.providers.spec import Provider
from pipelines.schemas import CORE
from pipelines.schemas.marts import MARTS
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.flows.refresh import RefreshReport

# The run's own stdout and stderr are the terminal's: Dagster's capturing would put a `tail` process between them.
OVERRIDES = {"compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}}
# Failures come back in the outcome, once and in one sentence; the UI has them with their tracebacks.
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


@dataclass
class Outcome:
    """What a run did. `error` is what stopped a step, `problems` one redacted line for everything else that went wrong."""

    sync_id: str
    seconds: float
    is_success: bool
    pulls: dict[str, PullReport] = field(default_factory=dict)
    refresh: "RefreshReport | None" = None
    error: Exception | None = None
    problems: list[str] = field(default_factory=list)
    signal: int | None = None


def run_sync(
    instance_home: Path,
    settings: Settings,
    providers: Mapping[str, Provider],
    sync_id: str,
    clock: Clock,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Outcome:
    """One run over the raw assets of these providers and everything below them."""
    ops: dict[str, object] = {}
    for provider in providers.values():
        bounds = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
        is_bounded = not provider.is_tracked and (since or until)
        ops |= pull_config(provider, **(bounds if is_bounded else {"resume": True}))
    tags = {SYNC_TAG: sync_id}
    if any(not provider.is_tracked for provider in providers.values()):
        now = clock.now()
        tags |= day_range_tags(since or _first_day(settings, providers, now), until or now)
    raw = [raw_key(provider, endpoint.name) for provider in providers.values() for endpoint in provider.endpoints]
    return _run(instance_home, settings, "sync", sync_id, ops, tags, [*raw, *_downstream()])


def run_rebuild(instance_home: Path, settings: Settings, sync_id: str) -> Outcome:
    """One run of the job `rebuild`."""
    ops = {"build_warehouse": {"config": {"rebuild": True}}}
    return _run(instance_home, settings, "rebuild", sync_id, ops, {SYNC_TAG: sync_id}, None)


def _downstream() -> list[dg.AssetKey]:
    tables = [["core", name] for name in CORE] + [["marts", name] for name in MARTS]
    return [dg.AssetKey(key) for key in (*tables, ["report"])]


def _first_day(settings: Settings, providers: Mapping[str, Provider], now: datetime) -> datetime:
    """The earliest day that the run may touch: for the day partitions that the UI shows; the lake's coverage decides what is fetched."""
    last = dict(read_syncs(Lake(settings.lake)).select("provider", "started_at").group_by("provider").max().iter_rows())
    partitioned = [name for name, provider in providers.items() if not provider.is_tracked]
    return min(last[name] - settings.lookback if name in last else now - settings.start for name in partitioned)


def _run(
    instance_home: Path,
    settings: Settings,
    job: str,
    sync_id: str,
    ops: Mapping[str, object],
    tags: Mapping[str, str],
    selection: Sequence[dg.AssetKey] | None,
) -> Outcome:
    started = time.monotonic()
    write_events_together()
    gc.freeze()  # what the imports left, a million objects, is not looked through again and again
    with (
        _storage(instance_home),
        dg.DagsterInstance.from_ref(instance_ref(instance_home, OVERRIDES)) as instance,
        _signals() as caught,
    ):
        result = defs.resolve_job_def(job).execute_in_process(
            run_config={"ops": ops, "loggers": QUIET},
            instance=instance,
            tags=tags,
            asset_selection=selection,
            raise_on_error=False,
        )
    outcome = Outcome(
        sync_id=sync_id,
        seconds=round(time.monotonic() - started, 2),
        is_success=result.success,
        pulls=NOTEBOOK.pulls.pop(sync_id, {}),
        refresh=NOTEBOOK.refreshes.pop(sync_id, None),
        error=NOTEBOOK.errors.pop(sync_id, None),
        signal=caught[-1] if caught else None,
    )
    if outcome.refresh is not None:
        outcome.problems += outcome.refresh.load.damaged
    is_explained = outcome.error or outcome.problems or any(report.error for report in outcome.pulls.values())
    if not outcome.is_success and not is_explained and outcome.signal is None:
        redactor = Redactor(Private(settings.home).mask_key())
        outcome.problems += [redactor.redact_line(line) for line in _failures(result)] or [f"The run {result.run_id} failed."]
    return outcome


def _failures(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """One line per failed step: the sentence of a `Failure`, else the innermost exception."""
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            yield data.user_failure_data.description
        elif data.error is not None:
            error = data.error
            while error.cause is not None:
                error = error.cause
            yield f"{event.step_key}: {error.message}"


@contextmanager
def _storage(home: Path) -> Iterator[None]:
    """Dagster keeps its runs in SQLite files: one that is locked, damaged or cannot be written is one sentence."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise ResulthouseError(f"Dagster's storage in {home} cannot be used: {cause}.") from None


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Which signals arrive: Dagster replaces the handlers while a run goes, ends the run as failed, and does not say which one it was."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer)
    caught: list[int] = []
    try:
        yield caught
    finally:
        signal.set_wakeup_fd(previous)
        with suppress(BlockingIOError):
            caught += [number for number in os.read(reader, 64) if number in before]
        os.close(reader)
        os.close(writer)
        for number, handler in before.items():
            signal.signal(number, handler)
