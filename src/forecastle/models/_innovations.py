"""The standardised innovations of a model: their density, their draws, their quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.nouns import Distribution, Ged, Normal, SkewT, StudentT
from forecastle.nouns import standard_laws as laws

FloatArray = npt.NDArray[np.float64]
Dist = Literal["normal", "t", "skewt", "ged"]

SHAPES: dict[str, tuple[str, ...]] = {"normal": (), "t": ("nu",), "skewt": ("eta", "lambda"), "ged": ("nu",)}
"""The names of the shape parameters."""
DIST_NAMES: dict[str, str] = {
    "normal": "Normal",
    "t": "Student's t",
    "skewt": "Hansen's skewed Student's t",
    "ged": "Generalised error",
}
_REACH, _NODES = 60.0, 20_001


@dataclass(frozen=True)
class Innovations:
    """A law with mean zero and unit variance; ``shapes`` in the order of ``SHAPES``."""

    dist: Dist
    shapes: tuple[float, ...]

    @classmethod
    def of(cls, dist: Dist, estimates: Mapping[str, float]) -> Innovations:
        """Return the innovations of a fit."""
        return cls(dist, tuple(estimates[name] for name in SHAPES[dist]))

    def law(self, mean: float, sigma: float) -> Distribution:
        """Return the distribution of a return with this mean and standard deviation."""
        kinds: dict[str, Callable[..., Distribution]] = {"normal": Normal, "t": StudentT, "skewt": SkewT, "ged": Ged}
        return kinds[self.dist](mean, sigma, *self.shapes)

    def log_density(self, z: FloatArray) -> FloatArray:
        """Return the log density of standardised residuals, shape of ``z``; NaN for shapes that cannot be."""
        if self.dist == "normal":
            return np.asarray(-0.5 * (math.log(2 * math.pi) + z**2))
        if self.dist == "ged":
            return _ged_log_density(z, *self.shapes)
        eta, skew = (*self.shapes, 0.0)[:2]
        if not (eta > 2 and -1 < skew < 1):
            return np.full_like(z, np.nan)
        return _skew_t_log_density(z, eta, skew)

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return random innovations, shape (size,)."""
        if self.dist == "normal":
            return rng.standard_normal(size)
        if self.dist == "ged":
            (nu,) = self.shapes
            magnitude = float(laws.ged_scale(nu)) * (2 * rng.standard_gamma(1 / nu, size)) ** (1 / nu)
            return magnitude * np.where(rng.random(size) < 0.5, -1.0, 1.0)
        eta, skew = (*self.shapes, 0.0)[:2]
        t = rng.standard_t(eta, size) * math.sqrt((eta - 2) / eta)
        if self.dist == "t":
            return t
        centre, spread = laws.skew_t_moments(eta, skew)
        side = np.where(rng.random(size) < (1 - skew) / 2, skew - 1, skew + 1)
        return np.asarray((np.abs(t) * side - centre) / spread)

    @cached_property
    def lower_variance(self) -> float:
        """Return ``E[z^2; z < 0]``: what a negative shock adds to the expected variance; one half where symmetric."""
        return laws.skew_t_lower_variance(*self.shapes) if self.dist == "skewt" else 0.5

    @cached_property
    def mean_size(self) -> float:
        """Return ``E|z|``."""
        below = self.law(0.0, 1.0).cdf(0.0)
        return 2.0 * below * self.law(0.0, 1.0).es(below)

    def expectation(self, f: Callable[[FloatArray], FloatArray]) -> float:
        """Return ``E f(z)`` by the trapezoidal rule in ``u`` with ``z = sinh(u)``, for f that grow as powers."""
        u = np.linspace(-_REACH, _REACH, _NODES)
        z = np.sinh(u)
        with np.errstate(over="ignore"):  # the density of a normal is zero out there
            return float((f(z) * np.exp(self.log_density(z) + np.log(np.cosh(u)))).sum() * (u[1] - u[0]))


def quantiles_of_rows(dist: Dist, shapes: FloatArray, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return quantiles and tails of innovations whose shapes differ from row to row, each of shape (rows, levels).

    ``shapes`` has shape (rows, number of shape parameters), in the order of ``SHAPES``.
    """
    columns = [shapes[:, [i]] for i in range(len(SHAPES[dist]))]
    if dist == "normal":
        law, rows = Normal(0.0, 1.0), (shapes.shape[0], 1)
        return np.tile(law.standard_quantile(levels), rows), np.tile(law.standard_tail(levels), rows)
    if dist == "skewt":
        return laws.skew_t_quantile(levels, *columns), laws.skew_t_tail(levels, *columns)
    if dist == "ged":
        return laws.ged_quantile(levels, *columns), laws.ged_tail(levels, *columns)
    return laws.student_t_quantile(levels, *columns), laws.student_t_tail(levels, *columns)


def _skew_t_log_density(z: FloatArray, eta: float, skew: float) -> FloatArray:
    centre, spread = laws.skew_t_moments(eta, skew)
    raw = z * spread + centre
    side = np.where(raw < 0, 1 - skew, 1 + skew)
    constant = special.gammaln((eta + 1) / 2) - special.gammaln(eta / 2) - 0.5 * math.log(math.pi * (eta - 2))
    return np.asarray(constant + np.log(spread) - (eta + 1) / 2 * np.log1p((raw / side) ** 2 / (eta - 2)))


def _ged_log_density(z: FloatArray, nu: float) -> FloatArray:
    if nu <= 0:
        return np.full_like(z, np.nan)
    scale = float(laws.ged_scale(nu))
    constant = math.log(nu) - math.log(scale) - (1 + 1 / nu) * math.log(2) - float(special.gammaln(1 / nu))
    return np.asarray(constant - 0.5 * np.abs(z / scale) ** nu)
