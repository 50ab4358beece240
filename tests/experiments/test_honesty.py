"""Nothing looks like nothing, something is found, and intervals keep their promise: through the whole fold, as run."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from forecastle.experiments.evaluate import Evaluated, Work, evaluate
from forecastle.experiments.recipe import Recipe
from forecastle.features import Impute, Standardise
from forecastle.models.learners import LEARNERS
from forecastle.nouns.dataset import Dataset, Task
from forecastle.scoring import direction
from forecastle.scoring.scorecard import Scoring
from forecastle.scoring.skill import no_skill
from forecastle.splits.walk_forward import WalkForward
from learning import dataset, frame_of

FloatArray = npt.NDArray[np.float64]
TORTURE = "FORECASTLE_TORTURE_ROUNDS" in os.environ
SIZE = 0.05
FOLDS = 3
SMALL = {
    "random_forest": {"trees": 20}, "extra_trees": {"trees": 20}, "xgboost": {"rounds": 30}, "lightgbm": {"rounds": 30},
    "lstm": {"epochs": 3, "hidden": 8, "context_length": 8}, "gru": {"epochs": 3, "hidden": 8, "context_length": 8},
    "transformer": {"epochs": 3, "hidden": 8, "context_length": 8},
}  # fmt: skip
USUAL = {"random_forest": {"trees": 50}, "gru": {"context_length": 4, "epochs": 25, "hidden": 16, "patience": 6}}
MANY, SOME, ONE = (200, 200, 200) if TORTURE else (200, 20, 1)
CASES: list[tuple[str, Task, int]] = [
    ("last_sign", "direction", MANY), ("logistic", "direction", MANY), ("historical_mean", "number", MANY),
    ("ridge", "number", MANY), ("random_forest", "direction", SOME), ("extra_trees", "number", SOME),
    ("xgboost", "direction", SOME), ("lightgbm", "number", SOME), ("lstm", "direction", ONE), ("gru", "number", ONE),
    ("transformer", "direction", ONE),
]  # fmt: skip


def _run(data: Dataset, name: str, seed: int, *, shuffled: bool = False, small: bool = True) -> Evaluated:
    folds = WalkForward(FOLDS, 0.5).folds(data.labels, data.frame.known_at())
    learner = LEARNERS.load(name)(**(SMALL if small else USUAL).get(name, {}))
    recipe = Recipe(learner, (Standardise(), Impute("median")), seed=seed)
    return evaluate(Work(name, data, folds, recipe, shuffled=shuffled))


def _pair(
    data: Dataset, name: str, seed: int, *, shuffled: bool = False, small: bool = True
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return outcomes, forecasts and those of the baseline over the rows that both forecast."""
    made = _run(data, name, seed, shuffled=shuffled, small=small).joined()
    folds = WalkForward(FOLDS, 0.5).folds(data.labels, data.frame.known_at())
    rates = [np.full(f.test.size, np.nanmean(data.labels.values[f.train])) for f in folds]
    base = np.concatenate(rates) if data.labels.task == "direction" else np.zeros(made.rows.size)
    known = data.labels.known[made.rows] & np.isfinite(made.forecast)
    return data.labels.values[made.rows][known], made.forecast[known], base[known]


@pytest.mark.parametrize(("name", "task", "seeds"), CASES)
def test_on_white_noise_no_model_shows_skill(name: str, task: Task, seeds: int) -> None:
    """False alarms of the test inside the 99 % binomial band of 5 %; an edge is claimed no oftener than that."""
    alarms = edges = 0
    for seed in range(seeds):
        y, m, b = _pair(dataset(300 if seeds > 1 else 500, 4, 10_000 + seed, task), name, seed)
        p = no_skill(y, m, b).p_value
        alarms += p is not None and p < SIZE
        scoring = Scoring("noise", "base", ["base"], replications=99)
        table = scoring.direction if task == "direction" else scoring.number
        edges += seeds <= SOME and table(y, {"base": b, name: m}).scores[1].edge
    low, high = stats.binom.interval(0.99, seeds, SIZE)
    assert low <= alarms <= high, (alarms, seeds)
    assert edges <= high


@pytest.mark.parametrize("name", ["logistic", "random_forest", "xgboost", "lightgbm", "gru"])
def test_a_planted_signal_is_found(name: str) -> None:
    """Half a deviation of the next return: AUC near what the signal alone allows, and the edge is said in words."""
    data = dataset(1500, 4, 5, "direction", signal=0.5)
    y, m, b = _pair(data, name, 1, small=False)
    table = Scoring("planted", "base", ["base"], replications=99).direction(y, {"base": b, name: m})
    score = table.scores[1]
    assert score.edge, score.verdict
    assert score.verdict.startswith("edge over the base")
    truth = 1.0 / (1.0 + np.exp(-data.frame.values(["x0"])[-y.size :, 0]))
    found, best = score.figures["auc"].value, direction.auc(y, truth)
    assert found is not None
    assert best is not None
    assert 0.5 + 0.6 * (best - 0.5) < found < best + 0.02


def test_the_strength_of_a_planted_return_is_found() -> None:
    """R² of the truth is s² / (1 + s²); ridge comes near it from below."""
    y, m, b = _pair(dataset(3000, 4, 6, "number", signal=0.5), "ridge", 1)
    r2 = 1.0 - np.square(y - m).sum() / np.square(y - b).sum()
    assert 0.12 < r2 < 0.25


@pytest.mark.parametrize("horizon", [1, 5])
def test_intervals_cover_what_they_promise(horizon: int) -> None:
    """90 % of the outcomes; overlapping ones count by the blocks that do not overlap."""
    inside = rows = 0
    for seed in range(8):
        data = dataset(800, 3, 50 + seed, "number", horizon=horizon)
        made = _run(data, "ridge", seed).joined()
        y = data.labels.values[made.rows]
        known = np.isfinite(y) & np.isfinite(made.low)
        inside += int(((y >= made.low) & (y <= made.high))[known].sum())
        rows += int(known.sum())
    low, high = stats.binom.interval(0.999, rows // horizon, 0.9)
    assert low <= inside / horizon <= high


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_on_shuffled_targets_the_scores_fall_to_the_base_rate(name: str) -> None:
    """The signal is there, and nothing of it is learned from labels that were dealt out at random."""
    data = dataset(1200, 4, 8, "direction", signal=0.8)
    y, m, b = _pair(data, name, 2, shuffled=True)
    assert abs(direction.brier_skill(y, m, b)) < 0.02
    y, m, b = _pair(data, name, 2)
    assert direction.brier_skill(y, m, b) > 0.1


@pytest.mark.parametrize("name", ["logistic", "xgboost", "gru"])
def test_what_comes_after_the_training_rows_changes_nothing_that_is_learned(name: str) -> None:
    """Poison every feature and label from the second fold's test on: the first fold forecasts the same bytes."""
    data = dataset(500, 4, 9)
    folds = WalkForward(FOLDS, 0.5).folds(data.labels, data.frame.known_at())
    first = _run(data, name, 1).folds[0]
    poisoned = dataset(500, 4, 9)
    place = int(folds[0].test[-1]) + 1
    values = np.array(poisoned.labels.values)
    values[place:] = 1.0 - values[place:]
    columns = {c: np.r_[data.frame.values([c])[:place, 0], 1e6 * np.ones(500 - place)] for c in data.frame.columns}
    other = Dataset(frame_of(columns), replace(poisoned.labels, values=values))
    assert _run(other, name, 1).folds[0].forecast.tobytes() == first.forecast.tobytes()
