"""Rows are parted without loss: what stays can become candles, what goes has its reasons."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forecastle.nouns import CandleRow, Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.quality import Sifted, report_of_rows, sift
from making import days_after, make_candles, utc

BTC = Instrument.parse("BTC-USDT")
FIRST = utc(2024)
Row = dict[str, Any]


def _row(hour: int, minutes: int = 60, **other: Any) -> Row:
    opens = FIRST + timedelta(hours=hour)
    prices = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 5.0}
    return {"open_time": opens, "close_time": opens + timedelta(minutes=minutes), **prices, **other}


def _frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def _valid(row: Row) -> bool:
    try:
        CandleRow.model_validate(row)
    except ValidationError:
        return False
    return True


def _slow(rows: list[Row]) -> tuple[list[Row], int]:
    """Return the rows that stay and how many exact repeats are dropped: row by row, with nothing of the fast way."""
    keys = [tuple(map(repr, row.values())) for row in rows]
    said: dict[datetime, set[Any]] = {}
    for row, key in zip(rows, keys, strict=True):
        said.setdefault(row["open_time"], set()).add(key)
    fine, seen = [], set()
    repeats = 0
    for row, key in zip(rows, keys, strict=True):
        if not _valid(row) or len(said[row["open_time"]]) > 1:
            continue
        repeats += key in seen
        if key not in seen:
            fine.append(row)
        seen.add(key)
    fine.sort(key=lambda row: row["open_time"])
    overlapping = sum(b["open_time"] < a["close_time"] for a, b in itertools.pairwise(fine))
    if len(fine) > 3 and overlapping > (len(fine) - 1) / 2:
        return [], repeats
    stay: list[Row] = []
    for row in fine:
        if not stay or row["open_time"] >= stay[-1]["close_time"]:
            stay.append(row)
    return stay, repeats


rows_of_any_kind = st.lists(
    st.builds(
        _row,
        st.integers(0, 9),
        minutes=st.sampled_from([60, 60, 60, 90, 200, -5]),
        close=st.sampled_from([11.0, 11.0, 11.0, 10.5, 99.0, -1.0, float("nan"), float("inf")]),
        volume=st.sampled_from([5.0, 5.0, 5.0, 6.0, -2.0]),
    ),
    max_size=14,
)


@given(rows_of_any_kind)
def test_it_says_what_going_row_by_row_says(rows: list[Row]) -> None:
    done = sift(_frame(rows))
    stay, repeats = _slow(rows)
    assert done.rows.to_dicts() == stay
    assert done.rows.height + done.quarantined.height + repeats == len(rows)
    assert sum(f.count for f in done.findings if f.kind == "duplicate") == repeats
    assert (done.quarantined["reason"].str.len_chars() > 0).all()


@given(rows_of_any_kind)
def test_what_stays_can_become_candles_and_stays_when_sifted_again(rows: list[Row]) -> None:
    done = sift(_frame(rows))
    Candles(BTC, "1h", "test", done.rows)
    again = sift(done.rows)
    assert (again.rows.equals(done.rows), again.quarantined.height, again.findings) == (True, 0, ())


@given(rows_of_any_kind)
def test_every_finding_counts_the_rows_that_carry_its_reason(rows: list[Row]) -> None:
    done = sift(_frame(rows))
    reasons = Counter(r for text in done.quarantined["reason"] for r in text.split(", "))
    assert reasons == {f.kind: f.count for f in done.findings if f.severity == "invalid"}


def _reasons(done: Sifted) -> list[tuple[float, str]]:
    return [(row["volume"], row["reason"]) for row in done.quarantined.to_dicts()]


def test_a_row_that_breaks_several_rules_has_all_their_names() -> None:
    done = sift(_frame([_row(0), _row(1, close=-1.0, volume=-2.0)]))
    assert _reasons(done) == [(-2.0, "non_positive, negative_volume, outside_range")]


def test_the_quarantine_keeps_the_rows_as_they_were_in_their_order() -> None:
    rows = [_row(5, volume=-1.0), _row(0), _row(2, volume=-2.0), _row(1)]
    done = sift(_frame(rows))
    assert done.quarantined.drop("reason").to_dicts() == [rows[0], rows[2]]
    assert done.rows["open_time"].to_list() == [rows[1]["open_time"], rows[3]["open_time"]]


def test_rows_of_one_time_that_differ_all_go_and_repeats_among_them_too() -> None:
    done = sift(_frame([_row(0), _row(1), _row(1, volume=6.0), _row(1), _row(2)]))
    assert _reasons(done) == [
        (5.0, "conflicting_duplicate"),
        (6.0, "conflicting_duplicate"),
        (5.0, "conflicting_duplicate"),
    ]
    assert done.rows["open_time"].dt.hour().to_list() == [0, 2]


def test_of_bars_that_overlap_the_later_one_goes_and_the_next_is_measured_by_what_stays() -> None:
    rows = [_row(0, minutes=150, volume=1.0), _row(1, minutes=120, volume=2.0), _row(3, volume=3.0), _row(4), _row(5)]
    done = sift(_frame(rows))
    assert _reasons(done) == [(2.0, "overlap")]
    assert done.rows["volume"].to_list() == [1.0, 3.0, 5.0, 5.0]


def test_rows_of_another_timeframe_go_altogether() -> None:
    done = sift(_frame([_row(min(hour, 7), minutes=1440) for hour in range(9)]))  # the last one stands there twice
    assert (done.rows.height, set(done.quarantined["reason"])) == (0, {"wrong_step"})
    assert [(f.kind, f.severity, f.count) for f in done.findings] == [
        ("wrong_step", "invalid", 8),
        ("duplicate", "note", 1),
    ]


def test_a_time_that_is_missing_is_a_breach_and_no_duplicate() -> None:
    done = sift(_frame([_row(0), _row(1, open_time=None), _row(2, open_time=None, volume=6.0)]))
    assert _reasons(done) == [(5.0, "time_order"), (6.0, "time_order")]


@pytest.mark.parametrize("rows", [[], [_row(0)]])
def test_few_rows_are_no_trouble(rows: list[Row]) -> None:
    done = sift(_frame(rows))
    assert (done.rows.to_dicts(), done.quarantined.height, done.findings) == (rows, 0, ())
    assert done.quarantined.columns == [*SCHEMA, "reason"]


def test_the_report_of_rows_tells_holes_and_a_bad_price_is_none() -> None:
    frame = make_candles(10).frame
    bad = frame.with_columns(close=pl.when(pl.int_range(pl.len()) == 0).then(-1.0).otherwise("close"))
    report = report_of_rows(BTC, "1d", "test", bad.filter(pl.col("open_time") != days_after(FIRST, 5)[4]))
    assert [(f.kind, f.count) for f in report.findings] == [("non_positive", 1), ("outside_range", 1), ("gap", 1)]
    assert (report.rows, report.start, report.end) == (9, FIRST, utc(2024, 1, 11))
