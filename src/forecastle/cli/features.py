"""Commands about features: build, list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from forecastle.app.build_features import Built
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
