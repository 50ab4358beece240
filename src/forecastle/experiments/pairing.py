"""The losses of two experiments over the rows that both forecast, one number a moment.

A row is a market, a horizon and a moment. One that was tested in several folds has the mean of its losses. Losses of
several markets at one moment are averaged: they meet the same news, and only moments count as observations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.experiments.results import Experiment
from forecastle.nouns.dataset import Task
from forecastle.scoring import direction, number

FloatArray = npt.NDArray[np.float64]
Loss = Callable[[FloatArray, FloatArray], FloatArray]
_KEYS = ["instrument", "horizon", "known_at", "target_time"]
_CLOSE = 1e-9
"""Outcomes that differ by less, as a share, are the same: sums in another order."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Losses by name, as (of a, of b), each of shape (moments,) in the order of time; lower is better.

    ``rows`` counts the rows in common, ``revised`` those left out because the outcome is not the same in both.
    """

    losses: Mapping[str, tuple[FloatArray, FloatArray]]
    rows: int
    revised: int

    @property
    def moments(self) -> int:
        """Return how many moments there are."""
        return next(iter(self.losses.values()))[0].size


def losses_of(task: Task, outcome: FloatArray, forecast: FloatArray) -> dict[str, FloatArray]:
    """Return the losses of rows by name, each of shape (rows,), by the definitions of scoring.

    Of a probability: Brier score, log loss, wrong calls (0.5 and above calls up). Of a number: squared and absolute
    error.
    """
    if task == "number":
        losses: dict[str, Loss] = {"squared_error": number.squared_errors, "absolute_error": number.absolute_errors}
    else:
        losses = {"brier": direction.brier_losses, "log_loss": direction.log_losses, "wrong_calls": _wrong_calls}
    return {name: loss(outcome, forecast) if outcome.size else outcome for name, loss in losses.items()}


def paired(a: Experiment, b: Experiment, learner: str, horizon: int) -> Pair:
    """Return the losses of one learner in both over their common rows; of length 0 where there are none."""
    mine, theirs = _rows(a, learner, horizon), _rows(b, learner, horizon)
    names = [name for name in mine.columns if name not in (*_KEYS, "outcome")]
    both = mine.join(theirs, on=_KEYS, suffix="_b")
    apart = (pl.col("outcome") - pl.col("outcome_b")).abs() > _CLOSE * pl.col("outcome").abs()
    same = both.filter(~apart)
    means = same.group_by("known_at").mean().sort("known_at")
    losses = {name: (means[name].to_numpy(), means[f"{name}_b"].to_numpy()) for name in names}
    return Pair(losses, same.height, both.height - same.height)


def _rows(experiment: Experiment, learner: str, horizon: int) -> pl.DataFrame:
    """Return the losses of one learner, a row a market and moment."""
    results = experiment.results
    lone = {"instrument": pl.lit(results.data.instruments[0]), "horizon": pl.lit(results.target.horizons[0], pl.Int64)}
    frame = experiment.predictions
    frame = frame.with_columns(**{name: value for name, value in lone.items() if name not in frame.columns})
    frame = frame.filter(pl.col("horizon") == horizon, pl.col(learner).is_not_null())
    losses = losses_of(results.target.task, frame["outcome"].to_numpy(), frame[learner].to_numpy())
    return frame.select(*_KEYS, "outcome").with_columns(**_series(losses)).group_by(_KEYS).mean()


def _series(losses: Mapping[str, FloatArray]) -> dict[str, pl.Series]:
    return {name: pl.Series(values, dtype=pl.Float64) for name, values in losses.items()}


def _wrong_calls(outcome: FloatArray, probability: FloatArray) -> FloatArray:
    return 1.0 - direction.hits(outcome, probability)
