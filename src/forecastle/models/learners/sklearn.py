"""Learners as estimators of scikit-learn, for pipelines and searches of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from forecastle.errors import NameUnknown
from forecastle.models.learners import LEARNERS
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task
from forecastle.ports import FittedLearner

FloatArray = npt.NDArray[np.float64]


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """A learner of the registry by its name; ``settings`` are those of the learner.

    ``X`` has the shape (rows, columns), rows in the order of time, without unknown values. Only learners that look at
    one row fit this form: those of ``lstm`` and the like need the rows before.
    """

    def __init__(self, learner: str, settings: dict[str, Any] | None = None, random_state: int = 0) -> None:
        self.learner = learner
        self.settings = settings
        self.random_state = random_state

    def _fitted(self, task: Task, x: FloatArray, y: FloatArray, weights: FloatArray) -> FittedLearner:
        learner = LEARNERS.load(self.learner)(**(self.settings or {}))
        if task not in learner.tasks or learner.context or learner.columns is not None:
            usable = [n for n in LEARNERS if n not in ("lstm", "gru", "transformer", "last_sign", "last_volatility")]
            raise NameUnknown(f"learner of a {task} from one row", self.learner, usable)
        columns = tuple(f"x{i}" for i in range(x.shape[1]))
        examples = Examples(x, y, weights, np.zeros(y.size, dtype=np.int64), columns)
        found: FittedLearner = learner.fit(task, examples, None, int(self.random_state or 0))
        return found

    def _x(self, X: Any) -> FloatArray:  # noqa: N803 - the name of scikit-learn
        check_is_fitted(self, "fitted_")
        return np.asarray(validate_data(self, X, reset=False, dtype=np.float64))


class LearnerClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A learner of a direction: two classes, the second in their order is up."""

    def __init__(
        self, learner: str = "logistic", settings: dict[str, Any] | None = None, random_state: int = 0
    ) -> None:
        super().__init__(learner, settings, random_state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True  # held near the base rate
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LearnerClassifier:  # noqa: N803
        """Learn; raises ``ValueError`` for other than two classes."""
        x, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
        self.classes_, coded = np.unique(labels, return_inverse=True)
        if self.classes_.size > 2:
            raise ValueError("Only binary classification is supported. The type of the target is multiclass.")
        if self.classes_.size < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_}")
        self.fitted_ = self._fitted("direction", x, coded.astype(np.float64), weights)
        return self

    def predict_proba(self, X: Any) -> FloatArray:  # noqa: N803
        """Return the probabilities of both classes, shape (rows, 2)."""
        x = self._x(X)
        up = self.fitted_.predict(x)
        return np.column_stack([1.0 - up, up])

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the likelier class."""
        up = self.predict_proba(X)[:, 1] >= 0.5
        return self.classes_[up.astype(np.int64)]


class LearnerRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A learner of a number."""

    def __init__(self, learner: str = "ridge", settings: dict[str, Any] | None = None, random_state: int = 0) -> None:
        super().__init__(learner, settings, random_state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # held near the mean
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LearnerRegressor:  # noqa: N803
        """Learn."""
        x, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
        self.fitted_ = self._fitted("number", x, np.asarray(target, dtype=np.float64), weights)
        return self

    def predict(self, X: Any) -> FloatArray:  # noqa: N803
        """Return the numbers, shape (rows,)."""
        x = self._x(X)
        return self.fitted_.predict(x)


__all__ = ["LearnerClassifier", "LearnerRegressor"]
