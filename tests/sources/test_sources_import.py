"""A file comes into the lake wholly or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecastle.app.import_file import Imported, import_file
from forecastle.errors import DataInvalid, ForecastleError, RequestInvalid
from forecastle.nouns import Candles
from forecastle.nouns.candles import SCHEMA
from forecastle.requests import ImportRequest, build
from forecastle.sessions import calendar
from forecastle.workspace import Workspace
from making import NOW, key_of, make_candles, tree, utc

HEAD = "date,open,high,low,close,volume\n"
OK = "1,2,0.5,1.5,10"


def _import(workspace: Workspace, path: Path, **options: Any) -> Imported:
    fields = {"instrument": "BTC-USDT", "source": "test", **options}
    return import_file(workspace, build(ImportRequest, path=path, **fields))


def _file(folder: Path, *rows: str) -> Path:
    path = folder / "a.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return path


def _write(path: Path, frame: pl.DataFrame) -> Path:
    frame.drop("close_time").rename({"open_time": "timestamp"}).write_parquet(path)
    return path


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """A lake that holds something that must not change."""
    workspace.lake.write(make_candles(5))
    return workspace


def _lake_files(home: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(home).items() if not name.endswith(".writer.lock")}


def test_what_a_file_says_is_in_the_lake(workspace: Workspace, tmp_path: Path) -> None:
    candles = make_candles(30)
    done = _import(workspace, _write(tmp_path / "a.parquet", candles.frame))
    assert done.written is not None
    assert (done.written.added, done.quality.findings) == (30, ())
    assert workspace.lake.read(key_of(candles)).frame.equals(candles.frame)
    assert (done.mapping.columns["open_time"], done.mapping.rows) == ("timestamp", 30)


def test_a_second_import_adds_nothing(workspace: Workspace, home: Path, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", make_candles(30).frame)
    _import(workspace, path)
    before = _lake_files(home)
    again = _import(workspace, path).written
    assert again is not None
    assert (again.added, again.revised, again.unchanged) == (0, 0, 30)
    assert _lake_files(home) == before


REFUSED: dict[str, tuple[list[str], str]] = {
    "NaN": (
        [f"2024-01-01,{OK}", "2024-01-02,1,2,NaN,1.5,1", "2024-01-03,1,2,,1.5,1"],
        r"2 of 3 rows of a.csv cannot be candles: not_a_number 2x, first row 2 \(2024-01-02",
    ),
    "empty cell": (["2024-01-01,1,2,,1.5,1"], "not_a_number 1x"),
    "infinite": (["2024-01-01,1,inf,0.5,1.5,1"], "not_a_number 1x"),
    "zero price": (["2024-01-01,1,2,0,1.5,1"], "non_positive 1x"),
    "negative volume": (["2024-01-01,1,2,0.5,1.5,-1"], "negative_volume 1x"),
    "high below low": (["2024-01-01,1,0.5,2,1,1"], "high_below_low 1x"),
    "outside its range": (["2024-01-01,1,2,0.5,2.5,1"], "outside_range 1x"),
    "conflicting duplicates": ([f"2024-01-01,{OK}", "2024-01-01,1,2,0.5,1.6,10"], "conflicting_duplicate 2x"),
    "the future": ([f"2024-01-01,{OK}", f"2026-11-22,{OK}"], "1 rows are dated after tomorrow, the first 2026-11-22"),
    "far future": ([f"2999-01-01,{OK}"], "1 rows are dated after tomorrow"),
    "no number": (["2024-01-01,1,2,x,1.5,1"], "'x' in column low"),
    "before its life": ([f"1999-01-01,{OK}"], "cannot have traded before 2009"),
    "only bars that are open": ([f"2026-11-20,{OK}"], "no candles of BTC-USDT to write"),
    "nothing": ([], "holds no rows"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_refused_file_leaves_the_lake_as_it_was(filled: Workspace, home: Path, tmp_path: Path, why: str) -> None:
    rows, words = REFUSED[why]
    before = tree(home)
    with pytest.raises(DataInvalid, match=words):
        _import(filled, _file(tmp_path, *rows))
    assert {**tree(home), "raw/.writer.lock": b""} == {**before, "raw/.writer.lock": b""}


@pytest.mark.parametrize("why", ["NaN", "nothing", "no number", "the future"])
def test_a_refused_file_creates_no_lake(workspace: Workspace, home: Path, tmp_path: Path, why: str) -> None:
    with pytest.raises(ForecastleError):
        _import(workspace, _file(tmp_path, *REFUSED[why][0]))
    assert not home.exists()


MIXED = [
    f"2024-01-01,{OK}", "2024-01-02,1,2,x,1.5,10", "2024-01-03,,,,,", "2024-01-04,1,2,0,1.5,10", f"2024-01-05,{OK}",
    f"2024-01-06,{OK}", f"2024-01-07,{OK}", f"2024-01-07,{OK}",
]  # fmt: skip
"""Two rows that cannot be candles, one that says nothing, one twice."""


def test_bad_rows_go_to_the_quarantine_and_the_others_are_stored(workspace: Workspace, tmp_path: Path) -> None:
    done = _import(workspace, _file(tmp_path, *MIXED))
    assert done.written is not None
    assert (done.written.added, done.set_aside) == (4, 2)
    key = key_of(make_candles(1))
    assert workspace.lake.read(key).frame["open_time"].dt.day().to_list() == [1, 5, 6, 7]
    kept = workspace.lake.quarantined(key).sort("open_time")
    assert kept["reason"].to_list() == ["wrong_type: low is 'x'", "non_positive"]
    assert (kept["origin"].to_list(), kept["low"].to_list()) == (["a.csv"] * 2, [None, 0.0])
    told = {f.kind: (f.severity, f.count, f.first[:5]) for f in done.quality.findings}
    assert told["wrong_type"] == ("invalid", 1, "row 2")
    assert told["empty_row"] == ("note", 1, "row 3")
    assert told["non_positive"] == ("invalid", 1, "row 4"), "numbered as in the file, though rows before it are gone"
    assert told["duplicate"][:2] == ("note", 1)


def test_a_second_import_adds_nothing_to_the_quarantine_either(
    workspace: Workspace, home: Path, tmp_path: Path
) -> None:
    path = _file(tmp_path, *MIXED)
    _import(workspace, path)
    before = _lake_files(home)
    again = _import(workspace, path)
    assert again.written is not None
    assert (again.written.added, again.written.revised, again.set_aside, again.quarantined.height) == (0, 0, 0, 2)
    assert _lake_files(home) == before


@pytest.mark.parametrize(("bad", "stored"), [(3, True), (4, False)])
def test_where_more_than_half_is_invalid_the_mapping_is_wrong(
    workspace: Workspace, home: Path, tmp_path: Path, bad: int, stored: bool
) -> None:
    """Three of six rows may be bad, four of seven may not."""
    path = _file(tmp_path, *[f"2024-01-0{d},1,2,0.5,1.5,{-1 if d <= bad else 1}" for d in range(1, bad + 4)])
    if stored:
        assert _import(workspace, path).set_aside == bad
        return
    with pytest.raises(DataInvalid, match=r"4 of 7 rows of a\.csv cannot be candles: negative_volume 4x"):
        _import(workspace, path)
    assert not home.exists()
    assert _import(workspace, path, dry_run=True).refused


def test_only_closes_are_stored_as_only_closes(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Date,AAPL\n2024-01-02,185.6\n2024-01-03,184.3\n")
    _import(workspace, path, instrument="AAPL", columns="close=AAPL", prices="close")
    candles = workspace.lake.read(key_of(make_candles(1, instrument="AAPL")))
    assert (candles.prices, candles.frame["high"].to_list()) == ("close", [185.6, 184.3])


def test_a_dry_run_stores_nothing_and_shows_every_finding(workspace: Workspace, home: Path, tmp_path: Path) -> None:
    good = _import(workspace, _write(tmp_path / "a.parquet", make_candles(9).frame), dry_run=True)
    assert good.written is None
    assert isinstance(good.candles, Candles)
    assert (good.refused, good.quarantined.height) == (False, 0)
    bad = _import(workspace, _file(tmp_path, "2024-01-02,1,2,0,1.5,1", f"2024-01-01,{OK}"), dry_run=True)
    assert [(f.kind, f.severity) for f in bad.quality.findings] == [("non_positive", "invalid"), ("unsorted", "note")]
    assert (bad.refused, len(bad.candles or ()), bad.quarantined["reason"].to_list()) == (False, 1, ["non_positive"])
    assert not home.exists()


def test_a_bar_that_has_not_closed_is_left_out_with_a_note(workspace: Workspace, tmp_path: Path) -> None:
    """It is noon of 2026-11-20: that day would still change."""
    assert utc(2026, 11, 20, 12) == NOW
    candles = make_candles(10, start="2026-11-11")
    done = _import(workspace, _write(tmp_path / "a.parquet", candles.frame))
    assert done.written is not None
    assert done.written.added == 9
    assert workspace.lake.read(key_of(candles)).end == utc(2026, 11, 20)
    (note,) = done.quality.findings
    assert (note.kind, note.severity, note.count, note.first[:10]) == ("unclosed", "note", 1, "2026-11-20")


def test_a_bar_that_closes_at_this_very_moment_is_closed(workspace: Workspace, tmp_path: Path) -> None:
    hours = make_candles(4, timeframe="1h", start="2026-11-20T09")
    done = _import(workspace, _write(tmp_path / "a.parquet", hours.frame), timeframe="1h")
    assert workspace.lake.read(key_of(hours)).end == NOW
    assert [f.kind for f in done.quality.findings] == ["unclosed"]


def test_order_and_exact_repeats_are_notes_and_lose_nothing(workspace: Workspace, tmp_path: Path) -> None:
    candles = make_candles(12)
    muddled = pl.concat([candles.frame[6:], candles.frame[3:4], candles.frame[:6]])
    done = _import(workspace, _write(tmp_path / "a.parquet", muddled))
    assert {(f.kind, f.severity) for f in done.quality.findings} == {("duplicate", "note"), ("unsorted", "note")}
    assert workspace.lake.read(key_of(candles)).frame.equals(candles.frame)


def test_a_hole_is_suspicious_and_stored(workspace: Workspace, tmp_path: Path) -> None:
    candles = make_candles(12).frame
    done = _import(workspace, _write(tmp_path / "a.parquet", pl.concat([candles[:4], candles[6:]])))
    assert [(f.kind, f.count) for f in done.quality.findings] == [("gap", 2)]
    assert done.written is not None
    assert done.written.added == 10


def test_minutes_are_no_hours(workspace: Workspace, home: Path, tmp_path: Path) -> None:
    minutes = make_candles(120, timeframe="1m")
    with pytest.raises(DataInvalid, match="1 minutes apart"):
        _import(workspace, _write(tmp_path / "a.parquet", minutes.frame), timeframe="1h")
    assert not home.exists()


def test_a_corrected_file_revises_rows_and_keeps_the_old_version(
    workspace: Workspace, home: Path, tmp_path: Path
) -> None:
    candles = make_candles(12)
    first = _import(workspace, _write(tmp_path / "a.parquet", candles.frame)).written
    mended = candles.frame.with_columns(volume=pl.col("volume") + (pl.int_range(pl.len()) == 5).cast(pl.Float64))
    second = _import(workspace, _write(tmp_path / "a.parquet", mended)).written
    assert first is not None
    assert second is not None
    assert (second.added, second.revised, second.unchanged) == (0, 1, 11)
    assert (home / "raw" / first.files[0]).exists()
    assert workspace.lake.read(key_of(candles)).frame.equals(mended)


# Real data --------------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "rows", "first", "last", "gap"),  # gap: missing bars, holes
    [  # as counted in README.md beside the data
        ("1d/binance_2017_2022/BTC_USDT-1d.json.gz", 1881, utc(2017, 8, 17), utc(2022, 10, 10), None),
        ("1d/binance_2024a/BTC_USDT-1d.csv.gz", 249, utc(2024), utc(2024, 9, 5), None),
        ("1d/binance_2024b/BTC_USDT-1d_to_2025-02.csv.gz", 151, utc(2024, 10), utc(2025, 2, 28), None),
        ("1h/binance_2017_2022/BTC_USDT-1h.json.gz", 45024, utc(2017, 8, 17, 4), utc(2022, 10, 11, 10), (127, 27)),
        ("1h/binance_2021_2025/BTC_USDT-1h_2021-06_2025-02.csv.gz", 32849, utc(2021, 6), utc(2025, 2, 28, 23), (7, 3)),
    ],
)  # fmt: skip
def test_bitcoins_files_come_in_with_their_rows_and_known_gaps(
    workspace: Workspace, shared_data: Path, name: str, rows: int, first: Any, last: Any, gap: tuple[int, int] | None
) -> None:
    path, timeframe = shared_data / "crypto" / name, name[:2]
    done = _import(workspace, path, timeframe=timeframe)
    assert done.candles is not None
    assert done.written is not None
    assert (done.written.added, len(done.candles)) == (rows, rows)
    assert done.candles.frame["open_time"].to_list()[:: rows - 1] == [first, last]
    details = {f.kind: f.detail for f in done.quality.findings}
    wanted = f"{gap[0]} bars of the calendar are absent, in {gap[1]} holes" if gap else None
    assert details.get("gap") == wanted
    assert done.candles.log_returns().spanning_gaps == (gap[1] if gap else 0)
    again = _import(workspace, path, timeframe=timeframe).written
    assert again is not None
    assert (again.added, again.revised) == (0, 0)


@pytest.mark.shared_data
def test_two_sources_of_the_same_hours_agree_and_hours_add_up_to_days(workspace: Workspace, shared_data: Path) -> None:
    """README.md: 11,933 common hours are equal; 1,852 + 249 + 151 full days of hours equal the daily files."""
    hours = ["1h/binance_2017_2022/BTC_USDT-1h.json.gz", "1h/binance_2021_2025/BTC_USDT-1h_2021-06_2025-02.csv.gz"]
    days = [
        "1d/binance_2017_2022/BTC_USDT-1d.json.gz", "1d/binance_2024a/BTC_USDT-1d.csv.gz",
        "1d/binance_2024b/BTC_USDT-1d_to_2025-02.csv.gz",
    ]  # fmt: skip
    written = [_import(workspace, shared_data / "crypto" / f, timeframe=f[:2]).written for f in (*hours, *days)]
    assert written[1] is not None
    assert (written[1].unchanged, written[1].revised) == (11_933, 0)
    frames = [
        workspace.lake.read(workspace.lake.resolve(make_candles(1).instrument, t, None)).frame for t in ("1h", "1d")
    ]
    summed = (
        frames[0].group_by_dynamic("open_time", every="1d")
        .agg(
            pl.len().alias("hours"), pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")
        )
        .filter(pl.col("hours") == 24)
    )  # fmt: skip
    both = frames[1].join(summed, on="open_time", how="inner", suffix="_summed")
    assert both.height == 1852 + 249 + 151
    for name in ("open", "high", "low", "close"):
        assert both[name].to_list() == both[f"{name}_summed"].to_list()
    assert (both["volume"] / both["volume_summed"] - 1).abs().max() < 1e-9  # type: ignore[operator]


@pytest.mark.shared_data
def test_of_a_file_that_is_known_to_be_dirty_the_bad_rows_are_kept_aside(
    workspace: Workspace, shared_data: Path
) -> None:
    """README.md: SHIB-USD has zero closes and empty open, high and low."""
    path = shared_data / "known_dirty/yahoo_symbols/SHIB-USD.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()[2:]]
    bad = [r for r in rows if not all(r[1:]) or min(map(float, r[1:5])) <= 0]
    done = _import(workspace, path, instrument="SHIB-USD")
    assert done.written is not None
    assert (done.written.added, done.quarantined.height, done.set_aside) == (len(rows) - len(bad), len(bad), len(bad))
    assert [str(t)[:10] for t in done.quarantined["open_time"]] == [r[0] for r in bad]


@pytest.mark.shared_data
def test_yahoos_and_cryptodatadownloads_files_are_read(workspace: Workspace, shared_data: Path) -> None:
    yahoo = _import(workspace, shared_data / "crypto/1d/yahoo/BTC-USD.csv", instrument="BTC-USD", source="yahoo")
    assert yahoo.candles is not None
    frame = yahoo.candles.frame
    assert frame.row(0)[2:6] == (28994.009765625, 29600.626953125, 28803.5859375, 29374.15234375)
    kraken = _import(
        workspace, shared_data / "crypto/1d/kraken_cdd/Kraken_BTCUSD_d.csv", instrument="BTC-USD", source="k"
    )
    assert kraken.candles is not None
    assert kraken.candles.frame.row(-1)[0] == utc(2019, 10, 17)
    assert kraken.candles.frame.row(-1)[2:] == (8000.0, 8068.9, 7938.8, 8030.3, 894.3)
    assert list(kraken.candles.frame.schema) == list(SCHEMA)
    assert kraken.candles.end - kraken.candles.start > timedelta(days=2000)


def _rows(first: str, step: timedelta, count: int, form: str = "%Y-%m-%d %H:%M:%S+00:00") -> list[str]:
    return [f"{(datetime.fromisoformat(first) + i * step).strftime(form)},{OK}" for i in range(count)]


MINUTE, HOUR, DAY, WEEK = (timedelta(minutes=m) for m in (1, 60, 1440, 10080))
TOKYO = {"time_zone": "Asia/Tokyo"}
SILENTLY_WRONG = {
    "minutes of a stock as hours": ("AAPL", "1h", _rows("2024-01-02T14:30", MINUTE, 60), {}, "1 minutes apart"),
    "hours as days": ("BTC-USDT", "1d", _rows("2024-01-02T00:00", HOUR, 48), {}, "60 minutes apart"),
    "days from 08:00": ("BTC-USDT", "1d", _rows("2024-01-02T08:00", DAY, 20), {}, "first by 480 minutes"),
    "weeks from Wednesday": ("BTC-USDT", "1w", _rows("2024-01-03T00:00", WEEK, 20), {}, "first by 2 days"),
    "digits of a date": ("AAPL", "1m", _rows("2024-01-02T14:30", MINUTE, 9, "%Y%m%d%H%M"), {}, "time-format"),
    "a zone not used": ("BTC-USDT", "1d", _rows("2024-01-02T00:00", DAY, 9), TOKYO, "not used"),
}  # fmt: skip


@pytest.mark.parametrize("case", SILENTLY_WRONG)
def test_what_would_be_silently_wrong_is_refused(workspace: Workspace, home: Path, tmp_path: Path, case: str) -> None:
    instrument, timeframe, rows, options, words = SILENTLY_WRONG[case]
    with pytest.raises((DataInvalid, RequestInvalid)) as refused:
        _import(workspace, _file(tmp_path, *rows), instrument=instrument, timeframe=timeframe, **options)
    assert words in str(refused.value)
    assert not home.exists()


def test_no_row_of_a_file_without_a_header_is_taken_for_one(workspace: Workspace, tmp_path: Path) -> None:
    """A column of text, or of times, beside the numbers does not make the first row a header."""
    path = tmp_path / "a.csv"
    path.write_text("".join(f"2024-01-0{d},BTC,100,110,90,105,7\n" for d in range(1, 6)))
    done = _import(workspace, path, columns="open_time,-,open,high,low,close,volume")
    assert done.written is not None
    assert done.written.added == 5


def test_the_newer_files_of_yfinance_have_three_lines_of_header(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head = "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,\n"
    path.write_text(head + "".join(f"2024-01-0{d},105,110,90,100,7\n" for d in range(1, 6)))
    done = _import(workspace, path, instrument="BTC-USD")
    assert done.candles is not None
    assert done.candles.frame["open"].to_list() == [100.0] * 5
    assert str(done.candles.start.date()) == "2024-01-01"


@pytest.mark.parametrize("name", ["bundled", "simulated", "simulated-7"])
def test_the_names_of_our_own_sources_are_reserved(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestInvalid, match="Forecastle's own"):
        _import(workspace, _file(tmp_path, f"2024-01-01,{OK}"), source=name)


def test_an_empty_price_in_the_first_row_is_no_header(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n2024-03-04,,2,0.5,1.5,100\n" + "".join(f"2024-03-0{d},1,2,0.5,1.5,10\n" for d in (5, 6)))
    done = _import(workspace, path, columns="time,open,high,low,close,volume")
    assert done.quarantined["reason"].to_list() == ["not_a_number"]
    assert done.quality.invalid[0].first.startswith("row 1 (2024-03-04")


def test_months_begin_on_the_first(workspace: Workspace, tmp_path: Path) -> None:
    rows = [f"2024-{m:02d}-15,{OK}" for m in range(1, 7)]
    with pytest.raises(DataInvalid, match="off the UTC grid"):
        _import(workspace, _file(tmp_path, *rows), timeframe="1mo")


def test_a_thin_stock_may_skip_days_and_a_market_may_rest_at_noon(workspace: Workspace, tmp_path: Path) -> None:
    thin = [f"2024-03-{d:02d},{OK}" for d in (4, 6, 8, 12, 14)]
    assert _import(workspace, _file(tmp_path, *thin), instrument="AAPL").written is not None
    opens, closes = calendar("XTKS").bars(np.datetime64("2025-01-06", "us"), np.datetime64("2025-02-01", "us"), "4h")
    rows = [f"{str(t)[:19]}+00:00,{OK}" for t in opens]
    done = _import(workspace, _file(tmp_path, *rows), instrument="4063.T", timeframe="4h")
    assert done.candles is not None
    np.testing.assert_array_equal(done.candles.times("close_time"), closes)


@pytest.mark.shared_data
def test_two_offsets_in_one_column_are_read_each_by_its_own_and_told(workspace: Workspace, shared_data: Path) -> None:
    """README.md: 84 rows at +00:00 and 92 at -04:00, one of them out of order."""
    path = shared_data / "known_dirty/AAPL_1h_mixed_offsets.csv"
    done = _import(workspace, path, instrument="AAPL", timeframe="1h")
    told = {f.kind: f for f in done.quality.findings}
    assert "84 rows" in told["mixed_offsets"].detail
    assert "92 rows" in told["mixed_offsets"].detail
    assert told["unsorted"].count == 1
    assert told["overlap"].count == 1, "a bar of an hour at 19:00 and one at 19:30: only one of them can be"
    assert done.written is not None
    assert done.written.added + done.quarantined.height == 176
    assert done.candles is not None
    written = [datetime.fromisoformat(line.split(",")[0]) for line in path.read_text().splitlines()[1:]]
    assert set(done.candles.frame["open_time"]) | set(done.quarantined["open_time"]) == set(written)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "instrument", "kind"),
    [
        ("4063-T-1d-bad-stock-split", "4063.T", "wrong_split"),
        ("8TRA-DE-1d-missing-div-adjust", "8TRA.DE", "missing_dividend"),
        ("ABDP-L-1d-bad-div", "ABDP.L", "wrong_dividend"),
        ("AET-L-1d-100x-error", "AET.L", "wrong_unit"),
        ("JENYX-1d-cg-double-count", "JENYX", "doubled_dividend"),
    ],
)
def test_what_yahoo_got_wrong_is_told_on_import_and_not_of_the_repaired_twin(
    workspace: Workspace, shared_data: Path, name: str, instrument: str, kind: str
) -> None:
    folder = shared_data / "known_dirty/yahoo_price_errors"
    broken, repaired = (
        {
            f.kind
            for f in _import(workspace, folder / f"{name}{end}.csv", instrument=instrument, source=s).quality.findings
        }
        for end, s in (("", "broken"), ("-fixed", "repaired"))
    )
    assert kind in broken
    assert kind not in repaired
