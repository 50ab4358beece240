"""Commands about spans that are held out: lock, list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.app.holdout import HeldOut

From = Annotated[str, typer.Option("--from", metavar="D", help="First moment that nobody may see, UTC.")]
To = Annotated[str | None, typer.Option("--to", metavar="D", help="Last moment, UTC; none: all that will ever come.")]


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Hold-outs: lock a span for good, list who looked.")
    command(group, "lock")(lock)
    command(group, "list")(list_)
    root.add_typer(group, name="holdout")


def lock(face: Face, id_: option.Id, from_: From, to: To = None, timeframe: option.Timeframe = "1d") -> Answer:
    """Lock a span: it can never be unlocked, only opened, and each opening is counted."""
    request = requests.build(
        app.holdout.HoldoutRequest, instrument=id_, timeframe=timeframe, start=from_, end=to
    )  # fmt: skip
    made = app.holdout.lock(face.workspace, request)
    shown = [f"Locked as hold-out {made.number}: {made}"]
    if made.tried_before:
        shown.append(f"Note: {made.tried_before} configurations had been tried on data of it: it is not unseen.")
    return Answer("holdout-lock", {"lock": made}, shown)


def list_(face: Face) -> Answer:
    """List the locks, and of each the openings: when, why and by what."""
    found = app.holdout.held_out(face.workspace)
    rows = [
        (h.lock.number, ", ".join(h.lock.instruments), h.lock.timeframe, f"{h.lock.start:%Y-%m-%d}",
         "-" if h.lock.end is None else f"{h.lock.end:%Y-%m-%d}", f"{h.lock.at:%Y-%m-%d}", h.lock.tried_before,
         len(h.openings))
        for h in found
    ]  # fmt: skip
    columns = (">no.", "instrument", "bars", "from", "to", "locked", ">tried before", ">openings")
    shown: list[RenderableType] = ["Nothing is held out."]
    if found:
        shown = [show.table("Hold-outs", columns, rows), *_looks(found)]
    return Answer("holdout-list", {"holdouts": found}, shown)


def _looks(found: list[HeldOut]) -> list[str]:
    return [
        f"Opened, {h.lock.number}: {o.at:%Y-%m-%d %H:%M} UTC, by "
        f"{'configuration ' + o.configuration_hash[:12] if o.configuration_hash else 'a person'}: {o.why}"
        for h in found
        for o in h.openings
    ]
