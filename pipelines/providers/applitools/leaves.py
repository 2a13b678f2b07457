"""Every leaf of an Applitools Autonomous plan run with its type and masking class. No flattening, no requests.

Source: "Get Results API" (applitools.com/docs/autonomous, read 2026-08). `testResultsUrl` is not on that page;
a public client reads it (verdicodetech/applitools-autonomous-ci-integration@bbcf6df). Status words and test types are
open sets: the page lists none.
"""

from __future__ import annotations

from pipelines.schemas.leaves import NUMBER, RAW, RAW_SCRUBBED, SCRUBBED, TEXT, Tree, enum
from pipelines.transform.leaves import DURATION, INSTANT

COUNTERS = ("passed", "failed", "aborted", "pending", "unresolved")
"""Checkpoints, not tests: the page's run of one test counts 15."""

STATUS = enum("passed", "failed", "aborted", "unresolved", "completed", "pending", "running")

TEST: dict[str, Tree] = {
    "id": TEXT,
    "name": SCRUBBED,
    "status": STATUS,
    "type": TEXT,
    "sitemap": RAW_SCRUBBED,
    "results": dict.fromkeys(COUNTERS, RAW),
    "testResultsUrl": SCRUBBED,
}

RUN: dict[str, Tree] = {
    "id": TEXT,
    "name": SCRUBBED,
    "application": SCRUBBED,
    "status": STATUS,
    "environments": [{"name": TEXT, "os": TEXT, "viewport": TEXT, "device": TEXT, "browser": TEXT}],
    "started_at": INSTANT,
    "duration": DURATION,
    "results": dict.fromkeys(COUNTERS, NUMBER),
    "tests": [TEST],
}

PLAN_RUN: dict[str, Tree] = {"result": RUN, **RUN}
"""Public clients also meet bodies without the `result` wrapper, so both shapes are declared."""
