"""The benchmark: every side by turns on one lake, contents compared, docs/benchmarks.md written.

    make benchmark SIZE=50000 [ROUNDS=3]
    .venv-benchmarks/bin/python -m tests.benchmarks.run --payloads 50000 [--rounds 3] [--sides ours,duckdb] [--work DIR]

Results of each size are kept in docs/benchmarks.json, from which `page` renders: a size that is measured again replaces its own.
Every side is a process of its own. One round runs each side once, in an order that turns by one from round to round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from tests.benchmarks.generate import generate
from tests.benchmarks.measure import Cost, measure, measured_by
from tests.benchmarks.page import keep
from tests.benchmarks.pool import make_pool
from tests.benchmarks.tables import ENDPOINTS, contents

ROOT = Path(__file__).parents[2]

SIDES: dict[str, tuple[str, ...]] = {
    "ours": ("ours",),
    "ours-without-marts": ("ours", "--without-marts"),
    "duckdb": ("by_duckdb",),
    "polars": ("by_polars",),
    "msgspec": ("by_msgspec",),
    "orjson": ("by_orjson",),
    "dlt-projected": ("by_dlt", "--projected"),
    "dlt-whole": ("by_dlt",),
}
"""Module and options of each side; every one is given the lake and the file to write."""

MIX_SIDES = ("ours", "ours-without-marts")
"""What is also run on a lake of every endpoint, where nobody else stands."""

INEXACT = {"polars": {"assertions": ("target", "actual")}}
"""Columns that a side cannot give as they came: polars' decoder writes 48.0 as 48. They are left out of its comparison alone."""

LIBRARIES = ("duckdb", "polars", "pyarrow", "dlt", "msgspec", "orjson")


ONCE_ABOVE = 100_000
"""Payloads above which dlt is run in the first round only: it takes as long as all others together, several times."""


class DifferentError(Exception):
    """A side did not write what ours wrote."""


def run_side(name: str, lake: Path, folder: Path) -> tuple[Cost, Path]:
    """Run a side once: what it cost, and the file it wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    module, *options = SIDES[name]
    out = folder / f"{name}.duckdb"
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", str(lake), str(out), *options]
    return measure(command, cwd=ROOT, environ=os.environ), out


def compare(name: str, file: Path, wanted: Path) -> dict[str, int]:
    """Rows by table of a side; raises DifferentError unless they are those of `wanted`."""
    without = INEXACT.get(name, {})
    found, ours = contents(file, without), contents(wanted, without)
    if found != ours:
        raise DifferentError(f"{name} differs from ours: { ({t: (found.get(t), ours[t]) for t in ours if found.get(t) != ours[t]}) }")
    return {table: rows for table, (rows, _) in found.items()}


def side_by_side(
    sides: Sequence[str], lake: Path, rounds: int, work: Path, *, is_large: bool = False
) -> tuple[dict[str, Any], dict[str, int]]:
    """Rounds of all sides by turns: samples by side, and the compared rows by table."""
    samples: dict[str, list[Cost]] = {name: [] for name in sides}
    bytes_: dict[str, int] = {}
    rows: dict[str, int] = {}
    wanted = work / "wanted.duckdb"
    for turn in range(rounds):
        for name in (*sides[turn % len(sides) :], *sides[: turn % len(sides)]):
            if turn and is_large and name.startswith("dlt"):
                continue
            cost, file = run_side(name, lake, work / "side")
            if not wanted.exists():  # the first of the first round
                shutil.copyfile(file, wanted)
            rows = compare(name, file, wanted)
            samples[name].append(cost)
            bytes_[name] = file.stat().st_size
            say(f"  round {turn + 1} {name}: {cost.wall_s:.1f} s, CPU {cost.cpu_s:.1f} s, {cost.peak_bytes / 2**20:.0f} MiB")
            if name == "duckdb":
                shutil.copyfile(file, work / "compared.duckdb")
    return {name: {"costs": [vars(cost) for cost in costs], "bytes": bytes_[name]} for name, costs in samples.items()}, rows


def bound(lake: Path, work: Path) -> dict[str, Any]:
    """The physical bound: see `tests.benchmarks.bound`."""
    outputs = [str(path) for path in (work / "compared.duckdb", work / "wanted.duckdb") if path.exists()]
    found: dict[str, Any] = json.loads(output_of([sys.executable, "-m", "tests.benchmarks.bound", str(lake), *outputs]))
    return found


def output_of(command: Sequence[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def lake_facts(lake: Path) -> dict[str, int]:
    """Payloads, their characters, files and bytes of a lake."""
    files = list((lake / "raw").rglob("*.parquet"))
    listed = [str(path) for path in files]
    counted = duckdb.execute("SELECT count(*), sum(strlen(payload)) FROM read_parquet(?, hive_partitioning = false)", [listed]).fetchone()
    assert counted is not None
    return {"payloads": counted[0], "json_bytes": int(counted[1]), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def core_rows(file: Path) -> int:
    """Rows of all core tables, also of those that are not compared."""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'").fetchall()
        found = connection.execute("SELECT " + " + ".join(f"(SELECT count(*) FROM core.{name})" for (name,) in tables)).fetchone()
    assert found is not None
    return int(found[0])


def say(text: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def compared(sides: Sequence[str], payloads: int, rounds: int, work: Path) -> dict[str, Any]:
    """Ours beside the others, on a lake of the endpoints that all of them load."""
    lake = work / "lake"
    results, rows = side_by_side(sides, lake, rounds, work, is_large=payloads > ONCE_ABOVE)
    stages = output_of([sys.executable, "-m", "tests.benchmarks.stages", str(lake), str(work / "stages.duckdb")])
    found = {
        "lake": lake_facts(lake),
        "rows": rows,
        "rows_of_ours": core_rows(work / "wanted.duckdb"),
        "sides": results,
        "bound": bound(lake, work),
        "stages": json.loads(stages),
    }
    (work / "wanted.duckdb").unlink()
    return found


def mixed(sides: Sequence[str], rounds: int, work: Path) -> dict[str, Any]:
    """Ours on a lake of every endpoint; afterwards some more payloads."""
    lake = work / "mix"
    results, _ = side_by_side(sides, lake, rounds, work)
    found = {"lake": lake_facts(lake), "sides": results}
    incremental = output_of([sys.executable, "-m", "tests.benchmarks.incremental", str(lake), str(work / "homes")])
    return {**found, "incremental": json.loads(incremental)}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run")
    parser.add_argument("--payloads", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sides", default=",".join(SIDES), help="of " + ", ".join(SIDES) + "; ours is always there")
    parser.add_argument("--growth-only", action="store_true", help="only the lake of every endpoint, where nobody else stands")
    parser.add_argument("--work", type=Path, help="a folder for lakes and outputs, several times their size (default: a temporary one)")
    parser.add_argument("--no-page", action="store_true", help="print only")
    given = parser.parse_args()
    sides = ["ours", *(name for name in given.sides.split(",") if name != "ours")]
    if unknown := set(sides) - set(SIDES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        say(f"making lakes of {given.payloads} payloads")
        pool = make_pool()
        os.fsync, fsync = (lambda descriptor: None), os.fsync  # what a crash loses here is made again
        if not given.growth_only:
            generate(work / "lake", given.payloads, given.seed, only=ENDPOINTS, pool=pool)
        generate(work / "mix", given.payloads, given.seed, pool=pool)
        os.fsync = fsync
        what = "--growth-only" if given.growth_only else f"--sides {','.join(sides)}"
        command = f"python -m tests.benchmarks.run --payloads {given.payloads} --rounds {given.rounds} {what}"
        result = measured_by(command, LIBRARIES) | {"rounds": given.rounds}
        if not given.growth_only:
            result |= compared(sides, given.payloads, given.rounds, work)
        say("a lake of every endpoint")
        result["mix"] = mixed(["ours"] if given.growth_only else [name for name in MIX_SIDES if name in sides], given.rounds, work)
    sys.stdout.write(json.dumps(result, indent=1) + "\n" if given.no_page else keep(str(given.payloads), result))


if __name__ == "__main__":
    main()
