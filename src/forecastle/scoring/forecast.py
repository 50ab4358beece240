"""Losses of volatility forecasts, and the test of one against another."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import TestResult

FloatArray = npt.NDArray[np.float64]

RV_FLOOR = 1e-8
"""One basis point squared: a realised variance below it is a day without trades, not a day without risk."""


class Qlike(float):
    """A mean QLIKE; ``floored`` counts the rows whose realised variance was raised to 1 bp squared."""

    floored: int

    def __new__(cls, value: float, floored: int) -> Qlike:
        """Attach the count to the number."""
        self = super().__new__(cls, value)
        self.floored = floored
        return self


def qlike_losses(realized_variance: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return ``RV/sigma^2 - ln(RV/sigma^2) - 1`` row by row, shape (n,), RV floored at 1 bp squared.

    Robust to noise in the proxy (Patton 2011, Journal of Econometrics 160, 246-256), zero for a perfect forecast.
    Raises ``DataInvalid`` for NaN, different shapes, negative RV or sigma that is not positive.
    """
    rv, s = np.asarray(realized_variance, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    if rv.shape != s.shape or rv.ndim != 1 or not rv.size:
        raise DataInvalid(
            f"Realised variance has shape {rv.shape} and sigma {s.shape}.", "They have to be one series.", "Align them."
        )
    if not (np.isfinite(rv).all() and np.isfinite(s).all() and (s > 0).all() and (rv >= 0).all()):
        raise DataInvalid(
            "Realised variance or sigma is NaN, infinite or negative.", "A loss needs both.", "Leave it out."
        )
    ratio = np.maximum(rv, RV_FLOOR) / s**2
    return np.asarray(ratio - np.log(ratio) - 1.0)


def qlike(realized_variance: FloatArray, sigma: FloatArray) -> Qlike:
    """Return the mean of :func:`qlike_losses`; ``.floored`` counts the floored rows."""
    losses = qlike_losses(realized_variance, sigma)
    return Qlike(float(losses.mean()), int((np.asarray(realized_variance) < RV_FLOOR).sum()))


def diebold_mariano(loss_a: FloatArray, loss_b: FloatArray, horizon: int = 1, lags: int | None = None) -> TestResult:
    """Test whether two forecasts have the same expected loss; a negative statistic means that ``a`` loses less.

    ``d = loss_a - loss_b``; its mean over the root of the long-run variance (autocovariances up to horizon - 1), times
    ``sqrt((n + 1 - 2h + h(h-1)/n) / n)``, against Student's t with n - 1 degrees of freedom, two-sided. Sources:
    Diebold and Mariano (1995), JBES 13, 253-263; Harvey, Leybourne and Newbold (1997), IJF 13, 281-291. With ``lags``
    the long-run variance takes that many autocovariances with Bartlett weights instead (Newey and West 1987): losses of
    models that both miss the same turn of volatility are autocorrelated even one step ahead.
    """
    d = np.asarray(loss_a, dtype=np.float64) - np.asarray(loss_b, dtype=np.float64)
    n, name = d.size, "Diebold-Mariano"
    if d.ndim != 1 or not np.isfinite(d).all():
        raise DataInvalid(
            "The losses are not two finite series of one length.", "Each row is one forecast of both.", "Align them."
        )
    if horizon < 1 or n <= 2 * horizon or (lags is not None and not 0 <= lags < n):
        raise RequestInvalid(
            f"{n} losses for horizon {horizon}.", "More than twice as many losses are needed.", "Score more bars."
        )
    centred = d - d.mean()
    last = horizon - 1 if lags is None else lags
    weights = [1.0 if lags is None else 1.0 - k / (lags + 1.0) for k in range(1, last + 1)]
    covariances = [float(centred[k:] @ centred[: n - k]) / n for k in range(last + 1)]
    variance = (covariances[0] + 2.0 * sum(w * c for w, c in zip(weights, covariances[1:], strict=True))) / n
    nothing = covariances[0] <= (1e-12 * float(np.abs(d).max())) ** 2  # rounding is no variance
    if variance <= 0.0 or nothing:
        reason = "the losses are the same, or differ by a constant" if nothing else "no positive long-run variance"
        return TestResult(name, None, None, n - 1, reason)
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = float(d.mean()) / math.sqrt(variance) * correction
    return TestResult(name, statistic, float(2.0 * special.stdtr(n - 1, -abs(statistic))), n - 1)
