"""Predictions of the folds, put together and scored: one row a moment, all learners over the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app._datasets import Series
from forecastle.experiments.evaluate import Evaluated
from forecastle.experiments.fitted_recipe import LEVELS
from forecastle.experiments.spec import TrainConfig
from forecastle.models.learners import NAIVE
from forecastle.nouns.candles import TIME
from forecastle.nouns.scorecard import ScoreTable
from forecastle.scoring import direction, number
from forecastle.scoring.scorecard import Scoring

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scored:
    """One series with what every learner forecast of it, row by row, and the table of scores.

    ``rows`` are the positions tested, ascending, each once: where folds test a row several times its forecasts are
    averaged. ``fold`` is the first that tested a row.
    """

    series: Series
    rows: IntArray
    fold: IntArray
    outcome: FloatArray
    forecasts: Mapping[str, FloatArray]
    evaluated: Mapping[str, Evaluated]
    table: ScoreTable

    @property
    def baseline(self) -> str:
        """Return the naive forecast that the others stand beside."""
        return self.table.baseline

    def losses(self, name: str) -> FloatArray:
        """Return the loss of each row: log loss of a probability, squared error of a number; NaN where not known."""
        return losses_of(self.series, self.outcome, self.forecasts[name])

    def predictions(self) -> pl.DataFrame:
        """Return one row a forecast: fold, known_at, target_time, outcome, a column for each learner."""
        labels, known = self.series.dataset.labels, np.isfinite(self.outcome)
        rows = self.rows[known]
        times = {
            "known_at": self.series.dataset.frame.known_at()[rows], "target_time": labels.known_at[rows]
        }  # fmt: skip
        frame = pl.DataFrame({"fold": self.fold[known], **times, "outcome": self.outcome[known]})
        frame = frame.with_columns(pl.col("known_at", "target_time").dt.replace_time_zone("UTC").cast(TIME))
        columns = {name: f[known] for name, f in self.forecasts.items()}
        return frame.hstack(pl.DataFrame(columns, nan_to_null=True))


def losses_of(series: Series, outcome: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return the loss of each row, NaN where there is no outcome or no forecast."""
    known = np.isfinite(outcome) & np.isfinite(forecast)
    found = np.full(outcome.size, np.nan)
    score = direction.log_losses if series.dataset.labels.task == "direction" else number.squared_errors
    found[known] = score(outcome[known], forecast[known])
    return found


def scored(config: TrainConfig, series: Series, evaluated: Mapping[str, Evaluated], trials: int | None) -> Scored:
    """Return the scores of all learners of a series; raises ``DataMissing`` where the common rows are too few."""
    tested = np.concatenate([fold.test for fold in series.folds])
    number_of = np.concatenate([np.full(fold.test.size, fold.number) for fold in series.folds])
    rows, first = np.unique(tested, return_index=True)
    labels = series.dataset.labels
    joined = {name: e.joined() for name, e in evaluated.items()}
    forecasts = {name: _averaged(p.rows, p.forecast, rows) for name, p in joined.items()}
    naive = [name for name in NAIVE[labels.unit] if name in forecasts]
    scoring = Scoring(
        labels.name, naive[0], naive, series.horizon, config.seed, config.replications, trials,
        labels.unit == "log return",
    )  # fmt: skip
    outcome = labels.values[rows]
    if labels.task == "direction":
        table = scoring.direction(outcome, forecasts)
    else:
        bounds = {name: (_averaged(p.rows, p.low, rows), _averaged(p.rows, p.high, rows)) for name, p in joined.items()}
        quantiles = {
            name: np.column_stack([_averaged(p.rows, p.quantiles[:, i], rows) for i in range(LEVELS.size)])
            for name, p in joined.items()
        }
        table = scoring.number(outcome, forecasts, bounds, config.intervals.level, quantiles, LEVELS)
    return Scored(series, rows, number_of[first], outcome, forecasts, evaluated, table)


def _averaged(tested: IntArray, values: FloatArray, rows: IntArray) -> FloatArray:
    """Return the mean of all forecasts of each row; NaN where one of them is."""
    if tested.size == rows.size and bool((np.diff(tested) > 0).all()):
        return values
    place = np.searchsorted(rows, tested)
    total = np.bincount(place, values, rows.size)
    return np.asarray(total / np.bincount(place, minlength=rows.size))


def fold_metrics(result: Scored) -> list[tuple[int, int, int, dict[str, dict[str, float | None]]]]:
    """Return number, training rows, test rows and the mean loss of each learner, fold by fold."""
    task, found = result.series.dataset.labels.task, []
    name_of = "log_loss" if task == "direction" else "mse"
    for fold in result.series.folds:
        inside = np.isin(result.rows, fold.test)
        metrics: dict[str, dict[str, float | None]] = {}
        for name in result.forecasts:
            losses = result.losses(name)[inside]
            known = np.isfinite(losses)
            metrics[name] = {name_of: float(losses[known].mean()) if known.any() else None}
        found.append((fold.number, int(fold.train.size), int(fold.test.size), metrics))
    return found
