"""The report's charts: rows -> static SVG. Altair draws them, vl-convert renders them in process; no JavaScript reaches the page.

Colours are written for paper and light screens; `dark_rules` turns them for dark ones, so a chart is rendered once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup, escape

from pipelines.report.queries import Row

_INK, _MUTED, _GRID = "#1f2733", "#5b6675", "#e2e6eb"
_SERIES = ("#2468b2", "#c25a00", "#128260", "#8a48b0", "#9a7400", "#bf3b67", "#1f8594", "#6b7280")
_PERCENTILES = {"p50": "#2468b2", "p95": "#9a7400", "p99": "#bf3b67"}
_DARK = {
    _INK: "#e8ecf2", _MUTED: "#a3aebd", _GRID: "#333d4b", "#2468b2": "#6cb0f5", "#c25a00": "#f2994e", "#128260": "#4fca9e",
    "#8a48b0": "#cb97ea", "#9a7400": "#dfba49", "#bf3b67": "#f487aa", "#1f8594": "#62c8d6", "#6b7280": "#a9b2bf",
}  # fmt: skip
_PHASES = ("dns", "tcp", "tls", "handshake", "wait", "first_byte", "download", "redirect")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
_WIDTH = 940
_FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_DURATION = (
    "datum.value >= 7200000 ? format(datum.value / 3600000, '.2~f') + ' h' : datum.value >= 120000 ? format(datum.value / 60000, '.2~f')"
    " + ' min' : datum.value >= 1000 ? format(datum.value / 1000, '.2~f') + ' s' : format(datum.value, '.2~f') + ' ms'"
)


def pass_rate(rows: Sequence[Row]) -> Markup:
    """Pass rate by provider and day. Rows: provider, utc_date, pass_rate."""
    names = sorted({str(row["provider"]) for row in rows})
    lowest = min((float(str(row["pass_rate"])) for row in rows), default=0.0)
    values = [{"provider": row["provider"], "day": str(row["utc_date"]), "pass_rate": row["pass_rate"]} for row in rows]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=44, filled=True))
        .encode(
            x=_day_axis(values),
            y=alt.Y(
                "pass_rate:Q",
                title=None,
                scale=alt.Scale(domain=[max(0.0, (int(lowest * 20) - 1) / 20), 1.0]),
                axis=alt.Axis(format=".0%", tickCount=5),
            ),
            color=_series("provider", names, list(_SERIES)),
            shape=alt.Shape("provider:N", scale=alt.Scale(domain=names, range=_cycled(_SHAPES, len(names))), title=None),
        )
        .properties(width=_WIDTH, height=230)
    )
    return _svg(chart, f"Line chart: pass rate per day of {', '.join(names)}")


def latency(rows: Sequence[Row]) -> Markup:
    """Duration percentiles by provider and day, a panel per provider. Rows: provider, utc_date, p50_/p95_/p99_duration_ms."""
    names = sorted({str(row["provider"]) for row in rows})
    values = [
        {"provider": row["provider"], "day": str(row["utc_date"]), "percentile": name, "ms": row[f"{name}_duration_ms"]}
        for row in rows
        for name in _PERCENTILES
    ]
    columns = min(2, len(names))
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28, filled=True))
        .encode(
            x=_day_axis(values),
            y=alt.Y("ms:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(labelExpr=_DURATION, tickCount=4)),
            color=_series("percentile", list(_PERCENTILES), list(_PERCENTILES.values())),
            shape=alt.Shape("percentile:N", scale=alt.Scale(domain=list(_PERCENTILES), range=list(_SHAPES[:3])), title=None),
        )
        .properties(width=(_WIDTH - 70 * (columns - 1)) / columns, height=150)
        .facet(facet=alt.Facet("provider:N", title=None), columns=columns)
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
    )
    return _svg(chart, f"Line charts: 50th, 95th and 99th percentile of the duration per day of {', '.join(names)}")


def timing(rows: Sequence[Row]) -> Markup:
    """Share of each phase in the time of a provider's exchanges. Rows: provider, phase, share_of_total."""
    names = sorted({str(row["provider"]) for row in rows})
    found = {str(row["phase"]) for row in rows}
    phases = [phase for phase in _PHASES if phase in found] + sorted(found - set(_PHASES))
    values = [
        {"provider": row["provider"], "phase": row["phase"], "share": row["share_of_total"], "place": phases.index(str(row["phase"]))}
        for row in rows
    ]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(height=26)
        .encode(
            x=alt.X("share:Q", stack="zero", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5)),
            y=alt.Y("provider:N", title=None, axis=alt.Axis(domain=False, ticks=False, labelFontSize=13, labelColor=_INK, labelPadding=8)),
            color=_series("phase", phases, list(_SERIES)),
            order=alt.Order("place:Q"),
        )
        .properties(width=_WIDTH - 40, height=alt.Step(42))
    )
    return _svg(chart, f"Stacked bars: share of {', '.join(phases)} in the time of {', '.join(names)}")


def dark_rules() -> Markup:
    """CSS rules that give the charts their colours on a dark screen."""
    rules = (f'.chart [{attribute}="{light}"]{{{attribute}:{dark}}}' for light, dark in _DARK.items() for attribute in ("fill", "stroke"))
    return Markup("\n".join(rules))  # noqa: S704 - made of the constants above


def _series(field: str, names: list[str], colours: list[str]) -> alt.Color:
    return alt.Color(
        f"{field}:N",
        title=None,
        scale=alt.Scale(domain=names, range=_cycled(colours, len(names))),
        legend=alt.Legend(orient="top", direction="horizontal", columns=8),
    )


def _cycled(values: Sequence[str], length: int) -> list[str]:
    return [values[i % len(values)] for i in range(length)]


def _day_axis(values: Sequence[dict[str, Any]]) -> alt.X:
    days = sorted({str(value["day"]) for value in values})
    shown = days[:: -(-len(days) // 8)] if days else []
    return alt.X(
        "day:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False, padding=8),
        axis=alt.Axis(format="%b %-d", grid=False, values=[f"{day}T00:00:00Z" for day in shown], labelOverlap=True),
    )


def _svg(chart: alt.Chart | alt.FacetChart, label: str) -> Markup:
    dressed = (
        chart.configure(background="transparent", font=_FONT, padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=_MUTED, gridColor=_GRID, domainColor=_MUTED, tickColor=_MUTED, labelFontSize=12, tickSize=4, domainOpacity=0.6
        )
        .configure_axisX(labelPadding=6)
        .configure_axisY(domain=False, ticks=False, labelPadding=6)
        .configure_legend(labelColor=_INK, labelFontSize=13, symbolSize=90, offset=8, columnPadding=18, labelLimit=320)
        .configure_header(labelColor=_INK, labelFontSize=13, labelFontWeight="bold", labelAnchor="start", labelPadding=4)
    )
    svg = vl_convert.vegalite_to_svg(dressed.to_dict())
    # inside HTML an <svg> needs no namespace: the page then holds no address at all. Only its own tag: what follows holds texts of data
    tag, _, drawn = svg.partition(">")
    tag = re.sub(r' xmlns(:\w+)?="[^"]*"', "", tag)
    described = f'{tag} role="img" aria-label="{escape(label)}">{drawn}'
    return Markup(described)  # noqa: S704 - Vega escapes the texts it draws; what it drew is markup
