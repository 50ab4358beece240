"""What a write does to the disk, in which order, and disks that say no. More of these: tests/torture."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forecastle.errors import StorageUnwritable
from making import key_of, make_candles, open_lake, with_close

OLD = make_candles(24 * 20, start="2023-12-22", timeframe="1h")
NEW = with_close(with_close(OLD, 0, 1.1), len(OLD) - 1, 1.1)  # news in both years: two files


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
    assert root in synced[synced.index(root / ".manifest.jsonl.tmp") :]
    # later commits add to the manifest, and what they name was synced before
    before = len(synced)
    open_lake(root).write(NEW)
    later = synced[before:]
    files = [path for path in later if path.name.endswith(".parquet.tmp")]
    assert len(files) == 2
    first, second = (later.index(root / name) for name in ("manifest.jsonl", "manifest.mirror.jsonl"))
    assert max(later.index(path) for path in [*files, files[0].parent]) < first < second


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


def test_a_disk_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    with _mounted(tmp_path / "disk", "size=4m"):
        lake = open_lake(tmp_path / "disk" / "raw")
        lake.write(OLD)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "disk"], check=True)
        with pytest.raises(StorageUnwritable, match="Read-only file system"):
            lake.write(NEW)
        with pytest.raises(StorageUnwritable, match="Read-only file system"):
            open_lake(tmp_path / "disk" / "other" / "raw").write(NEW)
        assert lake.read(key_of(OLD)).frame.equals(OLD.frame)
        assert lake.verify() == []
