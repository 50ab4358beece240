"""Tune one learner, nested: in every fold settings are chosen on the training rows alone, then judged once outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.app._datasets import Series, series_of
from forecastle.app._kept_models import read_kept
from forecastle.app._scored import Scored, losses_of, scored
from forecastle.app._works import configuration_of, learners_of, work_of
from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.experiments.evaluate import Evaluated, Work, evaluate, fit
from forecastle.experiments.spec import PlugIn, TrainConfig, TunePart, digest, load_config
from forecastle.experiments.trials import TrialLog
from forecastle.experiments.tuning import Study, Tuned, tune
from forecastle.lake.model_files import write_model
from forecastle.models.learners import NAIVE
from forecastle.nouns import Fold
from forecastle.nouns.dataset import Dataset
from forecastle.ports import Progress, silent
from forecastle.requests import TrainRequest
from forecastle.splits.walk_forward import WalkForward
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
INNER_START = 0.5
"""Share of the training rows that inner folds only learn from."""


@dataclass(frozen=True)
class TunedFold:
    """One outer fold: what was chosen in it, from how many trials, and the loss outside, beside the defaults'."""

    fold: int
    settings: Mapping[str, Any]
    inner_loss: float
    loss: float
    default_loss: float
    done: int
    pruned: int
    failed: int
    resumed: int
    checkpoint: Path


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What tuning was worth: each fold, and the table of the tuned learner beside its defaults and the naive ones."""

    config: TrainConfig
    learner: str
    folds: tuple[TunedFold, ...]
    result: Scored
    trials: int


def run(workspace: Workspace, request: TrainRequest, progress: Progress = silent) -> TuneResult:
    """Tune the learner that the ``tune`` part of a configuration names, on its first instrument and horizon.

    Every configuration that was judged counts as a trial. A run that was stopped goes on from the database and ends at
    the same settings; the best model of each fold is kept in ``models/checkpoints``. Raises ``RequestInvalid`` where
    the file says nothing of tuning, ``ConfigurationError``, ``DataMissing``, ``DataInvalid``, ``ForecastRefused``.
    """
    config = load_config(request.config)
    if config.tune is None:
        raise RequestInvalid(
            f"{request.config} has no part 'tune'.", "Tuning needs a learner and a space of settings.",
            "Add one: docs/training.md shows how.",
        )  # fmt: skip
    series = series_of(workspace, config, config.data.instruments[0], request.open_holdout)[0][0]
    return _Tuning(workspace, config, config.tune, series, progress).done()


@dataclass(frozen=True, eq=False)
class _Tuning:
    workspace: Workspace
    config: TrainConfig
    asked: TunePart
    series: Series
    progress: Progress

    def done(self) -> TuneResult:
        base = PlugIn(name=self.asked.learner)
        self._refuse_odd(base)
        naive = {n: p for n, p in learners_of(self.config, self._unit).items() if n in NAIVE[self._unit]}
        plain = {**naive, self.asked.learner: base}
        evaluated = {n: evaluate(self._work(self.series, n, p)) for n, p in plain.items()}
        folds, parts = [], []
        for number, fold in enumerate(self.series.folds):
            chosen, made = self._fold(number, fold, evaluated[self.asked.learner])
            folds.append(chosen)
            parts.append(made)
        name = f"{self.asked.learner} tuned"
        evaluated[name] = Evaluated(name, tuple(p.folds[0] for p in parts), tuple(p.importance[0] for p in parts))
        trials = TrialLog(self.workspace.settings.home, self.workspace.clock).count(self.series.span)
        result = scored(self.config, self.series, evaluated, trials)
        return TuneResult(self.config, self.asked.learner, tuple(folds), result, trials)

    @property
    def _unit(self) -> str:
        return self.series.dataset.labels.unit

    def _refuse_odd(self, base: PlugIn) -> None:
        """Say what is wrong with the space before hours are spent."""
        probe = {n: how["choices"][0] if "choices" in how else how["low"] for n, how in self.asked.space.items()}
        alone = self.config.model_copy(update={"learners": (PlugIn(name=base.name, settings=probe),)})
        learners_of(alone, self._unit)

    def _work(self, series: Series, name: str, plug_in: PlugIn) -> Work:
        return work_of(self.workspace.settings, self.config, series, name, plug_in)

    def _fold(self, number: int, fold: Fold, default: Evaluated) -> tuple[TunedFold, Evaluated]:
        inner = self._inner(fold)
        told = {"config": self.config.fingerprint, "tune": self.asked.model_dump(mode="json", exclude={"seconds"}),
                "data": self.series.span.document(), "fold": number, "horizon": self.series.horizon}  # fmt: skip
        name = digest(told)[:24]
        seconds = None if self.asked.seconds is None else self.asked.seconds / len(self.series.folds)
        study = Study(name, self.asked.space, self.asked.trials, self.config.seed + 1000 * number, seconds)
        total = self.asked.trials * len(self.series.folds)
        best = tune(
            self.workspace.settings.tuning_address, study, lambda settings: self._judged(inner, settings),
            lambda done, _: self.progress(number * self.asked.trials + done, total, f"tune fold {number + 1}"),
        )  # fmt: skip
        return self._outside(number, fold, best, default, name)

    def _inner(self, fold: Fold) -> Series:
        """Return the training rows of a fold as a series of its own, with a walk-forward inside."""
        labels, frame = self.series.dataset.labels.rows(fold.train), self.series.dataset.frame
        rows = replace(frame, frame=frame.frame[fold.train])
        dataset = Dataset(rows, labels)
        folds = WalkForward(self.asked.inner_folds, INNER_START).folds(labels, rows.known_at())
        return replace(self.series, dataset=dataset, folds=folds)

    def _judged(self, inner: Series, settings: Mapping[str, Any]) -> Iterator[float]:
        """Yield the mean loss after each inner fold, and count the configuration as a trial after the last."""
        plug_in = PlugIn(name=self.asked.learner, settings=dict(settings))
        work = replace(self._work(inner, self.asked.learner, plug_in), checkpoint=None)
        losses: list[FloatArray] = []
        rows: list[npt.NDArray[np.int64]] = []
        for fold in inner.folds:
            made = fit(work, fold).test(inner.dataset, fold, work.level, work.gamma)
            found = losses_of(inner, inner.dataset.labels.values[made.rows], made.forecast)
            known = np.isfinite(found)
            losses.append(found[known])
            rows.append(made.rows[known])
            value = float(np.concatenate(losses).mean()) if known.any() else np.nan
            if not np.isfinite(value):
                raise DataInvalid(
                    "No row of an inner fold could be forecast.", "It has no loss.", "Tune other settings."
                )
            yield value
        labels = self.series.dataset.labels
        log = TrialLog(self.workspace.settings.home, self.workspace.clock)
        log.register(
            "tune", configuration_of(self.config, plug_in, self.series.horizon), self.series.span,
            np.concatenate(losses), inner.dataset.frame.known_at()[np.concatenate(rows)], "loss",
            {"mean_loss": value}, f"inner loss of {labels.name}",
        )  # fmt: skip

    def _outside(
        self, number: int, fold: Fold, best: Tuned, default: Evaluated, name: str
    ) -> tuple[TunedFold, Evaluated]:
        """Fit the best settings to all training rows of the fold, keep the model, and judge it once."""
        plug_in = PlugIn(name=self.asked.learner, settings=dict(best.settings))
        work = replace(self._work(self.series, self.asked.learner, plug_in), checkpoint=None)
        fitted = fit(work, fold)
        made = fitted.test(self.series.dataset, fold, work.level, work.gamma)
        loss = _mean(losses_of(self.series, self.series.dataset.labels.values[made.rows], made.forecast))
        before = default.folds[number]
        plain = _mean(losses_of(self.series, self.series.dataset.labels.values[before.rows], before.forecast))
        settings_hash = digest({"settings": json.loads(json.dumps(best.settings)), "rows": int(fold.train.size)})[:8]
        place = self.workspace.settings.models / "checkpoints" / f"tune-{name}" / f"fold-{number}-{settings_hash}"
        if not place.exists():
            about = {"learner": self.asked.learner, "settings": dict(best.settings), "fold": number, "loss": loss,
                     "trained_until": fitted.trained_until.isoformat()}  # fmt: skip
            write_model(place, fitted.files(), about)
        told = TunedFold(number, best.settings, best.value, loss, plain, best.done, best.pruned, best.failed,
                         best.resumed, place)  # fmt: skip
        return told, Evaluated("", (made,), (fitted.fitted.importance(),))


def score_of_checkpoint(workspace: Workspace, config: TrainConfig, fold: int, place: Path) -> tuple[float, float]:
    """Return the loss that a checkpoint of tuning was kept with, and the loss it has when it is loaded again.

    Raises ``DataCorrupt`` where it is not the model that was written.
    """
    recipe, model = read_kept(place)
    series = series_of(workspace, config, config.data.instruments[0])[0][0]
    made = recipe.test(series.dataset, series.folds[fold], config.intervals.level, config.intervals.gamma)
    outcome = series.dataset.labels.values[made.rows]
    return float(model.about["loss"]), _mean(losses_of(series, outcome, made.forecast))


def _mean(losses: FloatArray) -> float:
    known = losses[np.isfinite(losses)]
    if not known.size:
        raise DataInvalid("No row of the fold could be forecast.", "There is no loss.", "Look at the data.")
    return float(known.mean())


__all__ = ["TuneResult", "TunedFold", "run", "score_of_checkpoint"]
