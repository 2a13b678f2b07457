"""Where each leaf of Checkly's test sessions and results stands in the warehouse. No types, no masking classes: `leaves`.

`BLOCK_PLACES` and `BLOCK_FORMS` are those of the result blocks alone, for every payload that carries them.
A leaf without an entry stands in `attributes` of the run or result at its own pointer.
"""

from __future__ import annotations

from pipelines.providers.checkly.flatten_blocks import FILES, SCRIPTS
from pipelines.providers.checkly.leaves import BLOCKS
from pipelines.schemas.places import ADDRESS, LOWER, Form, Place, Places, at

VERDICT = Form("passed or failed", lambda passed: "passed" if passed else "failed")
METRIC_SCORE = at("page_vitals.score", LOWER)

_ASSERTION: dict[str, Place] = {
    "": "assertions.attributes",
    "/source": "assertions.source",
    "/property": "assertions.property",
    "/comparison": "assertions.operator",
    "/target": "assertions.target",
    "/actual": "assertions.actual",
    "/error": "assertions.error_message",
}
_LOG: dict[str, Place] = {"": "logs.message", "/time": "logs.logged_at", "/level": "logs.level", "/msg": "logs.message"}
_LOGS: dict[str, Place] = {
    f"/jobLog{pointer}{name}": place for pointer in ("", "/*", "/setup/*", "/request/*", "/teardown/*") for name, place in _LOG.items()
}
_ERROR: dict[str, Place] = {"": "errors.message", "/name": "errors.name", "/message": "errors.message", "/stack": "errors.stack"}
_ERRORS: dict[str, Place] = {f"/errors/*{pointer}{name}": place for pointer in ("", "/error") for name, place in _ERROR.items()}
_ADDRESS = at("artifacts.url", ADDRESS)

_API: dict[str, Place] = {
    "/request": "exchanges.attributes",
    "/request/method": "exchanges.method",
    "/request/url": "exchanges.url",
    "/request/headers": "exchanges.request_headers",
    "/response": "exchanges.attributes",
    "/response/status": ("exchanges.status_code", "results.http_status_code"),
    "/response/body": "exchanges.response_body",
    "/response/headers": "exchanges.response_headers",
    "/response/timings": "timings.offset_ms",
    "/response/timingPhases": "timings.duration_ms",
}
_BROWSER: dict[str, Place] = {
    "/pages/*/url": ("page_vitals.page_url", "results.attributes#/browserCheckResult/pages/*/url"),
    "/pages/*/webVitals": "page_vitals.value",
    **{f"/pages/*/webVitals/{name}/score": METRIC_SCORE for name in ("CLS", "FCP", "LCP", "TBT", "TTFB")},
    "/pages/*/pageTimings": "page_vitals.value",
}
_AGENT: dict[str, Place] = {
    "/assertions/*/condition": "assertions.property",
    "/assertions/*/expected": "assertions.target",
    "/assertions/*/actual": "assertions.actual",
    "/assertions/*/passed": at("assertions.outcome", VERDICT),
    "/suggestions/*/summary": "suggestions.summary",
    "/suggestions/*/prompt": "suggestions.prompt",
    "/suggestions/*/promptReplacement": "suggestions.prompt_replacement",
    "/suggestions/*/secrets": "suggestions.secret_names",
    "/suggestions/*/category": "suggestions.category",
    "/steps/*": "steps.attributes",
    "/steps/*/type": "steps.kind",
    "/steps/*/name": "steps.name",
    "/steps/*/output": "steps.result_text",
    "/steps/*/timestamp": "steps.started_at",
    "/steps/*/sequenceNumber": "steps.step_id",
}
_REQUEST: dict[str, Place] = {
    "/requestError": "errors.message",
    "/request": "exchanges.attributes#/request",
    "/request/url": "exchanges.url",
}
_SSL: dict[str, Place] = {
    **_REQUEST,
    "/request/hostname": "exchanges.host",
    "/request/port": "exchanges.port",
    "/failureCategory": ("results.failure_code", "errors.code"),
    "/response": "certificates.attributes",
    "/response/resolvedIp": ("results.resolved_ip", "exchanges.resolved_ip"),
    "/response/protocol": "certificates.protocol",
    "/response/cipherSuite": "certificates.cipher",
    "/response/handshakeTimeMs": "certificates.handshake_ms",
    "/response/hostnameVerified": "certificates.is_hostname_verified",
    "/response/chainTrusted": "certificates.is_chain_trusted",
    "/response/chainTrustDetail": ("errors.message", "certificates.attributes#/chainTrustDetail"),
    **{
        f"/response/certificate/{name}": (f"certificates.{column}", f"certificates.attributes#/certificate/{name}")
        for name, column in {
            "subjectCN": "subject_cn",
            "issuerCN": "issuer_cn",
            "serialNumber": "serial_number",
            "notBefore": "valid_from_at",
            "notAfter": "valid_to_at",
            "sans": "alt_names",
            "fingerprintSha256": "fingerprint",
        }.items()
    },
}
_GRPC: dict[str, Place] = {
    **_REQUEST,
    "/timingPhases": "timings.duration_ms",
    "/response": "exchanges.attributes",
    "/response/host": "exchanges.host",
    "/response/port": "exchanges.port",
    "/response/resolvedIp": ("results.resolved_ip", "exchanges.resolved_ip"),
    "/response/grpcMethod": "exchanges.method",
    "/response/responseMessage": "exchanges.response_body",
    "/response/grpcStatusCode": "exchanges.grpc_status_code",
    "/response/grpcStatusMessage": "exchanges.attributes#/grpcStatusMessage",
    "/response/healthStatusLabel": "exchanges.grpc_health_status",
    "/response/metadata": "exchanges.response_headers",
    "/response/requestError": "errors.message",
    "/response/timingPhases": "results.attributes#/grpcCheckResult/response/timingPhases",
}
_HOP = {
    "hop_number": ("hop_number", "hop"),
    "ip": ("main_ip", "address"),
    "host": ("main_host",),
    "asn": ("asn",),
    "packet_loss_pct": ("loss_percentage", "lossPercent"),
    "rtt_avg_ms": ("rtt/avg", "rttMs"),
    "rtt_min_ms": ("rtt/best",),
    "rtt_max_ms": ("rtt/worst",),
}
_LATENCY = {"rtt_avg_ms": ("avg_ms", "avgMs"), "rtt_min_ms": ("best_ms", "bestMs"), "rtt_max_ms": ("worst_ms", "worstMs")}
_ROUTE: dict[str, Place] = {
    **_REQUEST,
    "/timingPhases": "timings.duration_ms",
    "/response": "exchanges.attributes",
    "/response/hostname": "exchanges.host",
    "/response/resolvedIp": ("results.resolved_ip", "exchanges.resolved_ip"),
    **{
        f"/response/finalHopLatency/{name}": (f"pings.{column}", f"pings.attributes#/{name}")
        for column, names in _LATENCY.items()
        for name in names
    },
    **{f"/response/hops/*/{name}": (f"hops.{column}", f"hops.attributes#/{name}") for column, names in _HOP.items() for name in names},
}
_OWN = {
    "apiCheckResult": {**_API, "/requestError": "errors.message"},
    "browserCheckResult": _BROWSER,
    "agenticCheckResult": _AGENT,
    "sslCheckResult": _SSL,
    "grpcCheckResult": _GRPC,
    "tracerouteCheckResult": _ROUTE,
}


def _places_of(block: str) -> dict[str, Place]:
    """Places of a block's leaves, by pointer inside the block."""
    tree = BLOCKS[block]
    places: dict[str, Place] = {}
    if "jobLog" in tree:
        places |= _LOGS
    if block in SCRIPTS:
        places |= _ERRORS
    elif "assertions" in tree:
        places |= {f"/assertions/*{pointer}": place for pointer, place in _ASSERTION.items()}
    for name in FILES:
        if isinstance(tree.get(name), list):
            places |= {f"/{name}/*": _ADDRESS, f"/{name}/*/url": _ADDRESS, f"/{name}/*/filename": "artifacts.name"}
            places[f"/{name}/*/name"] = f"results.attributes#/{block}/{name}/*/name"
        elif name in tree:
            places[f"/{name}"] = _ADDRESS
    if "errors" in tree:
        places["/errors/*/isSoft"] = f"results.attributes#/{block}/errors/*/isSoft"
    return places | _OWN.get(block, {})


BLOCK_PLACES: dict[str, Place] = {f"/{block}{pointer}": place for block in BLOCKS for pointer, place in _places_of(block).items()}

BLOCK_FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "": tuple((block,) for block in BLOCKS),
    "/tracerouteCheckResult/response/hops/*": (
        ("hop_number", "main_ip", "main_host", "loss_percentage", "rtt", "asn"),
        ("hop", "address", "lossPercent", "rttMs"),
    ),
    **{
        f"/tracerouteCheckResult{where}/finalHopLatency": (("avg_ms", "best_ms", "worst_ms"), ("avgMs", "bestMs", "worstMs"))
        for where in ("", "/response")
    },
}
"""A result has one block; hops and latencies are spelled in one of two ways."""

_RUN: dict[str, Place] = {
    "": "runs.attributes",
    "/name": "runs.name",
    "/status": "runs.status",
    "/errorGroupIds": "runs.error_group_ids",
    "/startedAt": "runs.started_at",
    "/stoppedAt": "runs.ended_at",
}
_COMMIT = {
    "environment": "runs.environment",
    "repoUrl": "runs.repo_url",
    "commitId": "runs.commit_sha",
    "commitOwner": "runs.commit_author",
    "commitMessage": "runs.commit_message",
    "branchName": "runs.branch",
}

SESSION_ROW_PLACES = Places(
    document="Checkly: List test sessions",
    id="/id",
    to={**_RUN, "/id": "runs.run_id", "/provider": "runs.trigger", **{f"/{name}": column for name, column in _COMMIT.items()}},
)

SESSION_PLACES = Places(
    document="Checkly: Retrieve a test session",
    id="/testSessionId",
    to={
        **_RUN,
        "/testSessionId": "runs.run_id",
        "/testSessionLink": "runs.url",
        "/timeElapsed": "runs.duration_ms",
        **{f"/metadata/{name}": column for name, column in _COMMIT.items()},
        "/metadata/github": "runs.attributes#/github",
    },
)

RESULT_PLACES = Places(
    document="Checkly: Retrieve a test session result",
    id="/testSessionResultId",
    to={
        "": "results.attributes",
        "/testSessionResultId": "results.result_id",
        "/testSessionResultLink": "results.url",
        "/checkId": ("results.test_id", "tests.test_id"),
        "/checkType": (at("results.test_type", LOWER), at("tests.test_type", LOWER)),
        "/name": ("results.test_name", "tests.name"),
        "/runLocation": "results.location",
        "/resultType": (at("results.try_kind", LOWER), "results.attributes#/resultType"),
        "/status": "results.status",
        "/hasErrors": "results.has_errors",
        "/hasFailures": "results.has_failures",
        "/isDegraded": "results.is_degraded",
        "/aborted": "results.is_aborted",
        "/isCancelled": "results.is_cancelled",
        "/responseTime": "results.response_time_ms",
        "/startedAt": "results.started_at",
        "/stoppedAt": "results.ended_at",
        "/privateLocationId": "results.private_location_id",
        "/scheduleError": ("errors.message", "results.failure_message"),
        "/traceId": "results.trace_id",
        **BLOCK_PLACES,
    },
    forms=BLOCK_FORMS,
)
