"""Scores of probabilities against scikit-learn, statsmodels, and calculations by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from forecastle.errors import DataInvalid
from forecastle.scoring import direction

FloatArray = npt.NDArray[np.float64]


def made(rows: int = 700, grid: int | None = None) -> tuple[FloatArray, FloatArray]:
    """Return outcomes and probabilities that know something, on a grid of so many steps where one is given."""
    draw = np.random.default_rng(4)
    p = draw.beta(4, 4, rows)
    y = (draw.random(rows) < 0.2 + 0.6 * p).astype(np.float64)
    return y, p if grid is None else np.round(p * grid) / grid


pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=60)


def split(rows: list[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    table = np.array(rows, dtype=np.float64)
    return table[:, 0], table[:, 1] / 20.0


@pytest.mark.parametrize("grid", [None, 12])
def test_scores_agree_with_scikit_learn(grid: int | None) -> None:
    y, p = made(grid=grid)
    assert direction.log_loss(y, p) == pytest.approx(log_loss(y, p), rel=1e-12)
    assert direction.brier(y, p) == pytest.approx(brier_score_loss(y, p), rel=1e-12)
    assert direction.auc(y, p) == pytest.approx(roc_auc_score(y, p), rel=1e-12)
    assert direction.hits(y, p).mean() == pytest.approx(accuracy_score(y, p >= 0.5), rel=1e-12)


def test_a_certain_error_is_held_and_counted() -> None:
    """-ln 1e-15 = 34.54 in the place of infinity; what was certain and right costs nothing."""
    y, p = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0])
    assert direction.log_losses(y, p) == pytest.approx([34.538776, 34.538776, 0.0, 0.0], abs=1e-6)
    assert direction.held(y, p) == 2
    assert direction.held(y, np.full(4, 0.1)) == 0


def test_skill_by_hand() -> None:
    """Brier 0.04 against 0.25."""
    y = np.array([1.0, 0.0])
    assert direction.brier_skill(y, np.array([0.8, 0.2]), np.array([0.5, 0.5])) == pytest.approx(0.84)
    with pytest.raises(DataInvalid, match="no error"):
        direction.brier_skill(y, np.array([0.8, 0.2]), y)


@given(pairs)
def test_auc_counts_pairs(rows: list[tuple[int, int]]) -> None:
    """One by one: an up above a down is one, level is half; turned round it is what is left."""
    y, p = split(rows)
    wins = [float(a > b) + 0.5 * float(a == b) for a in p[y == 1.0] for b in p[y == 0.0]]
    found = direction.auc(y, p)
    if not wins:
        assert found is None
        return
    assert found == pytest.approx(sum(wins) / len(wins))
    assert direction.auc(y, 1.0 - p) == pytest.approx(1.0 - sum(wins) / len(wins))


@given(pairs)
def test_the_parts_make_the_brier_score(rows: list[tuple[int, int]]) -> None:
    y, p = split(rows)
    parts = direction.brier_parts(y, p)
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(direction.brier(y, p), abs=1e-12)
    assert parts.reliability > -1e-12
    assert parts.resolution > -1e-12


def test_the_parts_by_hand_and_by_scikit_learn() -> None:
    """Murphy (1973) on two values: 0.2 came true 1 of 4, 0.8 3 of 4; base rate 0.5."""
    y = np.array([1.0, 0, 0, 0, 1, 1, 1, 0])
    parts = direction.brier_parts(y, np.repeat([0.2, 0.8], 4))
    assert (parts.reliability, parts.resolution, parts.uncertainty) == pytest.approx((0.0025, 0.0625, 0.25))
    y, p = made(grid=25)
    fitted = IsotonicRegression().fit(p, y).predict(p)
    parts = direction.brier_parts(y, p)
    assert parts.reliability == pytest.approx(brier_score_loss(y, p) - np.mean((fitted - y) ** 2), rel=1e-9)
    assert parts.resolution == pytest.approx(y.var() - np.mean((fitted - y) ** 2), rel=1e-9)


def test_bins_agree_with_scikit_learn_and_their_intervals_with_statsmodels() -> None:
    y, p = made()
    bins = direction.calibration_bins(y, p)
    observed, forecast = calibration_curve(y, p, n_bins=10, strategy="quantile")
    assert [b.observed for b in bins] == pytest.approx(observed)
    assert [b.forecast for b in bins] == pytest.approx(forecast)
    assert sum(b.rows for b in bins) == y.size
    for b in bins:
        low, high = proportion_confint(round(b.observed * b.rows), b.rows, method="wilson")
        assert (b.observed_low, b.observed_high) == pytest.approx((low, high), rel=1e-9)
    rows = np.array([b.rows for b in bins])
    assert direction.calibration_error(y, p) == pytest.approx(rows @ np.abs(observed - forecast) / y.size)


def test_one_probability_for_all_is_one_bin() -> None:
    y = np.array([1.0, 0.0, 1.0, 1.0])
    (only,) = direction.calibration_bins(y, np.full(4, 0.6))
    assert (only.rows, only.observed, only.forecast) == pytest.approx((4, 0.75, 0.6))
    assert direction.calibration_error(y, np.full(4, 0.6)) == pytest.approx(0.15)


def test_the_error_by_chance_is_what_perfect_forecasts_show() -> None:
    """Outcomes drawn from the probabilities themselves, 300 times; the mean within four standard errors."""
    draw = np.random.default_rng(9)
    p = draw.beta(3, 4, 1000)
    found = [direction.calibration_error((draw.random(p.size) < p).astype(float), p) for _ in range(300)]
    told = direction.chance_error((draw.random(p.size) < p).astype(float), p)
    assert abs(np.mean(found) - told) < 4 * np.std(found) / math.sqrt(300)
    assert told == pytest.approx(np.mean(found), rel=0.05)


def test_auc_of_normal_scores_is_the_known_one() -> None:
    """Two normal laws d apart have the area Phi(d / sqrt 2) (Hanley and McNeil 1982)."""
    draw, n = np.random.default_rng(3), 40_000
    y = np.repeat([0.0, 1.0], n)
    score = stats.norm.cdf(draw.normal(0.5 * y, 1.0))
    assert direction.auc(y, score) == pytest.approx(stats.norm.cdf(0.5 / math.sqrt(2)), abs=4 * 0.002)


@pytest.mark.parametrize(
    ("y", "p"), [([0.5], [0.5]), ([1.0], [1.1]), ([1.0], [-0.1]), ([np.nan], [0.5]), ([1.0], [0.5, 0.5])]
)
def test_what_is_no_direction_is_refused(y: list[float], p: list[float]) -> None:
    with pytest.raises(DataInvalid):
        direction.log_losses(np.array(y), np.array(p))
