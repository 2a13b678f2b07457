"""What the flatten of Datadog payloads promises, row by row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.providers.datadog import PROVIDER
from pipelines.providers.datadog.configuration import read_assertion
from pipelines.schemas import FLATTENED
from pipelines.transform.decode import decode

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures/datadog"
RECORDED = ROOT.parent / "shared/payloads/datadog"
FETCHED_AT = datetime(2026, 11, 22, tzinfo=UTC)

recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded payloads are not beside this repository")

Tables = dict[str, pl.DataFrame]


def flatten(endpoint: str, *documents: dict[str, Any], parent_id: str | None = "abc-def-ghi") -> Tables:
    spec = PROVIDER.endpoint(endpoint)
    ids = [str(item.get("result_id") or item.get("resultID") or item.get("public_id")) for item in documents]
    payloads = pl.DataFrame(
        {
            "entity_id": ids,
            "parent_id": [parent_id] * len(ids),
            "fetched_at": [FETCHED_AT] * len(ids),
            "window_date": [FETCHED_AT.date()] * len(ids),
            "payload": [json.dumps(item) for item in documents],
        },
        schema_overrides={
            "entity_id": pl.String,
            "parent_id": pl.String,
            "fetched_at": pl.Datetime("us", "UTC"),
            "window_date": pl.Date,
            "payload": pl.String,
        },
    )
    decoded, rejected = decode(payloads, spec.tree, connection=duckdb.connect())
    assert rejected.is_empty()
    return spec.flatten(decoded)


def fixture(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / name).read_text())
    return document


def recording(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return document


def rows(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(columns).rows()


def attributes(frame: pl.DataFrame, place: int = 0) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(frame["attributes"][place])
    return values


API = {"check_time": 1764000000000, "result_id": "1", "check": {"config": {}}}


# ------------------------------------------------------------------------------------------------------------ outcome


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"eventType": "not_scheduled"}, "running"),
        ({"eventType": "scheduled", "passed": True}, "running"),
        ({"eventType": "finished", "passed": True, "failure": {"code": "DNS"}}, "passed"),
        ({"eventType": "finished", "passed": False}, "failed"),
        ({"eventType": "finished", "failure": {"code": "TIMEOUT", "message": "late"}}, "failed"),
        ({"eventType": "finished", "failure": {}, "error": ""}, "passed"),
        ({"eventType": "finished", "error": "boom"}, "failed"),
        ({"eventType": "finished", "errorMessage": "boom"}, "failed"),
        ({"eventType": "finished_with_error"}, "failed"),
        ({"eventType": "finished", "assertionResults": [{"valid": True}, {"valid": False}]}, "failed"),
        ({"errorMessage": '[{"index":0,"type":"header","valid":false}]', "timings": {"total": 3}}, "failed"),
        ({"eventType": "finished"}, "passed"),
        ({"timings": {"total": 12.5}}, "passed"),
        ({"timings": {"dns": 12.5}}, "unknown"),
        ({"eventType": "cancelled", "timings": {"total": 12.5}}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_outcome_follows_the_first_rule_that_matches(result: dict[str, Any], outcome: str) -> None:
    table = flatten("api_results", {**API, "result": result})["results"]
    assert rows(table, "outcome", "is_terminal") == [(outcome, outcome != "running")]


def test_the_monitor_status_is_not_the_outcome() -> None:
    table = flatten("api_results", {**API, "status": 1, "result": {"eventType": "finished", "passed": True}})["results"]
    assert rows(table, "status", "outcome") == [("finished", "passed")]
    assert attributes(table)["status"] == 1


# -------------------------------------------------------------------------------------------------------- API results


def test_all_eight_assertion_forms_become_rows_with_their_outcome() -> None:
    table = flatten("api_results", fixture("api_result_eight_forms.json"))["assertions"]
    assert rows(table, "assertion_index", "source", "property", "operator", "target", "actual", "outcome") == [
        (0, "responseTime", None, "lessThan", "1000", "122", "passed"),
        (1, "bodyHash", None, "sha256", "ab12", "ab12", "passed"),
        (2, "body", "$.stock", "moreThan", "5.0", "3", "failed"),
        (3, "body", None, "validatesJSONSchema", '{"type":"object"}', None, "passed"),
        (4, "body", "//stock", "is", "3", '["a",1.5]', "passed"),
        (5, "javascript", None, None, "dd.expect(1).to.equal(1);", None, "passed"),
        (6, "mcpServerCapabilities", None, "contains", '["tools","prompts"]', '["tools"]', "passed"),
        (7, "mcpRespectsSpecification", None, None, None, None, "passed"),
    ]
    assert table["step_index"].to_list() == [-1] * 8
    assert table["error_message"][2] == "3 is not more than 5"
    assert attributes(table, 0) == {"timingsScope": "withoutDNS", "expected": "1000"}
    assert attributes(table, 2) == {
        "operator": "validatesJSONPath",
        "elementsOperator": "firstElementMatches",
        "expected": "5",
    }
    assert attributes(table, 3) == {"metaSchema": "draft-07"}


def test_a_jsonpath_keeps_the_configured_property_beside_the_path() -> None:
    form = {
        "type": "body",
        "operator": "validatesJSONPath",
        "property": "p",
        "target": {"jsonPath": "$", "operator": "is"},
    }
    read = read_assertion(form)
    assert (read["property"], read["outer_property"], read["target"]) == ("$", "p", None)


def test_a_result_row_holds_times_codes_place_and_the_rest_as_attributes() -> None:
    table = flatten("api_results", fixture("api_result_eight_forms.json"))["results"]
    row = table.row(0, named=True)
    assert row["result_id"] == row["execution_id"] == "16334500735347249235"
    assert (row["attempt"], row["test_id"], row["test_type"]) == (1, "abc-def-ghi", "api")
    assert row["location"] == row["private_location_id"] == "pl:berlin-4f6d"
    assert row["started_at"] == datetime(2025, 11, 24, 16, 0, 0, 123000, tzinfo=UTC)
    assert (row["duration_ms"], row["response_time_ms"], row["http_status_code"]) == (122.0, 122.0, 200)
    assert (row["failure_code"], row["failure_message"]) == ("INCORRECT_ASSERTION", "Assertions failed")
    assert row["run_id"] is None
    assert attributes(table) == {
        "status": 0,
        "run_type": 3,
        "check_version": 7,
        "passed": False,
        "runType": 3,
        "subtype": "http",
        "mainDC": "eu1.prod",
        "tunnel": False,
        "unhealthy": False,
        "resolvedIp": "203.0.113.10",
        "dnsServer": "8.8.8.8",
        "resolutionAttempts": [],
    }


def test_every_phase_is_a_timing_and_only_total_is_the_total() -> None:
    table = flatten("api_results", fixture("api_result_eight_forms.json"))["timings"]
    phases = dict(rows(table, "phase", "duration_ms"))
    assert phases == {
        "dns": 4.1,
        "tcp": 9.5,
        "tls": 21.0,
        "first_byte": 80.4,
        "download": 1.0,
        "redirect": 0.0,
        "wait": 2.5,
        "handshake": 3.5,
        "total": 122.0,
    }
    assert table.filter("is_total")["phase"].to_list() == ["total"]
    assert sum(value for phase, value in phases.items() if phase != "total") == pytest.approx(122.0)


def test_certificate_and_exchange_are_read_whole() -> None:
    tables = flatten("api_results", fixture("api_result_eight_forms.json"))
    certificate = tables["certificates"].row(0, named=True)
    assert (certificate["subject_cn"], certificate["issuer_cn"]) == ("api.example.com", "Example CA 2")
    assert certificate["valid_from_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert certificate["valid_to_at"] == datetime(2027, 3, 13, 16, 52, 5, tzinfo=UTC)
    assert json.loads(certificate["alt_names"]) == ["api.example.com", "www.example.com"]
    assert (certificate["fingerprint"], certificate["serial_number"]) == ("AA:BB", "0F3A")
    assert attributes(tables["certificates"])["fingerprint256"] == "CC:DD"
    exchange = tables["exchanges"].row(0, named=True)
    assert (exchange["exchange_index"], exchange["method"], exchange["status_code"]) == (0, "POST", 200)
    assert exchange["url"] == "https://api.example.com/v2/stock"
    assert json.loads(exchange["response_headers"])["server"] == "nginx"
    assert (exchange["response_body"], exchange["response_bytes"]) == ('{"stock":3}', 1834)


def test_the_network_facts_of_a_result_are_columns() -> None:
    document = fixture("api_result_eight_forms.json")
    document["check"]["config"]["request"] = {"host": "db.example.com", "port": "5432"}
    document["result"]["resolutionAttempts"] = [{"server": "8.8.8.8", "error": "ESERVFAIL"}, "203.0.113.10"]
    tables = flatten("api_results", document)
    assert rows(tables["results"], "resolved_ip", "dns_server", "trigger") == [("203.0.113.10", "8.8.8.8", "triggered")]
    assert rows(tables["exchanges"], "url", "host", "port", "resolved_ip") == [
        ("db.example.com", "db.example.com", 5432, "203.0.113.10"),
    ]
    assert rows(tables["dns_records"], "record_index", "step_index", "kind", "value") == [
        (0, -1, "attempt", None),
        (1, -1, "attempt", "203.0.113.10"),
    ]
    assert attributes(tables["dns_records"]) == {"server": "8.8.8.8", "error": "ESERVFAIL"}
    assert "resolutionAttempts" not in attributes(tables["results"])
    assert tables["certificates"]["handshake_ms"].to_list() == [3.5]


@pytest.mark.parametrize(
    ("run_type", "own_type", "trigger"),
    [(0, None, "scheduled"), (0, 1, "fast"), (2, 2, "ci"), (None, 3, "triggered"), (9, None, None), (None, None, None)],
)
def test_what_started_a_try_is_a_word_and_an_unknown_number_stays(run_type: int | None, own_type: int | None, trigger: str | None) -> None:
    table = flatten("api_result_rows", {"result_id": "1", "run_type": run_type, "result": {"runType": own_type}})["results"]
    assert table["trigger"].to_list() == [trigger]
    if run_type is not None:
        assert attributes(table)["run_type"] == run_type


def test_what_no_column_can_say_stays_in_attributes() -> None:
    result = {
        "failure": {"code": "DNS", "message": "no such host"},
        "error": "lookup failed",
        "duration": 80,
        "timings": {"total": 70},
        "cert": {"validFrom": "yesterday", "validTo": "2027-01-01T00:00:00Z"},
    }
    tables = flatten("api_results", {"result_id": "1", "check_time": 12, "check": {"type": "API"}, "result": result})
    told = attributes(tables["results"])
    assert tables["results"]["started_at"].to_list() == [None]
    assert (told["check_time"], told["error"], told["duration"]) == (12, "lookup failed", 80)
    assert attributes(tables["certificates"]) == {"validFrom": "yesterday"}
    assert tables["sightings"]["test_type"].to_list() == ["api"]


def test_the_result_that_is_retried_is_named() -> None:
    tables = flatten("api_result_rows", *fixture("api_rows.json")["results"])
    assert rows(tables["results"], "result_id", "initial_result_id")[:2] == [("501", "500"), ("500", None)]


def test_equal_texts_of_failure_and_error_are_one_error() -> None:
    table = flatten("api_results", fixture("api_result_eight_forms.json"))["errors"]
    assert rows(table, "error_index", "step_index", "origin", "code", "message") == [
        (0, -1, "failure", "INCORRECT_ASSERTION", "Assertions failed")
    ]


def test_the_definition_in_a_result_is_sighted_when_the_result_started() -> None:
    table = flatten("api_results", fixture("api_result_eight_forms.json"))["sightings"]
    row = table.row(0, named=True)
    assert (row["test_id"], row["origin"], row["name"], row["test_type"]) == ("abc-def-ghi", "result", "Stock", "api")
    assert row["observed_at"] == datetime(2025, 11, 24, 16, 0, 0, 123000, tzinfo=UTC)
    assert (row["frequency_s"], row["target_url"]) == (300.0, "https://api.example.com/v2/stock")
    assert list(json.loads(row["config"])) == ["assertions", "request"]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([{"actual": 5, "valid": False}, {"actual": 200, "valid": True}], [("5", "failed"), ("200", "passed")]),
        ([{"index": 1, "actual": 500, "valid": False}], [(None, "unknown"), ("500", "failed")]),
        ([{"actual": 200, "valid": True}], [(None, "unknown"), (None, "unknown"), ("200", "passed")]),
        (
            [{"type": "statusCode", "operator": "is", "actual": 200, "valid": True}, {"type": "header", "valid": True}],
            [(None, "unknown"), (None, "unknown"), ("200", "passed"), (None, "passed")],
        ),
        (
            [{"index": 1, "valid": True}, {"index": 1, "valid": False}],
            [(None, "unknown"), (None, "passed"), (None, "failed")],
        ),
        ([], [(None, "unknown"), (None, "unknown")]),
    ],
    ids=["by place", "by index", "other length", "other types", "index told twice", "nothing known"],
)
def test_no_assertion_and_no_outcome_is_lost(results: list[dict[str, Any]], expected: list[tuple[str | None, str]]) -> None:
    config = {
        "assertions": [
            {"type": "responseTime", "operator": "lessThan", "target": 10},
            {"type": "statusCode", "operator": "is", "target": 200},
        ]
    }
    tables = flatten("api_results", {**API, "check": {"config": config}, "result": {"assertionResults": results}})
    assert rows(tables["assertions"], "actual", "outcome") == expected
    assert tables["assertions"]["assertion_index"].to_list() == list(range(len(expected)))
    assert tables["drift"].height == (1 if len(expected) > 2 else 0)


def test_what_an_outcome_says_otherwise_than_its_configuration_is_kept() -> None:
    config = {
        "assertions": [{"type": "statusCode", "operator": "is", "target": 200}, {"type": "body", "operator": "contains", "target": "ok"}]
    }
    results = [
        {"index": 0, "type": "statusCode", "operator": "isNot", "property": "p", "target": 201, "valid": True},
        {"index": 1, "type": "body", "operator": "contains", "valid": False, "errorMessage": "no", "error_message": "nope"},
    ]
    table = flatten("api_results", {**API, "check": {"config": config}, "result": {"assertionResults": results}})["assertions"]
    assert rows(table, "operator", "property", "target", "error_message") == [("is", None, "200", None), ("contains", None, "ok", "no")]
    assert attributes(table, 0) == {"found": {"operator": "isNot", "property": "p", "target": 201}}
    assert attributes(table, 1) == {"error_message": "nope"}


def test_outcomes_of_a_step_in_a_second_spelling_are_kept() -> None:
    step = {"assertionResults": [{"actual": 1, "valid": True}], "assertions": [{"type": "body", "actual": 2}], "passed": True}
    tables = flatten("api_results", {"result_id": "1", "result": {"steps": [step]}})
    assert rows(tables["assertions"], "step_index", "actual", "outcome") == [(0, "1", "passed")]
    assert attributes(tables["steps"]) == {"assertions": [{"type": "body", "actual": 2}], "passed": True}


def test_outcomes_come_from_errormessage_where_there_are_no_assertion_results() -> None:
    config = {"assertions": [{"type": "statusCode", "operator": "is", "target": n} for n in (200, 201)]}
    told = '[{"index":1,"type":"statusCode","operator":"is","target":201,"valid":false,"actual":500}]'
    table = flatten("api_results", {**API, "check": {"config": config}, "result": {"errorMessage": told}})["assertions"]
    assert rows(table, "target", "actual", "outcome") == [("200", None, "unknown"), ("201", "500", "failed")]


def test_multistep_results_give_steps_with_their_timings_assertions_and_errors() -> None:
    tables = flatten("api_results", fixture("api_result_multistep.json"))
    assert rows(tables["steps"], "step_index", "name", "kind", "outcome", "duration_ms", "error_message") == [
        (0, "Log in", "http", "passed", 200.0, None),
        (1, "Read", "http", "failed", 212.5, "step 2 failed"),
        (2, "Log out", "http", "skipped", None, None),
    ]
    assert rows(tables["assertions"], "assertion_index", "step_index", "target", "actual", "outcome") == [
        (0, 0, "200", "200", "passed"),
        (1, 1, "200", None, "unknown"),
        (2, 2, "204", None, "unknown"),
        (3, 1, "200", "503", "failed"),
        (4, 1, "ok", "no", "failed"),
    ]
    assert set(rows(tables["timings"], "step_index", "phase", "duration_ms")) == {
        (0, "dns", 1.5),
        (0, "total", 200.0),
        (1, "total", 212.5),
        (2, "total", 0.0),
    }
    assert rows(tables["errors"], "step_index", "origin", "code", "message") == [(1, "step", "INCORRECT_ASSERTION", "step 2 failed")]
    assert rows(tables["results"], "duration_ms", "response_time_ms", "outcome") == [(412.5, None, "failed")]


def test_configured_assertions_of_steps_that_a_result_does_not_hold_are_kept_with_outcome_unknown() -> None:
    document = fixture("api_result_multistep.json")
    document["result"]["steps"] = document["result"]["steps"][:1]
    table = flatten("api_results", document)["assertions"]
    assert rows(table, "step_index", "target", "outcome") == [
        (0, "200", "passed"),
        (-1, "200", "unknown"),
        (-1, "204", "unknown"),
    ]


# ---------------------------------------------------------------------------------------------------------- list rows


def test_list_rows_make_results_timings_failed_assertions_and_errors() -> None:
    tables = flatten("api_result_rows", *fixture("api_rows.json")["results"])
    assert rows(tables["results"], "result_id", "execution_id", "outcome", "is_terminal", "duration_ms") == [
        ("501", "500", "failed", True, 99.5),
        ("500", "500", "failed", True, 12.0),
        ("499", "499", "running", False, None),
        ("498", "498", "passed", True, 50.0),
        ("497", "497", "unknown", True, None),
    ]
    assert rows(tables["assertions"], "entity_id", "assertion_index", "source", "target", "actual", "outcome") == [
        ("501", 2, "header", "text/html", "text/html; charset=utf-8", "failed")
    ]
    assert rows(tables["errors"], "entity_id", "message") == [
        ("501", 'header content-type is "text/html", found "text/html; charset=utf-8"'),
        ("500", "getaddrinfo ENOTFOUND api.example.com"),
    ]
    assert tables["timings"].height == 5
    assert attributes(tables["results"])["nextTryAt"] == "2025-11-24T16:15:01.647Z"


def test_browser_rows_hold_device_duration_and_step_counts() -> None:
    tables = flatten("browser_result_rows", *fixture("browser_rows.json")["results"])
    assert rows(tables["results"], "result_id", "device", "browser", "duration_ms", "outcome", "failure_message") == [
        ("77", "Laptop Large", "chrome", 9000.0, "failed", "Element not found"),
        ("76", "firefox.tablet", "firefox", None, "running", None),
    ]
    counts = ("step_count", "step_completed_count", "error_count", "viewport_width", "viewport_height", "trigger")
    assert rows(tables["results"], *counts)[0] == (4, 2, 2, 1440, 1100, "scheduled")
    assert "stepCountTotal" not in attributes(tables["results"])
    assert tables["errors"]["message"].to_list() == ["Element not found"]


# ---------------------------------------------------------------------------------------------------- browser results


@pytest.fixture(scope="module")
def browser() -> Tables:
    return flatten("browser_results", fixture("browser_result_failed.json"))


def test_nested_steps_stand_depth_first_below_their_parent(browser: Tables) -> None:
    columns = ("step_index", "parent_step_index", "step_id", "kind", "outcome", "duration_ms")
    assert rows(browser["steps"], *columns) == [
        (0, None, "-1", "goToUrlAndMeasureTti", "passed", 2000.0),
        (1, None, "10", "playSubTest", "passed", 3000.0),
        (2, 1, "11", "typeText", "passed", 500.0),
        (3, 1, "12", "playSubTest", "passed", 400.0),
        (4, 3, "13", "click", "passed", 300.0),
        (5, None, "20", "click", "failed", 4000.0),
        (6, None, "21", "click", "skipped", None),
    ]
    failing = attributes(browser["steps"], 5)
    assert (failing["allowFailure"], failing["isCritical"], failing["playingTab"]) == (True, True, -1)
    assert "screenshotBucketKey" not in failing
    assert attributes(browser["steps"], 0)["screenshotBucketKey"] is True
    typed = attributes(browser["steps"], 2)
    assert typed["warnings"] == [{"message": "slow selector", "type": "user_locator"}]
    assert len(typed["browserErrors"]) == 3
    assert typed["browserErrors"][0]["method"] == "GET"


def test_steps_deeper_than_the_declared_levels_are_kept_as_json() -> None:
    step: dict[str, Any] = {"type": "click", "stepId": 6, "description": "deepest"}
    for number in range(5, 0, -1):
        step = {"type": "playSubTest", "stepId": number, "subTestStepDetails": [step]}
    table = flatten("browser_results", {"result_id": "1", "result": {"stepDetails": [step]}})["steps"]
    assert table["step_id"].to_list() == ["1", "2", "3", "4"]
    assert "deepest" in table["attributes"][3]


def test_an_error_told_by_result_and_step_is_one_error_at_the_step(browser: Tables) -> None:
    assert rows(browser["errors"], "error_index", "step_index", "origin", "code", "name", "message") == [
        (0, 2, "browser", "500", "Bad status", "GET /api/me 500"),
        (1, 2, "browser", "js", "TypeError", "x is undefined"),
        (2, 5, "step", "LOCATE_ELEMENT", None, "Element not found"),
    ]


def test_vitals_count_pages_in_step_order_and_time_to_interactive_belongs_to_the_result(browser: Tables) -> None:
    table = browser["page_vitals"].sort("page_index", "metric")
    assert rows(table, "page_index", "metric", "page_url", "value") == [
        (-1, "time_to_interactive", None, 812.5),
        (0, "cls", "https://shop.example.com/", 0.02),
        (0, "lcp", "https://shop.example.com/", 700.5),
        (1, "lcp", "https://shop.example.com/code", 90.0),
    ]


def test_bucket_keys_are_artifacts_when_they_are_keys_and_attributes_when_they_are_flags(browser: Tables) -> None:
    assert rows(browser["artifacts"], "artifact_index", "step_index", "kind", "name") == [
        (0, -1, "artifacts", "2/a/artifacts.json"),
        (1, 5, "screenshot", "2/a/step-2.jpeg"),
        (2, 5, "email", "2/a/mail-1"),
        (3, 5, "email", "2/a/mail-2"),
    ]
    told = attributes(browser["results"])
    assert told["thumbnailsBucketKey"] is True
    assert "artifactsBucketKey" not in told
    assert told["device"] == {"id": "chrome.laptop_large", "browser": "chrome", "isMobile": False, "userAgent": "UA"}


def test_browser_durations_are_milliseconds(browser: Tables) -> None:
    assert rows(browser["results"], "duration_ms", "browser", "device") == [(9000.0, "chrome", "Laptop Large")]


def test_browser_version_and_screen_are_columns(browser: Tables) -> None:
    assert rows(browser["results"], "browser_version", "viewport_width", "viewport_height") == [("142.0", 1440, 1100)]


def test_a_count_or_size_that_is_no_whole_number_stays_in_attributes() -> None:
    result = {"stepCountTotal": "four", "errorCount": 1.5, "device": {"width": "wide", "height": 900}}
    table = flatten("browser_result_rows", {"result_id": "1", "result": result})["results"]
    assert rows(table, "step_count", "error_count", "viewport_width", "viewport_height") == [(None, None, None, 900)]
    told = attributes(table)
    assert (told["stepCountTotal"], told["errorCount"], told["device"]) == ("four", 1.5, {"width": "wide"})


def test_the_duration_of_a_step_that_did_not_run_is_no_duration_but_kept(browser: Tables) -> None:
    assert (browser["steps"]["duration_ms"][6], attributes(browser["steps"], 6)["duration"]) == (None, 0)
    assert "duration" not in attributes(browser["steps"], 5)


# --------------------------------------------------------------------------------------------------------- definitions


def test_definitions_are_sighted_with_frequency_places_and_pause() -> None:
    table = flatten("tests", *fixture("tests.json")["tests"], parent_id=None)["sightings"]
    assert rows(table, "test_id", "name", "test_type", "status", "is_paused", "frequency_s", "target_url") == [
        ("abc-def-ghi", "Stock", "api", "live", False, 300.0, "https://api.example.com/v2/stock"),
        ("mob-ile-tst", "App", "mobile", "paused", True, None, None),
    ]
    assert set(table["observed_at"]) == {FETCHED_AT}
    assert json.loads(table["locations"][0]) == ["aws:eu-central-1", "pl:berlin-4f6d"]
    assert attributes(table)["subtype"] == "http"


def test_a_definition_and_its_copy_in_a_result_have_equal_configurations() -> None:
    test = fixture("tests.json")["tests"][0]
    config = {name: value for name, value in reversed(test["config"].items()) if value}
    listed = flatten("tests", test, parent_id=None)["sightings"]["config"][0]
    seen = flatten("api_results", {**API, "check": {"config": config}, "result": {}})["sightings"]["config"][0]
    assert listed == seen


# --------------------------------------------------------------------------------------------------------- every frame


ENDPOINTS = {
    "tests": [*fixture("tests.json")["tests"], {"public_id": "x"}, {"public_id": "y", "config": [], "options": 1}],
    "api_result_rows": [*fixture("api_rows.json")["results"], {"result_id": "1"}, {"result_id": "2", "result": []}],
    "api_results": [
        fixture("api_result_eight_forms.json"),
        fixture("api_result_multistep.json"),
        {"result_id": "1"},
        {"result_id": "2", "result": [], "check": "x"},
        {"result_id": "3", "check": {"config": {"assertions": [None, 1], "steps": 5}}, "result": {"steps": [None, {}]}},
    ],
    "browser_result_rows": [*fixture("browser_rows.json")["results"], {"result_id": "1"}],
    "browser_results": [
        fixture("browser_result_failed.json"),
        {"result_id": "1"},
        {"result_id": "2", "result": {"stepDetails": [None, {}]}, "check": {}},
    ],
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_payload_gives_its_row_however_broken_and_every_frame_fits_the_dictionary(endpoint: str) -> None:
    documents = ENDPOINTS[endpoint]
    tables = flatten(endpoint, *documents)
    entity_table = "sightings" if endpoint == "tests" else "results"
    assert tables[entity_table].height == len(documents)
    for name, frame in tables.items():
        assert "entity_id" in frame.columns
        if name == "drift":
            continue
        known = set(FLATTENED[name].columns) | {"entity_id", "outcome_rank"}
        assert set(frame.columns) <= known, name
        keys = [column for column in FLATTENED[name].model.primary_key() if column in frame.columns]
        if name != "sightings":
            assert frame.select(keys).is_unique().all(), name
        if "attributes" in frame.columns:
            assert all(isinstance(json.loads(text), dict) for text in frame["attributes"].drop_nulls())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_payload_gives_the_same_rows_alone_and_in_a_batch(endpoint: str) -> None:
    together = flatten(endpoint, *ENDPOINTS[endpoint])
    alone = [flatten(endpoint, document) for document in ENDPOINTS[endpoint]]
    for name, frame in together.items():
        apart = pl.concat([tables[name] for tables in alone], how="vertical_relaxed")
        assert sorted(map(repr, frame.rows())) == sorted(map(repr, apart.rows())), name


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_empty_batch_gives_empty_frames(endpoint: str) -> None:
    assert all(frame.is_empty() for frame in flatten(endpoint).values())


# ----------------------------------------------------------------------------------------------------------- recorded


@recorded
def test_recorded_api_result_is_the_worked_example() -> None:
    tables = flatten("api_results", recording("api_result_full_01.json"), parent_id="hwb-332-3xe")
    columns = (
        "result_id",
        "test_id",
        "location",
        "status",
        "outcome",
        "duration_ms",
        "response_time_ms",
        "http_status_code",
    )
    assert rows(tables["results"], *columns) == [
        ("3420446318379485707", "hwb-332-3xe", "aws:us-west-1", "finished", "passed", 52.7, 52.7, 301)
    ]
    assert tables["results"]["started_at"][0] == datetime(2022, 7, 14, 18, 45, 7, 23000, tzinfo=UTC)
    assert rows(tables["assertions"], "source", "operator", "property", "target", "actual", "outcome") == [
        ("responseTime", "lessThan", None, "2000", "52.7", "passed"),
        ("statusCode", "is", None, "301", "301", "passed"),
        ("header", "is", "content-type", "text/html; charset=UTF-8", "text/html; charset=UTF-8", "passed"),
    ]
    assert rows(tables["timings"], "phase", "duration_ms", "phase_raw") == [
        ("dns", 10.9, "dns"),
        ("tcp", 2.4, "tcp"),
        ("tls", 18.0, "ssl"),
        ("first_byte", 21.2, "firstByte"),
        ("download", 0.2, "download"),
        ("total", 52.7, "total"),
    ]
    assert rows(tables["exchanges"], "method", "url", "status_code", "response_bytes") == [("GET", "https://google.com", 301, 220)]
    assert rows(tables["sightings"], "name", "frequency_s") == [("Tesst", 60.0)]


@recorded
@pytest.mark.parametrize("name", ["api_results_list_01.json", "api_results_list_02.json", "doc_get_results_2019.json"])
def test_recorded_list_rows_lose_no_timing_and_no_failed_assertion(name: str) -> None:
    listed = recording(name)["results"]
    tables = flatten("api_result_rows", *listed)
    timings = sum(len(item["result"].get("timings") or {}) for item in listed)
    told = [json.loads(item["result"]["errorMessage"]) for item in listed if item["result"].get("errorMessage")]
    assert tables["results"].height == len(listed)
    assert tables["timings"].height == timings
    assert tables["assertions"].height == sum(len(items) for items in told)
    failed = tables["results"].filter(outcome="failed")
    assert failed.height == len(told)
    assert set(tables["results"]["outcome"]) <= {"passed", "failed"}
    totals = {item["result_id"]: item["result"]["timings"]["total"] for item in listed}
    assert dict(rows(tables["results"], "result_id", "duration_ms")) == totals


@recorded
@pytest.mark.parametrize("name", ["browser_result_full_01.json", "doc_poll_results_v1_browser.json"])
def test_recorded_browser_results_lose_no_step_and_no_vital(name: str) -> None:
    document = recording(name)
    item = document["results"][0] if "results" in document else document
    steps = item["result"]["stepDetails"]
    tables = flatten("browser_results", item)
    assert rows(tables["steps"], "step_index", "step_id", "duration_ms") == [
        (place, str(step["stepId"]), float(step["duration"])) for place, step in enumerate(steps)
    ]
    vitals = sum(len({"lcp", "cls"} & set(page)) for step in steps for page in step.get("vitalsMetrics", []))
    assert tables["page_vitals"].height == vitals + 1
    keys = [step["screenshotBucketKey"] for step in steps if isinstance(step.get("screenshotBucketKey"), str)]
    assert tables["artifacts"].filter(kind="screenshot")["name"].to_list() == keys
    assert tables["results"]["duration_ms"].to_list() == [float(item["result"]["duration"])]


@recorded
def test_recorded_poll_result_and_its_configured_assertion_match_by_place() -> None:
    tables = flatten("api_results", *recording("doc_poll_results_v1_api.json")["results"])
    assert rows(tables["results"], "result_id", "http_status_code") == [("220123456789012345678", 400)]
    assert rows(tables["assertions"], "source", "target", "actual", "outcome") == [("responseTime", "2000", "27.92", "passed")]


@recorded
def test_recorded_definitions_lose_no_test() -> None:
    listed = [test for path in sorted(RECORDED.glob("tests_list_*.json")) for test in recording(path.name)["tests"]]
    listed += [recording(path.name) for path in sorted(RECORDED.glob("*test_get_*.json"))]
    table = flatten("tests", *listed, parent_id=None)["sightings"]
    assert table["test_id"].to_list() == [test["public_id"] for test in listed]
    frequencies = [test["options"].get("tick_every") for test in listed]
    assert table["frequency_s"].to_list() == frequencies
    assert table["config"].null_count() == sum(not test.get("config") for test in listed)
