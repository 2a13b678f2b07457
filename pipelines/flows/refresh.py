"""Lake -> published warehouse: opens or rebuilds the work file, loads what is new, rebuilds the marts, publishes.

The work file is disposable: one that cannot be opened, is of another format, or was loaded from another lake is rebuilt from the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from pipelines.clock import Clock
from pipelines.errors import WarehouseError
from pipelines.flows.load import LoadReport, load_new
from pipelines.flows.locks import writer_lock
from pipelines.lake import files
from pipelines.lake.history import read_coverage
from pipelines.lake.store import Lake, RawFile
from pipelines.providers.spec import Provider
from pipelines.schemas.dictionary import Sources, sources
from pipelines.schemas.marts import MARTS
from pipelines.settings import Settings
from pipelines.warehouse import ddl
from pipelines.warehouse.books import write_books, write_gaps
from pipelines.warehouse.connect import Connection, DuckError, is_damage, is_invalidated, open_work
from pipelines.warehouse.load import MEMORY_MB, is_unfinished, loaded_files, within_memory
from pipelines.warehouse.marts import build_marts
from pipelines.warehouse.publish import checkpoint, contents, publish, published_contents

Progress = Callable[[int, int], None]


@dataclass
class RefreshReport:
    """What a refresh did. `rows` counts every table of core, marts and meta, and no view.

    `changed`: the keys, by `result_key` and `run_key`, of all in which the published file differs from the one that it replaced (but for
    the version of their test that results ran as); None when that is not known, or too much.
    """

    load: LoadReport
    published: bool = False
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    changed: dict[str, set[int]] | None = None


def work_path(settings: Settings) -> Path:
    """The loader's own file, beside which nobody reads."""
    return settings.home / "work" / "warehouse.duckdb"


def refresh(
    settings: Settings,
    providers: Mapping[str, Provider],
    clock: Clock,
    *,
    rebuild: bool = False,
    progress: Progress = lambda done, total: None,
) -> RefreshReport:
    """Bring the published warehouse up to date with the lake. Publishes only when something changed.

    Raises BusyError when another run holds the writer's place for 10 minutes, WarehouseError when the file cannot be written.
    """
    with writer_lock(settings.home):
        try:
            try:
                return _refresh(settings, providers, clock, rebuild, progress, MEMORY_MB)
            except DuckError as error:
                if is_invalidated(error):
                    return _refresh(settings, providers, clock, rebuild, progress, ())
                if rebuild or not is_damage(error):
                    raise
                return _refresh(settings, providers, clock, True, progress, MEMORY_MB)
        except DuckError as error:
            raise WarehouseError(f"The warehouse could not be loaded: {str(error).splitlines()[0]}") from error


def _refresh(
    settings: Settings, providers: Mapping[str, Provider], clock: Clock, rebuild: bool, progress: Progress, bounds: Sequence[int]
) -> RefreshReport:
    lake, work = Lake(settings.lake, settings.home), work_path(settings)
    if rebuild:
        _throw_away(work)
    listed = lake.raw_files()
    connection = _open(work, listed)
    try:
        refused = [pl.DataFrame(lake.refused(name)) for name in providers]
        write_books(connection, pl.DataFrame(lake.syncs()), pl.concat(refused, how="diagonal"))
        before, published = contents(connection), published_contents(settings.warehouse)
        report = RefreshReport(load_new(connection, lake, listed, providers, clock, progress, bounds))
        if rebuild or contents(connection) != published:
            if before == published and not report.load.is_first:
                report.changed = _changed(connection, report.load.touched)
            there = lake.raw_files() if report.load.damaged else listed
            write_gaps(connection, _gaps(lake, providers, clock, there))
            within_memory(connection, partial(build_marts, connection), bounds if report.load.is_first else bounds[-1:])
            ddl.write_dictionary(connection, MARTS.values(), column_sources(providers))
            report.rows = _row_counts(connection)
            checkpoint(connection, work, bounds)
            report.bytes = publish(work, settings.warehouse, settings.publish_mode)
            report.published = True
        else:
            report.rows = _row_counts(connection)
    finally:
        connection.close()
    return report


def column_sources(providers: Mapping[str, Provider]) -> Sources:
    """Which columns come from which fields, as the providers' endpoints declare it."""
    return sources((f"{provider.name}/{each.name}", each.places) for provider in providers.values() for each in provider.endpoints)


def _open(work: Path, listed: Iterable[RawFile]) -> Connection:
    files.refuse_link(work)
    if work.exists():
        try:
            connection = open_work(work)
        except WarehouseError:
            _throw_away(work)
        else:
            # a ledger that names files the lake does not hold was loaded from another lake; one that cannot be read is damaged
            with suppress(DuckError):
                if (
                    ddl.is_current_format(connection)
                    and not is_unfinished(connection)
                    and loaded_files(connection) <= {file.name for file in listed}
                ):
                    return connection
            connection.close()
            _throw_away(work)
    connection = open_work(work)
    ddl.create_all(connection)
    return connection


def _changed(connection: Connection, touched: Mapping[str, set[int]] | None) -> dict[str, set[int]] | None:
    """What was touched, and the results that are otherwise because of that."""
    if touched is None:
        return None
    others = {key for (key,) in connection.execute("SELECT DISTINCT result_key FROM stage.changed").fetchall()}
    return {**touched, "result_key": touched["result_key"] | others}


def _gaps(lake: Lake, providers: Mapping[str, Provider], clock: Clock, listed: Sequence[RawFile]) -> pl.DataFrame:
    """Spans that no window covers, between the first and the last covered instant of each scope."""
    rows = [
        (provider.name, coverage.scope, start, end)
        for provider in providers.values()
        for coverage in read_coverage(lake, provider, clock.now(), listed)
        for start, end in coverage.holes
    ]
    instant = pl.Datetime("us", "UTC")
    columns = pl.Schema([("provider", pl.String()), ("test_id", pl.String()), ("gap_start_at", instant), ("gap_end_at", instant)])
    return pl.DataFrame(rows, schema=columns, orient="row").unique(["provider", "test_id", "gap_start_at"], maintain_order=True)


def _throw_away(work: Path) -> None:
    for path in (work, work.with_name(work.name + ".wal")):
        path.unlink(missing_ok=True)


def _row_counts(connection: Connection) -> dict[str, int]:
    """Of tables: DuckDB knows how long they are. A view would be worked out at every refresh, with all the history that it looks at."""
    tables = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
        " WHERE database_name = current_database() AND schema_name IN ('core', 'marts', 'meta') ORDER BY 1"
    ).fetchall()
    return {name: int((connection.execute(f"SELECT count(*) FROM {name}").fetchone() or (0,))[0]) for (name,) in tables}  # noqa: S608 - names from the catalogue
