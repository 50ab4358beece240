"""Features through the command line: what a new user types, and what is told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import talib

import forecastle as fc

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_build_makes_the_table_that_others_read(cli: Cli, own_copy: Path) -> None:
    made = cli("features", "build", "SPX.INDEX", "--json", home=own_copy)
    assert (made.code, made.err) == (0, "")
    table = made.document["table"]
    assert made.document["schema"] == "forecastle/features-build/1"
    assert (table["state"], table["rows"], table["added"]) == ("built", 5031, 5031)
    path = own_copy / "processed" / "features" / "SPX.INDEX" / "1d.parquet"
    rows = pl.read_parquet(path)
    assert rows.columns[:3] == ["instrument", "known_at", "created_at"]
    close = fc.load("SPX.INDEX", home=own_copy).frame["close"].to_numpy().copy()
    np.testing.assert_allclose(rows["rsi_14"].to_numpy()[14:], talib.RSI(close, 14)[14:], rtol=1e-8)
    assert fc.load_features("SPX.INDEX", home=own_copy).fingerprint == table["fingerprint"]
    again = cli("features", "build", "SPX.INDEX", home=own_copy)
    assert again.code == 0
    assert "up to date; 0 rows added" in again.out
    assert "It is the benchmark itself." in again.out


def test_simulated_features_say_so(inside: Cli, own_copy: Path) -> None:
    made = inside("features", "build", "BTC-USD", "--names", "rsi_14,ichimoku", home=own_copy)
    assert made.code == 0
    assert "SIMULATED DATA" in made.out
    assert "9 columns" in made.out


def test_list_says_what_each_is(inside: Cli, filled: Path) -> None:
    listed = inside("features", "list", "--json", home=filled)
    features = {f["name"]: f for f in listed.document["features"]}
    assert features["sma_200"]["lookback"] == 199
    assert features["rsi_14"]["lookback"] is None
    assert features["rsi_14"]["begins"] == "state (14)"
    assert features["rsi_14"]["columns"] == [{"name": "rsi_14", "unit": "points"}]
    assert features["mvrv_z"]["needs"] == ["observations"]
    table = inside("features", "list", "--group", "onchain", home=filled)
    assert "nvt_signal_90" in table.out
    assert "rsi_14" not in table.out


def test_wrong_input_gets_its_three_lines(inside: Cli, own_copy: Path) -> None:
    what, why, do = inside("features", "build", "SPX.INDEX", "--names", "rsi14", home=own_copy).complaint(2)
    assert (what, do) == ("There is no feature named 'rsi14'.", "Did you mean 'rsi_14'?")
    what, why, do = inside("features", "build", "SPX.INDEX", "--names", "macd_26_12_9", home=own_copy).complaint(2)
    assert "fast has to be less than slow" in why
    what, _, do = inside("features", "build", "SPY", home=own_copy).complaint(4)
    assert "holds no 1d candles of SPY" in what
    what, why, _ = inside("features", "build", "SPX.INDEX", "--names", "beta_60", home=own_copy).complaint(4)
    assert "benchmark itself" in why
    what, _, do = inside("features", "list", "--group", "onchian", home=own_copy).complaint(2)
    assert "'onchain'" in do
    inside("features", "build", "SPX.INDEX", "--fill", "0", home=own_copy).complaint(2)
    assert inside("features", "build", "SPX.INDEX", "--names", "rsi_14", home=own_copy).code == 0
    what, why, do = inside("features", "build", "SPX.INDEX", home=own_copy).complaint(6)
    assert "--rebuild" in do
    assert inside("features", "build", "SPX.INDEX", "--rebuild", home=own_copy).code == 0
    assert list((own_copy / "processed" / "features" / "SPX.INDEX" / "superseded").iterdir())
    everything = inside("sql", "SELECT * FROM features LIMIT 1", home=own_copy)
    assert "130 more columns: name those you want" in everything.out
    assert "sma_20" in inside("sql", "SELECT sma_20 FROM features LIMIT 1", home=own_copy).out


def test_what_is_online_says_whose_candles_it_is_of(inside: Cli, own_copy: Path) -> None:
    for instrument in ("SPX.INDEX", "BTC-USD"):
        assert inside("features", "build", instrument, home=own_copy).code == 0
    of_both = inside("features", "materialize", "--json", "--timeframe", "1d", home=own_copy).document["tables"]
    assert [table["instrument"] for table in of_both] == ["BTC-USD", "SPX.INDEX"]
    of_one = inside("features", "materialize", "--json", "--source", "bundled", home=own_copy).document["tables"]
    assert [table["instrument"] for table in of_one] == ["SPX.INDEX"]
    read = inside("features", "read", "BTC-USD", "--names", "rsi_14", home=own_copy)
    assert (read.code, read.err) == (0, "")
    assert "SIMULATED DATA" in read.out
    assert "from simulated, served online" in read.out
    index = inside("features", "read", "SPX.INDEX", "--names", "rsi_14", "--source", "bundled", "--json", home=own_copy)
    assert index.document["reading"]["source"] == "bundled"
    assert "SIMULATED DATA" not in inside("features", "read", "SPX.INDEX", "--names", "rsi_14", home=own_copy).out


def test_a_source_that_features_are_not_of_is_refused(inside: Cli, own_copy: Path) -> None:
    assert inside("features", "build", "SPX.INDEX", home=own_copy).code == 0
    for words in (("materialize", "SPX.INDEX"), ("read", "SPX.INDEX", "--names", "rsi_14")):
        what, why, do = inside("features", *words, "--source", "binance", home=own_copy).complaint(4)
        assert what == "There are no 1d features of SPX.INDEX from binance."
        assert why == "A table is of one source, and this one is of bundled."
        assert "--source binance --rebuild" in do
    what, _, _ = inside("features", "materialize", "--source", "binance", home=own_copy).complaint(4)
    assert what == "There is no feature table of binance to bring online."
    what, _, _ = inside("features", "materialize", "--timeframe", "1h", home=own_copy).complaint(4)
    assert "no feature table of 1h" in what
    what, _, do = inside("features", "materialize", "--timeframe", "1hour", home=own_copy).complaint(2)
    assert "timeframe named '1hour'" in what
    assert do == "Did you mean '1h'?"
