"""Where a provider's fixtures are and what they are: the index beside them, read. What is done with them is in `checks`.

Convention. The fixtures of a provider are in `<its folder>/fixtures/`, or for providers of this repository in `tests/fixtures/<name>/`.
`fixtures.json` beside them says which endpoint's payloads the files hold:

    {"endpoints": {"<endpoint>": {
        "files": ["result_*.json"],         the files, by pattern
        "each": "/results",                 optional: the payloads are the elements of this list, not the file itself
        "entity_id": ["/id"],               where the entity's id stands: the first of these that the payload has
        "parent_id": "a-session",           optional: what its parent is called
        "unique": ["/sequenceId"],          optional: other ids, made unique with the entity's when a payload is copied
        "required": ["/test_id"]}},         optional: leaves (with * for list places) that a row cannot do without
     "stories": {"<what happens>": {
        "versions": [{"fixture": "<name>", "set": {"<pointer>": <value>}}, ...],     in the order in which they are fetched
        "results": 2, "executions": 1, "outcomes": ["passed"]}}}   at the end: tries, executions, outcomes of the final tries

A fixture is named by its file's stem; elements of a list by stem and place: `rows-0`. `<name>.rows.json` is what it becomes
(`tests.conformance.expected`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.jsontext import parse
from pipelines.providers.spec import Endpoint, Provider
from tests.conformance.pointers import at, find, replaced

INDEX = "fixtures.json"
REPOSITORY = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class Fixture:
    """One payload of one endpoint."""

    name: str
    endpoint: Endpoint
    document: Any
    folder: Path
    entity_id: tuple[str, ...]
    parent_id: str | None = None
    unique: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def rows_path(self) -> Path:
        """Where its expected rows are kept."""
        return self.folder / f"{self.name}.rows.json"

    def with_document(self, document: Any) -> Fixture:
        """Another document of the same shape and with the same ids."""
        return replace(self, document=document)

    def id_of(self, document: Any) -> str:
        """The entity's id in a document of this shape."""
        for pointer in self.entity_id:
            for path in find(document, pointer):
                return str(at(document, path))
        raise AssertionError(f"{self.folder / self.name}: no entity id at {' or '.join(self.entity_id)}.")

    def copy(self, tag: int) -> tuple[str, str | None, Any]:
        """Entity id, parent id and document of a copy whose ids are its own: 7 digits, equal for what is to stay together, follow them."""
        document = self.document
        for pointer in (*self.entity_id, *self.unique):
            for path in find(document, pointer):
                document = replaced(document, path, tagged(at(document, path), tag))
        parent_id = None if self.parent_id is None else tagged(self.parent_id, tag)
        return self.id_of(document), parent_id, document


@dataclass(frozen=True)
class Story:
    """Versions of entities that belong together, as they are fetched one after the other, and what they come to."""

    name: str
    versions: tuple[Fixture, ...]
    end: tuple[int, int, tuple[str, ...]] | None = None
    """Results, executions and sorted outcomes of the final tries; None where only the orders are compared."""


@dataclass(frozen=True)
class Fixtures:
    """All fixtures of one provider."""

    provider: Provider
    folder: Path
    fixtures: tuple[Fixture, ...]
    stories: tuple[Story, ...] = field(default=())

    def of(self, endpoint: str) -> list[Fixture]:
        """Those of one endpoint."""
        return [fixture for fixture in self.fixtures if fixture.endpoint.name == endpoint]


def tagged(value: Any, tag: int) -> Any:
    """An id with seven digits after it, of the type that it had; other values as they are."""
    if isinstance(value, str):
        return f"{value}-{tag:07}"
    return int(f"{value}{tag:07}") if isinstance(value, int) and not isinstance(value, bool) else value


def folder_of(provider: Provider) -> Path:
    """The folder of a provider's fixtures: in its own folder, else in the repository's tests."""
    module = inspect.getmodule(provider.discover)
    assert module is not None
    assert module.__file__ is not None
    own = Path(module.__file__).parent / "fixtures"
    return own if own.is_dir() else REPOSITORY / provider.name


def load_fixtures(provider: Provider) -> Fixtures:
    """The provider's fixtures. AssertionError with what to add when there are none, or none for an endpoint."""
    folder = folder_of(provider)
    if not (folder / INDEX).is_file():
        raise AssertionError(
            f"{provider.name} has no fixtures: add payloads, and the index {folder / INDEX} (its form: tests/conformance/fixtures.py)."
        )
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    found: list[Fixture] = []
    for endpoint in provider.endpoints:
        if endpoint.name not in index["endpoints"]:
            raise AssertionError(f"{provider.name} has no fixture for its endpoint {endpoint.name}: add one to {folder / INDEX}.")
        found += _of_endpoint(endpoint, index["endpoints"][endpoint.name], folder)
    by_name = {fixture.name: fixture for fixture in found}
    assert len(by_name) == len(found), f"{folder / INDEX} names a file twice"
    stories = tuple(_story(name, told, by_name) for name, told in index.get("stories", {}).items())
    return Fixtures(provider, folder, tuple(found), stories)


def _of_endpoint(endpoint: Endpoint, told: Mapping[str, Any], folder: Path) -> list[Fixture]:
    paths = sorted({path for pattern in told["files"] for path in folder.glob(pattern)} - set(folder.glob("*.rows.json")))
    if not paths:
        raise AssertionError(f"{folder / INDEX}: no file is named {' or '.join(told['files'])}, for {endpoint.name}.")
    found: list[Fixture] = []
    for path in paths:
        whole = parse(path.read_bytes())[0]
        documents = {path.stem: whole}
        if "each" in told:
            (listed,) = find(whole, told["each"])
            documents = {f"{path.stem}-{place}": document for place, document in enumerate(at(whole, listed))}
        found += [
            Fixture(
                name,
                endpoint,
                document,
                folder,
                tuple(told["entity_id"]),
                told.get("parent_id"),
                tuple(told.get("unique", ())),
                tuple(told.get("required", ())),
            )
            for name, document in documents.items()
        ]
    return found


def _story(name: str, told: Mapping[str, Any], fixtures: Mapping[str, Fixture]) -> Story:
    versions: list[Fixture] = []
    for version in told["versions"]:
        fixture = fixtures[version["fixture"]]
        document = fixture.document
        for pointer, value in version.get("set", {}).items():
            parent, _, last = pointer.rpartition("/")
            paths = find(document, parent)
            assert paths, f"story {name!r}: {fixture.name} has nothing at {parent}"
            for path in paths:
                document = replaced(document, (*path, int(last) if isinstance(at(document, path), list) else last), value)
        versions.append(fixture.with_document(document))
    return Story(name, tuple(versions), (told["results"], told["executions"], tuple(sorted(told["outcomes"]))))
