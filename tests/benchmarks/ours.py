"""Our side: a rebuild of everything the lake holds, as `resulthouse rebuild` does it, without Dagster around it.

    python -m tests.benchmarks.ours LAKE FILE [--without-marts]

FILE is where the warehouse is published; the home beside it is left for whoever measures its size.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipelines.clock import SystemClock
from pipelines.flows import refresh as flow
from pipelines.providers import load_providers
from pipelines.settings import load_settings


def main(lake: Path, out: Path, *, marts: bool) -> None:
    """Rebuild; raises RuntimeError when anything of the lake was not loaded."""
    providers = load_providers()
    environ = {"RESULTHOUSE_HOME": str(out.parent / f"{out.stem}-home"), "RESULTHOUSE_LAKE": str(lake), "RESULTHOUSE_WAREHOUSE": str(out)}
    settings = load_settings(providers, environ=environ, dotenv=None)
    if not marts:
        flow.build_marts = lambda connection: None
    report = flow.refresh(settings, providers, SystemClock(), rebuild=True)
    if report.load.damaged or any(report.load.rejected.values()):
        raise RuntimeError(f"not everything was loaded: {report.load}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), marts="--without-marts" not in sys.argv)
