"""Variance recursions: arrays in, arrays out, compiled. Each has a slow twin in ``tests/models``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.models._compiled import compiled

FloatArray = npt.NDArray[np.float64]

BACKCAST_SPAN = 75
BACKCAST_DECAY = 0.94


@compiled
def backcast(returns: FloatArray) -> float:
    """Return the presample variance: squared deviations of the first 75 returns from the mean, weights 0.94^i.

    The same rule as ``arch`` (Sheppard), so that filtered variances agree with its fits.
    """
    mean = returns.mean()
    total, weights, weight = 0.0, 0.0, 1.0
    for i in range(min(BACKCAST_SPAN, returns.size)):
        total += weight * (returns[i] - mean) ** 2
        weights += weight
        weight *= BACKCAST_DECAY
    return total / weights


@compiled
def garch_variance(
    residuals: FloatArray, omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, presample: float
) -> FloatArray:
    """Return the n + 1 conditional variances of n residuals; the last one is the forecast.

    ``s2[t] = omega + sum_i (alpha_i + gamma_i [e[t-i] < 0]) e[t-i]^2 + sum_j beta_j s2[t-j]`` (Glosten, Jagannathan
    and Runkle 1993); before the start e^2 and s2 are ``presample`` and half the signs are negative.
    """
    n = residuals.size
    s2 = np.empty(n + 1)
    for t in range(n + 1):
        value = omega
        for i in range(alpha.size):
            value += alpha[i] * (residuals[t - 1 - i] ** 2 if t - 1 - i >= 0 else presample)
        for i in range(gamma.size):
            if t - 1 - i >= 0:
                value += gamma[i] * residuals[t - 1 - i] ** 2 if residuals[t - 1 - i] < 0 else 0.0
            else:
                value += 0.5 * gamma[i] * presample
        for j in range(beta.size):
            value += beta[j] * (s2[t - 1 - j] if t - 1 - j >= 0 else presample)
        s2[t] = value
    return s2


@compiled
def garch_rolling_variance(
    returns: FloatArray, window: int, mu: float, omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray
) -> FloatArray:
    """Return the forecast variance after each window: row i filters ``returns[i : i + window]`` and nothing else."""
    rows = returns.size - window + 1
    out = np.empty(rows)
    for i in range(rows):
        part = returns[i : i + window]
        out[i] = garch_variance(part - mu, omega, alpha, gamma, beta, backcast(part))[-1]
    return out


@compiled
def ewma_rolling_variance(returns: FloatArray, window: int, decay: float) -> FloatArray:
    """Return the exponentially weighted mean of squares of each window, weights ``decay^k`` summing to one."""
    rows = returns.size - window + 1
    out = np.empty(rows)
    for i in range(rows):
        total, weights = 0.0, 0.0
        for t in range(i, i + window):
            total = decay * total + returns[t] ** 2
            weights = decay * weights + 1.0
        out[i] = total / weights
    return out
