"""Train and validate every model of a configuration beside the naive ones, fold by fold, and say what it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from forecastle.app._datasets import Series, series_of
from forecastle.app._held_out import Looked
from forecastle.app._kept_models import keep_model
from forecastle.app._kept_run import keep_run
from forecastle.app._scored import Scored, losses_of, scored
from forecastle.app._works import configuration_of, engine_of, learners_of, served_name, work_of
from forecastle.app.robustness import Robustness, robustness_of
from forecastle.errors import DataMissing, ForecastleError, RequestInvalid
from forecastle.experiments.evaluate import Evaluated, Work, evaluate
from forecastle.experiments.folder import ExperimentFolder
from forecastle.experiments.spec import PlugIn, TrainConfig, load_config
from forecastle.experiments.trials import TrialLog
from forecastle.jobs import Done, Failed, Job, run_all
from forecastle.models.learners import NAIVE
from forecastle.ports import Progress, silent
from forecastle.requests import TrainRequest
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FINE_TUNED = "from a parent"

__all__ = ["TrainResult", "train", "train_config"]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What came of a run: the scores of each series, the folder that keeps them, the models that are served.

    ``failed`` are pieces of work that could not be done, ``left_out`` series that could not be begun; the others are
    whole. ``trials`` counts the configurations tried on these data so far, those of this run too.
    """

    config: TrainConfig
    config_path: Path | None
    results: tuple[Scored, ...]
    failed: tuple[Failed, ...]
    left_out: tuple[tuple[str, ForecastleError], ...]
    trials: int
    resumed: int
    looked: Looked
    robustness: tuple[Robustness, ...] = ()
    folder: ExperimentFolder | None = None
    models: tuple[Path, ...] = ()
    run_id: str = ""
    notes: tuple[str, ...] = field(default=())


def train(workspace: Workspace, request: TrainRequest, progress: Progress = silent) -> TrainResult:
    """Train what a file says; raises as :func:`train_config` and :func:`load_config`."""
    return train_config(workspace, load_config(request.config), progress, request.config, request.open_holdout)


def train_config(
    workspace: Workspace,
    config: TrainConfig,
    progress: Progress = silent,
    path: Path | None = None,
    opening: str | None = None,
) -> TrainResult:
    """Fit every learner in every fold, score all over the same rows, count the trials, keep the run and the models.

    What was done before is read from ``models/checkpoints``: a run that was killed goes on and ends at the same
    numbers. Where a series cannot be trained, or a piece of work fails, the others are finished and it is told. Raises
    ``DataMissing`` or ``DataInvalid`` where nothing is left, ``ConfigurationError`` where a library is missing.
    """
    ready, left_out, looked = _ready(workspace, config, opening)
    works, owners = [], []
    for series in ready:
        for name, plug_in in learners_of(config, series.dataset.labels.unit).items():
            works.append(work_of(workspace.settings, config, series, name, plug_in))
            owners.append((series, name))
        for name, work in _from_parents(workspace, config, series, opening):
            works.append(work)
            owners.append((series, name))
    answers = run_all([Job(w.name, evaluate, (w,)) for w in works], engine_of(workspace.settings), progress)
    done: dict[int, dict[str, Evaluated]] = {}
    for (series, name), answer in zip(owners, answers, strict=True):
        if isinstance(answer, Done):
            done.setdefault(id(series), {})[name] = answer.result
    failed = tuple(answer for answer in answers if isinstance(answer, Failed))
    results, trials, more = _scores(workspace, config, ready, done)
    if not results:
        raise _nothing(failed, left_out, more)
    checked = tuple(robustness_of(workspace, config, result, progress) for result in results)
    result = TrainResult(
        config, path, tuple(results), failed, (*left_out, *more), trials,
        sum(e.resumed for r in results for e in r.evaluated.values()), looked, checked,
    )  # fmt: skip
    models = tuple(keep_model(workspace, config, r, _serves(config, r)) for r in results)
    return keep_run(workspace, result, models)


def _from_parents(
    workspace: Workspace, config: TrainConfig, series: Series, opening: str | None
) -> Iterator[tuple[str, Work]]:
    """Yield the work of learners that go on from a parent of other instruments."""
    if config.parents is None:
        return
    others = [i for i in config.parents.instruments if i != series.instrument]
    found = [s for i in others for s in series_of(workspace, config, i, opening)[0] if s.horizon == series.horizon]
    learners = learners_of(config, series.dataset.labels.unit)
    for name in config.parents.learners:
        if name not in learners:
            raise RequestInvalid(
                f"parents.learners names '{name}'.", f"The learners are {', '.join(learners)}.", "Name one of them."
            )
        named = f"{name} {FINE_TUNED}"
        yield named, work_of(workspace.settings, config, series, named, learners[name],
                             parents=tuple(s.dataset for s in found))  # fmt: skip


def _ready(
    workspace: Workspace, config: TrainConfig, opening: str | None
) -> tuple[list[Series], list[tuple[str, ForecastleError]], Looked]:
    found, left_out, looked = [], [], Looked()
    for instrument in config.data.instruments:
        try:
            series, seen = series_of(workspace, config, instrument, opening)
        except ForecastleError as error:
            if len(config.data.instruments) == 1 or error.exit_code not in (4, 6):
                raise
            left_out.append((instrument.id, error))
            continue
        found += series
        looked = Looked((*looked.cut, *seen.cut), (*looked.opened, *seen.opened))
    if not found:
        raise left_out[0][1]
    return found, left_out, looked


def _scores(
    workspace: Workspace, config: TrainConfig, ready: Sequence[Series], done: dict[int, dict[str, Evaluated]]
) -> tuple[list[Scored], int, list[tuple[str, ForecastleError]]]:
    """Register every configuration as a trial, then score: how much is asked of the best depends on their number."""
    log = TrialLog(workspace.settings.home, workspace.clock)
    for series in ready:
        _register(log, config, series, done.get(id(series), {}))
    results, left_out = [], []
    for series in ready:
        evaluated = done.get(id(series), {})
        try:
            if NAIVE[series.dataset.labels.unit][0] not in evaluated:
                raise DataMissing(
                    f"The baseline of {series.name} could not be fitted.", "Nothing can be said without it.",
                    "See what failed above.",
                )  # fmt: skip
            results.append(scored(config, series, evaluated, log.count(series.span)))
        except ForecastleError as error:
            left_out.append((series.name, error))
    return results, max((log.count(series.span) for series in ready), default=0), left_out


def _register(log: TrialLog, config: TrainConfig, series: Series, evaluated: dict[str, Evaluated]) -> None:
    labels = series.dataset.labels
    measure = f"{'log loss' if labels.task == 'direction' else 'squared error'} of {labels.name}"
    tried = learners_of(config, labels.unit)
    tried |= {name: tried[name.removesuffix(f" {FINE_TUNED}")] for name in evaluated if name.endswith(FINE_TUNED)}
    for name, plug_in in tried.items():
        if name in NAIVE[labels.unit] or name not in evaluated:
            continue
        made = evaluated[name].joined()
        losses = losses_of(series, labels.values[made.rows], made.forecast)
        rows, first = _first_of_each(made.rows, losses)
        if rows.size:
            told = {**configuration_of(config, plug_in, series.horizon), **_parents(config, name)}
            log.register(
                "train", told, series.span, losses[first], series.dataset.frame.known_at()[rows], "loss",
                {"mean_loss": float(losses[first].mean())}, measure,
            )  # fmt: skip


def _parents(config: TrainConfig, name: str) -> dict[str, list[str]]:
    if config.parents is None or not name.endswith(FINE_TUNED):
        return {}
    return {"parents": [i.id for i in config.parents.instruments]}


def _first_of_each(rows: IntArray, losses: FloatArray) -> tuple[IntArray, IntArray]:
    known = np.flatnonzero(np.isfinite(losses))
    found, first = np.unique(rows[known], return_index=True)
    return found, known[first]


def _serves(config: TrainConfig, result: Scored) -> tuple[str, PlugIn]:
    unit = result.series.dataset.labels.unit
    learners = {n: p for n, p in learners_of(config, unit).items() if n in result.evaluated}
    name = served_name(config, learners, NAIVE[unit])
    return name, learners[name]


def _nothing(failed: Sequence[Failed], left_out: Sequence[tuple[str, ForecastleError]],
             more: Sequence[tuple[str, ForecastleError]]) -> ForecastleError:  # fmt: skip
    errors = [f.error for f in failed if f.error is not None] + [error for _, error in (*left_out, *more)]
    if errors:
        return errors[0]
    return DataMissing("Nothing could be trained.", failed[0].why if failed else "There was no work.", "See -vv.")
