"""Acme, a made-up provider as a folder that does not belong to the repository: its modules, and fixtures in the conformance suite's form.

`installed` puts the folder where the discovery of providers looks, and takes it away again.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pipelines.providers

NAME = "acme"

MODULES = {
    "__init__.py": '''
"""Acme, a made-up provider of one endpoint."""

from pipelines.providers.acme.discover import discover
from pipelines.providers.acme.flatten import flatten_run
from pipelines.providers.spec import Auth, Endpoint, Provider, Setting
from pipelines.schemas.leaves import MASKED, NUMBER, TEXT, Leaf, enum
from pipelines.transform.expressions import from_iso

PROVIDER = Provider(
    name="acme",
    title="Acme",
    base_url="https://api.acme.test",
    url_setting="ACME_API_URL",
    settings=(Setting("ACME_KEY", "API key", required=True, secret=True), Setting("ACME_API_URL", "address of the API")),
    auth=Auth(headers={"X-Acme": "{ACME_KEY}"}),
    endpoints=(
        Endpoint(
            "runs",
            {"id": TEXT, "state": enum("going", "ok", "bad"), "took_s": NUMBER, "at": Leaf("VARCHAR", read=from_iso), "login": MASKED},
            flatten_run,
            state=lambda document: "open" if document.get("state") == "going" else "final",
        ),
    ),
    discover=discover,
)
''',
    "discover.py": '''
"""The one list of Acme."""

from pipelines.providers.spec import Covered, Payload


async def discover(crawl):
    """Every run of the window."""
    from_at, to_at = crawl.window("runs", "")
    reply = await crawl.client.get("/runs")
    for run in reply.document["runs"]:
        yield Payload("runs", str(run["id"]), run, reply, event_at=crawl.now)
    yield Covered("runs", "", from_at, to_at)
''',
    "flatten.py": '''
"""Acme's runs as results."""

import polars as pl

from pipelines.transform.expressions import from_iso, outcome, result_key


def flatten_run(frame):
    """One result a run."""
    doc = frame.unnest("doc")
    state = pl.col("state")
    results = doc.select(
        "entity_id",
        result_key("acme", pl.col("entity_id")).alias("result_key"),
        pl.col("entity_id").alias("result_id"),
        pl.lit(1).alias("attempt"),
        pl.col("entity_id").alias("execution_id"),
        pl.lit("the-test").alias("test_id"),
        state.alias("status"),
        *outcome([(state == "going", "running"), (state == "ok", "passed"), (state == "bad", "failed")]),
        (state.is_null() | (state != "going")).alias("is_terminal"),
        from_iso(pl.col("at")).alias("started_at"),
        (pl.col("took_s") * 1000).alias("duration_ms"),
    )
    return {"results": results}
''',
}

RUNS: list[dict[str, Any]] = [
    {"id": 1, "state": "ok", "took_s": 1.5, "at": "2026-11-22T10:00:00Z", "login": "hunter2-planted"},
    {"id": 2, "state": "odd", "took_s": None, "at": "2026-11-22T11:00:00Z", "colour": "red"},
]

INDEX = {
    "endpoints": {"runs": {"files": ["runs.json"], "each": "/runs", "entity_id": ["/id"]}},
    "stories": {
        "a run goes on and ends": {
            "versions": [{"fixture": "runs-0", "set": {"/state": "going", "/took_s": None}}, {"fixture": "runs-0"}],
            "results": 1,
            "executions": 1,
            "outcomes": ["passed"],
        }
    },
}

ROWS = {
    "runs-0": {
        "results": [
            {
                "result_id": "1",
                "attempt": 1,
                "execution_id": "1",
                "test_id": "the-test",
                "status": "ok",
                "outcome": "passed",
                "is_terminal": True,
                "started_at": "2026-11-22T10:00:00+00:00",
                "duration_ms": 1500.0,
            }
        ]
    },
    "runs-1": {
        "results": [
            {
                "result_id": "2",
                "attempt": 1,
                "execution_id": "2",
                "test_id": "the-test",
                "status": "odd",
                "outcome": "unknown",
                "is_terminal": True,
                "started_at": "2026-11-22T11:00:00+00:00",
            }
        ],
        "drift": [["/colour", "unknown_field"], ["/state", "unknown_value"]],
    },
}


@contextmanager
def installed(parent: Path) -> Iterator[Path]:
    """Acme's folder below `parent`, found by discovery until the end of the block. Yields the folder."""
    folder = parent / NAME
    fixtures = folder / "fixtures"
    fixtures.mkdir(parents=True)
    for name, text in MODULES.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, value in {"fixtures": INDEX, "runs": {"runs": RUNS}, **{f"{name}.rows": rows for name, rows in ROWS.items()}}.items():
        (fixtures / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    before = pipelines.providers.__path__
    pipelines.providers.__path__ = [*before, str(parent)]
    importlib.invalidate_caches()
    try:
        yield folder
    finally:
        pipelines.providers.__path__ = before
        for name in [name for name in sys.modules if name.startswith(f"pipelines.providers.{NAME}")]:
            del sys.modules[name]
