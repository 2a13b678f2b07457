"""Run ids -> lake: registers runs of a provider that cannot list them, and lands what a given line itself is. Works offline.

A read token goes to the private folder and nowhere else. What a line means is the provider's (`parse_tracked`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256

from pipelines import jsontext
from pipelines.clock import Clock
from pipelines.errors import LakeError, SettingsError
from pipelines.flows.pull import plausible_date
from pipelines.lake.history import LakeHistory, read_history
from pipelines.lake.private import Private
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow, TrackedRun, payload_sha256
from pipelines.providers.spec import Document, Provider, Tracked
from pipelines.settings import Settings


@dataclass
class TrackReport:
    """What was registered: new run ids, ids that were known, payloads landed, and a sentence per line that was not understood."""

    registered: int = 0
    known: int = 0
    landed: int = 0
    unchanged: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Line:
    """One understood line: its runs, its payloads, its bytes' hash and what its JSON needed repaired."""

    runs: tuple[Tracked, ...]
    payloads: tuple[tuple[str, str, Document, datetime | None], ...] = ()
    body_sha256: str = ""
    repairs: tuple[str, ...] = ()


def track_ids(provider: Provider, settings: Settings, ids: Sequence[str], clock: Clock, sync_id: str) -> TrackReport:
    """Register run ids. Raises SettingsError, and registers nothing, when one cannot be an id of the provider."""
    endpoint = _tracked_endpoint(provider)
    for number, run_id in enumerate(ids, 1):
        if not re.fullmatch(provider.tracked_id, run_id):
            raise SettingsError(f"Run id {number} of {len(ids)} cannot be a run id of {provider.title}.")
    runs = tuple(Tracked(endpoint, run_id) for run_id in ids)
    return _register(provider, settings, [_Line(runs)], clock, sync_id, TrackReport())


def track_lines(provider: Provider, settings: Settings, lines: Iterable[bytes], clock: Clock, sync_id: str) -> TrackReport:
    """Register what JSON lines say: execute responses, trigger responses, webhook bodies. Empty lines are skipped.

    A line that is not understood is named by its number in the report's `errors`, without its text; the others are registered.
    Raises SettingsError when the provider lists its runs itself.
    """
    _tracked_endpoint(provider)
    report = TrackReport()
    return _register(provider, settings, list(_understood(provider, lines, report)), clock, sync_id, report)


def _tracked_endpoint(provider: Provider) -> str:
    if provider.tracked_endpoint is None or provider.parse_tracked is None:
        raise SettingsError(f"{provider.title} lists its runs itself: there is nothing to track, `resulthouse sync` finds them.")
    return provider.tracked_endpoint


def _understood(provider: Provider, lines: Iterable[bytes], report: TrackReport) -> Iterator[_Line]:
    assert provider.parse_tracked is not None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            document, repairs = jsontext.parse(line.strip())
            said = provider.parse_tracked(document)
            if not said.runs and not said.payloads:
                raise ValueError("The line names no run.")
            ids = [run.entity_id for run in said.runs] + [entity_id for _, entity_id, _, _ in said.payloads]
            if not all(re.fullmatch(provider.tracked_id, entity_id) for entity_id in ids):
                raise ValueError(f"The line holds an id that cannot be one of {provider.title}.")
        except jsontext.JsonError as error:
            report.errors.append(f"line {number}: {error}")
        except ValueError as error:
            report.errors.append(f"line {number}: {error}")
        else:
            yield _Line(said.runs, said.payloads, sha256(line.strip()).hexdigest(), repairs)


def _register(
    provider: Provider, settings: Settings, lines: Sequence[_Line], clock: Clock, sync_id: str, report: TrackReport
) -> TrackReport:
    lake, private, now = Lake(settings.lake, settings.home), Private(settings.home), clock.now()
    known = {(row["endpoint"], row["entity_id"]) for row in lake.tracked(provider.name).to_pylist()}
    new: dict[tuple[str, str], TrackedRun] = {}
    for run in (run for line in lines for run in line.runs):
        key = (run.endpoint, run.entity_id)
        if run.read_token:
            private.put(run.entity_id, run.read_token)
        if key not in known and key not in new:
            new[key] = TrackedRun(run.entity_id, run.endpoint, now)
    report.registered = len(new)
    report.known = len({(run.endpoint, run.entity_id) for line in lines for run in line.runs} - new.keys())
    lake.track(provider.name, list(new.values()), sync_id)
    if any(line.payloads for line in lines):
        history = read_history(lake, provider, now, settings.review, private.get)
        _land(provider, lake, history, Redactor(private.mask_key()), lines, now, sync_id, report)
    return report


def _land(
    provider: Provider,
    lake: Lake,
    history: LakeHistory,
    redactor: Redactor,
    lines: Sequence[_Line],
    now: datetime,
    sync_id: str,
    report: TrackReport,
) -> None:
    """Land the payloads that lines are, masked. They came without a request, so status and URL are NULL.

    Of two lines about one entity the later one is newer: each line is dated a microsecond after the one before. A body that has landed
    before is the same event delivered again (webhooks may be), not a change back: it lands once.
    """
    rows: dict[str, list[RawRow]] = {}
    landed = _landed(provider, lake, {name for line in lines for name, *_ in line.payloads})
    dates: dict[tuple[str, str], date | None] = {}
    for number, line in enumerate(lines):
        fetched_at = now + timedelta(microseconds=number)
        for name, entity_id, document, event_at in line.payloads:
            endpoint, place = provider.endpoint(name), (name, entity_id)
            masked = redactor.redact(document, endpoint.tree)
            text = jsontext.dump(masked)
            sha = payload_sha256(text)
            if (*place, sha) in landed:
                report.unchanged += 1
                continue
            landed.add((*place, sha))
            if place not in dates:
                is_known = entity_id in history.landed(name)
                dates[place] = history.window_date(*place) if is_known else plausible_date(event_at, fetched_at)
            rows.setdefault(name, []).append(
                RawRow(
                    entity_id=entity_id,
                    parent_id=None,
                    window_date=dates[place],
                    fetched_at=fetched_at,
                    http_status=None,
                    request_url=None,
                    payload=text,
                    body_sha256=line.body_sha256,
                    redaction_version=REDACTION_VERSION,
                    state=endpoint.state(masked),
                    repairs=jsontext.dump(list(line.repairs)) if line.repairs else None,
                    event_at=event_at,
                )
            )
            report.landed += 1
    for name, each in rows.items():
        lake.land(provider.name, name, each, sync_id)


def _landed(provider: Provider, lake: Lake, endpoints: set[str]) -> set[tuple[str, str, str]]:
    """Endpoint, entity id and hash of every version in the raw files of these endpoints; a damaged file holds none."""
    found: set[tuple[str, str, str]] = set()
    for file in (file for file in lake.raw_files(provider.name) if file.endpoint in endpoints):
        with suppress(LakeError):
            table = lake.read_raw(file, ["endpoint", "entity_id", "payload_sha256"])
            found.update(zip(*(table[name].to_pylist() for name in ("endpoint", "entity_id", "payload_sha256")), strict=True))
    return found
