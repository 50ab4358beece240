"""Findings: what is wrong, or odd, about rows from outside and about candles in the lake."""

from __future__ import annotations

import numpy as np
import polars as pl

from forecastle.nouns import Candles, Finding, Instrument, QualityReport
from forecastle.nouns.candles import breaches
from forecastle.sessions import Timeframe, found_in

_WORDS = {
    "not_a_number": "a price or the volume is missing, NaN or infinite",
    "non_positive": "a price is zero or negative",
    "negative_volume": "the volume is negative",
    "high_below_low": "high is below low",
    "outside_range": "open or close lies outside low to high",
    "time_order": "the time is missing, or the bar closes before it opens",
}


def inspect_rows(frame: pl.DataFrame) -> tuple[Finding, ...]:
    """Return the findings about raw rows with the columns of candles, in the order of the file.

    Rows that break a rule, and rows of one ``open_time`` that differ, are ``invalid``; exact repeats and rows out of
    order are ``note``: dropping and sorting loses nothing.
    """
    found = [_breach(frame, kind, rule) for kind, rule in breaches().items()]
    return tuple(f for f in (*found, *_repeats(frame), _order(frame)) if f)


def inspect_candles(candles: Candles) -> QualityReport:
    """Return the findings about stored candles: holes against the calendar, and bars where nothing moved."""
    found = [_gaps(candles), _flat(candles), _off_calendar(candles)]
    return QualityReport(
        candles.instrument,
        candles.timeframe,
        candles.source,
        len(candles),
        candles.start if len(candles) else None,
        candles.end if len(candles) else None,
        tuple(f for f in found if f),
    )


def report_of_rows(instrument: Instrument, timeframe: Timeframe, source: str, frame: pl.DataFrame) -> QualityReport:
    """Return the findings about rows that are not candles yet."""
    times = frame["open_time"].drop_nulls()
    start, end = (times.min(), times.max()) if len(times) else (None, None)
    return QualityReport(instrument, timeframe, source, frame.height, start, end, inspect_rows(frame))  # type: ignore[arg-type]


def _breach(frame: pl.DataFrame, kind: str, rule: pl.Expr) -> Finding | None:
    bad = frame.with_row_index("row").filter(rule)
    return Finding(kind, "invalid", bad.height, _where(bad), _WORDS[kind]) if bad.height else None


def _repeats(frame: pl.DataFrame) -> list[Finding]:
    values = [c for c in frame.columns if c != "close_time"]
    exact = frame.height - frame.unique(values).height
    distinct = frame.unique(values).filter(pl.col("open_time").is_duplicated()).sort("open_time")
    found = []
    if exact:
        repeated = frame.with_row_index("row").filter(frame.select(values).is_duplicated())
        found.append(
            Finding("duplicate", "note", exact, _where(repeated), "the same row stands there again; kept once")
        )
    if distinct.height:
        first = str(distinct["open_time"][0])
        found.append(Finding("conflicting_duplicate", "invalid", distinct.height, first, "one time, different values"))
    return found


def _order(frame: pl.DataFrame) -> Finding | None:
    times = frame["open_time"].drop_nulls()
    back = int((times.diff().dt.total_microseconds() < 0).sum())
    if not back:
        return None
    detail = "the file runs from new to old; sorted" if back == len(times) - 1 else "rows go back in time; sorted"
    first = str(times.filter(times.diff().dt.total_microseconds() < 0)[0])
    return Finding("unsorted", "note", back, first, detail)


def _gaps(candles: Candles) -> Finding | None:
    missing = candles.missing()
    if not missing.size:
        return None
    runs = 1 + int((np.diff(np.searchsorted(candles.times("open_time"), missing)) > 0).sum())
    unit = "sessions" if not candles.instrument.always_open else "bars"
    detail = f"{missing.size} {unit} of the calendar are absent, in {runs} {'hole' if runs == 1 else 'holes'}"
    return Finding("gap", "suspicious", int(missing.size), _day(missing[0]), detail)


def _flat(candles: Candles) -> Finding | None:
    flat = candles.frame.filter((pl.col("high") == pl.col("low")) & (pl.col("volume") == 0))
    if not flat.height:
        return None
    return Finding(
        "stale", "suspicious", flat.height, str(flat["open_time"][0]), "no trade and no move in the whole bar"
    )


def _off_calendar(candles: Candles) -> Finding | None:
    """Bars the calendar does not know: a wrong calendar, a wrong step, or a wrong time zone."""
    if len(candles) < 2:
        return None
    opens = candles.times("open_time")
    expected, _ = candles.calendar.bars(opens[0], opens[-1] + np.timedelta64(1, "us"), candles.timeframe)
    if candles.timeframe not in ("1d", "1w", "1mo") and not candles.instrument.always_open:
        sessions, _ = candles.calendar.bars(opens[0].astype("datetime64[D]"), opens[-1] + np.timedelta64(1, "D"), "1d")
        expected, opens = sessions.astype("datetime64[D]"), opens.astype("datetime64[D]")
    strange = opens[~found_in(opens, expected)]
    if not strange.size:
        return None
    detail = "the market's calendar has no bar there"
    return Finding("off_calendar", "suspicious", int(strange.size), _day(strange[0]), detail)


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[m]")).replace("T", " ") + " UTC"


def _where(rows: pl.DataFrame) -> str:
    moment = rows["open_time"][0]
    return f"row {rows['row'][0] + 1}" + (f" ({moment})" if moment is not None else "")
