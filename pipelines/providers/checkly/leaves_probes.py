"""Leaves of assertions, phases and the SSL, gRPC and traceroute blocks. No flattening, no requests.

GET /v2/check-results of the OpenAPI (2026-08-18) types the three blocks and leaves some of their insides free; those are taken from
the fixtures of the vendor's CLI and Go SDK (2025), which spell the keys of hops and latencies in two ways: both are declared.
"""

from __future__ import annotations

from pipelines.schemas.leaves import FLAG, FREE, HEADERS, NUMBER, RAW, RAW_SCRUBBED, SCRUBBED, TEXT, OneOf, Tree
from pipelines.transform.leaves import DURATION, INSTANT

ASSERTION: dict[str, Tree] = {
    "order": RAW,
    "source": TEXT,
    "property": SCRUBBED,
    "comparison": TEXT,
    "target": FREE,  # a scalar in recordings; what was asserted on may be any JSON
    "regex": RAW_SCRUBBED,
    "error": SCRUBBED,
    "actual": FREE,
}

PHASES: dict[str, Tree] = dict.fromkeys(("wait", "dns", "tcp", "firstByte", "download", "total"), DURATION)
PROBE_PHASES: dict[str, Tree] = {**PHASES, "connect": DURATION}

CERTIFICATE: dict[str, Tree] = {
    "subject": TEXT,
    "issuer": TEXT,
    "subjectCN": TEXT,
    "issuerCN": TEXT,
    "serialNumber": TEXT,
    "notBefore": INSTANT,
    "notAfter": INSTANT,
    "sans": [TEXT],
    "fingerprintSha256": TEXT,
    "signatureAlgorithm": TEXT,
    "keyAlgorithm": TEXT,
    "keySizeBits": RAW,
    "selfSigned": FLAG,
    "isCA": FLAG,
}

LATENCY: dict[str, Tree] = {
    "avg_ms": DURATION,
    "best_ms": DURATION,
    "worst_ms": DURATION,
    "avgMs": DURATION,
    "bestMs": DURATION,
    "worstMs": DURATION,
}

HOP: dict[str, Tree] = {
    "hop_number": NUMBER,
    "main_ip": TEXT,
    "main_host": TEXT,
    "loss_percentage": NUMBER,
    "rtt": {"avg": DURATION, "best": DURATION, "worst": DURATION},
    "asn": RAW,
    "hop": NUMBER,
    "address": TEXT,
    "lossPercent": NUMBER,
    "rttMs": DURATION,
}

_REQUEST = OneOf(object={"url": SCRUBBED, "hostname": TEXT, "port": NUMBER, "protocol": TEXT, "metadata": HEADERS})
_PROBE: dict[str, Tree] = {"requestError": SCRUBBED, "request": _REQUEST, "assertions": [ASSERTION]}

PROBE_BLOCKS: dict[str, dict[str, Tree]] = {
    "sslCheckResult": {
        "tlsVersion": TEXT,
        "cipherSuite": TEXT,
        "daysUntilExpiry": RAW,
        "handshakeTimeMs": RAW,
        "chainTrusted": FLAG,
        "hostnameVerified": FLAG,
        "baselineVerdict": RAW,
        "baselineGrade": RAW,
        "failureCategory": TEXT,
        **_PROBE,
        "response": {
            "resolvedIp": TEXT,
            "protocol": TEXT,
            "cipherSuite": TEXT,
            "handshakeTimeMs": DURATION,
            "hostnameVerified": FLAG,
            "chainTrusted": FLAG,
            "daysUntilExpiry": RAW,
            "ocspStapled": RAW,
            "ocspStatus": RAW,
            "chainTrustReason": TEXT,
            "chainTrustDetail": SCRUBBED,
            "incompleteChain": RAW,
            "missingIntermediate": RAW,
            "securityBaseline": FREE,
            "certificate": OneOf(object=CERTIFICATE),
            "chain": [OneOf(object={**CERTIFICATE, "notBefore": TEXT, "notAfter": TEXT})],  # kept as they are
        },
    },
    "grpcCheckResult": {
        "grpcStatusCode": RAW,
        "healthStatus": RAW,
        "timingPhases": OneOf(object=PROBE_PHASES),
        **_PROBE,
        "response": {
            "grpcMode": RAW,
            "host": TEXT,
            "resolvedIp": TEXT,
            "port": NUMBER,
            "grpcMethod": TEXT,
            "responseMessage": SCRUBBED,
            "grpcStatusCode": NUMBER,
            "grpcStatusMessage": SCRUBBED,
            "healthStatus": RAW,
            "healthStatusLabel": TEXT,
            "metadata": HEADERS,
            "discoveredMethods": [TEXT],
            "requestError": SCRUBBED,
            "timingPhases": OneOf(object=PROBE_PHASES),
        },
    },
    "tracerouteCheckResult": {
        "totalHops": RAW,
        "destinationReached": FLAG,
        "finalHopLatency": OneOf(object=LATENCY),
        "timingPhases": OneOf(object=PROBE_PHASES),
        **_PROBE,
        "response": {
            "hostname": TEXT,
            "resolvedIp": TEXT,
            "totalHops": RAW,
            "destinationReached": FLAG,
            "truncationReason": TEXT,
            "finalHopLatency": OneOf(object=LATENCY),
            "hops": [OneOf(object=HOP)],
            "protocol": RAW,
            "probeProtocol": RAW,
        },
    },
}
"""Typed on GET /v2/check-results only; a session result may carry them too."""
