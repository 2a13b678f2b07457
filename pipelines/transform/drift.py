"""What payloads hold that is not documented: unknown fields, changed types, unknown enum values, instants that cannot be read.

Never keeps a value, only pointers; nothing is masked here (names that are secrets were masked before landing). Exact, and fast where
nothing drifts:
1. Distinct shapes (DuckDB's `json_structure`) are compared with the declared tree.
2. Where a shape does not tell (it says "JSON" for `{}` and for a list of mixed kinds), the distinct texts at that place are walked.
3. Words and instants are looked at in the decoded columns; in a OneOf, which is decoded as JSON text, its distinct texts are walked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import polars as pl

from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree
from pipelines.transform.expressions import plain

COLUMNS = {"entity_id": pl.String, "json_pointer": pl.String, "kind": pl.String}

Path = tuple[str | None, ...]
"""Field names from the root; None is every element of a list. A tree has no field named `*`: pointers could not tell it from a list."""

_ACCEPTED = {
    "VARCHAR": frozenset({"VARCHAR", "BIGINT", "UBIGINT", "HUGEINT"}),
    "DOUBLE": frozenset({"DOUBLE", "BIGINT", "UBIGINT", "HUGEINT"}),
    "BOOLEAN": frozenset({"BOOLEAN"}),
    "JSON": frozenset({"VARCHAR", "DOUBLE", "BIGINT", "UBIGINT", "HUGEINT", "BOOLEAN"}),
}
"""JSON types (as json_structure names them) that a declared type reads without loss."""

_DTYPES = {"VARCHAR": pl.String(), "DOUBLE": pl.Float64(), "BOOLEAN": pl.Boolean(), "JSON": pl.String()}

_MASK = r"^\*\*\*[0-9a-f]{12}$"
"""A masked text: what stood there was seen by the redactor, and whether it was a documented word cannot be known."""

_OBJECT, _LIST, _NULL, _UNSURE = "OBJECT", "LIST", "NULL", "JSON"


def find_drift(payloads: pl.DataFrame, decoded: pl.DataFrame, tree: Tree, *, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows (entity_id, json_pointer, kind) of what is not documented in these payloads, at most one per pointer and kind.

    `payloads` has entity_id and payload, `decoded` entity_id and doc. List places are `*` in pointers. A null where a value is
    documented is no drift; maps with free names (`Free`, `Headers`) are not looked into; an undocumented field is not either.
    """
    rows: list[tuple[str, str, str]] = []
    unsure: dict[Path, tuple[Tree, list[str]]] = {}
    for shape, ids in _shapes(payloads, connection):
        walk = _Walk(_name_of_shape)
        walk.visit(json.loads(shape), tree, ())
        rows += [(id_, pointer, kind) for pointer, kind in walk.drift for id_ in ids]
        for path, subtree in walk.unsure.items():
            unsure.setdefault(path, (subtree, []))[1].extend(ids)
    parts = [pl.DataFrame(rows, schema=COLUMNS, orient="row")]
    for path, (subtree, ids) in unsure.items():
        parts.append(_look_into(_texts_at(payloads, ids, path, connection), subtree, path))
    if "doc" in decoded.columns and decoded.height:
        parts += _read(decoded.select("entity_id", value=pl.col("doc")), tree, ())
    return pl.concat(parts).unique(maintain_order=True)


def escape(name: str) -> str:
    """A field name as one JSON pointer token."""
    return name.replace("~", "~0").replace("/", "~1")


# --- from DuckDB -------------------------------------------------------------------------------------------------


def _shapes(payloads: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, list[str]]]:
    connection.register("payloads_to_check", payloads.select("entity_id", "payload"))
    try:
        found = connection.execute(
            "SELECT TRY(json_structure(payload))::VARCHAR AS shape, list(entity_id) FROM payloads_to_check GROUP BY 1"
        ).fetchall()
    finally:
        connection.unregister("payloads_to_check")
    return [(shape, ids) for shape, ids in found if shape is not None]  # what is no JSON is a reject


def _texts_at(payloads: pl.DataFrame, ids: list[str], path: Path, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Columns entity_id and value: the JSON texts at a declared place of these payloads."""
    there = payloads.select("entity_id", "payload").filter(pl.col("entity_id").is_in(pl.Series(ids, dtype=pl.String).implode()))
    names = ("[*]" if name is None else '."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in path)
    extract = "json_extract(payload, ?)"
    connection.register("payloads_to_look_into", there)
    try:
        table = connection.execute(
            f"SELECT entity_id, {f'unnest({extract})' if None in path else extract}::VARCHAR AS value FROM payloads_to_look_into",
            ["$" + "".join(names)],
        ).to_arrow_table()
    finally:
        connection.unregister("payloads_to_look_into")
    return pl.DataFrame(table)


# --- types and names ---------------------------------------------------------------------------------------------


class _Walk:
    """One document, or the shape of one, beside its declared tree.

    `drift`: pointers and kinds. `unsure`: places where a shape does not tell. `to_read`: values for a leaf's `read`, by leaf and pointer.
    """

    def __init__(self, name_of: Callable[[Any], str]) -> None:
        self._name_of = name_of
        self._is_shape = name_of is _name_of_shape
        self.drift: set[tuple[str, str]] = set()
        self.unsure: dict[Path, Tree] = {}
        self.to_read: list[tuple[Leaf, str, Any]] = []

    def visit(self, node: Any, tree: Tree, path: Path) -> None:
        name = self._name_of(node)
        if name == _NULL or isinstance(tree, Free):
            return
        if name == _UNSURE:
            if not _takes_anything(tree):
                self.unsure[path] = tree
        elif isinstance(tree, OneOf):
            branch: Tree | None = tree.scalar
            if name == _OBJECT:
                branch = tree.object
            elif name == _LIST:
                branch = None if tree.list is None else [tree.list]
            if branch is None:
                self.drift.add((_pointer(path), "type_change"))
            else:
                self.visit(node, branch, path)
        elif isinstance(tree, dict) and name == _OBJECT:
            for field, child in node.items():
                if field in tree:
                    self.visit(child, tree[field], (*path, field))
                else:
                    self.drift.add((_pointer((*path, field)), "unknown_field"))
        elif isinstance(tree, list) and name == _LIST:
            below = (*path, None)
            for item in node:
                self.visit(item, tree[0], below)
        elif isinstance(tree, Leaf):
            self._leaf(node, name, tree, path)
        elif not (isinstance(tree, Headers) and name in (_OBJECT, _LIST)):
            self.drift.add((_pointer(path), "type_change"))

    def _leaf(self, node: Any, name: str, leaf: Leaf, path: Path) -> None:
        is_accepted = name in _ACCEPTED[leaf.type]
        if not is_accepted:
            self.drift.add((_pointer(path), "type_change"))
        if self._is_shape:
            return
        if leaf.values is not None:
            word = _text(node)
            if word not in leaf.values and not re.match(_MASK, word):
                self.drift.add((_pointer(path), "unknown_value"))
        if leaf.read is not None and is_accepted:
            self.to_read.append((leaf, _pointer(path), node if leaf.type in ("DOUBLE", "BOOLEAN") else _text(node)))


def _name_of_shape(shape: Any) -> str:
    if isinstance(shape, str):
        return shape
    return _OBJECT if isinstance(shape, dict) else _LIST


def _name_of_value(value: Any) -> str:
    if isinstance(value, str):
        return "VARCHAR"
    if isinstance(value, dict):
        return _OBJECT
    if isinstance(value, list):
        return _LIST
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return "BOOLEAN"
    return "BIGINT" if isinstance(value, int) else "DOUBLE"


def _number(literal: str) -> int | float:
    """A whole number as DuckDB names it: what does not fit its integers is a DOUBLE."""
    value = int(literal)
    return value if -(1 << 63) <= value < 1 << 64 else float(literal)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pointer(path: Path) -> str:
    return "".join("/*" if name is None else f"/{escape(name)}" for name in path)


def _takes_anything(tree: Tree | None) -> bool:
    if isinstance(tree, OneOf):
        is_any_scalar = tree.scalar is not None and tree.scalar.type == "JSON" and tree.scalar.values is None
        return is_any_scalar and isinstance(tree.object, Free) and isinstance(tree.list, Free)
    return isinstance(tree, Free)


def _look_into(texts: pl.DataFrame, tree: Tree, path: Path) -> pl.DataFrame:
    """Drift in JSON texts (columns entity_id, value) that stand at one place; each distinct text is walked once."""
    rows: list[tuple[str, str, str]] = []
    to_read: dict[tuple[Leaf, str], list[tuple[str, Any]]] = {}
    for text in texts["value"].drop_nulls().unique().to_list():
        walk = _Walk(_name_of_value)
        walk.visit(json.loads(text, parse_int=_number), tree, path)
        rows += [(text, pointer, kind) for pointer, kind in walk.drift]
        for leaf, pointer, value in walk.to_read:
            to_read.setdefault((leaf, pointer), []).append((text, value))
    found = pl.DataFrame(rows, schema={"text": pl.String, "json_pointer": pl.String, "kind": pl.String}, orient="row")
    parts = [texts.join(found, left_on="value", right_on="text").select(list(COLUMNS))]
    for (leaf, pointer), values in to_read.items():
        frame = pl.DataFrame(values, schema={"text": pl.String, "read": _DTYPES[leaf.type]}, orient="row", strict=False)
        owners = texts.join(frame, left_on="value", right_on="text").select("entity_id", value=pl.col("read"))
        parts += _unread(owners, leaf, pointer)
    return pl.concat(parts).unique(maintain_order=True)


# --- words and instants ------------------------------------------------------------------------------------------


def _read(values: pl.DataFrame, tree: Tree, path: Path) -> Iterator[pl.DataFrame]:
    """Drift in decoded values (columns entity_id, value) that only the values themselves show."""
    if not _is_read(tree):
        return
    values = values.filter(pl.col("value").is_not_null())
    if isinstance(tree, dict):
        fields = values["value"].struct.unnest()  # not struct.field(name), which takes names for patterns
        for name, child in tree.items():
            if _is_read(child):
                yield from _read(values.select("entity_id", value=fields.get_column(name)), child, (*path, name))
    elif isinstance(tree, list):
        yield from _read(values.filter(pl.col("value").list.len() > 0).explode("value"), tree[0], (*path, None))
    elif isinstance(tree, OneOf):
        yield _look_into(values, tree, path)
    elif isinstance(tree, Leaf):
        if tree.type == "JSON":
            values = values.with_columns(plain(pl.col("value")))
        if tree.values is not None:
            is_known = pl.col("value").is_in(sorted(tree.values)) | pl.col("value").str.contains(_MASK)
            yield _rows(values.filter(~is_known), _pointer(path), "unknown_value")
        if tree.read is not None:
            yield from _unread(values, tree, _pointer(path))


def _unread(values: pl.DataFrame, leaf: Leaf, pointer: str) -> Iterator[pl.DataFrame]:
    if leaf.read is not None:
        yield _rows(values.filter(pl.col("value").is_not_null() & leaf.read(pl.col("value")).is_null()), pointer, "type_change")


def _rows(values: pl.DataFrame, pointer: str, kind: str) -> pl.DataFrame:
    return values.select("entity_id", json_pointer=pl.lit(pointer), kind=pl.lit(kind)).unique(maintain_order=True)


def _is_read(tree: Tree | None) -> bool:
    """Whether a tree holds a leaf whose values must be looked at."""
    if isinstance(tree, dict):
        return any(_is_read(child) for child in tree.values())
    if isinstance(tree, list):
        return _is_read(tree[0])
    if isinstance(tree, OneOf):
        return _is_read(tree.scalar) or _is_read(tree.object) or _is_read(tree.list)
    return isinstance(tree, Leaf) and (tree.values is not None or tree.read is not None)
