"""The Model Confidence Set: which of several models cannot be told from the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import ModelConfidenceSet

FloatArray = npt.NDArray[np.float64]
Statistic = Literal["max", "range"]

REPLICATIONS = 1000
FEWEST_LOSSES = 10
CHUNK = 100
"""Replications drawn at a time: 19,000 rows in blocks of 27 are 704 starts each."""


def model_confidence_set(
    losses: Mapping[str, FloatArray] | FloatArray,
    size: float = 0.1,
    *,
    statistic: Statistic = "max",
    block: int | None = None,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> ModelConfidenceSet:
    """Return the models that contain the best one with a probability of ``1 - size``, by their losses.

    ``losses`` maps names to losses of shape (n,), or has shape (n, models), named "0", "1" and so on. While the models
    left differ by the statistic, the worst goes: ``max`` is ``T_max = max_i (L_i - mean L) / se_i`` against the mean
    of those left, ``range`` is ``T_R = max_ij (L_i - L_j) / se_ij``. Standard errors and null distribution come from
    one circular block bootstrap of the rows (blocks of ``block``, the cube root of n rounded up where None; the same
    draws for all models; the ``seed`` fixes them). A model's p-value is the largest of the tests up to its removal.
    Source: Hansen, Lunde and Nason (2011), Econometrica 79, 453-497, section 3.1.2. Raises ``DataInvalid`` for NaN
    and shapes that differ, ``RequestInvalid`` for fewer than 10 rows, a size outside 0 to 1 and a block outside 1 to n.
    """
    names, table = _as_table(losses)
    n = table.shape[0]
    width = math.ceil(round(n ** (1.0 / 3.0), 9)) if block is None else block
    if n < FEWEST_LOSSES or not 1 <= width <= n or not 0.0 < size < 1.0 or replications < 1:
        raise RequestInvalid(
            f"{n} losses, blocks of {width}, size {size}, {replications} replications.",
            f"There have to be {FEWEST_LOSSES} losses or more, blocks no longer than they, and a size within 0 to 1.",
            "Score more bars, or choose shorter blocks.",
        )
    means = table.mean(axis=0)
    gone = _eliminated(means, _resampled_means(table, width, replications, seed) - means, statistic)
    p_values: dict[str, float] = {}
    highest = 0.0
    for step in gone:
        highest = max(highest, step.p_value)
        p_values[names[step.model]] = highest
    kept = [name for name in p_values if p_values[name] >= size]
    return ModelConfidenceSet(
        size=size,
        p_values={name: p_values[name] for name in names},
        included=tuple(sorted(kept, key=lambda name: float(means[names.index(name)]))),
        excluded=tuple(name for name in p_values if p_values[name] < size),
        statistic=statistic,
        block=width,
        replications=replications,
    )


@dataclass(frozen=True)
class _Removal:
    model: int
    p_value: float


def _as_table(losses: Mapping[str, FloatArray] | FloatArray) -> tuple[list[str], FloatArray]:
    if isinstance(losses, Mapping):
        names, columns = list(losses), [np.asarray(column, dtype=np.float64) for column in losses.values()]
        even = len({c.shape for c in columns}) == 1 and columns[0].ndim == 1
        table = np.column_stack(columns) if even else np.empty((0, 0))
    else:
        table = np.asarray(losses, dtype=np.float64)
        names = [str(i) for i in range(table.shape[1])] if table.ndim == 2 else []
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise DataInvalid(
            "The losses are not finite series of one length.", "Each row is one forecast of all models.", "Align them."
        )
    return names, table


def _resampled_means(table: FloatArray, block: int, replications: int, seed: int) -> FloatArray:
    """Return the column means of resampled rows, shape (replications, models).

    Rows are taken in runs of ``block`` from starts drawn evenly, going on at the top after the last row; the last run
    is cut so that n rows come together. Sums of runs are differences of running sums, so no row is ever copied.
    """
    n, models = table.shape
    runs = math.ceil(n / block)
    lengths = np.full(runs, block)
    lengths[-1] = n - block * (runs - 1)
    centred = table - table.mean(axis=0)  # running sums of numbers around zero lose no digits
    sums = np.concatenate([np.zeros((1, models)), np.cumsum(np.concatenate([centred, centred[:block]]), axis=0)])
    columns = [np.ascontiguousarray(sums[:, j]) for j in range(models)]
    rng = np.random.default_rng(seed)
    means = np.empty((replications, models))
    for first in range(0, replications, CHUNK):
        rows = slice(first, min(first + CHUNK, replications))
        starts = rng.integers(n, size=(rows.stop - first, runs))
        for j, column in enumerate(columns):
            means[rows, j] = (column[starts + lengths] - column[starts]).sum(axis=1) / n
    return np.asarray(means + table.mean(axis=0))


def _eliminated(means: FloatArray, deviations: FloatArray, statistic: Statistic) -> list[_Removal]:
    """Return the models in the order in which they go; the last stays, with a p-value of 1.

    ``means`` has shape (models,), ``deviations`` (replications, models): resampled means less the means.
    """
    worst = _worst_by_mean if statistic == "max" else _worst_by_pair
    left, gone = list(range(means.size)), []
    while len(left) > 1:
        place, p_value = worst(means[left], deviations[:, left])
        gone.append(_Removal(left.pop(place), p_value))
    return [*gone, _Removal(left[0], 1.0)]


def _worst_by_mean(means: FloatArray, deviations: FloatArray) -> tuple[int, float]:
    """Return the place of the worst model against the mean of all, and the p-value of T_max."""
    noise = deviations - deviations.mean(axis=1, keepdims=True)
    scale = _standard_errors(noise, means)
    t = (means - means.mean()) / scale
    return int(t.argmax()), float(((noise / scale).max(axis=1) > t.max()).mean()) if _differ(means) else 1.0


def _worst_by_pair(means: FloatArray, deviations: FloatArray) -> tuple[int, float]:
    """Return the place of the model that loses the worst pair, and the p-value of T_R."""
    noise = deviations[:, :, None] - deviations[:, None, :]
    gaps = means[:, None] - means[None, :]
    scale = _standard_errors(noise, means)
    t = gaps / scale
    simulated = (noise / scale).reshape(noise.shape[0], -1).max(axis=1)
    return int(t.max(axis=1).argmax()), float((simulated > t.max()).mean()) if _differ(means) else 1.0


def _standard_errors(noise: FloatArray, means: FloatArray) -> FloatArray:
    """Return the root mean square over the replications, never below rounding: losses may be the same."""
    rounding = 1e-12 * float(np.abs(means).max()) or 1.0
    return np.asarray(np.maximum(np.sqrt((noise**2).mean(axis=0)), rounding))


def _differ(means: FloatArray) -> bool:
    return float(np.ptp(means)) > 1e-12 * float(np.abs(means).max())
