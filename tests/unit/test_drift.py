"""Whatever a payload holds that is not documented is seen, by pointer and without its value."""

import duckdb
import polars as pl
import pytest

from pipelines.schemas.leaves import FLAG, FREE, HEADERS, NUMBER, RAW, TEXT, OneOf, Tree, enum
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift

TREE: Tree = {
    "id": TEXT,
    "status": enum("passed", "failed"),
    "ms": NUMBER,
    "ok": FLAG,
    "raw": RAW,
    "free": FREE,
    "headers": HEADERS,
    "steps": [{"name": TEXT, "kind": enum("click")}],
    "meta": {"branch": TEXT},
    "target": OneOf(scalar=TEXT, object={"path": TEXT}, list=TEXT),
}


def drift(*payloads: str) -> set[tuple[str, str]]:
    connection = duckdb.connect()
    frame = pl.DataFrame({"entity_id": [str(n) for n in range(len(payloads))], "payload": list(payloads)})
    decoded, _ = decode(frame, TREE, connection=connection)
    found = find_drift(frame, decoded, TREE, connection=connection)
    return set(found.select("json_pointer", "kind").iter_rows())


@pytest.mark.parametrize(
    "payload",
    [
        '{"id":"1","status":"passed","ms":1.5,"ok":true,"raw":"x","free":{"a":{"b":1}},"headers":{"X-A":"b"},"steps":[{"name":"x","kind":"click"}]}',
        '{"id":7,"ms":3,"status":null,"steps":null,"meta":null}',
        '{"steps":[],"meta":{},"target":"x"}',
        '{"steps":[{}],"target":{"path":"$.a"}}',
        '{"target":["a"]}',
        "{}",
    ],
)
def test_documented_payload_has_no_drift(payload: str) -> None:
    assert drift(payload) == set()


@pytest.mark.parametrize(
    ("payload", "pointer", "kind"),
    [
        ('{"new":1}', "/new", "unknown_field"),
        ('{"steps":[{"name":"a"},{"colour":"red"}]}', "/steps/*/colour", "unknown_field"),
        ('{"meta":{"a/b":1}}', "/meta/a~1b", "unknown_field"),
        ('{"status":"exploded"}', "/status", "unknown_value"),
        ('{"steps":[{"kind":"click"},{"kind":"hover"}]}', "/steps/*/kind", "unknown_value"),
        ('{"ms":"12"}', "/ms", "type_change"),
        ('{"ok":"true"}', "/ok", "type_change"),
        ('{"id":{"a":1}}', "/id", "type_change"),
        ('{"steps":{"name":"a"}}', "/steps", "type_change"),
        ('{"steps":"none"}', "/steps", "type_change"),
        ('{"meta":[]}', "/meta", "type_change"),
        ('{"meta":"main"}', "/meta", "type_change"),
        ('{"steps":[{"name":"a"},5]}', "/steps/*", "type_change"),
        ('{"target":{"other":1}}', "/target/other", "unknown_field"),
    ],
)
def test_what_is_not_documented_is_seen(payload: str, pointer: str, kind: str) -> None:
    assert (pointer, kind) in drift(payload)


def test_drift_names_every_payload_that_holds_it_once() -> None:
    connection = duckdb.connect()
    frame = pl.DataFrame({"entity_id": ["a", "b", "c"], "payload": ['{"x":1}', '{"x":2,"id":"1"}', '{"id":"2"}']})
    decoded, _ = decode(frame, TREE, connection=connection)
    found = find_drift(frame, decoded, TREE, connection=connection)
    assert sorted(found["entity_id"].to_list()) == ["a", "b"]
