"""Commands about files: import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from forecastle.app.import_file import Imported


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "import")(import_)


def import_(
    face: Face,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON (both also .gz) or Parquet.")],
    instrument: Annotated[str, typer.Option("--instrument", help="Whose candles they are, such as BTC-USDT.")],
    timeframe: option.Timeframe = "1d",
    source: Annotated[str, typer.Option("--source", help="The name to keep them under.")] = "file",
    columns: Annotated[
        str | None, typer.Option("--columns", help="close=Last,... or, by position, open_time,open,...")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Of times written without one, such as UTC.")
    ] = None,
    time_format: Annotated[
        str | None, typer.Option("--time-format", help="Such as '%m/%d/%Y', where it is not ISO.")
    ] = None,
    adjusted: Annotated[
        str | None, typer.Option("--adjusted", help="none, splits, splits_dividends or unknown.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is understood and found; store nothing.")
    ] = False,
) -> Answer:
    """Bring a file of anyone's into the lake, wholly or not at all."""
    request = requests.build(
        requests.ImportRequest, path=file, instrument=instrument, timeframe=timeframe, source=source, columns=columns,
        time_zone=timezone, time_format=time_format, adjusted=adjusted, dry_run=dry_run,
    )  # fmt: skip
    done = app.import_file.import_file(face.workspace, request)
    return _import_answer(done, dry_run=dry_run)


def _import_answer(done: Imported, *, dry_run: bool) -> Answer:
    mapping = done.mapping
    pairs = ", ".join(f"{ours} = {theirs}" for ours, theirs in mapping.columns.items())
    lines = [f"columns: {pairs}", f"times: {mapping.time.unit}, zone: {mapping.time.zone}", *show.quality(done.quality)]
    if done.written:
        w = done.written
        lines.append(f"{w.added} added, {w.revised} revised, {w.unchanged} there already.")
    elif dry_run:
        verdict = "these rows would be refused" if done.quality.invalid else "these rows would be stored"
        lines.append(f"Dry run: nothing was stored; {verdict}.")
    document = {
        "columns": mapping.columns, "time_unit": mapping.time.unit, "time_zone": mapping.time.zone,
        "rows": mapping.rows, "quality": done.quality, "written": done.written, "dry_run": dry_run,
    }  # fmt: skip
    return Answer("import", document, lines, 4 if dry_run and done.quality.invalid else 0)
