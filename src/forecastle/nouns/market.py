"""A market as the engine sees it: bars of one or many instruments on one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid, DataMissing
from forecastle.nouns.candles import Candles
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_NAMES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, eq=False)
class Market:
    """Prices in the quote currency and volumes, each of shape (bars, instruments), C order; NaN where ``absent``.

    ``close_time`` (bars,) is when a bar may be used, ascending; ``open_time`` (bars,) when it began; ``day_end``
    (bars,) whether it is the last of its day or session. Raises ``DataInvalid`` for prices that are not positive and
    finite, a high below the low, a body outside the range, negative volume, or times out of order.
    """

    names: tuple[str, ...]
    open_time: Times
    close_time: Times
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    present: BoolArray
    day_end: BoolArray

    def __post_init__(self) -> None:
        shape = (self.close_time.size, len(self.names))
        for name in (*_NAMES, "present"):
            if getattr(self, name).shape != shape:
                raise DataInvalid(
                    f"{name} has the shape {getattr(self, name).shape}.", f"It takes {shape}: bars, instruments.",
                    "Give every instrument the same line of time.",
                )  # fmt: skip
        if shape[0] > 1 and not bool((np.diff(self.close_time) > np.timedelta64(0, "us")).all()):
            row = int(np.argmax(np.diff(self.close_time) <= np.timedelta64(0, "us"))) + 1
            raise DataInvalid(
                f"Bar {row} closes at {self.close_time[row]}, not after the bar before it.",
                "Bars have to be sorted and each there once.", "Sort them by close_time.",
            )  # fmt: skip
        self._check_prices()

    def _check_prices(self) -> None:
        here = self.present
        with np.errstate(invalid="ignore"):
            good = (self.low > 0) & np.isfinite(self.high) & (self.low <= self.open) & (self.open <= self.high)
            good &= (self.low <= self.close) & (self.close <= self.high) & (self.volume >= 0)
        bad = here & ~good
        if bad.any():
            row, column = (int(i[0]) for i in np.nonzero(bad))
            values = ", ".join(f"{name} {getattr(self, name)[row, column]:g}" for name in _NAMES)
            raise DataInvalid(
                f"Bar {row} of {self.names[column]} ({self.close_time[row]}) is no candle: {values}.",
                "Prices are positive and finite, low <= open, close <= high, volume is not negative.",
                "Mend or leave out the row.",
            )  # fmt: skip

    def __len__(self) -> int:
        return int(self.close_time.size)

    @classmethod
    def of(cls, candles: Candles | Sequence[Candles]) -> Market:
        """Return the market of one or many instruments, on the line of all their closes.

        Raises ``DataMissing`` where there is no candle, ``DataInvalid`` for different timeframes or an instrument
        twice.
        """
        many = [candles] if isinstance(candles, Candles) else list(candles)
        names = [c.instrument.id for c in many]
        if not many or not all(len(c) for c in many):
            raise DataMissing("There is nothing to trade.", "A market has candles.", "Fetch some.")
        if len({c.timeframe for c in many}) > 1 or len(set(names)) < len(names):
            raise DataInvalid(
                f"The candles are of {', '.join(f'{c.instrument} {c.timeframe}' for c in many)}.",
                "One account trades each instrument once, in one timeframe.", "Leave one out.",
            )  # fmt: skip
        closes = np.unique(np.concatenate([c.times("close_time") for c in many]))
        n, k = closes.size, len(many)
        columns = {name: np.full((n, k), np.nan) for name in _NAMES}
        present, opens = np.zeros((n, k), dtype=np.bool_), np.full(n, np.datetime64("NaT", "us"))
        for j, one in enumerate(many):
            rows = np.searchsorted(closes, one.times("close_time"))
            present[rows, j] = True
            opens[rows] = np.fmin(opens[rows], one.times("open_time"))
            for name in _NAMES:
                columns[name][rows, j] = one.frame[name].to_numpy()
        return cls(tuple(names), opens, closes, **columns, present=present, day_end=day_ends(closes, many[0]))

    @classmethod
    def of_arrays(cls, frame: dict[str, FloatArray], name: str = "ASSET") -> Market:
        """Return a market of one instrument from columns (bars,), its bars dated as days from 2000 on."""
        n = frame["close"].size
        opens = np.datetime64("2000-01-01", "us") + np.arange(n) * np.timedelta64(1, "D")
        columns = {c: np.ascontiguousarray(frame[c], dtype=np.float64).reshape(-1, 1) for c in _NAMES if c in frame}
        columns.setdefault("volume", np.zeros((n, 1)))
        there, ends = np.ones((n, 1), dtype=np.bool_), np.ones(n, dtype=np.bool_)
        closes = opens + np.timedelta64(1, "D")
        return cls((name,), opens, closes, **columns, present=there, day_end=ends)

    def rows(self, first: int, last: int) -> Market:
        """Return the bars from ``first`` to before ``last``."""
        cut = slice(first, last)
        prices = {name: getattr(self, name)[cut] for name in _NAMES}
        return replace(
            self, open_time=self.open_time[cut], close_time=self.close_time[cut], present=self.present[cut],
            day_end=self.day_end[cut], **prices,
        )  # fmt: skip


def day_ends(closes: Times, candles: Candles) -> BoolArray:
    """Return which bars are the last of their day: of the UTC day around the clock, else of the session."""
    if candles.timeframe in ("1d", "1w", "1mo"):
        return np.ones(closes.size, dtype=np.bool_)
    # a close at midnight ends the day before; sessions of an exchange do not span midnight of its own closes
    days = (closes - np.timedelta64(1, "us")).astype("datetime64[D]")
    return np.append(days[1:] != days[:-1], True)


def frame_of(market: Market, column: int = 0) -> pl.DataFrame:
    """Return the bars of one instrument as a table: open_time, close_time and the prices."""
    here = market.present[:, column]
    times = {"open_time": market.open_time[here], "close_time": market.close_time[here]}
    return pl.DataFrame({**times, **{name: getattr(market, name)[here, column] for name in _NAMES}})
