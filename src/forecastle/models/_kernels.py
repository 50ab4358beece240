"""Variance recursions: arrays in, arrays out, compiled. Each has a slow twin in ``tests/models``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled

FloatArray = npt.NDArray[np.float64]

BACKCAST_SPAN = 75
BACKCAST_DECAY = 0.94


def backcast(residuals: FloatArray) -> FloatArray:
    """Return the presample variance of each row: its first 75 squared residuals, weighted with 0.94^i.

    ``residuals`` has shape (rows, n), the result (rows,). The rule of ``arch``, so that filtered variances agree with
    its fits.
    """
    span = min(BACKCAST_SPAN, residuals.shape[1])
    weights = BACKCAST_DECAY ** np.arange(span)
    return np.asarray(residuals[:, :span] ** 2 @ (weights / weights.sum()))


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
    residuals: FloatArray,
    omega: float,
    alpha: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    presample: FloatArray,
) -> FloatArray:
    """Return the forecast variance after each window: row i filters ``residuals[i : i + window]`` and nothing else.

    ``presample`` has one value a row; ``window = residuals.size - presample.size + 1``.
    """
    rows = presample.size
    window = residuals.size - rows + 1
    out = np.empty(rows)
    for i in range(rows):
        out[i] = garch_variance(residuals[i : i + window], omega, alpha, gamma, beta, presample[i])[-1]
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
