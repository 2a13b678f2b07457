"""Where each leaf of Datadog's v2 results stands in the warehouse. v1: `places`; types and masking classes: `leaves_v2`.

`attributes` of a result mirror the payload's `attributes` (a row) or `data.attributes` (a full result); attributes of steps, assertions,
exchanges, hops and pings mirror their objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pipelines.providers.datadog.leaves_v2 import BUCKET_NAMES, VITALS
from pipelines.providers.datadog.places import TEST_PLACES
from pipelines.schemas.places import Form, Place, Places, at

_Value = TypeVar("_Value")
_LISTED = Form("in a list, as JSON text", lambda value: [value])
_PORT = {"/request/port": lambda number: number, "/handshake/request/port": lambda number: number}
_TITLE = "Datadog API v2, synthetics test results"


def _under(prefix: str, places: Mapping[str, _Value]) -> dict[str, _Value]:
    return {prefix + pointer: place for pointer, place in places.items()}


_SHARED: dict[str, Place] = {
    "": "results.attributes",
    "/device/browser/type": "results.browser",
    "/device/browser/version": "results.browser_version",
    "/device/name": "results.device",
    "/device/platform/name": "results.os",
    "/device/resolution/height": "results.viewport_height",
    "/device/resolution/width": "results.viewport_width",
    "/location/id": "results.location",
    "/test_type": "results.test_type",
}
_RELATIONSHIPS: dict[str, Place] = {
    "": "results.attributes#/relationships",
    "/test/data/id": "results.test_id",
}

ROWS = Places(
    id="/id",
    to={
        "/id": "results.result_id",
        "/type": "results.attributes#/type",
        **_under("/relationships", _RELATIONSHIPS),
        **_under("/attributes", _SHARED),
        "/attributes/execution_info/duration/value": "results.duration_ms",
        "/attributes/execution_info/error_message": ("results.failure_message", "errors.message"),
        "/attributes/execution_info/timings": "results.attributes#/execution_info/timings",
        "/attributes/finished_at": "results.ended_at",
        "/attributes/run_type": "results.trigger",
        "/attributes/started_at": "results.started_at",
        "/attributes/status": "results.status",
        "/attributes/steps_info/completed": "results.step_completed_count",
        "/attributes/steps_info/errors": "results.error_count",
        "/attributes/steps_info/total": "results.step_count",
    },
    document=_TITLE,
)

_ASSERTION: dict[str, Place] = {
    "/actual": "assertions.actual",
    "/actual/*": at("assertions.actual", _LISTED),
    "/error_message": "assertions.error_message",
    "/expected": "assertions.attributes#/expected",
    "/operator": "assertions.attributes#/operator",  # assertions.operator where there is no target_path_operator
    "/property": "assertions.attributes#/property",  # assertions.property where there is no target_path
    "/target": "assertions.target",
    "/target/*": at("assertions.target", _LISTED),
    "/target_path": "assertions.property",
    "/target_path_operator": "assertions.operator",
    "/type": "assertions.source",
    "/valid": at("assertions.outcome", Form("true: passed, false: failed", lambda value: "passed" if value else "failed")),
}
_BUCKET_KEYS: dict[str, Place] = {f"/{name}": "artifacts.name" for name in BUCKET_NAMES}

_STATISTICS: dict[str, str] = {
    "/latency/avg": "rtt_avg_ms",
    "/latency/max": "rtt_max_ms",
    "/latency/min": "rtt_min_ms",
    "/packet_loss_percentage": "packet_loss_pct",
    "/packets_received": "received_count",
    "/packets_sent": "sent_count",
}


def _statistics(table: str) -> dict[str, Place]:
    return {"": f"{table}.attributes", **{pointer: f"{table}.{column}" for pointer, column in _STATISTICS.items()}}


_REQUEST: dict[str, Place] = {
    "": "exchanges.attributes#/request",
    "/headers": "exchanges.request_headers",
    "/host": "exchanges.host",
    "/method": "exchanges.method",
    "/port": ("exchanges.port", "exchanges.attributes#/request/port"),
    "/url": "exchanges.url",
}
_RESPONSE: dict[str, Place] = {
    "": "exchanges.attributes#/response",
    "/body": "exchanges.response_body",
    "/body_size": "exchanges.response_bytes",
    "/headers": "exchanges.response_headers",
    "/healthcheck/status": ("exchanges.grpc_health_status", "exchanges.attributes#/response/healthcheck/status"),
    "/status_code": "exchanges.status_code",
}


def _step(retries: dict[str, Place]) -> dict[str, Place]:
    return {
        "": "steps.attributes",
        "/assertion_result/actual": "assertions.actual",
        "/assertion_result/check_type": "assertions.source",
        "/assertion_result/expected": "assertions.target",
        "/assertion_result/has_secure_variables": "assertions.attributes#/has_secure_variables",
        **_under("/assertions/*", _ASSERTION),
        **_under("/http_results/*", _ASSERTION),
        "/browser_errors/*/description": ("errors.message", "steps.attributes#/browser_errors/*/description"),
        "/browser_errors/*/name": ("errors.name", "steps.attributes#/browser_errors/*/name"),
        "/browser_errors/*/status": ("errors.code", "steps.attributes#/browser_errors/*/status"),
        **_under("/bucket_keys", _BUCKET_KEYS),
        "/duration": "steps.duration_ms",
        "/failure/code": ("errors.code", "steps.attributes#/failure/code"),
        "/failure/message": ("steps.error_message", "errors.message"),
        "/id": "steps.step_id",
        "/name": "steps.name",
        "/started_at": "steps.started_at",
        "/subtype": "steps.kind",
        "/url": "steps.url",
        **{f"/vitals_metrics/*/{name}": "page_vitals.value" for name in VITALS},
        "/vitals_metrics/*/url": "page_vitals.page_url",
        **retries,
    }


_STEP = _step({})
_TURN: dict[str, Place] = {
    **_under("/bucket_keys", _BUCKET_KEYS),
    "/name": "steps.name",
    "/reasoning": "steps.result_text",
    "/status": "steps.attributes#/status",
    **_under("/steps/*/bucket_keys", _BUCKET_KEYS),
    "/steps/*/config": "steps.attributes#/config",
    "/turn_finished_at": "steps.attributes#/turn_finished_at",
    "/turn_started_at": "steps.started_at",
}
_CERTIFICATE: dict[str, Place] = {
    "": "certificates.attributes",
    "/cipher": "certificates.cipher",
    "/fingerprint": "certificates.fingerprint",
    "/protocol": "certificates.protocol",
    "/serial_number": "certificates.serial_number",
    "/valid/from": "certificates.valid_from_at",
    "/valid/to": "certificates.valid_to_at",
}
_NETPATH_HOP: dict[str, Place] = {
    "/hostname": "hops.host",
    "/ip_address": "hops.ip",
    "/reachable": "hops.is_reachable",
    "/rtt": "hops.rtt_avg_ms",
    "/ttl": "hops.hop_number",
}
_DETAIL: dict[str, Place] = {
    "": "results.attributes#/result",
    **_under("/assertions/*", _ASSERTION),
    **_under("/bucket_keys", _BUCKET_KEYS),
    **_under("/cert", _CERTIFICATE),
    "/dns_resolution/attempts/*": "dns_records.attributes",
    "/dns_resolution/server": "results.dns_server",
    "/duration": "results.duration_ms",
    "/failure/code": ("results.failure_code", "errors.code"),
    "/failure/message": ("results.failure_message", "errors.message"),
    "/finished_at": "results.ended_at",
    **_under("/handshake/request", _REQUEST),
    **_under("/handshake/response", _RESPONSE),
    "/initial_id": ("results.initial_result_id", "results.execution_id"),
    **_under("/netpath/hops/*", _NETPATH_HOP),
    **_under("/netstats", _statistics("pings")),
    "/netstats/jitter": "pings.jitter_ms",
    **_under("/ping", _statistics("pings")),
    **_under("/request", _REQUEST),
    "/resolved_ip": ("results.resolved_ip", "exchanges.resolved_ip"),
    **_under("/response", _RESPONSE),
    "/response/records/*/type": ("dns_records.record_type", "exchanges.attributes#/response/records/*/type"),
    "/response/records/*/values/*": ("dns_records.value", "exchanges.attributes#/response/records/*/values/*"),
    "/response/status_code": ("exchanges.status_code", "results.http_status_code"),
    "/run_type": "results.trigger",
    "/started_at": "results.started_at",
    "/status": "results.status",
    **_under("/steps/*", _step(_under("/retries/*", _STEP))),
    "/time_to_interactive": "page_vitals.value",
    "/trace/id": "results.trace_id",
    **_under("/traceroute/*", _statistics("hops")),
    "/traceroute/*/routers/*/ip": ("hops.ip", "hops.attributes#/routers/*/ip"),
    "/traceroute/*/routers/*/resolved_host": ("hops.host", "hops.attributes#/routers/*/resolved_host"),
    **_under("/turns/*", _TURN),
}
_GIT = "results.attributes#/git"
_RUN: dict[str, Place] = {  # a batch's columns; without a batch it stands with the result alone
    "/batch/id": ("results.run_id", "runs.run_id"),
    "/ci/pipeline/name": ("runs.name", "results.attributes#/ci/pipeline/name"),
    "/ci/pipeline/url": ("runs.url", "results.attributes#/ci/pipeline/url"),
    "/ci/provider/name": ("runs.trigger", "results.attributes#/ci/provider/name"),
    "/git/branch": ("runs.branch", f"{_GIT}/branch"),
    "/git/commit/author/name": ("runs.commit_author", f"{_GIT}/commit/author/name"),
    "/git/commit/message": ("runs.commit_message", f"{_GIT}/commit/message"),
    "/git/commit/sha": ("runs.commit_sha", f"{_GIT}/commit/sha"),
    "/git/repository_url": ("runs.repo_url", f"{_GIT}/repository_url"),
}
_INCLUDED: dict[str, Place] = {
    **_under("/attributes", TEST_PLACES.to),
    "/attributes/public_id": "tests.attributes#/resource/public_id",
    "/id": ("tests.test_id", "tests.attributes#/resource/id"),
    "/type": "tests.attributes#/resource/type",
}

RESULTS = Places(
    id=("/data/id", "/data/attributes/result/id"),
    to={
        "/data/id": "results.result_id",
        "/data/type": "results.attributes#/type",
        **_under("/data/relationships", _RELATIONSHIPS),
        **_under("/data/attributes", _SHARED),
        **_under("/data/attributes", _RUN),
        **_under("/data/attributes/result", _DETAIL),
        **_under("/included/*", _INCLUDED),
    },
    forms=_under("/included/*/attributes", TEST_PLACES.forms),
    samples={
        **_under("/data/attributes/result", _PORT),
        **_under("/included/*/attributes", TEST_PLACES.samples),
        "/included/*/type": lambda number: f"test{number}",
    },
    document=_TITLE,
)
