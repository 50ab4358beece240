"""Checks: proof against look-ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show
from forecastle.errors import RequestInvalid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.nouns import LeakFinding, LeakReport

SHOWN = 40
"""So many findings are shown to a person; ``--json`` has all."""


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Checks that answer yes or no.")
    command(group, "leaks")(leaks)
    root.add_typer(group, name="check")


def leaks(
    face: Face,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONFIG | ID...]", help="A strategy's file, or series of the lake; none: made up."),
    ] = None,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    bars: Annotated[int, typer.Option("--bars", help="The last bars of each series are looked at.")] = 600,
    cuts: Annotated[int, typer.Option("--cuts", help="Moments at which the future is cut off and poisoned.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Of the moments.")] = 0,
) -> Answer:
    """Look for the future in every feature and transformer, or in a strategy; exit code 6 where one knew of it."""
    if ids and ids[0].endswith((".yaml", ".yml")):
        return _shown(_of_strategy(face, ids, bars, cuts, seed))
    request = requests.build(
        requests.LeaksRequest, instruments=tuple(ids or ()), timeframe=timeframe, source=source, bars=bars, cuts=cuts,
        seed=seed,
    )  # fmt: skip
    with face.progress() as progress:
        reports = app.leaks.check_leaks(face.workspace, request, progress)
    return _shown(reports)


def _of_strategy(face: Face, ids: list[str], bars: int, cuts: int, seed: int) -> list[LeakReport]:
    if len(ids) > 1:
        raise RequestInvalid(f"{len(ids)} names were given.", "One strategy is looked at at a time.", "Name one file.")
    request = requests.build(requests.StrategyLeaksRequest, config=ids[0], bars=bars, cuts=cuts, seed=seed)
    with face.progress() as progress:
        found: list[LeakReport] = app.strategy_leaks.check_strategy(face.workspace, request, progress)
    return found


def _shown(reports: list[LeakReport]) -> Answer:
    findings = [finding for report in reports for finding in report.findings]
    lines = [
        f"{r.series}: {len(r.subjects)} subjects ({', '.join(r.subjects)}) of {r.columns} columns on {r.bars} bars, "
        f"the future cut off and poisoned at {r.cuts} moments: " + ("clean" if r.clean else f"{len(r.findings)} leaks")
        for r in reports
    ]
    shown: list[RenderableType] = [*lines]
    if findings:
        columns = ("subject", "column", "kind", ">cuts", "cut at", "row", ">with the future", ">without", "")
        shown.append(show.table(f"Leaks, {len(findings)}", columns, [_row(f) for f in findings[:SHOWN]]))
    return Answer("check-leaks", {"clean": not findings, "reports": reports}, shown, 6 if findings else 0)


def _row(f: LeakFinding) -> list[object]:
    row = "" if f.row is None else f"{f.row:%Y-%m-%d %H:%M}"
    whole, alone = ("-" if value is None else f"{value:.6g}" for value in (f.whole, f.alone))
    return [f.subject, f.column, f.kind, f.cuts, f"{f.moment:%Y-%m-%d %H:%M}", row, whole, alone, f.detail]
