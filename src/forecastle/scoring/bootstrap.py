"""Intervals of scores by the stationary bootstrap: losses that follow each other are drawn together."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Statistic = Callable[..., FloatArray]
FEWEST = 20
"""Rows below which an interval would be a guess."""
CHUNK = 2_000_000
"""Numbers drawn at a time."""
RUN = 5
"""Small autocorrelations in a row after which there are none: ``max(5, sqrt(log10 n))``, 5 for any n of ours."""
ROUNDING = 1e-12


def block_length(values: FloatArray) -> float:
    """Return the mean block length for the mean of a series by the stationary bootstrap, at least 1.

    Politis and White (2004), Econometric Reviews 23, 53-70, corrected by Patton, Politis and White (2009), 28, 372-375:
    ``(2 G^2 / D)^(1/3) n^(1/3)`` with flat-top weights up to twice the first of five lags whose autocorrelations are
    all small, as in the code that the authors gave out; by the letter of the paper it would be one lag less.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x - x.mean()
    n = x.size
    if n < FEWEST or float(np.abs(x).max()) <= ROUNDING * float(np.abs(values).max()):
        return 1.0
    longest = math.ceil(math.sqrt(n)) + RUN
    covariance = np.array([x[k:] @ x[: n - k] / n for k in range(longest + 1)])
    lags = min(2 * _first_small(covariance[1:] / covariance[0], 2.0 * math.sqrt(math.log10(n) / n)), longest)
    k = np.arange(1, lags + 1)
    weight = 2.0 * np.where(k / lags <= 0.5, 1.0, 2.0 * (1.0 - k / lags))
    g = float(np.sum(weight * k * covariance[1 : lags + 1]))
    spectrum = float(covariance[0] + np.sum(weight * covariance[1 : lags + 1]))
    most = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    steepness = abs(g) / max(abs(spectrum), np.finfo(np.float64).tiny)
    return float(np.clip(steepness ** (2.0 / 3.0) * n ** (1.0 / 3.0), 1.0, most))


def _first_small(correlation: FloatArray, bound: float) -> int:
    """Return the first lag, from 1, of a run of small autocorrelations; else the last lag that is not small."""
    small = np.abs(correlation) < bound
    runs = np.lib.stride_tricks.sliding_window_view(small, RUN).all(axis=1)
    return int(np.argmax(runs)) + 1 if runs.any() else int(np.flatnonzero(~small)[-1]) + 1


def resampled(n: int, block: float, replications: int, draw: np.random.Generator) -> IntArray:
    """Return row numbers of shape (replications, n): blocks of geometric lengths of mean ``block``, around the end.

    Politis and Romano (1994), JASA 89, 1303-1313.
    """
    begins = draw.random((replications, n)) < 1.0 / block
    starts = draw.integers(n, size=(replications, n))
    place = np.arange(n)
    last = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    return np.asarray((np.take_along_axis(starts, last, axis=1) + place - last) % n)


def interval(
    statistic: Statistic,
    *columns: FloatArray,
    level: float = 0.95,
    replications: int = 999,
    seed: int = 0,
    block: float | None = None,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of rows drawn again.

    ``statistic`` takes arrays of shape (..., n) like ``columns`` and returns (...,): the mean, or a ratio of means. The
    block length is the longest that :func:`block_length` finds for a column, where none is given. Percentiles and not a
    normal or a basic interval: scores are bounded and skewed, and such an interval never leaves their bounds. Draws
    where the statistic is not defined are passed over. Raises ``DataInvalid`` for NaN or fewer than 20 rows.
    """
    rows = [np.asarray(column, dtype=np.float64) for column in columns]
    n = rows[0].size
    if n < FEWEST or any(r.shape != (n,) or not np.isfinite(r).all() for r in rows):
        raise DataInvalid(
            f"An interval was asked of {n} rows.", f"It takes {FEWEST} or more finite rows in every column.",
            "Score more rows.",
        )  # fmt: skip
    if not 0.0 < level < 1.0 or replications < 1:
        raise RequestInvalid(f"The level is {level}, {replications} replications.", "It lies within 0 to 1.", "0.95.")
    length = max(block_length(r) for r in rows) if block is None else block
    draw, found = np.random.default_rng(seed), np.empty(replications)
    step = max(CHUNK // n, 1)
    for first in range(0, replications, step):
        part = slice(first, min(first + step, replications))
        picked = resampled(n, length, part.stop - part.start, draw)
        found[part] = statistic(*(r[picked] for r in rows))
    found = found[np.isfinite(found)]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(found, [tail, 1.0 - tail]) if found.size else (np.nan, np.nan)
    return float(low), float(high)


def mean(values: FloatArray) -> FloatArray:
    """Return the mean over the last axis: the statistic of a loss."""
    return np.asarray(values.mean(axis=-1))


def gain(loss: FloatArray, baseline: FloatArray) -> FloatArray:
    """Return ``1 - mean loss / mean loss of the baseline`` over the last axis: the statistic of a skill."""
    below = baseline.mean(axis=-1)
    return np.asarray(1.0 - loss.mean(axis=-1) / np.where(below > 0.0, below, np.nan))
