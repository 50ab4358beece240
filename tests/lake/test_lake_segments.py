"""Many small writes lie in few files, and few rows are written again."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from random import Random

import polars as pl
import pytest

from forecastle.errors import DataCorrupt
from forecastle.lake import Lake
from forecastle.lake.journal import Journal
from lake_model import KEY, Ticking, hours, prices


@pytest.mark.parametrize("order", ["up", "down", "any"])
def test_n_single_rows_lie_in_about_log_n_files(tmp_path: Path, order: str) -> None:
    lake, n = Lake(tmp_path, Ticking()), 150  # all in one year: one period
    days = list(range(200, 200 + n))
    if order == "down":
        days.reverse()
    if order == "any":
        Random(3).shuffle(days)
    written = 0
    for count, hour in enumerate(days, 1):
        (name,) = lake.write(hours({hour: 1.0 + hour})).files
        written += pl.read_parquet(tmp_path / name).height
        current = lake.current_files("candles")
        if order != "any":
            assert len(current) <= math.log2(count) + 2
    assert prices(lake) == {hour: 1.0 + hour for hour in days}
    if order != "any":
        assert written <= n * (math.log2(n) + 2), "each row is written again about log2(n) times"


def test_files_of_a_series_never_overlap_in_time(tmp_path: Path) -> None:
    lake, draw = Lake(tmp_path, Ticking()), Random(5)
    for _ in range(80):
        begin = draw.randrange(0, 400)
        lake.write(hours({h: float(draw.randrange(1, 9)) for h in range(begin, begin + draw.randrange(1, 40))}))
        files = Journal(tmp_path).state.files_of(KEY.series)
        assert all(before.last <= after.first for before, after in itertools.pairwise(files))
        assert all(entry.period == f"{entry.first:%Y}" for entry in files)
        for entry in files:
            frame = pl.read_parquet(tmp_path / entry.path)
            assert (entry.rows, entry.first, entry.last) == (
                frame.height, frame["open_time"][0], frame["close_time"][-1],
            )  # fmt: skip
    assert lake.verify() == []


def test_a_range_opens_no_file_that_cannot_hold_a_row_of_it(tmp_path: Path) -> None:
    """The other files may be gone."""
    lake = Lake(tmp_path, Ticking())
    lake.write(hours(dict.fromkeys(range(400), 1.0)))  # two years
    first, second = lake.current_files("candles")
    last = hours(dict.fromkeys(range(300, 310), 1.0))
    first.unlink()
    assert lake.read(KEY, last.start, last.end).frame.equals(last.frame)
    second.unlink()
    early = hours({0: 1.0})
    with pytest.raises(DataCorrupt, match="cannot be read"):
        lake.read(KEY, early.start, early.end)
