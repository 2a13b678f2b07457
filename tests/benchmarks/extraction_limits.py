"""How near the client keeps to a rate limit that it is told, or that is declared for it: neither over it nor much under it."""

from __future__ import annotations

import asyncio
import bisect
import random
from collections import Counter
from dataclasses import dataclass

import httpx

from pipelines.clock import Clock, SystemClock
from pipelines.extract.client import HttpClient
from pipelines.providers.checkly import PROVIDER as CHECKLY
from pipelines.providers.spec import Auth, RateLimit
from tests.support.clock import VirtualClock
from tests.support.http import acme

CONCURRENCY = 4
"""Requests at a time: what the providers' own declarations allow."""


class Metered(httpx.AsyncBaseTransport):
    """Notes when each request goes out. With `says_so` it tells the limit as Datadog does, by windows of the calendar, and refuses more."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Clock, limit: int, per_s: int, *, says_so: bool) -> None:
        self.sent_at: list[float] = []
        self.refused = 0
        self._inner, self._clock, self._limit, self._per_s, self._says_so = inner, clock, limit, per_s, says_so
        self._in_window: dict[int, int] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        now = self._clock.now().timestamp()
        self.sent_at.append(now)
        window = int(now // self._per_s)
        used = self._in_window[window] = self._in_window.get(window, 0) + 1
        response = await self._inner.handle_async_request(request)
        if self._says_so:
            reset = self._per_s - int(self._clock.now().timestamp()) % self._per_s
            left = max(0, self._limit - used)
            told = {"limit": self._limit, "period": self._per_s, "remaining": left, "reset": reset, "name": "synthetics"}
            response.headers.update({f"x-ratelimit-{name}": str(value) for name, value in told.items()})
            if used > self._limit:
                self.refused += 1
                response.status_code = 429
        return response


@dataclass(frozen=True)
class Pace:
    """How near a client that always has more to ask keeps to a limit. `fullest` is the greatest number in any window of that length."""

    what: str
    limit: int
    per_s: int
    seconds: int
    sent: int
    fullest: int
    refused: int

    @property
    def share(self) -> float:
        """Sent : allowed over the whole time."""
        return self.sent / (self.limit * self.seconds / self.per_s)


async def pace(what: str, inner: httpx.AsyncBaseTransport, clock: Clock, limit: int, per_s: int, seconds: int, *, says_so: bool) -> Pace:
    """Ask without end for so many seconds, which are whole windows."""
    await clock.sleep(per_s - clock.now().timestamp() % per_s)
    transport = Metered(inner, clock, limit, per_s, says_so=says_so)
    # what the provider says counts, not what is declared: then the declaration is far off on purpose
    declared = RateLimit(limit // 5 if says_so else limit, per_s, concurrency=CONCURRENCY)
    provider = acme(settings=(), auth=Auth(), rate_limit=declared)
    started_at = clock.now().timestamp()
    async with HttpClient(provider, {}, clock=clock, rng=random.Random(1), transport=transport) as client:

        async def ask() -> None:
            while clock.now().timestamp() < started_at + seconds:
                await client.get("/anything")

        await asyncio.gather(*(ask() for _ in range(CONCURRENCY)))
    sent = [at for at in transport.sent_at if at < started_at + seconds]
    if says_so:  # the calendar's windows are the limit
        fullest = max(Counter(int(at // per_s) for at in sent).values())
    else:
        fullest = max(bisect.bisect_left(sent, at + per_s) - index for index, at in enumerate(sent))
    return Pace(what, limit, per_s, seconds, len(sent), fullest, transport.refused)


def paces(address: str) -> list[Pace]:
    """Twenty seconds of real time over sockets, to `address`; then ten minutes of made-up time each."""

    class Slow(httpx.AsyncBaseTransport):
        """Answers after 20 to 200 ms."""

        def __init__(self, clock: Clock) -> None:
            self._clock, self._rng = clock, random.Random(7)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await self._clock.sleep(self._rng.uniform(0.02, 0.2))
            return httpx.Response(200, stream=httpx.ByteStream(b'{"ok":true}'))

    class Result(httpx.AsyncHTTPTransport):
        """The same answer of a real server to everything."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await super().handle_async_request(httpx.Request("GET", address, headers=request.headers))

    found = []
    for what, says_so, limit, per_s, seconds in (
        ("declared, real time", False, 20, 1, 10),
        ("told by headers, real time", True, 40, 2, 10),
    ):
        found.append(asyncio.run(pace(what, Result(trust_env=False), SystemClock(), limit, per_s, seconds, says_so=says_so)))
    for what, says_so, limit in (
        ("Checkly, any request", False, CHECKLY.rate_limit.requests),
        ("Checkly, check results", False, CHECKLY.rate_limit.kinds["check_results"]),
        ("Datadog, full results (recorded limit)", True, 120),
        ("Datadog, lists (recorded limit)", True, 1000),
    ):
        clock = VirtualClock()
        found.append(asyncio.run(pace(what, Slow(clock), clock, limit, 60, 600, says_so=says_so)))
    return found
