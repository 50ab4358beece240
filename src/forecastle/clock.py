"""The only module that reads the time.

Everything else is handed a clock, so a test or a backtest can stand at any moment it likes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime in UTC."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still at ``moment`` (aware; converted to UTC)."""

    moment: datetime

    def __post_init__(self) -> None:
        if self.moment.tzinfo is None:
            raise ValueError(f"{self.moment} has no time zone; a clock needs one")

    def now(self) -> datetime:
        """Return the fixed moment in UTC."""
        return self.moment.astimezone(UTC)


def pause(seconds: float) -> None:
    """Wait for ``seconds``."""
    time.sleep(max(0.0, seconds))


def stopwatch() -> float:
    """Return seconds on a monotonic counter, for durations only."""
    return time.perf_counter()
