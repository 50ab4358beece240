"""Commands about files: import."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show
from forecastle.errors import RequestInvalid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.app.import_file import Imported
    from forecastle.app.import_folder import FolderImported, Outcome
    from forecastle.app.import_observations import Observed

SHOWN = 20
"""So many rows of the quarantine, or files, are shown to a person; ``--json`` has all."""


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    command(root, "import")(import_)


def import_(
    face: Face,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="CSV, JSON (both also .gz), Parquet, a zip with one; or a folder.")
    ],
    instrument: Annotated[str | None, typer.Option("--instrument", help="Whose they are, such as BTC-USDT.")] = None,
    timeframe: option.Timeframe = "1d",
    source: Annotated[str, typer.Option("--source", help="The name to keep them under.")] = "file",
    columns: Annotated[
        str | None, typer.Option("--columns", help="close=Last,... or, by position, open_time,open,...")
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--layout", help="How it is written, where that is not recognised, such as bitfinex.")
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
    prices: Annotated[str | None, typer.Option("--prices", help="close where only the close is known.")] = None,
    observation: Annotated[
        str | None, typer.Option("--observation", help="Observations instead of candles: their name.")
    ] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Of the observations.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="The column of the observations.")] = None,
    about: Annotated[str | None, typer.Option("--about", help="The column of the times they are about.")] = None,
    known_after: Annotated[
        str | None, typer.Option("--known-after", help="Known 0h, 1d, ... after it, or at session_close[+15m].")
    ] = None,
    map_: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="What is what in a folder, as TOML.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is understood and found; store nothing.")
    ] = False,
) -> Answer:
    """Bring a file of anyone's, or a mapped folder, into the lake."""
    common = {
        "path": path, "instrument": instrument, "source": source, "time_zone": timezone, "time_format": time_format,
        "dry_run": dry_run,
    }  # fmt: skip
    if map_ is not None or path.is_dir():
        return _folder(face, path, map_, instrument, dry_run=dry_run)
    if instrument is None:
        raise _lacking("--instrument", "The file does not say whose candles it holds.", "--instrument BTC-USDT")
    told = {"unit": unit, "value": value, "about": about, "known_after": known_after}
    if observation is not None:
        return _observations(face, {**common, "name": observation, **told})
    if any(word is not None for word in told.values()):
        raise _lacking("--observation", "A unit, a value or known-after tell of one.", "--observation funding_rate")
    request = requests.build(
        requests.ImportRequest, timeframe=timeframe, columns=columns, layout=layout, adjusted=adjusted, prices=prices,
        **common,
    )  # fmt: skip
    return _import_answer(app.import_file.import_file(face.workspace, request), dry_run=dry_run)


def _lacking(option_: str, why: str, example: str) -> RequestInvalid:
    return RequestInvalid(f"{option_} is not given.", why, f"Say it, for example {example}.")


def _import_answer(done: Imported, *, dry_run: bool) -> Answer:
    first = done.candles.frame.head(1) if done.candles is not None else None
    document = {
        **_mapping_document(done), "rows": done.mapping.rows, "quality": done.quality, "written": done.written,
        "quarantined": done.quarantined.height, "newly_quarantined": done.set_aside,
        "quarantined_rows": done.quarantined, "first": first, "refused": done.refused, "dry_run": dry_run,
    }  # fmt: skip
    lines = [*_understood(done), *show.quality(done.quality)]
    if dry_run:
        lines += _quarantine(done)
    if first is not None and first.height:
        stored = ", ".join(f"{name} {value}" for name, value in first.row(0, named=True).items())
        lines.append(f"first row: {stored}")
    lines.append(_verdict(done))
    return Answer("import", document, lines, 4 if done.refused else 0)


def _mapping_document(done: Imported) -> dict[str, Any]:
    m = done.mapping
    return {
        "layout": m.layout, "columns": m.columns, "time_unit": m.time.unit, "time_zone": m.time.zone,
        "volume_unit": m.volume, "price_scale": m.scale, "prices": m.prices,
        "adjusted": done.candles.adjusted if done.candles is not None else None,
    }  # fmt: skip


def _understood(done: Imported) -> list[RenderableType]:
    m, instrument = done.mapping, done.quality.instrument
    pairs = ", ".join(f"{ours} = {theirs}" for ours, theirs in m.columns.items())
    currency = {"base": f" ({instrument.base})", "quote": f" ({instrument.quote})"}.get(m.volume, "")
    prices = "as written" if m.scale == 1.0 else f"divided by {m.scale:g}"
    only = "; only the close is known" if m.prices == "close" else ""
    adjusted = f", adjusted: {done.candles.adjusted}" if done.candles is not None else ""
    return [
        f"layout: {m.layout}", f"columns: {pairs}", f"times: {m.time.unit}, zone: {m.time.zone}",
        f"prices: {prices}{only}{adjusted}", f"volume: {m.volume}{currency}",
    ]  # fmt: skip


def _quarantine(done: Imported) -> list[RenderableType]:
    """Return the first rows that cannot be candles, each with its reason."""
    if not done.quarantined.height:
        return []
    rows = done.quarantined.head(SHOWN).drop("close_time").rows()
    columns = ("open_time", ">open", ">high", ">low", ">close", ">volume", "reason")
    title = f"{done.quarantined.height} rows cannot be candles"
    return [show.table(title if len(rows) == done.quarantined.height else f"{title}; the first:", columns, rows)]


def _verdict(done: Imported) -> str:
    count = done.quarantined.height
    if done.refused:
        return "Dry run: nothing was stored; this file would be refused: more than half of its rows cannot be candles."
    if done.written is None:
        aside = f", and {count} go to the quarantine" if count else ""
        return f"Dry run: nothing was stored; {len(done.candles or ())} rows would be stored{aside}."
    w = done.written
    aside = f" {count} rows are in the quarantine, {done.set_aside} of them new." if count else ""
    return f"{w.added} added, {w.revised} revised, {w.unchanged} there already.{aside}"


def _observations(face: Face, fields: dict[str, Any]) -> Answer:
    for name in ("unit", "value", "known_after"):
        if fields[name] is None:
            why = "An observation has a unit, a column of values, and a moment at which it becomes known."
            raise _lacking(f"--{name.replace('_', '-')}", why, "--unit percent --value Rate --known-after 1d")
    request = requests.build(requests.ObservationsRequest, **fields)
    return _observed_answer(app.import_observations.import_observations(face.workspace, request))


def _observed_answer(done: Observed) -> Answer:
    file, seen = done.file, done.file.observations
    first = seen.frame.head(1)
    document = {
        "instrument": seen.instrument, "name": seen.name, "unit": seen.unit, "source": seen.source,
        "columns": file.columns, "time_unit": file.time.unit, "time_zone": file.time.zone, "rows": file.rows,
        "values": len(seen), "first": first, "findings": file.findings, "written": done.written,
        "dry_run": done.written is None,
    }  # fmt: skip
    pairs = ", ".join(f"{ours} = {theirs}" for ours, theirs in file.columns.items())
    lines: list[RenderableType] = [
        f"{seen.name} of {seen.instrument} in {seen.unit} from {seen.source}: {len(seen)} values of {file.rows} rows",
        f"columns: {pairs}", f"times: {file.time.unit}, zone: {file.time.zone}",
        *(f"note: {f.kind}: {f.count}, first {f.first}: {f.detail}" for f in file.findings),
        "first row: " + ", ".join(f"{name} {value}" for name, value in first.row(0, named=True).items()),
    ]  # fmt: skip
    w = done.written
    told = f"{w.added} added, {w.revised} revised, {w.unchanged} there already." if w else None
    return Answer("import-observations", document, [*lines, told or "Dry run: nothing was stored."])


def _folder(face: Face, path: Path, map_: Path | None, instrument: str | None, *, dry_run: bool) -> Answer:
    if map_ is None:
        raise _lacking("--map", f"{path} is a folder, and its files do not say what they hold.", "--map files.toml")
    if instrument is not None:
        raise RequestInvalid(
            "--instrument and --map are both given.", "The map says whose files are whose.", "Say one."
        )
    request = requests.build(requests.ImportFolderRequest, path=path, map=map_, dry_run=dry_run)
    with face.progress() as progress:
        done = app.import_folder.import_folder(face.workspace, request, progress)
    return _folder_answer(done, dry_run=dry_run)


def _folder_answer(done: FolderImported, *, dry_run: bool) -> Answer:
    refused = done.in_state("refused")
    totals = {n: sum(getattr(o, n) for o in done.outcomes) for n in ("added", "revised", "unchanged", "quarantined")}
    document = {
        "files": done.outcomes, "unmapped": done.unmapped, "unmatched": done.unmatched, "totals": totals,
        "refused": len(refused), "dry_run": dry_run,
    }  # fmt: skip
    lines: list[RenderableType] = [_series_table(done)]
    lines += [
        f"skipped: {count} files: {why}" for why, count in Counter(o.why for o in done.in_state("skipped")).items()
    ]
    lines += _listed("no entry of the map tells of", done.unmapped)
    lines += _listed("no file fits the pattern", done.unmatched)
    for outcome in refused:
        lines.append(f"refused: {outcome.path} {outcome.series}".rstrip())
        error = outcome.error or {"what": outcome.why}
        lines += [f"  {word}: {error[key]}" for word, key in _THREE if key in error]
    counts = ", ".join(f"{count} {name}" for name, count in totals.items())
    lines.append(f"{counts} rows; {len(refused)} refused." + (" Dry run: nothing was stored." if dry_run else ""))
    return Answer("import-folder", document, lines, 4 if refused or not _told(done) else 0)


_THREE = (("what", "what"), (" why", "why"), ("  do", "hint"))


def _listed(words: str, names: tuple[str, ...]) -> list[RenderableType]:
    more = [f"{words} {len(names) - SHOWN} more; --json lists them"] if len(names) > SHOWN else []
    return [*(f"{words} {name}" for name in names[:SHOWN]), *more]


def _told(done: FolderImported) -> list[Outcome]:
    return [o for o in done.outcomes if o.state in ("stored", "understood")]


def _series_table(done: FolderImported) -> RenderableType:
    told = _told(done)
    rows = [(o.path, o.series, o.layout, o.added, o.revised, o.unchanged, o.quarantined) for o in told]
    columns = ("file", "series", "layout", ">added", ">revised", ">unchanged", ">quarantined")
    return show.table(f"{len(told)} of {len(done.outcomes)} understood", columns, rows)
