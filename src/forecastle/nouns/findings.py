"""Findings: what a look at the data turned up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl

from forecastle.nouns.candles import Candles
from forecastle.nouns.instrument import Instrument
from forecastle.sessions import Timeframe

Severity = Literal["invalid", "suspicious", "note"]


@dataclass(frozen=True)
class Finding:
    """One kind of defect: how often it occurs and where it shows first.

    ``invalid`` rows can never become candles; ``suspicious`` ones can, and are pointed out; a ``note`` is worth
    knowing and harms nothing.
    """

    kind: str
    severity: Severity
    count: int
    first: str
    detail: str


@dataclass(frozen=True)
class QualityReport:
    """What there is of one series, and all findings about it."""

    instrument: Instrument
    timeframe: Timeframe
    source: str
    rows: int
    start: datetime | None
    end: datetime | None
    findings: tuple[Finding, ...]

    @property
    def invalid(self) -> tuple[Finding, ...]:
        """Return the findings that forbid storing the rows."""
        return tuple(f for f in self.findings if f.severity == "invalid")

    @property
    def suspicious(self) -> tuple[Finding, ...]:
        """Return the findings about rows that were stored and are pointed out."""
        return tuple(f for f in self.findings if f.severity == "suspicious")


@dataclass(frozen=True, eq=False)
class QualityDetail:
    """A quality report with what it is about: all that the page of a series shows.

    ``flags`` has one row a bar pointed out (``open_time kind detail``), ``quarantined`` the rows that could not become
    candles: the columns of candles and ``reason``, and where the lake keeps them ``origin`` and ``found_at``.
    """

    report: QualityReport
    candles: Candles
    flags: pl.DataFrame
    quarantined: pl.DataFrame
