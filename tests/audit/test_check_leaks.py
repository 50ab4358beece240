"""``check leaks``: everything of Forecastle that computes passes, and what would not is told with exit code 6."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from forecastle.app import leaks
from forecastle.app.leaks import check_leaks, made_up, subjects_for
from forecastle.errors import DataMissing
from forecastle.features import STEPS, catalogue
from forecastle.features._families import families
from forecastle.requests import LeaksRequest, build
from forecastle.workspace import Workspace
from making import make_candles


def test_nothing_of_ours_knows_of_the_future(workspace: Workspace) -> None:
    """Every feature of the catalogue to the bit, every transformer within 1e-9, at 200 moments."""
    (report,) = check_leaks(workspace, LeaksRequest())
    assert report.findings == ()
    assert (report.cuts, report.bars) == (200, 597)
    assert report.columns >= 190


def test_every_feature_and_every_step_is_looked_at() -> None:
    history = made_up(600)
    subjects = {s.name: s for s in subjects_for("1d")}
    assert subjects["features"].tolerance == 0.0
    features = subjects["features"].compute(history)
    empty = [name for name in features.columns if features[name].null_count() == features.height]
    assert empty == [], "a column without a value cannot be caught"
    assert set(features.columns[1:]) == {c.name for f in catalogue() for c in f.spec.columns}
    walked = subjects["transformers"].compute(history).columns
    for kind in STEPS:
        assert any(kind in name for name in walked), kind
    assert subjects["transformers"].tolerance == 1e-9


@pytest.mark.parametrize("family", ["rsi", "mvrv", "beta", "session_vwap"])
def test_a_feature_that_leaks_is_caught(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """Any kind of family, spoiled: its values come a bar too early."""
    table = dict(families())
    kept = table[family]
    monkeypatch.setattr("forecastle.features.build._series", _early(kept.name))
    request = build(LeaksRequest, cuts=12)
    monkeypatch.setattr(leaks, "subjects_for", lambda timeframe: subjects_for(timeframe)[:1])
    (report,) = check_leaks(workspace, request)
    assert report.accused() == ("features",)
    assert {f.column.split("_")[0].split(".")[0] for f in report.findings} == {family.split("_")[0]}


def _early(family: str):  # type: ignore[no-untyped-def]
    from forecastle.features import build as module

    kept = module._series

    def series(name: str, values, count: int):  # type: ignore[no-untyped-def]
        if values is not None and name.startswith(family) and not name.startswith("mvrv_z"):
            values = np.concatenate([values[1:], [np.nan]])
        return kept(name, values, count)

    return series


def test_series_of_the_lake_are_audited_with_what_lies_beside_them(workspace: Workspace) -> None:
    workspace.lake.write(make_candles(320, instrument="ETH-USDT", seed=3))
    workspace.lake.write(make_candles(320, seed=4))
    request = build(LeaksRequest, instruments=("ETH-USDT", "BTC-USDT"), cuts=6, bars=310)
    reports = check_leaks(workspace, request)
    assert [r.series for r in reports] == ["ETH-USDT 1d from test", "BTC-USDT 1d from test"]
    assert all(r.clean and r.bars == 310 for r in reports)
    with pytest.raises(DataMissing):
        check_leaks(workspace, build(LeaksRequest, instruments=("SOL-USDT",)))


def test_the_command_says_yes_or_no(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from forecastle.cli.main import run

    monkeypatch.setattr(leaks, "subjects_for", lambda timeframe: subjects_for(timeframe)[:1])

    def said(*words: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["forecastle", "check", "leaks", "--cuts", "8", *words])
        with pytest.raises(SystemExit) as left:
            run()
        return left.value.code, capsys.readouterr().out

    code, out = said()
    assert code == 0
    assert out.rstrip().endswith("poisoned at 8 moments: clean")
    monkeypatch.setattr("forecastle.features.build._series", _early("roc"))
    code, out = said()
    assert code == 6
    assert "roc_10" in out
    code, out = said("--json")
    document = json.loads(out)
    assert document["clean"] is False
    assert document["reports"][0]["findings"][0]["kind"] in ("cut", "poison")


def test_the_made_up_series_is_demanding() -> None:
    history = made_up(600)
    assert history.candles.missing().size == 3
    assert len(history.peers) == 1
    assert all(o.frame["about"].is_duplicated().any() for o in history.observations)
    assert replace(history).candles.simulated
