"""One source asked for one series: page by page, each stored before the next is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import polars as pl

from forecastle.app._wanting import ALL_ASKED, BEGINNING, Span, Stretch, answered, overlap, wanting
from forecastle.errors import DataInvalid, DataMissing, ForecastleError, LakeLocked, SourceLimited
from forecastle.lake import DatasetKey
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import PRICES, SCHEMA
from forecastle.ports import Page, Progress, Source, SourceFacts
from forecastle.quality import sift
from forecastle.requests import FetchRequest
from forecastle.sessions import Timeframe
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace

T = TypeVar("T")
PAGES, ROWS = 20, 50_000
"""Stored after so many pages or rows, whichever comes first: what a crash can cost, and what memory it takes."""
MAY_BE_MENDED = timedelta(days=7)
"""Bars younger than this that could not be candles are asked for again: venues put the latest right."""
WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between attempts to get the pen of the lake."""
FOREVER = datetime.max.replace(tzinfo=UTC)
SAME = 1e-3
"""Relative difference of prices that rounding may make."""


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


@dataclass
class Fetched:
    """What one source gave of one series, in rows; ``gave_up`` says why it stopped before the end, if it did.

    ``start`` and ``end`` bound what the lake now holds of it; ``notes`` tell what a person should know.
    """

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
    metrics: list[FetchedMetric] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return how many candles the source gave."""
        return self.added + self.revised + self.unchanged


@dataclass
class Job:
    """One source asked for one series, from ``start`` to the end of the request."""

    workspace: Workspace
    source: Source
    instrument: Instrument
    timeframe: Timeframe
    request: FetchRequest
    start: datetime | None
    progress: Progress
    others: Sequence[str] = ()
    """The sources that are asked where this one ends."""

    def __post_init__(self) -> None:
        simulated = isinstance(self.source, Simulated)
        self.key = DatasetKey(self.source.name, self.instrument.id, self.timeframe)
        self.fetched = Fetched(
            self.instrument, self.timeframe, self.source.name, self.source.facts, simulated=simulated
        )
        self.now = self.workspace.clock.now()
        self.lake = self.workspace.lake
        self.adjusted = self.source.facts.adjusted_of(self.instrument)
        self.edge = overlap(self.timeframe)

    def run(self) -> None:
        """Ask for what is wanting and store it; raises what the source raises after storing what came before."""
        try:
            if self._adjusted_anew():
                self._fetch_all_anew()
            self._fetch(self._wanting())
        finally:
            self.fetched.start, self.fetched.end = self.lake.span(self.key) or (None, None)
        if not self._has_rows():
            raise SourceLimited(
                f"{self.source.name} has no closed {self.timeframe} candles of {self.instrument} in that range.",
                f"Asked for {self.start or 'the beginning'} to {self.request.end or 'now'}.",
                "Ask for another range, or another --source.",
            )
        if self.request.csv:
            self.fetched.csv_files = self._patiently(lambda: self.lake.write_csv(self.key))

    def answered_until(self) -> datetime | None:
        """Return up to where, from the start on, the source has answered: another one may go on from there."""
        at = self.start or BEGINNING
        reached = [until for since, until in self._answered() if since <= at < until]
        return reached[0] if reached else self.start

    def _answered(self) -> list[Span]:
        return answered(self.lake.covered(self.key), self.start)

    def _wanting(self) -> list[Stretch]:
        return wanting([] if self.request.again else self._answered(), self.start, self.request.end, self.edge)

    def _has_rows(self) -> bool:
        try:
            return any(len(part) for part in self.lake.read_by_file(self.key, self.start, self.request.end))
        except DataMissing:
            return False

    # --- asking

    def _fetch(self, stretches: Sequence[Stretch]) -> None:
        """Ask for each stretch; one out of the source's reach does not keep the later ones from being fetched."""
        limited: SourceLimited | None = None
        holes: list[tuple[Span, SourceLimited]] = []
        for stretch in stretches:
            try:
                self._ask(stretch)
            except SourceLimited as error:
                if not stretch.follows or stretch.since is None:
                    limited = limited or error
                else:
                    holes.append((self._beyond_a_hole(stretch, stretch.since, error), error))
        for hole, reason in holes:
            if self.others:  # they may have what is out of this one's reach
                limited = limited or reason
            else:
                self._leave(hole)
        if limited:
            raise limited

    def _ask(self, stretch: Stretch) -> None:
        for number, batch in enumerate(self._batches(stretch.since, stretch.until)):
            self._store(batch)
            if number == 0 and stretch.since is None:
                self._cover(ALL_ASKED)  # what lies before the first page, the source has not

    def _beyond_a_hole(self, stretch: Stretch, since: datetime, error: SourceLimited) -> Span:
        """Fetch what the source still has of a stretch that begins out of its reach, and return what it has not.

        Raises ``error`` where it has nothing at all.
        """
        first: datetime | None = None
        for batch in self._batches(None, stretch.until):
            first = first or batch[0].since
            self._store(batch)
        if first is None:
            raise error
        return since, max(first, since)

    def _leave(self, hole: Span) -> None:
        """Remember that the source has nothing there any more, and say so."""
        self._cover(hole)
        self.fetched.notes.append(
            f"{self.source.name} no longer reaches back to {hole[0] + self.edge:%Y-%m-%d %H:%M}: a hole stays up to "
            f"{hole[1]:%Y-%m-%d %H:%M}"
        )

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

    # --- prices that are adjusted anew

    def _adjusted_anew(self) -> bool:
        """Tell whether the source gives the last bars we have with all prices moved by one ratio, as after a split."""
        span = self.lake.span(self.key)
        if self.adjusted == "none" or span is None or not self.lake.covered(self.key):
            return False
        held = self.lake.read(self.key, span[1] - 2 * self.edge).frame.tail(10)
        if not held.height:
            return False
        try:
            pages = list(self.source.pages(self.instrument, self.timeframe, held["open_time"][0], span[1]))
        except SourceLimited:
            self.fetched.notes.append(f"{self.source.name} no longer has the last bars: splits since are not known")
            return False
        rows = [page.rows.select(list(SCHEMA)) for page in pages]
        return bool(rows) and _moved_together(held, pl.concat(rows))

    def _fetch_all_anew(self) -> None:
        """Fetch the whole history again and store it in one step, so that old and new prices never stand together."""
        spans = [span for span in self.lake.covered(self.key) if span != ALL_ASKED]
        try:
            batches = list(self._batches(spans[0][0], None))
        except SourceLimited as error:
            raise self._not_anew(f"{error.what} {error.why}") from error
        pages = [page for batch in batches for page in batch]
        rows = pl.concat([page.rows.select(list(SCHEMA)) for page in pages] or [pl.DataFrame(schema=SCHEMA)])
        old = self.lake.read(self.key).frame.join(sift(rows).rows, on="open_time", how="anti")
        if old.height:
            raise self._not_anew(f"The bar of {old['open_time'][0]:%Y-%m-%d %H:%M} is not in its answer.")
        self.fetched.notes.append("its prices were adjusted anew, as after a split: all of it was fetched again")
        self._store(pages, answered=[(batch[0].since, batch[-1].until) for batch in batches])

    def _not_anew(self, why: str) -> SourceLimited:
        return SourceLimited(
            f"{self.source.name} has adjusted all of {self.instrument} {self.timeframe} anew: a split?",
            f"Not all that the lake has of it can be fetched again: {why}",
            "Nothing was mixed. Try again later, or fetch it into another --home.",
        )

    # --- storing

    def _store(self, batch: Sequence[Page], answered: Sequence[Span] = ()) -> None:
        """Store pages that follow each other, or, with ``answered``, that leave stretches out between them."""
        rows = pl.concat([page.rows.select(list(SCHEMA)) for page in batch])
        if isinstance(self.source, Simulated):  # it has no clock of its own
            rows = rows.filter(pl.col("close_time") <= self.now)
        _not_of_the_future(self.source.name, rows, self.now)
        sifted = sift(rows)
        if sifted.quarantined.height:
            bad = sifted.quarantined
            self.fetched.quarantined += self._patiently(lambda: self.lake.quarantine(self.key, bad, self.source.name))
        self._observe(batch)
        spans = answered or [(batch[0].since, batch[-1].until)]
        last = self._last_word(sifted.quarantined)
        first, *more = [(since, min(until, last)) for since, until in spans]
        self._write(self._candles(sifted.rows), first)  # after the others: what it says was answered is then stored
        for span in more:
            self._cover(span)

    def _cover(self, span: Span) -> None:
        self._write(self._candles(pl.DataFrame(schema=SCHEMA)), span)

    def _candles(self, rows: pl.DataFrame) -> Candles:
        prices = self.source.facts.prices
        return Candles(self.instrument, self.timeframe, self.source.name, rows, self.adjusted, prices)

    def _last_word(self, quarantined: pl.DataFrame) -> datetime:
        """Return up to where the source has said its last word: to now, or to a bad bar it may still put right."""
        recent = quarantined.filter(pl.col("open_time") > self.now - MAY_BE_MENDED)["open_time"]
        end = self.now if isinstance(self.source, Simulated) else FOREVER
        return min(end, *recent) if len(recent) else end

    def _observe(self, batch: Sequence[Page]) -> None:
        for observations in (o for page in batch for o in page.observations if len(o)):
            try:
                self.fetched.observations += self._patiently(lambda o=observations: self.lake.observe(o)).added  # type: ignore[misc]
            except DataInvalid as error:  # no reason to refuse the candles
                self.fetched.notes.append(f"{observations.name} was not stored: {error.what} {error.why}")

    def _write(self, candles: Candles, covers: Span) -> None:
        asked = covers if covers[0] < covers[1] else None
        if not len(candles) and asked is None:
            return
        written = self._patiently(lambda: self.lake.write(candles, asked))
        self.fetched.added += written.added
        self.fetched.revised += written.revised
        self.fetched.unchanged += written.unchanged

    def _patiently(self, write: Callable[[], T]) -> T:
        return patiently(self.workspace, write)


def patiently(workspace: Workspace, write: Callable[[], T]) -> T:
    """Write, and wait a while for another writer to end: hours of fetching are not lost to a short one."""
    for wait in WAITS:
        try:
            return write()
        except LakeLocked:
            workspace.line.sleep(wait)
    return write()


def _batches(pages: Iterator[Page]) -> Iterator[list[Page]]:
    """Yield pages that follow each other together until there is enough to store.

    What came before a fault is yielded before it is raised. A page that leaves a stretch out begins anew, so that a
    batch answers all of the time from its first moment to its last.
    """
    batch: list[Page] = []
    while True:
        try:
            page = next(pages, None)
        except BaseException:
            if batch:
                yield batch
            raise
        if batch and (page is None or page.since > batch[-1].until):
            yield batch
            batch = []
        if page is None:
            return
        batch.append(page)
        if _is_enough(batch):
            yield batch
            batch = []


def _is_enough(batch: Sequence[Page]) -> bool:
    return len(batch) >= PAGES or sum(p.rows.height for p in batch) >= ROWS


def _moved_together(held: pl.DataFrame, given: pl.DataFrame) -> bool:
    """Tell whether all prices of the first bars in both moved by one ratio that is not 1."""
    both = given.join(held, on="open_time", suffix="_held").drop_nulls().sort("open_time").head(2)
    ratios = [float(r) for c in PRICES for r in both[c] / both[f"{c}_held"]]
    if not ratios:
        return False
    ratio = ratios[0]
    return abs(ratio - 1) > SAME and all(abs(r / ratio - 1) < SAME for r in ratios)


def _not_of_the_future(source: str, rows: pl.DataFrame, now: datetime) -> None:
    late = rows.filter(pl.col("open_time") > now + timedelta(days=1))
    if late.height:
        raise DataInvalid(
            f"{source} gave {late.height} rows dated after tomorrow, the first {late['open_time'][0]:%Y-%m-%d %H:%M}.",
            f"It is {now:%Y-%m-%d %H:%M} UTC on this machine, and candles of the future cannot be known.",
            "Set the clock of this machine; if it is right, report it to the source.",
        )
