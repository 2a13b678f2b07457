"""Checkly from the sandbox's HTTP answers to rows: everything that happened is crawled once, decoded, and nothing drifts."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import duckdb
import httpx
import polars as pl

from pipelines.extract.client import HttpClient
from pipelines.jsontext import dump
from pipelines.providers.checkly import PROVIDER, sandbox
from pipelines.providers.checkly.discover_checks import discover_checks
from pipelines.providers.checkly.sandbox.history import History as Plan
from pipelines.providers.checkly.sandbox.monitors import Monitors
from pipelines.providers.spec import Covered, Crawl, Event, Missed, Payload
from pipelines.sandbox.world import World
from pipelines.schemas import FLATTENED
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.transform.validate import conform, split
from tests.contract.test_checkly_discover import Lake
from tests.support.clock import VirtualClock

NOW = datetime(2026, 11, 22, 10, 20, 31, tzinfo=UTC)


def sync(
    world: World,
    lake: Lake,
    clock: VirtualClock | None = None,
    discover: Callable[[Crawl], AsyncIterator[Event]] = PROVIDER.discover,
    **limits: int,
) -> list[Event]:
    """One crawl of the world by the real client; what it yields is then known to the lake."""
    settings = sandbox.env("http://127.0.0.1")
    clock = clock or VirtualClock(world.now)

    async def collect() -> list[Event]:
        transport = httpx.ASGITransport(sandbox.app(world, clock=clock.monotonic, **limits))
        async with HttpClient(PROVIDER, settings, clock=clock, rng=random.Random(1), transport=transport) as client:
            job = Crawl(client, lake, world.now, None, None, timedelta(hours=24), timedelta(days=world.days), settings)
            return [event async for event in discover(job)]

    events = asyncio.run(collect())
    lake.to_fetch = {}
    for event in events:
        if isinstance(event, Payload):
            state = PROVIDER.endpoint(event.endpoint).state(event.document)
            lake.land(event.endpoint, event.entity_id, state, event.parent_id)
        elif isinstance(event, Covered) and event.scope == "":
            lake.covered_to = event.to_at
    return events


def ids(events: list[Event], endpoint: str) -> set[str]:
    return {event.entity_id for event in events if isinstance(event, Payload) and event.endpoint == endpoint}


def test_every_session_and_result_of_the_sandbox_becomes_rows_without_drift_or_reject() -> None:
    world = World(seed=7, days=3, now=NOW)
    events = sync(world, Lake())
    sessions = Plan(world).visible()
    assert ids(events, "test_sessions") == ids(events, "test_session_rows") == {session.id for session in sessions}
    over = {item.id for session in sessions for item in session.tries if item.queued_at <= world.now}
    assert ids(events, "test_session_results") == over
    monitors = Monitors(world)
    since = world.now - timedelta(days=world.days)
    assert ids(events, "checks") == set(monitors.by_id)
    ran = {each.item.id for key in monitors.by_id for each in monitors.results(key, since, world.now)}
    assert ids(events, "check_results") == ran
    assert len(ran) > 100
    connection = duckdb.connect()
    for endpoint in PROVIDER.endpoints:
        found = [event for event in events if isinstance(event, Payload) and event.endpoint == endpoint.name]
        frame = pl.DataFrame(
            {
                "entity_id": [event.entity_id for event in found],
                "parent_id": [event.parent_id for event in found],
                "fetched_at": [event.reply.fetched_at for event in found],
                "payload": [dump(event.document) for event in found],
            },
            schema_overrides={"parent_id": pl.String},
        )
        decoded, rejected = decode(frame, endpoint.tree, connection=connection)
        assert rejected.is_empty()
        assert find_drift(frame, decoded, endpoint.tree, connection=connection).is_empty()
        frames = endpoint.flatten(decoded)
        assert frames.pop("drift", decoded.clear()).is_empty()
        for name, flattened in frames.items():
            _, refused = split(conform(flattened, FLATTENED[name]), FLATTENED[name])
            assert refused.is_empty(), (name, refused)
            assert flattened.height > 0, name


def test_a_standing_world_is_asked_again_only_for_what_runs_and_a_moved_one_ends_it() -> None:
    world, lake = World(seed=7, days=1, now=NOW), Lake()
    running = {
        event.entity_id
        for event in sync(world, lake)
        if isinstance(event, Payload) and event.endpoint == "test_sessions" and event.document["status"] == "RUNNING"
    }
    assert running
    assert ids(sync(world, lake), "test_sessions") == running
    world.advance(timedelta(hours=1))
    assert ids(sync(world, lake), "test_sessions") >= running
    assert not any(lake.to_fetch.values())


def test_sixty_lists_of_results_a_minute_delay_a_crawl_and_lose_nothing() -> None:
    world, lake = World(seed=7, days=30, now=NOW), Lake()
    clock = VirtualClock(world.now)
    began_s = clock.monotonic()
    events = sync(world, lake, clock, discover_checks, check_results_per_minute=60)
    assert not [event for event in events if isinstance(event, Missed)]
    assert len([event for event in events if isinstance(event, Covered) and event.endpoint == "check_results"]) > 60
    assert clock.monotonic() - began_s >= 60
    monitors = Monitors(world)
    ran = {each.item.id for key in monitors.by_id for each in monitors.results(key, NOW - timedelta(days=30), NOW)}
    assert ids(events, "check_results") == ran
