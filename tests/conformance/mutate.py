"""Every way in which one place of a payload may be other than documented, and what a warehouse must then say about it.

Written from the contract, not from the code: `verdict` knows the leaf tree and nothing of decoding or drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import simplejson

from pipelines.jsontext import dump, parse
from pipelines.lake.patterns import name_says_secret
from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree
from tests.conformance.pointers import Path, at, changed, is_there, pointer_of, replaced

Kind = Literal["delete", "rename", "null", "swap", "object", "list", "scalar", "null_list", "word", "twice", "key_twice"]
RETYPES = frozenset({"swap", "object", "list", "scalar", "null_list"})

NUMBER = 808172
"""What a text is swapped for: no other number of a fixture looks like it. As seconds it is a plausible duration, as an instant not."""
TEXT = "808172"
WORD = "never-documented-word"
PLANTED = "Hush-4711-Zebra"
"""Stands in every masked leaf of every mutant; it must be nowhere in the lake."""
_MARK = "@twice@"
_INSIDE_OPEN = object()
_UNDOCUMENTED = object()


@dataclass(frozen=True)
class Mutation:
    """One change at one place."""

    kind: Kind
    path: Path

    def __str__(self) -> str:
        return f"{self.kind} /{'/'.join(map(str, self.path))}"

    @property
    def seen_at(self) -> str:
        """Where drift must show it: the pointer of what stands there now."""
        return pointer_of((*self.path[:-1], renamed(self.path[-1]))) if self.kind == "rename" else pointer_of(self.path)


def renamed(name: str | int) -> str:
    """The name that a field is given instead of its own. It says secret when its own does."""
    return f"renamed_{name}"


def mutations(document: Any, tree: Tree) -> Iterator[Mutation]:
    """Every mutation of every place below the document's root, each once."""
    for path, value in _places(document, ()):
        yield Mutation("delete", path)
        if isinstance(path[-1], str):
            yield Mutation("rename", path)
            yield Mutation("key_twice", path)
        else:
            yield Mutation("twice", path)
        if value is None:
            continue
        yield Mutation("null", path)
        for kind in _retypes(value):
            yield Mutation(kind, path)
        leaf = declared(tree, document, path)
        if isinstance(leaf, Leaf) and isinstance(value, str) and (leaf.values is not None or leaf.read is not None):
            yield Mutation("word", path)


def _places(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, child in items:
        yield (*path, place), child
        yield from _places(child, (*path, place))


def _retypes(value: Any) -> tuple[Kind, ...]:
    if isinstance(value, dict):
        return ("list", "scalar")
    if isinstance(value, list):
        return ("object", "scalar", "null_list")
    return ("swap", "object", "list")


def apply(document: Any, mutation: Mutation) -> tuple[Any, tuple[str, ...]]:
    """A mutated copy and what the strict parser had to repair in it. What is not there (any more) stays as it is."""
    path = mutation.path
    if not is_there(document, path):
        return document, ()
    if mutation.kind == "key_twice":
        return _with_key_twice(document, path)
    value, place = at(document, path), path[-1]
    if mutation.kind == "delete":
        return changed(document, path[:-1], lambda parent: _without(parent, place)), ()
    if mutation.kind == "rename":
        return changed(document, path[:-1], lambda parent: {renamed(k) if k == place else k: v for k, v in parent.items()}), ()
    if mutation.kind == "twice":
        assert isinstance(place, int)
        return changed(document, path[:-1], lambda parent: [*parent[: place + 1], *parent[place:]]), ()
    return replaced(document, path, _instead(mutation.kind, value)), ()


def _instead(kind: Kind, value: Any) -> Any:
    if kind == "swap":
        return NUMBER if isinstance(value, str) else simplejson.dumps(value) if isinstance(value, bool) else TEXT
    changes = {"null": None, "object": {"was": value}, "list": [value], "scalar": TEXT, "null_list": [None], "word": WORD}
    return changes[kind]


def _without(parent: Any, place: str | int) -> Any:
    if isinstance(parent, dict):
        return {name: child for name, child in parent.items() if name != place}
    return [child for number, child in enumerate(parent) if number != place]


def _with_key_twice(document: Any, path: Path) -> tuple[Any, tuple[str, ...]]:
    """The key stands twice in the text, first with another value. JSON's own answer: the last one holds."""
    name = str(path[-1])
    before = {name + _MARK: PLANTED}
    text = dump(changed(document, path[:-1], lambda parent: before | parent))
    return parse(text.replace(_MARK, "").encode())


# --- what the tree says ------------------------------------------------------------------------------------------------


def declared(tree: Tree, document: Any, path: Path) -> Any:
    """The subtree of a place of the document as it was, `_INSIDE_OPEN` within what is not documented further, or `_UNDOCUMENTED`."""
    here: Any = tree
    for place in path:
        if isinstance(here, OneOf):
            here = here.object if isinstance(document, dict) else [here.list] if here.list is not None else None
        if isinstance(here, Free | Headers) or here is _INSIDE_OPEN:
            return _INSIDE_OPEN
        document = document[place]
        if isinstance(here, dict) and isinstance(place, str):
            here = here.get(place, _UNDOCUMENTED)
        elif isinstance(here, list) and isinstance(place, int):
            here = here[0]
        else:
            return _UNDOCUMENTED
        if here is _UNDOCUMENTED:
            return here
    return here


def fits(value: Any, tree: Any) -> bool:
    """Whether a value is of a documented type. None says nothing of a type; a whole number may be an id, so it fits text."""
    if value is None or isinstance(tree, Free | Headers) or tree in (_INSIDE_OPEN, _UNDOCUMENTED):
        return True
    if isinstance(tree, OneOf):
        branch = tree.object if isinstance(value, dict) else tree.list if isinstance(value, list) else tree.scalar
        return branch is not None
    if isinstance(tree, dict | list):
        return isinstance(value, type(tree))
    is_number = isinstance(value, int | simplejson.RawJSON) and not isinstance(value, bool)
    return {
        "JSON": not isinstance(value, dict | list),
        "VARCHAR": isinstance(value, str) or (is_number and not isinstance(value, simplejson.RawJSON)),
        "DOUBLE": is_number,
        "BOOLEAN": isinstance(value, bool),
    }[tree.type]


def verdict(tree: Tree, document: Any, mutation: Mutation) -> str | None:
    """The pointer at which `meta.drift` must show the mutation (if the payload is no reject), None where nothing is new."""
    if mutation.kind == "word":
        return mutation.seen_at
    if mutation.kind == "rename":
        parent = declared(tree, document, mutation.path[:-1])
        if isinstance(parent, OneOf):
            parent = parent.object
        return mutation.seen_at if isinstance(parent, dict) else None
    if mutation.kind in RETYPES:
        subtree = declared(tree, document, mutation.path)
        if mutation.kind == "null_list" and isinstance(subtree, list):
            return None
        value = _instead(mutation.kind, at(document, mutation.path))
        return None if fits(value, subtree) else mutation.seen_at
    return None


# --- secrets -----------------------------------------------------------------------------------------------------------


def plant(document: Any, tree: Any) -> tuple[Any, list[Path]]:
    """A copy with `PLANTED` in every text or number of a masked leaf, and where that is."""
    paths = [path for path, value in _places(document, ()) if _is_scalar(value) and _is_masked(tree, document, path)]
    for path in paths:
        document = replaced(document, path, PLANTED)
    return document, paths


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | simplejson.RawJSON) and not isinstance(value, bool) and value != ""


def _is_masked(tree: Tree, document: Any, path: Path) -> bool:
    for end in range(len(path) + 1):  # a masked object masks all that is in it
        subtree = declared(tree, document, path[:end])
        if isinstance(subtree, OneOf) and end == len(path):
            subtree = subtree.scalar
        if isinstance(subtree, Leaf | Free) and subtree.masking == "mask":
            return True
    return False


def hides(mutation: Mutation, planted: list[Path]) -> bool:
    """Whether the mutation makes a masked leaf one that nobody can know as a secret: undocumented, and its name does not say it."""
    if mutation.kind != "rename":
        return False
    below = [path for path in planted if path[: len(mutation.path)] == mutation.path]
    names = [next(str(place) for place in reversed(path) if isinstance(place, str)) for path in below]
    return any(not name_says_secret(name) for name in names)
