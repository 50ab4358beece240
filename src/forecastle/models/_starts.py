"""Where a cold search starts, and the bounds it stays in, for a model on returns of unit variance."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

UNIT_ROOT = 1.0 - 1e-10
"""Persistence stays below one."""
SMALLEST_OMEGA, LARGEST_OMEGA = 1e-9, 100.0
LARGEST_LOG_OMEGA = 10.0
SMALLEST_NU = 2.05
LARGEST_NU = {"t": 500.0, "skewt": 300.0}
LARGEST_LAMBDA = 0.9999
"""Of degrees of freedom and skew: the bounds of ``arch``."""
_HELD = -1e3
"""A limit that is none until it is lifted to zero."""
_GARCH = (
    ((0.01, 0.988), (0.03, 0.965), (0.02, 0.979)),
    ((0.05, 0.94), (0.08, 0.90), (0.12, 0.875)),
    ((0.10, 0.85), (0.15, 0.75), (0.25, 0.745)),
    ((0.30, 0.40), (0.12, 0.40), (0.45, 0.545)),
)
"""Families of (sum of news weights, sum of betas): slow, usual, quicker, quick."""
_EGARCH = (
    ((0.10, -0.05, 0.985), (0.20, -0.10, 0.97), (0.05, -0.10, 0.98)),
    ((0.20, -0.10, 0.90), (0.35, -0.15, 0.80), (0.15, -0.20, 0.92)),
    ((0.30, -0.15, 0.50), (0.15, -0.05, 0.00), (0.30, 0.10, 0.60)),
    ((-0.04, -0.20, 0.98), (-0.02, -0.10, 0.99), (0.02, 0.10, 0.98)),
)
"""Families of (sums of alphas, gammas, betas): slow, usual, quick, and next to nothing but leverage."""
_TAILS: dict[str, tuple[float, ...]] = {"normal": (), "t": (1.0 / 6.0,), "skewt": (1.0 / 6.0, 0.0)}
_Family = tuple[tuple[float, ...], ...]


def feasible_set(vol: str, p: int, o: int, q: int, dist: str, mean: str) -> tuple[FloatArray, FloatArray]:
    """Return ``rules`` (m, k) and ``limits`` (2, m): coordinates theta are allowed where ``rules @ theta >= limits``.

    ``limits[0]`` for every search; ``limits[1]`` where that found nothing: an EGARCH then has no negative alpha. A
    negative one says that big moves calm the market, and drives the filter to where it no longer forgets its start.

    As ``arch`` has them: omega, alpha, beta and alpha + gamma not negative and their sum (gamma by half) below one; for
    EGARCH betas not negative with a sum below one; nu from 2.05 to 500 (skewed: 300), lambda within -1 and 1.
    """
    first = int(mean == "constant")
    alpha, gamma, beta = first + 1, first + 1 + p, first + 1 + p + o
    shape = beta + q
    k = shape + {"normal": 0, "t": 1, "skewt": 2}[dist]
    rows: list[tuple[dict[int, float], float]] = []
    if vol == "garch":
        rows += [({first: 1.0}, SMALLEST_OMEGA), ({first: -1.0}, -LARGEST_OMEGA)]
        rows += [({alpha + i: 1.0}, 0.0) for i in range(p)]
        rows += [({gamma + i: 1.0} | ({alpha + i: 1.0} if i < p else {}), 0.0) for i in range(o)]
    else:
        rows += [({first: 1.0}, -LARGEST_LOG_OMEGA), ({first: -1.0}, -LARGEST_LOG_OMEGA)]
        rows += [({alpha + i: 1.0}, _HELD) for i in range(p)]
    rows += [({beta + j: 1.0}, 0.0) for j in range(q)]
    news = {alpha + i: -1.0 for i in range(p)} | {gamma + i: -0.5 for i in range(o)} if vol == "garch" else {}
    if news or q:
        rows.append((news | {beta + j: -1.0 for j in range(q)}, -UNIT_ROOT))
    if dist != "normal":
        rows += [({shape: 1.0}, 1.0 / LARGEST_NU[dist]), ({shape: -1.0}, -1.0 / SMALLEST_NU)]
    if dist == "skewt":
        rows += [({shape + 1: 1.0}, -LARGEST_LAMBDA), ({shape + 1: -1.0}, -LARGEST_LAMBDA)]
    rules, limits = np.zeros((len(rows), k)), np.array([limit for _, limit in rows])
    both = np.stack([limits, np.where(limits == _HELD, 0.0, limits)])
    for row, (weights, _) in enumerate(rows):
        for place, weight in weights.items():
            rules[row, place] = weight
    return rules, both


def starting_points(vol: str, p: int, o: int, q: int, dist: str, mean: str) -> FloatArray:
    """Return starting coordinates, shape (families, variants, k), for returns of mean zero and variance one."""
    families = [_garch_weights(p, o, q, family) if vol == "garch" else _egarch_weights(p, o, q, family)
                for family in (_GARCH if vol == "garch" else _EGARCH)]  # fmt: skip
    mu, tail = [0.0] * (mean == "constant"), _TAILS[dist]
    return np.array([[[*mu, *weights, *tail] for weights in family] for family in families])


def _garch_weights(p: int, o: int, q: int, family: _Family) -> list[list[float]]:
    """Return omega, alphas, gammas and betas, the news once on both sides and once mostly on the negative one."""
    out = []
    for (news, memory), side in itertools.product(family, (0.0, 0.8) if o else (0.0,)):
        memory = memory if q else 0.0
        gamma = [2.0 * news * side / o] * o if o else []
        out.append([1.0 - news - memory, *[news * (1.0 - side) / p] * p, *gamma, *_spread(memory, q)])
    return out


def _egarch_weights(p: int, o: int, q: int, family: _Family) -> list[list[float]]:
    """Return omega, alphas, gammas and betas."""
    return [[0.0, *_spread(alpha, p), *_spread(gamma, o), *_spread(memory, q)] for alpha, gamma, memory in family]


def _spread(total: float, lags: int) -> list[float]:
    return [total / lags] * lags if lags else []
