"""SQL over the lake: DuckDB in memory over the files the manifest calls current."""

from __future__ import annotations

import re

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from forecastle.errors import RequestInvalid
from forecastle.lake.feature_tables import FeatureTables
from forecastle.lake.store import Lake
from forecastle.lake.tables import VIEWS, database_of

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


_FEATURES = re.compile(r"\bfeatures\b", re.IGNORECASE)


def query(lake: Lake, sql: str, features: FeatureTables | None = None) -> pl.DataFrame:
    """Answer one SELECT over the views ``candles``, ``observations``, ``btc_prices`` and ``features``.

    Only a SELECT is taken, and DuckDB can reach no file: it sees the rows of those that the question needs, each
    compared with its hash first. Raises ``DataCorrupt``; ``RequestInvalid`` with DuckDB's own words for anything else,
    and for an answer that is no table (columns of one name, intervals).
    """
    statement = _one_select(sql)
    try:
        with database_of(lake) as database:
            for name, select in VIEWS.items():
                database.execute(f"CREATE VIEW {name} AS {select}")
            if features is not None and _FEATURES.search(sql):  # all tables are read: not for a question without them
                database.register("features", features.everything().to_arrow())
            database.execute("SET enable_external_access = false")
            database.execute("SET lock_configuration = true")
            table = database.sql(statement).to_arrow_table()
            _within_calendar(table)
            return pl.DataFrame(table)
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise _refused(error) from error


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


def _within_calendar(table: pa.Table) -> None:
    """Refuse times outside the years 1 to 9999, infinite ones too: no table can show them."""
    for column in table.columns:
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
            seen = pc.min_max(column.cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32())).as_py()
            per_day = 86_400 * _PER_SECOND[kind.unit] if pa.types.is_timestamp(kind) else 1
            if any(v is not None and not -719_162 <= v // per_day < 2_932_897 for v in seen.values()):
                raise RequestInvalid(
                    "The answer holds a time outside the years 1 to 9999.", "No calendar has it.", "Filter it out."
                )
        elif pa.types.is_nested(kind):
            raise RequestInvalid(
                f"The answer holds a column of {kind}.", "A table has plain values.", "Unnest it, or pick its fields."
            )


def _refused(error: Exception) -> RequestInvalid:
    lines = str(error).strip().splitlines()
    why = " ".join(lines[1:3]).strip() or "DuckDB does not understand it."
    return RequestInvalid(lines[0], why, "The views are candles, observations, btc_prices and features.")
