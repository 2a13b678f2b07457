"""The lake by SQL: what `resulthouse query` finds in lake.payloads, what stays out of reach, and docs/unknown-fields.md to the letter."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from assets.cli import app
from pipelines.lake.store import Lake, RawRow
from tests.support.house import House

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "unknown-fields.md").read_text("utf-8")
T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_run(run_id: int, status: str, delay_s: int) -> dict[str, object]:
    blueprint = {"id": 7, "title": "Refund", "type": "web", "status": "active", "retry_delay_s": delay_s, "steps": []}
    made = {"created_at": f"2026-11-20T11:{run_id}:00Z", "updated_at": f"2026-11-20T11:{run_id}:30Z"}
    return {"test_run": {"id": run_id, "status": status, "test_blueprint_id": 7, "blueprint_metadata": blueprint, "results": [], **made}}


test_run.__test__ = False  # type: ignore[attr-defined]  # a maker of payloads, named as the payload


def land(house: House, *payloads: tuple[str, dict[str, object]], minute: int = 0, day: date | None = date(2026, 11, 20)) -> None:
    rows = [RawRow(name, None, day, T0 + timedelta(minutes=minute), 200, "", json.dumps(document), "", 1) for name, document in payloads]
    Lake(house.settings.lake).land("docketqa", "test_runs", rows, f"sync-{minute}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with a field that nobody declared, one of them in two versions."""
    house = House(tmp_path_factory.mktemp("made") / "data", None)
    land(house, ("38", test_run(38, "passed", 5)), ("39", test_run(39, "running", 5)))
    land(house, ("39", test_run(39, "failed", 10)), minute=30, day=None)
    house.refresh()
    return house.home


@pytest.fixture
def house(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy of it, below the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path / "data"))
    shutil.copytree(made, tmp_path / "data")
    return House(tmp_path / "data", None)


def query(sql: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["query", sql, *options])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.usefixtures("house")
def test_every_landed_version_is_there_and_one_of_each_entity_is_current() -> None:
    done = query("SELECT entity_id, payload ->> '$.test_run.status', is_current, window_date FROM lake.payloads ORDER BY ALL", "--json")
    assert [list(row.values()) for row in json.loads(done.stdout)["rows"]] == [
        ["38", "passed", True, "2026-11-20"],
        ["39", "failed", True, None],
        ["39", "running", False, "2026-11-20"],
    ]


def test_what_landed_after_the_last_refresh_is_found_too(house: House) -> None:
    land(house, ("40", test_run(40, "passed", 5)), minute=45)
    assert query("SELECT count(*) AS n FROM lake.payloads", "--csv").stdout.split() == ["n", "4"]
    assert query("SELECT count(*) AS n FROM core.results", "--csv").stdout.split() == ["n", "2"]


def test_the_published_file_has_no_view_of_the_lake(house: House) -> None:
    before = house.settings.warehouse.read_bytes()
    assert query("FROM lake.payloads").exit_code == 0
    assert house.settings.warehouse.read_bytes() == before
    schemas = query("SELECT DISTINCT table_schema FROM information_schema.tables ORDER BY 1", "--csv").stdout.split()
    assert schemas == ["table_schema", "core", "marts", "meta"]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_parquet('{lake}/raw/*/*/*/*.parquet')",
        "FROM '{raw}'",
        "FROM read_text('{raw}')",
        "FROM read_blob('{home}/lake/**')",
        "FROM glob('{home}/*') -- lake",
        "FROM read_text('/etc/passwd') -- lake",
        "FROM lake.payloads, read_csv('/etc/passwd')",
        "FROM parquet_metadata('{raw}')",
        "COPY lake.payloads TO '{lake}/raw/copied.parquet'",
        "COPY lake.payloads TO 'lake.csv'",
        "EXPLAIN ANALYZE COPY lake.payloads TO '{lake}/raw/copied.parquet'",
        "EXPLAIN ANALYZE COPY lake.payloads TO 'lake.csv'",
        "EXPLAIN ANALYZE CREATE TABLE warehouse.core.lake AS SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM core.results USING lake.payloads",
        "EXPLAIN ANALYZE SET enable_external_access = true -- lake",
        "EXPLAIN (FORMAT json, ANALYZE) COPY lake.payloads TO 'lake.csv'",
        "/* /* */ EXPLAIN SELECT 1 -- */ EXPLAIN ANALYZE COPY lake.payloads TO '{spill}/lake.csv'",
        "EXPLAIN ANALYZE COPY lake.payloads TO '{spill}/lake.csv'",
        "EXPORT DATABASE 'lake'",
        "ATTACH 'lake.duckdb'",
        "ATTACH '{home}/warehouse.duckdb' AS lake2 -- lake",
        "DETACH lake",
        "DROP VIEW lake.payloads",
        "CREATE TABLE lake.t AS SELECT 1",
        "INSTALL httpfs -- lake",
        "LOAD httpfs -- lake",
        "SET allowed_directories = ['/'] -- lake",
        "SET lock_configuration = false -- lake",
        "PRAGMA enable_profiling -- lake",
        "CALL enable_logging(storage = 'file', storage_path = 'lake')",
        "FROM read_duckdb('{home}/work/warehouse.duckdb', table_name = 'format') -- lake",
        "FROM lake.payloads; DROP VIEW lake.payloads",
    ],
)
def test_nothing_but_the_payloads_is_opened_and_nothing_is_written(house: House, sql: str, tmp_path: Path) -> None:
    raw = next(Path(house.settings.lake).rglob("*.parquet"))
    spill = house.home / "warehouse.duckdb.tmp"  # where DuckDB may write what does not fit into memory
    spill.mkdir(mode=0o700)
    before = tree(tmp_path)
    done = query(sql.format(home=house.home, lake=house.settings.lake, raw=raw, spill=spill))
    spill.rmdir()
    assert done.exit_code == 2, done.stdout
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "sql", ["EXPLAIN FROM lake.payloads", "explain analyze (SELECT 1) ", "EXPLAIN (FORMAT json) WITH x AS (SELECT 1) FROM x"]
)
@pytest.mark.usefixtures("house")
def test_a_reading_statement_can_be_explained(sql: str) -> None:
    assert query(sql).stdout.startswith("explain_key")


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_lake_without_payloads_has_an_empty_view_and_is_in_nobodys_way(house: House, state: str) -> None:
    house.is_damaged = True
    shutil.rmtree(house.settings.lake)
    if state == "empty":
        (Path(house.settings.lake) / "raw").mkdir(parents=True)
    assert query("SELECT count(*) AS n FROM lake.payloads", "--csv").stdout.split() == ["n", "0"]
    assert query("SELECT count(*) AS n FROM core.results", "--csv").stdout.split() == ["n", "2"]


def test_a_damaged_lake_file_is_one_sentence_for_who_asks_for_it_and_nothing_for_the_others(house: House) -> None:
    house.is_damaged = True
    raw = next(Path(house.settings.lake).rglob("date=unknown/*.parquet"))
    raw.write_bytes(raw.read_bytes()[:100])
    done = query("FROM lake.payloads")
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert raw.name in done.stderr
    assert query("SELECT count(*) FROM core.results").exit_code == 0


def test_files_that_are_no_lake_files_are_not_looked_at(house: House) -> None:
    house.is_damaged = True
    folder = next(Path(house.settings.lake).rglob("date=unknown"))
    for name in (".tmp-0123456789abcdef", "notes.parquet", "half.parquet.part"):
        (folder / name).write_bytes(b"no parquet")
    assert query("SELECT count(*) AS n FROM lake.payloads", "--csv").stdout.split() == ["n", "3"]


def test_unknown_fields_page_is_right_to_the_letter_up_to_the_declaration(house: House) -> None:
    told = re.findall(r'^```sh\nresulthouse query "([^\n]*)"\n```\n\n```text\n(.*?)```', PAGE, re.M | re.S)
    assert len(told) == 3
    for sql, answer in told:
        assert query(sql).stdout == answer
    (sql,) = blocks("sql")
    with duckdb.connect() as connection:
        assert connection.execute(sql).fetchall() == [("38", "5"), ("39", "10")]
    (program,) = blocks("python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})
    assert re.findall(r"│ (\d+)\s+┆ (\d+)", printed.getvalue()) == [("38", "5"), ("39", "10")]


def test_unknown_fields_page_brings_the_field_into_the_tables(house: House, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("pipelines", "assets"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    ((name, context, added),) = re.findall(r"```diff\n\s*(\S+)\n {4}( [^\n]*)\n {3}\+([^\n]*)\n", PAGE)
    leaves = copy / name
    text = leaves.read_text("utf-8")
    before = f"    {context.strip()}\n"
    assert text.count(before) == 1
    leaves.write_text(text.replace(before, f"{before}    {added.strip()}\n"), "utf-8")
    environ = {**os.environ, "PYTHONPATH": str(copy), "RESULTHOUSE_HOME": str(house.home)}
    ((commands, answer),) = re.findall(r"^```sh\n(resulthouse rebuild\n[^`]*)```\n\n```text\n(.*?)```", PAGE, re.M | re.S)
    rebuild, asked = commands.splitlines()

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "assets.cli", *arguments]
        return subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, check=True).stdout

    run(*rebuild.split()[1:])
    assert run("query", asked.split('"')[1]) == answer
    assert house.ask("SELECT json_pointer FROM meta.drift") == []
