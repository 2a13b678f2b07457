"""Secrets: our own keys and tokens, and those of the tested systems, stand in no file, log, table, page or line but the private ones."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from typer.testing import CliRunner

from assets.cli import app
from assets.console import out_csv
from pipelines import jsontext
from pipelines.errors import SettingsError
from pipelines.flows.pull import pull
from pipelines.flows.query import run_query
from pipelines.flows.report import write_report
from pipelines.lake import patterns
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow
from pipelines.providers import load_providers
from pipelines.sandbox.server import SandboxServer, serve
from pipelines.sandbox.world import World
from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree
from tests.conformance.fixtures import Fixture, load_fixtures
from tests.support.clock import VirtualClock
from tests.support.documents import _at as declared_at
from tests.support.house import House

NOW = datetime.now(UTC)
PROVIDERS = load_providers()
FIXTURES = {(name, each.name): each for name, provider in PROVIDERS.items() for each in load_fixtures(provider).fixtures}


# --- looking ----------------------------------------------------------------------------------------------------------


@cache
def encodings(secret: str) -> set[bytes]:
    """The secret plain, URL-encoded, JSON-escaped and in base64, also in the middle of a longer text."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote_plus(secret).encode(), quote(secret).encode()}
    found |= {json.dumps(secret)[1:-1].encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode()}
    for shift in range(3):  # what stands before it moves the groups of three bytes
        whole = b64encode(b"x" * shift + raw).rstrip(b"=")
        middle = whole[-(-shift * 8 // 6) : -1]
        found |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def found_in(text: bytes, secrets: Iterable[str]) -> list[str]:
    return [secret for secret in secrets if any(form in text for form in encodings(secret))]


def everything(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a home but the private ones; of Parquet and DuckDB also the values, which are compressed."""
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home)
        if not path.is_file() or name.parts[0] == "private":
            continue
        yield str(name), path.read_bytes()
        yield f"name of {name}", str(name).encode()
        if path.suffix == ".parquet":
            yield f"values of {name}", b"\n".join(str(v).encode() for column in pq.read_table(path).columns for v in column.to_pylist())
        elif path.suffix == ".duckdb":
            yield f"values of {name}", _tables(path)


def _tables(path: Path) -> bytes:
    text = BytesIO()
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        views = connection.execute("SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for (table,) in tables + views:
            for row in connection.execute(f"FROM {table}").fetchall():
                text.write("\n".join(map(str, row)).encode())
    return text.getvalue()


def csv_of(house: House, capsys: pytest.CaptureFixture[str]) -> bytes:
    """Every table and view of the published warehouse as `resulthouse query --csv` prints it."""
    capsys.readouterr()
    names = house.ask(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ('core','marts','meta')"
    )
    for (name,) in names:
        answer = run_query(house.settings.warehouse, f"FROM {name}")
        out_csv(answer.columns, answer.rows)
    return capsys.readouterr().out.encode()


# --- secrets of the tested systems ------------------------------------------------------------------------------------

DEEP = 'Zq{n:03}"R\\2 /m+V=ü9'  # whole values: whatever they hold
WORD = "Zq{n:03}-R2m+V/w9"  # inside a text: as tokens look
SIGNED = "https://bucket.s3.example/run/1/{{}}.png?X-Amz-Credential={0}&X-Amz-Signature={0}&X-Amz-Security-Token={0}"

# provider, fixture, which copy of it, pointer, what stands there: `{}` is the secret.
PLACES: list[tuple[str, str, int, str, Any]] = [
    *(
        ("datadog", "tests-0", copy, f"/config/request/{place}", "{}")
        for copy, place in enumerate(
            (
                "basicAuth/password", "certificate/key/content", "certificate/cert/content", "basicAuth/accessKey",
                "basicAuth/secretKey", "basicAuth/sessionToken", "basicAuth/clientSecret", "basicAuth/secret", "compressedJsonDescriptor",
            )
        )
    ),
    ("datadog", "tests-0", 0, "/config/request/basicAuth/type", "web"),
    ("datadog", "tests-0", 1, "/config/request/basicAuth", {"type": "digest", "username": "bob", "password": "{}"}),
    ("datadog", "tests-0", 2, "/config/request/basicAuth", {"type": "ntlm", "domain": "d", "workstation": "w", "password": "{}"}),
    ("datadog", "tests-0", 6, "/config/request/basicAuth/password", "{}"),
    ("datadog", "tests-0", 6, "/config/request/basicAuth/type", "oauth-rop"),
    ("datadog", "tests-0", 7, "/config/request/basicAuth/type", "jwt"),
    ("datadog", "tests-0", 0, "/config/request/headers/Authorization", "Bearer {}"),
    ("datadog", "tests-0", 0, "/config/request/headers/Cookie", "theme=dark; sid={}"),
    ("datadog", "tests-0", 0, "/config/request/headers/X-Api-Key", "{}"),
    ("datadog", "tests-0", 0, "/config/request/proxy/url", "http://bob:{}@proxy.example:3128"),
    ("datadog", "tests-0", 0, "/config/request/proxy/headers/Proxy-Authorization", "Basic {b64}"),
    ("datadog", "tests-0", 0, "/config/request/url", "https://api.example.com/v2?access_token={}&page=2"),
    ("datadog", "tests-0", 0, "/config/request/body", '{{"user":"bob","password":"{}","nested":{{"refresh_token":"{}"}}}}'),
    ("datadog", "tests-0", 0, "/config/request/query/api_key", "{}"),
    ("datadog", "tests-0", 0, "/config/request/metadata/authorization", "{}"),
    ("datadog", "tests-0", 0, "/config/setCookie", "sid={}; Secure"),
    ("datadog", "tests-0", 0, "/config/configVariables/0", {"name": "PIN", "type": "text", "pattern": "{}", "example": "{}"}),
    ("datadog", "tests-0", 0, "/config/variables/0", {"name": "X", "type": "text", "pattern": "{}", "example": "{}"}),
    ("datadog", "tests-0", 3, "/config/steps/0/request/basicAuth/clientSecret", "{}"),
    ("datadog", "tests-0", 3, "/config/steps/0/request/headers/DD-API-KEY", "{}"),
    ("datadog", "tests-0", 3, "/config/steps/0/assertions/0", {"type": "header", "property": "set-cookie", "target": "{}"}),
    ("datadog", "tests-0", 3, "/config/variablesFromScript", "dd.variable.set('PASSWORD', '{}')"),
    ("datadog", "tests-0", 3, "/message", "The password is '{}', ask @bob"),
    ("datadog", "api_rows-0", 0, "/result/errorMessage", '[{{"type":"header","property":"authorization","actual":"{}"}}]'),
    ("datadog", "api_result_eight_forms", 0, "/result/requestHeaders/authorization", "Digest response={}"),
    ("datadog", "api_result_eight_forms", 0, "/result/responseHeaders/set-cookie", ["sid={}; Path=/", "b={}"]),
    ("datadog", "api_result_eight_forms", 0, "/result/responseBody", '{{"access_token":"{}","token_type":"bearer"}}'),
    ("datadog", "api_result_eight_forms", 0, "/result/failure/message", "GET https://bob:{}@api.example/ failed"),
    ("datadog", "api_result_eight_forms", 0, "/result/error", "Authorization: Bearer {} was refused"),
    ("datadog", "api_result_eight_forms", 0, "/check/config/request/basicAuth/secretKey", "{}"),
    (
        "datadog", "api_result_eight_forms", 0, "/result/assertionResults/0",
        {"type": "header", "operator": "is", "property": "x-session", "actual": "{}", "expected": "{}", "valid": False},
    ),
    ("datadog", "browser_result_failed", 0, "/result/stepDetails/1/subTestStepDetails/0/value", "{}"),
    ("datadog", "browser_result_failed", 0, "/result/stepDetails/0/value", "{}"),
    ("datadog", "browser_result_failed", 0, "/result/stepDetails/2/description", "Type \"{}\" into the password field"),
    ("datadog", "browser_result_failed", 0, "/result/stepDetails/2/url", "https://shop.example/cb#access_token={}"),
    ("datadog", "browser_result_failed", 0, "/result/stepDetails/2/browserErrors/0/description", "401 for /me?sessionid={}"),
    ("datadog", "browser_result_failed", 0, "/result/startUrl", "https://bob:{}@shop.example.com/"),
    ("datadog", "browser_result_failed", 0, "/check/config/setCookie", "{}"),
    ("datadog", "v2_result_mobile", 0, "/data/attributes/result/steps/0/variables/config/0/value", "{}"),
    ("datadog", "v2_result_mobile", 0, "/data/attributes/result/steps/0/value", "{}"),
    ("datadog", "v2_result_network", 0, "/data/attributes/result/request/headers/x-auth-token", "{}"),
    ("datadog", "v2_result_network", 0, "/data/attributes/result/response/headers/set-cookie", "{}"),
    ("datadog", "v2_result_network", 0, "/data/attributes/git/repository_url", "https://x-access-token:{}@git.example/a/b.git"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/request/headers/Authorization", "Bearer {}"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/request/headers/cookie", "{}"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/request/params/apikey", "{}"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/request/data", "grant_type=password&username=bob&password={}"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/request/url", "https://bob:{}@api.example/login"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/response/headers/set-cookie", ["{}"]),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/response/body", "<login><password>{}</password></login>"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/response/href", "https://api.example/cb?code=1&id_token={}"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/jobLog/setup/0/msg", "using API_TOKEN={}"),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/pcapDataUrl", SIGNED),
    ("checkly", "result_api_failed", 0, "/apiCheckResult/requestError", "Cookie: sid={}"),
    ("checkly", "result_browser", 0, "/browserCheckResult/errors/0/message", "page.fill: typed '{}' into [name=password]"),
    ("checkly", "result_browser", 0, "/browserCheckResult/errors/0/stack", "Error: secret `{}` at login.ts:3"),
    ("checkly", "result_browser", 0, "/browserCheckResult/playwrightTestVideos/0", SIGNED),
    ("checkly", "result_browser", 0, "/browserCheckResult/jobAssets/0", SIGNED),
    ("checkly", "result_agentic", 0, "/agenticCheckResult/steps/0/input/password", "{}"),
    ("checkly", "result_agentic", 0, "/agenticCheckResult/prompt", "Log in with password '{}' and look around"),
    ("checkly", "result_grpc", 0, "/grpcCheckResult/request/metadata/authorization", "{}"),
    ("checkly", "check_api", 0, "/request/basicAuth/password", "{}"),
    ("checkly", "check_api", 0, "/request/headers/0", {"key": "Authorization", "value": "{}", "locked": True}),
    ("checkly", "check_api", 0, "/request/queryParameters/0", {"key": "api_key", "value": "{}"}),
    ("checkly", "check_api", 0, "/environmentVariables/0", {"key": "LOGIN", "value": "{}", "locked": True, "secret": True}),
    ("checkly", "check_api", 0, "/localSetupScript", "const client_secret = '{}'"),
    ("checkly", "check_api", 0, "/alertChannels/slack/0/url", "{}"),
    ("checkly", "check_api", 0, "/alertChannels/webhook/0/url", "{}"),
    ("checkly", "check_heartbeat", 0, "/heartbeat/pingToken", "{}"),
    ("checkly", "check_heartbeat", 0, "/heartbeat/pingUrl", "https://ping.example/{}"),
    ("checkly", "session_passed", 0, "/metadata/commitMessage", "use token '{}'"),
    ("applitools", "completed_run", 0, "/result/tests/0/testResultsUrl", "https://eyes.example/app?apiKey={}&read_token={}"),
    ("applitools", "completed_run", 0, "/result/tests/0/name", "log in with password '{}'"),
    ("applitools", "completed_run", 0, "/result/name", "plan, token: {}"),
    ("applitools", "completed_run", 0, "/result/read_token", "{}"),
    ("applitools", "completed_run", 0, "/result/parameter_values/password", "{}"),
    ("docketqa", "retried_run", 0, "/test_run/blueprint_metadata/credentials", {"username": "bob", "password": "{}", "otp_secret": "{}"}),
    ("docketqa", "retried_run", 0, "/test_run/blueprint_metadata/variables/0", {"key": "card", "type": "TEXT", "value": "{}"}),
    ("docketqa", "retried_run", 0, "/test_run/blueprint_metadata/steps/0/action", "Enter '{}' in the password field"),
    ("docketqa", "retried_run", 0, "/test_run/blueprint_metadata/steps/0/api_request/headers/x-api-key", "{}"),
    ("docketqa", "retried_run", 0, "/test_run/blueprint_metadata/steps/0/api_request/body", {"client_secret": "{}"}),
    ("docketqa", "retried_run", 0, "/test_run/blueprint_metadata/starting_url", "https://bob:{}@app.example/"),
    ("docketqa", "retried_run", 0, "/test_run/results/0/task", "Type the otp '{}'"),
    ("docketqa", "retried_run", 0, "/test_run/results/0/result", "Signed in, the token was \u201c{}\u201d"),
    ("docketqa", "retried_run", 0, "/test_run/results/0/actions/0/screenshot_url", SIGNED),
    ("docketqa", "retried_run", 0, "/test_run/results/0/actions/0/description", 'Input "{}" as password'),
    ("docketqa", "retried_run", 0, "/test_run/results/0/actions/0/api_response/headers/set-cookie", "{}"),
    ("docketqa", "retried_run", 0, "/test_run/results/0/actions/0/api_response/body", {"session_token": "{}"}),
    ("docketqa", "retried_run", 0, "/test_run/results/0/actions/0/api_response/api_response_url", SIGNED),
    ("docketqa", "retried_run", 0, "/test_run/test_video_url", SIGNED),
    ("docketqa", "trigger_response", 0, "/test_group_run/test_runs/0/blueprint_metadata/credentials/password", "{}"),
]  # fmt: skip


class Planting:
    """Copies of the fixtures with a secret of its own at every place."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}  # secret -> where
        self.undeclared: list[str] = []
        self.documents: dict[tuple[str, str, int], tuple[Fixture, str, str | None, Any]] = {}
        for provider, name, copy, pointer, template in PLACES:
            key = (provider, name, copy)
            if key not in self.documents:
                fixture = FIXTURES[provider, name]
                entity_id, parent_id, document = fixture.copy(copy)
                self.documents[key] = (fixture, entity_id, parent_id, json.loads(jsontext.dump(document)))
            fixture, _, _, document = self.documents[key]
            value = self._filled(template, f"{provider} {name} {pointer}")
            _put(document, pointer.split("/")[1:], value)
            if declared_at(_no_choice(fixture.endpoint.tree), re.sub(r"/\d+(?=/|$)", "/*", pointer)) is None:
                self.undeclared.append(f"{name} {pointer}")

    def _filled(self, template: Any, where: str) -> Any:
        if isinstance(template, dict):
            return {name: self._filled(child, f"{where}/{name}") for name, child in template.items()}
        if isinstance(template, list):
            return [self._filled(child, f"{where}/{place}") for place, child in enumerate(template)]
        if not isinstance(template, str) or "{" not in template:
            return template
        secret = (DEEP if template == "{}" else WORD).format(n=len(self.secrets))
        self.secrets[secret] = where
        if template == SIGNED:
            return SIGNED.format(quote(secret, safe="")).format("shot")
        parts = {"b64": b64encode(f"bob:{secret}".encode()).decode()}
        return template.format(*[secret] * 2, **parts)


def _put(document: Any, path: list[str], value: Any) -> None:
    """Set a value, making the objects and lists on the way to it."""
    for name, below in zip(path, [*path[1:], None], strict=True):
        place: Any = int(name) if isinstance(document, list) else name
        if isinstance(document, list):
            document += [None] * (place + 1 - len(document))
        if below is None:
            document[place] = value
            return
        there = document[place] if isinstance(document, list) else document.get(place)
        if not isinstance(there, list if below.isdigit() else dict):
            there = document[place] = [] if below.isdigit() else {}
        document = there


def _no_choice(tree: Tree) -> Tree:
    """The tree with objects and lists in the place of alternatives: what `declared_at` can walk."""
    if isinstance(tree, OneOf):
        chosen: Any = tree.object if tree.object is not None else [tree.list] if tree.list is not None else tree.scalar
        return _no_choice(chosen)
    if isinstance(tree, dict):
        return {name: _no_choice(child) for name, child in tree.items()}
    return [_no_choice(tree[0])] if isinstance(tree, list) else tree


@pytest.mark.fault("X2", "X3")
def test_no_secret_of_a_tested_system_gets_past_the_masking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    planting = Planting()
    house = House(tmp_path / "home", None)
    redactor, lake = Redactor(b"k" * 32), Lake(house.settings.lake)
    planted = set[str]()
    again: list[tuple[str, str, RawRow]] = []
    for number, ((provider, _, _), (fixture, entity_id, parent_id, document)) in enumerate(planting.documents.items()):
        text = json.dumps(document)
        planted |= set(found_in(text.encode(), planting.secrets))
        masked = jsontext.dump(redactor.redact(jsontext.parse(text.encode())[0], fixture.endpoint.tree))
        row = RawRow(entity_id, parent_id, NOW.date(), NOW, 200, "", masked, "", REDACTION_VERSION)
        lake.land(provider, fixture.endpoint.name, [row], f"planted-{number}")
        later = replace(row, payload=f'{masked[:-1]},"later":1}}', fetched_at=NOW + timedelta(hours=1))
        again += [(provider, fixture.endpoint.name, later)] if number % 3 == 0 else []
    assert planted == set(planting.secrets)
    house.refresh()
    for number, (provider, endpoint, row) in enumerate(again):  # a later version of each: the rows of the first leave their pages
        lake.land(provider, endpoint, [row], f"later-{number}")
    house.refresh()
    write_report(house.settings, house.clock)
    assert house.ask("SELECT * FROM meta.rejects") == []
    assert house.ask("SELECT count(*) > 3 FROM meta.versions WHERE state = 'superseded'") == [(True,)]
    pieces = [*everything(house.home), ("CSV", csv_of(house, capsys))]
    leaks = [(where, planting.secrets[secret]) for where, text in pieces for secret in found_in(text, planting.secrets)]
    assert leaks == []
    # what is no secret is where it was: the scan does look into all of them
    for kind in ("values of lake/raw", "values of warehouse.duckdb", "values of work", "CSV"):
        assert any(b"api.example.com" in text for where, text in pieces if where.startswith(kind)), kind
    declared = len(PLACES) - len(planting.undeclared)
    record_property("cases", len(planting.secrets))
    record_property("declared_places", declared)
    assert declared >= 60, planting.undeclared
    assert len(planting.secrets) >= 60


def _texts(value: Any, tree: Tree | None, masked: Any) -> Iterator[tuple[str, str]]:
    """Every text below a value that is not masked as a whole by its declaration, with what became of it."""
    if isinstance(tree, Leaf | Free | Headers) and getattr(tree, "masking", "") == "mask":
        return
    if isinstance(value, str) and isinstance(masked, str):
        yield value, masked
    elif isinstance(value, dict):
        children = _no_choice(tree) if tree is not None else None
        for (name, child), (_, other) in zip(value.items(), masked.items(), strict=True):
            yield from _texts(child, children.get(name) if isinstance(children, dict) else None, other)
    elif isinstance(value, list):
        children = _no_choice(tree) if tree is not None else None
        for child, other in zip(value, masked, strict=True):
            yield from _texts(child, children[0] if isinstance(children, list) else None, other)


NOT_CLEAN = re.compile(r"Signature=|Bearer |\Afixture-|password='|\Ahdr-key|\A[ab]=\d\Z")
"""Texts of the fixtures that are secrets themselves: signatures, tokens, keys and cookies."""


@pytest.mark.fault("X2")
def test_at_most_one_clean_value_in_a_hundred_is_masked(record_property: Callable[[str, object], None]) -> None:
    redactor, changed, seen = Redactor(b"k" * 32), [], 0
    for fixture in FIXTURES.values():
        masked = redactor.redact(fixture.document, fixture.endpoint.tree)
        for before, after in _texts(fixture.document, fixture.endpoint.tree, masked):
            if not NOT_CLEAN.search(before):
                seen += 1
                changed += [(fixture.name, before, after)] if before != after else []
    record_property("cases", seen)
    record_property("masked_clean_values", f"{len(changed)} of {seen}, {len(changed) / seen:.2%}")
    assert seen > 1_000
    assert len(changed) / seen <= 0.01, changed


@pytest.mark.fault("X12")
def test_no_family_of_patterns_is_slow_on_a_hostile_megabyte(record_property: Callable[[str, object], None]) -> None:
    redactor, size, slow = Redactor(b"k" * 32), 1_000_000, {}
    for trigger in patterns._TRIGGERS:
        long, many = f"a {trigger}:/={'aA0-_.+' * (size // 7)}", f" {trigger}=a:" * (size // (len(trigger) + 4))
        for text in (long, many, f'{{"{trigger}":"' * 999 + "x" * size):
            times = []
            while len(times) < 3 and min(times, default=1.0) >= 0.1:  # a machine that does other things has a second and a third go
                start = time.process_time()
                redactor.scrub(text)
                times.append(time.process_time() - start)
            slow |= {} if min(times) < 0.1 else {f"{trigger} {text[:20]}": min(times)}
    assert slow == {}
    record_property("cases", len(patterns._TRIGGERS) * 3)


@pytest.mark.fault("X1")
def test_an_answer_that_sends_our_key_back_is_masked_even_where_texts_are_kept() -> None:
    for form in range(4):
        for key in own_keys(form).values():
            redactor = Redactor(b"k" * 32, [key, "short"])
            inner = json.dumps({"said": key})
            text = jsontext.dump({"id": key, key: [f"x{key}y", quote(key, safe="")], "text": inner, "short": "short"})
            masked = redactor.without_own(text)
            assert found_in(masked.encode(), [key]) == []
            assert json.loads(masked)["id"] == redactor.mask(key)
            assert json.loads(masked)["short"] == "short"
            assert found_in(redactor.redact_line(f"failed: {key} {quote_plus(key)}").encode(), [key]) == []


# --- our own keys and tokens ------------------------------------------------------------------------------------------

SECRETS = [setting.name for provider in PROVIDERS.values() for setting in provider.settings if setting.secret]
FORMS = ("own{0}-{1}-R2m+V/w9==", 'own{0}"{1}\\R2m&V', "own{0}%2F{1}%20x", "own{0} {1} {{x}} <b>", "own{0}-{1}-\u00fcnusable")


def own_keys(form: int) -> dict[str, str]:
    """A value for every secret setting of every provider. Those of the last form can be no header."""
    return {name: FORMS[form].format(form, name.lower()) for name in SECRETS}


def let_in(server: SandboxServer, keys: dict[str, str]) -> Callable[[Request], Any]:
    """The sandbox takes these keys for its own."""

    async def fault(request: Request) -> Response:
        name = request.url.path.split("/")[1]
        raw_query, headers = str(request.url.query), dict(request.headers)
        for setting, key in keys.items():
            real = server.env.get(setting, "")
            raw_query = raw_query.replace(quote_plus(key), quote_plus(real))
            headers = {each: value.replace(key, real) for each, value in headers.items()}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(server._apps[name], root_path=f"/{name}"), base_url=server.url
        ) as client:
            answer = await client.get(f"{request.url.path}?{raw_query}", headers=headers)
        kept = {each: value for each, value in answer.headers.items() if each not in ("content-length", "content-encoding")}
        return Response(answer.content, answer.status_code, kept)

    return fault


def echo(status: int, keys: dict[str, str]) -> Callable[[Request], Response]:
    """Everything is answered with this status, and with the keys of the provider that was asked in headers and body."""

    def fault(request: Request) -> Response:
        provider = PROVIDERS[request.url.path.split("/")[1]]
        said = " ".join(keys[setting.name] for setting in provider.settings if setting.secret)
        headers = {"X-RateLimit-Name": said, "WWW-Authenticate": said, "Retry-After": said, "X-Echo": said}
        if status in range(300, 400):
            return RedirectResponse(f"https://elsewhere.example/?key={quote(said)}", status, headers)
        if status == 200:
            return Response(f"<html>{said}</html>", 200, headers, media_type=f"text/html; x={said}")
        return JSONResponse({"errors": [said], "url": str(request.url), "headers": dict(request.headers)}, status, headers)

    return fault


@pytest.mark.fault("X1")
def test_no_key_or_token_of_ours_stands_in_anything_that_is_written_or_printed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("", "httpx", "httpcore", "asyncio", "pipelines", "dagster"):
        caplog.set_level(logging.DEBUG, logger=name)
    home, said = tmp_path / "home", ""
    with serve(World(seed=11, days=1, now=NOW)) as server:
        tokens = [f"own-token-{n}/+=%" for n in range(4)]
        executions = [
            json.dumps({"result": {"id": f"00000000-0000-4000-8000-00000000000{n}", "read_token": token}}) for n, token in enumerate(tokens)
        ]
        few = {"RESULTHOUSE_START_DAYS": "0.05", "RESULTHOUSE_DATADOG_DETAIL": "failed", "RESULTHOUSE_CHECKLY_RUNS": "off"}
        for name, value in {**server.env, **own_keys(0), "RESULTHOUSE_HOME": str(home), **few}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DAGSTER_HOME", "")

        def run(*arguments: str, given: str | None = None) -> int:
            nonlocal said
            done = CliRunner().invoke(app, list(arguments), input=given)
            assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
            said += done.output + done.stderr
            return done.exit_code

        assert run("track", "applitools", "-", given="\n".join(executions) + '\n{"read_token": "own-token-0/+=%"}\n') == 1
        server.faults.append(let_in(server, own_keys(0)))
        assert run("sync", "--json") == 0  # runs that are unknown to the provider are gone, not an error
        for form, status in ((1, 401), (2, 302), (3, 200)):
            assert run("track", "applitools", f"00000000-0000-4000-8000-0000000001{form:02}") == 0  # so that there is something to ask
            server.faults[:] = [echo(status, own_keys(form))]
            for name, value in own_keys(form).items():
                monkeypatch.setenv(name, value)
            if status == 401:
                assert run("sync", "--json", "--provider", "applitools") == 1
            assert run("config") == 0
            said += str(House(home, server, environ=own_keys(form), clock=VirtualClock(NOW)).pull())
    said += str(House(home, server, environ=own_keys(3), clock=VirtualClock(NOW)).pull())  # nobody listens any more
    house = House(home, server, environ=own_keys(4), clock=VirtualClock(NOW))
    for provider in house.settings.providers.values():
        with pytest.raises(SettingsError, match="no credential has") as caught:
            asyncio.run(pull(provider, house.settings, house.clock, sync_id="unusable"))
        said += repr(caught.value) + str(caught.value.__cause__)
    house.refresh()
    write_report(house.settings, house.clock)
    assert run("status", "--json") == 0
    logged = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    secrets = [*(key for form in range(len(FORMS)) for key in own_keys(form).values()), *tokens]
    pieces = [*everything(home), ("stdout and stderr", said.encode()), ("logs", logged.encode()), ("CSV", csv_of(house, capsys))]
    assert [(where, secret) for where, text in pieces for secret in found_in(text, secrets)] == []
    assert house.ask("SELECT count(*) > 5 FROM core.results") == [(True,)]
    assert any(where.startswith("dagster/history/runs/") and b"pull_datadog" in text for where, text in pieces)
    assert all(word in said for word in ("refused the credentials (401)", "redirects to", "no usable answer", "ConnectError", "***"))
    record_property("cases", len(secrets) * 4)
    assert len(secrets) >= 24


@pytest.mark.fault("X1")
def test_a_key_that_a_provider_sends_back_in_an_answer_does_not_land(tmp_path: Path) -> None:
    with serve(World(seed=3, days=1, now=NOW)) as server:
        key = server.env["DOCKETQA_API_KEY"]
        house = House(tmp_path / "home", server, ("docketqa",), clock=VirtualClock(NOW))
        house.track()

        def fault(request: Request) -> Response:
            number = int(request.url.path.rsplit("/", 1)[1])
            return JSONResponse({"test_run": {"id": number, "status": key, "test_blueprint_id": 1, "results": None, key: {"a": [key]}}})

        server.faults.append(fault)
        house.sync()
    assert [where for where, text in everything(house.home) if found_in(text, [key])] == []
    assert house.ask("SELECT count(*) > 0 FROM core.results WHERE status LIKE '***%'") == [(True,)]
