"""What the demo is made of: its own home, a sandbox's runs registered, and three questions answered from what was loaded.

The syncs themselves are Dagster runs and belong to `assets`. Nothing here reads an environment variable or `.env`.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines import jsontext
from pipelines.clock import Clock
from pipelines.errors import SettingsError
from pipelines.flows.query import Answer, run_query
from pipelines.flows.track import track_lines
from pipelines.sandbox.server import serve
from pipelines.sandbox.world import World
from pipelines.settings import Settings

HOME = Path("data/demo")
MARKER = ".resulthouse-demo"
SEED = 42


@dataclass(frozen=True)
class Question:
    """A question in words and in SQL."""

    words: str
    sql: str


QUESTIONS = (
    Question(
        "How reliable is what each provider tests?",
        "SELECT provider, sum(executions) AS executions, sum(failed_count) AS failed,\n"
        "       round(100 * sum(passed_count) / sum(passed_count + failed_count), 1) AS pass_percent\n"
        "FROM marts.daily_reliability GROUP BY provider ORDER BY provider",
    ),
    Question(
        "Which tests are flaky?",
        "SELECT provider, test_name, executions, flips, passes_on_retry, round(score, 3) AS score\n"
        "FROM marts.flaky_tests WHERE score > 0 ORDER BY score DESC, test_name LIMIT 5",
    ),
    Question(
        "In which phase do HTTP checks spend their time?",
        "SELECT provider, phase, sum(executions) AS executions, round(sum(sum_duration_ms) / sum(executions), 1) AS mean_ms,\n"
        "       round(100 * sum(sum_duration_ms) / sum(sum(sum_duration_ms)) OVER (PARTITION BY provider), 1) AS share_percent\n"
        "FROM marts.timing_breakdown GROUP BY provider, phase ORDER BY provider, mean_ms DESC",
    ),
)


class SandboxProcess:
    """The sandbox in a process of its own, so that it has a core of its own. To be used with `with`; `url` and `env` as a server's."""

    def __init__(self, seed: int, days: int, now: datetime) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(other, seed, days, now), name="sandbox", daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> Self:
        try:
            self.url, self.env = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the sandbox did not come up") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pipe.close()
        self._process.join(5)

    def executions(self, provider: str) -> list[dict[str, Any]]:
        """What a CI would have kept by the sandbox's now."""
        self._pipe.send(provider)
        kept: list[dict[str, Any]] = self._pipe.recv()
        return kept


def _serve(pipe: Connection, seed: int, days: int, now: datetime) -> None:
    """The sandbox's process: ends when the other end of the pipe is closed, also when its owner was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to answer
    with serve(World(seed, days, now)) as server:
        pipe.send((server.url, server.env))
        while True:
            try:
                asked = pipe.recv()
            except (EOFError, OSError):
                return
            pipe.send(server.executions(asked))


def make_home(home: Path) -> Path:
    """An empty demo home; an earlier demo's is thrown away. Raises SettingsError when the folder is anything else's."""
    marker = home / MARKER
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise SettingsError(f"{home} is not a folder: the demo makes its home there. Move it away.")
    if home.is_dir() and any(home.iterdir()):
        if not marker.is_file():
            raise SettingsError(f"{home} holds something that no demo made: move it away, the demo would have to remove it.")
        shutil.rmtree(home)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker.write_text("This folder is the home of `resulthouse demo`, which throws it away when it runs again.\n")
    except OSError as error:
        raise SettingsError(f"The demo's home {home} cannot be written ({error.strerror}).") from None
    return home.resolve()


def demo_environ(home: Path, sandbox: Mapping[str, str], days: int) -> dict[str, str]:
    """The whole environment of a demo: its home, and the sandbox's own keys and URLs."""
    return {**sandbox, "RESULTHOUSE_HOME": str(home), "RESULTHOUSE_START_DAYS": str(days)}


def register_runs(server: SandboxProcess, settings: Settings, clock: Clock, sync_id: str) -> dict[str, int]:
    """Register what a CI would have kept of every provider that cannot list its runs. Returns newly registered runs by provider."""
    registered: dict[str, int] = {}
    for name, provider in settings.providers.items():
        if provider.is_tracked:
            lines = [jsontext.dump(execution).encode() for execution in server.executions(name)]
            report = track_lines(provider, settings, lines, clock, sync_id)
            registered[name] = report.registered
    return registered


def answers(warehouse: Path) -> list[tuple[Question, Answer]]:
    """The questions, answered from the published file. Raises WarehouseError."""
    return [(question, run_query(warehouse, question.sql)) for question in QUESTIONS]
