"""Maximum likelihood of one series by the compiled kernel: the optimum, and what standard errors are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from forecastle.models._climb import HELD, MOVING, NO_NEWS, NONE, SOUND
from forecastle.models._evaluate import GUARD, PAD, ROWS, evaluate, state_of
from forecastle.models._scores import (
    egarch_gradients,
    garch_gradients,
    normal_density,
    skewed_density,
    student_density,
)
from forecastle.models._starts import feasible_set, starting_points
from forecastle.models._windows import (
    presample_variance,
    rescale,
    roll,
    spread,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_POLISHES = 8
_VOLS = ("garch", "egarch")
_DISTS = ("normal", "t", "skewt")
_MEANS = ("zero", "constant")
_PRESAMPLES = ("backcast", "sample")
_SHAPES: dict[str, tuple[str, ...]] = {"normal": (), "t": ("nu",), "skewt": ("eta", "lambda")}
"""Each in the order of its number in the compiled code; parameter names as ``arch`` has them."""


@dataclass(frozen=True)
class Kernel:
    """Which likelihood: ``vol`` garch (GJR with o > 0) or egarch; lags; innovations; mean; presample variance."""

    vol: str
    p: int
    o: int
    q: int
    dist: str
    mean: str
    initial_variance: str = "backcast"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameters in their order: mu, omega, alpha[i], gamma[i], beta[i], nu or eta and lambda."""
        lags = (("alpha", self.p), ("gamma", self.o), ("beta", self.q))
        weights = [f"{name}[{i}]" for name, count in lags for i in range(1, count + 1)]
        first = ("mu",) if self.mean == "constant" else ()
        return (*first, "omega", *weights, *_SHAPES[self.dist])

    @cached_property
    def spec(self) -> IntArray:
        """Return the model as the compiled code reads it."""
        places = (_VOLS.index(self.vol), self.p, self.o, self.q, _DISTS.index(self.dist), _MEANS.index(self.mean))
        return np.array((*places, _PRESAMPLES.index(self.initial_variance), 0), dtype=np.int64)

    @property
    def guarded(self) -> IntArray:
        """Return the model as it is searched: an EGARCH filter that is not invertible has no likelihood."""
        spec = self.spec.copy()
        spec[GUARD] = self.vol == "egarch"
        return spec

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the feasible set in coordinates, see ``_starts.feasible_set``."""
        return feasible_set(self.vol, self.p, self.o, self.q, self.dist, self.mean)

    @property
    def starts(self) -> FloatArray:
        """Return the starting points in coordinates, see ``_starts.starting_points``."""
        return starting_points(self.vol, self.p, self.o, self.q, self.dist, self.mean)

    @property
    def all_starts(self) -> FloatArray:
        """Return the same points, each a family of its own: a climb from every one."""
        return self.starts.reshape(-1, 1, len(self.names))

    def coordinates(self, params: FloatArray) -> FloatArray:
        """Return parameters with the degrees of freedom inverted."""
        theta = np.array(params, dtype=np.float64)
        place = theta.size - len(_SHAPES[self.dist])
        if self.dist != "normal":
            theta[place] = 1.0 / theta[place]
        return theta


@dataclass(frozen=True, eq=False)
class Optimum:
    """Parameters (k,) in the units of the returns, their log-likelihood, and whether to believe it."""

    params: FloatArray
    loglikelihood: float
    converged: bool
    reason: str
    restarts: int


_REASONS = {
    NONE: "every optimum found has a filter that collapses, or that does not forget its start (not invertible)",
    MOVING: "the search stopped before the gradient was zero",
    NO_NEWS: "no weight on past returns: the variance follows nothing, and beta is not identified",
    HELD: "alpha held from below zero: the free optimum has a filter that does not forget its start (not invertible)",
    SOUND: "",
}


def maximise(kernel: Kernel, returns: FloatArray) -> Optimum:
    """Fit one series from all starting points.

    ``returns`` has shape (n,), any scale, finite and not constant.
    """
    rules, limits = kernel.bounds
    starts = kernel.all_starts
    k = rules.shape[1]
    variance, params = np.full(1, np.nan), np.full((1, k), np.nan)
    loglikelihood_, quality, restarts = np.full(1, np.nan), np.full(1, NONE), np.zeros(1, np.int64)
    data = np.ascontiguousarray(returns, dtype=np.float64)
    roll(
        kernel.guarded, rules, limits, starts, data, data.size, 1, 1,
        variance, params, loglikelihood_, quality, restarts,
    )  # fmt: skip
    found, best = int(quality[0]), params[0]
    if found == SOUND and kernel.vol == "garch":
        best = _polished(kernel, best, data)
        loglikelihood_[0] = loglikelihood(kernel, best, data)
    return Optimum(best, float(loglikelihood_[0]), found >= NO_NEWS, _REASONS[found], int(restarts[0]))


def _polished(kernel: Kernel, params: FloatArray, returns: FloatArray) -> FloatArray:
    """Take Newton steps until rounding is all that is left; an optimum on a bound stays as it is.

    The likelihood is flat at its top, so its value says nothing about the last six digits; its gradient does.
    """
    here = Evaluated.at(kernel, params, returns)
    rules, limits = kernel.bounds
    theta, smallest = here.theta, math.inf
    if (rules @ theta - limits[0]).min() < 1e-6:
        return params
    for _ in range(_POLISHES):
        _, gradient, _ = here.run(theta)
        step = np.linalg.solve(here.second(theta), -gradient)
        size = float(-gradient @ step)
        if not abs(size) < smallest or (rules @ (theta + step) - limits[0]).min() < 0.0:
            break
        smallest, theta = abs(size), theta + step
    return here.params_of(theta)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A likelihood at parameters: on returns of unit variance and in coordinates, with the way back."""

    kernel: Kernel
    scaled: FloatArray
    scale: float
    theta: FloatArray
    presample: float

    @classmethod
    def at(cls, kernel: Kernel, params: FloatArray, returns: FloatArray) -> Evaluated:
        """Scale the returns, and the parameters with them; returns that never change stay as they are."""
        data = np.ascontiguousarray(returns, dtype=np.float64)
        mean, sigma = spread(data)
        scale = sigma or 1.0
        theta = kernel.coordinates(params)
        rescale(kernel.spec, theta, 1.0 / scale)
        centre = mean / scale if kernel.mean == "constant" else 0.0
        return cls(kernel, data / scale, scale, theta, presample_variance(data / scale, centre))

    def run(self, theta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return the log-likelihood of the scaled returns, its gradient and the workspace."""
        work, slope = np.zeros((ROWS, self.scaled.size + 2 * PAD)), np.empty(theta.size)
        value = evaluate(self.kernel.spec, theta, self.scaled, self.presample, work, slope)
        return -value, -slope, work

    def second(self, theta: FloatArray) -> FloatArray:
        """Return the Hessian by coordinates: central differences of the exact gradient."""
        out = np.empty((theta.size, theta.size))
        for i, h in enumerate(1e-5 * np.maximum(np.abs(theta), 1e-2)):
            up, down = theta.copy(), theta.copy()
            up[i] += h
            down[i] -= h
            out[i] = (self.run(up)[1] - self.run(down)[1]) / (2.0 * h)
        return np.asarray(0.5 * (out + out.T))

    def params_of(self, theta: FloatArray) -> FloatArray:
        """Return coordinates as parameters in the units of the returns."""
        params = theta.copy()
        rescale(self.kernel.spec, params, self.scale)
        return self.kernel.coordinates(params)

    @property
    def by_params(self) -> FloatArray:
        """Return the derivatives of the coordinates (rows) by the parameters (columns)."""
        names, jacobian = self.kernel.names, np.eye(self.theta.size)
        omega = names.index("omega")
        if "mu" in names:
            jacobian[0, 0] = 1.0 / self.scale
        if self.kernel.vol == "garch":
            jacobian[omega, omega] = self.scale**-2.0
        else:
            betas = [place for place, name in enumerate(names) if name.startswith("beta")]
            jacobian[omega, betas] = 2.0 * math.log(self.scale)
        if self.kernel.dist != "normal":
            jacobian[self.tail, self.tail] = -(self.theta[self.tail] ** 2.0)
        return jacobian

    @property
    def tail(self) -> int:
        """Return the place of 1/nu."""
        return self.theta.size - len(_SHAPES[self.kernel.dist])


def loglikelihood(kernel: Kernel, params: FloatArray, returns: FloatArray) -> float:
    """Return the log-likelihood of ``returns`` (n,) at ``params`` (k,), both in the same units."""
    here = Evaluated.at(kernel, params, returns)
    return here.run(here.theta)[0] - here.scaled.size * math.log(here.scale)


def variances(kernel: Kernel, params: FloatArray, returns: FloatArray) -> FloatArray:
    """Return the n + 1 conditional variances in units of the returns; the last one is the forecast."""
    here = Evaluated.at(kernel, params, returns)
    state = state_of(kernel.spec, here.scaled.size, here.run(here.theta)[2])
    return np.asarray(state * here.scale**2)


def observation_scores(kernel: Kernel, params: FloatArray, returns: FloatArray) -> FloatArray:
    """Return the gradient of each observation's log density by the parameters, shape (n, k)."""
    here = Evaluated.at(kernel, params, returns)
    first, (p, o, q) = int(kernel.mean == "constant"), (kernel.p, kernel.o, kernel.q)
    theta = here.theta
    residual = here.scaled - (theta[0] if first else 0.0)
    presample = float((residual**2).mean()) if kernel.initial_variance == "sample" else here.presample
    variance = state_of(kernel.spec, residual.size, here.run(theta)[2])[:-1]
    alpha, gamma, beta, shape = np.split(theta[first + 1 :], np.cumsum([p, o, q]))
    gradients = garch_gradients if kernel.vol == "garch" else egarch_gradients
    through = gradients(residual, variance, (alpha, gamma, beta), presample)
    if kernel.initial_variance == "sample":
        through[:, 0] += through[:, -1] * -2.0 * residual.mean()
    density = (normal_density, student_density, skewed_density)[_DISTS.index(kernel.dist)]
    by_residual, by_variance, by_shape = density(residual, variance, *map(float, shape))
    scores = by_variance[:, None] * through[:, :-1]
    scores[:, 0] -= by_residual
    scores = np.column_stack([scores[:, 1 - first :], by_shape])
    return np.asarray(scores @ here.by_params)


def hessian(kernel: Kernel, params: FloatArray, returns: FloatArray) -> FloatArray:
    """Return the second derivatives of the log-likelihood by the parameters, shape (k, k).

    Central differences of the exact gradient, in coordinates, then by the chain rule.
    """
    here = Evaluated.at(kernel, params, returns)
    gradient = here.run(here.theta)[1]
    jacobian = here.by_params
    out = jacobian.T @ here.second(here.theta) @ jacobian
    if kernel.dist != "normal":
        out[here.tail, here.tail] += gradient[here.tail] * 2.0 * here.theta[here.tail] ** 3.0
    return np.asarray(0.5 * (out + out.T))
