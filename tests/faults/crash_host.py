"""A process that has imported everything and forks a sync per line of its input, so that a test can kill syncs by the hundred.

`python -m tests.faults.crash_host`, settings from the environment. A line is `HOME NOW PROVIDER,…`; it answers with the child's process id,
and when that has ended with its exit code (-9 for one that was killed). `HostOfSyncs` is the test's end of it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from tests.support.clock import FixedDay
from tests.support.house import House

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Fork, say who, wait, say how it ended. The first child says what a sync imports: later ones need not do it again.

    This process itself never syncs: no thread pool has started when it forks.
    """
    gc.disable()
    for number, line in enumerate(sys.stdin):
        modules = Path(tempfile.gettempdir()) / f"resulthouse-modules-{os.getpid()}"
        child = os.fork()
        if child == 0:
            _run(*line.split(), modules if number == 0 else None)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        if modules.exists():
            for name in modules.read_text().split():
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)
            modules.unlink()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(home: str, now: str, only: str, modules: Path | None) -> None:
    code = 1
    try:
        house = House(Path(home), None, only=tuple(only.split(",")), environ=dict(os.environ), clock=FixedDay(datetime.fromisoformat(now)))
        reports, _ = house.sync()
        code = 0 if not any(report.error for report in reports.values()) else 3
        if modules:
            modules.write_text(" ".join(sorted(name for name in sys.modules if name != "__main__")))
    except BaseException:  # noqa: BLE001 - the parent must not go on as a second host
        traceback.print_exc()
    finally:
        os._exit(code)


class HostOfSyncs:
    """Starts syncs in processes of their own; to be used with `with`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {"PATH": os.environ["PATH"], **environ}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.faults.crash_host"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=self._environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate(timeout=30)

    def start(self, home: Path, now: datetime, only: tuple[str, ...]) -> int:
        """The process id of a sync that has just begun."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{home} {now.isoformat()} {','.join(only)}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        """Wait for it: its exit code, -9 when it was killed."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


if __name__ == "__main__":
    main()
