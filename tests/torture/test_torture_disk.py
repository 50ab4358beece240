"""A disk that says no, at the k-th call for every k: the lake stays at one commit or the other."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forecastle.errors import StorageUnwritable
from forecastle.lake import Lake, journal
from forecastle.lake.manifest import MIRROR, NAME
from lake_model import Seen, Step, Ticking, files_without_a_name, hours, look
from making import tree

Tally = Callable[..., None]
BEFORE = [
    Step("write", dict.fromkeys(range(250), 1.0)),  # two years
    Step("quarantine", dict.fromkeys(range(3, 6), 1.0)),
    Step("observe", dict.fromkeys(range(9), 1.0)),
]
STEPS = {
    "append": Step("write", dict.fromkeys(range(250, 260), 2.0)),
    "revision in two files": Step("write", {0: 2.0, 249: 2.0}),
    "gap filled": Step("write", {300: 2.0, 400: 2.0}),
    "quarantine": Step("quarantine", dict.fromkeys(range(5, 9), 2.0)),
    "observation": Step("observe", dict.fromkeys(range(5, 15), 2.0)),
    "csv": Step("csv"),
    "cover": Step("cover", dict.fromkeys(range(200, 300), 2.0)),
}
LONG, CLOSING = 100, 4
"""Commits to a log: with the second the next commit closes it."""


class Fault:
    """Lets calls through until the k-th, which fails; with ``for_good`` all later ones fail too."""

    def __init__(self, k: int, *, for_good: bool) -> None:
        self.left, self.for_good = k, for_good

    def strikes(self) -> bool:
        self.left -= 1
        return self.left == 0 or (self.for_good and self.left < 0)

    @property
    def struck(self) -> bool:
        return self.left <= 0


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _half(real: Callable[..., int], handle: int, content: bytes, *place: int) -> None:
    real(handle, content[: len(content) // 2], *place)
    _full()


def _patched(patch: pytest.MonkeyPatch, owner: Any, name: str, fault: Fault) -> None:
    real = getattr(owner, name)

    def call(*args: Any) -> Any:
        if not fault.strikes():
            return real(*args)
        return _half(real, *args) if name in ("write", "pwrite") else _full()

    patch.setattr(owner, name, call)


CALLS = {
    "write": (os, "write"), "fsync": (os, "fsync"), "rename": (Path, "replace"),
    "ftruncate": (os, "ftruncate"), "pwrite": (os, "pwrite"), "open": (os, "open"),
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    root, seen = tmp_path_factory.mktemp("base") / "raw", Seen()
    lake = Lake(root, Ticking())
    for step in BEFORE:
        step.do(lake)
        seen = seen.after(step)
    return root, seen


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from_then_on"])
@pytest.mark.parametrize("lines", [LONG, CLOSING], ids=["open_log", "closing_log"])
@pytest.mark.parametrize("call", CALLS)
def test_whichever_call_fails_the_lake_is_at_the_old_or_the_new_commit(
    tmp_path: Path, base: tuple[Path, Seen], tally: Tally, monkeypatch: pytest.MonkeyPatch,
    call: str, lines: int, for_good: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(journal, "FEWEST_LINES", lines)
    some = ("append", "csv") if for_good else ("append",)
    steps = STEPS if lines == LONG and not for_good else {name: STEPS[name] for name in some}
    for name, step in steps.items():
        for k in range(1, 60):
            root = tmp_path / f"{name}-{k}" / "raw"
            shutil.copytree(base[0], root)
            fault = Fault(k, for_good=for_good)
            _one_failure(Lake(root, Ticking()), step, base[1], fault, CALLS[call])
            shutil.rmtree(root)
            if not fault.struck:
                break
            tally(f"{call} that fails at the k-th call")
        assert k > 1 or call == "ftruncate", f"{name}: the fault never struck"
        assert k < 59


def _one_failure(lake: Lake, step: Step, before: Seen, fault: Fault, where: tuple[Any, str]) -> None:
    told = False
    with pytest.MonkeyPatch.context() as patch:
        _patched(patch, *where, fault)
        try:
            step.do(lake)
        except StorageUnwritable as refused:
            told = True
            _is_about_room(refused)
    after = before.after(step)
    fresh = Lake(lake.root, Ticking())
    found = look(fresh)
    assert found in ((before, after) if told else (after,)), "what was not told to have failed has to stand"
    assert look(lake) == found, "a reader that was open sees the same"
    assert fresh.verify() == []
    if not fault.for_good:
        assert files_without_a_name(fresh) == set(), "who failed tidied up"
    step.do(lake)
    assert look(lake) == look(Lake(lake.root, Ticking())) == after
    assert files_without_a_name(fresh) == set()
    assert lake.verify() == []
    Step("write", {444: 1.0}).do(fresh)  # the next writer makes both copies equal
    assert (lake.root / NAME).read_bytes() == (lake.root / MIRROR).read_bytes()


def _is_about_room(refused: StorageUnwritable) -> None:
    assert "no room to write" in str(refused)
    assert refused.exit_code == 3


def test_the_first_write_of_all_may_fail_at_any_call(tmp_path: Path, tally: Tally) -> None:
    step = BEFORE[0]
    for call, where in CALLS.items():
        for k in range(1, 60):
            fault = Fault(k, for_good=False)
            lake = Lake(tmp_path / call / str(k) / "home" / "raw", Ticking())
            _one_failure(lake, step, Seen(), fault, where)
            if not fault.struck:
                break
            tally(f"{call} that fails at the k-th call")
        assert k > 1 or call == "ftruncate"


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("size", [100, 140, 200, 300])
def test_a_disk_that_is_really_full_keeps_what_was_committed(tmp_path: Path, tally: Tally, size: int) -> None:
    """Whatever the room that is left, a write is refused or stands; with room again it goes on."""
    with _small_disk(tmp_path / "disk", f"{size}k") as disk:
        filler = disk / "filler"
        filler.write_bytes(b"x" * 40_000)
        lake, seen, refused = Lake(disk / "raw", Ticking()), Seen(), 0
        for number in range(300):
            step = Step("write", dict.fromkeys(range(20 * number, 20 * number + 20), 1.0))
            try:
                step.do(lake)
            except StorageUnwritable as error:
                _is_about_room(error)
                refused += 1
            else:
                seen = seen.after(step)
            assert look(Lake(lake.root, Ticking())) == seen
            if refused > 3:
                break
        assert refused > 3, "the disk never got full"
        assert lake.verify() == []
        assert files_without_a_name(lake) == set()
        tally("writes refused by a full disk", refused)
        filler.unlink()
        assert lake.write(hours({9000: 1.0})).added == 1
        assert lake.verify() == []
        assert not [name for name in tree(tmp_path) if name.endswith(".tmp")]
