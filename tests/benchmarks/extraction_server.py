"""A fast stand-in for Checkly's API in a process of its own: bodies rendered and compressed before the first request.

    /<sessions>/<results>/v1/test-sessions                     so many sessions, 100 a page
    /<sessions>/<results>/v1/test-sessions/<id>                one session that names so many results
    /<sessions>/<results>/v1/test-sessions/<id>/results/<id>   one result: a template with that id

Templates come as one JSON object on standard input, the port goes to standard output, and the process ends with its standard input.
The sandbox is no yardstick: it makes every answer anew. Nothing but the standard library is imported here.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

PAGE = 100
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def session_id(number: int) -> str:
    """The id of the n-th session."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def result_id(session: int, number: int) -> str:
    """The id of the n-th result of a session."""
    return f"{session:08x}-{number % 65536:04x}-4000-8000-{number:012x}"


def _rendered(template: dict[str, Any]) -> Callable[[str], bytes]:
    """Gives the answer with an id: the id stands in a stored block before the rest, which was compressed once."""
    others = {name: value for name, value in template.items() if name not in ("testSessionResultId", "id")}
    rest = json.dumps(others, ensure_ascii=False, separators=(",", ":")).encode()[1:]
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(rest) + packer.flush()

    def render(entity_id: str) -> bytes:
        head = f'{{"testSessionResultId":"{entity_id}","id":"{entity_id}",'.encode()
        size = len(head)
        stored = b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + head
        check = zlib.crc32(rest, zlib.crc32(head)).to_bytes(4, "little") + (size + len(rest)).to_bytes(4, "little")
        return _answer(_GZIP_HEAD + stored + packed + check)

    return render


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Encoding: gzip\r\n"
        b"Vary: accept-encoding\r\nCache-Control: no-cache\r\nDate: %b\r\nContent-Length: %d\r\n\r\n"
        % (formatdate(usegmt=True).encode(), len(body))
    ) + body


class _Api:
    def __init__(self, templates: dict[str, Any]) -> None:
        self._results = [_rendered(template) for template in templates["results"]]
        self._session, self._row = templates["session"], templates["row"]

    def answer(self, address: str) -> bytes:
        path, _, query = address.partition("?")
        _, sessions, results, _, _, *rest = path.split("/")
        if len(rest) == 3:
            return self._results[int(rest[2][-12:], 16) % len(self._results)](rest[2])
        document = self._page(int(sessions), query) if not rest else self._one(rest[0], int(results))
        return _answer(gzip.compress(json.dumps(document, ensure_ascii=False).encode(), 6))

    def _page(self, sessions: int, query: str) -> dict[str, Any]:
        start = int(dict(part.split("=") for part in query.split("&")).get("nextId", "0"))
        numbers = range(start, min(start + PAGE, sessions))
        entries = [{**self._row, "id": session_id(number)} for number in numbers]
        return {"length": len(entries), "entries": entries, "nextId": str(numbers.stop) if numbers.stop < sessions else None}

    def _one(self, entity_id: str, results: int) -> dict[str, Any]:
        row, number = self._session["results"][0], int(entity_id[:8], 16)
        rows = [{**row, "testSessionResultId": result_id(number, each)} for each in range(results)]
        return {**self._session, "testSessionId": entity_id, "results": rows}


class _Connection(asyncio.Protocol):
    def __init__(self, api: _Api) -> None:
        self._api = api
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._transport.write(self._api.answer(head.split(b" ", 2)[1].decode()))  # type: ignore[attr-defined] - a stream transport once connected


async def _serve() -> None:
    api = _Api(json.loads(sys.stdin.readline()))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(api), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
