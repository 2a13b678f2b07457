"""The fault matrix: what can go wrong, what happens then, and which tests prove it. The tests carry `@pytest.mark.fault("H1", …)`.

`make faults` (`python -m tests.faults.matrix`) runs every marked test and writes `docs/faults.md`: pass or fail per row, with counts.
A row that does not apply here is struck, with its reason. Nothing is tested in this module.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"

TITLES = {"H": "HTTP and transport", "P": "Paging, cursors, time", "D": "Payload content", "S": "Process, disk, files", "X": "Security"}

ROWS: dict[str, tuple[str, str]] = {
    "H1": ("429 without Retry-After", "waits longer each time, jittered, and lands everything once the limit lifts"),
    "H2": ("429 with Retry-After in seconds", "never asks before that time, nor more than a tenth later"),
    "H3": (
        "Retry-After as an HTTP date, past dates, a server with a wrong clock",
        "the difference to the server's own Date; a past one is no wait",
    ),
    "H4": (
        "Retry-After that is odd: fractions, lists, negative, empty, huge, words",
        "the longest readable value, clamped; beyond 300 s the scope is left for the next sync",
    ),
    "H5": ("X-RateLimit-Remaining: 0", "waits for the reset before asking, for every call of the same limit"),
    "H6": ("429 without end", "the scope is left at the deadline, its coverage unmoved, and goes on at the next sync"),
    "H7": ("500, 502, 503, 504, 520 to 524", "tried again, at most 6 times, then the scope is left"),
    "H8": ("408, 425", "tried again"),
    "H9": ("400, 404, 410, 422 on one entity", "404 and 410 end it as gone, the others are rejects; all others land"),
    "H10": ("401 or 403 at the start", "that provider stops with a sentence without any part of a key, the others run, exit 1"),
    "H11": (
        "the key expires between two pages",
        "the key is read anew once; where it is no other, what came before stands and the rest follows at the next sync",
    ),
    "H12": ("403 for one test only", "that test is named, the others go on"),
    "H13": ("connection refused, unknown host, a certificate that does not verify", "TLS is never downgraded; the others are tried again"),
    "H14": ("connection reset in the body, fewer bytes than announced", "tried again, nothing partial lands"),
    "H15": ("a body without length, cut at any byte", "never lands in part"),
    "H16": ("gzip cut, flipped or with a wrong checksum", "a transport error, always found"),
    "H17": ("headers or bytes that trickle", "the total deadline ends it"),
    "H18": ("JSON under another content type", "lands, counted as drift"),
    "H19": ("an HTML page with status 200", "not landed, tried again, then left"),
    "H20": ("an empty body; 204", "200 without a body is tried again; 204 means no rows"),
    "H21": ("a scalar, an empty list or object, an error object with status 200", "refused by shape, never read as no rows"),
    "H22": ("a body of 100 MB, a Content-Length of 10 GB", "refused at the cap, memory stays bounded"),
    "H23": ("a compressed bomb", "stopped at the cap or at the ratio"),
    "H24": ("endless 1xx, 100,000 headers, a header of 10 MB", "refused, bounded"),
    "H25": ("redirects: same host, other host, to http, in a loop", "never followed, no credential leaves the host"),
    "H26": ("addresses that lead elsewhere: link-local, private, file:, odd forms of an IP", "refused before any connection"),
    "H27": ("a proxy or .netrc in the environment", "ignored"),
    "H28": ("the server closes an idle connection", "one free try on a new one"),
    "H29": ("an answer older than what is known", "changes nothing"),
    "P1": ("a cursor or a page that comes back", "stopped, the scope is left and named"),
    "P2": ("ever new cursors with the same or no rows", "stopped after three pages without progress, never beyond the page cap"),
    "P3": ("rows come and go while pages are read", "none lost, none twice"),
    "P4": ("equal times across the edge of a page", "none lost"),
    "P5": ("an empty page with a further cursor; a total that is wrong", "the cursor is followed"),
    "P6": ("more rows in one second than a page holds", "what is shown lands, the second is a gap told once"),
    "P7": ("a window that the API cuts by itself", "both ends are always sent"),
    "P8": ("seconds where milliseconds are meant, and the reverse", "implausible times are found"),
    "P9": ("this machine's clock is wrong or jumps", "the server's Date is used; no row is lost"),
    "P10": ("summer time, odd time zones", "equal tables in every zone"),
    "P11": ("leap seconds, 24:00, no zone, +0530, nine digits, epoch 0", "read or counted as drift, never local time"),
    "P12": ("a status that changes after the first sync", "fetched again until it ends, at most 7 days"),
    "P13": ("a result that appears hours after its time", "inside the lookback it lands"),
    "P14": ("a test deleted, renamed, made anew", "rows keep their test; a rename is a version"),
    "P15": ("no sync for days", "the hole is caught up"),
    "P16": ("the provider's retention passed meanwhile", "a row in meta.gaps: beyond Checkly's 30 days, Datadog's 60"),
    "D1": ("malformed JSON", "never lands; hash, size and place are kept, the bytes only where RESULTHOUSE_KEEP_BODIES is on"),
    "D2": ("NaN, Infinity, 1e999", "NULL and drift, the record stays"),
    "D3": ("a key twice in one object", "drift; the last one counts everywhere"),
    "D4": ("nesting of 201, 1,024, 100,000 levels", "refused within a second"),
    "D5": ("invalid UTF-8, BOM, UTF-16, lone surrogates, NUL, right-to-left marks", "refused or repaired with drift, no crash"),
    "D6": ("numbers and booleans as text", "read where that is exact, else NULL with drift"),
    "D7": ("2^53+1, 2^63, 10^30, ids of 20 digits", "exact to the last digit, also in CSV and JSON"),
    "D8": (
        "negative and absurd durations, an end before the start, phases beyond their total",
        "NULL and drift; phases stay, with drift; the payload keeps the word",
    ),
    "D9": ("dates of the year 1, 9999, before 2010", "`date=unknown`, coverage is not moved by them"),
    "D10": ("an unknown status or type", "kept as it is, outcome unknown, drift, never counted as passed"),
    "D11": ("a missing field", "an id or a time makes a reject, any other NULL"),
    "D12": ("an additional field", "in the lake and in drift, the tables keep their shape"),
    "D13": ("null lists, objects for lists, mixed lists", "no row is lost; drift says where"),
    "D14": ("no steps, 10,000 steps, a message of 1 MB", "all rows"),
    "D15": ("one id with two payloads", "the newest stands, the older is kept"),
    "D16": ("one result id in two providers or accounts", "two rows; a home holds one account"),
    "D17": ("keys that differ in case, hold dots, are empty, thousands of them", "never become columns"),
    "D18": ("a column that is NULL at first, or of another type later", "declared types, nothing inferred"),
    "D19": ("documents and API disagree", "both are read"),
    "S1": ("kill -9 at a named point", "the next run ends where an undisturbed one does"),
    "S2": ("kill -9 at any time", "the same"),
    "S3": ("SIGTERM, Ctrl-C", "ends within 10 s, locks are free, 130 or 143"),
    "S4": ("disk full or input/output error at the N-th write", "the published file stays readable, nothing half lies at its final place"),
    "S5": ("a folder that is missing, read-only, a file", "said before any request"),
    "S6": ("two runs at once", "the second says who runs and ends with 1; a stale lock does no harm"),
    "S7": ("two hosts on one folder", "refused or documented"),
    "S8": ("readers during publishes", "never an error, never locked out"),
    "S9": ("a damaged, empty or foreign file in the lake", "found by its hash, reported, the others load"),
    "S10": ("a damaged work file", "thrown away and rebuilt"),
    "S11": ("a crash between a file and its window", "no row twice"),
    "S12": ("too little memory", "a sentence, or like a killed process where a library aborts; nobody waits; nothing is lost"),
    "S13": ("10,000 small files", "bounded file handles"),
    "S14": (
        "another version of DuckDB or of the work file",
        "older files go on being used; what cannot be read is a sentence, or a rebuild",
    ),
    "S15": ("a change of format cut at any step, or taken back", "the published file stays, the next run ends right"),
    "S16": ("the daemon is killed", "a run whose process is gone is ended within about a minute, or by the next run"),
    "S17": ("one partition run twice at once", "equal tables"),
    "S18": ("the host sleeps in the middle of a request", "the deadline ends it"),
    "X1": ("our own keys", "in no file, log, table or page"),
    "X2": ("secrets of the tested systems", "masked before the disk"),
    "X3": ("signed addresses of artifacts", "kept without query"),
    "X4": ("SQL in names and ids", "values are bound"),
    "X5": ("paths in ids and names", "nothing is written outside"),
    "X6": ("a symbolic link in the data folder", "not followed out of it"),
    "X7": ("scripts in names, in the report", "none runs"),
    "X8": ("formulas in CSV", "made harmless"),
    "X9": ("escape sequences and newlines in log lines", "made visible"),
    "X10": ("settings files that attack", "read as plain text"),
    "X11": ("SQL of a user that reaches out", "refused"),
    "X12": ("texts made to slow down masking", "linear"),
    "X13": ("archives that unpack elsewhere", "never unpacked"),
    "X14": ("a dependency that is not what it was", "hashes in one lock"),
    "X15": ("files that others can read", "0600 and 0700, the published file by its setting"),
}

COUNTS: dict[str, set[str]] = {
    "lives from a seed": {"test_simulation.py", "test_simulation_tracked.py"},
    "kills": {"S1", "S2"},
    "bodies and files cut or flipped": {"H15", "H16", "S9"},
    "secrets planted": {"X1", "X2", "X3"},
    "injections": {"X4", "X5", "X7", "X8", "X9", "X11"},
}
"""What is counted over rows: cases of the tests that prove one of them, or stand in a file of that name."""

STRUCK: dict[str, str] = {
    "S7": "a home belongs to one machine: file locks are not promised across hosts, and the README says so",
    "X10": "there is no YAML of ours; .env is read as plain NAME=value lines",
    "X13": "artifacts are never fetched, so nothing is unpacked",
}


@dataclass
class Results:
    """Outcomes of the marked tests by row."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    tests: list[tuple[set[str], int]] = field(default_factory=list)
    """Rows and file, and cases, of each test: one that proves several rows counts once here."""


def run(arguments: list[str]) -> Results:
    """Run every test that is marked with a row, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "faults.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
        command += ["-p", "no:cacheprovider", "-m", "fault and not slow", *arguments]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "FAULT_REPORT": str(report)}, check=False)
        return told_by(report.read_text())


def told_by(report: str) -> Results:
    """What the lines say that the tests have written (`tests/conftest.py`)."""
    results = Results()
    for line in report.splitlines():
        told = json.loads(line)
        if told["outcome"] == "skipped":
            continue
        results.tests.append(({*told["rows"], Path(told["test"].split("::")[0]).name}, told["cases"]))
        for row in told["rows"]:
            (results.passed if told["outcome"] == "passed" else results.failed)[row] += 1
            results.cases[row] += told["cases"]
    return results


def page(results: Results) -> str:
    """The document: one line per row."""
    lines = [
        "# Fault matrix",
        "",
        "Rendered by `make faults`. What can go wrong, what happens then, and how many tests and cases prove it.",
        "",
    ]
    for letter, title in TITLES.items():
        lines += [f"## {title}", "", "| | fault | what happens | tests | cases | |", "|---|---|---|--:|--:|---|"]
        for row, (fault, outcome) in ROWS.items():
            if row[0] == letter:
                tests = results.passed[row] + results.failed[row]
                cases = str(results.cases[row]) if tests else ""
                lines.append(f"| {row} | {fault} | {outcome} | {tests or ''} | {cases} | {verdict(row, results)} |")
        lines.append("")
    verdicts = Counter(verdict(row, results).split(":")[0] for row in ROWS)
    lines += [f"- {sum(cases for mine, cases in results.tests if mine & rows):,} {what}" for what, rows in COUNTS.items()]
    lines += [f"- {sum(cases for _, cases in results.tests):,} cases in {len(results.tests)} tests in all", ""]
    lines.append(f"{len(ROWS)} rows: " + ", ".join(f"{count} {word}" for word, count in sorted(verdicts.items())) + ".")
    return "\n".join(lines) + "\n"


def verdict(row: str, results: Results) -> str:
    """`pass`, `FAIL`, `struck: why` or `untested`."""
    if results.failed[row]:
        return "FAIL"
    if results.passed[row]:
        return "pass"
    return f"struck: {STRUCK[row]}" if row in STRUCK else "untested"


def main(arguments: list[str]) -> int:
    """Run, write the page, print it."""
    results = run(arguments)
    text = page(results)
    PAGE.write_text(text)
    sys.stdout.write(text)
    return int(any(verdict(row, results) in ("FAIL", "untested") for row in ROWS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
