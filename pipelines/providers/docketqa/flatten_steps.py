"""What hangs below one attempt of a DocketQA test run: steps, actions, artifacts, errors and exchanges. Pure polars."""

from __future__ import annotations

import polars as pl

from pipelines.providers.docketqa.leaves import step_ms
from pipelines.transform.expressions import explode_indexed, json_object, plain, quoted

NOT_RUN = "Step not completed"
"""What a step says that was not reached (example of Get Test Run, read 2026-08); there is no flag for it."""

_OWNER = ("entity_id", "row", "attempt", "result_key")
_URL_KINDS = {"screenshot_url": "screenshot", "screenshot_url_before": "screenshot_before"}


def step_outcome_rules() -> list[tuple[pl.Expr, str]]:
    """The contract's table for DocketQA steps, first match wins; what is left is `unknown`."""
    is_untouched = (pl.col("duration") == 0) & (pl.col("actions").list.len().fill_null(0) == 0)
    return [
        (pl.col("is_successful"), "passed"),
        (~pl.col("is_successful") & is_untouched & (pl.col("result").str.strip_chars() == NOT_RUN), "skipped"),
        (~pl.col("is_successful"), "failed"),
    ]


def children(tries: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Frames by table name, from one row per attempt: `_OWNER`, `results`, the two videos and the blueprint."""
    steps = _steps(tries)
    actions = explode_indexed(
        steps.select(*_OWNER, "step_index", "step_number", "method", "url", "request_headers", "actions"),
        "actions",
        "action_index",
    ).unnest("actions")
    return {
        "steps": steps.select(
            "entity_id",
            "result_key",
            "step_index",
            pl.col("step_number").alias("step_id"),
            pl.col("task").alias("name"),
            "kind",
            "outcome",
            pl.when(pl.col("outcome") != "skipped").then(step_ms(pl.col("duration"))).alias("duration_ms"),
            pl.col("result").alias("result_text"),
            pl.when(pl.col("outcome") == "failed").then("result").alias("error_message"),
            json_object({"duration": pl.when(step_ms(pl.col("duration")).is_null()).then(pl.col("duration"))}).alias("attributes"),
        ),
        "actions": actions.select("entity_id", "result_key", "step_index", "action_index", pl.col("type").alias("kind"), "description"),
        "artifacts": _artifacts(tries, actions),
        "errors": _errors(steps),
        "exchanges": _exchanges(actions),
    }


def _steps(tries: pl.DataFrame) -> pl.DataFrame:
    """One row per step with `outcome`, and `kind` and request of the blueprint's step of the same number."""
    rows = explode_indexed(tries.select(*_OWNER, "results"), "results", "step_index").unnest("results")
    blueprint_steps = pl.col("blueprint_metadata").struct.field("steps").alias("steps")
    planned = explode_indexed(tries.select("row", "attempt", blueprint_steps), "steps", "place")
    step = pl.col("steps").struct
    request = step.field("api_request").struct
    planned = planned.select(
        "row",
        "attempt",
        plain(step.field("step_number")).alias("step_number"),
        step.field("type").alias("kind"),
        request.field("method").alias("method"),
        request.field("url").alias("url"),
        request.field("headers").alias("request_headers"),
    ).unique(["row", "attempt", "step_number"], keep="first", maintain_order=True)
    word = pl.lit("unknown")
    for condition, value in reversed(step_outcome_rules()):
        word = pl.when(condition.fill_null(value=False)).then(pl.lit(value)).otherwise(word)
    return rows.join(planned, on=["row", "attempt", "step_number"], how="left", maintain_order="left").with_columns(word.alias("outcome"))


def _artifacts(tries: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Screenshots and responses in the order of the actions, then the videos."""
    response = pl.col("api_response").struct.field("api_response_url")
    of_actions = [*((pl.col(name), kind) for name, kind in _URL_KINDS.items()), (response, "api_response")]
    parts = [
        actions.select(
            *_OWNER,
            "step_index",
            "action_index",
            pl.lit(kind).alias("kind"),
            url.alias("url"),
            pl.lit(place).alias("place"),
        )
        for place, (url, kind) in enumerate(of_actions)
    ]
    videos = [
        tries.select(*_OWNER, pl.lit("video").alias("kind"), pl.col(name).alias("url"), pl.lit(place).alias("place"))
        for place, name in enumerate(("test_video_url", "test_video_download_url"))
    ]
    found = pl.concat([*parts, *videos], how="diagonal").filter(pl.col("url") != "")
    return found.sort("row", "attempt", "step_index", "action_index", "place", nulls_last=True, maintain_order=True).select(
        "entity_id",
        "result_key",
        _numbered().alias("artifact_index"),
        pl.col("step_index").fill_null(-1),
        "action_index",
        "kind",
        pl.col("url").str.replace(r"(?s)[?#].*$", "").alias("url"),
    )


def _errors(steps: pl.DataFrame) -> pl.DataFrame:
    return steps.filter(pl.col("outcome") == "failed").select(
        "entity_id",
        "result_key",
        _numbered().alias("error_index"),
        "step_index",
        pl.lit("step").alias("origin"),
        pl.col("result").alias("message"),
    )


def _exchanges(actions: pl.DataFrame) -> pl.DataFrame:
    """The answer an api step got, with the request that the blueprint holds for the step of that number."""
    response = pl.col("api_response").struct
    has_answer = pl.any_horizontal(response.field(name).is_not_null() for name in ("status_code", "headers", "body"))
    return actions.filter(has_answer).select(
        "entity_id",
        "result_key",
        _numbered().alias("exchange_index"),
        "step_index",
        "method",
        "url",
        response.field("status_code").cast(pl.Int64, strict=False).alias("status_code"),
        "request_headers",
        response.field("headers").alias("response_headers"),
        plain(response.field("body")).alias("response_body"),
        json_object({"step_number": quoted(pl.col("step_number")), "action_index": pl.col("action_index")}).alias("attributes"),
    )


def _numbered() -> pl.Expr:
    return pl.int_range(pl.len(), dtype=pl.Int64).over("row", "attempt")
