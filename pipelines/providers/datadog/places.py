"""Where the leaves of Datadog's v1 payloads stand in the warehouse, one `Places` per endpoint. What the leaves are: `leaves.py`.

A result's copy of its test's definition stands in `core.tests`, as one version of it; its assertions stand in `core.assertions` as well.
"""

from __future__ import annotations

from typing import Any

from pipelines.providers.datadog.common import TRIGGERS
from pipelines.providers.datadog.leaves import STEP_DEPTH
from pipelines.schemas.places import LOWER, Form, Place, Places, Target, at

_PASSED = Form("true: passed, false: failed; running while eventType says so", lambda value: frozenset({_word(value), "running"}))
_VALID = Form("true: passed, false: failed", lambda value: _word(value))
_SKIPPED = Form("true: skipped", lambda value: "skipped" if value else frozenset({"passed", "failed", "unknown"}), lambda number: False)
_TRIGGER = Form(", ".join(f"{number}: {name}" for number, name in TRIGGERS.items()), lambda value: TRIGGERS[str(value)])
_FLAG = Form("a flag; file keys are artifacts", lambda value: value, lambda number: number % 2 == 0)
_LISTED = Form("in a list, as JSON text", lambda value: [value])
_PAUSED = Form("paused: true", lambda value: value == "paused")


def _word(passed: Any) -> str:
    return "passed" if passed else "failed"


def _both(place: str, form: Form, raw: str) -> tuple[Target, str]:
    """A column that reads the leaf, and the place where it stands as it came."""
    return Target(place, form=form), raw


# --------------------------------------------------------------------------------------------------------- definitions

_BASIC_AUTH = (
    ("type", "username", "password"),
    ("type", "accessKey", "region", "secretKey", "serviceName", "sessionToken"),
    ("type", "domain", "password", "username", "workstation"),
    ("type", "accessTokenUrl", "audience", "clientId", "clientSecret", "resource", "scope", "tokenApiAuthentication"),
    (
        "type",
        "accessTokenUrl",
        "audience",
        "clientId",
        "clientSecret",
        "password",
        "resource",
        "scope",
        "tokenApiAuthentication",
        "username",
    ),
    ("type", "addClaims", "algorithm", "expiresIn", "header", "payload", "secret", "tokenPrefix"),
)
_TARGETS = (
    ("jsonPath", "elementsOperator", "operator", "targetValue"),
    ("xPath", "operator", "targetValue"),
    ("jsonSchema", "metaSchema"),
)
_ASSERTIONS = (("operator", "property", "target", "timingsScope"), ("code",))


def _config_forms(config: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """What is documented as alternatives inside a test's configuration."""
    owners = (config, f"{config}/steps/*")
    return {
        **{f"{owner}/request/basicAuth": _BASIC_AUTH for owner in owners},
        **{f"{owner}/assertions/*": _ASSERTIONS for owner in owners},
        **{f"{owner}/assertions/*/target": _TARGETS for owner in owners},
    }


TEST_PLACES = Places(
    id="/public_id",
    to={
        "": "tests.attributes",
        "/public_id": "tests.test_id",
        "/name": "tests.name",
        "/type": Target("tests.test_type", form=LOWER),
        "/status": ("tests.status", Target("tests.is_paused", form=_PAUSED)),
        "/locations": "tests.locations",
        "/tags": "tests.tags",
        "/config": "tests.config",
        "/config/request/url": ("tests.config#/request/url", "tests.target_url"),
        "/options/tick_every": ("tests.attributes#/options/tick_every", "tests.frequency_s"),
    },
    forms=_config_forms("/config"),
    document="List tests (v1)",
)

_CHECK: dict[str, Place] = {
    "/check/config": "tests.config",
    "/check/config/request/url": ("tests.config#/request/url", "tests.target_url", "exchanges.url"),
    "/check/type": Target("tests.test_type", form=LOWER),
    "/check/subtype": "tests.attributes#/subtype",
    "/check/options": "tests.attributes#/options",
    "/check/options/monitor_name": ("tests.attributes#/options/monitor_name", "tests.name"),
    "/check/options/tick_every": ("tests.attributes#/options/tick_every", "tests.frequency_s"),
    "/check/locations": "tests.locations",
}

# ------------------------------------------------------------------------------------------------------------- results

_RESULT: dict[str, Place] = {
    "": "results.attributes",
    "/check_time": "results.started_at",
    "/probe_dc": "results.location",
    "/result_id": "results.result_id",
    "/batch_id": "results.run_id",
    "/result": "results.attributes",
    "/result/eventType": "results.status",
    "/result/passed": _both("results.outcome", _PASSED, "results.attributes#/passed"),
    "/result/runType": _both("results.trigger", _TRIGGER, "results.attributes#/runType"),
    "/result/error": ("errors.message", "results.attributes#/error"),
    "/result/failure/code": ("results.failure_code", "errors.code"),
    "/result/failure/message": ("results.failure_message", "errors.message"),
    "/result/initialResultID": ("results.initial_result_id", "results.execution_id"),
}
_RESULT_SAMPLES = {"/status": lambda number: number % 3, "/result/runType": lambda number: number % 4}

_TIMINGS: dict[str, Place] = {
    "/result/timings": "timings.duration_ms",
    "/result/timings/total": ("timings.duration_ms", "results.duration_ms", "results.response_time_ms"),
}

API_ROW_PLACES = Places(
    id="/result_id", to={**_RESULT, **_TIMINGS}, samples=_RESULT_SAMPLES, document="Get an API test's latest results summaries (v1)"
)


def _configured(config: str, assertions: str) -> dict[str, Place]:
    """Places of a list of configured assertions: in the configuration, and in rows where a result tells what became of them."""

    def there(name: str, *targets: str | Target) -> dict[str, Place]:
        return {f"{config}{assertions}/{name}": (f"tests.config#{assertions}/{name}", *targets)}

    return {
        **there("type", "assertions.source"),
        **there("timingsScope", "assertions.attributes#/timingsScope"),
        **there("code", "assertions.target"),
        **there("target", "assertions.target"),
        **there("target/*", Target("assertions.target", form=_LISTED)),
        **there("target/jsonPath", "assertions.property"),
        **there("target/xPath", "assertions.property"),
        **there("target/operator", "assertions.operator"),
        **there("target/elementsOperator", "assertions.attributes#/elementsOperator"),
        **there("target/targetValue", "assertions.target"),
        **there("target/jsonSchema", "assertions.target"),
        **there("target/metaSchema", "assertions.attributes#/metaSchema"),
    }


def _outcomes(assertions: str) -> dict[str, Place]:
    """Places of a list of outcomes. Each joins its configured assertion; what it says otherwise than that one stands in `found`."""
    return {
        assertions: "assertions.attributes",
        **{f"{assertions}/{name}": f"assertions.attributes#/found/{name}" for name in ("type", "operator", "property", "target")},
        f"{assertions}/actual": "assertions.actual",
        f"{assertions}/actual/*": Target("assertions.actual", form=_LISTED),
        f"{assertions}/valid": Target("assertions.outcome", form=_VALID),
        f"{assertions}/errorMessage": "assertions.error_message",
        f"{assertions}/error_message": "assertions.error_message",
    }


_SPELLINGS = ("assertionResults", "assertion_results", "assertions")
_MESSAGES = (("errorMessage",), ("error_message",))
_OUTCOME_LISTS = ("/result/assertionResults/*", *(f"/result/steps/*/{name}/*" for name in _SPELLINGS))

API_RESULT_PLACES = Places(
    id="/result_id",
    to={
        **_RESULT,
        **_TIMINGS,
        **_CHECK,
        "/check/config/request/method": ("tests.config#/request/method", "exchanges.method"),
        "/check/config/request/host": ("tests.config#/request/host", "exchanges.host"),
        "/check/config/request/port": ("tests.config#/request/port", "exchanges.port"),
        "/result/timings/handshake": ("timings.duration_ms", "certificates.handshake_ms"),
        "/result/cert": "certificates.attributes",
        **{f"/result/cert/{name}": f"certificates.{name}" for name in ("cipher", "fingerprint", "protocol")},
        "/result/cert/serialNumber": "certificates.serial_number",
        "/result/cert/validFrom": "certificates.valid_from_at",
        "/result/cert/validTo": "certificates.valid_to_at",
        "/result/cert/issuer/CN": ("certificates.issuer_cn", "certificates.attributes#/issuer/CN"),
        "/result/cert/subject/CN": ("certificates.subject_cn", "certificates.attributes#/subject/CN"),
        "/result/cert/subject/altName": ("certificates.attributes#/subject/altName", "certificates.alt_names#/*"),
        "/result/httpStatusCode": ("results.http_status_code", "exchanges.status_code"),
        "/result/requestHeaders": "exchanges.request_headers",
        "/result/responseHeaders": "exchanges.response_headers",
        "/result/responseBody": "exchanges.response_body",
        "/result/responseSize": "exchanges.response_bytes",
        "/result/resolvedIp": ("results.resolved_ip", "exchanges.resolved_ip", "results.attributes#/resolvedIp"),
        "/result/dnsServer": ("results.dns_server", "results.attributes#/dnsServer"),
        "/result/resolutionAttempts/*": "dns_records.attributes",
        **_configured("/check/config", "/assertions/*"),
        **_configured("/check/config", "/steps/*/assertions/*"),
        **{pointer: place for assertions in _OUTCOME_LISTS for pointer, place in _outcomes(assertions).items()},
        "/result/assertionResults/*/index": "assertions.assertion_index",
        "/result/steps/*": "steps.attributes",
        "/result/steps/*/id": "steps.step_id",
        "/result/steps/*/name": "steps.name",
        "/result/steps/*/subtype": "steps.kind",
        "/result/steps/*/timings": "timings.duration_ms",
        "/result/steps/*/failure/code": ("errors.code", "steps.attributes#/failureCode"),
        "/result/steps/*/failure/message": ("errors.message", "steps.error_message"),
    },
    forms={
        **_config_forms("/check/config"),
        **dict.fromkeys(_OUTCOME_LISTS, _MESSAGES),
        "/result/steps/*": tuple((name,) for name in _SPELLINGS),
    },
    # the index of the one assertion that is configured: any other is an outcome of none, which is drift
    samples={**_RESULT_SAMPLES, **{f"{assertions}/index": lambda number: 0 for assertions in _OUTCOME_LISTS}},
    document="Get an API test result (v1)",
)

# ----------------------------------------------------------------------------------------------------- browser results

_DEVICE: dict[str, Place] = {
    "/result/duration": "results.duration_ms",
    "/result/device/name": "results.device",
    "/result/device/width": "results.viewport_width",
    "/result/device/height": "results.viewport_height",
}

BROWSER_ROW_PLACES = Places(
    id="/result_id",
    to={
        **_RESULT,
        **_DEVICE,
        "/result/device/browser": ("results.browser", "results.attributes#/device/browser"),
        "/result/stepCountTotal": "results.step_count",
        "/result/stepCountCompleted": "results.step_completed_count",
        "/result/errorCount": "results.error_count",
    },
    samples=_RESULT_SAMPLES,
    document="Get a browser test's latest results summaries (v1)",
)


def _step(pointer: str) -> dict[str, Place]:
    """Places of one level of a browser test's steps."""
    return {
        pointer: "steps.attributes",
        f"{pointer}/stepId": "steps.step_id",
        f"{pointer}/description": "steps.name",
        f"{pointer}/type": "steps.kind",
        f"{pointer}/skipped": Target("steps.outcome", form=_SKIPPED),
        f"{pointer}/duration": "steps.duration_ms",
        f"{pointer}/url": "steps.url",
        f"{pointer}/error": "errors.message",
        f"{pointer}/failure/code": ("errors.code", "steps.attributes#/failureCode"),
        f"{pointer}/failure/message": ("errors.message", "steps.error_message"),
        f"{pointer}/browserErrors/*/name": ("errors.name", "steps.attributes#/browserErrors/*/name"),
        f"{pointer}/browserErrors/*/description": ("errors.message", "steps.attributes#/browserErrors/*/description"),
        f"{pointer}/vitalsMetrics/*/url": "page_vitals.page_url",
        f"{pointer}/vitalsMetrics/*/lcp": "page_vitals.value",
        f"{pointer}/vitalsMetrics/*/cls": "page_vitals.value",
        **{place: to for name in _STEP_KEYS for place, to in _keys(f"{pointer}/{name}", f"steps.attributes#/{name}").items()},
    }


def _keys(pointer: str, attribute: str) -> dict[str, Place]:
    """Places of a bucket key: the documented flag, or file keys."""
    return {pointer: at(attribute, _FLAG), f"{pointer}/*": "artifacts.name"}


_STEP_KEYS = ("screenshotBucketKey", "snapshotBucketKey", "emailMessageBucketKeys")
_RESULT_KEYS = ("thumbnailsBucketKey", "artifactsBucketKey")
_STEPS = tuple("/result/stepDetails/*" + "/subTestStepDetails/*" * level for level in range(STEP_DEPTH))

BROWSER_RESULT_PLACES = Places(
    id="/result_id",
    to={
        **_RESULT,
        **_CHECK,
        "/check/config/request/url": ("tests.config#/request/url", "tests.target_url"),
        **_DEVICE,
        "/result/browserType": "results.browser",
        "/result/browserVersion": "results.browser_version",
        "/result/timeToInteractive": "page_vitals.value",
        **{place: to for name in _RESULT_KEYS for place, to in _keys(f"/result/{name}", f"results.attributes#/{name}").items()},
        **{pointer: place for step in _STEPS for pointer, place in _step(step).items()},
        f"{_STEPS[-1]}/subTestStepDetails": "steps.attributes#/subTestStepDetails",
    },
    forms=_config_forms("/check/config"),
    samples={**_RESULT_SAMPLES, **{f"{step}/playingTab": lambda number: number % 5 - 1 for step in _STEPS}},
    document="Get a browser test result (v1)",
)
