"""What commands that run assets share: the Dagster instance they run on, the counts they print, the exit code they end with.

No command is declared here, and Dagster is not imported here.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assets.console import say
from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from assets.runs import Outcome
    from pipelines.providers.spec import Provider
    from pipelines.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
OWN_STORAGE = ("storage", "local_artifact_storage", "compute_logs")
# What the repository's dagster.yaml says, for an installation without the repository.
MINIMAL_INSTANCE = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_retries:
  enabled: false
"""
WRITTEN_BY = "# Written by resulthouse at every run. To configure Dagster yourself, set DAGSTER_HOME to a folder of your own.\n"


def instance_home(settings: "Settings") -> Path:
    """DAGSTER_HOME, or the home's own folder with the repository's dagster.yaml in it; DAGSTER_HOME is set to it."""
    given = os.environ.get("DAGSTER_HOME")
    if given:
        home = Path(given).expanduser().resolve()
        os.environ["DAGSTER_HOME"] = str(home)  # Dagster takes absolute paths only
        return home
    return use_instance(settings.home / "dagster")


def write_events_together() -> None:
    """Dagster's setting that the events it has at once, such as all that a run intends to do, are stored at once."""
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "1000"


def use_instance(home: Path) -> Path:
    """Make this folder DAGSTER_HOME, with the repository's dagster.yaml but for its paths: they are Dagster's defaults there."""
    source = REPOSITORY / "dagster.yaml"
    text = source.read_text(encoding="utf-8") if source.exists() else MINIMAL_INSTANCE
    blocks = re.compile(rf"(?m)^({'|'.join(OWN_STORAGE)}):\n(?:[ \t].*\n|\n)*")
    text = WRITTEN_BY + blocks.sub("", text)
    target = home / "dagster.yaml"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        temporary = home / f".dagster.yaml.{os.getpid()}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    os.environ["DAGSTER_HOME"] = str(home)  # Dagster's own commands and daemons read it from there
    return home


def sync_counts(outcome: "Outcome", providers: "dict[str, Provider]") -> dict[str, dict[str, Any]]:
    """The contract's object per provider."""
    counts: dict[str, dict[str, Any]] = {}
    for name in providers:
        report = outcome.pulls.get(name)
        load = outcome.refresh.load if outcome.refresh else None
        counts[name] = {
            "requests": report.requests if report else 0,
            "landed": report.landed if report else 0,
            "unchanged": report.unchanged if report else 0,
            "loaded": load.loaded.get(name, 0) if load else 0,
            "rejected": load.rejected.get(name, 0) if load else 0,
            "open": report.open if report else 0,
            "detail_pending": report.detail_pending if report else 0,
            "error": report.error if report else "It was not reached: the run ended before.",
        }
    return counts


def end(outcome: "Outcome") -> None:
    """Say what went wrong and end with the exit code for it."""
    for line in (*([str(outcome.error)] if outcome.error else []), *outcome.problems):
        say(line)
    if outcome.signal:
        say("Interrupted: what was fetched has landed, the next sync goes on from there.")
        raise typer.Exit(128 + outcome.signal)
    if outcome.error is not None:
        raise typer.Exit(exit_code(outcome.error))
    if not outcome.is_success or outcome.problems or any(report.error for report in outcome.pulls.values()):
        for name, report in outcome.pulls.items():
            if report.error:
                say(f"{name}: {report.error}")
        raise typer.Exit(1)


def exit_code(error: Exception) -> int:
    """2 for usage and settings, 1 for everything else (contract §1)."""
    return 2 if isinstance(error, SettingsError) else 1
