"""Every field and every word that Applitools' documents name is declared in the leaf tree. Skipped where they are not at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from pipelines.providers.applitools import PROVIDER
from tests.support.documents import SHARED, Named, compact_fields, fields_of, undeclared

PAGE = SHARED / "docs/applitools-autonomous-get-results.txt"
NOTES = SHARED / "providers.md"
EXAMPLE = SHARED / "payloads/applitools/doc_get_result.json"
TREE = PROVIDER.endpoint("plan_runs").tree

needs_documents = pytest.mark.skipif(not PAGE.is_file(), reason="the vendor's documents are not beside this checkout")


def page_fields(text: str) -> Iterator[Named]:
    """The example of the page, which has lost most of its brackets: what is further in stands below."""
    above: list[tuple[int, str]] = []
    for indent, name, value in re.findall(r'^([ \u00a0]+)"(\w+)": (.+?),?$', text, re.MULTILINE):
        while above and above[-1][0] >= len(indent):
            above.pop()
        pointer = f"{above[-1][1] if above else ''}/{name}"
        if value in ("{", "["):
            above.append((len(indent), pointer + ("/*" if value == "[" else "")))
        yield Named(pointer, None if value in ("{", "[") else json.loads(value))


@needs_documents
def test_every_field_and_word_of_the_page_is_declared() -> None:
    fields = list(page_fields(PAGE.read_text()))
    assert {"/result/environments/*/viewport", "/result/results/unresolved", "/result/tests/*/results/pending"} <= {
        it.pointer for it in fields
    }
    assert undeclared(TREE, iter(fields)) == []


@needs_documents
def test_every_field_and_word_of_the_example_is_declared() -> None:
    example = list(fields_of(json.loads(EXAMPLE.read_text())))
    assert {it.pointer for it in example} == {it.pointer for it in page_fields(PAGE.read_text())}
    assert undeclared(TREE, iter(example)) == []


@needs_documents
def test_every_field_and_status_of_the_notes_is_declared() -> None:
    text = NOTES.read_text()
    line = re.search(r"^Fields: `(result\{id uuid.*)$", text, re.MULTILINE)
    status = re.search(
        r"^Status \(lower case\): ((?:`\w+`, )+`\w+`) terminal .*?; `(\w+)` is also .*?; `(\w+)`/`(\w+)`/missing", text, re.MULTILINE
    )
    assert line
    assert status
    fields = list(compact_fields(line[1].split("`")[0].replace("same five", "failed,passed,aborted,pending,unresolved")))
    assert len(fields) >= 29
    words = (*re.findall(r"\w+", status[1]), *status.groups()[1:])
    assert len(words) == 7
    more = [Named("/result/tests/*/testResultsUrl"), *(Named(f"/result{place}/status", words=words) for place in ("", "/tests/*"))]
    assert undeclared(TREE, iter([*fields, *more])) == []
