"""What must hold in every published warehouse, as SQL that counts violations: keys, parents, final tries, conservation.

A warehouse of which it held before is asked about what has changed since: to read every row takes as long as the history is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.schemas import CHILDREN, CORE

if TYPE_CHECKING:
    from pipelines.warehouse.connect import Connection


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


EVERY_ROW: Mapping[str, str] = {name: f"core.{name}" for name in CORE} | {
    "executions": "core.results",
    "result_key": "core.results",
    "run_key": "core.runs",
}


def run_checks(published: Path, changed: Mapping[str, Collection[int]] | None = None) -> Iterator[tuple[Check, dict[str, int]]]:
    """Every check with its violations in the published warehouse, by place; an empty dict is good.

    `changed` has the keys, by the columns `result_key` and `run_key`, of all that may be otherwise than when every check held.
    """
    from pipelines.warehouse.connect import open_published  # who only lists the checks needs no DuckDB

    connection = open_published(published)
    try:
        rows = EVERY_ROW if changed is None else _changed_rows(connection, changed)
        for check in CHECKS:
            counts = {place: connection.execute(sql.format_map(rows)).fetchall()[0][0] for place, sql in check.parts}
            yield check, {place: int(count) for place, count in counts.items() if count}
    finally:
        connection.close()


def _changed_rows(connection: Connection, changed: Mapping[str, Collection[int]]) -> Mapping[str, str]:
    """What the names in the SQL stand for when only these keys are looked at."""
    from pipelines.warehouse.connect import few

    has_changed = {key: f"{key} IN (FROM changed_{key} WHERE {few(key)})" for key in changed}
    for key, values in changed.items():
        connection.execute(f"CREATE TEMP TABLE changed_{key} AS SELECT unnest($keys::BIGINT[]) AS {key}", {"keys": list(values)})
        connection.execute(f"CREATE TEMP TABLE standing_{key} AS SELECT {key} FROM {EVERY_ROW[key]} WHERE {has_changed[key]}")
    owners = {name: str(table.owner) for name, table in CHILDREN.items()} | {"results": "result_key", "runs": "run_key"}
    executions = " UNION ".join(f"SELECT execution_id FROM core.results WHERE {condition}" for condition in has_changed.values())
    return {
        **EVERY_ROW,  # of the tests: they have few versions
        **{name: f"(FROM core.{name} WHERE {has_changed[owner]})" for name, owner in owners.items()},
        "executions": f"(FROM core.results WHERE execution_id IN (FROM ({executions}) WHERE {few('execution_id')}))",
        **{key: f"standing_{key}" for key in changed},
    }
