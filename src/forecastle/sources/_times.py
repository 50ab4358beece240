"""Times as files write them: text with or without a zone, dates, or numbers in seconds to nanoseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import Instrument
from forecastle.sessions import Timeframe, is_intraday

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0}
"""Microseconds in one; nanoseconds are divided."""
_ZONED = re.compile(r"(Z|UTC|GMT|[+-]\d{2}:?\d{2})$", re.IGNORECASE)
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_DAY_OR_MIDNIGHT = r"^(\d{4}-\d{2}-\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?$"
_DAY_OF_SESSION = r"^(\d{4}-\d{2}-\d{2})(?:[T ].*)?$"
_CLOCK = re.compile(r"%[-_0]?[HIklTRrXcs+]")
"""The parts of a time format that tell the time of day."""


@dataclass(frozen=True)
class TimeReading:
    """How the times were understood. ``unit``: s, ms, us or ns for numbers, else ``text``, ``date``, ``datetime``."""

    unit: str
    zone: str


_YEAR_1990 = 631_152_000_000_000
_SESSION_DATE = TimeReading("date", "session date as written")


def read_times(
    raw: pl.Series,
    instrument: Instrument,
    timeframe: Timeframe,
    zone: str | None,
    form: str | None,
    *,
    assumed: str | None = None,
) -> tuple[pl.Series, TimeReading]:
    """Return the times as UTC microseconds, and how they were read.

    ``zone`` is what the user says of times without one, ``assumed`` what is known of the layout of the file.
    For a bar of a day or more on an exchange only the written date counts, at midnight UTC. Raises ``DataInvalid`` for
    unreadable, ambiguous or impossible times.
    """
    dated = not is_intraday(timeframe) and not instrument.always_open
    if isinstance(raw.dtype, pl.Datetime):
        times, reading = _datetimes(raw, zone or assumed, dated=dated)
    elif raw.dtype == pl.Date:
        times, reading = (raw.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), TimeReading("date", "as dated"))
    else:
        text = _as_text(raw)
        numbers = text.cast(pl.Float64, strict=False).fill_nan(None)
        if form is None and numbers.null_count() < len(numbers):
            _all_read(numbers, text)
            times, reading = _numbers(numbers, raw if raw.dtype.is_integer() else text.cast(pl.Int64, strict=False))
        else:
            times, reading = _texts(text, timeframe, zone or assumed, form, dated=dated)
    if reading.unit == "date" and is_intraday(timeframe):
        raise DataInvalid(
            f"The times are dates, such as {raw[0]}.", f"Bars of {timeframe} need a time of day.",
            "Name the column that has it with --columns, or import as --timeframe 1d.",
        )  # fmt: skip
    if zone is not None and reading.zone != zone:
        raise RequestInvalid(
            f"--timezone {zone} is not used: the times are read as {reading.unit} ({reading.zone}).",
            "They say themselves when they are, or are dates.",
            "Leave --timezone out.",
        )
    _within_life(times, instrument)
    return times, reading


def _as_text(raw: pl.Series) -> pl.Series:
    try:
        return raw.cast(pl.String).str.strip_chars()
    except pl.exceptions.PolarsError as error:
        raise DataInvalid(
            f"Column {raw.name} holds {raw.dtype}.", "That is no kind of time.", "Name another with --columns."
        ) from error


def _numbers(numbers: pl.Series, whole: pl.Series) -> tuple[pl.Series, TimeReading]:
    """Tell the unit by size: for any moment from 1990 to 2286 the four units do not overlap."""
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    for unit, (floor, ceiling) in {
        "s": (1e8, 1e10),
        "ms": (1e11, 1e13),
        "us": (1e14, 1e16),
        "ns": (1e17, 1e19),
    }.items():
        if floor <= low and high < ceiling:
            values = whole if whole.null_count() == 0 else numbers.round().cast(pl.Int64)
            micro = values.cast(pl.Int64) * UNITS[unit] if UNITS[unit] else values.cast(pl.Int64) // 1000
            if micro.min() < _YEAR_1990:  # type: ignore[operator]
                break
            return micro.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), TimeReading(unit, "UTC")
    raise DataInvalid(
        f"The times run from {low:.0f} to {high:.0f}.",
        "That is no time after 1990 in seconds, milli-, micro- or nanoseconds since 1970, or the unit changes inside.",
        "Name the right column with --columns; digits such as 20240131 need --time-format '%Y%m%d' (%H%M with hours).",
    )


def _texts(
    text: pl.Series, timeframe: Timeframe, zone: str | None, form: str | None, *, dated: bool
) -> tuple[pl.Series, TimeReading]:
    first = next((t for t in text if t), "")
    if form is not None and "%" not in form:
        raise RequestInvalid(
            f"--time-format is '{form}'.", "It names no part of a time.", "Write it like '%d.%m.%Y %H:%M'."
        )
    if form is not None:
        return _formatted(text, zone, form, dated=dated)
    if _DATE.match(first) or (not is_intraday(timeframe) and re.match(_DAY_OR_MIDNIGHT, first)):
        days = text.str.extract(_DAY_OF_SESSION if dated else _DAY_OR_MIDNIGHT)
        return _parse(days, "%Y-%m-%d", text), TimeReading("date", "as dated")
    if not re.match(r"^\d{4}-\d{2}-\d{2}[T ]", first):
        raise DataInvalid(
            f"The time '{first}' is not written year-month-day.",
            "Day and month could be taken for each other.",
            "Say how it is written, for example --time-format '%m/%d/%Y' or '%d.%m.%Y %H:%M'.",
        )
    if dated:
        return _parse(text.str.extract(_DAY_OF_SESSION), "%Y-%m-%d", text), _SESSION_DATE
    if _ZONED.search(first):
        return _zoned(text), TimeReading("text", "written in each time")
    return _local(_parse(_plain(text), None, text, aware=False), zone, first), TimeReading("text", zone or "")


def _plain(text: pl.Series) -> pl.Series:
    return text.str.replace("T", " ", literal=True)


def _zoned(text: pl.Series) -> pl.Series:
    # A suffix like "UTC" becomes an offset, so that one parser reads all; mixed offsets are fine.
    offset = text.str.replace(r"(?i)\s*(Z|UTC|GMT)$", "+00:00").str.replace(r"([+-]\d{2})(\d{2})$", "$1:$2")
    return _parse(_plain(offset), "zoned", text)


def _formatted(text: pl.Series, zone: str | None, form: str, *, dated: bool) -> tuple[pl.Series, TimeReading]:
    if dated and _CLOCK.search(form):
        if form.endswith("%z"):  # the offset would turn the date into that of UTC
            text, form = text.str.replace(r"\s*(Z|[+-]\d{2}:?\d{2})$", ""), form.removesuffix("%z").rstrip()
        return _day_of(_parse(text, form, text, aware=False)), _SESSION_DATE
    if "%z" in form or not _CLOCK.search(form):
        unit = "text" if "%z" in form else "date"
        return _parse(text, form, text), TimeReading(unit, "written in each time" if unit == "text" else "as dated")
    return _local(_parse(text, form, text, aware=False), zone, str(text[0])), TimeReading("text", zone or "")


def _parse(text: pl.Series, form: str | None, original: pl.Series, *, aware: bool = True) -> pl.Series:
    frame = pl.DataFrame({"t": text})
    if form == "zoned":
        forms = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%:z", "%Y-%m-%d %H:%M%:z")
        kinds = [pl.col("t").str.to_datetime(f, strict=False, time_unit="us", time_zone="UTC") for f in forms]
    elif form is None:
        local = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
        kinds = [pl.col("t").str.to_datetime(f, strict=False, time_unit="us") for f in local]
    elif "%z" in form:
        kinds = [pl.col("t").str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")]
    elif _CLOCK.search(form):
        kinds = [pl.col("t").str.to_datetime(form, strict=False, time_unit="us")]
    else:
        kinds = [pl.col("t").str.to_date(form, strict=False).cast(pl.Datetime("us"))]
    try:
        times = frame.select(pl.coalesce(kinds))["t"]
    except pl.exceptions.PolarsError as error:
        raise RequestInvalid(
            f"'{form}' is no way to write a time.", f"{str(error).splitlines()[0]}.", "Use %Y, %m, %d, %H, %M, %S."
        ) from error
    _all_read(times, original)
    return times.dt.replace_time_zone("UTC") if aware and times.dtype == pl.Datetime("us") else times


def _all_read(times: pl.Series, original: pl.Series) -> None:
    unread = times.is_null()
    if unread.any():
        row = int(unread.arg_max() or 0)
        like = f"as '{original.filter(~unread)[0]}' can" if not unread.all() else "that way"
        raise DataInvalid(
            f"'{original[row] or ''}' (data row {row + 1}) is no time like the others.",
            f"{int(unread.sum())} of {len(times)} times cannot be read {like}.",
            "Mend these rows, or say how times are written with --time-format.",
        )


def _datetimes(raw: pl.Series, zone: str | None, *, dated: bool) -> tuple[pl.Series, TimeReading]:
    written = raw.dtype.time_zone  # type: ignore[attr-defined]
    times = raw.cast(pl.Datetime("us", written))
    if raw.null_count():
        _all_read(times, raw.cast(pl.String))
    if dated:
        return _day_of(times.dt.replace_time_zone(None)), _SESSION_DATE
    if written:
        return times.dt.convert_time_zone("UTC"), TimeReading("datetime", str(written))
    if bool((times.dt.truncate("1d") == times).all()):
        return times.dt.replace_time_zone("UTC"), TimeReading("date", "as dated")
    return _local(times, zone, str(raw[0])), TimeReading("datetime", zone or "")


def _day_of(times: pl.Series) -> pl.Series:
    return times.dt.truncate("1d").dt.replace_time_zone("UTC")


def _local(times: pl.Series, zone: str | None, example: str) -> pl.Series:
    if zone is None:
        raise DataInvalid(
            f"The time '{example}' has no time zone.",
            "An hour too early looks into the future, an hour too late forgets; Forecastle does not guess.",
            "Say which it is: --timezone UTC, or --timezone America/New_York.",
        )
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RequestInvalid(f"'{zone}' is no time zone.", "Names are those of the IANA list.", "Try UTC.") from error
    try:
        return times.dt.replace_time_zone(zone, ambiguous="raise", non_existent="raise").dt.convert_time_zone("UTC")
    except pl.exceptions.ComputeError as error:
        raise DataInvalid(
            f"Some times do not exist, or exist twice, in {zone}.", str(error).splitlines()[0],
            "The clock change makes them unclear: export the file with UTC times.",
        ) from error  # fmt: skip


def _within_life(times: pl.Series, instrument: Instrument) -> None:
    """Refuse impossible dates. The upper end is the caller's: it knows what time it is."""
    fiat = instrument.base in ("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD")
    first_year = 2009 if instrument.always_open and not fiat else 1885
    early = times.dt.year() < first_year
    if early.any():
        row = int(early.arg_max() or 0)
        raise DataInvalid(
            f"Data row {row + 1} is dated {times[row]:%Y-%m-%d}.",
            f"{instrument} cannot have traded before {first_year}: the unit or the column of the time is wrong.",
            "Name the right column with --columns.",
        )
