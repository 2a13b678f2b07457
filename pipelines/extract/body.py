"""Bytes of an answer, read whole and checked: length, compression, size, one JSON document. No statuses, no retries.

httpx's own decoding is not used: it accepts a gzip stream that was cut off when Content-Length fits (measured with
0.28.1, 2026-11-22).
"""

from __future__ import annotations

import zlib
from typing import Any

import httpx

from pipelines import jsontext
from pipelines.extract.limits import Limits

ACCEPT_ENCODING = "gzip, identity"


class DamagedBodyError(Exception):
    """The body did not arrive as it was sent: like a dropped connection, worth another try."""


class OversizedBodyError(Exception):
    """The body is larger, or inflates further, than what is read here. `body_bytes` is the size announced or seen."""

    def __init__(self, message: str, body_bytes: int) -> None:
        super().__init__(message)
        self.body_bytes = body_bytes


class UnusableBodyError(Exception):
    """The body is whole, but no JSON document of a possible shape."""


async def read(response: httpx.Response, limits: Limits) -> bytes:
    """The decoded body of a streamed response, never more than `limits.body_bytes`.

    Raises DamagedBodyError, OversizedBodyError, UnusableBodyError (an encoding that was not asked for) and
    httpx.TransportError.
    """
    announced = response.headers.get("content-length", "")
    announced_bytes = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else None
    if announced_bytes is not None and announced_bytes > limits.body_bytes:
        raise OversizedBodyError(f"the body has {announced_bytes} bytes", announced_bytes)
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnusableBodyError("the body has an encoding that was not asked for")
    inflater = zlib.decompressobj(31) if encoding in ("gzip", "x-gzip") else None

    body = bytearray()
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        inflated_most = max(limits.ratio_free_bytes, limits.ratio * received)
        if inflater is None:
            body += chunk
        else:
            _inflate(inflater, chunk, body, min(limits.body_bytes, inflated_most) + 1)
        if max(len(body), received) > limits.body_bytes:
            raise OversizedBodyError(f"the body has more than {limits.body_bytes} bytes", len(body))
        if inflater is not None and len(body) > inflated_most:
            raise OversizedBodyError(f"the body inflates more than {limits.ratio} : 1", len(body))
    if announced_bytes not in (None, received) and "transfer-encoding" not in response.headers:
        raise DamagedBodyError("the body is shorter or longer than announced")
    if inflater is not None and received and not inflater.eof:
        raise DamagedBodyError("the gzip stream is cut off")
    return bytes(body)


def document(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """The JSON object or list that the body is, and what the parser repaired. No API has an answer that is an empty object.

    Raises UnusableBodyError; its text never holds any of the body.
    """
    if not body.strip():
        raise UnusableBodyError("the body is empty")
    try:
        value, repairs = jsontext.parse(body)
    except jsontext.JsonError as error:
        raise UnusableBodyError(str(error)) from None
    if not isinstance(value, (dict, list)):
        raise UnusableBodyError("the body is neither a JSON object nor a list")
    if isinstance(value, dict) and set(value) <= {"errors"}:
        raise UnusableBodyError("the body holds nothing but errors" if value else "the body is an empty object")
    return value, repairs


def is_json_type(content_type: str) -> bool:
    """Whether a Content-Type says JSON, or nothing."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("", "application/json", "text/json") or media_type.endswith("+json")


def _inflate(inflater: Any, chunk: bytes, body: bytearray, most_bytes: int) -> None:
    """Add what the chunk inflates to, until the body has `most_bytes`."""
    try:
        body += inflater.decompress(chunk, most_bytes - len(body))
    except zlib.error:
        raise DamagedBodyError("the gzip stream is damaged") from None
    if inflater.unused_data:
        raise DamagedBodyError("something follows the end of the gzip stream")
