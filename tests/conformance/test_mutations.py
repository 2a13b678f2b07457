"""Every place of every fixture deleted, renamed, emptied, retyped and doubled: nothing is lost, hidden or told twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.conformance import checks
from tests.conformance.suite import Suite

Record = Callable[[str, object], None]


def _count(suite: Suite, endpoint: str, record: Record, *kinds: str) -> None:
    """How many mutants of these kinds there were."""
    made = Counter(mutation.kind for mutant in suite.mutants.of(endpoint) for mutation in mutant.mutations)
    record("cases", sum(made[kind] for kind in kinds))


@pytest.mark.fault("D11")
def test_every_mutant_is_loaded_or_for_a_required_leaf_rejected(suite: Suite, endpoint: str, record_property: Record) -> None:
    assert checks.is_loaded_or_rejected(suite.mutants, endpoint) == []
    _count(suite, endpoint, record_property, "delete", "null")


@pytest.mark.fault("D11")
def test_a_missing_optional_leaf_loses_no_row(suite: Suite, endpoint: str, record_property: Record) -> None:
    assert checks.loses_no_row_for_an_optional_leaf(suite.mutants, endpoint) == []
    _count(suite, endpoint, record_property, "delete", "null")


@pytest.mark.fault("D12", "D3")
def test_what_is_undocumented_shows_in_drift_at_its_pointer(suite: Suite, endpoint: str, record_property: Record) -> None:
    assert checks.shows_what_is_undocumented(suite.mutants, endpoint) == []
    _count(suite, endpoint, record_property, "rename", "word", "key_twice")


@pytest.mark.fault("D6", "D13")
def test_no_value_becomes_null_silently(suite: Suite, endpoint: str, record_property: Record) -> None:
    assert checks.nothing_becomes_null_silently(suite.mutants, endpoint) == []
    _count(suite, endpoint, record_property, "swap", "object", "list", "scalar", "twice")


def test_no_planted_secret_lands(suite: Suite, endpoint: str) -> None:
    assert checks.no_secret_lands(suite.mutants, endpoint) == []


def test_landed_is_loaded_superseded_or_rejected_and_keys_and_parents_hold(suite: Suite) -> None:
    assert checks.holds_together(suite.mutants.bench) == []


def test_instants_are_utc_and_durations_plausible(suite: Suite) -> None:
    assert checks.is_plausible(suite.mutants.bench) == []
