"""What the fixtures of every provider become, in whatever order and however often they arrive."""

from __future__ import annotations

from tests.conformance import expected
from tests.conformance.arrivals import every_arrival, order_does_not_matter, replay_changes_nothing, story_comes_true
from tests.conformance.suite import Suite


def test_fixtures_become_the_rows_that_are_kept_beside_them(suite: Suite, endpoint: str) -> None:
    assert expected.differences(suite.fixtures, endpoint) == []


def test_order_of_payloads_does_not_matter(suite: Suite) -> None:
    assert order_does_not_matter(suite.fixtures) == []


def test_replay_changes_nothing(suite: Suite) -> None:
    assert replay_changes_nothing(suite.fixtures) == []


def test_every_try_is_a_row_and_one_counts_in_every_order_of_arrival(suite: Suite) -> None:
    assert suite.fixtures.stories, f"{suite.provider.name}: tell in fixtures.json a story of versions that arrive one after the other"
    for story in suite.fixtures.stories:
        found = story_comes_true(suite.fixtures, story, every_arrival(len(story.versions)))
        assert found == [], story.name
