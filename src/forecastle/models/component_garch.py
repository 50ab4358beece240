"""Component GARCH: a variance that reverts quickly to a level which itself moves slowly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled
from forecastle.errors import RequestInvalid
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
from forecastle.models._rolling import RollsByRefitting
from forecastle.models._sample import PATHS, SEED, Fitted, Sample, location_scale
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
from forecastle.ports import OneStep

FloatArray = npt.NDArray[np.float64]
Dist = Literal["normal", "t"]

MINIMUM_RETURNS = 250
NAMES = ("mu", "omega", "rho", "phi", "alpha", "beta", "nu")


@dataclass(frozen=True)
class ComponentGarch(RollsByRefitting):
    """A long-run variance q and the transitory one around it.

    ``q[t] = omega + rho q[t-1] + phi (e[t-1]^2 - s2[t-1])``,
    ``s2[t] = q[t] + alpha (e[t-1]^2 - q[t-1]) + beta (s2[t-1] - q[t-1])``, with ``r[t] = mu + e[t]``.
    Engle and Lee (1999), "A permanent and transitory component model of stock return volatility", written as in
    rugarch's csGARCH. The variance is positive and q the slower part for ``1 > rho > alpha + beta > 0`` and
    ``beta > phi > 0``; the search keeps to that. Before the start e^2, s2 and q are the backcast of ``arch``.

    ``dist`` is ``"t"`` (Student's t with unit variance) or ``"normal"``; raises ``RequestInvalid`` for anything else.
    """

    dist: Dist = "t"
    naive = False

    def __post_init__(self) -> None:
        known_innovations(self.dist)

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"Component GARCH-{self.dist}"

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedComponentGarch:
        """Fit by maximum likelihood to candles or to a 1-d array of log returns in decimals.

        At least 250 returns, all finite (see :meth:`Sample.of` for what is refused). Returns are scaled to unit
        variance inside; every result is in decimals. The search starts from the two best of twelve points.
        """
        sample = Sample.of(x, MINIMUM_RETURNS)
        scale = 1.0 / float(sample.returns.std())
        returns = sample.returns * scale
        best = maximise(_density(returns), self._natural, self._starts(float(returns.mean())))
        status = best.status(_reservations(best.params))
        units = np.array([scale, scale * scale, 1.0, 1.0, 1.0, 1.0, 1.0])[: best.params.size]
        estimates = dict(zip(NAMES, map(float, best.params / units), strict=False))
        likelihood = best.loglikelihood + returns.size * math.log(scale)
        return FittedComponentGarch(sample, self.label, status, estimates, likelihood, scale)

    def _natural(self, x: FloatArray) -> FloatArray:
        """Return the parameters at the coordinates (mean, log variance, four shares, freedom)."""
        rho = NEARLY_ONE * share(x[2])
        persistence = rho * share(x[3])
        alpha = persistence * share(x[4])
        beta = persistence - alpha
        values = [x[0], math.exp(x[1]) * (1.0 - rho), rho, beta * share(x[5]), alpha, beta]
        return np.array(values if self.dist == "normal" else [*values, freedom(x[6])])

    def _starts(self, mean: float) -> list[FloatArray]:
        rest = [] if self.dist == "normal" else [FREEDOM_START]
        return [
            np.array([mean, 0.0, *map(coordinate, (rho, persistence / rho, 0.08 / persistence, phi)), *rest])
            for rho, persistence, phi in product((0.97, 0.99, 0.998), (0.80, 0.95), (0.02, 0.06))
        ]


@dataclass(frozen=True, eq=False, repr=False)
class FittedComponentGarch(Fitted):
    """Maximum-likelihood estimates by name; ``loglikelihood`` in the units of the returns given."""

    estimates: Mapping[str, float]
    loglikelihood: float
    _scale: float

    @property
    def params(self) -> Mapping[str, float]:
        """Return mu, omega, rho, phi, alpha, beta and, with Student's t, nu, in decimals."""
        return self.estimates

    @property
    def long_run_sigma(self) -> float:
        """Return the unconditional standard deviation of one return: ``sqrt(omega / (1 - rho))``."""
        return math.sqrt(self.estimates["omega"] / (1.0 - self.estimates["rho"]))

    def summary(self) -> FitSummary:
        """Return parameters with robust standard errors (Bollerslev and Wooldridge 1992) and the criteria."""
        returns, names = self.sample.returns * self._scale, list(self.estimates)
        units = np.array([{"mu": self._scale, "omega": self._scale**2}.get(name, 1.0) for name in names])
        scaled = np.array(list(self.estimates.values())) * units
        errors = robust_errors(_density(returns), scaled, _inside(scaled))
        plain = [None if e is None else e / u for e, u in zip(errors, units, strict=True)]
        return criteria(
            FitSummary(
                self.label, "Student's t" if "nu" in self.estimates else "Normal", returns.size, self.status,
                parameters(self.estimates, plain), persistence=self.estimates["rho"],
                unconditional_sigma=self.long_run_sigma, source=self.sample.source, data_hash=self.sample.data_hash,
            ),
            self.loglikelihood,
        )  # fmt: skip

    def conditional_volatility(self) -> FloatArray:
        """Return the filtered sigma of every return of the sample, shape (n,), in decimals."""
        return np.sqrt(self._filtered(self.sample.returns)[0, :-1])

    def long_run_volatility(self) -> FloatArray:
        """Return the root of the slow component q of every return of the sample, shape (n,), in decimals."""
        return np.sqrt(self._filtered(self.sample.returns)[1, :-1])

    def expected_variances(self, returns: FloatArray, horizon: int) -> FloatArray:
        """Return E[s2] of the ``horizon`` bars after ``returns``, shape (horizon,).

        Both components return geometrically: q to ``omega / (1 - rho)`` with rho, ``s2 - q`` to zero with
        ``alpha + beta`` (Engle and Lee 1999).
        """
        e = self.estimates
        s2, q = self._filtered(returns)[:, -1]
        ahead, level = np.arange(horizon), e["omega"] / (1.0 - e["rho"])
        return np.asarray(
            level + e["rho"] ** ahead * (q - level) + (e["alpha"] + e["beta"]) ** ahead * (s2 - q)
        )  # fmt: skip

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the next ``horizon`` returns.

        One bar: exact. More: the shape of 20,000 simulated paths with a fixed seed, in units of the exact sigma (the
        root of the sum of the expected variances).
        """
        mu = self.estimates["mu"]
        sigma = math.sqrt(self.expected_variances(returns, horizon).sum())
        if horizon == 1:
            return self._shape(mu, sigma)
        s2, q = self._filtered(returns)[:, -1]
        return Empirical(mu * horizon, sigma, np.sort(self._simulate(float(s2), float(q), horizon) / sigma))

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i filtered over ``returns[i : i + window]`` with these parameters."""
        windows = np.lib.stride_tricks.sliding_window_view(returns, window)
        presample = backcast(windows - windows.mean(axis=1, keepdims=True))
        variance = component_rolling_variance(returns - self.estimates["mu"], *self._weights, presample)
        mean = np.full(variance.size, self.estimates["mu"])
        return location_scale(mean, np.sqrt(variance), self._shape(0.0, 1.0), levels)

    @property
    def _weights(self) -> tuple[float, float, float, float, float]:
        e = self.estimates
        return e["omega"], e["rho"], e["phi"], e["alpha"], e["beta"]

    def _filtered(self, returns: FloatArray) -> FloatArray:
        presample = float(backcast((returns - returns.mean())[None, :])[0])
        return component_variance(returns - self.estimates["mu"], *self._weights, presample)

    def _shape(self, mean: float, sigma: float) -> Distribution:
        nu = self.estimates.get("nu")
        return Normal(mean, sigma) if nu is None else StudentT(mean, sigma, nu=nu)

    def _simulate(self, s2: float, q: float, horizon: int) -> FloatArray:
        """Return the sums of ``PATHS`` simulated futures, residuals only."""
        rng, (omega, rho, phi, alpha, beta) = np.random.default_rng(SEED), self._weights
        variance, level, total = np.full(PATHS, s2), np.full(PATHS, q), np.zeros(PATHS)
        for _ in range(horizon):
            shock = np.sqrt(variance) * innovations(rng, self.estimates.get("nu"), PATHS)
            total += shock
            slow = omega + rho * level + phi * (shock**2 - variance)
            variance = slow + alpha * (shock**2 - level) + beta * (variance - level)
            level = slow
        return total


def known_innovations(dist: object) -> None:
    """Raise ``RequestInvalid`` unless ``dist`` is ``"normal"`` or ``"t"``."""
    if dist not in ("normal", "t"):
        raise RequestInvalid(f"dist is {dist!r}.", "Known: normal, t.", "Choose dist='t'.")


def innovations(rng: np.random.Generator, nu: float | None, size: int) -> FloatArray:
    """Draw standard normals, or Student's t of unit variance with ``nu`` degrees of freedom."""
    if nu is None:
        return rng.standard_normal(size)
    return rng.standard_t(nu, size) * math.sqrt((nu - 2.0) / nu)


@compiled
def component_variance(
    residuals: FloatArray, omega: float, rho: float, phi: float, alpha: float, beta: float, presample: float
) -> FloatArray:
    """Return s2 (row 0) and q (row 1) of n residuals and of the bar after them, shape (2, n + 1)."""
    n = residuals.size
    out = np.empty((2, n + 1))
    square, s2, q = presample, presample, presample
    for t in range(n + 1):
        slow = omega + rho * q + phi * (square - s2)
        s2 = slow + alpha * (square - q) + beta * (s2 - q)
        q = slow
        out[0, t], out[1, t] = s2, q
        if t < n:
            square = residuals[t] ** 2
    return out


@compiled
def component_rolling_variance(
    residuals: FloatArray, omega: float, rho: float, phi: float, alpha: float, beta: float, presample: FloatArray
) -> FloatArray:
    """Return the forecast variance after each window: row i filters ``residuals[i : i + window]`` and nothing else."""
    rows = presample.size
    window = residuals.size - rows + 1
    out = np.empty(rows)
    for i in range(rows):
        out[i] = component_variance(residuals[i : i + window], omega, rho, phi, alpha, beta, presample[i])[0, -1]
    return out


def _density(returns: FloatArray) -> Terms:
    """Return the function from parameters to the log density of each return; NaN where a variance is not positive."""
    presample = float(backcast((returns - returns.mean())[None, :])[0])

    def terms(params: FloatArray) -> FloatArray:
        residuals = returns - params[0]
        omega, rho, phi, alpha, beta = map(float, params[1:6])
        variance = component_variance(residuals, omega, rho, phi, alpha, beta, presample)[0, :-1]
        if variance.min() <= 0:
            return np.full(returns.size, np.nan)
        return log_density(residuals, variance, None if params.size == 6 else float(params[6]))

    return terms


def _inside(params: FloatArray) -> list[bool]:
    """Return which parameters are away from their bounds: only they have errors."""
    _, _, rho, phi, alpha, beta = params[:6]
    return [True, True, rho < NEARLY_ONE - 1e-6, phi > AT_BOUND, alpha > AT_BOUND, beta > AT_BOUND] + [True] * (
        params.size - 6
    )


def _reservations(params: FloatArray) -> list[str]:
    """Return what is odd about estimates that maximise the likelihood."""
    _, _, rho, phi, alpha, beta = params[:6]
    found = []
    if phi < AT_BOUND:
        found.append("phi at the bound of zero: the long-run variance does not move, this is a GARCH(1,1)")
    if alpha < AT_BOUND or beta < AT_BOUND:
        found.append("alpha or beta at the bound of zero")
    if rho - (alpha + beta) < AT_BOUND:
        found.append("rho equals alpha + beta: the components cannot be told apart")
    if rho > NEARLY_ONE - 1e-4:
        found.append(f"rho {rho:.4f}: the long-run variance does not revert to a mean")
    return found
