"""What payloads hold that is not documented: unknown fields, changed types, unknown enum values, instants that cannot be read.

Never keeps a value, only pointers; nothing is masked here (names that are secrets were masked before landing). Exact, and no value
is walked in Python:
1. Of payloads that are not surely documented (`pipelines.transform.conforming`), distinct shapes (DuckDB's `json_structure`) are compared
   with the declared tree.
2. Where a list's shape does not tell (it says "JSON" for `{}` and for mixed kinds), its elements are texts that have shapes of their own.
3. Words and instants are looked at in the decoded columns; the texts of every OneOf, which is decoded as JSON text, are decoded together,
   each distinct one once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree, structure
from pipelines.transform.conforming import conforming
from pipelines.transform.decode import ask
from pipelines.transform.expressions import plain

if TYPE_CHECKING:  # a sync's first request does not wait for it
    import duckdb

COLUMNS = {"entity_id": pl.String, "json_pointer": pl.String, "kind": pl.String}

Path = tuple[str | None, ...]
"""Field names from the root; None is every element of a list. A tree has no field named `*`: pointers could not tell it from a list."""

_Place = tuple[pl.Series, pl.Series, Tree, Path]
"""Owners and values, what is documented of those and where they stand."""

_ACCEPTED = {
    "VARCHAR": frozenset({"VARCHAR", "BIGINT", "UBIGINT", "HUGEINT"}),
    "DOUBLE": frozenset({"DOUBLE", "BIGINT", "UBIGINT", "HUGEINT"}),
    "BOOLEAN": frozenset({"BOOLEAN"}),
    "JSON": frozenset({"VARCHAR", "DOUBLE", "BIGINT", "UBIGINT", "HUGEINT", "BOOLEAN"}),
}
"""JSON types (as json_structure names them) that a declared type reads without loss."""

_MASK = r"^\*\*\*[0-9a-f]{12}$"
"""A masked text: what stood there was seen by the redactor, and whether it was a documented word cannot be known."""


def find_drift(payloads: pl.DataFrame, decoded: pl.DataFrame, tree: Tree, *, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows (entity_id, json_pointer, kind) of what is not documented in these payloads, at most one per pointer and kind.

    `payloads` has entity_id and payload, `decoded` entity_id and doc. List places are `*` in pointers. A null where a value is
    documented is no drift; maps with free names (`Free`, `Headers`) are not looked into; an undocumented field is not either.
    """
    parts = [pl.DataFrame(schema=COLUMNS)]
    doubtful = payloads.filter(~conforming(payloads["payload"], tree)).select("entity_id", value="payload")
    if doubtful.height:
        parts += _undocumented(doubtful, tree, (), connection)
    readable = _readable(tree)
    if readable is not None and "doc" in decoded.columns:
        parts.append(_unread([(decoded["entity_id"], decoded["doc"], readable, ())], connection))
    return pl.concat(parts).unique(maintain_order=True)


def escape(name: str) -> str:
    """A field name as one JSON pointer token."""
    return name.replace("~", "~0").replace("/", "~1")


# --- types and names ---------------------------------------------------------------------------------------------


def _undocumented(texts: pl.DataFrame, tree: Tree, path: Path, connection: duckdb.DuckDBPyConnection) -> Iterator[pl.DataFrame]:
    """Drift in JSON texts (columns entity_id, value) that stand at one place: fields and types, by their distinct shapes."""
    texts = texts.with_row_index("row")
    found = ask(
        connection,
        "SELECT TRY(json_structure(value))::VARCHAR AS shape, list(row)::UINTEGER[] AS row FROM rows_in GROUP BY 1",
        texts,
    ).drop_nulls("shape")  # what is no JSON is a reject
    drift: list[tuple[int, str, str]] = []
    unsure: dict[Path, tuple[Tree, list[int]]] = {}
    for number, shape in enumerate(found["shape"]):
        walk = _Walk()
        walk.visit(json.loads(shape), tree, path)
        drift += [(number, pointer, kind) for pointer, kind in walk.drift]
        for place, subtree in walk.unsure.items():
            unsure.setdefault(place, (subtree, []))[1].append(number)
    for number, pointer, kind in drift:
        yield _rows(texts["entity_id"].gather(found["row"][number]), pointer, kind)
    for place, (subtree, numbers) in unsure.items():
        there = texts[found["row"].gather(numbers).explode(), ["entity_id", "value"]]
        yield from _undocumented(_texts_at(there, place[len(path) :], connection), subtree, place, connection)


def _texts_at(texts: pl.DataFrame, path: Path, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Columns entity_id and value: the JSON texts at a declared place below these, a list's place among its names."""
    names = ("[*]" if name is None else '."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in path)
    return ask(
        connection,
        "SELECT entity_id, unnest(json_extract(value, ?))::VARCHAR AS value FROM rows_in",
        texts,
        ["$" + "".join(names)],
    )


class _Walk:
    """One shape beside its declared tree. `drift`: pointers and kinds. `unsure`: places where the shape does not tell."""

    def __init__(self) -> None:
        self.drift: set[tuple[str, str]] = set()
        self.unsure: dict[Path, Tree] = {}

    def visit(self, shape: Any, tree: Tree, path: Path, *, is_one: bool = True) -> None:
        """`is_one`: the shape is of one value, and not of all elements of a list."""
        if shape == "NULL" or isinstance(tree, Free):
            return
        if shape == "JSON":
            if not is_one:
                if not _takes_anything(tree):
                    self.unsure[path] = tree
                return
            shape = {}
        if isinstance(tree, OneOf):
            branch: Tree | None = tree.scalar
            if isinstance(shape, dict):
                branch = tree.object
            elif isinstance(shape, list):
                branch = None if tree.list is None else [tree.list]
            if branch is None:
                self.drift.add((_pointer(path), "type_change"))
            else:
                self.visit(shape, branch, path, is_one=is_one)
        elif isinstance(tree, dict) and isinstance(shape, dict):
            for field, child in shape.items():
                below = tree.get(field)
                if below is None:
                    self.drift.add((_pointer((*path, field)), "unknown_field"))
                elif not (child == "NULL" or (isinstance(below, Leaf) and isinstance(child, str) and child in _ACCEPTED[below.type])):
                    self.visit(child, below, (*path, field), is_one=is_one)
        elif isinstance(tree, list) and isinstance(shape, list):
            self.visit(shape[0], tree[0], (*path, None), is_one=False)
        elif isinstance(tree, Leaf) and isinstance(shape, str):
            if shape not in _ACCEPTED[tree.type]:
                self.drift.add((_pointer(path), "type_change"))
        elif not (isinstance(tree, Headers) and isinstance(shape, dict | list)):
            self.drift.add((_pointer(path), "type_change"))


def _pointer(path: Path) -> str:
    return "".join("/*" if name is None else f"/{escape(name)}" for name in path)


def _takes_anything(tree: Tree) -> bool:
    if isinstance(tree, OneOf):
        is_any_scalar = tree.scalar is not None and tree.scalar.type == "JSON" and tree.scalar.values is None
        return is_any_scalar and isinstance(tree.object, Free) and isinstance(tree.list, Free)
    return isinstance(tree, Free)


# --- words and instants ------------------------------------------------------------------------------------------


def _unread(places: Iterable[_Place], connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Drift in decoded values that only the values themselves show. Owners are entity ids."""
    texts: list[_Place] = []
    parts = [pl.DataFrame(schema=COLUMNS), *(part for place in places for part in _odd(place, texts))]
    if not texts:
        return pl.concat(parts)
    owned = pl.concat(
        pl.DataFrame([owners.alias("entity_id"), values.alias("value")]).with_columns(place=pl.lit(str(number)))
        for number, (owners, values, _, _) in enumerate(texts)
    ).drop_nulls("value")
    distinct = owned.select("place", "value").unique().with_row_index("row").with_columns(pl.col("row").cast(pl.String))
    trees: dict[str, Tree] = {str(number): _only(tree) for number, (_, _, tree, _) in enumerate(texts)}
    decoded = ask(
        connection,
        # Each text as the only field of an object, named after its place: one statement decodes texts of many trees.
        """SELECT row, json_transform('{"' || place || '":' || value || '}', ?) AS value FROM rows_in""",
        distinct,
        [json.dumps(structure(trees))],
    )
    fields = decoded["value"].struct.unnest()
    below = [(decoded["row"], fields[place], tree, texts[int(place)][3]) for place, tree in trees.items()]
    odd = _unread(below, connection).rename({"entity_id": "row"})
    parts.append(odd.join(distinct, on="row").join(owned, on=["place", "value"]).select(list(COLUMNS)))
    return pl.concat(parts)


def _odd(place: _Place, texts: list[_Place]) -> Iterator[pl.DataFrame]:
    """What cannot be read of the values at a place and in the lists below it; `texts` gets what is JSON text still."""
    owners, column, whole, root = place
    leaves: list[tuple[pl.Series, Leaf, str]] = []
    for values, tree, path in _columns(column, whole, root):
        if isinstance(tree, Leaf):
            leaves.append((values, tree, _pointer(path)))
        elif isinstance(tree, list):
            there = pl.DataFrame([owners.alias("owner"), values.alias("value")]).lazy().filter(pl.col("value").list.len() > 0)
            items = there.explode("value").drop_nulls("value").collect()
            yield from _odd((items["owner"], items["value"], tree[0], (*path, None)), texts)
        elif isinstance(tree, OneOf):
            texts += ((owners, *each, path) for each in _alternatives(values, tree))
    if leaves:
        yield from _odd_leaves(owners, leaves)


def _columns(values: pl.Series, tree: Tree, path: Path) -> Iterator[tuple[pl.Series, Tree, Path]]:
    """What structs hold: leaves, lists and texts, each with its tree and place; where all is null, nothing."""
    if values.null_count() == len(values):
        return
    if isinstance(tree, dict):
        fields = values.struct.unnest()  # not struct.field(name), which takes names for patterns
        for name, child in tree.items():
            yield from _columns(fields.get_column(name), child, (*path, name))
    else:
        yield values, tree, path


def _alternatives(texts: pl.Series, tree: OneOf) -> Iterator[tuple[pl.Series, Tree]]:
    """The texts of a OneOf that are an alternative with something to read, and that alternative."""
    frame, first = texts.alias("text").to_frame(), pl.col("text").str.slice(0, 1)
    for branch, is_it in (
        (tree.object, first == "{"),
        (None if tree.list is None else [tree.list], first == "["),
        (tree.scalar, ~first.is_in(["{", "["])),
    ):
        if branch is not None:
            yield frame.select(pl.when(is_it).then("text")).to_series(), branch


def _odd_leaves(owners: pl.Series, leaves: list[tuple[pl.Series, Leaf, str]]) -> Iterator[pl.DataFrame]:
    """Values at one place that are no documented word, or that a leaf's `read` makes NULL."""
    checks: list[tuple[pl.Expr, str, str]] = []
    for number, (_, leaf, pointer) in enumerate(leaves):
        value = plain(pl.col(str(number))) if leaf.type == "JSON" else pl.col(str(number))
        if leaf.values is not None:
            checks.append((~value.is_in(sorted(leaf.values)) & ~value.str.contains(_MASK), pointer, "unknown_value"))
        if leaf.read is not None:
            checks.append((value.is_not_null() & leaf.read(value).is_null(), pointer, "type_change"))
    frame = pl.DataFrame([values.alias(str(number)) for number, (values, _, _) in enumerate(leaves)])
    is_there = frame.select(is_odd.any().alias(str(number)) for number, (is_odd, _, _) in enumerate(checks)).row(0)
    for is_odd, pointer, kind in compress(checks, is_there):
        yield _rows(owners.filter(frame.select(is_odd.fill_null(value=False)).to_series()), pointer, kind)


def _rows(owners: pl.Series, pointer: str, kind: str) -> pl.DataFrame:
    return pl.DataFrame([owners.alias("entity_id")]).with_columns(json_pointer=pl.lit(pointer), kind=pl.lit(kind))


def _readable(tree: Tree | None) -> Tree | None:
    """What of a tree has values that must be looked at."""
    if isinstance(tree, dict):
        return {name: kept for name, child in tree.items() if (kept := _readable(child)) is not None} or None
    if isinstance(tree, list):
        element = _readable(tree[0])
        return None if element is None else [element]
    if isinstance(tree, OneOf):
        scalar, object_, below = _readable(tree.scalar), _readable(tree.object), _readable(tree.list)
        if scalar is None and object_ is None and below is None:
            return None
        return OneOf(scalar if isinstance(scalar, Leaf) else None, object_ if isinstance(object_, dict) else None, below)
    return tree if isinstance(tree, Leaf) and (tree.values is not None or tree.read is not None) else None


def _only(tree: Tree) -> Tree:
    """A readable tree in which a OneOf is its object or its list where that is all of it: one decoding does."""
    if isinstance(tree, dict):
        return {name: _only(child) for name, child in tree.items()}
    if isinstance(tree, list):
        return [_only(tree[0])]
    if isinstance(tree, OneOf) and tree.scalar is None:
        if tree.list is None and tree.object is not None:
            return _only(tree.object)
        if tree.object is None and tree.list is not None:
            return [_only(tree.list)]
    return tree
