"""Which Applitools plan runs to fetch, and what a line given to `resulthouse track` says. No rows, no masking.

There is no list endpoint (Get Results API, read 2026-08): runs come from the execute responses that a CI kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pipelines.errors import FetchError, RejectedError
from pipelines.jsontext import as_instant, as_number
from pipelines.providers.spec import Crawl, Document, Event, Reply, State, Tracked, TrackedLine, poll, refusal

ENDPOINT = "plan_runs"


def discover(crawl: Crawl) -> AsyncIterator[Event]:
    """Fetch every run that is due: tracked and never fetched, still running, awaiting review, or missed before."""
    return poll(crawl, ENDPOINT, _fetch)


async def _fetch(crawl: Crawl, run_id: str) -> tuple[Reply, datetime | None]:
    token = crawl.history.read_token(run_id) or crawl.settings.get("APPLITOOLS_READ_TOKEN")
    try:
        reply = await crawl.client.get(f"/api/result/{quote(run_id, safe='')}", secret_params=[("read_token", token)] if token else [])
    except FetchError as error:
        if error.status != 403:
            raise
        # a default key reads a run only with that run's own token: the others go on
        refused = RejectedError(
            f"applitools run {run_id}: refused (403); an APPLITOOLS_API_KEY without read permission needs the run's"
            " read token, as kept by `resulthouse track applitools -` or APPLITOOLS_READ_TOKEN",
            status=403,
        )
        refused.rule = "forbidden"
        raise refused from error
    run = run_of(reply.document)
    if run is None or not ("id" in run or "status" in run):
        raise refusal(reply, f"applitools run {run_id}: the answer is no plan run")
    started = run.get("started_at")
    return reply, as_instant(started) if started else reply.fetched_at


def run_of(document: Document) -> dict[str, Any] | None:
    """The run inside a body, with or without the `result` wrapper; None when the body is no object."""
    if not isinstance(document, dict):
        return None
    result = document.get("result")
    return result if isinstance(result, dict) else document


def state(document: Document) -> State:
    """`review` while unresolved, `open` until the run has ended (an unknown word is polled too), else `final`."""
    run = run_of(document) or {}
    status = run.get("status")
    if status in ("passed", "failed", "aborted"):
        return "final"
    if status == "completed":
        counts = run.get("results")
        failed, aborted, unresolved = (
            as_number(counts.get(name)) if isinstance(counts, dict) else None for name in ("failed", "aborted", "unresolved")
        )
        return "review" if (unresolved or 0) > 0 and not ((failed or 0) > 0 or (aborted or 0) > 0) else "final"
    return "review" if status == "unresolved" else "open"


def parse_tracked(document: Document) -> TrackedLine:
    """An execute response, `{"result": {"id", "read_token"}}` with or without the wrapper, -> the run it started.

    Raises ValueError with a sentence that names no value.
    """
    run = run_of(document)
    if run is None:
        raise ValueError("The line is no JSON object: an execute response of Applitools is expected.")
    run_id, token = run.get("id"), run.get("read_token")
    if not isinstance(run_id, str) or not run_id.strip():
        raise ValueError("The line has no text in result.id: an execute response of Applitools is expected.")
    if token is not None and not isinstance(token, str):
        raise ValueError("The line's read_token is no text: an execute response of Applitools is expected.")
    return TrackedLine(runs=(Tracked(ENDPOINT, run_id.strip(), token or None),))
