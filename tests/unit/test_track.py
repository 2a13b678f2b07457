"""Registering runs of providers that cannot list them."""

import json
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.flows.track import TrackReport, track_ids, track_lines
from pipelines.lake.private import Private
from pipelines.lake.store import Lake
from pipelines.providers import load_providers
from pipelines.settings import Settings, load_settings
from tests.support.clock import VirtualClock

PROVIDERS = load_providers()
RUN = "5f0c1e0a-9d2b-4c57-8a34-0242ac120002"
TOKEN = "read-token-of-one-run-91c2"
TRIGGERED = {
    "test_group_run": {
        "id": 77,
        "name": "Nightly",
        "status": "running",
        "created_at": "2026-11-22T10:00:00Z",
        "test_runs": [{"id": 501, "status": "running"}, {"id": 502, "status": "running"}],
    }
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(PROVIDERS, environ={"RESULTHOUSE_HOME": str(tmp_path)}, dotenv=None)


def lines(settings: Settings, name: str, *texts: bytes, sync_id: str = "s1") -> TrackReport:
    return track_lines(PROVIDERS[name], settings, texts, VirtualClock(), sync_id)


def tracked(settings: Settings, name: str) -> list[str]:
    return [row["entity_id"] for row in Lake(settings.lake).tracked(name).to_pylist()]


def test_ids_are_registered_once(settings: Settings) -> None:
    first = track_ids(PROVIDERS["applitools"], settings, [RUN, RUN, "other-1"], VirtualClock(), "s1")
    second = track_ids(PROVIDERS["applitools"], settings, [RUN], VirtualClock(), "s2")
    assert (first.registered, second.registered, second.known) == (2, 0, 1)
    assert tracked(settings, "applitools") == [RUN, "other-1"]


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("applitools", "../../etc/passwd"),
        ("applitools", "a b"),
        ("applitools", "https://autonomous.applitools.com/x"),
        ("applitools", ""),
        ("docketqa", "12a"),
        ("docketqa", "-3"),
    ],
)
def test_an_id_that_cannot_be_one_registers_nothing(settings: Settings, name: str, run_id: str) -> None:
    with pytest.raises(SettingsError, match="Run id 2 of 2"):
        track_ids(PROVIDERS[name], settings, ["1234", run_id], VirtualClock(), "s1")
    assert tracked(settings, name) == []


def test_a_provider_that_lists_its_runs_has_nothing_to_track(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="Checkly lists its runs itself"):
        track_ids(PROVIDERS["checkly"], settings, ["1"], VirtualClock(), "s1")
    with pytest.raises(SettingsError, match="Datadog"):
        lines(settings, "datadog", b"{}")


@pytest.mark.fault("X1", "X15")
def test_a_read_token_lies_in_the_private_folder_and_nowhere_else(settings: Settings) -> None:
    response = json.dumps({"result": {"id": RUN, "read_token": TOKEN}}).encode()
    report = lines(settings, "applitools", response)
    assert report.registered == 1
    private = Private(settings.home)
    assert private.get(RUN) == TOKEN
    elsewhere = [
        path for path in settings.home.rglob("*") if path.is_file() and "private" not in path.parts and TOKEN.encode() in path.read_bytes()
    ]
    assert elsewhere == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in (settings.home / "private").rglob("*"))


def test_a_line_that_is_not_understood_is_named_by_number_and_the_others_are_registered(settings: Settings) -> None:
    good = json.dumps({"result": {"id": RUN}}).encode()
    report = lines(settings, "applitools", b'{"token": "hidden-value"', b"", good, b"[1]", b'{"result": {"id": "../x"}}')
    assert report.registered == 1
    assert [error.split(":")[0] for error in report.errors] == ["line 1", "line 4", "line 5"]
    assert "hidden-value" not in str(report.errors)
    assert tracked(settings, "applitools") == [RUN]


def test_a_trigger_response_lands_itself_and_registers_its_runs(settings: Settings) -> None:
    report = lines(settings, "docketqa", json.dumps(TRIGGERED).encode())
    assert (report.registered, report.landed, report.errors) == (2, 1, [])
    assert tracked(settings, "docketqa") == ["501", "502"]
    lake = Lake(settings.lake)
    [file] = lake.raw_files("docketqa")
    [row] = lake.read_raw(file).to_pylist()
    assert (row["endpoint"], row["entity_id"], str(row["window_date"])) == ("test_group_runs", "77", "2026-11-22")
    assert (row["http_status"], row["request_url"]) == (None, None)
    assert json.loads(row["payload"])["test_group_run"]["name"] == "Nightly"


def test_what_has_not_changed_does_not_land_again(settings: Settings) -> None:
    line = json.dumps(TRIGGERED).encode()
    assert lines(settings, "docketqa", line, line).landed == 1
    again = lines(settings, "docketqa", line, sync_id="s2")
    assert (again.landed, again.unchanged, again.registered, again.known) == (0, 1, 0, 2)


@pytest.mark.fault("S11")
def test_an_event_that_is_delivered_again_lands_once(settings: Settings) -> None:
    payload = {"id": TRIGGERED["test_group_run"]["id"], "name": "Nightly", "status": "passed", "tests": []}
    both = [json.dumps(body).encode() for body in (TRIGGERED, {"event": "test_group_run_passed", "payload": payload})]
    assert lines(settings, "docketqa", *both).landed == 2
    again = lines(settings, "docketqa", *both, sync_id="s2")
    assert (again.landed, again.unchanged) == (0, 2)


@pytest.mark.fault("X2")
def test_a_secret_in_a_webhook_is_masked_before_it_lands(settings: Settings) -> None:
    group = {**TRIGGERED["test_group_run"], "notes": "password=Hunter2-typed", "api_key": "key-in-a-webhook-1"}
    lines(settings, "docketqa", json.dumps({"test_group_run": group}).encode())
    lake = Lake(settings.lake)
    text = str([lake.read_raw(file).to_pylist() for file in lake.raw_files()])
    assert "Nightly" in text
    assert "Hunter2-typed" not in text
    assert "key-in-a-webhook-1" not in text
