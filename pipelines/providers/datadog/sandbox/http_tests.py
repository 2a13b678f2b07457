"""The made-up HTTP tests: all eight assertion forms and every kind of authentication. Other subtypes: `network_tests`.

Assertion types, operators and authentication fields are those of the document "Get an API test result" (v1) and of
the v1 OpenAPI; the single-assertion shapes were checked against recorded definitions (2020-2026).
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from pipelines.providers.datadog.sandbox import planted
from pipelines.providers.datadog.sandbox.specs import (
    DAY_S,
    DUBLIN,
    FRANKFURT,
    HOUR_S,
    MONTREAL,
    N_VIRGINIA,
    OREGON,
    PRIVATE,
    SYDNEY,
    TOKYO,
    Json,
    Spec,
)

API = "https://api.shop.example.com"
CERTIFICATE: Json = {
    "cert": {
        "content": f"-----BEGIN CERTIFICATE-----\n{planted.CERT_CONTENT}\n-----END CERTIFICATE-----",
        "filename": "client.pem",
        "updatedAt": "2026-01-16T09:23:24.857Z",
    },
    "key": {
        "content": f"-----BEGIN PRIVATE KEY-----\n{planted.KEY_CONTENT}\n-----END PRIVATE KEY-----",
        "filename": "client.key",
        "updatedAt": "2026-01-16T09:23:24.857Z",
    },
}
MCP_ASSERTIONS: list[Json] = [
    {"operator": "contains", "target": ["tools", "resources"], "type": "mcpServerCapabilities"},
    {"type": "mcpRespectsSpecification"},
]
ORDER_SCHEMA = json.dumps({"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "minItems": 1}}})


def assertion(kind: str, target: object, operator: str = "is", **more: object) -> Json:
    """An assertion with a simple target (the document's Option 1)."""
    return {"operator": operator, "target": target, "type": kind, **more}


def faster(limit_ms: int, **more: object) -> Json:
    """The assertion that the response time stays below `limit_ms`."""
    return assertion("responseTime", limit_ms, "lessThan", **more)


def config(request: Json, assertions: list[Json], variables: list[Json] | None = None) -> Json:
    """A `config` of a single API test."""
    return {"assertions": assertions, "configVariables": variables or [], "request": request}


def _get(path: str, **more: object) -> Json:
    return {"method": "GET", "timeout": 30, "url": f"{API}{path}", **more}


def _http() -> list[Spec]:
    health = [
        assertion("statusCode", 200),
        assertion("header", "application/json", "contains", property="content-type"),
    ]
    health_request = _get("/v2/health", headers={"Accept": "application/json", "X-Api-Key": planted.API_KEY_HEADER})
    login = config(
        {
            "method": "POST",
            "timeout": 20,
            "url": f"{API}/v2/login",
            "body": json.dumps({"email": "probe@shop.example.com", "password": planted.BODY_PASSWORD}),
            "bodyType": "application/json",
            "headers": {"Content-Type": "application/json", "Cookie": f"sid={planted.REQUEST_COOKIE}"},
            "basicAuth": {"password": planted.WEB_PASSWORD, "type": "web", "username": "probe"},
        },
        [
            assertion("statusCode", 200),
            {
                "operator": "validatesJSONPath",
                "target": {
                    "elementsOperator": "firstElementMatches",
                    "jsonPath": "$.user.roles[*]",
                    "operator": "is",
                    "targetValue": "shopper",
                },
                "type": "body",
            },
            {
                "operator": "validatesJSONPath",
                "target": {"jsonPath": "$.user.age", "operator": "moreThan", "targetValue": 17.5},
                "type": "body",
            },
            faster(1500),
        ],
        [
            {
                "name": "LOGIN_PASSWORD",
                "type": "text",
                "secure": True,
                "example": planted.VARIABLE_EXAMPLE,
                "pattern": planted.VARIABLE_PATTERN,
            },
            {"id": "31f5519b-a3d6-4fcf-9b03-32256d5764b8", "name": "SHOP_REGION", "type": "global"},
        ],
    )
    orders = config(
        _get(
            "/v2/orders",
            query={"api_key": planted.QUERY_API_KEY, "page": "1"},
            basicAuth={"password": planted.DIGEST_PASSWORD, "type": "digest", "username": "orders-probe"},
            httpVersion="http2",
        ),
        [
            assertion("statusCode", 200),
            {
                "operator": "validatesJSONSchema",
                "target": {"jsonSchema": ORDER_SCHEMA, "metaSchema": "draft-07"},
                "type": "body",
            },
            faster(2000, timingsScope="withoutDNS"),
        ],
    )
    feed = config(
        _get(
            f"/feeds/products.xml?token={planted.URL_TOKEN}",
            basicAuth={
                "domain": "SHOP",
                "password": planted.NTLM_PASSWORD,
                "type": "ntlm",
                "username": "feed-probe",
                "workstation": "PROBE-1",
            },
        ),
        [
            assertion("statusCode", 200),
            {
                "operator": "validatesXPath",
                "target": {"operator": "contains", "targetValue": "12", "xPath": "/catalogue/@count"},
                "type": "body",
            },
            assertion("header", "text/xml", "contains", property="content-type"),
        ],
    )
    archive = config(
        _get(
            "/exports/latest.bin",
            noSavingResponseBody=True,
            basicAuth={
                "accessKey": planted.SIGV4_ACCESS_KEY,
                "region": "eu-central-1",
                "secretKey": planted.SIGV4_SECRET_KEY,
                "serviceName": "execute-api",
                "sessionToken": planted.SIGV4_SESSION_TOKEN,
                "type": "sigv4",
            },
        ),
        [{"operator": name, "target": hashlib.new(name, b"export").hexdigest(), "type": "bodyHash"} for name in ("md5", "sha1", "sha256")],
    )
    oauth = {
        "accessTokenUrl": "https://login.shop.example.com/oauth/token",
        "audience": "https://api.shop.example.com",
        "clientId": "synthetics-probe",
        "resource": "payments",
        "scope": "payments:read",
    }
    payments = config(
        _get(
            "/v2/payments",
            basicAuth={
                **oauth,
                "clientSecret": planted.OAUTH_CLIENT_SECRET,
                "tokenApiAuthentication": "header",
                "type": "oauth-client",
            },
        ),
        [
            assertion("statusCode", 200),
            {
                "code": "dd.expect(dd.response.statusCode).to.equal(200);\n"
                "dd.expect(JSON.parse(dd.response.body).items.length).to.be.above(0);",
                "type": "javascript",
            },
        ],
    )
    refunds = config(
        _get(
            "/v2/refunds",
            basicAuth={
                **oauth,
                "clientSecret": planted.OAUTH_ROP_SECRET,
                "password": planted.OAUTH_ROP_PASSWORD,
                "tokenApiAuthentication": "body",
                "type": "oauth-rop",
                "username": "refund-probe",
            },
        ),
        [assertion("statusCode", "2\\d\\d", "matches"), assertion("body", "error", "doesNotContain"), faster(2500)],
    )
    partner = config(
        _get(
            "/partner/stock",
            certificate=CERTIFICATE,
            certificateDomains=["https://api.shop.example.com"],
            persistCookies=True,
            headers={"Authorization": f"Bearer {planted.REQUEST_BEARER}"},
            proxy={
                "headers": {"Proxy-Authorization": f"Basic {planted.PROXY_AUTHORIZATION}"},
                "url": f"http://probe:{planted.PROXY_URL_PASSWORD}@proxy.shop.example.com:3128",
            },
        ),
        [
            assertion("statusCode", 200),
            assertion("header", "no-store", property="cache-control"),
            assertion("statusCode", 500, "lessThan"),
        ],
    )
    upload = config(
        {
            "method": "POST",
            "timeout": 60,
            "url": f"{API}/v2/reviews/photos",
            "bodyType": "multipart/form-data",
            "form": {"review": "4711"},
            "files": [
                {
                    "content": planted.FILE_CONTENT,
                    "encoding": "base64",
                    "name": "photo",
                    "originalFileName": "photo.jpg",
                    "size": 28,
                    "type": "image/jpeg",
                }
            ],
        },
        [assertion("statusCode", 201), assertion("body", "stored", "contains")],
    )
    inventory = config(
        {
            "method": "GET",
            "timeout": 15,
            "url": "http://inventory.berlin.internal:8080/status",
            "basicAuth": {
                "addClaims": {"exp": True, "iat": True},
                "algorithm": "HS256",
                "expiresIn": 300,
                "payload": '{"sub":"synthetics"}',
                "secret": planted.JWT_SECRET,
                "type": "jwt",
            },
        },
        [assertion("statusCode", 200), faster(900)],
    )
    mcp = config(
        {
            "callType": "init",
            "mcpProtocolVersion": "2025-06-18",
            "timeout": 30,
            "url": "https://mcp.shop.example.com/mcp",
            "toolName": "search",
            "toolArgs": {"query": "boots", "limit": 5, "api_key": planted.TOOL_ARG_API_KEY},
        },
        [*MCP_ASSERTIONS, faster(3000)],
    )
    slow = ("slow", "assertion")
    return [
        Spec(
            "health", "Shop API health", "http", config(health_request, [*health, faster(800)]),
            (N_VIRGINIA, OREGON, FRANKFURT, DUBLIN, TOKYO, SYDNEY, MONTREAL), HOUR_S,
            tags=("env:prod", "team:platform", "service:shop-api"), message="Health is failing @slack-platform",
            typical_ms=140, fail_share=0.012, flaky_share=0.02, failures=("assertion", "slow", "timeout", "dns"),
            script=("pass", "flaky", "slow", "pass", "assertion", "connrefused"),
            edits=(
                (timedelta(hours=-20), config(health_request, [*health, faster(600)])),
                (timedelta(hours=2), config(health_request, [*health, faster(700)])),
            ),
            has_late=True, triggered_per_day=2, in_flight=("scheduled",), life="recent",
        ),
        Spec(
            "login", "Log in with password", "http", login, (N_VIRGINIA, FRANKFURT), 6 * HOUR_S,
            tags=("env:prod", "team:identity"), typical_ms=320, fail_share=0.08, flaky_share=0.2,
            failures=("assertion", "timeout"), script=("flaky", "assertion", "pass", "flaky"), has_late=True,
        ),
        Spec(
            "orders", "List orders", "http", orders, (OREGON, DUBLIN), DAY_S // 2, tags=("env:prod", "team:orders"),
            typical_ms=450, failures=slow, fail_share=0.1, script=("assertion", "slow", "error"),
        ),
        Spec(
            "feed", "Product feed is well formed", "http", feed, (FRANKFURT, TOKYO), DAY_S // 2,
            tags=("env:prod", "team:catalogue"), script=("dns", "assertion"), failures=("dns", "assertion"),
        ),
        Spec(
            "archive", "Nightly export is intact", "http", archive, (FRANKFURT, DUBLIN), DAY_S // 2,
            tags=("env:prod", "team:data"), typical_ms=1400, script=("assertion", "pass", "timeout"),
        ),
        Spec(
            "payments", "Payments list by OAuth", "http", payments, (N_VIRGINIA, DUBLIN), DAY_S // 2,
            tags=("env:prod", "team:payments", "pci"), script=("assertion", "error"), typical_ms=380,
        ),
        Spec(
            "refunds", "Refunds list by user password", "http", refunds, (N_VIRGINIA, DUBLIN), DAY_S // 2,
            tags=("env:staging", "team:payments"), script=("timeout", "pass"), fail_share=0.15, failures=slow,
        ),
        Spec(
            "partner", "Partner stock through proxy and client certificate", "http", partner, (FRANKFURT, MONTREAL),
            DAY_S // 2, tags=("env:prod", "team:supply"), script=("ssl", "connrefused"),
            failures=("ssl", "connrefused"),
        ),
        Spec(
            "upload", "Photo upload", "http", upload, (OREGON, SYDNEY), DAY_S, tags=("env:prod",),
            script=("pass", "timeout"), typical_ms=900, life="paused",
        ),
        Spec(
            "inventory", "Berlin inventory", "http", inventory, (PRIVATE, FRANKFURT), DAY_S // 2,
            tags=("env:prod", "site:berlin"), script=("connrefused", "pass"), failures=("connrefused", "assertion"),
        ),
        Spec(
            "mcp", "Shop MCP server answers by its protocol", "http", mcp, (N_VIRGINIA, FRANKFURT), DAY_S,
            tags=("env:beta", "team:ai"), script=("assertion", "pass"), typical_ms=600,
        ),
        Spec(
            "legacy", "Old storefront is up", "http",
            config(
                {"method": "GET", "timeout": 10.0, "url": "https://old.shop.example.com"},
                [assertion("header", "text/html", property="content-type"), faster(2000)],
            ),
            (N_VIRGINIA, FRANKFURT), DAY_S // 2, tags=("testing:api",), script=("assertion", "pass", "timeout"),
            is_legacy=True, retries=2,
        ),
        Spec(
            "newborn", "Gift cards (new)", "http", config(_get("/v2/gift-cards"), [assertion("statusCode", 200)]),
            (N_VIRGINIA, FRANKFURT), DAY_S // 2, tags=("env:prod",), life="new",
            in_flight=("not_scheduled", "scheduled", "scheduled"),
        ),
    ]  # fmt: skip


HTTP_SPECS: tuple[Spec, ...] = tuple(_http())
