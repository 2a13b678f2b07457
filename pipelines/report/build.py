"""Puts the report together: asks, formats, renders. SQL lives in `queries`, drawing in `charts`, looks in `report.html.j2`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.report import queries
from pipelines.report.queries import Query, Row

_SOON = timedelta(days=60)
"""A certificate is shown when it runs out within this time."""


UNKNOWN = "\N{EN DASH}"
_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def build_report(query: Query, now: datetime) -> str:
    """One self-contained HTML page about what `query` finds in `marts.*`: no script, no link, no font or image from elsewhere.

    `now` is what ages and days left are counted from. Raises what `query` raises.
    """
    (overview,) = query(queries.OVERVIEW)
    page: dict[str, object] = {"overview": overview, "now": now, "freshness": query(queries.FRESHNESS), "dark_rules": ""}
    if overview["executions"]:
        # Altair and its renderer take a second to import: not paid for an empty page, nor by who imports this module.
        from pipelines.report import charts

        certificates = query(queries.CERTIFICATES)
        page |= {
            "dark_rules": charts.dark_rules(),
            "pass_rate": _drawn(charts.pass_rate, query(queries.RELIABILITY)),
            "latency": _drawn(charts.latency, query(queries.LATENCY)),
            "timing": _drawn(charts.timing, query(queries.TIMING)),
            "incidents": query(queries.INCIDENTS),
            "flaky": query(queries.FLAKY),
            "slow_steps": query(queries.SLOW_STEPS),
            "reasons": query(queries.REASONS),
            "failures": query(queries.FAILURES),
            "certificates": [row for row in certificates if _instant(row["valid_to_at"]) - now <= _SOON],
            "soon_days": _SOON.days,
            "watches_certificates": bool(certificates),
        }
    return _environment(now).get_template("report.html.j2").render(page)


def _drawn(draw: Callable[[Sequence[Row]], Markup], rows: list[Row]) -> dict[str, object]:
    return {"svg": draw(rows) if rows else None, "rows": rows}


def _environment(now: datetime) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "duration": duration,
        "percent": percent,
        "whole": whole,
        "instant": lambda at: f"{at:%Y-%m-%d %H:%M}" if at else UNKNOWN,
        "ago": lambda at: f"{duration((now - at) / timedelta(milliseconds=1))} ago" if at else UNKNOWN,
        "days_left": lambda at: (at - now) // timedelta(days=1),
        "clip": lambda text, length: text if text is None or len(text) <= length else text[: length - 1] + "…",
    }
    return environment


def duration(ms: float | None) -> str:
    """Milliseconds for eyes: 180 ms, 9.3 s, 2 min 5 s, 3 h 20 min, 4 d 2 h."""
    if ms is None:
        return UNKNOWN
    if ms < 999.5:
        return f"{ms:.0f} ms" if ms >= 10 or ms == 0 else f"{ms:.1f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    size, unit, below, part = next(each for each in _UNITS if seconds >= each[0])
    rest = seconds % size // below
    return f"{seconds // size} {unit} {rest} {part}" if rest else f"{seconds // size} {unit}"


def percent(share: float | None) -> str:
    """A share for eyes, rounded down: only what is whole says 100%."""
    return UNKNOWN if share is None else f"{math.floor(round(share * 1000, 6)) / 10:.1f}%"


def whole(number: int | None) -> str:
    """A count for eyes, thousands apart."""
    return UNKNOWN if number is None else f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value
