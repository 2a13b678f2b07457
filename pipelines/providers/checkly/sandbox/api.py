"""Checkly's public API as the sandbox serves it: routes, auth, limits, paging and error bodies.

Sources: OpenAPI of 2026-08-18 and the API documentation. What an answer holds lives in answers.py.
"""

from __future__ import annotations

import base64
import json
import math
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.providers.checkly.sandbox import planted
from pipelines.providers.checkly.sandbox.answers import Answers
from pipelines.providers.checkly.sandbox.check_answers import check_result
from pipelines.providers.checkly.sandbox.definitions import definition
from pipelines.providers.checkly.sandbox.history import History, Session, Try
from pipelines.providers.checkly.sandbox.monitors import Monitors
from pipelines.providers.checkly.sandbox.run import JSON, iso
from pipelines.sandbox.world import World

# The documented default is 600 requests per 60 s, and 60 for lists of check results; a sync at loopback speed is let
# through unless a test says otherwise.
DEFAULT_REQUESTS_PER_MINUTE = 60_000
WINDOW_S = 60.0
# The documented body is {statusCode, error, message}; the other three were seen in the vendor's clients.
ErrorShape = Literal["full", "error_only", "code", "text"]

STATUSES = ("RUNNING", "FAILED", "PASSED", "CANCELLED")
PROVIDERS = ("GITHUB", "VERCEL", "API", "TRIGGER", "PW_REPORTER")
LIST_PARAMETERS = frozenset(
    ("from", "to", "limit", "statuses", "branches", "users", "providers", "noUsers", "nextId", "textSearch",
     "errorGroupId")
)  # fmt: skip
# Documented, but not served here: apiCheckUrlFilter, status, applyGroupSettings; hasFailures, location, fields.
CHECK_PARAMETERS = frozenset(("limit", "page", "tag", "checkType", "search"))
CHECK_RESULT_PARAMETERS = frozenset(("from", "to", "limit", "nextId", "resultType"))
CHECK_RESULTS_PATH = "/v2/check-results/"


def app(
    world: World,
    *,
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
    check_results_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
    error_shape: ErrorShape = "full",
    has_retry_after: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The API over `world`.

    error_shape is the body of a 404 or 429; has_retry_after puts Retry-After (seconds) on 429 and 408: it is not
    documented for lists, the vendor's own srebot honours it. `clock` is in seconds and only counts requests.
    """
    api = _Api(world, error_shape, has_retry_after)
    return Starlette(
        routes=[
            Route("/v1/test-sessions", api.sessions),
            Route("/v1/test-sessions/{session}", api.session),
            Route("/v1/test-sessions/{session}/completion", api.completion),
            Route("/v1/test-sessions/{session}/results/{result}", api.result),
            Route("/v1/checks", api.checks),
            Route("/v2/check-results/{check}", api.check_results),
        ],
        middleware=[
            Middleware(_Gate, api=api, requests_per_minute=requests_per_minute, clock=clock),
            Middleware(_Gate, api=api, requests_per_minute=check_results_per_minute, clock=clock, path=CHECK_RESULTS_PATH),
        ],
        exception_handlers={HTTPException: api.failed},
    )


class _Gate:
    """Auth, then the rate limit of the paths that hold `path`, before any route."""

    def __init__(self, app: ASGIApp, api: _Api, requests_per_minute: int, clock: Callable[[], float], path: str = "/") -> None:
        self._app = app
        self._api = api
        self._limit = requests_per_minute
        self._clock = clock
        self._path = path
        self._recent: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._path not in scope["path"]:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.get("authorization") != f"Bearer {planted.API_KEY}":
            return _error(401, "Bad Token")
        if headers.get("x-checkly-account") != planted.ACCOUNT_ID:
            return _error(401, "Account not found or the key has no access to it")
        now = self._clock()
        while self._recent and self._recent[0] <= now - WINDOW_S:
            self._recent.popleft()
        if len(self._recent) >= self._limit:
            oldest = self._recent[0] if self._recent else now
            wait_s = math.ceil(oldest + WINDOW_S - now)
            return self._api.refused(429, "Rate limit exceeded, retry later", wait_s)
        self._recent.append(now)
        return None


class _Api:
    def __init__(self, world: World, error_shape: ErrorShape, has_retry_after: bool) -> None:
        self._world = world
        self._history = History(world)
        self._answers = Answers(world)
        self._monitors = Monitors(world)
        self._error_shape = error_shape
        self._has_retry_after = has_retry_after

    async def sessions(self, request: Request) -> Response:
        """List, newest created first; the cursor holds the last row, so rows added meanwhile shift nothing."""
        query = _Query(request)
        limit = query.integer("limit", default=20, low=1, high=100)
        created_from, created_to = query.number("from"), query.number("to")
        statuses, providers = query.several("statuses", STATUSES), query.several("providers", PROVIDERS)
        before = query.cursor("nextId")
        rows: list[JSON] = []
        next_id: str | None = None
        for session in reversed(self._history.visible()):
            created_s = session.created_at.timestamp()
            if created_from is not None and created_s < created_from:
                break
            if created_to is not None and created_s >= created_to:
                continue
            if before is not None and (iso(session.created_at), session.id) >= before:
                continue
            if providers and session.suite.provider not in providers:
                continue
            if statuses and self._answers.status(session) not in statuses:
                continue
            entry = self._answers.entry(session)
            if not query.matches(entry):
                continue
            if len(rows) == limit:
                next_id = _cursor(rows[-1])
                break
            rows.append(entry)
        return JSONResponse({"length": len(rows), "entries": rows, "nextId": next_id})

    async def session(self, request: Request) -> Response:
        return JSONResponse(self._answers.detail(self._session(request)))

    async def completion(self, request: Request) -> Response:
        """A long poll. The world stands still while it is asked, so a running session is answered at once."""
        _Query(request, allowed=frozenset(("maxWaitSeconds",))).integer("maxWaitSeconds", default=30, low=1, high=30)
        session = self._session(request)
        if session.is_running(self._world.now):
            return _error(408, "Please retry", self._retry_after(5))
        return JSONResponse(self._answers.detail(session))

    async def result(self, request: Request) -> Response:
        session, item = self._result(request)
        return JSONResponse(self._answers.result(session, item))

    async def checks(self, request: Request) -> Response:
        """List of definitions, `page` from 1; a page after the last is empty."""
        query = _Query(request, allowed=CHECK_PARAMETERS)
        limit = query.integer("limit", default=10, low=1, high=100)
        page = query.integer("page", default=1, low=1, high=10_000)
        found = [definition(self._world, monitor) for monitor in self._monitors.by_id.values()]
        tags, types = query.several("tag"), query.several("checkType")
        text = (request.query_params.get("search") or "").lower()
        kept = [
            check
            for check in found
            if (not tags or {*tags} & {*check["tags"]}) and (not types or check["checkType"] in types) and text in check["name"].lower()
        ]
        return JSONResponse(kept[(page - 1) * limit : page * limit])

    async def check_results(self, request: Request) -> Response:
        """List of one check's results, newest start first (the order is not documented)."""
        query = _Query(request, allowed=CHECK_RESULT_PARAMETERS)
        limit = query.integer("limit", default=10, low=1, high=100)
        kind = request.query_params.get("resultType", "FINAL")
        if kind not in ("FINAL", "ATTEMPT", "ALL"):
            raise _bad_request("resultType", "must be one of [FINAL, ATTEMPT, ALL]")
        key = _uuid(request, "check", "checkId")
        if key not in self._monitors.by_id:
            raise HTTPException(404, "Check not found")
        from_s, to_s = query.number("from"), query.number("to")
        window = [
            default if second is None else datetime.fromtimestamp(second, UTC)
            for second, default in ((from_s, datetime.min.replace(tzinfo=UTC)), (to_s, datetime.max.replace(tzinfo=UTC)))
        ]
        before = query.cursor("nextId")
        tries = [
            each
            for each in self._monitors.results(key, *window)
            if (before is None or (iso(each.item.started_at), each.item.id) < before)
            and kind in ("ALL", "FINAL" if each.item.is_last else "ATTEMPT")
        ]
        rows = [check_result(self._world, each) for each in tries[:limit]]
        next_id = _cursor(rows[-1], "startedAt") if len(tries) > limit else None
        return JSONResponse({"length": len(rows), "entries": rows, "nextId": next_id})

    async def failed(self, request: Request, error: Exception) -> Response:
        """The body of an error raised below; a wrong method reads 404, as the vendor's framework (hapi) has it."""
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code == 400:
            return JSONResponse(json.loads(error.detail), 400)
        return self.refused(404, error.detail if error.status_code == 404 else "Not Found")

    def refused(self, status: int, message: str, wait_s: int | None = None) -> Response:
        """A 404 or 429 in the chosen shape; a 429 may carry `attributes`."""
        headers = {} if wait_s is None else self._retry_after(wait_s)
        phrase = HTTPStatus(status).phrase
        match self._error_shape:
            case "error_only":
                return JSONResponse({"error": message}, status, headers)
            case "code":
                code = "ERR_" + phrase.upper().replace(" ", "_")
                return JSONResponse({"message": message, "errorCode": code}, status, headers)
            case "text":
                return JSONResponse(message, status, headers)
        more = {} if wait_s is None else {"attributes": {"retryAfterSeconds": wait_s}}
        return _error(status, message, headers, more)

    def _retry_after(self, wait_s: int) -> dict[str, str]:
        return {"retry-after": str(wait_s)} if self._has_retry_after else {}

    def _session(self, request: Request) -> Session:
        session = self._history.find(_uuid(request, "session", "testSessionId"))
        if session is None:
            raise HTTPException(404, "Test session not found")
        return session

    def _result(self, request: Request) -> tuple[Session, Try]:
        session = self._session(request)
        result_id = _uuid(request, "result", "testSessionResultId")
        for item in self._answers.results(session):
            if item.id == result_id:
                return session, item
        raise HTTPException(404, "Test session result not found")


class _Query:
    """The query of a request, validated as documented; a parameter nobody documents is refused, so a typo shows."""

    def __init__(self, request: Request, allowed: frozenset[str] = LIST_PARAMETERS) -> None:
        self._query = request.query_params
        for name in self._query:
            if name not in allowed:
                raise _bad_request(name, "is not allowed")

    def number(self, name: str) -> float | None:
        """Unix seconds for from and to (CLI documentation)."""
        text = self._query.get(name)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError:
            raise _bad_request(name, "must be a number") from None

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.number(name)
        if value is None:
            return default
        if not value.is_integer() or not low <= value <= high:
            raise _bad_request(name, f"must be an integer from {low} to {high}")
        return int(value)

    def several(self, name: str, known: tuple[str, ...] | None = None) -> list[str]:
        values = self._query.getlist(name)
        if known is not None and any(value not in known for value in values):
            raise _bad_request(name, f"must be one of [{', '.join(known)}]")
        return values

    def cursor(self, name: str) -> tuple[str, str] | None:
        text = self._query.get(name)
        if text is None:
            return None
        try:
            created_at, session_id = json.loads(base64.urlsafe_b64decode(text.encode()))
        except (ValueError, TypeError):
            raise _bad_request(name, "is invalid") from None
        return str(created_at), str(session_id)

    def matches(self, entry: JSON) -> bool:
        """The filters on text: branches, users (noUsers adds sessions without any), textSearch, errorGroupId."""
        branches, users = self._query.getlist("branches"), self._query.getlist("users")
        if branches and entry["branchName"] not in branches:
            return False
        people = {entry["commitOwner"], (entry["invoker"] or {}).get("name")} - {None}
        if users and not (people & set(users)) and not (self._query.get("noUsers") == "true" and not people):
            return False
        group = self._query.get("errorGroupId")
        if group is not None and group not in entry["errorGroupIds"]:
            return False
        text = (self._query.get("textSearch") or "").lower()
        return text in " ".join(str(entry[key] or "") for key in ("name", "commitMessage", "branchName")).lower()


def _cursor(entry: JSON, order: str = "created_at") -> str:
    return base64.urlsafe_b64encode(json.dumps([entry[order], entry["id"]]).encode()).decode()


def _uuid(request: Request, part: str, name: str) -> str:
    text = str(request.path_params[part])
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise _bad_request(name, "must be a valid GUID", source="params") from None


def _bad_request(name: str, problem: str, source: str = "query") -> HTTPException:
    """A 400 with the `validation` object recorded in the vendor's Go SDK (gosdk BadRequest fixture)."""
    body = {
        "statusCode": 400,
        "error": "Bad Request",
        "message": f'"{name}" {problem}',
        "validation": {"source": source, "keys": [name]},
    }
    return HTTPException(400, json.dumps(body))


def _error(status: int, message: str, headers: dict[str, str] | None = None, more: JSON | None = None) -> Response:
    body = {"statusCode": status, "error": HTTPStatus(status).phrase, "message": message, **(more or {})}
    return JSONResponse(body, status, headers)
