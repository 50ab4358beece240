"""A byte that changed, in any file under ``raw``: found before it is used, and all else still serves."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from forecastle.errors import DataCorrupt
from forecastle.lake import Lake, journal, query
from forecastle.lake.manifest import HISTORY, MIRROR, NAME
from lake_model import Seen, Step, Ticking, all_files, look, next_step
from making import key_of, make_candles

Tally = Callable[..., None]
OTHER = make_candles(40, instrument="ETH-USDT", seed=1)
TEXTS = {"_README.md", "schema.json"}
"""Words for people; the next write puts them right."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    """Return a lake with every kind of file in it."""
    root, seen, draw = tmp_path_factory.mktemp("whole") / "raw", Seen(), random.Random(7)
    lake = Lake(root, Ticking())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "FEWEST_LINES", 8)
        for _ in range(40):
            step = next_step(draw, seen)
            step.do(lake)
            seen = seen.after(step)
        lake.write(OTHER)
        lake.write_csv(key_of(OTHER))
        Step("csv").do(lake)
    kinds = {path.suffix for path in all_files(root)}
    assert kinds == {".parquet", ".csv", ".jsonl", ".md", ".json"}
    assert any(HISTORY in path.parts for path in all_files(root))
    assert lake.verify() == []
    return root, seen


def _flipped(content: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(content: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    return content[: draw.randrange(len(content))]


def _swapped(content: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    changed = bytearray(content)
    for _try in range(1000):
        one, other = draw.randrange(len(content)), draw.randrange(len(content))
        if changed[one] != changed[other]:
            changed[one], changed[other] = changed[other], changed[one]
            return bytes(changed)
    raise AssertionError("no two bytes differ")


def _longer(content: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    return content + draw.randbytes(draw.randrange(1, 40))


def _of_another(content: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    return draw.choice([other for other in others if other != content])


DAMAGES = [_flipped, _cut, _swapped, _longer, _of_another]


def test_a_damaged_byte_anywhere_is_found_before_use(
    tmp_path: Path, whole: tuple[Path, Seen], rounds: int, tally: Tally
) -> None:
    seed = random.randrange(2**32)
    draw, root = random.Random(seed), tmp_path / "raw"
    shutil.copytree(whole[0], root)
    files = all_files(root)
    by_kind: dict[str, list[Path]] = {}
    for path in files:
        by_kind.setdefault(_kind(path), []).append(path)
    for number in range(2 * rounds):
        kind = draw.choice(sorted(by_kind))
        path = draw.choice(by_kind[kind])
        content = path.read_bytes()
        others = [p.read_bytes() for p in by_kind[kind]]
        damage = draw.choice(DAMAGES if len(set(others)) > 1 else DAMAGES[:-1])
        path.write_bytes(damage(content, draw, others))
        words = f"seed {seed}, round {number}: {damage.__name__} {path.relative_to(root)}"
        _serves_what_is_right(Lake(root, Ticking()), path, whole[1], words)
        path.write_bytes(content)
        tally(f"byte flipped, cut, swapped, added in: {kind}")
    assert Lake(root, Ticking()).verify() == []


def _kind(path: Path) -> str:
    if HISTORY in path.parts:
        return "a closed log"
    return {".parquet": "a Parquet file", ".csv": "a CSV twin"}.get(path.suffix, path.name)


def _serves_what_is_right(lake: Lake, path: Path, right: Seen, words: str) -> None:
    name = path.relative_to(lake.root).as_posix()
    mine = "BTC-USDT" in path.parts and path.suffix == ".parquet" and path in _read_by(lake)
    if mine:
        with pytest.raises(DataCorrupt, match=path.name):
            look(lake)
    else:
        assert look(lake) == right, words
    if "ETH-USDT" not in path.parts:
        assert lake.read(key_of(OTHER)).frame.equals(OTHER.frame), words
    problems = [p.path for p in lake.verify()]
    if name.startswith(HISTORY):
        assert problems in ([HISTORY], []), words  # bytes behind the last whole line of a log are no commit
    elif name not in (NAME, MIRROR, *TEXTS):
        assert problems == [name], words
    else:
        assert set(problems) <= {name}, words
    _counts_are_right(lake, words)


def _counts_are_right(lake: Lake, words: str) -> None:
    """SQL either answers with the rows of the lake or says which file is damaged."""
    try:
        count = query(lake, "SELECT count(*), count(close) FROM candles").row(0)
    except DataCorrupt as error:
        named = [problem.path for problem in lake.verify() if Path(problem.path).name in str(error)]
        assert named, words
    else:
        rows = sum(info.rows for info in lake.datasets())
        assert count == (rows, rows), words


def _read_by(lake: Lake) -> set[Path]:
    """Return the files that a look at the lake reads."""
    current = set(lake.current_files("candles")) | set(lake.current_files("observations"))
    return current | set(lake.current_files("quarantine"))


def test_both_copies_damaged_is_said_and_nothing_is_served_or_written(
    tmp_path: Path, whole: tuple[Path, Seen], rounds: int, tally: Tally
) -> None:
    seed = random.randrange(2**32)
    draw, root = random.Random(seed), tmp_path / "raw"
    shutil.copytree(whole[0], root)
    content = (root / NAME).read_bytes()
    last = content.rstrip().rfind(b"\n") + 1
    for _ in range(rounds):
        for name in (NAME, MIRROR):  # before the last line: a cut last line is as if it was never committed
            (root / name).write_bytes(_flipped(content[:last], draw, []) + content[last:])
        lake = Lake(root, Ticking())
        with pytest.raises(DataCorrupt):
            look(lake)
        with pytest.raises(DataCorrupt):
            lake.write(OTHER)
        tally("both copies of the manifest damaged")
