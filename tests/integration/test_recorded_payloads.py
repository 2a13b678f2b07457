"""Every recorded and documented result payload the whole way: masked, landed, loaded, derived. Skipped where they are not at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.jsontext import dump, parse
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow
from pipelines.providers import load_providers
from tests.support.house import House

PAYLOADS = Path(__file__).resolve().parents[3] / "shared" / "payloads"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="the recorded payloads are not beside this checkout")


def _read(name: str) -> Any:
    return parse((PAYLOADS / f"{name}.json").read_bytes())[0]


def _entities() -> Iterator[tuple[str, str, str | None, Any]]:
    """Lake folder, entity id, parent id and document of each payload. A result does not name its test: SOURCES.md does."""
    for name, endpoint, test in (
        ("api_result_full_01", "api_results", "hwb-332-3xe"),
        ("browser_result_full_01", "browser_results", "2yy-sem-mjh"),
    ):
        full = _read(f"datadog/{name}")
        yield f"datadog/{endpoint}", full["result_id"], test, full
    for name, endpoint, test in (
        ("api_results_list_01", "api_result_rows", "edj-ppu-45v"),
        ("api_results_list_02", "api_result_rows", "hwb-332-3xe"),
        ("browser_results_list_01", "browser_result_rows", "2yy-sem-mjh"),
    ):
        for row in _read(f"datadog/{name}")["results"]:
            yield f"datadog/{endpoint}", row["result_id"], test, row
    for name in ("tests_list_01", "tests_list_02", "tests_list_03"):
        for test in _read(f"datadog/{name}")["tests"]:
            yield "datadog/tests", test["public_id"], None, test
    for path in sorted(PAYLOADS.glob("datadog/*test_get_*.json")):
        test = parse(path.read_bytes())[0]
        yield "datadog/tests", test["public_id"], None, test
    for name in ("cli_ts1_testSession", "cli_ts2_testSession"):
        session = _read(f"checkly/{name}")
        yield "checkly/test_sessions", session["testSessionId"], None, session
    for entry in _read("checkly/cli_ts3_listResponse")["entries"]:
        yield "checkly/test_session_rows", entry["id"], None, entry
    result = _read("checkly/cli_ts2_testSessionResult")  # hand-made by the vendor, without the id's other name
    yield "checkly/test_session_results", result["id"], "a-session", {"testSessionResultId": result["id"], **result}
    run = _read("applitools/doc_get_result")
    yield "applitools/plan_runs", run["result"]["id"], None, run
    docket = _read("docketqa/doc_get_test_run")
    yield "docketqa/test_runs", str(docket["test_run"]["id"]), None, docket
    group = _read("docketqa/doc_trigger_run_response")
    yield "docketqa/test_group_runs", str(group["test_group_run"]["id"]), None, group
    webhook = _read("docketqa/doc_webhook_test_group_run_passed")
    yield "docketqa/test_group_runs", str(webhook["payload"]["id"]), None, webhook


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("home"), None)
    providers, redactor, lake = load_providers(), Redactor(b"k" * 32), Lake(house.settings.lake)
    rows: dict[str, list[RawRow]] = {}
    for place, entity_id, parent_id, document in _entities():
        provider, endpoint = place.split("/")
        payload = dump(redactor.redact(document, providers[provider].endpoint(endpoint).tree))
        rows.setdefault(place, []).append(RawRow(entity_id, parent_id, NOW.date(), NOW, 200, "", payload, "", REDACTION_VERSION))
    for place, each in rows.items():
        lake.land(*place.split("/"), each, "recorded")
    house.refresh()
    return house


def test_no_payload_is_rejected_and_nothing_in_them_is_undocumented(house: House) -> None:
    assert house.ask("SELECT provider, endpoint, entity_id, rule, error FROM meta.rejects") == []
    assert house.ask("SELECT provider, endpoint, json_pointer, kind FROM meta.drift") == []
    assert house.ask("SELECT count(*) FROM meta.loads WHERE payloads <> loaded + superseded + rejected") == [(0,)]


@pytest.mark.fault("D7")
def test_every_result_is_a_row_and_every_long_id_is_exact(house: House) -> None:
    ids = {entity for place, entity, _, _ in _entities() if place.startswith("datadog/") and place != "datadog/tests"}
    assert {row[0] for row in house.ask("SELECT result_id FROM core.results WHERE provider = 'datadog'")} == ids
    assert "3420446318379485707" in ids


def test_no_timing_step_or_assertion_of_a_full_result_is_lost(house: House) -> None:
    api, browser = _read("datadog/api_result_full_01"), _read("datadog/browser_result_full_01")

    def count(table: str, result_id: str) -> object:
        return house.ask(f"SELECT count(*) FROM core.{table} JOIN core.results USING (result_key) WHERE result_id = '{result_id}'")[0][0]

    assert count("timings", api["result_id"]) == len(api["result"]["timings"])
    assert count("assertions", api["result_id"]) == len(api["check"]["config"]["assertions"])
    assert count("steps", browser["result_id"]) == len(browser["result"]["stepDetails"])
    steps = sum(len(document["test_run"]["results"] or ()) for place, _, _, document in _entities() if place == "docketqa/test_runs")
    assert house.ask("SELECT count(*) FROM core.steps WHERE provider = 'docketqa'") == [(steps,)]


def test_failed_assertions_of_list_rows_are_rows(house: House) -> None:
    told = sum(
        len(json.loads(document["result"]["errorMessage"]))
        for place, _, _, document in _entities()
        if place == "datadog/api_result_rows" and str(document["result"].get("errorMessage") or "").startswith("[")
    )
    assert told > 0
    assert house.ask("SELECT count(*) FROM core.assertions WHERE endpoint = 'datadog/api_result_rows' AND outcome = 'failed'") == [(told,)]


def test_units_are_milliseconds_and_times_utc(house: House) -> None:
    rows = house.ask(
        "SELECT provider, strftime(started_at, '%Y-%m-%dT%H:%M:%S.%g'), duration_ms FROM core.results"
        " WHERE result_id IN ('3420446318379485707', '5671719892074090418', '38') ORDER BY duration_ms"
    )
    assert rows == [
        ("datadog", "2022-07-14T18:45:07.023", 52.7),
        ("datadog", "2022-07-14T18:25:17.511", 7131.0),
        ("docketqa", "2025-07-03T01:38:03.032", 122011.266),
    ]
    assert house.ask("SELECT duration_ms FROM core.runs WHERE provider = 'applitools'") == [(228669.0,)]
