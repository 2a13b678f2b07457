"""A fifth provider is one new folder: its settings, crawl, lake folder, rows, assets, checks and schedule appear by its being there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import httpx
import pytest

from assets.raw import build_raw
from assets.schedules import build_schedules
from assets.warehouse import build_warehouse
from pipelines.flows.pull import pull
from pipelines.flows.refresh import refresh
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from pipelines.warehouse.connect import open_published
from tests.support import toy_provider
from tests.support.clock import VirtualClock


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[None]:
    """The folder, where discovery finds it; gone afterwards."""
    with toy_provider.installed(tmp_path / "more"):
        yield


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
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps({"runs": toy_provider.RUNS}).encode()))

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
