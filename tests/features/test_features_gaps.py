"""Holes are filled by one named step, from the past alone, and never further than its limit."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecastle.errors import RequestInvalid
from forecastle.features import gaps
from forecastle.features.gaps import Fill, forward_fill
from forecastle.nouns import Candles
from forecastle.sessions import Timeframe
from making import candles_at, make_candles, moment, without


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of features, whatever was configured before."""
    logger = logging.getLogger("forecastle.features")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "forecastle.features"):
        yield caplog
    logger.removeHandler(caplog.handler)


def _made(before: Candles, after: Candles) -> list[tuple[str, float, float, float, float, float]]:
    """Return the bars that were made up: hour or day of their open, and their numbers."""
    new = after.frame.join(before.frame, on="open_time", how="anti").sort("open_time")
    return [(f"{row[0]:%m-%d %H:%M}", *row[2:]) for row in new.rows()]


def test_a_hole_is_filled_with_flat_bars_up_to_the_limit(told: pytest.LogCaptureFixture) -> None:
    """Days 3 to 6 and 8 are missing; with a limit of 2 days 3, 4 and 8 are made of the closes of days 2 and 7."""
    whole = make_candles(10)
    candles = without(whole, 2, 3, 4, 5, 7)
    before = candles.frame.clone()
    second, seventh = whole.frame["close"][1], whole.frame["close"][6]
    filled = forward_fill(candles, 2)
    assert _made(candles, filled) == [
        ("01-03 00:00", second, second, second, second, 0.0),
        ("01-04 00:00", second, second, second, second, 0.0),
        ("01-08 00:00", seventh, seventh, seventh, seventh, 0.0),
    ]
    assert candles.frame.equals(before)
    assert filled.missing().astype("datetime64[D]").astype(str).tolist() == ["2024-01-05", "2024-01-06"]
    assert "forward_fill(2) put 3 bars into 5 of BTC-USDT 1d" in [r.getMessage() for r in told.records]


def test_the_step_has_a_name_and_does_the_same() -> None:
    candles = without(make_candles(10), 4)
    assert Fill(5).name == "forward_fill(5)"
    assert Fill(5) == Fill(5)
    assert Fill(5).apply(candles).frame.equals(forward_fill(candles, 5).frame)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(RequestInvalid, match=r"forward_fill has the limit"):
        forward_fill(make_candles(3), limit)


def test_there_is_no_backward_fill() -> None:
    assert [name for name in dir(gaps) if "back" in name.lower() or "bfill" in name.lower()] == []


def _slowly(candles: Candles, limit: int) -> list[tuple[object, ...]]:
    """Return all rows of a market that never closes after filling, bar by bar."""
    rows: list[tuple[object, ...]] = []
    for row in candles.frame.rows():
        step = row[1] - row[0]
        last = rows[-1] if rows else None
        count = 0
        while last is not None and last[1] < row[0] and count < limit:
            last = (last[1], last[1] + step, last[5], last[5], last[5], last[5], 0.0)
            rows.append(last)
            count += 1
        rows.append(row)
    return rows


@given(
    timeframe=st.sampled_from(["1m", "1h", "1d"]),
    holes=st.sets(st.integers(0, 59), max_size=50),
    limit=st.integers(1, 8),
)
def test_filling_agrees_with_a_slow_loop(timeframe: Timeframe, holes: set[int], limit: int) -> None:
    candles = without(make_candles(60, timeframe=timeframe), *holes)
    assert forward_fill(candles, limit).frame.rows() == _slowly(candles, limit)


@given(holes=st.sets(st.integers(1, 58), max_size=40), limit=st.integers(1, 8), at=st.integers(0, 59))
def test_the_future_changes_nothing(holes: set[int], limit: int, at: int) -> None:
    """Cut off, poisoned or not: what is filled before a bar that is there does not depend on what comes after it."""
    candles = without(make_candles(60), *holes)
    row = min(at, len(candles) - 1)
    end = candles.frame["close_time"][row]
    factor = pl.Series(np.where(np.arange(len(candles)) > row, 7.0, 1.0))
    poisoned = candles.frame.with_columns(pl.col("open", "high", "low", "close") * factor)
    later = Candles(candles.instrument, "1d", "test", poisoned, "none")
    wanted = forward_fill(candles, limit).between(end=end).frame
    assert forward_fill(candles.between(end=end), limit).frame.equals(wanted)
    assert forward_fill(later, limit).between(end=end).frame.equals(wanted)


def test_a_closed_exchange_is_no_hole() -> None:
    days = make_candles(20, start="2024-06-20", instrument="AAPL")
    assert forward_fill(days, 5).frame.equals(days.frame)
    filled = forward_fill(without(days, 3, 4), 1)
    assert [row[0] for row in _made(without(days, 3, 4), filled)] == ["06-25 13:30"]
    assert filled.frame["close_time"][3] == days.frame["close_time"][3]


def test_of_a_stocks_hours_only_whole_sessions_are_filled_and_wholly() -> None:
    """Sessions 3 and 4 of seven hours each are missing, and an hour of the sixth, which nobody can know."""
    hours = make_candles(70, timeframe="1h", instrument="AAPL")
    candles = without(hours, *range(14, 28), 37)
    assert _made(candles, forward_fill(candles, 6)) == []
    third = [f"{t:%m-%d %H:%M}" for t in hours.frame["open_time"][14:21]]
    for limit in (7, 13):
        assert [row[0] for row in _made(candles, forward_fill(candles, limit))] == third
    filled = forward_fill(candles, 14)
    assert filled.frame["open_time"].to_list() == without(hours, 37).frame["open_time"].to_list()
    assert filled.frame["close"][14:28].to_list() == [hours.frame["close"][13]] * 14
    assert filled.frame["close_time"][20] == hours.frame["close_time"][20]  # cut at the close of the session


def test_a_bar_that_would_overlap_is_not_made() -> None:
    """Hours at 0:00, 1:30 and 4:00: the calendar's 1:00 and 2:00 have no room, 3:00 has."""
    opens = moment("2024-01-01") + np.array([0, 90, 240]) * np.timedelta64(1, "m")
    candles = candles_at(opens, opens + np.timedelta64(1, "h"), timeframe="1h")
    assert [row[0] for row in _made(candles, forward_fill(candles, 5))] == ["01-01 03:00"]


def test_nothing_is_made_of_nothing() -> None:
    for count in (0, 1):
        assert len(forward_fill(make_candles(3).last(count), 5)) == count


def test_filled_bars_have_returns_of_zero_and_the_next_has_the_jump() -> None:
    whole = make_candles(10)
    returns = forward_fill(without(whole, 4, 5), 2).log_returns()
    assert returns.spanning_gaps == 0
    assert returns.values[3:5].tolist() == [0.0, 0.0]
    closes = whole.frame["close"]
    assert returns.values[5] == pytest.approx(np.log(closes[6] / closes[3]), rel=1e-12)


def test_closes_stay_closes() -> None:
    days = make_candles(7)
    flat = dict.fromkeys(("open", "high", "low"), days.frame["close"])
    closes = Candles(days.instrument, "1d", "test", days.frame.with_columns(**flat), "splits", "close")
    filled = forward_fill(without(closes, 3), 1)
    assert len(filled) == 7
    assert (forward_fill(closes, 1).prices, forward_fill(closes, 1).adjusted) == ("close", "splits")
