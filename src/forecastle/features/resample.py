"""Longer bars from shorter ones: minutes to hours, hours to days, days to weeks and months."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.nouns import Candles
from forecastle.nouns.candles import PRICES, SCHEMA
from forecastle.sessions import TIMEFRAMES, Exchange, Timeframe, Times, found_in, is_intraday, step_of

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

_DAY = np.timedelta64(1, "D")


def resample(candles: Candles, timeframe: Timeframe) -> Candles:
    """Return bars of a longer timeframe, made of whole bars of the candles; prices and volume in the units they had.

    Open of the first bar, highest high, lowest low, close of the last, sum of the volumes. The longer bars are those of
    the calendar (on a market that never closes on the UTC clock, weeks from Monday; on an exchange cut from its
    sessions), and each is known from its close on. A bar belongs to the longer one that holds it wholly; one that
    crosses an edge belongs to none. Only complete bars are made, so that the last one is never unfinished:

    - every bar that the calendar has inside is there, by its open;
    - intraday bars of an exchange, which venues cut on the hour or on the half, cover each stretch of trading from its
      open to its close without a hole (the longer bar itself, where that is intraday, too).

    Where the bars of a venue cross the edges (hours cut on the hour, ``4h`` from 9:30) few or none are made. With
    ``prices="close"`` only the close is known of the longer bar, too: open, high and low repeat it. Source and
    adjustment stay; candles know no NaN. Raises ``NameUnknown`` for a timeframe nobody knows, ``RequestInvalid`` where
    it is not longer than that of the candles or no multiple of it (a month is none of weeks).
    """
    _refuse(candles.timeframe, timeframe)
    if not len(candles):
        return _made(candles, timeframe, candles.frame)
    opens, closes = candles.times("open_time"), candles.times("close_time")
    starts, ends = candles.calendar.bars(opens[0], closes[-1], timeframe)
    holder = np.searchsorted(starts, opens, side="right") - 1
    held = (holder >= 0) & (closes <= ends[holder]) if starts.size else np.zeros(opens.size, dtype=np.bool_)
    whole = _complete(candles, timeframe, starts, ends, held)
    used = np.flatnonzero(held)[whole[holder[held]]]
    return _made(candles, timeframe, _joined(candles, used, holder[used], starts, ends))


def _refuse(source: Timeframe, target: Timeframe) -> None:
    if target not in TIMEFRAMES:
        raise NameUnknown("timeframe", target, TIMEFRAMES)
    if TIMEFRAMES.index(target) <= TIMEFRAMES.index(source):
        raise RequestInvalid(
            f"Bars of {source} cannot become bars of {target}.",
            "Longer bars are made of shorter ones; what happened inside a bar is not known.",
            f"Ask for a timeframe longer than {source}, or start from shorter bars.",
        )
    part, whole = step_of(source), step_of(target)
    fits = source != "1w" if part is None or whole is None else whole % part == np.timedelta64(0, "us")
    if not fits:
        raise RequestInvalid(
            f"Bars of {source} cannot become bars of {target}.",
            f"{target} is no multiple of {source}: some bars would belong to two.",
            "Start from shorter bars, such as 1d.",
        )


def _complete(candles: Candles, timeframe: Timeframe, starts: Times, ends: Times, held: BoolArray) -> BoolArray:
    """Return which of the longer bars have all their parts among the bars that are held, shape (longer bars,)."""
    if not starts.size:
        return np.zeros(0, dtype=np.bool_)
    opens, closes = candles.times("open_time")[held], candles.times("close_time")[held]
    market, parts, part_ends = candles.calendar, starts, ends
    if is_intraday(candles.timeframe) and isinstance(market, Exchange):
        if not is_intraday(timeframe):  # a lunch break is no hole
            parts, part_ends = market.trading_hours(starts[0] - _DAY, ends[-1] + _DAY)
        there = _covered(parts, part_ends, opens, closes)
    else:
        parts, part_ends = market.bars(starts[0], ends[-1], candles.timeframe)
        there = found_in(parts, opens)
    first, after = np.searchsorted(parts, starts), np.searchsorted(part_ends, ends, side="right")
    missing = np.r_[0, np.cumsum(~there)]
    return np.asarray((after > first) & (missing[after] == missing[first]))


def _covered(parts: Times, part_ends: Times, opens: Times, closes: Times) -> BoolArray:
    """Return which stretches are covered by bars from end to end without a hole, shape of ``parts``."""
    if not opens.size:
        return np.zeros(parts.size, dtype=np.bool_)
    first = np.minimum(np.searchsorted(opens, parts), opens.size - 1)
    last = np.maximum(np.searchsorted(closes, part_ends, side="right") - 1, 0)
    holes = np.r_[0, np.cumsum(opens[1:] != closes[:-1])]
    edges = (opens[first] == parts) & (closes[last] == part_ends)
    return np.asarray(edges & (first <= last) & (holes[last] == holes[first]))


def _joined(candles: Candles, used: IntArray, holder: IntArray, starts: Times, ends: Times) -> pl.DataFrame:
    """Return one row for each run of the same ``holder`` among the bars ``used``."""
    if not used.size:
        return candles.frame.clear()
    first = np.flatnonzero(np.r_[True, holder[1:] != holder[:-1]])
    last = np.r_[first[1:], used.size] - 1
    column = {name: candles.frame[name].to_numpy()[used] for name in (*PRICES, "volume")}
    made = {
        "open_time": starts[holder[first]], "close_time": ends[holder[first]],
        "open": column["open"][first], "high": np.maximum.reduceat(column["high"], first),
        "low": np.minimum.reduceat(column["low"], first), "close": column["close"][last],
        "volume": np.add.reduceat(column["volume"], first),
    }  # fmt: skip
    if candles.prices == "close":  # the highest of some closes is no high
        made |= dict.fromkeys(("open", "high", "low"), made["close"])
    return pl.DataFrame(made).with_columns(pl.col("open_time", "close_time").dt.replace_time_zone("UTC"))


def _made(candles: Candles, timeframe: Timeframe, frame: pl.DataFrame) -> Candles:
    return Candles(
        candles.instrument, timeframe, candles.source, frame.select(list(SCHEMA)), candles.adjusted, candles.prices
    )
