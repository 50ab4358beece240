"""Tables of the lake as DuckDB sees them: the current files, each compared with its hash before it is read.

DuckDB opens no file itself. It hands what a question asks for to Arrow, which knows from the manifest what each file
can hold: only those that matter are checked and read. A question costs what it asks for, however large the lake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

from forecastle.errors import DataCorrupt
from forecastle.lake.describe import COLUMNS, OBSERVATIONS
from forecastle.lake.layout import SeriesKey, Table
from forecastle.lake.manifest import FileEntry, State
from forecastle.lake.reader import THREADS
from forecastle.lake.store import Lake

TABLES: dict[Table, dict[str, tuple[str, str]]] = {"candles": COLUMNS, "observations": OBSERVATIONS}
VIEWS = {"btc_prices": "SELECT * FROM candles WHERE instrument LIKE 'BTC-%'"}
"""What can be said with the tables alone."""
_DISK, _PARQUET = LocalFileSystem(), ds.ParquetFileFormat()
_MOMENT = pa.timestamp("us", tz="UTC")
_KINDS = {"timestamp[us, UTC]": _MOMENT, "float64": pa.float64(), "string": pa.string()}


@contextmanager
def database_of(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB database in memory that sees ``candles`` and ``observations`` of a lake, as they are now.

    Raises ``DataCorrupt`` where a file that was needed is not the one that was committed.
    """
    state = lake.current()
    tables: dict[Table, _Checked] = {table: _Checked(lake, state, table) for table in TABLES}
    try:
        with duckdb.connect(":memory:") as database:
            database.execute("SET TimeZone = 'UTC'")
            for name, table in tables.items():
                database.register(name, table)
            yield database
    except duckdb.Error as error:
        for table in tables.values():
            if table.damage:
                raise DataCorrupt(table.damage.what, table.damage.why, table.damage.hint) from error
        raise


class _Checked(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """The current files of one table: as a dataset of its own one fragment a series, so that whole series fall away.

    ``damage`` is what was wrong with a file: DuckDB keeps only the words of an error.
    """

    def __init__(self, lake: Lake, state: State, table: Table) -> None:
        schema = pa.schema([(name, _KINDS[kind]) for name, (kind, _) in TABLES[table].items()])
        self._lake, self._state = lake, state
        self._series = {key.folder.as_posix(): key for key in sorted(state.series) if key.table == table}
        self.damage: DataCorrupt | None = None
        parts = [_PARQUET.make_fragment(name, _DISK, _of_series(key)) for name, key in self._series.items()]
        super().__init__(parts, schema, _PARQUET, _DISK)

    def scanner(self, columns: list[str] | None = None, filter: ds.Expression | None = None) -> ds.Scanner:  # noqa: A002
        """Return what reads the rows that pass ``filter``; DuckDB calls it once for each use of the table."""
        root, entries, parts = self._lake.root.absolute(), {}, []
        for series in self.get_fragments(filter):
            for entry in self._state.files_of(self._series[series.path]):
                path, holds = f"{root}/{entry.path}", series.partition_expression & _of_time(entry)
                entries[path] = entry
                parts.append(_PARQUET.make_fragment(path, _DISK, holds))
        files = ds.FileSystemDataset(parts, self.schema, _PARQUET, _DISK)
        self._check([entries[file.path] for file in files.get_fragments(filter)])
        return files.scanner(columns=columns, filter=filter)

    def _check(self, entries: Sequence[FileEntry]) -> None:
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                deque(pool.map(self._lake.checked, entries), maxlen=0)
        except DataCorrupt as error:
            self.damage = error
            raise


def _of_series(key: SeriesKey) -> Any:
    """Return what holds for every row of a series."""
    name = "timeframe" if key.table == "candles" else "name"
    one, other, third = ds.field("instrument"), ds.field(name), ds.field("source")
    return (one == key.instrument) & (other == key.name) & (third == key.source)


def _of_time(entry: FileEntry) -> Any:
    """Return what holds for the times of every row of a file."""
    first, last = pa.scalar(entry.first, _MOMENT), pa.scalar(entry.last, _MOMENT)
    if entry.table == "observations":
        return (ds.field("about") >= first) & (ds.field("about") < last)
    opens, closes = ds.field("open_time"), ds.field("close_time")
    return (opens >= first) & (opens < last) & (closes > first) & (closes <= last)
