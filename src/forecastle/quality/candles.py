"""All findings about stored candles in one report."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from forecastle.nouns import Candles, Finding, Instrument, QualityReport
from forecastle.nouns.candles import PRICES
from forecastle.quality.calendar import ended, gaps, off_calendar, wrong_step
from forecastle.quality.prices import odd_prices, odd_table
from forecastle.quality.sift import sift
from forecastle.quality.stale import stale
from forecastle.sessions import Timeframe

_WORDS = {"stale": "no trade and no move in the whole bar, or the bar before once more"}


def inspect_candles(
    candles: Candles, now: datetime | None = None, pointed_out: pl.DataFrame | None = None
) -> QualityReport:
    """Return the findings about stored candles: their times against the calendar, their prices and their volumes.

    With ``now`` (the present, or the end of the range that was asked for) a series that stopped is told, too, as a
    note: it may be out of date, renamed or delisted. ``pointed_out`` is what :func:`flags` said, where it is at hand.
    Nothing is changed: findings are ``suspicious``, or a ``note``.
    """
    table = flags(candles) if pointed_out is None else pointed_out
    found = [gaps(candles), off_calendar(candles), wrong_step(candles), *_by_kind(table)]
    if now is not None:
        found.append(ended(candles, now))
    return QualityReport(
        candles.instrument,
        candles.timeframe,
        candles.source,
        len(candles),
        candles.start if len(candles) else None,
        candles.end if len(candles) else None,
        tuple(f for f in found if f),
    )


def report_of_rows(instrument: Instrument, timeframe: Timeframe, source: str, frame: pl.DataFrame) -> QualityReport:
    """Return the findings about rows that are not candles yet, and about the bars that no row tells of."""
    sifted = sift(frame)
    timed = frame.with_columns(pl.lit(1.0).alias(c) for c in (*PRICES, "volume"))  # a bad price is no hole
    bars = Candles(instrument, timeframe, source, sift(timed).rows)
    findings = (*sifted.findings, gaps(bars))
    start, end = (bars.start, bars.end) if len(bars) else (None, None)
    return QualityReport(instrument, timeframe, source, frame.height, start, end, tuple(f for f in findings if f))


def flags(candles: Candles) -> pl.DataFrame:
    """Return every bar that is pointed out, with the columns ``open_time kind detail``, in the order of time.

    Kinds: jump, split, wrong_unit, redenomination, two_companies, stale.
    """
    idle = stale(candles).select("open_time", kind=pl.lit("stale"), detail=pl.lit(_WORDS["stale"]))
    return pl.concat([odd_table(candles, odd_prices(candles)), idle]).sort("open_time", maintain_order=True)


def _by_kind(table: pl.DataFrame) -> list[Finding]:
    """Return one finding a kind, told by its first bar."""
    return [
        Finding(
            str(kind), "suspicious", rows.height, f"{rows['open_time'][0]:%Y-%m-%d %H:%M} UTC", str(rows["detail"][0])
        )
        for (kind,), rows in table.group_by("kind", maintain_order=True)
    ]
