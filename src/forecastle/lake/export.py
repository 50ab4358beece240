"""The lake as one DuckDB file: tables ``candles`` and ``observations``, views ``btc_prices`` and ``series``."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from forecastle.errors import DataCorrupt, DataInvalid, DataMissing, StorageUnwritable
from forecastle.lake.atomic import forget, sync_folder, unwritable
from forecastle.lake.query import views
from forecastle.lake.store import Lake
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.sessions import Timeframe

_SERIES = """CREATE VIEW series AS SELECT instrument, timeframe, source, adjusted, prices, count(*) AS bars,
min(open_time) AS first_open, max(close_time) AS last_close FROM candles GROUP BY ALL ORDER BY ALL"""


def export_duckdb(lake: Lake, out: Path) -> int:
    """Write the whole lake to ``out`` and return the number of candles; an old file there is replaced at the end.

    Every file is compared with its hash first. Raises ``DataCorrupt``; ``StorageUnwritable`` where ``out`` cannot be
    written: what was there before is then still there.
    """
    temporary = out.with_name(f".{out.name}.tmp")
    selects = views(lake)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        forget(temporary)
        with duckdb.connect(str(temporary)) as database:
            database.execute("SET TimeZone = 'UTC'")
            database.execute(f"CREATE TABLE candles AS {selects['candles']}")
            database.execute(f"CREATE TABLE observations AS {selects['observations']}")
            database.execute(f"CREATE VIEW btc_prices AS {selects['btc_prices']}")
            database.execute(_SERIES)
            (rows,) = database.execute("SELECT count(*) FROM candles").fetchone() or (0,)
        temporary.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise unwritable(out, error) from error
    except duckdb.Error as error:
        raise StorageUnwritable(
            f"{out} cannot be written.", f"{str(error).splitlines()[0]}", "Choose another place, or free some space."
        ) from error
    finally:
        forget(temporary)
        forget(temporary.with_name(f"{temporary.name}.wal"))
    return int(rows)


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
            table = database.execute(
                f"SELECT {', '.join(SCHEMA)} FROM candles WHERE instrument = ? AND timeframe = ? AND source = ? "  # noqa: S608
                "ORDER BY open_time",
                [*wanted, kinds[0][0]],
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
