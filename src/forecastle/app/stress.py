"""What would have become of a strategy had the market, the venue, the costs or luck been unkind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from forecastle.app._beside import holding, times
from forecastle.app._judged import measured, points_of
from forecastle.app._kept_backtest import keep_backtest
from forecastle.app._scenarios import CRYPTO, STOCKS, Crisis, bootstrapped, changed
from forecastle.app._trading import Setup, columns_for, kind_of, of_histories, strategy_of, trade
from forecastle.app.backtest import begun_at, judged, ready
from forecastle.backtest import Simulated
from forecastle.backtest.liquidation import liquidated_by, share_interval
from forecastle.backtest.trades import TRADE
from forecastle.errors import ForecastleError, ForecastRefused
from forecastle.experiments.folder import ExperimentFolder
from forecastle.experiments.strategy_spec import load_backtest
from forecastle.models.garch import GarchModel
from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.scorecard import Figure
from forecastle.nouns.stress import LiquidationChance, Scenario, ScenarioKind, StressResult
from forecastle.ports import Progress, silent
from forecastle.requests import BacktestRequest
from forecastle.scoring.bootstrap import block_length
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
SHIFTS = (-0.25, -0.1, 0.1, 0.25)
"""Shares by which each setting of a strategy is moved."""
PATHS, TRADE_DRAWS = 200, 5_000
HORIZONS, LEVERAGES = (1, 5, 10, 30), (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
KEPT = ("total_return", "sharpe", "max_drawdown", "trades", "exposure")
OF_MODELS = "left out: the model's forecasts were made of the prices as they were"
SAMPLE = 1000
"""Bars of the sample that the density of the liquidation chance is fitted to."""


@dataclass(frozen=True, eq=False)
class Stressed:
    """The stress of a strategy, the backtest it stands beside, and the folder that keeps both."""

    stress: StressResult
    result: BacktestResult
    folder: ExperimentFolder


def stress(workspace: Workspace, request: BacktestRequest, progress: Progress = silent) -> Stressed:
    """Run a file's strategy through every scenario; raises as a backtest does.

    A model-driven strategy keeps the forecasts it made: where a scenario changes prices before they were made it would
    have said something else, so that changed markets and drawn histories are left out for it, and told.
    """
    told = load_backtest(request.config)
    config = told.model_copy(update={"choose": {}, "sweep": {}})
    setup = ready(workspace, config, request.open_holdout, progress)
    done, signals = trade(setup)
    result = judged(workspace, setup, done, signals, strategy_of(config), told.tried())
    scenarios = list(scenarios_of(workspace, setup, done, progress))
    chances, notes = liquidation_of(setup)
    found = StressResult(
        config.name, result.strategy, result.source, result.figures, tuple(scenarios), chances, tuple(notes)
    )
    held, opened = (tuple(str(lock) for lock in locks) for locks in (setup.looked.cut, setup.looked.opened))
    return Stressed(found, result, keep_backtest(workspace, setup, result, request.config, held, opened, found))


def scenarios_of(
    workspace: Workspace, setup: Setup, done: Simulated, progress: Progress = silent
) -> Iterator[Scenario]:
    """Yield every scenario of a setup whose run was ``done``."""
    kinds = (_history(setup), _markets(workspace, setup, done), _costs(setup), _settings(setup))
    parts = (*kinds, _luck(workspace, setup, done))
    for number, part in enumerate(parts):
        progress(number, len(parts), "scenarios")
        yield from part


def _history(setup: Setup) -> Iterator[Scenario]:
    crises = STOCKS if kind_of(setup.config.data.instruments[0]) == "stock" else CRYPTO
    for crisis in crises:
        yield _crisis(setup, crisis)


def _crisis(setup: Setup, crisis: Crisis) -> Scenario:
    """Return a stretch of the run traded by itself: the strategy knows what was before, the account is fresh."""
    closes = setup.market.close_time
    first, last = (np.datetime64(m.replace(tzinfo=None)) for m in crisis.span)
    rows = np.flatnonzero((closes > first) & (closes <= last + np.timedelta64(1, "D")))
    if rows.size < 2 or closes[0] > first + np.timedelta64(7, "D"):
        return Scenario(
            crisis.name, "history", f"the data begin or end elsewhere ({crisis.first} to {crisis.last})", {}
        )
    part = _ended_at(begun_at(setup, int(rows[0])), rows.size)
    done, _ = trade(part)
    return _scenario(part, crisis.name, "history", crisis.note, done)


def _ended_at(setup: Setup, count: int) -> Setup:
    """Return the setup that ends after ``count`` bars."""
    seen, costs = setup.seen, setup.costs
    cut = slice(0, count)
    return replace(
        setup,
        seen=replace(
            seen, market=seen.market.rows(0, count), columns={k: v[cut] for k, v in seen.columns.items()},
            sigma=None if seen.sigma is None else seen.sigma[cut],
            forecast=None if seen.forecast is None else seen.forecast[cut],
        ),
        costs=costs if costs.funding is None else replace(costs, funding=costs.funding[cut]),
    )  # fmt: skip


def _markets(workspace: Workspace, setup: Setup, done: Simulated) -> Iterator[Scenario]:
    if setup.config.training is not None:
        yield Scenario(
            "changed markets", "market", "left out: the model's forecasts were made of the prices as they were", {}
        )
        return
    moment, side = _most_exposed(setup, done)
    sigma = float(np.nanmedian(setup.seen.volatility))
    stock = kind_of(setup.config.data.instruments[0]) == "stock"
    for one in changed(setup.histories, moment, side, sigma, stock):
        try:
            other = of_histories(workspace, setup.config, one.histories, setup.looked)
            other = _without(other, moment, one.absent)
            run, _ = trade(other)
            yield _scenario(other, one.name, "market", one.note, run)
        except ForecastleError as error:
            yield Scenario(one.name, "market", f"{one.note}: {error.what}", {})


def _most_exposed(setup: Setup, done: Simulated) -> tuple[np.datetime64, float]:
    """Return the close of the bar before which most was held, and on which side; not at the very edges."""
    held = np.nansum(np.where(done.position != 0.0, done.position * setup.market.close, 0.0), axis=1)
    share = np.abs(held) / np.where(done.equity > 0.0, done.equity, np.inf)
    edge = 10 if share.size > 3 * 10 else 0
    at = int(np.argmax(share[edge : share.size - edge - 1])) + edge
    return setup.market.close_time[at + 1], float(np.sign(held[at]))


def _without(setup: Setup, moment: np.datetime64, count: int) -> Setup:
    """Return the setup in which so many bars from a moment on cannot be traded."""
    first = int(np.searchsorted(setup.market.close_time, moment))
    inside = list(range(first, min(first + count, len(setup.market) - 1)))
    if not inside:
        return setup
    present = setup.market.present.copy()
    present[inside] = False
    prices = {}
    for name in ("open", "high", "low", "close", "volume"):
        prices[name] = getattr(setup.market, name).copy()
        prices[name][inside] = np.nan
    return replace(setup, seen=replace(setup.seen, market=replace(setup.market, present=present, **prices)))


def _costs(setup: Setup) -> Iterator[Scenario]:
    for factor in (2.0, 5.0):
        done, _ = trade(setup, costs=times(setup.costs, factor))
        yield _scenario(setup, f"costs times {factor:g}", "costs", "fees, spread and impact", done)
    wide = replace(setup.costs, half_spread=min(10.0 * setup.costs.half_spread, 0.49))
    done, _ = trade(setup, costs=wide)
    yield _scenario(setup, "spread times 10", "costs", "as in a panic, all the time", done)
    for late in (1, 3):
        done, _ = trade(setup, execution=replace(setup.execution, latency=setup.execution.latency + late))
        yield _scenario(
            setup,
            f"{late} bar{'s' if late > 1 else ''} later",
            "costs",
            "every order reaches the market that much later",
            done,
        )


def _settings(setup: Setup) -> Iterator[Scenario]:
    """Yield the strategy with each of its numbers moved a little: a peak that is alone is luck."""
    strategy = strategy_of(setup.config)
    fields: Mapping[str, Any] = getattr(strategy, "__dataclass_fields__", {})
    for name in fields:
        value = getattr(strategy, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
            continue
        for shift in SHIFTS:
            moved = round(value * (1.0 + shift)) if isinstance(value, int) else value * (1.0 + shift)
            try:
                done, _ = trade(_with_columns(setup, {name: moved}), {name: moved})
            except ForecastleError:
                continue
            yield _scenario(setup, f"{name} {moved:g}", "parameters", f"{name} {100 * shift:+.0f} %", done)


def _with_columns(setup: Setup, settings: Mapping[str, Any]) -> Setup:
    return replace(setup, seen=replace(setup.seen, columns=columns_for(setup, settings)))


def _luck(workspace: Workspace, setup: Setup, done: Simulated) -> Iterator[Scenario]:
    yield _drawn_trades(setup, done)
    if setup.config.training is not None:
        yield Scenario(
            "drawn candles", "bootstrap", "left out: the model's forecasts were made of the prices as they were", {}
        )
        return
    yield _drawn_candles(workspace, setup)


def _drawn_trades(setup: Setup, done: Simulated) -> Scenario:
    """Return what the round trips would have made in another order and number of luck: drawn with replacement."""
    _, trips = measured(setup, done)
    closed = trips[trips[:, TRADE.index("exit_bar")] >= 0]
    name, note = "drawn trades", f"{len(closed)} round trips drawn again {TRADE_DRAWS} times: median, 5 % and 95 %"
    if len(closed) < 5:
        return Scenario(name, "bootstrap", f"left out: {len(closed)} round trips; 5 are needed", {})
    net = closed[:, TRADE.index("gain")] - closed[:, TRADE.index("costs")]
    share = net / _equity_before(setup, done, closed)
    drawn = np.random.default_rng([setup.config.seed, 2]).choice(share, (TRADE_DRAWS, share.size))
    level = np.cumsum(np.log1p(np.maximum(drawn, -1.0 + 1e-12)), axis=1)
    high = np.maximum.accumulate(np.maximum(level, 0.0), axis=1)
    figures = {
        "total_return": _spread(np.expm1(level[:, -1])),
        "max_drawdown": _spread(-np.expm1((level - high).min(axis=1))),
    }
    return Scenario(name, "bootstrap", note, figures)


def _equity_before(setup: Setup, done: Simulated, closed: FloatArray) -> FloatArray:
    entry = closed[:, TRADE.index("entry_bar")].astype(int)
    return np.asarray(np.concatenate([[setup.account.cash], done.equity])[entry])


def _drawn_candles(workspace: Workspace, setup: Setup) -> Scenario:
    """Return the strategy on histories made of blocks of the bars there were: another luck of the same market."""
    draw = np.random.default_rng([setup.config.seed, 3])
    close = setup.histories[0].candles.frame["close"].to_numpy()
    returns = np.diff(np.log(close))
    block = max(block_length(returns), block_length(np.square(returns - returns.mean())), 10.0)
    found: dict[str, list[float]] = {"total_return": [], "sharpe": [], "max_drawdown": []}
    held = []
    for _ in range(PATHS):
        other = of_histories(workspace, setup.config, bootstrapped(setup.histories, block, draw), setup.looked)
        done, _ = trade(other)
        figures = measured(other, done)[0].figures
        for name, values in found.items():
            values.append(figures[name].value or 0.0)
        price = other.market.close[:, 0]
        held.append(float(price[-1] / price[0] - 1.0))
    note = f"{PATHS} histories of blocks of {block:.0f} bars on average: median, 5 % and 95 %"
    spread = {name: _spread(np.array(values)) for name, values in found.items()}
    return Scenario("drawn candles", "bootstrap", note, spread, float(np.median(held)))


def _spread(values: FloatArray) -> Figure:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return Figure(float(middle), float(low), float(high))


def _scenario(setup: Setup, name: str, kind: ScenarioKind, note: str, done: Simulated) -> Scenario:
    found, _ = measured(setup, done)
    points = points_of(found)
    hold = holding(replace(setup, config=setup.config.model_copy(update={"replications": 99})))
    return Scenario(name, kind, note, {n: points[n] for n in KEPT}, hold.figures["total_return"].value, done.calls,
                    done.liquidations, points["largest_exposure"].value)  # fmt: skip


def liquidation_of(setup: Setup) -> tuple[tuple[LiquidationChance, ...], list[str]]:
    """Return the chance of liquidation of the first instrument by side, leverage and horizon, from the last close.

    The density is that of a GARCH(1,1) with Student's t, fitted to the last 1,000 returns up to the last bar.
    """
    candles = setup.histories[0].candles
    instrument = candles.instrument
    try:
        fitted = GarchModel(dist="t").fit(candles.recent(SAMPLE))
        returns, sigma = fitted.futures(max(HORIZONS))
    except ForecastRefused as error:
        return (), [f"No chance of liquidation of {instrument}: {error.what} {error.why}"]
    rate = setup.account.tiers[0].rate if setup.account.kind != "cash" else 0.005
    due = setup.costs.funding
    funding = 0.0 if due is None else float(np.mean(due[:, 0]))
    sides: tuple[Literal["long", "short"], ...] = ("long", "short")
    found = []
    for side in sides:
        for leverage in LEVERAGES:
            shares = liquidated_by(returns, sigma, side, leverage, rate, funding, setup.config.seed)
            for horizon in HORIZONS:
                share = float(shares[horizon - 1])
                low, high = share_interval(share, returns.shape[0])
                found.append(LiquidationChance(side, leverage, horizon, share, low, high))
    told = f"maintenance {100 * rate:g} %, funding {1e4 * funding:.2f} bps a bar, {returns.shape[0]} paths"
    note = f"Chance of liquidation of {instrument} from {fitted.label} fitted up to {candles.end:%Y-%m-%d}, {told}."
    return tuple(found), [note]
