"""The folder of real market data as rows with the columns of candles: small readers of our own, one for each form.

They are apart from the readers of ``forecastle.sources`` on purpose: what is said about quality in docs does not hang
on what a file reader makes of a file.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from forecastle.errors import RequestInvalid
from forecastle.nouns import Instrument
from forecastle.nouns.candles import SCHEMA, Adjusted, Prices
from forecastle.sessions import Timeframe, Times, calendar, is_intraday, step_of

NUMBERS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Series:
    """One series of the set: ``rows`` have the columns of candles in the order of the file, times in UTC.

    ``texts`` are the times as written; ``actions`` the columns ``open_time close adj_close dividend split`` where the
    file has them.
    """

    group: str
    name: str
    instrument: Instrument
    timeframe: Timeframe
    rows: pl.DataFrame
    texts: pl.Series
    adjusted: Adjusted
    prices: Prices = "ohlc"
    actions: pl.DataFrame | None = None


@dataclass(frozen=True)
class _Form:
    """What a folder holds: how to read it, and what its prices are."""

    read: Callable[[Path], pl.DataFrame]
    timeframe: Timeframe
    instrument: Callable[[str], str]
    adjusted: Adjusted = "none"
    prices: Prices = "ohlc"


def clean(data: Path) -> Iterator[Series]:
    """Yield the series that are said to be clean, folder by folder and file by file in the order of their names."""
    for folder in sorted(_FORMS):
        for path in sorted(p for p in (data / folder).iterdir() if p.is_file()):
            if not path.name.startswith("vix."):  # levels without a bar
                yield _series(folder, path)
    yield _bitfinex(data / "crypto/1m/bitfinex")
    yield from _closes(data / "stocks/1d/closes_1990_2022/sp500_dataset.csv.gz")


def read_clean(data: Path, folder: str, file: str) -> Series:
    """Read one clean file of a folder."""
    return _series(folder, data / folder / file)


def dirty(path: Path) -> Series:
    """Read one file of ``known_dirty``."""
    if path.suffix == ".zip":
        return _from(path, _Form(_lean_equity, "1d", str), "known_dirty", path.stem.upper())
    if path.parent.name == "yahoo_symbols":
        return _from(path, _YAHOO_PAIR, "known_dirty", path.stem)
    if path.name.startswith("AAPL_1h"):
        return _from(path, _Form(_csv, "1h", str, "splits"), "known_dirty", "AAPL")
    symbol, _, rest = path.stem.replace("JENYX-", "JENYX-US-").partition("-")
    suffix = rest.partition("-")[0]
    name = symbol if suffix == "US" else f"{symbol}.{ {'IL': 'XLON'}.get(suffix, suffix) }"
    form = _Form(_csv, "1h" if "-1h-" in path.name else "1d", str, "splits")
    return _from(path, form, "known_dirty", name)


def factors(path: Path) -> list[tuple[np.datetime64, float]]:
    """Return (last day before, ratio of shares) of the splits that a LEAN factor file tells."""
    rows = [line.split(",") for line in path.read_text().split()]
    pairs = itertools.pairwise(rows)
    return [
        (np.datetime64(f"{a[0][:4]}-{a[0][4:6]}-{a[0][6:]}"), float(b[2]) / float(a[2]))
        for a, b in pairs
        if a[2] != b[2]
    ]


def _series(folder: str, path: Path) -> Series:
    form = _FORMS[folder]
    return _from(path, form, folder, form.instrument(path.name))


def _from(path: Path, form: _Form, group: str, name: str) -> Series:
    table = form.read(path)
    instrument = _instrument(name)
    rows = _rows(table, instrument, form.timeframe)
    series = Series(group, path.name, instrument, form.timeframe, rows, table["time"], form.adjusted, form.prices)
    if "dividend" not in table.columns:
        return series
    actions = rows.select("open_time", "close").with_columns(table.select("adj_close", "dividend", "split"))
    return replace(series, actions=actions)


def _instrument(name: str) -> Instrument:
    try:
        return Instrument.parse(name)
    except RequestInvalid:  # a name that is none of ours, such as SAMSUNG
        return Instrument(name, "stock", name, "KRW", "XKRX")


def _rows(table: pl.DataFrame, instrument: Instrument, timeframe: Timeframe) -> pl.DataFrame:
    """Add the open and close of each bar: of a stock's day its session, or the day where the calendar has none."""
    opens = table["moment"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    step = step_of(timeframe) or np.timedelta64(1, "D")
    closes = np.asarray(opens + step, dtype="datetime64[us]")
    if not instrument.always_open and not is_intraday(timeframe):
        days = opens.astype("datetime64[D]")
        starts, ends = calendar(instrument.calendar).bars(days.min() - 9, days.max() + 9, timeframe)
        known = ends.astype("datetime64[D]")
        place = np.minimum(np.searchsorted(known, days), known.size - 1)
        inside = known[place] == days
        opens, closes = np.where(inside, starts[place], opens), np.where(inside, ends[place], closes)
    if is_intraday(timeframe) and not instrument.always_open:
        closes = _cut(opens, closes)
    times = {"open_time": opens.astype("datetime64[us]"), "close_time": closes.astype("datetime64[us]")}
    frame = pl.DataFrame(times).with_columns(pl.all().dt.replace_time_zone("UTC"))
    return frame.with_columns(table.select(NUMBERS)).select(list(SCHEMA))


def _cut(open_time: Times, close_time: Times) -> Times:
    """End the first bar of a day where the next begins: venues that cut on the hour begin with half of one."""
    days = open_time.astype("datetime64[D]")
    first = np.r_[True, days[1:] != days[:-1]]
    following = np.r_[open_time[1:], close_time[-1:]]
    return np.where(first & (following > open_time), np.minimum(close_time, following), close_time)


def _moments(text: pl.Series) -> pl.Series:
    """Return the moments of texts: with an offset in UTC, and a date, or a midnight with an offset, as that date."""
    midnight = text.str.extract(r"^(\d{4}-\d{2}-\d{2})(?:[ T]00:00:00.*)?$")
    dates = midnight.str.to_datetime("%Y-%m-%d", time_unit="us").dt.replace_time_zone("UTC")
    offsets = text.str.to_datetime("%Y-%m-%d %H:%M:%S%z", strict=False, time_unit="us")
    plain = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us").dt.replace_time_zone("UTC")
    return pl.select(pl.coalesce(dates, offsets, plain)).to_series()


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


_ALIASES = {
    "snapped_at": "time", "date": "time", "datetime": "time", "adj close": "adj_close", "dividends": "dividend",
    "stock splits": "split", "total_volume": "volume", "price": "close", "volume btc": "volume",
    "volume eth": "volume", "volume ltc": "volume", "volume xrp": "volume",
}  # fmt: skip


def _csv(path: Path) -> pl.DataFrame:
    lines = _text(path).splitlines()
    lines = lines[1:] if lines[0].startswith("Created") else lines
    table = pl.read_csv(io.StringIO("\n".join(lines)), infer_schema=False)
    table = table.rename({c: _ALIASES.get(c.lower(), c.lower()) for c in table.columns})
    table = table.filter(pl.col("time").fill_null("") != "")  # Yahoo's second header line has no date
    if "/" in str(table["time"][0]):
        days = table["time"].str.to_date("%m/%d/%Y").dt.to_string("%Y-%m-%d")
        table = table.with_columns(time=days)
    numbers = [c for c in (*NUMBERS, "adj_close", "dividend", "split") if c in table.columns]
    table = table.with_columns(pl.col(numbers).cast(pl.Float64))
    return _whole(table.with_columns(moment=_moments(table["time"].str.strip_suffix(" UTC"))))


def _whole(table: pl.DataFrame) -> pl.DataFrame:
    """Let open, high and low repeat the close where a file has no more."""
    missing = [pl.col("close").alias(c) for c in ("open", "high", "low") if c not in table.columns]
    return table.with_columns(missing)


def _json(path: Path) -> pl.DataFrame:
    cells = json.loads(_text(path))
    table = pl.DataFrame(cells, schema=["ms", *NUMBERS], orient="row").with_columns(pl.col(NUMBERS).cast(pl.Float64))
    moment = pl.col("ms").cast(pl.Int64).cast(pl.Datetime("ms")).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return table.with_columns(moment=moment, time=pl.col("ms").cast(pl.String))


def _lean(path: Path, scale: float) -> pl.DataFrame:
    with zipfile.ZipFile(path) as archive:
        content = archive.read(archive.namelist()[0])
    table = pl.read_csv(
        content, has_header=False, new_columns=["time", *NUMBERS], schema_overrides={"column_1": pl.String}
    )
    prices = [pl.col(c).cast(pl.Float64) * scale for c in NUMBERS[:4]]
    moment = pl.col("time").str.to_datetime("%Y%m%d %H:%M", time_unit="us").dt.replace_time_zone("UTC")
    return table.with_columns(*prices, volume=pl.col("volume").cast(pl.Float64), moment=moment)


def _lean_equity(path: Path) -> pl.DataFrame:
    return _lean(path, 1e-4)


def _lean_crypto(path: Path) -> pl.DataFrame:
    return _lean(path, 1.0)


def _bitfinex(folder: Path) -> Series:
    order = ["ms", "open", "close", "high", "low", "volume"]
    files = [pl.read_csv(p, has_header=False, new_columns=order) for p in sorted(folder.glob("BTCUSD_*.csv.gz"))]
    table = pl.concat([f.with_columns(pl.all().exclude("ms").cast(pl.Float64)) for f in files])
    moment = pl.col("ms").cast(pl.Datetime("ms")).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    table = table.with_columns(moment=moment, time=pl.col("ms").cast(pl.String))
    pair = Instrument.parse("BTC-USD")
    rows = _rows(table, pair, "1m")
    return Series("crypto/1m/bitfinex", "BTCUSD_*.csv.gz", pair, "1m", rows, table["time"], "none")


def _closes(path: Path) -> Iterator[Series]:
    table = pl.read_csv(path, infer_schema=False).rename({"Date": "time"})
    table = table.with_columns(moment=_moments(table["time"]))
    for name in table.columns[1:-1]:
        close = pl.col(name).cast(pl.Float64)
        columns = [close.alias(c) for c in NUMBERS[:4]]
        one = table.select("time", "moment", *columns, volume=pl.lit(0.0))
        rows = _rows(one, Instrument.parse(name), "1d")
        yield Series(
            "stocks/1d/closes_1990_2022",
            name,
            Instrument.parse(name),
            "1d",
            rows,
            one["time"],
            "splits_dividends",
            "close",
        )


def _pair(name: str) -> str:
    """ADA_USDT-1d.json.gz is ADA-USDT."""
    return name.split(".")[0].split("-1")[0].split("-5m")[0].replace("_USDT_USDT", "_USDT").replace("_", "-")


def _stem(name: str) -> str:
    return name.split(".")[0].split("_1h")[0]


def _index(name: str) -> str:
    return {"nasdaq": "IXIC.INDEX", "sp500": "SPX.INDEX"}.get(_stem(name), f"{_stem(name)}.INDEX")


_YAHOO_PAIR = _Form(_csv, "1d", lambda name: name.removesuffix(".csv"), "none")
_FORMS: dict[str, _Form] = {
    "crypto/1d/binance_2017_2022": _Form(_json, "1d", _pair),
    "crypto/1d/binance_2024a": _Form(_csv, "1d", _pair),
    "crypto/1d/binance_2024b": _Form(_csv, "1d", _pair),
    "crypto/1d/coinbase_lean": _Form(_lean_crypto, "1d", lambda _: "BTC-USD"),
    "crypto/1d/coingecko": _Form(_csv, "1d", lambda n: f"{n[:3].upper()}-USD", prices="close"),
    "crypto/1d/kraken_cdd": _Form(_csv, "1d", lambda n: f"{n[7:10]}-USD"),
    "crypto/1d/yahoo": _YAHOO_PAIR,
    "crypto/1h/binance_2017_2022": _Form(_json, "1h", _pair),
    "crypto/1h/binance_2021_2025": _Form(_csv, "1h", lambda _: "BTC-USDT"),
    "crypto/1h/binance_2024a": _Form(_csv, "1h", _pair),
    "crypto/1h/binance_2024b": _Form(_csv, "1h", _pair),
    "crypto/5m/binance_2024a": _Form(_csv, "5m", _pair),
    "crypto/5m/binance_2024b": _Form(_csv, "5m", _pair),
    "index/1d/ibkr": _Form(_csv, "1d", _index, "splits"),
    "index/1d/yahoo_1999_2018": _Form(_csv, "1d", _index, "splits"),
    "stocks/1d/ibkr": _Form(_csv, "1d", _stem, "splits"),
    "stocks/1d/lean_raw": _Form(_lean_equity, "1d", _stem),
    "stocks/1d/yahoo": _Form(_csv, "1d", _stem, "splits_dividends"),
    "stocks/1h/ibkr": _Form(_csv, "1h", _stem, "splits"),
    "stocks/1h/yahoo": _Form(_csv, "1h", _stem, "splits"),
}  # fmt: skip
