"""Commands about candles: fetch, candles, sql."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command, out
from forecastle.cli._late import app, requests, show
from forecastle.errors import RequestInvalid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.nouns import Candles


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "fetch")(fetch)
    command(root, "candles")(candles)
    command(root, "sql")(sql)


def fetch(
    face: Face,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Instruments, such as SPX.INDEX BTC-USD.")],
    source: option.SourceTo,
    timeframe: option.Timeframe = "1d",
    start: option.Start = None,
    end: option.End = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated source.")] = 0,
) -> Answer:
    """Bring candles of a source into the lake; a second run adds nothing."""
    request = requests.build(
        requests.FetchRequest, instruments=tuple(ids), source=source, timeframe=timeframe, start=start, end=end,
        seed=seed,
    )  # fmt: skip
    with face.progress() as progress:
        fetched = app.fetch.fetch(face.workspace, request, progress)
    rows = [
        {"instrument": f.candles.instrument.id, "timeframe": timeframe, "source": f.candles.source,
         "simulated": f.candles.simulated, "rows": len(f.candles), "start": f.candles.start, "end": f.candles.end,
         "added": f.written.added, "revised": f.written.revised, "unchanged": f.written.unchanged}
        for f in fetched
    ]  # fmt: skip
    lines = [
        f"{r['instrument']} {timeframe} from {r['source']}{' (SIMULATED, not a market)' if r['simulated'] else ''}: "
        f"{r['added']} added, {r['revised']} revised, {r['unchanged']} there already; "
        f"{r['start']:%Y-%m-%d} to {r['end']:%Y-%m-%d}"
        for r in rows
    ]
    return Answer("fetch", {"results": rows}, lines)


def candles(
    face: Face,
    id_: option.Id,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    format_: Annotated[str, typer.Option("--format", help="table, csv or parquet (bytes to stdout).")] = "table",
) -> Answer:
    """Read candles: a table, CSV, or Parquet for a pipe."""
    if format_ not in ("table", "csv", "parquet"):
        raise RequestInvalid(f"--format is '{format_}'.", "Known: table, csv, parquet.", "Choose one of them.")
    if face.json and format_ != "table":
        raise RequestInvalid(
            f"--json and --format {format_} were asked for.", "Each is a form of its own.", "Drop one."
        )
    request = requests.build(
        requests.SeriesRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end
    )
    found = app.look.load(face.workspace, request)
    if format_ == "parquet" and not face.json:
        buffer = io.BytesIO()
        found.frame.write_parquet(buffer)
        out(buffer.getvalue())
        return Answer("candles", {})
    if format_ == "csv" and not face.json:
        out(found.frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.fZ"))
        return Answer("candles", {})
    return Answer("candles", {"candles": found}, _candle_table(found))


def _candle_table(found: Candles) -> list[RenderableType]:
    shown = found.frame if len(found) <= 20 else found.frame.head(10).vstack(found.frame.tail(10))
    rows = [
        (f"{r[0]:%Y-%m-%d %H:%M}", f"{r[1]:%Y-%m-%d %H:%M}", *(f"{v:.10g}" for v in r[2:])) for r in shown.iter_rows()
    ]
    if len(found) > 20:
        rows.insert(10, ("...",) * 7)
    columns = ("open_time (UTC)", "close_time", ">open", ">high", ">low", ">close", ">volume")
    return show.marked(found.source, [show.table(_title(found), columns, rows)])


def _title(found: Candles) -> str:
    span = f"{found.start:%Y-%m-%d} to {found.end:%Y-%m-%d}"
    return f"{found.instrument} {found.timeframe} from {found.source}: {len(found)} bars, {span}"


def sql(
    face: Face, query: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT over candles, btc_prices.")]
) -> Answer:
    """Ask the lake with SQL: views candles and btc_prices."""
    found = app.look.sql(face.workspace, query)
    rows = [["" if v is None else v for v in row] for row in found.head(1000).iter_rows()]
    shown: list[RenderableType] = [show.table("", found.columns, rows)]
    if found.height > 1000:
        shown.append(f"... {found.height - 1000} more rows; --json gives all.")
    return Answer("sql", {"rows": found.height, "columns": found}, shown)
