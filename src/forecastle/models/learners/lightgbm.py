"""Gradient-boosted trees of LightGBM, kept as its text; of a number also their quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.models.learners._base import FittedTabular, Tabular, filled, known_rows, library, refuse_few, shares
from forecastle.models.learners._document import FILE, corrupt, document_file, document_of, reading, vector
from forecastle.models.learners.naive import NUMBER
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
HEADS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The probabilities of the quantile heads."""


@dataclass(frozen=True)
class LightGBM(Tabular):
    """Boosting with early stopping on rows that were held out (Ke et al. 2017, NeurIPS 30).

    Without such rows all ``rounds`` are grown.
    """

    rounds: int = 300
    rate: float = 0.02
    leaves: int = 7
    penalty: float = 10.0
    leaf: int = 50
    rows: float = 0.7
    columns_share: float = 0.5
    patience: int = 30
    label: ClassVar[str] = "LightGBM"
    scaled: ClassVar[bool] = False

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedLightGBM:
        """Grow trees until the loss on ``validate`` has not fallen for ``patience`` rounds; the best are kept."""
        refuse_few(self.label, task, train)
        moved, scale = _units(task, train)
        objective = {"objective": "binary" if task == "direction" else "regression"}
        grown = self._grown(objective, train, validate, seed, moved, scale)
        return FittedLightGBM(task, train.columns, (grown,), moved, scale)

    def _grown(
        self, objective: Mapping[str, Any], train: Examples, validate: Examples | None, seed: int, moved: float,
        scale: float,
    ) -> bytes:  # fmt: skip
        lgb = library("lightgbm", self.label, "boost")
        settings = {
            **objective, "learning_rate": self.rate, "num_leaves": self.leaves, "lambda_l2": self.penalty,
            "min_data_in_leaf": max(1, min(self.leaf, len(train) // 8)), "bagging_fraction": self.rows,
            "bagging_freq": 1, "feature_fraction": self.columns_share, "max_bin": 63, "seed": seed, "num_threads": 1,
            "deterministic": True, "force_row_wise": True, "verbose": -1,
        }  # fmt: skip
        made = lgb.Dataset(train.x, (train.y - moved) / scale, weight=train.weights)
        held = validate is not None and len(validate) > 0
        sets = [lgb.Dataset(validate.x, (validate.y - moved) / scale, weight=validate.weights, reference=made)] \
            if held and validate is not None else []  # fmt: skip
        stop = [lgb.early_stopping(self.patience, verbose=False)] if held else []
        booster = lgb.train(settings, made, self.rounds, valid_sets=sets, callbacks=stop)
        text: str = booster.model_to_string(num_iteration=booster.best_iteration if held else -1)
        return text.encode()


@dataclass(frozen=True)
class LightGBMQuantile(LightGBM):
    """A boosted quantile at 5, 25, 50, 75 and 95 %; the forecast is the median, heads that cross are sorted."""

    label: ClassVar[str] = "LightGBM quantiles"
    tasks: ClassVar[frozenset[Task]] = NUMBER
    units: ClassVar[frozenset[str]] = frozenset({"log return", "log volatility"})

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedLightGBM:
        """Grow trees for each quantile by its pinball loss."""
        refuse_few(self.label, task, train)
        moved, scale = _units(task, train)
        grown = tuple(
            self._grown({"objective": "quantile", "alpha": q}, train, validate, seed, moved, scale) for q in HEADS
        )
        return FittedLightGBM(task, train.columns, grown, moved, scale)


@dataclass(frozen=True, eq=False)
class FittedLightGBM(FittedTabular):
    """Trees as LightGBM's text, one set or one for each of ``HEADS``; a number is ``moved + scale`` times theirs."""

    task: Task
    columns: tuple[str, ...]
    models: tuple[bytes, ...] = field(repr=False)
    moved: float = 0.0
    scale: float = 1.0

    @cached_property
    def _boosters(self) -> list[Any]:
        lgb = library("lightgbm", "LightGBM", "boost")
        try:
            return [lgb.Booster(model_str=model.decode()) for model in self.models]
        except (lgb.basic.LightGBMError, UnicodeDecodeError) as error:
            raise corrupt(f"{_name(0)}: {error}") from error

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts, of heads the median; NaN where a column is not known."""
        table = self._table(x, lead)
        return np.asarray(table[:, table.shape[1] // 2])

    def quantiles(self, x: FloatArray, levels: FloatArray, lead: int = 0) -> FloatArray | None:
        """Return its quantiles, linear between the heads and level beyond them; None where it has no heads."""
        if len(self.models) == 1:
            return None
        table = self._table(x, lead)
        return np.stack([np.interp(levels, HEADS, row) for row in table]) if table.shape[0] else table

    def _table(self, x: FloatArray, lead: int) -> FloatArray:
        rows = filled(x, lead)
        if not rows.shape[0]:
            return np.zeros((0, len(self.models)))
        found = np.sort([b.predict(rows, num_threads=1) for b in self._boosters], axis=0)
        found = found if self.task == "direction" else self.moved + self.scale * found
        return np.column_stack([known_rows(x, lead, column) for column in found])

    def importance(self) -> Mapping[str, float]:
        """Return the gain of the splits on each column, over all heads, as shares."""
        return shares(self.columns, np.sum([b.feature_importance("gain") for b in self._boosters], axis=0))

    def files(self) -> dict[str, bytes]:
        """Return the document and the trees."""
        told = {"kind": "lightgbm", "task": self.task, "columns": list(self.columns), "moved": self.moved,
                "scale": self.scale, "models": len(self.models)}  # fmt: skip
        return {FILE: document_file(told), **{_name(i): model for i, model in enumerate(self.models)}}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedLightGBM:
        """Return the learner of its files; raises ``DataCorrupt``."""
        told = document_of(files)

        def read() -> FittedLightGBM:
            if told["task"] not in ("direction", "number") or told["models"] not in (1, len(HEADS)):
                raise ValueError("a task or a number of models nobody knows")
            columns = tuple(map(str, told["columns"]))
            moved, scale = vector([told["moved"], told["scale"]])
            models = tuple(files[_name(i)] for i in range(told["models"]))
            found = cls(told["task"], columns, models, float(moved), float(scale))
            if any(b.num_feature() != len(columns) for b in found._boosters):
                raise ValueError(f"the trees do not look at the {len(columns)} columns that are named")
            return found

        return reading(read)


def _units(task: Task, train: Examples) -> tuple[float, float]:
    """Return what numbers are moved and scaled by: returns are far from one, and a leaf's penalty is not."""
    if task == "direction":
        return 0.0, 1.0
    return float(np.average(train.y, weights=train.weights)), max(float(train.y.std()), 1e-300)


def _name(number: int) -> str:
    return f"model-{number}.txt"
