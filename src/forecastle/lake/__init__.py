"""Our files: Parquet and a manifest are the truth, DuckDB in memory asks questions."""

from forecastle.lake.layout import DatasetKey
from forecastle.lake.proof import Problem
from forecastle.lake.query import query
from forecastle.lake.store import DatasetInfo, Lake, ObservationInfo, WriteResult

__all__ = ["DatasetInfo", "DatasetKey", "Lake", "ObservationInfo", "Problem", "WriteResult", "query"]
