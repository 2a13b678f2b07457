"""What becomes of an Applitools plan run: its rows, by hand and by count."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.providers.applitools import PROVIDER
from pipelines.providers.applitools.discover import state
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.transform.expressions import hash_key

ENDPOINT = PROVIDER.endpoint("plan_runs")
FETCHED_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parents[1] / "fixtures" / "applitools"
DOCUMENTS = Path(__file__).parents[3] / "shared" / "payloads" / "applitools"
RUN_ID = "0b8c9f52-1111-4a6e-9d5b-6a1d1f0c0001"


def payloads(**documents: Any) -> pl.DataFrame:
    """Payload rows by entity id."""
    return pl.DataFrame(
        {
            "entity_id": list(documents),
            "parent_id": None,
            "fetched_at": FETCHED_AT,
            "window_date": None,
            "payload": [json.dumps(document) for document in documents.values()],
        },
        schema_overrides={"parent_id": pl.String, "fetched_at": pl.Datetime("us", "UTC"), "window_date": pl.Date},
    )


def flattened(**documents: Any) -> dict[str, list[dict[str, Any]]]:
    decoded, rejected = decode(payloads(**documents), ENDPOINT.tree, connection=duckdb.connect())
    assert rejected.height == 0
    return {name: frame.to_dicts() for name, frame in ENDPOINT.flatten(decoded).items()}


def fixture() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "completed_run.json").read_text())
    return document


def without_null(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def test_a_run_keeps_its_counts_time_and_duration_as_sent() -> None:
    (run,) = flattened(**{RUN_ID: fixture()})["runs"]
    assert without_null(run) == {
        "entity_id": RUN_ID,
        "run_key": hash_key(b"applitools", RUN_ID.encode()),
        "run_id": RUN_ID,
        "kind": "plan_run",
        "name": "Checkout plan",
        "status": "completed",
        "outcome": "failed",
        "outcome_rank": 4,
        "is_terminal": True,
        "started_at": datetime(2026, 3, 1, 23, 59, 58, 250_000, tzinfo=UTC),
        "duration_ms": 61250.0,
        "passed_count": 9,
        "failed_count": 2,
        "aborted_count": 1,
        "pending_count": 0,
        "unresolved_count": 4,
        "attributes": '{"viewports":["1440x900","auto"]}',
    }


def test_each_test_of_a_run_is_one_result_without_a_duration() -> None:
    first, second = flattened(**{RUN_ID: fixture()})["results"]
    assert without_null(first) == {
        "entity_id": RUN_ID,
        "result_key": hash_key(b"applitools", f"{RUN_ID}/t-1".encode(), b"1"),
        "result_id": f"{RUN_ID}/t-1",
        "attempt": 1,
        "execution_id": f"{RUN_ID}/t-1",
        "run_key": hash_key(b"applitools", RUN_ID.encode()),
        "run_id": RUN_ID,
        "test_id": "t-1",
        "test_name": "Guest checkout",
        "test_type": "custom_test",
        "status": "completed",
        "outcome": "unresolved",
        "outcome_rank": 6,
        "is_terminal": True,
        "started_at": datetime(2026, 3, 1, 23, 59, 58, 250_000, tzinfo=UTC),
        "url": "https://eyes.example.test/app/test-results/7",
        "attributes": '{"sitemap":"","results":{"passed":9,"failed":0,"aborted":0,"pending":0,"unresolved":4}}',
    }
    assert (second["test_name"], second["outcome"], second["url"]) == (None, "failed", None)


def test_environments_keep_their_order_and_split_the_viewport() -> None:
    rows = flattened(**{RUN_ID: fixture()})["environments"]
    assert [(r["environment_index"], r["name"], r["viewport_width"], r["viewport_height"]) for r in rows] == [
        (0, "Chrome", 1440, 900),
        (1, "Fluid", None, None),
    ]


def test_sightings_name_the_tests_at_the_start_of_their_run() -> None:
    rows = flattened(**{RUN_ID: fixture()})["sightings"]
    assert [(r["test_id"], r["name"], r["test_type"], r["target_url"], r["origin"]) for r in rows] == [
        ("t-1", "Guest checkout", "custom_test", None, "result"),
        ("t-2", None, "sitemap_test", "https://shop.example.test/sitemap.xml", "result"),
    ]
    assert {r["observed_at"] for r in rows} == {datetime(2026, 3, 1, 23, 59, 58, 250_000, tzinfo=UTC)}


def test_a_run_of_one_environment_is_named_after_it() -> None:
    document = fixture()
    del document["result"]["environments"][1]
    rows = flattened(**{RUN_ID: document})
    (run,) = rows["runs"]
    assert (run["environment"], run["attributes"]) == ("Chrome", None)
    for result in rows["results"]:
        where = (result["os"], result["browser"], result["device"], result["viewport_width"], result["viewport_height"])
        assert where == ("Linux", "Chrome", "Desktop", 1440, 900)


def test_of_several_environments_no_result_is_said_to_have_run_in_the_first() -> None:
    assert {result["browser"] for result in flattened(**{RUN_ID: fixture()})["results"]} == {None}


def test_what_stands_beside_the_wrapper_and_a_time_that_is_none_stay_readable() -> None:
    (run,) = flattened(x={"status": "ok", "result": {"id": "x", "status": "failed", "started_at": "soon", "duration": -1}})["runs"]
    assert (run["status"], run["started_at"], run["duration_ms"]) == ("failed", None, None)
    assert json.loads(run["attributes"]) == {"started_at": "soon", "duration": -1, "beside_result": {"status": "ok"}}


OUTCOMES = [
    ("passed", {}, "passed", "final"),
    ("failed", {}, "failed", "final"),
    ("aborted", {}, "aborted", "final"),
    ("unresolved", {}, "unresolved", "review"),
    ("completed", {"failed": 1, "aborted": 1, "unresolved": 1}, "failed", "final"),
    ("completed", {"failed": 0, "aborted": 1, "unresolved": 1}, "aborted", "final"),
    ("completed", {"unresolved": 1}, "unresolved", "review"),
    ("completed", {"passed": 5, "failed": 0}, "passed", "final"),
    ("completed", None, "passed", "final"),
    ("pending", {}, "running", "open"),
    ("running", {"failed": 3}, "running", "open"),
    (None, {}, "running", "open"),
    ("", {}, "running", "open"),
    ("queued", {"failed": 3}, "unknown", "open"),
]


@pytest.mark.parametrize(("status", "counts", "outcome", "expected_state"), OUTCOMES)
def test_status_becomes_the_common_outcome_for_runs_and_tests(status: str | None, counts: Any, outcome: str, expected_state: str) -> None:
    told = {"id": "x", "status": status, "results": counts}
    document = {"result": {**told, "tests": [told]}}
    rows = flattened(x=document)
    is_terminal = outcome not in ("running", "unknown")
    for table in ("runs", "results"):
        assert [(r["outcome"], r["is_terminal"], r["status"]) for r in rows[table]] == [(outcome, is_terminal, status)]
    assert state(document) == expected_state


def test_a_body_without_the_wrapper_gives_the_same_rows() -> None:
    assert flattened(**{RUN_ID: fixture()["result"]}) == flattened(**{RUN_ID: fixture()})


def test_a_broken_run_still_gives_its_row_and_does_not_touch_the_others() -> None:
    broken = {"result": {"id": "b", "status": 7, "duration": "soon", "results": [], "tests": {"id": 1}, "environments": "x"}}
    rows = flattened(a=fixture(), b=broken, c={"result": None})
    assert [(r["run_id"], r["outcome"]) for r in rows["runs"]] == [("a", "failed"), ("b", "unknown"), ("c", "running")]
    assert {r["entity_id"] for r in rows["results"]} == {"a"}
    assert rows["runs"][1]["duration_ms"] is None


def test_documented_leaves_are_no_drift() -> None:
    connection = duckdb.connect()
    frame = payloads(**{RUN_ID: fixture()})
    decoded, _ = decode(frame, ENDPOINT.tree, connection=connection)
    assert find_drift(frame, decoded, ENDPOINT.tree, connection=connection).rows() == []


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the documented examples are not beside this checkout")
def test_the_documented_run_loses_no_environment_and_no_test() -> None:
    document = json.loads((DOCUMENTS / "doc_get_result.json").read_text())
    rows = flattened(run=document)
    (run,) = rows["runs"]
    assert (run["outcome"], run["duration_ms"], run["passed_count"], run["failed_count"]) == ("failed", 228669.0, 12, 3)
    assert run["started_at"] == datetime(2023, 10, 24, 13, 0, 12, 463_000, tzinfo=UTC)
    assert len(rows["environments"]) == len(document["result"]["environments"])
    assert [r["test_id"] for r in rows["results"]] == [test["id"] for test in document["result"]["tests"]]
    assert [(r["test_name"], r.get("duration_ms")) for r in rows["results"]] == [(None, None)]
