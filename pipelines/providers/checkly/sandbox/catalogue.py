"""What the sandbox's account tests: its checks, its suites of checks, its places, and which trouble strikes when.

Facts of the API (OpenAPI read 2026-08-18): the thirteen check types; `checkId` is nullable. That a project's check run
by the CLI has no id and is known by file and name is inferred from the vendor's CLI fixtures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal[
    "passed",
    "degraded",  # slower than the check's degraded limit: passes, with isDegraded
    "too_slow",  # over the check's maximum response time
    "failed",  # an assertion, a script or the agent says no
    "request_error",  # no answer: nothing could be asserted
    "cancelled",
    "aborted",
    "schedule_error",  # never started
]


@dataclass(frozen=True)
class Check:
    """One check. `is_stored` checks have an id at the provider; the others live in a CLI project's file only."""

    key: str
    type: str
    name: str
    url: str
    is_stored: bool = True
    file_path: str | None = None
    method: str = "GET"
    flaky_rate: float = 0.0


# fmt: off
CHECKS = {
    check.key: check
    for check in (
        Check("cart", "API", "Cart: read", "https://api.shop.example.com/v2/cart", flaky_rate=0.04),
        Check("login", "API", "Login", "https://api.shop.example.com/v2/sessions",
              is_stored=False, file_path="src/__checks__/api/login.check.ts", method="POST"),
        Check("search", "API", "Search API", "https://api.shop.example.com/v2/search",
              is_stored=False, file_path="src/__checks__/api/search.check.ts", flaky_rate=0.18),
        Check("stock", "API", "Stock (legacy)", "https://stock.internal.example.com/level"),
        Check("logo", "API", "Logo image", "https://cdn.shop.example.com/logo.png"),
        Check("home-url", "URL", "Storefront answers", "https://shop.example.com/"),
        Check("docs-url", "URL", "Docs answer", "https://docs.shop.example.com/"),
        Check("home", "BROWSER", "Homepage", "https://shop.example.com/"),
        # The same name as the API check above: only the file tells them apart.
        Check("login-page", "BROWSER", "Login", "https://shop.example.com/login",
              is_stored=False, file_path="src/__checks__/browser/login.check.ts"),
        Check("checkout", "BROWSER", "Checkout", "https://shop.example.com/checkout", flaky_rate=0.22),
        Check("order", "MULTI_STEP", "Order lifecycle", "https://api.shop.example.com/v2/orders"),
        Check("oauth", "MULTI_STEP", "OAuth token flow", "https://id.shop.example.com/oauth/token",
              is_stored=False, file_path="src/__checks__/multi/oauth.check.ts"),
        Check("pw-checkout", "PLAYWRIGHT", "Checkout suite", "https://shop.example.com/checkout",
              is_stored=False, file_path="tests/checkout.spec.ts", flaky_rate=0.12),
        Check("pw-account", "PLAYWRIGHT", "Account suite", "https://shop.example.com/account",
              is_stored=False, file_path="tests/account.spec.ts"),
        Check("pw-visual", "PLAYWRIGHT", "Visual suite", "https://shop.example.com/"),
        Check("agent-home", "AGENTIC", "Homepage health (agent)", "https://shop.example.com/"),
        Check("agent-signup", "AGENTIC", "Sign-up journey (agent)", "https://shop.example.com/signup",
              is_stored=False, file_path="src/__checks__/agentic/signup.check.ts"),
        Check("db-port", "TCP", "Orders database port", "orders-db.example.com:5432"),
        Check("apex", "DNS", "Apex A record", "shop.example.com"),
        Check("edge-ping", "ICMP", "Edge ping", "edge.example.com"),
        Check("backup", "HEARTBEAT", "Nightly backup", "https://ping.checklyhq.com/backup"),
        Check("cert", "SSL", "Storefront certificate", "shop.example.com"),
        Check("stock-grpc", "GRPC", "Stock service (gRPC)", "stock-grpc.example.com:443"),
        Check("edge-route", "TRACEROUTE", "Route to the edge", "edge.example.com"),
    )
}
# fmt: on

# Shares of the base latency by place; the private location is behind a slow line.
LOCATIONS = {"eu-west-1": 1.0, "eu-central-1": 1.1, "us-east-1": 1.5, "ap-southeast-1": 2.6}
PRIVATE_LOCATION = "office-berlin"
PRIVATE_LATENCY = 1.8


@dataclass(frozen=True)
class Suite:
    """Checks that run together as one test session, started by `provider` (GITHUB, VERCEL, API, TRIGGER, PW_REPORTER).

    `minute` is the minute of the UTC day it starts at, `jitter` the minutes it may start later,
    `stagger_s` the pause between two starts.
    """

    name: str
    provider: str
    region: str
    minute: int
    checks: tuple[str, ...]
    jitter: int = 25
    stagger_s: float = 6.0
    environment: str = "production"
    is_private: bool = False


# fmt: off
SUITES = (
    Suite("Storefront smoke", "GITHUB", "eu-west-1", 40,
          ("home-url", "cart", "login", "home", "checkout", "search", "cert")),
    Suite("Preview deployment", "VERCEL", "us-east-1", 190,
          ("home", "login-page", "home-url", "docs-url", "search", "logo"), environment="preview"),
    Suite("API regression", "API", "eu-central-1", 440,
          ("cart", "login", "search", "stock", "order", "oauth", "stock-grpc", "logo")),
    Suite("Uptime monitors", "TRIGGER", "eu-west-1", 585,
          ("home-url", "docs-url", "db-port", "apex", "edge-ping", "backup", "cert", "stock-grpc", "edge-route")),
    Suite("Checkout pipeline", "GITHUB", "eu-west-1", 750,
          ("pw-checkout", "checkout", "cart", "order", "login-page", "search"), environment="staging"),
    Suite("Agentic exploration", "TRIGGER", "ap-southeast-1", 905,
          ("agent-home", "agent-signup", "home", "cart", "edge-route")),
    Suite("Office network", "API", PRIVATE_LOCATION, 1095,
          ("stock", "db-port", "edge-ping", "apex", "home-url", "search"), is_private=True),
    # Starts minutes before midnight and runs past it: its later results start on the next UTC day.
    Suite("Release gate", "GITHUB", "eu-central-1", 1435,
          ("login", "oauth", "pw-account", "pw-visual", "checkout", "search", "order"), jitter=2, stagger_s=75.0),
)
# A reporter uploads when its run is over: the session starts hours before it is created (see history.py).
REPORT_UPLOAD = Suite("Playwright reporter", "PW_REPORTER", "us-east-1", 1020,
                      ("pw-checkout", "pw-account", "pw-visual", "pw-checkout", "pw-account"), stagger_s=90.0)
# fmt: on

# What strikes which sessions, in turn; one turn takes three days of eight sessions. A tuple of outcomes are the tries
# of one execution: all but the last are ATTEMPTs. A check that its suite lacks joins it for that session.
Trouble = tuple[tuple[str, tuple[Outcome, ...]], ...]
TROUBLES: tuple[Trouble, ...] = (
    (("cart", ("failed", "passed")), ("home-url", ("degraded",))),
    (),
    (("login", ("request_error",)), ("search", ("failed",)), ("logo", ("too_slow",))),
    (),
    (("pw-checkout", ("cancelled",)),),
    (("agent-signup", ("failed",)), ("agent-home", ("degraded",))),
    (),
    (("oauth", ("aborted",)),),
    (),
    (("login-page", ("failed", "failed")), ("docs-url", ("request_error",))),
    (),
    (("cert", ("failed",)), ("stock-grpc", ("failed",)), ("edge-route", ("failed",)), ("apex", ("failed",))),
    (("checkout", ("failed", "failed", "passed")),),
    (),
    (("db-port", ("schedule_error",)), ("stock", ("failed", "request_error"))),
    (("pw-account", ("failed",)), ("pw-visual", ("failed", "passed"))),
    (),
    (("home", ("failed",)),),
    (("order", ("failed",)), ("cart", ("degraded",))),
    (("backup", ("failed",)), ("edge-ping", ("failed",)), ("db-port", ("failed",))),
    (),
    (),
    (("stock", ("request_error", "passed")),),
    (),
)
