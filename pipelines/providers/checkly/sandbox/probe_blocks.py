"""`sslCheckResult`, `grpcCheckResult` and `tracerouteCheckResult`.

The OpenAPI (2026-08-18) types these three on GET /v2/check-results only; the test-session result's schema names none of
them and forbids none. So the sandbox sends the block with every other result of these types. The case of the inner
keys differs between the vendor's fixtures (`avg_ms` in its CLI, `avgMs` in its Go SDK): both are sent.
TCP, DNS, ICMP and HEARTBEAT have no block in any schema: their results are the common fields alone.
"""

from __future__ import annotations

from datetime import timedelta

from pipelines.providers.checkly.sandbox import planted
from pipelines.providers.checkly.sandbox.run import JSON, Run, assertion, iso


def ssl_block(run: Run) -> JSON:
    """A certificate check; `responseTime` is the TLS handshake, `handshakeTimeMs` the same in ms."""
    bad = run.outcome == "failed"
    days = -5 if bad else run.rng.randint(30, 80)
    not_after = run.started_at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    handshake = run.response_ms + round(run.rng.random(), 1)
    host = run.check.url
    summary = {
        "cipherSuite": "TLS_AES_256_GCM_SHA384",
        "daysUntilExpiry": days,
        "handshakeTimeMs": handshake,
        "chainTrusted": not bad,
        "hostnameVerified": True,
    }
    certificate = {
        "subject": f"CN={host}",
        "issuer": "CN=Example Issuing CA,O=Example Corp,C=US",
        "subjectCN": host,
        "issuerCN": "Example Issuing CA",
        # 128 bits as text: no float holds it.
        "serialNumber": str(run.rng.getrandbits(127) | 1 << 126),
        "notBefore": iso(not_after - timedelta(days=90)),
        "notAfter": iso(not_after),
        "sans": [host, f"www.{host}"],
        "fingerprintSha256": f"{run.rng.getrandbits(256):064x}",
        "signatureAlgorithm": "ECDSA-SHA256",
        "keyAlgorithm": "ECDSA",
        "keySizeBits": 256,
        "selfSigned": False,
        "isCA": False,
    }
    rules = ("minTLSVersion", "minKeySizeBits", "weakSignatureAlgorithm", "weakCipherSuite", "knownBadCA")
    return {
        "tlsVersion": "TLS 1.3",
        **summary,
        "baselineVerdict": "FAIL" if bad else "PASS",
        "baselineGrade": "C" if bad else "A",
        "failureCategory": "expired" if bad else None,
        "requestError": None,
        "request": {"url": host, "port": 443},
        "assertions": [
            assertion(
                0,
                "CERT_EXPIRES_IN_DAYS",
                "",
                "GREATER_THAN",
                "14",
                days,
                f"Expected {days}.000000 to be above than 14" if bad else None,
            ),
            assertion(1, "CERT_NOT_EXPIRED", "", "EQUALS", "true", not bad, "Expected false to equal true" if bad else None),
        ],
        "response": {
            "resolvedIp": "203.0.113.30",
            "protocol": "TLS 1.3",
            **summary,
            "ocspStapled": False,
            "certificate": certificate,
            "chain": [{"subjectCN": "Example Issuing CA", "issuerCN": "Example Root", "isCA": True}],
            "securityBaseline": {"verdict": "fail" if bad else "pass", "grade": "C" if bad else "A"}
            | {rule: {"violated": bad and rule == "weakCipherSuite", "severity": "fail"} for rule in rules},
        },
    }


def grpc_block(run: Run) -> JSON:
    """A gRPC health check; status 14 is UNAVAILABLE, health 1 SERVING and 2 NOT_SERVING (grpc.health.v1)."""
    bad = run.outcome == "failed"
    host, port = run.check.url.split(":")
    phases = {"dns": 1.2, "connect": round(run.response_ms * 0.4, 1), "total": float(run.response_ms)}
    status, health = (14, 2) if bad else (0, 1)
    label = "NOT_SERVING" if bad else "SERVING"
    return {
        "grpcStatusCode": status,
        "healthStatus": health,
        "timingPhases": phases,
        "requestError": None,
        "request": {
            "url": host,
            "port": int(port),
            "metadata": [{"key": "authorization", "value": f"Bearer {planted.GRPC_TOKEN}"}],
        },
        "assertions": [
            assertion(0, "GRPC_STATUS_CODE", "", "EQUALS", "0", status, "Expected 14 to equal 0" if bad else None),
            assertion(
                1,
                "GRPC_HEALTHCHECK_STATUS",
                "",
                "EQUALS",
                "SERVING",
                label,
                "Expected NOT_SERVING to equal SERVING" if bad else None,
            ),
        ],
        "response": {
            "grpcMode": "HEALTH",
            "host": host,
            "resolvedIp": "203.0.113.20",
            "port": int(port),
            "grpcMethod": "grpc.health.v1.Health/Check",
            "responseMessage": "" if bad else f'{{"status":"{label}"}}',
            "grpcStatusCode": status,
            "grpcStatusMessage": "connection refused" if bad else "",
            "healthStatus": health,
            "healthStatusLabel": label,
            "metadata": [{"key": "content-type", "value": "application/grpc"}],
            "discoveredMethods": ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"],
            "requestError": None,
            "timingPhases": phases,
        },
    }


def traceroute_block(run: Run) -> JSON:
    """A route; `responseTime` is the average latency of the last hop in ms (OpenAPI)."""
    bad = run.outcome == "failed"
    hops = 30 if bad else run.rng.randint(6, 12)
    average = float(run.response_ms)
    is_snake = run.rng.random() < 0.5
    names = ("avg_ms", "best_ms", "worst_ms") if is_snake else ("avgMs", "bestMs", "worstMs")
    latency = dict(zip(names, (average, round(average * 0.9, 1), round(average * 1.3, 1)), strict=True))

    def hop(number: int) -> JSON:
        if not is_snake:
            return {"hop": number, "address": f"198.51.100.{number}", "lossPercent": 0, "rttMs": round(number * 1.1, 1)}
        lost = bad and number > 9
        rtt = None if lost else {"avg": number * 1.2, "best": number * 1.0, "worst": number * 1.5}
        host = {} if number > 1 else {"main_host": "gateway.local"}
        return {
            "hop_number": number, "main_ip": f"198.51.100.{number}", **host,
            "loss_percentage": 100 if lost else 0, "rtt": rtt, "asn": 64500 + number,
        }  # fmt: skip

    return {
        "totalHops": hops,
        "destinationReached": not bad,
        "finalHopLatency": latency,
        "timingPhases": {"dns": 1.5, "total": average},
        "requestError": None,
        "request": {"url": run.check.url, "protocol": "TCP"},
        "assertions": [
            assertion(
                0,
                "LATENCY",
                "avg",
                "LESS_THAN",
                "400",
                average,
                f"Expected {average} to be below 400" if average >= 400 else None,
            ),
            assertion(1, "HOPS", "", "LESS_THAN", "20", hops, f"Expected {hops} to be below 20" if bad else None),
        ],
        "response": {
            "hostname": run.check.url,
            "resolvedIp": "203.0.113.10",
            "totalHops": hops,
            "destinationReached": not bad,
            **({"truncationReason": "max-hops"} if bad else {}),
            "finalHopLatency": latency,
            "hops": [hop(number) for number in range(1, hops + 1)],
            "protocol": "TCP",
            "probeProtocol": "TCP",
        },
    }
