"""Observations in a file: one column of numbers about the moments in another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import Finding, Observations
from forecastle.nouns.observations import OBSERVED
from forecastle.requests import ObservationsRequest
from forecastle.sessions import Timeframe
from forecastle.sources._archive import content_of
from forecastle.sources._bars import close_bars
from forecastle.sources._columns import time_column
from forecastle.sources._table import EMPTY_WORDS, RawTable, parse
from forecastle.sources._times import TimeReading, read_times

SESSION_CLOSE = "session_close"
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_CLOCK = re.compile(r"%[-_0]?[HIklTRrXcs+]")


@dataclass(frozen=True)
class ObservedFile:
    """What was understood of a file of observations: the columns, how times are written, the rows of the file."""

    observations: Observations
    columns: dict[str, str]
    time: TimeReading
    rows: int
    findings: tuple[Finding, ...]


def read_observed(request: ObservationsRequest) -> ObservedFile:
    """Read the values of one column; ``known_at`` is the moment they are about and ``known_after``.

    With ``session_close`` the value of a date is about that session and known at its close, with
    ``session_close+15m`` a quarter of an hour later, as the VIX is. Empty cells are left out
    and counted. Raises ``DataMissing`` or ``DataInvalid`` as for candles, ``DataInvalid`` too where a value is no
    number, or one moment has several values.
    """
    table = parse(*content_of(request.path), None)
    about = request.about or time_column(table.frame)
    _have(table, request.value, about)
    values = _values(table, request.value)
    told = values.is_not_null()  # FRED writes holidays, with a dot for the value: no session, and nothing is lost
    times, reading = read_times(
        table.frame[about].filter(told), request.instrument, _timeframe(table, about, request), request.time_zone,
        request.time_format,
    )  # fmt: skip
    opens, known = _known(times, request)
    frame = pl.DataFrame([opens.alias("about"), known.alias("known_at"), values.filter(told).alias("value")])
    kept = frame.unique(maintain_order=True).sort("about")
    _one_value_each(kept, request)
    observed = Observations(
        request.instrument, request.name, request.unit, request.source, kept.select(list(OBSERVED))
    )  # fmt: skip
    columns = {"about": about, "value": request.value}
    return ObservedFile(observed, columns, reading, table.frame.height, _findings(table, request, about, values, kept))


def _have(table: RawTable, *columns: str) -> None:
    for column in columns:
        if not table.header or column not in table.frame.columns:
            raise RequestInvalid(
                f"{table.name} has no column '{column}'.", f"It has {', '.join(table.frame.columns[:12])}.",
                "Name one of these with --value and --about.",
            )  # fmt: skip


def _values(table: RawTable, column: str) -> pl.Series:
    """Return the values; null where a cell is empty or NaN."""
    raw = table.frame[column]
    text = raw.cast(pl.String).str.strip_chars()
    empty = text.is_null() | text.str.to_lowercase().is_in(list(EMPTY_WORDS))
    values = text.cast(pl.Float64, strict=False).fill_nan(None)
    wrong = ~empty & ~values.is_finite().fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataInvalid(
            f"'{text[row]}' in column {column} (data row {row + 1}) is no number.",
            f"{wrong.sum()} cells cannot be read; numbers are written like 1234.5, without grouping.",
            "Mend the file, or name another column.",
        )
    if values.null_count() == len(values):
        raise DataInvalid(f"Column {column} of {table.name} has no value.", "All its cells are empty.", "Name another.")
    return values


def _timeframe(table: RawTable, about: str, request: ObservationsRequest) -> Timeframe:
    """Return ``1d`` where the times are dates: only then they need no zone."""
    if request.known_after.startswith(SESSION_CLOSE):
        return "1d"
    if request.time_format:
        return "1m" if _CLOCK.search(request.time_format) else "1d"
    dtype, first = table.frame[about].dtype, str(table.frame[about][0] or "")
    return "1d" if dtype == pl.Date or _DATE.match(first.strip()) else "1m"


def _known(times: pl.Series, request: ObservationsRequest) -> tuple[pl.Series, pl.Series]:
    """Return what the values are about, and when they became known: never before."""
    if not request.known_after.startswith(SESSION_CLOSE):
        number, unit = int(request.known_after[:-1]), request.known_after[-1]
        after = timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[unit]: number})
        return times, times + after
    if request.instrument.always_open:
        raise RequestInvalid(
            f"{request.instrument} has no session that closes.", "Its market never closes.",
            "Say how long after, such as 1d.",
        )  # fmt: skip
    bars = close_bars(times, request.instrument, "1d")
    if bars.reasons.is_not_null().any():
        row = int(bars.reasons.is_not_null().arg_max() or 0)
        raise DataInvalid(
            f"{times[row]:%Y-%m-%d} is no session of {request.instrument.calendar} (data row {row + 1}).",
            "A value of a day without a session has no close to be known at.", "Say how long after, such as 1d.",
        )  # fmt: skip
    later = timedelta(minutes=int(request.known_after.removeprefix(SESSION_CLOSE).strip("+m") or 0))
    return bars.opens, bars.closes + later


def _one_value_each(kept: pl.DataFrame, request: ObservationsRequest) -> None:
    twice = kept.filter(pl.col("about").is_duplicated())
    if twice.height:
        raise DataInvalid(
            f"{request.path.name} has several values of {request.name} about {twice['about'][0]:%Y-%m-%d %H:%M}.",
            f"They are {twice['value'][0]:g} and {twice['value'][1]:g}, and nothing says which came later.",
            "Leave one of them out.",
        )


def _findings(
    table: RawTable, request: ObservationsRequest, about: str, values: pl.Series, kept: pl.DataFrame
) -> tuple[Finding, ...]:
    empty = values.null_count()
    repeats = len(values) - empty - kept.height
    found = []
    if empty:
        first = str(table.frame[about].filter(values.is_null())[0])
        found.append(Finding("empty_cell", "note", empty, first, f"{request.value} is empty; left out"))
    if repeats:
        found.append(Finding("duplicate", "note", repeats, "", "the same value stands there again; kept once"))
    return tuple(found)
