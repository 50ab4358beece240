"""The search for the maximum of a likelihood inside linear bounds: compiled, for one window and for rolling ones.

Each step minimises a quadratic model within the bounds, its curvature from differences of the gradient at first, then
from BFGS updates (Nocedal and Wright 2006, ch. 6 and 18). A window starts from the optimum and the
curvature of the window before it (warm); ``search`` starts from many points (cold).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import inner, spliced
from forecastle.models._evaluate import (
    EGARCH,
    GARCH,
    GUARD,
    MEAN,
    VOL,
    O,
    P,
    collapsed,
    evaluate,
    log_contraction,
)
from forecastle.models._quadratic import constrained_step, copy_to, invert, learn, slack_of, stiffen

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NONE, STALE, MOVING, NO_NEWS, HELD, SOUND = range(-1, 5)
"""What a fit is worth, worst first: nothing known; of no use, so that an older one has to serve; not at rest; at rest
with no weight on news; at rest with alpha held from below zero, for no free optimum is invertible; at rest."""
TOLERANCE = 1e-7
"""A fit is done when one more step promises less log-likelihood than this."""
KINKED_TOLERANCE, KINK = 3e-5, 3e-3
"""The same for EGARCH, whose likelihood has a kink in mu at every return; and where no step goes up any more."""
LEAST_NEWS = 1e-3
"""Below this sum of weights on news the variance follows nothing, and beta is not identified."""
_MOST_ROUNDS = 60
_LONGEST_STEP = 0.5
_CRAMPED = 0.05
"""Steps cut to less than this share, some in a row: the wall of filters that do not forget is near."""
_TOO_CRAMPED = 4
_YOUNG, _OLD = 2, 6
"""Steps after which the curvature is taken anew: near the top, and anywhere."""
_CLOSE = 0.3
"""A promise below which the curvature has to be exact."""
_MOST_CUTS = 12
_HOPELESS = 40.0
"""Log-likelihood below a sound optimum from which a start is not climbed, unless every one is asked for."""
_STRAIGHT = 0.8
"""A step that gains more than this share of what its slope says (a parabola gains half) is too short."""
_DOUBT = 1e3
"""What a promise by a mended curvature may be short of."""
_NEAR = 0.03
"""Coordinates this near to a known optimum will end there."""


@inner
def _difference(spec: IntArray, theta: FloatArray, place: int) -> float:
    """Return how far a coordinate is moved: mu of an EGARCH over some kinks at least."""
    if place < spec[MEAN]:
        return 1e-3
    if place == spec[MEAN] and spec[VOL] == GARCH:
        return 1e-4 * max(float(theta[place]), 1e-4)
    return 1e-5


@spliced
def curvature(
    spec: IntArray,
    theta: FloatArray,
    returns: FloatArray,
    presample: float,
    rules: FloatArray,
    slack: FloatArray,
    work: FloatArray,
    slope: FloatArray,
    inverse: FloatArray,
) -> bool:
    """Leave the inverse Hessian at ``theta``, from differences of the gradient; False if it was mended.

    Forward differences do for GARCH; the gradient of an EGARCH with long memory bends too much for them.

    Across a bound that holds, the likelihood may bend the other way: there the Hessian is stiffened, which changes
    nothing along the bound (as an augmented Lagrangian does).
    """
    k = theta.size
    moved, there, back, hessian = theta.copy(), slope.copy(), slope.copy(), np.zeros((k, k))
    for i in range(k):
        h = _difference(spec, theta, i)
        moved[i] = theta[i] + h
        evaluate(spec, moved, returns, presample, work, there)
        if spec[VOL] == EGARCH:
            moved[i] = theta[i] - h
            evaluate(spec, moved, returns, presample, work, back)
            h *= 2.0
        moved[i] = theta[i]
        for j in range(k):
            change = 0.5 * (there[j] - back[j]) / h
            hessian[i, j] += change if math.isfinite(change) else 0.0
    for i in range(k):
        for j in range(i + 1):
            hessian[i, j] += hessian[j, i]
            hessian[j, i] = hessian[i, j]
    if invert(hessian, inverse):
        return True
    stiffen(hessian, rules, slack)
    return invert(hessian, inverse)


@inner
def climb(
    spec: IntArray,
    rules: FloatArray,
    limits: FloatArray,
    returns: FloatArray,
    presample: float,
    known: FloatArray,
    theta: FloatArray,
    inverse: FloatArray,
    work: FloatArray,
) -> tuple[float, float, float]:
    """Move ``theta`` to the nearest minimum of minus the log-likelihood.

    Returns its value, the decrease that a further step promises, and the decrease reached. ``inverse`` is the curvature
    to start with, or NaN. Gives up near ``known``, an optimum found before. ``work`` is left at ``theta``.
    """
    k = theta.size
    slope, there, trial = np.empty(k), np.empty(k), np.empty(k)
    step, slack = np.empty(k), np.empty(limits.size)
    start = value = evaluate(spec, theta, returns, presample, work, slope)
    if not math.isfinite(value):
        return math.inf, math.inf, 0.0
    exact = math.isfinite(inverse[0, 0])  # whether the curvature belongs to about this place
    enough = KINKED_TOLERANCE if spec[VOL] == EGARCH else TOLERANCE
    age, cramped, promise, settled = 0 if exact else _OLD, 0, math.inf, True
    for _ in range(_MOST_ROUNDS):
        fresh = age >= _OLD or (promise < _CLOSE and not exact and age >= _YOUNG)
        slack_of(rules, limits, theta, slack)
        if fresh:
            exact = curvature(spec, theta, returns, presample, rules, slack, work, slope, inverse)
            age, settled = 0, False
        promise = constrained_step(slope, inverse, rules, slack, step)
        if _at_rest(promise, enough, exact, fresh) or cramped == _TOO_CRAMPED or near(theta, known):
            break
        length, lower = _line(
            spec, returns, presample, _room(rules, slack, step), theta, step, slope, value, trial, there, work
        )
        settled = lower < value
        if settled:
            value = lower
            _take(theta, slope, inverse, trial, there, step)
            cramped, age = cramped + 1 if spec[GUARD] and length < _CRAMPED else 0, age + 1
        elif fresh:
            break
        else:
            age = _OLD
    if not settled:
        evaluate(spec, theta, returns, presample, work, slope)
    return value, promise if exact else _DOUBT * promise, start - value


@inner
def _at_rest(promise: float, enough: float, exact: bool, fresh: bool) -> bool:
    """Return whether a promise is small enough: one by a mended curvature says too little."""
    return (exact and promise < enough) or (fresh and _DOUBT * promise < enough)


@spliced
def _line(
    spec: IntArray,
    returns: FloatArray,
    presample: float,
    room: float,
    theta: FloatArray,
    step: FloatArray,
    slope: FloatArray,
    value: float,
    trial: FloatArray,
    there: FloatArray,
    work: FloatArray,
) -> tuple[float, float]:
    """Go along a step, less far each time until it pays (Armijo 1966), or further where it pays like its first inch.

    ``room`` is how far it may go. Returns how far it went, and the value there.
    """
    longest, descent, lower = 0.0, 0.0, math.inf
    for i in range(theta.size):
        longest = max(longest, abs(step[i]))
        descent += slope[i] * step[i]
    room = min(room, _LONGEST_STEP / longest)
    length, before, best = min(1.0, room), 0.0, value
    for _ in range(_MOST_CUTS):
        for i in range(theta.size):
            trial[i] = theta[i] + length * step[i]
        lower = evaluate(spec, trial, returns, presample, work, there)
        if before > 0.0 and not lower < best:  # one too far: the last one again
            length, before, room = before, 0.0, before
        elif lower > value + 1e-4 * length * descent or not math.isfinite(lower):
            bend = lower - value - length * descent
            length *= min(0.5, max(0.1, -0.5 * length * descent / bend)) if math.isfinite(lower) else 0.2
            room = length
        elif lower < value + _STRAIGHT * length * descent and length < room:
            before, best = length, lower
            length = min(4.0 * length, room)
        else:
            break
    return length, lower


@inner
def _room(rules: FloatArray, slack: FloatArray, step: FloatArray) -> float:
    """Return how often a step may be taken before it meets a bound."""
    times = math.inf
    for c in range(slack.size):
        move = 0.0
        for i in range(step.size):
            move += rules[c, i] * step[i]
        if move < -1e-14:
            times = min(times, slack[c] / -move)
    return max(times, 1.0)


@spliced
def _take(
    theta: FloatArray, slope: FloatArray, inverse: FloatArray, trial: FloatArray, there: FloatArray, step: FloatArray
) -> None:
    """Move to the trial point, and learn from what the gradient did on the way."""
    for i in range(theta.size):
        step[i] = trial[i] - theta[i]
        theta[i] = trial[i]
        trial[i] = there[i] - slope[i]
        slope[i] = there[i]
    learn(inverse, step, trial)


@spliced
def near(theta: FloatArray, known: FloatArray) -> bool:
    """Return whether an optimum known already is so near that this search will end there; NaN is never near."""
    farthest = 0.0
    for i in range(theta.size):
        distance = abs(theta[i] - known[i])
        farthest = max(farthest, distance)
    return farthest < _NEAR and math.isfinite(known[0])


@inner
def weight_of_news(spec: IntArray, theta: FloatArray) -> float:
    """Return the sum of the weights on past residuals; zero means that the variance follows nothing."""
    first, total = spec[MEAN] + 1, 0.0
    for i in range(first, first + spec[P] + spec[O]):
        total += abs(theta[i])
    return total


@inner
def rank(spec: IntArray, theta: FloatArray, value: float, promise: float, n: int, work: FloatArray) -> int:
    """Judge the optimum that was evaluated last, see ``NONE`` .. ``SOUND``."""
    if not math.isfinite(value) or collapsed(spec, n, work) or not log_contraction(spec, theta, n, work) < 0.0:
        return STALE
    if weight_of_news(spec, theta) < LEAST_NEWS and promise < KINK:
        return NO_NEWS  # beta is not identified, so that the search may creep along it for ever
    return SOUND if promise < (KINK if spec[VOL] == EGARCH else 10.0 * TOLERANCE) else MOVING


@spliced
def search(
    spec: IntArray,
    rules: FloatArray,
    limits: FloatArray,
    starts: FloatArray,
    returns: FloatArray,
    presample: float,
    known: FloatArray,
    theta: FloatArray,
    inverse: FloatArray,
    work: FloatArray,
) -> tuple[float, int]:
    """Climb from the best start of each family, and keep the best of the best rank.

    ``starts`` has shape (families, variants, k). A climb that comes near ``known`` (a sound optimum, NaN for none;
    overwritten) is left. Without a sound optimum an EGARCH is climbed again with alpha held. Returns the value and the
    rank; ``work`` is left at it.
    """
    families, k = starts.shape[0], starts.shape[2]
    trial, trial_inverse, slope = np.empty(k), np.empty((k, k)), np.empty(k)
    best, best_rank = math.inf, NONE
    hurried = spec[VOL] == GARCH and starts.shape[1] > 1
    copy_to(theta, starts[0, 0])
    for attempt in range(2 * families):
        held = attempt // families
        if attempt == families and (spec[VOL] == GARCH or math.isfinite(known[0])):
            break
        lowest = _choose(spec, starts[attempt % families], held, returns, presample, work, slope, trial)
        if hurried and best_rank == SOUND and lowest > best + _HOPELESS:
            continue
        trial_inverse[0, 0] = math.nan
        value, promise, _ = climb(spec, rules, limits[held], returns, presample, known, trial, trial_inverse, work)
        if near(trial, known):
            continue
        quality = rank(spec, trial, value, promise, returns.size, work)
        if held and quality == SOUND:
            quality = HELD
        if quality > best_rank or (quality == best_rank and value < best):
            best, best_rank = value, quality
            copy_to(theta, trial)
            copy_to(inverse.reshape(k * k), trial_inverse.reshape(k * k))
            if quality >= HELD:
                copy_to(known, trial)
    evaluate(spec, theta, returns, presample, work, slope)
    return best, best_rank


@spliced
def _choose(
    spec: IntArray,
    variants: FloatArray,
    held: int,
    returns: FloatArray,
    presample: float,
    work: FloatArray,
    slope: FloatArray,
    theta: FloatArray,
) -> float:
    """Leave the best of some starting points in ``theta``; return its value."""
    lowest = math.inf
    copy_to(theta, variants[0])
    for variant in range(variants.shape[0]):
        value = evaluate(spec, variants[variant], returns, presample, work, slope)
        if value < lowest:
            lowest = value
            copy_to(theta, variants[variant])
    first = spec[MEAN] + 1
    for i in range(first, first + spec[P]):
        theta[i] = max(theta[i], 0.0) if held else theta[i]
    return lowest
