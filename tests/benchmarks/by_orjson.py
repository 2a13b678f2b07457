"""A peer: `orjson.loads` and a loop per payload, rows as tuples, Arrow batches into DuckDB."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.tables import BROWSER, PHASES, SESSION, TABLES, Sink, arrow, create, rows

Rows = dict[str, list[tuple[Any, ...]]]
Take = Callable[[dict[str, Any], Rows], None]

MICROSECOND = timedelta(microseconds=1)
_PROBES = ("sslCheckResult", "grpcCheckResult", "tracerouteCheckResult")
_LOGGING = ("apiCheckResult", "browserCheckResult", "multiStepCheckResult", "playwrightCheckResult", "agenticCheckResult")


def key(*parts: str) -> int:
    """The BIGINT key of a result or run."""
    return int.from_bytes(md5("\x1f".join(parts).encode(), usedforsecurity=False).digest()[:8], "big") & 0x7FFF_FFFF_FFFF_FFFF


def instant(text: str | None) -> datetime | None:
    """An ISO instant."""
    return None if text is None else datetime.fromisoformat(text)


def from_ms(number: float) -> datetime:
    """Epoch milliseconds."""
    return datetime.fromtimestamp(number / 1000, UTC)


def plain(value: Any) -> str | None:
    """A JSON value as text."""
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def headers(value: Any) -> str | None:
    """JSON text of what headers there are."""
    return None if value is None else orjson.dumps(value).decode()


@cache
def snake(name: str) -> str:
    """`onLoad` -> `on_load`, `TTFB` -> `ttfb`."""
    return name.lower() if name.isupper() else "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def browser_result(raw: dict[str, Any], out: Rows) -> None:
    """Rows of a Datadog browser result."""
    doc = orjson.loads(raw["payload"])
    result = doc["result"]
    entity_id = raw["entity_id"]
    result_key = key("datadog", entity_id, "1")
    started_at = from_ms(doc["check_time"])
    device = result.get("device") or {}
    location = doc.get("probe_dc")
    event, passed = result.get("eventType"), result.get("passed")
    failure = result.get("failure") or {}
    if event in ("not_scheduled", "scheduled"):
        outcome = "running"
    elif passed is not None:
        outcome = "passed" if passed else "failed"
    elif failure.get("code") is not None or failure.get("message") or result.get("error") or event == "finished_with_error":
        outcome = "failed"
    else:
        outcome = "passed" if event == "finished" else "unknown"
    device_id = device.get("id") or doc.get("device_id")
    out["results"].append(
        (
            result_key, "datadog", entity_id, 1, result.get("initialResultID") or entity_id, None, None, doc.get("batch_id"),
            raw["parent_id"], "browser", location, location if location and location.startswith("pl:") else None,
            device.get("name") or device_id,
            result.get("browserType") or device.get("browser") or (device_id or "").partition(".")[0] or None, result.get("browserVersion"),
            device.get("width"), device.get("height"), event, outcome, outcome != "running", None, None, None, None, None,
            started_at, None, result.get("duration"), None, started_at.date(), None, None, None, raw["payload_sha256"], raw["fetched_at"],
        )
    )  # fmt: skip
    vitals = out["page_vitals"]
    if result.get("timeToInteractive") is not None:
        vitals.append((result_key, "datadog", -1, "time_to_interactive", None, result["timeToInteractive"], None))
    pages = 0
    step_index = 0
    steps = out["steps"]

    def walk(listed: Iterable[dict[str, Any]], parent: int | None) -> None:
        nonlocal step_index, pages
        for step in listed:
            index = step_index
            step_index += 1
            trouble = step.get("failure") or {}
            message = trouble.get("message") or step.get("error") or None
            if step.get("skipped"):
                outcome, duration = "skipped", None
            else:
                outcome = "failed" if message is not None or trouble.get("code") is not None else "passed"
                duration = step.get("duration")
            step_id = step.get("stepId")
            steps.append(
                (
                    result_key, "datadog", index, parent, None if step_id is None else str(step_id), step.get("description"),
                    step.get("type"), outcome, None, duration, step.get("url"), None, message,
                )
            )  # fmt: skip
            for page in step.get("vitalsMetrics") or ():
                for metric in ("lcp", "cls"):
                    if page.get(metric) is not None:
                        vitals.append((result_key, "datadog", pages, metric, page.get("url"), page[metric], None))
                pages += 1
            if step.get("subTestStepDetails"):
                walk(step["subTestStepDetails"], index)

    walk(result.get("stepDetails") or (), None)


def session_result(raw: dict[str, Any], out: Rows) -> None:
    """Rows of a Checkly test session result."""
    doc = orjson.loads(raw["payload"])
    entity_id, run_id = raw["entity_id"], raw["parent_id"]
    result_key = key("checkly", entity_id, "1")
    started_at, ended_at = instant(doc.get("startedAt")), instant(doc.get("stoppedAt"))
    status, kind = doc.get("status"), doc.get("resultType")
    if status == "RUNNING" or kind == "PENDING":
        outcome = "running"
    elif doc.get("isCancelled") or status == "CANCELLED":
        outcome = "cancelled"
    elif doc.get("aborted"):
        outcome = "aborted"
    elif doc.get("hasErrors") or doc.get("hasFailures") or status == "FAILED":
        outcome = "failed"
    elif doc.get("isDegraded"):
        outcome = "degraded"
    else:
        outcome = "passed" if status == "PASSED" else "unknown"
    api = doc.get("apiCheckResult") or {}
    response = api.get("response") or {}
    code = response.get("status") or None
    sequence = doc.get("sequenceId")
    out["results"].append(
        (
            result_key, "checkly", entity_id, 1, f"{run_id}/{sequence}" if run_id and sequence else entity_id, kind and kind.lower(),
            key("checkly", run_id) if run_id else None, run_id,
            doc.get("checkId") or f"name:{doc.get('filePath') or ''}::{doc.get('name') or ''}",
            (doc.get("checkType") or "").lower() or None, doc.get("runLocation"), doc.get("privateLocationId"), None, None, None, None,
            None, status, outcome, outcome != "running", doc.get("isDegraded"), doc.get("isCancelled"), doc.get("aborted"),
            doc.get("hasErrors"), doc.get("hasFailures"), started_at, ended_at,
            (ended_at - started_at) / MICROSECOND / 1000 if started_at and ended_at and ended_at >= started_at else None,
            doc.get("responseTime"), started_at and started_at.date(), code, doc.get("traceId"), doc.get("testSessionResultLink"),
            raw["payload_sha256"], raw["fetched_at"],
        )
    )  # fmt: skip
    _assertions(doc, result_key, out)
    _timings(doc, response, result_key, out)
    _logs(doc, result_key, out)
    for place, page in enumerate((doc.get("browserCheckResult") or {}).get("pages") or ()):
        url = page.get("url")
        for metric, vital in (page.get("webVitals") or {}).items():
            score = vital.get("score")
            out["page_vitals"].append((result_key, "checkly", place, snake(metric), url, vital.get("value"), score and score.lower()))
        for metric, value in (page.get("pageTimings") or {}).items():
            out["page_vitals"].append((result_key, "checkly", place, snake(metric), url, value, None))
    for place, step in enumerate((doc.get("agenticCheckResult") or {}).get("steps") or ()):
        out["steps"].append(
            (
                result_key, "checkly", place, None, plain(step.get("sequenceNumber")), step.get("name"), step.get("type"), "unknown",
                instant(step.get("timestamp")), None, None, step.get("output"), None,
            )
        )  # fmt: skip
    if api.get("request") is not None or api.get("response") is not None:
        request = api.get("request") or {}
        body = response.get("body")
        out["exchanges"].append(
            (
                result_key, "checkly", 0, -1, request.get("method"), request.get("url"), code, headers(request.get("headers")),
                headers(response.get("headers")), body if code is not None else body or None,
            )
        )  # fmt: skip
    for name in _PROBES:
        block = doc.get(name)
        if block and (block.get("request") is not None or block.get("response") is not None):
            answer = (block.get("response") or {}) if name == "grpcCheckResult" else {}
            url = (block.get("request") or {}).get("url") or None
            out["exchanges"].append(
                (
                    result_key, "checkly", 0, -1, answer.get("grpcMethod") or None, url, None, None, headers(answer.get("metadata")),
                    answer.get("responseMessage") or None,
                )
            )  # fmt: skip


def _assertions(doc: dict[str, Any], result_key: int, out: Rows) -> None:
    index = 0
    for name in ("apiCheckResult", *_PROBES):
        block = doc.get(name)
        if not block:
            continue
        request_error = block.get("requestError") or None
        for item in block.get("assertions") or ():
            error = item.get("error") or None
            known = item.get("source") is not None or item.get("comparison") is not None
            outcome = "failed" if error else "skipped" if request_error else "passed" if known else "unknown"
            out["assertions"].append(
                (
                    result_key, "checkly", index, -1, item.get("source"), item.get("property") or None, item.get("comparison"),
                    plain(item.get("target")), plain(item.get("actual")), outcome, error,
                )
            )  # fmt: skip
            index += 1
    for item in (doc.get("agenticCheckResult") or {}).get("assertions") or ():
        passed = item.get("passed")
        outcome = "unknown" if passed is None else "passed" if passed else "failed"
        out["assertions"].append(
            (
                result_key, "checkly", index, -1, "agentic", item.get("condition"), None, plain(item.get("expected")),
                plain(item.get("actual")), outcome, None,
            )
        )  # fmt: skip
        index += 1


def _timings(doc: dict[str, Any], response: dict[str, Any], result_key: int, out: Rows) -> None:
    timings = out["timings"]
    phases = (response.get("timingPhases"), *((doc.get(name) or {}).get("timingPhases") for name in _PROBES[1:]))
    for measured in phases:
        for name, value in (measured or {}).items():
            if value is not None and value >= 0:
                timings.append((result_key, "checkly", -1, PHASES.get(name, name), value, None, name == "total", name))
    for name, value in (response.get("timings") or {}).items():
        if value is not None and value >= 0:
            timings.append((result_key, "checkly", -1, PHASES.get(name, name), None, value, name == "total", name))


def _logs(doc: dict[str, Any], result_key: int, out: Rows) -> None:
    index = 0
    for name in _LOGGING:
        job_log = (doc.get(name) or {}).get("jobLog")
        if not job_log:
            continue
        for phase, lines in job_log.items() if isinstance(job_log, dict) else ((None, job_log),):
            for line in lines or ():
                out["logs"].append((result_key, "checkly", index, phase, from_ms(line["time"]), line.get("level"), line.get("msg")))
                index += 1


def main(lake: Path, out: Path, browser: Take, session: Take) -> None:
    """Read a lake, write a DuckDB file; the two functions take one payload each to the rows of all tables."""
    gc.disable()  # nothing here makes cycles
    sink = Sink(create(out))
    for place, take in ((BROWSER, browser), (SESSION, session)):
        found: Rows = {table: [] for table in TABLES}
        for batch in rows(lake, place):
            for raw in batch.to_pylist():
                take(raw, found)
            if len(found["results"]) >= 5000:
                sink.take({name: arrow(name, listed) for name, listed in found.items()})
                found = {table: [] for table in TABLES}
        sink.take({name: arrow(name, listed) for name, listed in found.items()})
    sink.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), browser_result, session_result)
