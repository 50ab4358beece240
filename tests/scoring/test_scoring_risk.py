"""Risk tests against numbers from outside: Basel's table, Jorion's example, vartests 0.4.1, brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring import risk

FloatArray = npt.NDArray[np.float64]


def _series(hits: list[int]) -> tuple[FloatArray, FloatArray]:
    """Return returns and a constant VaR of 1 that break exactly where ``hits`` is 1."""
    return np.where(np.array(hits) == 1, -2.0, 0.5), np.ones(len(hits))


def test_kupiec_gives_jorions_example() -> None:
    """J.P. Morgan 1998: 20 exceptions in 252 days at 5 %, LR 3.91 (Jorion, Value at Risk, 3rd ed., section 6.2)."""
    result = risk.kupiec_pof(*_series([1] * 20 + [0] * 232), 0.05)
    assert result.statistic == pytest.approx(3.91, abs=0.005)
    assert result.degrees_of_freedom == 1


def test_kupiec_agrees_with_vartests() -> None:
    """27 hits in 500 at 5 %: vartests 0.4.1 gives 0.16432911794888128, p 0.6852016785064371."""
    t = np.arange(500)
    returns = 0.01 * np.sin(1.7 * t) * (1 + 0.5 * np.sin(t / 40.0))
    result = risk.kupiec_pof(returns, np.full(500, 0.0125), 0.05)
    assert result.statistic == pytest.approx(0.16432911794888128, rel=1e-12)
    assert result.p_value == pytest.approx(0.6852016785064371, rel=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 250), (250, 250)])
def test_kupiec_is_finite_where_all_or_none_break(hits: int, n: int) -> None:
    result = risk.kupiec_pof(*_series([1] * hits + [0] * (n - hits)), 0.01)
    expected = -2 * n * math.log(0.99 if hits == 0 else 0.01)
    assert result.statistic == pytest.approx(expected)


@given(st.lists(st.integers(0, 1), min_size=3, max_size=60))
def test_christoffersen_is_the_maximised_markov_likelihood(hits: list[int]) -> None:
    """An independent slow version: both likelihoods maximised numerically over the path of hits."""

    def path(p01: float, p11: float) -> float:
        total = 0.0
        for before, after in itertools.pairwise(hits):
            p = p11 if before else p01
            total += math.log(max(p if after else 1 - p, 1e-300))
        return total

    box = (1e-12, 1 - 1e-12)
    one = optimize.minimize_scalar(lambda p: -path(p, p), bounds=box, method="bounded", options={"xatol": 1e-10})
    free01 = optimize.minimize_scalar(lambda p: -path(p, 0.5), bounds=box, method="bounded", options={"xatol": 1e-10})
    free11 = optimize.minimize_scalar(lambda p: -path(0.5, p), bounds=box, method="bounded", options={"xatol": 1e-10})
    ratio = 2 * (path(free01.x, free11.x) - path(one.x, one.x))
    result = risk.christoffersen(*_series(hits), 0.05)
    assert result.independence.statistic == pytest.approx(max(ratio, 0.0), abs=1e-4)
    joint = result.conditional_coverage
    uncovered = risk.kupiec_pof(*_series(hits), 0.05).statistic
    assert uncovered is not None
    assert result.independence.statistic is not None
    assert joint.statistic == pytest.approx(uncovered + result.independence.statistic)
    assert joint.p_value == pytest.approx(stats.chi2.sf(joint.statistic, 2))


def test_clustered_breaches_are_not_independent() -> None:
    spread = risk.christoffersen(*_series(([1] + [0] * 19) * 12), 0.05)
    clustered = risk.christoffersen(*_series([0] * 228 + [1] * 12), 0.05)
    assert not spread.conditional_coverage.rejects(0.05)
    assert clustered.independence.rejects(0.001)


@pytest.mark.parametrize(
    ("breaches", "zone", "cumulative"),
    [(0, "green", 8.11), (2, "green", 54.32), (4, "green", 89.22), (5, "yellow", 95.88), (7, "yellow", 99.60),
     (9, "yellow", 99.97), (10, "red", 99.99)],
)  # fmt: skip
def test_traffic_light_is_the_table_of_basel(breaches: int, zone: str, cumulative: float) -> None:
    """Basel Committee (1996), table 2: 250 observations at 99 % coverage; percentages as printed there."""
    light = risk.traffic_light(breaches, 250, 0.01)
    assert light.zone == zone
    assert 100 * light.cumulative_probability == pytest.approx(cumulative, abs=0.01)


def test_acerbi_szekely_by_hand() -> None:
    """Two breaches of four: Z1 = (-3/2.5 - 2/2)/2 + 1 = -0.1; Z2 = -2.2/(4 * 0.25) + 1 = -1.2."""
    returns, var = np.array([-3.0, 1.0, -2.0, 0.0]), np.ones(4)
    result = risk.acerbi_szekely(returns, var, np.array([2.5, 2.0, 2.0, 2.0]), 0.25)
    assert result.z1.statistic == pytest.approx(-0.1)
    assert result.z2.statistic == pytest.approx(-1.2)
    assert result.z1.p_value is None
    assert "simulator" in result.z2.reason


def test_acerbi_szekely_has_the_critical_value_of_the_paper() -> None:
    """For 250 days at 2.5 % the 5 % quantile of Z2 is about -0.7 (Acerbi and Szekely 2014, table 5), its mean 0."""
    rng, p = np.random.default_rng(3), 0.025
    var = np.full(250, -stats.norm.ppf(p))
    es = np.full(250, stats.norm.pdf(stats.norm.ppf(p)) / p)
    draws = [risk.acerbi_szekely(rng.standard_normal(250), var, es, p).z2.statistic for _ in range(4000)]
    z2 = np.array(draws, dtype=float)
    assert np.quantile(z2, 0.05) == pytest.approx(-0.70, abs=0.06)
    assert z2.mean() == pytest.approx(0.0, abs=4 * z2.std() / 4000**0.5)


def test_acerbi_szekely_p_value_finds_too_little_es() -> None:
    rng, p = np.random.default_rng(5), 0.05
    var, es = np.full(1000, 1.645), np.full(1000, 2.063)
    honest = risk.acerbi_szekely(rng.standard_normal(1000), var, es, p, simulate=lambda g: g.standard_normal(1000))
    heavy = risk.acerbi_szekely(rng.standard_t(3, 1000), var, es, p, simulate=lambda g: g.standard_normal(1000))
    assert honest.z2.p_value is not None
    assert honest.z2.p_value > 0.01
    assert heavy.z2.p_value is not None
    assert heavy.z2.p_value < 0.01


def test_a_breach_is_strict() -> None:
    """A return of exactly minus VaR is no breach."""
    light = risk.kupiec_pof(np.array([-1.0, -1.0, -1.0000001, 0.0]), np.ones(4), 0.25)
    assert light.statistic == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("returns", "var", "p", "error"),
    [
        (np.zeros(3), np.ones(4), 0.01, DataInvalid),
        (np.array([0.0, np.nan]), np.ones(2), 0.01, DataInvalid),
        (np.zeros(2), np.array([1.0, np.inf]), 0.01, DataInvalid),
        (np.zeros(2), -np.ones(2), 0.01, DataInvalid),
        (np.zeros(0), np.zeros(0), 0.01, DataInvalid),
        (np.zeros(2), np.ones(2), 1.0, RequestInvalid),
        (np.zeros(2), np.ones(2), 0.99, RequestInvalid),
    ],
)
def test_what_cannot_be_tested_is_refused(
    returns: FloatArray, var: FloatArray, p: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        risk.kupiec_pof(returns, var, p)


def test_nominal_size_under_the_null() -> None:
    """On iid hits of the right probability each test rejects at 5 % about 5 % of the time (binomial error)."""
    rng, rounds = np.random.default_rng(11), 600
    kupiec = coverage = 0
    for _ in range(rounds):
        returns, var = _series(list((rng.random(1000) < 0.05).astype(int)))
        kupiec += risk.kupiec_pof(returns, var, 0.05).rejects()
        coverage += risk.christoffersen(returns, var, 0.05).conditional_coverage.rejects()
    low, high = stats.binom.interval(0.999, rounds, 0.055)
    assert low <= kupiec <= high
    assert low <= coverage <= high + 12  # the joint test is known to reject slightly too often in finite samples
