"""Anyone's CSV, JSON or Parquet file: what its columns mean is recognised, shown and checked, never assumed.

Pure steps: bytes (``_archive``) to a table as written (``_table``), the layout it is in (``_layouts``), which column is
what (``_columns``), the times (``_times``) and the bars they open (``_bars``). A row that cannot be read is set aside
with the reason; nothing is mended here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from forecastle.errors import DataInvalid
from forecastle.nouns import Finding, Instrument
from forecastle.nouns.candles import PRICES, SCHEMA, Adjusted, Prices
from forecastle.requests import ImportRequest
from forecastle.sources._archive import content_of
from forecastle.sources._bars import close_bars
from forecastle.sources._columns import breaking, columns_of, order_of, time_column
from forecastle.sources._layouts import Layout, Volume, date_in, layout_named, recognised, settled
from forecastle.sources._no_prices import refuse_returns
from forecastle.sources._table import EMPTY_WORDS, NAMES, RawTable, parse, plain_name
from forecastle.sources._times import TimeReading, read_times

WRONG_TYPE, OFF_GRID = "wrong_type", "off_grid"


@dataclass(frozen=True)
class FileMapping:
    """What was understood of a file: its layout, which column is what, how its times and numbers are written.

    Prices were divided by ``scale``; ``volume`` is the unit of the volume; ``adjusted`` what the layout says of
    splits and dividends, None where it says nothing; ``rows`` counts those of the file.
    """

    layout: str
    columns: Mapping[str, str]
    time: TimeReading
    rows: int
    volume: Volume
    scale: float
    adjusted: Adjusted | None
    prices: Prices


@dataclass(frozen=True)
class FileReading:
    """The rows of a file with the columns of candles, in its order; empty cells are null.

    ``aside`` has the rows that cannot be read as bars, with the further column ``reason``; ``findings`` tells of them
    and of rows without any number, which say nothing and are left out. ``places[i]`` is where row i of ``rows``
    stands in the file, from 0; ``times`` are all times of the file as they are written. ``actions`` has the columns
    ``open_time close adj_close dividend split`` where the file tells of dividends and splits, else None.
    """

    rows: pl.DataFrame
    aside: pl.DataFrame
    findings: tuple[Finding, ...]
    places: pl.Series
    times: pl.Series
    mapping: FileMapping
    actions: pl.DataFrame | None = None


def read_file(request: ImportRequest) -> FileReading:
    """Read the file of a request.

    Raises ``DataMissing`` where there is none; ``DataInvalid`` where it is no table, a column is not found, times are
    unreadable, have no zone or several units, most cells of a column are no numbers, or the closes are returns and no
    prices; ``RequestInvalid`` where
    what the user says of it cannot be.
    """
    table, layout = _recognise(request)
    instrument, prices = request.instrument, request.prices or layout.prices
    columns = columns_of(table, layout, instrument, request.columns, prices)
    times, reading = _times(table, layout, columns["open_time"], request)
    bars = close_bars(times, instrument, request.timeframe)
    numbers = {name: _number(table, name, columns[name]) for name in NAMES if name in columns}
    cells = _filled({name: number.values for name, number in numbers.items()}, layout.scale, prices)
    if prices == "ohlc" and (not table.header or order_of(request.columns)):
        _refuse_swapped(table.name, cells)
    rows = pl.DataFrame([bars.opens.alias("open_time"), bars.closes.alias("close_time"), *cells])
    refuse_returns(table.name, instrument, rows.sort("open_time")["close"])
    marks = [number.told for number in numbers.values()] + [bars.reasons]
    unit = _volume_of(layout, instrument, columns, request.columns)
    mapping = FileMapping(
        _shown(layout, reading), columns, reading, table.frame.height, unit, layout.scale, layout.adjusted, prices
    )
    good, aside, empty = _parted(rows.select(list(SCHEMA)), marks, [n.values for n in numbers.values()])
    return FileReading(
        good.select(list(SCHEMA)), aside.select([*SCHEMA, "reason"]), _findings(aside, empty), good["place"],
        table.frame[columns["open_time"]], mapping, _actions(table, rows.select("open_time", "close")),
    )  # fmt: skip


_ACTIONS = {"adj_close": "adj_close", "dividends": "dividend", "stock_splits": "split"}
"""What yfinance calls the columns of adjusted closes and corporate actions, and what we do."""


def _actions(table: RawTable, bars: pl.DataFrame) -> pl.DataFrame | None:
    named = {_ACTIONS[plain_name(c)]: c for c in table.frame.columns if plain_name(c) in _ACTIONS}
    if not table.header or len(named) < len(_ACTIONS):
        return None
    return bars.with_columns(_number(table, ours, theirs).values.alias(ours) for ours, theirs in named.items())


def names_of_columns(path: Path) -> list[str]:
    """Return the columns of a wide table but for that of the times: each the name of an instrument."""
    table = parse(*content_of(path), None)
    if not table.header:
        raise DataInvalid(
            f"{table.name} has no header.", "Its columns have to name instruments.", "Add a first line with the names."
        )
    time = time_column(table.frame)
    return [c for c in table.frame.columns if c != time]


def read_table(request: ImportRequest) -> RawTable:
    """Return the table of a request as it was written."""
    forced = layout_named(request.layout) if request.layout else None
    return parse(*content_of(request.path), order_of(request.columns) or (forced.order if forced else None))


def _recognise(request: ImportRequest) -> tuple[RawTable, Layout]:
    forced = layout_named(request.layout) if request.layout else None
    table = read_table(request)
    layout = settled(forced or recognised(table), table, request.instrument)
    if layout.shift and request.timeframe != "1d":
        raise DataInvalid(
            f"{table.name} is a {layout.name}: one price a day.", f"Bars of {request.timeframe} were asked for.",
            "Import it as --timeframe 1d.",
        )  # fmt: skip
    return table, layout


def _times(table: RawTable, layout: Layout, column: str, request: ImportRequest) -> tuple[pl.Series, TimeReading]:
    raw, form = table.frame[column], request.time_format or layout.time_format
    if layout.date_in_name and request.time_format is None:
        raw, form = _time_of_day(raw, table.name), None
    times, reading = read_times(
        raw, request.instrument, request.timeframe, request.time_zone, form, assumed=layout.zone
    )  # fmt: skip
    opens: pl.Series = times + layout.shift
    return opens, reading


def _time_of_day(raw: pl.Series, name: str) -> pl.Series:
    """Return times without a zone from milliseconds since midnight and the date in the file's name."""
    day = date_in(name)
    if day is None:
        raise DataInvalid(
            f"{name} has times of day and no date.", "LEAN writes the date at the head of the file's name.",
            "Name it like 20240131_aapl_minute_trade.csv.",
        )  # fmt: skip
    milliseconds = raw.str.strip_chars().cast(pl.Int64, strict=False)
    if milliseconds.null_count():
        raise DataInvalid(
            f"{milliseconds.null_count()} times of {name} are no milliseconds since midnight.",
            "LEAN writes whole numbers below 86400000.", "Mend these rows.",
        )  # fmt: skip
    midnight = pl.Series([day]).str.to_datetime("%Y%m%d", time_unit="us")[0]
    moments: pl.Series = milliseconds.cast(pl.Duration("ms")).cast(pl.Duration("us")) + midnight
    return moments


@dataclass(frozen=True)
class _Number:
    """A column of numbers, and beside each cell that is none what it says (null where all is well)."""

    values: pl.Series
    told: pl.Series


def _number(table: RawTable, name: str, column: str) -> _Number:
    raw = table.frame[column]
    if raw.dtype != pl.String:
        if not raw.dtype.is_numeric():
            raise DataInvalid(f"Column {column} holds {raw.dtype}.", f"{name} has to be a number.", "Convert it.")
        return _Number(raw.cast(pl.Float64).alias(name), pl.repeat(None, len(raw), dtype=pl.String, eager=True))
    text = raw.str.strip_chars()
    values = text.cast(pl.Float64, strict=False).alias(name)
    if values.null_count() == text.null_count():
        return _Number(values, pl.repeat(None, len(raw), dtype=pl.String, eager=True))
    wrong = values.is_null() & text.is_not_null() & ~text.str.to_lowercase().is_in(list(EMPTY_WORDS))
    if 2 * int(wrong.sum()) > int((text.is_not_null() & ~text.str.to_lowercase().is_in(list(EMPTY_WORDS))).sum()):
        row = int(wrong.arg_max() or 0)
        raise DataInvalid(
            f"'{text[row]}' in column {column} (data row {row + 1}) is no number.",
            f"{wrong.sum()} cells of {name} cannot be read; numbers are written like 1234.5, without grouping.",
            "Mend the file, or name another column with --columns.",
        )
    told = pl.select(pl.when(wrong).then(pl.format(f"{WRONG_TYPE}: {name} is '{{}}'", text))).to_series()
    return _Number(values, told)


def _filled(numbers: dict[str, pl.Series], scale: float, prices: Prices) -> list[pl.Series]:
    """Return the five numbers of every row: prices in the quote currency; all of them the close where only it is known.

    A volume nobody wrote is 0.
    """
    close = numbers["close"]
    cells = dict.fromkeys(PRICES, close) if prices == "close" else dict(numbers)
    cells["volume"] = numbers.get("volume", pl.repeat(0.0, len(close), eager=True))
    if scale != 1.0:  # by a column: polars multiplies with the reciprocal of a number, and 16.56 gets a tail
        cells |= {name: cells[name] / pl.repeat(scale, len(close), eager=True) for name in PRICES}
    return [cells[name].alias(name) for name in NAMES]


def _refuse_swapped(name: str, cells: list[pl.Series]) -> None:
    """Refuse columns taken in one order whose rows are all bars in another: the rows that fit both would be wrong."""
    opens, second, third, fourth = cells[:4]
    broken = breaking(opens, second, third, fourth)
    others = {
        "open, close, high, low": (third, fourth, second, "--layout bitfinex"),
        "open, high, low, close": (fourth, second, third, "--columns open_time,open,high,low,close,volume"),
    }
    for words, (high, low, close, option) in others.items() if broken else ():
        if breaking(opens, high, low, close) == 0:
            raise DataInvalid(
                f"The columns of {name} are in another order: as taken, {broken} of {len(opens)} rows are no bars.",
                f"In the order {words} all of them are, and rows that fit both would be stored wrong.",
                f"Say {option}, or name the columns in their order with --columns.",
            )


def _volume_of(layout: Layout, instrument: Instrument, columns: Mapping[str, str], said: str | None) -> Volume:
    if "volume" not in columns:
        return "none"
    if plain_name(columns["volume"]).strip("()").replace("(", "") == f"volume_{instrument.base.lower()}":
        return "base"
    named = said is not None and "volume" in said and instrument.always_open
    return "unknown" if named else layout.volume


def _shown(layout: Layout, reading: TimeReading) -> str:
    return f"{layout.name} ({reading.unit})" if layout.name == "binance archive" else layout.name


def _parted(
    rows: pl.DataFrame, marks: list[pl.Series], numbers: list[pl.Series]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the rows that were read, those that were not, with the ``reason``, and those without any number."""
    reason = pl.DataFrame([m.alias(str(i)) for i, m in enumerate(marks)]).select(
        pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)
    )  # fmt: skip
    marked = rows.with_columns(reason=reason.to_series()).with_row_index("place")
    nothing = pl.DataFrame(numbers).select(pl.all_horizontal(pl.all().fill_nan(None).is_null())).to_series()
    told = marked["reason"] != ""
    good, aside = marked.filter(~told & ~nothing), marked.filter(told)
    if not good.height and not aside.height:
        raise DataInvalid(
            "No row of the file has a number.", f"All {rows.height} rows are empty but for the time.",
            "Export it again.",
        )  # fmt: skip
    return good, aside, marked.filter(nothing & ~told)


_DETAILS = {
    WRONG_TYPE: "a cell that has to be a number is none",
    OFF_GRID: "no bar of this market opens then",
}


def _findings(aside: pl.DataFrame, empty: pl.DataFrame) -> tuple[Finding, ...]:
    found = []
    for kind, detail in _DETAILS.items():
        rows = aside.filter(pl.col("reason").str.contains(kind, literal=True))
        if rows.height:
            found.append(Finding(kind, "invalid", rows.height, _where(rows), detail))
    if empty.height:
        detail = "only the time is written: no bar; left out"
        found.append(Finding("empty_row", "note", empty.height, _where(empty), detail))
    return tuple(found)


def _where(rows: pl.DataFrame) -> str:
    return f"row {rows['place'][0] + 1} ({rows['open_time'][0]})"
