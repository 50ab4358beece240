"""The log that only grows: every edit is found, a crash costs one line at most, and two writers lose nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forecastle.errors import DataCorrupt, RequestInvalid, StorageUnwritable
from forecastle.experiments.chain import NOTHING, Chain, digest

Edit = Callable[[list[bytes]], list[bytes]]


def filled(folder: Path, lines: int = 4) -> Chain:
    chain = Chain(folder / "log.jsonl")
    for number in range(lines):
        with chain.writing() as pen:
            pen.append({"what": f"line {number}", "x": number / 3, "größe": "ä"})
    return chain


def test_each_line_carries_the_hash_of_the_one_before(tmp_path: Path) -> None:
    """By hand: SHA-256 of the line's own text without its hash, names sorted, no spaces."""
    chain, previous = filled(tmp_path), NOTHING
    for number, text in enumerate(chain.path.read_text(encoding="ascii").splitlines(), 1):
        entry = json.loads(text)
        claimed = entry["sha256"]
        without = text.replace(f',"sha256":"{claimed}"', "")
        assert hashlib.sha256(without.encode()).hexdigest() == claimed
        assert (entry["number"], entry["previous"]) == (number, previous)
        previous = claimed
    report = chain.verify()
    assert (report.lines, report.problems, report.torn, report.head) == (4, (), 0, previous)


def test_nothing_is_a_whole_log_and_reading_makes_none(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "none" / "log.jsonl")
    assert chain.entries() == ()
    assert chain.verify().problems == ()
    assert list(tmp_path.iterdir()) == []


EDITS: dict[str, tuple[Edit, int]] = {
    "a number": (lambda lines: [lines[0], lines[1].replace(b"0.333", b"0.334"), *lines[2:]], 2),
    "a space": (lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]], 1),
    "removed in the middle": (lambda lines: [lines[0], *lines[2:]], 2),
    "removed at the beginning": (lambda lines: lines[1:], 1),
    "two swapped": (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
    "one twice": (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
    "a name twice": (lambda lines: [lines[0].replace(b"{", b'{"x":9,', 1), *lines[1:]], 1),
    "the last removed": (lambda lines: lines[:-1], 0),
    "the last two removed": (lambda lines: lines[:-2], 0),
    "all removed": (lambda lines: [], 0),
    "an empty line": (lambda lines: [*lines, b""], 5),
    "not text": (lambda lines: [*lines[:3], b"\xff\xfe"], 4),
    "no object": (lambda lines: [*lines[:3], b"[1]"], 4),
    "not a number": (lambda lines: [*lines[:3], lines[3].replace(b"1.0", b"NaN")], 4),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_found_by_verify_and_stops_reading_and_writing(tmp_path: Path, name: str) -> None:
    chain = filled(tmp_path)
    edit, line = EDITS[name]
    edited = b"".join(line + b"\n" for line in edit(chain.path.read_bytes().splitlines()))
    assert edited != chain.path.read_bytes()
    chain.path.write_bytes(edited)
    assert line in [number for number, _ in chain.verify().problems]
    with pytest.raises(DataCorrupt, match="trials verify"):
        Chain(chain.path).entries()
    with pytest.raises(DataCorrupt), Chain(chain.path).writing():
        pass
    assert chain.path.read_bytes() == edited, "nothing is mended that was not a crash"


def test_a_line_forged_with_its_own_hash_breaks_the_next(tmp_path: Path) -> None:
    chain = filled(tmp_path)
    lines = chain.path.read_bytes().splitlines()
    entry = json.loads(lines[1])
    forged = {k: v for k, v in entry.items() if k != "sha256"} | {"what": "better"}
    lines[1] = json.dumps({**forged, "sha256": digest(forged)}, sort_keys=True, separators=(",", ":")).encode()
    chain.path.write_bytes(b"".join(line + b"\n" for line in lines))
    assert [number for number, _ in chain.verify().problems] == [3]


def test_a_last_line_forged_with_its_head_has_the_wrong_number(tmp_path: Path) -> None:
    chain = filled(tmp_path)
    lines = chain.path.read_bytes().splitlines()
    forged = {k: v for k, v in json.loads(lines[3]).items() if k != "sha256"} | {"number": 9}
    lines[3] = json.dumps({**forged, "sha256": digest(forged)}, sort_keys=True, separators=(",", ":")).encode()
    chain.path.write_bytes(b"".join(line + b"\n" for line in lines))
    chain.head.write_text(json.dumps({"lines": 4, "sha256": digest(forged)}))
    assert [number for number, _ in chain.verify().problems] == [4]


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"lines":1,"sha256":"00"}', b'{"lines":4,"sha256":"00"}'])
def test_a_head_that_was_changed_is_found(tmp_path: Path, content: bytes | None) -> None:
    chain = filled(tmp_path)
    chain.head.unlink() if content is None else chain.head.write_bytes(content)
    assert [number for number, _ in chain.verify().problems] == [0]
    with pytest.raises(DataCorrupt):
        chain.entries()


class Told(logging.Handler):
    """What the log of Forecastle says, whoever configured it before."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def told() -> Iterator[Told]:
    logger, handler = logging.getLogger("forecastle"), Told()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_a_kill_at_any_byte_costs_the_line_being_written_at_most(tmp_path: Path, told: Told) -> None:
    """What a kill leaves: the head of the line before, and any part of the last line."""
    chain = filled(tmp_path, 2)
    head, before = chain.head.read_bytes(), chain.path.stat().st_size
    with chain.writing() as pen:
        pen.append({"what": "the last"})
    whole = chain.path.read_bytes()
    for size in range(before, len(whole) + 1):
        chain.path.write_bytes(whole[:size])
        chain.head.write_bytes(head)
        again, kept = Chain(chain.path), 3 if size == len(whole) else 2
        assert len(again.entries()) == kept
        torn = 0 if size == len(whole) else size - before
        assert (again.verify().problems, again.verify().torn) == ((), torn)
        told.said.clear()
        with again.writing() as pen:
            pen.append({"what": "after the crash"})
        assert [f" {torn} bytes" in line for line in told.said] == ([True] if torn else [])
        assert [e["what"] for e in Chain(chain.path).entries()][2:] == ["the last"] * (kept - 2) + ["after the crash"]
        assert (again.verify().problems, again.verify().torn) == ((), 0)


def test_a_writer_brings_the_head_up_before_it_adds(tmp_path: Path) -> None:
    """Else two crashes between a line and its head would look like an edit."""
    chain = filled(tmp_path, 3)
    head = chain.head.read_bytes()
    with chain.writing() as pen:
        pen.append({"what": "the last"})
    new = chain.head.read_bytes()
    chain.head.write_bytes(head)
    with Chain(chain.path).writing():
        assert chain.head.read_bytes() == new


def test_a_torn_line_that_the_head_knows_was_no_crash(tmp_path: Path) -> None:
    chain = filled(tmp_path)
    chain.path.write_bytes(chain.path.read_bytes()[:-5])
    assert [number for number, _ in chain.verify().problems] == [0]


def test_one_that_was_read_sees_what_another_adds(tmp_path: Path) -> None:
    first, second = filled(tmp_path), Chain(tmp_path / "log.jsonl")
    assert len(second.entries()) == 4
    with first.writing() as pen:
        pen.append({"what": "more"})
    assert [e["number"] for e in second.entries()] == [1, 2, 3, 4, 5]
    other = filled(tmp_path / "other", 6)
    other.path.replace(first.path)
    other.head.replace(first.head)
    assert len(second.entries()) == 6, "the file is another"
    first.path.unlink()
    first.head.unlink()
    assert second.entries() == ()


@pytest.mark.parametrize("document", [{"x": float("nan")}, {"x": {1, 2}}, {"x": float("inf")}])
def test_what_is_no_plain_data_is_refused_and_nothing_is_written(tmp_path: Path, document: dict[str, object]) -> None:
    chain = filled(tmp_path)
    before = chain.path.read_bytes()
    with pytest.raises(RequestInvalid, match="plain data"), chain.writing() as pen:
        pen.append(document)
    assert chain.path.read_bytes() == before
    assert chain.verify().problems == ()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnwritable, match="cannot be written"), Chain(tmp_path / "file" / "log").writing():
        pass


WRITER = """
import sys
from pathlib import Path
from forecastle.experiments.chain import Chain
for number in range(int(sys.argv[3])):
    chain = Chain(Path(sys.argv[1]))
    with chain.writing() as pen:
        pen.append({"who": sys.argv[2], "count": number})
"""


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path, each = tmp_path / "log.jsonl", 40
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), who, str(each)], stderr=subprocess.PIPE)
        for who in ("a", "b", "c")
    ]
    for process in running:
        assert process.communicate()[1] == b""
        assert process.returncode == 0
    chain = Chain(path)
    found = chain.entries()
    assert chain.verify().problems == ()
    for who in ("a", "b", "c"):
        assert [e["count"] for e in found if e["who"] == who] == list(range(each))


def test_a_writer_that_is_killed_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "killed", "1000000"])
    while not path.exists() or path.stat().st_size < 5_000:
        assert process.poll() is None
    process.kill()
    process.wait()
    chain = Chain(path)
    kept = len(chain.entries())
    assert kept >= 10
    with chain.writing() as pen:
        pen.append({"who": "the next"})
    assert [e.get("count") for e in chain.entries()] == [*range(kept), None]
    assert chain.verify().problems == ()
