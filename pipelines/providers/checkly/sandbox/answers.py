"""The API's JSON for a session and its results, as the plan looks at one instant. Monitoring: `check_answers.py`.

Field names, nullability and enums: OpenAPI of 2026-08-18. Rules with their source:
RUNNING becomes PASSED, FAILED or CANCELLED, and one cancelled run makes the session CANCELLED (API documentation);
PENDING is queued or running, ATTEMPT a try that is retried, FINAL the last one (API documentation);
the list's running, passed, failed and cancelled hold sequence ids, not result ids (OpenAPI);
`attempts` is the number of the try (CLI fixtures: 1 without a retry, 2 on the first retry);
`timeElapsed` is ms (CLI fixture: stoppedAt minus startedAt).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from pipelines.providers.checkly.sandbox import planted
from pipelines.providers.checkly.sandbox.catalogue import PRIVATE_LOCATION
from pipelines.providers.checkly.sandbox.history import Session, Try
from pipelines.providers.checkly.sandbox.http_blocks import api_block
from pipelines.providers.checkly.sandbox.probe_blocks import grpc_block, ssl_block, traceroute_block
from pipelines.providers.checkly.sandbox.run import JSON, Run, epoch_ms, iso
from pipelines.providers.checkly.sandbox.script_blocks import (
    agentic_block,
    browser_block,
    multi_step_block,
    playwright_block,
)
from pipelines.sandbox.world import World

APP_URL = f"https://app.checklyhq.com/accounts/{planted.ACCOUNT_ID}/test-sessions"
ASSET_URL = "https://checkly-sandbox-assets.s3.eu-west-1.amazonaws.com"
ASSET_VALIDITY = timedelta(hours=1)  # about an hour seen in a public summary of a real run

BLOCKS: dict[str, tuple[str, Callable[[Run], JSON]]] = {
    "API": ("apiCheckResult", api_block),
    "URL": ("apiCheckResult", api_block),
    "BROWSER": ("browserCheckResult", browser_block),
    "MULTI_STEP": ("multiStepCheckResult", multi_step_block),
    "PLAYWRIGHT": ("playwrightCheckResult", playwright_block),
    "AGENTIC": ("agenticCheckResult", agentic_block),
}
# Not in the session result's schema: see probe_blocks.py.
UNDOCUMENTED_BLOCKS: dict[str, tuple[str, Callable[[Run], JSON]]] = {
    "SSL": ("sslCheckResult", ssl_block),
    "GRPC": ("grpcCheckResult", grpc_block),
    "TRACEROUTE": ("tracerouteCheckResult", traceroute_block),
}
COMMITS = (
    ("Show the cart's weight", "Ada Müller"),
    ("Merge pull request #412 from shop/kettle-page", "Noor Haddad"),
    (f"Give the probe its own login (password={planted.COMMIT_PASSWORD})", "Ada Müller"),
    ("fix: round prices half up", "Li Wei"),
)


def sign(world: World, path: str) -> str:
    """The signed URL of a file. Signed when asked for: a later now gives another signature for the same file."""
    expires = epoch_ms(world.now + ASSET_VALIDITY) // 1000
    signature = planted.SIGNATURE + hashlib.sha256(f"{path}{expires}".encode()).hexdigest()[:20]
    return f"{ASSET_URL}/{path}?AWSAccessKeyId={planted.AWS_KEY_ID}&Expires={expires}&Signature={signature}%3D"


class Answers:
    """Makes answers of one world; every method looks at the world's present `now`."""

    def __init__(self, world: World) -> None:
        self.world = world

    def entry(self, session: Session) -> JSON:
        """An element of GET /v1/test-sessions."""
        sequences = self._sequences(session)
        person = self.world.rng("checkly", session.id, "invoker").choice(("Ada Müller", "Noor Haddad"))
        is_by_hand = session.suite.provider == "TRIGGER"
        git = self._git(session)
        return {
            "id": session.id,
            "accountId": planted.ACCOUNT_ID,
            "projectId": None if is_by_hand else self.world.uuid("checkly", "project", session.suite.name),
            "name": session.suite.name,
            "provider": session.suite.provider,
            "errorGroupIds": self._session_groups(session),
            **{name: [key for key, state in sequences.items() if state == name.upper()]
               for name in ("running", "passed", "failed", "cancelled")},
            "status": self.status(session),
            "region": session.suite.region,
            "privateLocationId": self._private_location(session),
            "invoker": {"name": person, "picture": "https://avatars.example.com/u/8831"} if is_by_hand else None,
            "repoUrl": git.get("repoUrl"),
            "commitId": git.get("commitId"),
            "commitOwner": git.get("commitOwner"),
            "commitMessage": git.get("commitMessage"),
            "branchName": git.get("branchName"),
            "environment": session.suite.environment,
            "startedAt": iso(session.started_at),
            "stoppedAt": None if session.is_running(self.world.now) else iso(session.stopped_at),
            "created_at": iso(session.created_at),
            "updated_at": iso(max(self._last_change(session), session.created_at)),
        }  # fmt: skip

    def detail(self, session: Session) -> JSON:
        """GET /v1/test-sessions/{testSessionId}; while it runs, results not yet queued are missing."""
        is_running = session.is_running(self.world.now)
        end = self.world.now if is_running else session.stopped_at
        return {
            "testSessionId": session.id,
            "testSessionLink": f"{APP_URL}/{session.id}",
            "name": session.suite.name,
            "status": self.status(session),
            "errorGroupIds": self._session_groups(session),
            "startedAt": iso(session.started_at),
            "stoppedAt": None if is_running else iso(session.stopped_at),
            "timeElapsed": epoch_ms(end) - epoch_ms(session.started_at),
            "metadata": {"environment": session.suite.environment, **self._git(session), **self._github(session)},
            "results": [self._row(session, item) for item in self.results(session)],
        }

    def result(self, session: Session, item: Try) -> JSON:
        """GET /v1/test-sessions/{testSessionId}/results/{testSessionResultId}."""
        is_over = self._is_over(item)
        return {
            **self._row(session, item),
            "id": item.id,
            "privateLocationId": self._private_location(session),
            "filePath": item.check.file_path,
            "isCancelled": is_over and item.outcome == "cancelled",
            "overMaxResponseTime": is_over and item.outcome == "too_slow",
            "attempts": item.number,
            "sequenceId": item.sequence_id,
            "scheduleError": f"No runner available in {session.suite.region}"
            if is_over and item.outcome == "schedule_error" else None,
            "traceId": hashlib.sha256(item.id.encode()).hexdigest()[:32]
            if is_over and item.check.type in ("API", "BROWSER") else None,
            "created_at": iso(item.queued_at),
            "updated_at": iso(max(item.queued_at, self._changed_at(item))),
            **self._blocks(session, item),
        }  # fmt: skip

    def results(self, session: Session) -> list[Try]:
        """The results that exist by now."""
        return [item for item in session.tries if item.queued_at <= self.world.now]

    def status(self, session: Session) -> str:
        """The session's status word."""
        if session.is_running(self.world.now):
            return "RUNNING"
        states = set(self._sequences(session).values())
        return "CANCELLED" if "CANCELLED" in states else "FAILED" if "FAILED" in states else "PASSED"

    def _row(self, session: Session, item: Try) -> JSON:
        is_over = self._is_over(item)
        bad = is_over and item.failed
        was_started = item.started_at <= self.world.now and item.outcome != "schedule_error"
        return {
            "testSessionResultId": item.id,
            "testSessionResultLink": f"{APP_URL}/{session.id}/results/{item.id}",
            "checkId": self.world.uuid("checkly", "check", item.check.key) if item.check.is_stored else None,
            "checkType": item.check.type,
            "name": item.check.name,
            "runLocation": session.suite.region,
            "errorGroupIds": self._groups(item) if is_over else [],
            "resultType": "PENDING" if not is_over else "FINAL" if item.is_last else "ATTEMPT",
            "status": self._word(item),
            # An error is the provider's or the connection's, a failure the tested system's (CLI fixtures).
            "hasErrors": bad and item.outcome in ("request_error", "schedule_error"),
            "hasFailures": bad and item.outcome in ("failed", "too_slow"),
            "isDegraded": is_over and item.outcome == "degraded",
            "aborted": is_over and item.outcome == "aborted",
            "responseTime": item.response_ms if is_over and item.outcome != "schedule_error" else None,
            "startedAt": iso(item.started_at) if was_started else None,
            "stoppedAt": iso(item.stopped_at) if is_over and was_started else None,
        }

    def _blocks(self, session: Session, item: Try) -> JSON:
        if item.check.type == "HEARTBEAT":
            return {}  # as in the CLI's fixture of a heartbeat: no block, not even null
        blocks: JSON = {name: None for name, _ in BLOCKS.values()}
        if not self._is_over(item) or item.outcome == "schedule_error":
            return blocks
        rng = self.world.rng("checkly", item.id, "content")
        run = Run(
            check=item.check,
            outcome=item.outcome,
            location=session.suite.region,
            started_at=item.started_at,
            stopped_at=item.stopped_at,
            response_ms=item.response_ms,
            rng=rng,
            sign=lambda name: sign(self.world, f"{session.id}/{item.id}/{name}"),
        )
        if item.check.type in BLOCKS:
            name, make = BLOCKS[item.check.type]
            blocks[name] = make(run)
        elif item.check.type in UNDOCUMENTED_BLOCKS and rng.random() < 0.5:
            name, make = UNDOCUMENTED_BLOCKS[item.check.type]
            blocks[name] = make(run)
        return blocks

    def _is_over(self, item: Try) -> bool:
        return item.stopped_at <= self.world.now

    def _word(self, item: Try) -> str:
        if not self._is_over(item):
            return "RUNNING"
        return "CANCELLED" if item.outcome == "cancelled" else "FAILED" if item.failed else "PASSED"

    def _sequences(self, session: Session) -> dict[str, str]:
        """Status word by sequence id: that of its last try, RUNNING while a retry is still to come."""
        states: dict[str, str] = {}
        for item in self.results(session):
            states[item.sequence_id] = self._word(item) if item.is_last else "RUNNING"
        return states

    def _groups(self, item: Try) -> list[str]:
        named = item.failed and item.outcome not in ("aborted", "schedule_error")
        return [self.world.uuid("checkly", "error-group", item.check.key, item.outcome)] if named else []

    def _session_groups(self, session: Session) -> list[str]:
        over = (item for item in self.results(session) if self._is_over(item))
        return sorted({group for item in over for group in self._groups(item)})

    def _changed_at(self, item: Try) -> datetime:
        return max(at for at in (item.queued_at, item.started_at, item.stopped_at) if at <= self.world.now)

    def _last_change(self, session: Session) -> datetime:
        if not session.is_running(self.world.now):
            return session.stopped_at
        return max((self._changed_at(item) for item in self.results(session)), default=session.created_at)

    def _private_location(self, session: Session) -> str | None:
        return self.world.uuid("checkly", "private-location", PRIVATE_LOCATION) if session.suite.is_private else None

    def _git(self, session: Session) -> JSON:
        if session.suite.provider not in ("GITHUB", "VERCEL", "PW_REPORTER"):
            return {}
        rng = self.world.rng("checkly", session.id, "git")
        message, owner = rng.choice(COMMITS)
        return {
            "repoUrl": "https://github.com/shop-example/storefront",
            "commitId": f"{rng.getrandbits(160):040x}",
            "commitOwner": owner,
            "commitMessage": message,
            "branchName": rng.choice(("main", "main", "kettle-page", "release/2026-11")),
        }

    def _github(self, session: Session) -> JSON:
        if session.suite.provider != "GITHUB":
            return {}
        rng, git = self.world.rng("checkly", session.id, "github"), self._git(session)
        is_pull = git["branchName"] != "main"
        github = {
            "reporting": True,
            "repository": "shop-example/storefront",
            "sha": git["commitId"],
            "runId": str(19_000_000_000 + rng.randrange(10**9)),
            "runAttempt": "1",
            "workflow": "Checks",
            "job": "synthetics",
            "eventName": "pull_request" if is_pull else "push",
            "ref": "refs/pull/412/merge" if is_pull else "refs/heads/main",
            "headRef": git["branchName"] if is_pull else None,
            "baseRef": "main" if is_pull else None,
            "serverUrl": "https://github.com",
        }
        return {"github": github}
