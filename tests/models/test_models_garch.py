"""GARCH against arch, against certified numbers, against simulated truth and against slow twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from arch import arch_model

from forecastle.errors import ForecastRefused, RequestInvalid
from forecastle.models._kernels import backcast, ewma_rolling_variance, garch_variance
from forecastle.models.garch import _QUIET, GarchModel
from forecastle.nouns import Candles

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"dist": "t"}, {"dist": "t"}),
        ({"dist": "normal"}, {"dist": "normal"}),
        ({"o": 1}, {"o": 1, "dist": "t"}),
        ({"p": 2, "q": 2, "dist": "normal"}, {"p": 2, "q": 2, "dist": "normal"}),
        ({"mean": "zero", "dist": "normal"}, {"mean": "Zero", "dist": "normal"}),
    ],
)
def test_likelihood_forecast_and_errors_agree_with_arch(
    returns: FloatArray, ours: dict[str, str], theirs: dict[str, str]
) -> None:
    """arch on percent, as its own documentation fits it; ours on decimals. The likelihood moves by n ln 100."""
    series = returns[-2500:]
    fitted = GarchModel(**ours).fit(series)  # type: ignore[arg-type]
    reference = arch_model(100 * series, vol="GARCH", rescale=False, **theirs).fit(disp="off")  # type: ignore[arg-type]
    assert fitted.converged
    assert fitted.loglikelihood == pytest.approx(reference.loglikelihood + series.size * np.log(100), abs=0.02)
    variance = reference.forecast(horizon=10).variance.to_numpy()[-1] / 1e4
    assert fitted.forecast(1).sigma == pytest.approx(np.sqrt(variance[0]), rel=2e-3)
    assert fitted.forecast(10).sigma == pytest.approx(np.sqrt(variance.sum()), rel=2e-3)
    table = {p.name: p for p in fitted.summary().parameters}
    for name in ("alpha[1]", "beta[1]"):
        assert table[name].value == pytest.approx(reference.params[name], abs=5e-3)
        if table[name].standard_error is None:  # at the bound of zero, where an error means nothing
            assert reference.params[name] < 1e-4
        else:
            assert table[name].standard_error == pytest.approx(reference.std_err[name], rel=0.05)


def test_filter_is_that_of_arch_for_the_same_parameters(returns: FloatArray) -> None:
    """Same parameters, same variances to 1e-6: recursion, backcast and leverage term."""
    series = 100 * returns[:1500]
    fixed = arch_model(series, vol="GARCH", p=2, o=1, q=2, dist="normal", rescale=False).fix(
        np.array([0.05, 0.02, 0.03, 0.04, 0.08, 0.5, 0.35])
    )
    residuals = series - 0.05
    start = float(backcast((residuals - residuals.mean())[None, :])[0])  # arch demeans where there is a mean
    ours = garch_variance(series - 0.05, 0.02, np.array([0.03, 0.04]), np.array([0.08]), np.array([0.5, 0.35]), start)
    np.testing.assert_allclose(np.sqrt(ours[:-1]), fixed.conditional_volatility, rtol=1e-6)
    np.testing.assert_allclose(ours[-1], fixed.forecast(horizon=1).variance.to_numpy()[-1, 0], rtol=1e-6)


def _slow_variance(
    e: FloatArray, omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, start: float
) -> list[float]:
    """Return the recursion as the paper writes it, with dictionaries for the presample."""
    square = {-k: start for k in range(1, 5)} | dict(enumerate(float(x) ** 2 for x in e))
    negative = {-k: 0.5 * start for k in range(1, 5)} | dict(enumerate(float(x) ** 2 * (x < 0) for x in e))
    s2 = {-k: start for k in range(1, 5)}
    for t in range(e.size + 1):
        s2[t] = (
            omega
            + sum(a * square[t - i] for i, a in enumerate(alpha, 1))
            + sum(g * negative[t - i] for i, g in enumerate(gamma, 1))
            + sum(b * s2[t - j] for j, b in enumerate(beta, 1))
        )
    return [s2[t] for t in range(e.size + 1)]


@pytest.mark.parametrize(("p", "o", "q"), [(1, 0, 1), (1, 1, 1), (3, 2, 3), (1, 0, 0)])
def test_kernel_equals_its_slow_twin(p: int, o: int, q: int) -> None:
    rng = np.random.default_rng(p * 100 + o * 10 + q)
    e = rng.standard_normal(200)
    alpha, gamma, beta = (0.3 * rng.random(n) / max(n, 1) for n in (p, o, q))
    fast = garch_variance(e, 0.1, alpha, gamma, beta, 1.3)
    np.testing.assert_allclose(fast, _slow_variance(e, 0.1, alpha, gamma, beta, 1.3), rtol=1e-12)


def test_ewma_kernel_equals_weights_written_out() -> None:
    rng = np.random.default_rng(2)
    r, window = rng.standard_normal(120), 50
    weights = 0.94 ** np.arange(window - 1, -1, -1)
    slow = [np.average(r[i : i + window] ** 2, weights=weights) for i in range(r.size - window + 1)]
    np.testing.assert_allclose(ewma_rolling_variance(r, window, 0.94), slow, rtol=1e-12)


@pytest.mark.shared_data
def test_certified_benchmark_of_bollerslev_and_ghysels(shared_data: Path) -> None:
    """At the certified DM/GBP estimates (start: mean of squared residuals) the log-likelihood is -1106.60788104129.

    Fiorentini, Calzolari and Panattoni (1996); the series is that of Bollerslev and Ghysels (1996), in percent.
    """
    percent = np.loadtxt(shared_data / "reference" / "dem2gbp.csv", skiprows=1)
    residuals = percent + 0.0061904083799
    alpha, beta = np.array([0.15313406182]), np.array([0.80597367031])
    s2 = garch_variance(residuals, 0.0107613978518, alpha, np.array([]), beta, float((residuals**2).mean()))[:-1]
    loglikelihood = -0.5 * float((np.log(2 * np.pi) + np.log(s2) + residuals**2 / s2).sum())
    assert loglikelihood == pytest.approx(-1106.60788104129, abs=1e-8)


@pytest.mark.parametrize("dist", ["normal", "t"])
def test_true_parameters_are_recovered(dist: str) -> None:
    """20,000 simulated returns of a known GARCH(1,1): each estimate within four of its own standard errors."""
    rng, n = np.random.default_rng(7), 20_000
    truth = {"mu": 5e-4, "omega": 2e-6, "alpha[1]": 0.08, "beta[1]": 0.90} | ({"nu": 6.0} if dist == "t" else {})
    z = rng.standard_normal(n) if dist == "normal" else rng.standard_t(6, n) * np.sqrt(4 / 6)
    r, s2 = np.empty(n), 1e-4
    for t in range(n):
        e = np.sqrt(s2) * z[t]
        r[t] = truth["mu"] + e
        s2 = truth["omega"] + truth["alpha[1]"] * e**2 + truth["beta[1]"] * s2
    fitted = GarchModel(dist=dist).fit(r)  # type: ignore[arg-type]
    table = {p.name: p for p in fitted.summary().parameters}
    assert set(table) == set(truth)
    for name, value in truth.items():
        error = table[name].standard_error
        assert error is not None
        assert abs(table[name].value - value) < 4 * error, name


def test_simulated_horizon_is_calibrated(returns: FloatArray) -> None:
    """The 10-bar quantiles agree with an independent simulation by arch within Monte Carlo error."""
    series = returns[-2500:]
    ours = GarchModel(dist="t").fit(series).forecast(10)
    reference = arch_model(100 * series, vol="GARCH", dist="t", rescale=False).fit(disp="off")
    paths = reference.forecast(
        horizon=10, method="simulation", simulations=20_000, random_state=np.random.RandomState(1)
    ).simulations.values
    assert paths is not None
    total = paths[-1].sum(axis=1) / 100
    for p in (0.01, 0.05, 0.5, 0.95):
        assert ours.quantiles[p] == pytest.approx(np.quantile(total, p), abs=0.08 * ours.sigma)


def test_summary_names_the_distribution_and_the_criteria(returns: FloatArray) -> None:
    fitted = GarchModel(dist="t").fit(returns[-1000:])
    summary = fitted.summary()
    text = str(summary)
    assert "Student's t" in text
    assert "converged: yes" in text
    assert summary.aic == pytest.approx(2 * 5 - 2 * fitted.loglikelihood)
    assert summary.bic == pytest.approx(5 * np.log(1000) - 2 * fitted.loglikelihood)


def test_a_failed_fit_is_tried_again_and_never_served(returns: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimiser that gives up after one step: four more starts, a status that says so, and no forecast."""
    monkeypatch.setitem(_QUIET, "options", {"maxiter": 1})
    fitted = GarchModel(dist="t").fit(returns[-1000:])
    assert not fitted.converged
    assert fitted.status.restarts == 4
    assert "flag 9" in fitted.status.reason  # SLSQP: iteration limit reached
    with pytest.raises(ForecastRefused, match="did not converge"):
        fitted.forecast(1)


def test_the_presample_variance_follows_the_mean() -> None:
    """initial_variance="sample": the first variance of the filter is made of the mean of the squared residuals."""
    rng = np.random.default_rng(4)
    r = 0.01 * rng.standard_normal(600) + 0.001
    fitted = GarchModel(dist="normal", initial_variance="sample").fit(r)
    p = fitted.params
    start = float(((r - p["mu"]) ** 2).mean())
    first = p["omega"] + (p["alpha[1]"] + p["beta[1]"]) * start
    assert fitted.conditional_volatility()[0] ** 2 == pytest.approx(first, rel=1e-12)


@pytest.mark.shared_data
def test_fit_reaches_the_certified_benchmark(shared_data: Path) -> None:
    """DM/GBP with initial_variance="sample": log-likelihood -1106.60788, parameters to 3 digits and more."""
    percent = np.loadtxt(shared_data / "reference" / "dem2gbp.csv", skiprows=1)
    fitted = GarchModel(dist="normal", initial_variance="sample").fit(percent / 100)
    assert fitted.loglikelihood - percent.size * np.log(100) == pytest.approx(-1106.60788104129, abs=1e-4)
    assert fitted.params["mu"] * 100 == pytest.approx(-0.0061904083799, abs=5e-5)
    assert fitted.params["omega"] * 1e4 == pytest.approx(0.0107613978518, rel=1e-3)
    assert fitted.params["alpha[1]"] == pytest.approx(0.15313406182, rel=1e-3)
    assert fitted.params["beta[1]"] == pytest.approx(0.80597367031, rel=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"p": 0}, {"p": 4}, {"q": -1}, {"dist": "cauchy"}, {"mean": "ar"}, {"vol": "egarch"}, {"o": 1.5}]
)
def test_unknown_specifications_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestInvalid):
        GarchModel(**wrong)  # type: ignore[arg-type]
