"""The report asset, the last step of a run: the HTML page, and then the run's verdict.

A provider that failed, or a check of the warehouse that does not hold, fails the run here: what could be done is done and published.
"""

from collections.abc import Iterator

import dagster as dg

from assets.resources import House
from pipelines.schemas.marts import MARTS


@dg.asset(
    key=["report"],
    deps=[dg.AssetKey(["marts", name]) for name in MARTS],
    group_name="report",
    description="One self-contained HTML page from the marts.",
    kinds={"html"},
)
def report_page(context: dg.AssetExecutionContext, house: House) -> Iterator[dg.MaterializeResult]:
    """Write the page where it is not current, then fail the run when a check of this run failed."""
    from pipelines.flows.report import is_current, write_report  # DuckDB and Jinja, for which a sync's first request does not wait

    settings, clock = house.settings(), house.clock()
    if not is_current(settings, clock):
        write_report(settings, clock)
    size = settings.report.stat().st_size
    yield dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(settings.report)), "bytes": size})
    failed = [
        evaluation
        for record in context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if record.dagster_event is not None and not (evaluation := record.dagster_event.asset_check_evaluation_data).passed
    ]
    if failed:
        first = failed[0]
        why = first.metadata.get("error")
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        place = f"{first.asset_key.to_user_string()}: {first.check_name}"
        raise dg.Failure(f"{place}{f': {why.value}' if why else ''}{more}", allow_retries=False)
