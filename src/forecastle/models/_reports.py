"""When a company's report is due: days that stood out a quarter, two, three and four before the bar to come.

Companies report every 13 weeks, mostly on the same weekday, and the day after is several times as volatile as others.
No calendar of reports is needed: a jump over night and heavy trading show the days, and they come back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.models.realized import opening_gap, trailing_mean
from forecastle.nouns import Candles
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_QUARTER, _QUARTERS = 91, (1, 2, 3, 4)
"""Days of 13 weeks, and how many of them are looked back."""
_MONTH = 22
_RECENT = 41
"""Bars after a report within which no other is due."""
_LEAST, _MOST = -2.0, 4.0


def report_terms(candles: Candles, coming: Times) -> dict[str, FloatArray]:
    """Return the regressors at the close of each of n daily bars, by name, shape (n,), of the bar that closes next.

    ``coming`` are the closes of the next bars (n,). ``report_day`` is the mean surprise of the days 13, 26, 39 and 52
    weeks before the coming one; ``report_year`` that of 52 weeks before or of a day beside it, the largest; NaN where
    nothing is known of them. ``report_recent`` is the largest of the last 41 bars.
    """
    surprise = surprises(candles)
    day, target = _days(candles.times("close_time")), _days(coming)
    quarters = np.array([_at(day, surprise, target - _QUARTER * k) for k in _QUARTERS])
    year = [_at(day, surprise, target - _QUARTER * _QUARTERS[-1] + shift) for shift in (-1, 0, 1)]
    padded = np.r_[np.full(_RECENT - 1, -np.inf), surprise]
    recent = np.lib.stride_tricks.sliding_window_view(padded, _RECENT).max(axis=1)
    return {"report_day": _mean(quarters), "report_year": np.fmax.reduce(year), "report_recent": recent}


def surprises(candles: Candles) -> FloatArray:
    """Return how far each bar stood out, shape (n,), 0 where nothing is known; the same in any scale.

    The log of its turnover over the mean of the 22 bars before, between -2 and 4, and ``ln(1 + gap^2 / range^2)``, at
    most 4, with the opening gap and the mean squared range of the 22 bars before.
    """
    high, low, close, volume = (candles.frame[c].to_numpy() for c in ("high", "low", "close", "volume"))
    turnover = np.where(volume > 0, close * volume, np.nan)
    ranges = np.log(high / low) ** 2
    gap = opening_gap(candles) ** 2 if candles.prices == "ohlc" else np.full(close.size, np.nan)
    traded = np.log(_over_usual(turnover, turnover))
    jumped = np.log1p(_over_usual(gap, ranges))
    return np.asarray(
        np.clip(np.nan_to_num(traded), _LEAST, _MOST) + np.minimum(np.nan_to_num(jumped), _MOST), dtype=np.float64
    )


def _over_usual(values: FloatArray, usual: FloatArray) -> FloatArray:
    """Return each value over the mean of ``usual`` over the month before it; NaN where that is not positive."""
    before = np.r_[np.nan, trailing_mean(usual, _MONTH)[:-1]]
    ratio = np.full(values.size, np.nan)
    np.divide(values, before, out=ratio, where=before > 0)
    return ratio


def _at(day: IntArray, values: FloatArray, wanted: IntArray) -> FloatArray:
    """Return the value of the bar of each wanted day, NaN where there is none or it is not before the row's own."""
    place = np.minimum(np.searchsorted(day, wanted), day.size - 1)
    return np.where((day[place] == wanted) & (wanted < day), values[place], np.nan)


def _mean(values: FloatArray) -> FloatArray:
    """Return the mean down each column of what is known, NaN where nothing is."""
    count = np.isfinite(values).sum(axis=0)
    mean = np.full(count.size, np.nan)
    np.divide(np.nansum(values, axis=0), count, out=mean, where=count > 0)
    return mean


def _days(closes: Times) -> IntArray:
    return closes.astype("datetime64[D]").astype(np.int64)
