"""What is wrong with rows, and odd about candles, is found, counted and located."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecastle.nouns import Candles, Finding
from forecastle.nouns.candles import SCHEMA
from forecastle.quality import inspect_candles, inspect_rows
from making import candles_at, make_candles, moment, without


def _kinds(found: tuple[Finding, ...]) -> dict[str, tuple[str, int]]:
    return {f.kind: (f.severity, f.count) for f in found}


def _set(row: int, **values: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        rows = frame.rows(named=True)
        rows[row] |= values
        return pl.DataFrame(rows, schema=SCHEMA)

    return change


@pytest.mark.parametrize(
    ("change", "kind", "severity", "count"),
    [
        (_set(2, close=float("nan")), "not_a_number", "invalid", 1),
        (_set(2, volume=None), "not_a_number", "invalid", 1),
        (_set(2, low=0.0), "non_positive", "invalid", 1),
        (_set(2, volume=-1.0), "negative_volume", "invalid", 1),
        (_set(2, high=1.0, low=2.0), "high_below_low", "invalid", 1),
        (_set(2, close=1e9), "outside_range", "invalid", 1),
        (lambda f: pl.concat([f, f[2:3], f[2:3]]), "duplicate", "note", 2),
        (lambda f: pl.concat([f, f[2:3].with_columns(volume=0.5)]), "conflicting_duplicate", "invalid", 2),
        (lambda f: f.reverse(), "unsorted", "note", 7),
        (lambda f: pl.concat([f[:3], f[4:5], f[3:4], f[5:]]), "unsorted", "note", 1),
    ],
)
def test_each_defect_is_found_and_counted(
    change: Callable[[pl.DataFrame], pl.DataFrame], kind: str, severity: str, count: int
) -> None:
    clean = make_candles(8).frame
    assert inspect_rows(clean) == ()
    assert _kinds(inspect_rows(change(clean)))[kind] == (severity, count)


def test_a_finding_says_where_it_shows_first() -> None:
    (found,) = inspect_rows(_set(4, low=-1.0)(make_candles(8).frame))
    assert found.first.startswith("row 5 (2024-01-05 00:00")


def test_a_file_from_new_to_old_is_told_apart_from_a_muddled_one() -> None:
    frame = make_candles(8).frame
    assert [f.detail for f in inspect_rows(frame.reverse())] == ["the file runs from new to old; sorted"]
    assert [f.detail for f in inspect_rows(pl.concat([frame[4:], frame[:4]]))] == ["rows go back in time; sorted"]


@given(st.sets(st.integers(1, 28), min_size=1))
def test_holes_are_counted_bar_by_bar_and_hole_by_hole(gone: set[int]) -> None:
    (gap,) = inspect_candles(without(make_candles(30), *gone)).findings
    holes = sum(day - 1 not in gone for day in gone)
    assert (gap.kind, gap.severity, gap.count) == ("gap", "suspicious", len(gone))
    assert gap.detail == f"{len(gone)} bars of the calendar are absent, in {holes} {'hole' if holes == 1 else 'holes'}"
    assert gap.first == f"2024-01-{min(gone) + 1:02d} 00:00 UTC"


def test_a_stocks_gap_is_a_session() -> None:
    """2024-01-15 is a holiday and no gap; 01-16 is one when it is missing."""
    candles = make_candles(20, start="2024-01-02", instrument="AAPL")
    day = [str(t)[:10] for t in candles.times("open_time")].index("2024-01-16")
    assert inspect_candles(candles).findings == ()
    (gap,) = inspect_candles(without(candles, day)).findings
    assert (gap.first, gap.detail) == ("2024-01-16 14:30 UTC", "1 sessions of the calendar are absent, in 1 hole")


def test_bars_without_trade_and_move_are_pointed_out() -> None:
    candles = make_candles(5)
    still = candles.frame.with_columns(high=pl.col("close"), low=pl.col("close"), open=pl.col("close"), volume=0.0)
    mixed = Candles(candles.instrument, "1d", "test", pl.concat([candles.frame[:3], still[3:]]), "none")
    (found,) = inspect_candles(mixed).findings
    assert (found.kind, found.severity, found.count, found.first[:10]) == ("stale", "suspicious", 2, "2024-01-04")


def test_bars_off_the_calendar_are_pointed_out() -> None:
    """Days that begin at 05:00 UTC are days of another clock; a stock's Saturday is none of its market's."""
    opens = np.arange(moment("2024-01-01T05"), moment("2024-01-06"), np.timedelta64(1, "D"))
    shifted = candles_at(opens, np.asarray(opens + np.timedelta64(1, "D"), "datetime64[us]"))
    assert _kinds(inspect_candles(shifted).findings)["off_calendar"] == ("suspicious", 5)
    hours = np.array([moment("2024-01-05T15"), moment("2024-01-06T15"), moment("2024-01-08T15")])
    stock = candles_at(
        hours, np.asarray(hours + np.timedelta64(1, "h"), "datetime64[us]"), timeframe="1h", instrument="AAPL"
    )
    found = _kinds(inspect_candles(stock).findings)
    assert found == {"off_calendar": ("suspicious", 1)}


def _hours(instrument: str, *times: str) -> Candles:
    opens = np.array(times, dtype="datetime64[us]")
    closes = np.asarray(opens + np.timedelta64(1, "h"), "datetime64[us]")
    return candles_at(opens, closes, timeframe="1h", instrument=instrument)


@pytest.mark.parametrize("start", ["2024-01-01", "2024-06-03"])  # summer in Sydney, then winter
def test_sessions_that_cross_midnight_utc_are_on_the_calendar(start: str) -> None:
    """In Sydney's summer a session opens at 23:00 UTC: the bars of Friday belong to one that opened on Thursday."""
    candles = make_candles(60, start=start, timeframe="1h", instrument="BHP.XASX")
    assert {5} <= set(candles.frame["open_time"].dt.weekday())
    assert "off_calendar" not in _kinds(inspect_candles(candles).findings)


def test_the_bars_of_a_closed_day_are_off_the_calendar_wherever_midnight_is() -> None:
    """26 January 2024, a Friday, is a holiday in Sydney: neither its evening before nor its own hours are there."""
    found = _hours("BHP.XASX", "2024-01-25T01", "2024-01-25T23", "2024-01-26T02", "2024-01-28T23")
    assert _kinds(inspect_candles(found).findings)["off_calendar"] == ("suspicious", 2)


def test_hours_before_the_bell_and_after_it_are_on_the_calendar() -> None:
    """In New York trading goes from 04:00 to 20:00; hours on the hour begin before the bell of 09:30."""
    before_and_after = _hours("AAPL", "2024-01-08T09", "2024-01-08T14", "2024-01-08T20", "2024-01-09T00")
    assert "off_calendar" not in _kinds(inspect_candles(before_and_after).findings)
    nights = _hours("AAPL", "2024-01-08T14", "2024-01-09T02", "2024-01-09T05", "2024-01-09T15")
    assert _kinds(inspect_candles(nights).findings)["off_calendar"] == ("suspicious", 2)


def test_candles_without_rows_have_no_findings() -> None:
    report = inspect_candles(make_candles(3).last(0))
    assert (report.rows, report.start, report.findings) == (0, None, ())
