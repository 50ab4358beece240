"""Several processes at one lake: one writer, any number of readers, and writers that die."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from forecastle.errors import LakeLocked
from lake_writers import append_for_ever, flat, hold_the_pen, other_process, rewrite
from making import key_of, make_candles, open_lake, tree


def test_a_second_writer_is_told_who_writes_and_may_once_that_one_died(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    candles = make_candles(5)
    lake.write(candles)
    before = tree(tmp_path)
    with other_process(hold_the_pen, tmp_path) as (process, pipe):
        assert pipe.recv() == "held"
        with pytest.raises(LakeLocked, match=rf"process {process.pid} \(.*\), since 2026-11-20T12:00:00") as refused:
            lake.write(make_candles(9))
        assert refused.value.exit_code == 5
        assert lake.read(key_of(candles)).frame.equals(candles.frame), "readers never wait"
        assert {k: v for k, v in tree(tmp_path).items() if k != ".writer.lock"} == {
            k: v for k, v in before.items() if k != ".writer.lock"
        }
        process.kill()
        process.join()
        assert lake.write(make_candles(9)).added == 4


def test_a_reader_never_sees_half_a_commit(tmp_path: Path) -> None:
    """Each commit replaces two files with one price; a reader finds a single price in both, never an older one."""
    lake = open_lake(tmp_path)
    lake.write(flat(1.0))
    key, seen = key_of(flat(1.0)), [1.0]
    with other_process(rewrite, tmp_path, 30) as (_, pipe):
        while not pipe.poll():
            prices = set(lake.read(key).frame["close"])
            assert len(prices) == 1
            seen.append(prices.pop())
    assert seen == sorted(seen)
    assert len(set(seen)) > 5, "the reader has to have read while the writer wrote"
    assert set(lake.read(key).frame["close"]) == {31.0}


def test_kill_9_at_any_moment_loses_no_row_that_was_told_to_be_safe(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    draw = random.Random()
    safe = 0
    for _ in range(15):
        with other_process(append_for_ever, tmp_path, safe) as (process, pipe):
            safe = pipe.recv()
            time.sleep(draw.uniform(0.0, 0.06))
            process.kill()
            process.join()
            while pipe.poll():
                try:
                    safe = pipe.recv()
                except EOFError:
                    break
        assert lake.verify() == []
        there = lake.read(key_of(make_candles(1)))
        assert len(there) >= safe
        assert there.frame.equals(make_candles(len(there)).frame)
        safe = len(there)
    assert lake.write(make_candles(safe + 1)).added == 1
