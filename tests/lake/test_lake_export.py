"""The lake as one DuckDB file: read alone, the same rows, replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from forecastle.errors import DataCorrupt, DataInvalid, DataMissing, StorageUnwritable
from forecastle.lake import Lake, export
from forecastle.lake.export import export_duckdb, read_duckdb
from lake_model import Step
from making import BTC, make_candles, open_lake, tree

DAYS = make_candles(40)
HOURS = make_candles(24 * 20, start="2023-12-22", timeframe="1h")
STOCK = make_candles(30, instrument="AAPL", source="other")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "raw")
    for candles in (DAYS, HOURS, STOCK):
        lake.write(candles)
    Step("observe", {0: 1.0, 1: 2.0}).do(lake)
    return lake


def test_every_row_comes_back_from_the_file_alone(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "out.duckdb"
    assert export_duckdb(lake, out) == len(DAYS) + len(HOURS) + len(STOCK)
    (tmp_path / "raw").rename(tmp_path / "gone")
    for candles in (DAYS, HOURS, STOCK):
        back = read_duckdb(out, candles.instrument, candles.timeframe, None)
        assert back.frame.equals(candles.frame)
        assert (back.source, back.adjusted, back.data_hash) == (candles.source, candles.adjusted, candles.data_hash)
    assert [p.name for p in out.parent.iterdir()] == ["out.duckdb"]


def test_plain_duckdb_finds_the_tables(lake: Lake, tmp_path: Path) -> None:
    export_duckdb(lake, tmp_path / "out.duckdb")
    with duckdb.connect(str(tmp_path / "out.duckdb"), read_only=True) as database:
        assert database.execute("SELECT count(*) FROM btc_prices").fetchone() == (len(DAYS) + len(HOURS),)
        assert database.execute("SELECT count(*), sum(value) FROM observations").fetchone() == (2, 3.0)
        listed = database.execute("SELECT instrument, timeframe, source, bars FROM series").fetchall()
        kinds = dict(database.execute("SELECT column_name, data_type FROM information_schema.columns "
                                      "WHERE table_name = 'candles'").fetchall())  # fmt: skip
    assert listed == [
        ("AAPL", "1d", "other", 30), ("BTC-USDT", "1d", "test", 40), ("BTC-USDT", "1h", "test", 480),
    ]  # fmt: skip
    assert (kinds["open_time"], kinds["close"], kinds["source"]) == ("TIMESTAMP WITH TIME ZONE", "DOUBLE", "VARCHAR")


def test_an_empty_lake_becomes_empty_tables(tmp_path: Path) -> None:
    assert export_duckdb(open_lake(tmp_path / "raw"), tmp_path / "out.duckdb") == 0
    with pytest.raises(DataMissing, match="holds no 1d candles of BTC-USDT"):
        read_duckdb(tmp_path / "out.duckdb", BTC, "1d", None)


def test_a_new_export_replaces_the_old_one(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "out.duckdb"
    before = export_duckdb(lake, out)
    lake.write(make_candles(50))
    with duckdb.connect(str(out), read_only=True) as reader:  # who reads the old one is not disturbed
        assert export_duckdb(lake, out) == before + 10
        assert reader.execute("SELECT count(*) FROM candles").fetchone() == (before,)
    assert len(read_duckdb(out, BTC, "1d", None)) == 50


def test_a_damaged_file_stops_the_export_and_the_old_one_stays(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "out.duckdb"
    export_duckdb(lake, out)
    path = lake.current_files("candles")[0]
    path.write_bytes(path.read_bytes()[:-1])
    before = tree(out.parent)
    with pytest.raises(DataCorrupt, match=path.name):
        export_duckdb(lake, out)
    assert tree(out.parent) == before


def test_a_failing_disk_leaves_the_old_file(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.duckdb"
    export_duckdb(lake, out)
    before = tree(tmp_path)

    def fails(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(StorageUnwritable, match="no room"):
        export_duckdb(lake, out)
    monkeypatch.undo()
    assert tree(tmp_path) == before
    monkeypatch.setattr(export, "TABLES", {"candles": {}, "nothing": {}})
    with pytest.raises(StorageUnwritable, match=r"out\.duckdb cannot be written"):
        export_duckdb(lake, out)
    assert tree(tmp_path) == before


def test_a_place_that_cannot_be_written_is_said(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageUnwritable):
        export_duckdb(lake, tmp_path / "file" / "out.duckdb")


@pytest.mark.parametrize("content", [b"", b"no database", b"x" * 5000])
def test_what_is_no_export_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.duckdb"
    with pytest.raises(DataMissing, match="no file"):
        read_duckdb(path, BTC, "1d", None)
    path.write_bytes(content)
    with pytest.raises(DataCorrupt, match="cannot be read"):
        read_duckdb(path, BTC, "1d", None)


def test_rows_changed_in_the_file_do_not_pass_for_candles(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "out.duckdb"
    export_duckdb(lake, out)
    with duckdb.connect(str(out)) as database:
        database.execute("UPDATE candles SET low = high * 2 WHERE instrument = 'AAPL'")
    with pytest.raises(DataInvalid, match="AAPL"):
        read_duckdb(out, STOCK.instrument, "1d", None)
    assert len(read_duckdb(out, BTC, "1d", None)) == 40


def test_several_sources_have_to_be_told_apart(lake: Lake, tmp_path: Path) -> None:
    lake.write(make_candles(10, source="other"))
    export_duckdb(lake, tmp_path / "out.duckdb")
    with pytest.raises(DataInvalid, match="several sources: other, test"):
        read_duckdb(tmp_path / "out.duckdb", BTC, "1d", None)
    assert len(read_duckdb(tmp_path / "out.duckdb", BTC, "1d", "other")) == 10
