"""Builds `marts.*` from the SELECTs in `marts/*.sql`, as `pipelines.schemas.marts` declares them. No SQL of a single mart lives here.

A mart is a table, or a view when it depends on the current time. The declaration decides names, order, types and comments; a SELECT
that gives anything else fails the build, so the dictionary is never wrong. Of a mart whose rows each come from the results of one day
only the days are built anew whose results have changed (`derive/days.sql` writes them down); the others stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import date
from pathlib import Path

import duckdb

from pipelines.errors import WarehouseError
from pipelines.schemas import Table
from pipelines.schemas.marts import BY_DAY, MARTS, VIEWS
from pipelines.warehouse.connect import transaction
from pipelines.warehouse.ddl import comment

_FOLDER = Path(__file__).parent / "marts"
_TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}

Days = Collection[date | None]


def build_marts(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring every mart up to date in one transaction of its own.

    Raises WarehouseError when a SELECT does not give the declared columns; the marts of before stand then.
    """
    with transaction(connection):
        days = _changed_days(connection)
        if days is None:
            connection.execute("DROP SCHEMA IF EXISTS marts CASCADE")
            connection.execute("CREATE SCHEMA marts")
        for table in MARTS.values():
            _build(connection, table, days)
        connection.execute("CREATE OR REPLACE TABLE stage.marts AS SELECT $fingerprint AS fingerprint", {"fingerprint": _fingerprint()})
        connection.execute("DELETE FROM stage.changed_days")


def select_of(name: str) -> str:
    """The SELECT of a mart."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").strip()


def _changed_days(connection: duckdb.DuckDBPyConnection) -> Days | None:
    """Days whose results have changed since the marts were built; None when the marts are not those of this version."""
    built = connection.execute("SELECT fingerprint FROM stage.marts").fetchall()
    if built != [(_fingerprint(),)]:
        return None
    return [day for (day,) in connection.execute("SELECT DISTINCT utc_date FROM stage.changed_days").fetchall()]


def _fingerprint() -> str:
    """Of everything that a mart is made from, but the data."""
    said = [
        (name, select_of(name), table.description, [(each, column.description, column.metadata) for each, column in table.columns.items()])
        for name, table in MARTS.items()
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _build(connection: duckdb.DuckDBPyConnection, table: Table, days: Days | None) -> None:
    select, name = select_of(table.name), table.full_name
    if days is not None and table.name in BY_DAY:
        _build_days(connection, name, select, days)
    elif days is None or table.name not in VIEWS:
        _check(connection, table, select)
        kind = "VIEW" if table.name in VIEWS else "TABLE"
        connection.execute(f"CREATE OR REPLACE {kind} {name} AS {select}")
        comment(connection, table, kind=kind)


def _build_days(connection: duckdb.DuckDBPyConnection, name: str, select: str, days: Days) -> None:
    known = ", ".join(f"DATE '{day}'" for day in days if day is not None)
    conditions = [f"utc_date IN ({known})"] if known else []  # named one by one: DuckDB then reads only what these days are made from
    conditions += ["utc_date IS NULL"] if None in days else []
    for condition in conditions:
        connection.execute(f"DELETE FROM {name} WHERE {condition}")
        connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM ({select}) WHERE {condition}")


def _check(connection: duckdb.DuckDBPyConnection, table: Table, select: str) -> None:
    given = [(str(name), _TYPES.get(sql, sql)) for name, sql, *_ in connection.execute(f"DESCRIBE {select}").fetchall()]
    declared = [(name, str(column.metadata["sql"])) for name, column in table.columns.items()]
    if given == declared:
        return
    position = next((i for i, (a, b) in enumerate(zip(given, declared, strict=False)) if a != b), min(len(given), len(declared)))
    raise WarehouseError(
        f"{table.full_name}: column {position} is {_shown(given, position)} in its SELECT"
        f" and {_shown(declared, position)} in its declaration."
    )


def _shown(columns: list[tuple[str, str]], position: int) -> str:
    return " ".join(columns[position]) if position < len(columns) else "missing"
