"""Commands about the lake as a whole: list, verify, revisions, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

VALUES = ("open", "high", "low", "close", "volume")


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    lake = typer.Typer(no_args_is_help=True, help="The files: list, verify, revisions, export.")
    command(lake, "list")(lake_list)
    command(lake, "verify")(lake_verify)
    command(lake, "revisions")(lake_revisions)
    command(lake, "export")(lake_export)
    root.add_typer(lake, name="lake")


def lake_list(face: Face) -> Answer:
    """List every series: rows, span, holes, versions, quarantined rows; and the observations."""
    found = app.look.list_series(face.workspace)
    observed = app.look.observation_sets(face.workspace)
    rows = [
        (s.key.instrument, s.key.timeframe, s.key.source, s.adjusted if s.prices == "ohlc" else f"{s.adjusted}, close",
         s.rows, f"{s.first_open:%Y-%m-%d}", f"{s.last_close:%Y-%m-%d}", "broken" if gaps is None else gaps,
         s.quarantined, s.files, s.commits)
        for s, gaps in found
    ]  # fmt: skip
    columns = (
        "instrument", "timeframe", "source", "adjusted", ">rows", "first open", "last close", ">gaps", ">quarantined",
        ">files", ">commits",
    )  # fmt: skip
    shown = [show.table("", columns, rows)] if rows else []
    if observed:
        cells = [
            (o.instrument, o.name, o.unit, o.source, o.rows, f"{o.first_about:%Y-%m-%d}", f"{o.last_about:%Y-%m-%d}")
            for o in observed
        ]
        shown.append(show.table("", ("instrument", "observed", "unit", "source", ">rows", "first", "last"), cells))
    document = {"series": [{**vars(s), "gaps": gaps} for s, gaps in found], "observations": observed}
    return Answer(
        "lake-list", document, shown or ["The lake is empty. Try: forecastle fetch SPX.INDEX --source bundled"]
    )


def lake_verify(face: Face) -> Answer:
    """Compare every file with its hash and its rules; exit code 6 where one differs."""
    problems = app.look.verify(face.workspace)
    if not problems:
        return Answer("lake-verify", {"problems": []}, ["Every file is as it was committed."])
    shown = [show.table("", ("file", "what"), [(p.path, p.what) for p in problems])]
    return Answer("lake-verify", {"problems": problems}, shown, 6)


def lake_revisions(
    face: Face, id_: option.Id, timeframe: option.Timeframe = "1d", source: option.SourceOf = None
) -> Answer:
    """List every candle that was revised: when, what it said before, what it says now."""
    request = requests.build(requests.SeriesRequest, instrument=id_, timeframe=timeframe, source=source)
    found = app.look.revisions(face.workspace, request)
    rows = [
        (f"{r['open_time']:%Y-%m-%d %H:%M}", f"{r['revised_at']:%Y-%m-%d %H:%M:%S}",
         *(f"{r[f'{c}_before']:.10g} -> {r[c]:.10g}" if r[f"{c}_before"] != r[c] else "" for c in VALUES))
        for r in found.tail(100).iter_rows(named=True)
    ]  # fmt: skip
    title = f"{request.instrument} {timeframe}: {found.height} revised{', the last 100' if found.height > 100 else ''}"
    columns = ("open_time (UTC)", "revised at", *(f">{c}" for c in VALUES))
    shown = show.table(title, columns, rows) if rows else f"No candle of {request.instrument} was ever revised."
    return Answer("lake-revisions", {"revisions": found}, [shown])


def lake_export(
    face: Face, file: Annotated[Path, typer.Argument(metavar="FILE.duckdb", help="An old file there is replaced.")]
) -> Answer:
    """Write a DuckDB database with candles, observations, btc_prices and series."""
    rows = app.export.to_duckdb(face.workspace, file)
    return Answer("lake-export", {"path": file, "candles": rows}, [f"wrote {file}: {rows} candles"])
