"""SQL reads the current candles and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from forecastle.errors import RequestInvalid
from forecastle.lake import Lake, query
from making import make_candles, open_lake, tree, with_close


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "raw")
    for candles in (make_candles(30), with_close(make_candles(30), 29, 1.5), make_candles(20, instrument="AAPL")):
        lake.write(candles)
    return lake


def test_the_view_holds_the_current_rows_with_their_keys(lake: Lake) -> None:
    answer = query(lake, "SELECT instrument, count(*) n, sum(ln(close)) s FROM candles GROUP BY ALL ORDER BY 1")
    closes = [make_candles(20, instrument="AAPL").frame["close"], with_close(make_candles(30), 29, 1.5).frame["close"]]
    assert answer["instrument"].to_list() == ["AAPL", "BTC-USDT"]
    assert answer["n"].to_list() == [20, 30]
    np.testing.assert_allclose(answer["s"], [np.log(c).sum() for c in closes], rtol=1e-12)
    whole = query(
        lake, "SELECT open_time, close_time, open, high, low, close, volume FROM candles WHERE timeframe='1d'"
    )
    assert dict(whole.schema) == dict(make_candles(1).frame.schema)


def test_btc_prices_are_the_candles_of_bitcoin(lake: Lake) -> None:
    assert query(lake, "SELECT DISTINCT instrument FROM btc_prices").rows() == [("BTC-USDT",)]
    assert query(lake, "SELECT count(*) FROM btc_prices").item() == 30


def test_an_empty_lake_has_both_views_without_rows(tmp_path: Path, lake: Lake) -> None:
    empty = open_lake(tmp_path / "nothing")
    for view in ("candles", "btc_prices"):
        there, here = query(empty, f"SELECT * FROM {view}"), query(lake, f"SELECT * FROM {view}")
        assert there.height == 0
        assert there.columns == here.columns
    assert not (tmp_path / "nothing").exists()


def test_a_home_named_from_the_working_folder_is_found(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lake.root.parent)
    assert query(open_lake(Path("raw")), "SELECT count(*) FROM candles").item() == 50


@pytest.mark.parametrize("quote", ["it's", "a,b", "with space", "100%", "[x]", "ü"])
def test_any_folder_name_serves(tmp_path: Path, quote: str) -> None:
    lake = open_lake(tmp_path / quote / "raw")
    lake.write(make_candles(4))
    assert query(lake, "SELECT count(*) FROM candles").item() == 4


WRITING = [
    "COPY candles TO '{root}/out.parquet'",
    "COPY (SELECT 1) TO '{out}/out.csv'",
    "EXPLAIN ANALYZE COPY candles TO '{root}/out.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/manifest.jsonl' (FORMAT csv)",
    "EXPORT DATABASE '{root}'",
    "ATTACH '{out}/x.db'",
    "ATTACH '{root}/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE TABLE t AS SELECT 1",
    "INSERT INTO candles SELECT * FROM candles",
    "UPDATE candles SET close = 1",
    "DROP VIEW candles",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "CALL duckdb_settings()",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY candles TO '{root}/out.parquet'",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", WRITING)
def test_what_is_not_one_select_is_refused_and_writes_nothing(lake: Lake, tmp_path: Path, sql: str) -> None:
    before = tree(tmp_path)
    with pytest.raises(RequestInvalid, match="not one SELECT"):
        query(lake, sql.format(root=lake.root, out=tmp_path))
    assert tree(tmp_path) == before


OUTSIDE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_text('{root}/../secret.csv')",
    "SELECT * FROM read_csv('{root}secret.csv')",
    "SELECT * FROM '{root}/../secret.csv'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_nothing_outside_the_lake_can_be_reached(lake: Lake, tmp_path: Path, sql: str) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    Path(f"{lake.root}secret.csv").write_text("a,b\n1,2\n")  # begins like the folder, and is not in it
    assert os.path.exists("/etc/passwd")  # noqa: PTH110 - else the refusal would prove nothing
    with pytest.raises(RequestInvalid):
        query(lake, sql.format(root=lake.root))


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT nope FROM candles", "nope"),
        ("SELECT * FROM candels", "candels"),
        ("SELECT 1 AS a, 2 AS a", "more than once"),
        ("SELECT INTERVAL 1 DAY", "interval"),
        ("SELECT ?", "parameters"),
        ("SELECT error('no')", "no"),
    ],
)
def test_a_question_that_has_no_answer_says_why(lake: Lake, sql: str, words: str) -> None:
    with pytest.raises(RequestInvalid, match=words):
        query(lake, sql)


def test_times_come_back_in_utc_whatever_the_machine_thinks(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    answer = query(lake, "SELECT min(open_time) t, CAST(min(open_time) AS DATE)::VARCHAR d FROM btc_prices")
    assert answer.schema["t"] == pl.Datetime("us", "UTC")
    assert answer.row(0)[1] == "2024-01-01"


@pytest.mark.parametrize("when", ["'infinity'::TIMESTAMP", "'infinity'::DATE", "'290000-01-01'::DATE"])
def test_a_time_no_calendar_has_is_refused(lake: Lake, when: str) -> None:
    with pytest.raises(RequestInvalid, match="outside the years"):
        query(lake, f"SELECT {when} AS t")


def test_a_home_whose_name_is_a_pattern_serves_only_its_own_files(tmp_path: Path) -> None:
    for name in ("h*y", "hay"):
        open_lake(tmp_path / name / "raw").write(make_candles(4))
    assert query(open_lake(tmp_path / "h*y" / "raw"), "SELECT count(*) FROM candles").item() == 4


def test_units_of_time_are_told_apart_and_nested_answers_refused(lake: Lake) -> None:
    assert query(lake, "SELECT TIMESTAMP_NS '2024-01-01' AS t").height == 1
    for text in ("TIMESTAMP_S '20000-01-01'", "['infinity'::TIMESTAMP]", "{'a': 'infinity'::DATE}"):
        with pytest.raises(RequestInvalid, match=r"outside the years|holds a column of"):
            query(lake, f"SELECT {text} AS t")
