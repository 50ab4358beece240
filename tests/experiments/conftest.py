"""One home in which one search was tracked; opening MLflow takes seconds, so that all tests share it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forecastle.app.search import search_candles
from forecastle.clock import FixedClock
from forecastle.experiments.track import Tracker
from forecastle.nouns import Candles
from forecastle.nouns.search import SearchResult
from forecastle.requests import SearchRequest, build
from forecastle.workspace import Workspace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Tracked:
    """A home, the candles searched, the result, and a client of MLflow on its SQLite file."""

    workspace: Workspace
    candles: Candles
    result: SearchResult
    client: Any

    def runs(self, parent: str) -> list[Any]:
        """The runs inside a run."""
        return list(
            self.client.search_runs(["1"], filter_string=f"tags.`mlflow.parentRunId` = '{parent}'", max_results=100)
        )


def request_of(candles: Candles, **said: Any) -> SearchRequest:
    return build(SearchRequest, instrument=candles.instrument, timeframe=candles.timeframe, **said)


@pytest.fixture(scope="session")
def tracked(bundled_spx: Candles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("tracked") / "a home, 5% of #1"
        patch.chdir(home.parent)
        workspace = Workspace.open(Path(home), FixedClock(NOW))
        candles = bundled_spx.last(601)
        result = search_candles(workspace, candles, request_of(candles, holdout=250, refit_every=125))
        client = Tracker(workspace.settings, workspace.clock, "garch_search").client
        yield Tracked(workspace, candles, result, client)
