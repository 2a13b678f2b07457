"""Every documented leaf of Datadog's v1 results: type, masking class, enum values. Definitions: `leaves_config.py`.

Sources: the document "Get an API test result" (v1), the vendor's v1 OpenAPI (schemas SyntheticsAPITestResultFull,
SyntheticsBrowserTestResultFull, …ResultShort), and fields that recorded responses show although the documents leave
them out (2019-12 … 2022-07; marked "recorded"). The documents' lists of codes and step types are open in practice: another word is
drift, never a lost row.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.datadog.leaves_config import ANY, CONFIG, LISTED_TEXT, OPTIONS
from pipelines.schemas.leaves import (
    FLAG,
    FREE,
    HEADERS,
    MASKED,
    NUMBER,
    RAW,
    RAW_SCRUBBED,
    SCRUBBED,
    TEXT,
    Leaf,
    OneOf,
    Tree,
    enum,
)
from pipelines.transform.expressions import from_iso, plausible
from pipelines.transform.leaves import DURATION, EPOCH_MS, WHOLE


def certificate_time(text: pl.Expr) -> pl.Expr:
    """An instant of a certificate: documented as date-time; `Mar 13 16:52:05 2026 GMT`, as TLS libraries print it, is read too."""
    printed = text.str.to_datetime("%b %e %H:%M:%S %Y GMT", time_unit="us", strict=False)
    return pl.coalesce(from_iso(text), plausible(printed.dt.replace_time_zone("UTC")))


def _numbers(*values: int) -> Leaf:
    """A whole number with documented values, kept as JSON."""
    return Leaf("JSON", values=frozenset(map(str, values)))


EVENT_TYPE = enum("not_scheduled", "scheduled", "finished", "finished_with_error")
OPEN_EVENT_TYPES = ("not_scheduled", "scheduled")

TIMINGS: dict[str, Tree] = dict.fromkeys(("dns", "tcp", "ssl", "handshake", "wait", "firstByte", "download", "redirect", "total"), DURATION)

API_FAILURE: dict[str, Tree] = {
    "code": enum(
        "AUTHENTICATION_ERROR",
        "BODY_TOO_LARGE",
        "CONNREFUSED",
        "CONNRESET",
        "DECRYPTION",
        "DENIED",
        "DNS",
        "HEADERS_INCOMPATIBLE_CONTENT_LENGTH",
        "HEADER_TOO_LARGE",
        "HOSTUNREACH",
        "INCORRECT_ASSERTION",
        "INTERNAL_ERROR",
        "INVALID_CHAR_IN_HEADER",
        "INVALID_REQUEST",
        "INVALID_TEST",
        "MALFORMED_RESPONSE",
        "NETUNREACH",
        "OCSP",
        "REQUIRES_UPDATE",
        "SSL",
        "TIMEOUT",
        "TOO_MANY_REDIRECTS",
        "TUNNEL",
        "UNESCAPED_CHARACTERS_IN_REQUEST_PATH",
        "UNKNOWN",
        "WEBSOCKET",
    ),
    "message": SCRUBBED,
}

BROWSER_FAILURE: dict[str, Tree] = {
    "code": enum(
        "API_REQUEST_FAILURE",
        "ASSERTION_FAILURE",
        "DOWNLOAD_FILE_TOO_LARGE",
        "ELEMENT_NOT_INTERACTABLE",
        "EMAIL_VARIABLE_NOT_DEFINED",
        "EVALUATE_JAVASCRIPT",
        "EVALUATE_JAVASCRIPT_CONTEXT",
        "EXTRACT_VARIABLE",
        "FORBIDDEN_URL",
        "FRAME_DETACHED",
        "INCONSISTENCIES",
        "INTERNAL_ERROR",
        "INVALID_TYPE_TEXT_DELAY",
        "INVALID_URL",
        "INVALID_VARIABLE_PATTERN",
        "INVISIBLE_ELEMENT",
        "LOCATE_ELEMENT",
        "NAVIGATE_TO_LINK",
        "OPEN_URL",
        "PRESS_KEY",
        "SELECT_OPTION",
        "SERVER_CERTIFICATE",
        "STEP_TIMEOUT",
        "SUB_TEST_NOT_PASSED",
        "TEST_TIMEOUT",
        "TOO_MANY_HTTP_REQUESTS",
        "UNAVAILABLE_BROWSER",
        "UNKNOWN",
        "UNSUPPORTED_AUTH_SCHEMA",
        "UPLOAD_FILES_DIALOG",
        "UPLOAD_FILES_DYNAMIC_ELEMENT",
        "UPLOAD_FILES_ELEMENT_TYPE",
        "UPLOAD_FILES_NAME",
    ),
    "message": SCRUBBED,
}

ASSERTION_RESULT: dict[str, Tree] = {  # recorded; the spelling with an underscore is the vendor's v2 model
    "index": NUMBER,
    "type": TEXT,
    "operator": TEXT,
    "property": SCRUBBED,
    "target": ANY,
    "expected": ANY,
    "actual": ANY,
    "valid": FLAG,
    "errorMessage": SCRUBBED,
    "error_message": SCRUBBED,
}

MULTI_STEP: dict[str, Tree] = {  # no recording exists (2026-11); the vendor's CI client and v2 model name these
    "id": TEXT,
    "name": SCRUBBED,
    "subtype": TEXT,
    "status": TEXT,
    "passed": FLAG,
    "skipped": FLAG,
    "allowFailure": RAW,
    "allow_failure": RAW,
    "isCritical": RAW,
    "timings": TIMINGS,
    "assertions": [ASSERTION_RESULT],
    "assertionResults": [ASSERTION_RESULT],
    "assertion_results": [ASSERTION_RESULT],
    "failure": API_FAILURE,
    "request": FREE,
    "response": FREE,
    "httpStatusCode": RAW,
    "responseSize": RAW,
}

CERTIFICATE: dict[str, Tree] = {
    "cipher": TEXT,
    "exponent": RAW,
    "extKeyUsage": LISTED_TEXT,
    "fingerprint": TEXT,
    "fingerprint256": RAW,
    "issuer": OneOf(object=dict.fromkeys(("C", "CN", "L", "O", "OU", "ST"), TEXT)),
    "modulus": RAW,
    "protocol": TEXT,
    "serialNumber": TEXT,
    "subject": OneOf(object=dict.fromkeys(("C", "CN", "L", "O", "OU", "ST", "altName"), TEXT)),
    "validFrom": Leaf("VARCHAR", read=certificate_time),
    "validTo": Leaf("VARCHAR", read=certificate_time),
}

_CHECK: dict[str, Tree] = {
    "config": OneOf(object=CONFIG),
    # recorded
    "type": TEXT,
    "subtype": TEXT,
    "options": OneOf(object=OPTIONS),
    "locations": OneOf(list=RAW),
}

_ENVELOPE: dict[str, Tree] = {
    "check_time": EPOCH_MS,
    "check_version": RAW,
    "probe_dc": TEXT,
    "result_id": TEXT,
    "status": _numbers(0, 1, 2),
    "run_type": RAW,  # recorded
    "batch_id": TEXT,  # assumption: where a CI batch would be named; no recording
}

_SHARED_RESULT: dict[str, Tree] = {  # recorded in rows or details
    "eventType": EVENT_TYPE,
    "passed": FLAG,
    "runType": RAW,
    "tunnel": RAW,
    "errorMessage": SCRUBBED,
    "error": SCRUBBED,
    "initialResultID": TEXT,
    "nextTryAt": RAW,
    "mainDC": RAW,
    "subtype": RAW,
    "unhealthy": RAW,
}

API_ROW: dict[str, Tree] = {**_ENVELOPE, "result": {**_SHARED_RESULT, "failure": API_FAILURE, "timings": TIMINGS}}

API_RESULT: dict[str, Tree] = {
    **_ENVELOPE,
    "check": _CHECK,
    "result": {
        **_SHARED_RESULT,
        "failure": API_FAILURE,
        "timings": TIMINGS,
        "cert": CERTIFICATE,
        "httpStatusCode": NUMBER,
        "requestHeaders": HEADERS,
        "responseBody": SCRUBBED,
        "responseHeaders": HEADERS,
        "responseSize": NUMBER,
        # recorded
        "assertionResults": [ASSERTION_RESULT],
        "dnsServer": RAW,
        "resolvedIp": RAW,
        "resolutionAttempts": ANY,
        "enrichment": FREE,
        "healthCheckRatio": RAW,
        "duration": DURATION,
        "steps": [MULTI_STEP],
    },
}

DEVICE: dict[str, Tree] = {
    "id": TEXT,
    "name": TEXT,
    "height": WHOLE,
    "width": WHOLE,
    "isMobile": RAW,
    # recorded
    "browser": TEXT,
    "userAgent": RAW,
}

BROWSER_ROW: dict[str, Tree] = {
    **_ENVELOPE,
    "device_id": TEXT,  # recorded
    "result": {
        **_SHARED_RESULT,
        "failure": BROWSER_FAILURE,
        "device": DEVICE,
        "deviceId": TEXT,  # recorded
        "duration": DURATION,
        "errorCount": WHOLE,
        "stepCountCompleted": WHOLE,
        "stepCountTotal": WHOLE,
        "timings": FREE,  # recorded, always null
    },
}

BUCKET_KEY = OneOf(scalar=RAW, list=TEXT)
"""Documented as a boolean; a key, or a list of keys, in answers of poll_results."""

STEP_DEPTH = 4
"""Levels of nested subtests that become steps (the product allows two); deeper ones stay as JSON in `attributes`."""


CHECK_TYPE = enum(
    "between",
    "contains",
    "equals",
    "greater",
    "greaterEquals",
    "isEmpty",
    "lower",
    "lowerEquals",
    "matchRegex",
    "notContains",
    "notEquals",
    "notIsEmpty",
    "notStartsWith",
    "startsWith",
)

STEP_TYPE = enum(
    "assertCurrentUrl",
    "assertElementAttribute",
    "assertElementContent",
    "assertElementPresent",
    "assertEmail",
    "assertFileDownload",
    "assertFromJavascript",
    "assertPageContains",
    "assertPageLacks",
    "assertRequests",
    "click",
    "drag",
    "drop",
    "extractFromEmailBody",
    "extractFromJavascript",
    "extractVariable",
    "goToEmailLink",
    "goToUrl",
    "goToUrlAndMeasureTti",
    "hover",
    "playSubTest",
    "pressKey",
    "refresh",
    "runApiTest",
    "scroll",
    "selectOption",
    "typeText",
    "uploadFiles",
    "wait",
)


def _browser_step(levels: int) -> dict[str, Tree]:
    return {
        "allowFailure": RAW,
        "browserErrors": [
            {
                "description": SCRUBBED,
                "name": SCRUBBED,
                "status": RAW,
                "type": enum("network", "js"),
                "method": RAW,  # recorded
            }
        ],
        "checkType": CHECK_TYPE,
        "description": SCRUBBED,
        "duration": DURATION,
        "error": SCRUBBED,
        "failure": BROWSER_FAILURE,
        "playingTab": _numbers(-1, 0, 1, 2, 3),
        "screenshotBucketKey": BUCKET_KEY,
        "skipped": FLAG,
        "snapshotBucketKey": BUCKET_KEY,
        "stepId": TEXT,
        "subTestStepDetails": [_browser_step(levels - 1)] if levels > 1 else FREE,
        "timeToInteractive": RAW,
        "type": STEP_TYPE,
        "url": SCRUBBED,
        "value": MASKED,
        "vitalsMetrics": [{"url": SCRUBBED, "lcp": NUMBER, "cls": NUMBER}],
        "warnings": OneOf(list={"message": SCRUBBED, "type": enum("user_locator")}),
        # recorded
        "emailMessageBucketKeys": BUCKET_KEY,
        "isCritical": RAW,
        "publicId": RAW,
        "rumContext": OneOf(object={"sessionId": TEXT, "applicationId": TEXT, "viewId": TEXT}),
        "stepElementUpdates": OneOf(object={"version": RAW, "multiLocator": FREE}),
    }


BROWSER_RESULT: dict[str, Tree] = {
    **_ENVELOPE,
    "device_id": TEXT,  # recorded
    "check": _CHECK,
    "result": {
        **_SHARED_RESULT,
        "failure": BROWSER_FAILURE,
        "browserType": TEXT,
        "browserVersion": RAW,
        "device": DEVICE,
        "duration": DURATION,
        "receivedEmailCount": RAW,
        "startUrl": RAW_SCRUBBED,
        "stepDetails": [_browser_step(STEP_DEPTH)],
        "thumbnailsBucketKey": BUCKET_KEY,
        "timeToInteractive": NUMBER,
        # recorded
        "artifactsBucketKey": BUCKET_KEY,
        "hasArtifacts": RAW,
        "enrichment": FREE,
        "metadata": FREE,
    },
}
