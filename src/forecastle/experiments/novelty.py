"""Whether a row is like those a model was fitted to; a forecast for one that is not is marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

QUANTILE = 0.995
"""Of rows that the model did not see, so many are not called new."""
LEAST = 0.05
"""Share of columns that may lie outside what was seen, whatever rows held out say: of many columns one always does."""


@dataclass(frozen=True, eq=False)
class Novelty:
    """The range of each column in the rows fitted to, shape (columns,), and the share of columns that may leave it.

    A row is new where a larger share of its columns lies outside ``[low, high]``. The limit is the 99.5 % quantile of
    that share among later training rows which were held out, at least 5 %.
    """

    low: FloatArray
    high: FloatArray
    limit: float

    @classmethod
    def of(cls, seen: FloatArray, held_out: FloatArray) -> Novelty:
        """Learn from rows of shape (rows, columns); ``held_out`` may have none."""
        low, high = seen.min(axis=0), seen.max(axis=0)
        outside = _share(held_out, low, high)
        limit = float(np.quantile(outside, QUANTILE)) if outside.size else LEAST
        return cls(low, high, max(limit, LEAST))

    def share(self, x: FloatArray) -> FloatArray:
        """Return the share of columns outside the range seen, shape (rows,)."""
        return _share(x, self.low, self.high)

    def is_new(self, x: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which rows are unlike those fitted to, shape (rows,)."""
        return np.asarray(self.share(x) > self.limit)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"low": self.low.tolist(), "high": self.high.tolist(), "limit": self.limit}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Novelty:
        """Return what a ``document()`` tells of."""
        return cls(np.array(document["low"]), np.array(document["high"]), float(document["limit"]))


def _share(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    if not x.shape[0] or not low.size:
        return np.zeros(x.shape[0])
    return np.asarray(((x < low) | (x > high)).mean(axis=1))
