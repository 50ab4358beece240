"""Observations of a source into the lake, such as on-chain metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from forecastle.app._asked import Asked, read_asked, write_asked
from forecastle.app._job import Fetched, FetchedMetric, patiently
from forecastle.errors import RequestInvalid, SourceLimited
from forecastle.lake import ObservationInfo
from forecastle.nouns import Observations
from forecastle.nouns.observations import OBSERVED
from forecastle.ports import ObservationSource, ObservedPage, Progress
from forecastle.requests import FetchRequest
from forecastle.workspace import Workspace

OVERLAP = timedelta(days=10)
"""How far a question reaches into what is there: the way to learn of revisions, which are of the last days mostly."""
JUST_AFTER = timedelta(microseconds=1)


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


@dataclass
class ObservingJob:
    """One source of observations asked for one instrument; what comes of it stands in ``fetched``."""

    workspace: Workspace
    source: ObservationSource
    request: FetchRequest
    fetched: Fetched
    progress: Progress
    _held: dict[str, _Held] = field(default_factory=dict)

    def run(self) -> None:
        """Ask for what the lake has not, and for its last ten days again; each metric is stored as it comes.

        Raises what the source raises after storing what came before, and ``SourceLimited`` where it has nothing in the
        range.
        """
        asked, now = self._asked(), self.workspace.clock.now()
        self._held = {info.name: _Held(self._read(info.name), info, asked.get(info.name)) for info in self._infos()}
        told = {metric.name: metric for metric in self.fetched.metrics}
        what = f"{self.fetched.instrument} from {self.source.name}"
        try:
            for number, page in enumerate(self._pages()):
                self.fetched.notes += [note for note in page.notes if note not in self.fetched.notes]
                for one in page.series:
                    self._store(one, told)
                self.progress(number + 1, number + 2, what)
            self._keep_asked(told, now)
        finally:
            for info in self._infos():
                if info.name in told:
                    told[info.name].start, told[info.name].end = info.first_about, info.last_about
        if not told and not self._held:
            raise SourceLimited(
                f"{self.source.name} has nothing of {self.fetched.instrument} in that range.",
                f"Asked for {self.request.start or 'the beginning'} to {self.request.end or 'now'}.",
                "Ask for another range.",
            )

    def _asked(self) -> dict[str, Asked]:
        return read_asked(self.workspace, self.source.name, self.fetched.instrument)

    def _keep_asked(self, names: Iterable[str], at: datetime) -> None:
        """Remember what the source was asked for to the end: what it gives later of that, it did not have ``at``."""
        until = at if self.request.end is None else min(self.request.end, at)
        new = dict.fromkeys(names, Asked(self._from(), until, at))
        write_asked(self.workspace, self.source.name, self.fetched.instrument, new)

    def _from(self) -> datetime | None:
        start, end = self.request.start, self.request.end
        return start if self.request.again else _since([held.info for held in self._held.values()], start, end)

    def _infos(self) -> list[ObservationInfo]:
        key = (self.source.name, self.fetched.instrument.id)
        return [info for info in self.workspace.lake.observation_sets() if (info.source, info.instrument) == key]

    def _read(self, name: str) -> Observations:
        return self.workspace.lake.read_observations(self.fetched.instrument, name, self.source.name)

    def _pages(self) -> Iterator[ObservedPage]:
        """Yield what is wanting; where a metric comes that the lake has nothing of, all of the range anew.

        So none has a hole at its beginning because others were there before it.
        """
        instrument, start, end = self.fetched.instrument, self.request.start, self.request.end
        since = self._from()
        pages = self.source.observations(instrument, since, end)
        first = next(pages, None)
        if first is None:
            return
        if since != start and any(one.name not in self._held for one in first.series):
            pages = self.source.observations(instrument, start, end)
        else:
            yield first
        yield from pages

    def _store(self, one: Observations, told: dict[str, FetchedMetric]) -> None:
        held, revised = self._held.get(one.name), 0
        if held is not None:
            one, revised = held.learned(one, self.workspace.clock.now())
        written = patiently(self.workspace, lambda: self.workspace.lake.observe(one))
        if one.name not in told:
            told[one.name] = FetchedMetric(one.name, one.unit)
            self.fetched.metrics.append(told[one.name])
        metric = told[one.name]
        metric.added += written.added - revised
        metric.revised += revised
        metric.unchanged += written.unchanged
        self.fetched.observations += written.added


@dataclass(frozen=True)
class _Held:
    """What the lake held of a metric before it was asked for."""

    observations: Observations
    info: ObservationInfo
    asked: Asked | None

    def learned(self, one: Observations, now: datetime) -> tuple[Observations, int]:
        """Return what comes with the moment we learned of it, and how many of its rows are revisions.

        A source says when it publishes a value as a rule, not when it is late, revises it or fills a gap in: what the
        lake held otherwise, or did not hold among the days that were asked for before, is known from now on.
        """
        last = self.observations.frame.unique("about", keep="last", maintain_order=True)
        both = one.frame.join(last, on="about", how="left", suffix="_held", maintain_order="left")
        new, other = pl.col("value_held").is_null(), pl.col("value") != pl.col("value_held")
        gap = new & pl.col("about").is_between(self.info.last_about - OVERLAP, self.info.last_about)
        gap &= pl.col("about") > self.info.first_about
        gap |= new & self.asked.missed if self.asked else pl.lit(value=False)
        after = pl.max_horizontal(pl.lit(now), pl.col("known_at_held") + JUST_AFTER)
        known_at = (
            pl.when(other).then(after)
            .when(~new).then(pl.col("known_at_held"))
            .when(gap).then(pl.max_horizontal("known_at", pl.lit(now)))
            .otherwise(pl.col("known_at"))
        )  # fmt: skip
        frame = both.with_columns(known_at=known_at.cast(OBSERVED["known_at"])).select(list(OBSERVED))
        return one.part(frame), int(both.select(other.fill_null(value=False).sum()).item())


def _since(held: list[ObservationInfo], start: datetime | None, end: datetime | None) -> datetime | None:
    """Return from when on to ask: the metric that is furthest behind decides, so that none keeps a hole.

    A range that begins or ends before the first value held is asked for whole.
    """
    first = min((info.first_about for info in held), default=None)
    if first is None or (start is not None and start < first) or (end is not None and end <= first):
        return start
    reached = min(info.last_about for info in held)
    resumed = (reached if end is None else min(reached, end)) - OVERLAP
    return resumed if start is None else max(start, resumed)
