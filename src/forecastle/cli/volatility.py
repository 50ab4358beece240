"""Commands about volatility and risk: fit, forecast, rolling, backtest, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.nouns import Comparison


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Fit, forecast, walk forward, test, compare.")
    command(group, "fit")(fit)
    command(group, "forecast")(forecast)
    command(group, "rolling")(rolling)
    command(group, "backtest")(backtest)
    command(group, "compare")(compare)
    root.add_typer(group, name="volatility")


def fit(
    face: Face,
    id_: option.Id,
    model: option.ModelName = "garch",
    p: option.P = None,
    o: option.O = None,
    q: option.Q = None,
    dist: option.Dist = None,
    mean: option.Mean = None,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Fit one model to all the candles: parameters, errors, likelihood, convergence."""
    spec = _spec(name=model, p=p, o=o, q=q, dist=dist, mean=mean)
    request = requests.build(
        requests.FitRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end,
        as_of=as_of, model=spec,
    )  # fmt: skip
    summary = app.fit.fit(face.workspace, request)
    head = f"{request.instrument} {request.timeframe} from {summary.source}"
    document = {"instrument": request.instrument, "simulated": summary.simulated, "fit": summary}
    return Answer("volatility-fit", document, [head, *show.fit(summary)])


def forecast(
    face: Face,
    id_: option.Id,
    horizon: Annotated[int, typer.Option("--horizon", help="Bars ahead, 1 to 250.")] = 1,
    model: Annotated[str | None, typer.Option("--model", help="One model instead of all.")] = None,
    dist: option.Dist = None,
    window: option.Window = 1000,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Forecast sigma, VaR and ES over the next bars, by every model beside the naive ones."""
    models = (_spec(name=model, dist=dist),) if model or dist else requests.DEFAULT_MODELS
    request = requests.build(
        requests.ForecastRequest, instrument=id_, timeframe=timeframe, source=source, end=end, as_of=as_of,
        horizon=horizon, window=window, models=models,
    )  # fmt: skip
    found = app.forecast.forecast(face.workspace, request)
    return Answer(
        "volatility-forecast",
        {"forecasts": found.made, "refused": found.refused, "missing_bars": found.missing_bars},
        show.forecasts(found.made, found.refused, found.missing_bars),
    )


def rolling(
    face: Face,
    id_: option.Id,
    window: option.Window = 1000,
    refit: option.Refit = 20,
    model: option.ModelName = "garch",
    dist: option.Dist = None,
    level: option.LevelOption = 0.01,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Forecast every bar after the burn-in one step ahead, as it could have been at the time."""
    request = _rolling_request(id_, timeframe, source, start, end, as_of, model, dist, window, refit, level)
    with face.progress() as progress:
        path = app.rolling.rolling(face.workspace, request, progress)
    tail = path.frame.tail(20)
    rows = [
        (f"{r['target_time']:%Y-%m-%d %H:%M}", *(f"{100 * r[c]:.3f}" for c in ("sigma", "var", "es", "outcome")),
         "breach" if r["outcome"] < -r["var"] else "", "" if r["converged"] else "stale parameters")
        for r in tail.iter_rows(named=True)
    ]  # fmt: skip
    title = f"{path.instrument} {path.model}: last {tail.height} of {len(path)} bars, in percent (--json gives all)"
    columns = ("target (UTC)", ">sigma", ">VaR", ">ES", ">log return", "", "")
    return Answer(
        "volatility-rolling",
        {"rolling": path},
        [*show.marked(path.source, [show.table(title, columns, rows)]), *show.burn_in(path, request.start)],
    )


def backtest(
    face: Face,
    id_: option.Id,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
    level: option.LevelOption = 0.01,
    model: option.ModelName = "garch",
    dist: option.Dist = None,
    window: option.Window = 1000,
    refit: option.Refit = 20,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
) -> Answer:
    """Count the breaches of VaR and ES over the range, and test them."""
    request = _rolling_request(id_, timeframe, source, start, end, as_of, model, dist, window, refit, level)
    with face.progress() as progress:
        result = app.compare.backtest(face.workspace, request, progress)
    document = {k: v for k, v in vars(result).items() if k != "path"} | {"simulated": result.path.simulated}
    document |= {"instrument": result.path.instrument, "model": result.path.model, "level": level,
                 "observations": len(result.path), "data_hash": result.path.data_hash}  # fmt: skip
    return Answer("volatility-backtest", document, [*show.risk(result), *show.burn_in(result.path, request.start)])


def compare(
    face: Face,
    id_: option.Id,
    window: option.Window = 1000,
    refit: option.Refit = 20,
    level: option.LevelOption = 0.01,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Score every model beside the naive ones over the same bars, and say who wins."""
    request = requests.build(
        requests.CompareRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        window=window, refit_every=refit, level=level,
    )  # fmt: skip
    with face.progress() as progress:
        result = app.compare.compare(face.workspace, request, progress)
    scores = [
        {"model": s.model, "naive": s.naive, "qlike": s.qlike, "floored": s.floored, "against_naive": s.against_naive,
         "breaches": s.risk.breaches if s.risk else None, "expected": s.risk.expected if s.risk else None,
         "kupiec": s.risk.kupiec if s.risk else None, "christoffersen": s.risk.christoffersen if s.risk else None,
         "traffic_light": s.risk.traffic_light if s.risk else None}
        for s in result.scores
    ]  # fmt: skip
    document = {
        "instrument": result.instrument, "timeframe": result.timeframe, "observations": result.observations,
        "simulated": result.simulated, "scores": scores, "verdict": result.verdict, "data_hash": result.data_hash,
    }  # fmt: skip
    return Answer("volatility-compare", document, [*show.comparison(result), *_burn_in(result, request)])


def _rolling_request(
    id_: str, timeframe: str, source: str | None, start: str | None, end: str | None, as_of: str | None, model: str,
    dist: str | None, window: int, refit: int, level: float,
) -> requests.RollingRequest:  # fmt: skip
    return requests.build(
        requests.RollingRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        window=window, refit_every=refit, level=level, model=_spec(name=model, dist=dist),
    )  # fmt: skip


def _spec(**said: str | int | None) -> requests.ModelSpec:
    """Return the model of what was said; what was not said keeps its default."""
    return requests.build(requests.ModelSpec, **{key: value for key, value in said.items() if value is not None})


def _burn_in(result: Comparison, request: requests.CompareRequest) -> list[RenderableType]:
    risk = result.scores[0].risk
    return show.burn_in(risk.path, request.start) if risk else []
