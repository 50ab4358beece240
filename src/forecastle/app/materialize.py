"""Feature tables into the online store, read back and compared."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from forecastle.app.build_features import Built, build_table, check_definitions
from forecastle.errors import CheckFailed, DataMissing
from forecastle.features.feast import WRITE, FeastStore, StorePlace, columns
from forecastle.lake import TableMeta
from forecastle.lake.lock import writer_lock
from forecastle.nouns import Instrument
from forecastle.nouns.feature_frame import MARKS
from forecastle.requests import FeaturesRequest
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace

Table = tuple[str, Timeframe]


@dataclass(frozen=True)
class Materialized:
    """One table online: the row that is served, and how many columns were read back offline and online, all the same.

    ``written_again`` tells that the row was there already with other values, as after a revision.
    """

    instrument: Instrument
    timeframe: Timeframe
    known_at: datetime
    checked: int
    without_value: int
    store: str
    written_again: bool
    built: Built | None = None


def place_of(workspace: Workspace) -> StorePlace:
    """Return where the feature store of a home is."""
    return StorePlace(workspace.settings.store_folder, workspace.settings.store.online)


def build_and_materialize(workspace: Workspace, request: FeaturesRequest) -> list[Materialized]:
    """Bring a table up to the last candle, then online; raises as building and :func:`materialize`."""
    built = build_table(workspace, request)
    (found,) = materialize(workspace, [(request.instrument.id, request.timeframe)])
    return [Materialized(**{**vars(found), "built": built})]


def materialize(
    workspace: Workspace,
    tables: Sequence[tuple[str, Timeframe]] | None = None,
    source: str | None = None,
    timeframe: Timeframe | None = None,
) -> list[Materialized]:
    """Bring tables online and compare what was brought: those named, which have to be of ``source`` where one is named.

    Where None is named all that hold the catalogue, of ``source`` and of ``timeframe`` where these are named.
    Definitions are registered first; then Feast brings what became known since the last time, of all tables of these
    timeframes at once. What is online is read back and has to be the last row of the table, to the bit, with its time,
    source and definitions: where it is not, as after a revision of that row, it is written once more. Raises
    ``DataMissing``, ``DefinitionChanged``, ``CheckFailed`` where a value differs after that, ``UpstreamError`` where
    the store does not answer, ``LakeLocked`` where another process is at it, ``DataCorrupt``.
    """
    metas = {table: workspace.features.meta(*table) for table in workspace.features.listed()}
    whole = {table: meta for table, meta in metas.items() if meta is not None and _has_catalogue(meta)}
    wanted = list(tables) if tables is not None else [
        table for table, meta in whole.items() if timeframe in {None, table[1]} and source in {None, meta.source}
    ]  # fmt: skip
    for table in wanted:
        _refuse_other(workspace, table, whole, source)
    if not wanted:
        of = " ".join(["", *(["of", timeframe] if timeframe else []), *(["of", source] if source else [])])
        raise DataMissing(
            f"There is no feature table{of} to bring online.", "None was built, or none holds the whole catalogue.",
            "Build one: forecastle features build ID",
        )  # fmt: skip
    place = place_of(workspace)
    store = FeastStore(place, WRITE)
    with writer_lock(place.folder, workspace.clock, Path()) as pen:
        found = _brought(workspace, store, list(whole), wanted)
        pen.wipe()
    return found


def _brought(
    workspace: Workspace, store: FeastStore, whole: Sequence[Table], wanted: Sequence[Table]
) -> list[Materialized]:
    timeframes = list(dict.fromkeys(timeframe for _, timeframe in wanted))
    for timeframe in timeframes:
        served = [instrument for instrument, t in whole if t == timeframe]
        for instrument in served:
            workspace.features.mark(instrument, timeframe)
        store.link(timeframe, _links(workspace, served, timeframe))
    store.apply(timeframes)
    for timeframe in timeframes:
        last = [_last(workspace, i, t)["known_at"][0] for i, t in wanted if t == timeframe]
        store.materialize(timeframe, max(last))
    return [_checked(workspace, store, instrument, timeframe) for instrument, timeframe in wanted]


def other_source(instrument: str, timeframe: Timeframe, held: str, wanted: str) -> DataMissing:
    """Return the error of a table that is of another source than the one asked for."""
    return DataMissing(
        f"There are no {timeframe} features of {instrument} from {wanted}.",
        f"A table is of one source, and this one is of {held}.",
        f"Leave --source out, or build it anew: forecastle features build {instrument} --timeframe {timeframe} "
        f"--source {wanted} --rebuild",
    )  # fmt: skip


def _has_catalogue(meta: TableMeta) -> bool:
    return tuple(column.name for spec in meta.specs for column in spec.columns) == columns()


def _refuse_other(workspace: Workspace, table: Table, whole: Container[Table], source: str | None) -> None:
    """Raise where a table is not there, is of other definitions or source, or has not the columns of the store."""
    meta = workspace.features.meta(*table)
    if meta is None:
        workspace.features.read(*table)  # says what is missing
        return
    check_definitions(meta)
    if source not in {None, meta.source}:
        raise other_source(*table, meta.source, str(source))
    if table not in whole:
        raise DataMissing(
            f"The table of {table[1]} features of {table[0]} has {len(meta.specs)} features of its own.",
            "The store serves the whole catalogue.",
            f"Build it whole: forecastle features build {table[0]} --timeframe {table[1]} --rebuild",
        )


def _links(workspace: Workspace, instruments: Sequence[str], timeframe: Timeframe) -> dict[str, Path]:
    """Return the files of tables by names of links: several files of a table of minutes."""
    return {
        f"{instrument}.{path.stem}.parquet": path
        for instrument in instruments
        for path in workspace.features.files(instrument, timeframe)
    }


def _last(workspace: Workspace, instrument: str, timeframe: Timeframe) -> pl.DataFrame:
    """Return the last row of a table as it has to be online, with what it says of itself."""
    meta, row = workspace.features.last_row(instrument, timeframe)
    return row.with_columns(**{mark: pl.lit(text) for mark, text in meta.marks.items()})


def _checked(workspace: Workspace, store: FeastStore, instrument: str, timeframe: Timeframe) -> Materialized:
    row, again = _last(workspace, instrument, timeframe), False
    differ = _differences(store, instrument, timeframe, row)
    if differ:
        store.put(timeframe, row)
        again, differ = True, _differences(store, instrument, timeframe, row)
    if differ:
        raise CheckFailed(
            f"{len(differ)} online values of {instrument} {timeframe} are not those of the table.",
            f"The first are {', '.join(differ[:3])}; the store is {store.place.shown}; another writer may be at work.",
            "Run features materialize again; look at who else writes there.",
        )
    values = row.select(columns()).row(0)
    return Materialized(
        Instrument.parse(instrument), timeframe, row["known_at"][0], len(values), sum(v is None for v in values),
        store.place.shown, again,
    )  # fmt: skip


def _differences(store: FeastStore, instrument: str, timeframe: Timeframe, row: pl.DataFrame) -> list[str]:
    """Return the columns whose online value is not that of the row, all of them where its time or origin is another."""
    online, offline = store.read(instrument, timeframe, columns()), row.row(0, named=True)
    said = ("known_at", *MARKS)
    if online is None or any(getattr(online, name) != offline[name] for name in said):
        return list(columns())
    return [name for name in columns() if online.values[name] != offline[name]]
