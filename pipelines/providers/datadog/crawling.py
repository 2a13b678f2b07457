"""What all parts of the crawl share: the kinds of results, when one is open, reading ids and times, giving up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines import jsontext
from pipelines.errors import DeferredError, RefusedError
from pipelines.providers.datadog.leaves import OPEN_EVENT_TYPES
from pipelines.providers.spec import Document, Reply, State, refusal

GIVE_UP_AFTER = 5
"""Requests in a row that fail after all retries before the rest is left for the next sync: it is the API then, not the
test or result. What failed in an earlier sync comes last, so that it cannot keep the others waiting."""

_FIRST_MS = datetime(2010, 1, 1, tzinfo=UTC).timestamp() * 1000

V2_MODES = ("off", "missing", "all")
"""Which tests' results are read by v2: none, those that v1 has no (or no whole) results for, every test's."""


@dataclass(frozen=True)
class Kind:
    """One way to read the results of a test: its endpoints (of rows and full results) and the address of its list."""

    rows: str
    details: str
    path: str
    is_v2: bool = False


KINDS = {
    "api": Kind("api_result_rows", "api_results", "/api/v1/synthetics/tests/{}/results"),
    "browser": Kind("browser_result_rows", "browser_results", "/api/v1/synthetics/tests/browser/{}/results"),
}
"""v1, by the test's `type`. Mobile and network tests have no v1 result endpoint (2026-11)."""

V2 = Kind("v2_result_rows", "v2_results", "/api/v2/synthetics/tests/{}/results", is_v2=True)
V2_BROWSER = Kind(V2.rows, V2.details, "/api/v2/synthetics/tests/browser/{}/results", is_v2=True)


def v2_mode(settings: Mapping[str, str]) -> str:
    """The setting RESULTHOUSE_DATADOG_V2, as it was given: one of `V2_MODES`, else unusable."""
    return (settings.get("RESULTHOUSE_DATADOG_V2") or V2_MODES[0]).strip().lower()


def kind_of(test: Mapping[str, Any], mode: str) -> Kind | None:
    """How a listed test's results are read; None when no endpoint has them, or v2 alone has and is off."""
    test_type = id_text(test.get("type")) or ""
    by_v1 = KINDS.get(test_type)
    is_missing = by_v1 is None or (test_type == "api" and test.get("subtype") == "multi")
    if mode == "all" or (mode == "missing" and is_missing):
        return V2_BROWSER if test_type == "browser" else V2
    return by_v1


@dataclass
class Streak:
    """Requests in a row that failed after all retries."""

    failures: int = 0

    @property
    def is_down(self) -> bool:
        """True when asking on makes no sense in this sync."""
        return self.failures >= GIVE_UP_AFTER

    def add(self, error: Exception | None) -> None:
        """How a request ended; a refusal of one id (4xx) neither counts nor clears."""
        if error is None:
            self.failures = 0
        elif isinstance(error, (DeferredError, RefusedError)):
            self.failures += 1


# ------------------------------------------------------------------------------------------------- reading documents


def state(document: Document) -> State:
    """`open` while a v1 result is scheduled or not scheduled yet, else `final`."""
    return "open" if told_result(document).get("eventType") in OPEN_EVENT_TYPES else "final"


def v2_state(document: Document) -> State:
    """`open` while a v2 row or full result has neither a status nor an end (assumed to still run), else `final`."""
    told = told_v2(document)
    return "final" if told.get("status") is not None or told.get("finished_at") is not None else "open"


def told_result(document: Document) -> dict[str, Any]:
    """The payload's `result` object, empty when there is none."""
    return _object(document, "result")


def told_v2(document: Document) -> dict[str, Any]:
    """What a v2 row (`attributes`) or full result (`data.attributes.result`) tells of the result, empty when it is another shape."""
    if isinstance(document, dict) and "data" in document:
        return _object(_object(_object(document, "data"), "attributes"), "result")
    return _object(document, "attributes")


def v2_times(told: Mapping[str, Any], now: datetime) -> tuple[float | None, float | None]:
    """Start and end in epoch ms, as far as they are told and can be."""
    return told_ms(told.get("started_at"), now), told_ms(told.get("finished_at"), now)


def _object(document: Document, name: str) -> dict[str, Any]:
    told = document.get(name) if isinstance(document, dict) else None
    return told if isinstance(told, dict) else {}


def id_text(value: Any) -> str | None:
    """An id as text; None when it is missing or empty."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def from_ms_epoch(check_ms: float | None) -> datetime | None:
    """The instant of epoch milliseconds; None when there is none or it is out of range."""
    if check_ms is None:
        return None
    try:
        return datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=check_ms)
    except OverflowError:
        return None


def told_ms(value: Any, now: datetime) -> float | None:
    """Epoch milliseconds as told; None when they are missing or cannot be when a result was made (before 2010, or yet to come): such a
    row belongs to whatever window it is listed in, and no page ends at it."""
    ms = jsontext.as_number(value)
    return ms if ms is not None and _FIRST_MS <= ms <= epoch_ms(now + timedelta(days=1)) else None


def epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return math.floor(instant.timestamp() * 1000)


def objects(reply: Reply, name: str, what: str) -> list[dict[str, Any]]:
    """The list `name` of an answer; RefusedError when it is none, or holds anything but objects."""
    document = reply.document
    items = document.get(name) if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise refusal(reply, f"{what}: the answer holds no list `{name}` of objects.")
    return items
