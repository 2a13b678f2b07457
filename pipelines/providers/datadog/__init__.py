"""Datadog Synthetics (v1 API, and v2's results where asked for): what it is. The modules beside crawl and flatten it."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.providers.datadog import flatten, flatten_browser, flatten_v2, leaves, leaves_config, leaves_v2, places, places_v2
from pipelines.providers.datadog.crawling import V2_MODES, state, v2_mode, v2_state
from pipelines.providers.datadog.details import parse_detail
from pipelines.providers.datadog.discover import discover
from pipelines.providers.spec import Auth, Endpoint, Provider, RateLimit, Setting

SITES = (
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "uk1.datadoghq.com",
    "datadoghq.eu",
    "ddog-gov.com",
    "us2.ddog-gov.com",
)
"""Sites of the vendor's v1 OpenAPI (2026-11); the result document lists the same without uk1."""


def check_settings(settings: Mapping[str, str]) -> str | None:
    """A sentence about an unusable value, else None."""
    site = settings.get("DD_SITE") or SITES[0]
    if site not in SITES and not settings.get("DATADOG_API_URL"):
        return f"Datadog: DD_SITE is not a Datadog site; it must be one of {', '.join(SITES)}."
    if parse_detail(settings.get("RESULTHOUSE_DATADOG_DETAIL") or "all") is None:
        return "Datadog: RESULTHOUSE_DATADOG_DETAIL must be all, failed, or a share from 0 to 1."
    if v2_mode(settings) not in V2_MODES:
        return f"Datadog: RESULTHOUSE_DATADOG_V2 must be one of {', '.join(V2_MODES)}."
    return None


PROVIDER = Provider(
    name="datadog",
    title="Datadog Synthetics",
    base_url="https://api.{DD_SITE}",
    url_setting="DATADOG_API_URL",
    settings=(
        Setting("DD_API_KEY", "Datadog API key", required=True, secret=True),
        Setting("DD_APP_KEY", "Datadog application key with synthetics_read", required=True, secret=True),
        Setting("DD_SITE", "Datadog site", default=SITES[0]),
        Setting("DATADOG_API_URL", "address to use instead of https://api.<site>"),
        Setting(
            "RESULTHOUSE_DATADOG_DETAIL",
            "which results are fetched in full: all, failed, or a share 0..1",
            default="all",
        ),
        Setting(
            "RESULTHOUSE_DATADOG_V2",
            "whose results API v2 reads: off (none), missing (of mobile, network and multistep tests), all",
            default="off",
        ),
    ),
    auth=Auth(headers={"DD-API-KEY": "{DD_API_KEY}", "DD-APPLICATION-KEY": "{DD_APP_KEY}"}),
    endpoints=(
        Endpoint("tests", leaves_config.TEST, flatten.tests, keeps_history=True, places=places.TEST_PLACES),
        Endpoint("api_result_rows", leaves.API_ROW, flatten.api_result_rows, is_summary=True, state=state, places=places.API_ROW_PLACES),
        Endpoint("api_results", leaves.API_RESULT, flatten.api_results, state=state, places=places.API_RESULT_PLACES),
        Endpoint(
            "browser_result_rows",
            leaves.BROWSER_ROW,
            flatten_browser.browser_result_rows,
            is_summary=True,
            state=state,
            places=places.BROWSER_ROW_PLACES,
        ),
        Endpoint(
            "browser_results", leaves.BROWSER_RESULT, flatten_browser.browser_results, state=state, places=places.BROWSER_RESULT_PLACES
        ),
        Endpoint("v2_result_rows", leaves_v2.ROW, flatten_v2.v2_result_rows, is_summary=True, state=v2_state, places=places_v2.ROWS),
        Endpoint("v2_results", leaves_v2.RESULT, flatten_v2.v2_results, state=v2_state, places=places_v2.RESULTS),
    ),
    discover=discover,
    # Only until the first answer says X-RateLimit-*: recorded limits are 120 to 1000 per 60 s and call (2020-2022).
    rate_limit=RateLimit(requests=120, per_s=60.0, concurrency=4),
    check_settings=check_settings,
)
