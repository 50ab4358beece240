"""Windows computed each for itself: no running sum, so that no value depends on where the series began.

A running sum is faster and drifts: after a flood of volume its error outlives the flood. Here every window is summed in
the same order wherever it lies, so that a row computed on a part of the series is the same to the last bit. Rows are
worked through in blocks, lag by lag, which the machine does several at a time.
"""

from __future__ import annotations

import numpy as np

from forecastle.compiled import compiled
from forecastle.features._bars import FloatArray

BLOCK = 1024


@compiled
def dot(x: FloatArray, weights: FloatArray) -> FloatArray:
    """Return sum over j of ``weights[j] x[t - w + 1 + j]``, NaN before row w - 1 and where a window holds NaN."""
    n, w = x.size, weights.size
    out = np.full(n, np.nan)
    for start in range(w - 1, n, BLOCK):
        end = min(start + BLOCK, n)
        total = np.zeros(end - start)
        for j in range(w):
            weight, begin = weights[j], start - w + 1 + j
            for i in range(end - start):
                total[i] += weight * x[begin + i]
        out[start:end] = total
    return out


@compiled
def central(x: FloatArray, w: int, power: int) -> FloatArray:
    """Return the mean of ``(x - mean) ** power`` of each window of ``w`` rows, by two passes."""
    n = x.size
    out = np.full(n, np.nan)
    for start in range(w - 1, n, BLOCK):
        end = min(start + BLOCK, n)
        mean, total = np.zeros(end - start), np.zeros(end - start)
        for j in range(w):
            begin = start - w + 1 + j
            for i in range(end - start):
                mean[i] += x[begin + i]
        for i in range(end - start):
            mean[i] /= w
        for j in range(w):
            begin = start - w + 1 + j
            for i in range(end - start):
                off = x[begin + i] - mean[i]
                term = off * off
                for _ in range(power - 2):
                    term *= off
                total[i] += term
        for i in range(end - start):
            out[start + i] = total[i] / w
    return out


@compiled
def covariance(x: FloatArray, y: FloatArray, w: int) -> FloatArray:
    """Return the mean of ``(x - mean x)(y - mean y)`` of each window of ``w`` rows, by two passes."""
    n = x.size
    out = np.full(n, np.nan)
    for start in range(w - 1, n, BLOCK):
        end = min(start + BLOCK, n)
        mx, my, total = np.zeros(end - start), np.zeros(end - start), np.zeros(end - start)
        for j in range(w):
            begin = start - w + 1 + j
            for i in range(end - start):
                mx[i] += x[begin + i]
                my[i] += y[begin + i]
        for i in range(end - start):
            mx[i] /= w
            my[i] /= w
        for j in range(w):
            begin = start - w + 1 + j
            for i in range(end - start):
                total[i] += (x[begin + i] - mx[i]) * (y[begin + i] - my[i])
        for i in range(end - start):
            out[start + i] = total[i] / w
    return out


@compiled
def extremes(x: FloatArray, w: int) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest value of each window of ``w`` rows, NaN where a window holds NaN."""
    n = x.size
    least, most = np.full(n, np.nan), np.full(n, np.nan)
    for start in range(w - 1, n, BLOCK):
        end = min(start + BLOCK, n)
        low, high = x[start:end].copy(), x[start:end].copy()
        for j in range(w - 1):
            begin = start - w + 1 + j
            for i in range(end - start):
                value = x[begin + i]
                low[i] = value if value < low[i] or value != value else low[i]
                high[i] = value if value > high[i] or value != value else high[i]
        least[start:end], most[start:end] = low, high
    return least, most


def sums(x: FloatArray, w: float) -> FloatArray:
    """Return the sum of each window of ``w`` rows."""
    return dot(x, np.ones(int(w)))


def means(x: FloatArray, w: float) -> FloatArray:
    """Return the mean of each window of ``w`` rows."""
    return sums(x, w) / w


def deviations(x: FloatArray, w: float) -> FloatArray:
    """Return the standard deviation of each window of ``w`` rows, divisor w."""
    out: FloatArray = np.sqrt(central(x, int(w), 2))
    return out


def lagged(x: FloatArray, k: int) -> FloatArray:
    """Return ``x`` of ``k`` rows before, NaN in the first ``k``."""
    out = np.full(x.size, np.nan)
    out[k:] = x[: max(x.size - k, 0)]
    return out
