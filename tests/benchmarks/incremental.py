"""What new payloads cost in a warehouse that is full, and what the same cost in an empty one.

    python -m tests.benchmarks.incremental LAKE WORK [--payloads 1000] [--turns 3]

LAKE is one of `generate`; the payloads are added to it, other ones at every turn. Prints JSON: CPU seconds (user + system, all threads) of
the refresh that loads them, `full` and `empty`, medians of the turns, without those of writing the file and publishing its copy, which grow
with the file and stand apart. `sync_full` and `sync_empty` are those of the whole command `resulthouse sync`
(`sync_once`), from the start of its process, that fetches as many results of Checkly over loopback (`extraction_server`) and loads them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from pipelines.clock import SystemClock
from pipelines.flows import refresh
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from tests.benchmarks.extraction import KEYS, PER_SESSION, STARTED_AT, serving
from tests.benchmarks.generate import generate
from tests.benchmarks.measure import Stopwatch
from tests.benchmarks.pool import Pool, make_pool
from tests.benchmarks.sync_once import PUBLISHING

ROOT = Path(__file__).parents[2]


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


def sync(lake: Path, home: Path, url: str, payloads: int, before: int = 0) -> float:
    """CPU of a sync of so many results that are new, after so many that are not, publishing apart."""
    sessions, landed = ((results // PER_SESSION) for results in (before + payloads, payloads))
    (lake / "accounts" / "checkly.json").unlink(missing_ok=True)  # each address of the server is another account's
    environ = {
        **os.environ,
        **KEYS,
        "CHECKLY_API_URL": f"{url}/{sessions}/{PER_SESSION}",
        "RESULTHOUSE_CHECKLY_RUNS": "off",
        "RESULTHOUSE_HOME": str(home),
        "RESULTHOUSE_LAKE": str(lake),
    }
    day = [f"--since={STARTED_AT:%Y-%m-%d}", f"--until={STARTED_AT:%Y-%m-%d}T23:59"]
    command = [sys.executable, "-m", "tests.benchmarks.sync_once", "--provider=checkly", *day]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True)
    said, spent = (json.loads(text.splitlines()[-1]) for text in (done.stdout, done.stderr))
    if said["providers"]["checkly"]["landed"] != landed * (PER_SESSION + 2) or not said["published"]:
        raise RuntimeError(f"not everything was loaded: {said}")
    return float(spent["sync"])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.incremental")
    parser.add_argument("lake", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--payloads", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    pool, watch, work = make_pool(), Stopwatch(), given.work.absolute()
    for name in PUBLISHING:
        watch.watch(refresh, name, "publish")
    measure(work / "first" / "lake", work / "first", given.payloads, pool, watch)  # what is imported and warmed up once
    empty, full = [], []
    for turn in range(given.turns):
        home = work / f"empty{turn}"
        empty.append(measure(home / "lake", home, given.payloads, pool, watch, turn))
        full.append(measure(given.lake, work / "full", given.payloads, pool, watch, turn))
    syncs_empty, syncs_full = [], []
    with serving() as url:
        lake, home = given.lake.absolute(), work / "full"
        sync(lake, home, url, given.payloads)  # as the lake was made without one, nothing is remembered of it yet
        for turn in range(given.turns):
            other = work / f"sync{turn}"
            syncs_empty.append(sync(other / "lake", other, url, given.payloads))
            syncs_full.append(sync(lake, home, url, given.payloads, before=(turn + 1) * given.payloads))
    found: dict[str, float] = {"payloads": given.payloads, "turns": given.turns}
    for name, measured in (("empty", empty), ("full", full)):
        found[name], found[f"publish_{name}"] = (statistics.median(column) for column in zip(*measured, strict=True))
    found |= {"sync_empty": statistics.median(syncs_empty), "sync_full": statistics.median(syncs_full)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
