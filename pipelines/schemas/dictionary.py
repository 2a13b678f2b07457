"""Where a column's values come from: the providers' declared places (`pipelines.schemas.places`) turned round, column by column.

`meta.columns.source` and docs/dictionary.md are rendered from here. Which endpoints there are is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipelines.schemas import Table
from pipelines.schemas.places import Places, at

Sources = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Column (`results.test_id`) -> endpoint (`datadog/api_results`) -> the payload's fields as JSON pointers, `*` for list places.

A pointer stands for all that is below it and has no longer pointer of its own. Fields whose values are written in another form than they
came have an entry of their own, `datadog/api_results (s x 1000)`.
"""

WHOLE = "(the rest)"
"""The empty pointer: whatever has no place of its own."""

DERIVED, COMPUTED = "derived", "payload"
"""Filled by the load or the derive SQL; made of a whole payload by flatten (keys, places in a list, words of the vocabulary)."""


def sources(declared: Iterable[tuple[str, Places | None]]) -> Sources:
    """Columns with the fields they come from. `declared` names each endpoint with its places; one without places says nothing."""
    found: dict[str, dict[str, set[str]]] = {}
    for endpoint, places in declared:
        for pointer, place in places.to.items() if places else ():
            for text in place if isinstance(place, tuple) else (place,):
                target = at(text) if isinstance(text, str) else text
                origin = f"{endpoint} ({target.form.name})" if target.form else endpoint
                found.setdefault(_seen_as(target.column), {}).setdefault(origin, set()).add(pointer or WHOLE)
    return {column: {origin: tuple(sorted(fields)) for origin, fields in sorted(each.items())} for column, each in sorted(found.items())}


def fields_of(table: Table, column: str, known: Sources) -> Mapping[str, tuple[str, ...]]:
    """Endpoint -> fields of one column. A JSON column names the uppermost fields only: it holds all that is below them."""
    fields = known.get(f"{table.name}.{column}", {}) if table.schema_name == "core" else {}
    if table.columns[column].metadata["sql"] != "JSON":
        return fields
    return {endpoint: tuple(field for field in each if not _is_below_another(field, each)) for endpoint, each in fields.items()}


def source_of(table: Table, column: str, known: Sources) -> str:
    """The cell `source` of a column: `endpoint: field, field; endpoint: …`, else `derived` or `payload`."""
    fields = fields_of(table, column, known)
    if fields:
        return "; ".join(f"{endpoint}: {', '.join(each)}" for endpoint, each in fields.items())
    return DERIVED if table.columns[column].metadata["is_derived"] or table.schema_name != "core" else COMPUTED


def _is_below_another(field: str, fields: tuple[str, ...]) -> bool:
    return field != WHOLE and any(other == WHOLE or field.startswith(f"{other}/") for other in fields)


def _seen_as(column: str) -> str:
    """Sightings of definitions are what core.tests is made of: nobody sees them under their own name."""
    table, _, name = column.partition(".")
    return f"tests.{name}" if table == "sightings" else column
