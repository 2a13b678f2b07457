"""What API and browser results share: the result row, errors, sightings. Pure polars; no endpoint is wired here.

A `base` frame has one row per payload: `row`, entity_id, parent_id, fetched_at, result_key, started_at, `found` (the
list of assertion outcomes), the envelope's leaves, and the struct `result`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.providers.datadog.assertions import KEEP, failed_assertions, has_invalid, sentence
from pipelines.providers.datadog.leaves import OPEN_EVENT_TYPES
from pipelines.transform.expressions import (
    from_epoch_ms,
    inner,
    json_list,
    json_object,
    members,
    outcome,
    plain,
    quoted,
    result_key,
    said,
    whole,
)

NAME = "datadog"

TRIGGERS = {"0": "scheduled", "1": "fast", "2": "ci", "3": "triggered"}
"""`runType` of v1 by the names of v2, which name the same four kinds in this order (0, 2 and 3 are recorded, 2020-2022)."""


def result(name: str) -> pl.Expr:
    """A leaf of the payload's `result`."""
    return pl.col("result").struct.field(name)


def base_frame(frame: pl.DataFrame, *, assertion_results: bool = False) -> pl.DataFrame:
    """One row per payload with what every table needs (see the module). No payload is dropped."""
    base = frame.unnest("doc").with_row_index("row")
    told = failed_assertions(result("errorMessage"))
    listed = result("assertionResults") if assertion_results else None
    base = base.with_columns(
        result_key=result_key(NAME, pl.col("entity_id")),
        started_at=from_epoch_ms(pl.col("check_time")),
        told=told,
        step_index=pl.lit(-1, dtype=pl.Int64),
    )
    if listed is None:
        return base.with_columns(found="told")
    from_results = listed.cast(base.schema["told"])
    return base.with_columns(found=pl.when(listed.list.len() > 0).then(from_results).otherwise("told"))


def unless_whole(json_text: pl.Expr) -> pl.Expr:
    """JSON text for `attributes` where `whole` does not read it."""
    return pl.when(whole(json_text).is_null()).then(json_text)


def trigger() -> pl.Expr:
    """What started the try, by name; NULL for a number without one (it stands in `attributes`)."""
    return pl.coalesce(
        number.replace_strict(TRIGGERS, default=None, return_dtype=pl.String) for number in (result("runType"), pl.col("run_type"))
    )


def plain_error() -> pl.Expr:
    """An `errorMessage` that is no JSON-encoded list of assertions."""
    return pl.when(pl.col("told").is_null()).then(said(result("errorMessage")))


def failed(owner: pl.Expr) -> pl.Expr:
    """True where a `failure` object says anything."""
    return owner.struct.field("code").is_not_null() | said(owner.struct.field("message")).is_not_null()


def outcome_rules(total: pl.Expr | None) -> list[tuple[pl.Expr, str]]:
    """The contract's outcome rules for Datadog, first match wins; `total` is the total timing where there is one.

    The integer `status` is the monitor's state, not the outcome of the run.
    """
    event = result("eventType")
    rules: list[tuple[pl.Expr, str]] = [
        (event.is_in(OPEN_EVENT_TYPES), "running"),
        (result("passed"), "passed"),
        (~result("passed"), "failed"),
        (failed(result("failure")), "failed"),
        (said(result("error")).is_not_null() | plain_error().is_not_null(), "failed"),
        (event == "finished_with_error", "failed"),
        (has_invalid(pl.col("found")), "failed"),
        (event == "finished", "passed"),
    ]
    if total is not None:
        rules.append((event.is_null() & total.is_not_null(), "passed"))
    return rules


def results(
    base: pl.DataFrame,
    *,
    test_type: str,
    total: pl.Expr | None,
    columns: Sequence[pl.Expr],
    attributes: dict[str, pl.Expr],
) -> pl.DataFrame:
    """Rows of `core.results`, one per payload; `columns` and `attributes` are those of the endpoint."""
    is_private = pl.col("probe_dc").str.starts_with("pl:")
    error = said(result("error"))
    message = pl.coalesce(said(result("failure").struct.field("message")), error, plain_error())
    return base.with_columns(outcome_rules_of(total)).select(
        "entity_id",
        "result_key",
        pl.col("entity_id").alias("result_id"),
        pl.lit(1, dtype=pl.Int64).alias("attempt"),
        pl.coalesce(said(result("initialResultID")), "entity_id").alias("execution_id"),
        batch_id(base).alias("run_id"),
        pl.col("parent_id").alias("test_id"),
        pl.lit(test_type).alias("test_type"),
        pl.col("probe_dc").alias("location"),
        pl.when(is_private).then(pl.col("probe_dc")).alias("private_location_id"),
        trigger().alias("trigger"),
        said(result("initialResultID")).alias("initial_result_id"),
        result("eventType").alias("status"),
        "outcome",
        "outcome_rank",
        (pl.col("outcome") != "running").alias("is_terminal"),
        "started_at",
        result("failure").struct.field("code").alias("failure_code"),
        message.alias("failure_message"),
        *columns,
        json_object(
            {
                "status": pl.col("status"),
                "run_type": pl.col("run_type"),
                "check_version": pl.col("check_version"),
                "check_time": pl.when(pl.col("started_at").is_null()).then("check_time"),  # no plausible instant
                "passed": result("passed"),
                "error": quoted(pl.when(error != message).then(error)),
                "errorMessage": quoted(said(result("errorMessage"))),
                **{name: result(name) for name in ("runType", "subtype", "mainDC", "tunnel", "unhealthy", "nextTryAt")},
                **attributes,
            }
        ).alias("attributes"),
    )


def outcome_rules_of(total: pl.Expr | None) -> list[pl.Expr]:
    """Columns `outcome` and `outcome_rank`."""
    return outcome(outcome_rules(total))


def batch_id(base: pl.DataFrame) -> pl.Expr:
    """The CI batch, where a payload names one (assumed places: top level, `enrichment`)."""
    dtype = base.schema["result"]
    assert isinstance(dtype, pl.Struct)
    if any(field.name == "enrichment" for field in dtype.fields):
        return pl.coalesce("batch_id", inner(result("enrichment"), "$.batch_id"))
    return pl.col("batch_id")


def error_rows(base: pl.DataFrame) -> list[pl.DataFrame]:
    """What the result itself says went wrong: failure, error, plain errorMessage; before duplicates are dropped."""
    owner = result("failure")
    return [
        error_frame(base, "failure", sentence(said(owner.struct.field("message"))), code=owner.struct.field("code")),
        error_frame(base, "error", sentence(said(result("error")))),
        error_frame(base, "error", sentence(said(result("errorMessage")))),
    ]


def error_frame(
    frame: pl.DataFrame, origin: str, message: pl.Expr, *, code: pl.Expr | None = None, name: pl.Expr | None = None
) -> pl.DataFrame:
    """One candidate row of `core.errors` per row that has a message or a code."""
    nothing = pl.lit(None, dtype=pl.String)
    return frame.select(
        *KEEP,
        "step_index",
        pl.lit(origin).alias("origin"),
        (nothing if code is None else code).alias("code"),
        (nothing if name is None else name).alias("name"),
        message.alias("message"),
    ).filter(pl.col("message").is_not_null() | pl.col("code").is_not_null())


def distinct_errors(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of `core.errors`: one per distinct step and message, in the order of the parts, result first.

    What a step says too is told once, at the step; the code found beside any of the equal texts is kept.
    """
    rows = pl.concat(parts).with_columns(
        pl.coalesce("code", pl.col("code").drop_nulls().first().over("row", "message")).alias("code"),
        is_at_step=(pl.col("step_index") >= 0).any().over("row", "message") & pl.col("message").is_not_null(),
    )
    rows = rows.filter((pl.col("step_index") >= 0) | ~pl.col("is_at_step"))
    rows = rows.unique(["row", "step_index", "message"], keep="first", maintain_order=True)
    rows = rows.sort("row", "step_index", maintain_order=True)
    return rows.with_columns(error_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row")).drop("row", "is_at_step")


def result_sightings(base: pl.DataFrame, test_type: str) -> pl.DataFrame:
    """The definition as a result carries it (`base` with the columns of `with_configuration`, and `options`, `check`).

    `test_type` stands where `check` names none. The name is the monitor's: a tests list knows better.
    """
    check = pl.col("check")
    return base.filter(pl.col("parent_id").is_not_null() & check.is_not_null()).select(
        "entity_id",
        pl.col("parent_id").alias("test_id"),
        pl.coalesce("started_at", pl.col("fetched_at").dt.convert_time_zone("UTC")).alias("observed_at"),
        pl.lit("result").alias("origin"),
        inner(pl.col("options"), "$.monitor_name").alias("name"),
        pl.coalesce(said(check.struct.field("type")).str.to_lowercase(), pl.lit(test_type)).alias("test_type"),
        inner(pl.col("options"), "$.tick_every").cast(pl.Float64, strict=False).alias("frequency_s"),
        check.struct.field("locations").alias("locations"),
        "target_url",
        "config",
        json_object({"subtype": quoted(check.struct.field("subtype")), "options": pl.col("options")}).alias("attributes"),
    )


def key_list(bucket_key: pl.Expr) -> pl.Expr:
    """The file keys in a bucket-key leaf: none for a boolean, one for a text, all of a list."""
    texts = pl.when(bucket_key.str.contains(r'^["\[]')).then(bucket_key)
    return members(texts).list.eval(plain(pl.element().struct.field("value")))


def key_flag(bucket_key: pl.Expr) -> pl.Expr:
    """A bucket-key leaf for `attributes` when it holds no file key (the documented booleans)."""
    return pl.when(~bucket_key.str.contains(r'^["\[]')).then(bucket_key)


def alt_names(text: pl.Expr) -> pl.Expr:
    """`DNS:a, DNS:b` as a JSON list of the names."""
    names = text.str.split(",").list.eval(pl.element().str.strip_chars().str.strip_prefix("DNS:"))
    return json_list(names.list.eval(quoted(pl.element())))
