"""Which plan runs are fetched, with what token, and what `track` understands; against the sandbox's own API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
import pytest

from pipelines import jsontext
from pipelines.errors import GoneError, HaltedError, RefusedError, RejectedError
from pipelines.providers.applitools import PROVIDER, sandbox
from pipelines.providers.spec import Event, Missed, Payload, Tracked
from pipelines.sandbox.world import World
from tests.support.crawl import NOW, Due, answering, crawled


def crawl(app: Any, tokens: Mapping[str, str | None], closed: str = "", **settings: str) -> tuple[list[Event], list[httpx.Request]]:
    """Events and requests of a crawl with these runs due."""
    history = Due("plan_runs", tokens, frozenset({closed}))
    return crawled(PROVIDER, history, app, {**sandbox.env("http://127.0.0.1:1"), **settings})


def tracked_runs(world: World) -> dict[str, str | None]:
    assert PROVIDER.parse_tracked is not None
    lines = [PROVIDER.parse_tracked(execution) for execution in sandbox.executions(world)]
    return {run.entity_id: run.read_token for line in lines for run in line.runs}


def test_every_due_run_is_fetched_once_with_its_own_token_and_no_other() -> None:
    world = World(1, 1, NOW)
    tokens = tracked_runs(world)
    closed = min(tokens)
    events, asked = crawl(sandbox.app(world), tokens, closed)
    assert all(isinstance(event, Payload) and event.endpoint == "plan_runs" for event in events)
    assert sorted(event.entity_id for event in events if isinstance(event, Payload)) == sorted(set(tokens) - {closed})
    assert len(asked) == len(tokens) - 1
    for request in asked:
        assert request.url.params["read_token"] == tokens[request.url.path.rsplit("/", 1)[1]]


def test_no_token_stands_in_what_a_crawl_says() -> None:
    world = World(1, 1, NOW)
    events, _ = crawl(sandbox.app(world), tracked_runs(world))
    shown = [event.reply.request_url for event in events if isinstance(event, Payload)]
    assert shown
    assert not [url for url in shown if sandbox.READ_TOKEN_PREFIX in url or sandbox.API_KEY in url]


def test_the_date_is_the_start_else_the_fetch() -> None:
    world = World(1, 1, NOW)
    events, _ = crawl(sandbox.app(world), tracked_runs(world))
    found = [(event, event.document["result"].get("started_at")) for event in events if isinstance(event, Payload)]
    assert {started is None for _, started in found} == {True, False}, "the sandbox has a queued run"
    for event, started in found:
        assert event.event_at == (datetime.fromisoformat(started) if started else NOW)


def test_a_refused_or_missing_run_does_not_hinder_the_others() -> None:
    world = World(1, 1, NOW)
    good, *others = tracked_runs(world).items()
    refused = others[0][0]
    # In this order nothing has succeeded before the refusal: a default key is refused for runs, not for good.
    tokens: dict[str, str | None] = {refused: None, "00000000-0000-4000-8000-000000000000": "none", good[0]: good[1]}
    events, _ = crawl(sandbox.app(world), tokens)
    missed = {event.entity_id: event.error for event in events if isinstance(event, Missed)}
    assert [event.entity_id for event in events if isinstance(event, Payload)] == [good[0]]
    assert missed.keys() == tokens.keys() - {good[0]}
    error = missed[refused]
    assert isinstance(error, RejectedError)
    assert error.rule == "forbidden"
    assert "APPLITOOLS_READ_TOKEN" in str(error)
    assert sandbox.API_KEY not in str(error)
    assert isinstance(missed["00000000-0000-4000-8000-000000000000"], GoneError)


def test_the_setting_serves_runs_without_a_token_of_their_own() -> None:
    world = World(1, 1, NOW)
    run_id, token = next(iter(tracked_runs(world).items()))
    events, _ = crawl(sandbox.app(world), {run_id: None}, APPLITOOLS_READ_TOKEN=token or "")
    assert [type(event) for event in events] == [Payload]


def test_a_wrong_key_stops_the_provider() -> None:
    world = World(1, 1, NOW)
    with pytest.raises(HaltedError, match="APPLITOOLS_API_KEY"):
        crawl(sandbox.app(world), tracked_runs(world), APPLITOOLS_API_KEY="another-key")


@pytest.mark.parametrize("body", [b"[]", b'{"error":"try later"}', b'{"result":{}}'])
def test_an_answer_that_is_no_run_lands_nothing(body: bytes) -> None:
    ((event,), _) = crawl(answering(body), {"run-1": None})
    assert isinstance(event, Missed)
    assert isinstance(event.error, RefusedError)
    assert event.error.body_bytes == len(body)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"result":{"id":"r-1","read_token":"tok-1"}}', Tracked("plan_runs", "r-1", "tok-1")),
        ('{"id":"r-1","read_token":"tok-1"}', Tracked("plan_runs", "r-1", "tok-1")),
        ('{"result":{"id":" r-1 "}}', Tracked("plan_runs", "r-1", None)),
    ],
)
def test_track_understands_execute_responses(line: str, expected: Tracked) -> None:
    assert PROVIDER.parse_tracked is not None
    parsed = PROVIDER.parse_tracked(jsontext.parse(line.encode())[0])
    assert (parsed.runs, parsed.payloads) == ((expected,), ())


@pytest.mark.parametrize(
    "line",
    [
        '"r-1"',
        "[]",
        "{}",
        '{"result":{"id":""}}',
        '{"result":{"id":7}}',
        '{"result":{"read_token":"tok-secret-1"}}',
        '{"id":"r-1","read_token":9}',
    ],
)
def test_track_says_what_it_does_not_understand_without_repeating_it(line: str) -> None:
    assert PROVIDER.parse_tracked is not None
    with pytest.raises(ValueError, match="Applitools") as caught:
        PROVIDER.parse_tracked(jsontext.parse(line.encode())[0])
    assert "tok-secret-1" not in str(caught.value)
