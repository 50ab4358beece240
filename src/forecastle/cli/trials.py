"""Commands about what was tried: count, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, show

if TYPE_CHECKING:
    from forecastle.app.trials import Tried


class _ListUnlessSaid(TyperGroup):
    """Reads ``trials BTC-USDT`` and ``trials`` as ``trials list ...``; names of commands are in lower case."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where none was named; the group's own help stays its own."""
        said = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        found: list[str] = super().parse_args(ctx, args if said else ["list", *args])
        return found


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(
        cls=_ListUnlessSaid, help="What was tried on which data, and proof of the account. Without a command: list."
    )
    command(group, "list")(list_)
    command(group, "verify")(verify)
    root.add_typer(group, name="trials")


def list_(
    face: Face, id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="Instrument; none: all.")] = None
) -> Answer:
    """Count the configurations tried on each market and stretch of time, with the best of each score."""
    found = app.trials.tried(face.workspace, id_)
    columns = ("instrument", "bars", "from", "to", ">tried", ">runs", "best so far (trial)")
    rows = [_row(tried) for tried in found]
    shown = [show.table("Configurations tried", columns, rows)] if found else ["Nothing was tried yet."]
    return Answer("trials-list", {"tried": found}, shown)


def verify(face: Face) -> Answer:
    """Read the logs of trials and hold-outs anew; exit code 6 where a line was changed or removed."""
    account = app.trials.verify(face.workspace)
    shown = []
    for name, report in (("Trials", account.trials), ("Hold-outs", account.holdouts)):
        state = "BROKEN" if report.problems else "whole"
        shown.append(f"{name}: {report.lines} lines, {state}; head {report.head[:16]}")
        shown += [f"  {f'line {line}' if line else 'head'}: {what}" for line, what in report.problems]
        if report.torn:
            shown.append(f"  {report.torn} bytes of a line that a crash cut short: the next writer removes them")
    if account.unlogged:
        shown.append(f"Series that no line knows: {len(account.unlogged)} files (a crash, or a log that was removed)")
    return Answer("trials-verify", {"whole": account.whole, **vars(account)}, shown, 0 if account.whole else 6)


def _row(tried: Tried) -> tuple[object, ...]:
    best = ", ".join(f"{b.score} {b.value:.4g} ({b.trial})" for b in tried.best)
    return (tried.instrument, tried.timeframe, f"{tried.start:%Y-%m-%d}", f"{tried.end:%Y-%m-%d}",
            tried.configurations, tried.runs, best or "-")  # fmt: skip
