"""Tuning inside a fold: Optuna proposes settings, inner folds judge them, and what was judged is kept in a database.

A study goes on where it was stopped and ends at the same settings: each proposal is drawn from a seed of its own and
from the trials that ended before it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forecastle.clock import stopwatch
from forecastle.errors import ConfigurationError, ForecastleError, ForecastRefused
from forecastle.experiments import extra_track
from forecastle.settings import without_password

Objective = Callable[[Mapping[str, Any]], Iterator[float]]
"""Yields the running mean of the loss after each inner fold, lower is better; the last one is the value."""
WARM_UP = 5
"""Trials that are never stopped early."""


@dataclass(frozen=True)
class Study:
    """What to search: ``space`` by setting, ``low`` and ``high`` (and ``log``), or ``choices``."""

    name: str
    space: Mapping[str, Mapping[str, Any]]
    trials: int
    seed: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Tuned:
    """The best settings and their loss; how many trials were done, pruned, failed, and how many of them before."""

    settings: Mapping[str, Any]
    value: float
    done: int
    pruned: int
    failed: int
    resumed: int


def tune(storage: str, study: Study, objective: Objective, told: Callable[[int, int], None]) -> Tuned:
    """Judge settings until there are as many trials as asked for, or the time is over; return the best.

    ``storage`` is an address of SQLAlchemy: SQLite or PostgreSQL. ``told`` hears how many of how many are done. Trials
    whose loss is above the median of the others at the same inner fold are pruned. Raises ``ConfigurationError``
    without the extra ``track`` or where the database cannot be used, ``ForecastRefused`` where every trial failed.
    """
    with extra_track(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
    logging.getLogger("optuna").setLevel(logging.WARNING)
    try:
        return _tuned(optuna, storage, study, objective, told)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = str(error).strip().splitlines()[0][:200].rstrip(".")
        raise ConfigurationError(
            f"Trials cannot be kept in {without_password(storage)}.", f"{without_password(why)}.",
            "Mend that, or name another place with FORECASTLE__TUNING__STORAGE.",
        ) from error  # fmt: skip


def _tuned(optuna: Any, storage: str, asked: Study, objective: Objective, told: Callable[[int, int], None]) -> Tuned:
    states = optuna.trial.TrialState
    pruner = optuna.pruners.MedianPruner(n_startup_trials=WARM_UP)
    study = optuna.create_study(storage=storage, study_name=asked.name, load_if_exists=True, pruner=pruner)
    for left in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(left.number, state=states.FAIL)  # whoever ran it was stopped
    ended = (states.COMPLETE, states.PRUNED)
    begun, before = stopwatch(), len(study.get_trials(deepcopy=False, states=ended))
    failed = 0
    while True:
        done = len(study.get_trials(deepcopy=False, states=ended))
        told(min(done + failed, asked.trials), asked.trials)
        late = asked.seconds is not None and stopwatch() - begun > asked.seconds and done > 0
        if done + failed >= asked.trials or late:
            break
        study.sampler = optuna.samplers.TPESampler(seed=asked.seed + done, n_startup_trials=WARM_UP)
        failed += not _one(optuna, study, asked, objective)
    complete = study.get_trials(deepcopy=False, states=(states.COMPLETE,))
    if not complete:
        raise ForecastRefused(
            f"None of {asked.trials} trials of {asked.name} could be judged.", "Every one failed or was pruned.",
            "Look at the space, or train the learner with its defaults first.",
        )  # fmt: skip
    best = min(complete, key=lambda trial: (trial.value, trial.number))
    pruned = len(study.get_trials(deepcopy=False, states=(states.PRUNED,)))
    return Tuned(dict(best.params), float(best.value), len(complete), pruned, failed, before)


def _one(optuna: Any, study: Any, asked: Study, objective: Objective) -> bool:
    """Judge one proposal; return whether it ended as a trial that counts."""
    trial = study.ask()
    settings = {name: _drawn(trial, name, how) for name, how in asked.space.items()}
    value = None
    try:
        for step, value in enumerate(objective(settings)):
            trial.report(value, step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return True
    except ForecastleError as error:
        trial.set_user_attr("reason", error.what)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return False
    study.tell(trial, value)
    return True


def _drawn(trial: Any, name: str, how: Mapping[str, Any]) -> Any:
    if "choices" in how:
        return trial.suggest_categorical(name, list(how["choices"]))
    low, high, log = how["low"], how["high"], bool(how.get("log", False))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, float(low), float(high), log=log)
