"""The command about quality."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.nouns.findings import QualityDetail

PRICES = ("open", "high", "low", "close")
SHOWN = 20
"""So many bars pointed out, and rows in quarantine, are shown to a person; ``--json`` has all."""


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "quality")(quality)


def quality(
    face: Face,
    id_: option.Id,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it as a page (.html) or Markdown (.md), too.")
    ] = None,
) -> Answer:
    """Say what is wrong, or odd, about a series of the lake, and what is in its quarantine."""
    request = requests.build(
        requests.SeriesRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of
    )
    detail = app.quality.quality(face.workspace, request, out)
    document = {
        "report": detail.report, "flags": detail.flags.to_dicts(), "quarantined": detail.quarantined.to_dicts(),
        "data_hash": detail.candles.data_hash, "written": None if out is None else str(out),
    }  # fmt: skip
    return Answer("quality", document, [*show.quality(detail.report), *_flags(detail), *_aside(detail), *_written(out)])


def _flags(detail: QualityDetail) -> list[RenderableType]:
    if not detail.flags.height:
        return []
    first = detail.flags.head(SHOWN)
    rows = [(f"{r['open_time']:%Y-%m-%d %H:%M}", r["kind"], r["detail"]) for r in first.iter_rows(named=True)]
    title = f"Bars pointed out, {_of(first.height, detail.flags.height)}"
    return [show.table(title, ("opens (UTC)", "kind", "what"), rows)]


def _aside(detail: QualityDetail) -> list[RenderableType]:
    if not detail.quarantined.height:
        return []
    first = detail.quarantined.head(SHOWN)
    rows = [
        ["-" if r[c] is None else r[c] for c in ("open_time", *PRICES, "volume", "origin", "reason")]
        for r in first.iter_rows(named=True)
    ]
    columns = ("opens (UTC)", ">open", ">high", ">low", ">close", ">volume", "from", "reason")
    return [show.table(f"Quarantine, {_of(first.height, detail.quarantined.height)}", columns, rows)]


def _of(shown: int, total: int) -> str:
    return f"{total}" if shown == total else f"{shown} of {total} (--json gives all)"


def _written(out: Path | None) -> list[RenderableType]:
    return [] if out is None else [f"Wrote {out}."]
