"""DocketQA: test runs and the groups they run in, as data. Quirks, dates and sources: README.md in this folder."""

from __future__ import annotations

from pipelines.providers.docketqa.discover import GROUPS, RUNS, discover, parse_tracked, state
from pipelines.providers.docketqa.flatten import NAME, flatten_test_group_run, flatten_test_run
from pipelines.providers.docketqa.leaves import TEST_GROUP_RUN, TEST_RUN
from pipelines.providers.docketqa.places import TEST_GROUP_RUN_PLACES, TEST_RUN_PLACES
from pipelines.providers.spec import Auth, Endpoint, Provider, Setting

PROVIDER = Provider(
    name=NAME,
    title="DocketQA",
    base_url="https://api.docketqa.com",
    url_setting="DOCKETQA_API_URL",
    settings=(
        Setting("DOCKETQA_API_KEY", "API key (Dashboard, CI/CD)", required=True, secret=True),
        Setting("DOCKETQA_API_URL", "address of the API", default="https://api.docketqa.com"),
    ),
    auth=Auth(headers={"X-API-KEY": "{DOCKETQA_API_KEY}"}),
    endpoints=(
        Endpoint(RUNS, TEST_RUN, flatten_test_run, is_partitioned=False, state=state, places=TEST_RUN_PLACES),
        Endpoint(GROUPS, TEST_GROUP_RUN, flatten_test_group_run, is_summary=True, is_partitioned=False, places=TEST_GROUP_RUN_PLACES),
    ),
    discover=discover,
    parse_tracked=parse_tracked,
    tracked_endpoint=RUNS,
    tracked_id=r"[0-9]{1,18}",
    schedule="9-59/15 * * * *",  # beside the others, so that they do not wait for each other's load
)
