"""The made-up browser tests: several devices, typed secrets, nested subtests, allowed failures, e-mail and tabs.

Step types, checkTypes and playingTab values are those of the v1 OpenAPI (SyntheticsStepType, SyntheticsCheckType,
SyntheticsPlayingTab -1..3); devices and their ids those of a recorded result list (2022-07).
"""

from __future__ import annotations

from pipelines.providers.datadog.sandbox import planted
from pipelines.providers.datadog.sandbox.specs import (
    DAY_S,
    DUBLIN,
    FRANKFURT,
    N_VIRGINIA,
    PRIVATE,
    TOKYO,
    Json,
    Spec,
    Step,
)

SHOP = "https://shop.example.com"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
_WEBKIT = f"{_LINUX} AppleWebKit/537.36 (KHTML, like Gecko)"


def _device(device_id: str, name: str, width: int, height: int, agent: str) -> Json:
    return {
        "id": device_id,
        "name": name,
        "width": width,
        "height": height,
        "isMobile": "mobile" in device_id,
        "browser": device_id.split(".")[0],
        "userAgent": f"{agent} DatadogSynthetics",
    }


DEVICES: dict[str, Json] = {
    device["id"]: device
    for device in (
        _device("chrome.laptop_large", "Laptop Large", 1440, 1100, f"{_WEBKIT} Chrome/142.0.7444.61 Safari/537.36"),
        _device("firefox.laptop_large", "Laptop Large", 1440, 1100, f"{_LINUX} Gecko/20100101 Firefox/144.0"),
        _device("edge.laptop_large", "Laptop Large", 1440, 1100, f"{_WEBKIT} Safari/537.36 Edg/142.0.3595.53"),
        _device("chrome.mobile_small", "Mobile Small", 320, 550, f"{_WEBKIT} Mobile Chrome/142.0.7444.61"),
        _device("chrome.tablet", "Tablet", 768, 1020, f"{_WEBKIT} Chrome/142.0.7444.61 Safari/537.36"),
    )
}

LOG_IN = (
    Step("click", 'Click on link "Sign in"', page="/"),
    Step("typeText", 'Type text on input "E-mail"', "probe@shop.example.com", page="/login"),
    Step(
        "typeText",
        f'Type password "{planted.TYPED_PASSWORD}" on input "Password"',
        planted.TYPED_PASSWORD,
        page="/login",
    ),
    Step("pressKey", "Press key 'Enter'", "Enter", page="/login", typical_ms=1400),
)
ONE_TIME_CODE = (
    Step("goToEmailLink", "Open the link of the latest e-mail", page="/login/code", typical_ms=2500),
    Step("typeText", f'Type otp "{planted.TYPED_OTP}" on input "Code"', planted.TYPED_OTP, page="/login/code"),
)
LOG_IN_WITH_CODE = (
    Step("playSubTest", "Log in", page="/", steps=LOG_IN),
    Step("playSubTest", "One-time code", page="/login/code", steps=ONE_TIME_CODE),
    Step("assertPageContains", 'Test "Welcome back" is present on page', "Welcome back", "contains", "/account"),
)
CHECKOUT = (
    Step("typeText", 'Type text on input "Search"', "boots", page="/"),
    Step("click", 'Click on link "Winter boots"', page="/search?q=boots", typical_ms=1600),
    Step("selectOption", 'Select "42" on select "Size"', "42", page="/p/winter-boots"),
    Step("hover", 'Hover over "Delivery"', page="/p/winter-boots", allow_failure=True, is_critical=False),
    Step("click", 'Click on button "Add to basket"', page="/p/winter-boots", typical_ms=900),
    Step("extractVariable", 'Extract variable ORDER_TOTAL from "Total"', "129.90", page="/basket"),
    Step("assertElementContent", 'Test "Total" content', "129.90", "equals", "/basket"),
    Step("assertFromJavascript", "Test the basket's state", "return window.basket.items === 1", page="/basket"),
)
ACCOUNT = (
    Step("playSubTest", "Log in with code", page="/", steps=LOG_IN_WITH_CODE),
    Step("click", 'Click on link "Invoices"', page="/account", tab=0),
    Step("assertFileDownload", "Test the downloaded invoice", page="/account/invoices", tab=1, typical_ms=2200),
    Step("assertCurrentUrl", "Test current URL", "/account/invoices", "contains", "/account/invoices", tab=-1),
)
PROMOTIONS = (
    Step("wait", "Wait for 1 second", 1, page="/", typical_ms=1000, is_critical=False),
    Step("scroll", "Scroll to the promotions", page="/"),
    Step("assertElementPresent", 'Test "Promotion" is present', page="/", allow_failure=True, is_critical=False),
    Step("runApiTest", "Test API GET /v2/promotions", page="/", typical_ms=300),
    Step("assertEmail", "Test the newsletter e-mail", "Newsletter", "contains", page="/newsletter", typical_ms=4000),
)


def _config(path: str, **request: object) -> Json:
    return {
        "assertions": [],
        "configVariables": [],
        "request": {"headers": {}, "method": "GET", "timeout": 60, "url": f"{SHOP}{path}", **request},
        "setCookie": "",
        "variables": [],
    }


_RUM_APPLICATION = "1f0c3b52-8f0e-4d0b-9c57-2f6f0a4f7a10"
_RUM = {"rumSettings": {"isEnabled": True, "applicationId": _RUM_APPLICATION, "clientTokenId": 94668}}
_PAGE = {"disableCors": False, "disableCsp": False, "noScreenshot": False, "ignoreServerCertificateError": False}

BROWSER_SPECS: tuple[Spec, ...] = (
    Spec(
        "checkout", "Checkout in the browser", None,
        {
            **_config(f"/?preview_token={planted.START_URL_TOKEN}"),
            "setCookie": f"session={planted.SET_COOKIE}; Domain=shop.example.com; Secure",
            "variables": [
                {"name": "CARD_PIN", "type": "text", "secure": True, "example": planted.BROWSER_VARIABLE},
                {"name": "ORDER_MAIL", "type": "email", "example": "probe+1@shop.example.com"},
            ],
        },
        (N_VIRGINIA, FRANKFURT), DAY_S, type="browser", options={**_PAGE, **_RUM},
        devices=("chrome.laptop_large", "firefox.laptop_large", "edge.laptop_large"), steps=CHECKOUT,
        tags=("env:prod", "journey:buy"), failures=("element", "step_timeout"), fail_share=0.06, flaky_share=0.08,
        script=("element", "pass", "flaky"), in_flight=("scheduled",), has_late=True,
    ),
    Spec(
        "browser-login", "Log in and download an invoice", None, _config("/"), (DUBLIN, FRANKFURT), DAY_S // 2,
        type="browser", options={**_PAGE, "rumSettings": {"isEnabled": False}},
        devices=("chrome.laptop_large", "chrome.tablet"), steps=ACCOUNT, tags=("env:prod", "team:identity"),
        failures=("subtest", "error"), fail_share=0.08, flaky_share=0.1, script=("subtest", "error", "flaky"),
        triggered_per_day=1,
    ),
    Spec(
        "browser-mobile", "Mobile start page", None, _config("/m"), (N_VIRGINIA, TOKYO), DAY_S, type="browser",
        options={**_PAGE, **_RUM}, devices=("chrome.mobile_small", "chrome.tablet"), steps=PROMOTIONS,
        tags=("env:prod", "team:web"), failures=("open_url", "assertion"), fail_share=0.1,
        script=("assertion", "open_url"),
    ),
    Spec(
        "browser-intranet", "Intranet wiki search", None,
        _config("/wiki", url="https://wiki.berlin.internal/search"), (PRIVATE, FRANKFURT), DAY_S, type="browser",
        options=_PAGE, devices=("edge.laptop_large",), steps=CHECKOUT[:2], tags=("site:berlin",),
        failures=("open_url",), script=("pass", "open_url"),
    ),
)  # fmt: skip
