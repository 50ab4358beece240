"""From what the engine did to a result: figures with intervals, tables with times, and what became of every wish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app._trading import Setup
from forecastle.backtest import Simulated
from forecastle.backtest.simulated import FILL, ORDER
from forecastle.backtest.trades import TRADE, round_trips
from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.market import Market
from forecastle.nouns.order import FillCause, OrderKind, OrderReason, OrderStatus
from forecastle.nouns.scorecard import Figure
from forecastle.nouns.signal import Signals
from forecastle.scoring.performance import Performance, intervals, performance

FloatArray = npt.NDArray[np.float64]
TOLD = {
    OrderReason.REPLACED: "replaced by a later wish",
    OrderReason.OCO: "cancelled by another of their group",
    OrderReason.FLAT: "cancelled with the position closed",
    OrderReason.LIQUIDATED: "cancelled by a liquidation",
    OrderReason.REDUCED: "filled in part, as far as they could be",
    OrderReason.MARGIN: "rejected: the account could not pay for them",
    OrderReason.SHORT: "rejected: a cash account does not go short",
    OrderReason.SMALL: "rejected: smaller than a lot or the smallest order",
    OrderReason.MANY: "rejected: too many worked at a time",
    OrderReason.RUINED: "rejected: the account was ruined",
    OrderReason.TIME: "expired",
    OrderReason.END: "cancelled at the end",
    OrderReason.NO_POSITION: "cancelled: there was nothing to reduce",
    OrderReason.BAND: "wishes within the band: no order",
    OrderReason.THERE_ALREADY: "wishes for what was held already: no order",
    OrderReason.ABSENT: "wishes for an instrument without a bar: no order",
}
"""What is told of orders, and of wishes that made none, by reason."""


def measured(setup: Setup, done: Simulated) -> tuple[Performance, FloatArray]:
    """Return the point figures of a run, and its round trips."""
    return measured_on(setup.market, setup.account.cash, setup.seen.periods_per_year, done)


def measured_on(market: Market, cash: float, yearly: float, done: Simulated) -> tuple[Performance, FloatArray]:
    """Return the point figures of a run on a market that begins with so much cash, and its round trips."""
    trips = round_trips(done.fills, len(market.names))
    closed = trips[trips[:, TRADE.index("exit_bar")] >= 0]
    gain, costs, entry, quantity = (closed[:, TRADE.index(n)] for n in ("gain", "costs", "entry_price", "quantity"))
    traded = float(np.abs(done.column("quantity") * done.column("price")).sum())
    found = performance(
        done.equity, cash, done.position, market.close, np.column_stack([gain, costs, entry * quantity]), traded, yearly
    )
    return found, trips


def figures_of(found: Performance, replications: int, seed: int) -> dict[str, Figure]:
    """Return the figures with the intervals of those that have one."""
    bounds = intervals(found.returns, found.periods_per_year, replications=replications, seed=seed)
    return {name: _figure(ratio.value, ratio.reason, bounds.get(name)) for name, ratio in found.figures.items()}


def points_of(found: Performance) -> dict[str, Figure]:
    """Return the figures without intervals."""
    return {name: Figure(ratio.value, reason=ratio.reason) for name, ratio in found.figures.items()}


def _figure(value: float | None, reason: str, bounds: tuple[float, float] | None) -> Figure:
    if value is None or bounds is None:
        return Figure(value, reason=reason)
    return Figure(value, *bounds)


def result_of(setup: Setup, done: Simulated, signals: Signals, label: str) -> BacktestResult:
    """Return the result of one run, without anything beside it yet."""
    config, market = setup.config, setup.market
    found, trips = measured(setup, done)
    return BacktestResult(
        config.name, label, market.names, config.data.timeframe, setup.span.source, market, setup.account.cash,
        setup.seen.periods_per_year, done.equity, done.position, done.margin_ratio, found.returns,
        fills_table(market, done), trades_table(market, trips), orders_table(market, done), dict(done.costs),
        figures_of(found, config.replications, config.seed), signals.count, done.calls, done.liquidations,
        why=why_of(signals, done), notes=setup.notes,
    )  # fmt: skip


def why_of(signals: Signals, done: Simulated) -> tuple[str, ...]:
    """Return in words what became of wishes and orders; enough to see why nothing was traded."""
    orders, fills = len(done.orders), len(done.fills)
    lines = [f"{signals.count} wishes, {orders} orders, {fills} fills."]
    if not signals.count and not orders:
        lines.append("The strategy wished nothing: its rules never held, or what it looks at was never known.")
    counts: dict[int, int] = {int(reason): count for reason, count in done.not_made.items()}
    for reason in np.unique(done.order_column("reason")).astype(int).tolist():
        if reason:
            counts[reason] = counts.get(reason, 0) + int((done.order_column("reason") == reason).sum())
    lines += [f"{count} {TOLD[OrderReason(reason)]}." for reason, count in sorted(counts.items())]
    resting = int((done.order_column("status") == OrderStatus.WORKING).sum())
    if resting:
        lines.append(f"{resting} still working at the end.")
    if done.liquidations:
        lines.append(f"{done.liquidations} positions were liquidated.")
    if done.calls:
        lines.append(f"{done.calls} bars with a margin call.")
    return tuple(lines)


def _names(values: FloatArray, kind: type) -> pl.Series:
    known = {int(member): member.name.lower() for member in kind}  # type: ignore[attr-defined]
    return pl.Series([known.get(int(v), "") for v in values.tolist()], dtype=pl.String)


def _instruments(market: Market, places: FloatArray) -> pl.Series:
    return pl.Series([market.names[int(j)] for j in places.tolist()], dtype=pl.String)


def _times(market: Market, bars: FloatArray, opens: bool = False) -> pl.Series:
    rows = bars.astype(np.int64)
    moments = (market.open_time if opens else market.close_time)[np.maximum(rows, 0)].copy()
    moments[rows < 0] = np.datetime64("NaT")
    return pl.Series(moments).dt.replace_time_zone("UTC")


def fills_table(market: Market, done: Simulated) -> pl.DataFrame:
    """Return one row a fill: number of the order, bar and its open time, instrument, quantity, price, costs, cause."""
    columns = {name: done.column(name) for name in FILL}
    return pl.DataFrame({
        "order": columns["order"].astype(np.int64), "bar": columns["bar"].astype(np.int64),
        "open_time": _times(market, columns["bar"], opens=True),
        "instrument": _instruments(market, columns["instrument"]),
        **{name: columns[name] for name in ("quantity", "price", "fee", "slippage", "liquidation_fee")},
        "cause": _names(columns["cause"], FillCause), "maker": columns["maker"] == 1.0,
    })  # fmt: skip


def trades_table(market: Market, trips: FloatArray) -> pl.DataFrame:
    """Return one row a round trip; ``exit_bar`` is null while it is open, ``net`` is gain less its own costs."""
    columns = {name: trips[:, place] for place, name in enumerate(TRADE)}
    ended = columns["exit_bar"] >= 0
    return pl.DataFrame({
        "instrument": _instruments(market, columns["instrument"]),
        "side": np.where(columns["side"] > 0, "long", "short").astype(str),
        "entry_bar": columns["entry_bar"].astype(np.int64), "entry_time": _times(market, columns["entry_bar"], True),
        "exit_bar": pl.Series(columns["exit_bar"].astype(np.int64)).set(pl.Series(~ended), None),
        "exit_time": _times(market, columns["exit_bar"], True),
        **{name: columns[name] for name in ("quantity", "entry_price", "exit_price", "gain", "costs")},
        "net": columns["gain"] - columns["costs"], "cause": _names(columns["cause"], FillCause),
    })  # fmt: skip


def orders_table(market: Market, done: Simulated) -> pl.DataFrame:
    """Return one row an order: when it was decided, what it asked, and how it ended."""
    columns = {name: done.order_column(name) for name in ORDER}
    return pl.DataFrame({
        "number": np.arange(len(done.orders)), "decided_at": _times(market, columns["bar"]),
        "instrument": _instruments(market, columns["instrument"]),
        "kind": _names(columns["kind"], OrderKind),
        **{name: columns[name] for name in ("quantity", "limit", "trigger", "filled")},
        "status": _names(columns["status"], OrderStatus), "reason": _names(columns["reason"], OrderReason),
        "parent": columns["parent"].astype(np.int64),
    }).with_columns(pl.col("limit", "trigger").fill_nan(None))  # fmt: skip


def with_notes(result: BacktestResult, notes: Sequence[str]) -> BacktestResult:
    """Return the result with more notes."""
    return replace(result, notes=(*result.notes, *notes))


def short(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    """Return the values of figures by name."""
    return {name: figure.value for name, figure in figures.items()}
