"""One writer: an advisory lock that names its holder and is let go by the system when the holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forecastle.clock import Clock
from forecastle.errors import LakeLocked
from forecastle.lake.atomic import make_folder, unwritable


@contextmanager
def writer_lock(root: Path, clock: Clock) -> Iterator[None]:
    """Hold the lake's only pen. Raises ``LakeLocked`` with the holder's name where another process has it."""
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
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
        note = json.dumps({"pid": os.getpid(), "command": command, "since": clock.now().isoformat(timespec="seconds")})
        _sign(handle, path, note)
        yield
    finally:
        os.close(handle)  # lets the lock go


def _sign(handle: int, path: Path, note: str) -> None:
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, note.encode(), 0)
    except OSError as error:
        raise unwritable(path, error) from error


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"process {note['pid']} ({note['command']}), since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not yet signed"
