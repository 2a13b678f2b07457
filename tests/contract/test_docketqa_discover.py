"""Which test runs are fetched, and what `track` understands; against the sandbox's own API."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines import jsontext
from pipelines.errors import GoneError, HaltedError, RefusedError
from pipelines.providers.docketqa import PROVIDER, sandbox
from pipelines.providers.spec import Event, Missed, Payload, Tracked, TrackedLine
from pipelines.sandbox.world import World
from tests.support.crawl import NOW, Due, answering, crawled

FIXTURES = Path(__file__).parents[1] / "fixtures" / "docketqa"


def crawl(app: Any, run_ids: Sequence[str], closed: str = "", **settings: str) -> tuple[list[Event], list[httpx.Request]]:
    """Events and requests of a crawl with these runs due."""
    history = Due("test_runs", dict.fromkeys(run_ids), frozenset({closed}))
    return crawled(PROVIDER, history, app, {**sandbox.env("http://127.0.0.1:1"), **settings})


def parsed(line: Any) -> TrackedLine:
    assert PROVIDER.parse_tracked is not None
    return PROVIDER.parse_tracked(line)


def tracked_ids(world: World) -> list[str]:
    lines = [parsed(kept) for kept in sandbox.executions(world)]
    return list(dict.fromkeys(run.entity_id for line in lines for run in line.runs))


def test_every_due_run_is_fetched_once_and_no_other() -> None:
    world = World(1, 1, NOW)
    run_ids = tracked_ids(world)
    closed, *wanted = run_ids
    events, asked = crawl(sandbox.app(world), run_ids, closed)
    found = [event for event in events if isinstance(event, Payload)]
    assert len(found) == len(events) == len(asked)
    assert sorted(event.entity_id for event in found) == sorted(wanted)
    for event in found:
        run = event.document["test_run"]
        assert (event.endpoint, event.entity_id) == ("test_runs", str(run["id"]))
        assert event.event_at == datetime.fromisoformat(run["created_at"])


def test_nothing_is_asked_when_nothing_is_due() -> None:
    assert crawl(sandbox.app(World(1, 1, NOW)), []) == ([], [])


def test_a_run_that_is_gone_does_not_hinder_the_others() -> None:
    world = World(1, 1, NOW)
    run_id = tracked_ids(world)[0]
    events, _ = crawl(sandbox.app(world), ["999999999", run_id])
    (missed,) = [event for event in events if isinstance(event, Missed)]
    assert (missed.entity_id, type(missed.error)) == ("999999999", GoneError)
    assert [event.entity_id for event in events if isinstance(event, Payload)] == [run_id]


def test_an_odd_run_id_reaches_no_other_address() -> None:
    events, asked = crawl(sandbox.app(World(1, 1, NOW)), ["../test_group_run?x=1"])
    assert [request.url.raw_path for request in asked] == [b"/test_run/..%2Ftest_group_run%3Fx%3D1"]
    assert [type(event) for event in events] == [Missed]


def test_a_wrong_key_stops_the_provider() -> None:
    world = World(1, 1, NOW)
    with pytest.raises(HaltedError, match="DOCKETQA_API_KEY"):
        crawl(sandbox.app(world), tracked_ids(world), DOCKETQA_API_KEY="another-key")


@pytest.mark.parametrize("body", [b"[]", b'{"message":"try later"}', b'{"test_run":{}}', b'{"test_run":[1]}'])
def test_an_answer_that_is_no_run_lands_nothing(body: bytes) -> None:
    ((event,), _) = crawl(answering(body), ["38"])
    assert isinstance(event, Missed)
    assert isinstance(event.error, RefusedError)
    assert event.error.body_bytes == len(body)


@pytest.mark.parametrize("created_at", ["soon", "2026-03-01T10:00:00", 7, None])
def test_a_run_with_an_unusable_time_has_no_date(created_at: object) -> None:
    body = json.dumps({"test_run": {"id": 38, "created_at": created_at}}).encode()
    ((event,), _) = crawl(answering(body), ["38"])
    assert isinstance(event, Payload)
    assert event.event_at is None


def test_track_takes_a_trigger_response_as_payload_and_its_runs() -> None:
    document = json.loads((FIXTURES / "trigger_response.json").read_text())
    line = parsed(document)
    assert line.runs == (Tracked("test_runs", "501"), Tracked("test_runs", "502"))
    created_at = datetime(2026, 3, 1, 9, 59, 59, 900_000, tzinfo=UTC)
    assert line.payloads == (("test_group_runs", "90", document, created_at),)


def test_track_takes_a_webhook_body_as_payload_and_the_runs_it_names() -> None:
    document = json.loads((FIXTURES / "webhook_stopped.json").read_text())
    line = parsed(document)
    assert line.runs == (Tracked("test_runs", "501"), Tracked("test_runs", "502"))
    assert line.payloads == (("test_group_runs", "90", document, datetime(2026, 3, 1, 9, 59, 59, tzinfo=UTC)),)


@pytest.mark.parametrize(("text", "is_one"), [("38", True), ("", False), ("run-38", False), ("38/../7", False)])
def test_only_whole_numbers_are_run_ids(text: str, is_one: bool) -> None:
    assert bool(re.fullmatch(PROVIDER.tracked_id, text)) is is_one


@pytest.mark.parametrize("line", ['{"test_run":{"id":38}}', '{"id":38}', '{"id":"38"}', '{"test_run":{"id":" 38 "}}'])
def test_track_takes_a_bare_run(line: str) -> None:
    assert parsed(jsontext.parse(line.encode())[0]) == TrackedLine(runs=(Tracked("test_runs", "38"),))


@pytest.mark.parametrize(
    "line",
    [
        "38",
        "[]",
        "{}",
        '{"id":"secret-word-1"}',
        '{"id":true}',
        '{"id":3.5}',
        '{"id":-1}',
        '{"id":35,"test_runs":[{"id":38}]}',
        '{"test_group_run":{"test_runs":[{"id":38}]}}',
        '{"event":"test_group_run_passed","payload":{"name":"secret-word-1"}}',
    ],
)
def test_track_says_what_it_does_not_understand_without_repeating_it(line: str) -> None:
    with pytest.raises(ValueError, match="DocketQA") as caught:
        parsed(jsontext.parse(line.encode())[0])
    assert "secret-word-1" not in str(caught.value)
