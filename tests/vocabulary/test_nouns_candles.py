"""Candles keep their rules, and their returns are one-bar returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from forecastle.errors import DataInvalid
from forecastle.nouns import CandleRow, Candles
from forecastle.nouns.candles import PRICES, SCHEMA, breaches
from forecastle.sessions import Timeframe
from making import BTC, candles_at, make_candles, utc, without

NEAR = st.sampled_from([1.0, 1.0000000000000002, 2.0, 3.0])
ODD = st.sampled_from([0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1.7e308, None])
NUMBER = st.one_of(NEAR, NEAR, NEAR, ODD, st.floats())
MOMENT = st.one_of(st.sampled_from([utc(2024), utc(2024) + timedelta(microseconds=1), utc(2024, 1, 2)]), st.none())
ROWS = st.fixed_dictionaries({"open_time": MOMENT, "close_time": MOMENT, **dict.fromkeys((*PRICES, "volume"), NUMBER)})
GOOD: dict[str, Any] = {
    "open_time": utc(2024), "close_time": utc(2024, 1, 2),
    "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 0.0,
}  # fmt: skip


def _accepted(row: dict[str, Any]) -> bool:
    try:
        CandleRow(**row)
    except ValidationError:
        return False
    return True


def _clean(row: dict[str, Any]) -> bool:
    frame = pl.DataFrame([row], schema=SCHEMA)
    return not any(frame.select(**breaches()).row(0))


@given(ROWS)
@example(GOOD)
@example(GOOD | {"high": 0.4})
@example(GOOD | {"volume": -1.0})
@example(GOOD | {"low": 1.2})
@example(GOOD | {"open_time": utc(2024, 1, 2)})
def test_one_row_at_a_time_and_all_at_once_the_rule_is_the_same(row: dict[str, Any]) -> None:
    """``CandleRow`` accepts a row exactly where the vectorised ``breaches()`` finds nothing."""
    assert _accepted(row) == _clean(row)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"close": math.nan}, "not_a_number"), ({"volume": math.inf}, "not_a_number"), ({"open": None}, "not_a_number"),
        ({"low": 0.0}, "non_positive"), ({"low": -1.0}, "non_positive"), ({"volume": -1e-9}, "negative_volume"),
        ({"high": 0.4}, "high_below_low"), ({"open": 2.1}, "outside_range"), ({"close": 0.4}, "outside_range"),
        ({"close_time": utc(2024)}, "time_order"), ({"close_time": utc(2023)}, "time_order"),
    ],
)  # fmt: skip
def test_each_breach_has_its_name_and_forbids_candles(change: dict[str, Any], kind: str) -> None:
    frame = pl.DataFrame([GOOD | change], schema=SCHEMA)
    assert frame.select(**breaches()).row(0, named=True)[kind]
    assert not _accepted(GOOD | change)
    with pytest.raises(DataInvalid, match=kind):
        Candles(BTC, "1d", "test", frame)


@pytest.mark.parametrize("field", [*PRICES, "volume"])
@pytest.mark.parametrize("wrong", ["1.0", True, b"1", [1.0], 1 + 0j])
def test_a_number_has_to_be_a_number(field: str, wrong: object) -> None:
    with pytest.raises(ValidationError, match=field):
        CandleRow(**(GOOD | {field: wrong}))


@pytest.mark.parametrize("wrong", ["2024-01-01T00:00Z", 1704067200, datetime(2024, 1, 1)])  # noqa: DTZ001
def test_a_time_has_to_be_a_moment(wrong: object) -> None:
    with pytest.raises(ValidationError, match="open_time"):
        CandleRow(**(GOOD | {"open_time": wrong}))


def test_a_field_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        CandleRow(**(GOOD | {"trades": 3}))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("reversed", lambda f: f.reverse()),
        ("one row twice", lambda f: pl.concat([f[:3], f[2:]])),
        ("same time, other values", lambda f: pl.concat([f[:3], f[2:].with_columns(volume=pl.col("volume") + 1)])),
        ("overlap by a microsecond", lambda f: f.with_columns(pl.col("close_time") + pl.duration(microseconds=1))),
    ],
)
def test_rows_are_sorted_unique_and_apart(name: str, spoil: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    good = make_candles(6)
    with pytest.raises(DataInvalid, match="not sorted, not unique or overlap"):
        replace(good, frame=spoil(good.frame))


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.drop("volume"),
        lambda f: f.with_columns(x=1),
        lambda f: f.with_columns(pl.col("close").cast(pl.Float32)),
        lambda f: f.with_columns(pl.col("open_time").dt.convert_time_zone("Asia/Tokyo")),
        lambda f: f.with_columns(pl.col("open_time").dt.replace_time_zone(None)),
        lambda f: f.select(reversed(f.columns)),
    ],
)
def test_columns_types_and_zone_are_fixed(change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    good = make_candles(3)
    with pytest.raises(DataInvalid, match="They have to be open_time Datetime"):
        replace(good, frame=change(good.frame))


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(DataInvalid, match="'2d' is no timeframe"):
        replace(make_candles(3), timeframe="2d")  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_columns_may_come_as_any_kind_of_time(unit: str) -> None:
    wanted = make_candles(4)
    columns: dict[str, Any] = {c: wanted.frame[c].to_list() for c in SCHEMA}
    opens, closes = wanted.times("open_time"), wanted.times("close_time")
    naive = columns | {
        "open_time": opens.astype(f"datetime64[{unit}]"),
        "close_time": closes.astype(f"datetime64[{unit}]"),
    }
    tokyo = columns | {
        c: [t.astimezone(ZoneInfo("Asia/Tokyo")) for t in columns[c]] for c in ("open_time", "close_time")
    }
    for given_ in (columns, naive, tokyo):
        assert Candles.from_columns(BTC, "1d", "test", given_, "none").frame.equals(wanted.frame)


# The hash ---------------------------------------------------------------------------------------------------------


def test_the_hash_changes_with_every_value_and_the_key() -> None:
    good = make_candles(5)
    hashes = [good.data_hash]
    for row in range(5):
        for name in (*PRICES, "volume"):
            column = good.frame[name].to_numpy().copy()
            # one unit in the last place, in the direction that keeps the bar's rules
            column[row] = np.nextafter(column[row], math.inf if name in ("high", "volume") else 0.0)
            if name in ("open", "close"):
                column[row] = (good.frame["low"][row] + good.frame["high"][row]) / 2
            hashes.append(replace(good, frame=good.frame.with_columns(pl.Series(name, column))).data_hash)
    later = good.frame.with_columns(pl.col("open_time", "close_time") + pl.duration(microseconds=1))
    shorter = good.frame.with_columns(pl.col("close_time") - pl.duration(microseconds=1))
    hashes += [replace(good, frame=later).data_hash, replace(good, frame=shorter).data_hash]
    hashes += [good.last(4).data_hash, replace(good, source="other").data_hash]
    hashes += [replace(good, adjusted="splits").data_hash, replace(good, timeframe="4h").data_hash]
    hashes.append(make_candles(5, instrument="ETH-USDT").data_hash)
    assert len(set(hashes)) == len(hashes)


def test_the_hash_is_of_what_the_candles_say_not_of_how_they_lie_in_memory() -> None:
    good = make_candles(9)
    pieces = pl.concat([good.frame[:2], good.frame[2:5], good.frame[5:]], rechunk=False)
    assert pieces.n_chunks() == 3
    assert replace(good, frame=pieces).data_hash == good.data_hash
    assert replace(good, frame=good.frame.reverse().sort("open_time")).data_hash == good.data_hash


# Returns ----------------------------------------------------------------------------------------------------------


def _recomputed(candles: Candles, expected_opens: list[np.datetime64]) -> dict[np.datetime64, float]:
    """The slow way: walk over the calendar, and take a return wherever two bars in a row are there."""
    close = dict(zip(candles.times("open_time"), candles.frame["close"], strict=True))
    return {b: math.log(close[b] / close[a]) for a, b in pairwise(expected_opens) if a in close and b in close}


@given(st.data(), st.sampled_from(["1m", "1h", "4h", "1d", "1w", "1mo"]))
def test_crypto_returns_leave_out_exactly_those_over_a_missing_bar(data: st.DataObject, timeframe: Timeframe) -> None:
    whole = make_candles(40, timeframe=timeframe, start="2024-03-04")
    gone = data.draw(st.sets(st.integers(0, 39), max_size=20))
    candles = without(whole, *gone)
    returns = candles.log_returns()
    expected = _recomputed(candles, list(whole.times("open_time")))
    np.testing.assert_allclose(returns.values, list(expected.values()), rtol=0, atol=1e-15)
    assert returns.spanning_gaps == max(len(candles) - 1, 0) - len(expected)
    ends = dict(zip(whole.times("open_time"), whole.times("close_time"), strict=True))
    assert returns.target_time.tolist() == [ends[o].tolist() for o in expected]
    assert bool((returns.as_of < returns.target_time).all())


@given(st.data())
def test_stock_returns_span_nights_weekends_and_holidays_but_no_missing_session(data: st.DataObject) -> None:
    """XNYS 2024-11-20 to 2025-01-24 by exchange_calendars itself: two half-days, three holidays, a day of mourning."""
    schedule = exchange_calendars.get_calendar("XNYS", start="2024-11-20", end="2025-01-24").schedule
    opens = schedule["open"].dt.tz_localize(None).to_numpy("datetime64[us]")
    closes = schedule["close"].dt.tz_localize(None).to_numpy("datetime64[us]")
    whole = candles_at(opens, closes, instrument="AAPL")
    gone = data.draw(st.sets(st.integers(0, opens.size - 1), max_size=15))
    candles = without(whole, *gone)
    returns = candles.log_returns()
    expected = _recomputed(candles, list(opens))
    np.testing.assert_allclose(returns.values, list(expected.values()), rtol=0, atol=1e-15)
    assert returns.spanning_gaps == max(len(candles) - 1, 0) - len(expected)
    assert candles.missing().tolist() == [
        o.tolist() for o in opens if candles.times("open_time").size and o not in candles.times("open_time")
        and candles.times("open_time")[0] < o < candles.times("open_time")[-1]
    ]  # fmt: skip


def test_a_stocks_days_over_both_clock_changes_have_no_gap() -> None:
    """New York 2024: the open moves from 14:30 to 13:30 UTC on 03-11 and back on 11-04."""
    candles = make_candles(252, start="2024-01-01", instrument="AAPL")
    opens = {str(o)[:10]: str(o)[11:16] for o in candles.times("open_time")}
    assert [opens[d] for d in ("2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04")] == [
        "14:30", "13:30", "13:30", "14:30",
    ]  # fmt: skip
    assert candles.missing().size == 0
    assert len(candles.log_returns()) == 251


def test_hours_of_a_stock_miss_whole_sessions_only() -> None:
    """Inside a session venues cut hours differently, so that a missing hour there is no gap; a missing day is one."""
    hours = make_candles(7 * 20, start="2024-01-02", timeframe="1h", instrument="AAPL")
    assert without(hours, 3).missing().size == 0
    thursday = [i for i, o in enumerate(hours.times("open_time")) if str(o).startswith("2024-01-11")]
    assert len(thursday) == 7
    gap = without(hours, *thursday)
    assert [str(m)[:16] for m in gap.missing()] == ["2024-01-11T14:30"]
    assert gap.log_returns().spanning_gaps == 1
    assert hours.log_returns().spanning_gaps == 0


def test_recent_is_the_shortest_tail_with_so_many_returns() -> None:
    """A hole costs a return: the tail reaches further back by one bar."""
    candles = without(make_candles(30), 25)
    tail = candles.recent(10)
    assert len(tail.log_returns()) == 10
    assert len(tail) == 12
    assert tail.end == candles.end
    np.testing.assert_array_equal(tail.log_returns().values, candles.log_returns().values[-10:])
    assert candles.recent(1000) is candles


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_bars_have_no_returns(n: int) -> None:
    returns = make_candles(3).last(n).log_returns()
    assert (len(returns), returns.spanning_gaps) == (0, 0)


# Cutting ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 30 * 24), st.integers(0, 30 * 24))
def test_between_takes_bars_that_open_and_close_inside(first: int, last: int) -> None:
    candles = make_candles(30)
    start, end = (datetime(2023, 12, 31, tzinfo=UTC) + timedelta(hours=h) for h in (first, last))
    got = candles.between(start, end).frame
    wanted = [r for r in candles.frame.rows() if r[0] >= start and r[1] <= end]
    assert got.rows() == wanted


def test_empty_candles_have_no_start() -> None:
    empty = make_candles(3).last(0)
    assert (len(empty), repr(empty)) == (0, "Candles(BTC-USDT, 1d, test, 0 bars, empty)")
    with pytest.raises(DataInvalid, match="no candles of BTC-USDT here"):
        _ = empty.start


def test_pandas_sees_each_row_at_the_moment_it_may_be_used() -> None:
    candles = make_candles(4, instrument="AAPL")
    table = candles.to_pandas()
    assert list(table.index) == candles.frame["close_time"].to_list()
    assert list(table["open_time"]) == candles.frame["open_time"].to_list()
    assert table["close"].to_list() == candles.frame["close"].to_list()
    assert str(table.index.dtype) == "datetime64[us, UTC]"


def test_a_session_that_begins_on_the_evening_before_is_missed_where_it_is_absent() -> None:
    """Sydney opens at 23:00 UTC in summer; a return across two nights is no one-bar return."""
    hours = make_candles(60, start="2024-03-04", timeframe="1h", instrument="BHP.XASX")
    assert hours.missing().size == 0
    opens = hours.times("open_time")
    sessions, _ = hours.calendar.bars(opens[0] - np.timedelta64(2, "D"), opens[-1], "1d")
    gone = sessions[4]
    kept = [not (gone <= t < sessions[5]) for t in opens]
    holed = Candles(hours.instrument, "1h", "test", hours.frame.filter(pl.Series(kept)))
    assert holed.missing().tolist() == [gone.astype("datetime64[us]").tolist()]
    assert holed.log_returns().spanning_gaps == 1
