"""The charts of a backtest: price with fills, equity, drawdown, exposure, the rolling Sharpe ratio, returns, costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecastle.nouns.backtest_result import BacktestResult, Benchmark
from forecastle.reports._charts import Chart, Plain, Spec, axis, drawing, line
from forecastle.reports._columns import Cells, rounded
from forecastle.reports._figure_words import money
from forecastle.reports._result_tables import bridge
from forecastle.reports._verdict import ruined_at
from forecastle.reports._words import many

Key = list[tuple[str, str, str]]
MOST_LINES = 6
"""So many benchmarks or instruments are told apart; further ones are only in the tables."""
_DASHES = ("solid", "dash", "dot", "solid", "dash", "dot")
_SWATCHES = {"solid": "line", "dash": "dashed", "dot": "dotted"}
_MARKS = (("buy", "triangle-up", "--accent"), ("sell", "triangle-down", "--breach"),
          ("liquidation", "x", "--ink"))  # fmt: skip
_PLURAL = {"buy": "buys", "sell": "sells", "liquidation": "liquidations"}
_WIDE = {"l": 70, "r": 14, "t": 8, "b": 34}
"""Room for numbers of six digits."""
MANY_MARKS = 150
ZOOM = "Drag along time to look closer, and double-click to see all again."


def equity(result: BacktestResult, beside: Sequence[Benchmark]) -> Chart:
    """Return equity and that of the benchmarks, log scale."""
    hover = {"hovertemplate": "%{y:,.6~g}"}
    traces, key = [], [("line", "ink", result.strategy)]
    for i, (one, dash) in enumerate(zip(beside, _DASHES, strict=False), 1):
        traces.append(line(f"b{i}", one.name, f"--c{i}", 1.3, dash, **hover))
        key.append((_SWATCHES[dash], f"c{i}", one.name))
    traces.append(line("equity", result.strategy, "--ink", 2.0, **hover))
    names = [str(t["y"]) for t in traces]
    layout = {"yaxis": axis("equity, log scale", type="log", tickmode="array"), "margin": _WIDE}
    fit = {"yaxis": {"columns": names, "log": True}}
    reading = [f"Equity at each close from {money(result.cash)} of cash. {ZOOM}"]
    left = [b.name for b in result.benchmarks[len(beside) :]]
    reading += [f"Not drawn: {', '.join(left)}."] if left else []
    reading += ["Equity at or below zero has no place on this scale."] if ruined_at(result) is not None else []
    spec = drawing(traces, layout, fit)
    return Plain("equity", "Equity", reading, key, f"Equity of {result.strategy} over time", spec)


def drawdown(result: BacktestResult) -> Chart:
    """Return how far equity was below its high."""
    trace = line(
        "drawdown", "drawdown", "--breach", 1.2, fill="tozeroy", fillcolor="--fall", hovertemplate="%{y:.2f} %"
    )
    spec = drawing([trace], {"yaxis": axis("drawdown", ticksuffix=" %")},
                   {"yaxis": {"columns": ["drawdown"], "include": [0.0]}})  # fmt: skip
    key = [("line", "breach", "below the high so far")]
    return Plain("drawdown", "Drawdown", ["How far equity was below its highest close so far."], key,
                 f"Drawdown of {result.strategy}", spec)  # fmt: skip


def exposure(result: BacktestResult) -> Chart:
    """Return the net notional over equity."""
    stroke = {"color": "--accent", "width": 1.2, "dash": "solid", "shape": "hv"}
    trace = {**line("exposure", "net exposure", "--accent", 1.2, hovertemplate="%{y:.1f} %"), "line": stroke}
    spec = drawing([trace], {"yaxis": axis("net exposure", ticksuffix=" %")},
                   {"yaxis": {"columns": ["exposure"], "include": [0.0]}})  # fmt: skip
    words = "Net notional of all positions over equity at each close: above zero long, below zero short."
    key = [("line", "accent", "net exposure")]
    return Plain("exposure", "Exposure", [words], key, f"Exposure of {result.strategy}", spec)


def candles(chart_id: str, title: str, cells: dict[str, Cells], reading: Sequence[str]) -> Chart:
    """Return candles with the fills on them."""
    up, down = ({"line": {"color": ink, "width": 1}, "fillcolor": fill}
                for ink, fill in (("--c3", "--paper"), ("--stem", "--stem")))  # fmt: skip
    prices = {name: name for name in ("open", "high", "low", "close")}
    bars: Spec = {"type": "candlestick", "x": "t", **prices, "increasing": up, "decreasing": down, "name": "price"}
    traces, key = [bars], [("hollow", "c3", "rose"), ("solid", "stem", "fell")]
    size = 9 if sum(len(cells[f"{name}_t"]) for name, _, _ in _MARKS) <= MANY_MARKS else 6
    for name, symbol, color in _MARKS:
        if not cells[f"{name}_t"]:
            continue
        traces.append(_mark(name, symbol, color, size))
        key.append((name, "", _PLURAL[name]))
    layout = {
        "yaxis": axis("price, log scale", type="log", tickmode="array"), "hovermode": "closest", "margin": _WIDE,
        "xaxis": axis("", type="date", showgrid=False, nticks=9, showspikes=False, rangeslider={"visible": False}),
    }  # fmt: skip
    fit = {"yaxis": {"columns": ["low", "high"], "log": True}}
    return Plain(chart_id, title, reading, key, f"{title}: candles with fills", drawing(traces, layout, fit))


def _mark(name: str, symbol: str, color: str, size: int) -> Spec:
    edge = {"width": 1, "color": "--paper"}
    marker = {"color": color, "symbol": symbol, "size": size, "line": edge, "opacity": 0.9}
    return {
        "type": "scatter", "mode": "markers", "x": f"{name}_t", "y": f"{name}_y", "text": f"{name}_text",
        "name": _PLURAL[name], "marker": marker, "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def normalised(result: BacktestResult, cells: dict[str, Cells]) -> Chart:
    """Return the closes of several instruments, 100 at the first of each."""
    traces, key = [], []
    for i, (name, dash) in enumerate(zip(result.market.names, _DASHES, strict=False), 1):
        traces.append(line(f"p{i}", name, f"--c{i}", 1.3, dash, hovertemplate="%{y:,.5~g}"))
        key.append((_SWATCHES[dash], f"c{i}", name))
    left = result.market.names[MOST_LINES:]
    reading = ["Closes, 100 at the first bar of each, log scale."]
    reading += [f"Not drawn: {', '.join(left)}."] if left else []
    layout = {"yaxis": axis("close, first is 100", type="log", tickmode="array")}
    fit = {"yaxis": {"columns": [str(t["y"]) for t in traces], "log": True}}
    return Plain("prices", "Prices side by side", reading, key, f"Prices of {', '.join(result.market.names)}",
                 drawing(traces, layout, fit))  # fmt: skip


def rolling(result: BacktestResult, window: int) -> Chart:
    """Return the Sharpe ratio of the last so many bars."""
    at = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": 0, "y1": 0,
          "line": {"color": "--muted", "width": 1}}  # fmt: skip
    trace = line("sharpe", "Sharpe ratio", "--sigma", 1.4, hovertemplate="%{y:.2f}")
    spec = drawing([trace], {"yaxis": axis("Sharpe ratio"), "shapes": [at]},
                   {"yaxis": {"columns": ["sharpe"], "include": [0.0]}})  # fmt: skip
    about = "a year" if window == round(result.periods_per_year) else "a third of the time"
    year = f"a year is {result.periods_per_year:,.6g} periods"
    words = f"Of the last {window:,} bars ({about}), from the first whole window on; {year}."
    return Plain("rolling", "Rolling Sharpe ratio", [words], [("line", "sigma", "Sharpe ratio")],
                 f"Rolling Sharpe ratio of {result.strategy}", spec)  # fmt: skip


def spread(result: BacktestResult) -> Chart:
    """Return how the log returns of a bar fell, beside a normal law."""
    bars: Spec = {"type": "bar", "x": "x", "y": "count", "name": "bars", "marker": {"color": "--stem"},
                  "hovertemplate": "%{x:.3~g} %: %{y:,.0f} bars<extra></extra>"}  # fmt: skip
    traces = [bars, line("normal", "normal", "--accent", 1.6, "dot", x="x", hoverinfo="skip", hovertemplate=None)]
    still = int((result.returns == 0.0).sum())
    words = [f"Log returns of equity, one {result.timeframe} bar each; the outermost bins hold all that lies beyond."]
    words += [f"{many(still, 'bar')} without a change left out."] if still else []
    key = [("bar", "stem", "bars"), ("dotted", "accent", "a normal law with the same mean and spread")]
    layout = {
        "xaxis": axis("log return a bar", ticksuffix=" %"),
        "yaxis": axis("bars", rangemode="tozero"),
        "bargap": 0.05,
    }
    return Plain(
        "spread", "Distribution of returns", words, key, f"Returns of {result.strategy}", _still(traces, layout)
    )


def waterfall(result: BacktestResult) -> tuple[Chart, dict[str, Cells]]:
    """Return the way from gross to net; costs of nothing are left out."""
    steps = [s for s in bridge(result) if s[2] or s[1] != 0.0]
    cells: dict[str, Cells] = {
        "x": [name.partition(" (")[0].replace("_", " ") for name, _, _ in steps],
        "y": rounded(np.array([amount for _, amount, _ in steps])),
        "text": [money(amount) for _, amount, _ in steps],
    }
    trace: Spec = {
        "type": "waterfall", "x": "x", "y": "y", "text": "text", "name": "costs",
        "measure": ["absolute", *["relative"] * (len(steps) - 2), "total"], "textposition": "none",
        "decreasing": {"marker": {"color": "--breach"}}, "increasing": {"marker": {"color": "--c3"}},
        "totals": {"marker": {"color": "--accent"}}, "connector": {"line": {"color": "--rule", "width": 1}},
        "hovertemplate": "%{x}: %{text}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": axis("", type="category", showgrid=False, automargin=True),
        "yaxis": axis("money"),
        "bargap": 0.35,
    }
    key = [("patch", "accent", "gross and net"), ("patch", "breach", "costs"), ("patch", "c3", "received")]
    words = (
        f"From what prices earned to what was left, in the quote currency, after {many(result.fills.height, 'fill')}."
    )
    label = f"Costs of {result.strategy}: " + ", ".join(f"{n} {money(v)}" for n, v, _ in steps)
    return Plain("costs", "From gross to net", [words], key, label, _still([trace], layout)), cells


def _still(traces: list[Spec], layout: Spec) -> Spec:
    """Return a figure over something else than time: all of it is in view."""
    over = {**layout["xaxis"], "fixedrange": True}
    more = {"margin": {**_WIDE, "b": 46}, "hovermode": "closest"}
    return {**drawing(traces, {**layout, **more, "xaxis": over}, {}), "still": True}
