"""The key figures of a backtest as cards."""

from __future__ import annotations

from forecastle.nouns.backtest_result import BacktestResult
from forecastle.reports._figure_words import interval, label, money, number
from forecastle.reports._html import NOT_KNOWN, Markup, join, tag
from forecastle.reports._words import many
from forecastle.units import percent

_SHOWN = ("total_return", "cagr", "sharpe", "max_drawdown", "volatility")


def tiles(result: BacktestResult) -> Markup:
    """Return the cards: each figure with its interval or the reason why it has none."""
    shown = [_figure(result, name) for name in _SHOWN if name in result.figures]
    return tag("div", join([*shown, _deflated(result), _trades(result), _paid(result)]), "tiles")


def _figure(result: BacktestResult, name: str) -> Markup:
    one = result.figures[name]
    told = interval(name, one)
    note = one.reason if one.value is None else f"95 %: {told}" if told else ""
    return _tile(label(name), number(name, one.value), note)


def _deflated(result: BacktestResult) -> Markup:
    found = result.deflated
    if found is None or found.probability is None:
        return _tile("Deflated Sharpe", NOT_KNOWN, found.reason if found else "")
    return _tile("Deflated Sharpe", percent(found.probability, 1), f"after {many(found.trials, 'trial')}")


def _trades(result: BacktestResult) -> Markup:
    wins = result.figures.get("win_rate")
    note = (
        f"{percent(wins.value, 0)} won"
        if wins is not None and wins.value is not None
        else many(result.fills.height, "fill")
    )
    trades = result.figures.get("trades")
    return _tile("Closed trades", number("trades", trades.value if trades else None), note)


def _paid(result: BacktestResult) -> Markup:
    paid = result.gross - (float(result.equity[-1]) - result.cash)
    return _tile("Costs", money(paid), f"{percent(paid / result.cash)} of the cash")


def _tile(title: str, figure: str, note: str) -> Markup:
    parts = [tag("h3", title), tag("p", figure, "value"), tag("p", note, "note") if note else Markup()]
    return tag("div", join(parts), "tile")
