"""Every leaf of Checkly's three payloads with its type and masking class. No flattening, no requests.

Sources: the operations "List test sessions", "Retrieve a test session" and "Retrieve a test session result" of the
public OpenAPI (2026-08-18). It types the insides of the result blocks as free objects; those come from the same
OpenAPI's GET /v2/check-results, from recordings (2020, 2023) and the vendor's CLI fixtures (2026): see README.md.
Assertions, phases and the blocks of protocol checks: `leaves_probes`.
"""

from __future__ import annotations

from pipelines.providers.checkly.leaves_probes import ASSERTION, PHASES, PROBE_BLOCKS
from pipelines.schemas.leaves import (
    FLAG,
    FREE,
    HEADERS,
    NUMBER,
    RAW,
    RAW_SCRUBBED,
    SCRUBBED,
    TEXT,
    OneOf,
    Tree,
    enum,
)
from pipelines.transform.leaves import DURATION, EPOCH_MS, INSTANT

STATUS = enum("RUNNING", "FAILED", "PASSED", "CANCELLED")
RESULT_TYPE = enum("FINAL", "ATTEMPT", "PENDING")
CHECK_TYPE = enum(
    "AGENTIC",
    "API",
    "BROWSER",
    "HEARTBEAT",
    "ICMP",
    "MULTI_STEP",
    "TCP",
    "PLAYWRIGHT",
    "URL",
    "DNS",
    "SSL",
    "GRPC",
    "TRACEROUTE",
)

SESSION_ROW: dict[str, Tree] = {
    "id": TEXT,
    "accountId": RAW,
    "projectId": RAW,
    "name": TEXT,
    "provider": TEXT,
    "errorGroupIds": [RAW],
    "running": [RAW],
    "passed": [RAW],
    "failed": [RAW],
    "cancelled": [RAW],
    "status": STATUS,
    "region": RAW,
    "privateLocationId": RAW,
    "invoker": {"name": RAW, "picture": RAW_SCRUBBED},
    "repoUrl": SCRUBBED,
    "commitId": TEXT,
    "commitOwner": TEXT,
    "commitMessage": SCRUBBED,
    "branchName": TEXT,
    "environment": TEXT,
    "startedAt": INSTANT,
    "stoppedAt": INSTANT,
    "created_at": RAW,
    "updated_at": RAW,
}

SESSION: dict[str, Tree] = {
    "testSessionId": TEXT,
    "testSessionLink": SCRUBBED,
    "name": TEXT,
    "status": STATUS,
    "errorGroupIds": [RAW],
    "startedAt": INSTANT,
    "stoppedAt": INSTANT,
    "timeElapsed": DURATION,
    "metadata": {
        "environment": TEXT,
        "repoUrl": SCRUBBED,
        "commitId": TEXT,
        "commitOwner": TEXT,
        "commitMessage": SCRUBBED,
        "branchName": TEXT,
        "github": {
            "reporting": RAW,
            "repository": RAW,
            "sha": RAW,
            "runId": RAW,
            "runAttempt": RAW,
            "workflow": RAW,
            "job": RAW,
            "eventName": RAW,
            "ref": RAW,
            "headRef": RAW,
            "baseRef": RAW,
            "serverUrl": RAW_SCRUBBED,
        },
    },
    "results": [  # kept as it is: each result has a payload of its own
        {
            "testSessionResultId": TEXT,
            "testSessionResultLink": SCRUBBED,
            "checkId": TEXT,
            "checkType": CHECK_TYPE,
            "name": TEXT,
            "runLocation": TEXT,
            "errorGroupIds": [RAW],
            "resultType": RESULT_TYPE,
            "status": STATUS,
            "hasErrors": FLAG,
            "hasFailures": FLAG,
            "isDegraded": FLAG,
            "aborted": FLAG,
            "responseTime": RAW,
            "startedAt": TEXT,
            "stoppedAt": TEXT,
        }
    ],
}

_LOG_LINE: dict[str, Tree] = {"time": EPOCH_MS, "msg": SCRUBBED, "level": TEXT}
_FILE: dict[str, Tree] = {"name": TEXT, "url": SCRUBBED, "filename": TEXT}
_FILES: Tree = [OneOf(scalar=SCRUBBED, object=_FILE)]
_ERRORS: Tree = [
    OneOf(
        scalar=SCRUBBED,
        object={
            "name": TEXT,
            "message": SCRUBBED,
            "stack": SCRUBBED,
            "isSoft": FLAG,
            "error": OneOf(scalar=SCRUBBED, object={"name": TEXT, "message": SCRUBBED, "stack": SCRUBBED}),
        },
    )
]
_VITAL: dict[str, Tree] = {"value": NUMBER, "score": enum("GOOD", "NEEDS_IMPROVEMENT", "POOR")}

_ASSETS: dict[str, Tree] = {
    "jobLog": OneOf(
        scalar=SCRUBBED,
        object={"setup": [_LOG_LINE], "request": [_LOG_LINE], "teardown": [_LOG_LINE]},
        list=_LOG_LINE,
    ),
    "jobAssets": _FILES,
    "pcapDataUrl": SCRUBBED,
}
_PLAYWRIGHT: dict[str, Tree] = {
    "playwrightTestVideos": _FILES,
    "playwrightTestTraces": _FILES,
    "playwrightTestJsonReportFile": SCRUBBED,
}
API_REQUEST: dict[str, Tree] = {
    "method": TEXT,
    "url": SCRUBBED,
    "data": RAW_SCRUBBED,
    "params": FREE,
    "headers": HEADERS,
}
API_RESPONSE: dict[str, Tree] = {
    "status": NUMBER,
    "statusText": RAW_SCRUBBED,
    "body": SCRUBBED,
    "bodyEncoding": enum("base64"),
    "href": SCRUBBED,
    "truncated": RAW,
    "headers": HEADERS,
    "timings": OneOf(object=dict.fromkeys(("socket", "lookup", "connect", "response", "end"), DURATION)),
    "timingPhases": OneOf(object=PHASES),
}

PAGE: dict[str, Tree] = {
    "url": SCRUBBED,
    "webVitals": OneOf(object={"CLS": _VITAL, "FCP": _VITAL, "LCP": _VITAL, "TBT": _VITAL, "TTFB": _VITAL}),
    "pageTimings": OneOf(object={"onContentLoad": NUMBER, "onLoad": NUMBER}),
    "responseSizes": FREE,
}

BLOCKS: dict[str, dict[str, Tree]] = {
    "apiCheckResult": {
        "assertions": [ASSERTION],
        "request": API_REQUEST,
        "response": API_RESPONSE,
        "requestError": SCRUBBED,
        **_ASSETS,
    },
    "browserCheckResult": {
        "type": RAW,
        "traceSummary": {
            "consoleErrors": RAW,
            "networkErrors": RAW,
            "documentErrors": RAW,
            "userScriptErrors": RAW,
        },
        "pages": [PAGE],
        "errors": _ERRORS,
        "startTime": RAW,
        "endTime": RAW,
        "runtimeVersion": RAW,
        **_ASSETS,
        **_PLAYWRIGHT,
    },
    "multiStepCheckResult": {
        "errors": _ERRORS,
        "startTime": RAW,
        "endTime": RAW,
        "runtimeVersion": RAW,
        **_ASSETS,
        **_PLAYWRIGHT,
    },
    "playwrightCheckResult": {
        "errors": _ERRORS,
        "playwrightTraceFiles": _FILES,
        **_ASSETS,
        **_PLAYWRIGHT,
    },
    "agenticCheckResult": {
        "summary": RAW_SCRUBBED,
        "prompt": RAW_SCRUBBED,
        "assertions": [{"condition": SCRUBBED, "passed": FLAG, "actual": RAW_SCRUBBED, "expected": RAW_SCRUBBED}],
        "suggestions": [
            {
                "summary": SCRUBBED,
                "prompt": SCRUBBED,
                "promptReplacement": SCRUBBED,
                "secrets": [RAW],  # names of variables, not their values
                "category": enum("credentials", "endpoint", "configuration"),
            }
        ],
        "steps": [
            {
                "type": enum("tool_call", "tool_result", "message"),
                "name": TEXT,
                "input": FREE,
                "output": SCRUBBED,
                "timestamp": INSTANT,
                "sequenceNumber": RAW,
            }
        ],
        "errors": _ERRORS,
        "artifactManifest": FREE,
        **_ASSETS,
    },
    **PROBE_BLOCKS,
}

RESULT: dict[str, Tree] = {
    "testSessionResultId": TEXT,
    "testSessionResultLink": SCRUBBED,
    "id": TEXT,
    "checkId": TEXT,
    "checkType": CHECK_TYPE,
    "name": TEXT,
    "runLocation": TEXT,
    "errorGroupIds": [RAW],
    "resultType": RESULT_TYPE,
    "status": STATUS,
    "hasErrors": FLAG,
    "hasFailures": FLAG,
    "isDegraded": FLAG,
    "aborted": FLAG,
    "isCancelled": FLAG,
    "overMaxResponseTime": RAW,
    "responseTime": DURATION,
    "startedAt": INSTANT,
    "stoppedAt": INSTANT,
    "privateLocationId": TEXT,
    "filePath": TEXT,
    "attempts": RAW,
    "sequenceId": TEXT,
    "scheduleError": SCRUBBED,
    "traceId": TEXT,
    "created_at": RAW,
    "updated_at": RAW,
    "checkRunId": RAW,  # recorded 2020 in check results; the session result's schema does not name it
    **BLOCKS,
}
