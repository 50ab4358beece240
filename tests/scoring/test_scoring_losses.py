"""Losses against hand calculations, numerical integrals and scoringrules 0.10.0."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring import forecast

FloatArray = npt.NDArray[np.float64]

OUTCOME = np.array([-1.3, 0.0, 0.4, 2.5])
MEAN = np.array([0.0, 0.1, -0.2, 0.3])
SIGMA = np.array([1.0, 0.5, 2.0, 1.5])
ONES = np.ones(4)


def test_mse_by_hand() -> None:
    assert forecast.mse(np.array([4.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx((9 + 9) / 2)


def test_pinball_by_hand_and_least_at_the_quantile() -> None:
    """At 10 %: one unit below the quantile costs 0.9, one above it 0.1."""
    losses = forecast.pinball_losses(np.array([-3.0, -1.0]), np.array([-2.0, -2.0]), 0.1)
    assert losses == pytest.approx([0.9, 0.1])
    y = np.random.default_rng(1).standard_normal(100_000)
    tried = {q: forecast.pinball(y, np.full(y.size, q), 0.05) for q in (-2.0, -1.75, -1.6449, -1.55, -1.3)}
    assert min(tried, key=lambda q: tried[q]) == -1.6449


def test_fz0_by_hand() -> None:
    """VaR 1, ES 2 at 10 %: a loss of 3 costs 2/(0.1*2) + 1/2 + ln 2 - 1, a gain the same without the first term."""
    losses = forecast.fz0_losses(np.array([-3.0, 1.0]), np.ones(2), np.full(2, 2.0), 0.1)
    assert losses == pytest.approx([10 + 0.5 + math.log(2) - 1, 0.5 + math.log(2) - 1])


@pytest.mark.parametrize("p", [0.01, 0.05])
def test_fz0_expects_the_log_of_es_at_the_truth_and_more_elsewhere(p: float) -> None:
    """Patton, Ziegel and Chen (2019): E FZ0 = ln ES at the true pair; integrated over the normal density."""
    var = -float(stats.norm.ppf(p))
    es = float(stats.norm.pdf(var)) / p

    def expected(v: float, e: float) -> float:
        def density(y: float) -> float:
            row = forecast.fz0_losses(np.array([y]), np.array([v]), np.array([e]), p)
            return float(row[0] * stats.norm.pdf(y))

        return float(integrate.quad(density, -10, 10, points=[-v], limit=200)[0])

    assert expected(var, es) == pytest.approx(math.log(es), abs=1e-7)
    others = [(var * a, es * b) for a in (0.9, 1.0, 1.1) for b in (0.9, 1.0, 1.1) if (a, b) != (1.0, 1.0)]
    assert all(expected(v, e) > math.log(es) + 1e-4 for v, e in others)


def test_fz0_differences_do_not_depend_on_the_unit() -> None:
    y = np.array([-3.0, 0.5, -1.0, 2.0])
    pair, other = (ONES, 1.5 * ONES), (1.2 * ONES, 1.4 * ONES)
    one = forecast.fz0_losses(y, *pair, 0.05) - forecast.fz0_losses(y, *other, 0.05)
    k = 1e-3
    scaled = [forecast.fz0_losses(k * y, k * v, k * e, 0.05) for v, e in (pair, other)]
    assert scaled[0] - scaled[1] == pytest.approx(one)


def test_crps_agrees_with_scoringrules() -> None:
    """scoringrules 0.10.0: crps_normal; crps_t with 5 degrees (its scale is no standard deviation); crps_ensemble."""
    normal = [0.8268663406252713, 0.12479984408939837, 0.538665801373327, 1.4485362112936608]
    student = [0.8127224949359773, 0.13607463969222416, 0.5817736826273172, 1.4126983374683566]
    assert forecast.crps_normal_losses(OUTCOME, MEAN, SIGMA) == pytest.approx(normal, rel=1e-12)
    sigma = SIGMA * math.sqrt(5 / 3)
    assert forecast.crps_student_t_losses(OUTCOME, MEAN, sigma, 5.0) == pytest.approx(student, rel=1e-12)
    draws = np.tile([0.1, -0.5, 2.0, 0.3, -1.1], (4, 1))
    assert forecast.crps_sample_losses(OUTCOME, draws) == pytest.approx([0.9, 0.24, 0.32, 1.78], rel=1e-12)


def test_crps_of_the_standard_normal_at_its_mean() -> None:
    """Known in closed form: (sqrt 2 - 1) / sqrt pi."""
    value = forecast.crps_normal(np.zeros(1), np.zeros(1), np.ones(1))
    assert value == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi), rel=1e-14)


@pytest.mark.parametrize("nu", [2.5, 4.0, 30.0])
def test_crps_of_student_t_is_the_integral_it_stands_for(nu: float) -> None:
    scale = 1.7 * math.sqrt((nu - 2) / nu)
    y, cdf = 0.9, stats.t(nu, loc=-0.3, scale=scale).cdf
    below = integrate.quad(lambda x: cdf(x) ** 2, -np.inf, y)[0]
    above = integrate.quad(lambda x: (1 - cdf(x)) ** 2, y, np.inf)[0]
    value = forecast.crps_student_t(np.array([y]), np.array([-0.3]), np.array([1.7]), nu)
    assert value == pytest.approx(below + above, rel=1e-6)


def test_crps_of_a_sample_is_the_double_loop() -> None:
    rng = np.random.default_rng(2)
    y, x = rng.standard_normal(5), rng.standard_normal((5, 7))
    slow = [
        np.mean([abs(a - y[i]) for a in x[i]]) - np.mean([abs(a - b) for a in x[i] for b in x[i]]) / 2 for i in range(5)
    ]
    assert forecast.crps_sample_losses(y, x) == pytest.approx(slow)
    assert forecast.crps_sample(y, x) == pytest.approx(np.mean(slow))


def test_crps_of_many_quantiles_is_that_of_the_distribution() -> None:
    levels = (np.arange(2000) + 0.5) / 2000
    quantiles = np.tile(stats.norm.ppf(levels), (4, 1))
    value = forecast.crps_quantiles_losses(OUTCOME, quantiles, levels)
    assert value == pytest.approx(forecast.crps_normal_losses(OUTCOME, 0 * ONES, ONES), abs=2e-4)


def test_crps_of_four_quantiles_by_hand() -> None:
    """The levels stand for 0 to 0.15, to 0.5, to 0.85 and to 1; the outcome lies above the first two quantiles."""
    levels = np.array([0.05, 0.25, 0.75, 0.95])
    value = forecast.crps_quantiles(np.zeros(1), np.array([[-2.0, -1.0, 1.0, 4.0]]), levels)
    assert value == pytest.approx(2 * (0.15 * 0.05 * 2 + 0.35 * 0.25 * 1 + 0.35 * 0.25 * 1 + 0.15 * 0.05 * 4))


@pytest.mark.parametrize(
    "call",
    [
        lambda: forecast.mse(np.array([np.nan]), np.ones(1)),
        lambda: forecast.mse(ONES, -ONES),
        lambda: forecast.pinball(ONES, np.ones(3), 0.1),
        lambda: forecast.fz0(ONES, ONES, 0 * ONES, 0.01),
        lambda: forecast.crps_normal(ONES, ONES, 0 * ONES),
        lambda: forecast.crps_student_t(ONES, ONES, np.array([1.0, 1.0, 1.0, np.inf]), 5.0),
        lambda: forecast.crps_sample(ONES, np.ones((3, 5))),
        lambda: forecast.crps_sample(ONES, np.full((4, 5), np.nan)),
    ],
)
def test_what_has_no_loss_is_refused(call: Callable[[], float]) -> None:
    with pytest.raises(DataInvalid):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: forecast.pinball(ONES, ONES, 0.0),
        lambda: forecast.fz0(ONES, ONES, ONES, 0.99),
        lambda: forecast.crps_student_t(ONES, ONES, ONES, 2.0),
        lambda: forecast.crps_quantiles(ONES, np.ones((4, 2)), np.array([0.9, 0.1])),
        lambda: forecast.crps_quantiles(ONES, np.ones((4, 2)), np.array([0.5])),
        lambda: forecast.crps_quantiles(ONES, np.ones((4, 2)), np.array([0.0, 0.5])),
    ],
)
def test_what_cannot_be_asked_is_refused(call: Callable[[], float]) -> None:
    with pytest.raises(RequestInvalid):
        call()
