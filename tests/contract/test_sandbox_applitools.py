"""What the sandbox's Applitools promises: documented shapes, auth, a standing world that only `advance` moves."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.providers.applitools import sandbox
from pipelines.sandbox.world import World

NOW = datetime(2026, 9, 14, 10, 20, 31, tzinfo=UTC)
DOCUMENTS = Path(__file__).parents[3] / "shared" / "payloads" / "applitools"
COUNTERS = {"failed", "passed", "aborted", "pending", "unresolved"}


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

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


def fetch(client: Client, execution: dict[str, Any]) -> httpx.Response:
    run = execution["result"]
    return client.get(f"/api/result/{run['id']}", params={"apiKey": sandbox.API_KEY, "read_token": run["read_token"]})


def fetch_all(world: World, client: Client | None = None) -> dict[str, dict[str, Any]]:
    client = client or Client(world)
    return {run["result"]["id"]: fetch(client, run).json()["result"] for run in sandbox.executions(world)}


def assert_same_shape(answer: Any, documented: Any, where: str = "", extra: frozenset[str] = frozenset()) -> None:
    """Every documented key is there with the documented JSON type, and nothing but `extra` beside it."""
    assert type(answer) is type(documented), where
    if isinstance(documented, dict):
        assert documented.keys() <= answer.keys() <= documented.keys() | extra, where
        for key, value in documented.items():
            assert_same_shape(answer[key], value, f"{where}/{key}", extra)
    elif isinstance(documented, list):
        for index, item in enumerate(answer):
            assert_same_shape(item, documented[0], f"{where}/{index}", extra)


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the documented examples are not beside this checkout")
def test_answers_have_the_keys_and_types_of_the_documented_examples() -> None:
    world = make_world()
    client = Client(world)
    documented = json.loads((DOCUMENTS / "doc_get_result.json").read_text())
    execution = json.loads((DOCUMENTS / "doc_execute_plan.json").read_text())
    ended = [run for run in sandbox.executions(world) if fetch(client, run).json()["result"]["status"] != "pending"]
    assert len(ended) > 40
    for run in ended:
        assert_same_shape(run, execution)
        assert_same_shape(fetch(client, run).json(), documented, extra=frozenset({"testResultsUrl"}))
    triggered = client.post(f"/api/plan/{sandbox.plan_ids(world)[0]}/execute", params={"apiKey": sandbox.API_KEY})
    assert_same_shape(triggered.json(), execution)


def test_about_six_runs_a_day_start_within_the_history_and_never_after_now() -> None:
    world = make_world(days=7)
    runs = fetch_all(world)
    assert 42 <= len(runs) <= 46
    starts = [datetime.fromisoformat(run["started_at"]) for run in runs.values() if "started_at" in run]
    assert world.started_at - timedelta(days=7) <= min(starts)
    assert max(starts) <= NOW
    for run in runs.values():
        if run["status"] not in ("pending", "running"):
            assert datetime.fromisoformat(run["started_at"]) + timedelta(milliseconds=run["duration"]) <= NOW
            assert 60_000 <= run["duration"] <= 1_500_000


def test_one_day_already_holds_every_status() -> None:
    statuses = Counter(run["status"] for run in fetch_all(make_world(days=1)).values())
    assert set(statuses) == {"passed", "failed", "aborted", "unresolved", "completed", "pending", "running"}


def test_counters_of_a_run_are_the_sums_over_its_tests_and_fit_its_status() -> None:
    for run in fetch_all(make_world()).values():
        assert set(run["results"]) == COUNTERS
        for counter in COUNTERS:
            assert run["results"][counter] == sum(test["results"][counter] for test in run["tests"])
        if run["status"] in ("failed", "aborted", "unresolved", "pending"):
            assert run["results"][run["status"]] > 0
            assert any(test["status"] == run["status"] for test in run["tests"])
        if run["status"] == "passed":
            assert {name for name, count in run["results"].items() if count} == {"passed"}
    completed = [run for run in fetch_all(make_world(days=30)).values() if run["status"] == "completed"]
    assert {bool(run["results"]["failed"]) for run in completed} == {True, False}


def test_unnamed_tests_and_optional_links_and_phones_occur() -> None:
    runs = fetch_all(make_world()).values()
    tests = [test for run in runs for test in run["tests"]]
    assert {test["name"] == "" for test in tests} == {True, False}
    assert {test["sitemap"] == "" for test in tests} == {True, False}
    assert {"testResultsUrl" in test for test in tests} == {True, False}
    assert {place["device"] for run in runs for place in run["environments"]} > {"Desktop", "iPhone 14"}


def test_a_test_keeps_its_id_and_name_over_its_runs() -> None:
    names: dict[str, set[str]] = {}
    for run in fetch_all(make_world()).values():
        for test in run["tests"]:
            names.setdefault(test["id"], set()).add(test["name"])
    assert len(names) == 16
    assert all(len(seen) == 1 for seen in names.values())


def test_key_and_read_token_are_both_needed_and_refusals_repeat_neither() -> None:
    world = make_world()
    client = Client(world)
    first, second = (run["result"] for run in sandbox.executions(world)[:2])
    path, key = f"/api/result/{first['id']}", sandbox.API_KEY
    refused = {
        "no key": (client.get(path, params={"read_token": first["read_token"]}), 401),
        "wrong key": (client.get(path, params={"apiKey": "wrong", "read_token": first["read_token"]}), 401),
        "no token": (client.get(path, params={"apiKey": key}), 403),
        "another run's token": (client.get(path, params={"apiKey": key, "read_token": second["read_token"]}), 403),
        "unknown run": (client.get(f"/api/result/{uuid.UUID(int=1)}", params={"apiKey": key}), 404),
        "execute without key": (client.post(f"/api/plan/{sandbox.plan_ids(world)[0]}/execute"), 401),
        "execute unknown plan": (client.post("/api/plan/none/execute", params={"apiKey": key}), 404),
    }
    assert {case: answer.status_code for case, (answer, _) in refused.items()} == {case: status for case, (_, status) in refused.items()}
    for answer, _ in refused.values():
        assert set(answer.json()) == {"error"}
        assert key not in answer.text
        assert sandbox.READ_TOKEN_PREFIX not in answer.text


def test_a_standing_world_answers_the_same_bytes_in_any_order() -> None:
    one, other = make_world(), make_world()
    runs = sandbox.executions(one)
    assert runs == sandbox.executions(other)
    first, second = Client(one), Client(other)
    answers = {run["result"]["id"]: fetch(first, run).content for run in runs}
    assert answers == {run["result"]["id"]: fetch(second, run).content for run in reversed(runs)}
    assert answers == {run["result"]["id"]: fetch(first, run).content for run in runs}
    assert sandbox.executions(make_world(seed=2)) != runs


def test_a_longer_history_changes_nothing_of_the_shorter_one() -> None:
    short, long = fetch_all(make_world(days=2)), fetch_all(make_world(days=5))
    assert short.items() <= long.items()


def test_advance_finishes_running_and_pending_runs_and_leaves_ended_ones_alone() -> None:
    world = make_world()
    client = Client(world)
    before = fetch_all(world, client)
    going = {run_id for run_id, run in before.items() if run["status"] in ("pending", "running")}
    assert {before[run_id]["status"] for run_id in going} == {"pending", "running"}
    world.advance(timedelta(minutes=20))
    after = fetch_all(world, client)
    assert {after[run_id]["status"] for run_id in going} == {"passed", "failed"}
    assert {run_id: run for run_id, run in after.items() if run_id not in going} == {
        run_id: run for run_id, run in before.items() if run_id not in going
    }


def test_a_late_run_is_unknown_until_it_arrives() -> None:
    world, ahead = make_world(), make_world()
    ahead.advance(timedelta(hours=3))
    before, after = fetch_all(world), fetch_all(ahead)
    new = after.keys() - before.keys()
    late = [run_id for run_id in new if datetime.fromisoformat(after[run_id]["started_at"]) < NOW]
    assert len(late) == 1
    client = Client(world)
    assert client.get(f"/api/result/{late[0]}", params={"apiKey": sandbox.API_KEY}).status_code == 404
    world.advance(timedelta(hours=3))
    assert late[0] in fetch_all(world, client)


def test_unresolved_turns_passed_or_failed_when_reviewed() -> None:
    world = make_world(days=1)
    client = Client(world)
    waiting = {run_id for run_id, run in fetch_all(world, client).items() if run["status"] == "unresolved"}
    assert len(waiting) == 2
    world.advance(timedelta(days=2))
    reviewed = fetch_all(world, client)
    assert sorted(reviewed[run_id]["status"] for run_id in waiting) == ["failed", "passed"]
    assert all(reviewed[run_id]["results"]["unresolved"] == 0 for run_id in waiting)


def test_execute_starts_a_run_that_ends_when_time_goes_on() -> None:
    def executed() -> tuple[World, Client, dict[str, Any]]:
        world = make_world()
        client = Client(world)
        answer = client.post(
            f"/api/plan/{sandbox.plan_ids(world)[2]}/execute",
            params={"apiKey": sandbox.API_KEY},
            json={"parameter_values": {"base_url": "https://staging.example.test"}},
        )
        assert answer.status_code == 200
        return world, client, answer.json()

    world, client, run = executed()
    assert run == executed()[2]
    assert fetch(client, run).json()["result"]["status"] == "pending"
    world.advance(timedelta(minutes=2))
    assert fetch(client, run).json()["result"]["status"] == "running"
    world.advance(timedelta(minutes=20))
    assert fetch(client, run).json()["result"]["status"] == "passed"
    plan = f"/api/plan/{sandbox.plan_ids(world)[2]}/execute"
    assert client.post(plan, params={"apiKey": sandbox.API_KEY}).json() != run
    assert client.post(plan, params={"apiKey": sandbox.API_KEY}, content="{").status_code == 400


def test_every_planted_secret_is_in_what_the_sandbox_gives() -> None:
    world = make_world(days=1)
    text = json.dumps([fetch_all(world), sandbox.executions(world)], ensure_ascii=False)
    assert [secret for secret in sandbox.PLANTED_SECRETS if secret not in text] == []
    assert sandbox.READ_TOKEN_PREFIX not in json.dumps(fetch_all(world))
    tokens = [run["result"]["read_token"] for run in sandbox.executions(world)]
    assert all(token.startswith(sandbox.READ_TOKEN_PREFIX) for token in tokens)
    assert len(set(tokens)) == len(tokens)


def test_env_points_a_sync_here_and_carries_no_read_token() -> None:
    assert sandbox.env("http://127.0.0.1:9/applitools") == {
        "APPLITOOLS_API_URL": "http://127.0.0.1:9/applitools",
        "APPLITOOLS_API_KEY": sandbox.API_KEY,
    }
