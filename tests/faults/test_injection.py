"""Injection: what providers and users send as ids, names, messages and SQL is data, never a command, a path, a formula or a script."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from assets.console import out, out_csv, out_table, say
from pipelines import jsontext
from pipelines.errors import LakeError, ResulthouseError, SettingsError
from pipelines.flows.query import run_query
from pipelines.flows.track import track_ids
from pipelines.lake.private import Private
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow, Refused, TrackedRun, Window
from pipelines.providers import load_providers
from pipelines.report.build import build_report
from pipelines.report.charts import timing
from pipelines.sandbox.server import SandboxServer
from pipelines.sandbox.world import World
from tests.conformance.fixtures import load_fixtures
from tests.support.clock import START, VirtualClock
from tests.support.house import House
from tests.support.warehouse import Warehouse

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
PROVIDERS = load_providers()
FIXTURES = {(name, each.name): each for name, provider in PROVIDERS.items() for each in load_fixtures(provider).fixtures}
Record = Callable[[str, object], None]


def tree_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- SQL in ids, names, tags and headers ------------------------------------------------------------------------------

_STATEMENTS = (
    "DROP TABLE core.results", "DELETE FROM core.tests", "DROP SCHEMA marts CASCADE", "UPDATE core.results SET outcome='passed'",
    "ATTACH 'evil.duckdb'", "COPY core.tests TO 'evil.csv'", "INSERT INTO core.tests SELECT * FROM core.tests", "SELECT 1 UNION SELECT 2",
    "CREATE TABLE core.evil (a INT)", "PRAGMA database_list", "SET threads=1", "INSTALL httpfs",
)  # fmt: skip
_BREAKS = ("'; {0};--", '"; {0};--', "') ; {0}; --", "1); {0}; /*", "' || ({0}) || '", "\\'; {0}; #", "$$; {0}; $$", "*/ {0} /*")
SQL = [
    *(wrap.format(statement) for wrap in _BREAKS for statement in _STATEMENTS), "' OR '1'='1", "' OR 1=1--", '" OR ""="', "admin'--",
    "''", '""', "\\", "%' ESCAPE '", "${x}", "{{x}}", "{0}", "%s", "?", "$1", ":name", "@x", "NULL", "null", "NaN", "0x27", "';\n--\n",
    "$.a ? (@ > 1)", "$['a'].*", "a\x1fb", "\u2019; DROP TABLE x;--",
]  # fmt: skip


def _landed(home: Path, payloads: list[str]) -> House:
    """A house with one test, one result and one run of DocketQA per payload, which stands in every id, name, tag and header."""
    house = House(home, None)
    lake, redactor = Lake(house.settings.lake), Redactor(b"k" * 32)
    rows: dict[tuple[str, str], list[RawRow]] = {}
    for number, payload in enumerate(payloads):
        for provider, name, changes in (
            ("datadog", "tests-0", {"public_id": payload, "name": payload, "tags": [payload], "message": payload, "subtype": payload}),
            ("datadog", "api_result_eight_forms", {"result_id": payload, "probe_dc": payload}),
            ("checkly", "session_row", {"testSessionId": payload, "name": payload, "branchName": payload}),
        ):
            fixture = FIXTURES[provider, name]
            _, _, document = fixture.copy(number)
            document = json.loads(jsontext.dump(document)) | changes
            if name == "api_result_eight_forms":
                document["result"] |= {"requestHeaders": {payload: payload}, "failure": {"code": payload, "message": payload}}
            masked = jsontext.dump(redactor.redact(jsontext.parse(json.dumps(document).encode())[0], fixture.endpoint.tree))
            entity = payload if name != "session_row" else str(document["testSessionId"])
            rows.setdefault((provider, fixture.endpoint.name), []).append(
                RawRow(entity, payload, NOW.date(), NOW, 200, payload, masked, "", REDACTION_VERSION)
            )
    for (provider, endpoint), each in rows.items():
        lake.land(provider, endpoint, each, "planted")
    house.refresh()
    return house


def _counts(house: House) -> dict[str, int]:
    tables = house.ask("SELECT database_name IS NOT NULL, schema_name, table_name, column_count FROM duckdb_tables() ORDER BY ALL")
    return {
        f"{schema}.{name}/{columns}": int(str(house.ask(f"SELECT count(*) FROM {schema}.{name}")[0][0]))
        for _, schema, name, columns in tables
    }


@pytest.mark.fault("X4")
def test_sql_in_ids_names_tags_and_headers_is_text(tmp_path: Path, record_property: Record) -> None:
    harmless = [f"plain {number}" for number in range(len(SQL))]
    before = tree_of(tmp_path)
    house, twin = _landed(tmp_path / "home", SQL), _landed(tmp_path / "twin", harmless)
    there, expected = _counts(house), _counts(twin)
    assert list(there) == list(expected)
    grouped = "marts.failure_reasons/9"  # one row per kind of message: here every message is of its own kind
    assert there | {grouped: 0} == expected | {grouped: 0}
    tests = house.ask("SELECT test_id, name, tags::JSON ->> '$[0]', valid_from_at IS NOT NULL FROM core.tests WHERE is_current")
    assert sorted(str(row[0]) for row in tests) == sorted(SQL)
    assert [row for row in tests if not row[0] == row[1] == row[2]] == []
    results = house.ask("SELECT result_id, test_id, location, failure_code FROM core.results WHERE result_id IS NOT NULL")
    assert sorted(str(row[0]) for row in results) == sorted(SQL)
    assert [row for row in results if len(set(row)) != 1] == []
    headers = {str(row[0]) for row in house.ask("SELECT DISTINCT unnest(json_keys(request_headers)) FROM core.exchanges")}
    assert headers >= set(SQL)
    assert sorted(str(row[0]) for row in house.ask("SELECT run_id FROM core.runs")) == sorted(SQL)
    assert {path for path in tree_of(tmp_path) - before if "evil" in path} == set()
    record_property("cases", len(SQL))
    assert len(SQL) >= 100


# --- paths ------------------------------------------------------------------------------------------------------------

_UPWARDS = ("../", "../" * 8, "/", "..\\", "....//", "%2e%2e%2f", "..%2f", "..%c0%af", "~/", "file:///")
_TARGETS = ("etc/passwd", "evil", "evil.parquet", "home/../evil")
PATHS = [
    *(f"{up}{target}" for up in _UPWARDS for target in _TARGETS),
    "..", ".", "/", "//", "\\\\host\\share", "C:\\evil", "CON", "NUL", "aux.txt", "a\0b", "\0", "x" * 300, "." * 300, "a/b/c",
    "date=../../evil", "date=2026-11-22/evil", "\u2215etc\u2215passwd", "\uff0e\uff0e\uff0fevil", "\u202egpj.exe", ".tmp-evil", ".hidden",
    "evil\n", "evil ", " evil", "$HOME/evil", "`evil`", "a;b", "*", "?", "-rf", "--help",
]  # fmt: skip


@pytest.mark.fault("X5")
def test_no_path_in_an_id_or_name_leads_out_of_the_home(tmp_path: Path, record_property: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a" / "b" / "home"
    house = House(home, None)
    house.is_damaged = True  # made-up rows: their ledger does not add up
    monkeypatch.chdir(tmp_path)
    settings, lake, private = house.settings, Lake(house.settings.lake), Private(home)
    accepted = set[str]()
    for number, path in enumerate(PATHS):
        sync_id = f"s{number}"
        row = RawRow(path, path, None, NOW, 200, path, json.dumps({"public_id": path, "name": path}), "", REDACTION_VERSION)
        lake.land("datadog", "tests", [row], sync_id)
        lake.write_windows("datadog", "tests", [Window(path, NOW, NOW, (path,))], sync_id)
        lake.track("applitools", [TrackedRun(path, "plan_runs", NOW)], sync_id)
        lake.refuse("datadog", [Refused("tests", path, "due", NOW, path, path)], sync_id)
        private.put(path, "token")
        assert private.get(path) == "token"
        private.drop(path)
        for name in (path, f"{path}-x"):
            with pytest.raises((LakeError, SettingsError)):
                lake.land(name, "tests", [row], sync_id)
            with pytest.raises((LakeError, SettingsError)):
                lake.land("datadog", name, [row], sync_id)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", path):  # the others are file names without any path in them
            with pytest.raises(LakeError):
                lake.land("datadog", "tests", [row], path)
        for name in ("applitools", "docketqa"):
            try:
                track_ids(settings.providers[name], settings, [path], house.clock, sync_id)
            except SettingsError:
                continue
            accepted.add(path)
    assert [path for path in accepted if not re.fullmatch(r"[\w-][\w.-]*", path)] == []
    house.refresh()
    assert house.ask("SELECT count(*) FROM core.tests") == [(len(PATHS),)]
    assert {path for path in tree_of(tmp_path) if not path.startswith("a/b/home")} == {"a", "a/b"}
    assert [path for path in home.rglob("*") if home not in path.resolve().parents] == []
    record_property("cases", len(PATHS))
    assert len(PATHS) >= 60


@pytest.mark.fault("X5", "H26")
def test_an_id_that_a_provider_answers_never_changes_where_it_is_asked(tmp_path: Path, record_property: Record) -> None:
    asked: list[str] = []
    tests = [{**FIXTURES["datadog", "tests-0"].document, "public_id": path} for path in PATHS]

    def fault(request: Request) -> Response:
        asked.append(request.scope["raw_path"].decode())
        if request.url.path == "/datadog/api/v1/synthetics/tests":
            return Response(jsontext.dump({"tests": tests}), media_type="application/json")
        return JSONResponse({"results": [], "last_timestamp_fetched": 0})

    with SandboxServer(World(seed=1, days=1, now=START)) as server:
        server.faults.append(fault)
        house = House(tmp_path / "home", server, ("datadog",), {"RESULTHOUSE_START_DAYS": "1"}, VirtualClock(START))
        house.sync()
    ours = re.compile(r"/datadog/api/v1/synthetics/tests(/[^?#]*/results)?")
    assert [path for path in asked if not ours.fullmatch(path) or {".", ".."} & set(path.lower().replace("%2e", ".").split("/"))] == []
    assert len(set(asked)) > 20
    assert {path for path in tree_of(tmp_path) if not path.startswith("home")} == set()
    record_property("cases", len(PATHS))


# --- scripts in the report --------------------------------------------------------------------------------------------

_RUN = "document.documentElement.dataset.ran='yes'"
SCRIPTS = [
    f"<script>{_RUN}</script>", f"<ScRiPt >{_RUN}</sCrIpT>", f"<script\n>{_RUN}</script\n>", f"</title><script>{_RUN}</script>",
    f"</style><script>{_RUN}</script>", f"--><script>{_RUN}</script>", f"]]><script>{_RUN}</script>", f"'\"><script>{_RUN}</script>",
    f"</bdi></td><script>{_RUN}</script>", f"</svg><script>{_RUN}</script>", f"<svg><script>{_RUN}</script></svg>",
    f"<svg><script href=\"data:text/javascript,{_RUN}\"/></svg>", f'<svg onload="{_RUN}">', f"<svg/onload={_RUN}>",
    f'<svg><animate onbegin="{_RUN}" attributeName=x dur=1s>', f'<svg><set onbegin="{_RUN}" attributename="x">',
    f'<img src=x onerror="{_RUN}">', f"<img src=x onerror={_RUN}>", f"<IMG SRC=x OnErRoR={_RUN}>", f'<img/src="x"/onerror="{_RUN}">',
    f"<img src='x'onerror='{_RUN}'>".replace("'yes'", "1"), f'<image src=x onerror="{_RUN}">', f'<input autofocus onfocus="{_RUN}">',
    f'<select autofocus onfocus="{_RUN}">', f'<textarea autofocus onfocus="{_RUN}">', f'<body onload="{_RUN}">',
    f'<body onpageshow="{_RUN}">', f'<details open ontoggle="{_RUN}">', f'<video><source onerror="{_RUN}">',
    f'<video src=x onerror="{_RUN}">', f'<audio src=x onerror="{_RUN}">', f'<object data="javascript:{_RUN}">',
    f'<embed src="javascript:{_RUN}">', f'<iframe src="javascript:parent.{_RUN}">', f'<iframe srcdoc="<script>parent.{_RUN}</script>">',
    f'<iframe onload="{_RUN}">', f'<form><button autofocus onfocus="{_RUN}">', f'<marquee onstart="{_RUN}">x</marquee>',
    f'<math><mtext><script>{_RUN}</script></mtext></math>',
    f'<style>@keyframes x{{}}</style><b style="animation-name:x" onanimationstart="{_RUN}">', f'<style onload="{_RUN}"></style>',
    f'<link rel=stylesheet href="data:text/css,x" onload="{_RUN}">', f'<meta http-equiv=refresh content="0;url=javascript:{_RUN}">',
    f'<base href="javascript:/a/-{_RUN}//">', f'" onmouseover="{_RUN}" autofocus onfocus="{_RUN}', f"' onfocus='{_RUN}' autofocus='",
    f"`onfocus={_RUN}`", f"javascript:{_RUN}", f"JaVaScRiPt:{_RUN}", f"java\tscript:{_RUN}", f"data:text/html,<script>{_RUN}</script>",
    f"&lt;script&gt;{_RUN}&lt;/script&gt;", f"&#60;script&#62;{_RUN}&#60;/script&#62;",
    f"\\u003cscript\\u003e{_RUN}\\u003c/script\\u003e", f"%3Cscript%3E{_RUN}%3C/script%3E",
    f"\uff1cscript\uff1e{_RUN}\uff1c/script\uff1e", f"\u202e<script>{_RUN}</script>",
    f"<scr\0ipt>{_RUN}</scr\0ipt>".replace("\0", "\x0b"), f"<<script>{_RUN}//<</script>", f"<scr<script>ipt>{_RUN}</scr</script>ipt>",
    f"{{{{ ''.__class__ }}}}{{% set x = 1 %}}<script>{_RUN}</script>",
    f'<x xmlns="http://www.w3.org/1999/xhtml"><script>{_RUN}</script></x>',
    f'<template><script>{_RUN}</script></template><script>{_RUN}</script>', f"<noscript><p title=\"</noscript><script>{_RUN}</script>\">",
    f'<a href="javascript:{_RUN}" autofocus onfocus="{_RUN}">x</a>',
    f'<dialog open onclose="{_RUN}"><form method=dialog><button autofocus>',
]  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    """A report in which every payload stands in a name, place, message, host, phase, step or error that it shows."""
    warehouse = Warehouse()
    texts = iter([*SCRIPTS, *SCRIPTS, *SCRIPTS])
    for number in range(15):
        shown = [next(texts) for _ in range(7)]
        at = NOW - timedelta(minutes=number)
        key = warehouse.result(
            "failed", at, provider="datadog", test_id=f"t{number}", test_name=shown[0], location=shown[1], failure_message=shown[2],
            failure_code=f"<b>{number}", duration_ms=10.0,
        )  # fmt: skip
        step_ms = 1_000.0 * (15 - number)
        warehouse.add("core.steps", result_key=key, step_index=0, name=shown[3], outcome="passed", duration_ms=step_ms)
        warehouse.add("core.errors", result_key=key, error_index=0, step_index=-1, message=shown[4], fingerprint=f"f{number}")
        warehouse.add("core.timings", result_key=key, step_index=-1, phase=shown[6], phase_raw="x", is_total=False, duration_ms=step_ms)
        expires = NOW + timedelta(days=1 + number)
        warehouse.add("core.certificates", result_key=key, subject_cn=shown[5], issuer_cn=next(texts), valid_to_at=expires)
    for number, script in enumerate(SCRIPTS):
        warehouse.add("meta.syncs", sync_id=f"s{number}", provider=f"p{number}", started_at=NOW, error=script)
    warehouse.build()
    return build_report(warehouse.rows, NOW)


class Tags(HTMLParser):
    """Every tag with its attributes, and the text outside of styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data if self.tags and self.tags[-1][0] != "style" else ""


def dom_after(page: str, folder: Path, name: str) -> str:
    """The document as headless Chromium has it once scripts and timers had their time."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium here")
    file = folder / f"{name}.html"
    file.write_text(page, encoding="utf-8")
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    flags = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{each}" for each in quiet)]
    flags += ["--virtual-time-budget=2000", "--dump-dom", f"--user-data-dir={folder / 'profile'}"]
    command = [chromium, *flags, file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.fault("X7")
def test_markup_in_every_text_of_the_report_is_shown_as_text(page: str, record_property: Record) -> None:
    tags = Tags(page)
    squeezed = "".join(tags.text.split())
    assert [script for script in SCRIPTS if "".join(script.split())[:60] not in squeezed] == []
    assert {tag for tag, _ in tags.tags} & {"script", "img", "iframe", "object", "embed", "a", "form", "input", "base", "link"} == set()
    assert {
        name for _, attributes in tags.tags for name in attributes if name.startswith("on") or name in ("src", "href", "srcdoc")
    } == set()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy is not None
    assert page.index(policy[0]) < page.index("<title>") < page.index("<style>")
    assert policy[1].startswith("default-src 'none';")
    assert "script-src" not in policy[1]
    record_property("cases", len(SCRIPTS))
    assert len(SCRIPTS) >= 60


@pytest.mark.browser
@pytest.mark.fault("X7")
def test_no_script_of_the_report_runs_in_a_browser(page: str, tmp_path: Path, record_property: Record) -> None:
    assert "data-ran" not in dom_after(page, tmp_path, "report")
    raw = "".join(f"<p>{script}</p>" for script in SCRIPTS[:20])
    assert "data-ran" in dom_after(f"<!doctype html><body>{raw}", tmp_path, "control")  # the browser would tell
    head = page[: page.index("<style>")]
    assert "data-ran" not in dom_after(f"{head}</head><body>{raw}", tmp_path, "policy")  # the policy alone stops them, too
    record_property("cases", len(SCRIPTS))


@pytest.mark.fault("X7")
def test_a_text_in_a_chart_cannot_take_the_markup_around_it_with_it() -> None:
    phase = 'x xmlns="'
    svg = str(timing([{"provider": "datadog", "phase": name, "share_of_total": 0.5} for name in (phase, "dns")]))
    assert 'x xmlns="</text>' in svg
    assert not re.search(r' xmlns(:\w+)?="', svg.partition(">")[0])
    assert svg.count("<text") == svg.count("</text>")


# --- formulas and control characters ----------------------------------------------------------------------------------

_FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x","y")',
    "\uff1d1+1",
    "\uff0b1+1",
    "\uff0d1+1",
    "\uff20A",
)
_SKIPPED = ("", " ", "\t", "\r", "\n", "\0", "\u00a0", "\u3000", "\ufeff", "'", "\x01", "\u200b")
FORMULAS = [
    *(f"{before}{formula}" for before in _SKIPPED for formula in _FORMULAS),
    "\tx", "\rx", "\0x", "\nx", "-", "=", "+", "@", "-x", "+49 170", "-2+3",
]  # fmt: skip
HARMLESS = [
    "plain",
    "a=b",
    "x-1",
    "a@b.c",
    "1-2",
    "",
    " ",
    "2026-11-22T03:00:00Z",
    "***0123456789ab",
    "'tis",
    "(=1)",
    '"=1"',
    "a\rb",
    "a\nb",
]
NUMBERS: list[Any] = [-1, -1.5, 1, 0, -1e300, "-9007199254740993", "-12345678901234567890.12", "+5", "-.5", "1e5", "-inf", True, None]


@pytest.mark.fault("X8")
def test_a_formula_in_a_csv_is_a_text_and_a_number_a_number(capsys: pytest.CaptureFixture[str], record_property: Record) -> None:
    values = [*FORMULAS, *HARMLESS, *NUMBERS, [{"a": "=1"}]]
    out_csv(["=name", *["n"]], [[value, number] for number, value in enumerate(values)])
    text = capsys.readouterr().out
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["'=name", "n"]
    assert [row[1] for row in rows] == [str(number) for number in range(len(values))]
    shown = [row[0] for row in rows]
    assert shown[: len(FORMULAS)] == [f"'{formula}" for formula in FORMULAS]
    assert shown[len(FORMULAS) : -1] == ["" if value is None else str(value) for value in [*HARMLESS, *NUMBERS]]
    record_property("cases", len(FORMULAS))


@pytest.mark.fault("X8")
def test_a_column_of_numbers_in_the_warehouse_comes_out_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT -1 AS a, -1.5::DOUBLE AS b, -(2::HUGEINT ** 70)::HUGEINT AS c, -1.25::DECIMAL(9, 2) AS d, '-x' AS e"
        )
    answer = run_query(tmp_path / "w.duckdb", "FROM t")
    out_csv(answer.columns, answer.rows)
    assert capsys.readouterr().out == "a,b,c,d,e\n-1,-1.5,-1180591620717411303424,-1.25,'-x\n"


CONTROLS = [
    "\x1b[2J", "\x1b]0;title\x07", "\x1b[31mred\x1b[0m", "\x1b[1A\x1b[2K", "\x9b31m", "\r overwritten", "\nFAKE: all passed", "\x08\x08",
    "\x00", "\x7f", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\u202eright to left", "\u2066", "\u200f",
    "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\", "\x0e", "\x1bP+q\x1b\\",
]  # fmt: skip


@pytest.mark.fault("X9")
@pytest.mark.parametrize("is_terminal", [False, True])
def test_control_characters_of_data_are_made_visible(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, record_property: Record, is_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    monkeypatch.setenv("TERM", "dumb")
    for text in CONTROLS:
        say(f"before {text} after")
        out_table([f"name{text}"], [[f"value {text} end"]])
        if "\n" not in text:
            out(f"datadog: {text}")
    printed = capsys.readouterr()
    for stream in (printed.out, printed.err):
        assert [char for char in set(stream) if not char.isprintable() and char != "\n"] == []
    assert len(printed.err.splitlines()) == len(CONTROLS)
    for text in CONTROLS:
        seen = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
        assert f"before {seen} after" in printed.err
    record_property("cases", len(CONTROLS) * 3)


def test_what_is_no_control_character_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    out_table(["name"], [["Ünïcödé 中文 🙂 a\u00a0b\u202fc"]])
    assert "Ünïcödé 中文 🙂 a\u00a0b\u202fc" in capsys.readouterr().out


# --- SQL of a user ----------------------------------------------------------------------------------------------------

REACHING_OUT = [
    "FROM read_text('{0}')", "FROM read_blob('{0}')", "FROM read_csv('{0}')", "FROM read_json('{0}')", "FROM parquet_scan('{0}')",
    "FROM '{0}'", "FROM glob('/*')", "FROM sniff_csv('{0}')", "FROM read_duckdb('{0}')", "FROM parquet_metadata('{0}')",
    "FROM duckdb_secrets()", "COPY t TO '{1}'", "COPY (SELECT 1) TO '{1}' (FORMAT parquet)", "COPY t FROM '{0}'", "EXPORT DATABASE '{1}'",
    "IMPORT DATABASE '{0}'", "ATTACH '{1}'", "ATTACH '{1}' AS x; SELECT 1", "DETACH w", "USE memory", "INSTALL httpfs", "LOAD httpfs",
    "FORCE INSTALL spatial FROM community", "SET enable_external_access = true", "RESET enable_external_access",
    "SET lock_configuration = false", "PRAGMA enable_profiling = 'json'", "SET memory_limit = '1TB'", "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS FROM t", "CREATE MACRO f() AS 1", "CREATE SECRET s (TYPE s3)", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 2",
    "DELETE FROM t", "TRUNCATE t", "DROP TABLE t", "ALTER TABLE t ADD COLUMN b INT",
    "CALL enable_logging(storage = 'file', storage_path = '{1}')", "CALL pragma_version()", "VACUUM", "CHECKPOINT",
    "PREPARE q AS SELECT 1", "EXECUTE q", "BEGIN", "EXPLAIN ANALYZE COPY t TO '{1}'", "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "/* */ EXPLAIN ANALYZE COPY t TO '{1}'", "SELECT 1; COPY t TO '{1}'", "SELECT 1;;SELECT 2", "FROM query('COPY t TO ''{1}''')",
    "FROM query('FROM read_text(''{0}'')')", "FROM query_table('{0}')", "SELECT getenv('HOME')", "FROM secret_frame",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) FROM x", "FROM postgres_scan('host=x', 'a', 'b')", "FROM sqlite_scan('{0}', 't')",
    "FROM iceberg_scan('{0}')", "FROM 'https://example.com/x.parquet'", "FROM read_csv('s3://bucket/x')", "SELECT load_extension('{0}')",
]  # fmt: skip
NO_TRACE = [  # accepted by DuckDB as reading; they may say what they like, but leave nothing behind
    "FROM enable_logging(level = 'trace', storage = 'file', storage_path = '{1}')",
    "SELECT count(write_log('x' || a)) FROM t LEFT JOIN enable_logging(level = 'trace', storage = 'file', storage_path = '{1}') ON true",
    "FROM enable_profiling(format = 'json', save_location = '{1}')",
    "SELECT count(*) FROM t LEFT JOIN enable_profiling(format = 'json', save_location = '{1}') ON true",
    "FROM query('FROM enable_' || 'profiling(format=''json'', save_location=''{1}'')')",
    "FROM checkpoint()", "FROM pragma_database_list", "FROM duckdb_logs()", "FROM truncate_duckdb_logs()",
]  # fmt: skip


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published file with one table."""
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000)")
    return tmp_path / "w.duckdb"


@pytest.mark.fault("X11")
@pytest.mark.parametrize("is_lake_beside", [False, True])
def test_no_statement_of_a_user_reaches_out_or_changes_anything(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record, is_lake_beside: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    secret_frame = pa.table({"x": [1]})  # DuckDB looks for tables among the variables of Python where it may
    assert secret_frame.num_rows == 1
    (tmp_path / "readable.txt").write_text("a,b\n1,2\n")
    lake = Lake(tmp_path / "lake")
    lake.land("datadog", "tests", [RawRow("1", None, None, NOW, 200, "", "{}", "", REDACTION_VERSION)], "s")
    before, data = tree_of(tmp_path), published.read_bytes()
    answered = []
    for statement in (*REACHING_OUT, *NO_TRACE):
        sql = statement.format(tmp_path / "readable.txt", tmp_path / "evil")
        if is_lake_beside:  # the same with the lake's payloads at hand, which is another connection
            sql += " -- lake.payloads"
        try:
            run_query(published, sql, str(lake.root) if is_lake_beside else None)
        except ResulthouseError:
            continue
        answered.append(statement)
    assert [statement for statement in answered if statement not in NO_TRACE] == []
    assert tree_of(tmp_path) == before
    assert published.read_bytes() == data
    record_property("cases", len(REACHING_OUT) + len(NO_TRACE))


@pytest.mark.fault("X11")
def test_the_lake_is_asked_without_its_files_being_in_reach(tmp_path: Path, published: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.land("datadog", "tests", [RawRow("1", None, None, NOW, 200, "", '{"a": 1}', "", REDACTION_VERSION)], "s")
    assert run_query(published, "SELECT payload ->> '$.a' AS a FROM lake.payloads", str(lake.root)).rows == [["1"]]
    file = lake.raw_files()[0].path
    for sql in (
        f"FROM '{file}' -- lake",
        f"FROM parquet_scan('{file}') -- lake",
        "INSERT INTO lake.payloads SELECT 1",
        "DROP VIEW lake.payloads",
    ):
        with pytest.raises(ResulthouseError):
            run_query(published, sql, str(lake.root))
