"""The commands about the account of what was tried: trials, hold-outs, experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.folders_made import experiment, predictions_of
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


def test_spans_that_meet_are_one_stretch(inside: Cli, home: Path) -> None:
    """One inside another, one that overlaps the outer only, and one that begins where that ends."""
    log = log_of(home)
    ends = [("2020-01-01", "2021-01-01"), ("2020-02-01", "2020-03-01"), ("2020-06-01", "2022-01-01"),
            ("2022-01-01", "2023-01-01")]  # fmt: skip
    for number, (start, end) in enumerate(ends):
        add(log, {"n": number}, span_of(start, end))
    found = inside("trials", "--json", home=home).document["tried"]
    assert [(t["start"][:10], t["end"][:10], t["configurations"]) for t in found] == [
        ("2020-01-01", "2022-01-01", 3), ("2022-01-01", "2023-01-01", 1)
    ]  # fmt: skip


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


def compared(home: Path) -> tuple[str, str]:
    rng = np.random.default_rng(5)
    outcome = (rng.random(200) < 0.5).astype(float)
    good, bad = 0.5 + 0.3 * (outcome - 0.5), rng.random(200)
    a = experiment(home, "momentum", predictions_of({"ridge": bad}, outcome), ["ridge"])
    b = experiment(home, "more", predictions_of({"ridge": good}, outcome), ["ridge"], features=["rsi_14"])
    return a.id, b.id


def test_two_experiments_are_compared_in_a_table(inside: Cli, home: Path) -> None:
    a, b = compared(home)
    ran = inside("experiments", "compare", a, b, home=home)
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith(f"B {b} against A {a}: 200 rows in common")
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("ridge")]
    assert [(row[2], row[-1]) for row in rows] == [(n, "better") for n in ("brier", "log_loss", "wrong_calls")]
    assert "Features removed: roc_10" in ran.out
    document = inside("experiments", "compare", a, b, "--json", home=home).document
    assert document["schema"] == "forecastle/experiments-compare/1"
    assert [c["verdict"] for c in document["changes"]] == ["better"] * 3
    assert all(c["low"] < c["change"] < c["high"] < 0 for c in document["changes"][:2])


def test_experiments_are_listed(inside: Cli, home: Path) -> None:
    assert inside("experiments", "list", home=home).out == "There is no experiment yet.\n"
    a, b = compared(home)
    (home / "experiments" / f"experiment_2026-11-20_{b}" / "results.json").unlink()
    ran = inside("experiments", "list", home=home)
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == [a, b]
    assert "not finished" in ran.out
    found = inside("experiments", "list", "--json", home=home).document["experiments"]
    assert [(e["id"], e["learners"], e["problem"] == "") for e in found] == [(a, 1, True), (b, 0, False)]


def test_an_unknown_experiment_is_refused_with_the_nearest(inside: Cli, home: Path) -> None:
    a, _ = compared(home)
    _, _, do = inside("experiments", "compare", a, "20261120_momentun", home=home).complaint(2)
    assert do == f"Did you mean '{a}'?"
