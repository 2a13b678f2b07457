"""Whether a payload has documented fields and types only: asked of msgspec, whose typed decoder refuses all others, in one fast parse.

Says yes or no and never which or where: `pipelines.transform.drift` looks at those that do not conform, and at words and instants.
"""

from __future__ import annotations

from typing import Annotated, Any, Union

import msgspec
import polars as pl

from pipelines.schemas.leaves import Free, Headers, JsonType, Leaf, Tree

_INTEGER = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What DuckDB reads as an integer; larger ones it may not."""

_SCALARS: dict[JsonType, Any] = {
    "VARCHAR": str | _INTEGER,
    "DOUBLE": float,
    "BOOLEAN": bool,
    "JSON": str | _INTEGER | float | bool,
}
"""What `pipelines.transform.drift` accepts of a declared type, or less."""

_decoders: dict[int, tuple[Tree, msgspec.json.Decoder[Any] | None]] = {}
"""By a tree's identity: trees are no keys, and to make a decoder takes longer than to look at a thousand payloads."""


def conforming(payloads: pl.Series, tree: Tree) -> pl.Series:
    """For each JSON text whether all that it holds is surely documented. False also where that cannot be told here."""
    known = _decoders.get(id(tree))
    if known is None:
        known = _decoders[id(tree)] = tree, _decoder(tree)
    decoder = known[1]
    if decoder is None:
        return pl.Series([False]).new_from_index(0, len(payloads))
    return pl.Series((_takes(decoder, payload) for payload in payloads), dtype=pl.Boolean)


def _takes(decoder: msgspec.json.Decoder[Any], payload: str) -> bool:
    try:
        decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _decoder(tree: Tree) -> msgspec.json.Decoder[Any] | None:
    try:
        return msgspec.json.Decoder(_type(tree))
    except ValueError:  # a field's name that msgspec has no place for: a quote, a backslash
        return None


def _type(tree: Tree) -> Any:
    """The type that msgspec checks a tree's values by; null is documented everywhere."""
    if isinstance(tree, Leaf):
        return _SCALARS[tree.type] | None
    if isinstance(tree, Free):
        return msgspec.Raw
    if isinstance(tree, Headers):
        return dict[str, msgspec.Raw] | list[msgspec.Raw] | None
    if isinstance(tree, list):
        return list[_type(tree[0])] | None  # type: ignore[misc]  # a type that is computed
    if isinstance(tree, dict):
        fields = {f"field_{number}": name for number, name in enumerate(tree)}
        return (
            msgspec.defstruct(
                "Documented",
                [(field, _type(tree[name]), None) for field, name in fields.items()],
                rename=fields,
                forbid_unknown_fields=True,
                gc=False,
            )
            | None
        )
    branches = [tree.scalar, tree.object, None if tree.list is None else [tree.list]]
    types = (dict[str, msgspec.Raw] if isinstance(branch, Free) else _type(branch) for branch in branches if branch is not None)
    return Union[*types, None]
