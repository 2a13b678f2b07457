"""What must hold in every published warehouse, as SQL that counts violations: keys, parents, conservation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.schemas import CHILDREN, CORE
from pipelines.warehouse.connect import open_published


@dataclass(frozen=True)
class Check:
    """One check: `sql` counts violations; `table` is the core table it is shown at."""

    name: str
    table: str
    description: str
    sql: str


def _key_check(table: str) -> Check:
    keys = ", ".join(CORE[table].model.primary_key())
    return Check(
        f"{table}_keys_unique",
        table,
        f"No two rows of core.{table} share ({keys}).",
        f"SELECT count(*) FROM (SELECT {keys} FROM core.{table} GROUP BY ALL HAVING count(*) > 1)",
    )


def _parent_check(table: str) -> Check:
    owner = CHILDREN[table].owner
    parent = "runs" if owner == "run_key" else "results"
    return Check(
        f"{table}_parents_exist",
        table,
        f"Every row of core.{table} belongs to a row of core.{parent}.",
        f"SELECT count(*) FROM core.{table} c ANTI JOIN core.{parent} p ON p.{owner} = c.{owner}",
    )


CHECKS: tuple[Check, ...] = (
    *(_key_check(table) for table in CORE),
    *(_parent_check(table) for table in CHILDREN),
    Check(
        "one_final_try",
        "results",
        "An execution has at most one final try, and only a terminal one.",
        "SELECT count(*) FROM (SELECT provider, execution_id FROM core.results WHERE is_final GROUP BY ALL"
        " HAVING count(*) > 1 OR bool_or(NOT is_terminal))",
    ),
    Check(
        "conservation",
        "results",
        "Every payload version of every loaded file is loaded, superseded or rejected.",
        "SELECT count(*) FROM meta.loads WHERE payloads <> loaded + superseded + rejected",
    ),
)


def run_checks(published: Path) -> Iterator[tuple[Check, int]]:
    """Every check with its number of violations in the published warehouse."""
    connection = open_published(published)
    try:
        for check in CHECKS:
            row = connection.execute(check.sql).fetchone()
            yield check, int(row[0]) if row else 0
    finally:
        connection.close()
