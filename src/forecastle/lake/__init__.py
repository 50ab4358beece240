"""Our files: Parquet and a manifest are the truth, DuckDB in memory asks questions."""

from forecastle.lake.atomic import write_bytes
from forecastle.lake.export import Exported, export_duckdb, export_series, read_duckdb, refuse_foreign
from forecastle.lake.feature_tables import FeatureTable, FeatureTables, TableMeta
from forecastle.lake.layout import DatasetKey
from forecastle.lake.proof import Problem
from forecastle.lake.query import query
from forecastle.lake.store import DatasetInfo, Lake, ObservationInfo, WriteResult

__all__ = [
    "DatasetInfo",
    "DatasetKey",
    "Exported",
    "FeatureTable",
    "FeatureTables",
    "Lake",
    "ObservationInfo",
    "Problem",
    "TableMeta",
    "WriteResult",
    "export_duckdb",
    "export_series",
    "query",
    "read_duckdb",
    "refuse_foreign",
    "write_bytes",
]
