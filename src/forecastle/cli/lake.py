"""Commands about the lake as a whole: list, verify."""

from __future__ import annotations

import typer

from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, show


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    lake = typer.Typer(no_args_is_help=True, help="The files: list, verify.")
    command(lake, "list")(lake_list)
    command(lake, "verify")(lake_verify)
    root.add_typer(lake, name="lake")


def lake_list(face: Face) -> Answer:
    """List every series: rows, span, holes, versions."""
    found = app.look.list_series(face.workspace)
    rows = [
        (s.key.instrument, s.key.timeframe, s.key.source, s.adjusted, s.rows, f"{s.first_open:%Y-%m-%d}",
         f"{s.last_close:%Y-%m-%d}", "broken" if gaps is None else gaps, s.files, s.commits)
        for s, gaps in found
    ]  # fmt: skip
    columns = (
        "instrument",
        "timeframe",
        "source",
        "adjusted",
        ">rows",
        "first open",
        "last close",
        ">gaps",
        ">files",
        ">commits",
    )
    shown = (
        [show.table("", columns, rows)]
        if rows
        else ["The lake is empty. Try: forecastle fetch SPX.INDEX --source bundled"]
    )
    return Answer("lake-list", {"series": [{**vars(s), "gaps": gaps} for s, gaps in found]}, shown)


def lake_verify(face: Face) -> Answer:
    """Compare every file with its hash and its rules; exit code 6 where one differs."""
    problems = app.look.verify(face.workspace)
    if not problems:
        return Answer("lake-verify", {"problems": []}, ["Every file is as it was committed."])
    shown = [show.table("", ("file", "what"), [(p.path, p.what) for p in problems])]
    return Answer("lake-verify", {"problems": problems}, shown, 6)
