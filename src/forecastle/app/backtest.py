"""Trade a strategy over the past with real costs, and say what it is worth beside doing nothing clever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from forecastle.app._beside import benchmarks_of, readings_of
from forecastle.app._forecasts import forecasts_of
from forecastle.app._judged import result_of
from forecastle.app._kept_backtest import keep_backtest
from forecastle.app._trading import Setup, setup_of, strategy_of, trade, with_forecast
from forecastle.app.overfitting import deflated
from forecastle.backtest import Simulated
from forecastle.experiments.folder import ExperimentFolder
from forecastle.experiments.strategy_spec import BacktestConfig, load_backtest
from forecastle.experiments.trials import TrialLog
from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.signal import Signals
from forecastle.ports import Progress, silent
from forecastle.requests import BacktestRequest
from forecastle.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Backtested:
    """A result and where it is kept; ``held_out`` and ``opened`` say what was done about hold-outs."""

    result: BacktestResult
    config: BacktestConfig
    folder: ExperimentFolder | None
    held_out: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()


def backtest(workspace: Workspace, request: BacktestRequest, progress: Progress = silent) -> Backtested:
    """Backtest what a file says; raises as :func:`backtest_config` and ``load_backtest``."""
    return backtest_config(workspace, load_backtest(request.config), request.config, request.open_holdout, progress)


def backtest_config(
    workspace: Workspace,
    config: BacktestConfig,
    path: Path | None = None,
    opening: str | None = None,
    progress: Progress = silent,
) -> Backtested:
    """Trade the whole time with the settings of the file, judge it, count it as a trial and keep it.

    A model-driven strategy acts on forecasts of windows that its model was not fitted on, and trades from the first of
    them on. Raises as reading the lake does, ``RequestInvalid`` and ``NameUnknown`` for a strategy that cannot be made.
    """
    progress(0, 4, "data")
    setup = ready(workspace, config, opening, progress)
    progress(1, 4, "trading")
    done, signals = trade(setup)
    progress(2, 4, "judging")
    result = judged(workspace, setup, done, signals, strategy_of(config))
    progress(3, 4, "report")
    return kept(workspace, setup, result, path)


def ready(
    workspace: Workspace, config: BacktestConfig, opening: str | None = None, progress: Progress = silent
) -> Setup:
    """Return the setup, with the forecasts of its model where the strategy is driven by one."""
    strategy_of(config)  # a wrong name is told before any data are read
    setup = setup_of(workspace, config, opening)
    if config.training is None:
        return setup
    return from_first_forecast(with_forecast(setup, forecasts_of(workspace, setup, opening, progress)))


def from_first_forecast(setup: Setup) -> Setup:
    """Return the setup from the first bar on that there is a forecast of: before it there was no model."""
    forecast = setup.seen.forecast
    assert forecast is not None  # noqa: S101 - it was just made
    first = int(np.argmax(np.isfinite(forecast).any(axis=1)))
    return begun_at(setup, first)


def begun_at(setup: Setup, first: int) -> Setup:
    """Return the setup that begins to trade ``first`` rows later."""
    seen, n = setup.seen, len(setup.market)
    cut = slice(first, n)
    funding = setup.costs.funding
    start = setup.market.open_time[first].astype("datetime64[us]").item()
    return replace(
        setup, first=setup.first + first,
        seen=replace(
            seen, market=seen.market.rows(first, n), columns={k: v[cut] for k, v in seen.columns.items()},
            sigma=None if seen.sigma is None else seen.sigma[cut],
            forecast=None if seen.forecast is None else seen.forecast[cut],
        ),
        costs=setup.costs if funding is None else replace(setup.costs, funding=funding[cut]),
        span=replace(setup.span, start=start.replace(tzinfo=setup.span.end.tzinfo)),
    )  # fmt: skip


def judged(
    workspace: Workspace,
    setup: Setup,
    done: Simulated,
    signals: Signals,
    strategy: Any,
    tried: Mapping[str, Any] | None = None,
) -> BacktestResult:
    """Return the result with everything beside it; the trial is counted first: what is asked depends on how many."""
    result = result_of(setup, done, signals, getattr(strategy, "label", type(strategy).__name__))
    benchmarks, notes = benchmarks_of(workspace, setup, done, signals, result.figures["volatility"].value)
    result = replace(
        result, benchmarks=benchmarks, readings=readings_of(workspace, setup, signals), notes=(*result.notes, *notes)
    )
    trials = count_trial(workspace, setup, result, tried)
    return replace(result, trials=trials, deflated=deflated(workspace, setup.span, result.returns))


def count_trial(
    workspace: Workspace, setup: Setup, result: BacktestResult, tried: Mapping[str, Any] | None = None
) -> int:
    """Register what was run as a trial and return how many configurations were tried on these data so far."""
    log = TrialLog(workspace.settings.home, workspace.clock)
    scores = {name: f.value for name, f in result.figures.items() if f.value is not None}
    told = dict(tried if tried is not None else setup.config.tried())
    log.register("backtest", told, setup.span, result.returns, setup.market.close_time, "return", scores)
    return log.count(setup.span)


def kept(workspace: Workspace, setup: Setup, result: BacktestResult, path: Path | None) -> Backtested:
    """Return the result with its folder written."""
    held = tuple(f"{lock}" for lock in setup.looked.cut)
    opened = tuple(f"{lock}" for lock in setup.looked.opened)
    folder = keep_backtest(workspace, setup, result, path, held, opened)
    return Backtested(result, setup.config, folder, held, opened)
