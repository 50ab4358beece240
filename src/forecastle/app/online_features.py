"""The latest features, from the online store where it answers, from the table where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from forecastle.app.build_features import check_definitions
from forecastle.app.materialize import place_of
from forecastle.errors import NameUnknown, UpstreamError
from forecastle.features.feast import FeastStore, columns
from forecastle.nouns import Instrument
from forecastle.nouns.feature_reading import FeatureReading
from forecastle.requests import FeaturesRequest
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace


class OnlineFeatures:
    """Reads latest values; keep it open, for opening costs seconds and a read less than three milliseconds."""

    def __init__(self, workspace: Workspace) -> None:
        """Look at the store of a home; it is opened by the first read."""
        self._workspace = workspace
        self._place = place_of(workspace)
        self._opened: FeastStore | None = None

    @property
    def _store(self) -> FeastStore | None:
        """Return the open store; None where nothing was ever brought online from here, and nothing is made for it."""
        if self._opened is None and self._place.registry.exists():
            self._opened = FeastStore(self._place)
        return self._opened

    def read(self, instrument: Instrument, timeframe: Timeframe, names: Sequence[str] | None = None) -> FeatureReading:
        """Return the online values of some columns, all of the catalogue where None.

        Where the store does not answer within 0.3 s, or has nothing, the last row of the table is returned, marked and
        with the reason. Raises ``NameUnknown`` for a column, ``DataMissing`` where there is no table either.
        """
        wanted, store = _known(names), self._store
        try:
            row = None if store is None else store.read(instrument.id, timeframe, wanted)
        except UpstreamError as error:
            return self._offline(instrument, timeframe, wanted, f"{error.what} {error.why}")
        if row is None:
            why = f"Nothing of it is online in {self._place.shown}: forecastle features materialize {instrument}."
            return self._offline(instrument, timeframe, wanted, why)
        known_at, values = row
        return FeatureReading(instrument, timeframe, "", known_at, values, "online")

    def beside_table(self, reading: FeatureReading) -> FeatureReading:
        """Return a reading with its source, and a note where the table has a later row; the table is looked at."""
        meta, row = self._workspace.features.last_row(reading.instrument.id, reading.timeframe)
        last: datetime = row["known_at"][0]
        late = f"The table goes on to {last:%Y-%m-%d %H:%M}: forecastle features materialize {reading.instrument}."
        note = reading.note or (late if last > reading.known_at else "")
        return FeatureReading(**{**vars(reading), "source": meta.source, "note": note})

    def _offline(self, instrument: Instrument, timeframe: Timeframe, names: Sequence[str], why: str) -> FeatureReading:
        meta, row = self._workspace.features.last_row(instrument.id, timeframe)
        check_definitions(meta)
        values = {name: row[name][0] if name in row.columns else None for name in names}
        known_at: datetime = row["known_at"][0]
        return FeatureReading(instrument, timeframe, meta.source, known_at, values, "offline", why)


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
    return online.beside_table(online.read(request.instrument, request.timeframe, request.names))


def as_of_features(
    workspace: Workspace, rows: pl.DataFrame, timeframe: Timeframe = "1d", names: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return features as they were known at moments: ``rows`` has ``instrument`` and ``event_timestamp`` (UTC).

    A point-in-time join of the offline store: of each row the last values known by its moment, in the version that had
    been computed by then. Raises ``NameUnknown``; needs a ``features materialize`` before.
    """
    return FeastStore(place_of(workspace)).historical(rows, timeframe, _known(names))
