"""The command about several instruments at once: volatility portfolio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.nouns.portfolio import PortfolioForecast

Ids = Annotated[
    list[str], typer.Argument(metavar="ID ID...", help="Two instruments or more, such as SPX.INDEX BTC-USD.")
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", help="Shares of the equity in the order of the IDs, such as 0.6,0.4; equal if left out."),
]
Model = Annotated[str, typer.Option("--model", help="dcc: correlations that move; ccc: that stay.")]
Horizon = Annotated[int, typer.Option("--horizon", help="Common bars ahead, 1 to 30.")]


def portfolio(
    face: Face,
    ids: Ids,
    weights: Weights = None,
    model: Model = "dcc",
    horizon: Horizon = 1,
    level: option.LevelOption = 0.01,
    window: option.Window = 1000,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Forecast VaR and ES of several instruments held together, and what each adds to them."""
    request = requests.build(
        requests.PortfolioRequest, instruments=tuple(ids), weights=weights, model=model, horizon=horizon, level=level,
        window=window, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
    )  # fmt: skip
    with face.progress() as progress:
        made = app.portfolio.portfolio(face.workspace, request, progress)
    return Answer("volatility-portfolio", document(made, level), shown(made, level))


def document(made: PortfolioForecast, level: float) -> dict[str, Any]:
    """Return the forecast as plain data: VaR and ES by level, their parts at ``level``."""
    from forecastle.nouns.forecast import TAIL_LEVELS

    parts = [
        {"instrument": i, "weight": made.weights[k], "sigma": made.sigmas[k],
         "marginal_var": made.marginal_var(level)[k], "component_var": made.component_var(level)[k],
         "marginal_es": made.marginal_es(level)[k], "component_es": made.component_es(level)[k]}
        for k, i in enumerate(made.instruments)
    ]  # fmt: skip
    levels = sorted({*TAIL_LEVELS, level})
    return {
        "model": made.model, "timeframe": made.timeframe, "source": made.source, "simulated": made.simulated,
        "horizon": made.horizon, "as_of": made.as_of, "target_time": made.target_time, "window": made.window,
        "common_bars": made.common_bars, "spanning_gaps": made.spanning_gaps, "mean": made.distribution.mean,
        "sigma": made.sigma, "level": level, "var": {str(p): made.var(p) for p in levels},
        "es": {str(p): made.es(p) for p in levels}, "parts": parts,
        "diversification_ratio": made.diversification_ratio, "correlation": made.correlation,
        "covariance": made.covariance, "converged": made.status.converged, "reason": made.status.reason,
        "data_hash": made.data_hash,
    }  # fmt: skip


def shown(made: PortfolioForecast, level: float) -> list[RenderableType]:
    """Return the parts, the whole, and the correlations now."""
    from forecastle.units import percent

    whole = (made.var(level), made.es(level))
    var, es = made.component_var(level), made.component_es(level)
    rows = [
        (str(i), f"{made.weights[k]:.3f}", percent(made.sigmas[k], 3), percent(var[k]), percent(var[k] / whole[0], 1),
         percent(es[k]), percent(es[k] / whole[1], 1))
        for k, i in enumerate(made.instruments)
    ]  # fmt: skip
    rows.append(
        ("whole", f"{made.weights.sum():.3f}", percent(made.sigma, 3), percent(whole[0]), "", percent(whole[1]), "")
    )
    bars = "bar" if made.horizon == 1 else "bars"
    title = f"{made.model}: log return over the next {made.horizon} common {bars} of {made.timeframe}"
    name = f"{100 * level:g} %"
    columns = ("", ">weight", ">sigma", f">VaR {name}", ">share", f">ES {name}", ">share")
    names = [str(i) for i in made.instruments]
    matrix = [(names[k], *(f"{c:.2f}" for c in row)) for k, row in enumerate(made.correlation)]
    notes = [
        f"as of {made.as_of:%Y-%m-%d %H:%M} UTC, until {made.target_time:%Y-%m-%d %H:%M} UTC; source {made.source}; "
        f"diversification ratio {made.diversification_ratio:.2f}",
        f"{made.common_bars} bars are common to all; the fit saw the last {made.window} returns. VaR and ES: "
        "filtered historical simulation, split by Euler's theorem.",
    ]
    total = float(made.weights.sum())
    if abs(total - 1.0) > 1e-9:
        notes.append(f"Note: the weights add up to {total:g}, not to 1; sigma, VaR and ES are in shares of the equity.")
    if made.spanning_gaps:
        notes.append(f"Note: {made.spanning_gaps} returns reach across missing bars and were left out.")
    if made.status.reason:
        notes.append(f"Fit: {made.status.reason}.")
    tables = [
        show.table(title, columns, rows),
        show.table("Correlation of the next bar", ("", *(f">{n}" for n in names)), matrix),
    ]
    return show.marked(made.source, [*tables, *notes])
