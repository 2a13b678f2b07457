"""Checkly's monitoring payloads -> rows: check definitions as sightings, check results as results with their children.

A check result is a test session's result with fewer common fields and the same blocks, so it goes through
`flatten.flatten_result`; what is told apart here is what monitoring says in another way. Pure polars.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines import jsontext
from pipelines.providers.checkly.flatten import flatten_result
from pipelines.providers.checkly.leaves import RESULT
from pipelines.providers.checkly.leaves_checks import ABOUT, CHECK_RESULT, CONFIG
from pipelines.schemas.leaves import Leaf
from pipelines.transform.expressions import as_json, inner, json_object

_NOTHING = pl.lit(None, dtype=pl.String)
_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
_DTYPES = {"VARCHAR": pl.String(), "JSON": pl.String(), "DOUBLE": pl.Float64(), "BOOLEAN": pl.Boolean()}

TYPE_OF_BLOCK = {
    "browserCheckResult": "BROWSER",
    "multiStepCheckResult": "MULTI_STEP",
    "playwrightCheckResult": "PLAYWRIGHT",
    "agenticCheckResult": "AGENTIC",
    "sslCheckResult": "SSL",
    "grpcCheckResult": "GRPC",
    "tracerouteCheckResult": "TRACEROUTE",
}
"""A check result does not name its check's type: the block that it carries does. Where it does not tell (an API block is assumed to be
URL checks', too; TCP, DNS, ICMP and heartbeat have none), the check's definition does (derive/tests.sql)."""


def flatten_check(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A check definition -> `sightings`.

    `frequency` is minutes; 0 means every `frequencyOffset` seconds (high-frequency checks); a heartbeat has a period
    and its unit instead. `status` says activated, muted (runs, alerts nobody) or deactivated.
    """
    opened = frame.select("entity_id", "fetched_at", pl.col("doc").struct.unnest())
    request, heartbeat = pl.col("request"), pl.col("heartbeat")
    unit_s = inner(heartbeat, "$.periodUnit").replace_strict(_SECONDS, default=None, return_dtype=pl.Float64)
    period_s = inner(heartbeat, "$.period").cast(pl.Float64, strict=False) * unit_s
    frequency_s = pl.when(pl.col("frequency") == 0).then(pl.col("frequencyOffset")).otherwise(pl.col("frequency") * 60.0)
    addresses = [inner(request, path) for path in ("$.url", "$.sslConfig.hostname", "$.hostname", "$.query")]
    config = json_object({name: as_json(pl.col(name), tree) for name, tree in CONFIG.items()})
    return {
        "sightings": opened.select(
            "entity_id",
            pl.coalesce("id", "entity_id").alias("test_id"),
            pl.col("fetched_at").dt.convert_time_zone("UTC").alias("observed_at"),
            pl.lit("definition").alias("origin"),
            "name",
            pl.col("checkType").str.to_lowercase().alias("test_type"),
            pl.when(~pl.col("activated")).then(pl.lit("deactivated"))
            .when(pl.col("muted")).then(pl.lit("muted"))
            .when(pl.col("activated")).then(pl.lit("activated")).alias("status"),
            (~pl.col("activated")).alias("is_paused"),
            pl.coalesce(frequency_s, period_s).alias("frequency_s"),
            "locations",
            "tags",
            pl.coalesce(pl.when(address != "").then(address) for address in addresses).alias("target_url"),
            config.map_batches(_canonical_texts, return_dtype=pl.String).alias("config"),
            json_object({name: as_json(pl.col(name), tree) for name, tree in ABOUT.items()}).alias("attributes"),
        )
    }  # fmt: skip


def flatten_check_result(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """A check result -> `results` without a run, its children and one sighting of its check.

    It has no `status`: that neither errors nor failures were seen is what PASSED says of a session's result.
    `execution_id` is the sequenceId, which groups the tries; NULLs of a payload stay NULL.
    """
    opened = frame.select("entity_id", "parent_id", "fetched_at", pl.col("doc").struct.unnest())
    is_well = ~pl.col("hasErrors") & ~pl.col("hasFailures")
    told: dict[str, pl.Expr] = {
        "status": pl.when(is_well).then(pl.lit("PASSED")),
        "checkType": pl.coalesce(pl.when(pl.col(block).is_not_null()).then(pl.lit(word)) for block, word in TYPE_OF_BLOCK.items()),
        "checkId": pl.coalesce(pl.when(pl.col("checkId") != "").then(pl.col("checkId")), "parent_id"),
    }
    fields = [(told[name] if name in told else _field(name)).alias(name) for name in RESULT]
    rows = flatten_result(opened.select("entity_id", _NOTHING.alias("parent_id"), "fetched_at", pl.struct(fields).alias("doc")))
    # One row per payload, in order: series can be set beside each other.
    results = rows["results"].with_columns(opened["sequenceId"], opened["createdAt"])
    rows["results"] = results.with_columns(
        pl.when(pl.col("sequenceId") != "").then("sequenceId").otherwise("entity_id").alias("execution_id"),
        _NOTHING.alias("status"),
        _with("createdAt", pl.col("createdAt"), pl.col("attributes")).alias("attributes"),
    ).drop("sequenceId", "createdAt")
    # The definition, not the block, says what the test is: versions would flap otherwise.
    rows["sightings"] = rows["sightings"].with_columns(_NOTHING.alias("test_type"))
    return rows


def _field(name: str) -> pl.Expr:
    if name in CHECK_RESULT:
        return pl.col(name)
    leaf = RESULT[name]
    assert isinstance(leaf, Leaf), name
    return pl.lit(None, dtype=_DTYPES[leaf.type])


def _with(name: str, value: pl.Expr, json_text: pl.Expr) -> pl.Expr:
    """The JSON object with one more member, where there is a value."""
    member = pl.concat_str(pl.lit(f'{{"{name}":'), value)
    rest = pl.coalesce(pl.concat_str(pl.lit(","), json_text.str.slice(1)), pl.lit("}"))
    return pl.when(value.is_not_null()).then(pl.concat_str(member, rest)).otherwise(json_text)


def _canonical_texts(texts: pl.Series) -> pl.Series:
    known = {text: _canonical_text(text) for text in texts.drop_nulls().unique().to_list()}
    return pl.Series([known.get(text) for text in texts.to_list()], dtype=pl.String)


def _canonical_text(text: str) -> str:
    try:
        document, _ = jsontext.parse(text.encode())
    except jsontext.JsonError:  # deeper nested than we read: as it came
        return text
    return jsontext.dump(_canonical(document))


def _canonical(value: Any) -> Any:
    """Keys sorted and nulls left out, so that two ways of writing one configuration compare equal."""
    if isinstance(value, dict):
        members = ((name, _canonical(child)) for name, child in sorted(value.items()))
        return {name: child for name, child in members if child is not None}
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    return value
