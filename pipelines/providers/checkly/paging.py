"""How Checkly's lists with a cursor are read: windows in whole Unix seconds, pages by `nextId`, and how far back they can be believed.

What is listed: `discover*.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.errors import DeferredError
from pipelines.providers.spec import Client, Crawl, Reply, refusal

PAGE_ROWS = 100
_MAX_PAGES = 10_000
_MAX_IDLE_PAGES = 3

RETENTION = timedelta(days=30)
"""How long results are kept (OpenAPI 2026-08-18; by plan it is 7 to 180 days). What is older is asked for too, but only what is seen
proves that it is there: a list that is empty there covers nothing."""


async def listed(
    client: Client, path: str, from_at: datetime, to_at: datetime, *, kind: str, what: str, params: tuple[tuple[str, str], ...] = ()
) -> AsyncIterator[tuple[str, Any, Reply]]:
    """Id, entry and answer of every entry between two instants, page by page, each id once.

    API: `from` is included, `to` is not, `limit` 100 at most, `nextId` null at the end (OpenAPI 2026-08-18). Raises FetchError
    when the list is incomplete; `what` names it.
    """
    window = [("from", _unix(from_at)), ("to", _unix(to_at)), ("limit", str(PAGE_ROWS)), *params]
    cursors: set[str] = set()
    ids: set[str] = set()
    cursor: str | None = None
    idle = 0
    for _ in range(_MAX_PAGES):
        asked = window if cursor is None else [*window, ("nextId", cursor)]
        reply = await client.get(path, params=asked, kind=kind)
        before = len(ids)
        for entry in _entries(reply, what):
            entity_id = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(entity_id, str) or not entity_id:
                raise refusal(reply, f"Checkly's list of {what} has an entry without an id.")
            if entity_id not in ids:
                ids.add(entity_id)
                yield entity_id, entry, reply
        cursor = reply.document.get("nextId")
        if cursor is None:
            return
        idle = 0 if len(ids) > before else idle + 1
        if not isinstance(cursor, str) or cursor in cursors or idle >= _MAX_IDLE_PAGES:
            raise DeferredError(f"Checkly's list of {what} goes round in circles: left for the next sync.")
        cursors.add(cursor)
    raise DeferredError(f"Checkly's list of {what} has more than {_MAX_PAGES} pages for one window.")


def kept_from(crawl: Crawl) -> datetime:
    """The instant from which on everything should still be there."""
    return whole_second(crawl.now - RETENTION)


def seen_kept(kept_at: datetime, from_at: datetime, event_at: datetime | None) -> datetime:
    """The same, after something was listed in a window from `from_at` on: what came later is there as well."""
    return kept_at if event_at is None or event_at < from_at else min(kept_at, whole_second(event_at))


def whole_second(instant: datetime) -> datetime:
    """The instant in UTC, without fractions of a second."""
    return instant.astimezone(UTC).replace(microsecond=0)


def _entries(reply: Reply, what: str) -> list[Any]:
    document = reply.document
    entries = document.get("entries") if isinstance(document, dict) else None
    if isinstance(entries, list):
        return entries
    raise refusal(reply, f"Checkly's list of {what} has no `entries`.")


def _unix(instant: datetime) -> str:
    return str(int(instant.timestamp()))
