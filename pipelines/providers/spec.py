"""What a provider is, as data: frozen dataclasses, and callables for what is odd.

A provider's folder builds one `PROVIDER = Provider(...)` from these. No HTTP, no files, no SQL here.
Leaves of payloads are declared with the small vocabulary of `pipelines.schemas.leaves`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pipelines.errors import FetchError, HaltedError, RefusedError

if TYPE_CHECKING:  # both cost a second to import, which `query` and `--help` do not have
    import polars as pl

    from pipelines.schemas.leaves import Tree
    from pipelines.schemas.places import Places

Document = Any
"""A parsed JSON value: dict, list, str, int, bool, None, or a number kept as its exact text."""

State = Literal["final", "open", "review"]
"""Whether an entity is fetched again: `final` never, `open` until it ends, `review` while an `unresolved` may be reviewed."""


# --- what is fetched ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """One kind of payload: a lake folder, its documented leaves and how it becomes rows.

    `flatten` takes a payload frame (see `pipelines.transform.decode`) and returns frames by table name.
    `is_summary` marks list rows: their values only fill what a detail lacks.
    `keeps_history`: older versions stay loaded (definitions), instead of being superseded.
    `state` reads the masked document and says whether the entity must be fetched again.
    `places` says where each leaf stands in the warehouse (`pipelines.schemas.places`).
    """

    name: str
    tree: Tree
    flatten: Callable[[pl.DataFrame], dict[str, pl.DataFrame]]
    is_summary: bool = False
    keeps_history: bool = False
    is_partitioned: bool = True
    state: Callable[[Document], State] = lambda document: "final"
    places: Places | None = None


@dataclass(frozen=True)
class Auth:
    """Where credentials go. Values are templates over setting names, e.g. `"Bearer {CHECKLY_API_KEY}"`."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RateLimit:
    """The limit to keep when the provider's headers say nothing: `requests` per `per_s` seconds.

    `kinds`: requests per `per_s` seconds of kinds that have a tighter limit of their own.
    """

    requests: int = 600
    per_s: float = 60.0
    concurrency: int = 4
    kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """One environment variable of a provider. `required` ones together decide whether it is configured."""

    name: str
    meaning: str
    required: bool = False
    secret: bool = False
    default: str | None = None


# --- what a crawl says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """One checked answer: `document` parsed, `body_sha256` of the decoded body, `request_url` without credentials."""

    status: int
    document: Document
    body_sha256: str
    body_bytes: int
    request_url: str
    fetched_at: datetime
    headers: Mapping[str, str]
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Payload:
    """One entity's newest document, to be masked and landed.

    `event_at` decides the date partition at first landing; None or an implausible time means `date=unknown`.
    """

    endpoint: str
    entity_id: str
    document: Document
    reply: Reply
    parent_id: str | None = None
    event_at: datetime | None = None


@dataclass(frozen=True)
class Covered:
    """Everything of `scope` between the instants has been yielded before this."""

    endpoint: str
    scope: str
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True)
class Missed:
    """One entity or scope could not be fetched. `error` is a FetchError or a ResulthouseError; the crawl goes on."""

    endpoint: str
    entity_id: str
    error: Exception
    parent_id: str | None = None
    event_at: datetime | None = None


@dataclass(frozen=True)
class Waiting:
    """`count` details are left for a later sync (rate-limit budget); recorded, not an error."""

    endpoint: str
    count: int


Event = Payload | Covered | Missed | Waiting


@dataclass(frozen=True)
class Known:
    """What the lake knows of an entity: from its last landed version, or from `tracked`/`refused`."""

    endpoint: str
    entity_id: str
    parent_id: str | None
    state: State
    event_at: datetime | None
    first_landed_at: datetime | None
    last_landed_at: datetime | None
    last_polled_at: datetime | None = None


class History(Protocol):
    """What a crawl may ask the lake. Read once when a sync starts."""

    def resume_at(self, endpoint: str, scope: str, floor: datetime | None = None) -> datetime | None:
        """The end of the scope's contiguous coverage, or None when nothing was ever covered. Holes before `floor` are not to be filled."""

    def holes(self, endpoint: str, scope: str) -> Sequence[tuple[datetime, datetime]]:
        """Uncovered spans between the first and the last covered instant."""

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        """Entities of the endpoint with a landed version, by entity id. Cheap to look one up in; not to walk through."""

    def landed_parents(self, endpoint: str) -> Sequence[str]:
        """The parents of the landed entities, each once."""

    def landed_since(self, endpoint: str, instant: datetime, without: Sequence[str] = ()) -> Sequence[Known]:
        """Landed entities whose event is not older than the instant, except those that are final in an endpoint of `without`."""

    def due(self, endpoint: str) -> Sequence[Known]:
        """Entities to fetch again now: open (24 h each sync, then daily, closed after 7 days), in review, tracked and
        never fetched, refused or failed within 7 days."""

    def is_closed(self, endpoint: str, entity_id: str) -> bool:
        """Gone, stale or unfetched for good: not to be fetched any more."""

    def read_token(self, entity_id: str) -> str | None:
        """The private read token of a tracked run, if one was given."""


class Client(Protocol):
    """The only door to the network. Retries, rate limit, deadlines and body checks live behind it."""

    async def get(
        self,
        path: str,
        *,
        params: Iterable[tuple[str, str]] = (),
        secret_params: Iterable[tuple[str, str]] = (),
        kind: str = "",
    ) -> Reply:
        """Fetch one JSON document. `kind` groups requests that share a rate limit. Raises FetchError."""

    def remaining(self, kind: str) -> int | None:
        """Requests left in the current rate-limit window of `kind`, if the provider said so."""


@dataclass(frozen=True)
class Crawl:
    """All that `discover` gets: a client, the lake's history, the clock's instant and the settings."""

    client: Client
    history: History
    now: datetime
    since: datetime | None
    until: datetime | None
    lookback: timedelta
    start: timedelta
    settings: Mapping[str, str]
    concurrency: int = 4

    def window(self, endpoint: str, scope: str, floor: datetime | None = None, *, is_certain: bool = True) -> tuple[datetime, datetime]:
        """From where to where a scope is listed now: `since`, else contiguous coverage minus the lookback, else the start
        days; up to `until`, else now. Before `floor` the provider keeps nothing; where that is not certain it is asked all the same,
        but no hole there is waited for."""
        to_at = min(self.until or self.now, self.now)
        if self.since is not None:
            from_at = self.since
        else:
            resume = self.history.resume_at(endpoint, scope, floor)
            from_at = self.now - self.start if resume is None else min(resume, self.now) - self.lookback
        return max(from_at, floor) if floor is not None and is_certain else from_at, to_at


@dataclass(frozen=True)
class Tracked:
    """A run to fetch that no list endpoint names. `payload` is landed too when the line itself is a payload."""

    endpoint: str
    entity_id: str
    read_token: str | None = None


@dataclass(frozen=True)
class TrackedLine:
    """What one JSON line given to `resulthouse track` registers: runs to fetch, and payloads that it is itself."""

    runs: tuple[Tracked, ...] = ()
    payloads: tuple[tuple[str, str, Document, datetime | None], ...] = ()  # endpoint, entity_id, document, event_at


@dataclass(frozen=True)
class Provider:
    """One provider. `discover` yields events in landing order; list rows before what depends on them.

    `base_url` is a template over setting names (`"https://api.{DD_SITE}"`), `url_setting` the variable that replaces it.
    `account` names the settings that identify the account (hashed in the lake, never stored in clear).
    `parse_tracked` is given for providers without a list endpoint; `tracked_id` is the pattern that its run ids match whole.
    """

    name: str
    title: str
    base_url: str
    url_setting: str
    settings: tuple[Setting, ...]
    auth: Auth
    endpoints: tuple[Endpoint, ...]
    discover: Callable[[Crawl], AsyncIterator[Event]]
    account: tuple[str, ...] = ()
    rate_limit: RateLimit = RateLimit()
    parse_tracked: Callable[[Document], TrackedLine] | None = None
    tracked_endpoint: str | None = None
    tracked_id: str = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
    check_settings: Callable[[Mapping[str, str]], str | None] = lambda settings: None
    schedule: str = "*/15 * * * *"

    @property
    def is_tracked(self) -> bool:
        """True where run ids must be registered because the API cannot list them."""
        return self.tracked_endpoint is not None

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name; KeyError when there is none."""
        for endpoint in self.endpoints:
            if endpoint.name == name:
                return endpoint
        raise KeyError(name)


def refusal(reply: Reply, message: str) -> RefusedError:
    """The error for an answer that is JSON, but of another shape than documented."""
    return RefusedError(
        message,
        status=reply.status,
        body_sha256=reply.body_sha256,
        body_bytes=reply.body_bytes,
        content_type=reply.headers.get("content-type", ""),
    )


async def poll(
    crawl: Crawl, endpoint: str, fetch: Callable[[Crawl, str], Awaitable[tuple[Reply, datetime | None]]]
) -> AsyncIterator[Event]:
    """Fetch every entity of an endpoint that is due and not given up: a Payload each, or a Missed that does not hinder the others.

    `fetch` gives the answer and its `event_at`, or raises FetchError; only HaltedError ends the crawl.
    """

    async def one(known: Known) -> Sequence[Event]:
        try:
            reply, event_at = await fetch(crawl, known.entity_id)
        except HaltedError:
            raise
        except FetchError as error:
            return [Missed(endpoint, known.entity_id, error, event_at=known.event_at)]
        return [Payload(endpoint, known.entity_id, reply.document, reply, event_at=event_at)]

    due = [known for known in crawl.history.due(endpoint) if not crawl.history.is_closed(endpoint, known.entity_id)]
    async for event in bounded((partial(one, known) for known in due), crawl.concurrency):
        yield event


async def bounded(jobs: Iterable[Callable[[], Awaitable[Sequence[Event]]]], concurrency: int) -> AsyncIterator[Event]:
    """Run jobs at most `concurrency` at a time and yield their events as each job ends.

    A job returns its events instead of raising: what it raises is a bug and ends the crawl.
    """
    import asyncio

    pending: set[asyncio.Task[Sequence[Event]]] = set()
    done: set[asyncio.Task[Sequence[Event]]] = set()
    waiting = iter(jobs)
    try:
        while True:
            for job in waiting:
                pending.add(asyncio.ensure_future(job()))
                if len(pending) >= concurrency:
                    break
            if not pending:
                return
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                for event in task.result():
                    yield event
    finally:
        for task in pending:
            task.cancel()
        # also those that ended beside one that raised: an exception nobody asks for is printed with its traceback
        await asyncio.gather(*pending, *done, return_exceptions=True)
