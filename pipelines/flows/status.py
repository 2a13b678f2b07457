"""What the lake knows of each provider, for `resulthouse status`. Reads files only: no request, nothing is written.

What was loaded of it comes from the ledger of the published warehouse, where there is one; without one all is pending.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.clock import Clock
from pipelines.errors import LakeError, SettingsError, WarehouseError
from pipelines.lake.history import Coverage, read_history, read_syncs
from pipelines.lake.store import Lake
from pipelines.providers.spec import Provider
from pipelines.settings import Settings
from pipelines.warehouse.connect import DuckError, open_published, rows

BEHIND_FOR = timedelta(days=7)
"""A scope whose coverage ends earlier than the others' is a hole for so long; after that its test was deleted."""


@dataclass(frozen=True)
class Hole:
    """A span of time of one scope that was not listed yet."""

    endpoint: str
    scope: str
    from_at: datetime
    to_at: datetime


@dataclass
class ProviderStatus:
    """One provider. Counts are payload versions, but `open` and `detail_pending` (entities) and `refused` (bodies and failed tries).

    landed = loaded + superseded + rejected + pending, the first two together being what the warehouse holds. `lag_s`: seconds since
    something landed last. `problem`: why the settings cannot be used.
    """

    configured: bool = False
    problem: str | None = None
    last_sync: dict[str, Any] | None = None
    landed: int = 0
    pending: int = 0
    rejected: int = 0
    refused: int = 0
    open: int = 0
    detail_pending: int = 0
    coverage_from_at: datetime | None = None
    coverage_to_at: datetime | None = None
    holes: list[Hole] = field(default_factory=list)
    last_landed_at: datetime | None = None
    lag_s: float | None = None
    damaged: list[str] = field(default_factory=list)


def read_status(settings: Settings, providers: Mapping[str, Provider], clock: Clock) -> dict[str, ProviderStatus]:
    """The status of every provider. An absent lake or warehouse is fine. Raises SettingsError, LakeError."""
    lake, now = Lake(settings.lake, settings.home), clock.now()
    ledger, syncs = _ledger(settings), read_syncs(lake)
    return {name: _provider_status(settings, lake, provider, now, ledger, syncs) for name, provider in providers.items()}


def _provider_status(
    settings: Settings, lake: Lake, provider: Provider, now: datetime, ledger: Mapping[str, int], syncs: pl.DataFrame
) -> ProviderStatus:
    history = read_history(lake, provider, now, settings.review, lambda run_id: None)
    status = ProviderStatus(
        landed=sum(history.counts().values()),
        refused=history.refused,
        open=history.open_count(),
        damaged=list(history.damaged),
    )
    try:
        status.configured = settings.is_configured(provider)
    except SettingsError as error:
        status.problem = str(error)
    for last in syncs.filter(provider=provider.name).sort("started_at", "sync_id").tail(1).to_dicts():
        status.detail_pending = last["detail_pending"] or 0
        status.last_sync = {name: last[name] for name in last if name not in ("provider", "open", "detail_pending")}
    for file in history.files:
        if file.name in ledger:
            status.rejected += ledger[file.name]
        elif file.name not in history.damaged:
            try:
                status.pending += lake.read_raw(file, ("entity_id",)).num_rows
            except LakeError:
                status.damaged.append(file.name)
    coverage = history.coverage()
    if coverage:
        status.coverage_from_at = min(each.from_at for each in coverage)
        status.coverage_to_at = max(each.to_at for each in coverage)
        status.holes = list(_holes(coverage))
    landed = (history.last_landed_at(endpoint.name) for endpoint in provider.endpoints)
    status.last_landed_at = max(filter(None, landed), default=None)
    if status.last_landed_at is not None:
        status.lag_s = round((now - status.last_landed_at).total_seconds(), 1)
    return status


def _ledger(settings: Settings) -> dict[str, int]:
    """Rejected versions by raw file, of every file that the published warehouse was loaded from."""
    if not settings.warehouse.exists():
        return {}
    try:
        connection = open_published(settings.warehouse)
        try:
            found = rows(connection, "SELECT raw_file, rejected FROM meta.loads")
        finally:
            connection.close()
    except (WarehouseError, DuckError):  # damaged, or of someone else: the next sync replaces it, so all is pending
        return {}
    return {str(row["raw_file"]): int(str(row["rejected"])) for row in found}


def _holes(coverage: list[Coverage]) -> Iterator[Hole]:
    newest: dict[str, datetime] = {}
    for each in coverage:
        newest[each.endpoint] = max(each.to_at, newest.get(each.endpoint, each.to_at))
    for each in coverage:
        for from_at, to_at in each.holes:
            yield Hole(each.endpoint, each.scope, from_at, to_at)
        if timedelta(0) < newest[each.endpoint] - each.to_at < BEHIND_FOR:
            yield Hole(each.endpoint, each.scope, each.to_at, newest[each.endpoint])
