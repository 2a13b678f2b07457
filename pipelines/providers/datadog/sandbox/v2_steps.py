"""What steps look like in v2: those of multistep API tests, of browser tests (from v1's) and of mobile tests.

Shapes are those of the vendor's v2 models; no recording exists. Assumed: a step's sub-steps follow it in the same list, `sub_step.level`
counts from 1; a step's retries are its earlier tries.
"""

from __future__ import annotations

from random import Random

from pipelines.providers.datadog.sandbox.browser_results import FAILURES
from pipelines.providers.datadog.sandbox.history import Try
from pipelines.providers.datadog.sandbox.specs import Json, Step, public_id

_BUCKETS = {"screenshotBucketKey": "screenshot", "snapshotBucketKey": "snapshot"}


def request(configured: Json) -> Json:
    """A configured request as v2 tells it; its timeout is ms, where the definition's is seconds."""
    names = {
        "allow_insecure": "allow_insecure", "body": "body", "callType": "call_type", "destination_service": "destination_service",
        "dnsServer": "dns_server", "dnsServerPort": "dns_server_port", "e2e_queries": "e2e_queries", "headers": "headers", "host": "host",
        "max_ttl": "max_ttl", "message": "message", "method": "method", "noSavingResponseBody": "no_saving_response_body", "port": "port",
        "service": "service", "source_service": "source_service", "toolName": "tool_name", "traceroute_queries": "traceroute_queries",
        "url": "url",
    }  # fmt: skip
    told = {there: configured[here] for here, there in names.items() if configured.get(here) is not None}
    if "timeout" in configured:
        told["timeout"] = int(configured["timeout"] * 1000)
    return told


def assertion(configured: Json, outcome: Json) -> Json:
    """A configured assertion with what became of it."""
    target = configured.get("target")
    told: Json = {"type": configured["type"], "valid": outcome["valid"]}
    told.update({name: configured[name] for name in ("operator", "property") if name in configured})
    if isinstance(target, dict) and ("jsonPath" in target or "xPath" in target):
        told["target_path"] = target.get("jsonPath") or target.get("xPath")
        told["target_path_operator"] = target["operator"]
        told["expected"] = target.get("targetValue")
    elif target is not None:
        told["target"] = target
    if "actual" in outcome:
        told["actual"] = outcome["actual"]
    if not outcome["valid"]:
        told["error_message"] = f"{configured['type']} is not as expected."
    return told


def of_multistep(item: Try, rng: Random, failure: Json | None) -> list[Json]:
    """The steps of a multistep API test: the second one fails when the try does, those after it did not run."""
    configured: list[Json] = item.version.definition["config"]["steps"]
    failing = 1 if failure else len(configured)
    weights = [rng.uniform(0.6, 1.4) for _ in configured[: failing + 1]]
    told = []
    started_ms = item.check_ms
    for index, step in enumerate(configured):
        if index > failing:
            told.append({**_named(step), "status": "skipped"})
            continue
        took_ms = round(item.total_ms * weights[index] / sum(weights), 1)
        has_failed = index == failing
        is_retried = index == 0 and rng.random() < 0.4
        ran = _ran(step, took_ms, started_ms, failure if has_failed else None)
        if is_retried:
            first: Json = {"code": "TIMEOUT", "message": "The step's first try timed out."}
            ran = {**_ran(step, round(took_ms / 2, 1), started_ms + int(took_ms / 2), None), "retry_count": 1}
            ran["retries"] = [_ran(step, round(took_ms / 2, 1), started_ms, first)]
        told.append(ran)
        started_ms += int(took_ms)
    return told


def _named(step: Json) -> Json:
    return {
        "id": step["id"],
        "name": step["name"],
        "subtype": step["subtype"],
        "allow_failure": step["allowFailure"],
        "is_critical": step["isCritical"],
        "request": request(step["request"]),
    }


def _ran(step: Json, took_ms: float, started_ms: int, failure: Json | None) -> Json:
    answers = failure is None or failure["code"] == "INCORRECT_ASSERTION"
    told: Json = {
        **_named(step),
        "status": "failed" if failure else "passed",
        "started_at": started_ms,
        "duration": took_ms,
        "timings": {"dns": round(took_ms * 0.1, 1), "firstByte": round(took_ms * 0.9, 1), "total": took_ms},
        "tunnel": False,
    }
    if failure is not None:
        told["failure"] = failure
    if answers:
        status = 502 if failure else next((it["target"] for it in step["assertions"] if it["type"] == "statusCode"), 200)
        outcomes = [{"valid": not (failure and number == 0)} for number in range(len(step["assertions"]))]
        told["assertions"] = [assertion(one, outcome) for one, outcome in zip(step["assertions"], outcomes, strict=True)]
        if told["assertions"] and step["assertions"][0]["type"] == "statusCode":
            told["assertions"][0]["actual"] = status
        told["response"] = {"status_code": status, "body_size": 312, "headers": {"content-type": "application/json"}}
    return told


def of_browser(details: list[Json], result_id: str, level: int = 0, parent: Json | None = None) -> list[Json]:
    """v1's steps as v2's flat list: subtests' steps follow the step that played them."""
    told = []
    for detail in details:
        step = _browser_step(detail, result_id)
        if parent is not None:
            owner = {"parent_step": {"id": str(parent["stepId"])}, "parent_test": {"id": public_id(f"subtest {parent['description']}")}}
            step["sub_step"] = {"level": level, **owner}
        inner = detail.get("subTestStepDetails")
        if inner:
            step["sub_test"] = {"id": public_id(f"subtest {detail['description']}"), "playing_tab": detail.get("playingTab", 0)}
        told += [step, *of_browser(inner or [], result_id, level + 1, detail)]
    return told


def _browser_step(detail: Json, result_id: str) -> Json:
    status = "skipped" if detail.get("skipped") else "failed" if "failure" in detail else "passed"
    step: Json = {
        "id": str(detail["stepId"]),
        "type": detail["type"],
        "description": detail["description"],
        "url": detail["url"],
        "status": status,
        "allow_failure": detail["allowFailure"],
        "is_critical": detail["isCritical"],
        "bucket_keys": {there: f"{result_id}/{detail['stepId']}/{there}" for here, there in _BUCKETS.items() if detail.get(here) is True},
        "warnings": detail["warnings"],
        "vitals_metrics": detail["vitalsMetrics"],
        "browser_errors": detail["browserErrors"],
    }
    step.update({name: detail[name] for name in ("duration", "value", "failure") if name in detail})
    if "rumContext" in detail:
        rum = {"applicationId": "application_id", "sessionId": "session_id", "viewId": "view_id"}
        step["rum_context"] = {there: detail["rumContext"][here] for here, there in rum.items()}
    if "checkType" in detail:
        step["assertion_result"] = {"check_type": detail["checkType"], "expected": detail.get("value"), "has_secure_variables": False}
    return step


def of_mobile(item: Try, rng: Random) -> list[Json]:
    """The steps of a mobile test: one of the critical ones fails when the try does, those after it did not run."""
    steps: tuple[Step, ...] = item.spec.steps
    critical = [number for number, step in enumerate(steps) if step.is_critical]
    failing = len(steps) if item.ending == "pass" else rng.choice(critical)
    weights = [step.typical_ms * rng.uniform(0.6, 1.5) for step in steps[: failing + 1]]
    told = []
    started_ms = item.check_ms
    for number, step in enumerate(steps):
        one: Json = {
            "id": public_id(f"step {step.description}"),
            "type": step.type,
            "description": step.description,
            "allow_failure": step.allow_failure,
            "is_critical": step.is_critical,
            "status": "skipped" if number > failing else "failed" if number == failing else "passed",
        }
        if step.value is not None:
            one["value"] = step.value
        if number <= failing:
            one["duration"] = round(item.total_ms * weights[number] / sum(weights), 1)
            one["started_at"] = started_ms
            one["bucket_keys"] = {"screenshot": f"{item.result_id}/{number}/screenshot", "source": f"{item.result_id}/{number}/source"}
            started_ms += int(one["duration"])
        if number == failing:
            code, message = FAILURES[item.ending]
            one["failure"] = {"code": code, "message": message}
        if step.check is not None and number <= failing:
            one["assertion_result"] = {"check_type": step.check, "expected": step.value, "actual": step.value}
        told.append(one)
    return told
