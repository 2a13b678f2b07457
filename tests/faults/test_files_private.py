"""What lies in the home is its owner's: modes whatever the umask, no link followed out of it. What is installed is what the lock says."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.errors import LakeError, SettingsError
from pipelines.flows.locks import writer_lock
from pipelines.flows.report import write_report
from pipelines.lake.private import Private
from pipelines.lake.redact import REDACTION_VERSION
from pipelines.lake.store import Lake, RawRow
from pipelines.providers import load_providers
from pipelines.sandbox.server import serve
from pipelines.sandbox.world import World
from pipelines.settings import Settings, load_settings
from tests.support.clock import START, VirtualClock
from tests.support.house import House

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
Record = Callable[[str, object], None]


def loose(folder: Path, but: dict[str, int] | None = None) -> list[str]:
    """What below a folder (and itself) is not 0700 or 0600, or not the mode that is expected of it."""
    found = []
    for path in (folder, *folder.rglob("*")):
        name = str(path.relative_to(folder))
        wanted = (but or {}).get(name, 0o700 if path.is_dir() else 0o600)
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode != wanted:
            found.append(f"{name} {mode:o}")
    return found


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("X15")
def test_nothing_that_a_sync_writes_is_readable_by_others_whatever_the_umask(tmp_path: Path, record_property: Record) -> None:
    home = tmp_path / "home"
    with serve(World(seed=1, days=1, now=datetime.now(UTC))) as server:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
        environ = {**own, **server.env, "PYTHONPATH": str(ROOT), "RESULTHOUSE_HOME": str(home)}
        lines = "".join(json.dumps(line) + "\n" for line in server.executions("applitools"))
        for arguments, given in ((["track", "applitools", "-"], lines), (["sync", "--provider", "applitools"], "")):
            command = ["sh", "-c", 'umask 0; exec "$0" -m assets.cli "$@"', sys.executable, *arguments]
            done = subprocess.run(command, cwd=tmp_path, env=environ, input=given, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
    assert {path.name for path in home.iterdir()} >= {"dagster", "lake", "locks", "private", "report.html", "warehouse.duckdb", "work"}
    assert len(list(home.glob("private/tokens/*"))) > 0
    assert loose(home, {"warehouse.duckdb": 0o440}) == []
    record_property("cases", sum(1 for _ in home.rglob("*")))


@pytest.mark.fault("X15")
def test_nothing_that_a_run_of_dagsters_own_commands_writes_can_be_reached_by_others(tmp_path: Path, record_property: Record) -> None:
    """Dagster makes its folder before our code runs, with whatever umask there is: then the folder is closed."""
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = {**own, "PYTHONPATH": str(ROOT), "RESULTHOUSE_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    command = ["sh", "-c", 'umask 0; exec "$0" -m dagster job execute -m assets.definitions -j rebuild', sys.executable]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name for path in home.iterdir()} >= {"dagster", "lake", "locks", "report.html", "warehouse.duckdb", "work"}
    assert stat.S_IMODE((home / "dagster").stat().st_mode) == 0o700
    written = [path for path in home.rglob("*") if "dagster" not in path.relative_to(home).parts]
    assert [name for name in loose(home, {"warehouse.duckdb": 0o440}) if not name.startswith(("dagster", ". "))] == []
    record_property("cases", len(written))


@pytest.mark.fault("X15")
@pytest.mark.parametrize("mode", ["0400", "0440", "0640", "0644"])
def test_the_published_file_has_the_mode_of_its_setting_and_no_other_file_has(tmp_path: Path, mode: str) -> None:
    house = House(tmp_path / "home", None, environ={"RESULTHOUSE_PUBLISH_MODE": mode})
    before = os.umask(0)
    try:
        land(house)
        house.refresh()
        write_report(house.settings, house.clock)
    finally:
        os.umask(before)
    assert stat.S_IMODE(house.settings.warehouse.stat().st_mode) == int(mode, 8)
    assert stat.S_IMODE(house.settings.report.stat().st_mode) == 0o600
    for folder in ("lake", "work", "locks"):
        assert loose(house.home / folder) == []


def land(house: House) -> None:
    row = RawRow("abc", None, NOW.date(), NOW, 200, "", '{"public_id": "abc", "name": "n"}', "", REDACTION_VERSION)
    Lake(house.settings.lake).land("datadog", "tests", [row], "s")


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file that nobody may touch, beside the home."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(b"p" * 32)
    yield folder
    assert [path.name for path in folder.rglob("*")] == ["precious"]
    assert (folder / "precious").read_bytes() == b"p" * 32


@pytest.mark.fault("X6")
@pytest.mark.parametrize("place", ["private", "private/mask.key", "private/tokens", "token of a run"])
def test_no_secret_is_written_to_or_taken_from_where_a_link_leads(tmp_path: Path, outside: Path, place: str) -> None:
    home = tmp_path / "home"
    private = Private(home)
    is_token = place.startswith("token")
    link = private._path("run") if is_token else home / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / "precious" if is_token or place.endswith("key") else outside)
    steps = {"get": lambda: private.get("run"), "put": lambda: private.put("run", "token"), "key": private.mask_key}
    refuse = {"private": ("get", "put", "key"), "private/mask.key": ("key",), "private/tokens": ("get", "put"), "token of a run": ("get",)}
    for step in refuse[place]:
        with pytest.raises(LakeError, match="is a symbolic link"):
            steps[step]()
    for step in steps.keys() - set(refuse[place]):
        steps[step]()
    assert not is_token or private.get("run") == "token"  # the new token has taken the link's place


@pytest.mark.fault("X6")
@pytest.mark.parametrize("name", ["warehouse.duckdb", "report.html"])
def test_a_published_file_takes_the_place_of_a_link_and_what_it_points_at_stays(tmp_path: Path, outside: Path, name: str) -> None:
    house = House(tmp_path / "home", None, clock=VirtualClock(START))
    house.home.mkdir()
    (house.home / name).symlink_to(outside / "precious")
    land(house)
    house.refresh()
    write_report(house.settings, house.clock)
    assert not (house.home / name).is_symlink()
    assert (house.home / name).stat().st_size > 1_000


@pytest.mark.fault("X6")
def test_a_lock_is_not_taken_through_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "home" / "locks").mkdir(parents=True)
    (tmp_path / "home" / "locks" / "warehouse.lock").symlink_to(outside / "precious")
    with pytest.raises(SettingsError, match="symbolic link"), writer_lock(tmp_path / "home", 1):
        pass


@pytest.mark.fault("X6")
@pytest.mark.parametrize("place", ["raw", "raw/datadog", "raw/datadog/tests", "raw/datadog/tests/date=2026-11-22", "windows", "syncs"])
def test_the_lake_neither_writes_nor_reads_through_a_link(tmp_path: Path, outside: Path, place: str) -> None:
    house = House(tmp_path / "home", None)
    house.is_damaged = True
    link = Path(house.settings.lake) / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    for step in ((lambda: land(house)) if place.startswith("raw") else house.refresh, house.refresh):
        with pytest.raises(LakeError, match="is a symbolic link"):
            step()


@pytest.mark.fault("X6")
@pytest.mark.parametrize("place", ["work", "work/warehouse.duckdb"])
def test_the_work_file_is_not_written_through_a_link(tmp_path: Path, outside: Path, place: str) -> None:
    house = House(tmp_path / "home", None)
    house.is_damaged = True
    land(house)
    link = house.home / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / "precious" if place.endswith("duckdb") else outside)
    with pytest.raises(LakeError, match="is a symbolic link"):
        house.refresh()


@pytest.mark.fault("X6")
def test_no_temporary_file_is_written_through_a_link_that_waits_for_it(tmp_path: Path, outside: Path) -> None:
    house = House(tmp_path / "home", None)
    house.home.mkdir()
    for name in ("warehouse.duckdb", "report.html"):
        (house.home / f".{name}.{os.getpid()}.tmp").symlink_to(outside / "precious")
    land(house)
    house.refresh()
    write_report(house.settings, house.clock)


@pytest.mark.fault("X6")
def test_a_place_that_a_setting_names_may_be_a_link_for_that_is_its_owners_will(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    settings = _settings(RESULTHOUSE_HOME=str(tmp_path / "home"))
    assert settings.home == tmp_path / "disk"
    assert settings.warehouse == tmp_path / "disk" / "warehouse.duckdb"
    assert _settings(RESULTHOUSE_REPORT=str(tmp_path / "x" / "..")).report == tmp_path


def _settings(**environ: str) -> Settings:
    return load_settings(load_providers(), environ=environ, dotenv=None)


# --- what is installed ------------------------------------------------------------------------------------------------


def _requirements() -> dict[str, str]:
    """Name -> its whole entry in the lock."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    return {re.split(r"[=\[]", entry)[0]: entry for entry in entries if entry.strip()}


@pytest.mark.fault("X14")
def test_every_requirement_is_one_version_and_one_set_of_hashes(record_property: Record) -> None:
    lock = _requirements()
    assert [name for name, entry in lock.items() if not re.match(r"\S+==[^\s*]+ ", entry) or "--hash=sha256:" not in entry] == []
    assert [name for name, entry in lock.items() if set(re.findall(r"--hash=(\w+):", entry)) != {"sha256"}] == []
    makefile = (ROOT / "Makefile").read_text()
    installs = [line for line in makefile.splitlines() if re.search(r"pip install", line) and "-r " in line]
    assert len(installs) >= 2
    assert [line for line in installs if "--require-hashes" not in line and "QUIET_PIP" not in line] == []
    assert "--require-hashes" in (re.search(r"^QUIET_PIP.*", makefile, re.M) or [""])[0]
    record_property("cases", len(lock))


@pytest.mark.fault("X14")
def test_every_direct_dependency_is_locked_and_says_why_it_is_there(record_property: Record) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(each for group in groups for each in group if isinstance(each, str))]
    lock = _requirements()
    assert [each for each in wanted if re.split(r"[=<>]", each)[0] not in lock] == []
    assert [each for each in wanted if not re.search(rf'"{re.escape(each)}",\s+# \w+ ?\w+', text)] == []
    assert len(project["project"]["dependencies"]) <= 20
    record_property("cases", len(wanted))
