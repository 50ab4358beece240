"""Walk forward: one-step-ahead forecasts of every bar after the burn-in, as they could have been made at the time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app.fit import model_of
from forecastle.app.history import history_of
from forecastle.errors import DataMissing
from forecastle.nouns import Candles, History, Returns, RollingForecast
from forecastle.nouns.forecast import ROLLING_SCHEMA
from forecastle.ports import Extra, Model, OneStep, Plan, Progress, Rolled, silent
from forecastle.requests import ModelSpec, RollingRequest, SeriesRequest, build
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
FAN = (0.05, 0.25, 0.75, 0.95)


def rolling(workspace: Workspace, request: RollingRequest, progress: Progress = silent) -> RollingForecast:
    """Return the rolling forecast of one model; ``start`` and ``end`` bound the bars forecast, not those fitted on."""
    model = model_of(request.model)
    return roll(
        with_burn_in(workspace, request, model.wants), model, window=request.window, refit_every=request.refit_every,
        level=request.level, start=request.start, end=request.end, progress=progress,
    )  # fmt: skip


def rolling_forecast(
    candles: Candles | History,
    window: int = 1000,
    *,
    model: Model | str = "garch",
    refit_every: int = 20,
    level: float = 0.01,
    progress: Progress = silent,
) -> RollingForecast:
    """Return one row for every return after the burn-in: sigma, var, es, converged and what happened.

    Parameters
    ----------
    candles:
        Closed bars; the log returns between them are forecast, those across a missing bar left out. A ``History`` has
        finer bars, observations and peers beside them, for the models that look at these.
    window:
        Returns that go into each row, at least 250. There are exactly ``len(candles.log_returns()) - window`` rows.
    model:
        A model, or its name in the registry; ``"garch"`` is GARCH(1,1) with Student-t innovations.
    refit_every:
        Bars between refits; between them the parameters stay and the variance is filtered on.
    level:
        Of VaR and ES, 0.01 being one percent.

    Row t is made of the ``window`` returns before it and of nothing else. Raises ``DataMissing`` where there is nothing
    left to forecast, ``ForecastRefused`` where the first fit fails.
    """
    history = candles if isinstance(candles, History) else History(candles)
    series = history.candles
    request = build(
        RollingRequest, instrument=series.instrument, timeframe=series.timeframe, window=window,
        refit_every=refit_every, level=level,
    )  # fmt: skip
    chosen = model_of(build(ModelSpec, name=model)) if isinstance(model, str) else model
    return roll(
        history, chosen, window=request.window, refit_every=request.refit_every, level=request.level, progress=progress
    )


def with_burn_in(workspace: Workspace, request: SeriesRequest, wants: frozenset[Extra]) -> History:
    """Return what is known up to ``end``; what lies before ``start`` is needed for the burn-in."""
    return history_of(workspace, request.model_copy(update={"start": None}), wants)


def roll(
    history: History,
    model: Model,
    *,
    window: int,
    refit_every: int,
    level: float,
    start: datetime | None = None,
    end: datetime | None = None,
    progress: Progress = silent,
) -> RollingForecast:
    """Return the rolling forecast of ``model`` for the returns with a target time in ``[start, end]``.

    Refits lie on one grid from the beginning of the series, so that a bar's forecast does not depend on ``start``.
    """
    history = history if end is None else history.until(end)
    returns = history.returns
    wanted = _first_wanted(returns, window, start)
    first = (wanted - window) // refit_every * refit_every
    plan = Plan(window, refit_every, np.array([level, *FAN]), first)
    rolled = model.roll(history, plan, progress)
    known = slice(wanted - window - first, len(returns) - window - first)  # the last row is for the bar to come
    frame = _frame(rolled, known, returns, wanted)
    candles = history.candles
    return RollingForecast(
        candles.instrument, candles.timeframe, model.label, window, refit_every, level, frame, rolled.refits,
        rolled.failed, candles.data_hash, candles.source,
    )  # fmt: skip


def _first_wanted(returns: Returns, window: int, start: datetime | None) -> int:
    """Return the first return that is forecast: with a burn-in before it, and not before ``start``."""
    if len(returns) <= window:
        raise DataMissing(
            f"There are {len(returns)} returns up to the end of the range; the burn-in takes {window}.",
            "Nothing is left to forecast.",
            "Get more history, choose a smaller --window, or another range.",
        )
    after = 0 if start is None else int(np.searchsorted(returns.target_time, _naive(start)))
    if after >= len(returns) and start is not None:
        raise DataMissing(
            f"No bar closes between {start:%Y-%m-%d} and the end of the range.",
            f"The series ends at {returns.target_time[-1].astype('datetime64[m]')} UTC.",
            "Ask for an earlier --start.",
        )
    return max(after, window)


def _frame(rolled: Rolled, known: slice, returns: Returns, wanted: int) -> pl.DataFrame:
    times = {"as_of": returns.as_of[wanted:], "target_time": returns.target_time[wanted:]}
    columns = {name: column[known] for name, column in _columns(rolled.step).items()}
    flags = {"converged": rolled.fresh[known], "stale": ~rolled.fresh[known]}
    frame = pl.DataFrame({**times, "outcome": returns.values[wanted:], **columns, **flags})
    utc = [pl.col(name).dt.replace_time_zone("UTC") for name in times]
    return frame.with_columns(*utc).select(list(ROLLING_SCHEMA))


def _columns(step: OneStep) -> dict[str, FloatArray]:
    fan = {f"q{round(100 * p):02d}": step.quantiles[:, i] for i, p in enumerate(FAN, 1)}
    return {"mean": step.mean, "sigma": step.sigma, "var": -step.quantiles[:, 0], "es": step.es[:, 0], **fan}


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
