"""One fast parse passes what is documented, and leaves to the slow look whatever it is not sure of."""

from __future__ import annotations

import json

import polars as pl
import pytest

from pipelines.jsontext import dump
from pipelines.providers import load_providers
from pipelines.schemas.leaves import FLAG, FREE, HEADERS, NUMBER, RAW, TEXT, OneOf, Tree
from pipelines.transform.conforming import conforming
from tests.conformance.fixtures import load_fixtures

TREE: Tree = {
    "id": TEXT,
    "ms": NUMBER,
    "ok": FLAG,
    "raw": RAW,
    "free": FREE,
    "headers": HEADERS,
    "tags": [TEXT],
    "target": OneOf(scalar=TEXT, object={"path": TEXT}, list=TEXT),
    "any": OneOf(scalar=RAW, object=FREE, list=FREE),
}


@pytest.mark.parametrize(
    ("payload", "is_sure"),
    [
        (
            '{"id":7,"ms":3,"ok":true,"raw":-1.5,"free":[{}],"headers":{"a":1},"tags":["x",null],"target":{"path":"a"},"any":{"b":[1]}}',
            True,
        ),
        ('{"id":null,"ms":null,"ok":null,"raw":null,"free":null,"headers":null,"tags":null,"target":null,"any":null}', True),
        ('{"headers":[{"name":"a"}],"target":["a"],"any":[1]}', True),
        ("{}", True),
        ('{"new":1}', False),
        ('{"id":1.0}', False),
        ('{"id":true}', False),
        ('{"ms":"1"}', False),
        ('{"ok":1}', False),
        ('{"raw":{}}', False),
        ('{"headers":"a"}', False),
        ('{"tags":{}}', False),
        ('{"tags":[1.5]}', False),
        ('{"target":{"at":"a"}}', False),
        ('{"target":[{}]}', False),
        ('{"id":18446744073709551616}', False),
        ('{"id":', False),
        ("", False),
        ("[]", False),
        ('{"id":"\\ud800"}', False),
        ('{"free":' + "[" * 100_000 + "]" * 100_000 + "}", False),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_only_what_is_surely_documented_is_passed(payload: str, is_sure: bool) -> None:
    assert conforming(pl.Series(["{}", payload]), TREE).to_list() == [True, is_sure]


@pytest.mark.parametrize("name", ['q"t', "b\\s"])
def test_a_field_that_cannot_be_named_leaves_all_to_the_slow_look(name: str) -> None:
    assert conforming(pl.Series(["{}", '{"id":1}']), {"id": TEXT, name: TEXT}).to_list() == [False, False]


@pytest.mark.parametrize("name", sorted(load_providers()))
def test_fixtures_without_drift_are_passed(name: str) -> None:
    fixtures = load_fixtures(load_providers()[name])
    documented = [each for each in fixtures.fixtures if "drift" not in json.loads(each.rows_path.read_text())]
    assert documented
    assert [each.name for each in documented if not conforming(pl.Series([dump(each.document)]), each.endpoint.tree).all()] == []
