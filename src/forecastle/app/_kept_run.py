"""What a run leaves behind: its folder with ten fields, results and predictions, and its line in MLflow."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from forecastle.app import robustness
from forecastle.app._kept_models import score_of
from forecastle.app._model_card import card, importance_of
from forecastle.app._scored import Scored, fold_metrics
from forecastle.errors import ConfigurationError, UpstreamError
from forecastle.experiments import folder as folders
from forecastle.experiments.header import TenFields, write_header
from forecastle.experiments.results import Data, FoldScores, Results, Score, Target, write_results
from forecastle.experiments.spec import TrainConfig
from forecastle.experiments.track import Tracker, git_revision
from forecastle.lake.atomic import write_bytes
from forecastle.models.learners import NAIVE
from forecastle.nouns.scorecard import Figure
from forecastle.reports.drawings import calibration_svg, importance_svg
from forecastle.telemetry import logger
from forecastle.workspace import Workspace

if TYPE_CHECKING:
    from forecastle.app.train import TrainResult

EXPERIMENT = "training"
MOST_DRAWN = 30
CONFIG, ROBUSTNESS, CARD = "config.yaml", "robustness.json", "MODEL_CARD.md"


def keep_run(workspace: Workspace, result: TrainResult, models: tuple[Path, ...]) -> TrainResult:
    """Write the folder of the experiment and track it; where MLflow is not to be had the folder is there all the same.

    Raises ``StorageUnwritable``.
    """
    own = folders.begin(workspace.settings.home, workspace.clock, result.config.name)
    result = replace(result, folder=own, models=models)
    write_bytes(own.path / CONFIG, yaml.safe_dump(result.config.plain, sort_keys=False, allow_unicode=True).encode())
    made = [robustness.plain(r) for r in result.robustness]
    write_bytes(own.path / ROBUSTNESS, f"{json.dumps(made, indent=2, allow_nan=False)}\n".encode())
    write_bytes(own.path / CARD, card(result).encode())
    for number, one in enumerate(result.results[:MOST_DRAWN]):
        _draw(own.path, one, number)
    write_results(own, _results(workspace, result, own.id), _predictions(result))
    write_header(own.path, _fields(result, own), _body(result))
    try:
        return replace(result, run_id=_tracked(workspace, result))
    except (ConfigurationError, UpstreamError) as error:
        logger.warning("the run is not in MLflow: %s %s", error.what, error.why)
        return replace(result, notes=(*result.notes, f"Not tracked in MLflow: {error.what} {error.why}"))


def _draw(place: Path, one: Scored, number: int) -> None:
    """Write how honest the probabilities are, and which columns count, as pictures."""
    end = "" if number == 0 else f"-{number + 1}"
    if one.table.calibration:
        title = f"{one.series.name}: calibration out of sample"
        write_bytes(place / f"calibration{end}.svg", calibration_svg(title, one.table.calibration).encode())
    named = [s.learner for s in one.table.scores if not s.naive and any(one.evaluated[s.learner].importance)]
    shares = importance_of(one, named[0]) if named else {}
    title = f"{one.series.name}: what counts{f' for {named[0]}' if named else ''}"
    write_bytes(place / f"importance{end}.svg", importance_svg(title, shares).encode())


def _many(result: TrainResult) -> bool:
    return len(result.results) > 1


def key_of(result: TrainResult, scored: Scored, name: str) -> str:
    """Return the name of a score: with its series where a run has several."""
    return f"{scored.series.name}: {name}" if _many(result) else name


def _results(workspace: Workspace, result: TrainResult, id_: str) -> Results:
    config, first = result.config, result.results[0]
    labels, frame = first.series.dataset.labels, first.series.dataset.frame
    spans = [r.series.span for r in result.results]
    hashes = sorted({s.data_hash for s in spans})
    scores: dict[str, dict[str, Score]] = {}
    for one in result.results:
        for s in one.table.scores:
            told = scores.setdefault(s.learner, {})
            told |= {key_of(result, one, n): _score(f) for n, f in s.figures.items()}
    settings = {k: v for k, v in config.target.settings.items() if k != "horizon"}
    return Results(
        id=id_, config=config.plain, config_fingerprint=config.fingerprint,
        data=Data(
            instruments=sorted({r.series.instrument.id for r in result.results}), timeframe=config.data.timeframe,
            source=", ".join(sorted({r.series.source for r in result.results})),
            start=min(s.start for s in spans).isoformat(), end=max(s.end for s in spans).isoformat(),
            data_hash=hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        ),
        target=Target(name=config.target.name, task=labels.task, horizons=list(config.horizons), unit=labels.unit,
                      settings=settings),
        features=list(frame.columns), feature_fingerprint=frame.fingerprint, git_revision=git_revision(),
        seed=config.seed, made_at=workspace.clock.now().isoformat(), learners=list(scores), scores=scores,
        folds=_folds(result), trials=result.trials,
        notes=[*result.notes, *(f"{f.name}: {f.what} {f.why}" for f in result.failed),
               *(f"{name}: {error.what} {error.why}" for name, error in result.left_out)],
    )  # fmt: skip


def _score(f: Figure) -> Score:
    return Score(value=f.value, low=f.low, high=f.high, reason=f.reason)


def _folds(result: TrainResult) -> list[FoldScores]:
    found: list[FoldScores] = []
    for one in result.results:
        for number, train, test, metrics in fold_metrics(one):
            named = {n: {key_of(result, one, k): v for k, v in m.items()} for n, m in metrics.items()}
            found.append(FoldScores(number=number, train_rows=train, test_rows=test, metrics=named))
    return found


def _predictions(result: TrainResult) -> pl.DataFrame:
    parts = []
    for one in result.results:
        frame = one.predictions()
        if _many(result):
            keys = [
                pl.lit(one.series.instrument.id).alias("instrument"),
                pl.lit(one.series.horizon, pl.Int64).alias("horizon"),
            ]
            frame = frame.with_columns(keys)
        parts.append(frame)
    return pl.concat(parts, how="diagonal")


def _fields(result: TrainResult, own: folders.ExperimentFolder) -> TenFields:
    config, spans = result.config, [r.series.span for r in result.results]
    held = [f"held out and not seen: {lock}" for lock in result.looked.cut]
    held += [f"HOLD-OUT OPENED: {lock}" for lock in result.looked.opened]
    sets = [f"{s} from {s.source}, data {s.data_hash[:16]}" for s in spans[:10]]
    sets += [f"and {len(spans) - 10} more"] if len(spans) > 10 else []
    named = ", ".join(p.name for p in config.learners)
    return TenFields(
        own.id,
        config.owner or "not said",
        own.day,
        config.objective or "not said",
        "; ".join([*sets, *held]),
        f"{result.config_path or CONFIG} (fingerprint {config.fingerprint[:16]}, kept here as {CONFIG})",
        f"{named}; served: {', '.join(str(m.name) for m in result.models) or 'none'}; seed {config.seed}",
        " ".join(f"{r.series.name}: {r.table.verdict}" for r in result.results[:10]),
        f"No backtest: this run forecasts and does not trade. Configurations tried on these data so far: "
        f"{result.trials}.",
        config.notes or "none",
    )


def _body(result: TrainResult) -> str:
    """Return a table of scores of each series in Markdown."""
    lines = []
    for number, one in enumerate(result.results[:MOST_DRAWN]):
        end = "" if number == 0 else f"-{number + 1}"
        lines += ["", f"## {one.series.name}, {one.table.target}: {one.table.rows} rows", "", one.table.verdict, ""]
        lines += [*table_of(one), ""]
        if one.table.calibration:
            lines.append(f"![Calibration of {one.series.name}](calibration{end}.svg)")
        lines.append(f"![What counts on {one.series.name}](importance{end}.svg)")
    return "\n".join(lines)


def table_of(one: Scored) -> list[str]:
    """Return the scores of one series as lines of a Markdown table."""
    names = list(one.table.scores[0].figures)
    for s in one.table.scores:
        names += [n for n in s.figures if n not in names]
    lines = [f"| learner | {' | '.join(n.replace('_', ' ') for n in names)} | p, no skill | verdict |",
             f"|---|{'---|' * len(names)}---|---|"]  # fmt: skip
    for s in one.table.scores:
        cells = " | ".join(figure_text(s.figures.get(n)) for n in names)
        p = "" if s.no_skill is None or s.no_skill.p_value is None else f"{s.no_skill.p_value:.2g}"
        lines.append(f"| {s.learner}{' (naive)' if s.naive else ''} | {cells} | {p} | {s.verdict} |")
    return lines


def figure_text(f: Figure | None) -> str:
    """Return a figure with its interval, as in a table."""
    if f is None or f.value is None:
        return "n/a" if f is None else f"n/a ({f.reason})"
    if f.low is None or f.high is None:
        return f"{f.value:.4g}"
    return f"{f.value:.4g} ({f.low:.4g} to {f.high:.4g})"


def _tracked(workspace: Workspace, result: TrainResult) -> str:
    tracker = Tracker(workspace.settings, workspace.clock, EXPERIMENT)
    config, own = result.config, result.folder
    assert own is not None  # noqa: S101 - begun above
    tags = {"experiment_id": own.id, "owner": config.owner, "objective": config.objective,
            "config_fingerprint": config.fingerprint, "git_revision": git_revision(), "trials": result.trials,
            "folder": own.path.name}  # fmt: skip
    params = {"target": config.target.name, "horizons": config.horizons, "split": config.split.plain,
              "seed": config.seed, "timeframe": config.data.timeframe,
              "instruments": ",".join(i.id for i in config.data.instruments)[:400]}  # fmt: skip
    with tracker.run(own.id, params, tags) as run:
        for one in result.results:
            _track_series(tracker, run, config, one)
        for file in sorted(own.path.iterdir()):
            run.attach(file, "experiment")
        for model in result.models:
            for file in sorted(model.iterdir()):
                run.attach(file, f"models/{model.parent.parent.parent.name}-{model.parent.name}")
    return run.id


def _track_series(tracker: Tracker, run: Any, config: TrainConfig, one: Scored) -> None:
    folds = fold_metrics(one)
    for name in one.forecasts:
        score = score_of(one, name)
        params = {"learner": name, "instrument": one.series.instrument.id, "horizon": one.series.horizon,
                  "naive": name in NAIVE[one.series.dataset.labels.unit]}  # fmt: skip
        tags = {"data_hash": one.series.span.data_hash, "feature_fingerprint": one.series.dataset.frame.fingerprint,
                "verdict": score.verdict, "config_fingerprint": config.fingerprint}  # fmt: skip
        with tracker.run(f"{name} on {one.series.name}", params, tags, run) as child:
            figures = {n: f.value for n, f in score.figures.items() if f.value is not None}
            inside = {f"fold_{number}_{k}": v for number, _, _, metrics in folds
                      for k, v in metrics[name].items() if v is not None}  # fmt: skip
            child.log({**figures, **inside})
