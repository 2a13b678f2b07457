"""Every field path and every enum word of Datadog's v1 documents is declared in the leaf trees, and every place is one of a leaf.

The documents are parsed as they stand beside the checkout: the page "Get an API test result" (a table of parent and field) and the schemas
of the vendor's v1 OpenAPI as text. Skipped where they are not at hand.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.providers.datadog import PROVIDER, places
from pipelines.providers.datadog.leaves import STEP_DEPTH
from pipelines.schemas import CORE
from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree
from pipelines.schemas.places import Places

SHARED = Path(__file__).resolve().parents[3] / "shared"
PAGE = SHARED / "docs/datadog-get-an-api-test-result.md"
SCHEMAS = SHARED / "specs/datadog_v1_result_schemas.txt"

documents = pytest.mark.skipif(not (PAGE.is_file() and SCHEMAS.is_file()), reason="the vendor's documents are not beside this checkout")

ENTITIES = {
    "tests": "SyntheticsTestDetailsWithoutSteps",
    "api_result_rows": "SyntheticsAPITestResultShort",
    "api_results": "SyntheticsAPITestResultFull",
    "browser_result_rows": "SyntheticsBrowserTestResultShort",
    "browser_results": "SyntheticsBrowserTestResultFull",
}

PLACES = {
    "tests": places.TEST_PLACES,
    "api_result_rows": places.API_ROW_PLACES,
    "api_results": places.API_RESULT_PLACES,
    "browser_result_rows": places.BROWSER_ROW_PLACES,
    "browser_results": places.BROWSER_RESULT_PLACES,
}

READS = {
    "string": {"VARCHAR", "JSON"},
    "number": {"DOUBLE", "JSON"},
    "integer": {"DOUBLE", "VARCHAR", "JSON"},
    "boolean": {"BOOLEAN", "JSON"},
    "any": {"JSON"},
}
"""JSON types as documented -> column types that read them without loss."""


@dataclass(frozen=True)
class Field:
    """One documented leaf: JSON pointer with `*` for list places, JSON type, enum words."""

    pointer: str
    kind: str
    words: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------- the page's table

_PAGE_TYPES = {"int64": "integer", "int32": "integer", "double": "number", "date-time": "string", "enum": "string", "": "any"}


def page_fields(text: str) -> list[Field]:
    """The rows of the table, which name only their parent: each stands below the nearest row above that can hold it."""
    model = text.split('{% tab title="200" %}', 1)[1].split('{% tab title="Example" %}', 1)[0]
    fields: list[Field] = []
    above: list[tuple[str, str, bool]] = []  # name, pointer below it, whether it can hold others
    for line in model.splitlines():
        if not line.startswith("|") or line.startswith(("| ---", "| Parent field")):
            continue
        parent, name, kind, meaning = (cell.strip() for cell in line.strip().strip("|").split(" |", 3))
        name = name.removesuffix(" [*required*]")
        if parent != "additionalProperties":
            while above and not (above[-1][0] == parent and above[-1][2]):
                above.pop()
            assert above or not parent, line
        pointer = above[-1][1] if above else ""
        if not name.startswith("Option "):
            pointer += f"/{name}"
        element = kind.removeprefix("[").removesuffix("]").strip()
        if kind.startswith("["):
            pointer += "/*"
        is_holder = element in ("object", "<oneOf>") or "[ <oneOf>]" in kind
        if not is_holder:
            found = re.search(r"Allowed enum values: `([^`]+)`", meaning)
            words = tuple(found[1].split(",")) if found else ()
            # the table calls the monitor's status an enum and names no word; the schema says that it is an integer
            fields.append(Field(pointer, "integer" if pointer == "/status" else _PAGE_TYPES.get(element, element), words))
        above.append((name, pointer, is_holder))
    return fields


# ------------------------------------------------------------------------------------------------------------ the schemas


def schemas(text: str) -> dict[str, tuple[str, list[str]]]:
    """Schema name -> its header line and its member lines."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("### "):
            members: list[str] = []
            found[line.split()[1]] = line, members
        elif line.startswith("    "):
            members.append(line.strip())
    return found


def schema_fields(known: dict[str, tuple[str, list[str]]], name: str, pointer: str = "", above: tuple[str, ...] = ()) -> Iterator[Field]:
    """All leaves below a schema; a schema that holds itself is followed as deep as the trees declare it."""
    if above.count(name) == STEP_DEPTH:
        return
    header, members = known[name]
    alternatives = re.search(r"oneOf=(\[.*?\])", header)
    words = re.search(r"enum=(\[.*?\])", header)
    kind = header.split()[2]
    if alternatives:
        for each in ast.literal_eval(alternatives[1]):
            yield from schema_fields(known, each, pointer, (*above, name))
    elif kind == "array":
        yield from _typed(known, members[0].removeprefix("items "), f"{pointer}/*", (*above, name))
    elif kind == "object" and not members:
        yield Field(f"{pointer}/any", "any")
    elif kind == "object":
        for member in members:
            field, _, rest = member.partition(" : ")
            yield from _typed(known, rest.split(" — ")[0].split()[0], f"{pointer}/{field}", (*above, name))
    else:
        yield Field(pointer, kind, tuple(map(str, ast.literal_eval(words[1]))) if words else ())


def _typed(known: dict[str, tuple[str, list[str]]], kind: str, pointer: str, above: tuple[str, ...]) -> Iterator[Field]:
    if kind.startswith("["):
        yield from _typed(known, kind.strip("[]"), f"{pointer}/*", above)
    elif kind.startswith("->"):
        yield from schema_fields(known, kind.removeprefix("->"), pointer, above)
    else:
        plain = kind.split("/")[0]
        yield Field(f"{pointer}/any" if plain == "object" else pointer, "any" if plain in ("None", "object") else plain)


# --------------------------------------------------------------------------------------------------------------- the trees


def undeclared(tree: Tree, fields: list[Field]) -> list[str]:
    """What of the documented fields the tree does not hold, or would not read without loss."""
    lacks = []
    for field in fields:
        below = _below(tree, field.pointer)
        if below is None:
            lacks.append(f"{field.pointer} is not declared")
        elif isinstance(below, Leaf):
            if below.type not in READS[field.kind]:
                lacks.append(f"{field.pointer} is {field.kind}, declared as {below.type}")
            lacks += [f"{field.pointer} lacks the word {word}" for word in field.words if word not in (below.values or ())]
    return lacks


def _below(tree: Tree, pointer: str) -> Leaf | Free | Headers | None:
    found: Tree | None = tree
    for token in pointer.split("/")[1:]:
        if isinstance(found, Free | Headers):
            return found
        if isinstance(found, OneOf):
            found = found.list if token == "*" else found.object
            if token != "*" and isinstance(found, dict):
                found = found.get(token)
        elif isinstance(found, list):
            found = found[0] if token == "*" else None
        elif isinstance(found, dict):
            found = found.get(token)
        else:
            return None
    if isinstance(found, OneOf):
        found = found.scalar
    return found if isinstance(found, Leaf | Free | Headers) else None


# ----------------------------------------------------------------------------------------------------------------- promises


@documents
def test_every_field_and_word_of_the_result_page_is_declared() -> None:
    fields = page_fields(PAGE.read_text())
    assert len(fields) > 150
    assert {
        "/check/config/assertions/*/target/jsonPath",
        "/check/config/request/proxy/headers/<any-key>",
        "/result/cert/subject/altName",
    } <= {field.pointer for field in fields}
    assert undeclared(PROVIDER.endpoint("api_results").tree, fields) == []


@documents
@pytest.mark.parametrize("endpoint", ENTITIES)
def test_every_field_and_word_of_the_schemas_is_declared(endpoint: str) -> None:
    fields = list(schema_fields(schemas(SCHEMAS.read_text()), ENTITIES[endpoint]))
    assert fields
    assert undeclared(PROVIDER.endpoint(endpoint).tree, fields) == []


def test_a_field_a_word_and_a_type_that_no_tree_declares_are_told() -> None:
    tree: Tree = {"known": Leaf("VARCHAR", values=frozenset({"a"})), "listed": [{"inner": Leaf("DOUBLE")}]}
    fields = [Field("/known", "string", ("a", "b")), Field("/listed/*/inner", "string"), Field("/listed/*/other", "number")]
    assert undeclared(tree, fields) == [
        "/known lacks the word b",
        "/listed/*/inner is string, declared as DOUBLE",
        "/listed/*/other is not declared",
    ]


@pytest.mark.parametrize("endpoint", PLACES)
def test_every_declared_place_is_one_of_a_declared_leaf_in_a_declared_column(endpoint: str) -> None:
    tree, declared = PROVIDER.endpoint(endpoint).tree, PLACES[endpoint]
    assert {pointer for pointer in [*declared.to, *declared.forms, *declared.samples] if not _holds(tree, pointer)} == set()
    for pointer, names in ((pointer, names) for pointer, sets in declared.forms.items() for names in sets):
        assert {name for name in names if not _holds(tree, f"{pointer}/{name}")} == set(), pointer
    assert {column for column in _columns(declared) if column.split(".")[1] not in CORE[column.split(".")[0]].columns} == set()


def _holds(tree: Tree, pointer: str) -> bool:
    nodes: list[Tree] = [tree]
    for token in pointer.split("/")[1:]:
        below: list[Tree] = []
        for node in nodes:
            for each in [node.object, node.list and [node.list]] if isinstance(node, OneOf) else [node]:
                if isinstance(each, dict) and token in each:
                    below.append(each[token])
                elif isinstance(each, list) and token == "*":
                    below.append(each[0])
        nodes = below
    return bool(nodes)


def _columns(declared: Places) -> set[str]:
    return {target.column for pointer in declared.to for target in declared.of(pointer)}
