"""Datadog's browser results -> table frames. Pure polars; durations are ms (the document's "seconds" is wrong)."""

from __future__ import annotations

import polars as pl

from pipelines.providers.datadog.assertions import KEEP
from pipelines.providers.datadog.common import (
    base_frame,
    distinct_errors,
    error_frame,
    error_rows,
    failed,
    key_flag,
    key_list,
    result,
    result_sightings,
    results,
    unless_whole,
)
from pipelines.providers.datadog.configuration import with_configuration
from pipelines.providers.datadog.leaves import STEP_DEPTH
from pipelines.transform.expressions import (
    explode_indexed,
    implausible,
    json_list,
    json_object,
    non_negative,
    number_text,
    plain,
    quoted,
    said,
    whole,
)

_PATH = [f"place_{level}" for level in range(STEP_DEPTH)]
_STEP_KEYS = {
    "screenshotBucketKey": "screenshot",
    "snapshotBucketKey": "snapshot",
    "emailMessageBucketKeys": "email",
}
_COUNTS = {"stepCountTotal": "step_count", "stepCountCompleted": "step_completed_count", "errorCount": "error_count"}
_RESULT_KEYS = {"thumbnailsBucketKey": "thumbnail", "artifactsBucketKey": "artifacts"}


def browser_result_rows(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """List rows of browser results -> results, errors."""
    base = base_frame(frame)
    return {
        "results": results(
            base,
            test_type="browser",
            total=None,
            columns=[
                *_device_columns(pl.coalesce(result("deviceId"), "device_id")),
                *(whole(result(name)).alias(column) for name, column in _COUNTS.items()),
            ],
            attributes={
                "device": _device_json(),
                "duration": implausible(result("duration")),
                "device_id": quoted(pl.col("device_id")),
                "deviceId": quoted(result("deviceId")),
                **{name: unless_whole(result(name)) for name in _COUNTS},
                "timings": result("timings"),
            },
        ),
        "errors": distinct_errors(error_rows(base)),
    }


def browser_results(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Full browser results -> results, steps, errors, page_vitals, artifacts, sightings."""
    base = base_frame(frame).with_columns(
        raw_config=pl.col("check").struct.field("config"), options=pl.col("check").struct.field("options")
    )
    base = with_configuration(base, "raw_config")
    steps = _steps(base)
    owner = pl.col("failure")
    errors = [
        *error_rows(base),
        error_frame(steps, "step", said(owner.struct.field("message")), code=owner.struct.field("code")),
        error_frame(steps, "step", said(pl.col("error"))),
        _browser_errors(steps),
    ]
    return {
        "results": results(
            base,
            test_type="browser",
            total=None,
            columns=[
                *_device_columns(pl.col("device_id"), result("browserType")),
                plain(result("browserVersion")).alias("browser_version"),
            ],
            attributes={
                "device": _device_json(),
                "duration": implausible(result("duration")),
                "device_id": quoted(pl.col("device_id")),
                **{
                    name: result(name)
                    for name in (
                        "startUrl",
                        "receivedEmailCount",
                        "hasArtifacts",
                        "enrichment",
                        "metadata",
                    )
                },
                **{name: key_flag(result(name)) for name in _RESULT_KEYS},
            },
        ),
        "steps": _step_rows(steps),
        "errors": distinct_errors(errors),
        "page_vitals": _page_vitals(base, steps),
        "artifacts": _artifacts(base, steps),
        "sightings": result_sightings(base, "browser"),
    }


def _device(name: str) -> pl.Expr:
    return result("device").struct.field(name)


def _device_columns(device_id: pl.Expr, *browser: pl.Expr) -> list[pl.Expr]:
    id_ = pl.coalesce(_device("id"), device_id)
    return [
        pl.coalesce(_device("name"), id_).alias("device"),
        pl.coalesce(*browser, _device("browser"), id_.str.extract(r"^([^.]+)\.")).alias("browser"),
        whole(_device("width")).alias("viewport_width"),
        whole(_device("height")).alias("viewport_height"),
        non_negative(result("duration")).alias("duration_ms"),
    ]


def _device_json() -> pl.Expr:
    texts = {name: quoted(_device(name)) for name in ("id", "browser")}
    sizes = {name: unless_whole(_device(name)) for name in ("height", "width")}
    return json_object({**texts, **sizes, **{name: _device(name) for name in ("isMobile", "userAgent")}})


# -------------------------------------------------------------------------------------------------------------- steps


def _steps(base: pl.DataFrame) -> pl.DataFrame:
    """One row per step with its fields, `step_index` (subtests depth first) and `parent_step_index`."""
    level = base.select(*KEEP, result("stepDetails").alias("step"))
    levels: list[pl.DataFrame] = []
    for depth, place in enumerate(_PATH):
        level = explode_indexed(level, "step", place).filter(pl.col("step").is_not_null()).unnest("step")
        absent = [pl.lit(-1, dtype=pl.Int64).alias(deeper) for deeper in _PATH[depth + 1 :]]
        is_last = depth == STEP_DEPTH - 1
        deeper_steps = pl.col("subTestStepDetails") if is_last else pl.lit(None, dtype=pl.String)
        levels.append(level.with_columns(*absent, subTestStepDetails=deeper_steps))
        if not is_last:
            level = level.select(*KEEP, *_PATH[: depth + 1], pl.col("subTestStepDetails").alias("step"))
    steps = pl.concat(levels, how="diagonal").sort("row", *_PATH)
    steps = steps.with_columns(step_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row"))
    depth_of = pl.sum_horizontal(pl.col(name) >= 0 for name in _PATH)
    parent_path = [pl.when(depth_of > level + 1).then(pl.col(name)).otherwise(-1).alias(name) for level, name in enumerate(_PATH)]
    index = steps.select("row", *_PATH, pl.col("step_index").alias("parent_step_index"))
    parents = steps.select("row", "step_index", *parent_path).join(index, on=["row", *_PATH], how="left")
    return steps.join(
        parents.select("row", "step_index", "parent_step_index"),
        on=["row", "step_index"],
        how="left",
        maintain_order="left",
    )


def _step_rows(steps: pl.DataFrame) -> pl.DataFrame:
    is_skipped = pl.col("skipped").fill_null(value=False)
    message = pl.coalesce(said(pl.col("failure").struct.field("message")), said(pl.col("error")))
    outcome = (
        pl.when(is_skipped)
        .then(pl.lit("skipped"))
        .when(failed(pl.col("failure")) | said(pl.col("error")).is_not_null())
        .then(pl.lit("failed"))
        .otherwise(pl.lit("passed"))
    )
    return steps.select(
        "entity_id",
        "result_key",
        "step_index",
        "parent_step_index",
        pl.col("stepId").alias("step_id"),
        pl.col("description").alias("name"),
        pl.col("type").alias("kind"),
        outcome.alias("outcome"),
        pl.when(~is_skipped).then(non_negative(pl.col("duration"))).alias("duration_ms"),
        "url",
        message.alias("error_message"),
        json_object(
            {
                **{
                    name: pl.col(name)
                    for name in (
                        "value",
                        "allowFailure",
                        "isCritical",
                        "playingTab",
                        "publicId",
                        "timeToInteractive",
                        "rumContext",
                        "stepElementUpdates",
                        "subTestStepDetails",
                    )
                },
                "checkType": quoted(pl.col("checkType")),
                # a step that did not run has no duration, whatever the payload says
                "duration": pl.when(is_skipped).then(number_text(pl.col("duration"))),
                "warnings": _unless_empty(pl.col("warnings")),
                "failureCode": quoted(pl.col("failure").struct.field("code")),
                "browserErrors": _browser_error_json(),
                **{name: key_flag(pl.col(name)) for name in _STEP_KEYS},
            }
        ).alias("attributes"),
    )


def _unless_empty(listed: pl.Expr) -> pl.Expr:
    return pl.when(listed != "[]").then(listed)


def _browser_error_json() -> pl.Expr:
    field = pl.element().struct.field
    texts = {name: quoted(field(name)) for name in ("type", "name", "description")}
    item = json_object({**texts, "status": field("status"), "method": field("method")})
    listed = pl.col("browserErrors")
    return pl.when(listed.list.len() > 0).then(json_list(listed.list.eval(item)))


def _browser_errors(steps: pl.DataFrame) -> pl.DataFrame:
    """What the browser logged: `code` is the HTTP status of a network error, else the type (js)."""
    listed = steps.select(*KEEP, "step_index", "browserErrors")
    errors = explode_indexed(listed, "browserErrors", "place").unnest("browserErrors")
    return error_frame(errors, "browser", said(pl.col("description")), code=pl.coalesce("status", "type"), name=pl.col("name"))


def _page_vitals(base: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Web vitals per page in step order, and the result's timeToInteractive (ms) as page -1."""
    pages = explode_indexed(steps.select(*KEEP, "step_index", "vitalsMetrics"), "vitalsMetrics", "place")
    pages = pages.unnest("vitalsMetrics").with_columns(page_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row"))
    keep = ["entity_id", "result_key", "page_index", "metric", "page_url", "value"]
    parts = [pages.select(*KEEP, "page_index", pl.lit(name).alias("metric"), pl.col("url").alias("page_url"),
                          pl.col(name).alias("value")) for name in ("lcp", "cls")]  # fmt: skip
    whole = base.select(
        *KEEP,
        pl.lit(-1, dtype=pl.Int64).alias("page_index"),
        pl.lit("time_to_interactive").alias("metric"),
        pl.lit(None, dtype=pl.String).alias("page_url"),
        result("timeToInteractive").alias("value"),
    )
    return pl.concat([whole, *parts]).filter(pl.col("value").is_not_null()).select(keep)


def _artifacts(base: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """One row per bucket key that is a text (the documented booleans are attributes): result first, then steps."""
    whole = base.select(*KEEP, "step_index", *(result(name) for name in _RESULT_KEYS))
    parts = [
        owner.select(*KEEP, "step_index", pl.lit(place).alias("place"), pl.lit(kind).alias("kind"),
                     key_list(pl.col(name)).alias("name"))
        for owner, kinds in ((whole, _RESULT_KEYS), (steps, _STEP_KEYS))
        for place, (name, kind) in enumerate(kinds.items())
    ]  # fmt: skip
    rows = pl.concat(parts).explode("name").filter(pl.col("name").is_not_null())
    rows = rows.sort("row", "step_index", "place", maintain_order=True)
    rows = rows.with_columns(artifact_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row"))
    return rows.drop("row", "place")
