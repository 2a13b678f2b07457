"""HTTP for tests: servers that say exactly what they are told, byte by byte, and a provider to ask them with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from pipelines.clock import Clock
from pipelines.extract.client import HttpClient
from pipelines.extract.limits import Limits
from pipelines.providers.spec import Auth, Crawl, Event, Provider, RateLimit, Setting
from tests.support.clock import VirtualClock

API_KEY = "canary-api-key-0a1b2c3d4e"
APP_KEY = "canary-app-key-5f6a7b8c9d"
QUERY_KEY = "canary/query+key=1234"
SETTINGS = {"ACME_API_KEY": API_KEY, "ACME_APP_KEY": APP_KEY, "ACME_QUERY_KEY": QUERY_KEY}

Script = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Writes the answer to the n-th request (from 0). The connection is closed after it."""


@dataclass
class RawServer:
    """`heads` are the request heads as they came: request line and headers."""

    url: str = ""
    heads: list[str] = field(default_factory=list)


@asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[RawServer]:
    """Serve every request with the script, on a free port of 127.0.0.1."""
    server = RawServer()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            server.heads.append(head.decode("latin-1"))
            await script(writer, len(server.heads) - 1)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()


def raw(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A response in bytes. `length` overrides Content-Length; -1 leaves it out: only the close ends the body."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def always(response: bytes) -> Script:
    """The same answer to every request."""

    async def script(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(response)

    return script


def answer(status: int = 200, body: bytes = b'{"ok":true}', /, **headers: str) -> httpx.Response:
    """A streamed response for `httpx.MockTransport`; `x_ratelimit_reset="5"` becomes that header."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=names, stream=httpx.ByteStream(body))


async def _nothing(_: Crawl) -> AsyncIterator[Event]:
    return
    yield


def acme(**changes: Any) -> Provider:
    """A provider with two keys in headers, one in the query, and no endpoints."""
    given: dict[str, Any] = {
        "name": "acme",
        "title": "Acme",
        "base_url": "https://api.acme.test",
        "url_setting": "ACME_API_URL",
        "settings": (
            Setting("ACME_API_KEY", "key", required=True, secret=True),
            Setting("ACME_APP_KEY", "key", required=True, secret=True),
            Setting("ACME_QUERY_KEY", "key in the query", secret=True),
            Setting("ACME_ACCOUNT", "account"),
        ),
        "auth": Auth(
            headers={
                "X-Api-Key": "{ACME_API_KEY}",
                "Authorization": "Bearer {ACME_APP_KEY}",
                "X-Acc": "{ACME_ACCOUNT}",
            },
            query={"apiKey": "{ACME_QUERY_KEY}"},
        ),
        "endpoints": (),
        "discover": _nothing,
        "rate_limit": RateLimit(requests=10_000, per_s=60, concurrency=4),
    }
    return Provider(**{**given, **changes})


def client(
    to: str | Callable[[httpx.Request], httpx.Response],
    *,
    clock: Clock | None = None,
    seed: int = 1,
    limits: Limits | None = None,
    **changes: Any,
) -> HttpClient:
    """A client of `acme`: to a URL over real sockets, or to a function from request to response."""
    is_url = isinstance(to, str)
    return HttpClient(
        acme(**changes),
        {**SETTINGS, "ACME_API_URL": to} if isinstance(to, str) else SETTINGS,
        clock=clock or VirtualClock(),
        rng=Random(seed),
        limits=limits or Limits(),
        transport=None if is_url else httpx.MockTransport(to),  # type: ignore[arg-type]  # a handler that httpx types too narrowly
    )
