"""Feature tables into the online store, read back and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from forecastle.app.build_features import Built, build_table, check_definitions
from forecastle.errors import CheckFailed, DataMissing
from forecastle.features.feast import WRITE, FeastStore, StorePlace, columns
from forecastle.nouns import Instrument
from forecastle.requests import FeaturesRequest
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace


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


def materialize(workspace: Workspace, tables: Sequence[tuple[str, Timeframe]] | None = None) -> list[Materialized]:
    """Bring tables online, all that hold the catalogue where None is named, and compare what was brought.

    Definitions are registered first; then Feast brings what became known since the last time. What is online is read
    back and has to be the last row of the table, to the bit and with its time: where it is not, as after a revision of
    that row, it is written once more. Raises ``DataMissing``, ``DefinitionChanged``, ``CheckFailed`` where a value
    differs after that, ``UpstreamError`` where the store does not answer.
    """
    listed = workspace.features.listed()
    whole = {table for table in listed if _has_catalogue(workspace, *table)}
    wanted = [table for table in listed if table in whole] if tables is None else list(tables)
    for table in wanted:
        _refuse_other(workspace, table, whole)
    if not wanted:
        raise DataMissing(
            "There is no feature table to bring online.", "None was built, or none holds the whole catalogue.",
            "Build one: forecastle features build ID",
        )  # fmt: skip
    store = FeastStore(place_of(workspace), WRITE)
    timeframes = list(dict.fromkeys(timeframe for _, timeframe in wanted))
    for timeframe in timeframes:
        served = [instrument for instrument, t in listed if t == timeframe and (instrument, t) in whole]
        store.link(timeframe, _links(workspace, served, timeframe))
    store.apply(timeframes)
    for timeframe in timeframes:
        last = [_last(workspace, i, t)["known_at"][0] for i, t in wanted if t == timeframe]
        store.materialize(timeframe, max(last))
    return [_checked(workspace, store, instrument, timeframe) for instrument, timeframe in wanted]


def _has_catalogue(workspace: Workspace, instrument: str, timeframe: Timeframe) -> bool:
    meta = workspace.features.meta(instrument, timeframe)
    return meta is not None and tuple(c.name for s in meta.specs for c in s.columns) == columns()


def _refuse_other(workspace: Workspace, table: tuple[str, Timeframe], whole: set[tuple[str, Timeframe]]) -> None:
    """Raise where a table is not there, is of other definitions, or has not the columns of the store."""
    meta = workspace.features.meta(*table)
    if meta is None:
        workspace.features.read(*table)  # says what is missing
        return
    check_definitions(meta)
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
    return workspace.features.last_row(instrument, timeframe)[1]


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
    """Return the columns whose online value or time is not that of the row."""
    online = store.read(instrument, timeframe, columns())
    if online is None or online[0] != row["known_at"][0]:
        return list(columns())
    offline = row.select(columns()).row(0, named=True)
    return [name for name in columns() if online[1][name] != offline[name]]
