"""How much the conformance suite tried, and what it found: `python -m tests.conformance.report [provider ...]` prints Markdown tables.

The exit status is 1 when a promise is broken; each broken one is a line below the tables.
"""

from __future__ import annotations

import sys
from collections import Counter

from pipelines.providers import load_providers
from tests.conformance.arrivals import every_arrival
from tests.conformance.suite import Suite, violations


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
    print("\n".join([*head, *endpoints, total, "", *told, *stories, *(["", *broken] if broken else [])]))  # noqa: T201 - a command
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
