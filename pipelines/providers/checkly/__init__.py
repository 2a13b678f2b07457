"""Checkly: test sessions, monitoring runs and their results, as data. Quirks, dates and sources: README.md in this folder."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.providers.checkly import places, places_checks
from pipelines.providers.checkly.discover import discover
from pipelines.providers.checkly.discover_checks import SETTING as RUNS
from pipelines.providers.checkly.flatten import NAME, flatten_result, flatten_session, flatten_session_row
from pipelines.providers.checkly.flatten_checks import flatten_check, flatten_check_result
from pipelines.providers.checkly.leaves import RESULT, SESSION, SESSION_ROW
from pipelines.providers.checkly.leaves_checks import CHECK, CHECK_RESULT
from pipelines.providers.spec import Auth, Document, Endpoint, Provider, RateLimit, Setting, State


def session_state(document: Document) -> State:
    """A session is fetched again while its status is RUNNING."""
    return "open" if document.get("status") == "RUNNING" else "final"


def result_state(document: Document) -> State:
    """A result is fetched again while it runs or waits to run."""
    is_open = document.get("status") == "RUNNING" or document.get("resultType") == "PENDING"
    return "open" if is_open else "final"


def check_settings(settings: Mapping[str, str]) -> str | None:
    """A sentence about an unusable value, else None."""
    if (settings.get(RUNS) or "on") not in ("on", "off"):
        return f"Checkly: {RUNS} must be on or off."
    return None


PROVIDER = Provider(
    name=NAME,
    title="Checkly",
    base_url="https://api.checklyhq.com",
    url_setting="CHECKLY_API_URL",
    settings=(
        Setting("CHECKLY_API_KEY", "API key of a user or a service", required=True, secret=True),
        Setting("CHECKLY_ACCOUNT_ID", "id of the account (Settings, General)", required=True),
        Setting("CHECKLY_API_URL", "address of the API", default="https://api.checklyhq.com"),
        Setting(RUNS, "whether monitoring runs are fetched beside test sessions: on or off", default="on"),
    ),
    auth=Auth(headers={"Authorization": "Bearer {CHECKLY_API_KEY}", "X-Checkly-Account": "{CHECKLY_ACCOUNT_ID}"}),
    endpoints=(
        Endpoint("test_session_rows", SESSION_ROW, flatten_session_row, is_summary=True, places=places.SESSION_ROW_PLACES),
        Endpoint("test_sessions", SESSION, flatten_session, state=session_state, places=places.SESSION_PLACES),
        Endpoint("test_session_results", RESULT, flatten_result, state=result_state, places=places.RESULT_PLACES),
        Endpoint("checks", CHECK, flatten_check, keeps_history=True, places=places_checks.CHECK),
        Endpoint("check_results", CHECK_RESULT, flatten_check_result, places=places_checks.CHECK_RESULT),
    ),
    discover=discover,
    account=("CHECKLY_ACCOUNT_ID",),
    rate_limit=RateLimit(requests=600, per_s=60.0, kinds={"check_results": 60}),
    check_settings=check_settings,
    schedule="3-59/15 * * * *",  # beside the others, so that they do not wait for each other's load
)
