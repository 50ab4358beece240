"""Which column of a table is what: told by position, by name, by the layout, or by the names of the columns."""

from __future__ import annotations

import polars as pl

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import Instrument
from forecastle.nouns.candles import Prices
from forecastle.sources._layouts import OCHL, Layout
from forecastle.sources._table import NAMES, TIME_NAMES, RawTable, is_number, plain_name

NEEDED: dict[Prices, tuple[str, ...]] = {"ohlc": ("open_time", *NAMES), "close": ("open_time", "close")}
"""Without these there are no candles; where only the close is known a volume is welcome and may be absent."""


def order_of(columns: str | None) -> tuple[str, ...] | None:
    """Return the columns the user names by position, None where they are named by name or not at all."""
    if not columns or "=" in columns:
        return None
    return tuple("-" if n.strip() == "-" else _our_name(n.strip()) for n in columns.split(","))


def columns_of(
    table: RawTable, layout: Layout, instrument: Instrument, columns: str | None, prices: Prices
) -> dict[str, str]:
    """Return ``{our name: column of the file}``.

    ``columns`` overrides: ``open_time,open,high,low,close,volume`` names the columns by position (``-`` skips one),
    ``close=Last,volume=Qty`` renames single ones. Raises ``DataInvalid`` where a column is not found.
    """
    if order := order_of(columns):
        return _by_position(table.frame, order, prices)
    named = _by_words(table.frame, columns)
    if not table.header and layout.order:
        places = zip(layout.order, table.frame.columns, strict=False)
        return _whole(table, {ours: theirs for ours, theirs in places if ours != "-"} | named, prices)
    found = {ours: _their_column(table.frame, theirs) for ours, theirs in layout.columns} | named
    found = _by_name(table.frame, instrument, set(found)) | found
    return _whole(table, found, prices)


def _whole(table: RawTable, found: dict[str, str], prices: Prices) -> dict[str, str]:
    """Return the columns that are needed, or raise ``DataInvalid`` where one is missing."""
    if missing := [name for name in NEEDED[prices] if name not in found]:
        raise _absent(table, missing, found)
    wanted = [*NEEDED["close"], "volume"] if prices == "close" else NEEDED["ohlc"]
    return {name: found[name] for name in wanted if name in found}


def time_column(frame: pl.DataFrame) -> str:
    """Return the column of the times, by its name. Raises ``DataInvalid`` where there is none."""
    found = _only({"open_time": TIME_NAMES}, frame)
    if "open_time" not in found:
        raise DataInvalid(
            "The file has no column of times.", f"Its columns are {', '.join(frame.columns[:12])}.",
            "Name the one that says when.",
        )  # fmt: skip
    return found["open_time"]


def _by_name(frame: pl.DataFrame, instrument: Instrument, named: set[str]) -> dict[str, str]:
    """Return the columns that tell by their name what they hold, but for those that are ``named`` already.

    Of several volumes that of the base currency wins: "Volume BTC" for BTC-USD.
    """
    base = instrument.base.lower()
    aliases: dict[str, tuple[str, ...]] = {name: (name,) for name in NAMES} | {
        "volume": (f"volume_{base}", f"volume_({base})", "volume_(base)", "volume", "vol"),
        "open_time": TIME_NAMES,
    }
    return _only({name: names for name, names in aliases.items() if name not in named}, frame)


def _only(aliases: dict[str, tuple[str, ...]], frame: pl.DataFrame) -> dict[str, str]:
    """Return the first alias that names one column; raises ``DataInvalid`` where it names several."""
    columns: dict[str, list[str]] = {}
    for column in frame.columns:
        columns.setdefault(plain_name(column), []).append(column)
    found: dict[str, str] = {}
    for name, names in aliases.items():
        same = next((columns[alias] for alias in names if alias in columns), [])
        if len(same) > 1:
            raise DataInvalid(
                f"The file has {len(same)} columns for {name}.",
                f"All are called {same[0]}, and Forecastle does not choose between them.",
                f"Leave one out, or name it: --columns {name}={same[1]}.",
            )
        if same:
            found[name] = same[0]
    return found


def _absent(table: RawTable, missing: list[str], found: dict[str, str]) -> DataInvalid:
    """Say what is missing, and what the file may be instead."""
    hint = (
        "Name them, for example --columns open_time=Date,close=Last, or by position for a file without a header: "
        "--columns open_time,open,high,low,close,volume."
    )
    if not table.header and table.width == len(OCHL) and _reads_as_ochl(table.frame):
        hint = "Its rows fit the order of Bitfinex (open, close, high, low): say --layout bitfinex if it is."
    elif {"open_time", "close"} <= found.keys() and not {"open", "high", "low"} & found.keys():
        hint = "If it has only closes say so: --prices close, with --columns close=Last where it is called otherwise."
    return DataInvalid(
        f"The file has no column for {', '.join(missing)}.", f"Its columns are {', '.join(table.frame.columns[:12])}.",
        hint,
    )  # fmt: skip


def _reads_as_ochl(frame: pl.DataFrame) -> bool:
    """Return whether the rows are bars as open, close, high, low and are none as open, high, low, close."""
    head = frame.head(10_000)
    if not all(is_number(str(cell)) for cell in head.row(0)):
        return False
    a, b, c, d = head.select(pl.nth(1, 2, 3, 4).cast(pl.Float64, strict=False)).get_columns()
    return breaking(a, c, d, b) == 0 < breaking(a, b, c, d)


def breaking(opens: pl.Series, highs: pl.Series, lows: pl.Series, closes: pl.Series) -> int:
    """Return how many rows are no bars: open or close lies outside low to high."""
    frame = pl.DataFrame({"o": opens, "h": highs, "l": lows, "c": closes})
    wrong = (pl.col("l") > pl.min_horizontal("o", "c")) | (pl.col("h") < pl.max_horizontal("o", "c"))
    return int(frame.select(wrong.sum()).item())


def _by_position(frame: pl.DataFrame, order: tuple[str, ...], prices: Prices) -> dict[str, str]:
    if len(order) > frame.width:
        raise RequestInvalid(f"--columns names {len(order)} columns.", f"The file has {frame.width}.", "Name fewer.")
    pairs = {ours: theirs for ours, theirs in zip(order, frame.columns, strict=False) if ours != "-"}
    if len(pairs) < sum(name != "-" for name in order):
        raise RequestInvalid(
            "--columns names one column twice.", f"It says {','.join(order)}.", "Use - to skip a column."
        )
    if missing := [n for n in NEEDED[prices] if n not in pairs]:
        raise RequestInvalid(
            f"--columns leaves out {', '.join(missing)}.", f"Candles need {', '.join(NEEDED[prices])}.",
            "Write open_time,open,high,low,close,volume in the order of the file; - skips a column.",
        )  # fmt: skip
    return pairs


def _by_words(frame: pl.DataFrame, columns: str | None) -> dict[str, str]:
    named = {}
    for pair in columns.split(",") if columns else ():
        name, _, column = (part.strip() for part in pair.partition("="))
        named[_our_name(name)] = _their_column(frame, column)
    return named


def _our_name(name: str) -> str:
    name = "open_time" if name in ("time", "date", "timestamp") else name
    if name not in ("open_time", *NAMES):
        raise RequestInvalid(
            f"'{name}' is no column of candles.", f"Known: open_time, {', '.join(NAMES)}.", "Name one of these."
        )
    return name


def _their_column(frame: pl.DataFrame, column: str) -> str:
    if column not in frame.columns:
        raise RequestInvalid(
            f"The file has no column '{column}'.", f"It has {', '.join(frame.columns[:12])}.", "Name one of these."
        )
    return column
