"""An account on paper, from the providers' limits and figures measured here: `python -m tests.benchmarks.capacity` writes docs/capacity.md.

To bring it up to date, measure (the page names the commands), set the constants below with their date, and render. What a load costs is
taken from the largest rebuild in docs/benchmarks.json.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from pipelines.extract.limits import DEFAULT_LIMITS
from pipelines.providers.checkly import PROVIDER as CHECKLY
from pipelines.providers.checkly.paging import PAGE_ROWS as CHECKLY_ROWS
from pipelines.providers.datadog.paging import PAGE_ROWS as DATADOG_ROWS
from pipelines.providers.docketqa import PROVIDER as DOCKETQA
from tests.benchmarks.page import RESULTS, medians

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"
DAY_MIN = 24 * 60
GIB = 1024**3

DATADOG_LISTS, DATADOG_DETAILS = 1_000, 120
"""Requests in 60 s. Recorded headers of 2020 to 2022, in no document; the client keeps to what the headers say."""

# --- measured, 2026-11-22 to 24, 2 cores ---------------------------------------------------------------------------------

MEASURED = "2026-11-22 to 24, 2 cores"
STORED = {  # endpoint: bytes of JSON, of Parquet (payload and its columns), of the payload compressed alone; means of 20,000 payloads
    "checkly/check_results": (2_489, 417, 1_019),
    "checkly/test_session_results": (3_493, 486, 1_332),
    "datadog/api_result_rows": (305, 177, 242),
    "datadog/api_results": (3_054, 411, 1_282),
    "datadog/browser_result_rows": (630, 176, 423),
    "datadog/browser_results": (7_168, 463, 1_983),
    "docketqa/test_runs": (3_380, 428, 959),
    "applitools/plan_runs": (1_614, 530, 675),
}
PULL_MS = 0.7
"""CPU of masking, comparing and landing a payload of 3.4 KB: the whole pull less the requests (`extraction speed`)."""
REQUEST_MS = 0.54
"""CPU of one request with its answer of 3.4 KB (`extraction speed`)."""
HISTORY_KIB = 0.5
"""Greatest memory per entity that a provider ever landed, while a sync reads what it knows (`read_history` with 100,000 and 300,000
entities); a third of it is held."""


@dataclass(frozen=True)
class Load:
    """What the largest rebuild that was measured took per payload of all endpoints, marts included."""

    payloads: int
    cpu_ms: float
    wall_ms: float
    published_bytes: float


def largest_load() -> Load:
    """From docs/benchmarks.json."""
    known = json.loads(RESULTS.read_text(encoding="utf-8"))
    mix = known[max((name for name in known if name.isdigit()), key=int)]["mix"]
    payloads, ours = mix["lake"]["payloads"], mix["sides"]["ours"]
    cost = medians(ours)
    return Load(payloads, cost["cpu_s"] * 1e3 / payloads, cost["wall_s"] * 1e3 / payloads, ours["bytes"] / payloads)


@dataclass(frozen=True)
class Account:
    """So many tests, each in so many places, every so many minutes."""

    tests: int
    places: int
    every_min: int

    @property
    def each_a_day(self) -> int:
        """Results of one test in a day."""
        return self.places * DAY_MIN // self.every_min

    @property
    def results(self) -> int:
        """Results in a day."""
        return self.tests * self.each_a_day

    def sweep(self, page_rows: int, hours: float) -> int:
        """Requests that list the last hours of every test once: a page at least for each."""
        return self.tests * max(1, math.ceil(self.each_a_day * hours / 24 / page_rows))


BIG = Account(2_000, 10, 1)
ACCOUNTS = (
    BIG,
    Account(2_000, 10, 5),
    Account(2_000, 10, 60),
    Account(2_000, 1, 15),
    Account(200, 10, 5),
    Account(200, 3, 15),
    Account(50, 3, 5),
)


def page() -> str:
    """The page; numbers that are neither measured nor documented are computed from these here."""
    return "\n".join((_head(), _checkly(), _datadog(), _others(), _fits(), _storage(), _machine(), _commands()))


def _head() -> str:
    return f"""# Capacity

<!-- Rendered by `python -m tests.benchmarks.capacity`. Do not edit. -->

How large an account can be: {BIG.tests:,} tests in {BIG.places} places every minute, **{BIG.results:,} results a day**, planned on
paper for each provider, and what fits instead. Each number is *documented* (source named), *measured* ({MEASURED};
commands at the end) or *computed* from those. A sync of one provider takes at most {DEFAULT_LIMITS.run_s / 60:.0f} minutes
(`Limits.run_s`); what is left then is left for the next one, and no request is sent over a limit.
"""


def _checkly() -> str:
    limit, default = CHECKLY.rate_limit.kinds["check_results"], CHECKLY.rate_limit.requests
    allowed, once = limit * DAY_MIN, BIG.results // CHECKLY_ROWS
    most = allowed * CHECKLY_ROWS
    a_day = BIG.sweep(CHECKLY_ROWS, 24)
    return f"""## Checkly
*Documented* (OpenAPI 2026-08-18): {CHECKLY_ROWS} rows a page; {limit} requests in 60 s for check results, {default} for the rest;
full results are in the list, so nothing else is fetched for monitoring runs. Kept for 30 days by the operation's text, 7 to 180 by plan.
Whether the limit counts per check or per account is not said; the client takes it as the account's.

- To list every result once: {once:,} requests a day; allowed are {allowed:,}: **{allowed / once:.0%}** of the account. The API ends at
  {most:,} results a day, {BIG.tests:,} tests in {BIG.places} places every {BIG.results / most:.1f} minutes, if no page is asked for twice.
- A sync asks at least once for every check: {BIG.tests:,} checks take {BIG.tests / limit:.0f} minutes. Let it run every hour,
  not every 15 minutes.
- The lookback (`RESULTHOUSE_LOOKBACK_HOURS`) is listed anew at every sync. At every minute 24 hours are {a_day:,} requests,
  {a_day / limit / 60:.0f} hours: with so many results it must be 1 or less, and what changes later is not seen.
- Test sessions cost a request per session and one per result, of {default * DAY_MIN:,} a day.
"""


def _datadog() -> str:
    lists, details = DATADOG_LISTS * DAY_MIN, DATADOG_DETAILS * DAY_MIN
    once = BIG.results // DATADOG_ROWS
    a_day, two_hours = BIG.sweep(DATADOG_ROWS, 24), BIG.sweep(DATADOG_ROWS, 2)
    return f"""## Datadog
No document has limits for Synthetics. *Recorded* in headers (2020 to 2022): {DATADOG_LISTS:,} list requests and {DATADOG_DETAILS} full
results in 60 s; {DATADOG_ROWS} rows a page, nothing older than 60 days.
The client obeys the headers of your organisation, whatever they say.

- List rows, once: {once:,} requests a day, {once / lists:.0%} of {lists:,}. Every result has its row: outcome, place, times, duration.
- Full results (steps, assertions, responses) are a request each: {details:,} a day are **{details / BIG.results:.1%}** of the account.
  Set `RESULTHOUSE_DATADOG_DETAIL=failed` (enough while fewer than that share fail) or to a share of {details / BIG.results:.3f}; what does
  not fit waits as `detail_pending` for seven days, the failed first.
- The lookback is listed anew at every sync: 24 hours are {a_day:,} requests, {a_day / DATADOG_LISTS:.0f} minutes. With a lookback of 1 hour
  and a sync every hour it is {two_hours:,} requests, {two_hours / DATADOG_LISTS:.0f} minutes.
"""


def _others() -> str:
    at_once = DOCKETQA.rate_limit.requests
    own = at_once * DAY_MIN
    return f"""## Applitools and DocketQA
Neither documents a limit or lists runs; a run is registered by CI (`resulthouse track`), costs one request when it is over and one at every
sync before. We send at most {at_once} in 60 s, {own:,} a day.

- DocketQA has one run per test and no places: {BIG.tests:,} tests every {math.ceil(BIG.tests / at_once)} minutes are about {own:,} a day,
  {own / BIG.results:.0%} of {BIG.results:,}. A run of its documentation's example takes two minutes, so every minute is no case of it.
- An Applitools run is a whole plan with its tests: {BIG.tests:,} tests in plans of 100, every minute, are
  {BIG.tests // 100 * DAY_MIN:,} requests a day.
- Ask the vendor before you go near either figure.
"""


def _fits() -> str:
    lines = [
        "## What fits",
        "*Computed* from the limits above. Minutes are those of one sync that lists what is new in an hour and the lookback",
        f"again; over {DEFAULT_LIMITS.run_s / 60:.0f} it does not end in one sync, and over 60 it falls behind for good.",
        "Details: the share of Datadog's results that can be had in full.",
        "",
        "| tests | places | every | results a day | Checkly, 24 h back | 1 h back | Datadog, 24 h back | 1 h back | details |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    limit = CHECKLY.rate_limit.kinds["check_results"]
    for one in ACCOUNTS:
        checkly = " | ".join(f"{one.sweep(CHECKLY_ROWS, hours) / limit:,.0f} min" for hours in (25, 2))
        datadog = " | ".join(f"{one.sweep(DATADOG_ROWS, hours) / DATADOG_LISTS:,.1f} min" for hours in (25, 2))
        share = min(1.0, DATADOG_DETAILS * DAY_MIN / one.results)
        lines.append(f"| {one.tests:,} | {one.places} | {one.every_min} min | {one.results:,} | {checkly} | {datadog} | {share:.1%} |")
    return "\n".join([*lines, ""])


def _storage() -> str:
    load = largest_load()
    lines = [
        "## Bytes",
        "*Measured* on generated payloads (mean 2.8 KB). They are copies of few templates and compress better than yours will; one by one,",
        "with nothing in common, is the other end. Parquet counts all columns of a raw row, alone is the payload only.",
        "",
        f"| endpoint | JSON | in Parquet (zstd) | alone (zstd) | GB for {BIG.results:,} |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, (text, parquet, alone) in STORED.items():
        gb = f"{BIG.results * parquet / 1e9:.0f} to {BIG.results * alone / 1e9:.0f}"
        lines.append(f"| `{name}` | {text:,} | {parquet} | {alone:,} | {gb} |")
    lines += [
        "",
        f"The warehouse takes {load.published_bytes / 1e3:.1f} GB per million payloads (*measured* with {load.payloads:,}, with marts",
        f"and keys), {load.published_bytes * BIG.results / 1e9:,.0f} GB for a day of the account (*computed*), and as much again for the",
        "work file, where the file system cannot clone it.",
        "",
    ]
    return "\n".join(lines)


def _machine() -> str:
    load = largest_load()
    cpu_ms = PULL_MS + load.cpu_ms
    a_day = 2 * 86_400_000 / cpu_ms
    held = 8 * GIB / 1024 / HISTORY_KIB
    cores = BIG.results * cpu_ms / 86_400_000
    asking_min = BIG.results / CHECKLY_ROWS * REQUEST_MS / 60_000
    rebuild_min = load.wall_ms * 1e3 / 60
    rebuild_h = rebuild_min * BIG.results / 6e7
    return f"""## Where one machine ends
*Measured* per payload: {PULL_MS} ms of CPU to mask and land, {load.cpu_ms:.2f} ms to load; a request {REQUEST_MS} ms.
*Computed* for 2 cores:

- **Memory of a sync is the first end.** It takes {HISTORY_KIB} KiB for every entity that the provider's part of the lake holds: 8 GiB are
  {held / 1e6:.1f} million, {held / BIG.results * 24:.0f} hours of the account, {held / 100_000:.0f} days of 100,000 a day.
- **CPU**: {a_day / 1e6:.0f} million payloads a day keep both cores busy all day; the account needs {cores:.1f} cores, and its requests
  {asking_min:.0f} minutes more (Checkly's lists).
- **Rebuild**: a million payloads {rebuild_min:.1f} minutes (*measured*), a day of the account {rebuild_h:.1f} hours if it went on so;
  it falls off as keys are looked for among more of them.
- **Disk**: one DuckDB file is copied at every publish, but where the file system can clone it (XFS, Btrfs: 0.06 s for 1 GB, see
  [benchmarks](benchmarks.md#publish)); past some 100 GB the copy, not the load, is what a sync waits for (not measured).

What then: first ask for less (`RESULTHOUSE_DATADOG_DETAIL`, a shorter lookback, a sync every hour, one home per account or team, for a home
is independent of all others). Beyond that the design's way is the same assets with other settings: Dagster's storage in PostgreSQL, days as
partitions on several workers, the lake on object storage and the warehouse as DuckLake, which has many writers. That is not built:
`RESULTHOUSE_LAKE` takes a folder only.
"""


def _commands() -> str:
    return """## Measured by
```
python -m tests.benchmarks.extraction speed memory limits profile
python -m tests.benchmarks.generate --payloads 20000 --seed 1 --out LAKE
python -m tests.benchmarks.run --payloads 1000000 --rounds 1 --growth-only
```
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
