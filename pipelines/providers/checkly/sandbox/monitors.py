"""Which checks run on a schedule outside test sessions, and when each of their tries ran and how it ended.

Like `history.py` a plan fixed by the world's seed and start; only what is over by the world's now is there. A check runs in
its locations in turn; a failed try is retried once after a minute where its type can be retried. What answers say of it:
`check_answers.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pipelines.providers.checkly.sandbox.catalogue import CHECKS, LOCATIONS, Check, Outcome
from pipelines.providers.checkly.sandbox.history import Try, luck, measured
from pipelines.sandbox.world import World

DAY_MINUTES = 24 * 60
RETRY_AFTER = timedelta(minutes=1)
STORED_AFTER = timedelta(milliseconds=400)
INCIDENT_RATE = 0.12
NOT_RETRIED = frozenset(("HEARTBEAT", "PLAYWRIGHT"))  # their definitions have no retryStrategy (OpenAPI 2026-08-18)


@dataclass(frozen=True)
class Monitor:
    """One scheduled check: it runs every `minutes`, starting `offset_s` after the full interval. Inactive ones never run."""

    check: Check
    minutes: int
    offset_s: int
    locations: tuple[str, ...]
    is_active: bool = True
    is_muted: bool = False


@dataclass(frozen=True)
class MonitorTry:
    """One result: a try, where it ran, and when it could be read."""

    monitor: Monitor
    item: Try
    location: str

    @property
    def stored_at(self) -> datetime:
        """When the result exists: there are no running ones in this list."""
        return self.item.stopped_at + STORED_AFTER


# fmt: off
MONITORS = (
    Monitor(CHECKS["cart"], 60, 17, ("eu-west-1", "us-east-1")),
    Monitor(CHECKS["home-url"], 60, 41, ("eu-west-1", "eu-central-1", "ap-southeast-1")),
    Monitor(CHECKS["home"], 120, 84, ("eu-central-1",)),
    Monitor(CHECKS["checkout"], 180, 200, ("eu-west-1", "us-east-1")),
    Monitor(CHECKS["order"], 180, 260, ("eu-west-1",)),
    Monitor(CHECKS["pw-visual"], 720, 320, ("us-east-1",)),
    Monitor(CHECKS["agent-home"], 720, 380, ("eu-west-1",)),
    Monitor(CHECKS["db-port"], 60, 23, ("eu-central-1",), is_muted=True),
    Monitor(CHECKS["apex"], 120, 29, ("eu-west-1", "us-east-1")),
    Monitor(CHECKS["edge-ping"], 120, 31, ("eu-central-1",)),
    Monitor(CHECKS["backup"], 1440, 7200, ("eu-west-1",)),
    Monitor(CHECKS["cert"], 360, 53, ("eu-west-1",)),
    Monitor(CHECKS["stock-grpc"], 60, 61, ("eu-central-1",)),
    Monitor(CHECKS["edge-route"], 120, 67, ("eu-west-1", "ap-southeast-1")),
    Monitor(CHECKS["stock"], 10, 11, ("eu-west-1",), is_active=False),
)
# fmt: on


class Monitors:
    """All scheduled checks of a world and their results, planned day by day as `now` reaches them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_id = {check_id(world, monitor.check): monitor for monitor in MONITORS}
        self._first_at = world.started_at - timedelta(days=world.days)
        self._planned_to: date = self._first_at.date() - timedelta(days=1)
        self._tries: dict[str, list[MonitorTry]] = {key: [] for key in self.by_id}

    def results(self, key: str, from_at: datetime, to_at: datetime) -> list[MonitorTry]:
        """The results of a check that started in [from_at, to_at) and exist by now, newest first."""
        while self._planned_to < self.world.now.date():
            self._planned_to += timedelta(days=1)
            for owner, monitor in self.by_id.items():
                self._tries[owner] += self._day(monitor, self._planned_to)
                self._tries[owner].sort(key=_place)
        tries = self._tries[key]
        first, last = (bisect_left(tries, at, key=lambda each: each.item.started_at) for at in (from_at, to_at))
        return [each for each in reversed(tries[first:last]) if each.stored_at <= self.world.now]

    def _day(self, monitor: Monitor, day: date) -> list[MonitorTry]:
        if not monitor.is_active:
            return []
        key = monitor.check.key
        rng = self.world.rng("checkly", "monitor", key, day.isoformat())
        slots = DAY_MINUTES // monitor.minutes
        # Something breaks for some runs in a row, and comes back.
        broken = range(0)
        trouble: Outcome = "failed"
        if rng.random() < INCIDENT_RATE:
            begin = rng.randrange(slots)
            broken = range(begin, begin + rng.randint(2, 4))
            trouble = "request_error" if monitor.check.type in ("API", "URL") and rng.random() < 0.5 else "failed"
        tries: list[MonitorTry] = []
        for slot in range(slots):
            start = datetime.combine(day, time(), UTC) + timedelta(minutes=slot * monitor.minutes, seconds=monitor.offset_s)
            start += timedelta(milliseconds=rng.randrange(900))
            location = monitor.locations[(day.toordinal() * slots + slot) % len(monitor.locations)]
            outcomes: tuple[Outcome, ...] = (trouble, trouble) if slot in broken else luck(monitor.check, rng.random())
            if monitor.check.type in NOT_RETRIED:
                outcomes = outcomes[-1:]
            tries += self._execution(monitor, location, start, outcomes)
        return [each for each in tries if each.item.started_at >= self._first_at]

    def _execution(self, monitor: Monitor, location: str, start: datetime, outcomes: tuple[Outcome, ...]) -> list[MonitorTry]:
        key = ("checkly", "monitor", monitor.check.key, start.isoformat())
        tries = []
        for number, outcome in enumerate(outcomes, 1):
            rng = self.world.rng(*key, number)
            response_ms, duration = measured(monitor.check, outcome, LOCATIONS[location], rng)
            item = Try(
                id=self.world.uuid(*key, "result", number),
                sequence_id=self.world.uuid(*key, "sequence"),
                check=monitor.check,
                outcome=outcome,
                number=number,
                is_last=number == len(outcomes),
                queued_at=start,
                started_at=start,
                stopped_at=start + duration,
                response_ms=response_ms,
            )
            tries.append(MonitorTry(monitor, item, location))
            start = item.stopped_at + RETRY_AFTER
        return tries


def check_id(world: World, check: Check) -> str:
    """The provider's id of a stored check: the same in sessions and in monitoring."""
    return world.uuid("checkly", "check", check.key)


def _place(each: MonitorTry) -> tuple[datetime, str]:
    return each.item.started_at, each.item.id
