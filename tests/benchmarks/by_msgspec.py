"""A peer: msgspec's typed decoding of what is needed and a loop per payload, rows as tuples, Arrow batches into DuckDB."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from tests.benchmarks.by_orjson import MICROSECOND, Rows, from_ms, key, main, snake
from tests.benchmarks.tables import PHASES

_NULL = Raw(b"null")


class Failure(Struct, gc=False, omit_defaults=True):
    code: str | None = None
    message: str | None = None


class Page(Struct, gc=False, omit_defaults=True):
    url: str | None = None
    lcp: float | None = None
    cls: float | None = None


class Step(Struct, rename="camel", gc=False, omit_defaults=True):
    step_id: int | str | None = None
    description: str | None = None
    type: str | None = None
    skipped: bool | None = None
    duration: float | None = None
    url: str | None = None
    error: str | None = None
    failure: Failure | None = None
    vitals_metrics: list[Page] = []
    sub_test_step_details: list[Step] = []


class Device(Struct, gc=False, omit_defaults=True):
    id: str | None = None
    name: str | None = None
    browser: str | None = None
    width: int | None = None
    height: int | None = None


class Inside(Struct, rename="camel", gc=False, omit_defaults=True):
    event_type: str | None = None
    passed: bool | None = None
    error: str | None = None
    failure: Failure | None = None
    initial_result_id: str | None = field(name="initialResultID", default=None)
    browser_type: str | None = None
    browser_version: str | None = None
    duration: float | None = None
    time_to_interactive: float | None = None
    device: Device | None = None
    step_details: list[Step] = []


class BrowserResult(Struct, gc=False, omit_defaults=True):
    check_time: float
    result: Inside
    probe_dc: str | None = None
    device_id: str | None = None
    batch_id: str | None = None


class Assertion(Struct, gc=False, omit_defaults=True):
    source: str | None = None
    property: str | None = None
    comparison: str | None = None
    target: Raw = _NULL
    actual: Raw = _NULL
    error: str | None = None


class Line(Struct, gc=False, omit_defaults=True):
    time: float
    msg: str | None = None
    level: str | None = None


class Request(Struct, gc=False, omit_defaults=True):
    method: str | None = None
    url: str | None = None
    headers: Raw = _NULL


class ApiResponse(Struct, rename="camel", gc=False, omit_defaults=True):
    status: int | None = None
    body: str | None = None
    headers: Raw = _NULL
    timing_phases: dict[str, float | None] | None = None
    timings: dict[str, float | None] | None = None


class Api(Struct, rename="camel", gc=False, omit_defaults=True):
    assertions: list[Assertion] = []
    request_error: str | None = None
    request: Request | None = None
    response: ApiResponse | None = None
    job_log: dict[str, list[Line]] | None = None


class Script(Struct, rename="camel", gc=False, omit_defaults=True):
    job_log: list[Line] | None = None


class Vital(Struct, gc=False, omit_defaults=True):
    value: float | None = None
    score: str | None = None


class WebPage(Struct, rename="camel", gc=False, omit_defaults=True):
    url: str | None = None
    web_vitals: dict[str, Vital] | None = None
    page_timings: dict[str, float | None] | None = None


class Browser(Script, gc=False, omit_defaults=True):
    pages: list[WebPage] = []


class Condition(Struct, gc=False, omit_defaults=True):
    condition: str | None = None
    passed: bool | None = None
    actual: Raw = _NULL
    expected: Raw = _NULL


class Turn(Struct, rename="camel", gc=False, omit_defaults=True):
    type: str | None = None
    name: str | None = None
    output: str | None = None
    timestamp: datetime | None = None
    sequence_number: int | None = None


class Agent(Script, gc=False, omit_defaults=True):
    assertions: list[Condition] = []
    steps: list[Turn] = []


class Address(Struct, gc=False, omit_defaults=True):
    url: str | None = None


class ProbeResponse(Struct, rename="camel", gc=False, omit_defaults=True):
    grpc_method: str | None = None
    metadata: Raw = _NULL
    response_message: str | None = None


class Probe(Struct, rename="camel", gc=False, omit_defaults=True):
    assertions: list[Assertion] = []
    request_error: str | None = None
    request: Address | None = None
    response: ProbeResponse | None = None
    timing_phases: dict[str, float | None] | None = None


class SessionResult(Struct, rename="camel", gc=False, omit_defaults=True):
    check_id: str | None = None
    check_type: str | None = None
    name: str | None = None
    file_path: str | None = None
    run_location: str | None = None
    private_location_id: str | None = None
    result_type: str | None = None
    status: str | None = None
    has_errors: bool | None = None
    has_failures: bool | None = None
    is_degraded: bool | None = None
    aborted: bool | None = None
    is_cancelled: bool | None = None
    response_time: float | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    sequence_id: str | None = None
    trace_id: str | None = None
    test_session_result_link: str | None = None
    api_check_result: Api | None = None
    browser_check_result: Browser | None = None
    multi_step_check_result: Script | None = None
    playwright_check_result: Script | None = None
    agentic_check_result: Agent | None = None
    ssl_check_result: Probe | None = None
    grpc_check_result: Probe | None = None
    traceroute_check_result: Probe | None = None


_BROWSER = Decoder(BrowserResult)
_SESSION = Decoder(SessionResult)
_TEXT = Decoder(str)
_NOTHING = Failure()
_NO_RESPONSE = ApiResponse()


def plain(value: Raw) -> str | None:
    """A JSON value as text."""
    text = bytes(value)
    return None if text == b"null" else _TEXT.decode(text) if text.startswith(b'"') else text.decode()


def headers(value: Raw) -> str | None:
    """JSON text of what headers there are."""
    text = bytes(value).decode()
    return None if text == "null" else text


def browser_result(raw: dict[str, Any], out: Rows) -> None:
    """Rows of a Datadog browser result."""
    doc = _BROWSER.decode(raw["payload"])
    result = doc.result
    entity_id = raw["entity_id"]
    result_key = key("datadog", entity_id, "1")
    started_at = from_ms(doc.check_time)
    device = result.device or Device()
    location = doc.probe_dc
    event = result.event_type
    failure = result.failure or _NOTHING
    if event in ("not_scheduled", "scheduled"):
        outcome = "running"
    elif result.passed is not None:
        outcome = "passed" if result.passed else "failed"
    elif failure.code is not None or failure.message or result.error or event == "finished_with_error":
        outcome = "failed"
    else:
        outcome = "passed" if event == "finished" else "unknown"
    device_id = device.id or doc.device_id
    out["results"].append(
        (
            result_key, "datadog", entity_id, 1, result.initial_result_id or entity_id, None, None, doc.batch_id, raw["parent_id"],
            "browser", location, location if location and location.startswith("pl:") else None, device.name or device_id,
            result.browser_type or device.browser or (device_id or "").partition(".")[0] or None, result.browser_version,
            device.width, device.height, event, outcome, outcome != "running", None, None, None, None, None,
            started_at, None, result.duration, None, started_at.date(), None, None, None, raw["payload_sha256"], raw["fetched_at"],
        )
    )  # fmt: skip
    vitals = out["page_vitals"]
    if result.time_to_interactive is not None:
        vitals.append((result_key, "datadog", -1, "time_to_interactive", None, result.time_to_interactive, None))
    pages = 0
    step_index = 0
    steps = out["steps"]

    def walk(listed: Iterable[Step], parent: int | None) -> None:
        nonlocal step_index, pages
        for step in listed:
            index = step_index
            step_index += 1
            trouble = step.failure or _NOTHING
            message = trouble.message or step.error or None
            if step.skipped:
                outcome, duration = "skipped", None
            else:
                outcome = "failed" if message is not None or trouble.code is not None else "passed"
                duration = step.duration
            steps.append(
                (
                    result_key, "datadog", index, parent, None if step.step_id is None else str(step.step_id), step.description, step.type,
                    outcome, None, duration, step.url, None, message,
                )
            )  # fmt: skip
            for page in step.vitals_metrics:
                if page.lcp is not None:
                    vitals.append((result_key, "datadog", pages, "lcp", page.url, page.lcp, None))
                if page.cls is not None:
                    vitals.append((result_key, "datadog", pages, "cls", page.url, page.cls, None))
                pages += 1
            if step.sub_test_step_details:
                walk(step.sub_test_step_details, index)

    walk(result.step_details, None)


def session_result(raw: dict[str, Any], out: Rows) -> None:
    """Rows of a Checkly test session result."""
    doc = _SESSION.decode(raw["payload"])
    entity_id, run_id = raw["entity_id"], raw["parent_id"]
    result_key = key("checkly", entity_id, "1")
    started_at, ended_at = doc.started_at, doc.stopped_at
    if doc.status == "RUNNING" or doc.result_type == "PENDING":
        outcome = "running"
    elif doc.is_cancelled or doc.status == "CANCELLED":
        outcome = "cancelled"
    elif doc.aborted:
        outcome = "aborted"
    elif doc.has_errors or doc.has_failures or doc.status == "FAILED":
        outcome = "failed"
    elif doc.is_degraded:
        outcome = "degraded"
    else:
        outcome = "passed" if doc.status == "PASSED" else "unknown"
    api = doc.api_check_result
    response = (api and api.response) or _NO_RESPONSE
    code = response.status or None
    out["results"].append(
        (
            result_key, "checkly", entity_id, 1, f"{run_id}/{doc.sequence_id}" if run_id and doc.sequence_id else entity_id,
            doc.result_type and doc.result_type.lower(), key("checkly", run_id) if run_id else None, run_id,
            doc.check_id or f"name:{doc.file_path or ''}::{doc.name or ''}", doc.check_type and doc.check_type.lower(), doc.run_location,
            doc.private_location_id, None, None, None, None, None, doc.status, outcome, outcome != "running", doc.is_degraded,
            doc.is_cancelled, doc.aborted, doc.has_errors, doc.has_failures, started_at, ended_at,
            (ended_at - started_at) / MICROSECOND / 1000 if started_at and ended_at and ended_at >= started_at else None,
            doc.response_time, started_at and started_at.date(), code, doc.trace_id, doc.test_session_result_link, raw["payload_sha256"],
            raw["fetched_at"],
        )
    )  # fmt: skip
    index = 0
    probes = (doc.ssl_check_result, doc.grpc_check_result, doc.traceroute_check_result)
    for block in (api, *probes):
        if block is None:
            continue
        for item in block.assertions:
            known = item.source is not None or item.comparison is not None
            found = "failed" if item.error else "skipped" if block.request_error else "passed" if known else "unknown"
            out["assertions"].append(
                (
                    result_key, "checkly", index, -1, item.source, item.property or None, item.comparison, plain(item.target),
                    plain(item.actual), found, item.error or None,
                )
            )  # fmt: skip
            index += 1
    agent = doc.agentic_check_result
    if agent is not None:
        _agent(agent, result_key, index, out)
    _timings(doc, response, result_key, out)
    _logs(doc, result_key, out)
    for place, page in enumerate(doc.browser_check_result.pages if doc.browser_check_result else ()):
        for metric, vital in (page.web_vitals or {}).items():
            score = vital.score and vital.score.lower()
            out["page_vitals"].append((result_key, "checkly", place, snake(metric), page.url, vital.value, score))
        for metric, value in (page.page_timings or {}).items():
            out["page_vitals"].append((result_key, "checkly", place, snake(metric), page.url, value, None))
    if api is not None and (api.request is not None or api.response is not None):
        request = api.request or Request()
        body = response.body
        out["exchanges"].append(
            (
                result_key, "checkly", 0, -1, request.method, request.url, code, headers(request.headers), headers(response.headers),
                body if code is not None else body or None,
            )
        )  # fmt: skip
    for probe in probes:
        if probe is not None and (probe.request is not None or probe.response is not None):
            answer = probe.response if probe is doc.grpc_check_result and probe.response else ProbeResponse()
            url = (probe.request and probe.request.url) or None
            out["exchanges"].append(
                (
                    result_key, "checkly", 0, -1, answer.grpc_method or None, url, None, None, headers(answer.metadata),
                    answer.response_message or None,
                )
            )  # fmt: skip


def _agent(agent: Agent, result_key: int, index: int, out: Rows) -> None:
    for place, item in enumerate(agent.assertions, index):
        outcome = "unknown" if item.passed is None else "passed" if item.passed else "failed"
        out["assertions"].append(
            (
                result_key, "checkly", place, -1, "agentic", item.condition, None, plain(item.expected), plain(item.actual), outcome, None,
            )
        )  # fmt: skip
    for place, step in enumerate(agent.steps):
        number = None if step.sequence_number is None else str(step.sequence_number)
        out["steps"].append(
            (
                result_key, "checkly", place, None, number, step.name, step.type, "unknown", step.timestamp, None, None, step.output, None,
            )
        )  # fmt: skip


def _timings(doc: SessionResult, response: ApiResponse, result_key: int, out: Rows) -> None:
    timings = out["timings"]
    probes = (doc.grpc_check_result, doc.traceroute_check_result)
    for measured in (response.timing_phases, *(probe.timing_phases for probe in probes if probe is not None)):
        for name, value in (measured or {}).items():
            if value is not None and value >= 0:
                timings.append((result_key, "checkly", -1, PHASES.get(name, name), value, None, name == "total", name))
    for name, value in (response.timings or {}).items():
        if value is not None and value >= 0:
            timings.append((result_key, "checkly", -1, PHASES.get(name, name), None, value, name == "total", name))


def _logs(doc: SessionResult, result_key: int, out: Rows) -> None:
    index = 0
    parts: list[tuple[str | None, list[Line]]] = []
    if doc.api_check_result is not None and doc.api_check_result.job_log:
        parts += doc.api_check_result.job_log.items()
    scripts = (doc.browser_check_result, doc.multi_step_check_result, doc.playwright_check_result, doc.agentic_check_result)
    parts += [(None, script.job_log) for script in scripts if script is not None and script.job_log]
    for phase, lines in parts:
        for line in lines:
            out["logs"].append((result_key, "checkly", index, phase, from_ms(line.time), line.level, line.msg))
            index += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), browser_result, session_result)
