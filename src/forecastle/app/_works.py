"""The pieces of work of a training run: which learners, with which recipe, over which folds, kept where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forecastle import __version__
from forecastle.app._datasets import Series
from forecastle.errors import RequestInvalid
from forecastle.experiments.evaluate import Work
from forecastle.experiments.recipe import Recipe
from forecastle.experiments.spec import PlugIn, TrainConfig, digest
from forecastle.experiments.track import git_revision
from forecastle.features import STEPS
from forecastle.features.select import SELECTIONS
from forecastle.jobs import Engine
from forecastle.models.learners import LEARNERS, NAIVE
from forecastle.settings import Settings

UNITS = {"direction": "up", "triple_barrier": "up", "return": "log return", "volatility": "log volatility"}


def learners_of(config: TrainConfig, unit: str) -> dict[str, PlugIn]:
    """Return the learners of a unit by the names that tables show: the naive ones first, then those of the file.

    Those that cannot learn it are left out. Raises ``RequestInvalid`` where none is left.
    """
    naive = NAIVE[unit]
    found = {name: PlugIn(name=name) for name in naive}
    times = [plug_in.name for plug_in in config.learners]
    for plug_in in config.learners:
        learner = plug_in.made("learner", LEARNERS)
        if plug_in.name in naive or unit not in learner.units:
            continue
        said = ",".join(f"{k}={v}" for k, v in plug_in.settings.items())
        found[plug_in.name if times.count(plug_in.name) == 1 else f"{plug_in.name}({said})"] = plug_in
    if len(found) == len(naive):
        named = ", ".join(times)
        raise RequestInvalid(
            f"None of the learners {named} can forecast {unit}.", "Each learner serves some targets only.",
            "Name others: docs/training.md lists them.",
        )  # fmt: skip
    return found


def recipe_of(config: TrainConfig, plug_in: PlugIn) -> Recipe:
    """Return what is done inside a fold with one learner."""
    select = None if config.select is None else config.select.made("selection", SELECTIONS)
    return Recipe(
        plug_in.made("learner", LEARNERS), tuple(s.made("step", STEPS) for s in config.prepare), select,
        config.calibrate, config.held_out, config.weights, config.seed,
    )  # fmt: skip


def configuration_of(config: TrainConfig, plug_in: PlugIn, horizon: int) -> dict[str, Any]:
    """Return what makes one configuration, to be counted as a trial: all that is tried but the data and the seed."""
    plain = config.plain
    kept = ("target", "features", "prepare", "select", "split", "calibrate", "held_out", "weights", "intervals")
    return {**{name: plain[name] for name in kept}, "horizon": horizon, "learner": plug_in.plain}


def work_of(
    settings: Settings, config: TrainConfig, series: Series, name: str, plug_in: PlugIn, **changed: Any
) -> Work:
    """Return the work of one learner on one series; its checkpoint is named by all that could change a number."""
    told = {
        "configuration": configuration_of(config, plug_in, series.horizon), "seed": config.seed,
        "data": series.span.document(), "features": series.dataset.frame.fingerprint,
        "folds": [[int(f.train.size), int(f.test[0]), int(f.test[-1])] for f in series.folds],
        "code": [__version__, git_revision()], "changed": {k: _told(v) for k, v in changed.items()},
    }  # fmt: skip
    place: Path = settings.models / "checkpoints" / digest(told)[:24]
    return Work(
        f"{name} on {series.name}", series.dataset, series.folds, recipe_of(config, plug_in), config.intervals.level,
        config.intervals.gamma, place, **changed,
    )  # fmt: skip


def _told(value: Any) -> str:
    """Return a change as text; of datasets their labels, features and numbers."""
    if not isinstance(value, tuple):
        return str(value)
    return digest([[d.labels.name, d.frame.fingerprint, float(np.nansum(d.labels.returns)), len(d)] for d in value])


def engine_of(settings: Settings) -> Engine:
    """Return where jobs run, by the settings."""
    jobs = settings.jobs
    return Engine(jobs.engine, jobs.address, jobs.workers)


def served_name(config: TrainConfig, learners: Mapping[str, PlugIn], naive: Sequence[str]) -> str:
    """Return the learner whose last fit is kept: the one that is named, else the first that is not naive."""
    others = [name for name in learners if name not in naive]
    if config.serve is None:
        return others[0]
    if config.serve not in learners:
        raise RequestInvalid(
            f"serve names '{config.serve}'.", f"The learners are {', '.join(learners)}.", "Name one of them."
        )
    return config.serve
