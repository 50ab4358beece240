"""Variance recursions of EGARCH and APARCH, compiled. Each has a slow twin in ``tests/models``."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled

FloatArray = npt.NDArray[np.float64]


@compiled
def egarch_variance(
    residuals: FloatArray, omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, presample: float
) -> FloatArray:
    """Return the n + 1 conditional variances; before the start ``z`` is nothing and ``ln s2`` is ``presample``.

    ``ln s2[t] = omega + sum_i alpha_i (|z[t-i]| - sqrt(2/pi)) + sum_i gamma_i z[t-i] + sum_j beta_j ln s2[t-j]``
    (Nelson 1991). The logarithm is kept within 100 of zero, so that a diverging filter stays a number.
    """
    n = residuals.size
    log_s2 = np.empty(n + 1)
    z = np.empty(n)
    for t in range(n + 1):
        value = omega
        for i in range(min(alpha.size, t)):
            value += alpha[i] * (abs(z[t - 1 - i]) - math.sqrt(2.0 / math.pi))
        for i in range(min(gamma.size, t)):
            value += gamma[i] * z[t - 1 - i]
        for j in range(beta.size):
            value += beta[j] * (log_s2[t - 1 - j] if t - 1 - j >= 0 else presample)
        log_s2[t] = min(max(value, -100.0), 100.0)
        if t < n:
            z[t] = residuals[t] * math.exp(-0.5 * log_s2[t])
    return np.exp(log_s2)


@compiled
def aparch_variance(
    residuals: FloatArray,
    omega: float,
    alpha: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    delta: float,
    presample: float,
) -> FloatArray:
    """Return the n + 1 conditional variances; before the start ``|e|`` and s are the root of ``presample``.

    ``s[t]^d = omega + sum_i alpha_i (|e[t-i]| - gamma_i e[t-i])^d + sum_j beta_j s[t-j]^d`` (Ding, Granger and
    Engle 1993).
    """
    n = residuals.size
    power = np.empty(n + 1)
    before = presample ** (0.5 * delta)
    for t in range(n + 1):
        value = omega
        for i in range(alpha.size):
            if t - 1 - i < 0:
                value += alpha[i] * before
                continue
            e = residuals[t - 1 - i]
            value += alpha[i] * (abs(e) - (gamma[i] * e if i < gamma.size else 0.0)) ** delta
        for j in range(beta.size):
            value += beta[j] * (power[t - 1 - j] if t - 1 - j >= 0 else before)
        power[t] = value
    return power ** (2.0 / delta)
