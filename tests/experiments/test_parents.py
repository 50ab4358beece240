"""A parent of many instruments, gone on with on one: it helps where they share a signal, and never sees the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecastle.errors import RequestInvalid
from forecastle.experiments.evaluate import Work, evaluate
from forecastle.experiments.recipe import Recipe
from forecastle.features import Impute, Standardise
from forecastle.models.learners.linear import Logistic
from forecastle.models.learners.sequence import Gru
from forecastle.nouns.dataset import Dataset
from forecastle.scoring import direction
from forecastle.splits.purged import PurgedKFold
from forecastle.splits.walk_forward import WalkForward
from learning import dataset, frame_of

SMALL = Gru(context_length=3, hidden=8, epochs=8, patience=8, rate=5e-3)


def _work(child: Dataset, parents: tuple[Dataset, ...], seed: int = 1) -> Work:
    folds = WalkForward(1, 0.5).folds(child.labels, child.frame.known_at())
    return Work("child", child, folds, Recipe(SMALL, (Standardise(), Impute("median")), seed=seed), parents=parents)


def _early(data: Dataset) -> Dataset:
    """The same rows, some years earlier: all of it is known before the child begins."""
    columns = {name: data.frame.values([name])[:, 0] for name in data.frame.columns}
    frame = frame_of(columns, start="2005-01-02")
    gone = data.frame.known_at()[0] - frame.known_at()[0]
    return Dataset(frame, replace(data.labels, known_at=data.labels.known_at - gone))


def test_a_short_child_learns_from_its_parents() -> None:
    """Four long series share the signal; over five short children going on from them loses less than from scratch."""
    parents = tuple(_early(dataset(800, 3, 100 + i, signal=0.6)) for i in range(4))
    gains = []
    for seed in range(5):
        child = dataset(240, 3, 200 + seed, signal=0.6)
        scratch, tuned = (evaluate(_work(child, p, seed)).joined() for p in ((), parents))
        y = child.labels.values[tuned.rows]
        known = np.isfinite(scratch.forecast) & np.isfinite(tuned.forecast) & np.isfinite(y)
        losses = [direction.log_loss(y[known], made.forecast[known]) for made in (scratch, tuned)]
        gains.append(losses[0] - losses[1])
    assert np.mean(gains) > 0.0
    assert sum(g > 0.0 for g in gains) >= 4


def test_what_a_parent_does_after_the_test_begins_changes_nothing() -> None:
    child, parent = dataset(240, 3, 7, signal=0.5), dataset(240, 3, 8, signal=0.5)
    before = evaluate(_work(child, (parent,))).joined().forecast
    first = int(_work(child, ()).folds[0].test[0])
    values = np.array(parent.labels.values)
    values[first + 1 :] = 1.0 - values[first + 1 :]
    columns = {
        n: np.r_[parent.frame.values([n])[: first + 1, 0], np.full(239 - first, 1e6)] for n in parent.frame.columns
    }
    poisoned = Dataset(frame_of(columns), replace(parent.labels, values=values))
    assert evaluate(_work(child, (poisoned,))).joined().forecast.tobytes() == before.tobytes()
    values[: first - 1] = 1.0 - values[: first - 1]
    other = Dataset(parent.frame, replace(parent.labels, values=values))
    assert evaluate(_work(child, (other,))).joined().forecast.tobytes() != before.tobytes()


def test_what_cannot_have_a_parent_is_refused() -> None:
    child, parent = dataset(240, 3, 7), dataset(240, 3, 8)
    with pytest.raises(RequestInvalid, match="cannot go on from a parent"):
        evaluate(replace(_work(child, (parent,)), recipe=Recipe(Logistic(), (Standardise(),))))
    folds = PurgedKFold(3).folds(child.labels, child.frame.known_at())
    with pytest.raises(RequestInvalid, match="trains on rows after its test"):
        evaluate(replace(_work(child, (parent,)), folds=folds))
