"""Backtests made by hand for the pages: the engine trades simple wishes, and the figures are those of scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app._judged import fills_table, orders_table, trades_table
from forecastle.backtest import Account, Costs, Execution, simulate
from forecastle.backtest.simulated import Simulated
from forecastle.backtest.trades import TRADE, round_trips
from forecastle.nouns.backtest_result import BacktestResult, Benchmark, Reading, TradedWindow
from forecastle.nouns.market import Market
from forecastle.nouns.scorecard import DeflatedSharpe, Figure, Overfitting
from forecastle.nouns.signal import Signals
from forecastle.nouns.stress import LiquidationChance, Scenario, StressResult
from forecastle.scoring.performance import intervals, performance
from forecastle.sessions import Timeframe
from making import make_candles

FloatArray = npt.NDArray[np.float64]
CASH = 10_000.0
COSTS = Costs(maker=0.0005, taker=0.001, half_spread=0.0002)
YEARLY = {"1d": 365.0, "1h": 8760.0}


def market(n: int, timeframe: Timeframe = "1d", names: tuple[str, ...] = ("BTC-USDT",)) -> Market:
    return Market.of(
        [make_candles(n, timeframe=timeframe, instrument=name, seed=i, start="2019-01-01")
         for i, name in enumerate(names)]
    )  # fmt: skip


def crossing(of: Market, fast: int = 5, slow: int = 20, size: float = 1.0) -> FloatArray:
    """Return the wish to hold while the last closes are above those of longer ago, each instrument an even share."""
    price = np.log(of.close)
    found = np.full(price.shape, np.nan)
    for j in range(price.shape[1]):
        column = pl.Series(price[:, j])
        above = column.rolling_mean(fast).to_numpy() > column.rolling_mean(slow).to_numpy()
        changed = np.flatnonzero(np.diff(above.astype(int), prepend=0) != 0)
        found[changed, j] = np.where(above[changed], size / price.shape[1], 0.0)
    return found


def result_of(
    of: Market,
    target: FloatArray,
    timeframe: Timeframe = "1d",
    account: Account | None = None,
    costs: Costs = COSTS,
    execution: Execution | None = None,
    **more: Any,
) -> BacktestResult:
    """Return the result of wishes, with buy and hold beside it."""
    used, meets = account or Account(CASH), execution or Execution()
    signals = Signals(target)
    made = simulate(of, signals, used, costs, meets)
    figures, returns = _figures(of, made, timeframe)
    hold = np.full(target.shape, np.nan)
    hold[0] = 1.0 / target.shape[1]
    held = simulate(of, Signals(hold), Account(CASH), costs, Execution())
    beside = Benchmark("Buy and hold", held.equity, _figures(of, held, timeframe)[0], "bought at the first open")
    base = BacktestResult(
        "sma-cross", "crossover(5, 20)", of.names, timeframe, "test", of, CASH, YEARLY[timeframe], made.equity,
        made.position, made.margin_ratio, returns, fills_table(of, made),
        trades_table(of, round_trips(made.fills, len(of.names))), orders_table(of, made), made.costs, figures,
        signals.count, made.calls, made.liquidations, benchmarks=(beside,), trials=12,
        deflated=DeflatedSharpe(0.613, 0.02, 0.05, 12),
    )  # fmt: skip
    return replace(base, **more)


def _figures(of: Market, made: Simulated, timeframe: Timeframe) -> tuple[Mapping[str, Figure], FloatArray]:
    trips = round_trips(made.fills, len(of.names))
    closed = trips[trips[:, TRADE.index("exit_bar")] >= 0]
    opened = closed[:, TRADE.index("quantity")] * closed[:, TRADE.index("entry_price")]
    table = np.column_stack([closed[:, TRADE.index("gain")], closed[:, TRADE.index("costs")], opened])
    traded = float(np.abs(made.column("quantity") * made.column("price")).sum())
    found = performance(made.equity, CASH, made.position, of.close, table, traded, YEARLY[timeframe])
    returns = found.returns if made.equity.min() > 0.0 else np.zeros(made.equity.size)
    between = intervals(returns, YEARLY[timeframe], replications=99) if made.equity.min() > 0.0 else {}
    figures = {}
    for name, one in found.figures.items():
        low, high = between.get(name, (None, None)) if one.value is not None else (None, None)
        figures[name] = Figure(one.value, low, high, one.reason)
    return figures, returns


def normal() -> BacktestResult:
    """Return 900 days with everything that a result may hold."""
    of = market(900)
    base = result_of(of, crossing(of))
    draws = Benchmark("random entries", base.benchmarks[0].equity**0.9 * CASH**0.1, base.benchmarks[0].figures,
                      "the median of 200 draws", 0.37)  # fmt: skip
    readings = (
        Reading("kinder order within the bar", base.benchmarks[0].figures, "intrabar: best"),
        Reading("twice the costs", base.figures, "fees and slippage doubled"),
    )
    windows = tuple(
        TradedWindow(i + 1, 400 + 100 * i, 500 + 100 * i, {"fast": 5 + i, "slow": 20}, "2020-02-05T00:00:00+00:00",
                     0.8123, 0.01 * i - 0.02, 3 + i)
        for i in range(5)
    )  # fmt: skip
    return replace(
        base, benchmarks=(*base.benchmarks, draws), readings=readings, windows=windows,
        overfitting=Overfitting(0.55, 12, 12_870, -0.2, 0.6), why=("40 wishes made 40 orders.", "3 were too small."),
        notes=("Funding was not observed.",),
    )  # fmt: skip


def idle() -> BacktestResult:
    of = market(300)
    why = ("No wish was made in 300 bars: the rule never fired.",)
    return result_of(
        of, np.full((300, 1), np.nan), why=why, deflated=DeflatedSharpe(None, None, None, 1, "no variance")
    )


def short() -> BacktestResult:
    of = market(19)
    target = np.full((19, 1), np.nan)
    target[2], target[9] = 1.0, 0.0
    return result_of(of, target, deflated=None)


def ruined() -> BacktestResult:
    """Return a short that is overrun: ten times leverage without a tier to stop it in time."""
    close = np.concatenate([np.full(30, 100.0), [100.0, 150.0, 400.0], np.full(30, 400.0)])
    begin = np.r_[100.0, close[:-1]]
    prices = {"open": begin, "high": np.maximum(begin, close), "low": np.minimum(begin, close), "close": close}
    of = Market.of_arrays({**prices, "volume": np.full(close.size, 1e6)}, "BTC-USDT")
    target = np.full((close.size, 1), np.nan)
    target[5] = -3.0
    return result_of(of, target, account=Account(CASH, "cross", 3.0, liquidation_fee=0.01))


def hourly() -> BacktestResult:
    of = market(60_000, "1h")
    return result_of(of, crossing(of, 24, 96), "1h")


def several() -> BacktestResult:
    of = market(700, names=("BTC-USDT", "ETH-USDT", "SOL-USDT"))
    return result_of(of, crossing(of), strategy="crossover of three", source="test,simulated")


def stress() -> StressResult:
    base = normal().figures
    return StressResult(
        "sma-cross", "crossover(5, 20)", "test", base,
        (
            Scenario("2020-03 crash", "history", "The fall of March 2020.", base, -0.4321, 3, 1, 2.5),
            Scenario("1987", "history", "the data begin elsewhere", {}),
            Scenario("drawn candles", "bootstrap", "median, 5 % and 95 %",
                     {"total_return": Figure(-0.1, -0.5, 0.4), "max_drawdown": Figure(0.4, 0.2, 0.7)}, 0.02),
            Scenario("costs x 3", "costs", "Fees and slippage three times as high.", base, 0.1),
        ),
        (
            LiquidationChance("long", 3.0, 24, 0.0012, 0.0006, 0.0024),
            LiquidationChance("long", 10.0, 24, 0.081, 0.07, 0.09),
            LiquidationChance("short", 10.0, 24, 0.0923, 0.08, 0.11),
        ),
        ("Paths were drawn 10,000 times.",),
    )  # fmt: skip
