"""What a backtest stands beside: holding, holding at its volatility, entries at random, and other beliefs and costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.app._judged import figures_of, measured, points_of
from forecastle.app._trading import Setup, trade
from forecastle.app.look import load
from forecastle.backtest import Account, Costs, Execution, Simulated, simulate
from forecastle.backtest.execution import Intrabar
from forecastle.errors import DataMissing, ForecastleError
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.backtest_result import Benchmark, Reading
from forecastle.nouns.market import Market
from forecastle.nouns.scorecard import Figure
from forecastle.nouns.signal import Signals
from forecastle.requests import SeriesRequest
from forecastle.scoring.performance import performance
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
NO_TRADES = np.empty((0, 3))
FEWEST_SHIFTS = 20


def benchmarks_of(
    workspace: Workspace | None, setup: Setup, done: Simulated, signals: Signals, volatility: float | None
) -> tuple[tuple[Benchmark, ...], tuple[str, ...]]:
    """Return the benchmarks, and what has to be told of those that could not be made."""
    held = holding(setup)
    found, notes = [held], []
    matched = _matched(setup, held, volatility)
    found += [matched] if matched is not None else []
    for instrument in setup.config.benchmarks.instruments:
        if workspace is not None and instrument.id not in setup.market.names:
            try:
                found.append(_other(workspace, setup, instrument))
            except ForecastleError as error:
                notes.append(f"No benchmark {instrument}: {error.what}")
    random = random_entries(setup, done, signals)
    return (*found, *([random] if random is not None else [])), tuple(notes)


def holding(setup: Setup) -> Benchmark:
    """Return buy and hold of the instruments in equal parts from the first close, with the costs of the account."""
    k = len(setup.market.names)
    target = np.full(setup.market.close.shape, np.nan)
    for j in range(k):
        target[int(np.argmax(setup.market.present[:, j])), j] = 1.0 / k
    account = Account(cash=setup.account.cash)
    costs = replace(setup.costs, funding=None, borrow=0.0, interest=0.0)
    done = simulate(setup.market, Signals(target), account, costs, Execution(), sigma=setup.seen.sigma)
    found, _ = measured(setup, done)
    figures = figures_of(found, setup.config.replications, setup.config.seed)
    return Benchmark("Buy and hold", done.equity, figures, "equal parts from the first close, with the same fees")


def _matched(setup: Setup, held: Benchmark, volatility: float | None) -> Benchmark | None:
    """Return holding so much that its volatility is that of the strategy: what the same risk would have earned."""
    own = held.figures["volatility"].value
    if not volatility or not own:
        return None
    share = volatility / own
    log = np.log(np.concatenate([[setup.account.cash], held.equity]))
    # the share is kept at each close, so that returns and not the growth are scaled
    growth = 1.0 + share * np.expm1(np.diff(log))
    if growth.min() <= 0.0:
        return None
    with np.errstate(over="ignore"):
        equity = setup.account.cash * np.cumprod(growth)
    if not np.isfinite(equity).all():
        return None
    figures = _curve(setup, equity)
    note = f"{share:.2f} of buy and hold, known only afterwards, rebalanced at each close without costs"
    return Benchmark("Held at the same volatility", equity, figures, note)


def _curve(setup: Setup, equity: FloatArray) -> dict[str, Figure]:
    market, cash = setup.market, setup.account.cash
    none = np.zeros(market.close.shape)
    found = performance(equity, cash, none, market.close, NO_TRADES, 0.0, setup.seen.periods_per_year)
    return {name: figure for name, figure in points_of(found).items() if name in
            ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "mar")}  # fmt: skip


def _other(workspace: Workspace, setup: Setup, instrument: Instrument) -> Benchmark:
    timeframe: Timeframe = setup.config.data.timeframe
    candles = _candles(workspace, setup, instrument, timeframe)
    closes = candles.times("close_time")
    place = np.searchsorted(closes, setup.market.close_time, side="right") - 1
    if place[0] < 0 or place[-1] < 0:
        raise DataMissing(
            f"{instrument} begins after the backtest.", "It has no price at the beginning.", "Fetch more."
        )
    price = candles.frame["close"].to_numpy()[place]
    equity = setup.account.cash * price / price[0]
    return Benchmark(f"Hold {instrument}", equity, _curve(setup, equity), "its close, without costs")


def _candles(workspace: Workspace, setup: Setup, instrument: Instrument, timeframe: Timeframe) -> Candles:
    for source in (setup.config.data.source, None):
        try:
            return load(workspace, SeriesRequest(instrument=instrument, timeframe=timeframe, source=source))
        except DataMissing:
            if source is None:
                raise
    raise DataMissing(f"There are no candles of {instrument}.", "The lake has none.", "Fetch them.")


def random_entries(setup: Setup, done: Simulated, signals: Signals) -> Benchmark | None:
    """Return the median of the same signals begun at other times: moved round the end by random numbers of bars.

    A move keeps how often and how long the strategy holds and takes away when. ``p_value`` is
    ``(1 + draws with a Sharpe ratio as high) / (1 + draws)``.
    """
    draws, n = setup.config.benchmarks.random_entries, len(setup.market)
    own, _ = measured(setup, done)
    sharpe = own.figures["sharpe"].value
    if not draws or n < 2 * FEWEST_SHIFTS or sharpe is None or not len(done.fills):
        return None
    draw = np.random.default_rng([setup.config.seed, 1])
    moves = draw.integers(FEWEST_SHIFTS, n - FEWEST_SHIFTS + 1, draws)
    wished = signals if not signals.reasons else replace(signals, reasons={})
    runs = [_moved(setup, wished, int(by)) for by in moves]
    sharpes = np.array([measured(setup, run)[0].figures["sharpe"].value or 0.0 for run in runs])
    middle = runs[int(np.argsort(sharpes)[draws // 2])]
    figures = points_of(measured(setup, middle)[0])
    p_value = float((1 + (sharpes >= sharpe).sum()) / (1 + draws))
    return Benchmark("Random entries, median", middle.equity, figures,
                     f"{draws} moves of the same signals to other times; Sharpe 5 to 95 %: "
                     f"{np.quantile(sharpes, 0.05):.2f} to {np.quantile(sharpes, 0.95):.2f}", p_value)  # fmt: skip


def _moved(setup: Setup, signals: Signals, by: int) -> Simulated:
    arrays: dict[str, Any] = {
        name: np.roll(values, by, axis=0)
        for name in ("target", "kind", "limit", "trigger", "tif", "stop", "take", "stop_share", "take_share",
                     "trail_share")
        if (values := getattr(signals, name)) is not None
    }  # fmt: skip
    for name in ("limit", "trigger", "stop", "take"):  # prices of another time would say nothing
        arrays.pop(name, None)
    arrays.pop("kind", None)
    moved = Signals(measure=signals.measure, **arrays)
    return simulate(setup.market, moved, setup.account, setup.costs, setup.execution, sigma=setup.seen.sigma)


def readings_of(workspace: Workspace | None, setup: Setup, signals: Signals) -> tuple[Reading, ...]:
    """Return the same signals with the other order within the bar, on finer bars, at twice the costs, and at none."""
    execution, costs = setup.execution, setup.costs
    other: Intrabar = "best" if execution.intrabar == "worst" else "worst"
    found = [
        _reading(setup, f"{execution.intrabar} order within the bar", signals, note="as reported"),
        _reading(setup, f"{other} order within the bar", signals, execution=replace(execution, intrabar=other)),
    ]  # fmt: skip
    if workspace is not None and setup.config.execution.finer is not None:
        found.append(_finer(workspace, setup, signals))
    found.append(_reading(setup, "fees, spread and impact doubled", signals, costs=times(costs, 2.0)))
    found.append(_reading(setup, "no costs at all", signals, costs=Costs()))
    found.append(_reading(setup, "one bar later", signals, execution=replace(execution, latency=execution.latency + 1)))
    return tuple(found)


def times(costs: Costs, factor: float) -> Costs:
    """Return costs of which fees, spread and impact are multiplied."""
    names = ("maker", "taker", "fee_per_unit", "smallest_fee", "half_spread", "volatility_multiple", "linear_impact",
             "square_root_impact")  # fmt: skip
    return replace(costs, **{name: factor * getattr(costs, name) for name in names})


def _reading(setup: Setup, name: str, signals: Signals, note: str = "", **changed: Any) -> Reading:
    done, _ = trade(setup, None, signals=signals, **changed)
    return Reading(name, points_of(measured(setup, done)[0]), note)


def _finer(workspace: Workspace, setup: Setup, signals: Signals) -> Reading:
    """Return the same signals traded on finer bars: they tell in which order prices came."""
    timeframe = setup.config.execution.finer
    assert timeframe is not None  # noqa: S101 - asked for above
    name = f"order within the bar from {timeframe} bars"
    try:
        many = [
            load(workspace, SeriesRequest(instrument=i, timeframe=timeframe, source=setup.config.data.source))
            for i in setup.config.data.instruments
        ]
        return _on_finer(setup, Market.of(many), signals, name)
    except ForecastleError as error:
        return Reading(name, {}, f"{error.what} {error.why}")


def _on_finer(setup: Setup, fine: Market, signals: Signals, name: str) -> Reading:
    closes = setup.market.close_time
    inside = (fine.close_time > setup.market.open_time[0]) & (fine.close_time <= closes[-1])
    rows = np.flatnonzero(inside)
    if not rows.size:
        raise DataMissing("The finer bars are of another time.", "None lies within the backtest.", "Fetch them.")
    fine = fine.rows(int(rows[0]), int(rows[-1]) + 1)
    place = np.searchsorted(fine.close_time, closes, side="right") - 1
    known = (place >= 0) & (np.searchsorted(closes, fine.close_time[np.maximum(place, 0)], side="right") > 0)
    known &= np.concatenate([[True], np.diff(place) > 0])
    spread: dict[str, Any] = {}
    for field in ("target", "limit", "trigger", "stop", "take", "stop_share", "take_share", "trail_share"):
        values = getattr(signals, field)
        if values is not None:
            spread[field] = np.full(fine.close.shape, np.nan)
            spread[field][place[known]] = values[known]
    sigma = None if setup.seen.sigma is None else setup.seen.sigma[
        np.maximum(np.searchsorted(closes, fine.close_time, side="right") - 1, 0)
    ]  # fmt: skip
    for field in ("kind", "tif"):
        values = getattr(signals, field)
        if values is not None:
            spread[field] = np.zeros(fine.close.shape, dtype=np.int64)
            spread[field][place[known]] = values[known]
    moved = Signals(measure=signals.measure, **spread)
    each = known.sum() / len(fine)  # coarse bars a fine one: rates are those of a bar
    costs = replace(setup.costs, funding=None, borrow=setup.costs.borrow * each, interest=setup.costs.interest * each)
    done = simulate(fine, moved, setup.account, costs, setup.execution, sigma=sigma)
    coarse = replace(done, equity=done.equity[np.maximum(place, 0)], position=done.position[np.maximum(place, 0)])
    found, _ = measured(setup, coarse)
    share = f"{100.0 * known.mean():.0f} % of the bars have finer ones"
    return Reading(f"{name}, {share}", points_of(found), f"{share}; in the others nothing is traded")
