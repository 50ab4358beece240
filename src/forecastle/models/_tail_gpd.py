"""The generalised Pareto distribution of what lies beyond a high threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LEAST_SHAPE, LARGEST_SHAPE = -0.5, 0.9
"""Shapes outside are noise of few excesses; from 1 on there is no mean, hence no expected shortfall."""
_PLOTTING = 0.35
"""Hosking and Wallis (1987): the i-th of n excesses, from below, stands at the probability (i - 0.35) / n."""


class Pareto(NamedTuple):
    """``P(excess > x) = (1 + shape x / scale)^(-1 / shape)``; both arrays of one shape, the excesses positive."""

    shape: FloatArray
    scale: FloatArray


class LossTail(NamedTuple):
    """Losses above ``threshold``, which a share ``beyond`` of them exceeds, have a Pareto excess."""

    threshold: FloatArray
    beyond: float
    excess: Pareto

    def var(self, p: float) -> FloatArray:
        """Return the loss exceeded with probability p, at most ``beyond``: ``u + b/x ((p / beyond)^-x - 1)``."""
        shape, scale = self.excess
        power = np.expm1(-shape * np.log(p / self.beyond))
        flat = np.abs(shape) < 1e-9  # the exponential is the limit
        stretch = np.where(flat, -np.log(p / self.beyond), power / np.where(flat, 1.0, shape))
        return np.asarray(self.threshold + scale * stretch)

    def es(self, p: float) -> FloatArray:
        """Return the mean of the losses beyond that: ``(VaR + b - x u) / (1 - x)``."""
        shape, scale = self.excess
        return np.asarray((self.var(p) + scale - shape * self.threshold) / (1.0 - shape))


def pareto_of(excesses: FloatArray) -> Pareto:
    """Fit every row of ``excesses``, shape (..., n), n >= 2, sorted from the largest, by probability-weighted moments.

    With ``a0`` the mean and ``a1`` the mean weighted by the probability of more, ``shape = 2 - a0 / (a0 - 2 a1)`` and
    ``scale = a0 (1 - shape)``: the mean is met whatever the bounds do to the shape. Equal excesses, whose shape is
    undefined, get the least one. Source: Hosking and Wallis (1987), Technometrics 29, 339-349 (their k is -shape);
    better than maximum likelihood in samples below 500, and it never fails to converge.
    """
    n = excesses.shape[-1]
    more = (np.arange(n) + _PLOTTING) / n
    a0, a1 = excesses.mean(axis=-1), (excesses * more).mean(axis=-1)
    spread = a0 - 2.0 * a1
    known = spread > 1e-12 * a0
    shape = np.where(known, 2.0 - a0 / np.where(known, spread, 1.0), LEAST_SHAPE)
    shape = np.clip(shape, LEAST_SHAPE, LARGEST_SHAPE)
    return Pareto(shape, a0 * (1.0 - shape))


def loss_tail(ordered: FloatArray, share: float) -> LossTail:
    """Return the tail of the smallest ``share`` of values sorted from below, shape (..., n), as losses ``-value``."""
    n = ordered.shape[-1]
    count = max(int(share * n), 2)
    losses = -ordered[..., : count + 1]
    threshold = losses[..., count]
    return LossTail(threshold, count / n, pareto_of(losses[..., :count] - threshold[..., None]))
