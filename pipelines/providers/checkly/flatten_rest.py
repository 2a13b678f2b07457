"""What the blocks of a Checkly result leave for the result's own row: typed columns, and `attributes` for the long tail. Pure polars.

`attributes` has a block under its own name and a leaf at the pointer it came at, so that an attribute is found by its documented path.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.providers.checkly import flatten_blocks, flatten_probes
from pipelines.providers.checkly.leaves import BLOCKS, PAGE
from pipelines.schemas.leaves import Tree
from pipelines.transform.expressions import as_json, inner, json_list, json_object, quoted, said

KEPT: dict[str, tuple[str, ...]] = {
    "browserCheckResult": ("type", "traceSummary", "startTime", "endTime", "runtimeVersion"),
    "multiStepCheckResult": ("startTime", "endTime", "runtimeVersion"),
    "agenticCheckResult": ("summary", "prompt", "artifactManifest"),
    "sslCheckResult": (
        "tlsVersion",
        "cipherSuite",
        "daysUntilExpiry",
        "handshakeTimeMs",
        "chainTrusted",
        "hostnameVerified",
        "baselineVerdict",
        "baselineGrade",
    ),
    "grpcCheckResult": ("grpcStatusCode", "healthStatus"),
    "tracerouteCheckResult": ("totalHops", "destinationReached", "finalHopLatency"),
}
"""Leaves of blocks that `attributes` keeps as they are; the others are rows or columns, or come in below."""


def told_by_blocks() -> list[pl.Expr]:
    """Columns of `core.results` that its block tells. Needs `scheduleError` and the blocks."""
    api = pl.col("apiCheckResult").struct
    return [
        flatten_blocks.status_code(api.field("response").struct.field("status")).alias("http_status_code"),
        flatten_probes.failure_code().alias("failure_code"),
        pl.coalesce(said("scheduleError"), *flatten_blocks.request_errors(), *flatten_probes.reasons().values()).alias("failure_message"),
        flatten_probes.resolved_ip().alias("resolved_ip"),
        _trace_errors().alias("error_count"),
    ]


def attributes(opened: pl.DataFrame, own: Mapping[str, pl.Expr]) -> pl.Series:
    """`core.results.attributes`: the result's `own` leaves (JSON text by name), then what is left of each block under its name.

    In steps: an expression inside another one would be computed anew wherever it is named.
    """
    left = {block: _left(block, tree) for block, tree in BLOCKS.items()}
    leaves = opened.select(
        *(value.alias(name) for name, value in own.items()),
        *(value.alias(f"{block}/{name}") for block, fields in left.items() for name, value in fields.items()),
    )
    blocks = leaves.select(
        *own, *(json_object({name: pl.col(f"{block}/{name}") for name in fields}).alias(block) for block, fields in left.items())
    )
    return blocks.select(json_object({name: pl.col(name) for name in blocks.columns}).alias("attributes")).to_series()


def _left(block: str, tree: Mapping[str, Tree]) -> dict[str, pl.Expr]:
    fields = pl.col(block).struct
    left = {name: as_json(fields.field(name), tree[name]) for name in KEPT.get(block, ())}
    if "pages" in tree:
        left["pages"] = json_list(fields.field("pages").list.eval(_page()))
    if "errors" in tree:
        is_soft = inner(pl.element(), "$.isSoft")
        is_flag = is_soft.is_in(["true", "false"])
        left["errors"] = _beside(fields.field("errors"), "isSoft", pl.when(is_flag).then(is_soft).otherwise(quoted(is_soft)))
    for name in flatten_blocks.FILES:
        if isinstance(tree.get(name), list):
            is_shadowed = said(inner(pl.element(), "$.filename")).is_not_null()
            file_name = pl.when(is_shadowed).then(quoted(said(inner(pl.element(), "$.name"))))
            left[name] = _beside(fields.field(name), "name", file_name)
    if block == "grpcCheckResult":
        left["response"] = json_object({"timingPhases": fields.field("response").struct.field("timingPhases")})
    return left


def _page() -> pl.Expr:
    page = pl.element().struct
    rest = json_object({name: as_json(page.field(name), PAGE[name]) for name in ("url", "responseSizes")})
    return rest.fill_null("null")  # pages keep their place


def _beside(listed: pl.Expr, name: str, json_text: pl.Expr) -> pl.Expr:
    """For a list whose elements became rows: one leaf of theirs that has no column, at each element's place; NULL where none has it."""
    items = listed.list.eval(pl.concat_str(pl.lit(f'{{"{name}":'), json_text, pl.lit("}")).fill_null("null"))
    return pl.concat_str(pl.lit("["), items.list.join(","), pl.lit("]")).str.extract(r"(?s)^(.*\{.*)$")


def _trace_errors() -> pl.Expr:
    """Console, network, document and script errors of a browser check together."""
    summary = BLOCKS["browserCheckResult"]["traceSummary"]
    assert isinstance(summary, dict)
    counts = pl.col("browserCheckResult").struct.field("traceSummary").struct
    numbers = [counts.field(name).cast(pl.String).cast(pl.Float64, strict=False) for name in summary]
    any_known = pl.any_horizontal(number.is_not_null() for number in numbers)
    return pl.when(any_known).then(pl.sum_horizontal(numbers).cast(pl.Int64, strict=False))
