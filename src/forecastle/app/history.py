"""What is known of one market: its candles, and what else the lake holds that a model looks at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from forecastle.app.look import load, open_workspace
from forecastle.errors import DataMissing, ForecastRefused
from forecastle.lake import DatasetInfo
from forecastle.nouns import Candles, History, Instrument, Observations
from forecastle.nouns.instrument import is_simulated
from forecastle.ports import Extra, Model
from forecastle.requests import SeriesRequest, build
from forecastle.sessions import Timeframe, step_of
from forecastle.workspace import Workspace

FINER: tuple[Timeframe, ...] = ("1h", "30m", "15m", "5m", "1m")
"""Timeframes that realised measures are made of, the first that is there and goes four times or more into a bar."""
PARTS = 4
PEERS = 12
"""Other instruments that pooled models learn from, at most."""
IMPLIED = ("VIX.INDEX", "close")
_TENTH = 10
_ADJUSTED = ("splits", "splits_dividends")
"""What the prices of a stock have to be to teach others: an unadjusted split is a crash that never was."""


def history_of(workspace: Workspace, request: SeriesRequest, wants: frozenset[Extra]) -> History:
    """Return the candles of the request, with what is wanted beside them where the lake has it.

    ``finer`` are bars of the same instrument: of the timeframe and source that cover most of the candles, the same
    source first, hours before minutes, and adjusted as the candles are. ``observations`` are the closes of the VIX, for
    markets with sessions. ``peers`` are the other instruments of the same kind, calendar and timeframe with ranges and
    adjusted prices, the 12 that share the longest time with the candles, each with its own finer bars. All is cut where
    the candles end, and as it was at ``as_of``; which series there are to choose from is what the lake holds today.
    Made-up candles meet only made-up peers and have no finer bars: their hours are drawn apart from days.
    """
    candles = load(workspace, request)
    if not wants:
        return History(candles)
    catalogue = workspace.lake.datasets()
    observed = _implied(workspace, candles, request.as_of) if "observations" in wants else ()
    peers = _peers(workspace, candles, catalogue, request.as_of) if "peers" in wants else ()
    finer = _finer(workspace, candles, catalogue, request.as_of) if "finer" in wants else None
    members = [
        History(peer, _finer(workspace, peer, catalogue, request.as_of) if "finer" in wants else None, observed)
        for peer in peers
    ]
    return History(candles, finer, observed, tuple(members))


def refuse_lacking(model: Model, history: History) -> None:
    """Raise ``ForecastRefused`` where a history has not what the model is nothing of its own without: its peers."""
    if "peers" in model.needs and not history.peers:
        raise ForecastRefused(
            f"{model.label} has no peers of {history.candles.instrument}.",
            "It learns from other markets of the same kind and timeframe, and the lake holds none.",
            "Fetch some, or ask for log_har.",
        )


def load_history(
    instrument: str,
    timeframe: str = "1d",
    source: str | None = None,
    *,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    as_of: str | datetime | None = None,
    home: str | Path | None = None,
) -> History:
    """Return candles with all that the lake has beside them: finer bars, observations, peers.

    Takes what ``fc.load`` takes, and raises as it does.
    """
    request = build(
        SeriesRequest, instrument=instrument, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of
    )  # fmt: skip
    everything: frozenset[Extra] = frozenset({"finer", "observations", "peers"})
    return history_of(open_workspace(None if home is None else Path(home)), request, everything)


def _finer(
    workspace: Workspace, candles: Candles, catalogue: list[DatasetInfo], as_of: datetime | None
) -> Candles | None:
    """Return the finer bars that serve best, None where there are none."""
    usable = [frame for frame in FINER if _goes_into(frame, candles.timeframe)]
    found = [
        info for info in catalogue
        if info.key.instrument == candles.instrument.id and info.key.timeframe in usable and info.prices == "ohlc"
        and info.adjusted == candles.adjusted and not is_simulated(info.key.source) and not candles.simulated
        and _overlap(info, candles) > 0
    ]  # fmt: skip
    own = candles.source.split(",")
    found.sort(
        key=lambda i: (
            -_overlap(i, candles), i.key.source not in own, usable.index(i.key.timeframe), i.key.source,
        )
    )  # fmt: skip
    return _read(workspace, found[0], candles.start, candles.end, as_of) if found else None


def _goes_into(part: Timeframe, whole: Timeframe) -> bool:
    """Return whether four bars of ``part`` or more make one of ``whole``; a month has room for all of them."""
    inner, outer = step_of(part), step_of(whole)
    return outer is None or (inner is not None and bool(PARTS * inner <= outer))


def _overlap(info: DatasetInfo, candles: Candles) -> int:
    """Return how much of the candles a series covers, in tenths begun: a few days more are no reason to choose it."""
    span = min(info.last_close, candles.end) - max(info.first_open, candles.start)
    return max(0, -(-_TENTH * span // (candles.end - candles.start)))


def _peers(
    workspace: Workspace, candles: Candles, catalogue: list[DatasetInfo], as_of: datetime | None
) -> list[Candles]:
    """Return the candles of the peers, one series an instrument."""
    found: dict[str, DatasetInfo] = {}
    own = candles.source.split(",")
    usable = [info for info in catalogue if _is_peer(info, candles)]
    usable.sort(key=lambda i: (-_overlap(i, candles), i.key.source not in own, i.key.source))
    for info in usable:
        found.setdefault(info.key.instrument, info)
    chosen = sorted(found.values(), key=lambda i: (-_overlap(i, candles), i.key.instrument))[:PEERS]
    read = [_read(workspace, info, None, candles.end, as_of) for info in chosen]
    return [peer for peer in read if peer is not None]


def _is_peer(info: DatasetInfo, candles: Candles) -> bool:
    other = Instrument.parse(info.key.instrument)
    return (
        info.key.timeframe == candles.timeframe
        and other != candles.instrument
        and (other.kind, other.calendar) == (candles.instrument.kind, candles.instrument.calendar)
        and other.id != IMPLIED[0]
        and info.prices == "ohlc"
        and is_simulated(info.key.source) == candles.simulated
        and (other.always_open or other.kind == "index" or info.adjusted in _ADJUSTED)
        and _overlap(info, candles) > 0
    )


def _read(
    workspace: Workspace, info: DatasetInfo, start: datetime | None, end: datetime, as_of: datetime | None
) -> Candles | None:
    """Return a series up to ``end``; None where the lake did not have it yet at ``as_of``."""
    try:
        candles = workspace.lake.read(info.key, start, end, as_of)
    except DataMissing:
        return None
    return candles if len(candles) else None


def _implied(workspace: Workspace, candles: Candles, as_of: datetime | None) -> tuple[Observations, ...]:
    """Return the closes of the VIX that were known at the end of the candles, a series a source."""
    if candles.instrument.always_open:
        return ()
    instrument, name = Instrument.parse(IMPLIED[0]), IMPLIED[1]
    sources = [i.source for i in workspace.lake.observation_sets() if (i.instrument, i.name) == IMPLIED]
    found = []
    for source in sorted(sources):
        try:
            read = workspace.lake.read_observations(instrument, name, source, as_of)
        except DataMissing:  # not there yet at as_of
            continue
        found.append(replace(read, frame=read.frame.filter(pl.col("known_at") <= candles.end)))
    return tuple(found)
