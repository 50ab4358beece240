"""Files that are there wholly or not at all: temporary file, fsync, rename, fsync of the folder.

Every byte of the lake goes to the disk through this file, so that a test can let each of its calls fail.
"""

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
    place(path, content)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def place(path: Path, content: bytes) -> None:
    """Do the same, but for the name: it survives a power cut only after :func:`sync_folder` of its folder."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folder(path.parent)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write_all(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        forget(temporary)


def append(path: Path, content: bytes) -> None:
    """Add ``content`` at the end of ``path``; after this returns it survives a power cut.

    A reader may see a part of it before. Raises ``StorageUnwritable``; the file is cut back to what it was then.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(handle).st_size
            try:
                _write_all(handle, content)
                os.fsync(handle)
            except BaseException:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, so that their names survive a power cut too."""
    if folder.is_dir():
        return
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


def forget(path: Path) -> None:
    """Remove ``path`` if it is there and can be removed; what is left is swept by the next writer."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder that cannot be written holds nothing of ours
        return


def unwritable(
    path: Path,
    error: OSError,
    unharmed: str = "nothing was changed",
    instead: str = "another folder with --home or FORECASTLE_HOME",
) -> StorageUnwritable:
    """Return what to tell about a failed write: what is ``unharmed``, and where to write ``instead``."""
    if error.errno in _FULL:
        return StorageUnwritable(
            f"There is no room to write {path}.", f"The disk or quota is full; {unharmed}.",
            f"Free some space, or choose {instead}.",
        )  # fmt: skip
    return StorageUnwritable(
        f"{path} cannot be written.", f"{error.strerror or error}; {unharmed}.",
        f"Make that place writable, or choose {instead}.",
    )  # fmt: skip


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]
