"""Made-up experiments: folders as a run would leave them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.trials_made import NOW, days
from forecastle.clock import FixedClock
from forecastle.experiments.folder import ExperimentFolder, begin
from forecastle.experiments.results import Results, Score, write_results

FloatArray = npt.NDArray[np.float64]
CONFIG: dict[str, Any] = {"calibrate": "platt", "learners": [{"name": "ridge", "alpha": 1.0}], "split": {"folds": 5}}


def predictions_of(
    learners: dict[str, FloatArray], outcome: FloatArray, first: str = "2020-01-01", horizon: int = 1, **keys: Any
) -> pl.DataFrame:
    """One row a day, half of them in each of two folds."""
    known = days(first, outcome.size)
    columns = {
        "fold": np.arange(outcome.size) // ((outcome.size + 1) // 2),
        "known_at": known,
        "target_time": known + np.timedelta64(horizon, "D"),
        "outcome": outcome,
    }
    times = pl.col("known_at", "target_time").dt.replace_time_zone("UTC")
    return pl.DataFrame({**columns, **keys, **learners}).with_columns(times)


def results_of(folder: ExperimentFolder, learners: list[str], **changed: Any) -> Results:
    document: dict[str, Any] = {
        "id": folder.id, "config": CONFIG, "config_fingerprint": "1" * 64,
        "data": {
            "instruments": ["BTC-USDT"], "timeframe": "1d", "source": "binance",
            "start": datetime(2015, 1, 1, tzinfo=UTC).isoformat(), "end": NOW.isoformat(), "data_hash": "2" * 64,
        },
        "target": {"name": "direction", "task": "direction", "horizons": [1], "unit": "up"},
        "features": ["rsi_14", "roc_10"], "feature_fingerprint": "3" * 64, "git_revision": "unknown", "seed": 7,
        "made_at": NOW.isoformat(), "learners": learners,
        "scores": {name: {"brier": Score(value=0.25, low=0.24, high=0.26)} for name in learners},
        "folds": [{"number": 0, "train_rows": 90, "test_rows": 10,
                   "metrics": {name: {"brier": 0.25, "auc": None} for name in learners}}],
        "trials": 4,
    }  # fmt: skip
    return Results.model_validate({**document, **changed})


def experiment(home: Path, name: str, frame: pl.DataFrame, learners: list[str], **changed: Any) -> ExperimentFolder:
    folder = begin(home, FixedClock(NOW), name)
    write_results(folder, results_of(folder, learners, **changed), frame)
    return folder
