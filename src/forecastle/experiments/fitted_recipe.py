"""A recipe with all that was learned in one fold: it forecasts rows, says what is new to it, and is kept as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataCorrupt, DataInvalid, ForecastleError
from forecastle.experiments.novelty import Novelty
from forecastle.features import from_document
from forecastle.features.prepare import DropConstant, Fitted, FittedChain, FittedStep, ForwardFill, moment_of
from forecastle.features.select import FittedSelection
from forecastle.models.calibration import FittedCalibrator, calibrator_from_document
from forecastle.models.conformal import AdaptiveConformal
from forecastle.models.learners import learner_from_files
from forecastle.nouns import Distribution, Empirical, FeatureFrame, Fold, Training
from forecastle.nouns.dataset import Dataset, Task
from forecastle.nouns.tilted import Tilted
from forecastle.ports import FittedLearner, Learner

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
"""The probabilities of the quantiles that are kept of every regressor's forecast."""
DOCUMENT = "recipe.json"


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was forecast of the test rows of a fold, all of shape (rows,), ``quantiles`` (rows, 5).

    ``forecast`` is a probability of up or a number, NaN where none was possible; ``low`` and ``high`` bound the number,
    NaN for a direction; ``is_new`` marks rows unlike those fitted to.
    """

    rows: IntArray
    forecast: FloatArray
    low: FloatArray
    high: FloatArray
    quantiles: FloatArray
    is_new: BoolArray


@dataclass(frozen=True, eq=False)
class FittedRecipe:
    """All that was learned from the training rows of one fold.

    ``chain`` and ``selection`` prepare a frame, ``fitted`` forecasts, ``calibrator`` mends probabilities; ``threshold``
    is the probability from which on up is said. ``residuals`` are sorted quantiles of what happened to rows held out
    (see Recipe), ``scores`` their absolute residuals in order; ``ups`` and ``downs`` the returns of the training rows.
    """

    task: Task
    unit: str
    target: str
    horizon: int
    label: str
    learner: str
    columns: tuple[str, ...] | None
    learner_context: int
    fingerprint: str
    input_columns: tuple[str, ...]
    trained_until: datetime
    rows: int
    fitted: FittedLearner
    chain: Fitted | None
    selection: FittedSelection | None
    ups: FloatArray
    downs: FloatArray
    base: float
    calibrator: FittedCalibrator | None = None
    novelty: Novelty | None = None
    threshold: float = 0.5
    residuals: FloatArray = field(default_factory=lambda: np.array([]))
    scores: FloatArray = field(default_factory=lambda: np.array([]))

    @classmethod
    def bare(
        cls, training: Training, core: Training, fitted: FittedLearner, chain: Fitted | None,
        selection: FittedSelection | None, learner: Learner, frame: FeatureFrame,
    ) -> FittedRecipe:  # fmt: skip
        """Return what the learner learned, before anything is learned from the rows held out."""
        from forecastle.experiments.recipe import spread_of

        labels = training.labels
        known = labels.known & np.isfinite(labels.returns)
        returns, values = labels.returns[known], labels.values[labels.known]
        return cls(
            labels.task, labels.unit, labels.name, labels.horizon, learner.label, type(learner).__name__,
            learner.columns, learner.context, training.frame.fingerprint, training.frame.columns,
            training.trained_until, len(core), fitted, chain, selection, spread_of(returns[returns > 0.0]),
            spread_of(returns[returns < 0.0]), float(values.mean()),
        )  # fmt: skip

    def prepared(self, frame: FeatureFrame) -> FeatureFrame:
        """Return a frame as the learner looks at it; raises ``DataInvalid`` where it is of another kind."""
        from forecastle.experiments.recipe import transformed

        if frame.fingerprint != self.fingerprint:
            raise DataInvalid(
                f"{self.label} was not trained on features such as these of {frame.instrument} {frame.timeframe}.",
                "Their series, definitions or columns are others: the fingerprints differ.",
                "Build the features with the definitions of the training, or train anew.",
            )
        return transformed(frame, self.chain, self.selection, self.columns)

    def prepared_values(self, frame: FeatureFrame) -> FloatArray:
        """Return the values of :meth:`prepared`, to the bit, without a frame after every step: one row in milliseconds.

        The caller has compared the fingerprints.
        """
        if self.columns is not None:
            return frame.values(self.columns)
        values = frame.values()
        for part in self.chain.parts if isinstance(self.chain, FittedChain) else ():
            if not isinstance(part, FittedStep) or isinstance(part.step, ForwardFill):
                return self.prepared(frame).values()
            if isinstance(part.step, DropConstant):
                values = values[:, part.step._varies(part.parameters)]
            else:
                values = part.step._apply(values, part.parameters)
        if self.selection is None:
            return np.ascontiguousarray(values)
        place = {name: i for i, name in enumerate(self.selection.seen)}
        return np.ascontiguousarray(values[:, [place[name] for name in self.selection.columns]])

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts of prepared rows after the first ``lead``, calibrated, shape (rows,)."""
        raw = self.fitted.predict(x, lead)
        return raw if self.calibrator is None else np.asarray(self.calibrator.transform(raw))

    def test(self, dataset: Dataset, fold: Fold, level: float, gamma: float) -> Predictions:
        """Forecast the test rows of a fold; intervals adapt to outcomes as these become known.

        Rows before a contiguous stretch give context to its first ones: features that were known then.
        """
        rows = fold.test
        frame = self.prepared(dataset.frame).values()
        forecast = np.full(rows.size, np.nan)
        quantiles = np.full((rows.size, LEVELS.size), np.nan)
        new = np.zeros(rows.size, dtype=np.bool_)
        for part in np.split(np.arange(rows.size), np.flatnonzero(np.diff(rows) != 1) + 1):
            first = int(rows[part[0]])
            lead = min(self.learner_context, first)
            x = frame[first - lead : int(rows[part[-1]]) + 1]
            forecast[part] = self.predict(x, lead)
            quantiles[part] = self._quantiles(x, lead, forecast[part])
            if self.novelty is not None:
                new[part] = self.novelty.is_new(x[lead:])
        low, high = np.full(rows.size, np.nan), np.full(rows.size, np.nan)
        if self.task == "number" and self.scores.size:
            labels, known = dataset.labels.rows(rows), np.isfinite(forecast)
            path = AdaptiveConformal(level, gamma).walk(
                forecast[known], labels.values[known], dataset.frame.known_at()[rows][known], labels.known_at[known],
                self.scores,
            )  # fmt: skip
            low[known], high[known] = path.low, path.high
        return Predictions(rows, forecast, low, high, quantiles, new)

    def _quantiles(self, x: FloatArray, lead: int, forecast: FloatArray) -> FloatArray:
        if self.task == "direction":
            return np.full((forecast.size, LEVELS.size), np.nan)
        own = self.fitted.quantiles(x, LEVELS, lead)
        if own is not None:
            return own
        if not self.residuals.size:
            return np.full((forecast.size, LEVELS.size), np.nan)
        if self.unit == "log volatility":  # residuals are returns in units of the forecast, not of its logarithm
            return np.full((forecast.size, LEVELS.size), np.nan)
        return np.asarray(forecast[:, None] + np.quantile(self.residuals, LEVELS)[None, :])

    def distribution(self, forecast: float) -> Distribution:
        """Return the distribution of the log return over the horizon that a forecast stands for.

        A probability weighs the ups and downs of the training rows; a log return moves the residuals of rows held out;
        a log volatility scales returns of these. Raises ``DataInvalid`` where there are none.
        """
        if self.task == "direction" and self.ups.size and self.downs.size:
            return Tilted.of(forecast, self.ups, self.downs)
        if self.residuals.size < 2:
            raise DataInvalid(
                f"{self.label} kept no outcomes to make a distribution of.", "Too few rows were held out.",
                "Train on more rows.",
            )  # fmt: skip
        sample = self.residuals * np.exp(forecast) if self.unit == "log volatility" else forecast + self.residuals
        return Empirical.of(np.asarray(sample))

    def files(self) -> dict[str, bytes]:
        """Return all of it as files by name: the learner's own, and ``recipe.json``."""
        document = {
            "task": self.task, "unit": self.unit, "target": self.target, "horizon": self.horizon, "label": self.label,
            "learner": self.learner, "columns": None if self.columns is None else list(self.columns),
            "context": self.learner_context, "fingerprint": self.fingerprint, "input": list(self.input_columns),
            "trained_until": self.trained_until.isoformat(), "rows": self.rows,
            "chain": None if self.chain is None else self.chain.document(),
            "selection": None if self.selection is None else self.selection.document(),
            "calibrator": None if self.calibrator is None else self.calibrator.document(),
            "novelty": None if self.novelty is None else self.novelty.document(), "threshold": self.threshold,
            "base": self.base, "ups": self.ups.tolist(), "downs": self.downs.tolist(),
            "residuals": self.residuals.tolist(), "scores": self.scores.tolist(),
        }  # fmt: skip
        return {DOCUMENT: json.dumps(document, allow_nan=False).encode(), **self.fitted.files()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedRecipe:
        """Return the recipe of files that were read and proven; raises ``DataCorrupt`` where they do not fit."""
        try:
            return cls._read(json.loads(files[DOCUMENT]), {k: v for k, v in files.items() if k != DOCUMENT})
        except ForecastleError as error:
            if isinstance(error, DataCorrupt):
                raise
            raise _corrupt(error.what) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _corrupt(f"{type(error).__name__}: {error}") from error

    @classmethod
    def _read(cls, told: Mapping[str, Any], files: Mapping[str, bytes]) -> FittedRecipe:
        def part(name: str, read: Any) -> Any:
            return None if told[name] is None else read(told[name])

        return cls(
            told["task"], told["unit"], told["target"], int(told["horizon"]), told["label"], told["learner"],
            part("columns", tuple), int(told["context"]), told["fingerprint"], tuple(told["input"]),
            moment_of(told["trained_until"]), int(told["rows"]), learner_from_files(files),
            part("chain", from_document), part("selection", FittedSelection.from_document), np.array(told["ups"]),
            np.array(told["downs"]), float(told["base"]), part("calibrator", calibrator_from_document),
            part("novelty", Novelty.from_document), float(told["threshold"]), np.array(told["residuals"]),
            np.array(told["scores"]),
        )  # fmt: skip


def _corrupt(why: str) -> DataCorrupt:
    return DataCorrupt(
        "The files of a model do not fit together.", f"{why.rstrip('.')}.", "Take them from a backup, or train anew."
    )
