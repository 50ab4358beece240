"""Proof against look-ahead of a strategy: cut off and poisoned futures must leave all that was traded before alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app._datasets import Series, series_of
from forecastle.app._forecasts import forecasts_of
from forecastle.app._trading import Setup, of_histories, setup_of, strategy_of, trade, with_forecast
from forecastle.app._works import learners_of, served_name, work_of
from forecastle.app.backtest_candles import config_of_candles
from forecastle.audit import Subject, audit, poisoned
from forecastle.errors import RequestInvalid
from forecastle.experiments.evaluate import evaluate
from forecastle.experiments.spec import TrainConfig
from forecastle.experiments.strategy_spec import BacktestConfig, load_backtest
from forecastle.models.learners import NAIVE
from forecastle.nouns import Candles, History, LeakFinding, LeakReport
from forecastle.nouns.candles import TIME
from forecastle.ports import Progress, silent
from forecastle.requests import StrategyLeaksRequest
from forecastle.strategies.sizing import Fraction
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
FOLDS = 2
"""Folds of a model that are learned again on a poisoned future; each costs a training."""


def check_strategy(
    workspace: Workspace, request: StrategyLeaksRequest, progress: Progress = silent
) -> list[LeakReport]:
    """Return the audit of a file's strategy: wishes, positions and equity at each close, to the last bit.

    Run on all bars, on those up to a moment, and with everything after it poisoned. Of a model-driven strategy the
    forecasts are taken as they were made, and the making is looked at beside: folds are learned again with the future
    poisoned. Raises as a backtest does.
    """
    config = load_backtest(request.config)
    config = config.model_copy(update={
        "choose": {}, "sweep": {}, "execution": config.execution.model_copy(update={"close_at_end": False}),
        "data": config.data.model_copy(update={"start": None}),
    })  # fmt: skip
    strategy_of(config)
    setup = setup_of(workspace, config)
    forecast = None if config.training is None else forecasts_of(workspace, setup)
    history = _together(_last(setup, request.bars))
    subject = Subject(f"strategy {config.name}", lambda h: _traded(_begun(workspace, config, h), setup, forecast))
    reports = [audit([subject], history, request.cuts, request.seed, progress)]
    if config.training is not None:
        reports.append(_model(workspace, config, setup, request.seed))
    return reports


def _last(setup: Setup, bars: int) -> tuple[History, ...]:
    """Return the histories from so many bars before the end on, observations and peers as they are."""
    start = _utc(setup.market.open_time[-min(bars, len(setup.market))])
    return tuple(replace(h, candles=h.candles.between(start=start)) for h in setup.histories)


def _together(histories: Sequence[History]) -> History:
    """Return one history that holds the others as peers, so that a cut cuts them all."""
    first, *others = histories
    return replace(first, peers=(*first.peers, *others))


def _apart(history: History, config: BacktestConfig) -> tuple[History, ...]:
    """Return the histories of the instruments again."""
    k = len(config.data.instruments)
    own = replace(history, peers=history.peers[: len(history.peers) - (k - 1)])
    return (own, *history.peers[len(history.peers) - (k - 1) :])


def check_leaks(
    candles: Candles | Sequence[Candles],
    strategy: Any,
    sizing: Any = None,
    cuts: int = 100,
    seed: int = 0,
    **settings: Any,
) -> LeakReport:
    """Return the same audit of a strategy in Python, with the settings of :func:`forecastle.backtest`.

    A strategy that looks at what it keeps itself, or at a file, is not cut off from that.
    """
    many = [candles] if isinstance(candles, Candles) else list(candles)
    config, needs = config_of_candles(many, strategy, **settings)

    def begun(history: History) -> Setup:
        setup = of_histories(None, config, _apart(history, config), needs=needs)
        return replace(setup, strategy=strategy, sizing=sizing or Fraction())

    history = _together([History(c) for c in many])
    subject = Subject(f"strategy {type(strategy).__name__}", lambda h: _traded(begun(h)))
    return audit([subject], history, cuts, seed)


def _begun(workspace: Workspace, config: BacktestConfig, history: History) -> Setup:
    histories = tuple(h for h in _apart(history, config) if len(h.candles))
    if len(histories) < len(config.data.instruments):
        raise RequestInvalid("An instrument has no bar yet.", "It begins later.", "Cut later.")
    return of_histories(workspace, config, histories)


def _traded(setup: Setup, whole: Setup | None = None, forecast: FloatArray | None = None) -> pl.DataFrame:
    """Return what was wished, held and worth at each close."""
    if forecast is not None and whole is not None:
        rows = np.searchsorted(whole.market.close_time, setup.market.close_time)
        setup = with_forecast(setup, forecast[rows])
    done, signals = trade(setup)
    columns = {"equity": done.equity, "margin_ratio": done.margin_ratio}
    for j, name in enumerate(setup.market.names):
        columns |= {f"wish {name}": signals.target[:, j], f"position {name}": done.position[:, j]}
    times = pl.Series("known_at", setup.market.close_time).dt.replace_time_zone("UTC").cast(TIME)
    return pl.DataFrame([times, *(pl.Series(name, values) for name, values in columns.items())])


def _model(workspace: Workspace, config: BacktestConfig, setup: Setup, seed: int) -> LeakReport:
    """Return whether forecasts of a fold are the same where everything after the fold is poisoned."""
    training = config.training_config()
    findings, instrument = [], config.data.instruments[0]
    series = series_of(workspace, training, instrument)[0][0]
    moments = series.dataset.frame.known_at()
    looked = series.folds[: -1 or None][:FOLDS]
    for fold in looked:
        moment = _utc(moments[fold.test[-1]])
        other = series_of(workspace, training, instrument, changed=partial(poisoned, moment=moment, seed=seed))[0][0]
        name = served_name(training, learners_of(training, series.dataset.labels.unit),
                           NAIVE[series.dataset.labels.unit])  # fmt: skip
        mine, theirs = (_fold(workspace, training, name, one, fold.number) for one in (series, other))
        differs = np.flatnonzero(mine.view(np.int64) != theirs.view(np.int64))
        if differs.size:
            first = int(differs[0])
            row = _utc(moments[fold.test[first]])
            findings.append(LeakFinding(f"model {name}", "forecast", "poison", 1, moment, row,
                                        float(mine[first]), float(theirs[first])))  # fmt: skip
    told = f"{instrument} {config.data.timeframe} from {series.source}"
    return LeakReport(told, (f"model of {config.name}",), 1, len(setup.market), len(looked), seed, tuple(findings))


def _utc(moment: np.datetime64) -> datetime:
    found: datetime = moment.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)


def _fold(workspace: Workspace, training: TrainConfig, name: str, series: Series, number: int) -> FloatArray:
    plug_in = learners_of(training, series.dataset.labels.unit)[name]
    work = work_of(workspace.settings, training, series, name, plug_in)
    one = replace(work, folds=(work.folds[number],), checkpoint=None)
    return evaluate(one).joined().forecast
