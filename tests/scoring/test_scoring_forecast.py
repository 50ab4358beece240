"""QLIKE and Diebold-Mariano against a hand calculation and the package dieboldmariano 1.1.0."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring import forecast


def test_qlike_by_hand() -> None:
    """RV = 4e-4 and 1e-4 against sigma 0.01: ratios 4 and 1, losses 4 - ln 4 - 1 and 0."""
    value = forecast.qlike(np.array([4e-4, 1e-4]), np.array([0.01, 0.01]))
    assert value == pytest.approx((3 - math.log(4)) / 2)
    assert value.floored == 0


def test_qlike_floors_and_counts() -> None:
    """A day without a move costs what 1 bp squared costs, not infinity."""
    value = forecast.qlike(np.array([0.0, 1e-4]), np.array([0.01, 0.01]))
    ratio = 1e-8 / 1e-4
    assert value == pytest.approx((ratio - math.log(ratio) - 1) / 2)
    assert value.floored == 1


def test_qlike_is_least_at_the_truth() -> None:
    """Patton (2011): the expected loss is least at the true sigma even though the proxy r^2 is noisy."""
    rng = np.random.default_rng(1)
    sigma = np.exp(rng.normal(-4.5, 0.5, 200_000))
    rv = (sigma * rng.standard_normal(sigma.size)) ** 2
    losses = {k: float(forecast.qlike(rv, k * sigma)) for k in (0.8, 0.95, 1.0, 1.05, 1.25)}
    assert min(losses, key=lambda k: losses[k]) == 1.0


@pytest.mark.parametrize(
    ("rv", "sigma"), [([np.nan], [1.0]), ([1.0], [0.0]), ([1.0], [-1.0]), ([-1.0], [1.0]), ([1.0, 2.0], [1.0])]
)
def test_qlike_refuses_what_has_no_loss(rv: list[float], sigma: list[float]) -> None:
    with pytest.raises(DataInvalid):
        forecast.qlike(np.array(rv), np.array(sigma))


@pytest.mark.parametrize(
    ("horizon", "statistic", "p_value"),
    [(1, -8.153525319598455, 3.9004368380988434e-14), (3, -6.877218685207415, 7.71740317209562e-11)],
)
def test_diebold_mariano_agrees_with_another_package(horizon: int, statistic: float, p_value: float) -> None:
    """dieboldmariano 1.1.0 on the same two forecasts, squared error, Harvey's correction."""
    t = np.arange(1, 201)
    loss_a = (0.3 * np.cos(3.1 * t)) ** 2
    loss_b = (0.4 * np.cos(1.3 * t + 1)) ** 2
    result = forecast.diebold_mariano(loss_a, loss_b, horizon)
    assert result.statistic == pytest.approx(statistic, rel=1e-9)
    assert result.p_value == pytest.approx(p_value, rel=1e-6)
    mirrored = forecast.diebold_mariano(loss_b, loss_a, horizon)
    assert mirrored.statistic == pytest.approx(-statistic, rel=1e-9)


def test_diebold_mariano_of_equal_losses_has_no_p_value() -> None:
    result = forecast.diebold_mariano(np.ones(50), np.ones(50))
    assert result.statistic is None
    assert result.p_value is None
    assert "same" in result.reason


def test_diebold_mariano_refuses_too_few_losses() -> None:
    with pytest.raises(RequestInvalid):
        forecast.diebold_mariano(np.array([1.0, 2.0]), np.array([2.0, 1.0]))
    with pytest.raises(DataInvalid):
        forecast.diebold_mariano(np.array([1.0, np.nan, 2.0]), np.array([2.0, 1.0, 0.0]))
