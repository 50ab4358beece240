"""Dynamic quantile beside statsmodels, duration beside vartests (rugarch's test) and scipy's fits; their size."""

from __future__ import annotations

import importlib

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring import risk

FloatArray = npt.NDArray[np.float64]


def _series(places: list[int], n: int) -> tuple[FloatArray, FloatArray]:
    """Return returns and a constant VaR of 1 that break exactly at ``places``."""
    return np.where(np.isin(np.arange(n), places), -2.0, 0.5), np.ones(n)


def _drawn(seed: int, n: int, k: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return returns with a sigma that wanders, and ``k`` times their sigma."""
    rng = np.random.default_rng(seed)
    sigma = 0.01 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))
    return sigma * rng.standard_normal(n), k * sigma


def _clustered(seed: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Return breaches that come 5 % of the time, in clusters: a flat VaR where the sigma changes in the open."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(n // 25) < 0.2, 25)
    outcome = np.where(loud, 2.0, 0.7) * rng.standard_normal(n)
    return outcome, np.full(n, -np.quantile(outcome, 0.05))


@pytest.mark.parametrize(("lags", "p"), [(1, 0.05), (4, 0.05), (4, 0.1), (7, 0.2)])
def test_dynamic_quantile_is_a_regression(lags: int, p: float) -> None:
    """statsmodels' OLS of the hits on a constant, lagged hits and VaR: uncentred explained sum over p (1 - p)."""
    models = importlib.import_module("statsmodels.regression.linear_model")  # it has no types

    returns, sigma = _drawn(1, 800)
    var = -float(stats.norm.ppf(p)) * 0.9 * sigma
    hits = (returns < -var).astype(float) - p
    rows = [[1.0, *(hits[t - k] for k in range(1, lags + 1)), 100 * var[t]] for t in range(lags, 800)]
    fit = models.OLS(hits[lags:], np.array(rows)).fit()
    expected = float(hits[lags:] @ fit.fittedvalues) / (p * (1 - p))
    result = risk.dynamic_quantile(returns, var, p, lags)
    assert result.statistic == pytest.approx(expected, rel=1e-9)
    assert result.degrees_of_freedom == lags + 2
    assert result.p_value == pytest.approx(stats.chi2.sf(expected, lags + 2), rel=1e-9)


def test_dynamic_quantile_of_a_constant_var_has_one_degree_less() -> None:
    returns, _ = _drawn(2, 600)
    result = risk.dynamic_quantile(returns, np.full(600, 0.015), 0.05)
    assert result.degrees_of_freedom == 5
    assert result.p_value is not None


def test_dynamic_quantile_needs_breaches_and_rows() -> None:
    """Without a breach lagged hits are a constant; with one in the last row they still are."""
    for places in ([], [299]):
        result = risk.dynamic_quantile(*_series(places, 300), 0.01)
        assert result.p_value is None
        assert "too few breaches" in result.reason
    short = risk.dynamic_quantile(*_series([3], 10), 0.05)
    assert (short.statistic, short.p_value, short.reason) == (None, None, "too few rows")
    with pytest.raises(RequestInvalid):
        risk.dynamic_quantile(*_series([3], 100), 0.05, lags=0)
    with pytest.raises(DataInvalid):
        risk.dynamic_quantile(np.zeros(50), np.full(50, np.nan), 0.05)


def test_dynamic_quantile_does_not_depend_on_the_unit() -> None:
    returns, var = _drawn(3, 500, 1.645)
    one = risk.dynamic_quantile(returns, var, 0.05).statistic
    assert risk.dynamic_quantile(1e-4 * returns, 1e-4 * var, 0.05).statistic == pytest.approx(one, rel=1e-9)


def test_size_and_power_of_the_dynamic_quantile() -> None:
    """At 5 % and 1,000 rows about 5 % of right forecasts are rejected, and most whose breaches cluster."""
    rounds = 400
    rejected = sum(risk.dynamic_quantile(*_drawn(s, 1000, 1.6449), 0.05).rejects() for s in range(rounds))
    low, high = stats.binom.interval(0.999, rounds, 0.055)
    assert low <= rejected <= high
    assert sum(risk.dynamic_quantile(*_clustered(s, 1000), 0.05).rejects() for s in range(40)) >= 36


@pytest.mark.parametrize(
    ("places", "n", "statistic"),
    [([3, 5, 6, 40, 41, 44, 130, 260, 262, 266, 480], 500, 7.977049581154347)],
)
def test_duration_agrees_with_vartests(places: list[int], n: int, statistic: float) -> None:
    """vartests 0.4.1, a port of rugarch's VaRDurTest: first and last duration cut short."""
    assert risk.duration(*_series(places, n), 0.05).statistic == pytest.approx(statistic, rel=1e-9)


def test_duration_of_a_wave_agrees_with_vartests() -> None:
    t = np.arange(500)
    returns = 0.01 * np.sin(1.7 * t) * (1 + 0.5 * np.sin(t / 40.0))
    result = risk.duration(returns, np.full(500, 0.0125), 0.05)
    assert result.statistic == pytest.approx(10.055081652817677, rel=1e-9)
    assert result.p_value is not None
    assert result.p_value < 0.02


@pytest.mark.parametrize(
    "places",
    [[0, 7, 9, 30, 99], [4, 5, 6, 60, 80], [0, 1, 2, 3, 50, 51, 52], [20, 45, 60, 79]],
)
def test_duration_is_a_censored_weibull_fit(places: list[int]) -> None:
    """An independent slow version: scipy's fit of the durations, those at the ends cut short."""
    rows = np.array(places)
    cut = [float(d) for d in (rows[0] + 1 if rows[0] else 0, 99 - rows[-1]) if d]
    data = stats.CensoredData(uncensored=np.diff(rows).astype(float), right=cut)

    def best(**fixed: float) -> float:
        fitted = stats.weibull_min(*stats.weibull_min.fit(data, floc=0, **fixed))
        return float(fitted.logpdf(np.diff(rows)).sum() + sum(fitted.logsf(d) for d in cut))

    result = risk.duration(*_series(places, 100), 0.05, replications=9)
    assert result.statistic == pytest.approx(2 * (best() - best(f0=1.0)), abs=1e-4)


def test_breaches_like_clockwork_have_the_highest_shape() -> None:
    """Whole durations all the same: b stops at 10, and at the best scale of 1 and of 10 stands the ratio."""
    fitted = [stats.weibull_min(b, scale=3.0).logpdf(np.full(33, 3.0)).sum() for b in (10.0, 1.0)]
    result = risk.duration(*_series(list(range(0, 100, 3)), 100), 0.05)
    assert result.statistic == pytest.approx(2 * (fitted[0] - fitted[1]))
    assert result.rejects(0.002)


def test_duration_needs_two_breaches() -> None:
    for places in ([], [50]):
        result = risk.duration(*_series(places, 100), 0.05)
        assert (result.statistic, result.p_value) == (None, None)
        assert "fewer than two" in result.reason
    assert risk.duration(*_series([0, 99], 100), 0.05).p_value is not None


def test_duration_shuffles_the_same_way_every_time() -> None:
    one = risk.duration(*_clustered(9, 500), 0.05)
    assert risk.duration(*_clustered(9, 500), 0.05) == one


@pytest.mark.parametrize(("n", "p"), [(250, 0.01), (1000, 0.05)])
def test_size_of_the_duration_test(n: int, p: float) -> None:
    """The p-value by shuffling is exact: with 99 orders and 5 % the size is 5 % whatever the number of breaches."""
    rng = np.random.default_rng(21)
    tests: list[float] = []
    while len(tests) < 500:
        returns, var = _series(list(np.flatnonzero(rng.random(n) < p)), n)
        result = risk.duration(returns, var, p, replications=99, seed=len(tests))
        tests += [result.p_value] if result.p_value is not None else []
    low, high = stats.binom.interval(0.999, len(tests), 0.05)
    rejected = sum(value <= 0.05 for value in tests)
    assert low <= rejected <= high


def test_duration_finds_clusters() -> None:
    assert sum(risk.duration(*_clustered(s, 1000), 0.05, replications=99).rejects() for s in range(30)) >= 24


def test_without_a_breach_to_follow_independence_has_no_p_value() -> None:
    for places in ([], [99], list(range(100))):
        result = risk.christoffersen(*_series(places, 100), 0.05)
        assert result.independence.statistic == 0.0
        assert result.independence.p_value is None
        assert "follows a breach" in result.independence.reason
        assert result.conditional_coverage.p_value is not None
    assert risk.christoffersen(*_series([50], 100), 0.05).independence.p_value is not None
