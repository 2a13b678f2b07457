"""Payloads that are cut, odd, huge, hostile or other than documented: read, repaired with drift, or refused; never lost, never a crash."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from assets.cli import app
from pipelines.errors import SettingsError
from pipelines.extract import body
from pipelines.flows.load import flatten
from pipelines.flows.pull import pull
from pipelines.flows.track import track_lines
from pipelines.jsontext import JsonError, as_number, dump, parse
from pipelines.lake.history import read_history
from pipelines.lake.redact import Redactor
from pipelines.lake.store import Lake
from pipelines.providers import load_providers
from pipelines.schemas.leaves import Leaf
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.transform.expressions import LONGEST_MS
from pipelines.warehouse.connect import memory
from tests.conformance import checks
from tests.conformance.bench import KEY, NOW, Bench, Version, masked
from tests.conformance.fixtures import Fixture, Fixtures, load_fixtures
from tests.conformance.mutate import _places, declared
from tests.conformance.pointers import at, pointer_of, replaced
from tests.support.clock import VirtualClock
from tests.support.house import House
from tests.support.http import raw, raw_server
from tests.support.scripted import Api, Checkly, Datadog, Query

Record = Callable[[str, object], None]
PROVIDERS = load_providers()
FIXTURES = {name: load_fixtures(provider) for name, provider in PROVIDERS.items()}
EVERY_PROVIDER = pytest.mark.parametrize("name", list(PROVIDERS))
FIRST = 1_000_001
"""The first tag of copies: 7 digits after an id."""


def fixture(provider: str, name: str) -> Fixture:
    return next(each for each in FIXTURES[provider].fixtures if each.name == name)


def landed(provider: str, *bodies: bytes, name: str) -> Bench:
    """A bench into which these answers went the whole way: parsed, masked, landed, loaded. Close it."""
    bench = Bench(PROVIDERS[provider])
    base = fixture(provider, name)
    versions = []
    for number, text in enumerate(bodies):
        document, repairs = parse(text)
        entity_id = f"{base.id_of(base.document)}{FIRST + number}"
        versions.append(Version(base.endpoint, entity_id, base.parent_id, document, repairs))
    bench.land(versions)
    bench.load()
    assert checks.holds_together(bench) + checks.is_plausible(bench) == []
    return bench


def changed(provider: str, name: str, **values: Any) -> Any:
    """A fixture's document with other values; `a__b=1` is at /a/b."""
    document = fixture(provider, name).document
    for place, value in values.items():
        *parents, last = place.split("__")
        document = replaced(document, tuple(parents), {**at(document, tuple(parents)), last: value})
    return document


def text_of(document: Any) -> bytes:
    return dump(document).encode()


# --- no JSON ----------------------------------------------------------------------------------------------------------------

INSERTED = (
    b'"',
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"\\",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"0",
    b"-",
    b"e",
    b"\n",
    b"\xef\xbb\xbf",
    b"N",
)


def _damaged(whole: bytes, step: int) -> Iterator[bytes]:
    """The text with one byte taken away, or put in, at every `step`-th place."""
    for place in range(0, len(whole) + 1, step):
        if place < len(whole):
            yield whole[:place] + whole[place + 1 :]
        yield whole[:place] + INSERTED[place % len(INSERTED)] + whole[place:]


@pytest.mark.fault("D1")
@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_no_byte_too_few_or_too_many_in_any_fixture_is_more_than_a_sentence(step: int, record_property: Record) -> None:
    count = 0
    for path in sorted({path for each in FIXTURES.values() for path in each.folder.glob("*.json") if not path.stem.endswith(".rows")}):
        for text in _damaged(path.read_bytes(), step):
            count += 1
            try:
                body.document(text)
            except body.UnusableBodyError as error:
                assert len(str(error)) < 60, path  # noqa: PT017 - what is asserted is that it says where, never what
    record_property("cases", count)


@pytest.mark.fault("D1")
@pytest.mark.parametrize(
    ("provider", "name"), [("docketqa", "retried_run"), ("datadog", "api_result_eight_forms"), ("checkly", "result_api_failed")]
)
def test_every_byte_taken_away_or_put_in_is_read_or_refused(provider: str, name: str, record_property: Record) -> None:
    base, redactor = fixture(provider, name), Redactor(KEY)
    whole = (base.folder / f"{name}.json").read_bytes()
    read: dict[str, Version] = {}
    refused: list[str] = []
    for text in _damaged(whole, 1):
        try:
            document, repairs = body.document(text)
        except body.UnusableBodyError as error:
            refused.append(str(error))
            continue
        tag = len(read)
        read.setdefault(dump(document), Version(base.endpoint, f"entity-{tag}", base.parent_id, document, repairs))
    assert len(refused) > len(whole) / 2
    assert max(map(len, refused)) < 60  # says where, never what
    different = list(read.values())
    for version in different[::10]:
        base.endpoint.state(redactor.redact(version.document, base.endpoint.tree))
    with Bench(PROVIDERS[provider]) as bench:
        bench.land(different[::60])
        bench.load()
        assert checks.is_consistent(bench) + checks.is_plausible(bench) == []
    record_property("cases", 2 * len(whole) + 1)


MALFORMED = [
    b'{"test_run": {"id": 1, "sta',
    b'{"test_run": {"id": 1,}}',
    b"{'test_run': 1}",
    b'{"test_run": {"id": 1}} {}',
    b'\xff\xfe{\x00"\x00a\x00"\x00:\x001\x00}\x00',
    b'{"test_run": {"id": "\xff"}}',
    b'{"test_run": {"id": "\xed\xa0\x80"}}',
    b'{"test_run": {"name": "a\x00b"}}',
    b"[" * 100_000,
    b'{"a":' * 1024 + b"1" + b"}" * 1024,
    b'{"id": ' + b"9" * 5000 + b"}",
]


@pytest.mark.fault("D1", "D4", "D5")
def test_what_cannot_be_parsed_lands_nothing_but_hash_size_and_place(tmp_path: Path, record_property: Record) -> None:
    clock = VirtualClock(NOW)

    async def sync() -> House:
        async def script(writer: asyncio.StreamWriter, _: int) -> None:
            run = int(server.heads[-1].split()[1].rsplit("/", 1)[-1])
            writer.write(raw(MALFORMED[run]))

        async with raw_server(script) as server:
            house = House(tmp_path, None, environ={"DOCKETQA_API_KEY": "dq-key", "DOCKETQA_API_URL": server.url}, clock=clock)
            settings, provider = house.settings, house.settings.providers["docketqa"]
            runs = [{"id": number, "test_blueprint_id": 7} for number in range(len(MALFORMED))]
            track_lines(provider, settings, [json.dumps({"test_group_run": {"id": 9, "test_runs": runs}}).encode()], clock, "track")
            report = await pull(provider, settings, clock, sync_id="20261120T120000-00000000")
            assert report.error is not None
            return house

    house = asyncio.run(sync())
    lake = Path(house.settings.lake)
    assert [path for path in (lake / "raw").rglob("*.parquet") if "test_runs" in path.parts] == []
    rows = [row for path in (lake / "refused").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    told = {int(row["entity_id"]): (row["rule"], row["body_sha256"], row["body_bytes"]) for row in rows}
    assert told == {number: ("refused", hashlib.sha256(text).hexdigest(), len(text)) for number, text in enumerate(MALFORMED)}
    assert all(
        len(row["error"]) < 300 and any(word in row["error"] for word in ("not JSON at", "not UTF-8 at", "deeper", "digits"))
        for row in rows
    )
    house.refresh()
    assert house.ask("SELECT rule, count(*) FROM meta.rejects WHERE endpoint = 'test_runs' GROUP BY 1") == [("refused", len(MALFORMED))]
    record_property("cases", len(MALFORMED))


@pytest.mark.fault("D4")
@pytest.mark.parametrize("depth", [201, 1_024, 100_000])
@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_deep_nesting_is_refused_within_a_second(depth: int, start: bytes, end: bytes, record_property: Record) -> None:
    before = time.process_time()
    for text in (start * depth + b"1" + end * depth, start * depth):
        with pytest.raises(JsonError):
            parse(text)
    assert time.process_time() - before < 1
    record_property("cases", 2)


# --- hostile values in every leaf ---------------------------------------------------------------------------------------------

HOSTILE: dict[str, tuple[bytes, ...]] = {
    "D2": (b"NaN", b"-Infinity", b"1e999", b"-1E+400", b'"NaN"', b'"Infinity"', b'"1e999"', b'"[1e999,NaN]"'),
    "D5": (b'"\\u0000x\\ud800"', '"\u202e\u2066x\ufeff"'.encode(), b'"' + b"[" * 2000 + b'"', b'"' + b'{\\"a\\":' * 1000 + b'"'),
    "D6": (b'"12.5"', b'"1,5"', b'""', b'"N/A"', b'"true"', b"1", b"true", b'" 7 "'),
    "D7": (
        b"9007199254740993",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"18446744073709551616",
        b"1" + b"0" * 30,
        b"1" + b"0" * 400,
    ),
    "D8": (b"-1", b"0", b"1e-999", b"1e308", b"-1e308", b"604800001"),
    "D9": (
        b'"9999-12-31T23:59:59-14:00"',
        b'"0001-01-01T00:00:00+14:00"',
        b'"2009-12-31T23:59:59Z"',
        b"253402300799999",
        b"-62135596800000",
        b"1",
    ),
    "D13": (b"[]", b"{}", b"[null]", b"[[[]]]", b'[1,"a",{}]', b'{"":{"":null}}', b'{"a.b":[{}]}'),
}


def _full_of(fixtures: Fixtures, values: list[bytes]) -> tuple[list[Version], int]:
    """Each fixture with each value in all of its leaves that a row can do without, and how many values that are."""
    versions: list[Version] = []
    count = 0
    for text in values:
        value, repairs = parse(text)
        for each in fixtures.fixtures:
            entity_id, parent_id, document = each.copy(FIRST + len(versions))
            for path, here in list(_places(document, ())):
                if not isinstance(here, dict | list) and pointer_of(path) not in {*each.entity_id, *each.unique, *each.required}:
                    document = replaced(document, path, value)
                    count += 1
            versions.append(Version(each.endpoint, entity_id, parent_id, document, repairs))
    return versions, count


@EVERY_PROVIDER
@pytest.mark.fault("D2", "D5", "D6", "D7", "D8", "D9", "D13")
def test_no_hostile_value_costs_a_payload_or_stands_in_a_number_or_an_instant(name: str, record_property: Record) -> None:
    versions, count = _full_of(FIXTURES[name], [value for values in HOSTILE.values() for value in values])
    with Bench(PROVIDERS[name]) as bench:
        bench.land(versions)
        bench.load()
        assert checks.holds_together(bench) + checks.is_plausible(bench) == []
        assert bench.ask("SELECT DISTINCT state FROM meta.versions") == [("loaded",)]
        for table in (*bench.tables("core"), "executions"):
            schema = "marts" if table == "executions" else "core"
            for column, sql in bench.columns(f"{schema}.{table}"):
                if sql == "DOUBLE":
                    assert bench.ask(f'SELECT "{column}" FROM {schema}.{table} WHERE NOT isfinite("{column}")') == [], (table, column)
                if sql in ("VARCHAR", "JSON"):
                    assert bench.ask(f'SELECT 1 FROM {schema}.{table} WHERE contains("{column}"::VARCHAR, chr(0)) LIMIT 1') == []
    record_property("cases", count)


def test_a_number_beyond_every_float_is_no_number() -> None:
    assert as_number(10**400) is None
    assert as_number(parse(b"[1e-999]")[0][0]) == 0.0


@pytest.mark.fault("D2", "D3")
def test_no_number_is_null_and_a_doubled_key_is_its_last_value_everywhere(record_property: Record) -> None:
    document = text_of(changed("datadog", "api_result_eight_forms", result__timings={"total": 5}))
    bodies = [document.replace(b'"timings":{"total":5}', b'"timings":{"total":%b,"dns":2.5}' % word) for word in HOSTILE["D2"][:4]]
    with landed("datadog", *bodies, name="api_result_eight_forms") as bench:
        assert bench.ask("SELECT DISTINCT phase, duration_ms FROM core.timings") == [("dns", 2.5)]
        assert bench.ask("SELECT count(*), count(duration_ms) FROM core.results") == [(4, 0)]
        assert bench.ask("SELECT occurrences FROM meta.drift WHERE kind = 'repaired'") == [(4,)]
    doubled = text_of(changed("checkly", "result_api_failed", status="DOUBLED")).replace(b'"DOUBLED"', b'"FAILED","status":"PASSED"')
    with landed("checkly", doubled, name="result_api_failed") as bench:
        (payload,) = bench.lake.read_raw(bench.lake.raw_files()[0], ["payload"]).to_pydict()["payload"]
        assert payload.count('"status":"PASSED"') == 1
        assert '"status":"FAILED"' not in payload
        assert bench.ask("SELECT status FROM core.results") == [("PASSED",)]
        assert bench.ask("SELECT json_pointer, occurrences FROM meta.drift WHERE kind = 'repaired'") == [("", 1)]
    record_property("cases", 5)


@pytest.mark.fault("D5")
def test_odd_texts_go_the_whole_way_and_broken_ones_are_repaired(tmp_path: Path, record_property: Record) -> None:
    texts = {
        b'"a\\u0000b"': "ab",
        b'"a\\ud800b"': "a\ufffdb",
        b'"\\udfff\\ud83d\\ude00"': "\ufffd\U0001f600",
        '"\u202egnp.exe\u2066"'.encode(): "\u202egnp.exe\u2066",
        '"e\u0301 \ufeff \u2028"'.encode(): "e\u0301 \ufeff \u2028",
        b'"\\u001b[31m\\r\\n\\t"': "\x1b[31m\r\n\t",
    }
    base = changed("docketqa", "retried_run", test_run__blueprint_metadata__title="TITLE")
    bodies = [text_of(base).replace(b'"TITLE"', text) for text in texts]
    with landed("docketqa", *bodies, b"\xef\xbb\xbf" + text_of(base), name="retried_run") as bench:
        assert {row[0] for row in bench.ask("SELECT test_name FROM core.results")} == {*texts.values(), "TITLE"}
        assert bench.ask("SELECT occurrences FROM meta.drift WHERE kind = 'repaired'") == [(3,)]
    record_property("cases", len(texts) + 1)


@pytest.mark.fault("D6")
def test_numbers_and_flags_as_text_are_read_where_that_is_exact_and_always_drift(record_property: Record) -> None:
    numbers: dict[Any, float | None] = {"12.5": 12.5, "1,5": None, "": None, "N/A": None, "7": 7.0, "-3": None, "12ms": None}
    flags: dict[Any, bool | None] = {"true": True, "false": False, "1,0": None, "N/A": None, "": None}
    bodies = [text_of(changed("checkly", "result_final_passed", responseTime=text)) for text in numbers]
    bodies += [text_of(changed("checkly", "result_final_passed", hasErrors=text)) for text in flags]
    with landed("checkly", *bodies, name="result_final_passed") as bench:
        found = bench.ask("SELECT response_time_ms, has_errors FROM core.results ORDER BY result_id")
        assert [row[0] for row in found[: len(numbers)]] == list(numbers.values())
        assert [row[1] for row in found[len(numbers) :]] == list(flags.values())
        drift = dict(bench.ask("SELECT json_pointer, occurrences FROM meta.drift WHERE kind = 'type_change'"))
        assert drift == {"/responseTime": len(numbers), "/hasErrors": len(flags)}
    record_property("cases", len(bodies))


LONG = ("3420446318379485707", str(2**53 + 1), str(2**63), str(2**64), "123456789012345678901", str(10**30))


@pytest.mark.fault("D7")
def test_long_ids_and_numbers_are_exact_to_the_last_digit_in_lake_json_and_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    house = House(tmp_path, None)
    rows = []
    for number in LONG:
        row = changed("datadog", "api_rows-0", result_id=number, result__initialResultID=parse(number.encode())[0])
        rows.append(Version(fixture("datadog", "api_rows-0").endpoint, number, "abc-def-ghi", row))
    _land(house, "datadog", rows)
    house.refresh()
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path))
    sql = "SELECT result_id, execution_id FROM core.results ORDER BY length(result_id), result_id"
    told = json.loads(CliRunner().invoke(app, ["query", sql, "--json"]).stdout)
    printed = CliRunner().invoke(app, ["query", sql, "--csv"]).stdout
    wanted = sorted(LONG, key=lambda number: (len(number), number))
    assert [row["result_id"] for row in told["rows"]] == wanted
    assert [row["execution_id"] for row in told["rows"]] == wanted
    assert printed.splitlines()[1:] == [f"{number},{number}" for number in wanted]
    files = Lake(house.settings.lake).raw_files()
    payloads = [text for file in files for text in Lake(house.settings.lake).read_raw(file, ["payload"]).to_pydict()["payload"]]
    assert all(sum(f'"initialResultID":{number}' in text for text in payloads) == 1 for number in LONG)
    record_property("cases", 3 * len(LONG))


def _land(house: House, provider: str, versions: list[Version], sync_id: str = "20261120T120000-00000000") -> None:
    redactor = Redactor(KEY)
    for version in versions:
        Lake(house.settings.lake).land(provider, version.endpoint.name, [masked(redactor, version)], sync_id)


@pytest.mark.fault("D8")
def test_negative_and_absurd_durations_are_null_drift_and_in_no_percentile(record_property: Record) -> None:
    durations = {-1: None, -1e-9: None, 0: 0.0, 250: 250.0, LONGEST_MS: LONGEST_MS, LONGEST_MS + 1: None, 1e300: None}
    bodies = [text_of(changed("checkly", "result_final_passed", responseTime=value)) for value in durations]
    ends = {"2026-11-21T00:00:59.999Z": None, "2026-11-21T00:01:00.000Z": 0.0, "2026-11-29T00:01:00.000Z": None}
    bodies += [text_of(changed("checkly", "result_final_passed", stoppedAt=end)) for end in ends]
    bodies = [text.replace(b'"sequenceId":"', b'"sequenceId":"%d-' % number) for number, text in enumerate(bodies)]  # an execution each
    with landed("checkly", *bodies, name="result_final_passed") as bench:
        found = bench.ask("SELECT response_time_ms, duration_ms FROM core.results ORDER BY result_id")
        assert [row[0] for row in found[: len(durations)]] == list(durations.values())
        assert [row[1] for row in found[len(durations) :]] == list(ends.values())
        drift = dict(bench.ask("SELECT json_pointer, occurrences FROM meta.drift WHERE kind = 'type_change'"))
        assert drift == {"/responseTime": 4, "/stoppedAt": 2}
        measured = "sum(executions), max(p99_duration_ms), max(p99_response_time_ms) <= 604800000"
        assert bench.ask(f"SELECT {measured} FROM marts.daily_reliability") == [(len(bodies), 450.0, True)]
    record_property("cases", len(bodies))


V2 = ("data", "attributes", "result")
CONTRADICTIONS: list[tuple[str, str, tuple[str | int, ...], Any, Any, str]] = [
    # provider, fixture, place, a value that fits what stands beside it, one that does not, where drift says so
    ("checkly", "session_row", ("stoppedAt",), "2026-11-20T23:58:00Z", "2026-11-20T23:57:59.999Z", "/stoppedAt"),
    ("checkly", "session_passed", ("stoppedAt",), "2026-11-27T23:58:00Z", "2026-11-27T23:58:00.001Z", "/stoppedAt"),
    ("checkly", "check_result_final", ("startedAt",), "2026-11-20T09:00:00Z", "2026-12-31T00:00:00Z", "/stoppedAt"),
    *(
        ("checkly", name, (*place, "timingPhases"), {**phases, "total": 66}, {**phases, "total": 65.9}, f"{pointer}/timingPhases/total")
        for name, place, pointer in (
            ("result_final_passed", ("apiCheckResult", "response"), "/apiCheckResult/response"),
            ("result_grpc", ("grpcCheckResult",), "/grpcCheckResult"),
        )
        for phases in [{"wait": 900, "dns": 9, "tcp": 30, "firstByte": 25, "download": 5, "someday": 900}]
    ),
    ("docketqa", "retried_run", ("test_run", "updated_at"), None, "2020-01-01T00:00:00Z", "/test_run/updated_at"),
    ("datadog", "v2_rows-0", ("attributes", "finished_at"), 1764000900000, 1263999999999, "/attributes/finished_at"),
    ("datadog", "v2_result_network", (*V2, "finished_at"), 1764000900000, 1263999999999, "/data/attributes/result/finished_at"),
    *(
        ("datadog", name, (*place, "timings"), {"dns": 50, "ssl": 53, "total": 100}, {"dns": 50, "ssl": 53.1, "total": 100}, pointer)
        for name, place, pointer in (
            ("api_rows-0", ("result",), "/result/timings/total"),
            ("api_result_eight_forms", ("result",), "/result/timings/total"),
            ("api_result_multistep", ("result", "steps", 0), "/result/steps/*/timings/total"),
            ("v2_rows-1", ("attributes", "execution_info"), "/attributes/execution_info/timings/total"),
            ("v2_result_network", V2, "/data/attributes/result/timings/total"),
            ("v2_result_mobile", (*V2, "steps", 0), "/data/attributes/result/steps/*/timings/total"),
        )
    ),
]  # fmt: skip


@pytest.mark.fault("D8")
@pytest.mark.parametrize("name", ["checkly", "datadog", "docketqa"])
def test_an_end_before_its_start_and_phases_beyond_their_total_are_drift_and_cost_no_row(name: str, record_property: Record) -> None:
    cases = [case[1:] for case in CONTRADICTIONS if case[0] == name]
    wanted: dict[tuple[str, str], int] = {}
    with Bench(PROVIDERS[name]) as bench:
        for number, (fixture_name, place, fitting, odd, pointer) in enumerate(cases):
            base = fixture(name, fixture_name)
            for tag, value in enumerate((fitting, odd)):
                entity_id, parent_id, document = base.copy(FIRST + 2 * number + tag)
                bench.land([Version(base.endpoint, entity_id, parent_id, replaced(document, place, value))], f"{number}-{tag}")
            wanted[base.endpoint.name, pointer] = wanted.get((base.endpoint.name, pointer), 0) + 1
        bench.load(marts=False)
        drift = bench.ask("SELECT endpoint, json_pointer, occurrences FROM meta.drift WHERE kind <> 'unknown_field'")
        assert {(endpoint, pointer): count for endpoint, pointer, count in drift if (endpoint, pointer) in wanted} == wanted
        assert bench.ask("SELECT DISTINCT state FROM meta.versions") == [("loaded",)]
        if name == "datadog":  # it tells durations itself; phases that contradict each other are each kept: nobody knows which is wrong
            assert bench.ask("SELECT count(*) FROM core.timings WHERE phase = 'tls' AND duration_ms IN (53, 53.1)") == [(12,)]
        else:
            assert bench.ask("SELECT count(*) FROM core.results WHERE ended_at < started_at AND duration_ms IS NOT NULL") == [(0,)]
    record_property("cases", 2 * len(cases))


# --- dates --------------------------------------------------------------------------------------------------------------------

ODD_STARTS = (
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z"),
    *("2009-12-31T23:59:59Z", "2099-01-01T00:00:00Z", "2026-11-21T12:00:01Z", "tomorrow", "", None, 0, -1, 1e300, {"at": 1}),
)
ODD_CHECKS = (253402300799999, -62135596800000, 0, 1, -1, 1764000000, 1e300, 10**30, 10**400, "9999", "", None, {"at": 1}, 4102444800000)


@pytest.mark.fault("D9", "P8")
@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("checkly", ODD_STARTS),
        ("datadog", ODD_CHECKS),
    ],
)
def test_impossible_dates_land_as_unknown_and_move_no_coverage(
    tmp_path: Path, name: str, times: tuple[Any, ...], record_property: Record
) -> None:
    known = {f"odd-{number}": NOW - timedelta(minutes=number + 1) for number in range(len(times) + 1)}
    odd = dict(zip(known, times, strict=False))  # the last one stays as it is
    api: Api = Checkly({"": known}) if name == "checkly" else Datadog({"abc-def-ghi": known})
    field, id_, listed = ("startedAt", "id", "entries") if name == "checkly" else ("check_time", "result_id", "results")

    def answered(path: str, query: Query) -> Any:
        document = api.document(path, query)
        for row in document.get(listed, [document]) if isinstance(document, dict) else []:
            entity_id = row.get(id_, row.get("testSessionId"))
            if entity_id in odd:
                row[field] = odd[entity_id]
        return document

    api.answered = answered
    environ = {"CHECKLY_API_KEY": "k", "CHECKLY_ACCOUNT_ID": "a", "DD_API_KEY": "k", "DD_APP_KEY": "k", "RESULTHOUSE_DATADOG_DETAIL": "0"}
    house = House(tmp_path, None, only=(name,), environ=environ, clock=VirtualClock(NOW))
    provider = house.settings.providers[name]
    report = asyncio.run(pull(provider, house.settings, house.clock, sync_id="20261120T120000-00000000", transport=api.transport()))
    house.refresh()
    endpoint = "test_session_rows" if name == "checkly" else "api_result_rows"
    files = [file for file in Lake(house.settings.lake).raw_files() if file.endpoint == endpoint]
    dates = {row["entity_id"]: str(row["window_date"]) for file in files for row in Lake(house.settings.lake).read_raw(file).to_pylist()}
    assert set(dates) == set(known), report.error
    assert {entity_id for entity_id, day in dates.items() if day == "None"} >= {each for each in odd if odd[each] != 1764000000}
    assert set(dates.values()) == {"None", "2026-11-20"}
    assert {path.name for path in Path(house.settings.lake, "raw", name, endpoint).iterdir()} == {"date=unknown", "date=2026-11-20"}
    history = read_history(Lake(house.settings.lake), provider, NOW, timedelta(days=14), lambda entity_id: None)
    assert all(each.to_at <= NOW + timedelta(minutes=5) for each in history.coverage())
    assert history.coverage() != []
    assert house.ask(f"SELECT count(*) FROM core.{'runs' if name == 'checkly' else 'results'}") == [(len(known),)]
    record_property("cases", len(times))


# --- words and fields ---------------------------------------------------------------------------------------------------------

_WORDS = (
    "superseded n/a Passed PASS pass ok OK success succeeded green true 1 0 null none - done finish complete ended closed "
    "final warning warn flaky muted paused retry retrying timeout timed_out TIMED_OUT no_result errored broken crashed "
    "killed expired blocked queued started skipped ignored unstable partially_passed bestanden"
)
WORDS = [
    *_WORDS.split(),
    *(" ", "passed ", "\u5408\u683c", "'; DROP TABLE x", "=1+1", "<b>"),
]
STATUS = {
    ("datadog", "api_rows-0"): "result__eventType",
    ("checkly", "result_final_passed"): "status",
    ("applitools", "completed_run"): "result__status",
    ("docketqa", "retried_run"): "test_run__status",
}


@pytest.mark.fault("D10")
@pytest.mark.parametrize(("provider", "name"), list(STATUS))
def test_no_unknown_word_is_ever_counted_as_passed(provider: str, name: str, record_property: Record) -> None:
    place = STATUS[provider, name]
    values: dict[str, Any] = {"docketqa": {"test_run__additional_attempts": None}, "datadog": {"result": {"timings": {"total": 5}}}}.get(
        provider, {}
    )
    bodies = [text_of(changed(provider, name, **values, **{place: word})) for word in WORDS]
    table = "runs" if provider == "applitools" else "results"
    with landed(provider, *bodies, name=name) as bench:
        found = dict(bench.ask(f"SELECT status, outcome FROM core.{table}"))
        assert set(found) == set(WORDS)
        assert {word: outcome for word, outcome in found.items() if outcome != "unknown"} == {}
        pointer = "/" + place.replace("__", "/")
        assert bench.ask(f"SELECT kind, occurrences FROM meta.drift WHERE json_pointer = '{pointer}'") == [("unknown_value", len(WORDS))]
        if table == "results":
            assert bench.ask("SELECT sum(passed_count), max(pass_rate) FROM marts.daily_reliability") == [(0, None)]
    record_property("cases", len(WORDS))


@EVERY_PROVIDER
@pytest.mark.fault("D10")
def test_fifty_unknown_words_in_every_documented_vocabulary_are_drift_and_make_nothing_pass(name: str, record_property: Record) -> None:
    """Every place of every fixture that documents words (status, result type, check type, assertion type, kind of a step …)."""
    count = 0
    for endpoint in PROVIDERS[name].endpoints:
        documents: dict[str, Any] = {}
        bases: dict[str, str] = {}
        wanted: set[tuple[str, str, str]] = set()
        for each in FIXTURES[name].of(endpoint.name):
            here = [path for path, value in _places(each.document, ()) if isinstance(value, str)]
            leaves = [(path, declared(endpoint.tree, each.document, path)) for path in here]
            vocabularies = {path: leaf.values for path, leaf in leaves if isinstance(leaf, Leaf) and leaf.values is not None}
            documents[each.name] = each.document
            for word in WORDS:
                document, id_ = each.document, f"{each.name} {word}"
                for path, known in vocabularies.items():
                    if word not in known:
                        document = replaced(document, path, word)
                        wanted.add((id_, pointer_of(path), "unknown_value"))
                        count += 1
                documents[id_], bases[id_] = document, each.name
        columns = {"parent_id": "parent", "fetched_at": NOW, "window_date": NOW.date()}
        told = pl.DataFrame([{"entity_id": id_, **columns, "payload": dump(document)} for id_, document in documents.items()])
        decoded, _ = decode(told, endpoint.tree, connection=memory())
        assert wanted <= set(find_drift(told, decoded, endpoint.tree, connection=memory()).rows())
        frames, rejects = flatten(endpoint, decoded)
        assert rejects.is_empty()
        for table, rows in frames.items():
            per = dict(rows.group_by("entity_id").len().iter_rows()) if table != "drift" else {}
            passed = dict(rows.filter(outcome="passed").group_by("entity_id").len().iter_rows()) if "outcome" in rows.columns else {}
            for id_, base in bases.items():
                assert per.get(id_, 0) >= per.get(base, 0), (table, id_)
                assert passed.get(id_, 0) <= passed.get(base, 0), (table, id_)
    record_property("cases", count)


@pytest.mark.fault("D17", "D12")
def test_keys_of_any_kind_and_number_change_no_table(record_property: Record) -> None:
    odd = {
        "Id": 1,
        "ID": 2,
        "": 3,
        "a.b": 4,
        "a/b~c": 5,
        'q"t': 6,
        "x'; DROP TABLE core.results; --": 7,
        "$": 8,
        "*": 9,
        "\u00fc": 10,
        "status ": 11,
    }
    many = {f"key-{number}": number for number in range(5_000)}
    base = changed("docketqa", "retried_run")
    bodies = [
        text_of({**base, **odd}),
        text_of({**base, "test_run": {**base["test_run"], **odd, "more": many}}),
        text_of({**base, **many}),
    ]
    with Bench(PROVIDERS["docketqa"]) as bench:
        tables = [f"{schema}.{table}" for schema in ("core", "marts", "meta", "stage") for table in bench.tables(schema)]
        before = {table: bench.columns(table) for table in tables}
        versions = [
            Version(fixture("docketqa", "retried_run").endpoint, str(FIRST + n), None, parse(text)[0]) for n, text in enumerate(bodies)
        ]
        bench.land(versions)
        bench.load()
        assert {table: bench.columns(table) for table in before} == before
        assert bench.tables("core") == [table.removeprefix("core.") for table in tables if table.startswith("core.")]
        assert len(bench.ask("SELECT DISTINCT result_id FROM core.results")) == len(bodies)
        seen = {row[0] for row in bench.ask("SELECT json_pointer FROM meta.drift WHERE kind = 'unknown_field'")}
        assert seen >= {f"/{name.replace('~', '~0').replace('/', '~1')}" for name in (*odd, *many)}
        assert "/test_run/more" in seen
    record_property("cases", 2 * len(odd) + 2 * len(many))


@pytest.mark.fault("D18")
def test_a_column_that_is_null_at_first_or_of_another_type_later_loses_no_row(record_property: Record) -> None:
    def row(number: int, **result: Any) -> Version:
        document = {"result_id": str(number), "check_time": 1764000000000 + number, "probe_dc": "aws:x", "result": result or None}
        return Version(fixture("datadog", "api_rows-0").endpoint, str(number), "abc-def-ghi", document)

    with Bench(PROVIDERS["datadog"]) as bench:
        before = bench.columns("core.results")
        bench.land([row(number) for number in range(150)], "first")
        bench.load(marts=False)
        bench.land(
            [*(row(number) for number in range(150, 400)), row(400, eventType="finished", timings={"total": 1, "dns": 2.5})], "second"
        )
        bench.load(marts=False)
        late = [{"total": "7"}, {"total": None}, [], "none", {"total": [1]}, {"total": 10**30}, {"total": True}]
        bench.land([row(500 + number, eventType="finished", timings=value) for number, value in enumerate(late)], "third")
        bench.load()
        assert bench.columns("core.results") == before
        assert bench.ask("SELECT count(*) FROM core.results") == [(401 + len(late),)]
        assert bench.ask(
            "SELECT phase, t.duration_ms FROM core.timings t JOIN core.results USING (result_key) WHERE result_id = '400' ORDER BY 1"
        ) == [
            ("dns", 2.5),
            ("total", 1.0),
        ]
        assert checks.holds_together(bench) + checks.is_plausible(bench) == []
        assert bench.ask("SELECT count(*) FROM meta.drift WHERE json_pointer LIKE '/result/timings%'")[0][0] > 1
    record_property("cases", 401 + len(late))


# --- sizes --------------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("D14")
def test_no_step_ten_thousand_steps_and_a_megabyte_of_text_are_all_there(record_property: Record) -> None:
    step = {"task": "Click", "is_successful": True, "result": "ok", "duration": 0.5, "actions": []}
    megabyte = "All is well. " * 80_000
    cases: list[Any] = [
        None,
        [],
        [{}],
        [{**step, "step_number": n + 1} for n in range(10_000)],
        [{**step, "step_number": 1, "result": megabyte}],
    ]
    bodies = [text_of(changed("docketqa", "retried_run", test_run__results=each, test_run__additional_attempts=None)) for each in cases]
    before = time.process_time()
    with landed("docketqa", *bodies, name="retried_run") as bench:
        counted = bench.ask(
            "SELECT result_id, count(s.result_key) FROM core.results LEFT JOIN core.steps s USING (result_key) GROUP BY 1 ORDER BY 1"
        )
        assert [count for _, count in counted] == [0, 0, 1, 10_000, 1]
        assert bench.ask("SELECT max(length(result_text)) FROM core.steps") == [(len(megabyte),)]
        assert bench.ask("SELECT count(*) FROM meta.rejects") == [(0,)]
    assert time.process_time() - before < 30
    record_property("cases", len(cases))


# --- ids ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("D15")
@pytest.mark.parametrize(("order", "is_apart"), [((1, 2, 0), False), ((2, 1, 0), True)])
def test_of_one_id_the_newest_payload_stands_and_the_older_ones_are_kept(order: tuple[int, ...], is_apart: bool) -> None:
    base = fixture("docketqa", "retried_run")
    titles = ("first", "second", "third")
    documents = [changed("docketqa", "retried_run", test_run__blueprint_metadata__title=title) for title in titles]
    with Bench(PROVIDERS["docketqa"]) as bench:
        versions = [Version(base.endpoint, "501", None, documents[place], minute=place) for place in order]
        if is_apart:
            for number, version in enumerate(versions):
                bench.land([version], f"sync-{number}")
                bench.load()
        else:
            bench.land(versions)
            bench.load()
        assert bench.ask("SELECT DISTINCT test_name FROM core.results") == [("third",)]
        assert bench.ask("SELECT state, count(*) FROM meta.versions GROUP BY 1 ORDER BY 1") == [("loaded", 1), ("superseded", 2)]
        payloads = [text for file in bench.lake.raw_files() for text in bench.lake.read_raw(file, ["payload"]).to_pydict()["payload"]]
        assert sorted(parse(text.encode())[0]["test_run"]["blueprint_metadata"]["title"] for text in payloads) == sorted(titles)
        assert checks.holds_together(bench) == []


@pytest.mark.fault("D16")
def test_one_id_in_every_provider_is_a_row_each_and_a_home_holds_one_account(tmp_path: Path, record_property: Record) -> None:
    house = House(tmp_path, None)
    same = "501"
    rows = {
        "datadog": ("api_rows-0", {"result_id": same}, "abc-def-ghi"),
        "checkly": ("result_final_passed", {"testSessionResultId": same, "id": same}, "session"),
        "docketqa": ("retried_run", {"test_run__id": 501}, None),
    }
    for name, (base, values, parent_id) in rows.items():
        _land(house, name, [Version(fixture(name, base).endpoint, same, parent_id, changed(name, base, **values))])
    house.refresh()
    found = house.ask(
        "SELECT provider, count(DISTINCT result_key) FROM core.results WHERE result_id = '501' AND attempt = 1 GROUP BY 1 ORDER BY 1"
    )
    assert found == [("checkly", 1), ("datadog", 1), ("docketqa", 1)]
    assert house.ask("SELECT count(*) = count(DISTINCT result_key) FROM core.results") == [(True,)]
    lake = Lake(house.settings.lake)
    lake.check_account("checkly", "https://api.checklyhq.com", "account-1")
    for host, account in (("https://api.checklyhq.com", "account-2"), ("https://other.example", "account-1")):
        with pytest.raises(SettingsError):
            lake.check_account("checkly", host, account)
    record_property("cases", 5)


# --- documents and API disagree -------------------------------------------------------------------------------------------------

DISAGREE = [
    # the word is absent, its meaning stands elsewhere; or two fields say different things
    ("datadog", "api_rows-0", {"result": {"passed": True}}, "passed"),
    ("datadog", "api_rows-0", {"result": {"passed": False}}, "failed"),
    ("datadog", "api_rows-0", {"result": {"timings": {"total": 5}}}, "passed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "finished"}}, "passed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "finished", "passed": False}}, "failed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "finished_with_error"}}, "failed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "scheduled", "passed": True}}, "running"),
    ("datadog", "api_rows-0", {"result": {"failure": {"code": "X", "message": "x"}, "timings": {"total": 5}}}, "failed"),
    ("datadog", "api_rows-0", {"result": {"error": "x"}}, "failed"),
    ("datadog", "api_rows-0", {"result": {}}, "unknown"),
    ("datadog", "api_rows-0", {"result": {}, "status": 0}, "unknown"),
    ("datadog", "api_rows-0", {"result": {"eventType": "not_scheduled", "passed": False}}, "running"),
    ("datadog", "api_rows-0", {"result": {"passed": True, "failure": {"code": "X", "message": "x"}}}, "passed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "finished", "failure": {"code": "X", "message": "x"}}}, "failed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "finished", "errorMessage": '[{"index":0,"type":"body","valid":false}]'}}, "failed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "finished", "errorMessage": '[{"index":0,"type":"body","valid":true}]'}}, "passed"),
    ("datadog", "api_rows-0", {"result": {"eventType": "someday", "timings": {"total": 5}}}, "unknown"),
    ("checkly", "result_final_passed", {"status": "PASSED", "hasFailures": True}, "failed"),
    ("checkly", "result_final_passed", {"status": "PASSED", "isCancelled": True}, "cancelled"),
    ("checkly", "result_final_passed", {"status": "PASSED", "aborted": True, "hasErrors": True}, "aborted"),
    ("checkly", "result_final_passed", {"status": "PASSED", "isDegraded": True}, "degraded"),
    ("checkly", "result_final_passed", {"status": None}, "unknown"),
    ("checkly", "result_final_passed", {"status": "RUNNING", "hasErrors": True}, "running"),
    ("checkly", "result_final_passed", {"status": "PASSED", "resultType": "PENDING"}, "running"),
    ("checkly", "result_final_passed", {"status": "CANCELLED", "aborted": True}, "cancelled"),
    ("checkly", "result_final_passed", {"status": "FAILED", "isDegraded": True}, "failed"),
    ("checkly", "result_final_passed", {"status": "PASSED", "hasErrors": True, "isDegraded": True}, "failed"),
    ("checkly", "result_final_passed", {"status": "PASSED"}, "passed"),
    ("docketqa", "retried_run", {"test_run__additional_attempts": None, "test_run__status": "stopped"}, "cancelled"),
    ("docketqa", "retried_run", {"test_run__additional_attempts": None, "test_run__status": "passed"}, "passed"),
    ("docketqa", "retried_run", {"test_run__additional_attempts": None, "test_run__status": None}, "unknown"),
    ("docketqa", "retried_run", {"test_run__additional_attempts": None, "test_run__status": "running"}, "running"),
    ("docketqa", "retried_run", {"test_run__additional_attempts": None, "test_run__status": "failed"}, "failed"),
    ("applitools", "completed_run", {"result__status": None}, "running"),
    *(
        ("applitools", "completed_run", {"result__status": word, "result__results": {"passed": 1, "failed": 1}}, outcome)
        for word, outcome in (
            *((word, word) for word in ("passed", "failed", "aborted", "unresolved")),
            *((word, "running") for word in ("pending", "running")),
            ("someday", "unknown"),
        )
    ),
    ("applitools", "completed_run", {"result__results": {"passed": 3, "unresolved": 1, "aborted": 1, "failed": 1}}, "failed"),
    ("applitools", "completed_run", {"result__results": {"passed": 3, "unresolved": 1, "aborted": 1, "failed": 0}}, "aborted"),
    ("applitools", "completed_run", {"result__results": {"passed": 3}}, "passed"),
    ("applitools", "completed_run", {"result__results": {"passed": 3, "unresolved": 1}}, "unresolved"),
]


@pytest.mark.fault("D19")
@EVERY_PROVIDER
def test_outcome_follows_the_table_also_where_documents_and_answers_disagree(name: str, record_property: Record) -> None:
    count = 0
    for base in {row[1] for row in DISAGREE if row[0] == name}:
        cases = [(values, outcome) for provider, place, values, outcome in DISAGREE if (provider, place) == (name, base)]
        table, id_ = ("runs", "run_id") if name == "applitools" else ("results", "result_id")
        with landed(name, *(text_of(changed(name, base, **values)) for values, _ in cases), name=base) as bench:
            last = " QUALIFY row_number() OVER (PARTITION BY result_id ORDER BY attempt DESC) = 1" if table == "results" else ""
            found = bench.ask(f"SELECT {id_}, outcome FROM core.{table}{last} ORDER BY {id_}")
            assert [outcome for _, outcome in found] == [outcome for _, outcome in cases]
        count += len(cases)
    assert count > 1
    record_property("cases", count)
