"""Provider -> lake: runs a provider's crawl, masks, compares and lands what is new, and writes what is covered.

Every event of the crawl ends in the lake: a payload lands or is unchanged, what was missed is written down as due, gone or refused.
Nothing here knows a provider, and nothing reads the warehouse.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from pipelines.clock import Clock
from pipelines.errors import FetchError, GoneError, RefusedError
from pipelines.extract.client import HttpClient, Transport
from pipelines.flows.locks import provider_lock
from pipelines.jsontext import dump
from pipelines.lake.history import LakeHistory, read_history, read_refused_again
from pipelines.lake.private import Private
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow, Refused, Sync, Window, payload_sha256
from pipelines.providers.spec import Covered, Crawl, Endpoint, Event, Missed, Payload, Provider, State, Waiting
from pipelines.settings import Settings

FLUSH_BYTES = 32 * 1024 * 1024
FLUSH_S = 30.0
"""How much masked JSON is held, and how long, before it lands: bounds memory and what a crash loses, not correctness.
Every landing is a file per endpoint and day, so the smaller these are, the more small files the lake has."""

PLAUSIBLE_FROM = datetime(2010, 1, 1, tzinfo=UTC)


@dataclass
class PullReport:
    """What one sync of one provider did. `error` is None or one redacted line."""

    provider: str
    requests: int = 0
    landed: int = 0
    unchanged: int = 0
    open: int = 0
    detail_pending: int = 0
    error: str | None = None
    landed_by_endpoint: dict[str, int] = field(default_factory=dict)
    bytes_by_endpoint: dict[str, int] = field(default_factory=dict)


def new_sync_id(now: datetime, rng: random.Random) -> str:
    """A sortable id of a sync: UTC time and eight random hex digits."""
    return f"{now:%Y%m%dT%H%M%S}-{rng.getrandbits(32):08x}"


async def pull(
    provider: Provider,
    settings: Settings,
    clock: Clock,
    *,
    sync_id: str,
    since: datetime | None = None,
    until: datetime | None = None,
    transport: Transport | None = None,
    rng: random.Random | None = None,
    progress: Callable[[PullReport], None] = lambda report: None,
    reread: Callable[[], Settings] | None = None,
) -> PullReport:
    """Sync one provider into the lake. `reread` gives the settings as they are by now, should the credentials be rotated meanwhile.

    Returns a report whose `error` says what failed; what was fetched has landed all the same. Raises BusyError when the provider is being
    synced by another process, and SettingsError when the lake belongs to another account.
    """
    rng = rng or random.Random()  # noqa: S311 - jitter of waits, no secret
    lake, private = Lake(settings.lake, settings.home), Private(settings.home)
    values = settings.provider_settings(provider)
    _check_account(lake, provider, values)
    started_at = clock.now()
    own = _secrets(provider, values)

    def renewed() -> Mapping[str, str]:
        fresh = (reread() if reread else settings).provider_settings(provider)
        _check_account(lake, provider, fresh)
        landing.redactor = Redactor(private.mask_key(), [*own, *_secrets(provider, fresh)])
        return fresh

    report = PullReport(provider.name)
    with provider_lock(settings.home, provider):
        history = read_history(lake, provider, started_at, settings.review, private.get)
        if _give_up(provider, lake, history, started_at, sync_id):
            read_refused_again(history, lake, provider)
        keep = private.keep_body if settings.keeps_bodies else None
        async with HttpClient(provider, values, clock=clock, rng=rng, transport=transport, reread=renewed, keep=keep) as client:
            landing = _Landing(provider, lake, history, Redactor(private.mask_key(), own), sync_id, clock, report, client)
            crawl = Crawl(
                client=client,
                history=history,
                now=started_at,
                since=since,
                until=until,
                lookback=settings.lookback,
                start=settings.start,
                settings=values,
                concurrency=provider.rate_limit.concurrency,
            )
            try:
                async for event in provider.discover(crawl):
                    landing.take(event)
                    report.requests = client.requests
                    progress(report)
                landing.note_lists_read_again()
            except FetchError as error:
                landing.problem(error)
            finally:
                report.requests = client.requests
                landing.flush()
        landing.drop_tokens(private)
        ended_at = clock.now()
        if landing.leaves_open or report.error:
            report.open = read_history(lake, provider, ended_at, settings.review, private.get).open_count()
        else:  # what was read at the start still says which entities are open, less those that are final now
            report.open = replace(history, now=ended_at).open_count(landing.landed)
        lake.write_sync(
            Sync(
                sync_id=sync_id,
                provider=provider.name,
                started_at=started_at,
                ended_at=ended_at,
                requests=report.requests,
                landed=report.landed,
                unchanged=report.unchanged,
                error=report.error,
                open=report.open,
                detail_pending=report.detail_pending,
            )
        )
        lake.compact(provider.name, sync_id, ended_at)
    return report


class _Landing:
    """Takes the events of one crawl to the lake."""

    def __init__(
        self,
        provider: Provider,
        lake: Lake,
        history: LakeHistory,
        redactor: Redactor,
        sync_id: str,
        clock: Clock,
        report: PullReport,
        client: HttpClient,
    ) -> None:
        self.provider, self.lake, self.history, self.redactor, self.client = provider, lake, history, redactor, client
        self.sync_id, self.clock, self.report = sync_id, clock, report
        self._flushed_at = clock.monotonic()
        self._endpoints: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in provider.endpoints}
        self._rows: dict[str, list[RawRow]] = {}
        self._bytes = 0
        self._names: dict[str, list[str]] = {}
        self._covered: list[Covered] = []
        self._refused: list[Refused] = []
        self._shas: dict[tuple[str, str], str] = {}
        self._runs: dict[str, State] = {}
        self._dates: dict[tuple[str, str], date | None] = {}
        self._read: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()
        self._problems = 0
        self._first_problem = ""
        self.leaves_open = False
        """Something was written that is to be fetched again, or about what could not be fetched."""

    @property
    def landed(self) -> Collection[tuple[str, str]]:
        """Endpoint and id of every entity of which a new version was taken."""
        return self._shas.keys()

    def take(self, event: Event) -> None:
        """One event of the crawl."""
        if isinstance(event, Payload):
            self._payload(event)
        elif isinstance(event, Covered):
            self._covered.append(event)
            self._read.add((event.endpoint, event.scope))
        elif isinstance(event, Missed):
            self._missed(event)
        elif isinstance(event, Waiting):
            self.report.detail_pending += event.count
        if self._bytes >= FLUSH_BYTES or self.clock.monotonic() - self._flushed_at >= FLUSH_S:
            self.flush()

    def problem(self, error: Exception) -> None:
        """Something that makes this sync incomplete: the first one is said, the others are counted."""
        self._problems += 1
        if self._problems == 1:
            self._first_problem = self.redactor.redact_line(str(error))
        more = f" (and {self._problems - 1} more)" if self._problems > 1 else ""
        self.report.error = self._first_problem + more

    def flush(self) -> None:
        """Write down what was missed, land what is held, then say what is covered by it: in this order, so that a crash in between
        leaves nothing that looks finished and is not. Endpoints land in reverse: parts before the whole that would call them done."""
        self.leaves_open |= bool(self._refused) or any(row.state != "final" for rows in self._rows.values() for row in rows)
        if self._refused:
            self.lake.refuse(self.provider.name, self._refused, self.sync_id)
            self._refused = []
        for endpoint in reversed(self._endpoints):
            rows = self._rows.get(endpoint)
            if rows:
                names = self.lake.land(self.provider.name, endpoint, rows, self.sync_id)
                self._names.setdefault(endpoint, []).extend(names)
        self._rows, self._bytes, self._flushed_at = {}, 0, self.clock.monotonic()
        windows: dict[str, list[Window]] = {}
        latest = self.history.now - timedelta(seconds=max(0.0, self.client.ahead_s))  # by the provider's clock: what it has lived so far
        for covered in self._covered:
            files = tuple(sorted(self._names.get(covered.endpoint, ())))
            if covered.from_at <= latest:
                window = Window(covered.scope, covered.from_at, min(covered.to_at, latest), files)
                windows.setdefault(covered.endpoint, []).append(window)
        for endpoint, each in windows.items():
            self.lake.write_windows(self.provider.name, endpoint, each, self.sync_id)
        self._covered = []

    def note_lists_read_again(self) -> None:
        """The crawl came to its end: write down which lists (of a scope, or of an endpoint as a whole) failed before and were read now."""
        for endpoint, scope in sorted(self._read - self._failed):
            if self.history.has_failed(endpoint, scope):
                self._refused.append(Refused(endpoint, scope, "listed", self.history.now))

    def drop_tokens(self, private: Private) -> None:
        """Forget the read tokens of runs that are closed now."""
        for run_id, state in self._runs.items():
            if state == "final":
                private.drop(run_id)

    def _payload(self, event: Payload) -> None:
        self._read.add((event.endpoint, ""))
        endpoint = self._endpoints[event.endpoint]
        document = self.redactor.redact(event.document, endpoint.tree)
        text = self.redactor.without_own(dump(document))
        sha = payload_sha256(text)
        place = (event.endpoint, event.entity_id)
        state = endpoint.state(document)
        if event.endpoint == self.provider.tracked_endpoint:
            self._runs[event.entity_id] = state
        if sha == (self._shas.get(place) or self.history.last_sha(*place)):
            self.report.unchanged += 1
            return
        self._shas[place] = sha
        if place not in self._dates:
            known = event.entity_id in self.history.landed(event.endpoint)
            self._dates[place] = self.history.window_date(*place) if known else plausible_date(event.event_at, event.reply.fetched_at)
        reply = event.reply
        self._rows.setdefault(event.endpoint, []).append(
            RawRow(
                entity_id=event.entity_id,
                parent_id=event.parent_id,
                window_date=self._dates[place],
                fetched_at=reply.fetched_at,
                http_status=reply.status,
                request_url=reply.request_url,
                payload=text,
                body_sha256=reply.body_sha256,
                redaction_version=REDACTION_VERSION,
                state=state,
                repairs=json.dumps(reply.repairs) if reply.repairs else None,
                event_at=event.event_at,
            )
        )
        self.report.landed += 1
        self.report.landed_by_endpoint[event.endpoint] = self.report.landed_by_endpoint.get(event.endpoint, 0) + 1
        self.report.bytes_by_endpoint[event.endpoint] = self.report.bytes_by_endpoint.get(event.endpoint, 0) + len(text)
        self._bytes += len(text)

    def _missed(self, event: Missed) -> None:
        self._failed.add((event.endpoint, event.entity_id))
        error = event.error
        rule = error.rule if isinstance(error, FetchError) else "failed"
        if not isinstance(error, GoneError):
            self.problem(error)
        if rule == "unfetched":
            rule = "due"  # `unfetched` is said only after 7 days
        refused = error if isinstance(error, RefusedError) else None
        self._refused.append(
            Refused(
                endpoint=event.endpoint,
                entity_id=event.entity_id,
                parent_id=event.parent_id,
                rule=rule,
                error=self.redactor.redact_line(str(error)),
                http_status=error.status if isinstance(error, FetchError) else None,
                body_sha256=refused.body_sha256 if refused else None,
                body_bytes=refused.body_bytes if refused else None,
                content_type=refused.content_type if refused else None,
                event_at=event.event_at,
                seen_at=self.history.now,
            )
        )


def _give_up(provider: Provider, lake: Lake, history: LakeHistory, now: datetime, sync_id: str) -> bool:
    """Entities that ran, or could not be fetched, for 7 days are given up: a dead letter each. True when there was one."""
    closed = [
        Refused(known.endpoint, known.entity_id, rule, now, known.parent_id, why, event_at=known.event_at)
        for rule, why, every in (
            ("stale_running", "still running after 7 days: closed with outcome unknown", history.stale()),
            ("unfetched", "could not be fetched for 7 days: given up", history.overdue()),
        )
        for known in every
    ]
    lake.refuse(provider.name, closed, sync_id)
    return bool(closed)


def _check_account(lake: Lake, provider: Provider, values: Mapping[str, str]) -> None:
    """Raises SettingsError when the lake belongs to another host or account than the settings name."""
    lake.check_account(provider.name, _host(provider, values), " ".join(values.get(name, "") for name in provider.account))


def _secrets(provider: Provider, values: Mapping[str, str]) -> list[str]:
    return [values[setting.name] for setting in provider.settings if setting.secret and setting.name in values]


def _host(provider: Provider, values: Mapping[str, str]) -> str:
    return values.get(provider.url_setting) or provider.base_url.format_map(dict(values))


def plausible_date(event_at: datetime | None, fetched_at: datetime) -> date | None:
    """The UTC date of an event, None when its time is missing or cannot be: the lake's `date=unknown`."""
    if event_at is None or not PLAUSIBLE_FROM <= event_at <= fetched_at + timedelta(days=1):
        return None
    return event_at.astimezone(UTC).date()
