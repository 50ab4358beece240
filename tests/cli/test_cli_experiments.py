"""The commands about the account of what was tried: trials, hold-outs, experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.trials_made import NOW, add, log_of, span_of
from forecastle.clock import FixedClock
from forecastle.experiments.holdout import HoldoutLog

if TYPE_CHECKING:
    from cli.conftest import Cli


def tried(home: Path) -> None:
    log = log_of(home)
    add(log, {"n": 1}, scores={"sharpe": 0.5, "brier": 0.25})
    add(log, {"n": 2}, scores={"sharpe": 0.7, "brier": 0.26})
    add(log, {"n": 2, "seed": 1}, scores={"sharpe": 0.1})
    add(log, {"n": 1}, span_of("2022-01-01", "2023-01-01"))
    add(log, {"n": 1}, span_of(instrument="SPX.INDEX"))


def test_trials_are_counted_by_market_and_time(inside: Cli, home: Path) -> None:
    tried(home)
    ran = inside("trials", "btcusdt", "--json", home=home)
    assert (ran.code, ran.document["schema"]) == (0, "forecastle/trials-list/1")
    first, second = ran.document["tried"]
    assert (first["start"], first["configurations"], first["runs"]) == ("2020-01-01T00:00:00Z", 2, 3)
    assert (second["start"], second["configurations"], second["runs"]) == ("2022-01-01T00:00:00Z", 1, 1)
    best = {b["score"]: (b["value"], b["trial"]) for b in first["best"]}
    assert best == {"sharpe": (0.7, 2), "brier": (0.25, 1)}, "a loss is better the lower"
    shown = inside("trials", home=home)
    assert [line.split()[:1] for line in shown.out.splitlines()[2:]] == [["BTC-USDT"], ["BTC-USDT"], ["SPX.INDEX"]]
    assert inside("trials", "list", home=home).out == shown.out


def test_trials_of_nothing(inside: Cli, home: Path) -> None:
    assert inside("trials", home=home).out == "Nothing was tried yet.\n"
    what, _, do = inside("trials", "BTC-USDT", home=home).complaint(4)
    assert "BTC-USDT" in what
    assert "forecastle trials" in do
    inside("trials", "?", home=home).complaint(2)
    assert not home.exists()


def test_a_whole_account_is_whole_and_a_broken_one_is_exit_code_6(inside: Cli, home: Path) -> None:
    tried(home)
    ran = inside("trials", "verify", "--json", home=home)
    assert (ran.code, ran.document["whole"], ran.document["trials"]["lines"]) == (0, True, 5)
    path = home / "experiments" / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"brier":0.26', b'"brier":0.24'))
    broken = inside("trials", "verify", home=home)
    assert broken.code == 6
    assert "Trials: 5 lines, BROKEN" in broken.out
    assert "line 2: it is not what was written" in broken.out
    what, _, do = inside("trials", home=home).complaint(4)
    assert "Line 2" in what
    assert "trials verify" in do


def test_a_broken_log_of_hold_outs_is_exit_code_6(inside: Cli, home: Path) -> None:
    assert inside("holdout", "lock", "BTC-USDT", "--from", "2025-01-01", home=home).code == 0
    (home / "experiments" / "holdouts.jsonl").write_bytes(b"")
    ran = inside("trials", "verify", "--json", home=home)
    assert (ran.code, ran.document["whole"]) == (6, False)
    assert ran.document["holdouts"]["problems"] == [[0, "it ends at line 0, and there were 1"]]


def test_hold_outs_are_locked_and_listed_with_their_openings(inside: Cli, home: Path) -> None:
    assert inside("holdout", "list", home=home).out == "Nothing is held out.\n"
    tried(home)
    ran = inside("holdout", "lock", "BTC-USDT", "--from", "2020-11-01", "--to", "2021-06-01", home=home)
    assert (ran.code, ran.out.splitlines()) == (0, [
        "Locked as hold-out 1: BTC-USDT 1d from 2020-11-01 to 2021-06-01",
        "Note: 2 configurations had been tried on data of it: it is not unseen.",
    ])  # fmt: skip
    log = HoldoutLog(home, FixedClock(NOW))
    log.open(log.locks()[0], "the final score", {"n": 1})
    listed = inside("holdout", "list", home=home)
    assert "by configuration" in listed.out
    assert listed.out.rstrip().endswith(": the final score")
    (held,) = inside("holdout", "list", "--json", home=home).document["holdouts"]
    assert (held["lock"]["end"], len(held["openings"])) == ("2021-06-01T00:00:00Z", 1)


def test_a_wrong_lock_is_refused_in_three_lines(inside: Cli, home: Path) -> None:
    inside("holdout", "lock", "BTC-USDT", "--from", "soon", home=home).complaint(2)
    inside("holdout", "lock", "BTC-USDT", "--from", "2020-01-02", "--to", "2020-01-01", home=home).complaint(2)
    inside("holdout", "lock", "BTC-USDT", "--from", "2020-01-02", "--timeframe", "2d", home=home).complaint(2)
    assert not home.exists()
