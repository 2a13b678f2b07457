"""The data dictionary: every table and column of the warehouse declared once.

DDL, comments, `meta.columns`, validation and docs are rendered from here. Imports no sibling room.

The tables stand in `tables` and are loaded when one of them is first asked for: dataframely takes 0.6 s of CPU (it looks for sqlalchemy,
which is there because of Dagster), and who only reads `leaves` and `places`, as providers do, needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.schemas.tables import CHILDREN, CORE, FLATTENED, META, RESULTS, RUNS, SIGHTINGS, TESTS, Table

__all__ = ["CHILDREN", "CORE", "FLATTENED", "META", "RESULTS", "RUNS", "SIGHTINGS", "TESTS", "Table"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipelines.schemas import tables

    return getattr(tables, name)
