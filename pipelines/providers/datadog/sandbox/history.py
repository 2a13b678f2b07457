"""When which test ran where and how it ended: the index every list answer is cut from. No payload shapes here.

A slot is one tick of one test in one place on one device; it holds one execution of one or more tries. Everything is
a function of (seed, test, place, device, slot), so looking at another window or advancing changes nothing old.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

from pipelines.providers.datadog.sandbox.browser_tests import BROWSER_SPECS
from pipelines.providers.datadog.sandbox.http_tests import HTTP_SPECS
from pipelines.providers.datadog.sandbox.network_tests import NETWORK_SPECS
from pipelines.providers.datadog.sandbox.specs import DAY_S, RECENT, Spec, Step, Version, versions
from pipelines.providers.datadog.sandbox.v2_tests import V2_SPECS
from pipelines.sandbox.world import World

SPECS: tuple[Spec, ...] = (*HTTP_SPECS, *NETWORK_SPECS, *BROWSER_SPECS, *V2_SPECS)

# run_type values recorded: 0 on scheduled runs, 3 on triggered ones.
SCHEDULED, TRIGGERED = 0, 3
DAY_MS = DAY_S * 1000
MINUTE_MS = 60_000
RETRY_START_MS = 1100  # a retry starts about a second after it is due (recorded 2020-03)
TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Try:
    """One try of one execution: one result of the API. All instants are epoch ms.

    `ending`: how it ends, `pass` or a kind of failure; `total_ms` what it takes. The row is listed from `listed_ms`
    on, the full result is there from `finish_ms` on; between them it is `pending` (an eventType).
    """

    spec: Spec
    version: Version
    location: str
    device: str | None
    check_ms: int
    ending: str
    total_ms: float
    result_id: str
    initial_id: str | None
    next_try_ms: int | None
    run_type: int
    monitor_status: int
    listed_ms: int
    finish_ms: int
    pending: str | None = None

    def event_type(self, now_ms: int) -> str:
        """The eventType at `now_ms`: not_scheduled, scheduled, finished or finished_with_error."""
        if now_ms < self.finish_ms:
            soon = now_ms >= self.finish_ms - 2 * MINUTE_MS
            return "scheduled" if self.pending is None or soon else self.pending
        return "finished_with_error" if self.ending == "error" else "finished"


class SpecHistory:
    """All tries of one test, oldest first, generated as far as the world's now asks for."""

    def __init__(self, world: World, spec: Spec) -> None:
        self.spec = spec
        self.versions = versions(world, spec)
        self._world = world
        self._places = list(product(spec.locations, spec.devices or (None,)))
        self._until_ms = world.started_ms - world.days * DAY_MS
        self._tries: list[Try] = []
        self._by_id: dict[str, Try] = {}
        self._ending = cache(self._slot_ending)
        self._add(self._in_flight())

    def version_at(self, instant_ms: int) -> Version:
        """The definition in force at an instant."""
        return [version for version in self.versions if version.from_ms <= instant_ms or version.number == 1][-1]

    def find(self, result_id: str) -> Try | None:
        """The try of that id, when it is listed by now."""
        self._extend()
        found = self._by_id.get(result_id)
        return found if found is not None and found.listed_ms <= self._world.now_ms else None

    def newest(self, from_ms: int, to_ms: int, probes: frozenset[str], limit: int) -> list[Try]:
        """At most `limit` listed tries checked in [from_ms, to_ms], newest first; `probes` empty means everywhere."""
        self._extend()
        now_ms = self._world.now_ms
        low = bisect_left(self._tries, from_ms, key=_check_ms)
        high = bisect_right(self._tries, to_ms, key=_check_ms)
        found: list[Try] = []
        for index in range(high - 1, low - 1, -1):
            item = self._tries[index]
            if item.listed_ms <= now_ms and (not probes or item.location in probes):
                found.append(item)
                if len(found) == limit:
                    break
        return found

    def _add(self, tries: list[Try]) -> None:
        self._tries.extend(tries)
        self._tries.sort(key=lambda item: (item.check_ms, item.result_id))
        self._by_id.update((item.result_id, item) for item in tries)

    def _extend(self) -> None:
        now_ms = self._world.now_ms
        if now_ms <= self._until_ms:
            return
        tries: list[Try] = []
        for location, device in self._places:
            phase_ms = self._phase_ms(location)
            tick_ms = self.spec.tick_s * 1000
            for slot in range(-((phase_ms - self._until_ms) // tick_ms), (now_ms - phase_ms) // tick_ms + 1):
                if self._until_ms < slot * tick_ms + phase_ms <= now_ms and self._runs_at(slot * tick_ms + phase_ms):
                    tries.extend(self._execution(location, device, slot))
        for day in range(self._until_ms // DAY_MS, now_ms // DAY_MS + 1):
            tries.extend(self._triggered(day, self._until_ms, now_ms))
        self._until_ms = now_ms
        self._add(tries)

    def _phase_ms(self, location: str) -> int:
        rng = self._world.rng("datadog", "phase", self.spec.slug, location)
        return rng.randrange(0, self.spec.tick_s) * 1000

    def _runs_at(self, slot_ms: int) -> bool:
        if self.spec.life == "new":
            return slot_ms > self._world.started_ms
        if self.spec.life == "recent":
            return slot_ms >= self._world.started_ms - int(RECENT.total_seconds()) * 1000
        if self.spec.life == "paused":
            return slot_ms < self._world.started_ms - self._world.days * DAY_MS // 2
        return True

    def _slot_ending(self, location: str, device: str | None, slot: int) -> str:
        spec, world = self.spec, self._world
        tick_ms = spec.tick_s * 1000
        slot_ms = slot * tick_ms + self._phase_ms(location)
        end_ms = world.started_ms - (world.days * DAY_MS // 2 if spec.life == "paused" else 0)
        back = (end_ms - slot_ms) // tick_ms
        if (location, device) == self._places[0] and 0 <= back < len(spec.script):
            return spec.script[back]
        # An outage hits every place of a test: in about every third stretch of three days, for some hours.
        stretch = slot_ms // (3 * DAY_MS)
        outage = world.rng("datadog", "outage", spec.slug, stretch)
        if outage.random() < 0.3:
            begin_ms = stretch * 3 * DAY_MS + outage.randrange(2 * DAY_MS)
            if begin_ms <= slot_ms < begin_ms + outage.randint(2, 6) * 3_600_000:
                return spec.failures[0]
        rng = world.rng("datadog", "ending", spec.slug, location, device, slot)
        chance = rng.random()
        if chance < spec.fail_share:
            return rng.choice(spec.failures)
        return "flaky" if chance < spec.fail_share + spec.flaky_share and spec.retries else "pass"

    def _execution(self, location: str, device: str | None, slot: int) -> list[Try]:
        key = ("datadog", "execution", self.spec.slug, location, device, slot)
        rng = self._world.rng(*key)
        slot_ms = slot * self.spec.tick_s * 1000 + self._phase_ms(location)
        failed = [self._ending(location, device, slot - back) not in ("pass", "flaky") for back in range(3)]
        # The monitor alerts after two failures in a row and recovers one run late: it is not this run's outcome.
        status = 1 if failed[1] and (failed[0] or failed[2]) else 0
        listed_ms = None
        if self.spec.has_late and (location, device) == self._places[-1]:
            late_slots = max(1, 3 * 3600 // self.spec.tick_s)
            if 0 <= self._world.started_ms - slot_ms < late_slots * self.spec.tick_s * 1000:
                # A private or cut-off probe reports afterwards: listed 45 to 150 minutes after the world's start.
                listed_ms = self._world.started_ms + rng.randint(45, 150) * MINUTE_MS
        ending = self._ending(location, device, slot)
        check_ms = slot_ms + rng.randrange(1500)
        return self._tries_of(rng, location, device, check_ms, ending, SCHEDULED, status, listed_ms)

    def _tries_of(
        self,
        rng: Random,
        location: str,
        device: str | None,
        check_ms: int,
        ending: str,
        run_type: int,
        status: int,
        late_ms: int | None,
    ) -> list[Try]:
        version = self.version_at(check_ms)
        first_ending = rng.choice(self.spec.failures) if ending == "flaky" else ending
        count = 1 if ending in ("pass", "error") or not self.spec.retries else self.spec.retries + 1
        tries: list[Try] = []
        initial_id: str | None = None
        for number in range(count):
            is_last = number == count - 1
            now_ending = "pass" if ending == "flaky" and is_last else first_ending
            total_ms = self._total_ms(rng, now_ending, version)
            next_ms = None if is_last else check_ms + math.ceil(total_ms) + 310
            done_ms = check_ms + math.ceil(total_ms) + 2000
            listed_ms = done_ms if late_ms is None else max(late_ms, done_ms)
            # Unsigned 64-bit decimals, up to 20 digits: beyond a signed integer (recorded: 16334500735347249235).
            result_id = str(rng.getrandbits(64) | 1 << 60)
            tries.append(
                Try(
                    self.spec, version, location, device, check_ms, now_ending, total_ms, result_id, initial_id,
                    next_ms, run_type, status, listed_ms, listed_ms,
                )
            )  # fmt: skip
            initial_id = initial_id or result_id
            check_ms = (next_ms or 0) + RETRY_START_MS + rng.randrange(200)
        return tries

    def _total_ms(self, rng: Random, ending: str, version: Version) -> float:
        spec = self.spec
        spread = math.exp(rng.gauss(0, 0.25))
        if spec.steps:
            typical_ms = sum(_step_ms(step) for step in spec.steps) + 1500
            return float(round(typical_ms * spread * (2 if ending in ("step_timeout", "open_url") else 1)))
        if ending in ("dns", "connrefused"):
            return round(rng.uniform(5, 90), 1)
        if ending == "timeout":
            return round(TIMEOUT_MS + rng.uniform(1, 60), 1)
        limits = [
            float(item["target"])
            for item in version.definition["config"]["assertions"]
            if item["type"] == "responseTime" and item["operator"] == "lessThan"
        ]
        if ending == "slow" and limits:
            return round(min(limits) * rng.uniform(1.05, 2.2), 1)
        return round(min([spec.typical_ms * spread, *(limit * 0.9 for limit in limits)]), 1)

    def _triggered(self, day: int, after_ms: int, until_ms: int) -> list[Try]:
        tries: list[Try] = []
        for number in range(self.spec.triggered_per_day):
            rng = self._world.rng("datadog", "triggered", self.spec.slug, day, number)
            check_ms = day * DAY_MS + rng.randrange(DAY_MS)
            location, device = rng.choice(self._places)
            ending = "pass" if rng.random() < 0.8 else rng.choice(self.spec.failures)
            if after_ms < check_ms <= until_ms:
                tries.extend(self._tries_of(rng, location, device, check_ms, ending, TRIGGERED, 0, None))
        return tries

    def _in_flight(self) -> list[Try]:
        """Triggered runs that are still waiting or running at the world's start; they end 5 to 20 minutes later."""
        tries: list[Try] = []
        start_ms = self._world.started_ms
        for number, pending in enumerate(self.spec.in_flight):
            rng = self._world.rng("datadog", "in flight", self.spec.slug, number)
            location, device = self._places[number % len(self._places)]
            check_ms = start_ms - rng.randint(MINUTE_MS, 4 * MINUTE_MS)
            version = self.version_at(check_ms)
            ending = "pass" if number % 2 == 0 else self.spec.failures[0]
            total_ms = self._total_ms(rng, ending, version)
            result_id = str(rng.getrandbits(64) | 1 << 63)
            finish_ms = start_ms + rng.randint(5, 20) * MINUTE_MS
            tries.append(
                Try(
                    self.spec, version, location, device, check_ms, ending, total_ms, result_id, None, None,
                    TRIGGERED, 2, check_ms, finish_ms, pending,
                )
            )  # fmt: skip
        return tries


class History:
    """The histories of all tests, in the order of the tests list."""

    def __init__(self, world: World) -> None:
        self.tests: dict[str, SpecHistory] = {spec.public_id: SpecHistory(world, spec) for spec in SPECS}


def _check_ms(item: Try) -> int:
    return item.check_ms


def _step_ms(step: Step) -> float:
    return sum(_step_ms(inner) for inner in step.steps) if step.steps else step.typical_ms
