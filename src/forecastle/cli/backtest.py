"""Commands about strategies: backtest, walk-forward, sweep, stress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from forecastle.app.backtest import Backtested
    from forecastle.nouns.backtest_result import BacktestResult
    from forecastle.nouns.scorecard import Figure

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/backtest-btc-daily.yaml.")]
Opening = Annotated[
    str | None,
    typer.Option("--open-holdout", metavar="WHY", help="Look at what is held out too; it is counted, with this why."),
]
PERCENT = ("total_return", "cagr", "volatility", "max_drawdown", "exposure", "gross_exposure", "win_rate", "mean_trade",
           "largest_exposure")  # fmt: skip
BESIDE = ("total_return", "cagr", "sharpe", "max_drawdown", "mar")
SHOWN = 20
"""Sets of a sweep, and windows, that are shown to a person; ``--json`` has all."""


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "backtest")(backtest)
    command(root, "walk-forward")(walk_forward)
    command(root, "sweep")(sweep)
    command(root, "stress")(stress)


def backtest(face: Face, config: Config, open_holdout: Opening = None) -> Answer:
    """Trade the strategy of a file over the past, with real costs, beside buy and hold; writes a report."""
    request = requests.build(requests.BacktestRequest, config=config, open_holdout=open_holdout)
    with face.progress() as progress:
        found = app.backtest.backtest(face.workspace, request, progress)
    return Answer("backtest", document_of(found), shown_of(found))


def walk_forward(face: Face, config: Config, open_holdout: Opening = None) -> Answer:
    """Choose and train on the past, trade the next window, go on: what choosing itself is worth."""
    request = requests.build(requests.BacktestRequest, config=config, open_holdout=open_holdout)
    with face.progress() as progress:
        found = app.walk_forward.walk_forward(face.workspace, request, progress)
    return Answer("walk-forward", document_of(found), [*_windows(found.result), *shown_of(found)])


def sweep(face: Face, config: Config, open_holdout: Opening = None) -> Answer:
    """Try every set of settings that a file's sweep names, over all cores; stopped, it goes on. Each is counted."""
    request = requests.build(requests.BacktestRequest, config=config, open_holdout=open_holdout)
    with face.progress() as progress:
        found = app.sweep.sweep(face.workspace, request, progress)
    names = list(found.rows[0].settings)
    figures = ("total_return", "sharpe", "max_drawdown", "mar", "trades")
    rows = [(*(str(r.settings[n]) for n in names), *(_value(n, r.figures[n]) for n in figures))
            for r in found.rows[:SHOWN]]  # fmt: skip
    columns = (*(f">{n}" for n in names), *(f">{n.replace('_', ' ')}" for n in figures))
    pbo, best = found.overfitting, found.deflated
    told = [
        f"Probability of overfitting: {_number(pbo.probability)}{_reason(pbo.reason)}. It is how often the best set of "
        "one half of the time was below the median in the other.",
        f"Deflated Sharpe of the best: {_number(best.probability)}{_reason(best.reason)} after {found.trials} "
        "configurations tried on these data.",
    ]  # fmt: skip
    told += [f"{found.resumed} sets had been done before and were read."] if found.resumed else []
    told += [f"Failed: {f.what} {f.why}" for f in found.failed]
    told += [f"Kept in {found.folder}"] if found.folder else []
    document = {
        "sets": [{"settings": r.settings, "figures": r.figures} for r in found.rows], "trials": found.trials,
        "overfitting": pbo, "deflated_sharpe": best, "resumed": found.resumed, "folder": found.folder,
        "failed": [{"name": f.name, "what": f.what, "why": f.why} for f in found.failed],
    }  # fmt: skip
    title = f"{found.config.name}: {len(found.rows)} sets, best Sharpe ratio first"
    return Answer("sweep", document, show.marked(found.source, [show.table(title, columns, rows), *told]))


def stress(face: Face, config: Config, open_holdout: Opening = None) -> Answer:
    """See what crises, crashes, gaps, outages, dearer costs and other luck would have made of a strategy."""
    request = requests.build(requests.BacktestRequest, config=config, open_holdout=open_holdout)
    with face.progress() as progress:
        found = app.stress.stress(face.workspace, request, progress)
    result = found.stress
    names = ("total_return", "sharpe", "max_drawdown")
    rows = [("as it was", "", *(_told(n, result.base.get(n)) for n in names), "", "", "")]
    rows += [
        (s.name, s.kind, *(_told(n, s.figures.get(n)) for n in names), _value("total_return", s.hold),
         str(s.calls or ""), str(s.liquidations or ""))
        for s in result.scenarios
    ]  # fmt: skip
    columns = ("scenario", "kind", *(f">{n.replace('_', ' ')}" for n in names), ">holding", ">calls", ">liquidated")
    shown: list[RenderableType] = [show.table(f"{result.name}: {result.strategy}", columns, rows)]
    if result.liquidation:
        chances = [(c.side, f"{c.leverage:g}", str(c.horizon), f"{c.probability:.4f}", f"{c.low:.4f} to {c.high:.4f}")
                   for c in result.liquidation]  # fmt: skip
        columns = ("side", ">leverage", ">bars", ">probability", "95 % of the drawing alone")
        shown.append(show.table("Chance of liquidation, from the latest forecast", columns, chances))
    shown += [f"{s.name}: {s.note}" for s in result.scenarios if not s.figures]
    shown += [*result.notes, f"Kept as {found.folder.id}: {found.folder.path}"]
    document = {"stress": result, "experiment": found.folder.id, "folder": found.folder.path}
    return Answer("stress", document, show.marked(result.source, shown))


def document_of(found: Backtested) -> dict[str, Any]:
    """Return a result as the document of ``--json``."""
    from forecastle.app._kept_backtest import numbers

    told = {k: v for k, v in numbers(found.result).items() if k != "schema"}
    return {
        **told, "experiment": found.folder.id if found.folder else None,
        "folder": found.folder.path if found.folder else None, "held_out": found.held_out, "opened": found.opened,
    }  # fmt: skip


def shown_of(found: Backtested) -> list[RenderableType]:
    """Return a result for a person."""
    from forecastle.reports._verdict import verdict

    result = found.result
    lines: list[RenderableType] = [_figures(result), _beside(result), _costs(result), *result.why, *result.notes]
    lines += [f"Not looked at, held out: {lock}" for lock in found.held_out]
    lines += [f"HOLD-OUT OPENED, and counted: {lock}" for lock in found.opened]
    said = verdict(result)
    lines += [said.lead, *said.lines]
    if found.folder is not None:
        lines.append(f"Kept as {found.folder.id}: {found.folder.path / 'report.html'}")
    return show.marked(result.source, lines)


def _figures(result: BacktestResult) -> RenderableType:
    rows = [
        (name.replace("_", " "), _told(name, f), "" if f.low is None else f"{_value(name, f.low)} to "
         f"{_value(name, f.high)}")
        for name, f in result.figures.items()
    ]  # fmt: skip
    market = result.market
    span = f"{market.open_time[0].astype('datetime64[D]')} to {market.close_time[-1].astype('datetime64[D]')}"
    title = (f"{result.strategy} on {', '.join(result.instruments)} {result.timeframe}, {span}, {len(market)} bars, "
             f"{result.periods_per_year:g} periods a year")  # fmt: skip
    return show.table(title, ("figure", ">value", "95 % interval"), rows)


def _beside(result: BacktestResult) -> RenderableType:
    rows = [_row("the strategy", result.figures)]
    rows += [
        _row(b.name + ("" if b.p_value is None else f" (p = {b.p_value:.3f})"), b.figures) for b in result.benchmarks
    ]
    rows += [_row(r.name, r.figures) for r in result.readings]
    return show.table("Beside it", ("what", *(f">{n.replace('_', ' ')}" for n in BESIDE)), rows)


def _row(name: str, figures: Mapping[str, Figure]) -> tuple[str, ...]:
    return (name, *(_told(n, figures.get(n)) for n in BESIDE))


def _costs(result: BacktestResult) -> str:
    paid = ", ".join(
        f"{name.replace('_', ' ')} {value:,.2f}" for name, value in result.costs.items() if round(value, 2)
    )
    return (f"{result.cash:,.2f} + gross {result.gross:,.2f} - costs ({paid or 'none'}) = "
            f"{float(result.equity[-1]):,.2f}")  # fmt: skip


def _windows(result: BacktestResult) -> list[RenderableType]:
    market = result.market
    rows = [
        (str(w.number), f"{market.open_time[w.first].astype('datetime64[D]')}",
         f"{market.close_time[w.last - 1].astype('datetime64[D]')}",
         ", ".join(f"{k} {v}" for k, v in w.chosen.items()) or "the file's own", _number(w.inside),
         f"{w.log_return:+.4f}", str(w.trades))
        for w in result.windows
    ]  # fmt: skip
    columns = ("window", "from", "to", "chosen before it", ">inside", ">log return", ">trades")
    return [show.table("Walk forward", columns, rows)]


def _told(name: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"n/a ({figure.reason})" if figure.value is None else _value(name, figure.value)


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "n/a"
    if name in PERCENT:
        return f"{100 * value:,.2f} %"
    return f"{value:,.0f}" if name in ("trades", "drawdown_bars") else f"{value:,.3f}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _reason(reason: str) -> str:
    return f" ({reason})" if reason else ""
