"""DDL, comments and the dictionary, rendered from `pipelines.schemas`; nothing is inferred from data.

Schema `stage` is the loader's own: list rows waiting for their detail, both sides of a merge, sightings of
definitions, and what the marts were built from.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import polars as pl

from pipelines.schemas import CHILDREN, CORE, META, RESULTS, RUNS, SIGHTINGS, Table
from pipelines.schemas.dictionary import Sources, source_of
from pipelines.warehouse.connect import hand_over, literal

FORMAT = "11"
"""Changed whenever the tables change: a work file of another format is thrown away and rebuilt from the lake."""

_KEYED_CORE = ("runs", "results", "tests")
_KEYED_META = frozenset(f"meta.{name}" for name in META if name != "versions")
"""Tables with a PRIMARY KEY. Child keys are guaranteed by the load: an index on every child row costs more than the insert. Those of core
come after a first load (`add_keys`): an index of random keys that grows with it takes twice the time, memory that cannot be put on
disk, and is written anew at every checkpoint."""

_PROVENANCE = (("provider", "VARCHAR"), ("endpoint", "VARCHAR"), ("entity_id", "VARCHAR"))
_MERGE = (*_PROVENANCE, ("is_summary", "BOOLEAN"), ("outcome_rank", "BIGINT"))


def create_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Create every schema, table and comment that is not there yet, in one transaction: 300 of their own would each sync the disk.

    What is to be loaded first has no primary keys yet: `add_keys`.
    """
    connection.execute("BEGIN")
    for schema in ("core", "marts", "meta", "stage"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table in (*CORE.values(), *META.values()):
        connection.execute(_create(table.full_name, table, keyed=table.full_name in _KEYED_META))
        comment(connection, table)
    staged: list[tuple[str, Table, tuple[tuple[str, str], ...]]] = [
        ("stage.results", RESULTS, _MERGE),
        ("stage.runs", RUNS, _MERGE),
    ]
    staged += [(f"stage.{name}", table, ()) for name, table in CHILDREN.items()]
    staged += [(name, SIGHTINGS, (*_PROVENANCE, ("said", "UBIGINT"))) for name in ("stage.sightings", "stage.news")]
    for name, table, extra in staged:
        connection.execute(_create(name, table, keyed=False, extra=extra))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS stage.drift (provider VARCHAR, endpoint VARCHAR, entity_id VARCHAR,"
        " json_pointer VARCHAR, kind VARCHAR, seen_at TIMESTAMPTZ)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS stage.changed (result_key BIGINT, utc_date DATE, test_id VARCHAR)")
    connection.execute("CREATE TABLE IF NOT EXISTS stage.changed_runs (run_key BIGINT)")
    connection.execute("CREATE TABLE IF NOT EXISTS stage.marts (fingerprint VARCHAR)")
    connection.execute("CREATE TABLE IF NOT EXISTS stage.format (format VARCHAR)")
    if not connection.execute("SELECT 1 FROM stage.format").fetchone():
        connection.execute("INSERT INTO stage.format VALUES (?)", [FORMAT])
    connection.execute("COMMIT")


def add_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the tables of core those primary keys that they do not have yet. For the end of a first load."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_constraints()"
        " WHERE database_name = current_database() AND schema_name = 'core' AND constraint_type = 'PRIMARY KEY'"
    ).fetchall()
    for name in _KEYED_CORE:
        if (name,) not in found:
            connection.execute(f"ALTER TABLE core.{name} ADD {_primary_key(CORE[name])}")


def is_current_format(connection: duckdb.DuckDBPyConnection) -> bool:
    """True when the file's tables are those of this version."""
    try:
        row = connection.execute("SELECT format FROM stage.format").fetchone()
    except duckdb.Error:
        return False
    return row is not None and row[0] == FORMAT


def comment(connection: duckdb.DuckDBPyConnection, table: Table, *, kind: str = "TABLE") -> None:
    """Set the comments of a declared table or view and of its columns."""
    connection.execute(f"COMMENT ON {kind} {table.full_name} IS {literal(table.description)}")
    for name, column in table.columns.items():
        unit = column.metadata["unit"]
        text = f"{column.description} [{unit}]" if unit else column.description
        connection.execute(f'COMMENT ON COLUMN {table.full_name}."{name}" IS {literal(text)}')


def dictionary(tables: list[Table], known: Sources) -> list[tuple[str, str, str, str, str | None, str, str | None]]:
    """The rows of `meta.columns` for these tables. `known` says which columns come from which fields of which payloads."""
    return [
        (
            table.schema_name,
            table.name,
            name,
            column.metadata["sql"],
            column.metadata["unit"],
            column.description,
            source_of(table, name, known),
        )
        for table in tables
        for name, column in table.columns.items()
    ]


def write_dictionary(connection: duckdb.DuckDBPyConnection, marts: Iterable[Table], known: Sources) -> None:
    """Fill `meta.columns` with every declared column."""
    connection.execute("DELETE FROM meta.columns")
    tables = [*CORE.values(), *marts, *META.values()]
    names = list(META["columns"].columns)
    frame = pl.DataFrame(dictionary(tables, known), schema=dict.fromkeys(names, pl.String), orient="row")
    hand_over(connection, frame)
    connection.execute("INSERT INTO meta.columns BY NAME SELECT * FROM rows_in")


def _create(name: str, table: Table, *, keyed: bool, extra: tuple[tuple[str, str], ...] = ()) -> str:
    stage = name.startswith("stage.")
    columns = [f'"{column}" {sql}' for column, sql in extra]
    taken = {column for column, _ in extra}
    for column, declared in table.columns.items():
        if column in taken:
            continue
        constraint = "" if declared.nullable or stage else " NOT NULL"
        columns.append(f'"{column}" {declared.metadata["sql"]}{constraint}')
    if keyed:
        columns.append(_primary_key(table))
    return f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)})"


def _primary_key(table: Table) -> str:
    return f"PRIMARY KEY ({', '.join(table.model.primary_key())})"
