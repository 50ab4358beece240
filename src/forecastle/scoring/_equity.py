"""What a curve of equity was like, in two compiled passes: a sweep asks it a thousand times."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled, inner

FloatArray = npt.NDArray[np.float64]
(MEAN, SPREAD, DOWNSIDE, TOTAL, DRAWDOWN, UNDER_WATER, INVESTED, GROSS, LARGEST, LOWEST) = range(10)


SMALL = 0.0078125
"""A change below which a series of eight terms is the logarithm to the last bit, and quicker."""


@inner
def log_returns(equity: FloatArray, start: float, returns: FloatArray) -> None:
    """Write ``ln(equity / equity of the bar before)``; of small changes from the difference itself, which is exact.

    No branch for a bar, so that a processor does several at a time; the few large changes are done again.
    """
    n, large = equity.size, False
    for i in range(n):
        before = equity[i - 1] if i > 0 else start
        x = (equity[i] - before) / before
        tail = 1.0 / 5.0 - x * (1.0 / 6.0 - x * (1.0 / 7.0 - x * (1.0 / 8.0)))
        returns[i] = x * (1.0 - x * (1.0 / 2.0 - x * (1.0 / 3.0 - x * (1.0 / 4.0 - x * tail))))
        large |= abs(x) >= SMALL
    if large:
        for i in range(n):
            before = equity[i - 1] if i > 0 else start
            if abs((equity[i] - before) / before) >= SMALL:
                returns[i] = math.log(equity[i] / before)


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
    log_returns(equity, start, returns)
    total, below, high, since, longest = 0.0, 0.0, start, 0, 0
    deepest, deepest_high = 1.0, 1.0
    invested, gross_sum, gross_most = 0, 0.0, 0.0
    for i in range(n):
        now, r = equity[i], returns[i]
        total += r
        r = min(r, 0.0)
        below += r * r
        if now >= high:
            high, since = now, 0
        else:
            since += 1
            longest = max(longest, since)
            if now * deepest_high < deepest * high:
                deepest, deepest_high = now, high
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
    found[DOWNSIDE], found[TOTAL], found[DRAWDOWN] = math.sqrt(below / n), total, 1.0 - deepest / deepest_high
    found[UNDER_WATER], found[INVESTED], found[GROSS] = longest, invested / n, gross_sum / n
    found[LARGEST] = gross_most
    return found
