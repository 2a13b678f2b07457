"""Where a provider's requests go, what credentials they carry, and what of that may be shown. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from urllib.parse import quote, urlencode, urlsplit

from pipelines.errors import RejectedError, SettingsError
from pipelines.providers.spec import Provider
from pipelines.settings import LOOPBACK

_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_SHORTEST_SECRET = 4  # shorter values would blot out half of every text


@dataclass(frozen=True)
class Target:
    """One address to ask. `shown` is for landed rows, `where` for error sentences; only `url` may hold a credential."""

    url: str = field(repr=False)
    shown: str
    where: str


class Origin:
    """The one host that a provider's client talks to, with its credentials."""

    def __init__(self, provider: Provider, settings: Mapping[str, str]) -> None:
        """Raises SettingsError naming the setting whose value cannot be used."""
        self._provider = provider
        self.base = _base_url(provider, settings)
        self._query = _filled(provider.auth.query, settings)
        self._secrets = {settings[one.name] for one in provider.settings if one.secret and settings.get(one.name)}
        self.headers = _filled(provider.auth.headers, settings)
        self.host = urlsplit(self.base).hostname or ""
        self.refusal = "check " + (" and ".join(one.name for one in provider.settings if one.secret and one.required) or "its settings")

    def renewed(self, settings: Mapping[str, str]) -> Origin | None:
        """The same address with the credentials of these settings; None when they are no others, or the address is another.

        Raises SettingsError."""
        fresh = Origin(self._provider, settings)
        if fresh.base != self.base or (fresh.headers, fresh._query) == (self.headers, self._query):
            return None
        fresh._secrets |= self._secrets
        return fresh

    def target(self, path: str, params: Iterable[tuple[str, str]], secret_params: Iterable[tuple[str, str]]) -> Target:
        """The address of `path` below the base URL. Raises RejectedError for a path that would leave it."""
        secret = [*self._query.items(), *secret_params]
        self._secrets.update(value for _, value in secret)
        where = f"{self._provider.name} {self.redacted(quote(path, safe=_PATH_SAFE))}"
        if not path.startswith("/") or {".", ".."} & set(path.split("/")):
            raise RejectedError(f"{where} is no path of this API")
        public = list(params)
        address = self.base + quote(path, safe=_PATH_SAFE)
        return Target(url=_with_query(address, [*public, *secret]), shown=self.redacted(_with_query(address, public)), where=where)

    def redacted(self, text: str) -> str:
        """The text without any credential of ours, should a server have sent it back."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text


def host_of(location: str) -> str:
    """The host of a Location header for an error sentence: never its path or query."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return host if host and host.isascii() and host.replace("-", "").replace(".", "").isalnum() else "another address"


def _base_url(provider: Provider, settings: Mapping[str, str]) -> str:
    url = settings.get(provider.url_setting) or ""
    name = provider.url_setting
    if not url:
        names = _fields(provider.base_url)
        for missing in (one for one in names if not settings.get(one)):
            raise SettingsError(f"{provider.name}: {missing} is missing")
        url = provider.base_url.format_map(settings)
        name = " and ".join(names) or name
    try:
        parts = urlsplit(url)
        is_plain = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_plain = False
    if not is_plain or not url.isascii() or not url.isprintable() or set(" ?#@\\") & set(url):
        raise SettingsError(f"{provider.name}: {name} does not make a plain URL like https://host")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise SettingsError(f"{provider.name}: {name} must be https; http is for loopback hosts only")
    return url.rstrip("/")


def _filled(templates: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The templates with their settings; one that names an unset (optional) setting is left out."""
    filled = {}
    for header, template in templates.items():
        names = _fields(template)
        if not all(settings.get(name) for name in names):
            continue
        for name in names:
            if not (settings[name].isascii() and settings[name].isprintable()) or settings[name] != settings[name].strip():
                raise SettingsError(f"{name} holds a character that no credential has")
        filled[header] = template.format_map(settings)
    return filled


def _fields(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _with_query(address: str, params: list[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(params)}" if params else address
