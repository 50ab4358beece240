"""One table that is written as HTML and as Markdown from the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forecastle.reports._html import Column, Markup, Row, table, tag


class Prose(Column):
    """The head of a column of sentences: they are wrapped."""


@dataclass(frozen=True)
class Listing:
    """A table in words: ``first`` marks its first row, ``empty`` is said without rows, ``kind`` is a CSS class."""

    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    first: str = ""
    empty: str = "None."
    kind: str = ""

    def html(self) -> Markup:
        """Return the table; cells of words are wrapped, those of numbers are not."""
        if not self.rows:
            return tag("p", self.empty)
        wordy = [isinstance(c, Prose) for c in self.columns]
        rows = [
            Row([tag("span", one, "prose") if wide and one else one for one, wide in zip(r, wordy, strict=True)],
                self.first if i == 0 else "")
            for i, r in enumerate(self.rows)
        ]  # fmt: skip
        return table(self.caption, self.columns, rows, self.kind)

    def markdown(self) -> str:
        """Return the table under its title."""
        return (
            f"## {self.title}\n\n{self.caption}.\n\n{self.body()}" if self.rows else f"## {self.title}\n\n{self.empty}"
        )

    def body(self) -> str:
        """Return the table alone."""
        heads = [c.title if not c.hint else f"{c.title} ({c.hint})" for c in self.columns]
        rule = "".join("---:|" if c.numeric and i else "---|" for i, c in enumerate(self.columns))
        lines = [f"| {' | '.join(cell(h) for h in heads)} |", f"|{rule}"]
        return "\n".join([*lines, *(f"| {' | '.join(cell(c) for c in row)} |" for row in self.rows)])


def words(title: str) -> Column:
    """Return the head of a column of sentences."""
    return Prose(title, numeric=False)


def cell(text: str) -> str:
    """Return text that cannot end its cell nor start markup."""
    plain = " ".join(text.split())
    for sign in ("\\", "|", "<", "`", "[", "*"):
        plain = plain.replace(sign, f"\\{sign}")
    return plain
