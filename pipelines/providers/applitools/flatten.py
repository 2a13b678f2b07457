"""Applitools plan runs -> rows of runs, environments, results and sightings. Pure polars; no requests."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.providers.applitools.leaves import COUNTERS, RUN, TEST
from pipelines.transform.expressions import (
    as_json,
    explode_indexed,
    from_iso,
    implausible,
    json_list,
    json_object,
    non_negative,
    outcome,
    plain,
    quoted,
    result_key,
    run_key,
    said,
)

NAME = "applitools"
_VIEWPORT = r"^\s*(\d{1,9})\s*[xX]\s*(\d{1,9})\s*$"
WHERE = ("os", "browser", "device", "viewport_width", "viewport_height")


def outcome_rules(status: pl.Expr, counts: Mapping[str, pl.Expr]) -> list[tuple[pl.Expr, str]]:
    """The contract's outcome table for Applitools, first match wins; any other word is `unknown`."""
    is_completed = status == "completed"
    return [
        (status == "passed", "passed"),
        (status == "failed", "failed"),
        (status == "aborted", "aborted"),
        (status == "unresolved", "unresolved"),
        (is_completed & (counts["failed"] > 0), "failed"),
        (is_completed & (counts["aborted"] > 0), "aborted"),
        (is_completed & (counts["unresolved"] > 0), "unresolved"),
        (is_completed, "passed"),
        (status.is_null() | status.is_in(["", "pending", "running"]), "running"),
    ]


def flatten_plan_run(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A plan run -> one `runs` row, its `environments`, one `results` row and one sighting per test.

    A word that is not known is polled again, so it is not terminal (README.md).
    """
    document = pl.col("doc").struct
    wrapped = document.field("result")
    bare = pl.struct([document.field(name) for name in RUN])
    opened = frame.select(
        "entity_id",
        pl.col("fetched_at").dt.convert_time_zone("UTC"),
        pl.when(wrapped.is_not_null()).then(bare).alias("beside_result"),
        pl.when(wrapped.is_not_null()).then(wrapped).otherwise(bare).struct.unnest(),
    ).with_columns(
        run_key(NAME, pl.col("entity_id")).alias("run_key"),
        from_iso(pl.col("started_at")),
        pl.col("started_at").alias("started_text"),
        _places().alias("environments"),
    )
    tests = _tests(opened)
    return {
        "runs": _runs(opened),
        "environments": _environments(opened),
        "results": _results(tests),
        "sightings": _sightings(tests),
    }


def _runs(opened: pl.DataFrame) -> pl.DataFrame:
    counts = {name: pl.col("results").struct.field(name) for name in COUNTERS}
    viewports = pl.col("environments").list.eval(pl.element().struct.field("viewport"))
    is_split = viewports.list.eval(pl.element().str.contains(_VIEWPORT)).list.all()
    return opened.with_columns(outcome(outcome_rules(pl.col("status"), counts))).select(
        "entity_id",
        "run_key",
        pl.col("entity_id").alias("run_id"),
        pl.lit("plan_run").alias("kind"),
        said(pl.col("name")).alias("name"),
        said(pl.col("application")).alias("application"),
        _only("name").alias("environment"),
        "status",
        "outcome",
        "outcome_rank",
        _is_terminal().alias("is_terminal"),
        "started_at",
        non_negative(pl.col("duration")).alias("duration_ms"),
        *[counts[name].cast(pl.Int64, strict=False).alias(f"{name}_count") for name in COUNTERS],
        json_object(
            {
                # What cannot be split into width and height has no column in environments.
                "viewports": pl.when(~is_split).then(json_list(viewports.list.eval(quoted(pl.element())))),
                "started_at": pl.when(pl.col("started_at").is_null()).then(quoted(pl.col("started_text"))),
                "duration": implausible(pl.col("duration")),
                "beside_result": as_json(pl.col("beside_result"), RUN),
            }
        ).alias("attributes"),
    )


def _places() -> pl.Expr:
    """The environments with what is known of them: '' is NULL, the viewport also as width and height."""
    environment = pl.element().struct
    size = environment.field("viewport").str.extract_groups(_VIEWPORT).struct
    return pl.col("environments").list.eval(
        pl.struct(
            *[said(environment.field(name)).alias(name) for name in ("name", "os", "browser", "device")],
            environment.field("viewport"),
            size.field("1").cast(pl.Int64, strict=False).alias("viewport_width"),
            size.field("2").cast(pl.Int64, strict=False).alias("viewport_height"),
        )
    )


def _environments(opened: pl.DataFrame) -> pl.DataFrame:
    rows = explode_indexed(opened.select("entity_id", "run_key", "environments"), "environments", "environment_index")
    return rows.unnest("environments").select("entity_id", "run_key", "environment_index", "name", *WHERE)


def _only(name: str) -> pl.Expr:
    """What a run that covers one environment says of it; of several no test says in which it ran."""
    environments = pl.col("environments").list
    return pl.when(environments.len() == 1).then(environments.get(0, null_on_oob=True).struct.field(name)).alias(name)


def _tests(opened: pl.DataFrame) -> pl.DataFrame:
    rows = opened.select("entity_id", "run_key", "started_at", "fetched_at", "tests", *[_only(name) for name in WHERE])
    return (
        explode_indexed(rows, "tests", "place")
        .unnest("tests")
        .with_columns(said(pl.col("name")).alias("name"), said(pl.col("type").str.to_lowercase()).alias("test_type"))
    )


def _results(tests: pl.DataFrame) -> pl.DataFrame:
    counts = {name: pl.col("results").struct.field(name).cast(pl.Float64, strict=False) for name in COUNTERS}
    return (
        tests.with_columns(pl.format("{}/{}", "entity_id", "id").alias("result_id"))
        .with_columns(outcome(outcome_rules(pl.col("status"), counts)))
        .select(
            "entity_id",
            result_key(NAME, pl.col("result_id")).alias("result_key"),
            "result_id",
            pl.lit(1, dtype=pl.Int64).alias("attempt"),
            pl.col("result_id").alias("execution_id"),
            "run_key",
            pl.col("entity_id").alias("run_id"),
            pl.col("id").alias("test_id"),
            pl.col("name").alias("test_name"),
            "test_type",
            *WHERE,
            "status",
            "outcome",
            "outcome_rank",
            _is_terminal().alias("is_terminal"),
            "started_at",
            pl.col("testResultsUrl").str.replace(r"(?s)[?#].*$", "").alias("url"),
            json_object({name: as_json(pl.col(name), TEST[name]) for name in ("sitemap", "results")}).alias("attributes"),
        )
    )


def _sightings(tests: pl.DataFrame) -> pl.DataFrame:
    return tests.filter(pl.col("id").is_not_null()).select(
        "entity_id",
        pl.col("id").alias("test_id"),
        pl.coalesce("started_at", "fetched_at").alias("observed_at"),
        pl.lit("result").alias("origin"),
        "name",
        "test_type",
        said(plain(pl.col("sitemap"))).alias("target_url"),
    )


def _is_terminal() -> pl.Expr:
    return ~pl.col("outcome").is_in(["running", "unknown"])
