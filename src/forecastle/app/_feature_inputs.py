"""What the lake has of what features look at: the candles, the benchmark beside them, observations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from forecastle.app.look import load
from forecastle.errors import DataMissing
from forecastle.features import Feature, benchmarks, wanted_observations
from forecastle.lake import DatasetInfo
from forecastle.nouns import Candles, History, Instrument, Observations
from forecastle.nouns.instrument import is_simulated
from forecastle.requests import FeaturesRequest, SeriesRequest
from forecastle.workspace import Workspace

FIRST_SOURCE = "coinmetrics"
"""Whose observations go before those of others that end on the same day."""


def inputs_of(workspace: Workspace, request: FeaturesRequest, features: Sequence[Feature]) -> History:
    """Return the candles of a series and beside them what its features look at, cut where the candles end.

    The benchmark is of the same timeframe, of the same source where there is one, else of the series that covers most.
    Of observations that several sources have, a value is of the source that goes furthest, and of the others where
    that one has none. Raises as reading the lake does.
    """
    series = SeriesRequest(instrument=request.instrument, timeframe=request.timeframe, source=request.source)
    candles = load(workspace, series)
    observed = [
        found for who, name in wanted_observations(candles.instrument, features)
        if (found := _observations(workspace, who, name)) is not None
    ]  # fmt: skip
    benchmark = _benchmark(workspace, candles) if any("benchmark" in f.spec.needs for f in features) else None
    peers = () if benchmark is None else (History(benchmark),)
    return History(candles, None, tuple(observed), peers).until(candles.end)


def _benchmark(workspace: Workspace, candles: Candles) -> Candles | None:
    """Return the candles of the first benchmark that the lake has."""
    own = candles.source.split(",")
    catalogue = workspace.lake.datasets()

    def rank(info: DatasetInfo) -> tuple[object, ...]:
        shared = min(info.last_close, candles.end) - max(info.first_open, candles.start)
        return info.key.source not in own, info.adjusted != candles.adjusted, -shared, info.key.source

    for instrument in benchmarks(candles.instrument):
        usable = [
            info for info in catalogue
            if (info.key.instrument, info.key.timeframe) == (instrument.id, candles.timeframe)
            and is_simulated(info.key.source) == candles.simulated
            and info.first_open < candles.end and info.last_close > candles.start
        ]  # fmt: skip
        if usable:
            return workspace.lake.read(min(usable, key=rank).key)
    return None


def _observations(workspace: Workspace, instrument: Instrument, name: str) -> Observations | None:
    """Return the observations of all sources, each moment from the best source that has it; None where none has."""
    sets = [o for o in workspace.lake.observation_sets() if (o.instrument, o.name) == (instrument.id, name) and o.rows]
    sets.sort(key=lambda o: (o.last_about, o.source == FIRST_SOURCE, o.rows), reverse=True)
    found: list[Observations] = []
    for info in sets:
        try:
            read = workspace.lake.read_observations(instrument, name, info.source)
        except DataMissing:
            continue
        if not found or read.unit == found[0].unit:
            found.append(read)
    if not found:
        return None
    frame = found[0].frame
    for other in found[1:]:
        frame = pl.concat([frame, other.frame.join(frame, on="about", how="anti")])
    return replace(found[0], source=",".join(o.source for o in found), frame=frame.sort("about", "known_at"))


def hash_of(history: History) -> str:
    """Return the SHA-256 of all that features could see in a history."""
    parts = [history.candles.data_hash, *(peer.candles.data_hash for peer in history.peers)]
    parts += [f"{o.instrument}|{o.name}|{o.data_hash}" for o in history.observations]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
