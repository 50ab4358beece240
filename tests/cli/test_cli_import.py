"""``import`` as a user meets it: what it shows, what it stores, what it says where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Cli

KLINES = "".join(
    f"{1735689600000000 + i * 3600000000},100,110,90,105,7,{1735693199999999 + i * 3600000000},700,9,3,300,0\n"
    for i in range(3)
)
DAYS = "date,open,high,low,close,volume\n" + "".join(f"2024-01-0{d},1,2,0.5,1.5,10\n" for d in range(1, 6))


def _file(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_dry_run_shows_what_was_understood(inside: Cli, home: Path, tmp_path: Path) -> None:
    words = ("import", _file(tmp_path, KLINES), "--instrument", "BTC-USDT", "--timeframe", "1h", "--dry-run")
    ran = inside(*words, home=home)
    assert ran.code == 0
    for line in (
        "layout: binance archive (us)",
        "columns: open_time = column_1, open = column_2, high = column_3, low = column_4, close = column_5, "
        "volume = column_6",
        "times: us, zone: UTC",
        "prices: as written, adjusted: none",
        "volume: base (BTC)",
        "first row: open_time 2025-01-01 00:00:00+00:00, close_time 2025-01-01 01:00:00+00:00, open 100.0, high 110.0, "
        "low 90.0, close 105.0, volume 7.0",
        "Dry run: nothing was stored; 3 rows would be stored.",
    ):
        assert line in ran.out.splitlines()
    document = inside(*words, "--json", home=home).document
    told = {
        k: document[k] for k in ("layout", "time_unit", "time_zone", "volume_unit", "price_scale", "prices", "rows")
    }
    assert told == {
        "layout": "binance archive (us)", "time_unit": "us", "time_zone": "UTC", "volume_unit": "base",
        "price_scale": 1.0, "prices": "ohlc", "rows": 3,
    }  # fmt: skip
    assert document["first"]["open_time"] == ["2025-01-01T00:00:00Z"]
    assert not home.exists()


def test_rows_of_the_quarantine_are_counted_and_in_a_dry_run_listed(inside: Cli, home: Path, tmp_path: Path) -> None:
    path = _file(tmp_path, f"{DAYS}2024-01-06,1,2,0,1.5,10\n2024-01-07,1,2,[x],1.5,10\n")
    words = ("import", path, "--instrument", "BTC-USD")
    dry = inside(*words, "--dry-run", home=home)
    assert "2 rows cannot be candles" in dry.out
    assert "wrong_type: low is '[x]'" in dry.out
    assert "5 rows would be stored, and 2 go to the quarantine" in dry.out
    assert "5 added, 0 revised, 0 there already. 2 rows are in the quarantine, 2 of them new." in inside(
        *words, home=home
    ).out  # fmt: skip
    again = inside(*words, "--json", home=home).document
    assert (again["written"]["unchanged"], again["quarantined"], again["newly_quarantined"]) == (5, 2, 0)
    assert again["quarantined_rows"]["reason"] == ["wrong_type: low is '[x]'", "non_positive"]


def test_only_closes(inside: Cli, home: Path, tmp_path: Path) -> None:
    path = _file(tmp_path, "Date,AAPL\n2024-01-02,185.6\n2024-01-03,184.3\n")
    words = ("import", path, "--instrument", "AAPL", "--columns", "open_time=Date,close=AAPL")
    assert "--prices close" in inside(*words, home=home).complaint(4)[2]
    ran = inside(*words, "--prices", "close", home=home)
    assert "prices: as written; only the close is known, adjusted: unknown" in ran.out
    assert "volume: none" in ran.out.splitlines()


def test_observations_of_one_file(inside: Cli, home: Path, tmp_path: Path) -> None:
    path = _file(tmp_path, "date,rate\n2024-01-02,0.0001\n2024-01-03,-0.0002\n")
    words = ("import", path, "--instrument", "BTC-USDT-PERP", "--observation", "funding_rate")
    said = ("--unit", "share", "--value", "rate", "--known-after", "1d")
    dry = inside(*words, *said, "--dry-run", home=home)
    assert dry.out.splitlines()[-2:] == [
        "first row: about 2024-01-02 00:00:00+00:00, known_at 2024-01-03 00:00:00+00:00, value 0.0001",
        "Dry run: nothing was stored.",
    ]
    assert not home.exists()
    document = inside(*words, *said, "--json", home=home).document
    assert (document["written"]["added"], document["values"], document["name"]) == (2, 2, "funding_rate")
    assert "2 there already" in inside(*words, *said, home=home).out


MAP = """
[[files]]
pattern = "{pair}.csv"
instrument = "{pair}"
timeframe = "1d"
source = "mine"

[[files]]
pattern = "*.md"
skip = "words"

[[files]]
pattern = "never/*"
skip = "words"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "in/BTC-USD.csv": DAYS, "in/ETH-USD.csv": "date,open\n", "in/a.md": "x", "in/b.bin": "x", "map.toml": MAP,
    }.items():  # fmt: skip
        _file(tmp_path, text, name)
    return tmp_path / "in"


def test_a_folder_tells_of_every_file_and_of_the_bad_one_in_three_lines(inside: Cli, home: Path, folder: Path) -> None:
    ran = inside("import", folder, "--map", folder.parent / "map.toml", home=home)
    assert (ran.code, ran.err) == (4, "")
    lines = [line.strip() for line in ran.out.splitlines()]
    assert "skipped: 1 files: words" in lines
    assert "no entry of the map tells of b.bin" in lines
    assert "no file fits the pattern never/*" in lines
    bad = lines.index("refused: ETH-USD.csv")
    assert [line.partition(":")[0] for line in lines[bad + 1 : bad + 4]] == ["what", "why", "do"]
    assert lines[-1] == "5 added, 0 revised, 0 unchanged, 0 quarantined rows; 1 refused."

    document = inside("import", folder, "--map", folder.parent / "map.toml", "--json", home=home).document
    assert document["schema"] == "forecastle/import-folder/1"
    assert {f["path"]: f["state"] for f in document["files"]} == {
        "BTC-USD.csv": "stored", "ETH-USD.csv": "refused", "a.md": "skipped",
    }  # fmt: skip
    assert (document["totals"]["unchanged"], document["unmapped"]) == (5, ["b.bin"])


def test_a_folder_without_bad_files_ends_well(inside: Cli, home: Path, folder: Path) -> None:
    (folder / "ETH-USD.csv").unlink()
    dry = inside("import", folder, "--map", folder.parent / "map.toml", "--dry-run", home=home)
    assert (dry.code, home.exists()) == (0, False)
    assert inside("import", folder, "--map", folder.parent / "map.toml", home=home).code == 0


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "a folder without a map": (("in",), "--map is not given"),
    "a map and an instrument": (("in", "--map", "map.toml", "--instrument", "AAPL"), "both given"),
    "nobody's file": (("in/BTC-USD.csv",), "--instrument is not given"),
    "a unit without a name": (("in/BTC-USD.csv", "--instrument", "AAPL", "--unit", "x"), "--observation is not given"),
    "an observation without a unit": (
        ("in/BTC-USD.csv", "--instrument", "BTC-USD", "--observation", "x"), "--unit is not given",
    ),
    "an observation known before": (
        ("in/BTC-USD.csv", "--instrument", "BTC-USD", "--observation", "x", "--unit", "u", "--value", "close",
         "--known-after", "-1d"), "known_after",
    ),
    "no such layout": (("in/BTC-USD.csv", "--instrument", "BTC-USD", "--layout", "leen"), "no layout named 'leen'"),
    "no such prices": (("in/BTC-USD.csv", "--instrument", "BTC-USD", "--prices", "vwap"), "vwap"),
    "no such map": (("in", "--map", "nowhere.toml"), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG)
def test_a_wrong_question_is_told_in_three_lines(inside: Cli, home: Path, folder: Path, why: str) -> None:
    words, told = WRONG[why]
    paths = [folder.parent / w if w.startswith("in") or w.endswith("toml") else w for w in words]
    assert told in " ".join(inside("import", *paths, home=home).complaint(2))
    assert not home.exists()
