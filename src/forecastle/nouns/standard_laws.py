"""Quantiles and tails of laws with mean zero and unit variance, as functions of arrays.

Each takes a probability ``p`` strictly between 0 and 1 and shape parameters, all broadcast against each other, so
that one call answers many forecasts of which each has shapes of its own. A tail is ``E[z | z <= quantile(p)]``.
Shapes outside their range give NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
Numbers = FloatArray | float


def student_t_quantile(p: Numbers, nu: Numbers) -> FloatArray:
    """Return the quantile of Student's t with ``nu`` > 2, scaled to unit variance."""
    return np.asarray(special.stdtrit(nu, p) * _unit(nu))


def student_t_tail(p: Numbers, nu: Numbers) -> FloatArray:
    """Return the mean below the quantile: ``-f(q)/p * (nu + q^2)/(nu - 1)`` of the unscaled t, scaled.

    McNeil, Frey and Embrechts (2005), Quantitative Risk Management, eq. 2.27.
    """
    return np.asarray(_t_partial_mean(special.stdtrit(nu, p), nu) / p)


def skew_t_quantile(p: Numbers, eta: Numbers, skew: Numbers) -> FloatArray:
    """Return the quantile of Hansen's skewed t: ``eta`` > 2 degrees of freedom, -1 < ``skew`` < 1.

    Hansen (1994), "Autoregressive conditional density estimation": two halves of a t, scaled by ``1 - skew`` and
    ``1 + skew``, moved and scaled to mean zero and unit variance. Negative ``skew`` is a heavy left tail.
    """
    centre, spread = skew_t_moments(eta, skew)
    return np.asarray((_skew_t_raw(p, eta, skew) - centre) / spread)


def skew_t_tail(p: Numbers, eta: Numbers, skew: Numbers) -> FloatArray:
    """Return the mean of Hansen's skewed t below its quantile, in closed form from the two halves."""
    centre, spread = skew_t_moments(eta, skew)
    return np.asarray((skew_t_raw_mean(_skew_t_raw(p, eta, skew), eta, skew, centre) / p - centre) / spread)


def skew_t_cdf(z: Numbers, eta: Numbers, skew: Numbers) -> FloatArray:
    """Return the probability of at most ``z`` under Hansen's skewed t."""
    centre, spread = skew_t_moments(eta, skew)
    raw = np.asarray(z) * spread + centre
    side = 1 + np.where(raw < 0, -1.0, 1.0) * skew
    outside = side * special.stdtr(eta, -np.abs(raw) / side / _unit(eta))
    return np.asarray(np.where(raw < 0, outside, 1 - outside))


def skew_t_moments(eta: Numbers, skew: Numbers) -> tuple[FloatArray, FloatArray]:
    """Return Hansen's a and b: mean and standard deviation of the two halves before they are standardised."""
    eta, skew = np.asarray(eta, dtype=np.float64), np.asarray(skew, dtype=np.float64)
    ratio = np.exp(special.gammaln((eta + 1) / 2) - special.gammaln(eta / 2)) / np.sqrt(np.pi * (eta - 2))
    centre = 4 * skew * ratio * (eta - 2) / (eta - 1)
    return np.asarray(centre), np.sqrt(1 + 3 * skew**2 - centre**2)


def skew_t_raw_mean(x: Numbers, eta: Numbers, skew: Numbers, centre: Numbers) -> FloatArray:
    """Return ``E[w; w <= x]`` of the two halves ``w`` before they are standardised; ``centre`` is their mean."""
    side = 1 + np.where(np.less(x, 0), -1.0, 1.0) * skew
    part = side**2 * _t_partial_mean(x / side / _unit(eta), eta)
    return np.where(np.less(x, 0), part, centre + part)


def skew_t_lower_variance(eta: float, skew: float) -> float:
    """Return ``E[z^2; z < 0]``: the share of the variance that lies below zero, one half where ``skew`` is zero.

    From the two halves: ``E[u^2; u <= y] = (eta - 1) F(y; eta - 2) - (eta - 2) F(y sqrt(eta / (eta - 2)); eta)`` of a t
    with unit variance, F the distribution function of an unscaled t.
    """
    if skew > 0:  # the mirror image has the other share
        return 1.0 - skew_t_lower_variance(eta, -skew)
    centre, spread = skew_t_moments(eta, skew)
    place = centre / (1 - skew)
    square = (eta - 1) * special.stdtr(eta - 2, place) - (eta - 2) * special.stdtr(eta, place / _unit(eta))
    first, zeroth = skew_t_raw_mean(centre, eta, skew, centre), (1 - skew) * special.stdtr(eta, place / _unit(eta))
    return float(((1 - skew) ** 3 * square - 2 * centre * first + centre**2 * zeroth) / spread**2)


def ged_quantile(p: Numbers, nu: Numbers) -> FloatArray:
    """Return the quantile of the generalised error distribution with shape ``nu`` > 0; 2 is the normal.

    Nelson (1991), "Conditional heteroskedasticity in asset returns": ``|z / scale|^nu / 2`` is gamma distributed with
    shape ``1 / nu``.
    """
    depth = special.gammainccinv(1.0 / np.asarray(nu), 2 * np.minimum(p, 1 - np.asarray(p)))
    return np.asarray(np.sign(np.asarray(p) - 0.5) * ged_scale(nu) * (2 * depth) ** (1.0 / np.asarray(nu)))


def ged_tail(p: Numbers, nu: Numbers) -> FloatArray:
    """Return the mean below the quantile: ``-scale 2^(1/nu) Gamma(2/nu, d) / (2 p Gamma(1/nu))``.

    Here d is ``|z / scale|^nu / 2`` at the quantile and ``Gamma(a, d)`` the upper incomplete gamma function.
    """
    nu = np.asarray(nu, dtype=np.float64)
    depth = special.gammainccinv(1 / nu, 2 * np.minimum(p, 1 - np.asarray(p)))
    size = np.exp(special.gammaln(2 / nu) - special.gammaln(1 / nu)) * 2 ** (1 / nu) * ged_scale(nu)
    return np.asarray(-0.5 * size * special.gammaincc(2 / nu, depth) / p)


def ged_scale(nu: Numbers) -> FloatArray:
    """Return the scale that gives unit variance: ``sqrt(2^(-2/nu) Gamma(1/nu) / Gamma(3/nu))``."""
    nu = np.asarray(nu, dtype=np.float64)
    return np.asarray(2 ** (-1 / nu) * np.exp(0.5 * (special.gammaln(1 / nu) - special.gammaln(3 / nu))))


def _unit(nu: Numbers) -> FloatArray:
    """Return the standard deviation's inverse of an unscaled t."""
    return np.sqrt((np.asarray(nu) - 2.0) / nu)


def _t_partial_mean(t: Numbers, nu: Numbers) -> FloatArray:
    """Return ``E[u; u <= t's place]`` of a t with unit variance, ``t`` in units of the unscaled one."""
    t, nu = np.asarray(t, dtype=np.float64), np.asarray(nu, dtype=np.float64)
    log_constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    density = np.exp(log_constant - (nu + 1) / 2 * np.log1p(t**2 / nu))
    return np.asarray(-density * (nu + t**2) / (nu - 1) * _unit(nu))


def _skew_t_raw(p: Numbers, eta: Numbers, skew: Numbers) -> FloatArray:
    """Return the quantile of the two halves before they are standardised."""
    p, skew = np.asarray(p, dtype=np.float64), np.asarray(skew, dtype=np.float64)
    left = p < (1 - skew) / 2
    side = np.where(left, 1 - skew, -1 - skew)
    outside = np.where(left, p, 1 - p) / np.abs(side)
    return np.asarray(side * student_t_quantile(outside, eta))
