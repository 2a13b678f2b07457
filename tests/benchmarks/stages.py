"""Where the CPU of a rebuild goes: each stage's own time, batches prepared one after the other instead of in threads.

    python -m tests.benchmarks.stages LAKE FILE

Prints JSON: CPU seconds (user + system, all threads) by stage. The sum is that of the process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.flows import load, refresh
from pipelines.lake.store import Lake, RawFile
from pipelines.providers.spec import Provider
from pipelines.warehouse import ddl
from pipelines.warehouse.connect import memory
from pipelines.warehouse.load import Loader
from tests.benchmarks.measure import Stopwatch
from tests.benchmarks.ours import main as rebuild

STAGES: dict[str, list[tuple[Any, str]]] = {
    "read files, check their hashes": [(Lake, "read_raw")],
    "decode": [(load, "decode")],
    "count drift": [(load, "find_drift")],
    "flatten": [(load, "flatten")],
    "validate": [(load, "conform"), (load, "split")],
    "insert": [(Loader, name) for name in ("load_round", "reject", "reject_versions")],
    "derive": [(load, "derive")],
    "ledger": [(load, "write_ledger")],
    "marts": [(refresh, "build_marts")],
    "write the file, publish its copy": [(refresh, "checkpoint"), (refresh, "publish")],
    "make tables, dictionary, gaps, counts": [(refresh, name) for name in ("_open", "_gaps", "write_gaps", "_row_counts")]
    + [(ddl, "write_dictionary")],
}
"""Functions by stage; what one of them spends in another is the other's."""

REST, START = "the rest", "start of Python, imports"


def one_by_one(
    lake: Lake, providers: Mapping[str, Provider], files: Sequence[RawFile], now: datetime, report: load.LoadReport, *, cuts: bool
) -> Generator[load._Batch, None, None]:
    """Instead of `_ahead`: CPU time is the process's, and could not be told apart by stage."""
    with closing(memory()) as connection:
        for batch in load._batches(lake, files, report, cuts=cuts):
            yield load._prepared(connection, providers, batch, now, report)


def measure(lake: Path, out: Path) -> dict[str, float]:
    """Rebuild once."""
    watch = Stopwatch()
    watch.spent[START] = time.process_time()
    for stage, functions in STAGES.items():
        for owner, name in functions:
            watch.watch(owner, name, stage)
    load._ahead = one_by_one
    rebuild(lake, out, marts=True)
    return {**watch.spent, REST: time.process_time() - sum(watch.spent.values())}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))) + "\n")
