"""One learner over all folds of one series: the piece of work that is done at a time, and gone on with after a kill."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import RequestInvalid
from forecastle.experiments.fitted_recipe import FittedRecipe, Predictions
from forecastle.experiments.recipe import Recipe
from forecastle.lake.atomic import make_folder, write_bytes
from forecastle.nouns import FeatureColumn, FeatureSpec, Fold, Training
from forecastle.nouns.dataset import Dataset

FloatArray = npt.NDArray[np.float64]
SCHEMA = "forecastle/checkpoint/1"
_LOG = logging.getLogger("forecastle.experiments")


@dataclass(frozen=True, eq=False)
class Work:
    """A recipe, a dataset and its folds; ``checkpoint`` is a folder for what is done, one file a fold.

    The folder is named by a digest of all that could change a number, so that what lies there is of the same work.
    With ``shuffled`` the labels of the training rows are dealt out at random: a control. ``parents`` are datasets of
    other instruments: of these the rows whose label was known before the first test row of a fold teach a parent.
    """

    name: str
    dataset: Dataset
    folds: tuple[Fold, ...]
    recipe: Recipe
    level: float = 0.9
    gamma: float = 0.01
    checkpoint: Path | None = None
    shuffled: bool = False
    parents: tuple[Dataset, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What came of a piece of work: predictions and the importance of columns, fold by fold."""

    name: str
    folds: tuple[Predictions, ...]
    importance: tuple[Mapping[str, float], ...]
    trained_until: tuple[str, ...] = ()
    resumed: int = 0
    notes: tuple[str, ...] = field(default=())

    def joined(self) -> Predictions:
        """Return the predictions of all folds in the order of the folds."""
        parts = {
            name: np.concatenate([getattr(p, name) for p in self.folds])
            for name in ("rows", "forecast", "low", "high", "quantiles", "is_new")
        }
        return Predictions(**parts)


def evaluate(work: Work) -> Evaluated:
    """Fit and forecast fold after fold; folds that lie in the checkpoint already are read, not done again.

    Raises what :meth:`Recipe.fit` raises, ``StorageUnwritable``.
    """
    done, importance, until, resumed = [], [], [], 0
    for fold in work.folds:
        kept = _read(work, fold)
        if kept is None:
            kept = _fold(work, fold)
            _write(work, fold, kept)
        else:
            resumed += 1
        done.append(_predictions(kept))
        importance.append(dict(kept["importance"]))
        until.append(str(kept["trained_until"]))
    return Evaluated(work.name, tuple(done), tuple(importance), tuple(until), resumed)


def fit(work: Work, fold: Fold) -> FittedRecipe:
    """Fit the recipe to the training rows of one fold."""
    training = work.dataset.training(fold)
    if work.shuffled:
        training = training.shuffled(work.recipe.seed + fold.number)
    recipe = replace(work.recipe, seed=work.recipe.seed + fold.number)
    return recipe.fit(training, [_known_before(one, work.dataset, fold) for one in work.parents])


def _known_before(parent: Dataset, child: Dataset, fold: Fold) -> Training:
    """Return the rows of another instrument whose label was known when the test of the child begins."""
    moments = child.frame.known_at()
    first = moments[fold.test[0]] if fold.test.size else moments[-1]
    if (fold.train > (fold.test[0] if fold.test.size else moments.size)).any():
        raise RequestInvalid(
            "A parent was asked for in a split that trains on rows after its test.",
            "What other instruments did then would be the future.", "Use walk_forward.",
        )  # fmt: skip
    rows = np.flatnonzero(parent.labels.known_at <= first).astype(np.int64)  # NaT is not
    return parent.training(Fold(fold.number, rows, np.array([], dtype=np.int64), "of a parent"))


def _fold(work: Work, fold: Fold) -> dict[str, Any]:
    fitted = fit(work, fold)
    made = fitted.test(work.dataset, fold, work.level, work.gamma)
    table = {name: _plain(getattr(made, name)) for name in ("rows", "forecast", "low", "high", "quantiles", "is_new")}
    return {"schema": SCHEMA, "fold": fold.number, "importance": dict(fitted.fitted.importance()),
            "trained_until": fitted.trained_until.isoformat(), **table}  # fmt: skip


def _plain(values: npt.NDArray[Any]) -> list[Any]:
    """Return an array as lists, null for NaN; every float is written so that it reads back as itself."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    made = values.astype(object)
    made[np.isnan(values)] = None
    return list(made.tolist())


def _predictions(kept: Mapping[str, Any]) -> Predictions:
    numbers = {n: np.array(kept[n], dtype=np.float64) for n in ("forecast", "low", "high")}
    quantiles = np.array(kept["quantiles"], dtype=np.float64).reshape(len(kept["rows"]), -1)
    return Predictions(rows=np.array(kept["rows"], dtype=np.int64), quantiles=quantiles,
                       is_new=np.array(kept["is_new"], dtype=np.bool_), **numbers)  # fmt: skip


def _file(work: Work, fold: Fold) -> Path | None:
    return None if work.checkpoint is None else work.checkpoint / f"fold-{fold.number}.json"


def _read(work: Work, fold: Fold) -> dict[str, Any] | None:
    """Return what was kept of a fold; nothing where there is none or it is damaged: then it is done again."""
    path = _file(work, fold)
    if path is None or not path.is_file():
        return None
    try:
        return _checked(json.loads(path.read_bytes()), fold)
    except (OSError, ValueError, TypeError, KeyError) as error:
        _LOG.warning("the checkpoint %s is not used: %s; the fold is done again", path, error)
        return None


def _checked(kept: dict[str, Any], fold: Fold) -> dict[str, Any]:
    made = _predictions(kept)
    same = np.array_equal(made.rows, fold.test) and made.forecast.shape == made.rows.shape
    if kept["schema"] != SCHEMA or not same or not {"importance", "trained_until"} <= set(kept):
        raise ValueError("it is of other rows")
    return kept


def _write(work: Work, fold: Fold, kept: Mapping[str, Any]) -> None:
    path = _file(work, fold)
    if path is not None:
        make_folder(path.parent)
        write_bytes(path, json.dumps(kept, allow_nan=False).encode())


def with_noise(dataset: Dataset, columns: int, seed: int) -> Dataset:
    """Return the dataset with columns of standard normal noise beside its own: a control that must not help."""
    if not columns:
        return dataset
    draw = np.random.default_rng(seed)
    names = [f"noise_{number}" for number in range(columns)]
    made = pl.DataFrame({name: draw.standard_normal(len(dataset)) for name in names})
    spec = FeatureSpec(
        f"noise_{columns}_{seed}", "control", "Noise",
        tuple(FeatureColumn(name, "standard deviations") for name in names), 0,
        f"standard normal draws of seed {seed}", "control",
    )  # fmt: skip
    frame = replace(dataset.frame, specs=(*dataset.frame.specs, spec), frame=dataset.frame.frame.hstack(made))
    return replace(dataset, frame=frame)
