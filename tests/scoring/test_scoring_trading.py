"""Performance by hand, worked examples of the papers, and overfitting against a slow version."""

from __future__ import annotations

import math
import statistics
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns.scorecard import Overfitting
from forecastle.scoring import trading

FloatArray = npt.NDArray[np.float64]
R = np.random.default_rng(6).standard_t(5, 400) * 0.01 + 0.0004


def test_ratios_by_the_standard_library() -> None:
    values = [float(r) for r in R]
    below = math.sqrt(sum(min(r - 0.0001, 0.0) ** 2 for r in values) / len(values))
    mean = statistics.mean(values)
    assert trading.sharpe(R, 365, 0.0001).value == pytest.approx(
        (mean - 0.0001) / statistics.stdev(values) * math.sqrt(365)
    )
    assert trading.sortino(R, 365, 0.0001).value == pytest.approx((mean - 0.0001) / below * math.sqrt(365))
    assert trading.cagr(R, 365).value == pytest.approx(math.exp(math.fsum(values)) ** (365 / 400) - 1)


def test_growth_and_drawdown_by_hand() -> None:
    """100, 120, 60, 90 and back to 120 over 24 months: nothing gained in 21, half lost, 20 % in two years."""
    equity = np.array([100.0, 120, 60, 90, 120] + [120.0] * 20)
    r = np.diff(np.log(equity))
    assert trading.max_drawdown(r).value == pytest.approx(0.5)
    assert trading.cagr(r, 12).value == pytest.approx(math.sqrt(1.2) - 1)
    assert trading.mar(r, 12).value == pytest.approx((math.sqrt(1.2) - 1) / 0.5)


def test_a_fall_from_the_start_is_a_drawdown() -> None:
    """The money put in is the first high."""
    assert trading.max_drawdown(np.log([0.9, 1.0])).value == pytest.approx(0.1)


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=40))
def test_the_drawdown_is_the_worst_of_all_pairs(values: list[float]) -> None:
    equity = np.concatenate([[1.0], np.exp(np.cumsum(values))])
    worst = max(1.0 - equity[j] / equity[i] for i in range(equity.size) for j in range(i, equity.size))
    assert trading.max_drawdown(np.array(values)).value == pytest.approx(worst, abs=1e-12)


def test_what_is_not_defined_says_why() -> None:
    flat, short, rising = np.full(50, 0.001), R[:19], np.abs(R) + 1e-4
    assert trading.sharpe(flat, 252).reason == "the returns do not vary"
    assert trading.sharpe(short, 252).reason == "19 periods; 20 are needed"
    assert trading.sortino(rising, 252).reason == "no period fell below the target"
    assert trading.mar(rising, 252).reason == "there was no drawdown"
    assert trading.mar(short, 252).reason == "19 periods; 20 are needed"
    assert trading.max_drawdown(np.array([])).reason == "there are no periods"
    assert trading.deflated_sharpe(flat, 5).reason == "the returns do not vary"
    assert trading.deflated(1.0, 100, 3.0, 5.0, 0.0).reason == "skewness and kurtosis leave no variance"
    with pytest.raises(DataInvalid):
        trading.sharpe(np.append(R, np.nan), 252)


@pytest.mark.parametrize(
    ("trials", "skewness", "kurtosis", "expected"), [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)]
)
def test_the_example_of_bailey_and_lopez_de_prado(
    trials: int, skewness: float, kurtosis: float, expected: float
) -> None:
    """Their (2014) example: a ratio of 2.5 a year, 1250 days, 250 a year, a variance of 1/2 a year between trials."""
    threshold = trading.expected_best_sharpe(trials, 0.5 / 250)
    found = trading.deflated(2.5 / math.sqrt(250), 1250, skewness, kurtosis, threshold, trials)
    assert found.probability == pytest.approx(expected, abs=6e-5)
    if trials == 100:
        assert found.threshold == pytest.approx(0.1132, abs=6e-5)


@pytest.mark.parametrize(("skewness", "kurtosis", "expected"), [(0, 3, 0.982), (-2.448, 10.164, 0.913)])
def test_the_example_of_the_efficient_frontier(skewness: float, kurtosis: float, expected: float) -> None:
    """Bailey and López de Prado (2012): 24 months with a ratio of 0.458 a month, as if normal and as it was."""
    assert trading.deflated(0.458, 24, skewness, kurtosis, 0.0).probability == pytest.approx(expected, abs=6e-4)


def test_the_probability_is_that_of_scipy_moments() -> None:
    ratio = R.mean() / R.std(ddof=1)
    error = math.sqrt(1 - stats.skew(R) * ratio + (stats.kurtosis(R, fisher=False) - 1) / 4 * ratio**2)
    found = trading.probabilistic_sharpe(R, 0.01)
    assert found.probability == pytest.approx(stats.norm.cdf((ratio - 0.01) * math.sqrt(399) / error), rel=1e-9)
    assert found.sharpe == pytest.approx(ratio)
    assert (found.threshold, found.trials) == (0.01, 1)
    assert trading.deflated_sharpe(R, 1).probability == trading.probabilistic_sharpe(R).probability


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_the_expected_best_is_that_of_normal_draws(trials: int) -> None:
    """The approximation is of extreme values, 2.3 % high for ten; 4000 draws add half a per cent."""
    best = np.random.default_rng(1).normal(0.0, 0.3, (4000, trials)).max(axis=1).mean()
    assert trading.expected_best_sharpe(trials, 0.09) == pytest.approx(best, rel=0.035)


def test_trials_are_one_or_more() -> None:
    assert trading.expected_best_sharpe(1, 1.0) == 0.0
    with pytest.raises(RequestInvalid):
        trading.deflated_sharpe(R, 0)


def slow(table: FloatArray, blocks: int, mean: bool) -> tuple[float, float, float]:
    """Return PBO, slope and share of losses, half by half with scipy's ranks."""
    length = table.shape[0] // blocks
    parts = np.split(table[table.shape[0] - length * blocks :], blocks)
    logits, inside, outside = [], [], []
    for half in combinations(range(blocks), blocks // 2):
        seen = np.concatenate([parts[i] for i in half])
        unseen = np.concatenate([parts[i] for i in range(blocks) if i not in half])
        a, b = ((x.mean(axis=0) / (1.0 if mean else x.std(axis=0, ddof=1))) for x in (seen, unseen))
        best = int(a.argmax())
        omega = stats.rankdata(b)[best] / (table.shape[1] + 1)
        logits.append(math.log(omega / (1 - omega)))
        inside.append(a[best])
        outside.append(b[best])
    return (
        float(np.mean(np.array(logits) <= 0)),
        float(np.polyfit(inside, outside, 1)[0]),
        float(np.mean(np.array(outside) < 0)),
    )


@pytest.mark.parametrize("blocks", [2, 6, 8])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("trials", [2, 7])
def test_overfitting_agrees_with_a_slow_version(blocks: int, mean: bool, trials: int) -> None:
    draw = np.random.default_rng(30)
    table = draw.normal(0.02, 1.0, (131, trials)) * draw.uniform(0.5, 2.0, trials)
    found = trading.probability_of_backtest_overfitting(table, blocks, "mean" if mean else "sharpe")
    assert (found.probability, found.slope, found.loss_share) == pytest.approx(slow(table, blocks, mean), rel=1e-9)
    assert found.combinations == math.comb(blocks, blocks // 2)


def test_trials_that_are_level_share_their_ranks() -> None:
    """Whole numbers, so that sums are level to the bit; scipy gives both the mean of their ranks."""
    table = np.random.default_rng(31).integers(-3, 4, (64, 3)).astype(np.float64)
    table = table[:, [0, 1, 2, 2, 1, 0]]
    found = trading.probability_of_backtest_overfitting(table, 8, "mean")
    assert (found.probability, found.slope, found.loss_share) == pytest.approx(slow(table, 8, True), rel=1e-9)


def test_of_noise_the_best_is_as_often_bad_as_good() -> None:
    """Half below the median on average of 60 tables; within one they hang together."""
    draw = np.random.default_rng(2)
    found = [probability(draw.standard_normal((160, 20))) for _ in range(60)]
    assert abs(np.mean(found) - 0.5) < 3 * np.std(found) / math.sqrt(60)
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


def test_a_truly_best_one_is_no_overfitting() -> None:
    table = np.random.default_rng(3).standard_normal((480, 20))
    table[:, 4] += 0.3
    assert probability(table) < 0.01


def test_what_pays_in_one_half_and_costs_in_the_other_is_all_overfitting() -> None:
    """Each trial earns in one block what it loses in the rest: whoever is chosen is below the median afterwards."""
    table = np.repeat(np.eye(8), 20, axis=0) - 1 / 8 + 0.01 * np.random.default_rng(4).standard_normal((160, 8))
    assert probability(table) == 1.0


def probability(table: FloatArray) -> float:
    found = trading.probability_of_backtest_overfitting(table, 8).probability
    assert found is not None
    return found


def test_a_trial_that_does_not_move_is_worth_nothing() -> None:
    """A constant has no Sharpe ratio: the last digit of its returns must not make it the best of all."""
    table = np.random.default_rng(5).normal(0.05, 1.0, (160, 2))
    table = np.column_stack([table, np.where(np.arange(160) % 3, 0.7, np.nextafter(0.7, 1.0))])
    found = trading.probability_of_backtest_overfitting(table, 8)
    table[:, 2] = np.where(np.arange(160) % 2, 1.0, -1.0)  # the same ratio of nought in every block, moving
    assert trading.probability_of_backtest_overfitting(table, 8) == found


def test_losses_turned_round_are_ranked_by_their_mean() -> None:
    """The worse one varies more, so that the ratio of its losses is nearer to nought."""
    draw = np.random.default_rng(6)
    table = -np.column_stack([draw.uniform(0.9, 1.1, 160), draw.uniform(0.0, 4.0, 160)])
    by_mean = trading.probability_of_backtest_overfitting(table, 8, "mean")
    assert by_mean.probability == 0.0
    seen = float(table[:, 0].mean())
    assert by_mean.loss_share == 1.0
    assert seen > table[:, 1].mean()
    assert (table.mean(axis=0) / table.std(axis=0)).argmax() == 1


def test_what_cannot_be_split_says_why() -> None:
    assert trading.probability_of_backtest_overfitting(R[:, None]) == Overfitting(
        None, 1, 0, reason="1 trials over 400 periods in 16 blocks"
    )
    assert trading.probability_of_backtest_overfitting(R[:60].reshape(30, 2)).probability is None
    with pytest.raises(RequestInvalid, match="even"):
        trading.probability_of_backtest_overfitting(R.reshape(200, 2), 5)
    with pytest.raises(DataInvalid):
        trading.probability_of_backtest_overfitting(R)
