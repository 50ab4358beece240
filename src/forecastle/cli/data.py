"""Commands about candles: fetch, import, candles, sql, lake, quality."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command, out
from forecastle.cli._late import app, requests, show
from forecastle.errors import RequestInvalid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.app.import_file import Imported
    from forecastle.nouns import Candles


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    lake = typer.Typer(no_args_is_help=True, help="The files: list, verify.")
    command(root, "fetch")(fetch)
    command(root, "import")(import_)
    command(root, "candles")(candles)
    command(root, "sql")(sql)
    command(root, "quality")(quality)
    command(lake, "list")(lake_list)
    command(lake, "verify")(lake_verify)
    root.add_typer(lake, name="lake")


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


def quality(face: Face, id_: option.Id, timeframe: option.Timeframe = "1d", source: option.SourceOf = None) -> Answer:
    """Say what is wrong, or odd, about a series of the lake."""
    report = app.quality.quality(
        face.workspace, requests.build(requests.SeriesRequest, instrument=id_, timeframe=timeframe, source=source)
    )
    return Answer("quality", {"report": report}, show.quality(report))


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
