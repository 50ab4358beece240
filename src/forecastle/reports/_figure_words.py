"""The figures of a backtest as a person reads them: what each is called, what it is, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from forecastle.nouns.scorecard import Figure
from forecastle.reports._html import NOT_KNOWN, fixed, significant

Unit = Literal["percent", "ratio", "count", "times"]
DEFINITIONS = {
    "total_return": "Final equity over the cash at the beginning, less one.",
    "cagr": "exp(sum of log returns / years) - 1.",
    "volatility": "Standard deviation (n - 1) of log returns times the root of periods a year.",
    "sharpe": "Mean over standard deviation (n - 1) of log returns times the root of periods a year.",
    "sortino": "Mean over root mean square of the log returns below zero (over all periods), times the same root.",
    "max_drawdown": "Deepest fall of equity from a high before it, a share of that high.",
    "drawdown_bars": "Most bars from a high of equity to the next, or to the end.",
    "mar": "CAGR over the deepest drawdown, of the whole time.",
    "calmar": "The same of the last three years.",
    "tail_ratio": "95 % quantile of log returns over the absolute 5 % quantile.",
    "exposure": "Share of bars with a position at their close.",
    "gross_exposure": "Mean of the gross notional over equity.",
    "largest_exposure": "Largest gross notional over equity at a close.",
    "trades": "Round trips that were closed.",
    "win_rate": "Share of closed round trips that earned more than their own costs.",
    "profit_factor": "Gains of the winning round trips over the losses of the others, after their costs.",
    "mean_trade": "Mean gain of a closed round trip after its costs, over the notional it was opened with.",
    "turnover": "Notional traded over the mean equity, a year.",
}
"""What scoring says of each (a test compares them): parts never import each other."""
_LABELS = {
    "cagr": "CAGR", "sharpe": "Sharpe ratio", "sortino": "Sortino ratio", "mar": "MAR ratio", "calmar": "Calmar ratio",
    "drawdown_bars": "Longest drawdown", "max_drawdown": "Deepest drawdown", "exposure": "Time in the market",
    "mean_trade": "Mean trade", "trades": "Closed trades",
}  # fmt: skip
_UNITS: dict[str, Unit] = {
    **dict.fromkeys(("total_return", "cagr", "volatility", "max_drawdown", "exposure", "win_rate"), "percent"),
    **dict.fromkeys(("gross_exposure", "largest_exposure", "mean_trade"), "percent"),
    **dict.fromkeys(("sharpe", "sortino", "mar", "calmar", "tail_ratio", "profit_factor"), "ratio"),
    **dict.fromkeys(("drawdown_bars", "trades"), "count"),
    "turnover": "times",
}  # fmt: skip


def label(name: str) -> str:
    """Return what a figure is called: ``max_drawdown`` is ``Deepest drawdown``."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def number(name: str, value: float | None) -> str:
    """Write a figure in its unit; None, NaN and infinity are ``n/a``."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    unit = _UNITS.get(name)
    if unit == "percent":
        return f"{100.0 * value + 0.0:,.2f} %"
    if unit == "count":
        return f"{value:,.0f}{' bars' if name == 'drawdown_bars' else ''}"
    if unit == "times":
        return f"{fixed(value, 2)} times"
    return fixed(value, 2) if unit == "ratio" else significant(value, 4)


def value(figures: Mapping[str, Figure], name: str) -> str:
    """Write one of the figures; ``n/a`` where there is none."""
    return number(name, figures[name].value if name in figures else None)


def interval(name: str, figure: Figure) -> str:
    """Write the 95 % interval of a figure; empty where it has none."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(name, figure.low)} to {number(name, figure.high)}"


def money(amount: float) -> str:
    """Write an amount of the quote currency: two decimals, more for small change."""
    if not math.isfinite(amount):
        return NOT_KNOWN
    return f"{amount:,.2f}" if amount == 0.0 or abs(amount) >= 1.0 else f"{amount:,.4g}"


def price(amount: float | None) -> str:
    """Write a price or a quantity with up to eight significant digits and no exponent; None is ``n/a``."""
    if amount is None or not math.isfinite(amount):
        return NOT_KNOWN
    if amount == 0.0:
        return "0"
    decimals = min(12, max(0, 7 - math.floor(math.log10(abs(amount)))))
    shown = f"{amount:,.{decimals}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
