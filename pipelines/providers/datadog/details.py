"""Which full results are fetched, in which order, and what waits for a later sync."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from pipelines.errors import FetchError, GoneError, HaltedError
from pipelines.providers.datadog.crawling import (
    KINDS,
    V2,
    Kind,
    Streak,
    from_ms_epoch,
    id_text,
    state,
    told_ms,
    told_result,
    told_v2,
    v2_mode,
    v2_state,
    v2_times,
)
from pipelines.providers.datadog.paging import list_path
from pipelines.providers.spec import Crawl, Document, Event, Missed, Payload, Reply, Waiting, bounded, refusal

CATCH_UP = timedelta(days=7)
"""How old a list row may be whose full result is still fetched."""
NOT_THERE_YET = timedelta(minutes=10)
"""How young a result may be whose 404 means that it is not written yet."""
RESERVE = 5
"""Requests of the rate-limit window that details leave to others."""

Detail = str | float


def parse_detail(text: str) -> Detail | None:
    """`all`, `failed`, or the share as a number; None when it is none of them."""
    text = text.strip().lower()
    if text in ("all", "failed"):
        return text
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


@dataclass
class Candidate:
    """A full result that could be fetched."""

    kind: Kind
    public_id: str
    result_id: str
    event_at: datetime | None
    has_failed: bool = False
    has_changed: bool = False
    was_missed: bool = False

    @property
    def order(self) -> tuple[bool, bool, bool, float, str]:
        """Failed first, then changed, then newest; what could not be fetched before comes last."""
        age = -self.event_at.timestamp() if self.event_at else math.inf
        return self.was_missed, not self.has_failed, not self.has_changed, age, self.result_id


def note(kind: Kind, public_id: str, result_id: str, row: Document, event_at: datetime | None, listed: dict[str, Candidate]) -> None:
    """Remember a listed row whose full result exists."""
    if (v2_state(row) if kind.is_v2 else state(row)) == "final":
        has_failed = v2_row_failed(row) if kind.is_v2 else row_failed(row)
        listed[result_id] = Candidate(kind, public_id, result_id, event_at, has_failed=has_failed)


def row_failed(document: Document) -> bool:
    """True when a v1 list row says that the run failed, or carries any error."""
    told = told_result(document)
    if isinstance(told.get("passed"), bool):
        return not told["passed"]
    return bool(told.get("errorMessage") or told.get("failure") or told.get("error")) or (told.get("eventType") == "finished_with_error")


def v2_row_failed(document: Document) -> bool:
    """True when a v2 list row says that the run failed, or carries an error without saying that it passed."""
    told = told_v2(document)
    info = told.get("execution_info")
    has_error = isinstance(info, dict) and bool(info.get("error_message"))
    return told.get("status") == "failed" or (has_error and told.get("status") != "passed")


def _wanted(crawl: Crawl, listed: Mapping[str, Candidate], kinds: Mapping[str, Kind]) -> list[Candidate]:
    """Full results to fetch: never landed (by v1 or v2) or due, of rows listed now or within `CATCH_UP`, as the setting says."""
    detail = parse_detail(crawl.settings.get("RESULTHOUSE_DATADOG_DETAIL") or "all")
    owners = [*KINDS.values(), *([V2] if v2_mode(crawl.settings) != "off" else [])]
    candidates: dict[str, Candidate] = {}
    # The history does not say whether a row failed: with `failed`, only what the lookback lists is fetched.
    if detail != "failed":
        for owner in owners:
            candidates |= _earlier(crawl, owner, kinds)
    candidates |= listed
    landed = {owner.details: crawl.history.landed(owner.details) for owner in (*KINDS.values(), V2)}
    wanted = {
        key: item for key, item in candidates.items() if _is_chosen(item, detail) and not any(key in known for known in landed.values())
    }
    for owner in owners:
        for known in crawl.history.due(owner.details):
            kind = _of_owner(owner, known.parent_id, kinds)
            has_other = any(known.entity_id in others for name, others in landed.items() if name != owner.details)
            if known.parent_id is not None and kind is not None and not has_other:
                item = candidates.get(known.entity_id)
                if item is None or item.kind.details != owner.details:
                    item = Candidate(kind, known.parent_id, known.entity_id, known.event_at)
                was_landed = known.first_landed_at is not None
                wanted[known.entity_id] = replace(item, has_changed=was_landed, was_missed=not was_landed)
    chosen = [item for key, item in wanted.items() if not crawl.history.is_closed(item.kind.details, key)]
    return sorted(chosen, key=lambda item: item.order)


def _earlier(crawl: Crawl, owner: Kind, kinds: Mapping[str, Kind]) -> dict[str, Candidate]:
    """Rows within `CATCH_UP` that no full result has landed of for good."""
    found: dict[str, Candidate] = {}
    for known in crawl.history.landed_since(owner.rows, crawl.now - CATCH_UP, [each.details for each in (*KINDS.values(), V2)]):
        kind = _of_owner(owner, known.parent_id, kinds)
        if known.state == "final" and known.parent_id is not None and kind is not None:
            found[known.entity_id] = Candidate(kind, known.parent_id, known.entity_id, known.event_at)
    return found


def _of_owner(owner: Kind, public_id: str | None, kinds: Mapping[str, Kind]) -> Kind | None:
    """v2's address depends on the test's type, which only the list of tests tells: of a test not listed now v2 is not asked."""
    return owner if not owner.is_v2 else kinds.get(public_id or "")


def _is_chosen(candidate: Candidate, detail: Detail | None) -> bool:
    if detail == "failed":
        return candidate.has_failed
    if isinstance(detail, float):
        return is_in_share(candidate.result_id, detail)
    return True


def is_in_share(result_id: str, share: float) -> bool:
    """Whether a result belongs to the share that is fetched in full: by a hash of its id, so the same at every sync."""
    digest = hashlib.sha256(result_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


async def fetch_details(crawl: Crawl, listed: Mapping[str, Candidate], kinds: Mapping[str, Kind]) -> AsyncIterator[Event]:
    """Full results in order, until the rate-limit window has only its reserve left; what waits is counted.

    `listed` are candidates by result id, `kinds` the v2 kinds of listed tests by public id.
    """
    waiting: dict[str, int] = {}
    streak = Streak()

    async def fetch(candidate: Candidate) -> Sequence[Event]:
        kind = candidate.kind
        left = crawl.client.remaining(kind.details)
        if streak.is_down or (left is not None and left <= RESERVE):
            waiting[kind.details] = waiting.get(kind.details, 0) + 1
            return []
        try:
            path = f"{list_path(kind, candidate.public_id)}/{quote(candidate.result_id, safe='')}"
            reply = await crawl.client.get(path, kind=kind.details)
            streak.add(None)
            return [_detail(candidate, reply)]
        except HaltedError:
            raise
        except GoneError as error:
            if candidate.event_at is not None and crawl.now - candidate.event_at < NOT_THERE_YET:
                waiting[kind.details] = waiting.get(kind.details, 0) + 1
                return []
            return [_missed(candidate, error)]
        except FetchError as error:
            streak.add(error)
            return [_missed(candidate, error)]

    jobs = [partial(fetch, candidate) for candidate in _wanted(crawl, listed, kinds)]
    async for event in bounded(jobs, crawl.concurrency):
        yield event
    for endpoint, count in sorted(waiting.items()):
        yield Waiting(endpoint, count)


def _detail(candidate: Candidate, reply: Reply) -> Payload:
    document, kind = reply.document, candidate.kind
    if not isinstance(document, dict) or (candidate.result_id not in (told_ids := _told_ids(document, kind)) and told_ids):
        raise refusal(reply, f"Datadog result {candidate.result_id}: the answer is not this result.")
    at = reply.fetched_at
    check_ms = v2_times(told_v2(document), at)[0] if kind.is_v2 else told_ms(document.get("check_time"), at)
    event_at = candidate.event_at or from_ms_epoch(check_ms)
    return Payload(kind.details, candidate.result_id, document, reply, parent_id=candidate.public_id, event_at=event_at)


def _told_ids(document: dict[str, Any], kind: Kind) -> set[str]:
    if not kind.is_v2:
        told = [document.get("result_id")]
    else:
        data = document.get("data")
        told = [data.get("id") if isinstance(data, dict) else None, told_v2(document).get("id")]
    return {text for value in told if (text := id_text(value)) is not None}


def _missed(candidate: Candidate, error: FetchError) -> Missed:
    return Missed(
        candidate.kind.details,
        candidate.result_id,
        error,
        parent_id=candidate.public_id,
        event_at=candidate.event_at,
    )
