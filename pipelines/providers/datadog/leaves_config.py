"""Every documented leaf of Datadog's v1 test definitions, which results carry a copy of. Results: `leaves.py`.

Sources: the vendor's v1 OpenAPI (SyntheticsTestDetailsWithoutSteps, SyntheticsTestConfig, SyntheticsTestOptions) and the
document "Get an API test result" (v1); fields marked "recorded" stand in recorded responses (2019-12 … 2026-03) only.
"""

from __future__ import annotations

from pipelines.schemas.leaves import (
    FLAG,
    FREE,
    HEADERS,
    MASKED,
    NUMBER,
    RAW,
    RAW_SCRUBBED,
    SCRUBBED,
    TEXT,
    OneOf,
    Tree,
    enum,
)

SCALAR = OneOf(scalar=RAW_SCRUBBED)
"""A number or a string, as it came."""

ANY = OneOf(scalar=RAW_SCRUBBED, object=FREE, list=FREE)
"""Any JSON value."""

LISTED_TEXT = OneOf(list=TEXT)
"""A list of texts, kept as JSON text."""

MCP_CAPABILITY = enum("completions", "experimental", "logging", "prompts", "resources", "tools")

BASIC_AUTH: dict[str, Tree] = {
    "type": enum("web", "sigv4", "ntlm", "digest", "oauth-client", "oauth-rop", "jwt"),
    "username": TEXT,
    "password": MASKED,
    "accessKey": MASKED,
    "secretKey": MASKED,
    "sessionToken": MASKED,
    "region": TEXT,
    "serviceName": TEXT,
    "domain": TEXT,
    "workstation": TEXT,
    "accessTokenUrl": SCRUBBED,
    "audience": TEXT,
    "clientId": TEXT,
    "clientSecret": MASKED,
    "resource": TEXT,
    "scope": TEXT,
    "tokenApiAuthentication": enum("header", "body"),
    "algorithm": enum("HS256", "RS256", "ES256"),
    "addClaims": {"exp": FLAG, "iat": FLAG},
    "expiresIn": NUMBER,
    "header": SCRUBBED,
    "payload": SCRUBBED,
    "secret": MASKED,
    "tokenPrefix": TEXT,
}

CERTIFICATE_FILE: dict[str, Tree] = {"content": MASKED, "filename": TEXT, "updatedAt": TEXT}

REQUEST: dict[str, Tree] = {
    "allow_insecure": FLAG,
    "basicAuth": BASIC_AUTH,
    "body": SCRUBBED,
    "bodyType": enum(
        "text/plain",
        "application/json",
        "text/xml",
        "text/html",
        "application/x-www-form-urlencoded",
        "graphql",
        "application/octet-stream",
        "multipart/form-data",
    ),
    "callType": enum("healthcheck", "unary", "init", "tool_list", "tool_call"),
    "certificate": {"cert": CERTIFICATE_FILE, "key": CERTIFICATE_FILE},
    "certificateDomains": [TEXT],
    "checkCertificateRevocation": FLAG,
    "compressedJsonDescriptor": MASKED,
    "compressedProtoFile": MASKED,
    "disableAiaIntermediateFetching": FLAG,
    "dnsServer": TEXT,
    "dnsServerPort": OneOf(scalar=RAW),
    "files": [
        {
            "bucketKey": TEXT,
            "content": MASKED,
            "encoding": TEXT,
            "name": TEXT,
            "originalFileName": TEXT,
            "size": NUMBER,
            "type": TEXT,
        }
    ],
    "follow_redirects": FLAG,
    "form": FREE,
    "headers": HEADERS,
    "host": SCRUBBED,
    "httpVersion": enum("http1", "http2", "any"),
    "ignore_certificate_validation": FLAG,
    "isMessageBase64Encoded": FLAG,
    "mcpProtocolVersion": enum("2025-06-18"),
    "message": SCRUBBED,
    "metadata": HEADERS,
    "method": TEXT,
    "noSavingResponseBody": FLAG,
    "numberOfPackets": NUMBER,
    "persistCookies": FLAG,
    "port": OneOf(scalar=RAW),
    "proxy": {"headers": HEADERS, "url": SCRUBBED},
    "query": FREE,
    "servername": TEXT,
    "service": TEXT,
    "shouldTrackHops": FLAG,
    "timeout": NUMBER,
    "toolArgs": FREE,
    "toolName": TEXT,
    "url": SCRUBBED,
    # recorded on network tests (2026-03)
    "destination_service": TEXT,
    "source_service": TEXT,
    "e2e_queries": NUMBER,
    "max_ttl": NUMBER,
    "tcp_method": TEXT,
    "traceroute_queries": NUMBER,
}

ASSERTION: dict[str, Tree] = {
    "type": enum(
        "body",
        "header",
        "statusCode",
        "certificate",
        "responseTime",
        "property",
        "recordEvery",
        "recordSome",
        "tlsVersion",
        "minTlsVersion",
        "latency",
        "packetLossPercentage",
        "packetsReceived",
        "networkHop",
        "receivedMessage",
        "grpcHealthcheckStatus",
        "grpcMetadata",
        "grpcProto",
        "connection",
        "multiNetworkHop",
        "jitter",
        "mcpToolNameLength",
        "mcpToolCount",
        "bodyHash",
        "javascript",
        "mcpServerCapabilities",
        "mcpRespectsSpecification",
    ),
    "operator": enum(
        "contains",
        "doesNotContain",
        "is",
        "isNot",
        "lessThan",
        "lessThanOrEqual",
        "moreThan",
        "moreThanOrEqual",
        "matches",
        "doesNotMatch",
        "validates",
        "isInMoreThan",
        "isInLessThan",
        "doesNotExist",
        "isUndefined",
        "md5",
        "sha1",
        "sha256",
        "validatesJSONPath",
        "validatesJSONSchema",
        "validatesXPath",
    ),
    "property": SCRUBBED,
    "target": OneOf(
        scalar=RAW_SCRUBBED,
        object={
            "jsonPath": SCRUBBED,
            "xPath": SCRUBBED,
            "operator": TEXT,
            "elementsOperator": TEXT,
            "targetValue": SCALAR,
            "jsonSchema": SCRUBBED,
            "metaSchema": enum("draft-07", "draft-06"),
        },
        list=MCP_CAPABILITY,
    ),
    "timingsScope": enum("all", "withoutDNS"),
    "code": SCRUBBED,
}

# A static class for all variables: a pattern or example of an insecure one is masked too, a secure one never shows.
VARIABLE: dict[str, Tree] = {
    "example": MASKED,
    "id": TEXT,
    "name": TEXT,
    "pattern": MASKED,
    "secure": FLAG,
    "type": enum("global", "text", "email", "element"),
}

CONFIG_STEP: dict[str, Tree] = {  # recorded on multistep tests (2021-2026)
    "id": TEXT,
    "name": SCRUBBED,
    "subtype": TEXT,
    "allowFailure": FLAG,
    "alwaysExecute": FLAG,
    "exitIfSucceed": FLAG,
    "isCritical": FLAG,
    "subtestPublicId": TEXT,
    "value": RAW_SCRUBBED,
    "assertions": [OneOf(object=ASSERTION)],
    "request": REQUEST,
    "retry": {"count": NUMBER, "interval": NUMBER},
    "extractedValues": [
        {
            "name": TEXT,
            "type": TEXT,
            "field": TEXT,
            "secure": FLAG,
            "parser": {"type": TEXT, "value": SCRUBBED},
        }
    ],
    "extractedValuesFromScript": SCRUBBED,
}

CONFIG: dict[str, Tree] = {
    "assertions": [OneOf(object=ASSERTION)],
    "configVariables": [VARIABLE],
    "request": REQUEST,
    "variables": [VARIABLE],
    "setCookie": MASKED,  # recorded
    "steps": [CONFIG_STEP],  # recorded
    "initialApplicationArguments": FREE,  # recorded on mobile tests
    "variablesFromScript": SCRUBBED,  # recorded
}

OPTIONS: dict[str, Tree] = {
    "accept_self_signed": FLAG,
    "allow_insecure": FLAG,
    "blockedRequestPatterns": [TEXT],
    "captureNetworkPayloads": FLAG,
    "checkCertificateRevocation": FLAG,
    "ci": {"executionRule": enum("blocking", "non_blocking", "skipped")},
    "device_ids": [TEXT],
    "disableAiaIntermediateFetching": FLAG,
    "disableCors": FLAG,
    "disableCsp": FLAG,
    "enableProfiling": FLAG,
    "enableSecurityTesting": FLAG,
    "follow_redirects": FLAG,
    "httpVersion": enum("http1", "http2", "any"),
    "ignoreServerCertificateError": FLAG,
    "ignore_certificate_validation": FLAG,
    "initialNavigationTimeout": NUMBER,
    "min_failure_duration": NUMBER,
    "min_location_failed": NUMBER,
    "monitor_name": TEXT,
    "monitor_options": {
        "escalation_message": SCRUBBED,
        "notification_preset_name": enum(
            "show_all",
            "hide_all",
            "hide_query",
            "hide_handles",
            "hide_query_and_handles",
            "show_only_snapshot",
            "hide_handles_and_footer",
        ),
        "renotify_interval": NUMBER,
        "renotify_occurrences": NUMBER,
        # recorded
        "include_tags": FLAG,
        "locked": FLAG,
        "new_host_delay": NUMBER,
        "notify_audit": FLAG,
        "notify_no_data": FLAG,
        "on_missing_data": TEXT,
    },
    "monitor_priority": NUMBER,
    "noScreenshot": FLAG,
    "restricted_roles": [TEXT],
    "retry": {"count": NUMBER, "interval": NUMBER},
    "rumSettings": {"applicationId": TEXT, "clientTokenId": NUMBER, "isEnabled": FLAG},
    "scheduling": {"timeframes": [{"day": NUMBER, "from": TEXT, "to": TEXT}], "timezone": TEXT},
    "tick_every": NUMBER,
    # recorded
    "allowApplicationCrash": FLAG,
    "bindings": [{"principals": [TEXT], "relation": TEXT}],
    "bits_ai_auto_investigate": FLAG,
    "defaultStepTimeout": NUMBER,
    "disableAutoAcceptAlert": FLAG,
    "mobileApplication": {"applicationId": TEXT, "referenceId": TEXT, "referenceType": TEXT},
}

# A browser or mobile test's own steps, recorded where one test is asked for (2020-2026). `params` is documented as any object for browser
# tests; its members are those recorded, those of the vendor's v1 model SyntheticsMobileStepParams, and those that its Terraform provider
# writes. What a step types and what a variable holds is masked, as it is in results.
STEP_PARAMS: dict[str, Tree] = {
    **dict.fromkeys(("appendToContent", "attribute", "check", "clickType", "clickWithJavascript", "delay", "direction", "enable"), RAW),
    **dict.fromkeys(("maxScrolls", "playingTabId", "subtestPublicId", "withClick", "withEnter", "x", "y"), RAW),
    **dict.fromkeys(("element", "email", "file", "modifiers", "options", "pattern", "positions", "requests"), FREE),
    "code": SCRUBBED,
    "files": REQUEST["files"],
    "request": OneOf(object={"config": OneOf(object=CONFIG), "options": OneOf(object=OPTIONS), "subtype": TEXT}),
    "value": MASKED,
    "variable": OneOf(object=VARIABLE),
}
STEP: dict[str, Tree] = {
    **dict.fromkeys(("allowFailure", "alwaysExecute", "exitIfSucceed", "hasNewStepElement", "isCritical", "noScreenshot"), FLAG),
    "context": FREE,
    "name": SCRUBBED,
    "params": OneOf(object=STEP_PARAMS),
    "publicId": TEXT,
    "public_id": TEXT,
    "timeout": NUMBER,
    "type": TEXT,
}

PERSON = OneOf(object={"id": RAW, "name": TEXT, "handle": TEXT, "email": TEXT})

TEST: dict[str, Tree] = {
    "public_id": TEXT,
    "name": SCRUBBED,
    "type": enum("api", "browser", "mobile", "network"),
    "subtype": enum("http", "ssl", "tcp", "dns", "multi", "icmp", "udp", "websocket", "grpc"),
    "status": enum("live", "paused"),
    "message": RAW_SCRUBBED,
    "monitor_id": RAW,
    "locations": LISTED_TEXT,
    "tags": LISTED_TEXT,
    "creator": PERSON,
    "options": OneOf(object=OPTIONS),
    "config": OneOf(object=CONFIG),
    # recorded
    "created_at": RAW,
    "modified_at": RAW,
    "modified_by": PERSON,
    "created_by": PERSON,
    "creation_source": RAW,
    "deleted_at": RAW,
    "org_id": RAW,
    "overall_state": RAW,
    "overall_state_modified": RAW,
    "stepCount": FREE,
    "steps": OneOf(list=STEP),
}
