"""What the sandbox's Checkly promises: answers the vendor's OpenAPI accepts, documented paging, auth and errors,
every kind of session and monitoring result, and a standing world that only `advance` moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from pipelines.providers.checkly import sandbox
from pipelines.sandbox.world import World

NOW = datetime(2026, 11, 22, 10, 20, 31, tzinfo=UTC)
SPEC = Path(__file__).parents[3] / "shared" / "specs" / "checkly_openapi_2026-08-18.json"
KEYS = {"authorization": f"Bearer {sandbox.API_KEY}", "x-checkly-account": sandbox.ACCOUNT_ID}
SESSIONS = "/v1/test-sessions"
CHECKS = "/v1/checks"
RESULTS = "/v2/check-results"
NOBODY = "00000000-0000-4000-8000-000000000000"
DOCUMENTED_BLOCKS = {
    "apiCheckResult",
    "browserCheckResult",
    "multiStepCheckResult",
    "playwrightCheckResult",
    "agenticCheckResult",
}


class Client:
    """The app of one world, called in process."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self._app = sandbox.app(world, **options)

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        return self.get_all([path], headers, **params)[0]

    def get_all(self, paths: list[str], headers: dict[str, str] | None = None, **params: Any) -> list[httpx.Response]:
        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://sandbox",
                headers=KEYS if headers is None else headers,
                trust_env=False,
            ) as client:
                return [await client.get(path, params=params) for path in paths]

        return asyncio.run(send())

    def json(self, path: str, **params: Any) -> Any:
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def entries(self, path: str = SESSIONS, **params: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.json(path, **params, **cursor)
            assert page["length"] == len(page["entries"])
            rows += page["entries"]
            if page["nextId"] is None:
                return rows
            cursor = {"nextId": page["nextId"]}


@dataclass(frozen=True)
class Snapshot:
    """Everything a full read of a world gave."""

    entries: list[dict[str, Any]]
    details: dict[str, dict[str, Any]]
    results: dict[str, dict[str, Any]]

    def results_of(self, session_id: str) -> list[dict[str, Any]]:
        return [self.results[row["testSessionResultId"]] for row in self.details[session_id]["results"]]


def read(client: Client) -> Snapshot:
    entries = client.entries(limit=100)
    answers = client.get_all([f"{SESSIONS}/{entry['id']}" for entry in entries])
    details = {answer.json()["testSessionId"]: answer.json() for answer in answers}
    paths = [f"{SESSIONS}/{key}/results/{row['testSessionResultId']}" for key, detail in details.items() for row in detail["results"]]
    results = {answer.json()["id"]: answer.json() for answer in client.get_all(paths)}
    return Snapshot(entries, details, results)


def make_client(days: int = 3, seed: int = 1, **options: Any) -> Client:
    return Client(World(seed, days, NOW), **options)


@cache
def standing(seed: int = 1) -> Snapshot:
    """A three-day world as it stands."""
    return read(make_client(seed=seed))


@cache
def advanced() -> Snapshot:
    """The same world three hours later."""
    client = make_client()
    client.world.advance(timedelta(hours=3))
    return read(client)


@cache
def monitored(seed: int = 1, hours: float = 0) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Definitions, and all results by check id, of a three-day world so many hours after its start."""
    client = make_client(seed=seed)
    client.world.advance(timedelta(hours=hours))
    checks = client.json(CHECKS, limit=100)
    return checks, {check["id"]: client.entries(f"{RESULTS}/{check['id']}", limit=100, resultType="ALL") for check in checks}


def blocks(snapshot: Snapshot, name: str) -> list[dict[str, Any]]:
    return [result[name] for result in snapshot.results.values() if result.get(name) is not None]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def without_signatures(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_signatures(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_signatures(item) for item in value]
    return value.split("?AWSAccessKeyId=")[0] if isinstance(value, str) else value


# ------------------------------------------------------------------------------------------------- the vendor's OpenAPI
@cache
def validator(name: str) -> OAS30Validator:
    if not SPEC.exists():
        pytest.skip("the vendor's OpenAPI is not here")
    spec = json.loads(SPEC.read_text(encoding="utf-8"))
    schema = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
    return OAS30Validator(schema, format_checker=oas30_format_checker)


def problems(name: str, answer: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(answer)]


def test_the_validator_sees_a_broken_answer() -> None:
    detail = next(iter(standing().details.values()))
    for broken in (
        detail | {"status": "DONE"},
        detail | {"testSessionId": "not-a-uuid"},
        detail | {"name": None},
        detail | {"startedAt": "yesterday"},
        detail | {"metadata": {"environment": None}},
    ):
        assert problems("FindOneTestSessionResponse", broken), broken


@pytest.mark.parametrize("snapshot", [standing, advanced], ids=["standing", "advanced"])
def test_every_answer_fits_the_vendors_openapi(snapshot: Any) -> None:
    seen = snapshot()
    page = {"length": len(seen.entries), "entries": seen.entries, "nextId": None}
    assert problems("ListTestSessionsResponse", page) == []
    for detail in seen.details.values():
        assert problems("FindOneTestSessionResponse", detail) == []
        if detail["status"] != "RUNNING":
            assert problems("AwaitTestSessionCompletionResponse", detail) == []
    for result in seen.results.values():
        assert problems("FindOneTestSessionResultResponse", result) == [], result["checkType"]


def test_every_error_fits_the_vendors_openapi() -> None:
    client = make_client()
    running = client.entries(statuses="RUNNING")[0]["id"]
    limited = make_client(requests_per_minute=0)
    answers = {
        400: client.get(SESSIONS, limit=101),
        401: client.get(SESSIONS, headers={}),
        404: client.get(f"{SESSIONS}/{NOBODY}"),
        408: client.get(f"{SESSIONS}/{running}/completion"),
        429: limited.get(SESSIONS),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert problems("ApiError", answer.json()) == []
        assert answer.json()["statusCode"] == status


# --------------------------------------------------------------------------------------------------------------- paging
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_give_every_session_once_newest_first(limit: int) -> None:
    entries = make_client().entries(limit=limit)
    order = [(entry["created_at"], entry["id"]) for entry in entries]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order) == len(standing().entries)


def test_twenty_sessions_are_a_page_unless_asked_otherwise() -> None:
    page = make_client().json(SESSIONS)
    assert (page["length"], page["nextId"] is None) == (20, False)


def test_sessions_added_between_two_pages_shift_nothing() -> None:
    client = make_client()
    first = client.json(SESSIONS, limit=5)
    client.world.advance(timedelta(hours=12))
    second = client.json(SESSIONS, limit=5, nextId=first["nextId"])
    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert ids == [entry["id"] for entry in standing().entries[:10]]


def test_the_window_is_half_open_on_creation_time() -> None:
    client = make_client()
    entries = standing().entries
    older, newer = entries[9], entries[4]
    lower, upper = (instant(entry["created_at"]).timestamp() for entry in (older, newer))
    found = client.entries(**{"from": f"{lower:.3f}", "to": f"{upper:.3f}"})
    assert [entry["id"] for entry in found] == [entry["id"] for entry in entries[5:10]]


def test_neighbouring_windows_give_every_session_once() -> None:
    client = make_client()
    start = int((NOW - timedelta(days=4)).timestamp())
    found = []
    for hour in range(0, 5 * 24, 6):
        found += client.entries(**{"from": start + hour * 3600, "to": start + (hour + 6) * 3600})
    assert sorted(entry["id"] for entry in found) == sorted(entry["id"] for entry in standing().entries)


def test_filters_keep_what_they_name() -> None:
    client, everything = make_client(), standing().entries
    for status in ("PASSED", "FAILED", "CANCELLED", "RUNNING"):
        expected = [entry["id"] for entry in everything if entry["status"] == status]
        assert [entry["id"] for entry in client.entries(statuses=status)] == expected != []
    both = client.entries(providers=["GITHUB", "VERCEL"])
    assert {entry["provider"] for entry in both} == {"GITHUB", "VERCEL"}
    assert {entry["branchName"] for entry in client.entries(branches="main")} == {"main"}
    group = next(entry["errorGroupIds"][0] for entry in everything if entry["errorGroupIds"])
    assert all(group in entry["errorGroupIds"] for entry in client.entries(errorGroupId=group))
    assert {entry["name"] for entry in client.entries(textSearch="release gate")} == {"Release gate"}


@pytest.mark.parametrize(
    "params",
    [{"limit": 101}, {"limit": 0}, {"limit": "ten"}, {"from": "2026-11-01"}, {"statuses": "DONE"}, {"nextId": "?"},
     {"form": 1}],
    ids=str,
)  # fmt: skip
def test_a_wrong_parameter_is_refused_by_name(params: dict[str, Any]) -> None:
    answer = make_client().get(SESSIONS, **params)
    assert answer.status_code == 400
    assert answer.json()["validation"] == {"source": "query", "keys": list(params)}


# ------------------------------------------------------------------------------------------------- auth, limits, errors
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong", "x-checkly-account": sandbox.ACCOUNT_ID},
        {"authorization": KEYS["authorization"]},
        {"authorization": KEYS["authorization"], "x-checkly-account": NOBODY},
        {"authorization": sandbox.API_KEY, "x-checkly-account": sandbox.ACCOUNT_ID},
    ],
    ids=["nothing", "wrong key", "no account", "wrong account", "no Bearer"],
)
def test_without_the_right_key_and_account_nothing_is_answered(headers: dict[str, str]) -> None:
    client = make_client()
    for path in (SESSIONS, f"{SESSIONS}/{standing().entries[0]['id']}", "/v1/nothing"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.json().keys() == {"statusCode", "error", "message"}
        assert sandbox.API_KEY not in answer.text


def test_the_settings_of_env_open_the_sandbox() -> None:
    settings = sandbox.env("http://127.0.0.1:1/checkly")
    assert settings["CHECKLY_API_URL"] == "http://127.0.0.1:1/checkly"
    headers = {
        "authorization": f"Bearer {settings['CHECKLY_API_KEY']}",
        "x-checkly-account": settings["CHECKLY_ACCOUNT_ID"],
    }
    assert make_client().get(SESSIONS, headers=headers).status_code == 200


def test_the_limit_of_600_in_60_seconds_answers_429_and_recovers() -> None:
    ticks: Iterator[float] = iter([i * 0.05 for i in range(601)] + [60.0])
    client = make_client(requests_per_minute=600, clock=lambda: next(ticks))
    path = f"{SESSIONS}/{NOBODY}"
    assert {answer.status_code for answer in client.get_all([path] * 600)} == {404}
    refused = client.get(SESSIONS)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert client.get(path).status_code == 404


def test_a_429_can_come_without_retry_after() -> None:
    assert "retry-after" not in make_client(requests_per_minute=0, has_retry_after=False).get(SESSIONS).headers


@pytest.mark.parametrize(
    ("shape", "keys"),
    [("full", {"statusCode", "error", "message"}), ("error_only", {"error"}), ("code", {"message", "errorCode"})],
)
def test_what_is_not_there_is_404_in_every_documented_shape(shape: str, keys: set[str]) -> None:
    client = make_client(error_shape=shape)
    session_id = standing().entries[0]["id"]
    for path in (f"{SESSIONS}/{NOBODY}", f"{SESSIONS}/{session_id}/results/{NOBODY}", f"{RESULTS}/{NOBODY}", "/v1/nothing"):
        answer = client.get(path)
        assert (answer.status_code, answer.json().keys()) == (404, keys)


def test_an_error_can_be_a_bare_string() -> None:
    assert make_client(error_shape="text").get(f"{SESSIONS}/{NOBODY}").json() == "Test session not found"


def test_a_malformed_id_is_400() -> None:
    answer = make_client().get(f"{SESSIONS}/42")
    assert (answer.status_code, answer.json()["validation"]["source"]) == (400, "params")


def test_completion_answers_408_until_the_session_is_over() -> None:
    client = make_client()
    running = client.entries(statuses="RUNNING")[0]["id"]
    path = f"{SESSIONS}/{running}/completion"
    waiting = client.get(path, maxWaitSeconds=1)
    assert (waiting.status_code, "retry-after" in waiting.headers) == (408, True)
    assert client.get(path, maxWaitSeconds=31).status_code == 400
    client.world.advance(timedelta(hours=1))
    assert client.json(path) == client.json(f"{SESSIONS}/{running}")


# -------------------------------------------------------------------------------------------------------- what there is
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_days_hold_every_kind_of_result(seed: int) -> None:
    seen = standing(seed)
    results = list(seen.results.values())
    assert {result["checkType"] for result in results} == {
        "AGENTIC", "API", "BROWSER", "HEARTBEAT", "ICMP", "MULTI_STEP", "TCP", "PLAYWRIGHT", "URL", "DNS", "SSL",
        "GRPC", "TRACEROUTE",
    }  # fmt: skip
    assert {entry["provider"] for entry in seen.entries} == {"GITHUB", "VERCEL", "API", "TRIGGER", "PW_REPORTER"}
    assert {entry["status"] for entry in seen.entries} == {"PASSED", "FAILED", "CANCELLED", "RUNNING"}
    assert {result["resultType"] for result in results} == {"FINAL", "ATTEMPT", "PENDING"}
    for flag in ("hasErrors", "hasFailures", "isDegraded", "aborted", "isCancelled", "overMaxResponseTime",
                 "scheduleError", "privateLocationId", "traceId", "filePath"):  # fmt: skip
        assert {bool(result[flag]) for result in results} == {True, False}, flag
    for name in DOCUMENTED_BLOCKS | {"sslCheckResult", "grpcCheckResult", "tracerouteCheckResult"}:
        assert blocks(seen, name), name
    assert any(detail["metadata"].get("github") for detail in seen.details.values())


def test_a_day_is_some_eight_sessions_of_five_to_ten_results() -> None:
    seen = read(make_client(days=7))
    over = [detail for detail in seen.details.values() if detail["status"] != "RUNNING"]
    assert 7 * 7 <= len(over) <= 10 * 7
    assert all(5 <= len(detail["results"]) <= 12 for detail in over)
    assert 50 <= len(seen.results) / 7 <= 75
    mean = sum(len(json.dumps(result)) for result in seen.results.values()) / len(seen.results)
    assert 2_000 < mean < 8_000


def test_a_check_without_id_is_known_by_file_and_name() -> None:
    without = [result for result in standing().results.values() if result["checkId"] is None]
    assert without
    assert all(result["filePath"] and result["name"] for result in without)
    files = {(result["name"], result["filePath"]) for result in without}
    assert len({file for name, file in files if name == "Login"}) == 2


def test_an_execution_has_failed_attempts_and_one_final_in_order() -> None:
    seen = advanced()
    retried = set()
    for detail in seen.details.values():
        by_sequence: dict[str, list[dict[str, Any]]] = {}
        for result in seen.results_of(detail["testSessionId"]):
            by_sequence.setdefault(result["sequenceId"], []).append(result)
        for tries in by_sequence.values():
            *attempts, final = tries
            if detail["status"] != "RUNNING":
                assert final["resultType"] == "FINAL"
            assert {(item["resultType"], item["status"]) for item in attempts} <= {("ATTEMPT", "FAILED")}
            assert [item["attempts"] for item in tries] == list(range(1, len(tries) + 1))
            for earlier, later in pairwise(tries):
                assert earlier["stoppedAt"] <= later["startedAt"]
            if attempts:
                retried.add((final["checkType"], final["status"]))
    assert {("API", "PASSED"), ("BROWSER", "FAILED"), ("BROWSER", "PASSED")} <= retried


def test_the_list_counts_sequences_not_results() -> None:
    seen = standing()
    for entry in seen.entries:
        lists = {name: set(entry[name]) for name in ("running", "passed", "failed", "cancelled")}
        finals = {
            result["sequenceId"]: result["status"].lower() for result in seen.results_of(entry["id"]) if result["resultType"] == "FINAL"
        }
        for name in ("passed", "failed", "cancelled"):
            assert lists[name] == {key for key, status in finals.items() if status == name}
        assert lists["running"] == {result["sequenceId"] for result in seen.results_of(entry["id"])} - finals.keys()


def test_a_session_says_what_its_results_say() -> None:
    for detail in standing().details.values():
        finals = {row["status"] for row in detail["results"] if row["resultType"] == "FINAL"}
        expected = "CANCELLED" if "CANCELLED" in finals else "FAILED" if "FAILED" in finals else "PASSED"
        if detail["status"] != "RUNNING":
            assert detail["status"] == expected
            elapsed = instant(detail["stoppedAt"]) - instant(detail["startedAt"])
            assert detail["timeElapsed"] == elapsed / timedelta(milliseconds=1)


def test_a_row_and_its_detail_agree() -> None:
    seen = standing()
    for detail in seen.details.values():
        for row in detail["results"]:
            result = seen.results[row["testSessionResultId"]]
            assert {key: result[key] for key in row} == row


def test_some_results_start_on_the_day_after_their_session() -> None:
    seen = standing()
    crossing = [
        result
        for detail in seen.details.values()
        for result in detail["results"]
        if result["startedAt"] and result["startedAt"][:10] > detail["startedAt"][:10]
    ]
    assert crossing


def test_an_uploaded_report_started_hours_before_it_was_created() -> None:
    uploads = [entry for entry in standing().entries if entry["provider"] == "PW_REPORTER"]
    assert uploads
    for entry in uploads:
        age = instant(entry["created_at"]) - instant(entry["startedAt"])
        assert timedelta(hours=2) <= age <= timedelta(hours=7)


# ------------------------------------------------------------------------------------------------ insides of the blocks
def test_timings_are_cumulative_and_phases_add_up_to_the_total() -> None:
    checked = 0
    for result in standing().results.values():
        response = (result.get("apiCheckResult") or {}).get("response", {})
        if not response.get("timingPhases"):
            continue
        timings, phases = response["timings"], dict(response["timingPhases"])
        order = [timings[name] for name in ("socket", "lookup", "connect", "response", "end")]
        assert order == sorted(order)
        total = phases.pop("total")
        assert total == pytest.approx(sum(phases.values())) == pytest.approx(timings["end"])
        assert min(phases.values()) > 0
        assert result["responseTime"] == int(total)
        checked += 1
    assert checked > 20


def test_assertions_fail_with_text_and_stay_open_after_a_request_error() -> None:
    kinds = set()
    for result in standing().results.values():
        block = result.get("apiCheckResult")
        if block is None:
            continue
        errors = [row.get("error") for row in block["assertions"]]
        if block["requestError"]:
            assert result["hasErrors"]
            assert not any("error" in row or "actual" in row for row in block["assertions"])
            kinds.add("request error")
        elif any(errors):
            assert result["hasFailures"]
            kinds.add("failed")
        else:
            assert not result["hasFailures"] or result["overMaxResponseTime"]
            kinds.add("passed")
    assert kinds == {"request error", "failed", "passed"}


def test_job_logs_errors_and_assets_take_every_documented_shape() -> None:
    seen = advanced()
    api, browser = blocks(seen, "apiCheckResult"), blocks(seen, "browserCheckResult")
    assert {"setup", "request", "teardown"} in [set(block["jobLog"]) for block in api if block["jobLog"]]
    assert all(isinstance(block["jobLog"], list) for block in browser)
    scripted = browser + blocks(seen, "multiStepCheckResult") + blocks(seen, "playwrightCheckResult")
    errors = [error for block in scripted for error in block["errors"] or []]
    assert {type(error) for error in errors} == {str, dict}
    assert all({"name", "message", "stack"} <= error.keys() for error in errors if isinstance(error, dict))
    for block in browser:
        assert set(block["traceSummary"]) == {"consoleErrors", "networkErrors", "documentErrors", "userScriptErrors"}
        for page in block["pages"]:
            assert set(page["webVitals"]) == {"LCP", "FCP", "CLS", "TBT", "TTFB"}
            assert set(page["pageTimings"]) == {"onContentLoad", "onLoad"}
    files = [file for block in blocks(seen, "playwrightCheckResult") for file in block["playwrightTraceFiles"]]
    assert files
    assert all(set(file) == {"url", "name", "filename"} for file in files)
    assert all("AWSAccessKeyId=" in file["url"] and "Expires=" in file["url"] for file in files)
    agents = blocks(seen, "agenticCheckResult")
    assert {step["type"] for block in agents for step in block["steps"]} == {"tool_call", "tool_result", "message"}
    assert {row["passed"] for block in agents for row in block["assertions"]} == {True, False}
    assert any(block["errors"] for block in agents)
    assert all(block["artifactManifest"] for block in agents)


def test_every_planted_secret_is_served() -> None:
    seen = standing()
    text = json.dumps([seen.entries, seen.details, seen.results, *monitored()])
    assert [secret for secret in sandbox.PLANTED_SECRETS if secret not in text] == []


# ------------------------------------------------------------------------------------------------- a world and its time
def test_one_seed_gives_one_world_whatever_is_asked_first() -> None:
    client, last = make_client(), standing().entries[-1]
    path = f"{SESSIONS}/{last['id']}/results/{standing().details[last['id']]['results'][0]['testSessionResultId']}"
    first_asked = client.json(path)
    assert read(client) == standing()
    assert first_asked == standing().results[first_asked["id"]]


def test_another_seed_gives_another_world() -> None:
    assert not {entry["id"] for entry in standing(1).entries} & {entry["id"] for entry in standing(2).entries}


def test_a_standing_world_answers_the_same_bytes() -> None:
    client = make_client()
    running = client.entries(statuses="RUNNING")[0]["id"]
    for path in (SESSIONS, f"{SESSIONS}/{running}"):
        assert client.get(path).content == client.get(path).content


@pytest.mark.parametrize("snapshot", [standing, advanced], ids=["standing", "advanced"])
def test_nothing_is_dated_after_now_or_before_the_history(snapshot: Any) -> None:
    seen, now = snapshot(), NOW + (timedelta(hours=3) if snapshot is advanced else timedelta())
    for item in [*seen.entries, *seen.details.values(), *seen.results.values()]:
        for key in ("startedAt", "stoppedAt", "created_at", "updated_at"):
            if item.get(key):
                assert instant(item[key]) <= now, (key, item[key])
    first_at = NOW.replace(second=0) - timedelta(days=3)
    assert all(instant(entry["created_at"]) >= first_at for entry in seen.entries)


def test_running_sessions_show_queued_running_and_retrying_results() -> None:
    seen = standing()
    running = [detail for detail in seen.details.values() if detail["status"] == "RUNNING"]
    rows = [row for detail in running for row in detail["results"]]
    pending = [row for row in rows if row["resultType"] == "PENDING"]
    assert {row["startedAt"] is None for row in pending} == {True, False}
    for row in pending:
        assert (row["status"], row["stoppedAt"], row["responseTime"]) == ("RUNNING", None, None)
        assert all(seen.results[row["testSessionResultId"]].get(name) is None for name in DOCUMENTED_BLOCKS)
    assert "ATTEMPT" in {row["resultType"] for row in rows}
    assert any(not detail["results"] for detail in running)
    assert all(detail["timeElapsed"] == (NOW - instant(detail["startedAt"])) / timedelta(milliseconds=1) for detail in running)


def test_time_elapsed_moves_with_the_world_only() -> None:
    client = make_client()
    path = f"{SESSIONS}/{client.entries(statuses='RUNNING')[0]['id']}"
    before = client.json(path)["timeElapsed"]
    client.world.advance(timedelta(seconds=7))
    assert client.json(path)["timeElapsed"] == before + 7_000


def test_what_was_running_ends_and_what_was_over_stays() -> None:
    before, after = standing(), advanced()
    ended = set()
    for key, detail in before.details.items():
        if detail["status"] == "RUNNING":
            ended.add(after.details[key]["status"])
        else:
            assert after.details[key] == detail
    assert ended == {"PASSED", "CANCELLED"}
    for key, result in before.results.items():
        if result["resultType"] == "PENDING":
            assert after.results[key]["resultType"] in ("ATTEMPT", "FINAL")
            assert after.results[key]["sequenceId"] == result["sequenceId"]
        else:
            assert without_signatures(after.results[key]) == without_signatures(result)


def test_a_later_read_signs_the_same_files_anew() -> None:
    key = next(key for key, result in standing().results.items() if result.get("playwrightCheckResult"))
    before, after = standing().results[key], advanced().results[key]
    assert before != after
    assert without_signatures(before) == without_signatures(after)


def test_a_late_report_appears_only_once_uploaded() -> None:
    known = {entry["id"] for entry in standing().entries}
    late = [entry for entry in advanced().entries if entry["id"] not in known and entry["provider"] == "PW_REPORTER"]
    assert len(late) == 1
    assert instant(late[0]["startedAt"]) < NOW < instant(late[0]["created_at"])
    detail = advanced().details[late[0]["id"]]
    assert detail["status"] == "FAILED"
    assert all(instant(row["stoppedAt"]) < NOW for row in detail["results"])


def test_new_days_bring_new_sessions() -> None:
    client = make_client(days=1)
    before = len(client.entries(limit=100))
    client.world.advance(timedelta(days=2))
    assert len(client.entries(limit=100)) >= before + 16


# ----------------------------------------------------------------------------------------------------------- monitoring
@pytest.mark.parametrize("hours", [0, 3])
def test_definitions_and_monitoring_results_fit_the_vendors_openapi(hours: int) -> None:
    checks, results = monitored(hours=hours)
    assert problems("ChecksV1CheckList", checks) == []
    for key, entries in results.items():
        assert problems("CheckResultListV2", {"length": len(entries), "entries": entries, "nextId": None}) == [], key
        for entry in entries:  # the list also takes a projection, in which nothing is required
            assert problems("CheckResult", entry) == []


def test_every_definition_fits_the_schema_of_its_own_type() -> None:
    variants = {}
    for variant in validator("ChecksV1CheckList").schema["components"]["schemas"]["ChecksV1Check"]["anyOf"]:
        name = variant["$ref"].rpartition("/")[2]
        words = validator(name).schema["components"]["schemas"][name]["properties"]["checkType"].get("enum", ())
        if len(words) == 1:
            variants[words[0]] = name
    checked = [check["checkType"] for check in monitored()[0] if check["checkType"] in variants]
    assert len(set(checked)) == 12  # agentic checks have no schema of their own
    for check in monitored()[0]:
        if check["checkType"] in variants:
            assert problems(variants[check["checkType"]], check) == [], check["checkType"]
            assert problems(variants[check["checkType"]], {**check, "name": None})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_monitoring_has_every_kind_of_check_with_failures_and_retries(seed: int) -> None:
    checks, by_check = monitored(seed)
    results = [entry for entries in by_check.values() for entry in entries]
    assert {check["checkType"] for check in checks} == {
        "AGENTIC", "API", "BROWSER", "HEARTBEAT", "ICMP", "MULTI_STEP", "TCP", "PLAYWRIGHT", "URL", "DNS", "SSL",
        "GRPC", "TRACEROUTE",
    }  # fmt: skip
    assert {check["activated"] for check in checks} == {check["muted"] for check in checks} == {True, False}
    assert {entry["resultType"] for entry in results} == {"FINAL", "ATTEMPT"}
    assert {entry["hasFailures"] for entry in results} == {True, False}
    for name in DOCUMENTED_BLOCKS | {"sslCheckResult", "grpcCheckResult", "tracerouteCheckResult"}:
        assert any(entry[name] for entry in results), name
    assert len({entry["runLocation"] for entry in results}) > 1
    assert all(not by_check[check["id"]] for check in checks if not check["activated"])


def test_a_monitoring_execution_is_attempts_and_one_final_in_order() -> None:
    by_sequence: dict[str, list[dict[str, Any]]] = {}
    for entries in monitored()[1].values():
        for entry in reversed(entries):
            by_sequence.setdefault(entry["sequenceId"], []).append(entry)
    retried = [tries for tries in by_sequence.values() if len(tries) > 1]
    assert len(retried) > 3
    for tries in retried:
        assert [entry["resultType"] for entry in tries] == ["ATTEMPT", "FINAL"]
        assert [entry["attempts"] for entry in tries] == [1, 2]
        assert tries[0]["hasFailures"] or tries[0]["hasErrors"]
        assert tries[0]["stoppedAt"] < tries[1]["startedAt"]
        assert len({(entry["checkId"], entry["runLocation"]) for entry in tries}) == 1


def test_a_day_of_monitoring_is_some_two_hundred_results() -> None:
    client = make_client(days=7)
    sizes = [len(client.entries(f"{RESULTS}/{check['id']}", limit=100, resultType="ALL")) for check in monitored()[0]]
    assert 1_000 <= sum(sizes) <= 2_000
    assert sum(1 + size // 100 for size in sizes) <= 30


@pytest.mark.parametrize("limit", [3, 100])
def test_pages_of_results_give_each_once_newest_first(limit: int) -> None:
    key, expected = next((key, entries) for key, entries in monitored()[1].items() if len(entries) > 20)
    found = make_client().entries(f"{RESULTS}/{key}", limit=limit, resultType="ALL")
    order = [(entry["startedAt"], entry["id"]) for entry in found]
    assert order == sorted(order, reverse=True)
    assert found == expected


def test_results_are_final_ones_unless_asked_otherwise_ten_to_a_page() -> None:
    key = next(key for key, entries in monitored()[1].items() if "ATTEMPT" in {entry["resultType"] for entry in entries})
    client = make_client()
    page = client.json(f"{RESULTS}/{key}")
    assert (page["length"], {entry["resultType"] for entry in page["entries"]}) == (10, {"FINAL"})
    final, attempts = (client.entries(f"{RESULTS}/{key}", limit=100, resultType=kind) for kind in ("FINAL", "ATTEMPT"))
    assert attempts
    assert {entry["id"] for entry in final + attempts} == {entry["id"] for entry in monitored()[1][key]}


def test_the_window_of_results_is_half_open_on_their_start() -> None:
    key, entries = next((key, entries) for key, entries in monitored()[1].items() if len(entries) > 20)
    lower, upper = (instant(entries[place]["startedAt"]).timestamp() for place in (9, 4))
    found = make_client().entries(f"{RESULTS}/{key}", resultType="ALL", **{"from": f"{lower:.3f}", "to": f"{upper:.3f}"})
    assert [entry["id"] for entry in found] == [entry["id"] for entry in entries[5:10]]


def test_checks_come_in_pages_and_by_type_and_tag() -> None:
    client, every = make_client(), monitored()[0]
    assert [*client.json(CHECKS, limit=8), *client.json(CHECKS, limit=8, page=2)] == every
    assert client.json(CHECKS, limit=8, page=3) == []
    assert len(client.json(CHECKS)) == 10
    assert {check["checkType"] for check in client.json(CHECKS, limit=100, checkType="SSL")} == {"SSL"}
    assert {check["checkType"] for check in client.json(CHECKS, limit=100, tag="grpc")} == {"GRPC"}


def test_sixty_lists_of_results_in_a_minute_are_the_limit_and_other_paths_go_on() -> None:
    client = make_client(check_results_per_minute=60, clock=lambda: 0.0)
    path = f"{RESULTS}/{monitored()[0][0]['id']}"
    assert {answer.status_code for answer in client.get_all([path] * 60, limit=1)} == {200}
    refused = client.get(path)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert client.get(CHECKS).status_code == client.get(SESSIONS).status_code == 200


def test_a_moved_world_has_new_results_and_a_second_version_of_one_definition() -> None:
    (checks, before), (later_checks, after) = monitored(), monitored(hours=3)
    changed = [old["name"] for old, new in zip(checks, later_checks, strict=True) if old != new]
    assert changed == ["Cart: read"]
    for key, entries in before.items():
        known = {entry["id"] for entry in entries}
        assert [without_signatures(entry) for entry in after[key] if entry["id"] in known] == without_signatures(entries)
    assert sum(map(len, after.values())) > sum(map(len, before.values()))
    assert all(instant(entry["created_at"]) <= NOW for entries in before.values() for entry in entries)


def test_a_monitored_check_is_the_one_that_sessions_run() -> None:
    in_sessions = {result["checkId"]: result["name"] for result in standing().results.values() if result["checkId"]}
    shared = [check for check in monitored()[0] if check["id"] in in_sessions]
    assert len(shared) > 8
    assert all(in_sessions[check["id"]] == check["name"] for check in shared)
