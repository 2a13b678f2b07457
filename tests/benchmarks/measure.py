"""A command as a child process, and what it cost: wall, CPU and memory of it and all that it starts. Within a process: CPU by stage."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

EVERY_S = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """`peak_bytes`: the greatest sum of resident memory over the process tree, sampled every `EVERY_S` seconds, or the greatest that the
    kernel saw of its first process, whichever is more."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


class Stopwatch:
    """CPU seconds of this process (user + system, all threads) by stage, as long as one thread calls what is watched.

    What one watched function spends in another is the other's.
    """

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count what a function of a module or class spends, from now on."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def watched(*given: Any, **named: Any) -> Any:
            started = time.process_time()
            self._inner.append(0.0)
            try:
                return function(*given, **named)
            finally:
                took = time.process_time() - started
                self.spent[stage] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        setattr(owner, name, watched)


def measured_by(command: str, libraries: Sequence[str]) -> dict[str, Any]:
    """What a page says of a measurement: command, date, machine and versions; no name of anything."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory / 2**30),
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in libraries},
        },
    }


class FailedError(Exception):
    """The command failed; the text is what it said last."""


def measure(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> Cost:
    """Run a command to its end. Linux only: memory is read from /proc."""
    started = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        peak, is_over = [0], threading.Event()

        def watch() -> None:
            while not is_over.wait(EVERY_S):
                peak[0] = max(peak[0], _tree_bytes(child.pid), _greatest_bytes(child.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - started
        is_over.set()
        watcher.join()
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise FailedError(f"{' '.join(command)}: exit {child.returncode}\n{said.decode(errors='replace')[-3000:]}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak[0])


def _tree_bytes(root: int) -> int:
    """Resident memory of a process and its descendants now."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, ValueError, IndexError):  # it has just ended
            continue
    return total


def _greatest_bytes(pid: int) -> int:
    """The most resident memory that a process has had since it was started (`ru_maxrss` would tell of its parent's, too)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
