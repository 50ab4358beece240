"""The tables of a backtest in words: figures, what it stands beside, readings, costs, windows, trades, stress."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl

from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.market import Market
from forecastle.nouns.scorecard import Figure
from forecastle.nouns.stress import Scenario, StressResult
from forecastle.reports._figure_words import DEFINITIONS, interval, label, money, number, price, value
from forecastle.reports._html import NOT_KNOWN, Column, p_value, significant
from forecastle.reports._listing import Listing, words
from forecastle.reports._trade_tables import trades_of
from forecastle.reports._words import many
from forecastle.units import percent

BESIDE = ("total_return", "cagr", "sharpe", "max_drawdown", "trades")
"""The figures that two backtests are compared by."""
EXTREMES, LATEST = 10, 50
"""So many of the best and of the worst trades are listed, and so many of the last."""
COST_NAMES = {"liquidation_fees": "liquidation fees", "insurance": "insurance (borne by the venue)"}


def figures(result: BacktestResult) -> Listing:
    """Return every figure with its interval, or the reason why it has none, and what it is."""
    rows = [
        (label(name), number(name, one.value), _beside(name, one), DEFINITIONS.get(name, ""))
        for name, one in result.figures.items()
    ]
    heads = [Column("Figure"), Column("Value"), Column("95 % interval, or why n/a", numeric=False), words("What it is")]
    caption = (
        f"Figures after costs; a year is {result.periods_per_year:,.6g} periods, and returns inside are log returns"
    )
    return Listing("Figures", caption, heads, rows, kind="definitions")


def _beside(name: str, figure: Figure) -> str:
    return figure.reason if figure.value is None else interval(name, figure)


def benchmarks(result: BacktestResult) -> Listing:
    """Return what it stands beside, itself first."""
    drawn = any(b.p_value is not None for b in result.benchmarks)
    heads = [Column("Beside"), *_heads(), *([Column("p-value", "draws as good")] if drawn else []), words("How made")]
    own = [result.strategy, *_row(result.figures), *([""] if drawn else []), "this backtest, after costs"]
    rows = [
        [b.name, *_row(b.figures), *([p_value(b.p_value) if b.p_value is not None else ""] if drawn else []), b.note]
        for b in result.benchmarks
    ]
    caption = "The same cash over the same time"
    return Listing("Benchmarks", caption, heads, [own, *rows] if rows else [], "chosen", "Nothing stands beside it.")


def readings(result: BacktestResult) -> Listing:
    """Return the same signals under other beliefs, itself first, and how far each moves the total return."""
    heads = [Column("Reading"), Column("Change", "of total return"), *_heads(), words("What is believed")]
    rows = [[r.name, _change(result.figures, r.figures), *_row(r.figures), r.note] for r in result.readings]
    caption = "The same signals with another order of prices within the bar, or other costs"
    own = "chosen" if rows and rows[0][-1] == "as reported" else ""
    return Listing("Readings", caption, heads, rows, own, "There is no other reading.")


def _change(base: Mapping[str, Figure], other: Mapping[str, Figure]) -> str:
    a, b = (f["total_return"].value if "total_return" in f else None for f in (base, other))
    return NOT_KNOWN if a is None or b is None else f"{100.0 * (b - a):+.2f} points"


def _heads() -> list[Column]:
    return [Column(label(name)) for name in BESIDE]


def _row(found: Mapping[str, Figure]) -> list[str]:
    return [value(found, name) for name in BESIDE]


def costs(result: BacktestResult) -> Listing:
    """Return the way from gross to net in money and in shares of the cash at the beginning."""
    rows = [(name, money(amount), percent(amount / result.cash)) for name, amount, _ in bridge(result)]
    heads = [Column("Part"), Column("Money", "quote currency"), Column("Of the cash", f"{money(result.cash)}")]
    return Listing("Costs", "From gross to net over the whole time", heads, rows, kind="small")


def bridge(result: BacktestResult) -> list[tuple[str, float, bool]]:
    """Return gross, each cost with its sign, and net: name, money, and whether it is a total."""
    steps = [(name, amount if name == "insurance" else -amount) for name, amount in result.costs.items()]
    shown = [(COST_NAMES.get(name, name), amount + 0.0, False) for name, amount in steps]
    return [("gross", result.gross, True), *shown, ("net", float(result.equity[-1]) - result.cash, True)]


def windows(result: BacktestResult) -> Listing:
    """Return the windows of a walk-forward run; empty where it was none."""
    times = result.market.close_time
    rows = [
        (
            str(w.number), f"{str(times[w.first])[:10]} to {str(times[w.last - 1])[:10]}",
            w.trained_until[:16].replace("T", " "),
            ", ".join(f"{k} {_plain(v)}" for k, v in w.chosen.items()), significant(w.inside, 4),
            percent(w.log_return), f"{w.trades:,}",
        )
        for w in result.windows
    ]  # fmt: skip
    heads = [Column("Window"), Column("Traded", numeric=False), Column("Trained until", numeric=False), words("Chosen"),
             Column("Inside", "of the objective"), Column("Log return"), Column("Trades")]  # fmt: skip
    caption = "Settings were chosen on what is before each window, and traded in it"
    return Listing("Walk-forward windows", caption, heads, rows, empty="It was not run in windows.")


def _plain(setting: float | int | str | bool) -> str:
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


def trades(result: BacktestResult) -> list[Listing]:
    """Return the best, the worst and the last trades; all in one where there are few."""
    made = trades_of(result)
    closed = made.filter(~pl.col("open"))
    if made.height <= LATEST:
        told = f"All {made.height:,} round trips" if made.height > 1 else "The only round trip"
        return [_trades("Trades", told, made)]
    of, ranked = f"of {closed.height:,} that were closed", closed.sort("net", maintain_order=True)
    best, worst = ranked.tail(EXTREMES).reverse(), ranked.head(EXTREMES)
    last = made.tail(LATEST)
    return [
        _trades("Best trades", f"The {best.height} best {of}", best),
        _trades("Worst trades", f"The {worst.height} worst {of}", worst),
        _trades("Last trades", f"The last {last.height} of {made.height:,} round trips", last),
    ]


def _trades(title: str, caption: str, frame: pl.DataFrame) -> Listing:
    heads, empty = _trade_heads(), "No position was ever opened."
    return Listing(title, f"{caption}, by the open of the bar", heads, _trade_rows(frame), empty=empty, kind="dated")


def _trade_heads() -> list[Column]:
    return [Column("Opened"), Column("Closed", numeric=False), Column("Instrument", numeric=False),
            Column("Side", numeric=False), Column("Quantity"), Column("Entry"), Column("Exit"), Column("Costs"),
            Column("Net", "after costs"), Column("Net", "of notional"), Column("Ended by", numeric=False)]  # fmt: skip


def _trade_rows(frame: pl.DataFrame) -> list[Sequence[str]]:
    return [
        (
            _moment(r["entry_time"]), "still open" if r["open"] else _moment(r["exit_time"]),
            r["instrument"], r["side"], price(r["quantity"]), price(r["entry_price"]),
            "" if r["open"] else price(r["exit_price"]),
            money(r["costs"]), money(r["net"]), percent(r["share"]), "" if r["open"] else r["cause"].replace("_", " "),
        )
        for r in frame.iter_rows(named=True)
    ]  # fmt: skip


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def scenarios(stress: StressResult) -> Listing:
    """Return what went wrong in each scenario, the backtest as it was first."""
    heads = [Column("Scenario"), Column("Kind", numeric=False), Column("Total return"), Column("Buy and hold"),
             Column("Sharpe ratio"), Column("Deepest drawdown"), Column("Calls"), Column("Liquidations"),
             Column("Largest use", "notional over equity"), words("What happens")]  # fmt: skip
    base = ["as it was", "", value(stress.base, "total_return"), "", value(stress.base, "sharpe"),
            value(stress.base, "max_drawdown"), "", "", value(stress.base, "largest_exposure"), ""]  # fmt: skip
    rows = [_scenario(one) for one in stress.scenarios]
    caption = "The same strategy where market, venue or costs are unkind"
    return Listing("Stress scenarios", caption, heads, [base, *rows] if rows else [], "chosen", "No scenario was run.")


def _scenario(one: Scenario) -> list[str]:
    counts = [f"{one.calls:,}", f"{one.liquidations:,}"] if one.figures else ["", ""]
    return [one.name, one.kind, _drawn(one, "total_return"), percent(one.hold), _drawn(one, "sharpe"),
            _drawn(one, "max_drawdown"), *counts, percent(one.largest_use), one.note]  # fmt: skip


def _drawn(one: Scenario, name: str) -> str:
    """Return a figure, with what lies on both sides of it where it is the median of draws."""
    between = interval(name, one.figures[name]) if one.kind == "bootstrap" and name in one.figures else ""
    return f"{value(one.figures, name)} ({between})" if between else value(one.figures, name)


def liquidation(stress: StressResult) -> Listing:
    """Return the probability of liquidation by side, leverage and horizon."""
    rows = [
        (c.side, f"{c.leverage:g} times", f"{c.horizon:,} bars" if c.horizon != 1 else "1 bar",
         percent(c.probability), f"{percent(c.low)} to {percent(c.high)}")
        for c in stress.liquidation
    ]  # fmt: skip
    heads = [Column("Side"), Column("Leverage"), Column("Within"), Column("Probability"),
             Column("95 % interval", "of the simulation alone", numeric=False)]  # fmt: skip
    caption = "Of paths drawn from the latest forecast: the chance that a position opened now is liquidated"
    return Listing("Probability of liquidation", caption, heads, rows, empty="It was not asked for.", kind="middling")


def span_of(market: Market) -> str:
    """Write when the first bar began and the last one closed."""
    first, last = (
        str(t.astype("datetime64[m]")).replace("T", " ") for t in (market.open_time[0], market.close_time[-1])
    )
    return f"{first} to {last} UTC"


def counted(result: BacktestResult) -> str:
    """Write how many signals, orders and fills there were, and how often the venue stepped in."""
    counts = {"signal": result.signals, "order": result.orders.height, "fill": result.fills.height,
              "margin call": result.calls, "liquidation": result.liquidations}  # fmt: skip
    return ", ".join(many(count, noun) for noun, count in counts.items())


def noted(texts: Iterable[str]) -> list[str]:
    """Return notes without those that say nothing."""
    return [text for text in texts if text.strip()]
