"""The bounds of one request, as numbers. The rate limit of a provider is in its own folder."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """How long to wait, how often to try and how much to read.

    `total_s` bounds each try from connecting to the last byte: a read timeout alone never ends a slow drip.
    `wait_s` bounds one wait: what asks for longer is deferred to the next sync.
    `run_s` bounds one sync of a provider: what is asked for later is deferred, so that a provider that never answers well ends too.
    `ratio` bounds decoded : received bytes of a gzip body once `ratio_free_bytes` are decoded.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 120.0
    tries: int = 6
    unusable_retries: int = 2
    backoff_first_s: float = 1.0
    backoff_most_s: float = 60.0
    wait_s: float = 300.0
    run_s: float = 45 * 60.0
    body_bytes: int = 64 * MIB
    ratio: int = 200
    ratio_free_bytes: int = 8 * MIB


DEFAULT_LIMITS = Limits()
