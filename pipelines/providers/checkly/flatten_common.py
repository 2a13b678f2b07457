"""What the functions for children of a Checkly result share: keys, elements of lists, numbering. Pure polars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from pipelines.transform.expressions import explode_indexed, inner, members, said

KEYS = ("entity_id", "result_key")
WHOLE = pl.lit(-1, dtype=pl.Int64)
"""`step_index` of what belongs to the whole result."""


def whole_number(number: pl.Expr) -> pl.Expr:
    """A count, port or code that came as a number."""
    return number.cast(pl.Int64, strict=False)


def first_number(*texts: pl.Expr | str) -> pl.Expr:
    """The first of several texts (strings name columns) that is a number."""
    numbers = (pl.col(text) if isinstance(text, str) else text for text in texts)
    return pl.coalesce(number.cast(pl.Float64, strict=False) for number in numbers)


def first_text(*texts: pl.Expr | str) -> pl.Expr:
    """The first of several texts (strings name columns) that says anything."""
    return pl.coalesce(said(text) for text in texts)


def is_object(column: str) -> pl.Expr:
    """True where JSON text is an object."""
    return pl.col(column).str.starts_with("{")


def with_paths(frame: pl.DataFrame, *paths: str) -> pl.DataFrame:
    """The frame with what stands at JSONPaths of its `item`s, in columns of these names; NULL where an item is no object."""
    return frame.with_columns(inner(pl.when(is_object("item")).then("item"), path).alias(path) for path in paths)


def told(opened: pl.DataFrame, block: str, path: str, **carried: pl.Expr) -> pl.DataFrame:
    """The results that tell what stands at a path of a block: that as `item`, and what is `carried` along."""
    item = pl.col(block)
    for name in path.split("/"):
        item = item.struct.field(name)
    return opened.select(*KEYS, item.alias("item"), **carried).filter(pl.col("item").is_not_null())


def elements(lists: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One row per element of the `item`s of frames of `told`, with its place in its list as `place`."""
    return explode_indexed(pl.concat(lists), "item", "place").filter(pl.col("item").is_not_null())


def opened_members(texts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One row per member of the `item`s of frames of `told`, which are JSON text: its `name` and `value`."""
    lists = pl.concat(texts).with_columns(members(pl.col("item")))
    return lists.explode("item", empty_as_null=False, keep_nulls=False).unnest("item")


def numbered(parts: Sequence[pl.DataFrame], index: str) -> pl.DataFrame:
    """The parts one after the other, numbered from 0 within each result."""
    frame = pl.concat(parts, how="diagonal")
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("result_key").alias(index))
