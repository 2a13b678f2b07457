"""The Datadog Synthetics API (reads of v1, results of v2) of the sandbox: routes, authentication, paging, errors, rate limits.

What the tests are: `specs`, `http_tests`, `network_tests`, `browser_tests`, `v2_tests`; when they ran: `history`; what answers
look like: `api_results`, `browser_results`, `v2_results`. Facts come from the document "Get an API test result" (v1), the v1 OpenAPI and
recordings of 2019-2026 in the vendor's public clients; error bodies are recorded ones.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipelines.providers.datadog.sandbox import api_results, browser_results, v2_results
from pipelines.providers.datadog.sandbox.history import DAY_MS, History, SpecHistory, Try
from pipelines.providers.datadog.sandbox.limits import LIMITS, RateLimiter
from pipelines.providers.datadog.sandbox.planted import PLANTED_SECRETS
from pipelines.sandbox.world import World

__all__ = ["API_KEY", "APPLICATION_KEY", "PLANTED_SECRETS", "app", "env"]

API_KEY = "sandbox-datadog-api-key-not-a-secret"
APPLICATION_KEY = "sandbox-datadog-application-key-not-a-secret"
PAGE_ROWS = 150  # rows of a results page, recorded 2022-07
FLOOR_MS = 60 * DAY_MS  # a results list reaches 60 days back, recorded 2019-12 to 2022-07
TESTS_PAGE_SIZE = 100  # v1 OpenAPI

PUBLIC_ID = re.compile(r"[a-z0-9]{3}-[a-z0-9]{3}-[a-z0-9]{3}")
RESULT_ID = re.compile(r"[0-9]{1,21}")

_FORBIDDEN = {"errors": ["Forbidden"]}
_NOT_FOUND = {"errors": ["Synthetics test not found"]}
_MALFORMED_ID = {
    "message": "The resource could not be found.<br /><br />\n\n\n",
    "code": "404 Not Found",
    "title": "Not Found",
}

Answer = Callable[[Request], Awaitable[Response]]


def env(base_url: str) -> dict[str, str]:
    """The settings that point a sync at this sandbox."""
    return {"DD_API_KEY": API_KEY, "DD_APP_KEY": APPLICATION_KEY, "DATADOG_API_URL": base_url}


def app(
    world: World,
    limits: Mapping[str, tuple[int, int]] | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The API over `world`. `limits`: (calls, seconds) by name, over `LIMITS`; `clock`: what their windows follow."""
    api = _Api(world)
    limiter = RateLimiter({**LIMITS, **(limits or {})}, clock)

    def route(path: str, name: str, answer: Callable[[Request], Response]) -> Route:
        return Route(f"/api/v1/synthetics/tests{path}", _guarded(limiter, name, answer), methods=["GET"])

    def route_v2(path: str, name: str, kinds: tuple[str, ...]) -> Route:
        answer = api.v2_result(kinds) if path.endswith("{result_id}") else api.v2_rows(kinds)
        return Route(f"/api/v2/synthetics/tests{path}", _guarded(limiter, name, answer), methods=["GET"])

    others = ("api", "mobile", "network")

    return Starlette(
        routes=[
            route("", "synthetics_list", api.tests),
            route("/api/{public_id}", "synthetics_export", api.api_test),
            route("/browser/{public_id}", "synthetics_export", api.browser_test),
            route("/browser/{public_id}/results", "synthetics_results", api.browser_rows),
            route("/browser/{public_id}/results/{result_id}", "synthetics_result", api.browser_result),
            route("/{public_id}/results", "synthetics_results", api.api_rows),
            route("/{public_id}/results/{result_id}", "synthetics_result", api.api_result),
            route("/{public_id}", "synthetics_export", api.any_test),
            route_v2("/browser/{public_id}/results", "synthetics_results", ("browser",)),
            route_v2("/browser/{public_id}/results/{result_id}", "synthetics_result", ("browser",)),
            route_v2("/{public_id}/results", "synthetics_results", others),
            route_v2("/{public_id}/results/{result_id}", "synthetics_result", others),
        ]
    )


def _guarded(limiter: RateLimiter, name: str, answer: Callable[[Request], Response]) -> Answer:
    async def endpoint(request: Request) -> Response:
        headers = request.headers
        if headers.get("dd-api-key") != API_KEY or headers.get("dd-application-key") != APPLICATION_KEY:
            return _json(_FORBIDDEN, 403)
        verdict = limiter.take(name)
        # No 429 was ever recorded: the body's text is made up, its form is the document's.
        response = answer(request) if verdict.is_allowed else _json({"errors": ["Rate limit exceeded"]}, 429)
        response.headers.update(verdict.headers)
        return response

    return endpoint


class _RefusedError(Exception):
    """A query parameter that cannot be used; the text is the answer's."""


class _Api:
    """The answers. Finished results never change, so their JSON is kept once made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._history = History(world)
        self._rows: dict[str, bytes] = {}
        self._full: dict[str, bytes] = {}
        self._v2: dict[str, bytes] = {}

    def tests(self, request: Request) -> Response:
        try:
            size = _integer(request, "page_size", TESTS_PAGE_SIZE)
            page = _integer(request, "page_number", 0)
        except _RefusedError as refused:
            return _json({"errors": [str(refused)]}, 400)
        now_ms = self._world.now_ms
        listed = [test.version_at(now_ms).definition for test in self._history.tests.values()]
        return _json({"tests": listed[page * size : (page + 1) * size]})

    def any_test(self, request: Request) -> Response:
        return self._test(request, None)

    def api_test(self, request: Request) -> Response:
        return self._test(request, "api")

    def browser_test(self, request: Request) -> Response:
        return self._test(request, "browser")

    def api_rows(self, request: Request) -> Response:
        return self._page(request, "api")

    def browser_rows(self, request: Request) -> Response:
        return self._page(request, "browser")

    def api_result(self, request: Request) -> Response:
        return self._result(request, "api")

    def browser_result(self, request: Request) -> Response:
        return self._result(request, "browser")

    def v2_rows(self, kinds: tuple[str, ...]) -> Callable[[Request], Response]:
        """The answer to v2's list of results of tests of these types (newest first; the paging is assumed)."""

        def answer(request: Request) -> Response:
            found = self._find(request, *kinds)
            if isinstance(found, Response):
                return found
            try:
                from_ms, to_ms = self._bounds(request)
            except _RefusedError as refused:
                return _json({"errors": [str(refused)]}, 400)
            tries = found.newest(from_ms, to_ms, frozenset(request.query_params.getlist("probe_dc")), v2_results.PAGE_ROWS)
            rows = [v2_results.listed(self._world, item) for item in tries]
            return _json({"data": rows, "included": [v2_results.definition(item) for item in tries[:1]]})

        return answer

    def v2_result(self, kinds: tuple[str, ...]) -> Callable[[Request], Response]:
        """The answer to v2's full result of a test of these types."""
        return lambda request: self._finished(request, kinds, self._v2, lambda item: v2_results.full(self._world, item))

    def _find(self, request: Request, *kinds: str) -> SpecHistory | Response:
        public_id = request.path_params["public_id"]
        if not PUBLIC_ID.fullmatch(public_id):
            return _json(_MALFORMED_ID, 404)
        found = self._history.tests.get(public_id)
        return _json(_NOT_FOUND, 404) if found is None or (kinds and found.spec.type not in kinds) else found

    def _test(self, request: Request, kind: str | None) -> Response:
        found = self._find(request, *([] if kind is None else [kind]))
        if isinstance(found, Response):
            return found
        definition = found.version_at(self._world.now_ms).definition
        # Only the browser endpoint gives the steps (recorded 2025-2026).
        if kind == "browser":
            definition = {**definition, "steps": browser_results.definition_steps(found.spec)}
        return _json(definition)

    def _page(self, request: Request, kind: str) -> Response:
        found = self._find(request, kind)
        if isinstance(found, Response):
            return found
        now_ms = self._world.now_ms
        try:
            from_ms, to_ms = self._bounds(request)
        except _RefusedError as refused:
            return _json({"errors": [str(refused)]}, 400)
        tries = found.newest(from_ms, to_ms, frozenset(request.query_params.getlist("probe_dc")), PAGE_ROWS)
        # The lower bound of what was read: a full page's oldest check_time, else now - 60 days, floored to the second.
        floor_ms = tries[-1].check_ms if len(tries) == PAGE_ROWS else now_ms - FLOOR_MS
        rows = b",".join(map(self._row, tries))
        return Response(
            b'{"last_timestamp_fetched":%d,"results":[%b]}' % (floor_ms // 1000 * 1000, rows),
            media_type="application/json",
        )

    def _bounds(self, request: Request) -> tuple[int, int]:
        """The asked window in epoch ms. Which bound is inclusive was never recorded: both are here."""
        now_ms = self._world.now_ms
        return max(_integer(request, "from_ts", 0), now_ms - FLOOR_MS), min(_integer(request, "to_ts", now_ms), now_ms)

    def _result(self, request: Request, kind: str) -> Response:
        make = browser_results.full if kind == "browser" else api_results.full
        return self._finished(request, (kind,), self._full, lambda item: make(self._world, item))

    def _finished(self, request: Request, kinds: tuple[str, ...], made: dict[str, bytes], make: Callable[[Try], Any]) -> Response:
        found = self._find(request, *kinds)
        if isinstance(found, Response):
            return found
        result_id = request.path_params["result_id"]
        if not RESULT_ID.fullmatch(result_id):
            return _json(_MALFORMED_ID, 404)
        item = found.find(result_id)
        # A fresh result is 404 until it has finished (datadog-ci retries on it); its body was not recorded.
        if item is None or item.finish_ms > self._world.now_ms:
            return _json(_NOT_FOUND, 404)
        body = made.get(result_id)
        if body is None:
            body = made[result_id] = _bytes(make(item))
        return Response(body, media_type="application/json")

    def _row(self, item: Try) -> bytes:
        body = self._rows.get(item.result_id)
        if body is None:
            make = browser_results.row if item.spec.type == "browser" else api_results.row
            body = _bytes(make(self._world, item))
            if item.finish_ms <= self._world.now_ms:
                self._rows[item.result_id] = body
        return body


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise _RefusedError(f"Parameter '{name}' must be an integer")
    return int(text)


def _bytes(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(_bytes(document), status, media_type="application/json")
