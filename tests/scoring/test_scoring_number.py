"""Scores of numbers against scikit-learn, numpy and binomial probabilities by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from forecastle.errors import DataInvalid
from forecastle.scoring import number

DRAW = np.random.default_rng(12)
Y = DRAW.normal(0.001, 0.02, 300)
M = 0.1 * Y + DRAW.normal(0.0, 0.01, 300)


def test_errors_agree_with_scikit_learn() -> None:
    """With the mean of the outcomes as the baseline, R2 out of sample is the usual one."""
    assert number.squared_errors(Y, M).mean() == pytest.approx(mean_squared_error(Y, M), rel=1e-12)
    assert number.absolute_errors(Y, M).mean() == pytest.approx(mean_absolute_error(Y, M), rel=1e-12)
    assert number.r2_out_of_sample(Y, M, np.full(Y.size, Y.mean())) == pytest.approx(r2_score(Y, M), rel=1e-12)


def test_r2_is_measured_from_the_baseline() -> None:
    assert number.r2_out_of_sample(Y, M, M) == 0.0
    assert number.r2_out_of_sample(Y, Y, M) == 1.0
    assert number.r2_out_of_sample(Y, M, np.zeros(Y.size)) == pytest.approx(1 - ((Y - M) ** 2).sum() / (Y**2).sum())
    with pytest.raises(DataInvalid, match="no error"):
        number.r2_out_of_sample(Y, M, Y)


def test_correlation_agrees_with_numpy_row_by_row() -> None:
    y, m = Y.reshape(3, 100), M.reshape(3, 100)
    assert number.correlation(y, m) == pytest.approx([np.corrcoef(a, b)[0, 1] for a, b in zip(y, m, strict=True)])
    assert np.isnan(number.correlation(Y, np.zeros(Y.size)))


def test_a_sign_is_hit_only_where_both_have_the_same() -> None:
    y, m = np.array([0.01, -0.01, 0.01, 0.0, 0.02]), np.array([0.001, -0.2, -0.1, 0.1, 0.0])
    assert number.sign_hits(y, m).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_coverage_by_hand() -> None:
    """Six of ten inside where nine are due: all counts up to six are as unlikely, none above is."""
    y = np.array([0.0] * 6 + [3.0] * 4)
    found = number.coverage(y, np.full(10, -1.0), np.full(10, 1.0), 0.9)
    expected = sum(comb(10, k) * 0.9**k * 0.1 ** (10 - k) for k in range(7))
    assert found.statistic == 0.6
    assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_the_ends_of_an_interval_are_inside() -> None:
    y = np.array([1.0, 2.0, 2.0001, 0.9999])
    assert number.covered(y, np.full(4, 1.0), np.full(4, 2.0)).tolist() == [1.0, 1.0, 0.0, 0.0]
