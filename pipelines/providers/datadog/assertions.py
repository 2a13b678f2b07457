"""Outcomes of assertions: read from results or from an `errorMessage`, matched to the configured ones. Pure.

Frames here are per assertion and carry `KEEP`: `row` (the payload's place in the batch), `entity_id`, `result_key`.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines import jsontext
from pipelines.providers.datadog.configuration import CONFIGURED
from pipelines.providers.datadog.configuration import plain as plain_value
from pipelines.transform.expressions import explode_indexed, json_object, plain, quoted

KEEP = ("row", "entity_id", "result_key")

FOUND = pl.Struct(
    {
        "index": pl.Float64,
        "type": pl.String,
        "operator": pl.String,
        "property": pl.String,
        "target": pl.String,
        "expected": pl.String,
        "actual": pl.String,
        "valid": pl.Boolean,
        "errorMessage": pl.String,
        "error_message": pl.String,
    }
)
"""One outcome as decoded; target, expected and actual are JSON text."""


def failed_assertions(text: pl.Expr) -> pl.Expr:
    """The list of `FOUND` inside an `errorMessage` that is a JSON-encoded list of assertions, else NULL.

    Recorded 2020-03: `[{"index":0,"operator":"is","property":…,"type":"header","target":…,"valid":false,"actual":…}]`.
    """

    def read(texts: pl.Series) -> pl.Series:
        return pl.Series([_read(text) for text in texts.to_list()], dtype=pl.List(FOUND))

    return text.map_batches(read, return_dtype=pl.List(FOUND))


def _read(text: str | None) -> list[dict[str, Any]] | None:
    if text is None or not text.lstrip().startswith("["):
        return None
    try:
        items, _ = jsontext.parse(text.encode())
    except jsontext.JsonError:
        return None
    if not items or not all(isinstance(item, dict) and ("valid" in item or "type" in item) for item in items):
        return None
    return [
        {
            "index": jsontext.as_number(item.get("index")),
            "type": plain_value(item.get("type")),
            "operator": plain_value(item.get("operator")),
            "property": plain_value(item.get("property")),
            "valid": item["valid"] if isinstance(item.get("valid"), bool) else None,
            "errorMessage": plain_value(item.get("errorMessage")),
            **{name: jsontext.dump(item[name]) if item.get(name) is not None else None for name in ("target", "expected", "actual")},
        }
        for item in items
    ]


def sentence(text: pl.Expr) -> pl.Expr:
    """A message for eyes: a JSON-encoded list of failed assertions becomes one sentence a piece, any other text stays.

    Two failures of one assertion then differ only in what was found, so they share a fingerprint.
    """

    def read(texts: pl.Series) -> pl.Series:
        return pl.Series([_sentence(text) for text in texts.to_list()], dtype=pl.String)

    return text.map_batches(read, return_dtype=pl.String)


def _sentence(text: str | None) -> str | None:
    items = _read(text)
    if items is None:
        return text
    return "; ".join(
        " ".join(str(part) for part in (item["type"], item["property"], item["operator"], item["target"] or item["expected"]) if part)
        + (f", found {item['actual']}" if item["actual"] is not None else "")
        for item in items
    )


def has_invalid(found: pl.Expr) -> pl.Expr:
    """True where a list of outcomes holds one that is not valid."""
    return found.list.eval(pl.element().struct.field("valid").eq_missing(pl.lit(value=False))).list.any()


def found_rows(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row per outcome of a list column; keeps `KEEP` and `step_index`, adds `place` and the fields of `FOUND`."""
    listed = frame.select(*KEEP, "step_index", pl.col(column).cast(pl.List(FOUND)))
    return explode_indexed(listed, column, "place").unnest(column).with_columns(pl.col("index").cast(pl.Int64, strict=False))


def configured_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per configured assertion: `KEEP` and the fields of `CONFIGURED`."""
    listed = frame.select(*KEEP, pl.col("configured").cast(pl.List(CONFIGURED)))
    return explode_indexed(listed, "configured", "configured_index").unnest("configured").drop("configured_index")


_GROUP = ["row", "step_index"]


def matched(configured: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.assertions`: every configured one with its outcome, then outcomes that match none.

    An outcome belongs to the configured one of its `index`; without an index to the one at its place, where both lists
    have the same length and type and operator agree (the oldest results, 2019-2021, name neither: they agree).
    """
    configured = configured.with_columns(set_length=pl.len().over(_GROUP))
    candidates = (
        found.with_columns(found_length=pl.len().over(_GROUP), set_place=pl.coalesce("index", "place"))
        .join(
            configured.select(
                *_GROUP,
                "set_length",
                pl.col("place").alias("set_place"),
                pl.col("source").alias("set_source"),
                pl.col("operator").alias("set_operator"),
                pl.col("outer_operator").alias("set_outer_operator"),
            ),
            on=[*_GROUP, "set_place"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            is_matched=pl.col("set_length").is_not_null()
            & (
                pl.col("index").is_not_null()
                | (
                    (pl.col("set_length") == pl.col("found_length"))
                    & _agree("type", "set_source")
                    & (_agree("operator", "set_operator") | _agree("operator", "set_outer_operator"))
                )
            )
        )
        .with_columns(is_matched=pl.col("is_matched") & (pl.col("is_matched").cum_sum().over([*_GROUP, "set_place"]) == 1))
    )
    told = candidates.filter("is_matched").select(
        *_GROUP,
        pl.col("set_place").alias("place"),
        *("index", "expected", "actual", "valid", "errorMessage", "error_message"),
        *(pl.col(name).alias(f"found_{name}") for name in ("type", "property", "operator", "target")),
    )
    rows = configured.drop("set_length").join(told, on=[*_GROUP, "place"], how="left", maintain_order="left")
    extra = candidates.filter(~pl.col("is_matched")).select(
        *KEEP,
        *(
            "step_index",
            "place",
            "index",
            "property",
            "operator",
            "expected",
            "actual",
            "valid",
            "errorMessage",
            "error_message",
        ),
        pl.col("type").alias("source"),
        plain(pl.coalesce("target", "expected")).alias("target"),
    )
    both = pl.concat([rows.with_columns(is_extra=0), extra.with_columns(is_extra=1)], how="diagonal_relaxed")
    both = both.sort("row", "is_extra", "step_index", "place", maintain_order=True)
    return _columns(both.with_columns(assertion_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row")))


def unmatched(found: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.assertions` where the configuration is not known: the outcome's own `index`, else its place."""
    rows = found.with_columns(
        assertion_index=pl.coalesce("index", "place"),
        source=pl.col("type"),
        target=plain(pl.coalesce("target", "expected")),
    ).unique(["row", "assertion_index"], keep="first", maintain_order=True)
    return _columns(rows)


def drift(assertions: pl.DataFrame) -> pl.DataFrame:
    """Payloads in which outcomes match no configured assertion: columns entity_id, json_pointer, kind."""
    place = pl.when(pl.col("step_index") >= 0).then(pl.lit("/result/steps/*/assertionResults/*"))
    return (
        assertions.filter(pl.col("is_extra") == 1)
        .select("entity_id", json_pointer=place.otherwise(pl.lit("/result/assertionResults/*")), kind=pl.lit("unknown_value"))
        .unique(maintain_order=True)
    )


def _agree(found: str, configured: str) -> pl.Expr:
    return pl.col(found).is_null() | pl.col(configured).is_null() | (pl.col(found) == pl.col(configured))


def _other(found: str, configured: str) -> pl.Expr:
    return pl.when(pl.col(found).ne_missing(pl.col(configured))).then(pl.col(found))


def _columns(rows: pl.DataFrame) -> pl.DataFrame:
    told = ("found_type", "found_property", "found_operator", "found_target")
    absent = [name for name in ("outer_operator", *_ATTRIBUTES.values(), *told, "is_extra") if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in absent)
    has_inner = pl.col("outer_operator").ne_missing(pl.col("operator"))
    message, other_message = pl.col("errorMessage"), pl.col("error_message")
    found_operator = pl.col("found_operator")
    return rows.select(
        "entity_id",
        "result_key",
        "assertion_index",
        "step_index",
        "source",
        "property",
        "operator",
        "target",
        plain(pl.col("actual")).alias("actual"),
        pl.when("valid").then(pl.lit("passed")).when(~pl.col("valid")).then(pl.lit("failed")).otherwise(pl.lit("unknown")).alias("outcome"),
        pl.coalesce(message, other_message).alias("error_message"),
        json_object(
            {
                "operator": quoted(pl.when(has_inner).then(pl.col("outer_operator"))),
                **{name: quoted(pl.col(column)) for name, column in _ATTRIBUTES.items()},
                "expected": pl.col("expected"),
                "index": pl.when(pl.col("index") != pl.col("assertion_index")).then("index"),
                "error_message": quoted(pl.when(other_message != message).then(other_message)),
                # what the outcome says of its assertion, where the configuration says otherwise
                "found": json_object(
                    {
                        "type": quoted(_other("found_type", "source")),
                        "property": quoted(_other("found_property", "property")),
                        "operator": quoted(
                            pl.when(found_operator.ne_missing(pl.col("outer_operator"))).then(_other("found_operator", "operator"))
                        ),
                        "target": pl.when(plain(pl.col("found_target")).ne_missing(pl.col("target"))).then("found_target"),
                    }
                ),
            }
        ).alias("attributes"),
        "is_extra",
    )


_ATTRIBUTES = {
    "property": "outer_property",
    "timingsScope": "timings_scope",
    "elementsOperator": "elements_operator",
    "metaSchema": "meta_schema",
}
