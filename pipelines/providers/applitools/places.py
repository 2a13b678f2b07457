"""Where each leaf of an Applitools plan run stands in the warehouse. No types, no masking classes: `leaves`; no reading: `flatten`."""

from __future__ import annotations

from pipelines.providers.applitools.leaves import COUNTERS, RUN
from pipelines.schemas.places import ADDRESS, LOWER, Form, Place, Places, at


def _viewport(number: int) -> str:
    return f"{1000 + number}x{2000 + number}"


WIDTH = Form("number before the x", lambda viewport: int(viewport.split("x")[0]), _viewport)
HEIGHT = Form("number after the x", lambda viewport: int(viewport.split("x")[1]), _viewport)

_RUN: dict[str, Place] = {
    "/id": "runs.run_id",
    "/name": "runs.name",
    "/application": "runs.application",
    "/status": "runs.status",
    "/started_at": ("runs.started_at", "results.started_at"),
    "/duration": "runs.duration_ms",
    **{f"/results/{name}": f"runs.{name}_count" for name in COUNTERS},
    # A result has them where its run covers one environment.
    "/environments/*/name": ("environments.name", "runs.environment"),
    **{f"/environments/*/{name}": (f"environments.{name}", f"results.{name}") for name in ("os", "browser", "device")},
    "/environments/*/viewport": (
        *(at(f"{table}.viewport_width", WIDTH) for table in ("environments", "results")),
        *(at(f"{table}.viewport_height", HEIGHT) for table in ("environments", "results")),
    ),
    "/tests/*/id": ("results.test_id", "tests.test_id"),
    "/tests/*/name": ("results.test_name", "tests.name"),
    "/tests/*/status": "results.status",
    "/tests/*/type": (at("results.test_type", LOWER), at("tests.test_type", LOWER)),
    "/tests/*/sitemap": ("tests.target_url", "results.attributes#/sitemap"),
    "/tests/*/results": "results.attributes#/results",
    "/tests/*/testResultsUrl": at("results.url", ADDRESS),
}

PLAN_RUN_PLACES = Places(
    id=("/result/id", "/id"),
    to={f"{shape}{pointer}": place for shape in ("/result", "") for pointer, place in _RUN.items()},
    forms={"": (("result",), tuple(RUN))},
    document="Applitools Autonomous: Get Results API",
)
