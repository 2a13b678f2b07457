"""The Datadog sandbox: read by the vendor's own client, consistent with itself, with everything the API can say."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.model_utils import ModelComposed, ModelNormal, OpenApiModel
from datadog_api_client.v1.api.synthetics_api import SyntheticsApi
from datadog_api_client.v2.api.synthetics_api import SyntheticsApi as SyntheticsApiV2
from starlette.applications import Starlette

from pipelines.providers.datadog import sandbox
from pipelines.sandbox.server import SandboxServer
from pipelines.sandbox.world import World

NOW = datetime(2026, 11, 20, 9, 30, 15, tzinfo=UTC)
DAY_MS = 86_400_000
HEADERS = {"DD-API-KEY": sandbox.API_KEY, "DD-APPLICATION-KEY": sandbox.APPLICATION_KEY}
ROOT = "/api/v1/synthetics/tests"
ROOT_V2 = "/api/v2/synthetics/tests"
V1_TYPES = ("api", "browser")
Json = dict[str, Any]


class Caller:
    """Asks an app without a socket."""

    def __init__(self, app: Starlette, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = headers

    def get(self, path: str, params: Json | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._get(path, params, self._headers if headers is None else headers))

    async def _get(self, path: str, params: Json | None, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as http:
            return await http.get(path, params=params)


def client(world: World, **options: Any) -> Caller:
    return Caller(sandbox.app(world, **options), HEADERS)


def results_path(test: Json) -> str:
    kind = "browser/" if test["type"] == "browser" else ""
    return f"{ROOT}/{kind}{test['public_id']}/results"


class Everything:
    """All tests, their rows over the whole history by paging backwards, and the full results of what has finished.

    Of mobile and network tests only v2 has results: theirs are not in it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = client(world)
        self.tests: list[Json] = self.http.get(ROOT).json()["tests"]
        self.rows: dict[str, list[Json]] = {test["public_id"]: self.page(test) for test in self.tests}
        self.full: dict[str, Json] = {}
        for test in self.tests:
            for row in self.rows[test["public_id"]]:
                answer = self.http.get(f"{results_path(test)}/{row['result_id']}")
                if answer.status_code == 200:
                    self.full[row["result_id"]] = answer.json()

    def page(self, test: Json) -> list[Json]:
        found: dict[str, Json] = {}
        if test["type"] not in V1_TYPES:
            return []
        to_ts = self.world.now_ms
        while True:
            body = self.http.get(results_path(test), params={"to_ts": to_ts}).json()
            found.update((row["result_id"], row) for row in body["results"])
            if len(body["results"]) < 150:
                return list(found.values())
            to_ts = body["last_timestamp_fetched"] + 999

    def finished(self) -> Iterator[tuple[Json, Json, Json]]:
        for test in self.tests:
            for row in self.rows[test["public_id"]]:
                if row["result_id"] in self.full:
                    yield test, row, self.full[row["result_id"]]


@pytest.fixture(scope="module")
def everything() -> Everything:
    return Everything(World(1, 7, NOW))


def unparsed(value: object, path: str = "") -> list[str]:
    """Where the vendor's client could not make sense of what it read."""
    if isinstance(value, OpenApiModel) and getattr(value, "_unparsed", False):
        return [path]
    if isinstance(value, ModelNormal):
        return [it for key, inner in value._data_store.items() for it in unparsed(inner, f"{path}.{key}")]
    if isinstance(value, ModelComposed):
        return unparsed(value._composed_instances, path)
    if isinstance(value, list | tuple):
        return [it for number, inner in enumerate(value) for it in unparsed(inner, f"{path}[{number}]")]
    return []


def test_the_vendors_client_reads_every_test_and_result_over_real_http() -> None:
    with SandboxServer(World(1, 2, NOW), modules={"datadog": sandbox}) as server:
        configuration = Configuration(host=server.env["DATADOG_API_URL"])
        configuration.api_key = {
            "apiKeyAuth": server.env["DD_API_KEY"],
            "appKeyAuth": server.env["DD_APP_KEY"],
        }
        with ApiClient(configuration) as vendor:
            api = SyntheticsApi(vendor)
            tests = api.list_tests().tests
            assert len(tests) >= 24
            assert unparsed(tests) == []
            read = 0
            for test in tests:
                if str(test.type) not in V1_TYPES:
                    continue
                if str(test.type) == "browser":
                    definition = api.get_browser_test(test.public_id)
                    page, get = api.get_browser_test_latest_results, api.get_browser_test_result
                else:
                    definition = api.get_api_test(test.public_id)
                    page, get = api.get_api_test_latest_results, api.get_api_test_result
                assert unparsed(definition) == [], test.name
                rows = page(test.public_id)
                assert unparsed(rows) == [], test.name
                for row in rows.results[:12]:
                    if row.result.to_dict().get("eventType") in ("scheduled", "not_scheduled"):
                        continue
                    full = get(test.public_id, row.result_id)
                    assert unparsed(full) == [], test.name
                    assert full.result_id == row.result_id
                    read += 1
            assert read > 100


def test_the_vendors_client_reads_every_v2_row_and_result_over_real_http() -> None:
    with SandboxServer(World(1, 2, NOW), modules={"datadog": sandbox}) as server:
        configuration = Configuration(host=server.env["DATADOG_API_URL"])
        configuration.api_key = {"apiKeyAuth": server.env["DD_API_KEY"], "appKeyAuth": server.env["DD_APP_KEY"]}
        with ApiClient(configuration) as vendor:
            api = SyntheticsApiV2(vendor)
            read: Counter[str] = Counter()
            for test in SyntheticsApi(vendor).list_tests().tests:
                if str(test.type) == "browser":
                    page, get = api.list_synthetics_browser_test_latest_results, api.get_synthetics_browser_test_result
                else:
                    page, get = api.list_synthetics_test_latest_results, api.get_synthetics_test_result
                rows = page(test.public_id)
                assert unparsed(rows) == [], test.name
                for row in rows.data[:8]:
                    if "finished_at" not in row.attributes.to_dict():
                        continue
                    full = get(test.public_id, row.id)
                    assert unparsed(full) == [], test.name
                    assert full.data.id == row.id
                    assert full.data.relationships.test.data.id == test.public_id
                    assert not _undeclared(full.data), test.name
                    read[str(test.type)] += 1
            assert read.keys() == {"api", "browser", "mobile", "network"}
            assert read.total() > 80


def _undeclared(value: object, path: str = "") -> list[str]:
    """Members that the vendor's models do not name."""
    if isinstance(value, ModelNormal):
        declared = set(value.attribute_map)
        here = [f"{path}.{key}" for key in value._data_store if key not in declared and value.attribute_map]
        return here + [it for key, inner in value._data_store.items() for it in _undeclared(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [it for number, inner in enumerate(value) for it in _undeclared(inner, f"{path}[{number}]")]
    return []


def test_the_client_would_be_caught_not_understanding() -> None:
    from datadog_api_client.model_utils import validate_and_convert_types
    from datadog_api_client.v1.model.synthetics_api_test_result_full import SyntheticsAPITestResultFull

    bad = {"result": {"eventType": "no such state"}}
    read = validate_and_convert_types(bad, (SyntheticsAPITestResultFull,), ["x"], True, True, Configuration())
    assert unparsed(read) == [""]


def test_row_and_full_result_agree(everything: Everything) -> None:
    for test, row, full in everything.finished():
        for key in ("check_time", "check_version", "probe_dc", "result_id", "status"):
            assert row[key] == full[key], test["name"]
        assert row["result"].get("passed") == full["result"].get("passed")
        assert row["result"].get("errorMessage") in (None, full["result"].get("error"), _failed_assertions(full))
        if test["type"] == "api":
            assert row["result"].get("timings") == full["result"].get("timings")
        else:
            steps = full["result"]["stepDetails"]
            assert row["result"]["duration"] == full["result"]["duration"]
            assert row["result"]["device"] == full["result"]["device"]
            assert row["result"]["stepCountTotal"] == len(steps)
            assert row["result"]["errorCount"] == sum(len(step["browserErrors"]) for step in _flat(steps))


def _failed_assertions(full: Json) -> str | None:
    """What a legacy row says: its full result has the assertions' outcomes and no failure."""
    outcomes = full["result"].get("assertionResults", [])
    configured = full["check"]["config"]["assertions"]
    failed = [
        {
            "index": number,
            **{key: configured[number][key] for key in ("operator", "property", "type", "target") if key in configured[number]},
            "valid": False,
            "actual": outcome["actual"],
        }
        for number, outcome in enumerate(outcomes)
        if not outcome["valid"]
    ]
    return json.dumps(failed, separators=(",", ":")) if failed else None


def _flat(steps: list[Json]) -> list[Json]:
    return [inner for step in steps for inner in (step, *_flat(step.get("subTestStepDetails", [])))]


def test_results_carry_the_definition_that_is_listed(everything: Everything) -> None:
    for test, row, full in everything.finished():
        assert full["check"]["options"] == test["options"]
        assert full["check"]["locations"] == test["locations"]
        if row["check_version"] == max(other["check_version"] for other in everything.rows[test["public_id"]]):
            assert full["check"]["config"] == test["config"], test["name"]


def test_a_passing_run_has_no_failed_assertion_and_a_failing_one_says_why(everything: Everything) -> None:
    for test, _, full in everything.finished():
        result = full["result"]
        outcomes = [outcome["valid"] for outcome in result.get("assertionResults", [])]
        if "passed" not in result:
            continue
        if result["passed"]:
            assert all(outcomes), test["name"]
            assert "failure" not in result
        else:
            assert result["failure"]["code"] != "INCORRECT_ASSERTION" or not outcomes or not all(outcomes), test["name"]
            assert result["error"] == result["failure"]["message"]


def test_phases_add_up_and_failed_connections_have_two_timings_and_no_status(everything: Everything) -> None:
    lost = 0
    for _, _, full in everything.finished():
        timings = full["result"].get("timings")
        if full["result"].get("failure", {}).get("code") in ("DNS", "TIMEOUT", "CONNREFUSED", "SSL"):
            assert set(timings) == {"dns", "total"}
            assert not full["result"].keys() & {"httpStatusCode", "assertionResults", "responseBody"}
            lost += 1
        elif timings is not None and len(timings) > 2:
            assert sum(value for phase, value in timings.items() if phase != "total") == pytest.approx(timings["total"])
    assert lost > 10


def test_a_browser_runs_steps_add_up_to_its_duration(everything: Everything) -> None:
    for test, _, full in everything.finished():
        if test["type"] == "browser" and "passed" in full["result"]:
            assert sum(step.get("duration", 0) for step in full["result"]["stepDetails"]) == full["result"]["duration"]


def test_a_retry_names_its_first_try_and_starts_after_it_was_due(everything: Everything) -> None:
    retries = 0
    for rows in everything.rows.values():
        by_id = {row["result_id"]: row for row in rows}
        for row in rows:
            first = by_id.get(row["result"].get("initialResultID"))
            if first is not None:
                retries += 1
                due = datetime.fromisoformat(first["result"]["nextTryAt"])
                assert row["check_time"] > due.timestamp() * 1000 > first["check_time"]
                assert first["result"].get("passed") is not True
    assert retries > 20


def test_every_kind_of_answer_is_there(everything: Everything) -> None:
    seen: Counter[str] = Counter()
    for test, row, full in everything.finished():
        result = full["result"]
        seen[f"{test['type']} {test.get('subtype')}"] += 1
        seen[f"event {result['eventType']}"] += 1
        seen[f"run_type {full['run_type']}"] += 1
        seen[f"status {row['status']} passed {result.get('passed')}"] += 1
        seen[f"failure {result.get('failure', {}).get('code')}"] += 1
        seen["id beyond a signed integer"] += int(row["result_id"]) > 2**63
        seen["id of 20 digits"] += len(row["result_id"]) == 20
        seen["cert"] += "cert" in result
        seen["private location"] += row["probe_dc"].startswith("pl:")
        seen["flaky: passed on retry"] += "initialResultID" in row["result"] and result.get("passed") is True
        for step in _flat(result.get("stepDetails", [])):
            seen[f"device {full['device_id']}"] += 1
            for key in ("warnings", "browserErrors", "vitalsMetrics", "skipped", "subTestStepDetails"):
                seen[f"step {key}"] += bool(step.get(key))
            seen["subtest in subtest"] += any("subTestStepDetails" in it for it in step.get("subTestStepDetails", []))
            seen["allowed failure"] += step["allowFailure"] and "failure" in step
    subtypes = ("http", "ssl", "dns", "tcp", "icmp", "udp", "websocket", "grpc", "multi")
    codes = ("INCORRECT_ASSERTION", "DNS", "TIMEOUT", "CONNREFUSED", "SSL", "INTERNAL_ERROR")
    browser_codes = ("LOCATE_ELEMENT", "SUB_TEST_NOT_PASSED", "OPEN_URL", "ASSERTION_FAILURE")
    step_kinds = ("warnings", "browserErrors", "vitalsMetrics", "skipped", "subTestStepDetails")
    for kind in (
        *(f"api {subtype}" for subtype in subtypes),
        "browser None",
        *(f"failure {code}" for code in (*codes, *browser_codes)),
        "event finished",
        "event finished_with_error",
        "run_type 0",
        "run_type 3",
        "status 0 passed False",
        "status 1 passed True",
        "status 1 passed False",
        "status 0 passed None",
        "id beyond a signed integer",
        "id of 20 digits",
        "cert",
        "private location",
        "flaky: passed on retry",
        *(f"step {kind}" for kind in step_kinds),
        "subtest in subtest",
        "allowed failure",
        "device chrome.mobile_small",
        "device firefox.laptop_large",
    ):
        assert seen[kind], f"{kind} is missing of {seen}"


def test_every_assertion_form_and_every_authentication_is_configured(everything: Everything) -> None:
    configs = [test["config"] for test in everything.tests if test["type"] in V1_TYPES]
    assertions = [one for config in configs for one in config["assertions"]]
    operators = {one.get("operator") for one in assertions}
    assert {"validatesJSONPath", "validatesJSONSchema", "validatesXPath", "md5", "sha1", "sha256"} <= operators
    kinds = {one["type"] for one in assertions}
    assert {"statusCode", "bodyHash", "javascript", "mcpServerCapabilities", "mcpRespectsSpecification"} <= kinds
    requests = [config.get("request", {}) for config in configs]
    assert {request["basicAuth"]["type"] for request in requests if "basicAuth" in request} == {
        "web", "sigv4", "ntlm", "digest", "oauth-client", "oauth-rop", "jwt",
    }  # fmt: skip
    assert any("certificate" in request and request["proxy"]["headers"] for request in requests)
    assert all(len(test["locations"]) >= 2 for test in everything.tests)
    assert Counter(test["status"] for test in everything.tests)["paused"] == 1
    assert len(everything.tests) >= 24


def test_v2_tells_of_a_try_what_v1_tells(everything: Everything) -> None:
    compared = 0
    for test, row, full in list(everything.finished())[::7]:
        path = f"{results_path(test).replace(ROOT, ROOT_V2)}/{row['result_id']}"
        attributes = everything.http.get(path).json()["data"]["attributes"]
        told, passed = attributes["result"], full["result"].get("passed")
        assert (attributes["location"]["id"], told["started_at"]) == (row["probe_dc"], row["check_time"])
        if passed is not None:
            assert told["status"] == ("passed" if passed else "failed")
        assert told.get("timings") == full["result"].get("timings")
        assert told.get("initial_id") == row["result"].get("initialResultID", told.get("initial_id"))
        compared += 1
    assert compared > 50


def test_only_v2_has_results_of_mobile_and_network_tests(everything: Everything) -> None:
    others = [test for test in everything.tests if test["type"] not in V1_TYPES]
    assert {test["type"] for test in others} == {"mobile", "network"}
    for test in others:
        path = f"{test['public_id']}/results"
        assert everything.http.get(f"{ROOT}/{path}").status_code == 404
        page = everything.http.get(f"{ROOT_V2}/{path}").json()
        assert page["data"]
        assert [item["id"] for item in page["included"]] == [test["public_id"]]
        assert everything.http.get(f"{ROOT_V2}/browser/{path}").status_code == 404


def test_every_planted_secret_is_in_some_answer(everything: Everything) -> None:
    text = json.dumps([everything.tests, everything.rows, everything.full])
    steps = "".join(
        everything.http.get(f"{ROOT}/browser/{test['public_id']}").text for test in everything.tests if test["type"] == "browser"
    )
    assert [secret for secret in sandbox.PLANTED_SECRETS if secret not in text + steps] == []
    assert len(sandbox.PLANTED_SECRETS) > 30


def test_payloads_have_the_size_of_real_ones_and_the_volume_of_a_demo(everything: Everything) -> None:
    sizes = [len(json.dumps(full)) for full in everything.full.values()]
    assert 2000 < sum(sizes) / len(sizes) < 8000
    assert 120 * 7 < len(sizes) < 330 * 7


def test_the_busy_tests_day_is_longer_than_a_page(everything: Everything) -> None:
    busy = everything.tests[0]
    path = results_path(busy)
    now_ms = everything.world.now_ms
    page = everything.http.get(path, params={"from_ts": now_ms - DAY_MS, "to_ts": now_ms}).json()
    times = [row["check_time"] for row in page["results"]]
    assert len(times) == 150
    assert times == sorted(times, reverse=True)
    assert page["last_timestamp_fetched"] == times[-1] // 1000 * 1000
    rows = everything.rows[busy["public_id"]]
    assert len({row["result_id"] for row in rows if row["check_time"] > now_ms - DAY_MS}) > 150


def test_a_page_that_is_not_full_says_how_far_back_the_api_reaches(everything: Everything) -> None:
    body = everything.http.get(results_path(everything.tests[1]), params={"from_ts": 0, "to_ts": 1000}).json()
    floor = int((NOW - timedelta(days=60)).timestamp()) * 1000
    assert body == {"last_timestamp_fetched": floor, "results": []}


def test_rows_can_be_asked_by_window_and_by_place(everything: Everything) -> None:
    busy = everything.tests[0]
    places = ["aws:us-east-1", "aws:us-west-2"]
    rows = everything.rows[busy["public_id"]]
    edge, other = rows[40]["check_time"], rows[10]["check_time"]
    body = everything.http.get(results_path(busy), params={"from_ts": edge, "to_ts": other, "probe_dc": places}).json()
    wanted = {row["result_id"] for row in rows if edge <= row["check_time"] <= other and row["probe_dc"] in places}
    assert {row["result_id"] for row in body["results"]} == wanted
    assert wanted


def test_nothing_is_dated_after_now_and_nothing_before_the_history(everything: Everything) -> None:
    times = [row["check_time"] for rows in everything.rows.values() for row in rows]
    assert max(times) <= everything.world.now_ms
    assert min(times) >= everything.world.started_ms - 7 * DAY_MS


def test_a_standing_world_gives_the_same_bytes_and_another_one_the_same_history() -> None:
    first, second = client(World(5, 3, NOW)), client(World(5, 3, NOW))
    other = client(World(6, 3, NOW))
    tests = first.get(ROOT).json()["tests"]
    paths = [ROOT, *map(results_path, tests), *(results_path(test).replace(ROOT, ROOT_V2) for test in tests)]
    once = [first.get(path).content for path in paths]
    assert once == [first.get(path).content for path in paths]
    assert once[::-1] == [second.get(path).content for path in paths[::-1]]
    assert once[1] != other.get(paths[1]).content


def test_running_results_have_no_detail_until_they_finish() -> None:
    world = World(1, 2, NOW)
    http = client(world)
    tests = http.get(ROOT).json()["tests"]
    waiting: list[str] = []
    states: set[str] = set()
    for test in tests:
        if test["type"] not in V1_TYPES:
            continue
        for row in http.get(results_path(test)).json()["results"]:
            if row["result"].get("eventType") in ("scheduled", "not_scheduled"):
                states.add(row["result"]["eventType"])
                assert "passed" not in row["result"]
                waiting.append(f"{results_path(test)}/{row['result_id']}")
    assert states == {"scheduled", "not_scheduled"}
    assert {http.get(path).status_code for path in waiting} == {404}
    world.advance(timedelta(minutes=21))
    finished = [http.get(path).json() for path in waiting]
    assert {body["result"]["eventType"] for body in finished} == {"finished"}
    assert {body["run_type"] for body in finished} == {3}


def test_one_test_has_only_results_that_are_not_there_yet(everything: Everything) -> None:
    states = [{row["result"].get("eventType") for row in rows} for rows in everything.rows.values() if rows]
    assert {"scheduled", "not_scheduled"} in states


def test_advancing_adds_late_and_new_results_and_changes_no_finished_one(everything: Everything) -> None:
    world = World(1, 7, NOW)
    later = client(world)
    busy = everything.tests[0]
    before = {row["result_id"]: row for row in everything.rows[busy["public_id"]]}
    start_ms = world.now_ms
    later.get(results_path(busy))
    world.advance(timedelta(hours=3))
    rows = later.get(results_path(busy)).json()["results"]
    added = [row for row in rows if row["result_id"] not in before]
    assert [row for row in added if row["check_time"] < start_ms], "no late result"
    assert [row for row in added if row["check_time"] > start_ms], "no new result"
    kept = [row for row in rows if row["result_id"] in before]
    for row in kept:
        old = before[row["result_id"]]
        assert row == old or old["result"].get("eventType") == "scheduled"
    definition = later.get(f"{ROOT}/{busy['public_id']}").json()
    assert definition["config"] != busy["config"], "no definition changes with time"


@pytest.mark.parametrize("missing", ["DD-API-KEY", "DD-APPLICATION-KEY"])
def test_both_keys_are_needed(missing: str) -> None:
    http = client(World(1, 1, NOW))
    for value in (None, "wrong"):
        sent = {key: text for key, text in HEADERS.items() if key != missing}
        answer = http.get(ROOT, headers=sent if value is None else {**sent, missing: value})
        assert (answer.status_code, answer.json()) == (403, {"errors": ["Forbidden"]})


def test_unknown_and_malformed_ids_have_the_recorded_bodies(everything: Everything) -> None:
    http = everything.http
    known = everything.tests[0]["public_id"]
    browser = everything.tests[-1]["public_id"]
    for path in (
        "aaa-bbb-ccc",
        "aaa-bbb-ccc/results",
        f"{known}/results/123",
        f"browser/{known}",
        f"{browser}/results",
    ):
        answer = http.get(f"{ROOT}/{path}")
        assert (answer.status_code, answer.json()) == (404, {"errors": ["Synthetics test not found"]}), path
    for path in ("nope", f"{known}/results/resultid"):
        answer = http.get(f"{ROOT}/{path}")
        assert answer.status_code == 404
        assert set(answer.json()) == {"message", "code", "title"}
    assert http.get(f"{ROOT}/{known}/results?from_ts=yesterday").status_code == 400


def test_the_tests_list_is_paged_from_0_without_a_total(everything: Everything) -> None:
    pages = [everything.http.get(ROOT, params={"page_size": 10, "page_number": n}).json()["tests"] for n in range(4)]
    assert [test for page in pages for test in page] == everything.tests
    assert len(pages[0]) == 10
    assert pages[3] == []


def test_limits_count_down_in_windows_of_the_clock_and_end_in_429() -> None:
    clock = [1_795_000_020.7]
    http = client(World(1, 1, NOW), limits={"synthetics_list": (2, 60)}, clock=lambda: clock[0])
    answers = [http.get(ROOT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].headers["X-RateLimit-Reset"] == str(60 - int(clock[0]) % 60)
    assert answers[2].headers["X-RateLimit-Name"] == "synthetics_list"
    assert list(answers[2].json()) == ["errors"]
    clock[0] += 60
    assert http.get(ROOT).status_code == 200
