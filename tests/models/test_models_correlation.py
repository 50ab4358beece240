"""CCC and DCC against simulated truth, a slow twin and numpy; joint returns of several calendars; Euler's split."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid
from forecastle.models._correlations import correlation_path, correlation_terms
from forecastle.models.correlation import ConstantCorrelation, DynamicCorrelation, FittedCorrelation
from forecastle.nouns import FitStatus
from forecastle.nouns.portfolio import JointReturns, PortfolioForecast
from making import make_candles, utc, without

FloatArray = npt.NDArray[np.float64]

TARGET = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, -0.1], [0.2, -0.1, 1.0]])


def simulated(n: int, seed: int, a: float, b: float) -> FloatArray:
    """Return standardised residuals of DCC, shape (n, 3)."""
    rng, q, z = np.random.default_rng(seed), TARGET.copy(), np.empty((n, 3))
    for t in range(n):
        scale = 1 / np.sqrt(np.diag(q))
        z[t] = np.linalg.cholesky(scale[:, None] * q * scale) @ rng.standard_normal(3)
        q = (1 - a - b) * TARGET + a * np.outer(z[t], z[t]) + b * q
    return z


def with_garch(z: FloatArray) -> FloatArray:
    """Return returns whose standardised residuals are ``z``, each column a GARCH(1,1) of another level."""
    level = np.array([0.01, 0.015, 0.03])
    r, s2 = np.empty_like(z), level**2
    for t in range(z.shape[0]):
        r[t] = np.sqrt(s2) * z[t]
        s2 = 0.05 * level**2 + 0.07 * r[t] ** 2 + 0.88 * s2
    return r


@pytest.fixture(scope="module")
def returns() -> FloatArray:
    return with_garch(simulated(1500, 1, 0.05, 0.90))


@pytest.fixture(scope="module")
def fitted(returns: FloatArray) -> FittedCorrelation:
    return DynamicCorrelation().fit(returns)


def test_true_parameters_are_recovered() -> None:
    """The mean of eight second steps on 4,000 simulated residuals lies within three of its own standard errors."""
    found = []
    for seed in range(8):
        z = simulated(4000, seed, 0.04, 0.93)
        target: FloatArray = np.asarray(np.corrcoef(z.T))
        a, b, _, status = DynamicCorrelation()._correlate(z, target)
        assert status.converged
        found.append((a, b))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / math.sqrt(8)
    assert (np.abs(mean - [0.04, 0.93]) < 3 * error).all()


def test_both_steps_together_find_the_truth(fitted: FittedCorrelation) -> None:
    assert fitted.converged
    assert fitted.a == pytest.approx(0.05, abs=0.03)
    assert fitted.b == pytest.approx(0.90, abs=0.08)
    np.testing.assert_allclose(fitted.target, TARGET, atol=0.15)
    assert set(fitted.params) >= {"a", "b", "asset 1.alpha", "asset 3.nu"}


def slow_terms(z: FloatArray, target: FloatArray, a: float, b: float) -> list[float]:
    """Return the likelihood as the paper writes it, with inverses and determinants."""
    q, out = target, []
    for row in z:
        r = q / np.sqrt(np.outer(np.diag(q), np.diag(q)))
        out.append(-0.5 * (math.log(np.linalg.det(r)) + row @ np.linalg.inv(r) @ row - row @ row))
        q = (1 - a - b) * target + a * np.outer(row, row) + b * q
    return out


@pytest.mark.parametrize(("a", "b"), [(0.05, 0.9), (0.0, 0.0), (0.3, 0.1)])
def test_likelihood_is_that_of_the_slow_twin(a: float, b: float) -> None:
    z = simulated(300, 7, 0.05, 0.9)
    np.testing.assert_allclose(correlation_terms(z, TARGET, a, b), slow_terms(z, TARGET, a, b), atol=1e-10)
    path = correlation_path(z, TARGET, a, b)
    assert path.shape == (301, 3, 3)
    assert path[:-1].shape[0] == len(slow_terms(z, TARGET, a, b))
    np.testing.assert_allclose(np.diagonal(path, axis1=1, axis2=2), 1.0)


def test_a_matrix_that_is_no_correlation_has_no_likelihood() -> None:
    impossible = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    assert np.isnan(correlation_terms(np.ones((3, 3)), impossible, 0.0, 0.0)).all()


def test_ccc_is_the_sample_correlation_of_the_residuals(returns: FloatArray) -> None:
    constant = ConstantCorrelation().fit(returns)
    np.testing.assert_array_equal(constant.target, np.corrcoef(constant.z.T))
    np.testing.assert_allclose(constant.correlations[-1], constant.target, rtol=1e-12)
    ahead = constant.covariances(5)
    for one in ahead:
        sigma = np.sqrt(np.diag(one))
        np.testing.assert_allclose(one / np.outer(sigma, sigma), constant.target, rtol=1e-12)
    assert constant.correlation_loglikelihood == pytest.approx(
        sum(slow_terms(constant.z, constant.target, 0.0, 0.0)), abs=1e-6
    )


def test_every_matrix_is_positive_definite(fitted: FittedCorrelation) -> None:
    assert np.linalg.eigvalsh(fitted.correlations).min() > 0
    ahead = fitted.covariances(30)
    assert ahead.shape == (30, 3, 3)
    assert np.linalg.eigvalsh(ahead).min() > 0
    last = ahead[-1] / np.sqrt(np.outer(np.diag(ahead[-1]), np.diag(ahead[-1])))
    near, far = np.abs(fitted.correlations[-1] - fitted.target), np.abs(last - fitted.target)
    np.testing.assert_allclose(far, near * (fitted.a + fitted.b) ** 29, atol=1e-12)


def test_thirty_assets() -> None:
    """The most there may be: one factor behind all, the equal portfolio close to the factor."""
    rng = np.random.default_rng(2)
    returns = 0.01 * (rng.standard_normal((600, 1)) + rng.standard_normal((600, 30)))
    wide = ConstantCorrelation().fit(returns)
    equal = np.full(30, 1 / 30)
    assert wide.portfolio(equal, 1).sigma == pytest.approx(0.01 * math.sqrt(1 + 1 / 30), rel=0.3)
    assert np.linalg.eigvalsh(wide.covariances(1)[0]).min() > 0


def test_the_portfolio_is_its_own_history_in_units_of_sigma(fitted: FittedCorrelation) -> None:
    weights = np.array([0.5, 0.7, -0.2])
    residuals = fitted.portfolio_residuals(weights)
    assert residuals.std() == pytest.approx(1.0, abs=0.05)
    one = fitted.portfolio(weights, 1)
    assert one.sigma == pytest.approx(math.sqrt(weights @ fitted.covariances(1)[0] @ weights), rel=1e-12)
    rank = math.ceil(0.01 * residuals.size) - 1
    expected = one.mean + one.sigma * np.sort((residuals - residuals.mean()) / residuals.std())[rank]
    assert one.quantile(0.01) == pytest.approx(expected, rel=1e-12)
    ten = fitted.portfolio(weights, 10)
    assert ten.sample.std() == pytest.approx(1.0, abs=0.03)
    assert ten.sigma > one.sigma


def forecast_of(fitted: FittedCorrelation, weights: FloatArray, horizon: int) -> PortfolioForecast:
    joint = JointReturns.of([make_candles(300, instrument=name) for name in ("BTC-USD", "ETH-USD", "LTC-USD")])
    return PortfolioForecast(
        tuple(c.instrument for c in joint.candles), weights, "1d", horizon, fitted.label, fitted.status,
        fitted.portfolio(weights, horizon), fitted.means * horizon, fitted.covariances(horizon).sum(axis=0),
        fitted.correlations[-1], 1500, 1501, 0, utc(2024), utc(2024) + timedelta(days=horizon), "0" * 64, "simulated",
    )  # fmt: skip


@pytest.mark.parametrize("horizon", [1, 10])
def test_components_sum_to_the_whole(fitted: FittedCorrelation, horizon: int) -> None:
    weights = np.array([0.5, 0.7, -0.2])
    made = forecast_of(fitted, weights, horizon)
    for level in (0.01, 0.05):
        assert made.component_var(level).sum() == pytest.approx(made.var(level), abs=1e-12)
        assert made.component_es(level).sum() == pytest.approx(made.es(level), abs=1e-12)
    gross = np.abs(weights) @ np.sqrt(np.diag(made.covariance))
    assert made.diversification_ratio == pytest.approx(gross / made.sigma)
    assert made.diversification_ratio > 1
    assert made.simulated
    with pytest.raises(RequestInvalid, match="would not sum"):
        replace(made, weights=2 * weights)


def test_a_marginal_is_the_slope_of_var_with_its_shape_held(fitted: FittedCorrelation) -> None:
    weights, step = np.array([0.4, 0.4, 0.2]), 1e-6
    made = forecast_of(fitted, weights, 1)
    z = (made.var(0.01) + made.distribution.mean) / made.sigma

    def var(w: FloatArray) -> float:
        return float(-made.means @ w + z * math.sqrt(w @ made.covariance @ w))

    for i in range(3):
        move = step * np.eye(3)[i]
        slope = (var(weights + move) - var(weights - move)) / (2 * step)
        assert made.marginal_var(0.01)[i] == pytest.approx(slope, rel=1e-6)


def test_one_asset_alone_has_no_diversification(fitted: FittedCorrelation) -> None:
    made = forecast_of(fitted, np.array([1.0, 0.0, 0.0]), 1)
    assert made.diversification_ratio == pytest.approx(1.0)
    np.testing.assert_allclose(made.component_var(), [made.var(), 0, 0], atol=1e-15)


def test_what_has_no_joint_risk_is_refused(returns: FloatArray, fitted: FittedCorrelation) -> None:
    with pytest.raises(ForecastRefused, match="repeats the others"):
        ConstantCorrelation().fit(np.column_stack([returns[:, 0], returns[:, 0]]))
    with pytest.raises(ForecastRefused, match="249 returns"):
        ConstantCorrelation().fit(returns[:249])
    with pytest.raises(DataInvalid, match="shape"):
        ConstantCorrelation().fit(returns[:, :1])
    with pytest.raises(DataInvalid, match="not finite"):
        ConstantCorrelation().fit(np.where(returns == returns[7, 1], np.nan, returns))
    with pytest.raises(RequestInvalid, match="leave a variance"):
        fitted.portfolio(np.zeros(3), 1)
    with pytest.raises(RequestInvalid, match="between 1 and 30"):
        fitted.covariances(31)
    failed = replace(fitted, status=FitStatus(converged=False, reason="asset 2: no"))
    with pytest.raises(ForecastRefused, match="asset 2: no"):
        failed.portfolio(np.ones(3), 1)


def test_coins_and_stocks_meet_on_the_days_of_stocks() -> None:
    """The coin's return of Monday holds its weekend; a day that one of them misses leaves two returns out."""
    coin = make_candles(120, start="2024-01-01", instrument="BTC-USD", seed=1)
    stock = make_candles(60, start="2024-01-01", instrument="AAPL", seed=2)
    joint = JointReturns.of([coin, stock])
    assert joint.common == 60
    assert (joint.values.shape, joint.spanning_gaps) == ((59, 2), 0)
    np.testing.assert_allclose(joint.values[:, 1], stock.log_returns().values)
    friday = int(np.flatnonzero(stock.times("close_time").astype("datetime64[D]") == np.datetime64("2024-01-05"))[0])
    close = dict(zip(coin.times("open_time").astype("datetime64[D]").astype(str), coin.frame["close"], strict=True))
    assert joint.values[friday, 0] == pytest.approx(math.log(close["2024-01-08"] / close["2024-01-05"]))
    # the day of the coin ends at midnight, after the bell
    assert joint.target_time[friday] == np.datetime64("2024-01-09T00:00")
    assert JointReturns.of([stock, coin]).values.tolist() == joint.values[:, ::-1].tolist()

    holed = JointReturns.of([without(coin, 12), stock])  # Saturday 13 January: only the coin trades, and it is missing
    assert (holed.common, holed.spanning_gaps, len(holed.values)) == (60, 1, 58)
    holed = JointReturns.of([coin, without(stock, 20)])
    assert (holed.common, holed.spanning_gaps, len(holed.values)) == (59, 1, 57)
    assert holed.data_hash != joint.data_hash


def test_the_next_common_bar_is_one_that_all_have() -> None:
    coin = make_candles(120, start="2024-01-01", instrument="BTC-USD")
    stock = make_candles(59, start="2024-01-01", instrument="AAPL")
    joint = JointReturns.of([coin, stock])
    assert joint.target_time[-1] == np.datetime64("2024-03-27T00:00")  # Tuesday's day of the coin
    # Wednesday, Thursday; Good Friday is closed; Monday
    assert joint.next_close(2) == np.datetime64("2024-03-29T00:00")
    assert joint.next_close(3) == np.datetime64("2024-04-02T00:00")
    hours = [make_candles(50, timeframe="1h", instrument=name) for name in ("BTC-USD", "ETH-USD")]
    inside = JointReturns.of([hours[0], without(hours[1], 20)])
    assert (inside.common, inside.spanning_gaps, len(inside.values)) == (49, 1, 47)
    assert inside.next_close(3) == hours[0].times("close_time")[-1] + np.timedelta64(3, "h")


def test_a_session_that_begins_on_the_evening_before_is_missed_on_its_own_day() -> None:
    sydney = make_candles(40, start="2024-01-10", instrument="BHP.AX", seed=3)
    coin = make_candles(120, start="2024-01-01", instrument="BTC-USD")
    whole, holed = JointReturns.of([sydney, coin]), JointReturns.of([without(sydney, 10), coin])
    assert whole.spanning_gaps == 0
    assert holed.spanning_gaps == 1
    np.testing.assert_array_equal(holed.values, np.delete(whole.values, [9, 10], axis=0))


def test_joint_returns_need_bars_of_one_length() -> None:
    with pytest.raises(DataInvalid, match="one timeframe"):
        JointReturns.of([make_candles(9), make_candles(9, timeframe="1h", instrument="ETH-USDT")])
    with pytest.raises(DataInvalid, match="two instruments"):
        JointReturns.of([make_candles(9)])
    months = JointReturns.of([make_candles(30, timeframe="1mo", instrument=n) for n in ("BTC-USD", "AAPL")])
    assert (months.common, months.spanning_gaps) == (30, 0)
    weeks = JointReturns.of([make_candles(30, timeframe="1w", instrument=n) for n in ("BTC-USD", "AAPL")])
    assert (weeks.common, weeks.spanning_gaps) == (30, 0)
