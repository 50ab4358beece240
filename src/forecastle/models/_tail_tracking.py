"""Quantiles that past breaches correct: an adaptive conformal layer over any method."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.models._tail_methods import ResidualT, Standard, TailMethod

FloatArray = npt.NDArray[np.float64]

WIDEST = 20.0
"""Quantiles are multiplied with 1/20 to 20."""


@dataclass(frozen=True)
class Conformal:
    """The quantiles of ``base``, widened after a breach and narrowed a little after every other bar.

    For each level p by itself the quantile is multiplied with ``exp(theta)``, and
    ``theta += speed ((breach) - p)``: quantile tracking of the score ``log(z / quantile)`` (Angelopoulos, Candes and
    Tibshirani 2023, NeurIPS, "Conformal PID control", eq. 5), itself the adaptive conformal inference of Gibbs and
    Candes (2021, NeurIPS) on the scale of the score instead of the level, so that no level ever runs out of sample.
    Whatever the model and the market do, after T bars the share of breaches exceeds p by at most
    ``(ln M + speed) / (speed T)``, M the largest multiple of the base quantile that a loss reached (up to 20). Above
    the median "breach" means above the quantile.

    Where two levels would cross they are put in order (Chernozhukov, Fernandez-Val and Galichon 2010). Expected
    shortfall is that of the corrected quantiles, so that it always lies beyond them: see :func:`means_below`. ``speed``
    was chosen on simulated markets, and on daily series of coins, stocks and indices.
    """

    base: TailMethod = field(default_factory=ResidualT)
    speed: float = 0.02
    title = "conformal"

    def rows(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray) -> Standard:
        """Return the base's rows, corrected by the breaches before each."""
        base = self.base.rows(own, z, past, levels)
        widths = np.exp(tracked(z, base.quantiles, levels, self.speed))
        quantiles = np.sort(_widened(base.quantiles, widths, levels), axis=1)
        return Standard(quantiles, means_below(quantiles, base.tails[:, 0] * widths[:, 0], levels))

    def latest(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray, at: FloatArray) -> FloatArray:
        """Return the base's quantiles of the last row, corrected as the nearest levels are."""
        base = self.base.rows(own, z, past, levels)
        theta = tracked(z, base.quantiles, levels, self.speed)[-1]
        widths = np.exp(np.interp(special.logit(at), special.logit(levels), theta))
        return np.sort(_widened(self.base.latest(own, z, past, levels, at), widths, at))


def tracked(z: FloatArray, quantiles: FloatArray, levels: FloatArray, speed: float) -> FloatArray:
    """Return theta of every row, shape (rows, levels), made of the rows before it; NaN in ``z`` changes nothing.

    ``quantiles`` has shape (rows, levels). The level of one half has no outer side and is left alone.
    """
    outward = np.sign(levels - 0.5)
    share = np.where(outward == 0.0, 0.0, np.minimum(levels, 1.0 - levels))
    bound = np.log(WIDEST)
    size = outward * np.abs(quantiles)
    theta = np.empty_like(quantiles)
    now = np.zeros(levels.size)
    for i in range(z.size):
        theta[i] = now
        if np.isfinite(z[i]):
            breach = outward * (z[i] - quantiles[i] - size[i] * np.expm1(now)) > 0.0
            now = np.clip(now + speed * (breach - share), -bound, bound)
    return theta


def means_below(quantiles: FloatArray, lowest: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the mean below each quantile, shape (rows, levels); ``lowest`` (rows,) is that below the first.

    Between two levels the quantile is taken as linear in the logit of p, whose integral is ``p ln p + (1-p) ln(1-p)``.
    """
    x, area = special.logit(levels), special.xlogy(levels, levels) + special.xlogy(1.0 - levels, 1.0 - levels)
    slope = np.diff(quantiles, axis=1) / np.diff(x)
    between = (quantiles[:, :-1] - slope * x[:-1]) * np.diff(levels) + slope * np.diff(area)
    first = np.minimum(lowest, quantiles[:, 0])[:, None] * levels[0]
    return np.asarray(np.cumsum(np.concatenate([first, between], axis=1), axis=1) / levels)


def _widened(quantiles: FloatArray, widths: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the quantiles moved outward: multiplied where, as they should, they lie on the side of their level."""
    return np.asarray(quantiles + np.sign(levels - 0.5) * np.abs(quantiles) * (widths - 1.0))
