"""What becomes of DocketQA's test runs, trigger responses and webhook bodies: rows, by hand and by count."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.lake.redact import Redactor
from pipelines.providers.docketqa import PROVIDER
from pipelines.providers.docketqa.discover import state
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.transform.expressions import hash_key

FETCHED_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parents[1] / "fixtures" / "docketqa"
DOCUMENTS = Path(__file__).parents[3] / "shared" / "payloads" / "docketqa"
CREATED_AT = datetime(2026, 3, 1, 10, 0, 0, 250, tzinfo=UTC)
NOT_RUN = {"step_number": 2, "task": "t", "is_successful": False, "result": "Step not completed", "duration": 0}

Rows = dict[str, list[dict[str, Any]]]


def payloads(endpoint: str, documents: dict[str, Any]) -> pl.DataFrame:
    redactor, tree = Redactor(b"k" * 32), PROVIDER.endpoint(endpoint).tree
    return pl.DataFrame(
        {
            "entity_id": list(documents),
            "parent_id": None,
            "fetched_at": FETCHED_AT,
            "window_date": None,
            "payload": [json.dumps(redactor.redact(document, tree)) for document in documents.values()],
        },
        schema_overrides={"parent_id": pl.String, "fetched_at": pl.Datetime("us", "UTC"), "window_date": pl.Date},
    )


def flattened(endpoint: str, documents: dict[str, Any]) -> Rows:
    """Rows by table, of masked documents by entity id."""
    declared = PROVIDER.endpoint(endpoint)
    decoded, rejected = decode(payloads(endpoint, documents), declared.tree, connection=duckdb.connect())
    assert rejected.height == 0
    return {name: frame.to_dicts() for name, frame in declared.flatten(decoded).items()}


def read(folder: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_text())
    return document


def retried() -> dict[str, Any]:
    return read(FIXTURES, "retried_run.json")


def picked(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def key(attempt: int) -> int:
    return hash_key(b"docketqa", b"501", str(attempt).encode())


def test_each_attempt_is_a_row_and_the_last_one_with_results_decides() -> None:
    results = flattened("test_runs", {"501": retried()})["results"]
    names = ("attempt", "try_kind", "outcome", "is_terminal", "status", "ended_at", "duration_ms")
    ended_at = datetime(2026, 3, 1, 10, 1, 0, 500_250, tzinfo=UTC)
    assert picked(results, *names) == [
        (1, "attempt", "failed", True, "passed", None, None),
        (2, "final", "passed", True, "passed", ended_at, 60500.0),
        (3, "attempt", "unknown", True, "passed", None, None),
    ]
    assert {row["started_at"] for row in results} == {CREATED_AT}
    assert {(row["result_id"], row["execution_id"]) for row in results} == {("501", "501")}
    assert [row["result_key"] for row in results] == [key(1), key(2), key(3)]


def test_a_result_says_what_ran_where() -> None:
    result = flattened("test_runs", {"501": retried()})["results"][0]
    names = ("run_id", "run_key", "test_id", "test_name", "test_type", "device")
    assert picked([result], *names) == [("90", hash_key(b"docketqa", b"90"), "77", "Orders API", "integration", "desktop")]
    assert (result["viewport_width"], result["viewport_height"]) == (1900, None)
    assert json.loads(result["attributes"]) == {
        "blueprint_metadata": {
            "status": "active",
            "device_type": "desktop",
            "browser_zoom": 1.0,
            "num_retries": 2,
            "steps": [{"step_number": 2, "action_cache": {"hits": 3}}],
        },
        "updated_at": "2026-03-01T10:01:00.500250+00:00",
    }


def test_steps_keep_their_attempt_kind_and_seconds_as_milliseconds() -> None:
    steps = flattened("test_runs", {"501": retried()})["steps"]
    names = ("result_key", "step_index", "step_id", "kind", "outcome", "duration_ms", "error_message")
    assert picked(steps, *names) == [
        (key(1), 0, "1", "api", "failed", 2500.0, "Request failed with status 503."),
        (key(1), 1, "2", "act", "skipped", None, None),
        (key(2), 0, "1", "api", "passed", 1000.0, None),
        (key(2), 1, "2", "act", "passed", 7000.0, None),
    ]
    assert [step["result_text"] for step in steps][:2] == ["Request failed with status 503.", "Step not completed"]


def test_a_skipped_step_is_no_error() -> None:
    errors = flattened("test_runs", {"501": retried()})["errors"]
    assert picked(errors, "result_key", "error_index", "step_index", "origin", "message") == [
        (key(1), 0, 0, "step", "Request failed with status 503.")
    ]


def test_artifacts_follow_the_actions_and_lose_their_signatures() -> None:
    rows = flattened("test_runs", {"501": retried()})
    names = ("result_key", "artifact_index", "step_index", "action_index", "kind", "url")
    files = "https://files.example.test/501"
    assert picked(rows["artifacts"], *names) == [
        (key(1), 0, 0, 0, "screenshot", f"{files}/1-1.png"),
        (key(1), 1, 0, 0, "screenshot_before", f"{files}/1-1-before.png"),
        (key(1), 2, 0, 0, "api_response", f"{files}/1-1.json"),
        (key(1), 3, -1, None, "video", f"{files}/1.mp4"),
        (key(1), 4, -1, None, "video", f"{files}/1.webm"),
        (key(2), 0, 1, 0, "screenshot", f"{files}/2-2-1.png"),
        (key(2), 1, -1, None, "video", f"{files}/2.mp4"),
    ]
    assert picked(rows["actions"], "result_key", "step_index", "action_index", "kind") == [
        (key(1), 0, 0, "api_request"),
        (key(2), 1, 0, "click_element"),
        (key(2), 1, 1, "scroll_down"),
    ]


def test_an_answer_of_an_api_step_is_an_exchange_with_its_configured_request() -> None:
    (exchange,) = flattened("test_runs", {"501": retried()})["exchanges"]
    headers = json.loads(exchange.pop("request_headers"))
    assert exchange == {
        "entity_id": "501",
        "result_key": key(1),
        "exchange_index": 0,
        "method": "POST",
        "url": "https://api.example.test/token",
        "status_code": 503,
        "response_headers": '{"content-type":"application/json"}',
        "response_body": '{"error":"upstream"}',
        "step_index": 0,
        "attributes": '{"step_number":"1","action_index":0}',
    }
    assert headers["Accept"] == "application/json"
    assert headers["X-Api-Key"].startswith("***")


def test_an_empty_answer_is_no_exchange() -> None:
    document = retried()
    document["test_run"]["results"][0]["actions"][0]["api_response"] = {}
    assert flattened("test_runs", {"501": document})["exchanges"] == []


def test_a_snapshot_is_one_test_version_without_what_moves_by_itself() -> None:
    (sighting,) = flattened("test_runs", {"501": retried()})["sightings"]
    assert picked([sighting], "test_id", "observed_at", "origin", "name", "test_type", "status", "target_url") == [
        ("77", CREATED_AT, "result", "Orders API", "integration", "active", "https://shop.example.test/orders")
    ]
    config = json.loads(sighting["config"])
    assert list(config) == sorted(config)
    assert config["steps"][1] == {"action": "Open the orders", "id": 9002, "step_number": 2, "type": "act"}
    assert config["steps"][0]["api_request"]["body"] == {"client_id": "ci"}
    assert config["credentials"]["username"] == "qa@example.test"
    assert config["credentials"]["password"].startswith("***")

    warmer = retried()
    warmer["test_run"]["blueprint_metadata"]["steps"][1]["action_cache"] = {"hits": 4}
    warmer["test_run"]["blueprint_metadata"]["status"] = "archived"
    (again,) = flattened("test_runs", {"501": warmer})["sightings"]
    assert again["config"] == sighting["config"]


def test_a_test_run_says_of_its_group_only_that_it_exists() -> None:
    (group,) = flattened("test_runs", {"501": retried()})["runs"]
    assert group == {
        "entity_id": "501",
        "run_key": hash_key(b"docketqa", b"90"),
        "run_id": "90",
        "kind": "test_group_run",
        "outcome": "running",
        "outcome_rank": 99,
        "is_terminal": True,  # as the test run, whose payload would else count as running for ever
    }


OUTCOMES = [
    ("running", "running", "open"),
    ("passed", "passed", "final"),
    ("failed", "failed", "final"),
    ("stopped", "cancelled", "final"),
    ("errored", "unknown", "final"),
    (None, "unknown", "open"),
]


@pytest.mark.parametrize(("status", "outcome", "expected_state"), OUTCOMES)
def test_status_becomes_the_common_outcome_for_runs_and_groups(status: str | None, outcome: str, expected_state: str) -> None:
    document = {"test_run": {"id": 1, "status": status, "test_blueprint_id": 2, "updated_at": "2026-03-01T10:00:00Z"}}
    (result,) = flattened("test_runs", {"1": document})["results"]
    assert (result["outcome"], result["is_terminal"]) == (outcome, expected_state == "final")
    assert (result["ended_at"] is not None) == (expected_state == "final")
    assert state(document) == expected_state
    (group,) = flattened("test_group_runs", {"9": {"payload": {"id": 9, "status": status}}})["runs"]
    assert (group["outcome"], group["is_terminal"]) == (outcome, expected_state == "final")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "skipped"),
        ({"actions": []}, "skipped"),
        ({"actions": [{"type": "click_element"}]}, "failed"),
        ({"duration": 1}, "failed"),
        ({"result": "Element not found"}, "failed"),
        ({"result": None}, "failed"),
        ({"is_successful": True}, "passed"),
        ({"is_successful": None}, "unknown"),
    ],
)
def test_only_an_untouched_step_is_skipped(change: dict[str, Any], outcome: str) -> None:
    document = {"test_run": {"id": 1, "status": "failed", "test_blueprint_id": 2, "results": [{**NOT_RUN, **change}]}}
    rows = flattened("test_runs", {"1": document})
    (step,) = rows["steps"]
    assert step["outcome"] == outcome
    assert len(rows["errors"]) == (outcome == "failed")


def test_while_a_run_goes_on_its_last_attempt_is_the_running_one() -> None:
    document = retried()
    document["test_run"]["status"] = "running"
    results = flattened("test_runs", {"501": document})["results"]
    assert picked(results, "outcome", "is_terminal", "ended_at") == [
        ("failed", True, None),
        ("failed", True, None),
        ("running", False, None),
    ]


def test_a_broken_run_still_gives_its_row_and_does_not_touch_the_others() -> None:
    broken = {"test_run": {"id": 2, "status": 1, "test_blueprint_id": 3, "results": "x", "created_at": "yesterday"}}
    bare = {"test_run": {"blueprint_metadata": {"id": 4}, "results": [None, {"actions": [None]}]}}
    rows = flattened("test_runs", {"501": retried(), "2": broken, "3": bare})
    assert picked(rows["results"], "result_id", "test_id")[3:] == [("2", "3"), ("3", "4")]
    assert [row["entity_id"] for row in rows["runs"]] == ["501"]
    assert [row["outcome"] for row in rows["steps"] if row["entity_id"] == "3"] == ["unknown", "unknown"]
    assert len(rows["artifacts"]) == 7


def test_a_trigger_response_is_a_running_group_with_its_test_runs() -> None:
    rows = flattened("test_group_runs", {"90": read(FIXTURES, "trigger_response.json")})
    (group,) = rows["runs"]
    names = ("run_id", "kind", "name", "status", "outcome", "is_terminal", "repo_url", "branch", "commit_sha")
    assert picked([group], *names) == [
        ("90", "test_group_run", "CI Run 2026-03-01 09:59:59", "running", "running", False, "example/shop", None, "0f1e2d")
    ]
    attributes = json.loads(group["attributes"])
    assert attributes["github_context"] == {"ref": "refs/pull/7/merge", "run_id": 123456789012345678}
    assert attributes["company_id"] == 2
    assert picked(rows["results"], "result_id", "attempt", "run_id", "test_id", "test_name", "outcome") == [
        ("501", 1, "90", "77", None, "running"),
        ("502", 1, "90", "78", "Search", "running"),
    ]
    detail = flattened("test_runs", {"501": retried()})["results"][0]
    assert rows["results"][0]["result_key"] == detail["result_key"], "list row and detail are one result"
    assert json.loads(rows["results"][1]["attributes"])["is_login_test_run"] is True


def test_what_a_trigger_response_tells_of_a_run_is_kept_until_the_run_is_fetched() -> None:
    told = {**retried()["test_run"], "created_at": "2026-03-01T10:00:00Z"}
    body = {"test_group_run": {"id": 90, "created_at": "2026-03-01T09:59:59Z", "test_runs": [told, {"id": 7, "test_blueprint_id": 9}]}}
    listed, fetched = flattened("test_group_runs", {"90": body}), flattened("test_runs", {"501": {"test_run": told}})
    for table in ("results", "steps", "actions", "artifacts", "errors", "exchanges"):
        rows = [{**row, "entity_id": "501"} for row in listed[table] if row.get("result_id", "501") == "501"]
        assert rows == fetched[table]
    (sighting,) = listed["sightings"]
    assert sighting["config"] == fetched["sightings"][0]["config"]
    assert sighting["observed_at"] < fetched["sightings"][0]["observed_at"], "of two at one instant only one would stand"


def test_a_body_of_both_shapes_loses_neither() -> None:
    body = {
        "test_group_run": {"id": 9, "name": "asked"},
        "event": "test_group_run_passed",
        "payload": {"id": 9, "name": "told", "tests_ran": 4},
    }
    (group,) = flattened("test_group_runs", {"9": body})["runs"]
    attributes = json.loads(group["attributes"])
    assert (group["name"], attributes["payload"]) == ("asked", {"id": "9", "name": "told", "tests_ran": 4})


def test_a_time_and_a_duration_that_are_none_stay_readable() -> None:
    run = {"id": 1, "status": "passed", "test_blueprint_id": 2, "created_at": "yesterday", "results": [{"duration": -2.5}]}
    rows = flattened("test_runs", {"1": {"test_run": run}})
    (result,), (step,) = rows["results"], rows["steps"]
    assert (result["started_at"], json.loads(result["attributes"])) == (None, {"created_at": "yesterday"})
    assert (step["duration_ms"], json.loads(step["attributes"])) == (None, {"duration": -2.5})


def test_a_webhook_body_ends_its_group() -> None:
    rows = flattened("test_group_runs", {"90": read(FIXTURES, "webhook_stopped.json")})
    (group,) = rows["runs"]
    names = ("status", "outcome", "is_terminal", "branch", "passed_count", "failed_count", "url")
    assert picked([group], *names) == [
        ("stopped", "cancelled", True, "feature/orders", 1, 0, "https://app.docketqa.com/dashboard/grouprun/90")
    ]
    attributes = json.loads(group["attributes"])
    assert (attributes["tests_ran"], attributes["tests_stopped"], len(attributes["tests"])) == (3, 2, 3)
    assert rows["results"] == []


def test_an_event_names_the_end_of_a_group_without_a_status() -> None:
    body = {"event": "test_group_run_failed", "payload": {"id": 9}}
    (group,) = flattened("test_group_runs", {"9": body})["runs"]
    assert (group["status"], group["outcome"]) == ("failed", "failed")


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("test_runs", "retried_run.json"),
        ("test_group_runs", "trigger_response.json"),
        ("test_group_runs", "webhook_stopped.json"),
    ],
)
def test_documented_leaves_are_no_drift(endpoint: str, name: str) -> None:
    connection = duckdb.connect()
    frame, tree = payloads(endpoint, {"x": read(FIXTURES, name)}), PROVIDER.endpoint(endpoint).tree
    decoded, _ = decode(frame, tree, connection=connection)
    assert find_drift(frame, decoded, tree, connection=connection).rows() == []


def test_several_runs_at_once_give_the_same_rows_as_one_by_one() -> None:
    other = deepcopy(retried())
    del other["test_run"]["additional_attempts"]
    together = flattened("test_runs", {"501": retried(), "502": other})
    for entity_id, document in (("501", retried()), ("502", other)):
        for name, rows in flattened("test_runs", {entity_id: document}).items():
            assert [row for row in together[name] if row["entity_id"] == entity_id] == rows


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the documented examples are not beside this checkout")
def test_the_documented_run_becomes_the_worked_example() -> None:
    rows = flattened("test_runs", {"38": read(DOCUMENTS, "doc_get_test_run.json")})
    started_at = datetime(2025, 7, 3, 1, 38, 3, 32_648, tzinfo=UTC)
    ended_at = datetime(2025, 7, 3, 1, 40, 5, 43_914, tzinfo=UTC)
    assert picked(rows["results"], "result_id", "attempt", "outcome", "started_at", "ended_at", "duration_ms", "run_id") == [
        ("38", 1, "failed", started_at, ended_at, 122011.266, "35")
    ]
    first, second = rows["steps"]
    assert (first["step_id"], first["outcome"], first["duration_ms"]) == ("1", "failed", 43000.0)
    assert first["name"] == "Enter 'user@example.com' in the email field"
    assert (second["step_id"], second["outcome"], second["duration_ms"]) == ("2", "skipped", None)
    assert second["name"].startswith("Enter '***")
    assert "password123" not in json.dumps(rows, default=str)
    assert picked(rows["actions"], "kind") == [("extract_content",)]
    assert picked(rows["artifacts"], "kind", "step_index", "action_index") == [("screenshot", 0, 0), ("video", -1, None)]
    assert picked(rows["errors"], "origin", "step_index") == [("step", 0)]
    assert picked(rows["sightings"], "test_id", "test_type", "target_url") == [("180", "integration", "https://example.com/login")]


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the documented examples are not beside this checkout")
@pytest.mark.parametrize("name", ["doc_get_test_run.json", "doc_get_test_run_schema_v2.json"])
def test_documented_runs_lose_no_step_action_or_file(name: str) -> None:
    run = read(DOCUMENTS, name)["test_run"]
    rows = flattened("test_runs", {str(run["id"]): {"test_run": run}})
    actions = [action for step in run["results"] for action in step["actions"]]
    shots = [name for action in actions for name in ("screenshot_url", "screenshot_url_before") if name in action]
    videos = [name for name in ("test_video_url", "test_video_download_url") if name in run]
    assert len(rows["results"]) == 1 + len(run.get("additional_attempts", []))
    assert len(rows["steps"]) == len(run["results"])
    assert len(rows["actions"]) == len(actions)
    assert len(rows["artifacts"]) == len(shots) + len(videos)


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the documented examples are not beside this checkout")
def test_the_documented_trigger_response_and_webhook_become_groups() -> None:
    trigger = flattened("test_group_runs", {"35": read(DOCUMENTS, "doc_trigger_run_response.json")})
    assert picked(trigger["runs"], "name", "outcome") == [("Manual Run 2025-07-03 01:38:03", "running")]
    assert picked(trigger["results"], "result_id", "run_id", "test_id") == [("38", "35", "180")]
    webhook = flattened("test_group_runs", {"12345": read(DOCUMENTS, "doc_webhook_test_group_run_passed.json")})
    assert picked(webhook["runs"], "outcome", "branch", "passed_count") == [("passed", "feature/user-authentication", 15)]
