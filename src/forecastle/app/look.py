"""Look at what there is: candles, SQL, the list, the proof."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from forecastle.errors import DataCorrupt, DataError
from forecastle.lake import DatasetInfo, Problem, query
from forecastle.nouns import Candles
from forecastle.requests import SeriesRequest, build
from forecastle.workspace import Workspace


def open_workspace(home: Path | None = None) -> Workspace:
    """Open the home that the command line, the environment or the settings name."""
    return Workspace.open(home)


def load(workspace: Workspace, request: SeriesRequest) -> Candles:
    """Return candles of the lake. Raises ``DataMissing``, ``DataInvalid`` (several sources) or ``DataCorrupt``."""
    key = workspace.lake.resolve(request.instrument, request.timeframe, request.source)
    candles = workspace.lake.read(key, request.start, request.end)
    if not len(candles):
        whole = workspace.lake.read(key)
        raise workspace.lake.nothing_between(whole, request.start, request.end)
    return candles


def load_candles(
    instrument: str,
    timeframe: str = "1d",
    source: str | None = None,
    *,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    home: str | Path | None = None,
) -> Candles:
    """Return candles of the lake: ``fc.load("BTC-USDT", timeframe="1h")``.

    ``source`` may be left out where the lake holds only one for the series; ``start`` (open) and ``end`` (close) bound
    it, UTC; ``home`` defaults as on the command line. Raises ``RequestInvalid``, ``DataMissing``, ``DataCorrupt``.
    """
    request = build(
        SeriesRequest, instrument=instrument, timeframe=timeframe, source=source, start=start, end=end
    )  # fmt: skip
    return load(open_workspace(None if home is None else Path(home)), request)


def sql(workspace: Workspace, text: str) -> pl.DataFrame:
    """Answer one SELECT over the views of the lake."""
    return query(workspace.lake, text)


def datasets(workspace: Workspace) -> list[DatasetInfo]:
    """Return every series of the lake."""
    return workspace.lake.datasets()


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
