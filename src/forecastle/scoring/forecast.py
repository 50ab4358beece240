"""Losses of forecasts, and the tests of one against another."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import TestResult
from forecastle.scoring._confidence_set import model_confidence_set
from forecastle.scoring._losses import (
    RV_FLOOR,
    Qlike,
    crps_normal,
    crps_normal_losses,
    crps_quantiles,
    crps_quantiles_losses,
    crps_sample,
    crps_sample_losses,
    crps_student_t,
    crps_student_t_losses,
    fz0,
    fz0_losses,
    mse,
    mse_losses,
    pinball,
    pinball_losses,
    qlike,
    qlike_losses,
)

__all__ = [
    "RV_FLOOR",
    "Qlike",
    "crps_normal",
    "crps_normal_losses",
    "crps_quantiles",
    "crps_quantiles_losses",
    "crps_sample",
    "crps_sample_losses",
    "crps_student_t",
    "crps_student_t_losses",
    "diebold_mariano",
    "fz0",
    "fz0_losses",
    "model_confidence_set",
    "mse",
    "mse_losses",
    "pinball",
    "pinball_losses",
    "qlike",
    "qlike_losses",
]

FloatArray = npt.NDArray[np.float64]


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
