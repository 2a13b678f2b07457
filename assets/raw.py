"""Raw assets: one per provider and endpoint, asset key = lake folder. A provider's endpoints are one step, because they are one crawl.

A step never fails for what a provider did: it lands what it got and says what failed in its metadata and its check `pulled`.
The run turns red at its last step, when the data of the others is published (see `report.py`).
"""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from assets import interrupts
from assets.partitions import DAYS, day_bounds
from assets.resources import NOTEBOOK, House, sync_id_of
from pipelines.errors import ResulthouseError, SettingsError
from pipelines.flows.preflight import check_folders
from pipelines.flows.pull import PullReport, pull
from pipelines.providers.spec import Provider


class PullConfig(dg.Config):
    """How far a pull reaches. `resume`: from where the lake's coverage ends; else the chosen days, or `since` to `until`."""

    resume: bool = False
    since: str | None = None
    until: str | None = None


def raw_key(provider: Provider, endpoint: str) -> dg.AssetKey:
    """`raw/<provider>/<endpoint>`."""
    return dg.AssetKey(["raw", provider.name, endpoint])


def build_raw(provider: Provider) -> dg.AssetsDefinition:
    """The raw assets of one provider."""
    first = raw_key(provider, provider.endpoints[0].name)

    @dg.multi_asset(
        name=f"pull_{provider.name}",
        specs=[
            dg.AssetSpec(
                raw_key(provider, endpoint.name),
                group_name=f"raw_{provider.name}",
                description=f"{provider.title}: payloads of `{endpoint.name}` as they came, masked, in the lake.",
                kinds={"parquet"},
                partitions_def=None if provider.is_tracked else DAYS,
            )
            for endpoint in provider.endpoints
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "pulled",
                asset=first,
                blocking=False,
                description=f"{provider.title} answered everything that was asked.",
            )
        ],
        backfill_policy=None if provider.is_tracked else dg.BackfillPolicy.single_run(),
        can_subset=False,
    )
    def pull_provider(
        context: dg.AssetExecutionContext, config: PullConfig, house: House
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        report = _pull(context, config, house, provider)
        for endpoint in provider.endpoints:
            yield dg.MaterializeResult(
                asset_key=raw_key(provider, endpoint.name),
                metadata={
                    "landed": report.landed_by_endpoint.get(endpoint.name, 0),
                    "bytes": report.bytes_by_endpoint.get(endpoint.name, 0),
                    "requests": report.requests,
                    "open": report.open,
                    "detail_pending": report.detail_pending,
                    **({"error": report.error} if report.error else {}),
                },
            )
        yield dg.AssetCheckResult(
            asset_key=first,
            check_name="pulled",
            passed=report.error is None,
            metadata={"error": report.error or "", "landed": report.landed, "unchanged": report.unchanged},
        )

    return pull_provider


def _pull(context: dg.AssetExecutionContext, config: PullConfig, house: House, provider: Provider) -> PullReport:
    clock = house.clock()
    sync_id = sync_id_of(context, clock)
    since, until = _bounds(context, config)
    try:
        settings = house.settings()
        if not settings.is_configured(provider):
            context.log.info("%s is not configured: skipped.", provider.title)
            return PullReport(provider.name)
        check_folders(settings)  # a schedule's run has had no other check
        crawl = pull(provider, settings, clock, sync_id=sync_id, since=since, until=until, progress=NOTEBOOK.on_pull, reread=house.settings)
        report = interrupts.run(crawl)
    except ResulthouseError as error:
        if sync_id not in NOTEBOOK.errors or isinstance(error, SettingsError):  # what asks for another exit code is told first
            NOTEBOOK.errors[sync_id] = error
        report = PullReport(provider.name, error=str(error))
    NOTEBOOK.pulls.setdefault(sync_id, {})[provider.name] = report
    return report


def _bounds(context: dg.AssetExecutionContext, config: PullConfig) -> tuple[datetime | None, datetime | None]:
    if config.since or config.until:
        return (
            datetime.fromisoformat(config.since) if config.since else None,
            datetime.fromisoformat(config.until) if config.until else None,
        )
    if config.resume:
        return None, None
    if context.has_partition_key:
        return day_bounds(context.partition_key, context.partition_key)
    if context.has_partition_key_range:
        return day_bounds(context.partition_key_range.start, context.partition_key_range.end)
    return None, None
