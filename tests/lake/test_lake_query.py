"""SQL reads the current candles and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from forecastle.errors import DataCorrupt, RequestInvalid
from forecastle.lake import Lake, query
from lake_model import Step
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


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Several series in several files with equal times, so that a wrong filter shows; for reading only."""
    lake = open_lake(tmp_path_factory.mktemp("everything") / "raw")
    for number, name in enumerate(("BTC-USDT", "BTC-USD", "ETH-USDT", "AAPL")):
        lake.write(make_candles(24 * 30, start="2023-12-15", timeframe="1h", instrument=name, seed=number))
        lake.write(make_candles(30, instrument=name, source="other", seed=number + 9))
    return lake


@pytest.fixture
def wide(everything: Lake, tmp_path: Path) -> Lake:
    """Return a copy that may be changed."""
    shutil.copytree(everything.root, tmp_path / "wide" / "raw")
    return open_lake(tmp_path / "wide" / "raw")


CONDITIONS = [
    "true", "instrument = 'BTC-USD'", "instrument <> 'BTC-USD'", "instrument IN ('AAPL', 'ETH-USDT')",
    "instrument LIKE 'BTC-%' AND timeframe = '1d'", "source = 'other' OR close > 120", "NOT (source = 'other')",
    "open_time >= '2024-01-01'", "open_time > '2023-12-31 23:00:00+00' AND open_time <= '2024-01-01 01:00:00+01'",
    "close_time = '2024-01-01 00:00:00+00'", "open_time BETWEEN '2023-12-20' AND '2023-12-21' AND instrument < 'B'",
    "close_time < '2023-12-15'", "instrument = 'NOBODY'", "instrument IS NULL", "high - low > 3 AND low < 100",
    "instrument = (SELECT max(instrument) FROM candles)", "date_part('year', open_time) = 2024 AND source = 'test'",
    "open_time = (SELECT max(open_time) FROM candles WHERE instrument = 'AAPL')",
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_a_condition_leaves_is_what_duckdb_leaves_of_all_rows(everything: Lake, condition: str) -> None:
    """The lake opens only files that can matter; plain DuckDB over a copy of every row decides what is right."""
    rows = query(everything, "SELECT * FROM candles").to_arrow()
    sql = f"SELECT * FROM candles WHERE {condition} ORDER BY ALL"
    with duckdb.connect(":memory:") as plain:
        plain.execute("SET TimeZone = 'UTC'")
        plain.register("candles", rows)
        right = pl.DataFrame(plain.sql(sql).to_arrow_table())
    assert query(everything, sql).equals(right)
    assert rows.num_rows == sum(info.rows for info in everything.datasets())


def test_a_question_opens_only_files_that_can_matter(wide: Lake) -> None:
    """A damaged file stops the questions that need it, and no other."""
    year, other = (p for p in wide.current_files("candles") if "ETH-USDT" in p.parts and "1h" in p.parts)
    assert (year.name[:4], other.name[:4]) == ("2023", "2024")
    year.write_bytes(b"")
    for condition in ("instrument = 'BTC-USDT'", "timeframe = '1d'", "open_time >= '2024-01-01'"):
        assert query(wide, f"SELECT count(*) FROM candles WHERE {condition}").item() > 0
    for condition in ("true", "instrument = 'ETH-USDT'", "open_time < '2023-12-16'"):
        with pytest.raises(DataCorrupt, match=year.name):
            query(wide, f"SELECT count(*) FROM candles WHERE {condition}")


def test_observations_are_a_table_beside_them(wide: Lake) -> None:
    assert query(wide, "SELECT count(*) FROM observations").item() == 0
    Step("observe", {0: 1.0, 9: 2.5}).do(wide)
    answer = query(
        wide, "SELECT name, unit, source, sum(value) s FROM observations WHERE about < '2023-12-26' GROUP BY ALL"
    )
    assert answer.rows() == [("mood", "points", "test", 3.5)]
    assert query(wide, "SELECT value FROM observations WHERE about >= '2023-12-25 09:00:00+00'").rows() == [(2.5,)]
