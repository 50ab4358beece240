"""``kill -9`` at random moments: nothing that was told to be safe is lost, nothing is doubled or torn."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

import polars as pl
import pytest

from forecastle.clock import SystemClock
from forecastle.errors import DataMissing
from forecastle.lake import DatasetKey, Lake
from forecastle.workspace import Workspace
from lake_model import Seen, Step, files_without_a_name, look
from lake_victims import command, live
from lake_writers import other_process

Tally = Callable[..., None]
FRESH_AFTER = 40
"""Rounds on one lake before the next begins: its past grows, and every file of it is hashed each round."""
IMPORTED = DatasetKey("feed", "BTC-USDT", "1h")
FETCHED = DatasetKey("simulated", "BTC-USDT", "1h")


def _told(pipe: Connection) -> Iterator[object]:
    try:
        while True:
            yield pipe.recv()
    except EOFError:
        return


def _killed_after(seconds: float, target: Callable[..., None], *args: object) -> list[object]:
    """Start a process, kill it at a moment after its first word, return all it told."""
    with other_process(target, *args) as (process, pipe):
        first = pipe.recv()
        process.join(seconds)
        process.kill()
        process.join()
        return [first, *_told(pipe)]


def test_a_writer_that_is_killed_leaves_one_commit_or_the_next(tmp_path: Path, rounds: int, tally: Tally) -> None:
    draw, seed = random.Random(), random.randrange(2**32)
    draw.seed(seed)
    seen, root = Seen(), tmp_path / "0"
    for number in range(rounds):
        if number % FRESH_AFTER == 0:
            seen, root = Seen(), tmp_path / str(number)
        told = _killed_after(draw.uniform(0.0, 0.09), live, root, seen, seed + number)
        for word, before in zip(told[1:], told, strict=False):
            if word == "safe":
                assert isinstance(before, Step)
                seen = seen.after(before)
                tally("commits that were told to be safe before a kill")
        allowed = [seen, seen.after(told[-1])] if isinstance(told[-1], Step) else [seen]
        found = look(Lake(root, SystemClock()))
        assert found in allowed, f"seed {seed}, round {number}: a reader right after the kill"
        lake = Lake(root, SystemClock())
        if root.exists():
            assert lake.verify() == [], f"seed {seed}, round {number}"
        step = Step("write", {900 + number: 1.0})
        step.do(lake)  # the next writer puts right what was left
        seen = allowed[allowed.index(found)].after(step)
        assert look(Lake(root, SystemClock())) == seen, f"seed {seed}, round {number}: after recovery"
        assert files_without_a_name(lake) == set(), f"seed {seed}, round {number}"
        assert lake.verify() == []
        tally("kill -9 of a process that writes, revises, quarantines, observes, exports")


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of hours in two years, of which some cannot be candles."""
    path = tmp_path_factory.mktemp("feed") / "feed.csv"
    times = pl.datetime_range(datetime(2023, 10, 1), datetime(2024, 3, 1), "1h", eager=True)  # noqa: DTZ001
    price = pl.Series(range(100, 100 + len(times))).cast(pl.Float64)
    frame = pl.DataFrame({"time": times, "open": price, "high": price + 1, "low": price - 1, "close": price})
    low = pl.when(pl.int_range(pl.len()) % 97 == 5).then(pl.col("high") + 1).otherwise(pl.col("low"))
    frame.with_columns(low=low, volume=pl.lit(2.0)).write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return path


def _rows(home: Path, key: DatasetKey) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    lake = Workspace.open(home, SystemClock()).lake
    try:
        return lake.read(key).frame, lake.quarantined(key).drop("found_at")
    except DataMissing:
        return None, lake.quarantined(key).drop("found_at")


def _through(words: list[str], home: Path) -> float:
    """Run a command to its end; return the seconds it took."""
    with other_process(command, *words, "--home", str(home)) as (process, pipe):
        pipe.recv()
        start = time.perf_counter()
        process.join(60)
        assert process.exitcode == 0
        return time.perf_counter() - start


def _some_of(rows: pl.DataFrame | None, whole: pl.DataFrame) -> bool:
    """Tell whether rows are whole rows of the right ones, none twice."""
    if rows is None:
        return True
    return not rows.is_duplicated().any() and rows.join(whole, on=rows.columns, nulls_equal=True).height == rows.height


def _kill_and_go_on(words: list[str], key: DatasetKey, folder: Path, rounds: int, tally: Callable[[], None]) -> None:
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    _through(words, folder / "whole")
    again = _through(words, folder / "again")
    right, aside = _rows(folder / "whole", key)
    assert right is not None
    home = folder / "home"
    for number in range(rounds):
        before, _ = _rows(home, key)
        _killed_after(draw.uniform(0.0, 1.1 * again), command, *words, "--home", str(home))
        found, refused = _rows(home, key)
        assert _some_of(found, right), f"seed {seed}, round {number}"
        assert _some_of(refused, aside), f"seed {seed}, round {number}"
        assert (found.height if found is not None else 0) >= (before.height if before is not None else 0)
        lake = Workspace.open(home, SystemClock()).lake
        assert not lake.root.exists() or lake.verify() == []
        tally()
        if number % 5 == 4 or number == rounds - 1:  # now and then it may end, and then all is there
            _through(words, home)
            ended, refused = _rows(home, key)
            assert ended is not None
            assert ended.equals(right)
            assert refused.equals(aside)
            assert files_without_a_name(lake) == set()
            assert lake.verify() == []
            home = folder / f"home-{number}"


def test_an_import_that_is_killed_can_be_repeated(tmp_path: Path, feed: Path, rounds: int, tally: Tally) -> None:
    words = ["import", str(feed), "--instrument", "BTC-USDT", "--timeframe", "1h", "--source", IMPORTED.source]
    _kill_and_go_on(words, IMPORTED, tmp_path, rounds, lambda: tally("kill -9 of forecastle import"))


def test_a_fetch_that_is_killed_goes_on_where_it_stopped(tmp_path: Path, rounds: int, tally: Tally) -> None:
    words = ["fetch", "BTC-USDT", "--source", "simulated", "--timeframe", "1h", "--end", "2018-04-01", "--csv"]
    _kill_and_go_on(words, FETCHED, tmp_path, rounds, lambda: tally("kill -9 of forecastle fetch"))
