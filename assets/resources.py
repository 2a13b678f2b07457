"""What assets are given: the house (settings, providers, clock) and a notebook where a run's reports lie for the command line.

Settings are read when a step runs, not when definitions load: a changed `.env` needs no restart.
"""

import os
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from assets.alive import end_dead_runs, stay_alive
from pipelines.clock import Clock, SystemClock
from pipelines.errors import ResulthouseError
from pipelines.flows.pull import PullReport, new_sync_id
from pipelines.providers import load_providers
from pipelines.settings import Settings, load_settings

if TYPE_CHECKING:  # a sync's first request does not wait for it
    from pipelines.flows.refresh import RefreshReport

SYNC_TAG = "resulthouse/sync_id"


class House(dg.ConfigurableResource):
    """Access to settings, providers and the clock."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Before the first step of a run, whoever started it: nothing that it writes is for others, and its death will be seen."""
        os.umask(0o077)
        with suppress(ResulthouseError, OSError):  # a home that cannot be used is named by the steps
            home = self.settings().home
            if (home / "dagster").is_dir():  # made by Dagster itself under a bare `dagster dev`
                (home / "dagster").chmod(0o700)
            if context.instance is not None and context.run is not None:
                end_dead_runs(context.instance, home)
                stay_alive(home, context.run.run_id)

    def settings(self) -> Settings:
        """The settings as they are now. Raises SettingsError."""
        if NOTEBOOK.environ is not None:
            return load_settings(load_providers(), environ=NOTEBOOK.environ, dotenv=None)
        return load_settings(load_providers())

    def clock(self) -> Clock:
        """The clock that steps are given."""
        return SystemClock()


@dataclass
class Notebook:
    """Reports of runs in this process by sync id, and who wants to see progress. Only the command line reads it."""

    pulls: dict[str, dict[str, PullReport]] = field(default_factory=dict)
    refreshes: dict[str, "RefreshReport"] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    on_pull: Callable[[PullReport], None] = lambda report: None
    on_load: Callable[[int, int], None] = lambda done, total: None
    environ: Mapping[str, str] | None = None
    """Read instead of environment and `.env` when it is there: the demo must not see a key of its user."""


NOTEBOOK = Notebook()


def sync_id_of(context: dg.AssetExecutionContext, clock: Clock) -> str:
    """The sync id that all steps of a run share: its tag, else made from the run's id."""
    tagged = context.run.tags.get(SYNC_TAG)
    if tagged:
        return tagged
    started = context.instance.get_run_record_by_id(context.run.run_id)
    at = started.create_timestamp if started else clock.now()
    return f"{at:%Y%m%dT%H%M%S}-{context.run.run_id[:8]}"


def make_sync_id(clock: Clock) -> str:
    """A new sync id."""
    return new_sync_id(clock.now(), random.Random())  # noqa: S311 - an id, no secret
