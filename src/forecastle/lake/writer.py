"""The writing half of the lake: what a write changes, the order of its steps, recovery after a crash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from forecastle.clock import Clock
from forecastle.errors import DataCorrupt, DataInvalid
from forecastle.lake.atomic import forget, place, sync_folder, unwritable, write_bytes
from forecastle.lake.journal import Journal
from forecastle.lake.layout import DATA_FILE, SeriesKey, file_name, periods
from forecastle.lake.lock import writer_lock
from forecastle.lake.manifest import HISTORY, FileEntry
from forecastle.lake.reader import Reader
from forecastle.lake.rows import COLUMNS, FIRST, ORDER, UNIQUE, to_csv, to_parquet
from forecastle.nouns.candles import Adjusted, Prices


@dataclass(frozen=True)
class Kind:
    """What all files of a series have in common beside their key."""

    adjusted: Adjusted = "unknown"
    prices: Prices = "ohlc"
    unit: str = ""


@dataclass(frozen=True)
class Change:
    """A new file, the paths of those it takes the place of, and how many of its rows are new or differ."""

    entry: FileEntry
    replaces: tuple[str, ...]
    added: int
    revised: int


class Writer:
    """Writes below ``root``; every method but :meth:`writing` is for whoever holds the pen."""

    def __init__(self, root: Path, clock: Clock, journal: Journal, reader: Reader) -> None:
        self.root = root
        self._clock = clock
        self._journal = journal
        self._reader = reader

    @contextmanager
    def writing(self, folder: Path) -> Iterator[None]:
        """Hold the pen for work in ``folder``; first put right what a crash left, last leave nothing behind.

        Start-up and recovery are one path: the copies of the manifest are made whole and equal, and files that were
        never committed are removed from the folder where the writer before was stopped.
        """
        with writer_lock(self.root, self._clock, folder) as pen:
            self._journal.mend()
            for left in pen.left_behind:
                self._sweep(Path(left))
            try:
                yield
            except BaseException:
                self._sweep(folder)
                pen.wipe()
                raise
            pen.wipe()

    def _sweep(self, folder: Path) -> None:
        """Remove what no commit ever named from ``folder``: files of ours, and temporary ones."""
        for touched in (self.root, self.root / HISTORY, self.root / folder):
            for temporary in touched.glob(".*.tmp"):
                forget(temporary)
        found = {path for path in (self.root / folder).glob("*") if DATA_FILE.fullmatch(path.name)}
        with suppress(DataCorrupt):  # a damaged history does not say what it named: nothing is removed then
            for path in found - self._named() if found else ():
                forget(path)

    def _named(self) -> set[Path]:
        """Return every file that a commit ever named."""
        entries = [entry for commit, _ in self._journal.commits() for entry in commit.files]
        twins = {self.root / entry.csv_path for entry in entries if entry.csv_sha256 is not None}
        return {self.root / entry.path for entry in entries} | twins

    def merge(self, key: SeriesKey, rows: pl.DataFrame, kind: Kind) -> list[Change]:
        """Write the files that ``rows``, sorted and unique, make necessary; an empty list where all were there already.

        Rows after the last file of their period become a file of their own; rows inside a file make a new version of
        it. A new file takes in its neighbours while they hold no more rows than it does, so that n appended rows lie
        in about log2(n) files and each is written about log2(n) times.
        """
        current = self._journal.state.files_of(key)
        changes = []
        for period, part in periods(key, rows):
            change = self._merge_period(key, period, part, [e for e in current if e.period == period], kind)
            if change:
                changes.append(change)
        if changes:
            self._sync(key.folder)
        return changes

    def _merge_period(
        self, key: SeriesKey, period: str, part: pl.DataFrame, files: Sequence[FileEntry], kind: Kind
    ) -> Change | None:
        first, last = _span(key, part)
        touched = [e for e in files if e.first < last and e.last > first]
        had = self._rows(touched, part, kind)
        merged, added, revised = _merged(key, had, part)
        if not (added or revised):
            return None
        _no_overlap_inside(key, merged)
        merged, swallowed = self._with_neighbours(key, merged, [e for e in files if e not in touched])
        entry = self._put(key, period, merged, kind)
        replaces = tuple(e.path for e in (*touched, *swallowed))
        if replaces == (entry.path,):
            return None  # a damaged file was written again as it was: nothing new to commit
        return Change(entry, tuple(p for p in replaces if p != entry.path), added, revised)

    def _rows(self, entries: Sequence[FileEntry], part: pl.DataFrame, kind: Kind) -> pl.DataFrame:
        """Return the rows of files; nothing of one that is damaged where ``part`` has them all, proven by its hash."""
        whole = []
        for entry in entries:
            try:
                whole.append(self._reader.frame([entry]))
            except DataCorrupt:
                first, last = FIRST[entry.table], "close_time" if entry.table == "candles" else FIRST[entry.table]
                inside = part.filter(pl.col(first) >= entry.first, pl.col(last) <= entry.last)
                again = to_parquet(inside, _constants(entry.series, kind)) if inside.height == entry.rows else b""
                if hashlib.sha256(again).hexdigest() != entry.sha256:
                    raise
        return pl.concat(whole) if whole else part.clear()

    def _with_neighbours(
        self, key: SeriesKey, rows: pl.DataFrame, others: list[FileEntry]
    ) -> tuple[pl.DataFrame, list[FileEntry]]:
        first, last = _span(key, rows)
        before = [e for e in reversed(others) if e.last <= first]
        after = [e for e in others if e.first >= last]
        swallowed: list[FileEntry] = []
        for neighbours in (before, after):
            for entry in neighbours:
                if entry.rows > rows.height:
                    break
                try:
                    more = self._reader.frame([entry])
                except DataCorrupt:
                    break  # a damaged neighbour is not a reason to refuse good rows
                rows = pl.concat([more, rows] if neighbours is before else [rows, more])
                swallowed.append(entry)
        return rows, swallowed

    def _put(self, key: SeriesKey, period: str, rows: pl.DataFrame, kind: Kind) -> FileEntry:
        first, last = _span(key, rows)
        content = to_parquet(rows, _constants(key, kind))
        sha256 = hashlib.sha256(content).hexdigest()
        path = key.folder / file_name(period, f"{first:%Y-%m-%d}", sha256)
        place(self.root / path, content)
        return FileEntry(
            table=key.table, source=key.source, instrument=key.instrument, name=key.name, adjusted=kind.adjusted,
            prices=kind.prices, unit=kind.unit, period=period, path=path.as_posix(), sha256=sha256,
            size=len(content), rows=rows.height, first=first, last=last,
        )  # fmt: skip

    def _sync(self, folder: Path) -> None:
        try:
            sync_folder(self.root / folder)
        except OSError as error:
            raise unwritable(self.root / folder, error) from error

    def put_csv(self, entry: FileEntry) -> FileEntry:
        """Write the CSV twin of a file and return the entry that names it."""
        content = to_csv(self._reader.frame([entry]))
        write_bytes(self.root / entry.csv_path, content)
        return entry.model_copy(update={"csv_sha256": hashlib.sha256(content).hexdigest()})


def _merged(key: SeriesKey, had: pl.DataFrame, part: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
    """Return (all rows, rows added, rows revised); of two rows with one key the new one stays."""
    if not had.height:
        return part, part.height, 0
    unique = UNIQUE[key.table]
    merged = pl.concat([had, part]).unique(unique, keep="last", maintain_order=True)
    merged = merged.sort(ORDER[key.table], maintain_order=True)
    same = part.join(had, on=list(COLUMNS[key.table]), how="semi", nulls_equal=True).height
    known = part.join(had, on=unique, how="semi", nulls_equal=True).height
    return merged, merged.height - had.height, known - same


def _no_overlap_inside(key: SeriesKey, rows: pl.DataFrame) -> None:
    if key.table != "candles":
        return
    overlap = rows["open_time"][1:] < rows["close_time"][:-1]
    if overlap.any():
        raise overlapping(key.instrument, rows["open_time"][int(overlap.arg_max() or 0) + 1])


def overlapping(instrument: str, opens: datetime) -> DataInvalid:
    """Return what to tell about a bar that opens before the one before it has closed."""
    return DataInvalid(
        f"Candles of {instrument} would overlap at {opens:%Y-%m-%d %H:%M}.",
        "The bar before ends later: the new bars start at other times than those in the lake.",
        "Import them under another --source name.",
    )


def _span(key: SeriesKey, rows: pl.DataFrame) -> tuple[datetime, datetime]:
    """Return the half-open stretch of time that the rows lie in."""
    if not rows.height:
        return datetime.max, datetime.min  # noqa: DTZ901 - an empty stretch overlaps nothing
    column = rows[FIRST[key.table]]
    if key.table == "candles":
        return column[0], rows["close_time"][-1]
    return column[0], column[-1] + timedelta(microseconds=1)


def _constants(key: SeriesKey, kind: Kind) -> dict[str, str]:
    if key.table == "observations":
        return {"instrument": key.instrument, "source": key.source, "name": key.name, "unit": kind.unit}
    return {
        "instrument": key.instrument, "timeframe": key.name, "source": key.source,
        "adjusted": kind.adjusted, "prices": kind.prices,
    }  # fmt: skip
