"""Sums of several bars drawn from past residuals, with the volatility that they would bring about."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecastle.models._sample import PATHS, SEED

FloatArray = npt.NDArray[np.float64]

FEWEST = 100
"""Residuals; with fewer of them the volatility along a path stays as it is."""
_MOST_PERSISTENT = 0.9995


class Reaction(NamedTuple):
    """How the model's sigma answers to a residual: ``x' = x + (persistence - 1) (x - level) + shock``, x = ln sigma.

    ``shocks`` and ``z``, both of shape (n,), are those of the same bars: a crash comes with the jump of sigma that it
    brought about, whatever the model.
    """

    level: float
    persistence: float
    shocks: FloatArray
    z: FloatArray


def reaction(sigma: FloatArray, z: FloatArray) -> Reaction:
    """Return the reaction seen in one-step forecasts: ``z[i]`` is the residual between ``sigma[i]`` and ``sigma[i+1]``.

    ``sigma`` has shape (n + 1,), ``z`` (n,), the residuals without NaN. A regression of ln sigma on the one before;
    sigma that never moves, or fewer than ``FEWEST`` residuals, react with nothing.
    """
    x = np.log(sigma)
    before, after = x[:-1], x[1:]
    spread = float(before.var()) if z.size else 0.0
    if z.size < FEWEST or spread < 1e-18:
        return Reaction(float(x[-1]), 0.0, np.zeros(z.size), z)
    slope = float(((before - before.mean()) * (after - after.mean())).mean()) / spread
    slope = min(max(slope, 0.0), _MOST_PERSISTENT)
    level = float((after - slope * before).mean()) / (1.0 - slope)
    shocks = after - level - slope * (before - level)
    return Reaction(level, slope, shocks - shocks.mean(), z)


def sums(seen: Reaction, shape: FloatArray, sigma: float, horizon: int) -> FloatArray:
    """Return ``PATHS`` sums of ``horizon`` bars, sorted, in units of the root of their expected total variance.

    Filtered historical simulation of Barone-Adesi, Giannopoulos and Vosper (1999): a past bar is drawn, its residual
    moves the return and its shock the next sigma; but the residual is replaced by the quantile of ``shape`` (one bar's
    quantiles at equal steps of probability, shape (m,), less their mean) at the residual's rank, so that the tail is
    that of the method. ``sigma`` is where the paths begin.
    """
    rng = np.random.default_rng(SEED)
    n = seen.z.size
    ranks = np.empty(n, dtype=np.intp)
    ranks[np.argsort(seen.z, kind="stable")] = np.arange(n)
    centred = shape - shape.mean()
    total, variance = np.zeros(PATHS), np.zeros(PATHS)
    x = np.full(PATHS, np.log(sigma))
    for _ in range(horizon):
        drawn = rng.integers(n, size=PATHS)
        place = (ranks[drawn] + rng.random(PATHS)) / n
        total += np.exp(x) * centred[(place * shape.size).astype(np.intp)]
        variance += np.exp(2.0 * x)
        x = x + (seen.persistence - 1.0) * (x - seen.level) + seen.shocks[drawn]
    return np.sort(total / np.sqrt(variance.mean()))
