"""What payloads hold that is not documented: unknown fields, changed types, unknown enum values.

Compares DuckDB's `json_structure` of each payload with the declared tree. Never keeps a value, only pointers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import polars as pl

from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree

COLUMNS = {"entity_id": pl.String, "json_pointer": pl.String, "kind": pl.String}

_ACCEPTED = {
    "VARCHAR": frozenset({"VARCHAR", "BIGINT", "UBIGINT", "HUGEINT"}),
    "DOUBLE": frozenset({"DOUBLE", "BIGINT", "UBIGINT", "HUGEINT"}),
    "BOOLEAN": frozenset({"BOOLEAN"}),
}
"""JSON types (as json_structure names them) that a declared type reads without loss."""

_SCALARS = frozenset({"VARCHAR", "DOUBLE", "BIGINT", "UBIGINT", "HUGEINT", "BOOLEAN"})


_MAYBE_EMPTY = "maybe_empty_object"
"""json_structure calls both `{}` and a list of objects and scalars "JSON": the payload itself must tell."""


def find_drift(payloads: pl.DataFrame, decoded: pl.DataFrame, tree: Tree, *, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows (entity_id, json_pointer, kind) of what is not documented in these payloads, at most one per pointer and kind.

    `payloads` has entity_id and payload, `decoded` entity_id and doc. List places are `*` in pointers.
    """
    connection.register("payloads_to_check", payloads.select("entity_id", "payload"))
    try:
        found = connection.execute(
            "SELECT TRY(json_structure(payload))::VARCHAR AS shape, list(entity_id) AS ids FROM payloads_to_check GROUP BY 1"
        ).fetchall()
    finally:
        connection.unregister("payloads_to_check")
    rows: list[tuple[str, str, str]] = []

    def texts(entity_id: str) -> list[str]:
        return payloads.filter(pl.col("entity_id") == entity_id)["payload"].to_list()

    for shape, ids in found:
        if shape is None:
            continue
        for pointer, kind in set(_compare(json.loads(shape), tree, "")):
            unsure = kind == _MAYBE_EMPTY
            rows += [
                (id_, pointer, "type_change" if unsure else kind) for id_ in ids if not unsure or not _all_objects(texts(id_), pointer)
            ]
    parts = [pl.DataFrame(rows, schema=COLUMNS, orient="row")]
    if "doc" in decoded.columns and decoded.height:
        parts += _unknown_values(decoded.select("entity_id", value=pl.col("doc")), tree, "")
    return pl.concat(parts).unique(maintain_order=True)


def escape(name: str) -> str:
    """A field name as one JSON pointer token."""
    return name.replace("~", "~0").replace("/", "~1")


def _all_objects(texts: list[str], pointer: str) -> bool:
    """Whether every value at the pointer is an object or null."""
    values: list[Any] = [json.loads(text) for text in texts]
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        values = [child for value in values for child in _below(value, name)]
    return all(value is None or isinstance(value, dict) for value in values)


def _below(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        return [value[name]] if name in value else []
    return list(value) if isinstance(value, list) and name == "*" else []


def _compare(shape: Any, tree: Tree, pointer: str) -> Iterator[tuple[str, str]]:
    if shape == "NULL" or isinstance(tree, Free | Headers):
        return
    if isinstance(tree, dict):
        if not isinstance(shape, dict):
            yield pointer, _MAYBE_EMPTY if shape == "JSON" else "type_change"
            return
        for name, child in shape.items():
            below = f"{pointer}/{escape(name)}"
            if name in tree:
                yield from _compare(child, tree[name], below)
            else:
                yield below, "unknown_field"
    elif isinstance(tree, list):
        if not isinstance(shape, list):
            yield pointer, "type_change"
        elif shape:
            yield from _compare(shape[0], tree[0], f"{pointer}/*")
    elif isinstance(tree, OneOf):
        yield from _compare_one_of(shape, tree, pointer)
    elif not isinstance(shape, str) or (tree.type != "JSON" and shape != "JSON" and shape not in _ACCEPTED[tree.type]):
        if tree.type != "JSON" or not isinstance(shape, str):
            yield pointer, "type_change"
    elif shape == "JSON" and tree.type != "JSON":
        yield pointer, "type_change"


def _compare_one_of(shape: Any, tree: OneOf, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(shape, dict):
        if tree.object is None:
            yield pointer, "type_change"
        else:
            yield from _compare(shape, tree.object, pointer)
    elif isinstance(shape, list):
        if tree.list is None:
            yield pointer, "type_change"
        elif shape:
            yield from _compare(shape[0], tree.list, f"{pointer}/*")
    elif shape in _SCALARS and tree.scalar is None:
        yield pointer, "type_change"


def _unknown_values(values: pl.DataFrame, tree: Tree, pointer: str) -> Iterator[pl.DataFrame]:
    if isinstance(tree, dict):
        for name, child in tree.items():
            if _has_enum(child):
                inner = values.select("entity_id", value=pl.col("value").struct.field(name))
                yield from _unknown_values(inner.filter(pl.col("value").is_not_null()), child, f"{pointer}/{escape(name)}")
    elif isinstance(tree, list):
        inner = values.filter(pl.col("value").list.len() > 0).explode("value").filter(pl.col("value").is_not_null())
        yield from _unknown_values(inner, tree[0], f"{pointer}/*")
    elif isinstance(tree, Leaf) and tree.values is not None:
        unknown = values.filter(~pl.col("value").is_in(sorted(tree.values)))
        if unknown.height:
            yield unknown.select("entity_id", pl.lit(pointer).alias("json_pointer"), pl.lit("unknown_value").alias("kind")).unique(
                maintain_order=True
            )


def _has_enum(tree: Tree) -> bool:
    if isinstance(tree, dict):
        return any(_has_enum(child) for child in tree.values())
    if isinstance(tree, list):
        return _has_enum(tree[0])
    return isinstance(tree, Leaf) and tree.values is not None
