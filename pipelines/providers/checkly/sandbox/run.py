"""One finished try of one check, as the builders of result blocks see it, and what they share."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.providers.checkly.sandbox.catalogue import Check, Outcome

JSON = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished try. `response_ms` is the API's `responseTime`; `sign` makes a signed asset URL out of a file name."""

    check: Check
    outcome: Outcome
    location: str
    started_at: datetime
    stopped_at: datetime
    response_ms: int
    rng: random.Random
    sign: Callable[[str], str]

    @property
    def is_bad(self) -> bool:
        """Whether the tested system or the script said no."""
        return self.outcome in ("failed", "request_error")

    def log(self, after_ms: float, msg: str, level: str = "INFO") -> JSON:
        """A jobLog line: `time` is epoch ms (recorded 2023 and earlier)."""
        return {"time": epoch_ms(self.started_at) + int(after_ms), "msg": msg, "level": level}


def epoch_ms(instant: datetime) -> int:
    """Epoch milliseconds."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def iso(instant: datetime) -> str:
    """ISO-8601 in UTC with three decimals and Z, as recorded."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def assertion(order: int, source: str, prop: str, comparison: str, target: Any, actual: Any, error: str | None) -> JSON:
    """One evaluated assertion: failed means `error` is text (vendor's CLI fixtures)."""
    return {
        "order": order,
        "source": source,
        "property": prop,
        "comparison": comparison,
        "target": target,
        "regex": None,
        "error": error,
        "actual": actual,
    }
