"""Other processes for tests of the lake; what is killed in them is in lake_victims."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any
from unittest import mock

from forecastle.clock import FixedClock
from forecastle.lake.lock import writer_lock
from making import NOW


def context() -> ForkServerContext:
    """Return clean processes that have imported what they need already: each begins in a few milliseconds."""
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["lake_victims"])
    with mock.patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parent)):  # the server is not told of sys.path
        forkserver.ensure_running()
    return fork


@contextmanager
def other_process(target: Any, *args: Any) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """Run ``target(pipe, *args)`` in another process; it is killed at the end, whatever happened."""
    fork = context()
    mine, theirs = fork.Pipe()
    process = fork.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, mine
    finally:
        process.kill()
        process.join()
        process.close()
        mine.close()


def hold_the_pen(pipe: Connection, root: Path) -> None:
    """Take the lock of the lake, say so, and never let go."""
    with writer_lock(root, FixedClock(NOW), Path("test")):
        pipe.send("held")
        while True:
            signal.pause()
