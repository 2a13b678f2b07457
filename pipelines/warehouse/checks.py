"""What must hold in every published warehouse, as SQL that counts violations: keys, parents, final tries, conservation.

A warehouse of which it held before is asked about what has changed since: to read every row takes as long as the history is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.schemas import CHILDREN, CORE


@dataclass(frozen=True)
class Check:
    """One check: each part is a place and SQL that counts violations there; `table` is the core table it is shown at.

    In the SQL `{steps}` stands for the rows of `core.steps` to be looked at, `{executions}` for the results of the executions, `{run_key}`
    and `{result_key}` for those whose key that is (`EVERY_ROW`).
    """

    name: str
    table: str
    description: str
    parts: tuple[tuple[str, str], ...]


def _duplicates(table: str) -> str:
    keys = ", ".join(CORE[table].model.primary_key())
    return f"SELECT count(*) FROM (SELECT {keys} FROM {{{table}}} GROUP BY ALL HAVING count(*) > 1)"


def _orphans(table: str) -> str:
    owner = CHILDREN[table].owner
    return f"SELECT count(*) FROM {{{table}}} c ANTI JOIN {{{owner}}} p ON p.{owner} = c.{owner}"


CHECKS: tuple[Check, ...] = (
    Check(
        "keys_unique",
        "results",
        "No two rows of a core table share their key.",
        tuple((table, _duplicates(table)) for table in CORE),
    ),
    Check(
        "parents_exist",
        "results",
        "Every row that belongs to a result or run has that result or run.",
        tuple((table, _orphans(table)) for table in CHILDREN),
    ),
    Check(
        "one_final_try",
        "results",
        "An execution has at most one final try, and only a terminal one.",
        (
            (
                "results",
                "SELECT count(*) FROM (SELECT provider, execution_id FROM {executions} WHERE is_final GROUP BY ALL"
                " HAVING count(*) > 1 OR bool_or(NOT is_terminal))",
            ),
        ),
    ),
    Check(
        "conservation",
        "results",
        "Every payload version of every loaded file is loaded, superseded or rejected.",
        (("loads", "SELECT count(*) FROM meta.loads WHERE payloads <> loaded + superseded + rejected"),),
    ),
)


def _has_changed(key: str) -> str:
    return f"{key} IN (FROM changed_{key} WHERE hash({key}) IS NOT NULL)"  # what `hash` is for: `connect.few`


def _executions(key: str) -> str:
    return f"SELECT execution_id FROM core.results WHERE {_has_changed(key)}"


EVERY_ROW: Mapping[str, str] = {name: f"core.{name}" for name in CORE} | {
    "executions": "core.results",
    "result_key": "core.results",
    "run_key": "core.runs",
}

_CHANGED_ROWS = {
    **EVERY_ROW,  # of the tests: they have few versions
    **{name: f"(FROM core.{name} WHERE {_has_changed(str(table.owner))})" for name, table in CHILDREN.items()},
    "results": f"(FROM core.results WHERE {_has_changed('result_key')})",
    "runs": f"(FROM core.runs WHERE {_has_changed('run_key')})",
    "executions": f"(FROM core.results WHERE execution_id IN (FROM ({_executions('result_key')} UNION {_executions('run_key')})"
    " WHERE hash(execution_id) IS NOT NULL))",
    "result_key": "standing_result_key",
    "run_key": "standing_run_key",
}


def run_checks(published: Path, changed: Mapping[str, Collection[int]] | None = None) -> Iterator[tuple[Check, dict[str, int]]]:
    """Every check with its violations in the published warehouse, by place; an empty dict is good.

    `changed` has the keys, by the columns `result_key` and `run_key`, of all that may be otherwise than when every check held.
    """
    from pipelines.warehouse.connect import open_published  # who only lists the checks needs no DuckDB

    connection = open_published(published)
    try:
        for key, values in (changed or {}).items():
            connection.execute(f"CREATE TEMP TABLE changed_{key} AS SELECT unnest($keys::BIGINT[]) AS {key}", {"keys": list(values)})
            connection.execute(f"CREATE TEMP TABLE standing_{key} AS SELECT {key} FROM {EVERY_ROW[key]} WHERE {_has_changed(key)}")
        rows = EVERY_ROW if changed is None else _CHANGED_ROWS
        for check in CHECKS:
            counts = {place: connection.execute(sql.format_map(rows)).fetchall()[0][0] for place, sql in check.parts}
            yield check, {place: int(count) for place, count in counts.items() if count}
    finally:
        connection.close()
