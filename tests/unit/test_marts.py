"""Marts against rows made by hand: every expected number here was worked out on paper."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pipelines.errors import WarehouseError
from pipelines.schemas.marts import BY_DAY, BY_RESULT, BY_RUN, BY_TEST, MARTS, VIEWS
from pipelines.warehouse import marts as room
from tests.support.warehouse import NOON, Warehouse, key_of

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ODD_ID = "it's \0 odd"


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture(scope="module")
def bare() -> Warehouse:
    """Built without a row; not to be written to."""
    warehouse = Warehouse()
    warehouse.build()
    return warehouse


def outcomes(warehouse: Warehouse, *words: str, **values: object) -> list[int]:
    """One execution per outcome, an hour apart."""
    return [warehouse.result(word, NOON + HOUR * i, **values) for i, word in enumerate(words)]


# ------------------------------------------------------------------------------------------------------ declaration
@pytest.mark.parametrize("name", MARTS)
def test_a_mart_has_exactly_the_declared_columns_comments_and_kind(bare: Warehouse, name: str) -> None:
    table = MARTS[name]
    found = bare.rows(
        "SELECT column_name, data_type, comment FROM duckdb_columns()"
        f" WHERE schema_name = 'marts' AND table_name = '{name}' ORDER BY column_index"
    )
    types = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}
    assert [(row["column_name"], types.get(str(row["data_type"]), row["data_type"])) for row in found] == [
        (column, declared.metadata["sql"]) for column, declared in table.columns.items()
    ]
    assert all(str(row["comment"]).startswith(str(table.columns[str(row["column_name"])].description)) for row in found)
    kinds = bare.rows(
        f"SELECT 'view' AS kind, comment FROM duckdb_views() WHERE schema_name = 'marts' AND view_name = '{name}'"
        f" UNION ALL SELECT 'table', comment FROM duckdb_tables() WHERE schema_name = 'marts' AND table_name = '{name}'"
    )
    assert kinds == [{"kind": "view" if name in VIEWS else "table", "comment": table.description}]


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_is_one_select_that_says_what_it_answers(name: str) -> None:
    sql = room.select_of(name)
    first, *_ = sql.splitlines()
    assert first.startswith("-- ")
    assert "?" in first
    code = "\n".join(line.partition("--")[0] for line in sql.splitlines()).strip().upper()
    assert code.startswith(("SELECT", "WITH"))
    assert ";" not in code
    assert not {"CREATE", "INSERT", "UPDATE", "DELETE", "DROP", "COPY", "ATTACH"} & set(code.split())


def test_only_views_ask_for_the_time_so_that_a_rebuild_gives_equal_tables() -> None:
    assert {name for name in MARTS if "now()" in room.select_of(name)} == VIEWS


def test_a_select_that_differs_from_its_declaration_is_refused_and_the_marts_of_before_stand(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes(warehouse, "passed")
    warehouse.build()
    outcomes(warehouse, "failed", result_id="another")
    warehouse.write()
    honest = room.select_of

    def altered(name: str) -> str:
        return "SELECT 1 AS provider" if name == "slo" else honest(name)

    monkeypatch.setattr(room, "select_of", altered)
    with pytest.raises(WarehouseError, match=r"marts\.slo: column 0 is provider INTEGER in its SELECT and provider VARCHAR"):
        room.build_marts(warehouse.connection)
    assert warehouse.row("SELECT count(*) AS n FROM marts.executions") == {"n": 1}


def test_building_again_replaces_and_counts(warehouse: Warehouse) -> None:
    assert set(warehouse.build().values()) == {0}
    outcomes(warehouse, "passed", "failed")
    rows = warehouse.build()
    assert rows["executions"] == 2
    assert rows["slo"] == 3
    assert warehouse.build() == rows


def test_only_changed_results_and_their_days_are_built_anew(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        result_id: warehouse.result("passed", started_at, result_id=result_id, location=result_id, test_id=test_id)
        for result_id, started_at, test_id in (
            ("old", NOON - DAY, "a"),
            ("new", NOON, "a"),
            ("beside it", NOON, "a"),
            ("undated", None, "a"),
            ("undated of another test", None, "quiet"),
        )
    }
    warehouse.build()
    built = {name: warehouse.rows(f"FROM marts.{name} ORDER BY ALL") for name in BY_RESULT | BY_DAY}
    marks = ["UPDATE marts.executions SET url = 'built before'", "UPDATE marts.daily_reliability SET test_name = 'built before'"]
    cases: list[tuple[str | None, set[str], set[str]]] = [
        (None, set(), set()),
        ("new", {"new"}, {"new", "beside it"}),
        ("undated", {"undated"}, {"undated"}),
    ]
    for changed, executions, places in cases:
        for mark in marks:
            warehouse.connection.execute(mark)
        if changed:
            warehouse.note(keys[changed])
        room.build_marts(warehouse.connection)
        assert {row["result_id"] for row in warehouse.rows("FROM marts.executions WHERE url IS NULL")} == executions
        found = warehouse.rows("FROM marts.daily_reliability WHERE test_name IS DISTINCT FROM 'built before'")
        assert {row["location"] for row in found} == places
    honest = room.select_of
    monkeypatch.setattr(room, "select_of", lambda name: honest(name) + " -- of another version")
    room.build_marts(warehouse.connection)
    assert {name: warehouse.rows(f"FROM marts.{name} ORDER BY ALL") for name in built} == built


@pytest.mark.parametrize("most", [500, 1])
def test_a_month_that_did_not_change_is_not_read_again(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    days = {date(2026, 9, 20): "failed", date(2026, 9, 30): "passed", date(2026, 10, 5): "failed", date(2026, 10, 31): "passed"}
    for test_id in ("changed", "changed too", "quiet"):
        for day, outcome in days.items():
            key = warehouse.result(
                outcome, datetime(day.year, day.month, day.day, tzinfo=UTC), test_id=test_id, result_id=f"{test_id} {day}"
            )
            warehouse.add("core.errors", result_key=key, error_index=0, step_index=-1, message="broken", fingerprint="f")
    warehouse.build()
    warehouse.connection.execute("UPDATE marts.executions SET failure_reason = 'read again'")
    warehouse.note(key_of("datadog", "changed 2026-10-31", 1), key_of("datadog", "changed too 2026-10-31", 1))
    monkeypatch.setattr(room, "_MOST_PARTS", most)  # the month of these tests, or of all tests when they are too many to be named
    room.build_marts(warehouse.connection)
    found = warehouse.rows("SELECT test_id, started_at::DATE AS day FROM marts.incidents WHERE first_error = 'read again' ORDER BY ALL")
    anew = ["changed", "changed too"] if most > 1 else ["changed", "changed too", "quiet"]
    assert found == [{"test_id": test_id, "day": date(2026, 10, 5)} for test_id in anew]


def test_a_streak_goes_on_from_one_month_to_the_next(warehouse: Warehouse) -> None:
    for days in (0, 20, 40, 60, 80):  # four months: passed, then a failure in each, then passed again
        warehouse.result("failed" if 0 < days < 80 else "passed", NOON - DAY * (80 - days), try_number=2)
    warehouse.build()
    streak = warehouse.row("SELECT failures, started_at, last_failed_at, ended_at, is_open FROM marts.incidents")
    assert streak == {
        "failures": 3,
        "started_at": NOON - 60 * DAY,
        "last_failed_at": NOON - 20 * DAY,
        "ended_at": NOON,
        "is_open": False,
    }
    # a pass on retry that is no flip, the flip to the failures, and a flip that is a pass on retry, too
    assert warehouse.row("SELECT executions, flips, passes_on_retry, score, first_seen_at, last_seen_at FROM marts.flaky_tests") == {
        "executions": 5,
        "flips": 2,
        "passes_on_retry": 2,
        "score": 0.6,
        "first_seen_at": NOON - 80 * DAY,
        "last_seen_at": NOON,
    }


@pytest.mark.parametrize(("most", "anew"), [(500, {ODD_ID, "third"}), (1, {ODD_ID, "third", "other"})])
def test_only_tests_with_changed_results_are_built_anew_unless_they_are_many(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, most: int, anew: set[str]
) -> None:
    for test_id in (ODD_ID, "third", "other"):
        for hour, outcome in enumerate(("passed", "failed")):
            key = warehouse.result(outcome, NOON + HOUR * hour, test_id=test_id)
            warehouse.add("core.steps", result_key=key, step_index=0, kind="click", outcome=outcome, duration_ms=5.0)
            warehouse.add("core.assertions", result_key=key, assertion_index=0, step_index=-1, outcome=outcome)
    warehouse.build()
    built = {name: warehouse.rows(f"FROM marts.{name} ORDER BY ALL") for name in BY_TEST}
    for name in BY_TEST:
        warehouse.connection.execute(f"UPDATE marts.{name} SET test_name = 'built before'")
    for test_id in (ODD_ID, "third"):
        warehouse.note(*(row["result_key"] for row in warehouse.rows("FROM core.results") if row["test_id"] == test_id))
    monkeypatch.setattr(room, "_MOST_PARTS", most)
    room.build_marts(warehouse.connection)
    for name, before in built.items():
        assert {row["test_id"] for row in warehouse.rows(f"FROM marts.{name} WHERE test_name = 'Checkout'")} == anew
        warehouse.connection.execute(f"UPDATE marts.{name} SET test_name = 'Checkout'")
        assert warehouse.rows(f"FROM marts.{name} ORDER BY ALL") == before


def test_only_runs_that_changed_are_built_anew(warehouse: Warehouse) -> None:
    keys = {run_id: warehouse.run(run_id) for run_id in ("first", "second", "third")}
    for key in keys.values():
        warehouse.result("passed", run_key=key, duration_ms=5.0)
    warehouse.build()
    before = warehouse.rows("FROM marts.run_summary ORDER BY ALL")
    warehouse.connection.execute("UPDATE marts.run_summary SET slowest_test_name = 'built before'")
    warehouse.connection.execute("INSERT INTO stage.changed_runs VALUES (?), (?)", [keys["first"], keys["third"]])
    room.build_marts(warehouse.connection)
    anew = warehouse.rows("SELECT run_id FROM marts.run_summary WHERE slowest_test_name = 'Checkout' ORDER BY ALL")
    assert anew == [{"run_id": "first"}, {"run_id": "third"}]
    warehouse.connection.execute("UPDATE marts.run_summary SET slowest_test_name = 'Checkout'")
    assert warehouse.rows("FROM marts.run_summary ORDER BY ALL") == before


def test_a_mart_that_is_built_in_parts_is_the_same(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [warehouse.run(f"run {number}") for number in range(4)]
    for number in range(12):
        test_id, day = ("a", "b", "c", ODD_ID)[number % 4], None if number == 5 else NOON - DAY * (number % 5)
        outcome = "failed" if number % 3 else "passed"
        key = warehouse.result(outcome, day, result_id=str(number), test_id=test_id, run_key=runs[number % 3])
        phase = {"phase": "dns", "phase_raw": "dns", "is_total": False}
        warehouse.add("core.timings", result_key=key, step_index=-1, duration_ms=float(number), **phase)
        warehouse.add("core.steps", result_key=key, step_index=0, kind="click", outcome=outcome, duration_ms=float(number))
    counts = warehouse.build()
    built = {name: warehouse.rows(f"FROM marts.{name} ORDER BY ALL") for name in BY_RESULT | BY_DAY | BY_TEST | BY_RUN}
    for rows in (1, 3, 5):
        monkeypatch.setattr(room, "_ROWS_AT_ONCE", rows)
        warehouse.connection.execute("UPDATE stage.marts SET fingerprint = 'of another version'")
        assert warehouse.build() == counts
        assert {name: warehouse.rows(f"FROM marts.{name} ORDER BY ALL") for name in built} == built
    assert counts["executions"] == 12


# ------------------------------------------------------------------------------------------------------- executions
def test_a_retried_execution_counts_once_by_its_final_try(warehouse: Warehouse) -> None:
    warehouse.result("failed", NOON, result_id="a", execution_id="x", is_final=False)
    warehouse.result("passed", NOON + HOUR, result_id="b", execution_id="x", try_number=2)
    warehouse.result("running", NOON, result_id="c")
    warehouse.build()
    assert warehouse.rows("SELECT result_id, outcome, try_number, try_count, is_passed FROM marts.executions") == [
        {"result_id": "b", "outcome": "passed", "try_number": 2, "try_count": 2, "is_passed": True}
    ]
    day = warehouse.row("SELECT executions, passed_count, failed_count, retried_count, pass_rate FROM marts.daily_reliability")
    assert day == {"executions": 1, "passed_count": 1, "failed_count": 0, "retried_count": 1, "pass_rate": 1.0}


def test_an_execution_has_the_names_of_its_run_and_the_newest_name_of_its_test(warehouse: Warehouse) -> None:
    run = warehouse.run("r1", name="Nightly", branch="main", commit_sha="c0ffee")
    warehouse.result("passed", NOON, provider="checkly", run_key=run, run_id="r1", test_name="Old name")
    warehouse.result("passed", NOON + HOUR, provider="checkly", test_name="New name")
    warehouse.result("passed", NOON, provider="datadog", test_name="As it ran")
    warehouse.add("core.tests", provider="datadog", test_id="abc-def-ghi", valid_from_at=NOON, is_current=True, name="As defined")
    warehouse.build()
    assert warehouse.rows(
        "SELECT provider, test_name, run_name, branch, commit_sha FROM marts.executions ORDER BY provider, started_at"
    ) == [
        {"provider": "checkly", "test_name": "New name", "run_name": "Nightly", "branch": "main", "commit_sha": "c0ffee"},
        {"provider": "checkly", "test_name": "New name", "run_name": None, "branch": None, "commit_sha": None},
        {"provider": "datadog", "test_name": "As defined", "run_name": None, "branch": None, "commit_sha": None},
    ]


def test_the_reason_of_a_failure_is_the_failure_message_else_the_first_error(warehouse: Warehouse) -> None:
    told, untold = outcomes(warehouse, "failed", "failed")
    warehouse.add("core.errors", result_key=untold, error_index=1, step_index=-1, message="second", fingerprint="f2")
    warehouse.add("core.errors", result_key=untold, error_index=0, step_index=-1, message="first", code="E1", fingerprint="f1")
    warehouse.result("failed", NOON + DAY, failure_message="said", failure_code="TIMEOUT")
    warehouse.build()
    assert warehouse.rows("SELECT failure_reason, failure_code, fingerprint FROM marts.executions ORDER BY started_at") == [
        {"failure_reason": None, "failure_code": None, "fingerprint": None},
        {"failure_reason": "first", "failure_code": "E1", "fingerprint": "f1"},
        {"failure_reason": "said", "failure_code": "TIMEOUT", "fingerprint": None},
    ]
    assert told != untold


def test_a_failure_without_a_sentence_is_told_by_its_error_or_its_failed_assertion(warehouse: Warehouse) -> None:
    def assertion(key: int, index: int, outcome: str, **values: object) -> None:
        row = {"source": "STATUS_CODE", "operator": "EQUALS", "target": "200"}
        warehouse.add("core.assertions", result_key=key, assertion_index=index, step_index=-1, outcome=outcome, **(row | values))

    said = '[{"index":0,"type":"statusCode","valid":false,"actual":503}]'
    (listed,) = outcomes(warehouse, "failed", failure_message=said)
    warehouse.add("core.errors", result_key=listed, error_index=0, step_index=-1, message="statusCode is 200, found 503")
    explained = warehouse.result("failed", NOON + HOUR)
    assertion(explained, 0, "passed")
    assertion(explained, 1, "failed", actual="503", error_message="Expected 503 to equal 200")
    assertion(explained, 2, "failed", actual="x")
    found = warehouse.result("failed", NOON + 2 * HOUR)
    assertion(found, 0, "failed", actual="404")
    warehouse.result("failed", NOON + 3 * HOUR)
    warehouse.build()
    assert [row["failure_reason"] for row in warehouse.rows("FROM marts.executions ORDER BY started_at")] == [
        "statusCode is 200, found 503",
        "STATUS_CODE EQUALS 200: Expected 503 to equal 200",
        "STATUS_CODE EQUALS 200, found 404",
        None,
    ]


# ------------------------------------------------------------------------------------------------ daily reliability
def test_degraded_counts_as_passed_and_what_neither_passed_nor_failed_is_not_in_the_rate(warehouse: Warehouse) -> None:
    outcomes(warehouse, "passed", "degraded", "passed", "failed", "aborted", "cancelled", "unresolved", "unknown")
    warehouse.build()
    assert warehouse.row("SELECT * EXCLUDE (provider, test_id, test_name, location) FROM marts.daily_reliability") | {
        f"{p}_{m}_ms": None for p in ("p50", "p95", "p99") for m in ("duration", "response_time")
    } == {
        "utc_date": NOON.date(),
        "executions": 8,
        "passed_count": 3,
        "degraded_count": 1,
        "failed_count": 1,
        "aborted_count": 1,
        "cancelled_count": 1,
        "unresolved_count": 1,
        "unknown_count": 1,
        "retried_count": 0,
        "pass_rate": 0.75,
        **{f"{p}_{m}_ms": None for p in ("p50", "p95", "p99") for m in ("duration", "response_time")},
    }


def test_a_rate_over_nothing_is_null_and_not_zero(warehouse: Warehouse) -> None:
    outcomes(warehouse, "aborted", "cancelled")
    warehouse.build()
    assert warehouse.row("SELECT executions, pass_rate FROM marts.daily_reliability") == {"executions": 2, "pass_rate": None}
    assert warehouse.row("SELECT executions, pass_rate, score FROM marts.flaky_tests") == {
        "executions": 2,
        "pass_rate": None,
        "score": None,
    }
    assert {row["availability"] for row in warehouse.rows("SELECT availability FROM marts.slo")} == {None}


def test_percentiles_are_interpolated_and_skip_what_is_not_known_or_not_a_number(warehouse: Warehouse) -> None:
    for i, took in enumerate((10.0, 20.0, 30.0, 40.0, None, float("nan"), float("inf"))):
        warehouse.result("passed", NOON + HOUR * i, duration_ms=took, response_time_ms=None if i else 7.0)
    warehouse.build()
    # rank = share * (4 - 1): 1.5, 2.85, 2.97
    row = warehouse.row("SELECT executions, COLUMNS('p.._') FROM marts.daily_reliability")
    assert row["executions"] == 7
    assert [row[f"p{p}_duration_ms"] for p in (50, 95, 99)] == pytest.approx([25.0, 38.5, 39.7])
    assert [row[f"p{p}_response_time_ms"] for p in (50, 95, 99)] == [7.0, 7.0, 7.0]


def test_days_are_those_of_utc_and_places_are_apart(warehouse: Warehouse) -> None:
    warehouse.result("passed", datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC))
    warehouse.result("passed", datetime(2026, 11, 21, 0, 0, 0, tzinfo=UTC))
    warehouse.result("passed", datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC), location=None)
    warehouse.build()
    assert warehouse.rows("SELECT location, utc_date::VARCHAR AS d, executions FROM marts.daily_reliability ORDER BY ALL") == [
        {"location": "aws:eu-central-1", "d": "2026-11-20", "executions": 1},
        {"location": "aws:eu-central-1", "d": "2026-11-21", "executions": 1},
        {"location": None, "d": "2026-11-21", "executions": 1},
    ]


# ------------------------------------------------------------------------------------------------------ flaky tests
def test_flips_and_passes_on_retry_make_the_score(warehouse: Warehouse) -> None:
    # p F p p(retry) x p: flips at the 2nd and 3rd, a pass on retry at the 4th; aborted is passed over
    outcomes(warehouse, "passed", "failed", "passed")
    warehouse.result("passed", NOON + 3 * HOUR, try_number=2)
    warehouse.result("aborted", NOON + 4 * HOUR)
    warehouse.result("degraded", NOON + 5 * HOUR)
    warehouse.build()
    row = warehouse.row("SELECT * EXCLUDE (provider, test_id, test_name) FROM marts.flaky_tests")
    assert row == {
        "executions": 6,
        "passed_count": 4,
        "failed_count": 1,
        "pass_rate": 0.8,
        "flips": 2,
        "passes_on_retry": 1,
        "score": 0.6,
        "first_seen_at": NOON + HOUR,
        "last_seen_at": NOON + 3 * HOUR,
    }


def test_a_place_that_always_fails_beside_one_that_always_passes_is_not_flaky(warehouse: Warehouse) -> None:
    outcomes(warehouse, "passed", "passed", location="east")
    outcomes(warehouse, "failed", "failed", location="west")
    outcomes(warehouse, "failed", "failed", location="east", device="phone")
    warehouse.build()
    row = warehouse.row("SELECT flips, score, first_seen_at FROM marts.flaky_tests")
    assert row == {"flips": 0, "score": 0.0, "first_seen_at": None}


def test_an_execution_that_flips_by_a_retry_counts_once_in_the_score(warehouse: Warehouse) -> None:
    outcomes(warehouse, "failed")
    warehouse.result("passed", NOON + HOUR, try_number=3)
    warehouse.build()
    row = warehouse.row("SELECT flips, passes_on_retry, score FROM marts.flaky_tests")
    assert row == {"flips": 1, "passes_on_retry": 1, "score": 0.5}


# -------------------------------------------------------------------------------------------------- timing breakdown
def phase(warehouse: Warehouse, key: int, name: str, took: float | None, step: int = -1, **values: object) -> None:
    row = {"result_key": key, "step_index": step, "phase": name, "phase_raw": name, "is_total": False, "duration_ms": took}
    warehouse.add("core.timings", **(row | values))


def test_shares_of_phases_sum_to_one_without_totals_and_offsets(warehouse: Warehouse) -> None:
    first, second = outcomes(warehouse, "passed", "failed")
    for key, dns, wait in ((first, 10.0, 30.0), (second, 20.0, 40.0)):
        phase(warehouse, key, "dns", dns)
        phase(warehouse, key, "wait", wait)
        phase(warehouse, key, "total", dns + wait, is_total=True)
        phase(warehouse, key, "socket", None, offset_ms=3.0)
    warehouse.build()
    rows = warehouse.rows(
        "SELECT phase, executions, p50_duration_ms, p95_duration_ms, sum_duration_ms, share_of_total"
        " FROM marts.timing_breakdown ORDER BY phase"
    )
    assert rows == [
        {
            "phase": "dns",
            "executions": 2,
            "p50_duration_ms": 15.0,
            "p95_duration_ms": 19.5,
            "sum_duration_ms": 30.0,
            "share_of_total": 0.3,
        },
        {
            "phase": "wait",
            "executions": 2,
            "p50_duration_ms": 35.0,
            "p95_duration_ms": 39.5,
            "sum_duration_ms": 70.0,
            "share_of_total": 0.7,
        },
    ]


def test_a_phase_of_the_whole_result_is_not_counted_again_by_its_steps(warehouse: Warehouse) -> None:
    (key,) = outcomes(warehouse, "passed")
    phase(warehouse, key, "dns", 5.0)
    phase(warehouse, key, "dns", 4.0, step=0)
    phase(warehouse, key, "tls", 1.5, step=0)
    phase(warehouse, key, "tls", 2.0, step=1)
    warehouse.build()
    assert warehouse.rows("SELECT phase, p50_duration_ms AS ms FROM marts.timing_breakdown ORDER BY phase") == [
        {"phase": "dns", "ms": 5.0},
        {"phase": "tls", "ms": 3.5},
    ]


def test_a_phase_that_took_no_time_at_all_has_no_share(warehouse: Warehouse) -> None:
    (key,) = outcomes(warehouse, "passed")
    phase(warehouse, key, "dns", 0.0)
    warehouse.build()
    assert warehouse.row("SELECT p50_duration_ms, share_of_total FROM marts.timing_breakdown") == {
        "p50_duration_ms": 0.0,
        "share_of_total": None,
    }


# ------------------------------------------------------------------------------------------- steps, assertions, errors
def test_slow_steps_compare_the_newest_week_with_the_week_before(warehouse: Warehouse) -> None:
    def step(age_days: int, *durations: float | None, outcome: str = "passed") -> int:
        key = warehouse.result("passed", NOON - age_days * DAY)
        for index, took in enumerate(durations):
            warehouse.add("core.steps", result_key=key, step_index=index, name="Log in", outcome=outcome, duration_ms=took)
        return key

    worst = step(0, 300.0)
    step(6, 100.0, None)
    step(7, 100.0, 100.0)
    step(13, 100.0, outcome="failed")
    step(14, 10.0)
    warehouse.build()
    row = warehouse.row("SELECT * EXCLUDE (provider, test_id, test_name, p95_duration_ms, p99_duration_ms) FROM marts.slow_steps")
    assert row == {
        "step_name": "Log in",
        "executions": 5,
        "step_count": 6,
        "failed_count": 1,
        "p50_duration_ms": 100.0,
        "worst_duration_ms": 300.0,
        "worst_result_key": worst,
        "last_week_p50_duration_ms": 200.0,
        "week_before_p50_duration_ms": 100.0,
        "trend": 1.0,
    }


def test_steps_of_tries_that_do_not_count_are_left_out(warehouse: Warehouse) -> None:
    key = warehouse.result("failed", is_final=False, execution_id="x")
    warehouse.add("core.steps", result_key=key, step_index=0, name="Log in", outcome="failed", duration_ms=9.0)
    assert warehouse.build()["slow_steps"] == 0


def test_assertion_failures_count_what_was_evaluated_and_show_the_newest_failure(warehouse: Warehouse) -> None:
    def check(index: int, key: int, outcome: str, actual: str | None, operator: str = "is") -> None:
        warehouse.add(
            "core.assertions", result_key=key, assertion_index=index, step_index=-1, source="statusCode", operator=operator,
            target="200", actual=actual, outcome=outcome,
        )  # fmt: skip

    keys = outcomes(warehouse, "passed", "failed", "failed", "passed", "failed")
    for key, outcome, actual in zip(
        keys, ("passed", "failed", "failed", "passed", "skipped"), ("200", "500", None, "200", None), strict=True
    ):
        check(0, key, outcome, actual)
    check(1, keys[0], "unknown", None, operator="lessThan")
    warehouse.build()
    assert warehouse.rows(
        "SELECT operator, evaluated, failed_count, failure_rate, last_target, last_actual, last_failed_at"
        " FROM marts.assertion_failures ORDER BY operator"
    ) == [
        {
            "operator": "is",
            "evaluated": 4,
            "failed_count": 2,
            "failure_rate": 0.5,
            "last_target": "200",
            "last_actual": None,  # the newest failure found nothing; the 500 is an older one's
            "last_failed_at": NOON + 2 * HOUR,
        },
        {
            "operator": "lessThan",
            "evaluated": 0,
            "failed_count": 0,
            "failure_rate": None,
            "last_target": None,
            "last_actual": None,
            "last_failed_at": None,
        },
    ]


def test_failure_reasons_put_messages_together_that_differ_in_ids_and_quotes(warehouse: Warehouse) -> None:
    def error(key: int, index: int, message: str | None, fingerprint: str | None, **values: object) -> None:
        warehouse.add("core.errors", result_key=key, error_index=index, step_index=-1, message=message, fingerprint=fingerprint, **values)

    lost = warehouse.result("failed", NOON, execution_id="x", try_number=2)
    retried = warehouse.result("failed", NOON - HOUR, execution_id="x", is_final=False)
    other = warehouse.result("failed", NOON + HOUR, provider="checkly", test_id="t2")
    passed = warehouse.result("passed", NOON + 2 * HOUR)
    error(lost, 0, "Can't find 'a b' or \"c\" after 30 ms in 0f8fad5b-d9cb-469f-a165-70867728950e", "f")
    error(lost, 1, "Can't find 'x' or \"y\" after 31 ms in 1f8fad5b-d9cb-469f-a165-70867728950e", "f")
    error(retried, 0, "Can't find 'z' or \"c\" after 7 ms in 2f8fad5b-d9cb-469f-a165-70867728950e", "f")
    error(other, 0, "Can't find '' or \"c\" after 7 ms in 3f8fad5b-d9cb-469f-a165-70867728950e", "f")
    error(other, 1, None, None, code="TIMEOUT")
    error(passed, 0, "only a warning", "w")
    warehouse.build()
    assert warehouse.rows("SELECT * FROM marts.failure_reasons ORDER BY occurrences DESC") == [
        {
            "fingerprint": "f",
            "pattern": "Can't find ? or ? after # ms in #",
            "occurrences": 3,
            "executions": 2,
            "tests_hit": 2,
            "providers_hit": 2,
            "first_seen_at": NOON - HOUR,
            "last_seen_at": NOON + HOUR,
            "example_result_key": other,
        },
        {
            "fingerprint": "timeout",
            "pattern": "TIMEOUT",
            "occurrences": 1,
            "executions": 1,
            "tests_hit": 1,
            "providers_hit": 1,
            "first_seen_at": NOON + HOUR,
            "last_seen_at": NOON + HOUR,
            "example_result_key": other,
        },
    ]


# -------------------------------------------------------------------------------------------------------- incidents
def test_an_incident_is_a_streak_of_failures_until_the_next_pass(warehouse: Warehouse) -> None:
    words = ("failed", "passed", "failed", "aborted", "failed", "degraded", "passed", "failed", "cancelled")
    keys = [
        warehouse.result(word, NOON + HOUR * i, failure_message=f"reason {i}" if word == "failed" else None) for i, word in enumerate(words)
    ]
    outcomes(warehouse, "passed", "failed", location="elsewhere")
    warehouse.build()
    rows = warehouse.rows(
        "SELECT started_at, ended_at, is_open, duration_ms, failures, last_failed_at, first_result_key, first_error"
        " FROM marts.incidents WHERE location <> 'elsewhere' ORDER BY started_at"
    )
    assert [tuple(row.values()) for row in rows] == [
        (NOON, NOON + HOUR, False, 3_600_000.0, 1, NOON, keys[0], "reason 0"),
        (NOON + 2 * HOUR, NOON + 5 * HOUR, False, 10_800_000.0, 2, NOON + 4 * HOUR, keys[2], "reason 2"),
        (NOON + 7 * HOUR, None, True, None, 1, NOON + 7 * HOUR, keys[7], "reason 7"),
    ]
    assert warehouse.row("SELECT started_at, is_open FROM marts.incidents WHERE location = 'elsewhere'") == {
        "started_at": NOON + HOUR,
        "is_open": True,
    }


def test_a_device_that_passes_does_not_end_the_incident_of_another(warehouse: Warehouse) -> None:
    for i in range(4):
        warehouse.result("passed" if i % 2 else "failed", NOON + HOUR * i, device="tablet" if i % 2 else "phone")
    warehouse.build()
    assert warehouse.row("SELECT device, failures, is_open FROM marts.incidents") == {
        "device": "phone",
        "failures": 2,
        "is_open": True,
    }


# ------------------------------------------------------------------------------------------------------ run summary
def test_a_run_counts_its_final_results_and_names_the_slowest(warehouse: Warehouse) -> None:
    run = warehouse.run("r1", "failed", name="Nightly", duration_ms=5000.0, passed_count=99)
    warehouse.run("empty", "running", is_terminal=False)
    member = {"provider": "checkly", "run_key": run, "run_id": "r1"}
    warehouse.result("passed", test_id="t1", test_name="fast", duration_ms=10.0, **member)
    slow = warehouse.result("degraded", test_id="t2", test_name="slow", duration_ms=900.0, **member)
    warehouse.result("failed", test_id="t3", execution_id="x", is_final=False, duration_ms=5000.0, **member)
    warehouse.result("failed", test_id="t3", execution_id="x", try_number=2, **member)
    warehouse.result("running", test_id="t4", **member)
    warehouse.build()
    columns = (
        "run_name, outcome, executions, passed_count, degraded_count, failed_count, pending_count, pass_rate,"
        " slowest_result_key, slowest_test_name, slowest_duration_ms"
    )
    rows = warehouse.rows(f"SELECT {columns} FROM marts.run_summary ORDER BY run_id DESC")
    assert [tuple(row.values()) for row in rows] == [
        ("Nightly", "failed", 3, 2, 1, 1, 1, pytest.approx(2 / 3), slow, "slow", 900.0),
        (None, "running", 0, 0, 0, 0, 0, None, None, None, None),
    ]


# ------------------------------------------------------------------------------------------------- what depends on now
def test_the_error_budget_of_each_window(warehouse: Warehouse) -> None:
    # 98 passed and 2 failed within 7 days: twice what 0.99 allows; 100 more passed 10 days ago
    for i in range(98):
        warehouse.result("passed", NOW - HOUR - timedelta(minutes=i))
    for age in (DAY, 2 * DAY):
        warehouse.result("failed", NOW - age)
    for i in range(100):
        warehouse.result("passed", NOW - 10 * DAY - timedelta(minutes=i))
    warehouse.result("aborted", NOW - 10 * DAY)
    warehouse.result("failed", NOW - 91 * DAY)
    warehouse.build()
    rows = warehouse.rows(
        "SELECT window_days, executions, passed_count, failed_count, availability, objective, error_budget_left, burn_rate"
        " FROM marts.slo ORDER BY window_days"
    )
    assert [list(row.values()) for row in rows] == [
        pytest.approx([7, 100, 98, 2, 0.98, 0.99, -1.0, 2.0]),
        pytest.approx([28, 201, 198, 2, 0.99, 0.99, 0.0, 1.0]),
        pytest.approx([90, 201, 198, 2, 0.99, 0.99, 0.0, 1.0]),
    ]


def test_a_test_without_executions_in_a_window_has_no_availability(warehouse: Warehouse) -> None:
    warehouse.result("passed", NOW - 20 * DAY)
    warehouse.build()
    assert warehouse.rows("SELECT window_days, executions, availability, burn_rate FROM marts.slo ORDER BY 1")[:2] == [
        {"window_days": 7, "executions": 0, "availability": None, "burn_rate": None},
        {"window_days": 28, "executions": 1, "availability": 1.0, "burn_rate": 0.0},
    ]


def test_days_left_are_those_of_the_newest_certificate(warehouse: Warehouse) -> None:
    older, newer = outcomes(warehouse, "passed", "passed")
    expired = warehouse.result("passed", test_id="expired")
    for key, left in ((older, 1.5), (newer, 30.5), (expired, -0.5)):
        warehouse.add("core.certificates", result_key=key, subject_cn="cn.example", valid_to_at=NOW + left * DAY)
    warehouse.add("core.exchanges", result_key=newer, exchange_index=0, step_index=-1, url="https://user@shop.example:8443/cart?x=1")
    warehouse.build()
    assert warehouse.rows("SELECT host, days_left, seen_at FROM marts.certificate_expiry ORDER BY days_left") == [
        {"host": "cn.example", "days_left": -1, "seen_at": NOON},
        {"host": "shop.example", "days_left": 30, "seen_at": NOON + HOUR},
    ]


def test_freshness_tells_lag_open_and_rejected_per_endpoint(warehouse: Warehouse) -> None:
    def version(entity: str, endpoint: str = "api_results", **values: object) -> None:
        row = {
            "provider": "datadog", "endpoint": endpoint, "entity_id": entity, "payload_sha256": entity, "raw_file": "f",
            "fetched_at": NOW - HOUR, "finality": 1, "is_open": False, "state": "loaded",
        }  # fmt: skip
        warehouse.add("meta.versions", **(row | values))

    warehouse.result("passed", NOW - 3 * HOUR, result_id="a")
    warehouse.result("running", NOW - 2 * HOUR, result_id="b")
    version("a")
    version("b", finality=0, is_open=True)
    version("bad", state="rejected", is_open=True)
    version("abc-def-ghi", "tests", fetched_at=NOW - 4 * HOUR)
    for entity, resolved in (("bad", None), ("was bad", NOW)):
        warehouse.add(
            "meta.rejects", provider="datadog", endpoint="api_results", entity_id=entity, payload_sha256=entity, json_pointer="",
            rule="rule", scope="payload", resolved_at=resolved,
        )  # fmt: skip
    for number, error in enumerate((None, "401 from datadog")):
        warehouse.add(
            "meta.syncs", sync_id=f"s{number}", provider="datadog", started_at=NOW + number * HOUR, ended_at=NOW + number * HOUR,
            error=error,
        )  # fmt: skip
    warehouse.add("meta.syncs", sync_id="s0", provider="checkly", started_at=NOW, error="no host")
    warehouse.build()
    columns = "provider, endpoint, payloads, last_landed_at, last_event_at, last_sync_at, last_error, open, rejected"
    rows = warehouse.rows(f"SELECT {columns} FROM marts.freshness ORDER BY provider, endpoint")
    assert [tuple(row.values()) for row in rows] == [
        ("checkly", None, 0, None, None, None, "no host", 0, 0),
        ("datadog", "api_results", 3, NOW - HOUR, NOW - 2 * HOUR, NOW, "401 from datadog", 1, 1),
        ("datadog", "tests", 1, NOW - 4 * HOUR, None, NOW, "401 from datadog", 0, 0),
    ]
    before = datetime.now(UTC)
    lags = [row["lag_s"] for row in warehouse.rows("SELECT lag_s FROM marts.freshness ORDER BY provider, endpoint")]
    after = datetime.now(UTC)
    assert lags[0] is None
    for lag, event_at in zip(lags[1:], (NOW - 2 * HOUR, NOW - 4 * HOUR), strict=True):
        assert (before - event_at).total_seconds() <= lag <= (after - event_at).total_seconds()


@pytest.mark.fault("P10")
def test_views_answer_for_a_reader_in_another_time_zone(warehouse: Warehouse) -> None:
    key = warehouse.result("passed", NOW - 7 * DAY + HOUR)
    warehouse.add("core.certificates", result_key=key, valid_to_at=NOW + 2.5 * DAY)
    warehouse.build()
    warehouse.connection.execute("SET TimeZone = 'Pacific/Kiritimati'")
    assert warehouse.row("SELECT executions FROM marts.slo WHERE window_days = 7") == {"executions": 1}
    assert warehouse.row("SELECT days_left FROM marts.certificate_expiry") == {"days_left": 2}
