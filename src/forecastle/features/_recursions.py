"""Recursions over bars that carry their state on: the same loop builds a history and goes on with it, to the bit.

Each takes arrays of the new bars and a state that it changes in place; a state of zeros is the start of a run. Seeds
are TA-Lib's: an exponential mean starts with the simple mean of its first n values, Wilder's as well. NaN in the input
gives NaN and leaves the state as it was.
"""

from __future__ import annotations

import numpy as np

from forecastle.compiled import compiled
from forecastle.features._bars import FloatArray


@compiled
def ema(x: FloatArray, n: int, skip: int, state: FloatArray) -> FloatArray:
    """Return the exponential mean, alpha = 2 / (n + 1); the first ``skip`` values are passed over. State: 2."""
    out = np.empty(x.size)
    alpha = 2.0 / (n + 1.0)
    count, value = state[0], state[1]
    for i in range(x.size):
        out[i] = np.nan
        if np.isnan(x[i]):
            continue
        count += 1.0
        if count <= skip:
            continue
        if count < skip + n:
            value += x[i]
        elif count == skip + n:
            value = (value + x[i]) / n
            out[i] = value
        else:
            value += alpha * (x[i] - value)
            out[i] = value
    state[0], state[1] = count, value
    return out


@compiled
def ups_and_downs(x: FloatArray, n: int, state: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Wilder's means of the gains and of the losses of ``x``. State: 4."""
    up, down = np.empty(x.size), np.empty(x.size)
    count, before, gain, loss = state[0], state[1], state[2], state[3]
    for i in range(x.size):
        up[i] = down[i] = np.nan
        if count > 0.0:
            change = x[i] - before
            rise, fall = max(change, 0.0), max(-change, 0.0)
            if count <= n:
                gain += rise
                loss += fall
                if count == n:
                    gain /= n
                    loss /= n
            else:
                gain = (gain * (n - 1) + rise) / n
                loss = (loss * (n - 1) + fall) / n
            if count >= n:
                up[i], down[i] = gain, loss
        before = x[i]
        count += 1.0
    state[0], state[1], state[2], state[3] = count, before, gain, loss
    return up, down


@compiled
def atr(high: FloatArray, low: FloatArray, close: FloatArray, n: int, state: FloatArray) -> FloatArray:
    """Return Wilder's mean of the true range; the first bar has none. State: 3."""
    out = np.empty(close.size)
    count, before, value = state[0], state[1], state[2]
    for i in range(close.size):
        out[i] = np.nan
        if count > 0.0:
            true = max(high[i], before) - min(low[i], before)
            if count < n:
                value += true
            elif count == n:
                value = (value + true) / n
            else:
                value = (value * (n - 1) + true) / n
            if count >= n:
                out[i] = value
        before = close[i]
        count += 1.0
    state[0], state[1], state[2] = count, before, value
    return out


@compiled
def directional(
    high: FloatArray, low: FloatArray, close: FloatArray, n: int, state: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ADX, +DI and -DI; Wilder's sums start with n - 1 moves, ADX with the mean of n DX. State: 8."""
    adx, plus, minus = np.empty(close.size), np.empty(close.size), np.empty(close.size)
    count, ph, pl, pc = state[0], state[1], state[2], state[3]
    up, down, true, mean = state[4], state[5], state[6], state[7]
    for i in range(close.size):
        adx[i] = plus[i] = minus[i] = np.nan
        if count > 0.0:
            rise, fall = high[i] - ph, pl - low[i]
            if count >= n:
                up -= up / n
                down -= down / n
                true -= true / n
            up += rise if rise > 0.0 and rise > fall else 0.0
            down += fall if fall > 0.0 and fall > rise else 0.0
            true += max(high[i], pc) - min(low[i], pc)
            if count >= n:
                if true > 0.0:
                    plus[i], minus[i] = 100.0 * up / true, 100.0 * down / true
                both = up + down
                dx = 100.0 * abs(up - down) / both if both > 0.0 else 0.0
                if count < 2 * n:
                    mean += dx
                    if count == 2 * n - 1:
                        mean /= n
                else:
                    mean = (mean * (n - 1) + dx) / n
                if count >= 2 * n - 1:
                    adx[i] = mean
        ph, pl, pc = high[i], low[i], close[i]
        count += 1.0
    state[0], state[1], state[2], state[3] = count, ph, pl, pc
    state[4], state[5], state[6], state[7] = up, down, true, mean
    return adx, plus, minus


@compiled
def on_balance(close: FloatArray, volume: FloatArray, state: FloatArray) -> FloatArray:
    """Return on-balance volume; the first bar of a run counts as a rise. State: 3."""
    out = np.empty(close.size)
    begun, before, value = state[0], state[1], state[2]
    for i in range(close.size):
        if begun == 0.0 or close[i] > before:
            value += volume[i]
        elif close[i] < before:
            value -= volume[i]
        begun, before = 1.0, close[i]
        out[i] = value
    state[0], state[1], state[2] = begun, before, value
    return out


@compiled
def accumulation(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, state: FloatArray
) -> FloatArray:
    """Return the accumulation/distribution line; a bar without a range adds nothing. State: 1."""
    out = np.empty(close.size)
    value = state[0]
    for i in range(close.size):
        width = high[i] - low[i]
        if width > 0.0:
            value += ((close[i] - low[i]) - (high[i] - close[i])) / width * volume[i]
        out[i] = value
    state[0] = value
    return out


@compiled
def first_seeded(x: FloatArray, n: int, state: FloatArray) -> FloatArray:
    """Return the exponential mean that starts with the first value itself, as TA-Lib's ADOSC. State: 2."""
    out = np.empty(x.size)
    alpha = 2.0 / (n + 1.0)
    begun, value = state[0], state[1]
    for i in range(x.size):
        value = x[i] if begun == 0.0 else alpha * x[i] + (1.0 - alpha) * value
        begun = 1.0
        out[i] = value
    state[0], state[1] = begun, value
    return out


@compiled
def adaptive(x: FloatArray, n: int, state: FloatArray) -> FloatArray:
    """Return Kaufman's adaptive mean: smoothing 2 to 30 bars by the efficiency of the last n. State: n + 3."""
    out = np.empty(x.size)
    count, value = state[0], state[1]
    last = state[2:]  # the n + 1 values before, the newest at the end
    fast, slow = 2.0 / 3.0, 2.0 / 31.0
    for i in range(x.size):
        out[i] = np.nan
        if count == n - 1:
            value = x[i]
        elif count >= n:
            way = 0.0
            for j in range(1, n + 1):
                after = x[i] if j == n else last[j + 1]
                way += abs(after - last[j])
            move = x[i] - last[1]
            # TA-Lib compares with the signed move
            efficiency = 1.0 if way <= move or way == 0.0 else abs(move / way)
            smooth = efficiency * (fast - slow) + slow
            value += smooth * smooth * (x[i] - value)
            out[i] = value
        for j in range(n):
            last[j] = last[j + 1]
        last[n] = x[i]
        count += 1.0
    state[0], state[1] = count, value
    return out
