"""Walk through the history of a market in pages, oldest first, one page in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from forecastle.ports import Page
from forecastle.sources._grid import DAY, Grid, to_datetime
from forecastle.sources._rows import Row, to_frame

Ask = Callable[[Grid, int], list[Row]]
"""Return the bars of a timeframe that the venue answers with for ``since`` (milliseconds), in the order of time."""

BEGINNING = 1_262_304_000_000
"""2010 in milliseconds: no exchange of ccxt traded before."""
UNSETTLED = 2 * DAY
"""A bar missing at the end of the history may still come: an empty stretch is believed when it is older than this."""
_TELL_AFTER = 10
"""So many empty pages in a row are told as a page without rows."""
_PATIENT_FOR = 2
"""So many empty pages in a row are walked through; then, after 4, after 8, ... daily bars tell where the hole ends."""


@dataclass(frozen=True)
class Walk:
    """One way through the bars that open from ``start`` on (None: the beginning) and have closed at ``limit``.

    ``window`` is the number of bars a page of the venue spans; ``coarse`` whether it has daily bars to find the end
    of a long hole with; ``now`` the venue's time. Times are milliseconds.
    """

    ask: Ask
    grid: Grid
    start: int | None
    limit: int
    window: int
    coarse: bool
    now: int

    def pages(self) -> Iterator[Page]:
        """Yield the pages that have rows, each with the stretch it answers; every step goes forward.

        An empty stretch belongs to the page after it; at the end, or where it is long, to a page without rows.
        """
        answered = BEGINNING if self.start is None else self.start
        settled = self.grid.stop(self.now - UNSETTLED)
        stop, cursor, empty = self.grid.stop(self.limit), self.grid.first_from(max(answered, BEGINNING)), 0
        while cursor < stop:
            given = self.ask(self.grid, cursor)
            rows = [row for row in given if row[0] >= cursor and self.grid.close(row[0]) <= self.limit]
            beyond = [row[0] for row in given if self.grid.close(row[0]) > self.limit]
            if rows:
                cursor, empty = self.grid.close(rows[-1][0]), 0
                yield self._page(rows, answered, cursor)
                answered = cursor
            elif beyond:
                yield from self._without_rows(answered, min(beyond[0], stop, settled))
                return
            else:
                empty += 1
                cursor = self._past_hole(cursor, stop, empty)
                if empty % _TELL_AFTER == 0 and cursor <= settled:  # a long walk can be stopped and gone on with
                    yield self._page([], answered, cursor)
                    answered = cursor
        yield from self._without_rows(answered, min(stop, settled))

    def _past_hole(self, cursor: int, stop: int, empty: int) -> int:
        """Return where to go on after an empty page that began at ``cursor``."""
        after = self.grid.later(cursor, self.window)
        measured = empty >= _PATIENT_FOR and empty & (empty - 1) == 0
        if not measured or not self.coarse or self.grid.step >= DAY:
            return after
        days = Grid("1d")
        day = after // DAY * DAY
        while day < stop:
            found = [row[0] for row in self.ask(days, day) if row[0] >= day]
            if found:
                return max(after, found[0])
            day = days.later(day, self.window)
        return stop

    def _page(self, rows: list[Row], since: int, until: int) -> Page:
        return Page(to_frame(rows, self.grid), to_datetime(since), to_datetime(until))

    def _without_rows(self, since: int, until: int) -> Iterator[Page]:
        if until > since:
            yield self._page([], since, until)
