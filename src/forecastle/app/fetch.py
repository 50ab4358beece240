"""Candles of a source into the lake."""

from __future__ import annotations

from dataclasses import dataclass

from forecastle.errors import DataMissing
from forecastle.lake import WriteResult
from forecastle.nouns import Candles, Instrument
from forecastle.ports import Progress, Source, silent
from forecastle.requests import FetchRequest
from forecastle.sources import SOURCES
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Fetched:
    """What one fetch brought."""

    candles: Candles
    written: WriteResult


def fetch(workspace: Workspace, request: FetchRequest, progress: Progress = silent) -> tuple[Fetched, ...]:
    """Fetch every instrument of the request; a second fetch of the same range adds nothing.

    Raises ``NameUnknown`` for a source nobody registered, and what the source and the lake raise.
    """
    source: Source = SOURCES.load(request.source)()
    if isinstance(source, Simulated):
        source = source.seeded(request.seed)
    results = []
    for done, instrument in enumerate(request.instruments, 1):
        now = workspace.clock.now()
        end = min(request.end, now) if request.end else None
        # Bars that have not closed yet would still change: left out.
        candles = source.fetch(instrument, request.timeframe, request.start, end).between(end=now)
        if not len(candles):
            raise _nothing(instrument, request)
        results.append(Fetched(candles, workspace.lake.write(candles)))
        progress(done, len(request.instruments), "fetch")
    return tuple(results)


def _nothing(instrument: Instrument, request: FetchRequest) -> DataMissing:
    return DataMissing(
        f"{request.source} has no closed {request.timeframe} candles of {instrument} in that range.",
        f"Asked for {request.start or 'the beginning'} to {request.end or 'now'}.",
        "Ask for another range.",
    )
