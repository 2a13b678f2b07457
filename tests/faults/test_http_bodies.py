"""Broken answers over real sockets: what did not arrive whole is never a document."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import random
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import DeferredError, FetchError, RefusedError
from pipelines.extract.body import UnusableBodyError, document
from pipelines.extract.limits import MIB, Limits
from pipelines.flows.pull import pull
from pipelines.flows.track import track_lines
from pipelines.providers.spec import Reply
from tests.support.clock import VirtualClock
from tests.support.house import House
from tests.support.http import Script, always, client, raw, raw_server

DOCUMENT = {"results": [{"result_id": "3420446318379485707", "status": 0, "check_time": n} for n in range(30)]}
BODY = json.dumps(DOCUMENT).encode()
TWICE = Limits(tries=2)


async def _fetch(script: Script, limits: Limits | None = None) -> tuple[Reply, int]:
    async with raw_server(script) as server, client(server.url, limits=limits) as http:
        return await http.get("/x"), http.requests


async def _error(script: Script, limits: Limits | None = None) -> tuple[FetchError, int]:
    async with raw_server(script) as server, client(server.url, limits=limits) as http:
        with pytest.raises(FetchError) as caught:
            await http.get("/x")
        return caught.value, http.requests


def test_a_whole_answer_is_a_checked_reply() -> None:
    packed = gzip.compress(BODY)
    head = (
        "Content-Type: application/json",
        "Date: Sun, 22 Nov 2026 12:00:00 GMT",
        "Set-Cookie: session=1",
        "X-Acme: 1",
    )
    reply, requests = asyncio.run(_fetch(always(raw(packed, "Content-Encoding: gzip", *head))))
    assert reply.document == DOCUMENT
    assert (reply.body_sha256, reply.body_bytes) == (hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert reply.headers == {"content-type": "application/json", "date": "Sun, 22 Nov 2026 12:00:00 GMT"}
    assert requests == 1


def test_a_chunked_answer_is_read_to_its_last_chunk() -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:100], BODY[100:]))
    head = raw(b"", "Transfer-Encoding: chunked", length=-1)
    reply, _ = asyncio.run(_fetch(always(head + chunks + b"0\r\n\r\n")))
    assert reply.document == DOCUMENT
    error, _ = asyncio.run(_error(always(head + chunks), TWICE))
    assert isinstance(error, DeferredError)


@pytest.mark.fault("H14")
def test_the_end_before_content_length_is_never_a_reply() -> None:
    async def run() -> None:
        for cut in range(0, len(BODY), 241):
            error, requests = await _error(always(raw(BODY[:cut], length=len(BODY))), TWICE)
            assert isinstance(error, DeferredError)
            assert requests == 2

    asyncio.run(run())


@pytest.mark.fault("H14")
def test_a_reset_in_the_middle_is_tried_again() -> None:
    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        if turn == 0:
            writer.write(raw(BODY[:50], length=len(BODY)))
            await writer.drain()
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            writer.write(raw(BODY))

    reply, requests = asyncio.run(_fetch(script))
    assert reply.document == DOCUMENT
    assert requests == 2


@pytest.mark.fault("H15")
def test_a_body_of_4_kb_that_only_the_close_ends_is_no_document_wherever_it_is_cut(record_property: Callable[[str, object], None]) -> None:
    body = json.dumps({**DOCUMENT, "note": ""}).encode()
    body = json.dumps({**DOCUMENT, "note": "x" * (4096 - len(body))}).encode()
    assert len(body) == 4096
    for cut in range(4096):
        with pytest.raises(UnusableBodyError):
            document(body[:cut])
    cuts = range(0, 4096, 16)

    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        writer.write(raw(body[: cuts[turn]] if turn < len(cuts) else body, length=-1))

    async def run() -> None:
        async with raw_server(script) as server, client(server.url, limits=Limits(tries=1, unusable_retries=0)) as http:
            for _ in cuts:
                with pytest.raises(RefusedError):
                    await http.get("/x")
            assert (await http.get("/x")).document["results"] == DOCUMENT["results"]

    asyncio.run(run())
    record_property("cases", 4096)


@pytest.mark.fault("H16")
def test_a_truncated_gzip_body_with_a_fitting_length_is_never_a_reply() -> None:
    packed = gzip.compress(BODY)

    async def run() -> None:
        for cut in range(1, len(packed), 31):
            error, _ = await _error(always(raw(packed[:cut], "Content-Encoding: gzip")), TWICE)
            assert isinstance(error, DeferredError)
            assert "gzip" in str(error)

    asyncio.run(run())


@pytest.mark.fault("H16")
def test_a_flipped_bit_or_a_wrong_checksum_of_a_gzip_body_is_found(record_property: Callable[[str, object], None]) -> None:
    packed = gzip.compress(BODY)
    rng = random.Random(16)
    wrong_sum = packed[:-8] + bytes(4) + packed[-4:]
    bits = rng.sample(range(80, len(packed) * 8), 200)  # behind the head, where every bit counts
    flipped = [packed[: bit // 8] + bytes([packed[bit // 8] ^ 1 << bit % 8]) + packed[bit // 8 + 1 :] for bit in bits] + [wrong_sum]

    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        writer.write(raw(flipped[turn], "Content-Encoding: gzip"))

    async def run() -> None:
        async with raw_server(script) as server, client(server.url, limits=Limits(tries=1)) as http:
            for _ in flipped:
                with pytest.raises(DeferredError, match="gzip stream"):
                    await http.get("/x")

    asyncio.run(run())
    record_property("cases", len(flipped))


@pytest.mark.fault("H17")
@pytest.mark.parametrize("where", ["head", "body"])
def test_a_slow_drip_ends_at_the_total_deadline(where: str) -> None:
    async def script(writer: asyncio.StreamWriter, _: int) -> None:
        response = raw(BODY)
        start = response.index(b"\r\n\r\n") + 4 if where == "body" else 9
        writer.write(response[:start])
        for byte in response[start:]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    started = time.monotonic()
    error, requests = asyncio.run(_error(script, Limits(read_s=0.2, total_s=0.25, tries=2)))
    assert isinstance(error, DeferredError)
    assert "no whole answer within 0.25 s" in str(error)
    assert requests == 2
    assert time.monotonic() - started < 1.5


@pytest.mark.fault("H17")
def test_silence_ends_at_the_read_timeout() -> None:
    async def script(_: asyncio.StreamWriter, __: int) -> None:
        await asyncio.sleep(5)

    error, _ = asyncio.run(_error(script, Limits(read_s=0.2, tries=2)))
    assert "ReadTimeout" in str(error)


@pytest.mark.fault("H13")
def test_nobody_listening_is_deferred() -> None:
    async def run() -> FetchError:
        async with raw_server(always(b"")) as server:
            url = server.url
        async with client(url) as http:
            with pytest.raises(DeferredError) as caught:
                await http.get("/x")
            assert http.requests == 6
            return caught.value

    assert "ConnectError" in str(asyncio.run(run()))


@pytest.mark.fault("H23")
def test_a_gzip_bomb_is_stopped_and_not_asked_for_again() -> None:
    bomb = gzip.compress(bytes(64 * MIB), 9)
    error, requests = asyncio.run(_error(always(raw(bomb, "Content-Encoding: gzip"))))
    assert isinstance(error, RefusedError)
    assert error.body_bytes < 32 * MIB
    assert requests == 1


@pytest.mark.fault("H23")
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_bomb_of_1_gb_costs_neither_memory_nor_time(wrapped: bool) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    first, block = (squeeze.compress(bytes(MIB)) + squeeze.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = first + block * 1023  # 1 GiB of zeros without having to be made
    if wrapped:  # a bomb within a document's own compression: nothing inflates it, and it is no JSON
        bomb = gzip.compress(bomb)
    started = time.process_time()
    tracemalloc.start()
    error, requests = asyncio.run(_error(always(raw(bomb, "Content-Encoding: gzip"))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, RefusedError)
    assert requests == (3 if wrapped else 1)
    assert peak < 128 * MIB
    assert time.process_time() - started < 5


@pytest.mark.fault("H22")
def test_a_body_of_100_mb_without_length_is_read_up_to_the_cap_only() -> None:
    sent = 0

    async def script(writer: asyncio.StreamWriter, _: int) -> None:
        nonlocal sent
        writer.write(raw(b"[", length=-1))
        for _ in range(100):
            writer.write(b" " * MIB)
            await writer.drain()
            sent += 1

    tracemalloc.start()
    error, requests = asyncio.run(_error(script))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, RefusedError)
    assert 64 * MIB < error.body_bytes < 66 * MIB
    assert requests == 1
    assert sent < 80
    assert peak < 256 * MIB


@pytest.mark.fault("H22")
def test_an_announced_giant_is_refused_on_its_header() -> None:
    error, requests = asyncio.run(_error(always(raw(b"{", length=10_000_000_000))))
    assert isinstance(error, RefusedError)
    assert error.body_bytes == 10_000_000_000
    assert requests == 1


@pytest.mark.fault("H19", "H20", "H21")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>Sign in, secret-word</body></html>",
        BODY[:-1],
        b'"secret-word"',
        b"17",
        b"null",
        b"{}",
        b'{"errors":["secret-word"]}',
    ],
)
def test_a_200_without_a_document_is_tried_twice_more_and_then_refused(content: bytes) -> None:
    error, requests = asyncio.run(_error(always(raw(content, "Content-Type: text/html"))))
    assert isinstance(error, RefusedError)
    assert requests == 3
    assert error.status == 200
    assert error.body_sha256 == hashlib.sha256(content).hexdigest()
    assert (error.body_bytes, error.content_type) == (len(content), "text/html")
    assert "secret-word" not in str(error)


def test_a_page_of_a_proxy_that_goes_away_costs_nothing() -> None:
    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        writer.write(raw(b"<html>one moment</html>" if turn < 2 else BODY, "Content-Type: text/html"))

    reply, requests = asyncio.run(_fetch(script))
    assert reply.document == DOCUMENT
    assert requests == 3


@pytest.mark.fault("H20")
def test_204_says_that_there_are_no_rows() -> None:
    reply, requests = asyncio.run(_fetch(always(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")))
    assert (reply.status, reply.document, reply.body_bytes) == (204, [], 0)
    assert requests == 1


@pytest.mark.fault("H18")
def test_json_under_another_content_type_is_a_document(record_property: Callable[[str, object], None]) -> None:
    wrong = ("text/html", "text/plain; charset=latin-1", "application/octet-stream", "image/png", "a/b/c; \xe9", "application/jsonp")
    right = ("application/json", "Application/JSON; charset=utf-8", "application/problem+json", "text/json", "")
    for content_type in (*wrong, *right):
        reply, requests = asyncio.run(_fetch(always(raw(BODY, f"Content-Type: {content_type}"))))
        assert reply.document == DOCUMENT
        assert reply.repairs == (("content_type",) if content_type in wrong else ())
        assert requests == 1
    record_property("cases", len(wrong) + len(right))


@pytest.mark.fault("H18")
def test_a_payload_that_came_under_another_content_type_is_loaded_and_counted_as_drift(tmp_path: Path) -> None:
    run = {"test_run": {"id": 38, "status": "passed", "created_at": "2026-11-22T11:00:00Z", "test_blueprint_id": 7}}

    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        writer.write(raw(json.dumps(run).encode(), f"Content-Type: {'application/json' if turn else 'text/html'}"))

    async def synced() -> House:
        async with raw_server(script) as server:
            environ = {"DOCKETQA_API_KEY": "dk_0123456789", "DOCKETQA_API_URL": server.url}
            house = House(tmp_path, None, ("docketqa",), environ, VirtualClock())
            provider = house.settings.configured()["docketqa"]
            track_lines(provider, house.settings, [b'{"id":38}', b'{"id":39}'], house.clock, "track")
            report = await pull(provider, house.settings, house.clock, sync_id="20261122T120000-00000001")
            assert (report.error, report.landed) == (None, 2)
            return house

    house = asyncio.run(synced())
    house.refresh()
    assert house.ask("SELECT endpoint, json_pointer, kind, occurrences FROM meta.drift WHERE kind = 'repaired'") == [
        ("test_runs", "", "repaired", 1)
    ]
    assert house.ask("SELECT count(*) FROM core.results") == [(2,)]


@pytest.mark.fault("H24")
@pytest.mark.parametrize(
    "headers",
    [
        [f"X-{n}: 1" for n in range(100_000)],
        [f"X-{n}: {'a' * 100}" for n in range(20_000)],
        ["X-Giant: " + "a" * 10 * MIB],
        ["a" * 10 * MIB + ": 1"],
    ],
    ids=["100,000 headers", "20,000 longer ones", "10 MB of value", "10 MB of name"],
)
def test_a_flood_of_headers_is_bounded(headers: list[str]) -> None:
    flood = raw(BODY, *headers)
    tracemalloc.start()
    error, requests = asyncio.run(_error(always(flood), TWICE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, DeferredError)
    assert "RemoteProtocolError" in str(error)
    assert requests == 2
    assert peak < 3 * len(flood) + MIB  # the server's own copies are among it


@pytest.mark.fault("H24")
def test_interim_answers_without_end_are_ended_by_the_total_deadline() -> None:
    async def script(writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 50)
            await writer.drain()
            await asyncio.sleep(0)

    started = time.monotonic()
    error, requests = asyncio.run(_error(script, Limits(total_s=0.2, tries=2)))
    assert isinstance(error, DeferredError)
    assert "no whole answer within 0.2 s" in str(error)
    assert requests == 2
    assert time.monotonic() - started < 3
