"""What happens inside a fold, in one order for every learner: prepare, select, fit, calibrate; nothing sees the test.

A :class:`Recipe` is settings only. Its ``fit`` takes :class:`~forecastle.nouns.dataset.Training`, which only a fold can
make; so no scaler, selector, calibrator or threshold is ever handed more than the training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.experiments.fitted_recipe import LEVELS, FittedRecipe
from forecastle.experiments.novelty import Novelty
from forecastle.features import Chain, ClassTarget, Impute, MinMaxScale, NumberTarget, RobustScale, Standardise
from forecastle.features.prepare import ColumnStep, DropConstant, Fitted
from forecastle.features.select import FittedSelection, Selection
from forecastle.models.calibration import CALIBRATORS, FittedCalibrator, Platt
from forecastle.nouns import Examples, FeatureFrame, Labels, Training
from forecastle.ports import FittedLearner, Learner

FloatArray = npt.NDArray[np.float64]
Calibrate = Literal["platt", "isotonic", "beta", "none"]
_SCALERS = (Standardise, RobustScale, MinMaxScale)
SIZES = 199
"""Quantiles that are kept of past returns and residuals: what a forecast's distribution is made of."""
PRIOR = (0.25, 0.5)
"""How far calibration may move the base rate in log odds, and the slope from 0, before the rows say so: one standard
deviation each. Round numbers, not tuned: with 400 rows that count they hardly hold, with 20 nearly fast."""
LEAST_OUTSIDE = 30
"""Rows held out that a calibrator, a threshold or residuals need; with fewer they are left out, and that is told."""


@dataclass(frozen=True)
class Recipe:
    """All settings of what is fitted in a fold: a learner and what is done before and after it.

    Of ``prepare`` the scalers are left out for learners that want no scale. ``held_out`` is the last share of the
    training rows that the learner does not see: early stopping, calibration, intervals and the threshold are of these.
    """

    learner: Learner
    prepare: tuple[ColumnStep, ...] = ()
    select: Selection | None = None
    calibrate: Calibrate = "platt"
    held_out: float = 0.2
    weights: Literal["uniqueness", "equal"] = "uniqueness"
    seed: int = 0

    def fit(self, training: Training, parents: Sequence[Training] = ()) -> FittedRecipe:
        """Fit all of it to the training rows of one fold.

        With ``parents``, training rows of other instruments known by then, a parent is learned from all of these
        together and gone on with on these rows, slower: for learners that have ``fine_tune``.

        Raises ``DataMissing`` or ``DataInvalid`` where they are too few, of one class or without a column that varies.
        """
        _refuse_one_class(training.labels, self.learner.label)
        inner = None if self.learner.naive else training.inner(self.held_out)
        core = training if inner is None else inner[0]
        outside = None if inner is None else inner[1]
        chain, selection = self._prepared(core)
        frame = transformed(core.frame, chain, selection, self.learner.columns)
        examples = self._examples(core, frame)
        later = None if outside is None else transformed(outside.frame, chain, selection, self.learner.columns)
        validate = None if outside is None or later is None else self._examples(outside, later)
        fitted = self._learned(examples, validate, training, parents)
        naked = FittedRecipe.bare(training, core, fitted, chain, selection, self.learner, frame)
        if outside is None or later is None:
            return replace(naked, residuals=_residuals(naked, core.labels, fitted.predict(frame.values())))
        return self._judged_outside(naked, outside, frame, later)

    def _learned(
        self, examples: Examples, validate: Examples | None, training: Training, parents: Sequence[Training]
    ) -> FittedLearner:
        task = training.labels.task
        if not parents:
            return self.learner.fit(task, examples, validate, self.seed)
        tuned: Any = self.learner
        if not hasattr(tuned, "fine_tune"):
            raise RequestInvalid(
                f"{self.learner.label} cannot go on from a parent.", "Sequence models can: lstm, gru, transformer.",
                "Leave it out of parents.learners.",
            )  # fmt: skip
        parts = [self._of_parent(one, examples.columns) for one in parents]
        parent = tuned.fit(task, pooled([p[0] for p in parts]), pooled([p[1] for p in parts]), self.seed)
        found: FittedLearner = tuned.fine_tune(parent, examples, validate, self.seed)
        return found

    def _of_parent(self, training: Training, columns: tuple[str, ...]) -> tuple[Examples, Examples]:
        """Return the rows of another instrument, scaled by its own training rows; what it does not have is zero."""
        core, outside = training.inner(self.held_out)
        chain = Chain(tuple(s for s in self.prepare if not isinstance(s, DropConstant))).fit(core.frame)
        both = []
        for part in (core, outside):
            frame = chain.transform(part.frame).select(columns)
            both.append(self._examples(part, replace(frame, frame=frame.frame.fill_null(0.0))))
        return both[0], both[1]

    def _examples(self, training: Training, frame: FeatureFrame) -> Examples:
        """Return rows for the learner: those without a label only where it looks at the rows before a row.

        What is not prepared may hold unknown values: such rows are left out.
        """
        labels, runs, values = training.labels, training.runs, frame.values()
        keep = np.ones(len(labels), dtype=np.bool_) if self.learner.context else labels.known
        if self.learner.columns is not None:
            keep = keep & np.isfinite(values).all(axis=1)
        return Examples(values[keep], labels.values[keep], self._weights(training)[keep], runs[keep], frame.columns)

    def _weights(self, training: Training) -> FloatArray:
        """Return weights that are 1 on average over the rows with a label: the strength of a penalty stays."""
        if self.weights == "equal":
            return np.ones(len(training))
        return np.asarray(training.weights / training.weights[training.labels.known].mean())

    def _prepared(self, core: Training) -> tuple[Fitted | None, FittedSelection | None]:
        if self.learner.columns is not None:
            return None, None
        steps = [s for s in self.prepare if self.learner.scaled or not isinstance(s, _SCALERS)]
        if not any(isinstance(s, Impute) for s in steps):
            steps.append(Impute("median"))
        chain = Chain((DropConstant(), *steps)).fit(core.frame)
        if self.select is None:
            return chain, None
        kind = ClassTarget if core.labels.task == "direction" else NumberTarget
        return chain, self.select.fit(chain.transform(core.frame), kind(core.labels.values))

    def _judged_outside(
        self, naked: FittedRecipe, outside: Training, frame: FeatureFrame, later: FeatureFrame
    ) -> FittedRecipe:
        """Learn from rows that the learner was not fitted to: calibration, threshold, intervals, what is new."""
        lead = min(naked.learner_context, len(frame))
        x = np.vstack([frame.values()[len(frame) - lead :], later.values()])
        raw = naked.fitted.predict(x, lead)
        known = outside.labels.known & np.isfinite(raw)
        novelty = Novelty.of(frame.values(), later.values())
        naked = replace(naked, novelty=novelty)
        if known.sum() < LEAST_OUTSIDE:
            return replace(naked, residuals=_residuals(naked, outside.labels, raw))
        if naked.task == "number":
            return replace(naked, residuals=_residuals(naked, outside.labels, raw), scores=_scores(outside.labels, raw))
        labels = outside.labels
        calibrator: FittedCalibrator | None = None
        if self.calibrate != "none" and np.unique(labels.values[known]).size == 2:
            calibrator = self._calibrator(raw[known], labels.values[known], outside.weights[known], naked.base)
        probability = raw if calibrator is None else calibrator.transform(raw)
        return replace(naked, calibrator=calibrator, threshold=_threshold(probability[known], labels.values[known]))

    def _calibrator(self, raw: FloatArray, outcome: FloatArray, weights: FloatArray, base: float) -> FittedCalibrator:
        if self.calibrate == "platt":
            return Platt(*PRIOR).fit(raw, outcome, weights, base)
        return CALIBRATORS[self.calibrate]().fit(raw, outcome, weights)


def pooled(parts: Sequence[Examples]) -> Examples:
    """Return the rows of several instruments one after the other; their runs stay apart."""
    runs, after = [], 0
    for part in parts:
        runs.append(part.runs + after)
        after = int(runs[-1].max()) + 1
    x, y, w = (np.concatenate([getattr(p, name) for p in parts]) for name in ("x", "y", "weights"))
    return Examples(x, y, w, np.concatenate(runs), parts[0].columns)


def transformed(
    frame: FeatureFrame, chain: Fitted | None, selection: FittedSelection | None, columns: tuple[str, ...] | None
) -> FeatureFrame:
    """Return the columns a learner looks at, prepared by what was fitted in the fold."""
    if columns is not None:
        return frame.select(columns)
    found = frame if chain is None else chain.transform(frame)
    return found if selection is None else selection.transform(found)


def _refuse_one_class(labels: Labels, label: str) -> None:
    seen = labels.values[labels.known]
    if labels.task == "direction" and np.unique(seen).size < 2:
        raise DataInvalid(
            f"All {seen.size} training labels of {labels.name} are {'up' if seen.mean() > 0.5 else 'down'}.",
            f"{label} cannot learn a direction from one class.", "Train on more rows, or on another target.",
        )  # fmt: skip


def _residuals(naked: FittedRecipe, labels: Labels, predicted: FloatArray) -> FloatArray:
    """Return quantiles of what a forecast's distribution is made of, sorted, shape (<= 199,).

    Of a log return the residuals; of a log volatility the returns in units of the forecast; of a direction nothing:
    there it is the ups and downs of the training rows.
    """
    if naked.task == "direction":
        return np.array([])
    known = np.isfinite(predicted) & np.isfinite(labels.returns) & labels.known
    if naked.unit == "log volatility":
        sample = labels.returns[known] / np.exp(predicted[known])
    else:
        sample = labels.values[known] - predicted[known]
    return spread_of(sample)


def spread_of(sample: FloatArray) -> FloatArray:
    """Return up to 199 quantiles of a sample, sorted: of a smaller one itself."""
    ordered = np.sort(sample)
    if ordered.size <= SIZES:
        return ordered
    return np.asarray(np.quantile(ordered, (np.arange(SIZES) + 0.5) / SIZES, method="inverted_cdf"))


def _scores(labels: Labels, predicted: FloatArray) -> FloatArray:
    """Return absolute residuals in the order of time: what conformal intervals start from, shape (rows,)."""
    known = labels.known & np.isfinite(predicted)
    return np.asarray(np.abs(labels.values[known] - predicted[known]))


def _threshold(probability: FloatArray, outcome: FloatArray) -> float:
    """Return the probability from which on up is said: the highest balanced accuracy among rows held out.

    Of equally good ones the one nearest to the median forecast (Youden 1950, Cancer 3, 32-35).
    """
    ups, downs = outcome == 1.0, outcome == 0.0
    middle = float(np.median(probability))
    if not ups.any() or not downs.any():
        return middle
    tried = np.unique(np.quantile(probability, np.linspace(0.05, 0.95, 91)))
    said = probability[None, :] >= tried[:, None]
    gain = said[:, ups].mean(axis=1) - said[:, downs].mean(axis=1)
    best = tried[gain >= gain.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - middle))])


__all__ = ["LEVELS", "Calibrate", "Recipe", "spread_of", "transformed"]
