"""The clock as an argument: wall time, monotonic time and sleeping. Nothing else in the house asks the system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What code that waits or dates things is given."""

    def now(self) -> datetime:
        """The current instant, UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The real one."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow, also while the host is suspended where the system can say so."""
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boottime is None else time.clock_gettime(boottime)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio  # 0.03 s, which `status` does not have

        await asyncio.sleep(seconds)
