"""The losses of two experiments over the rows that both forecast, one number a moment.

A row is a market, a horizon and a moment. One that was tested in several folds has the mean of its losses. Losses of
several markets at one moment are averaged: they meet the same news, and only moments count as observations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.experiments.results import Experiment
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
_KEYS = ["instrument", "horizon", "known_at", "target_time"]
_CLOSE = 1e-9
"""Outcomes that differ by less, as a share, are the same: sums in another order."""
_SURE = 1e-15
"""A probability nearer to 0 or 1 counts as this near: the log loss of a wrong certainty has no bound."""


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


def losses_of(task: Task, forecast: pl.Expr, outcome: pl.Expr) -> dict[str, pl.Expr]:
    """Return the losses of one row by name.

    For a probability: Brier score, log loss, share of wrong calls (half a call where it is 0.5). For a number: squared
    and absolute error.
    """
    if task == "number":
        return {"squared_error": (forecast - outcome) ** 2, "absolute_error": (forecast - outcome).abs()}
    likely = pl.when(outcome > 0.5).then(forecast).otherwise(1.0 - forecast)
    wrong = pl.when(likely == 0.5).then(0.5).otherwise((likely < 0.5).cast(pl.Float64))
    return {"brier": (forecast - outcome) ** 2, "log_loss": -likely.clip(_SURE, 1.0).log(), "wrong_calls": wrong}


def paired(a: Experiment, b: Experiment, learner: str, horizon: int) -> Pair:
    """Return the losses of one learner in both over their common rows; of length 0 where there are none."""
    task = a.results.target.task
    names = list(losses_of(task, pl.col(learner), pl.col("outcome")))
    both = _rows(a, learner, horizon).join(_rows(b, learner, horizon), on=_KEYS, suffix="_b")
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
    losses = losses_of(results.target.task, pl.col(learner), pl.col("outcome"))
    frame = frame.filter(pl.col("horizon") == horizon, pl.col(learner).is_not_null())
    return frame.group_by(_KEYS).agg(pl.col("outcome").mean(), **{name: loss.mean() for name, loss in losses.items()})
