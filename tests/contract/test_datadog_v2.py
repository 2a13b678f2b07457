"""What reading Datadog's results by v2 promises: every table as by v1, one detail per result whatever the setting, nothing secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from datadog_api_client.model_utils import ModelNormal
from datadog_api_client.v2.model.synthetics_test_result_response import SyntheticsTestResultResponse
from datadog_api_client.v2.model.synthetics_test_result_summary_data import SyntheticsTestResultSummaryData

from pipelines.errors import DeferredError, GoneError, RefusedError
from pipelines.flows.load import flatten as flattened
from pipelines.jsontext import dump, parse
from pipelines.lake.redact import Redactor
from pipelines.providers.datadog import PROVIDER, sandbox
from pipelines.providers.datadog.crawling import kind_of, v2_state
from pipelines.providers.datadog.details import v2_row_failed
from pipelines.providers.spec import Known, Missed, Payload
from pipelines.sandbox.server import SandboxServer
from pipelines.sandbox.world import World
from pipelines.schemas.leaves import Free, Headers
from pipelines.transform.decode import decode
from tests.contract.test_datadog_discover import API, BROWSER, HOUR_MS, NOW, NOW_MS, FakeApi, FakeHistory, covered, crawl, ids, row
from tests.support.house import House

FIXTURES = Path(__file__).parents[1] / "fixtures/datadog"
FETCHED_AT = datetime(2026, 11, 22, tzinfo=UTC)
NETWORK, MULTI = "nnn-nnn-nnn", "mmm-mmm-mmm"
TESTS = [
    {"public_id": API, "type": "api", "subtype": "http"},
    {"public_id": BROWSER, "type": "browser"},
    {"public_id": MULTI, "type": "api", "subtype": "multi"},
    {"public_id": NETWORK, "type": "network", "subtype": "tcp"},
]
OFF, MISSING, ALL = ({"RESULTHOUSE_DATADOG_V2": mode} for mode in ("off", "missing", "all"))
Row = dict[str, Any]
Tables = Mapping[str, pl.DataFrame]


def fixture(name: str) -> Row:
    document: Row = json.loads((FIXTURES / name).read_text())
    return document


def tables(endpoint: str, *documents: Row, parent_id: str = "par-ent-tst") -> Tables:
    """Documents masked, decoded, flattened and validated: every row must be good."""
    spec = PROVIDER.endpoint(endpoint)
    redactor = Redactor(b"k" * 32)
    payloads = pl.DataFrame(
        {
            "entity_id": [str(item.get("data", item).get("id")) for item in documents],
            "parent_id": [parent_id] * len(documents),
            "fetched_at": [FETCHED_AT] * len(documents),
            "window_date": [FETCHED_AT.date()] * len(documents),
            "payload": [dump(redactor.redact(parse(json.dumps(item).encode())[0], spec.tree)) for item in documents],
        }
    )
    decoded, rejected = decode(payloads, spec.tree, connection=duckdb.connect())
    good, rejects = flattened(spec, decoded)
    assert rejected.is_empty()
    assert rejects.rows() == []
    return good


@cache
def result(name: str) -> Tables:
    """The tables of one full result."""
    return tables("v2_results", fixture(name))


def rows(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(columns).rows()


def attributes(frame: pl.DataFrame, place: int = 0) -> Row:
    values: Row = json.loads(frame["attributes"][place])
    return values


def detail(result_id: str, **result: Any) -> Row:
    told = {"id": result_id, "started_at": 1764000000000, "finished_at": 1764000001000, **result}
    return {"data": {"id": result_id, "type": "result", "attributes": {"test_type": "api", "result": told}}}


# ------------------------------------------------------------------------------------------------------------ outcomes


OUTCOMES: dict[str, tuple[Row, str]] = {
    "passed wins": ({"status": "passed", "failure": {"code": "DNS"}}, "passed"),
    "failed": ({"status": "failed"}, "failed"),
    "no data": ({"status": "no_data"}, "unknown"),
    "no data for a reason": ({"status": "no_data", "failure": {"code": "DNS"}}, "failed"),
    "a new word": ({"status": "paused"}, "unknown"),
    "a failure": ({"failure": {"message": "late"}}, "failed"),
    "an invalid assertion": ({"assertions": [{"valid": True}, {"valid": False}]}, "failed"),
    "ended": ({}, "unknown"),
    "not ended": ({"finished_at": None}, "running"),
}


def test_the_status_decides_the_outcome_then_the_failure_then_the_assertions() -> None:
    documents = [detail(name, **told) for name, (told, _) in OUTCOMES.items()]
    found = rows(tables("v2_results", *documents)["results"], "result_id", "outcome", "is_terminal")
    assert found == [(name, outcome, outcome != "running") for name, (_, outcome) in OUTCOMES.items()]
    assert [v2_state(document) for document in documents] == ["final"] * 8 + ["open"]


def test_a_list_row_becomes_a_result_with_its_counts_timings_and_error() -> None:
    good = tables("v2_result_rows", *fixture("v2_rows.json")["data"])
    assert rows(
        good["results"], "result_id", "test_id", "test_type", "status", "outcome", "duration_ms", "response_time_ms", "trigger"
    ) == [
        ("7001", "mob-ile-tst", "mobile", "failed", "failed", 9500.0, None, "scheduled"),
        ("7002", "net-wrk-tst", "network", "passed", "passed", 61.5, None, "fast"),
    ]
    columns = ("device", "os", "viewport_width", "viewport_height", "step_count", "step_completed_count", "error_count", "failure_message")
    assert rows(good["results"], *columns)[0] == ("iPhone 16", "ios", 1179, 2556, 3, 1, 1, "Element not found")
    assert rows(good["results"], "location", "private_location_id")[1] == ("pl:berlin-4f6d", "pl:berlin-4f6d")
    assert rows(good["timings"], "phase", "duration_ms", "is_total") == [("tcp", 40.5, False), ("total", 61.5, True)]
    assert rows(good["errors"], "origin", "message") == [("error", "Element not found")]
    assert attributes(good["results"])["execution_info"] == {"duration": {"has_duration": True}, "is_fast_retry": False, "tunnel": False}


def test_a_duration_that_was_not_recorded_is_no_duration_of_0() -> None:
    info = {"duration": {"has_duration": False, "value": 0}}
    document = {"id": "1", "attributes": {"test_type": "api", "status": "failed", "started_at": 1764000000000, "execution_info": info}}
    assert rows(tables("v2_result_rows", document)["results"], "duration_ms", "response_time_ms") == [(None, None)]


# --------------------------------------------------------------------------------------------------------- multi-step


def test_a_multistep_result_has_its_steps_with_their_retries_below_them() -> None:
    good = result("v2_multistep.json")
    columns = ("step_index", "parent_step_index", "step_id", "name", "kind", "outcome", "duration_ms", "error_message")
    assert rows(good["steps"], *columns) == [
        (0, None, "s-1", "Basket", "http", "passed", 700.5, None),
        (1, 0, "s-1", "Basket", "http", "failed", 300.0, "too late"),
        (2, None, "s-2", "Pay", "http", "failed", None, "Pay failed"),
        (3, None, "s-3", "Ask", "mcp", "skipped", None, None),
    ]
    assert attributes(good["steps"])["retry_count"] == 1
    assert attributes(good["steps"])["response"]["body"] == '{"ok":true}'
    retry = attributes(good["steps"], 1)
    assert (retry["retry"], retry["retries"]) == (0, [{"id": "s-1", "status": "failed"}])
    assert rows(good["timings"].filter(pl.col("step_index") == 0), "phase", "duration_ms", "phase_raw") == [
        ("dns", 10.5, "dns"), ("tls", 20.0, "ssl"), ("first_byte", 670.0, "firstByte"), ("total", 700.5, "total"),
    ]  # fmt: skip


def test_assertions_of_steps_tell_path_inner_operator_and_verdict() -> None:
    good = result("v2_multistep.json")
    columns = ("assertion_index", "step_index", "source", "property", "operator", "target", "actual", "outcome", "error_message")
    assert rows(good["assertions"], *columns) == [
        (0, 0, "statusCode", None, "is", "201", "201", "passed", None),
        (1, 2, "body", "$.paid", "is", "true", "false", "failed", "not paid"),
        (2, 3, "mcpToolCount", None, "moreThan", "3", None, "unknown", None),
    ]
    assert attributes(good["assertions"], 1) == {"operator": "validatesJSONPath", "expected": "true"}
    assert attributes(good["assertions"], 2) == {"list": "http_results"}


def test_an_error_told_by_the_result_and_by_a_step_in_the_same_words_is_told_at_the_step() -> None:
    good = result("v2_multistep.json")
    assert rows(good["errors"], "step_index", "origin", "code", "message") == [
        (1, "step", "TIMEOUT", "too late"),
        (2, "step", "INCORRECT_ASSERTION", "Pay failed"),
    ]


def test_a_retry_of_a_ci_batch_belongs_to_its_execution_and_to_a_run_with_its_commit() -> None:
    good = result("v2_multistep.json")
    columns = ("execution_id", "initial_result_id", "run_id", "trigger", "duration_ms", "response_time_ms", "failure_code", "test_id")
    assert rows(good["results"], *columns) == [("9000", "9000", "batch-1", "ci", 2400.5, 2399.5, "INCORRECT_ASSERTION", "mul-tis-tep")]
    columns = ("run_id", "kind", "name", "trigger", "branch", "commit_sha", "commit_author", "commit_message", "repo_url", "url")
    assert rows(good["runs"], *columns) == [
        ("batch-1", "ci_batch", "storefront", "github", "main", "abc123", "Amara", "Taxes", "https://git.example.com/shop.git",
         "https://ci.example.com/12"),
    ]  # fmt: skip
    assert good["runs"]["run_key"].to_list() == good["results"]["run_key"].to_list()
    told = attributes(good["results"])
    assert told["git"]["commit"]["author"]["email"] == "amara@example.com"
    assert told["ci"]["stage"] == {"name": "e2e"}
    assert told["result"]["failure"] == {"internal_code": "X1", "internal_message": "inner"}


def test_the_included_test_is_a_sighting_and_any_other_resource_stays_with_the_result() -> None:
    good = result("v2_multistep.json")
    columns = ("test_id", "origin", "name", "test_type", "is_paused", "frequency_s", "locations", "tags", "observed_at")
    assert rows(good["sightings"], *columns) == [
        ("mul-tis-tep", "result", "Buy in three calls", "api", False, 900.0, '["aws:eu-central-1"]', '["env:prod"]',
         datetime.fromtimestamp(1764000000, UTC)),
    ]  # fmt: skip
    config = json.loads(good["sightings"]["config"][0])
    assert config["steps"][0]["request"]["basicAuth"]["username"] == "u"
    assert attributes(good["results"])["included"] == [{"id": "u-1", "type": "user", "attributes": {"name": "Amara"}}]


# ------------------------------------------------------------------------------------------------------------- browser


def test_a_browser_result_names_device_browser_and_place_and_keeps_the_rest() -> None:
    good = result("v2_browser.json")
    columns = ("device", "browser", "browser_version", "os", "viewport_width", "viewport_height", "location", "private_location_id")
    assert rows(good["results"], *columns) == [("Laptop Large", "chrome", "142.0", "linux", 1440, 1100, "pl:berlin-1", "pl:berlin-1")]
    told = attributes(good["results"])
    assert told["device"] == {
        "browser": {"user_agent": "Mozilla/5.0"}, "id": "chrome.laptop_large", "platform": {"version": "6.8"},
        "resolution": {"pixel_ratio": 1.5}, "type": "laptop",
    }  # fmt: skip
    assert told["result"]["bucket_keys"] == {"screenshot": True}
    assert rows(good["results"], "response_time_ms", "ended_at") == [(None, datetime.fromtimestamp(1764000005, UTC))]


def test_sub_steps_hang_below_the_step_that_played_them_and_turns_follow_the_steps() -> None:
    steps = result("v2_browser.json")["steps"]
    assert rows(steps, "step_index", "parent_step_index", "name", "kind", "outcome", "result_text", "duration_ms") == [
        (0, None, "Log in", "playSubTest", "passed", None, 900.0),
        (1, 0, "Type the code", "typeText", "passed", None, 300.0),
        (2, None, "Open", "click", "passed", None, None),  # names another parent than the step before it
        (3, None, "Total", "assertElementContent", "failed", None, None),
        (4, None, "Find boots", "turn", "passed", "The search box is there.", 1000.0),
        (5, 4, None, "turn_step", "unknown", None, None),
    ]
    assert attributes(steps, 3)["description"] == 'Test "Total"'
    assert attributes(steps, 1)["sub_step"]["parent_test"] == {"id": "log-ini-ned"}


def test_files_vitals_browser_errors_and_checks_of_steps_become_rows() -> None:
    good = result("v2_browser.json")
    assert rows(good["artifacts"], "artifact_index", "step_index", "kind", "name") == [
        (0, -1, "artifacts", "a/artifacts"),
        (1, 1, "email", "a/2/mail-1"),
        (2, 1, "email", "a/2/mail-2"),
        (3, 1, "screenshot", "a/2/screenshot"),
        (4, 4, "after_turn_screenshot", "a/t0/after"),
        (5, 5, "before_step_screenshot", "a/t0/s0/before"),
    ]
    assert sorted(rows(good["page_vitals"], "page_index", "metric", "value")) == [
        (-1, "time_to_interactive", 1200.0), (0, "cls", 0.01), (0, "lcp", 812.5), (0, "ttfb", 90.0),
    ]  # fmt: skip
    assert rows(good["errors"], "step_index", "origin", "code", "name", "message") == [
        (1, "browser", "404", "404", "GET /boots.jpg"),
        (1, "browser", "js", "TypeError", "x is undefined"),
        (3, "step", None, None, "found 0"),
    ]
    assert rows(good["assertions"], "step_index", "source", "outcome") == [(3, "equals", "failed")]


# ---------------------------------------------------------------------------------------------------------- the wire


def test_a_network_result_has_hops_pings_names_exchanges_and_the_certificate() -> None:
    good = result("v2_wire.json")
    columns = ("trace_index", "hop_index", "hop_number", "host", "ip", "is_reachable", "received_count", "packet_loss_pct", "rtt_avg_ms")
    assert rows(good["hops"], *columns) == [
        (0, 0, None, "gw.example.net", "10.0.0.1", True, 3, 25.0, 2.0),
        (0, 1, None, "shop.example.com", "203.0.113.10", False, 0, None, None),
        (1, 0, 1, "a", "10.0.0.1", True, None, None, 1.5),
        (1, 1, 2, None, "10.0.0.2", False, None, None, None),
    ]
    assert rows(
        good["pings"], "ping_index", "sent_count", "received_count", "packet_loss_pct", "rtt_avg_ms", "rtt_max_ms", "jitter_ms"
    ) == [
        (0, 10, 9, 10.0, 6.0, 7.0, 0.5),
        (1, 4, 4, None, 6.5, None, None),
    ]
    assert rows(good["dns_records"], "record_index", "kind", "server", "name", "record_type", "value") == [
        (0, "attempt", "8.8.8.8", None, None, None),
        (1, "attempt", "8.8.4.4", None, None, None),
        (2, "answer", "8.8.4.4", "shop.example.com", "A", '["203.0.113.10","203.0.113.11"]'),
        (3, "answer", "8.8.4.4", "shop.example.com", "CNAME", "cdn.example.net"),
    ]
    assert rows(good["exchanges"], "exchange_index", "method", "url", "host", "port", "status_code", "resolved_ip") == [
        (0, None, "shop.example.com", "shop.example.com", None, None, "203.0.113.10"),
        (1, "GET", "wss://live.example.com", None, 443, 101, "203.0.113.10"),
    ]
    assert attributes(good["exchanges"])["request"] == {"dns_server": "8.8.4.4", "port": "{{ PORT }}", "timeout": 20000}
    assert rows(good["certificates"], "subject_cn", "issuer_cn", "valid_to_at", "alt_names") == [
        ("shop.example.com", "Trust", datetime.fromtimestamp(1790000000, UTC), '["shop.example.com","www.shop.example.com"]'),
    ]
    assert rows(good["results"], "status", "outcome", "dns_server", "resolved_ip") == [("no_data", "unknown", "8.8.4.4", "203.0.113.10")]
    assert attributes(good["results"])["result"]["netpath"]["pathtrace_id"] == "p-1"


def test_a_network_path_alone_is_the_first_trace() -> None:
    hops = result("v2_result_network.json")["hops"]
    assert rows(hops, "trace_index", "hop_index", "host") == [(0, 0, "gw.example.net"), (0, 1, "shop.example.com")]


def test_typed_values_variables_headers_credentials_and_compressed_parts_are_masked() -> None:
    documents = [fixture(name) for name in ("v2_multistep.json", "v2_browser.json", "v2_wire.json")]
    text = "".join(frame.write_json() for frame in tables("v2_results", *documents).values())
    planted = (
        "variable-value", "extracted-value", "bearer", "password", "typed-value", "expected-value", "actual-value", "turn-value",
        "preview-token", "compressed-steps", "cookie",
    )  # fmt: skip
    source = json.dumps(documents)
    assert [name for name in planted if f"fixture-{name}" not in source] == []
    assert "fixture-" not in text


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("mode", ["", "off", "missing", "all", "ALL"])
def test_the_three_words_of_the_setting_are_usable(mode: str) -> None:
    assert PROVIDER.check_settings({"RESULTHOUSE_DATADOG_V2": mode}) is None


def test_another_word_is_a_settings_error_that_names_the_setting() -> None:
    assert PROVIDER.check_settings({"RESULTHOUSE_DATADOG_V2": "yes"}) == "Datadog: RESULTHOUSE_DATADOG_V2 must be one of off, missing, all."


@pytest.mark.parametrize(
    ("mode", "by_v2"),
    [("off", []), ("missing", [MULTI, NETWORK]), ("all", [API, BROWSER, MULTI, NETWORK])],
)
def test_the_setting_says_which_tests_v2_reads(mode: str, by_v2: list[str]) -> None:
    assert [test["public_id"] for test in TESTS if (kind := kind_of(test, mode)) is not None and kind.is_v2] == by_v2
    assert (kind_of(TESTS[3], mode) is None) == (mode == "off")


# --------------------------------------------------------------------------------------------------------------- crawl


class FakeApis(FakeApi):
    """v1 as in `FakeApi`, and v2 over the same rows, newest first: `v2_page_rows` of those whose `bound` is in the window."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], tests: Sequence[Row] = TESTS) -> None:
        super().__init__(rows, tests)
        self.v2_page_rows = 40
        self.bound = "started_at"
        self.answer = self._by_path

    def _by_path(self, path: str, query: dict[str, str]) -> Any:
        if "/v2/" not in path:
            return self._answer(path, query)
        public_id, *result = [part for part in path.split("/tests/")[1].split("/") if part not in ("browser", "results")]
        found = [self.v2_row(item, public_id) for item in self.rows[public_id]]
        if result:
            (told,) = [item for item in found if item["id"] == result[0]]
            told = {**told, "attributes": {"result": {"id": told["id"], **told["attributes"]}}}
            return {"data": told, "included": []}
        low, high = int(query["from_ts"]), int(query["to_ts"])
        return {"data": [item for item in found if low <= item["attributes"][self.bound] <= high][: self.v2_page_rows], "included": []}

    @staticmethod
    def v2_row(item: Row, public_id: str) -> Row:
        times = {"started_at": item["check_time"], "finished_at": item["check_time"] + item.get("took_ms", 400)}
        status = {True: "passed", False: "failed"}.get(item["result"].get("passed"))
        told = {**times, "status": status} if status else {"started_at": item["check_time"]}
        return {"id": item["result_id"], "attributes": told, "relationships": {"test": {"data": {"id": public_id}}}}


def payloads(events: Sequence[Any]) -> set[tuple[str, str, str | None]]:
    return {
        (event.endpoint, event.entity_id, event.parent_id) for event in events if isinstance(event, Payload) and event.endpoint != "tests"
    }


def apis(**more: Any) -> FakeApis:
    return FakeApis({test["public_id"]: [row(f"{number}", NOW_MS - HOUR_MS)] for number, test in enumerate(TESTS)}, **more)


def test_without_the_setting_nothing_is_asked_of_v2_and_tests_that_only_it_has_are_left_out() -> None:
    by_default, off = apis(), apis()
    events = crawl(by_default, concurrency=1)
    assert crawl(off, settings=OFF, concurrency=1) == events
    assert by_default.requests == off.requests
    assert not [path for path, _, _ in by_default.requests if "/v2/" in path or NETWORK in path]
    assert len(ids(events, "tests")) == 4
    assert len(payloads(events)) == 6


def test_missing_reads_multistep_and_network_tests_by_v2_and_the_others_by_v1() -> None:
    events = crawl(apis(), settings=MISSING)
    assert payloads(events) == {
        ("api_result_rows", "0", API), ("api_results", "0", API),
        ("browser_result_rows", "1", BROWSER), ("browser_results", "1", BROWSER),
        ("v2_result_rows", "2", MULTI), ("v2_results", "2", MULTI),
        ("v2_result_rows", "3", NETWORK), ("v2_results", "3", NETWORK),
    }  # fmt: skip
    assert {scope for scope, _, _ in covered(events)} == {API, BROWSER, MULTI, NETWORK}


def test_all_reads_every_test_by_v2_browser_tests_at_their_own_address() -> None:
    api = apis()
    events = crawl(api, settings=ALL)
    assert payloads(events) == {
        (endpoint, str(number), test["public_id"]) for number, test in enumerate(TESTS) for endpoint in ("v2_result_rows", "v2_results")
    }
    paths = {path for path, _, kind in api.requests if kind != "tests"}
    assert f"/api/v2/synthetics/tests/browser/{BROWSER}/results" in paths
    assert all(path.startswith("/api/v2/") for path in paths)
    assert [event.event_at for event in events if isinstance(event, Payload) and event.endpoint == "v2_results"] == [
        NOW - timedelta(hours=1)
    ] * 4


@pytest.mark.parametrize("bound", ["started_at", "finished_at"])
@pytest.mark.parametrize("took_ms", [0, 400, 90_000])
def test_pages_of_v2_are_read_backwards_to_the_end_whichever_time_they_are_bounded_by(bound: str, took_ms: int) -> None:
    listed = [{**row(str(number), NOW_MS - 120_000 - number * 777), "took_ms": took_ms} for number in range(500)]
    api = FakeApis({NETWORK: listed}, TESTS[3:])
    api.bound, api.v2_page_rows = bound, 130
    since = NOW - timedelta(hours=2)
    events = crawl(api, since=since, settings=MISSING)
    assert sorted(ids(events, "v2_result_rows"), key=int) == [str(number) for number in range(500)]
    assert covered(events) == [(NETWORK, since, NOW)]
    assert len(ids(events, "v2_results")) == 500


def test_more_than_a_v2_page_in_one_second_is_a_gap_and_all_around_it_is_read() -> None:
    crowd = [{**row(str(number), NOW_MS - HOUR_MS + number), "took_ms": 0} for number in range(200)]
    around = [{**row(f"o{number}", NOW_MS - HOUR_MS + 10_000 * number), "took_ms": 0} for number in range(-70, 70) if number]
    api = FakeApis({NETWORK: [*crowd, *around]}, TESTS[3:])
    api.v2_page_rows = 60
    events = crawl(api, since=NOW - timedelta(hours=2), settings=MISSING)
    assert {item["result_id"] for item in around} <= set(ids(events, "v2_result_rows"))
    (missed,) = [event for event in events if isinstance(event, Missed)]
    assert (missed.parent_id, missed.event_at, getattr(missed.error, "rule", "")) == (NETWORK, NOW - timedelta(hours=1), "crowded")
    assert covered(events) == [(NETWORK, NOW - timedelta(hours=2), NOW)]


def test_a_v2_crowd_at_the_lower_end_of_a_window_ends_it_and_one_that_never_ends_is_left() -> None:
    api = FakeApis({NETWORK: [{**row(str(number), NOW_MS - HOUR_MS), "took_ms": 0} for number in range(70)]}, TESTS[3:])
    api.v2_page_rows = 60
    events = crawl(api, since=NOW - timedelta(hours=1), settings=MISSING)
    assert covered(events) == [(NETWORK, NOW - timedelta(hours=1), NOW)]
    answer = api.answer
    api.answer = lambda path, query: answer(path, {**query, "from_ts": "0", "to_ts": str(NOW_MS)} if "from_ts" in query else query)
    events = crawl(api, since=NOW - timedelta(hours=2), settings=MISSING)
    assert ["round in circles" in str(event.error) for event in events if isinstance(event, Missed)] == [True]
    assert covered(events) == []


def test_a_v2_row_without_an_id_is_told_and_a_list_without_end_is_left_at_the_page_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.providers.datadog.paging_v2.MAX_PAGES", 5)
    api = FakeApis({NETWORK: [row(str(number), NOW_MS - number * 60_000) for number in range(1, 100)]}, TESTS[3:])
    api.v2_page_rows = 10
    answer = api.answer

    def without_id(path: str, query: dict[str, str]) -> Any:
        told = answer(path, query)
        for item in told["data"][:1] if "from_ts" in query else []:
            item["id"] = None
        return told

    api.answer = without_id
    events = crawl(api, since=NOW - timedelta(hours=2), settings=MISSING)
    kinds = [type(event.error) for event in events if isinstance(event, Missed) and event.endpoint == "v2_result_rows"]
    assert kinds == [RefusedError] * 5 + [DeferredError]
    assert len(ids(events, "v2_result_rows")) > 30
    assert covered(events) == []


def test_a_v2_list_that_ignores_its_bounds_ends() -> None:
    api = FakeApis({NETWORK: [row(str(number), NOW_MS - number * 60_000) for number in range(30)]}, TESTS[3:])
    answer = api.answer
    api.answer = lambda path, query: answer(path, {**query, "from_ts": "0", "to_ts": str(NOW_MS)} if "from_ts" in query else query)
    events = crawl(api, since=NOW - timedelta(minutes=9, seconds=30), settings=MISSING)
    assert sorted(ids(events, "v2_result_rows"), key=int) == [str(number) for number in range(10)]


@pytest.mark.parametrize("answer", [[], {"data": {}}, {"results": []}, {"data": [1]}])
def test_a_v2_answer_of_another_shape_is_refused_and_covers_nothing(answer: Any) -> None:
    api = FakeApis({NETWORK: []}, TESTS[3:])
    listed = api.answer
    api.answer = lambda path, query: listed(path, query) if path.endswith("/tests") else answer
    events = crawl(api, since=NOW - timedelta(hours=1), settings=MISSING)
    assert [type(event.error) for event in events if isinstance(event, Missed)] == [RefusedError]
    assert covered(events) == []


def test_the_v2_answer_to_another_result_is_refused() -> None:
    api = FakeApis({NETWORK: [row("1", NOW_MS - HOUR_MS)]}, TESTS[3:])
    answer = api.answer
    api.answer = lambda path, query: {"data": {"id": "2"}} if path.endswith("/1") else answer(path, query)
    events = crawl(api, settings=MISSING)
    assert [type(event.error) for event in events if isinstance(event, Missed)] == [RefusedError]


def test_v2_details_go_failed_first_and_wait_for_what_still_runs() -> None:
    listed = [
        row("running", NOW_MS - 1000, passed=None),
        row("newest", NOW_MS - HOUR_MS),
        row("failed", NOW_MS - 9 * HOUR_MS, passed=False),
    ]
    events = crawl(FakeApis({NETWORK: listed}, TESTS[3:]), settings=MISSING, concurrency=1)
    assert ids(events, "v2_results") == ["failed", "newest"]
    assert sorted(ids(events, "v2_result_rows")) == ["failed", "newest", "running"]
    only_failed = crawl(FakeApis({NETWORK: listed}, TESTS[3:]), settings={**MISSING, "RESULTHOUSE_DATADOG_DETAIL": "failed"})
    assert ids(only_failed, "v2_results") == ["failed"]


@pytest.mark.parametrize(
    ("told", "has_failed"),
    [
        ({"status": "failed"}, True),
        ({"status": "passed", "execution_info": {"error_message": "allowed"}}, False),
        ({"status": "no_data", "execution_info": {"error_message": "no probe"}}, True),
        ({"status": "no_data"}, False),
    ],
)
def test_a_v2_row_has_failed_when_it_says_so_or_names_an_error_without_having_passed(told: Row, has_failed: bool) -> None:
    assert v2_row_failed({"attributes": told}) == has_failed


# ----------------------------------------------------------------------------------------- from one setting to another


def landed(events: Iterable[Any], history: FakeHistory) -> FakeHistory:
    """The history after these events."""
    for event in events:
        if isinstance(event, Payload) and event.endpoint != "tests":
            is_open = PROVIDER.endpoint(event.endpoint).state(event.document) == "open"
            history.add(event.endpoint, event.entity_id, event.event_at or NOW, is_open=is_open)
    return history


@pytest.mark.parametrize(("first", "then"), [(OFF, ALL), (ALL, OFF), (MISSING, ALL), (ALL, MISSING), (OFF, MISSING)])
def test_switching_gives_no_result_a_second_row_or_detail(first: Row, then: Row) -> None:
    tests = TESTS[:3]
    before = crawl(apis(tests=tests), settings=first)
    assert len(payloads(before)) == 6
    assert payloads(crawl(apis(tests=tests), landed(before, FakeHistory()), settings=then)) <= payloads(before)


def test_a_row_without_a_detail_gets_one_after_the_switch_and_only_one() -> None:
    history = FakeHistory()
    history.add("api_result_rows", "0", NOW - timedelta(hours=1))
    events = crawl(apis(tests=TESTS[:1]), history, settings=ALL)
    assert payloads(events) == {("v2_results", "0", API)}


def test_a_result_that_was_running_before_the_switch_is_finished_by_the_other_api() -> None:
    history = FakeHistory()
    history.add("api_result_rows", "0", NOW - timedelta(hours=1), is_open=True, due=True)
    events = crawl(apis(tests=TESTS[:1]), history, settings=ALL)
    assert payloads(events) == {("v2_result_rows", "0", API), ("v2_results", "0", API)}


def test_a_due_v2_detail_is_fetched_again_and_given_up_when_v2_is_off() -> None:
    history = FakeHistory()
    history.add("v2_result_rows", "0", NOW - timedelta(days=3))
    history.add("v2_results", "0", NOW - timedelta(days=3), is_open=True, due=True)
    history.covered["v2_result_rows", API] = NOW
    listed = {API: [row("0", NOW_MS - 72 * HOUR_MS)]}
    assert payloads(crawl(FakeApis(listed, TESTS[:1]), history, settings=ALL)) == {("v2_results", "0", API)}
    api = FakeApis(listed, TESTS[:1])
    crawl(api, history, settings=OFF)
    assert not [path for path, _, _ in api.requests if "/v2/" in path]


def test_a_v1_detail_that_was_missed_is_not_fetched_once_v2_has_it() -> None:
    history = FakeHistory()
    history.to_fetch["api_results"] = [Known("api_results", "0", API, "open", NOW, None, None)]
    history.add("v2_results", "0", NOW - timedelta(hours=1))
    assert payloads(crawl(apis(tests=TESTS[:1]), history, settings=OFF)) == set()


def test_when_the_list_of_tests_fails_v2_waits_and_v1_goes_on() -> None:
    history = FakeHistory()
    history.add("api_result_rows", "earlier", NOW - timedelta(days=8))
    history.add("v2_result_rows", "v2-earlier", NOW - timedelta(hours=2))
    api = FakeApis({API: [row("1", NOW_MS - HOUR_MS)]}, TESTS)
    api.fail = lambda path, query: DeferredError("down") if path.endswith("/tests") else None
    events = crawl(api, history, settings=MISSING)
    assert payloads(events) == {("api_result_rows", "1", API), ("api_results", "1", API)}
    assert crawl(api, history, settings=ALL)[1:] == []


def test_a_gone_v2_result_is_told_and_one_that_is_not_there_yet_waits() -> None:
    api = FakeApis({NETWORK: [row("old", NOW_MS - HOUR_MS), row("new", NOW_MS - 60_000)]}, TESTS[3:])
    api.fail = lambda path, query: GoneError("gone", status=404) if path.endswith(("/old", "/new")) else None
    events = crawl(api, settings=MISSING)
    assert [event.entity_id for event in events if isinstance(event, Missed)] == ["old"]


# ------------------------------------------------------------------------------------------- the vendor's own models


def undeclared(model: Any, tree: Any, pointer: str = "", depth: int = 0) -> list[str]:
    """Fields of a model of the vendor's client that a tree does not name. Retries of retries are one JSON value."""
    if not (isinstance(model, type) and issubclass(model, ModelNormal)) or isinstance(tree, Free | Headers) or depth > 9:
        return []
    if not isinstance(tree, dict):
        return [f"{pointer}: {tree}"]
    missing = []
    for name, types in model.openapi_types.items():
        field = model.attribute_map[name]
        below = f"{pointer}/{field}"
        if field not in tree:
            missing.append(below)
            continue
        kind, child = (types[0] if isinstance(types, tuple) else types), tree[field]
        if isinstance(kind, list):
            kind, child = kind[0], child[0] if isinstance(child, list) else child
        missing += undeclared(kind, child, below, depth + 1)
    return missing


@pytest.mark.parametrize(
    ("model", "endpoint"), [(SyntheticsTestResultSummaryData, "v2_result_rows"), (SyntheticsTestResultResponse, "v2_results")]
)
def test_every_field_of_the_vendors_models_is_declared(model: Any, endpoint: str) -> None:
    assert undeclared(model, PROVIDER.endpoint(endpoint).tree) == []


def test_a_field_that_is_not_declared_would_be_found() -> None:
    tree = PROVIDER.endpoint("v2_result_rows").tree
    assert isinstance(tree, dict)
    attributes = tree["attributes"]
    assert isinstance(attributes, dict)
    without_one = {**tree, "attributes": {name: child for name, child in attributes.items() if name != "steps_info"}}
    assert undeclared(SyntheticsTestResultSummaryData, without_one) == ["/attributes/steps_info"]


# ------------------------------------------------------------------------------------------------------ the whole way


def test_the_sandbox_read_by_v2_gives_the_outcomes_that_v1_gives_and_more_and_no_secret(tmp_path: Path) -> None:
    columns = "result_id, test_id, execution_id, location, outcome, is_final, started_at, device, browser, failure_code"
    told: dict[str, set[tuple[Any, ...]]] = {}
    now = datetime.now(UTC)
    with SandboxServer(World(1, 1, now), modules={"datadog": sandbox}) as server:
        for mode in ("off", "all"):
            environ = {"RESULTHOUSE_DATADOG_V2": mode, "RESULTHOUSE_START_DAYS": "1"}
            house = House(tmp_path / mode, server, ("datadog",), environ)
            assert house.pull()["datadog"].error is None
            house.refresh()
            assert house.ask("SELECT * FROM meta.rejects") == []
            assert house.ask("SELECT endpoint, json_pointer, kind FROM meta.drift") == []
            told[mode] = set(house.ask(f"SELECT {columns} FROM core.results WHERE started_at > '{now - timedelta(hours=23)}'"))
            lake = "".join(str(pq.read_table(path).to_pydict()["payload"]) for path in (tmp_path / mode / "lake/raw").rglob("*.parquet"))
            assert [secret for secret in sandbox.PLANTED_SECRETS if secret in lake] == []
            again = house.pull()["datadog"]
            assert (again.error, again.landed) == (None, 0)
    assert len(told["off"]) > 100
    assert told["off"] < told["all"]
    kinds = house.ask("SELECT DISTINCT test_type FROM core.results ORDER BY 1")
    assert kinds == [("api",), ("browser",), ("mobile",), ("network",)]
    assert house.ask("SELECT count(*) > 0 FROM core.steps s JOIN core.results r USING (result_key) WHERE r.test_type = 'api'") == [(True,)]
