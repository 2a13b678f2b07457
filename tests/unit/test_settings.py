"""What the environment, `.env` and the defaults promise."""

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.flows.preflight import check_folders
from pipelines.providers import load_providers
from pipelines.settings import Settings, load_settings

PROVIDERS = load_providers()
CHECKLY = {"CHECKLY_API_KEY": "k", "CHECKLY_ACCOUNT_ID": "a"}


def resolved(environ: dict[str, str], dotenv: Path | None = None) -> Settings:
    return load_settings(PROVIDERS, environ=environ, dotenv=dotenv)


def test_environment_goes_before_dotenv_and_dotenv_before_the_default(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("RESULTHOUSE_START_DAYS=3\nRESULTHOUSE_REVIEW_DAYS=5\nDD_SITE=\n")
    settings = resolved({"RESULTHOUSE_START_DAYS": "2"}, dotenv)
    assert (settings.start, settings.review) == (timedelta(days=2), timedelta(days=5))
    assert settings.sources["RESULTHOUSE_START_DAYS"] == "environment"
    assert settings.sources["RESULTHOUSE_REVIEW_DAYS"] == ".env"
    assert (settings.values["DD_SITE"], settings.sources["DD_SITE"]) == ("datadoghq.com", "default")


def test_everything_lies_in_the_home_unless_it_is_put_elsewhere(tmp_path: Path) -> None:
    settings = resolved({"RESULTHOUSE_HOME": str(tmp_path), "RESULTHOUSE_REPORT": str(tmp_path / "r.html")})
    assert settings.lake == str(tmp_path / "lake")
    assert settings.warehouse == tmp_path / "warehouse.duckdb"
    assert settings.report == tmp_path / "r.html"
    assert settings.publish_mode == 0o440


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RESULTHOUSE_START_DAYS", "week"),
        ("RESULTHOUSE_START_DAYS", "nan"),
        ("RESULTHOUSE_LOOKBACK_HOURS", "-1"),
        ("RESULTHOUSE_PUBLISH_MODE", "rw"),
        ("RESULTHOUSE_PUBLISH_MODE", "0040"),
    ],
)
def test_an_unusable_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        resolved({name: value})


@pytest.mark.fault("S5")
def test_place_that_can_be_none_is_refused_by_name_in_one_line(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    places = ["~nobody-of-this-name/x", str(tmp_path / ("x" * 300)), "y/" * 3000, "a\0b", f"{tmp_path}/{'x' * 300}/y"]
    names = ("RESULTHOUSE_HOME", "RESULTHOUSE_LAKE", "RESULTHOUSE_WAREHOUSE", "RESULTHOUSE_REPORT")
    for name in names:
        for place in places:
            with pytest.raises(SettingsError, match=f"^{name} cannot be a place for files") as caught:
                resolved({name: place})
            assert len(str(caught.value).splitlines()) == 1
        for place in (tmp_path / "loop", tmp_path / "loop" / "x"):  # some versions of Python say it here, some where it is written
            with pytest.raises(SettingsError, match=name):
                check_folders(resolved({"RESULTHOUSE_HOME": str(tmp_path / "home"), name: str(place / "x")}))
    record_property("cases", len(names) * (len(places) + 2))


@pytest.mark.fault("S5", "X1")
@pytest.mark.parametrize("what", ["link in a circle", "link to nowhere", "not UTF-8", "no permission"])
def test_dotenv_that_cannot_be_read_is_one_line_without_its_text(what: str, request: pytest.FixtureRequest) -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own would be closed to who is not root
    request.addfinalizer(lambda: shutil.rmtree(folder))
    dotenv = folder / ".env"
    if what.startswith("link"):
        dotenv.symlink_to(".env" if "circle" in what else "nowhere")
    else:
        dotenv.write_bytes(b"CHECKLY_API_KEY=very-secret" + (b"\xff" if "UTF" in what else b"") + b"\n")
    is_root = what == "no permission" and os.geteuid() == 0
    folder.chmod(0o755)
    dotenv.chmod(0o000) if what == "no permission" else None
    if is_root:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(SettingsError, match=r"\.env (is a link|cannot be read)") as caught:
            resolved({}, dotenv)
    finally:
        if is_root:
            os.seteuid(0)
    assert "very-secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_folder_by_the_name_of_dotenv_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()  # some keep a virtual environment there
    assert resolved({}, tmp_path / ".env").sources["RESULTHOUSE_HOME"] == "default"


def test_half_a_providers_settings_are_refused_by_the_name_of_what_is_missing() -> None:
    with pytest.raises(SettingsError, match=r"Checkly.*CHECKLY_ACCOUNT_ID"):
        resolved({"CHECKLY_API_KEY": "secret-key"}).configured()


def test_no_provider_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="No provider is configured"):
        resolved({}).configured()
    with pytest.raises(SettingsError, match="'nobody'"):
        resolved(CHECKLY).configured(("nobody",))
    with pytest.raises(SettingsError, match="DD_API_KEY"):
        resolved(CHECKLY).configured(("datadog",))


def test_only_configured_providers_are_chosen() -> None:
    assert list(resolved(CHECKLY).configured()) == ["checkly"]


@pytest.mark.fault("H26")
@pytest.mark.parametrize(
    "url",
    ["http://api.example.com", "ftp://127.0.0.1", "https://user:pw@api.example.com", "https://x.example?key=1", "nonsense"],
)
def test_a_key_never_goes_to_a_url_that_is_not_safe(url: str) -> None:
    with pytest.raises(SettingsError, match="CHECKLY_API_URL") as caught:
        resolved({**CHECKLY, "CHECKLY_API_URL": url}).configured()
    assert "pw" not in str(caught.value)


def test_plain_http_is_accepted_on_loopback() -> None:
    assert list(resolved({**CHECKLY, "CHECKLY_API_URL": "http://127.0.0.1:8080/checkly"}).configured()) == ["checkly"]


@pytest.mark.fault("X1")
def test_secrets_are_never_shown() -> None:
    shown = {row.setting.name: row.shown for row in resolved({"CHECKLY_API_KEY": "very-secret"}).rows()}
    assert shown["CHECKLY_API_KEY"] == "***"
    assert shown["CHECKLY_ACCOUNT_ID"] == "-"
    assert "very-secret" not in str(shown)
