"""Commands about models of returns and directions: train, predict, tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.app._scored import Scored
    from forecastle.app.robustness import Robustness
    from forecastle.app.train import TrainResult
    from forecastle.nouns.prediction import Prediction

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/btc-daily.yaml.")]
Opening = Annotated[
    str | None,
    typer.Option("--open-holdout", metavar="WHY", help="Look at what is held out too; it is counted, with this why."),
]


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "train")(train)
    command(root, "predict")(predict)
    command(root, "tune")(tune)


def train(face: Face, config: Config, open_holdout: Opening = None) -> Answer:
    """Train and validate the models of a file beside the naive ones; a run that was killed goes on."""
    request = requests.build(requests.TrainRequest, config=config, open_holdout=open_holdout)
    with face.progress() as progress:
        result = app.train.train(face.workspace, request, progress)
    return Answer("train", _document(result), _shown(result))


def tune(face: Face, config: Config, open_holdout: Opening = None) -> Answer:
    """Tune the learner that a file names, inside each fold; stopped, it goes on; every configuration is counted."""
    request = requests.build(requests.TrainRequest, config=config, open_holdout=open_holdout)
    with face.progress() as progress:
        found = app.tune.run(face.workspace, request, progress)
    rows = [
        (f.fold + 1, ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in f.settings.items()),
         f"{f.inner_loss:.5f}", f"{f.loss:.5f}", f"{f.default_loss:.5f}", f"{f.done}", f"{f.pruned}", f"{f.resumed}")
        for f in found.folds
    ]  # fmt: skip
    columns = ("fold", "chosen inside", ">inner loss", ">loss outside", ">of defaults", ">judged", ">pruned", ">before")
    head = show.table(f"{found.learner} on {found.result.series.name}", columns, rows)
    document = {
        "learner": found.learner, "series": found.result.series.name, "folds": found.folds, "trials": found.trials,
        "verdict": found.result.table.verdict, "scores": found.result.table.scores,
    }  # fmt: skip
    tried = f"{found.trials} configurations have been tried on these data so far. The best of many is lucky."
    shown = [head, _table(found.result), found.result.table.verdict, tried]
    return Answer("tune", document, show.marked(found.result.series.source, shown))


def predict(
    face: Face,
    id_: option.Id,
    horizon: Annotated[int | None, typer.Option("--horizon", help="Bars ahead, where several were trained.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Another than the latest, by its name.")] = None,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
) -> Answer:
    """Show the latest prediction of the served model: probability or number, interval, base rate, and its worth."""
    request = requests.build(
        requests.PredictRequest, instrument=id_, timeframe=timeframe, source=source, horizon=horizon, model=model
    )
    found = app.predict.predict(face.workspace, request)
    return Answer("predict", {"prediction": found}, show.marked(found.source, _prediction(found)))


def _prediction(found: Prediction) -> list[RenderableType]:
    forecast = found.forecast
    span = f"as of {forecast.as_of:%Y-%m-%d %H:%M} UTC, until {forecast.target_time:%Y-%m-%d %H:%M}"
    head = f"{forecast.instrument} {forecast.timeframe}, {span}: {found.learner} ({found.model})"
    if found.task == "direction":
        lines = [f"up with probability {found.value:.4f}; base rate {found.baseline:.4f}"]
    else:
        bounds = "" if found.low is None else f", {100 * found.level:g} % from {found.low:.5f} to {found.high:.5f}"
        lines = [f"{found.unit} {found.value:.5f}{bounds}; baseline {found.baseline:.5f}"]
    lines.append(f"sigma {forecast.sigma:.5f}, 5 % to 95 %: {forecast.quantiles[0.05]:.4f} to "
                 f"{forecast.quantiles[0.95]:.4f} log return")  # fmt: skip
    lines.append(f"call: {found.call}" + (f", it abstains: {'; '.join(found.reasons)}" if found.abstains else ""))
    lines.append(f"out of sample: {found.verdict}" + ("" if found.edge else ". Use the naive forecast."))
    return [head, *lines, *([found.note] if found.note else [])]


def _document(result: TrainResult) -> dict[str, Any]:
    return {
        "experiment": result.folder.id if result.folder else None,
        "folder": result.folder.path if result.folder else None,
        "config_fingerprint": result.config.fingerprint, "seed": result.config.seed, "trials": result.trials,
        "resumed_folds": result.resumed, "models": result.models, "mlflow_run": result.run_id,
        "series": [
            {"instrument": r.series.instrument.id, "horizon": r.series.horizon, "source": r.series.source,
             "simulated": r.series.history.candles.simulated, "data_hash": r.series.span.data_hash,
             "verdict": r.table.verdict, "baseline": r.baseline, "rows": r.table.rows, "scores": r.table.scores}
            for r in result.results
        ],
        "failed": [{"name": f.name, "what": f.what, "why": f.why, "hint": f.hint} for f in result.failed],
        "left_out": [{"name": name, "what": e.what, "why": e.why} for name, e in result.left_out],
        "notes": result.notes,
    }  # fmt: skip


def _shown(result: TrainResult) -> list[RenderableType]:
    shown: list[RenderableType] = []
    for one in result.results:
        shown += show.marked(one.series.source, [_table(one), one.table.verdict])
    for checked in result.robustness:
        shown += _robustness(checked)
    for lock in result.looked.cut:
        shown.append(f"Not looked at, held out: {lock}")
    for lock in result.looked.opened:
        shown.append(f"HOLD-OUT OPENED, and counted: {lock}")
    for failed in result.failed:
        shown.append(f"Failed: {failed.what} {failed.why}")
    for name, error in result.left_out:
        shown.append(f"Left out: {name}. {error.what} {error.why}")
    if result.resumed:
        shown.append(f"{result.resumed} folds had been done before and were read.")
    tried = f"{result.trials} configurations have been tried on these data so far."
    shown.append(f"{tried} {'The best of many is lucky.' if result.trials > 1 else ''}".rstrip())
    shown += list(result.notes)
    if result.folder is not None:
        shown.append(f"Kept as {result.folder.id}: {result.folder.path}")
    return shown


def _table(one: Scored) -> RenderableType:
    names = list(dict.fromkeys(n for s in one.table.scores for n in s.figures))
    short = [n for n in names if n in ("log_loss", "brier_skill", "auc", "mse", "r2_oos", "coverage", "crps")]
    rows = []
    for s in one.table.scores:
        figures = [s.figures.get(n) for n in short]
        cells = ["" if f is None or f.value is None else f"{f.value:.4g}" for f in figures]
        p = "" if s.no_skill is None or s.no_skill.p_value is None else f"{s.no_skill.p_value:.2g}"
        rows.append((s.learner, *cells, p, s.verdict))
    title = f"{one.series.name}, {one.table.target}: {one.table.rows} rows out of sample against the {one.baseline}"
    return show.table(title, ("learner", *(f">{n.replace('_', ' ')}" for n in short), ">p no skill", "verdict"), rows)


def _robustness(found: Robustness) -> list[RenderableType]:
    shown: list[RenderableType] = []
    if found.controls:
        told = [f"{c.name} {100 * (c.skill.value or 0):.2f} % (p = {_p(c.p_value)})" for c in found.controls]
        shown.append(f"Controls of {found.learner} on {found.series}, skill: {', '.join(told)}; there is none to find.")
    regimes = [p for p in found.regimes if p.learner == found.learner]
    if regimes:
        told = [f"{p.name} {100 * (p.skill.value or 0):.2f} % ({p.rows})" for p in regimes]
        shown.append(f"Skill of {found.learner} by regime (rows): {', '.join(told)}.")
    for title, changes in (("without", found.ablation), ("with", found.sensitivity)):
        if changes:
            told = [f"{c.name} {c.change.value:+.2g}" for c in changes]
            shown.append(f"Change of the mean loss of {found.learner} {title}: {', '.join(told)}.")
    return shown + list(found.notes)


def _p(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2g}"
