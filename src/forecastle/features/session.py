"""Time: where a bar stands in the day, the week, the year and its session. All of it is known at the close."""

from __future__ import annotations

import numpy as np

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Windowed
from forecastle.sessions import calendar

DAY = np.timedelta64(1, "D")
MOMENT = np.timedelta64(1, "us")


def _circle(share: FloatArray) -> Arrays:
    turn = 2.0 * np.pi * share
    return np.sin(turn), np.cos(turn)


def _time_of_day(b: Bars) -> Arrays:
    return _circle(((b.closed - b.closed.astype("datetime64[D]")) / DAY).astype(np.float64))


def _day_of_week(b: Bars) -> Arrays:
    # midnight ends a day: the bar belongs to the day before it
    day = (b.closed - MOMENT).astype("datetime64[D]").astype(np.int64)
    return _circle(((day + 3) % 7) / 7.0)


def _month(b: Bars) -> Arrays:
    return _circle((b.closed - MOMENT).astype("datetime64[M]").astype(np.int64) % 12 / 12.0)


TIME_OF_DAY = Windowed(
    "time_of_day", "calendar", "Time of the close on the clock of UTC, on a circle", {"sin": "ratio", "cos": "ratio"},
    "sin, cos of 2 pi (share of the day)", "definition", lookback=lambda: 0, window=_time_of_day,
)  # fmt: skip
DAY_OF_WEEK = Windowed(
    "day_of_week", "calendar", "Day of the week the bar ends on, Monday 0, on a circle",
    {"sin": "ratio", "cos": "ratio"}, "sin, cos of 2 pi day / 7", "definition", lookback=lambda: 0, window=_day_of_week,
)  # fmt: skip
MONTH_OF_YEAR = Windowed(
    "month_of_year", "calendar", "Month the bar ends in, on a circle", {"sin": "ratio", "cos": "ratio"},
    "sin, cos of 2 pi month / 12", "definition", lookback=lambda: 0, window=_month,
)  # fmt: skip


def _session(b: Bars) -> Arrays:
    """Return the share of the session that is over, whether it began with this bar and whether it ends with it."""
    week = np.timedelta64(7, "D")
    market = calendar(b.instrument.calendar)
    opens, closes = market.bars(b.opened[0] - week, b.closed[-1] + week, "1d")
    place = np.maximum(np.searchsorted(opens, b.opened, side="right") - 1, 0)
    begin, end = opens[place], closes[place]
    share = ((b.closed - begin) / (end - begin)).astype(np.float64)
    inside = (b.opened >= begin) & (b.closed <= end)  # weeks and months hold several sessions
    share = np.where(inside, share, np.nan)
    first, last = (b.opened == begin).astype(np.float64), (b.closed == end).astype(np.float64)
    return share, np.where(inside, first, np.nan), np.where(inside, last, np.nan)


SESSION = Windowed(
    "session", "calendar", "How much of the session is over; whether it begins or ends with this bar",
    {"progress": "share", "first": "flag", "last": "flag"}, "(close - session open) / (session close - session open)",
    "calendar of the market; on a market that never closes the day of UTC", lookback=lambda: 0, window=_session,
)  # fmt: skip


def _gap(b: Bars) -> Arrays:
    out = np.full(len(b), np.nan)
    out[1:] = (b.opened[1:] - b.closed[:-1]) / DAY
    return (out,)


CLOSED_DAYS = Windowed(
    "closed_days", "calendar", "Days the market was closed before this bar: nights, weekends, holidays", {"": "days"},
    "O time - C time of the bar before", "definition", lookback=lambda: 1, window=_gap,
)  # fmt: skip
