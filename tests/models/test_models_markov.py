"""Markov-switching GARCH against simulated truth, a slow twin, and the constant-variance regimes of statsmodels."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate

from forecastle.errors import ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.models._kernels import backcast
from forecastle.models._likelihood import t_constant
from forecastle.models._regimes import regime_filter, regime_rolling
from forecastle.models.markov_switching import FittedMarkovSwitching, MarkovSwitchingGarch
from forecastle.models.markov_switching import _density as _density_of
from forecastle.nouns import Candles, Normal, StudentT
from forecastle.nouns.mixture import Mixture

FloatArray = npt.NDArray[np.float64]

TRUTH = {
    "mu": 3e-4, "omega[1]": 2e-6, "omega[2]": 4e-5, "alpha[1]": 0.03, "alpha[2]": 0.15, "beta[1]": 0.90,
    "beta[2]": 0.75, "stay[1]": 0.985, "stay[2]": 0.95,
}  # fmt: skip


def simulated(n: int, seed: int) -> FloatArray:
    """Return n returns of the model with the parameters of ``TRUTH`` and normal innovations."""
    rng, t = np.random.default_rng(seed), TRUTH
    s2 = [t[f"omega[{k}]"] / (1 - t[f"alpha[{k}]"] - t[f"beta[{k}]"]) for k in (1, 2)]
    r, regime = np.empty(n), 0
    for i in range(n):
        e = math.sqrt(s2[regime]) * rng.standard_normal()
        r[i] = t["mu"] + e
        s2 = [t[f"omega[{k}]"] + t[f"alpha[{k}]"] * e**2 + t[f"beta[{k}]"] * s2[k - 1] for k in (1, 2)]
        regime = regime if rng.random() < t[f"stay[{regime + 1}]"] else 1 - regime
    return r


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[-1000:]


@pytest.fixture(scope="module")
def fitted(returns: FloatArray) -> FittedMarkovSwitching:
    return MarkovSwitchingGarch("t").fit(returns)


def test_true_parameters_are_recovered() -> None:
    """6,000 simulated returns: each estimate within four of its own robust errors, regime 1 the calm one."""
    found = MarkovSwitchingGarch("normal").fit(simulated(6000, 11))
    assert found.converged
    table = {p.name: p for p in found.summary().parameters}
    assert set(table) == set(TRUTH)
    for name, value in TRUTH.items():
        error = table[name].standard_error
        assert error is not None
        assert abs(table[name].value - value) < 4 * error, name
    assert found.long_run_probabilities[0] == pytest.approx(0.05 / 0.065, abs=0.1)


def slow_loglikelihood(returns: FloatArray, p: dict[str, float]) -> float:
    """Return the likelihood with matrices and dictionaries, densities summed as they are."""
    square = float(backcast((returns - returns.mean())[None, :])[0])
    move = np.array([[p["stay[1]"], 1 - p["stay[1]"]], [1 - p["stay[2]"], p["stay[2]"]]])
    chance = np.linalg.matrix_power(move, 10_000)[0]
    s2 = {k: p[f"omega[{k}]"] / (1 - p[f"alpha[{k}]"] - p[f"beta[{k}]"]) for k in (1, 2)}
    total = 0.0
    for r in map(float, returns):
        s2 = {k: p[f"omega[{k}]"] + p[f"alpha[{k}]"] * square + p[f"beta[{k}]"] * s2[k] for k in (1, 2)}
        density = np.array([_density(r - p["mu"], s2[k], p.get("nu")) for k in (1, 2)])
        total += math.log(chance @ density)
        chance = (chance * density / (chance @ density)) @ move
        square = (r - p["mu"]) ** 2
    return total


def _density(e: float, variance: float, nu: float | None) -> float:
    if nu is None:
        return math.exp(-0.5 * e * e / variance) / math.sqrt(2 * math.pi * variance)
    scale = math.sqrt(variance * (nu - 2) / nu)
    constant = math.gamma((nu + 1) / 2) / math.gamma(nu / 2) / math.sqrt(nu * math.pi) / scale
    return float(constant * (1 + (e / scale) ** 2 / nu) ** (-(nu + 1) / 2))


def test_likelihood_is_that_of_the_slow_twin(returns: FloatArray, fitted: FittedMarkovSwitching) -> None:
    assert fitted.converged
    assert fitted.loglikelihood == pytest.approx(slow_loglikelihood(returns, dict(fitted.params)), abs=1e-6)
    light = MarkovSwitchingGarch("normal").fit(returns)
    assert light.loglikelihood == pytest.approx(slow_loglikelihood(returns, dict(light.params)), abs=1e-6)
    levels = [
        light.params[f"omega[{k}]"] / (1 - light.params[f"alpha[{k}]"] - light.params[f"beta[{k}]"]) for k in (1, 2)
    ]
    assert levels == sorted(levels)


@pytest.mark.parametrize("dist", ["normal", "t"])
def test_the_gradient_is_that_of_differences(returns: FloatArray, dist: str) -> None:
    """At a point that is no top, in every coordinate of the search."""
    model, scaled = MarkovSwitchingGarch(dist), returns / returns.std()  # type: ignore[arg-type]
    x = np.array([0.02, -0.7, 0.9, 1.1, 1.2, 0.3, 0.4, 1.35, 1.2, 0.6])[: 10 if dist == "t" else 9]
    terms, found = _density_of(scaled), model._climb(scaled)(x)
    for i in range(x.size):
        step = 1e-5 * np.eye(x.size)[i]
        slope = (terms(model._natural(x + step)).sum() - terms(model._natural(x - step)).sum()) / 2e-5
        assert found[i] == pytest.approx(slope, rel=1e-5, abs=1e-4), i


def test_without_garch_it_is_the_switching_variance_of_statsmodels(returns: FloatArray) -> None:
    """alpha = beta = 0: two constant variances, the same likelihood and the same filtered probabilities."""
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression  # type: ignore[import-untyped]

    mu, variances, stay = 4e-4, np.array([3e-5, 3e-4]), np.array([0.98, 0.93])
    none = np.zeros(2)
    ours = regime_filter(returns - mu, variances, none, none, stay, 0.0, 0.0, 1.0)
    theirs = MarkovRegression(returns, k_regimes=2, trend="c", switching_trend=False, switching_variance=True)
    result = theirs.filter(np.array([stay[0], 1 - stay[1], mu, *variances]))
    assert ours[:-1, 0].sum() == pytest.approx(result.llf, abs=1e-6)
    np.testing.assert_allclose(ours[:-1, 1], result.predicted_marginal_probabilities[:, 0], atol=1e-9)


def test_two_equal_regimes_are_one_garch() -> None:
    rng = np.random.default_rng(3)
    e, both = rng.standard_normal(300), np.ones(2)
    out = regime_filter(e, 0.1 * both, 0.05 * both, 0.85 * both, 0.9 * both, 7.0, t_constant(7.0), 1.0)
    np.testing.assert_array_equal(out[:, 2], out[:, 3])
    s2 = 0.1 + 0.05 + 0.85
    for x, our in zip(e, out[1:, 2], strict=True):
        s2 = 0.1 + 0.05 * x**2 + 0.85 * s2
        assert our == pytest.approx(s2, rel=1e-12)


def test_the_rolling_filter_is_the_filter_of_each_window(returns: FloatArray) -> None:
    pair = (np.array([2e-6, 2e-5]), np.array([0.05, 0.1]), np.array([0.9, 0.8]), np.array([0.98, 0.95]))
    start = np.full(501, 1e-4)
    rolled = regime_rolling(returns, *pair, 0.0, 0.0, start)
    for row in (0, 250, 500):
        alone = regime_filter(returns[row : row + 500], *pair, 0.0, 0.0, 1e-4)
        np.testing.assert_array_equal(rolled[row], alone[-1])


def test_the_expected_variances_are_those_of_simulated_regimes(
    fitted: FittedMarkovSwitching, returns: FloatArray
) -> None:
    """The moment recursion against paths in which the regime is drawn; far ahead it ends at the long-run sigma."""
    last = fitted._filtered(returns)[-1]
    expected = fitted.expected_variances(returns, 30)
    assert fitted._simulate(last, 10).var() == pytest.approx(expected[:10].sum(), rel=0.06)
    assert fitted.forecast(30).sigma == pytest.approx(math.sqrt(expected.sum()), rel=1e-12)
    far = fitted.expected_variances(returns, 20_000)[-1]
    assert math.sqrt(far) == pytest.approx(fitted.unconditional_sigma, rel=1e-6)
    persistence = fitted.summary().persistence
    assert persistence is not None
    assert 0 < persistence < 1


def test_one_bar_ahead_is_the_mixture_of_the_regimes(fitted: FittedMarkovSwitching, returns: FloatArray) -> None:
    ahead = fitted.distribution(returns, 1)
    assert isinstance(ahead, Mixture)
    _, calm, first, second = fitted._filtered(returns)[-1]
    assert ahead.weights == (calm, 1 - calm)
    assert ahead.sigma**2 == pytest.approx(calm * first + (1 - calm) * second)
    assert fitted.regime_probabilities()[-1] == 1 - calm
    for p in (0.005, 0.01, 0.4, 0.99):
        assert ahead.cdf(ahead.quantile(p)) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("nu", [None, 4.5])
def test_the_tail_of_a_mixture_is_its_integral(nu: float | None) -> None:
    """ES against the integral of the density that is the derivative of the cdf; one part is the part itself."""
    weights, raw = (0.7, 0.3), np.array([0.6, 1.8])
    sigma = math.sqrt(weights @ raw**2)
    mixed = Mixture(0.001, 0.02, weights, tuple(raw / sigma), nu)
    q = mixed.quantile(0.025)
    below, _ = integrate.quad(mixed.cdf, -np.inf, q, epsabs=1e-13, limit=200)
    assert mixed.es(0.025) == pytest.approx(-(q - below / 0.025), rel=1e-6), "integration by parts"
    alone = Mixture(0.001, 0.02, (1.0,), (1.0,), nu)
    reference = Normal(0.001, 0.02) if nu is None else StudentT(0.001, 0.02, nu=nu)
    for p in (0.01, 0.3, 0.995):
        assert alone.quantile(p) == pytest.approx(reference.quantile(p), rel=1e-12)
        assert alone.es(p) == pytest.approx(reference.es(p), rel=1e-10)
    with pytest.raises(ValueError, match="both have to be 1"):
        Mixture(0.0, 1.0, (0.5, 0.5), (1.0, 2.0))
    with pytest.raises(ValueError, match="as many"):
        Mixture(0.0, 1.0, (1.0,), (1.0, 1.0))


@pytest.mark.parametrize("k", [1e-4, 1e4])
def test_the_unit_does_not_matter(returns: FloatArray, k: float) -> None:
    straight = MarkovSwitchingGarch("normal").fit(returns[:500]).forecast(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        scaled = MarkovSwitchingGarch("normal").fit(k * returns[:500]).forecast(1)
    assert scaled.sigma == pytest.approx(k * straight.sigma, rel=1e-3)


def test_a_regime_that_collapses_is_no_fit(returns: FloatArray) -> None:
    """A feed that stood still half the time: the calm regime has hardly any variance, and no forecast is served."""
    halted = returns.copy()
    halted[100:400] = 1e-7 * np.random.default_rng(1).standard_normal(300)
    found = MarkovSwitchingGarch("normal").fit(halted[:500])
    assert not found.converged
    assert "collapsed" in found.status.reason
    with pytest.raises(ForecastRefused, match="collapsed"):
        found.forecast(1)


def test_regimes_that_say_nothing_are_named() -> None:
    one = MarkovSwitchingGarch("normal").fit(0.01 * np.random.default_rng(8).standard_normal(600))
    assert one.forecast(1).sigma == pytest.approx(0.01, rel=0.15)
    broken = np.r_[
        0.005 * np.random.default_rng(1).standard_normal(300), 0.02 * np.random.default_rng(2).standard_normal(300)
    ]
    assert "a break, not a switch" in MarkovSwitchingGarch("normal").fit(broken).status.reason


def test_what_it_cannot_be_fitted_to_is_refused(returns: FloatArray) -> None:
    with pytest.raises(RequestInvalid, match="skewt"):
        MarkovSwitchingGarch("skewt")  # type: ignore[arg-type]
    with pytest.raises(ForecastRefused, match="499 returns"):
        MarkovSwitchingGarch().fit(returns[:499])
