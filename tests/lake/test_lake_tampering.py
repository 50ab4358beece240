"""Whatever was changed behind the lake's back is found before it is used, and what is whole still serves."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import pytest

from forecastle.errors import DataCorrupt
from forecastle.lake import Lake, query
from forecastle.lake.manifest import MIRROR, NAME
from forecastle.nouns import Candles
from making import key_of, make_candles, open_lake, with_close, without

SERIES = make_candles(40)
OTHER = make_candles(40, instrument="ETH-USDT", seed=1)
COPIES = (NAME, MIRROR)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three commits: two series, and a revision of the first."""
    lake = open_lake(tmp_path)
    for candles in (SERIES, OTHER, with_close(SERIES, 5, 1.2)):
        lake.write(candles)
    return lake


def _current(lake: Lake, candles: Candles) -> Path:
    return next(p for p in lake.current_files("candles") if candles.instrument.id in p.parts)


def _both(lake: Lake, content: bytes) -> None:
    for name in COPIES:
        (lake.root / name).write_bytes(content)


def test_each_line_carries_the_sha256_of_the_line_before(lake: Lake) -> None:
    lines = (lake.root / NAME).read_bytes().splitlines()
    told = [json.loads(line)["previous"] for line in lines]
    assert told == ["0" * 64, *(hashlib.sha256(line).hexdigest() for line in lines[:-1])]
    for line in lines:
        begin, seal = line.rsplit(b',"seal":"', 1)
        assert hashlib.sha256(begin).hexdigest() == seal.decode().removesuffix('"}')


def test_the_second_copy_is_the_same(lake: Lake) -> None:
    assert (lake.root / NAME).read_bytes() == (lake.root / MIRROR).read_bytes()


@pytest.mark.parametrize("copy", COPIES)
def test_a_flipped_bit_of_any_byte_of_one_copy_is_found_and_the_other_serves(lake: Lake, copy: str) -> None:
    """Also in the last line, which no later line vouches for, and where the flip makes or unmakes an end of a line."""
    path = lake.root / copy
    whole, right = path.read_bytes(), lake.read(key_of(SERIES)).frame
    places = [*range(0, len(whole), 101), *range(len(whole) - 40, len(whole))]
    places += [i for i, byte in enumerate(whole) if byte == 0x0A]
    for place, bit in itertools.product(places, (0x01, 0x20)):
        changed = bytearray(whole)
        changed[place] ^= bit
        path.write_bytes(changed)
        fresh = open_lake(lake.root)
        assert fresh.read(key_of(SERIES)).frame.equals(right)
        if copy == NAME:
            assert [p.path for p in fresh.verify()] == [copy], f"byte {place}"
    path.write_bytes(whole)
    assert lake.verify() == []


def test_a_flipped_bit_in_both_copies_is_found(lake: Lake) -> None:
    whole = (lake.root / NAME).read_bytes()
    end = whole.rstrip().rfind(b"\n")
    for place in [*range(0, end, 23), *(i for i in range(end) if whole[i] in b"\n-")]:
        for bit in (0x01, 0x20):  # 0x20 makes an end of a line out of * and -, and unmakes those that are
            changed = bytearray(whole)
            changed[place] ^= bit
            _both(lake, bytes(changed))
            with pytest.raises(DataCorrupt, match=r"manifest\.(mirror\.)?jsonl is not what was committed"):
                open_lake(lake.root).read(key_of(OTHER))


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_a_manifest_that_was_cut_inside_its_last_line_is_as_before_that_commit(lake: Lake, cut: int) -> None:
    """A crash leaves it so; the commit was then never told to be safe."""
    _both(lake, (lake.root / NAME).read_bytes()[:-cut])
    fresh = open_lake(lake.root)
    assert fresh.read(key_of(SERIES)).frame.equals(SERIES.frame)
    assert fresh.verify() == []
    again = fresh.write(with_close(SERIES, 5, 1.2))
    assert (again.revised, again.commit) == (1, 3)
    assert fresh.verify() == []


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("damage", ["cut", "short", "zeros", "remove", "empty", "swap", "folder"])
def test_one_damaged_copy_costs_nothing(lake: Lake, copy: str, damage: str) -> None:
    path = lake.root / copy
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    new = {
        "cut": whole[:-50], "short": lines[0], "zeros": whole[:-300] + bytes(300), "empty": b"",
        "swap": lines[1] + lines[0] + lines[2], "remove": b"", "folder": b"",
    }  # fmt: skip
    path.write_bytes(new[damage])
    if damage in ("remove", "folder"):
        path.unlink()
    if damage == "folder":
        path.mkdir()
    fresh = open_lake(lake.root)
    assert fresh.read(key_of(SERIES)).frame.equals(with_close(SERIES, 5, 1.2).frame)
    if damage == "folder":
        return
    assert fresh.write(make_candles(3, instrument="SOL-USDT")).commit == 4
    assert path.read_bytes().startswith(whole), "the next writer makes both whole and equal"
    assert fresh.verify() == []


@pytest.mark.parametrize("gone", [0, 1])
def test_a_line_that_is_gone_from_inside_both_is_found(lake: Lake, gone: int) -> None:
    lines = (lake.root / NAME).read_bytes().splitlines(keepends=True)
    _both(lake, b"".join(line for number, line in enumerate(lines) if number != gone))
    with pytest.raises(DataCorrupt, match=f"Line {gone + 1} of .*\n.*does not follow"):
        open_lake(lake.root).datasets()


def test_nothing_is_added_to_a_manifest_of_which_no_copy_is_whole(lake: Lake) -> None:
    before = (lake.root / NAME).read_bytes().replace(b'"rows":40', b'"rows":41')
    _both(lake, before)
    with pytest.raises(DataCorrupt):
        open_lake(lake.root).write(make_candles(3, instrument="SOL-USDT"))
    assert [(lake.root / name).read_bytes() for name in COPIES] == [before, before]


def test_a_damaged_copy_beside_one_that_misses_the_last_commit_is_not_taken_for_the_lake(lake: Lake) -> None:
    """The older copy is whole, but a commit that was told to be safe is not in it."""
    path = lake.root / NAME
    lines = path.read_bytes().splitlines(keepends=True)
    (lake.root / MIRROR).write_bytes(b"".join(lines[:2]))
    path.write_bytes(path.read_bytes().replace(b"BTC-USDT", b"BTC-USDC", 1))
    with pytest.raises(DataCorrupt, match="its seal is broken"):
        open_lake(lake.root).datasets()


def test_the_first_lines_alone_are_the_lake_of_then(lake: Lake) -> None:
    """The past stays: a copy of the manifest cut after commit 1 reads as the lake was after commit 1."""
    _both(lake, (lake.root / NAME).read_bytes().splitlines(keepends=True)[0])
    fresh = open_lake(lake.root)
    assert fresh.read(key_of(SERIES)).frame.equals(SERIES.frame)
    assert [i.key for i in fresh.datasets()] == [key_of(SERIES)]


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
        query(lake, "SELECT count(*) FROM candles")
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


def test_new_rows_are_taken_beside_a_damaged_file(lake: Lake) -> None:
    """A damaged neighbour is no reason to refuse good rows of later days."""
    path = _current(lake, SERIES)
    path.write_bytes(path.read_bytes()[:-7])
    assert lake.write(make_candles(120).last(80)).added == 80
    assert len(lake.read(key_of(SERIES), SERIES.end)) == 80
    assert [p.path for p in lake.verify()] == [str(path.relative_to(lake.root))]


def test_verify_names_damage_to_files_of_the_past_too(lake: Lake) -> None:
    current = set(lake.current_files("candles"))
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


def test_as_many_other_rows_do_not_repair(lake: Lake) -> None:
    """The bar that only the damaged file had would be gone, and nobody told."""
    whole = make_candles(10, instrument="LTC-USDT")
    lake.write(without(whole, 3))
    path = _current(lake, whole)
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    with pytest.raises(DataCorrupt, match=path.name):
        lake.write(without(whole, 5))
    assert lake.write(without(whole, 3)).revised == 0
    assert lake.read(key_of(whole)).frame.equals(without(whole, 3).frame)
