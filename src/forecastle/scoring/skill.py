"""Whether a forecast says anything beyond the baseline: a test that is right for models that were estimated."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import RequestInvalid
from forecastle.nouns import TestResult
from forecastle.scoring._checks import aligned

FloatArray = npt.NDArray[np.float64]
NAME = "no skill"


def no_skill(outcome: FloatArray, forecast: FloatArray, baseline: FloatArray, horizon: int = 1) -> TestResult:
    """Test that a forecast says nothing about the outcome beyond the baseline; one-sided, all arrays (n,).

    ``f = (y - b)^2 - (y - m)^2 + (b - m)^2 = 2 (y - b)(m - b)``: its mean is zero where the baseline is right, whatever
    noise the model adds; a plain comparison of losses would punish the model for that noise and never find it level.
    The statistic is ``mean f / se``, times the factor of Harvey, Leybourne and Newbold (1997), against Student's t with
    n - 1 degrees of freedom. Labels that overlap leave autocovariances up to ``horizon - 1``; the variance is the
    larger of that with all of them and that with Bartlett weights: each alone rejects noise too often somewhere. With
    directions ``y`` is 1 or 0 and ``m`` and ``b`` are probabilities: f is of Brier losses. Source: Clark and West
    (2007), Journal of Econometrics 138, 291-311. The p-value is None where the forecast is the baseline.
    """
    y, m, b = aligned(outcome=outcome, forecast=forecast, baseline=baseline)
    n = y.size
    if horizon < 1 or n <= 2 * horizon + 2:
        raise RequestInvalid(f"{n} rows for horizon {horizon}.", "More than twice as many are needed.", "Score more.")
    f = 2.0 * (y - b) * (m - b)
    centred = f - f.mean()
    if not np.any(np.abs(m - b) > 1e-12 * np.maximum(np.abs(b), 1e-6)) or not np.any(centred):
        return TestResult(NAME, None, None, n - 1, "the forecast is the baseline")
    covariances = np.array([centred[k:] @ centred[: n - k] for k in range(horizon)]) / n
    twice = np.where(np.arange(horizon) == 0, 1.0, 2.0)
    fading = twice * (1.0 - np.arange(horizon) / horizon)
    variance = max(float(twice @ covariances), float(fading @ covariances))
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = float(f.mean()) / math.sqrt(variance / n) * correction
    return TestResult(NAME, statistic, float(special.stdtr(n - 1, -statistic)), n - 1)
