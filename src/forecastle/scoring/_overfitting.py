"""How often the choice of the best trial would have been a bad one: all halves of history against the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns.scorecard import Overfitting

FloatArray = npt.NDArray[np.float64]
Measure = Literal["sharpe", "mean"]
SHORTEST = 4
"""Periods a block has to have."""
SLICE = 1000
"""Halves worked through at once."""
_ROUNDING = 1e-12


def probability_of_backtest_overfitting(
    performance: FloatArray, blocks: int = 16, measure: Measure = "sharpe"
) -> Overfitting:
    """Return how often the best in sample is below the median out of sample, by combinatorial symmetric splits.

    ``performance`` has the shape (periods, trials), higher is better: returns, ranked by their Sharpe ratio, or losses
    turned round, ranked by their ``mean`` (a ratio would favour those that vary). The periods are cut into ``blocks``
    of equal length, the first rows left over dropped. For each half of the blocks the best trial there is ranked among
    all on the other half: ``omega = rank / (trials + 1)``, and PBO is the share of ``ln(omega / (1 - omega)) <= 0``.
    Source: Bailey, Borwein, López de Prado and Zhu (2017), Journal of Computational Finance 20(4), 39-69. None for
    fewer than two trials, or fewer than 4 periods a block. Raises ``DataInvalid`` for NaN, ``RequestInvalid`` for an
    odd number of blocks.
    """
    table = np.asarray(performance, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise DataInvalid("The performance is not a finite table.", "Periods down, trials across.", "Align the trials.")
    if blocks < 2 or blocks % 2:
        raise RequestInvalid(f"There are {blocks} blocks.", "Halves are made of them.", "Choose an even number, as 16.")
    periods, trials = table.shape
    if trials < 2 or periods < SHORTEST * blocks:
        return Overfitting(None, trials, 0, reason=f"{trials} trials over {periods} periods in {blocks} blocks")
    omega, inside, outside = (np.concatenate(c) for c in zip(*_splits(table, blocks, measure), strict=True))
    logits = np.log(omega / (1.0 - omega))
    centred = inside - inside.mean()
    slope = float(centred @ outside / (centred @ centred)) if centred.any() else None
    return Overfitting(float((logits <= 0.0).mean()), trials, omega.size, slope, float((outside < 0.0).mean()))


def _splits(table: FloatArray, blocks: int, measure: Measure) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Yield, for some halves at a time, the rank of the one chosen and its performance inside and outside."""
    score = _Scores(table, blocks, measure)
    halves = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, chosen in enumerate(combinations(range(blocks), blocks // 2)):
        halves[row, list(chosen)] = 1.0
    for first in range(0, halves.shape[0], SLICE):
        half = halves[first : first + SLICE]
        seen, unseen = score.of(half), score.of(1.0 - half)
        rows, best = np.arange(half.shape[0]), seen.argmax(axis=1)
        later = unseen[rows, best]
        equal = (unseen == later[:, None]).sum(axis=1) - 1
        rank = 1.0 + (unseen < later[:, None]).sum(axis=1) + 0.5 * equal
        yield rank / (table.shape[1] + 1.0), seen[rows, best], later


class _Scores:
    """The performance of every trial over any half of the blocks, from sums of each block."""

    def __init__(self, table: FloatArray, blocks: int, measure: Measure) -> None:
        length = table.shape[0] // blocks
        kept = table[table.shape[0] - length * blocks :]
        # around the mean of all periods, so that a trial that hardly varies does not drown in rounding
        self._middle = kept.mean(axis=0)
        parts = (kept - self._middle).reshape(blocks, length, -1)
        self._sums, self._squares = parts.sum(axis=1), np.square(parts).sum(axis=1)
        self._least = np.square(_ROUNDING * np.abs(kept).max(axis=0))
        self._n, self._measure = length * blocks // 2, measure

    def of(self, half: FloatArray) -> FloatArray:
        """Return mean or Sharpe ratio per period, shape (halves, trials); a ratio is 0 where nothing moved."""
        shift = half @ self._sums / self._n
        average = self._middle + shift
        if self._measure == "mean":
            return np.asarray(average)
        variance = half @ self._squares / self._n - np.square(shift)  # by n, for all halves have as many periods
        moved = variance > self._least
        return np.asarray(np.divide(average, np.sqrt(np.where(moved, variance, 1.0)), out=np.zeros_like(average),
                                    where=moved))  # fmt: skip
