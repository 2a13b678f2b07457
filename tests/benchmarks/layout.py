"""How many files a lake has when every quarter of an hour a sync lands something: merged as every sync does it, and not.

    python -m tests.benchmarks.layout [--payloads 6000] [--every 15] [--page]

2,000 payloads a day, of all endpoints; days are those of the payloads. Reading is `raw_files` and `read_raw` of everything, as a rebuild
does it. `--page` puts it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter, defaultdict
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.lake.store import Lake, RawRow
from tests.benchmarks.generate import END, generate
from tests.benchmarks.measure import measured_by
from tests.benchmarks.page import show

_COLUMNS = [field.name for field in fields(RawRow)]

Slices = dict[str, dict[tuple[str, str], list[RawRow]]]
"""What each sync lands, by its id and by provider and endpoint."""


def slices(lake: Lake, every_min: int) -> Slices:
    """The rows of a lake, those of a day spread over its syncs."""
    found: Slices = defaultdict(lambda: defaultdict(list))
    a_day = 24 * 60 // every_min
    for file in lake.raw_files():
        for number, row in enumerate(lake.read_raw(file, _COLUMNS).to_pylist()):
            minutes = number % a_day * every_min
            sync_id = f"{row['window_date'] or row['fetched_at']:%Y%m%d}T{minutes // 60:02}{minutes % 60:02}00-bench"
            found[sync_id][file.provider, file.endpoint].append(RawRow(**row))
    return found


def land(lake: Lake, every: Slices, *, is_merged: bool) -> float:
    """Land all of it, a sync at a time; the seconds that merging took."""
    took = 0.0
    for sync_id, places in sorted(every.items()):
        for (provider, endpoint), rows in places.items():
            lake.land(provider, endpoint, rows, sync_id)
        if is_merged:
            started = time.perf_counter()
            for provider in {provider for provider, _ in places}:
                lake.compact(provider, sync_id, END)
            took += time.perf_counter() - started
    return took


def look(lake: Lake) -> dict[str, float]:
    """Files and bytes of the lake's payloads, and how long it takes to read them."""
    paths = list((lake.root / "raw").rglob("*.parquet"))
    started = time.perf_counter()
    payloads = sum(lake.read_raw(file).num_rows for file in lake.raw_files())
    read_s = time.perf_counter() - started
    return {
        "files": len(paths),
        "most_in_a_folder": max(Counter(path.parent for path in paths).values()),
        "bytes": sum(path.stat().st_size for path in paths),
        "payloads": payloads,
        "read_s": read_s,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.layout", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--payloads", type=int, default=6_000)
    parser.add_argument("--every", type=int, default=15, help="minutes from sync to sync")
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    os.fsync = lambda descriptor: None  # thousands of files: what a crash loses here is made again
    lakes = {}
    with TemporaryDirectory() as name:
        source = Path(name) / "source"
        generate(source, given.payloads, seed=1)
        every = slices(Lake(source), given.every)
        for what, is_merged in (("never merged", False), ("merged by every sync", True)):
            lake = Lake(Path(name) / what)
            merge_s = land(lake, every, is_merged=is_merged)
            lakes[what] = {**look(lake), "merge_s": merge_s}
    stamp = measured_by(f"python -m tests.benchmarks.layout --payloads {given.payloads} --every {given.every}", ["pyarrow"])
    show("layout", {**stamp, "syncs": len(every), "every_min": given.every, "lakes": lakes}, is_kept=given.page)


if __name__ == "__main__":
    main()
