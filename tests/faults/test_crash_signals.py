"""The command line, ended by polite signals and by `kill -9` while it waits for an answer: the next sync goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from pipelines.sandbox.server import serve
from pipelines.sandbox.world import World

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.fault("S3", "S16")
def test_signals_end_a_sync_within_ten_seconds_and_the_next_one_goes_on(tmp_path: Path, record_property: Any) -> None:
    """SIGTERM and SIGINT while a request is answered, then `kill -9`, which leaves a run that Dagster takes for started."""
    with serve(World(seed=11, days=1, now=NOW)) as server:
        home = tmp_path / "home"
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "RESULTHOUSE_HOME": str(home), **server.env}
        command = [sys.executable, "-m", "assets.cli", "sync", "--json", "--provider", "checkly"]
        codes, seconds = [], []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            asked, is_over = threading.Event(), threading.Event()

            async def fault(request: Request, asked: threading.Event = asked, is_over: threading.Event = is_over) -> None:
                asked.set()
                await asyncio.to_thread(is_over.wait, 30)

            server.faults.append(fault)
            process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert asked.wait(60)
            started = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            is_over.set()
            server.faults.remove(fault)
            seconds.append(time.monotonic() - started)
            codes.append(process.returncode)
            assert "Traceback" not in said, said
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert codes == [143, 130, -signal.SIGKILL]
    assert max(seconds) < 10
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["published"] is True
    record_property("cases", len(codes))
