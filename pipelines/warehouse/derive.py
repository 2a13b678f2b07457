"""Renders and runs the derive SQL over what a load touched: merges, tries, runs, test versions, drift, resolved rejects.

The SQL lives in `derive/*.sql`; column lists come from `pipelines.schemas`. All of it is a function of what is loaded, whatever the order.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.schemas import CHILDREN, RESULTS, RUNS
from pipelines.warehouse.connect import literal
from pipelines.warehouse.load import PLACE

_FOLDER = Path(__file__).parent / "derive"
_RESULTS_APART = {
    "execution_id",
    "outcome",
    "is_terminal",
    "has_detail",
    "utc_date",
    "attributes",
    "try_number",
    "is_final",
    "test_valid_from_at",
}
_RUNS_APART = {"outcome", "is_terminal", "started_at", "ended_at", "duration_ms", "utc_date", "attributes"} | {
    name for name in RUNS.columns if name.endswith("_count")
}
_RUNS_AT_ONCE = 1000
"""DuckDB merges the attributes of 2,048 rows at a time, and holds ten times their size: what a run carries besides its columns is large."""

_VERSIONED = ("name", "test_type", "config", "locations", "tags", "frequency_s", "is_paused")
_CARRIED = (*_VERSIONED, "status", "target_url", "attributes")


def derive(connection: duckdb.DuckDBPyConnection) -> None:
    """Derive everything from the rows of the touched results, runs and tests (temp tables of the Loader)."""
    kept = _temporary(connection)
    _run(connection, "results", columns=_coalesced(RESULTS.columns, _RESULTS_APART, "ds"))
    _runs(connection)  # tries ask whether a run has ended …
    _run(connection, "tries")
    _runs(connection)  # … and runs count their final tries
    for name, table in CHILDREN.items():
        if connection.execute(f"SELECT 1 FROM stage.{name} LIMIT 1").fetchone():
            touched = "touched_runs" if table.owner == "run_key" else "touched_results"
            _run(
                connection,
                "children",
                table=name,
                owner=str(table.owner),
                touched=touched,
                schema_table=table.full_name,
            )
    _run(connection, "assertions")
    _run(connection, "tests", since=_first_sighting(connection), **_test_columns())
    if connection.execute("FROM stage.marts LIMIT 1").fetchone():  # else they are built as a whole
        _run(connection, "changes")
    _run(connection, "meta")
    for name in _temporary(connection) - kept:
        if not name.startswith("touched_"):  # wide rows of 20,000 results, which would be held or lie on disk until the next time
            connection.execute(f"DROP TABLE temp.{name}")


def _temporary(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()}


def _runs(connection: duckdb.DuckDBPyConnection) -> None:
    _run(connection, "runs")
    row = connection.execute("SELECT count(*) FROM run_sides").fetchone()
    parts = 1 + (row[0] if row else 0) // _RUNS_AT_ONCE
    columns = _coalesced(RUNS.columns, _RUNS_APART, "dsx")
    for part in range(parts):
        _run(connection, "run_rows", columns=columns, parts=str(parts), part=str(part))
    _run(connection, "given_up")


def _run(connection: duckdb.DuckDBPyConnection, name: str, **parts: str) -> None:
    sql = (_FOLDER / f"{name}.sql").read_text()
    for part, text in parts.items():
        sql = sql.replace(f"{{{part}}}", text)
    connection.execute(sql)


def _coalesced(columns: dict[str, object], apart: set[str], sides: str) -> str:
    return ",\n    ".join(f'coalesce({", ".join(f"{side}.{name}" for side in sides)}) AS "{name}"' for name in columns if name not in apart)


def _first_sighting(connection: duckdb.DuckDBPyConnection) -> str:
    """The first instant of a touched sighting, as SQL. Said and not joined: DuckDB then reads of the other columns what is not earlier."""
    row = connection.execute("SELECT min(observed_at)::VARCHAR FROM touched_sightings").fetchone()
    return f"TIMESTAMPTZ {literal(row[0] if row and row[0] else 'infinity')}"


def _test_columns() -> dict[str, str]:
    windows = {"any": "last_value({name} IGNORE NULLS) OVER every_one"}
    # what an endpoint says for the first time is compared with what others of its kind say
    windows["own"] = "coalesce(last_value({name} IGNORE NULLS) OVER own, last_value({name} IGNORE NULLS) OVER kind)"
    previous = ", ".join(f"{sql.format(name=name)} AS {of}_{name}" for name in _VERSIONED for of, sql in windows.items())
    changed = " OR ".join(f"({name} <> own_{name} AND {name} IS DISTINCT FROM any_{name})" for name in _VERSIONED)
    told = ", ".join(
        f"arg_max({name}, row(observed_at, endpoint)) FILTER (origin {is_} 'definition' AND {name} IS NOT NULL) AS {side}_{name}"
        for name in _CARRIED
        for side, is_ in (("defined", "="), ("seen", "<>"))
    )
    carried = ", ".join(_carried(name) for name in _CARRIED)
    return {
        "place": PLACE,
        "order": "observed_at, origin, endpoint",
        "previous": previous,
        "changed": changed,
        "told": told,
        "carried": carried,
    }


def _carried(name: str) -> str:
    later = f"first_value(defined_{name} IGNORE NULLS) OVER later"
    if name == "name":
        # A definition's name is better than what results say, as long as results say the same as when it was defined: else it was renamed.
        said = "CASE WHEN defined_name IS NOT NULL THEN coalesce(last_seen_name, '') END"
        before, after = f"last_value({said} IGNORE NULLS) OVER so_far", f"first_value({said} IGNORE NULLS) OVER later"
        kept = "CASE WHEN last_seen_name IS NULL OR {} IN ('', last_seen_name) THEN {} END"
        told = [kept.format(before, "last_value(defined_name IGNORE NULLS) OVER so_far"), kept.format(after, later)]
        return f"coalesce({', '.join(told)}, last_seen_name) AS name"
    return f"coalesce(last_value(coalesce(defined_{name}, seen_{name}) IGNORE NULLS) OVER so_far, {later}) AS {name}"
