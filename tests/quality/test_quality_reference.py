"""The reference set: every known defect is found, its repaired twin is free of it, and clean series are left alone."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the readers of docs/data_quality.md

from docs.make_quality import DEFECTS, Looked, confirmed, known_dirty, splits_known  # noqa: E402
from docs.reference_set import dirty, read_clean  # noqa: E402

pytestmark = pytest.mark.shared_data

CLEAN = [
    ("crypto/1d/binance_2017_2022", "ETH_USDT-1d.json.gz"),
    ("crypto/1d/binance_2017_2022", "APE_USDT-1d.json.gz"),
    ("crypto/1d/binance_2017_2022", "LINK_USDT-1d.json.gz"),
    ("crypto/1d/binance_2024b", "SUI_USDT-1d_to_2025-02.csv.gz"),
    ("crypto/1d/coinbase_lean", "btcusd_trade.zip"),
    ("crypto/1d/coingecko", "xrp-usd-max_to_2025-02.csv.gz"),
    ("crypto/1d/kraken_cdd", "Kraken_LTCUSD_d.csv"),
    ("crypto/1d/kraken_cdd", "Kraken_ETHUSD_d.csv"),
    ("crypto/1d/yahoo", "DOGE-USD.csv"),
    ("crypto/1h/binance_2017_2022", "BTC_USDT-1h.json.gz"),
    ("crypto/5m/binance_2024b", "ETH_USDT-5m_to_2025-02.csv.gz"),
    ("index/1d/ibkr", "SOX.csv.gz"),
    ("stocks/1d/ibkr", "META.csv.gz"),
    ("stocks/1d/ibkr", "INTC.csv.gz"),
    ("stocks/1d/yahoo", "NFLX.csv"),
    ("stocks/1h/ibkr", "TSLA_1h.csv.gz"),
    ("stocks/1h/yahoo", "INTC_1h.csv.gz"),
]
RAW = ["aapl.zip", "aig.zip", "bac.zip", "goog.zip", "ibm.zip", "iwm.zip", "spy.zip"]


def test_every_known_defect_is_found_and_no_repaired_twin_has_it(shared_data: Path) -> None:
    rows = known_dirty(shared_data)
    assert len(rows) == len(DEFECTS) == 18
    assert [row for row in rows if "NOT" in row[2]] == []
    assert [row[0] for row in rows if row[3] == "yes"] == [name for name in DEFECTS if name.count("-") > 1]
    assert [row for row in rows if row[3].startswith("no")] == []


@pytest.mark.parametrize(("folder", "file"), CLEAN)
def test_a_clean_series_has_at_most_one_false_flag_a_year(shared_data: Path, folder: str, file: str) -> None:
    odd = Looked.at(read_clean(shared_data, folder, file)).odd
    assert max(Counter(odd["open_time"].dt.year()).values(), default=0) <= 1


@pytest.mark.parametrize("file", RAW)
def test_raw_stocks_have_their_splits_and_at_most_one_false_flag_a_year(shared_data: Path, file: str) -> None:
    looked = Looked.at(read_clean(shared_data, "stocks/1d/lean_raw", file))
    right = confirmed(looked, shared_data)
    years = [when.year for when, why in zip(looked.odd["open_time"], right, strict=True) if not why]
    assert max(Counter(years).values(), default=0) <= 1
    missed = [(day, ratio) for day, ratio, found in splits_known(looked, shared_data) if found == "no"]
    assert missed == ([("1999-07-30", "1.25")] if file == "aig.zip" else [])  # five for four, in a wild year


def test_outages_are_holes_as_the_set_describes_them(shared_data: Path) -> None:
    hours = Looked.at(read_clean(shared_data, "crypto/1h/binance_2017_2022", "BTC_USDT-1h.json.gz"))
    (gap,) = [f for f in hours.findings if f.kind == "gap"]
    assert (gap.count, gap.detail) == (127, "127 bars of the calendar are absent, in 27 holes")
    days = Looked.at(read_clean(shared_data, "crypto/1d/coinbase_lean", "btcusd_trade.zip"))
    assert days.kinds["gap"] == 34


def test_the_two_offsets_are_seen_in_the_text_and_the_overlap_in_the_rows(shared_data: Path) -> None:
    looked = Looked.at(dirty(shared_data / "known_dirty" / "AAPL_1h_mixed_offsets.csv"))
    found = {f.kind: (f.count, f.first) for f in looked.findings}
    assert found["mixed_offsets"] == (84, "row 1 (2026-07-20 13:30:00+00:00)")
    assert found["overlap"] == (1, "row 81 (2026-08-04 19:30:00+00:00)")
