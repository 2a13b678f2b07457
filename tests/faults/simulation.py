"""One seed = one life of a lake: a provider's world that moves, a clock, faults of network and provider, kills, sync times, their order.

`live(seed, folder)` lets it happen until the faults are over and nothing is left to fetch; beside it stands a lake that met the same world
only then, once. `simulation_street.Street` loads the lakes of many lives into one warehouse. A kill is a moment (`tests.faults.crash`) from
which on nothing more reaches the disk.
"""

from __future__ import annotations

import asyncio
import shutil
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from pipelines.flows.pull import PullReport, pull
from pipelines.flows.status import read_status
from pipelines.flows.track import track_lines
from pipelines.lake.history import GIVE_UP_AFTER, LakeHistory, read_history
from pipelines.lake.store import Lake
from pipelines.providers.docketqa.sandbox import groups
from pipelines.providers.spec import Known, Provider
from tests.faults.crash import watched
from tests.faults.simulation_world import Internet
from tests.support.checker import violations
from tests.support.clock import START, VirtualClock
from tests.support.house import House

NAMES = ("applitools", "checkly", "datadog", "docketqa")
QUIET_SYNCS = 12
"""At most so many syncs after the last fault until nothing is left to fetch."""

_RESULTS = {
    "applitools": ("plan_runs",),
    "checkly": ("test_session_rows", "test_sessions", "test_session_results", "check_results"),
    "datadog": ("api_result_rows", "api_results", "browser_result_rows", "browser_results", "v2_result_rows", "v2_results"),
    "docketqa": ("test_runs",),
}
_IN_ONE_PART = ("plan_runs", "test_session_results", "check_results", "test_runs")
_ORIGIN = "http://127.0.0.1:1"


class Killed(BaseException):
    """Nothing runs after it: no handler of the house takes it for an error."""


_IN_PLACE = ("after rename", "after link")
COUNTED: dict[str, Callable[[str], bool]] = {
    "any": lambda name: True,
    "disk": lambda name: name != "after a request",
    "place": lambda name: name in _IN_PLACE,
}
"""Which moments a kill counts: most are requests, most of what is done to the disk comes at the end, and what is put in place before what
is a matter of few of them."""


@dataclass
class Kill:
    """Raises at the n-th counted moment and at every later one, so that what cleans up changes nothing either."""

    countdown: int
    counted: str = "any"
    moment: str | None = None

    def __call__(self, name: str) -> None:
        self.countdown -= COUNTED[self.counted](name)
        if self.countdown < 0:
            self.moment = self.moment or name
            raise Killed(name)


@dataclass
class Life:
    """A house beside one moving world. `said` is what became of it, `broken` the promises that it broke."""

    seed: int
    name: str
    folder: Path
    syncs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(f"life {self.seed}")
        self.clock = VirtualClock(START + timedelta(hours=self.seed % 24, minutes=self.seed % 60))
        self.net = Internet(self.name, self.seed, self.clock)
        self.house = self._built("disturbed", self.clock)
        self.truth = self._built("undisturbed", self.clock)
        self._failed: set[tuple[str, str]] = set()
        self._lines = 0
        self._is_told = False

    def _built(self, name: str, clock: VirtualClock) -> House:
        return House(self.folder / name, None, environ=self.net.module.env(_ORIGIN), clock=clock)

    @property
    def provider(self) -> Provider:
        """Whose life it is."""
        return self.house.settings.providers[self.name]

    # --- what happens --------------------------------------------------------------------------------------

    def disturbed(self) -> None:
        """Some days with faults and kills."""
        for _ in range(self.rng.choice((1, 2, 3))):
            self.clock.advance(self.rng.choice((60, 900, 4_000, 11_000, 30_000, 90_000)))
            lines = self.net.executions()
            until = self.rng.randint(self._lines, len(lines))
            self._track(self.house, lines[self._lines : until])
            self._lines = until
            self._pull()
            if self.rng.random() < 0.3:
                self._delete()

    def until_nothing_is_left(self) -> None:
        """The faults are over and the world stands: sync until nothing new comes. The first sync is of the next day: what has run for
        more than a day is asked for once a day."""
        self.net.calm()
        self._track(self.house, self.net.executions())
        for turn in range(QUIET_SYNCS):
            self.clock.advance(86_400 if turn == 0 else 1_800)
            report = self._pulled()
            if turn and not (report.landed or report.error or report.detail_pending):
                return
        self.broken.append(f"not at rest after {QUIET_SYNCS} quiet syncs: {report}")

    def undisturbed(self) -> None:
        """The other house syncs the standing world once, with the same mask key."""
        self.net.is_undisturbed = True
        private = self.truth.home / "private"
        private.mkdir(parents=True, mode=0o700)
        shutil.copy2(self.house.home / "private" / "mask.key", private)
        self._track(self.truth, self.net.executions())
        report = self._pull_in(self.truth, "undisturbed")
        self.net.is_undisturbed = False
        if report.error or report.detail_pending or not report.landed:
            self.broken.append(f"the undisturbed house: {report}")

    def compare(self) -> None:
        """Both lakes hold the same newest version of the same entities; as much stays open; nothing is damaged or uncovered."""
        for house in (self.house, self.truth):
            self.broken += [f"{place} landed twice, unchanged" for place in repeated(house)]
        ours, truth = newest(self.house), newest(self.truth)
        for place in sorted(ours.keys() | truth.keys()):
            if ours.get(place) != truth.get(place) and place[1] not in self.net.lost:
                self.broken.append(f"{place}: {ours.get(place)}, undisturbed {truth.get(place)}")
        histories = [self._history(house) for house in (self.house, self.truth)]
        if histories[0].open_count() != histories[1].open_count() and not self.net.lost:
            self.broken.append(f"{histories[0].open_count()} open, undisturbed {histories[1].open_count()}")
        refused = Lake(self.house.settings.lake).refused(self.name)
        told = set(zip(refused["sync_id"].to_pylist(), refused["entity_id"].to_pylist(), strict=True))
        self.broken += [
            f"{sync_id} had no good answer for {entity!r}, and `refused` does not say so" for sync_id, entity in self._failed - told
        ]
        self.broken += [f"not covered: {each}" for each in histories[0].coverage() if each.holes]
        self.broken += [f"damaged: {name}" for name in histories[0].damaged]

    def give_up(self) -> None:
        """What was deleted before it ended is not asked for for ever, and what had landed stays."""
        landed = newest(self.house)
        review = self.house.settings.review if self.provider.is_tracked else timedelta(0)
        self.clock.advance((max(review, GIVE_UP_AFTER) + timedelta(days=1)).total_seconds())
        self._pulled()
        history = self._history(self.house)
        if history.open_count():
            self.broken.append(f"{history.open_count()} open for ever")
        self.broken += [f"{place} is gone" for place in sorted(landed.keys() - newest(self.house).keys())]

    # --- steps ---------------------------------------------------------------------------------------------

    def _history(self, house: House) -> LakeHistory:
        return read_history(Lake(house.settings.lake), self.provider, self.clock.now(), house.settings.review, lambda run: None)

    def _delete(self) -> None:
        """The provider deletes some of the results that have landed, none that it restates: who comes later would not see what it said
        first. One that has not ended, or of which a part is missing, is lost."""
        history = self._history(self.house)
        landed: dict[str, list[Known]] = {}
        for endpoint in _RESULTS[self.name]:
            for known in history.landed(endpoint).values():
                landed.setdefault(known.entity_id, []).append(known)
        ids = set(self.rng.sample(known := sorted(landed.keys() - self.net.restated), min(len(known), 3)))
        due = [known for endpoint in _RESULTS[self.name] for known in history.due(endpoint)]
        waiting = {each for known in due for each in (known.entity_id, known.parent_id)}
        whole = {key for key in ids - waiting if all(part.state == "final" for part in landed[key]) and _has_all_parts(landed[key])}
        lost = ids - whole
        lost |= {part.entity_id for parts in landed.values() for part in parts if part.parent_id in lost}
        self.net.delete(ids | lost, lost)

    def _track(self, house: House, lines: list[bytes]) -> None:
        if lines:
            report = track_lines(self.provider, house.settings, lines, self.clock, "track")
            assert report.errors == []

    def _pull_in(self, house: House, sync_id: str) -> PullReport:
        self.net.begin()
        rng = Random(f"{self.seed} {sync_id}")
        return asyncio.run(pull(self.provider, house.settings, self.clock, sync_id=sync_id, transport=self.net, rng=rng))

    def _pulled(self) -> PullReport:
        self.syncs += 1
        report = self._pull_in(self.house, f"sync{self.syncs}")
        self.said.append(f"{self.clock.now():%d %H:%M:%S} {report}")
        if not self.net.has_refused:  # then nothing more is asked for, nor said of what was under way
            self._failed |= {(f"sync{self.syncs}", entity) for entity in self.net.failed()}
        if self.net.left and report.error is None:
            self.broken.append(f"sync {self.syncs} says no error: {sorted(self.net.left)[:3]} never got a good answer")
        if self.net.left and not self._is_told:
            self._is_told = True
            self._ask_status(report)
        return report

    def _ask_status(self, report: PullReport) -> None:
        """What failed shows in `status`."""
        status = read_status(self.house.settings, {self.name: self.provider}, self.clock)[self.name]
        shown = (status.last_sync or {}).get("error")
        if shown != report.error:
            self.broken.append(f"sync {self.syncs} says {report.error!r}, the status {shown!r}")

    def _pull(self) -> None:
        if self.rng.random() < 0.5:
            counted, most = self.rng.choice((("any", 40), ("disk", 60), ("place", 9), ("place", 9)))
            moment = killed(self.house, self._pulled, self.rng.randint(0, most), counted)
            if moment is not None:
                self.kills[moment] += 1
                self.said.append(f"{self.clock.now():%d %H:%M:%S} killed {moment}")
        else:
            self._pulled()
        settings = self.house.settings
        self.broken += [f"after sync {self.syncs}: {sentence}" for sentence in violations(Path(settings.lake), settings.warehouse)]


def _has_all_parts(landed: list[Known]) -> bool:
    """A result that is listed and read in full has landed twice."""
    return len(landed) == 2 or landed[0].endpoint in _IN_ONE_PART


def killed(house: House, step: Callable[[], object], after: int, counted: str = "any") -> str | None:
    """Run a step until it has passed so many moments, and nothing after that. Returns the moment; None when it had ended before."""
    kill = Kill(after, counted)
    try:
        with watched(house.home, kill):
            step()
    except BaseException:
        if kill.moment is None:
            raise
    return kill.moment


def versions(house: House) -> list[tuple[str, str, str]]:
    """Endpoint, id and hash of everything that has landed, oldest first."""
    lake = Lake(house.settings.lake)
    columns = ("entity_id", "fetched_at", "payload_sha256")
    found = [
        (row["fetched_at"], file.endpoint, row["entity_id"], row["payload_sha256"])
        for file in lake.raw_files()
        for row in lake.read_raw(file, columns).to_pylist()
    ]
    return [(endpoint, entity_id, sha256) for _, endpoint, entity_id, sha256 in sorted(found)]


def newest(house: House) -> dict[tuple[str, str], str]:
    """The hash of each entity's newest landed version, by endpoint and id."""
    return {(endpoint, entity_id): sha256 for endpoint, entity_id, sha256 in versions(house)}


def repeated(house: House) -> list[tuple[str, str]]:
    """Entities that landed twice in a row without a change."""
    last: dict[tuple[str, str], str] = {}
    found = []
    for endpoint, entity_id, sha256 in versions(house):
        if last.get((endpoint, entity_id)) == sha256:
            found.append((endpoint, entity_id))
        last[endpoint, entity_id] = sha256
    return found


def live(seed: int, folder: Path, name: str = "") -> Life:
    """One life, disturbed and then at rest, beside an undisturbed one."""
    life = Life(seed, name or NAMES[seed % len(NAMES)], folder)
    with pytest.MonkeyPatch.context() as patch:
        for first in ("_GROUP_ID", "_RUN_ID", "_TRIGGERED_GROUP_ID", "_TRIGGERED_RUN_ID"):
            # no provider gives an id twice; in this sandbox every world has the same ones
            patch.setattr(groups, first, getattr(groups, first) + 100_000 * seed)
        try:
            life.disturbed()
            life.until_nothing_is_left()
            life.undisturbed()
            life.compare()
            if life.net.deleted:
                life.give_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a broken promise of this seed
            life.broken.append(f"{type(error).__name__}: {error}")
            life.said += traceback.format_exception(error)
    return life
