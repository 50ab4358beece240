"""The command about quality."""

from __future__ import annotations

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "quality")(quality)


def quality(face: Face, id_: option.Id, timeframe: option.Timeframe = "1d", source: option.SourceOf = None) -> Answer:
    """Say what is wrong, or odd, about a series of the lake."""
    report = app.quality.quality(
        face.workspace, requests.build(requests.SeriesRequest, instrument=id_, timeframe=timeframe, source=source)
    )
    return Answer("quality", {"report": report}, show.quality(report))
