"""Chart specifications: plain plotly figures as data, columns and colours by name.

A trace's ``x`` and ``y`` name columns; a string that starts with two dashes names a CSS variable.
``page.js`` puts in both, so the numbers are in the file once and the colours follow the scheme.
Plain dictionaries, because importing and filling ``plotly.graph_objects`` is slow and gives the
same JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forecastle.reports._columns import Cells, Columns
from forecastle.reports._html import Markup, join, tag, text

Spec = dict[str, Any]
WINDOWS = (250, 1_000)
MANY_BREACHES = 150


@dataclass(frozen=True)
class Chart:
    """One figure: what it is called, how to read it, its key, and its specification."""

    id: str
    title: str
    reading: Sequence[str]
    key: Sequence[tuple[str, str, str]]
    label: str
    spec: Spec
    window: int | None = None

    def html(self) -> Markup:
        """Return heading, key and window buttons; the browser makes the drawing."""
        key = join(
            tag("li", join([tag("span", kind=f"swatch {shape} {name}", aria_hidden="true"), words]))
            for shape, name, words in self.key
        )
        head = tag(
            "figcaption",
            join([tag("h3", self.title), tag("p", join(self.reading, " "), "reading")]),
        )
        tools = tag("div", join([tag("ul", key, "key"), self._buttons()]), "tools")
        drawing = tag("div", "", "chart", id=self.id, role="img", aria_label=self.label)
        return tag("figure", join([head, tools, drawing]))

    def _buttons(self) -> Markup:
        choices = [(str(n), f"Last {n:,}") for n in WINDOWS] + [("0", "All")]
        pressed = str(self.window or 0)
        buttons = (
            f'<button type="button" data-chart="{text(self.id)}" data-bars="{n}" '
            f'aria-pressed="{"true" if n == pressed else "false"}">{words}</button>'
            for n, words in choices
        )
        return tag("div", Markup("".join(buttons)), "windows", role="group", aria_label="Bars shown")

    def document(self, columns: str) -> Spec:
        """Return what ``page.js`` needs to draw it, with the name of its set of columns."""
        return {"id": self.id, "columns": columns, "window": self.window or 0, **self.spec}


class Plain(Chart):
    """A figure that is shown whole: no buttons choose a number of bars."""

    def _buttons(self) -> Markup:
        return Markup()


def fan(chart_id: str, columns: Columns, reading: Sequence[str], label: str) -> Chart:
    """Return the bands of past forecasts with what happened as dots."""
    traces = [
        line("q05", "5 %", "--band-edge", 0.5),
        line("q95", "95 %", "--band-edge", 0.5, fill="tonexty", fillcolor="--band-wide"),
        line("q25", "25 %", "--band-edge", 0.5),
        line("q75", "75 %", "--band-edge", 0.5, fill="tonexty", fillcolor="--band-narrow"),
        dots("t", "r", "outcome", "--ink", "circle", 4),
        dots("breach_t", "breach_r", "breach", "--breach", "x", _cross(columns)),
    ]
    key = [
        ("area", "wide", "5 % to 95 %"),
        ("area", "narrow", "25 % to 75 %"),
        ("dot", "outcome", "what happened"),
        ("cross", "breach", "breach of VaR"),
    ]
    layout = {"yaxis": axis("log return", ticksuffix=" %")}
    fit = {"yaxis": {"columns": ["q05", "q95", "r"]}}
    title = "Fan: what was forecast one bar before, and what happened"
    return Chart(chart_id, title, reading, key, label, drawing(traces, layout, fit), window=WINDOWS[0])


def price(chart_id: str, columns: Columns, reading: Sequence[str], label: str, volatility: str) -> Chart:
    """Return the price (left, log scale) with the conditional volatility (right)."""
    shown = f"%{{y:,.{_decimals(columns.cells['price'])}f}}"
    traces = [
        line("sigma", "volatility", "--sigma", 1.0),
        line("price", "price", "--ink", 1.4, yaxis="y2", hovertemplate=shown),
    ]
    # The second axis is drawn over the first: the price must not vanish under the volatility.
    left = {"overlaying": "y", "side": "left", "type": "log", "tickmode": "array"}
    right = {"side": "right", "showgrid": False, "ticksuffix": " %"}
    layout = {
        "yaxis": axis(volatility.partition(" (")[0], **right),
        "yaxis2": axis("price, log scale", **left),
    }
    fit = {
        "yaxis": {"columns": ["sigma"], "zero": True},
        "yaxis2": {"columns": ["price"], "log": True},
    }
    key = [
        ("line", "price", "price, left, log scale"),
        ("line", "sigma", f"{volatility}, right"),
    ]
    title = "Price and conditional volatility"
    return Chart(chart_id, title, reading, key, label, drawing(traces, layout, fit))


def breaches(chart_id: str, columns: Columns, reading: Sequence[str], label: str, level: str) -> Chart:
    """Return returns as thin bars with minus VaR, minus ES and the breaches."""
    traces = [
        # Bars as one path: thousands of separate SVG bars would make the page slow.
        line("r", "return", "--stem", 1.0, stem=True, hoverinfo="skip"),
        line("r", "return", "--stem", 0.0),
        line("var", f"-VaR {level}", "--accent", 1.4),
        line("es", f"-ES {level}", "--sigma", 1.2, dash="dot"),
        dots("breach_t", "breach_r", "breach", "--breach", "x", _cross(columns)),
    ]
    key = [
        ("bar", "stem", "return"),
        ("line", "accent", f"minus VaR {level}"),
        ("dotted", "sigma", f"minus ES {level}"),
        ("cross", "breach", "breach of VaR"),
    ]
    layout = {"yaxis": axis("log return", ticksuffix=" %")}
    fit = {"yaxis": {"columns": ["r", "es"]}}
    title = "Value at risk and its breaches"
    return Chart(chart_id, title, reading, key, label, drawing(traces, layout, fit))


def evidence(chart_id: str, columns: Columns, reading: Sequence[str], label: str, asked: float) -> Chart:
    """Return the evidence against VaR and ES over time, log scale, with the line at which they are rejected."""
    hover = {"hovertemplate": "%{y:,.3~g}"}
    traces = [line("evidence", "against VaR", "--accent", 1.6, **hover)]
    key = [("line", "accent", "evidence against VaR"), ("dashed", "breach", f"{asked:g}: rejected")]
    if "evidence_es" in columns.cells:
        traces.append(line("evidence_es", "against ES", "--sigma", 1.4, "dot", **hover))
        key.insert(1, ("dotted", "sigma", "evidence against ES"))
    stroke = {"color": "--breach", "width": 1.2, "dash": "dash"}
    at = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": asked, "y1": asked, "line": stroke}
    layout = {"yaxis": axis("evidence, log scale", type="log", tickmode="array"), "shapes": [at]}
    names = [str(t["y"]) for t in traces]
    fit = {"yaxis": {"columns": names, "log": True, "include": [1.0, asked]}}
    title = "Evidence against VaR and ES, bar by bar"
    return Chart(chart_id, title, reading, key, label, drawing(traces, layout, fit))


def drawing(traces: list[Spec], layout: Spec, fit: Spec) -> Spec:
    """Return a whole figure: ``fit`` says for each axis which columns its height follows."""
    base = {
        "margin": {"l": 58, "r": 62 if "yaxis2" in layout else 14, "t": 8, "b": 34},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "--font", "color": "--muted", "size": 12},
        "showlegend": False, "hovermode": "x unified", "dragmode": "zoom",
        "hoverlabel": {"bgcolor": "--panel", "bordercolor": "--rule", "font": {"color": "--ink"}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "--muted", "activecolor": "--ink"},
        "xaxis": axis("", type="date", showgrid=False, nticks=9, showspikes=False),
    }  # fmt: skip
    return {"traces": traces, "layout": {**base, **layout}, "fit": fit}


def axis(title: str, **more: Any) -> Spec:
    """Return an axis in the house's colours; only axes of time can be zoomed."""
    lines = {"gridcolor": "--grid", "linecolor": "--rule", "zeroline": False, "automargin": False}
    # Zooming is along time only; the height follows what is in view.
    fixed = {} if more.get("type") == "date" else {"fixedrange": True}
    return {"title": {"text": title, "standoff": 6}, **lines, **fixed, **more}


def line(y: str, name: str, color: str, width: float, dash: str = "solid", **more: Any) -> Spec:
    """Return the trace of a column over ``t``."""
    stroke = {"color": color, "width": width, "dash": dash}
    base = {"type": "scatter", "mode": "lines", "x": "t", "y": y, "name": name, "line": stroke}
    return {**base, "hovertemplate": "%{y:.3f} %", **more}


def dots(x: str, y: str, name: str, color: str, symbol: str, size: int) -> Spec:
    """Return the trace of two columns as marks."""
    marker = {"color": color, "symbol": symbol, "size": size, "line": {"width": 0}}
    base = {"type": "scatter", "mode": "markers", "x": x, "y": y, "name": name, "marker": marker}
    return {**base, "hovertemplate": "%{y:.3f} %"}


def _cross(columns: Columns) -> int:
    """Return the size of a breach's cross: smaller where hundreds would hide each other."""
    return 8 if len(columns.cells["breach_t"]) <= MANY_BREACHES else 5


def _decimals(cells: Cells) -> int:
    """Return decimals that show six digits of the smallest price: 0 for 100,000."""
    known = [c for c in cells if isinstance(c, float)]
    return min(12, max(0, 5 - math.floor(math.log10(min(known))))) if known else 2
