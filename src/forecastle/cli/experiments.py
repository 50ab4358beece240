"""Commands about experiments: list, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.app.compare_experiments import Change, ExperimentComparison
    from forecastle.app.experiment_list import Listed

First = Annotated[str, typer.Argument(metavar="A", help="Id of an experiment, such as 20261120_btc-direction.")]
Second = Annotated[str, typer.Argument(metavar="B", help="Id of the one that is measured against it.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap.")]


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Experiments: list, compare two.")
    command(group, "list")(list_)
    command(group, "compare")(compare)
    root.add_typer(group, name="experiments")


def list_(face: Face) -> Answer:
    """List the experiments: what each forecast, its best learner, how many configurations had been tried."""
    found = app.experiment_list.listed(face.workspace)
    columns = ("id", "instruments", "bars", "target", ">learners", ">tried", "best")
    shown = ["There is no experiment yet."] if not found else [show.table("", columns, map(_row, found))]
    return Answer("experiments-list", {"experiments": found}, shown)


def compare(face: Face, a: First, b: Second, seed: Seed = 0) -> Answer:
    """Compare B with A over the rows that both forecast: every loss with its interval, and what was changed."""
    found = app.compare_experiments.compare(face.workspace, a, b, seed)
    document = vars(found) | {"changes": [{**vars(c), "verdict": c.verdict} for c in found.changes]}
    return Answer("experiments-compare", document, _shown(found))


def _shown(found: ExperimentComparison) -> list[RenderableType]:
    first = found.changes[0]
    common = f"{first.rows} rows in common, {first.moments} moments"
    title = f"B {found.b} against A {found.a}: {common}; losses, lower is better"
    columns = ("learner", ">bars", "loss", ">A", ">B", ">change", ">95 % from", ">to", ">DM", ">DM p", "B is")
    shown: list[RenderableType] = [show.table(title, columns, [_change(c) for c in found.changes])]
    shown.append(f"Intervals and tests are at 5 % each: of {len(found.changes)} that are shown some are so by chance.")
    if found.revised:
        shown.append(f"Left out: {found.revised} rows whose outcome is not the same in both.")
    if not found.same_data:
        shown.append("Note: the data of both differ in source, dates or hash.")
    if found.stored:
        rows = [(s.learner, s.score, _number(s.a), _number(s.b)) for s in found.stored]
        shown.append(show.table("As stored, each over its own rows", ("learner", "score", ">A", ">B"), rows))
    if found.config:
        rows_ = [(d.key, d.a, d.b) for d in found.config]
        shown.append(show.table("Configuration", ("key", "A", "B"), rows_))
    lists = {"Features added": found.features_added, "Features removed": found.features_removed,
             "Learners of A only": found.only_a, "Learners of B only": found.only_b}  # fmt: skip
    return [*shown, *(f"{label}: {', '.join(names)}" for label, names in lists.items() if names)]


def _change(c: Change) -> tuple[object, ...]:
    p = c.duel.p_value
    test = (_number(c.duel.statistic), "<0.0001" if p is not None and p < 1e-4 else _number(p))
    return (c.learner, c.horizon, c.score, f"{c.a:.5g}", f"{c.b:.5g}", f"{c.change:+.3g}", f"{c.low:+.3g}",
            f"{c.high:+.3g}", *test, c.verdict)  # fmt: skip


def _row(item: Listed) -> tuple[object, ...]:
    if item.problem:
        return (item.id, "-", "-", "-", "-", "-", item.problem)
    return (item.id, ", ".join(item.instruments), item.timeframe, item.target, item.learners, item.trials, item.best)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
