"""Places in a document: paths, JSON pointers, and copies of a document that differ at one place. Nothing is changed in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipelines.transform.drift import escape

Path = tuple[str | int, ...]


def find(document: Any, pointer: str) -> list[Path]:
    """The paths in the document that a pointer names; `*` stands for every place of a list."""
    found: list[tuple[Path, Any]] = [((), document)]
    for token in pointer.split("/")[1:]:
        found = [((*path, place), value) for path, here in found for place, value in _below(here, token)]
    return [path for path, _ in found]


def _below(here: Any, token: str) -> list[tuple[str | int, Any]]:
    if isinstance(here, list):
        return [(place, child) for place, child in enumerate(here) if token in ("*", str(place))]
    name = token.replace("~1", "/").replace("~0", "~")
    return [(name, here[name])] if isinstance(here, dict) and name in here else []


def at(document: Any, path: Path) -> Any:
    """The value at a path. Raises KeyError, IndexError or TypeError where there is none."""
    for place in path:
        document = document[place]
    return document


def is_there(document: Any, path: Path) -> bool:
    """Whether the document has a value at that path, of the same kinds of parents."""
    for place in path:
        if not isinstance(document, list if isinstance(place, int) else dict):
            return False
        if not (place < len(document) if isinstance(place, int) else place in document):
            return False
        document = document[place]
    return True


def changed(document: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy in which `change` was applied to the value at a path."""
    if not path:
        return change(document)
    place, rest = path[0], path[1:]
    copy: Any = list(document) if isinstance(document, list) else dict(document)
    copy[place] = (
        changed(document[place], rest, change) if rest else change(document.get(place) if isinstance(document, dict) else document[place])
    )
    return copy


def replaced(document: Any, path: Path, value: Any) -> Any:
    """A copy with another value at a path."""
    return changed(document, path, lambda _: value)


def pointer_of(path: Path) -> str:
    """The JSON pointer of a path, `*` for list places."""
    return "".join("/*" if isinstance(place, int) else "/" + escape(place) for place in path)
