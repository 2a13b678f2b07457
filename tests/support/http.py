"""HTTP for tests: servers that say exactly what they are told, byte by byte, and a provider to ask them with."""

from __future__ import annotations

import asyncio
import ssl
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
"""Writes the answer to the n-th request (from 0). The connection is closed after it, or after `per_connection` requests."""


@dataclass
class RawServer:
    """`heads` are the request heads as they came: request line and headers. `connections` counts also those that asked for nothing."""

    url: str = ""
    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)


@asynccontextmanager
async def raw_server(script: Script, *, per_connection: int = 1, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve every request with the script, on a free port of 127.0.0.1; with `tls` under the name localhost."""
    server = RawServer()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            for _ in range(per_connection):
                head = await reader.readuntil(b"\r\n\r\n")
                server.heads.append(head.decode("latin-1"))
                await script(writer, len(server.heads) - 1)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    server.url = f"https://localhost:{server.port}" if tls else f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listener.close()


def raw(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None, closes: bool = True) -> bytes:
    """A response in bytes. `length` overrides Content-Length; -1 leaves it out: only the close ends the body.

    Without `closes` the connection may serve further requests, as far as the answer tells."""
    lines = [f"HTTP/1.1 {status}", *(["Connection: close"] if closes else []), *headers]
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
    trusts: ssl.SSLContext | None = None,
    **changes: Any,
) -> HttpClient:
    """A client of `acme`: to a URL over real sockets (`trusts` in place of the public authorities), or to a function from request to
    response."""
    transport = None if trusts is None else httpx.AsyncHTTPTransport(verify=trusts, trust_env=False)
    return HttpClient(
        acme(**changes),
        {**SETTINGS, "ACME_API_URL": to} if isinstance(to, str) else SETTINGS,
        clock=clock or VirtualClock(),
        rng=Random(seed),
        limits=limits or Limits(),
        transport=transport if isinstance(to, str) else httpx.MockTransport(to),
    )
