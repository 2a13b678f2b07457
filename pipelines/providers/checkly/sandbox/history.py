"""Which test sessions there are, when each of their results runs and ends, and how both look at the world's now.

A plan (Session, Sequence, Try) is fixed by the world's seed and start; what an answer says is the plan seen at `now`:
a session is RUNNING until its last result ended. Payload insides are made in the *_blocks modules.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from pipelines.providers.checkly.sandbox.catalogue import (
    CHECKS,
    LOCATIONS,
    PRIVATE_LATENCY,
    REPORT_UPLOAD,
    SUITES,
    TROUBLES,
    Check,
    Outcome,
    Suite,
)
from pipelines.sandbox.world import World

# Base of (responseTime, spread) in ms. Operation time for protocol checks, wall clock for the scripted ones (OpenAPI).
BASE_MS = {
    "API": (120, 300), "URL": (90, 200), "TCP": (15, 40), "DNS": (8, 25), "ICMP": (6, 20), "HEARTBEAT": (50, 10),
    "SSL": (40, 40), "GRPC": (60, 60), "TRACEROUTE": (20, 30), "BROWSER": (6_000, 15_000),
    "MULTI_STEP": (3_000, 9_000), "PLAYWRIGHT": (40_000, 90_000), "AGENTIC": (15_000, 40_000),
}  # fmt: skip
SCRIPTED = frozenset(("BROWSER", "MULTI_STEP", "PLAYWRIGHT", "AGENTIC"))
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Try:
    """One result: a try of one check. `queued_at` is when it appears, as PENDING; instants are UTC."""

    id: str
    sequence_id: str
    check: Check
    outcome: Outcome
    number: int
    is_last: bool
    queued_at: datetime
    started_at: datetime
    stopped_at: datetime
    response_ms: int

    @property
    def failed(self) -> bool:
        """Whether its status becomes FAILED. That aborted and never-started runs read FAILED is assumed."""
        return self.outcome in ("too_slow", "failed", "request_error", "aborted", "schedule_error")


@dataclass(frozen=True)
class Session:
    """One test session. Lists are by `created_at`; an uploaded report has `started_at` hours before it."""

    id: str
    suite: Suite
    created_at: datetime
    started_at: datetime
    stopped_at: datetime
    tries: tuple[Try, ...]

    def is_running(self, now: datetime) -> bool:
        """Whether the session is not over at `now`."""
        return now < self.stopped_at


@dataclass
class _Builder:
    """Collects the tries of one session."""

    world: World
    key: tuple[object, ...]
    suite: Suite
    started_at: datetime
    queued_at: datetime
    tries: list[Try] = field(default_factory=list)
    sequences: int = 0

    def add(
        self, check: Check, outcomes: tuple[Outcome, ...], start: timedelta, *,
        wall: timedelta | None = None, queued: timedelta | None = None, retry_after: timedelta = timedelta(seconds=5),
    ) -> None:  # fmt: skip
        """One execution of `check`, its first try starting `start` after the session.

        A retry is queued when its attempt is over and starts `retry_after` later; `wall` is the first try's duration.
        """
        index = self.sequences
        self.sequences += 1
        sequence_id = self.world.uuid("checkly", *self.key, "sequence", index)
        started_at = self.started_at + start
        queued_at = self.queued_at if queued is None else self.started_at + queued
        for number, outcome in enumerate(outcomes, 1):
            rng = self.world.rng("checkly", *self.key, "timing", index, number)
            factor = PRIVATE_LATENCY if self.suite.is_private else LOCATIONS[self.suite.region]
            response_ms, duration = measured(check, outcome, factor, rng)
            if wall is not None and number == 1:
                duration = wall
                response_ms = wall // timedelta(milliseconds=1) if check.type in SCRIPTED else response_ms
            stopped_at = started_at + duration
            self.tries.append(
                Try(
                    id=self.world.uuid("checkly", *self.key, "result", index, number),
                    sequence_id=sequence_id,
                    check=check,
                    outcome=outcome,
                    number=number,
                    is_last=number == len(outcomes),
                    queued_at=queued_at,
                    started_at=started_at,
                    stopped_at=stopped_at,
                    response_ms=response_ms,
                )
            )
            queued_at = max(queued_at, stopped_at)
            started_at = stopped_at + retry_after

    def build(self, created_at: datetime) -> Session:
        """The session, over a quarter second after its last result."""
        stopped_at = max(item.stopped_at for item in self.tries) + timedelta(milliseconds=250)
        session_id = self.world.uuid("checkly", *self.key)
        return Session(session_id, self.suite, created_at, self.started_at, stopped_at, tuple(self.tries))


def measured(check: Check, outcome: Outcome, factor: float, rng: random.Random) -> tuple[int, timedelta]:
    """The `responseTime` in ms of one try, and how long the try took; `factor` is the latency of its place."""
    response_ms = _response_ms(check, outcome, factor, rng.random())
    overhead = 0 if check.type in SCRIPTED else 80 + int(rng.random() * 400)
    return response_ms, timedelta(milliseconds=response_ms + overhead)


def _response_ms(check: Check, outcome: Outcome, factor: float, draw: float) -> int:
    base, spread = BASE_MS[check.type]
    if check.type not in SCRIPTED:
        if outcome == "degraded":
            return int(5_000 + draw * 4_000)
        if outcome == "too_slow":
            return int(20_000 + draw * 9_000)
        # A squared draw: most answers are quick, a few take long.
        return int((base + spread * draw * draw) * factor)
    if outcome == "degraded":
        return int(base + spread + draw * base)
    return int((base + spread * draw) * (1.4 if outcome == "failed" else 0.5 if outcome == "cancelled" else 1))


class History:
    """All sessions of a world, planned day by day as `now` reaches them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._first_at = world.started_at - timedelta(days=world.days)
        self._planned_to: date = self._first_at.date() - timedelta(days=1)
        self._sessions: list[Session] = []
        self._by_id: dict[str, Session] = {}
        self._keep(self._special())

    def visible(self) -> list[Session]:
        """Every session created by now, oldest first."""
        self._plan()
        end = bisect_right(self._sessions, self.world.now, key=lambda session: session.created_at)
        return self._sessions[:end]

    def find(self, session_id: str) -> Session | None:
        """The session of that id when it exists by now."""
        self._plan()
        session = self._by_id.get(session_id)
        return session if session is not None and session.created_at <= self.world.now else None

    def _plan(self) -> None:
        while self._planned_to < self.world.now.date():
            self._planned_to += timedelta(days=1)
            self._keep(self._day(self._planned_to))

    def _keep(self, sessions: Iterable[Session]) -> None:
        added = [session for session in sessions if session.created_at >= self._first_at]
        self._sessions += added
        self._sessions.sort(key=lambda session: (session.created_at, session.id))
        self._by_id |= {session.id: session for session in added}

    def _day(self, day: date) -> list[Session]:
        sessions = []
        for slot, suite in enumerate(SUITES):
            trouble = dict(TROUBLES[(day.toordinal() * len(SUITES) + slot) % len(TROUBLES)])
            sessions.append(self._regular(day, suite, (day.isoformat(), slot), trouble))
        if day.toordinal() % 2 == 0:
            sessions.append(self._upload(day))
        return sessions

    def _regular(self, day: date, suite: Suite, key: tuple[object, ...], trouble: dict[str, tuple[Outcome, ...]]) -> Session:
        rng = self.world.rng("checkly", *key)
        created_at = _at(day, suite.minute, rng.uniform(0, suite.jitter * 60))
        builder = _Builder(self.world, key, suite, created_at, created_at)
        chosen = rng.sample(suite.checks, rng.randint(max(5, len(suite.checks) - 2), len(suite.checks)))
        # Ten results at most: a session of many retries runs fewer checks.
        retries = sum(len(outcomes) - 1 for outcomes in trouble.values())
        chosen = [name for name in chosen if name not in trouble][: 9 - len(trouble) - retries] + list(trouble)
        for index, name in enumerate(chosen):
            check = CHECKS[name]
            outcomes = trouble.get(name) or luck(check, rng.random())
            pause = suite.stagger_s * rng.uniform(0.6, 1.0) if index else 1.0
            builder.add(check, outcomes, timedelta(seconds=index * suite.stagger_s + pause))
        return builder.build(created_at)

    def _upload(self, day: date) -> Session:
        key = (day.isoformat(), "upload")
        rng = self.world.rng("checkly", *key)
        created_at = _at(day, REPORT_UPLOAD.minute, rng.uniform(0, 1500))
        return self._uploaded(key, created_at, timedelta(hours=rng.uniform(2, 7)))

    def _uploaded(self, key: tuple[object, ...], created_at: datetime, age: timedelta) -> Session:
        # Run first, uploaded later: nothing of it exists before created_at, and by then all of it is over.
        started_at = created_at - age
        builder = _Builder(self.world, key, REPORT_UPLOAD, started_at, created_at)
        for index, name in enumerate(REPORT_UPLOAD.checks):
            outcomes: tuple[Outcome, ...] = ("failed",) if index == 1 else ("passed",)
            builder.add(CHECKS[name], outcomes, timedelta(seconds=1 + index * REPORT_UPLOAD.stagger_s))
        return builder.build(created_at)

    def _special(self) -> list[Session]:
        """Three sessions that run while the world stands at its start, and one that is uploaded after it."""
        start = self.world.started_at

        def running(number: int, suite: Suite, age: timedelta) -> _Builder:
            return _Builder(self.world, ("running", number), suite, start - age, start - age)

        first = running(0, SUITES[0], 9 * MINUTE)
        first.add(CHECKS["cart"], ("passed",), timedelta(seconds=2))
        # Its ATTEMPT is over, its FINAL waits: PENDING until the eleventh minute.
        first.add(CHECKS["search"], ("failed", "passed"), timedelta(seconds=4), retry_after=11 * MINUTE)
        first.add(CHECKS["apex"], ("passed",), timedelta(seconds=6))
        first.add(CHECKS["pw-checkout"], ("passed",), 3 * MINUTE, wall=15 * MINUTE)
        first.add(CHECKS["checkout"], ("failed", "passed"), 5 * MINUTE, wall=7 * MINUTE)
        first.add(CHECKS["order"], ("passed",), 14 * MINUTE)

        second = running(1, SUITES[5], 4 * MINUTE)
        second.add(CHECKS["cert"], ("passed",), timedelta(seconds=2))
        second.add(CHECKS["pw-account"], ("cancelled",), 1 * MINUTE, wall=14 * MINUTE)
        second.add(CHECKS["agent-signup"], ("failed",), 2 * MINUTE, wall=18 * MINUTE)
        second.add(CHECKS["stock-grpc"], ("passed",), 10 * MINUTE)
        second.add(CHECKS["cart"], ("passed",), 12 * MINUTE)

        # Created, and nothing in it yet: "the returned data may be incomplete" (OpenAPI).
        third = running(2, SUITES[2], 1 * MINUTE)
        for index, name in enumerate(("cart", "login", "stock", "order", "oauth")):
            third.add(CHECKS[name], ("passed",), (3 + index) * MINUTE, queued=2 * MINUTE)

        built = [builder.build(builder.started_at) for builder in (first, second, third)]
        return [*built, self._uploaded(("late", 0), start + 90 * MINUTE, timedelta(hours=6))]


def luck(check: Check, draw: float) -> tuple[Outcome, ...]:
    """The outcomes of one execution's tries when no trouble is planned."""
    if draw < check.flaky_rate:
        return ("failed", "passed")
    if draw > 0.985:
        return ("failed",)
    return ("degraded",) if draw > 0.97 and check.type in ("API", "URL", "BROWSER") else ("passed",)


def _at(day: date, minute: int, seconds: float) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(minutes=minute, milliseconds=int(seconds * 1000))
