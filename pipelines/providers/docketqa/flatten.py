"""DocketQA payloads -> rows of runs, results and sightings; steps are in `flatten_steps`. Pure polars."""

from __future__ import annotations

import polars as pl

from pipelines.providers.docketqa import flatten_steps
from pipelines.providers.docketqa.leaves import BLUEPRINT, RUN, TEST_GROUP_RUN
from pipelines.schemas.leaves import Tree
from pipelines.transform.contradictions import out_of_order
from pipelines.transform.expressions import (
    as_json,
    elapsed_ms,
    explode_indexed,
    from_iso,
    json_list,
    json_object,
    outcome,
    plain,
    quoted,
    result_key,
    run_key,
    whole,
)

NAME = "docketqa"
EXISTS_ONLY = 99
"""The `outcome_rank` of a group that is only known by a member: the members tell its outcome, times and counts."""


# The action cache moves by itself from run to run, `status` has a column: neither makes a new version of a test.
_NOT_CONFIGURED = ("action_cache", "status")


def _configuration(tree: Tree) -> Tree:
    if isinstance(tree, list):
        return [_configuration(tree[0])]
    if isinstance(tree, dict):
        return {name: _configuration(tree[name]) for name in sorted(tree) if name not in _NOT_CONFIGURED}
    return tree


_CONFIG = _configuration(BLUEPRINT)
_OF_RESULT = ("status", "device_type", "app_id", "browser_zoom", "num_retries")
"""What a result shows of its blueprint beside its columns: how it ran, and what makes no new version."""


def outcome_rules(status: pl.Expr) -> list[tuple[pl.Expr, str]]:
    """The contract's outcome table for DocketQA runs and groups, first match wins; any other word is `unknown`."""
    return [
        (status == "running", "running"),
        (status == "passed", "passed"),
        (status == "failed", "failed"),
        (status == "stopped", "cancelled"),
    ]


def is_terminal(status: pl.Expr) -> pl.Expr:
    """True for any word but `running`: with which words a run ends is not documented. Without a word it goes on."""
    return status.is_not_null() & (status != "running")


def flatten_test_run(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A fetched test run -> a `results` row per attempt with its children, and a sighting of its blueprint.

    Its `runs` row says only that the group exists.
    """
    opened = frame.select(
        "entity_id",
        pl.col("entity_id").alias("result_id"),
        pl.col("fetched_at").dt.convert_time_zone("UTC"),
        pl.col("doc").struct.field("test_run").struct.unnest(),
    )
    tries = _tries(opened)
    results = _results(tries)
    return {
        "runs": _groups_of(opened),
        "results": results,
        **flatten_steps.children(tries),
        "sightings": _sightings(opened),
        "drift": out_of_order(results, "/test_run/updated_at"),
    }


def flatten_test_group_run(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A trigger response or webhook body -> one `runs` row, and the rows of each test run that was triggered."""
    opened = frame.select("entity_id", pl.col("fetched_at").dt.convert_time_zone("UTC"), pl.col("doc").struct.unnest())
    listed = opened.select(
        "entity_id",
        "fetched_at",
        pl.col("test_group_run").struct.field("test_runs").alias("test_runs"),
        plain(pl.col("test_group_run").struct.field("created_at")).alias("group_created_at"),
    )
    started = (
        explode_indexed(listed, "test_runs", "place")
        .unnest("test_runs")
        .with_columns(
            pl.col("id").alias("result_id"),
            pl.coalesce("test_group_run_id", "entity_id").alias("test_group_run_id"),
        )
    )
    tries = _tries(started)
    results = _results(tries)
    # A group is made before its runs, so what it tells of a test is seen before what they tell; mostly it tells nothing.
    told = _sightings(started.with_columns(pl.coalesce("group_created_at", "created_at").alias("created_at")))
    return {
        "runs": _groups(opened),
        "results": results,
        **flatten_steps.children(tries),
        "sightings": told.filter(pl.col("config").is_not_null()),
        "drift": out_of_order(results, "/test_group_run/test_runs/*/updated_at"),
    }


def _tries(opened: pl.DataFrame) -> pl.DataFrame:
    """One row per attempt, with its own `attempt`, `results`, video and `try_status`.

    The status belongs to the whole run. The last attempt with results takes it (while the run goes on: the last one);
    those before it have failed, else there had been no further one. Assumed: README.md.
    """
    rows = opened.with_row_index("row").with_columns(
        attempt_count=1 + pl.col("additional_attempts").list.len().cast(pl.Int64).fill_null(0),
        is_run_over=is_terminal(pl.col("status")),
    )
    more = explode_indexed(rows, "additional_attempts", "place").with_columns(
        attempt=pl.col("place") + 2,
        results=pl.col("additional_attempts").struct.field("results"),
        test_video_url=pl.col("additional_attempts").struct.field("test_video_url"),
        test_video_download_url=pl.lit(None, dtype=pl.String),
    )
    tries = pl.concat(
        [
            frame.drop("additional_attempts", "place", strict=False)
            for frame in (rows.with_columns(attempt=pl.lit(1, dtype=pl.Int64)), more)
        ],
        how="diagonal",
    ).sort("row", "attempt")
    last_with_results = pl.when(pl.col("results").list.len() > 0).then(pl.col("attempt")).max().over("row")
    deciding = pl.when("is_run_over").then(pl.coalesce(last_with_results, "attempt_count")).otherwise("attempt_count")
    attempt = pl.col("attempt")
    is_after = attempt > deciding
    return tries.with_columns(
        result_key(NAME, pl.col("result_id"), attempt).alias("result_key"),
        (attempt == deciding).alias("is_deciding"),
        (pl.col("is_run_over") | (attempt < deciding)).alias("is_terminal"),
        pl.when(attempt < deciding).then(pl.lit("failed")).when(~is_after).then("status").alias("try_status"),
    )


def _results(tries: pl.DataFrame) -> pl.DataFrame:
    blueprint = pl.col("blueprint_metadata").struct
    started_at = from_iso(pl.col("created_at"))
    ended_at = pl.when(pl.col("is_deciding") & pl.col("is_run_over")).then(from_iso(pl.col("updated_at")))
    of_run = ("updated_at", "is_login_test_run", "test_video_s3_key")
    of_blueprint = {name: as_json(blueprint.field(name), BLUEPRINT[name]) for name in _OF_RESULT}
    return tries.with_columns(outcome(outcome_rules(pl.col("try_status")))).select(
        "entity_id",
        "result_key",
        "result_id",
        "attempt",
        pl.col("result_id").alias("execution_id"),
        pl.when(pl.col("attempt_count") > 1)
        .then(pl.when("is_deciding").then(pl.lit("final")).otherwise(pl.lit("attempt")))
        .alias("try_kind"),
        run_key(NAME, pl.col("test_group_run_id")).alias("run_key"),
        pl.col("test_group_run_id").alias("run_id"),
        _test_id().alias("test_id"),
        blueprint.field("title").alias("test_name"),
        blueprint.field("type").str.to_lowercase().alias("test_type"),
        pl.coalesce(blueprint.field("device_name"), blueprint.field("device_type")).alias("device"),
        *[whole(blueprint.field(name)).alias(name) for name in ("viewport_width", "viewport_height")],
        "status",
        "outcome",
        "outcome_rank",
        "is_terminal",
        started_at.alias("started_at"),
        ended_at.alias("ended_at"),
        elapsed_ms(started_at, ended_at).alias("duration_ms"),
        json_object(
            {"blueprint_metadata": json_object({**of_blueprint, "steps": _action_caches(blueprint.field("steps"))})}
            | {name: as_json(pl.col(name), RUN[name]) for name in of_run}
            | {"created_at": pl.when(started_at.is_null()).then(quoted(pl.col("created_at")))}
        ).alias("attributes"),
    )


def _action_caches(steps: pl.Expr) -> pl.Expr:
    """What moves by itself from run to run, as a JSON list of the steps that hold it; NULL without any."""
    step = pl.element().struct
    cached = json_object({"step_number": step.field("step_number"), "action_cache": step.field("action_cache")})
    caches = steps.list.eval(pl.when(step.field("action_cache").is_not_null()).then(cached)).list.drop_nulls()
    return pl.when(caches.list.len() > 0).then(json_list(caches))


def _groups_of(opened: pl.DataFrame) -> pl.DataFrame:
    # As terminal as the test run: a payload counts as ended when all its rows have; this one has no state of its own.
    known = opened.filter(pl.col("test_group_run_id").is_not_null())
    return known.select(
        "entity_id",
        run_key(NAME, pl.col("test_group_run_id")).alias("run_key"),
        pl.col("test_group_run_id").alias("run_id"),
        pl.lit("test_group_run").alias("kind"),
        pl.lit("running").alias("outcome"),
        pl.lit(EXISTS_ONLY, dtype=pl.Int64).alias("outcome_rank"),
        is_terminal(pl.col("status")).alias("is_terminal"),
    )


def _sightings(opened: pl.DataFrame) -> pl.DataFrame:
    blueprint = pl.col("blueprint_metadata").struct
    return opened.filter(_test_id().is_not_null()).select(
        "entity_id",
        _test_id().alias("test_id"),
        pl.coalesce(from_iso(pl.col("created_at")), pl.col("fetched_at")).alias("observed_at"),
        pl.lit("result").alias("origin"),
        blueprint.field("title").alias("name"),
        blueprint.field("type").str.to_lowercase().alias("test_type"),
        blueprint.field("status").alias("status"),
        blueprint.field("starting_url").alias("target_url"),
        as_json(pl.col("blueprint_metadata"), _CONFIG).alias("config"),
    )


def _test_id() -> pl.Expr:
    return pl.coalesce("test_blueprint_id", plain(pl.col("blueprint_metadata").struct.field("id")))


def _groups(opened: pl.DataFrame) -> pl.DataFrame:
    trees = {side: _object(TEST_GROUP_RUN[side]) for side in ("test_group_run", "payload")}

    def told(name: str, inside: str | None = None) -> pl.Expr:
        """The leaf from whichever of the two shapes the payload has."""
        fields = [pl.col(side).struct.field(name) for side, tree in trees.items() if name in tree]
        return pl.coalesce([field.struct.field(inside) for field in fields] if inside else fields)

    def told_json(name: str) -> pl.Expr:
        tree = next(tree[name] for tree in trees.values() if name in tree)
        return as_json(told(name), tree)

    ref, repository = told("github_context", "ref"), told("github_context", "repository")
    branch = ref.str.strip_prefix("refs/heads/")
    # Without a status of its own, the event's name says how the group ended.
    status = pl.coalesce(told("status"), pl.col("event").str.strip_prefix("test_group_run_"))
    github = {"ref": quoted(ref), "run_id": told("github_context", "run_id").cast(pl.String)}
    left = ("company_id", "created_at", "updated_at", "tests_ran", "tests_stopped", "tests")
    return (
        opened.with_columns(status.alias("status"))
        .with_columns(outcome(outcome_rules(pl.col("status"))))
        .select(
            "entity_id",
            run_key(NAME, pl.col("entity_id")).alias("run_key"),
            pl.col("entity_id").alias("run_id"),
            pl.lit("test_group_run").alias("kind"),
            told("name").alias("name"),
            "status",
            "outcome",
            "outcome_rank",
            is_terminal(pl.col("status")).alias("is_terminal"),
            repository.alias("repo_url"),
            pl.when(~branch.str.starts_with("refs/")).then(branch).alias("branch"),
            told("github_context", "commit_sha").alias("commit_sha"),
            told("tests_passed").cast(pl.Int64, strict=False).alias("passed_count"),
            told("tests_failed").cast(pl.Int64, strict=False).alias("failed_count"),
            told("url").alias("url"),
            json_object(
                {name: told_json(name) for name in left}
                | {"message": pl.col("message"), "event": quoted(pl.col("event")), "github_context": json_object(github)}
                # One payload has one of the two shapes; of a body with both nothing is lost.
                | {"payload": pl.when(pl.col("test_group_run").is_not_null()).then(as_json(pl.col("payload"), TEST_GROUP_RUN["payload"]))}
            ).alias("attributes"),
        )
    )


def _object(tree: Tree) -> dict[str, Tree]:
    assert isinstance(tree, dict)
    return tree
