"""What a model of returns learns from: features known at a close, and what came of it later.

A dataset cannot be learned from; only a :class:`Training` can, and only a fold of a dataset makes one: rows whose label
was known before the test rows began. So a scaler, a selector, a calibrator or a threshold cannot be handed more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, DataMissing
from forecastle.nouns.feature_frame import FeatureFrame
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Task = Literal["direction", "number"]
"""``direction`` has labels 1 (up) and 0 (down) and a probability as forecast; ``number`` has numbers."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What came of each row of a feature frame, all arrays of shape (rows,).

    ``values`` are the labels, NaN where a row has none: its end is not known yet, or it is left out by rule (inside a
    dead band). ``returns`` are the log returns from the row's close to the end of its label, NaN where not known.
    ``known_at`` says from when on the label is known, NaT where it never was: a row may be trained on from then on.
    ``horizon`` counts bars, the most a label looks ahead. ``unit`` is that of the values: ``up``, ``log return`` or
    ``log volatility``.
    """

    name: str
    task: Task
    horizon: int
    unit: str
    values: FloatArray
    returns: FloatArray
    known_at: Times

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.values, self.returns, self.known_at)}
        if len(shapes) != 1 or self.values.ndim != 1:
            raise DataInvalid(
                f"The arrays of the labels {self.name} have the shapes {shapes}.",
                "There is one label, one return and one moment a row.", "Make them of one feature frame.",
            )  # fmt: skip

    def __len__(self) -> int:
        return self.values.size

    @property
    def known(self) -> BoolArray:
        """Return which rows have a label."""
        return ~np.isnan(self.values)

    def rows(self, positions: IntArray) -> Labels:
        """Return the labels of some rows, in the order of ``positions``."""
        return replace(
            self, values=self.values[positions], returns=self.returns[positions], known_at=self.known_at[positions]
        )


@dataclass(frozen=True, eq=False)
class Fold:
    """Positions of rows, ascending: ``train`` to learn from and ``test`` to be forecast; they share no moment.

    ``train`` is purged: the label of each of its rows covers no time that a label of ``test`` covers.
    """

    number: int
    train: IntArray
    test: IntArray
    name: str = ""


_MADE_BY_A_FOLD = object()


class Training:
    """Rows to learn from: features, labels and weights of one fold, in the order of time.

    A label may be NaN: such a row teaches nothing and gives context to those after it. There is no public way to make
    one but :meth:`Dataset.training` and :meth:`inner`. ``runs`` numbers the contiguous stretches of rows: a window that
    slides over rows must not cross from one to the next.
    """

    def __init__(self, frame: FeatureFrame, labels: Labels, positions: IntArray, token: object) -> None:
        if token is not _MADE_BY_A_FOLD:
            raise TypeError(
                "training rows are made by Dataset.training(fold), so that nothing else can be learned from"
            )
        self.frame = frame
        self.labels = labels
        self._positions = positions

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def runs(self) -> IntArray:
        """Return the number of the contiguous stretch of each row, shape (rows,), ascending from 0."""
        return np.concatenate([[0], np.cumsum(np.diff(self._positions) != 1)]).astype(np.int64)

    @cached_property
    def weights(self) -> FloatArray:
        """Return weights for overlapping labels, shape (rows,): :func:`uniqueness` among these rows alone.

        0 for a row without a label.
        """
        found = np.zeros(len(self))
        known = self.labels.known
        found[known] = uniqueness(self.frame.known_at()[known], self.labels.known_at[known])
        return found

    @property
    def trained_until(self) -> datetime:
        """Return the last moment anything of these rows became known, labels included, UTC."""
        moment: datetime = self.labels.known_at.max().astype("datetime64[us]").item()
        return moment.replace(tzinfo=UTC)

    def inner(self, share: float) -> tuple[Training, Training]:
        """Return the earlier rows and the last ``share`` of them, those between purged by their labels.

        For early stopping, calibration and thresholds: the outer test has no part in it. Raises ``DataMissing`` where
        one of both would be empty.
        """
        later = len(self) - max(round(share * len(self)), 1)
        begins = self.frame.known_at()[later] if 0 < later < len(self) else None
        early = np.arange(later)
        if begins is not None:
            early = early[self.labels.known_at[:later] <= begins]
        known = self.labels.known
        if begins is None or not known[early].any() or not known[later:].any():
            raise DataMissing(
                f"{len(self)} training rows cannot be parted to hold the last {100 * share:g} % out.",
                f"Labels over {self.labels.horizon} bars are purged between both.",
                "Train on more rows, or forecast a shorter horizon.",
            )
        return self._part(early), self._part(np.arange(later, len(self)))

    def shuffled(self, seed: int) -> Training:
        """Return the same rows with labels dealt out at random: a control in which there is nothing to learn."""
        order = np.random.default_rng(seed).permutation(len(self))
        labels = replace(self.labels, values=self.labels.values[order], returns=self.labels.returns[order])
        return Training(self.frame, labels, self._positions, _MADE_BY_A_FOLD)

    def _part(self, places: IntArray) -> Training:
        frame = replace(self.frame, frame=self.frame.frame[places])
        return Training(frame, self.labels.rows(places), self._positions[places], _MADE_BY_A_FOLD)


def uniqueness(begins: Times, ends: Times) -> FloatArray:
    """Return the average uniqueness of labels over ``(begin, end]``, shape (labels,), within 0 to 1.

    Their sum is how many labels there are that do not overlap: the number that counts.

    Between two moments at which a label begins or ends, c labels run; the weight of a label is the mean of 1 / c over
    the stretches it covers (López de Prado 2018, Advances in Financial Machine Learning, 4.4), by cumulative sums.
    Raises ``DataInvalid`` where a label does not end after it begins.
    """
    if not (ends > begins).all():
        raise DataInvalid(
            "A label ends before it begins, or never.", "Weights are of labels that are known.", "Leave it out."
        )
    edges = np.unique(np.concatenate([begins, ends]))
    first, after = np.searchsorted(edges, begins), np.searchsorted(edges, ends)
    change = np.zeros(edges.size)
    np.add.at(change, first, 1.0)
    np.add.at(change, after, -1.0)
    running = np.cumsum(change)[:-1]
    shares = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(running, 1.0))])
    return np.asarray((shares[after] - shares[first]) / (after - first))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and labels of one series, row by row; raises ``DataInvalid`` where they are not as many."""

    frame: FeatureFrame
    labels: Labels

    def __post_init__(self) -> None:
        if len(self.frame) != len(self.labels):
            raise DataInvalid(
                f"There are {len(self.frame)} rows of features and {len(self.labels)} labels.",
                "Each row has one label, NaN where there is none.", "Make the labels of the rows of the frame.",
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self.frame)

    def training(self, fold: Fold) -> Training:
        """Return the training rows of a fold; those whose label was not known in time are left out by the split.

        Raises ``DataInvalid`` where the label of a training row covers time that a test row's label covers, or a row
        is in both: the fold was not purged; ``DataMissing`` where no row has a label.
        """
        rows = fold.train
        if not self.labels.known[rows].any():
            raise DataMissing(
                f"Fold {fold.number} has no training row with a label.", f"It has {fold.train.size} training rows.",
                "Train on more rows.",
            )  # fmt: skip
        self._refuse_overlap(rows, fold)
        frame = replace(self.frame, frame=self.frame.frame[rows])
        return Training(frame, self.labels.rows(rows), rows, _MADE_BY_A_FOLD)

    def select(self, columns: Sequence[str]) -> Dataset:
        """Return the same rows with these columns of features only."""
        return replace(self, frame=self.frame.select(columns))

    def _refuse_overlap(self, rows: IntArray, fold: Fold) -> None:
        """Compare intervals of time, each from a row's moment to that of its label."""
        if np.isnat(self.labels.known_at[rows]).any():
            raise DataInvalid(
                f"Fold {fold.number} trains on rows whose label was never known.", "There is nothing to learn from.",
                "Leave them out of the split.",
            )  # fmt: skip
        test = fold.test[self.labels.known[fold.test]]
        if not test.size:
            return
        moments = self.frame.known_at()
        begins, ends = moments[test], self.labels.known_at[test]
        # the test row that began last before a training label was known must have ended before the training row began
        last = np.searchsorted(begins, self.labels.known_at[rows], side="left") - 1
        latest = np.maximum.accumulate(ends)
        overlaps = (last >= 0) & (latest[np.maximum(last, 0)] > moments[rows])
        if overlaps.any() or np.isin(rows, fold.test).any():
            at = int(np.argmax(overlaps)) if overlaps.any() else 0
            raise DataInvalid(
                f"Fold {fold.number} trains on the row of {moments[rows][at]}, whose label a test label overlaps.",
                "What is tested must not have been seen.", "Purge the fold by the labels' known_at.",
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows as a learner sees them, prepared inside the fold.

    ``x`` has the shape (rows, columns) and no NaN, ``y`` and ``weights`` (rows,); ``runs`` numbers contiguous stretches
    as in :class:`Training`. ``y`` is NaN in rows that only give context; learners without context get no such rows.
    """

    x: FloatArray
    y: FloatArray
    weights: FloatArray
    runs: IntArray
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return self.y.size
