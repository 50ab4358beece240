"""Sweeps: every set once, the same wherever it is done, gone on with after a stop, and honest about the best."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecastle.app import sweep as module
from forecastle.app._trading import trade
from forecastle.app.sweep import summed, sweep
from forecastle.errors import RequestInvalid
from forecastle.experiments.trials import TrialLog
from forecastle.scoring.trading import probability_of_backtest_overfitting
from forecastle.workspace import Workspace
from trading import request, with_index

GRID = {"sweep": {"fast": {"from": 5, "to": 40, "step": 5}, "slow": [30, 60, 90]}}


@pytest.fixture
def index(workspace: Workspace) -> Workspace:
    return with_index(workspace)


def _with_workers(workspace: Workspace, workers: int) -> Workspace:
    jobs = workspace.settings.jobs.model_copy(update={"workers": workers})
    return replace(workspace, settings=workspace.settings.model_copy(update={"jobs": jobs}))


def test_every_set_once_and_the_best_first(index: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 5)
    found = sweep(_with_workers(index, 1), request(tmp_path, **GRID))
    sets = {(r.settings["fast"], r.settings["slow"]) for r in found.rows}
    assert sets == {(f, s) for f in range(5, 41, 5) for s in (30, 60, 90) if f < s}
    ratios = [r.figures["sharpe"] or -np.inf for r in found.rows]
    assert ratios == sorted(ratios, reverse=True)
    log = TrialLog(index.settings.home, index.clock)
    assert found.trials == len(sets) == len({t.configuration_hash for t in log.trials()})
    _, table, names = log.matrix(log.trials()[0].span, "return")
    assert len(names) == len(sets)
    pbo = probability_of_backtest_overfitting(table).probability
    assert found.overfitting.probability == pytest.approx(pbo, abs=0.02), "ties may be broken in another order"
    assert found.folder is not None
    assert json.loads((found.folder / "sweep.json").read_text())["trials"] == found.trials


def test_the_same_on_two_workers_and_after_a_stop(
    index: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART", 6)
    asked = request(tmp_path, **GRID)
    calls, real = [], trade

    def stops(*words: Any, **named: Any) -> Any:
        calls.append(words)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return real(*words, **named)

    with monkeypatch.context() as patched:
        patched.setattr(module, "trade", stops)
        with pytest.raises(KeyboardInterrupt):
            sweep(_with_workers(index, 1), asked)
    resumed = sweep(_with_workers(index, 1), asked)
    assert resumed.resumed == 12
    for kept in (index.settings.models / "checkpoints").glob("sweep-*.json"):
        kept.unlink()
    fresh = sweep(_with_workers(index, 2), asked)
    assert fresh.resumed == 0
    assert fresh.rows == resumed.rows
    assert fresh.overfitting == resumed.overfitting
    assert fresh.deflated.probability == resumed.deflated.probability


def test_returns_are_summed_to_few_periods() -> None:
    returns = np.arange(5001, dtype=np.float64)
    short = summed(returns)
    assert short.size == 1667
    assert short[0] == 0 + 1 + 2
    assert short[-1] == 4998 + 4999 + 5000
    assert summed(returns[:1500]).tolist() == returns[:1500].tolist()


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({}, "no sweep"),
        ({"sweep": {"fst": [1]}}, "no setting"),
        ({"sweep": {"fast": {"from": 1, "to": 9}}}, "from, to and step"),
        ({"sweep": {"fast": {"from": 9, "to": 1, "step": 1}}}, "goes up"),
        ({"sweep": {"fast": {"from": 1, "to": 900_000, "step": 1}}}, "At most"),
        ({"sweep": {"fast": [50], "slow": [40]}}, "fewer than the slow"),
    ],
)
def test_grids_without_sense_are_refused(index: Workspace, tmp_path: Path, grid: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestInvalid) as told:
        sweep(index, request(tmp_path, **grid))
    assert words in str(told.value)
