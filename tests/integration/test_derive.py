"""What needs several payloads is the same whatever the order in which they were loaded. Worked by hand from documented shapes."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.clock import SystemClock
from pipelines.flows.load import load_new
from pipelines.flows.refresh import work_path
from pipelines.lake.store import Lake, RawRow
from pipelines.warehouse.connect import open_work
from tests.support.house import House

DAY = date(2026, 11, 20)
T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass
class Bench:
    """A house without providers' servers: payloads are landed by hand."""

    house: House
    numbers: Any = field(default_factory=itertools.count)

    def land(self, place: str, entity_id: str, document: Any, *, minute: int = 0, parent_id: str | None = None) -> None:
        provider, endpoint = place.split("/")
        payload = document if isinstance(document, str) else json.dumps(document)
        row = RawRow(entity_id, parent_id, DAY, T0 + timedelta(minutes=minute), 200, "", payload, "", 1)
        Lake(self.house.settings.lake).land(provider, endpoint, [row], f"20261120T12{next(self.numbers):04d}")

    def load(self, *landings: tuple[Any, ...], one_by_one: bool = True) -> None:
        for place, entity_id, document, minute, parent_id in landings:
            self.land(place, entity_id, document, minute=minute, parent_id=parent_id)
            if one_by_one:
                self.house.refresh()
        self.house.refresh()

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        return self.house.ask(sql)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(House(tmp_path, None))


# --- Checkly: a retry while the session runs (worked example 2) ---------------------------------------------------------

SESSION, R1, R2, SEQUENCE = "5e551011-0000-4000-8000-000000000000", "r1", "r2", "5e90e9ce-0000-4000-8000-000000000000"


def _session(status: str) -> dict[str, Any]:
    return {
        "testSessionId": SESSION,
        "name": "Smoke",
        "status": status,
        "errorGroupIds": [],
        "startedAt": "2026-11-20T11:50:00.000Z",
        "stoppedAt": None if status == "RUNNING" else "2026-11-20T11:55:00.000Z",
        "timeElapsed": 300000,
        "metadata": {"branchName": "main"},
        "results": [],
    }


def _result(result_id: str, status: str, kind: str, started: str) -> dict[str, Any]:
    return {
        "testSessionResultId": result_id,
        "id": result_id,
        "checkType": "API",
        "status": status,
        "resultType": kind,
        "name": "Login",
        "filePath": "a.check.ts",
        "checkId": None,
        "sequenceId": SEQUENCE,
        "hasErrors": False,
        "hasFailures": status == "FAILED",
        "isDegraded": False,
        "aborted": False,
        "isCancelled": False,
        "overMaxResponseTime": False,
        "attempts": 1,
        "traceId": None,
        "created_at": started,
        "startedAt": started,
        "stoppedAt": None if status == "RUNNING" else "2026-11-20T11:52:00.000Z",
    }


CHECKLY = (
    ("checkly/test_sessions", SESSION, _session("RUNNING"), 0, None),
    ("checkly/test_session_results", R1, _result(R1, "FAILED", "ATTEMPT", "2026-11-20T11:50:30.000Z"), 0, SESSION),
    ("checkly/test_session_results", R2, _result(R2, "RUNNING", "PENDING", "2026-11-20T11:51:30.000Z"), 0, SESSION),
    ("checkly/test_sessions", SESSION, _session("PASSED"), 10, None),
    ("checkly/test_session_results", R2, _result(R2, "PASSED", "FINAL", "2026-11-20T11:51:30.000Z"), 10, SESSION),
)
TRIES = "SELECT result_id, outcome, try_number, is_final FROM core.results ORDER BY 1"


def test_attempt_is_not_final_while_its_retry_runs(bench: Bench) -> None:
    bench.load(*CHECKLY[:3])
    assert bench.ask(TRIES) == [("r1", "failed", 1, False), ("r2", "running", 2, False)]
    assert bench.ask("SELECT outcome, passed_count, failed_count, pending_count FROM core.runs") == [("running", 0, 0, 1)]
    assert bench.ask("SELECT count(*) FROM marts.executions") == [(0,)]
    assert bench.ask("SELECT DISTINCT test_id FROM core.results") == [("name:a.check.ts::Login",)]


@pytest.mark.fault("P12")
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 1, 4, 0, 2), (2, 4, 0, 3, 1)])
def test_retry_that_passed_counts_once_in_every_order(bench: Bench, order: tuple[int, ...]) -> None:
    bench.load(*(CHECKLY[place] for place in order))
    assert bench.ask(TRIES) == [("r1", "failed", 1, False), ("r2", "passed", 2, True)]
    assert bench.ask("SELECT outcome, is_terminal, passed_count, failed_count, pending_count FROM core.runs") == [("passed", True, 1, 0, 0)]
    assert bench.ask("SELECT outcome FROM marts.executions") == [("passed",)]
    assert bench.ask("SELECT passes_on_retry FROM marts.flaky_tests") == [(1,)]
    states = bench.ask("SELECT entity_id, state, count(*) FROM meta.versions GROUP BY ALL ORDER BY ALL")
    assert states == [(SESSION, "loaded", 1), (SESSION, "superseded", 1), ("r1", "loaded", 1), ("r2", "loaded", 1), ("r2", "superseded", 1)]


def test_attempts_alone_have_a_final_one_when_their_session_has_ended(bench: Bench) -> None:
    bench.load(CHECKLY[1], CHECKLY[3])
    assert bench.ask(TRIES) == [("r1", "failed", 1, True)]


@pytest.mark.fault("H29", "P12")
def test_final_result_never_goes_back_to_running(bench: Bench) -> None:
    later = ("checkly/test_session_results", R2, _result(R2, "RUNNING", "PENDING", "2026-11-20T11:51:30.000Z"), 60, SESSION)
    bench.load(*CHECKLY, later)
    assert bench.ask("SELECT outcome FROM core.results WHERE result_id = 'r2'") == [("passed",)]


# --- Datadog: list row and detail -----------------------------------------------------------------------------------------


def _row(**result: Any) -> dict[str, Any]:
    return {
        "status": 1,
        "check_time": 1763640000123,
        "check_version": 1,
        "probe_dc": "aws:eu-west-1",
        "result_id": "16334500735347249235",
        "result": {"timings": {"total": 99.5, "dns": 1.5}, **result},
    }


def _detail(**result: Any) -> dict[str, Any]:
    assertions = [
        {"type": "statusCode", "operator": "is", "target": 200},
        {"type": "header", "operator": "is", "property": "content-type", "target": "text/html"},
    ]
    check = {"config": {"assertions": assertions, "request": {"method": "GET", "url": "https://a.example"}}, "options": {"tick_every": 60}}
    return {**_row(), "check": check, "result": {"eventType": "finished", "timings": {"total": 100.5, "ssl": 7}, **result}}


FAILED_LIST = json.dumps(
    [{"index": 1, "type": "header", "operator": "is", "property": "content-type", "target": "text/html", "valid": False, "actual": "x"}]
)
ROW = ("datadog/api_result_rows", "16334500735347249235", _row(errorMessage=FAILED_LIST, initialResultID="77"), 0, "abc-def-ghi")
DETAIL = ("datadog/api_results", "16334500735347249235", _detail(), 1, "abc-def-ghi")


@pytest.mark.parametrize("landings", [(ROW, DETAIL), (DETAIL, ROW)])
def test_detail_wins_and_the_row_fills_what_it_lacks(bench: Bench, landings: tuple[Any, ...]) -> None:
    bench.load(*landings)
    assert bench.ask("SELECT result_id, has_detail, outcome, duration_ms, execution_id, location FROM core.results") == [
        ("16334500735347249235", True, "failed", 100.5, "77", "aws:eu-west-1")
    ]
    assert bench.ask("SELECT phase, duration_ms FROM core.timings ORDER BY 1") == [("tls", 7.0), ("total", 100.5)]
    assert bench.ask("SELECT assertion_index, outcome, actual, outcome_endpoint FROM core.assertions ORDER BY 1") == [
        (0, "unknown", None, "datadog/api_results"),
        (1, "failed", "x", "datadog/api_result_rows"),
    ]


def test_row_alone_makes_the_result(bench: Bench) -> None:
    bench.load(ROW)
    assert bench.ask("SELECT has_detail, outcome, duration_ms FROM core.results") == [(False, "failed", 99.5)]
    assert bench.ask("SELECT phase FROM core.timings ORDER BY 1") == [("dns",), ("total",)]


@pytest.mark.fault("P14")
def test_result_takes_the_name_that_its_test_had(bench: Bench) -> None:
    def definition(name: str, minute: int) -> tuple[Any, ...]:
        document = {"public_id": "abc-def-ghi", "name": name, "type": "api", "status": "live", "locations": [], "tags": []}
        return ("datadog/tests", "abc-def-ghi", document, minute, None)

    bench.load(DETAIL, definition("New name", 600), definition("Old name", 2))
    versions = "SELECT name, is_current FROM core.tests WHERE name IS NOT NULL ORDER BY valid_from_at"
    assert [row for row in bench.ask(versions) if row[1]] == [("New name", True)]
    assert bench.ask("SELECT test_name FROM core.results") == [("Old name",)]


def _at(minute: int) -> tuple[Any, ...]:
    row = {**_row(), "result_id": f"at-{minute}", "check_time": (T0 + timedelta(minutes=minute)).timestamp() * 1000}
    return ("datadog/api_result_rows", f"at-{minute}", row, 700, "abc-def-ghi")


def _version(tag: str, minute: int, name: str = "Home") -> tuple[Any, ...]:
    document = {"public_id": "abc-def-ghi", "name": name, "type": "api", "status": "live", "locations": [], "tags": [tag]}
    return ("datadog/tests", "abc-def-ghi", document, minute, None)


@pytest.mark.fault("P14")
@pytest.mark.parametrize("shuffle", range(6))
def test_result_joins_to_the_test_version_that_produced_it(bench: Bench, shuffle: int) -> None:
    landings = [_version("v1", 10), _version("v2", 300), _version("v3", 600), _at(-5), _at(20), _at(299), _at(301), _at(650)]
    random.Random(shuffle).shuffle(landings)
    bench.load(*landings, one_by_one=shuffle < 3)
    joined = "SELECT result_id, tags FROM core.results r JOIN core.tests t ON (t.provider, t.test_id, t.valid_from_at)"
    joined += " = (r.provider, r.test_id, r.test_valid_from_at) ORDER BY started_at"
    assert bench.ask(joined) == [
        ("at--5", '["v1"]'),
        ("at-20", '["v1"]'),
        ("at-299", '["v1"]'),
        ("at-301", '["v2"]'),
        ("at-650", '["v3"]'),
    ]


def test_days_of_a_test_are_built_anew_when_its_name_changes_and_not_when_its_configuration_does(bench: Bench) -> None:
    bench.load(_version("v1", 10), _at(-1500), _at(20))
    with open_work(work_path(bench.house.settings)) as connection:
        connection.execute("UPDATE marts.executions SET url = 'built before'")
    built = "SELECT result_id, test_name, url FROM marts.executions ORDER BY started_at"
    bench.load(_version("v2", 300))
    assert bench.ask(built) == [("at--1500", "Home", "built before"), ("at-20", "Home", "built before")]
    bench.load(_version("v2", 600, name="Start page"))
    assert bench.ask(built) == [("at--1500", "Start page", None), ("at-20", "Start page", None)]


@pytest.mark.parametrize("shuffle", range(4))
def test_days_that_were_not_built_anew_are_those_of_a_rebuild(bench: Bench, shuffle: int) -> None:
    names = [("v1", 10, "Home"), ("v2", 300, "Home"), ("v2", 600, "Start page"), ("v3", 900, "Start page")]
    landings = [*(_version(tag, minute, name) for tag, minute, name in names), *(_at(minute) for minute in (-1500, 20, 301, 650, 3000))]
    random.Random(shuffle).shuffle(landings)
    bench.load(*landings)
    found = bench.house.hashes(("core", "marts"))
    bench.house.refresh(rebuild=True)
    assert bench.house.hashes(("core", "marts")) == found


@pytest.mark.parametrize("shuffle", range(4))
def test_rename_that_only_results_saw_is_a_version_of_its_own_name(bench: Bench, shuffle: int) -> None:
    def seen(name: str, day: int) -> tuple[Any, ...]:
        started = f"2026-11-{day:02d}T08:00:00.000Z"
        document = {"id": f"on-{day}", "checkId": "c1", "name": name, "hasFailures": False, "hasErrors": False, "startedAt": started}
        return ("checkly/check_results", f"on-{day}", document, 0, "c1")

    definition = ("checkly/checks", "c1", {"id": "c1", "name": "New", "checkType": "API", "activated": True}, 0, None)
    landings = [seen("Old", 17), seen("Old", 18), seen("New", 19), definition]
    random.Random(shuffle).shuffle(landings)
    bench.load(*landings, one_by_one=shuffle < 2)
    assert bench.ask("SELECT name, is_current FROM core.tests ORDER BY valid_from_at") == [("Old", False), ("New", True)]
    names = "SELECT result_id, test_name, t.name FROM core.results r JOIN core.tests t ON (t.test_id, t.valid_from_at)"
    names += " = (r.test_id, r.test_valid_from_at) ORDER BY 1"
    assert bench.ask(names) == [("on-17", "Old", "Old"), ("on-18", "Old", "Old"), ("on-19", "New", "New")]


# --- DocketQA: a group told by its trigger response, then by its members (worked example 3) ------------------------------------


def _run(status: str, updated: str) -> dict[str, Any]:
    return {
        "test_run": {
            "id": 38,
            "status": status,
            "test_blueprint_id": 180,
            "test_group_run_id": 35,
            "blueprint_metadata": {"id": 180, "title": "Login Flow", "type": "integration", "starting_url": "https://a.example"},
            "results": None,
            "created_at": "2025-07-03T01:38:03.032648+00:00",
            "updated_at": updated,
        }
    }


GROUP = {
    "message": "ok",
    "test_group_run": {
        "id": 35,
        "name": "Nightly",
        "status": "running",
        "test_runs": [{"id": 38, "status": "running", "test_blueprint_id": 180, "test_group_run_id": 35}],
    },
}


def test_group_runs_until_its_members_have_ended(bench: Bench) -> None:
    bench.load(("docketqa/test_group_runs", "35", GROUP, 0, None))
    assert bench.ask("SELECT run_id, kind, name, outcome, is_terminal FROM core.runs") == [
        ("35", "test_group_run", "Nightly", "running", False)
    ]
    assert bench.ask("SELECT result_id, outcome, has_detail FROM core.results") == [("38", "running", False)]
    bench.load(("docketqa/test_runs", "38", _run("failed", "2025-07-03T01:40:05.043914+00:00"), 5, None))
    assert bench.ask("SELECT result_id, outcome, has_detail, duration_ms FROM core.results") == [("38", "failed", True, 122011.266)]
    assert bench.ask("SELECT outcome, is_terminal, failed_count, duration_ms FROM core.runs") == [("failed", True, 1, 122011.266)]


def test_member_alone_makes_its_group(bench: Bench) -> None:
    bench.load(("docketqa/test_runs", "38", _run("passed", "2025-07-03T01:40:05.043914+00:00"), 5, None))
    assert bench.ask("SELECT run_id, kind, outcome, passed_count FROM core.runs") == [("35", "test_group_run", "passed", 1)]


# --- dead letters and damage -----------------------------------------------------------------------------------------------


@pytest.mark.fault("D13")
def test_unreadable_payload_is_a_reject_and_the_others_go_on(bench: Bench) -> None:
    bench.load(("docketqa/test_runs", "1", "[1]", 0, None), ("docketqa/test_runs", "2", '{"test_run": 5}', 0, None), ROW, one_by_one=False)
    assert bench.ask("SELECT entity_id, rule, scope FROM meta.rejects WHERE provider = 'docketqa' ORDER BY 1")[0] == (
        "1",
        "not_an_object",
        "payload",
    )
    assert bench.ask("SELECT count(*) FROM core.results WHERE provider = 'datadog'") == [(1,)]
    assert bench.ask("SELECT count(*) FROM meta.loads WHERE payloads <> loaded + superseded + rejected") == [(0,)]


def test_good_version_resolves_a_reject(bench: Bench) -> None:
    bench.load(("docketqa/test_runs", "38", "[1]", 0, None))
    bench.load(("docketqa/test_runs", "38", _run("passed", "2025-07-03T01:40:05.043914+00:00"), 5, None))
    assert bench.ask("SELECT entity_id, resolved_at IS NOT NULL FROM meta.rejects") == [("38", True)]


@pytest.mark.fault("S9")
def test_damaged_file_is_reported_and_not_loaded(bench: Bench) -> None:
    bench.load(ROW)
    bench.land("docketqa/test_runs", "38", _run("passed", "2025-07-03T01:40:05.043914+00:00"))
    (path,) = (Path(bench.house.settings.lake) / "raw/docketqa").rglob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    report = bench.house.refresh()
    assert len(report.load.damaged) == 1
    assert path.name in report.load.damaged[0]
    assert bench.ask("SELECT DISTINCT provider FROM core.results") == [("datadog",)]


@pytest.mark.fault("S1")
def test_crash_between_load_and_publish_is_made_good_by_the_next_run(bench: Bench) -> None:
    bench.load(ROW)
    bench.land(*DETAIL[:3], parent_id=DETAIL[4])
    settings = bench.house.settings
    with open_work(work_path(settings)) as connection:  # as far as a run came that was killed before it published
        assert load_new(connection, Lake(settings.lake), Lake(settings.lake).raw_files(), settings.providers, SystemClock()).files == 1
    assert bench.ask("SELECT has_detail FROM core.results") == [(False,)]
    report = bench.house.refresh()
    assert (report.load.files, report.published) == (0, True)
    assert bench.ask("SELECT has_detail FROM core.results") == [(True,)]


def test_reader_sees_only_what_is_declared_and_every_column_says_what_it_is(bench: Bench) -> None:
    bench.load(ROW, DETAIL)
    columns = "SELECT schema_name, table_name, column_name, comment, data_type FROM duckdb_columns() WHERE NOT internal"
    found = bench.ask(columns)
    assert {row[0] for row in found} == {"core", "marts", "meta"}
    assert [row for row in found if not row[3]] == []
    assert [row for row in found if any(word in str(row[4]) for word in ("[]", "STRUCT", "MAP"))] == []
    declared = bench.ask("SELECT schema_name, table_name, column_name FROM meta.columns ORDER BY ALL")
    assert sorted((schema, table, column) for schema, table, column, *_ in found) == declared
    assert bench.ask("SELECT table_name FROM duckdb_tables() WHERE comment IS NULL") == []
    assert bench.ask("SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL") == []
