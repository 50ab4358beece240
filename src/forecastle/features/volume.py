"""Volume and liquidity: flows, volume-weighted prices, what a trade costs and moves."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Recursive, Windowed, one, ratio
from forecastle.features._recursions import accumulation, ema, first_seeded, on_balance
from forecastle.features._windows import central, lagged, means, sums
from forecastle.features.trend import MURPHY

CHAIKIN = "Chaikin, in Murphy 1999"
MILLION = 1e6

OBV = Recursive(
    "obv", "volume", "On-balance volume since the last hole", {"": "volume"},
    "V_t added where C rises, taken off where it falls, from the first bar's volume on",
    "Granville, New Key to Stock Market Profits, 1963", size=lambda: 3,
    recursion=lambda b, s: (on_balance(b.close, b.volume, s),),
)  # fmt: skip
AD = Recursive(
    "ad", "volume", "Accumulation/distribution line since the last hole", {"": "volume"},
    "sum ((C - L) - (H - C)) / (H - L) V", CHAIKIN, needs=("range",), size=lambda: 1,
    recursion=lambda b, s: (accumulation(b.high, b.low, b.close, b.volume, s),),
)  # fmt: skip


def _adosc(b: Bars, s: FloatArray, fast: int, slow: int) -> Arrays:
    line = accumulation(b.high, b.low, b.close, b.volume, s[:1])
    out = first_seeded(line, fast, s[1:3]) - first_seeded(line, slow, s[3:5])
    early = max(0, slow - 1 - int(s[5]))
    out[:early] = np.nan
    s[5] += len(b)
    return (out,)


ADOSC = Recursive(
    "adosc", "volume", "Chaikin oscillator", {"": "volume"},
    "E(ad, {fast}) - E(ad, {slow}), seeded with the first value", CHAIKIN, ("fast", "slow"), ((3, 10),), (2, 3),
    ascending=True, needs=("range",), size=lambda *_: 6, warm_up=lambda f, s: s - 1, recursion=_adosc,
)  # fmt: skip


def _force(b: Bars, s: FloatArray, n: int) -> Arrays:
    before = np.concatenate([np.where(s[3:4] > 0, s[2:3], np.nan), b.close[:-1]])
    s[2], s[3] = b.close[-1], 1.0
    return (ema((b.close - before) * b.volume, n, 0, s[:2]),)


FORCE = Recursive(
    "force", "volume", "Elder's force index of {n} bars", {"": "price volume"}, "E((C_t - C_(t-1)) V, {n})",
    "Elder, Trading for a Living, 1993", **one(catalogue=((13,),)), size=lambda n: 4, warm_up=lambda n: n,
    recursion=_force,
)  # fmt: skip


def _cmf(b: Bars, n: int) -> Arrays:
    where = np.where(b.high > b.low, ratio((b.close - b.low) - (b.high - b.close), b.high - b.low), 0.0)
    return (ratio(sums(where * b.volume, n), sums(b.volume, n)),)


CMF = Windowed(
    "cmf", "volume", "Chaikin money flow of {n} bars", {"": "share"},
    "sum(((C - L) - (H - C)) / (H - L) V) / sum V", CHAIKIN, **one(catalogue=((20,),), needs=("range",)),
    lookback=lambda n: n - 1, window=_cmf,
)  # fmt: skip


def _vwap(b: Bars, n: int) -> Arrays:
    price = ratio(sums(b.typical * b.volume, n), sums(b.volume, n))
    return price, np.log(b.close / price)


VWAP = Windowed(
    "vwap", "volume", "Volume-weighted average price of {n} bars, and the distance of the close",
    {"": "price", "distance": "log return"}, "sum(P V) / sum V, P typical price; ln(C / vwap)",
    "Berkowitz, Logue, Noser, Journal of Finance 43, 1988", **one(catalogue=((20,),), least=(1,)),
    lookback=lambda n: n - 1, window=_vwap,
)  # fmt: skip


def _zscore(b: Bars, n: int) -> Arrays:
    return (ratio(b.volume - means(b.volume, n), np.sqrt(central(b.volume, n, 2))),)


VOLUME_Z = Windowed(
    "volume_z", "volume", "Volume in standard deviations from its mean of {n} bars", {"": "standard deviations"},
    "(V - mean(V, {n})) / std(V, {n}), divisor {n}", "standard score", **one(catalogue=((20,),)),
    lookback=lambda n: n - 1, window=_zscore,
)  # fmt: skip
VOLUME_RATIO = Windowed(
    "volume_ratio", "volume", "Volume over its mean of {n} bars", {"": "ratio"}, "V / mean(V, {n})", MURPHY,
    **one(catalogue=((20,),)), lookback=lambda n: n - 1, window=lambda b, n: (ratio(b.volume, means(b.volume, n)),),
)  # fmt: skip


def _mean_of_known(x: FloatArray, known: FloatArray, n: int) -> FloatArray:
    """Return the mean of those rows of each window where ``known`` is 1; NaN where there is none."""
    return ratio(sums(np.where(known > 0, x, 0.0), n), sums(known, n))


def _amihud(b: Bars, n: int) -> Arrays:
    traded = b.close * b.volume
    moved = MILLION * ratio(np.abs(b.log_return), traded)
    moved[:1] = 0.0  # has no return; row n is the first with a value
    return (_mean_of_known(moved, (traded > 0).astype(np.float64), n),)


AMIHUD = Windowed(
    "amihud", "volume", "Amihud's illiquidity of {n} bars", {"": "log return per million of quote currency"},
    "mean(|r| / (C V), {n}) 1e6, bars without volume left out", "Amihud, Journal of Financial Markets 5, 2002",
    **one(catalogue=((20,),), least=(1,)), lookback=lambda n: n, window=_amihud,
)  # fmt: skip


def _corwin_schultz(b: Bars, n: int) -> Arrays:
    before_close = lagged(b.close, 1)
    # the paper's way with gaps over night: a day that opens outside the close before is moved onto it
    moved = np.where(
        b.low > before_close, b.low - before_close, np.where(b.high < before_close, b.high - before_close, 0.0)
    )
    high, low = b.high - moved, b.low - moved
    before_high, before_low = lagged(b.high, 1), lagged(b.low, 1)
    beta = np.square(np.log(high / low)) + np.square(np.log(before_high / before_low))
    gamma = np.square(np.log(np.maximum(high, before_high) / np.minimum(low, before_low)))
    root = 3.0 - 2.0 * math.sqrt(2.0)
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / root - np.sqrt(gamma / root)
    spread = np.where(np.isnan(alpha), np.nan, np.maximum(2.0 * np.tanh(alpha / 2.0), 0.0))
    return (means(spread, n),)


CORWIN_SCHULTZ = Windowed(
    "corwin_schultz", "volume", "Corwin and Schultz's spread from highs and lows, mean of {n}",
    {"": "share of the price"},
    "2 (e^a - 1) / (1 + e^a), a = (sqrt(2 b) - sqrt(b)) / (3 - 2 sqrt 2) - sqrt(g / (3 - 2 sqrt 2)); negative ones 0",
    "Corwin, Schultz, Journal of Finance 67, 2012", **one(catalogue=((20,),), least=(1,), needs=("range",)),
    lookback=lambda n: n, window=_corwin_schultz,
)  # fmt: skip


def _roll(b: Bars, n: int) -> Arrays:
    change = np.diff(b.close, prepend=np.nan)
    before = lagged(change, 1)
    covered = means(change * before, n) - means(change, n) * means(before, n)
    return (2.0 * np.sqrt(np.maximum(-covered, 0.0)) / b.close,)


ROLL = Windowed(
    "roll_spread", "volume", "Roll's spread from {n} price changes", {"": "share of the price"},
    "2 sqrt(max(-cov(dC_t, dC_(t-1)), 0)) / C", "Roll, Journal of Finance 39, 1984", **one(catalogue=((20,),)),
    lookback=lambda n: n + 1, window=_roll,
)  # fmt: skip


def _session_vwap(b: Bars, s: FloatArray) -> Arrays:
    """Anchor at each session's first bar: a day of UTC, or of the market."""
    # a bar belongs to the day of its close less a moment: midnight ends a day, and Sydney opens the evening before
    day = (b.closed - np.timedelta64(1, "us")).astype("datetime64[D]").astype(np.float64)
    first = np.flatnonzero(np.diff(day, prepend=s[0]) != 0.0)
    starts = np.concatenate([[0], first[first > 0], [day.size]])
    money, volume = np.empty(day.size), np.empty(day.size)
    for begin, end in pairwise(starts):
        kept = s[1:3] if begin == 0 and day.size and day[0] == s[0] else np.zeros(2)
        money[begin:end] = np.cumsum(np.concatenate([kept[:1], b.typical[begin:end] * b.volume[begin:end]]))[1:]
        volume[begin:end] = np.cumsum(np.concatenate([kept[1:], b.volume[begin:end]]))[1:]
    s[:3] = day[-1], money[-1], volume[-1]
    price = ratio(money, volume)
    return price, np.log(b.close / price)


SESSION_VWAP = Recursive(
    "session_vwap", "volume", "Volume-weighted average price since the session began, and the distance of the close",
    {"": "price", "distance": "log return"}, "sum(P V) / sum V from the first bar of the day of the close on",
    "Berkowitz, Logue, Noser, Journal of Finance 43, 1988", size=lambda: 3, recursion=_session_vwap,
)  # fmt: skip
