"""Datadog Synthetics (v1 API): what it is. How it is crawled and flattened stands in the modules beside."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.providers.datadog import flatten, flatten_browser, leaves, leaves_config
from pipelines.providers.datadog.crawling import state
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
    ),
    auth=Auth(headers={"DD-API-KEY": "{DD_API_KEY}", "DD-APPLICATION-KEY": "{DD_APP_KEY}"}),
    endpoints=(
        Endpoint("tests", leaves_config.TEST, flatten.tests, keeps_history=True),
        Endpoint("api_result_rows", leaves.API_ROW, flatten.api_result_rows, is_summary=True, state=state),
        Endpoint("api_results", leaves.API_RESULT, flatten.api_results, state=state),
        Endpoint("browser_result_rows", leaves.BROWSER_ROW, flatten_browser.browser_result_rows, is_summary=True, state=state),
        Endpoint("browser_results", leaves.BROWSER_RESULT, flatten_browser.browser_results, state=state),
    ),
    discover=discover,
    # Only until the first answer says X-RateLimit-*: recorded limits are 120 to 1000 per 60 s and call (2020-2022).
    rate_limit=RateLimit(requests=120, per_s=60.0, concurrency=4),
    check_settings=check_settings,
)
