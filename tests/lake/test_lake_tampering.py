"""Whatever was changed behind the lake's back is found before it is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from forecastle.errors import DataCorrupt
from forecastle.lake import Lake, query
from forecastle.nouns import Candles
from making import key_of, make_candles, open_lake, with_close, without

SERIES = make_candles(40)
OTHER = make_candles(40, instrument="ETH-USDT", seed=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three commits: two series, and a revision of the first."""
    lake = open_lake(tmp_path)
    for candles in (SERIES, OTHER, with_close(SERIES, 5, 1.2)):
        lake.write(candles)
    return lake


def _current(lake: Lake, candles: Candles) -> Path:
    return next(p for e, p in lake.current_files() if e.instrument == candles.instrument.id)


def test_each_line_carries_the_sha256_of_the_line_before(lake: Lake) -> None:
    lines = (lake.root / "manifest.jsonl").read_bytes().splitlines()
    told = [json.loads(line)["previous"] for line in lines]
    assert told == ["0" * 64, *(hashlib.sha256(line).hexdigest() for line in lines[:-1])]


def test_a_flipped_bit_of_any_byte_of_the_manifest_is_found(lake: Lake) -> None:
    """Also in the last line, which no later line vouches for."""
    path = lake.root / "manifest.jsonl"
    whole = path.read_bytes()
    for place in [*range(0, len(whole), 13), *range(whole.rstrip().rfind(b"\n"), len(whole) - 1)]:
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(DataCorrupt, match=r"manifest\.jsonl is not what was committed"):
            lake.read(key_of(OTHER))
    path.write_bytes(whole)
    assert lake.verify() == []


@pytest.mark.parametrize("cut", [2, 30, 200])
def test_a_manifest_that_was_cut_inside_a_line_is_found(lake: Lake, cut: int) -> None:
    path = lake.root / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataCorrupt, match="Line 3 of"):
        lake.datasets()


@pytest.mark.parametrize("gone", [0, 1])
def test_a_line_that_is_gone_from_inside_is_found(lake: Lake, gone: int) -> None:
    path = lake.root / "manifest.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for number, line in enumerate(lines) if number != gone))
    with pytest.raises(DataCorrupt, match=f"Line {gone + 1} of .*\n.*does not follow"):
        lake.datasets()


def test_nothing_is_added_to_a_manifest_that_was_changed(lake: Lake) -> None:
    path = lake.root / "manifest.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"rows":40', b'"rows":41'))
    before = path.read_bytes()
    with pytest.raises(DataCorrupt):
        lake.write(make_candles(3, instrument="SOL-USDT"))
    assert path.read_bytes() == before


def test_the_first_lines_alone_are_the_lake_of_then(lake: Lake) -> None:
    """The past stays: a copy of the manifest cut after commit 1 reads as the lake was after commit 1."""
    path = lake.root / "manifest.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert lake.read(key_of(SERIES)).frame.equals(SERIES.frame)
    assert [i.key for i in lake.datasets()] == [key_of(SERIES)]


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "remove", "empty"])
def test_a_damaged_data_file_is_found_before_use_and_others_still_serve(lake: Lake, damage: str) -> None:
    path = _current(lake, SERIES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    new = {
        "flip": bytes(content), "cut": path.read_bytes()[:-1], "swap": _current(lake, OTHER).read_bytes(), "empty": b"",
    }  # fmt: skip
    path.unlink() if damage == "remove" else path.write_bytes(new[damage])
    with pytest.raises(DataCorrupt, match=path.name):
        lake.read(key_of(SERIES))
    with pytest.raises(DataCorrupt, match=path.name):
        query(lake, "SELECT 1")
    with pytest.raises(DataCorrupt, match=path.name):
        lake.write(SERIES.last(len(SERIES) - 1))  # less than what was lost would lose the rest
    assert lake.read(key_of(OTHER)).frame.equals(OTHER.frame)
    assert [p.path for p in lake.verify()] == [str(path.relative_to(lake.root))]


def test_an_import_that_brings_every_row_again_repairs_a_damaged_file(lake: Lake) -> None:
    path = _current(lake, SERIES)
    before = lake.read(key_of(SERIES))
    path.write_bytes(path.read_bytes()[:-7])
    lake.write(before)
    assert lake.read(key_of(SERIES)).frame.equals(before.frame)
    assert lake.verify() == []


def test_verify_names_damage_to_files_of_the_past_too(lake: Lake) -> None:
    current = {p for _, p in lake.current_files()}
    (old,) = set(lake.root.rglob("*.parquet")) - current
    old.write_bytes(old.read_bytes() + b" ")
    assert [p.path for p in lake.verify()] == [str(old.relative_to(lake.root))]
    assert lake.read(key_of(SERIES)).frame.equals(with_close(SERIES, 5, 1.2).frame)


def test_more_rows_with_a_hole_do_not_repair(lake: Lake) -> None:
    """Enough rows in all are not enough: those that were there have to come again."""
    path = _current(lake, SERIES)
    path.write_bytes(path.read_bytes()[:-7])
    whole = make_candles(2 * len(SERIES))
    with pytest.raises(DataCorrupt, match=path.name):
        lake.write(without(whole, 3))
