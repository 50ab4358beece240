"""What tests of backtests share: a home with the bundled index, and files of configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from forecastle.app.fetch import fetch
from forecastle.experiments.strategy_spec import BacktestConfig, backtest_of
from forecastle.requests import BacktestRequest, FetchRequest, build
from forecastle.workspace import Workspace


def document(**changed: Any) -> dict[str, Any]:
    """Return a backtest of the bundled index, quick: few draws."""
    told: dict[str, Any] = {
        "name": "made", "data": {"instruments": "SPX.INDEX", "source": "bundled", "start": "2008-01-01"},
        "strategy": {"name": "crossover", "fast": 20, "slow": 100}, "costs": {"venue": "interactive_brokers"},
        "benchmarks": {"random_entries": 30}, "replications": 99, "seed": 7,
    }  # fmt: skip
    return {**told, **changed}


def config(**changed: Any) -> BacktestConfig:
    """Return it as a configuration."""
    return backtest_of(document(**changed))


def request(folder: Path, **changed: Any) -> BacktestRequest:
    """Return it as a file that is asked for."""
    path = folder / "made.yaml"
    path.write_text(yaml.safe_dump(document(**changed)))
    return BacktestRequest(config=path)


def with_index(workspace: Workspace) -> Workspace:
    """Return a home that holds the bundled index."""
    fetch(workspace, build(FetchRequest, instruments=("SPX.INDEX",), sources=("bundled",), timeframes=("1d",)))
    return workspace
