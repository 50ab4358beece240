"""Maximum likelihood for models of a few parameters: search from several starts, errors, criteria.

A model gives ``terms``: natural parameters in, the log density of each observation out, shape (n,). It searches over
unbounded coordinates, which ``natural`` turns into parameters that keep their constraints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.nouns import FitStatus, FitSummary, Parameter

FloatArray = npt.NDArray[np.float64]
Terms = Callable[[FloatArray], FloatArray]
Natural = Callable[[FloatArray], FloatArray]

EDGE = 9.0
"""Coordinates end here: far beyond anything but a variance that runs away."""
NEARLY_ONE = 0.9999
"""The largest persistence that is searched: at one there is no long-run variance."""
AT_BOUND = 1e-3
"""A share nearer than this to its bound counts as being there."""
HEAVIEST, LIGHTEST = 2.05, 200.0
"""Degrees of freedom of Student's t that are searched; at 200 it is a normal."""
_FLAT = 1e-4
_STEP = 1e-5
_HOPELESS = 1e10


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best of several searches: ``params`` natural, ``loglikelihood`` the sum of the terms there."""

    params: FloatArray
    loglikelihood: float
    converged: bool
    reason: str
    restarts: int

    def status(self, reservations: Sequence[str]) -> FitStatus:
        """Return the status: why not, or converged with these reservations."""
        return FitStatus(self.converged, self.reason if not self.converged else "; ".join(reservations), self.restarts)


def maximise(
    terms: Terms, natural: Natural, starts: Sequence[FloatArray], runs: int = 2, climb: Natural | None = None
) -> Optimum:
    """Climb from the ``runs`` best of ``starts`` (coordinates) by L-BFGS-B and keep the highest top.

    Converged means a finite likelihood and a gradient of its mean below 1e-4 in every coordinate that is not at its
    edge. ``climb`` returns the gradient of the sum of the terms by the coordinates, by differences where it is None.
    """
    from scipy.optimize import minimize  # 0.2 s: only for those who fit

    def loss(x: FloatArray) -> float:
        value = float(-terms(natural(x)).mean())
        return value if math.isfinite(value) else _HOPELESS

    def slope(x: FloatArray) -> FloatArray:
        return _slope(loss, x) if climb is None else -climb(x) / size

    size = terms(natural(starts[0])).size
    begin = sorted(starts, key=loss)[:runs]
    bounds = [(-EDGE, EDGE)] * begin[0].size
    options = {"maxiter": 200, "ftol": 1e-11, "gtol": 1e-6}
    tried = [minimize(loss, x, jac=slope, method="L-BFGS-B", bounds=bounds, options=options) for x in begin]
    best = min(tried, key=lambda one: float(one.fun))
    params = natural(best.x)
    values = terms(params)
    steepest = float(np.abs(_inward(slope(best.x), best.x)).max())
    sound = bool(np.isfinite(values).all()) and steepest < _FLAT
    reason = "" if sound else f"the likelihood still climbs where the search ended (gradient {steepest:.1e})"
    return Optimum(params, float(values.sum()), sound, reason, len(tried) - 1)


def share(x: float) -> float:
    """Return ``sin(x)^2``: a coordinate as a share between zero and one.

    A maximum at either bound is a smooth top in x, reached in a few steps; a logistic would climb for ever.
    """
    return math.sin(x) ** 2


def coordinate(part: float) -> float:
    """Return the coordinate of a share: the inverse of :func:`share`."""
    return math.asin(math.sqrt(part))


def freedom(x: float) -> float:
    """Return degrees of freedom; a step in ``1/nu`` matters as much with light tails as with heavy ones."""
    return 1.0 / (1.0 / LIGHTEST + (1.0 / HEAVIEST - 1.0 / LIGHTEST) * share(x))


def freedom_slope(x: float) -> float:
    """Return the derivative of :func:`freedom`."""
    return -(freedom(x) ** 2) * (1.0 / HEAVIEST - 1.0 / LIGHTEST) * math.sin(2.0 * x)


FREEDOM_START = coordinate((1.0 / 6.0 - 1.0 / LIGHTEST) / (1.0 / HEAVIEST - 1.0 / LIGHTEST))
"""The coordinate of six degrees of freedom."""


def log_density(residuals: FloatArray, variance: FloatArray, nu: float | None) -> FloatArray:
    """Return the log density of residuals with these variances: normal, or Student's t of unit variance."""
    square = residuals**2 / variance
    if nu is None:
        return -0.5 * (math.log(2.0 * math.pi) + np.log(variance) + square)
    return t_constant(nu) - 0.5 * np.log(variance) - 0.5 * (nu + 1.0) * np.log1p(square / (nu - 2.0))


def t_constant(nu: float) -> float:
    """Return the logarithm of the density of a Student's t of unit variance at zero."""
    ratio = special.gammaln(0.5 * (nu + 1.0)) - special.gammaln(0.5 * nu)
    return float(ratio - 0.5 * math.log(math.pi * (nu - 2.0)))


def t_constant_slope(nu: float) -> float:
    """Return the derivative of :func:`t_constant`."""
    ratio = special.digamma(0.5 * (nu + 1.0)) - special.digamma(0.5 * nu)
    return float(0.5 * ratio - 0.5 / (nu - 2.0))


def robust_errors(terms: Terms, params: FloatArray, free: Sequence[bool]) -> list[float | None]:
    """Return the robust standard errors of the parameters that are ``free``, None for the others.

    ``H^-1 (sum g g') H^-1`` with numeric scores g and Hessian H (Bollerslev and Wooldridge 1992). All None where the
    Hessian is not negative definite: then there is no top to measure.
    """
    index = np.flatnonzero(free)
    step = 1e-4 * np.maximum(np.abs(params), 1e-2)
    moves = [np.where(np.arange(params.size) == i, step, 0.0) for i in index]
    scores = np.column_stack([(terms(params + d) - terms(params - d)) / (2 * d.max()) for d in moves])
    hessian = np.array([[_second(terms, params, a, b) for b in moves] for a in moves])
    out: list[float | None] = [None] * params.size
    if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian).max() >= 0:
        return out
    inverse = np.linalg.inv(hessian)
    covariance = inverse @ (scores.T @ scores) @ inverse
    for place, error in zip(index, np.sqrt(np.diag(covariance)), strict=True):
        out[place] = float(error)
    return out


def parameters(estimates: Mapping[str, float], errors: Sequence[float | None]) -> tuple[Parameter, ...]:
    """Return the rows of a summary: value, error, and what follows from them for a test against zero."""
    rows = []
    for (name, value), error in zip(estimates.items(), errors, strict=True):
        if not error:
            rows.append(Parameter(name, value))
            continue
        t = value / error
        rows.append(Parameter(name, value, error, t, float(2.0 * special.ndtr(-abs(t)))))
    return tuple(rows)


def criteria(summary: FitSummary, loglikelihood: float) -> FitSummary:
    """Return the summary with its likelihood, AIC and BIC."""
    k, n = len(summary.parameters), summary.observations
    return replace(
        summary, loglikelihood=loglikelihood, aic=2.0 * k - 2.0 * loglikelihood,
        bic=k * math.log(n) - 2.0 * loglikelihood,
    )  # fmt: skip


def _slope(loss: Callable[[FloatArray], float], x: FloatArray) -> FloatArray:
    """Return the gradient by central differences."""
    out = np.empty(x.size)
    for i in range(x.size):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += _STEP
        behind[i] -= _STEP
        out[i] = (loss(ahead) - loss(behind)) / (2.0 * _STEP)
    return out


def _inward(gradient: FloatArray, x: FloatArray) -> FloatArray:
    """Return the gradient without the coordinates whose edge keeps the loss from falling further."""
    stuck = ((x <= -EDGE + 1e-9) & (gradient > 0)) | ((x >= EDGE - 1e-9) & (gradient < 0))
    return np.where(stuck, 0.0, gradient)


def _second(terms: Terms, params: FloatArray, a: FloatArray, b: FloatArray) -> float:
    """Return one entry of the Hessian of the likelihood, moves along the axes of a and b."""
    four = terms(params + a + b) - terms(params + a - b) - terms(params - a + b) + terms(params - a - b)
    return float(four.sum() / (4.0 * a.max() * b.max()))
