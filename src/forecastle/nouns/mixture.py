"""A mixture of normals or of Student's t: what a model with regimes forecasts one bar ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.nouns.distribution import Distribution

FloatArray = npt.NDArray[np.float64]

_HALVINGS = 64
"""Of the interval that holds a quantile: more than the 53 bits of a number."""


@dataclass(frozen=True)
class Mixture(Distribution):
    """``sum_k weights[k] f(r; mean, scales[k] sigma)`` with one mean, f normal or Student's t of unit variance.

    ``weights`` sum to one; ``scales`` are relative to ``sigma``, so that ``sum_k weights[k] scales[k]^2 = 1``;
    ``nu`` is None for normal parts. Quantiles by halving an interval until it is no wider than rounding.
    Raises ``ValueError`` where the parts do not fit together.
    """

    weights: tuple[float, ...] = (1.0,)
    scales: tuple[float, ...] = (1.0,)
    nu: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.weights) != len(self.scales) or min(self.weights) < 0 or min(self.scales) <= 0:
            raise ValueError(f"weights {self.weights} and scales {self.scales} have to be as many, and positive")
        variance = sum(w * s * s for w, s in zip(self.weights, self.scales, strict=True))
        if not (math.isclose(sum(self.weights), 1.0, rel_tol=1e-9) and math.isclose(variance, 1.0, rel_tol=1e-9)):
            raise ValueError(f"weights sum to {sum(self.weights)} and the variance is {variance}; both have to be 1")
        if self.nu is not None and not 2 < self.nu < math.inf:
            raise ValueError(f"nu is {self.nu}; it has to be finite, and the variance exists only above 2")

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the quantiles of the mixture with unit variance."""
        return np.asarray(mixture_quantiles(np.asarray(p), *self._row, self.nu)[0])

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return the means below the quantiles."""
        levels = np.asarray(p)
        return np.asarray(mixture_tails(levels, mixture_quantiles(levels, *self._row, self.nu), *self._row, self.nu)[0])

    def cdf(self, r: float) -> float:
        """Return the probability of at most ``r``."""
        z = (r - self.mean) / self.sigma / np.array(self.scales)
        return float(np.array(self.weights) @ _cdf(z, self.nu))

    @property
    def _row(self) -> tuple[FloatArray, FloatArray]:
        return np.array([self.weights]), np.array([self.scales])


def mixture_quantiles(p: FloatArray, weights: FloatArray, scales: FloatArray, nu: float | None) -> FloatArray:
    """Return the quantiles at ``p`` (levels,) of mixtures, shape (rows, levels); weights and scales are (rows, parts).

    The quantile of a mixture lies between the smallest and the largest of its parts' quantiles.
    """
    parts = scales[:, None, :] * _quantile(p, nu)[None, :, None]
    low, high = parts.min(axis=2), parts.max(axis=2)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = (weights[:, None, :] * _cdf(middle[:, :, None] / scales[:, None, :], nu)).sum(axis=2) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def mixture_tails(
    p: FloatArray, quantiles: FloatArray, weights: FloatArray, scales: FloatArray, nu: float | None
) -> FloatArray:
    """Return ``E[z | z <= q]`` of the same mixtures at their quantiles q, shape (rows, levels)."""
    part = scales[:, None, :] * _below(quantiles[:, :, None] / scales[:, None, :], nu)
    return np.asarray((weights[:, None, :] * part).sum(axis=2) / p)


def _scale(nu: float) -> float:
    return math.sqrt((nu - 2.0) / nu)


def _quantile(p: FloatArray, nu: float | None) -> FloatArray:
    return np.asarray(special.ndtri(p) if nu is None else special.stdtrit(nu, p) * _scale(nu))


def _cdf(z: FloatArray, nu: float | None) -> FloatArray:
    return np.asarray(special.ndtr(z) if nu is None else special.stdtr(nu, z / _scale(nu)))


def _below(z: FloatArray, nu: float | None) -> FloatArray:
    """Return ``E[x; x <= z]``, not divided by the probability, of a part with unit variance."""
    if nu is None:
        return np.asarray(-np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi))
    q = z / _scale(nu)
    log_constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * math.log(nu * math.pi)
    density = np.exp(log_constant - (nu + 1) / 2 * np.log1p(q**2 / nu))
    return np.asarray(-density * (nu + q**2) / (nu - 1) * _scale(nu))
