"""When a market is open: the bars there should be, when the next one closes, how many make a year.

Two kinds of calendar answer the same questions: ``24/7`` (crypto: UTC days, weeks from Monday, calendar months)
and the exchanges of the ``exchange_calendars`` package by their market code (``XNYS``, ``XTKS``, ...), where a
daily bar is one session from its open to its close.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused, NameUnknown, RequestInvalid

Timeframe = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo"]
TIMEFRAMES: tuple[Timeframe, ...] = get_args(Timeframe)
ALWAYS_OPEN = "24/7"

Times = npt.NDArray[np.datetime64]
"""UTC moments, ``datetime64[us]``."""

_MINUTES: dict[str, int] = {
    "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440, "1w": 10080,
}  # fmt: skip
_MONDAY = np.datetime64("1970-01-05", "us")
_MONTH = np.timedelta64(1, "M")


def step_of(timeframe: Timeframe) -> np.timedelta64 | None:
    """Return the length of a bar that always has the same one; None for a calendar month."""
    minutes = _MINUTES.get(timeframe)
    return None if minutes is None else np.timedelta64(minutes * 60_000_000, "us")


def is_intraday(timeframe: Timeframe) -> bool:
    """Return whether a bar is shorter than a day."""
    return timeframe in ("1m", "5m", "15m", "30m", "1h", "4h")


def found_in(values: Times, ordered: Times) -> npt.NDArray[np.bool_]:
    """Return which ``values`` occur in ``ordered`` (ascending), shape of ``values``: a search, not a sort of both."""
    if not ordered.size:
        return np.zeros(values.shape, dtype=np.bool_)
    place = np.minimum(np.searchsorted(ordered, values), ordered.size - 1)
    return np.asarray(ordered[place] == values)


class Calendar(Protocol):
    """What both kinds of market answer."""

    @property
    def name(self) -> str:
        """Return the market's name: ``24/7`` or an ISO 10383 market code."""
        ...

    def bars(self, start: np.datetime64, end: np.datetime64, timeframe: Timeframe) -> tuple[Times, Times]:
        """Return the opens and closes of the bars that open in ``[start, end)``."""
        ...

    def next_closes(self, after: np.datetime64, timeframe: Timeframe, count: int) -> Times:
        """Return when the ``count`` bars close that follow the bar closing at ``after``."""
        ...

    def periods_per_year(self, timeframe: Timeframe) -> float:
        """Return how many bars make a year."""
        ...


@dataclass(frozen=True)
class AlwaysOpen:
    """A market without sessions: bars lie on the UTC clock."""

    name: str = ALWAYS_OPEN

    def bars(self, start: np.datetime64, end: np.datetime64, timeframe: Timeframe) -> tuple[Times, Times]:
        """Return the opens and closes of the bars that open in ``[start, end)``."""
        if timeframe == "1mo":
            return self._months(start, end)
        step = _fixed(timeframe)
        origin = _MONDAY if timeframe == "1w" else np.datetime64(0, "us")
        first = origin + -((origin - start) // step) * step  # ceiling: the first open not before start
        opens = np.arange(first, end, step, dtype="datetime64[us]")
        return opens, np.asarray(opens + step, dtype="datetime64[us]")

    @staticmethod
    def _months(start: np.datetime64, end: np.datetime64) -> tuple[Times, Times]:
        first = start.astype("datetime64[M]")
        if first.astype("datetime64[us]") < start:
            first += _MONTH
        months = np.arange(first, end.astype("datetime64[M]") + _MONTH, dtype="datetime64[M]")
        opens = months.astype("datetime64[us]")
        keep = opens < end
        return opens[keep], (months + _MONTH).astype("datetime64[us]")[keep]

    def next_closes(self, after: np.datetime64, timeframe: Timeframe, count: int) -> Times:
        """Return the next ``count`` closes after ``after``."""
        if timeframe == "1mo":
            month = after.astype("datetime64[M]") + _MONTH
            return np.arange(month, month + count * _MONTH, dtype="datetime64[M]").astype("datetime64[us]")
        return after + _fixed(timeframe) * np.arange(1, count + 1)

    def periods_per_year(self, timeframe: Timeframe) -> float:
        """Return bars per year of 365 days."""
        return 12.0 if timeframe == "1mo" else 365.0 * 1440.0 / _MINUTES[timeframe]


@dataclass(frozen=True)
class Exchange:
    """A market with sessions, by its code in ``exchange_calendars``."""

    name: str

    def sessions(self, start: np.datetime64, end: np.datetime64) -> tuple[Times, Times, Times]:
        """Return (date, open, close) of the sessions whose date lies in ``[start, end]`` (dates, inclusive)."""
        dates, opens, closes, _ = _schedule(self.name, *_decades(start, end))
        lo, hi = start.astype("datetime64[D]"), end.astype("datetime64[D]")
        keep = (dates >= lo) & (dates <= hi)
        return dates[keep], opens[keep], closes[keep]

    def bars(self, start: np.datetime64, end: np.datetime64, timeframe: Timeframe) -> tuple[Times, Times]:
        """Return the opens and closes of the bars that open in ``[start, end)``.

        Bars inside a session start at its open and step on; the last one is cut at the close.
        """
        day = np.timedelta64(1, "D")
        _, opens, closes = self.sessions(start - 32 * day, end + 32 * day)
        if is_intraday(timeframe):
            opens, closes = _within(*self._without_breaks(opens, closes), _fixed(timeframe))
        elif timeframe != "1d":
            opens, closes = _grouped(opens, closes, timeframe)
        keep = (opens >= start) & (opens < end)
        return opens[keep], closes[keep]

    def trading_hours(self, start: np.datetime64, end: np.datetime64) -> tuple[Times, Times]:
        """Return when trading begins and ends in the sessions of these dates: twice a day with a lunch break."""
        _, opens, closes = self.sessions(start, end)
        return self._without_breaks(opens, closes)

    def _without_breaks(self, opens: Times, closes: Times) -> tuple[Times, Times]:
        """Cut sessions at their lunch break, where the market has one."""
        if not opens.size:
            return opens, closes
        all_opens, breaks = _schedule(self.name, *_decades(opens[0], closes[-1]))[1::2]
        rows = np.searchsorted(all_opens, opens)
        starts, ends = breaks[rows, 0], breaks[rows, 1]
        rests = ~np.isnat(starts)
        first = np.where(rests, starts, closes)
        return np.sort(np.r_[opens, ends[rests]]), np.sort(np.r_[first, closes[rests]])

    def next_closes(self, after: np.datetime64, timeframe: Timeframe, count: int) -> Times:
        """Return the next ``count`` closes after ``after``; raises ``ForecastRefused`` where fewer are known."""
        span = np.timedelta64(math.ceil(count * 400 / self.periods_per_year(timeframe)) + 62, "D")
        _, closes = self.bars(after - np.timedelta64(31, "D"), after + span, timeframe)
        following = closes[closes > after][:count]
        if following.size < count:
            raise ForecastRefused(
                f"The calendar of {self.name} knows {following.size} of the next {count} bars.",
                f"Its records end soon after {after.astype('datetime64[D]')}.",
                "Choose a shorter horizon, or update exchange_calendars.",
            )
        return following

    def periods_per_year(self, timeframe: Timeframe) -> float:
        """Return bars per year: by convention 252 sessions, each with the bars of a full session of 2025."""
        if not is_intraday(timeframe):
            return {"1d": 252.0, "1w": 52.0, "1mo": 12.0}[timeframe]
        opens, _ = self.bars(np.datetime64("2025-01-01", "us"), np.datetime64("2026-01-01", "us"), timeframe)
        _, bars = np.unique(opens.astype("datetime64[D]"), return_counts=True)
        return 252.0 * float(np.median(bars))


def _fixed(timeframe: Timeframe) -> np.timedelta64:
    step = step_of(timeframe)
    if step is None:
        raise RequestInvalid(
            f"A bar of {timeframe} has no fixed length.", "Months differ.", "Use a timeframe up to 1w."
        )
    return step


def _within(opens: Times, closes: Times, step: np.timedelta64) -> tuple[Times, Times]:
    """Cut sessions into bars of ``step`` from each open, the last one ending at the close."""
    if not opens.size:
        return opens, closes
    starts = [np.arange(a, b, step) for a, b in zip(opens, closes, strict=True)]
    ends = [np.minimum(s + step, b) for s, b in zip(starts, closes, strict=True)]
    return np.concatenate(starts), np.concatenate(ends)


def _grouped(opens: Times, closes: Times, timeframe: Timeframe) -> tuple[Times, Times]:
    """Join sessions to weeks (from Monday) or months: first open to last close.

    A session is dated by its close: Sydney opens on the evening before, in UTC.
    """
    if timeframe == "1mo":
        key = closes.astype("datetime64[M]").astype(np.int64)
    else:
        key = (closes.astype("datetime64[D]").astype(np.int64) + 3) // 7
    firsts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if key.size else np.array([], dtype=np.intp)
    lasts = np.r_[firsts[1:] - 1, key.size - 1].astype(np.intp) if key.size else firsts
    return opens[firsts], closes[lasts]


def _decades(start: np.datetime64, end: np.datetime64) -> tuple[int, int]:
    """Round a span outwards to 1990-2030 or whole decades: few calendars are ever built, none is known after 2100."""
    first = int(str(start.astype("datetime64[Y]"))) // 10 * 10
    last = int(str(end.astype("datetime64[Y]"))) // 10 * 10 + 10
    return min(first, 1990), min(max(last, 2030), 2100)


@lru_cache(maxsize=16)
def _schedule(market: str, first_year: int, last_year: int) -> tuple[Times, Times, Times, Times]:
    """Return (date, open, close, break) of all sessions; breaks have shape (n, 2), not-a-time where there is none."""
    calendars = _exchange_calendars()
    if market not in calendars.get_calendar_names(include_aliases=False):
        raise NameUnknown("market", market, calendars.get_calendar_names(include_aliases=False))
    span = {"start": f"{first_year}-01-01", "end": f"{last_year}-01-01"}
    if first_year >= last_year:
        return _no_sessions()
    try:
        frame = calendars.get_calendar(market, **span).schedule
    except ValueError:  # the market's records begin or end inside these decades: take what there is
        bounds = calendars.get_calendar(market)
        low, high = bounds.bound_min(), bounds.bound_max()
        span["start"] = max(span["start"], str(low.date())) if low is not None else span["start"]
        span["end"] = min(span["end"], str(high.date())) if high is not None else span["end"]
        if span["start"] >= span["end"]:
            return _no_sessions()
        frame = calendars.get_calendar(market, **span).schedule
    names = ("open", "close", "break_start", "break_end")
    opens, closes, *breaks = (
        frame[c].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]") for c in names
    )
    return frame.index.to_numpy("datetime64[D]"), opens, closes, np.column_stack(breaks)


def _no_sessions() -> tuple[Times, Times, Times, Times]:
    none = np.array([], "datetime64[us]")
    return np.array([], "datetime64[D]"), none, none, none.reshape(0, 2)


def _exchange_calendars() -> Any:
    """Import on first use: the package brings pandas, which 24/7 markets do not need."""
    import exchange_calendars

    return exchange_calendars


@lru_cache(maxsize=64)
def calendar(name: str) -> Calendar:
    """Return the calendar called ``name``: ``24/7`` or a market code such as ``XNYS``.

    Raises ``NameUnknown`` for a market nobody knows (on first use of the calendar).
    """
    return AlwaysOpen() if name == ALWAYS_OPEN else Exchange(name)
