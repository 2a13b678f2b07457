"""Every field and every word that Checkly's documents name is declared in the leaf trees. Skipped where they are not at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from pipelines.providers.checkly import PROVIDER
from pipelines.schemas.leaves import NUMBER, TEXT, Free, Headers, Leaf, OneOf, Tree, enum
from tests.support.documents import SHARED

SPEC = SHARED / "specs/checkly_openapi_2026-08-18.json"
PAGES = {"test_sessions": "checkly-retrieve-a-test-session", "test_session_results": "checkly-retrieve-a-test-session-result"}

needs_documents = pytest.mark.skipif(not SPEC.is_file(), reason="the vendor's documents are not beside this checkout")

_LEAVES = {"string": ("VARCHAR", "JSON"), "number": ("DOUBLE", "JSON"), "integer": ("DOUBLE", "JSON"), "boolean": ("BOOLEAN", "JSON")}
"""Type of a schema -> leaf types that read it without loss."""


@cache
def spec() -> Any:
    return json.loads(SPEC.read_text())


def answer(path: str) -> Any:
    """The schema of what a GET answers."""
    return spec()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]


def alternatives(schema: Any) -> Iterator[Any]:
    """The schemas without reference or combination that a schema stands for."""
    if "$ref" in schema:
        target = spec()
        for token in schema["$ref"].removeprefix("#/").split("/"):
            target = target[token]
        yield from alternatives(target)
        return
    for combination in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(combination, ()):
            yield from alternatives(each)
    if "type" in schema or "properties" in schema or "enum" in schema:
        yield schema


def fields(schema: Any, pointer: str = "") -> Iterator[str]:
    """Every field that a schema names."""
    for each in alternatives(schema):
        for name, child in each.get("properties", {}).items():
            yield f"{pointer}/{name}"
            yield from fields(child, f"{pointer}/{name}")
        yield from fields(each.get("items") or {}, f"{pointer}/*")


def free_texts(schema: Any, pointer: str = "") -> Iterator[str]:
    """Where one alternative of a schema is any text, whatever words others have."""
    for each in alternatives(schema):
        if each.get("type") == "string" and "enum" not in each:
            yield pointer
        for name, child in each.get("properties", {}).items():
            yield from free_texts(child, f"{pointer}/{name}")
        yield from free_texts(each.get("items") or {}, f"{pointer}/*")


def lacking(schema: Any, tree: Tree | None) -> list[str]:
    """What of a schema a tree does not declare, would not read without loss, or lacks a word for. Numbers and versions are no words."""
    free = set(free_texts(schema))
    found = {f"{at} lacks the word {word}" if word else at for at, word in _lacking(schema, tree, "") if not (word and at in free)}
    return sorted(found)


def _lacking(schema: Any, tree: Tree | None, pointer: str) -> Iterator[tuple[str, str]]:
    for each in alternatives(schema):
        kind = each.get("type") or ("object" if "properties" in each else "string")
        branch = _branch(tree, kind)
        if branch is None:
            yield f"{pointer} is not declared as {kind}", ""
        elif isinstance(branch, dict):
            for name, child in each.get("properties", {}).items():
                if name in branch:
                    yield from _lacking(child, branch[name], f"{pointer}/{name}")
                else:
                    yield f"{pointer}/{name} is not declared", ""
        elif isinstance(branch, list):
            yield from _lacking(each.get("items") or {}, branch[0], f"{pointer}/*")
        elif isinstance(branch, Leaf):
            for word in each.get("enum", ()):
                if isinstance(word, str) and word[:1].isalpha() and word not in (branch.values or ()):
                    yield pointer, word


def _branch(tree: Tree | None, kind: str) -> Tree | None:
    """The part of a tree that takes values of a kind."""
    if isinstance(tree, OneOf):
        if kind == "array":
            return None if tree.list is None else [tree.list]
        return tree.object if kind == "object" else _branch(tree.scalar, kind)
    takes = {"object": (Free, Headers, dict), "array": (Free, Headers, list)}.get(kind, (Free,))
    if isinstance(tree, Leaf):
        return tree if tree.type in _LEAVES.get(kind, ()) else None
    return tree if isinstance(tree, takes) else None


def _entries(path: str) -> Any:
    """The schema of an element of a list answer, which is the list itself or its `entries`."""
    (listed,) = alternatives(answer(path))
    return (listed.get("properties", {}).get("entries") or listed)["items"]


def documented(endpoint: str) -> Any:
    paths = {
        "test_sessions": "/v1/test-sessions/{testSessionId}",
        "test_session_results": "/v1/test-sessions/{testSessionId}/results/{testSessionResultId}",
    }
    lists = {"test_session_rows": "/v1/test-sessions", "checks": "/v1/checks", "check_results": "/v2/check-results/{checkId}"}
    return answer(paths[endpoint]) if endpoint in paths else _entries(lists[endpoint])


@needs_documents
@pytest.mark.parametrize(
    ("endpoint", "count"),
    [("test_session_rows", 25), ("test_sessions", 45), ("test_session_results", 70), ("checks", 200), ("check_results", 150)],
)
def test_every_field_and_word_of_the_openapi_is_declared(endpoint: str, count: int) -> None:
    assert len(set(fields(documented(endpoint)))) >= count
    assert lacking(documented(endpoint), PROVIDER.endpoint(endpoint).tree) == []


@needs_documents
def test_a_session_result_takes_every_block_that_check_results_document() -> None:
    tree = PROVIDER.endpoint("test_session_results").tree
    blocks = [
        {name: block for name, block in entry["properties"].items() if name.endswith("CheckResult")}
        for entry in alternatives(documented("check_results"))
    ]
    assert [len(each) for each in blocks] == [8, 8]
    for each in blocks:
        assert lacking({"type": "object", "properties": each}, tree) == []


def page_example(text: str) -> Any:
    """The page's example as a schema: null and `<unknown>` may be anything."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {"type": "object", "properties": {name: shape(child) for name, child in value.items()}}
        if isinstance(value, list):
            return {"type": "array", "items": shape(value[0])}
        kinds = {bool: "boolean", int: "number", str: "string"}
        return {} if value in (None, "<unknown>") else {"type": kinds[type(value)]}

    return shape(json.JSONDecoder().raw_decode(text, text.index("\n{\n") + 1)[0])


def page_properties(text: str) -> Any:
    """The page's list of properties as a schema: a name, its type on the next line, its words further down."""
    listed = text[text.index("\nResponse\n") :]
    properties = {}
    found = list(re.finditer(r"^(\w+)\n((?:string|boolean|integer|number|object|enum)\b.*)$", listed, re.MULTILINE))
    for match, following in zip(found, [*found[1:], None], strict=True):
        about = listed[match.end() : following.start() if following else None]
        words = re.search(r"Available options:\s((?:\w+,\s)*\w+)", about)
        kind = match[2].split("<")[0].split("[")[0].split(" ")[0]
        schema: dict[str, Any] = {"type": "string" if kind == "enum" else kind} | ({"enum": re.findall(r"\w+", words[1])} if words else {})
        properties[match[1]] = {"type": "array", "items": schema} if "[]" in match[2] else schema
    return {"type": "object", "properties": properties}


@needs_documents
@pytest.mark.parametrize(("endpoint", "listed", "shown"), [("test_sessions", 8, 25), ("test_session_results", 31, 70)])
def test_every_field_and_word_of_the_page_is_declared(endpoint: str, listed: int, shown: int) -> None:
    text = (SHARED / f"docs/{PAGES[endpoint]}.txt").read_text()
    tree = PROVIDER.endpoint(endpoint).tree
    for schema, count in ((page_properties(text), listed), (page_example(text), shown)):
        assert len(set(fields(schema))) >= count
        assert lacking(schema, tree) == []
    assert page_properties(text)["properties"]["status"]["enum"] == ["RUNNING", "FAILED", "PASSED", "CANCELLED"]


def test_what_no_tree_declares_is_told() -> None:
    tree: Tree = {"kind": enum("a"), "items": [{"count": NUMBER}], "either": OneOf(scalar=TEXT)}
    schema = {
        "properties": {
            "kind": {"type": "string", "nullable": True, "enum": ["a", "b", None]},
            "items": {"type": "array", "items": {"allOf": [{"type": "object", "properties": {"count": {"type": "string"}}}, {}]}},
            "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "string"}}}]},
            "new": {"type": "boolean"},
        }
    }
    assert lacking(schema, tree) == [
        "/either is not declared as object",
        "/items/*/count is not declared as string",
        "/kind lacks the word b",
        "/new is not declared",
    ]
    assert lacking({"anyOf": [schema["properties"]["kind"], {"type": "string"}]}, tree["kind"]) == []
