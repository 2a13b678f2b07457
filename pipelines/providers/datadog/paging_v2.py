"""How lists of v2 results are read: backwards through the pages of one window.

Neither the page size nor the order of v2's lists is documented, and no recording is public (2026-11). Assumed: newest first, `from_ts`
and `to_ts` are epoch ms as in v1 and bound the start or the end of a result.
"""

from __future__ import annotations

import math
from datetime import datetime

from pipelines.errors import DeferredError
from pipelines.providers.datadog.crawling import Kind, epoch_ms, from_ms_epoch, id_text, objects, told_v2, v2_times
from pipelines.providers.datadog.paging import MAX_IDLE_PAGES, MAX_PAGES, Take, below, list_path, seconds
from pipelines.providers.spec import Client, Event, Missed, refusal

CROWD = 50
"""A page of so many rows, none shorter before it, that reaches back to no other second: the list may go on there, but cannot be read on."""


async def page_back(
    client: Client, kind: Kind, public_id: str, window: tuple[datetime, datetime], take: Take, events: list[Event]
) -> set[int]:
    """Append the rows of a window, as `take` makes events of them; returns the epoch seconds that may not be read whole.

    The next page ends at the oldest end, rounded up to the second, or, where that brings nothing new, at the oldest start; the list has
    ended when a page is empty or brings nothing new at both. A crowd is no end: reading goes on below its second. A row counts when its
    time from start to end meets the window. Raises FetchError.
    """
    from_ms, to_ms = (epoch_ms(instant) for instant in window)
    read: set[str] = set()
    crowded: set[int] = set()
    end_ms, longest, idle = to_ms, 0, 0
    for _ in range(MAX_PAGES):
        params = [("from_ts", str(from_ms)), ("to_ts", str(end_ms))]
        reply = await client.get(list_path(kind, public_id), params=params, kind=kind.rows)
        rows = objects(reply, "data", f"Datadog's v2 results of test {public_id}")
        known = len(read)
        first_start = first_end = math.inf
        for row in rows:
            times = [time for time in v2_times(told_v2(row), reply.fetched_at) if time is not None]
            first_start, first_end = min([first_start, *times[:1]]), min([first_end, *times[-1:]])
            result_id = id_text(row.get("id"))
            if result_id is None:
                error = refusal(reply, f"a v2 result of Datadog test {public_id} without id.")
                events.append(Missed(kind.rows, f"{public_id}@{times[0] if times else None}", error))
            elif result_id not in read:
                read.add(result_id)
                if not times or (from_ms <= times[-1] and times[0] <= to_ms):
                    events += take(result_id, row, reply, from_ms_epoch(times[0] if times else None))
        longest = max(longest, len(rows))
        is_new = len(read) > known
        oldest_ms = first_end if is_new else first_start
        if not rows or math.isinf(oldest_ms) or first_end < from_ms:
            return crowded
        next_ms = math.ceil(oldest_ms / 1000) * 1000
        if next_ms >= end_ms:
            next_ms = math.ceil(first_start / 1000) * 1000
        idle = 0 if is_new else idle
        if next_ms >= end_ms:
            if len(rows) < max(longest, CROWD):
                return crowded
            idle += 1
            if idle >= MAX_IDLE_PAGES:
                raise DeferredError(f"Datadog test {public_id}: the list of v2 results goes round in circles: left for the next sync.")
            next_ms = below(end_ms, first_start)
            crowded.update(seconds(max(next_ms, from_ms), first_start))
            if next_ms < from_ms:
                return crowded
        end_ms = next_ms
    raise DeferredError(f"Datadog test {public_id}: the list of v2 results does not end after {MAX_PAGES} pages.")
