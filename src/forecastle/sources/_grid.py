"""Where the bars of a market that never closes lie on the UTC clock, in whole milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forecastle.sessions import Timeframe, step_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000
MONDAY = 4 * DAY
"""The first Monday of 1970; weeks that are counted from 1970 itself begin on Thursday."""


@dataclass(frozen=True)
class Grid:
    """The bars of one timeframe: weeks from Monday, months of the calendar."""

    timeframe: Timeframe

    @property
    def step(self) -> int:
        """Return the length of a bar; for a month the shortest."""
        step = step_of(self.timeframe)
        return 28 * DAY if step is None else int(step.astype("timedelta64[ms]").astype(int))

    def on(self, open_time: int) -> bool:
        """Return whether a bar can open at this moment."""
        return open_time == self._open(open_time)

    def close(self, open_time: int) -> int:
        """Return the close of the bar that opens at (or, off the grid, has its open before) this moment."""
        if self.timeframe == "1mo":
            return self._month(self._month(open_time) + 32 * DAY)
        return self._open(open_time) + self.step

    def first_from(self, moment: int) -> int:
        """Return the first moment at or after ``moment`` where a bar can open."""
        return moment if self.on(moment) else self.close(moment)

    def later(self, open_time: int, bars: int) -> int:
        """Return where a bar can open ``bars`` later; with many months somewhat earlier, so that none is skipped."""
        return self.first_from(open_time + bars * self.step)

    def stop(self, limit: int) -> int:
        """Return the moment from which on no bar opens that has closed at ``limit``."""
        return self._open(limit)

    def _open(self, moment: int) -> int:
        """Return the open of the bar that holds this moment."""
        if self.timeframe == "1mo":
            return self._month(moment)
        origin = MONDAY if self.timeframe == "1w" else 0
        return moment - (moment - origin) % self.step

    @staticmethod
    def _month(moment: int) -> int:
        return to_ms(to_datetime(moment).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down: what has happened by then has happened by ``moment``."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded up: a bar that opens from then on opens from ``moment`` on."""
    return -((EPOCH - moment) // timedelta(milliseconds=1))


def to_datetime(moment: int) -> datetime:
    """Return milliseconds since 1970 as a datetime in UTC."""
    return EPOCH + timedelta(milliseconds=moment)
