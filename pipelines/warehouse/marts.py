"""Builds `marts.*` from the SELECTs in `marts/*.sql`, as `pipelines.schemas.marts` declares them. No SQL of a single mart lives here.

A mart is a table, or a view when it depends on the current time. The declaration decides names, order, types and comments; a SELECT
that gives anything else fails the build, so the dictionary is never wrong. Of a mart whose rows each come from the results of one day, of
one test or of one run, only those are built anew whose results have changed (`derive/changes.sql` writes them down); the others stand. Such
a SELECT reads what its rows come from as `part`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from pipelines.errors import WarehouseError
from pipelines.schemas import Table
from pipelines.schemas.marts import BY_DAY, BY_RUN, BY_TEST, MARTS, VIEWS
from pipelines.warehouse.connect import literal, one_thread, transaction
from pipelines.warehouse.ddl import comment

_FOLDER = Path(__file__).parent / "marts"
_TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}

_PARTS = {**dict.fromkeys(BY_DAY, "utc_date"), **dict.fromkeys(BY_TEST, "test_id"), **dict.fromkeys(BY_RUN, "run_key")}
_CHANGED = {"utc_date": "stage.changed", "test_id": "stage.changed", "run_key": "stage.changed_runs"}
_PART = re.compile(r"(?<=^WITH part AS NOT MATERIALIZED \(\n)    FROM ([\w.]+)$", re.MULTILINE)
"""What a SELECT in parts is made from."""

_MOST_PARTS = 500
"""Days, tests or runs above which a mart is built as a whole: soon cheaper than to name them all."""

_ROWS_AT_ONCE = 100_000
"""Rows from which so much of a mart is made at a time when it is built as a whole: what joins and sorts hold grows with them."""

Changed = Mapping[str, Sequence[str] | None]
"""By column: conditions, no two of which are true of one row, of days, tests or runs with changed results; None when these are too many."""


def build_marts(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring every mart up to date in one transaction of its own.

    Raises WarehouseError when a SELECT does not give the declared columns; the marts of before stand then.
    """
    with one_thread(connection), transaction(connection):  # in two of two cores it takes as long, and twice the CPU
        changed = _changed(connection)
        if changed is None:
            connection.execute("DROP SCHEMA IF EXISTS marts CASCADE")
            connection.execute("CREATE SCHEMA marts")
        for table in MARTS.values():
            _build(connection, table, changed)
        connection.execute("CREATE OR REPLACE TABLE stage.marts AS SELECT $fingerprint AS fingerprint", {"fingerprint": _fingerprint()})
        for name in set(_CHANGED.values()):
            connection.execute(f"DELETE FROM {name}")


def select_of(name: str) -> str:
    """The SELECT of a mart."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").strip()


def _changed(connection: duckdb.DuckDBPyConnection) -> Changed | None:
    """What has changed since the marts were built; None when the marts are not those of this version."""
    built = connection.execute("SELECT fingerprint FROM stage.marts").fetchall()
    if built != [(_fingerprint(),)]:
        return None
    return {column: _any_of(connection, column, name) for column, name in _CHANGED.items()}


def _any_of(connection: duckdb.DuckDBPyConnection, column: str, name: str, where: str = "true") -> list[str] | None:
    """Conditions that name every value of a column of `stage.changed` or `stage.changed_runs`; None when these are too many."""
    found = connection.execute(f"SELECT DISTINCT {column} FROM {name} WHERE {where} ORDER BY ALL").fetchall()
    if len(found) > _MOST_PARTS:
        return None
    # as text: of every value that it is given DuckDB's client asks whether it is one of pandas', and looks for pandas each time
    known = [literal(str(value)) for (value,) in found if value is not None]
    # named one by one, and between which they lie: DuckDB then reads of the other columns only what these are made from
    any_of = [f"{column} IN ({', '.join(known)}) AND {column} BETWEEN {known[0]} AND {known[-1]}"] if known else []
    if len(found) == len(known):
        return any_of
    if column == "utc_date" and (undated := _any_of(connection, "test_id", name, "utc_date IS NULL")):
        return any_of + [f"utc_date IS NULL AND {each}" for each in undated]  # of other tests there may be many
    return [*any_of, f"{column} IS NULL"]


def _fingerprint() -> str:
    """Of everything that a mart is made from, but the data."""
    said = [
        (name, select_of(name), table.description, [(each, column.description, column.metadata) for each, column in table.columns.items()])
        for name, table in MARTS.items()
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _build(connection: duckdb.DuckDBPyConnection, table: Table, changed: Changed | None) -> None:
    select, name, column = select_of(table.name), table.full_name, _PARTS.get(table.name)
    parts = None if changed is None or column is None else changed[column]
    if parts is not None:
        _build_parts(connection, name, select, parts)
    elif changed is None or table.name not in VIEWS:
        _check(connection, table, select)
        kind = "VIEW" if table.name in VIEWS else "TABLE"
        if column is None:
            connection.execute(f"CREATE OR REPLACE {kind} {name} AS {select}")
        else:
            connection.execute(f"CREATE OR REPLACE {kind} {name} AS {_narrowed(select, 'false')}")
            _build_ranges(connection, name, select, column)
        comment(connection, table, kind=kind)


def _build_parts(connection: duckdb.DuckDBPyConnection, name: str, select: str, parts: Sequence[str]) -> None:
    if parts:
        connection.execute(f"DELETE FROM {name} WHERE {' OR '.join(parts)}")
        connection.execute(f"INSERT INTO {name} BY NAME {_narrowed(select, *parts)}")


def _build_ranges(connection: duckdb.DuckDBPyConnection, name: str, select: str, column: str) -> None:
    source = _source(select)
    ranges = connection.execute(
        f"SELECT min({column}), max({column}) FROM (SELECT {column}, (sum(count(*)) OVER (ORDER BY {column})) // $rows AS part"
        f" FROM {source} WHERE {column} IS NOT NULL GROUP BY {column}) GROUP BY part ORDER BY ALL",
        {"rows": _ROWS_AT_ONCE},
    ).fetchall()
    for values in ranges:
        connection.execute(f"INSERT INTO {name} BY NAME {_narrowed(select, f'{column} BETWEEN ? AND ?')}", values)
    connection.execute(f"INSERT INTO {name} BY NAME {_narrowed(select, f'{column} IS NULL')}")


def _source(select: str) -> str:
    """The table that a part of a mart is made from."""
    named = _PART.findall(select)
    if len(named) != 1:
        raise WarehouseError("The SELECT of a mart that is built in parts must say once what a part of it is made from.")
    return str(named[0])


def _narrowed(select: str, *parts: str) -> str:
    """A mart's SELECT over those rows only. A condition around it would not do: what windows and joins read is not less for it.

    Parts one by one and no `OR`: with that DuckDB would read of all rows all that is asked of these.
    """
    _source(select)
    return _PART.sub(lambda found: "\n    UNION ALL\n".join(f"{found[0]} WHERE {part}" for part in parts), select)


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
