"""The lake: write candles and observations, read them back, say what there is, prove that nothing changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from forecastle.clock import Clock
from forecastle.errors import DataInvalid, DataMissing
from forecastle.lake.describe import write_description
from forecastle.lake.journal import Journal
from forecastle.lake.layout import DatasetKey, SeriesKey, Table
from forecastle.lake.manifest import Cover, FileEntry, Span, State
from forecastle.lake.proof import Problem, verify
from forecastle.lake.reader import Reader
from forecastle.lake.revisions import news
from forecastle.lake.rows import QUARANTINED, UNIQUE, rows_like
from forecastle.lake.writer import Change, Kind, Writer, overlapping
from forecastle.nouns import Candles, Instrument, Observations
from forecastle.nouns.candles import SCHEMA, TIME, Adjusted, Prices
from forecastle.sessions import Timeframe


@dataclass(frozen=True)
class WriteResult:
    """What a write did: rows new to the lake, rows that differ from what it held, rows it had already."""

    added: int
    revised: int
    unchanged: int
    files: tuple[str, ...]
    commit: int


@dataclass(frozen=True)
class DatasetInfo:
    """One series of candles; ``quarantined`` counts the rows that could not join it."""

    key: DatasetKey
    adjusted: Adjusted
    prices: Prices
    rows: int
    first_open: datetime
    last_close: datetime
    files: int
    size: int
    commits: int
    quarantined: int


@dataclass(frozen=True)
class ObservationInfo:
    """One series of observations."""

    instrument: str
    name: str
    unit: str
    source: str
    rows: int
    first_about: datetime
    last_about: datetime


class Lake:
    """Candles and observations under ``root`` (the ``raw`` folder of a home). One writer at a time, many readers."""

    def __init__(self, root: Path, clock: Clock) -> None:
        """Open the lake; an absent folder is an empty lake, and reading never creates it."""
        self.root = root
        self._clock = clock
        self._journal = Journal(root)
        self._reader = Reader(root)
        self._writer = Writer(root, clock, self._journal, self._reader)

    # --- writing

    def write(self, candles: Candles, covers: Span | None = None) -> WriteResult:
        """Merge ``candles`` into their series: new rows are added, differing rows become a new version.

        Data files are never changed: a stretch with news gets a new file, and the manifest points to it. A second write
        of the same rows does nothing. ``covers`` is the stretch the source was asked for and answered, see
        :meth:`covered`. Raises ``StorageUnwritable``, ``LakeLocked``, ``DataCorrupt``; ``DataInvalid`` where the new
        rows are adjusted otherwise than the old.
        """
        key = DatasetKey(candles.source, candles.instrument.id, candles.timeframe)
        if not len(candles) and covers is None:
            raise DataInvalid(
                f"There are no candles of {candles.instrument} to write.", "The selection is empty.",
                "Choose a wider range.",
            )  # fmt: skip
        with self._writer.writing(key.folder):
            old = self._journal.state.files_of(key.series)
            _same_kind(candles, old)
            changes = self._writer.merge(key.series, candles.frame, Kind(candles.adjusted, candles.prices))
            _no_overlap(candles.instrument, old, changes)
            return self._commit(changes, len(candles), self._new_cover(key, covers))

    def _new_cover(self, key: DatasetKey, covers: Span | None) -> tuple[Cover, ...]:
        if covers is None or any(since <= covers[0] and covers[1] <= until for since, until in self.covered(key)):
            return ()
        since, until = covers
        return (Cover(source=key.source, instrument=key.instrument, name=key.timeframe, since=since, until=until),)

    def _commit(self, changes: Sequence[Change], rows: int, covers: tuple[Cover, ...] = ()) -> WriteResult:
        added, revised = sum(c.added for c in changes), sum(c.revised for c in changes)
        files = tuple(change.entry for change in changes)
        number = self._journal.state.number
        if files or covers:
            write_description(self.root)
            replaces = tuple(path for change in changes for path in change.replaces)
            number = self._journal.append(self._clock.now(), (added, revised), files, replaces, covers)
        return WriteResult(added, revised, rows - added - revised, tuple(e.path for e in files), number)

    def quarantine(self, key: DatasetKey, rows: pl.DataFrame, origin: str) -> int:
        """Keep rows that could not become candles, as they were; returns how many are new to the quarantine.

        ``rows`` has the columns of candles and ``reason``; ``origin`` says where they came from, such as a file's name.
        """
        with self._writer.writing(key.quarantine.folder):
            had, now = self.quarantined(key), self._clock.now()
            if had.height:  # a clock that was set back must not put them before the old ones
                now = max(now, had["found_at"][-1])
            new = rows.with_columns(origin=pl.lit(origin), found_at=pl.lit(now))
            new = rows_like(new, "quarantine").unique(UNIQUE["quarantine"], maintain_order=True)
            new = new.join(had, on=UNIQUE["quarantine"], how="anti", nulls_equal=True)
            return self._commit(self._writer.merge(key.quarantine, new, Kind()), new.height).added

    def observe(self, observations: Observations) -> WriteResult:
        """Add observations: a value that differs from the last one known of its ``about`` is a new row, a revision.

        Where a revision comes with the same ``known_at`` as what it revises, it was learned now, and is kept so. Values
        that are known already add nothing. Raises ``DataInvalid`` for another unit than before.
        """
        o = observations
        key = SeriesKey("observations", o.source, o.instrument.id, o.name)
        with self._writer.writing(key.folder):
            old = self._journal.state.files_of(key)
            if old and old[0].unit != o.unit:
                raise DataInvalid(
                    f"{o.name} of {o.instrument} from {o.source} was stored in {old[0].unit}.",
                    f"The new values are in {o.unit}.", "Convert them, or choose another name or --source.",
                )  # fmt: skip
            new = news(self._reader.frame(old) if old else o.frame.clear(), o.frame, self._clock.now())
            return self._commit(self._writer.merge(key, new, Kind(unit=o.unit)), len(o))

    def write_csv(self, key: DatasetKey) -> int:
        """Write the CSV twin of every current file of a series that has none; returns how many were written."""
        with self._writer.writing(key.folder):
            without = [e for e in self._journal.state.files_of(key.series) if e.csv_sha256 is None]
            changes = [Change(self._writer.put_csv(e), (e.path,), 0, 0) for e in without]
            self._commit(changes, 0)
            return len(changes)

    # --- reading

    def read(
        self,
        key: DatasetKey,
        start: datetime | None = None,
        end: datetime | None = None,
        as_of: datetime | None = None,
    ) -> Candles:
        """Return the candles of a series that open at or after ``start`` and close at or before ``end``.

        With ``as_of`` they are what the lake held at that moment, before later revisions. Every file is compared with
        its hash before use. Raises ``DataMissing`` or ``DataCorrupt``.
        """
        entries = self._wanted(key, start, end, as_of)
        candles = self._candles(key, entries, start, end)
        return candles if start is None and end is None else candles.between(start, end)

    def read_by_file(
        self, key: DatasetKey, start: datetime | None = None, end: datetime | None = None
    ) -> Iterator[Candles]:
        """Yield the same candles in pieces, oldest first: memory does not grow with the series."""
        for entry in self._wanted(key, start, end, None):
            yield self._candles(key, [entry], start, end).between(start, end)

    def _wanted(
        self, key: DatasetKey, start: datetime | None, end: datetime | None, as_of: datetime | None
    ) -> list[FileEntry]:
        entries = self._state(as_of).files_of(key.series)
        if not entries:
            raise self.missing(key.instrument, key.timeframe, key.source)
        wanted = [e for e in entries if not (start and e.last <= start) and not (end and e.first >= end)]
        return wanted or entries[:1]  # tells the kind of the series where no row is wanted

    def _candles(
        self, key: DatasetKey, entries: Sequence[FileEntry], start: datetime | None, end: datetime | None
    ) -> Candles:
        # The hash proves that these are the rows that were checked before they were committed.
        return Candles.proven(
            Instrument.parse(key.instrument), key.timeframe, key.source, self._reader.frame(entries, start, end),
            entries[0].adjusted, entries[0].prices,
        )  # fmt: skip

    def _state(self, as_of: datetime | None) -> State:
        return self._journal.state if as_of is None else self._journal.at(as_of)

    def span(self, key: DatasetKey) -> Span | None:
        """Return (first open, last close) of a series, None where there is none."""
        files = self._journal.state.files_of(key.series)
        return (files[0].first, files[-1].last) if files else None

    def holds(self, key: DatasetKey, start: datetime | None, end: datetime | None) -> bool:
        """Tell whether a series has files that reach into the stretch of time."""
        files = self._journal.state.files_of(key.series)
        return any((start is None or f.last > start) and (end is None or f.first < end) for f in files)

    def covered(self, key: DatasetKey) -> list[Span]:
        """Return the stretches of time that the source of a series was asked for and answered, sorted, joined."""
        found = self._journal.state.series.get(key.series)
        return list(found.covers) if found else []

    def quarantined(self, key: DatasetKey) -> pl.DataFrame:
        """Return the rows that could not become candles: as they were, with ``reason``, ``origin``, ``found_at``."""
        entries = self._journal.state.files_of(key.quarantine)
        return self._reader.frame(entries) if entries else pl.DataFrame(schema=QUARANTINED)

    def read_observations(
        self, instrument: Instrument, name: str, source: str | None = None, as_of: datetime | None = None
    ) -> Observations:
        """Return all observations of one name with their revisions; with ``as_of`` those the lake held at that moment.

        Raises ``DataMissing`` with what there is, ``DataInvalid`` where several sources have it and none is named.
        """
        state = self._state(as_of)
        keys = [
            key for key, s in sorted(state.series.items())
            if (key.table, key.instrument, key.name) == ("observations", instrument.id, name)
            and source in (None, key.source) and s.files
        ]  # fmt: skip
        if not keys:
            have = sorted({f"{i.name} of {i.instrument} from {i.source}" for i in self.observation_sets()})
            raise DataMissing(
                f"The lake holds no {name} of {instrument}{f' from {source}' if source else ''}.",
                f"It holds: {'; '.join(have[:8])}{' ...' if len(have) > 8 else ''}." if have else "It holds none yet.",
                "Bring them in: forecastle import FILE --observation NAME, or forecastle import DIR --map FILE.",
            )
        _one_source(f"{name} of {instrument}", [k.source for k in keys])
        entries = state.files_of(keys[0])
        return Observations(instrument, name, entries[0].unit, keys[0].source, self._reader.frame(entries))

    def revisions(self, key: DatasetKey) -> pl.DataFrame:
        """Return every bar that was revised: ``open_time``, when (``revised_at``), and each column before and after.

        Columns are ``open``, ``open_before`` and so on, one row a revision, oldest first.
        """
        entries: dict[str, FileEntry] = {}
        found = [_revised(pl.DataFrame(schema=SCHEMA), pl.DataFrame(schema=SCHEMA), self._clock.now())]
        for commit, _ in self._journal.commits():
            new = [e for e in commit.files if e.series == key.series]
            old = [entries[path] for path in commit.replaces if path in entries]
            if commit.revised and new and old:
                found.append(_revised(self._reader.frame(old), self._reader.frame(new), commit.at))
            entries |= {e.path: e for e in new}
        return pl.concat(found)

    def resolve(self, instrument: Instrument, timeframe: Timeframe, source: str | None) -> DatasetKey:
        """Return the key of a series; the source may be left out where the lake holds only one."""
        keys = [i.key for i in self.datasets() if i.key.instrument == instrument.id and i.key.timeframe == timeframe]
        if source is not None:
            keys = [k for k in keys if k.source == source]
        if not keys:
            raise self.missing(instrument.id, timeframe, source)
        _one_source(f"{instrument.id} {timeframe}", [k.source for k in keys])
        return keys[0]

    def missing(self, instrument: str, timeframe: str, source: str | None) -> DataMissing:
        """Return what to tell about a series that is not here, with what is."""
        have = [str(i.key) for i in self.datasets()]
        origin = f" from {source}" if source else ""
        return DataMissing(
            f"The lake holds no {timeframe} candles of {instrument}{origin}.",
            f"It holds: {'; '.join(have[:8])}{' ...' if len(have) > 8 else ''}." if have else "It is empty so far.",
            f"Bring them in: forecastle fetch {instrument} --source {source} --timeframe {timeframe}, or import FILE."
            if source
            else f"Bring them in: forecastle import FILE --instrument {instrument} --timeframe {timeframe}; "
            "for a first look: forecastle fetch SPX.INDEX --source bundled.",
        )

    @staticmethod
    def nothing_between(whole: Candles, start: datetime | None, end: datetime | None) -> DataMissing:
        """Return what to tell about a range without candles."""
        return DataMissing(
            f"No {whole.timeframe} candles of {whole.instrument} from {start or 'the start'} to {end or 'now'}.",
            f"The lake holds them from {whole.start:%Y-%m-%d} to {whole.end:%Y-%m-%d}.",
            "Ask for a range inside.",
        )

    # --- what there is

    def datasets(self) -> list[DatasetInfo]:
        """Return every series of candles, sorted by source, instrument and timeframe."""
        state = self._journal.state
        return [
            DatasetInfo(
                key, files[0].adjusted, files[0].prices, sum(e.rows for e in files), files[0].first, files[-1].last,
                len(files), sum(e.size for e in files), state.series[key.series].commits,
                sum(e.rows for e in state.files_of(key.quarantine)),
            )
            for key, files in ((files[0].key, files) for files in self._files("candles"))
        ]  # fmt: skip

    def observation_sets(self) -> list[ObservationInfo]:
        """Return every series of observations."""
        return [
            ObservationInfo(
                f[0].instrument,
                f[0].name,
                f[0].unit,
                f[0].source,
                sum(e.rows for e in f),
                f[0].first,
                f[-1].last - timedelta(microseconds=1),  # the span of a file is half open
            )
            for f in self._files("observations")
        ]

    def _files(self, table: Table) -> list[list[FileEntry]]:
        state = self._journal.state
        found = [state.files_of(key) for key in sorted(state.series) if key.table == table]
        return [files for files in found if files]

    def verify(self) -> list[Problem]:
        """Compare every file ever committed with its hash, every current one with its rules, the logs too."""
        return verify(self._journal, self._reader)

    def current(self) -> State:
        """Return what is current now; later commits do not change it."""
        return self._journal.state

    def current_files(self, table: Table) -> list[Path]:
        """Return the places of the current files of a table."""
        return [self.root / entry.path for files in self._files(table) for entry in files]

    def checked(self, entry: FileEntry) -> bytes:
        """Return the bytes of a file. Raises ``DataCorrupt`` where they are not those that were committed."""
        return self._reader.checked(entry)


def _one_source(what: str, sources: Sequence[str]) -> None:
    if len(sources) > 1:
        raise DataInvalid(
            f"The lake holds {what} from several sources: {', '.join(sources)}.",
            "They differ, so Forecastle does not choose for you.",
            f"Add --source {sources[0]}, or another of them.",
        )


def _no_overlap(instrument: Instrument, old: Sequence[FileEntry], changes: Sequence[Change]) -> None:
    """Refuse a series whose bars overlap where one file ends and the next begins."""
    gone = {path for change in changes for path in change.replaces}
    files = [e for e in old if e.path not in gone] + [change.entry for change in changes]
    for before, after in itertools.pairwise(sorted(files, key=lambda e: e.first)):
        if after.first < before.last:
            raise overlapping(str(instrument), after.first)


def _revised(old: pl.DataFrame, new: pl.DataFrame, at: datetime) -> pl.DataFrame:
    both = new.join(old, on="open_time", suffix="_before", maintain_order="left")
    values = [c for c in SCHEMA if c not in ("open_time", "close_time")]
    changed = both.filter(pl.any_horizontal(pl.col(c) != pl.col(f"{c}_before") for c in values))
    pairs = [name for c in values for name in (f"{c}_before", c)]
    return changed.select("open_time", pl.lit(at).cast(TIME).alias("revised_at"), *pairs)


def _same_kind(candles: Candles, old: Sequence[FileEntry]) -> None:
    for name in ("adjusted", "prices"):
        before = {getattr(entry, name) for entry in old} - {getattr(candles, name)}
        if before:
            raise DataInvalid(
                f"{candles.instrument} from {candles.source} was stored as {name}={before.pop()}.",
                f"The new candles are {name}={getattr(candles, name)}; mixing them would make false jumps.",
                f"Import them under another --source name, or with the same --{name}.",
            )
