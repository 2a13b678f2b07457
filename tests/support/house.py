"""A house in a temporary folder beside a running sandbox: what integration tests sync, load, rebuild and look into."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from pipelines.clock import Clock, SystemClock
from pipelines.flows.pull import PullReport, new_sync_id, pull
from pipelines.flows.refresh import RefreshReport, refresh
from pipelines.flows.track import track_lines
from pipelines.lake.files import make_folder
from pipelines.providers import load_providers
from pipelines.sandbox.server import SandboxServer
from pipelines.settings import Settings, load_settings
from pipelines.warehouse.connect import open_published

SEEN = {"first_seen_at", "last_seen_at", "resolved_at"}


HOUSES: list[House] = []
"""Every house that a test has built: what `tests/conftest.py` checks when the test is over."""


@dataclass
class House:
    """Settings of one home, and the steps as functions."""

    home: Path
    server: SandboxServer | None
    only: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    is_damaged: bool = False
    """Set by a test that breaks the folder on purpose: what is broken is then no surprise."""

    def __post_init__(self) -> None:
        HOUSES.append(self)

    @property
    def settings(self) -> Settings:
        """The settings that point at the sandbox."""
        environ = {**(self.server.env if self.server else {}), "RESULTHOUSE_HOME": str(self.home), **self.environ}
        return load_settings(load_providers(), environ=environ, dotenv=None)

    def track(self) -> None:
        """Register what a CI would have kept of the providers without a list endpoint."""
        assert self.server is not None
        for name, provider in self.settings.providers.items():
            if provider.is_tracked and (not self.only or name in self.only):
                lines = [json.dumps(line).encode() for line in self.server.executions(name)]
                track_lines(provider, self.settings, lines, self.clock, "track")

    def pull(self, **window: datetime) -> dict[str, PullReport]:
        """Pull every provider into the lake."""
        settings, clock = self.settings, self.clock
        sync_id = new_sync_id(clock.now(), random.Random())
        return {
            name: asyncio.run(pull(provider, settings, clock, sync_id=sync_id, **window))
            for name, provider in settings.configured(self.only).items()
        }

    def refresh(self, *, rebuild: bool = False) -> RefreshReport:
        """Bring the published warehouse up to date."""
        return refresh(self.settings, self.settings.providers, self.clock, rebuild=rebuild)

    def sync(self) -> tuple[dict[str, PullReport], RefreshReport]:
        """Pull, then refresh."""
        return self.pull(), self.refresh()

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a statement on the published warehouse."""
        connection = open_published(self.settings.warehouse)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def hashes(self, schemas: Iterable[str] = ("core", "marts")) -> dict[str, str]:
        """A hash of the rows of every table, whatever their order."""
        return table_hashes(self.settings.warehouse, tuple(schemas))


def table_hashes(path: Path, schemas: tuple[str, ...]) -> dict[str, str]:
    """Table name -> hash of its rows, sorted; views are left out, they depend on the time."""
    connection = open_published(path)
    try:
        names = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE list_contains(?, schema_name) ORDER BY ALL",
            [list(schemas)],
        ).fetchall()
        return {f"{schema}.{name}": _table_hash(connection, schema, name) for schema, name in names}
    finally:
        connection.close()


def _table_hash(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    columns = [row[0] for row in connection.execute(f"DESCRIBE {schema}.{name}").fetchall() if row[0] not in SEEN]
    listed = ", ".join(f'"{column}"' for column in columns)
    rows = connection.execute(f"SELECT {listed} FROM {schema}.{name}").fetchall()
    digest = hashlib.sha256()
    for row in sorted(map(repr, rows)):
        digest.update(row.encode())
    return f"{len(rows)}:{digest.hexdigest()[:16]}"


def load_in_steps(house: House, target: House, parts: Callable[[list[Path]], list[list[Path]]]) -> None:
    """Copy the lake's raw files into another home in several steps, loading after each."""
    source = Path(house.settings.lake)
    for part in parts(sorted((source / "raw").rglob("*.parquet"))):
        for path in part:
            place = Path(target.settings.lake) / path.relative_to(source)
            make_folder(place.parent)
            shutil.copy2(path, place)
        target.refresh()
