"""Where each leaf of Checkly's monitoring payloads stands in the warehouse. No types, no masking classes: `leaves_checks`."""

from __future__ import annotations

from pipelines.providers.checkly.leaves_checks import ABOUT
from pipelines.providers.checkly.places import BLOCK_FORMS, BLOCK_PLACES
from pipelines.schemas.places import LOWER, Form, Places, at

MINUTES = Form("min x 60", lambda value: value * 60)
NEGATED = Form("negated", lambda value: not value)

CHECK = Places(
    document="Checkly: List all checks",
    id="/id",
    to={
        "": "tests.config",
        "/id": "tests.test_id",
        "/name": "tests.name",
        "/checkType": at("tests.test_type", LOWER),
        "/locations": "tests.locations",
        "/tags": "tests.tags",
        "/frequency": (at("tests.frequency_s", MINUTES), "tests.config#/frequency"),
        "/request/url": ("tests.target_url", "tests.config#/request/url"),
        **{f"/{name}": f"tests.attributes#/{name}" for name in ABOUT},
        "/activated": (at("tests.is_paused", NEGATED), "tests.attributes#/activated"),
    },
)

CHECK_RESULT = Places(
    document="Checkly: Lists all check results",
    id="/id",
    to={
        "": "results.attributes",
        "/id": "results.result_id",
        "/checkId": ("results.test_id", "tests.test_id"),
        "/name": ("results.test_name", "tests.name"),
        "/runLocation": "results.location",
        "/hasFailures": "results.has_failures",
        "/hasErrors": "results.has_errors",
        "/isDegraded": "results.is_degraded",
        "/isCancelled": "results.is_cancelled",
        "/startedAt": "results.started_at",
        "/stoppedAt": "results.ended_at",
        "/responseTime": "results.response_time_ms",
        "/resultType": (at("results.try_kind", LOWER), "results.attributes#/resultType"),
        "/sequenceId": ("results.execution_id", "results.attributes#/sequenceId"),
        "/traceId": "results.trace_id",
        **BLOCK_PLACES,
    },
    forms=BLOCK_FORMS,
)
