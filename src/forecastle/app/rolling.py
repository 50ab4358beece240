"""Walk forward: one-step-ahead forecasts of every bar after the burn-in, as they could have been made at the time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app.fit import model_of
from forecastle.app.look import load
from forecastle.errors import DataMissing, ForecastRefused
from forecastle.nouns import Candles, Returns, RollingForecast
from forecastle.nouns.forecast import ROLLING_SCHEMA
from forecastle.ports import FittedModel, Model, Progress, silent
from forecastle.requests import ModelSpec, RollingRequest, SeriesRequest, build
from forecastle.splits import Block, walk_forward
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
FAN = (0.05, 0.25, 0.75, 0.95)


def rolling(workspace: Workspace, request: RollingRequest, progress: Progress = silent) -> RollingForecast:
    """Return the rolling forecast of one model; ``start`` and ``end`` bound the bars forecast, not those fitted on."""
    candles = load_with_burn_in(workspace, request)
    return roll(
        candles, model_of(request.model), window=request.window, refit_every=request.refit_every,
        level=request.level, start=request.start, end=request.end, progress=progress,
    )  # fmt: skip


def rolling_forecast(
    candles: Candles,
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
        Closed bars; the log returns between them are forecast, those across a missing bar left out.
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
    request = build(
        RollingRequest, instrument=candles.instrument, timeframe=candles.timeframe, window=window,
        refit_every=refit_every, level=level,
    )  # fmt: skip
    chosen = model_of(build(ModelSpec, name=model)) if isinstance(model, str) else model
    return roll(
        candles, chosen, window=request.window, refit_every=request.refit_every, level=request.level, progress=progress
    )


def load_with_burn_in(workspace: Workspace, request: SeriesRequest) -> Candles:
    """Return the candles up to ``end``; those before ``start`` are needed for the burn-in."""
    return load(workspace, request.model_copy(update={"start": None}))


def roll(
    candles: Candles,
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
    whole = candles.log_returns()
    returns, ahead, first = _from_burn_in(whole, window, refit_every, start, end)
    blocks = list(walk_forward(len(returns), window, refit_every))
    levels = np.array([level, *FAN])
    columns: list[dict[str, FloatArray]] = []
    good: FittedModel | None = None
    failed = 0
    for done, block in enumerate(blocks, 1):
        fitted = _fit(model, returns, block)
        failed += fitted is None
        good = fitted or good or _last_good(model, whole, first, window, refit_every)
        if good is None:
            raise ForecastRefused(
                f"{model.label} did not converge on the first {window} returns of {candles.instrument}.",
                "There are no earlier parameters to go on with.",
                "Choose a longer --window or another model.",
            )
        columns.append(_rows(good, returns, block, window, levels, fresh=fitted is not None))
        progress(done, len(blocks), f"{candles.instrument} {model.label}")
    return RollingForecast(
        candles.instrument, candles.timeframe, model.label, window, refit_every, level,
        _frame(columns, returns, window).slice(ahead), len(blocks), failed, candles.data_hash,
        candles.source,
    )  # fmt: skip


def _from_burn_in(
    returns: Returns, window: int, refit_every: int, start: datetime | None, end: datetime | None
) -> tuple[Returns, int, int]:
    """Cut the returns at a refit before ``start`` and at ``end``.

    Also return how many rows come ahead of ``start``, and where the cut begins.
    """
    wanted = 0 if start is None else int(np.searchsorted(returns.target_time, _naive(start)))
    stop = len(returns) if end is None else int(np.searchsorted(returns.target_time, _naive(end), side="right"))
    if wanted >= stop and start is not None and len(returns):
        raise DataMissing(
            f"No bar closes between {start:%Y-%m-%d} and the end of the range.",
            f"The series ends at {returns.target_time[-1].astype('datetime64[m]')} UTC.",
            "Ask for an earlier --start.",
        )
    first = max(wanted - window, 0)
    ahead = first % refit_every
    first -= ahead
    if stop - first <= window + ahead:
        raise DataMissing(
            f"There are {stop - first - ahead} returns up to the end of the range; the burn-in takes {window}.",
            "Nothing is left to forecast.",
            "Get more history, choose a smaller --window, or another range.",
        )
    part = slice(first, stop)
    cut = Returns(returns.values[part], returns.as_of[part], returns.target_time[part], returns.spanning_gaps)
    return cut, ahead, first


def _last_good(model: Model, returns: Returns, first: int, window: int, refit_every: int) -> FittedModel | None:
    """Return the latest good fit on the grid before ``first``: what a longer range would have gone on with."""
    for begin in range(first - refit_every, -1, -refit_every):
        fitted = _fit(model, returns, Block(begin, begin + window, begin + window))
        if fitted is not None:
            return fitted
    return None


def _fit(model: Model, returns: Returns, block: Block) -> FittedModel | None:
    """Fit on the training part alone; None where the fit failed."""
    try:
        fitted = model.fit(returns.values[block.train_start : block.train_stop])
    except ForecastRefused:
        return None
    return fitted if fitted.status.converged else None


def _rows(
    fitted: FittedModel, returns: Returns, block: Block, window: int, levels: FloatArray, *, fresh: bool
) -> dict[str, FloatArray]:
    """Return the columns of one block: row i sees the ``window`` returns before its target."""
    seen = returns.values[block.train_stop - window : block.test_stop - 1]
    step = fitted.one_step(seen, window, levels)
    flat = step.sigma <= 1e-12 * np.abs(seen).max()  # equal returns leave only rounding
    if flat.any():
        dead = returns.as_of[block.train_stop + int(flat.argmax())]
        raise ForecastRefused(
            f"None of the {window} returns before {dead.astype('datetime64[m]')} UTC changes.",
            f"{fitted.summary().model} has no volatility to forecast there.",
            "Choose a range without this stretch; forecastle quality shows where the feed stood still.",
        )
    fan = {f"q{round(100 * p):02d}": step.quantiles[:, i] for i, p in enumerate(FAN, 1)}
    flag = np.full(step.sigma.size, float(fresh))
    return {
        "mean": step.mean, "sigma": step.sigma, "var": -step.quantiles[:, 0], "es": step.es[:, 0], **fan,
        "converged": flag, "stale": 1.0 - flag,
    }  # fmt: skip


def _frame(columns: list[dict[str, FloatArray]], returns: Returns, window: int) -> pl.DataFrame:
    joined = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    times = {"as_of": returns.as_of[window:], "target_time": returns.target_time[window:]}
    frame = pl.DataFrame({**times, "outcome": returns.values[window:], **joined})
    utc = [pl.col(name).dt.replace_time_zone("UTC") for name in times]
    flags = [pl.col(name).cast(pl.Boolean) for name in ("converged", "stale")]
    return frame.with_columns(*utc, *flags).select(list(ROLLING_SCHEMA))


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
