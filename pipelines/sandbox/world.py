"""The time and the randomness all provider sandboxes share. No provider's shapes live here, and no wall clock.

A world is fully given by (seed, days, now). Between two `advance` calls it stands still: the same request gets the
same answer, so a second sync of a standing world finds nothing new.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import UTC, datetime, timedelta

MAX_DAYS = 30


class World:
    """One deterministic history of `days` days before `started_at`, seen from the instant `now` (UTC).

    Nothing dated after `now` exists. `started_at` is `now` at construction, floored to the minute; histories are
    generated from it, so advancing adds what had been planned and changes nothing that stood.
    Raises ValueError for a naive `now` or for days outside 1..30.
    """

    def __init__(self, seed: int, days: int, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("the sandbox's now needs a UTC offset")
        if not 1 <= days <= MAX_DAYS:
            raise ValueError(f"the sandbox's days must be 1 to {MAX_DAYS}, not {days}")
        self.seed = seed
        self.days = days
        self.now = now.astimezone(UTC)
        self.started_at = self.now.replace(second=0, microsecond=0)

    @property
    def now_ms(self) -> int:
        """`now` as epoch milliseconds."""
        return epoch_ms(self.now)

    @property
    def started_ms(self) -> int:
        """`started_at` as epoch milliseconds."""
        return epoch_ms(self.started_at)

    def advance(self, delta: timedelta) -> None:
        """Move `now` forward; ValueError when `delta` is negative."""
        if delta < timedelta(0):
            raise ValueError("the sandbox's time only moves forward")
        self.now += delta

    def rng(self, *key: object) -> random.Random:
        """Randomness of one entity: the same for the same (seed, key), whatever was asked before."""
        text = "\x1f".join(map(str, (self.seed, *key)))
        return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))

    def uuid(self, *key: object) -> str:
        """A UUID of version 4's shape, the same for the same (seed, key)."""
        return str(uuid.UUID(int=self.rng("uuid", *key).getrandbits(128), version=4))


def epoch_ms(instant: datetime) -> int:
    """Epoch milliseconds of an aware instant, exactly (no float)."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
