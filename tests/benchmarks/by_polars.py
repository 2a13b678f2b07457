"""A peer: polars. `str.json_decode` into typed structs, explode and unnest, Arrow into DuckDB; 20,000 payloads at a time.

Its decoder has no type for "JSON as it is": headers are read by a second look into the payloads that have them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tests.benchmarks.by_orjson import key
from tests.benchmarks.tables import BROWSER, FLAT, PHASES, RAW_COLUMNS, SESSION, TABLES, Sink, create, files

PAYLOADS_AT_ONCE = 20_000

Frames = dict[str, list[pl.DataFrame]]

_TEXT, _NUMBER, _FLAG = pl.String(), pl.Float64(), pl.Boolean()
_FAILURE = pl.Struct({"code": _TEXT, "message": _TEXT})
_STEP: dict[str, pl.DataType] = {
    "stepId": _TEXT, "description": _TEXT, "type": _TEXT, "skipped": _FLAG, "duration": _NUMBER, "url": _TEXT, "error": _TEXT,
    "failure": _FAILURE, "vitalsMetrics": pl.List(pl.Struct({"url": _TEXT, "lcp": _NUMBER, "cls": _NUMBER})),
}  # fmt: skip
_DEEPER = "subTestStepDetails"
_STEPS = pl.List(pl.Struct({**_STEP, _DEEPER: pl.List(pl.Struct({**_STEP, _DEEPER: pl.List(pl.Struct(_STEP))}))}))
BROWSER_RESULT = pl.Struct(
    {
        "check_time": _NUMBER, "probe_dc": _TEXT, "device_id": _TEXT, "batch_id": _TEXT,
        "result": pl.Struct(
            {
                "eventType": _TEXT, "passed": _FLAG, "error": _TEXT, "failure": _FAILURE, "initialResultID": _TEXT, "browserType": _TEXT,
                "browserVersion": _TEXT, "duration": _NUMBER, "timeToInteractive": _NUMBER,
                "device": pl.Struct({"id": _TEXT, "name": _TEXT, "browser": _TEXT, "width": pl.Int64(), "height": pl.Int64()}),
                "stepDetails": _STEPS,
            }
        ),
    }
)  # fmt: skip

_ASSERTIONS = pl.List(pl.Struct(dict.fromkeys(("source", "property", "comparison", "target", "actual", "error"), _TEXT)))
_LINES = pl.List(pl.Struct({"time": _NUMBER, "msg": _TEXT, "level": _TEXT}))
_SCRIPT = {"jobLog": _LINES}
_DURATIONS = ("wait", "dns", "tcp", "connect", "firstByte", "download", "total")
_OFFSETS = ("socket", "lookup", "connect", "response", "end")
_VITALS = ("CLS", "FCP", "LCP", "TBT", "TTFB")
_PHASES = pl.Struct(dict.fromkeys(_DURATIONS, _NUMBER))
_ASKED = pl.Struct({"url": _TEXT})
_EXISTS = pl.Struct({"resolvedIp": _TEXT})
SESSION_RESULT = pl.Struct(
    {
        **dict.fromkeys(("checkId", "checkType", "name", "filePath", "runLocation", "privateLocationId", "resultType", "status"), _TEXT),
        **dict.fromkeys(("hasErrors", "hasFailures", "isDegraded", "aborted", "isCancelled"), _FLAG),
        **dict.fromkeys(("startedAt", "stoppedAt", "sequenceId", "traceId", "testSessionResultLink"), _TEXT),
        "responseTime": _NUMBER,
        "apiCheckResult": pl.Struct(
            {
                "assertions": _ASSERTIONS, "requestError": _TEXT, "request": pl.Struct({"method": _TEXT, "url": _TEXT}),
                "response": pl.Struct(
                    {"status": pl.Int64(), "body": _TEXT, "timingPhases": _PHASES, "timings": pl.Struct(dict.fromkeys(_OFFSETS, _NUMBER))}
                ),
                "jobLog": pl.Struct({"setup": _LINES, "request": _LINES, "teardown": _LINES}),
            }
        ),
        "browserCheckResult": pl.Struct(
            {
                **_SCRIPT,
                "pages": pl.List(
                    pl.Struct(
                        {
                            "url": _TEXT, "pageTimings": pl.Struct({"onContentLoad": _NUMBER, "onLoad": _NUMBER}),
                            "webVitals": pl.Struct(dict.fromkeys(_VITALS, pl.Struct({"value": _NUMBER, "score": _TEXT}))),
                        }
                    )
                ),
            }
        ),
        "multiStepCheckResult": pl.Struct(_SCRIPT),
        "playwrightCheckResult": pl.Struct(_SCRIPT),
        "agenticCheckResult": pl.Struct(
            {
                **_SCRIPT,
                "assertions": pl.List(pl.Struct({"condition": _TEXT, "passed": _FLAG, "actual": _TEXT, "expected": _TEXT})),
                "steps": pl.List(
                    pl.Struct({"type": _TEXT, "name": _TEXT, "output": _TEXT, "timestamp": _TEXT, "sequenceNumber": _TEXT})
                ),
            }
        ),
        "sslCheckResult": pl.Struct({"assertions": _ASSERTIONS, "requestError": _TEXT, "request": _ASKED, "response": _EXISTS}),
        "grpcCheckResult": pl.Struct(
            {
                "assertions": _ASSERTIONS, "requestError": _TEXT, "request": _ASKED, "timingPhases": _PHASES,
                "response": pl.Struct({"grpcMethod": _TEXT, "responseMessage": _TEXT}),
            }
        ),
        "tracerouteCheckResult": pl.Struct(
            {"assertions": _ASSERTIONS, "requestError": _TEXT, "request": _ASKED, "timingPhases": _PHASES, "response": _EXISTS}
        ),
    }
)  # fmt: skip
_PROBES = ("sslCheckResult", "grpcCheckResult", "tracerouteCheckResult")


def said(text: pl.Expr) -> pl.Expr:
    """NULL for an empty text."""
    return pl.when(text != "").then(text)


def instant(text: pl.Expr) -> pl.Expr:
    """An ISO instant."""
    return text.str.to_datetime("%+", time_unit="us", time_zone="UTC")


def from_ms(number: pl.Expr) -> pl.Expr:
    """Epoch milliseconds."""
    return (number * 1000).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def keys(provider: str, ids: pl.Expr, *rest: str) -> pl.Expr:
    """BIGINT keys; polars has no MD5."""
    return ids.map_elements(lambda id_: key(provider, id_, *rest), return_dtype=pl.Int64)


def explode(frame: pl.DataFrame, column: str, place: str) -> pl.DataFrame:
    """A row per element, with its place."""
    kept = frame.filter(pl.col(column).list.len() > 0)
    return kept.with_columns(pl.int_ranges(pl.col(column).list.len()).alias(place)).explode(column, place)


def numbered(order: list[str], name: str) -> pl.Expr:
    """The place of a row below its result, in this order."""
    return pl.int_range(pl.len()).over("result_key", order_by=order).alias(name)


def browser_results(frame: pl.DataFrame, out: Frames) -> None:
    """Rows of Datadog's browser results."""
    base = frame.with_columns(pl.col("payload").str.json_decode(BROWSER_RESULT).alias("doc")).drop("payload").unnest("doc").unnest("result")
    base = base.with_columns(result_key=keys("datadog", pl.col("entity_id"), "1"), started_at=from_ms(pl.col("check_time")))
    device, failure, event = pl.col("device").struct, pl.col("failure").struct, pl.col("eventType")
    device_id = pl.coalesce(device.field("id"), "device_id")
    has_failed = failure.field("code").is_not_null() | said(failure.field("message")).is_not_null() | said(pl.col("error")).is_not_null()
    out["results"].append(
        base.select(
            "result_key", "started_at", "payload_sha256", "fetched_at", "batch_id",
            provider=pl.lit("datadog"), result_id="entity_id", attempt=pl.lit(1), test_id="parent_id", test_type=pl.lit("browser"),
            execution_id=pl.coalesce(said(pl.col("initialResultID")), "entity_id"), run_id="batch_id", location="probe_dc",
            private_location_id=pl.when(pl.col("probe_dc").str.starts_with("pl:")).then("probe_dc"), status="eventType",
            device=pl.coalesce(device.field("name"), device_id), browser_version="browserVersion",
            browser=pl.coalesce("browserType", device.field("browser"), device_id.str.extract(r"^([^.]+)")),
            viewport_width=device.field("width"), viewport_height=device.field("height"), duration_ms="duration",
            utc_date=pl.col("started_at").dt.date(),
            outcome=pl.when(event.is_in(["not_scheduled", "scheduled"])).then(pl.lit("running"))
            .when(pl.col("passed")).then(pl.lit("passed")).when(~pl.col("passed")).then(pl.lit("failed"))
            .when(has_failed | (event == "finished_with_error")).then(pl.lit("failed"))
            .when(event == "finished").then(pl.lit("passed")).otherwise(pl.lit("unknown")),
        ).with_columns(is_terminal=pl.col("outcome") != "running")
    )  # fmt: skip
    levels, level = [], base.select("result_key", pl.col("stepDetails").alias("s"))
    for depth, place in enumerate("abc"):
        level = explode(level, "s", place).unnest("s")
        levels.append(level.drop(_DEEPER, strict=False))
        if depth < 2:
            level = level.select("result_key", *"abc"[: depth + 1], pl.col(_DEEPER).alias("s"))
    steps = pl.concat(levels, how="diagonal").with_columns(pl.col("a", "b", "c").fill_null(-1))
    steps = steps.with_columns(numbered(["a", "b", "c"], "step_index"))
    parent_path = {"b": pl.when(pl.col("c") >= 0).then("b").otherwise(-1), "c": pl.lit(-1, dtype=pl.Int64)}
    parents = steps.select("result_key", "a", "b", "c", pl.col("step_index").alias("parent_step_index"))
    below = steps.filter(pl.col("b") >= 0).select("result_key", "step_index", "a", **parent_path)
    parent_of = below.join(parents, on=["result_key", "a", "b", "c"]).select("result_key", "step_index", "parent_step_index")
    steps = steps.join(parent_of, on=["result_key", "step_index"], how="left")
    skipped = pl.col("skipped").fill_null(value=False)
    message = pl.coalesce(said(pl.col("failure").struct.field("message")), said(pl.col("error")))
    out["steps"].append(
        steps.select(
            "result_key", "step_index", "parent_step_index", "url", provider=pl.lit("datadog"), step_id="stepId", name="description",
            kind="type", error_message=message, duration_ms=pl.when(~skipped).then("duration"),
            outcome=pl.when(skipped).then(pl.lit("skipped"))
            .when(message.is_not_null() | pl.col("failure").struct.field("code").is_not_null()).then(pl.lit("failed"))
            .otherwise(pl.lit("passed")),
        )
    )  # fmt: skip
    pages = explode(steps.select("result_key", "step_index", "vitalsMetrics"), "vitalsMetrics", "place").unnest("vitalsMetrics")
    pages = pages.with_columns(numbered(["step_index", "place"], "page_index"))
    vitals = pl.concat(
        [
            *(pages.select("result_key", "page_index", metric=pl.lit(name), page_url="url", value=name) for name in ("lcp", "cls")),
            base.select(
                "result_key",
                page_index=pl.lit(-1, dtype=pl.Int64),
                metric=pl.lit("time_to_interactive"),
                page_url=pl.lit(None, dtype=pl.String),
                value="timeToInteractive",
            ),
        ]
    )
    out["page_vitals"].append(vitals.filter(pl.col("value").is_not_null()).with_columns(provider=pl.lit("datadog")))


def session_results(frame: pl.DataFrame, out: Frames) -> None:
    """Rows of Checkly's test session results."""
    base = frame.with_columns(pl.col("payload").str.json_decode(SESSION_RESULT).alias("doc")).unnest("doc")
    base = base.with_columns(
        result_key=keys("checkly", pl.col("entity_id"), "1"), started_at=instant(pl.col("startedAt")), ended_at=instant(pl.col("stoppedAt"))
    )
    status, response = pl.col("status"), pl.col("apiCheckResult").struct.field("response").struct
    code = pl.when(response.field("status") > 0).then(response.field("status"))
    by_name = pl.format("name:{}::{}", pl.col("filePath").fill_null(""), pl.col("name").fill_null(""))
    took = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1000
    out["results"].append(
        base.select(
            "result_key", "started_at", "ended_at", "payload_sha256", "fetched_at", "status",
            provider=pl.lit("checkly"), result_id="entity_id", attempt=pl.lit(1), run_id="parent_id",
            run_key=keys("checkly", pl.col("parent_id")), try_kind=pl.col("resultType").str.to_lowercase(),
            execution_id=pl.coalesce(pl.format("{}/{}", "parent_id", "sequenceId"), "entity_id"),
            test_id=pl.coalesce(said(pl.col("checkId")), by_name), test_type=pl.col("checkType").str.to_lowercase(),
            location="runLocation", private_location_id="privateLocationId", is_degraded="isDegraded", is_cancelled="isCancelled",
            is_aborted="aborted", has_errors="hasErrors", has_failures="hasFailures", duration_ms=pl.when(took >= 0).then(took),
            response_time_ms="responseTime", utc_date=pl.col("started_at").dt.date(), http_status_code=code, trace_id="traceId",
            url="testSessionResultLink",
            outcome=pl.when((status == "RUNNING") | (pl.col("resultType") == "PENDING")).then(pl.lit("running"))
            .when(pl.col("isCancelled") | (status == "CANCELLED")).then(pl.lit("cancelled"))
            .when(pl.col("aborted")).then(pl.lit("aborted"))
            .when(pl.col("hasErrors") | pl.col("hasFailures") | (status == "FAILED")).then(pl.lit("failed"))
            .when(pl.col("isDegraded")).then(pl.lit("degraded"))
            .when(status == "PASSED").then(pl.lit("passed")).otherwise(pl.lit("unknown")),
        ).with_columns(is_terminal=pl.col("outcome") != "running")
    )  # fmt: skip
    out["steps"].append(
        explode(base.select("result_key", s=pl.col("agenticCheckResult").struct.field("steps")), "s", "step_index").unnest("s").select(
            "result_key", "step_index", "name", provider=pl.lit("checkly"), step_id="sequenceNumber", kind="type",
            outcome=pl.lit("unknown"), started_at=instant(pl.col("timestamp")), result_text="output",
        )
    )  # fmt: skip
    _assertions(base, out)
    _timings(base, out)
    _vitals(base, out)
    _logs(base, out)
    _exchanges(base, code, out)


def _assertions(base: pl.DataFrame, out: Frames) -> None:
    parts = []
    for block, name in enumerate(("apiCheckResult", *_PROBES)):
        fields = pl.col(name).struct
        listed = base.select("result_key", request_error=said(fields.field("requestError")), s=fields.field("assertions"))
        parts.append(explode(listed, "s", "place").unnest("s").with_columns(block=pl.lit(block)))
    found, error = pl.concat(parts), said(pl.col("error"))
    listed = base.select("result_key", s=pl.col("agenticCheckResult").struct.field("assertions"))
    agentic = explode(listed, "s", "assertion_index").unnest("s")
    common = {"provider": pl.lit("checkly"), "step_index": pl.lit(-1)}
    out["assertions"] += [
        found.select(
            "result_key", "source", "target", "actual", numbered(["block", "place"], "assertion_index"), **common,
            property=said(pl.col("property")), operator="comparison", error_message=error,
            outcome=pl.when(error.is_not_null()).then(pl.lit("failed")).when(pl.col("request_error").is_not_null()).then(pl.lit("skipped"))
            .when(pl.coalesce("source", "comparison").is_not_null()).then(pl.lit("passed")).otherwise(pl.lit("unknown")),
        ),
        agentic.select(
            "result_key", "assertion_index", "actual", **common, source=pl.lit("agentic"), property="condition", target="expected",
            outcome=pl.when(pl.col("passed")).then(pl.lit("passed")).when(~pl.col("passed")).then(pl.lit("failed"))
            .otherwise(pl.lit("unknown")),
        ),
    ]  # fmt: skip


def _timings(base: pl.DataFrame, out: Frames) -> None:
    response = pl.col("apiCheckResult").struct.field("response").struct
    probes = [pl.col(name).struct.field("timingPhases") for name in _PROBES[1:]]
    measured = [(struct, _DURATIONS, "duration_ms") for struct in (response.field("timingPhases"), *probes)]
    for struct, names, measure in (*measured, (response.field("timings"), _OFFSETS, "offset_ms")):
        wide = base.select("result_key", struct.alias("t")).filter(pl.col("t").is_not_null()).unnest("t")
        out["timings"].append(
            wide.unpivot(names, index="result_key", variable_name="phase_raw", value_name=measure)
            .filter(pl.col(measure) >= 0)
            .with_columns(
                provider=pl.lit("checkly"), step_index=pl.lit(-1), phase=pl.col("phase_raw").replace(PHASES),
                is_total=pl.col("phase_raw") == "total",
            )
        )  # fmt: skip


def _vitals(base: pl.DataFrame, out: Frames) -> None:
    listed = base.select("result_key", s=pl.col("browserCheckResult").struct.field("pages"))
    pages = explode(listed, "s", "page_index").unnest("s")
    none = pl.lit(None, dtype=pl.String)
    timings = {"on_load": "onLoad", "on_content_load": "onContentLoad"}
    vitals, times = pl.col("webVitals").struct, pl.col("pageTimings").struct
    told = [(name.lower(), vitals.field(name).struct.field("value"), vitals.field(name).struct.field("score")) for name in _VITALS]
    told += [(metric, times.field(name), none) for metric, name in timings.items()]
    parts = [pages.select("result_key", "page_index", "url", metric=pl.lit(m), value=v, score=s.str.to_lowercase()) for m, v, s in told]
    found = pl.concat(parts).filter(pl.col("value").is_not_null() | pl.col("score").is_not_null())
    out["page_vitals"].append(found.rename({"url": "page_url"}).with_columns(provider=pl.lit("checkly")))


def _logs(base: pl.DataFrame, out: Frames) -> None:
    api = pl.col("apiCheckResult").struct.field("jobLog").struct
    scripts = ("browserCheckResult", "multiStepCheckResult", "playwrightCheckResult", "agenticCheckResult")
    places: list[tuple[str | None, pl.Expr]] = [(phase, api.field(phase)) for phase in ("setup", "request", "teardown")]
    places += [(None, pl.col(name).struct.field("jobLog")) for name in scripts]
    parts = [
        explode(base.select("result_key", s=lines), "s", "place").with_columns(phase=pl.lit(phase, dtype=pl.String), part=pl.lit(part))
        for part, (phase, lines) in enumerate(places)
    ]
    out["logs"].append(
        pl.concat(parts).unnest("s").select(
            "result_key", "phase", "level", numbered(["part", "place"], "log_index"), provider=pl.lit("checkly"),
            logged_at=from_ms(pl.col("time")), message="msg",
        )
    )  # fmt: skip


def _exchanges(base: pl.DataFrame, code: pl.Expr, out: Frames) -> None:
    common = {"provider": pl.lit("checkly"), "exchange_index": pl.lit(0), "step_index": pl.lit(-1)}
    payload = pl.col("payload").str
    for name in ("apiCheckResult", *_PROBES):
        request, response = pl.col(name).struct.field("request"), pl.col(name).struct.field("response")
        asked = base.filter(request.is_not_null() | response.is_not_null())
        columns: dict[str, pl.Expr] = {"url": said(request.struct.field("url"))}
        if name == "apiCheckResult":
            body = response.struct.field("body")
            columns = {
                "method": request.struct.field("method"), "url": request.struct.field("url"), "status_code": code,
                "request_headers": payload.json_path_match("$.apiCheckResult.request.headers"),
                "response_headers": payload.json_path_match("$.apiCheckResult.response.headers"),
                "response_body": pl.when(code.is_not_null()).then(body).otherwise(said(body)),
            }  # fmt: skip
        elif name == "grpcCheckResult":
            columns |= {
                "method": said(response.struct.field("grpcMethod")),
                "response_headers": payload.json_path_match("$.grpcCheckResult.response.metadata"),
                "response_body": said(response.struct.field("responseMessage")),
            }
        out["exchanges"].append(asked.select("result_key", **columns, **common))


def _at_once(listed: list[str]) -> Iterator[pl.DataFrame]:
    """The raw rows, so many at a time."""
    waiting: list[pl.DataFrame] = []
    for path in listed:
        waiting.append(pl.read_parquet(path, columns=RAW_COLUMNS, hive_partitioning=False))
        if sum(frame.height for frame in waiting) >= PAYLOADS_AT_ONCE:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def main(lake: Path, out: Path) -> None:
    """Read a lake, write a DuckDB file."""
    sink = Sink(create(out))
    blank = {"VARCHAR": pl.String, "BIGINT": pl.Int64, "DOUBLE": pl.Float64, "BOOLEAN": pl.Boolean, "DATE": pl.Date}
    for place, take in ((BROWSER, browser_results), (SESSION, session_results)):
        for frame in _at_once(files(lake, place)):
            found: Frames = {table: [] for table in TABLES}
            take(frame, found)
            for table, parts in found.items():
                columns = [pl.lit(None, dtype=blank.get(TABLES[table][name], pl.Datetime("us", "UTC"))).alias(name) for name in FLAT[table]]
                for part in parts:
                    absent = [column for column in columns if column.meta.output_name() not in part.columns]
                    whole = part.with_columns(absent) if table == "results" else part
                    listed = [name for name in FLAT[table] if name in whole.columns]
                    sink.take({table: whole.select(listed).with_columns(pl.col(pl.Int32).cast(pl.Int64)).to_arrow()})
    sink.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
