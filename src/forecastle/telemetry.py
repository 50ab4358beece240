"""Log and durations: to stderr, never to stdout."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from forecastle.clock import stopwatch

logger = logging.getLogger("forecastle")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the moment: it may be another one than when the log was configured."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure(level: str) -> None:
    """Send the log of Forecastle to stderr from ``level`` on; other libraries' logs stay as they are."""
    logger.setLevel(level.upper())
    logger.propagate = False
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.handlers = [handler]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log at info level how long the block took."""
    start = stopwatch()
    try:
        yield
    finally:
        logger.info("%s took %.2f s", what, stopwatch() - start)
