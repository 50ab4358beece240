"""Rows to bytes and back: Parquet for us, CSV for whoever wants it.

Times are delta-encoded and columns compressed with LZ4: a third smaller than plain pages and several times faster to
read than Zstandard, so that hashing and decoding together stay near the speed of memory.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from forecastle.lake.layout import Table
from forecastle.nouns.candles import SCHEMA, TIME
from forecastle.nouns.observations import OBSERVED

QUARANTINED: dict[str, pl.DataType] = SCHEMA | {"reason": pl.String(), "origin": pl.String(), "found_at": TIME}
"""The columns of a refused row: what it said, why it was refused, where it came from, and when."""
COLUMNS: dict[Table, dict[str, pl.DataType]] = {
    "candles": SCHEMA,
    "observations": OBSERVED,
    "quarantine": QUARANTINED,
}
FIRST: dict[Table, str] = {"candles": "open_time", "observations": "about", "quarantine": "found_at"}
"""The column that rows lie in order of."""
UNIQUE: dict[Table, list[str]] = {
    "candles": ["open_time"],
    "observations": ["about", "known_at"],
    "quarantine": [c for c in QUARANTINED if c not in ("origin", "found_at")],
}
ORDER: dict[Table, list[str]] = {
    "candles": ["open_time"],
    "observations": ["about", "known_at"],
    "quarantine": ["found_at"],
}
ROW_GROUP = 16_384


def to_parquet(frame: pl.DataFrame, constants: Mapping[str, str]) -> bytes:
    """Return the bytes of a file; ``constants`` travel as columns, so that a file alone tells what it holds."""
    table = frame.to_arrow()
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    for name, value in constants.items():
        column = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), frame.height), [value])
        table = table.append_column(name, column)
    sink = io.BytesIO()
    pq.write_table(
        table, sink, compression="lz4", use_dictionary=list(constants), row_group_size=ROW_GROUP,
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"), store_schema=True,
    )  # fmt: skip
    return sink.getvalue()


def from_parquet(content: bytes, table: Table, start: datetime | None = None, end: datetime | None = None) -> pa.Table:
    """Return the rows of a file as Arrow; with ``start`` or ``end`` only the row groups that can hold rows between."""
    file = pq.ParquetFile(pa.BufferReader(content))
    columns = list(COLUMNS[table])
    if start is None and end is None:
        return file.read(columns=columns, use_threads=False)
    return file.read_row_groups(_groups(file, FIRST[table], start, end), columns=columns, use_threads=False)


def _groups(file: pq.ParquetFile, first: str, start: datetime | None, end: datetime | None) -> list[int]:
    column = file.schema_arrow.get_field_index(first)
    wanted = []
    for group in range(file.num_row_groups):
        seen = file.metadata.row_group(group).column(column).statistics
        if seen is None or not ((start and seen.max < start) or (end and seen.min >= end)):
            wanted.append(group)
    return wanted


def to_frame(tables: list[pa.Table], table: Table) -> pl.DataFrame:
    """Return one frame of rows that lie in several files."""
    if not tables:
        return pl.DataFrame(schema=COLUMNS[table])
    frame = pl.DataFrame(pa.concat_tables(tables))
    casts = [pl.col(c).cast(kind) for c, kind in COLUMNS[table].items() if frame.schema[c] != kind]
    return frame.with_columns(casts) if casts else frame


def to_csv(frame: pl.DataFrame, *, header: bool = True) -> bytes:
    """Return rows as CSV: times in ISO 8601 UTC, numbers with as many digits as they need to come back equal."""
    return frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ", include_header=header).encode()


def rows_like(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the columns of a table in their order and kind."""
    return frame.select(pl.col(c).cast(kind) for c, kind in COLUMNS[table].items())
