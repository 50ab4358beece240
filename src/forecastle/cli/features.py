"""Commands about features: build, list, materialize, read."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, sessions, show
from forecastle.errors import NameUnknown, RequestInvalid

if TYPE_CHECKING:
    from forecastle.app.build_features import Built
    from forecastle.app.materialize import Materialized
    from forecastle.requests import FeaturesRequest

SHOWN = 12
"""So many features without a value are told to a person; ``--json`` has all."""
NamesOf = Annotated[
    str | None,
    typer.Option("--names", metavar="A,B", help="Features or groups, such as rsi_14,trend; else the whole catalogue."),
]
Fill = Annotated[
    int | None, typer.Option("--fill", metavar="N", help="Put flat bars in for up to N missing ones in a row first.")
]


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Features: build tables, list, put online, read.")
    command(group, "build")(build)
    command(group, "list")(list_)
    command(group, "materialize")(materialize)
    command(group, "read")(read)
    root.add_typer(group, name="features")


def request_of(
    id_: str, timeframe: str, source: str | None, names: str | None = None, fill: int | None = None
) -> FeaturesRequest:
    """Return the request of the options that the commands here share."""
    return requests.build(
        requests.FeaturesRequest, instrument=id_, timeframe=timeframe, source=source, names=names, fill=fill
    )


def build(
    face: Face,
    id_: option.Id,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    names: NamesOf = None,
    fill: Fill = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="From the first candle; a table of other definitions is kept aside.")
    ] = False,
) -> Answer:
    """Bring the feature table of a series up to its last candle; a second run adds nothing."""
    request = request_of(id_, timeframe, source, names, fill)
    make = app.build_features.rebuild_table if rebuild else app.build_features.build_table
    built = make(face.workspace, request)
    return Answer("features-build", {"table": built}, show.marked(built.source, [*_told(built)]))


def _told(b: Built) -> list[str]:
    lines = [
        f"{b.instrument} {b.timeframe} from {b.source}: {b.state}; {b.added} rows added"
        + (f", {b.revised} computed anew" if b.revised else "")
        + f"; the table has {b.rows} rows of {b.columns} columns, {b.start:%Y-%m-%d} to {b.end:%Y-%m-%d}",
        f"{b.path}, fingerprint {b.fingerprint[:12]}",
    ]
    if b.note:
        lines.append(f"Computed anew: {b.note}.")
    if b.missing_bars:
        lines.append(
            f"{b.missing_bars} bars are missing: no value spans them, and lookbacks begin anew after each hole"
            " (--fill N puts flat bars in)."
        )
    reasons: dict[str, list[str]] = {}
    for name, why in b.short.items():
        reasons.setdefault(why, []).append(name)
    lines += [f"Without a value: {', '.join(names)}. {why}" for why, names in list(reasons.items())[:SHOWN]]
    return lines


def materialize(
    face: Face,
    id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="Instrument; none: every table there is.")] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", help="1d of one instrument; of every one where neither is named.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Only what was built of this source; another one is refused.")
    ] = None,
    build_: Annotated[bool, typer.Option("--build", help="Bring the table up to the last candle first.")] = False,
) -> Answer:
    """Bring feature tables into the online store, and compare what is read back with the table."""
    if id_ is None:
        if build_:
            raise RequestInvalid("--build was asked for.", "It builds one table.", "Name the instrument.")
        if timeframe is not None and timeframe not in sessions.TIMEFRAMES:
            raise NameUnknown("timeframe", timeframe, sessions.TIMEFRAMES)
        found = app.materialize.materialize(face.workspace, None, source, timeframe)
    else:
        request = request_of(id_, timeframe or "1d", source)
        if build_:
            found = app.materialize.build_and_materialize(face.workspace, request)
        else:
            found = app.materialize.materialize(face.workspace, [(request.instrument.id, request.timeframe)], source)
    lines = [line for m in found for line in [*(_told(m.built) if m.built else []), _online(m)]]
    return Answer("features-materialize", {"tables": found}, lines)


def _online(m: Materialized) -> str:
    again = ", written apart (revised, or it ends before others)" if m.written_again else ""
    return (
        f"{m.instrument} {m.timeframe}: the row of {m.known_at:%Y-%m-%d %H:%M} is in {m.store}{again}; "
        f"{m.checked} columns read offline and online are the same ({m.without_value} of them not known)"
    )


def read(
    face: Face,
    id_: option.Id,
    timeframe: option.Timeframe = "1d",
    source: Annotated[
        str | None, typer.Option("--source", help="Whose candles the values have to be from; others are refused.")
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", metavar="A,B", help="Columns, such as rsi_14,macd_12_26_9.line; else all.")
    ] = None,
) -> Answer:
    """Read the latest features: online, or where the store is down from the table, marked so."""
    request = request_of(id_, timeframe, source, names)
    reading = app.online_features.read_latest(face.workspace, request)
    age = (face.workspace.clock.now() - reading.known_at).total_seconds()
    if reading.note:
        warnings.warn(reading.note, stacklevel=1)
    head = (
        f"{reading.instrument} {reading.timeframe}: known at {reading.known_at:%Y-%m-%d %H:%M} UTC, "
        f"{age / 3600:.1f} hours ago; from {reading.source}, served {reading.served_from}"
    )
    rows = [(name, "-" if value is None else f"{value:.10g}") for name, value in reading.values.items()]
    document = {"reading": reading, "age_seconds": age}
    table = show.table("", ("column", ">value"), rows)
    return Answer("features-read", document, show.marked(reading.source, [head, table]))


def list_(
    face: Face,
    group: Annotated[str | None, typer.Option("--group", help="One group only, such as trend or onchain.")] = None,
) -> Answer:
    """List the features: what each is, its unit, how many bars it looks back on."""
    entries = app.feature_list.listed(group)
    rows = [
        (e.spec.name, e.spec.group, e.spec.title, ", ".join(dict.fromkeys(c.unit for c in e.spec.columns)),
         e.lookback, len(e.spec.columns), ", ".join(e.spec.needs) or "-")
        for e in entries
    ]  # fmt: skip
    columns = ("name", "group", "what", "unit", ">lookback", ">columns", "needs")
    title = f"{len(entries)} features, {sum(len(e.spec.columns) for e in entries)} columns; numbers in names are free"
    document = {"features": [{**vars(e.spec), "begins": e.lookback} for e in entries]}
    note = "state: unbounded, carries a state; in brackets the bars before its first value. --json has the formulas."
    return Answer("features-list", document, [show.table(title, columns, rows), note])
