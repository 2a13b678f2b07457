"""Every leaf of DocketQA's two payloads with its type and masking class. No flattening, no requests.

Sources: docs.docketqa.com, pages Get Test Run (both versions), Run Test, Webhooks, Create Test, Create Module (read
2026-08). That a run's snapshot repeats the fields of the create requests, credentials included, is assumed: whatever
secret of them it holds is masked.
"""

from __future__ import annotations

import polars as pl

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
    Tree,
    enum,
)
from pipelines.transform.expressions import non_negative
from pipelines.transform.leaves import INSTANT, WHOLE


def step_ms(seconds: pl.Expr) -> pl.Expr:
    """How long a step took, in milliseconds; NULL where that cannot be."""
    return non_negative(seconds * 1000)


STATUS = enum("running", "passed", "failed", "stopped")

API_REQUEST: dict[str, Tree] = {
    "url": SCRUBBED,
    "method": TEXT,
    "headers": HEADERS,
    "body": FREE,
    "timeout": RAW,
    "retries": RAW,
    "backoff_seconds": RAW,
    "should_refresh_page": RAW,
}

BLUEPRINT_STEP: dict[str, Tree] = {
    "id": RAW,
    "step_number": RAW,
    "type": enum("act", "assert", "api", "recorded", "module", "trigger_run"),
    "action": SCRUBBED,
    "use_vision": RAW,
    "test_blueprint_module_id": RAW,
    "api_request": API_REQUEST,
    "trigger_run_config": {"test_blueprint_id": RAW},
    "disable_self_healing": RAW,
    "click_count": RAW,
    "attached_file_ids": [RAW],
    "assert_images_count": RAW,
    "hold_start_duration": RAW,
    "hold_end_duration": RAW,
    "action_cache": FREE,
}

BLUEPRINT: dict[str, Tree] = {
    "id": RAW,
    "title": SCRUBBED,
    "type": TEXT,
    "status": TEXT,
    "device_type": TEXT,
    "device_name": TEXT,
    "app_id": RAW,
    "starting_url": SCRUBBED,
    "starting_prompt": RAW_SCRUBBED,
    "browser_zoom": RAW,
    "viewport_width": WHOLE,
    "viewport_height": WHOLE,
    "variables": [{"key": RAW, "type": RAW, "value": MASKED, "randomConfig": FREE}],
    "credentials": {"username": RAW, "password": MASKED, "otp_secret": MASKED},
    "num_retries": RAW,
    "reset_browser_on_retry": RAW,
    "typing_speed": RAW,
    "persist_self_healed": RAW,
    "file_download_mode": RAW,
    "folder_path": RAW,
    "setup_module": FREE,
    "teardown_module": FREE,
    "test_blueprint_category_id": RAW,
    "steps": [BLUEPRINT_STEP],
}

ACTION: dict[str, Tree] = {
    "type": TEXT,
    "description": SCRUBBED,
    "screenshot_url": SCRUBBED,
    "screenshot_url_before": SCRUBBED,
    "api_response": {"status_code": NUMBER, "headers": HEADERS, "body": FREE, "api_response_url": SCRUBBED},
}

STEP: dict[str, Tree] = {
    "step_number": TEXT,
    "task": SCRUBBED,
    "is_successful": FLAG,
    "result": SCRUBBED,
    "duration": Leaf("DOUBLE", read=step_ms),
    "actions": [ACTION],
}

RUN: dict[str, Tree] = {
    "id": TEXT,
    "status": STATUS,
    "test_blueprint_id": TEXT,
    "test_group_run_id": TEXT,
    "blueprint_metadata": BLUEPRINT,
    "results": [STEP],
    "test_video_url": SCRUBBED,
    "test_video_download_url": SCRUBBED,
    "additional_attempts": [{"results": [STEP], "test_video_url": SCRUBBED}],
    "is_login_test_run": RAW,
    "test_video_s3_key": RAW_SCRUBBED,
    "created_at": INSTANT,
    "updated_at": INSTANT,
}
"""A test run, as fetched and as listed in a trigger response (that adds `is_login_test_run`, `test_video_s3_key`)."""

TEST_RUN: dict[str, Tree] = {"test_run": RUN}

TEST_GROUP_RUN: dict[str, Tree] = {
    "message": RAW_SCRUBBED,
    "test_group_run": {
        "id": TEXT,
        "company_id": RAW,
        "name": SCRUBBED,
        "status": STATUS,
        "github_context": {"repository": TEXT, "commit_sha": TEXT, "run_id": RAW, "ref": TEXT},
        "test_runs": [RUN],
        "created_at": RAW,
        "updated_at": RAW,
    },
    "event": enum("test_group_run_passed", "test_group_run_failed", "test_group_run_stopped"),
    "payload": {
        "id": TEXT,
        "url": SCRUBBED,
        "name": SCRUBBED,
        "status": STATUS,
        "created_at": RAW,
        "updated_at": RAW,
        "tests_ran": RAW,
        "tests_passed": NUMBER,
        "tests_failed": NUMBER,
        "tests_stopped": RAW,
        "github_context": {"repository": TEXT, "commit_sha": TEXT, "run_id": RAW, "ref": TEXT},
        "tests": FREE,
    },
}
"""A trigger response (`message`, `test_group_run`) or a webhook body (`event`, `payload`; items of `tests` unknown)."""
