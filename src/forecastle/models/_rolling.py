"""Walk a model forward by fitting it again and again: what every model gets that has nothing faster."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.models._sample import Sample, point_out_scale
from forecastle.nouns import Candles, Forecast, History, Returns
from forecastle.ports import Extra, FittedModel, OneStep, Plan, Progress, Rolled, silent

FloatArray = npt.NDArray[np.float64]

PATIENCE = 22
"""Bars back to look for a fit that converged: a trading month."""


class RollsByRefitting:
    """A model that is walked forward through its ``fit`` and ``one_step`` on returns alone."""

    @property
    def wants(self) -> frozenset[Extra]:
        """Return nothing: returns are enough."""
        return frozenset()

    @property
    def needs(self) -> frozenset[Extra]:
        """Return nothing."""
        return frozenset()

    if TYPE_CHECKING:

        @property
        def label(self) -> str:
            """Return the name a table shows."""

        def fit(self, x: History | Candles | Returns | FloatArray) -> FittedModel:
            """Fit the model."""

    def roll(self, history: History, plan: Plan, progress: Progress = silent) -> Rolled:
        """Return one-step forecasts of the bars after the burn-in, refitted on the grid of ``plan``.

        Where a refit fails, the last good parameters are used on, and the rows are not ``fresh``. Raises
        ``ForecastRefused`` where there are no earlier ones, or where none of the returns of a window changes.
        """
        returns = history.returns
        starts = range(plan.first, rows_of(returns.values, plan), plan.refit_every)
        good: FittedModel | None = None
        steps, fresh, failed = [], [], 0
        point_out_scale(returns.values)
        for done, start in enumerate(starts, 1):
            fitted = self._try(returns.values[start : start + plan.window])
            failed += fitted is None
            good = fitted or good or self._last_good(returns.values, start, plan)
            if good is None:
                raise no_first_fit(self.label, history.candles, plan.window)
            step = self._block(good, history, plan, start)
            steps.append(step)
            fresh.append(np.full(step.sigma.size, fitted is not None))
            progress(done, len(starts), f"{history.candles.instrument} {self.label}")
        return Rolled(joined(steps), np.concatenate(fresh), len(starts), failed)

    def sees(self, history: History, window: int) -> History:
        """Return the last ``window`` returns."""
        return history.recent(window)

    def ahead(self, history: History, horizon: int, window: int) -> Forecast:
        """Return the forecast of the next ``horizon`` bars by a fit to the last ``window`` returns.

        Where that fit does not converge, the last good one of the ``PATIENCE`` bars before is filtered up to now, and
        the forecast is ``stale``. Raises ``ForecastRefused`` where there is none, or where the data are refused.
        """
        recent = self.sees(history, window)
        fitted = self.fit(recent)
        if fitted.status.converged:
            return fitted.forecast(horizon)
        for bars in range(1, min(PATIENCE, len(history) - window) + 1):
            earlier = self.sees(history.before(bars), window)
            older = self._try(earlier)
            if older is not None:
                return self._stale(older, recent, horizon, earlier.candles.end)
        return fitted.forecast(horizon)  # refuses, with the reason of the fit

    def _stale(self, older: FittedModel, recent: History, horizon: int, trained_until: datetime) -> Forecast:
        sample = Sample.of(recent, 2)
        distribution = older.distribution(sample.returns, horizon)
        made = sample.forecast(distribution, horizon, self.label, older.model_hash, older.status)
        return replace(made, stale=True, trained_until=trained_until)

    def _block(self, fitted: FittedModel, history: History, plan: Plan, start: int) -> OneStep:
        """Return the rows from ``start`` to the next refit."""
        returns = history.returns
        stop = min(start + plan.refit_every, len(returns) - plan.window + 1)
        step = fitted.one_step(returns.values[start : stop - 1 + plan.window], plan.window, plan.levels)
        refuse_dead(step.sigma, returns, start, plan.window, self.label)
        return step

    def _last_good(self, returns: FloatArray, start: int, plan: Plan) -> FittedModel | None:
        """Return the latest good fit on the grid before ``start``: what a longer range would have gone on with."""
        for begin in range(start - plan.refit_every, -1, -plan.refit_every):
            fitted = self._try(returns[begin : begin + plan.window])
            if fitted is not None:
                return fitted
        return None

    def _try(self, x: History | FloatArray) -> FittedModel | None:
        """Fit; None where the fit failed."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScaleWarning)  # said once, of the whole
                fitted = self.fit(x)
        except ForecastRefused:
            return None
        return fitted if fitted.status.converged else None


def rows_of(returns: FloatArray, plan: Plan) -> int:
    """Return the number of rows of the whole series, those before ``plan.first`` too; the last is after the data."""
    rows = returns.size - plan.window + 1
    if rows <= plan.first or plan.first % plan.refit_every:
        raise RequestInvalid(
            f"{returns.size} returns, a window of {plan.window}, first row {plan.first}, refits every "
            f"{plan.refit_every}.",
            "The first row has to be a refit and to lie within the series.",
            "Choose a smaller window.",
        )
    return rows


def joined(steps: Sequence[OneStep]) -> OneStep:
    """Return the rows of several blocks, one after the other."""
    return OneStep(
        np.concatenate([s.mean for s in steps]),
        np.concatenate([s.sigma for s in steps]),
        np.concatenate([s.quantiles for s in steps]),
        np.concatenate([s.es for s in steps]),
    )


def no_first_fit(label: str, candles: Candles, window: int) -> ForecastRefused:
    """Return the refusal of a model that has no good fit to begin with."""
    return ForecastRefused(
        f"{label} did not converge on the first {window} returns of {candles.instrument}.",
        "There are no earlier parameters to go on with.",
        "Choose a longer --window or another model.",
    )


def refuse_dead(sigma: FloatArray, returns: Returns, start: int, window: int, label: str) -> None:
    """Refuse rows whose whole window never changes; ``start`` is the row of ``sigma[0]``."""
    seen = returns.values[start : start + sigma.size - 1 + window]
    flat = sigma <= 1e-12 * np.abs(seen).max()  # equal returns leave only rounding
    if flat.any():
        last = returns.target_time[start + int(flat.argmax()) + window - 1]
        raise ForecastRefused(
            f"None of the {window} returns before {last.astype('datetime64[m]')} UTC changes.",
            f"{label} has no volatility to forecast there.",
            "Choose a range without this stretch; forecastle quality shows where the feed stood still.",
        )
