"""Planted errors are found at their bar, and a market that moves is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import PRICES, SCHEMA
from forecastle.quality import flags, inspect_candles
from forecastle.sessions import Timeframe
from forecastle.sources.simulated import Simulated
from making import make_candles, without

BAR = 200
Change = Callable[[pl.DataFrame], pl.DataFrame]
row = pl.int_range(pl.len())


def _market(instrument: str = "BTC-USDT", timeframe: Timeframe = "1d", seed: int = 1, bars: int = 400) -> Candles:
    return Simulated(seed=seed).fetch(Instrument.parse(instrument), timeframe, None, None).last(bars)


def _changed(candles: Candles, change: Change) -> Candles:
    frame = change(candles.frame)
    frame = frame.with_columns(high=pl.max_horizontal(PRICES), low=pl.min_horizontal(PRICES)).select(list(SCHEMA))
    return Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted, candles.prices)


def _times(where: pl.Expr, factor: float, *columns: str) -> Change:
    return lambda f: f.with_columns(pl.when(where).then(pl.col(c) * factor).otherwise(c) for c in columns or PRICES)


def _found(candles: Candles) -> list[tuple[int, str]]:
    places = {moment: place for place, moment in enumerate(candles.frame["open_time"])}
    return [(places[r["open_time"]], r["kind"]) for r in flags(candles).to_dicts()]


def _unadjusted(ratio: float) -> Change:
    """A split: the price divided, the shares multiplied."""
    return lambda f: _times(row >= BAR, ratio, "volume")(_times(row >= BAR, 1 / ratio)(f))


@pytest.mark.parametrize("instrument", ["BTC-USDT", "AAPL", "SPX.INDEX"])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (_times(row == BAR, 1.6, "close"), "jump"),
        (_times(row == BAR, 0.6, "close"), "jump"),
        (_times(row == BAR, 1.6, "open"), "jump"),
        (_times(row == BAR, 0.55), "jump"),
        (_times(row == BAR, 9.0, "high"), "jump"),
        (_times(row == BAR, 0.1, "low"), "jump"),
        (_times(row == BAR, 100.0), "wrong_unit"),
        (_times(row == BAR, 0.01, "close"), "wrong_unit"),
        (_times(row == BAR, 0.01, "open"), "wrong_unit"),
        (_times((row >= BAR) & (row < BAR + 40), 0.01), "wrong_unit"),
        (_times(row >= BAR, 1000.0), "redenomination"),
    ],
)
def test_a_planted_error_is_found_at_its_bar_and_only_there(instrument: str, change: Change, kind: str) -> None:
    clean = _market(instrument)
    assert _found(clean) == []
    assert _found(_changed(clean, change)) == [(BAR, kind)]


@pytest.mark.parametrize("ratio", [2.0, 3.0, 7.0, 20.0, 1.5, 0.1])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_split_nobody_adjusted_for_is_found(ratio: float, seed: int) -> None:
    assert _found(_changed(_market("AAPL", seed=seed), _unadjusted(ratio))) == [(BAR, "split")]


def test_news_of_the_size_of_a_split_brings_volume_and_is_none() -> None:
    fall = _times(row >= BAR, 0.5)
    crowd = _times(row == BAR, 30.0, "volume")
    assert _found(_changed(_market("AAPL"), lambda f: crowd(fall(f)))) == []


def test_a_crash_that_trades_its_way_down_and_back_is_no_error() -> None:
    """Thirty percent within a bar and back within the next, as on 2020-03-12: no step between bars."""

    def crash(frame: pl.DataFrame) -> pl.DataFrame:
        down = frame.with_columns(pl.when(row == BAR).then(pl.col("close") * 0.6).otherwise("close").alias("close"))
        opens = pl.col("close").shift(1).fill_null(pl.col("open"))
        return down.with_columns(open=opens)

    assert _found(_changed(_market(), crash)) == []


def test_coins_are_not_split_and_a_power_of_ten_is_another_unit() -> None:
    coin = _market("BTC-USDT")
    assert _found(_changed(coin, _unadjusted(3.0))) == []
    assert _found(_changed(coin, _unadjusted(10.0))) == [(BAR, "redenomination")]


def _far(candles: Candles, days: int) -> Candles:
    """Move the bars from BAR on so many days later."""
    shift = pl.when(row >= BAR).then(pl.duration(days=days)).otherwise(pl.duration(days=0))
    frame = candles.frame.with_columns(pl.col("open_time") + shift, pl.col("close_time") + shift)
    return Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted)


@pytest.mark.parametrize("column", ["price", "volume"])
def test_another_company_after_a_long_hole_is_told_and_a_mere_hole_is_not(column: str) -> None:
    stock = _far(_market("AAPL"), 7 * 60)
    other = _times(row >= BAR, 40.0, *(PRICES if column == "price" else ("volume",)))
    assert _found(stock) == []
    assert _found(_changed(stock, other)) == [(BAR, "two_companies")]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from([("BTC-USDT", "1d"), ("AAPL", "1d"), ("SPX.INDEX", "1d"), ("ETH-USDT", "1h")]),
)
def test_made_up_markets_without_errors_have_at_most_one_flag_a_year(seed: int, kind: tuple[str, Timeframe]) -> None:
    candles = Simulated(seed=seed).fetch(Instrument.parse(kind[0]), kind[1], None, datetime(2020, 1, 1, tzinfo=UTC))
    years = Counter(flags(candles)["open_time"].dt.year())
    assert max(years.values(), default=0) <= 1


@given(cut=st.integers(BAR + 25, 399), kind=st.sampled_from(["spike", "split", "company"]))
@settings(max_examples=15)
def test_what_follows_later_changes_nothing_that_was_said(cut: int, kind: str) -> None:
    change = {"spike": _times(row == BAR, 0.55), "split": _unadjusted(2.0), "company": _times(row >= BAR, 40.0)}[kind]
    stock = _market("AAPL")
    whole = _changed(_far(stock, 420) if kind == "company" else stock, change)
    early = Candles(whole.instrument, "1d", whole.source, whole.frame.head(cut))
    assert _found(early) == _found(whole) != []


def test_with_closes_alone_only_a_long_spike_counts() -> None:
    def closes(candles: Candles, factor: float) -> Candles:
        close = pl.when(row == BAR).then(pl.col("close") * factor).otherwise("close")
        frame = candles.frame.with_columns(close=close).with_columns(open="close", high="close", low="close")
        return Candles(candles.instrument, "1d", "test", frame, prices="close")

    coin = _market("BTC-USDT")
    assert _found(closes(coin, 1.0)) == []
    assert _found(closes(coin, 1.5)) == []
    assert _found(closes(coin, 4.0)) == [(BAR, "jump")]


def _idle(*bars: int) -> Change:
    still = row.is_in(bars)
    return lambda f: f.with_columns(
        *(pl.when(still).then(pl.col("close")).otherwise(c).alias(c) for c in PRICES),
        volume=pl.when(still).then(0.0).otherwise("volume"),
    )


def test_idle_bars_and_bars_that_come_twice_are_stale() -> None:
    candles = make_candles(60)
    idle = Candles(candles.instrument, "1d", "test", _idle(7, 9)(candles.frame))
    assert _found(idle) == [(7, "stale"), (9, "stale")]
    twice = candles.frame.with_columns(
        pl.when(row == 30).then(pl.col(c).shift(1)).otherwise(c).alias(c) for c in (*PRICES, "volume")
    )
    assert _found(Candles(candles.instrument, "1d", "test", twice)) == [(30, "stale")]


@pytest.mark.parametrize(
    ("length", "prices", "stale"), [(4, "ohlc", 0), (5, "ohlc", 4), (9, "close", 0), (10, "close", 9)]
)
def test_without_volumes_a_price_has_to_stand_still_for_long(length: int, prices: str, stale: int) -> None:
    """An index or a fund has no volume: a day without a move is no finding, a week of them is."""
    candles = make_candles(60)
    still = (row >= 20) & (row < 20 + length)
    value = pl.when(still).then(pl.col("close").get(20)).otherwise("close")
    flat = candles.frame.with_columns(*(value.alias(c) for c in PRICES), volume=0.0)
    done = flags(Candles(candles.instrument, "1d", "test", flat, prices=prices))  # type: ignore[arg-type]
    assert done.height == stale


def test_bars_of_another_timeframe_are_told() -> None:
    days = make_candles(40)
    hours = Candles(
        days.instrument, "1h", "test", days.frame.with_columns(close_time=pl.col("open_time").dt.offset_by("1h"))
    )
    found = {f.kind: f.count for f in inspect_candles(hours).findings}
    assert found["wrong_step"] == 39
    assert "wrong_step" not in {f.kind for f in inspect_candles(without(days, 3, 4, 9)).findings}


def test_a_series_that_stopped_is_told_where_the_time_is_known() -> None:
    candles = make_candles(30)
    assert inspect_candles(candles, datetime(2024, 2, 6, tzinfo=UTC)).findings == ()
    (late,) = inspect_candles(candles, datetime(2024, 3, 1, tzinfo=UTC)).findings
    assert (late.kind, late.severity, late.first) == ("ended", "note", "2024-01-31 00:00 UTC")
    assert late.detail.startswith("30 bars")


def _ended(candles: Candles, now: str) -> bool:
    found = inspect_candles(candles, datetime.fromisoformat(now).replace(tzinfo=UTC)).findings
    return "ended" in {f.kind for f in found}


def test_holidays_are_no_end() -> None:
    """After Christmas ten sessions take 18 days in New York, and three weeks in Shanghai's October."""
    last = candles_until("AAPL", "2024-12-20T21:00")
    assert not _ended(last, "2025-01-03T22:00")  # 23, 24, 26, 27, 30, 31 December, 2 and 3 January
    assert not _ended(last, "2025-01-06T22:00")
    assert _ended(last, "2025-01-07T21:00")  # the tenth
    golden_week = candles_until("600519.XSHG", "2024-09-30T07:00")
    assert not _ended(golden_week, "2024-10-18T07:00")  # closed from 1 to 7 October: nine bars
    assert _ended(golden_week, "2024-10-21T07:00")


def candles_until(instrument: str, close: str) -> Candles:
    """Return the days of an instrument up to the one that closes at ``close``."""
    candles = make_candles(200, start="2024-06-03", instrument=instrument)
    until = candles.between(end=datetime.fromisoformat(close).replace(tzinfo=UTC))
    assert until.end == datetime.fromisoformat(close).replace(tzinfo=UTC)
    return until


def test_a_weekend_and_a_long_bar_are_no_end() -> None:
    friday = make_candles(40, start="2024-05-27", timeframe="1h", instrument="AAPL")
    assert not _ended(friday, str((friday.end + timedelta(days=3)).replace(tzinfo=None)))
    weeks = make_candles(30, start="2023-01-02", timeframe="1w")
    assert not _ended(weeks, str((weeks.end + timedelta(weeks=9, days=6)).replace(tzinfo=None)))
    assert _ended(weeks, str((weeks.end + timedelta(weeks=10)).replace(tzinfo=None)))


def test_now_may_be_told_in_any_zone_and_may_lie_before_the_end() -> None:
    candles = make_candles(30)
    tenth, east = candles.end + timedelta(days=10), timezone(timedelta(hours=14))
    early = (tenth - timedelta(hours=1)).astimezone(east)  # its wall clock says a day later
    assert "ended" not in {f.kind for f in inspect_candles(candles, early).findings}
    assert "ended" in {f.kind for f in inspect_candles(candles, tenth.astimezone(east)).findings}
    assert inspect_candles(candles, candles.start).findings == ()


def test_what_was_made_up_does_not_stop() -> None:
    assert not _ended(_market(), "2026-01-01")


def test_the_first_and_last_bars_are_never_spikes() -> None:
    """A listing day that opens far from where it closes has no bar before it to differ from."""
    for place in (0, 399):
        assert _found(_changed(_market(), _times(row == place, 1.5, "close" if place else "open"))) == []


def test_few_bars_are_judged_with_caution() -> None:
    assert flags(make_candles(2)).height == 0
    assert np.all([flags(make_candles(n, seed=n)).height == 0 for n in range(3, 12)])
