"""Which full results are fetched, in which order, and what waits for a later sync."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from pipelines import jsontext
from pipelines.errors import FetchError, GoneError, HaltedError
from pipelines.providers.datadog.crawling import KINDS, Kind, Streak, from_ms_epoch, id_text, state, told_result
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


def note(event: Payload, candidates: dict[tuple[str, str], Candidate]) -> None:
    """Remember a listed row whose full result exists."""
    for kind in KINDS.values():
        if event.endpoint == kind.rows and event.parent_id is not None and state(event.document) == "final":
            candidates[kind.details, event.entity_id] = Candidate(
                kind, event.parent_id, event.entity_id, event.event_at, has_failed=row_failed(event.document)
            )


def row_failed(document: Document) -> bool:
    """True when a list row says that the run failed, or carries any error."""
    told = told_result(document)
    if isinstance(told.get("passed"), bool):
        return not told["passed"]
    return bool(told.get("errorMessage") or told.get("failure") or told.get("error")) or (told.get("eventType") == "finished_with_error")


def _wanted(crawl: Crawl, listed: Mapping[tuple[str, str], Candidate]) -> list[Candidate]:
    """Full results to fetch: never landed or due, of rows listed now or within `CATCH_UP`, as the setting says."""
    detail = parse_detail(crawl.settings.get("RESULTHOUSE_DATADOG_DETAIL") or "all")
    chosen: list[Candidate] = []
    for kind in KINDS.values():
        landed = crawl.history.landed(kind.details)
        # The history does not say whether a row failed: with `failed`, only what the lookback lists is fetched.
        candidates = {} if detail == "failed" else _earlier(crawl, kind)
        candidates |= {result_id: item for (endpoint, result_id), item in listed.items() if endpoint == kind.details}
        wanted = {key: item for key, item in candidates.items() if key not in landed and _is_chosen(item, detail)}
        for known in crawl.history.due(kind.details):
            if known.parent_id is not None:
                item = candidates.get(known.entity_id) or Candidate(kind, known.parent_id, known.entity_id, known.event_at)
                was_landed = known.first_landed_at is not None
                wanted[known.entity_id] = replace(item, has_changed=was_landed, was_missed=not was_landed)
        chosen += [item for key, item in wanted.items() if not crawl.history.is_closed(kind.details, key)]
    return sorted(chosen, key=lambda item: item.order)


def _earlier(crawl: Crawl, kind: Kind) -> dict[str, Candidate]:
    return {
        known.entity_id: Candidate(kind, known.parent_id, known.entity_id, known.event_at)
        for known in crawl.history.landed(kind.rows).values()
        if known.state == "final" and known.parent_id is not None and known.event_at is not None and known.event_at >= crawl.now - CATCH_UP
    }


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


async def fetch_details(crawl: Crawl, listed: Mapping[tuple[str, str], Candidate]) -> AsyncIterator[Event]:
    """Full results in order, until the rate-limit window has only its reserve left; what waits is counted."""
    waiting: dict[str, int] = {}
    streak = Streak()

    async def fetch(candidate: Candidate) -> Sequence[Event]:
        kind = candidate.kind
        left = crawl.client.remaining(kind.details)
        if streak.is_down or (left is not None and left <= RESERVE):
            waiting[kind.details] = waiting.get(kind.details, 0) + 1
            return []
        try:
            reply = await crawl.client.get(f"{kind.path.format(candidate.public_id)}/{candidate.result_id}", kind=kind.details)
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

    jobs = [partial(fetch, candidate) for candidate in _wanted(crawl, listed)]
    async for event in bounded(jobs, crawl.concurrency):
        yield event
    for endpoint, count in sorted(waiting.items()):
        yield Waiting(endpoint, count)


def _detail(candidate: Candidate, reply: Reply) -> Payload:
    document = reply.document
    told_id = id_text(document.get("result_id")) if isinstance(document, dict) else None
    if not isinstance(document, dict) or (told_id is not None and told_id != candidate.result_id):
        raise refusal(reply, f"Datadog result {candidate.result_id}: the answer is not this result.")
    event_at = candidate.event_at or from_ms_epoch(jsontext.as_number(document.get("check_time")))
    return Payload(candidate.kind.details, candidate.result_id, document, reply, parent_id=candidate.public_id, event_at=event_at)


def _missed(candidate: Candidate, error: FetchError) -> Missed:
    return Missed(
        candidate.kind.details,
        candidate.result_id,
        error,
        parent_id=candidate.public_id,
        event_at=candidate.event_at,
    )
