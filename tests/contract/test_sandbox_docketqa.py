"""What the sandbox's DocketQA promises: documented shapes, auth, a standing world that only `advance` moves."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.providers.docketqa import sandbox
from pipelines.sandbox.world import World

NOW = datetime(2026, 9, 14, 10, 20, 31, tzinfo=UTC)
DOCUMENTS = Path(__file__).parents[3] / "shared" / "payloads" / "docketqa"
KEY = {"X-API-KEY": sandbox.API_KEY}
NOT_RUN = {"is_successful": False, "result": "Step not completed", "duration": 0, "actions": []}


def make_world(days: int = 7, seed: int = 1) -> World:
    return World(seed, days, NOW)


class Client:
    """The app of one world, called in process."""

    def __init__(self, world: World) -> None:
        self._app = sandbox.app(world)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def run(self, run_id: object, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.request("GET", f"/test_run/{run_id}", headers=KEY if headers is None else headers)

    def trigger(self, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        path = "/test_group_run/trigger_run"
        return self.request("POST", path, headers=KEY if headers is None else headers, content=json.dumps(body))


def groups_of(world: World) -> list[dict[str, Any]]:
    return [kept["test_group_run"] for kept in sandbox.executions(world) if "test_group_run" in kept]


def webhooks_of(world: World) -> list[dict[str, Any]]:
    return [kept for kept in sandbox.executions(world) if "event" in kept]


def run_ids(world: World) -> list[int]:
    return [run["id"] for group in groups_of(world) for run in group["test_runs"]]


def fetch_all(world: World, client: Client | None = None) -> dict[int, dict[str, Any]]:
    client = client or Client(world)
    return {run_id: client.run(run_id).json()["test_run"] for run_id in run_ids(world)}


def attempts_of(run: dict[str, Any]) -> list[list[dict[str, Any]]]:
    tries = [run["results"], *(attempt["results"] for attempt in run.get("additional_attempts", []))]
    return [results for results in tries if results is not None]


def assert_same_shape(answer: Any, documented: Any, where: str = "", optional: frozenset[str] = frozenset()) -> None:
    """Every documented key but `optional` ones is there with the documented type, and no other; {} stands for any."""
    assert type(answer) is type(documented), where
    if isinstance(documented, dict) and documented:
        assert documented.keys() - optional <= answer.keys() <= documented.keys() | optional, where
        for key in documented.keys() & answer.keys():
            assert_same_shape(answer[key], documented[key], f"{where}/{key}", optional)
    elif isinstance(documented, list):
        for index, item in enumerate(answer):
            assert_same_shape(item, documented[0], f"{where}/{index}", optional)


needs_documents = pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the documented examples are not beside this checkout")


@needs_documents
def test_ended_runs_have_the_keys_and_types_of_the_documented_schema() -> None:
    documented = json.loads((DOCUMENTS / "doc_get_test_run_schema_v2.json").read_text())["test_run"]
    optional = frozenset({"additional_attempts", "screenshot_url_before", "api_response"})
    ended = [run for run in fetch_all(make_world()).values() if run["results"] is not None]
    assert len(ended) > 70
    for run in ended:
        assert_same_shape(run, documented, optional=optional)


@needs_documents
def test_snapshots_hold_what_the_documented_example_holds() -> None:
    documented = json.loads((DOCUMENTS / "doc_get_test_run.json").read_text())["test_run"]["blueprint_metadata"]
    for run in fetch_all(make_world()).values():
        snapshot = run["blueprint_metadata"]
        assert {key: type(snapshot[key]) for key in documented} == {k: type(v) for k, v in documented.items()}
        for number, step in enumerate(snapshot["steps"], 1):
            assert step["step_number"] == number
            assert {key: type(step[key]) for key in documented["steps"][0]} == {
                key: type(value) for key, value in documented["steps"][0].items()
            }


@needs_documents
def test_trigger_responses_and_webhooks_have_the_documented_keys_and_types() -> None:
    world = make_world()
    response = json.loads((DOCUMENTS / "doc_trigger_run_response.json").read_text())
    body = json.loads((DOCUMENTS / "doc_webhook_test_group_run_passed.json").read_text())
    body["payload"]["github_context"]["repository"] = ""  # named by the page, cut off in the stored example
    body["payload"]["tests"] = [{}]
    fresh = Client(world).trigger({"test_blueprint_ids": [180, 183]}).json()
    for kept in [*(kept for kept in sandbox.executions(world) if "message" in kept), fresh]:
        assert_same_shape(kept, response)
    assert webhooks_of(world)
    for kept in webhooks_of(world):
        assert_same_shape(kept, body, optional=frozenset({"github_context"}))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", kept["payload"]["updated_at"])


def test_about_twelve_runs_a_day_in_groups_of_one_to_five_and_none_after_now() -> None:
    world = make_world(days=7)
    sizes = [len(group["test_runs"]) for group in groups_of(world)]
    assert {1, 2, 3, 4, 5} == set(sizes)
    assert 70 <= sum(sizes) <= 100
    for run in fetch_all(world).values():
        created_at, updated_at = (datetime.fromisoformat(run[key]) for key in ("created_at", "updated_at"))
        assert world.started_at - timedelta(days=7) <= created_at < updated_at <= NOW
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", run["updated_at"])


def test_one_day_already_holds_every_kind_of_run_step_and_event() -> None:
    world = make_world(days=1)
    runs = fetch_all(world).values()
    assert {run["status"] for run in runs} == {"running", "passed", "failed", "stopped"}
    steps = [step for run in runs for step in run["blueprint_metadata"]["steps"]]
    assert {step["type"] for step in steps} == {"act", "assert", "api", "recorded", "module", "trigger_run"}
    kinds = {action["type"] for run in runs for tried in attempts_of(run) for step in tried for action in step["actions"]}
    assert kinds >= {"click_element", "input_text", "extract_content", "scroll_down", "api_request", "trigger_run"}
    assert {kept["event"] for kept in webhooks_of(world)} == {
        "test_group_run_passed",
        "test_group_run_failed",
        "test_group_run_stopped",
    }


def test_steps_after_the_failed_one_were_not_run_and_have_no_flag_that_says_so() -> None:
    failed = [run for run in fetch_all(make_world()).values() if run["status"] == "failed"]
    skipped = 0
    for run in failed:
        for results in attempts_of(run):
            first = next(place for place, step in enumerate(results) if not step["is_successful"])
            assert results[first]["duration"] > 0
            assert results[first]["actions"]
            assert results[first]["result"] != NOT_RUN["result"]
            for step in results[first + 1 :]:
                assert {key: step[key] for key in NOT_RUN} == NOT_RUN
                skipped += 1
    assert skipped > 5


def test_retries_stand_in_additional_attempts_only_after_a_failed_first_attempt() -> None:
    runs = fetch_all(make_world()).values()
    retried = [run for run in runs if "additional_attempts" in run]
    assert {run["status"] for run in retried} == {"passed", "failed"}
    for run in retried:
        first, *others = attempts_of(run)
        assert not all(step["is_successful"] for step in first)
        assert 1 <= len(others) <= run["blueprint_metadata"]["num_retries"]
        assert all(step["is_successful"] for step in others[-1]) == (run["status"] == "passed")
        assert all(attempt["test_video_url"].startswith("https://") for attempt in run["additional_attempts"])
    for run in runs:
        if run["status"] == "passed" and "additional_attempts" not in run:
            assert all(step["is_successful"] for step in run["results"])


def test_step_durations_are_whole_seconds_that_fit_into_the_run() -> None:
    going_on = {run["id"] for run in fetch_all(make_world()).values() if run["status"] == "running"}
    world = make_world()
    world.advance(timedelta(hours=1))
    for run in fetch_all(world).values():
        if run["status"] == "stopped" or run["id"] in going_on:  # those end when they were told to
            continue
        took = datetime.fromisoformat(run["updated_at"]) - datetime.fromisoformat(run["created_at"])
        durations = [step["duration"] for results in attempts_of(run) for step in results]
        assert all(type(duration) is int for duration in durations)
        assert 0 < took.total_seconds() - sum(durations) < 10 * len(attempts_of(run))


def test_stopped_runs_come_with_and_without_results() -> None:
    stopped = [run for run in fetch_all(make_world(days=1)).values() if run["status"] == "stopped"]
    assert {run["results"] is None for run in stopped} == {True, False}


def test_a_webhook_agrees_with_the_runs_of_its_group() -> None:
    world = make_world()
    runs = fetch_all(world)
    for kept in webhooks_of(world):
        payload = kept["payload"]
        members = [run for run in runs.values() if run["test_group_run_id"] == payload["id"]]
        counts = Counter(run["status"] for run in members)
        assert payload["tests_ran"] == len(members)
        assert {"passed": payload["tests_passed"], "failed": payload["tests_failed"]} == {
            status: counts[status] for status in ("passed", "failed")
        }
        assert payload["tests_stopped"] == counts["stopped"]
        assert [test["id"] for test in payload["tests"]] == [run["id"] for run in members]
    assert {"github_context" in kept["payload"] for kept in webhooks_of(world)} == {True, False}


def test_a_blueprint_changes_within_the_history() -> None:
    runs = [run for run in fetch_all(make_world()).values() if run["test_blueprint_id"] == 180]
    runs.sort(key=lambda run: str(run["created_at"]))
    titles = [run["blueprint_metadata"]["title"] for run in runs]
    assert titles == sorted(titles)  # "Login" before "Login Flow", changed once
    assert set(titles) == {"Login", "Login Flow"}


def test_a_key_is_needed_and_refusals_are_json_that_repeats_none() -> None:
    world = make_world()
    client = Client(world)
    run_id = run_ids(world)[0]
    refused = [
        (client.run(run_id, headers={}), 401),
        (client.run(run_id, headers={"X-API-KEY": "wrong-key"}), 403),
        (client.run(1), 404),
        (client.run("abc"), 404),
        (client.run(10**30), 404),
        (client.trigger({"test_blueprint_ids": [180]}, headers={}), 401),
        (client.trigger({"test_blueprint_ids": [180]}, headers={"X-API-KEY": "wrong-key"}), 403),
        (client.trigger({"test_blueprint_ids": []}), 400),
        (client.trigger({"test_blueprint_ids": ["180"]}), 400),
        (client.trigger([]), 400),
        (client.trigger({"test_blueprint_ids": [1]}), 404),
    ]
    assert [answer.status_code for answer, _ in refused] == [status for _, status in refused]
    for answer, _ in refused:
        assert set(answer.json()) == {"error"}
        assert sandbox.API_KEY not in answer.text
        assert "wrong-key" not in answer.text


def test_a_standing_world_answers_the_same_bytes_in_any_order() -> None:
    one, other = make_world(), make_world()
    assert sandbox.executions(one) == sandbox.executions(other)
    first, second, ids = Client(one), Client(other), run_ids(one)
    answers = {run_id: first.run(run_id).content for run_id in ids}
    assert answers == {run_id: second.run(run_id).content for run_id in reversed(ids)}
    assert answers == {run_id: first.run(run_id).content for run_id in ids}
    assert sandbox.executions(make_world(seed=2)) != sandbox.executions(one)


def test_a_longer_history_changes_nothing_of_the_shorter_one() -> None:
    short, long = fetch_all(make_world(days=2)), fetch_all(make_world(days=5))
    assert len(short) < len(long)
    assert short.items() <= long.items()
    assert Client(make_world(days=2)).run(min(long)).status_code == 404


def test_advance_ends_running_runs_and_leaves_ended_ones_alone() -> None:
    world = make_world()
    client = Client(world)
    before = fetch_all(world, client)
    running = {run_id for run_id, run in before.items() if run["status"] == "running"}
    assert len(running) == 2
    assert all(before[run_id]["results"] is None for run_id in running)
    world.advance(timedelta(minutes=20))
    after = fetch_all(world, client)
    assert sorted(after[run_id]["status"] for run_id in running) == ["failed", "passed"]
    assert all(after[run_id]["created_at"] == before[run_id]["created_at"] for run_id in running)
    assert {run_id: after[run_id] for run_id in before.keys() - running} == {run_id: before[run_id] for run_id in before.keys() - running}


def test_a_late_group_is_unknown_until_it_arrives() -> None:
    world, ahead = make_world(), make_world()
    ahead.advance(timedelta(hours=2, minutes=10))
    known, client = set(run_ids(world)), Client(world)
    runs = fetch_all(ahead)
    late = [run_id for run_id in runs.keys() - known if datetime.fromisoformat(runs[run_id]["updated_at"]) < NOW]
    assert len(late) == 2
    assert [client.run(run_id).status_code for run_id in late] == [404, 404]
    world.advance(timedelta(hours=2, minutes=10))
    assert [client.run(run_id).status_code for run_id in late] == [200, 200]


def test_a_triggered_group_runs_and_ends_when_time_goes_on() -> None:
    world = make_world()
    client = Client(world)
    group = client.trigger({"test_blueprint_ids": [180, 183]}).json()["test_group_run"]
    assert group == Client(make_world()).trigger({"test_blueprint_ids": [180, 183]}).json()["test_group_run"]
    ids = [run["id"] for run in group["test_runs"]]
    assert [client.run(run_id).json()["test_run"]["status"] for run_id in ids] == ["running", "running"]
    world.advance(timedelta(minutes=15))
    ended = [client.run(run_id).json()["test_run"] for run_id in ids]
    assert [(run["status"], run["test_group_run_id"]) for run in ended] == [("passed", group["id"])] * 2
    again = client.trigger({"test_blueprint_ids": [180]}).json()["test_group_run"]
    assert again["id"] > group["id"]
    assert again["test_runs"][0]["id"] not in ids


def test_every_planted_secret_is_in_what_the_sandbox_gives() -> None:
    world = make_world()
    text = json.dumps([fetch_all(world), sandbox.executions(world)], ensure_ascii=False)
    assert [secret for secret in sandbox.PLANTED_SECRETS if secret not in text] == []
    urls = re.findall(r'https://docket-artifacts[^"]+', text)
    assert len(urls) > 500
    assert all("X-Amz-Signature=" in url and "X-Amz-Credential=" in url for url in urls)


def test_env_points_a_sync_here() -> None:
    assert sandbox.env("http://127.0.0.1:9/docketqa") == {
        "DOCKETQA_API_URL": "http://127.0.0.1:9/docketqa",
        "DOCKETQA_API_KEY": sandbox.API_KEY,
    }
