"""A slow search for the best likelihood there is: many random starts, scipy's SLSQP, nothing of our own climbing.

It shares the likelihood with the kernel (proved against arch's) and no more. An optimum counts where its filter is
invertible, it puts weight on past returns, and a Newton step inside the bounds promises next to nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.models._climb import LEAST_NEWS
from forecastle.models._evaluate import log_contraction
from forecastle.models._maximise import Evaluated, Kernel

FloatArray = npt.NDArray[np.float64]

AT_REST = 0.01
"""Log-likelihood that a Newton step may still promise: kinks of EGARCH leave no smaller one."""


@dataclass(frozen=True)
class Found:
    """The best log-likelihood of a kind, in units of the returns; minus infinity where there is none."""

    free: float
    held: float

    @property
    def best(self) -> float:
        """Return what a fit is held against: optima with alpha held count where there is no other."""
        return self.free if math.isfinite(self.free) else self.held


def sound(kernel: Kernel, here: Evaluated, theta: FloatArray) -> bool:
    """Return whether the filter is invertible and follows past returns."""
    n, first = here.scaled.size, int(kernel.mean == "constant") + 1
    work = here.run(theta)[2]
    news = np.abs(theta[first : first + kernel.p + kernel.o]).sum()
    return bool(log_contraction(kernel.spec, theta, n, work) < 0.0 and news > LEAST_NEWS)


def wide_search(kernel: Kernel, returns: FloatArray, starts: int, seed: int) -> Found:
    """Search from random places, and from the regular starts too."""
    rng = np.random.default_rng(seed)
    here = Evaluated.at(kernel, regular(kernel)[0], returns)
    units = here.scaled.size * math.log(here.scale)
    best = [-math.inf, -math.inf]
    for held in (0, 1) if kernel.vol == "egarch" else (0,):
        if held and math.isfinite(best[0]):
            break
        for start in [*regular(kernel), *(draw(kernel, rng) for _ in range(starts))]:
            theta, value = slsqp(kernel, here, start, held)
            if value > best[held] and sound(kernel, here, theta) and at_rest(kernel, here, theta, held):
                best[held] = value
    return Found(best[0] - units, best[1] - units)


def regular(kernel: Kernel) -> list[FloatArray]:
    """Return the first start of each family of the kernel."""
    return [family[0] for family in kernel.starts]


def draw(kernel: Kernel, rng: np.random.Generator) -> FloatArray:
    """Return random coordinates: long memory as often as any."""
    memory = rng.uniform(0.9, 0.998) if rng.random() < 0.6 else rng.uniform(0.0, 0.9)
    beta = rng.dirichlet(np.ones(kernel.q)) * memory
    mu = [rng.normal(0.0, 0.05)] * (kernel.mean == "constant")
    tail = {"normal": [], "t": [1.0], "skewt": [1.0, 0.0]}[kernel.dist]
    if tail:
        tail[0] = 1.0 / rng.uniform(2.5, 30.0)
    if len(tail) > 1:
        tail[1] = rng.normal(0.0, 0.1)
    if kernel.vol == "egarch":
        alpha, gamma = rng.uniform(-0.1, 0.4, kernel.p), rng.uniform(-0.3, 0.1, kernel.o)
        return np.array([*mu, rng.normal(0.0, 0.3) * (1.0 - memory), *alpha, *gamma, *beta, *tail])
    left = rng.uniform(0.2, 0.99) * (1.0 - memory)
    alpha = rng.dirichlet(np.ones(kernel.p)) * left * rng.uniform(0.0, 1.0)
    gamma = np.full(kernel.o, 2.0 * (left - alpha.sum()) / max(kernel.o, 1))
    return np.array([*mu, (1.0 - memory - left) * rng.uniform(0.5, 2.0), *alpha, *gamma, *beta, *tail])


def slsqp(kernel: Kernel, here: Evaluated, start: FloatArray, held: int) -> tuple[FloatArray, float]:
    """Climb twice: the second time from where the first one stopped."""
    from scipy.optimize import minimize

    rules, limits = kernel.bounds
    box = (np.abs(rules) > 0).sum(axis=1) == 1
    constraints: Any = [
        {"type": "ineq", "fun": lambda x: rules[~box] @ x - limits[held][~box], "jac": lambda _: rules[~box]}
    ]
    low, high = np.full(start.size, -5.0), np.full(start.size, 10.0)
    for rule, limit in zip(rules[box], limits[held][box], strict=True):
        place = int(np.flatnonzero(rule)[0])
        if rule[place] > 0:
            low[place] = max(low[place], limit)
        else:
            high[place] = min(high[place], -limit)

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        value, gradient, _ = here.run(x)
        if not math.isfinite(value):
            return 1e6, np.zeros(x.size)
        return -value, -gradient

    theta = start
    for _ in range(2):
        done = minimize(
            loss, theta, jac=True, method="SLSQP", bounds=list(zip(low, high, strict=True)),
            constraints=constraints if (~box).any() else (), options={"maxiter": 300, "ftol": 1e-10},
        )  # fmt: skip
        theta = np.clip(done.x, low, high)
    return theta, here.run(theta)[0]


def at_rest(kernel: Kernel, here: Evaluated, theta: FloatArray, held: int) -> bool:
    """Return whether a Newton step over the coordinates that are free promises less than ``AT_REST``."""
    rules, limits = kernel.bounds
    active = rules[rules @ theta - limits[held] < 1e-7]
    basis = np.eye(theta.size)
    if active.size:
        _, singular, right = np.linalg.svd(active)
        basis = right[int((singular > 1e-10).sum()) :].T
    gradient = basis.T @ here.run(theta)[1]
    curvature = -(basis.T @ here.second(theta) @ basis)
    values, vectors = np.linalg.eigh(curvature)
    if not (np.isfinite(values).all() and values.min() > 0.0):
        return False
    return bool(0.5 * float(((vectors.T @ gradient) ** 2 / values).sum()) < AT_REST)
