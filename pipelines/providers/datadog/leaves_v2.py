"""Every documented leaf of Datadog's v2 results: type, masking class, enum values. v1 results: `leaves.py`.

Source: the models of the vendor's v2 API (SyntheticsTestResultSummaryData, SyntheticsTestResultResponse and what they hold; read in
2026-11). No recording of a v2 answer is public. One shape serves API, browser, mobile and network tests. What is documented as a map
of anything is `Free`; definitions in `included` are assumed to be written like v1's, because their credentials must be masked.
"""

from __future__ import annotations

from pipelines.providers.datadog.leaves import BUCKET_KEY
from pipelines.providers.datadog.leaves_config import ANY, LISTED_TEXT, SCALAR, TEST
from pipelines.schemas.leaves import FLAG, FREE, HEADERS, MASKED, NUMBER, RAW, RAW_SCRUBBED, SCRUBBED, TEXT, Free, Tree, enum
from pipelines.transform.leaves import DURATION, EPOCH_MS

RUN_TYPE = enum("scheduled", "fast", "ci", "triggered")
STATUS = enum("passed", "failed", "no_data")
TEST_TYPE = enum("api", "browser", "mobile", "network")
SUB_TYPE = enum("dns", "grpc", "http", "icmp", "mcp", "multi", "ssl", "tcp", "udp", "websocket")

DEVICE: dict[str, Tree] = {
    "browser": {"type": TEXT, "user_agent": TEXT, "version": TEXT},
    "id": TEXT,
    "name": TEXT,
    "platform": {"name": TEXT, "version": TEXT},
    "resolution": {"height": NUMBER, "pixel_ratio": RAW, "width": NUMBER},
    "type": TEXT,
}
LOCATION: dict[str, Tree] = {"id": TEXT, "name": TEXT, "version": TEXT, "worker_id": TEXT}
RELATIONSHIPS: dict[str, Tree] = {"test": {"data": {"id": TEXT, "type": TEXT}}}

ROW_ATTRIBUTES: dict[str, Tree] = {
    "device": DEVICE,
    "execution_info": {
        "duration": {"has_duration": RAW, "value": DURATION},
        "error_message": SCRUBBED,
        "is_fast_retry": RAW,
        "timings": FREE,
        "tunnel": RAW,
        "unhealthy": RAW,
    },
    "finished_at": EPOCH_MS,
    "location": LOCATION,
    "run_type": RUN_TYPE,
    "started_at": EPOCH_MS,
    "status": STATUS,
    "steps_info": {"completed": NUMBER, "errors": NUMBER, "total": NUMBER},
    "test_sub_type": SUB_TYPE,
    "test_type": TEST_TYPE,
}
ROW: dict[str, Tree] = {"id": TEXT, "type": enum("result_summary"), "attributes": ROW_ATTRIBUTES, "relationships": RELATIONSHIPS}

FAILURE: dict[str, Tree] = {"code": TEXT, "internal_code": TEXT, "internal_message": SCRUBBED, "message": SCRUBBED}

ASSERTION: dict[str, Tree] = {
    "actual": ANY,
    "error_message": SCRUBBED,
    "expected": ANY,
    "operator": TEXT,
    "property": SCRUBBED,
    "target": ANY,
    "target_path": SCRUBBED,
    "target_path_operator": TEXT,
    "type": TEXT,
    "valid": FLAG,
}

BUCKET_NAMES = (
    "after_step_screenshot",
    "after_turn_screenshot",
    "artifacts",
    "before_step_screenshot",
    "before_turn_screenshot",
    "crash_report",
    "device_logs",
    "email_messages",
    "screenshot",
    "snapshot",
    "source",
)
BUCKET_KEYS: dict[str, Tree] = dict.fromkeys(BUCKET_NAMES, BUCKET_KEY)

CDN: dict[str, Tree] = {"cache": {"cached": RAW, "status": TEXT}, "provider": TEXT}

REQUEST: dict[str, Tree] = {
    "allow_insecure": RAW,
    "body": SCRUBBED,
    "call_type": TEXT,
    "destination_service": TEXT,
    "dns_server": TEXT,
    "dns_server_port": RAW,
    "e2e_queries": RAW,
    "files": [{"bucket_key": TEXT, "encoding": TEXT, "name": TEXT, "size": RAW, "type": TEXT}],
    "headers": HEADERS,
    "host": SCRUBBED,
    "max_ttl": RAW,
    "message": SCRUBBED,
    "method": TEXT,
    "no_saving_response_body": RAW,
    "port": SCALAR,
    "service": TEXT,
    "source_service": TEXT,
    "timeout": RAW,  # ms, where v1's is seconds
    "tool_name": TEXT,
    "traceroute_queries": RAW,
    "url": SCRUBBED,
}

RECORD: dict[str, Tree] = {"type": TEXT, "values": [SCRUBBED]}

RESPONSE: dict[str, Tree] = {
    "body": SCRUBBED,
    "body_compressed": MASKED,  # what cannot be scrubbed is masked
    "body_hashes": TEXT,
    "body_size": NUMBER,
    "cache_headers": HEADERS,
    "cdn": CDN,
    "close": {"reason": SCRUBBED, "status_code": RAW},
    "compressed_message": MASKED,
    "headers": HEADERS,
    "healthcheck": {"message": FREE, "status": TEXT},
    "http_version": TEXT,
    "is_body_truncated": RAW,
    "is_message_truncated": RAW,
    "message": SCRUBBED,
    "metadata": HEADERS,
    "records": [RECORD],
    "redirects": [{"location": SCRUBBED, "status_code": RAW}],
    "status_code": NUMBER,
}

# A static class for all variables, as in v1: values of insecure ones are masked too, secure ones never show.
VARIABLE: dict[str, Tree] = {
    "err": SCRUBBED,
    "error_message": SCRUBBED,
    "example": MASKED,
    "id": TEXT,
    "name": TEXT,
    "pattern": MASKED,
    "secure": RAW,
    "type": TEXT,
    "val": MASKED,
    "value": MASKED,
}
VARIABLES: dict[str, Tree] = {"config": [VARIABLE], "extracted": [VARIABLE]}

LATENCY: dict[str, Tree] = {"avg": DURATION, "max": DURATION, "min": DURATION}
PROBE: dict[str, Tree] = {  # one hop of a traceroute, or what the pings came to
    "host": TEXT,
    "latency": LATENCY,
    "packet_loss_percentage": NUMBER,
    "packet_size": RAW,
    "packets_received": NUMBER,
    "packets_sent": NUMBER,
    "resolved_ip": TEXT,
    "routers": [{"ip": TEXT, "resolved_host": TEXT}],
}
NETSTATS: dict[str, Tree] = {
    "hops": {"avg": RAW, "max": RAW, "min": RAW},
    "jitter": DURATION,
    "latency": LATENCY,
    "packet_loss_percentage": NUMBER,
    "packets_received": NUMBER,
    "packets_sent": NUMBER,
}
NETPATH_HOP: dict[str, Tree] = {"hostname": TEXT, "ip_address": TEXT, "reachable": FLAG, "rtt": DURATION, "ttl": NUMBER}

CERTIFICATE: dict[str, Tree] = {
    "cipher": TEXT,
    "exponent": RAW,
    "ext_key_usage": LISTED_TEXT,
    "fingerprint": TEXT,
    "fingerprint256": TEXT,
    "issuer": FREE,
    "modulus": TEXT,
    "protocol": TEXT,
    "serial_number": TEXT,
    "subject": FREE,
    "tls_version": RAW,
    "valid": {"from": EPOCH_MS, "to": EPOCH_MS},
}

RUM: dict[str, Tree] = {"application_id": TEXT, "session_id": TEXT, "view_id": TEXT}
BOUNDS: dict[str, Tree] = {"height": RAW, "width": RAW, "x": RAW, "y": RAW}
VITALS = ("cls", "fcp", "inp", "lcp", "ttfb")

STEP_DEPTH = 2
"""Levels of steps: a step and its retries. Retries of a retry, which the model allows, stay as JSON in the retry's attributes."""


def _step(levels: int) -> dict[str, Tree]:
    return {
        "allow_failure": RAW,
        "api_test": FREE,
        # Documented as possibly holding values of secure variables, so both are masked for all.
        "assertion_result": {"actual": MASKED, "check_type": TEXT, "expected": MASKED, "has_secure_variables": RAW},
        "assertions": [ASSERTION],
        "blocked_requests_urls": [SCRUBBED],
        "bounds": BOUNDS,
        "browser_errors": [{"description": SCRUBBED, "method": TEXT, "name": SCRUBBED, "status": RAW, "type": TEXT, "url": FREE}],
        "bucket_keys": BUCKET_KEYS,
        "cdn_resources": [{"cdn": CDN, "resolved_ip": TEXT, "timestamp": RAW, "timings": FREE}],
        "click_type": TEXT,
        "compressed_json_descriptor": MASKED,
        "config": FREE,
        "description": SCRUBBED,
        "duration": DURATION,
        "element_description": SCRUBBED,
        "element_updates": {"multi_locator": FREE, "target_outer_html": SCRUBBED, "version": RAW},
        "extracted_value": VARIABLE,
        "failure": FAILURE,
        "http_results": [ASSERTION],
        "id": TEXT,
        "is_critical": RAW,
        "javascript_custom_assertion_code": RAW,
        "locate_element_duration": RAW,
        "name": SCRUBBED,
        "request": REQUEST,
        "response": RESPONSE,
        "retries": [_step(levels - 1)] if levels > 1 else FREE,
        "retry_count": RAW,
        "rum_context": RUM,
        "started_at": EPOCH_MS,
        "status": TEXT,
        "sub_step": {"level": NUMBER, "parent_step": {"id": TEXT}, "parent_test": {"id": TEXT}},
        "sub_test": {"id": TEXT, "playing_tab": RAW, "rum_context": RUM},
        "subtype": TEXT,
        "tabs": [{"focused": RAW, "title": SCRUBBED, "url": SCRUBBED}],
        "timings": FREE,
        "tunnel": RAW,
        "type": TEXT,
        "url": SCRUBBED,
        "value": MASKED,
        "variables": VARIABLES,
        "vitals_metrics": [{**dict.fromkeys(VITALS, NUMBER), "url": SCRUBBED}],
        "warnings": [{"element_bounds": [BOUNDS], "message": SCRUBBED, "type": TEXT}],
    }


STEP = _step(STEP_DEPTH)
RETRY = _step(STEP_DEPTH - 1)

TURN_STEP: dict[str, Tree] = {"bucket_keys": BUCKET_KEYS, "config": Free("mask")}  # holds typed values
TURN: dict[str, Tree] = {
    "bucket_keys": BUCKET_KEYS,
    "name": SCRUBBED,
    "reasoning": SCRUBBED,
    "status": TEXT,
    "steps": [TURN_STEP],
    "turn_finished_at": NUMBER,
    "turn_started_at": EPOCH_MS,
}

DETAIL: dict[str, Tree] = {
    "assertions": [ASSERTION],
    "bucket_keys": BUCKET_KEYS,
    "call_type": TEXT,
    "cert": CERTIFICATE,
    "compressed_json_descriptor": MASKED,
    "compressed_steps": MASKED,
    "connection_outcome": TEXT,
    "dns_resolution": {"attempts": [FREE], "resolved_ip": TEXT, "resolved_port": TEXT, "server": TEXT},
    "duration": DURATION,
    "exited_on_step_success": RAW,
    "failure": FAILURE,
    "finished_at": EPOCH_MS,
    "handshake": {"request": REQUEST, "response": RESPONSE},
    "id": TEXT,
    "initial_id": TEXT,
    "is_fast_retry": RAW,
    "is_last_retry": RAW,
    "netpath": {
        "destination": {"hostname": TEXT, "ip_address": TEXT, "port": RAW},
        "hops": [NETPATH_HOP],
        "origin": TEXT,
        "pathtrace_id": TEXT,
        "protocol": TEXT,
        "source": {"hostname": TEXT},
        "tags": LISTED_TEXT,
        "timestamp": RAW,
    },
    "netstats": NETSTATS,
    "ocsp": {
        "certificate": {"revocation_reason": TEXT, "revocation_time": RAW, "serial_number": TEXT},
        "status": TEXT,
        "updates": {"next_update": RAW, "produced_at": RAW, "this_update": RAW},
    },
    "ping": PROBE,
    "received_email_count": RAW,
    "received_message": SCRUBBED,
    "request": REQUEST,
    "resolved_ip": TEXT,
    "response": RESPONSE,
    "run_type": RUN_TYPE,
    "sent_message": SCRUBBED,
    "start_url": SCRUBBED,
    "started_at": EPOCH_MS,
    "status": STATUS,
    "steps": [STEP],
    "time_to_interactive": NUMBER,
    "timings": FREE,
    "trace": {"id": TEXT, "otel_id": TEXT},
    "traceroute": [PROBE],
    "triggered_at": RAW,
    "tunnel": RAW,
    "turns": [TURN],
    "unhealthy": RAW,
    "variables": VARIABLES,
}

GIT_USER: dict[str, Tree] = {"date": TEXT, "email": RAW_SCRUBBED, "name": TEXT}
GIT: dict[str, Tree] = {
    "branch": TEXT,
    "commit": {"author": GIT_USER, "committer": GIT_USER, "message": SCRUBBED, "sha": TEXT, "url": SCRUBBED},
    "repository_url": SCRUBBED,
}
CI: dict[str, Tree] = {
    "pipeline": {"id": TEXT, "name": TEXT, "number": RAW, "url": SCRUBBED},
    "provider": {"name": TEXT},
    "stage": {"name": TEXT},
    "workspace_path": TEXT,
}

ATTRIBUTES: dict[str, Tree] = {
    "batch": {"id": TEXT},
    "ci": CI,
    "device": DEVICE,
    "git": GIT,
    "location": LOCATION,
    "result": DETAIL,
    "test_sub_type": SUB_TYPE,
    "test_type": TEST_TYPE,
}

RESULT: dict[str, Tree] = {
    "data": {"id": TEXT, "type": enum("result"), "attributes": ATTRIBUTES, "relationships": RELATIONSHIPS},
    "included": [{"attributes": TEST, "id": TEXT, "type": TEXT}],
}


def without(tree: dict[str, Tree], *pointers: str) -> dict[str, Tree]:
    """The tree without what stands at these pointers: what is left for `attributes` where they have columns of their own."""
    left = dict(tree)
    for pointer in pointers:
        name, _, rest = pointer.partition("/")
        if not rest:
            del left[name]
            continue
        child = left[name]
        assert isinstance(child, dict)
        left[name] = without(child, rest)
    return left
