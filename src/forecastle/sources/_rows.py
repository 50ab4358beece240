"""From the rows ccxt hands over to rows with the columns of candles; what cannot be one is refused by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from forecastle.errors import DataInvalid, SourceLimited
from forecastle.nouns.candles import SCHEMA
from forecastle.sources._grid import DAY, Grid, to_datetime

BORN = 1_230_940_800_000
"""3 January 2009 in milliseconds: the first block of Bitcoin; no candle is older."""
LAST = 4_102_444_800_000
"""The year 2100."""
_UNITS = ((1, 1), (1_000, 1), (1_000_000, 1), (1, 1_000))
"""Milliseconds as agreed; microseconds and nanoseconds as some venues sent one day; seconds: (divide, multiply)."""

Row = tuple[int, float | None, float | None, float | None, float | None, float | None]
"""Open time in milliseconds, open, high, low, close, volume."""


def read_rows(venue: str, given: Sequence[Any], grid: Grid, now: int) -> list[Row]:
    """Return the rows in the order of time, repeats kept, with times in milliseconds whatever the unit they came in.

    ``now`` is the venue's time. A missing or unreadable number is None. Raises ``DataInvalid`` where the answer as a
    whole is not candles: another shape, times outside the life of the market, most rows impossible. Raises
    ``SourceLimited`` for weeks and months that begin on another day than ours.
    """
    rows = [_row(venue, row) for row in given]
    late = [row for row in rows if row[0] > now + 3 * max(grid.step, DAY)]
    if late:
        raise _changed(venue, f"a candle of {to_datetime(late[0][0]):%Y-%m-%d %H:%M}", "That moment has not come yet.")
    _check_cut(venue, rows, grid)
    impossible = [row for row in rows if not _possible(row) or not grid.on(row[0])]
    if len(rows) >= 4 and 2 * len(impossible) > len(rows):
        time, *numbers = impossible[0]
        raise _changed(
            venue,
            f"{len(impossible)} impossible candles of {len(rows)}",
            f"The first, {to_datetime(time):%Y-%m-%d %H:%M}, has open, high, low, close, volume {numbers}.",
        )
    return sorted(rows, key=lambda row: row[0])


def to_frame(rows: Sequence[Row], grid: Grid) -> pl.DataFrame:
    """Return the rows as a frame with the columns of candles."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    data = {
        "open_time": [time * 1000 for time in columns[0]],
        "close_time": [grid.close(time) * 1000 for time in columns[0]],
        **dict(zip(("open", "high", "low", "close", "volume"), columns[1:], strict=True)),
    }
    raw = {name: pl.Int64 if name.endswith("_time") else pl.Float64 for name in SCHEMA}
    times = [pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") for name in ("open_time", "close_time")]
    return pl.DataFrame(data, schema=raw).with_columns(times)


def in_milliseconds(stamp: Any) -> int | None:
    """Return a time stamp in milliseconds, told by its size alone; None where it is no time of this century."""
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or not math.isfinite(stamp):
        return None
    for divide, multiply in _UNITS:
        moment = int(stamp) * multiply // divide
        if BORN <= moment < LAST:
            return moment
    return None


def _row(venue: str, row: Any) -> Row:
    if not isinstance(row, list | tuple) or len(row) < 6:
        raise _changed(venue, f"{str(row)[:60]} as a candle", "A candle has a time and five numbers.")
    time = in_milliseconds(row[0])
    if time is None:
        raise _changed(venue, f"{str(row[0])[:40]!r} as the time of a candle", "It is no time of this century.")
    opened, high, low, close, volume = (_number(cell) for cell in row[1:6])
    return time, opened, high, low, close, volume


def _check_cut(venue: str, rows: list[Row], grid: Grid) -> None:
    """Raise ``SourceLimited`` where most weeks or months are cut elsewhere: no calendar here has such bars."""
    strange = [to_datetime(row[0]) for row in rows if not grid.on(row[0])]
    if grid.timeframe not in ("1w", "1mo") or 2 * len(strange) <= len(rows):
        return
    first = strange[0]
    day, ours = (f"{first:%A}", "Monday") if grid.timeframe == "1w" else (f"day {first.day}", "the first")
    clock = "" if first == first.replace(hour=0, minute=0, second=0, microsecond=0) else f" at {first:%H:%M} UTC"
    raise SourceLimited(
        f"{venue} begins its {grid.timeframe} candles on {day}{clock}.",
        f"Here they begin on {ours} at 00:00 UTC: mixed, they would be no series.",
        "Fetch --timeframe 1d, or another source.",
    )


def _number(cell: Any) -> float | None:
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _possible(row: Row) -> bool:
    _, opened, high, low, close, _ = row
    if opened is None or high is None or low is None or close is None:
        return False
    return low <= min(opened, close) and max(opened, close) <= high


def _changed(venue: str, what: str, why: str) -> DataInvalid:
    return DataInvalid(
        f"{venue} sent {what}.", why, f"Nothing of it was kept. Update Forecastle and ccxt: {venue} may have changed."
    )
