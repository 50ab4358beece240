"""Options that several commands take, worded once."""

from __future__ import annotations

from typing import Annotated

import typer

from forecastle.cli._late import app, sessions
from forecastle.errors import ForecastleError
from forecastle.models import MODELS
from forecastle.sources import source_names


def _instruments(incomplete: str) -> list[str]:
    """Complete from what the lake holds; a lake that cannot be read completes nothing."""
    try:
        names = {info.key.instrument for info in app.look.datasets(app.look.open_workspace())}
    except ForecastleError:
        return []
    return sorted(n for n in names if n.startswith(incomplete.upper()))


Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="Instrument, such as BTC-USDT, AAPL, SPX.INDEX.", autocompletion=_instruments),
]
Timeframe = Annotated[
    str,
    typer.Option(
        "--timeframe", help="Length of a bar, from 1m to 1mo.", autocompletion=lambda: list(sessions.TIMEFRAMES)
    ),
]
SourceOf = Annotated[
    str | None,
    typer.Option("--source", help="Needed only where the lake holds several; a,b: the first that has a bar."),
]
SourceTo = Annotated[
    str,
    typer.Option(
        "--source",
        help=f"{', '.join(source_names())}, or any exchange of ccxt; a,b asks b where a fails.",
        autocompletion=lambda: list(source_names()),
    ),
]
Timeframes = Annotated[
    str,
    typer.Option(
        "--timeframe", help="Length of a bar, from 1m to 1mo; several as 1d,1h.",
        autocompletion=lambda: list(sessions.TIMEFRAMES),
    ),
]  # fmt: skip
AsOf = Annotated[str | None, typer.Option("--as-of", help="The lake as it was at that moment, before later revisions.")]
Start = Annotated[str | None, typer.Option("--start", metavar="D", help="First day, UTC, such as 2020-01-31.")]
End = Annotated[str | None, typer.Option("--end", metavar="D", help="Last moment (bars closing until then), UTC.")]
ModelName = Annotated[
    str, typer.Option("--model", help=f"One of: {', '.join(MODELS)}.", autocompletion=lambda: list(MODELS))
]
Vol = Annotated[
    str | None,
    typer.Option("--vol", help="Variance of garch: garch (default), egarch, aparch, figarch, harch, midas."),
]
Dist = Annotated[str | None, typer.Option("--dist", help="Innovations: normal, t (default); of garch skewt, ged too.")]
Mean = Annotated[str | None, typer.Option("--mean", help="Mean: constant (default), zero; of garch ar, too.")]
P = Annotated[int | None, typer.Option("--p", help="Lags of squared residuals of garch, 1 (default) to 3.")]
O = Annotated[int | None, typer.Option("--o", help="Lags of their negative part, 0 (default) to 3: GJR.")]  # noqa: E741
Q = Annotated[int | None, typer.Option("--q", help="Lags of the variance of garch, 0 to 3, default 1.")]
Tail = Annotated[
    str | None,
    typer.Option(
        "--tail",
        help="VaR and ES from: own (the model's distribution), fhs (its past residuals), evt (an extreme-value tail), "
        "conformal (a level that past breaches track; default of combination).",
    ),
]
Window = Annotated[int, typer.Option("--window", help="Returns a fit looks back on.")]
Refit = Annotated[int, typer.Option("--refit", help="Bars between refits.")]
LevelOption = Annotated[float, typer.Option("--level", help="Of VaR and ES; 0.01 is one percent.")]
