"""Jobs and schedules: one per provider, and a nightly one that looks back 48 hours. On by default for configured providers.

A sensor looks every minute for runs whose process was killed.
"""

from datetime import timedelta
from typing import Any

import dagster as dg

from assets.alive import end_dead_runs
from assets.partitions import day_range_tags
from assets.raw import raw_key
from assets.resources import SYNC_TAG, House, make_sync_id
from pipelines.clock import SystemClock
from pipelines.errors import ResulthouseError, SettingsError
from pipelines.providers.spec import Provider
from pipelines.settings import Settings

NIGHTLY_LOOKBACK = timedelta(hours=48)


def is_on(provider: Provider, settings: Settings) -> bool:
    """Whether a provider's schedule runs by default."""
    try:
        return settings.is_configured(provider)
    except SettingsError:
        return False


def downstream() -> dg.AssetSelection:
    """Everything below the lake."""
    return dg.AssetSelection.groups("core", "marts", "report")


def provider_selection(provider: Provider) -> dg.AssetSelection:
    """A provider's raw assets and everything below them."""
    return dg.AssetSelection.assets(*(raw_key(provider, e.name) for e in provider.endpoints)) | downstream()


def pull_config(provider: Provider, **config: object) -> dict[str, object]:
    """Run config of a provider's step."""
    return {f"pull_{provider.name}": {"config": config}}


def build_schedules(
    providers: dict[str, Provider],
) -> tuple[list[Any], list[dg.ScheduleDefinition]]:
    """Every job and schedule: `sync_<provider>`, `nightly`, and the jobs `sync` and `rebuild` that the command line runs."""
    try:
        settings = House().settings()
        on = {name: is_on(provider, settings) for name, provider in providers.items()}
    except SettingsError:
        on = dict.fromkeys(providers, False)
    jobs: list[Any] = []
    schedules: list[dg.ScheduleDefinition] = []
    for provider in providers.values():
        job = dg.define_asset_job(f"sync_{provider.name}", provider_selection(provider))
        jobs.append(job)
        schedules.append(_schedule(job, {provider.name: provider}, provider.schedule, on[provider.name]))
    nightly = dg.define_asset_job("nightly", dg.AssetSelection.all())
    # the command line runs `sync` over the assets of the providers it was asked for
    jobs += [nightly, dg.define_asset_job("sync", dg.AssetSelection.all()), dg.define_asset_job("rebuild", downstream())]
    schedules.append(_schedule(nightly, providers, "30 2 * * *", any(on.values()), NIGHTLY_LOOKBACK))
    return jobs, schedules


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Records runs as failed whose process was killed.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Every minute; a run looks for them, too, before its first step."""
    try:
        ended = end_dead_runs(context.instance, House().settings().home)
    except ResulthouseError as error:
        return dg.SkipReason(str(error))
    return dg.SkipReason(f"{ended} runs had no process any more.")


def _schedule(
    job: Any,
    providers: dict[str, Provider],
    cron: str,
    is_running: bool,
    lookback: timedelta | None = None,
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        now = context.scheduled_execution_time
        tags = {SYNC_TAG: make_sync_id(SystemClock())}
        ops: dict[str, object] = {}
        for provider in providers.values():
            since = (now - lookback).isoformat() if lookback else None
            ops |= pull_config(provider, resume=lookback is None, since=None if provider.is_tracked else since)
        if any(not provider.is_tracked for provider in providers.values()):
            tags |= day_range_tags(now - (lookback or timedelta(days=1)), now)
        return dg.RunRequest(run_config={"ops": ops}, tags=tags)

    return tick
