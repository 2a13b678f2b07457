"""How much the conformance suite tried, and what it found: `python -m tests.conformance.report [provider ...]` prints Markdown tables.

For all providers (`make coverage`) it writes docs/conformance.md. The exit status is 1 when a promise is broken; each broken one is a line
below the tables.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from pipelines.providers import load_providers
from tests.conformance.arrivals import every_arrival
from tests.conformance.suite import Suite, violations

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
PREFACE = """# Conformance

<!-- Written by `make coverage`. -->

Every path of every fixture is deleted, renamed, made null, given another type and doubled, one at a time. Each of these mutants is masked,
landed and loaded. Then: versions landed = loaded + superseded + rejected; keys are unique and not NULL; every child has its parent; times
are UTC and plausible, durations not negative; a value that no longer stands in a column shows in `meta.drift` or as a reject; no
planted secret is anywhere. A story is one entity's life (running, retried, ended, reviewed), loaded in every order and in several loads:
every try is a row, one counts, and only when it has ended. Beyond that, `make test` tries random combinations; `make test-slow` more.
"""


def main(names: list[str]) -> int:
    """Print the tables of these providers, or of all."""
    endpoints: list[str] = []
    stories: list[str] = []
    broken: list[str] = []
    totals: Counter[str] = Counter()
    for name, provider in load_providers().items():
        if names and name not in names:
            continue
        suite = Suite(provider)
        found = list(violations(suite))
        broken += [f"{name} {endpoint}: {promise}: {what}" for endpoint, promise, what in found]
        for endpoint in [each.name for each in provider.endpoints]:
            mutants = suite.mutants.of(endpoint)
            fixtures = sum(not mutant.mutations for mutant in mutants)
            here = sum(place == endpoint for place, _, _ in found)
            endpoints.append(f"| {name} | {endpoint} | {fixtures} | {len(mutants) - fixtures} | {here} |")
            totals.update(fixtures=fixtures, mutants=len(mutants) - fixtures, violations=here)
        for story in suite.fixtures.stories:
            ways = len(every_arrival(len(story.versions)))
            wrong = sum(promise == story.name for _, promise, _ in found)
            stories.append(f"| {name} | {story.name} | {len(story.versions)} | {ways} | {wrong} |")
        suite.close()
    total = f"| all | | {totals['fixtures']} | {totals['mutants']} | {totals['violations']} |"
    head = ["| provider | endpoint | fixtures | mutants | violations |", "|---|---|---:|---:|---:|"]
    told = ["| provider | story | versions | orders and splits | violations |", "|---|---|---:|---:|---:|"]
    tables = "\n".join([*head, *endpoints, total, "", *told, *stories]) + "\n"
    if not names:
        PAGE.write_text(f"{PREFACE}\n{tables}", "utf-8")
    sys.stdout.write("\n".join([tables, *broken]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
