"""How lists of v1 results are read: backwards through the pages of one window, and past seconds that hold more than can be read.

Recorded (2019-12 … 2022-07): at most 150 rows, newest first; `last_timestamp_fetched` is the lower bound of what was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from urllib.parse import quote

from pipelines import jsontext
from pipelines.errors import DeferredError
from pipelines.providers.datadog.crawling import Kind, epoch_ms, from_ms_epoch, id_text, objects, told_ms
from pipelines.providers.spec import Client, Document, Event, Missed, Reply, refusal

PAGE_ROWS = 150
MAX_PAGES = 10_000
MAX_IDLE_PAGES = 3
"""Pages in a row that are full and bring nothing new before the list is taken to go round in circles."""

Take = Callable[[str, Document, Reply, datetime | None], list[Event]]


def list_path(kind: Kind, public_id: str) -> str:
    """The address of a test's list of results."""
    return kind.path.format(quote(public_id, safe=""))


async def page_back(
    client: Client, kind: Kind, public_id: str, window: tuple[datetime, datetime], take: Take, events: list[Event]
) -> set[int]:
    """Append the rows of a window, as `take` makes events of them; returns the epoch seconds that could not be read whole.

    The next page ends at the oldest row's second, rounded up: `last_timestamp_fetched` is that second rounded down, and
    the server's own rounding of `to_ts` is not known, so the overlap is read twice and known ids are passed over. Where a full page
    brings nothing new, its second holds more than a page, and reading goes on below it. Raises FetchError.
    """
    from_ms, to_ms = (epoch_ms(instant) for instant in window)
    end_ms, idle = to_ms, 0
    read: set[str] = set()
    crowded: set[int] = set()
    for _ in range(MAX_PAGES):
        params = [("from_ts", str(from_ms)), ("to_ts", str(end_ms))]
        reply = await client.get(list_path(kind, public_id), params=params, kind=kind.rows)
        rows = objects(reply, "results", f"Datadog's results of test {public_id}")
        is_new = False
        oldest_ms = math.inf
        for row in rows:
            check_ms = told_ms(row.get("check_time"), reply.fetched_at)
            oldest_ms = min(oldest_ms, math.inf if check_ms is None else check_ms)
            result_id = id_text(row.get("result_id"))
            if result_id is None:
                error = refusal(reply, f"a result of Datadog test {public_id} without result_id.")
                events.append(Missed(kind.rows, f"{public_id}@{row.get('check_time')}", error))
                continue
            if result_id in read:
                continue
            read.add(result_id)
            is_new = True
            if check_ms is None or from_ms <= check_ms <= to_ms:
                events += take(result_id, row, reply, from_ms_epoch(check_ms))
        is_full = len(rows) >= PAGE_ROWS
        floor_ms = jsontext.as_number(reply.document.get("last_timestamp_fetched"))
        is_read_down = floor_ms is None or floor_ms <= from_ms
        if oldest_ms < from_ms or (not is_full and (not is_new or is_read_down)):
            return crowded
        if math.isinf(oldest_ms):
            raise DeferredError(f"Datadog test {public_id}: a page of results without a time cannot be paged.")
        if is_new:
            end_ms, idle = min(end_ms, math.ceil(oldest_ms / 1000) * 1000), 0
            continue
        idle += 1
        if idle >= MAX_IDLE_PAGES:
            raise DeferredError(f"Datadog test {public_id}: the list of results goes round in circles: left for the next sync.")
        end_ms = below(end_ms, oldest_ms)
        crowded.update(seconds(max(end_ms, from_ms), oldest_ms))
        if end_ms < from_ms:
            return crowded
    raise DeferredError(f"Datadog test {public_id}: the list of results does not end after {MAX_PAGES} pages.")


def below(end_ms: int, oldest_ms: float) -> int:
    """Where to read on below a page up to `end_ms` that holds one second only: that second's start, or else right below it."""
    second_ms = math.floor(oldest_ms / 1000) * 1000
    if second_ms < end_ms:
        return second_ms
    return end_ms // 1000 * 1000 if end_ms % 1000 else end_ms - 1


def seconds(from_ms: int, to_ms: float) -> Iterable[int]:
    """The epoch seconds that two instants in milliseconds lie in, and those between."""
    return range(from_ms // 1000, math.floor(to_ms / 1000) + 1)
