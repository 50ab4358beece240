"""The ways well-known places write their files: recognised by what is written, named in the answer, never assumed.

A layout says what a file itself does not: the order of its columns, how its prices are scaled, what its volume counts,
when a price was known. What no layout fits is a plain table, whose columns tell by their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import polars as pl

from forecastle.errors import DataInvalid, NameUnknown
from forecastle.nouns import Instrument
from forecastle.nouns.candles import Adjusted, Prices
from forecastle.sources._table import RawTable, is_number, plain_name

Volume = Literal["base", "quote", "shares", "unknown", "none"]
"""What a volume counts: ``base`` and ``quote`` are currencies of the pair; ``none`` where the file has no volume."""
Order = tuple[str, ...]

CANDLES: Order = ("open_time", "open", "high", "low", "close", "volume")
KLINES: Order = (*CANDLES, "-", "-", "-", "-", "-", "-")
OCHL: Order = ("open_time", "open", "close", "high", "low", "volume")
_LEAN_DAY = re.compile(r"^\d{8} \d{2}:\d{2}$")
_LEAN_MEMBER = re.compile(r"^(\d{8})_.*trade", re.IGNORECASE)
_MIDNIGHT_MS = 86_400_000


@dataclass(frozen=True)
class Layout:
    """What is known of a way to write candles.

    ``order`` names the columns by position where the file has no header, ``columns`` those whose names do not tell;
    prices are divided by ``scale``; ``shift`` leads from the time written to the open of the bar; ``zone`` is that of
    times written without one.
    """

    name: str
    order: Order | None = None
    columns: tuple[tuple[str, str], ...] = ()
    volume: Volume = "unknown"
    prices: Prices = "ohlc"
    adjusted: Adjusted | None = None
    scale: float = 1.0
    shift: timedelta = timedelta()
    zone: str | None = None
    time_format: str | None = None
    date_in_name: bool = False


PLAIN = Layout("plain table")
BINANCE = Layout("binance archive", KLINES, volume="base")
BITFINEX = Layout("bitfinex", OCHL, volume="base")
LEAN = Layout("lean", CANDLES, adjusted="none", time_format="%Y%m%d %H:%M")
COINGECKO = Layout(
    "coingecko export", columns=(("open_time", "snapped_at"), ("close", "price"), ("volume", "total_volume")),
    volume="quote", prices="close", shift=timedelta(days=-1),
)  # fmt: skip
"""The price stamped day D 00:00 is known when D begins: it is the close of the day before."""
CRYPTODATADOWNLOAD = Layout("cryptodatadownload", volume="base", zone="UTC")
YAHOO = Layout("yahoo")
IBKR = Layout("ibkr", adjusted="splits")
BITSTAMP = Layout("kaggle bitstamp", volume="base")
ARRAYS = Layout("ccxt arrays", CANDLES, volume="base")

LAYOUTS: Mapping[str, Layout] = {
    "binance": BINANCE, "bitfinex": BITFINEX, "ccxt": ARRAYS, "coingecko": COINGECKO,
    "cryptodatadownload": CRYPTODATADOWNLOAD, "ibkr": IBKR, "kaggle-bitstamp": BITSTAMP, "lean": LEAN, "plain": PLAIN,
    "yahoo": YAHOO,
}  # fmt: skip
"""What ``--layout`` takes."""


def layout_named(name: str) -> Layout:
    """Return the layout the user names; raises ``NameUnknown``."""
    if name not in LAYOUTS:
        raise NameUnknown("layout", name, LAYOUTS)
    return LAYOUTS[name]


def recognised(table: RawTable) -> Layout:
    """Return the layout a table is written in, ``PLAIN`` where it is none of those known."""
    return next((layout for layout, fits in _SIGNS if fits(table)), PLAIN)


def settled(layout: Layout, table: RawTable, instrument: Instrument) -> Layout:
    """Return the layout with what depends on the instrument: scale, zone, unit of the volume, adjustment.

    Raises ``DataInvalid`` where the scale of the prices cannot be told.
    """
    if layout.name == LEAN.name:
        layout = _lean_of(layout, table, instrument)
    if layout.name == YAHOO.name:
        layout = replace(layout, volume="quote" if instrument.kind == "pair" else "unknown", adjusted=_yahoos(table))
    if layout.name == BINANCE.name and instrument.kind == "perpetual" and instrument.quote == "USD":
        layout = replace(layout, volume="unknown")  # coin-margined contracts are counted, not coins
    if instrument.kind == "stock":
        return replace(layout, volume="shares")
    return layout if layout.adjusted == "none" else replace(layout, adjusted=None)  # only shares split


def _names(table: RawTable) -> set[str]:
    return {plain_name(c) for c in table.frame.columns} if table.header else set()


def _first_cells(table: RawTable) -> list[str]:
    return [str(cell or "").strip() for cell in table.frame.row(0)]


def _is_binance(table: RawTable) -> bool:
    """Twelve columns: close_time stands in the seventh, a moment before the next open."""
    if table.header or table.kind != "csv":
        names = _names(table)
        return len(names) == 12 and {"open_time", "close_time", *CANDLES} <= names
    cells = _first_cells(table)
    if len(cells) != 12 or not all(is_number(c) for c in cells):
        return False
    opens, closes = float(cells[0]), float(cells[6])
    return 1e11 <= opens < closes and len(cells[0]) == len(cells[6])


def _is_lean(table: RawTable) -> bool:
    """No header, six columns: "20240131 00:00" first, or milliseconds of the day and the date in the file's name."""
    if table.header or table.kind != "csv" or table.width != len(CANDLES):
        return False
    first = _first_cells(table)[0]
    intraday = first.isdigit() and int(first) < _MIDNIGHT_MS and _LEAN_MEMBER.match(table.name) is not None
    return _LEAN_DAY.match(first) is not None or intraday


def _is_bitstamp(table: RawTable) -> bool:
    names = _names(table)
    return {"timestamp", "volume_(currency)", "weighted_price"} <= names


def _is_ibkr(table: RawTable) -> bool:
    names = _names(table)
    return {"open", "close"} <= names and bool(names & {"wap", "average"}) and bool(names & {"count", "barcount"})


def _is_yahoo(table: RawTable) -> bool:
    names = _names(table)
    written = {"open", "high", "low", "close", "adj_close", "volume"} <= names and bool(names & {"date", "datetime"})
    return table.below > 0 or written


def _is_cryptodatadownload(table: RawTable) -> bool:
    return any("cryptodatadownload" in line.lower() for line in table.above)


def _is_coingecko(table: RawTable) -> bool:
    return {"snapped_at", "price", "total_volume"} <= _names(table)


_SIGNS: tuple[tuple[Layout, Callable[[RawTable], bool]], ...] = (
    (ARRAYS, lambda table: table.kind == "json"),
    (CRYPTODATADOWNLOAD, _is_cryptodatadownload),
    (COINGECKO, _is_coingecko),
    (BINANCE, _is_binance),
    (LEAN, _is_lean),
    (BITSTAMP, _is_bitstamp),
    (IBKR, _is_ibkr),
    (YAHOO, _is_yahoo),
)


def _yahoos(table: RawTable) -> Adjusted | None:
    """Beside an "Adj Close" the others are adjusted for splits; where it is absent yfinance has applied both."""
    if "adj_close" in _names(table):
        return "splits"
    return "splits_dividends" if table.below else None


def _lean_of(layout: Layout, table: RawTable, instrument: Instrument) -> Layout:
    """LEAN writes prices of shares in ten-thousandths of a dollar, those of crypto as they are."""
    if table.header or table.kind != "csv" or table.width != len(CANDLES):
        raise DataInvalid(
            f"{table.name} is no file of LEAN.", "LEAN writes CSV with six columns and no header.",
            "Leave --layout out, or name another.",
        )  # fmt: skip
    zone = "UTC" if instrument.always_open else "America/New_York" if instrument.calendar == "XNYS" else None
    layout = replace(layout, zone=zone, date_in_name=not _LEAN_DAY.match(_first_cells(table)[0]))
    if instrument.always_open:
        return replace(layout, volume="base")
    if instrument.kind != "stock" or not _in_ten_thousandths(table.frame):
        raise DataInvalid(
            f"{table.name} looks like a file of LEAN, and its prices are not in ten-thousandths of a dollar.",
            f"LEAN writes shares in whole ten-thousandths, so 13.63 is 136300; {instrument} does not fit that.",
            "If it is no file of LEAN say --layout plain, with --columns, --time-format and --timezone.",
        )
    return replace(layout, scale=10_000.0)


def _in_ten_thousandths(frame: pl.DataFrame) -> bool:
    """Return whether all prices are whole numbers, and most stand for ten cents or more."""
    prices = frame.select(pl.nth(1, 2, 3, 4).str.strip_chars().cast(pl.Float64, strict=False))
    whole = prices.select(pl.all_horizontal((pl.all() % 1 == 0).fill_null(value=True)).all()).item()
    return bool(whole) and bool((prices.to_series(3).median() or 0.0) >= 1000.0)  # type: ignore[operator]


def date_in(name: str) -> str | None:
    """Return the date LEAN writes into the name of a file of one day, such as ``20240131``, or None."""
    found = _LEAN_MEMBER.match(name)
    return found[1] if found else None
