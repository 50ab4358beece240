"""What a curve of equity was like, in two compiled passes: a sweep asks it a thousand times."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled

FloatArray = npt.NDArray[np.float64]
(MEAN, SPREAD, DOWNSIDE, TOTAL, DRAWDOWN, UNDER_WATER, INVESTED, GROSS, LARGEST, LOWEST) = range(10)


@compiled
def equity_moments(
    equity: FloatArray, start: float, position: FloatArray, close: FloatArray, returns: FloatArray
) -> FloatArray:
    """Fill ``returns`` (bars,) with the log returns of equity and return their moments.

    Mean, standard deviation (n - 1), root mean square of those below zero, sum, deepest fall from a high (a share of
    it), longest number of bars from a high to the next, share of bars with a position at their close, mean and largest
    gross exposure over equity, lowest equity. Where equity is not above zero the rest is NaN but the last.
    """
    n = equity.size
    found = np.full(10, np.nan)
    found[LOWEST] = equity.min()
    if n == 0 or found[LOWEST] <= 0.0:
        return found
    total, below, high, deepest, since, longest, before = 0.0, 0.0, start, 0.0, 0, 0, start
    invested, gross_sum, gross_most = 0, 0.0, 0.0
    for i in range(n):
        now = equity[i]
        r = 0.0
        if now != before:
            r = math.log(now / before)
            total += r
            if r < 0.0:
                below += r * r
        returns[i] = r
        before = now
        if now >= high:
            high, since = now, 0
        else:
            since += 1
            longest = max(longest, since)
            deepest = min(deepest, now / high - 1.0)
        gross = 0.0
        for j in range(position.shape[1]):
            q = position[i, j]
            if q != 0.0 and close[i, j] == close[i, j]:
                gross += abs(q) * close[i, j]
        if gross > 0.0:
            invested += 1
            share = gross / now
            gross_sum += share
            gross_most = max(gross_most, share)
    mean = total / n
    squares = 0.0
    for i in range(n):
        squares += (returns[i] - mean) ** 2
    found[MEAN], found[SPREAD] = mean, math.sqrt(squares / (n - 1)) if n > 1 else 0.0
    found[DOWNSIDE], found[TOTAL], found[DRAWDOWN] = math.sqrt(below / n), total, abs(deepest)
    found[UNDER_WATER], found[INVESTED], found[GROSS] = longest, invested / n, gross_sum / n
    found[LARGEST] = gross_most
    return found
