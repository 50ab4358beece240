"""What runs in a process that is killed. It imports little, so that a round is short."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from forecastle.app import _job
from forecastle.cli.main import run
from forecastle.clock import SystemClock
from forecastle.errors import LakeLocked
from forecastle.lake import Lake, journal
from forecastle.nouns import Instrument
from forecastle.ports import Page
from forecastle.sessions import Timeframe
from forecastle.sources.simulated import Simulated
from lake_model import Seen, hours, next_step, prices

PAGE = 400


def live(pipe: Connection, root: Path, seen: Seen, seed: int) -> None:
    """Take one step after another, telling each before and after."""
    journal.FEWEST_LINES = 4
    lake, draw = Lake(root, SystemClock()), random.Random(seed)
    while True:
        step = next_step(draw, seen)
        pipe.send(step)
        step.do(lake)
        seen = seen.after(step)
        pipe.send("safe")


def command(pipe: Connection, *words: str) -> None:
    """Run the command line as a fresh process would; a fetch comes in pages and stores each at once."""
    _job.PAGES = 1
    Simulated.pages = _in_pages  # type: ignore[method-assign]
    journal.FEWEST_LINES = 4
    sys.argv = ["forecastle", *words]
    sys.stdout = sys.stderr = Path("/dev/null").open("w")  # noqa: SIM115
    pipe.send("begun")
    run()


def _in_pages(
    self: Simulated, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
) -> Iterator[Page]:
    candles = self.fetch(instrument, timeframe, start, end)
    for begin in range(0, len(candles), PAGE):
        part = candles.frame.slice(begin, PAGE)
        yield Page(part, part["open_time"][0], part["close_time"][-1])


def read_for_ever(pipe: Connection, root: Path, pair: tuple[int, int]) -> None:
    """Read until told that it is enough, then tell all that was seen."""
    lake, seen = Lake(root, SystemClock()), []
    pipe.send("begun")
    while not pipe.poll():
        found = prices(lake)
        seen.append([found[hour] for hour in pair if hour in found])
    found = prices(lake)
    pipe.send([*seen, [found[hour] for hour in pair]])


def write_in_turns(pipe: Connection, root: Path, first: int, count: int) -> None:
    """Write single hours; where another writes try again, and tell who that was said to be."""
    lake, refused = Lake(root, SystemClock()), []
    for hour in range(first, first + count):
        while True:
            try:
                lake.write(hours({hour: 1.0}))
                break
            except LakeLocked as error:
                found = re.search(r"process (\d+) |it has not yet signed", error.what)
                refused.append((found[1] or found[0]) if found else error.what)
    pipe.send(refused)
