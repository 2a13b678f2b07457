"""What it costs to start: `--help`, `query`, `status`, a sync up to its first request, and a whole sync with nothing new.

    python -m tests.benchmarks.start_up [--runs 5] [--lake FOLDER] [--page]

Commands run as children, one after the other, against a sandbox in a process of its own; the first sync, which has everything to fetch,
is not counted. `--lake` starts from a lake that `tests.benchmarks.generate` has made, beside which what the sandbox has is little. "Dagster
alone" is a run of as many assets and checks with the same dependencies, whose steps do nothing and import nothing: what a sync adds to it
is ours. Figures are the least and the median of the runs; CPU is user and system time, the one to compare when the machine has other work.
`--page` puts them into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.measure import measured_by
from tests.benchmarks.page import show

ROOT = Path(__file__).resolve().parents[2]
RESULTHOUSE = (sys.executable, "-m", "assets.cli")
_TICK = os.sysconf("SC_CLK_TCK")

Cost = tuple[float, float]  # CPU and wall seconds


class Door:
    """A port that hands connections on to the sandbox and says when the first one came."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.on_first: Callable[[], None] | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            told, self.on_first = self.on_first, None
            if told:
                told()
            server = socket.create_connection(("127.0.0.1", self._to))
            for one, other in ((client, server), (server, client)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a second small write waits 40 ms for an acknowledgement
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:  # the other side has gone
        pass


def run(command: tuple[str, ...], environ: dict[str, str], folder: Path, door: Door | None = None) -> tuple[Cost, Cost | None, str]:
    """Run a command: what it cost as a whole, what up to its first request, what it printed."""
    first: list[Cost] = []
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        if door:
            door.on_first = lambda: first.append((_cpu_so_far(child.pid), time.perf_counter() - started))
        assert child.stdout
        assert child.stderr
        printed, said = child.stdout.read(), child.stderr.read()  # both are short
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {child.returncode}\n{said.decode()}")
    return (usage.ru_utime + usage.ru_stime, wall), first[0] if first else None, printed.decode()


def _cpu_so_far(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextmanager
def sandbox(folder: Path) -> Iterator[tuple[dict[str, str], Door]]:
    """A sandbox with one day of history; the settings lead to its door."""
    command = (*RESULTHOUSE, "sandbox", "--days", "1")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            assert child.stderr
            address = child.stderr.readline().split("http://127.0.0.1:")[1]
            port = int(address.split(":")[0])
            door = Door(port)
            found: dict[str, str] = {}
            while len(found) < 10 and (line := child.stdout.readline().strip()):
                name, _, value = line.replace(f":{port}/", f":{door.port}/").partition("=")
                found[name] = value
            yield found, door
        finally:
            child.terminate()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name, sandbox(Path(name)) as (settings, door):
        folder = Path(name)
        if arguments.lake:
            shutil.copytree(arguments.lake, folder / "home" / "lake")
        environ = {
            **os.environ,
            **settings,
            "PYTHONPATH": str(ROOT),
            "RESULTHOUSE_HOME": str(folder / "home"),
            "RESULTHOUSE_START_DAYS": "1",
        }
        sync = (*RESULTHOUSE, "sync", "--json")
        run(sync, environ, folder)
        alone = (sys.executable, "-m", "tests.benchmarks.dagster_alone", _shape(), str(folder / "alone"))
        for _ in range(arguments.runs):
            for what, command in (
                ("--help", (*RESULTHOUSE, "--help")),
                ("query", (*RESULTHOUSE, "query", "SELECT count(*) FROM core.results")),
                ("status", (*RESULTHOUSE, "status")),
                ("Dagster alone", alone),
            ):
                found.setdefault(what, []).append(run(command, environ, folder)[0])
            whole, first, printed = run(sync, environ, folder, door)
            told = json.loads(printed)
            if first is None or told["published"] or any(each["landed"] or each["error"] for each in told["providers"].values()):
                raise SystemExit(f"This sync had something new: {printed}")
            found.setdefault("sync: up to its first request", []).append(first)
            found.setdefault("sync with nothing new", []).append(whole)
        status = json.loads(run((*RESULTHOUSE, "status", "--json"), environ, folder)[2])
        landed = sum(each["landed"] for each in status["providers"].values())
    command = f"python -m tests.benchmarks.start_up --runs {arguments.runs}{' --lake LAKE' if arguments.lake else ''}"
    stamp = measured_by(command, ["dagster", "duckdb", "polars", "httpx"])
    result = {**stamp, "runs": arguments.runs, "landed": landed, "costs": found}
    show("start_up_beside_a_lake" if arguments.lake else "start_up", result, is_kept=arguments.page)


def _shape() -> str:
    """How many assets and checks each step of a sync has."""
    from pipelines.providers import load_providers
    from pipelines.schemas import CORE
    from pipelines.schemas.marts import MARTS
    from pipelines.warehouse.checks import CHECKS

    pulls = [len(provider.endpoints) for provider in load_providers().values()]
    return json.dumps({"pulls": pulls, "core": len(CORE), "marts": len(MARTS), "checks": len(CHECKS)})


if __name__ == "__main__":
    main()
