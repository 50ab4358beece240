"""Log prices of candles with what counts as an ordinary move in them: known before the bar, never from after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from forecastle.nouns import Candles
from forecastle.sessions import Times, step_of

FloatArray = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

WINDOW = 250
"""Bars before a bar that say what is ordinary there."""
_FEWEST = 5
_NORMAL_90 = 1.645
"""The 90 % quantile of the absolute value of a standard normal number."""
_UNKNOWN = {"pair": 0.05, "perpetual": 0.05, "stock": 0.02, "index": 0.01}
"""The ordinary move of a bar (log return) where too few bars came before, as of daily bars."""
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class Track:
    """Arrays of shape (n,): logs of the four prices, and the volume."""

    candles: Candles

    def _log(self, column: str) -> FloatArray:
        return np.asarray(np.log(self.candles.frame[column].to_numpy()))

    @cached_property
    def open(self) -> FloatArray:
        """Return the logs of the opens; those of the closes before where only closes are known."""
        return self._log("open") if self.candles.prices == "ohlc" else self.before

    @cached_property
    def high(self) -> FloatArray:
        """Return the logs of the highs."""
        return self._log("high")

    @cached_property
    def low(self) -> FloatArray:
        """Return the logs of the lows."""
        return self._log("low")

    @cached_property
    def close(self) -> FloatArray:
        """Return the logs of the closes."""
        return self._log("close")

    @cached_property
    def before(self) -> FloatArray:
        """Return the log of the close before each bar; the first bar has its own."""
        return np.concatenate([self.close[:1], self.close[:-1]])

    @cached_property
    def after(self) -> FloatArray:
        """Return the log of the price after each bar: the next open, or close; the last bar has its own close."""
        following = self.open if self.candles.prices == "ohlc" else self.close
        return np.concatenate([following[1:], self.close[-1:]])

    @cached_property
    def gap(self) -> FloatArray:
        """Return the log return from the close before to the open; where only closes are known, to the close.

        The first bar has none before it: 0.
        """
        first = self.open if self.candles.prices == "ohlc" else self.close
        return np.concatenate([np.zeros(1), (first - self.before)[1:]])

    @cached_property
    def volume(self) -> FloatArray:
        """Return the volumes."""
        return self.candles.frame["volume"].to_numpy()

    @cached_property
    def times(self) -> Times:
        """Return the opens."""
        return self.candles.times("open_time")

    @cached_property
    def rest(self) -> FloatArray:
        """Return the time without a bar before each bar, in steps of the calendar's kind: 0 where bars adjoin.

        For an exchange nights and weekends do not count: up to four days between two bars are none.
        """
        ends = self.candles.times("close_time")
        empty = np.r_[np.timedelta64(0, "us"), self.times[1:] - ends[:-1]]
        if self.candles.instrument.always_open:
            step = step_of(self.candles.timeframe) or 30 * _DAY
            return np.asarray(empty / step)
        return np.asarray(np.maximum(empty / _DAY - 4.0, 0.0))

    def ordinary(self, places: Places) -> FloatArray:
        """Return the ordinary move (a standard deviation of log returns) up to the bar before each of ``places``.

        It is the trailing 90 % quantile of the absolute returns over that of a normal number: one wild bar in ten does
        not move it. A rest makes it wider by the root of its length.
        """
        returns = np.abs(self.close - self.before)
        typical = np.array([self._quantile(returns[max(1, p - WINDOW) : p]) for p in places])
        return np.asarray(typical * np.sqrt(1.0 + self.rest[places]))

    def _quantile(self, trailing: FloatArray) -> float:
        if trailing.size < _FEWEST:
            return _UNKNOWN[self.candles.instrument.kind]
        return max(float(np.quantile(trailing, 0.9)) / _NORMAL_90, 1e-4)

    def surge(self, places: Places) -> FloatArray:
        """Return the volume over the median volume of the 60 bars before; NaN where there is none to compare."""
        return np.array([_over_median(self.volume[max(0, p - 60) : p], self.volume[p]) for p in places])


def _over_median(trailing: FloatArray, value: float) -> float:
    usual = float(np.median(trailing)) if trailing.size else 0.0
    return value / usual if usual > 0 and value > 0 else float("nan")
