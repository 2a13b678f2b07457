"""What hangs below a Checkly result: assertions, timings, errors, logs, artifacts, vitals, steps, exchanges.

One function per core table; each reads every result block that can hold such rows. Pure polars.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.providers.checkly.leaves import API_REQUEST, API_RESPONSE, BLOCKS, PAGE
from pipelines.schemas.leaves import Tree
from pipelines.transform.expressions import (
    PHASES,
    as_json,
    explode_indexed,
    from_epoch_ms,
    from_iso,
    inner,
    json_object,
    members,
    non_negative,
    plain,
    snake_case,
)

PROBES: dict[str, dict[str, Tree]] = {name: BLOCKS[name] for name in ("sslCheckResult", "grpcCheckResult", "tracerouteCheckResult")}
"""Blocks that only check results document: their rest stays whole in `attributes`."""

SCRIPTS = {
    "browserCheckResult": "browser",
    "multiStepCheckResult": "multi_step",
    "playwrightCheckResult": "playwright",
    "agenticCheckResult": "agentic",
}
"""Blocks with an `errors` list -> the origin of their errors."""

PAGE_ATTRIBUTES: dict[str, Tree] = {name: PAGE[name] for name in ("url", "responseSizes")}

_REQUESTING = ("apiCheckResult", *PROBES)
_LOGGING = ("apiCheckResult", *SCRIPTS)
_WHOLE = pl.lit(-1, dtype=pl.Int64)
_KEYS = ("entity_id", "result_key")


def children(opened: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """All child frames of opened result payloads, by table name."""
    return {
        "assertions": assertions(opened),
        "timings": timings(opened),
        "errors": errors(opened),
        "logs": logs(opened),
        "artifacts": artifacts(opened),
        "page_vitals": page_vitals(opened),
        "steps": steps(opened),
        "exchanges": exchanges(opened),
        "certificates": certificates(opened),
    }


def said(text: pl.Expr | str) -> pl.Expr:
    """The text, NULL when it is empty: fixtures send an empty error for none."""
    column = pl.col(text) if isinstance(text, str) else text
    return pl.when(column.str.len_bytes() > 0).then(column)


def request_errors() -> list[pl.Expr]:
    """What each block that asks the tested system says went wrong with asking; a result has one block."""
    return [said(pl.col(block).struct.field("requestError")) for block in _REQUESTING]


def status_code(number: pl.Expr) -> pl.Expr:
    """The HTTP status; 0 is sent when there was no response (CLI fixture, 2025) and becomes NULL."""
    return pl.when(number > 0).then(number.cast(pl.Int64, strict=False))


def assertions(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.assertions`: one row per element of a block's `assertions`."""
    parts = []
    for block in _REQUESTING:
        item = pl.col("item").struct
        error = said(item.field("error"))
        known = pl.coalesce(item.field("source"), item.field("comparison")).is_not_null()
        request_error = said(pl.col(block).struct.field("requestError")).alias("request_error")
        parts.append(
            _elements(opened, block, "assertions", request_error).select(
                *_KEYS,
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
        _elements(opened, "agenticCheckResult", "assertions").select(
            *_KEYS,
            pl.lit("agentic").alias("source"),
            item.field("condition").alias("property"),
            plain(item.field("expected")).alias("target"),
            plain(item.field("actual")).alias("actual"),
            pl.when(passed).then(pl.lit("passed")).when(~passed).then(pl.lit("failed"))
            .otherwise(pl.lit("unknown")).alias("outcome"),
        )
    )  # fmt: skip
    return _numbered(parts, "assertion_index").with_columns(_WHOLE.alias("step_index"))


def timings(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.timings`: phases as durations, the API's cumulative `timings` as offsets, both in ms (recorded 2020)."""
    response = pl.col("apiCheckResult").struct.field("response").struct
    parts = [_phases(opened, response.field("timingPhases"), "duration_ms")]
    parts += [
        _phases(opened, pl.col(block).struct.field("timingPhases"), "duration_ms") for block in ("grpcCheckResult", "tracerouteCheckResult")
    ]
    parts.append(_phases(opened, response.field("timings"), "offset_ms"))
    return (
        pl.concat(parts, how="diagonal")
        .unique(("result_key", "phase"), keep="first", maintain_order=True)
        .with_columns(_WHOLE.alias("step_index"), (pl.col("phase") == "total").alias("is_total"))
    )


def _phases(opened: pl.DataFrame, json_text: pl.Expr, measure: str) -> pl.DataFrame:
    name = pl.col("item").struct.field("name")
    return (
        opened.select(*_KEYS, members(json_text).alias("item"))
        .explode("item")
        .select(
            *_KEYS,
            name.map_elements(_phase, return_dtype=pl.String).alias("phase"),
            non_negative(pl.col("item").struct.field("value").cast(pl.Float64, strict=False)).alias(measure),
            name.alias("phase_raw"),
        )
        .filter(pl.col(measure).is_not_null(), pl.col("phase").is_not_null())
    )


def _phase(name: str) -> str:
    return PHASES.get(name, snake_case(name))


def errors(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.errors`: schedule error, request error, the block's errors (texts or objects); one row per message."""
    parts = [_texts(opened, said("scheduleError"), "schedule")]
    parts += [_texts(opened, text, "request") for text in request_errors()]
    for block, origin in SCRIPTS.items():
        item = pl.col("item")
        is_object = item.str.starts_with("{")

        def told(name: str, item: pl.Expr = item) -> list[pl.Expr]:
            return [said(inner(item, f"$.{name}")), said(inner(item, f"$.error.{name}"))]

        message = pl.coalesce(*told("message"), said(inner(item, "$.error")), plain(item))
        parts.append(
            _elements(opened, block, "errors").select(
                *_KEYS,
                pl.lit(origin).alias("origin"),
                pl.when(is_object).then(pl.coalesce(told("name"))).alias("name"),
                pl.when(is_object).then(message).otherwise(plain(item)).alias("message"),
                pl.when(is_object).then(pl.coalesce(told("stack"))).alias("stack"),
            )
        )
    found = pl.concat(parts, how="diagonal").filter(said("message").is_not_null())
    distinct = found.unique(("result_key", "message"), keep="first", maintain_order=True)
    return _numbered([distinct], "error_index").with_columns(_WHOLE.alias("step_index"))


def _texts(opened: pl.DataFrame, text: pl.Expr, origin: str) -> pl.DataFrame:
    return opened.select(*_KEYS, pl.lit(origin).alias("origin"), text.alias("message"))


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
            opened.select(*_KEYS, members(pl.col(block).struct.field("jobLog")).alias("item"))
            .explode("item")
            .filter(item.field("value").is_not_null())
            .select(
                *_KEYS,
                item.field("name").alias("phase"),
                pl.when(is_group).then(group).otherwise(pl.concat_list(item.field("value"))).alias("line"),
            )
            .explode("line")
            .filter(pl.col("line").is_not_null())
        )
    is_object = pl.col("line").str.starts_with("{")
    time = inner(pl.col("line"), "$.time")
    lines = _numbered(parts, "log_index")
    return lines.select(
        *_KEYS,
        "log_index",
        "phase",
        pl.coalesce(from_epoch_ms(time.cast(pl.Float64, strict=False)), from_iso(time)).alias("logged_at"),
        pl.when(is_object).then(inner(pl.col("line"), "$.level")).alias("level"),
        pl.when(is_object)
        .then(pl.coalesce(inner(pl.col("line"), "$.msg"), plain(pl.col("line"))))
        .otherwise(plain(pl.col("line")))
        .alias("message"),
    )


def artifacts(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.artifacts`: videos, traces, report, assets and captures by address, manifest entries by path.

    Files are URLs, or objects with name, url and filename (recorded runner message); addresses lose query and fragment.
    """
    parts = []
    for block in _LOGGING:
        tree = BLOCKS[block]
        for field, kind in _FILES.items():
            if field not in tree:
                continue
            if isinstance(tree[field], list):
                item = pl.col("item")
                is_object = item.str.starts_with("{")
                name = pl.coalesce(inner(item, "$.filename"), inner(item, "$.name"))
                parts.append(
                    _elements(opened, block, field).select(
                        *_KEYS,
                        pl.lit(kind).alias("kind"),
                        pl.when(is_object).then(name).alias("name"),
                        _address(pl.when(is_object).then(inner(item, "$.url")).otherwise(plain(item))).alias("url"),
                    )
                )
            else:
                url = said(pl.col(block).struct.field(field))
                parts.append(opened.select(*_KEYS, pl.lit(kind).alias("kind"), _address(url).alias("url")))
    manifest = members(pl.col("agenticCheckResult").struct.field("artifactManifest"))
    parts.append(
        opened.select(*_KEYS, manifest.alias("item"))
        .explode("item")
        .select(*_KEYS, pl.lit("file").alias("kind"), pl.col("item").struct.field("name").alias("name"))
    )
    found = pl.concat(parts, how="diagonal").filter(pl.col("url").is_not_null() | pl.col("name").is_not_null())
    last_part = said(pl.col("url").str.strip_chars_end("/").str.extract(r"([^/]+)$"))
    named = found.with_columns(pl.coalesce("name", last_part).alias("name"))
    return _numbered([named], "artifact_index").with_columns(_WHOLE.alias("step_index"))


_FILES = {
    "playwrightTestVideos": "video",
    "playwrightTestTraces": "trace",
    "playwrightTraceFiles": "trace",
    "playwrightTestJsonReportFile": "report",
    "jobAssets": "file",
    "pcapDataUrl": "pcap",
}


def _address(url: pl.Expr) -> pl.Expr:
    return said(url.str.replace(r"(?s)[?#].*$", ""))


def page_vitals(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.page_vitals`: web vitals with their score, page timings without one; ms but for CLS (recorded 2023)."""
    page = pl.col("item").struct
    pages = explode_indexed(opened.select(*_KEYS, pl.col("browserCheckResult").struct.field("pages").alias("item")), "item", "page_index")
    parts = []
    for field in ("webVitals", "pageTimings"):
        metric = pl.col("metric").struct
        value = metric.field("value")
        is_object = value.str.starts_with("{")
        number = pl.when(is_object).then(inner(value, "$.value")).otherwise(plain(value))
        parts.append(
            pages.select(*_KEYS, "page_index", page.field("url").alias("page_url"), members(page.field(field)).alias("metric"))
            .explode("metric")
            .select(
                *_KEYS,
                "page_index",
                metric.field("name").map_elements(snake_case, return_dtype=pl.String).alias("metric"),
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
    return _numbered(
        [
            _elements(opened, "agenticCheckResult", "steps").select(
                *_KEYS,
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


def exchanges(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.exchanges`: request and response of an API check. The size is not sent; without response NULLs."""
    block = pl.col("apiCheckResult").struct
    request, response = block.field("request").struct, block.field("response").struct
    status = status_code(response.field("status"))
    body = response.field("body")
    rest = {name: as_json(request.field(name), API_REQUEST[name]) for name in ("data", "params")}
    own = ("statusText", "bodyEncoding", "href", "truncated")
    rest |= {name: as_json(response.field(name), API_RESPONSE[name]) for name in own}
    has_any = block.field("request").is_not_null() | block.field("response").is_not_null()
    return opened.filter(has_any).select(
        *_KEYS,
        pl.lit(0, dtype=pl.Int64).alias("exchange_index"),
        request.field("method").alias("method"),
        request.field("url").alias("url"),
        status.alias("status_code"),
        request.field("headers").alias("request_headers"),
        response.field("headers").alias("response_headers"),
        pl.when(status.is_not_null()).then(body).otherwise(said(body)).alias("response_body"),
        json_object(rest).alias("attributes"),
    )


def certificates(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.certificates`: the leaf certificate of an SSL check; the block stays whole in the result's `attributes`."""
    response = pl.col("sslCheckResult").struct.field("response").struct
    leaf = response.field("certificate")
    sans = inner(leaf, "$.sans")
    return opened.filter(leaf.is_not_null()).select(
        *_KEYS,
        inner(leaf, "$.subjectCN").alias("subject_cn"),
        pl.coalesce(inner(leaf, "$.issuerCN"), inner(leaf, "$.issuer")).alias("issuer_cn"),
        from_iso(inner(leaf, "$.notBefore")).alias("valid_from_at"),
        from_iso(inner(leaf, "$.notAfter")).alias("valid_to_at"),
        inner(leaf, "$.fingerprintSha256").alias("fingerprint"),
        inner(leaf, "$.serialNumber").alias("serial_number"),
        response.field("cipherSuite").alias("cipher"),
        response.field("protocol").alias("protocol"),
        pl.when(sans.str.starts_with("[")).then(sans).alias("alt_names"),
        leaf.alias("attributes"),
    )


def _elements(opened: pl.DataFrame, block: str, field: str, *carried: pl.Expr) -> pl.DataFrame:
    """One row per element of a list of a block, as `item`."""
    item = pl.col(block).struct.field(field).alias("item")
    return explode_indexed(opened.select(*_KEYS, *carried, item), "item", "place").filter(pl.col("item").is_not_null())


def _numbered(parts: Sequence[pl.DataFrame], index: str) -> pl.DataFrame:
    """The parts one after the other, numbered from 0 within each result."""
    frame = pl.concat(parts, how="diagonal")
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("result_key").alias(index))
