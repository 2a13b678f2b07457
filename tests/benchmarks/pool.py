"""The payloads that benchmarks vary: every provider's sandbox pulled into a lake by the house's own crawl, masking and landing.

No HTTP server: the sandboxes' apps answer in process. A pool depends on `SEED` and `DAYS` alone. Its members come in bundles that belong
together: a session with its results, the tries of one execution, a list row with its detail.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from pipelines.flows.pull import pull
from pipelines.flows.track import track_lines
from pipelines.lake.files import write_bytes
from pipelines.lake.store import Lake
from pipelines.providers import load_providers
from pipelines.sandbox.server import discover
from pipelines.sandbox.world import World
from pipelines.settings import load_settings
from tests.support.clock import VirtualClock

SEED, DAYS = 20, 3
NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
"""When the pool was pulled: instants of the `DAYS` before it are those that a copy moves."""

_URL = "http://127.0.0.1:1"
_MASK_KEY = b"a mask key for benchmarks, 32 b."
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![\w.])\d{3,20}(?![\w.])")
_SEQUENCE = re.compile(r'"sequenceId":"([^"]+)"')


@dataclass(frozen=True)
class Member:
    """One landed payload: the columns of the lake's raw rows that a copy starts from."""

    provider: str
    endpoint: str
    entity_id: str
    parent_id: str | None
    request_url: str | None
    payload: str
    state: str | None
    event_at: datetime | None

    @property
    def place(self) -> str:
        """`provider/endpoint`."""
        return f"{self.provider}/{self.endpoint}"


@dataclass(frozen=True)
class Pool:
    """`definitions` are single payloads that others refer to by id; `bundles` hold everything else that is final."""

    definitions: tuple[Member, ...]
    bundles: tuple[tuple[Member, ...], ...]


def make_pool(hours: float = 24 * DAYS) -> Pool:
    """Pull the last `hours` of the sandboxes (seconds)."""
    with TemporaryDirectory() as folder:
        rows = _pulled(Path(folder).resolve(), NOW - timedelta(hours=hours))
    histories = {f"{name}/{each.name}" for name, provider in load_providers().items() for each in provider.endpoints if each.keeps_history}
    members = sorted((Member(**row) for row in rows), key=lambda member: (member.place, member.entity_id))
    events = [member for member in members if member.place not in histories]
    bundles = [bundle for bundle in _bundles(events) if all(member.state != "open" for member in bundle)]
    return Pool(tuple(member for member in members if member.place in histories), tuple(bundles))


def _pulled(home: Path, since: datetime) -> list[dict[str, Any]]:
    world, modules, clock = World(SEED, max(1, math.ceil((NOW - since) / timedelta(days=1))), NOW), discover(), VirtualClock(NOW)
    environ = {"RESULTHOUSE_HOME": str(home)}
    for name, module in modules.items():
        environ |= module.env(f"{_URL}/{name}")
    providers = load_providers()
    settings = load_settings(providers, environ=environ, dotenv=None)
    app = Starlette(routes=[Mount(f"/{name}", module.app(world)) for name, module in modules.items()])
    write_bytes(home / "private" / "mask.key", _MASK_KEY)
    for name in modules:
        provider = providers[name]
        if provider.is_tracked:
            lines = [json.dumps(line).encode() for line in modules[name].executions(world)]
            track_lines(provider, settings, lines, clock, "pool")
        transport = httpx.ASGITransport(app)
        report = asyncio.run(pull(provider, settings, clock, sync_id="pool", since=since, transport=transport, rng=Random(SEED)))
        if report.error:
            raise RuntimeError(f"{name}: {report.error}")
    lake = Lake(settings.lake)
    columns = ["provider", "endpoint", "entity_id", "parent_id", "request_url", "payload", "state", "event_at"]
    return [row for file in lake.raw_files() for row in lake.read_raw(file, columns).to_pylist()]


def _bundles(members: Sequence[Member]) -> Iterable[tuple[Member, ...]]:
    """Members that name each other's ids, directly or by way of others; in the order of their first members."""
    by_id: dict[str, list[int]] = {}
    for index, member in enumerate(members):
        for token in (member.entity_id, *_SEQUENCE.findall(member.payload)):
            by_id.setdefault(token, []).append(index)
    leader = list(range(len(members)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for index, member in enumerate(members):
        for token in {member.entity_id, member.parent_id or "", *_ID.findall(member.payload)}:
            for other in by_id.get(token, ()):
                if members[other].provider == member.provider:
                    leader[find(index)] = find(other)
    groups: dict[int, list[Member]] = {}
    for index, member in enumerate(members):
        groups.setdefault(find(index), []).append(member)
    return [tuple(group) for group in groups.values()]
