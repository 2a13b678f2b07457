"""Which DocketQA test runs to fetch, and what a line given to `resulthouse track` says. No rows, no masking.

There is no list of runs and no GET of a group (docs.docketqa.com, read 2026-08): ids come from trigger responses and
webhooks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pipelines.jsontext import as_instant
from pipelines.providers.spec import Crawl, Document, Event, Reply, State, Tracked, TrackedLine, poll, refusal

RUNS, GROUPS = "test_runs", "test_group_runs"
_EXPECTED = "a trigger response, a webhook body or a test run of DocketQA is expected."


def discover(crawl: Crawl) -> AsyncIterator[Event]:
    """Fetch every test run that is due: tracked and never fetched, still running, or missed before."""
    return poll(crawl, RUNS, _fetch)


async def _fetch(crawl: Crawl, run_id: str) -> tuple[Reply, datetime | None]:
    reply = await crawl.client.get(f"/test_run/{quote(run_id, safe='')}")
    run = _object(reply.document, "test_run")
    if not run:
        raise refusal(reply, f"docketqa test run {run_id}: the answer holds no test_run")
    return reply, as_instant(run.get("created_at"))


def state(document: Document) -> State:
    """`open` while the test run is running or says nothing; any other word has ended it."""
    status = _object(document, "test_run").get("status")
    return "final" if isinstance(status, str) and status != "running" else "open"


def parse_tracked(document: Document) -> TrackedLine:
    """A trigger response or webhook body -> itself as payload and its test runs; a test run or `{"id"}` -> that run.

    Raises ValueError with a sentence that names no value.
    """
    if not isinstance(document, dict):
        raise ValueError(f"The line is no JSON object: {_EXPECTED}")
    for name, members in (("test_group_run", "test_runs"), ("payload", "tests")):
        group = _object(document, name)
        if group:
            group_id = _id(group.get("id"))
            if group_id is None:
                raise ValueError(f"The line has no whole number in {name}.id: {_EXPECTED}")
            landed = (GROUPS, group_id, document, as_instant(group.get("created_at")))
            return TrackedLine(runs=_members(group.get(members)), payloads=(landed,))
    run = _object(document, "test_run") or document
    run_id = None if "test_runs" in run else _id(run.get("id"))
    if run_id is None:
        raise ValueError(f"The line has no whole number in id or test_run.id: {_EXPECTED}")
    return TrackedLine(runs=(Tracked(RUNS, run_id),))


def _members(items: object) -> tuple[Tracked, ...]:
    """Runs named by the items of a list. Items of a webhook are not documented: `id` is taken for the test run's."""
    found = [_id(item.get("test_run_id", item.get("id"))) for item in (items if isinstance(items, list) else ()) if isinstance(item, dict)]
    return tuple(Tracked(RUNS, run_id) for run_id in dict.fromkeys(found) if run_id is not None)


def _id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return value.strip() if isinstance(value, str) and value.strip().isdecimal() and value.isascii() else None


def _object(document: Document, name: str) -> dict[str, Any]:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}
