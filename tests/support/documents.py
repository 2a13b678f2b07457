"""The vendors' documents that stand beside the checkout: which fields and words they name, and whether a leaf tree declares them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.schemas.leaves import Free, Headers, Leaf, Tree

SHARED = Path(__file__).resolve().parents[3] / "shared"

_READS: dict[type, tuple[str, ...]] = {
    str: ("VARCHAR", "JSON"),
    bool: ("BOOLEAN", "JSON"),
    int: ("DOUBLE", "VARCHAR", "JSON"),
    float: ("DOUBLE", "JSON"),
}
"""What a JSON value is -> leaf types that read it without loss."""


@dataclass(frozen=True)
class Named:
    """A field that a document names: pointer with `*` for list places, the value or the words that it shows."""

    pointer: str
    value: Any = None
    words: tuple[str, ...] = ()


def fields_of(value: Any, pointer: str = "") -> Iterator[Named]:
    """Every field of an example document, objects and lists too."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield Named(f"{pointer}/{name}", None if isinstance(child, dict | list) else child)
            yield from fields_of(child, f"{pointer}/{name}")
    elif isinstance(value, list):
        for child in value:
            yield from fields_of(child, f"{pointer}/*")


def compact_fields(text: str) -> Iterator[Named]:
    """The fields of a line like `run{id,type act|assert,results[]{step_number,actions[]}}`; remarks in brackets are left out."""
    above: list[str] = []
    at, is_name = "", True
    for token in re.findall(r"[\w|]+|[{}\[\],]", re.sub(r"\([^()]*\)|:null|\|null", "", text)):
        below = above[-1] if above else ""
        if token == "{":
            above.append(at)
        elif token == "}":
            above.pop()
        elif token == "[":
            at += "/*"
        elif token != "]" and token != "," and is_name:
            at = f"{below}/{token}"
            yield Named(at)
        elif "|" in token:
            yield Named(at, words=tuple(token.split("|")))
        is_name = token in "{," or (is_name and token == "[")


def undeclared(tree: Tree, named: Iterator[Named]) -> list[str]:
    """What the tree does not declare, would not read without loss, or lacks a word for; `<string>` is no word."""
    lacks = []
    for field in named:
        node = _at(tree, field.pointer)
        words = field.words or ((field.value,) if isinstance(field.value, str) and not field.value.startswith("<") else ())
        if node is None:
            lacks.append(f"{field.pointer} is not declared")
        elif isinstance(node, Leaf):
            if field.value is not None and node.type not in _READS[type(field.value)]:
                lacks.append(f"{field.pointer} is {type(field.value).__name__}, declared as {node.type}")
            if field.words or node.values is not None:
                lacks += [f"{field.pointer} lacks the word {word}" for word in words if word not in (node.values or ())]
    return lacks


def _at(tree: Tree, pointer: str) -> Tree | None:
    node: Tree | None = tree
    for token in pointer.split("/")[1:]:
        if isinstance(node, Free | Headers):
            return node
        if isinstance(node, list) and token == "*":
            node = node[0]
        elif isinstance(node, dict):
            node = node.get(token)
        else:
            return None
    return node
