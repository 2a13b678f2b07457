"""Checkly payloads become the contract's rows: by hand for our fixtures, by independent counts for real payloads."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.providers.checkly import PROVIDER
from pipelines.schemas import FLATTENED
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.transform.expressions import hash_key
from pipelines.transform.validate import conform, split

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures/checkly"
REAL = ROOT.parent / "shared/payloads/checkly"
SESSION = "0d9f2f6e-5a1c-4c57-9d0e-7a3b1f2c4e01"
SEQUENCE = "7be1c9a4-1f0e-4d0a-8f7a-2f6c0a9d5e11"
FETCHED_AT = datetime(2026, 11, 21, 0, 5, tzinfo=UTC)
ID = {"test_session_rows": "id", "test_sessions": "testSessionId", "test_session_results": "testSessionResultId"}

Rows = dict[str, list[dict[str, Any]]]
CONNECTION = duckdb.connect()


def fixture(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return document


def payloads(endpoint: str, documents: list[Any]) -> pl.DataFrame:
    ids = [document.get(ID[endpoint]) or document.get("id") or f"entity-{n}" for n, document in enumerate(documents)]
    parent = SESSION if endpoint == "test_session_results" else None
    return pl.DataFrame(
        {
            "entity_id": ids,
            "parent_id": [parent] * len(ids),
            "fetched_at": [FETCHED_AT] * len(ids),
            "window_date": [FETCHED_AT.date()] * len(ids),
            "payload": [json.dumps(document) for document in documents],
        },
        schema_overrides={"parent_id": pl.String, "fetched_at": pl.Datetime("us", "UTC")},
    )


def flatten(endpoint: str, *documents: Any) -> Rows:
    """Rows by table as the load would get them; what a declared table refuses fails here."""
    declared = PROVIDER.endpoint(endpoint)
    frame = payloads(endpoint, list(documents))
    decoded, rejected = decode(frame, declared.tree, connection=CONNECTION)
    assert rejected.is_empty()
    rows: Rows = {}
    frames = declared.flatten(decoded)
    if not frames["drift"].is_empty():
        rows["drift"] = frames["drift"].to_dicts()
    for name, flattened in frames.items():
        if name == "drift":
            continue
        good, refused = split(conform(flattened, FLATTENED[name]), FLATTENED[name])
        assert refused.is_empty(), (name, refused)
        assert flattened["entity_id"].is_in(frame["entity_id"].implode()).all()
        rows[name] = good.to_dicts()
    return rows


def result(document: Any) -> Rows:
    return flatten("test_session_results", document)


def pick(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- worked example 2: a running session with a failed attempt and its retry -----------------------------------------


def test_a_running_session_is_an_open_run_and_ends_with_its_time_elapsed() -> None:
    (running,) = flatten("test_sessions", fixture("session_running"))["runs"]
    (passed,) = flatten("test_sessions", fixture("session_passed"))["runs"]
    assert (running["status"], running["outcome"], running["is_terminal"]) == ("RUNNING", "running", False)
    assert (passed["status"], passed["outcome"], passed["is_terminal"]) == ("PASSED", "passed", True)
    assert (running["duration_ms"], passed["duration_ms"]) == (9000.0, 182500.5)
    assert passed["started_at"] == at("2026-11-20T23:58:00Z")
    assert (running["ended_at"], passed["ended_at"]) == (None, at("2026-11-21T00:01:02.500Z"))
    assert passed["run_key"] == hash_key(b"checkly", SESSION.encode())
    assert (passed["kind"], passed["environment"], passed["branch"]) == ("test_session", "production", "main")
    assert (passed["commit_sha"], passed["commit_author"]) == ("9f1c2d3", "Ada")
    assert json.loads(passed["attributes"])["github"]["workflow"] == "deploy"
    assert passed["passed_count"] is None


def test_a_session_detail_makes_no_result_rows_but_keeps_what_its_list_says() -> None:
    rows = flatten("test_sessions", fixture("session_passed"))
    assert set(rows) == {"runs"}
    listed = json.loads(rows["runs"][0]["attributes"])["results"]
    assert '"responseTime":412,' in rows["runs"][0]["attributes"]  # as it came, not 412.0
    assert [(each["resultType"], each["status"], each["responseTime"]) for each in listed] == [
        ("ATTEMPT", "FAILED", 412),
        ("FINAL", "PASSED", 412),
    ]


def test_a_list_entry_is_the_same_run_and_says_what_only_it_knows() -> None:
    (row,) = flatten("test_session_rows", fixture("session_row"))["runs"]
    assert row["run_key"] == hash_key(b"checkly", SESSION.encode())
    assert (row["trigger"], row["repo_url"], row["duration_ms"]) == ("GITHUB", "https://github.com/example/shop", None)
    attributes = json.loads(row["attributes"])
    assert attributes["running"] == [SEQUENCE]
    assert (attributes["region"], attributes["invoker"]) == ("eu-west-1", {"name": "Ada"})
    assert json.loads(row["error_group_ids"]) == []


def test_an_attempt_and_its_retry_share_their_execution_and_stay_apart() -> None:
    rows = flatten("test_session_results", fixture("result_request_error"), fixture("result_pending"))["results"]
    assert pick(rows, "outcome", "is_terminal", "attempt", "try_kind") == [
        ("failed", True, 1, "attempt"),
        ("running", False, 1, "pending"),
    ]
    assert {row["execution_id"] for row in rows} == {f"{SESSION}/{SEQUENCE}"}
    assert {row["test_id"] for row in rows} == {"name:checks/shop.check.ts::Open the shop"}
    assert {row["run_key"] for row in rows} == {hash_key(b"checkly", SESSION.encode())}
    assert len({row["result_key"] for row in rows}) == 2


def test_a_final_result_has_its_own_times_and_units() -> None:
    document = fixture("result_final_passed")
    (row,) = result(document)["results"]
    assert (row["outcome"], row["try_kind"], row["is_terminal"]) == ("passed", "final", True)
    assert (row["started_at"], row["ended_at"]) == (at("2026-11-21T00:01:00Z"), at("2026-11-21T00:01:00.450Z"))
    assert (row["duration_ms"], row["response_time_ms"], row["http_status_code"]) == (450.0, 129.0, 200)
    assert (row["test_name"], row["test_type"], row["location"]) == ("Open the shop", "api", "eu-west-1")
    assert (row["trace_id"], row["url"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", document["testSessionResultLink"])
    assert row["result_key"] == hash_key(b"checkly", document["testSessionResultId"].encode(), b"1")
    attributes = json.loads(row["attributes"])
    assert (attributes["resultType"], attributes["attempts"], attributes["sequenceId"]) == ("FINAL", 2, SEQUENCE)
    assert attributes["overMaxResponseTime"] is False


# --- outcomes --------------------------------------------------------------------------------------------------------


RESULT_OUTCOMES: list[tuple[dict[str, Any], str]] = [
    ({"status": "RUNNING", "isCancelled": True}, "running"),
    ({"status": "PASSED", "resultType": "PENDING"}, "running"),
    ({"status": "FAILED", "isCancelled": True, "hasFailures": True}, "cancelled"),
    ({"status": "CANCELLED", "aborted": True}, "cancelled"),
    ({"status": "FAILED", "aborted": True, "hasErrors": True}, "aborted"),
    ({"status": "PASSED", "hasErrors": True}, "failed"),
    ({"status": "PASSED", "hasFailures": True, "isDegraded": True}, "failed"),
    ({"status": "FAILED"}, "failed"),
    ({"status": "PASSED", "isDegraded": True}, "degraded"),
    ({"status": "PASSED", "hasErrors": False, "resultType": "FINAL"}, "passed"),
    ({"status": "PASSED", "resultType": None}, "passed"),
    ({"status": "PAUSED"}, "unknown"),
    ({}, "unknown"),
]


def test_result_outcome_is_the_first_rule_that_matches() -> None:
    documents = [{"testSessionResultId": f"r{n}", **fields} for n, (fields, _) in enumerate(RESULT_OUTCOMES)]
    rows = flatten("test_session_results", *documents)["results"]
    for (fields, expected), row in zip(RESULT_OUTCOMES, rows, strict=True):
        assert (row["outcome"], row["is_terminal"]) == (expected, expected != "running"), fields


SESSION_OUTCOMES = {
    "RUNNING": "running",
    "CANCELLED": "cancelled",
    "FAILED": "failed",
    "PASSED": "passed",
    "NEW": "unknown",
    None: "unknown",
}


@pytest.mark.parametrize("endpoint", ["test_sessions", "test_session_rows"])
def test_session_outcome_is_its_status(endpoint: str) -> None:
    rows = flatten(endpoint, *({ID[endpoint]: f"s-{status}", "status": status} for status in SESSION_OUTCOMES))["runs"]
    assert pick(rows, "status", "outcome") == list(SESSION_OUTCOMES.items())


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"status": "RUNNING"}, "open"),
        ({"status": "PASSED", "resultType": "PENDING"}, "open"),
        ({"status": "PASSED", "resultType": "ATTEMPT"}, "final"),
        ({}, "final"),
    ],
)
def test_a_result_is_open_while_it_runs_or_waits(document: dict[str, Any], expected: str) -> None:
    assert PROVIDER.endpoint("test_session_results").state(document) == expected


@pytest.mark.parametrize(("status", "expected"), [("RUNNING", "open"), ("CANCELLED", "final"), (None, "final")])
def test_a_session_is_open_while_it_runs(status: str | None, expected: str) -> None:
    assert PROVIDER.endpoint("test_sessions").state({"status": status}) == expected


# --- API checks ------------------------------------------------------------------------------------------------------


def test_an_assertion_fails_with_an_error_text_only() -> None:
    rows = result(fixture("result_api_failed"))["assertions"]
    wanted = ("assertion_index", "source", "property", "operator", "target", "actual", "outcome", "error_message")
    assert pick(rows, *wanted) == [
        (0, "STATUS_CODE", None, "EQUALS", "200", "200", "passed", None),
        (1, "JSON_BODY", "$.items[0]", "HAS_VALUE", '{"sku":"K-1"}', "[]", "failed", "Expected [] to have value K-1"),
        (2, "TEXT_BODY", None, "CONTAINS", "kettle", "kettle", "passed", None),
    ]
    assert json.loads(rows[2]["attributes"]) == {"order": 2, "regex": r"\bkettles?\b"}
    assert {row["step_index"] for row in rows} == {-1}


def test_a_request_error_skips_assertions_and_is_one_error() -> None:
    rows = result(fixture("result_request_error"))
    assert [row["outcome"] for row in rows["assertions"]] == ["skipped"] * 3
    assert pick(rows["errors"], "error_index", "origin", "message") == [(0, "request", "connect ECONNREFUSED 203.0.113.9:443")]
    (row,) = rows["results"]
    assert row["http_status_code"] is None
    assert row["failure_message"] == "connect ECONNREFUSED 203.0.113.9:443"
    (exchange,) = rows["exchanges"]
    assert (exchange["status_code"], exchange["response_headers"], exchange["response_body"]) == (None, None, None)


def test_phases_are_durations_and_timings_offsets() -> None:
    rows = result(fixture("result_final_passed"))["timings"]
    assert {(row["phase"], row["duration_ms"], row["offset_ms"]) for row in rows} == {
        ("wait", 0.8, None),
        ("dns", 18.4, None),
        ("tcp", 23.4, None),
        ("first_byte", 86.8, None),
        ("download", 0.3, None),
        ("queue_time", 1.5, None),
        ("total", 129.7, None),
        ("socket", None, 0.8),
        ("lookup", None, 19.2),
        ("connect", None, 42.6),
        ("response", None, 129.4),
        ("end", None, 129.7),
    }
    assert [row["phase"] for row in rows if row["is_total"]] == ["total"]
    assert {row["phase_raw"] for row in rows} >= {"firstByte", "queueTime"}


def test_an_exchange_keeps_request_and_response() -> None:
    (row,) = result(fixture("result_final_passed"))["exchanges"]
    assert (row["method"], row["url"], row["status_code"]) == ("POST", "https://shop.example.com/api/cart?page=2", 200)
    assert json.loads(row["response_headers"])["set-cookie"] == ["a=1", "b=2"]
    assert row["response_body"] == '{"items":[]}'
    assert row["response_bytes"] is None
    assert json.loads(row["attributes"]) == {
        "data": '{"sku":"K-1"}',
        "params": {"page": "2"},
        "statusText": "OK",
        "href": "https://shop.example.com/api/cart",
        "truncated": False,
    }


def test_a_phase_that_is_told_as_duration_and_as_offset_keeps_both() -> None:
    response = {"timings": {"connect": 42.6}, "timingPhases": {"connect": 23.4}}
    rows = result({"id": "r", "apiCheckResult": {"response": response}})
    assert pick(rows["timings"], "phase", "duration_ms", "offset_ms") == [("connect", 23.4, 42.6)]


def test_of_equal_messages_none_loses_what_only_it_says() -> None:
    errors = ["Cart is empty", {"name": "Error", "message": "Cart is empty", "stack": "at shop.ts:3"}]
    rows = result({"id": "r", "multiStepCheckResult": {"errors": errors}})
    assert pick(rows["errors"], "error_index", "name", "message", "stack") == [(0, "Error", "Cart is empty", "at shop.ts:3")]


def test_grouped_job_logs_keep_their_phase_and_order() -> None:
    rows = result(fixture("result_request_error"))["logs"]
    assert pick(rows, "log_index", "phase", "logged_at", "level", "message") == [
        (0, "setup", at("2026-11-20T23:58:05.001Z"), "DEBUG", "Running setup"),
        (1, "request", at("2026-11-20T23:58:35Z"), "ERROR", "connect ECONNREFUSED 203.0.113.9:443"),
    ]


# --- scripted checks -------------------------------------------------------------------------------------------------


def test_browser_vitals_keep_value_score_and_page() -> None:
    rows = result(fixture("result_browser"))["page_vitals"]
    assert {(row["metric"], row["value"], row["score"]) for row in rows} == {
        ("cls", 0.15, "needs_improvement"),
        ("fcp", 800.0, "good"),
        ("lcp", 4200.5, "poor"),
        ("tbt", 600.0, "poor"),
        ("ttfb", 120.0, "good"),
        ("inp", 90.0, "good"),
        ("on_content_load", 410.5, None),
        ("on_load", 902.0, None),
    }
    assert {(row["page_index"], row["page_url"]) for row in rows} == {(0, "https://shop.example.com/")}


def test_browser_leaves_without_a_column_are_attributes() -> None:
    (row,) = result(fixture("result_browser"))["results"]
    attributes = json.loads(row["attributes"])["browserCheckResult"]
    assert attributes["traceSummary"]["consoleErrors"] == 2
    assert (attributes["type"], attributes["runtimeVersion"], attributes["endTime"]) == (
        "playwright",
        "2025.04",
        1795219090200,
    )
    assert attributes["pages"][0]["responseSizes"] == {"document": 5120, "script": 90210}
    assert attributes["pages"][1] == {"url": "https://shop.example.com/cart"}
    assert attributes["errors"] == [None, {"isSoft": True}, None]
    assert attributes["playwrightTestTraces"] == [{"name": "checkout"}]
    assert row["error_count"] == 4


def test_a_page_and_a_file_keep_their_place_among_those_without_attributes() -> None:
    trace = {"name": "chromium", "url": "https://assets.example.com/t.zip", "filename": "t.zip"}
    block = {"pages": [{}, None, {"url": "https://shop.example.com/"}], "playwrightTestTraces": ["https://assets.example.com/a.zip", trace]}
    rows = result({"testSessionResultId": "r", "id": "another", "browserCheckResult": block})
    assert json.loads(rows["results"][0]["attributes"]) == {
        "id": "another",
        "browserCheckResult": {
            "pages": [None, None, {"url": "https://shop.example.com/"}],
            "playwrightTestTraces": [None, {"name": "chromium"}],
        },
    }
    assert pick(rows["artifacts"], "name") == [("a.zip",), ("t.zip",)]


def test_a_result_without_a_block_has_nothing_of_a_block() -> None:
    attributes = json.loads(result(fixture("result_schedule_error"))["results"][0]["attributes"])
    assert {name for name in attributes if name.endswith("CheckResult") or name == "id"} == set()


def test_errors_are_texts_or_objects_and_one_row_per_message() -> None:
    browser = result(fixture("result_browser"))["errors"]
    assert pick(browser, "error_index", "origin", "name", "message") == [
        (0, "browser", None, "TimeoutError: page.click: Timeout 30000ms exceeded"),
        (1, "browser", "Error", "Cart is empty"),
    ]
    assert browser[1]["stack"].endswith("checks/shop.spec.ts:14:9")
    multi_step = result(fixture("result_multi_step"))["errors"]
    assert pick(multi_step, "origin", "message") == [
        ("multi_step", "Error: Payment step failed"),
        ("multi_step", "Cart total differs"),
    ]
    agentic = result(fixture("result_agentic"))["errors"]
    assert pick(agentic[1:3], "name") == [("StepError",), ("TimeoutError",)]
    assert pick(agentic, "origin", "message") == [
        ("agentic", "Request failed: 503"),
        ("agentic", "Step 2 failed"),
        ("agentic", "no answer in 30 s"),
        ("agentic", "no browser"),
        ("agentic", '{"code":7}'),
    ]
    playwright = result(fixture("result_playwright"))["errors"]
    assert pick(playwright, "origin", "name", "message", "stack") == [
        ("playwright", "TimeoutError", "locator.fill: Timeout", "at suite.ts:3")
    ]


def test_artifacts_are_strings_or_objects_and_lose_their_signature() -> None:
    base = "https://assets.example.com/r/"
    rows = result(fixture("result_browser"))["artifacts"]
    assert pick(rows, "artifact_index", "kind", "name", "url") == [
        (0, "video", "video%201.webm", f"{base}video%201.webm"),
        (1, "trace", "trace-1.zip", f"{base}t.zip"),
        (2, "report", "report.json", f"{base}report.json"),
        (3, "file", "assets.zip", f"{base}assets.zip"),
    ]
    rows = result(fixture("result_playwright"))["artifacts"]
    assert ("trace", "chromium-trace.zip", f"{base}chromium-trace.zip") in pick(rows, "kind", "name", "url")
    rows = result(fixture("result_request_error"))["artifacts"]
    assert pick(rows, "kind", "url") == [("file", f"{base}setup.zip"), ("pcap", f"{base}capture.pcap")]


def test_job_logs_are_read_as_list_and_as_text() -> None:
    rows = result(fixture("result_browser"))["logs"]
    assert pick(rows, "log_index", "phase", "level", "message") == [
        (0, None, "INFO", "Starting job"),
        (1, None, "ERROR", "Test failed"),
    ]
    assert rows[1]["logged_at"] == at("2026-11-20T23:58:10Z")
    assert pick(result(fixture("result_playwright"))["logs"], "logged_at", "message") == [(None, "one line of text")]


def test_an_agent_run_has_steps_assertions_files_and_prompt() -> None:
    rows = result(fixture("result_agentic"))
    assert pick(rows["steps"], "step_index", "step_id", "kind", "name", "result_text") == [
        (0, "1", "message", None, "Starting."),
        (1, "2", "tool_call", "http_request", None),
        (2, "3", "tool_result", "http_request", "503 Service Unavailable"),
    ]
    assert rows["steps"][1]["started_at"] == at("2026-11-20T23:58:05.200Z")
    assert json.loads(rows["steps"][1]["attributes"])["input"]["method"] == "GET"
    assert pick(rows["assertions"], "source", "property", "target", "actual", "outcome") == [
        ("agentic", "The page answers with HTTP 200", "200", "503", "failed"),
        ("agentic", 'The heading is "Welcome"', "Welcome", "Welcome", "passed"),
        ("agentic", "The cart is empty", None, None, "unknown"),
    ]
    assert ("file", "screenshots/01.png", None) in pick(rows["artifacts"], "kind", "name", "url")
    attributes = json.loads(rows["results"][0]["attributes"])["agenticCheckResult"]
    assert attributes["prompt"].startswith("Open https://shop.example.com")
    assert attributes["artifactManifest"]["screenshots/02.png"] == "The end"


def test_what_an_agent_suggests_is_a_row_each() -> None:
    rows = result(fixture("result_agentic"))["suggestions"]
    assert pick(rows, "suggestion_index", "category", "summary", "prompt", "prompt_replacement", "secret_names") == [
        (0, "credentials", "Keep the login in a variable", None, "Sign in with {{SHOP_LOGIN}}.", '["SHOP_LOGIN"]')
    ]


# --- protocol checks -------------------------------------------------------------------------------------------------


def test_an_ssl_check_has_its_certificate_whom_it_asked_and_why_it_failed() -> None:
    rows = result(fixture("result_ssl"))
    assert pick(rows["assertions"], "source", "actual", "outcome") == [("CERT_NOT_EXPIRED", "false", "failed")]
    (certificate,) = rows["certificates"]
    assert (certificate["subject_cn"], certificate["issuer_cn"]) == ("expired.example.com", "Example Issuing CA")
    assert certificate["serial_number"] == "354283378085789034651809202654265691"
    assert certificate["valid_to_at"] == at("2026-07-01T00:00:00Z")
    assert (certificate["is_chain_trusted"], certificate["is_hostname_verified"], certificate["handshake_ms"]) == (False, True, 48.2)
    rest = json.loads(certificate["attributes"])
    assert (rest["certificate"]["keySizeBits"], rest["ocspStapled"], rest["chain"][0]["isCA"]) == (256, False, True)
    assert rest["securityBaseline"]["weakCipherSuite"] == {"violated": True, "severity": "fail"}
    assert pick(rows["exchanges"], "host", "port", "resolved_ip", "url", "status_code") == [
        ("expired.example.com", 443, "203.0.113.30", None, None)
    ]
    (row,) = rows["results"]
    assert (row["failure_code"], row["failure_message"]) == ("expired", "The certificate expired on 2026-07-01.")
    assert pick(rows["errors"], "origin", "code", "message") == [("ssl", "expired", "The certificate expired on 2026-07-01.")]
    assert row["resolved_ip"] == "203.0.113.30"
    assert json.loads(row["attributes"])["sslCheckResult"]["baselineGrade"] == "C"


def test_an_ssl_check_without_a_certificate_keeps_what_was_seen() -> None:
    block = {"tlsVersion": "TLS 1.2", "chainTrusted": False, "handshakeTimeMs": 7.5, "failureCategory": "self_signed"}
    rows = result({"id": "r", "sslCheckResult": block})
    assert pick(rows["certificates"], "protocol", "is_chain_trusted", "handshake_ms", "subject_cn", "valid_to_at") == [
        ("TLS 1.2", False, 7.5, None, None)
    ]
    assert pick(rows["errors"], "code", "message") == [("self_signed", "self_signed")]
    assert rows["exchanges"] == []
    assert result({"id": "r", "sslCheckResult": {"requestError": "refused"}})["certificates"] == []


def test_a_grpc_check_is_an_exchange_with_its_code_health_and_phases() -> None:
    rows = result(fixture("result_grpc"))
    assert [row["outcome"] for row in rows["assertions"]] == ["skipped"]
    assert pick(rows["errors"], "origin", "code", "message") == [("request", "14", "connection refused")]
    assert pick(rows["timings"], "phase", "duration_ms", "is_total") == [
        ("dns", 1.2, False),
        ("connect", 16.8, False),
        ("total", 90.0, True),
    ]
    wanted = ("method", "host", "port", "resolved_ip", "grpc_status_code", "grpc_health_status", "response_body")
    assert pick(rows["exchanges"], *wanted) == [
        ("grpc.health.v1.Health/Check", "grpc.example.com", 443, "203.0.113.20", 14, "NOT_SERVING", None)
    ]
    (exchange,) = rows["exchanges"]
    assert json.loads(exchange["response_headers"]) == [{"key": "content-type", "value": "application/grpc"}]
    assert json.loads(exchange["attributes"])["discoveredMethods"] == ["grpc.health.v1.Health/Check"]
    assert json.loads(exchange["attributes"])["request"]["metadata"] == [{"key": "x-client", "value": "probe"}]
    (row,) = rows["results"]
    assert (row["failure_code"], row["failure_message"], row["resolved_ip"]) == ("14", "connection refused", "203.0.113.20")
    assert json.loads(row["attributes"])["grpcCheckResult"]["grpcStatusCode"] == 14


def test_a_grpc_status_of_zero_is_no_failure() -> None:
    block = {"response": {"grpcStatusCode": 0, "grpcStatusMessage": "OK", "healthStatus": 1}}
    rows = result({"id": "r", "status": "PASSED", "grpcCheckResult": block})
    assert pick(rows["results"], "failure_code", "failure_message") == [(None, None)]
    assert rows["errors"] == []
    assert pick(rows["exchanges"], "grpc_status_code", "grpc_health_status") == [(0, "1")]


def test_a_traceroute_has_a_row_per_hop_in_both_spellings() -> None:
    rows = result(fixture("result_traceroute"))
    wanted = ("hop_index", "hop_number", "ip", "host", "asn", "is_reachable", "packet_loss_pct", "rtt_avg_ms", "rtt_min_ms", "rtt_max_ms")
    assert pick(rows["hops"], *wanted) == [
        (0, 1, "198.51.100.1", None, None, True, 0.0, 1.1, None, None),
        (1, 2, "198.51.100.5", "edge.example.net", "64500", True, 50.0, 24.1, 22.0, 31.4),
        (2, 3, "198.51.100.9", None, None, False, 100.0, None, None, None),
    ]
    assert {(row["trace_index"], row["step_index"]) for row in rows["hops"]} == {(0, -1)}
    assert json.loads(rows["hops"][0]["attributes"])["address"] == "198.51.100.1"
    assert pick(rows["pings"], "rtt_avg_ms", "rtt_min_ms", "rtt_max_ms", "packet_loss_pct") == [(24.1, 22.0, 31.4, None)]
    assert pick(rows["assertions"], "source", "actual") == [("HOPS", "3")]
    assert pick(rows["exchanges"], "host", "resolved_ip", "url") == [("shop.example.com", "203.0.113.10", "shop.example.com")]
    assert json.loads(rows["exchanges"][0]["attributes"])["probeProtocol"] == "ICMP"
    (row,) = rows["results"]
    assert (row["failure_code"], row["failure_message"]) == ("max-hops", "max-hops")
    assert pick(rows["errors"], "origin", "code", "message") == [("traceroute", "max-hops", "max-hops")]
    assert json.loads(row["attributes"])["tracerouteCheckResult"]["totalHops"] == 3


def test_a_route_that_was_cut_but_arrived_is_no_failure() -> None:
    block = {"finalHopLatency": {"avgMs": 3.5}, "response": {"destinationReached": True, "truncationReason": "max-hops"}}
    rows = result({"id": "r", "status": "PASSED", "tracerouteCheckResult": block})
    assert pick(rows["results"], "failure_code", "failure_message") == [(None, None)]
    assert pick(rows["pings"], "rtt_avg_ms", "rtt_min_ms") == [(3.5, None)]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("shop.example.com", "shop.example.com"),
        ("https://me@shop.example.com:8443/a?b", "shop.example.com"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
    ],
)
def test_the_host_of_a_probe_is_read_from_what_it_was_asked_for(url: str, host: str) -> None:
    rows = result({"id": "r", "sslCheckResult": {"request": {"url": url}}})
    assert pick(rows["exchanges"], "host", "url") == [(host, url)]


def test_a_check_that_never_started_has_one_schedule_error_and_unknown_times() -> None:
    rows = result(fixture("result_schedule_error"))
    assert pick(rows["errors"], "origin", "message") == [("schedule", "The private location has no agent.")]
    (row,) = rows["results"]
    assert (row["started_at"], row["duration_ms"], row["response_time_ms"]) == (None, None, None)
    assert (row["test_id"], row["private_location_id"]) == ("b1", "77aa0c52-90d4-4a3c-8a51-3d1c2b4a5f60")
    (sighting,) = rows["sightings"]
    assert (sighting["test_id"], sighting["observed_at"], sighting["origin"]) == ("b1", FETCHED_AT, "result")


# --- what is broken --------------------------------------------------------------------------------------------------


BROKEN: list[dict[str, Any]] = [
    {},
    {"apiCheckResult": []},
    {"apiCheckResult": {"assertions": [None, "text", {"target": 3}], "response": "none", "jobLog": 7}},
    {"apiCheckResult": {"response": {"status": 1e300, "timings": [1], "timingPhases": {"dns": "soon", "tcp": -1}}}},
    {"apiCheckResult": {"jobLog": {"setup": "text", "request": [None, 3, {"time": "x", "msg": {"a": 1}}]}}},
    {"browserCheckResult": {"errors": [{"isSoft": 'per"haps', "message": 3}], "jobAssets": [{"name": {"a": 1}, "filename": [2]}]}},
    {"tracerouteCheckResult": {"finalHopLatency": [1], "response": {"hops": ["x", None, {"rtt": 3, "hop": "two"}, {"asn": {"n": 1}}]}}},
    {"grpcCheckResult": {"grpcStatusCode": "OK", "request": "grpc.example.com", "response": {"port": 1e300, "metadata": 5}}},
    {"sslCheckResult": {"handshakeTimeMs": "soon", "response": {"certificate": "PEM", "chain": {"0": 1}}}},
    {"agenticCheckResult": {"suggestions": [3, {"secrets": {"a": 1}}, {"secrets": [{"a": 1}, None]}]}},
    {"browserCheckResult": {"pages": [None, {"webVitals": {"LCP": 5, "CLS": {"value": "x"}}}], "errors": [None, ""]}},
    {"agenticCheckResult": {"steps": ["x", None], "artifactManifest": ["a.png"], "errors": {}}},
    {"sslCheckResult": {"response": {"certificate": {"notAfter": "soon", "sans": "a.example"}}}},
    {"startedAt": "soon", "stoppedAt": "0001-01-01T00:00:00Z", "responseTime": -1, "checkId": "", "name": None},
    {"startedAt": "2026-11-20T10:00:00Z", "stoppedAt": "2026-11-20T09:00:00Z"},
]


def test_a_broken_payload_still_gives_its_result_and_harms_no_other() -> None:
    whole = fixture("result_api_failed")
    broken = [{"id": f"broken-{n}", **document} for n, document in enumerate(BROKEN)]
    rows = flatten("test_session_results", *broken, whole)
    ids = [document["id"] for document in broken]
    assert [row["result_id"] for row in rows["results"]] == [*ids, whole["testSessionResultId"]]
    assert all(row["test_id"] for row in rows["results"])
    assert all(row["test_id"] for row in rows["sightings"])
    for name, table in FLATTENED.items():
        for column in (column for column, declared in table.columns.items() if declared.metadata["sql"] == "JSON"):
            assert all(json.loads(row[column]) is not None for row in rows.get(name, ()) if row[column] is not None)
    own = result(whole)
    key = own["results"][0]["result_key"]
    for name, expected in own.items():
        if name not in ("results", "sightings"):
            assert [row for row in rows[name] if row["result_key"] == key] == expected


def test_what_can_be_read_of_a_broken_payload_is_kept() -> None:
    lines = {"setup": "text", "request": [None, 3, {"time": "x", "msg": {"a": 1}}]}
    rows = result({"id": "broken", "apiCheckResult": {"assertions": [{"target": 3}, "text"], "jobLog": lines}})
    assert pick(rows["assertions"], "target", "outcome") == [("3", "unknown"), (None, "unknown")]
    assert pick(rows["logs"], "phase", "message") == [("setup", "text"), ("request", "3"), ("request", '{"a":1}')]


def test_fixtures_have_no_undocumented_field_but_the_ones_put_there() -> None:
    declared = PROVIDER.endpoint("test_session_results")
    names = [path.stem for path in FIXTURES.glob("result_*.json") if not path.stem.endswith(".rows")]
    frame = payloads("test_session_results", [fixture(name) for name in names])
    decoded, _ = decode(frame, declared.tree, connection=CONNECTION)
    drift = find_drift(frame, decoded, declared.tree, connection=CONNECTION)
    assert set(drift["json_pointer"]) == {
        "/apiCheckResult/response/timingPhases/queueTime",
        "/browserCheckResult/pages/*/webVitals/INP",
        "/agenticCheckResult/errors/*/code",
    }


# --- real payloads ---------------------------------------------------------------------------------------------------

needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real payloads are not beside the repository")


def real_results() -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = []
    for path in sorted(REAL.glob("*Result*.json")):
        read = json.loads(path.read_text())
        rows = read if isinstance(read, list) else [read]
        # The runner's envelope and bare blocks are other shapes; their blocks are the same.
        documents += [{"id": f"{path.stem}-{n}", **row} for n, row in enumerate(rows) if "hasErrors" in row]
    return [{**document, "testSessionResultId": f"real-{n}"} for n, document in enumerate(documents)]


def counted(document: dict[str, Any]) -> Counter[str]:
    """How many children the JSON holds, found without the flatten: by the names of its members."""
    counts: Counter[str] = Counter()

    def walk(value: Any, name: str) -> None:
        if isinstance(value, dict):
            if name in ("timings", "timingPhases"):
                counts["timings"] += len(value)
            for key, child in value.items():
                walk(child, key)
        elif isinstance(value, list):
            if name in ("assertions", "steps", "hops", "suggestions"):
                counts[name] += len(value)
            for child in value:
                walk(child, name)

    for block in document:
        if block.endswith("CheckResult"):
            walk(document[block], block)
    return counts


@needs_real
def test_no_assertion_step_or_timing_of_a_real_payload_is_lost() -> None:
    documents = real_results()
    assert len(documents) >= 20
    rows = flatten("test_session_results", *documents)
    assert len(rows["results"]) == len(documents)
    expected: Counter[str] = Counter()
    for document in documents:
        inner = document.get("grpcCheckResult") or {}
        expected += counted(document)
        # The response repeats the phases of its block.
        expected["timings"] -= len((inner.get("response") or {}).get("timingPhases") or {})
    for name in ("assertions", "steps", "timings", "hops", "suggestions"):
        assert len(rows[name]) == expected[name], name
    assert expected["assertions"] > 20
    assert expected["timings"] > 100


@needs_real
def test_real_durations_are_milliseconds() -> None:
    documents = [document for document in real_results() if (document.get("apiCheckResult") or {}).get("response")]
    rows = flatten("test_session_results", *documents)
    total = {row["result_key"]: row["duration_ms"] for row in rows["timings"] if row["is_total"]}
    measured = [row for row in rows["results"] if row["result_key"] in total]
    assert len(measured) >= 10
    for row in measured:
        assert total[row["result_key"]] == pytest.approx(row["response_time_ms"], abs=1.5)
        assert row["duration_ms"] == pytest.approx(row["response_time_ms"], abs=1500)


@needs_real
def test_real_sessions_become_runs() -> None:
    sessions = [json.loads((REAL / f"cli_ts{n}_testSession.json").read_text()) for n in (1, 2)]
    rows = [flatten("test_sessions", session)["runs"][0] for session in sessions]
    assert pick(rows, "outcome", "duration_ms", "environment") == [("failed", 123456.0, "production")] * 2
    entries = json.loads((REAL / "cli_ts3_listResponse.json").read_text())["entries"]
    assert [row["trigger"] for row in flatten("test_session_rows", *entries)["runs"]] == ["API"]
