"""Checkly payloads -> rows of runs, results and sightings. What hangs below a result: `flatten_blocks`. Pure polars.

What a block leaves for its result's own row: `flatten_rest`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.providers.checkly import flatten_blocks, flatten_rest
from pipelines.providers.checkly.leaves import RESULT, SESSION, SESSION_ROW
from pipelines.transform.contradictions import out_of_order
from pipelines.transform.expressions import (
    as_json,
    elapsed_ms,
    from_iso,
    json_list,
    json_object,
    non_negative,
    outcome,
    quoted,
    result_key,
    run_key,
)

NAME = "checkly"
_BLANK = pl.lit(None, dtype=pl.String)


def outcome_rules(columns: Sequence[str]) -> list[tuple[pl.Expr, str]]:
    """Checkly's part of the contract's outcome table, first match wins. `columns`: the inputs that the payload has."""

    def says(name: str, *values: str) -> pl.Expr:
        return pl.col(name).is_in(values) if name in columns else pl.lit(value=False)

    def flag(name: str) -> pl.Expr:
        return pl.col(name) if name in columns else pl.lit(value=False)

    return [
        (says("status", "RUNNING") | says("resultType", "PENDING"), "running"),
        (flag("isCancelled") | says("status", "CANCELLED"), "cancelled"),
        (flag("aborted"), "aborted"),
        (flag("hasErrors") | flag("hasFailures") | says("status", "FAILED"), "failed"),
        (flag("isDegraded"), "degraded"),
        (says("status", "PASSED"), "passed"),
    ]


def flatten_session_row(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """An entry of the list of test sessions -> `runs`: what only it says is trigger, project, region, invoker."""
    opened = _open(frame)
    attributes = json_object({name: as_json(pl.col(name), SESSION_ROW[name]) for name in _ROW_OWN})
    runs = _runs(opened, "", trigger=pl.col("provider"), url=_BLANK, duration_ms=pl.lit(None), attributes=attributes)
    return {"runs": runs, "drift": out_of_order(runs, "/stoppedAt")}


def flatten_session(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A test session -> `runs`; the counts are derived from its results.

    Its `results` become rows by their own payloads. What the list says of them stays in `attributes` too: some of them may be gone or
    refused, and then the list is all that is known.
    """
    opened = _open(frame)
    metadata = SESSION["metadata"]
    assert isinstance(metadata, dict)
    github = as_json(pl.col("metadata").struct.field("github"), metadata["github"])
    listed = as_json(pl.col("results"), SESSION["results"])
    runs = _runs(
        opened,
        "metadata",
        trigger=_BLANK,
        url=pl.col("testSessionLink"),
        duration_ms=non_negative(pl.col("timeElapsed")),
        attributes=json_object({"github": github, "results": listed}),
    )
    return {"runs": runs, "drift": out_of_order(runs, "/stoppedAt")}


def _runs(
    opened: pl.DataFrame,
    group: str,
    *,
    trigger: pl.Expr,
    url: pl.Expr,
    duration_ms: pl.Expr,
    attributes: pl.Expr,
) -> pl.DataFrame:
    def told(name: str) -> pl.Expr:
        return pl.col(group).struct.field(name) if group else pl.col(name)

    return opened.with_columns(outcome(outcome_rules(("status",)))).select(
        "entity_id",
        run_key(NAME, pl.col("entity_id")).alias("run_key"),
        pl.col("entity_id").alias("run_id"),
        pl.lit("test_session").alias("kind"),
        "name",
        told("environment").alias("environment"),
        "status",
        "outcome",
        "outcome_rank",
        (pl.col("outcome") != "running").alias("is_terminal"),
        from_iso(pl.col("startedAt")).alias("started_at"),
        from_iso(pl.col("stoppedAt")).alias("ended_at"),
        duration_ms.cast(pl.Float64).alias("duration_ms"),
        trigger.alias("trigger"),
        told("repoUrl").alias("repo_url"),
        told("branchName").alias("branch"),
        told("commitId").alias("commit_sha"),
        told("commitOwner").alias("commit_author"),
        told("commitMessage").alias("commit_message"),
        json_list(pl.col("errorGroupIds")).alias("error_group_ids"),
        url.alias("url"),
        attributes.alias("attributes"),
    )


def flatten_result(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A test session result -> `results`, its children and one sighting of its test.

    `results` also has `try_kind` (final, attempt, pending or NULL): from it the final try of an execution is derived.
    """
    opened = _open(frame).with_columns(
        result_key(NAME, pl.col("entity_id")).alias("result_key"),
        from_iso(pl.col("startedAt")).alias("started_at"),
        from_iso(pl.col("stoppedAt")).alias("ended_at"),
        _test_id().alias("test_id"),
        pl.col("checkType").str.to_lowercase().alias("test_type"),
        *outcome(outcome_rules(list(RESULT))),
    )
    children = flatten_blocks.children(opened)
    drift = pl.concat([out_of_order(opened, "/stoppedAt"), children.pop("drift")])
    return {"results": _results(opened), **children, "sightings": _sightings(opened), "drift": drift}


def _results(opened: pl.DataFrame) -> pl.DataFrame:
    has_run = pl.col("parent_id").is_not_null()
    return opened.select(
        "entity_id",
        "result_key",
        pl.col("entity_id").alias("result_id"),
        pl.lit(1, dtype=pl.Int64).alias("attempt"),
        pl.coalesce(pl.format("{}/{}", "parent_id", "sequenceId"), "entity_id").alias("execution_id"),
        pl.when(has_run).then(run_key(NAME, pl.col("parent_id"))).alias("run_key"),
        pl.col("parent_id").alias("run_id"),
        "test_id",
        pl.col("name").alias("test_name"),
        "test_type",
        pl.col("runLocation").alias("location"),
        pl.col("privateLocationId").alias("private_location_id"),
        "status",
        "outcome",
        "outcome_rank",
        (pl.col("outcome") != "running").alias("is_terminal"),
        pl.col("isDegraded").alias("is_degraded"),
        pl.col("isCancelled").alias("is_cancelled"),
        pl.col("aborted").alias("is_aborted"),
        pl.col("hasErrors").alias("has_errors"),
        pl.col("hasFailures").alias("has_failures"),
        "started_at",
        "ended_at",
        elapsed_ms(pl.col("started_at"), pl.col("ended_at")).alias("duration_ms"),
        non_negative(pl.col("responseTime")).alias("response_time_ms"),
        *flatten_rest.told_by_blocks(),
        pl.col("traceId").alias("trace_id"),
        pl.col("testSessionResultLink").alias("url"),
        pl.col("resultType").str.to_lowercase().alias("try_kind"),
    ).with_columns(flatten_rest.attributes(opened, _result_own()))


def _sightings(opened: pl.DataFrame) -> pl.DataFrame:
    return opened.select(
        "entity_id",
        "test_id",
        pl.coalesce("started_at", pl.col("fetched_at").dt.convert_time_zone("UTC")).alias("observed_at"),
        pl.lit("result").alias("origin"),
        "name",
        "test_type",
    )


def _open(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("entity_id", "parent_id", "fetched_at", pl.col("doc").struct.unnest())


def _test_id() -> pl.Expr:
    """checkId, else `name:<filePath>::<name>`: checks that live in code have no id before they are deployed."""
    by_name = pl.format("name:{}::{}", pl.col("filePath").fill_null(""), pl.col("name").fill_null(""))
    return pl.coalesce(pl.col("checkId").replace("", None), by_name)


_ROW_OWN = (
    "accountId",
    "projectId",
    "running",
    "passed",
    "failed",
    "cancelled",
    "region",
    "privateLocationId",
    "invoker",
    "created_at",
    "updated_at",
)
_RESULT_OWN = (
    "resultType",
    "errorGroupIds",
    "filePath",
    "sequenceId",
    "overMaxResponseTime",
    "attempts",
    "created_at",
    "updated_at",
    "checkRunId",
)


def _result_own() -> dict[str, pl.Expr]:
    fields = {name: as_json(pl.col(name), RESULT[name]) for name in _RESULT_OWN}
    # documented as another name of testSessionResultId: kept where it is not
    return fields | {"id": quoted(pl.when(pl.col("id") != pl.col("entity_id")).then(pl.col("id")))}
