"""Files as people have them: every layout that is read, and every one that is refused with the reason."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from forecastle.errors import DataInvalid, DataMissing, NameUnknown, RequestInvalid
from forecastle.nouns import Candles, Instrument
from forecastle.requests import ImportRequest
from forecastle.sessions import Timeframe
from forecastle.sources.file import read_file
from making import BTC, make_candles, utc

NAMES = ("open", "high", "low", "close", "volume")
AAPL = Instrument.parse("AAPL")
DAYS = make_candles(5)
HOURS = make_candles(5, timeframe="1h", start="2024-03-09T22")
STOCK = make_candles(5, instrument="AAPL", start="2024-01-02")


def _read(
    path: Path, instrument: Instrument = BTC, timeframe: Timeframe = "1d",
    columns: str | None = None, zone: str | None = None, form: str | None = None,
) -> pl.DataFrame:  # fmt: skip
    request = ImportRequest(
        path=path, instrument=instrument, timeframe=timeframe, columns=columns, time_zone=zone, time_format=form
    )
    return read_file(request).rows


def _table(candles: Candles, times: list[Any]) -> pd.DataFrame:
    """Return a table with these times in the column ``date`` and the numbers of the candles."""
    return pd.DataFrame({"date": times, **{c: candles.frame[c].to_numpy() for c in NAMES}})


def _csv(table: pd.DataFrame, **kwargs: Any) -> bytes:
    text: str = table.to_csv(index=False, **kwargs)
    return text.encode()


def _opens(candles: Candles) -> list[datetime]:
    return [t.to_pydatetime() for t in pd.DatetimeIndex(candles.times("open_time"))]


def _iso(candles: Candles, form: str) -> list[str]:
    return [t.strftime(form) for t in _opens(candles)]


def _epoch(candles: Candles, unit: int) -> list[int]:
    return [int(t.replace(tzinfo=ZoneInfo("UTC")).timestamp()) * unit for t in _opens(candles)]


def _arrays(candles: Candles, unit: int = 1000) -> list[list[Any]]:
    return [[t, *row] for t, row in zip(_epoch(candles, unit), candles.frame.select(NAMES).rows(), strict=True)]


def _yahoo(candles: Candles) -> bytes:
    body = _csv(_table(candles, _iso(candles, "%Y-%m-%d"))).decode().split("\n", 1)[1]
    return f"Date,Open,High,Low,Close,Volume\n,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\n{body}".encode()


def _cryptodatadownload(candles: Candles) -> bytes:
    """Newest first, with the address in the first line, unix beside date, and two volumes."""
    table = _table(candles, _iso(candles, "%Y-%m-%d %H:%M:%S"))[::-1].rename(columns={"volume": "Volume BTC"})
    table.insert(0, "unix", _epoch(candles, 1000)[::-1])
    table.insert(2, "symbol", "BTC/USDT")
    table["Volume USDT"] = 1.0
    return b"https://www.CryptoDataDownload.com\n" + _csv(table)


UTC_TEXT = "%Y-%m-%d %H:%M:%S+00:00"
LAYOUTS: dict[str, tuple[str, bytes, Candles]] = {
    "binance, zone in each time": ("a.csv", _csv(_table(DAYS, _iso(DAYS, UTC_TEXT))), DAYS),
    "hours with zone": ("a.csv", _csv(_table(HOURS, _iso(HOURS, UTC_TEXT))), HOURS),
    "hours with Z": ("a.csv", _csv(_table(HOURS, _iso(HOURS, "%Y-%m-%dT%H:%M:%SZ"))), HOURS),
    "hours with UTC": ("a.csv", _csv(_table(HOURS, _iso(HOURS, "%Y-%m-%d %H:%M UTC"))), HOURS),
    "hours with a short offset": ("a.csv", _csv(_table(HOURS, _iso(HOURS, "%Y-%m-%d %H:%M:%S.000+0000"))), HOURS),
    "plain dates": ("a.csv", _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d"))), DAYS),
    "midnights": ("a.csv", _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d %H:%M:%S"))), DAYS),
    "yahoo with two header lines": ("a.csv", _yahoo(DAYS), DAYS),
    "cryptodatadownload": ("a.csv", _cryptodatadownload(DAYS), DAYS),
    "gzip": ("a.csv.gz", gzip.compress(_csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d")))), DAYS),
    "semicolons": ("a.csv", _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d")), sep=";"), DAYS),
    "tabs": ("a.txt", _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d")), sep="\t"), DAYS),
    "byte order mark": ("a.csv", b"\xef\xbb\xbf" + _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d"))), DAYS),
    "windows line ends": ("a.csv", _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d")), lineterminator="\r\n"), DAYS),
    "quoted cells": ("a.csv", _csv(_table(DAYS, _iso(DAYS, "%Y-%m-%d")), quoting=1), DAYS),
    "json of exchanges": ("a.json", json.dumps(_arrays(HOURS)).encode(), HOURS),
    "json with text numbers": ("a.json", json.dumps([[str(c) for c in r] for r in _arrays(HOURS)]).encode(), HOURS),
    "json with more columns": ("a.json", json.dumps([[*r, 7, "x"] for r in _arrays(HOURS)]).encode(), HOURS),
    "json gzip": ("a.json.gz", gzip.compress(json.dumps(_arrays(HOURS)).encode()), HOURS),
    "a stock's dates": ("a.csv", _csv(_table(STOCK, _iso(STOCK, "%Y-%m-%d"))), STOCK),
    "a stock's midnights in New York": ("a.csv", _csv(_table(STOCK, _iso(STOCK, "%Y-%m-%d 00:00:00-05:00"))), STOCK),
} | {
    f"epoch in {name}": ("a.csv", _csv(_table(HOURS, _epoch(HOURS, unit))), HOURS)
    for name, unit in {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}.items()
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_candles(tmp_path: Path, layout: str) -> None:
    name, content, wanted = LAYOUTS[layout]
    (tmp_path / name).write_bytes(content)
    rows = _read(tmp_path / name, wanted.instrument, wanted.timeframe)
    assert rows.sort("open_time").equals(wanted.frame)
    assert rows["open_time"].is_sorted(descending=layout == "cryptodatadownload"), "the order of the file is kept"


NEW_YORK = "America/New_York"
PARQUET: dict[str, tuple[Callable[[], pl.Series], Candles, str | None]] = {
    "aware": (lambda: HOURS.frame["open_time"], HOURS, None),
    "aware in New York": (lambda: HOURS.frame["open_time"].dt.convert_time_zone(NEW_YORK), HOURS, None),
    "nanoseconds": (lambda: HOURS.frame["open_time"].dt.cast_time_unit("ns"), HOURS, None),
    "naive, zone said": (
        lambda: HOURS.frame["open_time"].dt.convert_time_zone("Asia/Tokyo").dt.replace_time_zone(None),
        HOURS, "Asia/Tokyo",
    ),
    "naive midnights": (lambda: DAYS.frame["open_time"].dt.replace_time_zone(None), DAYS, None),
    "dates": (lambda: DAYS.frame["open_time"].dt.date(), DAYS, None),
    "integers": (lambda: HOURS.frame["open_time"].dt.epoch("ms"), HOURS, None),
    "text": (lambda: HOURS.frame["open_time"].dt.to_string("iso"), HOURS, None),
    "a stock's dates": (lambda: STOCK.frame["open_time"].dt.date(), STOCK, None),
    "a stock's closes, aware": (lambda: STOCK.frame["close_time"].dt.convert_time_zone(NEW_YORK), STOCK, None),
    "a stock's naive midnights": (lambda: STOCK.frame["open_time"].dt.date().cast(pl.Datetime("ms")), STOCK, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", PARQUET)
def test_parquet_times_of_every_type(tmp_path: Path, kind: str) -> None:
    times, wanted, zone = PARQUET[kind]
    wanted.frame.select(NAMES).with_columns(times().alias("timestamp")).write_parquet(tmp_path / "a.parquet")
    assert _read(tmp_path / "a.parquet", wanted.instrument, wanted.timeframe, zone=zone).equals(wanted.frame)


@pytest.mark.parametrize(
    ("ticker", "zone", "day"),
    [("4063.T", "Asia/Tokyo", date(2024, 1, 4)), ("SAP.DE", "Europe/Berlin", date(2024, 7, 1)),
     ("BHP.AX", "Australia/Sydney", date(2024, 1, 8)), ("AAPL", NEW_YORK, date(2024, 7, 1))],
)  # fmt: skip
def test_a_stocks_day_is_the_date_as_written_on_any_clock(tmp_path: Path, ticker: str, zone: str, day: date) -> None:
    """Midnight in Tokyo, Berlin or Sydney is the day before in UTC, and still that session."""
    what = Instrument.parse(ticker)
    wanted = make_candles(5, instrument=ticker, start=str(day - timedelta(days=1)) + "T12")
    days = [c.date() for c in wanted.frame["close_time"]]  # these markets close on the UTC date of their session
    assert days[0] == day
    aware = [datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)) for d in days]
    wanted.frame.select(NAMES).with_columns(date=pl.Series(aware, dtype=pl.Datetime("us", zone))).write_parquet(
        tmp_path / "a.parquet"
    )
    (tmp_path / "a.csv").write_bytes(_csv(_table(wanted, [t.isoformat(" ") for t in aware])))
    (tmp_path / "b.csv").write_bytes(_csv(_table(wanted, [t.strftime("%d.%m.%Y %H:%M %z") for t in aware])))
    (tmp_path / "c.csv").write_bytes(_csv(_table(wanted, [t.strftime("%d.%m.%Y") for t in aware])))
    forms = {"a.parquet": None, "a.csv": None, "b.csv": "%d.%m.%Y %H:%M %z", "c.csv": "%d.%m.%Y"}
    for name, form in forms.items():
        assert _read(tmp_path / name, what, form=form).equals(wanted.frame), name


@pytest.mark.parametrize("timeframe", ["1w", "1mo"])
def test_a_stocks_week_or_month_may_be_dated_by_any_of_its_days(tmp_path: Path, timeframe: Timeframe) -> None:
    wanted = make_candles(4, instrument="AAPL", timeframe=timeframe, start="2024-01-01")
    for column in ("open_time", "close_time"):
        days = [str(t)[:10] for t in wanted.times(column)]
        (tmp_path / "a.csv").write_bytes(_csv(_table(wanted, days)))
        assert _read(tmp_path / "a.csv", AAPL, timeframe).equals(wanted.frame)


def test_columns_by_position_read_a_file_without_header(tmp_path: Path) -> None:
    """Bitfinex writes close before high and low."""
    (tmp_path / "a.csv").write_text(
        "\n".join(f"{t},{o},{c},{h},{lo},{v},x" for t, o, h, lo, c, v in _arrays(HOURS)), encoding="utf-8"
    )
    order = "open_time,open,close,high,low,volume"
    assert _read(tmp_path / "a.csv", BTC, "1h", order).equals(HOURS.frame)
    with pytest.raises(DataInvalid, match="no column for open_time"):
        _read(tmp_path / "a.csv", BTC, "1h")


def test_columns_by_position_may_skip_some(tmp_path: Path) -> None:
    table = _table(HOURS, _epoch(HOURS, 1000))
    table.insert(1, "junk", "x")
    (tmp_path / "a.csv").write_bytes(_csv(table))
    assert _read(tmp_path / "a.csv", BTC, "1h", "time,-,open,high,low,close,volume").equals(HOURS.frame)


def test_columns_by_name_override_the_guess(tmp_path: Path) -> None:
    table = _table(HOURS, _epoch(HOURS, 1000)).rename(columns={"close": "Last Price", "volume": "Qty"})
    table["close"] = -1.0
    (tmp_path / "a.csv").write_bytes(_csv(table))
    assert _read(tmp_path / "a.csv", BTC, "1h", "close=Last Price, volume=Qty").equals(HOURS.frame)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("open_time,open", "leaves out high, low, close, volume"),
        ("time,open,high,low,close,volume,close", "names one column twice"),
        ("time,open,high,low,close,volume,-,-", "names 8 columns"),
        ("time,open,high,low,close,amount", "'amount' is no column of candles"),
        ("close=Nope", "no column 'Nope'"),
        ("nope=close", "'nope' is no column of candles"),
    ],
)
def test_columns_that_cannot_be_are_refused(tmp_path: Path, columns: str, words: str) -> None:
    table = _table(HOURS, _epoch(HOURS, 1000))
    table["more"] = 1.0
    (tmp_path / "a.csv").write_bytes(_csv(table))
    with pytest.raises(RequestInvalid, match=words):
        _read(tmp_path / "a.csv", BTC, "1h", columns)


@pytest.mark.parametrize(
    ("form", "zone"),
    [("%d.%m.%Y %H:%M", "UTC"), ("%m/%d/%Y %I:%M %p", "UTC"), ("%m/%d/%Y %T", "UTC"), ("%d/%m/%y %H:%M:%S %z", None)],
)
def test_a_time_format_reads_other_ways_of_writing(tmp_path: Path, form: str, zone: str | None) -> None:
    times = [t.replace(tzinfo=ZoneInfo("UTC")).strftime(form) for t in _opens(HOURS)]
    (tmp_path / "a.csv").write_bytes(_csv(_table(HOURS, times)))
    assert _read(tmp_path / "a.csv", BTC, "1h", zone=zone, form=form).equals(HOURS.frame)


def test_times_of_a_zone_are_moved_to_utc_over_the_clock_change(tmp_path: Path) -> None:
    """New York 2024-03-10 by zoneinfo: 01:00 EST is followed by 03:00 EDT, one hour later."""
    local = [t.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(NEW_YORK)) for t in _opens(make_candles(
        5, timeframe="1h", start="2024-03-10T05"))]  # fmt: skip
    assert [t.hour for t in local] == [0, 1, 3, 4, 5]
    (tmp_path / "a.csv").write_bytes(_csv(_table(HOURS, [t.strftime("%Y-%m-%d %H:%M") for t in local])))
    rows = _read(tmp_path / "a.csv", BTC, "1h", zone=NEW_YORK)
    assert [t.hour for t in rows["open_time"]] == [5, 6, 7, 8, 9]


HEAD = "date,open,high,low,close,volume\n"
OK = "1,2,0.5,1.5,10"


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


NO_FILE_OF_CANDLES: dict[str, tuple[str, str | bytes, str]] = {
    # why it is refused: the file, what is in it, what is told
    "wrong columns": ("a.csv", "a,b\n1,2\n", "no column for open_time, open, high"),
    "one missing": ("a.csv", "date,open,high,low,close\n2024-01-01,1,2,1,1", "no column for volume"),
    "a name twice": ("a.csv", f"{HEAD.strip()},close\n2024-01-01,{OK},1\n", "2 columns for close"),
    "a name in two cases": ("a.csv", f"{HEAD.strip()},Date\n2024-01-01,{OK},1\n", "2 columns for open_time"),
    "empty": ("a.csv", "", r"a\.csv is empty"),
    "white space": ("a.csv", " \n\n", r"a\.csv is empty"),
    "header only": ("a.csv", HEAD, "holds no rows"),
    "binary": ("a.csv", bytes(range(256)), "no readable csv"),
    "another kind": ("a.xlsx", "x", "no file of a kind"),
    "ragged": ("a.csv", f"{HEAD}2024-01-01,{OK},7\n", "no readable csv"),
    "text for most prices": (
        "a.csv", f"{HEAD}2024-01-01,{OK}\n2024-01-02,1,2,abc,1,1\n2024-01-03,1,2,x,1,1",
        r"'abc' in column low \(data row 2\)",
    ),
    "nothing but times": (
        "a.csv", f"{HEAD}2024-01-01,,,,,\n2024-01-02,nan,null,,NaN,\n", "No row of the file has a number",
    ),
    "grouped number": ("a.csv", HEAD + '2024-01-01,"1,000.5",2,1,1,1', "'1,000.5' in column open"),
    "gzip, cut": ("a.csv.gz", gzip.compress(HEAD.encode() * 99)[:-9], "broken gzip"),
    "gzip, flipped": ("a.csv.gz", _flipped(LAYOUTS["gzip"][1], 30), "broken gzip"),
    "no gzip": ("a.csv.gz", "date,open", "broken gzip"),
    "broken parquet": ("a.parquet", "PAR1 and more PAR1", "no readable parquet"),
    "broken json": ("a.json", "[[1, 2", "no readable json"),
    "deep json": ("a.json", "[" * 100_000, "no readable json"),
    "json object": ("a.json", '{"a": 1}', "no array of candles"),
    "json, short rows": ("a.json", "[[1,2,3]]", "no array of candles"),
}  # fmt: skip


@pytest.mark.parametrize("why", NO_FILE_OF_CANDLES)
def test_what_is_no_table_of_candles_is_refused_by_name(tmp_path: Path, why: str) -> None:
    name, content, words = NO_FILE_OF_CANDLES[why]
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataInvalid, match=words) as refused:
        _read(tmp_path / name)
    assert refused.value.hint, "a refusal says what to do"


NO_TIMES: dict[str, tuple[str, list[object], dict[str, str], str]] = {
    # why it is refused: instrument and timeframe, the times, options, what is told
    "an empty time": ("BTC-USDT 1d", ["2024-01-01", ""], {}, r"'' \(data row 2\) is no time"),
    "NaN among numbers": ("BTC-USDT 1d", ["nan", 1704067200], {}, r"'nan' \(data row 1\) is no time like"),
    "mixed units": ("BTC-USDT 1d", [1704067200, 1704153600000], {}, "1704067200 to 1704153600000"),
    "a price as time": ("BTC-USDT 1d", [42000], {}, "42000 to 42000"),
    "hours without zone": ("BTC-USDT 1h", ["2024-01-01 00:00"], {}, "'2024-01-01 00:00' has no time zone"),
    "a zone in some": ("BTC-USDT 1h", ["2024-01-01 00:00Z", "2024-01-01 01:00"], {}, "data row 2"),
    "a time in some": ("BTC-USDT 1d", ["2024-01-01", "2024-01-02 15:30"], {}, "'2024-01-02 15:30'"),
    "day or month": ("BTC-USDT 1d", ["01/02/2024"], {}, "'01/02/2024' is not written year-month-day"),
    "wrong format": ("BTC-USDT 1d", ["2024-01-01"], {"form": "%d.%m.%Y"}, r"'2024-01-01' \(data row 1\) is no time"),
    "dates for hours": ("BTC-USDT 1h", ["2024-01-01"], {}, "2024-01-01.\nBars of 1h need a time"),
    "an hour twice": ("BTC-USDT 1h", ["2024-11-03 01:30"], {"zone": NEW_YORK}, "exist twice, in America/New_York"),
    "an hour that never was": ("BTC-USDT 1h", ["2024-03-10 02:30"], {"zone": NEW_YORK}, "do not exist"),
    "before bitcoin": ("BTC-USDT 1d", ["1970-01-01"], {}, "dated 1970-01-01"),
    "a holiday": ("AAPL 1d", ["2024-01-02", "2024-07-04"], {}, r"XNYS, the first is 2024-07-04 \(data row 2\)"),
    "before the market's records": ("4063.T 1d", ["1985-01-04"], {}, "XTKS knows no session from 1985-01-04"),
    "the year 2999": ("AAPL 1d", ["2999-01-02"], {}, "XNYS knows no session from 2999-01-02"),
}  # fmt: skip


@pytest.mark.parametrize("why", NO_TIMES)
def test_times_that_cannot_be_understood_are_refused_with_their_value(tmp_path: Path, why: str) -> None:
    what, times, options, words = NO_TIMES[why]
    (tmp_path / "a.csv").write_text(HEAD + "".join(f"{t},{OK}\n" for t in times))
    instrument, timeframe = what.split()
    with pytest.raises(DataInvalid, match=words) as refused:
        _read(tmp_path / "a.csv", Instrument.parse(instrument), cast(Timeframe, timeframe), **options)
    assert refused.value.hint, "a refusal says what to do"


def test_a_zone_or_a_market_nobody_knows_is_a_wrong_question(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEAD}2024-03-10 02:30,{OK}\n")
    with pytest.raises(RequestInvalid, match="'Mars/Base' is no time zone"):
        _read(tmp_path / "a.csv", BTC, "1h", zone="Mars/Base")
    with pytest.raises(NameUnknown, match="no market named 'XXXX'"):
        _read(tmp_path / "a.csv", Instrument.parse("AAPL.XXXX"))


def test_a_path_to_no_file_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no file"):
        _read(tmp_path / "nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataMissing, match="cannot be read"):
        _read(tmp_path / "folder.csv")


def test_parquet_with_text_for_a_price_is_refused(tmp_path: Path) -> None:
    frame = DAYS.frame.with_columns(close=pl.lit("abc"), high=pl.lit(True))
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataInvalid, match="high"):
        _read(tmp_path / "a.parquet")
    frame.with_columns(high=1.0).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataInvalid, match="'abc' in column close"):
        _read(tmp_path / "a.parquet")


def test_an_intraday_bar_of_a_stock_ends_at_the_next_one_or_at_the_bell(tmp_path: Path) -> None:
    """Yahoo's hours start on the half: 09:30 to 15:30 in New York, the last bar of 30 minutes."""
    times = pd.date_range("2024-07-01 13:30", periods=7, freq="h", tz="UTC")
    draw = make_candles(7)
    (tmp_path / "a.csv").write_bytes(_csv(_table(draw, [t.isoformat() for t in times])))
    rows = _read(tmp_path / "a.csv", AAPL, "1h")
    assert rows["close_time"].to_list() == [*times[1:], pd.Timestamp("2024-07-01 20:00", tz="UTC")]
    assert np.diff(rows["open_time"].to_numpy()).min() == np.timedelta64(1, "h")
    assert rows["open_time"][0] == utc(2024, 7, 1, 13) + timedelta(minutes=30)
