"""Datadog's v2 results -> what hangs on steps: steps, assertions, artifacts, page vitals, timings, step errors. Pure polars.

Steps come first, each followed by its retries; then the turns of a goal-based browser test, each followed by its steps.
A `base` frame is that of `flatten_v2`, a `steps` frame that of `all_steps`.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.datadog.assertions import KEEP, has_invalid, sentence
from pipelines.providers.datadog.common import error_frame, failed, key_flag, key_list, result
from pipelines.providers.datadog.leaves_v2 import ASSERTION, BUCKET_NAMES, STEP, TURN, VITALS, without
from pipelines.transform.expressions import (
    PHASES,
    as_json,
    elapsed_ms,
    explode_indexed,
    from_epoch_ms,
    json_object,
    members,
    non_negative,
    plain,
    quoted,
    said,
    snake_case,
)

MAX_LEVEL = 5
"""How deep sub-steps nest at most; deeper ones are children of the deepest that is told apart."""

_LONG_TAIL = without(
    STEP, "assertion_result", "assertions", "bucket_keys", "description", "duration", "failure/message", "http_results", "id", "name",
    "retries", "started_at", "subtype", "type", "url", "vitals_metrics",
)  # fmt: skip
_RESULT_PLACE, _STEP_PLACE, _TURN_PLACE = -1, 0, 1


def all_steps(base: pl.DataFrame) -> pl.DataFrame:
    """One row per step, retry, turn and turn's step, with its fields, `step_index`, `parent_step_index` and `outcome`."""
    steps = _exploded(base.select(*KEEP, step=result("steps")), "place").with_columns(
        group=pl.lit(_STEP_PLACE), inner=pl.lit(-1, dtype=pl.Int64), level=_level()
    )
    listed = steps.select(*KEEP, "place", "group", step=pl.col("retries"))
    retries = _exploded(listed, "inner").rename({"retries": "deeper_retries"})
    turns = _exploded(base.select(*KEEP, step=result("turns")), "place").with_columns(
        group=pl.lit(_TURN_PLACE), inner=pl.lit(-1, dtype=pl.Int64), turn_kind=pl.lit("turn")
    )
    turn_steps = _exploded(turns.select(*KEEP, "place", "group", step=pl.col("steps")), "inner").with_columns(turn_kind=pl.lit("turn_step"))
    rows = pl.concat([steps.drop("retries"), retries, turns.drop("steps"), turn_steps], how="diagonal")
    rows = rows.sort("row", "group", "place", "inner").with_columns(step_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row"))
    owner = pl.col("step_index").first().over("row", "group", "place")
    return rows.with_columns(
        parent_step_index=pl.when(pl.col("inner") >= 0).then(owner).otherwise(_enclosing()),
        outcome=_outcome(),
    )


def _exploded(listed: pl.DataFrame, place: str) -> pl.DataFrame:
    return explode_indexed(listed, "step", place).filter(pl.col("step").is_not_null()).unnest("step")


def _level() -> pl.Expr:
    return pl.col("sub_step").struct.field("level").cast(pl.Int64, strict=False).fill_null(0).clip(0, MAX_LEVEL)


def _enclosing() -> pl.Expr:
    """The nearest step before a sub-step with a lower level, unless both name it and the names differ."""
    told = pl.col("sub_step").struct.field("parent_step").struct.field("id")
    parent: pl.Expr = pl.lit(None, dtype=pl.Int64)
    for level in range(1, MAX_LEVEL + 1):
        is_above = pl.col("level") < level
        place = pl.when(is_above).then("step_index").forward_fill().over("row")
        name = pl.when(is_above).then(pl.col("id").fill_null("")).forward_fill().over("row")
        fits = (pl.col("level") == level) & (told.is_null() | (name == "") | (name == told))
        parent = pl.when(fits).then(place).otherwise(parent)
    return parent


def _outcome() -> pl.Expr:
    status = pl.col("status")
    return (
        pl.when(status.is_in(["passed", "failed", "skipped"]))
        .then(status)
        .when(failed(pl.col("failure")) | has_invalid(pl.col("assertions")))
        .then(pl.lit("failed"))
        .otherwise(pl.lit("unknown"))
    )


def step_rows(steps: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.steps`. `result_text` is the reasoning of a turn; `retry` in attributes counts retries from 0."""
    turn_ms = elapsed_ms(from_epoch_ms(pl.col("turn_started_at")), from_epoch_ms(pl.col("turn_finished_at")))
    is_retry = (pl.col("group") == _STEP_PLACE) & (pl.col("inner") >= 0)
    return steps.select(
        "entity_id",
        "result_key",
        "step_index",
        "parent_step_index",
        pl.col("id").alias("step_id"),
        pl.coalesce("name", "description").alias("name"),
        pl.coalesce("subtype", "type", "turn_kind").alias("kind"),
        "outcome",
        from_epoch_ms(pl.coalesce("started_at", "turn_started_at")).alias("started_at"),
        pl.when(pl.col("outcome") != "skipped").then(pl.coalesce(non_negative(pl.col("duration")), turn_ms)).alias("duration_ms"),
        pl.coalesce("url", pl.col("request").struct.field("url")).alias("url"),
        pl.col("reasoning").alias("result_text"),
        said(pl.col("failure").struct.field("message")).alias("error_message"),
        json_object(
            {
                **{name: as_json(pl.col(name), tree) for name, tree in _LONG_TAIL.items()},
                # where a column above reads the other one of the two
                "description": quoted(pl.when(pl.col("name").is_not_null()).then("description")),
                "type": quoted(pl.when(pl.col("subtype").is_not_null()).then("type")),
                "bucket_keys": bucket_flags(pl.col("bucket_keys")),
                "retries": pl.col("deeper_retries"),
                "retry": pl.when(is_retry).then("inner"),
                "turn_finished_at": as_json(pl.col("turn_finished_at"), TURN["turn_finished_at"]),
            }
        ).alias("attributes"),
    )


def step_errors(steps: pl.DataFrame) -> list[pl.DataFrame]:
    """What steps say went wrong, and what the browser logged: `code` is the status of a network error, else the type."""
    owner = pl.col("failure")
    listed = explode_indexed(steps.select(*KEEP, "step_index", "browser_errors"), "browser_errors", "place").unnest("browser_errors")
    return [
        error_frame(steps, "step", sentence(said(owner.struct.field("message"))), code=owner.struct.field("code")),
        error_frame(listed, "browser", said(pl.col("description")), code=pl.coalesce(plain(pl.col("status")), "type"), name=pl.col("name")),
    ]


# ---------------------------------------------------------------------------------------------------------- assertions


def assertion_rows(base: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.assertions`: those of the result, then those of each step; v2 tells each with its configuration."""
    whole = base.select(*KEEP, "step_index", listed=result("assertions"))
    parts = [
        _listed(whole, None),
        _listed(steps.select(*KEEP, "step_index", listed="assertions"), None),
        _listed(steps.select(*KEEP, "step_index", listed="http_results"), "http_results"),
        _of_browser_steps(steps),
    ]
    rows = pl.concat([part.with_columns(part=pl.lit(number)) for number, part in enumerate(parts)], how="diagonal")
    rows = rows.sort("row", "step_index", "part", "place")
    return rows.with_columns(assertion_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row")).drop("row", "part", "place")


def _listed(frame: pl.DataFrame, listed_as: str | None) -> pl.DataFrame:
    rows = explode_indexed(frame, "listed", "place").filter(pl.col("listed").is_not_null()).unnest("listed")
    valid = pl.col("valid")
    path, path_operator = pl.col("target_path"), pl.col("target_path_operator")
    return rows.select(
        *KEEP,
        "step_index",
        "place",
        pl.col("type").alias("source"),
        pl.coalesce(path, "property").alias("property"),
        pl.coalesce(path_operator, "operator").alias("operator"),
        plain(pl.coalesce("target", "expected")).alias("target"),
        plain(pl.col("actual")).alias("actual"),
        pl.when(valid).then(pl.lit("passed")).when(~valid).then(pl.lit("failed")).otherwise(pl.lit("unknown")).alias("outcome"),
        "error_message",
        json_object(
            {
                "operator": quoted(pl.when(path_operator.is_not_null()).then("operator")),
                "property": quoted(pl.when(path.is_not_null()).then("property")),
                "expected": as_json(pl.col("expected"), ASSERTION["expected"]),
                "list": quoted(pl.lit(listed_as, dtype=pl.String)),
            }
        ).alias("attributes"),
    )


def _of_browser_steps(steps: pl.DataFrame) -> pl.DataFrame:
    """The one assertion of a browser or mobile step: it has no verdict of its own, the step's is taken."""
    told = steps.filter(pl.col("assertion_result").is_not_null())
    one = pl.col("assertion_result").struct
    return told.select(
        *KEEP,
        "step_index",
        pl.lit(0, dtype=pl.Int64).alias("place"),
        one.field("check_type").alias("source"),
        plain(one.field("expected")).alias("target"),
        plain(one.field("actual")).alias("actual"),
        "outcome",
        json_object({"has_secure_variables": one.field("has_secure_variables")}).alias("attributes"),
    )


# --------------------------------------------------------------------------------------------- timings, files, vitals


def timing_rows(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Rows of `core.timings` from frames with `KEEP`, `step_index` and a map `timings` of phase -> ms as JSON text."""
    listed = pl.concat(frame.select(*KEEP, "step_index", timing=members(pl.col("timings"))) for frame in frames)
    rows = listed.explode("timing").unnest("timing").filter(pl.col("name").is_not_null())
    phases = {name: PHASES.get(name, snake_case(name)) for name in rows["name"].unique()}
    rows = rows.with_columns(
        phase=pl.col("name").replace(phases), duration_ms=non_negative(pl.col("value").cast(pl.Float64, strict=False))
    ).filter(pl.col("duration_ms").is_not_null())
    rows = rows.unique(["row", "step_index", "phase"], keep="first", maintain_order=True)
    return rows.select(
        "entity_id", "result_key", "step_index", "phase", "duration_ms", is_total=pl.col("phase") == "total", phase_raw="name"
    )


def bucket_flags(keys: pl.Expr) -> pl.Expr:
    """Bucket keys for `attributes`: those that are booleans, as v1's are; the others are artifacts."""
    return json_object({name: key_flag(keys.struct.field(name)) for name in BUCKET_NAMES})


def artifact_rows(base: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.artifacts`: one per bucket key, of the result first, then of steps and turns."""
    whole = base.select(*KEEP, "step_index", bucket_keys=result("bucket_keys"))
    parts = [
        owner.select(
            *KEEP,
            "step_index",
            place=pl.lit(place),
            kind=pl.lit("email" if name == "email_messages" else name),
            name=key_list(pl.col("bucket_keys").struct.field(name)),
        )
        for owner in (whole, steps)
        for place, name in enumerate(BUCKET_NAMES)
    ]
    rows = pl.concat(parts).explode("name").filter(pl.col("name").is_not_null())
    rows = rows.sort("row", "step_index", "place", maintain_order=True)
    return rows.with_columns(artifact_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row")).drop("row", "place")


def page_vital_rows(base: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.page_vitals`: web vitals per page in step order, and the result's time_to_interactive (ms) as page -1."""
    pages = explode_indexed(steps.select(*KEEP, "step_index", "vitals_metrics"), "vitals_metrics", "place").unnest("vitals_metrics")
    pages = pages.with_columns(page_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row"))
    columns = ["entity_id", "result_key", "page_index", "metric", "page_url", "value"]
    whole = base.with_columns(
        page_index=pl.lit(-1, dtype=pl.Int64),
        metric=pl.lit("time_to_interactive"),
        page_url=pl.lit(None, dtype=pl.String),
        value=result("time_to_interactive"),
    )
    parts = [pages.with_columns(metric=pl.lit(name), page_url=pl.col("url"), value=pl.col(name)).select(columns) for name in VITALS]
    return pl.concat([whole.select(columns), *parts]).filter(pl.col("value").is_not_null())
