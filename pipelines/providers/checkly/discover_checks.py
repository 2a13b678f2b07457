"""Which monitoring payloads to fetch: check definitions, then each check's results over its own window.

Facts: GET /v1/checks pages by number, GET /v2/check-results/{checkId} by cursor and allows 60 requests in 60 s (OpenAPI
2026-08-18). So checks are asked one after the other, and pages are handed on as they come. Sessions: `discover.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from pipelines.errors import DeferredError, FetchError, HaltedError, RefusedError
from pipelines.jsontext import as_instant
from pipelines.providers.checkly.paging import PAGE_ROWS, kept_from, listed, seen_kept, whole_second
from pipelines.providers.spec import Covered, Crawl, Event, Missed, Payload, Reply, refusal

CHECKS, CHECK_RESULTS = "checks", "check_results"
SETTING = "RESULTHOUSE_CHECKLY_RUNS"
CHUNK = timedelta(days=7)
"""Longest window that is read in one go: what a failure makes a later sync read again."""

GIVE_UP_AFTER = 5
"""Checks in a row that cannot be read before the rest is left for the next sync: it is the API then, not the check."""

_MAX_PAGES = 1_000


def is_wanted(settings: Mapping[str, str]) -> bool:
    """Whether monitoring runs are fetched at all."""
    return (settings.get(SETTING) or "on") == "on"


async def discover_checks(crawl: Crawl) -> AsyncIterator[Event]:
    """Yield definitions, then results check by check; a check that fails is missed, the others go on. Raises HaltedError."""
    checks: dict[str, None] = {}
    async for event in _checks(crawl):
        if isinstance(event, Payload):
            checks[event.entity_id] = None
        else:  # the list is incomplete
            checks |= dict.fromkeys(crawl.history.landed(CHECKS))
        yield event
    missed_before = {known.entity_id for known in crawl.history.due(CHECK_RESULTS)}
    failures = 0

    def turn(check_id: str) -> tuple[bool, float]:
        # What failed comes last, what has waited longest first: when the API's limit ends a sync, the next one goes on.
        resume_at = crawl.history.resume_at(CHECK_RESULTS, check_id, kept_from(crawl))
        return check_id in missed_before, 0.0 if resume_at is None else resume_at.timestamp()

    for check_id in sorted(checks, key=turn):
        try:
            async for found in _results(crawl, check_id):
                failures = 0
                yield found
        except HaltedError:
            raise
        except FetchError as error:
            yield Missed(CHECK_RESULTS, check_id, error, parent_id=check_id)
            failures += isinstance(error, (DeferredError, RefusedError))
            if failures >= GIVE_UP_AFTER:
                return


async def _checks(crawl: Crawl) -> AsyncIterator[Event]:
    """All definitions; Missed at the end when the list is incomplete."""
    seen: set[str] = set()
    try:
        for page in range(1, _MAX_PAGES + 1):
            reply = await crawl.client.get("/v1/checks", params=[("limit", str(PAGE_ROWS)), ("page", str(page))], kind=CHECKS)
            checks = _list(reply)
            fresh = {check["id"]: check for check in checks if check["id"] not in seen}
            for check_id, check in fresh.items():
                yield Payload(CHECKS, check_id, check, reply, event_at=reply.fetched_at)
            seen |= fresh.keys()
            if len(checks) < PAGE_ROWS:
                return
            if not fresh:
                raise DeferredError("Checkly's list of checks goes round in circles: left for the next sync.")
        raise DeferredError(f"Checkly's list of checks has more than {_MAX_PAGES} pages.")
    except HaltedError:
        raise
    except FetchError as error:
        yield Missed(CHECKS, "", error)


def _list(reply: Reply) -> list[dict[str, Any]]:
    checks = reply.document
    if not isinstance(checks, list):
        raise refusal(reply, "Checkly's list of checks is no list.")
    if not all(isinstance(check, dict) and isinstance(check.get("id"), str) and check["id"] for check in checks):
        raise refusal(reply, "Checkly's list of checks has a check without an id.")
    return checks


async def _results(crawl: Crawl, check_id: str) -> AsyncIterator[Event]:
    """Results of one check, oldest window first, each followed by its Covered. `resultType=ALL`: tries are rows too."""
    path = f"/v2/check-results/{quote(check_id, safe='')}"
    kept_at = kept_from(crawl)
    from_at, end = map(whole_second, crawl.window(CHECK_RESULTS, check_id, kept_at, is_certain=False))
    while from_at < end:
        to_at = min(from_at + CHUNK, end)
        what, params = f"results of check {check_id}", (("resultType", "ALL"),)
        async for result_id, result, reply in listed(crawl.client, path, from_at, to_at, kind=CHECK_RESULTS, what=what, params=params):
            event_at = next(filter(None, (as_instant(result.get(name)) for name in ("startedAt", "created_at", "createdAt"))), None)
            yield Payload(CHECK_RESULTS, result_id, result, reply, parent_id=check_id, event_at=event_at)
            kept_at = seen_kept(kept_at, from_at, event_at)
        if kept_at < to_at:
            yield Covered(CHECK_RESULTS, check_id, max(from_at, kept_at), to_at)
        from_at = to_at
