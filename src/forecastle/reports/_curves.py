"""Charts over something else than time: volatility after a surprise, volatility over the horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from forecastle.nouns import Forecast, NewsImpact, TermPoint, VolatilityReport
from forecastle.reports._charts import Plain, Spec, axis, drawing, line
from forecastle.reports._columns import Cells, rounded
from forecastle.reports._html import Column, Markup, Row, bars, join, table, tag
from forecastle.sessions import Timeframe
from forecastle.units import annualise, percent

Drawn = tuple[Plain, dict[str, Cells]]

MOST_CURVES = 6
"""So many colours are told apart; the curves of further models are left out, and named."""
_DASHES = ("solid", "dash", "dot", "solid", "dash", "dot")
_SWATCHES = {"solid": "line", "dash": "dashed", "dot": "dotted"}
NEWS_READ = (
    "How volatile the next bar is after a surprise in this one, everything else at its long-run level, or at that of "
    "the sample where a fit has none (Engle and Ng 1993): from left to right a return further above what was expected. "
    "A curve that is steeper on the left knows that losses unsettle a market more than gains."
)
TERM_READ = (
    "The volatility of the return over so many bars, scaled to one unit of time: it rises towards the long-run "
    "level where the market is calmer than usual and falls where it is not. A naive forecast says the same for every "
    "horizon."
)


def news_impact(chart_id: str, curves: Sequence[NewsImpact], about: str) -> Drawn:
    """Return the chart of the first curves, and its columns."""
    shown, left = curves[:MOST_CURVES], curves[MOST_CURVES:]
    cells: dict[str, Cells] = {}
    traces, key = [], []
    for i, (curve, dash) in enumerate(zip(shown, _DASHES, strict=False), 1):
        cells |= {f"x{i}": rounded(100.0 * curve.shocks), f"y{i}": rounded(100.0 * curve.sigma)}
        traces.append(line(f"y{i}", curve.model, f"--c{i}", 1.8, dash, x=f"x{i}"))
        key.append((_SWATCHES[dash], f"c{i}", curve.model))
    reading = [NEWS_READ]
    reading += [f"Not drawn: {', '.join(c.model for c in left)}."] if left else []
    spec = _still(traces, axis("surprise in this bar", ticksuffix=" %"), axis("volatility, next bar", ticksuffix=" %"))
    label = f"News-impact curves of {', '.join(c.model for c in shown)}. {about}"
    return Plain(chart_id, "News-impact curves", reading, key, label, spec), cells


def term_structure(chart_id: str, report: VolatilityReport, naive: Forecast | None, periods: float | None) -> Drawn:
    """Return the chart of the headline model over its horizons, ``naive`` beside it, and its columns."""
    points, model = report.term, report.headline
    told = 100.0 * np.array([annualise(p.sigma, (periods or 1.0) / p.horizon) for p in points])
    cells: dict[str, Cells] = {"h": rounded(np.array([float(p.horizon) for p in points])), "model": rounded(told)}
    marks = {"mode": "lines+markers", "x": "h"}
    traces = [line("model", model, "--accent", 2.0, **marks)]
    key = [("line", "accent", model)]
    if naive is not None:
        flat = annualise(naive.sigma, periods) if periods else naive.sigma
        cells["naive"] = rounded(np.full(len(points), 100.0 * flat))
        traces.append(line("naive", naive.model, "--muted", 1.6, "dot", x="h"))
        key.append(("dotted", "muted", naive.model))
    unit = f"volatility a year ({periods:,.6g} periods)" if periods else "volatility a bar"
    height = axis(unit.partition(" (")[0], ticksuffix=" %", rangemode="tozero")
    spec = _still(traces, axis("bars ahead", tickvals=[p.horizon for p in points]), height)
    label = f"Term structure of volatility of {report.candles.instrument}, {model}."
    return Plain(chart_id, f"Term structure: {unit}", [TERM_READ], key, label, spec), cells


def term_table(points: Sequence[TermPoint], timeframe: Timeframe, naive: Forecast | None) -> Markup:
    """Return the same as a table, with the volatility over the whole horizon."""
    columns = [Column("Over"), Column("Volatility", "over all of it"), Column("a year")]
    columns += [Column(naive.model, "over all of it")] if naive else []
    rows = []
    for point in points:
        cells = [f"{point.horizon} {bars(timeframe, point.horizon)}", percent(point.sigma), percent(point.annual_sigma)]
        cells += [percent(naive.sigma * math.sqrt(point.horizon))] if naive else []
        rows.append(Row(cells))
    shown = table("Volatility by horizon", columns, rows, "small")
    return tag("details", join([tag("summary", "The same as a table"), shown]), "more")


def _still(traces: list[Spec], x: Spec, y: Spec) -> Spec:
    """Return a figure that cannot be zoomed: its axis is not of time, and all of it is in view."""
    lying = {**x, "fixedrange": True, "zeroline": False}
    margin = {"l": 58, "r": 14, "t": 8, "b": 46}
    return {**drawing(traces, {"xaxis": lying, "yaxis": y, "margin": margin}, {}), "still": True}
