"""The made-up tests that only v2 has results for: a mobile and two network tests. Other tests: the modules beside.

Definitions follow recorded ones (mobile 2024-11, network 2026-02, in the vendor's Terraform provider); the step types of a mobile test
were never recorded and are assumed.
"""

from __future__ import annotations

from pipelines.providers.datadog.sandbox import planted
from pipelines.providers.datadog.sandbox.http_tests import assertion
from pipelines.providers.datadog.sandbox.specs import DAY_S, DUBLIN, FRANKFURT, N_VIRGINIA, TOKYO, Json, Spec, Step

_PHONE, _TABLET = "synthetics:mobile:device:apple_iphone_15_ios_17", "synthetics:mobile:device:google_pixel_tablet_android_14"


def _device(device_id: str, name: str, kind: str, system: tuple[str, str], width: int, height: int) -> Json:
    return {
        "id": device_id,
        "name": name,
        "type": kind,
        "platform": {"name": system[0], "version": system[1]},
        "resolution": {"width": width, "height": height, "pixel_ratio": 3.0},
    }


MOBILE_DEVICES: dict[str, Json] = {
    _PHONE: _device(_PHONE, "iPhone 15", "phone", ("ios", "17"), 393, 852),
    _TABLET: _device(_TABLET, "Pixel Tablet", "tablet", ("android", "14"), 1600, 2560),
}

_APP = (
    Step("tap", 'Tap on "Sign in"', page="", typical_ms=900),
    Step("typeText", f'Type password "{planted.TYPED_PASSWORD}" in "Password"', planted.TYPED_PASSWORD, page=""),
    Step("scroll", "Scroll to the basket", page="", allow_failure=True, is_critical=False),
    Step("assertElementContent", 'Test "Total" content', "129.90", "equals", page=""),
)


def _path(host: str, port: int) -> Json:
    return {
        "assertions": [
            assertion("latency", 200, "lessThan", property="max"),
            assertion("jitter", 20, "lessThan"),
            assertion("packetLossPercentage", 0.1, "lessThan"),
            assertion("multiNetworkHop", 15, "lessThan", property="max"),
        ],
        "request": {
            "host": host,
            "port": port,
            "source_service": "monitoring",
            "destination_service": "shop",
            "e2e_queries": 10,
            "max_ttl": 30,
            "traceroute_queries": 3,
            "timeout": 20,
        },
    }


V2_SPECS: tuple[Spec, ...] = (
    Spec(
        "mobile-basket", "Basket in the app", None,
        {
            "initialApplicationArguments": {"api_token": planted.APP_ARGUMENT},
            "variables": [{"name": "PIN", "type": "text", "secure": True, "example": planted.BROWSER_VARIABLE}],
        },
        (N_VIRGINIA, DUBLIN), DAY_S, type="mobile", devices=(_PHONE, _TABLET), steps=_APP, tags=("env:prod", "team:app"),
        options={"mobileApplication": {"applicationId": "3d0c0a52-5f0e-4d0b-9c57-2f6f0a4f7a11", "referenceType": "latest"}},
        script=("element", "pass"), failures=("element", "step_timeout"), fail_share=0.1,
    ),
    Spec("network-shop", "Path to the shop", "tcp", _path("shop.example.com", 443), (FRANKFURT, TOKYO), DAY_S // 2, type="network",
         tags=("network:tcp",), typical_ms=1200, script=("assertion", "pass"), failures=("assertion", "timeout")),
    Spec("network-log", "Path to the syslog sink", "udp", _path("log.shop.example.com", 514), (DUBLIN, FRANKFURT), DAY_S,
         type="network", tags=("network:udp",), typical_ms=1500, script=("pass", "timeout"), failures=("timeout",)),
)  # fmt: skip
