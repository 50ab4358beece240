"""Component GARCH against simulated truth and against a slow twin."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.models._kernels import backcast
from forecastle.models._likelihood import coordinate, maximise, share
from forecastle.models.component_garch import ComponentGarch, component_rolling_variance, component_variance
from forecastle.models.garch import GarchModel
from forecastle.nouns import Candles, Normal, StudentT

FloatArray = npt.NDArray[np.float64]

TRUTH = {"mu": 3e-4, "omega": 1.0e-6, "rho": 0.99, "phi": 0.04, "alpha": 0.08, "beta": 0.80}


def simulated(n: int, seed: int, nu: float | None = None) -> FloatArray:
    """Return n returns of the model with the parameters of ``TRUTH``, after 500 that are thrown away."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(n + 500) if nu is None else rng.standard_t(nu, n + 500) * math.sqrt((nu - 2) / nu)
    r, t = np.empty(n + 500), TRUTH
    q = s2 = t["omega"] / (1 - t["rho"])
    for i in range(n + 500):
        e = math.sqrt(s2) * z[i]
        r[i] = t["mu"] + e
        slow = t["omega"] + t["rho"] * q + t["phi"] * (e**2 - s2)
        s2 = slow + t["alpha"] * (e**2 - q) + t["beta"] * (s2 - q)
        q = slow
    return r[500:]


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[-1200:]


def test_true_parameters_are_recovered() -> None:
    """The mean of eight fits to 6,000 simulated returns each lies within three of its own standard errors."""
    fits = [ComponentGarch("normal").fit(simulated(6000, seed)) for seed in range(8)]
    assert all(f.converged for f in fits)
    for name, value in TRUTH.items():
        found = np.array([f.params[name] for f in fits])
        assert abs(found.mean() - value) < 3 * found.std(ddof=1) / math.sqrt(found.size), name


def test_errors_are_as_large_as_estimates_scatter() -> None:
    """With Student's t: every parameter within four of the robust errors that the summary gives."""
    fitted = ComponentGarch("t").fit(simulated(8000, 3, nu=6.0))
    table = {p.name: p for p in fitted.summary().parameters}
    assert set(table) == {*TRUTH, "nu"}
    for name, value in (TRUTH | {"nu": 6.0}).items():
        error = table[name].standard_error
        assert error is not None
        assert abs(table[name].value - value) < 4 * error, name


def slow_loglikelihood(returns: FloatArray, p: dict[str, float]) -> float:
    """Return the likelihood as the paper writes it, one number at a time."""
    start = float(backcast((returns - returns.mean())[None, :])[0])
    square = s2 = q = start
    total = 0.0
    for r in map(float, returns):
        now = p["omega"] + p["rho"] * q + p["phi"] * (square - s2)
        s2 = now + p["alpha"] * (square - q) + p["beta"] * (s2 - q)
        q, square = now, (r - p["mu"]) ** 2
        if "nu" in p:
            nu = p["nu"]
            scale = math.sqrt(s2 * (nu - 2) / nu)
            x = (r - p["mu"]) / scale
            total += math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
            total -= math.log(scale) + (nu + 1) / 2 * math.log(1 + x * x / nu)
        else:
            total -= 0.5 * (math.log(2 * math.pi * s2) + square / s2)
    return total


@pytest.mark.parametrize("dist", ["normal", "t"])
def test_likelihood_is_that_of_the_slow_twin(returns: FloatArray, dist: str) -> None:
    fitted = ComponentGarch(dist).fit(returns)  # type: ignore[arg-type]
    assert fitted.loglikelihood == pytest.approx(slow_loglikelihood(returns, dict(fitted.params)), abs=1e-7)
    assert fitted.converged
    assert fitted.loglikelihood > GarchModel(dist=dist).fit(returns).loglikelihood, "GARCH(1,1) is inside it"  # type: ignore[arg-type]
    assert fitted.summary().aic == pytest.approx(2 * len(fitted.params) - 2 * fitted.loglikelihood)


def test_without_the_slow_part_it_is_garch(returns: FloatArray) -> None:
    """phi = 0: q stays at its level, and the recursion is GARCH(1,1) with omega (1 - alpha - beta)."""
    level, alpha, beta = float(returns.var()), 0.08, 0.9
    ours = component_variance(returns, level * 0.01, 0.99, 0.0, alpha, beta, level)[0]
    s2 = level
    for e, our in zip(returns, ours[1:], strict=True):
        s2 = level * (1 - alpha - beta) + alpha * e**2 + beta * s2
        assert our == pytest.approx(s2, rel=1e-12)


def test_the_rolling_filter_is_the_filter_of_each_window(returns: FloatArray) -> None:
    weights, start = (1e-6, 0.99, 0.03, 0.06, 0.85), np.linspace(1e-4, 2e-4, 901)
    rolled = component_rolling_variance(returns, *weights, start)
    for row in (0, 450, 900):
        assert rolled[row] == component_variance(returns[row : row + 300], *weights, start[row])[0, -1]


def test_expected_variances_are_the_mean_of_simulated_paths(returns: FloatArray) -> None:
    fitted = ComponentGarch("normal").fit(returns)
    s2, q = fitted._filtered(returns)[:, -1]
    expected = fitted.expected_variances(returns, 30)
    assert expected[0] == pytest.approx(s2)
    totals = fitted._simulate(float(s2), float(q), 30)
    assert totals.var() == pytest.approx(expected.sum(), rel=0.05)
    assert fitted.forecast(30).sigma == pytest.approx(math.sqrt(expected.sum()), rel=1e-12)
    assert fitted.expected_variances(returns, 200_000)[-1] == pytest.approx(fitted.long_run_sigma**2, rel=1e-6)


def test_one_bar_ahead_has_the_distribution_fitted(returns: FloatArray) -> None:
    heavy, light = ComponentGarch("t").fit(returns), ComponentGarch("normal").fit(returns)
    ahead = heavy.distribution(returns, 1)
    assert isinstance(ahead, StudentT)
    assert ahead.nu == heavy.params["nu"]
    assert isinstance(light.distribution(returns, 1), Normal)
    assert heavy.conditional_volatility().shape == heavy.long_run_volatility().shape == returns.shape


@pytest.mark.parametrize("k", [1e-4, 1e4])
def test_the_unit_does_not_matter(returns: FloatArray, k: float) -> None:
    straight = ComponentGarch().fit(returns).forecast(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        scaled = ComponentGarch().fit(k * returns).forecast(1)
    assert scaled.sigma == pytest.approx(k * straight.sigma, rel=1e-4)


def test_constant_volatility_is_said_to_need_no_components() -> None:
    fitted = ComponentGarch("normal").fit(0.01 * np.random.default_rng(5).standard_normal(2000))
    assert fitted.forecast(1).sigma == pytest.approx(0.01, rel=0.1)
    assert "bound" in fitted.status.reason or "told apart" in fitted.status.reason


def test_what_it_cannot_be_fitted_to_is_refused(returns: FloatArray) -> None:
    with pytest.raises(RequestInvalid, match="skewt"):
        ComponentGarch("skewt")  # type: ignore[arg-type]
    with pytest.raises(ForecastRefused, match="249 returns"):
        ComponentGarch().fit(returns[:249])
    with pytest.raises(ForecastRefused, match="never change"):
        ComponentGarch().fit(np.full(400, 0.01))
    with pytest.raises(DataInvalid, match="not finite"):
        ComponentGarch().fit(np.r_[returns, np.nan])


def test_a_search_without_a_top_does_not_converge() -> None:
    """A likelihood that climbs for ever ends at the edge of what is searched or with its gradient in the reason."""
    endless = maximise(lambda p: np.array([p[0] ** 3]), lambda x: np.exp(x), [np.array([0.0])], runs=1)
    assert endless.params[0] == pytest.approx(math.exp(9.0))
    broken = maximise(lambda p: np.array([np.nan]), lambda x: x, [np.array([0.0])], runs=1)
    assert not broken.converged
    for part in (1e-6, 0.3, 0.999):
        assert share(coordinate(part)) == pytest.approx(part)
