"""What features are computed on: runs of bars that follow each other without a hole."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from forecastle.nouns import Candles, Instrument
from forecastle.sessions import Timeframe, Times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ARRAYS = ("open", "high", "low", "close", "volume", "benchmark", "opened", "closed")


@dataclass(frozen=True)
class Bars:
    """Some bars of one run, arrays of shape (n,).

    ``benchmark`` is the one-bar log return of the benchmark that was known at the close of each bar, NaN where there
    is none. Prices and volumes are finite. A return or a true range of the first bar is NaN: what came before is not
    here.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    benchmark: FloatArray
    opened: Times
    closed: Times
    instrument: Instrument
    timeframe: Timeframe

    def __len__(self) -> int:
        return int(self.close.size)

    def part(self, first: int, after: int | None = None) -> Bars:
        """Return the bars ``first`` to ``after`` - 1, without a copy."""
        cut = {name: getattr(self, name)[first:after] for name in ARRAYS}
        return Bars(**cut, instrument=self.instrument, timeframe=self.timeframe)

    def then(self, later: Bars) -> Bars:
        """Return these bars and those that follow them."""
        both = {name: np.concatenate([getattr(self, name), getattr(later, name)]) for name in ARRAYS}
        return Bars(**both, instrument=self.instrument, timeframe=self.timeframe)

    @cached_property
    def log_return(self) -> FloatArray:
        """Return the one-bar log returns."""
        out = np.empty(len(self))
        out[:1] = np.nan
        logs = np.log(self.close)
        np.subtract(logs[1:], logs[:-1], out=out[1:])
        return out

    @cached_property
    def typical(self) -> FloatArray:
        """Return the typical price, (high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3.0

    @cached_property
    def log_range(self) -> FloatArray:
        """Return ln(high / low)."""
        return np.log(self.high / self.low)


def bars_of(candles: Candles, benchmark: FloatArray) -> Bars:
    """Return the bars of candles; they may hold holes, see :func:`runs`."""
    # copies: of arrays that cannot be written numba would compile a second set of everything
    columns = {name: np.array(candles.frame[name]) for name in ("open", "high", "low", "close", "volume")}
    return Bars(
        **columns, benchmark=benchmark, opened=candles.times("open_time"), closed=candles.times("close_time"),
        instrument=candles.instrument, timeframe=candles.timeframe,
    )  # fmt: skip


def runs(candles: Candles) -> list[tuple[int, int]]:
    """Return (first, after) of each run of rows between which the calendar has no missing bar."""
    missing, opens = candles.missing(), candles.times("open_time")
    if not missing.size:
        return [(0, len(candles))]
    before = np.searchsorted(missing, opens)
    starts = np.flatnonzero(np.diff(before)) + 1
    edges = [0, *starts.tolist(), len(candles)]
    return list(pairwise(edges))


def aligned(benchmark: Candles | None, candles: Candles) -> FloatArray:
    """Return the log return of the benchmark's bar that had closed at each close of ``candles``, NaN where none.

    Where both keep one calendar it is the bar that closes at the same moment; where they do not (a Tokyo stock beside
    New York) the last one within four days.
    """
    closes = candles.times("close_time")
    out = np.full(closes.size, np.nan)
    if benchmark is None or len(benchmark) < 2:
        return out
    returns = benchmark.log_returns()
    if not len(returns):
        return out
    same = benchmark.instrument.calendar == candles.instrument.calendar
    oldest = np.timedelta64(0, "us") if same else np.timedelta64(4, "D")
    place = np.searchsorted(returns.target_time, closes, side="right") - 1
    found = place >= 0
    found[found] &= closes[found] - returns.target_time[place[found]] <= oldest
    out[found] = returns.values[place[found]]
    return out


assert {f.name for f in fields(Bars)} == {*ARRAYS, "instrument", "timeframe"}  # noqa: S101
