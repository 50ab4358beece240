"""Ichimoku: five lines, each as it is known at the close of the bar.

The cloud is drawn ``slow`` bars ahead of the bar it is computed from. What is drawn ahead is known now:
``span_a_ahead`` and ``span_b_ahead`` are the cloud of the bars to come, ``span_a`` and ``span_b`` the cloud this bar
stands in, which was computed ``slow`` bars ago. The lagging line is this close drawn ``slow`` bars back: its newest
point is this close, and ``lagging_gap`` compares it with the price it is drawn over. Charts that draw it show the
future to whoever reads a bar in the middle; no column here does.
"""

from __future__ import annotations

import numpy as np
import talib

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Windowed
from forecastle.features._windows import lagged


def _middle(b: Bars, n: int) -> FloatArray:
    out: FloatArray = (talib.MAX(b.high, n) + talib.MIN(b.low, n)) / 2.0
    return out


def _lines(b: Bars, fast: int, slow: int, long: int) -> Arrays:
    conversion, base = _middle(b, fast), _middle(b, slow)
    ahead_a, ahead_b = (conversion + base) / 2.0, _middle(b, long)
    here_a, here_b = lagged(ahead_a, slow), lagged(ahead_b, slow)
    gap = np.log(b.close / lagged(b.close, slow))
    return conversion, base, here_a, here_b, ahead_a, ahead_b, b.close.copy(), gap


ICHIMOKU = Windowed(
    "ichimoku", "ichimoku", "Ichimoku's five lines, the cloud displaced by {slow} bars",
    {"conversion": "price", "base": "price", "span_a": "price", "span_b": "price", "span_a_ahead": "price",
     "span_b_ahead": "price", "lagging": "price", "lagging_gap": "log return"},
    "conversion, base, span_b_ahead = (max H + min L) / 2 of {fast}, {slow}, {long} bars; span_a_ahead = (conversion + "
    "base) / 2; span_a, span_b the same {slow} bars ago; lagging = C; lagging_gap = ln(C_t / C_(t-{slow}))",
    "Hosoda, Ichimoku Kinko Hyo, 1969; Elliott, Ichimoku Charts, 2007", ("fast", "slow", "long"), ((9, 26, 52),),
    (2, 3, 4), ascending=True, needs=("range",), lookback=lambda f, s, n: n - 1 + s, begins=lambda f, s, n: f - 1,
    window=_lines,
)  # fmt: skip
