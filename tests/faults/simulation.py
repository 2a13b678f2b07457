"""One seed = one life of a lake: a provider's world that moves, a clock, faults of network and provider, kills, sync times, their order.

`live(seed, folder)` lets it happen until the faults are over and nothing is left to fetch; beside it stands a lake that met the same world
only then, once. `Street` loads the lakes of many lives into one warehouse. No real waiting and no socket: the sandboxes' own ASGI apps
answer below the real client. A kill is a moment (`tests.faults.crash`) from which on nothing more reaches the disk.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from pipelines.flows.pull import PullReport, pull
from pipelines.flows.status import read_status
from pipelines.flows.track import track_lines
from pipelines.lake.files import make_folder
from pipelines.lake.history import read_history
from pipelines.lake.store import Lake
from pipelines.providers.docketqa.sandbox import groups
from pipelines.providers.spec import Provider
from pipelines.sandbox.server import discover
from pipelines.sandbox.world import World
from tests.faults.crash import watched
from tests.support.checker import violations
from tests.support.clock import START, VirtualClock
from tests.support.house import House

NAMES = ("applitools", "checkly", "datadog", "docketqa")
QUIET_SYNCS = 12
"""At most so many syncs after the last fault until nothing is left to fetch."""

_ORIGIN = "http://127.0.0.1:1"
_OFTEN, _NEWBORN = frozenset(("4ag-487-f3u", "4a3-pgq-jbz")), "wnd-j6i-m34"
"""Datadog tests of the sandbox that run so often that a life of days would be slow, and one that has runs in flight."""


class Killed(BaseException):
    """Nothing runs after it: no handler of the house takes it for an error."""


@dataclass
class Kill:
    """Raises at the n-th moment and at every later one, so that what cleans up changes nothing either.

    Without `in_requests` only what is done to files and the warehouse counts: most of it comes at the end.
    """

    countdown: int
    in_requests: bool = True
    moment: str | None = None

    def __call__(self, name: str) -> None:
        self.countdown -= self.in_requests or name != "after a request"
        if self.countdown < 0:
            self.moment = self.moment or name
            raise Killed(name)


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

    `skew` is how far the servers' clock is ahead. `left` names requests whose last answer in this sync was a fault.
    """

    def __init__(self, name: str, seed: int, clock: VirtualClock) -> None:
        self.name, self.module = name, discover()[name]
        self.rng, self.clock = Random(f"internet {seed}"), clock
        self.skew = timedelta(seconds=self.rng.choice((0, 0, 0, 45, 3_000, -3_000, 7_200)))
        self.world = World(seed, 1, clock.now() + self.skew)
        self.frozen_at: datetime | None = None
        self.faults: Counter[str] = Counter()
        self.left: set[str] = set()
        self.rate = self.rng.choice((0.1, 0.3, 0.5))
        self.wrong_key = (0.0, 0.0)
        self.outages: dict[str, tuple[float, float]] = {}
        self.tests = frozenset[str]()
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
        (self.left.discard if fault in (None, "slow") else self.left.add)(f"{request.url.path}?{request.url.query!r}")
        if fault is not None:
            self.faults[fault] += 1
            answer = await self._answer_oddly(fault, request)
        else:
            answer = await self._answer(request)
        answer.headers.setdefault("date", format_datetime(self.clock.now() + self.skew, usegmt=True))
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        """What the sandbox says, of few tests and sessions."""
        answer = await httpx.ASGITransport(self._app).handle_async_request(request)
        content = await answer.aread()
        path = request.url.path
        if path in ("/api/v1/synthetics/tests", "/v1/checks", "/v1/test-sessions") and answer.status_code == 200:
            content = json.dumps(self._few(path, json.loads(content))).encode()
        kept = {key: value for key, value in answer.headers.items() if key != "content-length"}
        return _response(answer.status_code, content, kept)

    def _few(self, path: str, document: Any) -> Any:
        if path == "/v1/checks":
            return document[4:6]
        if path == "/v1/test-sessions":
            return {**document, "entries": [each for each in document["entries"] if int(each["id"][:8], 16) % 6 == 0]}
        return {**document, "tests": [each for each in document["tests"] if each["public_id"] in self.tests]}

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


@dataclass
class Life:
    """A house beside one moving world. `said` is what became of it, `broken` the promises that it broke."""

    seed: int
    name: str
    folder: Path
    syncs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(f"life {self.seed}")
        self.clock = VirtualClock(START + timedelta(hours=self.seed % 24, minutes=self.seed % 60))
        self.net = Internet(self.name, self.seed, self.clock)
        self.house = self._built("disturbed", self.clock)
        self.truth = self._built("undisturbed", self.clock)
        self._lines = 0
        self._is_told = False

    def _built(self, name: str, clock: VirtualClock) -> House:
        return House(self.folder / name, None, environ=self.net.module.env(_ORIGIN), clock=clock)

    @property
    def provider(self) -> Provider:
        """Whose life it is."""
        return self.house.settings.providers[self.name]

    # --- what happens --------------------------------------------------------------------------------------

    def disturbed(self) -> None:
        """Some days with faults and kills."""
        for _ in range(self.rng.choice((1, 2, 3))):
            self.clock.advance(self.rng.choice((60, 900, 4_000, 11_000, 30_000, 90_000)))
            lines = self.net.executions()
            until = self.rng.randint(self._lines, len(lines))
            self._track(self.house, lines[self._lines : until])
            self._lines = until
            self._pull()

    def until_nothing_is_left(self) -> None:
        """The faults are over and the world stands: sync until nothing new comes. The first sync is of the next day: what has run for
        more than a day is asked for once a day."""
        self.net.calm()
        self._track(self.house, self.net.executions())
        for turn in range(QUIET_SYNCS):
            self.clock.advance(86_400 if turn == 0 else 1_800)
            report = self._pulled()
            if turn and not (report.landed or report.error or report.detail_pending):
                return
        self.broken.append(f"not at rest after {QUIET_SYNCS} quiet syncs: {report}")

    def undisturbed(self) -> None:
        """The other house syncs the standing world once, with the same mask key."""
        private = self.truth.home / "private"
        private.mkdir(parents=True, mode=0o700)
        shutil.copy2(self.house.home / "private" / "mask.key", private)
        self._track(self.truth, self.net.executions())
        report = self._pull_in(self.truth, "undisturbed")
        if report.error or report.detail_pending or not report.landed:
            self.broken.append(f"the undisturbed house: {report}")

    def compare(self) -> None:
        """Both lakes hold the same newest version of the same entities; as much stays open; nothing is damaged or uncovered."""
        ours, truth = newest(self.house), newest(self.truth)
        for place in sorted(ours.keys() | truth.keys()):
            if ours.get(place) != truth.get(place):
                self.broken.append(f"{place}: {ours.get(place)}, undisturbed {truth.get(place)}")
        now = self.clock.now()
        histories = [
            read_history(Lake(house.settings.lake), self.provider, now, house.settings.review, lambda run: None)
            for house in (self.house, self.truth)
        ]
        if histories[0].open_count() != histories[1].open_count():
            self.broken.append(f"{histories[0].open_count()} open, undisturbed {histories[1].open_count()}")
        self.broken += [f"not covered: {each}" for each in histories[0].coverage() if each.holes]
        self.broken += [f"damaged: {name}" for name in histories[0].damaged]

    # --- steps ---------------------------------------------------------------------------------------------

    def _track(self, house: House, lines: list[bytes]) -> None:
        if lines:
            report = track_lines(self.provider, house.settings, lines, self.clock, "track")
            assert report.errors == []

    def _pull_in(self, house: House, sync_id: str) -> PullReport:
        self.net.left.clear()
        rng = Random(f"{self.seed} {sync_id}")
        return asyncio.run(pull(self.provider, house.settings, self.clock, sync_id=sync_id, transport=self.net, rng=rng))

    def _pulled(self) -> PullReport:
        self.syncs += 1
        report = self._pull_in(self.house, f"sync{self.syncs}")
        self.said.append(f"{self.clock.now():%d %H:%M:%S} {report}")
        if self.net.left and report.error is None:
            self.broken.append(f"sync {self.syncs} says no error: {sorted(self.net.left)[:3]} never got a good answer")
        if self.net.left and not self._is_told:
            self._is_told = True
            self._ask_status(report)
        return report

    def _ask_status(self, report: PullReport) -> None:
        """What failed shows in `status`."""
        status = read_status(self.house.settings, {self.name: self.provider}, self.clock)[self.name]
        shown = (status.last_sync or {}).get("error")
        if shown != report.error:
            self.broken.append(f"sync {self.syncs} says {report.error!r}, the status {shown!r}")

    def _pull(self) -> None:
        if self.rng.random() < 0.35:
            moment = killed(self.house, self._pulled, self.rng.randint(0, 40), in_requests=self.rng.random() < 0.3)
            if moment is not None:
                self.kills[moment] += 1
                self.said.append(f"{self.clock.now():%d %H:%M:%S} killed {moment}")
        else:
            self._pulled()
        settings = self.house.settings
        self.broken += [f"after sync {self.syncs}: {sentence}" for sentence in violations(Path(settings.lake), settings.warehouse)]


def killed(house: House, step: Callable[[], object], after: int, *, in_requests: bool = True) -> str | None:
    """Run a step until it has passed so many moments, and nothing after that. Returns the moment; None when it had ended before."""
    kill = Kill(after, in_requests)
    try:
        with watched(house.home, kill):
            step()
    except BaseException:
        if kill.moment is None:
            raise
    return kill.moment


def newest(house: House) -> dict[tuple[str, str], str]:
    """The hash of each entity's newest landed version, by endpoint and id."""
    lake = Lake(house.settings.lake)
    columns = ("entity_id", "fetched_at", "payload_sha256")
    versions = [
        (row["fetched_at"], file.endpoint, row["entity_id"], row["payload_sha256"])
        for file in lake.raw_files()
        for row in lake.read_raw(file, columns).to_pylist()
    ]
    return {(endpoint, entity_id): sha256 for _, endpoint, entity_id, sha256 in sorted(versions)}


def live(seed: int, folder: Path, name: str = "") -> Life:
    """One life, disturbed and then at rest, beside an undisturbed one."""
    life = Life(seed, name or NAMES[seed % len(NAMES)], folder)
    with pytest.MonkeyPatch.context() as patch:
        for first in ("_GROUP_ID", "_RUN_ID", "_TRIGGERED_GROUP_ID", "_TRIGGERED_RUN_ID"):
            # no provider gives an id twice; in this sandbox every world has the same ones
            patch.setattr(groups, first, getattr(groups, first) + 100_000 * seed)
        try:
            life.disturbed()
            life.until_nothing_is_left()
            life.undisturbed()
            life.compare()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a broken promise of this seed
            life.broken.append(f"{type(error).__name__}: {error}")
            life.said += traceback.format_exception(error)
    return life


class Street:
    """The lakes of many lives side by side in one lake, disturbed and undisturbed, each with its warehouse.

    Ids are of one world each, but Datadog's tests: every world has the same, so their definitions are compared in the lives only.
    """

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        self.name, self.rng = name, Random(f"street {seed}")
        self.house, self.truth = House(folder / "disturbed", None), House(folder / "undisturbed", None)
        self.kills: Counter[str] = Counter()

    def move_in(self, life: Life) -> None:
        """Take what a life has left."""
        for source, target in ((life.house, self.house), (life.truth, self.truth)):
            raw = Path(source.settings.lake) / "raw"
            for path in raw.rglob("*.parquet"):
                place = Path(target.settings.lake) / "raw" / path.relative_to(raw)
                make_folder(place.parent)
                path.replace(place)

    def refresh(self) -> list[str]:
        """Load what has come, with a kill on the way. Returns what is broken then."""
        moment = killed(self.house, self.house.refresh, self.rng.randint(0, 350))
        if moment is not None:
            self.kills[moment] += 1
        return violations(Path(self.house.settings.lake), self.house.settings.warehouse)

    def differences(self) -> list[str]:
        """What differs in core, marts and drift of both, by column; columns that say when something was fetched or seen are left out."""
        self.house.refresh()
        self.truth.refresh()
        found = _differences(self.house, self.truth)
        return [f"{table}.{column}" for table, column in found if (table, self.name) != ("core.tests", "datadog")]


_WHEN = {"fetched_at", "valid_from_at", "valid_to_at", "test_valid_from_at", "first_seen_at", "last_seen_at"}


def _differences(house: House, truth: House) -> Iterator[tuple[str, str]]:
    """Places that differ. `core.tests` is compared by its current versions: who comes later has seen fewer of the others."""
    names = truth.ask(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name IN ('core', 'marts') OR table_name = 'drift' ORDER BY ALL"
    )
    for schema, name in names:
        table = f"{schema}.{name}"
        columns = [str(row[0]) for row in truth.ask(f"DESCRIBE {table}") if row[0] not in _WHEN]
        listed, where = ", ".join(f'"{column}"' for column in columns), "WHERE is_current" if name == "tests" else ""
        ours, theirs = (sorted(each.ask(f"SELECT {listed} FROM {table} {where}"), key=repr) for each in (house, truth))
        if len(ours) != len(theirs):
            yield table, f"{len(ours)} rows, undisturbed {len(theirs)}"
        elif ours != theirs:
            for column, one, other in zip(columns, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
                if one != other:
                    yield table, column
