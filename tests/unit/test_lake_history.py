"""What a crawl is told: where to go on, what is due, what is over. Everything from files, at an instant that is passed."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.lake import files, landed
from pipelines.lake.history import LakeHistory, read_history
from pipelines.lake.store import RAW, Lake, RawRow, Refused, Sync, TrackedRun, Window, payload_sha256
from pipelines.providers.spec import Endpoint, Known, State
from tests.support.toy import toy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REVIEW = timedelta(days=14)


def toy_state(document: dict[str, str]) -> State:
    return "open" if document["status"] == "running" else "final"


PROVIDER = toy(
    Endpoint("runs", {}, lambda frame: {}, state=toy_state),
    Endpoint("rows", {}, lambda frame: {}, is_summary=True),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def history(lake: Lake, now: datetime = NOW, *, ignore: tuple[str, ...] = ()) -> LakeHistory:
    return read_history(lake, PROVIDER, now, REVIEW, {"r1": "token"}.get, ignore=ignore)


def land(
    lake: Lake,
    entity_id: str,
    state: State | None,
    fetched_at: datetime,
    *,
    event_at: datetime | None = None,
    day: date | None = None,
    payload: str = '{"status":"running"}',
    endpoint: str = "runs",
) -> str:
    row = RawRow(entity_id, "p", day, fetched_at, 200, "", payload, "b", 1, state=state, event_at=event_at)
    return lake.land("toy", endpoint, [row], f"s{int(fetched_at.timestamp())}")[0]


def ids(known: list[Known] | tuple[Known, ...]) -> list[str]:
    return [each.entity_id for each in known]


def due(lake: Lake, now: datetime = NOW) -> list[str]:
    return ids(list(history(lake, now).due("runs")))


def synced(lake: Lake, started_at: datetime, provider: str = "toy") -> None:
    lake.write_sync(Sync(f"s{int(started_at.timestamp())}", provider, started_at))


# --- coverage ---------------------------------------------------------------------------------------------------------


def test_absent_lake_knows_nothing(lake: Lake) -> None:
    known = history(lake)
    assert known.resume_at("rows", "") is None
    assert known.holes("rows", "") == []
    assert known.landed("rows") == {}
    assert known.due("rows") == []
    assert known.last_sha("rows", "1") is None
    assert known.window_date("rows", "1") is None
    assert not known.is_closed("rows", "1")
    assert (known.counts(), known.open_count(), known.coverage(), known.stale(), known.overdue()) == ({}, 0, [], [], [])


@pytest.mark.fault("P15")
def test_coverage_goes_on_from_the_end_of_the_contiguous_part_and_names_the_hole(lake: Lake) -> None:
    windows = [(0, 2), (2, 3), (1, 2), (5, 6), (6, 7)]
    lake.write_windows("toy", "rows", [Window("t1", NOW + a * HOUR, NOW + b * HOUR) for a, b in windows], "s1")
    lake.write_windows("toy", "rows", [Window("t2", NOW, NOW + HOUR)], "s2")
    known = history(lake)
    assert known.resume_at("rows", "t1") == NOW + 3 * HOUR
    assert known.holes("rows", "t1") == [(NOW + 3 * HOUR, NOW + 5 * HOUR)]
    assert known.resume_at("rows", "t2") == NOW + HOUR
    assert known.resume_at("runs", "t1") is None
    assert [(c.scope, c.from_at, c.to_at, len(c.holes)) for c in known.coverage()] == [
        ("t1", NOW, NOW + 7 * HOUR, 1),
        ("t2", NOW, NOW + HOUR, 0),
    ]


@pytest.mark.fault("P6")
def test_a_crowded_second_is_a_hole_for_good_and_not_due(lake: Lake) -> None:
    lake.write_windows("toy", "rows", [Window("t1", NOW, NOW + 2 * HOUR)], "s1")
    crowds = [(NOW + HOUR, "a"), (NOW + HOUR + timedelta(seconds=1), "b"), (NOW + HOUR / 2, "c")]
    lake.refuse("toy", [Refused("rows", f"t1@{name}", "crowded", NOW, "t1", event_at=at) for at, name in crowds], "s1")
    for now in (NOW, NOW + 30 * DAY):
        known = history(lake, now)
        second = timedelta(seconds=1)
        (coverage,) = known.coverage()
        assert coverage.holes == ((NOW + HOUR / 2, NOW + HOUR / 2 + second), (NOW + HOUR, NOW + HOUR + 2 * second))
        assert known.resume_at("rows", "t1") == NOW + 2 * HOUR
        assert known.is_closed("rows", "t1@a")
        assert (known.due("rows"), known.open_count(), known.overdue()) == ([], 0, [])


def test_a_list_that_was_read_again_has_not_failed_until_it_fails_once_more(lake: Lake) -> None:
    for hour, rule in enumerate(("refused", "refused", "listed", "refused")):
        lake.refuse("toy", [Refused("rows", "", rule, NOW + hour * HOUR)], f"s{hour}")
        assert history(lake).has_failed("rows", "") == (rule == "refused")
    assert not history(lake).has_failed("runs", "")


def test_filled_hole_makes_coverage_contiguous_again(lake: Lake) -> None:
    for name, (a, b) in {"s1": (0, 1), "s2": (3, 4), "s3": (1, 3)}.items():
        lake.write_windows("toy", "rows", [Window("", NOW + a * HOUR, NOW + b * HOUR)], name)
    assert history(lake).resume_at("rows", "") == NOW + 4 * HOUR
    assert history(lake).holes("rows", "") == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), min_size=1, max_size=8))
def test_coverage_and_holes_are_what_counting_hours_says(tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]]) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.write_windows("toy", "rows", [Window("", NOW + a * HOUR, NOW + (a + n) * HOUR) for a, n in spans], "s1")
    covered = {hour for a, n in spans for hour in range(a, a + n)}
    known = history(lake)
    end = min(covered)
    while end in covered:
        end += 1
    assert known.resume_at("rows", "") == NOW + end * HOUR
    missing = {hour for a, b in known.holes("rows", "") for hour in range((a - NOW) // HOUR, (b - NOW) // HOUR)}
    assert missing == set(range(min(covered), max(covered))) - covered


@pytest.mark.fault("S9", "S11")
def test_window_whose_files_are_missing_or_damaged_does_not_count(lake: Lake) -> None:
    there = land(lake, "1", "final", NOW, endpoint="rows")
    gone = land(lake, "2", "final", NOW + HOUR, endpoint="rows")
    bad = land(lake, "3", "final", NOW + 2 * HOUR, endpoint="rows")
    lake.write_windows(
        "toy",
        "rows",
        [Window(name, NOW, NOW + HOUR, (there, name)) for name in (there, gone, bad)]
        + [Window("by name alone", NOW, NOW + HOUR, (there.rsplit("/", 1)[1],))],
        "s1",
    )
    (lake.root / "raw" / gone).unlink()
    (lake.root / "raw" / bad).write_bytes(b"PAR1")
    known = history(lake)
    assert known.resume_at("rows", there) == NOW + HOUR
    assert known.resume_at("rows", "by name alone") == NOW + HOUR
    assert known.resume_at("rows", gone) is None
    assert known.resume_at("rows", bad) is None
    assert known.damaged == [bad]
    assert set(known.landed("rows")) == {"1"}


@pytest.mark.fault("S9")
def test_file_of_a_foreign_name_is_reported_and_does_not_count_as_landed(lake: Lake) -> None:
    path = lake.root / "raw" / land(lake, "1", "final", NOW)
    path.rename(path.with_name("part-0.parquet"))
    known = history(lake)
    assert known.landed("runs") == {}
    assert len(known.damaged) == 1


def test_file_that_a_reader_found_damaged_can_be_treated_as_missing(lake: Lake) -> None:
    name = land(lake, "1", "final", NOW)
    lake.write_windows("toy", "rows", [Window("", NOW, NOW + HOUR, (name,))], "s1")
    assert history(lake).resume_at("rows", "") == NOW + HOUR
    assert history(lake, ignore=(name,)).resume_at("rows", "") is None
    assert history(lake, ignore=(name,)).landed("runs") == {}


# --- entities ---------------------------------------------------------------------------------------------------------


def test_last_version_and_first_date_are_remembered(lake: Lake) -> None:
    land(lake, "1", "open", NOW - 2 * HOUR, day=date(2026, 11, 20), payload='{"v":1}', event_at=NOW - 3 * HOUR)
    land(lake, "1", "final", NOW - HOUR, day=date(2026, 11, 21), payload='{"v":2}')
    known = history(lake)
    assert known.last_sha("runs", "1") == payload_sha256('{"v":2}')
    assert known.window_date("runs", "1") == date(2026, 11, 20)
    entity = known.landed("runs")["1"]
    assert (entity.state, entity.event_at) == ("final", NOW - 3 * HOUR)
    assert (entity.first_landed_at, entity.last_landed_at) == (NOW - 2 * HOUR, NOW - HOUR)
    assert known.counts() == {"runs": 2}
    assert known.read_token("r1") == "token"
    assert known.read_token("r2") is None


def test_order_of_files_does_not_matter(lake: Lake) -> None:
    land(lake, "1", "final", NOW - HOUR, day=date(2026, 11, 1), payload='{"v":2}')
    land(lake, "1", "open", NOW - 2 * HOUR, day=date(2026, 11, 30), payload='{"v":1}')
    known = history(lake)
    assert known.last_sha("runs", "1") == payload_sha256('{"v":2}')
    assert known.window_date("runs", "1") == date(2026, 11, 30)


@pytest.mark.fault("P12", "H29")
def test_final_is_never_fetched_again_also_when_it_runs_backwards(lake: Lake) -> None:
    land(lake, "1", "final", NOW - 2 * HOUR)
    land(lake, "1", "open", NOW - HOUR, payload='{"v":2}')
    lake.refuse("toy", [Refused("runs", "1", "refused", NOW - HOUR / 2)], "s9")
    assert due(lake) == []
    assert history(lake).open_count() == 0


def test_state_of_foreign_files_is_asked_from_the_endpoint(lake: Lake) -> None:
    land(lake, "1", None, NOW - HOUR, payload='{"status":"running"}')
    land(lake, "2", None, NOW - HOUR, payload='{"status":"passed"}')
    land(lake, "3", None, NOW - HOUR, payload="[1]")
    assert due(lake) == ["1"]


def test_file_without_our_own_columns_is_read(lake: Lake) -> None:
    schema = pa.schema([field for field in RAW if field.name not in ("state", "repairs", "event_at")])
    row = {**{field.name: "x" for field in schema if field.type == pa.string()}, "entity_id": "1", "fetched_at": NOW}
    files.write_rows(lake.root / "raw" / "toy" / "runs" / "date=unknown", "s", [row], schema)
    assert history(lake).landed("runs")["1"].state == "final"


# --- columns ----------------------------------------------------------------------------------------------------------


def foreign(lake: Lake, entity_id: str, sha: str) -> None:
    row = {"provider": "toy", "endpoint": "runs", "entity_id": entity_id, "fetched_at": NOW, "payload": "{}", "payload_sha256": sha}
    files.write_rows(lake.root / "raw" / "toy" / "runs" / "date=unknown", "s", [row], RAW)


def test_columns_say_what_reading_version_by_version_says(lake: Lake, monkeypatch: pytest.MonkeyPatch, record_property: Any) -> None:
    """Random versions, some of one instant, against a dict; read in one go and file by file, and with hashes that say next to nothing."""
    rng = random.Random(5)
    told: list[tuple[datetime, str, RawRow]] = []
    for number in range(25):
        rows = [
            RawRow(f"e{rng.randrange(60)}", rng.choice(["p", "q", None]), None, NOW - rng.randrange(40) * HOUR, 200, "", f"{number}.{each}",
                   "", 1, state=rng.choice(["open", "review", "final", "final"]), event_at=rng.choice([None, NOW - rng.randrange(9) * DAY]))
            for each in range(rng.randrange(1, 12))
        ]  # fmt: skip
        (name,) = lake.land("toy", "runs", rows, f"s{number:02}")
        told += [(row.fetched_at, name, row) for row in rows]
    told.sort(key=lambda version: version[:2])
    expected: dict[str, Known] = {}
    shas = {}
    for fetched_at, _, row in told:
        before = expected.get(row.entity_id, Known("runs", row.entity_id, None, "open", None, fetched_at, None))
        state = "final" if "final" in (row.state, before.state) else row.state
        assert state is not None
        expected[row.entity_id] = Known(
            "runs", row.entity_id, row.parent_id or before.parent_id, state, before.event_at or row.event_at, before.first_landed_at,
            fetched_at, fetched_at,
        )  # fmt: skip
        shas[row.entity_id] = row.payload_sha256
    others = [f"x{number}" for number in range(60)]
    for rows_at_once, hashed in ((50_000, hash), (1, hash), (50_000, lambda text: len(text))):
        monkeypatch.setattr(landed, "_ROWS_AT_ONCE", rows_at_once)
        monkeypatch.setattr(landed, "hash", hashed, raising=False)
        known = history(lake)
        found = known.landed("runs")
        assert list(found.items()) == list(expected.items())
        assert [found.get(each) for each in [*expected, *others]] == [expected.get(each) for each in [*expected, *others]]
        assert [each in found for each in [*expected, *others]] == [True] * len(expected) + [False] * 60
        assert [known.last_sha("runs", each) for each in [*expected, *others]] == [shas.get(each) for each in [*expected, *others]]
        assert [each.entity_id for each in known.landed_since("runs", NOW - 4 * DAY)] == [
            each.entity_id for each in expected.values() if each.event_at is not None and each.event_at >= NOW - 4 * DAY
        ]
        assert known.landed_parents("runs") == list(dict.fromkeys(each.parent_id for each in expected.values() if each.parent_id))
        assert known.last_landed_at("runs") == max(fetched_at for fetched_at, _, _ in told)
        assert {each.entity_id for each in known.due("runs")} == {
            each.entity_id
            for each in expected.values()
            if NOW - min(filter(None, (each.event_at, each.first_landed_at)))
            < {"open": 7 * DAY, "review": REVIEW, "final": 0 * DAY}[each.state]
        }
    record_property("cases", 3 * len(told))


def test_what_is_final_elsewhere_can_be_left_out(lake: Lake) -> None:
    for entity_id in ("1", "2", "3"):
        land(lake, entity_id, "final", NOW - HOUR, endpoint="rows", event_at=NOW - 2 * HOUR, payload=entity_id)
    land(lake, "1", "final", NOW - HOUR, payload="1")
    land(lake, "2", "open", NOW - HOUR, payload="2")
    known = history(lake)
    assert sorted(ids(list(known.landed_since("rows", NOW - 2 * HOUR, ["runs", "nothing"])))) == ["2", "3"]
    assert known.landed_since("rows", NOW - HOUR, ["runs"]) == []
    assert (known.landed_since("nothing", NOW), known.landed_parents("nothing"), known.last_landed_at("nothing")) == ((), (), None)


def test_what_is_final_since_it_was_read_is_not_open(lake: Lake) -> None:
    land(lake, "1", "open", NOW - HOUR)
    lake.track("toy", [TrackedRun("2", "runs", NOW - HOUR)], "s1")
    known = history(lake)
    assert [known.open_count(but) for but in ((), {("rows", "1")}, {("runs", "1")}, {("runs", "1"), ("runs", "2")})] == [2, 2, 1, 0]


def test_hashes_that_others_wrote_are_kept_as_they_are(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not lower case hex stays the text it is, also beside our own."""
    written = {"1": "x", "2": "AB" * 32, "3": "", "4": "ab" * 31, "5": payload_sha256("5")}
    for entity_id, sha in written.items():
        foreign(lake, entity_id, sha)
    for rows_at_once in (1, 50_000):
        monkeypatch.setattr(landed, "_ROWS_AT_ONCE", rows_at_once)
        assert {each: history(lake).last_sha("runs", each) for each in written} == written


# --- due --------------------------------------------------------------------------------------------------------------


def test_open_entity_is_due_at_every_sync_in_its_first_day(lake: Lake) -> None:
    land(lake, "young", "open", NOW - 2 * DAY, event_at=NOW - 2 * DAY)
    land(lake, "new", "open", NOW - HOUR, event_at=NOW - 2 * HOUR)
    synced(lake, NOW - HOUR)
    assert due(lake) == ["new"]
    assert history(lake).open_count() == 2


def test_older_open_entity_is_due_once_a_utc_day(lake: Lake) -> None:
    land(lake, "1", "open", NOW - 3 * DAY)
    synced(lake, NOW - 13 * HOUR)
    synced(lake, NOW - HOUR, "other")
    assert due(lake) == ["1"]
    synced(lake, NOW - 12 * HOUR)
    assert due(lake) == []
    assert due(lake, NOW + 12 * HOUR) == ["1"]


@pytest.mark.fault("P12")
def test_open_entity_is_stale_after_seven_days_until_it_is_closed(lake: Lake) -> None:
    land(lake, "1", "open", NOW - 3 * DAY, event_at=NOW - 7 * DAY)
    known = history(lake)
    assert (due(lake), ids(known.stale()), known.open_count()) == ([], ["1"], 0)
    lake.refuse("toy", [Refused("runs", "1", "stale_running", NOW)], "s1")
    known = history(lake, NOW + HOUR)
    assert known.is_closed("runs", "1")
    assert known.stale() == []


@pytest.mark.fault("D9")
def test_implausible_event_time_does_not_make_an_entity_old_or_young(lake: Lake) -> None:
    land(lake, "epoch", "open", NOW - HOUR, event_at=datetime(1970, 1, 1, tzinfo=UTC))
    land(lake, "future", "open", NOW - 8 * DAY, event_at=NOW + 400 * DAY)
    assert due(lake) == ["epoch"]
    assert ids(history(lake).stale()) == ["future"]


def test_review_is_due_daily_until_the_review_days_are_over(lake: Lake) -> None:
    land(lake, "fresh", "review", NOW - HOUR)
    land(lake, "week", "review", NOW - 8 * DAY)
    land(lake, "over", "review", NOW - REVIEW)
    assert due(lake) == ["week", "fresh"]
    assert history(lake).stale() == []
    synced(lake, NOW - HOUR)
    assert due(lake) == ["fresh"]


def test_tracked_run_is_due_until_it_lands_or_seven_days_are_over(lake: Lake) -> None:
    lake.track("toy", [TrackedRun("new", "runs", NOW - HOUR), TrackedRun("old", "runs", NOW - 7 * DAY)], "s1")
    lake.track("toy", [TrackedRun("old", "runs", NOW), TrackedRun("landed", "runs", NOW - HOUR)], "s2")
    land(lake, "landed", "final", NOW - HOUR / 2)
    synced(lake, NOW - HOUR)
    known = history(lake)
    assert ids(list(known.due("runs"))) == ["new"]
    assert ids(known.overdue()) == ["old"]
    lake.refuse("toy", [Refused("runs", "old", "unfetched", NOW)], "s3")
    known = history(lake, NOW + HOUR)
    assert known.is_closed("runs", "old")
    assert known.overdue() == []


def test_failed_fetch_is_due_at_every_sync_for_seven_days(lake: Lake) -> None:
    failed = [Refused("runs", "1", rule, NOW - 6 * DAY, parent_id="p") for rule in ("refused", "unfetched")]
    lake.refuse("toy", failed, "s1")
    lake.refuse("toy", [Refused("runs", "1", "unfetched", NOW - HOUR)], "s2")
    synced(lake, NOW - HOUR)
    known = history(lake)
    assert [(each.entity_id, each.parent_id) for each in known.due("runs")] == [("1", "p")]
    assert not known.is_closed("runs", "1")
    assert known.overdue() == []
    later = history(lake, NOW + DAY)
    assert (list(later.due("runs")), ids(later.overdue())) == ([], ["1"])
    lake.refuse("toy", [Refused("runs", "1", "unfetched", NOW + DAY)], "s3")
    assert history(lake, NOW + 2 * DAY).is_closed("runs", "1")


def test_later_landing_makes_a_failure_good(lake: Lake) -> None:
    lake.refuse("toy", [Refused("runs", "1", "refused", NOW - 8 * DAY), Refused("runs", "2", "gone", NOW - DAY)], "s1")
    land(lake, "1", "final", NOW - HOUR)
    land(lake, "2", "open", NOW - HOUR)
    known = history(lake)
    assert known.overdue() == []
    assert not known.is_closed("runs", "2")
    assert ids(list(known.due("runs"))) == ["2"]


def test_older_open_entity_whose_fetch_failed_is_due_at_every_sync(lake: Lake) -> None:
    land(lake, "1", "open", NOW - 3 * DAY)
    lake.refuse("toy", [Refused("runs", "1", "refused", NOW - DAY)], "s1")
    synced(lake, NOW - HOUR)
    assert due(lake) == ["1"]
    assert history(lake).overdue() == []


@pytest.mark.fault("H9", "P14")
def test_gone_entity_is_never_due(lake: Lake) -> None:
    land(lake, "1", "open", NOW - 2 * HOUR)
    lake.track("toy", [TrackedRun("2", "runs", NOW - HOUR)], "s1")
    lake.refuse("toy", [Refused("runs", each, "gone", NOW - HOUR) for each in ("1", "2")], "s1")
    known = history(lake)
    assert (known.due("runs"), known.stale(), known.overdue(), known.open_count()) == ([], [], [], 0)
    assert known.is_closed("runs", "1")
    assert known.is_closed("runs", "2")


def test_list_that_failed_is_made_good_by_its_next_covered_window(lake: Lake) -> None:
    lake.refuse("toy", [Refused("rows", "t1", "unfetched", NOW - 8 * DAY)], "s1")
    assert ids(history(lake).overdue()) == ["t1"]
    lake.write_windows("toy", "rows", [Window("t1", NOW - 9 * DAY, NOW - DAY)], "s2")
    assert history(lake).overdue() == []


def test_due_comes_oldest_first(lake: Lake) -> None:
    for entity_id, hours in {"b": 2, "a": 1, "c": 3}.items():
        land(lake, entity_id, "open", NOW - HOUR / 2, event_at=NOW - hours * HOUR, payload=f'"{entity_id}"')
    assert due(lake) == ["c", "b", "a"]
