"""One fit after another along a series: compiled, a chunk of windows at a time.

A chunk starts cold and uses nothing but its own windows, so that chunks can run in any order on any thread.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled, inner, spliced
from forecastle.models._climb import MOVING, NO_NEWS, NONE, SOUND, STALE, climb, near, rank, search
from forecastle.models._evaluate import (
    DIST,
    EGARCH,
    GARCH,
    MEAN,
    NORMAL,
    PAD,
    ROWS,
    VOL,
    O,
    P,
    Q,
    evaluate,
    forecast_variance,
)
from forecastle.models._kernels import BACKCAST_DECAY, BACKCAST_SPAN
from forecastle.models._quadratic import copy_to

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BETTER = 1e-4
_JUMP = 1.0
"""Log-likelihood gained by a warm fit above which the optimum may have moved elsewhere: look again from everywhere."""
_CONTEST = 8.0
"""Log-likelihood within which another place, not yet climbed, may hide a better optimum."""
_SLOW, _QUICK, _HASTY, _BETWEEN = (0.012, 0.984), (0.10, 0.88), (0.45, 0.54), 0.04
"""News and memory of the optima that the likelihood of a GARCH often has, and the news that tells slow from quick."""
_FRESH_FOR = 25
"""Warm fits that live on one curvature."""
_ROUNDING = 1e-14
_LEAST_PRESAMPLE = 1e-8
"""Of a variance of one: a market may have stood still at first."""

NEVER = -1


@compiled
def spread(returns: FloatArray) -> tuple[float, float]:
    """Return mean and standard deviation; the latter zero where it is nothing but rounding."""
    n = returns.size
    total, squares = 0.0, 0.0
    for t in range(n):
        total += returns[t]
    mean = total / n
    for t in range(n):
        squares += (returns[t] - mean) ** 2
    sigma = math.sqrt(squares / n)
    return mean, sigma if sigma > 1e-12 * abs(mean) else 0.0


@compiled
def presample_variance(returns: FloatArray, centre: float) -> float:
    """Return the variance before the first return (see ``_kernels.backcast``) of returns in units of their spread."""
    total, weights, weight = 0.0, 0.0, 1.0
    for t in range(min(BACKCAST_SPAN, returns.size)):
        total += weight * (returns[t] - centre) ** 2
        weights += weight
        weight *= BACKCAST_DECAY
    return max(total / weights, _LEAST_PRESAMPLE)


@inner
def _scale_down(returns: FloatArray, scale: float, centre: float, scaled: FloatArray) -> float:
    """Leave the returns in units of ``scale`` in ``scaled``; return their presample variance."""
    for t in range(returns.size):
        scaled[t] = returns[t] / scale
    return presample_variance(scaled, centre / scale)


@compiled
def rescale(spec: IntArray, theta: FloatArray, factor: float) -> None:
    """Turn coordinates of returns into those of ``factor`` times the returns, in place."""
    first = spec[MEAN]
    if first:
        theta[0] *= factor
    if spec[VOL] == EGARCH:
        left, start = 1.0, first + 1 + spec[P] + spec[O]
        for j in range(start, start + spec[Q]):
            left -= theta[j]
        theta[first] += left * 2.0 * math.log(factor)
    else:
        theta[first] *= factor * factor


@inner
def _write(spec: IntArray, theta: FloatArray, scale: float, row: FloatArray) -> None:
    """Write coordinates as parameters in the units of the returns."""
    for i in range(theta.size):
        row[i] = theta[i] if abs(theta[i]) > _ROUNDING else 0.0
    rescale(spec, row, scale)
    if spec[DIST] != NORMAL:
        shape = spec[MEAN] + 1 + spec[P] + spec[O] + spec[Q]
        row[shape] = 1.0 / row[shape]


@inner
def _pattern(rules: FloatArray, limits: FloatArray, theta: FloatArray) -> int:
    """Return which bounds hold, a bit for each."""
    bits = 0
    for c in range(limits.size):
        slack = -limits[c]
        for i in range(theta.size):
            slack += rules[c, i] * theta[i]
        if slack <= 1e-9:
            bits += 1 << c
    return bits


@inner
def _elsewhere(spec: IntArray, theta: FloatArray, turn: int, point: FloatArray) -> None:
    """Leave a place where a GARCH may have a second optimum: quick if this is slow, else slow, now and then hasty."""
    first, news, memory = spec[MEAN] + 1, 0.0, 0.0
    sides, end = first + spec[P], first + spec[P] + spec[O]
    copy_to(point, theta)
    for i in range(first, end):
        news += theta[i] if i < sides else 0.5 * theta[i]
    for j in range(end, end + spec[Q]):
        memory += theta[j]
    news_there, memory_there = _QUICK if news < _BETWEEN else (_SLOW if turn % 8 else _HASTY)
    for i in range(first, end):
        point[i] *= news_there / max(news, _ROUNDING)
    for j in range(end, end + spec[Q]):
        point[j] = memory_there / spec[Q]
    point[spec[MEAN]] = 1.0 - news_there - memory_there


@spliced
def fit_window(
    spec: IntArray,
    rules: FloatArray,
    limits: FloatArray,
    starts: FloatArray,
    returns: FloatArray,
    presample: float,
    fits: int,
    check: int,
    theta: FloatArray,
    inverse: FloatArray,
    work: FloatArray,
) -> tuple[float, int, int]:
    """Fit one window, warm from ``theta`` if there were ``fits`` in a row before it, and cold where that is in doubt.

    In doubt: not sound; other bounds hold than before; gained more than ``_JUMP``; or its turn has come (``check``).
    Where another place is nearly as good (``_elsewhere``), there is a climb from there. Returns the value, its rank and
    the number of cold climbs. ``theta`` is moved where the rank says at rest.
    """
    k = theta.size
    trial, other, known = theta.copy(), np.empty((k, k)), np.full(k, math.nan)
    value, quality, cold = math.inf, NONE, np.empty(k)
    better, lower, climbed, doubt = NONE, math.inf, 0, fits <= 0
    if fits > 0:
        before, rumour = _pattern(rules, limits[0], theta), math.inf
        if fits % _FRESH_FOR == 0:
            inverse[0, 0] = math.nan
        if spec[VOL] == GARCH and spec[Q] > 0:
            _elsewhere(spec, theta, fits, cold)
            rumour = evaluate(spec, cold, returns, presample, work, known)
            known[0] = math.nan
        value, promise, gained = climb(spec, rules, limits[0], returns, presample, known, trial, inverse, work)
        quality = rank(spec, trial, value, promise, returns.size, work)
        doubt = quality != SOUND or gained > _JUMP or _pattern(rules, limits[0], trial) != before or fits % check == 0
        if not doubt and not rumour < value + _CONTEST:
            copy_to(theta, trial)
            return value, quality, 0
    if quality == SOUND:
        copy_to(known, trial)
    if doubt:
        climbed = starts.shape[0]
        lower, better = search(spec, rules, limits, starts, returns, presample, known, cold, other, work)
    else:
        climbed, other[0, 0] = 1, math.nan
        lower, promise, _ = climb(spec, rules, limits[0], returns, presample, known, cold, other, work)
        if not near(cold, known):
            better = rank(spec, cold, lower, promise, returns.size, work)
    if better > quality or (better == quality and lower < value - _BETTER):
        value, quality = lower, better
        copy_to(inverse.reshape(k * k), other.reshape(k * k))
        copy_to(trial, cold)
    else:
        evaluate(spec, trial, returns, presample, work, cold)
    if quality >= NO_NEWS or (quality == MOVING and fits == NEVER):
        copy_to(theta, trial)
    return value, quality, climbed


@inner
def _fits_in_a_row(found: int, fits: int) -> int:
    """Count sound fits since one failed; ``NEVER`` while nothing was at rest."""
    if found == SOUND:
        return max(fits, 0) + 1
    return 0 if found >= NO_NEWS else min(fits, 0)


@compiled
def roll(
    spec: IntArray,
    rules: FloatArray,
    limits: FloatArray,
    starts: FloatArray,
    returns: FloatArray,
    window: int,
    every: int,
    check: int,
    variance: FloatArray,
    params: FloatArray,
    loglikelihood: FloatArray,
    quality: IntArray,
    restarts: IntArray,
) -> None:
    """Fit each ``every``-th window of ``returns`` and filter those between; row i looks at ``returns[i : i + window]``.

    ``quality`` says what each row is worth, see ``NONE`` .. ``SOUND``. Rows before the first fit stay as they are.
    ``check`` is the number of fits between two cold ones.
    """
    k = rules.shape[1]
    theta, inverse, slope = np.empty(k), np.empty((k, k)), np.empty(k)
    work, scaled = np.zeros((ROWS, window + 2 * PAD)), np.empty(window)
    scale, last, fits = 0.0, NONE, NEVER
    for row in range(variance.size):
        part = returns[row : row + window]
        mean, sigma = spread(part)
        if sigma > 0.0 and not 0.5 < scale / sigma < 2.0:
            if last != NONE:
                rescale(spec, theta, scale / sigma)
            scale, fits = sigma, min(fits, 0)
        if scale == 0.0:
            continue
        presample = _scale_down(part, scale, mean if spec[MEAN] else 0.0, scaled)
        found, value = STALE, math.inf
        if row % every == 0 and sigma > 0.0:
            value, found, restarts[row] = fit_window(
                spec, rules, limits, starts, scaled, presample, fits, check, theta, inverse, work
            )
        fresh = found >= NO_NEWS or (found == MOVING and fits == NEVER)
        if fresh or row % every == 0:
            last = found if fresh else min(last, STALE)
            fits = _fits_in_a_row(found, fits)
        if last == NONE:
            continue
        if not fresh:
            value = evaluate(spec, theta, scaled, presample, work, slope)
        quality[row] = last
        variance[row] = forecast_variance(spec, window, work) * scale * scale
        loglikelihood[row] = -value - window * math.log(scale)
        _write(spec, theta, scale, params[row])
