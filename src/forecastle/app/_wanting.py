"""Which stretches of time a source still has to be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forecastle.sessions import Timeframe, step_of

Span = tuple[datetime, datetime]
BEGINNING = datetime(1800, 1, 1, tzinfo=UTC)
"""Stands for "as far back as the source goes"."""
ALL_ASKED: Span = (BEGINNING, BEGINNING + timedelta(seconds=1))
_LONG: dict[str, timedelta] = {"1d": timedelta(days=7), "1w": timedelta(days=21), "1mo": timedelta(days=93)}


@dataclass(frozen=True)
class Stretch:
    """What to ask for: from ``since`` (None: as far back as the source goes) to ``until`` (None: up to now).

    ``follows`` tells that bars before it are in the lake.
    """

    since: datetime | None
    until: datetime | None
    follows: bool = False


def overlap(timeframe: Timeframe) -> timedelta:
    """Return how far a question reaches into what is there: a few bars, for the latest are the likeliest to change."""
    step = step_of(timeframe)
    return _LONG.get(timeframe) or timedelta(microseconds=3 * int(step.astype("timedelta64[us]").astype(int)))  # type: ignore[union-attr]


def answered(covered: Sequence[Span], start: datetime | None) -> list[Span]:
    """Return what of ``covered`` answers a question from ``start`` on.

    The mark ``ALL_ASKED`` says that a source was asked for all it has. That answers a question without a start up to
    what follows. It is no answer to an explicit ``start``: the source may serve the last bars only, and has to say so.
    """
    spans = [span for span in covered if span != ALL_ASKED]
    if start is None and len(spans) < len(covered) and spans:
        return [(BEGINNING, spans[0][1]), *spans[1:]]
    return spans


def wanting(spans: Sequence[Span], start: datetime | None, end: datetime | None, edge: timedelta) -> list[Stretch]:
    """Return the stretches from ``start`` (None: as far back as the source goes) to ``end`` outside ``spans``.

    Where one meets a span it reaches ``edge`` into it, so that a bar across the border is in one of both.
    """
    at = start or BEGINNING
    found: list[Stretch] = []
    for begins, ends in spans:
        if at < begins and (end is None or at < end):
            found.append(_stretch(at, begins + edge if end is None else min(begins + edge, end), spans, edge))
        at = max(at, ends)
    if end is None or at < end:
        found.append(_stretch(at, end, spans, edge))
    return found


def _stretch(at: datetime, until: datetime | None, spans: Sequence[Span], edge: timedelta) -> Stretch:
    follows = any(ends == at for _, ends in spans)
    return Stretch(None if at == BEGINNING else at - edge if follows else at, until, follows)
