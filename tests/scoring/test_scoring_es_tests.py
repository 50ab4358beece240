"""McNeil-Frey beside scipy's t-test and a slow bootstrap, and the simulator that gives Acerbi-Szekely a p-value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from forecastle.errors import DataInvalid
from forecastle.nouns import Empirical, StudentT
from forecastle.scoring import risk

FloatArray = npt.NDArray[np.float64]

P = 0.05
VAR = -float(stats.norm.ppf(P))
ES = float(stats.norm.pdf(VAR)) / P


def _drawn(seed: int, n: int, nu: float = np.inf) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return returns of a wandering sigma, and a normal's VaR and ES of it, and sigma; t returns have unit variance."""
    rng = np.random.default_rng(seed)
    sigma = 0.01 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))
    z = rng.standard_normal(n) if np.isinf(nu) else rng.standard_t(nu, n) * np.sqrt((nu - 2) / nu)
    return sigma * z, VAR * sigma, ES * sigma, sigma


@pytest.mark.parametrize("standardised", [True, False])
def test_mcneil_frey_is_a_t_value_with_a_bootstrap(standardised: bool) -> None:
    """scipy's one-sample t on the residuals, and centred resamples drawn one by one with another generator."""
    returns, var, es, sigma = _drawn(4, 800, nu=5)
    hits = returns < -var
    scale = sigma if standardised else np.ones(800)
    residuals = (-returns[hits] - es[hits]) / scale[hits]
    result = risk.mcneil_frey(returns, var, es, P, sigma if standardised else None, replications=4000)
    t = float(stats.ttest_1samp(residuals, 0.0).statistic)
    assert result.statistic == pytest.approx(t)
    other = np.random.RandomState(8)
    centred = residuals - residuals.mean()
    slow = [float(stats.ttest_1samp(other.choice(centred, centred.size), 0.0).statistic) for _ in range(1500)]
    share = float(np.mean(np.array(slow) >= t))
    assert result.p_value == pytest.approx(share, abs=4 * (share * (1 - share) / 1500) ** 0.5 + 0.005)


def test_size_and_power_of_mcneil_frey() -> None:
    """About 5 % of right forecasts are rejected; a normal ES of Student-t returns is found too low."""
    rounds = 400
    tests = [risk.mcneil_frey(*_drawn(s, 1000)[:3], P, _drawn(s, 1000)[3], replications=199) for s in range(rounds)]
    rejected = sum(test.rejects(0.0501) for test in tests)
    low, high = stats.binom.interval(0.999, rounds, 0.05)
    assert low <= rejected <= high
    heavy = [risk.mcneil_frey(*_drawn(s, 1000, nu=3)[:3], P, _drawn(s, 1000, nu=3)[3]) for s in range(30)]
    assert sum(test.rejects() for test in heavy) >= 25


def test_too_much_es_is_not_what_mcneil_frey_looks_for() -> None:
    returns, var, es, sigma = _drawn(2, 1000)
    result = risk.mcneil_frey(returns, var, 1.5 * es, P, sigma)
    assert result.p_value is not None
    assert result.p_value > 0.99


def test_mcneil_frey_needs_breaches_that_differ() -> None:
    few = np.where(np.arange(100) < 4, -3.0 - np.arange(100), 0.5)
    one, two = np.ones(100), np.full(100, 2.0)
    assert risk.mcneil_frey(few, one, two, P).reason == "fewer than 5 breaches"
    same = np.where(np.arange(100) < 9, -3.0, 0.5)
    assert "the same" in risk.mcneil_frey(same, one, two, P).reason
    five = np.where(np.arange(100) < 5, -3.0 - np.arange(100), 0.5)
    assert risk.mcneil_frey(five, one, two, P).p_value is not None
    with pytest.raises(DataInvalid):
        risk.mcneil_frey(five, one, 0 * two, P)
    with pytest.raises(DataInvalid):
        risk.mcneil_frey(five, one, two, P, -one)
    with pytest.raises(DataInvalid):
        risk.mcneil_frey(five, one, two[:50], P)


def test_mcneil_frey_is_the_same_every_time_and_in_every_unit() -> None:
    returns, var, es, _ = _drawn(3, 600)
    first = risk.mcneil_frey(returns, var, es, P)
    assert risk.mcneil_frey(returns, var, es, P) == first
    scaled = risk.mcneil_frey(1e-3 * returns, 1e-3 * var, 1e-3 * es, P)
    assert scaled.p_value == first.p_value


def test_a_simulator_draws_from_the_forecasts() -> None:
    mean, sigma = np.full(4000, 0.5), np.full(4000, 2.0)
    draw = risk.simulator(mean, sigma, StudentT(0.0, 1.0, 5.0).standard_quantile)
    z = (draw(np.random.default_rng(1)) - 0.5) / 2.0
    assert stats.kstest(z, stats.t(5, scale=np.sqrt(3 / 5)).cdf).pvalue > 0.01
    past = np.array([-2.0, -1.0, 0.5, 1.0, 1.5])
    empirical = Empirical.of(past)
    drawn = risk.simulator(mean, sigma, empirical.standard_quantile)(np.random.default_rng(1))
    assert set(np.round((drawn - 0.5) / 2.0, 9)) == set(np.round(empirical.sample, 9))
    with pytest.raises(DataInvalid):
        risk.simulator(mean, 0 * sigma, empirical.standard_quantile)


def test_the_simulator_gives_acerbi_szekely_its_p_values() -> None:
    """A right forecast is not rejected; too thin a tail, simulated as what was said, is."""
    returns, var, es, sigma = _drawn(6, 1000)
    normal = risk.simulator(np.zeros(1000), sigma, lambda u: np.asarray(stats.norm.ppf(u)))
    right = risk.acerbi_szekely(returns, var, es, P, normal)
    heavy, var, es, sigma = _drawn(6, 1000, nu=3)
    said = risk.simulator(np.zeros(1000), sigma, lambda u: np.asarray(stats.norm.ppf(u)))
    wrong = risk.acerbi_szekely(heavy, var, es, P, said)
    assert right.z1.p_value is not None
    assert wrong.z1.p_value is not None
    assert right.z1.p_value > 0.05 > 0.01 > wrong.z1.p_value
