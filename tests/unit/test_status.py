"""What `status` says of a lake, without a request."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.flows.status import read_status
from pipelines.lake.store import Lake, RawRow, Refused, Sync, Window
from pipelines.providers import load_providers
from pipelines.settings import Settings, load_settings
from tests.support.clock import START, VirtualClock

PROVIDERS = load_providers()
HOUR = timedelta(hours=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"RESULTHOUSE_HOME": str(tmp_path), "DD_API_KEY": "k", "DD_APP_KEY": "a", "CHECKLY_API_KEY": "half"}
    return load_settings(PROVIDERS, environ=environ, dotenv=None)


def row(entity_id: str, state: str = "final", at: datetime = START - HOUR) -> RawRow:
    return RawRow(entity_id, "abc", at.date(), at, 200, "u", "{}", "b", 1, state, event_at=at)  # type: ignore[arg-type]  # a plain str for a Literal


def test_an_empty_home_has_nothing_and_says_who_is_configured(settings: Settings) -> None:
    every = read_status(settings, PROVIDERS, VirtualClock())
    assert list(every) == list(PROVIDERS)
    assert every["datadog"].configured
    assert not every["checkly"].configured
    assert "CHECKLY_ACCOUNT_ID" in (every["checkly"].problem or "")
    assert (every["docketqa"].configured, every["docketqa"].problem) == (False, None)
    assert every["datadog"].last_sync is None
    assert every["datadog"].landed == every["datadog"].pending == 0
    assert not settings.home.joinpath("lake").exists()


def test_what_no_warehouse_has_loaded_is_pending(settings: Settings) -> None:
    lake = Lake(settings.lake)
    lake.land("datadog", "api_results", [row("r1"), row("r2", "open")], "s1")
    lake.refuse("datadog", [Refused("api_results", "r3", "refused", START), Refused("tests", "", "listed", START)], "s1")
    status = read_status(settings, PROVIDERS, VirtualClock())["datadog"]
    assert (status.landed, status.pending, status.rejected) == (2, 2, 0)
    assert (status.open, status.refused) == (2, 1)
    assert (status.last_landed_at, status.lag_s) == (START - HOUR, 3600.0)


def test_the_newest_sync_and_its_error_are_told(settings: Settings) -> None:
    lake = Lake(settings.lake)
    lake.write_sync(Sync("s2", "datadog", START - HOUR, START, error="api.datadoghq.com: 503", detail_pending=7))
    lake.write_sync(Sync("s1", "datadog", START - 2 * HOUR, START))
    status = read_status(settings, PROVIDERS, VirtualClock())["datadog"]
    assert status.last_sync is not None
    assert (status.last_sync["sync_id"], status.last_sync["error"]) == ("s2", "api.datadoghq.com: 503")
    assert status.detail_pending == 7


def test_holes_are_told_also_those_of_a_scope_that_fell_behind(settings: Settings) -> None:
    lake = Lake(settings.lake)
    begin = datetime(2026, 11, 21, tzinfo=UTC)
    windows = [
        Window("t1", begin, begin + HOUR),
        Window("t1", begin + 2 * HOUR, begin + 6 * HOUR),
        Window("t2", begin, begin + 4 * HOUR),
        Window("deleted", begin - timedelta(days=9), begin - timedelta(days=8)),
    ]
    lake.write_windows("datadog", "api_result_rows", windows, "s1")
    status = read_status(settings, PROVIDERS, VirtualClock())["datadog"]
    assert (status.coverage_from_at, status.coverage_to_at) == (begin - timedelta(days=9), begin + 6 * HOUR)
    assert [(hole.scope, hole.from_at, hole.to_at) for hole in status.holes] == [
        ("t1", begin + HOUR, begin + 2 * HOUR),
        ("t2", begin + 4 * HOUR, begin + 6 * HOUR),
    ]


def test_a_damaged_file_is_named(settings: Settings) -> None:
    lake = Lake(settings.lake)
    [name] = lake.land("datadog", "api_results", [row("r1")], "s1")
    path = Path(settings.lake) / "raw" / name
    path.write_bytes(path.read_bytes()[:-20])
    assert read_status(settings, PROVIDERS, VirtualClock())["datadog"].damaged == [name]


def test_a_file_of_someone_else_in_the_warehouses_place_does_not_stop_status(settings: Settings) -> None:
    Lake(settings.lake).land("datadog", "api_results", [row("r1")], "s1")
    settings.warehouse.write_bytes(b"no DuckDB file at all" * 1000)
    assert read_status(settings, PROVIDERS, VirtualClock())["datadog"].pending == 1
