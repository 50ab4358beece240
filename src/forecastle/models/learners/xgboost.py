"""Gradient-boosted trees of XGBoost, kept as its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.models.learners._base import FittedTabular, Tabular, filled, known_rows, library, refuse_few, shares
from forecastle.models.learners._document import FILE, corrupt, document_file, document_of, reading
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
MODEL = "model.json"


@dataclass(frozen=True)
class XGBoost(Tabular):
    """Boosting with early stopping on rows that were held out (Chen and Guestrin 2016, KDD 22).

    Without such rows all ``rounds`` are grown. Shallow trees, a slow rate and a heavy penalty: daily data say little.
    """

    rounds: int = 300
    rate: float = 0.02
    depth: int = 3
    penalty: float = 10.0
    leaf_weight: float = 20.0
    rows: float = 0.7
    columns_share: float = 0.5
    patience: int = 30
    label: ClassVar[str] = "XGBoost"
    scaled: ClassVar[bool] = False

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedXGBoost:
        """Grow trees until the loss on ``validate`` has not fallen for ``patience`` rounds; the best are kept."""
        xgb = library("xgboost", self.label, "boost")
        refuse_few(self.label, task, train)
        level = float(np.average(train.y, weights=train.weights))
        settings = {
            "objective": "binary:logistic" if task == "direction" else "reg:squarederror", "eta": self.rate,
            "max_depth": self.depth, "lambda": self.penalty, "subsample": self.rows, "seed": seed, "nthread": 1,
            "colsample_bytree": self.columns_share, "tree_method": "hist", "verbosity": 0, "max_bin": 64,
            # the hessian of a probability is a quarter of a row's weight at most
            "min_child_weight": self.leaf_weight * (0.25 if task == "direction" else 1.0),
            "base_score": level if task == "direction" else 0.0,
            "eval_metric": "logloss" if task == "direction" else "rmse",
        }  # fmt: skip
        # numbers such as returns are far from one: boosted in units of their deviation, around their mean
        scale = 1.0 if task == "direction" else max(float(train.y.std()), 1e-300)
        moved = 0.0 if task == "direction" else level
        made = xgb.DMatrix(train.x, (train.y - moved) / scale, weight=train.weights, nthread=1)
        if validate is None or not len(validate):
            booster = xgb.train(settings, made, self.rounds)
        else:
            held = xgb.DMatrix(validate.x, (validate.y - moved) / scale, weight=validate.weights, nthread=1)
            booster = xgb.train(settings, made, self.rounds, evals=[(held, "held_out")], verbose_eval=False,
                                early_stopping_rounds=self.patience)  # fmt: skip
            booster = booster[: booster.best_iteration + 1]
        return FittedXGBoost(task, train.columns, bytes(booster.save_raw("json")), moved, scale)


@dataclass(frozen=True, eq=False)
class FittedXGBoost(FittedTabular):
    """Trees as XGBoost's JSON; a number is ``moved + scale`` times what they say."""

    task: Task
    columns: tuple[str, ...]
    model: bytes = field(repr=False)
    moved: float = 0.0
    scale: float = 1.0

    @cached_property
    def _booster(self) -> Any:
        xgb = library("xgboost", "XGBoost", "boost")
        try:
            booster = xgb.Booster({"nthread": 1})
            booster.load_model(bytearray(self.model))
        except xgb.core.XGBoostError as error:
            raise corrupt(f"{MODEL}: {str(error).splitlines()[0]}") from error
        return booster

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts; NaN where a column is not known."""
        rows = filled(x, lead)
        if not rows.shape[0]:
            return np.zeros(0)
        found = self._booster.inplace_predict(rows).astype(np.float64)
        return known_rows(x, lead, found if self.task == "direction" else self.moved + self.scale * found)

    def importance(self) -> Mapping[str, float]:
        """Return the gain of the splits on each column, as shares."""
        gains = self._booster.get_score(importance_type="total_gain")
        return shares(self.columns, np.array([gains.get(f"f{i}", 0.0) for i in range(len(self.columns))]))

    def files(self) -> dict[str, bytes]:
        """Return the document and the trees."""
        told = {"kind": "xgboost", "task": self.task, "columns": list(self.columns), "moved": self.moved,
                "scale": self.scale}  # fmt: skip
        return {FILE: document_file(told), MODEL: self.model}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedXGBoost:
        """Return the learner of its files; raises ``DataCorrupt``."""
        told = document_of(files)

        def read() -> FittedXGBoost:
            if told["task"] not in ("direction", "number"):
                raise ValueError("a task nobody knows")
            columns = tuple(map(str, told["columns"]))
            found = cls(told["task"], columns, files[MODEL], float(told["moved"]), float(told["scale"]))
            if found._booster.num_features() != len(columns):
                raise ValueError(f"the trees look at {found._booster.num_features()} columns, {len(columns)} are named")
            return found

        return reading(read)
