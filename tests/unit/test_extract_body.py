"""Answers read whole or not at all: `pipelines.extract.body` without a network."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from pipelines.extract import body
from pipelines.extract.limits import MIB, Limits

Record = Callable[[str, object], None]

SMALL = json.dumps({"results": [{"id": n, "status": "passed"} for n in range(40)]}).encode()


class Chunks(httpx.AsyncByteStream):
    """A body in pieces of the given size."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size = content, size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), self.size):
            yield self.content[start : start + self.size]


async def _reading(content: bytes, *, size: int = 65_536, limits: Limits | None = None, **headers: str) -> bytes:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await body.read(httpx.Response(200, headers=names, stream=Chunks(content, size)), limits or Limits())


def _read(content: bytes, *, size: int = 65_536, limits: Limits | None = None, **headers: str) -> bytes:
    return asyncio.run(_reading(content, size=size, limits=limits, **headers))


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_a_whole_body_comes_out_as_it_went_in(size: int) -> None:
    packed = gzip.compress(SMALL)
    assert _read(packed, size=size, content_encoding="gzip", content_length=str(len(packed))) == SMALL
    assert _read(SMALL, size=size, content_length=str(len(SMALL))) == SMALL


@pytest.mark.fault("H16")
def test_every_cut_of_a_gzip_body_of_4_kb_is_noticed(record_property: Record) -> None:
    packed = gzip.compress(json.dumps({"ids": [random.Random(n).getrandbits(64) for n in range(450)]}).encode())
    assert len(packed) > 4096

    async def run() -> None:
        for cut in range(1, len(packed)):
            with pytest.raises(body.DamagedBodyError):
                await _reading(packed[:cut], content_encoding="gzip", content_length=str(cut))

    asyncio.run(run())
    record_property("cases", len(packed) - 1)


@pytest.mark.fault("H16")
def test_every_flipped_bit_of_a_gzip_body_is_noticed_or_harmless(record_property: Record) -> None:
    packed = gzip.compress(SMALL)
    rng = random.Random(1)

    async def run() -> None:
        for _ in range(2000):
            bit = rng.randrange(len(packed) * 8)
            flipped = bytearray(packed)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                whole = await _reading(bytes(flipped), content_encoding="gzip")
            except body.DamagedBodyError:
                continue
            assert whole == SMALL  # a bit of the header that carries nothing

    asyncio.run(run())
    record_property("cases", 2000)


@pytest.mark.fault("H16")
def test_something_behind_the_gzip_stream_is_noticed() -> None:
    with pytest.raises(body.DamagedBodyError):
        _read(gzip.compress(SMALL) + b"more", content_encoding="gzip")


@pytest.mark.fault("H14")
@pytest.mark.parametrize("announced", [len(SMALL) - 1, len(SMALL) + 1, 0])
def test_a_body_of_another_length_than_announced_is_noticed(announced: int) -> None:
    with pytest.raises(body.DamagedBodyError):
        _read(SMALL, content_length=str(announced))


@pytest.mark.fault("H23")
def test_a_gzip_bomb_is_stopped_before_it_unfolds() -> None:
    bomb = gzip.compress(bytes(256 * MIB), 1)
    tracemalloc.start()
    with pytest.raises(body.OversizedBodyError, match="200 : 1"):
        _read(bomb, content_encoding="gzip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * MIB


@pytest.mark.fault("H22")
def test_a_body_over_the_cap_is_refused_on_its_header_or_at_the_cap() -> None:
    limits = Limits(body_bytes=1000)
    with pytest.raises(body.OversizedBodyError) as caught:
        _read(b"", limits=limits, content_length="10000000000")
    assert caught.value.body_bytes == 10_000_000_000
    with pytest.raises(body.OversizedBodyError):
        _read(bytes(1001), limits=limits, size=10)
    with pytest.raises(body.OversizedBodyError):
        _read(gzip.compress(random.Random(1).randbytes(1001)), limits=limits, size=10, content_encoding="gzip")
    assert len(_read(bytes(1000), limits=limits)) == 1000


@pytest.mark.fault("H23")
@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(body.UnusableBodyError):
        _read(SMALL, content_encoding=encoding)


@pytest.mark.fault("D1", "H19", "H20", "H21")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"<html>secret-in-page</html>",
        b'{"a":1',
        b'{"a":1} secret',
        b"\xff\xfe",
        b"[" * 1000,
        b'"secret"',
        b"17",
        b"null",
        b"{}",
        b'{"errors":["secret"]}',
    ],
)
def test_what_is_no_document_is_refused_without_a_word_of_it(content: bytes) -> None:
    with pytest.raises(body.UnusableBodyError) as caught:
        body.document(content)
    assert "secret" not in str(caught.value)


def test_objects_and_lists_are_documents() -> None:
    assert body.document(b"[]") == ([], ())
    assert body.document(b'{"errors":[],"data":1}') == ({"errors": [], "data": 1}, ())
    assert body.document(b'{"a":1,"a":2}') == ({"a": 2}, ("duplicate_key",))
