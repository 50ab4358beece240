"""Feature tables: Parquet files that say themselves what they hold and how to go on.

``{instrument}/{timeframe}.parquet``; of minutes a folder ``{instrument}/{timeframe}/{YYYY-MM}.parquet``, so that a bar
more rewrites a month and not years. Each file carries in its metadata the fingerprint and the definitions of its
columns, a hash of all that was known when it was made, and the state after its last row: rows and state are one file,
there wholly or not at all. A value that was computed anew from revised data is a new row with a later ``created_at``;
the old one stays. A table that another replaces is moved to ``superseded``, not deleted.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from forecastle.clock import Clock
from forecastle.errors import DataCorrupt, DataMissing
from forecastle.lake.atomic import make_folder, place, sync_folder, unwritable
from forecastle.lake.lock import writer_lock
from forecastle.nouns import FeatureColumn, FeatureSpec
from forecastle.nouns.candles import TIME
from forecastle.nouns.feature_frame import MARKS, definitions_of
from forecastle.sessions import Timeframe

KEYS = ("instrument", "known_at", "created_at")
"""The columns before the features: whose row, from when on it is known, when it was computed so."""
_META = b"forecastle"
_SUPERSEDED = "superseded"


@dataclass(frozen=True)
class TableMeta:
    """What a feature table says of itself.

    ``data_hash`` is of everything its rows were computed from, ``state`` what goes on from its last row.
    """

    instrument: str
    timeframe: Timeframe
    source: str
    fingerprint: str
    specs: tuple[FeatureSpec, ...]
    steps: tuple[str, ...]
    absent: Mapping[str, str]
    data_hash: str
    state: Mapping[str, Any]

    @property
    def marks(self) -> dict[str, str]:
        """Return what every row of the file says: the feature store knows no metadata of files."""
        return dict(zip(MARKS, (self.source, definitions_of(self.specs)), strict=True))

    def text(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def read(cls, text: bytes) -> TableMeta:
        """Return what JSON says."""
        said = json.loads(text)
        specs = tuple(
            FeatureSpec(**{**s, "columns": tuple(FeatureColumn(**c) for c in s["columns"]), "needs": tuple(s["needs"])})
            for s in said["specs"]
        )
        return cls(**{**said, "specs": specs, "steps": tuple(said["steps"])})


@dataclass(frozen=True)
class FeatureTable:
    """A stored table: ``frame`` has ``instrument known_at created_at`` and the features, every version of a row."""

    meta: TableMeta
    frame: pl.DataFrame

    def current(self, as_of: datetime | None = None) -> pl.DataFrame:
        """Return one row for each ``known_at``: the last version, or the last that was there at ``as_of``."""
        rows = self.frame if as_of is None else self.frame.filter(pl.col("created_at") <= as_of)
        return rows.unique("known_at", keep="last", maintain_order=True)


class FeatureTables:
    """The tables under ``root`` (``processed/features`` of a home)."""

    def __init__(self, root: Path, clock: Clock) -> None:
        """Look at the tables below ``root``; nothing is created before something is written."""
        self.root = root
        self._clock = clock

    def place(self, instrument: str, timeframe: Timeframe) -> Path:
        """Return the file of a table, its folder where the timeframe is one of minutes."""
        return self.root / instrument / (timeframe if timeframe.endswith("m") else f"{timeframe}.parquet")

    def listed(self) -> list[tuple[str, Timeframe]]:
        """Return (instrument, timeframe) of every table."""
        found = [p for p in sorted(self.root.glob("*/*")) if not p.name.startswith(".") and p.name != _SUPERSEDED]
        return [(p.parent.name, p.name.removesuffix(".parquet")) for p in found]  # type: ignore[misc]

    def meta(self, instrument: str, timeframe: Timeframe) -> TableMeta | None:
        """Return what a table says of itself, None where there is none; raises ``DataCorrupt``."""
        files = self._files(instrument, timeframe)
        metas = [_meta_of(path) for path in files]
        for path, meta in zip(files, metas, strict=True):
            if meta.fingerprint != metas[-1].fingerprint:
                raise _damaged(path, "It was made by other definitions than the file after it")
        return metas[-1] if metas else None

    def read(self, instrument: str, timeframe: Timeframe, columns: Sequence[str] | None = None) -> FeatureTable:
        """Return a table; raises ``DataMissing`` or ``DataCorrupt``."""
        meta = self.meta(instrument, timeframe)
        if meta is None:
            raise DataMissing(
                f"There is no table of {timeframe} features of {instrument}.", "It was not built yet.",
                f"Build it: forecastle features build {instrument} --timeframe {timeframe}",
            )  # fmt: skip
        wanted = None if columns is None else [*KEYS, *columns]
        frames = [_rows_of(path, wanted) for path in self._files(instrument, timeframe)]
        return FeatureTable(meta, pl.concat(frames))

    def last_row(self, instrument: str, timeframe: Timeframe) -> tuple[TableMeta, pl.DataFrame]:
        """Return the current version of the last row, from the last file alone; raises as :meth:`read`."""
        files = self._files(instrument, timeframe)
        if not files:
            self.read(instrument, timeframe)  # says what is missing
        rows = _rows_of(files[-1], None)
        return _meta_of(files[-1]), rows.filter(pl.col("known_at") == rows["known_at"][-1]).tail(1)

    def files(self, instrument: str, timeframe: Timeframe) -> list[Path]:
        """Return the files of a table, oldest first."""
        return self._files(instrument, timeframe)

    def mark(self, instrument: str, timeframe: Timeframe) -> None:
        """Write a table from before its rows had ``MARKS`` once more, with them; what it holds stays the same."""
        if any(set(MARKS) - set(_schema_of(path).names) for path in self._files(instrument, timeframe)):
            with self.writing(instrument):
                table = self.read(instrument, timeframe)
                self.replace(table.meta, table.frame)

    def everything(self) -> pl.DataFrame:
        """Return the current rows of all tables, null where a table has no such column; for SQL."""
        frames = [pl.DataFrame(schema={"instrument": pl.String, "timeframe": pl.String, "known_at": TIME})]
        for instrument, timeframe in self.listed():
            rows = self.read(instrument, timeframe).current().drop("created_at")
            frames.append(rows.insert_column(1, pl.lit(timeframe).alias("timeframe")))
        return pl.concat(frames, how="diagonal")

    @contextmanager
    def writing(self, instrument: str) -> Iterator[None]:
        """Hold the only pen of the tables; raises ``LakeLocked``, ``StorageUnwritable``."""
        with writer_lock(self.root, self._clock, Path(instrument)) as pen:
            yield
            pen.wipe()

    def append(self, meta: TableMeta, rows: pl.DataFrame) -> None:
        """Add rows that come after all there are; ``meta.state`` is the state after them."""
        kept = self._last_period(meta, rows)
        self._write(self.place(meta.instrument, meta.timeframe), meta, pl.concat([*kept, rows]))

    def replace(self, meta: TableMeta, rows: pl.DataFrame) -> None:
        """Write the whole table anew in the place of one with the same definitions, whose rows are among ``rows``."""
        target = self.place(meta.instrument, meta.timeframe)
        if target.suffix == ".parquet":
            self._write(target, meta, rows)
            return
        gone = target.with_name(f".{target.name}.old")
        shutil.rmtree(gone, ignore_errors=True)
        self._swap(target, gone, meta, rows)
        shutil.rmtree(gone, ignore_errors=True)

    def supersede(self, meta: TableMeta, rows: pl.DataFrame) -> None:
        """Write the whole table; what is in its place is kept in ``superseded`` beside it, with all it ever said."""
        target = self.place(meta.instrument, meta.timeframe)
        if not target.exists():
            self._write(target, meta, rows)
            return
        aside = self._aside(target, meta)
        try:
            make_folder(aside.parent)
            if target.suffix == ".parquet":
                os.link(target, aside)  # until the new one is whole the old one stays in its place, too
                sync_folder(aside.parent)
        except OSError as error:
            raise unwritable(aside, error) from error
        if target.suffix == ".parquet":
            self._write(target, meta, rows)
        else:
            self._swap(target, aside, meta, rows)

    def _aside(self, target: Path, meta: TableMeta) -> Path:
        """Return a name in ``superseded`` that is free: by the definitions of the old table, and a number."""
        try:
            old = self.meta(meta.instrument, meta.timeframe)
        except DataCorrupt:
            old = None
        name = f"{target.name.removesuffix('.parquet')}.{old.fingerprint[:12] if old else 'damaged'}"
        free = (target.parent / _SUPERSEDED / f"{name}.{number}{target.suffix}" for number in itertools.count(1))
        return next(path for path in free if not path.exists())

    def _swap(self, target: Path, aside: Path, meta: TableMeta, rows: pl.DataFrame) -> None:
        """Write a folder of months under another name, then put it in the place of the old, which goes ``aside``."""
        fresh = target.with_name(f".{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._write(fresh, meta, rows)
        try:
            target.rename(aside)
            fresh.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise unwritable(target, error) from error

    def _files(self, instrument: str, timeframe: Timeframe) -> list[Path]:
        target = self.place(instrument, timeframe)
        if target.suffix == ".parquet":
            return [target] if target.is_file() else []
        return sorted(target.glob("[0-9]*.parquet"))

    def _last_period(self, meta: TableMeta, rows: pl.DataFrame) -> list[pl.DataFrame]:
        """Return the rows that are there of the period the new ones begin in."""
        files = self._files(meta.instrument, meta.timeframe)
        if not files:
            return []
        single = self.place(meta.instrument, meta.timeframe).suffix == ".parquet"
        same = single or files[-1].stem == f"{rows['known_at'][0]:%Y-%m}"
        return [_rows_of(files[-1], None)] if same else []

    def _write(self, target: Path, meta: TableMeta, rows: pl.DataFrame) -> None:
        """Write a file, or one for each month; the state stands in the last, the others could not go on anyway."""
        if target.suffix == ".parquet":
            _put(target, meta, rows)
            return
        months = rows["known_at"].dt.strftime("%Y-%m")
        for (month,), part in rows.with_columns(_month=months).group_by("_month", maintain_order=True):
            _put(target / f"{month}.parquet", meta, part.drop("_month"))


def _put(path: Path, meta: TableMeta, rows: pl.DataFrame) -> None:
    table = rows.to_arrow()
    table = table.set_column(0, "instrument", table["instrument"].cast(pa.string()))
    for name, text in meta.marks.items():
        table = table.append_column(name, pa.array([text] * len(table), pa.string()))
    table = table.replace_schema_metadata({_META: meta.text()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    place(path, sink.getvalue().to_pybytes())
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def _schema_of(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _damaged(path, f"It does not say what it holds ({type(error).__name__})") from error


def _meta_of(path: Path) -> TableMeta:
    try:
        return TableMeta.read((_schema_of(path).metadata or {})[_META])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"It does not say what it holds ({type(error).__name__})") from error


def _rows_of(path: Path, columns: Sequence[str] | None) -> pl.DataFrame:
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read(columns)
        frame = pl.DataFrame(table.drop_columns([name for name in MARKS if name in table.column_names]))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    return frame.with_columns(pl.col("known_at", "created_at").cast(TIME))


def _damaged(path: Path, why: str) -> DataCorrupt:
    return DataCorrupt(
        f"{path} is not a feature table that can be read.", f"{why.rstrip('.')}.",
        "Build it again from the candles: forecastle features build ID --rebuild",
    )  # fmt: skip
