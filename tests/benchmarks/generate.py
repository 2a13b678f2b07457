"""A lake of any size, as daily syncs would have left it: copies of the pool's bundles with their own ids, times, durations and texts.

    python -m tests.benchmarks.generate --payloads 50000 --seed 1 --out DIR [--only checkly/test_session_results,...]

The same arguments give the same bytes. DIR becomes a lake folder (`RESULTHOUSE_LAKE`). Every payload is documented and final: a load of it
rejects nothing and finds no drift.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from pipelines.lake.redact import REDACTION_VERSION
from pipelines.lake.store import Lake, RawRow, Sync, Window
from tests.benchmarks.pool import DAYS, NOW, Member, Pool, make_pool

END = datetime(2026, 9, 14, tzinfo=UTC)
"""The day after the newest payload."""

SHARES = {"datadog/api": 0.28, "datadog/browser": 0.27, "checkly/test": 0.22, "checkly/check": 0.16, "docketqa": 0.05, "applitools": 0.02}
"""Of all payloads: which part comes from bundles whose first member's place begins so."""

_SLOT = re.compile(
    r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|(?P<iso>20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)"
    r'|(?<=[a-zA-Z]":)(?<!browser_zoom":)(?P<measure>\d+\.\d+)'
    r'|"(?:duration|responseTime|timeElapsed)":(?P<whole>[1-9]\d+)'
    r"|(?P<public>\b[a-z0-9]{3}-[a-z0-9]{3}-[a-z0-9]{3}\b)"
    r"|(?<![\w.*\-])(?P<digits>[1-9]\d{2,19})(?![\w.])"
    r'|"(?:traceId|x-request-id)":"(?P<hex>[0-9a-f]{16,32})"'
)
_OWN_KEYS = ('"sequenceId":"', '"sessionId":"', '"viewId":"')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS = (NOW - timedelta(days=DAYS + 2) - _EPOCH) // timedelta(milliseconds=1)
_LAST_MS = (NOW - _EPOCH) // timedelta(milliseconds=1)
_PRECISION = {19: "seconds", 23: "milliseconds"}
_YEAR = re.compile(r"(?:19|20)\d\d")

Slot = tuple[str, str]
"""What varies: its kind and its text in the pool."""


@dataclass(frozen=True)
class Text:
    """A text cut into fixed pieces and slots, which stand between them; a slot is a place in its bundle's list."""

    pieces: tuple[str, ...]
    slots: tuple[int, ...]

    def filled(self, values: Sequence[str]) -> str:
        """The text with these values in its slots."""
        parts = list(self.pieces)
        parts[1::2] = [values[slot] for slot in self.slots]
        return "".join(parts)


@dataclass(frozen=True)
class Template:
    """One bundle, cut."""

    members: tuple[tuple[Member, Text, Text, Text, Text | None], ...]  # entity id, payload, request URL, parent id
    slots: tuple[Slot, ...]
    anchor: datetime

    def __len__(self) -> int:
        return len(self.members)


class Copier:
    """Makes copies of the pool's bundles. `replicas`: how many tests there are for each test of the pool."""

    def __init__(self, pool: Pool, seed: int, replicas: int) -> None:
        self._seed, self.replicas = seed, replicas
        self._stable = {member.entity_id for member in pool.definitions}
        self._own = {member.entity_id for bundle in pool.bundles for member in bundle}
        self._configured = {
            match[match.lastgroup or 0] for member in pool.definitions for match in _SLOT.finditer(member.payload)
        } - self._stable
        self.templates = [self._cut(bundle) for bundle in pool.bundles]
        self.definitions = [self._cut((member,)) for member in pool.definitions]
        self._count = 0
        self._stable_ids: dict[tuple[str, int], str] = {}

    def copy(self, template: Template, at: datetime, rng: Random, replica: int, fetched_at: datetime) -> Iterator[tuple[Member, RawRow]]:
        """The bundle once more, its first event at `at`."""
        self._count += 1
        shift = at - template.anchor
        shift_ms = shift // timedelta(milliseconds=1)
        factor = 0.7 + 0.6 * rng.random()  # of all durations: a total stays the sum of its parts
        values: list[str] = []
        for kind, text in template.slots:
            if kind == "measure":
                decimals = min(len(text) - text.index(".") - 1, 15)
                values.append(repr(round(float(text) * factor, decimals)))
            elif kind == "whole":
                values.append(str(max(1, int(int(text) * factor))))
            elif kind == "iso":
                values.append((datetime.fromisoformat(text) + shift).isoformat(timespec=_PRECISION.get(len(text), "microseconds")))
            elif kind == "ms":
                values.append(str(int(text) + shift_ms))
            elif kind == "stable":
                values.append(self._stable_id(text, replica))
            elif kind == "short id":
                values.append(str(100_000_000 + self._count * 100 + len(values) % 100))
            elif kind == "digits":
                values.append(str(rng.randrange(10 ** (len(text) - 1), 10 ** len(text))))
            else:
                values.append(_like(text, f"{rng.getrandbits(128):032x}"))
        for member, entity_id, payload, url, parent in template.members:
            event_at = None if member.event_at is None else member.event_at + shift
            document = payload.filled(values)
            yield (
                member,
                RawRow(
                    entity_id=entity_id.filled(values),
                    parent_id=None if parent is None else parent.filled(values),
                    window_date=(event_at or fetched_at).date(),
                    fetched_at=fetched_at,
                    http_status=None if member.request_url is None else 200,
                    request_url=None if member.request_url is None else url.filled(values),
                    payload=document,
                    body_sha256=hashlib.sha256(document[:64].encode()).hexdigest(),
                    redaction_version=REDACTION_VERSION,
                    state=member.state,
                    event_at=event_at,
                ),
            )

    def _stable_id(self, text: str, replica: int) -> str:
        """The id of a test in one replica; the first has the pool's own."""
        if replica == 0:
            return text
        known = self._stable_ids.get((text, replica))
        if known is None:
            digest = hashlib.sha256(f"{self._seed}/{text}/{replica}".encode()).hexdigest()
            known = self._stable_ids[(text, replica)] = _like(text, digest)
        return known

    def _cut(self, bundle: Sequence[Member]) -> Template:
        slots: dict[Slot, int] = {}
        cut = partial(self._cut_text, slots=slots)
        members = tuple(
            (m, cut(m.entity_id), cut(m.payload), cut(m.request_url or ""), None if m.parent_id is None else cut(m.parent_id))
            for m in bundle
        )
        anchor = min((member.event_at for member in bundle if member.event_at is not None), default=NOW)
        return Template(members, tuple(slots), anchor)

    def _cut_text(self, text: str, slots: dict[Slot, int]) -> Text:
        pieces: list[str] = []
        found: list[int] = []
        end = 0
        for match in _SLOT.finditer(text):
            name = match.lastgroup
            assert name is not None
            value = match[name]
            start = match.start(name)
            kind = self._kind(name, value, text[max(0, start - 14) : start])
            if kind is None:
                continue
            pieces += [text[end:start], ""]
            found.append(slots.setdefault((kind, value), len(slots)))
            end = match.end(name)
        return Text((*pieces, text[end:]), tuple(found))

    def _kind(self, name: str, value: str, before: str) -> str | None:
        """How a piece of text varies, None when it stays."""
        if value in self._configured:
            return None  # a test that is another one at every run would have as many versions as runs
        if name in ("measure", "whole"):
            return name
        if name == "iso":
            at = datetime.fromisoformat(value).replace(tzinfo=UTC)
            return "iso" if _FIRST_MS <= (at - _EPOCH) // timedelta(milliseconds=1) <= _LAST_MS else None
        if value in self._stable:
            return "stable"
        if value in self._own:
            return "short id" if value.isdigit() and len(value) < 15 else "id"
        if name == "digits":
            if len(value) == 13 and _FIRST_MS <= int(value) <= _LAST_MS:
                return "ms"
            is_in_text = before[-1:] not in (":", "[", ",", "")
            return "digits" if is_in_text and len(value) > 3 and not _YEAR.fullmatch(value) else None
        return "id" if name == "hex" or (name == "uuid" and before.endswith(_OWN_KEYS)) else None


def _like(text: str, digest: str) -> str:
    """Another id of the same form: hex where there is hex, digits where there are only digits."""
    fresh = iter(digest * (1 + len(text) // len(digest)))
    if text.isdigit():
        return "1" + "".join(str(int(next(fresh), 16) % 10) for _ in text[1:])
    return "".join(character if character in "-_:" else next(fresh) for character in text)


def generate(
    out: Path,
    payloads: int,
    seed: int,
    *,
    only: frozenset[str] = frozenset(),
    pool: Pool | None = None,
    name: str = "bench",
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a lake of about `payloads` payload versions and return how many they are. `only`: these endpoints and no definitions.

    Another seed and `name` (the end of the syncs' ids) add to a lake that is there.
    """
    pool = pool or make_pool()
    copier = Copier(pool, seed, max(1, payloads // 10_000))
    lake, rng = Lake(out), Random(seed)
    days = min(365, max(2, payloads // 2000))
    kinds = _kinds(copier.templates, only)
    landed = 0
    if not only:
        first_day = END - timedelta(days=days)
        rows = [copier.copy(each, NOW, rng, r, first_day) for r in range(copier.replicas) for each in copier.definitions]
        landed += _land(lake, [row for copies in rows for row in copies], first_day, f"0000-{name}")
    for day in range(days):
        midnight = END - timedelta(days=days - day)
        wanted = payloads * (day + 1) // days - landed
        rows = []
        for templates, share in kinds:
            count = 0
            while count < wanted * share:
                template = rng.choice(templates)
                at = midnight + timedelta(milliseconds=rng.randrange(86_000_000))
                copies = list(copier.copy(template, at, rng, rng.randrange(copier.replicas), midnight + timedelta(days=1)))
                rows += [copy for copy in copies if not only or copy[0].place in only]
                count += sum(not only or member.place in only for member, _ in copies)
        landed += _land(lake, rows, midnight + timedelta(days=1), f"2300-{name}")
        progress(landed)
    for provider in {template.members[0][0].provider for template in copier.templates}:
        lake.compact(provider, f"{END:%Y%m%d}T2359-{name}", END)  # as every sync does
    return landed


def _kinds(templates: Sequence[Template], only: frozenset[str]) -> list[tuple[list[Template], float]]:
    """The templates by kind, each kind with its share of the payloads."""
    by_kind: dict[str, list[Template]] = {kind: [] for kind in SHARES}
    for template in templates:
        place = template.members[0][0].place
        if not only or any(member.place in only for member, *_ in template.members):
            by_kind[next(kind for kind in SHARES if place.startswith(kind))].append(template)
    total = sum(SHARES[kind] for kind, found in by_kind.items() if found)
    return [(found, SHARES[kind] / total) for kind, found in by_kind.items() if found]


def _land(lake: Lake, rows: Sequence[tuple[Member, RawRow]], at: datetime, suffix: str) -> int:
    """Land what one sync brought: a file per endpoint and day, its window and its line in the books."""
    sync_id = f"{at:%Y%m%d}T{suffix}"
    by_endpoint: dict[tuple[str, str], list[RawRow]] = {}
    for member, row in rows:
        by_endpoint.setdefault((member.provider, member.endpoint), []).append(row)
    counts: dict[str, int] = {}
    for (provider, endpoint), found in sorted(by_endpoint.items()):
        names = lake.land(provider, endpoint, found, sync_id)
        window = Window("", at - timedelta(days=1), at, tuple(names))
        lake.write_windows(provider, endpoint, [window], sync_id)
        counts[provider] = counts.get(provider, 0) + len(found)
    for provider, count in counts.items():
        lake.write_sync(Sync(sync_id, provider, at, at + timedelta(minutes=5), requests=count, landed=count))
    return len(rows)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.generate", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--payloads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="provider/endpoint, ...: land these only, without definitions")
    given = parser.parse_args()
    if given.out.exists() and any(given.out.iterdir()):
        parser.error(f"{given.out} is not empty")
    only = frozenset(filter(None, given.only.split(",")))
    os.fsync = lambda descriptor: None  # thousands of files: what a crash loses here is made again
    landed = generate(given.out, given.payloads, given.seed, only=only, progress=lambda done: _say(f"\r{done}"))
    _say(f"\r{landed} payloads in {given.out}\n")


if __name__ == "__main__":
    main()
