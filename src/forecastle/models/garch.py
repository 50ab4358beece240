"""GARCH(p,o,q) with normal or Student-t innovations, fitted through ``arch``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.models._kernels import backcast, garch_rolling_variance, garch_variance
from forecastle.models._sample import Fitted, Sample, location_scale
from forecastle.nouns import (
    Candles,
    Distribution,
    Empirical,
    FitStatus,
    FitSummary,
    Normal,
    Parameter,
    Returns,
    StudentT,
)
from forecastle.ports import OneStep

FloatArray = npt.NDArray[np.float64]
Dist = Literal["normal", "t"]
Mean = Literal["constant", "zero"]
InitialVariance = Literal["backcast", "sample"]

MINIMUM_RETURNS = 250
PATHS = 20_000
SEED = 20261120
"""Of the simulated paths behind horizons above one bar; fixed, so that the same data give the same forecast."""
_UNIT_ROOT = 0.9999
_BOUND = 1e-6
_ROUNDS = 20
_QUIET: dict[str, Any] = {"disp": "off", "show_warning": False}
_MEANS: dict[str, Literal["Constant", "Zero"]] = {"constant": "Constant", "zero": "Zero"}
_STARTS = ((0.05, 0.90), (0.10, 0.80), (0.02, 0.97), (0.20, 0.60))
"""(sum of alpha, sum of beta) of the starting points tried when the first fit fails."""


@dataclass(frozen=True)
class GarchModel:
    """``r[t] = mu + e[t]``, ``e[t] = s[t] z[t]``, ``s2[t] = omega + (alpha + gamma [e<0]) e[t-1]^2 + beta s2[t-1]``.

    Bollerslev (1986); the asymmetric term (o > 0) Glosten, Jagannathan and Runkle (1993); Student's t with unit
    variance Bollerslev (1987).

    Parameters
    ----------
    p, o, q:
        Lags of squared residuals (1 to 3), of their negative part (0 to 3), of the variance (0 to 3).
    vol:
        ``"garch"``; with o > 0 it is GJR-GARCH.
    dist:
        Innovations: ``"normal"`` or ``"t"``.
    mean:
        ``"constant"`` or ``"zero"``.
    initial_variance:
        ``"backcast"``: weighted squares of the first 75 residuals, as ``arch`` has it; ``"sample"``: the mean of the
        squared residuals, following mu.

    Raises ``RequestInvalid`` for anything else.
    """

    p: int = 1
    o: int = 0
    q: int = 1
    vol: Literal["garch"] = "garch"
    dist: Dist = "t"
    mean: Mean = "constant"
    initial_variance: InitialVariance = "backcast"

    naive = False

    def __post_init__(self) -> None:
        _choice("vol", self.vol, ("garch",))
        _choice("dist", self.dist, get_args(Dist))
        _choice("mean", self.mean, get_args(Mean))
        _choice("initial_variance", self.initial_variance, get_args(InitialVariance))
        for name, value, low in (("p", self.p, 1), ("o", self.o, 0), ("q", self.q, 0)):
            if not (isinstance(value, int) and low <= value <= 3):
                raise RequestInvalid(
                    f"{name} is {value!r}.", f"It has to be a whole number from {low} to 3.", "Choose another."
                )

    @property
    def label(self) -> str:
        """Return the name a table shows, such as ``GARCH(1,1)-t``."""
        lags = f"{self.p},{self.o},{self.q}" if self.o else f"{self.p},{self.q}"
        name = f"{'GJR-GARCH' if self.o else 'GARCH'}({lags})-{self.dist}"
        name += "" if self.mean == "constant" else ", zero mean"
        return name if self.initial_variance == "backcast" else f"{name}, sample start"

    def fit(self, x: Candles | Returns | FloatArray) -> FittedGarch:
        """Fit by maximum likelihood to candles or to a 1-d array of log returns in decimals.

        At least 250 returns, all finite (see :meth:`Sample.of` for what is refused). Returns are scaled to unit
        variance inside; every result is in decimals. A fit that does not converge is tried again from other
        starting points; what is left is said in ``status``.
        """
        sample = Sample.of(x, MINIMUM_RETURNS)
        scale = 1.0 / float(sample.returns.std())
        best, restarts = _maximise(self, sample.returns * scale)
        estimates = {name: float(v) / _unit(name, scale) for name, v in best.params.items()}
        status = _judge(best, estimates, restarts)
        likelihood = float(best.loglikelihood) + sample.returns.size * math.log(scale)
        return FittedGarch(sample, self.label, status, self, estimates, likelihood, best, scale)


@dataclass(frozen=True, eq=False, repr=False)
class FittedGarch(Fitted):
    """Maximum-likelihood estimates; ``loglikelihood`` in the units of the returns given."""

    model: GarchModel
    estimates: Mapping[str, float]
    loglikelihood: float
    _arch_result: Any
    _scale: float

    @property
    def params(self) -> Mapping[str, float]:
        """Return the estimates by name: mu, omega, alpha[1], gamma[1], beta[1], nu, in decimals."""
        return self.estimates

    @cached_property
    def _lags(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        m, e = self.model, self.estimates
        return tuple(  # type: ignore[return-value]
            np.array([e[f"{name}[{i}]"] for i in range(1, count + 1)])
            for name, count in (("alpha", m.p), ("gamma", m.o), ("beta", m.q))
        )

    @property
    def mu(self) -> float:
        """Return the mean of one return; zero for a zero-mean model."""
        return self.estimates.get("mu", 0.0)

    @property
    def persistence(self) -> float:
        """Return ``sum(alpha) + sum(gamma)/2 + sum(beta)``; below one the variance reverts to its mean."""
        return _persistence(self.estimates)

    def summary(self) -> FitSummary:
        """Return parameters with robust standard errors (Bollerslev and Wooldridge 1992) and the criteria."""
        table = tuple(self._parameter(name) for name in self.estimates)
        n, k = self.sample.returns.size, len(table)
        stationary = self.persistence < _UNIT_ROOT
        sigma = math.sqrt(self.estimates["omega"] / (1.0 - self.persistence)) if stationary else None
        return FitSummary(
            self.label, "Student's t" if self.model.dist == "t" else "Normal", n, self.status, table,
            loglikelihood=self.loglikelihood, aic=2.0 * k - 2.0 * self.loglikelihood,
            bic=k * math.log(n) - 2.0 * self.loglikelihood,
            persistence=self.persistence, unconditional_sigma=sigma,
            source=self.sample.source, data_hash=self.sample.data_hash,
        )  # fmt: skip

    def _parameter(self, name: str) -> Parameter:
        value, result = self.estimates[name], self._arch_result
        if _on_bound(name, value):
            return Parameter(name, value)
        error = float(result.std_err[name]) / _unit(name, self._scale)
        return Parameter(name, value, error, float(result.tvalues[name]), float(result.pvalues[name]))

    def conditional_volatility(self) -> FloatArray:
        """Return the filtered sigma of every return of the sample, shape (n,), in decimals."""
        return np.sqrt(self._variances(self.sample.returns)[:-1])

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the next ``horizon`` returns.

        One bar: exact. More: the shape of 20,000 simulated paths with a fixed seed, in units of the exact sigma (the
        root of the sum of the expected variances, for returns are uncorrelated). The sample's own standard deviation
        is not used: with heavy tails it has a large error.
        """
        s2 = self._variances(returns)
        if horizon == 1:
            return self._shape(self.mu, math.sqrt(s2[-1]))
        residuals = returns - self.mu
        total = self._simulate(residuals, s2, horizon)
        sigma = math.sqrt(self._expected_variances(residuals, s2, horizon).sum())
        return Empirical(self.mu * horizon, sigma, np.sort(total / sigma))

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i filtered over ``returns[i : i + window]`` with these parameters."""
        windows = np.lib.stride_tricks.sliding_window_view(returns, window)
        presample = self._presample(windows)
        variance = garch_rolling_variance(returns - self.mu, self.estimates["omega"], *self._lags, presample)
        mean = np.full(variance.size, self.mu)
        return location_scale(mean, np.sqrt(variance), self._shape(0.0, 1.0), levels)

    def _variances(self, returns: FloatArray) -> FloatArray:
        presample = float(self._presample(returns[None, :])[0])
        return garch_variance(returns - self.mu, self.estimates["omega"], *self._lags, presample)

    def _presample(self, windows: FloatArray) -> FloatArray:
        """Return the variance before the first return of each row of ``windows``, shape (rows, n)."""
        if self.model.initial_variance == "sample":
            return np.asarray(((windows - self.mu) ** 2).mean(axis=1))
        centre = windows.mean(axis=1, keepdims=True) if self.model.mean == "constant" else 0.0
        return backcast(windows - centre)

    def _shape(self, mean: float, sigma: float) -> Distribution:
        return StudentT(mean, sigma, nu=self.estimates["nu"]) if self.model.dist == "t" else Normal(mean, sigma)

    def _expected_variances(self, residuals: FloatArray, s2: FloatArray, horizon: int) -> FloatArray:
        """Return E[s2] of the next ``horizon`` bars: a future e^2 has expectation s2, its negative part half of it."""
        alpha, gamma, beta = self._lags
        square = list(residuals**2)
        negative = list(np.where(residuals < 0, residuals**2, 0.0))
        variance = list(s2[:-1])
        for _ in range(horizon):
            value = self.estimates["omega"]
            value += sum(a * square[-i] for i, a in enumerate(alpha, 1))
            value += sum(g * negative[-i] for i, g in enumerate(gamma, 1))
            value += sum(b * variance[-i] for i, b in enumerate(beta, 1))
            variance.append(value)
            square.append(value)
            negative.append(0.5 * value)
        return np.array(variance[-horizon:])

    def _simulate(self, residuals: FloatArray, s2: FloatArray, horizon: int) -> FloatArray:
        """Return the sums of ``PATHS`` simulated futures, residuals only."""
        rng = np.random.default_rng(SEED)
        alpha, gamma, beta = self._lags
        past_e = [np.full(PATHS, e) for e in residuals[-3:]]
        past_s2 = [np.full(PATHS, v) for v in s2[-4:-1]]
        total = np.zeros(PATHS)
        for _ in range(horizon):
            variance = np.full(PATHS, self.estimates["omega"])
            for i, a in enumerate(alpha, 1):
                variance += a * past_e[-i] ** 2
            for i, g in enumerate(gamma, 1):
                variance += g * np.where(past_e[-i] < 0, past_e[-i] ** 2, 0.0)
            for i, b in enumerate(beta, 1):
                variance += b * past_s2[-i]
            shock = np.sqrt(variance) * self._innovations(rng)
            past_e.append(shock)
            past_s2.append(variance)
            total += shock
        return total

    def _innovations(self, rng: np.random.Generator) -> FloatArray:
        if self.model.dist == "normal":
            return rng.standard_normal(PATHS)
        nu = self.estimates["nu"]
        return rng.standard_t(nu, PATHS) * math.sqrt((nu - 2.0) / nu)


def _maximise(model: GarchModel, scaled: FloatArray) -> tuple[Any, int]:
    """Fit once; where that fails, from each of ``_STARTS``, and keep the best. Returns (arch result, restarts)."""
    from arch import arch_model  # 1.4 s: only for those who fit

    specification = arch_model(
        scaled, mean=_MEANS[model.mean], vol="GARCH", p=model.p, o=model.o, q=model.q, dist=model.dist, rescale=False
    )
    if model.initial_variance == "sample":
        return _follow_mean(specification, scaled), 0
    best = specification.fit(**_QUIET)
    if _sound(best):
        return best, 0
    for alpha, beta in _STARTS:
        start = np.array([_start(name, alpha, beta, model) for name in best.params.index])
        tried = specification.fit(starting_values=start, **_QUIET)
        if (_sound(tried), tried.loglikelihood) > (_sound(best), best.loglikelihood):
            best = tried
    return best, len(_STARTS)


def _follow_mean(specification: Any, scaled: FloatArray) -> Any:
    """Fit with the presample variance at the mean of squared residuals, and again until mu no longer moves it."""
    presample = float(scaled.var())
    for _ in range(_ROUNDS):
        result = specification.fit(backcast=presample, tol=1e-12, options={"maxiter": 500}, **_QUIET)
        follows = float(((scaled - result.params.get("mu", 0.0)) ** 2).mean())
        if abs(follows - presample) < 1e-12:
            break
        presample = follows
    return result


def _sound(result: Any) -> bool:
    return bool(result.convergence_flag == 0 and np.isfinite(result.loglikelihood) and np.isfinite(result.params).all())


def _start(name: str, alpha: float, beta: float, model: GarchModel) -> float:
    """Return a starting value for unit variance."""
    if name.startswith("alpha"):
        return alpha / model.p
    if name.startswith("beta"):
        return beta / model.q
    return {"mu": 0.0, "omega": 1.0 - alpha - beta, "nu": 6.0}.get(name, 0.0)


def _judge(result: Any, estimates: Mapping[str, float], restarts: int) -> FitStatus:
    if not _sound(result):
        reason = f"the optimiser stopped with flag {result.convergence_flag}"
        return FitStatus(converged=False, reason=reason, restarts=restarts)
    reservations = []
    if _persistence(estimates) >= _UNIT_ROOT:
        reservations.append(f"persistence {_persistence(estimates):.4f}: the variance does not revert to a mean")
    bound = [name for name in estimates if _on_bound(name, estimates[name])]
    if bound:
        reservations.append(f"{', '.join(bound)} at the bound of zero")
    return FitStatus(converged=True, reason="; ".join(reservations), restarts=restarts)


def _on_bound(name: str, value: float) -> bool:
    """Return whether a lag's weight is as good as zero: its standard error then means nothing."""
    return name.partition("[")[0] in ("alpha", "beta") and value < _BOUND


def _persistence(estimates: Mapping[str, float]) -> float:
    weight = {"alpha": 1.0, "gamma": 0.5, "beta": 1.0}
    return sum(weight.get(name.partition("[")[0], 0.0) * value for name, value in estimates.items())


def _unit(name: str, scale: float) -> float:
    """Return what a parameter of the scaled series has to be divided by: mu scales once, omega twice."""
    return {"mu": scale, "omega": scale * scale}.get(name, 1.0)


def _choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RequestInvalid(f"{name} is {value!r}.", f"Known: {', '.join(known)}.", f"Choose {name}='{known[0]}'.")
