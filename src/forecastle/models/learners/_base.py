"""What learners have in common."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import ConfigurationError, DataInvalid
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
BOTH: frozenset[Task] = frozenset({"direction", "number"})
NUMBERS = frozenset({"log return", "log volatility"})


class Tabular:
    """A learner that looks at one row: no context, any prepared columns."""

    label: ClassVar[str]
    tasks: ClassVar[frozenset[Task]] = BOTH
    units: ClassVar[frozenset[str]] = frozenset({"up"}) | NUMBERS
    naive: ClassVar[bool] = False
    scaled: ClassVar[bool] = True
    context: ClassVar[int] = 0
    columns: ClassVar[tuple[str, ...] | None] = None


class FittedTabular:
    """A fitted learner that looks at one row and has no quantiles of its own."""

    task: Task

    def quantiles(self, x: FloatArray, levels: FloatArray, lead: int = 0) -> FloatArray | None:
        """Return None: it has no quantiles."""
        return None

    def importance(self) -> Mapping[str, float]:
        """Return nothing: no column counts more than another."""
        return {}


def refuse_few(label: str, task: Task, train: Examples) -> None:
    """Raise ``DataInvalid`` where there is nothing to learn from: no row, or a direction of one class."""
    if not len(train) or not np.isfinite(train.x).all():
        raise DataInvalid(
            f"{label} was given {len(train)} rows of the shape {train.x.shape}.",
            "It takes one row or more, without unknown values.", "Impute before, or train on more rows.",
        )  # fmt: skip
    known = train.y[~np.isnan(train.y)]
    if not known.size or (task == "direction" and np.unique(known).size < 2):
        raise DataInvalid(
            f"{label} was given {known.size} labels of one class.", "A direction needs ups and downs.",
            "Train on more rows.",
        )  # fmt: skip


def library(name: str, label: str, extra: str) -> Any:
    """Import a library on first use; raises ``ConfigurationError`` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"{label} needs {name.split('.', maxsplit=1)[0]}.", f"It is not installed here: {error}.",
            f"Install the extra: pip install 'forecastle[{extra}]'",
        ) from error  # fmt: skip


def known_rows(x: FloatArray, lead: int, predicted: FloatArray) -> FloatArray:
    """Return predictions with NaN in the rows that hold an unknown value, shape (rows,)."""
    return np.where(np.isfinite(x[lead:]).all(axis=1), predicted, np.nan)


def filled(x: FloatArray, lead: int) -> FloatArray:
    """Return the rows after the first ``lead`` with zeros for what is unknown: such rows are NaN in the end."""
    return np.ascontiguousarray(np.nan_to_num(x[lead:], nan=0.0, posinf=0.0, neginf=0.0))


def shares(columns: tuple[str, ...], weights: FloatArray) -> dict[str, float]:
    """Return weights as shares that sum to one; nothing where all are zero."""
    total = float(weights.sum())
    return {name: float(w / total) for name, w in zip(columns, weights, strict=True)} if total > 0.0 else {}
