"""Builds `marts.*` from the SELECTs in `marts/*.sql`, as `pipelines.schemas.marts` declares them. No SQL of a single mart lives here.

A mart is a table, or a view when it depends on the current time. The declaration decides names, order, types and comments; a SELECT
that gives anything else fails the build, so the dictionary is never wrong. Of a mart whose rows each come from one result, from those
of one day, of one test or of one run, only those are built anew that have changed (`derive/changes.sql` writes them down); the others
stand. Such a SELECT reads what its rows come from as `part`. What has to look at the whole history of a test is put together from
`stage.month_*`, which sum up its months (`months/*.sql`): a month that did not change is not read again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from pipelines.errors import WarehouseError
from pipelines.schemas import Table
from pipelines.schemas.marts import BY_DAY, BY_RESULT, BY_RUN, BY_TEST, MARTS, VIEWS
from pipelines.warehouse.connect import literal, one_thread, transaction
from pipelines.warehouse.ddl import comment

_FOLDER = Path(__file__).parent
_MONTHS = ("streaks", "steps", "assertions", "errors")
_TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}

_RANGES = {
    **dict.fromkeys(BY_RESULT | BY_DAY, "utc_date"),
    **dict.fromkeys(BY_TEST.union(_MONTHS), "test_id"),
    **dict.fromkeys(BY_RUN, "run_key"),
}
"""By which column a table is built in ranges when it is built as a whole."""

_PART = re.compile(r"^WITH part AS \(\n    FROM ([\w.]+)\n\)", re.MULTILINE)
"""What a SELECT in parts is made from."""

_MOST_PARTS = 500
"""Days, tests, months or runs above which they are not named one by one: soon cheaper to build all of them."""

_ROWS_AT_ONCE = 100_000
"""Rows from which so much of a mart is made at a time when it is built as a whole: what joins and sorts hold grows with them."""

Changed = Mapping[str, Sequence[str] | None]
"""By table: conditions, no two of which are true of one row, of its rows that have changed; None when these are too many."""


def build_marts(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring every mart up to date in one transaction of its own.

    Raises WarehouseError when a SELECT does not give the declared columns; the marts of before stand then.
    """
    with one_thread(connection), transaction(connection):  # in two of two cores it takes as long, and twice the CPU
        changed = _changed(connection)
        if changed is None:
            connection.execute("DROP SCHEMA IF EXISTS marts CASCADE")
            connection.execute("CREATE SCHEMA marts")
        for name, table in MARTS.items():
            _build(connection, table, changed)
            if name == "executions":  # of which the months are made
                for month in _MONTHS:
                    _build_table(connection, f"stage.month_{month}", _select("months", month), month, changed)
        connection.execute("CREATE OR REPLACE TABLE stage.marts AS SELECT $fingerprint AS fingerprint", {"fingerprint": _fingerprint()})
        for noted in ("stage.changed", "stage.changed_runs"):
            connection.execute(f"DELETE FROM {noted}")


def select_of(name: str) -> str:
    """The SELECT of a mart."""
    return _select("marts", name)


def select_of_all(name: str) -> str:
    """The same without `stage`, which readers do not have: with the SELECTs of the months that it is put together from."""
    return re.sub(r"\bstage\.month_(\w+)", lambda found: f"({_select('months', found[1])}\n)", select_of(name))


def _select(folder: str, name: str) -> str:
    return (_FOLDER / folder / f"{name}.sql").read_text(encoding="utf-8").strip()


def _changed(connection: duckdb.DuckDBPyConnection) -> Changed | None:
    """What has changed since the marts were built; None when the marts are not those of this version."""
    if connection.execute("SELECT fingerprint FROM stage.marts").fetchall() != [(_fingerprint(),)]:
        return None
    days = _named(connection, "utc_date", "stage.changed WHERE utc_date IS NOT NULL")
    undated = _months(connection, "stage.changed WHERE utc_date IS NULL")  # by test: there may be many
    of_days = None if days is None or undated is None else days + undated
    return {
        **dict.fromkeys(BY_RESULT, of_days and [f"{part} AND result_key IN (SELECT result_key FROM stage.changed)" for part in of_days]),
        **dict.fromkeys(BY_DAY, of_days),
        **dict.fromkeys(BY_TEST, _named(connection, "test_id", "stage.changed")),
        **dict.fromkeys(BY_RUN, _named(connection, "run_key", "stage.changed_runs")),
        **dict.fromkeys(_MONTHS, _months(connection, "stage.changed")),
    }


def _named(connection: duckdb.DuckDBPyConnection, column: str, rows: str) -> list[str] | None:
    """Conditions that name every value of a column of these rows; None when these are too many."""
    found = connection.execute(f"SELECT {column}::VARCHAR FROM {rows} GROUP BY {column} ORDER BY {column}").fetchall()
    return None if len(found) > _MOST_PARTS else _any_of(column, [value for (value,) in found])


def _any_of(column: str, values: Sequence[str | None]) -> list[str]:
    """Of sorted values. As text: of every parameter DuckDB's client asks whether it is one of pandas', and looks for pandas each time."""
    known = [literal(value) for value in values if value is not None]
    # named one by one, and between which they lie: DuckDB then reads of the other columns only what these are made from
    any_of = [f"{column} IN ({', '.join(known)}) AND {column} BETWEEN {known[0]} AND {known[-1]}"] if known else []
    return any_of + [f"{column} IS NULL"] * (len(known) < len(values))


def _months(connection: duckdb.DuckDBPyConnection, rows: str) -> list[str] | None:
    """Conditions of every month of these results, and of their tests where they are not too many; None when the months are."""
    found = connection.execute(
        "SELECT min(date_trunc('month', utc_date))::DATE::VARCHAR, max(coalesce(last_day(utc_date), utc_date))::VARCHAR,"
        f" list_sort(list(DISTINCT test_id)) FROM {rows} GROUP BY date_trunc('month', utc_date) ORDER BY 1"
    ).fetchall()
    if len(found) > _MOST_PARTS:
        return None
    conditions = []
    for first, last, tests in found:
        month = "utc_date IS NULL" if first is None else f"utc_date BETWEEN {literal(first)} AND {literal(last)}"
        of_tests = _any_of("test_id", tests) if len(tests) <= _MOST_PARTS else ["true"]
        conditions += [f"{month} AND {of_test}" for of_test in of_tests]
    return conditions


def _fingerprint() -> str:
    """Of everything that a mart is made from, but the data."""
    said = [
        (name, select_of(name), table.description, [(each, column.description, column.metadata) for each, column in table.columns.items()])
        for name, table in MARTS.items()
    ]
    return hashlib.sha256(repr([said, *(_select("months", name) for name in _MONTHS)]).encode()).hexdigest()


def _build(connection: duckdb.DuckDBPyConnection, table: Table, changed: Changed | None) -> None:
    name, select, is_whole = table.full_name, select_of(table.name), changed is None or changed.get(table.name) is None
    is_view = table.name in VIEWS
    if is_view and changed is not None:
        return
    if is_whole:
        _check(connection, table, select)
    if is_view:
        connection.execute(f"CREATE VIEW {name} AS {select}")
    else:
        _build_table(connection, name, select, table.name, changed)
    if is_whole:
        comment(connection, table, kind="VIEW" if is_view else "TABLE")


def _build_table(connection: duckdb.DuckDBPyConnection, name: str, select: str, key: str, changed: Changed | None) -> None:
    parts = None if changed is None else changed.get(key)
    if parts is None:
        _build_whole(connection, name, select, _RANGES.get(key))
    elif parts:
        connection.execute(f"DELETE FROM {name} WHERE {' OR '.join(parts)}")
        connection.execute(f"INSERT INTO {name} BY NAME {_narrowed(select, *parts, kept=True)}")


def _build_whole(connection: duckdb.DuckDBPyConnection, name: str, select: str, column: str | None) -> None:
    """At once, or in ranges of a column."""
    if column is None:
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS {select}")
        return
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS {_narrowed(select, 'false')}")
    ranges = connection.execute(
        f"SELECT min({column}), max({column}) FROM (SELECT {column}, (sum(count(*)) OVER (ORDER BY {column})) // $rows AS part"
        f" FROM {_source(select)} WHERE {column} IS NOT NULL GROUP BY {column}) GROUP BY part ORDER BY ALL",
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


def _narrowed(select: str, *parts: str, kept: bool = False) -> str:
    """A mart's SELECT over those rows only. A condition around it would not do: what windows and joins read is not less for it.

    Parts one by one and no `OR`: with that DuckDB would read of all rows all that is asked of these. `kept`: found once, and not as often
    as the SELECT says `part`; for few rows.
    """
    rows = "\n    UNION ALL\n".join(f"    FROM {_source(select)} WHERE {part}" for part in parts)
    return _PART.sub(lambda _: f"WITH part AS {'' if kept else 'NOT '}MATERIALIZED (\n{rows}\n)", select)


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
