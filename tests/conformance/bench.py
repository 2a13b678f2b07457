"""A lake in a temporary folder and a warehouse in memory: payloads land masked as by a pull, are loaded, derived and made marts.

Cheaper than a `House` (no work file, nothing published) but the same load. Nothing is checked here.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines.clock import Clock
from pipelines.flows.load import LoadReport, load_new
from pipelines.jsontext import dump
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow
from pipelines.providers.spec import Endpoint, Provider
from pipelines.warehouse.connect import memory
from pipelines.warehouse.ddl import create_all
from pipelines.warehouse.marts import build_marts
from tests.support.clock import FixedDay

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = b"k" * 32
_SEEN = {"first_seen_at", "last_seen_at", "resolved_at"}


@dataclass(frozen=True)
class Version:
    """One payload version to land, not yet masked."""

    endpoint: Endpoint
    entity_id: str
    parent_id: str | None
    document: Any
    repairs: tuple[str, ...] = ()
    minute: int = 0


def masked(redactor: Redactor, version: Version) -> RawRow:
    """The row of the lake that the version becomes."""
    document = redactor.redact(version.document, version.endpoint.tree)
    return RawRow(
        entity_id=version.entity_id,
        parent_id=version.parent_id,
        window_date=NOW.date(),
        fetched_at=NOW + timedelta(minutes=version.minute),
        http_status=200,
        request_url="",
        payload=dump(document),
        body_sha256="",
        redaction_version=REDACTION_VERSION,
        state=version.endpoint.state(document),
        repairs=json.dumps(version.repairs) if version.repairs else None,
    )


class Bench:
    """Land, load, ask. Close it, or use it in a `with`."""

    def __init__(self, provider: Provider, clock: Clock | None = None) -> None:
        self.provider = provider
        self.clock = clock or FixedDay(NOW)
        self.redactor = Redactor(KEY)
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-")
        self.lake = Lake(Path(self._folder.name))
        self.connection = memory()
        self.connection.execute("SET threads = 1")  # hundreds of small statements: threads cost more than they bring
        self.landed = 0
        create_all(self.connection)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the lake and drop the warehouse."""
        self.connection.close()
        self._folder.cleanup()

    def land(self, versions: Iterable[Version], sync_id: str = "one", *, is_apart: bool = False) -> None:
        """Mask and land versions: one file per endpoint, or `is_apart` one per version."""
        rows: dict[str, list[RawRow]] = {}
        for version in versions:
            rows.setdefault(version.endpoint.name, []).append(masked(self.redactor, version))
        for endpoint, each in rows.items():
            for part in [[row] for row in each] if is_apart else [each]:
                self.lake.land(self.provider.name, endpoint, part, sync_id)
                self.landed += len(part)

    def load(self, *, marts: bool = True) -> LoadReport:
        """Load what is new in the lake."""
        report = load_new(self.connection, self.lake, self.lake.raw_files(), {self.provider.name: self.provider}, self.clock)
        if marts:
            build_marts(self.connection)
        return report

    def ask(self, sql: str, values: Sequence[Any] | Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        return self.connection.execute(sql, values).fetchall()

    def columns(self, table: str) -> list[tuple[str, str]]:
        """Names and DuckDB types of a table."""
        return [(str(row[0]), str(row[1])) for row in self.ask(f"DESCRIBE {table}")]

    def tables(self, schema: str) -> list[str]:
        """The tables of a schema, views left out: those depend on the time."""
        return [str(row[0]) for row in self.ask("SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY 1", [schema])]

    def hashes(self) -> dict[str, str]:
        """Core, marts, rejects and drift: table -> count and hash of its rows, whatever their order and when they were seen."""
        names = [f"{schema}.{name}" for schema in ("core", "marts") for name in self.tables(schema)]
        return {name: self._hash(name) for name in [*names, "meta.rejects", "meta.drift"]}

    def _hash(self, table: str) -> str:
        # which of equal payloads a reject came from is the file's name: it holds the sync's id
        names = [f'"{name}"' for name, _ in self.columns(table) if name not in _SEEN and name != "raw_file"]
        rows = sorted(repr(row) for row in self.ask(f"SELECT {', '.join(names)} FROM {table}"))
        return f"{len(rows)}:{hashlib.sha256(chr(10).join(rows).encode()).hexdigest()[:16]}"
