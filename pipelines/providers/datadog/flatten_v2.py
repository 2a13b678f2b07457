"""Datadog's v2 results -> table frames: results, runs, errors, sightings, and the tables of the modules beside. Pure polars.

Same tables and meaning as v1's (`flatten`, `flatten_browser`). `attributes` of a result mirror the payload's `data.attributes`, without
what has columns. What hangs on steps: `flatten_v2_steps`; what was seen on the wire: `flatten_v2_network`.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.datadog import flatten, flatten_v2_network, flatten_v2_steps
from pipelines.providers.datadog.assertions import has_invalid, sentence
from pipelines.providers.datadog.common import NAME, distinct_errors, error_frame, failed, result
from pipelines.providers.datadog.leaves_v2 import ATTRIBUTES, DETAIL, RELATIONSHIPS, RESULT, ROW_ATTRIBUTES, without
from pipelines.transform.contradictions import out_of_order, overfull
from pipelines.transform.expressions import (
    as_json,
    elapsed_ms,
    explode_indexed,
    from_epoch_ms,
    inner,
    json_object,
    non_negative,
    outcome,
    quoted,
    result_key,
    run_key,
    said,
)

EXISTS_ONLY = 99
"""The `outcome_rank` of a CI batch: its members tell its outcome, times and counts."""

_TOLD = "/data/attributes/result"
"""The pointer of what a detail tells of a result."""

_SHARED = (
    "device/browser/type", "device/browser/version", "device/name", "device/platform/name", "device/resolution/height",
    "device/resolution/width", "location/id", "test_type",
)  # fmt: skip
_ROW_TAIL = without(
    ROW_ATTRIBUTES, *_SHARED, "execution_info/duration/value", "execution_info/error_message", "finished_at", "run_type", "started_at",
    "status", "steps_info",
)  # fmt: skip
_TAIL = without(ATTRIBUTES, *_SHARED, "batch", "result")
_DETAIL_TAIL = without(
    DETAIL, "assertions", "bucket_keys", "cert", "dns_resolution/attempts", "dns_resolution/server", "duration", "failure/code",
    "failure/message", "finished_at", "handshake", "initial_id", "netpath/hops", "netstats", "ping", "request", "resolved_ip", "response",
    "run_type", "started_at", "status", "steps", "time_to_interactive", "trace/id", "traceroute", "turns",
)  # fmt: skip


def v2_result_rows(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """List rows (`data[]` of the answer) -> results, timings, errors."""
    base = _base(frame, pl.col("doc"), pl.col("doc").struct.field("attributes"))
    info = result("execution_info").struct.field
    duration = info("duration").struct.field
    has_none = duration("has_duration").eq_missing(pl.lit("false")) & (duration("value") == 0)
    counts = {"step_count": "total", "step_completed_count": "completed", "error_count": "errors"}
    base = base.with_columns(
        outcome(_rules(said(info("error_message")).is_not_null())),
        timings=info("timings"),
        duration_ms=pl.when(~has_none.fill_null(value=False)).then(duration("value")),
    )
    columns = [
        pl.col("entity_id").alias("execution_id"),
        info("error_message").alias("failure_message"),
        *(
            result("steps_info").struct.field(name).cast(pl.Int64, strict=False).alias(column)
            for column, name in counts.items()
        ),
    ]  # fmt: skip
    attributes = {name: as_json(pl.col("attributes").struct.field(name), tree) for name, tree in _ROW_TAIL.items()}
    timings = flatten_v2_steps.timing_rows([base])
    return {
        "results": _results(base, columns, attributes),
        "timings": timings,
        "errors": distinct_errors([error_frame(base, "error", sentence(said(info("error_message"))))]),
        "drift": pl.concat([out_of_order(base, "/attributes/finished_at"), overfull(timings, "/attributes/execution_info/timings/total")]),
    }


def v2_results(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Full results -> every table that a result can have."""
    data = pl.col("doc").struct.field("data")
    attributes = data.struct.field("attributes")
    base = _base(frame, data, attributes.struct.field("result")).with_columns(
        attributes=_fields(pl.col("attributes"), *_TAIL, "batch", "test_type"),
        run_id=pl.col("attributes").struct.field("batch").struct.field("id"),
        included=frame["doc"].struct.field("included"),
    )
    steps = flatten_v2_steps.all_steps(base)
    exchanges = flatten_v2_network.exchange_rows(base)
    # Every expression carries the whole type of its column through its plan: without its largest parts all that follows is faster.
    base = base.with_columns(result=_fields(pl.col("result"), *(name for name in DETAIL if name not in ("steps", "turns", "handshake"))))
    failure = result("failure")
    base = base.with_columns(
        outcome(_rules(failed(failure) | has_invalid(result("assertions")))),
        timings=result("timings"),
        duration_ms=result("duration"),
    )
    message, code = said(failure.struct.field("message")), failure.struct.field("code")
    timings = flatten_v2_steps.timing_rows([base, steps])
    of_step = pl.when(pl.col("step_index") >= 0).then(pl.lit(f"{_TOLD}/steps/*/timings/total"))
    return {
        "results": _results(base.with_columns(others=_others(base)), _detail_columns(code, message), _detail_attributes()),
        "runs": _batches(base),
        "steps": flatten_v2_steps.step_rows(steps),
        "timings": timings,
        "assertions": flatten_v2_steps.assertion_rows(base, steps),
        "errors": distinct_errors([error_frame(base, "failure", sentence(message), code=code), *flatten_v2_steps.step_errors(steps)]),
        "artifacts": flatten_v2_steps.artifact_rows(base, steps),
        "page_vitals": flatten_v2_steps.page_vital_rows(base, steps),
        "exchanges": exchanges,
        "certificates": flatten_v2_network.certificate_rows(base),
        "hops": flatten_v2_network.hop_rows(base),
        "pings": flatten_v2_network.ping_rows(base),
        "dns_records": flatten_v2_network.dns_rows(base),
        "sightings": _sightings(base),
        "drift": pl.concat(
            [out_of_order(base, f"{_TOLD}/finished_at"), overfull(timings, of_step.otherwise(pl.lit(f"{_TOLD}/timings/total")))]
        ),
    }


def _base(frame: pl.DataFrame, data: pl.Expr, told: pl.Expr) -> pl.DataFrame:
    """One row per payload: keys, `attributes` (of a list row), `relationships`, and what is told of the result as `result`."""
    return frame.with_row_index("row").select(
        "row",
        "entity_id",
        "parent_id",
        pl.col("fetched_at").dt.convert_time_zone("UTC"),
        result_key=result_key(NAME, pl.col("entity_id")),
        step_index=pl.lit(-1, dtype=pl.Int64),
        kind=data.struct.field("type"),
        attributes=data.struct.field("attributes"),
        relationships=data.struct.field("relationships"),
        result=told,
        run_id=pl.lit(None, dtype=pl.String),
        started_at=from_epoch_ms(told.struct.field("started_at")),
        ended_at=from_epoch_ms(told.struct.field("finished_at")),
    )


def _fields(struct: pl.Expr, *names: str) -> pl.Expr:
    return pl.struct(struct.struct.field(name) for name in names)


def _rules(has_error: pl.Expr) -> list[tuple[pl.Expr, str]]:
    """First match wins, in the order of v1's rules, so that ranks of both compare; `no_data` and unknown words are `unknown`.

    Assumed: what has neither status nor end still runs.
    """
    status = result("status")
    return [
        (status.is_null() & result("finished_at").is_null(), "running"),
        (status == "passed", "passed"),
        (status == "failed", "failed"),
        (has_error, "failed"),
    ]


def _results(base: pl.DataFrame, columns: list[pl.Expr], attributes: dict[str, pl.Expr]) -> pl.DataFrame:
    told = pl.col("attributes").struct.field
    device, resolution = told("device").struct.field, told("device").struct.field("resolution").struct.field
    place, run_id = told("location").struct.field("id"), pl.col("run_id")
    test_type = told("test_type").str.to_lowercase()
    total = inner(pl.col("timings"), "$.total").cast(pl.Float64, strict=False)
    duration = pl.coalesce(non_negative(pl.col("duration_ms")), non_negative(total), elapsed_ms(pl.col("started_at"), pl.col("ended_at")))
    return base.select(
        "entity_id",
        "result_key",
        pl.col("entity_id").alias("result_id"),
        pl.lit(1, dtype=pl.Int64).alias("attempt"),
        run_key(NAME, run_id).alias("run_key"),
        "run_id",
        _test_id().alias("test_id"),
        test_type.alias("test_type"),
        place.alias("location"),
        pl.when(place.str.starts_with("pl:")).then(place).alias("private_location_id"),
        pl.coalesce(device("name"), device("id")).alias("device"),
        device("browser").struct.field("type").alias("browser"),
        device("browser").struct.field("version").alias("browser_version"),
        device("platform").struct.field("name").alias("os"),
        resolution("width").cast(pl.Int64, strict=False).alias("viewport_width"),
        resolution("height").cast(pl.Int64, strict=False).alias("viewport_height"),
        result("run_type").alias("trigger"),
        result("status").alias("status"),
        "outcome",
        "outcome_rank",
        (pl.col("outcome") != "running").alias("is_terminal"),
        "started_at",
        "ended_at",
        duration.alias("duration_ms"),
        pl.when(test_type == "api").then(pl.coalesce(non_negative(total), duration)).alias("response_time_ms"),
        *columns,
        json_object(
            {
                **attributes,
                "type": quoted(pl.col("kind")),
                "relationships": as_json(pl.col("relationships"), without(RELATIONSHIPS, "test/data/id")),
            }
        ).alias("attributes"),
    )


def _test_id() -> pl.Expr:
    return pl.coalesce(pl.col("relationships").struct.field("test").struct.field("data").struct.field("id"), "parent_id")


def _detail_columns(code: pl.Expr, message: pl.Expr) -> list[pl.Expr]:
    resolution = result("dns_resolution").struct.field
    return [
        pl.coalesce(said(result("initial_id")), "entity_id").alias("execution_id"),
        result("initial_id").alias("initial_result_id"),
        result("response").struct.field("status_code").cast(pl.Int64, strict=False).alias("http_status_code"),
        code.alias("failure_code"),
        message.alias("failure_message"),
        pl.coalesce(result("resolved_ip"), resolution("resolved_ip")).alias("resolved_ip"),
        pl.coalesce(resolution("server"), result("request").struct.field("dns_server")).alias("dns_server"),
        result("trace").struct.field("id").alias("trace_id"),
    ]


def _detail_attributes() -> dict[str, pl.Expr]:
    return {
        **{name: as_json(pl.col("attributes").struct.field(name), child) for name, child in _TAIL.items()},
        "result": json_object(
            {
                **{name: as_json(result(name), child) for name, child in _DETAIL_TAIL.items()},
                "bucket_keys": flatten_v2_steps.bucket_flags(result("bucket_keys")),
            }
        ),
        "included": pl.col("others"),
    }


def _others(base: pl.DataFrame) -> pl.Series:
    """Included resources that are no test, as JSON text: rare, so they are written only where there are any."""
    others = base.select(others=pl.col("included").list.filter(~_is_test(pl.element())))
    if not others["others"].list.len().sum():
        return pl.repeat(None, base.height, dtype=pl.String, eager=True)
    listed = others.select(as_json(pl.col("others"), RESULT["included"])).to_series()
    return listed.replace("[]", None)


# ------------------------------------------------------------------------------------------------- batches, definitions


def _batches(base: pl.DataFrame) -> pl.DataFrame:
    """One row of `core.runs` per result of a CI batch; it is as terminal as the result, having no state of its own."""
    told = pl.col("attributes").struct.field
    git, pipeline = told("git").struct.field, told("ci").struct.field("pipeline").struct.field
    commit = git("commit").struct.field
    return base.filter(pl.col("run_id").is_not_null()).select(
        "entity_id",
        run_key(NAME, pl.col("run_id")).alias("run_key"),
        "run_id",
        pl.lit("ci_batch").alias("kind"),
        pipeline("name").alias("name"),
        told("ci").struct.field("provider").struct.field("name").alias("trigger"),
        git("repository_url").alias("repo_url"),
        git("branch").alias("branch"),
        commit("sha").alias("commit_sha"),
        commit("author").struct.field("name").alias("commit_author"),
        commit("message").alias("commit_message"),
        pipeline("url").alias("url"),
        pl.lit("running").alias("outcome"),
        pl.lit(EXISTS_ONLY, dtype=pl.Int64).alias("outcome_rank"),
        (pl.col("outcome") != "running").alias("is_terminal"),
    )


def _is_test(item: pl.Expr) -> pl.Expr:
    """Whether an included resource is a test: its type says so, or nothing (which word the API uses is not documented)."""
    return item.struct.field("type").str.to_lowercase().str.contains("test").fill_null(value=True)


def _sightings(base: pl.DataFrame) -> pl.DataFrame:
    """The definition as `included` carries it, read as v1's; `resource` in attributes names the included resource."""
    listed = base.select("entity_id", "parent_id", "fetched_at", "started_at", item=pl.col("included"))
    items = explode_indexed(listed, "item", "place").filter(pl.col("item").is_not_null() & _is_test(pl.col("item")))
    field = pl.col("item").struct.field
    items = items.filter(pl.coalesce(field("id"), field("attributes").struct.field("public_id")).is_not_null())
    seen = flatten.tests(items.select("entity_id", "parent_id", "fetched_at", doc=field("attributes")))["sightings"]
    told = items.select(
        included_id=field("id"),
        told_at=pl.coalesce("started_at", "fetched_at"),
        resource=json_object(
            {
                "id": quoted(field("id")),
                "type": quoted(field("type")),
                "public_id": quoted(field("attributes").struct.field("public_id")),
            }
        ),
    )
    both = pl.concat([seen.with_columns(doc_id="test_id").drop("test_id"), told], how="horizontal")
    attributes = pl.col("attributes")
    return both.select(
        pl.exclude("included_id", "told_at", "resource", "doc_id", "attributes", "observed_at", "origin"),
        pl.coalesce("included_id", "doc_id").alias("test_id"),
        pl.col("told_at").alias("observed_at"),
        pl.lit("result").alias("origin"),
        pl.concat_str(
            pl.lit('{"resource":'),
            "resource",
            pl.when(attributes.is_not_null()).then(pl.lit(",") + attributes.str.slice(1)).otherwise(pl.lit("}")),
        ).alias("attributes"),
    )
