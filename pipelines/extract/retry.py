"""Whether to ask again, and how long to wait before. Pure: no clock, no sleeping, no HTTP client.

Sources: RFC 9110 sections 5.6.7 (three date formats) and 10.2.3 (Retry-After); Datadog's `X-RateLimit-Reset` is seconds
until the window ends (recorded headers, 2020-2022); Checkly answers 408 where a client should come back.
"""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from pipelines.extract.limits import Limits

LONGEST_S = 86_400.0
"""What a provider asks for is clamped to a day: anything this long is deferred anyway."""

_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,4})?", re.ASCII)
_DATE_FORMATS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_EPOCH_S = 1e9  # a greater reset is a Unix time, as some providers send it


def is_retried(status: int) -> bool:
    """True for the statuses that may be different next time: 408, 425, 429 and every 5xx."""
    return status in (408, 425, 429) or 500 <= status <= 599


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that an answer asks to wait (0 to a day), or None. Header names are lower case.

    Retry-After (the largest number of a list, or a date, relative to the server's own Date), else X-RateLimit-Reset.
    """
    asked = _retry_after_s(headers, now)
    return reset_s(headers, now) if asked is None else asked


def reset_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the rate-limit window ends, or None."""
    value = number(headers.get("x-ratelimit-reset", ""))
    if value is not None and value > _EPOCH_S:
        value -= _server_time(headers, now).timestamp()
    return None if value is None else _clamped(value)


def ahead_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that this machine's clock is ahead of the server's Date; None without one. A cached answer makes it look further ahead."""
    date = _http_date(headers.get("date", ""))
    return None if date is None else (now - date).total_seconds()


def number(text: str) -> float | None:
    """The number that the text is, or None."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def backoff_s(tried: int, limits: Limits, rng: random.Random) -> float:
    """Full jitter: anything up to the first backoff doubled with every try, at most the longest."""
    return rng.uniform(0, min(limits.backoff_most_s, limits.backoff_first_s * 2.0 ** (tried - 1)))


def wait_s(asked: float | None, tried: int, limits: Limits, rng: random.Random) -> float:
    """Seconds to wait before the next try: what was asked plus at most 10 %, never less; else the backoff.

    More than `limits.wait_s` only when more was asked: then the caller defers.
    """
    if asked is None or asked <= 0:
        return backoff_s(tried, limits, rng)
    return asked if asked > limits.wait_s else min(asked + rng.uniform(0, asked / 10), limits.wait_s)


def certificate_fault(error: BaseException | None) -> str | None:
    """Why the server's certificate was refused, if that is what lies behind the error: asking again does not help."""
    for _ in range(10):
        if error is None:
            break
        if isinstance(error, ssl.SSLCertVerificationError):
            return str(error.verify_message)
        error = error.__cause__ or error.__context__
    return None


def _retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    text = headers.get("retry-after", "")
    numbers = [value for part in text.split(",") if (value := number(part)) is not None]
    if numbers:
        return _clamped(max(numbers))
    until = _http_date(text)
    return None if until is None else _clamped((until - _server_time(headers, now)).total_seconds())


def _server_time(headers: Mapping[str, str], now: datetime) -> datetime:
    return _http_date(headers.get("date", "")) or now


@lru_cache(maxsize=16)  # every answer has a Date, and it changes once in a second
def _http_date(text: str) -> datetime | None:
    for layout in _DATE_FORMATS:
        try:
            return datetime.strptime(text.strip(), layout).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _clamped(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_S)
