"""Commands that need no Dagster run: what they print, what they refuse and how they exit. In this process."""

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from assets.cli import app
from assets.invocation import MINIMAL_INSTANCE, use_instance

KEY = 9_007_199_254_740_993


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a small published warehouse; the working directory has no `.env`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESULTHOUSE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with duckdb.connect(str(tmp_path / "home" / "warehouse.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT ?::BIGINT AS result_key, TIMESTAMPTZ '2026-11-22 01:00:00+02' AS started_at,"
            " 'a,\"b' AS name, NULL::VARCHAR AS nothing, 1.5 AS share, DATE '2026-11-22' AS utc_date",
            [KEY],
        )
    return tmp_path / "home"


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def test_help_names_every_command() -> None:
    done = run("--help")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in ("demo", "sync", "track", "rebuild", "status", "query", "sandbox", "config", "ui"))


def test_query_json_is_one_object_with_keys_as_text_and_instants_in_utc(home: Path) -> None:
    done = run("query", "FROM t", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "columns": ["result_key", "started_at", "name", "nothing", "share", "utc_date"],
        "rows": [
            {
                "result_key": str(KEY),
                "started_at": "2026-11-21T23:00:00Z",
                "name": 'a,"b',
                "nothing": None,
                "share": 1.5,
                "utc_date": date(2026, 11, 22).isoformat(),
            }
        ],
    }


def test_query_csv_has_a_header_and_null_is_empty(home: Path) -> None:
    assert run("query", "FROM t", "--csv").stdout.splitlines() == [
        "result_key,started_at,name,nothing,share,utc_date",
        f'{KEY},2026-11-21T23:00:00Z,"a,""b",,1.5,2026-11-22',
    ]


def test_query_without_a_terminal_is_aligned_text(home: Path) -> None:
    assert run("query", "SELECT 'x' AS name, 12 AS n UNION ALL SELECT 'longer', 3").stdout.splitlines() == [
        "name     n",
        "x       12",
        "longer   3",
    ]


@pytest.mark.fault("X11")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "",
        "COPY t TO 'out.csv'",
        "ATTACH 'other.duckdb'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "INSERT INTO t SELECT * FROM t",
        "DROP TABLE t",
        "CREATE TEMP TABLE x AS SELECT 1",
        "INSTALL httpfs",
        "SET threads = 1",
        "PRAGMA enable_profiling",
        "EXPLAIN ANALYZE COPY t TO 'out.csv'",
        "SELEC 1",
        "SELECT * FROM no_such_table",
    ],
)
def test_query_refuses_everything_but_one_reading_statement(home: Path, sql: str) -> None:
    done = run("query", sql)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert not Path("out.csv").exists()
    assert not Path("other.duckdb").exists()


def test_query_without_a_warehouse_says_what_to_do(home: Path) -> None:
    (home / "warehouse.duckdb").unlink()
    done = run("query", "SELECT 1")
    assert done.exit_code == 1
    assert "resulthouse sync" in done.stderr


@pytest.mark.parametrize(
    ("environ", "arguments", "said"),
    [
        ({}, ["sync"], "No provider is configured"),
        ({}, ["sync", "--provider", "checkly"], "CHECKLY_API_KEY"),
        ({}, ["sync", "--provider", "nobody"], "'nobody'"),
        ({"DD_API_KEY": "k-4711"}, ["sync"], "DD_APP_KEY"),
        ({"RESULTHOUSE_START_DAYS": "many"}, ["sync"], "RESULTHOUSE_START_DAYS"),
        ({"RESULTHOUSE_PUBLISH_MODE": "x"}, ["status"], "RESULTHOUSE_PUBLISH_MODE"),
        ({"CHECKLY_API_URL": "http://example.com", "CHECKLY_API_KEY": "k-4711", "CHECKLY_ACCOUNT_ID": "a"}, ["sync"], "CHECKLY_API_URL"),
        ({"DOCKETQA_API_KEY": "k-4711", "RESULTHOUSE_HOME": "/proc/nowhere"}, ["sync"], "RESULTHOUSE_HOME"),
        ({"DOCKETQA_API_KEY": "k-4711", "RESULTHOUSE_LAKE": "s3://bucket/lake"}, ["sync"], "RESULTHOUSE_LAKE"),
        ({"DOCKETQA_API_KEY": "k-4711", "RESULTHOUSE_WAREHOUSE": "/proc/w.duckdb"}, ["sync"], "RESULTHOUSE_WAREHOUSE"),
        ({}, ["sync", "--since", "yesterday"], "--since"),
        ({}, ["sync", "--since", "2026-02-02", "--until", "2026-02-01"], "--since"),
        ({}, ["track", "checkly", "1"], "Checkly"),
        ({}, ["track", "applitools"], "run ids"),
        ({}, ["track", "applitools", "../x"], "Applitools"),
        ({}, ["track", "docketqa", "abc"], "DocketQA"),
        ({}, ["query", "SELECT 1", "--csv", "--json"], "--csv"),
    ],
)
def test_a_mistake_ends_with_2_and_a_sentence_that_names_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], arguments: list[str], said: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert done.stdout == ""
    assert "k-4711" not in done.output


def test_config_shows_every_setting_masks_secrets_and_names_what_is_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKLY_API_KEY", "very-secret-1")
    monkeypatch.setenv("DATADOG_API_URL", "https://user:very-secret-2@example.com/?key=very-secret-3")
    Path(".env").write_text("RESULTHOUSE_REVIEW_DAYS=3\n")
    done = run("config")
    assert done.exit_code == 0
    assert "very-secret" not in done.output
    shown = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "***" in shown["CHECKLY_API_KEY"]
    assert ".env" in shown["RESULTHOUSE_REVIEW_DAYS"]
    assert "Checkly is not configured: CHECKLY_ACCOUNT_ID missing." in done.stdout
    assert "DocketQA is not configured: DOCKETQA_API_KEY missing." in done.stdout


def test_config_says_that_a_value_is_unusable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKETQA_API_KEY", "k")
    monkeypatch.setenv("DOCKETQA_API_URL", "http://example.com")
    done = run("config")
    assert done.exit_code == 2
    assert "DOCKETQA_API_URL" in done.stderr


def test_track_reads_ids_as_arguments_and_needs_no_key(home: Path) -> None:
    done = run("track", "docketqa", "11", "12")
    assert done.exit_code == 0
    assert done.stdout.startswith("2 runs registered")


def test_a_read_token_on_stdin_is_never_echoed(home: Path) -> None:
    line = json.dumps({"result": {"id": "run-1", "read_token": "token-5c1d"}})
    done = run("track", "applitools", "-", given=f'{line}\n{{"read_token": "token-5c1d"}}\n')
    assert done.exit_code == 1
    assert "line 2" in done.stderr
    assert "token-5c1d" not in done.output


def test_the_instances_configuration_is_the_repositorys_without_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    use_instance(tmp_path / "dagster")
    text = (tmp_path / "dagster" / "dagster.yaml").read_text()
    blocks = {line.rstrip(":") for line in text.splitlines() if line and line[0].isalpha()}
    assert blocks & {"storage", "local_artifact_storage", "compute_logs"} == set()
    assert blocks >= {line.rstrip(":") for line in MINIMAL_INSTANCE.splitlines() if line[0].isalpha()}
