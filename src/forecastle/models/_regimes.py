"""Hamilton's filter over two GARCH recursions that run side by side, compiled. Its slow twin is in ``tests/models``."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled

FloatArray = npt.NDArray[np.float64]


@compiled
def regime_filter(
    residuals: FloatArray, omega: FloatArray, alpha: FloatArray, beta: FloatArray, stay: FloatArray,
    nu: float, constant: float, presample: float,
) -> FloatArray:  # fmt: skip
    """Return for n residuals and the bar after them, shape (n + 1, 4): log density, P(regime 1), s2_1, s2_2.

    Row t is what is known before residual t (Hamilton 1989); its log density is that of residual t, 0 in the last row.
    ``nu`` is zero for normal innovations; ``constant`` the log density at zero of a Student's t of unit variance.
    """
    n = residuals.size
    out = np.zeros((n + 1, 4))
    calm = (1.0 - stay[1]) / (2.0 - stay[0] - stay[1])
    square = presample
    first, second = omega[0] / (1.0 - alpha[0] - beta[0]), omega[1] / (1.0 - alpha[1] - beta[1])
    for t in range(n + 1):
        first = omega[0] + alpha[0] * square + beta[0] * first
        second = omega[1] + alpha[1] * square + beta[1] * second
        out[t, 1], out[t, 2], out[t, 3] = calm, first, second
        if t == n:
            break
        square = residuals[t] ** 2
        if nu > 0.0:
            one = constant - 0.5 * math.log(first) - 0.5 * (nu + 1.0) * math.log1p(square / first / (nu - 2.0))
            two = constant - 0.5 * math.log(second) - 0.5 * (nu + 1.0) * math.log1p(square / second / (nu - 2.0))
        else:
            one = -0.5 * (1.8378770664093453 + math.log(first) + square / first)  # ln(2 pi)
            two = -0.5 * (1.8378770664093453 + math.log(second) + square / second)
        top = max(one, two)  # so that one of the two exponentials is 1 and neither overflows
        in_first, in_second = calm * math.exp(one - top), (1.0 - calm) * math.exp(two - top)
        out[t, 0] = top + math.log(in_first + in_second)
        now = in_first / (in_first + in_second)
        calm = now * stay[0] + (1.0 - now) * (1.0 - stay[1])
    return out


@compiled
def regime_rolling(
    residuals: FloatArray, omega: FloatArray, alpha: FloatArray, beta: FloatArray, stay: FloatArray,
    nu: float, constant: float, presample: FloatArray,
) -> FloatArray:  # fmt: skip
    """Return the last row of the filter over each window, shape (rows, 4): row i sees ``residuals[i : i + window]``."""
    rows = presample.size
    window = residuals.size - rows + 1
    out = np.empty((rows, 4))
    for i in range(rows):
        part = regime_filter(residuals[i : i + window], omega, alpha, beta, stay, nu, constant, presample[i])
        out[i] = part[window]
    return out


@compiled
def regime_gradient(
    residuals: FloatArray, omega: FloatArray, alpha: FloatArray, beta: FloatArray, stay: FloatArray,
    nu: float, constant: float, constant_slope: float, presample: float,
) -> FloatArray:  # fmt: skip
    """Return the gradient of the log-likelihood by mu, omega (2), alpha (2), beta (2), stay (2) and nu, shape (10,).

    The chain rule along the filter: ``v`` are both variances with their derivatives by (mu, omega, alpha, beta) of
    their own regime, ``chance`` those of P(regime 1). ``constant_slope`` is the derivative of ``constant`` by nu.
    """
    grad, chance, by = np.zeros(10), np.zeros(10), np.zeros((2, 10))
    leave = 2.0 - stay[0] - stay[1]
    calm = (1.0 - stay[1]) / leave
    chance[7], chance[8] = (1.0 - stay[1]) / leave**2, -(1.0 - stay[0]) / leave**2
    v, slope, density, news = np.empty(2), np.zeros((2, 4)), np.empty(2), 0.0
    for k in range(2):
        rest = 1.0 - alpha[k] - beta[k]
        v[k] = omega[k] / rest
        slope[k, 1], slope[k, 2], slope[k, 3] = 1.0 / rest, v[k] / rest, v[k] / rest
    square = presample
    for t in range(residuals.size):
        e = residuals[t]
        for k in range(2):
            slope[k, 0] = alpha[k] * news + beta[k] * slope[k, 0]
            slope[k, 1] = 1.0 + beta[k] * slope[k, 1]
            slope[k, 2] = square + beta[k] * slope[k, 2]
            slope[k, 3] = v[k] + beta[k] * slope[k, 3]
            v[k] = omega[k] + alpha[k] * square + beta[k] * v[k]
            if nu > 0.0:
                u = e * e / v[k] / (nu - 2.0)
                density[k] = constant - 0.5 * math.log(v[k]) - 0.5 * (nu + 1.0) * math.log1p(u)
                pull = (nu + 1.0) * u / (1.0 + u)
                by[k, 9] = constant_slope - 0.5 * math.log1p(u) + 0.5 * pull / (nu - 2.0)
            else:
                pull = e * e / v[k]
                density[k] = -0.5 * (math.log(v[k]) + pull)
            by_variance = 0.5 * (pull - 1.0) / v[k]
            by[k, 0] = by_variance * slope[k, 0] + (pull / e if e != 0.0 else 0.0)
            for m in range(1, 4):
                by[k, 2 * m - 1 + k] = by_variance * slope[k, m]
        odds = calm * math.exp(min(density[0] - density[1], 700.0))
        now = odds / (odds + 1.0 - calm)
        for i in range(10):
            grad[i] += now * by[0, i] + (1.0 - now) * by[1, i] + (now - calm) / (calm * (1.0 - calm)) * chance[i]
            turn = now * (1.0 - now) * (by[0, i] - by[1, i] + chance[i] / (calm * (1.0 - calm)))
            chance[i] = turn * (stay[0] + stay[1] - 1.0)
        chance[7] += now
        chance[8] -= 1.0 - now
        calm = now * stay[0] + (1.0 - now) * (1.0 - stay[1])
        square, news = e * e, -2.0 * e
    return grad
