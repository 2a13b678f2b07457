"""Checkly's monitoring: check results count once per execution, definitions become versions, and one bad check stops no other."""

import asyncio
import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.errors import DeferredError, FetchError, GoneError, HaltedError, RejectedError
from pipelines.jsontext import dump
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake as RealLake
from pipelines.lake.store import RawRow
from pipelines.providers import load_providers
from pipelines.providers.checkly import PROVIDER
from pipelines.providers.checkly.discover_checks import CHUNK, GIVE_UP_AFTER, SETTING
from pipelines.providers.checkly.paging import RETENTION
from pipelines.providers.spec import Covered, Crawl, Event, Missed, Payload, Reply
from pipelines.schemas import FLATTENED
from pipelines.settings import SettingsError, load_settings
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.transform.validate import conform, split
from tests.contract.test_checkly_discover import Lake
from tests.support.house import House

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures/checkly"
REAL = ROOT.parent / "shared/payloads/checkly"
CHECK = "73d29e72-6540-4bb5-967e-e07fa2c9465e"
SEQUENCE = "9a3e5b60-2c4d-4e8f-8a1b-6c7d8e9f0a21"
NOW = datetime(2026, 11, 22, 6, 30, 15, 500_000, tzinfo=UTC)
SECOND = NOW.replace(microsecond=0)
CONNECTION = duckdb.connect()

Rows = dict[str, list[dict[str, Any]]]


def fixture(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return document


def flatten(endpoint: str, *documents: Any, parent: str | None = CHECK) -> Rows:
    """Rows by table as the load would get them; rejects and drift fail here."""
    declared = PROVIDER.endpoint(endpoint)
    frame = pl.DataFrame(
        {
            "entity_id": [document.get("id", "an-id") for document in documents],
            "parent_id": [parent] * len(documents),
            "fetched_at": [NOW] * len(documents),
            "payload": [json.dumps(document) for document in documents],
        },
        schema_overrides={"parent_id": pl.String, "fetched_at": pl.Datetime("us", "UTC")},
    )
    decoded, rejected = decode(frame, declared.tree, connection=CONNECTION)
    assert rejected.is_empty()
    assert find_drift(frame, decoded, declared.tree, connection=CONNECTION).is_empty()
    rows: Rows = {}
    for name, flattened in declared.flatten(decoded).items():
        if name == "drift":
            assert flattened.is_empty()
            continue
        good, refused = split(conform(flattened, FLATTENED[name]), FLATTENED[name])
        assert refused.is_empty(), (name, refused)
        rows[name] = good.to_dicts()
    return rows


def result(document: dict[str, Any], **changes: Any) -> Rows:
    return flatten("check_results", {**document, **changes})


def definition(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    (row,) = flatten("checks", {**document, **changes}, parent=None)["sightings"]
    return row


# --- results ---------------------------------------------------------------------------------------------------------


def test_an_attempt_and_its_final_are_two_tries_of_one_execution_without_a_run() -> None:
    rows = flatten("check_results", fixture("check_result_attempt"), fixture("check_result_final"))["results"]
    told = [(row["try_kind"], row["outcome"], row["execution_id"], row["attempt"], row["is_terminal"]) for row in rows]
    assert told == [("attempt", "failed", SEQUENCE, 1, True), ("final", "passed", SEQUENCE, 1, True)]
    for row in rows:
        assert (row["run_key"], row["run_id"], row["status"], row["url"]) == (None, None, None, None)
        assert (row["test_id"], row["test_name"], row["location"]) == (CHECK, "Cart: read", "eu-central-1")
        assert json.loads(row["attributes"])["sequenceId"] == SEQUENCE


def test_a_result_has_its_times_codes_and_children() -> None:
    rows = result(fixture("check_result_attempt"))
    (row,) = rows["results"]
    assert (row["duration_ms"], row["response_time_ms"], row["http_status_code"]) == (640.0, 129.0, 503)
    assert row["started_at"] == datetime(2026, 11, 20, 9, 0, 17, tzinfo=UTC)
    assert [(each["outcome"], each["actual"]) for each in rows["assertions"]] == [("failed", "503")]
    assert {each["phase"] for each in rows["timings"] if each["duration_ms"] is not None} >= {"dns", "tcp", "total"}
    assert [each["message"] for each in rows["logs"]] == ["Sending GET request"]
    assert [each["response_body"] for each in rows["exchanges"]] == ['{"error":"later"}']


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "passed"),
        ({"isDegraded": True}, "degraded"),
        ({"hasFailures": True, "isDegraded": True}, "failed"),
        ({"hasErrors": True}, "failed"),
        ({"isCancelled": True, "hasFailures": True}, "cancelled"),
        ({"hasErrors": None}, "unknown"),
    ],
    ids=str,
)
def test_outcome_comes_from_the_flags_because_there_is_no_status(changes: dict[str, Any], outcome: str) -> None:
    (row,) = result(fixture("check_result_final"), **changes)["results"]
    assert (row["outcome"], row["status"]) == (outcome, None)


@pytest.mark.parametrize(
    ("name", "test_type", "table", "column", "value"),
    [
        ("check_result_final", None, "exchanges", "status_code", 200),
        ("check_result_ssl", "ssl", "certificates", "subject_cn", "shop.example.com"),
        ("check_result_grpc", "grpc", "exchanges", "grpc_health_status", "SERVING"),
        ("check_result_traceroute", "traceroute", "hops", "ip", "198.51.100.1"),
        ("check_result_agentic", "agentic", "suggestions", "category", "configuration"),
    ],
)
def test_a_block_tells_the_type_and_gives_the_rows_it_gives_in_a_session(
    name: str, test_type: str | None, table: str, column: str, value: Any
) -> None:
    rows = result(fixture(name))
    assert rows["results"][0]["test_type"] == test_type
    assert rows[table][0][column] == value
    assert rows["assertions"]


@pytest.mark.parametrize("sequence", [{}, {"sequenceId": ""}, {"sequenceId": None}], ids=str)
def test_a_result_without_block_sequence_or_type_is_an_execution_of_its_own(sequence: dict[str, Any]) -> None:
    document = fixture("check_result_tcp") | sequence
    rows = result(document)
    (row,) = rows["results"]
    assert (row["execution_id"], row["try_kind"], row["test_type"], row["outcome"]) == (document["id"], None, None, "passed")
    assert json.loads(row["attributes"])["createdAt"] == document["createdAt"]
    assert not any(rows[name] for name in rows if name not in ("results", "sightings"))


def test_a_result_that_does_not_name_its_check_belongs_to_the_one_it_was_listed_for() -> None:
    (row,) = result(fixture("check_result_final"), checkId=None)["results"]
    assert row["test_id"] == CHECK


def test_a_result_says_nothing_of_its_checks_type() -> None:
    (row,) = result(fixture("check_result_final"))["sightings"]
    assert (row["test_id"], row["origin"], row["name"], row["test_type"]) == (CHECK, "result", "Cart: read", None)


@pytest.mark.skipif(not REAL.is_dir(), reason="the recorded payloads are not beside this checkout")
def test_recorded_check_results_become_rows_of_their_check() -> None:
    names = ["clipublic_minimalCheckResult", "clipublic_agenticCheckResult", "clipublic_sslCheckResult", "clipublic_grpcCheckResult"]
    names += ["gosdk_GetSSLCheckResult", "gosdk_GetGRPCCheckResult", "gosdk_GetTracerouteCheckResult", "clipublic_browserCheckResult"]
    documents = [json.loads((REAL / f"{name}.json").read_text()) for name in names]
    documents += json.loads((REAL / "gosdk_GetCheckResults.json").read_text())
    for number, document in enumerate(documents):
        document["id"] = f"r{number}"
    declared = PROVIDER.endpoint("check_results")
    told = {"entity_id": [document["id"] for document in documents], "payload": [json.dumps(document) for document in documents]}
    frame = pl.DataFrame(told).with_columns(parent_id=pl.lit(CHECK), fetched_at=pl.lit(NOW))
    decoded, _ = decode(frame, declared.tree, connection=CONNECTION)
    flattened = declared.flatten(decoded)
    rows = {row["result_id"]: row for row in split(conform(flattened["results"], FLATTENED["results"]), FLATTENED["results"])[0].to_dicts()}
    for document in documents:
        row = rows[document["id"]]
        assert row["test_id"] == document["checkId"]
        assert row["outcome"] == ("failed" if document["hasFailures"] or document["hasErrors"] else "passed")
        listed = [block.get("assertions") or [] for name, block in document.items() if name.endswith("CheckResult") and block]
        assert flattened["assertions"].filter(pl.col("entity_id") == document["id"]).height == sum(map(len, listed))


# --- definitions -----------------------------------------------------------------------------------------------------


def test_a_definition_tells_what_is_tested_how_often_and_where() -> None:
    row = definition(fixture("check_api"))
    assert (row["test_id"], row["name"], row["test_type"], row["origin"]) == (CHECK, "Cart: read", "api", "definition")
    assert (row["status"], row["is_paused"], row["frequency_s"]) == ("activated", False, 600.0)
    assert (json.loads(row["locations"]), json.loads(row["tags"])) == (["eu-west-1", "us-east-1"], ["shop"])
    assert row["target_url"] == "https://api.shop.example.com/v2/cart"
    assert json.loads(row["config"])["request"]["assertions"][0]["source"] == "STATUS_CODE"
    assert json.loads(row["attributes"])["alertSettings"]["escalationType"] == "RUN_BASED"


def test_high_frequency_and_heartbeat_have_their_own_ways_to_say_how_often() -> None:
    fast, beat = definition(fixture("check_ssl")), definition(fixture("check_heartbeat"))
    assert (fast["frequency_s"], fast["status"], fast["is_paused"]) == (20.0, "muted", False)
    assert (beat["frequency_s"], beat["status"], beat["is_paused"]) == (86400.0, "deactivated", True)
    assert (fast["target_url"], beat["target_url"]) == ("shop.example.com", None)


def test_config_is_the_same_whatever_the_order_of_keys_and_the_nulls() -> None:
    document = fixture("check_api")
    again = copy.deepcopy(dict(reversed(document.items())))
    again["request"] = dict(reversed(document["request"].items())) | {"sslConfig": None}
    assert definition(again)["config"] == definition(document)["config"]
    assert definition(document, maxResponseTime=1)["config"] != definition(document)["config"]


@pytest.mark.parametrize("name", ["check_api", "check_heartbeat"])
def test_secrets_of_a_definition_never_pass_the_masking(name: str) -> None:
    document = fixture(name)
    masked = Redactor(b"k" * 32).redact(document, PROVIDER.endpoint("checks").tree)
    assert "fixture-" in dump(document)
    assert "fixture-" not in dump(masked)
    assert (masked["name"], masked["tags"]) == (document["name"], document["tags"])


def test_what_is_no_secret_of_a_definition_stays_readable() -> None:
    request = Redactor(b"k" * 32).redact(fixture("check_api"), PROVIDER.endpoint("checks").tree)["request"]
    assert request["headers"][0]["value"] == "application/json"
    assert request["queryParameters"][0]["value"] == "2"
    assert request["basicAuth"]["username"] == "probe"


# --- in the warehouse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("attempt", "final"), ("final", "attempt")], ids=str)
def test_an_attempt_waits_for_its_final_and_the_execution_counts_once(tmp_path: Path, order: tuple[str, str]) -> None:
    house = House(tmp_path, None)
    land(house, "checks", fixture("check_api"), parent=None)
    for step, name in enumerate(order):
        land(house, "check_results", fixture(f"check_result_{name}"), parent=CHECK)
        house.refresh()
        finals = house.ask("SELECT outcome, try_kind FROM core.results WHERE is_final")
        assert finals == ([] if (step, name) == (0, "attempt") else [("passed", "final")])
    assert house.ask("SELECT try_number, try_kind FROM core.results ORDER BY 1") == [(1, "attempt"), (2, "final")]
    assert house.ask("SELECT outcome, run_id FROM marts.executions") == [("passed", None)]
    assert house.ask("SELECT count(*) FROM core.runs") == [(0,)]
    joined = "SELECT t.test_type, t.frequency_s FROM core.results r JOIN core.tests t USING (provider, test_id) WHERE t.is_current LIMIT 1"
    assert house.ask(joined) == [("api", 600.0)]


def test_a_changed_definition_is_a_second_version(tmp_path: Path) -> None:
    house = House(tmp_path, None)
    for hour, changes in enumerate(({}, {"updated_at": "2026-11-20T10:00:00.000Z"}, {"maxResponseTime": 9000}, {"activated": False})):
        land(house, "checks", {**fixture("check_api"), **changes}, parent=None, fetched_at=NOW + timedelta(hours=hour))
    house.refresh()
    versions = house.ask("SELECT valid_from_at, config->>'maxResponseTime', is_paused, is_current FROM core.tests ORDER BY 1")
    assert [row[1:] for row in versions] == [("20000", False, False), ("9000", False, False), ("20000", True, True)]


def land(house: House, endpoint: str, document: Any, *, parent: str | None, fetched_at: datetime = NOW) -> None:
    row = RawRow(document["id"], parent, fetched_at.date(), fetched_at, 200, "", dump(document), "", REDACTION_VERSION)
    RealLake(house.settings.lake).land("checkly", endpoint, [row], f"sync-{document['id'][:8]}-{fetched_at:%H}")


# --- what is fetched -------------------------------------------------------------------------------------------------


@dataclass
class Api:
    """Checks and their results, `page_rows` to a list page; `calls` are paths and params. There are no test sessions."""

    results: dict[str, list[datetime]] = field(default_factory=dict)
    failing: dict[str, FetchError] = field(default_factory=dict)
    page_rows: int = 100
    answer: Callable[[str, dict[str, str]], Any] | None = None
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def get(
        self,
        path: str,
        *,
        params: Iterable[tuple[str, str]] = (),
        secret_params: Iterable[tuple[str, str]] = (),
        kind: str = "",
    ) -> Reply:
        query = dict(params)
        if path == "/v1/test-sessions":
            return Reply(200, {"length": 0, "entries": [], "nextId": None}, "sha", 2, path, NOW, {})
        self.calls.append((path, query))
        if path in self.failing:
            raise self.failing[path]
        document = self.answer(path, query) if self.answer is not None else None
        document = self._document(path, query) if document is None else document
        return Reply(200, document, "sha", 2, path, NOW, {})

    def remaining(self, kind: str) -> int | None:
        return None

    def _document(self, path: str, query: dict[str, str]) -> Any:
        size = min(self.page_rows, int(query["limit"]))
        if path == "/v1/checks":
            start = (int(query["page"]) - 1) * size
            return [{"id": name} for name in list(self.results)[start : start + size]]
        check = path.removeprefix("/v2/check-results/")
        inside = [
            {"id": f"{check}-{number}", "startedAt": at.isoformat()}
            for number, at in enumerate(self.results[check])
            if int(query["from"]) <= at.timestamp() < int(query["to"])
        ]
        start = int(query.get("nextId", "0"))
        stop = start + size
        return {"length": size, "entries": inside[start:stop], "nextId": str(stop) if stop < len(inside) else None}

    def asked(self, check: str) -> list[dict[str, str]]:
        return [query for path, query in self.calls if path == f"/v2/check-results/{check}"]


@dataclass
class Covering(Lake):
    """A lake that knows how far each check is covered."""

    scopes: dict[str, datetime] = field(default_factory=dict)

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        return self.scopes.get(scope) if endpoint == "check_results" else None


def crawl(api: Api, lake: Lake | None = None, *, settings: dict[str, str] | None = None, **window: datetime | None) -> list[Event]:
    job = Crawl(
        client=api,
        history=lake or Covering(),
        now=NOW,
        since=window.get("since"),
        until=window.get("until"),
        lookback=timedelta(hours=24),
        start=timedelta(days=2),
        settings=settings or {},
    )

    async def collect() -> list[Event]:
        return [event async for event in PROVIDER.discover(job) if event.endpoint in ("checks", "check_results")]

    return asyncio.run(collect())


def landed(events: list[Event], endpoint: str = "check_results") -> list[str]:
    return [event.entity_id for event in events if isinstance(event, Payload) and event.endpoint == endpoint]


def missed(events: list[Event]) -> list[tuple[str, str, type[Exception]]]:
    return [(event.endpoint, event.entity_id, type(event.error)) for event in events if isinstance(event, Missed)]


def covered(events: list[Event]) -> list[tuple[str, datetime, datetime]]:
    return [(event.scope, event.from_at, event.to_at) for event in events if isinstance(event, Covered)]


def hours_ago(*hours: float) -> list[datetime]:
    return [NOW - timedelta(hours=each) for each in hours]


def test_each_check_is_read_over_its_own_window_with_its_attempts() -> None:
    api = Api({"new": hours_ago(1, 47, 49), "known": hours_ago(2, 26, 40)})
    events = crawl(api, Covering(scopes={"known": NOW - timedelta(hours=3)}))
    assert landed(events, "checks") == ["new", "known"]
    assert landed(events) == ["new-0", "new-1", "known-0", "known-1"]
    assert covered(events) == [("new", SECOND - timedelta(days=2), SECOND), ("known", SECOND - timedelta(hours=27), SECOND)]
    (query,) = api.asked("known")
    assert query == {
        "from": str(int((SECOND - timedelta(hours=27)).timestamp())),
        "to": str(int(SECOND.timestamp())),
        "limit": "100",
        "resultType": "ALL",
    }


def test_results_carry_their_check_and_their_start() -> None:
    (event,) = [each for each in crawl(Api({"c": hours_ago(5)})) if isinstance(each, Payload) and each.endpoint == "check_results"]
    assert (event.parent_id, event.event_at) == ("c", NOW - timedelta(hours=5))


def test_every_page_of_checks_and_results_is_read() -> None:
    api = Api({f"c{number}": hours_ago(1, 2, 3) for number in range(101)}, page_rows=100)
    assert len(landed(crawl(api), "checks")) == 101
    api = Api({"c": hours_ago(1, 2, 3, 4, 5)}, page_rows=2)
    assert landed(crawl(api)) == [f"c-{number}" for number in range(5)]
    assert [query.get("nextId") for query in api.asked("c")] == [None, "2", "4"]


def test_a_long_window_is_covered_piece_by_piece_and_a_failure_keeps_what_was_read() -> None:
    start = SECOND - timedelta(days=20)
    api = Api({"c": [NOW - timedelta(days=days) for days in (1, 10, 19)]})

    def answer(path: str, query: dict[str, str]) -> Any:
        if path != "/v1/checks" and int(query["to"]) == int(SECOND.timestamp()):
            raise RejectedError("no")
        return None

    api.answer = answer
    events = crawl(api, since=start)
    assert covered(events) == [("c", start, start + CHUNK), ("c", start + CHUNK, start + 2 * CHUNK)]
    assert landed(events) == ["c-2", "c-1"]
    assert missed(events) == [("check_results", "c", RejectedError)]


def test_one_failing_check_is_missed_and_the_others_land() -> None:
    api = Api({name: hours_ago(1) for name in ("a", "b", "c")}, {"/v2/check-results/a": GoneError("not there", status=404)})
    events = crawl(api)
    assert missed(events) == [("check_results", "a", GoneError)]
    assert landed(events) == ["b-0", "c-0"]
    assert [scope for scope, _, _ in covered(events)] == ["b", "c"]


def test_what_failed_before_comes_last_and_what_waited_longest_first() -> None:
    api = Api({name: hours_ago(1) for name in ("failed", "fresh", "waited", "never")})
    lake = Covering(scopes={name: NOW - timedelta(hours=hours) for name, hours in (("failed", 9), ("fresh", 1), ("waited", 5))})
    lake.land("check_results", "failed", "open")
    assert landed(crawl(api, lake)) == ["never-0", "waited-0", "fresh-0", "failed-0"]


def test_an_outage_leaves_the_rest_for_the_next_sync() -> None:
    names = [f"c{number}" for number in range(GIVE_UP_AFTER + 3)]
    api = Api({name: hours_ago(1) for name in names}, {f"/v2/check-results/{name}": DeferredError("down") for name in names})
    events = crawl(api)
    assert len(missed(events)) == GIVE_UP_AFTER
    assert len(api.calls) == 1 + GIVE_UP_AFTER


@pytest.mark.parametrize("document", [{"checks": []}, "text", [{"name": "no id"}], [7]], ids=str)
def test_without_a_list_of_checks_the_known_ones_are_read(document: Any) -> None:
    api = Api({"known": hours_ago(1)}, answer=lambda path, query: document if path == "/v1/checks" else None)
    lake = Covering()
    lake.land("checks", "known")
    events = crawl(api, lake)
    assert [each[:2] for each in missed(events)] == [("checks", "")]
    assert landed(events) == ["known-0"]


def test_a_list_of_checks_that_goes_round_in_circles_is_named_and_the_known_ones_are_read() -> None:
    names = [f"c{number}" for number in range(200)]
    pages = {"1": names[:100], "2": names[100:], "3": names[:100]}
    api = Api({name: hours_ago(1) for name in [*names, "known"]})
    api.answer = lambda path, query: [{"id": name} for name in pages[query["page"]]] if path == "/v1/checks" else None
    lake = Covering()
    lake.land("checks", "known")
    events = crawl(api, lake)
    assert missed(events) == [("checks", "", DeferredError)]
    assert landed(events, "checks") == names
    assert len(landed(events)) == 201
    assert [query["page"] for path, query in api.calls if path == "/v1/checks"] == ["1", "2", "3"]


@pytest.mark.fault("P2")
def test_a_list_of_checks_without_end_is_left_at_the_page_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.providers.checkly.discover_checks._MAX_PAGES", 2)
    api = Api({f"c{number}": [] for number in range(350)})
    events = crawl(api)
    assert missed(events) == [("checks", "", DeferredError)]
    assert len(landed(events, "checks")) == 200


@pytest.mark.fault("P16")
def test_what_retention_may_have_taken_is_asked_for_once_and_covered_only_where_something_is_seen() -> None:
    kept_at, known = SECOND - RETENTION, NOW - timedelta(days=70)
    never_covered = crawl(Api({"c": []}), Covering(scopes={"c": known}))
    assert min(span[1] for span in covered(never_covered)) == kept_at
    api = Api({"c": [NOW - timedelta(days=45), NOW - timedelta(days=50)]})
    events = crawl(api, Covering(scopes={"c": known}))
    assert sorted(landed(events)) == ["c-0", "c-1"]
    assert min(span[1] for span in covered(events)) == SECOND - timedelta(days=50)
    assert min(int(query["from"]) for query in api.asked("c")) == int((SECOND - timedelta(days=71)).timestamp())


@pytest.mark.parametrize(
    "document",
    [{"length": 1}, [], {"entries": [{"name": "no id"}], "nextId": None}, {"entries": [{"id": "r"}], "nextId": "same"}],
    ids=str,
)
def test_a_list_of_results_of_another_shape_or_without_end_is_not_covered(document: Any) -> None:
    api = Api({"bad": [], "good": hours_ago(1)}, answer=lambda path, query: document if path.endswith("/bad") else None)
    events = crawl(api)
    assert [each[:2] for each in missed(events)] == [("check_results", "bad")]
    assert [scope for scope, _, _ in covered(events)] == ["good"]
    assert len(api.calls) < 8


@pytest.mark.parametrize("path", ["/v1/checks", "/v2/check-results/c"])
def test_refused_credentials_stop_the_crawl(path: str) -> None:
    with pytest.raises(HaltedError):
        crawl(Api({"c": hours_ago(1)}, {path: HaltedError("the key is refused", status=401)}))


def test_an_id_cannot_leave_its_path() -> None:
    api = Api({"../x?y": []}, answer=lambda path, query: {"entries": [], "nextId": None} if "results" in path else None)
    crawl(api)
    assert api.calls[-1][0] == "/v2/check-results/..%2Fx%3Fy"


# --- the setting -----------------------------------------------------------------------------------------------------


def test_monitoring_can_be_switched_off() -> None:
    api = Api({"c": hours_ago(1)})
    assert crawl(api, settings={SETTING: "off"}) == []
    assert api.calls == []
    assert landed(crawl(api, settings={SETTING: "on"})) == ["c-0"]


@pytest.mark.parametrize("value", ["yes", "ON", "0"])
def test_an_unusable_value_is_said_with_the_settings_name(value: str) -> None:
    keys = {"CHECKLY_API_KEY": "k", "CHECKLY_ACCOUNT_ID": "a"}
    settings = load_settings(load_providers(), environ={**keys, SETTING: value}, dotenv=None)
    with pytest.raises(SettingsError, match=f"Checkly: {SETTING} must be on or off"):
        settings.configured(("checkly",))
    assert load_settings(load_providers(), environ=keys, dotenv=None).configured(("checkly",))
