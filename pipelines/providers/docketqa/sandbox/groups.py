"""The groups of test runs of one world: when they begin and end, how they end, and the documents that say so.

Facts come from docs.docketqa.com (get-test-run, run-test, webhooks, read 2026-08) unless a comment says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipelines.providers.docketqa.sandbox.blueprints import BLUEPRINTS, Blueprint
from pipelines.providers.docketqa.sandbox.results import cut, results_of, signed
from pipelines.sandbox.world import World

_COMPANY_ID = 2
_EVERY, _GROUPS_PER_DAY, _SIZES = timedelta(hours=6), 4, (3, 1, 5, 2, 4, 3)
# Ids are integers that grow with time and have gaps, so an id tells its group and place without an index.
_GROUP_ID, _RUN_ID, _STRIDE = 3_000, 24_000, 8
_TRIGGERED_GROUP_ID, _TRIGGERED_RUN_ID = 9_000, 70_000

# Blueprint and outcome of each run in the newest groups, so that a world of one day already holds every kind.
# "recovered" = the first attempt failed, a retry passed; "failed" uses up the retries there are.
_NEWEST: dict[int, tuple[tuple[int, str], ...]] = {
    -1: ((0, "passed"), (1, "failed"), (3, "recovered")),
    -2: ((2, "passed"), (4, "failed"), (5, "passed"), (6, "passed"), (0, "failed")),
    -3: ((6, "passed"), (1, "passed"), (3, "passed"), (7, "passed")),  # stopped after 70 s
    -4: ((7, "passed"),),
}
_STOPPED, _STOP_AFTER_S = (-3, -16, -31, -64, -99, 15), 70


@dataclass(frozen=True)
class Run:
    """One test run as it will have ended; `attempts` are the results of each try, None where none were kept."""

    id: int
    blueprint: Blueprint
    created_at: datetime
    ended_at: datetime
    status: str  # once ended
    attempts: Sequence[list[dict[str, Any]] | None]


@dataclass(frozen=True)
class Group:
    """Test runs started together; `visible_at` is when its trigger response came to be known."""

    id: int
    name: str
    created_at: datetime
    visible_at: datetime
    runs: tuple[Run, ...]

    @property
    def ended_at(self) -> datetime:
        return max(run.ended_at for run in self.runs)

    @property
    def status(self) -> str:  # once ended
        statuses = {run.status for run in self.runs}
        return next((status for status in ("stopped", "failed") if status in statuses), "passed")


class Groups:
    """All groups of one world; those dated after its now do not exist yet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.triggered: list[Group] = []
        self._planned: dict[int, Group] = {}

    def visible(self) -> Iterator[tuple[int, Group]]:
        """Number and group, history first, then the schedule that goes on after it."""
        last = 2 + (self.world.now - self.world.started_at) // _EVERY
        for number in range(-_GROUPS_PER_DAY * self.world.days, last + 1):
            group = self._at(number)
            if group.visible_at <= self.world.now:
                yield number, group

    def find(self, run_id: int) -> Run | None:
        if run_id >= _TRIGGERED_RUN_ID:
            return next((run for group in self.triggered for run in group.runs if run.id == run_id), None)
        number, position = divmod(run_id - _RUN_ID, _STRIDE)
        last = 2 + (self.world.now - self.world.started_at) // _EVERY
        if not -_GROUPS_PER_DAY * self.world.days <= number <= last:
            return None
        group = self._at(number)
        return group.runs[position] if position < len(group.runs) and group.visible_at <= self.world.now else None

    def trigger(self, blueprints: Sequence[Blueprint]) -> Group:
        count = len(self.triggered) + 1
        group_id, run_id = _TRIGGERED_GROUP_ID + count, _TRIGGERED_RUN_ID + sum(len(g.runs) for g in self.triggered)
        now = self.world.now
        runs = tuple(
            self._run(run_id + place, blueprint, "passed", now + timedelta(microseconds=12_153 * (place + 1)))
            for place, blueprint in enumerate(blueprints)
        )
        group = Group(group_id, f"Manual Run {now:%Y-%m-%d %H:%M:%S}", now, now, runs)
        self.triggered.append(group)
        return group

    def _at(self, number: int) -> Group:
        if number not in self._planned:
            self._planned[number] = self._plan(number)
        return self._planned[number]

    def _plan(self, number: int) -> Group:
        rng, start = self.world.rng("docketqa", "group", number), self.world.started_at
        created_at = start + number * _EVERY + timedelta(microseconds=rng.randrange(4 * 3_600_000_000))
        visible_at, ends, stop_at = None, {}, None
        if number == 0:  # under way when the world starts: one run is through, the others end 5 and 12 minutes later
            created_at = start - timedelta(minutes=6) + timedelta(microseconds=20_496)
            ends = {1: start + timedelta(minutes=5, seconds=2.04), 2: start + timedelta(minutes=12, seconds=7.91)}
            picks: Sequence[tuple[int, str]] = ((7, "passed"), (1, "passed"), (4, "failed"))
        elif number == 1:  # long done, but its CI handed the response over only two hours later
            created_at = start - timedelta(minutes=40) + timedelta(microseconds=733_102)
            visible_at, picks = start + timedelta(hours=2), ((0, "passed"), (2, "failed"))
        else:
            if number > 1:
                created_at += timedelta(hours=1) - 2 * _EVERY
            size, first = _SIZES[number % len(_SIZES)], rng.randrange(len(BLUEPRINTS))
            drawn = [((first + 3 * place) % len(BLUEPRINTS), rng.random()) for place in range(size)]
            outcomes = [(index, "passed" if draw < 0.78 else "recovered" if draw < 0.88 else "failed")
                        for index, draw in drawn]  # fmt: skip
            picks = _NEWEST.get(number, outcomes)
        if number in _STOPPED:
            stop_at = created_at + timedelta(seconds=_STOP_AFTER_S)
        runs = tuple(
            self._run(
                _RUN_ID + _STRIDE * number + place,
                BLUEPRINTS[index],
                outcome,
                created_at + timedelta(microseconds=12_152 * (place + 1)),
                ends.get(place),
                stop_at,
            )
            for place, (index, outcome) in enumerate(picks)
        )
        kind = "CI Run" if _is_from_ci(number) else "Manual Run"
        name = f"{kind} {created_at:%Y-%m-%d %H:%M:%S}"  # the example: "Manual Run 2025-07-03 01:38:03"
        return Group(_GROUP_ID + number, name, created_at, visible_at or created_at, runs)

    def _run(
        self,
        run_id: int,
        blueprint: Blueprint,
        outcome: str,
        created_at: datetime,
        ends_at: datetime | None = None,
        stop_at: datetime | None = None,
    ) -> Run:
        rng = self.world.rng("docketqa", "run", run_id)
        failing: list[int | None] = [None]
        if outcome != "passed":
            tries = 2 if outcome == "recovered" else 1 + blueprint.num_retries
            failing = [rng.randrange(len(blueprint.steps)) for _ in range(tries)]
            if outcome == "recovered" and blueprint.num_retries:
                failing[-1] = None
            failing = failing[: 1 + blueprint.num_retries]
        attempts: list[list[dict[str, Any]] | None] = [
            results_of(run_id, attempt, blueprint, broken, created_at, rng) for attempt, broken in enumerate(failing, 1)
        ]
        # A step's duration has no unit on the page; the example's 43 in a run of 122 s can only be seconds.
        spent = sum(step["duration"] for attempt in attempts for step in attempt or ())
        took = timedelta(seconds=spent + 7 * len(attempts), microseconds=rng.randrange(10**6))
        ended_at = ends_at or created_at + took
        status = "passed" if failing[-1] is None else "failed"
        if stop_at is not None and ended_at > stop_at:
            # The page names running, passed, failed for a run and "stopped" for a group only; assumed for its runs.
            status, ended_at = "stopped", stop_at + timedelta(microseconds=rng.randrange(900_000))
            attempts = [None if run_id % 2 else cut(attempts[0] or [], _STOP_AFTER_S)]
        return Run(run_id, blueprint, created_at, ended_at, status, attempts)

    def document(self, run: Run) -> dict[str, Any]:
        """The answer of GET /test_run/{id} at the world's now."""
        is_running = self.world.now < run.ended_at
        document: dict[str, Any] = {
            "id": run.id,
            "status": "running" if is_running else run.status,
            "test_blueprint_id": run.blueprint.id,
            "test_group_run_id": self._group_id(run.id),
            "blueprint_metadata": self.snapshot(run),
            "results": None if is_running else run.attempts[0],  # null while the run goes on
        }
        if not is_running:
            rng = self.world.rng("docketqa", "video", run.id)
            videos = [signed(f"{run.id}/attempt-{number}.mp4", run.ended_at, rng, with_session=True)
                      for number in range(1, len(run.attempts) + 1)]  # fmt: skip
            document["test_video_url"] = videos[0]
            document["test_video_download_url"] = signed(f"{run.id}/attempt-1.webm", run.ended_at, rng)
            if len(run.attempts) > 1:  # only with num_retries > 0 and after a failed first attempt
                document["additional_attempts"] = [
                    {"results": results, "test_video_url": video} for results, video in zip(run.attempts[1:], videos[1:], strict=True)
                ]
        document["created_at"] = _iso(run.created_at)
        document["updated_at"] = _iso(run.created_at + timedelta(microseconds=5) if is_running else run.ended_at)
        return {"test_run": document}

    def snapshot(self, run: Run) -> dict[str, Any]:
        """The blueprint when the run began: 'Login Flow' got its title 36 hours before the world starts."""
        blueprint, title = run.blueprint, run.blueprint.title
        if blueprint.id == 180 and run.created_at < self.world.started_at - timedelta(hours=36):
            title = "Login"
        return {
            "id": blueprint.id,
            "title": title,
            "type": "integration",
            "device_type": "desktop",
            "starting_url": blueprint.starting_url,
            "browser_zoom": 1.0,
            "viewport_width": 1900,
            "viewport_height": 1200,
            "num_retries": blueprint.num_retries,
            "variables": [],
            **blueprint.more,
            "steps": [
                {"id": 23_000 + 10 * (blueprint.id - 180) + number, "step_number": number, **step}
                for number, step in enumerate(blueprint.steps, 1)
            ],
        }

    def trigger_response(self, group: Group) -> dict[str, Any]:
        """What POST /test_group_run/trigger_run answered when the group began."""
        return {
            "message": "Test group run triggered successfully",
            "test_group_run": {
                "company_id": _COMPANY_ID,
                "created_at": _iso(group.created_at),
                "id": group.id,
                "name": group.name,
                "status": "running",
                "test_runs": [
                    {
                        "blueprint_metadata": self.snapshot(run),
                        "created_at": _iso(run.created_at),
                        "id": run.id,
                        "is_login_test_run": False,
                        "results": None,
                        "status": "running",
                        "test_blueprint_id": run.blueprint.id,
                        "test_group_run_id": group.id,
                        "test_video_s3_key": None,
                        "updated_at": _iso(run.created_at + timedelta(microseconds=5)),
                    }
                    for run in group.runs
                ],
                "updated_at": _iso(group.created_at + timedelta(microseconds=5)),
            },
        }

    def webhook(self, number: int, group: Group) -> dict[str, Any]:
        """The body of the webhook sent when the group ended; its times have no fraction and end in Z."""
        statuses = [run.status for run in group.runs]
        payload: dict[str, Any] = {
            "id": group.id,
            "url": f"https://app.docketqa.com/dashboard/grouprun/{group.id}",
            "name": group.name,
            "status": group.status,
            "created_at": f"{group.created_at:%Y-%m-%dT%H:%M:%SZ}",
            "updated_at": f"{group.ended_at:%Y-%m-%dT%H:%M:%SZ}",
            "tests_ran": len(statuses),
            "tests_passed": statuses.count("passed"),
            "tests_failed": statuses.count("failed"),
            "tests_stopped": statuses.count("stopped"),
        }
        if _is_from_ci(number):
            rng = self.world.rng("docketqa", "commit", number)
            payload["github_context"] = {"ref": "refs/heads/main", "commit_sha": f"{rng.getrandbits(160):040x}",
                                         "repository": "example/shop"}  # fmt: skip
        # "Array of individual test results": the page does not show an item, so these keys are a guess.
        payload["tests"] = [{"id": run.id, "title": run.blueprint.title, "status": run.status} for run in group.runs]
        return {"event": f"test_group_run_{group.status}", "payload": payload}

    def _group_id(self, run_id: int) -> int:
        if run_id >= _TRIGGERED_RUN_ID:
            return next(group.id for group in self.triggered for run in group.runs if run.id == run_id)
        return _GROUP_ID + (run_id - _RUN_ID) // _STRIDE


def is_reported(number: int) -> bool:
    """Whether the webhook of that group was kept."""
    return number in _NEWEST or number % 3 == 0


def _is_from_ci(number: int) -> bool:
    return number % 3 != 1


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds")  # as in the example: 2025-07-03T01:38:03.032648+00:00
