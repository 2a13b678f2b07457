"""A clock for tests: waiting costs no time, and what waited is on record."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from pipelines.clock import SystemClock

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class VirtualClock:
    """Time that moves when everybody sleeps: the earliest sleeper takes it forward (`pipelines.clock.Clock`).

    `sleeps` holds every wait asked for, in seconds. `advance` moves time by hand.
    """

    def __init__(self, start: datetime = START) -> None:
        self.sleeps: list[float] = []
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """The current instant, UTC."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Return once time has come so far, after all that could run before has run."""
        self.sleeps.append(seconds)
        me = (self._elapsed_s + max(seconds, 0.0), next(self._order))
        heapq.heappush(self._sleepers, me)
        try:
            for _ in range(10):
                await asyncio.sleep(0)
            while self._sleepers[0] != me:
                await asyncio.sleep(0)
            self._elapsed_s = max(self._elapsed_s, me[0])
        finally:
            self._sleepers.remove(me)
            heapq.heapify(self._sleepers)


class FixedDay(SystemClock):
    """Real waiting, but the wall clock stands still: what is fetched in two processes is dated alike."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """The instant at which it stands."""
        return self._now
