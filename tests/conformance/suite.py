"""Everything a provider's folder must conform to, as one list: what the tests run one by one, `violations` runs through.

A provider outside this repository is checked by `violations(load_fixtures(provider))`: nothing here has to be changed for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pipelines.providers.spec import Provider
from tests.conformance import arrivals, expected
from tests.conformance.checks import MUTANT_CHECKS, WAREHOUSE_CHECKS
from tests.conformance.fixtures import Fixtures, load_fixtures
from tests.conformance.mutants import Mutants, every_mutant


@dataclass
class Suite:
    """One provider's fixtures, and their mutants once they are asked for. Close it."""

    provider: Provider
    _opened: list[Mutants] = field(default_factory=list)

    @cached_property
    def fixtures(self) -> Fixtures:
        """AssertionError that says what to add when there are none."""
        return load_fixtures(self.provider)

    @cached_property
    def mutants(self) -> Mutants:
        """Every mutant of every fixture, loaded. AssertionError that names the first one which the load cannot bear."""
        mutants = Mutants(self.fixtures, every_mutant(self.fixtures.fixtures))
        self._opened.append(mutants)
        return mutants

    def close(self) -> None:
        """Drop what was loaded."""
        while self._opened:
            self._opened.pop().close()


def violations(suite: Suite) -> Iterator[tuple[str, str, str]]:
    """Endpoint ('' for all), the broken promise, and where it is broken."""
    for endpoint in suite.provider.endpoints:
        for found in expected.differences(suite.fixtures, endpoint.name):
            yield endpoint.name, "expected_rows", found
        for name, check in MUTANT_CHECKS.items():
            yield from ((endpoint.name, name, found) for found in check(suite.mutants, endpoint.name))
    for name, whole in WAREHOUSE_CHECKS.items():
        yield from (("", name, found) for found in whole(suite.mutants.bench))
    for promise in (arrivals.order_does_not_matter, arrivals.replay_changes_nothing):
        yield from (("", promise.__name__, found) for found in promise(suite.fixtures))
    for story in suite.fixtures.stories:
        ways = arrivals.every_arrival(len(story.versions))
        yield from (("", story.name, found) for found in arrivals.story_comes_true(suite.fixtures, story, ways))
