"""The sandbox's DocketQA: the two endpoints a CI uses, over groups of test runs that a world holds.

Facts come from docs.docketqa.com (read 2026-08) unless a comment says otherwise; nothing of extraction or flattening
is imported. There is no list of runs: `executions` gives the trigger responses and webhook bodies a CI would have
kept. `blueprints` holds what the tests do, `results` what an attempt leaves behind, `groups` the history.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipelines.providers.docketqa.sandbox.blueprints import BLUEPRINTS, PLANTED_SECRETS
from pipelines.providers.docketqa.sandbox.groups import Groups, is_reported
from pipelines.sandbox.world import World

__all__ = ["API_KEY", "PLANTED_SECRETS", "app", "env", "executions"]

API_KEY = "sandbox-docketqa-api-key-not-a-secret"


def _refuse(status: int, message: str) -> JSONResponse:
    # Error codes and bodies are not documented; a JSON object with one sentence is the sandbox's own choice.
    return JSONResponse({"error": message}, status)


def app(world: World) -> Starlette:
    """The DocketQA API over `world`: GET /test_run/{test_run_id} and POST /test_group_run/trigger_run.

    The key comes in X-API-KEY. 401 without a key, 403 with a wrong one, 404 unknown run or blueprint, 400 a body
    without integer test_blueprint_ids.
    """
    groups = Groups(world)
    blueprints = {blueprint.id: blueprint for blueprint in BLUEPRINTS}

    def refused(request: Request) -> JSONResponse | None:
        key = request.headers.get("X-API-KEY")
        if key is None:
            return _refuse(401, "An API key is required.")
        return None if key == API_KEY else _refuse(403, "The API key is not valid.")

    async def get_test_run(request: Request) -> JSONResponse:
        text = request.path_params["test_run_id"]
        run = groups.find(int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else None
        return refused(request) or (
            _refuse(404, "There is no test run with this id.") if run is None else JSONResponse(groups.document(run))
        )

    async def trigger_run(request: Request) -> JSONResponse:
        refusal = refused(request)
        if refusal is not None:
            return refusal
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        ids = body.get("test_blueprint_ids") if isinstance(body, dict) else None
        if not isinstance(ids, list) or not ids or not all(type(item) is int for item in ids):
            return _refuse(400, "test_blueprint_ids must be a list of integers.")
        if any(item not in blueprints for item in ids):
            return _refuse(404, "There is no test blueprint with this id.")
        return JSONResponse(groups.trigger_response(groups.trigger([blueprints[item] for item in ids])))

    return Starlette(
        routes=[
            Route("/test_run/{test_run_id}", get_test_run, methods=["GET"]),
            Route("/test_group_run/trigger_run", trigger_run, methods=["POST"]),
        ]
    )


def env(base_url: str) -> dict[str, str]:
    """Settings that point a sync at this sandbox."""
    return {"DOCKETQA_API_URL": base_url, "DOCKETQA_API_KEY": API_KEY}


def executions(world: World) -> list[dict[str, Any]]:
    """Trigger responses of all groups by the world's now, oldest first, and webhook bodies of some that have ended."""
    groups, kept = Groups(world), []
    for number, group in groups.visible():
        kept.append(groups.trigger_response(group))
        if is_reported(number) and group.ended_at <= world.now:
            kept.append(groups.webhook(number, group))
    return kept
