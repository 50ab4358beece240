"""Look at what there is: candles, SQL, the list, the proof."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from forecastle.errors import DataCorrupt, DataError, DataInvalid, DataMissing, RequestInvalid
from forecastle.lake import DatasetInfo, DatasetKey, ObservationInfo, Problem, query, read_duckdb
from forecastle.nouns import Candles
from forecastle.requests import SeriesRequest, build
from forecastle.workspace import Workspace


def open_workspace(home: Path | None = None) -> Workspace:
    """Open the home that the command line, the environment or the settings name."""
    return Workspace.open(home)


def load(workspace: Workspace, request: SeriesRequest) -> Candles:
    """Return candles of the lake, as they are or as they were at ``as_of``.

    Where ``source`` names several (``binance,kraken``) every bar is of the first of them that has it. Raises
    ``DataMissing``, ``DataInvalid`` (several sources and none named) or ``DataCorrupt``.
    """
    named = [name.strip() for name in (request.source or "").split(",") if name.strip()]
    keys = _keys(workspace, request, [*named] or [None])
    parts = [workspace.lake.read(key, request.start, request.end, request.as_of) for key in keys]
    candles = _joined(parts) if len(parts) > 1 else parts[0]
    if not len(candles):
        raise workspace.lake.nothing_between(workspace.lake.read(keys[0]), request.start, request.end)
    return candles


def _keys(workspace: Workspace, request: SeriesRequest, names: list[str | None]) -> list[DatasetKey]:
    """Return the series that are there; raises ``DataMissing`` where none of those named is."""
    keys, absent = [], []
    for name in names:
        try:
            keys.append(workspace.lake.resolve(request.instrument, request.timeframe, name))
        except DataMissing as error:
            absent.append(error)
    if not keys:
        raise absent[0]
    return keys


def _joined(parts: list[Candles]) -> Candles:
    """Return the bars of the first series, and those of the others where the ones before have none."""
    first = parts[0]
    kinds = {(p.adjusted, p.prices) for p in parts}
    if len(kinds) > 1:
        raise DataInvalid(
            f"The series of {', '.join(p.source for p in parts)} are not of one kind.",
            f"They are {', '.join(sorted('/'.join(kind) for kind in kinds))} (adjusted/prices): joined, prices jump.",
            "Name sources of one kind.",
        )
    frame = first.frame
    for part in parts[1:]:
        frame = pl.concat([frame, part.frame.join(frame, on="open_time", how="anti")]).sort("open_time")
    source = ",".join(p.source for p in parts)
    return Candles(first.instrument, first.timeframe, source, frame, first.adjusted, first.prices)


def load_candles(
    instrument: str,
    timeframe: str = "1d",
    source: str | None = None,
    *,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    as_of: str | datetime | None = None,
    duckdb: str | Path | None = None,
    home: str | Path | None = None,
) -> Candles:
    """Return candles of the lake: ``fc.load("BTC-USDT", timeframe="1h")``.

    ``source`` may be left out where the lake holds only one for the series; where it names several (``binance,kraken``)
    a bar is of the first that has it. ``start`` (open) and ``end`` (close) bound it, UTC; ``as_of`` gives the lake as
    it was at that moment; ``duckdb`` names a file of ``forecastle lake export`` to read instead of the lake; ``home``
    defaults as on the command line. Raises ``RequestInvalid``, ``DataMissing``, ``DataCorrupt``.
    """
    request = build(
        SeriesRequest, instrument=instrument, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of
    )  # fmt: skip
    if duckdb is not None:
        if request.as_of is not None:
            raise RequestInvalid(
                "as_of and duckdb were given.", "A DuckDB file holds the lake of one moment.", "Leave one of them out."
            )
        found = read_duckdb(Path(duckdb), request.instrument, request.timeframe, request.source)
        return found.between(request.start, request.end)
    return load(open_workspace(None if home is None else Path(home)), request)


def revisions(workspace: Workspace, request: SeriesRequest) -> pl.DataFrame:
    """Return every bar of a series that was revised, with its values before and after, and when."""
    return workspace.lake.revisions(
        workspace.lake.resolve(request.instrument, request.timeframe, request.source)
    )  # fmt: skip


def sql(workspace: Workspace, text: str) -> pl.DataFrame:
    """Answer one SELECT over the views of the lake and the feature tables."""
    return query(workspace.lake, text, workspace.features)


def datasets(workspace: Workspace) -> list[DatasetInfo]:
    """Return every series of the lake."""
    return workspace.lake.datasets()


def observation_sets(workspace: Workspace) -> list[ObservationInfo]:
    """Return every series of observations."""
    return workspace.lake.observation_sets()


def verify(workspace: Workspace) -> list[Problem]:
    """Return what is wrong with the files of the lake; nothing is the good answer."""
    try:
        return workspace.lake.verify()
    except DataCorrupt as error:  # the manifest itself
        return [Problem(error.what, f"{error.why} {error.hint}")]


def list_series(workspace: Workspace) -> list[tuple[DatasetInfo, int | None]]:
    """Return every series with the number of bars its calendar has and it has not; None where it cannot be read."""
    return [(info, _gaps(workspace, info)) for info in workspace.lake.datasets()]


def _gaps(workspace: Workspace, info: DatasetInfo) -> int | None:
    try:
        return int(workspace.lake.read(info.key).missing().size)
    except DataError:  # one broken series must not hide the others; lake verify says what is wrong
        return None
