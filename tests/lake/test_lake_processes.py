"""Two processes at one lake. More of it, and writers that are killed: tests/torture."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecastle.errors import LakeLocked
from lake_writers import hold_the_pen, other_process
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
