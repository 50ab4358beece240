"""Returns and the shape of their distribution; natural logs in decimals unless the name says simple."""

from __future__ import annotations

import numpy as np
import talib

from forecastle.features._bars import Bars
from forecastle.features._definition import Arrays, Windowed, one, ratio
from forecastle.features._windows import central, covariance, lagged

LOG_RETURN = Windowed(
    "log_return", "returns", "Log return over {n} bars", {"": "log return"}, "ln(C_t / C_(t-{n}))", "definition",
    **one(catalogue=((1,), (2,), (5,), (10,), (20,)), least=(1,)), lookback=lambda n: n,
    window=lambda b, n: (np.log(b.close / lagged(b.close, n)),),
)  # fmt: skip
SIMPLE_RETURN = Windowed(
    "simple_return", "returns", "Simple return over {n} bars", {"": "share"}, "C_t / C_(t-{n}) - 1", "definition",
    **one(catalogue=((1,),), least=(1,)), lookback=lambda n: n, window=lambda b, n: (talib.ROCP(b.close, n),),
)  # fmt: skip
OVERNIGHT = Windowed(
    "overnight_return", "returns", "Log return from the last close to this open", {"": "log return"},
    "ln(O_t / C_(t-1))", "definition", needs=("range",), lookback=lambda: 1,
    window=lambda b: (np.log(b.open / lagged(b.close, 1)),),
)  # fmt: skip
BODY = Windowed(
    "body", "returns", "Log return from open to close, and the shadows of the bar",
    {"": "log return", "upper": "log return", "lower": "log return"},
    "ln(C/O), ln(H / max(O, C)), ln(min(O, C) / L)", "Nison, Japanese Candlestick Charting Techniques, 1991",
    needs=("range",), lookback=lambda: 0, window=lambda b: _shape(b),
)  # fmt: skip


def _shape(b: Bars) -> Arrays:
    top, bottom = np.maximum(b.open, b.close), np.minimum(b.open, b.close)
    return np.log(b.close / b.open), np.log(b.high / top), np.log(bottom / b.low)


def _standardised(b: Bars, n: int, power: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    variance = central(b.log_return, n, 2)
    # a window whose returns are all the same leaves a rounding of zero, and no shape
    still = variance <= (1e-14 * np.maximum(np.abs(b.log_return), 1e-300)) ** 2
    return np.where(still, np.nan, ratio(central(b.log_return, n, power), variance ** (power / 2.0)))


SKEW = Windowed(
    "skew", "returns", "Skewness of {n} returns", {"": "ratio"}, "m3 / m2^1.5 of r, central moments with divisor {n}",
    "Fisher's g1", **one(catalogue=((60,),), least=(3,)), lookback=lambda n: n,
    window=lambda b, n: (_standardised(b, n, 3),),
)  # fmt: skip
KURTOSIS = Windowed(
    "kurtosis", "returns", "Excess kurtosis of {n} returns", {"": "ratio"},
    "m4 / m2^2 - 3 of r, central moments with divisor {n}", "Fisher's g2", **one(catalogue=((60,),), least=(4,)),
    lookback=lambda n: n, window=lambda b, n: (_standardised(b, n, 4) - 3.0,),
)  # fmt: skip


def _autocorrelation(b: Bars, n: int) -> Arrays:
    now, before = b.log_return, lagged(b.log_return, 1)
    both = covariance(now, before, n)
    return (ratio(both, np.sqrt(central(now, n, 2) * central(before, n, 2))),)


AUTOCORRELATION = Windowed(
    "autocorrelation", "returns", "Correlation of {n} returns with those one bar before", {"": "ratio"},
    "corr(r_t, r_(t-1)) over {n} pairs", "Pearson's correlation", **one(catalogue=((60,),), least=(3,)),
    lookback=lambda n: n + 1, window=_autocorrelation,
)  # fmt: skip
