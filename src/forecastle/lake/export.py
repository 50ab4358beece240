"""The lake for use outside: a DuckDB file (``candles``, ``observations``, ``btc_prices``, ``series``), or series."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from forecastle.errors import DataCorrupt, DataInvalid, DataMissing, RequestInvalid, StorageUnwritable
from forecastle.lake.atomic import forget, sync_folder, unwritable, write_bytes
from forecastle.lake.layout import DatasetKey
from forecastle.lake.rows import to_csv
from forecastle.lake.store import Lake
from forecastle.lake.tables import TABLES, VIEWS, database_of
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.sessions import Timeframe

_SERIES = """SELECT instrument, timeframe, source, adjusted, prices, count(*) AS bars,
min(open_time) AS first_open, max(close_time) AS last_close FROM candles GROUP BY ALL ORDER BY ALL"""


def export_duckdb(lake: Lake, out: Path) -> int:
    """Write the whole lake to ``out`` and return the number of candles; an old file there is replaced at the end.

    Every file is compared with its hash first. Raises ``DataCorrupt``; ``StorageUnwritable`` where ``out`` cannot be
    written: what was there before is then still there. ``RequestInvalid`` where ``out`` is a file of another kind.
    """
    refuse_foreign(out)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        forget(temporary)
        rows = _copy(lake, temporary)
        temporary.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise _unwritable(out, error) from error
    except duckdb.Error as error:
        raise StorageUnwritable(
            f"{out} cannot be written.", f"{str(error).splitlines()[0]}", "Choose another place, or free some space."
        ) from error
    finally:
        forget(temporary)
        forget(temporary.with_name(f"{temporary.name}.wal"))
    return rows


def refuse_foreign(out: Path) -> None:
    """Raise ``RequestInvalid`` where ``out`` is a folder, or a file that is no DuckDB database: it would be lost."""
    if out.is_dir() or (out.is_file() and _head(out)[8:12] != b"DUCK"):
        raise RequestInvalid(
            f"{out} is {'a folder' if out.is_dir() else 'there, and is no DuckDB database'}.",
            "It would be replaced by one.",
            "Choose another name, such as prices.duckdb, or remove it.",
        )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def _unwritable(out: Path, error: OSError) -> StorageUnwritable:
    return unwritable(out, error, "what is in the lake is unharmed", "another one")


def _copy(lake: Lake, out: Path) -> int:
    """Write the tables, series by series, and the views; return the number of candles."""
    with database_of(lake) as database:
        database.execute("ATTACH $out AS made", {"out": str(out)})
        for table in TABLES:
            database.execute(f"CREATE TABLE made.{table} AS SELECT * FROM {table}")  # noqa: S608 - our own names
            database.unregister(table)
        database.execute("USE made")
        for name, select in (VIEWS | {"series": _SERIES}).items():
            database.execute(f"CREATE VIEW {name} AS {select}")
        (rows,) = database.execute("SELECT count(*) FROM candles").fetchone() or (0,)
        database.execute("USE memory")
        database.execute("DETACH made")
    return int(rows)


@dataclass(frozen=True)
class Exported:
    """A file written for use outside, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


def export_series(
    lake: Lake, key: DatasetKey, folder: Path, start: datetime | None = None, end: datetime | None = None
) -> tuple[Exported, ...]:
    """Write one series as ``{instrument}_{timeframe}_{source}.parquet`` and ``.csv`` into ``folder``, with hashes.

    The hashes go into ``SHA256SUMS`` beside them, in the form that ``sha256sum -c`` reads. Memory does not grow with
    the series. Raises ``DataMissing``, ``DataCorrupt``, ``StorageUnwritable``.
    """
    stem = f"{key.instrument}_{key.timeframe}_{key.source}"
    parquet, csv = folder / f"{stem}.parquet", folder / f"{stem}.csv"
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in (parquet, csv)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary[csv].open("wb") as text, pq.ParquetWriter(temporary[parquet], _arrow_schema()) as writer:
            for number, candles in enumerate(lake.read_by_file(key, start, end)):
                writer.write_table(candles.frame.to_arrow().cast(_arrow_schema()))
                text.write(to_csv(candles.frame, header=number == 0))
        done = [Exported(path, _hash_of(place)) for path, place in temporary.items()]
        for path, place in temporary.items():
            place.replace(path)
        _add_sums(folder, done)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        for place in temporary.values():
            forget(place)
    return tuple(done)


def _arrow_schema() -> pa.Schema:
    return pl.DataFrame(schema=SCHEMA).to_arrow().schema


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add_sums(folder: Path, done: list[Exported]) -> None:
    """Put the hashes into ``SHA256SUMS``; the lines of other files stay."""
    sums = folder / "SHA256SUMS"
    lines = sums.read_text().splitlines() if sums.exists() else []
    known = {line[66:]: line[:64] for line in lines if len(line) > 66}
    known |= {exported.path.name: exported.sha256 for exported in done}
    write_bytes(sums, "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(known.items())).encode())


def read_duckdb(path: Path, instrument: Instrument, timeframe: Timeframe, source: str | None) -> Candles:
    """Return one series of a file that :func:`export_duckdb` wrote; the lake is not needed.

    The rows are checked against the rules of candles. Raises ``DataMissing``, ``DataInvalid`` where several sources
    have the series and none is named, ``DataCorrupt`` where the file is no such database.
    """
    if not path.is_file():
        raise DataMissing(f"There is no file {path}.", "The path leads nowhere.", "Check the spelling.")
    wanted = [instrument.id, timeframe]
    try:
        with duckdb.connect(str(path), read_only=True) as database:
            database.execute("SET TimeZone = 'UTC'")
            kinds = database.execute(
                "SELECT DISTINCT source, adjusted, prices FROM candles "
                "WHERE instrument = ? AND timeframe = ? ORDER BY ALL",
                wanted,
            ).fetchall()
            kinds = [kind for kind in kinds if source in (None, kind[0])]
            if len(kinds) != 1:
                raise _not_one(path, f"{timeframe} candles of {instrument}", [kind[0] for kind in kinds])
            table = database.sql(
                f"SELECT {', '.join(SCHEMA)} FROM candles WHERE instrument = ? AND timeframe = ? AND source = ? "  # noqa: S608
                "ORDER BY open_time",
                params=[*wanted, kinds[0][0]],
            ).to_arrow_table()
    except duckdb.Error as error:
        raise DataCorrupt(
            f"{path} cannot be read.", f"{str(error).splitlines()[0]}",
            "It has to be a file of forecastle lake export; write it again.",
        ) from error  # fmt: skip
    frame = pl.DataFrame(table).select(pl.col(c).cast(kind) for c, kind in SCHEMA.items())
    return Candles(instrument, timeframe, kinds[0][0], frame, kinds[0][1], kinds[0][2])


def _not_one(path: Path, what: str, sources: list[str]) -> DataMissing | DataInvalid:
    if not sources:
        return DataMissing(
            f"{path} holds no {what}.", "It has what the lake had when it was written.",
            "Write it again after a fetch: forecastle lake export FILE.duckdb.",
        )  # fmt: skip
    return DataInvalid(
        f"{path} holds {what} from several sources: {', '.join(sources)}.",
        "They differ, so Forecastle does not choose for you.", f"Say source='{sources[0]}', or another of them.",
    )  # fmt: skip
