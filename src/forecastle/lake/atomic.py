"""Files that are there wholly or not at all: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from forecastle.errors import StorageUnwritable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, or a power cut, sees the old file or the new one.

    Raises ``StorageUnwritable`` where the folder cannot take it; nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_folder(path.parent)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _forget(temporary)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, so that their names survive a power cut too."""
    new = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(new):
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> StorageUnwritable:
    """Return what to tell about a failed write."""
    if error.errno in _FULL:
        return StorageUnwritable(
            f"There is no room to write {path}.", "The disk or quota is full; nothing was changed.",
            "Free some space, or choose another folder with --home.",
        )  # fmt: skip
    return StorageUnwritable(
        f"{path} cannot be written.", f"{error.strerror or error}; nothing was changed.",
        "Make the folder writable, or choose another with --home or FORECASTLE_HOME.",
    )  # fmt: skip


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:  # a folder that cannot be written holds no temporary file of ours
        return
