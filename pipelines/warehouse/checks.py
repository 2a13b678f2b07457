"""What must hold in every published warehouse, as SQL that counts violations: keys, parents, final tries, conservation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.schemas import CHILDREN, CORE


@dataclass(frozen=True)
class Check:
    """One check: each part is a place and SQL that counts violations there; `table` is the core table it is shown at."""

    name: str
    table: str
    description: str
    parts: tuple[tuple[str, str], ...]


def _duplicates(table: str) -> str:
    keys = ", ".join(CORE[table].model.primary_key())
    return f"SELECT count(*) FROM (SELECT {keys} FROM core.{table} GROUP BY ALL HAVING count(*) > 1)"


def _orphans(table: str) -> str:
    owner = CHILDREN[table].owner
    parent = "runs" if owner == "run_key" else "results"
    return f"SELECT count(*) FROM core.{table} c ANTI JOIN core.{parent} p ON p.{owner} = c.{owner}"


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
                "SELECT count(*) FROM (SELECT provider, execution_id FROM core.results WHERE is_final GROUP BY ALL"
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


def run_checks(published: Path) -> Iterator[tuple[Check, dict[str, int]]]:
    """Every check with its violations in the published warehouse, by place; an empty dict is good."""
    from pipelines.warehouse.connect import open_published  # who only lists the checks needs no DuckDB

    connection = open_published(published)
    try:
        for check in CHECKS:
            counts = {place: connection.execute(sql).fetchall()[0][0] for place, sql in check.parts}
            yield check, {place: int(count) for place, count in counts.items() if count}
    finally:
        connection.close()
