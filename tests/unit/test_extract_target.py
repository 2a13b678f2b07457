"""Where requests go and what may be shown of it: `pipelines.extract.target`, and the settings of the client."""

from __future__ import annotations

from random import Random

import pytest

from pipelines.errors import RejectedError, SettingsError
from pipelines.extract.client import HttpClient
from pipelines.extract.target import Origin, host_of
from pipelines.providers.spec import Client
from tests.support.clock import VirtualClock
from tests.support.http import API_KEY, QUERY_KEY, SETTINGS, acme


@pytest.mark.fault("H26")
@pytest.mark.parametrize(
    "url",
    [
        "http://api.acme.test",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://2130706433",
        "http://localhost.evil.test",
        "http://127.0.0.1@evil.test",
        "https://user@evil.test",
        "https://evil.test\\@api.acme.test",
        "https://evil.test?x=",
        "https://evil.test#",
        "https://",
        "https://api acme",
        "https://api.acme.test:port",
        "https://[::1",
        "ftp://api.acme.test",
        "file:///etc/passwd",
        "api.acme.test",
    ],
)
def test_an_unsafe_base_url_is_refused_and_its_setting_named(url: str) -> None:
    with pytest.raises(SettingsError, match="ACME_API_URL"):
        HttpClient(acme(), {**SETTINGS, "ACME_API_URL": url}, clock=VirtualClock(), rng=Random(1))


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://localhost:8080/acme/", "http://[::1]:9", "https://acme.test"])
def test_https_and_loopback_are_accepted(url: str) -> None:
    client: Client = HttpClient(acme(), {**SETTINGS, "ACME_API_URL": url}, clock=VirtualClock(), rng=Random(1))
    assert client.remaining("") is None
    assert Origin(acme(), {**SETTINGS, "ACME_API_URL": url}).target("/x", (), ()).shown == url.rstrip("/") + "/x"


def test_the_base_url_takes_its_site_from_the_settings() -> None:
    provider = acme(base_url="https://api.{ACME_SITE}")
    assert Origin(provider, {**SETTINGS, "ACME_SITE": "eu.acme.test"}).host == "api.eu.acme.test"
    with pytest.raises(SettingsError, match="ACME_SITE is missing"):
        Origin(provider, {**SETTINGS, "ACME_SITE": ""})
    with pytest.raises(SettingsError, match="ACME_SITE"):
        Origin(provider, {**SETTINGS, "ACME_SITE": "acme.test@evil.test"})


@pytest.mark.parametrize("key", ["line\nbreak-secret", "caf\u00e9-secret", " padded-secret"])
def test_a_key_that_cannot_be_a_header_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="ACME_API_KEY") as caught:
        Origin(acme(), {**SETTINGS, "ACME_API_KEY": key})
    assert "secret" not in str(caught.value)


def test_credentials_are_sent_but_not_shown_and_optional_ones_left_out() -> None:
    origin = Origin(acme(), SETTINGS)
    target = origin.target("/a b/1", [("from", "1"), ("x[]", API_KEY)], [("read_token", "token-of-the-run")])
    assert target.url.endswith("&apiKey=canary%2Fquery%2Bkey%3D1234&read_token=token-of-the-run")
    assert target.shown == "https://api.acme.test/a%20b/1?from=1&x%5B%5D=***"
    assert target.where == "acme /a%20b/1"
    assert origin.headers == {"X-Api-Key": API_KEY, "Authorization": f"Bearer {SETTINGS['ACME_APP_KEY']}"}
    assert QUERY_KEY not in repr(target)
    assert "token-of-the-run" not in repr(target)


@pytest.mark.fault("H26")
@pytest.mark.parametrize("path", ["@evil.test/", "evil", "/../x", "/a/../../b", "/./a", ""])
def test_a_path_never_leaves_the_api(path: str) -> None:
    with pytest.raises(RejectedError, match="no path of this API"):
        Origin(acme(), SETTINGS).target(path, (), ())


@pytest.mark.fault("X5", "H26")
@pytest.mark.parametrize("path", ["//evil.test/x", "/x?apiKey=1", "/x#y", "/\r\nHost: evil.test", "/\\evil.test"])
def test_an_id_in_a_path_stays_in_the_path(path: str) -> None:
    shown = Origin(acme(), SETTINGS).target(path, (), ()).shown
    assert shown.startswith("https://api.acme.test/")
    assert not set("?#\r\n\\ ") & set(shown)


def test_of_a_redirect_only_a_plain_host_is_shown() -> None:
    assert host_of("https://user:pass@login.test:444/path?token=1") == "login.test"
    for odd in ("/relative?token=1", "", "https://[bad", "https://a_b<script>/", "https://caf\u00e9.test"):
        assert host_of(odd) == "another address"
