"""GARCH-X: what is known beside the returns adds to the variance of the next bar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled
from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid
from forecastle.models._kernels import backcast
from forecastle.models._likelihood import (
    AT_BOUND,
    FREEDOM_START,
    NEARLY_ONE,
    Terms,
    coordinate,
    criteria,
    freedom,
    log_density,
    maximise,
    parameters,
    robust_errors,
    share,
)
from forecastle.models._regressors import RANGE, regressors_of
from forecastle.models._rolling import RollsByRefitting, joined, no_first_fit, refuse_dead, rows_of
from forecastle.models._sample import PATHS, SEED, Fitted, Sample, location_scale
from forecastle.models.component_garch import innovations, known_innovations
from forecastle.nouns import (
    Candles,
    Distribution,
    Empirical,
    FitSummary,
    History,
    Normal,
    Returns,
    StudentT,
)
from forecastle.ports import Extra, OneStep, Plan, Progress, Rolled, silent

FloatArray = npt.NDArray[np.float64]
Dist = Literal["normal", "t"]

MINIMUM_RETURNS = 250


@dataclass(frozen=True)
class GarchX(RollsByRefitting):
    """``s2[t] = omega + alpha e[t-1]^2 + beta s2[t-1] + sum_k delta_k x_k[t-1]``, ``r[t] = mu + e[t]``.

    Engle (2002), "New frontiers for ARCH models", with ``x >= 0`` known at the close before bar t and
    ``delta >= 0``, ``alpha + beta < 1``. Over several bars x stays at its last value.

    Parameters
    ----------
    regressors:
        ``range``, the Parkinson variance of the bar before (the default); ``VIX``, its last known close as a daily
        variance; or the name of other observations of the history. See :func:`regressors_of`.
    dist:
        Innovations: ``"t"`` (Student's t with unit variance) or ``"normal"``.

    Raises ``RequestInvalid`` for no regressors or other innovations.
    """

    regressors: tuple[str, ...] = (RANGE,)
    dist: Dist = "t"
    naive = False

    def __post_init__(self) -> None:
        known_innovations(self.dist)
        if not self.regressors or len(set(self.regressors)) < len(self.regressors):
            raise RequestInvalid(
                f"regressors is {self.regressors!r}.", "It has to name one or more, each once.", "Take ('range',)."
            )

    @property
    def wants(self) -> frozenset[Extra]:
        """Return ``observations`` where a regressor is one of them."""
        return frozenset() if set(self.regressors) == {RANGE} else frozenset({"observations"})

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"GARCH-X({', '.join(self.regressors)})-{self.dist}"

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedGarchX:
        """Fit by maximum likelihood to candles with at least 250 returns, and the observations that are regressors.

        Returns and regressors are scaled inside; every result is in decimals. Raises ``ForecastRefused`` for returns
        without candles (see :meth:`fit_with` for arrays) and where a regressor is not known all the time.
        """
        sample = Sample.of(x, MINIMUM_RETURNS)
        history = x if isinstance(x, History) else History(x) if isinstance(x, Candles) else None
        if history is None:
            raise ForecastRefused(
                f"{self.label} was given returns alone.",
                "Its regressors are made of candles and observations.",
                "Fit it to candles, or give the regressors to fit_with.",
            )
        return self._fit(sample, regressors_of(history, self.regressors))

    def fit_with(self, returns: FloatArray, known: FloatArray) -> FittedGarchX:
        """Fit to a 1-d array of log returns in decimals and regressors of shape (n + 1, regressors).

        Row t of ``known`` was known before return t; the last row is for the bar after the returns.
        """
        return self._fit(Sample.of(returns, MINIMUM_RETURNS), known)

    def _fit(self, sample: Sample, known: FloatArray) -> FittedGarchX:
        _refuse_what_is_no_regressor(known, sample.returns.size, self.regressors)
        scale, size = 1.0 / float(sample.returns.std()), 1.0 / known.mean(axis=0)
        returns, scaled = sample.returns * scale, np.ascontiguousarray(known * size)
        best = maximise(_density(returns, scaled), self._natural, self._starts(float(returns.mean())))
        names = ["mu", "omega", "alpha", "beta", *(f"delta[{name}]" for name in self.regressors), "nu"]
        units = np.array([scale, scale**2, 1.0, 1.0, *(scale**2 / size), 1.0])[: best.params.size]
        estimates = dict(zip(names, map(float, best.params / units), strict=False))
        likelihood = best.loglikelihood + returns.size * math.log(scale)
        status = best.status(_reservations(best.params, self.regressors))
        return FittedGarchX(sample, self.label, status, estimates, likelihood, np.ascontiguousarray(known), units)

    def _natural(self, x: FloatArray) -> FloatArray:
        """Return the parameters at the coordinates (mean, log variance, persistence, share of alpha, weights, freedom).

        ``omega`` and the deltas share out the part of the variance that does not come from the bar before.
        """
        persistence = NEARLY_ONE * share(x[2])
        alpha = persistence * share(x[3])
        left, deltas = math.exp(x[1]) * (1.0 - persistence), []
        for weight in x[4 : 4 + len(self.regressors)]:
            deltas.append(left * share(weight))
            left -= deltas[-1]
        values = [x[0], left, alpha, persistence - alpha, *deltas]
        return np.array(values if self.dist == "normal" else [*values, freedom(x[-1])])

    def _starts(self, mean: float) -> list[FloatArray]:
        count = len(self.regressors)
        rest = [] if self.dist == "normal" else [FREEDOM_START]
        return [
            np.array([mean, 0.0, coordinate(persistence), coordinate(part), *[coordinate(weight)] * count, *rest])
            for persistence, part, weight in product((0.95, 0.8, 0.4), (0.02, 0.1), (0.1, 0.6))
        ]

    def roll(self, history: History, plan: Plan, progress: Progress = silent) -> Rolled:
        """Return one-step forecasts of the bars after the burn-in, refitted on the grid of ``plan``.

        Row i sees ``window`` returns and the regressors known at the close before its bar. Raises ``ForecastRefused``
        where a regressor is not known all the time, or where no fit is good to begin with.
        """
        returns, known = history.returns, regressors_of(history, self.regressors)
        rows = rows_of(returns.values, plan)
        _refuse_what_is_no_regressor(known[plan.first :], returns.values.size - plan.first, self.regressors)
        starts = range(plan.first, rows, plan.refit_every)
        good: FittedGarchX | None = None
        steps, fresh, failed = [], [], 0
        for done, start in enumerate(starts, 1):
            fitted = self._attempt(returns.values, known, start, plan.window)
            failed += fitted is None
            good = fitted or good or self._last_fit(returns.values, known, start, plan)
            if good is None:
                raise no_first_fit(self.label, history.candles, plan.window)
            stop = min(start + plan.refit_every, rows) - 1 + plan.window
            step = good.step(returns.values[start:stop], known[start : stop + 1], plan.window, plan.levels)
            refuse_dead(step.sigma, returns, start, plan.window, self.label)
            steps.append(step)
            fresh.append(np.full(step.sigma.size, fitted is not None))
            progress(done, len(starts), f"{history.candles.instrument} {self.label}")
        return Rolled(joined(steps), np.concatenate(fresh), len(starts), failed)

    def _last_fit(self, returns: FloatArray, known: FloatArray, start: int, plan: Plan) -> FittedGarchX | None:
        """Return the latest good fit on the grid before ``start``."""
        for begin in range(start - plan.refit_every, -1, -plan.refit_every):
            fitted = self._attempt(returns, known, begin, plan.window)
            if fitted is not None:
                return fitted
        return None

    def _attempt(self, returns: FloatArray, known: FloatArray, start: int, window: int) -> FittedGarchX | None:
        """Fit to one window; None where the fit failed."""
        try:
            fitted = self.fit_with(returns[start : start + window], known[start : start + window + 1])
        except ForecastRefused:
            return None
        return fitted if fitted.status.converged else None


@dataclass(frozen=True, eq=False, repr=False)
class FittedGarchX(Fitted):
    """Maximum-likelihood estimates by name; ``known`` are the regressors, shape (n + 1, regressors).

    ``distribution`` and ``one_step`` take the sample's returns or a stretch of them, for only there are the regressors
    known; anything else raises ``ForecastRefused``.
    """

    estimates: Mapping[str, float]
    loglikelihood: float
    known: FloatArray
    _units: FloatArray

    ON_OTHER_RETURNS: ClassVar[str] = "Its regressors are known for the returns it was fitted to."

    @property
    def params(self) -> Mapping[str, float]:
        """Return mu, omega, alpha, beta, delta of each regressor and, with Student's t, nu, in decimals."""
        return self.estimates

    def summary(self) -> FitSummary:
        """Return parameters with robust standard errors (Bollerslev and Wooldridge 1992) and the criteria."""
        scale = float(self._units[0])
        size = scale**2 / self._units[4 : 4 + self.known.shape[1]]
        returns, scaled = self.sample.returns * scale, np.ascontiguousarray(self.known * size)
        params = np.array(list(self.estimates.values())) * self._units
        inside = [True, *(params[1:4] > AT_BOUND), *(params[4 : 4 + size.size] > AT_BOUND), True][: params.size]
        errors = robust_errors(_density(returns, scaled), params, inside)
        plain = [None if e is None else e / u for e, u in zip(errors, self._units, strict=True)]
        return criteria(
            FitSummary(
                self.label, "Student's t" if "nu" in self.estimates else "Normal", returns.size, self.status,
                parameters(self.estimates, plain), persistence=self.estimates["alpha"] + self.estimates["beta"],
                source=self.sample.source, data_hash=self.sample.data_hash,
            ),
            self.loglikelihood,
        )  # fmt: skip

    def conditional_volatility(self) -> FloatArray:
        """Return the filtered sigma of every return of the sample, shape (n,), in decimals."""
        return np.sqrt(self._variances(self.sample.returns, self.known)[:-1])

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the next ``horizon`` returns, the regressors held at their last value.

        One bar: exact. More: the shape of 20,000 simulated paths with a fixed seed, in units of the exact sigma.
        """
        known = self._known_beside(returns)
        mu, s2 = self.estimates["mu"], float(self._variances(returns, known)[-1])
        if horizon == 1:
            return self._shape(mu, math.sqrt(s2))
        base = self.estimates["omega"] + float(known[-1] @ self._deltas)
        persistence = self.estimates["alpha"] + self.estimates["beta"]
        variances = [s2]
        for _ in range(horizon - 1):
            variances.append(base + persistence * variances[-1])
        sigma = math.sqrt(sum(variances))
        return Empirical(mu * horizon, sigma, np.sort(self._simulate(s2, base, horizon) / sigma))

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i filtered over ``returns[i : i + window]``, a stretch of the sample, and its regressors."""
        return self.step(returns, self._known_beside(returns), window, levels)

    def step(self, returns: FloatArray, known: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i filtered over ``returns[i : i + window]`` and ``known[i : i + window + 1]``."""
        windows = np.lib.stride_tricks.sliding_window_view(returns, window)
        presample = backcast(windows - windows.mean(axis=1, keepdims=True))
        base = self.estimates["omega"] + known @ self._deltas
        e = self.estimates
        variance = driven_rolling_variance(returns - e["mu"], base, e["alpha"], e["beta"], presample)
        return location_scale(np.full(variance.size, e["mu"]), np.sqrt(variance), self._shape(0.0, 1.0), levels)

    def _known_beside(self, returns: FloatArray) -> FloatArray:
        """Return the regressors of a stretch of the sample's returns."""
        whole = self.sample.returns
        for start in np.flatnonzero(whole[: whole.size - returns.size + 1] == returns[0]):
            if np.array_equal(whole[start : start + returns.size], returns):
                return self.known[start : start + returns.size + 1]
        raise ForecastRefused(
            f"{self.label} was given {returns.size} returns that are no stretch of its own.",
            self.ON_OTHER_RETURNS,
            "Fit it to the history that has them, or walk it forward with roll.",
        )

    @property
    def _deltas(self) -> FloatArray:
        return np.array([value for name, value in self.estimates.items() if name.startswith("delta")])

    def _variances(self, returns: FloatArray, known: FloatArray) -> FloatArray:
        e = self.estimates
        presample = float(backcast((returns - returns.mean())[None, :])[0])
        return driven_variance(returns - e["mu"], e["omega"] + known @ self._deltas, e["alpha"], e["beta"], presample)

    def _shape(self, mean: float, sigma: float) -> Distribution:
        nu = self.estimates.get("nu")
        return Normal(mean, sigma) if nu is None else StudentT(mean, sigma, nu=nu)

    def _simulate(self, s2: float, base: float, horizon: int) -> FloatArray:
        """Return the sums of ``PATHS`` simulated futures, residuals only."""
        rng, e = np.random.default_rng(SEED), self.estimates
        variance, total = np.full(PATHS, s2), np.zeros(PATHS)
        for _ in range(horizon):
            shock = np.sqrt(variance) * innovations(rng, e.get("nu"), PATHS)
            total += shock
            variance = base + e["alpha"] * shock**2 + e["beta"] * variance
        return total


@compiled
def driven_variance(residuals: FloatArray, base: FloatArray, alpha: float, beta: float, presample: float) -> FloatArray:
    """Return the n + 1 variances ``base[t] + alpha e[t-1]^2 + beta s2[t-1]`` of n residuals; base has n + 1 values."""
    s2 = np.empty(residuals.size + 1)
    s2[0] = base[0] + (alpha + beta) * presample
    for t in range(residuals.size):
        s2[t + 1] = base[t + 1] + alpha * residuals[t] ** 2 + beta * s2[t]
    return s2


@compiled
def driven_rolling_variance(
    residuals: FloatArray, base: FloatArray, alpha: float, beta: float, presample: FloatArray
) -> FloatArray:
    """Return the forecast variance after each window: row i sees ``residuals[i : i + window]`` and its bases alone."""
    rows = presample.size
    window = residuals.size - rows + 1
    out = np.empty(rows)
    for i in range(rows):
        value = base[i] + (alpha + beta) * presample[i]
        for t in range(i, i + window):
            value = base[t + 1] + alpha * residuals[t] ** 2 + beta * value
        out[i] = value
    return out


def _density(returns: FloatArray, known: FloatArray) -> Terms:
    """Return the function from parameters to the log density of each return; NaN where a variance is not positive."""
    count = known.shape[1]
    presample = float(backcast((returns - returns.mean())[None, :])[0])

    def terms(params: FloatArray) -> FloatArray:
        residuals, base = returns - params[0], params[1] + known @ params[4 : 4 + count]
        variance = driven_variance(residuals, base, float(params[2]), float(params[3]), presample)[:-1]
        if variance.min() <= 0:
            return np.full(returns.size, np.nan)
        return log_density(residuals, variance, float(params[-1]) if params.size > 4 + count else None)

    return terms


def _reservations(params: FloatArray, names: tuple[str, ...]) -> list[str]:
    """Return what is odd about estimates that maximise the likelihood."""
    found = [
        f"delta[{name}] at the bound of zero: it adds nothing"
        for name, delta in zip(names, params[4:], strict=False)
        if delta < AT_BOUND
    ]
    if params[2] < AT_BOUND:
        found.append("alpha at the bound of zero: the regressor says all that the squared return does")
    if params[2] + params[3] > NEARLY_ONE - 1e-4:
        found.append(f"persistence {params[2] + params[3]:.4f}: the variance does not revert to a mean")
    return found


def _refuse_what_is_no_regressor(known: FloatArray, returns: int, names: tuple[str, ...]) -> None:
    if known.shape != (returns + 1, len(names)):
        raise DataInvalid(
            f"The regressors have the shape {known.shape}.",
            f"{returns} returns need one row each and one for the bar after them: {(returns + 1, len(names))}.",
            "Give what was known before each return.",
        )
    for column, name in zip(known.T, names, strict=True):
        missing = ~np.isfinite(column)
        if missing.any():
            raise ForecastRefused(
                f"The regressor '{name}' is not known at {int(missing.sum())} of {column.size} closes.",
                "A value counts for 31 days from when it became known.",
                "Choose a range that the observations cover, or another regressor.",
            )
        if (column < 0).any():
            raise DataInvalid(
                f"The regressor '{name}' is below zero.", "It adds to a variance.", "Give squares or absolute values."
            )
        if not column.any():
            raise ForecastRefused(
                f"The regressor '{name}' is always zero.", "It says nothing.", "Take another, or plain garch."
            )
