"""Small makers that several tests share: candles, lakes and files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from forecastle.clock import FixedClock
from forecastle.lake import DatasetKey, Lake
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.sessions import Timeframe, Times, calendar

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BTC = Instrument.parse("BTC-USDT")


def moment(text: str) -> np.datetime64:
    return np.datetime64(text, "us")


def make_candles(
    n: int,
    *,
    start: str = "2024-01-01",
    timeframe: Timeframe = "1d",
    instrument: str = "BTC-USDT",
    source: str = "test",
    seed: int = 0,
) -> Candles:
    """Return n bars that follow each other in the calendar of the instrument, from a seeded random walk."""
    what = Instrument.parse(instrument)
    first = moment(start)
    enough = {"m": n + 5, "h": n + 5, "d": 2 * n + 10, "w": 8 * n + 40, "mo": 32 * n + 70}
    days = enough[timeframe.lstrip("0123456789")]
    opens, closes = calendar(what.calendar).bars(first, first + np.timedelta64(days, "D"), timeframe)
    return candles_at(opens[:n], closes[:n], timeframe=timeframe, instrument=instrument, source=source, seed=seed)


def candles_at(
    opens: Times,
    closes: Times,
    *,
    timeframe: Timeframe = "1d",
    instrument: str = "BTC-USDT",
    source: str = "test",
    seed: int = 0,
) -> Candles:
    """Return candles with these times and the prices of a seeded random walk."""
    draw = np.random.default_rng(seed)
    n = opens.size
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, n)))
    begin = np.r_[100.0, close][:-1]
    spread = np.exp(np.abs(draw.normal(0.0, 0.01, n)))
    columns = {
        "open_time": opens, "close_time": closes, "open": begin, "high": np.maximum(begin, close) * spread,
        "low": np.minimum(begin, close) / spread, "close": close, "volume": draw.uniform(1.0, 9.0, n),
    }  # fmt: skip
    return Candles.from_columns(Instrument.parse(instrument), timeframe, source, columns, "none")


def without(candles: Candles, *rows: int) -> Candles:
    """Return the candles without the rows of these numbers."""
    frame = candles.frame.with_row_index("row").filter(~pl.col("row").is_in(rows)).select(list(SCHEMA))
    return Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted)


def with_close(candles: Candles, row: int, factor: float) -> Candles:
    """Return the candles with one close (and its high and low, where it would lie outside) changed."""
    close = candles.frame["close"].to_numpy().copy()
    close[row] *= factor
    frame = candles.frame.with_columns(
        close=pl.Series(close),
        high=pl.max_horizontal("high", pl.Series(close)),
        low=pl.min_horizontal("low", pl.Series(close)),
    )
    return Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted)


def open_lake(root: Path) -> Lake:
    return Lake(root, FixedClock(NOW))


def key_of(candles: Candles) -> DatasetKey:
    return DatasetKey(candles.source, candles.instrument.id, candles.timeframe)


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def utc(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def days_after(first: datetime, count: int) -> list[datetime]:
    return [first + timedelta(days=i) for i in range(count)]
