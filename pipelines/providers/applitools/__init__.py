"""Applitools Autonomous: plan runs, as data. Quirks, dates and sources: README.md in this folder."""

from __future__ import annotations

from pipelines.providers.applitools.discover import ENDPOINT, discover, parse_tracked, state
from pipelines.providers.applitools.flatten import NAME, flatten_plan_run
from pipelines.providers.applitools.leaves import PLAN_RUN
from pipelines.providers.applitools.places import PLAN_RUN_PLACES
from pipelines.providers.spec import Auth, Endpoint, Provider, Setting

PROVIDER = Provider(
    name=NAME,
    title="Applitools Autonomous",
    base_url="https://autonomous.applitools.com",
    url_setting="APPLITOOLS_API_URL",
    settings=(
        Setting("APPLITOOLS_API_KEY", "API key", required=True, secret=True),
        Setting("APPLITOOLS_READ_TOKEN", "read token for keys without read permission", secret=True),
        Setting("APPLITOOLS_API_URL", "Autonomous host", default="https://autonomous.applitools.com"),
    ),
    auth=Auth(query={"apiKey": "{APPLITOOLS_API_KEY}"}),
    endpoints=(Endpoint(ENDPOINT, PLAN_RUN, flatten_plan_run, is_partitioned=False, state=state, places=PLAN_RUN_PLACES),),
    discover=discover,
    parse_tracked=parse_tracked,
    tracked_endpoint=ENDPOINT,
    schedule="6-59/15 * * * *",  # beside the others, so that they do not wait for each other's load
)
