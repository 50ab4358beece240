"""Where rows lie: ``{source}/{instrument}/{timeframe}/{YYYY-MM-DD}.{version}.parquet``.

A file holds rows of one period: a month for minutes, a year for hours, everything for days and longer. Its date is the
first day of the period (of the data, where the period is everything); its version is the beginning of the SHA-256 of
its bytes, so that a name can never mean two contents. Several files of one period may be current: they never overlap in
time. Observations lie beside the candles in a folder of their name, refused rows in ``{timeframe}.quarantine``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from forecastle.errors import RequestInvalid
from forecastle.sessions import Timeframe

Table = Literal["candles", "observations", "quarantine"]
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
DATA_FILE = re.compile(r"\d{4,}-\d{2}-\d{2}\.[0-9a-f]{12}\.(parquet|csv)")
"""What a file of ours is called; nothing else is ever removed."""


@dataclass(frozen=True, order=True)
class SeriesKey:
    """One series of the lake of any table; ``name`` is the timeframe of candles, the name of observations."""

    table: Table
    source: str
    instrument: str
    name: str

    def __post_init__(self) -> None:
        if not _SOURCE.fullmatch(self.source):
            raise RequestInvalid(
                f"'{self.source}' cannot be the name of a source.",
                "It becomes a folder: small letters, digits, - and _, at most 40.",
                "Choose a name such as binance or my_feed.",
            )

    @property
    def folder(self) -> Path:
        """Return the folder of the series below ``raw``."""
        last = f"{self.name}.quarantine" if self.table == "quarantine" else self.name
        return Path(self.source) / self.instrument / last

    def __str__(self) -> str:
        what = f"quarantine of {self.name}" if self.table == "quarantine" else self.name
        return f"{self.instrument} {what} from {self.source}"


@dataclass(frozen=True, order=True)
class DatasetKey:
    """One series of candles."""

    source: str
    instrument: str
    timeframe: Timeframe

    def __post_init__(self) -> None:
        assert self.series  # the name of the source is checked there  # noqa: S101

    @property
    def series(self) -> SeriesKey:
        """Return the key of the candles."""
        return SeriesKey("candles", self.source, self.instrument, self.timeframe)

    @property
    def quarantine(self) -> SeriesKey:
        """Return the key of the rows that could not become candles."""
        return SeriesKey("quarantine", self.source, self.instrument, self.timeframe)

    @property
    def folder(self) -> Path:
        """Return the folder of the series below ``raw``."""
        return self.series.folder

    def __str__(self) -> str:
        return str(self.series)


def periods(key: SeriesKey, frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Cut rows sorted by time into the periods of files: ``(period, rows)`` with ``2024-03``, ``2024`` or ``all``."""
    cuts = {"m": ("1mo", "%Y-%m"), "h": ("1y", "%Y")} if key.table == "candles" else {}
    step, form = cuts.get(key.name[-1], ("", ""))
    if not step:
        return [("all", frame)] if frame.height else []
    runs = frame["open_time"].dt.truncate(step).rle().struct.unnest()
    parts, begin = [], 0
    for length, first in runs.iter_rows():
        parts.append((first.strftime(form), frame.slice(begin, length)))
        begin += length
    return parts


def file_name(period: str, first_day: str, sha256: str) -> str:
    """Return the name of a data file."""
    date = {4: f"{period}-01-01", 7: f"{period}-01"}.get(len(period), first_day)
    return f"{date}.{sha256[:12]}.parquet"
