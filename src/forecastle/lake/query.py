"""SQL over the lake: DuckDB in memory, reading the files the manifest calls current."""

from __future__ import annotations

import duckdb
import polars as pl

from forecastle.errors import RequestInvalid
from forecastle.lake.describe import COLUMNS
from forecastle.lake.store import Lake

_TYPES = {"timestamp[us, UTC]": "TIMESTAMPTZ", "float64": "DOUBLE", "string": "VARCHAR"}


def query(lake: Lake, sql: str) -> pl.DataFrame:
    """Answer one SELECT over the views ``candles`` and ``btc_prices``.

    Only a SELECT is taken, and no file outside the lake can be reached. Raises ``RequestInvalid`` with DuckDB's own
    words for anything else, and for an answer that is no table (columns of one name, intervals).
    """
    statement = _one_select(sql)
    with duckdb.connect(":memory:") as database:
        database.execute("SET TimeZone = 'UTC'")
        _create_views(database, lake)
        database.execute("SET allowed_directories = [$root]", {"root": f"{lake.root}/"})
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        try:
            return pl.DataFrame(database.sql(statement).to_arrow_table())
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise _refused(error) from error


def _create_views(database: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    paths = [str(path) for _, path in lake.current_files()]
    names = ", ".join(COLUMNS)
    if paths:
        listed = ", ".join("'" + p.replace("'", "''") + "'" for p in paths)
        source = f"SELECT {names} FROM read_parquet([{listed}])"  # noqa: S608 - our own column names and paths
    else:
        columns = ", ".join(f"NULL::{_TYPES[kind]} AS {name}" for name, (kind, _) in COLUMNS.items())
        source = f"SELECT {columns} WHERE false"
    database.execute(f"CREATE VIEW candles AS {source} ORDER BY instrument, timeframe, source, open_time")
    database.execute("CREATE VIEW btc_prices AS SELECT * FROM candles WHERE instrument LIKE 'BTC-%'")


def _one_select(sql: str) -> duckdb.Statement:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise _refused(error) from error
    # EXPLAIN is none of them: EXPLAIN ANALYZE COPY would write into the lake.
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise RequestInvalid(
            "That is not one SELECT.",
            "The lake is read with SQL, never written: its files do not change once written.",
            "Ask a single question, such as SELECT count(*) FROM candles.",
        )
    return statements[0]


def _refused(error: Exception) -> RequestInvalid:
    lines = str(error).strip().splitlines()
    return RequestInvalid(lines[0], " ".join(lines[1:3]).strip(), "The views are candles and btc_prices.")
