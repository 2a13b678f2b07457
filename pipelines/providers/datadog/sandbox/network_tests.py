"""The made-up tests of the other API subtypes: ssl, dns, tcp, icmp, udp, websocket, grpc and multi-step.

Requests and assertion types are those of the v1 OpenAPI, their shapes checked against recorded definitions
(terraform-provider-datadog cassettes, 2021-2026). A multi-step test keeps its steps in `config.steps`; the v1 results
know nothing of them.
"""

from __future__ import annotations

import json

from pipelines.providers.datadog.sandbox import planted
from pipelines.providers.datadog.sandbox.http_tests import API, MCP_ASSERTIONS, assertion, config, faster
from pipelines.providers.datadog.sandbox.specs import (
    DAY_S,
    DUBLIN,
    FRANKFURT,
    N_VIRGINIA,
    OREGON,
    PRIVATE,
    SYDNEY,
    TOKYO,
    Json,
    Spec,
    public_id,
)


def _network() -> list[Spec]:
    ssl_options = {"accept_self_signed": False, "checkCertificateRevocation": True}

    def ssl(host: str, least_days: int) -> Json:
        return config(
            {"host": host, "port": 443, "servername": host, "timeout": 30},
            [assertion("certificate", least_days, "isInMoreThan"), assertion("tlsVersion", "1.2", "moreThanOrEqual"),
             assertion("property", host, property="subject.CN"), faster(2000)],
        )  # fmt: skip

    dns = config(
        {"dnsServer": "8.8.8.8", "dnsServerPort": 53, "host": "shop.example.com", "timeout": 10},
        [assertion("recordSome", "203.0.113.10", property="A"),
         assertion("recordEvery", "203.0.113.", "contains", property="A"),
         faster(500)],
    )  # fmt: skip
    grpc = config(
        {
            "callType": "unary",
            "host": "grpc.shop.example.com",
            "port": "{{ GRPC_PORT }}",
            "service": "shop.Stock",
            "method": "Get",
            "message": '{"sku":"B-1"}',
            "metadata": {"authorization": f"Bearer {planted.GRPC_METADATA}"},
            "compressedJsonDescriptor": "eJyrVkrLz1eyUkpKLFKqBQAhxAQ4",
            "timeout": 60,
        },
        [assertion("grpcHealthcheckStatus", 1), assertion("grpcProto", "sku", "contains"),
         assertion("grpcMetadata", "eu", property="x-region"), faster(2000)],
        [{"example": "50051", "name": "GRPC_PORT", "pattern": "50051", "type": "text"}],
    )  # fmt: skip
    websocket = config(
        {
            "url": "wss://live.shop.example.com/prices",
            "message": json.dumps({"subscribe": "prices", "token": planted.WEBSOCKET_TOKEN}),
            "isMessageBase64Encoded": False,
            "timeout": 30,
        },
        [assertion("receivedMessage", "subscribed", "contains"), faster(2000)],
    )
    return [
        Spec("ssl", "Certificate of the shop", "ssl", ssl("shop.example.com", 30), (N_VIRGINIA, FRANKFURT), DAY_S // 2,
             options=ssl_options, tags=("env:prod", "tls"), script=("pass", "ssl"), failures=("assertion",), retries=0),
        Spec("ssl-partner", "Certificate of the partner gate (expires soon)", "ssl", ssl("gate.partner.example.com", 7),
             (FRANKFURT, TOKYO), DAY_S, options=ssl_options, tags=("env:prod", "tls"), script=("assertion", "pass"),
             fail_share=0.5, failures=("assertion",), retries=0),
        Spec("dns", "shop.example.com resolves", "dns", dns, (N_VIRGINIA, SYDNEY), DAY_S // 2, tags=("env:prod",),
             typical_ms=28, script=("assertion", "dns"), failures=("assertion", "dns")),
        Spec("tcp", "Mail relay accepts connections", "tcp",
             config({"host": "mail.shop.example.com", "port": 587, "shouldTrackHops": True, "timeout": 10},
                     [assertion("networkHop", 20, "lessThan"), assertion("connection", "established"), faster(1000)]),
             (N_VIRGINIA, FRANKFURT), DAY_S, typical_ms=60, script=("connrefused", "pass"), failures=("connrefused",)),
        Spec("icmp", "Warehouse gateway answers pings", "icmp",
             config({"host": "gw.berlin.example.com", "numberOfPackets": 4, "shouldTrackHops": True},
                     [assertion("latency", 200, "lessThan", property="avg"),
                      assertion("packetLossPercentage", 0.5, "lessThanOrEqual"),
                      assertion("packetsReceived", 2, "moreThanOrEqual")]),
             (PRIVATE, FRANKFURT), DAY_S, typical_ms=40, script=("assertion", "timeout")),
        Spec("udp", "Syslog sink echoes", "udp",
             config({"host": "log.shop.example.com", "port": "514", "message": "probe", "timeout": 5},
                     [assertion("receivedMessage", "probe"), faster(800)]),
             (OREGON, FRANKFURT), DAY_S, typical_ms=70, script=("pass", "timeout")),
        Spec("websocket", "Live prices stream", "websocket", websocket, (N_VIRGINIA, FRANKFURT), DAY_S,
             script=("assertion", "pass"), typical_ms=210),
        Spec("grpc", "Stock service by gRPC", "grpc", grpc, (DUBLIN, FRANKFURT), DAY_S, script=("pass", "assertion"),
             typical_ms=95),
        Spec("multi", "Buy in three calls, then ask the assistant", "multi", _multi(), (N_VIRGINIA, FRANKFURT),
             DAY_S // 2, tags=("env:prod", "journey:buy"), typical_ms=1900, script=("pass", "assertion", "timeout"),
             fail_share=0.1, triggered_per_day=1, in_flight=("scheduled",)),
    ]  # fmt: skip


def _multi() -> Json:
    def step(name: str, subtype: str, request: Json, assertions: list[Json]) -> Json:
        return {
            "allowFailure": False,
            "assertions": assertions,
            "exitIfSucceed": False,
            "extractedValues": [],
            "id": public_id(f"step {name}"),
            "isCritical": True,
            "name": name,
            "request": {"allow_insecure": False, "timeout": 30, **request},
            "retry": {"count": 0, "interval": 300},
            "subtype": subtype,
        }

    bearer = {"Authorization": f"Bearer {planted.STEP_BEARER}"}
    mcp = {"mcpProtocolVersion": "2025-06-18", "url": "https://mcp.shop.example.com/mcp"}
    return {
        "assertions": [],
        "configVariables": [],
        "steps": [
            step("Put in the basket", "http", {"method": "POST", "url": f"{API}/v2/basket", "headers": bearer},
                 [assertion("statusCode", 201)]),
            step("Pay", "http", {"method": "POST", "url": f"{API}/v2/pay", "headers": bearer},
                 [assertion("statusCode", 200)]),
            step("Assistant is there", "mcp", {"callType": "init", **mcp}, MCP_ASSERTIONS),
            step("Assistant finds boots", "mcp",
                 {"callType": "tool_call", "toolName": "search", "toolArgs": {"query": "boots"}, **mcp},
                 [assertion("mcpToolCount", 3, "moreThanOrEqual")]),
        ],
    }  # fmt: skip


NETWORK_SPECS: tuple[Spec, ...] = tuple(_network())
