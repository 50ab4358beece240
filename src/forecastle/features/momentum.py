"""Momentum: oscillators of the price and rates of change."""

from __future__ import annotations

import numpy as np
import talib

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Recursive, Windowed, one, ratio
from forecastle.features._recursions import ups_and_downs
from forecastle.features._windows import extremes, lagged, means, sums
from forecastle.features.trend import MURPHY, WILDER

LANE = "Lane, Stocks & Commodities 2:3, 1984"


def _rsi(x: FloatArray, s: FloatArray, n: int) -> FloatArray:
    up, down = ups_and_downs(x, n, s)
    return 100.0 * ratio(up, up + down)


def _cmo(b: Bars, s: FloatArray, n: int) -> Arrays:
    up, down = ups_and_downs(b.close, n, s)
    return (100.0 * ratio(up - down, up + down),)


RSI = Recursive(
    "rsi", "momentum", "Relative strength index of {n} bars", {"": "points"},
    "100 W(gains) / (W(gains) + W(losses)), W Wilder's mean of {n}", WILDER, **one(catalogue=((7,), (14,), (21,))),
    size=lambda n: 4, warm_up=lambda n: n, recursion=lambda b, s, n: (_rsi(b.close, s, n),),
)  # fmt: skip
CMO = Recursive(
    "cmo", "momentum", "Chande momentum oscillator of {n} bars, smoothed as TA-Lib", {"": "points"},
    "100 (W(gains) - W(losses)) / (W(gains) + W(losses))", "Chande, Kroll, The New Technical Trader, 1994",
    **one(catalogue=((14,),)), size=lambda n: 4, warm_up=lambda n: n, recursion=_cmo,
)  # fmt: skip


def _place(close: FloatArray, high: FloatArray, low: FloatArray, n: int) -> FloatArray:
    top, bottom = talib.MAX(high, n), talib.MIN(low, n)
    return ratio(close - bottom, top - bottom)


def _stochrsi(b: Bars, s: FloatArray, n: int, k: int, d: int) -> Arrays:
    fresh = _rsi(b.close, s[:4], n)
    kept = s[4:]  # the values before this part; zeros that never were one are told apart by the count of bars
    before = np.where(np.arange(kept.size)[::-1] < s[0] - fresh.size - n, kept, np.nan)
    values = np.concatenate([before, fresh])
    kept[:] = values[values.size - kept.size :]
    low, high = extremes(values, k)
    fast = 100.0 * ratio(values - low, high - low)
    slow = means(fast, d)
    known = np.where(np.isnan(slow), np.nan, fast)
    return known[kept.size :], slow[kept.size :]


STOCHRSI = Recursive(
    "stochrsi", "momentum", "Stochastic of the RSI", {"k": "points", "d": "points"},
    "k = 100 (R - min(R, {k})) / (max(R, {k}) - min(R, {k})), R = rsi_{n}; d = mean(k, {d})",
    "Chande, Kroll, The New Technical Trader, 1994", ("n", "k", "d"), ((14, 14, 3),), (2, 2, 1),
    size=lambda n, k, d: 4 + k + d - 2, warm_up=lambda n, k, d: n + k + d - 2, recursion=_stochrsi,
)  # fmt: skip


def _stoch(b: Bars, n: int, smooth: int, d: int) -> Arrays:
    k = means(100.0 * _place(b.close, b.high, b.low, n), smooth)
    return k, means(k, d)


STOCH = Windowed(
    "stoch", "momentum", "Slow stochastic oscillator", {"k": "points", "d": "points"},
    "k = mean(100 (C - min L) / (max H - min L) of {n}, {smooth}); d = mean(k, {d})", LANE, ("n", "smooth", "d"),
    ((14, 3, 3),), (2, 1, 1), needs=("range",), lookback=lambda n, s, d: n + s + d - 3, window=_stoch,
)  # fmt: skip
WILLIAMS = Windowed(
    "williams_r", "momentum", "Williams' %R of {n} bars", {"": "points"}, "-100 (max H - C) / (max H - min L)",
    "Williams, How I Made One Million Dollars, 1973", **one(catalogue=((14,),), needs=("range",)),
    lookback=lambda n: n - 1, window=lambda b, n: (100.0 * (_place(b.close, b.high, b.low, n) - 1.0),),
)  # fmt: skip
CCI = Windowed(
    "cci", "momentum", "Commodity channel index of {n} bars", {"": "points"},
    "(P - mean(P, {n})) / (0.015 mean |P - mean|), P typical price", "Lambert, Commodities 9:10, 1980",
    **one(catalogue=((20,),), needs=("range",)),
    lookback=lambda n: n - 1, window=lambda b, n: (_defined(talib.CCI(b.high, b.low, b.close, n), b, n),),
)  # fmt: skip


def _defined(values: FloatArray, b: Bars, n: int) -> FloatArray:
    """Return ``values`` but NaN where no price of the window moved: TA-Lib writes 0 for 0 / 0."""
    return np.where(talib.MAX(b.typical, n) > talib.MIN(b.typical, n), values, np.nan)


ROC = Windowed(
    "roc", "momentum", "Rate of change over {n} bars", {"": "percent"}, "100 (C_t / C_(t-{n}) - 1)", MURPHY,
    **one(catalogue=((10,), (20,)), least=(1,)),
    lookback=lambda n: n, window=lambda b, n: (talib.ROC(b.close, n),),
)  # fmt: skip


def _mfi(b: Bars, n: int) -> Arrays:
    flow, change = b.typical * b.volume, np.diff(b.typical, prepend=np.nan)
    rising = np.where(np.isnan(change), np.nan, np.where(change > 0, flow, 0.0))
    falling = np.where(np.isnan(change), np.nan, np.where(change < 0, flow, 0.0))
    up = sums(rising, n)
    return (100.0 * ratio(up, up + sums(falling, n)),)


MFI = Windowed(
    "mfi", "momentum", "Money flow index of {n} bars", {"": "points"},
    "100 up / (up + down), sums of typical price times volume where it rose, fell",
    "Quong, Soudack, Stocks & Commodities 7:3, 1989", **one(catalogue=((14,),), needs=("range",)),
    lookback=lambda n: n, window=_mfi,
)  # fmt: skip
ULTIMATE = Windowed(
    "ultosc", "momentum", "Ultimate oscillator", {"": "points"},
    "100 (4 A_{short} + 2 A_{middle} + A_{long}) / 7, A = sum(C - min(L, C_(t-1))) / sum TR",
    "Williams, Stocks & Commodities 3:4, 1985", ("short", "middle", "long"), ((7, 14, 28),), (1, 2, 3),
    ascending=True, needs=("range",), lookback=lambda a, m, n: n, window=lambda b, *n: _ultimate(b, *n),
)  # fmt: skip


def _ultimate(b: Bars, short: int, middle: int, long: int) -> Arrays:
    before = lagged(b.close, 1)
    low = np.minimum(b.low, before)
    pressure, true = b.close - low, np.maximum(b.high, before) - low
    parts = [ratio(sums(pressure, n), sums(true, n)) for n in (short, middle, long)]
    return (100.0 * (4.0 * parts[0] + 2.0 * parts[1] + parts[2]) / 7.0,)


BOP = Windowed(
    "bop", "momentum", "Balance of power", {"": "ratio"}, "(C - O) / (H - L)",
    "Livshin, Stocks & Commodities 19:8, 2001", needs=("range",),
    lookback=lambda: 0, window=lambda b: (ratio(b.close - b.open, b.high - b.low),),
)  # fmt: skip
MOMENTUM = Windowed(
    "momentum", "momentum", "Log return from {long} to {skip} bars ago", {"": "log return"},
    "ln(C_(t-{skip}) / C_(t-{long}))", "Jegadeesh, Titman, Journal of Finance 48, 1993", ("skip", "long"),
    ((21, 252),), (0, 1), ascending=True, lookback=lambda s, n: n,
    window=lambda b, s, n: (np.log(lagged(b.close, s) / lagged(b.close, n)),),
)  # fmt: skip
POSITION = Windowed(
    "position", "momentum", "Where the close stands in the range of {n} closes", {"": "share"},
    "(C - min C) / (max C - min C)", LANE, **one(catalogue=((252,),)),
    lookback=lambda n: n - 1, window=lambda b, n: (_place(b.close, b.close, b.close, n),),
)  # fmt: skip
DRAWDOWN = Windowed(
    "drawdown", "momentum", "Log distance below the highest close of {n}", {"": "log return"},
    "ln(C / max(C, {n}))", MURPHY, **one(catalogue=((252,),)),
    lookback=lambda n: n - 1, window=lambda b, n: (np.log(b.close / talib.MAX(b.close, n)),),
)  # fmt: skip
