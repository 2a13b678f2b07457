"""Zones, odd time texts, results that change, tests that are renamed and days without a sync: one instant, one state, no row lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest

from pipelines.jsontext import as_instant
from pipelines.providers import load_providers
from pipelines.transform.expressions import elapsed_ms, from_epoch_ms, from_iso
from tests.conformance import checks
from tests.conformance.bench import Bench, Version
from tests.conformance.fixtures import load_fixtures
from tests.support.scripted import Api, Checkly, Datadog, Memory

Record = Callable[[str, object], None]
PROVIDERS = load_providers()
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe")

SOME = datetime(2026, 11, 20, 1, 2, 3, 400_000, tzinfo=UTC)


def fixture(provider: str, name: str) -> Any:
    return next(each for each in load_fixtures(PROVIDERS[provider]).fixtures if each.name == name)


# --- zones --------------------------------------------------------------------------------------------------------------------

SUMMER_TIME = (
    *("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),  # Berlin
    *("2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"),  # New York
    *("2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z", "2011-12-30T10:00:00Z", "2011-12-29T23:59:59.999Z"),  # Lord Howe, Apia's lost day
)


def _zone_report() -> dict[str, Any]:
    """What two providers' payloads become in this process's zone, and how its instants read."""
    report: dict[str, Any] = {"zone": str(datetime(2026, 7, 1).astimezone().utcoffset())}
    results = fixture("checkly", "result_final_passed")
    summer = [
        Version(results.endpoint, f"summer-{number}", "session", {**results.document, "id": f"summer-{number}", "startedAt": at})
        for number, at in enumerate(SUMMER_TIME)
    ]
    for name, more in (("checkly", summer), ("datadog", [])):
        every = load_fixtures(PROVIDERS[name]).fixtures[::4]
        versions = [Version(each.endpoint, each.id_of(each.document), each.parent_id, each.document) for each in every]
        with Bench(PROVIDERS[name]) as bench:
            bench.land([*versions, *more])
            bench.load(marts=bool(more))
            report[name] = bench.hashes() if more else {}
            sql = "SELECT result_id, started_at::VARCHAR, utc_date::VARCHAR FROM core.results ORDER BY ALL"
            report[f"{name} instants"] = [list(row) for row in bench.ask(sql)]
    return report


@pytest.mark.fault("P10")
def test_tables_are_equal_in_every_time_zone(record_property: Record) -> None:
    script = "import json; from tests.faults.test_times import _zone_report; print(json.dumps(_zone_report()))"
    running = [
        subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TZ": zone}, stdout=subprocess.PIPE, text=True)
        for zone in ZONES
    ]
    reports = [json.loads(process.communicate()[0]) for process in running]
    assert len({report.pop("zone") for report in reports}) == len(ZONES)
    assert all(report == reports[0] for report in reports)
    told = {result_id: (at, day) for result_id, at, day in reports[0]["checkly instants"]}
    for number, text in enumerate(SUMMER_TIME):
        instant = datetime.fromisoformat(text).astimezone(UTC)
        at, day = told[f"summer-{number}"]
        assert datetime.fromisoformat(at) == instant
        assert day == instant.date().isoformat()
    record_property("cases", len(ZONES) * len(told))


# --- texts --------------------------------------------------------------------------------------------------------------------

OFFSETS = {"Z": 0, "+00:00": 0, "-00:00": 0, "+0530": 330, "+05:30": 330, "-0330": -210, "+14:00": 840, "-12:00": -720, "+12:45": 765}


def _odd_time(rng: random.Random) -> tuple[str, datetime | None]:
    """A time text, and the instant that it must be read as; None where it must not be read, or need not."""
    start = datetime(2010, 1, 2, tzinfo=UTC) + timedelta(seconds=rng.randrange(80 * 365 * 86_400))
    fraction = "".join(rng.choice("0123456789") for _ in range(rng.choice((0, 0, 1, 3, 6, 7, 9))))
    zone = rng.choice(list(OFFSETS))
    instant = (start - timedelta(minutes=OFFSETS[zone])).replace(microsecond=int((fraction + "000000")[:6]))
    base, tail = f"{start:%Y-%m-%dT%H:%M:%S}", f".{fraction}" if fraction else ""
    kind = rng.randrange(8)
    if kind < 4:
        return f"{base}{tail}{zone}", instant
    if kind == 4:
        return f"{base}{tail}", None  # no zone
    if kind == 5:
        return f"{base[:11]}24:00:00{zone}", None
    if kind == 6:
        names = ("CET", "EST", "local", "[Europe/Berlin]", "+5", "+25:00", "")
        return f"{base}{tail}{rng.choice(names)}", None
    return rng.choice((f"{base[:10]}", str(int(start.timestamp())), f"{start:%d/%m/%Y %H:%M}", f"{start:%c}", "", "0", "now")), None


@contextmanager
def _zone(name: str) -> Iterator[None]:
    """This process in another time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


@pytest.mark.fault("P11")
def test_of_ten_thousand_time_texts_each_is_its_instant_or_none_and_never_local_time(record_property: Record) -> None:
    rng = random.Random(11)
    texts = [_odd_time(rng) for _ in range(10_000)]
    frame = pl.DataFrame({"text": [text for text, _ in texts]}).select("text", at=from_iso(pl.col("text")))
    for zone in ("UTC", "Asia/Kolkata"):
        with _zone(zone):
            found = dict(frame.select("text", at=from_iso(pl.col("text"))).rows())
            for text, instant in texts:
                assert found[text] == instant, text
                assert as_instant(text) == instant, text
    record_property("cases", len(texts))


@pytest.mark.fault("P11", "D9")
def test_leap_seconds_and_other_rare_forms_are_read_alike_or_not_at_all(record_property: Record) -> None:
    leap = datetime(2017, 1, 1, tzinfo=UTC)
    texts = {
        "2016-12-31T23:59:60Z": leap,
        "2026-03-02T08:00:00.123456789Z": datetime(2026, 3, 2, 8, 0, 0, 123456, UTC),
        "2026-03-02T08:00:61Z": None,
        "2026-02-30T08:00:00Z": None,
        "1970-01-01T00:00:00Z": None,
        "9999-12-31T23:59:59-14:00": None,
        "0001-01-01T00:00:00+14:00": None,
        "2026-03-02T08:00:00": None,
    }
    found = dict(pl.DataFrame({"text": list(texts)}).select("text", at=from_iso(pl.col("text"))).rows())
    assert found == texts
    assert [as_instant(text) for text in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00")] == [None, None]
    told = [as_instant(text) for text in texts]
    assert all(one in (None, datetime(1970, 1, 1, tzinfo=UTC)) or one == other for one, other in zip(told, texts.values(), strict=True))
    numbers = {0.0: None, 1764000000.0: None, 1764000000000.0: datetime(2025, 11, 24, 16, tzinfo=UTC), 1e300: None, -1.0: None}
    assert dict(pl.DataFrame({"ms": list(numbers)}).select("ms", at=from_epoch_ms(pl.col("ms"))).rows()) == numbers
    record_property("cases", len(texts) + len(numbers))


# --- results that change --------------------------------------------------------------------------------------------------------

OUTCOMES = {"RUNNING": "running", "PENDING": "running", "PASSED": "passed", "FAILED": "failed", "CANCELLED": "cancelled"}
ENDED = ("PASSED", "FAILED", "CANCELLED")


def _history(rng: random.Random) -> tuple[list[str], str]:
    """What a server tells of a result at one sync after the other, and what stands at the end."""
    words = [rng.choice(("RUNNING", "PENDING")) for _ in range(rng.randrange(3))]
    ends = [rng.choice(ENDED) for _ in range(rng.randrange(3))]
    stale = [rng.choice(("RUNNING", "PENDING"))] if ends and rng.random() < 0.3 else []  # an answer of a cache that is behind
    words = [*words, *ends, *stale] or ["PENDING"]
    return words, OUTCOMES[(ends or words)[-1]]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_time_that_has_elapsed_is_the_same_however_many_rows_a_batch_has(rows: int) -> None:
    """Whole microseconds, as the nearest number of milliseconds there is."""
    microseconds = [661_995_200, 1, 999, 1_001, 86_399_999_999, 3_600_000_003]
    for told in microseconds:
        frame = pl.DataFrame({"start": [SOME], "end": [SOME + timedelta(microseconds=told)]}).select(pl.all().repeat_by(rows).explode())
        assert frame.select(elapsed_ms(pl.col("start"), pl.col("end"))).to_series().to_list() == [told / 1000] * rows


@pytest.mark.fault("P12", "H29")
def test_the_last_state_of_the_server_stands_in_a_thousand_histories_in_any_order(record_property: Record) -> None:
    base = fixture("checkly", "result_pending")
    rng = random.Random(12)
    wanted: dict[str, str] = {}
    syncs: list[list[Version]] = [[], [], []]
    for seed in range(1_000):
        entity_id = f"result-{seed}"
        words, wanted[entity_id] = _history(rng)
        for minute, word in enumerate(words):
            document = {**base.document, "id": entity_id, "testSessionResultId": entity_id, "sequenceId": entity_id, "status": word}
            document["resultType"] = "FINAL" if word in ENDED else "PENDING"
            rng.choice(syncs).append(Version(base.endpoint, entity_id, "session", {**document, "attempts": minute}, minute=minute))
    with Bench(PROVIDERS["checkly"]) as bench:
        for number, versions in enumerate(syncs):
            rng.shuffle(versions)
            bench.land(versions, f"sync-{number}")
            bench.load(marts=number == len(syncs) - 1)
        assert dict(bench.ask("SELECT result_id, outcome FROM core.results")) == wanted
        assert checks.holds_together(bench) == []
        assert bench.ask("SELECT count(*) FROM meta.versions") == [(sum(map(len, syncs)),)]
    record_property("cases", len(wanted))


@pytest.mark.fault("P14")
@pytest.mark.parametrize("is_apart", [False, True])
def test_rows_keep_their_test_when_it_is_renamed_deleted_or_made_anew(is_apart: bool) -> None:
    tests, rows = fixture("datadog", "tests-0").endpoint, fixture("datadog", "api_rows-0").endpoint
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def definition(public_id: str, name: str, minute: int) -> Version:
        told = {"public_id": public_id, "name": name, "type": "api", "status": "live", "locations": [], "tags": []}
        return Version(tests, public_id, None, told, minute=minute)

    def row(public_id: str, minute: int) -> Version:
        told = {
            "result_id": f"{public_id}-{minute}",
            "check_time": (at + timedelta(minutes=minute)).timestamp() * 1000,
            "result": {"passed": True},
        }
        return Version(rows, f"{public_id}-{minute}", public_id, told, minute=minute)

    versions = [
        definition("old", "Home", 0),
        row("old", 1),
        definition("old", "Start page", 60),  # renamed
        row("old", 61),
        definition("new", "Start page", 120),  # `old` was deleted and made anew under its name
        row("new", 121),
        row("old", 62),  # a late row of the deleted one
        row("never-listed", 130),
    ]
    with Bench(PROVIDERS["datadog"]) as bench:
        bench.land(reversed(versions), is_apart=is_apart)
        bench.load()
        assert bench.ask("SELECT result_id, test_id, test_name FROM core.results ORDER BY started_at") == [
            ("old-1", "old", "Home"),
            ("old-61", "old", "Start page"),
            ("old-62", "old", "Start page"),
            ("new-121", "new", "Start page"),
            ("never-listed-130", "never-listed", None),
        ]
        named = "SELECT test_id, name, is_current FROM core.tests WHERE name IS NOT NULL ORDER BY test_id, valid_from_at"
        assert bench.ask(named) == [("new", "Start page", True), ("old", "Home", False), ("old", "Start page", True)]
        assert checks.holds_together(bench) == []


# --- days without a sync --------------------------------------------------------------------------------------------------------


@pytest.mark.fault("P15")
@pytest.mark.parametrize("name", ["checkly", "datadog"])
@pytest.mark.parametrize("days", [1, 3, 10])
def test_days_without_a_sync_are_caught_up_in_order_and_without_a_hole(name: str, days: int, record_property: Record) -> None:
    first = datetime(2026, 11, 10, 7, 30, tzinfo=UTC)
    last = first + timedelta(days=days)
    moments = [first - timedelta(days=1) + timedelta(minutes=37 * number) for number in range((days + 1) * 24 * 60 // 37)]
    times = {f"id-{number}": moment for number, moment in enumerate(moments)}
    api: Api = Checkly({"": times}) if name == "checkly" else Datadog({"a-test": times})
    scope, endpoint = ("", "test_session_rows") if name == "checkly" else ("a-test", "api_result_rows")
    lake = Memory()

    async def syncs() -> None:
        for now in (first, last):
            api.now = now
            await lake.crawl(PROVIDERS[name], api, now, settings={"RESULTHOUSE_DATADOG_DETAIL": "0"})
            assert lake.missed == []

    asyncio.run(syncs())
    assert set(lake.landed(endpoint)) == set(times)
    assert all(lake.covers(endpoint, scope, moment) for moment in moments)
    assert lake.resume_at(endpoint, scope) == last
    record_property("cases", len(times))


def test_offsets_of_this_file_are_right() -> None:
    for text, minutes in OFFSETS.items():
        known = timezone(timedelta(minutes=minutes))
        assert datetime.fromisoformat(f"2026-01-01T00:00:00{text}") == datetime(2026, 1, 1, tzinfo=known)
