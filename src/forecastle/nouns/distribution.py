"""The distribution of a log return: what a forecast is made of.

Every distribution answers ``quantile``, ``cdf``, ``var``, ``es``. VaR and ES are positive losses in log-return
units: ``var(p) = -quantile(p)`` and ``es(p) = -E[r | r <= quantile(p)]``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import RequestInvalid
from forecastle.nouns import standard_laws as laws

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distribution(ABC):
    """A log return over some horizon; ``mean`` and ``sigma`` (standard deviation) in decimals."""

    mean: float
    sigma: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sigma) and self.sigma > 0):
            raise ValueError(f"mean {self.mean} and sigma {self.sigma} have to be finite, sigma positive")

    @abstractmethod
    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the quantiles of ``(r - mean) / sigma`` at the probabilities ``p``, shape of ``p``."""

    @abstractmethod
    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return ``E[z | z <= quantile(p)]`` of ``z = (r - mean) / sigma``, shape of ``p``."""

    @abstractmethod
    def cdf(self, r: float) -> float:
        """Return the probability of a log return of at most ``r``."""

    def quantile(self, p: float) -> float:
        """Return the log return that is undercut with probability ``p``; 0 < p < 1."""
        return self.mean + self.sigma * float(self.standard_quantile(_probabilities(p))[0])

    def var(self, level: float) -> float:
        """Return the value at risk, a positive loss: ``-quantile(level)``."""
        return -self.quantile(level)

    def es(self, level: float) -> float:
        """Return the expected shortfall, a positive loss: ``-E[r | r <= quantile(level)]``."""
        return -(self.mean + self.sigma * float(self.standard_tail(_probabilities(level))[0]))

    @property
    def prob_up(self) -> float:
        """Return the probability of a log return above zero."""
        return 1.0 - self.cdf(0.0)


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal: tail ``-phi(z_p) / p``."""

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return ``Phi^-1(p)``."""
        return np.asarray(special.ndtri(p))

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return ``-phi(z_p) / p``."""
        z = self.standard_quantile(p)
        return np.asarray(-np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) / p)

    def cdf(self, r: float) -> float:
        """Return ``Phi((r - mean) / sigma)``."""
        return 0.5 * math.erfc(-(r - self.mean) / self.sigma / math.sqrt(2))


@dataclass(frozen=True)
class StudentT(Distribution):
    """Student's t with ``nu`` > 2 degrees of freedom, scaled to unit variance.

    The formulas are in :mod:`forecastle.nouns.standard_laws`.
    """

    nu: float = 8.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _freedom("nu", self.nu)

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the quantile of the t with unit variance."""
        return laws.student_t_quantile(p, self.nu)

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return the mean below the quantile of the t with unit variance."""
        return laws.student_t_tail(p, self.nu)

    def cdf(self, r: float) -> float:
        """Return the probability of at most ``r``."""
        return float(special.stdtr(self.nu, (r - self.mean) / self.sigma * math.sqrt(self.nu / (self.nu - 2.0))))


@dataclass(frozen=True)
class SkewT(Distribution):
    """Hansen's (1994) skewed t with ``eta`` > 2 degrees of freedom and -1 < ``skew`` < 1, unit variance.

    ``skew`` is Hansen's lambda: below zero the left tail is the heavier one, at zero it is Student's t.
    """

    eta: float = 8.0
    skew: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _freedom("eta", self.eta)
        if not -1 < self.skew < 1:
            raise ValueError(f"skew is {self.skew}; it has to lie between -1 and 1")

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the quantile of the skewed t with unit variance."""
        return laws.skew_t_quantile(p, self.eta, self.skew)

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return the mean below the quantile of the skewed t with unit variance."""
        return laws.skew_t_tail(p, self.eta, self.skew)

    def cdf(self, r: float) -> float:
        """Return the probability of at most ``r``."""
        return float(laws.skew_t_cdf((r - self.mean) / self.sigma, self.eta, self.skew))


@dataclass(frozen=True)
class Ged(Distribution):
    """Generalised error distribution of shape ``nu`` > 0 with unit variance (Nelson 1991).

    Two is the normal, one the Laplace; below two the tails are heavier.
    """

    nu: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.nu < math.inf:
            raise ValueError(f"nu is {self.nu}; it has to be finite and positive")

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the quantile of the law with unit variance."""
        return laws.ged_quantile(p, self.nu)

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return the mean below the quantile of the law with unit variance."""
        return laws.ged_tail(p, self.nu)

    def cdf(self, r: float) -> float:
        """Return the probability of at most ``r``."""
        z = (r - self.mean) / self.sigma
        outside = 0.5 * float(special.gammaincc(1.0 / self.nu, 0.5 * (abs(z) / laws.ged_scale(self.nu)) ** self.nu))
        return outside if z < 0 else 1.0 - outside


@dataclass(frozen=True)
class Empirical(Distribution):
    """A sample, standardised to ``(r - mean) / sigma`` and sorted; ``sample`` has shape (m,), m >= 2.

    The quantile is the smallest value with at least a share ``p`` at or below it (the inverse of the empirical
    distribution function); the tail is the mean of the ``ceil(p m)`` smallest values: those at or below that
    quantile, unless values are equal there.
    """

    sample: FloatArray = field(default_factory=lambda: np.array([-1.0, 1.0]), repr=False, compare=False)

    @classmethod
    def of(cls, returns: FloatArray) -> Empirical:
        """Return the distribution of a sample of log returns, with its own mean and standard deviation (ddof 1)."""
        mean, sigma = float(returns.mean()), float(returns.std(ddof=1))
        return cls(mean, sigma, np.sort((returns - mean) / sigma))

    def standard_quantile(self, p: FloatArray) -> FloatArray:
        """Return the quantiles of the sample."""
        return self.sample[self._rank(p)]

    def standard_tail(self, p: FloatArray) -> FloatArray:
        """Return the means of the sample up to the quantiles."""
        means = np.cumsum(self.sample) / np.arange(1, self.sample.size + 1)
        return np.asarray(means[self._rank(p)])

    def cdf(self, r: float) -> float:
        """Return the share of the sample at or below ``r``."""
        return float(np.searchsorted(self.sample, (r - self.mean) / self.sigma, side="right") / self.sample.size)

    def _rank(self, p: FloatArray) -> npt.NDArray[np.intp]:
        rank = np.ceil(p * self.sample.size - 1e-9).astype(np.intp) - 1
        return np.clip(rank, 0, self.sample.size - 1)


def _freedom(name: str, value: float) -> None:
    if not 2 < value < math.inf:
        raise ValueError(f"{name} is {value}; it has to be finite, and the variance exists only above 2")


def _probabilities(p: float) -> FloatArray:
    if not 0.0 < p < 1.0:
        raise RequestInvalid(f"The level is {p}.", "It has to lie between 0 and 1.", "One percent is 0.01.")
    return np.array([p])
