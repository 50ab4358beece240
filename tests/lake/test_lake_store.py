"""What is written is read back, versions never change, and files lie where the layout says."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from forecastle.errors import DataInvalid, DataMissing, RequestInvalid
from forecastle.lake import DatasetKey
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA, Adjusted
from forecastle.nouns.observations import OBSERVED
from forecastle.sessions import Timeframe, Times
from making import candles_at, key_of, make_candles, open_lake, tree, utc, with_close, without


@pytest.mark.parametrize(
    ("instrument", "timeframe"),
    [("BTC-USDT", "1m"), ("BTC-USDT", "1h"), ("AAPL", "1d"), ("4063.T", "1w"), ("A", "1mo")],
)
def test_what_is_read_is_what_was_written_to_the_bit(tmp_path: Path, instrument: str, timeframe: Timeframe) -> None:
    candles = make_candles(100, instrument=instrument, timeframe=timeframe)
    open_lake(tmp_path).write(candles)
    back = open_lake(tmp_path).read(key_of(candles))
    assert back.frame.equals(candles.frame)
    assert dict(back.frame.schema) == SCHEMA
    assert (back.instrument, back.timeframe, back.source, back.adjusted) == (
        candles.instrument, candles.timeframe, candles.source, candles.adjusted,
    )  # fmt: skip
    assert back.data_hash == candles.data_hash


def test_another_program_reads_the_same_numbers_from_the_file(tmp_path: Path) -> None:
    candles = make_candles(40)
    (name,) = open_lake(tmp_path).write(candles).files
    table = pd.read_parquet(tmp_path / name)
    assert table["close"].to_list() == candles.frame["close"].to_list()
    assert list(table["open_time"]) == list(pd.to_datetime(candles.times("open_time"), utc=True))
    assert set(table["instrument"]) == {"BTC-USDT"}
    assert set(table["source"]) == {"test"}


def test_writing_the_same_again_changes_no_byte(tmp_path: Path) -> None:
    candles = make_candles(50, timeframe="1h")
    lake = open_lake(tmp_path)
    first = lake.write(candles)
    before = tree(tmp_path)
    again = lake.write(candles.last(20))
    assert (first.added, first.revised, first.unchanged, first.commit) == (50, 0, 0, 1)
    assert (again.added, again.revised, again.unchanged, again.files, again.commit) == (0, 0, 20, (), 1)
    assert tree(tmp_path) == {**before, ".writer.lock": tree(tmp_path)[".writer.lock"]}


def test_an_overlapping_write_adds_only_what_is_new(tmp_path: Path) -> None:
    candles = make_candles(60)
    lake = open_lake(tmp_path)
    lake.write(without(candles, *range(40, 60), 7))
    result = lake.write(candles.last(50))
    assert (result.added, result.revised, result.unchanged) == (20, 0, 30)
    result = lake.write(candles)
    assert (result.added, result.revised, result.unchanged) == (1, 0, 59)
    assert lake.read(key_of(candles)).frame.equals(candles.frame)


def test_a_revised_candle_is_a_new_file_and_the_old_one_stays_as_it_was(tmp_path: Path) -> None:
    candles = make_candles(30)
    lake = open_lake(tmp_path)
    (old,) = lake.write(candles).files
    before = (tmp_path / old).read_bytes()
    revised = with_close(candles, 12, 1.01)
    result = lake.write(revised.between(revised.frame["open_time"][12], revised.frame["close_time"][12]))
    (new,) = result.files
    assert (result.added, result.revised, result.commit) == (0, 1, 2)
    assert new != old
    assert (tmp_path / old).read_bytes() == before
    assert lake.read(key_of(candles)).frame.equals(revised.frame)
    assert lake.verify() == []
    # and back again: the name says the content, so the first file is current once more
    assert lake.write(candles).files == (old,)
    assert lake.read(key_of(candles)).frame.equals(candles.frame)


def test_files_lie_by_source_instrument_timeframe_and_period_under_the_hash_of_their_bytes(tmp_path: Path) -> None:
    """Months of minutes, years of hours, one file of days (docs/decisions/0005-raw-files-by-period.md)."""
    lake = open_lake(tmp_path)
    minutes = candles_at(*_times("2024-01-31T23:58", "2024-02-01T00:03", "m"), timeframe="1m")
    hours = candles_at(*_times("2023-12-31T22", "2024-01-01T02", "h"), timeframe="1h")
    days = candles_at(*_times("2023-12-30", "2024-02-03", "D"))
    expected = {
        "test/BTC-USDT/1m/2024-01-01": 2, "test/BTC-USDT/1m/2024-02-01": 3,
        "test/BTC-USDT/1h/2023-01-01": 2, "test/BTC-USDT/1h/2024-01-01": 2, "test/BTC-USDT/1d/2023-12-30": 35,
    }  # fmt: skip
    rows = {}
    for candles in (minutes, hours, days):
        for name in lake.write(candles).files:
            stem, version = name.removesuffix(".parquet").rsplit(".", 1)
            assert version == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:12]
            rows[stem] = pl.read_parquet(tmp_path / name).height
    assert rows == expected


def test_only_the_period_with_news_gets_a_new_file(tmp_path: Path) -> None:
    hours = make_candles(24 * 40, start="2023-12-15", timeframe="1h")
    lake = open_lake(tmp_path)
    first = lake.write(hours)
    second = lake.write(with_close(hours, 24 * 40 - 1, 1.5))
    assert [Path(f).name[:10] for f in first.files] == ["2023-01-01", "2024-01-01"]
    assert [Path(f).name[:10] for f in second.files] == ["2024-01-01"]


def test_the_folder_explains_itself(tmp_path: Path) -> None:
    open_lake(tmp_path).write(make_candles(3))
    readme = (tmp_path / "_README.md").read_text()
    columns = pq.read_schema(next(tmp_path.rglob("*.parquet"))).names
    schema = json.loads((tmp_path / "schema.json").read_text())
    observed = [c["name"] for c in schema["observations"]]
    assert re.findall(r"^- `(\w+)`", readme, re.MULTILINE) == columns + observed
    assert [c["name"] for c in schema["columns"]] == columns
    assert [*OBSERVED, "instrument", "source", "name", "unit"] == observed


def test_a_range_is_cut_at_open_and_close_over_file_borders(tmp_path: Path) -> None:
    hours = make_candles(24 * 20, start="2023-12-22", timeframe="1h")
    lake = open_lake(tmp_path)
    lake.write(hours)
    got = lake.read(key_of(hours), utc(2023, 12, 31, 20), utc(2024, 1, 1, 4))
    assert (got.start, got.end, len(got)) == (utc(2023, 12, 31, 20), utc(2024, 1, 1, 4), 8)
    assert len(lake.read(key_of(hours), utc(2025))) == 0
    assert len(lake.read(key_of(hours), None, utc(2020))) == 0


def test_reading_never_creates_the_folder(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home" / "raw")
    assert lake.datasets() == []
    assert lake.verify() == []
    assert lake.current_files("candles") == []
    assert lake.observation_sets() == []
    with pytest.raises(DataMissing, match=r"no 1d candles of BTC-USDT from test.\nIt is empty so far"):
        lake.read(DatasetKey("test", "BTC-USDT", "1d"))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_series_names_those_that_are_there(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    lake.write(make_candles(3))
    with pytest.raises(DataMissing, match="It holds: BTC-USDT 1d from test"):
        lake.read(DatasetKey("test", "ETH-USDT", "1d"))


def test_the_source_may_be_left_out_only_where_there_is_one(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    candles = make_candles(3)
    lake.write(candles)
    assert lake.resolve(candles.instrument, "1d", None) == key_of(candles)
    lake.write(make_candles(3, source="other"))
    with pytest.raises(DataInvalid, match="several sources: other, test"):
        lake.resolve(candles.instrument, "1d", None)
    assert lake.resolve(candles.instrument, "1d", "other").source == "other"
    with pytest.raises(DataMissing, match="from nobody"):
        lake.resolve(candles.instrument, "1d", "nobody")


def test_what_there_is_adds_up(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    hours = make_candles(24 * 20, start="2023-12-22", timeframe="1h")
    lake.write(hours)
    lake.write(with_close(hours, 3, 1.1))
    lake.write(make_candles(5, instrument="AAPL"))
    aapl, btc = lake.datasets()
    assert [str(i.key) for i in (aapl, btc)] == ["AAPL 1d from test", "BTC-USDT 1h from test"]
    assert (btc.rows, btc.files, btc.commits) == (480, 2, 2)
    assert (btc.first_open, btc.last_close) == (hours.start, hours.end)
    assert btc.size == sum(p.stat().st_size for p in lake.current_files("candles") if p.parent.name == "1h")


@pytest.mark.parametrize("other", ["splits", "unknown"])
def test_prices_adjusted_in_two_ways_are_never_mixed(tmp_path: Path, other: Adjusted) -> None:
    candles = make_candles(9)
    lake = open_lake(tmp_path)
    lake.write(candles.last(4))
    before = tree(tmp_path)
    with pytest.raises(DataInvalid, match=f"adjusted=none[^$]*adjusted={other}"):
        lake.write(replace(candles, adjusted=other))
    assert {k: v for k, v in tree(tmp_path).items() if k != ".writer.lock"} == {
        k: v for k, v in before.items() if k != ".writer.lock"
    }


def test_no_candles_are_no_series(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="no candles of BTC-USDT to write"):
        open_lake(tmp_path / "raw").write(make_candles(3).last(0))
    assert not (tmp_path / "raw").exists()


def test_rows_that_would_overlap_with_those_of_the_lake_are_refused(tmp_path: Path) -> None:
    """A day cut at noon does not fit between days cut at midnight."""
    candles = make_candles(3)
    lake = open_lake(tmp_path)
    lake.write(candles)
    half = Candles(
        candles.instrument, "1d", "test",
        candles.frame.with_columns(pl.col("open_time", "close_time") + pl.duration(hours=12)), "none",
    )  # fmt: skip
    with pytest.raises(DataInvalid, match="overlap"):
        lake.write(half)
    assert lake.read(key_of(candles)).frame.equals(candles.frame)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "Binance", "a" * 41, "binance\n", "ä"])
def test_a_source_that_is_no_safe_folder_name_is_refused(name: str) -> None:
    with pytest.raises(RequestInvalid, match="cannot be the name of a source"):
        DatasetKey(name, "BTC-USDT", "1d")


def _times(first: str, last: str, unit: Literal["m", "h", "D"]) -> tuple[Times, Times]:
    opens = np.arange(np.datetime64(first, unit), np.datetime64(last, unit)).astype("datetime64[us]")
    return opens, np.asarray(opens + np.timedelta64(1, unit), dtype="datetime64[us]")


def test_bars_that_overlap_across_two_files_are_refused(tmp_path: Path) -> None:
    """Hours at :30 in one year, at :00 in the next: each file would be sound, the series would not."""

    def hours(first: str, n: int) -> Candles:
        opens = np.datetime64(first, "us") + np.arange(n) * np.timedelta64(1, "h")
        flat = dict.fromkeys(("open", "high", "low", "close", "volume"), np.ones(n))
        columns = {"open_time": opens, "close_time": opens + np.timedelta64(1, "h"), **flat}
        return Candles.from_columns(Instrument.parse("BTC-USDT"), "1h", "test", columns, "none")

    lake = open_lake(tmp_path / "raw")
    lake.write(hours("2023-12-31T20:30", 4))
    with pytest.raises(DataInvalid, match="overlap"):
        lake.write(hours("2024-01-01T00:00", 5))
    assert [info.rows for info in lake.datasets()] == [4]
    assert lake.verify() == []
