"""What the tests of venues share: a world, a line into it, and the rows that came compared with the world's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from forecastle.nouns import Instrument
from forecastle.ports import Line, Page, Patience, Source
from forecastle.sessions import Timeframe
from forecastle.sources import open_source
from venues.fault_server import Candle, Fault, FaultServer, World, all_handlers, generate
from venues.venue_time import MovedClock

START = datetime(2023, 1, 1, tzinfo=UTC)
EXCHANGES = {
    "binance": "BTC-USDT",
    "coinbase": "BTC-USD",
    "kraken": "BTC-USD",
    "okx": "BTC-USDT",
    "bitfinex": "BTC-USD",
}
"""The exchanges that are played, each with an instrument it has."""
CANDLES = {"binance": "/klines", "coinbase": "/candles", "kraken": "/OHLC", "okx": "candles", "bitfinex": "/candles"}
"""What the address of a request for candles contains."""


@dataclass
class Stage:
    """A clock that tests move, a world at its time, and a folder for what outlives a process."""

    folder: Path
    clock: MovedClock = field(default_factory=MovedClock)
    world: World = field(init=False)
    patience: Patience = field(default_factory=lambda: Patience(request=1.0, seed=1, answer=5_000_000))

    def __post_init__(self) -> None:
        self.world = World(self.clock.seconds)
        for seed, instrument in enumerate(("BTC-USDT", "BTC-USD", "ETH-USDT", "ETH-USD", "BTC-USDT-PERP")):
            self.world.add(instrument, "1d", generate(datetime(2021, 5, 1, tzinfo=UTC), 1200, "1d", seed))

    @contextmanager
    def serve(self, *script: Fault) -> Iterator[FaultServer]:
        """Serve the world with a script of faults."""
        with FaultServer(self.world, all_handlers(), script, drip_seconds=0.01) as server:
            yield server

    def line(self, server: FaultServer) -> Line:
        """Return a line as a new process would have it: only the folder remembers."""
        return Line(self.clock, self.clock.sleep, server.url, self.folder, self.patience)

    def source(self, name: str, server: FaultServer) -> Source:
        """Return a source on a line of its own."""
        return open_source(name, self.line(server))

    def wanted(self, instrument: str, start: datetime = START, timeframe: str = "1d") -> list[Candle]:
        """Return the world's own closed candles from ``start`` on."""
        return [c for c in self.world.closed(instrument, timeframe) if c.time >= start.timestamp() * 1000]


def pages(
    source: Source,
    instrument: str,
    start: datetime | None = START,
    end: datetime | None = None,
    timeframe: Timeframe = "1d",
) -> list[Page]:
    """Return all pages of a source."""
    return list(source.pages(Instrument.parse(instrument), timeframe, start, end))


def rows(given: Sequence[Page]) -> list[Candle]:
    """Return the rows of pages, as the world writes candles; the close of each has to be a day after its open."""
    table = pl.concat([page.rows for page in given])
    return [Candle(int(row[0].timestamp() * 1000), *row[2:]) for row in table.rows()]
