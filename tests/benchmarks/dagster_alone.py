"""A Dagster run whose steps do nothing: `python -m tests.benchmarks.dagster_alone SHAPE HOME`, for `start_up`.

SHAPE is JSON: how many assets and checks each step has. The instance has the settings of the house's own.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.invocation import use_instance


def main() -> None:
    """One run."""
    shape, home = json.loads(sys.argv[1]), Path(sys.argv[2])

    def step(name: str, specs: list[dg.AssetSpec], checks: int) -> dg.AssetsDefinition:
        given = [dg.AssetCheckSpec(f"check_{number}", asset=specs[0].key) for number in range(checks)]

        @dg.multi_asset(name=name, specs=specs, check_specs=given)
        def nothing() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
            yield from (dg.MaterializeResult(asset_key=spec.key) for spec in specs)
            yield from (dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, passed=True) for check in given)

        return nothing

    raw = [[dg.AssetSpec(["raw", f"p{place}", f"e{number}"]) for number in range(count)] for place, count in enumerate(shape["pulls"])]
    core = [dg.AssetSpec(["core", f"t{number}"], deps=[spec.key for specs in raw for spec in specs]) for number in range(shape["core"])]
    marts = [dg.AssetSpec(["marts", f"t{number}"], deps=[spec.key for spec in core]) for number in range(shape["marts"])]
    report = dg.AssetSpec("report", deps=[spec.key for spec in marts])
    assets = [*(step(f"pull_{place}", specs, 1) for place, specs in enumerate(raw))]
    assets += [step("build", [*core, *marts], shape["checks"]), step("report_page", [report], 0)]
    defs = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("sync", dg.AssetSelection.all())], executor=dg.in_process_executor)
    use_instance(home)
    with dg.DagsterInstance.get() as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        if not defs.resolve_job_def("sync").execute_in_process(instance=instance, run_config=quiet).success:
            raise SystemExit("The run failed.")


if __name__ == "__main__":
    main()
