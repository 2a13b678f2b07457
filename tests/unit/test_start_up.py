"""No command imports what it does not use. Children say which libraries they have loaded; nothing is timed here
(`tests/benchmarks/start_up.py` does that)."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipelines.lake.store import Lake, RawRow
from pipelines.warehouse.connect import open_work
from pipelines.warehouse.ddl import create_all

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    *("altair", "dagster", "dataframely", "duckdb", "httpx", "jinja2", "polars", "pyarrow", "sqlalchemy", "starlette", "vl_convert"),
    *("pipelines.extract", "pipelines.providers.datadog", "pipelines.report", "pipelines.sandbox", "pipelines.schemas.tables"),
}
SAID = "\nimport sys; sys.stderr.write('\\nloaded: ' + ' '.join(sys.modules))"
COMMAND = "import sys; from assets.cli import app\ntry: app(sys.argv[1:])\nexcept SystemExit as end: assert not end.code, end.code" + SAID
REFRESH = "import sys; from pathlib import Path; from tests.support.house import House; House(Path(sys.argv[1]), None).refresh()" + SAID
READERS = {"duckdb", "polars", "pyarrow", "pipelines.providers.datadog"}

WATCH = """
import os, sys
told = True
class Watch:
    def find_spec(self, name, path=None, target=None):
        global told
        if name in ("duckdb", "polars", "pyarrow"):
            told &= all("muzzy_decay_ms:0" in os.environ.get(name, "") for name in ("DUCKDB_JE_MALLOC_CONF", "_RJEM_MALLOC_CONF"))
            told &= os.environ.get("ARROW_DEFAULT_MEMORY_POOL") == "system"
sys.meta_path.insert(0, Watch())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty warehouse and one payload in the lake."""
    home = tmp_path_factory.mktemp("start") / "home"
    with open_work(home / "warehouse.duckdb") as connection:
        create_all(connection)
    at = datetime(2026, 11, 20, tzinfo=UTC)
    row = RawRow("c-1", None, date(2026, 11, 20), at, 200, None, "{}", "0" * 64, 1, "final", None, at)
    Lake(home / "lake").land("checkly", "checks", [row], "sync-1")
    return home


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["query", "SELECT count(*) FROM core.results"], {"duckdb"}),
        (["query", "SELECT count(*) FROM lake.payloads"], {"duckdb", "pyarrow"}),
        (["status"], READERS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_what_it_uses_and_nothing_else(home: Path, arguments: list[str], needed: set[str]) -> None:
    assert loaded(COMMAND, home, *arguments) & HEAVY == needed


def test_a_sync_loads_neither_duckdb_nor_the_report_before_its_first_request(home: Path) -> None:
    before = loaded("import assets.cli, assets.runs" + SAID, home)
    assert {"dagster", "httpx", "polars", "pyarrow"} <= before
    late = {"altair", "duckdb", "pipelines.flows.refresh", "pipelines.report", "pipelines.sandbox", "starlette", "vl_convert"}
    assert before & late == set()


@pytest.mark.parametrize("module", ["assets.cli, assets.runs", "assets.definitions", "pipelines.flows.refresh"])
def test_allocators_are_told_to_give_memory_back_before_they_are_there(home: Path, module: str) -> None:
    """DuckDB's and polars' read their settings once, when they are first imported."""
    assert {"polars", "told"} <= loaded(f"{WATCH}\nimport {module}{SAID}; sys.stderr.write(' told' * told)", home)


@pytest.mark.fault("S12")
def test_a_refresh_reads_no_frame_through_the_scanner_that_waits_for_refused_threads(home: Path, tmp_path: Path) -> None:
    """DuckDB loads `pyarrow.dataset` for any registered object that is no bare stream."""
    shutil.copytree(home / "lake", tmp_path / "lake")
    modules = loaded(REFRESH, home, str(tmp_path))
    assert {"duckdb", "polars"} <= modules
    assert "pyarrow.dataset" not in modules


def loaded(script: str, home: Path, *arguments: str) -> set[str]:
    """The modules that a child has loaded when its script has ended."""
    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=home.parent,  # no .env there
        env={**environ, "PYTHONPATH": str(ROOT), "RESULTHOUSE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("loaded: ")[2].split())
