"""How the variance follows from past residuals: one class a family, all with the same questions.

Residuals e and variances are in decimals, ``s2`` has one value more than ``residuals``: the last is the forecast.
Before the start ``e^2`` and ``s2`` are ``presample`` and half the signs are negative, as ``arch`` has it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.models._innovations import Innovations
from forecastle.models._kernels import garch_variance
from forecastle.models._variances import aparch_variance, egarch_variance

FloatArray = npt.NDArray[np.float64]
Vol = Literal["garch", "egarch", "aparch", "figarch", "harch", "midas"]

HARCH_LAGS = (1, 5, 22)
MIDAS_LAGS = 22
FIGARCH_LAGS = 1_000
_KEPT = 3
_LOG_LIMIT = 100.0
_NOTHING = math.exp(-_LOG_LIMIT)
MEAN_SIZE_OF_NORMAL = math.sqrt(2.0 / math.pi)


@dataclass(frozen=True, eq=False)
class Recursion(ABC):
    """The variance part of a fit, with the innovations that drive it."""

    omega: float
    innovations: Innovations

    @abstractmethod
    def variances(self, residuals: FloatArray, presample: float) -> FloatArray:
        """Return the n + 1 conditional variances of n residuals."""

    @abstractmethod
    def paths(self, residuals: FloatArray, s2: FloatArray, z: FloatArray) -> FloatArray:
        """Return the variances of futures driven by the innovations ``z``, shape (paths, horizon)."""

    @property
    @abstractmethod
    def persistence(self) -> float | None:
        """Return how much of a shock to the variance is left a bar later; None for long memory, which has no such."""

    def expected(self, residuals: FloatArray, s2: FloatArray, horizon: int) -> FloatArray | None:
        """Return ``E[s2]`` of the next ``horizon`` bars, or None where it has no closed form."""
        return None

    @property
    def level(self) -> float | None:
        """Return the unconditional variance; None where there is none or it has no closed form."""
        persistence = self.persistence
        return None if persistence is None or persistence >= 1.0 else self.omega / (1.0 - persistence)


@dataclass(frozen=True, eq=False)
class Lagged(Recursion):
    """A recursion on the last few residuals and variances.

    No simulated variance rises above ``ceiling`` times the largest of the sample.
    """

    ceiling: ClassVar[float] = math.inf

    alpha: FloatArray
    gamma: FloatArray
    beta: FloatArray

    @abstractmethod
    def step(self, e: Sequence[FloatArray], s2: Sequence[FloatArray]) -> FloatArray:
        """Return the variance after past residuals and variances (newest last), each of shape (paths,)."""

    def paths(self, residuals: FloatArray, s2: FloatArray, z: FloatArray) -> FloatArray:
        """Step from bar to bar."""
        count, horizon = z.shape
        e = [np.full(count, v) for v in residuals[-_KEPT:]]
        past = [np.full(count, v) for v in s2[-_KEPT - 1 : -1]]
        highest = self.ceiling * float(s2.max())
        for h in range(horizon):
            past.append(np.minimum(self.step(e, past), highest))
            e.append(np.sqrt(past[-1]) * z[:, h])
        return np.column_stack(past[-horizon:])


@dataclass(frozen=True, eq=False)
class Garch(Lagged):
    """``s2 = omega + sum (alpha + gamma [e<0]) e^2 + sum beta s2``: Bollerslev (1986); Glosten and others (1993)."""

    def variances(self, residuals: FloatArray, presample: float) -> FloatArray:
        """Filter in compiled code."""
        return garch_variance(residuals, self.omega, self.alpha, self.gamma, self.beta, presample)

    @property
    def persistence(self) -> float:
        """Return ``sum alpha + E[z^2; z<0] sum gamma + sum beta``."""
        return float(self.alpha.sum() + self.innovations.lower_variance * self.gamma.sum() + self.beta.sum())

    def step(self, e: Sequence[FloatArray], s2: Sequence[FloatArray]) -> FloatArray:
        """Return the next variance."""
        value = np.full_like(s2[-1], self.omega)
        for i, a in enumerate(self.alpha, 1):
            value += a * e[-i] ** 2
        for i, g in enumerate(self.gamma, 1):
            value += g * np.where(e[-i] < 0, e[-i] ** 2, 0.0)
        for i, b in enumerate(self.beta, 1):
            value += b * s2[-i]
        return value

    def expected(self, residuals: FloatArray, s2: FloatArray, horizon: int) -> FloatArray:
        """Return E[s2]: a future e^2 has expectation s2, its negative part the share of it that lies below zero."""
        square, variance = list(residuals[-_KEPT:] ** 2), list(s2[-_KEPT - 1 : -1])
        negative = list(np.where(residuals[-_KEPT:] < 0, square, 0.0))
        for _ in range(horizon):
            value = self.omega
            value += sum(a * square[-i] for i, a in enumerate(self.alpha, 1))
            value += sum(g * negative[-i] for i, g in enumerate(self.gamma, 1))
            value += sum(b * variance[-i] for i, b in enumerate(self.beta, 1))
            variance.append(value)
            square.append(value)
            negative.append(self.innovations.lower_variance * value)
        return np.array(variance[-horizon:])


@dataclass(frozen=True, eq=False)
class Egarch(Lagged):
    """``ln s2 = omega + sum alpha (|z| - sqrt(2/pi)) + sum gamma z + sum beta ln s2``: Nelson (1991).

    With Student's t ``E[s2]`` two bars ahead does not exist: a mean of simulated variances is that of its largest draw.
    Hence the ceiling: twice the highest volatility of the sample is as far as a future goes.
    """

    ceiling: ClassVar[float] = 4.0

    def variances(self, residuals: FloatArray, presample: float) -> FloatArray:
        """Filter in compiled code; a series that stands still has the smallest variance there is."""
        start = math.log(max(presample, _NOTHING))
        return egarch_variance(residuals, self.omega, self.alpha, self.gamma, self.beta, start)

    @property
    def persistence(self) -> float:
        """Return ``sum beta``: what is left of a shock to the log variance."""
        return float(self.beta.sum())

    @property
    def level(self) -> float | None:
        """Return ``exp(E ln s2)``, the level that the log variance reverts to; None at a unit root."""
        excess = float(self.alpha.sum()) * (self.innovations.mean_size - MEAN_SIZE_OF_NORMAL)
        return None if self.persistence >= 1.0 else math.exp((self.omega + excess) / (1.0 - self.persistence))

    def step(self, e: Sequence[FloatArray], s2: Sequence[FloatArray]) -> FloatArray:
        """Return the next variance."""
        value = np.full_like(s2[-1], self.omega)
        for i, a in enumerate(self.alpha, 1):
            value += a * (np.abs(e[-i]) / np.sqrt(s2[-i]) - MEAN_SIZE_OF_NORMAL)
        for i, g in enumerate(self.gamma, 1):
            value += g * e[-i] / np.sqrt(s2[-i])
        for i, b in enumerate(self.beta, 1):
            value += b * np.log(s2[-i])
        return np.exp(np.clip(value, -_LOG_LIMIT, _LOG_LIMIT))


@dataclass(frozen=True, eq=False)
class Aparch(Lagged):
    """``s^delta = omega + sum alpha (|e| - gamma e)^delta + sum beta s^delta``: Ding, Granger and Engle (1993)."""

    delta: float
    ceiling: ClassVar[float] = 4.0

    def variances(self, residuals: FloatArray, presample: float) -> FloatArray:
        """Filter in compiled code."""
        return aparch_variance(residuals, self.omega, self.alpha, self.gamma, self.beta, self.delta, presample)

    @property
    def persistence(self) -> float:
        """Return ``sum alpha E(|z| - gamma z)^delta + sum beta``."""
        total = float(self.beta.sum())
        for i, a in enumerate(self.alpha):
            g = self.gamma[i] if i < self.gamma.size else 0.0
            total += float(a) * self.innovations.expectation(lambda z, g=g: (np.abs(z) - g * z) ** self.delta)  # type: ignore[misc]
        return total

    @property
    def level(self) -> float | None:
        """Return the variance whose power ``delta / 2`` is the unconditional mean of that power."""
        power = super().level
        return None if power is None else power ** (2.0 / self.delta)

    def step(self, e: Sequence[FloatArray], s2: Sequence[FloatArray]) -> FloatArray:
        """Return the next variance."""
        value = np.full_like(s2[-1], self.omega)
        for i, a in enumerate(self.alpha, 1):
            g = self.gamma[i - 1] if i <= self.gamma.size else 0.0
            value += a * (np.abs(e[-i]) - g * e[-i]) ** self.delta
        for i, b in enumerate(self.beta, 1):
            value += b * s2[-i] ** (0.5 * self.delta)
        return np.asarray(value ** (2.0 / self.delta))


@dataclass(frozen=True, eq=False)
class Weighted(Recursion):
    """``s2 = omega + sum_k (plus_k + minus_k [e<0]) e[t-k]^2`` over many lags: FIGARCH, HARCH, MIDAS."""

    plus: FloatArray
    minus: FloatArray
    long_memory: bool = False

    def variances(self, residuals: FloatArray, presample: float) -> FloatArray:
        """Sum the weighted squares."""
        before = np.full(self.plus.size, presample)
        square = residuals**2
        out = self.omega + np.convolve(np.concatenate([before, square]), self.plus, "valid")
        if self.minus.any():
            negative = np.where(residuals < 0, square, 0.0)
            out += np.convolve(np.concatenate([0.5 * before, negative]), self.minus, "valid")
        return np.asarray(out)

    @property
    def persistence(self) -> float | None:
        """Return the sum of the weights; None for long memory, which forgets more slowly than any power."""
        if self.long_memory:
            return None
        return float(self.plus.sum() + self.innovations.lower_variance * self.minus.sum())

    def expected(self, residuals: FloatArray, s2: FloatArray, horizon: int) -> FloatArray:
        """Return E[s2], each from the expectations before it."""
        known, share = self._known(residuals, s2, horizon), self.innovations.lower_variance
        total = self.plus + share * self.minus
        out = np.empty(horizon)
        for h in range(horizon):
            reach = min(h, total.size)
            out[h] = known[h] + out[h - reach : h][::-1] @ total[:reach]
        return out

    def paths(self, residuals: FloatArray, s2: FloatArray, z: FloatArray) -> FloatArray:
        """Add the weighted squares of the simulated residuals to those known."""
        horizon = z.shape[1]
        known, s2_paths = self._known(residuals, s2, horizon), np.empty_like(z)
        square, negative = np.empty_like(z), np.empty_like(z)
        for h in range(horizon):
            reach = min(h, self.plus.size)
            back = slice(h - reach, h)
            s2_paths[:, h] = known[h] + square[:, back] @ self.plus[:reach][::-1]
            s2_paths[:, h] += negative[:, back] @ self.minus[:reach][::-1]
            square[:, h] = s2_paths[:, h] * z[:, h] ** 2
            negative[:, h] = np.where(z[:, h] < 0, square[:, h], 0.0)
        return s2_paths

    def _known(self, residuals: FloatArray, s2: FloatArray, horizon: int) -> FloatArray:
        """Return what the residuals of the sample add to each of the next variances, omega with it, shape (horizon,).

        What lies before the sample is read off its first variance, which is made of nothing else.
        """
        lags = self.plus.size
        square, n = residuals**2, min(lags, residuals.size)
        recent, negative = square[::-1][:n], np.where(residuals < 0, square, 0.0)[::-1][:n]
        direct = np.zeros(horizon)
        for h in range(min(horizon, lags)):
            reach = min(n, lags - h)
            direct[h] = recent[:reach] @ self.plus[h : h + reach] + negative[:reach] @ self.minus[h : h + reach]
        beyond = self.plus + 0.5 * self.minus
        unseen = np.array([beyond[n + h :].sum() for h in range(horizon)])
        presample = (s2[0] - self.omega) / beyond.sum() if unseen[0] > 0 else 0.0
        return np.asarray(self.omega + direct + presample * unseen)


def recursion_of(vol: Vol, estimates: Mapping[str, float], innovations: Innovations) -> Recursion:
    """Return the variance part of a fit from its parameters by name."""
    omega = estimates["omega"]
    if vol in ("garch", "egarch", "aparch"):
        alpha, gamma, beta = (_lags(estimates, name) for name in ("alpha", "gamma", "beta"))
        if vol == "aparch":
            return Aparch(omega, innovations, alpha, gamma, beta, estimates["delta"])
        return (Garch if vol == "garch" else Egarch)(omega, innovations, alpha, gamma, beta)
    if vol == "figarch":
        phi, decay = estimates.get("phi", 0.0), estimates.get("beta", 0.0)
        weights = figarch_weights(phi, estimates["d"], decay, FIGARCH_LAGS)
        return Weighted(omega / (1.0 - decay), innovations, weights, np.zeros_like(weights), long_memory=True)
    if vol == "harch":
        weights = np.zeros(HARCH_LAGS[-1])
        for lag in HARCH_LAGS:
            weights[:lag] += estimates[f"alpha[{lag}]"] / lag
        return Weighted(omega, innovations, weights, np.zeros_like(weights))
    shape = midas_weights(estimates["theta"])
    return Weighted(omega, innovations, estimates["alpha"] * shape, estimates.get("gamma", 0.0) * shape)


def parameter_names(vol: Vol, p: int, o: int, q: int) -> tuple[str, ...]:
    """Return the names of the parameters of the variance, in the order of ``arch``."""
    if vol == "figarch":
        return ("omega", *["phi"] * p, "d", *["beta"] * q)
    if vol == "harch":
        return ("omega", *(f"alpha[{lag}]" for lag in HARCH_LAGS))
    if vol == "midas":
        return ("omega", "alpha", *["gamma"] * o, "theta")
    lags = (f"{name}[{i}]" for name, count in (("alpha", p), ("gamma", o), ("beta", q)) for i in range(1, count + 1))
    return ("omega", *lags, *(["delta"] if vol == "aparch" else []))


def figarch_weights(phi: float, d: float, beta: float, lags: int) -> FloatArray:
    """Return the ARCH(infinity) weights of ``1 - (1 - phi L)(1 - L)^d / (1 - beta L)``.

    Baillie, Bollerslev and Mikkelsen (1996), in the recursion of Bollerslev and Mikkelsen (1996).
    """
    steps = np.arange(1.0, lags)
    delta = d * np.cumprod(np.concatenate([[1.0], (steps - d) / (steps + 1.0)]))
    out = np.empty(lags)
    out[0] = phi - beta + d
    for i in range(1, lags):
        out[i] = beta * out[i - 1] + delta[i] - phi * delta[i - 1]
    return out


def midas_weights(theta: float) -> FloatArray:
    """Return the weights of the last 22 squares, ``Gamma(j + theta) / (Gamma(j + 1) Gamma(theta))`` to a sum of one.

    Foroni, Marcellino and Schumacher (2015) and ``arch``: a small theta forgets quickly.
    """
    j = np.arange(1.0, MIDAS_LAGS + 1)
    weights = np.exp(special.gammaln(theta + j) - special.gammaln(j + 1))
    return np.asarray(weights / weights.sum())


def _lags(estimates: Mapping[str, float], name: str) -> FloatArray:
    found = [estimates[key] for key in estimates if key.startswith(f"{name}[")]
    return np.array(found, dtype=np.float64)
