"""Losses of forecasts of the variance and of the whole distribution, row by row and their means.

Everywhere the arrays have shape (n,) where nothing else is said, NaN and different shapes are refused with
``DataInvalid``, and less is better. A function ``x_losses`` gives the rows, ``x`` their mean.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring._checks import aligned, positive, probability

FloatArray = npt.NDArray[np.float64]

RV_FLOOR = 1e-8
"""One basis point squared: a realised variance below it is a day without trades, not a day without risk."""


class Qlike(float):
    """A mean QLIKE; ``floored`` counts the rows whose realised variance was raised to 1 bp squared."""

    floored: int

    def __new__(cls, value: float, floored: int) -> Qlike:
        """Attach the count to the number."""
        self = super().__new__(cls, value)
        self.floored = floored
        return self


def _variances(realized_variance: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    rv, s = aligned(realized_variance=realized_variance, sigma=sigma)
    positive("sigma", s)
    if (rv < 0).any():
        raise DataInvalid(f"A realised variance is {rv.min():g}.", "A variance is never negative.", "Leave it out.")
    return rv, s


def qlike_losses(realized_variance: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return ``RV/sigma^2 - ln(RV/sigma^2) - 1`` row by row, shape (n,), RV floored at 1 bp squared.

    Robust to noise in the proxy (Patton 2011, Journal of Econometrics 160, 246-256), zero for a perfect forecast.
    Raises ``DataInvalid`` for NaN, different shapes, negative RV or sigma that is not positive.
    """
    rv, s = _variances(realized_variance, sigma)
    ratio = np.maximum(rv, RV_FLOOR) / s**2
    return np.asarray(ratio - np.log(ratio) - 1.0)


def qlike(realized_variance: FloatArray, sigma: FloatArray) -> Qlike:
    """Return the mean of :func:`qlike_losses`; ``.floored`` counts the floored rows."""
    losses = qlike_losses(realized_variance, sigma)
    return Qlike(float(losses.mean()), int((np.asarray(realized_variance) < RV_FLOOR).sum()))


def mse_losses(realized_variance: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return ``(RV - sigma^2)^2`` row by row, in fourth powers of the return; nothing is floored.

    The other robust loss of Patton (2011); a few turbulent days decide it. Raises as :func:`qlike_losses`.
    """
    rv, s = _variances(realized_variance, sigma)
    return np.asarray((rv - s**2) ** 2)


def mse(realized_variance: FloatArray, sigma: FloatArray) -> float:
    """Return the mean of :func:`mse_losses`."""
    return float(mse_losses(realized_variance, sigma).mean())


def pinball_losses(outcome: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    """Return ``(1{y < q} - level) (q - y)`` row by row, in units of the outcome.

    ``quantile`` is a log return, so of a VaR give ``-var``. Least in expectation at the true quantile (Koenker and
    Bassett 1978, Econometrica 46, 33-50; Gneiting 2011, IJF 27, 197-207). Raises ``RequestInvalid`` for a level
    outside 0 to 1.
    """
    y, q = aligned(outcome=outcome, quantile=quantile)
    if not 0.0 < level < 1.0:
        raise RequestInvalid(f"The level is {level}.", "It has to lie between 0 and 1.", "One percent is 0.01.")
    return np.asarray(((y < q) - level) * (q - y))


def pinball(outcome: FloatArray, quantile: FloatArray, level: float) -> float:
    """Return the mean of :func:`pinball_losses`."""
    return float(pinball_losses(outcome, quantile, level).mean())


def fz0_losses(outcome: FloatArray, var: FloatArray, es: FloatArray, p: float) -> FloatArray:
    """Return ``1{y < -VaR} (-VaR - y) / (p ES) + VaR/ES + ln ES - 1`` row by row; VaR and ES are positive losses.

    The one loss of VaR and ES together whose differences do not depend on the unit of the returns; least in
    expectation at the true pair. It may be negative, and its own value changes with the unit: compare differences.
    Source: Patton, Ziegel and Chen (2019), Journal of Econometrics 211, 388-413 (there v and e are negative).
    Raises ``DataInvalid`` for NaN, different shapes and ES that is not positive.
    """
    probability(p)
    y, v, e = aligned(outcome=outcome, VaR=var, ES=es)
    positive("ES", e)
    return np.asarray(np.maximum(-v - y, 0.0) / (p * e) + v / e + np.log(e) - 1.0)


def fz0(outcome: FloatArray, var: FloatArray, es: FloatArray, p: float) -> float:
    """Return the mean of :func:`fz0_losses`."""
    return float(fz0_losses(outcome, var, es, p).mean())


def crps_normal_losses(outcome: FloatArray, mean: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return the continuous ranked probability score of normal forecasts row by row, in units of the outcome.

    ``sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt(pi))`` with ``z = (y - mean) / sigma``. Source: Gneiting, Raftery,
    Westveld and Goldman (2005), Monthly Weather Review 133, 1098-1118. Raises ``DataInvalid`` for NaN,
    different shapes and sigma that is not positive.
    """
    y, m, s = aligned(outcome=outcome, mean=mean, sigma=sigma)
    positive("sigma", s)
    z = (y - m) / s
    density = np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    return np.asarray(s * (z * (2.0 * special.ndtr(z) - 1.0) + 2.0 * density - 1.0 / math.sqrt(math.pi)))


def crps_normal(outcome: FloatArray, mean: FloatArray, sigma: FloatArray) -> float:
    """Return the mean of :func:`crps_normal_losses`."""
    return float(crps_normal_losses(outcome, mean, sigma).mean())


def crps_student_t_losses(outcome: FloatArray, mean: FloatArray, sigma: FloatArray, nu: float) -> FloatArray:
    """Return the CRPS of Student-t forecasts row by row; ``sigma`` is the standard deviation, ``nu`` > 2.

    With ``z = (y - mean) / scale``, ``scale = sigma sqrt((nu - 2)/nu)``: ``scale`` times ``z (2 F(z) - 1) + 2 f(z)
    (nu + z^2)/(nu - 1) - 2 sqrt(nu)/(nu - 1) B(1/2, nu - 1/2) / B(1/2, nu/2)^2``. Source: Jordan, Krueger and Lerch
    (2019), Journal of Statistical Software 90(12), appendix A. Raises as :func:`crps_normal_losses`, and
    ``RequestInvalid`` for nu of 2 or less: there is no variance.
    """
    y, m, s = aligned(outcome=outcome, mean=mean, sigma=sigma)
    positive("sigma", s)
    if not 2.0 < nu < math.inf:
        raise RequestInvalid(f"nu is {nu}.", "Student's t has a variance only above 2.", "Give a finite nu > 2.")
    scale = s * math.sqrt((nu - 2.0) / nu)
    z = (y - m) / scale
    half = special.beta(0.5, 0.5 * nu)
    density = (1.0 + z**2 / nu) ** (-0.5 * (nu + 1.0)) / (math.sqrt(nu) * half)
    spread = 2.0 * math.sqrt(nu) / (nu - 1.0) * special.beta(0.5, nu - 0.5) / half**2
    inside = z * (2.0 * special.stdtr(nu, z) - 1.0) + 2.0 * density * (nu + z**2) / (nu - 1.0) - spread
    return np.asarray(scale * inside)


def crps_student_t(outcome: FloatArray, mean: FloatArray, sigma: FloatArray, nu: float) -> float:
    """Return the mean of :func:`crps_student_t_losses`."""
    return float(crps_student_t_losses(outcome, mean, sigma, nu).mean())


def crps_sample_losses(outcome: FloatArray, samples: FloatArray) -> FloatArray:
    """Return the CRPS of ensembles row by row; ``samples`` has shape (n, m), the m draws of every row.

    ``mean |x_i - y| - mean |x_i - x_j| / 2``, that of the empirical distribution of the draws. Source: Gneiting and
    Raftery (2007), JASA 102, 359-378, eq. 21. Raises ``DataInvalid`` for NaN and other shapes.
    """
    y, x = _rows_of(outcome, samples, "samples")
    m = x.shape[1]
    rank = 2.0 * np.arange(1, m + 1) - m - 1.0
    return np.asarray(np.abs(x - y[:, None]).mean(axis=1) - np.sort(x, axis=1) @ rank / m**2)


def crps_sample(outcome: FloatArray, samples: FloatArray) -> float:
    """Return the mean of :func:`crps_sample_losses`."""
    return float(crps_sample_losses(outcome, samples).mean())


def crps_quantiles_losses(outcome: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the CRPS as far as some quantiles tell it; ``quantiles`` has shape (n, m) at the rising ``levels`` (m,).

    CRPS is twice the integral of the pinball loss over all levels (Gneiting and Ranjan 2011, JBES 29, 411-422). Each
    level stands here for the levels nearer to it than to its neighbours; with few of them the number serves to compare
    forecasts at the same levels, no more. Raises ``DataInvalid`` for NaN and other shapes, ``RequestInvalid`` for
    levels that do not rise within 0 to 1.
    """
    y, q = _rows_of(outcome, quantiles, "quantiles")
    p = np.asarray(levels, dtype=np.float64)
    edges = np.concatenate([[0.0], (p[1:] + p[:-1]) / 2.0, [1.0]]) if p.ndim == 1 else p
    if p.shape != (q.shape[1],) or not (np.diff(p, prepend=0.0, append=1.0) > 0).all():
        raise RequestInvalid(
            f"The levels are {levels} for {q.shape[1]} quantiles.", "They rise between 0 and 1.", "Give one for each."
        )
    losses = ((y[:, None] < q) - p) * (q - y[:, None])
    return np.asarray(2.0 * losses @ np.diff(edges))


def crps_quantiles(outcome: FloatArray, quantiles: FloatArray, levels: FloatArray) -> float:
    """Return the mean of :func:`crps_quantiles_losses`."""
    return float(crps_quantiles_losses(outcome, quantiles, levels).mean())


def _rows_of(outcome: FloatArray, table: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
    (y,), x = aligned(outcome=outcome), np.asarray(table, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != y.size or not x.shape[1] or not np.isfinite(x).all():
        raise DataInvalid(
            f"The {name} have shape {x.shape} for {y.size} outcomes, or hold NaN.",
            "Every outcome needs its own finite row.",
            "Pass a table of shape (n, m).",
        )
    return y, x
