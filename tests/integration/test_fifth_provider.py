"""A fifth provider is one new folder: its settings, crawl, lake folder, rows, assets, checks and schedule appear by its being there."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import httpx
import pytest

import pipelines.providers
from assets.raw import build_raw
from assets.schedules import build_schedules
from assets.warehouse import build_warehouse
from pipelines.flows.pull import pull
from pipelines.flows.refresh import refresh
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from pipelines.warehouse.connect import open_published
from tests.support.clock import VirtualClock

FOLDER = {
    "__init__.py": '''
"""Acme, a made-up provider of one endpoint."""

from pipelines.providers.acme.discover import discover
from pipelines.providers.acme.flatten import flatten_run
from pipelines.providers.spec import Auth, Endpoint, Provider, Setting
from pipelines.schemas.leaves import MASKED, NUMBER, TEXT, enum

PROVIDER = Provider(
    name="acme",
    title="Acme",
    base_url="https://api.acme.test",
    url_setting="ACME_API_URL",
    settings=(Setting("ACME_KEY", "API key", required=True, secret=True), Setting("ACME_API_URL", "address of the API")),
    auth=Auth(headers={"X-Acme": "{ACME_KEY}"}),
    endpoints=(
        Endpoint(
            "runs",
            {"id": TEXT, "state": enum("ok", "bad"), "took_s": NUMBER, "at": TEXT, "login": MASKED},
            flatten_run,
        ),
    ),
    discover=discover,
)
''',
    "discover.py": '''
"""The one list of Acme."""

from pipelines.providers.spec import Covered, Payload


async def discover(crawl):
    """Every run of the window."""
    from_at, to_at = crawl.window("runs", "")
    reply = await crawl.client.get("/runs")
    for run in reply.document["runs"]:
        yield Payload("runs", str(run["id"]), run, reply, event_at=crawl.now)
    yield Covered("runs", "", from_at, to_at)
''',
    "flatten.py": '''
"""Acme's runs as results."""

import polars as pl

from pipelines.transform.expressions import from_iso, outcome, result_key


def flatten_run(frame):
    """One result a run."""
    doc = frame.unnest("doc")
    state = pl.col("state")
    results = doc.select(
        "entity_id",
        result_key("acme", pl.col("id")).alias("result_key"),
        pl.col("id").alias("result_id"),
        pl.lit(1).alias("attempt"),
        pl.col("id").alias("execution_id"),
        pl.lit("the-test").alias("test_id"),
        state.alias("status"),
        *outcome([(state == "ok", "passed"), (state == "bad", "failed")]),
        pl.lit(True).alias("is_terminal"),
        from_iso(pl.col("at")).alias("started_at"),
        (pl.col("took_s") * 1000).alias("duration_ms"),
    )
    return {"results": results}
''',
}
RUNS = [
    {"id": 1, "state": "ok", "took_s": 1.5, "at": "2026-11-22T10:00:00Z", "login": "hunter2-planted"},
    {"id": 2, "state": "odd", "took_s": None, "at": "2026-11-22T11:00:00Z", "colour": "red"},
]


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder, where discovery finds it; gone afterwards."""
    folder = tmp_path / "more" / "acme"
    folder.mkdir(parents=True)
    for name, text in FOLDER.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(pipelines.providers, "__path__", [*pipelines.providers.__path__, str(folder.parent)])
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.startswith("pipelines.providers.acme")]:
        del sys.modules[name]


@pytest.mark.usefixtures("acme")
def test_its_payloads_become_rows_and_its_secrets_do_not(tmp_path: Path) -> None:
    provider = load_providers()["acme"]
    clock = VirtualClock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    settings = load_settings(
        {"acme": provider}, environ={"ACME_KEY": "acme-own-key", "RESULTHOUSE_HOME": str(tmp_path / "home")}, dotenv=None
    )
    assert list(settings.configured()) == ["acme"]

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-acme"] == "acme-own-key"
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps({"runs": RUNS}).encode()))

    report = asyncio.run(pull(provider, settings, clock, sync_id="one", transport=httpx.MockTransport(answer)))
    assert (report.landed, report.error) == (2, None)
    refresh(settings, settings.providers, clock)
    connection = open_published(settings.warehouse)
    try:
        results = "SELECT provider, result_id, outcome, duration_ms, is_final FROM core.results ORDER BY result_id"
        assert connection.execute(results).fetchall() == [("acme", "1", "passed", 1500.0, True), ("acme", "2", "unknown", None, True)]
        assert connection.execute("SELECT sum(executions) FROM marts.daily_reliability").fetchall() == [(2,)]
        drift = set(connection.execute("SELECT json_pointer, kind FROM meta.drift").fetchall())
        assert drift == {("/state", "unknown_value"), ("/colour", "unknown_field")}
    finally:
        connection.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert b"hunter2-planted" not in written
    assert b"acme-own-key" not in written


@pytest.mark.usefixtures("acme")
def test_its_assets_check_and_schedule_appear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACME_KEY", "acme-own-key")
    providers = load_providers()
    raw = build_raw(providers["acme"])
    assert raw.keys == {dg.AssetKey(["raw", "acme", "runs"])}
    assert {key.name for key in raw.check_keys} == {"pulled"}
    warehouse = build_warehouse(providers)
    assert dg.AssetKey(["raw", "acme", "runs"]) in warehouse.dependency_keys
    _, schedules = build_schedules(providers)
    assert {s.name: s.default_status for s in schedules}["sync_acme_schedule"] is dg.DefaultScheduleStatus.RUNNING
