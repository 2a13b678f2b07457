"""Every field and every word that DocketQA's documents name is declared in the leaf trees. Skipped where they are not at hand."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pipelines.providers.docketqa import PROVIDER
from pipelines.schemas.leaves import Leaf, Tree
from tests.support.documents import SHARED, Named, compact_fields, fields_of, undeclared

PAGE = SHARED / "docs/docketqa-get-test-run.txt"
NOTES = SHARED / "providers.md"
EXAMPLES = SHARED / "payloads/docketqa"

needs_documents = pytest.mark.skipif(not PAGE.is_file(), reason="the vendor's documents are not beside this checkout")


def tree(endpoint: str) -> Tree:
    return PROVIDER.endpoint(endpoint).tree


def page_documents(text: str) -> list[Any]:
    """The JSON objects that stand on lines of their own."""
    decoder = json.JSONDecoder()
    return [decoder.raw_decode(text, match.start())[0] for match in re.finditer(r"^\{$", text, re.MULTILINE)]


def noted(text: str, start: str, pointer: str) -> list[Named]:
    """The fields of the notes' line that holds `start`, from there to the next backtick, below `pointer`."""
    line = text[text.index(start) + len(start) :].splitlines()[0].split("`")[0]
    return [
        Named(pointer + field.pointer, words=field.words)
        for field in compact_fields(line.replace("_width/height", "_width,viewport_height"))
    ]


@needs_documents
def test_every_field_and_word_of_the_page_is_declared() -> None:
    schema, example = page_documents(PAGE.read_text())
    assert {"/test_run/blueprint_metadata", "/test_run/results/*/actions", "/test_run/created_at"} <= {
        it.pointer for it in fields_of(schema)
    }
    assert {"/test_run/blueprint_metadata/steps/*/type", "/test_run/results/*/actions/*/screenshot_url"} <= {
        it.pointer for it in fields_of(example)
    }
    for document in (schema, example):
        assert undeclared(tree("test_runs"), fields_of(document)) == []


@needs_documents
@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("test_runs", "doc_get_test_run"),
        ("test_runs", "doc_get_test_run_schema_v2"),
        ("test_group_runs", "doc_trigger_run_response"),
        ("test_group_runs", "doc_webhook_test_group_run_passed"),
    ],
)
def test_every_field_and_word_of_the_examples_is_declared(endpoint: str, name: str) -> None:
    fields = list(fields_of(json.loads((EXAMPLES / f"{name}.json").read_text())))
    assert len(fields) > 10
    assert undeclared(tree(endpoint), iter(fields)) == []


@needs_documents
@pytest.mark.parametrize(
    ("endpoint", "start", "pointer", "count"),
    [
        ("test_runs", "`GET /test_run/{id}` → `", "", 14),
        ("test_runs", "  * `results[]", "/test_run/results/*", 6),
        ("test_runs", "actions[]}`; `actions[]", "/test_run/results/*/actions/*", 5),
        ("test_runs", "`blueprint_metadata` = snapshot: ", "/test_run/blueprint_metadata", 30),
        ("test_group_runs", '`{"test_blueprint_category_id":n}`) → `', "", 18),
        ("test_group_runs", "(GitHub action; adds `", "/test_group_run", 5),
        ("test_group_runs", "; payload `", "", 15),
    ],
)
def test_every_field_and_word_of_the_notes_is_declared(endpoint: str, start: str, pointer: str, count: int) -> None:
    fields = noted(NOTES.read_text(), start, pointer)
    assert len(fields) >= count
    assert undeclared(tree(endpoint), iter(fields)) == []


@needs_documents
def test_every_event_and_end_of_the_notes_is_declared() -> None:
    text = NOTES.read_text()
    events = re.search(r"events `(test_group_run_)(\w+(?:\|\w+)+)`", text)
    ends = re.search(r"Status: (\w+) → (\w+) \| (\w+) \(test run\); group also (\w+)", text)
    assert events
    assert ends
    words = tuple(events[1] + word for word in events[2].split("|"))
    fields = [
        Named("/event", words=words),
        Named("/payload/status", words=ends.groups()),
        Named("/test_group_run/status", words=ends.groups()),
    ]
    assert undeclared(tree("test_group_runs"), iter(fields)) == []
    assert undeclared(tree("test_runs"), iter([Named("/test_run/status", words=ends.groups())])) == []


def test_what_no_tree_declares_is_told() -> None:
    known: Tree = {"kind": Leaf("VARCHAR", values=frozenset({"a"})), "items": [{"count": Leaf("DOUBLE")}]}
    assert undeclared(known, fields_of({"kind": "b", "items": [{"count": "7", "name": 1}]})) == [
        "/kind lacks the word b",
        "/items/*/count is str, declared as DOUBLE",
        "/items/*/name is not declared",
    ]
    assert [(it.pointer, it.words) for it in compact_fields("run{id uuid,type a|b,parts[]{x (of, y),more[{z}]},end:null}")] == [
        ("/run", ()),
        ("/run/id", ()),
        ("/run/type", ()),
        ("/run/type", ("a", "b")),
        ("/run/parts", ()),
        ("/run/parts/*/x", ()),
        ("/run/parts/*/more", ()),
        ("/run/parts/*/more/*/z", ()),
        ("/run/end", ()),
    ]
