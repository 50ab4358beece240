"""What is wrong, or odd, about a series of the lake."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from forecastle.app.look import load
from forecastle.app.report import check_out
from forecastle.errors import RequestInvalid
from forecastle.lake import DatasetKey
from forecastle.lake.atomic import write_bytes
from forecastle.nouns import Candles
from forecastle.nouns.findings import QualityDetail
from forecastle.quality import flags, inspect_candles
from forecastle.reports import quality_html, quality_markdown
from forecastle.requests import SeriesRequest
from forecastle.workspace import Workspace

_WRITERS = {".html": quality_html, ".htm": quality_html, ".md": quality_markdown, ".markdown": quality_markdown}


def quality(workspace: Workspace, request: SeriesRequest, out: Path | None = None) -> QualityDetail:
    """Return the findings about stored candles, the bars they are about, and the rows in quarantine.

    With ``out`` the report is written there, too: as a page (``.html``) or as Markdown (``.md``). Raises
    ``DataMissing`` where the lake has no such series, ``RequestInvalid`` where ``out`` is none of both.
    """
    if out is not None:
        _check(out)
    candles = load(workspace, request)
    pointed_out = flags(candles)
    looked_at = min(moment for moment in (workspace.clock.now(), request.end, request.as_of) if moment)
    detail = QualityDetail(
        inspect_candles(candles, looked_at, pointed_out),
        candles,
        pointed_out,
        _quarantined(workspace, candles),
    )
    if out is not None:
        write_bytes(out.absolute(), _WRITERS[out.suffix.lower()](detail).encode())
    return detail


def _check(out: Path) -> None:
    check_out(out)
    if out.suffix.lower() not in _WRITERS:
        raise RequestInvalid(
            f"--out is {out}.", "Its ending does not say how to write.", "End it in .html or .md; --json gives JSON."
        )


def _quarantined(workspace: Workspace, candles: Candles) -> pl.DataFrame:
    """Return the rows kept apart of the series, or of each series that was joined to it."""
    keys = [DatasetKey(name, candles.instrument.id, candles.timeframe) for name in candles.source.split(",")]
    return pl.concat([workspace.lake.quarantined(key) for key in keys])
