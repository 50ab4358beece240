"""Five hundred instruments, a hundred million one-minute candles: ``python -m bench.scale``.

The lake grows by whole instruments, so that each question below is asked about the same number of rows while the lake
around them grows a hundredfold. What stays flat does not depend on the size of the lake.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from forecastle.clock import SystemClock
from forecastle.lake import DatasetKey, Lake, query
from forecastle.nouns import Candles, Instrument

INSTRUMENTS = 500
ROWS = 200_000
BATCH = 20_000
MARKS = (5, 50, 250, 500)
"""Instruments in the lake when the questions are asked: 1, 10, 50 and 100 million rows."""
ROUNDS = 7
ORIGIN = np.datetime64("2024-01-01", "us")
MINUTE = np.timedelta64(1, "m")
GIB_NEEDED = 8


def candles(number: int, first: int, count: int) -> Candles:
    """Return ``count`` minutes of the instrument ``number`` from row ``first`` on: a walk on a grid of cents."""
    draw = np.random.default_rng((number, first))
    close = np.round(50.0 + number + np.cumsum(draw.normal(0.0, 0.02, count)) % 20.0, 2)
    begin = np.r_[close[:1], close[:-1]]
    spread = np.round(draw.exponential(0.03, (2, count)), 2)
    opens = ORIGIN + np.arange(first, first + count) * MINUTE
    columns = {
        "open_time": opens, "close_time": opens + MINUTE, "open": begin,
        "high": np.maximum(begin, close) + spread[0], "low": np.minimum(begin, close) - spread[1], "close": close,
        "volume": np.round(draw.exponential(3.0, count), 4),
    }  # fmt: skip
    return Candles.from_columns(_instrument(number), "1m", "bench", columns, "none")


def _instrument(number: int) -> Instrument:
    return Instrument.parse(f"A{number:03d}-USDT")


def _key(number: int) -> DatasetKey:
    return DatasetKey("bench", _instrument(number).id, "1m")


def grow(lake: Lake, first: int, last: int) -> list[float]:
    """Append the instruments ``first`` to ``last``, all side by side; return the seconds of each append of a batch."""
    taken = []
    for begin in range(0, ROWS, BATCH):
        for number in range(first, last):
            batch = candles(number, begin, BATCH)
            start = time.perf_counter()
            lake.write(batch)
            taken.append(time.perf_counter() - start)
    return taken


def questions(root: Path, number: int) -> dict[str, Callable[[], object]]:
    """Return what is asked at each mark, about one instrument."""
    lake, key, rows = Lake(root, SystemClock()), _key(number), iter(range(ROWS, 10**9))
    middle = candles(number, ROWS // 2, 500)
    sql = f"SELECT count(*), avg(close), max(high) FROM candles WHERE instrument = '{key.instrument}'"
    return {
        "append 1 row": lambda: lake.write(candles(number, next(rows), 1)),
        "range of 500 rows": lambda: lake.read(key, middle.start, middle.end),
        "one instrument, read and averaged": lambda: lake.read(key).frame["close"].mean(),
        "one instrument, SQL": lambda: query(lake, sql),
        "open and list": lambda: Lake(root, SystemClock()).datasets(),
    }


def measured(job: Callable[[], object]) -> float:
    """Return the median seconds after one warm-up."""
    job()
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def whole(root: Path) -> float:
    """Return the seconds of one aggregate over everything, every file checked: this one grows with the lake."""
    start = time.perf_counter()
    query(Lake(root, SystemClock()), "SELECT instrument, avg(close) FROM candles GROUP BY ALL")
    return time.perf_counter() - start


def main() -> None:
    """Build the lake in a temporary folder, ask at each mark, print one table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--folder", type=Path, help="where to build it; it stays there (default: a temporary one)")
    folder = words.parse_args().folder
    root = folder or Path(tempfile.mkdtemp(prefix="forecastle-scale-"))
    if shutil.disk_usage(root.parent).free < GIB_NEEDED * 2**30:
        raise SystemExit(f"{root} needs {GIB_NEEDED} GiB of free space.")
    try:
        _run(root)
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)


def _run(root: Path) -> None:
    lake, have, heads = Lake(root, SystemClock()), 0, False
    for mark in MARKS:
        appended = statistics.median(grow(lake, have, mark)[-200:])
        have = mark
        answers = {f"append {BATCH:,} rows": appended}
        answers |= {name: measured(job) for name, job in questions(root, mark // 2).items()}
        if not heads:
            print(
                "| million rows | "
                + " | ".join(f"{name}, ms" for name in answers)
                + " | all by SQL, s | peak RSS, MB |"
            )
            print("|---" * (len(answers) + 3) + "|")
            heads = True
        figures = " | ".join(f"{1e3 * seconds:.1f}" for seconds in answers.values())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {mark * ROWS / 1e6:.0f} | {figures} | {whole(root):.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
