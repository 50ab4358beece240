"""Hold-outs: locked for good, opened at a count, and what is left before them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.trials_made import NOW, add, log_of, span_of
from forecastle.app.holdout import HoldoutRequest, held_out, lock
from forecastle.clock import FixedClock
from forecastle.errors import DataCorrupt, DataMissing, NameUnknown, RequestInvalid
from forecastle.experiments.chain import digest
from forecastle.experiments.holdout import ENDLESS, HoldoutLog
from forecastle.requests import build
from forecastle.workspace import Workspace


def holdouts(home: Path) -> HoldoutLog:
    return HoldoutLog(home, FixedClock(NOW))


def test_a_lock_is_read_back_and_the_same_one_is_locked_once(home: Path) -> None:
    made = holdouts(home).lock(span_of("2020-06-01", "2020-09-01"), tried_before=3)
    assert holdouts(home).lock(span_of("2020-06-01", "2020-09-01", source="kraken")) == made
    assert holdouts(home).locks() == [made]
    assert (made.number, made.at, made.tried_before) == (1, NOW, 3)
    assert (made.start, made.end) == (datetime(2020, 6, 1, tzinfo=UTC), datetime(2020, 9, 1, tzinfo=UTC))


def test_there_is_no_way_to_unlock() -> None:
    verbs = {name for name in vars(HoldoutLog) if not name.startswith("_")}
    assert verbs == {"lock", "open", "locks", "locks_over", "openings", "cut", "verify"}


def test_every_opening_is_counted_with_its_reason(home: Path) -> None:
    log = holdouts(home)
    first, second = log.lock(span_of()), log.lock(span_of(instrument="ETH-USDT"))
    log.open(first, " final score ", {"learner": "ridge", "seed": 4})
    log.open(first, "once more")
    log.open(second, "another")
    looked = holdouts(home).openings(first)
    assert [(o.why, o.lock, o.at) for o in looked] == [("final score", 1, NOW), ("once more", 1, NOW)]
    assert [o.configuration_hash for o in looked] == [digest({"learner": "ridge"}), ""]
    assert len(log.openings(second)) == 1
    assert log.locks() == [first, second], "it stays locked"


def test_an_opening_needs_a_reason_and_a_lock(home: Path) -> None:
    log = holdouts(home)
    made = log.lock(span_of())
    with pytest.raises(RequestInvalid, match="without a reason"):
        log.open(made, " ")
    with pytest.raises(NameUnknown, match="Lock it first"):
        log.open(replace(made, tried_before=9), "a lock of somebody else")
    assert log.openings(made) == []


def test_what_is_cut_lies_before_every_lock(home: Path) -> None:
    log = holdouts(home)
    log.lock(span_of("2020-09-01", "2020-10-01"))
    first = log.lock(replace(span_of("2020-06-01"), end=ENDLESS))
    log.lock(span_of("2020-02-01", timeframe="1h"))
    log.lock(span_of("2020-02-01", instrument="ETH-USDT"))
    cut = log.cut(span_of(source="kraken"))
    assert (cut.start, cut.end) == (span_of().start, first.start)
    assert (cut.source, cut.data_hash) == ("kraken", "")
    assert log.cut(cut) == cut
    assert log.locks_over(cut) == []
    assert log.cut(span_of("2019-01-01", "2020-06-01")) == span_of("2019-01-01", "2020-06-01"), "up to it, not into it"


def test_a_lock_without_an_end_holds_what_is_to_come(home: Path) -> None:
    log = holdouts(home)
    made = log.lock(replace(span_of("2020-06-01"), end=ENDLESS))
    assert made.end is None
    assert log.locks_over(span_of("2400-01-01", "2401-01-01")) == [made]
    assert log.locks_over(span_of("2019-01-01", "2020-01-01")) == []


def test_nothing_before_a_lock_is_told(home: Path) -> None:
    log = holdouts(home)
    log.lock(span_of())
    with pytest.raises(DataMissing, match="held out"):
        log.cut(span_of("2020-01-01", "2020-05-01"))


def test_a_changed_log_is_found(home: Path) -> None:
    log = holdouts(home)
    made = log.lock(span_of())
    log.open(made, "one")
    path = home / "experiments" / "holdouts.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert [line for line, _ in log.verify().problems] == [0]
    with pytest.raises(DataCorrupt):
        log.openings(made)


def test_the_verb_says_how_often_the_span_was_tried_before(workspace: Workspace) -> None:
    log = log_of(workspace.settings.home)
    for number in range(3):
        add(log, {"n": number})
    add(log, {"n": 0, "seed": 1})
    late = build(HoldoutRequest, instrument="BTC/USDT", start="2020-12-01")
    assert lock(workspace, late).tried_before == 3
    assert lock(workspace, build(HoldoutRequest, instrument="BTC-USDT", start="2021-01-01")).tried_before == 0
    assert [len(h.openings) for h in held_out(workspace)] == [0, 0]


def test_a_lock_ends_after_it_begins() -> None:
    with pytest.raises(RequestInvalid, match="after the start"):
        build(HoldoutRequest, instrument="BTC-USDT", start="2020-12-01", end="2020-12-01")
