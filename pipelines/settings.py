"""The only reader of the environment: environment first, then `.env` in the working directory, then the default.

Provider settings are declared by the providers; this module resolves and checks them. It opens no file but `.env`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from pipelines.errors import SettingsError
from pipelines.providers.spec import Provider, Setting

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that plain http may go to. Named one by one: what the standard library calls loopback differs between Python versions."""

HOUSE_SETTINGS: tuple[Setting, ...] = (
    Setting("RESULTHOUSE_HOME", "folder of all state", default="./data"),
    Setting("RESULTHOUSE_LAKE", "folder where Parquet lands (default: lake in the home)"),
    Setting("RESULTHOUSE_WAREHOUSE", "the published DuckDB file (default: warehouse.duckdb in the home)"),
    Setting("RESULTHOUSE_PUBLISH_MODE", "file mode of the published file", default="0440"),
    Setting("RESULTHOUSE_REPORT", "the HTML report (default: report.html in the home)"),
    Setting("RESULTHOUSE_START_DAYS", "how far back the first sync of a scope goes, in days", default="7"),
    Setting("RESULTHOUSE_LOOKBACK_HOURS", "how far back a sync lists again for late or changed results", default="24"),
    Setting("RESULTHOUSE_REVIEW_DAYS", "how long an Applitools `unresolved` stays open for a later review", default="14"),
    Setting("RESULTHOUSE_KEEP_BODIES", "`on` keeps every answer byte by byte, secrets and all, in private/bodies", default="off"),
)


@dataclass(frozen=True)
class Value:
    """One resolved setting: its value (None when unset) and where it came from."""

    setting: Setting
    value: str | None
    source: str

    @property
    def shown(self) -> str:
        """The value for eyes: secrets are masked."""
        if self.value is None:
            return "-"
        return "***" if self.setting.secret else self.value


@dataclass(frozen=True)
class Settings:
    """All settings, resolved and checked."""

    values: Mapping[str, str]
    sources: Mapping[str, str]
    home: Path
    lake: str
    warehouse: Path
    publish_mode: int
    report: Path
    start: timedelta
    lookback: timedelta
    review: timedelta
    keeps_bodies: bool = False
    providers: Mapping[str, Provider] = field(default_factory=dict)

    def provider_settings(self, provider: Provider) -> dict[str, str]:
        """The provider's own settings that have a value."""
        return {s.name: self.values[s.name] for s in provider.settings if self.values.get(s.name)}

    def is_configured(self, provider: Provider) -> bool:
        """True when every required setting has a value. Raises SettingsError when only some have one, or one is unusable."""
        required = [s.name for s in provider.settings if s.required]
        missing = [name for name in required if not self.values.get(name)]
        if len(missing) == len(required):
            return False
        if missing:
            raise SettingsError(f"{provider.title} is only half configured: {', '.join(missing)} is not set.")
        url = self.values.get(provider.url_setting)
        if url:
            check_url(provider.url_setting, url)
        problem = provider.check_settings(self.provider_settings(provider))
        if problem:
            raise SettingsError(problem)
        return True

    def configured(self, names: tuple[str, ...] = ()) -> dict[str, Provider]:
        """The configured providers among those named (all when none is named).

        Raises SettingsError when there is none, when a named one is not configured, or when settings are unusable.
        """
        chosen: dict[str, Provider] = {}
        for name in names:
            if name not in self.providers:
                raise SettingsError(f"There is no provider {name!r}: choose from {', '.join(self.providers)}.")
        for name, provider in self.providers.items():
            if names and name not in names:
                continue
            if self.is_configured(provider):
                chosen[name] = provider
            elif names:
                needed = ", ".join(s.name for s in provider.settings if s.required)
                raise SettingsError(f"{provider.title} is not configured: set {needed}.")
        if not chosen:
            needed = "; ".join(f"{p.title}: {', '.join(s.name for s in p.settings if s.required)}" for p in self.providers.values())
            raise SettingsError(f"No provider is configured. Set at least one of: {needed}.")
        return chosen

    def rows(self) -> Iterator[Value]:
        """Every setting with its value and source, house settings first."""
        for setting in (*HOUSE_SETTINGS, *(s for p in self.providers.values() for s in p.settings)):
            value = self.values.get(setting.name)
            yield Value(setting, value, self.sources.get(setting.name, "not set"))


def load_settings(
    providers: Mapping[str, Provider],
    *,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Resolve every setting. Raises SettingsError for an unusable value; providers are checked when they are used."""
    environment = dict(os.environ) if environ is None else environ
    file_values = _read(dotenv) if dotenv else {}
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for setting in (*HOUSE_SETTINGS, *(s for p in providers.values() for s in p.settings)):
        for source, found in (
            ("environment", environment.get(setting.name)),
            (".env", file_values.get(setting.name)),
            ("default", setting.default),
        ):
            if found:
                values[setting.name], sources[setting.name] = found, source
                break
    home = _place("RESULTHOUSE_HOME", values)
    for name, default in (
        ("RESULTHOUSE_LAKE", home / "lake"),
        ("RESULTHOUSE_WAREHOUSE", home / "warehouse.duckdb"),
        ("RESULTHOUSE_REPORT", home / "report.html"),
    ):
        if name not in values:
            values[name], sources[name] = str(default), "default"
    return Settings(
        values=values,
        sources=sources,
        home=home,
        lake=values["RESULTHOUSE_LAKE"] if "://" in values["RESULTHOUSE_LAKE"] else str(_place("RESULTHOUSE_LAKE", values)),
        warehouse=_place("RESULTHOUSE_WAREHOUSE", values, is_file=True),
        publish_mode=_mode(values["RESULTHOUSE_PUBLISH_MODE"]),
        report=_place("RESULTHOUSE_REPORT", values, is_file=True),
        start=timedelta(days=_number("RESULTHOUSE_START_DAYS", values)),
        lookback=timedelta(hours=_number("RESULTHOUSE_LOOKBACK_HOURS", values)),
        review=timedelta(days=_number("RESULTHOUSE_REVIEW_DAYS", values)),
        keeps_bodies=_flag("RESULTHOUSE_KEEP_BODIES", values),
        providers=providers,
    )


def check_url(name: str, url: str) -> None:
    """Raises SettingsError unless the URL is https, or http to a loopback host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("http", "https"):
        raise SettingsError(f"{name} is not an http(s) URL.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(f"{name} must hold no user, password, query or fragment.")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise SettingsError(f"{name} must be https: plain http is accepted for loopback hosts only.")


def _read(dotenv: Path) -> dict[str, str]:
    """What `.env` sets. Its text, which may hold keys, is in no error."""
    if dotenv.is_symlink() and not dotenv.exists():
        raise SettingsError(f"{dotenv} is a link that leads nowhere.")
    try:
        return {name: value for name, value in dotenv_values(dotenv, interpolate=False).items() if value}
    except OSError as error:
        raise SettingsError(f"{dotenv} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise SettingsError(f"{dotenv} cannot be read: it is not UTF-8 text.") from None


def _place(name: str, values: Mapping[str, str], *, is_file: bool = False) -> Path:
    """A folder or file as an absolute path. A link in a file's place is not resolved: the file takes the link's place, what it
    points at stays."""
    try:
        path = Path(values[name]).expanduser()
        path = path.parent.resolve() / path.name if is_file and path.name not in ("", "..") else path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()  # the system says here whether it is too long, or behind a folder that is not ours
    except (OSError, RuntimeError, ValueError):  # pathlib says RuntimeError for links in a circle and unknown users
        raise SettingsError(f"{name} cannot be a place for files: {values[name]!r}.") from None
    return path


def _flag(name: str, values: Mapping[str, str]) -> bool:
    if values[name] not in ("on", "off"):
        raise SettingsError(f"{name} must be on or off, not {values[name]!r}.")
    return values[name] == "on"


def _number(name: str, values: Mapping[str, str]) -> float:
    try:
        number = float(values[name])
    except ValueError:
        raise SettingsError(f"{name} must be a number, not {values[name]!r}.") from None
    if not 0 <= number <= 3650:
        raise SettingsError(f"{name} must be between 0 and 3650, not {values[name]}.")
    return number


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0o400 <= mode <= 0o777 or not mode & 0o400:
        raise SettingsError(f"RESULTHOUSE_PUBLISH_MODE must be an octal file mode like 0440, not {text!r}.")
    return mode
