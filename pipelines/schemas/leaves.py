"""The vocabulary in which a provider declares every documented leaf of its payloads: its type and its masking class.

One declaration drives three things: masking before landing (`pipelines.lake.redact`), the projected struct that payloads are decoded
into (`pipelines.transform.decode`), and drift (`pipelines.transform.drift`). Nothing provider-specific lives here.

A tree is a `Leaf`, a `Free`, a `Headers`, a `OneOf`, a dict of trees (an object) or a one-element list of a tree (a list).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Union

if TYPE_CHECKING:
    import polars as pl

Masking = Literal["keep", "mask", "scrub"]
JsonType = Literal["VARCHAR", "DOUBLE", "BOOLEAN", "JSON"]


@dataclass(frozen=True)
class Leaf:
    """A documented scalar (or, with type JSON, any value kept as JSON text for `attributes`).

    `values` are the documented enum values: another one is drift `unknown_value`.
    `read` is the expression that the flatten reads the value with, where not every value of the type can be read (`from_iso`,
    `from_epoch_ms`): a value that it turns into NULL is drift `type_change`. Of a JSON leaf it is given the plain text.
    """

    type: JsonType
    masking: Masking = "keep"
    values: frozenset[str] | None = None
    read: Callable[[pl.Expr], pl.Expr] | None = None


@dataclass(frozen=True)
class Free:
    """A documented object, list or value whose inside is not documented: decoded as JSON text, masked by name and pattern."""

    masking: Masking = "scrub"


@dataclass(frozen=True)
class Headers:
    """A map of header names to values: names that say auth, token, key, secret, session or cookie are masked, the rest scrubbed."""


@dataclass(frozen=True)
class OneOf:
    """A value documented with several JSON types: decoded as JSON text; each alternative is masked by its own tree."""

    scalar: Leaf | None = None
    object: dict[str, Tree] | Free | None = None
    list: Tree | None = None  # the tree of the elements


Tree = Union[Leaf, Free, Headers, OneOf, dict[str, "Tree"], list["Tree"]]  # noqa: UP007 - `|` cannot join a name with a forward reference

TEXT = Leaf("VARCHAR")
NUMBER = Leaf("DOUBLE")
FLAG = Leaf("BOOLEAN")
RAW = Leaf("JSON")
"""Any scalar that goes to `attributes` as it is."""
SCRUBBED = Leaf("VARCHAR", "scrub")
RAW_SCRUBBED = Leaf("JSON", "scrub")
MASKED = Leaf("JSON", "mask")
FREE = Free()
HEADERS = Headers()


def enum(*values: str) -> Leaf:
    """A text leaf with documented values."""
    return replace(TEXT, values=frozenset(values))


def structure(tree: Tree) -> object:
    """The `json_transform` structure of a tree: nested dicts and lists of DuckDB type names."""
    if isinstance(tree, Leaf):
        return tree.type
    if isinstance(tree, dict):
        return {name: structure(child) for name, child in tree.items()}
    if isinstance(tree, list):
        return [structure(tree[0])]
    return "JSON"
