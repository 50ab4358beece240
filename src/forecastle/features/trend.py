"""Trend: moving averages, their differences, directional movement, stops that follow the price."""

from __future__ import annotations

import numpy as np
import talib

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Recursive, Windowed, one, ratio
from forecastle.features._recursions import adaptive, atr, directional, ema
from forecastle.features._turning import parabolic, supertrend
from forecastle.features._windows import dot, means

MURPHY = "Murphy, Technical Analysis of the Financial Markets, 1999"
WILDER = "Wilder, New Concepts in Technical Trading Systems, 1978"

SMA = Windowed(
    "sma", "trend", "Simple moving average of {n} closes", {"": "price"}, "mean(C, {n})", MURPHY,
    **one(catalogue=((10,), (20,), (50,), (200,))),
    lookback=lambda n: n - 1, window=lambda b, n: (talib.SMA(b.close, n),),
)  # fmt: skip

WMA = Windowed(
    "wma", "trend", "Linearly weighted moving average of {n} closes", {"": "price"},
    "sum_j j C_(t-{n}+j) / sum_j j, j = 1..{n}", MURPHY, **one(catalogue=((20,),)),
    lookback=lambda n: n - 1, window=lambda b, n: (talib.WMA(b.close, n),),
)  # fmt: skip

EMA = Recursive(
    "ema", "trend", "Exponential moving average of {n} closes", {"": "price"},
    "E_t = E_(t-1) + 2/({n}+1) (C_t - E_(t-1)), seed mean of the first {n} closes", MURPHY,
    **one(catalogue=((10,), (20,), (50,), (200,))),
    size=lambda n: 2, warm_up=lambda n: n - 1, recursion=lambda b, s, n: (ema(b.close, n, 0, s),),
)  # fmt: skip


def _dema(b: Bars, s: FloatArray, n: int) -> Arrays:
    first = ema(b.close, n, 0, s[:2])
    return (2.0 * first - ema(first, n, 0, s[2:]),)


def _tema(b: Bars, s: FloatArray, n: int) -> Arrays:
    first = ema(b.close, n, 0, s[:2])
    second = ema(first, n, 0, s[2:4])
    return (3.0 * first - 3.0 * second + ema(second, n, 0, s[4:]),)


def _trix(b: Bars, s: FloatArray, n: int) -> Arrays:
    third = ema(ema(ema(b.close, n, 0, s[:2]), n, 0, s[2:4]), n, 0, s[4:6])
    before = np.concatenate([np.where(s[7:] > 0, s[6:7], np.nan), third[:-1]])
    if third.size and not np.isnan(third[-1]):
        s[6], s[7] = third[-1], 1.0
    return (100.0 * (ratio(third, before) - 1.0),)


DEMA = Recursive(
    "dema", "trend", "Double exponential average of {n} closes", {"": "price"}, "2 E - E(E), E = ema_{n}",
    "Mulloy, Stocks & Commodities 12:1, 1994", **one(catalogue=((20,),)),
    size=lambda n: 4, warm_up=lambda n: 2 * (n - 1), recursion=_dema,
)  # fmt: skip
TEMA = Recursive(
    "tema", "trend", "Triple exponential average of {n} closes", {"": "price"}, "3 E - 3 E(E) + E(E(E)), E = ema_{n}",
    "Mulloy, Stocks & Commodities 12:1, 1994", **one(catalogue=((20,),)),
    size=lambda n: 6, warm_up=lambda n: 3 * (n - 1), recursion=_tema,
)  # fmt: skip
TRIX = Recursive(
    "trix", "trend", "One-bar change of the triple smoothed close, {n} bars", {"": "percent"},
    "100 (T_t / T_(t-1) - 1), T = E(E(E)), E = ema_{n}", MURPHY, **one(catalogue=((15,),)),
    size=lambda n: 8, warm_up=lambda n: 3 * (n - 1) + 1, recursion=_trix,
)  # fmt: skip
KAMA = Recursive(
    "kama", "trend", "Kaufman's adaptive average, efficiency over {n} bars", {"": "price"},
    "K_t = K_(t-1) + (e (2/3 - 2/31) + 2/31)^2 (C_t - K_(t-1)), e = |C_t - C_(t-{n})| / sum |dC|",
    "Kaufman, Smarter Trading, 1995", **one(catalogue=((10,),)),
    size=lambda n: n + 3, warm_up=lambda n: n, recursion=lambda b, s, n: (adaptive(b.close, n, s),),
)  # fmt: skip


def _macd(b: Bars, s: FloatArray, fast: int, slow: int, signal: int) -> Arrays:
    # TA-Lib seeds the fast mean where the slow one is seeded
    line = ema(b.close, fast, slow - fast, s[:2]) - ema(b.close, slow, 0, s[2:4])
    smoothed = ema(line, signal, 0, s[4:])
    known = np.where(np.isnan(smoothed), np.nan, line)
    return known, smoothed, known - smoothed


MACD = Recursive(
    "macd", "trend", "Moving average convergence/divergence", {
        "line": "price", "signal": "price", "histogram": "price"},
    "line = ema_{fast} - ema_{slow}, signal = E(line, {signal}), histogram = line - signal; both means are seeded at "
    "bar {slow}", "Appel, The Moving Average Convergence-Divergence Method, 1979", ("fast", "slow", "signal"),
    ((12, 26, 9),), (2, 3, 2), ascending=True, size=lambda *_: 6, warm_up=lambda f, s, g: s + g - 2, recursion=_macd,
)  # fmt: skip


def _ppo(b: Bars, s: FloatArray, fast: int, slow: int) -> Arrays:
    long = ema(b.close, slow, 0, s[2:])
    return (100.0 * ratio(ema(b.close, fast, 0, s[:2]) - long, long),)


PPO = Recursive(
    "ppo", "trend", "Percentage price oscillator", {"": "percent"}, "100 (ema_{fast} - ema_{slow}) / ema_{slow}",
    MURPHY, ("fast", "slow"), ((12, 26),), (2, 3), ascending=True,
    size=lambda *_: 4, warm_up=lambda f, s: s - 1, recursion=_ppo,
)  # fmt: skip
ADX = Recursive(
    "adx", "trend", "Average directional index and directional indicators of {n} bars",
    {"": "points", "plus_di": "points", "minus_di": "points"},
    "DI = 100 W(DM) / W(TR); ADX = Wilder's mean of 100 |+DI - -DI| / (+DI + -DI)", WILDER,
    **one(catalogue=((14,),), needs=("range",)),
    size=lambda n: 8, warm_up=lambda n: 2 * n - 1,
    recursion=lambda b, s, n: directional(b.high, b.low, b.close, n, s),
)  # fmt: skip
SAR = Recursive(
    "sar", "trend", "Parabolic stop and reverse, 0.02 to 0.2, and the distance of the close",
    {"": "price", "distance": "ratio"},
    "S_(t+1) = S_t + a (EP - S_t), a = 0.02, 0.04 .. 0.2; distance = C / S - 1", WILDER, needs=("range",),
    size=lambda: 7, warm_up=lambda: 1,
    recursion=lambda b, s: _with_distance(b, parabolic(b.high, b.low, 0.02, 0.2, s)),
)  # fmt: skip


def _with_distance(b: Bars, line: FloatArray) -> Arrays:
    return line, ratio(b.close, line) - 1.0


def _supertrend(b: Bars, s: FloatArray, n: int, k: float) -> Arrays:
    width = k * atr(b.high, b.low, b.close, n, s[:3])
    return supertrend((b.high + b.low) / 2.0, width, b.close, s[3:])


SUPERTREND = Recursive(
    "supertrend", "trend", "Supertrend: band of {k} true ranges of {n} bars, and its side",
    {"line": "price", "side": "flag"},
    "(H+L)/2 -+ {k} atr_{n}, ratcheted until the close crosses; side 1 up, -1 down", "Seban, Supertrend, 2009",
    ("n", "k"), ((10, 3),), (2, 0.1), whole=False, needs=("range",),
    size=lambda *_: 8, warm_up=lambda n, k: n, recursion=_supertrend,
)  # fmt: skip


def _aroon(b: Bars, n: int) -> Arrays:
    down, up = talib.AROON(b.high, b.low, n)
    return up, down, up - down


AROON = Windowed(
    "aroon", "trend", "Aroon: bars since the highest high and the lowest low of {n}",
    {"up": "points", "down": "points", "oscillator": "points"}, "100 ({n} - bars since extreme) / {n}",
    "Chande, Stocks & Commodities 13:9, 1995", **one(catalogue=((14,),), needs=("range",)),
    lookback=lambda n: n, window=_aroon,
)  # fmt: skip


def _vortex(b: Bars, n: int) -> Arrays:
    before_high, before_low, before = (np.concatenate([[np.nan], x[:-1]]) for x in (b.high, b.low, b.close))
    weights = np.ones(n)
    true = dot(np.maximum(b.high, before) - np.minimum(b.low, before), weights)
    return (
        ratio(dot(np.abs(b.high - before_low), weights), true),
        ratio(dot(np.abs(b.low - before_high), weights), true),
    )


VORTEX = Windowed(
    "vortex", "trend", "Vortex indicator of {n} bars", {"plus": "ratio", "minus": "ratio"},
    "sum |H_t - L_(t-1)| / sum TR, sum |L_t - H_(t-1)| / sum TR", "Botes, Siepman, Stocks & Commodities 28:1, 2010",
    **one(catalogue=((14,),), needs=("range",)), lookback=lambda n: n, window=_vortex,
)  # fmt: skip


def _slope(b: Bars, n: int) -> Arrays:
    x = np.arange(n) - (n - 1) / 2.0
    logs = np.log(b.close)
    return (dot(logs, x / (x @ x)),)


SLOPE = Windowed(
    "slope", "trend", "Slope of a line through {n} log closes", {"": "log return per bar"},
    "least squares of ln C on time", "least squares", **one(catalogue=((20,),)),
    lookback=lambda n: n - 1, window=_slope,
)  # fmt: skip
SMA_DISTANCE = Windowed(
    "sma_distance", "trend", "Log distance of the close from its mean of {n}", {"": "log return"},
    "ln(C / mean(C, {n}))", MURPHY, **one(catalogue=((20,), (50,), (200,))),
    lookback=lambda n: n - 1, window=lambda b, n: (np.log(b.close / means(b.close, n)),),
)  # fmt: skip


def _cross(b: Bars, fast: int, slow: int) -> Arrays:
    return (np.log(means(b.close, fast) / means(b.close, slow)),)


SMA_CROSS = Windowed(
    "sma_cross", "trend", "Log distance of the mean of {fast} from the mean of {slow}", {"": "log return"},
    "ln(sma_{fast} / sma_{slow})", MURPHY, ("fast", "slow"), ((50, 200),), (2, 3), ascending=True,
    lookback=lambda f, s: s - 1, window=_cross,
)  # fmt: skip
AWESOME = Windowed(
    "awesome", "trend", "Awesome oscillator: mid-prices of {fast} against {slow} bars", {"": "price"},
    "mean((H+L)/2, {fast}) - mean((H+L)/2, {slow})", "Williams, Trading Chaos, 1995", ("fast", "slow"), ((5, 34),),
    (2, 3), ascending=True, needs=("range",), lookback=lambda f, s: s - 1,
    window=lambda b, f, s: (means((b.high + b.low) / 2.0, f) - means((b.high + b.low) / 2.0, s),),
)  # fmt: skip
