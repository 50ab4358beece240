"""The command that tries the GARCH family and keeps account of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from forecastle.nouns.search import SearchResult, SearchTrial

Dists = Annotated[
    str | None, typer.Option("--dists", help="Innovations tried, such as normal,t (default) or normal,t,skewt.")
]
Trials = Annotated[
    int | None, typer.Option("--trials", help="So many models of a wider space (GJR, EGARCH, skewed t), by Optuna.")
]
Holdout = Annotated[int, typer.Option("--holdout", help="Last returns that are forecast one step ahead.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the proposals with --trials.")]


def add_to(group: typer.Typer) -> None:
    """Register the command in the group of volatility."""
    command(group, "search")(search)


def search(
    face: Face,
    id_: option.Id,
    dists: Dists = None,
    trials: Trials = None,
    window: option.Window = 1000,
    holdout: Holdout = 500,
    refit: option.Refit = 20,
    seed: Seed = 0,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Try GARCH(p,q) for p, q in 1..3 and rank by AIC, out-of-sample QLIKE beside it; save the best."""
    said: dict[str, Any] = {} if dists is None else {"dists": dists}
    request = requests.build(
        requests.SearchRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        trials=trials, window=window, holdout=holdout, refit_every=refit, seed=seed, **said,
    )  # fmt: skip
    with face.progress() as progress:
        result = app.search.search(face.workspace, request, progress)
    found = {
        "best_params": result.best_params, "best_model": result.best.model, "best_aic": result.best_aic,
        "best_oos_qlike": result.best.qlike, "tried": result.tried, "simulated": result.simulated,
        "remark": result.remark,
    }  # fmt: skip
    return Answer("volatility-search", {**vars(result), **found}, show.marked(result.source, _shown(result)))


def _shown(result: SearchResult) -> list[Any]:
    rows = [_row(trial, result.best_aic) for trial in result.trials]
    title = (
        f"{result.instrument} {result.timeframe} from {result.source}: {result.tried} models fitted to "
        f"{result.observations} returns; QLIKE of the last {result.holdout}, one step ahead, refitted every "
        f"{result.refit_every} to {result.window}"
    )
    return [
        show.table(title, ("model", ">AIC", ">above best", ">log-lik.", ">QLIKE", "fit"), rows),
        f"Remark: {result.remark}",
        f"Best: GarchModel({', '.join(f'{name}={value!r}' for name, value in result.best_params.items())})",
        f"Saved: {result.saved}",
        f"Tracked: run {result.run_id} in {result.tracking}",
        *_how_to_see(result.tracking),
    ]


def _how_to_see(tracking: str) -> list[str]:
    """Return how to look at the runs where no server shows them already."""
    return [] if tracking.startswith("http") else [f"See it with: mlflow ui --backend-store-uri '{tracking}'"]


def _row(trial: SearchTrial, best: float) -> tuple[str, ...]:
    if trial.aic is None:
        return (trial.model, "-", "-", "-", "-", f"FAILED: {trial.status.reason}")
    loss = "-" if trial.qlike is None else f"{trial.qlike:.4f}"
    words = "; ".join(part for part in (trial.status.reason or "converged", trial.qlike_reason) if part)
    return (trial.model, f"{trial.aic:.2f}", f"{trial.aic - best:.2f}", f"{trial.loglikelihood:.2f}", loss, words)
