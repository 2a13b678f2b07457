"""docs/benchmarks.md from docs/benchmarks.json, in which each benchmark keeps what it measured last: `run` by payloads, others by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

RESULTS, PAGE = (Path(__file__).parents[2] / "docs" / name for name in ("benchmarks.json", "benchmarks.md"))

TITLES = {
    "ours": "Resulthouse `rebuild`",
    "ours-without-marts": "Resulthouse `rebuild` without marts",
    "duckdb": "DuckDB SQL alone",
    "polars": "polars",
    "msgspec": "msgspec loop",
    "orjson": "orjson loop",
    "dlt-projected": "dlt, nested, projected payload",
    "dlt-whole": "dlt, nested, whole payload",
}

PREFACE = """# Benchmarks

Rendered by `make benchmark` (SIZE=, ROUNDS=), and by the commands of the last sections, from what they measured; the sources are in
[tests/benchmarks](../tests/benchmarks).

A seeded generator makes a lake as daily syncs leave it: the payloads of the sandboxes of all four providers, masked and landed by the
house's own code, copied with ids, times, durations and texts of their own. Every side below reads the same Parquet files and writes the
same tables of two endpoints (`datadog/browser_results`, `checkly/test_session_results`) into a DuckDB file: `core.results`, `steps`,
`assertions`, `timings`, `page_vitals`, `logs`, `exchanges`. After every run row counts and a content hash of each table are compared with
ours; a side that differs ends the benchmark. All have the one primary key that ours has (`results.result_key`).

What that leaves out, in favour of the others: ours also writes `attributes`, errors, artifacts, hops, pings, suggestions, test versions,
the ledger, counts drift, validates every row, checks every file's hash, isolates bad payloads, derives over batches, builds the marts and
publishes a copy. The others take the lake as it is, with one version per payload, and stop at the first bad one. polars has no decoder
that keeps numbers as they came (48.0 becomes 48): `assertions.target` and `actual` are left out of its comparison.

Ours is what `resulthouse rebuild` runs, without Dagster's own start.

A side is a process, started anew each time; by turns, one round after the other. Shown are medians. Wall and CPU (user + system, with
children) are of the whole process, memory is the greatest sum over its process tree. "Times ours" is wall by wall, above 1 means slower
than ours; "CPU" the same of CPU. The physical bound is the CPU of reading the Parquet, parsing each payload once and writing the rows,
divided by the cores.
"""

TARGETS = (("duckdb", 1.0), ("msgspec", 2.5), ("orjson", 2.5), ("dlt-projected", 10.0), ("dlt-whole", 20.0))
"""How many times our wall clock a side should take at least."""

COMPARED_AT = 200_000
"""Payloads for which that is wanted, and how near the physical bound is; more are wanted to load as fast as these."""

MOST_TIMES_BOUND, MOST_MIB, MOST_GROWTH, MOST_INCREMENTAL = 2.0, 700, 1.25, 1.5

DISTANCE = """## What it would take to be as fast as SQL alone

The same rows in one `INSERT` per table, straight from `json_transform`, are what DuckDB can do; the first table says by how much that
is faster. The profile says where the rest goes, and none of it is one mistake:

- **Every payload is parsed twice**: once for what is not documented in it, once for its struct. SQL alone parses once and drops what it
  does not know without a word. The first parse is msgspec's, which refuses undocumented fields and types; only what it refuses is looked at
  slowly. The larger half of counting drift are words and instants now, which are looked for in the decoded columns.
- **Rows go from DuckDB to polars and back**, so that a flatten is a function of frames that can be tested without a database, and so
  that a bad row is a reject with a sentence and not the end of the load. An eager polars operation costs a third of a millisecond
  however few rows it has, and a batch of one endpoint takes 100 to 400 of them.
- **Batches of 6 MB in transactions of their own** bound the memory and make order, repetition and crashes harmless; versions, ledger,
  tries, test versions and run counts are derived over them afterwards.
- **More is written**: all core tables with their attributes, both sides of a merge, the books, the marts, and the published copy.

What would bring more, largest first: flattening in SQL instead of polars, which would give up what this house is built on; one parser that
forbids what is not declared and makes columns of the rest, and so does both parses at once (there is none in polars or DuckDB today); and
memory that is kept: 30% of the CPU is the kernel's, mostly for 40 pages a payload that are taken anew; given back after a second
instead of 20 ms they cost 7% less in all, and 26 MiB more (50,000 payloads, 2026-11-24).

## What bounds the memory

A batch is 6 MB of JSON, and a file that is larger is decoded in parts; three batches are in hand. What DuckDB holds of the work file is
bounded (150 MB) while it is loaded and put on disk above that; a first load is derived after every 20,000 results and put into the file
after every 64 batches, and its marts are made some days, tests or runs at a time, in one thread. A step that needs more than the bound is
taken again with more, after a checkpoint. Marts of a warehouse that is not new have 400 MB: within 150 DuckDB looks for a test's steps in
all rows instead of those that its keys can be in.

The frames of a batch are 6 MB, but to decode it takes 50 to 70 for a moment, in each of two threads, and what the allocators of DuckDB,
polars and pyarrow kept of that stood beside the bound. They are told to give it back (`pipelines/__init__.py`: one arena, 20 ms; the
system's own for pyarrow), which costs nothing that could be measured in a rebuild, and some 0.2 s (the kernel: pages taken anew) where
1,000 are added to a million.
Definitions are loaded first: what they say later is looked for in all results of their tests.

## What it would take for a million to load as fast as 200,000

CPU of a rebuild by payload in microseconds, each measured once, batches one after the other (2026-11-23). Flattening looks at a batch and
at nothing else: the machine was a seventh and a tenth faster in the second and third run, and what is not less by that there has grown.

| | 200,000 | 1,000,000 | within 400 MB, not 150 |
|---|--:|--:|--:|
| flatten, for comparison | 76 | 65 | 69 |
| decode, count drift, validate, read files | 127 | 119 | 122 |
| put what a batch wrote into the tables (DuckDB's COMMIT) | 26 | 47 | 40 |
| insert, choose versions | 46 | 48 | 43 |
| derive | 66 | 66 | 56 |
| put into the file after every 64 batches, bound the memory | 13 | 22 | 22 |
| marts | 16 | 14 | 16 |

What grows most is DuckDB's COMMIT. A part of it, and all that insert and derive take more, is the bound on DuckDB's memory: blocks are
written out and read again. With 250 MB more a million would take some 30 of 400 s less, and above the 700 MiB that all of it may take. The
rest of the commits, and the checkpoints, grow with the tables.

## What 1,000 more cost in a million

What still grows, by CPU of loading the same 1,000 again and again into a copy of a million, by turns with the same into an empty one
(2026-11-23; 2.8 s in all, and 2.0 s into an empty one):

- **Deriving, 0.3 s more**: some forty statements that each look for a few hundred keys in a column of a million: the other tries of an
  execution, which are found by a text, 0.05; the index of the primary key, which is read whole, 0.02.
- **The marts, 0.3 s more**: incidents and flips, which order all streaks of a test, 0.05 and 0.03; steps, assertions and timings of the
  changed months and days, which are looked for in tables that know no day, 0.04 each.
- **The lake's folders and windows: 0.1 s. The look for versions of the same entities, which reads the ids of all that was ever loaded of
  their endpoint, 0.07 s; what a new version replaces 0.04; the two commits 0.06.**

Around it a sync reads what is remembered of the lake (0.05 s for 100,000 entities), checks what has changed (0.3 s) and draws the report,
whose freshness is asked of all payload versions (0.3 s).

Not taken: a table of digests of all loaded entities, to be asked before their ids, took 0.2 s more: each round of an endpoint reads a
million of them. Tests named by a join instead of one by one, and rows of assertions and timings found by their key first, gave nothing:
one row in 500 passes a Bloom filter that should not, and every block has some.

CPU for the same work moves by a fifth on this machine from one quarter of an hour to the next: full and empty are measured by turns. The
throughput of a million moves with it, beside that of 200,000, which is measured before or after it.
"""

CHANGES = """## Before and after

CPU unless it says otherwise; each pair was measured once, one after the other, when the change was made (2026-11-22 to 24, 2 cores, often
busy with other work).

| change | before | after |
|---|--:|--:|
| Members of JSON objects and lists split by DuckDB, not in Python (Checkly's results, 4,501 payloads: flatten) | 3.8 s | 1.3 s |
| Drift looks at shapes and decoded columns only, no value is walked in Python (10,004 payloads) | 2.9 s | 2.3 s |
| Two batches prepared while one is written (50,001 payloads, wall) | 48.0 s | 38.4 s |
| DuckDB holds 200 instead of 300 MB of the work file (the same, peak memory) | 978 MiB | 879 MiB |
| The work file without a log, put into place at the end (the same, CPU of a rebuild with batches one by one) | 71.0 s | 63.4 s |
| DuckDB reads frames as bare streams, without pyarrow's scanner (10,004 payloads, batches one by one, peak memory) | 598 MiB | 530 MiB |
| The checkpoint midway is held within the memory bound, too (200,016 payloads of all endpoints, peak memory) | 864 MiB | 737 MiB |
| Flatten: each expression computed once, rules looked at in one select (10,004 payloads, one thread) | 2.2 s | 1.7 s |
| `marts.executions` for two changed days of 100 (130,129 executions) | 2.0 s | 0.3 s |
| `marts.daily_reliability`, the same | 1.2 s | 0.1 s |
| `marts.timing_breakdown`, the same | 1.3 s | 0.2 s |
| A test that is configured otherwise builds no day anew (1,000 more into 200,000: marts by day) | 4.2 s | 1.5 s |
| Marts of single tests built anew for tests with new results only (the same: four marts) | 1.5 s | 0.8 s |
| `INSERT OR REPLACE` of 11,000 rows into 57,000 runs, which is a merge with the whole table, as `DELETE` and `INSERT` | 16.0 s | 0.1 s |
| One thread for each of DuckDB's connections while batches are prepared and written (50,001 payloads) | 56.2 s | 38.3 s |
| The same, wall | 32.8 s | 23.7 s |
| Test versions derived for tests with news only (1,000 more into a million: `tests.sql`) | 2.2 s | 0.4 s |
| Wide rows of a merge chosen by row number first (the same: `results.sql`) | 1.2 s | 0.3 s |
| Marts in parts read a part of `core.results` or `marts.executions` (the same: all but the two built as a whole) | 3.9 s | 1.9 s |
| All of it: a million payloads of all endpoints, wall | 630.5 s | 465.0 s |
| The same, peak memory | 2,284 MiB | 919 MiB |
| 1,000 more into that, the lake compacted as every sync does it | 24.5 s | 9.9 s |
| Marts of a first build some days, tests or runs at a time (a million payloads, 651,307 executions) | 38.0 s | 26.1 s |
| The same, peak memory of building them | 664 MiB | 415 MiB |
| `marts.incidents` from failures and the passes after them only (98,333 executions) | 0.5 s | 0.3 s |
| `run_summary` by changed runs, and the above (1,000 more into a million: marts) | 3.3 s | 2.6 s |
| Allocators give back what a batch took (50,000 payloads of all endpoints, peak memory, least of three) | 701 MiB | 634 MiB |
| DuckDB holds 150 instead of 200 MB (the same) | 634 MiB | 589 MiB |
| All of it, batches of 6 instead of 8 MB, definitions first (a million payloads, peak memory) | 907 MiB | 661 MiB |
| Marts of a first build in one thread (a million payloads, bound to 170 MB) | 16.9 s | 10.7 s |
| The same, wall | 10.8 s | 10.4 s |
| Primary keys of core at the end of a first load, results as they stood looked up once (a million payloads, CPU) | 397 s | 385 s |
| The same, steps taken again for want of memory | 13 | 1 |
| The same, peak memory | 690 MiB | 665 MiB |
| The same, published file | 1,632 MB | 1,395 MB |
| `marts.slow_steps`, the newest day of a test from a group and not a window (256,000 executions) | 0.23 s | 0.18 s |
| Marts of a warehouse that is not new within 400 MB, not 150 (the same 1,000 into a million: `slow_steps`) | 0.32 s | 0.13 s |
| What a new version replaces is removed only from tables that can hold it (the same: 14 rounds) | 0.53 s | 0.47 s |
| Windows of a provider's endpoints merged at once, neighbours in a file in one slice (gaps, a year's syncs) | 0.18 s | 0.09 s |
| What interrupted writers left is looked for once in each folder (the same) | 0.07 s | 0.04 s |
| All of it: the same 1,000 into a million, by turns, times those into an empty one | 2.1 | 1.8 |
| Incidents and flips from streaks by month (the same: `incidents`, `flaky_tests` and the streaks) | 0.33 s | 0.17 s |
| Steps, assertions and errors summed up by month (the same: three marts and their months) | 0.35 s | 0.18 s |
| An execution made anew by itself, not with its day; a changed part found once (the same: `executions`) | 0.12 s | 0.08 s |
| Keys that a long table is searched for have a condition, and DuckDB makes a Bloom filter of them (the same: derive) | 0.69 s | 0.61 s |
| All of it: the same 1,000 into a million, by turns, times those into an empty one | 1.8 to 1.9 | 1.6 to 1.7 |
| Windows of a year's syncs handed to polars in one piece | 0.3 s | 0.03 s |
| A lake of a year's syncs is listed | 0.24 s | 0.15 s |
| A sync reads what the lake knows of 300,000 entities | 5.0 s | 1.4 s |
| The same, memory held for each entity | 892 B | 185 B |
| What the lake's raw files say is remembered, and not read in 4,400 files again (a lake of a million, all four providers) | 3.6 s | 0.6 s |
| Folders listed as texts, what was left behind removed by the sync that walks there anyway (a refresh of the same) | 0.20 s | 0.14 s |
| News of a test kept with its fields and looked for from the first touched sighting on (the same 1,000 into a million) | 0.06 s | 0.01 s |
| Versions of the same entities, and touched results, found by their key before anything else of them is read (the same) | 0.17 s | 0.11 s |
| Checks of the published warehouse read what has changed since they held (a million) | 1.7 s | 0.3 s |
| All of it: `resulthouse sync` of 1,000 results into a million, by turns, times the same with an empty lake | 1.4 to 1.6 | 1.2 to 1.3 |
| What is remembered needs no decoding, what landed last is looked for first (a sync with nothing new beside a million) | 3.5 s | 3.1 s |
| The same, wall beside Dagster alone | +0.57 s | +0.16 s |
| Files of 7.6 MB of JSON each, larger than a batch, decoded in parts (192,000 payloads of two endpoints, peak memory) | 846 MiB | 697 MiB |
| pyarrow takes its memory from the system's allocator (the same, least of two; CPU unchanged: 77.8 and 77.0 s) | 678 MiB | 614 MiB |
| Undocumented fields and types found by msgspec, shapes of what it refuses only (50,000, least of two: count drift) | 4.1 s | 2.1 s |
| The same, and no second parse for the type of what is decoded (the same, medians of three: CPU of a rebuild) | 20.7 s | 18.4 s |
"""


def keep(name: str, result: Mapping[str, Any]) -> str:
    """Put a result in the place of the one of before, and write the page, which is returned."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[name] = result
    text = render(known)
    RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(text, encoding="utf-8")
    return text


def show(name: str, result: Mapping[str, Any], *, is_kept: bool) -> None:
    """Print the section that a result makes, and keep it when that is asked."""
    sys.stdout.write(NAMED[name](result))
    if is_kept:
        keep(name, result)


def render(results: Mapping[str, Any]) -> str:
    """The page; `results` by payload count, or by name."""
    sizes = {size: results[size] for size in sorted(filter(str.isdigit, results), key=int)}
    parts = [PREFACE, *(_section(int(size), result) for size, result in sizes.items())]
    if len(sizes) > 1:
        parts += [_growth(sizes), _targets(sizes)]
    parts += [DISTANCE, *(section(results[name]) for name, section in NAMED.items() if name in results), CHANGES]
    return "\n".join(parts)


def _measured_by(result: Mapping[str, Any], rounds: str = "") -> str:
    machine = result["machine"]
    libraries = "".join(f", {name} {number}" for name, number in machine["libraries"].items())
    return (
        f"{result['date']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}"
        f"{libraries}; {rounds}`{result['command']}`"
    )


def _section(size: int, result: Mapping[str, Any]) -> str:
    lines = [f"## {size:,} payloads", "", _measured_by(result, f"{result['rounds']} rounds: ")]
    if "sides" in result:
        lines += ["", *_compared(result)]
    lines += ["", *_mixed(result["mix"])]
    return "\n".join(lines) + "\n"


def _compared(result: Mapping[str, Any]) -> list[str]:
    lake, sides = result["lake"], result["sides"]
    ours = medians(sides["ours"])
    lines = [
        f"{lake['payloads']:,} payloads, {lake['json_bytes'] / 1e6:,.0f} MB of JSON in {lake['files']:,} files of"
        f" {lake['bytes'] / 1e6:,.0f} MB; {sum(result['rows'].values()):,} rows compared ("
        + ", ".join(f"{table} {count:,}" for table, count in result["rows"].items())
        + f"); ours writes {result['rows_of_ours']:,} rows into all core tables.",
        "",
        "| side | runs | wall s | times ours | CPU s | CPU | peak MiB | file MB | payloads/s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, side in sides.items():
        cost, runs = medians(side), len(side["costs"])
        lines.append(
            f"| {TITLES[name]} | {runs} | {cost['wall_s']:.1f} | {cost['wall_s'] / ours['wall_s']:.2f} | {cost['cpu_s']:.1f} |"
            f" {cost['cpu_s'] / ours['cpu_s']:.2f} | {cost['peak_bytes'] / 2**20:,.0f} | {side['bytes'] / 1e6:,.1f} |"
            f" {lake['payloads'] / cost['wall_s']:,.0f} |"
        )
    return [*lines, "", *_bound(result["bound"], result["machine"]["cores"], ours["wall_s"]), "", *_stages(result["stages"])]


def _mixed(mix: Mapping[str, Any]) -> list[str]:
    lake, added = mix["lake"], mix["incremental"]
    turns = f" (medians of {added['turns']} turns)" if "turns" in added else ""
    lines = [
        f"All 13 endpoints, every table: {lake['payloads']:,} payloads, {lake['json_bytes'] / 1e6:,.0f} MB of JSON in"
        f" {lake['files']:,} files of {lake['bytes'] / 1e6:,.0f} MB.",
        "",
        "| | wall s | CPU s | peak MiB | file MB | payloads/s |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, side in mix["sides"].items():
        cost = medians(side)
        lines.append(
            f"| {TITLES[name]} | {cost['wall_s']:.1f} | {cost['cpu_s']:.1f} | {cost['peak_bytes'] / 2**20:,.0f} |"
            f" {side['bytes'] / 1e6:,.1f} | {lake['payloads'] / cost['wall_s']:,.0f} |"
        )
    return [
        *lines,
        "",
        f"Then {added['payloads']:,} more{turns}: {added['full']:.1f} s of CPU, {added['full'] / added['empty']:.2f} times what they cost"
        f" in an empty warehouse ({added['empty']:.1f} s); writing and publishing apart ({added['publish_full']:.1f} and"
        f" {added['publish_empty']:.1f} s).",
        *_synced(added),
    ]


def _synced(added: Mapping[str, Any]) -> list[str]:
    if "sync_full" not in added:
        return []
    return [
        "",
        f"`resulthouse sync`, the whole command, that fetches and loads {added['payloads']:,} results of Checkly:"
        f" {added['sync_full']:.1f} s of CPU, {added['sync_full'] / added['sync_empty']:.2f} times what it costs with an empty lake"
        f" ({added['sync_empty']:.1f} s); writing and publishing apart.",
    ]


def _bound(bound: Mapping[str, Any], cores: int, ours_s: float) -> list[str]:
    lines = []
    for name, what in (("compared", "the compared rows"), ("wanted", "all core rows that ours writes")):
        write = bound["write"].get(name)
        if write is not None:
            total = (bound["read"] + bound["parse"] + write) / cores
            lines.append(
                f"Physical bound for {what}: ({bound['read']:.2f} read + {bound['parse']:.2f} parse + {write:.2f} write) / {cores} cores ="
                f" {total:.2f} s; ours takes {ours_s / total:.1f} times that."
            )
    return ["  \n".join(lines)]


def _stages(stages: Mapping[str, float]) -> list[str]:
    whole = sum(stages.values())
    said = (f"{name} {spent:.1f} s ({spent / whole:.0%})" for name, spent in sorted(stages.items(), key=lambda each: -each[1]))
    return [f"Where the CPU of ours goes (one run, batches one after the other, {whole:.1f} s): " + ", ".join(said) + "."]


def _growth(results: Mapping[str, Any]) -> str:
    lines = ["## Growth", "", "Resulthouse `rebuild` of all endpoints, marts included.", ""]
    lines += ["| payloads | wall s | payloads/s | CPU s | peak MiB | file MB |", "|--:|--:|--:|--:|--:|--:|"]
    for size in sorted(results, key=int):
        mix = results[size].get("mix")
        if mix and "ours" in mix["sides"]:
            side, count = mix["sides"]["ours"], mix["lake"]["payloads"]
            cost = medians(side)
            lines.append(
                f"| {count:,} | {cost['wall_s']:.1f} | {count / cost['wall_s']:,.0f} | {cost['cpu_s']:.1f} |"
                f" {cost['peak_bytes'] / 2**20:,.0f} | {side['bytes'] / 1e6:,.1f} |"
            )
    return "\n".join(lines) + "\n"


def _targets(results: Mapping[str, Any]) -> str:
    """What was wanted beside what was measured: the others at `COMPARED_AT` at most, the rest at the largest size that has it."""
    others = f"The other sides and the physical bound at {COMPARED_AT:,} payloads, the rest at the largest size at which it was measured."
    plain = "For measure, what DuckDB SQL alone comes to, were it in our place: it counts, checks, isolates and derives nothing."
    lines = ["## Targets", "", others, plain, ""]
    lines += ["| | wanted | measured | payloads | | SQL alone |", "|---|--:|--:|--:|---|--:|"]

    def say(what: str, wanted: str, measured: str, size: int, *, is_met: bool, plain: str = "") -> None:
        lines.append(f"| {what} | {wanted} | {measured} | {size:,} | {'met' if is_met else 'not met'} | {plain} |")

    sizes = sorted(results, key=int)
    compared = {name: (size, results[size]) for size in sizes if int(size) <= COMPARED_AT for name in results[size].get("sides", ())}
    for name, wanted in TARGETS:
        if name in compared:
            size, result = compared[name]
            other, ours, sql = (medians(result["sides"][side])["wall_s"] for side in (name, "ours", "duckdb"))
            what, met = f"wall of {TITLES[name]}, times ours", other / ours >= wanted
            say(what, f"≥ {wanted}", f"{other / ours:.2f}", int(size), is_met=met, plain=f"{other / sql:.2f}")
    if "ours" in compared:
        size, result = compared["ours"]
        bound = result["bound"]
        least = (bound["read"] + bound["parse"] + bound["write"]["wanted"]) / result["machine"]["cores"]
        least_sql = (bound["read"] + bound["parse"] + bound["write"]["compared"]) / result["machine"]["cores"]
        times, sql = (medians(result["sides"][side])["wall_s"] / by for side, by in (("ours", least), ("duckdb", least_sql)))
        met = times <= MOST_TIMES_BOUND
        say("ours, times the physical bound", f"≤ {MOST_TIMES_BOUND}", f"{times:.1f}", int(size), is_met=met, plain=f"{sql:.1f}")
    mixes = {int(size): results[size]["mix"] for size in sizes}
    largest, costs = max(mixes), {size: medians(mix["sides"]["ours"]) for size, mix in mixes.items()}
    of_compared = {int(size): medians(results[size]["sides"]["ours"]) for size in sizes if "sides" in results[size]}
    for what, measured in (("all endpoints", costs), ("the two compared endpoints", of_compared)):
        peaks = {size: cost["peak_bytes"] / 2**20 for size, cost in measured.items()}
        if not peaks:
            continue
        most, at = max(peaks.values()), max(peaks)
        say(f"peak memory of a rebuild of {what}, all sizes", f"≤ {MOST_MIB} MiB", f"{most:,.0f} MiB", at, is_met=most <= MOST_MIB)
        if {50_000, at} <= peaks.keys():
            grown = peaks[at] / peaks[50_000]
            say("the same, times that of 50,000", f"< {MOST_GROWTH}", f"{grown:.2f}", at, is_met=grown < MOST_GROWTH)
        if at > COMPARED_AT in measured:
            kept = (at / measured[at]["wall_s"]) / (COMPARED_AT / measured[COMPARED_AT]["wall_s"])
            say(f"payloads a second of it, times those at {COMPARED_AT:,}", "≥ 1", f"{kept:.2f}", at, is_met=kept >= 1)
    added = mixes[largest]["incremental"]
    for what, full, empty in (("a sync of 1,000 more", "sync_full", "sync_empty"), ("loading 1,000 more, alone", "full", "empty")):
        if full not in added:
            continue
        times = added[full] / added[empty]
        met = times <= MOST_INCREMENTAL
        say(f"{what}, times the same into an empty one", f"≤ {MOST_INCREMENTAL}", f"{times:.2f}", largest, is_met=met)
    return "\n".join(lines) + "\n"


def medians(side: Mapping[str, Any]) -> dict[str, float]:
    """Of the wall and CPU seconds and the peak bytes of a side's runs."""
    return {name: median(cost[name] for cost in side["costs"]) for name in ("wall_s", "cpu_s", "peak_bytes")}


# --- what is measured apart from a rebuild ------------------------------------------------------------------------


def _publish(result: Mapping[str, Any]) -> str:
    lines = ["## Publish", "", _measured_by(result), ""]
    lines += [
        "A file is never changed under its readers: what is published is a copy, and a file system that can clone a file shares its blocks",
        "until one of the two changes.",
        "",
        "| file system | | wall s | CPU s | MB written | MB less free |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for place in result["places"]:
        system = f"{place['file_system']}, {place['bytes'] / 1e6:,.0f} MB"
        for what, cost in place["costs"].items():
            seconds, bytes_ = f"{cost['wall_s']:.2f} | {cost['cpu_s']:.2f}", f"{cost['written'] / 1e6:,.0f} | {cost['taken'] / 1e6:,.0f}"
            lines.append(f"| {system} | {what} | {seconds} | {bytes_} |")
    return "\n".join(lines) + "\n"


def _extraction(result: Mapping[str, Any]) -> str:
    lines = ["## Extraction", "", _measured_by(result)]
    lines += [f"\n### {name.capitalize()}\n\n{text}" for name, text in result["parts"].items()]
    return "\n".join(lines) + "\n"


MOST_START_S = {"--help": 0.3, "query": 1.0, "status": 1.0, "sync: up to its first request": 3.0}


def _start_up(result: Mapping[str, Any]) -> str:
    landed = result["landed"]
    lines = [f"## Start-up, {landed:,} payloads landed", "", _measured_by(result), ""]
    lines += [f"Seconds of {result['runs']} runs each, one after the other; a sync is one with nothing new.", ""]
    lines += ["| | CPU least | median | wall least | median | wanted | |", "|---|--:|--:|--:|--:|--:|---|"]
    walls = {}
    for what, costs in result["costs"].items():
        cpu, wall = zip(*costs, strict=True)
        walls[what] = median(wall)
        most = MOST_START_S.get(what)
        said = " | |" if most is None else f"≤ {most:.1f} | {'met' if walls[what] <= most else 'not met'} |"
        lines.append(f"| {what} | {min(cpu):.2f} | {median(cpu):.2f} | {min(wall):.2f} | {median(wall):.2f} | {said}")
    added = walls["sync with nothing new"] - walls["Dagster alone"]
    lines += ["", f"A sync with nothing new takes {added:+.2f} s beside Dagster alone (wanted: at most 1), by the medians of wall."]
    return "\n".join(lines) + "\n"


def _layout(result: Mapping[str, Any]) -> str:
    lines = ["## Files of the lake", "", _measured_by(result), ""]
    lines += [
        f"{result['syncs']} syncs, one every {result['every_min']} minutes, each of which lands a few payloads of every endpoint.",
        "",
        "| | payloads | files | at most in a folder (endpoint and day) | MB | bytes a payload | read s | ms a sync to merge |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for what, lake in result["lakes"].items():
        lines.append(
            f"| {what} | {lake['payloads']:,} | {lake['files']:,} | {lake['most_in_a_folder']} | {lake['bytes'] / 1e6:.1f} |"
            f" {lake['bytes'] / lake['payloads']:,.0f} | {lake['read_s']:.2f} | {lake['merge_s'] / result['syncs'] * 1e3:.0f} |"
        )
    return "\n".join(lines) + "\n"


NAMED = {"publish": _publish, "extraction": _extraction, "start_up": _start_up, "start_up_beside_a_lake": _start_up, "layout": _layout}
"""Sections by the name under which their benchmark keeps its result."""
