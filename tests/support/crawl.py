"""A crawl of a provider whose runs are tracked, over an ASGI app and a history made for the test."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from pipelines.extract.client import HttpClient
from pipelines.providers.spec import Crawl, Event, Known, Provider
from tests.support.clock import VirtualClock

NOW = datetime(2026, 9, 14, 10, 20, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Due:
    """A lake in which the runs of one endpoint are due, each with its read token; `closed` ones are given up."""

    endpoint: str
    tokens: Mapping[str, str | None]
    closed: frozenset[str] = field(default=frozenset())

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        return None

    def holes(self, endpoint: str, scope: str) -> Sequence[tuple[datetime, datetime]]:
        return ()

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        return {}

    def landed_parents(self, endpoint: str) -> Sequence[str]:
        return ()

    def landed_since(self, endpoint: str, instant: datetime, without: Sequence[str] = ()) -> Sequence[Known]:
        return ()

    def due(self, endpoint: str) -> Sequence[Known]:
        assert endpoint == self.endpoint
        return [Known(endpoint, run_id, None, "open", None, None, None) for run_id in self.tokens]

    def is_closed(self, endpoint: str, entity_id: str) -> bool:
        return entity_id in self.closed

    def read_token(self, entity_id: str) -> str | None:
        return self.tokens[entity_id]


def crawled(provider: Provider, history: Due, app: Any, settings: Mapping[str, str]) -> tuple[list[Event], list[httpx.Request]]:
    """All events of a crawl over an ASGI app, and the requests that it made."""
    asked: list[httpx.Request] = []

    class Transport(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return await super().handle_async_request(request)

    async def crawl() -> list[Event]:
        async with HttpClient(provider, settings, clock=VirtualClock(NOW), rng=Random(1), transport=Transport(app)) as client:
            given = Crawl(client, history, NOW, None, None, timedelta(hours=24), timedelta(days=7), settings)
            return [event async for event in provider.discover(given)]

    return asyncio.run(crawl()), asked


def answering(body: bytes) -> Any:
    """An ASGI app that answers everything with this body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app
