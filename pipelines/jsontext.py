"""The one strict JSON parser and writer: values stay exact, key order is kept, what is repaired is said.

Numbers with a fraction or exponent are kept as their literal text (`simplejson.RawJSON`), so nothing is rounded on the way to the lake.
No masking, no schema here.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import simplejson

MAX_DEPTH = 200
_REPLACEMENT = "\ufffd"


class JsonError(ValueError):
    """The text is not one JSON value, or is nested deeper than `MAX_DEPTH`."""


def parse(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """Parse UTF-8 JSON. Returns the value and what had to be repaired (`duplicate_key`, `not_a_number`, `lone_surrogate`, `nul`).

    A duplicate key's last value wins; NaN and infinities become null; lone surrogates become U+FFFD and NUL characters vanish.
    Raises JsonError.
    """
    repairs: set[str] = set()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            repairs.add("duplicate_key")
        return result

    def constant(_: str) -> None:
        repairs.add("not_a_number")

    def fraction(literal: str) -> Any:
        if not math.isfinite(float(literal)):
            repairs.add("not_a_number")
            return None
        return simplejson.RawJSON(literal)

    try:
        text = body.decode("utf-8-sig")
        value = simplejson.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_float=fraction, allow_nan=True)
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    except simplejson.JSONDecodeError as error:
        raise JsonError(f"not JSON at character {error.pos}") from None
    except RecursionError:
        raise JsonError(f"nested deeper than {MAX_DEPTH}") from None
    except ValueError:
        raise JsonError("a number with too many digits") from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:  # most have not even that many brackets
        raise JsonError(f"nested deeper than {MAX_DEPTH}")
    if "\\ud" in text or "\\uD" in text or "\\u0000" in text:
        value = _clean(value, repairs)
    return value, tuple(sorted(repairs))


def dump(value: Any) -> str:
    """Compact JSON text of a parsed value: key order and number literals as they came."""
    return str(simplejson.dumps(value, separators=(",", ":"), ensure_ascii=False))


def as_number(value: Any) -> float | None:
    """The float of a parsed number, None for anything else and for what is too large for one."""
    if isinstance(value, bool):
        return None
    try:
        return float(value.encoded_json) if isinstance(value, simplejson.RawJSON) else float(value) if isinstance(value, int) else None
    except OverflowError:
        return None


def as_instant(value: Any) -> datetime | None:
    """The instant of an ISO-8601 text with a zone, in UTC; None for anything else and for what in UTC has no date (year 1, 9999)."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        return instant.astimezone(UTC) if instant is not None and instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, (dict, list))
        ]
    return depth


def _clean(value: Any, repairs: set[str]) -> Any:
    if isinstance(value, dict):
        return {_clean(name, repairs): _clean(child, repairs) for name, child in value.items()}
    if isinstance(value, list):
        return [_clean(child, repairs) for child in value]
    if not isinstance(value, str):
        return value
    if "\0" in value:
        repairs.add("nul")
        value = value.replace("\0", "")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        repairs.add("lone_surrogate")
        value = "".join(_REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in value)
    return value
