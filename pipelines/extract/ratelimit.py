"""How many requests may go out now: by the provider's own headers, else by the limit declared for it.

Shared by all requests to one host. Nothing here sleeps: it answers how long to wait. What a 429 means for a single
request is in `retry`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.clock import Clock
from pipelines.extract import retry
from pipelines.providers.spec import RateLimit

_SAME_WINDOW_S = 2.0  # `Reset` comes in whole seconds, so one window's end seems to move by about one


@dataclass
class _Window:
    remaining: int = 0
    ends_at: float = float("-inf")
    blocked_until: float = float("-inf")


class RateLimiter:
    """The rate limits of one host.

    Headers (`X-RateLimit-Remaining`, `-Reset`, `-Name`) count per kind of request, or per the name that the provider
    gives several kinds in common. Kinds without headers share one sliding window: never more than `limit.requests` in
    any `limit.per_s` seconds (a token bucket with that capacity would let nearly twice as many through); those of
    `limit.kinds` keep a window of their own beside it.
    """

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._sent: deque[float] = deque(maxlen=limit.requests)
        self._sent_of = {kind: deque[float](maxlen=requests) for kind, requests in limit.kinds.items()}
        self._windows: dict[str, _Window] = {}
        self._names: dict[str, str] = {}
        self._in_flight: Counter[str] = Counter()

    def reserve(self, kind: str) -> float:
        """0 when a request may go out now, counted until `settle`; else the seconds until asking again makes sense."""
        now = self._clock.monotonic()
        window = self._windows.get(self._name(kind), _Window())
        wait = window.blocked_until - now
        if kind in self._names:
            if window.ends_at > now and window.remaining <= 0:
                wait = max(wait, window.ends_at - now)
        else:
            for sent in self._sliding(kind):
                if len(sent) == sent.maxlen:
                    wait = max(wait, sent[0] + self._limit.per_s - now)
        if wait > 0:
            return wait
        if kind in self._names:
            window.remaining -= 1
        else:
            for sent in self._sliding(kind):
                sent.append(now)
        self._in_flight[kind] += 1
        return 0.0

    def settle(self, kind: str, headers: Mapping[str, str]) -> None:
        """A reserved request has ended; `headers` (lower case) are its answer's, empty when there was none."""
        self._in_flight[kind] -= 1
        now = self._clock.monotonic()
        remaining = retry.number(headers.get("x-ratelimit-remaining", ""))
        reset = retry.reset_s(headers, self._clock.now())
        if remaining is None or reset is None:
            return
        self._names[kind] = headers.get("x-ratelimit-name") or kind
        name = self._name(kind)
        window = self._windows.setdefault(name, _Window())
        left = int(max(0.0, min(remaining, 1e9)))
        # Answers overtake each other, and may not count what is in flight: the lower figure is the safe one.
        left -= sum(count for other, count in self._in_flight.items() if self._name(other) == name)
        is_open = window.ends_at > now
        if is_open and now + reset < window.ends_at - _SAME_WINDOW_S:
            return  # a late answer of the window before
        is_same = is_open and now + reset <= window.ends_at + _SAME_WINDOW_S
        window.remaining = min(window.remaining, left) if is_same else left
        window.ends_at = max(window.ends_at, now + reset) if is_same else now + reset

    def block(self, kind: str, seconds: float) -> None:
        """No request of this kind for so long: the provider answered 429."""
        window = self._windows.setdefault(self._name(kind), _Window())
        window.blocked_until = max(window.blocked_until, self._clock.monotonic() + seconds)

    def remaining(self, kind: str) -> int | None:
        """Requests left in the current window of this kind; None when the provider did not say, or it is over."""
        window = self._windows.get(self._name(kind), _Window())
        now = self._clock.monotonic()
        if window.blocked_until > now:
            return 0
        return max(0, window.remaining) if window.ends_at > now else None

    def _sliding(self, kind: str) -> list[deque[float]]:
        """The windows without headers that a request of this kind counts in."""
        return [self._sent, self._sent_of[kind]] if kind in self._sent_of else [self._sent]

    def _name(self, kind: str) -> str:
        return self._names.get(kind, kind)
