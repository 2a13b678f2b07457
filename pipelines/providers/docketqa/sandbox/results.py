"""What one attempt of a test run left behind: steps, actions and signed artifact URLs. No times of runs live here.

Facts come from docs.docketqa.com (get-test-run, read 2026-08) unless a comment says otherwise.
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any

from pipelines.providers.docketqa.sandbox.blueprints import (
    ACCESS_KEY,
    ANSWERED,
    REJECTED,
    SESSION_PREFIX,
    SIGNATURE_PREFIX,
    Blueprint,
    Step,
)

# click_element, input_text, extract_content and scroll_down are named on the page, with "etc."; the others are made up.
_ACTIONS = {
    "act": ("click_element", "input_text", "extract_content", "scroll_down", "wait"),
    "assert": ("extract_content", "scroll_down"),
    "api": ("api_request",),
    "recorded": ("click_element",),
    "module": ("input_text", "click_element"),
    "trigger_run": ("trigger_run",),
}
_FAILURES = {
    "act": "The agent could not complete the objective because the expected element was not present on the page.",
    "assert": "Assertion failed: the page does not show what the step expects.",
    "api": "Request failed with status 503 after 2 retries.",
    "recorded": "The recorded position no longer holds the element and self-healing found no replacement.",
    "module": f"The module stopped at its second step: the form rejected the password '{REJECTED}'.",
    "trigger_run": "The triggered run ended with status failed.",
}


def results_of(run_id: int, attempt: int, blueprint: Blueprint, broken: int | None, at: datetime, rng: Random) -> list[dict[str, Any]]:
    """One attempt's steps; `broken` is the index of the step that failed, the steps after it were not run."""
    results = []
    for index, step in enumerate(blueprint.steps):
        kind, request = step["type"], step.get("api_request")
        result: dict[str, Any] = {
            "step_number": index + 1,
            "task": step["action"] or f"{request['method']} {request['url']}" if request else step["action"],
            "is_successful": broken is None or index < broken,
            "result": "Step not completed",
            "duration": 0,
            "actions": [],
        }
        if broken is None or index <= broken:
            is_broken = index == broken
            result["result"] = _FAILURES[kind] if is_broken else f"Completed: {result['task']}"
            result["duration"] = rng.randint(1, 5) if kind in ("api", "recorded") else rng.randint(6, 48)
            kinds = _ACTIONS[kind]
            chosen = kinds if kind == "module" else rng.choices(kinds, k=rng.randint(1, 3) if kind == "act" else 1)
            result["actions"] = [
                _action(name, step, f"{run_id}/attempt-{attempt}/step-{index + 1}-{place}", is_broken, at, rng)
                for place, name in enumerate(chosen, 1)
            ]
        results.append(result)
    return results


def _action(name: str, step: Step, path: str, is_broken: bool, at: datetime, rng: Random) -> dict[str, Any]:
    goal = step["action"] or "the request of this step"
    action: dict[str, Any] = {
        "description": f"Action: {name.replace('_', ' ')} with goal={goal!r}",
        "type": name,
        "screenshot_url": signed(f"{path}.png", at, rng),
    }
    if step["type"] == "recorded":
        action["screenshot_url_before"] = signed(f"{path}-before.png", at, rng)
    if name == "api_request":  # an object on the page, of which only the optional api_response_url is named
        is_token = step["api_request"]["url"].endswith("/token")
        body = {"access_token": ANSWERED, "expires_in": 3600} if is_token else {"orders": [{"id": 7001}], "total": 1}
        action["api_response"] = {
            "status_code": 503 if is_broken else 200,
            "headers": {"content-type": "application/json", "x-request-id": f"{rng.getrandbits(64):016x}"},
            "body": {"error": "upstream unavailable"} if is_broken else body,
        }
        if rng.random() < 0.7 or is_token:
            action["api_response"]["api_response_url"] = signed(f"{path}-response.json", at, rng)
    return action


def cut(results: list[dict[str, Any]], seconds: int) -> list[dict[str, Any]]:
    """The results of an attempt that was stopped after so many seconds."""
    kept, spent = [], 0
    for result in results:
        spent += result["duration"]
        not_run = {"is_successful": False, "result": "Step not completed", "duration": 0, "actions": []}
        kept.append(result if spent <= seconds else {**result, **not_run})
    return kept


def signed(path: str, at: datetime, rng: Random, with_session: bool = False) -> str:
    """A pre-signed S3 URL. The real ones are signed anew at each request; a standing world repeats them."""
    session = f"&X-Amz-Security-Token={SESSION_PREFIX}{rng.getrandbits(96):024x}" if with_session else ""
    return (
        f"https://docket-artifacts.s3.us-east-1.amazonaws.com/test_runs/{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={ACCESS_KEY}%2F{at:%Y%m%d}%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date={at:%Y%m%dT%H%M%SZ}"
        f"&X-Amz-Expires=604800&X-Amz-SignedHeaders=host{session}"
        f"&X-Amz-Signature={SIGNATURE_PREFIX}{rng.getrandbits(192):048x}"
    )
