"""Markov-switching GARCH: a calm and a turbulent regime, each with a variance recursion of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.models._kernels import backcast
from forecastle.models._likelihood import (
    AT_BOUND,
    FREEDOM_START,
    NEARLY_ONE,
    Natural,
    Terms,
    coordinate,
    criteria,
    freedom,
    freedom_slope,
    maximise,
    parameters,
    robust_errors,
    share,
    t_constant,
    t_constant_slope,
)
from forecastle.models._regimes import regime_filter, regime_gradient, regime_rolling
from forecastle.models._rolling import RollsByRefitting
from forecastle.models._sample import PATHS, SEED, Fitted, Sample
from forecastle.models.component_garch import innovations, known_innovations
from forecastle.nouns import Candles, Distribution, Empirical, FitStatus, FitSummary, History, Returns
from forecastle.nouns.mixture import Mixture, mixture_quantiles, mixture_tails
from forecastle.ports import OneStep

FloatArray = npt.NDArray[np.float64]
Dist = Literal["normal", "t"]

MINIMUM_RETURNS = 500
"""Ten parameters, and a regime that may hold a tenth of the time."""
NAMES = (
    "mu", "omega[1]", "omega[2]", "alpha[1]", "alpha[2]", "beta[1]", "beta[2]", "stay[1]", "stay[2]", "nu",
)  # fmt: skip
SMALLEST_VARIANCE = 1e-3
"""Of a regime at any bar, in variances of the sample: a calmer one explains single returns, not a market."""
_UNVISITED = 0.01
_ALIKE = 1.1


@dataclass(frozen=True)
class MarkovSwitchingGarch(RollsByRefitting):
    """``s2_k[t] = omega_k + alpha_k e[t-1]^2 + beta_k s2_k[t-1]`` for the regimes k = 1, 2; ``r[t] = mu + e[t]``.

    The regime of bar t is a hidden Markov chain that stays in k with probability ``stay[k]``; e[t] has the variance
    ``s2_k[t]`` of the regime it is in. Haas, Mittnik and Paolella (2004), "A new approach to Markov-switching GARCH
    models": both recursions run side by side on the observed e, so that the likelihood needs no history of regimes.
    Regime 1 has the smaller long-run variance ``omega / (1 - alpha - beta)``; each has ``alpha + beta < 1``. Before the
    start e^2 is the backcast of ``arch``, s2_k the long-run variance of its regime, the regime as likely as in the
    long run.

    ``dist`` is ``"normal"`` or ``"t"`` (one nu for both regimes); raises ``RequestInvalid`` for anything else.
    """

    dist: Dist = "t"
    naive = False

    def __post_init__(self) -> None:
        known_innovations(self.dist)

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"MS(2)-GARCH(1,1)-{self.dist}"

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedMarkovSwitching:
        """Fit by maximum likelihood to candles or to a 1-d array of log returns in decimals.

        At least 500 returns, all finite (see :meth:`Sample.of` for what is refused). Returns are scaled to unit
        variance inside. The search climbs from the three best of twelve points. A regime whose variance collapses is
        no fit: ``status`` says so; regimes that hardly differ or hardly occur are named there, too.
        """
        sample = Sample.of(x, MINIMUM_RETURNS)
        scale = 1.0 / float(sample.returns.std())
        returns = sample.returns * scale
        starts = self._starts(float(returns.mean()))
        best = maximise(_density(returns), self._natural, starts, runs=3, climb=self._climb(returns))
        params = _ordered(best.params)
        status = _judged(best.status(_reservations(params, returns.size)), _smallest(params, returns))
        units = _units(scale)[: params.size]
        estimates = dict(zip(NAMES, map(float, params / units), strict=False))
        likelihood = best.loglikelihood + returns.size * math.log(scale)
        return FittedMarkovSwitching(sample, self.label, status, estimates, likelihood, scale)

    def _natural(self, x: FloatArray) -> FloatArray:
        """Return the parameters at the coordinates (mean, 2 log variances, 2 persistences, 2 shares, 2 stays, nu)."""
        level = np.exp(x[1:3])
        persistence = NEARLY_ONE * np.array([share(x[3]), share(x[4])])
        alpha = persistence * np.array([share(x[5]), share(x[6])])
        stay = NEARLY_ONE * np.array([share(x[7]), share(x[8])])
        values = np.r_[x[0], level * (1.0 - persistence), alpha, persistence - alpha, stay]
        return np.asarray(values if self.dist == "normal" else np.r_[values, freedom(float(x[9]))])

    def _climb(self, returns: FloatArray) -> Natural:
        """Return the function from coordinates to the gradient of the log-likelihood by them."""
        presample = _presample(returns)

        def climb(x: FloatArray) -> FloatArray:
            params = self._natural(x)
            omega, alpha, beta, stay = _pairs(params)
            nu = float(params[9]) if params.size == 10 else 0.0
            constants = (t_constant(nu), t_constant_slope(nu)) if nu else (0.0, 0.0)
            by = regime_gradient(returns - params[0], omega, alpha, beta, stay, nu, *constants, presample)
            slope, part, persistence = NEARLY_ONE * np.sin(2.0 * x[3:5]), np.sin(x[5:7]) ** 2, alpha + beta
            level = omega / (1.0 - persistence)
            by_omega, by_alpha, by_beta = by[1:3], by[3:5], by[5:7]
            out = np.r_[
                by[0],
                by_omega * omega,
                slope * (by_alpha * part + by_beta * (1.0 - part) - by_omega * level),
                persistence * np.sin(2.0 * x[5:7]) * (by_alpha - by_beta),
                by[7:9] * NEARLY_ONE * np.sin(2.0 * x[7:9]),
            ]
            return np.asarray(out if not nu else np.r_[out, by[9] * freedom_slope(float(x[9]))])

        return climb

    def _starts(self, mean: float) -> list[FloatArray]:
        rest = [] if self.dist == "normal" else [FREEDOM_START]
        return [
            np.array(
                [mean, math.log(calm), math.log(wild), *map(coordinate, (p, p, 0.05, 0.1, stay, left)), *rest]
            )
            for (calm, wild), p, (stay, left) in product(
                ((0.4, 2.5), (0.7, 5.0)), (0.5, 0.9, 0.97), ((0.98, 0.95), (0.9, 0.6))
            )
        ]  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class FittedMarkovSwitching(Fitted):
    """Maximum-likelihood estimates by name; ``loglikelihood`` in the units of the returns given."""

    estimates: Mapping[str, float]
    loglikelihood: float
    _scale: float

    @property
    def params(self) -> Mapping[str, float]:
        """Return mu, omega[k], alpha[k], beta[k], stay[k] of both regimes and, with Student's t, nu, in decimals."""
        return self.estimates

    @property
    def long_run_probabilities(self) -> FloatArray:
        """Return the share of time in each regime, shape (2,)."""
        return _long_run(*self._pair("stay"))

    @property
    def unconditional_sigma(self) -> float:
        """Return the long-run standard deviation of one return, from the fixed point of the moments (Haas et al.)."""
        moments = np.linalg.solve(np.eye(4) - self._moment_matrix, self._moment_constant(self.long_run_probabilities))
        return math.sqrt(moments[0] + moments[3])

    def summary(self) -> FitSummary:
        """Return parameters with robust standard errors (Bollerslev and Wooldridge 1992) and the criteria.

        ``persistence`` is the spectral radius of the matrix that carries the moments of both regimes on one bar: below
        one the variance reverts to its mean (Haas, Mittnik and Paolella 2004, section 3).
        """
        params = np.array(list(self.estimates.values())) * _units(self._scale)[: len(self.estimates)]
        returns = self.sample.returns * self._scale
        errors = robust_errors(_density(returns), params, _inside(params))
        units = _units(self._scale)[: params.size]
        plain = [None if e is None else e / u for e, u in zip(errors, units, strict=True)]
        radius = float(np.abs(np.linalg.eigvals(self._moment_matrix)).max())
        return criteria(
            FitSummary(
                self.label, "Student's t" if self._nu else "Normal", returns.size, self.status,
                parameters(self.estimates, plain), persistence=radius, unconditional_sigma=self.unconditional_sigma,
                source=self.sample.source, data_hash=self.sample.data_hash,
            ),
            self.loglikelihood,
        )  # fmt: skip

    def regime_probabilities(self) -> FloatArray:
        """Return P(regime 2 | returns before it) of every return of the sample and of the next bar, shape (n + 1,)."""
        return 1.0 - self._filtered(self.sample.returns)[:, 1]

    def conditional_volatility(self) -> FloatArray:
        """Return the sigma of the mixture of every return of the sample, shape (n,), in decimals."""
        now = self._filtered(self.sample.returns)[:-1]
        return np.sqrt(now[:, 1] * now[:, 2] + (1.0 - now[:, 1]) * now[:, 3])

    def expected_variances(self, returns: FloatArray, horizon: int) -> FloatArray:
        """Return E[e^2] of the ``horizon`` bars after ``returns``, shape (horizon,).

        With ``M_jk = E[s2_k; regime j]``: ``M_jk[t+1] = sum_i p_ij (omega_k P(i) + alpha_k M_ii + beta_k M_ik)``.
        """
        _, calm, *s2 = self._filtered(returns)[-1]
        chance = np.array([calm, 1.0 - calm])
        moments = np.outer(chance, s2).ravel()
        out = np.empty(horizon)
        for t in range(horizon):
            out[t] = moments[0] + moments[3]
            moments = self._moment_matrix @ moments + self._moment_constant(chance)
            chance = chance @ self._transition
        return out

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the next ``horizon`` returns.

        One bar: the exact mixture of both regimes. More: the shape of 20,000 simulated paths with a fixed seed, in
        units of the exact sigma.
        """
        last, mu = self._filtered(returns)[-1:], self.estimates["mu"]
        if horizon == 1:
            weights, scales, sigma = _parts(last)
            return Mixture(mu, float(sigma[0]), tuple(map(float, weights[0])), tuple(map(float, scales[0])), self._nu)
        sigma_ahead = math.sqrt(self.expected_variances(returns, horizon).sum())
        return Empirical(mu * horizon, sigma_ahead, np.sort(self._simulate(last[0], horizon) / sigma_ahead))

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i filtered over ``returns[i : i + window]`` with these parameters."""
        windows = np.lib.stride_tricks.sliding_window_view(returns, window)
        presample = backcast(windows - windows.mean(axis=1, keepdims=True))
        last = regime_rolling(returns - self.estimates["mu"], *self._recursion, presample)
        weights, scales, sigma = _parts(last)
        z = mixture_quantiles(levels, weights, scales, self._nu)
        tail = mixture_tails(levels, z, weights, scales, self._nu)
        mean = np.full(sigma.size, self.estimates["mu"])
        spread = sigma[:, None]
        return OneStep(mean, sigma, mean[:, None] + spread * z, -(mean[:, None] + spread * tail))

    @property
    def _nu(self) -> float | None:
        return self.estimates.get("nu")

    def _pair(self, name: str) -> FloatArray:
        return np.array([self.estimates[f"{name}[1]"], self.estimates[f"{name}[2]"]])

    @property
    def _recursion(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, float, float]:
        omega, alpha, beta, stay = (self._pair(name) for name in ("omega", "alpha", "beta", "stay"))
        return omega, alpha, beta, stay, self._nu or 0.0, 0.0 if self._nu is None else t_constant(self._nu)

    @property
    def _transition(self) -> FloatArray:
        first, second = self._pair("stay")
        return np.array([[first, 1.0 - first], [1.0 - second, second]])

    @property
    def _moment_matrix(self) -> FloatArray:
        """Return the matrix that carries M (in the order 11, 12, 21, 22) from one bar to the next."""
        move, alpha, beta = self._transition, self._pair("alpha"), self._pair("beta")
        out = np.zeros((4, 4))
        for j, k, i in product(range(2), repeat=3):
            out[2 * j + k, 3 * i] += move[i, j] * alpha[k]
            out[2 * j + k, 2 * i + k] += move[i, j] * beta[k]
        return out

    def _moment_constant(self, chance: FloatArray) -> FloatArray:
        return np.outer(chance @ self._transition, self._pair("omega")).ravel()

    def _filtered(self, returns: FloatArray) -> FloatArray:
        return regime_filter(returns - self.estimates["mu"], *self._recursion, _presample(returns))

    def _simulate(self, last: FloatArray, horizon: int) -> FloatArray:
        """Return the sums of ``PATHS`` simulated futures, residuals only."""
        rng = np.random.default_rng(SEED)
        omega, alpha, beta, stay = (self._pair(name) for name in ("omega", "alpha", "beta", "stay"))
        wild = (rng.random(PATHS) >= last[1]).astype(np.intp)
        s2, total, row = np.tile(last[2:], (PATHS, 1)), np.zeros(PATHS), np.arange(PATHS)
        for _ in range(horizon):
            shock = np.sqrt(s2[row, wild]) * innovations(rng, self._nu, PATHS)
            total += shock
            s2 = omega + alpha * shock[:, None] ** 2 + beta * s2
            wild = np.where(rng.random(PATHS) < stay[wild], wild, 1 - wild)
        return total


def _parts(last: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weights and relative scales of both regimes (rows, 2), and the sigma of the mixture (rows,)."""
    weights = np.column_stack([last[:, 1], 1.0 - last[:, 1]])
    sigma = np.sqrt((weights * last[:, 2:]).sum(axis=1))
    return weights, np.sqrt(last[:, 2:]) / sigma[:, None], sigma


def _units(scale: float) -> FloatArray:
    """Return what the parameters of the scaled series have to be divided by, in the order of ``NAMES``."""
    return np.asarray(np.r_[scale, scale**2, scale**2, np.ones(7)])


def _presample(returns: FloatArray) -> float:
    return float(backcast((returns - returns.mean())[None, :])[0])


def _pairs(params: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return omega, alpha, beta and stay of both regimes."""
    omega, alpha, beta, stay = (np.ascontiguousarray(params[i : i + 2]) for i in (1, 3, 5, 7))
    return omega, alpha, beta, stay


def _density(returns: FloatArray) -> Terms:
    """Return the function from parameters to the log density of each return given those before it."""
    presample = _presample(returns)

    def terms(params: FloatArray) -> FloatArray:
        omega, alpha, beta, stay = _pairs(params)
        nu = float(params[9]) if params.size == 10 else 0.0
        constant = t_constant(nu) if nu else 0.0
        return regime_filter(returns - params[0], omega, alpha, beta, stay, nu, constant, presample)[:-1, 0]

    return terms


def _long_run(first: float, second: float) -> FloatArray:
    """Return the stationary distribution of the chain with these probabilities to stay."""
    leave = np.array([1.0 - second, 1.0 - first])
    return np.asarray(leave / leave.sum())


def _levels(params: FloatArray) -> FloatArray:
    """Return the long-run variance of each regime."""
    return np.asarray(params[1:3] / (1.0 - params[3:5] - params[5:7]))


def _ordered(params: FloatArray) -> FloatArray:
    """Return the parameters with the calmer regime first."""
    calm, wild = _levels(params)
    return params if calm <= wild else np.r_[params[0], params[[2, 1, 4, 3, 6, 5, 8, 7]], params[9:]]


def _smallest(params: FloatArray, returns: FloatArray) -> float:
    """Return the smallest variance of either regime at any bar."""
    nu = float(params[9]) if params.size == 10 else 0.0
    constant = t_constant(nu) if nu else 0.0
    filtered = regime_filter(returns - params[0], *_pairs(params), nu, constant, _presample(returns))
    return float(filtered[:, 2:].min())


def _judged(status: FitStatus, smallest: float) -> FitStatus:
    """Return the status, not converged where a regime has collapsed onto a few returns."""
    if smallest > SMALLEST_VARIANCE:
        return status
    reason = f"a regime collapsed: its variance falls to {smallest:.2g} of that of the returns"
    return FitStatus(converged=False, reason=reason, restarts=status.restarts)


def _inside(params: FloatArray) -> list[bool]:
    """Return which parameters are away from their bounds: only they have errors."""
    shares, omegas = params[3:9], [bool(omega > AT_BOUND) for omega in params[1:3]]
    return [True, *omegas] + [bool(AT_BOUND < s < NEARLY_ONE - 1e-6) for s in shares] + [True] * (params.size - 9)


def _reservations(params: FloatArray, returns: int) -> list[str]:
    """Return what is odd about estimates that maximise the likelihood."""
    calm, wild = _levels(params)
    often = _long_run(float(params[7]), float(params[8]))
    found = []
    if wild < _ALIKE * calm and np.abs(params[3:7:2] - params[4:8:2]).max() < 0.05:
        found.append("the regimes hardly differ: one regime would do")
    if params[1:3].min() < AT_BOUND:
        found.append(f"omega[{int(params[1:3].argmin()) + 1}] at the bound of zero")
    if often.min() < _UNVISITED:
        found.append(f"regime {int(often.argmin()) + 1} holds {100 * float(often.min()):.2g} % of the time")
    lasts = 1.0 / (1.0 - params[7:9])
    if lasts.max() > returns / 3:
        found.append(f"regime {int(lasts.argmax()) + 1} lasts {lasts.max():.0f} bars on average: a break, not a switch")
    return found
