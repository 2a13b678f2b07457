"""Every leaf of Checkly's monitoring payloads with its type and masking class: check definitions and their results.

Sources: "List all checks" (GET /v1/checks) and "Lists all check results" (GET /v2/check-results/{checkId}) of the public
OpenAPI (2026-08-18), all thirteen check types in one tree; fields marked "recorded" stand in responses of the vendor's Go
SDK (2019) only. The insides of result blocks are those of `leaves.py`.
"""

from __future__ import annotations

from pipelines.providers.checkly.leaves import BLOCKS, CHECK_TYPE
from pipelines.schemas.leaves import (
    FLAG,
    HEADERS,
    MASKED,
    NUMBER,
    RAW,
    RAW_SCRUBBED,
    SCRUBBED,
    TEXT,
    Leaf,
    OneOf,
    Tree,
    enum,
)
from pipelines.transform.leaves import DURATION, INSTANT

SCRIPT = Leaf("JSON", "scrub")
"""Source text of a script; secrets written into it are masked."""

LOCATION = enum(
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-central-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "eu-south-1",
    "me-south-1",
    "ap-southeast-1",
    "ap-northeast-1",
    "ap-east-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "af-south-1",
)
IP_FAMILY = enum("IPv4", "IPv6")
TIME_UNIT = enum("seconds", "minutes", "hours", "days")
RULE: dict[str, Tree] = {"severity": enum("ignore", "degrade", "fail")}
BASELINE: dict[str, Tree] = {
    "enabled": FLAG,
    "minTLSVersion": {"value": enum("TLS1.2", "TLS1.3"), **RULE},
    "recommendedTLSVersion": {"value": enum("TLS1.2", "TLS1.3"), **RULE},
    "minKeySizeBits": {"value": NUMBER, **RULE},
    "recommendedKeySizeBits": {"value": NUMBER, **RULE},
    "weakSignatureAlgorithm": RULE,
    "weakCipherSuite": RULE,
    "knownBadCA": RULE,
    "ocspMustStapleRespected": RULE,
    "sctPresent": RULE,
}

# A list of pairs: where the key says secret, the value is masked.
PARAMETERS: Tree = OneOf(list={"key": TEXT, "value": RAW_SCRUBBED, "locked": FLAG})
DEPENDENCIES: Tree = OneOf(list={"path": TEXT, "content": SCRIPT})

ASSERTION: dict[str, Tree] = {
    "source": enum(
        "STATUS_CODE",
        "JSON_BODY",
        "HEADERS",
        "TEXT_BODY",
        "RESPONSE_TIME",
        "RESPONSE_DATA",
        "RESPONSE_CODE",
        "TEXT_ANSWER",
        "JSON_ANSWER",
        "LATENCY",
        "JSON_RESPONSE",
        "TEXT_RESPONSE",
        "CERTIFICATE",
        "CONNECTION",
        "HOP_COUNT",
        "PACKET_LOSS",
        "GRPC_STATUS_CODE",
        "GRPC_HEALTHCHECK_STATUS",
        "GRPC_METADATA",
        "GRPC_RESPONSE",
    ),
    "comparison": enum(  # for traceroute checks any text
        "EQUALS",
        "NOT_EQUALS",
        "HAS_KEY",
        "NOT_HAS_KEY",
        "HAS_VALUE",
        "NOT_HAS_VALUE",
        "IS_EMPTY",
        "NOT_EMPTY",
        "GREATER_THAN",
        "LESS_THAN",
        "CONTAINS",
        "NOT_CONTAINS",
        "IS_NULL",
        "NOT_NULL",
    ),
    "property": SCRUBBED,
    "target": RAW_SCRUBBED,
    "regex": RAW_SCRUBBED,
}

REQUEST: dict[str, Tree] = {
    "method": enum("GET", "POST", "PUT", "HEAD", "DELETE", "PATCH"),
    "url": SCRUBBED,
    "body": RAW_SCRUBBED,
    "bodyType": enum("JSON", "FORM", "RAW", "GRAPHQL", "NONE"),
    "headers": HEADERS,
    "queryParameters": PARAMETERS,
    "basicAuth": OneOf(object={"username": TEXT, "password": MASKED}),
    "followRedirects": FLAG,
    "skipSSL": FLAG,
    "ipFamily": IP_FAMILY,
    "assertions": OneOf(list=ASSERTION),
    # TCP, ICMP
    "hostname": TEXT,
    "port": OneOf(scalar=RAW),
    "data": RAW_SCRUBBED,
    "pingCount": NUMBER,
    # DNS
    "query": TEXT,
    "recordType": enum("A", "AAAA", "CNAME", "HTTPS", "MX", "NS", "SOA", "TXT"),
    "nameServer": TEXT,
    "protocol": enum("TCP", "UDP", "ICMP", "SCTP"),
    # traceroute
    "maxHops": NUMBER,
    "maxUnknownHops": NUMBER,
    "ptrLookup": FLAG,
    "timeout": NUMBER,
    # gRPC
    "grpcConfig": {
        "mode": enum("HEALTH", "BEHAVIOR"),
        "serviceDefinition": enum("", "REFLECTION", "PROTO_FILE"),
        "encoding": enum("", "PROTOBUF", "FLATBUFFERS"),
        "service": RAW,
        "method": RAW,
        "message": RAW_SCRUBBED,
        "metadata": HEADERS,
        "protoContent": SCRIPT,
        "bfbsContent": MASKED,
        "tls": FLAG,
    },
    # SSL
    "sslClientCertificateId": RAW,
    "sslConfig": {
        "hostname": TEXT,
        "port": NUMBER,
        "serverName": RAW,
        "ipFamily": IP_FAMILY,
        "handshakeTimeoutMs": NUMBER,
        "alertDaysBeforeExpiry": NUMBER,
        "skipChainValidation": FLAG,
        "clientCertificateMode": enum("auto", "explicit"),
        "securityBaseline": BASELINE,
    },
    # recorded
    "id": RAW,
    "checkId": RAW,
    "created_at": RAW,
}

# The ping's address holds the token: whoever knows it can report for the check.
HEARTBEAT: dict[str, Tree] = {
    "period": NUMBER,
    "periodUnit": TIME_UNIT,
    "grace": NUMBER,
    "graceUnit": TIME_UNIT,
    "pingToken": MASKED,
    "pingUrl": MASKED,
}

ALERT_SETTINGS: dict[str, Tree] = {
    "escalationType": enum("RUN_BASED", "TIME_BASED"),
    "reminders": {"amount": NUMBER, "interval": NUMBER},
    "sslCertificates": {"enabled": FLAG, "alertThreshold": NUMBER},
    "runBasedEscalation": {"failedRunThreshold": NUMBER},
    "timeBasedEscalation": {"minutesFailingThreshold": NUMBER},
    "parallelRunFailureThreshold": {"enabled": FLAG, "percentage": NUMBER},
}

# Whoever knows the address of a webhook can post to it.
ALERT_CHANNELS: dict[str, Tree] = {
    "email": [{"address": RAW}],
    "webhook": [{"name": RAW, "url": MASKED, "method": RAW, "headers": HEADERS, "queryParameters": PARAMETERS}],
    "slack": [{"url": MASKED}],
    "sms": [{"number": RAW, "name": RAW}],
}

PROJECT: dict[str, Tree] = {"id": RAW, "logicalId": RAW, "name": RAW}
BOUND: dict[str, Tree] = {"project": PROJECT, "binding": {"logicalId": RAW, "pending": FLAG}}

CONFIG: dict[str, Tree] = {
    "request": OneOf(object=REQUEST),
    "heartbeat": OneOf(object=HEARTBEAT),
    "frequency": NUMBER,
    "frequencyOffset": NUMBER,
    "runParallel": FLAG,
    "privateLocations": OneOf(list=TEXT),
    "doubleCheck": FLAG,
    "shouldFail": FLAG,
    "retryStrategy": OneOf(
        object={
            "type": enum("FIXED", "LINEAR", "EXPONENTIAL", "SINGLE_RETRY"),
            "baseBackoffSeconds": NUMBER,
            "sameRegion": FLAG,
            "maxRetries": NUMBER,
            "maxDurationSeconds": NUMBER,
            "onlyOn": [enum("NETWORK_ERROR")],
        }
    ),
    "degradedResponseTime": RAW,
    "maxResponseTime": RAW,
    "degradedPacketLossThreshold": RAW,
    "maxPacketLossThreshold": RAW,
    "runtimeId": enum("2026.04", "2025.04", "2024.09", "2024.02", "2023.09", "2023.02", "2022.10"),
    "script": SCRIPT,
    "scriptPath": RAW,
    "dependencies": DEPENDENCIES,
    "localSetupScript": SCRIPT,
    "localTearDownScript": SCRIPT,
    "setupScriptDependencies": DEPENDENCIES,
    "tearDownScriptDependencies": DEPENDENCIES,
    "setupSnippetId": RAW,
    "tearDownSnippetId": RAW,
    "environmentVariables": OneOf(list={"key": TEXT, "value": MASKED, "locked": FLAG, "secret": FLAG}),
    "sslCheckDomain": RAW,
    # Playwright
    "cacheHash": RAW,
    "playwrightVersion": RAW,
    "workingDir": RAW,
    "testCommand": RAW_SCRUBBED,
    "installCommand": RAW_SCRUBBED,
    "browsers": OneOf(list=TEXT),
    "codeBundlePath": RAW_SCRUBBED,
    "engine": enum("node", "bun"),
    "engineVersion": RAW,
}
"""What a check does and when: a change of it is a new version of the test."""

ABOUT: dict[str, Tree] = {
    "activated": FLAG,
    "muted": FLAG,
    "description": RAW_SCRUBBED,
    "intent": OneOf(object={"goal": RAW_SCRUBBED, "requiredOutcomes": [RAW_SCRUBBED], "mustPreserve": [RAW_SCRUBBED]}),
    "aiAutoRepairEnabled": RAW,
    "alertSettings": OneOf(object=ALERT_SETTINGS),
    "useGlobalAlertSettings": RAW,
    "alertChannelSubscriptions": OneOf(list={"alertChannelId": NUMBER, "activated": FLAG}),
    "alertChannels": OneOf(object=ALERT_CHANNELS),
    "triggerIncident": OneOf(
        object={
            "serviceId": RAW,
            "severity": enum("CRITICAL", "MAJOR", "MEDIUM", "MINOR"),
            "name": RAW_SCRUBBED,
            "description": RAW_SCRUBBED,
            "notifySubscribers": FLAG,
        }
    ),
    "groupId": RAW,
    "groupOrder": RAW,
    "project": OneOf(object=PROJECT),
    "projectBindings": OneOf(object={"owner": OneOf(object=BOUND), "references": [BOUND]}),
    "logicalId": RAW,
    "member": RAW,
    "pending": RAW,
    "created_at": RAW,
    "updated_at": RAW,
    "accountId": RAW,  # recorded
}
"""What is said about a check beside what it does: it goes to `attributes`."""

CHECK: dict[str, Tree] = {
    "id": TEXT,
    "name": TEXT,
    "checkType": CHECK_TYPE,
    "locations": OneOf(list=LOCATION),
    "tags": OneOf(list=TEXT),
    **CONFIG,
    **ABOUT,
}

CHECK_RESULT: dict[str, Tree] = {
    "id": TEXT,
    "checkId": TEXT,
    "name": TEXT,
    "hasFailures": FLAG,
    "hasErrors": FLAG,
    "isDegraded": FLAG,
    "isCancelled": FLAG,
    "overMaxResponseTime": RAW,
    "runLocation": TEXT,
    "startedAt": INSTANT,
    "stoppedAt": INSTANT,
    "created_at": RAW,
    "createdAt": RAW,
    "responseTime": DURATION,
    "checkRunId": RAW,
    "attempts": RAW,
    "resultType": enum("FINAL", "ATTEMPT", "ALL"),
    "sequenceId": TEXT,
    "traceId": TEXT,
    "errorGroupIds": [RAW],
    **BLOCKS,
}
