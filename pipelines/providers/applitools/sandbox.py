"""The sandbox's Applitools Autonomous: plan runs that a CI has executed, and the two endpoints that are documented.

Facts come from the vendor's pages "Get Results API" and "Execute a Plan or Test API" (applitools.com/docs/autonomous,
read 2026-08) unless a comment says otherwise; nothing of extraction or flattening is imported. There is no list
endpoint: `executions` gives what a CI would have kept. No HTTP server and no clock live here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipelines.sandbox.world import World

# A default personal key: it has no read permission, so each result needs the read token of its execute response.
API_KEY = "sandbox-applitools-api-key-not-a-secret"

READ_TOKEN_PREFIX = "sbxreadtoken"  # noqa: S105 - made up, opens nothing
"""Every read token begins so: they differ by seed, yet one that leaks is found by this text."""

_PLANTED_USERINFO = "Sitemap-Basic-9f2k"
_PLANTED_PARAMETER = "stg-feed-41c7d0a9e2"
_PLANTED_QUOTE = "Quoted-Tr0ub4dor-77"

PLANTED_SECRETS: tuple[str, ...] = (READ_TOKEN_PREFIX, _PLANTED_USERINFO, _PLANTED_PARAMETER, _PLANTED_QUOTE)
"""Secret texts in the answers and execute responses; none may ever reach a disk outside the private folder."""

_COUNTERS = ("failed", "passed", "aborted", "pending", "unresolved")
_EVERY = timedelta(hours=4)
_RUNS_PER_DAY = 6

# name, os, viewport "WxH", device, browser
_ENVIRONMENTS: dict[str, tuple[str, str, str, str, str]] = {
    "chrome": ("Chrome", "Linux", "1440x900", "Desktop", "Chrome"),
    "firefox": ("firefox_ltr6xexec", "Linux", "690x490", "Desktop", "Firefox"),
    "tall": ("env-name_lvc0ei", "Linux", "1442x3227", "Desktop", "Chrome"),
    "edge": ("Edge on Windows", "Windows", "1920x1080", "Desktop", "Edge"),
    "iphone": ("iPhone portrait", "iOS", "390x844", "iPhone 14", "Safari"),
    "pixel": ("Pixel portrait", "Android", "412x915", "Pixel 7", "Chrome"),
}

# The only test type seen in the documents is `sitemap_test`. The product also has custom-flow and URL-list tests, whose
# type strings are not published; these two are made up, so a reader must not take the list as closed.
_SITEMAP, _FLOW, _URLS = "sitemap_test", "custom_test", "url_list_test"


@dataclass(frozen=True)
class _Test:
    name: str  # "" for a test nobody named, as in the documented example
    type: str
    checkpoints: int  # per environment
    sitemap: str = ""


@dataclass(frozen=True)
class _Plan:
    name: str
    application: str
    environments: tuple[str, ...]
    tests: tuple[_Test, ...]


_PLANS = (
    _Plan(
        "shop.example.test plan",
        "shop.example.test app",
        ("tall", "firefox", "chrome"),
        (_Test("", _SITEMAP, 5), _Test("Guest checkout", _FLOW, 7), _Test("Search and filter", _FLOW, 4)),
    ),
    _Plan(
        "Nightly visual regression",
        "Storefront",
        ("chrome", "firefox", "edge", "iphone", "pixel"),
        (
            _Test("Public pages", _SITEMAP, 6, f"https://qa:{_PLANTED_USERINFO}@staging.shop.example.test/sitemap.xml"),
            _Test("", _URLS, 3),
            _Test(f"Sign in as 'qa@example.test' with password '{_PLANTED_QUOTE}'", _FLOW, 5),
            _Test("Cart totals", _FLOW, 6),
            _Test("Account settings, Größe & Währung", _FLOW, 8),
            _Test("Order history", _FLOW, 3),
            _Test("", _FLOW, 2),
            _Test("Footer links", _URLS, 9),
        ),
    ),
    _Plan(
        "Docs smoke",
        "docs.example.test",
        ("chrome",),
        (_Test("", _SITEMAP, 12, f"https://docs.example.test/sitemap.xml?lang=en&access_token={_PLANTED_PARAMETER}"),),
    ),
    _Plan(
        "Mobile booking flow",
        "Booking",
        ("iphone", "pixel"),
        (
            _Test("Pick dates", _FLOW, 4),
            _Test("Pay by card", _FLOW, 6),
            _Test("Cancel a booking", _FLOW, 3),
            _Test("", _URLS, 5),
        ),
    ),
)

# The newest six runs of the history, so that a world of one day already holds every status. `unresolved` waits for a
# person's review; these two get theirs 30 hours after they ended.
_NEWEST = {
    -1: "passed",
    -2: "failed",
    -3: "unresolved>passed",
    -4: "completed!",
    -5: "unresolved>failed",
    -6: "aborted",
}
# "completed" is taken as terminal by a public client (verdicodetech/applitools-autonomous-ci-integration@bbcf6df);
# with "!" its tests did not all pass. The page itself shows passed, failed, aborted, unresolved.
_VERDICTS = (
    *("passed",) * 10,
    *("failed",) * 4,
    *("completed", "completed!", "aborted", "unresolved>passed", "unresolved>failed", "unresolved"),
)


@dataclass(frozen=True)
class _Run:
    key: str
    plan: int
    created_at: datetime
    started_at: datetime
    ended_at: datetime
    visible_at: datetime
    verdict: str
    review_at: datetime


class _Runs:
    """All runs of one world, by id; those dated after its now do not exist yet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.executed: dict[str, _Run] = {}
        self._planned: dict[str, _Run] = {}
        self._next = -_RUNS_PER_DAY * world.days

    def run_id(self, run: _Run) -> str:
        return self.world.uuid("applitools", "run", run.key)

    def read_token(self, run: _Run) -> str:
        return f"{READ_TOKEN_PREFIX}{self.world.rng('applitools', 'token', run.key).getrandbits(80):020x}"

    def plan_id(self, plan: int) -> str:
        return self.world.uuid("applitools", "plan", plan)

    def execution(self, run: _Run) -> dict[str, Any]:
        return {"result": {"id": self.run_id(run), "read_token": self.read_token(run)}}

    def visible(self) -> Iterator[_Run]:
        """Runs of the history, then those of the schedule that goes on after it, oldest number first."""
        last = 3 + (self.world.now - self.world.started_at) // _EVERY
        while self._next <= last:
            run = self._plan(self._next)
            self._planned[self.run_id(run)] = run
            self._next += 1
        return (run for run in self._planned.values() if run.visible_at <= self.world.now)

    def find(self, run_id: str) -> _Run | None:
        run = self.executed.get(run_id) or self._planned.get(run_id)
        if run is None:
            run = next((seen for seen in self.visible() if self.run_id(seen) == run_id), None)
        return run if run is not None and run.visible_at <= self.world.now else None

    def execute(self, plan: int) -> _Run:
        number = len(self.executed) + 1
        rng = self.world.rng("applitools", "executed", number)
        run = self._run(f"executed-{number}", plan, self.world.now, 45, rng.randint(300, 1140), "passed")
        self.executed[self.run_id(run)] = run
        return run

    def _plan(self, number: int) -> _Run:
        rng = self.world.rng("applitools", "plan-run", number)
        start = self.world.started_at
        plan = number % len(_PLANS)
        verdict = _NEWEST.get(number) or rng.choice(_VERDICTS)
        created_ms, queue_s, duration_s = rng.randrange(10_800_000), rng.uniform(2, 60), rng.uniform(60, 1500)
        if number < 0:
            created_at = start + number * _EVERY + timedelta(milliseconds=created_ms)
            return self._run(str(number), plan, created_at, queue_s, duration_s, verdict)
        if number == 0:  # still queued when the world starts
            return self._run("0", 0, start - timedelta(minutes=2), 420, 480.4, "passed")
        if number == 1:  # under way when the world starts, done 6 minutes later
            return self._run("1", 1, start - timedelta(minutes=9), 41.3, 858.7, "failed")
        if number == 2:  # long done, but its CI handed the execute response over only two hours later
            created_at = start - timedelta(minutes=50)
            return self._run("2", 3, created_at, 12.2, 633.8, "failed", visible_at=start + timedelta(hours=2))
        created_at = start + (number - 3) * _EVERY + timedelta(hours=1, milliseconds=created_ms)
        return self._run(str(number), plan, created_at, queue_s, duration_s, verdict)

    def _run(
        self,
        key: str,
        plan: int,
        created_at: datetime,
        queue_s: float,
        duration_s: float,
        verdict: str,
        visible_at: datetime | None = None,
    ) -> _Run:
        started_at = created_at + timedelta(milliseconds=int(queue_s * 1000))
        ended_at = started_at + timedelta(milliseconds=int(duration_s * 1000))
        hours = 30.0 if key in ("-3", "-5") else self.world.rng("applitools", "review", key).uniform(5, 96)
        review_at = ended_at + timedelta(hours=hours)
        return _Run(key, plan, created_at, started_at, ended_at, visible_at or created_at, verdict, review_at)

    def document(self, run: _Run) -> dict[str, Any]:
        """The answer of GET /api/result/{run_id} at the world's now."""
        plan, now = _PLANS[run.plan], self.world.now
        tests = self._tests(run)
        result: dict[str, Any] = {
            "id": self.run_id(run),
            "name": plan.name,
            "application": plan.application,
            "status": _status(run, now),
            "environments": [
                dict(zip(("name", "os", "viewport", "device", "browser"), _ENVIRONMENTS[name], strict=True)) for name in plan.environments
            ],
        }
        if now >= run.started_at:
            result["started_at"] = _iso(run.started_at)
            # Milliseconds: the example's 228669 fits a run of 3 min 49 s; the page states no unit. Whether a running
            # plan has a duration is not documented; here it is the time so far.
            result["duration"] = (min(now, run.ended_at) - run.started_at) // timedelta(milliseconds=1)
        # The example's one test and its plan both count 15: counters are checkpoints, summed over the tests.
        result["results"] = {name: sum(test["results"][name] for test in tests) for name in _COUNTERS}
        result["tests"] = tests
        return {"result": result}

    def _tests(self, run: _Run) -> list[dict[str, Any]]:
        plan, now = _PLANS[run.plan], self.world.now
        done = len(plan.tests)
        if now < run.ended_at:  # tests run one after the other, in equal shares of the time
            done = max(0, int(len(plan.tests) * ((now - run.started_at) / (run.ended_at - run.started_at))))
        verdicts = _test_verdicts(run, now, self.world.rng("applitools", "tests", run.key))
        tests = []
        for index, test in enumerate(plan.tests):
            rng = self.world.rng("applitools", "test-run", run.key, index)
            total = test.checkpoints * len(plan.environments)
            status, counted = verdicts[index], verdicts[index]
            if index >= done:
                status = "running" if index == done and now >= run.started_at else "pending"
                counted = "pending"
            document: dict[str, Any] = {
                "id": self.world.uuid("applitools", "test", run.plan, index),
                "name": test.name,
                "status": status,
                "type": test.type,
                "sitemap": test.sitemap,
                "results": _count(counted, total, rng),
            }
            # Not on the page; a public client reads it (verdicodetech/applitools-autonomous-ci-integration@bbcf6df).
            if index < done and rng.random() < 0.5:
                batch = self.world.uuid("applitools", "batch", run.key)
                document["testResultsUrl"] = (
                    f"https://eyes.applitools.com/app/test-results/{batch}/{rng.getrandbits(48):012x}?accountId=sbx0001"
                )
            if status == "completed!":
                document["status"] = "completed"
            tests.append(document)
        return tests


def _status(run: _Run, now: datetime) -> str:
    # `pending` and `running` are what public clients poll on; the page itself names no state before the end.
    if now < run.started_at:
        return "pending"
    if now < run.ended_at:
        return "running"
    first, _, reviewed = run.verdict.partition(">")
    return reviewed if reviewed and now >= run.review_at else first.rstrip("!")


def _test_verdicts(run: _Run, now: datetime, rng: Random) -> list[str]:
    """What became of each test of an ended run, consistent with the run's own status."""
    count = len(_PLANS[run.plan].tests)
    first, _, reviewed = run.verdict.partition(">")
    odd = rng.randrange(count)
    if first == "aborted":  # the plan stops there: what came before has passed
        return ["passed"] * odd + ["aborted"] * (count - odd)
    if first == "completed!":
        return ["completed!" if index == odd else "completed" for index in range(count)]
    rest = "completed" if first == "completed" else "passed"
    verdict = reviewed if reviewed and now >= run.review_at else first
    return [verdict if index == odd else rest for index in range(count)]


def _count(verdict: str, total: int, rng: Random) -> dict[str, int]:
    counts = dict.fromkeys(_COUNTERS, 0)
    odd = rng.randint(1, max(1, total // 4))
    if verdict in ("passed", "completed"):
        odd, verdict = 0, "passed"
    elif verdict == "pending":
        odd = total
    elif verdict == "completed!":
        verdict = "failed"
    counts["passed"] = total - odd
    counts[verdict] += odd
    return counts


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _refuse(status: int, message: str) -> JSONResponse:
    # Error bodies and codes are not documented; a JSON object with one sentence is the sandbox's own choice.
    return JSONResponse({"error": message}, status)


def app(world: World) -> Starlette:
    """The Autonomous API over `world`: GET /api/result/{run_id} and POST /api/plan/{plan_id}/execute.

    The key and the read token come in the query string, as documented. 401 wrong or missing key, 403 wrong or missing
    read token, 404 unknown run or plan, 400 a body that is not an object of parameter values.
    """
    runs = _Runs(world)
    plans = {runs.plan_id(index): index for index in range(len(_PLANS))}

    async def get_result(request: Request) -> JSONResponse:
        if request.query_params.get("apiKey") != API_KEY:
            return _refuse(401, "The API key is missing or not valid.")
        run = runs.find(request.path_params["run_id"])
        if run is None:
            return _refuse(404, "There is no run with this id.")
        if request.query_params.get("read_token") != runs.read_token(run):
            return _refuse(403, "This API key has no read permission; a valid read_token is required.")
        return JSONResponse(runs.document(run))

    async def execute_plan(request: Request) -> JSONResponse:
        if request.query_params.get("apiKey") != API_KEY:
            return _refuse(401, "The API key is missing or not valid.")
        plan = plans.get(request.path_params["plan_id"])
        if plan is None:
            return _refuse(404, "There is no plan with this id.")
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("parameter_values", {}), dict):
            return _refuse(400, "The body must be a JSON object with parameter_values.")
        return JSONResponse(runs.execution(runs.execute(plan)))

    return Starlette(
        routes=[
            Route("/api/result/{run_id}", get_result, methods=["GET"]),
            Route("/api/plan/{plan_id}/execute", execute_plan, methods=["POST"]),
        ]
    )


def env(base_url: str) -> dict[str, str]:
    """Settings that point a sync at this sandbox; read tokens come with `executions`, not from here."""
    return {"APPLITOOLS_API_URL": base_url, "APPLITOOLS_API_KEY": API_KEY}


def executions(world: World) -> list[dict[str, Any]]:
    """The execute responses a CI has kept by the world's now: `{"result": {"id", "read_token"}}`, oldest first."""
    runs = _Runs(world)
    return [runs.execution(run) for run in runs.visible()]


def plan_ids(world: World) -> list[str]:
    """Ids of the plans that POST /api/plan/{plan_id}/execute knows."""
    runs = _Runs(world)
    return [runs.plan_id(index) for index in range(len(_PLANS))]
