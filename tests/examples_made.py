"""Rows as learners see them, with a signal in the first column, and learners small enough to be fitted in a moment."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.models.learners import LEARNERS
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task
from forecastle.ports import FittedLearner, Learner

FloatArray = npt.NDArray[np.float64]
FOREST = {"trees": 20, "leaf": 5}
TREES = {"rounds": 30, "rate": 0.1}
NETWORK: dict[str, Any] = {"context_length": 4, "hidden": 8, "epochs": 8, "rate": 2e-2, "batch": 32, "dropout": 0.1}
SETTINGS: dict[str, dict[str, Any]] = {
    "random_forest": FOREST, "extra_trees": FOREST, "xgboost": {**TREES, "leaf_weight": 5.0},
    "lightgbm": TREES, "lightgbm_quantile": TREES, "lstm": NETWORK, "gru": NETWORK, "transformer": NETWORK,
}  # fmt: skip
TOGETHER: dict[Task, tuple[str, ...]] = {"direction": ("logistic", "base_rate"), "number": ("ridge", "historical_mean")}


def made(name: str, task: Task) -> Learner:
    """Return a learner of the registry, small; an ensemble of two that can learn the task."""
    settings = {"members": TOGETHER[task]} if name == "ensemble" else SETTINGS.get(name, {})
    learner: Learner = LEARNERS.load(name)(**settings)
    return learner


def cases() -> list[tuple[str, Task]]:
    """Return every learner with everything it can learn."""
    tasks: tuple[Task, ...] = ("direction", "number")
    return [(name, task) for name in LEARNERS for task in tasks if task in made(name, task).tasks]


def examples(learner: Learner, task: Task, rows: int = 320, seed: int = 1) -> Examples:
    """Return rows whose label follows the first column; the others are noise."""
    draw = np.random.default_rng(seed)
    columns = learner.columns or ("x0", "x1", "x2", "x3")
    x = draw.standard_normal((rows, len(columns)))
    score = x[:, 0] + 0.4 * draw.standard_normal(rows)
    if learner.columns == ("realized_volatility_20",):
        x = 0.01 * np.exp(x)
        score = np.log(x[:, 0]) + 0.1 * draw.standard_normal(rows)
    y = (score > 0).astype(np.float64) if task == "direction" else 0.01 * score
    runs = np.repeat([0, 1], [rows // 2, rows - rows // 2])
    return Examples(x, y, draw.uniform(0.3, 1.0, rows), runs, columns)


@cache
def learned(name: str, task: Task) -> tuple[Learner, Examples, FittedLearner]:
    """Return a learner, what it was given, and what it became; never change any of it."""
    learner = made(name, task)
    train = examples(learner, task)
    return learner, train, learner.fit(task, train, None, 5)
