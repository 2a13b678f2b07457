"""What SSL, gRPC and traceroute blocks add below a Checkly result: certificate, exchange, hops, ping; and why they failed.

Their verdicts stand twice, at the block and in its `response`: typed columns take the response's and fall back on the block's, which
also stays in the result's `attributes`. Sources of the shapes: `leaves_probes`. Pure polars.
"""

from __future__ import annotations

import polars as pl

from pipelines.providers.checkly.flatten_common import (
    KEYS,
    WHOLE,
    elements,
    first_number,
    first_text,
    is_object,
    told,
    whole_number,
    with_paths,
)
from pipelines.providers.checkly.leaves import BLOCKS
from pipelines.schemas.leaves import Tree
from pipelines.transform.expressions import as_json, from_iso, inner, json_object, non_negative, plain, said

PROBES: dict[str, dict[str, Tree]] = {name: BLOCKS[name] for name in ("sslCheckResult", "grpcCheckResult", "tracerouteCheckResult")}
"""Blocks that only check results document."""

_SSL, _GRPC, _ROUTE = (pl.col(name).struct for name in PROBES)
_SSL_RESPONSE, _GRPC_RESPONSE, _ROUTE_RESPONSE = (block.field("response").struct for block in (_SSL, _GRPC, _ROUTE))

_HOST = r"^(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/@?#]*@)?(\[[^\]]*\]|[^/:?#]+)"


def resolved_ip() -> pl.Expr:
    """The address that was probed; a result has one block."""
    return pl.coalesce(said(response.field("resolvedIp")) for response in (_SSL_RESPONSE, _GRPC_RESPONSE, _ROUTE_RESPONSE))


def failure_code() -> pl.Expr:
    """SSL's category; of what has not passed, gRPC's status unless it is 0 (OK), or why a traceroute ended before its destination."""
    status = pl.when(_grpc_status() != 0).then(_grpc_status().cast(pl.String))
    return pl.coalesce(said(_SSL.field("failureCategory")), pl.when(_may_have_failed()).then(pl.coalesce(status, _truncation())))


def reasons() -> dict[str, pl.Expr]:
    """Origin -> what a block says went wrong where no request error does: the texts of `core.errors` and `failure_message`."""
    chain = pl.coalesce(said(_SSL_RESPONSE.field(name)) for name in ("chainTrustDetail", "chainTrustReason"))
    category = said(_SSL.field("failureCategory"))
    return {
        "ssl": pl.when(category.is_not_null()).then(pl.coalesce(chain, category)),
        "grpc": pl.when(_may_have_failed() & (_grpc_status() != 0)).then(said(_GRPC_RESPONSE.field("grpcStatusMessage"))),
        "traceroute": pl.when(_may_have_failed()).then(_truncation()),
    }


def _may_have_failed() -> pl.Expr:
    """False only where the result says that it passed: an assertion may expect another status than OK, or no arrival."""
    return (pl.col("hasErrors") | pl.col("hasFailures")).fill_null(value=True)


def certificates(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.certificates`: what an SSL check saw, also where the handshake gave no certificate.

    `attributes` is the response without what has a column: the certificate whole, its chain, OCSP, the security baseline.
    """
    leaf = _SSL_RESPONSE.field("certificate")
    sans = inner(leaf, "$.sans")
    facts = {
        "cipher": _either("cipherSuite", "cipherSuite"),
        "protocol": _either("protocol", "tlsVersion"),
        "is_chain_trusted": _either("chainTrusted", "chainTrusted"),
        "is_hostname_verified": _either("hostnameVerified", "hostnameVerified"),
        "handshake_ms": non_negative(
            pl.coalesce(_SSL_RESPONSE.field("handshakeTimeMs"), first_number(inner(_SSL.field("handshakeTimeMs"), "$")))
        ),
    }
    rest = _rest("sslCheckResult", "resolvedIp", "protocol", "cipherSuite", "handshakeTimeMs", "hostnameVerified", "chainTrusted")
    return opened.filter(pl.any_horizontal(leaf.is_not_null(), *(fact.is_not_null() for fact in facts.values()))).select(
        *KEYS,
        inner(leaf, "$.subjectCN").alias("subject_cn"),
        pl.coalesce(inner(leaf, "$.issuerCN"), inner(leaf, "$.issuer")).alias("issuer_cn"),
        from_iso(inner(leaf, "$.notBefore")).alias("valid_from_at"),
        from_iso(inner(leaf, "$.notAfter")).alias("valid_to_at"),
        inner(leaf, "$.fingerprintSha256").alias("fingerprint"),
        inner(leaf, "$.serialNumber").alias("serial_number"),
        pl.when(sans.str.starts_with("[")).then(sans).alias("alt_names"),
        *(fact.alias(name) for name, fact in facts.items()),
        json_object(rest).alias("attributes"),
    )


def exchanges(opened: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows of `core.exchanges`: whom each probe asked; gRPC also what was called and answered.

    `attributes` has the `request` whole and what the response says beyond a column.
    """
    numbers = [plain(fields.field("healthStatus").cast(pl.String)) for fields in (_GRPC_RESPONSE, _GRPC)]
    grpc = {
        "method": said(_GRPC_RESPONSE.field("grpcMethod")),
        "grpc_status_code": _grpc_status(),
        "grpc_health_status": pl.coalesce(said(_GRPC_RESPONSE.field("healthStatusLabel")), *numbers),
        "response_headers": _GRPC_RESPONSE.field("metadata"),
        "response_body": said(_GRPC_RESPONSE.field("responseMessage")),
    } | _rest_column("grpcCheckResult", "host", "resolvedIp", "port", "grpcMethod", "responseMessage", "grpcStatusCode",
                     "healthStatusLabel", "metadata", "requestError", "timingPhases")  # fmt: skip
    route = _rest_column("tracerouteCheckResult", "hostname", "resolvedIp", "finalHopLatency", "hops")
    return [
        _asked(opened, "sslCheckResult", None, {"attributes": json_object({"request": _SSL.field("request")})}),
        _asked(opened, "grpcCheckResult", said(_GRPC_RESPONSE.field("host")), grpc),
        _asked(opened, "tracerouteCheckResult", said(_ROUTE_RESPONSE.field("hostname")), route),
    ]


def _asked(opened: pl.DataFrame, block: str, host: pl.Expr | None, own: dict[str, pl.Expr]) -> pl.DataFrame:
    request, response = pl.col(block).struct.field("request"), pl.col(block).struct.field("response")
    url = said(inner(request, "$.url"))
    hosts = [said(inner(request, "$.hostname")), url.str.extract(_HOST)]
    ports = [inner(request, "$.port").cast(pl.Float64, strict=False)]
    if block == "grpcCheckResult":
        ports.insert(0, response.struct.field("port"))
    return opened.filter(request.is_not_null() | response.is_not_null()).select(
        *KEYS,
        url.alias("url"),
        pl.coalesce(hosts if host is None else [host, *hosts]).alias("host"),
        whole_number(pl.coalesce(ports)).alias("port"),
        said(response.struct.field("resolvedIp")).alias("resolved_ip"),
        *(value.alias(name) for name, value in own.items()),
    )


def hops(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.hops`: the routers of a traceroute in order; the hop stays whole in `attributes`, since its keys are not documented."""
    loss = ("$.loss_percentage", "$.lossPercent", "$.lossPercentage")
    number = ("$.hop_number", "$.hop", "$.hopNumber")
    host = ("$.main_host", "$.mainHost", "$.hostname")
    ip = ("$.main_ip", "$.address", "$.mainIp", "$.ip")
    rtt = {
        "rtt_avg_ms": ("$.rtt.avg", "$.rttMs", "$.rtt_ms", "$.avg_ms", "$.avgMs", "$.rtt"),
        "rtt_min_ms": ("$.rtt.best", "$.best_ms", "$.bestMs"),
        "rtt_max_ms": ("$.rtt.worst", "$.worst_ms", "$.worstMs"),
    }
    items = elements([told(opened, "tracerouteCheckResult", "response/hops")]).filter(is_object("item"))
    items = with_paths(items, *loss, *number, *host, *ip, "$.asn", *(path for paths in rtt.values() for path in paths))
    items = items.with_columns(packet_loss_pct=first_number(*loss))
    return items.select(
        *KEYS,
        pl.lit(0, dtype=pl.Int64).alias("trace_index"),
        pl.col("place").alias("hop_index"),
        WHOLE.alias("step_index"),
        whole_number(first_number(*number)).alias("hop_number"),
        first_text(*host).alias("host"),
        first_text(*ip).alias("ip"),
        first_text("$.asn").alias("asn"),
        pl.when(pl.col("packet_loss_pct").is_not_null())
        .then(pl.col("packet_loss_pct") < 100)
        .when(first_number(*rtt["rtt_avg_ms"]).is_not_null())
        .then(pl.lit(value=True))
        .alias("is_reachable"),
        "packet_loss_pct",
        *(non_negative(first_number(*paths)).alias(name) for name, paths in rtt.items()),
        pl.col("item").alias("attributes"),
    )


def pings(opened: pl.DataFrame) -> pl.DataFrame:
    """`core.pings`: round trips to the last hop that a traceroute reached; each number is the response's, else its block's."""
    latencies = [fields.field("finalHopLatency") for fields in (_ROUTE_RESPONSE, _ROUTE)]
    latencies = [pl.when(latency.str.starts_with("{")).then(latency) for latency in latencies]
    names = {"rtt_avg_ms": ("avg_ms", "avgMs"), "rtt_min_ms": ("best_ms", "bestMs"), "rtt_max_ms": ("worst_ms", "worstMs")}
    return opened.filter(pl.coalesce(latencies).is_not_null()).select(
        *KEYS,
        pl.lit(0, dtype=pl.Int64).alias("ping_index"),
        WHOLE.alias("step_index"),
        *(
            non_negative(first_number(*(inner(latency, f"$.{path}") for latency in latencies for path in paths))).alias(name)
            for name, paths in names.items()
        ),
        pl.coalesce(latencies).alias("attributes"),
    )


def _either(in_response: str, in_block: str) -> pl.Expr:
    """What the response of an SSL check says, else its block."""
    return pl.coalesce(_SSL_RESPONSE.field(in_response), _SSL.field(in_block))


def _grpc_status() -> pl.Expr:
    return whole_number(pl.coalesce(_GRPC_RESPONSE.field("grpcStatusCode"), first_number(inner(_GRPC.field("grpcStatusCode"), "$"))))


def _truncation() -> pl.Expr:
    reached = pl.coalesce(_ROUTE_RESPONSE.field("destinationReached"), _ROUTE.field("destinationReached"))
    return pl.when(~reached).then(said(_ROUTE_RESPONSE.field("truncationReason")))


def _rest(block: str, *typed: str) -> dict[str, pl.Expr]:
    """The leaves of a block's response that have no place elsewhere, as JSON text."""
    tree = BLOCKS[block]["response"]
    assert isinstance(tree, dict)
    response = pl.col(block).struct.field("response").struct
    return {name: as_json(response.field(name), child) for name, child in tree.items() if name not in typed}


def _rest_column(block: str, *typed: str) -> dict[str, pl.Expr]:
    return {"attributes": json_object({"request": pl.col(block).struct.field("request")} | _rest(block, *typed))}
