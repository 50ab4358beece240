"""What a comparison adds to its models: losses, the confidence set, the target, and every test of risk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from forecastle.errors import DataInvalid
from forecastle.nouns import Instrument, RollingForecast
from forecastle.nouns.forecast import ROLLING_SCHEMA
from forecastle.scoring import compare, forecast, risk, risk_backtest

FloatArray = npt.NDArray[np.float64]


def _path(name: str, sigma: FloatArray, outcome: FloatArray, es: float = 2.665) -> RollingForecast:
    n = sigma.size
    times = np.datetime64("2020-01-01", "us") + np.arange(n + 1) * np.timedelta64(1, "D")
    columns = {
        "as_of": pl.Series(times[:-1]).dt.replace_time_zone("UTC"),
        "target_time": pl.Series(times[1:]).dt.replace_time_zone("UTC"),
        "outcome": outcome, "mean": np.zeros(n), "sigma": sigma, "var": 2.326 * sigma, "es": es * sigma,
        "q05": -1.645 * sigma, "q25": -0.674 * sigma, "q75": 0.674 * sigma, "q95": 1.645 * sigma,
        "converged": np.ones(n, dtype=bool), "stale": np.zeros(n, dtype=bool),
    }  # fmt: skip
    frame = pl.DataFrame(columns).select(list(ROLLING_SCHEMA))
    return RollingForecast(Instrument.parse("BTC-USD"), "1d", name, 250, 1, 0.01, frame, 1, 0, "x")


def _market(n: int = 1500) -> tuple[FloatArray, FloatArray]:
    """Return a sigma that waves and returns of it."""
    sigma = 0.01 * np.exp(np.sin(np.arange(n) / 50))
    return sigma, sigma * np.random.default_rng(1).standard_normal(n)


def _paths() -> list[RollingForecast]:
    sigma, outcome = _market()
    flat = np.full(sigma.size, float(np.sqrt((sigma**2).mean())))
    return [_path("flat", flat, outcome), _path("oracle", sigma, outcome), _path("near", 1.02 * sigma, outcome)]


def test_every_score_is_the_mean_of_its_losses() -> None:
    result = compare(_paths(), {"flat"})
    oracle = next(s for s in result.scores if s.model == "oracle")
    sigma, outcome = _market()
    assert oracle.fz0 == pytest.approx(forecast.fz0(outcome, 2.326 * sigma, 2.665 * sigma, 0.01))
    assert oracle.pinball == pytest.approx(forecast.pinball(outcome, -2.326 * sigma, 0.01))
    assert oracle.mse == pytest.approx(float(((outcome**2 - sigma**2) ** 2).mean()))
    quantiles = sigma[:, None] * np.array([-1.645, -0.674, 0.674, 1.645])
    assert oracle.crps == pytest.approx(forecast.crps_quantiles(outcome, quantiles, np.array([0.05, 0.25, 0.75, 0.95])))
    assert result.target == "squared returns"


def test_the_confidence_set_stands_beside_the_verdict() -> None:
    result = compare(_paths(), {"flat"})
    held = result.confidence_set
    assert held is not None
    assert set(held.included) == {"oracle", "near"}
    assert held.excluded == ("flat",)
    assert {s.model: s.mcs for s in result.scores} == held.p_values
    names = " and ".join(held.included)
    assert f"The 90 % confidence set holds {names}. " in result.verdict
    outcome = _market()[1]
    losses = {p.model: forecast.qlike_losses(outcome**2, p.column("sigma")) for p in _paths()}
    assert forecast.model_confidence_set(losses).p_values == held.p_values
    alike = compare(_paths()[1:], {"near"})
    assert "The 90 % confidence set holds all 2 models." in alike.verdict


def test_a_long_confidence_set_is_counted() -> None:
    sigma, outcome = _market()
    many = [_path(f"m{i}", (1 + 0.001 * i) * sigma, outcome) for i in range(6)]
    verdict = compare([*many, _paths()[0]], {"flat"}).verdict
    assert "and 2 others." in verdict


def test_a_realised_variance_is_the_target_where_given() -> None:
    """Measured without noise, the true sigma loses nothing, and every other model more."""
    sigma, _ = _market()
    result = compare(_paths(), {"flat"}, realized=sigma**2)
    assert result.scores[0].model == "oracle"
    assert result.scores[0].qlike == pytest.approx(0.0, abs=1e-12)
    assert result.scores[0].mse == pytest.approx(0.0, abs=1e-20)
    assert result.scores[1].qlike > 0.0001
    assert result.target == "realised variance"
    assert result.confidence_set is not None
    assert result.confidence_set.included == ("oracle",)
    for bad in (sigma[1:] ** 2, np.full(sigma.size, np.nan), -(sigma**2)):
        with pytest.raises(DataInvalid):
            compare(_paths(), {"flat"}, realized=bad)


def test_too_few_bars_have_no_confidence_set() -> None:
    short = [_path(name, np.full(9, 0.01), np.full(9, 0.005)) for name in ("a", "b")]
    result = compare(short, {"b"})
    assert result.confidence_set is None
    assert result.scores[0].mcs is None
    assert "confidence set" not in result.verdict


def test_every_test_of_risk_is_run() -> None:
    path = _paths()[0]
    result = risk_backtest(path)
    outcome, var, es = path.column("outcome"), path.column("var"), path.column("es")
    assert result.duration == risk.duration(outcome, var, 0.01)
    assert result.dynamic_quantile == risk.dynamic_quantile(outcome, var, 0.01)
    assert result.mcneil_frey == risk.mcneil_frey(outcome, var, es, 0.01, path.column("sigma"))
    assert np.array_equal(result.e_process.process, risk.e_process(outcome, var, 0.01).process)
    assert result.es_e_process is not None
    assert np.array_equal(result.es_e_process.process, risk.es_e_process(outcome, var, es, 0.01).process)


def test_the_day_the_evidence_came_together_is_told() -> None:
    sigma, outcome = _market()
    doubted = risk_backtest(_path("low", 0.5 * sigma, outcome))
    assert doubted.e_process.crossed is not None
    assert doubted.doubted_since == doubted.path.frame["target_time"][doubted.e_process.crossed]
    assert risk_backtest(_path("high", 2.0 * sigma, outcome)).doubted_since is None


def test_an_es_below_var_is_not_bet_on() -> None:
    sigma, outcome = _market()
    assert risk_backtest(_path("odd", sigma, outcome, es=2.0)).es_e_process is None


def test_only_coverage_decides() -> None:
    """Breaches in the right number, one by one, but too deep: the tests of ES reject, VaR passes, and both are said."""
    sigma, outcome = _market(3000)
    deep = np.where(outcome < -2.326 * sigma, 3.0 * outcome, outcome)
    result = risk_backtest(_path("thin", sigma, deep))
    assert result.mcneil_frey.rejects()
    assert result.es_e_process is not None
    assert result.es_e_process.rejects()
    assert result.passed
    assert "not rejected" in result.verdict
