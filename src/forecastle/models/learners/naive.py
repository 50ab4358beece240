"""The forecasts that others have to beat: what was usual, what was last, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.models.learners._base import FittedTabular, Tabular, refuse_few
from forecastle.models.learners._document import FILE, document_file, document_of, reading, vector
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
DIRECTION: frozenset[Task] = frozenset({"direction"})
NUMBER: frozenset[Task] = frozenset({"number"})
FORMS = ("constant", "sign", "log")


@dataclass(frozen=True)
class BaseRate(Tabular):
    """The weighted share of ups among the training rows, whatever the features say."""

    label: ClassVar[str] = "Base rate"
    tasks: ClassVar[frozenset[Task]] = DIRECTION
    units: ClassVar[frozenset[str]] = frozenset({"up"})
    naive: ClassVar[bool] = True

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedNaive:
        """Learn the share of ups."""
        refuse_few(self.label, task, train)
        return FittedNaive(task, "constant", np.array([np.average(train.y, weights=train.weights)]))


@dataclass(frozen=True)
class LastSign(Tabular):
    """The weighted share of ups after a bar that rose, and after one that did not, with one row of each added."""

    label: ClassVar[str] = "Last sign"
    tasks: ClassVar[frozenset[Task]] = DIRECTION
    units: ClassVar[frozenset[str]] = frozenset({"up"})
    naive: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...] | None] = ("log_return_1",)

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedNaive:
        """Learn both shares; the added rows are of the base rate."""
        refuse_few(self.label, task, train)
        rose, base = train.x[:, 0] > 0.0, float(np.average(train.y, weights=train.weights))
        found = [(train.weights[r] @ train.y[r] + base) / (train.weights[r].sum() + 1.0) for r in (~rose, rose)]
        return FittedNaive(task, "sign", np.array(found))


@dataclass(frozen=True)
class RandomWalkReturn(Tabular):
    """No return at all: prices as they are."""

    label: ClassVar[str] = "Random walk"
    tasks: ClassVar[frozenset[Task]] = NUMBER
    units: ClassVar[frozenset[str]] = frozenset({"log return"})
    naive: ClassVar[bool] = True

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedNaive:
        """Learn nothing."""
        refuse_few(self.label, task, train)
        return FittedNaive(task, "constant", np.array([0.0]))


@dataclass(frozen=True)
class HistoricalMean(Tabular):
    """The weighted mean of the training labels."""

    label: ClassVar[str] = "Historical mean"
    tasks: ClassVar[frozenset[Task]] = NUMBER
    units: ClassVar[frozenset[str]] = frozenset({"log return", "log volatility"})
    naive: ClassVar[bool] = True

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedNaive:
        """Learn the mean."""
        refuse_few(self.label, task, train)
        return FittedNaive(task, "constant", np.array([np.average(train.y, weights=train.weights)]))


@dataclass(frozen=True)
class LastVolatility(Tabular):
    """Volatility as it was: the log of the realised volatility of 20 bars, moved by its mean distance in training."""

    label: ClassVar[str] = "Last volatility"
    tasks: ClassVar[frozenset[Task]] = NUMBER
    units: ClassVar[frozenset[str]] = frozenset({"log volatility"})
    naive: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...] | None] = ("realized_volatility_20",)

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedNaive:
        """Learn the distance."""
        refuse_few(self.label, task, train)
        moved = train.y - _logs(train.x[:, 0])
        return FittedNaive(task, "log", np.array([np.average(moved, weights=train.weights)]))


@dataclass(frozen=True, eq=False)
class FittedNaive(FittedTabular):
    """``constant``: one value; ``sign``: one after a fall, one after a rise; ``log``: a distance to the log column."""

    task: Task
    form: str
    values: FloatArray = field(default_factory=lambda: np.array([0.5]))

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts; NaN where the column it looks at is not known."""
        rows = x[lead:]
        if self.form == "constant":
            return np.full(rows.shape[0], self.values[0])
        known = np.isfinite(rows[:, 0])
        if self.form == "sign":
            return np.where(known, self.values[(rows[:, 0] > 0.0).astype(np.int64)], np.nan)
        return np.where(known, _logs(np.where(known, rows[:, 0], 1.0)) + self.values[0], np.nan)

    def files(self) -> dict[str, bytes]:
        """Return its one file."""
        told = {"kind": "naive", "task": self.task, "form": self.form, "values": self.values.tolist()}
        return {FILE: document_file(told)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedNaive:
        """Return the learner of its files; raises ``DataCorrupt``."""
        told = document_of(files)

        def read() -> FittedNaive:
            if told["task"] not in ("direction", "number") or told["form"] not in FORMS:
                raise ValueError("a task or form nobody knows")
            return cls(told["task"], told["form"], vector(told["values"], 2 if told["form"] == "sign" else 1))

        return reading(read)


def _logs(volatility: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(volatility, 1e-6)))
