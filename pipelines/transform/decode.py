"""Payload text -> one projected struct per payload, with DuckDB's JSON reader: one parse for all tables.

A payload that is no JSON object does not fail the others: it comes back as a reject. What the reader turns into NULL silently
(an object where a list is documented, text where a number is) is counted by `pipelines.transform.drift`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from pipelines.schemas.leaves import Tree, structure

if TYPE_CHECKING:  # a sync's first request does not wait for it
    import duckdb


_DECODE = r"""
SELECT * EXCLUDE (payload), CASE WHEN doc IS NULL THEN TRY(json_type(payload)) END AS payload_type
FROM (SELECT *, CASE WHEN starts_with(ltrim(payload, e' \t\r\n'), '{') THEN TRY(json_transform(payload, ?)) END AS doc FROM rows_in)"""
"""An object is what can be read and begins as one: its type is not asked of a second parse."""


def decode(payloads: pl.DataFrame, tree: Tree, *, connection: duckdb.DuckDBPyConnection) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a frame with a `payload` column into (decoded, rejected).

    `decoded` has the column `doc` (a struct of the tree's shape) instead of `payload`; `rejected` has the columns of `payloads` without
    `payload`, and `rule`.
    """
    frame = ask(
        connection,
        _DECODE,
        payloads,
        [json.dumps(structure(tree))],
    )
    is_object = frame["doc"].is_not_null()
    decoded = (frame if is_object.all() else frame.filter(is_object)).drop("payload_type")
    rejected = frame.filter(~is_object).select(
        pl.exclude("doc", "payload_type"),
        pl.when(pl.col("payload_type").is_null()).then(pl.lit("not_json")).otherwise(pl.lit("not_an_object")).alias("rule"),
    )
    return decoded, rejected


MEMBERS = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))

_SPLIT = """
SELECT list_filter(
    CASE json_type(text)
        WHEN 'OBJECT' THEN list_transform(
            map_entries(from_json(text, '"MAP(VARCHAR, JSON)"')), lambda e: {'name': e.key, 'value': e.value::VARCHAR})
        WHEN 'ARRAY' THEN list_transform(from_json(text, '["JSON"]'), lambda e: {'name': NULL::VARCHAR, 'value': e::VARCHAR})
        WHEN 'NULL' THEN []
        ELSE [{'name': NULL::VARCHAR, 'value': text}]
    END, lambda e: e.value IS NOT NULL) AS members
FROM rows_in"""


def split(texts: pl.Series) -> pl.Series:
    """The members of decoded JSON texts, as `pipelines.transform.expressions.members` describes them."""
    if texts.null_count() == len(texts):
        return pl.Series([None], dtype=MEMBERS).new_from_index(0, len(texts))
    with _engine().cursor() as cursor:  # expressions are evaluated in several threads
        members = ask(cursor, _SPLIT, texts.rename("text").to_frame())["members"].cast(MEMBERS)
    return pl.select(pl.when(texts.is_not_null()).then(members)).to_series()


def ask(connection: duckdb.DuckDBPyConnection, sql: str, rows_in: pl.DataFrame, values: Sequence[str] = ()) -> pl.DataFrame:
    """What a statement says that reads `rows_in` once.

    DuckDB gets the bare stream: any other registered object is read through a scanner of pyarrow's, and that one waits for ever for a
    thread that the system refused (26.0.1, with DuckDB 1.5.5).
    """
    connection.register("rows_in", rows_in.__arrow_c_stream__())
    try:
        return pl.DataFrame(connection.execute(sql, values).to_arrow_table())
    finally:
        connection.unregister("rows_in")


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(":memory:")
