"""A quadratic model minimised inside linear bounds, and the small linear algebra that this needs: compiled.

The active-set method of Nocedal and Wright (2006), Numerical Optimization, ch. 16, for a dozen coordinates.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import inner

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_ON = 1e-12
_STIFF = 1e4


@inner
def copy_to(target: FloatArray, source: FloatArray) -> None:
    """Copy numbers: compiles much faster than a slice assignment."""
    for i in range(source.size):
        target[i] = source[i]


@inner
def slack_of(rules: FloatArray, limits: FloatArray, theta: FloatArray, slack: FloatArray) -> None:
    """Leave the room between ``theta`` and each bound, rounding taken as none."""
    for c in range(limits.size):
        room = -limits[c]
        for i in range(theta.size):
            room += rules[c, i] * theta[i]
        slack[c] = room if room > _ON else 0.0


@inner
def constrained_step(
    slope: FloatArray, inverse: FloatArray, rules: FloatArray, slack: FloatArray, step: FloatArray
) -> float:
    """Minimise ``slope'd + d'Hd / 2`` subject to ``rules d >= -slack``; return the decrease that it promises.

    ``inverse`` is H^-1; the minimiser is left in ``step``. Active set: start at d = 0, which is feasible; go towards
    the best point on the working bounds until another one is met; let go of a bound that pulls.
    """
    k, m = slope.size, slack.size
    newton, goal = np.zeros(k), np.zeros(k)
    for i in range(k):
        step[i] = 0.0
        for j in range(k):
            newton[i] -= inverse[i, j] * slope[j]
        goal[i] = newton[i]
    working, force = np.zeros(m, np.bool_), np.zeros(m)
    for _ in range(6 * m):
        blocker = _go(rules, slack, working, goal, step)
        if blocker >= 0:
            working[blocker] = True
        else:
            puller = _pulls_most(working, force)
            if puller < 0:
                break
            working[puller] = False
        _hold(newton, inverse, rules, slack, working, force, goal)
    promise = 0.0
    for i in range(k):
        promise -= 0.5 * slope[i] * step[i]
    for c in range(m):
        promise += 0.5 * force[c] * slack[c]
    return promise


@inner
def _go(rules: FloatArray, slack: FloatArray, working: BoolArray, goal: FloatArray, step: FloatArray) -> int:
    """Move ``step`` towards ``goal`` up to the first bound that is not at work yet; return that bound, or -1."""
    share, blocker = 1.0, -1
    for c in range(slack.size):
        if working[c]:
            continue
        room, move = slack[c], 0.0
        for i in range(step.size):
            room += rules[c, i] * step[i]
            move += rules[c, i] * (goal[i] - step[i])
        if move < 0.0 and room + share * move < -1e-15:
            share, blocker = max(room, 0.0) / -move, c
    for i in range(step.size):
        step[i] += share * (goal[i] - step[i])
    return blocker


@inner
def _pulls_most(working: BoolArray, force: FloatArray) -> int:
    """Return the working bound that the minimum would rather leave, or -1."""
    puller, least = -1, -1e-12
    for c in range(force.size):
        if working[c] and force[c] < least:
            puller, least = c, force[c]
    return puller


@inner
def _dot(a: FloatArray, b: FloatArray) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@inner
def _hold(
    newton: FloatArray,
    inverse: FloatArray,
    rules: FloatArray,
    slack: FloatArray,
    working: BoolArray,
    force: FloatArray,
    goal: FloatArray,
) -> None:
    """Find the forces that keep the Newton step on the working bounds, and the goal that they leave."""
    k, m = newton.size, slack.size
    pushes = np.zeros((m, k))  # inverse times each rule
    square, wanted = np.zeros((m, m)), np.zeros(m)
    for c in range(m):
        square[c, c] = 1.0  # a bound that is not at work has no force
        if working[c]:
            wanted[c] = -slack[c] - _dot(rules[c], newton)
            for i in range(k):
                pushes[c, i] = _dot(inverse[i], rules[c])
    for c in range(m):
        for other in range(m):
            if working[c] and working[other]:
                square[c, other] = _dot(rules[c], pushes[other])
    solved = solve(square, wanted)
    for i in range(k):
        goal[i] = newton[i]
    for c in range(m):
        force[c] = wanted[c] if solved else 0.0
        for i in range(k):
            goal[i] += force[c] * pushes[c, i]


@inner
def solve(square: FloatArray, wanted: FloatArray) -> bool:
    """Solve a symmetric positive definite system in place; False where it is not."""
    n = wanted.size
    for i in range(n):
        for j in range(i + 1):
            value = square[i, j]
            for before in range(j):
                value -= square[i, before] * square[j, before]
            if i == j:
                if not value > 1e-14 * abs(square[i, i]):
                    return False
                square[i, i] = math.sqrt(value)
            else:
                square[i, j] = value / square[j, j]
    for i in range(n):
        for j in range(i):
            wanted[i] -= square[i, j] * wanted[j]
        wanted[i] /= square[i, i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            wanted[i] -= square[j, i] * wanted[j]
        wanted[i] /= square[i, i]
    return True


@inner
def invert(hessian: FloatArray, inverse: FloatArray) -> bool:
    """Leave the inverse of a Hessian in ``inverse``, its diagonal raised until it is positive definite."""
    k = hessian.shape[0]
    size = np.empty(k)
    for i in range(k):
        size[i] = math.sqrt(max(abs(hessian[i, i]), 1e-8))
    lift = 0.0
    square, unit = np.empty((k, k)), np.empty(k)
    for _ in range(8):
        good = True
        for column in range(k):
            for i in range(k):
                unit[i] = 0.0
                for j in range(k):
                    square[i, j] = hessian[i, j] / (size[i] * size[j])
                square[i, i] += lift
            unit[column] = 1.0
            good = solve(square, unit)
            if not good:
                break
            for i in range(k):
                inverse[i, column] = unit[i] / (size[i] * size[column])
        if good:
            return lift == 0.0
        lift = max(1e-3, 10.0 * lift)
    return False


@inner
def stiffen(hessian: FloatArray, rules: FloatArray, slack: FloatArray) -> None:
    """Add curvature across the bounds that hold."""
    k = hessian.shape[0]
    for c in range(slack.size):
        if slack[c] > 0.0:
            continue
        size = 0.0
        for i in range(k):
            size = max(size, _STIFF * abs(rules[c, i] * hessian[i, i]))
        for i in range(k):
            for j in range(k):
                hessian[i, j] += size * rules[c, i] * rules[c, j]


@inner
def learn(inverse: FloatArray, step: FloatArray, change: FloatArray) -> None:
    """Update the inverse Hessian by what the gradient did over a step (BFGS)."""
    k = step.size
    along = 0.0
    for i in range(k):
        along += step[i] * change[i]
    moved, size = np.empty(k), 0.0
    for i in range(k):
        moved[i] = 0.0
        for j in range(k):
            moved[i] += inverse[i, j] * change[j]
        size += change[i] * moved[i]
    if not (along > 1e-3 * size * 1e-3 and along > 0.0):
        return
    for i in range(k):
        for j in range(k):
            bend = (1.0 + size / along) * step[i] * step[j]
            inverse[i, j] += (bend - moved[i] * step[j] - step[i] * moved[j]) / along
