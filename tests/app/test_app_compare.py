"""The verdict: a planted truth is found, and where there is none it is said."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from forecastle.app.compare import comparison_of
from forecastle.app.report import report_of
from forecastle.errors import DataInvalid
from forecastle.nouns import Candles, Instrument, RollingForecast, TestResult
from forecastle.nouns.forecast import ROLLING_SCHEMA
from forecastle.requests import CompareRequest, ModelSpec
from forecastle.scoring import compare, risk_backtest


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
    return CompareRequest(instrument=Instrument.parse("SPX.INDEX"), window=300, refit_every=50, models=specs)


def test_the_report_shows_what_the_comparison_computed(bundled_spx: Candles, request_of_spx: CompareRequest) -> None:
    """Counted again from the path itself: breaches, expected, QLIKE."""
    candles = bundled_spx.last(701)
    made = report_of(candles, request_of_spx)
    again = comparison_of(candles, request_of_spx)
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


def test_a_handful_of_bars_proves_nothing() -> None:
    ones = np.full(60, 0.01)
    path = _path("model", ones, np.zeros(60))
    result = risk_backtest(path)
    assert "too few bars to judge" in result.verdict
    assert result.traffic_light.zone == "green"  # no breach is no reason for yellow, whatever the table says of 3 days
