"""Renders and runs the derive SQL over what a load touched: merges, tries, runs, test versions, drift, resolved rejects.

The SQL lives in `derive/*.sql`; column lists come from `pipelines.schemas`. All of it is a function of what is loaded, whatever the order.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.schemas import CHILDREN, RESULTS, RUNS

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
_VERSIONED = ("name", "test_type", "config", "locations", "tags", "frequency_s", "is_paused")
_CARRIED = (*_VERSIONED, "status", "target_url", "attributes")


def derive(connection: duckdb.DuckDBPyConnection) -> None:
    """Derive everything from the rows of the touched results, runs and tests (temp tables of the Loader)."""
    _run(connection, "before")
    _run(connection, "results", columns=_coalesced(RESULTS.columns, _RESULTS_APART, "ds"))
    runs = {"columns": _coalesced(RUNS.columns, _RUNS_APART, "dsx")}
    _run(connection, "runs", **runs)  # tries ask whether a run has ended …
    _run(connection, "tries")
    _run(connection, "runs", **runs)  # … and runs count their final tries
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
    _run(connection, "tests", **_test_columns())
    _run(connection, "changes")
    _run(connection, "meta")


def _run(connection: duckdb.DuckDBPyConnection, name: str, **parts: str) -> None:
    sql = (_FOLDER / f"{name}.sql").read_text()
    for part, text in parts.items():
        sql = sql.replace(f"{{{part}}}", text)
    connection.execute(sql)


def _coalesced(columns: dict[str, object], apart: set[str], sides: str) -> str:
    return ",\n    ".join(f'coalesce({", ".join(f"{side}.{name}" for side in sides)}) AS "{name}"' for name in columns if name not in apart)


def _test_columns() -> dict[str, str]:
    previous = ", ".join(
        f"last_value({name} IGNORE NULLS) OVER own AS own_{name}, last_value({name} IGNORE NULLS) OVER every_one AS any_{name}"
        for name in _VERSIONED
    )
    changed = " OR ".join(f"({name} <> own_{name} AND {name} IS DISTINCT FROM any_{name})" for name in _VERSIONED)
    told = ", ".join(
        f"arg_max({name}, observed_at) FILTER (origin {is_} 'definition' AND {name} IS NOT NULL) AS {side}_{name}"
        for name in _CARRIED
        for side, is_ in (("defined", "="), ("seen", "<>"))
    )
    carried = ", ".join(_carried(name) for name in _CARRIED)
    return {"fields": ", ".join(_VERSIONED), "previous": previous, "changed": changed, "told": told, "carried": carried}


def _carried(name: str) -> str:
    defined = f"last_value(defined_{name} IGNORE NULLS) OVER so_far"
    later = f"first_value(defined_{name} IGNORE NULLS) OVER later"
    seen = f"last_value(seen_{name} IGNORE NULLS) OVER so_far"
    if name == "name":
        # A definition's name is better than what results say, as long as results say the same as when it was defined: else it was renamed.
        before, after = (
            f"{function}(CASE WHEN defined_name IS NOT NULL THEN coalesce(seen_name, '') END IGNORE NULLS) OVER {window}"
            for function, window in (("last_value", "so_far"), ("first_value", "later"))
        )
        kept = "CASE WHEN seen_name IS NULL OR {} IN ('', seen_name) THEN {} END"
        told = [kept.format(said, it) for said, it in ((before, defined), (after, later))]
        return f"coalesce({', '.join(told)}, {seen}) AS {name}"
    return f"coalesce(defined_{name}, seen_{name}, {defined}, {seen}, {later}) AS {name}"
