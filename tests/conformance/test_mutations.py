"""Every place of every fixture deleted, renamed, emptied, retyped and doubled: nothing is lost, hidden or told twice."""

from __future__ import annotations

from tests.conformance import checks
from tests.conformance.suite import Suite


def test_every_mutant_is_loaded_or_for_a_required_leaf_rejected(suite: Suite, endpoint: str) -> None:
    assert checks.is_loaded_or_rejected(suite.mutants, endpoint) == []


def test_a_missing_optional_leaf_loses_no_row(suite: Suite, endpoint: str) -> None:
    assert checks.loses_no_row_for_an_optional_leaf(suite.mutants, endpoint) == []


def test_what_is_undocumented_shows_in_drift_at_its_pointer(suite: Suite, endpoint: str) -> None:
    assert checks.shows_what_is_undocumented(suite.mutants, endpoint) == []


def test_no_value_becomes_null_silently(suite: Suite, endpoint: str) -> None:
    assert checks.nothing_becomes_null_silently(suite.mutants, endpoint) == []


def test_no_planted_secret_lands(suite: Suite, endpoint: str) -> None:
    assert checks.no_secret_lands(suite.mutants, endpoint) == []


def test_landed_is_loaded_superseded_or_rejected_and_keys_and_parents_hold(suite: Suite) -> None:
    assert checks.holds_together(suite.mutants.bench) == []


def test_instants_are_utc_and_durations_plausible(suite: Suite) -> None:
    assert checks.is_plausible(suite.mutants.bench) == []
