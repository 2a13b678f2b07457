"""What an API test's try looks like: its row in the results list and its full result. When it ran: `history`.

Facts (recorded 2020-2022 unless said otherwise): all timings are milliseconds and the phases add up to `total`; a
failed connection has `{total, dns}` only and no httpStatusCode; `expected` is a string even for numbers;
`errorMessage` of a row is null, a text, or the failed assertions as a JSON-encoded string; results of 2019-2020 have
no `passed`; `status` is the monitor's state (0 OK, 1 alert, 2 no data), not the run's outcome. The v1 API has no step
results for multi-step tests.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pipelines.providers.datadog.sandbox import planted
from pipelines.providers.datadog.sandbox.history import Try
from pipelines.providers.datadog.sandbox.specs import Json
from pipelines.sandbox.world import World

# Codes of SyntheticsApiTestFailureCode (v1 OpenAPI).
FAILURES: dict[str, tuple[str, str]] = {
    "dns": ("DNS", "Error during DNS resolution (ENOTFOUND)."),
    "timeout": ("TIMEOUT", "The request timed out after 10000 ms, before the first byte of the answer."),
    "connrefused": ("CONNREFUSED", "Connection refused (ECONNREFUSED) by 203.0.113.10:443."),
    "ssl": ("SSL", "Error during the SSL handshake: unable to verify the first certificate."),
    "error": (
        "INTERNAL_ERROR",
        f'The probe could not start: the proxy refused password "{planted.ERROR_PASSWORD}" of the location.',
    ),
}
# Which phases a subtype reports, with their usual share; the last one takes the rest.
PHASES: dict[str, dict[str, float]] = {
    "http": {"dns": 0.1, "tcp": 0.1, "ssl": 0.25, "firstByte": 0.5, "download": 0.05},
    "ssl": {"dns": 0.2, "tcp": 0.3, "handshake": 0.5},
    "dns": {"dns": 1.0},
    "tcp": {"dns": 0.3, "tcp": 0.7},
    "udp": {"dns": 0.2, "wait": 0.8},
    "websocket": {"dns": 0.1, "tcp": 0.1, "ssl": 0.3, "handshake": 0.3, "wait": 0.2},
    "grpc": {"dns": 0.1, "tcp": 0.2, "ssl": 0.3, "firstByte": 0.4},
}
CERTIFICATE_DAYS = {"ssl": 200, "ssl-partner": 16}  # left at the world's start
GOOD: dict[str, Any] = {
    "body": "stored: ok",
    "tlsVersion": "1.3",
    "recordSome": "203.0.113.10",
    "recordEvery": "203.0.113.10",
    "networkHop": 11,
    "connection": "established",
    "latency": 23.4,
    "packetLossPercentage": 0,
    "packetsReceived": 4,
    "grpcProto": '{"sku":"B-1","left":12}',
    "mcpServerCapabilities": ["tools", "resources", "prompts"],
    "mcpRespectsSpecification": True,
    "jitter": 1.4,
    "multiNetworkHop": 9,
}
BAD: dict[str, Any] = {
    "body": "error: upstream answered nothing",
    "header": "text/html; charset=utf-8",
    "tlsVersion": "1.1",
    "property": "default.invalid",
    "recordSome": "198.51.100.77",
    "recordEvery": "198.51.100.77",
    "networkHop": 31,
    "connection": "refused",
    "latency": 412.7,
    "packetLossPercentage": 0.75,
    "packetsReceived": 1,
    "receivedMessage": "unknown channel",
    "grpcHealthcheckStatus": 2,
    "grpcProto": "{}",
    "grpcMetadata": "us",
    "mcpServerCapabilities": ["tools"],
    "mcpRespectsSpecification": False,
    "jitter": 38.5,
    "multiNetworkHop": 27,
    "javascript": "AssertionError: expected 0 to be above 0",
}


def row(world: World, item: Try) -> Json:
    """The try's row in `GET .../tests/{public_id}/results`, as of the world's now."""
    event = item.event_type(world.now_ms)
    result: Json = {"runType": item.run_type, "tunnel": False, "errorMessage": None}
    if event in ("scheduled", "not_scheduled"):
        result["eventType"] = event
        return _envelope(item, result)
    if item.ending == "error":
        # Rows of a run that could not start were never recorded: assumed to say so, for want of `passed`.
        result.update(eventType=event, errorMessage=FAILURES["error"][1])
        return _envelope(item, result)
    outcome = _Outcome(world, item)
    if item.spec.is_legacy:
        result = {"errorMessage": outcome.message} if outcome.message else {}
    else:
        result.update(passed=outcome.passed, errorMessage=outcome.message)
    result["timings"] = outcome.timings
    if item.initial_id is not None:
        result["initialResultID"] = item.initial_id
    if item.next_try_ms is not None:
        result["nextTryAt"] = iso_ms(item.next_try_ms)
    return _envelope(item, result)


def full(world: World, item: Try) -> Json:
    """The try's `GET .../results/{result_id}`; only for what has finished."""
    result: Json = {"eventType": item.event_type(world.now_ms), "subtype": item.spec.subtype, "mainDC": "us1.prod"}
    if item.ending == "error":
        code, message = FAILURES["error"]
        result.update(runType=item.run_type, failure={"code": code, "message": message}, error=message)
    else:
        result.update(_finished(world, item))
    return {**_envelope(item, result), "run_type": item.run_type, "check": item.version.check}


def iso_ms(instant_ms: int) -> str:
    """An instant as the API writes it: ISO-8601 with milliseconds and Z (recorded nextTryAt)."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _envelope(item: Try, result: Json) -> Json:
    return {
        "status": item.monitor_status,
        "check_time": item.check_ms,
        "check_version": item.version.number,
        "result": result,
        "probe_dc": item.location,
        "result_id": item.result_id,
    }


def _finished(world: World, item: Try) -> Json:
    outcome, spec = _Outcome(world, item), item.spec
    result: Json = {"timings": outcome.timings}
    if not spec.is_legacy:
        result.update(runType=item.run_type, passed=outcome.passed, tunnel=False)
    if outcome.message is not None and not (spec.is_legacy and outcome.assertions):
        result.update(failure={"code": outcome.code, "message": outcome.message}, error=outcome.message)
    if item.ending in FAILURES:
        result["resolutionAttempts"] = [] if item.ending != "dns" else [{"server": "8.8.4.4", "error": "ENOTFOUND"}]
        return result
    result.update(dnsServer="8.8.4.4", resolvedIp="203.0.113.10", healthCheckRatio=1, unhealthy=False)
    if spec.is_legacy:
        # The oldest recorded shape (2019-2020).
        result["assertionResults"] = [{"actual": it.get("actual"), "valid": it["valid"]} for it in outcome.assertions]
    elif spec.subtype != "multi":
        result["assertionResults"] = outcome.assertions
    if spec.subtype == "ssl":
        result["cert"] = _certificate(world, item)
    if spec.subtype == "http":
        result.update(_exchange(item, outcome))
    return result


def _exchange(item: Try, outcome: _Outcome) -> Json:
    headers: Json = {
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
        "date": iso_ms(item.check_ms),
        "server": "nginx",
        "set-cookie": f"sid={planted.RESPONSE_COOKIE}; Path=/; HttpOnly; Secure",
        "strict-transport-security": "max-age=31536000",
        "x-request-id": hashlib.md5(item.result_id.encode(), usedforsecurity=False).hexdigest(),
        **outcome.headers,
    }
    body = _body(item, outcome.rng)
    found: Json = {"httpStatusCode": outcome.http_status, "responseHeaders": headers, "responseSize": len(body) + 310}
    if item.spec.slug == "login":
        # The document types each sent header as an object; what is in it was never recorded, `value` is made up.
        found["requestHeaders"] = {
            "content-type": {"value": "application/json"},
            "authorization": {"value": f"Bearer {planted.SENT_AUTHORIZATION}"},
        }
    if not item.version.definition["config"]["request"].get("noSavingResponseBody"):
        found["responseBody"] = body
    return found


def _body(item: Try, rng: Random) -> str:
    if item.spec.slug == "feed":
        return f'<catalogue count="12">{"".join(f"<p id={chr(34)}{n}{chr(34)}/>" for n in range(60))}</catalogue>'
    if item.spec.slug == "legacy":
        return f"<!doctype html><title>Old storefront</title>{'<p>Winter boots</p>' * rng.randint(20, 60)}"
    items = [
        {
            "id": rng.randint(10_000, 99_999),
            "sku": f"B-{rng.randint(1, 400)}",
            "price": rng.randint(100, 29_990) / 100,
            "name": rng.choice(("Winter boots", "Rain jacket", "Wool socks")),
            "stock": rng.randint(0, 80),
        }
        for _ in range(rng.randint(8, 26))
    ]
    document: Json = {"items": items, "page": 1, "next": None}
    if item.spec.slug == "login":
        document = {"user": {"id": 7, "age": 31, "roles": ["shopper"]}, "access_token": planted.RESPONSE_TOKEN}
    return json.dumps(document)


def _certificate(world: World, item: Try) -> Json:
    host = str(item.version.definition["config"]["request"]["host"])
    digest = hashlib.sha256(host.encode()).hexdigest().upper()
    ends = world.started_at + timedelta(days=CERTIFICATE_DAYS[item.spec.slug])
    return {
        "cipher": "TLS_AES_256_GCM_SHA384",
        "exponent": 65537.0,
        "extKeyUsage": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
        "fingerprint": ":".join(digest[n : n + 2] for n in range(0, 40, 2)),
        "fingerprint256": ":".join(digest[n : n + 2] for n in range(0, 64, 2)),
        "issuer": {"C": "US", "CN": "Example Trust RSA 2026", "O": "Example Trust"},
        "modulus": (digest * 8).lower(),
        "protocol": "TLSv1.3",
        "serialNumber": digest[:32],
        "subject": {"C": "DE", "CN": host, "L": "Berlin", "O": "Shop", "altName": f"DNS:{host}, DNS:www.{host}"},
        "validFrom": (ends - timedelta(days=365)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "validTo": ends.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


class _Outcome:
    """How one finished try went, worked out once for the row and the full result, so that they agree."""

    def __init__(self, world: World, item: Try) -> None:
        self.item, self._world = item, world
        self.rng = world.rng("datadog", "content", item.result_id)
        self.timings = self._timings()
        self.passed = item.ending == "pass"
        self.http_status = 201 if item.spec.slug == "upload" else 200
        self.headers: Json = {}
        self.assertions: list[Json] = []
        self.code: str | None = None
        self.message: str | None = None
        if item.ending in FAILURES:
            self.code, self.message = FAILURES[item.ending]
        if self.message is not None:
            return
        config = item.version.definition["config"]
        if item.spec.subtype == "multi":
            if not self.passed:
                self.code = "INCORRECT_ASSERTION"
                self.message = 'Step "Pay" failed: statusCode is 200, actual 502.'
            return
        configured: list[Json] = config["assertions"]
        broken = self._choose_broken(configured)
        if broken is not None and configured[broken]["type"] == "statusCode":
            self.http_status = 503
        for index, assertion in enumerate(configured):
            self.assertions.append(self._check(assertion, index == broken))
        failed = [
            {"index": index, **_brief(configured[index]), "valid": False, "actual": outcome.get("actual")}
            for index, outcome in enumerate(self.assertions)
            if not outcome["valid"]
        ]
        if failed:
            self.code, self.message = "INCORRECT_ASSERTION", json.dumps(failed, separators=(",", ":"))

    def _timings(self) -> Json:
        total = round(self.item.total_ms * 10)
        if self.item.ending in FAILURES:
            dns = total if self.item.ending == "dns" else min(total, self.rng.randint(3, 400))
            return {"dns": dns / 10, "total": total / 10}
        phases = PHASES.get(self.item.spec.subtype or "", {})
        left, timings = total, {}
        for phase, share in phases.items():
            part = left if phase == list(phases)[-1] else min(left, round(total * share * self.rng.uniform(0.4, 1.0)))
            if phase == "dns" and len(phases) > 1:
                part = min(part, self.rng.randint(3, 300))
            timings[phase] = part / 10
            left -= part
        return {**timings, "total": total / 10}

    def _choose_broken(self, configured: list[Json]) -> int | None:
        if self.passed:
            return None
        slow = [n for n, assertion in enumerate(configured) if not self._measured(assertion)[1]]
        if slow:
            return None
        return self.rng.choice([n for n, one in enumerate(configured) if one["type"] not in ("responseTime", "certificate")])

    def _measured(self, assertion: Json) -> tuple[Any, bool]:
        if assertion["type"] == "responseTime":
            without = assertion.get("timingsScope") == "withoutDNS"
            actual = round(self.timings["total"] - (self.timings.get("dns", 0.0) if without else 0.0), 1)
            return actual, actual < assertion["target"]
        if assertion["type"] == "certificate":
            ends = self._world.started_ms + CERTIFICATE_DAYS[self.item.spec.slug] * 86_400_000
            days = (ends - self.item.check_ms) // 86_400_000
            return days, days > assertion["target"]
        return None, True

    def _check(self, assertion: Json, is_broken: bool) -> Json:
        kind = assertion["type"]
        operator = assertion.get("operator")
        target: Any = assertion.get("target")
        expected = target
        actual: Any
        valid = not is_broken
        if kind in ("responseTime", "certificate"):
            actual, valid = self._measured(assertion)
        elif kind == "statusCode":
            actual, valid = self.http_status, _compare(operator, self.http_status, target)
        elif kind == "bodyHash":
            actual = hashlib.new(str(operator), b"truncated").hexdigest() if is_broken else target
        elif operator in ("validatesJSONPath", "validatesXPath"):
            expected = target["targetValue"]
            actual = "none" if is_broken else "12 products" if operator == "validatesXPath" else expected
            if isinstance(expected, float):
                actual = 12 if is_broken else 31
        elif operator == "validatesJSONSchema":
            expected = target["jsonSchema"]
            actual = "data.items must NOT have fewer than 1 items" if is_broken else "valid"
        elif kind == "javascript":
            actual = BAD[kind] if is_broken else None
        else:
            actual = BAD[kind] if is_broken else GOOD.get(kind, target)
            if kind == "header":
                self.headers[assertion["property"]] = actual
        found: Json = {"type": kind, "valid": valid}
        if operator is not None:
            found["operator"] = operator
        if "property" in assertion:
            found["property"] = assertion["property"]
        if expected is not None:
            found["expected"] = expected if isinstance(expected, str) else json.dumps(expected)
        if actual is not None:
            found["actual"] = actual
        return found


def _compare(operator: object, actual: int, target: Any) -> bool:
    if operator == "matches":
        return re.fullmatch(str(target), str(actual)) is not None
    return bool(actual < target if operator == "lessThan" else actual == target)


def _brief(assertion: Json) -> Json:
    return {key: assertion[key] for key in ("operator", "property", "type", "target") if key in assertion}
