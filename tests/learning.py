"""Series for tests of models: noise, noise with a signal of known strength, and configurations that take seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.experiments.spec import TrainConfig, config_of
from forecastle.nouns import FeatureColumn, FeatureFrame, FeatureSpec, Instrument, Labels
from forecastle.nouns.candles import TIME
from forecastle.nouns.dataset import Dataset, Task

FloatArray = npt.NDArray[np.float64]
DAY = np.timedelta64(1, "D")


def frame_of(columns: dict[str, FloatArray], start: str = "2018-01-02") -> FeatureFrame:
    """Return a feature frame of days with these columns."""
    n = next(iter(columns.values())).size
    known = np.datetime64(start, "us") + np.arange(n) * DAY
    spec = FeatureSpec("made", "made", "Made up", tuple(FeatureColumn(c, "ratio") for c in columns), 0, "made", "none")
    frame = pl.DataFrame({"known_at": known, **columns}).with_columns(
        pl.col("known_at").dt.replace_time_zone("UTC").cast(TIME)
    )
    return FeatureFrame(Instrument.parse("BTC-USDT"), "1d", "test", (spec,), frame, "0" * 64)


def dataset(
    n: int, columns: int, seed: int, task: Task = "direction", signal: float = 0.0, horizon: int = 1
) -> Dataset:
    """Return white noise in ``columns`` and returns; the first column moves the next by ``signal`` deviations."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, columns))
    bars = 0.02 * (signal * x[:, 0] + draw.standard_normal(n))  # of the bar after each row
    ahead = np.array([bars[i : i + horizon].sum() for i in range(n)])
    made = {"log_return_1": np.r_[0.0, bars[:-1]], **{f"x{i}": x[:, i] for i in range(columns)}}
    frame = frame_of(made)
    known = frame.known_at() + horizon * DAY
    whole = np.arange(n) + horizon <= n
    known[~whole] = np.datetime64("NaT")
    returns = np.where(whole, ahead, np.nan)
    values = np.where(whole, (ahead > 0.0).astype(np.float64), np.nan) if task == "direction" else returns
    unit = "up" if task == "direction" else "log return"
    return Dataset(frame, Labels(f"{task}_{horizon}", task, horizon, unit, values, returns, known))


def config(**changed: Any) -> TrainConfig:
    """Return a configuration of the bundled index that trains in seconds."""
    told: dict[str, Any] = {
        "name": "small", "data": {"instruments": "SPX.INDEX", "source": "bundled", "start": "2012-01-01"},
        "features": {"columns": ["log_return_1", "log_return_5", "rsi_14", "percent_b_20_2"]},
        "split": {"name": "walk_forward", "count": 3, "start": 0.5}, "learners": ["logistic"], "replications": 99,
        "robustness": {"controls": False, "regimes": False}, "seed": 3,
    }  # fmt: skip
    return config_of({**told, **changed})
