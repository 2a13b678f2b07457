"""Credentials: they reach one host only, and no text, log or reply shows them."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback

import httpx
import pytest

from pipelines.errors import FetchError, GoneError, HaltedError, RejectedError
from pipelines.extract.limits import Limits
from tests.support.http import API_KEY, APP_KEY, QUERY_KEY, always, answer, client, raw, raw_server

TOKEN = "canary-read-token-77"
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
        async with raw_server(always(raw(b"{}"))) as decoy:
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


@pytest.mark.fault("H27")
def test_proxies_and_netrc_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")

    async def run() -> None:
        async with raw_server(always(raw(b"{}"))) as proxy, raw_server(always(raw(b"{}"))) as server:
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
        raw(b"{}"),
        raw(b"{}", f"X-RateLimit-Name: {APP_KEY}-{TOKEN}"),
        raw(b"<html>"),
        raw(b"", status="400 Bad"),
        raw(b"", status="401 Unauthorized"),
        raw(b"", status="403 Forbidden"),
        raw(b"", status="404 Not Found"),
        raw(b"", status="503 Down"),
        raw(b"", f"Location: https://{API_KEY}.test/{TOKEN}", status="302 Found"),
        raw(b"{}", length=100),
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


@pytest.mark.fault("H13")
def test_an_untrusted_certificate_halts() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
        cause.verify_message = "self-signed certificate"
        raise httpx.ConnectError("x") from cause

    async def run() -> None:
        async with client(fail) as http:
            with pytest.raises(HaltedError, match="acme /x: the server's certificate is not trusted: self-signed"):
                await http.get("/x")
            assert http.requests == 1

    asyncio.run(run())
