"""The bars after a row: where they are, whether one is missing among them, and what the closes did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import Candles
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ahead:
    """Rows at closes of bars: ``at`` is the bar of each row, shape (rows,); the other arrays are those of the bars.

    ``run`` numbers stretches of bars among which none is missing: a label that would reach into another is not made.
    ``one_bar`` are the log returns of the bars, NaN where the bar before is missing.
    """

    at: IntArray
    close: FloatArray
    high: FloatArray
    low: FloatArray
    closed: Times
    run: IntArray
    one_bar: FloatArray

    @classmethod
    def of(cls, candles: Candles, moments: Times) -> Ahead:
        """Find the rows among the bars; raises ``DataInvalid`` where a row is known at a moment no bar closes at."""
        closed, opened = candles.times("close_time"), candles.times("open_time")
        at = np.searchsorted(closed, moments)
        if (at >= closed.size).any() or not np.array_equal(closed[at], moments):
            raise DataInvalid(
                f"Rows of {candles.instrument} are known at moments at which no bar closes.",
                "A label begins at the close its row is known at.", "Make both of the same candles.",
            )  # fmt: skip
        close, high, low = (np.array(candles.frame[name]) for name in ("close", "high", "low"))
        run = np.searchsorted(candles.missing(), opened)
        one_bar = np.full(close.size, np.nan)
        one_bar[1:] = np.where(run[1:] == run[:-1], np.diff(np.log(close)), np.nan)
        return cls(at, close, high, low, closed, run, one_bar)

    def whole(self, horizon: int) -> BoolArray:
        """Return which rows are followed by ``horizon`` bars without a missing one, shape (rows,)."""
        end = self.at + horizon
        inside = end < self.close.size
        return np.asarray(inside & (self.run[np.where(inside, end, 0)] == self.run[self.at]))

    def returns(self, horizon: int) -> FloatArray:
        """Return the log returns over the next bars, NaN where one is missing, shape (rows,)."""
        whole = self.whole(horizon)
        found = np.full(self.at.size, np.nan)
        found[whole] = np.log(self.close[self.at[whole] + horizon] / self.close[self.at[whole]])
        return found

    def known_at(self, horizon: int) -> Times:
        """Return the close of the last of the next bars, NaT where one is missing, shape (rows,)."""
        found = np.full(self.at.size, np.datetime64("NaT", "us"))
        whole = self.whole(horizon)
        found[whole] = self.closed[self.at[whole] + horizon]
        return found

    def trailing_sigma(self, window: int) -> FloatArray:
        """Return the standard deviation (ddof 1) of the last ``window`` one-bar returns known at each row.

        NaN where there are fewer, or a bar is missing among them; shape (rows,).
        """
        found = np.full(self.close.size, np.nan)
        if self.close.size > window:
            parts = np.lib.stride_tricks.sliding_window_view(self.one_bar, window)
            found[window - 1 :] = parts.std(axis=1, ddof=1)
        return np.asarray(found[self.at])


def refuse_horizon(horizon: int) -> None:
    """Raise ``RequestInvalid`` for a horizon below one bar."""
    if horizon < 1:
        raise RequestInvalid(f"The horizon is {horizon} bars.", "A label looks at least one bar ahead.", "Choose 1.")


def refuse_below(name: str, value: float, least: float) -> None:
    """Raise ``RequestInvalid`` where a setting is below what it can be, or no number."""
    if not value >= least:
        raise RequestInvalid(f"{name} is {value}.", f"It has to be {least:g} or more.", "Choose another.")
