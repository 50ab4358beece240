"""What is wrong, or odd, about a series of the lake."""

from __future__ import annotations

from forecastle.app.look import load
from forecastle.nouns import QualityReport
from forecastle.quality import inspect_candles
from forecastle.requests import SeriesRequest
from forecastle.workspace import Workspace


def quality(workspace: Workspace, request: SeriesRequest) -> QualityReport:
    """Return the findings about stored candles."""
    return inspect_candles(load(workspace, request))
