"""Core and marts assets: asset key = DuckDB schema.table. One step writes the warehouse and publishes it, because DuckDB has one writer.

What only this step needs (DuckDB, the flattening's expressions) is imported in it: a sync's first request does not wait for it.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.raw import raw_key
from assets.resources import NOTEBOOK, House, sync_id_of
from pipelines.errors import ResulthouseError
from pipelines.flows.preflight import check_folders
from pipelines.providers.spec import Provider
from pipelines.schemas import CORE
from pipelines.schemas.marts import MARTS
from pipelines.warehouse.checks import CHECKS

CHECKED = "checks_held_for"
"""Metadata of the assets: the published file for which every check held. It is not checked again, and of the one that replaces it what
has changed."""


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
        from pipelines.flows.refresh import refresh
        from pipelines.warehouse.checks import run_checks

        clock = house.clock()
        sync_id = sync_id_of(context, clock)
        try:
            settings = house.settings()
            check_folders(settings)
            replaced = _stamp(settings.warehouse)
            report = refresh(settings, settings.providers, clock, rebuild=config.rebuild, progress=NOTEBOOK.on_load)
        except ResulthouseError as error:
            NOTEBOOK.errors[sync_id] = error
            raise dg.Failure(str(error), allow_retries=False) from None
        NOTEBOOK.refreshes[sync_id] = report
        before = context.instance.get_latest_materialization_event(core["results"])
        this, checked = _stamp(settings.warehouse), _checked(before)
        changed = report.changed if replaced == checked else None
        found = {} if this == checked else {check.name: violations for check, violations in run_checks(settings.warehouse, changed)}
        for schema, keys in (("core", core), ("marts", marts)):
            for name, key in keys.items():
                counted = report.rows.get(f"{schema}.{name}")  # not of a view
                yield dg.MaterializeResult(
                    asset_key=key,
                    metadata={
                        **({} if counted is None else {"dagster/row_count": counted}),
                        "published": report.published,
                        "warehouse_bytes": report.bytes,
                        "rejects": report.rows.get("meta.rejects", 0),
                        **({CHECKED: this} if not any(found.values()) else {}),
                    },
                )
        for check in CHECKS:
            violations = found.get(check.name, {})
            yield dg.AssetCheckResult(
                asset_key=core[check.table],
                check_name=check.name,
                passed=not violations,
                metadata={"violations": violations},
            )

    return build_warehouse_step


def _stamp(published: Path) -> str | None:
    """What tells this published file from every other one that stood in its place; None when there is none."""
    try:
        stat = published.stat()
    except FileNotFoundError:
        return None
    return f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"


def _checked(event: dg.EventLogEntry | None) -> str | None:
    """The stamp of the file that all checks held for when the asset was materialized last."""
    materialization = event.asset_materialization if event else None
    stamp = materialization.metadata.get(CHECKED) if materialization else None
    return str(stamp.value) if stamp else None
