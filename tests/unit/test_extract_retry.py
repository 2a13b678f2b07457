"""When to ask again, and how long to wait: `pipelines.extract.retry`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.extract import retry
from pipelines.extract.limits import Limits

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.fault("H7", "H8")
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 599])
def test_passing_troubles_are_retried(status: int) -> None:
    assert retry.is_retried(status)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 402, 403, 404, 409, 410, 422, 431])
def test_what_will_not_change_is_not_retried(status: int) -> None:
    assert not retry.is_retried(status)


@pytest.mark.fault("H3", "H4")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("2814, 2", 2814.0),
        ("soon, 3", 3.0),
        ("-5", 0.0),
        ("1e9", 86_400.0),
        ("1e9999", 86_400.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 22-Nov-26 12:00:30 GMT", 30.0),
        ("Sun Nov 22 12:00:30 2026", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_in_every_form(text: str, seconds: float) -> None:
    assert retry.asked_wait_s({"retry-after": text, "date": DATE}, NOW) == seconds


@pytest.mark.fault("H4")
@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "1_000", "\u0663", "Mon, 99 Foo 2026 12:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_as_if_absent(text: str) -> None:
    assert retry.asked_wait_s({"retry-after": text, "date": DATE}, NOW) is None


@pytest.mark.fault("H3")
def test_a_date_is_measured_by_the_clock_that_wrote_it() -> None:
    an_hour_fast = {"retry-after": "Sun, 22 Nov 2026 13:00:20 GMT", "date": "Sun, 22 Nov 2026 13:00:00 GMT"}
    assert retry.asked_wait_s(an_hour_fast, NOW) == 20.0
    assert retry.asked_wait_s({"retry-after": "Sun, 22 Nov 2026 12:00:20 GMT"}, NOW) == 20.0


def test_the_rate_limit_reset_counts_where_there_is_no_retry_after() -> None:
    assert retry.asked_wait_s({"x-ratelimit-reset": "17"}, NOW) == 17.0
    assert retry.asked_wait_s({"x-ratelimit-reset": "17", "retry-after": "5"}, NOW) == 5.0
    as_unix_time = {"x-ratelimit-reset": str(int(NOW.timestamp()) + 9), "date": DATE}
    assert retry.asked_wait_s(as_unix_time, NOW) == 9.0


@pytest.mark.fault("H4")
@settings(max_examples=500, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_text_breaks_the_parser(after: str, reset: str) -> None:
    wait = retry.asked_wait_s({"retry-after": after, "x-ratelimit-reset": reset, "date": after}, NOW)
    assert wait is None or 0 <= wait <= retry.LONGEST_S


@pytest.mark.fault("H4")
def test_10_000_texts_made_of_what_such_headers_hold_are_all_read(record_property: Callable[[str, object], None]) -> None:
    rng = Random(4)
    pieces = [
        *"0123456789+-., eE:;\"'\t",
        "2814, 2",
        "1e9",
        "Sun, 22 Nov 2026 12:00:30 GMT",
        "Nov",
        "GMT",
        "\u0663",
        "\x00",
        "nan",
        "inf",
        "1" * 30,
    ]
    for _ in range(10_000):
        after, reset, date = ("".join(rng.choices(pieces, k=rng.randrange(6))) for _ in range(3))
        headers = {"retry-after": after, "x-ratelimit-reset": reset, "date": date}
        wait = retry.asked_wait_s(headers, NOW)
        assert wait is None or 0 <= wait <= retry.LONGEST_S, (after, reset, date)
        assert retry.ahead_s(headers, NOW) is None or date
    record_property("cases", 10_000)


@pytest.mark.fault("P9")
def test_clocks_are_compared_by_the_servers_date() -> None:
    assert retry.ahead_s({"date": "Sun, 22 Nov 2026 11:00:00 GMT"}, NOW) == 3600
    assert retry.ahead_s({"date": "Mon, 23 Nov 2026 12:00:00 GMT"}, NOW) == -86_400
    assert retry.ahead_s({}, NOW) is None
    assert retry.ahead_s({"date": "yesterday"}, NOW) is None


@pytest.mark.fault("H2")
@pytest.mark.parametrize("asked", [0.5, 7.0, 299.0, 300.0])
def test_the_wait_is_what_was_asked_and_at_most_a_tenth_more(asked: float) -> None:
    waits = [retry.wait_s(asked, 1, Limits(), Random(seed)) for seed in range(1000)]
    assert all(asked <= wait <= min(asked * 1.1, 300.0) for wait in waits)


@pytest.mark.fault("H1")
def test_the_backoff_is_jittered_grows_and_ends_at_its_cap() -> None:
    def longest(tried: int) -> float:
        return max(retry.wait_s(None, tried, Limits(), Random(seed)) for seed in range(500))

    assert 0.9 < longest(1) <= 1.0
    assert 14 < longest(5) <= 16
    assert 55 < longest(30) <= 60
    assert retry.wait_s(0.0, 1, Limits(), Random(1)) > 0


def test_an_untrusted_certificate_is_found_behind_the_clients_own_exception() -> None:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    assert retry.certificate_fault(error) == "self-signed certificate"
    assert retry.certificate_fault(httpx.ConnectError("x")) is None
