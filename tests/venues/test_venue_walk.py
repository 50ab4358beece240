"""The walk through a history with a long empty stretch: it is told on the way, so that it can be stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from forecastle.sources._grid import Grid, to_ms
from forecastle.sources._paging import Walk
from forecastle.sources._rows import Row

START, LISTED, END = (to_ms(datetime(2020, 1, d, tzinfo=UTC)) for d in (1, 20, 22))
NOW = to_ms(datetime(2024, 1, 1, tzinfo=UTC))
HOUR = 3_600_000


def test_a_long_empty_stretch_is_told_in_pages_without_rows() -> None:
    """Ten hours a page; nothing before the 20th, and no daily bars that could tell where it begins."""

    def ask(grid: Grid, since: int) -> list[Row]:
        opens = range(max(since, LISTED), min(since + 10 * HOUR, END), HOUR)
        return [(t, 1.0, 1.0, 1.0, 1.0, 1.0) for t in opens]

    pages = list(Walk(ask, Grid("1h"), START, END, 10, False, NOW).pages())
    assert sum(page.rows.height for page in pages) == (END - LISTED) // HOUR
    empty = [page for page in pages if not page.rows.height]
    assert len(empty) >= 4
    assert all(before.until == after.since for before, after in pairwise(pages)), "no moment is left out or told twice"
    assert (to_ms(pages[0].since), to_ms(pages[-1].until)) == (START, END)
