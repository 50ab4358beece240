"""Real daily candles that are on this machine already: S&P 500 and NASDAQ, 1999 to 2018, shipped with ``arch``.

Their origin is Yahoo Finance (``arch.data.sp500``, ``arch.data.nasdaq``; NCSA licence). The files are read by their
path: importing ``arch`` would cost a second and a half.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from forecastle.errors import DataMissing, SourceLimited
from forecastle.nouns import Candles, Instrument
from forecastle.ports import Page, SourceFacts
from forecastle.sessions import Timeframe, calendar

FILES = {"SPX.INDEX": "sp500/sp500.csv.gz", "IXIC.INDEX": "nasdaq/nasdaq.csv.gz"}
FACTS = SourceFacts(
    "Index data that ship with arch", "none", "ohlc", "shares", "S&P 500 and NASDAQ, daily, 1999 to 2018",
    "none: the files are on this machine", "NCSA (arch); the numbers come from Yahoo Finance",
)  # fmt: skip


@dataclass(frozen=True)
class Bundled:
    """Daily OHLCV of ``SPX.INDEX`` and ``IXIC.INDEX`` from 1999-01-04 to 2018-12-31, in index points."""

    name: str = "bundled"

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of this source."""
        return FACTS

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield all of it in one page; nothing where no bar lies in the range. Raises as :meth:`fetch` does."""
        candles = self.fetch(instrument, timeframe, start, end)
        if len(candles):
            yield Page(candles.frame, start or candles.start, candles.end)

    def fetch(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Candles:
        """Return the bars that open at or after ``start`` and close at or before ``end``.

        Raises ``SourceLimited`` for anything but the two indices at 1d.
        """
        if instrument.id not in FILES or timeframe != "1d":
            raise SourceLimited(
                f"The bundled data hold no {timeframe} candles of {instrument}.",
                f"They are daily candles of {' and '.join(FILES)}.",
                "Try forecastle fetch SPX.INDEX --source bundled.",
            )
        table = pl.read_csv(data_folder() / FILES[instrument.id], try_parse_dates=False)
        days = table["Date"].str.strptime(pl.Date, "%m/%d/%Y").to_numpy().astype("datetime64[D]")
        opens, closes = calendar(instrument.calendar).bars(
            days[0].astype("datetime64[us]"), (days[-1] + np.timedelta64(1, "D")).astype("datetime64[us]"), timeframe
        )
        rows = np.searchsorted(opens.astype("datetime64[D]"), days)
        columns = {"open_time": opens[rows], "close_time": closes[rows]}
        prices = {c.lower(): table[c] for c in ("Open", "High", "Low", "Close", "Volume")}
        return Candles.from_columns(instrument, timeframe, self.name, columns | prices, "none").between(start, end)


def data_folder() -> Path:
    """Return the folder of the data files in the installed ``arch``; raises ``DataMissing`` where there is none."""
    found = importlib.util.find_spec("arch")
    folder = Path(found.origin).parent / "data" if found and found.origin else None
    if folder is None or not folder.is_dir():
        raise DataMissing(
            "The bundled data are not here.", "They come with the package arch.", "Install it: pip install 'arch>=8'."
        )
    return folder
