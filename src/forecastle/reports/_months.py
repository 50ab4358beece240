"""What equity did month by month, as a table whose cells are the deeper coloured the larger they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forecastle.reports._html import Column, Markup, Row, join, table, tag

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year")
_DEEPEST = 70
"""Percent of the colour at the largest month: the words on it have to stay readable."""


def months_table(found: Mapping[int, Sequence[float | None]]) -> Markup:
    """Return a row a year; nothing but a line where there are fewer than two months."""
    known = [abs(v) for row in found.values() for v in row[:12] if v is not None]
    title = tag("h4", "Returns by month")
    if len(known) < 2:
        return join([title, tag("p", "There is not more than one month.", "reading")])
    largest = max(known) or 1.0
    rows = [Row([str(year), *(_cell(v, largest) for v in found[year])]) for year in sorted(found, reverse=True)]
    caption = "Change of equity in percent; the first and the last month may not be whole"
    return join([title, table(caption, [Column("Year"), *(Column(n) for n in _NAMES)], rows, "months")])


def _cell(value: float | None, largest: float) -> Markup:
    if value is None:
        return Markup()
    depth = min(_DEEPEST, round(_DEEPEST * abs(value) / largest))
    side = "up" if value >= 0.0 else "down"
    return tag("span", f"{100.0 * value:.1f}", f"heat {side}", style=f"--depth:{depth}%")
