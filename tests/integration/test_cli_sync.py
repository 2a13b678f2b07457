"""The command line on the sandbox: real commands, real HTTP, real Dagster runs. One day of history, few processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.lake.store import Lake
from pipelines.sandbox.server import SandboxServer, discover, serve
from pipelines.sandbox.world import World
from pipelines.warehouse.connect import open_published, rows

ROOT = Path(__file__).resolve().parents[2]
PROVIDERS = ["applitools", "checkly", "datadog", "docketqa"]
COUNTS = {"requests", "landed", "unchanged", "loaded", "rejected", "open", "detail_pending", "error"}


@dataclass
class House:
    """One home that a sandbox feeds, and everything that its commands have printed."""

    server: SandboxServer
    home: Path
    said: str = ""

    def run(self, *arguments: str, given: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", "assets.cli", *arguments],
            cwd=self.home.parent,  # no .env there
            env={
                **base,
                "PYTHONPATH": str(ROOT),
                "RESULTHOUSE_HOME": str(self.home),
                "RESULTHOUSE_START_DAYS": "1",
                **self.server.env,
                **environ,
            },
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.said += done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def warehouse(self, sql: str) -> list[dict[str, Any]]:
        connection = open_published(self.home / "warehouse.duckdb")
        try:
            return rows(connection, sql)
        finally:
            connection.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serve(World(seed=42, days=1, now=datetime.now(UTC))) as server:
        yield House(server, tmp_path_factory.mktemp("cli") / "home")


@pytest.fixture(scope="module")
def tracked(house: House) -> dict[str, subprocess.CompletedProcess[str]]:
    def given(name: str) -> str:
        return "".join(json.dumps(execution) + "\n" for execution in house.server.executions(name))

    return {
        "applitools": house.run("track", "applitools", "-", given='{"no": "run"}\n' + given("applitools")),
        "docketqa": house.run("track", "docketqa", "-", given=given("docketqa")),
    }


@pytest.fixture(scope="module")
def first(house: House, tracked: object) -> subprocess.CompletedProcess[str]:
    return house.run("sync", "--json")


@pytest.fixture(scope="module")
def second(house: House, first: object) -> subprocess.CompletedProcess[str]:
    return house.run("sync", "--json")


def test_track_names_the_bad_line_and_registers_the_others(house: House, tracked: dict[str, Any]) -> None:
    assert tracked["applitools"].returncode == 1
    assert "line 1" in tracked["applitools"].stderr
    assert tracked["docketqa"].returncode == 0
    assert Lake(house.home / "lake").tracked("applitools").num_rows > 0


def test_sync_prints_exactly_the_contracts_object_on_stdout(first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)
    assert set(said) == {"sync_id", "seconds", "published", "providers"}
    assert list(said["providers"]) == PROVIDERS
    assert said["published"] is True
    for name, counts in said["providers"].items():
        assert set(counts) == COUNTS
        assert counts["error"] is None
        assert counts["rejected"] == 0
        assert counts["landed"] > 0, name
        assert counts["loaded"] >= counts["landed"], name


def test_progress_without_a_terminal_is_plain_lines_on_stderr(first: subprocess.CompletedProcess[str]) -> None:
    assert "Checkly: started" in first.stderr
    assert re.search(r"Checkly: ended, \d+ requests, \d+ landed", first.stderr)
    assert "\x1b" not in first.stderr
    assert "dagster" not in first.stderr.lower()


def test_every_provider_stands_in_the_warehouse_after_one_sync(house: House, first: object) -> None:
    assert [row["provider"] for row in house.warehouse("SELECT DISTINCT provider FROM marts.executions ORDER BY 1")] == PROVIDERS
    assert (house.home / "report.html").stat().st_size > 10_000


def test_one_sync_is_one_dagster_run_with_its_id(house: House, second: subprocess.CompletedProcess[str]) -> None:
    os.environ.pop("DAGSTER_HOME", None)
    runs = list((house.home / "dagster" / "history" / "runs").glob("*.db"))
    per_run = [path for path in runs if re.fullmatch(r"[0-9a-f-]{36}\.db", path.name)]
    assert len(per_run) == 2
    config = (house.home / "dagster" / "dagster.yaml").read_text()
    assert "telemetry" in config
    assert "base_dir" not in config


def test_a_second_sync_finds_nothing_new_and_publishes_nothing(second: subprocess.CompletedProcess[str]) -> None:
    assert second.returncode == 0, second.stderr
    said = json.loads(second.stdout)
    assert said["published"] is False
    assert {name: counts["landed"] for name, counts in said["providers"].items()} == dict.fromkeys(PROVIDERS, 0)


def test_status_agrees_with_the_ledger(house: House, second: object) -> None:
    done = house.run("status", "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)["providers"]
    assert list(said) == PROVIDERS
    for name, status in said.items():
        [ledger] = house.warehouse(f"SELECT sum(payloads) AS landed FROM meta.loads WHERE provider = '{name}'")
        assert status["configured"] is True
        assert (status["landed"], status["pending"], status["rejected"]) == (ledger["landed"], 0, 0)
        assert status["last_sync"]["error"] is None
        assert status["holes"] == []
        assert status["lag_s"] >= 0


def test_rebuild_needs_no_network_and_gives_the_same_counts(house: House, second: object) -> None:
    count = "SELECT (SELECT count(*) FROM core.results) AS results, (SELECT count(*) FROM core.steps) AS steps"
    before = house.warehouse(count)
    nowhere = {name: "http://127.0.0.1:9/nobody" for name in house.server.env if name.endswith("_URL")}
    done = house.run("rebuild", **nowhere)
    assert done.returncode == 0, done.stderr
    assert house.warehouse(count) == before


def test_a_wrong_key_fails_that_provider_in_one_sentence_and_the_others_finish(house: House, second: object) -> None:
    house.server.world.advance(datetime.now(UTC) - house.server.world.now)
    done = house.run("sync", "--json", "--provider", "checkly", "--provider", "docketqa", CHECKLY_API_KEY="wrong-key-3f9a")
    assert done.returncode == 1
    said = json.loads(done.stdout)["providers"]
    assert "CHECKLY_API_KEY" in said["checkly"]["error"] or "401" in said["checkly"]["error"]
    assert "\n" not in said["checkly"]["error"]
    assert said["docketqa"]["error"] is None
    assert "wrong-key-3f9a" not in done.stdout + done.stderr
    assert said["checkly"]["error"] in done.stderr


@pytest.mark.fault("X1")
def test_no_secret_is_printed_or_kept(house: House, second: object) -> None:
    planted = {secret for module in discover().values() for secret in module.PLANTED_SECRETS}
    own = {value for name, value in house.server.env.items() if name.endswith("_KEY")}
    secrets = planted | own
    lake = Lake(house.home / "lake")
    texts = [house.said.encode(), *(str(lake.read_raw(file).to_pylist()).encode() for file in lake.raw_files())]
    tables = house.warehouse("SELECT table_schema || '.' || table_name AS name FROM information_schema.tables")
    texts += [str(house.warehouse(f"SELECT * FROM {table['name']}")).encode() for table in tables]
    files = [path for path in house.home.rglob("*") if path.is_file()]
    texts += [path.read_bytes() for path in files if path.relative_to(house.home).parts[0] != "private"]
    assert [secret for secret in sorted(secrets) if any(secret.encode() in text for text in texts)] == []
