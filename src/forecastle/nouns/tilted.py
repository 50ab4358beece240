"""What comes where only the side is forecast: the ups and downs of the past, weighted by the probability of up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from forecastle.nouns.distribution import Distribution

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tilted(Distribution):
    """``p F(r | up) + (1 - p) F(r | down)`` with the sizes of past moves on each side.

    ``ups`` and ``downs`` are sorted log returns above and below zero, shapes (m,) and (k,), at least one each; both in
    decimals. ``mean`` and ``sigma`` follow from them: make one with :meth:`of`. The probability of up is ``p`` itself.
    """

    up: float = 0.5
    ups: FloatArray = field(default_factory=lambda: np.array([0.01]), repr=False, compare=False)
    downs: FloatArray = field(default_factory=lambda: np.array([-0.01]), repr=False, compare=False)

    @classmethod
    def of(cls, up: float, ups: FloatArray, downs: FloatArray) -> Tilted:
        """Return the distribution; raises ``ValueError`` where ``up`` is no probability or a side has no size."""
        if not 0.0 <= up <= 1.0 or not ups.size or not downs.size or ups.min() <= 0.0 or downs.max() >= 0.0:
            raise ValueError(f"up is {up}, and there are {ups.size} ups and {downs.size} downs with sizes of their own")
        mean = up * ups.mean() + (1.0 - up) * downs.mean()
        square = up * np.square(ups).mean() + (1.0 - up) * np.square(downs).mean()
        return cls(float(mean), math.sqrt(square - mean * mean), up, np.sort(ups), np.sort(downs))

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the smallest ``(r - mean) / sigma`` that is not exceeded with probability ``p``."""
        levels = np.asarray(p, dtype=np.float64)
        down = 1.0 - self.up
        below = _quantile(self.downs, levels / down) if down > 0.0 else np.full(levels.shape, np.nan)
        rest = np.clip(levels - down, 0.0, self.up)  # no more than that, or an all but certain down overflows
        above = _quantile(self.ups, rest / self.up) if self.up > 0.0 else np.full(levels.shape, np.nan)
        found = np.where((levels <= down) & (down > 0.0), below, np.where(self.up > 0.0, above, below))
        return np.asarray((found - self.mean) / self.sigma)

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return ``E[z | z <= quantile(p)]``: the part of the law up to the level, each size with its weight."""
        values = np.concatenate([self.downs, self.ups])
        weights = np.concatenate([np.full(self.downs.size, (1.0 - self.up) / self.downs.size),
                                  np.full(self.ups.size, self.up / self.ups.size)])  # fmt: skip
        upto = np.cumsum(weights)
        tails = []
        for level in np.asarray(p, dtype=np.float64):
            taken = np.clip(level - (upto - weights), 0.0, weights)
            tails.append((taken @ values / taken.sum() - self.mean) / self.sigma)
        return np.array(tails)

    def cdf(self, r: float) -> float:
        """Return the probability of at most ``r``."""
        below = np.searchsorted(self.downs, r, side="right") / self.downs.size
        above = np.searchsorted(self.ups, r, side="right") / self.ups.size
        return float((1.0 - self.up) * below + self.up * above)


def _quantile(values: FloatArray, p: FloatArray) -> FloatArray:
    rank = np.ceil(np.clip(p, 0.0, 1.0) * values.size - 1e-9).astype(np.intp) - 1
    return np.asarray(values[np.clip(rank, 0, values.size - 1)])
