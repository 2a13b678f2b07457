"""How much of the code the tests reach, and the bars below which that fails: `make test-coverage` (`python -m tests.support.bars FILE`).

FILE is what `coverage json` writes. Lines and branches are counted apart: one figure for both would let many lines hide missing branches.

As a plugin of pytest it sees to it that no process ends without having written what it has measured.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import coverage

LINES, BRANCHES = 95.0, 92.0
"""Per cent of the whole that must be reached."""

WHOLE = {
    "redaction": ("pipelines/lake/redact.py", "pipelines/lake/patterns.py"),
    "retry": tuple(f"pipelines/extract/{name}.py" for name in ("body", "client", "ratelimit", "retry")),
    "paging": ("pipelines/providers/*/paging*.py", "pipelines/providers/*/discover*.py"),
    "load": ("pipelines/flows/load.py", "pipelines/warehouse/load.py"),
    "publish": ("pipelines/warehouse/publish.py",),
}
"""Where every line and every branch must be reached: what loses or leaks data when it is wrong."""


@dataclass(frozen=True)
class Reached:
    """Counts of one module, or of many."""

    lines: int = 0
    of_lines: int = 0
    branches: int = 0
    of_branches: int = 0

    @classmethod
    def told(cls, summary: dict[str, Any]) -> Reached:
        """From a `summary` of coverage's JSON."""
        return cls(summary["covered_lines"], summary["num_statements"], summary["covered_branches"], summary["num_branches"])

    def __add__(self, other: Reached) -> Reached:
        return Reached(
            self.lines + other.lines,
            self.of_lines + other.of_lines,
            self.branches + other.branches,
            self.of_branches + other.of_branches,
        )

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return (self.lines, self.branches) == (self.of_lines, self.of_branches)

    def __str__(self) -> str:
        return f"{_percent(self.lines, self.of_lines):6.1f} % {_percent(self.branches, self.of_branches):6.1f} %"


def pytest_sessionfinish() -> None:
    """A worker writes its figures before it says that it has done: xdist kills one that does not end within ten seconds then."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.save()


def judged(files: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The table, and a sentence for each bar that is missed. `files` as in coverage's JSON."""
    table, missed = [f"{'module':66} {'lines':>8} {'branches':>8}"], []
    total = Reached()
    for name, told in sorted(files.items()):
        reached = Reached.told(told["summary"])
        total += reached
        table.append(f"{name:66} {reached}")
    table.append(f"{'all':66} {total}")
    if _percent(total.lines, total.of_lines) < LINES or _percent(total.branches, total.of_branches) < BRANCHES:
        missed.append(f"lines {LINES:.0f} % and branches {BRANCHES:.0f} % are wanted of the whole; reached:{total}")
    for group, patterns in WHOLE.items():
        for pattern in patterns:
            found = [name for name in sorted(files) if fnmatch(name, pattern)]
            if not found:
                missed.append(f"{group}: there is no {pattern}")
            partly = (name for name in found if not Reached.told(files[name]["summary"]).is_whole)
            missed += [f"{group}: {name}: {_left_out(files[name])}" for name in partly]
    return table, missed


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def _left_out(told: dict[str, Any]) -> str:
    lines = told["missing_lines"]
    ways = [f"{start} to {end if end > 0 else 'the end'}" for start, end in told["missing_branches"] if start not in lines]
    return "; ".join(
        f"{what} {', '.join(map(str, places))} not reached" for what, places in (("lines", lines), ("ways from line", ways)) if places
    )


def main(arguments: list[str]) -> int:
    """Print the table and what is missed; 1 when something is."""
    table, missed = judged(json.loads(Path(arguments[0]).read_text())["files"])
    sys.stdout.writelines(f"{line}\n" for line in table)
    sys.stderr.writelines(f"{line}\n" for line in missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
