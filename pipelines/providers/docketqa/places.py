"""Where each leaf of DocketQA's payloads stands in the warehouse. No types, no masking classes: `leaves`; no reading: `flatten`."""

from __future__ import annotations

from pipelines.schemas.places import ADDRESS, LOWER, SECONDS, Form, Place, Places, at

VERDICT = Form("passed or failed", lambda is_successful: "passed" if is_successful else "failed")
BRANCH = Form("without refs/heads/", lambda ref: ref.removeprefix("refs/heads/"), lambda number: f"refs/heads/feature/v{number}")

_SHOWN = "results.attributes#/blueprint_metadata"

_STEP: dict[str, Place] = {
    "/step_number": "steps.step_id",
    "/task": "steps.name",
    "/is_successful": at("steps.outcome", VERDICT),
    "/result": "steps.result_text",
    "/duration": at("steps.duration_ms", SECONDS),
    "/actions/*/type": "actions.kind",
    "/actions/*/description": "actions.description",
    "/actions/*/screenshot_url": at("artifacts.url", ADDRESS),
    "/actions/*/screenshot_url_before": at("artifacts.url", ADDRESS),
    "/actions/*/api_response/status_code": "exchanges.status_code",
    "/actions/*/api_response/headers": "exchanges.response_headers",
    "/actions/*/api_response/body": "exchanges.response_body",
    "/actions/*/api_response/api_response_url": at("artifacts.url", ADDRESS),
}

_BLUEPRINT: dict[str, Place] = {
    "": "tests.config",
    "/title": ("results.test_name", "tests.name", "tests.config#/title"),
    "/type": (at("results.test_type", LOWER), at("tests.test_type", LOWER), "tests.config#/type"),
    "/status": ("tests.status", f"{_SHOWN}/status"),
    "/starting_url": ("tests.target_url", "tests.config#/starting_url"),
    "/device_name": ("results.device", "tests.config#/device_name"),
    "/viewport_width": ("results.viewport_width", "tests.config#/viewport_width"),
    "/viewport_height": ("results.viewport_height", "tests.config#/viewport_height"),
    **{f"/{name}": (f"{_SHOWN}/{name}", f"tests.config#/{name}") for name in ("device_type", "app_id", "browser_zoom", "num_retries")},
    "/steps/*/type": ("steps.kind", "tests.config#/steps/*/type"),
    "/steps/*/api_request/method": ("exchanges.method", "tests.config#/steps/*/api_request/method"),
    "/steps/*/api_request/url": ("exchanges.url", "tests.config#/steps/*/api_request/url"),
    "/steps/*/api_request/headers": ("exchanges.request_headers", "tests.config#/steps/*/api_request/headers"),
    "/steps/*/action_cache": f"{_SHOWN}/steps/*/action_cache",
}

_RUN: dict[str, Place] = {
    "": "results.attributes",
    "/id": "results.result_id",
    "/status": "results.status",
    "/test_blueprint_id": ("results.test_id", "tests.test_id"),
    "/test_group_run_id": "results.run_id",
    "/created_at": "results.started_at",
    "/test_video_url": at("artifacts.url", ADDRESS),
    "/test_video_download_url": at("artifacts.url", ADDRESS),
    "/additional_attempts/*/test_video_url": at("artifacts.url", ADDRESS),
    **{f"/blueprint_metadata{pointer}": place for pointer, place in _BLUEPRINT.items()},
    **{f"/results/*{pointer}": place for pointer, place in _STEP.items()},
    **{f"/additional_attempts/*/results/*{pointer}": place for pointer, place in _STEP.items()},
}

_GROUP: dict[str, Place] = {
    "": "runs.attributes",
    "/id": "runs.run_id",
    "/name": "runs.name",
    "/status": "runs.status",
    "/url": "runs.url",
    "/tests_passed": "runs.passed_count",
    "/tests_failed": "runs.failed_count",
    "/github_context/repository": "runs.repo_url",
    "/github_context/commit_sha": "runs.commit_sha",
    "/github_context/ref": (at("runs.branch", BRANCH), "runs.attributes#/github_context/ref"),
}

_STEP_NUMBERS = ("/results/*/step_number", "/additional_attempts/*/results/*/step_number", "/blueprint_metadata/steps/*/step_number")


def _one_step_number(number: int) -> int:
    """A run's step and the blueprint's step of the same number are one: only so they meet."""
    return 7


TEST_RUN_PLACES = Places(
    id="/test_run/id",
    to={
        **{f"/test_run{pointer}": place for pointer, place in _RUN.items()},
        "/test_run/test_group_run_id": ("results.run_id", "runs.run_id"),
    },
    samples={f"/test_run{pointer}": _one_step_number for pointer in _STEP_NUMBERS},
    document="DocketQA: Get Test Run",
)

TEST_GROUP_RUN_PLACES = Places(
    id=("/test_group_run/id", "/payload/id"),
    to={
        "/message": "runs.attributes#/message",
        "/event": "runs.attributes#/event",
        **{f"{shape}{pointer}": place for shape in ("/test_group_run", "/payload") for pointer, place in _GROUP.items()},
        **{f"/test_group_run/test_runs/*{pointer}": place for pointer, place in _RUN.items()},
    },
    forms={"": (("message", "test_group_run"), ("event", "payload"))},
    samples={f"/test_group_run/test_runs/*{pointer}": _one_step_number for pointer in _STEP_NUMBERS},
    document="DocketQA: Run Test, Webhooks",
)
