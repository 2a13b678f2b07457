"""The other of two processes, for tests of what two runs do to each other: `python -m tests.faults.other_run WHAT HOME [RUN_ID]...`.

It says a line when it is ready and ends at an empty line, unless it is killed before.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import BusyError, ResulthouseError
from pipelines.flows.locks import provider_lock, take, writer_lock
from pipelines.lake.store import Lake, RawRow
from pipelines.providers import load_providers
from tests.support.house import House

ROOT = Path(__file__).resolve().parents[2]
CHECKLY = load_providers()["checkly"]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENCE_S = 120


def main(what: str, home: Path, *runs: str) -> None:
    """Hold locks, or race."""
    with ExitStack() as locks:
        if what == "hold":
            locks.enter_context(provider_lock(home, CHECKLY))
            locks.enter_context(writer_lock(home))
        held = [take(home / "locks" / f"run-{run}.lock", "") for run in runs]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        work = {"race": race, "refresh": refresh}.get(what, race)
        for line in iter(sys.stdin.readline, "\n"):
            sys.stdout.write(work(home, int(line)) + "\n")
            sys.stdout.flush()
        del held


def race(home: Path, number: int) -> str:
    """Take the provider's place and land what is not there yet: `landed`, `nothing new`, or who is in the way."""
    lake = Lake(home / "lake")
    try:
        with provider_lock(home, CHECKLY):
            (home / "inside").touch(exist_ok=False)  # fails when two are inside
            is_new = len(lake.raw_files()) == number
            if is_new:
                row = RawRow(f"{number}", None, NOW.date(), NOW, 200, None, f'{{"id": {number}}}', "", 1)
                lake.land("checkly", "test_sessions", [row], f"s{number:04}-{os.getpid()}")
            (home / "inside").unlink()
            return "landed" if is_new else "nothing new"
    except BusyError as error:
        return str(error)


def refresh(home: Path, room: int) -> str:
    """Refresh a home in a process that may take so many bytes more of memory: its exit code, and the sentence that it ends with.

    One that waits for ever is ended by its alarm, which no test takes for an answer.
    """
    words = home.parent / "words"
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(PATIENCE_S)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what an abort says
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (taken + room, taken + room))
            try:
                House(home, None).refresh()
                os._exit(0)
            except ResulthouseError as error:
                words.write_text(str(error))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    said = words.read_text() if words.exists() else ""
    words.unlink(missing_ok=True)
    return f"{os.waitstatus_to_exitcode(status)} {said}"


class OtherRun:
    """The test's end of it; to be used with `with`."""

    def __init__(self, what: str, home: Path, *runs: str) -> None:
        command = [sys.executable, "-m", "tests.faults.other_run", what, str(home), *runs]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def __enter__(self) -> OtherRun:
        assert self.answer() == "ready"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate("\n", timeout=60)

    def ask(self, line: object) -> None:
        """Give it something to do; `answer` waits for what it says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Its next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it as the system does when memory is short."""
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
