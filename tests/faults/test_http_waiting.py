"""429, 5xx and rate limits: waits are long enough, bounded, and shared by those whom they concern."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

import httpx
import pytest

from pipelines.errors import DeferredError
from pipelines.extract.limits import Limits
from pipelines.providers.spec import RateLimit, Reply
from tests.support.clock import VirtualClock
from tests.support.http import answer, client, raw, raw_server

Handler = Callable[[httpx.Request], httpx.Response]


def _in_turn(*answers: Callable[[], httpx.Response]) -> Handler:
    """Each answer once, the last one for ever."""
    turns: Iterator[Callable[[], httpx.Response]] = iter(answers)
    last = answers[-1]
    return lambda request: next(turns, last)()


def _timed(handler: Handler, clock: VirtualClock, times: list[float]) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        times.append(clock.monotonic())
        return handler(request)

    return handle


def _get(handler: Handler, clock: VirtualClock | None = None, seed: int = 1, limits: Limits | None = None) -> Reply:
    async def run() -> Reply:
        async with client(handler, clock=clock, seed=seed, limits=limits) as http:
            return await http.get("/tests/1", kind="detail")

    return asyncio.run(run())


AS_SECONDS: list[tuple[dict[str, str], float]] = [
    ({"retry_after": "7"}, 7.0),
    ({"retry_after": "1.5"}, 1.5),
    ({"retry_after": "2, 5"}, 5.0),
    ({"x_ratelimit_reset": "42", "x_ratelimit_remaining": "0"}, 42.0),
    ({"x_ratelimit_reset": "42"}, 42.0),
    ({"retry_after": "300"}, 300.0),
]
FAST, SLOW = "Sun, 22 Nov 2026 13:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 GMT"
"""What a server says whose clock is an hour ahead of this machine's, or a day behind it."""

AS_DATE: list[tuple[dict[str, str], float]] = [
    ({"retry_after": "Sun, 22 Nov 2026 13:00:30 GMT", "date": FAST}, 30.0),
    ({"retry_after": "Sunday, 22-Nov-26 13:00:30 GMT", "date": FAST}, 30.0),
    ({"retry_after": "Sun Nov 22 13:00:30 2026", "date": FAST}, 30.0),
    ({"retry_after": "Sat, 21 Nov 2026 12:04:00 GMT", "date": SLOW}, 240.0),
    ({"retry_after": "Sun, 22 Nov 2026 12:00:09 GMT"}, 9.0),
    ({"retry_after": "Sun, 22 Nov 2026 12:30:00 GMT", "date": FAST}, 0.0),
    ({"retry_after": "Tue, 01 Jan 2019 00:00:00 GMT"}, 0.0),
]


@pytest.mark.parametrize(
    "forms", [pytest.param(AS_SECONDS, marks=pytest.mark.fault("H2", "H4")), pytest.param(AS_DATE, marks=pytest.mark.fault("H3"))]
)
def test_no_request_goes_out_before_the_time_that_a_429_names(
    forms: list[tuple[dict[str, str], float]], record_property: Callable[[str, object], None]
) -> None:
    async def run(seed: int) -> None:
        headers, seconds = forms[seed % len(forms)]
        clock, times = VirtualClock(), list[float]()
        handler = _timed(_in_turn(lambda: answer(429, **headers), answer), clock, times)
        async with client(handler, clock=clock, seed=seed) as http:
            assert (await http.get("/tests/1", kind="detail")).document == {"ok": True}
        assert len(times) == 2
        if seconds:
            assert seconds <= times[1] - times[0] <= min(seconds * 1.1, 300)
        else:  # a time that has passed: the least wait, and a jittered one
            assert 0 < times[1] - times[0] <= 1

    async def every_seed() -> None:
        for seed in range(1000):
            await run(seed)

    asyncio.run(every_seed())
    record_property("cases", 1000)


@pytest.mark.fault("H5")
def test_a_429_holds_back_all_requests_of_its_kind_and_no_others() -> None:
    clock, times = VirtualClock(), dict[str, list[float]]()
    turned_away: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        times.setdefault(request.url.path, []).append(clock.monotonic())
        if request.url.path == "/a/1" and not turned_away:
            turned_away.append(request.url.path)
            return answer(429, retry_after="60")
        return answer()

    async def run() -> None:
        async with client(handle, clock=clock) as http:
            first = asyncio.create_task(http.get("/a/1", kind="a"))
            while not turned_away:
                await asyncio.sleep(0)
            await asyncio.gather(first, http.get("/a/2", kind="a"), http.get("/b/1", kind="b"))

    asyncio.run(run())
    assert times["/b/1"] == [0]
    assert min(times["/a/2"]) >= 60
    assert times["/a/1"][1] >= 60


@pytest.mark.fault("H1")
def test_all_rows_arrive_when_a_limit_that_names_no_time_lifts(record_property: Callable[[str, object], None]) -> None:
    async def run(seed: int) -> None:
        clock = VirtualClock()
        lifts_at = 4.0 * (seed % 2)
        refused = 0

        def handle(request: httpx.Request) -> httpx.Response:
            nonlocal refused
            if clock.monotonic() < lifts_at:
                refused += 1
                return answer(429)
            return answer(200, b'{"path":"%b"}' % request.url.path.encode())

        async with client(handle, clock=clock, seed=seed) as http:
            replies = await asyncio.gather(*(http.get(f"/results/{n}", kind="results") for n in range(30)))
        assert [reply.document["path"] for reply in replies] == [f"/results/{n}" for n in range(30)]
        assert http.requests == 30 + refused
        assert refused < 30  # a 429 holds back all of its kind, so few find out by themselves

    for seed in range(20):
        asyncio.run(run(seed))
    record_property("cases", 20 * 30)


@pytest.mark.fault("H6")
@pytest.mark.parametrize("headers", [{}, {"retry_after": "250"}, {"x_ratelimit_reset": "60", "x_ratelimit_remaining": "0"}])
def test_429_without_end_is_over_at_the_deadline_of_the_sync(headers: dict[str, str]) -> None:
    clock = VirtualClock()
    limits = Limits()

    async def run() -> None:
        async with client(lambda _: answer(429, **headers), clock=clock, limits=limits) as http:
            ended = []
            while clock.monotonic() < limits.run_s + 5:  # a crawl that never gives up by itself
                with pytest.raises(DeferredError) as caught:
                    await http.get(f"/tests/{len(ended)}")
                ended.append(str(caught.value))
                if "minutes for one sync are over" in ended[-1]:
                    break
            asked = http.requests
            for _ in range(100):
                with pytest.raises(DeferredError, match="the 45 minutes for one sync are over: the next one goes on"):
                    await http.get("/tests/1")
            assert http.requests == asked

    asyncio.run(run())
    assert limits.run_s - limits.wait_s <= clock.monotonic() <= limits.run_s + 5


@pytest.mark.fault("H4", "H6")
@pytest.mark.parametrize("headers", [{"retry_after": "301"}, {"retry_after": "2814, 2"}, {"x_ratelimit_reset": "1e9"}])
def test_a_wait_over_the_limit_defers_at_once_and_later_requests_are_not_even_sent(headers: dict[str, str]) -> None:
    clock = VirtualClock()

    async def run() -> None:
        async with client(lambda _: answer(429, **headers), clock=clock) as http:
            for _ in range(2):
                with pytest.raises(DeferredError, match="acme /tests/1: the rate limit asks to wait"):
                    await http.get("/tests/1")
            assert http.requests == 1

    asyncio.run(run())
    assert clock.sleeps == []


@pytest.mark.fault("H7")
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524])
def test_troubles_that_do_not_pass_end_after_six_tries(status: int) -> None:
    clock = VirtualClock()

    async def run() -> None:
        async with client(lambda _: answer(status, b"<html>down</html>"), clock=clock) as http:
            with pytest.raises(DeferredError) as caught:
                await http.get("/tests/1", params=[("from", "17")])
            assert http.requests == 6
            assert str(caught.value) == (f"acme /tests/1: given up after 6 tries, the last one ended with status {status}")
            assert caught.value.status == status

    asyncio.run(run())
    assert len(clock.sleeps) == 5
    assert clock.monotonic() <= 1 + 2 + 4 + 8 + 16


@pytest.mark.fault("H7", "H8")
def test_a_trouble_that_passes_costs_nothing_but_time() -> None:
    clock = VirtualClock()
    reply = _get(_in_turn(lambda: answer(503, retry_after="9"), lambda: answer(500), answer), clock)
    assert reply.status == 200
    assert clock.monotonic() >= 9


@pytest.mark.fault("H7")
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 523, 524])
def test_a_5xx_that_names_a_time_is_asked_again_then_and_at_most_six_times(status: int) -> None:
    clock, times = VirtualClock(), list[float]()
    with pytest.raises(DeferredError, match=rf"given up after 6 tries, the last one ended with status {status}"):
        _get(_timed(lambda _: answer(status, retry_after="20"), clock, times), clock)
    assert len(times) == 6
    assert all(20 <= later - earlier <= 22 for earlier, later in pairwise(times))


@pytest.mark.fault("H28")
def test_connections_that_the_server_closes_between_calls_cost_no_sync(record_property: Callable[[str, object], None]) -> None:
    whole = raw(b'{"ok":true}', closes=False)

    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        if turn % 5 == 4:  # closed at the very moment in which the next request arrives
            writer.close()
        else:  # kept open, or closed behind the client's back after the fourth answer
            writer.write(whole)

    async def run() -> None:
        async with raw_server(script, per_connection=4) as server, client(server.url) as http:
            for _ in range(1000):
                assert (await http.get("/x")).document == {"ok": True}
            assert server.connections > 250
            assert http.requests == len(server.heads) == 1249

    asyncio.run(run())
    record_property("cases", 1000)


@pytest.mark.fault("H28", "H14")
def test_dropped_connections_are_tried_again_and_then_deferred() -> None:
    def drop(_: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("https://api.acme.test/?apiKey=1")

    with pytest.raises(DeferredError, match="given up after 6 tries, the last one ended with RemoteProtocolError") as e:
        _get(drop)
    assert "apiKey" not in str(e.value)


@pytest.mark.fault("H28")
@pytest.mark.parametrize("trouble", [httpx.PoolTimeout, httpx.ReadError, httpx.WriteError, httpx.ConnectTimeout, httpx.LocalProtocolError])
def test_a_connection_that_could_not_be_had_or_kept_is_tried_again(trouble: type[httpx.TransportError]) -> None:
    turns: list[int] = []

    def fail_once(_: httpx.Request) -> httpx.Response:
        turns.append(1)
        if len(turns) == 1:
            raise trouble("no connection")
        return answer()

    assert _get(fail_once).document == {"ok": True}
    assert len(turns) == 2


@pytest.mark.fault("H5")
def test_a_used_up_rate_limit_is_waited_for_before_it_says_429() -> None:
    clock = VirtualClock()
    window_s, allowed = 60.0, 10
    used: dict[int, int] = {}
    refused: list[float] = []

    def handle(_: httpx.Request) -> httpx.Response:
        now = clock.monotonic()
        window = int(now // window_s)
        used[window] = used.get(window, 0) + 1
        reset = str(int((window + 1) * window_s - now + 0.999))
        if used[window] > allowed:
            refused.append(now)
            return answer(429, x_ratelimit_remaining="0", x_ratelimit_reset=reset)
        left = str(allowed - used[window])
        return answer(x_ratelimit_remaining=left, x_ratelimit_reset=reset, x_ratelimit_name="results")

    async def run() -> None:
        async with client(handle, clock=clock) as http:
            await asyncio.gather(*(http.get(f"/results/{n}", kind="list") for n in range(45)))
            assert http.requests == 45
            assert http.remaining("list") is not None

    asyncio.run(run())
    assert refused == []
    assert clock.monotonic() <= 5 * window_s


def test_a_silent_provider_is_kept_to_its_declared_limit() -> None:
    clock, times = VirtualClock(), list[float]()

    async def run() -> None:
        limit = RateLimit(requests=10, per_s=5, concurrency=4)
        async with client(_timed(lambda _: answer(), clock, times), clock=clock, rate_limit=limit) as http:
            await asyncio.gather(*(http.get("/x") for _ in range(35)))

    asyncio.run(run())
    assert len(times) == 35
    assert all(later - earlier > 4.999 for earlier, later in zip(times, times[10:], strict=False))
    assert clock.monotonic() < 20


def test_no_more_requests_at_a_time_than_declared() -> None:
    running, most = 0, 0

    async def handle(_: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        return answer()

    async def run() -> None:
        async with client(handle, rate_limit=RateLimit(concurrency=3)) as http:  # type: ignore[arg-type]  # a handler that httpx types too narrowly
            await asyncio.gather(*(http.get("/x") for _ in range(20)))

    asyncio.run(run())
    assert most == 3
