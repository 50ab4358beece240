"""One writer: an advisory lock that names its holder and is let go by the system when the holder dies.

The note in the lock file also names the folder its holder writes in. It is wiped when the work is done, so that a note
that is still there tells the next writer where a crash may have left files that were never committed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forecastle.clock import Clock
from forecastle.errors import LakeLocked
from forecastle.lake.atomic import make_folder, unwritable


class Pen:
    """The right to write, held. ``left_behind`` names the folders in which writers before were stopped."""

    def __init__(self, handle: int, path: Path, clock: Clock, folder: Path) -> None:
        self._handle, self._path = handle, path
        self.left_behind: list[str] = _read(path).get("folders", [])
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
        since = clock.now().isoformat(timespec="seconds")
        folders = [*self.left_behind, folder.as_posix()]
        note = {"pid": os.getpid(), "command": command, "since": since, "folders": folders}
        self._put(json.dumps(note).encode() + b"\n")

    def wipe(self) -> None:
        """Say that nothing is left to do. Where that fails the next writer looks in vain, which is no harm."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)

    def _put(self, note: bytes) -> None:
        """Write a note over the one before: at no moment is there none, only its first line counts."""
        try:
            os.pwrite(self._handle, note, 0)
            os.ftruncate(self._handle, len(note))
        except OSError as error:
            raise unwritable(self._path, error) from error


@contextmanager
def writer_lock(root: Path, clock: Clock, folder: Path) -> Iterator[Pen]:
    """Hold the only pen, to write in ``folder``. Raises ``LakeLocked`` with the holder's name where another has it."""
    path = root / ".writer.lock"
    try:
        make_folder(root)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LakeLocked(
                f"Another process writes to the lake: {_holder(path)}.",
                "There is one writer at a time, so that nothing is lost.",
                "Wait for it to end and try again.",
            ) from error
        yield Pen(handle, path, clock, folder)
    finally:
        os.close(handle)  # lets the lock go


def _read(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _holder(path: Path) -> str:
    note = _read(path)
    if not {"pid", "command", "since"} <= note.keys():
        return "it has not yet signed"
    return f"process {note['pid']} ({note['command']}), since {note['since']}"
