"""A member of the GARCH family with its parameters: what it says of the past, of the next bars and of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.models._diagnostics import residual_tests
from forecastle.models._inference import differentiate, infer
from forecastle.models._innovations import DIST_NAMES, Innovations
from forecastle.models._kernels import backcast
from forecastle.models._means import Mean, least_squares
from forecastle.models._recursions import Recursion, recursion_of
from forecastle.models._sample import PATHS, SEED, Fitted, Sample, location_scale
from forecastle.nouns import Distribution, Empirical, FitStatus, FitSummary, Forecast
from forecastle.nouns.fit import half_life
from forecastle.ports import OneStep

if TYPE_CHECKING:
    from forecastle.models.garch import GarchModel

FloatArray = npt.NDArray[np.float64]

UNIT_ROOT = 0.9999
_REVERTING = 0.999
_BOUND = 1e-6
_LIGHTEST = 400.0
_WHOLLY_SKEWED = 0.9995
_SHOCKS = 4.0
_MEAN_STEPS = {"normal": 1e-3, "t": 1e-3, "skewt": 1e-3, "ged": 5e-2}
"""Steps of the mean in standard deviations for the derivatives; the peak of the GED at zero needs wide ones."""


@dataclass(frozen=True, eq=False, repr=False)
class FittedGarch(Fitted):
    """Maximum-likelihood estimates by name, in decimals; everything else follows from them and the returns."""

    model: GarchModel
    estimates: Mapping[str, float]

    @classmethod
    def of_parameters(
        cls, model: GarchModel, estimates: Mapping[str, float], sample: Sample, status: FitStatus | None = None
    ) -> FittedGarch:
        """Return the fit that has these parameters: the same numbers, bit for bit, as when they were estimated.

        ``status`` is that of the estimation, converged where None. Raises ``RequestInvalid`` where the names are not
        those of the model or a value is not finite.
        """
        wanted = model.parameter_names
        if set(estimates) != set(wanted) or not all(math.isfinite(v) for v in estimates.values()):
            raise RequestInvalid(
                f"The parameters are {', '.join(f'{k}={v:g}' for k, v in estimates.items())}.",
                f"{model.label} has {', '.join(wanted)}, all finite.",
                "Give the parameters of a fit of this model.",
            )
        ordered = {name: float(estimates[name]) for name in wanted}
        return cls(sample, model.label, status or FitStatus(converged=True), model, ordered)

    @property
    def params(self) -> Mapping[str, float]:
        """Return the estimates by name, such as mu, omega, alpha[1], gamma[1], beta[1], nu; in decimals."""
        return self.estimates

    @cached_property
    def innovations(self) -> Innovations:
        """Return the law of the standardised residuals."""
        return Innovations.of(self.model.dist, self.estimates)

    @cached_property
    def recursion(self) -> Recursion:
        """Return the variance part."""
        return recursion_of(self.model.vol, self.estimates, self.innovations)

    @cached_property
    def mean(self) -> Mean:
        """Return the mean part."""
        return Mean.of(self.model.mean, self.estimates)

    @property
    def persistence(self) -> float | None:
        """Return how much of a shock to the variance is left a bar later; None for long memory.

        At 0.9999 and above the variance does not revert to a mean. The sum of the weights of past squares and
        variances, negative shocks at the share of the variance below zero; for EGARCH the sum of beta.
        """
        return self.recursion.persistence

    @cached_property
    def loglikelihood(self) -> float:
        """Return the log-likelihood in the units of the returns given; with an AR mean of all but the first."""
        return float(self._terms(self.estimates).sum())

    def conditional_volatility(self) -> FloatArray:
        """Return the filtered sigma of every return of the sample, in decimals; NaN for the first with an AR mean."""
        sigma = np.sqrt(self._variances(self.sample.returns)[:-1])
        return np.concatenate([np.full(self.mean.lags, np.nan), sigma])

    def standardised_residuals(self) -> FloatArray:
        """Return ``e / sigma`` of the sample, shape (n,), or (n - 1,) with an AR mean."""
        returns = self.sample.returns
        return self.mean.residuals(returns) / np.sqrt(self._variances(returns)[:-1])

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the next ``horizon`` returns.

        One bar: exact. More: the shape of 20,000 simulated paths with a fixed seed, in units of sigma. Sigma is the
        root of the sum of the expected variances where they are known (GARCH, GJR, FIGARCH, HARCH, MIDAS), else of
        the mean variances of the paths; with an AR mean each counts with its weight in the sum. The paths' own
        standard deviation is not used: with heavy tails it has a large error.
        """
        if horizon == 1:
            return self._next(returns)
        return self._sum(returns, self._draws(horizon))

    def bootstrapped(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return :meth:`distribution` with innovations drawn from the sample's own standardised residuals.

        Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper 1999), also for one bar. The residuals
        are brought to mean zero and unit variance first; the seed is fixed.
        """
        z = self.standardised_residuals()
        rng = np.random.default_rng(SEED)
        return self._sum(returns, rng.choice((z - z.mean()) / z.std(), (horizon, PATHS)).T)

    def bootstrapped_forecast(self, horizon: int = 1) -> Forecast:
        """Return the forecast whose shape comes from the residuals of the sample; raises as :meth:`forecast`."""
        self._refuse(horizon)
        return self._noun(self.bootstrapped(self.sample.returns, horizon), horizon)

    def futures(self, horizon: int) -> tuple[FloatArray, FloatArray]:
        """Return simulated log returns of the next bars and the sigma of each, both of shape (20,000, horizon).

        Decimals; the seed is fixed, and the first bars are the same for every horizon. For what depends on the way and
        not on the end alone, such as a liquidation. Raises as :meth:`forecast`.
        """
        self._refuse(horizon)
        returns = self.sample.returns
        z = self._draws(horizon)
        sigma = np.sqrt(self.recursion.paths(self.mean.residuals(returns), self._variances(returns), z))
        drift = np.diff([0.0, *(self.mean.total(float(returns[-1]), h) for h in range(1, horizon + 1))])
        return drift + sigma * z, sigma

    def term_structure(self, longest: int = 30) -> FloatArray:
        """Return the sigma of the log return over the next 1, 2, ... ``longest`` bars, shape (longest,), in decimals.

        Raises as :meth:`forecast`.
        """
        self._refuse(longest)
        returns = self.sample.returns
        residuals, s2 = self.mean.residuals(returns), self._variances(returns)
        ahead = self.recursion.expected(residuals, s2, longest)
        if ahead is None:
            ahead = self.recursion.paths(residuals, s2, self._draws(longest)).mean(axis=0)
        return np.array([math.sqrt(self.mean.weights(h) ** 2 @ ahead[:h]) for h in range(1, longest + 1)])

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i filtered over ``returns[i : i + window]`` with these parameters."""
        rows = np.lib.stride_tricks.sliding_window_view(returns, window)
        variance = np.array([self._variances(row)[-1] for row in rows])
        return location_scale(self.mean.after(rows[:, -1]), np.sqrt(variance), self.innovations.law(0.0, 1.0), levels)

    def news_impact(self, shocks: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return shocks (residuals, decimals) and the sigma of the bar after each, both of shape (m,).

        The news impact curve of Engle and Ng (1993): what was before lies at the unconditional variance, or at that
        of the sample where there is none or it is hardly known (persistence above 0.999). Without ``shocks``: 81 of
        them from -4 to 4 of its sigma.
        """
        level = self.recursion.level if (self.persistence or 0.0) < _REVERTING else None
        level = level or float(self.mean.residuals(self.sample.returns).var())
        grid = np.linspace(-_SHOCKS, _SHOCKS, 81) * math.sqrt(level) if shocks is None else np.asarray(shocks)
        after = [self.recursion.variances(np.array([float(e)]), level)[-1] for e in grid]
        return grid, np.sqrt(after)

    def summary(self) -> FitSummary:
        """Return parameters with robust and Hessian errors, the criteria, and tests of what the fit left over."""
        returns = self.sample.returns
        free = [name for name in self.estimates if not on_bound(self.model, name, self.estimates[name])]
        found = infer(*self._derivatives(free), free)
        table = tuple(found.parameter(name, value) for name, value in self.estimates.items())
        n, k, top = returns.size - self.mean.lags, len(table), -2.0 * self.loglikelihood
        level = self.recursion.level if self.model.vol != "egarch" and not self._at_unit_root else None
        fitted_lags = self.model.p + self.model.q
        tests = residual_tests(self.standardised_residuals(), self.mean.residuals(returns), self.mean.lags, fitted_lags)
        return FitSummary(
            self.label, DIST_NAMES[self.model.dist], returns.size, self.status, table,
            loglikelihood=self.loglikelihood, aic=2.0 * k + top, bic=k * math.log(n) + top,
            hqic=2.0 * k * math.log(math.log(n)) + top, persistence=self.persistence,
            half_life=None if self._at_unit_root else half_life(self.persistence),
            unconditional_sigma=None if level is None else math.sqrt(level),
            source=self.sample.source, data_hash=self.sample.data_hash, tests=(*tests, found.nyblom),
        )  # fmt: skip

    @property
    def _at_unit_root(self) -> bool:
        return self.persistence is not None and self.persistence >= UNIT_ROOT

    def _next(self, returns: FloatArray) -> Distribution:
        sigma = math.sqrt(self._variances(returns)[-1])
        return self.innovations.law(float(self.mean.after(returns[-1:])[0]), sigma)

    def _draws(self, horizon: int) -> FloatArray:
        """Return innovations of shape (paths, h), bar by bar: the first bars are the same for every horizon."""
        rng = np.random.default_rng(SEED)
        return np.column_stack([self.innovations.draw(rng, PATHS) for _ in range(horizon)])

    def _sum(self, returns: FloatArray, z: FloatArray) -> Distribution:
        """Return the distribution of the sum of the returns that the innovations ``z``, shape (paths, h), drive."""
        horizon = z.shape[1]
        residuals, s2, weights = self.mean.residuals(returns), self._variances(returns), self.mean.weights(z.shape[1])
        paths = self.recursion.paths(residuals, s2, z)
        ahead = self.recursion.expected(residuals, s2, horizon)
        sigma = math.sqrt(weights**2 @ (paths.mean(axis=0) if ahead is None else ahead))
        total = (np.sqrt(paths) * z) @ weights
        return Empirical(self.mean.total(float(returns[-1]), horizon), sigma, np.sort(total / sigma))

    def _variances(self, returns: FloatArray) -> FloatArray:
        presample = presample_variance(self.model, self.mean, returns)
        return self.recursion.variances(self.mean.residuals(returns), presample)

    def _derivatives(self, free: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Return scores and Hessian by the parameters ``free``: exact ones of the kernel, else by differences."""
        returns = self.sample.returns
        if not self.model.in_kernel:
            step = _MEAN_STEPS[self.model.dist] * float(returns.std())
            return differentiate(self._terms, self.estimates, free, step)
        from forecastle.models._maximise import hessian, observation_scores

        kernel, params = self.model.kernel(), np.array(list(self.estimates.values()))
        place = [list(self.estimates).index(name) for name in free]
        return observation_scores(kernel, params, returns)[:, place], hessian(kernel, params, returns)[
            np.ix_(place, place)
        ]

    def _terms(self, estimates: Mapping[str, float]) -> FloatArray:
        """Return the log density of each return of the sample under these parameters."""
        innovations = Innovations.of(self.model.dist, estimates)
        mean, returns = Mean.of(self.model.mean, estimates), self.sample.returns
        presample = presample_variance(self.model, mean, returns)
        residuals = mean.residuals(returns)
        s2 = recursion_of(self.model.vol, estimates, innovations).variances(residuals, presample)[:-1]
        return np.asarray(innovations.log_density(residuals / np.sqrt(s2)) - 0.5 * np.log(s2))


def presample_variance(model: GarchModel, mean: Mean, returns: FloatArray) -> float:
    """Return the variance before the first residual.

    The backcast weighs the first squares of the residuals that least squares leaves, as ``arch`` has it, so that it
    does not move with the parameters.
    """
    if model.initial_variance == "sample":
        return float((mean.residuals(returns) ** 2).mean())
    return float(backcast(least_squares(model.mean, returns).residuals(returns)[None, :])[0])


def on_bound(model: GarchModel, name: str, value: float) -> bool:
    """Return whether a parameter is as good as at the end of its range: its standard error then means nothing."""
    kind = name.partition("[")[0]
    if kind in ("nu", "eta"):
        return value > _LIGHTEST
    if model.vol == "aparch" and kind == "gamma":
        return abs(value) > _WHOLLY_SKEWED
    return model.vol != "egarch" and kind in ("alpha", "beta", "phi", "d", "theta") and value < _BOUND


def judged(fitted: FittedGarch, status: FitStatus) -> FitStatus:
    """Return the status of a fit that converged, with its reservations."""
    reservations = [status.reason] if status.reason else []
    persistence = fitted.persistence
    if persistence is not None and persistence >= UNIT_ROOT:
        reservations.append(f"persistence {persistence:.4f}: the variance does not revert to a mean")
    for name, value in fitted.estimates.items():
        if on_bound(fitted.model, name, value):
            light, skewed = name in ("nu", "eta"), name.startswith("gamma")
            reservations.append(
                f"{name} at {value:.0f}: the innovations are as good as normal" if light
                else f"{name} at the bound of one" if skewed
                else f"{name} at the bound of zero"
            )  # fmt: skip
    return replace(status, reason="; ".join(reservations))
