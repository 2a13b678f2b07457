"""Addresses that lead elsewhere: in a setting, a path, a redirect, an id, a cursor or a payload. A decoy records who connects."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pipelines.errors import DeferredError, FetchError, HaltedError, RejectedError, SettingsError
from pipelines.extract.client import HttpClient
from pipelines.extract.limits import Limits
from pipelines.flows.pull import pull
from tests.support.certificates import Authority
from tests.support.clock import VirtualClock
from tests.support.house import House
from tests.support.http import SETTINGS, RawServer, acme, always, client, raw, raw_server

Record = Callable[[str, object], None]

FORMS = (
    "http://127.0.0.1:{port}/x",
    "https://127.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "http://LOCALHOST:{port}/x",
    "http://localhost.:{port}/x",
    "http://2130706433:{port}/x",
    "http://0x7f000001:{port}/x",
    "http://017700000001:{port}/x",
    "http://127.1:{port}/x",
    "http://127.0.0.1.nip.io:{port}/x",
    "http://0:{port}/x",
    "http://0.0.0.0:{port}/x",
    "http://[::1]:{port}/x",
    "http://[::]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "http://[0:0:0:0:0:ffff:7f00:1]:{port}/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254.:80/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://10.0.0.1:{port}/x",
    "http://192.168.0.1:{port}/x",
    "http://172.16.0.1:{port}/x",
    "http://user:word@127.0.0.1:{port}/x",
    "http://api.acme.test@127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}\\@api.acme.test/x",
    "http://127.0.0.1:{port}#@api.acme.test/x",
    "http://127.0.0.1:{port}?@api.acme.test/x",
    "http:/127.0.0.1:{port}/x",
    "http:127.0.0.1:{port}/x",
    "//127.0.0.1:{port}/x",
    "///127.0.0.1:{port}/x",
    "\\\\127.0.0.1:{port}\\x",
    "/\\127.0.0.1:{port}/x",
    "@127.0.0.1:{port}/x",
    ":{port}/x",
    "\t//127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}/\r\nHost: evil.test",
    "http://127.0.0.1%2f@evil.test:{port}/x",
    "http%3A%2F%2F127.0.0.1%3A{port}%2Fx",
    "http://\uff11\uff12\uff17.0.0.1:{port}/x",
    "http://①②⑦.⓪.⓪.①:{port}/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/x",
    "ftp://127.0.0.1:{port}/x",
    "javascript:fetch('http://127.0.0.1:{port}/x')",
    "data:text/html,<script src=http://127.0.0.1:{port}/x>",
)

ALLOWED_BASES = {"https://127.0.0.1:{port}/x", "http://127.0.0.1:{port}/x", "http://localhost:{port}/x", "http://LOCALHOST:{port}/x"}
"""A base URL is the operator's word: https anywhere, and http to this machine, which is where the sandbox stands."""
ALLOWED_BASES |= {"http://[::1]:{port}/x"}


def _forms(decoy: RawServer) -> list[str]:
    return [form.replace("{port}", str(decoy.port)) for form in FORMS]


@pytest.mark.fault("H26")
def test_a_base_url_of_an_odd_form_is_refused_before_any_connection(record_property: Record) -> None:
    async def run() -> None:
        async with raw_server(always(raw(b'{"ok":true}'))) as decoy:
            for form, url in zip(FORMS, _forms(decoy), strict=True):
                if form in ALLOWED_BASES:
                    continue
                with pytest.raises(SettingsError) as caught:
                    HttpClient(acme(), {**SETTINGS, "ACME_API_URL": url}, clock=VirtualClock(), rng=Random(1))
                assert "ACME_API_URL" in str(caught.value)
            assert decoy.connections == 0

    asyncio.run(run())
    record_property("cases", len(FORMS) - len(ALLOWED_BASES))


@pytest.mark.fault("H26")
@pytest.mark.parametrize("url", ["https://256.1.1.1", "https://a<b>.test", "https://a.test" + "/p" * 40_000])
def test_a_base_url_that_the_http_library_reads_otherwise_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="ACME_API_URL"):
        client(url)


@pytest.mark.fault("H26")
def test_a_path_too_long_for_an_address_is_refused_and_nothing_is_asked_outside_of_the_client_s_block() -> None:
    async def run() -> None:
        async with raw_server(always(raw(b'{"ok":true}'))) as server:
            http = client(server.url)
            with pytest.raises(RuntimeError, match="async with"):
                await http.get("/x")
            async with http:
                with pytest.raises(RejectedError, match="no address of this API"):
                    await http.get("/" + "a" * 70_000)
            assert server.connections == 0

    asyncio.run(run())


@pytest.mark.fault("H26", "H25")
def test_an_address_as_path_or_redirect_reaches_no_other_host(record_property: Record) -> None:
    async def run() -> None:
        async with raw_server(always(raw(b'{"ok":true}'))) as decoy:
            forms = _forms(decoy)

            async def script(writer: asyncio.StreamWriter, turn: int) -> None:
                if "/redirect" in server.heads[turn]:
                    location = forms[int(server.heads[turn].split("/redirect/")[1].split("?")[0])].replace("\r\n", "")
                    writer.write(raw(b"", "Location: " + location.encode().decode("latin-1"), status="302 Found"))
                else:
                    writer.write(raw(b'{"ok":true}'))

            async with raw_server(script) as server, client(server.url) as http:
                for number, form in enumerate(forms):
                    for path in (form, "/" + form, f"/tests/{form}/results"):
                        try:
                            reply = await http.get(path)
                        except FetchError:
                            continue
                        assert urlsplit(reply.request_url).netloc == f"127.0.0.1:{server.port}"
                    with pytest.raises(FetchError):
                        await http.get(f"/redirect/{number}")
                assert server.connections == len(server.heads) == http.requests
                assert all(f"\r\nHost: 127.0.0.1:{server.port}\r\n" in head for head in server.heads)
                assert all(head.count("\r\nHost:") == 1 for head in server.heads)
            assert decoy.connections == 0

    asyncio.run(run())
    record_property("cases", 4 * len(FORMS))


def _checkly(path: str, query: dict[str, list[str]], forms: list[str]) -> Any:
    parts = path.split("/")[3:]
    links = [{"url": form, "next": form} for form in forms]
    if not parts:
        page = forms.index(query["nextId"][0]) + 1 if "nextId" in query else 0
        entries = [{"id": form, "startedAt": "2026-11-22T11:00:00Z", "link": form} for form in forms[page : page + 1]]
        return {"entries": entries, "nextId": forms[page] if page < len(forms) else None, "next": forms[page : page + 1]}
    if "results" in parts:
        return {"status": "PASSED", "assets": links}
    results = [{"testSessionResultId": form} for form in forms]
    return {"status": "PASSED", "startedAt": "2026-11-22T11:00:00Z", "results": results, "links": links}


def _datadog(path: str, query: dict[str, list[str]], forms: list[str]) -> Any:
    if path.endswith("/synthetics/tests"):
        return {"tests": [{"public_id": form, "type": "api", "links": {"next": form}} for form in forms], "next": forms}
    if path.endswith("/results"):
        at = 1795345200000  # an hour before the clock's start
        rows = [{"result_id": form, "check_time": at, "result": {"passed": True}, "screenshot": form} for form in forms]
        return {"results": rows, "last_timestamp_fetched": 0, "links": {"next": forms[0]}}
    return {"check_time": 1795345200000, "result": {"eventType": "finished", "artifacts": forms}}


KEYS = {
    "checkly": {"CHECKLY_API_KEY": "cu_key-0123456789", "CHECKLY_ACCOUNT_ID": "a-1", "RESULTHOUSE_CHECKLY_RUNS": "off"},
    "datadog": {"DD_API_KEY": "key-0123456789", "DD_APP_KEY": "app-0123456789"},
}


@pytest.mark.fault("H26", "X3")
@pytest.mark.parametrize(("name", "answered"), [("checkly", _checkly), ("datadog", _datadog)])
def test_addresses_as_ids_cursors_and_artifacts_of_a_provider_are_never_gone_to(
    tmp_path: Path, name: str, answered: Callable[[str, dict[str, list[str]], list[str]], Any], record_property: Record
) -> None:
    async def run() -> None:
        async with raw_server(always(raw(b'{"ok":true}'))) as decoy:
            forms = _forms(decoy)

            async def script(writer: asyncio.StreamWriter, turn: int) -> None:
                target = urlsplit(server.heads[turn].split(" ")[1])
                body = answered(unquote(target.path).rstrip("/"), parse_qs(target.query), forms)
                writer.write(raw(json.dumps(body).encode()))

            async with raw_server(script) as server:
                environ = {**KEYS[name], f"{name.upper()}_API_URL": server.url, "RESULTHOUSE_START_DAYS": "1"}
                house = House(tmp_path, None, (name,), environ, VirtualClock())
                report = await pull(house.settings.configured()[name], house.settings, house.clock, sync_id="20261122T120000-00000001")
                assert report.requests == server.connections == len(server.heads) > len(forms)
                assert report.landed > len(forms)
                assert all(f"\r\nHost: 127.0.0.1:{server.port}\r\n" in head for head in server.heads)
            assert decoy.connections == 0

    asyncio.run(run())
    record_property("cases", len(FORMS))


@pytest.mark.fault("H26")
def test_a_name_that_leads_to_an_address_inside_gets_no_request_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DNS rebinding: every connection shows a certificate of the name that was asked for, which whoever stands inside has not."""
    real = socket.getaddrinfo

    def rebound(host: object, *more: Any, **named: Any) -> Any:
        return real("127.0.0.1" if host in ("api.acme.test", b"api.acme.test") else host, *more, **named)  # type: ignore[arg-type] - the real one takes more

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    authority = Authority(tmp_path)

    async def run() -> None:
        async with raw_server(always(raw(b"{}"))) as plain, raw_server(always(raw(b"{}")), tls=authority.server("right")) as other:
            for inside, error in ((plain, DeferredError), (other, HaltedError)):
                url = f"https://api.acme.test:{inside.port}"
                async with client(url, limits=Limits(tries=2, connect_s=0.1), trusts=authority.trust) as http:
                    with pytest.raises(error):
                        await http.get("/x")
                assert inside.heads == []
            assert plain.connections == 2

    asyncio.run(run())
