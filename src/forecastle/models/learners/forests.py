"""Forests of scikit-learn, kept and run as ONNX: what is scored is what is served, to the bit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.models.learners._base import FittedTabular, Tabular, filled, known_rows, library, refuse_few
from forecastle.models.learners._document import FILE, corrupt, document_file, document_of, reading, vector
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
MODEL = "model.onnx"
OPSET = {"": 18, "ai.onnx.ml": 3}


@dataclass(frozen=True)
class _Forest(Tabular):
    """``trees`` trees with leaves of ``leaf`` rows or more, each split among the root of the number of columns."""

    trees: int = 200
    leaf: int = 50
    depth: int | None = 8
    scaled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.trees < 1 or self.leaf < 1 or (self.depth is not None and self.depth < 1):
            raise RequestInvalid(
                f"A forest of {self.trees} trees, leaves of {self.leaf}, depth {self.depth}.",
                "Each is one or more.", "Choose 200, 50 and 8.",
            )  # fmt: skip

    def _settings(self, seed: int) -> dict[str, Any]:
        return {"n_estimators": self.trees, "min_samples_leaf": self.leaf, "max_depth": self.depth,
                "max_features": "sqrt", "random_state": seed, "n_jobs": 1}  # fmt: skip

    def _model(self, task: Task, seed: int) -> Any:
        raise NotImplementedError

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedForest:
        """Grow the trees and turn them into ONNX; a leaf has at most an eighth of the rows."""
        library("skl2onnx", self.label, "boost")
        refuse_few(self.label, task, train)
        model = self._model(task, seed)
        model.set_params(min_samples_leaf=max(1, min(self.leaf, len(train) // 8)))
        model.fit(train.x.astype(np.float32), train.y, sample_weight=train.weights)
        return FittedForest(task, train.columns, _onnx(model, task, len(train.columns)),
                            np.asarray(model.feature_importances_))  # fmt: skip


@dataclass(frozen=True)
class RandomForest(_Forest):
    """Trees on bootstrap samples of the rows (Breiman 2001, Machine Learning 45, 5-32)."""

    label: ClassVar[str] = "Random forest"

    def _model(self, task: Task, seed: int) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return (RandomForestClassifier if task == "direction" else RandomForestRegressor)(**self._settings(seed))


@dataclass(frozen=True)
class ExtraTrees(_Forest):
    """Trees with splits drawn at random (Geurts, Ernst and Wehenkel 2006, Machine Learning 63, 3-42)."""

    label: ClassVar[str] = "Extra trees"

    def _model(self, task: Task, seed: int) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return (ExtraTreesClassifier if task == "direction" else ExtraTreesRegressor)(**self._settings(seed))


@dataclass(frozen=True, eq=False)
class FittedForest(FittedTabular):
    """Trees as ONNX; inputs are rounded to 32 bits, as scikit-learn's trees do, and so are forecasts."""

    task: Task
    columns: tuple[str, ...]
    model: bytes = field(repr=False)
    weights: FloatArray = field(default_factory=lambda: np.array([]))

    @cached_property
    def _session(self) -> Any:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read on import: else it keeps an id of the machine
        runtime = library("onnxruntime", "A forest", "boost")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return runtime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen classes of its own
            raise corrupt(f"{MODEL}: {error}") from error

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts; NaN where a column is not known."""
        rows = filled(x, lead).astype(np.float32)
        if not rows.shape[0]:
            return np.zeros(0)
        answer = self._session.run([self._session.get_outputs()[-1].name], {"x": rows})[0]
        found = answer[:, 1] if self.task == "direction" else answer[:, 0]
        return known_rows(x, lead, np.clip(found.astype(np.float64), 0.0, 1.0) if self.task == "direction" else found)

    def importance(self) -> Mapping[str, float]:
        """Return the impurity that each column took away in training, as shares."""
        return dict(zip(self.columns, self.weights.tolist(), strict=True)) if self.weights.any() else {}

    def files(self) -> dict[str, bytes]:
        """Return the document and the ONNX."""
        told = {"kind": "forest", "task": self.task, "columns": list(self.columns), "weights": self.weights.tolist()}
        return {FILE: document_file(told), MODEL: self.model}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedForest:
        """Return the learner of its files; raises ``DataCorrupt``."""
        told = document_of(files)

        def read() -> FittedForest:
            if told["task"] not in ("direction", "number"):
                raise ValueError("a task nobody knows")
            columns = tuple(map(str, told["columns"]))
            found = cls(told["task"], columns, files[MODEL], vector(told["weights"], len(columns)))
            shape = found._session.get_inputs()[0].shape
            if shape[-1] != len(columns):
                raise ValueError(f"{MODEL} takes {shape}, the document names {len(columns)} columns")
            return found

        return reading(read)


def _onnx(model: Any, task: Task, columns: int) -> bytes:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    options = {id(model): {"zipmap": False}} if task == "direction" else None
    made = to_onnx(model, initial_types=[("x", FloatTensorType([None, columns]))], options=options, target_opset=OPSET)
    content: bytes = made.SerializeToString()
    return content
