"""What both halves of the crawl share: the kinds of results, when one is open, reading ids and times, giving up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.errors import DeferredError, FetchError
from pipelines.providers.datadog.leaves import OPEN_EVENT_TYPES
from pipelines.providers.spec import Document, State

GIVE_UP_AFTER = 5
"""Requests in a row that fail after all retries before the rest is left for the next sync: it is the API then, not the
test or result. What failed in an earlier sync comes last, so that it cannot keep the others waiting."""


@dataclass(frozen=True)
class Kind:
    """The two kinds of results that v1 serves, by the test's `type`."""

    test_type: str
    rows: str
    details: str
    path: str


KINDS = {
    "api": Kind("api", "api_result_rows", "api_results", "/api/v1/synthetics/tests/{}/results"),
    "browser": Kind("browser", "browser_result_rows", "browser_results", "/api/v1/synthetics/tests/browser/{}/results"),
}
"""Mobile and network tests have no v1 result endpoint (2026-11): their definitions land, their results do not."""


@dataclass
class Streak:
    """Requests in a row that failed after all retries."""

    failures: int = 0

    @property
    def is_down(self) -> bool:
        """True when asking on makes no sense in this sync."""
        return self.failures >= GIVE_UP_AFTER

    def add(self, error: FetchError | None) -> None:
        """How a request ended; another refusal than DeferredError neither counts nor clears."""
        if error is None:
            self.failures = 0
        elif isinstance(error, DeferredError):
            self.failures += 1


def state(document: Document) -> State:
    """`open` while a result is scheduled or not scheduled yet, else `final`."""
    return "open" if told_result(document).get("eventType") in OPEN_EVENT_TYPES else "final"


def told_result(document: Document) -> dict[str, Any]:
    """The payload's `result` object, empty when there is none."""
    told = document.get("result") if isinstance(document, dict) else None
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
