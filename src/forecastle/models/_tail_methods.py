"""Where the quantiles of standardised residuals come from: the model, its past residuals, or an extreme-value tail.

Everything here is in units of the model's own forecasts: ``z = (r - mean) / sigma`` of one-step forecasts, each made
before its return was known. Row i may look at ``past`` (residuals from before the first row) and at ``z[:i]``, never
at ``z[i]`` or later: the last ``z`` may be NaN, its return being unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.models._tail_gpd import loss_tail
from forecastle.nouns import StudentT

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_CHUNK = 512
"""Rows sorted at a time: a megabyte or so of residuals."""


class Standard(NamedTuple):
    """Quantiles of z and the means of z below them, both of shape (rows, levels)."""

    quantiles: FloatArray
    tails: FloatArray


class TailMethod(Protocol):
    """A rule that turns past residuals into quantiles of the next one."""

    @property
    def title(self) -> str:
        """Return what stands behind the model's label."""
        ...

    def rows(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray) -> Standard:
        """Return row i from ``own`` (what the model says itself), ``past`` and ``z[:i]``; ``levels`` ascend."""
        ...

    def latest(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray, at: FloatArray) -> FloatArray:
        """Return the quantiles of the last row at many probabilities ``at``, ascending, shape of ``at``."""
        ...


@dataclass(frozen=True)
class Own:
    """What the model says itself."""

    title = "own"

    def rows(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray) -> Standard:
        """Return ``own``."""
        return own

    def latest(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray, at: FloatArray) -> FloatArray:
        """Return the quantiles of the last row between its levels; beyond the outer ones, exponential tails.

        These meet the mean below the lowest level and, z having mean zero, that above the highest.
        """
        quantiles, tails = own.quantiles[-1], own.tails[-1]
        inside = np.interp(special.stdtrit(5.0, at), special.stdtrit(5.0, levels), quantiles)
        below = (quantiles[0] - tails[0]) * np.log(np.minimum(at / levels[0], 1.0))
        above = -levels[-1] * tails[-1] / (1.0 - levels[-1]) - quantiles[-1]
        beyond = above * np.log(np.minimum((1.0 - at) / (1.0 - levels[-1]), 1.0))
        return np.asarray(inside + below - beyond)


@dataclass(frozen=True)
class FilteredHistorical:
    """The empirical quantiles of the last ``memory`` residuals: filtered historical simulation.

    The quantile lies between the order statistics around ``p (m + 1)``, so that the next of m + 1 exchangeable values
    falls below it with probability p; the tail is the mean of the values up to there. Below ``1 / (m + 1)`` there is
    only the smallest value. Sources: Hull and White (1998), Journal of Risk 1(1), 5-19; Barone-Adesi, Giannopoulos
    and Vosper (1999), Journal of Futures Markets 19, 583-602.
    """

    memory: int = 1000
    title = "FHS"

    def rows(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray) -> Standard:
        """Return the quantiles of the residuals before each row."""
        parts = [self.of(np.sort(pools, axis=1), levels) for pools in _pools(z, past, self.memory)]
        return Standard(np.concatenate([p.quantiles for p in parts]), np.concatenate([p.tails for p in parts]))

    def latest(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray, at: FloatArray) -> FloatArray:
        """Return the quantiles of the residuals before the last row."""
        known = np.concatenate([past, z[:-1]])[-self.memory :]
        quantiles: FloatArray = self.of(np.sort(known)[None, :], at).quantiles[0]
        return quantiles

    def of(self, ordered: FloatArray, levels: FloatArray) -> Standard:
        """Return quantiles and tails of samples sorted from below, shape (rows, m)."""
        m = ordered.shape[1]
        rank = np.clip(levels * (m + 1), 1.0, m)
        below = np.minimum(rank.astype(np.intp), m - 1)
        part = rank - below
        low, high = ordered[:, below - 1], ordered[:, below]
        sums = np.cumsum(ordered, axis=1)[:, below - 1]
        return Standard(low + part * (high - low), (sums + part * high) / rank)


@dataclass(frozen=True)
class ExtremeValue(FilteredHistorical):
    """A generalised Pareto tail below the ``share`` lowest of the last residuals, their empirical quantiles above it.

    Source: McNeil and Frey (2000), Journal of Empirical Finance 7, 271-300: 10 % of 1,000 residuals. Expected
    shortfall in closed form. The upper tail stays empirical.
    """

    share: float = 0.1
    title = "EVT"

    def of(self, ordered: FloatArray, levels: FloatArray) -> Standard:
        """Return quantiles and tails, those of the levels below the threshold from the Pareto."""
        whole = super().of(ordered, levels)
        tail = loss_tail(ordered, self.share)
        for column in np.flatnonzero(levels < tail.beyond):
            whole.quantiles[:, column] = -tail.var(float(levels[column]))
            whole.tails[:, column] = -tail.es(float(levels[column]))
        return whole


_NU = 2.0 + np.geomspace(0.5, 60.0, 24)
"""Degrees of freedom to choose from."""


@dataclass(frozen=True)
class ResidualT:
    """Student's t whose degrees of freedom are the likeliest for the last ``memory`` residuals.

    Its variance is one, as the model says of its residuals; where the root mean square of the last ``scale_memory`` of
    them (each cut at 10) is out by more than a factor of ``tolerance``, it is corrected to that factor. Two numbers
    from thousands of residuals say more about expected shortfall at 1 % than ten order statistics do.
    """

    memory: int = 2000
    scale_memory: int = 500
    tolerance: float = 1.25
    title = "Student-t"

    def rows(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray) -> Standard:
        """Return the quantiles of the t of each row."""
        chosen, scale = self._fitted(z, past)
        shapes = [StudentT(0.0, 1.0, nu=float(nu)) for nu in _NU]
        quantiles = np.array([shape.standard_quantile(levels) for shape in shapes])
        tails = np.array([shape.standard_tail(levels) for shape in shapes])
        return Standard(scale[:, None] * quantiles[chosen], scale[:, None] * tails[chosen])

    def latest(self, own: Standard, z: FloatArray, past: FloatArray, levels: FloatArray, at: FloatArray) -> FloatArray:
        """Return the quantiles of the t of the last row."""
        chosen, scale = self._fitted(z, past)
        return np.asarray(scale[-1] * StudentT(0.0, 1.0, nu=float(_NU[chosen[-1]])).standard_quantile(at))

    def _fitted(self, z: FloatArray, past: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the place in ``_NU`` and the scale of each row, both of shape (rows,)."""
        squares = np.concatenate([past, z[:-1]]) ** 2
        stop = past.size + np.arange(z.size)
        rms = np.sqrt(_trailing_mean(np.minimum(squares, 100.0)[:, None], stop, self.scale_memory)[:, 0])
        off = np.log(np.maximum(rms, 1e-3))
        scale = np.exp(np.sign(off) * np.maximum(np.abs(off) - np.log(self.tolerance), 0.0))
        before = np.concatenate([np.ones(past.size), scale[:-1]])
        constant = special.gammaln((_NU + 1) / 2) - special.gammaln(_NU / 2) - 0.5 * np.log((_NU - 2) * np.pi)
        density = constant - (_NU + 1) / 2 * np.log1p((squares / before**2)[:, None] / (_NU - 2))
        return np.argmax(_trailing_mean(density, stop, self.memory), axis=1), scale


def _pools(z: FloatArray, past: FloatArray, memory: int) -> Iterator[FloatArray]:
    """Yield the last ``memory`` residuals known before each row: views of shape (some rows, m), m growing up to it."""
    known = np.concatenate([past, z[:-1]])
    growing = min(max(memory - past.size, 0), z.size)
    for row in range(growing):
        yield known[None, : past.size + row]
    if growing < z.size:
        whole = np.lib.stride_tricks.sliding_window_view(known, memory)[growing + past.size - memory :]
        for begin in range(0, len(whole), _CHUNK):
            yield whole[begin : begin + _CHUNK]


def _trailing_mean(values: FloatArray, stop: IntArray, memory: int) -> FloatArray:
    """Return the means of ``values[stop - memory : stop]``, of fewer at the beginning, for each ``stop``."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    start = np.maximum(stop - memory, 0)
    return np.asarray((sums[stop] - sums[start]) / (stop - start)[:, None])
