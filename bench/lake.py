"""What the lake promises in numbers, one line each: target, measured, and what it was measured beside."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from bench.scale import candles as made_up
from bench.timing import side_by_side
from forecastle.clock import SystemClock
from forecastle.lake import DatasetKey, Lake
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.quality import sift

REAL = Path(__file__).parents[2] / "shared" / "data" / "crypto" / "1m" / "bitfinex"
MILLION = 1_000_000
FEW, MANY = 10, 10_000
PAGES = 40
"""Pages of a thousand minutes in the short fetch; the long one has ten times as many."""


@dataclass(frozen=True)
class Line:
    """One promise and what became of it."""

    what: str
    target: str
    measured: str
    kept: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.target} | {self.measured} | {'yes' if self.kept else 'NO'} |"


def lines() -> Iterator[Line]:
    """Measure everything, each in a temporary folder on the disk of the working folder's system."""
    whole, origin = minutes()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        yield appending(root, whole, origin)
        yield from reading(root, whole, origin)
        yield one_range(root)
        yield one_more(root)
    yield memory()


def minutes() -> tuple[Candles, str]:
    """Return real one-minute candles where they are at hand, else as many made up; and what they are."""
    if not REAL.is_dir():
        return made_up(0, 0, 2_630_000), "generated minutes"
    raw = pl.concat(
        pl.read_csv(path, has_header=False, new_columns=["ms", "open", "close", "high", "low", "volume"])
        .with_columns(pl.all().exclude("ms").cast(pl.Float64))
        for path in sorted(REAL.glob("*.csv.gz"))
    )  # fmt: skip
    opens = pl.from_epoch("ms", time_unit="ms").dt.replace_time_zone("UTC")
    rows = raw.with_columns(open_time=opens, close_time=opens + timedelta(minutes=1))
    valid = sift(rows.select(pl.col(c).cast(kind) for c, kind in SCHEMA.items())).rows
    return Candles(Instrument.parse("BTC-USD"), "1m", "bitfinex", valid, "none"), "real Bitfinex minutes"


def _key(candles: Candles) -> DatasetKey:
    return DatasetKey(candles.source, candles.instrument.id, candles.timeframe)


def _table(candles: Candles) -> pa.Table:
    return candles.frame.to_arrow()


def appending(root: Path, whole: Candles, origin: str) -> Line:
    """Write all rows in batches of a million into a new lake, beside pyarrow writing one file."""
    batches = [
        Candles(whole.instrument, "1m", whole.source, whole.frame.slice(begin, MILLION), "none")
        for begin in range(0, len(whole), MILLION)
    ]
    table = _table(whole)

    def ours() -> None:
        shutil.rmtree(root / "raw", ignore_errors=True)
        lake = Lake(root / "raw", SystemClock())
        for batch in batches:
            lake.write(batch)

    seconds, theirs = side_by_side(ours, lambda: pq.write_table(table, root / "one.parquet"))
    rate = len(whole) / seconds / 1e6
    return Line(
        f"append {len(whole):,} {origin}, a million at a time", "at least 1.0 million rows/s",
        f"{rate:.2f} million rows/s (pyarrow, one file, unsynced: {len(whole) / theirs / 1e6:.2f})", rate >= 1.0,
    )  # fmt: skip


def reading(root: Path, whole: Candles, origin: str) -> Iterator[Line]:
    """Read the lake that :func:`appending` left, every file hashed, beside pyarrow on one file of the same rows."""
    key, lake = _key(whole), Lake(root / "raw", SystemClock())
    assert lake.read(key).frame.equals(whole.frame)
    seconds, theirs = side_by_side(lambda: lake.read(key), lambda: pq.read_table(root / "one.parquet"))
    rate, ratio = len(whole) / seconds / 1e6, seconds / theirs
    what = f"checked read of {len(whole):,} {origin}"
    yield Line(what, "at least 10 million rows/s", f"{rate:.1f} million rows/s", rate >= 10.0)
    yield Line(what, "at most 2.5 times pyarrow.parquet.read_table", f"{ratio:.2f} times", ratio <= 2.5)


def one_range(root: Path) -> Line:
    """Read 500 of five million rows, beside pyarrow with a filter on one file."""
    whole = made_up(1, 0, 5 * MILLION)
    lake, key = Lake(root / "five", SystemClock()), _key(whole)
    lake.write(whole)
    pq.write_table(_table(whole), root / "five.parquet", row_group_size=16_384)
    some = whole.frame.slice(3_333_333, 500)
    start, end = some["open_time"][0], some["close_time"][-1]
    assert lake.read(key, start, end).frame.equals(some)
    within = [("open_time", ">=", start), ("close_time", "<=", end)]
    seconds, theirs = side_by_side(
        lambda: lake.read(key, start, end), lambda: pq.read_table(root / "five.parquet", filters=within), rounds=25
    )
    return Line(
        "500 of 5 million rows, warm", "at most 5 ms",
        f"{1e3 * seconds:.2f} ms (pyarrow with a filter, one file, unchecked: {1e3 * theirs:.2f})", seconds <= 5e-3,
    )  # fmt: skip


def one_more(root: Path) -> Line:
    """Append one candle to a lake of few appends and to one of many."""
    lakes = [Lake(root / name, SystemClock()) for name in ("few", "many")]
    nexts = [itertools.count(), itertools.count()]

    def append(which: int) -> None:
        lakes[which].write(made_up(0, next(nexts[which]), 1))

    for which, count in enumerate((FEW, MANY)):
        for _ in range(count):
            append(which)

    def ours() -> None:
        for _ in range(16):  # so many that each round merges small files as often
            append(1)

    def theirs() -> None:
        for _ in range(16):
            append(0)

    many, few = side_by_side(ours, theirs)
    ratio = many / few
    return Line(
        f"append one candle after {MANY:,} appends", f"as after {FEW}: at most 1.3 times",
        f"{many / 16 * 1e3:.1f} ms against {few / 16 * 1e3:.1f} ms: {ratio:.2f} times", ratio <= 1.3,
    )  # fmt: skip


_FETCH = """
import sys
from pathlib import Path
from bench.fetching import fetch_pages
fetch_pages(Path(sys.argv[1]), int(sys.argv[2]))
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""
"""Linux tells the peak of this very program; what getrusage tells may be that of the one that started it."""


def memory() -> Line:
    """Compare the peak memory of a fetch with that of one ten times as long."""
    peaks = []
    for pages in (PAGES, 10 * PAGES):
        with tempfile.TemporaryDirectory() as home:
            run = [sys.executable, "-c", _FETCH, home, str(pages)]
            peaks.append(int(subprocess.run(run, check=True, capture_output=True, text=True).stdout) / 1024)
    ratio = peaks[1] / peaks[0]
    return Line(
        f"peak memory of a fetch of {10 * PAGES},000 rows", f"as of {PAGES},000: at most 1.15 times",
        f"{peaks[1]:.0f} MB against {peaks[0]:.0f} MB: {ratio:.2f} times", ratio <= 1.15,
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    print("| the lake | target | measured | kept |\n|---|---|---|---|")
    start = time.perf_counter()
    for line in lines():
        print(line, flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s in all.")


if __name__ == "__main__":
    main()
