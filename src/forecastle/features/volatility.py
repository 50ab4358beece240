"""Volatility: bands around the price, true range, and estimators of sigma; per bar, not annualised."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import talib

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Recursive, Windowed, one, ratio
from forecastle.features._recursions import atr, ema
from forecastle.features._windows import central, deviations, lagged, means
from forecastle.features.trend import WILDER

BOLLINGER_BOOK = "Bollinger, Bollinger on Bollinger Bands, 2001"
SIGMA = "log return per bar"


def _bands(b: Bars, n: int, k: float) -> Arrays:
    middle, width = means(b.close, n), k * deviations(b.close, n)
    return middle + width, middle, middle - width


def _percent_b(b: Bars, n: int, k: float) -> Arrays:
    upper, _, lower = _bands(b, n, k)
    return (ratio(b.close - lower, upper - lower),)


def _bandwidth(b: Bars, n: int, k: float) -> Arrays:
    upper, middle, lower = _bands(b, n, k)
    return (ratio(upper - lower, middle),)


_BAND: dict[str, Any] = {"parameters": ("n", "k"), "catalogue": ((20, 2),), "least": (2, 0.1), "whole": False}
BOLLINGER = Windowed(
    "bollinger", "volatility", "Bollinger bands: mean of {n} closes and {k} standard deviations",
    {"upper": "price", "middle": "price", "lower": "price"}, "mean(C, {n}) +- {k} std(C, {n}), divisor {n}",
    BOLLINGER_BOOK, **_BAND, lookback=lambda n, k: n - 1, window=_bands,
)  # fmt: skip
PERCENT_B = Windowed(
    "percent_b", "volatility", "%B: where the close stands between the Bollinger bands", {"": "share"},
    "(C - lower) / (upper - lower) of bollinger_{n}_{k}", BOLLINGER_BOOK, **_BAND,
    lookback=lambda n, k: n - 1, window=_percent_b,
)  # fmt: skip
BANDWIDTH = Windowed(
    "bandwidth", "volatility", "Width of the Bollinger bands", {"": "ratio"},
    "(upper - lower) / middle of bollinger_{n}_{k}", BOLLINGER_BOOK, **_BAND,
    lookback=lambda n, k: n - 1, window=_bandwidth,
)  # fmt: skip
ATR = Recursive(
    "atr", "volatility", "Average true range of {n} bars", {"": "price"},
    "Wilder's mean of max(H, C_(t-1)) - min(L, C_(t-1))", WILDER, **one(catalogue=((14,),), needs=("range",)),
    size=lambda n: 3, warm_up=lambda n: n, recursion=lambda b, s, n: (atr(b.high, b.low, b.close, n, s),),
)  # fmt: skip
NATR = Recursive(
    "natr", "volatility", "Average true range of {n} bars in percent of the close", {"": "percent"}, "100 atr_{n} / C",
    WILDER, **one(catalogue=((14,),), needs=("range",)), size=lambda n: 3, warm_up=lambda n: n,
    recursion=lambda b, s, n: (100.0 * atr(b.high, b.low, b.close, n, s) / b.close,),
)  # fmt: skip


def _keltner(b: Bars, s: FloatArray, n: int, a: int, k: float) -> Arrays:
    middle, width = ema(b.close, n, 0, s[:2]), k * atr(b.high, b.low, b.close, a, s[2:])
    return middle + width, middle, middle - width


KELTNER = Recursive(
    "keltner", "volatility", "Keltner channel: exponential mean of {n} closes and {k} true ranges of {a} bars",
    {"upper": "price", "middle": "price", "lower": "price"}, "ema_{n} +- {k} atr_{a}",
    "Keltner, How to Make Money in Commodities, 1960; with true ranges by Raschke", ("n", "a", "k"), ((20, 10, 2),),
    (2, 2, 0.1), whole=False, needs=("range",), size=lambda *_: 5, warm_up=lambda n, a, k: max(n - 1, a),
    recursion=_keltner,
)  # fmt: skip


def _donchian(b: Bars, n: int) -> Arrays:
    upper, lower = talib.MAX(b.high, n), talib.MIN(b.low, n)
    return upper, (upper + lower) / 2.0, lower


DONCHIAN = Windowed(
    "donchian", "volatility", "Donchian channel: highest high and lowest low of {n} bars, this one included",
    {"upper": "price", "middle": "price", "lower": "price"}, "max(H, {n}), their mean, min(L, {n})",
    "Donchian, Commodity Year Book, 1960", **one(catalogue=((20,),), needs=("range",)),
    lookback=lambda n: n - 1, window=_donchian,
)  # fmt: skip


def _choppiness(b: Bars, n: int) -> Arrays:
    before = lagged(b.close, 1)
    true = np.maximum(b.high, before) - np.minimum(b.low, before)
    width = talib.MAX(b.high, n) - talib.MIN(b.low, n)
    way = ratio(n * means(true, n), width)
    return (100.0 * np.log10(way) / math.log10(n),)


CHOPPINESS = Windowed(
    "choppiness", "volatility", "Choppiness index of {n} bars", {"": "points"},
    "100 log10(sum TR / (max H - min L)) / log10 {n}", "Dreiss, Futures, 1993",
    **one(catalogue=((14,),), needs=("range",)), lookback=lambda n: n, window=_choppiness,
)  # fmt: skip
REALIZED = Windowed(
    "realized_volatility", "volatility", "Root of the mean squared return of {n} bars", {"": SIGMA},
    "sqrt(mean(r^2, {n}))", "Andersen, Bollerslev, International Economic Review 39, 1998",
    **one(catalogue=((5,), (20,), (60,)), least=(1,)), lookback=lambda n: n,
    window=lambda b, n: (np.sqrt(means(np.square(b.log_return), n)),),
)  # fmt: skip
CLOSE_VOLATILITY = Windowed(
    "close_volatility", "volatility", "Standard deviation of {n} returns, divisor {n} - 1", {"": SIGMA},
    "std(r, {n})", "sample standard deviation", **one(catalogue=((20,),)), lookback=lambda n: n,
    window=lambda b, n: (np.sqrt(central(b.log_return, n, 2) * (n / (n - 1.0))),),
)  # fmt: skip
PARKINSON = Windowed(
    "parkinson", "volatility", "Parkinson's sigma from {n} ranges", {"": SIGMA},
    "sqrt(mean(ln(H/L)^2, {n}) / (4 ln 2))", "Parkinson, Journal of Business 53, 1980",
    **one(catalogue=((20,),), least=(1,), needs=("range",)), lookback=lambda n: n - 1,
    window=lambda b, n: (np.sqrt(means(np.square(b.log_range), n) / (4.0 * math.log(2.0))),),
)  # fmt: skip


def _garman_klass(b: Bars, n: int) -> Arrays:
    body = np.log(b.close / b.open)
    daily = 0.5 * np.square(b.log_range) - (2.0 * math.log(2.0) - 1.0) * np.square(body)
    return (np.sqrt(np.maximum(means(daily, n), 0.0)),)


def _up_down(b: Bars) -> FloatArray:
    up, down, body = np.log(b.high / b.open), np.log(b.low / b.open), np.log(b.close / b.open)
    out: FloatArray = up * (up - body) + down * (down - body)
    return out


def _yang_zhang(b: Bars, n: int) -> Arrays:
    overnight, body = np.log(b.open / lagged(b.close, 1)), np.log(b.close / b.open)
    k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    scale = n / (n - 1.0)
    spread = scale * (central(overnight, n, 2) + k * central(body, n, 2))
    return (np.sqrt(np.maximum(spread + (1.0 - k) * means(_up_down(b), n), 0.0)),)


GARMAN_KLASS = Windowed(
    "garman_klass", "volatility", "Garman and Klass's sigma from {n} bars", {"": SIGMA},
    "sqrt(mean(0.5 ln(H/L)^2 - (2 ln 2 - 1) ln(C/O)^2, {n})), not below 0",
    "Garman, Klass, Journal of Business 53, 1980", **one(catalogue=((20,),), least=(1,), needs=("range",)),
    lookback=lambda n: n - 1, window=_garman_klass,
)  # fmt: skip
ROGERS_SATCHELL = Windowed(
    "rogers_satchell", "volatility", "Rogers and Satchell's sigma from {n} bars", {"": SIGMA},
    "sqrt(mean(u (u - c) + d (d - c), {n})), u, d, c = ln of H, L, C over O",
    "Rogers, Satchell, Annals of Applied Probability 1, 1991", **one(catalogue=((20,),), least=(1,), needs=("range",)),
    lookback=lambda n: n - 1, window=lambda b, n: (np.sqrt(np.maximum(means(_up_down(b), n), 0.0)),),
)  # fmt: skip
YANG_ZHANG = Windowed(
    "yang_zhang", "volatility", "Yang and Zhang's sigma from {n} bars", {"": SIGMA},
    "sqrt(var(ln O/C_(t-1)) + k var(ln C/O) + (1 - k) RS), k = 0.34 / (1.34 + ({n}+1)/({n}-1))",
    "Yang, Zhang, Journal of Business 73, 2000", **one(catalogue=((20,),), needs=("range",)),
    lookback=lambda n: n, window=_yang_zhang,
)  # fmt: skip


def _ratio_of_sigmas(b: Bars, fast: int, slow: int) -> Arrays:
    squares = np.square(b.log_return)
    return (np.sqrt(ratio(means(squares, fast), means(squares, slow))),)


VOLATILITY_RATIO = Windowed(
    "volatility_ratio", "volatility", "Realised volatility of {fast} bars over that of {slow}", {"": "ratio"},
    "realized_volatility_{fast} / realized_volatility_{slow}", "Andersen, Bollerslev 1998", ("fast", "slow"),
    ((5, 60),), (1, 2), ascending=True, lookback=lambda f, s: s, window=_ratio_of_sigmas,
)  # fmt: skip
