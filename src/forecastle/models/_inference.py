"""What follows from the likelihood around its top: scores, two kinds of standard errors, stability of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.nouns import Parameter, TestResult

FloatArray = npt.NDArray[np.float64]
Terms = Callable[[Mapping[str, float]], FloatArray]

_STEP = 1e-4
_SMALL = 1e-2
_HANSEN = (
    0.470, 0.749, 1.01, 1.24, 1.47, 1.68, 1.90, 2.11, 2.32, 2.54, 2.75, 2.96, 3.15, 3.34, 3.54, 3.75, 3.95, 4.14, 4.33,
    4.52,
)  # fmt: skip
"""5 % critical values of the joint statistic for 1 to 20 parameters: Hansen (1990), table 1."""


@dataclass(frozen=True, eq=False)
class Inference:
    """``robust`` and ``classic`` standard errors and Nyblom statistics by name, of the parameters not at a bound."""

    robust: Mapping[str, float]
    classic: Mapping[str, float]
    stability: Mapping[str, float]
    nyblom: TestResult

    def parameter(self, name: str, value: float) -> Parameter:
        """Return the row of a summary; t and p are of the robust error."""
        if name not in self.robust:
            return Parameter(name, value)
        error = self.robust[name]
        t = value / error
        p = float(2.0 * special.ndtr(-abs(t)))
        return Parameter(name, value, error, t, p, self.classic[name], self.stability[name])


_NO_TOP = Inference({}, {}, {}, TestResult("Nyblom", None, None, reason="the likelihood has no smooth top here"))


def infer(scores: FloatArray, hessian: FloatArray, free: Sequence[str]) -> Inference:
    """Return errors and stability from the derivatives of the log-likelihood by the parameters ``free``.

    ``scores`` has shape (n, k), one row an observation, ``hessian`` (k, k). Classic errors are those of the inverse
    Hessian, robust ones of ``H^-1 (sum g g') H^-1`` (Bollerslev and Wooldridge 1992). Where the Hessian is not
    negative definite there is no top to measure, and no errors are given.
    """
    smooth = bool(np.isfinite(scores).all() and np.isfinite(hessian).all() and (np.diag(hessian) < 0).all())
    if not smooth or not free:
        return _NO_TOP
    unit = 1.0 / np.sqrt(-np.diag(hessian))  # parameters of every size become alike, so that the inverse is exact
    g, h = scores * unit, hessian * np.outer(unit, unit)
    if np.linalg.eigvalsh(h).max() >= 0:
        return _NO_TOP
    inverse = np.linalg.inv(h)
    robust = inverse @ (g.T @ g) @ inverse
    single, joint = nyblom_statistics(g)
    return Inference(
        _named(free, np.sqrt(np.diag(robust)) * unit),
        _named(free, np.sqrt(-np.diag(inverse)) * unit),
        _named(free, single),
        nyblom_test(joint, len(free)),
    )


def nyblom_statistics(scores: FloatArray) -> tuple[FloatArray, float]:
    """Return the statistics of each parameter and of all together from scores of shape (n, parameters).

    ``L = (1/n) sum_t S_t' V^-1 S_t`` with ``S_t`` the sum of the scores up to t and ``V`` the sum of their products
    (Nyblom 1989; Hansen 1990): large where a parameter wanders.
    """
    sums = np.cumsum(scores, axis=0)
    products = scores.T @ scores
    single = (sums**2).mean(axis=0) / np.diag(products)
    joint = np.einsum("ti,ij,tj->", sums, np.linalg.inv(products), sums) / scores.shape[0]
    return single, float(joint)


def nyblom_test(statistic: float, parameters: int) -> TestResult:
    """Return the joint test: its p-value, and the 5 % critical value of Hansen's table as the reason."""
    known = f"5 % critical value {_HANSEN[parameters - 1]:.3g} (Hansen 1990)" if parameters <= len(_HANSEN) else ""
    return TestResult("Nyblom", statistic, nyblom_p_value(statistic, parameters), parameters, known)


def nyblom_p_value(statistic: float, parameters: int) -> float:
    """Return ``P(X > statistic)`` of the sum X of ``parameters`` independent integrals of squared Brownian bridges.

    Its characteristic function is ``(w / sinh w)^(parameters / 2)`` with ``w = sqrt(-2iu)``; the integral is that of
    Gil-Pelaez (1951), with ``u = v^2``.
    """
    v = (np.arange(20_000) + 0.5) * (40.0 / 20_000)
    w = (1.0 - 1.0j) * v
    log_sinh = w - math.log(2.0) + np.log1p(-np.exp(-2.0 * w))
    transform = np.exp(0.5 * parameters * (np.log(w) - log_sinh) - 1.0j * v**2 * statistic)
    below = 0.5 - float((transform.imag * 2.0 / v).sum() * (v[1] - v[0])) / math.pi
    return min(max(1.0 - below, 0.0), 1.0)


def differentiate(
    terms: Terms, estimates: Mapping[str, float], free: Sequence[str], mean_step: float
) -> tuple[FloatArray, FloatArray]:
    """Return scores (n, k) and Hessian (k, k) of the log densities ``terms`` by central differences.

    ``mean_step`` is the step of the mean, in decimals: a density with a peak at zero has to be crossed in wide steps.
    """
    moves = np.array([_move(name, estimates[name], mean_step) for name in free])

    def at(*steps: tuple[int, int]) -> FloatArray:
        moved = dict(estimates)
        for i, sign in steps:
            moved[free[i]] += sign * moves[i]
        with np.errstate(invalid="ignore", divide="ignore"):
            return terms(moved)

    ahead, behind, here = [at((i, 1)) for i in range(len(free))], [at((i, -1)) for i in range(len(free))], at()
    scores = np.column_stack([0.5 * (a - b) for a, b in zip(ahead, behind, strict=True)])
    hessian = np.empty((len(free), len(free)))
    for i in range(len(free)):
        hessian[i, i] = (ahead[i] - 2.0 * here + behind[i]).sum()
        for j in range(i):
            corners = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
            hessian[i, j] = hessian[j, i] = 0.25 * corners.sum()
    return scores / moves, hessian / np.outer(moves, moves)


def _move(name: str, value: float, mean_step: float) -> float:
    """Return the step of a parameter."""
    if name in ("mu", "const"):
        return mean_step
    return _STEP * abs(value) if name == "omega" and value != 0.0 else _STEP * max(abs(value), _SMALL)


def _named(names: Sequence[str], values: FloatArray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}
