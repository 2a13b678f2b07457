"""What the load makes of a flatten's frames before any of it reaches a table: children without a parent, no entity at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest

from pipelines.flows.load import flatten
from pipelines.providers.spec import Endpoint
from pipelines.schemas.leaves import TEXT

Frames = dict[str, pl.DataFrame]
DECODED = pl.DataFrame({"entity_id": ["a", "b"]})


def _endpoint(frames: Frames) -> Endpoint:
    return Endpoint("rows", {"id": TEXT}, lambda decoded: frames)


def _results(*keys: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "entity_id": ["a"] * len(keys),
            "result_key": keys,
            "result_id": [str(key) for key in keys],
            "attempt": 1,
            "execution_id": "e",
            "test_id": "t",
            "outcome": "passed",
            "outcome_rank": 1,
            "is_terminal": True,
            "started_at": datetime(2026, 11, 20, tzinfo=UTC),
        }
    )


def _errors(*rows: tuple[str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"entity_id": entity, "result_key": key, "error_index": number, "step_index": 0, "message": "m"}
            for number, (entity, key) in enumerate(rows)
        ]
    )


def test_a_child_without_its_result_is_a_reject_and_its_siblings_stay() -> None:
    good, rejects = flatten(_endpoint({"results": _results(1, 2), "errors": _errors(("a", 1), ("b", 7), ("a", 2))}), DECODED)
    assert good["results"]["result_key"].to_list() == [1, 2]
    assert good["errors"]["result_key"].to_list() == [1, 2]
    assert rejects.rows() == [("b", "/errors", "no_parent", "core.errors: no parent")]


def test_children_alone_are_rejects_and_the_payload_gives_no_entity() -> None:
    good, rejects = flatten(_endpoint({"errors": _errors(("a", 1), ("a", 2), ("b", 3))}), DECODED)
    assert good["errors"].height == 0
    assert good["sightings"].height == 0
    assert sorted(rejects["entity_id"]) == ["a", "b"]


@pytest.mark.parametrize("frames", [dict, lambda: {"results": _results()[:0]}])
def test_nothing_to_flatten_gives_no_row_and_no_reject(frames: Callable[[], Frames]) -> None:
    for decoded in (DECODED, DECODED[:0]):
        good, rejects = flatten(_endpoint(frames()), decoded)
        assert [frame.height for frame in good.values()] == [0]
        assert rejects.height == 0


def test_drift_that_a_flatten_finds_needs_no_parent() -> None:
    drift = pl.DataFrame({"entity_id": ["a"], "json_pointer": ["/x"], "kind": ["unreadable"]})
    good, rejects = flatten(_endpoint({"results": _results(1), "drift": drift}), DECODED)
    assert good["drift"].rows() == drift.rows()
    assert rejects.height == 0


def test_a_row_that_breaks_a_rule_or_repeats_a_key_is_a_reject_with_its_place_and_the_others_stay() -> None:
    results = _results(1, 2, 2).with_columns(outcome=pl.Series(["exploded", "passed", "passed"]))
    errors = _errors(("a", 2), ("a", 2)).with_columns(step_index=pl.Series([None, 0], dtype=pl.Int64))
    good, rejects = flatten(_endpoint({"results": results, "errors": errors}), DECODED)
    assert good["results"]["result_key"].to_list() == [2]
    assert good["errors"]["error_index"].to_list() == [1]
    told = [(pointer, error.split(": ")[0]) for pointer, error in rejects.select("json_pointer", "error").rows()]
    assert sorted(told) == [("/errors/0", "core.errors"), ("/results", "core.results"), ("/results", "core.results")]
    rules = rejects["rule"].to_list()
    assert "duplicate_key" in rules
    assert any(rule.startswith("outcome|") for rule in rules)
    assert any(rule.startswith("step_index|") for rule in rules)
