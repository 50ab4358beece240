"""Equity, its benchmarks and the drawdown as a figure for a notebook."""

from __future__ import annotations

from typing import Any

from forecastle.nouns.backtest_result import BacktestResult


def equity_figure(result: BacktestResult) -> Any:
    """Return a Plotly figure: equity beside its benchmarks on a log scale, the drawdown below."""
    from plotly import graph_objects as go  # slow to import: only for those who ask for it
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.04)
    times = result.market.close_time
    figure.add_trace(go.Scatter(x=times, y=result.equity, name=result.strategy), row=1, col=1)
    for other in result.benchmarks:
        figure.add_trace(
            go.Scatter(x=times, y=other.equity, name=other.name, line={"width": 1, "dash": "dot"}), row=1, col=1
        )
    figure.add_trace(go.Scatter(x=times, y=100.0 * result.drawdown, name="drawdown", fill="tozeroy"), row=2, col=1)
    figure.update_yaxes(type="log", title="equity", row=1, col=1)
    figure.update_yaxes(title="drawdown", ticksuffix=" %", row=2, col=1)
    figure.update_layout(title=f"{result.strategy} on {', '.join(result.instruments)} {result.timeframe}",
                         hovermode="x unified")  # fmt: skip
    return figure
