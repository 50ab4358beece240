"""Quantile, probability and tail of every distribution, against scipy and against integrals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from arch.univariate import GeneralizedError, SkewStudent
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from forecastle.errors import RequestInvalid
from forecastle.nouns import Distribution, Empirical, Ged, Normal, SkewT, StudentT
from forecastle.nouns import standard_laws as laws

LEVELS = [1e-4, 0.005, 0.01, 0.025, 0.05, 0.25, 0.5, 0.75, 0.99]
MOMENTS = [(0.0, 1.0), (0.0004, 0.011), (-0.02, 0.3)]
NUS = [2.05, 2.5, 3.0, 5.0, 8.0, 30.0, 300.0]
MEANS, SIGMAS = st.floats(-0.1, 0.1), st.floats(1e-4, 0.5)
SAMPLES = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=40).filter(lambda v: np.std(v) > 1e-6)


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    kind = draw(st.sampled_from(["normal", "t", "skewt", "ged", "empirical"]))
    if kind == "empirical":
        return Empirical.of(np.array(draw(SAMPLES)))
    mean, sigma = draw(MEANS), draw(SIGMAS)
    if kind == "skewt":
        return SkewT(mean, sigma, draw(st.floats(2.01, 1e4)), draw(st.floats(-0.99, 0.99)))
    if kind == "ged":
        return Ged(mean, sigma, draw(st.floats(0.4, 20.0)))
    return Normal(mean, sigma) if kind == "normal" else StudentT(mean, sigma, draw(st.floats(2.01, 1e5)))


def _t(mean: float, sigma: float, nu: float) -> stats.rv_continuous:
    """Student's t scaled so that its standard deviation is sigma."""
    return stats.t(nu, loc=mean, scale=sigma * math.sqrt((nu - 2) / nu))


def _shortfall(law: stats.rv_continuous, level: float) -> float:
    """ES by numerical integration of the quantiles (Acerbi and Tasche 2002): -1/p times the integral from 0 to p.

    With u = x^4 the integrand stays smooth at 0, where the quantiles of a heavy tail run away.
    """
    total, error = integrate.quad(
        lambda x: float(law.ppf(x**4)) * 4 * x**3, 0.0, level**0.25, epsabs=1e-13, epsrel=1e-11, limit=400
    )
    assert error < 1e-7
    return -float(total) / level


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("mean", "sigma"), MOMENTS)
def test_normal_is_scipys(mean: float, sigma: float, level: float) -> None:
    ours, law = Normal(mean, sigma), stats.norm(mean, sigma)
    assert ours.quantile(level) == pytest.approx(law.ppf(level), rel=1e-12, abs=1e-15)
    assert ours.var(level) == pytest.approx(-law.ppf(level), rel=1e-12, abs=1e-15)
    assert ours.es(level) == pytest.approx(_shortfall(law, level), rel=1e-7, abs=1e-9)
    for r in (-0.3, 0.0, mean, 0.01):
        assert ours.cdf(r) == pytest.approx(law.cdf(r), rel=1e-11, abs=1e-300)
    assert ours.prob_up == pytest.approx(law.sf(0.0), abs=1e-14)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("nu", NUS)
def test_student_t_is_scipys_scaled_to_its_sigma(nu: float, level: float) -> None:
    for mean, sigma in MOMENTS:
        ours, law = StudentT(mean, sigma, nu), _t(mean, sigma, nu)
        assert ours.quantile(level) == pytest.approx(law.ppf(level), rel=1e-9, abs=1e-12)
        assert ours.es(level) == pytest.approx(_shortfall(law, level), rel=1e-6, abs=1e-9)
        for r in (-0.3, 0.0, mean, 0.01):
            assert ours.cdf(r) == pytest.approx(law.cdf(r), rel=1e-9)
        assert ours.prob_up == pytest.approx(law.sf(0.0), abs=1e-12)


@pytest.mark.parametrize("nu", [2.5, 5.0, 30.0])
def test_sigma_of_student_t_is_its_standard_deviation(nu: float) -> None:
    """From the cdf alone: the variance of a symmetric law is four times the integral of z F(-z) over z > 0."""
    law = StudentT(0.0, 0.01, nu)
    share, _ = integrate.quad(lambda z: z * law.cdf(-0.01 * z), 0.0, math.inf, limit=400)
    assert 4 * share == pytest.approx(1.0, rel=1e-6)


def test_student_t_with_many_degrees_of_freedom_is_normal() -> None:
    for level in LEVELS:
        assert StudentT(0.0, 1.0, 1e7).quantile(level) == pytest.approx(Normal(0.0, 1.0).quantile(level), abs=1e-4)
        assert StudentT(0.0, 1.0, 1e7).es(level) == pytest.approx(Normal(0.0, 1.0).es(level), abs=1e-4)


ETAS, SKEWS, SHAPES = [2.1, 3.0, 8.0, 100.0], [-0.9, -0.3, 0.0, 0.2, 0.8], [1.02, 1.3, 2.0, 4.0]


def _tail_by_integration(law: Distribution, level: float) -> float:
    """Integrate our own quantiles, which are compared with arch's, up to the level; u = x^4 keeps it smooth."""
    total, _ = integrate.quad(
        lambda x: float(law.standard_quantile(np.array([x**4]))[0]) * 4 * x**3,
        0.0,
        level**0.25,
        epsabs=1e-12,
        limit=300,
    )
    return float(total) / level


@pytest.mark.parametrize("eta", ETAS)
@pytest.mark.parametrize("skew", SKEWS)
def test_skewed_t_is_archs(eta: float, skew: float) -> None:
    ours, levels = SkewT(0.0, 1.0, eta, skew), np.array(LEVELS)
    quantiles = ours.standard_quantile(levels)
    np.testing.assert_allclose(quantiles, SkewStudent().ppf(levels, [eta, skew]), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose([ours.cdf(q) for q in quantiles], SkewStudent().cdf(quantiles, [eta, skew]), rtol=1e-8)
    integrals = [_tail_by_integration(ours, p) for p in LEVELS]
    np.testing.assert_allclose(ours.standard_tail(levels), integrals, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nu", SHAPES)
def test_generalised_error_is_archs(nu: float) -> None:
    ours, levels = Ged(0.0, 1.0, nu), np.array(LEVELS)
    quantiles = ours.standard_quantile(levels)
    np.testing.assert_allclose(quantiles, GeneralizedError().ppf(levels, [nu]), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose([ours.cdf(q) for q in quantiles], levels, rtol=1e-9)
    integrals = [_tail_by_integration(ours, p) for p in LEVELS]
    np.testing.assert_allclose(ours.standard_tail(levels), integrals, rtol=1e-7, atol=1e-8)


def test_special_shapes_are_the_simpler_laws() -> None:
    for p in LEVELS:
        assert SkewT(0.1, 2.0, 5.0, 0.0).quantile(p) == pytest.approx(StudentT(0.1, 2.0, 5.0).quantile(p), rel=1e-12)
        assert SkewT(0.1, 2.0, 5.0, 0.0).es(p) == pytest.approx(StudentT(0.1, 2.0, 5.0).es(p), rel=1e-12)
        assert Ged(0.1, 2.0, 2.0).quantile(p) == pytest.approx(Normal(0.1, 2.0).quantile(p), rel=1e-9)
        assert Ged(0.1, 2.0, 2.0).es(p) == pytest.approx(Normal(0.1, 2.0).es(p), rel=1e-9)
        assert SkewT(0.0, 1.0, 6.0, -0.4).quantile(p) == pytest.approx(
            -SkewT(0.0, 1.0, 6.0, 0.4).quantile(1 - p), rel=1e-9, abs=1e-12
        )


@pytest.mark.parametrize("law", [SkewT(0.0, 1.0, 4.0, -0.5), SkewT(0.0, 1.0, 30.0, 0.7), Ged(0.0, 1.0, 1.1)])
def test_the_new_laws_have_mean_zero_and_unit_variance(law: Distribution) -> None:
    """From quantiles alone; and the mean of the tail up to (nearly) all of it is zero."""
    ends, gauss = np.polynomial.legendre.leggauss(1000)
    u = 0.5 * (1 + np.sin(0.5 * np.pi * ends))
    weight = gauss * 0.25 * np.pi * np.cos(0.5 * np.pi * ends)
    z = law.standard_quantile(u)
    assert float(weight @ z) == pytest.approx(0.0, abs=1e-4)
    assert float(weight @ z**2) == pytest.approx(1.0, rel=5e-3)
    assert law.es(1 - 1e-12) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("skew", [-0.7, -0.2, 0.0, 0.3, 0.9])
def test_share_of_the_variance_below_zero(skew: float) -> None:
    law = SkewStudent()
    below, _ = integrate.quad(
        lambda x: x**2 * math.exp(law.loglikelihood(np.array([6.0, skew]), np.array([x]), np.ones(1))), -np.inf, 0.0
    )
    assert laws.skew_t_lower_variance(6.0, skew) == pytest.approx(below, rel=1e-6)


def test_laws_take_a_shape_for_every_row() -> None:
    levels, nus = np.array([0.01, 0.05, 0.99]), np.array([[2.5], [6.0], [40.0]])
    rows = laws.student_t_quantile(levels, nus), laws.ged_tail(levels, nus), laws.skew_t_tail(levels, nus, 0.1)
    assert [r.shape for r in rows] == [(3, 3)] * 3
    for i, nu in enumerate(nus[:, 0]):
        np.testing.assert_array_equal(rows[0][i], StudentT(0.0, 1.0, nu).standard_quantile(levels))
        np.testing.assert_array_equal(rows[1][i], Ged(0.0, 1.0, nu).standard_tail(levels))
        np.testing.assert_array_equal(rows[2][i], SkewT(0.0, 1.0, nu, 0.1).standard_tail(levels))


@given(SAMPLES, st.floats(0.001, 0.999), st.floats(-0.6, 0.6))
def test_empirical_is_the_sample_counted_by_hand(values: list[float], level: float, r: float) -> None:
    ours, data = Empirical.of(np.array(values)), sorted(values)
    m = len(data)
    # ``quantile(p)``: the smallest value with at least a share p of the sample at or below it
    share = [(i + 1) / m for i in range(m)]
    at = next(i for i in range(m) if share[i] >= level - 1e-9 / m)
    assert ours.quantile(level) == pytest.approx(data[at], abs=1e-12)
    assert ours.es(level) == pytest.approx(-sum(data[: at + 1]) / (at + 1), abs=1e-12)
    if all(abs(r - v) > 1e-9 for v in data):
        assert ours.cdf(r) == sum(v <= r for v in data) / m
    assert ours.mean == pytest.approx(np.mean(values), abs=1e-15)
    assert ours.sigma == pytest.approx(np.std(values, ddof=1), rel=1e-12)


def test_empirical_levels_that_are_whole_shares_count_whole_values() -> None:
    """5 % of 1000 is 50 values although 0.05 * 1000 rounds above 50 in some arithmetic."""
    sample = Empirical.of(np.arange(1000.0))
    for k in (1, 5, 10, 25, 50, 100, 290, 570, 999):
        assert sample.quantile(k / 1000) == pytest.approx(k - 1, abs=1e-9)
        assert -sample.es(k / 1000) == pytest.approx((k - 1) / 2, abs=1e-9)


@given(distributions(), st.lists(st.floats(0.001, 0.999), min_size=2, max_size=12))
def test_quantiles_rise_and_the_tail_lies_below_them(law: Distribution, levels: list[float]) -> None:
    levels = sorted(levels)
    quantiles = [law.quantile(p) for p in levels]
    tails = [-law.es(p) for p in levels]
    slack = 1e-9 * law.sigma
    assert all(b >= a for a, b in pairwise(quantiles))
    assert all(b >= a - slack for a, b in pairwise(tails))
    assert all(t <= q + slack for t, q in zip(tails, quantiles, strict=True))
    assert all(law.var(p) == -q for p, q in zip(levels, quantiles, strict=True))


@given(distributions(), st.floats(0.001, 0.999))
def test_cdf_and_quantile_undo_each_other(law: Distribution, level: float) -> None:
    if isinstance(law, Empirical):
        assert law.cdf(law.quantile(level) + 1e-9) >= level - 1e-9
    else:
        assert law.cdf(law.quantile(level)) == pytest.approx(level, rel=1e-7)
    assert law.prob_up == pytest.approx(1.0 - law.cdf(0.0))


@pytest.mark.parametrize(
    "law",
    [Normal(0.0, 1.0), StudentT(0.0, 1.0), SkewT(0.0, 1.0), Ged(0.0, 1.0), Empirical(0.0, 1.0)],
    ids=lambda d: type(d).__name__,
)
@pytest.mark.parametrize("level", [0.0, 1.0, -0.01, 1.5, 5.0, math.nan, math.inf])
def test_a_level_that_is_no_probability_is_refused(law: Distribution, level: float) -> None:
    for ask in (law.quantile, law.var, law.es):
        with pytest.raises(RequestInvalid, match="between 0 and 1"):
            ask(level)


@pytest.mark.parametrize(
    ("mean", "sigma"), [(math.nan, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, math.inf), (math.inf, 1.0)]
)
def test_moments_that_cannot_be_are_refused(mean: float, sigma: float) -> None:
    with pytest.raises(ValueError, match="finite, sigma positive"):
        Normal(mean, sigma)


@pytest.mark.parametrize("nu", [2.0, 1.0, -3.0, math.nan, math.inf])
def test_a_t_without_variance_is_refused(nu: float) -> None:
    with pytest.raises(ValueError, match="nu is"):
        StudentT(0.0, 1.0, nu)


def test_shapes_that_cannot_be_are_refused() -> None:
    for eta, skew in ((2.0, 0.0), (math.inf, 0.0), (5.0, 1.0), (5.0, -1.0), (5.0, math.nan)):
        with pytest.raises(ValueError, match="is"):
            SkewT(0.0, 1.0, eta, skew)
    for nu in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="nu is"):
            Ged(0.0, 1.0, nu)
