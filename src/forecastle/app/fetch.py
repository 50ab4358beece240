"""Candles of sources into the lake, and observations."""

from __future__ import annotations

from dataclasses import dataclass, field

from forecastle.app._job import Fetched, Job
from forecastle.app._observing import ObservingJob, refuse_for_observations
from forecastle.errors import (
    DataError,
    ForecastleError,
    LakeLocked,
    RequestInvalid,
    SourceLimited,
    UpstreamError,
    UpstreamRefused,
)
from forecastle.nouns import Instrument
from forecastle.ports import ObservationSource, Progress, Source, silent
from forecastle.requests import FetchRequest
from forecastle.sessions import Timeframe
from forecastle.sources import open_source
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Outcome:
    """All of a fetch: what was brought, and the error of each series that no source could bring to its end."""

    brought: tuple[Fetched, ...]
    failed: tuple[ForecastleError, ...]

    def settled(self) -> tuple[Fetched, ...]:
        """Return what was brought; raises the first error where there is one."""
        if self.failed:
            raise self.failed[0]
        return self.brought


def fetch(workspace: Workspace, request: FetchRequest, progress: Progress = silent) -> Outcome:
    """Fetch every series of the request; a second fetch of the same range adds nothing.

    Only what the lake was not told about yet is asked for, so that an interrupted fetch goes on where it stopped. Where
    a source does not have a series, or fails for good, the next one of the request goes on; where only one was named
    and does not have it, those that its facts name. Every row stays in the series of the source it came from. One
    series that fails does not stop the others. Raises ``NameUnknown`` for a source nobody knows, ``StorageUnwritable``.
    """
    sources = _Sources(workspace, request)
    opened = [sources.open(name) for name in request.sources]  # a wrong name is told before anything is asked
    if any(isinstance(source, ObservationSource) for source in opened):
        refuse_for_observations(request)
    brought: list[Fetched] = []
    failed: list[ForecastleError] = []
    for instrument in request.instruments:
        for timeframe in request.timeframes:
            gave, error = _series(workspace, request, instrument, timeframe, sources, progress)
            brought += gave
            failed += [error] if error else []
    return Outcome(tuple(brought), tuple(failed))


@dataclass
class _Sources:
    """The sources of one fetch, each opened once: what it knows of its markets serves every series."""

    workspace: Workspace
    request: FetchRequest
    _opened: dict[str, Source] = field(default_factory=dict)

    def open(self, name: str) -> Source:
        if name not in self._opened:
            source = open_source(name, self.workspace.line)
            self._opened[name] = source.seeded(self.request.seed) if isinstance(source, Simulated) else source
        return self._opened[name]


def _series(
    workspace: Workspace,
    request: FetchRequest,
    instrument: Instrument,
    timeframe: Timeframe,
    sources: _Sources,
    progress: Progress,
) -> tuple[list[Fetched], ForecastleError | None]:
    """Return what each source gave of one series, in the order they were asked, and an error where none ended it."""
    names, start = list(request.sources), request.start
    brought: list[Fetched] = []
    first = sources.open(names[0])
    if isinstance(first, ObservationSource):
        return _observed(workspace, request, instrument, first, progress)
    while names:
        source = sources.open(names.pop(0))
        job = Job(workspace, source, instrument, timeframe, request, start, progress, tuple(names))
        brought.append(job.fetched)
        try:
            job.run()
        except (DataError, UpstreamError, RequestInvalid) as error:
            job.fetched.gave_up = error
            start = job.answered_until()
            if not isinstance(error, (SourceLimited, UpstreamError)) or isinstance(error, LakeLocked):
                break  # another source would not mend what is wrong here
            if len(request.sources) == len(brought) == 1 and isinstance(error, (SourceLimited, UpstreamRefused)):
                names += source.facts.fall_back
        else:
            return brought, None
    return brought, _none_ended_it(brought)


def _observed(
    workspace: Workspace, request: FetchRequest, instrument: Instrument, source: ObservationSource, progress: Progress
) -> tuple[list[Fetched], ForecastleError | None]:
    """Return what came of observations, and the error that ended it, if one did."""
    fetched = Fetched(instrument, "1d", source.name, source.facts)
    try:
        ObservingJob(workspace, source, request, fetched, progress).run()
    except (DataError, UpstreamError) as error:
        fetched.gave_up = error
    return [fetched], fetched.gave_up


def _none_ended_it(brought: list[Fetched]) -> ForecastleError:
    errors = [f.gave_up for f in brought if f.gave_up]
    if len(errors) == 1:
        return errors[0]
    kind = UpstreamError if any(isinstance(e, UpstreamError) for e in errors) else SourceLimited
    return kind(
        f"No source brought {brought[0].instrument} {brought[0].timeframe} to its end.",
        " ".join(f"{f.source}: {f.gave_up.what} {f.gave_up.why}" for f in brought if f.gave_up),
        errors[-1].hint,
    )


__all__ = ["Fetched", "Outcome", "fetch"]
