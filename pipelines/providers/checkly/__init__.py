"""Checkly: test sessions and their results, as data. Quirks, dates and sources: README.md in this folder."""

from __future__ import annotations

from pipelines.providers.checkly.discover import discover
from pipelines.providers.checkly.flatten import NAME, flatten_result, flatten_session, flatten_session_row
from pipelines.providers.checkly.leaves import RESULT, SESSION, SESSION_ROW
from pipelines.providers.spec import Auth, Document, Endpoint, Provider, RateLimit, Setting, State


def session_state(document: Document) -> State:
    """A session is fetched again while its status is RUNNING."""
    return "open" if document.get("status") == "RUNNING" else "final"


def result_state(document: Document) -> State:
    """A result is fetched again while it runs or waits to run."""
    is_open = document.get("status") == "RUNNING" or document.get("resultType") == "PENDING"
    return "open" if is_open else "final"


PROVIDER = Provider(
    name=NAME,
    title="Checkly",
    base_url="https://api.checklyhq.com",
    url_setting="CHECKLY_API_URL",
    settings=(
        Setting("CHECKLY_API_KEY", "API key of a user or a service", required=True, secret=True),
        Setting("CHECKLY_ACCOUNT_ID", "id of the account (Settings, General)", required=True),
        Setting("CHECKLY_API_URL", "address of the API", default="https://api.checklyhq.com"),
    ),
    auth=Auth(headers={"Authorization": "Bearer {CHECKLY_API_KEY}", "X-Checkly-Account": "{CHECKLY_ACCOUNT_ID}"}),
    endpoints=(
        Endpoint("test_session_rows", SESSION_ROW, flatten_session_row, is_summary=True),
        Endpoint("test_sessions", SESSION, flatten_session, state=session_state),
        Endpoint("test_session_results", RESULT, flatten_result, state=result_state),
    ),
    discover=discover,
    account=("CHECKLY_ACCOUNT_ID",),
    rate_limit=RateLimit(requests=600, per_s=60.0),
    schedule="3-59/15 * * * *",  # beside the others, so that they do not wait for each other's load
)
