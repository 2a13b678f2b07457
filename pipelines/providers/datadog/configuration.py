"""What a test's `config` says, read once per distinct text: its canonical form, its request and its assertions. Pure.

The same few configurations stand in thousands of results, so each distinct one is parsed once with the exact JSON
parser and joined back. Outcomes of assertions are matched elsewhere (`assertions.py`).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines import jsontext

_TEXTS = (
    "source",
    "property",
    "operator",
    "target",
    "outer_operator",
    "timings_scope",
    "elements_operator",
    "meta_schema",
    "outer_property",
)
CONFIGURED = pl.Struct({"step_index": pl.Int64, "place": pl.Int64, **dict.fromkeys(_TEXTS, pl.String)})
"""One configured assertion. `place` counts within its step (-1: the test itself); `outer_operator` is the operator as
configured, where `operator` is the inner one; the last four are texts for `attributes`."""

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "raw_config": pl.String,
    "config": pl.String,
    "target_url": pl.String,
    "method": pl.String,
    "host": pl.String,
    "port": pl.String,
    "configured": pl.List(CONFIGURED),
}


def with_configuration(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Add `config` (canonical JSON text), `target_url`, `method`, `host`, `port` (text) and `configured` (list of `CONFIGURED`).

    `column` holds configurations as JSON text; where it is NULL or no object, all are NULL.
    """
    texts = frame.get_column(column).drop_nulls().unique().to_list()
    known = pl.DataFrame([_read(text) for text in texts], schema=_SCHEMA, orient="row")
    return frame.join(known, left_on=column, right_on="raw_config", how="left", maintain_order="left")


def _read(text: str) -> dict[str, Any]:
    try:
        config, _ = jsontext.parse(text.encode())
    except jsontext.JsonError:  # deeper nested than we read: no configuration is known
        config = None
    if not isinstance(config, dict):
        return {"raw_config": text}
    request = _object(config.get("request"))
    return {
        "raw_config": text,
        "config": jsontext.dump(_canonical(config)),
        "target_url": plain(request.get("url")) or plain(request.get("host")),
        "method": plain(request.get("method")) or plain(request.get("callType")),
        "host": plain(request.get("host")),
        "port": plain(request.get("port")),
        "configured": [
            *_configured(config, -1),
            *(
                assertion
                for step_index, step in enumerate(_list(config.get("steps")))
                for assertion in _configured(_object(step), step_index)
            ),
        ],
    }


def _configured(owner: dict[str, Any], step_index: int) -> list[dict[str, Any]]:
    return [
        {"step_index": step_index, "place": place, **read_assertion(_object(assertion))}
        for place, assertion in enumerate(_list(owner.get("assertions")))
    ]


def read_assertion(assertion: dict[str, Any]) -> dict[str, str | None]:
    """One of the document's eight assertion forms as columns (see `CONFIGURED`).

    JSONPath and XPath: `property` is the path, `operator` the inner operator, `target` the targetValue. JSON schema:
    `target` is the schema. javascript: `target` is the code. Lists (MCP capabilities) are compact JSON.
    """
    target = assertion.get("target")
    inner = target if isinstance(target, dict) else {}
    path = plain(inner.get("jsonPath")) or plain(inner.get("xPath"))
    if path is not None or "targetValue" in inner:
        wanted = plain(inner.get("targetValue"))
    elif "jsonSchema" in inner:
        wanted = plain(inner["jsonSchema"])
    elif "code" in assertion:
        wanted = plain(assertion["code"])
    else:
        wanted = plain(target)
    operator, configured_property = plain(assertion.get("operator")), plain(assertion.get("property"))
    return {
        "source": plain(assertion.get("type")),
        "property": path or configured_property,
        "operator": plain(inner.get("operator")) or operator,
        "target": wanted,
        "outer_operator": operator,
        "timings_scope": plain(assertion.get("timingsScope")),
        "elements_operator": plain(inner.get("elementsOperator")),
        "meta_schema": plain(inner.get("metaSchema")),
        "outer_property": configured_property if path is not None else None,
    }


def plain(value: Any) -> str | None:
    """Text of a parsed JSON value: scalars plain, objects and lists as compact JSON, null as None."""
    if value is None or isinstance(value, str):
        return value
    return jsontext.dump(value)


def _canonical(value: Any) -> Any:
    """Keys sorted and empty members left out, so that a definition and a result's copy of it compare equal."""
    if isinstance(value, dict):
        members = ((name, _canonical(child)) for name, child in sorted(value.items()))
        return {name: child for name, child in members if not (child is None or child in ("", [], {}))}
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    return value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
