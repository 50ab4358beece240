"""From the times a file writes to the open and close of the bars it means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid
from forecastle.nouns import Instrument
from forecastle.nouns.candles import TIME
from forecastle.sessions import (
    TIMEFRAMES,
    Calendar,
    Exchange,
    Timeframe,
    Times,
    calendar,
    found_in,
    is_intraday,
    step_of,
)

_DAY = np.timedelta64(1, "D")
_FEW = 0.01
"""Up to this share of rows may lie where no bar opens: more means that the market, the zone or the step is wrong."""
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bars:
    """When each row opens and closes, UTC; ``reasons`` says why a row is no bar, null where it is one."""

    opens: pl.Series
    closes: pl.Series
    reasons: pl.Series


def close_bars(times: pl.Series, instrument: Instrument, timeframe: Timeframe) -> Bars:
    """Return the bars that open at ``times``, in their order.

    On 24/7 markets a bar lasts its timeframe. A day of an exchange is the session of that date; a week or month runs
    from its first open to its last close; inside a session a bar ends at the next one or at the close.
    """
    moments = times.dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    market = calendar(instrument.calendar)
    _check_step(moments, timeframe, market)
    strange = np.zeros(moments.shape, dtype=np.bool_)
    if not isinstance(market, Exchange):
        strange = _off_grid(moments, timeframe)
        opens, closes = moments, _ends(moments, timeframe)
    elif is_intraday(timeframe):
        opens, closes = _inside_sessions(market, moments, timeframe)
    else:
        opens, closes, strange = _sessions(market, moments, instrument, timeframe)
    reasons = pl.select(pl.when(pl.Series(strange)).then(pl.lit("off_grid"))).to_series()
    return Bars(_utc(opens), _utc(closes), reasons)


def _ends(moments: Times, timeframe: Timeframe) -> Times:
    step = step_of(timeframe)
    months = moments.astype("datetime64[M]") + np.timedelta64(1, "M")
    return np.asarray(moments + step if step is not None else months).astype("datetime64[us]")


def _check_step(moments: Times, timeframe: Timeframe, market: Calendar) -> None:
    """Refuse rows that are no bars of this length: closer than they can be, or all of a longer known length."""
    gaps = np.diff(np.sort(moments, kind="stable"))  # np.unique takes seconds for half a million
    gaps = gaps[gaps > np.timedelta64(0, "us")]
    step = step_of(timeframe)
    if gaps.size < 3 or step is None or (timeframe == "1w" and isinstance(market, Exchange)):
        return  # months differ, and weeks of an exchange begin on their first session
    if is_intraday(timeframe) and isinstance(market, Exchange):
        expected, _ = market.bars(moments.min(), moments.max() + step, timeframe)
        if np.mean(found_in(moments, expected)) > 0.9:
            return
    longer = [t for t in TIMEFRAMES if step_of(t) == gaps.min()] if gaps.min() > step and gaps.size >= 30 else []
    if np.median(gaps.astype(np.int64)) < step.astype(np.int64) or longer:
        usual = np.timedelta64(int(np.median(gaps.astype(np.int64))), "us")
        raise DataInvalid(
            f"Most rows are {_length(usual)} apart, and bars of {timeframe} were expected.",
            "A bar of another length has another volatility.",
            "Say the right one with --timeframe, or name the right column of the time with --columns.",
        )


def _off_grid(moments: Times, timeframe: Timeframe) -> _Mask:
    """Return which bars of a market that never closes lie off the UTC grid; refuse more than a few."""
    step = step_of(timeframe)
    monday = np.datetime64("1970-01-05", "us")
    month = moments.astype("datetime64[M]").astype("datetime64[us]")
    off = (moments - monday) % step if step is not None else moments - month
    wrong = off != np.timedelta64(0, "us")
    if wrong.mean() > _FEW:
        row = int(wrong.argmax())
        raise DataInvalid(
            f"{int(wrong.sum())} bars open off the UTC grid, the first by {_length(off[row])} (data row {row + 1}).",
            f"Bars of {timeframe} on a market that never closes start on whole steps: days at 00:00, weeks on Monday.",
            "Export UTC bars, or import a shorter timeframe.",
        )
    return np.asarray(wrong)


def _length(gap: np.timedelta64) -> str:
    minutes = float(gap / np.timedelta64(1, "m"))
    return f"{minutes / 1440:g} days" if minutes >= 1440 else f"{minutes:g} minutes"


def _sessions(
    market: Exchange, moments: Times, instrument: Instrument, timeframe: Timeframe
) -> tuple[Times, Times, _Mask]:
    """Return open and close of the session of each date, and which dates are none: those keep their day."""
    opens, closes = market.bars(moments.min() - 35 * _DAY, moments.max() + 35 * _DAY, timeframe)
    days = moments.astype("datetime64[D]")
    # The close carries the date of its session: Sydney opens on the evening before, in UTC.
    known, wanted = _period(closes.astype("datetime64[D]"), timeframe), _period(days, timeframe)
    strange = ~np.isin(wanted, known)
    if not opens.size:
        raise _unknown(market, days)
    if strange.mean() > _FEW:
        row = int(strange.argmax())
        raise DataInvalid(
            f"{int(strange.sum())} of {days.size} dates are no session of {market.name}, the first is {days[row]} "
            f"(data row {row + 1}).",
            f"{instrument} trades by the calendar of {market.name}; the market was closed on that day.",
            "Leave these rows out, or name the market it is listed on, such as 4063.XTKS.",
        )
    rows = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    day = days.astype("datetime64[us]")
    return np.where(strange, day, opens[rows]), np.where(strange, day + _DAY, closes[rows]), strange


def _period(days: Times, timeframe: Timeframe) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number days, weeks or months: a week or a month may be dated by any of its days."""
    if timeframe == "1mo":
        return days.astype("datetime64[M]").astype(np.int64)
    return (days.astype(np.int64) + 3) // 7 if timeframe == "1w" else days.astype(np.int64)


def _inside_sessions(market: Exchange, moments: Times, timeframe: Timeframe) -> tuple[Times, Times]:
    step = step_of(timeframe) or _DAY
    session_opens, session_closes = market.trading_hours(moments.min() - 8 * _DAY, moments.max() + 8 * _DAY)
    if not session_opens.size:
        raise _unknown(market, moments.astype("datetime64[D]"))
    session = np.clip(np.searchsorted(session_opens, moments, side="right") - 1, 0, session_opens.size - 1)
    ends = moments + step
    bell = session_closes[session]
    ends = np.where((moments < bell) & (ends > bell), bell, ends)
    ordered = np.sort(moments, kind="stable")
    following = np.searchsorted(ordered, moments, side="right")
    has_next = following < ordered.size
    upcoming = ordered[np.minimum(following, ordered.size - 1)]
    # Venues that cut on the hour begin a session that opens at half past with a short bar. Only that one ends at the
    # next: any other bar that reaches into the next one overlaps it, and is found out.
    first = np.searchsorted(ordered, session_opens[session]) == np.searchsorted(ordered, moments)
    return moments, np.where(first & has_next & (upcoming < ends), upcoming, ends)


def _unknown(market: Exchange, days: Times) -> DataInvalid:
    return DataInvalid(
        f"The calendar of {market.name} knows no session from {days.min()} to {days.max()}.",
        "The records of the market begin later, or end before.",
        "Leave these rows out, or name the right column of the time with --columns.",
    )


def _utc(moments: Times) -> pl.Series:
    return pl.Series(moments.astype("datetime64[us]")).dt.replace_time_zone("UTC").cast(TIME)
