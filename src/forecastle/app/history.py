"""What is known of one market: its candles, and what else the lake holds that a model looks at."""

from __future__ import annotations

from forecastle.app.look import load
from forecastle.nouns import History
from forecastle.ports import Extra
from forecastle.requests import SeriesRequest
from forecastle.workspace import Workspace


def history_of(workspace: Workspace, request: SeriesRequest, wants: frozenset[Extra]) -> History:
    """Return the candles of the request, with what is wanted beside them where the lake has it."""
    return History(load(workspace, request))
