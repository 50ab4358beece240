"""Time that tests move by hand: sleeping moves it, and nothing waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class MovedClock:
    """A clock at ``moment`` that only ``sleep`` moves on; ``slept`` keeps every wait in seconds."""

    moment: datetime = datetime(2024, 6, 1, 12, 0, 30, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the moment it stands at."""
        return self.moment

    def seconds(self) -> float:
        """Return the same as seconds since 1970, for the server."""
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)
