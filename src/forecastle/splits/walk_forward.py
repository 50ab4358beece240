"""Learn from the past, forecast what follows, go on: the split that is like using a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.errors import DataInvalid
from forecastle.nouns import Fold, Labels
from forecastle.sessions import Times
from forecastle.splits._purge import blocks, purged, refuse_count, refuse_share, tested


@dataclass(frozen=True)
class WalkForward:
    """``count`` test blocks that follow each other to the last row with a label, each with the rows before it.

    The first share ``start`` of the rows is only learned from. With ``window`` only the last so many rows before a
    block are (rolling), without it all of them (expanding). The ``embargo`` rows before each block are left out,
    and those whose label is not known at its first row. Rows whose label was left out by rule stay as context. Raises
    ``RequestInvalid``, ``DataInvalid`` where the rows are too few.
    """

    count: int = 5
    start: float = 0.4
    window: int | None = None
    embargo: int = 0

    def __post_init__(self) -> None:
        refuse_count("folds", self.count, 1)
        refuse_share("start", self.start)
        refuse_count("embargo", self.embargo, 0)
        if self.window is not None:
            refuse_count("window", self.window, 10)

    def folds(self, labels: Labels, moments: Times) -> tuple[Fold, ...]:
        """Return the folds; ``moments`` are the rows' own, ascending, shape (rows,)."""
        first, after = tested(labels, 10 * (self.count + 1))
        begin = first + max(int(self.start * (after - first)), 1)
        found = []
        for number, block in enumerate(blocks(begin, after, self.count)):
            train = np.flatnonzero(purged(labels, moments, block, 0)[: block[0] - self.embargo])
            train = train if self.window is None else train[-self.window :]
            if not labels.known[train].any():
                raise DataInvalid(
                    f"Fold {number} has no row to learn from.",
                    f"Its test begins at row {block[0]}, labels look {labels.horizon} bars ahead.",
                    "Begin the test later (start), or forecast a shorter horizon.",
                )
            found.append(Fold(number, train.astype(np.int64), block.astype(np.int64), f"walk-forward {number + 1}"))
        return tuple(found)
