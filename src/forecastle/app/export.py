"""The lake for use outside: one DuckDB file, or a series as Parquet and CSV."""

from __future__ import annotations

from pathlib import Path

from forecastle.app.fetch import Fetched
from forecastle.errors import RequestInvalid
from forecastle.lake import DatasetKey, Exported, export_duckdb, export_series, refuse_foreign
from forecastle.requests import FetchRequest
from forecastle.sources import gives_observations
from forecastle.workspace import Workspace


def to_duckdb(workspace: Workspace, out: Path) -> int:
    """Write the whole lake as a DuckDB database and return the number of its candles."""
    return export_duckdb(workspace.lake, out)


def check(out: Path) -> None:
    """Refuse a place for a database before anything is fetched for it; raises ``RequestInvalid``."""
    refuse_foreign(out)


def check_folder(request: FetchRequest) -> None:
    """Refuse copies of observations before anything is fetched for them; raises ``RequestInvalid``."""
    if any(gives_observations(name) for name in request.sources):
        raise RequestInvalid(
            "--out was asked for with observations.", "Copies are written of candles; the lake holds what is fetched.",
            "Leave --out away: forecastle sql reads observations, and --duckdb FILE has them too.",
        )  # fmt: skip


def to_folder(
    workspace: Workspace, brought: tuple[Fetched, ...], request: FetchRequest, folder: Path
) -> tuple[Exported, ...]:
    """Write the range of a fetch, each series as Parquet and CSV, into ``folder``."""
    keys = [DatasetKey(f.source, f.instrument.id, f.timeframe) for f in brought if f.start is not None]
    return tuple(e for key in keys for e in export_series(workspace.lake, key, folder, request.start, request.end))
