"""A fetch as long as one likes, from a source that makes up its pages: to see what memory it takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from unittest import mock

from bench.scale import candles
from forecastle.app import fetch
from forecastle.clock import SystemClock
from forecastle.nouns import Instrument
from forecastle.ports import Page, SourceFacts
from forecastle.requests import FetchRequest
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace

ROWS = 1_000


class Pages:
    """A source of a given number of pages."""

    name = "bench"
    facts = SourceFacts("Made-up pages", "none", "ohlc", "unknown", "as long as one likes", "none", "none")

    def __init__(self, count: int) -> None:
        self.count = count

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield the pages, each made when it is asked for."""
        for number in range(self.count):
            page = candles(0, number * ROWS, ROWS)
            yield Page(page.frame, page.start, page.end)


def fetch_pages(home: Path, count: int) -> None:
    """Fetch so many pages into a new home."""
    request = FetchRequest(instruments=(Instrument.parse("BTC-USDT"),), sources=("bench",), timeframes=("1m",))
    with mock.patch.object(fetch, "open_source", return_value=Pages(count)):
        brought = fetch.fetch(Workspace.open(home, SystemClock()), request).settled()
    assert brought[0].added == count * ROWS
