"""Credentials: they reach one host only, and no text, log or reply shows them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx
import pytest

import pipelines
from pipelines.errors import DeferredError, FetchError, GoneError, HaltedError, RejectedError, SettingsError
from pipelines.extract.client import HttpClient
from pipelines.extract.limits import Limits
from pipelines.flows.pull import pull
from pipelines.lake.history import read_history
from pipelines.lake.store import Lake
from tests.support.certificates import KINDS, Authority
from tests.support.checker import violations
from tests.support.clock import START, VirtualClock
from tests.support.house import House
from tests.support.http import API_KEY, APP_KEY, QUERY_KEY, SETTINGS, RawServer, acme, always, answer, client, raw, raw_server
from tests.support.scripted import Checkly

Record = Callable[[str, object], None]

TOKEN = "canary-read-token-77"
OK = b'{"ok":true}'
CANARIES = (API_KEY, APP_KEY, QUERY_KEY, "canary%2Fquery%2Bkey%3D1234", TOKEN)


def _shown(error: BaseException) -> str:
    """All that a log, a traceback or a run history can show of an exception, with what hides behind it."""
    texts: list[str] = []
    behind: BaseException | None = error
    while behind is not None:
        texts += [str(behind), repr(behind), str(vars(behind)), "".join(traceback.format_exception(behind))]
        behind = behind.__cause__ or behind.__context__
    return "\n".join(texts)


@pytest.mark.fault("H25")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("is_same_host", [True, False])
def test_a_redirect_is_never_followed(status: int, is_same_host: bool) -> None:
    async def run() -> None:
        async with raw_server(always(raw(OK))) as decoy:
            target = "/elsewhere?token=1" if is_same_host else decoy.url + "/steal?token=1"
            redirect = always(raw(b"", f"Location: {target}", status=f"{status} Moved"))
            async with raw_server(redirect) as server, client(server.url) as http:
                with pytest.raises(RejectedError, match=rf"\({status}\), which is not followed") as caught:
                    await http.get("/x", secret_params=[("read_token", TOKEN)])
                assert "token" not in str(caught.value)
                assert len(server.heads) == 1
                assert API_KEY in server.heads[0]
            assert decoy.heads == []

    asyncio.run(run())


@pytest.mark.fault("H25")
def test_a_redirect_from_https_to_http_or_round_in_a_loop_is_never_followed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def run() -> None:
        async with raw_server(always(raw(OK))) as decoy:

            async def redirect(writer: asyncio.StreamWriter, turn: int) -> None:
                location = [decoy.url.replace("127.0.0.1", "localhost") + "/x", "/x", f"//localhost:{decoy.port}/x"][turn]
                writer.write(raw(b"", f"Location: {location}", status="302 Found"))

            tls = authority.server("right")
            async with raw_server(redirect, tls=tls) as server, client(server.url, trusts=authority.trust) as http:
                for turn in range(3):
                    with pytest.raises(RejectedError, match="which is not followed"):
                        await http.get("/x")
                    assert len(server.heads) == turn + 1
            assert decoy.connections == 0

    asyncio.run(run())


@pytest.mark.fault("H27")
def test_proxies_and_netrc_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")

    async def run() -> None:
        async with raw_server(always(raw(OK))) as proxy, raw_server(always(raw(OK))) as server:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv("NO_PROXY", "")
            monkeypatch.setenv("NETRC", str(home / ".netrc"))
            async with client(server.url) as http:
                await http.get("/x")
            assert proxy.heads == []
            assert f"authorization: Bearer {APP_KEY}".lower() in server.heads[0].lower()
            assert "Basic" not in server.heads[0]

    asyncio.run(run())


@pytest.mark.fault("X1")
@pytest.mark.parametrize(
    "response",
    [
        raw(OK),
        raw(OK, f"X-RateLimit-Name: {APP_KEY}-{TOKEN}"),
        raw(b"<html>"),
        raw(b"", status="400 Bad"),
        raw(b"", status="401 Unauthorized"),
        raw(b"", status="403 Forbidden"),
        raw(b"", status="404 Not Found"),
        raw(b"", status="503 Down"),
        raw(b"", f"Location: https://{API_KEY}.test/{TOKEN}", status="302 Found"),
        raw(OK, length=100),
        raw(b"x", f"Content-Type: text/{API_KEY}-{TOKEN}"),
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_no_credential_shows_in_exceptions_logs_or_replies(response: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)

    async def run() -> str:
        async with raw_server(always(response)) as server, client(server.url, limits=Limits(tries=3)) as http:
            reply, raised = None, None
            try:
                reply = await http.get("/runs/1", params=[("from", "1")], secret_params=[("read_token", TOKEN)])
            except FetchError as error:
                raised = error
            assert "apiKey=canary" in server.heads[0]
            if raised is not None:
                assert (raised.__cause__, raised.__context__) == (None, None)
                return _shown(raised) + repr(http)
            assert reply is not None
            assert reply.request_url == f"{server.url}/runs/1?from=1"
            return repr(reply)

    shown = asyncio.run(run())
    logged = "\n".join(record.getMessage() + str(record.args) for record in caplog.records)
    for canary in CANARIES:
        assert canary not in shown
        assert canary not in logged


def test_an_unreachable_host_shows_no_credential() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url} with {request.headers}")

    async def run() -> str:
        async with client(fail, limits=Limits(tries=2)) as http:
            with pytest.raises(FetchError) as caught:
                await http.get("/x", secret_params=[("read_token", TOKEN)])
            return _shown(caught.value)

    shown = asyncio.run(run())
    assert not [canary for canary in CANARIES if canary in shown]


@pytest.mark.fault("H10")
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_halt_with_one_sentence_that_names_the_settings(status: int) -> None:
    async def run() -> None:
        async with client(lambda _: answer(status)) as http:
            with pytest.raises(HaltedError) as caught:
                await http.get("/x")
            assert str(caught.value) == (f"acme refused the credentials ({status}): check ACME_API_KEY and ACME_APP_KEY")
            assert http.requests == 1

    asyncio.run(run())


@pytest.mark.fault("H11", "H12")
def test_a_403_after_a_success_concerns_one_entity_and_a_401_all() -> None:
    statuses = {"/ok": 200, "/forbidden": 403, "/expired": 401}

    async def run() -> None:
        async with client(lambda request: answer(statuses[request.url.path])) as http:
            await http.get("/ok")
            with pytest.raises(RejectedError) as caught:
                await http.get("/forbidden")
            assert (caught.value.rule, caught.value.status) == ("forbidden", 403)
            with pytest.raises(HaltedError):
                await http.get("/expired")

    asyncio.run(run())


ROTATED = {**SETTINGS, "ACME_APP_KEY": "canary-app-key-rotated-1", "ACME_QUERY_KEY": "canary-query-key-rotated-2"}


@asynccontextmanager
async def _rotating(turns: int, fresh: Callable[[RawServer], Mapping[str, str]]) -> AsyncIterator[tuple[HttpClient, RawServer, list[str]]]:
    """A client of a server that refuses the first key from the n-th request on; and the word "reread" for each time settings were read."""
    told: list[str] = []

    async def script(writer: asyncio.StreamWriter, turn: int) -> None:
        head = server.heads[turn]
        is_refused = turn >= turns and (ROTATED["ACME_APP_KEY"] not in head or ROTATED["ACME_QUERY_KEY"] not in head)
        writer.write(raw(b"", status="401 Unauthorized") if is_refused else raw(OK, f"X-RateLimit-Name: {APP_KEY}"))

    def reread() -> Mapping[str, str]:
        told.append("reread")
        return fresh(server)

    async with raw_server(script) as server:
        settings = {**SETTINGS, "ACME_API_URL": server.url}
        async with HttpClient(acme(), settings, clock=VirtualClock(), rng=Random(1), reread=reread) as http:
            yield http, server, told


@pytest.mark.fault("H11", "X1")
def test_a_key_that_was_rotated_in_the_middle_of_a_sync_is_read_anew_once_and_no_answer_is_lost(
    record_property: Record, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(turns: int) -> None:
        async with _rotating(turns, lambda server: {**ROTATED, "ACME_API_URL": server.url}) as (http, server, told):
            replies = [await http.get("/first")]
            replies += await asyncio.gather(*(http.get(f"/{n}", secret_params=[("read_token", TOKEN)]) for n in range(12)))
            assert [reply.document for reply in replies] == [{"ok": True}] * 13
            assert told == ["reread"]
            assert http.requests == len(server.heads) <= 13 + 4  # those that were on their way when the key was refused
            assert not [canary for canary in (*CANARIES, *ROTATED.values()) if canary in repr(replies)]

    for turns in range(1, 8):
        asyncio.run(run(turns))
    assert "canary" not in caplog.text
    record_property("cases", 7)


@pytest.mark.fault("H11")
def test_settings_that_hold_no_other_key_for_the_same_address_stop_the_sync(record_property: Record) -> None:
    def unusable(server: RawServer) -> Mapping[str, str]:
        raise SettingsError("Acme is only half configured.")

    wrong: dict[str, Callable[[RawServer], Mapping[str, str]]] = {
        "the same": lambda server: {**SETTINGS, "ACME_API_URL": server.url},
        "another host": lambda server: {**ROTATED, "ACME_API_URL": server.url.replace("127.0.0.1", "localhost")},
        "no credential": lambda server: {**ROTATED, "ACME_API_URL": server.url, "ACME_APP_KEY": "a\nb"},
        "unusable": unusable,
        "refused too": lambda server: {**ROTATED, "ACME_API_URL": server.url, "ACME_APP_KEY": "canary-app-key-wrong"},
    }

    async def run(name: str) -> None:
        async with _rotating(1, wrong[name]) as (http, server, told):
            await http.get("/first")
            for _ in range(2):
                with pytest.raises(HaltedError, match="acme refused the credentials"):
                    await http.get("/second")
            assert told == ["reread"]
            assert len(server.heads) == (4 if name == "refused too" else 3)

    async def at_the_start() -> None:
        async with _rotating(0, wrong["the same"]) as (http, server, told):
            with pytest.raises(HaltedError):
                await http.get("/first")
            assert (told, len(server.heads)) == ([], 1)

    for name in wrong:
        asyncio.run(run(name))
    asyncio.run(at_the_start())
    record_property("cases", len(wrong) + 1)


@pytest.mark.fault("H11")
@pytest.mark.parametrize("is_same_account", [True, False])
def test_a_sync_goes_on_with_a_rotated_key_of_the_same_account_only_and_lands_neither_key(tmp_path: Path, is_same_account: bool) -> None:
    old, new = "cu_canary-old-0123456789", "cu_canary-new-0123456789"
    api = Checkly({"": {"s": START - timedelta(hours=2)}, "check": {f"r{n}": START - timedelta(hours=n) for n in range(1, 9)}})
    requests = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        if requests > 3 and request.headers["authorization"] != f"Bearer {new}":
            return answer(401)
        document = api.answer(request.url.path, dict(request.url.params))
        if "check-results" in request.url.path:
            document = {**document, "entries": [{**entry, "sentBack": [old, new]} for entry in document["entries"]]}
        return answer(200, json.dumps(document).encode())

    environ = {"CHECKLY_API_KEY": old, "CHECKLY_ACCOUNT_ID": "account"}
    house = House(tmp_path, None, ("checkly",), environ, VirtualClock())
    settings, provider = house.settings, house.settings.configured()["checkly"]
    house.environ = {"CHECKLY_API_KEY": new, "CHECKLY_ACCOUNT_ID": "account" if is_same_account else "another"}
    report = asyncio.run(
        pull(
            provider, settings, house.clock, sync_id="20261122T120000-00000001",
            transport=httpx.MockTransport(handle), reread=lambda: house.settings,
        )
    )  # fmt: skip
    assert (report.error is None) == is_same_account
    landed = read_history(Lake(settings.lake), provider, START, timedelta(days=14), lambda run: None).landed("check_results")
    assert len(landed) == (8 if is_same_account else 0)
    files = [path.read_bytes() for path in Path(settings.lake).rglob("*.parquet")]
    assert violations(Path(settings.lake), settings.warehouse, [old, new]) == []
    assert files
    payloads = [
        row["payload"] for file in Lake(settings.lake).raw_files("checkly") for row in Lake(settings.lake).read_raw(file).to_pylist()
    ]
    assert not [payload for payload in payloads if old in payload or new in payload]


@pytest.mark.fault("H9")
@pytest.mark.parametrize(
    ("status", "error", "rule"),
    [
        (404, GoneError, "gone"),
        (410, GoneError, "gone"),
        (400, RejectedError, "unfetched"),
        (402, RejectedError, "unfetched"),
        (422, RejectedError, "unfetched"),
        (304, RejectedError, "unfetched"),
    ],
)
def test_an_answer_about_one_entity_is_not_asked_for_again(status: int, error: type[FetchError], rule: str) -> None:
    async def run() -> None:
        async with client(lambda _: answer(status, b"secret-word")) as http:
            with pytest.raises(error, match=rf"acme /tests/1: .*\({status}\)") as caught:
                await http.get("/tests/1")
            assert (http.requests, caught.value.rule) == (1, rule)
            assert "secret-word" not in str(caught.value)

    asyncio.run(run())


CERTIFICATES = {
    "expired": "certificate has expired",
    "not yet valid": "certificate is not yet valid",
    "wrong host": "Hostname mismatch",
    "self-signed": "self-signed certificate",
}


@pytest.mark.fault("H13")
def test_a_certificate_that_does_not_verify_halts_before_any_credential_is_sent(tmp_path: Path, record_property: Record) -> None:
    authority = Authority(tmp_path)

    async def run() -> None:
        for kind in KINDS:
            async with raw_server(always(raw(OK)), tls=authority.server(kind)) as server:
                async with client(server.url, trusts=authority.trust) as http:
                    if kind == "right":
                        assert (await http.get("/x")).document == {"ok": True}
                        continue
                    with pytest.raises(HaltedError, match=f"certificate is not trusted: {CERTIFICATES[kind]}"):
                        await http.get("/x")
                    assert http.requests == 1
                assert server.heads == []
        async with raw_server(always(raw(OK)), tls=authority.server("right")) as server, client(server.url) as http:
            with pytest.raises(HaltedError, match="certificate is not trusted"):  # the client as it is trusts public authorities only
                await http.get("/x")
            assert server.heads == []

    asyncio.run(run())
    record_property("cases", len(CERTIFICATES) + 1)


@pytest.mark.fault("H13")
def test_a_server_that_speaks_no_tls_is_not_asked_without() -> None:
    async def run() -> None:
        async with raw_server(always(raw(OK))) as server:
            async with client(server.url.replace("http://", "https://"), limits=Limits(tries=2, connect_s=0.1)) as http:
                with pytest.raises(DeferredError):
                    await http.get("/x")
            assert server.heads == []

    asyncio.run(run())


@pytest.mark.fault("H13")
def test_a_host_that_no_name_server_knows_is_tried_again_and_then_deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    async def run() -> None:
        async with client("https://api.nowhere.invalid") as http:
            with pytest.raises(DeferredError, match="given up after 6 tries, the last one ended with ConnectError"):
                await http.get("/x")

    asyncio.run(run())


@pytest.mark.fault("H13")
def test_no_line_of_the_code_weakens_tls(record_property: Record) -> None:
    weak = re.compile(r"verify\s*=\s*(False|0|None)|CERT_NONE|CERT_OPTIONAL|check_hostname\s*=|_create_unverified|verify_mode|set_ciphers")
    folder = Path(pipelines.__path__[0]).parent
    sources = [path for name in ("pipelines", "assets") for path in sorted((folder / name).rglob("*.py"))]
    assert [str(path) for path in sources if weak.search(path.read_text())] == []
    record_property("cases", len(sources))
