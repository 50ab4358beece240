"""Intervals that keep their promise while markets change: conformal ones whose level adapts to what was missed."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
KEPT = 1000
"""Scores that are looked back on: the latest."""


@dataclass(frozen=True, eq=False)
class ConformalPath:
    """Intervals of rows in the order of time, shapes (rows,), and where the level and the scores stand after them."""

    low: FloatArray
    high: FloatArray
    alpha: float
    scores: FloatArray


@dataclass(frozen=True)
class AdaptiveConformal:
    """``centre ± q``, q the ``1 - alpha_t`` quantile of the absolute errors known so far.

    ``alpha_(t+1) = alpha_t + gamma (alpha - missed_t)`` with ``alpha = 1 - level``: who missed widens, who did not
    narrows, so that the share of misses tends to alpha whatever the market does (Gibbs and Candès 2021, NeurIPS 34). A
    miss and an error count from the moment their label is known, never earlier: h bars ahead they come h bars later.
    The quantile of n scores is the ``ceil((n + 1)(1 - alpha))``-th smallest; at alpha at or below 0 it is the largest
    score, so that an interval stays finite. Raises ``RequestInvalid`` for a level or gamma out of bounds.
    """

    level: float = 0.9
    gamma: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0 or not 0.0 < self.gamma <= 0.5:
            raise RequestInvalid(
                f"level is {self.level}, gamma {self.gamma}.", "A level lies within 0 to 1, gamma within 0 to 0.5.",
                "Choose 0.9 and 0.01.",
            )  # fmt: skip

    def walk(
        self, centre: FloatArray, outcome: FloatArray, moments: Times, known_at: Times, scores: FloatArray,
        alpha: float | None = None,
    ) -> ConformalPath:  # fmt: skip
        """Return the interval of each row, made of what was known at its moment.

        ``outcome`` is NaN and ``known_at`` NaT where a label is not known; ``moments`` ascend; ``scores`` are absolute
        errors known before the first row, oldest first, one at least; ``alpha`` is where an earlier path ended. Raises
        ``DataInvalid``.
        """
        if not scores.size or not np.isfinite(centre).all():
            raise DataInvalid("There are no errors to begin with.", "An interval is made of some.", "Hold rows out.")
        missed_share = 1.0 - self.level
        level = missed_share if alpha is None else alpha
        window = [float(s) for s in scores[-KEPT:]]
        ordered = sorted(window)
        low, high = np.empty(centre.size), np.empty(centre.size)
        waiting = [int(i) for i in np.argsort(known_at, kind="stable") if not np.isnat(known_at[i])]
        place = 0
        for row in range(centre.size):
            while place < len(waiting) and known_at[waiting[place]] <= moments[row]:
                one = waiting[place]
                place += 1
                if one >= row or np.isnan(outcome[one]):
                    continue
                missed = not low[one] <= outcome[one] <= high[one]
                level += self.gamma * (missed_share - float(missed))
                _remember(window, ordered, abs(float(outcome[one]) - float(centre[one])))
            half = _quantile(ordered, level)
            low[row], high[row] = centre[row] - half, centre[row] + half
        return ConformalPath(low, high, level, np.array(window))


def _remember(window: list[float], ordered: list[float], score: float) -> None:
    window.append(score)
    bisect.insort(ordered, score)
    if len(window) > KEPT:
        ordered.pop(bisect.bisect_left(ordered, window.pop(0)))


def _quantile(ordered: list[float], alpha: float) -> float:
    n = len(ordered)
    rank = int(np.ceil((n + 1) * (1.0 - alpha) - 1e-9))
    return 0.0 if rank < 1 else ordered[min(rank, n) - 1]
