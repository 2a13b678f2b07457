"""How many requests may go out: `pipelines.extract.ratelimit`."""

from __future__ import annotations

import pytest

from pipelines.extract.ratelimit import RateLimiter
from pipelines.providers.spec import RateLimit
from tests.support.clock import VirtualClock


def _limiter(requests: int = 1000, per_s: float = 60.0) -> tuple[RateLimiter, VirtualClock]:
    clock = VirtualClock()
    return RateLimiter(RateLimit(requests=requests, per_s=per_s), clock), clock


def _says(remaining: int, reset: int, name: str | None = None) -> dict[str, str]:
    headers = {"x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": str(reset)}
    return headers if name is None else {**headers, "x-ratelimit-name": name}


@pytest.mark.fault("H5")
def test_nothing_goes_out_before_the_window_of_a_used_up_limit_ends() -> None:
    limiter, clock = _limiter()
    assert limiter.reserve("list") == 0
    limiter.settle("list", _says(0, 30))
    assert limiter.remaining("list") == 0
    assert limiter.reserve("list") == 30
    clock.advance(29)
    assert limiter.reserve("list") == 1
    clock.advance(1)
    assert limiter.reserve("list") == 0


@pytest.mark.fault("H5")
def test_kinds_with_one_rate_limit_name_share_it_and_others_do_not() -> None:
    limiter, _ = _limiter()
    for kind in ("list", "detail"):
        limiter.reserve(kind)
        limiter.settle(kind, _says(5, 60, "synthetics"))
    limiter.reserve("list")
    limiter.settle("list", _says(0, 60, "synthetics"))
    assert limiter.reserve("detail") == 60
    assert limiter.reserve("other") == 0


@pytest.mark.fault("H5")
def test_requests_in_flight_are_taken_off_what_the_headers_leave() -> None:
    limiter, _ = _limiter()
    assert [limiter.reserve("list") for _ in range(3)] == [0, 0, 0]
    limiter.settle("list", _says(4, 60))
    assert limiter.remaining("list") == 2
    limiter.settle("list", _says(3, 60))
    limiter.settle("list", _says(2, 60))
    assert limiter.remaining("list") == 2
    assert [limiter.reserve("list") for _ in range(3)] == [0, 0, 60]


def test_answers_that_overtake_each_other_do_not_raise_what_is_left() -> None:
    limiter, _ = _limiter()
    assert [limiter.reserve("list") for _ in range(2)] == [0, 0]
    limiter.settle("list", _says(1, 60))
    limiter.settle("list", _says(8, 60))
    assert limiter.remaining("list") == 0


def test_a_late_answer_of_the_window_before_does_not_close_the_new_one() -> None:
    limiter, clock = _limiter()
    assert [limiter.reserve("list") for _ in range(2)] == [0, 0]
    clock.advance(1)
    limiter.settle("list", _says(100, 60))
    limiter.settle("list", _says(0, 1))
    assert limiter.reserve("list") == 0


def test_a_silent_provider_never_gets_more_than_its_declared_limit_in_any_window() -> None:
    limiter, clock = _limiter(requests=5, per_s=10)
    sent: list[float] = []
    while len(sent) < 40:
        wait = limiter.reserve("")
        if wait > 0:
            clock.advance(wait)
            continue
        limiter.settle("", {})
        sent.append(clock.monotonic())
        clock.advance(0.3)
    assert all(later - earlier > 9.999 for earlier, later in zip(sent, sent[5:], strict=False))
    assert sent[-1] <= 75
    assert limiter.remaining("") is None


def test_a_429_stops_its_kind_only() -> None:
    limiter, clock = _limiter()
    limiter.reserve("detail")
    limiter.settle("detail", {})
    limiter.block("detail", 12)
    assert limiter.reserve("detail") == 12
    assert limiter.remaining("detail") == 0
    assert limiter.reserve("list") == 0
    clock.advance(12)
    assert limiter.reserve("detail") == 0


def test_headers_that_make_no_sense_are_as_if_absent() -> None:
    limiter, _ = _limiter()
    for remaining, reset in (("many", "60"), ("0", ""), ("", "60"), ("0", "soon")):
        assert limiter.reserve("list") == 0
        limiter.settle("list", {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset})
    assert limiter.remaining("list") is None
