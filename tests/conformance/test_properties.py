"""Several mutations at once, and versions that arrive in any order, split in any way and again: drawn, not enumerated.

The draws are the same in every run. `make test-slow` draws more of them.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conformance.arrivals import Arrival, every_arrival, order_does_not_matter, story_comes_true
from tests.conformance.checks import holds_together, is_plausible, no_secret_lands
from tests.conformance.fixtures import Fixture, Story
from tests.conformance.mutants import FIRST_TAG, Mutants, make
from tests.conformance.mutate import Mutation, apply, mutations
from tests.conformance.pointers import pointer_of
from tests.conformance.suite import Suite

QUICK_EXAMPLES, DEEP_EXAMPLES = 1, 25
LOADS = 2


def drawn(examples: int) -> settings:
    """No shrinking: it would cost a load per try, and what fails is named by the functions that find it."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


NUMBERS = st.integers(0, 1_000_000)
MIXES = st.lists(st.tuples(NUMBERS, st.lists(NUMBERS, min_size=2, max_size=6)), min_size=40, max_size=80)
"""For each mutant which fixture, and which of its mutations one after the other."""
ARRIVALS = st.lists(st.lists(st.integers(0, LOADS - 1), min_size=9, max_size=9), min_size=6, max_size=12)
"""For each clone of a story the load with which each version arrives."""


def check_mixes(suite: Suite, mixes: list[tuple[int, list[int]]]) -> None:
    """Payloads with several mutations each."""
    fixtures = suite.fixtures.fixtures
    every = {fixture.name: list(mutations(fixture.document, fixture.endpoint.tree)) for fixture in fixtures}
    batch = [make(fixture, (), FIRST_TAG + number) for number, fixture in enumerate(fixtures)]
    for which, chosen in mixes:
        fixture = fixtures[which % len(fixtures)]
        several = [every[fixture.name][number % len(every[fixture.name])] for number in chosen]
        batch.append(make(fixture, several, FIRST_TAG + len(batch)))
    mutants = Mutants(suite.fixtures, batch)
    try:
        found = holds_together(mutants.bench) + is_plausible(mutants.bench)
        for endpoint in suite.provider.endpoints:
            found += no_secret_lands(mutants, endpoint.name)
        states = set(mutants.states.values())
    finally:
        mutants.close()
    assert found == []
    assert states <= {"loaded", "rejected"}


def check_arrivals(suite: Suite, story: Story, ways: list[list[int]]) -> None:
    """A story in drawn orders, two of the clones with all of it landed again."""
    count = len(story.versions)
    arrivals: list[Arrival] = [tuple(range(count)), *(tuple(way[:count]) for way in ways)]
    again = [tuple(reversed(arrival)) for arrival in arrivals[:2]]
    assert story_comes_true(suite.fixtures, story, arrivals, again) == []


def versions_of(fixture: Fixture, numbers: list[int]) -> Story:
    """A fixture and mutants of it that keep its ids, as versions of one entity; what it comes to is not told."""
    every = [mutation for mutation in mutations(fixture.document, fixture.endpoint.tree) if _keeps_ids(fixture, mutation)]
    documents: list[Any] = [apply(fixture.document, every[number % len(every)])[0] for number in numbers]
    return Story(f"versions of {fixture.name}", tuple(fixture.with_document(document) for document in (fixture.document, *documents)))


def _keeps_ids(fixture: Fixture, mutation: Mutation) -> bool:
    pointer = pointer_of(mutation.path)
    ids = (*fixture.entity_id, *fixture.unique, *fixture.required)
    return mutation.kind != "twice" and not any(id_ == pointer or id_.startswith(f"{pointer}/") for id_ in ids)


@given(mixes=MIXES)
@drawn(QUICK_EXAMPLES)
def test_several_mutations_at_once_lose_nothing_and_hide_nothing(suite: Suite, mixes: list[tuple[int, list[int]]]) -> None:
    check_mixes(suite, mixes)


@given(which=NUMBERS, numbers=st.lists(NUMBERS, min_size=2, max_size=4), ways=ARRIVALS)
@drawn(QUICK_EXAMPLES)
def test_of_an_entitys_versions_the_same_one_stands_in_any_order(
    suite: Suite, which: int, numbers: list[int], ways: list[list[int]]
) -> None:
    fixtures = suite.fixtures.fixtures
    check_arrivals(suite, versions_of(fixtures[which % len(fixtures)], numbers), ways)


@pytest.mark.slow
def test_every_story_in_every_order(suite: Suite) -> None:
    for story in suite.fixtures.stories:
        count = len(story.versions)
        assert story_comes_true(suite.fixtures, story, every_arrival(count, count, 500)) == [], story.name


@pytest.mark.slow
def test_order_of_payloads_does_not_matter_in_ten_orders(suite: Suite) -> None:
    assert order_does_not_matter(suite.fixtures, shuffles=10) == []


@pytest.mark.slow
@given(mixes=MIXES)
@drawn(DEEP_EXAMPLES)
def test_several_mutations_at_once_deeply(suite: Suite, mixes: list[tuple[int, list[int]]]) -> None:
    check_mixes(suite, mixes)


@pytest.mark.slow
@given(which=NUMBERS, ways=ARRIVALS)
@drawn(DEEP_EXAMPLES)
def test_a_story_comes_true_in_any_order_split_and_repetition(suite: Suite, which: int, ways: list[list[int]]) -> None:
    stories = suite.fixtures.stories
    check_arrivals(suite, stories[which % len(stories)], ways)


@pytest.mark.slow
@given(which=NUMBERS, numbers=st.lists(NUMBERS, min_size=2, max_size=4), ways=ARRIVALS)
@drawn(DEEP_EXAMPLES)
def test_versions_of_an_entity_deeply(suite: Suite, which: int, numbers: list[int], ways: list[list[int]]) -> None:
    fixtures = suite.fixtures.fixtures
    check_arrivals(suite, versions_of(fixtures[which % len(fixtures)], numbers), ways)
