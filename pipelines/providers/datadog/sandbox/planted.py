# ruff: noqa: S105  (made-up secrets are the point of this module)
"""Every secret planted in the sandbox's Datadog answers, so that a test can look for them wherever they must not be.

None is real. They stand where the API returns secrets in clear: basicAuth, certificate contents, headers, proxies,
URLs, bodies, variables, typed values, set-cookie headers, error texts.
"""

from __future__ import annotations

WEB_PASSWORD = "plantedWebPassw0rd1"
SIGV4_ACCESS_KEY = "AKIAPLANTEDSANDBOX22"
SIGV4_SECRET_KEY = "plantedSigv4/SecretKey+2222222222222222"
SIGV4_SESSION_TOKEN = "plantedSigv4SessionToken222"
NTLM_PASSWORD = "plantedNtlmPassw0rd3"
DIGEST_PASSWORD = "plantedDigestPassw0rd4"
OAUTH_CLIENT_SECRET = "plantedOauthClientSecret5"
OAUTH_ROP_SECRET = "plantedOauthRopSecret6"
OAUTH_ROP_PASSWORD = "plantedOauthRopPassw0rd6"
JWT_SECRET = "plantedJwtSigningKey7"
CERT_CONTENT = "plantedClientCertificateBody8"
KEY_CONTENT = "plantedClientKeyBody8"
PROXY_AUTHORIZATION = "cGxhbnRlZFByb3h5QXV0aDk="
PROXY_URL_PASSWORD = "plantedProxyPass9"
REQUEST_BEARER = "plantedRequestBearer10"
REQUEST_COOKIE = "plantedRequestCookie11"
API_KEY_HEADER = "plantedApiKeyHeader12"
QUERY_API_KEY = "plantedQueryApiKey13"
URL_TOKEN = "plantedUrlToken14"
BODY_PASSWORD = "plantedBodyPassw0rd15"
VARIABLE_EXAMPLE = "plantedSecureVariable16"
VARIABLE_PATTERN = "plantedSecurePattern17"
FILE_CONTENT = "plantedUploadedFileContent18"
GRPC_METADATA = "plantedGrpcBearer19"
TOOL_ARG_API_KEY = "plantedToolArgApiKey20"
WEBSOCKET_TOKEN = "plantedWebsocketToken21"
STEP_BEARER = "plantedMultiStepBearer22"
SET_COOKIE = "plantedConfigSetCookie23"
TYPED_PASSWORD = "plantedTypedPassw0rd24"
TYPED_OTP = "plantedOtp25"
START_URL_TOKEN = "plantedStartUrlToken26"
SIGNED_URL_SIGNATURE = "plantedSignature27"
RESPONSE_COOKIE = "plantedResponseCookie28"
RESPONSE_TOKEN = "plantedResponseToken29"
SENT_AUTHORIZATION = "plantedSentAuthorization30"
ERROR_PASSWORD = "plantedErrorPassw0rd31"
BROWSER_VARIABLE = "plantedBrowserVariable32"
APP_ARGUMENT = "plantedAppArgument33"

PLANTED_SECRETS: tuple[str, ...] = tuple(value for name, value in sorted(globals().items()) if name.isupper() and isinstance(value, str))
