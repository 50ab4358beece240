"""From forecasts of realised variance to the distribution of the return: level, tails, walk forward."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import ForecastRefused
from forecastle.models._rolling import rows_of
from forecastle.models._sample import Fitted
from forecastle.nouns import Candles, Distribution, FitSummary, Forecast, History, Parameter, Returns, StudentT
from forecastle.ports import Extra, OneStep, Plan, Progress, Rolled, silent

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

MEMORY = 9000
"""Bars that a single forecast looks back on: by then the weight of a bar, 0.9995^age, is a hundredth."""
WARM_UP = 100
"""Returns before the first forecast: those between it and the burn-in give the first residuals."""
_WARM_UP_STEP = 20
_KEEP = 0.998
HIGHEST_RATIO = 50.0
_PRIOR_ROWS, _PRIOR_RATIO = 20.0, 1.1
_RETURN_PRIOR = 100.0
_NUS = np.array([3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 50.0])
NU_BEFORE = 6.0
_LEAST_RESIDUALS = 100


@dataclass(frozen=True, eq=False)
class VariancePath:
    """One-step forecasts of n returns and of the one after them, shape (n + 1,); NaN where there is none yet.

    ``realised`` is the expected variance measure of the bar (realised variance where it is known), ``variance`` the
    expected square of its return. ``fresh`` is False where parameters are those of an earlier refit because a later one
    failed; None where none can fail.
    """

    realised: FloatArray
    variance: FloatArray
    fresh: BoolArray | None = None

    @property
    def fresh_rows(self) -> BoolArray:
        """Return ``fresh`` as an array of shape (n + 1,)."""
        return np.ones(self.variance.size, np.bool_) if self.fresh is None else self.fresh


def levelled(log_forecast: FloatArray, target: FloatArray, returns: FloatArray) -> VariancePath:
    """Turn forecasts of a log variance into expected variances, each from the residuals before it.

    ``E[v] = exp(f) E[v / exp(f)]``: the mean ratio is that of past forecasts, with weights 0.998^age (Duan's smearing,
    1983, JASA 78, 605-610, with relative residuals), as 20 rows of 1.1 to begin with, ratios above 50 taken as 50. The
    squared return has a level of its own, the mean of ``r^2 / exp(f)`` over that of ``v / exp(f)``, drawn to one as by
    100 rows. ``log_forecast`` has shape (n + 1,), the others (n,).
    """
    scale = np.exp(log_forecast)
    variance_ratio = _ratio(target, scale[:-1])
    return_ratio = _ratio(returns**2, scale[:-1])
    known = np.isfinite(variance_ratio) & np.isfinite(return_ratio)
    above = decayed(np.where(known, variance_ratio, 0.0), _KEEP)
    below = decayed(known.astype(np.float64), _KEEP)
    level = (above + _PRIOR_ROWS * _PRIOR_RATIO) / (below + _PRIOR_ROWS)
    squares, variances = (
        np.r_[0.0, np.cumsum(np.where(known, v, 0.0))] + _RETURN_PRIOR for v in (return_ratio, variance_ratio)
    )
    realised = scale * level
    return VariancePath(realised, realised * squares / variances)


def decayed(values: FloatArray, keep: float) -> FloatArray:
    """Return ``out[s] = sum_{j < s} keep^(s-1-j) values[j]`` for s = 0 .. n, shape (n + 1,)."""
    out = [0.0]
    for value in values.tolist():
        out.append(keep * out[-1] + value)
    return np.array(out)


def refit_rows(n: int, window: int, refit_every: int) -> IntArray:
    """Return the rows at which parameters are estimated: on the plan's grid from the burn-in on, every 20 before it."""
    before = np.arange(window, min(WARM_UP, window) - 1, -min(_WARM_UP_STEP, refit_every))[::-1]
    return np.asarray(np.r_[before[:-1], np.arange(window, n + 1, refit_every)], dtype=np.intp)


def tails(returns: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the degrees of freedom of Student's t that fit the standardised returns before each row best, (n + 1,).

    The highest likelihood among nine values from 3 to 50; 6 until there are 100 residuals.
    """
    z = np.divide(returns, np.sqrt(variance[:-1]), out=np.full(returns.size, np.nan), where=variance[:-1] > 0)
    known = np.isfinite(z)
    squares = np.where(known, z, 0.0)[:, None] ** 2
    constant = special.gammaln((_NUS + 1) / 2) - special.gammaln(_NUS / 2) - 0.5 * np.log(math.pi * (_NUS - 2))
    terms = np.where(known[:, None], constant - 0.5 * (_NUS + 1) * np.log1p(squares / (_NUS - 2)), 0.0)
    likelihood = np.cumsum(terms, axis=0)
    best = _NUS[np.argmax(likelihood, axis=1)] if z.size else np.array([])
    enough = np.cumsum(known) >= _LEAST_RESIDUALS
    return np.asarray(np.r_[NU_BEFORE, np.where(enough, best, NU_BEFORE)])


def student_rows(variance: FloatArray, nu: FloatArray, levels: FloatArray) -> OneStep:
    """Return rows of mean zero, with Student's t of its own degrees of freedom in each."""
    sigma = np.sqrt(variance)
    quantiles, es = np.empty((2, sigma.size, levels.size))
    for value in np.unique(nu):
        rows, shape = nu == value, StudentT(0.0, 1.0, float(value))
        quantiles[rows] = sigma[rows, None] * shape.standard_quantile(levels)
        es[rows] = -sigma[rows, None] * shape.standard_tail(levels)
    return OneStep(np.zeros(sigma.size), sigma, quantiles, es)


class RollsByPath(ABC):
    """A model whose walk forward is one path of variances, made from all that was known before each row.

    The burn-in is that of the plan; a row looks back on everything before it, not on the window alone.
    """

    wants: ClassVar[frozenset[Extra]] = frozenset()
    needs: ClassVar[frozenset[Extra]] = frozenset()
    naive: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """Return the name a table shows."""

    @abstractmethod
    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedVariance:
        """Fit the model."""

    @abstractmethod
    def path(self, history: History, window: int, refit_every: int, progress: Progress = silent) -> VariancePath:
        """Return the forecasts of all returns, parameters estimated at ``refit_rows``."""

    def sees(self, history: History, window: int) -> History:
        """Return the last ``MEMORY`` bars: older ones have next to no weight, and a year of hours is enough."""
        return history.last(max(window, MEMORY)) if len(history) > MEMORY else history

    def ahead(self, history: History, horizon: int, window: int) -> Forecast:
        """Return the forecast of the next ``horizon`` bars."""
        return self.fit(self.sees(history, window)).forecast(horizon)

    def roll(self, history: History, plan: Plan, progress: Progress = silent) -> Rolled:
        """Return one-step forecasts of the bars after the burn-in.

        Raises ``ForecastRefused`` where a row has no variance: too little is known, or the market stood still.
        """
        returns = history.returns
        rows_of(returns.values, plan)
        path = self.path(history, plan.window, plan.refit_every, progress)
        nu = tails(returns.values, path.variance)
        part = slice(plan.window + plan.first, None)
        variance = path.variance[part]
        if not (variance > 0).all():  # NaN, too
            first = plan.window + plan.first + int(np.argmin(variance > 0))
            raise _unknown(self.label, history, first)
        step = student_rows(variance, nu[part], plan.levels)
        fresh = path.fresh_rows[part]
        at_refits = fresh[:: plan.refit_every]
        return Rolled(step, fresh, at_refits.size, int((~at_refits).sum()))


@dataclass(frozen=True, eq=False, repr=False)
class FittedVariance(Fitted):
    """A variance forecast from the end of the sample, Student's t around zero.

    ``curve(h)`` is the expected squared return over h bars. ``rows(returns, window)``, where a model of returns alone
    can say it, is the variance after each window; None for one that looked at more than returns.
    """

    estimates: Mapping[str, float]
    nu: float
    curve: Callable[[int], float]
    rows: Callable[[FloatArray, int], FloatArray] | None = field(default=None)

    @property
    def params(self) -> Mapping[str, float]:
        """Return the coefficients by name, and nu."""
        return {**self.estimates, "nu": self.nu}

    def summary(self) -> FitSummary:
        """Return the coefficients; they have no likelihood, and no standard errors that mean anything."""
        table = tuple(Parameter(name, value) for name, value in self.params.items())
        table += (Parameter("sigma", math.sqrt(self.curve(1))),)
        return FitSummary(
            self.label, "Student's t", self.sample.returns.size, self.status, table, source=self.sample.source,
            data_hash=self.sample.data_hash,
        )  # fmt: skip

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return Student's t; over more bars its degrees of freedom grow by one a bar, as sums come nearer the normal.

        Raises ``ForecastRefused`` for other returns than those fitted to, where the model looked at more than returns.
        """
        if self.rows is None or np.array_equal(returns, self.sample.returns):
            self._only_its_own(returns)
            variance = self.curve(horizon)
        else:
            variance = float(self.rows(returns, returns.size)[0]) * self.curve(horizon) / self.curve(1)
        return StudentT(0.0, math.sqrt(variance), self.nu + horizon - 1.0)

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from ``returns[i : i + window]``; ``ForecastRefused`` where more than returns is needed."""
        if self.rows is None:
            self._only_its_own(returns[:window])
            return student_rows(np.array([self.curve(1)]), np.array([self.nu]), levels)
        variance = self.rows(returns, window)
        return student_rows(variance, np.full(variance.size, self.nu), levels)

    def _only_its_own(self, returns: FloatArray) -> None:
        if not np.array_equal(returns, self.sample.returns):
            raise ForecastRefused(
                f"{self.label} was asked about {returns.size} bare returns that it was not fitted to.",
                "It looks at ranges or at finer bars, which returns do not tell.",
                "Use roll() with a History for forecasts of many bars.",
            )


def _unknown(label: str, history: History, row: int) -> ForecastRefused:
    """Return the refusal of a row without a variance."""
    times = history.returns
    moment = times.as_of[row] if row < len(times) else times.target_time[-1]
    return ForecastRefused(
        f"{label} has no variance for the bar after {moment.astype('datetime64[m]')} UTC.",
        "Too little is known before it, or the market stood still.",
        "Choose a range without this stretch, a longer --window, or another model.",
    )


def _ratio(values: FloatArray, scale: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.minimum(values / scale, HIGHEST_RATIO))
