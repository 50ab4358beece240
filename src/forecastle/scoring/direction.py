"""Scores of a probability of up: outcomes are 1 or 0, probabilities in between, all arrays of shape (n,)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from forecastle.errors import DataInvalid
from forecastle.nouns.scorecard import BrierParts, CalibrationBin
from forecastle.scoring._checks import aligned

FloatArray = npt.NDArray[np.float64]
CLIP = 1e-15
"""Probabilities are held this far from 0 and 1 in the log loss: one certain error would make it infinite."""
BINS = 10


def _checked(outcome: FloatArray, probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    y, p = aligned(outcome=outcome, probability=probability)
    if not np.isin(y, (0.0, 1.0)).all() or p.min() < 0.0 or p.max() > 1.0:
        raise DataInvalid(
            "An outcome is not 0 or 1, or a probability lies outside 0 to 1.", "Up is 1, down is 0.",
            "Leave rows without a direction out.",
        )  # fmt: skip
    return y, p


def log_losses(outcome: FloatArray, probability: FloatArray) -> FloatArray:
    """Return ``-ln p`` of what happened, in nats, with probabilities clipped at 1e-15."""
    y, p = _checked(outcome, probability)
    return np.asarray(-np.log(np.clip(np.where(y == 1.0, p, 1.0 - p), CLIP, 1.0)))


def held(outcome: FloatArray, probability: FloatArray) -> int:
    """Return how many losses :func:`log_losses` held: rows where what happened was given no more than 1e-15."""
    y, p = _checked(outcome, probability)
    return int((np.where(y == 1.0, p, 1.0 - p) < CLIP).sum())


def log_loss(outcome: FloatArray, probability: FloatArray) -> float:
    """Return the mean of :func:`log_losses`; ln 2 = 0.693 says nothing."""
    return float(log_losses(outcome, probability).mean())


def brier_losses(outcome: FloatArray, probability: FloatArray) -> FloatArray:
    """Return ``(p - y)^2`` (Brier 1950, Monthly Weather Review 78, 1-3)."""
    y, p = _checked(outcome, probability)
    return np.asarray(np.square(p - y))


def brier(outcome: FloatArray, probability: FloatArray) -> float:
    """Return the mean of :func:`brier_losses`; 0.25 says nothing."""
    return float(brier_losses(outcome, probability).mean())


def brier_skill(outcome: FloatArray, probability: FloatArray, baseline: FloatArray) -> float:
    """Return ``1 - Brier / Brier of the baseline``: 0 is the baseline, 1 perfect.

    Raises ``DataInvalid`` where the baseline is perfect.
    """
    below = brier(outcome, baseline)
    if below == 0.0:
        raise DataInvalid("The baseline makes no error.", "There is nothing to gain.", "Look at the outcome.")
    return 1.0 - brier(outcome, probability) / below


def brier_parts(outcome: FloatArray, probability: FloatArray) -> BrierParts:
    """Return the three parts of the Brier score: ``reliability - resolution + uncertainty``, exactly.

    Murphy (1973), Journal of Applied Meteorology 12, 595-600, with probabilities recalibrated by isotonic regression
    in the place of bins, whose number would decide the answer (Dimitriadis, Gneiting and Jordan 2021, PNAS 118(8)).
    """
    y, p = _checked(outcome, probability)
    distinct, place, rows = np.unique(p, return_inverse=True, return_counts=True)
    shares = np.bincount(place, y, distinct.size) / rows
    fitted = np.asarray(optimize.isotonic_regression(shares, weights=rows).x)[place]
    recalibrated = float(np.square(fitted - y).mean())
    uncertainty = float(y.mean() * (1.0 - y.mean()))
    return BrierParts(float(np.square(p - y).mean()) - recalibrated, uncertainty - recalibrated, uncertainty)


def auc(outcome: FloatArray, probability: FloatArray) -> float | None:
    """Return the chance that an up was given a higher probability than a down, ties half; None with one class.

    The Mann-Whitney statistic over the number of pairs (Hanley and McNeil 1982, Radiology 143, 29-36).
    """
    y, p = _checked(outcome, probability)
    ups = int(y.sum())
    if not 0 < ups < y.size:
        return None
    ranks = stats.rankdata(p)
    return float((ranks[y == 1.0].sum() - ups * (ups + 1) / 2.0) / (ups * (y.size - ups)))


def hits(outcome: FloatArray, probability: FloatArray, threshold: FloatArray | float = 0.5) -> FloatArray:
    """Return 1 where up was said, at the threshold or above it, and it went up, or neither; else 0."""
    y, p = _checked(outcome, probability)
    return np.asarray(((p >= threshold) == (y == 1.0)).astype(np.float64))


def calibration_bins(outcome: FloatArray, probability: FloatArray, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Return bins of like many rows, by the probability, with Wilson's 95 % interval of how often it went up.

    Equal probabilities stay in one bin, so that there may be fewer (Wilson 1927, JASA 22, 209-212).
    """
    y, p = _checked(outcome, probability)
    edges = np.unique(np.quantile(p, np.linspace(0.0, 1.0, bins + 1)))
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(edges.size - 2, 0))
    found = []
    for number in np.unique(place):
        inside = place == number
        n, observed = int(inside.sum()), float(y[inside].mean())
        low, high = _wilson(observed, n)
        high_edge = float(edges[min(number + 1, edges.size - 1)])
        mean = float(p[inside].mean())
        found.append(CalibrationBin(float(edges[number]), high_edge, n, mean, observed, low, high))
    return tuple(found)


def calibration_error(outcome: FloatArray, probability: FloatArray, bins: int = BINS) -> float:
    """Return the mean distance between forecast and observed shares over the bins, each by its rows.

    It is above zero by chance alone: read it beside :func:`chance_error`.
    """
    table = calibration_bins(outcome, probability, bins)
    return sum(b.rows * abs(b.forecast - b.observed) for b in table) / sum(b.rows for b in table)


def chance_error(outcome: FloatArray, probability: FloatArray, bins: int = BINS) -> float:
    """Return the calibration error that perfectly calibrated forecasts of these rows would show on average.

    ``sqrt(2 p (1 - p) / (pi rows))`` for each bin, the mean distance of a normal share from its own mean, by its rows;
    it takes outcomes as independent, and overlapping ones show more.
    """
    table = calibration_bins(outcome, probability, bins)
    chance = sum(b.rows * math.sqrt(2.0 * b.forecast * (1.0 - b.forecast) / (math.pi * b.rows)) for b in table)
    return chance / sum(b.rows for b in table)


def _wilson(share: float, n: int) -> tuple[float, float]:
    z = float(special.ndtri(0.975))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return middle - half, middle + half
