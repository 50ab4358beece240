"""The model that is served: fitted once more to all that is known, and kept as files that run nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from forecastle.app._datasets import known_until_end
from forecastle.app._scored import Scored
from forecastle.app._works import work_of
from forecastle.experiments.evaluate import fit
from forecastle.experiments.fitted_recipe import FittedRecipe
from forecastle.experiments.spec import PlugIn, TrainConfig
from forecastle.experiments.track import git_revision
from forecastle.lake.model_files import ModelFolder, read_model, write_model
from forecastle.nouns.scorecard import LearnerScore
from forecastle.settings import Settings
from forecastle.workspace import Workspace

FOLDER = "returns"
_MODEL = re.compile(r"^\d{8}t\d{6}z(-\d+)?$")


def folder_of(settings: Settings, instrument: str, timeframe: str, horizon: int) -> Path:
    """Return the folder with the models of one series and horizon."""
    return settings.models / FOLDER / instrument / timeframe / f"h{horizon}"


def model_names(folder: Path) -> list[str]:
    """Return the names of the models in a folder, oldest first; what was half written has another name."""
    found = [path.name for path in folder.glob("*") if _MODEL.match(path.name)]
    return sorted(found, key=lambda name: (name[:16], len(name), name))


def keep_model(workspace: Workspace, config: TrainConfig, result: Scored, served: tuple[str, PlugIn]) -> Path:
    """Fit the served learner to every row whose label is known, and write it as a new folder; raises as fitting does.

    Its scores are those of the folds: nothing is left to score the last fit itself on.
    """
    name, plug_in = served
    series = result.series
    work = work_of(workspace.settings, config, series, name, plug_in)
    fitted = fit(work, known_until_end(series))
    place = folder_of(workspace.settings, series.instrument.id, config.data.timeframe, series.horizon)
    about = _about(workspace, config, result, name, fitted)
    stem, number = f"{workspace.clock.now():%Y%m%dt%H%M%Sz}", 1
    while (place / (stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return write_model(place / (stem if number == 1 else f"{stem}-{number}"), fitted.files(), about).path


def read_kept(folder: Path) -> tuple[FittedRecipe, ModelFolder]:
    """Return a model that was kept, proven before anything of it is parsed; raises ``DataCorrupt``, ``DataMissing``."""
    model = read_model(folder)
    return FittedRecipe.from_files(model.files), model


def _about(
    workspace: Workspace, config: TrainConfig, result: Scored, name: str, fitted: FittedRecipe
) -> dict[str, Any]:
    series, score = result.series, score_of(result, name)
    return {
        "learner": name, "instrument": series.instrument.id, "timeframe": config.data.timeframe,
        "source": series.source, "horizon": series.horizon, "target": series.dataset.labels.name,
        "config": config.name, "config_fingerprint": config.fingerprint, "data_hash": series.span.data_hash,
        "trained_until": fitted.trained_until.isoformat(), "made_at": workspace.clock.now().isoformat(),
        "git_revision": git_revision(), "seed": config.seed, "abstain_within": config.abstain_within,
        "level": config.intervals.level, "baseline": result.baseline, "verdict": score.verdict, "edge": score.edge,
        "scores": {k: f.value for k, f in score.figures.items()},
        "periods_per_year": series.history.candles.calendar.periods_per_year(config.data.timeframe),
        "feature_columns": list(fitted.input_columns),
    }  # fmt: skip


def score_of(result: Scored, name: str) -> LearnerScore:
    """Return the scores of one learner."""
    return next(s for s in result.table.scores if s.learner == name)


__all__ = ["folder_of", "keep_model", "model_names", "read_kept", "score_of"]
