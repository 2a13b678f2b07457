"""Builds `marts.*` from the SELECTs in `marts/*.sql`, as `pipelines.schemas.marts` declares them. No SQL of a single mart lives here.

A mart is a table, or a view when it depends on the current time. The declaration decides names, order, types and comments; a SELECT
that gives anything else fails the build, so the dictionary is never wrong.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.errors import WarehouseError
from pipelines.schemas import Table
from pipelines.schemas.marts import MARTS, VIEWS
from pipelines.warehouse.ddl import comment

_FOLDER = Path(__file__).parent / "marts"
_TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


def build_marts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Build every mart anew in one transaction of its own. Returns the row count of each.

    Raises WarehouseError when a SELECT does not give the declared columns; the marts of before stand then.
    """
    connection.execute("BEGIN")
    try:
        connection.execute("DROP SCHEMA IF EXISTS marts CASCADE")
        connection.execute("CREATE SCHEMA marts")
        rows = {name: _build(connection, table) for name, table in MARTS.items()}
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return rows


def select_of(name: str) -> str:
    """The SELECT of a mart."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").strip()


def _build(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    select = select_of(table.name)
    _check(connection, table, select)
    kind = "VIEW" if table.name in VIEWS else "TABLE"
    connection.execute(f"CREATE {kind} {table.full_name} AS {select}")
    comment(connection, table, kind=kind)
    row = connection.execute(f"SELECT count(*) FROM {table.full_name}").fetchone()
    return int(row[0]) if row else 0


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
