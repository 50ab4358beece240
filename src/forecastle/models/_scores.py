"""The derivative of each observation's log density, by forward differentiation: the plain twin of ``_evaluate``.

Standard errors need the terms, not only their sum. Arrays and one loop, not compiled: a fit is judged once.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Density = tuple[FloatArray, FloatArray, FloatArray]
"""Derivatives of each log density by the residual, by the variance, and by the shape coordinates (n, shapes)."""


def garch_gradients(
    residual: FloatArray, variance: FloatArray, weights: tuple[FloatArray, FloatArray, FloatArray], presample: float
) -> FloatArray:
    """Return the derivatives of each variance by mu, omega, alphas, gammas, betas and the presample variance."""
    alpha, gamma, beta = weights
    n, lags = residual.size, _Lags(*weights)
    news = np.concatenate([np.full(3, presample), residual**2])
    side = np.concatenate([np.full(3, 0.5 * presample), np.where(residual < 0.0, residual**2, 0.0)])
    state = np.concatenate([np.full(3, presample), variance])
    out = np.zeros((n + 3, lags.columns))
    out[:3, -1] = 1.0
    by_mu = np.concatenate([np.zeros(3), -2.0 * residual])
    for t in range(3, n + 3):
        row = lags.direct(t, news, side, state)
        for i, weight in enumerate(alpha, 1):
            row[0] += weight * by_mu[t - i]
            row[-1] += weight if t - i < 3 else 0.0
        for i, weight in enumerate(gamma, 1):
            row[0] += weight * (by_mu[t - i] if side[t - i] > 0.0 else 0.0)
            row[-1] += 0.5 * weight if t - i < 3 else 0.0
        for j, weight in enumerate(beta, 1):
            row += weight * out[t - j]
        out[t] = row
    return out[3:]


def egarch_gradients(
    residual: FloatArray, variance: FloatArray, weights: tuple[FloatArray, FloatArray, FloatArray], presample: float
) -> FloatArray:
    """Return the derivatives of each variance, as ``garch_gradients`` does; the filter itself is in logarithms."""
    alpha, gamma, beta = weights
    n, lags = residual.size, _Lags(*weights)
    z = residual / np.sqrt(variance)
    news = np.concatenate([np.zeros(3), np.abs(z) - math.sqrt(2.0 / math.pi)])
    side = np.concatenate([np.zeros(3), z])
    state = np.concatenate([np.full(3, math.log(presample)), np.log(variance)])
    out, by_z = np.zeros((n + 3, lags.columns)), np.zeros((n + 3, lags.columns))
    out[:3, -1] = 1.0 / presample
    for t in range(3, n + 3):
        row = lags.direct(t, news, side, state)
        for i, weight in enumerate(alpha, 1):
            row += weight * np.sign(side[t - i]) * by_z[t - i]
        for i, weight in enumerate(gamma, 1):
            row += weight * by_z[t - i]
        for j, weight in enumerate(beta, 1):
            row += weight * out[t - j]
        out[t] = row
        by_z[t] = -0.5 * side[t] * row
        by_z[t, 0] -= 1.0 / math.sqrt(variance[t - 3])
    return np.asarray(out[3:] * variance[:, None])


class _Lags:
    """What each weight multiplies at a time: mu, omega, alphas, gammas, betas, presample."""

    def __init__(self, alpha: FloatArray, gamma: FloatArray, beta: FloatArray) -> None:
        self.p, self.o, self.q = alpha.size, gamma.size, beta.size
        self.columns = 3 + self.p + self.o + self.q

    def direct(self, t: int, news: FloatArray, side: FloatArray, state: FloatArray) -> FloatArray:
        """Return the derivatives that do not pass through earlier variances."""
        p, o, q = self.p, self.o, self.q
        past = [news[t - i] for i in range(1, p + 1)] + [side[t - i] for i in range(1, o + 1)]
        return np.array([0.0, 1.0, *past, *(state[t - j] for j in range(1, q + 1)), 0.0])


def normal_density(residual: FloatArray, variance: FloatArray) -> Density:
    """Return the derivatives of the normal log density."""
    by_variance = 0.5 * (residual**2 / variance - 1.0) / variance
    return -residual / variance, by_variance, np.empty((residual.size, 0))


def student_density(residual: FloatArray, variance: FloatArray, inverse_nu: float) -> Density:
    """Return the derivatives for Student's t of unit variance; the shape is 1/nu."""
    nu = 1.0 / inverse_nu
    kappa = nu - 2.0
    spread = kappa * variance + residual**2
    weight = (nu + 1.0) / spread
    tail = residual**2 / (kappa * variance)
    by_nu = _constant_by_nu(nu) - 0.5 * np.log1p(tail) + 0.5 * weight * residual**2 / kappa
    by_variance = 0.5 * (weight * residual**2 - 1.0) / variance
    return -weight * residual, by_variance, (-nu * nu * by_nu)[:, None]


def skewed_density(residual: FloatArray, variance: FloatArray, inverse_nu: float, lam: float) -> Density:
    """Return the derivatives for the skewed t of Hansen (1994); the shapes are 1/nu and lambda."""
    from scipy.special import gammaln

    nu = 1.0 / inverse_nu
    kappa, sigma = nu - 2.0, np.sqrt(variance)
    c = math.exp(gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * math.log(math.pi * kappa))
    a_by_lam = 4.0 * c * kappa / (nu - 1.0)
    a = lam * a_by_lam
    a_by_nu = a * _constant_by_nu(nu) + 4.0 * lam * c / (nu - 1.0) ** 2
    b = math.sqrt(1.0 + 3.0 * lam**2 - a**2)
    z = residual / sigma
    sign = np.where(b * z + a >= 0.0, 1.0, -1.0)
    side = 1.0 + sign * lam
    y = (b * z + a) / side
    by_y = -(nu + 1.0) * y / (kappa + y**2)
    by_b = 1.0 / b + by_y * z / side
    by_a = by_y / side - by_b * a / b
    by_nu = _constant_by_nu(nu) - 0.5 * np.log1p(y**2 / kappa) - 0.5 * by_y * y / kappa + by_a * a_by_nu
    by_lam = -by_y * y * sign / side + by_a * a_by_lam + by_b * 3.0 * lam / b
    by_z = by_y * b / side
    return by_z / sigma, -0.5 * (1.0 + by_z * z) / variance, np.column_stack([-nu * nu * by_nu, by_lam])


def _constant_by_nu(nu: float) -> float:
    from scipy.special import digamma

    return 0.5 * float(digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / (nu - 2.0))
