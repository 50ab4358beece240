"""Feature frames: what was known of one market at each close, column by column, and what each column means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid, NameUnknown
from forecastle.nouns.candles import TIME
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import Timeframe, Times

FloatArray = npt.NDArray[np.float64]
MARKS = ("source", "definitions")
"""Columns that stored rows have beside the features: whose candles, and a hash of what the columns mean."""
Need = Literal["range", "benchmark", "observations"]


@dataclass(frozen=True)
class FeatureColumn:
    """One column and its unit: ``price`` (quote currency), ``log return``, ``ratio``, ``points``, ``volume`` ..."""

    name: str
    unit: str


@dataclass(frozen=True)
class FeatureSpec:
    """What a feature is.

    ``lookback`` counts the bars before a row that its value depends on; None is unbounded: the feature is recursive and
    carries a state. ``needs`` names what it looks at beside the candles. ``formula`` and ``version`` stand for the
    definition: where one of them changes, so does the fingerprint of every frame that holds the feature.
    """

    name: str
    group: str
    title: str
    columns: tuple[FeatureColumn, ...]
    lookback: int | None
    formula: str
    reference: str
    needs: tuple[Need, ...] = ()
    version: int = 1

    @property
    def definition(self) -> dict[str, Any]:
        """Return what the fingerprint is made of, as plain data."""
        columns = [[column.name, column.unit] for column in self.columns]
        return {"name": self.name, "columns": columns, "lookback": self.lookback, "formula": self.formula,
                "version": self.version}  # fmt: skip


@dataclass(frozen=True, eq=False)
class FeatureFrame:
    """Features of one series, a row a bar.

    ``frame`` has the column ``known_at`` (the close of the bar, UTC, ascending) and one Float64 column for each column
    of the ``specs``; row t uses only what was known at its ``known_at``. A value that is not known is null, never NaN
    and never a guess. ``absent`` says of a feature without any value why it has none. ``steps`` names what was done to
    the candles before, such as ``forward_fill(5)``, and to the values after; ``data_hash`` is that of the candles.
    Raises ``DataInvalid`` where the columns are not those of the specs.
    """

    instrument: Instrument
    timeframe: Timeframe
    source: str
    specs: tuple[FeatureSpec, ...]
    frame: pl.DataFrame
    data_hash: str
    steps: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = {"known_at": TIME} | dict.fromkeys(self.columns, pl.Float64())
        if dict(self.frame.schema) != wanted or self.frame.columns[0] != "known_at":
            raise DataInvalid(
                f"A feature frame of {self.instrument} has the columns {', '.join(self.frame.columns[:8])} ...",
                f"They have to be known_at (UTC) and those of its specs: {', '.join(self.columns[:8])} ...",
                "Build it with forecastle.features.compute.",
            )

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        span = f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}" if len(self) else "empty"
        return f"FeatureFrame({self.instrument}, {self.timeframe}, {self.source}, {len(self)} rows of " + (
            f"{len(self.columns)} columns, {span})"
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of values."""
        return tuple(column.name for spec in self.specs for column in spec.columns)

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)

    @property
    def start(self) -> datetime:
        """Return the first ``known_at``."""
        return self._moment(0)

    @property
    def end(self) -> datetime:
        """Return the last ``known_at``."""
        return self._moment(-1)

    def _moment(self, row: int) -> datetime:
        if not len(self):
            raise DataInvalid(f"There are no features of {self.instrument} here.", "The frame is empty.", "Widen it.")
        moment: datetime = self.frame["known_at"][row]
        return moment.astimezone(UTC)

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of what the columns mean: definitions, steps and the series, not the values."""
        return fingerprint_of(self.instrument, self.timeframe, self.source, self.specs, self.steps)

    def known_at(self) -> Times:
        """Return the moments as ``datetime64[us]`` in UTC, shape (n,)."""
        return self.frame["known_at"].dt.replace_time_zone(None).to_numpy()

    def values(self, columns: Sequence[str] | None = None) -> FloatArray:
        """Return values as an array of shape (n, columns), NaN where not known; raises ``NameUnknown``."""
        return self.frame.select(self._known(columns)).fill_null(float("nan")).to_numpy()

    def select(self, columns: Sequence[str]) -> FeatureFrame:
        """Return the same rows with these columns only; raises ``NameUnknown``."""
        wanted = set(self._known(columns))
        parts = [(s, tuple(c for c in s.columns if c.name in wanted)) for s in self.specs]
        specs = tuple(replace(s, columns=kept) for s, kept in parts if kept)
        names = [c.name for s in specs for c in s.columns]
        return replace(self, specs=specs, frame=self.frame.select("known_at", *names))

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        for name in columns or ():
            if name not in self.columns:
                raise NameUnknown("feature column", name, self.columns)
        return list(self.columns if columns is None else columns)

    def between(self, start: datetime | None = None, end: datetime | None = None) -> FeatureFrame:
        """Return the rows known after ``start`` and until ``end``: what is known at ``start`` is before it."""
        keep = pl.lit(value=True)
        keep = keep if start is None else keep & (pl.col("known_at") > start)
        keep = keep if end is None else keep & (pl.col("known_at") <= end)
        return replace(self, frame=self.frame.filter(keep))

    def rows(self, first: int, after: int) -> FeatureFrame:
        """Return the rows ``first`` to ``after`` - 1."""
        return replace(self, frame=self.frame.slice(first, max(after - first, 0)))


def definitions_of(specs: Sequence[FeatureSpec]) -> str:
    """Return the SHA-256 of definitions alone, of whatever series."""
    return _digest([spec.definition for spec in specs])


def fingerprint_of(
    instrument: Instrument, timeframe: Timeframe, source: str, specs: Sequence[FeatureSpec], steps: Sequence[str]
) -> str:
    """Return the SHA-256 of definitions, steps and series."""
    said = {"instrument": instrument.id, "timeframe": timeframe, "source": source, "steps": list(steps),
            "features": [spec.definition for spec in specs]}  # fmt: skip
    return _digest(said)


def _digest(said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
