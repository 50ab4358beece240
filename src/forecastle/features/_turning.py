"""Recursions that turn: stops that follow the price and change sides."""

from __future__ import annotations

import numpy as np

from forecastle.compiled import compiled
from forecastle.features._bars import FloatArray


@compiled
def parabolic(high: FloatArray, low: FloatArray, step: float, most: float, state: FloatArray) -> FloatArray:
    """Return Wilder's parabolic stop and reverse: the stop in force at each bar, seeded as TA-Lib. State: 7."""
    out = np.empty(high.size)
    count, long, stop, extreme = state[0], state[1], state[2], state[3]
    pace, before_high, before_low = state[4], state[5], state[6]
    for i in range(high.size):
        out[i] = np.nan
        hi, lo = high[i], low[i]
        if count == 1.0:
            fall = before_low - lo
            long = 0.0 if fall > 0.0 and hi - before_high < fall else 1.0
            stop, extreme, pace = (before_low, hi, step) if long else (before_high, lo, step)
            before_high, before_low = hi, lo  # TA-Lib takes the second bar for the one before it, too
        if count >= 1.0:
            side = 1.0 if long else -1.0
            near, far = (lo, hi) if long else (hi, lo)  # where the stop is hit, where the trend goes
            if side * (near - stop) <= 0.0:
                long = 1.0 - long
                side = -side
                stop = max(extreme, before_high, hi) if side < 0.0 else min(extreme, before_low, lo)
                out[i] = stop
                extreme, pace = near, step
            else:
                out[i] = stop
                if side * (far - extreme) > 0.0:
                    extreme, pace = far, min(pace + step, most)
            stop += pace * (extreme - stop)
            stop = min(stop, before_low, lo) if side > 0.0 else max(stop, before_high, hi)
        before_high, before_low = hi, lo
        count += 1.0
    state[0], state[1], state[2], state[3] = count, long, stop, extreme
    state[4], state[5], state[6] = pace, before_high, before_low
    return out


@compiled
def supertrend(
    middle: FloatArray, width: FloatArray, close: FloatArray, state: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the supertrend line and its side (1 up, -1 down) from bands ``middle`` +- ``width``. State: 5."""
    line, sides = np.empty(close.size), np.empty(close.size)
    begun, side, upper, lower, before = state[0], state[1], state[2], state[3], state[4]
    for i in range(close.size):
        line[i] = sides[i] = np.nan
        if np.isnan(width[i]):
            continue
        high, low = middle[i] + width[i], middle[i] - width[i]
        if begun == 0.0:
            side, upper, lower = 1.0, high, low
        else:
            upper = high if high < upper or before > upper else upper
            lower = low if low > lower or before < lower else lower
        if side > 0.0 and close[i] < lower:
            side = -1.0
        elif side < 0.0 and close[i] > upper:
            side = 1.0
        line[i], sides[i] = (lower if side > 0.0 else upper), side
        begun, before = 1.0, close[i]
    state[0], state[1], state[2], state[3], state[4] = begun, side, upper, lower, before
    return line, sides
