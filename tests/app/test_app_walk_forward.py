"""Walking forward: what is chosen for a window hangs on the bars before it alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest

from forecastle.app._trading import Setup, of_histories, setup_of
from forecastle.app.backtest import Backtested
from forecastle.app.walk_forward import settings_of, walk_forward, walked, windows_of
from forecastle.audit import poisoned
from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.experiments.strategy_spec import load_backtest
from forecastle.requests import BacktestRequest
from forecastle.workspace import Workspace
from trading import config, request, with_index

GRID = {"choose": {"fast": [5, 20, 50], "slow": [60, 120]}, "walk_forward": {"count": 4, "start": 0.3}}


@pytest.fixture
def index(workspace: Workspace) -> Workspace:
    return with_index(workspace)


def test_windows_tile_the_time(index: Workspace) -> None:
    setup = setup_of(index, config(**GRID))
    windows = windows_of(setup)
    assert [w.first for w in windows[1:]] == [w.last for w in windows[:-1]]
    assert windows[0].first == int(0.3 * len(setup.market))
    assert windows[-1].last == len(setup.market)
    assert all(w.begin == 0 for w in windows)
    rolling = windows_of(setup_of(index, config(**{**GRID, "walk_forward": {"count": 4, "start": 0.3, "window": 300}})))
    assert all(w.first - w.begin == 300 for w in rolling)


def test_a_poisoned_future_changes_nothing_before_it(index: Workspace, tmp_path: Path) -> None:
    asked = request(tmp_path, **GRID)
    setup = setup_of(index, load_backtest(asked.config))
    plain = walked(index, setup, asked).result
    third = plain.windows[2]
    moment = plain.market.close_time[third.first - 1].astype("datetime64[us]").item().replace(tzinfo=UTC)
    history = poisoned(setup.histories[0], moment, seed=5)
    other = walked(index, of_histories(index, setup.config, (history,)), asked).result
    assert [w.chosen for w in other.windows[:3]] == [w.chosen for w in plain.windows[:3]]
    assert [w.inside for w in other.windows[:3]] == [w.inside for w in plain.windows[:3]]
    assert other.equity[: third.first].tobytes() == plain.equity[: third.first].tobytes()
    assert other.equity[-1] != plain.equity[-1], "the poison did not reach the strategy"


def test_the_best_inside_is_what_is_traded(index: Workspace, tmp_path: Path) -> None:
    """The same choice by a slow way: each set run by itself on the bars before the window, ended there."""
    asked = request(tmp_path, **GRID)
    whole = setup_of(index, load_backtest(asked.config))
    found = walked(index, whole, asked).result
    window, last = windows_of(whole)[1], found.windows[1]
    scores = {}
    for settings in settings_of(whole.config, whole.config.choose):
        scores[tuple(settings.values())] = _alone(index, whole, settings, window.first)
    assert tuple(last.chosen.values()) == max(scores, key=lambda key: scores[key])
    assert last.inside == pytest.approx(max(scores.values()), rel=1e-12)


def _alone(index: Workspace, whole: Setup, settings: dict[str, object], last: int) -> float:
    from forecastle.app._judged import measured
    from forecastle.app._trading import trade

    strategy = whole.config.strategy.model_copy(update={"settings": {**whole.config.strategy.settings, **settings}})
    plain = whole.config.model_copy(update={"strategy": strategy, "choose": {}})
    moment = whole.market.close_time[last - 1].astype("datetime64[us]").item().replace(tzinfo=UTC)
    history = whole.histories[0].until(moment)
    setup = of_histories(index, plain, (replace(history),))
    found, _ = measured(setup, trade(setup)[0])
    return found.figures["sharpe"].value or -np.inf


def test_returns_of_windows_add_up(index: Workspace, tmp_path: Path) -> None:
    result = walk_forward(index, request(tmp_path, **GRID)).result
    assert sum(w.log_return for w in result.windows) == pytest.approx(
        np.log(result.equity[-1] / result.cash), abs=1e-12
    )
    assert result.windows[0].first == 0
    assert result.windows[-1].last == len(result.market)


def test_rules_without_a_grid_and_models_walk_too(index: Workspace, tmp_path: Path) -> None:
    ruled = walk_forward(index, request(tmp_path, walk_forward={"count": 3})).result
    assert all(w.chosen == {} and w.inside is None for w in ruled.windows)
    asked = request(
        tmp_path, strategy={"name": "model", "cost_multiple": 0.0}, walk_forward={"count": 3, "start": 0.5},
        training={"learners": ["logistic"], "features": {"columns": ["log_return_1", "rsi_14"]}},
    )  # fmt: skip
    driven: Backtested = walk_forward(index, asked)
    assert len(driven.result.windows) == 3
    assert driven.result.fills.height


def test_what_cannot_be_walked_is_refused(index: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="windows"):
        walk_forward(index, request(tmp_path, walk_forward={"count": 200}))
    with pytest.raises(RequestInvalid, match="no setting"):
        walk_forward(index, request(tmp_path, choose={"fst": [1, 2]}))
    with pytest.raises(RequestInvalid, match="sets of settings"):
        walk_forward(index, request(tmp_path, choose={"fast": []}))


def test_a_request_names_a_file() -> None:
    assert BacktestRequest(config=Path("x.yaml")).open_holdout is None
