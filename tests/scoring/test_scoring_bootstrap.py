"""The stationary bootstrap: block lengths of arch, the variance in closed form, and coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from arch.bootstrap import optimal_block_length
from scipy import signal, stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring import bootstrap

FloatArray = npt.NDArray[np.float64]


def autoregressive(rows: int, memory: float, seed: int, paths: int = 1) -> FloatArray:
    """Return paths of an AR(1) of variance one, after a hundred rows thrown away."""
    noise = np.random.default_rng(seed).standard_normal((paths, rows + 100)) * math.sqrt(1 - memory**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], noise, axis=1)[:, 100:])


@pytest.mark.parametrize("rows", [500, 3000])
def test_the_block_length_agrees_with_arch(rows: int) -> None:
    """arch 8, first column; below one it is no length. It divides autocovariances by the variance of what is left.

    So a lag that is only just small may not be so there: one series in twenty may differ.
    """
    agreed = []
    for memory in (-0.5, 0.0, 0.3, 0.8, 0.95):
        for x in autoregressive(rows, memory, 1, 20):
            expected = max(float(optimal_block_length(x)["stationary"].iloc[0]), 1.0)
            agreed.append(bootstrap.block_length(x) == pytest.approx(expected, rel=1e-6))
    assert sum(agreed) >= 95


def test_what_does_not_vary_is_drawn_row_by_row() -> None:
    assert bootstrap.block_length(np.full(100, 0.3)) == 1.0
    assert bootstrap.block_length(np.zeros(100)) == 1.0


def test_no_block_is_longer_than_a_third_of_the_series() -> None:
    """Rounded up, 14 of 40 rows that go up and down in turn; arch says so too."""
    turns = np.tile([1.0, -1.0], 20)
    assert bootstrap.block_length(turns) == 14.0
    assert optimal_block_length(turns)["stationary"].iloc[0] == 14.0


def test_draws_without_the_statistic_are_passed_over() -> None:
    """One row of thirty has happened: every third draw misses it, and has no share among those that hold it."""
    y = np.zeros(30)
    y[7] = 1.0

    def among(values: FloatArray) -> FloatArray:
        return np.where(values.any(axis=-1), values.sum(axis=-1), np.nan)

    assert bootstrap.interval(among, y, block=1.0)[0] == 1.0


def test_the_variance_of_the_mean_is_that_of_the_formula() -> None:
    """Politis and Romano (1994), lemma 1: circular autocovariances ``C_k``, weighted ``(1 - k/n) (1 - p)^k``."""
    x, block = autoregressive(80, 0.7, 5)[0], 8.0
    n, p, d = x.size, 1.0 / block, x - x.mean()
    circular = np.array([d @ np.roll(d, k) / n for k in range(1, n)])
    k = np.arange(1, n)
    expected = (d @ d / n + 2.0 * np.sum((1 - k / n) * (1 - p) ** k * circular)) / n
    means = x[bootstrap.resampled(n, block, 20_000, np.random.default_rng(1))].mean(axis=1)
    assert means.var() == pytest.approx(expected, rel=4 * math.sqrt(2 / 20_000))
    assert means.mean() == pytest.approx(x.mean(), abs=4 * math.sqrt(expected / 20_000))


def test_blocks_are_as_long_as_asked_and_go_round_the_end() -> None:
    rows = bootstrap.resampled(50, 10.0, 4000, np.random.default_rng(2))
    follows = (np.diff(rows, axis=1) % 50 == 1).mean()
    expected = 0.9 + 0.1 / 50  # goes on, or happens to begin where it would have gone on
    assert follows == pytest.approx(expected, abs=4 * math.sqrt(0.09 / (4000 * 49)))
    assert np.bincount(rows.ravel(), minlength=50) == pytest.approx(np.full(50, 4000), rel=0.25)


def test_intervals_hold_the_mean_of_losses_that_follow_each_other() -> None:
    """95 % of an AR(1) of 0.3 within the 99 % band of 200 paths; rows drawn one by one fall out of it."""
    paths = autoregressive(1000, 0.3, 7, 200)
    told = [bootstrap.interval(bootstrap.mean, x, replications=199, seed=3) for x in paths]
    alone = [bootstrap.interval(bootstrap.mean, x, replications=199, seed=3, block=1.0) for x in paths]
    held = sum(low < 0.0 < high for low, high in told)
    one_by_one = sum(low < 0.0 < high for low, high in alone)
    least = stats.binom.ppf(0.005, 200, 0.95)
    assert least <= held <= stats.binom.ppf(0.995, 200, 0.95)
    assert one_by_one < least


def test_an_interval_of_independent_rows_is_that_of_the_normal_law() -> None:
    x = np.random.default_rng(8).exponential(2.0, 5000)
    low, high = bootstrap.interval(bootstrap.mean, x, level=0.9, replications=4000, seed=1, block=1.0)
    error = float(stats.norm.ppf(0.95)) * x.std() / math.sqrt(x.size)
    assert (low, high) == pytest.approx((x.mean() - error, x.mean() + error), abs=0.08 * error)


def test_a_ratio_of_means_is_drawn_together() -> None:
    """A loss that is half the baseline's in every row has a skill of one half, whatever is drawn."""
    base = np.random.default_rng(8).exponential(2.0, 100)
    assert bootstrap.interval(bootstrap.gain, 0.5 * base, base) == pytest.approx((0.5, 0.5))


def test_the_same_seed_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks change the draws and not what they are of: another seed differs, and no more than by chance."""
    x = autoregressive(300, 0.3, 1)[0]
    once = bootstrap.interval(bootstrap.mean, x, seed=5)
    assert bootstrap.interval(bootstrap.mean, x, seed=5) == once
    other = bootstrap.interval(bootstrap.mean, x, seed=6)
    assert other != once
    monkeypatch.setattr(bootstrap, "CHUNK", 3000)
    chunked = bootstrap.interval(bootstrap.mean, x, seed=5)
    assert chunked == pytest.approx(once, abs=0.2 * (once[1] - once[0]))


def test_what_has_no_interval_is_refused() -> None:
    x = np.ones(40)
    with pytest.raises(DataInvalid, match="19 rows"):
        bootstrap.interval(bootstrap.mean, x[:19])
    with pytest.raises(DataInvalid):
        bootstrap.interval(bootstrap.mean, np.append(x, np.nan))
    with pytest.raises(DataInvalid):
        bootstrap.interval(bootstrap.gain, x, x[:30])
    with pytest.raises(RequestInvalid):
        bootstrap.interval(bootstrap.mean, x, level=1.0)
