"""The one door to the network: GET a JSON document, politely, within bounds, or say in one sentence why not.

What an answer means is decided here; how it is read, repeated, paced and addressed is in the modules beside. Paging,
entities and landing are not known here.

Exceptions of httpx never leave this module, not even as a cause: their text holds URLs, and some providers' keys are in
the URL.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Self

import httpx

from pipelines.clock import Clock
from pipelines.errors import (
    DeferredError,
    FetchError,
    GoneError,
    HaltedError,
    RefusedError,
    RejectedError,
    ResulthouseError,
    SettingsError,
)
from pipelines.extract import body, retry
from pipelines.extract.limits import DEFAULT_LIMITS, Limits
from pipelines.extract.ratelimit import RateLimiter
from pipelines.extract.target import Origin, Target, host_of
from pipelines.providers.spec import Provider, Reply

_log = logging.getLogger(__name__)

Transport = httpx.AsyncBaseTransport
"""What replaces the network in tests; other rooms do not import httpx."""

_SKEW_S = 60.0  # a Date has whole seconds, and an answer is on its way for some

_HEADERS = {"accept": "application/json", "accept-encoding": body.ACCEPT_ENCODING, "user-agent": "resulthouse"}

# At INFO and DEBUG these write every URL and header.
_HTTPCORE = ("connection", "http11", "http2", "proxy", "socks")
_TALKATIVE = ("httpx", "httpcore", *(f"httpcore.{name}" for name in _HTTPCORE))


@dataclass(frozen=True)
class _Answer:
    """What came back of one try.

    `fault` says why it is no whole answer, `unread_bytes` that its body was refused before its end, `untrusted` why the
    certificate was refused. `headers` are the harmless ones, without credentials.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    fault: str | None = None
    unread_bytes: int | None = None
    untrusted: str | None = None
    redirected_to: str = ""


@dataclass(frozen=True)
class _Again:
    """One try failed in a way that may pass. `refusal` is the error when it was a whole answer of no use."""

    reason: str
    status: int | None = None
    asked_s: float | None = None
    refusal: RefusedError | None = None


class HttpClient:
    """A provider's HTTP API within one event loop (`pipelines.providers.spec.Client`); an async context manager.

    `requests` counts what was sent, retries too. `ahead_s` is how far this machine's clock is ahead of the server's, negative when
    it is behind, 0 as long as they agree within a minute or the server does not say.

    Requests go to the base URL's host only: redirects are not followed, no proxy or netrc is taken from the environment. Raises
    SettingsError when base URL or a credential cannot be used.

    `reread` gives the settings anew: it is asked once when a credential that has worked is refused (401), for it may have been rotated.
    `keep` is given every decoded body of a 2xx answer, also of one that cannot be used.
    """

    def __init__(
        self,
        provider: Provider,
        settings: Mapping[str, str],
        *,
        clock: Clock,
        rng: random.Random,
        limits: Limits = DEFAULT_LIMITS,
        transport: httpx.AsyncBaseTransport | None = None,
        reread: Callable[[], Mapping[str, str]] | None = None,
        keep: Callable[[bytes], None] | None = None,
    ) -> None:
        self.requests = 0
        self.ahead_s = 0.0
        self._provider = provider
        self._clock = clock
        self._rng = rng
        self._limits = limits
        self._transport = transport
        self._reread = reread
        self._keep = keep
        self._origin = Origin(provider, settings)
        if _address(self._origin.base, self._origin.host) is None:
            raise SettingsError(f"{provider.name}: {provider.url_setting} is no URL")
        self._limiter = RateLimiter(provider.rate_limit, clock)
        self._slots = asyncio.Semaphore(provider.rate_limit.concurrency)
        self._http: Transport | None = None
        self._timeouts = httpx.Timeout(limits.read_s, connect=limits.connect_s, pool=limits.total_s).as_dict()
        self._has_succeeded = False
        self._ends_at = math.inf
        self._least_ahead_s = math.inf

    async def __aenter__(self) -> Self:
        self._ends_at = self._clock.monotonic() + self._limits.run_s
        for name in _TALKATIVE:
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        concurrency = self._provider.rate_limit.concurrency
        connections = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._http = self._transport or httpx.AsyncHTTPTransport(limits=connections, trust_env=False)
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._opened().__aexit__(kind, error, trace)

    def _opened(self) -> Transport:
        if self._http is None:
            raise RuntimeError("HttpClient is used outside of its `async with`")
        return self._http

    def remaining(self, kind: str) -> int | None:
        """Requests left in the current rate-limit window of `kind`; None when the provider did not say."""
        return self._limiter.remaining(kind)

    async def get(
        self,
        path: str,
        *,
        params: Iterable[tuple[str, str]] = (),
        secret_params: Iterable[tuple[str, str]] = (),
        kind: str = "",
    ) -> Reply:
        """Fetch one JSON object or list. `secret_params` are sent, but appear nowhere else.

        Raises HaltedError (401; 403 before anything succeeded; an untrusted certificate), RejectedError (403 later,
        with rule `forbidden`; other 4xx; redirects), GoneError (404, 410), RefusedError (no usable document) and
        DeferredError (tries used up, asked to wait longer than the limit, or the time for this sync is over).
        """
        public, secret = tuple(params), tuple(secret_params)

        @cache
        def target_at(origin: Origin) -> Target:
            return origin.target(path, public, secret)

        def addressed() -> tuple[Origin, Target]:
            return self._origin, target_at(self._origin)

        _, target = addressed()
        unusable = 0
        last = _Again("no try")
        for tried in range(1, self._limits.tries + 1):
            outcome = await self._try(addressed, kind)
            if isinstance(outcome, Reply):
                self._has_succeeded = True
                return outcome
            if isinstance(outcome, FetchError):
                raise outcome
            last = outcome
            if last.refusal is not None:
                unusable += 1
                if unusable > self._limits.unusable_retries:
                    raise last.refusal
            wait_s = retry.wait_s(last.asked_s, tried, self._limits, self._rng)
            if last.status == 429:
                self._limiter.block(kind, wait_s)
            if wait_s > self._limits.wait_s:
                raise self._deferred_for(target, wait_s, last.status)
            if tried < self._limits.tries:
                _log.info("%s: %s, try %d, next in %.1f s", target.where, last.reason, tried, wait_s)
                if last.status != 429:  # that one waits with all others of its kind
                    await self._sleep(target, wait_s)
        raise DeferredError(
            f"{target.where}: given up after {self._limits.tries} tries, the last one ended with {last.reason}",
            status=last.status,
        )

    def _is_rotated(self, refused: Origin) -> bool:
        """Whether there are other credentials by now than those refused, for the same address. They are looked for once in a sync."""
        if self._origin is refused and self._has_succeeded and self._reread is not None:
            reread, self._reread = self._reread, None
            try:
                self._origin = refused.renewed(reread()) or refused
            except ResulthouseError as error:
                _log.warning("%s: the credentials were refused, and others cannot be used: %s", self._provider.name, error)
        return self._origin is not refused

    async def _try(self, addressed: Callable[[], tuple[Origin, Target]], kind: str) -> Reply | FetchError | _Again:
        """Send once, as soon as the rate limit allows, with the credentials of that moment."""
        wait_s = 0.0
        while True:
            await self._sleep(addressed()[1], wait_s)
            async with self._slots:  # not held while waiting: other kinds may go on
                origin, target = addressed()
                url = _address(target.url, origin.host)
                if url is None:
                    return RejectedError(f"{target.where} is no address of this API")
                wait_s = self._limiter.reserve(kind)
                if wait_s <= 0:
                    answer = _Answer()
                    try:
                        answer = await self._exchange(url, origin.headers)
                    finally:
                        self._limiter.settle(kind, answer.headers)
                    if answer.status == 401 and self._is_rotated(origin):
                        return _Again("credentials that were rotated", answer.status)
                    return self._verdict(target, answer)
            if wait_s > self._limits.wait_s:
                return self._deferred_for(target, wait_s, None)

    async def _sleep(self, target: Target, seconds: float) -> None:
        """Wait, unless the time for this sync would be over then. Raises DeferredError."""
        if self._clock.monotonic() + seconds >= self._ends_at:
            raise DeferredError(f"{target.where}: the {self._limits.run_s / 60:.0f} minutes for one sync are over: the next one goes on")
        if seconds > 0:
            await self._clock.sleep(seconds)

    async def _exchange(self, url: httpx.URL, credentials: Mapping[str, str]) -> _Answer:
        """One request and its whole answer within the total deadline; never raises what httpx raises."""
        http = self._opened()
        self.requests += 1
        status: int | None = None
        headers: Mapping[str, str] = {}
        try:
            async with asyncio.timeout(self._limits.total_s):
                async with aclosing(await http.handle_async_request(self._request(url, credentials))) as response:
                    status = response.status_code
                    headers = self._harmless(response.headers)
                    self._compare_clocks(headers)
                    if response.is_success:
                        return _Answer(status, headers, await body.read(response, self._limits))
                    return _Answer(status, headers, redirected_to=response.headers.get("location", ""))
        except TimeoutError:
            return _Answer(status, headers, fault=f"no whole answer within {self._limits.total_s:g} s")
        except httpx.TransportError as error:
            return _Answer(status, headers, fault=type(error).__name__, untrusted=retry.certificate_fault(error))
        except body.DamagedBodyError as error:
            return _Answer(status, headers, fault=str(error))
        except (body.UnusableBodyError, body.OversizedBodyError) as error:
            size = error.body_bytes if isinstance(error, body.OversizedBodyError) else 0
            return _Answer(status, headers, fault=str(error), unread_bytes=size)

    def _request(self, url: httpx.URL, credentials: Mapping[str, str]) -> httpx.Request:
        """For the transport itself: redirects, cookies, proxies and netrc, which httpx's client adds, are not wanted, and cost a tenth."""
        return httpx.Request("GET", url, headers={**_HEADERS, **credentials}, extensions={"timeout": self._timeouts})

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        ahead_s = retry.ahead_s(headers, self._clock.now())
        if ahead_s is None or ahead_s >= self._least_ahead_s:
            return
        self._least_ahead_s = ahead_s
        was_told, self.ahead_s = self.ahead_s != 0, ahead_s if abs(ahead_s) > _SKEW_S else 0.0
        if self.ahead_s and not was_told:
            side = "ahead of" if ahead_s > 0 else "behind"
            _log.warning("%s: the clock of this machine is %.0f s %s the server's", self._provider.name, abs(ahead_s), side)

    def _verdict(self, target: Target, answer: _Answer) -> Reply | FetchError | _Again:
        """What an answer means: a document, an error for good, or another try."""
        status, where = answer.status, target.where
        if answer.untrusted is not None:
            return HaltedError(f"{where}: the server's certificate is not trusted: {answer.untrusted}")
        if answer.unread_bytes is not None:
            return self._refused(target, answer, answer.fault or "", answer.unread_bytes)
        if answer.fault is not None or status is None:
            return _Again(answer.fault or "no answer")
        if retry.is_retried(status):
            return _Again(f"status {status}", status, retry.asked_wait_s(answer.headers, self._clock.now()))
        if 200 <= status < 300:
            return self._reply(target, answer, status)
        if 300 <= status < 400:
            host = self._origin.redacted(host_of(answer.redirected_to))
            return RejectedError(f"{where}: redirects to {host} ({status}), which is not followed", status=status)
        if status == 401 or (status == 403 and not self._has_succeeded):
            return HaltedError(f"{self._provider.name} refused the credentials ({status}): {self._origin.refusal}", status=status)
        if status in (404, 410):
            return GoneError(f"{where}: does not exist ({status})", status=status)
        rejected = RejectedError(f"{where}: the request was refused ({status})", status=status)
        if status == 403:
            rejected.rule = "forbidden"
        return rejected

    def _reply(self, target: Target, answer: _Answer, status: int) -> Reply | _Again:
        if self._keep is not None:
            self._keep(answer.content)
        try:  # 204 says that there are no rows: where a list is expected that is an answer, elsewhere it is none
            document, repairs = ([], ()) if status == 204 else body.document(answer.content)
        except body.UnusableBodyError as error:
            reason = str(error)
            return _Again(reason, status, refusal=self._refused(target, answer, reason, len(answer.content)))
        if status != 204 and not body.is_json_type(answer.headers.get("content-type", "")):
            repairs = (*repairs, "content_type")
        return Reply(
            status=status,
            document=document,
            body_sha256=hashlib.sha256(answer.content).hexdigest(),
            body_bytes=len(answer.content),
            request_url=target.shown,
            fetched_at=self._clock.now(),
            headers=answer.headers,
            repairs=repairs,
        )

    def _refused(self, target: Target, answer: _Answer, reason: str, size: int) -> RefusedError:
        """The hash is that of the whole decoded body; there is none for a body that was not read to its end."""
        return RefusedError(
            f"{target.where}: no usable answer: {reason}",
            status=answer.status,
            body_sha256="" if answer.unread_bytes is not None else hashlib.sha256(answer.content).hexdigest(),
            body_bytes=size,
            content_type=answer.headers.get("content-type", ""),
        )

    def _deferred_for(self, target: Target, wait_s: float, status: int | None) -> DeferredError:
        return DeferredError(
            f"{target.where}: the rate limit asks to wait {wait_s:.0f} s, longer than {self._limits.wait_s:.0f} s",
            status=status,
        )

    def _harmless(self, headers: httpx.Headers) -> dict[str, str]:
        return {
            name: self._origin.redacted(value)[:200]
            for name, value in headers.items()
            if name in ("date", "content-type", "retry-after") or name.startswith("x-ratelimit-")
        }


def _address(url: str, host: str) -> httpx.URL | None:
    """The URL as httpx reads it, if that is an address of the host."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    return address if address.raw_host == host.encode("ascii") else None
