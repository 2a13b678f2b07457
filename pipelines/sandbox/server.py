"""One loopback HTTP server for every provider sandbox. What a provider answers lives in its own `sandbox` module.

Each `pipelines.providers.<name>.sandbox` found on the path is mounted at /<name>; beside them stand
`POST /_sandbox/advance?seconds=N` and `GET /_sandbox/executions/<name>` (JSON lines, as fed to `track NAME -`).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import math
import pkgutil
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import formatdate
from types import FrameType, ModuleType, TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

import pipelines.providers
from pipelines.sandbox.world import World

HOST = "127.0.0.1"
START_TIMEOUT_S = 15.0

Fault = Callable[[Request], Response | Awaitable[Response | None] | None]


def discover() -> dict[str, ModuleType]:
    """The sandbox module of every provider package that has one, by provider name, sorted."""
    found: dict[str, ModuleType] = {}
    for entry in pkgutil.iter_modules(pipelines.providers.__path__):
        name = f"{pipelines.providers.__name__}.{entry.name}.sandbox"
        if entry.ispkg and importlib.util.find_spec(name) is not None:
            found[entry.name] = importlib.import_module(name)
    return dict(sorted(found.items()))


class SandboxServer:
    """All provider sandboxes over one world, served from a thread while the `with` block runs.

    url: `http://127.0.0.1:PORT`; env: the settings that point a sync at it, of all providers together.
    requests: Counter keyed (provider, "METHOD /route/{path}"); faults: callables consulted in order before a
    provider's app with the Request (whole path, /<provider> included); the first Response returned is the answer.
    A fault may be async; one whose Content-Length exceeds its body makes a truncated answer and a dropped connection.
    Raises OSError when the port is taken.
    """

    def __init__(self, world: World, port: int = 0, modules: dict[str, ModuleType] | None = None) -> None:
        self.world = world
        self.requests: Counter[tuple[str, str]] = Counter()
        self.faults: list[Fault] = []
        self._modules = discover() if modules is None else modules
        self._apps: dict[str, Starlette] = {name: module.app(world) for name, module in self._modules.items()}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self.env: dict[str, str] = {}
        for name, module in self._modules.items():
            self.env.update(module.env(f"{self.url}/{name}"))
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                log_level="critical",
                access_log=False,
                lifespan="off",
                interface="asgi3",
                proxy_headers=False,
                ws="none",
                server_header=False,
                date_header=False,  # the world's, see `_answer`
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._run, name="resulthouse-sandbox", daemon=True)

    def executions(self, provider: str) -> list[dict[str, Any]]:
        """What a CI would have kept of `provider` by the world's now; empty for one that can be listed.

        KeyError for a provider without a sandbox.
        """
        kept = getattr(self._modules[provider], "executions", None)
        return [] if kept is None else list(kept(self.world))

    def __enter__(self) -> Self:
        self._thread.start()
        waiter = threading.Event()
        for _ in range(int(START_TIMEOUT_S / 0.005)):
            if self._server.started:
                return self
            if not self._thread.is_alive():
                break
            waiter.wait(0.005)
        self.close()
        raise RuntimeError(f"the sandbox did not come up on {self.url}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; safe to call twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(START_TIMEOUT_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self.world.now.timestamp(), usegmt=True)
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date.encode())]}
            await send(message)

        await self._dispatch(scope, receive, dated)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, name, *rest = scope["path"].split("/", 2)
        if name == "_sandbox":
            await self._control(Request(scope, receive), rest[0] if rest else "")(scope, receive, send)
            return
        app = self._apps.get(name)
        if app is None:
            await PlainTextResponse(f"no such provider; there are {', '.join(self._apps)}\n", 404)(scope, receive, send)
            return
        # Starlette keeps the full path and takes the mount prefix from root_path.
        inner = dict(scope, root_path=f"/{name}")
        self.requests[name, f"{scope['method']} {_route(app, inner)}"] += 1
        for fault in self.faults:
            outcome = fault(Request(scope, receive))
            response = await outcome if inspect.isawaitable(outcome) else outcome
            if response is not None:
                await response(scope, receive, send)
                return
        await app(inner, receive, send)

    def _control(self, request: Request, path: str) -> Response:
        verb, _, provider = path.partition("/")
        if verb == "advance" and request.method == "POST":
            try:
                seconds = float(request.query_params.get("seconds", ""))
                if not math.isfinite(seconds):
                    raise ValueError
                self.world.advance(timedelta(seconds=seconds))
            except (ValueError, OverflowError):
                return PlainTextResponse("seconds must be a number, zero or more\n", 400)
            return JSONResponse({"now": self.world.now.isoformat()})
        if verb == "executions" and request.method == "GET" and provider in self._modules:
            lines = "".join(json.dumps(item) + "\n" for item in self.executions(provider))
            return Response(lines, media_type="application/x-ndjson")
        return PlainTextResponse("POST /_sandbox/advance?seconds=N or GET /_sandbox/executions/<provider>\n", 404)


def _route(app: Starlette, scope: Scope) -> str:
    for route in app.routes:
        if route.matches(scope)[0] is Match.FULL:
            return str(getattr(route, "path", ""))
    return "(no route)"


def serve(world: World, port: int = 0) -> SandboxServer:
    """A server of every provider's sandbox, to be used with `with`; port 0 takes a free one."""
    return SandboxServer(world, port)


def run_forever(world: World, port: int = 0) -> int:
    """Print the settings that point a sync here on stdout, serve until SIGINT or SIGTERM, return that signal's number.

    Must be called from the main thread. Raises OSError when the port is taken.
    """
    stop = threading.Event()
    caught: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serve(world, port) as server:
            sys.stdout.write("".join(f"{key}={value}\n" for key, value in server.env.items()))
            sys.stdout.flush()
            sys.stderr.write(
                f"Sandbox on {server.url}: {world.days} days before {world.started_at:%Y-%m-%d %H:%M} UTC, "
                f"seed {world.seed}. Stop with Ctrl-C.\n"
                f"Move its time: curl -X POST '{server.url}/_sandbox/advance?seconds=3600'\n"
                f"Runs of a provider without a list: "
                f"curl {server.url}/_sandbox/executions/NAME | resulthouse track NAME -\n"
            )
            sys.stderr.flush()
            while not stop.wait(0.5):  # a signal that another thread was given is handled when this one wakes
                pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return caught[-1]
