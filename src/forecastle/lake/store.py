"""The lake: write candles, read them back, say what there is, prove that nothing changed."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from forecastle.clock import Clock
from forecastle.errors import DataCorrupt, DataInvalid, DataMissing
from forecastle.lake.atomic import write_bytes
from forecastle.lake.describe import write_description
from forecastle.lake.layout import DatasetKey, file_name, period_of
from forecastle.lake.lock import writer_lock
from forecastle.lake.manifest import FileEntry, Manifest
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA, Adjusted
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
    """One series of the lake."""

    key: DatasetKey
    adjusted: Adjusted
    rows: int
    first_open: datetime
    last_close: datetime
    files: int
    size: int
    commits: int


@dataclass(frozen=True)
class Problem:
    """Something that ``verify`` found wrong with a file."""

    path: str
    what: str


class Lake:
    """Candles under ``root`` (the ``raw`` folder of a home). One writer at a time, any number of readers."""

    def __init__(self, root: Path, clock: Clock) -> None:
        """Open the lake; an absent folder is an empty lake, and reading never creates it."""
        self.root = root
        self._clock = clock

    def write(self, candles: Candles) -> WriteResult:
        """Merge ``candles`` into their series: new rows are added, differing rows become a new version.

        Data files are never changed: a period with news gets a new file, and the manifest points to it. A second write
        of the same rows does nothing. Raises ``StorageUnwritable``, ``LakeLocked``, ``DataCorrupt``; ``DataInvalid``
        where the new rows are adjusted otherwise than the old.
        """
        if not len(candles):
            raise DataInvalid(
                f"There are no candles of {candles.instrument} to write.",
                "The selection is empty.",
                "Choose a wider range.",
            )
        key = DatasetKey(candles.source, candles.instrument.id, candles.timeframe)
        with writer_lock(self.root, self._clock):
            manifest = Manifest(self.root)
            old = {entry.period: entry for entry in manifest.files_of(key)}
            _same_adjustment(candles, old)
            changes = list(self._changed_periods(key, candles, old))
            entries = tuple(entry for entry, _, _ in changes)
            _no_overlap(candles, old | {entry.period: entry for entry in entries})
            added, revised = sum(a for _, a, _ in changes), sum(r for _, _, r in changes)
            if entries:
                write_description(self.root)
                manifest.append(self._clock.now(), added, revised, entries)
        files = tuple(entry.path for entry in entries)
        return WriteResult(added, revised, len(candles) - added - revised, files, len(manifest.commits))

    def _changed_periods(
        self, key: DatasetKey, candles: Candles, old: dict[str, FileEntry]
    ) -> Iterator[tuple[FileEntry, int, int]]:
        """Write the file of every period that has news; yields (entry, rows added, rows revised)."""
        parts = candles.frame.with_columns(period=period_of(candles.timeframe)).partition_by(
            "period", as_dict=True, include_key=False
        )
        for (period,), part in parts.items():
            previous = old.get(str(period))
            had = self._load_or_replace(previous, part) if previous else part.clear()
            merged = pl.concat([had, part]).unique("open_time", keep="last", maintain_order=True).sort("open_time")
            added = merged.height - had.height
            revised = (
                part.join(had, on="open_time", how="semi").height - part.join(had, on=list(SCHEMA), how="semi").height
            )
            if not (added or revised):
                continue
            whole = Candles(candles.instrument, candles.timeframe, candles.source, merged, candles.adjusted)
            entry = self._put(key, str(period), whole, previous)
            if previous and entry.sha256 == previous.sha256:
                continue  # a damaged file was written again as it was: nothing new to commit
            yield entry, added, revised

    def _load_or_replace(self, entry: FileEntry, part: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a file; nothing where it is damaged and ``part`` has as many in its span."""
        try:
            return self._load(entry)
        except DataCorrupt:
            inside = part.filter(
                pl.col("open_time") >= entry.first_open, pl.col("close_time") <= entry.last_close
            )  # fmt: skip
            whole = inside.height >= entry.rows and inside["open_time"].min() == entry.first_open
            if whole and inside["close_time"].max() == entry.last_close:
                return part.clear()
            raise

    def _put(self, key: DatasetKey, period: str, candles: Candles, previous: FileEntry | None) -> FileEntry:
        content = _to_parquet(candles)
        sha256 = hashlib.sha256(content).hexdigest()
        path = key.folder / file_name(period, f"{candles.start:%Y-%m-%d}", sha256)
        write_bytes(self.root / path, content)
        return FileEntry(
            source=key.source, instrument=key.instrument, timeframe=key.timeframe, adjusted=candles.adjusted,
            period=period, path=path.as_posix(), sha256=sha256, size=len(content), rows=len(candles),
            first_open=candles.start, last_close=candles.end, replaces=previous.path if previous else None,
        )  # fmt: skip

    def read(self, key: DatasetKey, start: datetime | None = None, end: datetime | None = None) -> Candles:
        """Return the current candles of a series that open at or after ``start`` and close at or before ``end``.

        Every file is compared with its hash before use. Raises ``DataMissing`` or ``DataCorrupt``.
        """
        entries = Manifest(self.root).files_of(key)
        if not entries:
            raise self.missing(key.instrument, key.timeframe, key.source)
        wanted = [e for e in entries if not (start and e.last_close < start) and not (end and e.first_open >= end)]
        frame = pl.concat([self._load(e) for e in wanted]) if wanted else pl.DataFrame(schema=SCHEMA)
        instrument = Instrument.parse(key.instrument)
        candles = Candles(instrument, key.timeframe, key.source, frame, entries[0].adjusted)
        return candles.between(start, end)

    def resolve(self, instrument: Instrument, timeframe: Timeframe, source: str | None) -> DatasetKey:
        """Return the key of a series; the source may be left out where the lake holds only one."""
        keys = [i.key for i in self.datasets() if i.key.instrument == instrument.id and i.key.timeframe == timeframe]
        if source is not None:
            keys = [k for k in keys if k.source == source]
        if not keys:
            raise self.missing(instrument.id, timeframe, source)
        if len(keys) > 1:
            names = ", ".join(k.source for k in keys)
            raise DataInvalid(
                f"The lake holds {instrument.id} {timeframe} from several sources: {names}.",
                "They differ, so Forecastle does not choose for you.",
                f"Add --source {keys[0].source}, or another of them.",
            )
        return keys[0]

    def missing(self, instrument: str, timeframe: str, source: str | None) -> DataMissing:
        """Return what to tell about a series that is not here, with what is."""
        have = [str(i.key) for i in self.datasets()]
        origin = f" from {source}" if source else ""
        return DataMissing(
            f"The lake holds no {timeframe} candles of {instrument}{origin}.",
            f"It holds: {'; '.join(have[:8])}{' ...' if len(have) > 8 else ''}." if have else "It is empty so far.",
            f"Bring them in: forecastle import FILE --instrument {instrument} --timeframe {timeframe}; "
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

    def datasets(self) -> list[DatasetInfo]:
        """Return what there is, sorted by source, instrument and timeframe."""
        manifest = Manifest(self.root)
        groups: dict[DatasetKey, list[FileEntry]] = {}
        for (key, _), entry in manifest.current.items():
            groups.setdefault(key, []).append(entry)
        commits = [{entry.key for entry in commit.files} for commit in manifest.commits]
        return [
            DatasetInfo(
                key, entries[0].adjusted, sum(e.rows for e in entries), min(e.first_open for e in entries),
                max(e.last_close for e in entries), len(entries), sum(e.size for e in entries),
                sum(key in commit for commit in commits),
            )
            for key, entries in sorted(groups.items())
        ]  # fmt: skip

    def verify(self) -> list[Problem]:
        """Compare every file that was ever committed with its hash, and every current one with the rules of candles."""
        manifest = Manifest(self.root)
        current = {entry.path for entry in manifest.current.values()}
        problems = []
        for commit in manifest.commits:
            for entry in commit.files:
                try:
                    frame = self._load(entry)
                    if entry.path in current:
                        Candles(
                            Instrument.parse(entry.instrument), entry.timeframe, entry.source, frame, entry.adjusted
                        )
                except (DataCorrupt, DataInvalid) as error:
                    problems.append(Problem(entry.path, f"{error.what} {error.why}"))
        return problems + self._torn_series(manifest)

    def _torn_series(self, manifest: Manifest) -> list[Problem]:
        """Return the series whose files are sound one by one and do not fit together."""
        problems = []
        for key in sorted({key for key, _ in manifest.current}):
            for before, after in itertools.pairwise(manifest.files_of(key)):
                if after.first_open < before.last_close:
                    problems.append(Problem(after.path, f"It begins before {before.path} ends."))
        return problems

    def current_files(self) -> list[tuple[FileEntry, Path]]:
        """Return every current file with its place, checked against its hash."""
        entries = Manifest(self.root).current.values()
        for entry in entries:
            self._checked_bytes(entry)
        return [(entry, self.root / entry.path) for entry in entries]

    def _load(self, entry: FileEntry) -> pl.DataFrame:
        table = pq.read_table(io.BytesIO(self._checked_bytes(entry)), columns=list(SCHEMA))
        frame = pl.DataFrame(table)
        return frame.select(pl.col(c).cast(kind) for c, kind in SCHEMA.items())

    def _checked_bytes(self, entry: FileEntry) -> bytes:
        path = self.root / entry.path
        hint = "Restore it from a copy, or import all of its rows again; forecastle lake verify lists such files."
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataCorrupt(f"{path} cannot be read.", f"{error.strerror}.", hint) from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise DataCorrupt(
                f"{path} is not the file that was committed.", "Its SHA-256 differs from the manifest's.", hint
            )
        return content


def _no_overlap(candles: Candles, entries: dict[str, FileEntry]) -> None:
    """Refuse a series whose bars overlap where one file ends and the next begins."""
    ordered = sorted(entries.values(), key=lambda e: e.first_open)
    for before, after in itertools.pairwise(ordered):
        if after.first_open < before.last_close:
            raise DataInvalid(
                f"Candles of {candles.instrument} would overlap at {after.first_open:%Y-%m-%d %H:%M}.",
                f"The bar before ends at {before.last_close:%Y-%m-%d %H:%M}: new bars start at other times.",
                "Import them under another --source name.",
            )


def _same_adjustment(candles: Candles, old: dict[str, FileEntry]) -> None:
    before = {entry.adjusted for entry in old.values()} - {candles.adjusted}
    if before:
        raise DataInvalid(
            f"{candles.instrument} from {candles.source} was stored as adjusted={before.pop()}.",
            f"The new candles are adjusted={candles.adjusted}; mixing them would make false jumps.",
            "Import them under another --source name, or with the same --adjusted.",
        )


def _to_parquet(candles: Candles) -> bytes:
    """Return the bytes of the file; the key travels in columns, so that a file alone tells what it holds."""
    constants = {
        "instrument": candles.instrument.id, "timeframe": candles.timeframe,
        "source": candles.source, "adjusted": candles.adjusted,
    }  # fmt: skip
    table = candles.frame.to_arrow()
    for name, value in constants.items():
        column = pa.array([value] * len(candles)).dictionary_encode()
        table = table.append_column(name, column)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_statistics=True, store_schema=True)
    return sink.getvalue()
