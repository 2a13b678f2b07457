"""`resulthouse demo` as a newcomer runs it: one command in an empty folder, no account, and something to look at afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipelines.flows.demo import QUESTIONS
from pipelines.warehouse.connect import open_published

ROOT = Path(__file__).resolve().parents[2]


def test_a_demo_ends_with_answers_a_warehouse_and_a_report_and_needs_no_key(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHECKLY_API_KEY=half-a-setting\nRESULTHOUSE_START_DAYS=many\n")  # none of the user's is read
    done = subprocess.run(
        [sys.executable, "-m", "assets.cli", "demo", "--days", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 day of made-up results" in done.stdout
    for question in QUESTIONS:
        assert question.words in done.stdout
    home = tmp_path / "data" / "demo"
    connection = open_published(home / "warehouse.duckdb")
    try:
        providers = connection.execute("SELECT provider FROM core.results GROUP BY 1 HAVING count(*) > 10 ORDER BY 1").fetchall()
        rejects = connection.execute("SELECT count(*) FROM meta.rejects").fetchall()
    finally:
        connection.close()
    assert [name for (name,) in providers] == ["applitools", "checkly", "datadog", "docketqa"]
    assert rejects == [(0,)]
    for provider in ("applitools", "checkly", "datadog", "docketqa"):
        assert any(line.strip().startswith(provider) for line in done.stdout.splitlines())
    assert (home / "report.html").read_text().startswith("<!doctype html>")
    assert "./data/demo/report.html" in done.stdout
    assert not (tmp_path / "data" / "lake").exists()
