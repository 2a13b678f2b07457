"""What the command line shows, on a terminal and elsewhere: progress in the right order, data that is never obeyed."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from assets.console import Progress, out_table

TITLES = {"checkly": "Checkly", "datadog": "Datadog"}


@dataclass
class Report:
    """What progress is told of a provider."""

    provider: str
    requests: int = 0
    landed: int = 0
    unchanged: int = 0
    error: str | None = None


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _sync() -> None:
    """A sync of two providers, one with an error, and a load, as the assets tell of it."""
    with Progress(TITLES) as progress:
        first, second = Report("checkly"), Report("datadog")
        progress.on_pull(first)
        first.requests, first.landed = 7, 3
        progress.on_pull(first)
        progress.on_pull(second)
        second.requests, second.unchanged, second.error = 2, 1, "refused\x1b[2J"
        progress.on_pull(second)
        progress.on_load(0, 2)
        progress.on_load(2, 2)


def test_without_a_terminal_each_provider_has_one_line_at_its_start_and_one_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    _sync()
    assert capsys.readouterr().err.splitlines() == [
        "Checkly: started",
        "Checkly: ended, 7 requests, 3 landed, 0 unchanged",
        "Datadog: started",
        "Datadog: ended, 2 requests, 0 landed, 1 unchanged, error: refused\\x1b[2J",
        "Warehouse: loading 2 files",
    ]


def test_a_provider_that_ends_with_the_sync_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress({}) as progress:
        progress.on_pull(Report("acme", 1, 1))
    assert capsys.readouterr().err.splitlines() == ["acme: started", "acme: ended, 1 requests, 1 landed, 0 unchanged"]


def test_on_a_terminal_bars_tell_the_same_and_no_data_moves_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    _sync()
    shown = terminal.getvalue()
    for part in ("Checkly", "7 requests, 3 landed", "Datadog", "error: refused\\x1b[2J", "Warehouse", "2 of 2 files"):
        assert part in shown
    assert "refused\x1b" not in shown


def test_a_load_of_nothing_is_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(TITLES) as progress:
        progress.on_load(0, 0)
    assert "0 of 0 files" in terminal.getvalue()


def test_a_table_on_a_terminal_is_framed_and_shows_markup_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    out_table(["na\x07me", "number", "what"], [["[bold]a[/bold]", 12, None], ["b\x1b[31m", 3.5, {"key": [1]}]])
    shown = terminal.getvalue()
    assert "[bold]a[/bold]" in shown
    assert "b\\x1b[31m" in shown
    assert "na\\x07me" in shown
    assert '{"key": [1]}' in shown
    assert any(line.startswith(("┏", "+")) for line in shown.splitlines())
