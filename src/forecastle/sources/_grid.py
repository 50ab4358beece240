"""Where the bars of a market that never closes lie on the UTC clock, in whole milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forecastle.sessions import Timeframe, step_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000


@dataclass(frozen=True)
class Grid:
    """The bars of one timeframe. Weeks and months are taken as the venue cuts them, if from a UTC midnight."""

    timeframe: Timeframe

    @property
    def step(self) -> int:
        """Return the length of a bar; for a month the shortest."""
        step = step_of(self.timeframe)
        return 28 * DAY if step is None else int(step.astype("timedelta64[ms]").astype(int))

    def on(self, open_time: int) -> bool:
        """Return whether a bar can open at this moment."""
        if self.timeframe == "1mo":
            return open_time == self._month(open_time)
        return open_time % (DAY if self.timeframe == "1w" else self.step) == 0

    def close(self, open_time: int) -> int:
        """Return the close of the bar that opens at (or, off the grid, has its open before) this moment."""
        if self.timeframe == "1mo":
            return self._month(self._month(open_time) + 32 * DAY)
        return open_time - (0 if self.timeframe == "1w" else open_time % self.step) + self.step

    def first_from(self, moment: int) -> int:
        """Return the first moment at or after ``moment`` where a bar can open."""
        if self.timeframe == "1mo":
            month = self._month(moment)
            return month if month == moment else self.close(month)
        unit = DAY if self.timeframe == "1w" else self.step
        return -(-moment // unit) * unit

    def later(self, open_time: int, bars: int) -> int:
        """Return where a bar can open ``bars`` later; with many months somewhat earlier, so that none is skipped."""
        return self.first_from(open_time + bars * self.step)

    def stop(self, limit: int) -> int:
        """Return the moment from which on no bar opens that has closed at ``limit``."""
        if self.timeframe == "1mo":
            return self._month(limit)
        unit = DAY if self.timeframe == "1w" else self.step
        return limit // unit * unit - self.step + unit

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
