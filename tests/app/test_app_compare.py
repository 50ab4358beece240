"""The verdict: a planted truth is found, and where there is none it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from forecastle.app.compare import comparison_of
from forecastle.app.report import report_of
from forecastle.errors import DataInvalid, DataMissing
from forecastle.nouns import Candles, History, Instrument, RollingForecast, TestResult
from forecastle.nouns.forecast import ROLLING_SCHEMA
from forecastle.requests import CompareRequest, ModelSpec
from forecastle.scoring import compare, risk_backtest
from forecastle.sources.simulated import Simulated


def _path(
    name: str,
    sigma: np.ndarray[tuple[int], np.dtype[np.float64]],
    outcome: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> RollingForecast:
    n = sigma.size
    times = np.datetime64("2020-01-01", "us") + np.arange(n + 1) * np.timedelta64(1, "D")
    columns = {
        "as_of": pl.Series(times[:-1]).dt.replace_time_zone("UTC"),
        "target_time": pl.Series(times[1:]).dt.replace_time_zone("UTC"),
        "outcome": outcome, "mean": np.zeros(n), "sigma": sigma, "var": 2.326 * sigma, "es": 2.665 * sigma,
        "q05": -1.645 * sigma, "q25": -0.674 * sigma, "q75": 0.674 * sigma, "q95": 1.645 * sigma,
        "converged": np.ones(n, dtype=bool), "stale": np.zeros(n, dtype=bool),
    }  # fmt: skip
    frame = pl.DataFrame(columns).select(list(ROLLING_SCHEMA))
    return RollingForecast(Instrument.parse("BTC-USD"), "1d", name, 250, 1, 0.01, frame, 1, 0, "x")


def test_a_model_that_knows_sigma_beats_one_that_does_not() -> None:
    rng, n = np.random.default_rng(1), 3000
    sigma = 0.01 * np.exp(np.sin(np.arange(n) / 50))
    outcome = sigma * rng.standard_normal(n)
    flat = np.full(n, float(np.sqrt((sigma**2).mean())))
    result = compare([_path("naive", flat, outcome), _path("oracle", sigma, outcome)], {"naive"})
    assert [s.model for s in result.scores] == ["oracle", "naive"]
    assert result.verdict.startswith("oracle beats every naive forecast")
    assert "not rejected" in result.verdict


def test_no_edge_is_said_plainly() -> None:
    """Where the naive forecast is the truth, the verdict is no edge, whatever the model's luck."""
    rng, n = np.random.default_rng(2), 3000
    sigma = np.full(n, 0.01)
    outcome = sigma * rng.standard_normal(n)
    noisy = sigma * np.exp(0.3 * rng.standard_normal(n))
    result = compare([_path("model", noisy, outcome), _path("naive", sigma, outcome)], {"naive"})
    assert result.verdict.startswith("No edge over the naive forecast")
    assert "Use the naive one" in result.verdict


def test_a_lucky_difference_is_no_proof() -> None:
    rng, n = np.random.default_rng(4), 300
    sigma = np.full(n, 0.01)
    outcome = sigma * rng.standard_normal(n)
    near = [_path("model", sigma * k, outcome) for k in (0.999, 1.001)]
    best = min(near, key=lambda p: compare([p, _path("naive", sigma, outcome)], {"naive"}).scores[0].qlike)
    verdict = compare([best, _path("naive", sigma, outcome)], {"naive"}).verdict
    assert verdict.startswith(("No proven edge", "No edge"))


def test_losses_of_different_days_are_not_compared() -> None:
    ones = np.full(50, 0.01)
    first = _path("a", ones, ones)
    shifted = first.frame.with_columns(pl.col("as_of", "target_time") + pl.duration(days=1))
    second = RollingForecast(first.instrument, "1d", "b", 250, 1, 0.01, shifted, 1, 0, "x")
    with pytest.raises(DataInvalid, match="different bars"):
        compare([first, second], {"b"})


def test_an_undefined_p_value_rejects_nothing() -> None:
    assert not TestResult("x", None, None, reason="no breaches").rejects()


@pytest.fixture(scope="module")
def request_of_spx() -> CompareRequest:
    specs = (ModelSpec(name="ewma"), ModelSpec(name="random_walk"), ModelSpec(name="garch", dist="t"))
    spx = Instrument.parse("SPX.INDEX")
    return CompareRequest(instrument=spx, window=300, refit_every=50, models=specs, headline=specs[-1])


def test_the_report_shows_what_the_comparison_computed(bundled_spx: Candles, request_of_spx: CompareRequest) -> None:
    """Counted again from the path itself: breaches, expected, QLIKE."""
    candles = bundled_spx.last(701)
    made = report_of(History(candles), request_of_spx)
    again = comparison_of(History(candles), request_of_spx)
    assert made.comparison.verdict == again.verdict
    score = made.headline_score
    assert score is not None
    assert score.risk is not None
    frame = score.risk.path.frame
    assert score.risk.breaches == frame.filter(pl.col("outcome") < -pl.col("var")).height
    assert score.risk.expected == pytest.approx(0.01 * frame.height)
    ratio = np.maximum(frame["outcome"].to_numpy() ** 2, 1e-8) / frame["sigma"].to_numpy() ** 2
    assert score.qlike == pytest.approx(float((ratio - np.log(ratio) - 1).mean()))
    assert made.provenance["Data hash (SHA-256)"] == candles.data_hash


def test_a_model_that_refuses_these_data_is_named(bundled_spx: Candles) -> None:
    """Closes alone know no range: the range model says so, the others are compared."""
    closes = bundled_spx.last(501)
    flat = closes.frame.with_columns(pl.col("close").alias(name) for name in ("open", "high", "low"))
    only = Candles(closes.instrument, "1d", "bundled", flat, "none", "close")
    specs = (ModelSpec(name="ewma"), ModelSpec(name="yang_zhang"), ModelSpec(name="garch", dist="t"))
    request = CompareRequest(
        instrument=closes.instrument, window=300, refit_every=50, models=specs, headline=specs[-1]
    )  # fmt: skip
    result = comparison_of(History(only), request)
    assert {s.model for s in result.scores} == {"EWMA (0.94)", "GARCH(1,1)-t"}
    (refusal,) = result.refused
    assert refusal.model.startswith("Yang-Zhang")


def test_realised_variance_as_the_target_is_the_sum_of_squared_finer_returns() -> None:
    """Counted again from the hours, by hand."""
    market, end = Simulated(seed=3), datetime(2019, 6, 1, tzinfo=UTC)
    pair = Instrument.parse("BTC-USD")
    hours = market.fetch(pair, "1h", datetime(2018, 1, 1, tzinfo=UTC), end)
    days = market.fetch(pair, "1d", datetime(2018, 1, 1, tzinfo=UTC), end)
    specs = (ModelSpec(name="ewma"), ModelSpec(name="random_walk"))
    request = CompareRequest(instrument=pair, window=300, models=specs, headline=specs[0], target="realized")
    history = History(days, finer=hours)
    result = comparison_of(history, request)
    assert result.target == "realised variance"
    score = next(s for s in result.scores if s.model == "EWMA (0.94)")
    assert score.risk is not None
    frame = score.risk.path.frame
    moves = hours.frame.select("close_time", r=pl.col("close").log().diff() ** 2)
    sums = moves.group_by((pl.col("close_time") - pl.duration(microseconds=1)).dt.truncate("1d").alias("day")).sum()
    known = {day + timedelta(days=1): total for day, total in sums.select("day", "r").iter_rows()}
    ratio = np.array([known[t] for t in frame["target_time"]]) / frame["sigma"].to_numpy() ** 2
    assert score.qlike == pytest.approx(float((ratio - np.log(ratio) - 1).mean()), rel=1e-9)
    with pytest.raises(DataMissing, match="finer bars"):
        comparison_of(History(days), request)


def test_a_handful_of_bars_proves_nothing() -> None:
    ones = np.full(60, 0.01)
    path = _path("model", ones, np.zeros(60))
    result = risk_backtest(path)
    assert "too few bars to judge" in result.verdict
    assert result.traffic_light.zone == "green"  # no breach is no reason for yellow, whatever the table says of 3 days
