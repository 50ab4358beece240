"""Anyone's CSV, JSON or Parquet file: what its columns mean is guessed, shown and checked, never assumed.

Three pure steps: ``read_table`` (bytes to text columns), ``guess_mapping`` (which column is what, unit and zone of the
time), ``to_rows`` (the columns of candles, in the order of the file). Nothing is dropped or mended here.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from forecastle.errors import DataInvalid, DataMissing, RequestInvalid
from forecastle.nouns import Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.sessions import Timeframe
from forecastle.sources._bars import close_bars
from forecastle.sources._times import TimeReading, read_times

NAMES = ("open", "high", "low", "close", "volume")
TIME_NAMES = ("open_time", "opentime", "unix", "timestamp", "ts", "datetime", "time", "date", "day")
JSON_ORDER = ("open_time", *NAMES)
"""What exchanges and ccxt write as arrays of arrays."""


@dataclass(frozen=True)
class FileMapping:
    """What was understood: which column is what, and how its times are written."""

    columns: Mapping[str, str]
    time: TimeReading
    rows: int


def read_table(path: Path, columns: str | None = None) -> pl.DataFrame:
    """Return the file as a table. CSV and JSON cells come as text, Parquet as it is.

    Columns named by position say also whether a CSV has a header: its first line is one where the price is no number.

    Raises ``DataMissing`` where there is no such file, ``DataInvalid`` where it is empty or no table.
    """
    content = _content(path)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    reader = {"csv": _csv, "txt": _csv, "json": _json, "parquet": _parquet}.get(kind)
    if reader is None:
        raise DataInvalid(
            f"{path.name} is no file of a kind Forecastle reads.", "It reads .csv, .json (both also .gz) and .parquet.",
            "Export the data as CSV with a header line.",
        )  # fmt: skip
    try:
        table = reader(content, path, columns)
    except (pl.exceptions.PolarsError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataInvalid(
            f"{path.name} is no readable {kind}.", _first_line(error), "Open it and mend that place."
        ) from error
    if not table.height:
        raise DataInvalid(f"{path.name} holds no rows.", "There is nothing after the header.", "Export it again.")
    return table


def guess_mapping(table: pl.DataFrame, instrument: Instrument, columns: str | None) -> dict[str, str]:
    """Return ``{our name: column of the file}``.

    ``columns`` overrides: ``open_time,open,high,low,close,volume`` names the columns by position (``-`` skips one),
    ``close=Last,volume=Qty`` renames single ones. Raises ``DataInvalid`` where a column is not found.
    """
    if columns and "=" not in columns:
        return _by_position(table, columns)
    named = {}
    for pair in columns.split(",") if columns else ():
        name, _, column = (part.strip() for part in pair.partition("="))
        named[_our_name(name)] = _their_column(table, column)
    found = _by_name(table, instrument, set(named)) | named
    missing = [name for name in ("open_time", *NAMES) if name not in found]
    if missing:
        raise DataInvalid(
            f"The file has no column for {', '.join(missing)}.",
            f"Its columns are {', '.join(table.columns[:12])}.",
            "Name them, for example --columns open_time=Date,close=Last, or by position for a file without a header: "
            "--columns open_time,open,high,low,close,volume.",
        )
    return {name: found[name] for name in ("open_time", *NAMES)}


def _by_name(table: pl.DataFrame, instrument: Instrument, named: set[str]) -> dict[str, str]:
    """Return the columns that tell by their name what they hold, but for those that are ``named`` already."""
    aliases = {name: (name,) for name in NAMES} | {
        "volume": ("volume", f"volume_{instrument.base.lower()}", "volume_(base)", "vol"),
        "open_time": TIME_NAMES,
    }
    columns: dict[str, list[str]] = {}
    for column in table.columns:  # polars writes a second "close" as close_duplicated_0
        plain = re.sub(r"_duplicated_\d+$", "", column).strip().lower().replace(" ", "_")
        columns.setdefault(plain, []).append(column)
    found: dict[str, str] = {}
    for name in (n for n in aliases if n not in named):
        same = next((columns[alias] for alias in aliases[name] if alias in columns), [])
        if len(same) > 1:
            raise DataInvalid(
                f"The file has {len(same)} columns for {name}.",
                f"All are called {same[0]}, and Forecastle does not choose between them.",
                f"Leave one out, or name it: --columns {name}={same[1]}.",
            )
        if same:
            found[name] = same[0]
    return found


def to_rows(
    table: pl.DataFrame,
    columns: Mapping[str, str],
    instrument: Instrument,
    timeframe: Timeframe,
    time_zone: str | None = None,
    time_format: str | None = None,
) -> tuple[pl.DataFrame, FileMapping]:
    """Return (rows with the columns of candles in the file's order, what was understood).

    A cell that is empty becomes null, for the findings to name; text that is no number raises ``DataInvalid``, and so
    do times without a zone (unless ``time_zone`` says which), in several units, or outside the life of the market.
    """
    times, reading = read_times(table[columns["open_time"]], instrument, timeframe, time_zone, time_format)
    opens, closes = close_bars(times, instrument, timeframe)
    numbers = [_number(table, name, columns[name]) for name in NAMES]
    rows = pl.DataFrame([opens.alias("open_time"), closes.alias("close_time"), *numbers])
    return rows.select(list(SCHEMA)), FileMapping(dict(columns), reading, table.height)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataMissing(f"There is no file {path}.", "The path leads nowhere.", "Check the spelling.") from None
    except OSError as error:
        raise DataMissing(f"{path} cannot be read.", f"{error.strerror}.", "Name a readable file.") from error
    if path.name.lower().endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataInvalid(
                f"{path.name} is a broken gzip file.", f"{error}.", "Fetch or export it again."
            ) from error
    if not content.strip():
        raise DataInvalid(f"{path.name} is empty.", "It has no bytes but white space.", "Export or download it again.")
    return content


def _csv(content: bytes, path: Path, columns: str | None) -> pl.DataFrame:
    lines = [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if not lines:
        raise DataInvalid(f"{path.name} is empty.", "It has no line with words.", "Export or download it again.")
    header = _header_line(lines) if not columns or "=" in columns else _header_by_position(lines, columns)
    table = pl.read_csv(
        io.StringIO("\n".join(lines[header or 0 :])),
        has_header=header is not None,
        infer_schema=False,
        separator=_separator(lines[header or 0]),
    )
    return _without_second_header(table) if header is not None and table.height else table


def _header_line(lines: list[str]) -> int | None:
    """Return the line of the column names: the first of five with two names we know; None where there is none."""
    for number, line in enumerate(lines[:5]):
        cells = {c.strip().strip('"').lower().replace(" ", "_") for c in line.split(_separator(line))}
        if len(cells & {*TIME_NAMES, *NAMES, "price", "last"}) >= 2:
            return number
    first = [c.strip() for c in lines[0].split(_separator(lines[0]))]
    return None if any(_is_number(c) for c in first[1:]) else 0


def _header_by_position(lines: list[str], columns: str) -> int | None:
    """Return 0 where the first line has words, and no number, where numbers belong; else None: rows begin at once."""
    names = [_our_name(n.strip()) if n.strip() != "-" else "-" for n in columns.split(",")]
    cells = [c.strip().strip('"') for c in lines[0].split(_separator(lines[0]))]
    numbers = [cell for name, cell in zip(names, cells, strict=False) if name in NAMES]
    words = [cell for cell in numbers if cell and cell.lower() not in ("null", "none", "nan", "na")]
    return 0 if words and not any(_is_number(cell) for cell in words) else None


def _without_second_header(table: pl.DataFrame) -> pl.DataFrame:
    """Drop what Yahoo writes below its header: the ticker in every column, and in newer files a line "Date"."""
    for first in table.head(2).rows():
        words = {c for c in first[1:] if c}
        named = first[0] == "Ticker" and len(words) == 1
        ticker = not first[0] and len(words) == 1 and not _is_number(next(iter(words)))
        dated = first[0] in ("Date", "Datetime") and not words
        if not (named or ticker or dated):
            break
        table = table.slice(1).rename({table.columns[0]: first[0]}) if dated else table.slice(1)
    return table


def _json(content: bytes, path: Path, columns: str | None) -> pl.DataFrame:
    rows = json.loads(content)
    if not isinstance(rows, list) or not rows or not all(isinstance(r, list) and len(r) >= 6 for r in rows):
        raise DataInvalid(
            f"{path.name} is no array of candles.", "Expected [[time, open, high, low, close, volume], ...].",
            "Write it like that, or as CSV.",
        )  # fmt: skip
    cells = [[None if v is None else str(v) for v in row[:6]] for row in rows]
    return pl.DataFrame(cells, schema=dict.fromkeys(JSON_ORDER, pl.String()), orient="row")


def _parquet(content: bytes, path: Path, columns: str | None) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(content))


def _number(table: pl.DataFrame, name: str, column: str) -> pl.Series:
    raw = table[column]
    if raw.dtype != pl.String:
        if not raw.dtype.is_numeric():
            raise DataInvalid(f"Column {column} holds {raw.dtype}.", f"{name} has to be a number.", "Convert it.")
        return raw.cast(pl.Float64).alias(name)
    text = raw.str.strip_chars()
    text = text.set(text == "", None)
    number = text.cast(pl.Float64, strict=False)
    wrong = text.filter(number.is_null() & text.is_not_null())
    if len(wrong):
        row = int((number.is_null() & text.is_not_null()).arg_max() or 0)
        raise DataInvalid(
            f"'{wrong[0]}' in column {column} (data row {row + 1}) is no number.",
            f"{len(wrong)} cells of {name} cannot be read; numbers are written like 1234.5, without grouping.",
            "Mend the file, or name another column with --columns.",
        )
    return number.alias(name)


def _by_position(table: pl.DataFrame, columns: str) -> dict[str, str]:
    names = [c.strip() for c in columns.split(",")]
    if len(names) > table.width:
        raise RequestInvalid(f"--columns names {len(names)} columns.", f"The file has {table.width}.", "Name fewer.")
    pairs = {_our_name(n): c for n, c in zip(names, table.columns, strict=False) if n != "-"}
    if len(pairs) < sum(n != "-" for n in names):
        raise RequestInvalid("--columns names one column twice.", f"It says {columns}.", "Use - to skip a column.")
    missing = [n for n in ("open_time", *NAMES) if n not in pairs]
    if missing:
        raise RequestInvalid(
            f"--columns leaves out {', '.join(missing)}.", "Candles need all six.",
            "Write open_time,open,high,low,close,volume in the order of the file; - skips a column.",
        )  # fmt: skip
    return pairs


def _our_name(name: str) -> str:
    name = "open_time" if name in ("time", "date", "timestamp") else name
    if name not in ("open_time", *NAMES):
        raise RequestInvalid(
            f"'{name}' is no column of candles.", f"Known: open_time, {', '.join(NAMES)}.", "Name one of these."
        )
    return name


def _their_column(table: pl.DataFrame, column: str) -> str:
    if column not in table.columns:
        raise RequestInvalid(
            f"The file has no column '{column}'.", f"It has {', '.join(table.columns[:12])}.", "Name one of these."
        )
    return column


def _separator(line: str) -> str:
    return max(",;\t|", key=line.count)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
