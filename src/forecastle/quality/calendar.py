"""Findings about when the bars are: holes, bars the market's calendar has not, another step, an early end."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from forecastle.nouns import Candles, Finding
from forecastle.sessions import Times, found_in, is_intraday, step_of

_DAY = np.timedelta64(1, "D")
_BEFORE, _AFTER = np.timedelta64(8, "h"), np.timedelta64(4, "h")
"""Some data hold what is traded before the bell and after it: New York's from 04:00 to 20:00."""


def gaps(candles: Candles) -> Finding | None:
    """Return the bars of the calendar between first and last that are absent; whole sessions inside days."""
    missing = candles.missing()
    if not missing.size:
        return None
    runs = 1 + int((np.diff(np.searchsorted(candles.times("open_time"), missing)) > 0).sum())
    unit = "sessions" if not candles.instrument.always_open else "bars"
    detail = f"{missing.size} {unit} of the calendar are absent, in {runs} {'hole' if runs == 1 else 'holes'}"
    return Finding("gap", "suspicious", int(missing.size), day(missing[0]), detail)


def off_calendar(candles: Candles) -> Finding | None:
    """Return bars the calendar does not know: a wrong calendar, a wrong step, or a wrong time zone."""
    if len(candles) < 2:
        return None
    opens = candles.times("open_time")
    if is_intraday(candles.timeframe) and not candles.instrument.always_open:
        strange = opens[_outside_sessions(candles, opens)]
    else:
        expected, _ = candles.calendar.bars(opens[0], opens[-1] + np.timedelta64(1, "us"), candles.timeframe)
        strange = opens[~found_in(opens, expected)]
    if not strange.size:
        return None
    return Finding(
        "off_calendar", "suspicious", int(strange.size), day(strange[0]), "the market's calendar has no bar there"
    )


def _outside_sessions(candles: Candles, opens: Times) -> npt.NDArray[np.bool_]:
    """Return which bars lie around no session, shape of ``opens``; one may begin the evening before its UTC date."""
    begins, ends = candles.calendar.bars(opens[0] - 2 * _DAY, opens[-1] + 2 * _DAY, "1d")
    if not begins.size:
        return np.ones(opens.shape, dtype=np.bool_)
    session = np.searchsorted(begins - _BEFORE, opens, side="right") - 1
    return np.asarray((session < 0) | (opens >= ends[np.maximum(session, 0)] + _AFTER))


def wrong_step(candles: Candles) -> Finding | None:
    """Return that most bars follow each other at another step than their timeframe: they are bars of another one.

    Weeks and months are not judged, nor fewer than ten bars. Single holes change nothing: eight steps of ten have to
    be one and the same longer one.
    """
    step = step_of(candles.timeframe)
    if step is None or candles.timeframe == "1w" or len(candles) < 10:
        return None
    steps = np.diff(candles.times("open_time"))
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[counts.argmax()]
    nights = 0.6 if is_intraday(candles.timeframe) and not candles.instrument.always_open else 0.8
    rests = step if candles.instrument.always_open or is_intraday(candles.timeframe) else 4 * _DAY
    if usual <= rests or counts.max() < nights * steps.size:
        return None
    words = f"most bars are {usual.astype('timedelta64[m]')} apart, and bars of {candles.timeframe} were said"
    return Finding("wrong_step", "suspicious", int(counts.max()), day(candles.times("open_time")[0]), words)


def ended(candles: Candles, now: datetime) -> Finding | None:
    """Return that the series stopped: a week has gone by and ten bars of the calendar have closed since its last bar.

    Nights, weekends and holidays are no bars, and no source is a week late. Candles that were made up never stop.
    """
    if not len(candles) or candles.simulated:
        return None
    moment, last = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us"), candles.times("close_time")[-1]
    if moment - last < 7 * _DAY:
        return None
    _, closes = candles.calendar.bars(last, min(moment, last + 400 * _DAY), candles.timeframe)
    since = int((closes <= moment).sum())
    if since < 10:
        return None
    many = f"{since} bars" if moment <= last + 400 * _DAY else f"more than {since} bars"
    return Finding("ended", "note", 1, day(last), f"{many} of the calendar have closed since the last one here")


def day(moment: np.datetime64) -> str:
    """Return a moment as findings write it."""
    return str(moment.astype("datetime64[m]")).replace("T", " ") + " UTC"
