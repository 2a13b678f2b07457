"""Core and marts assets: asset key = DuckDB schema.table. One step writes the warehouse and publishes it, because DuckDB has one writer."""

from collections.abc import Iterator

import dagster as dg

from assets.raw import raw_key
from assets.resources import NOTEBOOK, House, sync_id_of
from pipelines.errors import ResulthouseError
from pipelines.flows.preflight import check_folders
from pipelines.flows.refresh import RefreshReport, refresh
from pipelines.providers.spec import Provider
from pipelines.schemas import CORE
from pipelines.schemas.marts import MARTS
from pipelines.warehouse.checks import CHECKS, run_checks


class RefreshConfig(dg.Config):
    """`rebuild` throws the warehouse away and loads everything again from the lake."""

    rebuild: bool = False


def build_warehouse(providers: dict[str, Provider]) -> dg.AssetsDefinition:
    """The step that loads, derives, rebuilds marts and publishes."""
    raw = [raw_key(provider, endpoint.name) for provider in providers.values() for endpoint in provider.endpoints]
    core = {name: dg.AssetKey(["core", name]) for name in CORE}
    marts = {name: dg.AssetKey(["marts", name]) for name in MARTS}

    @dg.multi_asset(
        name="build_warehouse",
        specs=[
            *(
                dg.AssetSpec(key, deps=raw, group_name="core", description=CORE[name].description, kinds={"duckdb"})
                for name, key in core.items()
            ),
            *(
                dg.AssetSpec(
                    key,
                    deps=list(core.values()),
                    group_name="marts",
                    description=MARTS[name].description,
                    kinds={"duckdb"},
                )
                for name, key in marts.items()
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=core[check.table], description=check.description, blocking=False) for check in CHECKS
        ],
        can_subset=False,
    )
    def build_warehouse_step(
        context: dg.AssetExecutionContext, config: RefreshConfig, house: House
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        clock = house.clock()
        sync_id = sync_id_of(context, clock)
        try:
            settings = house.settings()
            check_folders(settings)
            report: RefreshReport = refresh(settings, settings.providers, clock, rebuild=config.rebuild, progress=NOTEBOOK.on_load)
        except ResulthouseError as error:
            NOTEBOOK.errors[sync_id] = error
            raise dg.Failure(str(error), allow_retries=False) from None
        NOTEBOOK.refreshes[sync_id] = report
        for schema, keys in (("core", core), ("marts", marts)):
            for name, key in keys.items():
                yield dg.MaterializeResult(
                    asset_key=key,
                    metadata={
                        "dagster/row_count": report.rows.get(f"{schema}.{name}", 0),
                        "published": report.published,
                        "warehouse_bytes": report.bytes,
                        "rejects": report.rows.get("meta.rejects", 0),
                    },
                )
        for check, violations in run_checks(settings.warehouse):
            yield dg.AssetCheckResult(
                asset_key=core[check.table],
                check_name=check.name,
                passed=not violations,
                metadata={"violations": violations},
            )

    return build_warehouse_step
