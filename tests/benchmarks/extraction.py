"""What extraction costs beside a bare httpx loop, how much memory it takes, and how near it keeps to a rate limit.

    python -m tests.benchmarks.extraction [speed] [memory] [limits] [profile] [--requests N] [--rounds N] [--payloads N ...] [--page]

All requests go over loopback to `extraction_server`, a process of its own; payloads are Checkly test-session results as the sandbox
makes them, gzipped. The sides take turns within one run; a ratio is of CPU seconds (user + system) of this process, for the wall clock
of a machine that others use says little. `--page` puts it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import random
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from pipelines.clock import Clock, SystemClock
from pipelines.extract.client import HttpClient
from pipelines.flows.pull import pull
from pipelines.providers import load_providers
from pipelines.providers.checkly import PROVIDER as CHECKLY
from pipelines.providers.spec import RateLimit
from pipelines.settings import load_settings
from tests.benchmarks.extraction_limits import CONCURRENCY, paces
from tests.benchmarks.extraction_server import result_id, session_id
from tests.benchmarks.measure import measured_by
from tests.benchmarks.page import keep
from tests.support.clock import VirtualClock

TURN = 100
PER_SESSION = 100
NOT_BINDING = RateLimit(requests=100_000, per_s=1.0, concurrency=CONCURRENCY)
STARTED_AT = datetime(2026, 9, 12, 6, 30, tzinfo=UTC)
KEYS = {"CHECKLY_API_KEY": "cu_0123456789abcdef0123456789abcdef", "CHECKLY_ACCOUNT_ID": "438ca4a4-38a8-44ac-8cc0-2a7cdd3c8a8e"}


# ---------------------------------------------------------------------------------------------------------- the server


def templates() -> dict[str, Any]:
    """One session row, one session and many results, as the sandbox answers them."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from pipelines.sandbox.server import discover
    from pipelines.sandbox.world import World

    world = World(20, 2, datetime(2026, 9, 14, 12, tzinfo=UTC))
    module = discover()["checkly"]
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/", module.app(world))]))
    key, account = (module.env("http://127.0.0.1:1")[name] for name in KEYS)

    async def answers() -> dict[str, Any]:
        headers = {"authorization": f"Bearer {key}", "x-checkly-account": account}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1", headers=headers) as client:
            found: dict[str, Any] = {"results": []}
            for row in (await client.get("/v1/test-sessions", params={"limit": "100"})).json()["entries"]:
                session = (await client.get(f"/v1/test-sessions/{row['id']}")).json()
                if session["status"] == "RUNNING" or not session["results"]:
                    continue
                found["row"], found["session"] = row, session
                for each in session["results"]:
                    result = (await client.get(f"/v1/test-sessions/{row['id']}/results/{each['testSessionResultId']}")).json()
                    found["results"].append(result)
            return found

    found = asyncio.run(answers())
    for document in (found["row"], found["session"]):
        document["startedAt"] = STARTED_AT.isoformat().replace("+00:00", "Z")
    return found


@contextmanager
def serving() -> Iterator[str]:
    """The server as a child process; yields its address."""
    command = [sys.executable, "-m", "tests.benchmarks.extraction_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(templates()) + "\n")
        child.stdin.flush()
        yield f"http://127.0.0.1:{child.stdout.readline().strip()}"
        child.stdin.close()


def paths(count: int) -> list[str]:
    """Addresses of so many results."""
    every = (divmod(number, PER_SESSION) for number in range(count))
    return [f"/v1/test-sessions/{session_id(session)}/results/{result_id(session, number)}" for session, number in every]


# ----------------------------------------------------------------------------------------------------------- the sides


@dataclass(frozen=True)
class Cost:
    """What so many requests took."""

    requests: int
    wall_s: float
    cpu_s: float


Get = Callable[[str], Awaitable[object]]


class Meter:
    """Wall clock and CPU of this process between entering and leaving."""

    def __enter__(self) -> Meter:
        self._wall, self._cpu = time.monotonic(), _cpu_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s, self.cpu_s = time.monotonic() - self._wall, _cpu_s() - self._cpu


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _all(get: Get, wanted: Iterable[str]) -> None:
    """Every path once, `CONCURRENCY` at a time."""
    waiting = iter(wanted)

    async def worker() -> None:
        for path in waiting:
            await get(path)

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Get]:
    """What anybody would write: one AsyncClient, `.json()`."""
    headers = {"authorization": f"Bearer {KEYS['CHECKLY_API_KEY']}", "x-checkly-account": KEYS["CHECKLY_ACCOUNT_ID"]}
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    async with httpx.AsyncClient(headers=headers, limits=limits, trust_env=False, timeout=30) as client:

        async def get(path: str) -> object:
            response = await client.get(url + path)
            response.raise_for_status()
            return response.json()

        yield get


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Get]:
    """HttpClient.get: own inflate with caps, strict parser, body hash, rate limiter, deadlines."""
    provider = replace(CHECKLY, rate_limit=NOT_BINDING)
    settings = {**KEYS, "CHECKLY_API_URL": url}
    async with HttpClient(provider, settings, clock=SystemClock(), rng=random.Random(1)) as client:
        yield lambda path: client.get(path, kind="results")


async def side_by_side(url: str, count: int) -> list[tuple[Cost, Cost]]:
    """The same requests by the bare loop and by ours, in turns of `TURN`: what else the machine does meets both."""
    every = paths(count)
    turns = []
    async with bare(f"{url}/1/1") as theirs, ours(f"{url}/1/1") as mine:
        for get in (theirs, mine):
            await _all(get, every[:TURN])  # connections, codecs, caches
        gc.collect()
        for number in range(0, count, TURN):
            wanted = every[number : number + TURN]
            order = [theirs, mine] if number // TURN % 2 == 0 else [mine, theirs]
            costs = {get: await _measured(get, wanted) for get in order}
            turns.append((costs[theirs], costs[mine]))
    return turns


async def _measured(get: Get, wanted: list[str]) -> Cost:
    with Meter() as meter:
        await _all(get, wanted)
    return Cost(len(wanted), meter.wall_s, meter.cpu_s)


def whole_pull(url: str, count: int, clock: Clock) -> Cost:
    """Discover, fetch, mask, compare and land the same payloads, 100 to a session."""
    sessions = -(-count // PER_SESSION)
    with TemporaryDirectory() as home:
        environ = {
            **KEYS,
            "CHECKLY_API_URL": f"{url}/{sessions}/{PER_SESSION}",
            "RESULTHOUSE_CHECKLY_RUNS": "off",
            "RESULTHOUSE_HOME": str(Path(home).resolve()),
        }
        settings = load_settings(load_providers(), environ=environ, dotenv=None)
        provider = replace(settings.providers["checkly"], rate_limit=NOT_BINDING)
        day = STARTED_AT.replace(hour=0, minute=0)
        with Meter() as meter:
            report = asyncio.run(pull(provider, settings, clock, sync_id="bench", since=day, until=day + timedelta(days=1)))
    expected = sessions * (2 + PER_SESSION)
    if report.error or report.landed != expected:
        raise RuntimeError(f"landed {report.landed} of {expected}: {report.error}")
    return Cost(report.requests, meter.wall_s, meter.cpu_s)


# ------------------------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process of its own that pulled so many payloads."""

    payloads: int
    before_mib: float
    peak_mib: float


def memory_of(url: str, count: int) -> Memory:
    """What one pull of so many payloads takes, in a child process."""
    command = [sys.executable, "-m", "tests.benchmarks.extraction", "--pull", url, "--payloads", str(count)]
    return Memory(count, *json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def _pull_alone(url: str, count: int) -> None:
    """Its clock stands still: payloads are held until `FLUSH_BYTES` are, never for less because this machine is slow."""
    whole_pull(url, PER_SESSION, VirtualClock())  # all that is imported late, and the pools of threads
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    whole_pull(url, count, VirtualClock())
    sys.stdout.write(json.dumps([before, _resident("VmHWM")]))


def _resident(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024


# --------------------------------------------------------------------------------------------------------- the report


def speed(url: str, requests: int, rounds: int) -> str:
    """The three ways as a table."""
    turns, pulls = [], []
    for _ in range(rounds):
        turns += asyncio.run(side_by_side(url, requests))
        pulls.append(whole_pull(url, requests, SystemClock()))
    ways = {
        "bare httpx loop, `.json()`": [theirs for theirs, _ in turns],
        "`HttpClient.get`": [mine for _, mine in turns],
        "whole pull: fetch, mask, compare, land": pulls,
    }
    base = _total(ways["bare httpx loop, `.json()`"])
    lines = ["| way | requests | CPU ms each | requests/s | speed by CPU | by wall clock |", "|---|--:|--:|--:|--:|--:|"]
    for way, costs in ways.items():
        one = _total(costs)
        cpu, wall = one.cpu_s / one.requests, one.wall_s / one.requests
        ratios = f"{base.cpu_s / base.requests / cpu:.2f} | {base.wall_s / base.requests / wall:.2f}"
        lines.append(f"| {way} | {one.requests} | {cpu * 1e3:.2f} | {1 / wall:.0f} | {ratios} |")
    middle = statistics.median(theirs.cpu_s / mine.cpu_s for theirs, mine in turns)
    return "\n".join(
        [*lines, "", f"`HttpClient.get` beside the bare loop, median of {len(turns)} turns: {middle:.2f} by CPU (target 0.90)."]
    )


def _total(costs: list[Cost]) -> Cost:
    return Cost(sum(one.requests for one in costs), sum(one.wall_s for one in costs), sum(one.cpu_s for one in costs))


def memory(url: str, counts: list[int]) -> str:
    """Peak memory by number of payloads as a table."""
    every = [memory_of(url, count) for count in counts]
    rows = [f"| {one.payloads} | {one.before_mib:.0f} | {one.peak_mib:.0f} |" for one in every]
    growth = ""
    if len(every) > 1:
        first, last = every[0], every[-1]
        kib = (last.peak_mib - first.peak_mib) * 1024 / (last.payloads - first.payloads)
        growth = f"\n\n{kib:.2f} KiB more per payload from {first.payloads} to {last.payloads}."
    return "\n".join(["| payloads in one pull | MiB before | MiB at most |", "|--:|--:|--:|", *rows]) + growth


def limits(url: str) -> str:
    """Requests sent beside requests allowed as a table."""
    head = ["| limit | requests | per s | measured s | sent | sent : allowed | fullest window | refused (429) |"]
    head.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    rows = [
        f"| {one.what} | {one.limit} | {one.per_s} | {one.seconds} | {one.sent} | {one.share:.3f} | {one.fullest} | {one.refused} |"
        for one in paces(f"{url}/1/1{paths(1)[0]}")
    ]
    return "\n".join([*head, *rows])


def profile(url: str, requests: int) -> str:
    """Where the CPU time of the two sides and of the whole pull goes, by module."""

    async def only(side: Callable[[str], AbstractAsyncContextManager[Get]]) -> None:
        async with side(f"{url}/1/1") as get:
            await _all(get, paths(requests))

    found = []
    for what, run in (
        ("bare", lambda: asyncio.run(only(bare))),
        ("ours", lambda: asyncio.run(only(ours))),
        ("pull", lambda: whole_pull(url, requests, SystemClock())),
    ):
        profiler = cProfile.Profile(time.process_time)
        profiler.runcall(run)
        shares: Counter[str] = Counter()
        for (file, _, _), (_, _, own_s, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined] - the stub does not know what Stats holds
            shares[_module(file)] += own_s
        whole = sum(shares.values())
        found.append(f"{what}: " + ", ".join(f"{module} {own_s / whole:.0%}" for module, own_s in shares.most_common(14)))
    return "\n\n".join(found)


def _module(file: str) -> str:
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    if "pipelines" in parts:
        return "/".join(parts[parts.index("pipelines") :])
    return "C" if file == "~" else "the standard library"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.extraction", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", default=["speed", "memory", "limits"], metavar="speed|memory|limits|profile")
    parser.add_argument("--requests", type=int, default=2_000, help="by each side in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--payloads", type=int, nargs="+", default=[10_000, 100_000], help="of the pulls whose memory is measured")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--pull", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pull:
        _pull_alone(given.pull, given.payloads[0])
        return
    parts = {
        "speed": lambda url: speed(url, given.requests, given.rounds),
        "memory": lambda url: memory(url, given.payloads),
        "limits": limits,
        "profile": lambda url: profile(url, given.requests),
    }
    stamp = measured_by(f"python -m tests.benchmarks.extraction {' '.join(given.parts)}", ["httpx", "httpcore", "simplejson", "pyarrow"])
    said = {}
    with serving() as url:
        for part in given.parts:
            said[part] = parts[part](url)
            sys.stdout.write(f"### {part}\n\n{said[part]}\n\n")
            sys.stdout.flush()
    if given.page:
        keep("extraction", {**stamp, "parts": said})


if __name__ == "__main__":
    main()
