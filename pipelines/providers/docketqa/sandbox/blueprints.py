"""What the sandbox's DocketQA tests do, as data: blueprints with steps of every type, and the secrets planted in them.

Fields are those of the create-test and create-module requests (docs.docketqa.com, read 2026-08). No runs live here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TYPED, _TYPED_CARD = "Typed-Hunter2-x9", "Gift-Secret-5521-aa"
_ACCOUNT, _OTP = "Account-Pw-Zebra-31", "JBSWY3DPSANDBOX7"
_VARIABLE, _USERINFO = "var-9c1e77d0b2", "Preview-Basic-4k1"
_BEARER, _COOKIE, _HEADER_KEY = "eyJzYW5kYm94IjoxfQ.bearer.c2ln", "sess-71b2c0ffee99", "hdr-key-0d9f8e7c6b5a"
_CLIENT, ANSWERED, REJECTED = "clnt-6f5e4d3c2b1a", "tok-answer-a1b2c3d4e5", "Rejected-Pw-Quartz-8"
SIGNATURE_PREFIX, ACCESS_KEY, SESSION_PREFIX = "5b0c516e0d0c4e70", "AKIAIOSFODNN7EXAMPLE", "FwoGZXIvSANDBOX"

PLANTED_SECRETS: tuple[str, ...] = (
    *(_TYPED, _TYPED_CARD, _ACCOUNT, _OTP, _VARIABLE, _USERINFO, _BEARER, _COOKIE, _HEADER_KEY, _CLIENT, ANSWERED),
    *(REJECTED, SIGNATURE_PREFIX, ACCESS_KEY, SESSION_PREFIX),
)
"""Secret texts in the answers and kept bodies; none may ever reach a disk. Signatures differ, but begin alike."""

Step = dict[str, Any]


def _step(kind: str, action: str, **more: Any) -> Step:
    return {"type": kind, "action": action, "use_vision": kind == "assert", **more}


def _act(action: str, **more: Any) -> Step:
    return _step("act", action, **more)


def _api(method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Step:
    request = {"url": url, "method": method, "headers": dict(headers), "body": dict(body or {}), "timeout": 30,
               "retries": 2, "backoff_seconds": 5, "should_refresh_page": False}  # fmt: skip
    return _step("api", "", api_request=request)


@dataclass(frozen=True)
class Blueprint:
    """A test; `more` overrides or adds fields of the snapshot that its runs carry."""

    id: int
    title: str
    starting_url: str
    steps: tuple[Step, ...]
    num_retries: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)


# Login data and values of variables are fields of the create request; that a run's snapshot repeats them is assumed.
_LOGIN = {"username": "qa@example.test", "password": _ACCOUNT, "otp_secret": _OTP}
BLUEPRINTS = (
    Blueprint(
        180,
        "Login Flow",
        "https://shop.example.test/login",
        (
            _act("Enter 'user@example.test' in the email field"),
            _act(f"Enter '{_TYPED}' in the password field"),
            _act("Click the 'Sign in' button"),
            _step("assert", "The dashboard greets the user by name"),
        ),
    ),
    Blueprint(
        181,
        "Guest checkout",
        f"https://qa:{_USERINFO}@preview.shop.example.test/",
        (
            _step("recorded", "Click 'Add to cart'", click_count=1, disable_self_healing=False, hold_start_duration=0,
                  hold_end_duration=0),
            _act("Open the cart and proceed to checkout"),
            _act("Fill in the delivery address with the data of the 'Berlin' profile", attached_file_ids=[418, 419]),
            _act(f"Type the gift card secret \"{_TYPED_CARD}\" and apply it"),
            _step("assert", "The total is € 42,50 and shipping is free", assert_images_count=1),
        ),
        more={"variables": [
            {"key": "promo", "type": "static", "value": "SUMMER", "randomConfig": {}},
            {"key": "card_token", "type": "secret", "value": _VARIABLE, "randomConfig": {}},
            {"key": "order_note", "type": "random", "value": "", "randomConfig": {"length": 8}},
        ]},
    ),
    Blueprint(
        182,
        "Orders API",
        "https://api.shop.example.test/health",
        (
            _api("POST", "https://api.shop.example.test/auth/token", {"Content-Type": "application/json",
                 "X-Api-Key": _HEADER_KEY}, {"client_id": "sandbox-ci", "client_secret": _CLIENT}),
            _api("GET", "https://api.shop.example.test/orders?limit=5", {"Authorization": f"Bearer {_BEARER}",
                 "Cookie": f"session={_COOKIE}; theme=dark", "Accept": "application/json"}),
            _step("assert", "The newest order of the answer is shown on the page"),
        ),
    ),
    Blueprint(
        183,
        "Profile settings",
        "https://shop.example.test/account",
        (
            _step("module", "Login Setup", test_blueprint_module_id=962),
            _act("Change the display name to 'Zoë'"),
            _act("Save the profile"),
            _step("assert", "A toast confirms that the profile was saved"),
        ),
        num_retries=2,
        more={"credentials": _LOGIN},
    ),
    Blueprint(
        184,
        "Search and filter",
        "https://shop.example.test/search",
        (
            _act("Search for 'linen shirt'"),
            _step("recorded", "Drag the price slider to 50", click_count=1, disable_self_healing=True,
                  hold_start_duration=200, hold_end_duration=150),
            _act("Scroll down until the third row of results is visible"),
            _step("assert", "At least six results are shown"),
        ),
        num_retries=1,
    ),
    Blueprint(
        185,
        "Mobile menu",
        "https://m.shop.example.test/",
        (_act("Open the menu"), _act("Tap 'Stores'"), _step("assert", "The store map is visible")),
        more={"device_type": "mobile", "viewport_width": 390, "viewport_height": 844},
    ),
    Blueprint(
        186,
        "Nightly chain",
        "https://shop.example.test/admin",
        (
            _step("module", "Login Setup", test_blueprint_module_id=962),
            _step("trigger_run", "Run 'Guest checkout'", trigger_run_config={"test_blueprint_id": 181}),
            _act("Open the list of today's orders"),
            _act("Export the list as CSV"),
            _step("assert", "The exported file has one line per order"),
        ),
        num_retries=1,
        more={"credentials": _LOGIN},
    ),
    Blueprint(
        187,
        "Newsletter sign-up",
        "https://shop.example.test/newsletter",
        (_act("Enter a new address and subscribe"), _step("assert", "The confirmation page opens")),
    ),
)  # fmt: skip
