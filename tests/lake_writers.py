"""What other processes do to a lake in the tests: hold its lock, write and write again, be killed."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

from forecastle.clock import FixedClock
from forecastle.lake.lock import writer_lock
from forecastle.nouns import Candles, Instrument
from making import NOW, make_candles, moment, open_lake

CHUNK = 7


def context() -> ForkServerContext:
    """Return clean processes that have imported what they need already."""
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["forecastle.lake"])
    return fork


@contextmanager
def other_process(target: Any, *args: Any) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """Run ``target(pipe, *args)`` in another process; it is killed at the end, whatever happened."""
    fork = context()
    mine, theirs = fork.Pipe()
    process = fork.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, mine
    finally:
        process.kill()
        process.join()
        process.close()
        mine.close()


def hold_the_pen(pipe: Connection, root: Path) -> None:
    """Take the lock of the lake, say so, and never let go."""
    with writer_lock(root, FixedClock(NOW), Path("test")):
        pipe.send("held")
        while True:
            signal.pause()


def flat(value: float) -> Candles:
    """Return hours around a new year, in two files, all at one price."""
    opens = np.arange(moment("2023-12-31T12"), moment("2024-01-01T12"), np.timedelta64(1, "h"))
    price = np.full(opens.size, value)
    columns = {
        "open_time": opens, "close_time": opens + np.timedelta64(1, "h"),
        "open": price, "high": price, "low": price, "close": price, "volume": price,
    }  # fmt: skip
    return Candles.from_columns(Instrument.parse("BTC-USDT"), "1h", "test", columns, "none")


def rewrite(pipe: Connection, root: Path, times: int) -> None:
    """Write the same hours again and again, each time at the next price."""
    lake = open_lake(root)
    for value in range(2, times + 2):
        lake.write(flat(float(value)))
    pipe.send("done")


def append_for_ever(pipe: Connection, root: Path, have: int) -> None:
    """Add chunks of days to what the lake has, and tell each number of rows that is safely there."""
    lake = open_lake(root)
    for rows in range(have + CHUNK, 20_000, CHUNK):
        lake.write(make_candles(rows))
        pipe.send(rows)
