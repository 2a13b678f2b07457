"""Whatever a payload holds that is not documented is seen, by pointer and without its value; what is documented is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.schemas.leaves import FLAG, FREE, HEADERS, NUMBER, RAW, TEXT, Free, Headers, Leaf, OneOf, Tree, enum
from pipelines.transform.decode import decode
from pipelines.transform.drift import escape, find_drift
from pipelines.transform.expressions import from_epoch_ms, from_iso

CONNECTION = duckdb.connect()

INSTANT = Leaf("VARCHAR", read=from_iso)
EPOCH_MS = Leaf("DOUBLE", read=from_epoch_ms)

TREE: Tree = {
    "id": TEXT,
    "status": enum("passed", "failed"),
    "ms": NUMBER,
    "ok": FLAG,
    "raw": RAW,
    "at": INSTANT,
    "at_ms": EPOCH_MS,
    "raw_at": Leaf("JSON", read=from_iso),
    "free": FREE,
    "headers": HEADERS,
    "tags": [TEXT],
    "sizes": [NUMBER],
    "steps": [{"name": TEXT, "kind": enum("click"), "substeps": [{"name": TEXT, "spans": [{"at": INSTANT}]}]}],
    "meta": {"branch": TEXT, "author": {"name": TEXT}},
    "target": OneOf(scalar=TEXT, object={"path": TEXT}, list=TEXT),
    "config": OneOf(
        object={"assertions": [OneOf(object={"type": enum("body", "header"), "target": OneOf(scalar=RAW, object={"at": INSTANT})})]}
    ),
    "word": OneOf(scalar=enum("yes", "no"), list=enum("a", "b")),
    "any": OneOf(scalar=RAW, object=FREE, list=FREE),
}


def drift(*payloads: str, tree: Tree = TREE) -> set[tuple[str, str]]:
    return {(pointer, kind) for _, pointer, kind in drift_by_payload(payloads, tree)}


def drift_by_payload(payloads: tuple[str, ...], tree: Tree) -> list[tuple[str, str, str]]:
    frame = pl.DataFrame({"entity_id": [str(n) for n in range(len(payloads))], "payload": list(payloads)})
    decoded, _ = decode(frame, tree, connection=CONNECTION)
    return find_drift(frame, decoded, tree, connection=CONNECTION).rows()


# ------------------------------------------------------------------------------------------------- documented


@pytest.mark.parametrize(
    "payload",
    [
        '{"id":"1","status":"passed","ms":1.5,"ok":true,"raw":"x","free":{"a":{"b":1}},"headers":{"X-A":"b"},"steps":[{"name":"x","kind":"click"}]}',
        '{"id":7,"ms":3,"status":null,"steps":null,"meta":null}',
        '{"steps":[],"meta":{},"target":"x"}',
        '{"steps":[{}],"target":{"path":"$.a"}}',
        '{"target":["a"]}',
        "{}",
        '{"meta":{"author":{}},"headers":{},"free":{},"config":{},"target":{},"any":{}}',
        '{"steps":[null,{"name":null,"substeps":[null,{}]}],"tags":[null],"config":{"assertions":[null,{}]},"word":[null]}',
        '{"tags":[1,"a",null],"sizes":[1,-1,2.5],"headers":[{"name":"a","value":1}],"any":[1,"a",{}],"free":[1,{}]}',
        '{"raw":-1,"id":18446744073709551615,"sizes":[-9223372036854775808,18446744073709551615]}',
        '{"at":"2026-03-02T08:00:00+01:00","at_ms":1764000000000,"raw_at":"2026-03-02T08:00:00.5Z"}',
        '{"config":{"assertions":[{"type":"body","target":5},{"type":"header","target":"x"},{"target":{"at":"2026-03-02T08:00:00Z"}}]}}',
        '{"word":"yes"}',
        '{"word":["a","b"]}',
        '{"status":"***0123456789ab","word":"***0123456789ab"}',
    ],
)
def test_documented_payload_has_no_drift(payload: str) -> None:
    assert drift(payload) == set()


# --------------------------------------------------------------------------------------------- not documented

ASSERTIONS = "/config/assertions/*"


@pytest.mark.fault("D12", "D13", "D6")
@pytest.mark.parametrize(
    ("payload", "pointer", "kind"),
    [
        ('{"new":1}', "/new", "unknown_field"),
        ('{"new":null}', "/new", "unknown_field"),
        ('{"steps":[{"name":"a"},{"colour":"red"}]}', "/steps/*/colour", "unknown_field"),
        ('{"meta":{"a/b":1}}', "/meta/a~1b", "unknown_field"),
        ('{"Status":"passed"}', "/Status", "unknown_field"),
        ('{"status":"exploded"}', "/status", "unknown_value"),
        ('{"status":""}', "/status", "unknown_value"),
        ('{"status":7}', "/status", "unknown_value"),
        ('{"steps":[{"kind":"click"},{"kind":"hover"}]}', "/steps/*/kind", "unknown_value"),
        # a scalar of another type
        ('{"ms":"12"}', "/ms", "type_change"),
        ('{"ms":"soon"}', "/ms", "type_change"),
        ('{"ms":true}', "/ms", "type_change"),
        ('{"sizes":[1,"2"]}', "/sizes/*", "type_change"),
        ('{"ok":"true"}', "/ok", "type_change"),
        ('{"ok":0}', "/ok", "type_change"),
        ('{"ok":1.5}', "/ok", "type_change"),
        ('{"id":true}', "/id", "type_change"),
        ('{"id":1.5}', "/id", "type_change"),
        ('{"tags":["a",true]}', "/tags/*", "type_change"),
        # an object, a list or a scalar for another of them
        ('{"id":{"a":1}}', "/id", "type_change"),
        ('{"id":{}}', "/id", "type_change"),
        ('{"id":[]}', "/id", "type_change"),
        ('{"ms":[1]}', "/ms", "type_change"),
        ('{"raw":{}}', "/raw", "type_change"),
        ('{"raw":["a"]}', "/raw", "type_change"),
        ('{"steps":{"name":"a"}}', "/steps", "type_change"),
        ('{"steps":{}}', "/steps", "type_change"),
        ('{"steps":"none"}', "/steps", "type_change"),
        ('{"steps":[[{"name":"a"}]]}', "/steps/*", "type_change"),
        ('{"meta":[]}', "/meta", "type_change"),
        ('{"meta":[{"branch":"main"}]}', "/meta", "type_change"),
        ('{"meta":"main"}', "/meta", "type_change"),
        ('{"headers":"X-A: b"}', "/headers", "type_change"),
        ('{"target":5.5}', "/target", "type_change"),
        ('{"config":[]}', "/config", "type_change"),
        ('{"config":"none"}', "/config", "type_change"),
        ('{"word":{}}', "/word", "type_change"),
        ("[]", "", "type_change"),
        # beside others in a list of mixed kinds
        ('{"steps":[{"name":"a"},5]}', "/steps/*", "type_change"),
        ('{"steps":[5,{"colour":"red"}]}', "/steps/*/colour", "unknown_field"),
        ('{"steps":[5,{"kind":"hover"}]}', "/steps/*/kind", "unknown_value"),
        ('{"steps":[5,{"substeps":[[],{"name":[]}]}]}', "/steps/*/substeps/*/name", "type_change"),
        ('{"tags":[1,"a",{}]}', "/tags/*", "type_change"),
        ('{"target":["a",{"path":1}]}', "/target/*", "type_change"),
        # in what is decoded as JSON text
        ('{"target":{"other":1}}', "/target/other", "unknown_field"),
        ('{"config":{"assertions":[{"type":"body"},{"type":"smell"}]}}', f"{ASSERTIONS}/type", "unknown_value"),
        ('{"config":{"assertions":["body",{"type":"smell"}]}}', ASSERTIONS, "type_change"),
        ('{"config":{"assertions":["body",{"type":"smell"}]}}', f"{ASSERTIONS}/type", "unknown_value"),
        ('{"config":{"assertions":[{"target":5},{"target":{"new":5}}]}}', f"{ASSERTIONS}/target/new", "unknown_field"),
        ('{"config":{"assertions":[{"target":{"at":"tomorrow"}}]}}', f"{ASSERTIONS}/target/at", "type_change"),
        ('{"config":{"assertions":[{"target":[]}]}}', f"{ASSERTIONS}/target", "type_change"),
        ('{"word":"maybe"}', "/word", "unknown_value"),
        ('{"word":["a","c"]}', "/word/*", "unknown_value"),
        # instants that would become NULL
        ('{"at":"tomorrow"}', "/at", "type_change"),
        ('{"at":""}', "/at", "type_change"),
        ('{"at":1764000000000}', "/at", "type_change"),
        ('{"at":"2026-03-02T08:00:00"}', "/at", "type_change"),
        ('{"at":"0001-01-01T00:00:00Z"}', "/at", "type_change"),
        ('{"at_ms":1764000000}', "/at_ms", "type_change"),
        ('{"raw_at":"tomorrow"}', "/raw_at", "type_change"),
        ('{"steps":[{"substeps":[{"spans":[{},{"at":"noon"}]}]}]}', "/steps/*/substeps/*/spans/*/at", "type_change"),
    ],
)
def test_what_is_not_documented_is_seen(payload: str, pointer: str, kind: str) -> None:
    assert (pointer, kind) in drift(payload)


def test_nothing_below_a_free_name_is_drift() -> None:
    assert drift('{"free":{"x":{"status":"exploded"}},"headers":{"x":{"y":[]}},"any":{"status":{"a":[1,{}]}}}') == set()


@pytest.mark.fault("D12")
def test_an_undocumented_field_is_one_pointer_and_its_inside_none() -> None:
    assert drift('{"new":{"inner":[{"deep":1}]}}') == {("/new", "unknown_field")}


def test_pointers_never_carry_a_value() -> None:
    found = drift(
        '{"status":"hunter2","at":"hunter2","ms":"hunter2","config":{"assertions":["hunter2",{"type":"hunter2"}]},"new":"hunter2"}'
    )
    assert len(found) == 6
    assert not any("hunter2" in pointer for pointer, _ in found)


def test_drift_names_every_payload_that_holds_it_once() -> None:
    odd, fine = '{"x":1,"config":{"assertions":[{"type":"smell"},{"type":"noise"}]}}', '{"config":{"assertions":[{"type":"body"}]}}'
    found = drift_by_payload((odd, fine, odd.replace('"x":1', '"x":2,"id":"1"')), TREE)
    kinds = [("/config/assertions/*/type", "unknown_value"), ("/x", "unknown_field")]
    assert sorted(found) == [(entity_id, *drift) for entity_id in ("0", "2") for drift in kinds]


def test_one_text_at_several_places_is_seen_at_each_of_them() -> None:
    either = enum("on", "off")
    tree: Tree = {"a": OneOf(scalar=either, list=either), "b": [OneOf(scalar=either, object={"at": INSTANT})]}
    payloads = ('{"a":"out","b":["out",{"at":"noon"},"out"]}', '{"a":["on","out"],"b":["on"]}', '{"b":["out",null]}', '{"a":null,"b":[]}')
    word, instant = "unknown_value", "type_change"
    expected = [("0", "/a", word), ("0", "/b/*", word), ("0", "/b/*/at", instant), ("1", "/a/*", word), ("2", "/b/*", word)]
    assert sorted(drift_by_payload(payloads, tree)) == expected


def test_payloads_that_are_no_json_are_left_to_the_rejects() -> None:
    assert drift_by_payload(('{"id":', '{"x":1}', ""), TREE) == [("1", "/x", "unknown_field")]


# --------------------------------------------------------------------------------------- any tree, any mutation

NAMES = ("id", "status", "a/b", "m~n", "x.y", 'q"t', "b\\s", "with space", "ü", "[0]", "$", "o'clock")
WORDS = enum("on", "off")
TIMES = ("2026-03-02T08:00:00Z", "2026-03-02T08:00:00.123+02:00", "2012-12-31T23:59:59.999999Z")
_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4)
_integers = st.integers(-(2**63), 2**64 - 1)
_floats = st.floats(allow_nan=False, allow_infinity=False, width=32)
_scalars = st.none() | st.booleans() | _integers | _floats | _texts
_anything = _scalars | st.sampled_from([{}, [], {"id": [1, {}, "a"]}, [{"id": 1}, [], "on"]])
_leaves = st.sampled_from([TEXT, NUMBER, FLAG, RAW, WORDS, INSTANT, EPOCH_MS])
_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
BY_LEAF: dict[Leaf, st.SearchStrategy[Any]] = {
    TEXT: _texts | _integers,
    NUMBER: _floats | _integers,
    FLAG: st.booleans(),
    RAW: _scalars,
    WORDS: st.sampled_from(["on", "off"]),
    INSTANT: st.sampled_from(TIMES),
    EPOCH_MS: st.integers(1_300_000_000_000, 4_000_000_000_000),
}


@st.composite
def objects(draw: st.DrawFn, levels: int) -> dict[str, Tree]:
    return {name: draw(trees(levels)) for name in draw(_names)}


@st.composite
def trees(draw: st.DrawFn, levels: int) -> Tree:
    kind = draw(st.sampled_from(("leaf", "map", "object", "list", "one of")[: 5 if levels else 2]))
    if kind == "leaf":
        return draw(_leaves)
    if kind == "map":
        return draw(st.sampled_from([FREE, HEADERS]))
    if kind == "object":
        return draw(objects(levels - 1))
    if kind == "list":
        return [draw(trees(levels - 1))]
    object_ = draw(st.sampled_from([None, FREE, "object"]))
    return OneOf(
        scalar=draw(st.none() | _leaves),
        object=draw(objects(levels - 1)) if isinstance(object_, str) else object_,
        list=draw(trees(levels - 1)) if draw(st.booleans()) else None,
    )


@st.composite
def conforming(draw: st.DrawFn, tree: Tree, *, is_null: bool | None = None) -> Any:
    """A value that a tree documents; null among them unless `is_null` says no."""
    if draw(st.integers(0, 5)) == 0 if is_null is None else is_null:
        return None
    if isinstance(tree, dict):
        return {name: draw(conforming(child)) for name, child in tree.items() if draw(st.integers(0, 4))}
    if isinstance(tree, list):
        return [draw(conforming(tree[0])) for _ in range(draw(st.integers(0, 3)))]
    if isinstance(tree, OneOf):
        branches: list[Tree] = [
            branch for branch in (tree.scalar, tree.object, None if tree.list is None else [tree.list]) if branch is not None
        ]
        if not branches:
            return None
        branch = draw(st.sampled_from(branches))
        return {"id": draw(_anything)} if isinstance(branch, Free) else draw(conforming(branch))
    if isinstance(tree, Free):
        return draw(_anything)
    if isinstance(tree, Headers):
        return draw(st.sampled_from([{}, {"X-A": "b", "X-B": "c"}, [], [{"name": "X-A", "value": "b"}]]))
    return draw(BY_LEAF[tree])


CONTAINERS: tuple[Any, ...] = ({}, [], {"id": 1}, [1], ["on", {}])
WRONG = {"VARCHAR": (True, 1.5), "DOUBLE": ("12", "soon", False), "BOOLEAN": (0, 1, 1.5, "true"), "JSON": ()}
Finding = set[tuple[str, str]]
Mutation = tuple[tuple[str | int, ...], Any, Finding]


def mutations(value: Any, tree: Tree, place: tuple[str | int, ...], pointer: str, *, is_branch: bool = False) -> Iterator[Mutation]:
    """Every single change of a conforming value that is drift: (place, new value, what must be found).

    A branch of a OneOf takes no containers here: the OneOf may document them.
    """
    changed = {(pointer, "type_change")}
    if isinstance(tree, OneOf):
        yield from _mutations_of_one_of(value, tree, place, pointer)
    elif isinstance(tree, Leaf):
        unknown = {(pointer, "unknown_value")} if tree.values is not None else set()
        for wrong in (*WRONG[tree.type], *(() if is_branch else CONTAINERS)):
            yield place, wrong, changed | unknown
        if unknown:
            yield from ((place, word, unknown) for word in ("out", "", 7))
        if tree.read is not None:
            odd = ("noon", "", "2026-03-02T08:00:00", 5) if tree.type == "VARCHAR" else (0, -1, 1_764_000_000, 1e300)
            yield from ((place, instant, changed) for instant in odd)
    elif isinstance(tree, dict):
        yield from (() if is_branch else ((place, wrong, changed) for wrong in ("x", 1, True, [], [{}], [1, {}])))
        if isinstance(value, dict):
            for novel in ("novel", "no/v~el"):
                yield from (((*place, novel), new, {(f"{pointer}/{escape(novel)}", "unknown_field")}) for new in (1, None, {"x": [{}]}))
            for name, child in value.items():
                yield from mutations(child, tree[name], (*place, name), f"{pointer}/{escape(name)}")
    elif isinstance(tree, list):
        yield from (() if is_branch else ((place, wrong, changed) for wrong in ("x", 1, True, {}, {"id": 1})))
        if isinstance(value, list):
            for index, child in enumerate(value):
                yield from mutations(child, tree[0], (*place, index), f"{pointer}/*")
    elif isinstance(tree, Headers):
        yield from ((place, wrong, changed) for wrong in ("x", 1, True))


def _mutations_of_one_of(value: Any, tree: OneOf, place: tuple[str | int, ...], pointer: str) -> Iterator[Mutation]:
    changed = {(pointer, "type_change")}
    if tree.scalar is None:
        yield from ((place, wrong, changed) for wrong in ("x", 1, False))
    if tree.object is None:
        yield from ((place, wrong, changed) for wrong in ({}, {"id": 1}))
    if tree.list is None:
        yield from ((place, wrong, changed) for wrong in ([], [1, {}]))
    if isinstance(value, dict):
        branch: Tree | None = tree.object
    elif isinstance(value, list):
        branch = None if tree.list is None else [tree.list]
    else:
        branch = None if value is None else tree.scalar
    if branch is not None:
        yield from mutations(value, branch, place, pointer, is_branch=True)


def mutated(document: Any, place: tuple[str | int, ...], value: Any) -> Any:
    result = copy.deepcopy(document)
    node = result
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    return result


@given(data=st.data(), tree=objects(3))
@settings(max_examples=100, deadline=None)
def test_one_mutation_of_a_documented_payload_is_found_at_its_place_and_nothing_else(data: st.DataObject, tree: dict[str, Tree]) -> None:
    document = data.draw(conforming(tree, is_null=False))
    fine = json.dumps(document)
    assert drift_by_payload((fine,), tree) == []
    possible = [mutation for mutation in mutations(document, tree, (), "") if mutation[0]]
    place, value, expected = data.draw(st.sampled_from(possible))
    found = drift_by_payload((fine, json.dumps(mutated(document, place, value))), tree)
    assert sorted(found) == sorted(("1", pointer, kind) for pointer, kind in expected)


@pytest.mark.fault("D7")
@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, 10**400])
def test_a_number_beyond_every_integer_is_drift_and_no_crash(number: int) -> None:
    assert drift(f'{{"at_ms":{number},"config":{{"assertions":[{{"target":{number}}},5]}}}}') == {
        ("/at_ms", "type_change"),
        (ASSERTIONS, "type_change"),
    }
