"""A provider's API in a simulated life: a sandbox's own app below the real client, behind a network that fails and a provider that
changes and forgets what it has said. No socket, no real waiting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import httpx
from starlette.applications import Starlette

from pipelines.sandbox.server import discover
from pipelines.sandbox.world import World
from tests.support.clock import START, VirtualClock

_OFTEN, _NEWBORN = frozenset(("4ag-487-f3u", "4a3-pgq-jbz")), "wnd-j6i-m34"
"""Datadog tests of the sandbox that run so often that a life of days would be slow, and one that has runs in flight."""


class Bytes(httpx.AsyncByteStream):
    """A body that may end with an error."""

    def __init__(self, content: bytes, error: Exception | None = None) -> None:
        self._content, self._error = content, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content
        if self._error is not None:
            raise self._error


class Internet(httpx.AsyncBaseTransport):
    """A provider's API over a world that stands at the server's instant, seen through faults. Faults end with `calm`.

    Results are deleted (`delete`), some end as failed before they end well, with a retry, and definitions are edited. `skew` is how far the
    servers' clock is ahead. `left` names requests whose last answer in this sync was a fault, `gone` entities that this sync was told are
    not there, `has_refused` says that the key was refused in it. What is not there of a session that is `running` is not there yet. `said`
    is the word that was said last of each result, `restated` those of which another was said before.
    """

    def __init__(self, name: str, seed: int, clock: VirtualClock) -> None:
        self.name, self.module = name, discover()[name]
        self.rng, self.clock = Random(f"internet {seed}"), clock
        self.skew = timedelta(seconds=self.rng.choice((0, 0, 0, 45, 3_000, -3_000, 7_200)))
        self.world = World(seed, 1, clock.now() + self.skew)
        self.frozen_at: datetime | None = None
        self.faults: Counter[str] = Counter()
        self.left, self.gone, self.has_refused = set[str](), set[str](), False
        self.running = set[str]()
        self.said: dict[str, object] = {}
        self.restated = set[str]()
        self.rate = self.rng.choice((0.1, 0.3, 0.5))
        self.wrong_key = (0.0, 0.0)
        self.outages: dict[str, tuple[float, float]] = {}
        self.tests = frozenset[str]()
        self.deleted, self.lost = set[str](), set[str]()
        self.is_undisturbed = False
        clocked: dict[str, Any] = {}
        if name in ("datadog", "checkly"):
            clocked["clock"] = lambda: self.clock.now().timestamp()
        if name == "datadog":
            known = sorted({spec.public_id for spec in self.module.history.SPECS} - _OFTEN)
            self.tests = frozenset({*self.rng.sample(known, 2), _NEWBORN})
        self._app: Starlette = self.module.app(self.world, **clocked)

    def calm(self) -> None:
        """No more faults; the world stands still."""
        self._move()
        self.frozen_at = self.world.now

    def begin(self) -> None:
        """A sync begins: nothing of it has failed so far."""
        self.left, self.gone, self.has_refused = set(), set(), False

    def failed(self) -> set[str]:
        """Entities (results, runs, tests; '' for a whole list) of which this sync got no good answer in the end."""
        return self.gone | {_about(request.split("?")[0]) for request in self.left}

    def delete(self, ids: set[str], lost: set[str]) -> None:
        """The provider forgets these results. Those that are `lost` nobody has landed whole: nobody gets them any more; the others the
        undisturbed house may still read."""
        self.deleted |= ids
        self.lost |= lost
        self.faults["deleted"] += len(ids)

    def executions(self) -> list[bytes]:
        """The lines that a CI has kept by now."""
        self._move()
        found = self.module.executions(self.world) if hasattr(self.module, "executions") else []
        return [json.dumps(line).encode() for line in found]

    def _move(self) -> None:
        self.world.now = max(self.world.now, self.frozen_at or self.clock.now() + self.skew)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._move()
        fault = None if self.frozen_at else self._fault(request.url.path)
        asked = f"{request.url.path}?{request.url.query!r}"
        (self.left.discard if fault in (None, "slow") else self.left.add)(asked)
        if fault is not None:
            self.faults[fault] += 1
            self.has_refused |= fault == "wrong key"
            answer = await self._answer_oddly(fault, request)
            if answer.status_code == 404:  # says all that there is to say, even if its body is cut
                self.left.discard(asked)
        else:
            answer = await self._answer(request)
        answer.headers.setdefault("date", format_datetime(self.clock.now() + self.skew, usegmt=True))
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        """What the sandbox says, of few tests and sessions, without what was deleted and with what was not yet so."""
        path, hidden = request.url.path, self.lost if self.is_undisturbed else self.deleted
        if not hidden.isdisjoint(path.split("/")):
            if self.running.isdisjoint(path.split("/")):
                self.gone.add(_about(path))
            return _response(404, b'{"errors": ["not found"]}', {})
        answer = await httpx.ASGITransport(self._app).handle_async_request(request)
        content = await answer.aread()
        if answer.status_code == 200:
            document = self._as_of_now(path, _without(self._few(path, json.loads(content)), hidden))
            self._remember(path, document)
            content = json.dumps(document).encode()
        kept = {key: value for key, value in answer.headers.items() if key != "content-length"}
        return _response(answer.status_code, content, kept)

    def _few(self, path: str, document: Any) -> Any:
        if path == "/v1/checks":
            return document[4:6]
        if path == "/v1/test-sessions":
            return {**document, "entries": [each for each in document["entries"] if int(each["id"][:8], 16) % 6 == 0]}
        if path == "/api/v1/synthetics/tests":
            return {**document, "tests": [each for each in document["tests"] if each["public_id"] in self.tests]}
        return document

    def _as_of_now(self, path: str, document: Any) -> Any:
        """A third of the results of a list says for five hours that they failed (a lookback is six); a third of the runs that are polled
        goes on for as long, in a retry that shows when it is over; all of that is over when the world stands. Definitions are edited every
        three hours: a sync reads them changed, or as they were."""
        since = self.frozen_at or self.world.now - timedelta(hours=5)
        edited = (self.world.now - (self.world.now - START) % timedelta(hours=3)).isoformat()
        if path == "/v1/checks":
            return [{**each, "updated_at": edited} for each in document]
        if path == "/api/v1/synthetics/tests":
            return {**document, "tests": [{**each, "modified_at": edited} for each in document["tests"]]}
        if path.startswith("/v2/check-results/"):
            late = {
                each["id"] for each in document["entries"] if each["id"][0] in "01234" and datetime.fromisoformat(each["startedAt"]) > since
            }
            self.restated |= late
            return {**document, "entries": [{**each, "hasFailures": True} if each["id"] in late else each for each in document["entries"]]}
        run = document.get("test_run") if path.startswith("/test_run/") else None
        if run and run["status"] != "running" and run["id"] % 3 == 0 and datetime.fromisoformat(run["updated_at"]) > since:
            first = {key: value for key, value in run.items() if key not in ("additional_attempts", "test_video_download_url")}
            return {**document, "test_run": {**first, "status": "running"}}
        return document

    def _remember(self, path: str, document: Any) -> None:
        """What is said of results, in the words of the warehouse: the truth that no code of the house has touched."""
        if path.startswith("/v2/check-results/"):
            failed = {each["id"]: each["hasErrors"] or each["hasFailures"] for each in document["entries"]}
            self.said |= {key: "failed" if failed[key] else "passed" for key in failed}
        elif path.startswith("/v1/test-sessions/") and "/results/" not in path:
            (self.running.add if document["status"] == "RUNNING" else self.running.discard)(_about(path))
        elif path.startswith("/test_run/"):
            status = document["test_run"]["status"]
            self.said[str(document["test_run"]["id"])] = "cancelled" if status == "stopped" else status
        elif path.startswith("/api/v1/synthetics/tests/") and "results" in document:
            told = {str(each["result_id"]): each["result"].get("passed") for each in document["results"]}
            self.said |= {key: "passed" if passed else "failed" for key, passed in told.items() if passed is not None}

    def _fault(self, path: str) -> str | None:
        now = self.clock.monotonic()
        for (from_s, to_s), fault in ((self.wrong_key, "wrong key"), (self.outages.get(path, (0.0, 0.0)), "outage")):
            if from_s <= now < to_s:
                return fault
        if self.rng.random() >= self.rate:
            return None
        if self.rng.random() < 0.01:
            self.wrong_key = (now, now + self.rng.choice((600, 7_200, 40_000)))
        if self.rng.random() < 0.2:  # of one test, one run, one list
            self.outages[path] = (now, now + self.rng.choice((300, 3_600, 90_000)))
        return self.rng.choice(tuple(_ODD))

    async def _answer_oddly(self, fault: str, request: httpx.Request) -> httpx.Response:
        rng, server_now = self.rng, self.clock.now() + self.skew
        if fault == "slow":
            self.clock.advance(rng.choice((3.0, 40.0, 110.0)))
            return await self._answer(request)
        if fault == "drop":
            raise rng.choice((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout))("gone")
        if fault in ("cut", "cut without a length"):
            answer = await self._answer(request)
            content = await answer.aread()
            part = content[: rng.randrange(len(content))]
            if fault == "cut":
                return httpx.Response(answer.status_code, headers={"content-length": str(len(content))}, stream=Bytes(part))
            return httpx.Response(answer.status_code, stream=Bytes(part))
        if fault == "reset in the body":
            return httpx.Response(200, stream=Bytes(b'{"results": [', httpx.ReadError("reset")))
        status, headers, content = _ODD.get(fault, _plain(503))(rng, server_now)
        return _response(status, content, headers)


def _about(path: str) -> str:
    """The entity that a request is about; '' for a whole list."""
    last = path.removesuffix("/results").rsplit("/", 1)[-1]
    return "" if last in ("tests", "checks", "test-sessions") else last


def _without(document: Any, hidden: set[str]) -> Any:
    """A list's answer without some of its items."""
    if not isinstance(document, dict) or not hidden:
        return document
    return {
        key: [each for each in value if not (isinstance(each, dict) and hidden & {str(each.get(name)) for name in _IDS})]
        if isinstance(value, list)
        else value
        for key, value in document.items()
    }


_IDS = ("id", "result_id")
_Answer = Callable[[Random, datetime], tuple[int, dict[str, str], bytes]]


def _plain(status: int, content: bytes = b'{"error": "no"}', **headers: str) -> _Answer:
    return lambda rng, now: (status, headers, content)


def _after(rng: Random, now: datetime) -> tuple[int, dict[str, str], bytes]:
    return 429, {"retry-after": str(rng.choice((0, 1, 7, 60, 299, 400, "2814, 2", "soon")))}, b""


def _after_date(rng: Random, now: datetime) -> tuple[int, dict[str, str], bytes]:
    return 429, {"retry-after": format_datetime(now + timedelta(seconds=rng.choice((-9, 5, 200))), usegmt=True)}, b""


_ODD: dict[str, _Answer] = {
    "429": _plain(429),
    "429, wait": _after,
    "429, wait until": _after_date,
    "500": _plain(500),
    "502": _plain(502, b"<html>Bad Gateway</html>"),
    "503": _plain(503),
    "504": _plain(504),
    "408": _plain(408),
    "400": _plain(400),
    "HTML": _plain(200, b"<!doctype html><title>Sign in</title>"),
    "empty": _plain(200, b""),
    "errors": _plain(200, b'{"errors": ["internal"]}'),
    "wrong key": _plain(401),
    "outage": _plain(503),
    "drop": _plain(503),
    "cut": _plain(503),
    "cut without a length": _plain(503),
    "reset in the body": _plain(503),
    "slow": _plain(200),
}


def _response(status: int, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.Response(status, headers={**headers, "content-length": str(len(content))}, stream=Bytes(content))
