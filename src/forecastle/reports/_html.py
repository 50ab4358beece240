"""Small pieces of HTML: escaped text, numbers as a person reads them, tables."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from forecastle.nouns import Candles
from forecastle.sessions import Timeframe

NOT_KNOWN = "n/a"
_BAR_NAMES: dict[str, str] = {"1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}


class Markup(str):
    """Text that is HTML already. Everything else that reaches the page is escaped."""

    __slots__ = ()


@dataclass(frozen=True)
class Column:
    """The head of one table column; ``hint`` is shown under the title in small letters."""

    title: str
    hint: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Row:
    """One table row; the first cell names it. ``kind`` is a CSS class such as ``best``."""

    cells: Sequence[str]
    kind: str = ""


def text(value: object) -> Markup:
    """Return ``value`` safe to place in HTML; ``Markup`` stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def join(parts: Iterable[str], between: str = "") -> Markup:
    """Return the parts one after the other, each escaped unless it is ``Markup``."""
    return Markup(between.join(text(part) for part in parts))


def tag(name: str, content: str = "", kind: str = "", **attributes: str) -> Markup:
    """Return one element; ``content`` is escaped unless it is ``Markup``.

    An underscore in an attribute's name stands for a dash.
    """
    given = {"class": kind, **attributes}
    shown = "".join(f' {k.replace("_", "-")}="{text(v)}"' for k, v in given.items() if v != "")
    return Markup(f"<{name}{shown}>{text(content)}</{name}>")


def whole(name: str) -> Markup:
    """Return a name that is broken between its words only, not at the dash of ``GARCH(1,1)-t``."""
    return join((tag("span", word, "whole") for word in name.split(" ")), " ")


def badge(word: str, tone: str) -> Markup:
    """Return a word with a sign before it; ``tone`` is ``good``, ``warn``, ``bad`` or ``none``.

    The sign and the word say what the colour says.
    """
    sign = {"good": "✓", "warn": "!", "bad": "✕", "none": "–"}[tone]
    mark = tag("span", sign, "sign", aria_hidden="true")
    return tag("span", join([mark, word]), f"badge {tone}")


def table(caption: str, columns: Sequence[Column], rows: Sequence[Row], kind: str = "") -> Markup:
    """Return a table that scrolls inside its own box where it is too wide."""
    head = "".join(_head(c, c.numeric and i > 0) for i, c in enumerate(columns))
    body = "".join(_row(row, columns) for row in rows)
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}">'
    return Markup(
        f'{box}<table class="{kind}"><caption>{text(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(pairs: Mapping[str, str], kind: str = "facts") -> Markup:
    """Return names with what they stand for."""
    listed = (tag("div", join([tag("dt", k), tag("dd", v)])) for k, v in pairs.items())
    return tag("dl", join(listed), kind)


def _head(column: Column, right: bool) -> str:
    hint = f"<small>{text(column.hint)}</small>" if column.hint else ""
    kind = ' class="number"' if right else ""
    return f'<th scope="col"{kind}>{text(column.title)}{hint}</th>'


def _row(row: Row, columns: Sequence[Column]) -> str:
    first = f'<th scope="row">{text(row.cells[0])}</th>'
    rest = (
        f'<td class="number">{text(cell)}</td>' if column.numeric else f"<td>{text(cell)}</td>"
        for cell, column in zip(row.cells[1:], columns[1:], strict=True)
    )
    return f'<tr class="{row.kind}">{first}{"".join(rest)}</tr>'


def fixed(value: float | None, digits: int = 4) -> str:
    """Write a number with so many decimals; None, NaN and infinity are ``n/a``."""
    return f"{value:,.{digits}f}" if value is not None and math.isfinite(value) else NOT_KNOWN


def significant(value: float | None, digits: int = 6) -> str:
    """Write a number with so many significant digits; None, NaN and infinity are ``n/a``."""
    return f"{value:.{digits}g}" if value is not None and math.isfinite(value) else NOT_KNOWN


def p_value(value: float | None) -> str:
    """Write a p-value: three decimals, or ``<0.001``."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def p_is(value: float | None) -> str:
    """Write a p-value inside a sentence: ``p = 0.013``, ``p < 0.001`` or ``p n/a``."""
    number = p_value(value)
    if number == NOT_KNOWN:
        return f"p\u00a0{number}"
    # Held together: a line that ends in "p =" reads badly.
    return f"p\u00a0<\u00a0{number[1:]}" if number[0] == "<" else f"p\u00a0=\u00a0{number}"


def moment(value: datetime | None) -> str:
    """Write a moment to the minute, in UTC."""
    return NOT_KNOWN if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def span(candles: Candles) -> str:
    """Write the first and the last date of the candles."""
    return f"{candles.start:%Y-%m-%d} to {candles.end:%Y-%m-%d}" if len(candles) else "no bars"


def bars(timeframe: Timeframe, count: int = 1) -> str:
    """Return the word for so many bars: ``day``, ``hours``, ``15m bars``."""
    name = _BAR_NAMES.get(timeframe, f"{timeframe} bar")
    return name if count == 1 else f"{name}s"
