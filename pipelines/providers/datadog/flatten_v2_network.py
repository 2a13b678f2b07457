"""Datadog's v2 results -> what was seen on the wire: exchanges, certificates, hops, pings, DNS records. Pure polars.

A `base` frame is that of `flatten_v2`. Requests and responses of steps stay in the steps' attributes.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.datadog.assertions import KEEP
from pipelines.providers.datadog.common import alt_names, result
from pipelines.providers.datadog.leaves_v2 import CERTIFICATE, NETSTATS, PROBE, REQUEST, RESPONSE, without
from pipelines.transform.expressions import (
    as_json,
    explode_indexed,
    from_epoch_ms,
    inner,
    json_list,
    json_object,
    non_negative,
    plain,
    quoted,
)

_REQUEST_TAIL = without(REQUEST, "headers", "host", "method", "url")
_RESPONSE_TAIL = without(RESPONSE, "body", "body_size", "headers", "status_code")
_CERTIFICATE_TAIL = without(CERTIFICATE, "cipher", "fingerprint", "protocol", "serial_number", "valid")
_PROBE_TAIL = without(PROBE, "latency", "packet_loss_percentage", "packets_received", "packets_sent")
_STATISTICS = ("sent_count", "received_count", "packet_loss_pct", "rtt_avg_ms", "rtt_min_ms", "rtt_max_ms")


def exchange_rows(base: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.exchanges`: the request and its response, then those of a protocol's handshake (`kind` in attributes)."""
    shake = result("handshake").struct
    parts = [
        _exchange(base, result("request"), result("response"), None),
        _exchange(base, shake.field("request"), shake.field("response"), "handshake"),
    ]
    rows = pl.concat(parts).filter(pl.col("is_told")).sort("row", maintain_order=True)
    return rows.with_columns(exchange_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row"), step_index=pl.lit(-1, dtype=pl.Int64)).drop(
        "row", "is_told"
    )


def _exchange(base: pl.DataFrame, request: pl.Expr, response: pl.Expr, kind: str | None) -> pl.DataFrame:
    told = base.select(*KEEP, resolved_ip=result("resolved_ip"), request=request, response=response)
    request, response = pl.col("request"), pl.col("response")
    sent, got = request.struct.field, response.struct.field
    return told.select(
        *KEEP,
        pl.coalesce(sent("method"), sent("call_type")).alias("method"),
        pl.coalesce(sent("url"), sent("host")).alias("url"),
        got("status_code").cast(pl.Int64, strict=False).alias("status_code"),
        sent("host").alias("host"),
        plain(sent("port")).cast(pl.Int64, strict=False).alias("port"),
        "resolved_ip",
        got("healthcheck").struct.field("status").alias("grpc_health_status"),
        sent("headers").alias("request_headers"),
        got("headers").alias("response_headers"),
        got("body").alias("response_body"),
        got("body_size").cast(pl.Int64, strict=False).alias("response_bytes"),
        json_object(
            {
                "kind": quoted(pl.lit(kind, dtype=pl.String)),
                "request": as_json(request, _REQUEST_TAIL),
                "response": as_json(response, _RESPONSE_TAIL),
            }
        ).alias("attributes"),
        (request.is_not_null() | response.is_not_null()).alias("is_told"),
    )


def certificate_rows(base: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.certificates`."""
    certificates = base.filter(result("cert").is_not_null()).select(
        "entity_id", "result_key", cert=result("cert"), handshake=inner(result("timings"), "$.handshake")
    )
    field = pl.col("cert").struct.field
    return certificates.select(
        "entity_id",
        "result_key",
        inner(field("subject"), "$.CN").alias("subject_cn"),
        inner(field("issuer"), "$.CN").alias("issuer_cn"),
        from_epoch_ms(field("valid").struct.field("from")).alias("valid_from_at"),
        from_epoch_ms(field("valid").struct.field("to")).alias("valid_to_at"),
        *(field(name) for name in ("fingerprint", "serial_number", "cipher", "protocol")),
        alt_names(inner(field("subject"), "$.altName")).alias("alt_names"),
        non_negative(pl.col("handshake").cast(pl.Float64, strict=False)).alias("handshake_ms"),
        as_json(pl.col("cert"), _CERTIFICATE_TAIL).alias("attributes"),
    )


def hop_rows(base: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.hops`: the traceroute, then the network path. A hop's address is its first router's, where it names one."""
    rows = pl.concat([_traceroute(base), _netpath(base)], how="diagonal").sort("row", "trace", "hop_index")
    return rows.with_columns(trace_index=pl.col("trace").rank("dense").over("row").cast(pl.Int64) - 1).drop("row", "trace")


def _traceroute(base: pl.DataFrame) -> pl.DataFrame:
    hops = explode_indexed(base.select(*KEEP, "step_index", hop=result("traceroute")), "hop", "hop_index")
    hop = pl.col("hop").struct.field
    router = hop("routers").list.first().struct.field
    return hops.filter(pl.col("hop").is_not_null()).select(
        *KEEP,
        "step_index",
        "hop_index",
        pl.lit(0).alias("trace"),
        pl.coalesce(router("resolved_host"), hop("host")).alias("host"),
        pl.coalesce(router("ip"), hop("resolved_ip")).alias("ip"),
        (hop("packets_received") > 0).alias("is_reachable"),
        *_statistics(pl.col("hop")),
        json_object({"kind": pl.lit('"traceroute"'), **_members(pl.col("hop"))}).alias("attributes"),
    )


def _netpath(base: pl.DataFrame) -> pl.DataFrame:
    hops = explode_indexed(base.select(*KEEP, "step_index", hop=result("netpath").struct.field("hops")), "hop", "hop_index")
    hop = pl.col("hop").struct.field
    return hops.filter(pl.col("hop").is_not_null()).select(
        *KEEP,
        "step_index",
        "hop_index",
        pl.lit(1).alias("trace"),
        hop("ttl").cast(pl.Int64, strict=False).alias("hop_number"),
        hop("hostname").alias("host"),
        hop("ip_address").alias("ip"),
        hop("reachable").alias("is_reachable"),
        non_negative(hop("rtt")).alias("rtt_avg_ms"),
        pl.lit('{"kind":"netpath"}').alias("attributes"),
    )


def _statistics(probe: pl.Expr) -> list[pl.Expr]:
    field, latency = probe.struct.field, probe.struct.field("latency").struct.field
    values = (
        field("packets_sent").cast(pl.Int64, strict=False),
        field("packets_received").cast(pl.Int64, strict=False),
        field("packet_loss_percentage"),
        *(non_negative(latency(name)) for name in ("avg", "min", "max")),
    )
    return [value.alias(name) for name, value in zip(_STATISTICS, values, strict=True)]


def _members(probe: pl.Expr) -> dict[str, pl.Expr]:
    return {name: as_json(probe.struct.field(name), tree) for name, tree in _PROBE_TAIL.items()}


def ping_rows(base: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.pings`: the netstats, then the ping (`kind` in attributes)."""
    netstats, ping = result("netstats"), result("ping")
    parts = [
        base.filter(netstats.is_not_null()).select(
            *KEEP,
            "step_index",
            *_statistics(netstats),
            non_negative(netstats.struct.field("jitter")).alias("jitter_ms"),
            json_object({"kind": pl.lit('"netstats"'), "hops": as_json(netstats.struct.field("hops"), NETSTATS["hops"])}).alias(
                "attributes"
            ),
        ),
        base.filter(ping.is_not_null()).select(
            *KEEP,
            "step_index",
            *_statistics(ping),
            json_object({"kind": pl.lit('"ping"'), **_members(ping)}).alias("attributes"),
        ),
    ]
    rows = pl.concat(parts, how="diagonal").sort("row", maintain_order=True)
    return rows.with_columns(ping_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row")).drop("row")


def dns_rows(base: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.dns_records`: attempts of the resolution, then the records that the response holds."""
    resolution, request = result("dns_resolution").struct.field, result("request").struct.field
    attempts = explode_indexed(base.select(*KEEP, "step_index", told=resolution("attempts")), "told", "place")
    records = explode_indexed(
        base.select(
            *KEEP,
            "step_index",
            server=pl.coalesce(resolution("server"), request("dns_server")),
            name=request("host"),
            told=result("response").struct.field("records"),
        ),
        "told",
        "place",
    )
    values = pl.col("told").struct.field("values")
    listed = json_list(values.list.eval(quoted(pl.element())))
    parts = [
        attempts.filter(pl.col("told").is_not_null()).select(
            *KEEP,
            "step_index",
            kind=pl.lit("attempt"),
            server=inner(pl.col("told"), "$.server"),
            attributes="told",
        ),
        records.filter(pl.col("told").is_not_null()).select(
            *KEEP,
            "step_index",
            kind=pl.lit("answer"),
            server="server",
            name="name",
            record_type=pl.col("told").struct.field("type"),
            value=pl.when(values.list.len() > 1).then(listed).otherwise(values.list.first()),
        ),
    ]
    rows = pl.concat(parts, how="diagonal").sort("row", maintain_order=True)
    return rows.with_columns(record_index=pl.int_range(pl.len(), dtype=pl.Int64).over("row")).drop("row")
