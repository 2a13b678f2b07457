"""What the command line shows: tables, JSON, CSV on stdout; progress and remarks on stderr. No work is done here.

What data holds is shown and never obeyed: no control character reaches a terminal, no formula a spreadsheet.
"""

import csv
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace, TracebackType
from typing import Any, Protocol

FORMULA = re.compile(r"[\s\0-\x20'\u200b-\u200f\ufeff]*[=+@\uff0b\uff0d\uff1d\uff20-]|[\t\r\n\0]")
"""How a text begins that a spreadsheet may run: sign, full-width sign, control character; blanks before a sign are skipped there."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf")


def say(line: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(_printable(line) + "\n")
    sys.stderr.flush()


def out(text: str) -> None:
    """A line of the result, on stdout."""
    sys.stdout.write("\n".join(map(_printable, text.split("\n"))) + "\n")


def out_json(value: Any) -> None:
    """Exactly one object."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False, default=lambda other: other.isoformat()) + "\n")


def out_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """CSV with a header; NULL is empty, lists and objects are JSON text. A text that a spreadsheet may run begins with an apostrophe."""
    lines: list[str] = []
    # the writer quotes what holds a line's end, and only that: with \r\n here a lone \r is quoted, too
    writer = csv.writer(SimpleNamespace(write=lambda line: lines.append(line[:-2] + "\n")), lineterminator="\r\n")
    writer.writerow(map(_harmless, columns))
    writer.writerows([_harmless(_flat(value)) for value in row] for row in rows)
    sys.stdout.write("".join(lines))


def out_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table: framed on a terminal, aligned text elsewhere."""
    cells = [["" if value is None else _printable(str(_flat(value))) for value in row] for row in rows]
    is_number = [
        any(isinstance(row[index], (int, float)) for row in rows)
        and all(row[index] is None or isinstance(row[index], (int, float)) for row in rows)
        for index in range(len(columns))
    ]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for name, right in zip(columns, is_number, strict=True):
            table.add_column(Text(_printable(name)), justify="right" if right else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    names = [_printable(name) for name in columns]
    widths = [max(len(name), *(len(row[index]) for row in cells)) if cells else len(name) for index, name in enumerate(names)]
    for line in (names, *cells):
        padded = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, is_number, strict=True))
        out("  ".join(padded).rstrip())


class Pull(Protocol):
    """What progress is told of a provider."""

    provider: str
    requests: int
    landed: int
    unchanged: int
    error: str | None


class Progress(AbstractContextManager["Progress"]):
    """How far a sync is: bars on a terminal, elsewhere one line when a provider starts and one when it has ended."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = titles
        self._current: Pull | None = None
        self._is_loading = False
        self._update: Callable[[str, str, float | None], None] | None = None
        self._close: Callable[[], None] = lambda: None
        if sys.stderr.isatty():
            self._start_bars()

    def on_pull(self, report: Pull) -> None:
        """A provider's crawl went on."""
        title = self._titles.get(report.provider, report.provider)
        if self._current is not report:
            self._end_pull()
            self._current = report
            if self._update is None:
                say(f"{title}: started")
        if self._update is not None:
            self._update(title, _counts(report), None)

    def on_load(self, done: int, total: int) -> None:
        """Raw files were loaded."""
        self._end_pull()
        if self._update is not None:
            self._update("Warehouse", f"{done} of {total} files", done / total if total else 1.0)
        elif not self._is_loading:
            say(f"Warehouse: loading {total} files")
        self._is_loading = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end_pull()
        self._close()

    def _end_pull(self) -> None:
        report, self._current = self._current, None
        if report is None:
            return
        title = self._titles.get(report.provider, report.provider)
        said = f"{_counts(report)}{f', error: {report.error}' if report.error else ''}"
        if self._update is not None:
            self._update(title, said, 1.0)
        else:
            say(f"{title}: ended, {said}")

    def _start_bars(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        bars = Bars(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,
        )
        tasks: dict[str, Any] = {}

        def update(name: str, said: str, share: float | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None, said="")
            bars.update(tasks[name], said=_printable(said), total=None if share is None else 1.0, completed=share or 0.0)

        bars.start()
        self._update, self._close = update, bars.stop


def _counts(report: Pull) -> str:
    return f"{report.requests} requests, {report.landed} landed, {report.unchanged} unchanged"


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _harmless(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value) else value


def _printable(text: str) -> str:
    """Control characters of data made visible: they could move the cursor, colour the terminal, turn the line or fake another one."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode() for char in text
    )
