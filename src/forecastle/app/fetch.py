"""Candles of sources into the lake: page by page, each stored before the next is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from forecastle.errors import DataInvalid, DataMissing, ForecastleError, LakeLocked, SourceLimited, UpstreamError
from forecastle.lake import DatasetKey, Lake
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.ports import Page, Progress, Source, SourceFacts, silent
from forecastle.quality import sift
from forecastle.requests import FetchRequest
from forecastle.sessions import Timeframe
from forecastle.sources import open_source
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace

Span = tuple[datetime, datetime]
PAGES, ROWS = 20, 50_000
"""Stored after so many pages or rows, whichever comes first: what a crash can cost, and what memory it takes."""
REVISIT = 3
"""Bars at the end of what is there that are asked for again: the latest are the likeliest to be revised."""

MAY_BE_MENDED = timedelta(days=7)
"""Bars younger than this that could not be candles are asked for again: venues put the latest right."""


@dataclass
class Fetched:
    """What one source gave of one series, in rows; ``gave_up`` says why it stopped before the end, if it did."""

    instrument: Instrument
    timeframe: Timeframe
    source: str
    facts: SourceFacts
    added: int = 0
    revised: int = 0
    unchanged: int = 0
    quarantined: int = 0
    observations: int = 0
    start: datetime | None = None
    end: datetime | None = None
    csv_files: int = 0
    simulated: bool = False
    gave_up: ForecastleError | None = None


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
    a source does not have a series, or fails for good, the next one of the request goes on; where only one was named,
    those that its facts name. Every row stays in the series of the source it came from. One series that fails does not
    stop the others. Raises ``NameUnknown`` for a source nobody knows, and what the lake raises.
    """
    for name in request.sources:
        _opened(workspace, request, name)  # a wrong name is told before anything is asked
    brought: list[Fetched] = []
    failed: list[ForecastleError] = []
    for instrument in request.instruments:
        for timeframe in request.timeframes:
            gave, error = _series(workspace, request, instrument, timeframe, progress)
            brought += gave
            failed += [error] if error else []
    return Outcome(tuple(brought), tuple(failed))


def _opened(workspace: Workspace, request: FetchRequest, name: str) -> Source:
    source = open_source(name, workspace.line)
    return source.seeded(request.seed) if isinstance(source, Simulated) else source


def _series(
    workspace: Workspace, request: FetchRequest, instrument: Instrument, timeframe: Timeframe, progress: Progress
) -> tuple[list[Fetched], ForecastleError | None]:
    """Return what each source gave of one series, in the order they were asked, and an error where none ended it."""
    names, start = list(request.sources), request.start
    brought: list[Fetched] = []
    while names:
        source = _opened(workspace, request, names.pop(0))
        if len(request.sources) == 1 and not brought:
            names += source.facts.fall_back
        job = _Job(workspace, source, instrument, timeframe, request, start, progress)
        brought.append(job.fetched)
        try:
            job.run()
        except LakeLocked:
            raise
        except (SourceLimited, UpstreamError, DataInvalid) as error:
            job.fetched.gave_up = error
            start = job.stored[-1][1] if job.stored else start
        else:
            return brought, None
    return brought, _none_ended_it(brought)


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


@dataclass
class _Job:
    """One source asked for one series."""

    workspace: Workspace
    source: Source
    instrument: Instrument
    timeframe: Timeframe
    request: FetchRequest
    start: datetime | None
    progress: Progress
    stored: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        simulated = isinstance(self.source, Simulated)
        self.key = DatasetKey(self.source.name, self.instrument.id, self.timeframe)
        self.fetched = Fetched(
            self.instrument, self.timeframe, self.source.name, self.source.facts, simulated=simulated
        )
        self.now = self.workspace.clock.now()
        self.lake: Lake = self.workspace.lake

    def run(self) -> None:
        """Ask for what is wanting and store it; raises what the source raises after storing what came before."""
        try:
            for since, until in self._wanting():
                self._stretch(since, until)
        finally:
            span = self.lake.span(self.key)
            self.fetched.start, self.fetched.end = span or (None, None)
        if not self.lake.holds(self.key, self.start, self.request.end):
            raise SourceLimited(
                f"{self.source.name} has no closed {self.timeframe} candles of {self.instrument} in that range.",
                f"Asked for {self.start or 'the beginning'} to {self.request.end or 'now'}.",
                "Ask for another range, or another --source.",
            )
        if self.request.csv:
            self.fetched.csv_files = self.lake.write_csv(self.key)

    def _wanting(self) -> list[tuple[datetime | None, datetime | None]]:
        """Return the stretches to ask for: those of the request that the source has not answered before."""
        covered = [] if self.request.again else self.lake.covered(self.key)
        end = self.request.end
        if not covered:
            return [(self.start, end)]
        since = self.start or covered[0][0]
        wanting: list[tuple[datetime | None, datetime | None]] = []
        for begins, ends in covered:
            if since < begins and (end is None or since < end):
                wanting.append((since, begins if end is None else min(begins, end)))
            since = max(since, ends)
        if end is None or since < end:
            wanting.append((self._revisited(since, covered), end))
        return wanting

    def _revisited(self, since: datetime, covered: Sequence[Span]) -> datetime:
        """Return a moment a few bars earlier where the lake has them."""
        if since != covered[-1][1]:
            return since
        try:
            held = self.lake.read(self.key, since - timedelta(days=40), since).frame
        except DataMissing:
            return since
        return max(held["open_time"].tail(REVISIT)[0], covered[-1][0]) if held.height else since

    def _stretch(self, since: datetime | None, until: datetime | None) -> None:
        batches = self._batches(since, until)
        first = next(batches, None)
        if first is not None and self._rebased(first):
            first, batches = None, self._anew(until)
        for batch in itertools.chain([first] if first else [], batches):
            self._store(batch)

    def _anew(self, until: datetime | None) -> Iterator[list[Page]]:
        """Yield the whole history that the lake has of the source, adjusted anew; raises ``SourceLimited``."""
        begin = self.lake.covered(self.key)[0][0]
        try:
            yield from self._batches(begin, until)
        except SourceLimited as error:
            raise SourceLimited(
                f"{self.source.name} has adjusted all of {self.instrument} {self.timeframe} anew: a split?",
                f"The lake has it from {begin:%Y-%m-%d} on, and that far back it cannot be fetched again: {error.why}",
                "Nothing was mixed. Fetch it into another home, or import the older part under another --source name.",
            ) from error

    def _batches(self, since: datetime | None, until: datetime | None) -> Iterator[list[Page]]:
        pages = self.source.pages(self.instrument, self.timeframe, since, until)
        return _batches(self._told(pages, since, until))

    def _told(self, pages: Iterator[Page], since: datetime | None, until: datetime | None) -> Iterator[Page]:
        """Yield the pages on, telling how far they have come."""
        goal = until or self.now
        begin = since
        for page in pages:
            begin = begin or page.since
            whole = max((goal - begin).total_seconds(), 1.0)
            share = min(max((page.until - begin).total_seconds() / whole, 0.0), 1.0)
            what = f"{self.instrument} {self.timeframe} from {self.source.name} to {page.until:%Y-%m-%d}"
            self.progress(round(1000 * share), 1000, what)
            yield page

    def _rebased(self, batch: Sequence[Page]) -> bool:
        """Tell whether the prices of bars we have were adjusted anew: then the whole history is, after a split."""
        covered = self.lake.covered(self.key)
        if self.source.facts.adjusted == "none" or self.request.again or not covered:
            return False
        try:
            held = self.lake.read(self.key, batch[0].since, covered[-1][1]).frame
        except DataMissing:
            return False
        both = batch[0].rows.join(held, on="open_time", suffix="_held").drop_nulls(["close", "close_held"])
        moved = (both["close"] / both["close_held"] - 1).abs()
        return both.height > 0 and bool((moved > 1e-3).all() or (moved > 0.05).any())

    def _store(self, batch: Sequence[Page]) -> None:
        rows = pl.concat([page.rows.select(list(SCHEMA)) for page in batch])
        covers = (min(page.since for page in batch), max(page.until for page in batch))
        if isinstance(self.source, Simulated):  # it has no clock of its own
            rows = rows.filter(pl.col("close_time") <= self.now)
            covers = (covers[0], min(covers[1], self.now))
        _not_of_the_future(self.source.name, rows, self.now)
        sifted = sift(rows)
        if sifted.quarantined.height:
            self.fetched.quarantined += self.lake.quarantine(self.key, sifted.quarantined, self.source.name)
            covers = (covers[0], min(covers[1], self._last_word(sifted.quarantined, covers[1])))
        for observations in (o for page in batch for o in page.observations if len(o)):
            self.fetched.observations += self.lake.observe(observations).added
        facts = self.source.facts
        candles = Candles(
            self.instrument, self.timeframe, self.source.name, sifted.rows, facts.adjusted, facts.prices
        )  # fmt: skip
        self._write(candles, covers)  # last: what it says was answered is then stored
        self.stored.append(covers)

    def _last_word(self, quarantined: pl.DataFrame, until: datetime) -> datetime:
        """Return the open of the first bad bar that the source may still put right, else ``until``."""
        recent = quarantined.filter(pl.col("open_time") > self.now - MAY_BE_MENDED)["open_time"]
        return min(until, *recent) if len(recent) else until

    def _write(self, candles: Candles, covers: Span) -> None:
        asked = covers if covers[0] < covers[1] else None
        if not len(candles) and asked is None:
            return
        written = self.lake.write(candles, asked)
        self.fetched.added += written.added
        self.fetched.revised += written.revised
        self.fetched.unchanged += written.unchanged


def _batches(pages: Iterator[Page]) -> Iterator[list[Page]]:
    """Yield pages together until there is enough to store; what came before a fault is yielded before it is raised."""
    batch: list[Page] = []
    while True:
        try:
            page = next(pages, None)
        except BaseException:
            if batch:
                yield batch
            raise
        if page is None:
            break
        batch.append(page)
        if len(batch) >= PAGES or sum(p.rows.height for p in batch) >= ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _not_of_the_future(source: str, rows: pl.DataFrame, now: datetime) -> None:
    late = rows.filter(pl.col("open_time") > now + timedelta(days=1))
    if late.height:
        raise DataInvalid(
            f"{source} gave {late.height} rows dated after tomorrow, the first {late['open_time'][0]:%Y-%m-%d %H:%M}.",
            f"It is {now:%Y-%m-%d %H:%M} UTC on this machine, and candles of the future cannot be known.",
            "Set the clock of this machine; if it is right, report it to the source.",
        )
