"""Every row is tested once, or in many combinations: more tests from one history, at the price of order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from forecastle.errors import RequestInvalid
from forecastle.nouns import Fold, Labels
from forecastle.sessions import Times
from forecastle.splits._purge import blocks, purged, refuse_count, refuse_share, tested


@dataclass(frozen=True)
class PurgedKFold:
    """``count`` test blocks; learned from is what is before and after one, purged, with an embargo behind it.

    ``embargo`` is a share of the rows (López de Prado 2018, Advances in Financial Machine Learning, 7.4). A model is
    fitted to rows after its test here: scores are for choosing, not a track record. Raises ``RequestInvalid``,
    ``DataInvalid``.
    """

    count: int = 5
    embargo: float = 0.01

    def __post_init__(self) -> None:
        refuse_count("count", self.count, 2)
        refuse_share("embargo", self.embargo, below=0.5)

    def folds(self, labels: Labels, moments: Times) -> tuple[Fold, ...]:
        """Return the folds; ``moments`` are the rows' own, ascending, shape (rows,)."""
        first, after = tested(labels, 10 * self.count)
        gap = int(np.ceil(self.embargo * (after - first)))
        return tuple(
            Fold(number, np.flatnonzero(purged(labels, moments, block, gap)), block, f"block {number + 1}")
            for number, block in enumerate(blocks(first, after, self.count))
        )


@dataclass(frozen=True)
class CombinatorialPurged:
    """Each choice of ``tested_groups`` out of ``groups`` blocks is tested once, the rest purged and learned from.

    ``C(groups, tested_groups)`` folds, whose tests make ``C(groups - 1, tested_groups - 1)`` whole paths (López de
    Prado 2018, ch. 12). Raises ``RequestInvalid``, ``DataInvalid``.
    """

    groups: int = 6
    tested_groups: int = 2
    embargo: float = 0.01

    def __post_init__(self) -> None:
        refuse_count("groups", self.groups, 3)
        refuse_count("tested_groups", self.tested_groups, 1)
        refuse_share("embargo", self.embargo, below=0.5)
        if self.tested_groups >= self.groups:
            raise RequestInvalid(
                f"{self.tested_groups} of {self.groups} groups are tested.", "One at least has to be learned from.",
                "Test fewer groups.",
            )  # fmt: skip

    def folds(self, labels: Labels, moments: Times) -> tuple[Fold, ...]:
        """Return the folds; ``moments`` are the rows' own, ascending, shape (rows,)."""
        first, after = tested(labels, 10 * self.groups)
        gap = int(np.ceil(self.embargo * (after - first)))
        parts = blocks(first, after, self.groups)
        allowed = [purged(labels, moments, part, gap) for part in parts]
        return tuple(
            Fold(number, np.flatnonzero(np.logical_and.reduce([allowed[g] for g in chosen])),
                 np.concatenate([parts[g] for g in chosen]), f"groups {'+'.join(str(g + 1) for g in chosen)}")
            for number, chosen in enumerate(self._choices)
        )  # fmt: skip

    @property
    def _choices(self) -> list[tuple[int, ...]]:
        return list(combinations(range(self.groups), self.tested_groups))

    def paths(self) -> tuple[tuple[int, ...], ...]:
        """Return for each path the fold that forecasts each group: path p takes the p-th fold that tests the group."""
        testing = [[f for f, chosen in enumerate(self._choices) if g in chosen] for g in range(self.groups)]
        return tuple(tuple(testing[g][p] for g in range(self.groups)) for p in range(len(testing[0])))
