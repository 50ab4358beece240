"""A disk that says no: the lake stays at one commit or the other, and nothing is left lying about."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from forecastle.errors import DataMissing, StorageUnwritable
from forecastle.lake import Lake
from forecastle.nouns import Candles
from making import key_of, make_candles, open_lake, tree, with_close

OLD = make_candles(24 * 20, start="2023-12-22", timeframe="1h")
NEW = with_close(with_close(OLD, 0, 1.1), len(OLD) - 1, 1.1)  # news in both years: two files


class Countdown:
    """Lets calls through until the k-th, which fails once."""

    def __init__(self, k: int) -> None:
        self.left = k

    def fails_now(self) -> bool:
        self.left -= 1
        return self.left == 0

    @property
    def used(self) -> bool:
        return self.left <= 0


def _fsync_fails(monkeypatch: pytest.MonkeyPatch, count: Countdown) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if count.fails_now():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def _rename_fails(monkeypatch: pytest.MonkeyPatch, count: Countdown) -> None:
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if count.fails_now():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def _write_fails_half_way(monkeypatch: pytest.MonkeyPatch, count: Countdown) -> None:
    real = os.write

    def write(handle: int, content: bytes) -> int:
        if count.fails_now():
            real(handle, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, content)

    monkeypatch.setattr(os, "write", write)


FAULTS = [_write_fails_half_way, _fsync_fails, _rename_fails]


def _frame(lake: Lake) -> pl.DataFrame | None:
    try:
        return lake.read(key_of(OLD)).frame
    except DataMissing:
        return None


def _same(one: pl.DataFrame | None, other: pl.DataFrame | None) -> bool:
    return one is None if other is None else one is not None and one.equals(other)


@pytest.mark.parametrize("before", [None, OLD], ids=["first_write", "revision"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whichever_step_of_a_write_fails_the_lake_is_at_the_old_or_the_new_commit(
    tmp_path: Path, fault: Callable[[pytest.MonkeyPatch, Countdown], None], before: Candles | None
) -> None:
    for k in range(1, 100):
        lake = open_lake(tmp_path / str(k) / "home" / "raw")
        if before:
            lake.write(before)
        count = Countdown(k)
        with pytest.MonkeyPatch.context() as patch:
            fault(patch, count)
            try:
                lake.write(NEW)
            except StorageUnwritable as refused:
                _is_about_room(refused)
            else:
                if not count.used:
                    break
                assert _same(_frame(lake), NEW.frame), "a step may fail untold only where the commit stands"
        assert lake.verify() == []
        assert _same(_frame(lake), before.frame if before else None) or _same(_frame(lake), NEW.frame)
        assert not [name for name in tree(lake.root.parent) if name.endswith(".tmp")]
        lake.write(NEW)
        assert _same(_frame(lake), NEW.frame)
        assert lake.verify() == []
    assert k > 3, "the fault has to have struck several steps"


def test_every_changed_folder_is_synced_before_the_manifest_names_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a name is there only if the folder that holds it was synced (fsync(2))."""
    synced: list[Path] = []
    real_fsync, real_replace = os.fsync, Path.replace
    renamed: dict[Path, set[Path]] = {}

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").resolve())
        real_fsync(handle)

    def replace(self: Path, target: Path) -> Path:
        assert self.resolve() in synced, "the content goes to the disk before the name does"
        renamed[target] = set(synced)
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    root = tmp_path / "home" / "raw"
    open_lake(root).write(OLD)
    at_commit = renamed.pop(root / "manifest.jsonl")
    for path in renamed:
        above = [f for f in path.parents if f.is_relative_to(tmp_path)]
        assert set(above) <= at_commit, f"{set(above) - at_commit} not synced"
    assert root in synced[synced.index(root / f".manifest.jsonl.{os.getpid()}.tmp") :]


def test_a_home_that_is_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageUnwritable, match="cannot be written"):
        open_lake(tmp_path / "home" / "raw").write(OLD)


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _write_until_refused(lake: Lake) -> int:
    """Write more and more days; return how many the lake took."""
    rows = 0
    for more in range(100, 20_000, 400):
        try:
            lake.write(make_candles(more))
        except StorageUnwritable as refused:
            _is_about_room(refused)
            return rows
        rows = more
    pytest.fail("the disk never got full")


def _is_about_room(refused: StorageUnwritable) -> None:
    assert "no room to write" in str(refused)
    assert refused.exit_code == 3


def test_a_disk_that_is_really_full_keeps_what_was_committed(tmp_path: Path) -> None:
    with _mounted(tmp_path / "disk", "size=256k"):
        lake = open_lake(tmp_path / "disk" / "raw")
        filler = tmp_path / "disk" / "filler"
        filler.write_bytes(b"x" * 120_000)
        rows = _write_until_refused(lake)
        assert rows > 0
        assert lake.read(key_of(make_candles(1))).frame.equals(make_candles(rows).frame)
        assert lake.verify() == []
        assert not [name for name in tree(tmp_path) if name.endswith(".tmp")]
        filler.unlink()
        assert lake.write(make_candles(rows + 1)).added == 1


def test_a_disk_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    with _mounted(tmp_path / "disk", "size=4m"):
        lake = open_lake(tmp_path / "disk" / "raw")
        lake.write(OLD)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "disk"], check=True)
        with pytest.raises(StorageUnwritable, match="Read-only file system"):
            lake.write(NEW)
        with pytest.raises(StorageUnwritable, match="Read-only file system"):
            open_lake(tmp_path / "disk" / "other" / "raw").write(NEW)
        assert _same(_frame(lake), OLD.frame)
        assert lake.verify() == []
