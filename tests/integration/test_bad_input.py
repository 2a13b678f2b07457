"""What a provider answers wrongly is reported, and nothing else is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipelines.sandbox.server import SandboxServer, discover, serve
from pipelines.sandbox.world import World
from tests.support.clock import START, VirtualClock
from tests.support.house import House


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with serve(World(seed=3, days=1, now=START)) as server:
        yield server


def _house(tmp_path: Path, server: SandboxServer, *only: str, **environ: str) -> House:
    house = House(tmp_path, server, only, {"RESULTHOUSE_START_DAYS": "1", **environ}, VirtualClock(START))
    house.track()
    return house


def _answer(server: SandboxServer, path_part: str, response: Callable[[], Response]) -> None:
    def fault(request: Request) -> Response | None:
        return response() if path_part in request.url.path else None

    server.faults.append(fault)


def _first_run(server: SandboxServer) -> str:
    """Id of a test run of DocketQA that has ended."""
    for line in server.executions("docketqa"):
        if "test_group_run" in line:
            return str(line["test_group_run"]["test_runs"][0]["id"])
    raise AssertionError


GARBAGE = {
    "html": lambda: HTMLResponse("<html><body>Bad gateway</body></html>"),
    "empty": lambda: Response(b"", media_type="application/json"),
    "cut": lambda: Response(b'{"test_run": {"id": 1, "sta', media_type="application/json"),
    "scalar": lambda: JSONResponse(7),
    "error object": lambda: JSONResponse({"errors": ["nope"]}),
}


@pytest.mark.fault("H19", "H20", "H21", "D1")
@pytest.mark.parametrize("kind", list(GARBAGE))
def test_answer_of_no_use_is_a_reject_and_is_fetched_again(tmp_path: Path, server: SandboxServer, kind: str) -> None:
    house = _house(tmp_path, server, "docketqa")
    run = _first_run(server)
    _answer(server, f"/test_run/{run}", GARBAGE[kind])
    reports, _ = house.sync()
    assert reports["docketqa"].error is not None
    assert reports["docketqa"].landed > 5
    assert house.ask(f"SELECT rule, resolved_at FROM meta.rejects WHERE entity_id = '{run}'") == [("refused", None)]
    assert house.ask(f"SELECT count(*) FROM core.results WHERE result_id = '{run}' AND has_detail") == [(0,)]

    server.faults.clear()
    reports, _ = house.sync()
    assert reports["docketqa"].error is None
    assert house.ask(f"SELECT count(*) FROM core.results WHERE result_id = '{run}' AND has_detail")[0][0] > 0
    assert house.ask(f"SELECT count(*) FROM meta.rejects WHERE entity_id = '{run}' AND resolved_at IS NULL") == [(0,)]


@pytest.mark.fault("D10", "D12")
def test_unknown_words_and_fields_land_and_show_as_drift(tmp_path: Path, server: SandboxServer) -> None:
    house = _house(tmp_path, server, "docketqa")
    run = _first_run(server)
    odd = {
        "id": int(run),
        "status": "exploded",
        "test_blueprint_id": 1,
        "test_group_run_id": 2,
        "results": None,
        "novelty": {"api_key": "sesame"},
    }
    _answer(server, f"/test_run/{run}", lambda: JSONResponse({"test_run": odd}))
    reports, _ = house.sync()
    assert reports["docketqa"].error is None
    assert house.ask(f"SELECT status, outcome FROM core.results WHERE result_id = '{run}'") == [("exploded", "unknown")]
    drift = set(house.ask("SELECT json_pointer, kind FROM meta.drift"))
    assert drift == {("/test_run/status", "unknown_value"), ("/test_run/novelty", "unknown_field")}
    lake = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sesame" not in lake


@pytest.mark.fault("H10")
def test_wrong_key_stops_one_provider_with_a_sentence_and_the_others_finish(tmp_path: Path, server: SandboxServer) -> None:
    house = _house(tmp_path, server, "checkly", "docketqa", CHECKLY_API_KEY="cu_wrong-key-0123456789")
    reports, refreshed = house.sync()
    error = reports["checkly"].error
    assert error is not None
    assert "CHECKLY_API_KEY" in error
    assert "wrong-key" not in error
    assert reports["docketqa"].error is None
    assert refreshed.published
    assert house.ask("SELECT DISTINCT provider FROM core.results") == [("docketqa",)]


@pytest.mark.fault("H7", "P15")
def test_outage_of_one_test_leaves_a_hole_that_the_next_sync_fills(tmp_path: Path, server: SandboxServer) -> None:
    whole = _house(tmp_path / "whole", server, "datadog")
    whole.sync()
    (test_id,) = whole.ask("SELECT test_id FROM core.results WHERE test_type = 'api' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0]

    house = _house(tmp_path / "broken", server, "datadog")
    _answer(server, f"/{test_id}/results", lambda: JSONResponse({"errors": ["oops"]}, 500))
    reports, _ = house.sync()
    assert reports["datadog"].error is not None
    count = f"SELECT count(*) FROM core.results WHERE test_id = '{test_id}'"
    assert house.ask(count) == [(0,)]
    assert house.ask("SELECT count(DISTINCT test_id) > 10 FROM core.results") == [(True,)]

    server.faults.clear()
    reports, _ = house.sync()
    assert reports["datadog"].error is None
    assert house.ask(count) == whole.ask(count)


def test_unreachable_provider_is_reported_without_its_key(tmp_path: Path, server: SandboxServer) -> None:
    house = _house(tmp_path, server, "applitools", APPLITOOLS_API_URL="http://127.0.0.1:9")
    reports, _ = house.sync()
    error = reports["applitools"].error
    assert error is not None
    assert server.env["APPLITOOLS_API_KEY"] not in error
    assert "127.0.0.1:9" in error or "applitools" in error.lower()


@pytest.mark.fault("X1", "X2")
def test_no_key_token_or_planted_secret_reaches_any_file_but_the_private_ones(tmp_path: Path, server: SandboxServer) -> None:
    house = _house(tmp_path, server)
    house.sync()
    canaries = {value for name, value in server.env.items() if "KEY" in name}
    canaries |= {secret for module in discover().values() for secret in module.PLANTED_SECRETS}
    texts = {canary.encode() for canary in canaries if len(canary) >= 6}
    texts |= {json.dumps(canary)[1:-1].encode() for canary in canaries if len(canary) >= 6}
    found = []
    for path in tmp_path.rglob("*"):
        if path.is_file() and "private" not in path.relative_to(tmp_path).parts:
            data = _content(path)
            found += [(str(path.relative_to(tmp_path)), text) for text in texts if text in data]
    assert found == []


def _content(path: Path) -> bytes:
    """The bytes of a file; of Parquet and DuckDB also its values, which are compressed."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        for column in pq.read_table(path).columns:
            data += "\n".join(str(value) for value in column.to_pylist()).encode()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            for (table,) in connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall():
                data += repr(connection.execute(f"FROM {table}").fetchall()).encode()
    return data
