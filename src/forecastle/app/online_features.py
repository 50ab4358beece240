"""The latest features, from the online store where it answers, from the table where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

import polars as pl

from forecastle.app.build_features import check_definitions
from forecastle.app.materialize import other_source, place_of
from forecastle.errors import DataCorrupt, DataMissing, NameUnknown, RequestInvalid, UpstreamError
from forecastle.features.feast import ENTITY, FOREVER, FeastStore, OnlineRow, columns, definitions_today
from forecastle.lake.feature_tables import KEYS
from forecastle.nouns import Instrument
from forecastle.nouns.candles import TIME
from forecastle.nouns.feature_reading import FeatureReading
from forecastle.requests import FeaturesRequest
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace

MOMENT = "event_timestamp"
"""The column of the moments to join at, as Feast calls it."""


class OnlineFeatures:
    """Reads latest values; keep it open, for opening costs seconds and a read less than three milliseconds."""

    def __init__(self, workspace: Workspace) -> None:
        """Look at the store of a home; it is opened by the first read."""
        self._workspace = workspace
        self._place = place_of(workspace)

    @cached_property
    def _store(self) -> FeastStore:
        return FeastStore(self._place)

    def read(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        names: Sequence[str] | None = None,
        source: str | None = None,
    ) -> FeatureReading:
        """Return the online values of some columns, all of the catalogue where None, and whose candles they are from.

        Where the store does not answer within 0.3 s, has nothing, or has what was computed under other definitions or
        of another source than the one named, the last row of the table is returned, marked and with the reason. Raises
        ``NameUnknown`` for a column, ``DataMissing`` where there is no table either or it is of another source,
        ``DefinitionChanged`` where its definitions are not those of today either.
        """
        wanted = _known(names)
        try:
            row = self._online(instrument, timeframe, wanted)
        except (UpstreamError, DataCorrupt) as error:
            return self._offline(instrument, timeframe, wanted, source, f"{error.what} {error.why}")
        why = "Nothing of it is online" if row is None else _unfit(row, source)
        if row is None or why:
            again = f"{why} in {self._place.shown}: {_again(instrument, timeframe)}."
            return self._offline(instrument, timeframe, wanted, source, again)
        return FeatureReading(instrument, timeframe, row.source, row.known_at, row.values, "online")

    def _online(self, instrument: Instrument, timeframe: Timeframe, names: Sequence[str]) -> OnlineRow | None:
        if self._place.online is None and not self._place.sqlite.exists():
            return None  # a home that never brought anything online needs no Feast to know it
        return self._store.read(instrument.id, timeframe, names)

    def beside_table(self, reading: FeatureReading) -> FeatureReading:
        """Return a reading with a note where the table has a later row, or is of another source by now."""
        meta, row = self._workspace.features.last_row(reading.instrument.id, reading.timeframe)
        last: datetime = row["known_at"][0]
        why = f"The table goes on to {last:%Y-%m-%d %H:%M}" if last > reading.known_at else ""
        if meta.source != reading.source:
            why = f"The table is of {meta.source} by now, what is online of {reading.source}"
        if reading.note or not why:
            return reading
        return replace(reading, note=f"{why}: {_again(reading.instrument, reading.timeframe)}.")

    def _offline(
        self, instrument: Instrument, timeframe: Timeframe, names: Sequence[str], source: str | None, why: str
    ) -> FeatureReading:
        meta, row = self._workspace.features.last_row(instrument.id, timeframe)
        check_definitions(meta)
        if source not in {None, meta.source}:
            raise other_source(instrument.id, timeframe, meta.source, str(source))
        values = {name: row[name][0] if name in row.columns else None for name in names}
        known_at: datetime = row["known_at"][0]
        return FeatureReading(instrument, timeframe, meta.source, known_at, values, "offline", why)


def _unfit(row: OnlineRow, source: str | None) -> str:
    """Return why what is online is no answer, nothing where it is one."""
    if row.definitions != definitions_today():
        return "Its values were computed under other definitions"
    return "" if source in {None, row.source} else f"Its values are of {row.source}, not of {source},"


def _again(instrument: Instrument, timeframe: Timeframe) -> str:
    return f"forecastle features materialize {instrument}" + ("" if timeframe == "1d" else f" --timeframe {timeframe}")


def _known(names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return columns()
    known = frozenset(columns())
    for name in names:
        if name not in known:
            raise NameUnknown("feature column", name, known)
    return tuple(names)


def read_latest(workspace: Workspace, request: FeaturesRequest) -> FeatureReading:
    """Return the latest values of the request once, with a look at the table; see :class:`OnlineFeatures`."""
    online = OnlineFeatures(workspace)
    return online.beside_table(online.read(request.instrument, request.timeframe, request.names, request.source))


def as_of_features(
    workspace: Workspace, rows: pl.DataFrame, timeframe: Timeframe = "1d", names: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return features as they were known at moments: ``rows`` has ``instrument`` and ``event_timestamp`` (UTC).

    A point-in-time join with the tables: to each row the last values known by its moment, in the version that had been
    computed by then, null where there was none. Rows stay as many and as ordered as they are; a moment without a zone
    is UTC. Feast's own join with ``filter_by_created_timestamp=True`` says the same, and takes a minute for a hundred
    rows. Raises ``NameUnknown``, ``RequestInvalid``, ``DataMissing``, ``DefinitionChanged``.
    """
    wanted, asked = _known(names), _asked(rows)
    empty = pl.DataFrame(schema={**asked.schema, **dict.fromkeys(wanted, pl.Float64())})
    parts = [_as_of(workspace, part, timeframe, wanted) for part in asked.partition_by(ENTITY)]
    return pl.concat([empty, *parts]).sort("_row").drop("_row")


def _asked(rows: pl.DataFrame) -> pl.DataFrame:
    """Return instruments and moments in UTC, with the number of each row; raises ``RequestInvalid``."""
    kind = rows.schema.get(MOMENT)
    if rows.schema.get(ENTITY) != pl.String or not isinstance(kind, pl.Datetime | pl.Date):
        raise RequestInvalid(
            f"The rows to join have the columns {dict(rows.schema)}.",
            f"They need {ENTITY} (text) and {MOMENT} (a date or a time; without a zone it is UTC).",
            "Convert them before, as with polars' str.to_datetime(time_zone='UTC').",
        )
    if rows.select(ENTITY, MOMENT).null_count().sum_horizontal()[0]:
        raise RequestInvalid(
            "Some rows to join have no instrument or no moment.", "Nothing was known of nobody, or at no time.",
            "Leave these rows out.",
        )  # fmt: skip
    moment = pl.col(MOMENT) if isinstance(kind, pl.Datetime) else pl.col(MOMENT).cast(pl.Datetime("us"))
    zoned = isinstance(kind, pl.Datetime) and kind.time_zone is not None
    moment = moment.dt.convert_time_zone("UTC") if zoned else moment.dt.replace_time_zone("UTC")
    return rows.select(ENTITY, moment.cast(TIME)).with_row_index("_row")


def _as_of(workspace: Workspace, asked: pl.DataFrame, timeframe: Timeframe, names: Sequence[str]) -> pl.DataFrame:
    """Return the rows of one instrument with their values."""
    instrument = Instrument.parse(asked[ENTITY][0])
    stored = workspace.features.read(instrument.id, timeframe, names)
    check_definitions(stored.meta)
    table = stored.frame
    if absent := [name for name in names if name not in table.columns]:
        raise DataMissing(
            f"The table of {timeframe} features of {instrument} has no {absent[0]}.", "It was built of some features.",
            f"Build it whole: forecastle features build {instrument} --timeframe {timeframe} --rebuild",
        )  # fmt: skip
    # a version counts until one of a later row, or a later one of its own row, was created
    versions = table.select("known_at", "created_at").with_row_index("_version").sort("created_at", "known_at")
    last = versions.filter(pl.col("known_at") == pl.col("known_at").cum_max())
    found = asked.sort(MOMENT).join_asof(last, left_on=MOMENT, right_on="created_at")
    found = found.with_columns(pl.when(pl.col("known_at") >= pl.col(MOMENT) - FOREVER).then("_version"))
    values = table.drop(KEYS).with_row_index("_version")
    return found.join(values, on="_version", how="left").select(asked.columns + list(names))
