"""Commands about volatility and risk: fit, forecast, rolling, backtest, compare, search, portfolio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli import search
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show
from forecastle.cli.portfolio import portfolio

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
    search.add_to(group)
    command(group, "portfolio")(portfolio)
    root.add_typer(group, name="volatility")


def fit(
    face: Face,
    id_: option.Id,
    model: option.ModelName = "garch",
    p: option.P = None,
    o: option.O = None,
    q: option.Q = None,
    vol: option.Vol = None,
    dist: option.Dist = None,
    mean: option.Mean = None,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the model under models/garch in the home folder.")] = False,
) -> Answer:
    """Fit one model to all the candles: parameters, errors, likelihood, convergence, diagnostics."""
    spec = _spec(name=model, p=p, o=o, q=q, vol=vol, dist=dist, mean=mean)
    request = requests.build(
        requests.FitRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end,
        as_of=as_of, model=spec,
    )  # fmt: skip
    if save:
        summary, saved = app.fit.fit_and_save(face.workspace, request)
        kept, lines = {"saved": saved.path}, [f"Saved as {saved.name}: {saved.path}"]
    else:
        summary, kept, lines = app.fit.fit(face.workspace, request), {}, []
    head = f"{request.instrument} {request.timeframe} from {summary.source}"
    document = {"instrument": request.instrument, "simulated": summary.simulated, "fit": summary, **kept}
    return Answer("volatility-fit", document, [head, *show.fit(summary), *lines])


def forecast(
    face: Face,
    id_: option.Id,
    horizon: Annotated[int, typer.Option("--horizon", help="Bars ahead, 1 to 250.")] = 1,
    model: Annotated[str | None, typer.Option("--model", help="One model instead of all.")] = None,
    p: option.P = None,
    o: option.O = None,
    q: option.Q = None,
    vol: option.Vol = None,
    dist: option.Dist = None,
    mean: option.Mean = None,
    tail: option.Tail = None,
    window: option.Window = 1000,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Forecast sigma, VaR and ES over the next bars: combined, and by every model beside the naive ones."""
    said = {"name": model, "p": p, "o": o, "q": q, "vol": vol, "dist": dist, "mean": mean, "tail": tail}
    one = {"models": (_spec(**said),)} if any(value is not None for value in said.values()) else {}
    request = requests.build(
        requests.ForecastRequest, instrument=id_, timeframe=timeframe, source=source, end=end, as_of=as_of,
        horizon=horizon, window=window, **one,
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
    refit: option.Refit = 1,
    model: option.ModelName = "garch",
    p: option.P = None,
    o: option.O = None,
    q: option.Q = None,
    vol: option.Vol = None,
    dist: option.Dist = None,
    mean: option.Mean = None,
    tail: option.Tail = None,
    level: option.LevelOption = 0.01,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Forecast every bar after the burn-in one step ahead, as it could have been at the time."""
    request = requests.build(
        requests.RollingRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        window=window, refit_every=refit, level=level,
        model=_spec(name=model, p=p, o=o, q=q, vol=vol, dist=dist, mean=mean, tail=tail),
    )  # fmt: skip
    with face.progress() as progress:
        path = app.rolling.rolling(face.workspace, request, progress)
    last = path.frame.tail(20)
    rows = [
        (f"{r['target_time']:%Y-%m-%d %H:%M}", *(f"{100 * r[c]:.3f}" for c in ("sigma", "var", "es", "outcome")),
         "breach" if r["outcome"] < -r["var"] else "", "" if r["converged"] else "stale parameters")
        for r in last.iter_rows(named=True)
    ]  # fmt: skip
    title = f"{path.instrument} {path.model}: last {last.height} of {len(path)} bars, in percent (--json gives all)"
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
    p: option.P = None,
    o: option.O = None,
    q: option.Q = None,
    vol: option.Vol = None,
    dist: option.Dist = None,
    mean: option.Mean = None,
    tail: option.Tail = None,
    window: option.Window = 1000,
    refit: option.Refit = 1,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
) -> Answer:
    """Count the breaches of VaR and ES over the range, and test them."""
    request = requests.build(
        requests.RollingRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        window=window, refit_every=refit, level=level,
        model=_spec(name=model, p=p, o=o, q=q, vol=vol, dist=dist, mean=mean, tail=tail),
    )  # fmt: skip
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
    refit: option.Refit = 1,
    level: option.LevelOption = 0.01,
    target: Annotated[
        str, typer.Option("--target", help="What the variance was: returns (squared), or realized (of finer bars).")
    ] = "returns",
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Score every model beside the naive ones over the same bars, and say who wins."""
    request = requests.build(
        requests.CompareRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        window=window, refit_every=refit, level=level, target=target,
    )  # fmt: skip
    with face.progress() as progress:
        result = app.compare.compare(face.workspace, request, progress)
    scores = [
        {"model": s.model, "naive": s.naive, "qlike": s.qlike, "floored": s.floored, "against_naive": s.against_naive,
         "mse": s.mse, "fz0": s.fz0, "pinball": s.pinball, "crps": s.crps, "mcs": s.mcs,
         "breaches": s.risk.breaches if s.risk else None, "expected": s.risk.expected if s.risk else None,
         "kupiec": s.risk.kupiec if s.risk else None, "christoffersen": s.risk.christoffersen if s.risk else None,
         "traffic_light": s.risk.traffic_light if s.risk else None}
        for s in result.scores
    ]  # fmt: skip
    document = {
        "instrument": result.instrument, "timeframe": result.timeframe, "observations": result.observations,
        "simulated": result.simulated, "scores": scores, "verdict": result.verdict, "data_hash": result.data_hash,
        "target": result.target, "confidence_set": result.confidence_set, "refused": result.refused,
    }  # fmt: skip
    return Answer("volatility-compare", document, [*show.comparison(result), *_burn_in(result, request)])


def _spec(**said: str | int | None) -> requests.ModelSpec:
    """Return the model of what was said; what was not said keeps its default."""
    return requests.build(requests.ModelSpec, **{key: value for key, value in said.items() if value is not None})


def _burn_in(result: Comparison, request: requests.CompareRequest) -> list[RenderableType]:
    risk = result.scores[0].risk
    return show.burn_in(risk.path, request.start) if risk else []
