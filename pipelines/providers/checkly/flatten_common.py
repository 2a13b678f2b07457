"""What the functions for children of a Checkly result share: keys, elements of lists, numbering. Pure polars."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.transform.expressions import explode_indexed, inner, said

KEYS = ("entity_id", "result_key")
WHOLE = pl.lit(-1, dtype=pl.Int64)
"""`step_index` of what belongs to the whole result."""


def whole_number(number: pl.Expr) -> pl.Expr:
    """A count, port or code that came as a number."""
    return number.cast(pl.Int64, strict=False)


def first_number(json_text: pl.Expr, *paths: str) -> pl.Expr:
    """The number at the first of several JSONPaths that has one."""
    return pl.coalesce(inner(json_text, path).cast(pl.Float64, strict=False) for path in paths)


def first_text(json_text: pl.Expr, *paths: str) -> pl.Expr:
    """The text at the first of several JSONPaths that has one."""
    return pl.coalesce(said(inner(json_text, path)) for path in paths)


def elements(opened: pl.DataFrame, block: str, field: pl.Expr | str, *carried: pl.Expr) -> pl.DataFrame:
    """One row per element of a list of a block, as `item`, with its place in the list as `place`."""
    items = pl.col(block).struct.field(field) if isinstance(field, str) else field
    frame = explode_indexed(opened.select(*KEYS, *carried, items.alias("item")), "item", "place")
    return frame.filter(pl.col("item").is_not_null())


def numbered(parts: Sequence[pl.DataFrame], index: str) -> pl.DataFrame:
    """The parts one after the other, numbered from 0 within each result."""
    frame = pl.concat(parts, how="diagonal")
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("result_key").alias(index))
