"""Scores of a number, such as a log return, and of the interval around it; all arrays of shape (n,)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from forecastle.errors import DataInvalid
from forecastle.nouns import TestResult
from forecastle.scoring._checks import aligned

FloatArray = npt.NDArray[np.float64]


def squared_errors(outcome: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return ``(y - m)^2``, in the square of the unit of the outcome."""
    y, m = aligned(outcome=outcome, forecast=forecast)
    return np.asarray(np.square(y - m))


def absolute_errors(outcome: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return ``|y - m|``, in the unit of the outcome."""
    y, m = aligned(outcome=outcome, forecast=forecast)
    return np.asarray(np.abs(y - m))


def r2_out_of_sample(outcome: FloatArray, forecast: FloatArray, baseline: FloatArray) -> float:
    """Return ``1 - sum (y - m)^2 / sum (y - b)^2`` (Campbell and Thompson 2008, RFS 21, 1509-1531): 0 is the baseline.

    Raises ``DataInvalid`` where the baseline is perfect.
    """
    below = float(squared_errors(outcome, baseline).sum())
    if below == 0.0:
        raise DataInvalid("The baseline makes no error.", "There is nothing to gain.", "Look at the outcome.")
    return 1.0 - float(squared_errors(outcome, forecast).sum()) / below


def correlation(outcome: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return Pearson's correlation over the last axis, shape (...,) of (..., n); NaN where one does not vary."""
    y = outcome - outcome.mean(axis=-1, keepdims=True)
    m = forecast - forecast.mean(axis=-1, keepdims=True)
    product = (y * m).sum(axis=-1)
    scale = np.sqrt(np.square(y).sum(axis=-1) * np.square(m).sum(axis=-1))
    return np.asarray(np.divide(product, scale, out=np.full_like(product, np.nan), where=scale > 0.0))


def sign_hits(outcome: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return 1 where the forecast has the sign of the outcome, else 0; a zero on either side is no hit."""
    y, m = aligned(outcome=outcome, forecast=forecast)
    return np.asarray((y * m > 0.0).astype(np.float64))


def covered(outcome: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return 1 where the outcome lies within the interval, its ends too, else 0."""
    y, a, b = aligned(outcome=outcome, low=low, high=high)
    return np.asarray(((y >= a) & (y <= b)).astype(np.float64))


def coverage(outcome: FloatArray, low: FloatArray, high: FloatArray, level: float) -> TestResult:
    """Return the share inside the interval, and the exact binomial p-value that its probability is ``level``.

    The test takes rows as independent: outcomes that overlap make it reject too often.
    """
    inside = covered(outcome, low, high)
    test = stats.binomtest(int(inside.sum()), inside.size, level)
    return TestResult("coverage", float(inside.mean()), float(test.pvalue))
