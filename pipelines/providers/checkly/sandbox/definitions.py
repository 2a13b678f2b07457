"""An element of GET /v1/checks: the definition of a scheduled check, as its type has it.

Field names, enums and nullability: OpenAPI of 2026-08-18. Secrets are planted where an account would have them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pipelines.providers.checkly.sandbox import planted
from pipelines.providers.checkly.sandbox.monitors import Monitor, check_id
from pipelines.providers.checkly.sandbox.run import JSON, iso
from pipelines.sandbox.world import World

CHANGED_AFTER = timedelta(hours=2)
"""The cart's check is tightened so long after the world's start: the second version of a definition."""


def definition(world: World, monitor: Monitor) -> JSON:
    """The definition as the world's now has it."""
    check = monitor.check
    created_at = world.started_at - timedelta(days=200)
    changed_at = world.started_at + CHANGED_AFTER
    is_changed = check.key == "cart" and world.now >= changed_at
    made: JSON = {
        "id": check_id(world, check),
        "name": check.name,
        "checkType": check.type,
        "activated": monitor.is_active,
        "muted": monitor.is_muted,
        "locations": list(monitor.locations),
        "privateLocations": [],
        "tags": ["shop", check.type.lower()],
        "alertSettings": {
            "escalationType": "RUN_BASED",
            "reminders": {"amount": 0, "interval": 5},
            "runBasedEscalation": {"failedRunThreshold": 1},
            "parallelRunFailureThreshold": {"enabled": False, "percentage": 10},
        },
        "useGlobalAlertSettings": False,
        "groupId": None,
        "groupOrder": None,
        "alertChannelSubscriptions": [{"alertChannelId": 4711, "activated": True}],
        "alertChannels": _alert_channels() if check.key == "cart" else None,
        "triggerIncident": None,
        "runParallel": False,
        "description": f"Watches {check.url}",
        "intent": None,
        "aiAutoRepairEnabled": None,
        "project": None,
        "logicalId": None,
        "member": None,
        "pending": None,
        "projectBindings": {"owner": None, "references": []},
        "created_at": iso(created_at),
        "updated_at": iso(changed_at) if is_changed else None,
    }
    if check.type != "HEARTBEAT":
        made |= {"frequency": monitor.minutes}
    if check.type not in ("HEARTBEAT", "PLAYWRIGHT"):
        made |= {"doubleCheck": True, "shouldFail": False, "runtimeId": None, "retryStrategy": _RETRY}
    return made | _OWN[check.type](monitor) | ({"degradedResponseTime": 3000} if is_changed else {})


_RETRY: JSON = {"type": "SINGLE_RETRY", "baseBackoffSeconds": 60, "sameRegion": True}
_VARIABLES: list[JSON] = [{"key": "PROBE_PASSWORD", "value": planted.CHECK_VARIABLE, "locked": True, "secret": False}]


def _alert_channels() -> JSON:
    return {
        "email": [{"address": "oncall@shop.example.com"}],
        "webhook": [],
        "slack": [{"url": f"https://hooks.slack.com/services/{planted.SLACK_PATH}"}],
        "sms": [],
    }


def _protocol(monitor: Monitor, request: JSON) -> JSON:
    return {"frequencyOffset": monitor.offset_s, "degradedResponseTime": 5000, "maxResponseTime": 20000, "request": request}


def _asserted(source: str, comparison: str, target: str, prop: str = "") -> JSON:
    return {"source": source, "comparison": comparison, "property": prop, "target": target, "regex": None}


def _api(monitor: Monitor) -> JSON:
    request: JSON = {
        "method": monitor.check.method,
        "url": monitor.check.url,
        "followRedirects": True,
        "skipSSL": False,
        "body": "",
        "bodyType": "NONE",
        "headers": [
            {"key": "accept", "value": "application/json", "locked": False},
            {"key": "Authorization", "value": f"Bearer {planted.BEARER}", "locked": True},
        ],
        "queryParameters": [{"key": "api_key", "value": planted.QUERY_KEY, "locked": True}],
        "basicAuth": {"username": "probe", "password": planted.CHECK_PASSWORD},
        "ipFamily": "IPv4",
        "assertions": [_asserted("STATUS_CODE", "EQUALS", "200"), _asserted("RESPONSE_TIME", "LESS_THAN", "10000")],
    }
    return _protocol(monitor, request) | {
        "localSetupScript": f"request.headers['x-probe'] = '1'\nlogin('probe', password='{planted.SCRIPT_PASSWORD}')",
        "localTearDownScript": None,
        "setupSnippetId": None,
        "tearDownSnippetId": None,
    }


def _url(monitor: Monitor) -> JSON:
    request = {"method": "GET", "url": monitor.check.url, "followRedirects": True, "skipSSL": False, "ipFamily": "IPv4"}
    return _protocol(monitor, request | {"assertions": [_asserted("STATUS_CODE", "EQUALS", "200")]})


def _scripted(monitor: Monitor) -> JSON:
    script = (
        "const { test, expect } = require('@playwright/test')\n"
        f"test('{monitor.check.name}', async ({{ page }}) => {{\n"
        f"  await page.goto('{monitor.check.url}')\n"
        f"  await page.fill('#password', '{planted.SCRIPT_PASSWORD}')\n"
        "})\n"
    )
    return {"script": script, "environmentVariables": _VARIABLES, "runtimeId": "2025.04"}


def _browser(monitor: Monitor) -> JSON:
    return _scripted(monitor) | {"sslCheckDomain": None}


def _playwright(monitor: Monitor) -> JSON:
    return {
        "playwrightVersion": "1.49.0",
        "workingDir": None,
        "testCommand": "npx playwright test --grep visual",
        "installCommand": "npm ci",
        "browsers": ["chromium"],
        "environmentVariables": _VARIABLES,
        "codeBundlePath": f"bundles/{monitor.check.key}.tar.gz",
        "cacheHash": None,
        "engine": "node",
        "engineVersion": None,
    }


def _agentic(monitor: Monitor) -> JSON:
    return {"script": None, "scriptPath": None, "environmentVariables": _VARIABLES}


def _tcp(monitor: Monitor) -> JSON:
    host, _, port = monitor.check.url.partition(":")
    asserted = [_asserted("RESPONSE_TIME", "LESS_THAN", "5000")]
    return _protocol(monitor, {"hostname": host, "port": int(port), "ipFamily": "IPv4", "data": None, "assertions": asserted})


def _dns(monitor: Monitor) -> JSON:
    asserted = [_asserted("RESPONSE_CODE", "EQUALS", "NOERROR")]
    request = {"query": monitor.check.url, "recordType": "A", "nameServer": "", "protocol": "UDP", "assertions": asserted}
    return _protocol(monitor, request)


def _icmp(monitor: Monitor) -> JSON:
    asserted = [_asserted("LATENCY", "LESS_THAN", "200", "avg")]
    request = {"hostname": monitor.check.url, "ipFamily": "IPv4", "pingCount": 10, "assertions": asserted}
    limits = {"degradedPacketLossThreshold": 10, "maxPacketLossThreshold": 30}
    return {"frequencyOffset": monitor.offset_s, "request": request, **limits}


def _heartbeat(monitor: Monitor) -> JSON:
    url = f"https://ping.checklyhq.com/{planted.PING_TOKEN}"
    period = {"period": 1, "periodUnit": "days", "grace": 30, "graceUnit": "minutes"}
    return {"heartbeat": {**period, "pingToken": planted.PING_TOKEN, "pingUrl": url}}


def _ssl(monitor: Monitor) -> JSON:
    rules = ("weakSignatureAlgorithm", "weakCipherSuite", "knownBadCA", "ocspMustStapleRespected", "sctPresent")
    baseline: JSON = {"enabled": True, **{rule: {"severity": "fail"} for rule in rules}}
    for rule in ("minTLSVersion", "recommendedTLSVersion"):
        baseline[rule] = {"value": "TLS1.2", "severity": "fail"}
    for rule in ("minKeySizeBits", "recommendedKeySizeBits"):
        baseline[rule] = {"value": 2048, "severity": "degrade"}
    config = {
        "hostname": monitor.check.url,
        "port": 443,
        "serverName": monitor.check.url,
        "ipFamily": "IPv4",
        "handshakeTimeoutMs": 10000,
        "alertDaysBeforeExpiry": 14,
        "skipChainValidation": False,
        "clientCertificateMode": "auto",
        "securityBaseline": baseline,
    }
    asserted = [_asserted("CERTIFICATE", "GREATER_THAN", "14", "daysUntilExpiry")]
    return _protocol(monitor, {"sslConfig": config, "sslClientCertificateId": None, "assertions": asserted})


def _grpc(monitor: Monitor) -> JSON:
    host, _, port = monitor.check.url.partition(":")
    config = {
        "mode": "HEALTH",
        "serviceDefinition": "REFLECTION",
        "encoding": "PROTOBUF",
        "service": "",
        "method": "",
        "message": "",
        "metadata": [{"key": "authorization", "value": f"Bearer {planted.GRPC_TOKEN}"}],
        "protoContent": "",
        "tls": True,
    }
    asserted = [_asserted("GRPC_STATUS_CODE", "EQUALS", "0"), _asserted("GRPC_HEALTHCHECK_STATUS", "EQUALS", "SERVING")]
    request = {"url": host, "port": int(port), "ipFamily": "IPv4", "skipSSL": False, "timeout": 10, "grpcConfig": config}
    return _protocol(monitor, request | {"assertions": asserted})


def _traceroute(monitor: Monitor) -> JSON:
    asserted = [_asserted("HOP_COUNT", "LESS_THAN", "20")]
    request = {"url": monitor.check.url, "protocol": "TCP", "port": 443, "ipFamily": "IPv4", "maxHops": 30, "maxUnknownHops": 15}
    return _protocol(monitor, request | {"ptrLookup": True, "timeout": 10, "assertions": asserted})


_OWN: dict[str, Callable[[Monitor], JSON]] = {
    "API": _api,
    "URL": _url,
    "BROWSER": _browser,
    "MULTI_STEP": _scripted,
    "PLAYWRIGHT": _playwright,
    "AGENTIC": _agentic,
    "TCP": _tcp,
    "DNS": _dns,
    "ICMP": _icmp,
    "HEARTBEAT": _heartbeat,
    "SSL": _ssl,
    "GRPC": _grpc,
    "TRACEROUTE": _traceroute,
}
