"""Where a candle lies: ``{source}/{instrument}/{timeframe}/{YYYY-MM-DD}.{version}.parquet``.

A file holds one period: a month for minutes, a year for hours, everything for days and longer. Its date is the first
day of the period (of the data, where the period is everything); its version is the beginning of the SHA-256 of its
bytes, so that a name can never mean two contents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from forecastle.errors import RequestInvalid
from forecastle.sessions import Timeframe

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, order=True)
class DatasetKey:
    """One series of the lake."""

    source: str
    instrument: str
    timeframe: Timeframe

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
        return Path(self.source) / self.instrument / self.timeframe

    def __str__(self) -> str:
        return f"{self.instrument} {self.timeframe} from {self.source}"


def period_of(timeframe: Timeframe) -> pl.Expr:
    """Return the expression that names the period of a bar: ``2024-03``, ``2024`` or ``all``."""
    if timeframe.endswith("m"):
        return pl.col("open_time").dt.strftime("%Y-%m")
    if timeframe.endswith("h"):
        return pl.col("open_time").dt.strftime("%Y")
    return pl.lit("all")


def file_name(period: str, first_day: str, sha256: str) -> str:
    """Return the name of a data file."""
    date = {4: f"{period}-01-01", 7: f"{period}-01"}.get(len(period), first_day)
    return f"{date}.{sha256[:12]}.parquet"
