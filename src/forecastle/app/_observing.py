"""Observations of a source into the lake, such as on-chain metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from forecastle.errors import RequestInvalid, SourceLimited
from forecastle.lake import ObservationInfo
from forecastle.nouns import Instrument
from forecastle.ports import ObservationSource, Progress
from forecastle.requests import FetchRequest
from forecastle.workspace import Workspace

OVERLAP = timedelta(days=10)
"""How far a question reaches into what is there: the way to learn of revisions, which are of the last days mostly."""


@dataclass
class FetchedMetric:
    """What came of one metric: rows new to the lake, revisions, rows it had; and what it holds now."""

    name: str
    unit: str
    added: int = 0
    revised: int = 0
    unchanged: int = 0
    start: datetime | None = None
    end: datetime | None = None


def refuse_for_observations(request: FetchRequest) -> None:
    """Raise ``RequestInvalid`` for what makes sense for candles alone."""
    if len(request.sources) > 1:
        raise RequestInvalid(
            f"--source names {', '.join(request.sources)}.", "One gives candles, the other observations.",
            "Fetch them one after the other.",
        )  # fmt: skip
    if request.timeframes != ("1d",):
        raise RequestInvalid(
            f"--timeframe is {', '.join(request.timeframes)}.", f"{request.sources[0]} has a value a day.",
            "Leave --timeframe out.",
        )  # fmt: skip
    if request.csv:
        raise RequestInvalid("--csv was asked for.", "It is written beside candles.", "Read observations with sql.")


def observe(
    workspace: Workspace, source: ObservationSource, instrument: Instrument, request: FetchRequest, progress: Progress
) -> list[FetchedMetric]:
    """Ask for what the lake has not, and for its last ten days again; each page is stored as it comes.

    A value that differs from what the lake has is a revision, a row of its own, known from now on. Raises what the
    source raises after storing what came before, and ``SourceLimited`` where it has nothing in the range.
    """
    before = {info.name: info for info in _held(workspace, source, instrument)}
    since = request.start if request.again else _since(list(before.values()), request.start)
    found: dict[str, FetchedMetric] = {}
    try:
        for number, page in enumerate(source.observations(instrument, since, request.end)):
            for one in page:
                written = workspace.lake.observe(one)
                metric = found.setdefault(one.name, FetchedMetric(one.name, one.unit))
                had = before.get(one.name)
                again = 0 if had is None else int(one.frame["about"].is_between(had.first_about, had.last_about).sum())
                revised = max(0, written.added - (len(one) - again))
                metric.added += written.added - revised
                metric.revised += revised
                metric.unchanged += written.unchanged
            progress(number + 1, number + 2, f"{instrument} from {source.name}")
    finally:
        for info in _held(workspace, source, instrument):
            if info.name in found:
                found[info.name].start, found[info.name].end = info.first_about, info.last_about
    if not found and not before:
        raise SourceLimited(
            f"{source.name} has nothing of {instrument} in that range.",
            f"Asked for {request.start or 'the beginning'} to {request.end or 'now'}.", "Ask for another range.",
        )  # fmt: skip
    return list(found.values())


def _held(workspace: Workspace, source: ObservationSource, instrument: Instrument) -> list[ObservationInfo]:
    sets = workspace.lake.observation_sets()
    return [info for info in sets if (info.source, info.instrument) == (source.name, instrument.id)]


def _since(held: list[ObservationInfo], start: datetime | None) -> datetime | None:
    """Return from when on to ask: the metric that is furthest behind decides, so that none keeps a hole."""
    if not held or (start is not None and start < min(info.first_about for info in held)):
        return start
    resumed = min(info.last_about for info in held) - OVERLAP
    return resumed if start is None else max(start, resumed)
