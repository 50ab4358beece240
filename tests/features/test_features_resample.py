"""Longer bars are what a hand or a slow loop makes of the shorter ones, and never unfinished."""

from __future__ import annotations

import calendar as months
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecastle.app.import_file import import_file
from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.features.resample import resample
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.requests import ImportRequest, build
from forecastle.sessions import Timeframe, calendar
from forecastle.workspace import Workspace
from making import candles_at, make_candles, moment, utc, without

PAIRS: list[tuple[Timeframe, Timeframe]] = [
    ("1m", "5m"), ("1m", "1h"), ("5m", "1h"), ("15m", "30m"), ("1h", "4h"), ("1h", "1d"), ("4h", "1w"), ("1d", "1w"),
    ("1d", "1mo"), ("4h", "1mo"),
]  # fmt: skip
NUMBERS = ("open", "high", "low", "close", "volume")


def _candles(rows: list[tuple[str, str, float, float, float, float, float]], what: str, frame: Timeframe) -> Candles:
    """Return candles from rows of open_time, close_time, open, high, low, close, volume."""
    columns = {name: [row[i] for row in rows] for i, name in enumerate(SCHEMA)}
    times = {name: np.array(columns[name], "datetime64[us]") for name in ("open_time", "close_time")}
    return Candles.from_columns(Instrument.parse(what), frame, "test", columns | times, "splits")


def _rows(candles: Candles) -> list[tuple[str, str, float, float, float, float, float]]:
    return [(f"{o:%m-%d %H:%M}", f"{c:%m-%d %H:%M}", *rest) for o, c, *rest in candles.frame.rows()]


def test_minutes_become_five_minutes_by_hand() -> None:
    """The example of docs/processing.md: the first bar begins before the data, the last is not over."""
    minutes = [
        ("2024-01-01T09:04", "2024-01-01T09:05", 9.0, 9.5, 8.5, 9.0, 2.0),
        ("2024-01-01T09:05", "2024-01-01T09:06", 10.0, 10.5, 9.8, 10.2, 1.0),
        ("2024-01-01T09:06", "2024-01-01T09:07", 10.2, 11.0, 10.1, 10.9, 3.0),
        ("2024-01-01T09:07", "2024-01-01T09:08", 10.9, 10.9, 9.5, 9.7, 2.5),
        ("2024-01-01T09:08", "2024-01-01T09:09", 9.7, 9.9, 9.6, 9.9, 0.5),
        ("2024-01-01T09:09", "2024-01-01T09:10", 9.9, 10.1, 9.9, 10.0, 1.0),
        ("2024-01-01T09:10", "2024-01-01T09:11", 10.0, 10.4, 10.0, 10.3, 4.0),
    ]
    made = resample(_candles(minutes, "BTC-USDT", "1m"), "5m")
    assert _rows(made) == [("01-01 09:05", "01-01 09:10", 10.0, 11.0, 9.5, 10.0, 8.0)]
    assert (made.timeframe, made.source, made.adjusted, made.prices) == ("5m", "test", "splits", "ohlc")


def _key(moment_: datetime, timeframe: Timeframe) -> tuple[datetime, datetime]:
    """Return open and close of the bar on the UTC clock that holds a moment."""
    if timeframe == "1mo":
        first = moment_.replace(day=1, hour=0, minute=0)
        return first, first + timedelta(days=months.monthrange(first.year, first.month)[1])
    minutes = {"5m": 5, "30m": 30, "1h": 60, "4h": 240, "1d": 1440, "1w": 10080}[timeframe]
    origin = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
    first = origin + (moment_ - origin) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
    return first, first + timedelta(minutes=minutes)


def _slowly(candles: Candles, timeframe: Timeframe) -> list[tuple[Any, ...]]:
    """Return complete bars, one row of the candles after the other."""
    groups: dict[tuple[datetime, datetime], list[tuple[float, ...]]] = {}
    rows = candles.frame.rows()
    for open_time, _, *numbers in rows:
        groups.setdefault(_key(open_time, timeframe), []).append(tuple(numbers))
    step = rows[0][1] - rows[0][0] if rows else timedelta(1)
    whole = {
        key: list(zip(*bars, strict=True)) for key, bars in groups.items() if len(bars) == (key[1] - key[0]) // step
    }
    return [(*key, o[0], max(h), min(lo), c[-1], sum(v)) for key, (o, h, lo, c, v) in whole.items()]


@given(
    pair=st.sampled_from(PAIRS),
    start=st.integers(0, 40_000),
    holes=st.sets(st.integers(0, 399), max_size=6),
    count=st.integers(1, 400),
)
def test_a_market_that_never_closes_agrees_with_a_slow_loop(
    pair: tuple[Timeframe, Timeframe], start: int, holes: set[int], count: int
) -> None:
    first = str(moment("2023-12-30") + np.timedelta64(start, "m"))
    candles = without(make_candles(count, start=first, timeframe=pair[0], seed=start), *holes)
    made, wanted = resample(candles, pair[1]).frame, _slowly(candles, pair[1])
    assert made.drop("volume").rows() == [row[:-1] for row in wanted]
    np.testing.assert_allclose(made["volume"].to_numpy(), [row[-1] for row in wanted], rtol=1e-12)


@given(pair=st.sampled_from(PAIRS), stock=st.booleans(), at=st.integers(1, 299), holes=st.sets(st.integers(0, 299)))
def test_the_future_changes_nothing(pair: tuple[Timeframe, Timeframe], stock: bool, at: int, holes: set[int]) -> None:
    """Cut off after any bar, what is made is what had closed by then."""
    whole = make_candles(300, timeframe=pair[0], instrument="AAPL" if stock else "BTC-USDT", start="2024-06-25")
    end = whole.frame["close_time"][at]
    candles = without(whole, *[row for row in holes if row % 9 == 0])
    assert resample(candles.between(end=end), pair[1]).frame.equals(resample(candles, pair[1]).between(end=end).frame)


def test_a_bar_that_reaches_beyond_the_longer_one_is_not_in_it() -> None:
    """The last of 24 hours ends half an hour after midnight: it knows of the next day."""
    opens = moment("2024-01-01") + np.arange(24) * np.timedelta64(1, "h")
    closes = opens + np.timedelta64(1, "h")
    assert len(resample(candles_at(opens, closes, timeframe="1h"), "1d")) == 1
    closes[-1] += np.timedelta64(30, "m")
    assert len(resample(candles_at(opens, closes, timeframe="1h"), "1d")) == 0


def test_step_by_step_is_the_same_as_at_once() -> None:
    minutes = make_candles(60 * 24 * 16, timeframe="1m", start="2024-01-28T00:00")
    at_once = resample(minutes, "1d")
    by_steps = resample(resample(resample(minutes, "5m"), "1h"), "1d")
    assert len(at_once) == 16
    assert by_steps.frame.drop("volume").equals(at_once.frame.drop("volume"))
    np.testing.assert_allclose(by_steps.frame["volume"], at_once.frame["volume"], rtol=1e-12)


def test_the_candles_are_not_changed_and_none_is_none() -> None:
    candles = make_candles(50, timeframe="1h")
    before = candles.frame.clone()
    resample(candles, "1d")
    assert candles.frame.equals(before)
    for few in (candles.last(0), candles.last(3)):
        made = resample(few, "1d")
        assert (len(made), made.timeframe) == (0, "1d")


def test_where_only_closes_are_known_only_the_close_is_made() -> None:
    days = make_candles(7, start="2024-01-01")
    flat = dict.fromkeys(("open", "high", "low"), days.frame["close"])
    closes = Candles(days.instrument, "1d", "test", days.frame.with_columns(**flat), "none", "close")
    (row,) = resample(closes, "1w").frame.rows()
    assert row[2:6] == (days.frame["close"][6],) * 4
    assert resample(closes, "1w").prices == "close"


# Exchanges ----------------------------------------------------------------------------------------------------------


def _hours_of(day: str, first: int, last: int, cut: int = 30) -> list[tuple[str, str]]:
    """Return the hours of a day that begins at half past and is cut on the half or, with ``cut=0``, on the hour."""
    edges = [
        f"{day}T{first:02d}:30",
        *(f"{day}T{h:02d}:{cut:02d}" for h in range(first + 1, last)),
        f"{day}T{last:02d}:00",
    ]
    edges = [*dict.fromkeys(edges)]
    return list(itertools.pairwise(edges))


def _stock(hours: list[tuple[str, str]], instrument: str = "AAPL") -> Candles:
    opens, closes = (np.array(column, "datetime64[us]") for column in zip(*hours, strict=True))
    return candles_at(opens, closes, timeframe="1h", instrument=instrument)


@pytest.mark.parametrize("cut", [0, 30])
def test_a_day_of_a_stock_is_its_session_however_the_venue_cuts_hours(cut: int) -> None:
    """NYSE, 2 and 3 July 2024: 13:30 to 20:00 UTC, and to 17:00 before the holiday; rule as published by the NYSE."""
    candles = _stock(_hours_of("2024-07-02", 13, 20, cut) + _hours_of("2024-07-03", 13, 17, cut))
    days = resample(candles, "1d")
    assert [row[:2] for row in _rows(days)] == [("07-02 13:30", "07-02 20:00"), ("07-03 13:30", "07-03 17:00")]
    part = candles.frame.filter(pl.col("open_time").dt.day() == 3)
    wanted = (part["open"][0], part["high"].max(), part["low"].min(), part["close"][-1])
    assert days.frame.select("open", "high", "low", "close").row(1) == wanted
    assert days.frame["volume"][1] == pytest.approx(part["volume"].sum(), rel=1e-12)


@pytest.mark.parametrize("row", [0, 3, 6], ids=["first", "middle", "last"])
def test_a_day_with_a_hole_is_left_out(row: int) -> None:
    candles = _stock(_hours_of("2024-07-01", 13, 20) + _hours_of("2024-07-02", 13, 20))
    assert [r[0] for r in _rows(resample(without(candles, row), "1d"))] == ["07-02 13:30"]


def test_a_bar_that_crosses_the_open_is_in_no_day() -> None:
    crossing = [("2024-07-01T13:00", "2024-07-01T14:00"), *_hours_of("2024-07-01", 13, 20, 0)[1:]]
    assert len(resample(_stock(crossing), "1d")) == 0
    before = [("2024-07-01T12:30", "2024-07-01T13:30"), *_hours_of("2024-07-01", 13, 20)]
    assert [r[:2] for r in _rows(resample(_stock(before), "1d"))] == [("07-01 13:30", "07-01 20:00")]


def test_a_lunch_break_is_no_hole() -> None:
    """Tokyo in July 2024: 9:00 to 11:30 and 12:30 to 15:00, UTC+9."""
    morning = [("00:00", "01:00"), ("01:00", "02:00"), ("02:00", "02:30")]
    afternoon = [("03:30", "04:30"), ("04:30", "05:30"), ("05:30", "06:00")]
    hours = [(f"2024-07-01T{a}", f"2024-07-01T{b}") for a, b in morning + afternoon]
    assert [r[:2] for r in _rows(resample(_stock(hours, "4063.T"), "1d"))] == [("07-01 00:00", "07-01 06:00")]
    assert [r[:2] for r in _rows(resample(_stock(hours, "4063.T"), "4h"))] == [
        ("07-01 00:00", "07-01 02:30"), ("07-01 03:30", "07-01 06:00"),
    ]  # fmt: skip
    for lost in range(6):
        assert len(resample(_stock(hours[:lost] + hours[lost + 1 :], "4063.T"), "1d")) == 0


def test_session_bars_of_four_hours_are_cut_at_the_close() -> None:
    half = resample(_stock(_hours_of("2024-07-02", 13, 20)), "4h")
    assert [r[:2] for r in _rows(half)] == [("07-02 13:30", "07-02 17:30"), ("07-02 17:30", "07-02 20:00")]
    assert len(resample(_stock(_hours_of("2024-07-02", 13, 20, 0)), "4h")) == 0  # 17:00 to 18:00 crosses the edge


def test_a_week_has_the_sessions_of_the_calendar() -> None:
    """New York was closed on Thursday, 4 July 2024: that week has four sessions, and is complete with them."""
    days = make_candles(14, start="2024-06-27", instrument="AAPL")
    assert [r[:2] for r in _rows(resample(days, "1w"))] == [
        ("07-01 13:30", "07-05 20:00"), ("07-08 13:30", "07-12 20:00"),
    ]  # fmt: skip
    friday = days.frame["open_time"].to_list().index(utc(2024, 7, 5, 13, 30))
    assert [r[0] for r in _rows(resample(without(days, friday), "1w"))] == ["07-08 13:30"]


def test_months_of_sessions_and_of_hours_agree() -> None:
    hours = make_candles(7 * 80, start="2024-01-02", instrument="AAPL", timeframe="1h")
    by_days, at_once = resample(resample(hours, "1d"), "1mo"), resample(hours, "1mo")
    assert [r[:2] for r in _rows(at_once)] == [
        ("01-02 14:30", "01-31 21:00"), ("02-01 14:30", "02-29 21:00"), ("03-01 14:30", "03-28 20:00"),
    ]  # fmt: skip
    assert by_days.frame.drop("volume").equals(at_once.frame.drop("volume"))


def test_every_bar_made_is_one_of_the_calendar() -> None:
    for instrument in ("AAPL", "4063.T", "BTC-USDT"):
        hours = make_candles(600, start="2024-02-20", instrument=instrument, timeframe="1h")
        for timeframe in ("4h", "1d", "1w"):
            made = resample(hours, timeframe)
            wanted = calendar(hours.instrument.calendar).bars(
                made.times("open_time")[0], made.times("close_time")[-1], timeframe
            )  # fmt: skip
            np.testing.assert_array_equal(made.times("open_time"), wanted[0])
            np.testing.assert_array_equal(made.times("close_time"), wanted[1])


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [("1h", "1h", "longer"), ("1h", "5m", "longer"), ("1mo", "1w", "longer"), ("1w", "1mo", "no multiple")],
)
def test_what_cannot_be_made_is_refused(source: Timeframe, target: Timeframe, words: str) -> None:
    with pytest.raises(RequestInvalid, match=words):
        resample(make_candles(5, timeframe=source), target)


def test_an_unknown_timeframe_is_named() -> None:
    with pytest.raises(NameUnknown, match="2h"):
        resample(make_candles(5, timeframe="1h"), "2h")  # type: ignore[arg-type]


# Real data ----------------------------------------------------------------------------------------------------------


def _read(workspace: Workspace, path: Path, instrument: str, timeframe: str) -> Candles:
    request = build(ImportRequest, path=path, instrument=instrument, timeframe=timeframe, source="test", dry_run=True)
    candles = import_file(workspace, request).candles
    assert candles is not None
    return candles


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("finer", "longer", "count"),  # README.md beside the data: summed they are equal, without exception
    [
        ("1h/binance_2017_2022/BTC_USDT-1h.json.gz", "1d/binance_2017_2022/BTC_USDT-1d.json.gz", 1852),
        ("1h/binance_2021_2025/BTC_USDT-1h_2021-06_2025-02.csv.gz", "1d/binance_2024a/BTC_USDT-1d.csv.gz", 249),
        ("5m/binance_2024a/BTC_USDT-5m.csv.gz", "1h/binance_2021_2025/BTC_USDT-1h_2021-06_2025-02.csv.gz", 5980),
    ],
)
def test_real_bars_add_up_to_the_longer_ones_of_the_exchange(
    workspace: Workspace, shared_data: Path, finer: str, longer: str, count: int
) -> None:
    parts = _read(workspace, shared_data / "crypto" / finer, "BTC-USDT", finer[:2])
    wholes = _read(workspace, shared_data / "crypto" / longer, "BTC-USDT", longer[:2])
    both = wholes.frame.join(resample(parts, wholes.timeframe).frame, on=["open_time", "close_time"], suffix="_made")
    assert both.height == count
    for name in NUMBERS[:4]:
        assert both[name].to_list() == both[f"{name}_made"].to_list()
    np.testing.assert_allclose(both["volume_made"], both["volume"], rtol=1e-9)


@pytest.mark.shared_data
def test_real_hours_cut_on_the_hour_become_sessions(workspace: Workspace, shared_data: Path) -> None:
    """IBKR's hours of Apple are whole: every session from 2021-10-19 to 2025-02-28 is made, also the short ones."""
    hours = _read(workspace, shared_data / "stocks/1h/ibkr/AAPL_1h.csv.gz", "AAPL", "1h")
    made = resample(hours, "1d")
    opens, closes = hours.calendar.bars(hours.times("open_time")[0], hours.times("close_time")[-1], "1d")
    np.testing.assert_array_equal(made.times("open_time"), opens)
    np.testing.assert_array_equal(made.times("close_time"), closes)
    assert made.frame["volume"].sum() == pytest.approx(hours.frame["volume"].sum(), rel=1e-12)
