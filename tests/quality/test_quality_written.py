"""The use case and the command: findings, flags and quarantine of a series of the lake, on screen and in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forecastle.app.quality import quality
from forecastle.cli.main import run
from forecastle.errors import DataMissing, RequestInvalid
from forecastle.nouns import Candles
from forecastle.quality import sift
from forecastle.requests import SeriesRequest
from forecastle.workspace import Workspace
from making import key_of, make_candles, with_close, without

REQUEST = SeriesRequest(instrument="BTC-USDT")  # type: ignore[arg-type]


@pytest.fixture
def stored(workspace: Workspace) -> Candles:
    candles = with_close(without(make_candles(90), 70), 50, 4.0)
    workspace.lake.write(candles)
    bad = sift(make_candles(95).frame.tail(2).with_columns(low=-1.0)).quarantined
    workspace.lake.quarantine(key_of(candles), bad, origin="bad.csv")
    return candles


def test_it_returns_what_is_odd_and_what_was_kept_apart(workspace: Workspace, stored: Candles) -> None:
    detail = quality(workspace, REQUEST)
    assert [(f.kind, f.count) for f in detail.report.findings] == [("gap", 1), ("jump", 1), ("ended", 1)]
    assert detail.flags["open_time"].to_list() == [stored.frame["open_time"][50]]
    assert detail.quarantined.select("reason", "origin").rows() == [("non_positive", "bad.csv")] * 2
    assert detail.candles.data_hash == stored.data_hash


@pytest.mark.parametrize(("name", "start"), [("q.html", "<!doctype html>"), ("q.MD", "# BTC-USDT 1d: quality")])
def test_the_ending_says_how_it_is_written(
    workspace: Workspace, stored: Candles, tmp_path: Path, name: str, start: str
) -> None:
    quality(workspace, REQUEST, tmp_path / name)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert (text[: len(start)], "bad.csv" in text) == (start, True)


@pytest.mark.parametrize("name", ["q.pdf", "q", "none/q.html", "."])
def test_a_place_that_cannot_be_written_is_refused_first(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestInvalid):
        quality(workspace, REQUEST, tmp_path / name)


def test_a_series_that_is_not_there_is_said_to_be_missing(workspace: Workspace) -> None:
    with pytest.raises(DataMissing):
        quality(workspace, REQUEST)


def test_the_command_shows_findings_flags_and_quarantine(
    workspace: Workspace, stored: Candles, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def asked(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["forecastle", "quality", "BTC-USDT", "--home", str(home), *words])
        with pytest.raises(SystemExit) as end:
            run()
        assert end.value.code == 0
        return capsys.readouterr().out

    text = asked("--out", str(tmp_path / "page.html"))
    assert all(word in text for word in ("gap", "jump", "comes straight back", "Quarantine, 2", "bad.csv", "Wrote"))
    document = json.loads(asked("--json"))
    assert [flag["kind"] for flag in document["flags"]] == ["jump"]
    assert [row["low"] for row in document["quarantined"]] == [-1.0, -1.0]
    written = "comes straight back" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert written
