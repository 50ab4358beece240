"""Terms of quarterly reports: against loops over dates, blind to what comes later, and worth something."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from forecastle.models._design import design_of, terms_of
from forecastle.models._reports import surprises
from forecastle.models.har import LogHar
from forecastle.nouns import Candles, History
from making import make_candles

DUE = 63
"""Sessions from one report to the next; the same weekday 13 weeks later, but for holidays."""


def _reporting(n: int, seed: int) -> Candles:
    """Return a stock that jumps overnight by 8 %, on eight times the volume, every 91 days."""
    quiet = make_candles(n, instrument="AAPL", start="2018-01-02", seed=seed)
    draw = np.random.default_rng(seed)
    size = np.where(_due(quiet), 0.08 * draw.choice([-1.0, 1.0], n), 0.0)
    level = pl.Series(np.exp(np.cumsum(size)))
    busy = pl.Series(np.where(size != 0.0, 8.0, 1.0))
    frame = quiet.frame.with_columns(
        *((pl.col(c) * level).alias(c) for c in ("open", "high", "low", "close")), volume=pl.col("volume") * busy
    )
    return Candles(quiet.instrument, "1d", "test", frame, "splits")


def _due(candles: Candles) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    days = candles.times("close_time").astype("datetime64[D]").astype(np.int64)
    return np.asarray((days - days[0]) % 91 == 30)


def test_terms_are_the_days_a_quarter_to_a_year_before_the_bar_to_come() -> None:
    """Against a loop over the dates, bar by bar."""
    stock = _reporting(400, 1)
    columns, surprise = terms_of(History(stock)).columns, surprises(stock)
    days = stock.times("close_time").astype("datetime64[D]").tolist()
    seen = dict(zip(days, surprise.tolist(), strict=True))
    one = days[1] - days[0]
    for row in (80, 140, 333, 398):
        coming = days[row + 1]
        found = [seen[coming - 91 * k * one] for k in (1, 2, 3, 4) if coming - 91 * k * one in seen]
        expected = np.mean(found) if found else math.nan
        assert columns["report_day"][row] == pytest.approx(expected, nan_ok=True)
        around = [seen[d] for d in (coming - 364 * one + j * one for j in (-1, 0, 1)) if d in seen]
        assert columns["report_year"][row] == pytest.approx(max(around) if around else math.nan, nan_ok=True)
        assert columns["report_recent"][row] == surprise[row - 40 : row + 1].max()


def test_a_surprise_worked_out_by_hand() -> None:
    """Ten times the volume of every bar before, and a gap of three times their range."""
    quiet = make_candles(40, instrument="AAPL")
    factor = [1.0] * 30 + [math.exp(0.06)] * 10
    frame = quiet.frame.with_columns(open=pl.Series(factor), close=pl.Series(factor)).with_columns(
        high=pl.col("open") * math.exp(0.01), low=pl.col("open") * math.exp(-0.01),
        volume=pl.Series([1.0] * 30 + [10.0 * math.exp(-0.06)] + [1.0] * 9),
    )  # fmt: skip
    surprise = surprises(Candles(quiet.instrument, "1d", "test", frame, "splits"))
    assert surprise[30] == pytest.approx(math.log(10.0) + math.log(1.0 + 9.0))
    assert surprise[29] == pytest.approx(0.0, abs=1e-9)
    assert surprise[0] == 0.0


def test_prices_and_volume_of_any_scale_are_the_same_surprise() -> None:
    stock = _reporting(120, 2)
    frame = stock.frame.with_columns(*(pl.col(c) * 1e3 for c in ("open", "high", "low", "close", "volume")))
    scaled = Candles(stock.instrument, "1d", "test", frame, "splits")
    np.testing.assert_allclose(surprises(scaled), surprises(stock), atol=1e-9)


def test_rows_do_not_change_with_what_comes_after_them() -> None:
    whole = History(_reporting(400, 3))
    early = whole.until(whole.returns.target_time[299].item())
    np.testing.assert_array_equal(design_of(early).x, design_of(whole).x[: len(early.returns.values) + 1])


def test_only_days_of_stocks_have_reports() -> None:
    assert "report_day" in design_of(History(make_candles(30, instrument="AAPL"))).names
    for other in (
        make_candles(30), make_candles(30, instrument="SPX.INDEX"), make_candles(30, instrument="AAPL", timeframe="1h"),
    ):  # fmt: skip
        assert "report_day" not in design_of(History(other)).names


def test_a_report_that_is_due_is_forecast() -> None:
    """After three years of reports the variance is at least doubled for the days on which one is due."""
    stock = _reporting(1000, 4)
    sigma2 = LogHar().path(History(stock), 600, 20).variance[600:-1]
    due = _due(stock)[601:]
    assert due.sum() >= 4
    assert np.median(sigma2[due]) > 2.0 * np.median(sigma2[~due])
