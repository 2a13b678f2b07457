"""What new payloads cost in a warehouse that is full, and what the same cost in an empty one.

    python -m tests.benchmarks.incremental LAKE WORK [--payloads 1000] [--turns 3]

LAKE is one of `generate`; the payloads are added to it, other ones at every turn. Prints JSON: CPU seconds (user + system, all threads) of
the refresh that loads them, `full` and `empty`, medians of the turns, without those of writing the file and publishing its copy, which grow
with the file and stand apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from pipelines.clock import SystemClock
from pipelines.flows import refresh
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from tests.benchmarks.generate import generate
from tests.benchmarks.measure import Stopwatch
from tests.benchmarks.pool import Pool, make_pool

PUBLISHING = ("checkpoint", "publish")


def measure(lake: Path, home: Path, payloads: int, pool: Pool, watch: Stopwatch, turn: int = 0) -> tuple[float, float]:
    """CPU of refreshing what was added, and of publishing it."""
    providers = load_providers()
    settings = load_settings(providers, environ={"RESULTHOUSE_HOME": str(home), "RESULTHOUSE_LAKE": str(lake)}, dotenv=None)
    lake.mkdir(parents=True, exist_ok=True)
    refresh.refresh(settings, providers, SystemClock())
    generate(lake, payloads, seed=2 + turn, pool=pool, name=f"more{turn}")
    watch.spent.clear()
    started = time.process_time()
    report = refresh.refresh(settings, providers, SystemClock())
    whole, published = time.process_time() - started, watch.spent["publish"]
    if not report.published or sum(report.load.loaded.values()) < payloads:
        raise RuntimeError(f"not everything was loaded: {report.load}")
    return whole - published, published


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.incremental")
    parser.add_argument("lake", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--payloads", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    pool, watch = make_pool(), Stopwatch()
    for name in PUBLISHING:
        watch.watch(refresh, name, "publish")
    measure(given.work / "first" / "lake", given.work / "first", given.payloads, pool, watch)  # what is imported and warmed up once
    empty, full = [], []
    for turn in range(given.turns):
        home = given.work / f"empty{turn}"
        empty.append(measure(home / "lake", home, given.payloads, pool, watch, turn))
        full.append(measure(given.lake, given.work / "full", given.payloads, pool, watch, turn))
    found: dict[str, float] = {"payloads": given.payloads, "turns": given.turns}
    for name, measured in (("empty", empty), ("full", full)):
        found[name], found[f"publish_{name}"] = (statistics.median(column) for column in zip(*measured, strict=True))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
