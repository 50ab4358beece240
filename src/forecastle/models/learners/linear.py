"""Linear learners, held near zero: logistic regression and ridge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import RequestInvalid
from forecastle.models.learners._base import FittedTabular, Tabular, filled, known_rows, refuse_few, shares
from forecastle.models.learners._document import FILE, document_file, document_of, reading, vector
from forecastle.models.learners.naive import DIRECTION, NUMBER
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Logistic(Tabular):
    """Logistic regression with a penalty of ``strength / 2 |b|^2`` per unit of weight of the rows.

    It minimises ``mean log loss + strength / 2 |b|^2`` over weighted rows; the constant is not held. So one strength
    means the same whatever the number of rows: large ones suit daily data, whose columns say little.
    """

    strength: float = 0.1
    label: ClassVar[str] = "Logistic regression"
    tasks: ClassVar[frozenset[Task]] = DIRECTION
    units: ClassVar[frozenset[str]] = frozenset({"up"})

    def __post_init__(self) -> None:
        _refuse(self.strength)

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedLinear:
        """Learn by Newton's method (lbfgs of scikit-learn)."""
        from sklearn.linear_model import LogisticRegression

        refuse_few(self.label, task, train)
        cost = 1.0 / (self.strength * float(train.weights.sum()))
        model = LogisticRegression(C=cost, solver="newton-cholesky", tol=1e-8, max_iter=200)
        model.fit(train.x, train.y, train.weights)
        return FittedLinear(
            task, train.columns, np.asarray(model.coef_[0]), float(model.intercept_[0]), train.x.std(axis=0)
        )


@dataclass(frozen=True)
class RidgeRegression(Tabular):
    """Least squares with a penalty: it minimises ``mean (y - a - x b)^2 + strength var(x) |b|^2`` over weighted rows.

    The penalty is in units of the mean variance of the columns, the constant is not held.
    """

    strength: float = 1.0
    label: ClassVar[str] = "Ridge"
    tasks: ClassVar[frozenset[Task]] = NUMBER
    units: ClassVar[frozenset[str]] = frozenset({"log return", "log volatility"})

    def __post_init__(self) -> None:
        _refuse(self.strength)

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedLinear:
        """Learn from the normal equations."""
        refuse_few(self.label, task, train)
        w = train.weights / train.weights.sum()
        middle, level = w @ train.x, float(w @ train.y)
        x = train.x - middle
        square = x.T @ (w[:, None] * x)
        held = self.strength * max(float(np.trace(square)) / max(square.shape[0], 1), 1e-300)
        b = np.linalg.solve(square + held * np.eye(square.shape[0]), x.T @ (w * (train.y - level)))
        return FittedLinear(task, train.columns, b, level - float(middle @ b), train.x.std(axis=0))


@dataclass(frozen=True, eq=False)
class FittedLinear(FittedTabular):
    """``a + x b``, through the logistic function for a direction; ``spread`` are the training deviations of columns."""

    task: Task
    columns: tuple[str, ...]
    coefficients: FloatArray
    constant: float
    spread: FloatArray = field(default_factory=lambda: np.array([]))

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts; NaN where a column is not known."""
        # row by row with one order of sums: a row alone has the bits it has among others
        score = np.einsum("ij,j->i", filled(x, lead), self.coefficients) + self.constant
        return known_rows(x, lead, np.asarray(special.expit(score) if self.task == "direction" else score))

    def importance(self) -> Mapping[str, float]:
        """Return ``|b|`` in units of the columns' deviations, as shares."""
        return shares(self.columns, np.abs(self.coefficients) * self.spread)

    def files(self) -> dict[str, bytes]:
        """Return its one file."""
        told = {
            "kind": "linear", "task": self.task, "columns": list(self.columns), "constant": self.constant,
            "coefficients": self.coefficients.tolist(), "spread": self.spread.tolist(),
        }  # fmt: skip
        return {FILE: document_file(told)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedLinear:
        """Return the learner of its files; raises ``DataCorrupt``."""
        told = document_of(files)

        def read() -> FittedLinear:
            if told["task"] not in ("direction", "number"):
                raise ValueError("a task nobody knows")
            columns = tuple(map(str, told["columns"]))
            coefficients, spread = (vector(told[name], len(columns)) for name in ("coefficients", "spread"))
            return cls(told["task"], columns, coefficients, float(vector([told["constant"]])[0]), spread)

        return reading(read)


def _refuse(strength: float) -> None:
    if not 0.0 < strength < np.inf:
        raise RequestInvalid(f"strength is {strength}.", "A penalty is finite and above zero.", "Choose 0.1.")
