"""What a browser test's try looks like: its row in the results list and its full result. When it ran: `history`.

Facts (recorded 2022-07): `duration` and `timeToInteractive` are milliseconds although the document says seconds, and
the steps' durations add up to the run's; the start navigation is a step of stepId -1 and counts in stepCountTotal;
`errorCount` counts browser errors, not failures; the bucket keys are booleans in v1. Steps after a failed one come as
skipped and without a duration (not recorded, assumed).
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

from pipelines.providers.datadog.sandbox import planted
from pipelines.providers.datadog.sandbox.api_results import iso_ms
from pipelines.providers.datadog.sandbox.browser_tests import DEVICES, SHOP
from pipelines.providers.datadog.sandbox.history import Try
from pipelines.providers.datadog.sandbox.specs import Json, Spec, Step, public_id
from pipelines.sandbox.world import World

# Codes of SyntheticsBrowserTestFailureCode (v1 OpenAPI).
FAILURES: dict[str, tuple[str, str]] = {
    "element": ("LOCATE_ELEMENT", "Element's location has failed: no element matches the locators."),
    "step_timeout": ("STEP_TIMEOUT", "The step timed out after 60 seconds."),
    "assertion": ("ASSERTION_FAILURE", 'The assertion failed: expected "Newsletter", found "Maintenance".'),
    "subtest": ("SUB_TEST_NOT_PASSED", "The subtest did not pass."),
    "open_url": ("OPEN_URL", f"Could not open {SHOP}/?preview_token={planted.START_URL_TOKEN}: net::ERR_TIMED_OUT."),
    "error": ("UNAVAILABLE_BROWSER", "The browser could not be started."),
}
PAGE_STEPS = frozenset({"goToUrlAndMeasureTti", "click", "pressKey", "goToEmailLink"})


def row(world: World, item: Try) -> Json:
    """The try's row in `GET .../tests/browser/{public_id}/results`, as of the world's now."""
    event = item.event_type(world.now_ms)
    result: Json = {
        "runType": item.run_type,
        "tunnel": False,
        "errorMessage": None,
        "timings": None,
        "deviceId": item.device,
        "device": DEVICES[str(item.device)],
    }
    if event in ("scheduled", "not_scheduled"):
        result["eventType"] = event
    else:
        run = _Run(world, item)
        result.update(
            errorMessage=run.message,
            stepCountTotal=len(run.steps),
            stepCountCompleted=run.completed,
            errorCount=run.error_count,
            duration=item.total_ms,
        )
        if item.ending == "error":
            result["eventType"] = event
        else:
            result["passed"] = item.ending == "pass"
        if item.initial_id is not None:
            result["initialResultID"] = item.initial_id
        if item.next_try_ms is not None:
            result["nextTryAt"] = iso_ms(item.next_try_ms)
    return _envelope(item, result)


def full(world: World, item: Try) -> Json:
    """The try's `GET .../tests/browser/{public_id}/results/{result_id}`; only for what has finished."""
    run = _Run(world, item)
    agent = str(DEVICES[str(item.device)]["userAgent"])
    result: Json = {
        "runType": item.run_type,
        "browserType": str(item.device).split(".")[0],
        "browserVersion": "144.0" if "Firefox" in agent else "142.0.7444.61",
        "eventType": item.event_type(world.now_ms),
        "mainDC": "us1.prod",
        "subtype": None,
        "device": DEVICES[str(item.device)],
        "duration": item.total_ms,
        "startUrl": _start_url(item),
        "hasArtifacts": True,
        "thumbnailsBucketKey": True,
        "stepDetails": run.steps,
    }
    if item.ending == "error":
        result["hasArtifacts"] = result["thumbnailsBucketKey"] = False
    else:
        result["passed"] = item.ending == "pass"
        result["timeToInteractive"] = round(float(run.steps[0].get("duration", 0)) * 0.7, 1)
    if run.message is not None:
        result.update(error=run.message, failure={"code": FAILURES[item.ending][0], "message": run.message})
    if any(step.type in ("assertEmail", "goToEmailLink") for step in _flat(item.spec.steps)):
        result["receivedEmailCount"] = run.rng.randint(0, 2)
    return {**_envelope(item, result), "run_type": item.run_type, "check": item.version.check}


def definition_steps(spec: Spec) -> list[Json]:
    """The configured steps as `GET .../tests/browser/{public_id}` gives them (recorded 2025)."""
    return [
        {
            "name": step.description,
            "type": step.type,
            "public_id": public_id(f"step {step.description}"),
            "params": _params(step),
            "timeout": 0,
            "allowFailure": step.allow_failure,
            "isCritical": step.is_critical,
            "noScreenshot": False,
            "exitIfSucceed": False,
            "alwaysExecute": False,
        }
        for step in spec.steps
    ]


def _params(step: Step) -> Json:
    if step.type == "playSubTest":
        return {"subtestPublicId": public_id(f"subtest {step.description}"), "playingTabId": 0}
    found = {"check": step.check, "value": step.value}
    return {key: value for key, value in found.items() if value is not None}


def _envelope(item: Try, result: Json) -> Json:
    return {
        "status": item.monitor_status,
        "check_time": item.check_ms,
        "check_version": item.version.number,
        "result": result,
        "probe_dc": item.location,
        "result_id": item.result_id,
        "device_id": item.device,
    }


def _start_url(item: Try) -> str:
    return str(item.version.definition["config"]["request"]["url"])


def _flat(steps: tuple[Step, ...]) -> list[Step]:
    return [inner for step in steps for inner in (step, *_flat(step.steps))]


class _Run:
    """The steps of one finished try, worked out once for the row and the full result, so that they agree."""

    def __init__(self, world: World, item: Try) -> None:
        self.item = item
        self.rng: Random = world.rng("datadog", "content", item.result_id)
        self.message = FAILURES[item.ending][1] if item.ending != "pass" else None
        self.error_count = 0
        self._rum = {
            "sessionId": world.uuid("datadog", "rum", item.result_id),
            "applicationId": "1f0c3b52-8f0e-4d0b-9c57-2f6f0a4f7a10",
        }
        self._world = world
        start = Step("goToUrlAndMeasureTti", "Navigate to start URL", _start_url(item), None, "/", 1500, False, False)
        self.steps = self._play((start, *item.spec.steps), round(item.total_ms), item.ending)
        self.steps[0]["stepId"] = -1
        self.steps[0]["url"] = "about:blank"
        self.steps[0].pop("publicId", None)
        failed = [n for n, step in enumerate(self.steps) if "failure" in step and not step["allowFailure"]]
        self.completed = 0 if item.ending == "error" else failed[0] if failed else len(self.steps)

    def _play(self, steps: tuple[Step, ...], total_ms: int, ending: str) -> list[Json]:
        failing = self._failing(steps, ending)
        ran = steps if failing is None else steps[: failing + 1]
        weights = [sum(one.typical_ms for one in _flat((step,))) * self.rng.uniform(0.6, 1.5) for step in ran]
        durations = [int(total_ms * weight / sum(weights)) for weight in weights]
        if durations:
            durations[-1] += total_ms - sum(durations)
        details = []
        for index, step in enumerate(steps):
            if index >= len(ran):
                details.append(self._skipped(step))
            else:
                details.append(self._ran(step, durations[index], ending if index == failing else "pass"))
        return details

    def _failing(self, steps: tuple[Step, ...], ending: str) -> int | None:
        if ending == "pass":
            return None
        if ending == "error":
            return -1
        if ending == "open_url":
            return 0
        if ending == "subtest":
            return self.rng.choice([n for n, step in enumerate(steps) if step.steps] or [len(steps) - 1])
        if ending == "assertion":
            return max(n for n, step in enumerate(steps) if step.type.startswith("assert") and not step.allow_failure)
        able = [n for n, step in enumerate(steps) if step.is_critical and step.type != "goToUrlAndMeasureTti"]
        return self.rng.choice(able)

    def _base(self, step: Step) -> Json:
        found: Json = {
            "type": step.type,
            "stepId": int.from_bytes(hashlib.sha256(step.description.encode()).digest()[:3], "big"),
            "publicId": public_id(f"step {step.description}"),
            "description": step.description,
            "url": f"{SHOP}{step.page}",
            "allowFailure": step.allow_failure,
            "isCritical": step.is_critical,
            "browserErrors": [],
            "warnings": [],
            "vitalsMetrics": [],
            "screenshotBucketKey": False,
            "snapshotBucketKey": False,
            "emailMessageBucketKeys": False,
        }
        optional: dict[str, Any] = {"value": step.value, "checkType": step.check, "playingTab": step.tab}
        found.update((key, value) for key, value in optional.items() if value is not None)
        return found

    def _skipped(self, step: Step) -> Json:
        found = {**self._base(step), "skipped": True}
        if step.steps:
            found["subTestStepDetails"] = [self._skipped(inner) for inner in step.steps]
        return found

    def _ran(self, step: Step, duration_ms: int, ending: str) -> Json:
        found: Json = {
            **self._base(step),
            "skipped": False,
            "duration": duration_ms,
            "screenshotBucketKey": True,
            "rumContext": {**self._rum, "viewId": self._world.uuid("datadog", "view", self.item.result_id, step.page)},
        }
        if step.steps:
            inner = "pass" if ending == "pass" else "subtest" if any(it.steps for it in step.steps) else "element"
            found["subTestStepDetails"] = self._play(step.steps, duration_ms, inner)
        if ending != "pass":
            code, message = FAILURES[ending if ending != "subtest" or step.steps else "element"]
            found.update(error=message, failure={"code": code, "message": message}, snapshotBucketKey=True)
        elif step.allow_failure and self.rng.random() < 0.3:
            code, message = FAILURES["element"]
            found.update(error=message, failure={"code": code, "message": message})
        if step.type in PAGE_STEPS:
            found["vitalsMetrics"] = [self._vitals(f"{SHOP}{step.page}")]
            found["timeToInteractive"] = round(duration_ms * 0.7, 1)
            if self.rng.random() < 0.25:
                found["browserErrors"] = [self._browser_error()]
                self.error_count += 1
        if step.type in ("click", "hover") and self.rng.random() < 0.15:
            found["warnings"] = [{"message": "The user locator matches 2 elements.", "type": "user_locator"}]
        return found

    def _vitals(self, url: str) -> Json:
        found: Json = {"url": url, "lcp": round(self.rng.uniform(300, 2800), 3)}
        if self.rng.random() < 0.7:
            found["cls"] = round(self.rng.uniform(0, 0.2), 3)
        return found

    def _browser_error(self) -> Json:
        if self.rng.random() < 0.5:
            return {"type": "js", "name": "TypeError", "description": "basket is undefined at shop.js:1:2201"}
        url = f"https://cdn.shop.example.com/boots.jpg?Expires=1790000000&Signature={planted.SIGNED_URL_SIGNATURE}"
        return {"type": "network", "name": "404 Not Found", "status": 404, "method": "GET", "description": url}
