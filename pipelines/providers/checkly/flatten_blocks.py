"""What hangs below a Checkly result: assertions, timings, errors, logs, artifacts, vitals, steps, suggestions, exchanges.

One function per core table; each reads every result block that can hold such rows. What only protocol checks have: `flatten_probes`; what
is left for a result's own columns and `attributes`: `flatten_rest`. Pure polars.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.checkly import flatten_probes
from pipelines.providers.checkly.flatten_common import (
    KEYS,
    WHOLE,
    elements,
    first_text,
    is_object,
    numbered,
    opened_members,
    told,
    whole_number,
    with_paths,
)
from pipelines.providers.checkly.flatten_probes import PROBES
from pipelines.providers.checkly.leaves import API_REQUEST, API_RESPONSE, BLOCKS
from pipelines.transform.contradictions import overfull
from pipelines.transform.expressions import (
    PHASES,
    as_json,
    explode_indexed,
    from_epoch_ms,
    from_iso,
    inner,
    json_list,
    json_object,
    members,
    non_negative,
    plain,
    renamed,
    said,
    snake_case,
)

SCRIPTS = {
    "browserCheckResult": "browser",
    "multiStepCheckResult": "multi_step",
    "playwrightCheckResult": "playwright",
    "agenticCheckResult": "agentic",
}
"""Blocks with an `errors` list -> the origin of their errors."""

_REQUESTING = ("apiCheckResult", *PROBES)
_LOGGING = ("apiCheckResult", *SCRIPTS)

_DURATIONS = (
    "apiCheckResult/response/timingPhases",
    "grpcCheckResult/timingPhases",
    "tracerouteCheckResult/timingPhases",
    "grpcCheckResult/response/timingPhases",
)
_OFFSETS = "apiCheckResult/response/timings"

FILES = {
    "playwrightTestVideos": "video",
    "playwrightTestTraces": "trace",
    "playwrightTraceFiles": "trace",
    "playwrightTestJsonReportFile": "report",
    "jobAssets": "file",
    "pcapDataUrl": "pcap",
}
"""Leaves of blocks that are addresses of files -> kind of the artifact."""


def children(opened: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """All child frames of opened result payloads, by table name; and `drift` of their phases."""
    phases = _all_phases(opened)
    return {
        "assertions": assertions(opened),
        "timings": timings(phases),
        "errors": errors(opened),
        "logs": logs(opened),
        "artifacts": artifacts(opened),
        "page_vitals": page_vitals(opened),
        "steps": steps(opened),
        "exchanges": exchanges(opened),
        "suggestions": suggestions(opened),
        "certificates": flatten_probes.certificates(opened),
        "hops": flatten_probes.hops(opened),
        "pings": flatten_probes.pings(opened),
        "drift": overfull(phases, pl.col("json_pointer")),
    }


def request_errors() -> list[pl.Expr]:
    """What each block that asks the tested system says went wrong with asking; a result has one block."""
    return [text for block in _REQUESTING for text in _request_errors(block)]


def _request_errors(block: str) -> list[pl.Expr]:
    fields = pl.col(block).struct
    inside = [fields.field("response").struct.field("requestError")] if block == "grpcCheckResult" else []
    return [said(text) for text in (fields.field("requestError"), *inside)]


def status_code(number: pl.Expr) -> pl.Expr:
    """The HTTP status; 0 is sent when there was no response (CLI fixture, 2025) and becomes NULL."""
    return pl.when(number > 0).then(whole_number(number))


def assertions(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.assertions`: one row per element of a block's `assertions`."""
    item = pl.col("item").struct
    error = said(item.field("error"))
    known = pl.coalesce(item.field("source"), item.field("comparison")).is_not_null()
    asked = elements(told(opened, block, "assertions", request_error=pl.coalesce(_request_errors(block))) for block in _REQUESTING)
    rows = asked.select(
        *KEYS,
        item.field("source").alias("source"),
        said(item.field("property")).alias("property"),
        item.field("comparison").alias("operator"),
        plain(item.field("target")).alias("target"),
        plain(item.field("actual")).alias("actual"),
        pl.when(error.is_not_null()).then(pl.lit("failed"))
        .when(pl.col("request_error").is_not_null()).then(pl.lit("skipped"))
        .when(known).then(pl.lit("passed"))
        .otherwise(pl.lit("unknown")).alias("outcome"),
        error.alias("error_message"),
        json_object({"order": item.field("order"), "regex": item.field("regex")}).alias("attributes"),
    )  # fmt: skip
    passed = item.field("passed")
    judged = elements([told(opened, "agenticCheckResult", "assertions")]).select(
        *KEYS,
        pl.lit("agentic").alias("source"),
        item.field("condition").alias("property"),
        plain(item.field("expected")).alias("target"),
        plain(item.field("actual")).alias("actual"),
        pl.when(passed).then(pl.lit("passed")).when(~passed).then(pl.lit("failed"))
        .otherwise(pl.lit("unknown")).alias("outcome"),
    )  # fmt: skip
    return numbered([rows, judged], "assertion_index").with_columns(WHOLE.alias("step_index"))


def timings(phases: pl.DataFrame) -> pl.DataFrame:
    """`core.timings`: phases as durations, the API's cumulative `timings` as offsets, both in ms (recorded 2020)."""
    first = [pl.col(name).drop_nulls().first() for name in ("duration_ms", "offset_ms", "phase_raw")]
    rows = phases.group_by(*KEYS, "step_index", "phase", maintain_order=True).agg(first)
    return rows.with_columns((pl.col("phase") == "total").alias("is_total"))


def _all_phases(opened: pl.DataFrame) -> pl.DataFrame:
    """What `timings` reads, with the pointer of each total. gRPC's phases stand twice; the response's are in `attributes` too."""
    is_offset = pl.col("json_pointer") == pl.lit(f"/{_OFFSETS}/total")
    places = (place.partition("/") for place in (*_DURATIONS, _OFFSETS))
    texts = (told(opened, block, path, json_pointer=pl.lit(f"/{block}/{path}/total")) for block, _, path in places)
    rows = opened_members(texts).with_columns(
        phase=renamed(pl.col("name"), _phase), value=non_negative(pl.col("value").cast(pl.Float64, strict=False))
    )
    return rows.filter(pl.col("value").is_not_null(), pl.col("phase").is_not_null()).select(
        *KEYS,
        WHOLE.alias("step_index"),
        "json_pointer",
        "phase",
        pl.when(~is_offset).then("value").alias("duration_ms"),
        pl.when(is_offset).then("value").alias("offset_ms"),
        pl.col("name").alias("phase_raw"),
    )


def _phase(name: str) -> str:
    return PHASES.get(name, snake_case(name))


def errors(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.errors`: schedule error, request errors, why a probe failed, the block's errors (texts or objects); one row per message.

    An object with a message and an `error` of its own is two errors. Of equal messages the first name, code and stack stay.
    """
    texts = [("schedule", said("scheduleError")), *(("request", text) for text in request_errors()), *flatten_probes.reasons().items()]
    origins = {str(place): origin for place, (origin, _) in enumerate(texts)}
    columns = [text.alias(str(place)) for place, (_, text) in enumerate(texts)]
    single = (
        opened.select(*KEYS, flatten_probes.failure_code().alias("code"), *columns)
        .unpivot(list(origins), index=[*KEYS, "code"], variable_name="place", value_name="message")
        .filter(pl.col("message").is_not_null())
        .with_columns(pl.when(pl.col("place") != "0").then("code").alias("code"), origin=pl.col("place").replace(origins))
        .drop("place")
    )
    found = pl.concat([single, _listed_errors(opened)], how="diagonal").filter(said("message").is_not_null())
    first = [pl.col(name).drop_nulls().first() for name in ("origin", "code", "name", "stack")]
    distinct = found.group_by(*KEYS, "message", maintain_order=True).agg(first)
    return numbered([distinct], "error_index").with_columns(WHOLE.alias("step_index"))


def _listed_errors(opened: pl.DataFrame) -> pl.DataFrame:
    """The errors that blocks list: texts, or objects."""
    lists = (told(opened, block, "errors", origin=pl.lit(origin)) for block, origin in SCRIPTS.items())
    paths = ("$.name", "$.message", "$.stack", "$.error.name", "$.error.message", "$.error.stack", "$.error")
    items = with_paths(elements(lists).with_row_index("row"), *paths)
    message, cause = first_text("$.message"), first_text("$.error.message", "$.error")
    whole = items.select(
        *KEYS,
        "row",
        "origin",
        first_text("$.name", "$.error.name").alias("name"),
        pl.coalesce(message, cause, plain(pl.col("item"))).alias("message"),
        first_text("$.stack", "$.error.stack").alias("stack"),
    )
    inside = items.filter(message.is_not_null(), cause.is_not_null()).select(
        *KEYS, "row", "origin", first_text("$.error.name").alias("name"), cause.alias("message"), first_text("$.error.stack").alias("stack")
    )
    return pl.concat([whole, inside]).sort("row", maintain_order=True).drop("row")


def logs(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.logs`: `jobLog` is a list of lines, or lists of lines by phase; `time` is epoch ms (recorded 2023).

    Hand-made fixtures have times relative to the start: they are no instants, so `logged_at` is NULL there.
    """
    is_group = pl.col("name").is_not_null() & pl.col("value").str.starts_with("[")
    group = members(pl.when(is_group).then("value")).list.eval(pl.element().struct.field("value"))
    lines = (
        opened_members(told(opened, block, "jobLog") for block in _LOGGING)
        .select(*KEYS, phase="name", line=pl.when(is_group).then(group).otherwise(pl.concat_list("value")))
        .explode("line")
        .filter(pl.col("line").is_not_null())
    )
    lines = numbered([lines], "log_index").with_columns(pl.when(pl.col("line").str.starts_with("{")).then("line").alias("object"))
    lines = lines.select(
        *KEYS, "log_index", "phase", "line", *(inner(pl.col("object"), f"$.{name}").alias(name) for name in ("time", "level", "msg"))
    )
    return lines.select(
        *KEYS,
        "log_index",
        "phase",
        pl.coalesce(from_epoch_ms(pl.col("time").cast(pl.Float64, strict=False)), from_iso(pl.col("time"))).alias("logged_at"),
        "level",
        pl.coalesce("msg", plain(pl.when(pl.col("msg").is_null()).then("line"))).alias("message"),
    )


def artifacts(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.artifacts`: videos, traces, report, assets and captures by address, manifest entries by path.

    Files are URLs, or objects with name, url and filename (recorded runner message); addresses lose query and fragment.
    """
    lists: list[pl.DataFrame] = []
    addresses: list[pl.DataFrame] = []
    places = [(block, field) for block in _LOGGING for field in FILES if field in BLOCKS[block]]
    for part, (block, field) in enumerate(places):
        files = told(opened, block, field, part=pl.lit(part), kind=pl.lit(FILES[field]))
        (lists if isinstance(BLOCKS[block][field], list) else addresses).append(files)
    manifest = told(opened, "agenticCheckResult", "artifactManifest", part=pl.lit(len(places)), kind=pl.lit("file"))
    listed = with_paths(elements(lists), "$.filename", "$.name", "$.url").select(
        *KEYS,
        "part",
        "kind",
        pl.coalesce("$.filename", "$.name").alias("name"),
        pl.when(is_object("item")).then("$.url").otherwise(plain(pl.col("item"))).alias("url"),
    )
    parts = [listed, pl.concat(addresses).rename({"item": "url"}), opened_members([manifest]).drop("value")]
    found = pl.concat(parts, how="diagonal").sort("part", maintain_order=True)
    found = found.with_columns(pl.col("url").str.replace(r"(?s)[?#].*$", "")).with_columns(said("url"))
    found = found.filter(pl.col("url").is_not_null() | pl.col("name").is_not_null())
    found = found.with_columns(last_part=pl.col("url").str.strip_chars_end("/").str.extract(r"([^/]+)$"))
    named = found.with_columns(pl.coalesce("name", said("last_part")).alias("name"))
    return numbered([named], "artifact_index").with_columns(WHOLE.alias("step_index"))


def page_vitals(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.page_vitals`: web vitals with their score, page timings without one; ms but for CLS (recorded 2023)."""
    page = pl.col("item").struct
    pages = explode_indexed(told(opened, "browserCheckResult", "pages"), "item", "page_index")
    page = pl.col("item").struct
    told_of_pages = (
        pages.select(*KEYS, "page_index", page_url=page.field("url"), item=page.field(field)) for field in ("webVitals", "pageTimings")
    )
    given = pl.when(is_object("value")).then("value")
    rows = opened_members(told_of_pages).select(
        *KEYS,
        "page_index",
        renamed(pl.col("name"), snake_case).alias("metric"),
        "page_url",
        pl.coalesce(inner(given, "$.value"), plain(pl.when(~is_object("value")).then("value")))
        .cast(pl.Float64, strict=False)
        .alias("value"),
        inner(given, "$.score").str.to_lowercase().alias("score"),
    )
    rows = rows.filter(pl.col("metric").is_not_null(), pl.col("value").is_not_null() | pl.col("score").is_not_null())
    return rows.unique(("result_key", "page_index", "metric"), keep="first", maintain_order=True)


def steps(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.steps`: what an agent called, got and said; neither duration nor outcome is sent. Others have no steps."""
    item = pl.col("item").struct
    tool_input = json_object({"input": item.field("input")})
    return numbered(
        [
            elements([told(opened, "agenticCheckResult", "steps")]).select(
                *KEYS,
                plain(item.field("sequenceNumber")).alias("step_id"),
                item.field("name").alias("name"),
                item.field("type").alias("kind"),
                pl.lit("unknown").alias("outcome"),
                from_iso(item.field("timestamp")).alias("started_at"),
                item.field("output").alias("result_text"),
                tool_input.alias("attributes"),
            )
        ],
        "step_index",
    )


def suggestions(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.suggestions`: what an agent would change in its check."""
    item = pl.col("item").struct
    return elements([told(opened, "agenticCheckResult", "suggestions")]).select(
        *KEYS,
        pl.col("place").alias("suggestion_index"),
        item.field("category").alias("category"),
        item.field("summary").alias("summary"),
        item.field("prompt").alias("prompt"),
        item.field("promptReplacement").alias("prompt_replacement"),
        json_list(item.field("secrets")).alias("secret_names"),
    )


def exchanges(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.exchanges`: request and response of an API check, and whom protocol checks asked. The size is not sent."""
    return numbered([_api_exchanges(opened), *flatten_probes.exchanges(opened)], "exchange_index").with_columns(WHOLE.alias("step_index"))


def _api_exchanges(opened: pl.DataFrame) -> pl.DataFrame:
    block = pl.col("apiCheckResult").struct
    request, response = block.field("request").struct, block.field("response").struct
    status = status_code(response.field("status"))
    body = response.field("body")
    rest = {name: as_json(request.field(name), API_REQUEST[name]) for name in ("data", "params")}
    own = ("statusText", "bodyEncoding", "href", "truncated")
    rest |= {name: as_json(response.field(name), API_RESPONSE[name]) for name in own}
    has_any = block.field("request").is_not_null() | block.field("response").is_not_null()
    return opened.filter(has_any).select(
        *KEYS,
        request.field("method").alias("method"),
        request.field("url").alias("url"),
        status.alias("status_code"),
        request.field("headers").alias("request_headers"),
        response.field("headers").alias("response_headers"),
        pl.when(status.is_not_null()).then(body).otherwise(said(body)).alias("response_body"),
        json_object(rest).alias("attributes"),
    )
