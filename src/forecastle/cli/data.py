"""Commands about candles: fetch, sync, candles, sql."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command, complain, out
from forecastle.cli._late import app, requests, show
from forecastle.errors import ForecastleError, RequestInvalid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.app.fetch import Fetched, Outcome
    from forecastle.nouns import Candles


WIDEST = 12
"""So many columns of an answer to SQL are shown to a person: a terminal has no room for the hundred of features."""


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "fetch")(fetch)
    command(root, "sync")(sync)
    command(root, "candles")(candles)
    command(root, "sql")(sql)


def fetch(
    face: Face,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Instruments, such as SPX.INDEX BTC-USD.")],
    source: option.SourceTo,
    timeframe: option.Timeframes = "1d",
    start: option.Start = None,
    end: option.End = None,
    again: Annotated[bool, typer.Option("--again", help="Ask for what is there already, too.")] = False,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for Parquet and CSV copies of the range.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="A CSV beside each Parquet file of the lake.")] = False,
    duckdb: Annotated[Path | None, typer.Option("--duckdb", help="Write the lake to this DuckDB file, too.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Put it on the watch list of forecastle sync.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated source.")] = 0,
) -> Answer:
    """Bring closed candles of a source into the lake: goes on where it stopped, a second run adds nothing."""
    request = requests.build(
        requests.FetchRequest, instruments=tuple(ids), sources=source, timeframes=timeframe, start=start, end=end,
        seed=seed, again=again, csv=csv,
    )  # fmt: skip
    if to is not None:
        app.export.check_folder(request)
    if duckdb is not None:
        app.export.check(duckdb)
    with face.progress() as progress:
        outcome = app.fetch.fetch(face.workspace, request, progress)
    answer = _fetch_answer("fetch", outcome)
    if to is not None:
        written = app.export.to_folder(face.workspace, outcome.brought, request, to)
        answer.document["files"] = written
        answer.lines += [f"wrote {w.path}" for w in written]
    if duckdb is not None:
        rows = app.export.to_duckdb(face.workspace, duckdb)
        answer.document["duckdb"] = {"path": duckdb, "candles": rows}
        answer.lines.append(f"wrote {duckdb}: {rows} candles")
    if watch and outcome.brought:
        answer.lines.append(f"{len(app.sync.watch(face.workspace, request))} series on the watch list")
    return answer.done()


def sync(
    face: Face,
    show_list: Annotated[bool, typer.Option("--list", help="Show the watch list; fetch nothing.")] = False,
) -> Answer:
    """Bring everything on the watch list up to now; forecastle fetch ... --watch puts a series there."""
    if show_list:
        listed = app.sync.watch_list(face.workspace)
        rows = [(w.instrument, w.timeframe, ", ".join(w.sources), w.start or "", w.seed or "") for w in listed]
        table = show.table("", ("instrument", "timeframe", "sources", "start", "seed"), rows)
        return Answer("sync-list", {"watched": listed}, [table] if rows else ["The watch list is empty."])
    with face.progress() as progress:
        outcome = app.sync.sync(face.workspace, progress)
    return _fetch_answer("sync", outcome).done()


@dataclass
class _Told:
    """What a fetch says: its document, its lines, and the exit code."""

    name: str
    document: dict[str, Any]
    lines: list[str]
    failed: tuple[ForecastleError, ...]

    def done(self) -> Answer:
        if len(self.failed) == 1 and not self.document["results"]:
            raise self.failed[0]
        for error in self.failed:
            complain(error, as_json=False)
        return Answer(self.name, self.document, self.lines, max((e.exit_code for e in self.failed), default=0))


def _fetch_answer(name: str, outcome: Outcome) -> _Told:
    results = [
        {"instrument": f.instrument.id, "timeframe": f.timeframe, "source": f.source, "simulated": f.simulated,
         "start": f.start, "end": f.end, "added": f.added, "revised": f.revised, "unchanged": f.unchanged,
         "quarantined": f.quarantined, "observations": f.observations, "metrics": f.metrics, "csv_files": f.csv_files,
         "adjusted": f.facts.adjusted_of(f.instrument), "prices": f.facts.prices,
         "volume_unit": f.facts.volume_of(f.instrument),
         "notes": f.notes, "gave_up": f.gave_up.document() if f.gave_up else None}
        for f in outcome.brought if f.gave_up is None or f.rows or f.metrics
    ]  # fmt: skip
    told = [f for f in outcome.brought if f.rows or f.metrics or f.gave_up not in outcome.failed]
    lines = [line for f in told for line in _fetch_lines(f, outcome.failed)] if results else []
    document = {"results": results, "failed": [e.document() for e in outcome.failed]}
    return _Told(name, document, lines, outcome.failed)


def _fetch_lines(f: Fetched, failed: tuple[ForecastleError, ...]) -> list[str]:
    head = f"{f.instrument} {f.timeframe} from {f.source}{' (SIMULATED, not a market)' if f.simulated else ''}: "
    lines = [
        f"{head}{m.name} ({m.unit}): {m.added} added, {m.revised} revised, {m.unchanged} there already; the lake holds "
        f"{m.start:%Y-%m-%d} to {m.end:%Y-%m-%d}"
        for m in f.metrics
    ]
    if f.start is not None and f.end is not None and (f.gave_up is None or f.rows):
        counts = f"{f.added} added, {f.revised} revised, {f.unchanged} there already"
        counts += f", {f.quarantined} quarantined" if f.quarantined else ""
        counts += f", {f.observations} observations" if f.observations else ""
        lines.append(f"{head}{counts}; the lake holds {f.start:%Y-%m-%d} to {f.end:%Y-%m-%d}")
    if f.gave_up is not None and f.gave_up not in failed:  # those stand on stderr
        lines.append(f"{head}{f.gave_up.what} {f.gave_up.why}")
    return [*lines, *(f"{head}{note}" for note in f.notes)]


def candles(
    face: Face,
    id_: option.Id,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
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
        requests.SeriesRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of
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
    face: Face,
    query: Annotated[
        str, typer.Argument(metavar="SELECT", help="One SELECT over candles, observations, btc_prices, features.")
    ],
) -> Answer:
    """Ask the lake with SQL: views candles, observations, btc_prices and features."""
    found = app.look.sql(face.workspace, query)
    fits = found.select(found.columns[:WIDEST])
    rows = [["" if v is None else v for v in row] for row in fits.head(1000).iter_rows()]
    shown: list[RenderableType] = [show.table("", fits.columns, rows)]
    if found.width > WIDEST:
        shown.append(f"... {found.width - WIDEST} more columns: name those you want; --json gives all.")
    if found.height > 1000:
        shown.append(f"... {found.height - 1000} more rows; --json gives all.")
    return Answer("sql", {"rows": found.height, "columns": found}, shown)
