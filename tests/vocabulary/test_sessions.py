"""When markets are open: against exchange_calendars itself, and against the clock for markets that never close."""

from __future__ import annotations

import calendar as clock_calendar
from datetime import datetime, timedelta
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecastle.errors import ForecastRefused, NameUnknown
from forecastle.sessions import Timeframe, Times, calendar, step_of
from making import moment

XNYS = calendar("XNYS")
CRYPTO = calendar("24/7")
DAY = np.timedelta64(1, "D")


def _theirs(market: str, start: str, end: str) -> pd.DataFrame:
    schedule: pd.DataFrame = exchange_calendars.get_calendar(market, start=start, end=end).schedule
    return schedule


def _us(column: Any) -> Times:
    return np.asarray(column.dt.tz_localize(None).to_numpy("datetime64[us]"))


def _days(market: str, start: str, end: str) -> dict[str, tuple[str, str]]:
    """Return {date of the close: (open, close) as hh:mm UTC}."""
    opens, closes = calendar(market).bars(moment(start), moment(end), "1d")
    return {str(c)[:10]: (str(o)[11:16], str(c)[11:16]) for o, c in zip(opens, closes, strict=True)}


@pytest.mark.parametrize("market", ["XNYS", "XLON", "XTKS", "XASX", "XHKG"])
def test_daily_bars_are_the_sessions_of_the_exchange(market: str) -> None:
    theirs = _theirs(market, "2009-06-01", "2021-06-30")
    opens, closes = calendar(market).bars(moment("2009-05-31T12"), moment("2021-06-30T20"), "1d")
    assert opens.tolist() == _us(theirs["open"]).tolist()
    assert closes.tolist() == _us(theirs["close"]).tolist()


def test_new_york_closed_for_the_towers_and_the_storm() -> None:
    """NYSE: shut from 2001-09-11 to 09-14, on 2012-10-29 and 10-30 (Sandy), on 2018-12-05 (mourning)."""
    assert list(_days("XNYS", "2001-09-10", "2001-09-18")) == ["2001-09-10", "2001-09-17"]
    assert list(_days("XNYS", "2012-10-26", "2012-11-01")) == ["2012-10-26", "2012-10-31"]
    assert list(_days("XNYS", "2018-12-04", "2018-12-07")) == ["2018-12-04", "2018-12-06"]


def test_half_days_close_at_one_o_clock() -> None:
    """13:00 in New York is 18:00 UTC in winter: the day after Thanksgiving and Christmas Eve 2024."""
    days = _days("XNYS", "2024-11-27", "2024-12-27")
    short = {d for d, (_, close) in days.items() if close == "18:00"}
    assert short == {"2024-11-29", "2024-12-24"}
    assert {close for d, (_, close) in days.items() if d not in short} == {"21:00"}


def test_the_open_moves_with_new_yorks_clock() -> None:
    days = _days("XNYS", "2024-01-01", "2025-01-01")
    summer = [d for d, (o, _) in days.items() if o == "13:30"]
    assert (summer[0], summer[-1]) == ("2024-03-11", "2024-11-01")
    assert {o for o, _ in days.values()} == {"13:30", "14:30"}
    assert len(days) == 252


def test_hours_step_from_the_open_and_are_cut_at_the_close() -> None:
    opens, closes = XNYS.bars(moment("2024-11-29"), moment("2024-11-30"), "1h")  # a half-day of 3.5 hours
    assert [str(o)[11:16] for o in opens] == ["14:30", "15:30", "16:30", "17:30"]
    assert [str(c)[11:16] for c in closes] == ["15:30", "16:30", "17:30", "18:00"]


@pytest.mark.parametrize(("timeframe", "rule"), [("1w", "W-SUN"), ("1mo", "M")])
@pytest.mark.parametrize("market", ["XNYS", "XASX"])
def test_weeks_and_months_run_from_first_open_to_last_close(market: str, timeframe: Timeframe, rule: str) -> None:
    """Against pandas periods of the session dates; Sydney opens on the evening before, in UTC."""
    theirs = _theirs(market, "2022-12-01", "2025-02-28")
    groups = theirs.groupby(pd.DatetimeIndex(theirs.index).to_period(rule))
    wanted = [
        (first, last)
        for first, last in zip(_us(groups["open"].min()), _us(groups["close"].max()), strict=True)
        if moment("2023-01-15") <= first < moment("2025-01-01")
    ]
    opens, closes = calendar(market).bars(moment("2023-01-15"), moment("2025-01-01"), timeframe)
    assert list(zip(opens, closes, strict=True)) == wanted


@given(
    st.datetimes(datetime(2012, 1, 1), datetime(2029, 1, 1)), st.integers(1, 40),  # noqa: DTZ001
    st.sampled_from(["15m", "1h", "4h", "1d", "1w", "1mo"]), st.sampled_from(["XNYS", "XTKS", "24/7"]),
)  # fmt: skip
def test_next_closes_are_the_closes_of_the_bars_that_follow(
    near: datetime, count: int, timeframe: Timeframe, market: str
) -> None:
    start = np.datetime64(near, "us")
    _, closes = calendar(market).bars(start, start + 45 * DAY, timeframe)
    after = closes[0]
    got = calendar(market).next_closes(after, timeframe, count)
    assert got.size == count
    known = min(count, closes.size - 1)
    assert got[:known].tolist() == closes[1 : 1 + known].tolist()
    assert bool((np.diff(got) > np.timedelta64(0, "us")).all())


@given(
    st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1)), st.integers(0, 3 * 24 * 60),  # noqa: DTZ001
    st.sampled_from(["1m", "5m", "15m", "30m", "1h", "4h"]),
)  # fmt: skip
def test_crypto_bars_lie_on_the_utc_clock(start: datetime, minutes: int, timeframe: Timeframe) -> None:
    length = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240}[timeframe]
    end = start + timedelta(minutes=minutes)
    opens, closes = CRYPTO.bars(np.datetime64(start, "us"), np.datetime64(end, "us"), timeframe)
    midnight = datetime(start.year, start.month, start.day)  # noqa: DTZ001
    slots = [midnight + timedelta(minutes=length * i) for i in range(5 * 1440 // length)]
    assert opens.tolist() == [s for s in slots if start <= s < end]
    assert closes.tolist() == [s + timedelta(minutes=length) for s in opens.tolist()]


@given(st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1)), st.integers(0, 900))  # noqa: DTZ001
def test_crypto_weeks_begin_on_monday_and_months_on_their_first(start: datetime, days: int) -> None:
    end = start + timedelta(days=days)
    every = [datetime(2008, 12, 1) + timedelta(days=i) for i in range(9000)]  # noqa: DTZ001
    weeks, week_ends = CRYPTO.bars(np.datetime64(start, "us"), np.datetime64(end, "us"), "1w")
    assert weeks.tolist() == [d for d in every if d.weekday() == 0 and start <= d < end]
    assert (week_ends - weeks).tolist() == [timedelta(days=7)] * weeks.size
    months, month_ends = CRYPTO.bars(np.datetime64(start, "us"), np.datetime64(end, "us"), "1mo")
    assert months.tolist() == [d for d in every if d.day == 1 and start <= d < end]
    lengths = [clock_calendar.monthrange(d.year, d.month)[1] for d in months.tolist()]
    assert (month_ends - months).tolist() == [timedelta(days=n) for n in lengths]


def test_bars_per_year() -> None:
    assert [CRYPTO.periods_per_year(t) for t in ("1m", "1h", "4h", "1d", "1mo")] == [525600, 8760, 2190, 365, 12]
    assert CRYPTO.periods_per_year("1w") == pytest.approx(365 / 7)
    assert [XNYS.periods_per_year(t) for t in ("1d", "1w", "1mo")] == [252, 52, 12]
    # New York trades 6.5 hours: 390 minutes, 26 quarters, six full hours and a half one
    assert [XNYS.periods_per_year(t) for t in ("1m", "15m", "1h", "4h")] == [252 * 390, 252 * 26, 252 * 7, 252 * 2]


@pytest.mark.parametrize(("wrong", "meant"), [("XNYQ", "XNYS"), ("xnys", "XNYS"), ("XTKZ", "XTKS")])
def test_an_unknown_market_is_named_with_the_nearest_one(wrong: str, meant: str) -> None:
    market = calendar(wrong)
    with pytest.raises(NameUnknown, match=f"no market named '{wrong}'") as refused:
        market.bars(moment("2024-01-01"), moment("2024-02-01"), "1d")
    assert refused.value.hint == f"Did you mean '{meant}'?"


def test_before_the_records_of_a_market_begin_it_has_no_bars() -> None:
    """exchange_calendars knows Tokyo from 1997 on."""
    tokyo = calendar("XTKS")
    assert tokyo.bars(moment("1980-01-01"), moment("1985-01-01"), "1d")[0].size == 0
    opens, _ = tokyo.bars(moment("1995-01-01"), moment("1998-01-01"), "1d")
    assert str(opens[0])[:4] == "1997"
    for far in ("2400-01-01", "9998-01-01"):
        assert XNYS.bars(moment(far), moment(far) + 90 * DAY, "1d")[0].size == 0


def test_a_month_has_no_fixed_length() -> None:
    assert step_of("1mo") is None
    assert step_of("4h") == np.timedelta64(4, "h")
    assert step_of("1w") == np.timedelta64(7, "D")


def test_a_lunch_break_is_no_trading() -> None:
    """Tokyo rests from 11:30 to 12:30 local time (2:30 to 3:30 UTC) and closes at 15:30 since November 2024."""
    opens, closes = calendar("XTKS").bars(np.datetime64("2025-01-06", "us"), np.datetime64("2025-01-07", "us"), "1h")
    spans = [f"{str(a)[11:16]}-{str(b)[11:16]}" for a, b in zip(opens, closes, strict=True)]
    assert spans == ["00:00-01:00", "01:00-02:00", "02:00-02:30", "03:30-04:30", "04:30-05:30", "05:30-06:30"]
    assert calendar("XTKS").periods_per_year("1h") == 252 * 6
    assert calendar("XNYS").periods_per_year("1h") == 252 * 7


def test_a_horizon_beyond_the_records_is_refused() -> None:
    """Shanghai publishes its holidays a year ahead: nothing is known, and nothing said, of what comes after."""
    last = calendar("XSHG").bars(np.datetime64("2025-01-01", "us"), np.datetime64("2030-01-01", "us"), "1d")[1][-1]
    with pytest.raises(ForecastRefused, match="of the next 5 bars"):
        calendar("XSHG").next_closes(last - np.timedelta64(2, "D"), "1d", 5)
