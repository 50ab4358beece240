"""From bytes to a table: where the header of a CSV is, what parts its cells, what stands above and below it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from forecastle.errors import DataInvalid

NAMES = ("open", "high", "low", "close", "volume")
TIME_NAMES = (
    "open_time", "opentime", "unix", "timestamp", "ts", "datetime", "time", "date", "day", "snapped_at",
)  # fmt: skip
JSON_ORDER = ("open_time", *NAMES)
"""What exchanges and ccxt write as arrays of arrays."""
_HEAD_BYTES = 1 << 16
EMPTY_WORDS = ("", ".", "null", "none", "nan", "na", "n/a")
"""What files write, in any case, where they have no number; the dot is FRED's."""


@dataclass(frozen=True)
class RawTable:
    """A table as it was written: cells of CSV and JSON as text, of Parquet as they are.

    ``name`` is that of the file (the one inside a zip), ``header`` whether its columns have names of their own,
    ``above`` the lines over the header, ``below`` how many lines of words under it were left out (Yahoo writes them),
    ``width`` how many fields a row has in the file.
    """

    frame: pl.DataFrame
    name: str
    kind: str
    header: bool
    above: tuple[str, ...] = ()
    below: int = 0
    width: int = 0


def parse(content: bytes, name: str, order: tuple[str, ...] | None) -> RawTable:
    """Return the table; ``order`` names the columns by position (``-`` for one that does not matter).

    Raises ``DataInvalid`` where it is no readable table or has no rows.
    """
    kind = name.lower().rpartition(".")[2]
    reader = {"csv": _csv, "txt": _csv, "json": _json, "parquet": _parquet}[kind]
    try:
        table = reader(content, name, order)
    except (pl.exceptions.PolarsError, ValueError, RecursionError) as error:
        raise DataInvalid(
            f"{name} is no readable {kind}.", f"{str(error).strip().splitlines()[0]}.", "Open it and mend that place."
        ) from error
    if not table.frame.height:
        raise DataInvalid(f"{name} holds no rows.", "There is nothing after the header.", "Export it again.")
    return table


def is_number(cell: str) -> bool:
    """Return whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def cells_of(line: str) -> list[str]:
    """Return the cells of one line of a CSV, without quotes and white space."""
    return [c.strip().strip('"').strip() for c in line.split(_separator(line))]


def plain_name(column: str) -> str:
    """Return a column's name in small letters with ``_``; polars writes a second "close" as close_duplicated_0."""
    return column.partition("_duplicated_")[0].strip().lower().replace(" ", "_")


def _csv(content: bytes, name: str, order: tuple[str, ...] | None) -> RawTable:
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\n" not in content:  # old line ends
        content = content.replace(b"\r", b"\n")
    lines = _first_lines(content)
    if not lines:
        raise DataInvalid(f"{name} is empty.", "It has no line with words.", "Export or download it again.")
    header = _header_by_position(lines, order) if order else _header_line(lines)
    start = lines[header or 0]
    frame = pl.read_csv(
        io.BytesIO(content[start.at :]),
        has_header=header is not None,
        infer_schema=False,
        separator=_separator(start.text),
    )
    frame, below = _without_words(_without_blank_rows(frame)) if header is not None else (_without_blank_rows(frame), 0)
    above = tuple(line.text for line in lines[: header or 0])
    return RawTable(frame, name, "csv", header is not None, above, below, frame.width)


@dataclass(frozen=True)
class _Line:
    """A line with words: its text and where in the file it begins."""

    text: str
    at: int


def _first_lines(content: bytes) -> list[_Line]:
    """Return the first five lines that are not blank; only the head of the file is decoded."""
    found, at = [], 0
    for raw in content[:_HEAD_BYTES].splitlines(keepends=True):
        text = raw.decode("utf-8").strip("\r\n")
        if text.strip():
            found.append(_Line(text, at))
        at += len(raw)
        if len(found) == 5:
            break
    return found


def _header_line(lines: list[_Line]) -> int | None:
    """Return the line of the column names: the first of five with two names we know; None where there is none."""
    known = {*TIME_NAMES, *NAMES, "price", "last"}
    for number, line in enumerate(lines):
        if len({plain_name(c) for c in cells_of(line.text)} & known) >= 2:
            return number
    return None if any(is_number(c) for c in cells_of(lines[0].text)[1:]) else 0


def _header_by_position(lines: list[_Line], order: tuple[str, ...]) -> int | None:
    """Return 0 where the first line has words, and no number, where numbers belong; else None: rows begin at once."""
    numbers = [cell for name, cell in zip(order, cells_of(lines[0].text), strict=False) if name in NAMES]
    words = [cell for cell in numbers if cell.lower() not in EMPTY_WORDS]
    return 0 if words and not any(is_number(cell) for cell in words) else None


def _without_blank_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop lines without any words; polars gives them as nulls."""
    first = pl.col(frame.columns[0])
    suspects = frame.select((first.is_null() | (first.str.strip_chars() == "")).any()).item()
    blank = pl.all_horizontal(pl.all().is_null() | (pl.all().str.strip_chars() == ""))
    return frame.filter(~blank) if suspects else frame


def _without_words(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Drop what Yahoo writes below its header: the ticker in every column, and in newer files a line "Date"."""
    dropped = 0
    for first in frame.head(2).rows():
        words = {c for c in first[1:] if c}
        named = first[0] == "Ticker" and len(words) == 1
        ticker = not first[0] and len(words) == 1 and not is_number(next(iter(words)))
        dated = first[0] in ("Date", "Datetime") and not words
        if not (named or ticker or dated):
            break
        frame = frame.slice(1).rename({frame.columns[0]: first[0]}) if dated else frame.slice(1)
        dropped += 1
    return frame, dropped


def _json(content: bytes, name: str, order: tuple[str, ...] | None) -> RawTable:
    rows: Any = json.loads(content)
    if not isinstance(rows, list) or not rows or not all(isinstance(r, list) and len(r) >= 6 for r in rows):
        raise DataInvalid(
            f"{name} is no array of candles.", "Expected [[time, open, high, low, close, volume], ...].",
            "Write it like that, or as CSV.",
        )  # fmt: skip
    cells = [[None if v is None else str(v) for v in row[:6]] for row in rows]
    frame = pl.DataFrame(cells, schema=dict.fromkeys(JSON_ORDER, pl.String()), orient="row")
    return RawTable(frame, name, "json", header=False, width=min(len(row) for row in rows))


def _parquet(content: bytes, name: str, order: tuple[str, ...] | None) -> RawTable:
    frame = pl.read_parquet(io.BytesIO(content))
    return RawTable(frame, name, "parquet", header=True, width=frame.width)


def _separator(line: str) -> str:
    return max(",;\t|", key=line.count)
