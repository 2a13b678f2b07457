"""What hangs below a Checkly result: assertions, timings, errors, logs, artifacts, vitals, steps, suggestions, exchanges.

One function per core table; each reads every result block that can hold such rows. What only protocol checks have: `flatten_probes`; what
is left for a result's own columns and `attributes`: `flatten_rest`. Pure polars.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.checkly import flatten_probes
from pipelines.providers.checkly.flatten_common import KEYS, WHOLE, elements, first_text, numbered, whole_number
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
    parts = []
    for block in _REQUESTING:
        item = pl.col("item").struct
        error = said(item.field("error"))
        known = pl.coalesce(item.field("source"), item.field("comparison")).is_not_null()
        request_error = pl.coalesce(_request_errors(block)).alias("request_error")
        parts.append(
            elements(opened, block, "assertions", request_error).select(
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
            )
        )  # fmt: skip
    item = pl.col("item").struct
    passed = item.field("passed")
    parts.append(
        elements(opened, "agenticCheckResult", "assertions").select(
            *KEYS,
            pl.lit("agentic").alias("source"),
            item.field("condition").alias("property"),
            plain(item.field("expected")).alias("target"),
            plain(item.field("actual")).alias("actual"),
            pl.when(passed).then(pl.lit("passed")).when(~passed).then(pl.lit("failed"))
            .otherwise(pl.lit("unknown")).alias("outcome"),
        )
    )  # fmt: skip
    return numbered(parts, "assertion_index").with_columns(WHOLE.alias("step_index"))


def timings(phases: pl.DataFrame) -> pl.DataFrame:
    """`core.timings`: phases as durations, the API's cumulative `timings` as offsets, both in ms (recorded 2020)."""
    first = [pl.col(name).drop_nulls().first() for name in ("duration_ms", "offset_ms", "phase_raw")]
    rows = phases.group_by(*KEYS, "step_index", "phase", maintain_order=True).agg(first)
    return rows.with_columns((pl.col("phase") == "total").alias("is_total"))


def _all_phases(opened: pl.DataFrame) -> pl.DataFrame:
    """What `timings` reads, with the pointer of each total. gRPC's phases stand twice; the response's are in `attributes` too."""
    owners = ("apiCheckResult/response", "grpcCheckResult", "tracerouteCheckResult", "grpcCheckResult/response")
    parts = [_phases(opened, f"{owner}/timingPhases", "duration_ms") for owner in owners]
    return pl.concat([*parts, _phases(opened, f"{owners[0]}/timings", "offset_ms")], how="diagonal")


def _phases(opened: pl.DataFrame, place: str, measure: str) -> pl.DataFrame:
    block, *below = place.split("/")
    json_text = pl.col(block)
    for field in below:
        json_text = json_text.struct.field(field)
    name = pl.col("item").struct.field("name")
    return (
        opened.select(*KEYS, members(json_text).alias("item"))
        .explode("item")
        .select(
            *KEYS,
            WHOLE.alias("step_index"),
            pl.lit(f"/{place}/total").alias("json_pointer"),
            renamed(name, _phase).alias("phase"),
            non_negative(pl.col("item").struct.field("value").cast(pl.Float64, strict=False)).alias(measure),
            name.alias("phase_raw"),
        )
        .filter(pl.col(measure).is_not_null(), pl.col("phase").is_not_null())
    )


def _phase(name: str) -> str:
    return PHASES.get(name, snake_case(name))


def errors(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.errors`: schedule error, request errors, why a probe failed, the block's errors (texts or objects); one row per message.

    An object with a message and an `error` of its own is two errors. Of equal messages the first name, code and stack stay.
    """
    code = flatten_probes.failure_code()
    parts = [_texts(opened, said("scheduleError"), "schedule")]
    parts += [_texts(opened, text, "request", code) for text in request_errors()]
    parts += [_texts(opened, text, origin, code) for origin, text in flatten_probes.reasons().items()]
    parts += [_listed_errors(opened, block, origin) for block, origin in SCRIPTS.items()]
    found = pl.concat(parts, how="diagonal").filter(said("message").is_not_null())
    first = [pl.col(name).drop_nulls().first() for name in ("origin", "code", "name", "stack")]
    distinct = found.group_by(*KEYS, "message", maintain_order=True).agg(first)
    return numbered([distinct], "error_index").with_columns(WHOLE.alias("step_index"))


def _texts(opened: pl.DataFrame, text: pl.Expr, origin: str, code: pl.Expr | None = None) -> pl.DataFrame:
    blank = pl.lit(None, dtype=pl.String) if code is None else code
    return opened.select(*KEYS, pl.lit(origin).alias("origin"), blank.alias("code"), text.alias("message"))


def _listed_errors(opened: pl.DataFrame, block: str, origin: str) -> pl.DataFrame:
    item = pl.col("item")
    is_object = item.str.starts_with("{")
    items = elements(opened, block, "errors")
    cause = first_text(item, "$.error.message", "$.error")
    whole = items.select(
        *KEYS,
        "place",
        pl.when(is_object).then(first_text(item, "$.name", "$.error.name")).alias("name"),
        pl.when(is_object).then(pl.coalesce(first_text(item, "$.message"), cause, plain(item))).otherwise(plain(item)).alias("message"),
        pl.when(is_object).then(first_text(item, "$.stack", "$.error.stack")).alias("stack"),
    )
    inside = items.filter(is_object, first_text(item, "$.message").is_not_null(), cause.is_not_null()).select(
        *KEYS,
        "place",
        first_text(item, "$.error.name").alias("name"),
        cause.alias("message"),
        first_text(item, "$.error.stack").alias("stack"),
    )
    both = pl.concat([whole, inside]).sort("place", maintain_order=True)
    return both.select(*KEYS, "name", "message", "stack", pl.lit(origin).alias("origin"))


def logs(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.logs`: `jobLog` is a list of lines, or lists of lines by phase; `time` is epoch ms (recorded 2023).

    Hand-made fixtures have times relative to the start: they are no instants, so `logged_at` is NULL there.
    """
    parts = []
    for block in _LOGGING:
        item = pl.col("item").struct
        is_group = item.field("name").is_not_null() & item.field("value").str.starts_with("[")
        group = members(pl.when(is_group).then(item.field("value"))).list.eval(pl.element().struct.field("value"))
        parts.append(
            opened.select(*KEYS, members(pl.col(block).struct.field("jobLog")).alias("item"))
            .explode("item")
            .filter(item.field("value").is_not_null())
            .select(
                *KEYS,
                item.field("name").alias("phase"),
                pl.when(is_group).then(group).otherwise(pl.concat_list(item.field("value"))).alias("line"),
            )
            .explode("line")
            .filter(pl.col("line").is_not_null())
        )
    lines = numbered(parts, "log_index").with_columns(pl.when(pl.col("line").str.starts_with("{")).then("line").alias("object"))
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
    parts = []
    for block in _LOGGING:
        tree = BLOCKS[block]
        for field, kind in FILES.items():
            if field not in tree:
                continue
            if isinstance(tree[field], list):
                item = pl.col("item")
                is_object = item.str.starts_with("{")
                name = pl.coalesce(inner(item, "$.filename"), inner(item, "$.name"))
                parts.append(
                    elements(opened, block, field).select(
                        *KEYS,
                        pl.lit(kind).alias("kind"),
                        pl.when(is_object).then(name).alias("name"),
                        _address(pl.when(is_object).then(inner(item, "$.url")).otherwise(plain(item))).alias("url"),
                    )
                )
            else:
                url = said(pl.col(block).struct.field(field))
                parts.append(opened.select(*KEYS, pl.lit(kind).alias("kind"), _address(url).alias("url")))
    manifest = members(pl.col("agenticCheckResult").struct.field("artifactManifest"))
    parts.append(
        opened.select(*KEYS, manifest.alias("item"))
        .explode("item")
        .select(*KEYS, pl.lit("file").alias("kind"), pl.col("item").struct.field("name").alias("name"))
    )
    found = pl.concat(parts, how="diagonal").filter(pl.col("url").is_not_null() | pl.col("name").is_not_null())
    last_part = said(pl.col("url").str.strip_chars_end("/").str.extract(r"([^/]+)$"))
    named = found.with_columns(pl.coalesce("name", last_part).alias("name"))
    return numbered([named], "artifact_index").with_columns(WHOLE.alias("step_index"))


def _address(url: pl.Expr) -> pl.Expr:
    return said(url.str.replace(r"(?s)[?#].*$", ""))


def page_vitals(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.page_vitals`: web vitals with their score, page timings without one; ms but for CLS (recorded 2023)."""
    page = pl.col("item").struct
    pages = explode_indexed(opened.select(*KEYS, pl.col("browserCheckResult").struct.field("pages").alias("item")), "item", "page_index")
    parts = []
    for field in ("webVitals", "pageTimings"):
        metric = pl.col("metric").struct
        value = metric.field("value")
        is_object = value.str.starts_with("{")
        number = pl.when(is_object).then(inner(value, "$.value")).otherwise(plain(value))
        parts.append(
            pages.select(*KEYS, "page_index", page.field("url").alias("page_url"), members(page.field(field)).alias("metric"))
            .explode("metric")
            .select(
                *KEYS,
                "page_index",
                renamed(metric.field("name"), snake_case).alias("metric"),
                "page_url",
                number.cast(pl.Float64, strict=False).alias("value"),
                pl.when(is_object).then(inner(value, "$.score")).str.to_lowercase().alias("score"),
            )
            .filter(pl.col("metric").is_not_null(), pl.col("value").is_not_null() | pl.col("score").is_not_null())
        )
    return pl.concat(parts).unique(("result_key", "page_index", "metric"), keep="first", maintain_order=True)


def steps(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.steps`: what an agent called, got and said; neither duration nor outcome is sent. Others have no steps."""
    item = pl.col("item").struct
    tool_input = json_object({"input": item.field("input")})
    return numbered(
        [
            elements(opened, "agenticCheckResult", "steps").select(
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
    return elements(opened, "agenticCheckResult", "suggestions").select(
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
