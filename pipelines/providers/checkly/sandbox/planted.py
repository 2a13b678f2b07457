"""The keys of the sandbox's account and every secret planted in the payloads of the systems it pretends to test.

Nothing here is a secret: each value says so or is made up. Tests scan stored bytes for all of them.
"""

# ruff: noqa: S105 - planted on purpose, see above

from __future__ import annotations

API_KEY = "sandbox-checkly-api-key-not-a-secret"
ACCOUNT_ID = "5a6db0c5-0c4e-4c1b-9a3d-c4ec11500001"

BEARER = "planted-bearer-eyJhbGciOiJub25lIn0.c2FuZGJveA"
BASIC_USER_PASSWORD = "planted-url-userinfo-Qx7"
QUERY_KEY = "planted-query-key-81f2c0"
REQUEST_COOKIE = "planted-request-cookie-5d1e"
SET_COOKIE = "planted-set-cookie-a90c44"
BODY_PASSWORD = "planted-body-password-Z3r0"
RESPONSE_TOKEN = "planted-response-token-77ab19"
HREF_TOKEN = "planted-href-token-3c9d"
LOG_PASSWORD = "planted-log-password-9911"
TYPED_PASSWORD = "planted-typed-password123"
AGENT_PASSWORD = "planted-agent-password123"
GRPC_TOKEN = "planted-grpc-metadata-token-40"
COMMIT_PASSWORD = "planted-commit-password-2b"
CHECK_VARIABLE = "planted-check-variable-6e1d"
CHECK_PASSWORD = "planted-basic-auth-password-Vb8"
SCRIPT_PASSWORD = "planted-script-password-Kp4"
PING_TOKEN = "planted-ping-token-0b7a61f2"
SLACK_PATH = "T00PLANTED/B00PLANTED/plantedslackwebhook"
AWS_KEY_ID = "AKIASANDBOXPLANTEDKEY"
# Every signature of a signed URL begins with this; the rest depends on path and time.
SIGNATURE = "plantedSignature"

PLANTED_SECRETS: tuple[str, ...] = (
    BEARER,
    BASIC_USER_PASSWORD,
    QUERY_KEY,
    REQUEST_COOKIE,
    SET_COOKIE,
    BODY_PASSWORD,
    RESPONSE_TOKEN,
    HREF_TOKEN,
    LOG_PASSWORD,
    TYPED_PASSWORD,
    AGENT_PASSWORD,
    GRPC_TOKEN,
    COMMIT_PASSWORD,
    CHECK_VARIABLE,
    CHECK_PASSWORD,
    SCRIPT_PASSWORD,
    PING_TOKEN,
    SLACK_PATH,
    AWS_KEY_ID,
    SIGNATURE,
)
