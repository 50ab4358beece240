"""The correlation recursion of DCC, compiled. Its slow twin is in ``tests/models``."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled

FloatArray = npt.NDArray[np.float64]


@compiled
def correlation_terms(z: FloatArray, target: FloatArray, a: float, b: float) -> FloatArray:
    """Return ``-(ln|R_t| + z_t' R_t^-1 z_t - z_t' z_t) / 2`` for each row of z (n, k), shape (n,).

    ``Q_t = (1 - a - b) target + a z_(t-1) z_(t-1)' + b Q_(t-1)``, ``R_t`` is Q_t scaled to a unit diagonal, ``Q_0`` the
    target. NaN from where R_t is not positive definite.
    """
    n, k = z.shape
    q, root, solved = target.copy(), np.zeros((k, k)), np.empty(k)
    out = np.full(n, np.nan)
    for t in range(n):
        logdet, square = 0.0, 0.0
        for i in range(k):  # Cholesky of R row by row, and the solution of root x = z on the way
            rest = z[t, i]
            for j in range(i + 1):
                value = q[i, j] / math.sqrt(q[i, i] * q[j, j])
                for m in range(j):
                    value -= root[i, m] * root[j, m]
                if j < i:
                    root[i, j] = value / root[j, j]
                    rest -= root[i, j] * solved[j]
                elif value > 0.0:
                    root[i, i] = math.sqrt(value)
                else:
                    return out
            solved[i] = rest / root[i, i]
            logdet += 2.0 * math.log(root[i, i])
            square += solved[i] ** 2 - z[t, i] ** 2
        out[t] = -0.5 * (logdet + square)
        for i in range(k):
            for j in range(i + 1):
                q[i, j] = (1.0 - a - b) * target[i, j] + a * z[t, i] * z[t, j] + b * q[i, j]
    return out


@compiled
def correlation_path(z: FloatArray, target: FloatArray, a: float, b: float) -> FloatArray:
    """Return R_t of each row of z (n, k) and of the bar after them, shape (n + 1, k, k)."""
    n, k = z.shape
    q, out = target.copy(), np.empty((n + 1, k, k))
    for t in range(n + 1):
        for i in range(k):
            for j in range(k):
                out[t, i, j] = q[i, j] / math.sqrt(q[i, i] * q[j, j])
        if t < n:
            for i in range(k):
                for j in range(k):
                    q[i, j] = (1.0 - a - b) * target[i, j] + a * z[t, i] * z[t, j] + b * q[i, j]
    return out
