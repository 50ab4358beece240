"""Realised measures against sums written out, range estimators against numbers worked by hand, the regressors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest

from forecastle.models._design import design_of, design_of_returns, terms_of
from forecastle.models.realized import (
    garman_klass,
    measures_of,
    parkinson,
    rogers_satchell,
    trailing_mean,
)
from forecastle.nouns import Candles, History, Instrument
from hourly import daily_of, hourly_market, vix_beside
from making import make_candles, moment, without


@pytest.fixture(scope="module")
def market() -> History:
    return hourly_market("BTC-USDT", 60, 1)


def _one_bar(begin: float, high: float, low: float, close: float) -> Candles:
    columns = {
        "open_time": np.array([moment("2024-01-01")]), "close_time": np.array([moment("2024-01-02")]),
        "open": [begin], "high": [high], "low": [low], "close": [close], "volume": [1.0],
    }  # fmt: skip
    return Candles.from_columns(Instrument.parse("BTC-USDT"), "1d", "test", columns, "none")


def test_range_estimators_of_one_bar_worked_out_by_hand() -> None:
    """Open 100, high 110, low 95, close 105, by the formulas of the papers on a pocket calculator."""
    bar = _one_bar(100.0, 110.0, 95.0, 105.0)
    # ln(110/95) = 0.1466034742, ln(105/100) = 0.0487901642; ln(110/105) = 0.0465200156, ln(110/100) = 0.0953101798,
    # ln(95/105) = -0.1000834586, ln(95/100) = -0.0512932944
    assert parkinson(bar)[0] == pytest.approx(0.02149257865 / 2.77258872224, rel=1e-8)
    assert garman_klass(bar)[0] == pytest.approx(0.5 * 0.02149257865 - 0.38629436112 * 0.00238048012, rel=1e-8)
    expected = 0.0465200156 * 0.0953101798 + 0.1000834586 * 0.0512932944
    assert rogers_satchell(bar)[0] == pytest.approx(expected, rel=1e-7)


def test_range_estimators_find_the_variance_of_a_random_walk() -> None:
    """Many fine steps a day: Parkinson is right, up to what is lost between the steps; Rogers-Satchell with a drift."""
    draw = np.random.default_rng(3)
    days, steps, sigma, drift = 2000, 2000, 0.02, 0.03
    path = np.cumsum(drift / steps + sigma / math.sqrt(steps) * draw.standard_normal((days, steps)), axis=1)
    opens = moment("2010-01-01") + np.arange(days) * np.timedelta64(1, "D")
    columns = {
        "open_time": opens, "close_time": opens + np.timedelta64(1, "D"), "open": np.full(days, 1.0),
        "high": np.exp(np.maximum(path.max(axis=1), 0.0)), "low": np.exp(np.minimum(path.min(axis=1), 0.0)),
        "close": np.exp(path[:, -1]), "volume": np.ones(days),
    }  # fmt: skip
    bars = Candles.from_columns(Instrument.parse("BTC-USDT"), "1d", "test", columns, "none")
    assert rogers_satchell(bars).mean() == pytest.approx(sigma**2, rel=0.06)
    assert parkinson(bars).mean() > 1.5 * sigma**2  # a drift is a range, too


def test_measures_are_the_sums_over_the_hours(market: History) -> None:
    """Against a loop over the hours of one day."""
    assert market.finer is not None
    measures = measures_of(market)
    close = market.finer.frame["close"].to_numpy()
    high, low = market.finer.frame["high"].to_numpy(), market.finer.frame["low"].to_numpy()
    day = 37
    returns = [math.log(close[k] / close[k - 1]) for k in range(24 * day, 24 * day + 24)]
    assert measures.variance[day] == pytest.approx(sum(r * r for r in returns), rel=1e-10)
    assert measures.down[day] == pytest.approx(sum(r * r for r in returns if r < 0), rel=1e-10)
    assert measures.last[day] == pytest.approx(4 * sum(r * r for r in returns[18:]), rel=1e-10)
    ranges = [math.log(high[k] / low[k]) ** 2 / (4 * math.log(2)) for k in range(24 * day, 24 * day + 24)]
    assert measures.spread[day] == pytest.approx(sum(ranges), rel=1e-10)
    assert measures.last_spread[day] == pytest.approx(4 * sum(ranges[18:]), rel=1e-10)
    bipower = math.pi / 2 * sum(abs(a * b) for a, b in itertools.pairwise(returns))
    assert measures.bipower[day] == pytest.approx(min(bipower, measures.variance[day]), rel=1e-10)
    assert measures.realised.all()


def test_the_sum_of_a_day_spans_the_night(market: History) -> None:
    """The squares of hourly returns of a day start at the last close of the day before."""
    assert market.finer is not None
    gapped = market.finer.frame.with_columns(
        pl.when(pl.int_range(pl.len()) >= 24 * 30).then(pl.col(c) * 1.5).otherwise(pl.col(c)).alias(c)
        for c in ("open", "high", "low", "close")
    )
    hours = Candles(market.finer.instrument, "1h", "test", gapped, "none")
    jumped, plain = measures_of(History(daily_of(hours), hours)), measures_of(market)
    assert jumped.variance[30] > plain.variance[30] + 0.9 * math.log(1.5) ** 2
    assert jumped.spread[31] == pytest.approx(plain.spread[31])
    assert jumped.variance[31] == pytest.approx(plain.variance[31])


def test_an_outage_falls_back_on_the_range_and_poisons_nothing(market: History) -> None:
    assert market.finer is not None
    holed = without(market.finer, *range(24 * 40 + 2, 24 * 40 + 12))  # 14 of 24 hours are left
    measures = measures_of(History(market.candles, holed))
    whole = measures_of(market)
    assert not measures.realised[40]
    assert measures.realised.sum() == 59
    assert np.isnan([measures.down[40], measures.bipower[40], measures.last[40]]).all()
    ratio = whole.variance[:40].sum() / (garman_klass(market.candles)[:40]).sum()
    assert measures.variance[40] == pytest.approx(garman_klass(market.candles)[40] * ratio, rel=1e-9)
    keep = np.arange(60) != 40
    np.testing.assert_allclose(measures.variance[keep], whole.variance[keep], rtol=1e-12)
    design = design_of(History(market.candles, holed))
    assert np.isfinite(design.x).all()
    assert np.isfinite(design.base[1:]).all()


def test_a_night_belongs_to_the_daily_proxy_of_a_stock() -> None:
    days = make_candles(30, instrument="AAPL", seed=2)
    jumped = days.frame.with_columns(
        pl.when(pl.int_range(pl.len()) >= 20).then(pl.col(c) * 2.0).otherwise(pl.col(c)).alias(c)
        for c in ("open", "high", "low", "close")
    )
    split = Candles(days.instrument, "1d", "test", jumped, "none")
    plain, night = measures_of(History(days)), measures_of(History(split))
    assert night.variance[20] == pytest.approx(plain.variance[20] + math.log(2.0) ** 2, rel=1e-9)
    np.testing.assert_allclose(np.delete(night.variance, 20), np.delete(plain.variance, 20))


def test_trailing_mean_leaves_out_what_is_not_known_and_what_is_too_old() -> None:
    values = np.array([1.0, np.nan, 3.0, 1e300, 5.0, 7.0])
    np.testing.assert_array_equal(trailing_mean(values, 2), [1.0, 1.0, 3.0, 5e299, 5e299, 6.0])
    assert np.isnan(trailing_mean(np.array([np.nan]), 3)[0])
    # weights 1/4, 1/2, 1
    assert trailing_mean(np.array([4.0, 2.0, 1.0]), 3, 0.5)[2] == pytest.approx((1 + 1 + 1) / 1.75)


def test_only_closes_are_squares_of_returns(market: History) -> None:
    closes = Candles(
        market.candles.instrument, "1d", "test",
        market.candles.frame.with_columns(pl.col("close").alias(c) for c in ("open", "high", "low")), "none", "close",
    )  # fmt: skip
    measures = measures_of(History(closes))
    np.testing.assert_allclose(measures.variance[1:], measures.returns[1:] ** 2)
    assert not measures.ranged
    design = design_of_returns(market.returns.values, 60)
    assert "range_day" not in design.names


def test_regressors_do_not_know_the_scale(market: History) -> None:
    small = design_of_returns(market.returns.values, 40)
    large = design_of_returns(1e4 * market.returns.values, 40)
    np.testing.assert_allclose(large.x, small.x, atol=1e-9)
    np.testing.assert_allclose(large.response[5:], small.response[5:], atol=1e-9)


def test_the_weekday_is_that_of_the_bar_to_come(market: History) -> None:
    """2022-01-02 was a Sunday: at its close the Monday is next."""
    columns = terms_of(market).columns
    assert columns["weekday_0"][1] > 0 > columns["weekday_6"][1]
    assert columns["weekday_6"][0] > 0
    stock = terms_of(History(make_candles(10, instrument="AAPL", start="2024-01-02")))  # from a Tuesday on
    assert stock.columns["weekday_0"][3] > 0  # Friday's close looks at Monday
    assert stock.columns["nights"][3] == pytest.approx(math.log(3.0))


def test_an_implied_index_counts_from_the_moment_it_is_known() -> None:
    stock = make_candles(80, instrument="AAPL")
    vix = vix_beside(stock)
    design = design_of(History(stock, None, (vix,)), implied=(vix,))
    column = design.x[:, design.names.index("implied_vix")]
    row = 50
    sigma = vix.frame["value"][row] / 100.0
    assert column[row] == pytest.approx(math.log(sigma**2 / 252.0) - design.base[row])
    late = vix.frame.with_columns(known_at=pl.col("known_at") + pl.duration(hours=1))
    later = type(vix)(vix.instrument, vix.name, vix.unit, vix.source, late)
    shifted = design_of(History(stock), implied=(later,))
    assert shifted.x[row, shifted.names.index("implied_vix")] == pytest.approx(
        math.log((vix.frame["value"][row - 1] / 100.0) ** 2 / 252.0) - design.base[row]
    )
