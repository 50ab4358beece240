"""Tables of the lake as DuckDB sees them: the current files, each compared with its hash when it is opened.

DuckDB opens no file itself. It hands what a question asks for to Arrow, which knows from the manifest what each file
can hold and opens only those that matter; the bytes it gets are those that were hashed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import FSSpecHandler, PyFileSystem

from forecastle.errors import DataCorrupt
from forecastle.lake.describe import COLUMNS, OBSERVATIONS
from forecastle.lake.layout import SeriesKey, Table
from forecastle.lake.manifest import FileEntry
from forecastle.lake.store import Lake

TABLES: dict[Table, dict[str, tuple[str, str]]] = {"candles": COLUMNS, "observations": OBSERVATIONS}
VIEWS = {"btc_prices": "SELECT * FROM candles WHERE instrument LIKE 'BTC-%'"}
"""What can be said with the tables alone."""
_MOMENT = pa.timestamp("us", tz="UTC")
_KINDS = {"timestamp[us, UTC]": _MOMENT, "float64": pa.float64(), "string": pa.string()}


@contextmanager
def database_of(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB database in memory that sees ``candles`` and ``observations`` of a lake, as they are now.

    Raises ``DataCorrupt`` where a file that was needed is not the one that was committed.
    """
    files = _Files(lake)
    try:
        with duckdb.connect(":memory:") as database:
            database.execute("SET TimeZone = 'UTC'")
            for table in TABLES:
                database.register(table, _dataset(files, lake.current_entries(table), table))
            yield database
    except duckdb.Error as error:
        if files.damage:
            raise files.damage from error
        raise


class _Files(FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """What Arrow opens files through; ``damage`` is what was wrong with one, for Arrow keeps only the words."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self.entries: dict[str, FileEntry] = {}
        self.damage: DataCorrupt | None = None

    def get_type_name(self) -> str:
        """Return the name of this kind of files."""
        return "lake"

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def open_input_file(self, path: str) -> pa.BufferReader:
        """Return the bytes of a file, checked."""
        try:
            return pa.BufferReader(self._lake.checked(self.entries[path]))
        except DataCorrupt as error:
            self.damage = error
            raise


def _dataset(files: _Files, entries: Sequence[FileEntry], table: Table) -> ds.Dataset:
    schema = pa.schema([(name, _KINDS[kind]) for name, (kind, _) in TABLES[table].items()])
    system, parquet, fragments = PyFileSystem(files), ds.ParquetFileFormat(), []
    files.entries |= {entry.path: entry for entry in entries}
    for key, group in groupby(entries, key=lambda entry: entry.series):
        series = _of_series(key)
        fragments += [
            parquet.make_fragment(entry.path, system, partition_expression=series & _of_time(entry)) for entry in group
        ]
    return ds.FileSystemDataset(fragments, schema, parquet, system)


def _of_series(key: SeriesKey) -> Any:
    """Return what holds for every row of a series."""
    name = "timeframe" if key.table == "candles" else "name"
    one, other, third = ds.field("instrument"), ds.field(name), ds.field("source")
    return (one == key.instrument) & (other == key.name) & (third == key.source)


def _of_time(entry: FileEntry) -> Any:
    """Return what holds for the times of every row of a file."""
    first, last = pa.scalar(entry.first, _MOMENT), pa.scalar(entry.last, _MOMENT)
    if entry.table == "candles":
        return (ds.field("open_time") >= first) & (ds.field("close_time") <= last)
    return (ds.field("about") >= first) & (ds.field("about") < last)
