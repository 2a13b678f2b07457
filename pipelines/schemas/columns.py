"""How a column is declared: a dataframely column plus its unit and its DuckDB type. No table is declared here."""

from __future__ import annotations

from typing import Any

import dataframely as dy

OUTCOMES = ("running", "passed", "degraded", "failed", "aborted", "cancelled", "unresolved", "unknown")
"""The one vocabulary of results and runs."""

PART_OUTCOMES = ("passed", "failed", "skipped", "unknown")
"""The vocabulary of steps and assertions."""


def _meta(sql: str, unit: str | None, *, is_derived: bool) -> dict[str, Any]:
    return {"sql": sql, "unit": unit, "is_derived": is_derived}


def key(description: str, *, primary: bool = False, nullable: bool = False) -> dy.Int64:
    """A 63-bit hash key (BIGINT)."""
    return dy.Int64(
        primary_key=primary,
        nullable=nullable,
        description=description,
        metadata=_meta("BIGINT", None, is_derived=False),
    )


def text(description: str, *, primary: bool = False, required: bool = False, derived: bool = False) -> dy.String:
    """Text, ids included."""
    return dy.String(
        primary_key=primary,
        nullable=not (required or primary),
        description=description,
        metadata=_meta("VARCHAR", None, is_derived=derived),
    )


def word(description: str, values: tuple[str, ...], *, derived: bool = False) -> dy.String:
    """Text out of a closed vocabulary, never NULL."""
    return dy.String(
        nullable=False,
        description=f"{description}: {', '.join(values)}",
        check=lambda column: column.is_in(values),
        metadata=_meta("VARCHAR", None, is_derived=derived),
    )


def json(description: str, *, derived: bool = False) -> dy.String:
    """JSON text."""
    return dy.String(nullable=True, description=description, metadata=_meta("JSON", None, is_derived=derived))


def instant(description: str, *, primary: bool = False, required: bool = False, derived: bool = False) -> dy.Datetime:
    """An instant in UTC, microseconds."""
    return dy.Datetime(
        primary_key=primary,
        nullable=not (required or primary),
        time_unit="us",
        time_zone="UTC",
        description=description,
        metadata=_meta("TIMESTAMPTZ", "UTC", is_derived=derived),
    )


def day(description: str, *, derived: bool = False) -> dy.Date:
    """A calendar day in UTC."""
    return dy.Date(nullable=True, description=description, metadata=_meta("DATE", "UTC day", is_derived=derived))


def ms(description: str, *, derived: bool = False) -> dy.Float64:
    """A duration in milliseconds, never negative."""
    return dy.Float64(nullable=True, min=0, description=description, metadata=_meta("DOUBLE", "ms", is_derived=derived))


def number(description: str, *, unit: str | None = None, derived: bool = False) -> dy.Float64:
    """Any other measured number."""
    return dy.Float64(nullable=True, description=description, metadata=_meta("DOUBLE", unit, is_derived=derived))


def count(description: str, *, primary: bool = False, required: bool = False, unit: str | None = None, derived: bool = False) -> dy.Int64:
    """A whole number: a count, an index, a code."""
    return dy.Int64(
        primary_key=primary,
        nullable=not (required or primary),
        description=description,
        metadata=_meta("BIGINT", unit, is_derived=derived),
    )


def flag(description: str, *, required: bool = False, derived: bool = False) -> dy.Bool:
    """A boolean; NULL is unknown."""
    return dy.Bool(nullable=not required, description=description, metadata=_meta("BOOLEAN", None, is_derived=derived))
