"""The sandbox's rate limits: calendar-aligned windows and the X-RateLimit-* headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Recorded in 2021-2022: results lists 1000/60, one test 1000/60 named `synthetics_export`, the list of tests 120/60 or
# 12000/60. One full result was recorded with 120/60 (2021); 12000 here, so that the demo is not throttled. The other
# names were never recorded. To meet the limits in a test, pass others to `app`.
LIMITS: dict[str, tuple[int, int]] = {
    "synthetics_list": (12000, 60),
    "synthetics_export": (1000, 60),
    "synthetics_results": (1000, 60),
    "synthetics_result": (12000, 60),
}


@dataclass(frozen=True)
class Verdict:
    """Whether a call is within its limit, and the headers that say so."""

    is_allowed: bool
    headers: dict[str, str]


class RateLimiter:
    """Counts calls per name in windows aligned to the clock: Reset = period - seconds into it (recorded)."""

    def __init__(self, limits: Mapping[str, tuple[int, int]], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._used: Counter[tuple[str, int]] = Counter()

    def take(self, name: str) -> Verdict:
        """Count one call of `name`."""
        limit, period_s = self._limits[name]
        now_s = int(self._clock())
        window = (name, now_s // period_s)
        if window not in self._used:
            self._used = Counter({key: used for key, used in self._used.items() if key[0] != name})
        self._used[window] += 1
        used = self._used[window]
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Period": str(period_s),
            "X-RateLimit-Remaining": str(max(0, limit - used)),
            "X-RateLimit-Reset": str(period_s - now_s % period_s),
            "X-RateLimit-Name": name,
        }
        return Verdict(used <= limit, headers)
